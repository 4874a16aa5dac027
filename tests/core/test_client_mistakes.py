"""A value that a client left out, or sent with another type, is the client's mistake: a 4xx that names it."""

from __future__ import annotations

import enum
import logging
import pickle
import sys
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

import pydantic
import pytest

from portable_fn import ConfigurationError, HTTPError, Request, Response, Upload, cors, on, portable
from portable_fn.errors import MissingValue
from portable_fn.pairs import Headers, MultiDict, MutableHeaders
from portable_fn.providers import ADAPTERS
from portable_fn.testing import deliver, fake
from portable_fn.testing.results import Answer

HEADERS = {"content-type": "application/x-www-form-urlencoded", "cookie": "a=1"}


class State(enum.Enum):
    OPEN = "open"
    SEVEN = 7


def asked(read: Callable[[Request], object], query: str = "", provider: str = "aws", body: bytes = b"a=1") -> Answer:
    @portable(on.http("POST", "/items/{id}"))
    def handler(request: Request) -> object:
        return {"read": read(request)}

    return deliver(handler, fake.request("POST", f"/items/12?{query}", body=body, headers=HEADERS), to=provider)


MISSING: dict[str, Callable[[Request], object]] = {
    "query": lambda request: request.query["photo"],
    "form": lambda request: request.form["photo"],
    "cookie": lambda request: request.cookies["photo"],
    "header": lambda request: request.headers["photo"],
}


@pytest.mark.parametrize("provider", ADAPTERS)
@pytest.mark.parametrize("place", MISSING)
def test_a_value_that_the_client_left_out_is_a_422_that_names_it(place: str, provider: str) -> None:
    answer = asked(MISSING[place], provider=provider)
    assert (422, "application/problem+json") == (answer.status, answer.headers["content-type"])
    document = answer.json()
    assert "'photo' is missing" in document["detail"]
    assert [{"in": place, "pointer": "#/photo", "type": "missing", "detail": "is missing"}] == document["errors"]


@pytest.mark.parametrize("place", MISSING)
def test_a_missing_value_is_a_key_error_still(place: str) -> None:
    def read(request: Request) -> object:
        values = {"query": request.query, "form": request.form, "cookie": request.cookies, "header": request.headers}[
            place
        ]
        try:
            return values["photo"]
        except KeyError as exc:
            return [
                exc.args[0],
                values.get("photo"),
                values.get("photo", "none"),
                "photo" in values,
                dict(values) != {},
            ]

    assert ["photo", None, "none", False, True] == asked(read, "b=2").json()["read"]


def test_a_key_of_the_handlers_own_dict_or_of_json_is_a_500() -> None:
    own: dict[str, str] = {}
    assert 500 == asked(lambda request: own["sku"]).status
    assert 500 == asked(lambda request: request.params["nowhere"]).status
    assert 500 == asked(lambda request: Response().headers["x"]).status


def test_middleware_marks_it_and_may_catch_it() -> None:
    @portable(on.http("GET", "/"), use=[cors(["https://app.example"])])
    def search(request: Request) -> str:
        return request.query["q"]

    answer = deliver(search, fake.request("GET", "/", headers={"origin": "https://app.example"}))
    assert (422, "https://app.example") == (answer.status, answer.headers["access-control-allow-origin"])


def test_a_missing_value_can_be_pickled() -> None:
    with pytest.raises(MissingValue) as caught:
        Headers()["x-a"]
    error = pickle.loads(pickle.dumps(caught.value))
    assert (("x-a", "header"), 422, caught.value.extensions) == (error.args, error.status, error.extensions)


def test_a_name_is_escaped_in_its_pointer() -> None:
    with pytest.raises(MissingValue) as caught:
        MultiDict()["a/b~c"]
    assert "#/a~1b~0c" == caught.value.extensions["errors"][0]["pointer"]  # type: ignore[index]


def test_a_responses_headers_are_the_handlers_own() -> None:
    with pytest.raises(KeyError) as caught:
        MutableHeaders()["x-a"]
    assert not isinstance(caught.value, HTTPError)


# Typed values

READ: list[tuple[str, Callable[[Request], object], object]] = [
    ("limit=7", lambda r: r.query.get_int("limit"), 7),
    ("limit=-7", lambda r: r.query.get_int("limit", ge=-7), -7),
    ("limit=%2B7", lambda r: r.query.get_int("limit", le=7), 7),
    ("limit=7&limit=x", lambda r: r.query.get_int("limit", 20, ge=1, le=100), 7),
    ("", lambda r: r.query.get_int("limit", 20, ge=1, le=100), 20),
    ("limit=", lambda r: r.query.get_int("limit", 20), 20),
    ("", lambda r: r.query.get_int("limit", None), None),
    ("x=1.5e1", lambda r: r.query.get_float("x"), 15.0),
    ("x=-.5", lambda r: r.query.get_float("x", ge=-1, le=0), -0.5),
    ("", lambda r: r.query.get_float("x", 0.5), 0.5),
    ("all=TRUE", lambda r: r.query.get_bool("all"), True),
    ("all=0", lambda r: r.query.get_bool("all"), False),
    ("all=off", lambda r: r.query.get_bool("all", True), False),
    ("all", lambda r: r.query.get_bool("all", True), True),
    ("s=open", lambda r: r.query.get_enum("s", State).name, "OPEN"),
    ("s=7", lambda r: r.query.get_enum("s", State).name, "SEVEN"),
    ("s=name", lambda r: r.query.get_enum("s", ["name", "date"]), "name"),
    ("s=3", lambda r: r.query.get_enum("s", (1, 3)), 3),
    ("", lambda r: r.query.get_enum("s", ("name", "date"), "date"), "date"),
    ("d=2026-11-30", lambda r: r.query.get_as("d", date.fromisoformat).day, 30),
    ("", lambda r: r.query.get_as("d", date.fromisoformat, None), None),
    ("d=7.10", lambda r: str(r.query.get_as("d", Decimal)), "7.10"),
    ("d=1,2", lambda r: r.query.get_as("d", lambda text: text.split(",")), ["1", "2"]),
    ("", lambda r: r.form.get_int("a"), 1),
    ("", lambda r: r.cookies.get_int("a"), 1),
    ("", lambda r: r.params.get_int("id", ge=1), 12),
    ("", lambda r: r.headers.get_enum("Content-Type", ["application/x-www-form-urlencoded"])[:5], "appli"),
]  # fmt: skip


@pytest.mark.parametrize(("query", "read", "expected"), READ)
def test_a_value_is_read_as_its_type(query: str, read: Callable[[Request], object], expected: object) -> None:
    assert expected == asked(read, query).json()["read"]


UNREADABLE: list[tuple[str, Callable[[Request], object], str]] = [
    ("v=xyzzy", lambda r: r.query.get_int("v"), "must be a whole number"),
    ("v=1_0", lambda r: r.query.get_int("v"), "must be a whole number"),
    ("v=%20xyzzy1", lambda r: r.query.get_int("v"), "must be a whole number"),
    ("v=%D9%A1", lambda r: r.query.get_int("v"), "must be a whole number"),
    ("v=4711", lambda r: r.query.get_int("v", 20, ge=1, le=100), "must be a whole number from 1 to 100"),
    ("v=-4711", lambda r: r.query.get_int("v", ge=1), "must be a whole number of at least 1"),
    ("v=4711", lambda r: r.query.get_int("v", le=1), "must be a whole number of at most 1"),
    ("v=" + "9" * 5000, lambda r: r.query.get_int("v"), "must be a whole number"),
    ("v=4711.5", lambda r: r.query.get_int("v"), "must be a whole number"),
    ("v=nan", lambda r: r.query.get_float("v"), "must be a number"),
    ("v=inf", lambda r: r.query.get_float("v"), "must be a number"),
    ("v=1e999", lambda r: r.query.get_float("v", le=5), "must be a number of at most 5"),
    ("v=xyzzy", lambda r: r.query.get_bool("v", False), "must be true or false"),
    ("v=xyzzy", lambda r: r.query.get_enum("v", State), "must be one of open, 7"),
    ("v=xyzzy", lambda r: r.query.get_enum("v", ("name", "date"), "name"), "must be one of name, date"),
    ("v=xyzzy", lambda r: r.query.get_as("v", UUID), "must be a UUID"),
    ("v=xyzzy", lambda r: r.query.get_as("v", Decimal), "must be a Decimal"),
    ("v=xyzzy", lambda r: r.query.get_as("v", date.fromisoformat), "must be a date"),
    ("v=xyzzy", lambda r: r.query.get_as("v", lambda text: {}[text]), "is not valid"),
    ("v=xyzzy", lambda r: r.query.get_int("w"), "is missing"),
    ("w=", lambda r: r.query.get_as("w", str), "is missing"),
]  # fmt: skip


@pytest.mark.parametrize(("query", "read", "detail"), UNREADABLE)
def test_a_value_of_another_type_is_a_422_that_names_it_and_shows_no_value(
    query: str, read: Callable[[Request], object], detail: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    answer = asked(read, query)
    document = answer.json()
    assert (422, detail) == (answer.status, document["errors"][0]["detail"])
    assert document["errors"][0]["pointer"] in ("#/v", "#/w")
    for value in ("xyzzy", "4711", "999"):
        assert value not in answer.text + caplog.text


def test_a_path_parameter_of_another_type_is_a_422() -> None:
    @portable(on.http("GET", "/items/{id}"))
    def read(request: Request) -> int:
        return request.params.get_int("id")

    document = deliver(read, fake.request("GET", "/items/abc")).json()
    assert (422, "path") == (document["status"], document["errors"][0]["in"])


def test_path_parameters_are_a_dict() -> None:
    request = fake.request("GET", "/", params={"id": "1"})
    request.params["more"] = "2"
    assert {"id": "1", "more": "2"} == request.params
    request.params = {"id": "3"}
    assert 3 == request.params.get_int("id")


def test_an_upload_cannot_be_read_as_a_number() -> None:
    form: MultiDict[Any] = MultiDict([("photo", Upload("a.png", "image/png", Headers(), b"7"))], "form")
    with pytest.raises(HTTPError, match="form field 'photo'"):
        form.get_int("photo", 1)


# Multipart without its parser

MULTIPART = {"content-type": "multipart/form-data; boundary=b"}
PART = b'--b\r\nContent-Disposition: form-data; name="sku"\r\n\r\na-secret\r\n--b--\r\n'


class Item(pydantic.BaseModel):
    sku: str


@portable(on.http("POST", "/"))
def create(request: Request[Item]) -> str:
    return request.data.sku


@portable(on.http("POST", "/"))
def take(request: Request) -> Any:
    return request.data


@portable(on.http("POST", "/"))
def upload(request: Request) -> Any:
    return request.form["sku"]


@pytest.mark.parametrize("handler", [create, take])
def test_multipart_without_its_parser_is_a_415_and_the_log_names_the_extra(
    handler: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "multipart", None)
    answer = deliver(handler, fake.request("POST", "/", body=PART, headers=MULTIPART))
    assert (415, "application/json, application/x-www-form-urlencoded") == (answer.status, answer.headers["accept"])
    assert "pip install 'portable-fn[forms]'" in caplog.text
    assert "Traceback" not in caplog.text


def test_a_handler_of_forms_without_the_parser_is_a_500_whose_log_names_the_extra(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "multipart", None)
    answer = deliver(upload, fake.request("POST", "/", body=PART, headers=MULTIPART))
    assert 500 == answer.status
    assert "multipart forms need a parser: pip install 'portable-fn[forms]'" in caplog.text
    assert "Traceback" not in caplog.text
    with pytest.raises(ConfigurationError, match="portable-fn"):
        upload(fake.request("POST", "/", body=PART, headers=MULTIPART))
