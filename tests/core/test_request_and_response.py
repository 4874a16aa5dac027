"""`Request`, `Response` and the response for a handler's result."""

from __future__ import annotations

import asyncio
import dataclasses
import enum
import json
import sys
import uuid
from datetime import UTC, date, datetime
from decimal import Decimal
from io import BytesIO
from typing import Any

import pydantic
import pytest

from portable_fn import ConfigurationError, Cookie, EncodeError, HTTPError, Request, Response, Upload, data
from portable_fn.adapter import problem
from portable_fn.adapter.calling import finish_alone
from portable_fn.adapter.streams import chunk_bytes
from portable_fn.data import MAX_JSON_DEPTH, Validator
from portable_fn.http import finish, forwarded_scheme, to_response
from portable_fn.pairs import Headers, MultiDict
from portable_fn.testing import fake


def test_a_request_reads_its_parts_on_first_use() -> None:
    request = fake.request("POST", "/a%20b?x=1&x=2", json={"a": 1}, cookies={"c": "1"}, headers={"X-Y": "z"})
    assert (request.path, request.raw_path) == ("/a b", "/a%20b")
    assert request.query.get_all("x") == ["1", "2"]
    assert (request.cookies["c"], request.headers["x-y"]) == ("1", "z")
    assert request.json() == request.data == {"a": 1}
    assert request.text == '{"a":1}'
    assert request.url == "https://example.com/a%20b?x=1&x=2"
    assert request.source == "https://example.com"
    assert request.time == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_a_request_without_an_id_takes_the_callers_or_a_new_one_and_keeps_it() -> None:
    assert Request(headers={"X-Request-Id": "r-1"}).id == "r-1"
    request = Request()
    assert request.id == request.id != Request().id


def test_data_of_an_empty_body_is_absent_and_of_a_form_is_a_dict() -> None:
    assert fake.request("POST").data is None
    assert fake.request("POST", form={"a": "1"}).data == {"a": "1"}
    headers = {"content-type": "application/x-www-form-urlencoded"}
    assert fake.request("POST", body="a=1&a=2", headers=headers).data == {"a": ["1", "2"]}


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "empty"),
        (b"{", "char 1"),
        (b"\xff", "byte 0xff at offset 0"),
        (b"[NaN]", "NaN is not JSON"),
        (b"[" * 10_000, "nested"),
        (b"[" * (MAX_JSON_DEPTH + 1) + b"]" * (MAX_JSON_DEPTH + 1), "nested"),
        (b"1" * 5000, "digits"),
        (b"[1e400]", "too large"),
        (b'{"a":' * 201 + b"1" + b"}" * 201, "nested"),
    ],
)
def test_malformed_json_is_a_400_that_says_why(body: bytes, why: str) -> None:
    with pytest.raises(HTTPError, match=why) as caught:
        fake.request("POST", body=body).json()
    assert caught.value.status == 400


def test_brackets_in_strings_do_not_count_as_depth() -> None:
    value = ["[" * 1000, '"\\' * 500]
    assert fake.request("POST", json=value).json() == value


def test_json_in_its_own_charset_and_with_a_byte_order_mark_is_read() -> None:
    assert fake.request("POST", body=b'\xef\xbb\xbf{"a":1}').json() == {"a": 1}
    headers = {"content-type": "application/json; charset=utf-16"}
    assert fake.request("POST", body='{"a":1}'.encode("utf-16"), headers=headers).json() == {"a": 1}


@pytest.mark.parametrize(
    "charset", ["nonsense", "punycode", "undefined", "unicode_escape", "rot13", "zip", "idna", "a\0b"]
)
def test_an_unknown_charset_is_a_415(charset: str) -> None:
    request = fake.request("POST", body=b"x", headers={"content-type": f"text/plain; charset={charset}"})
    for read in (lambda: request.text, request.json):
        with pytest.raises(HTTPError, match="unknown") as caught:
            read()
        assert caught.value.status == 415


def test_a_wide_and_flat_json_text_is_not_too_deep() -> None:
    value = [{"a": ['"', "\\", {"b": []}]}] * 5000
    assert fake.request("POST", json=value).json() == value


def test_the_repr_of_a_request_has_no_secrets() -> None:
    request = fake.request("POST", "/x?token=a-secret", headers={"authorization": "a-secret"}, body="a-secret")
    assert repr(request) == "Request(method='POST', raw_path='/x', id='request-1')"


def test_an_id_that_no_log_should_have_is_not_taken() -> None:
    for given in ("a\x1b[2J", "x" * 129, "a b", "é"):
        assert Request(headers={"x-request-id": given}).id != given


def test_a_lone_surrogate_in_text_is_replaced() -> None:
    assert Response.text("a\ud800").body == Response(body="a\ud800").body == b"a?"
    assert Response.redirect("/a\r\nx: 1\ud800").headers["location"] == "/a%0D%0Ax:%201?"


def multipart(*parts: tuple[str, bytes]) -> Request[Any]:
    body = (
        b"".join(b"--limit\r\n" + head.encode() + b"\r\n\r\n" + data + b"\r\n" for head, data in parts)
        + b"--limit--\r\n"
    )
    return fake.request("POST", body=body, headers={"content-type": "multipart/form-data; boundary=limit"})


def test_a_multipart_form_has_fields_and_files() -> None:
    request = multipart(
        ('Content-Disposition: form-data; name="who"', "Zoë".encode()),
        ('Content-Disposition: form-data; name="f"; filename="a b.bin"\r\nContent-Type: image/png', bytes(range(256))),
        ('Content-Disposition: form-data; name="who"', b"Ada"),
    )
    assert request.form.get_all("who") == ["Zoë", "Ada"]
    upload = request.form["f"]
    assert isinstance(upload, Upload)
    assert (upload.filename, upload.content_type, upload.body) == ("a b.bin", "image/png", bytes(range(256)))


def test_a_malformed_multipart_form_is_a_400_and_another_type_a_415() -> None:
    for headers, status in [
        ({"content-type": "multipart/form-data; boundary=other"}, 400),
        ({"content-type": "multipart/form-data"}, 400),
        ({"content-type": "application/json"}, 415),
        ({}, 415),
    ]:
        with pytest.raises(HTTPError) as caught:
            _ = fake.request("POST", body=b"--limit\r\n", headers=headers).form
        assert caught.value.status == status


class Colour(enum.Enum):
    RED = "red"


@dataclasses.dataclass
class Point:
    x: int
    when: date


class Model(pydantic.BaseModel):
    id: uuid.UUID = pydantic.Field(alias="ID")


NUMBER = uuid.UUID(int=1)


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        ({"a": [1, 2.5, None, True, "é"]}, {"a": [1, 2.5, None, True, "é"]}),
        ([], []),
        ({"pair": (1, 2)}, {"pair": [1, 2]}),
        (3, 3),
        (Point(1, date(2026, 1, 2)), {"x": 1, "when": "2026-01-02"}),
        ({"p": [Point(1, date(2026, 1, 2))]}, {"p": [{"x": 1, "when": "2026-01-02"}]}),
        (Model(ID=NUMBER), {"ID": str(NUMBER)}),
        ([Model(ID=NUMBER)], [{"ID": str(NUMBER)}]),
        (
            {"d": Decimal("1.10"), "u": NUMBER, "c": Colour.RED, "s": {1}},
            {"d": "1.10", "u": str(NUMBER), "c": "red", "s": [1]},
        ),
        ({"t": datetime(2026, 1, 2, tzinfo=UTC)}, {"t": "2026-01-02T00:00:00+00:00"}),
        ({"q": fake.request("GET", "/?a=1").query}, {"q": {"a": "1"}}),
        ({"surrogate": "\ud800"}, {"surrogate": "\ud800"}),
    ],
)
def test_a_result_that_json_can_say_is_json(result: object, expected: object) -> None:
    response = to_response(result)
    assert (response.status, response.headers["content-type"]) == (200, "application/json")
    assert isinstance(response.body, bytes)
    assert json.loads(response.body) == expected


@pytest.mark.parametrize(
    "result",
    [({"a": 1}, 201), HTTPError(404), object(), {"a": object()}, {"a": float("nan")}, {("a",): 1}, {"a": b"x"}, 1j],
)
def test_a_result_that_json_cannot_say_is_an_error_that_names_it(result: object) -> None:
    with pytest.raises(EncodeError):
        to_response(result)


def test_a_circular_result_is_an_error() -> None:
    circle: list[object] = []
    circle.append(circle)
    with pytest.raises(EncodeError):
        to_response(circle)


def test_none_bytes_text_and_streams_are_responses() -> None:
    assert to_response(None) == Response(204)
    assert to_response(b"x") == Response(200, {"content-type": "application/octet-stream"}, (), b"x")
    assert to_response("é") == Response(200, {"content-type": "text/plain; charset=utf-8"}, (), "é".encode())
    assert to_response(iter([b"a"])).is_stream
    assert not to_response(bytearray(b"x")).is_stream
    response = Response(201)
    assert to_response(response) is response


def test_response_constructors() -> None:
    assert Response.html("<p>").headers["content-type"] == "text/html; charset=utf-8"
    assert Response.json([1], 201, {"x": "y"}) == Response(
        201, {"x": "y", "content-type": "application/json"}, (), b"[1]"
    )
    assert (
        Response.json(1, headers={"Content-Type": "application/hal+json"}).headers["content-type"]
        == "application/hal+json"
    )
    assert Response.redirect("/ü b").headers["location"] == "/%C3%BC%20b"
    assert Response.redirect("https://e.com/%20?a=1#x").headers["location"] == "https://e.com/%20?a=1#x"
    assert Response.file(b"x", "a.png").headers["content-type"] == "image/png"
    assert (
        Response.file(BytesIO(b"x"), "a.txt", inline=True).headers["content-disposition"] == 'inline; filename="a.txt"'
    )
    disposition = Response.file(b"x", 'é".txt').headers["content-disposition"]
    assert disposition == "attachment; filename*=UTF-8''%C3%A9%22.txt"
    assert Response(body="x", cookies={"a": "1"}).set_cookies == ["a=1; Path=/"]


def test_a_response_that_cannot_be_is_refused() -> None:
    for status in (99, 100, 600, 1000, 200.5, "200"):
        with pytest.raises(ValueError, match="200 to 599"):
            Response(status)  # type: ignore[arg-type]
    for body in ({"a": 1}, 5):
        with pytest.raises(TypeError, match=r"Response.json\(\)"):
            Response(body=body)  # type: ignore[arg-type]
    for cookies in ("hello", b"hello", ["a=1"], iter([])):
        with pytest.raises(TypeError, match=r"a body is Response\(body=…\)"):
            Response(200, (), cookies)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="redirect"):
        Response.redirect("/", 200)


def test_cookies_can_be_set_and_deleted_on_a_response() -> None:
    response = Response(headers=[("set-cookie", "raw=1")], cookies=[Cookie("a", "1")])
    response.set_cookie("b", "2", http_only=True)
    response.delete_cookie("c")
    assert [cookie.partition("=")[0] for cookie in response.set_cookies] == ["raw", "a", "b", "c"]
    assert [name for name, _ in response.wire_headers()] == ["set-cookie"] * 4


def test_head_tells_the_length_and_204_and_304_have_no_body() -> None:
    head = fake.request("HEAD")
    response = finish(Response(200, (), (), b"four"), head)
    assert (response.body, response.headers["content-length"]) == (b"", "4")
    stream = finish(Response(200, (), (), iter([b"x"])), head)
    assert (stream.is_stream, list(stream.body), "content-length" in stream.headers) == (True, [], False)
    for status, kept in ((204, False), (304, True)):
        response = finish(Response(status, {"content-type": "text/plain", "etag": "x"}, (), b"x"), fake.request())
        assert (response.body, "content-type" in response.headers, response.headers["etag"]) == (b"", kept, "x")


def test_an_http_error_is_from_400_to_599() -> None:
    assert str(HTTPError(404, "gone")) == "404 gone"
    for status in (200, "not found"):
        with pytest.raises(ValueError, match="400 to 599"):
            HTTPError(status)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="detail must be a str"):
        HTTPError(404, {"a": 1})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        (MultiDict([("a", "1"), ("a", "2")]), MultiDict([("a", "1"), ("a", "2")]), True),
        (MultiDict([("a", "1"), ("a", "2")]), MultiDict([("a", "2"), ("a", "1")]), False),
        (MultiDict([("a", "1"), ("a", "2")]), {"a": "1"}, True),
        (MultiDict([("a", "1")]), {"a": "2"}, False),
        (MultiDict([("a", "1")]), [("a", "1")], False),
        (Headers([("A", "1"), ("b", "2")]), Headers([("b", "2"), ("a", "1")]), True),
        (Headers([("a", "1"), ("a", "2")]), Headers([("a", "2"), ("a", "1")]), False),
        (Headers([("a", "1"), ("a", "2")]), {"a": "1, 2"}, True),
        (Headers([("a", "1")]), [("a", "1")], False),
    ],
)
def test_parameters_keep_their_order_and_headers_that_of_one_name(one: Any, other: Any, equal: bool) -> None:
    assert equal is (one == other)
    with pytest.raises(TypeError, match="unhashable"):
        hash(one)


def test_parameters_and_headers_are_mappings_of_their_first_or_joined_values() -> None:
    pairs, headers = MultiDict([("b", "1"), ("a", "2"), ("b", "3")]), Headers([("B", "1"), ("A", "2"), ("b", "3")])
    for mapping, value in ((pairs, "1"), (headers, "1, 3")):
        assert (["b", "a"], 2, value, ["1", "3"], []) == (
            list(mapping), len(mapping), mapping["b"], mapping.get_all("b"), mapping.get_all("c"),
        )  # fmt: skip
        assert (True, False, False) == ("b" in mapping, "c" in mapping, 1 in mapping)
    assert "MultiDict([('b', '1'), ('a', '2'), ('b', '3')])" == repr(pairs)
    assert "Headers(" in repr(headers)


def test_a_responses_headers_can_be_changed_in_any_case() -> None:
    headers = Response(200, {"A": "1"}).headers
    headers.add("a", "2")
    assert ("1, 2", "x", "x") == (headers.setdefault("A", "0"), headers.setdefault("B", "x"), headers["b"])
    assert (["1", "2"], []) == (headers.pop_all("A"), headers.pop_all("a"))
    del headers["B"]
    assert 0 == len(headers)
    for name, value, seen in (("a b", "x", "'a b'"), ("a", 1, "not int"), ("a", "x\ny", "line breaks")):
        with pytest.raises(ValueError, match=seen):
            headers[name] = value  # type: ignore[assignment]  # it is the point


@pytest.mark.parametrize(
    ("status", "title"),
    [(413, "Content Too Large"), (422, "Unprocessable Content"), (404, "Not Found"), (499, "Error"), (599, "Error")],
)
def test_a_problem_without_a_title_has_that_of_its_status(status: int, title: str) -> None:
    assert title == problem.title(status)


def test_a_form_without_its_parser_or_with_too_many_parts_is_refused_with_advice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def form(parts: int) -> Request[Any]:
        part = b'--b\r\ncontent-disposition: form-data; name="a"\r\n\r\n1\r\n'
        return fake.request(
            "POST", body=part * parts + b"--b--\r\n", headers={"content-type": "multipart/form-data; boundary=b"}
        )

    assert 2 == len(form(2).form.get_all("a"))
    monkeypatch.setattr("portable_fn.forms.MAX_FIELDS", 2)
    assert 2 == len(form(2).form.get_all("a"))
    with pytest.raises(HTTPError) as caught:
        _ = form(3).form
    assert 413 == caught.value.status
    monkeypatch.setitem(sys.modules, "multipart", None)
    with pytest.raises(ConfigurationError, match=r"portable-fn\[forms\]"):
        _ = form(1).form


def test_typed_data_without_pydantic_names_the_extra_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pydantic", None)
    with pytest.raises(ConfigurationError, match=r"portable-fn\[pydantic\]"):
        Validator(int)


def test_a_type_that_pydantic_finds_out_late_that_it_cannot_validate_is_named() -> None:
    class Later(pydantic.BaseModel):
        a: Nowhere  # type: ignore[name-defined]  # noqa: F821  # so it is

    with pytest.raises(ConfigurationError, match="Later"):
        Validator(Later).from_plain({"a": 1})


def test_an_interpreter_without_the_c_encoder_writes_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    value = {"a": [1, "é", None, {"at": date(2026, 1, 2)}], "b": True}
    written = data.to_json(value)
    monkeypatch.setattr("json.encoder.c_make_encoder", None)
    assert written == data._encoder()(value) == '{"a":[1,"é",null,{"at":"2026-01-02"}],"b":true}'


@pytest.mark.parametrize(
    ("fields", "reads", "words"),
    [
        ({"headers": 5}, "headers", "headers can't be read"),
        ({"headers": lambda: [("a",)]}, "headers", "headers can't be read"),
        ({"time": 1e300}, "time", "time can't be read"),
        ({"time": "now"}, "time", "time can't be read"),
    ],
)
def test_a_request_part_that_cannot_be_read_is_a_400(fields: dict[str, Any], reads: str, words: str) -> None:
    with pytest.raises(HTTPError) as caught:
        getattr(Request(**fields), reads)
    assert 400 == caught.value.status
    assert words in str(caught.value)


@pytest.mark.parametrize(("forwarded", "scheme"), [(None, "http"), ("https, http", "http"), ("http,HTTPS ", "https")])
def test_the_scheme_is_the_last_proxys(forwarded: str | None, scheme: str) -> None:
    headers = Headers({} if forwarded is None else {"x-forwarded-proto": forwarded})
    assert scheme == forwarded_scheme(headers, "http")


def test_a_stream_that_cannot_be_closed_is_logged_and_the_answer_goes_out(caplog: pytest.LogCaptureFixture) -> None:
    class Stubborn:
        def __iter__(self) -> Any:
            return self

        def __next__(self) -> bytes:
            return b"x"

        def close(self) -> None:
            raise OSError("broken pipe")

    response = finish(Response(200, {}, (), Stubborn()), fake.request("HEAD"))
    assert (200, ()) == (response.status, response.body)
    assert ["a stream that isn't sent can't be closed"] == [record.getMessage() for record in caplog.records]


@pytest.mark.parametrize("body", [b"ab", bytearray(b"ab"), memoryview(b"ab"), "ab"])
def test_a_body_and_a_streams_chunk_are_bytes_or_text(body: Any) -> None:
    assert b"ab" == Response(200, {}, (), body).body == chunk_bytes(body)


@pytest.mark.parametrize(("body", "name"), [(5, "int"), ({"a": 1}, "dict")])
def test_a_body_and_a_streams_chunk_of_something_else_name_it(body: Any, name: str) -> None:
    with pytest.raises(TypeError, match=name):
        Response(200, {}, (), body)
    with pytest.raises(EncodeError, match=name):
        chunk_bytes(body)


def test_background_work_that_fails_is_logged_and_the_rest_is_done(caplog: pytest.LogCaptureFixture) -> None:
    done: list[str] = []

    async def fails(error: BaseException) -> None:
        raise error

    async def works() -> None:
        done.append("done")

    context = fake.context()
    finish_alone(context, asyncio.run)
    for error in (LookupError("told to"), asyncio.CancelledError()):
        context.background(fails(error))
        context.background(works())
    finish_alone(context, asyncio.run)
    assert ["done", "done"] == done
    assert ["background work failed"] * 2 == [record.getMessage() for record in caplog.records]


@pytest.mark.parametrize(
    ("content_type", "charset"),
    [
        ("text/plain", "utf-8"),
        ("text/plain; charset=Latin-1", "latin-1"),
        ("text/plain; format=flowed; Charset = 'UTF-16'", "utf-16"),
        ('text/plain; charset=""', "utf-8"),
        ("text/plain; format=flowed", "utf-8"),
    ],
)
def test_the_charset_is_that_of_the_content_type(content_type: str, charset: str) -> None:
    assert charset == fake.request("POST", body=b"a", headers={"content-type": content_type}).charset


def test_a_body_in_an_unknown_charset_is_a_415() -> None:
    with pytest.raises(HTTPError, match="klingon") as caught:
        _ = fake.request("POST", body=b"a", headers={"content-type": "text/plain; charset=klingon"}).text
    assert 415 == caught.value.status


@pytest.mark.parametrize(
    ("query", "pairs"),
    [
        ("a=1&a=2&&b", [("a", "1"), ("a", "2"), ("b", "")]),
        ("a+b=c%20d&%C3%A9=+", [("a b", "c d"), ("é", " ")]),
        ("a=b=c", [("a", "b=c")]),
    ],
)
def test_a_query_is_decoded_in_order(query: str, pairs: list[tuple[str, str]]) -> None:
    assert tuple(pairs) == fake.request("GET", f"/?{query}").query.multi_items()


@pytest.mark.parametrize("body", [None, b""])
def test_no_body_is_an_empty_one(body: bytes | None) -> None:
    assert b"" == Response(204, {}, (), body).body
