"""Cookies and headers of responses."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from portable_fn import Cookie, Request, Response, on, portable
from portable_fn_azure import encode
from portable_fn_azure.simulate import answer
from tests.azure.http_app import FULL, received


def answering(response: Response) -> Any:
    @portable(on.http())
    def handler(request: Request) -> Response:
        return response

    return handler


@pytest.mark.parametrize(
    "lines",
    [
        ["a=x=y"],
        [FULL],
        ["a=x=y", "b=2; path=/"],
        ["b=2; path=/; Secure", "a=x/y", "c=3; path=/c; Priority=High"],
        ["__Host-a=1; path=/; Secure", "__Host-b=2; path=/; Secure"],
        ["path=1; path=/", "b=2; path=/"],
        ["a=1", "b=2; path=/"],
    ],
)
def test_cookies_are_sent_unchanged(lines: list[str]) -> None:
    response = Response(200, [("set-cookie", line) for line in lines])
    assert sorted(received(answering(response)).cookies) == sorted(lines)


def test_every_attribute_of_every_cookie_is_sent() -> None:
    lines = received(
        answering(Response(200, [("set-cookie", line) for line in (FULL, FULL.replace("f=", "g="))]))
    ).cookies
    assert [sorted(line.lower().split("; ")) for line in lines] == [
        sorted(FULL.lower().split("; ")), sorted(FULL.lower().replace("f=", "g=").split("; ")),
    ]  # fmt: skip


def test_a_cookie_that_is_set_and_deleted_is_sent_in_that_order() -> None:
    cookies = [Cookie.expired("s"), Cookie("s", "a=b"), Cookie("t", "1")]
    assert received(answering(Response(200, (), cookies))).cookies == ["s=a=b; Path=/", "t=1; path=/"]
    cookies = [Cookie("s", "a=b"), Cookie.expired("s")]
    assert [line.partition(";")[0] for line in received(answering(Response(200, (), cookies))).cookies] == [
        "s=a=b",
        "s=",
    ]
    cookies = [Cookie("s", "1", path="/p"), Cookie("s", "a=b")]
    assert len(received(answering(Response(200, (), cookies))).cookies) == 2


def test_two_cookies_that_the_host_would_change_are_an_error_with_a_remedy(
    caplog: pytest.LogCaptureFixture,
) -> None:
    cookies = [Cookie("session", "se=cret"), Cookie("csrf", "to:ken"), Cookie("c", "1")]
    got = received(answering(Response(200, (), cookies)))
    assert (got.status, got.headers["content-type"], got.cookies) == (500, "application/problem+json", [])
    assert "one response can't set the cookies session, csrf" in caplog.text
    assert "urllib.parse.quote" in caplog.text
    assert "streaming=True" in caplog.text
    assert "se=cret" not in caplog.text
    assert "to:ken" not in caplog.text


def test_a_response_can_be_sent_twice() -> None:
    response = Response(200, (), [Cookie("a", "1"), Cookie("b", "2")])
    assert [len(answer(encode.http(response), "GET").cookies) for _ in range(2)] == [2, 2]
    encoded = encode.http(response)
    assert answer(encoded, "GET") == answer(encoded, "GET")


def test_a_header_that_is_not_ascii_is_sent_percent_encoded_with_one_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    handler = answering(Response(200, [("x-greeting", "Grüße, 100%"), ("x-greeting", "b")]))
    with caplog.at_level(logging.WARNING, "portable_fn"):
        assert received(handler).headers["x-greeting"] == "Gr%C3%BC%C3%9Fe, 100%, b"
        received(handler)
    assert [record.getMessage().split(";")[0] for record in caplog.records] == [
        "the value of the header x-greeting isn't ASCII"
    ]
    streamed = encode.streaming(Response(200, [("x-greeting", "Grüße"), ("x-greeting", "b"), ("x-plain", "c")]))
    assert streamed.headers.multi_items() == (("x-plain", "c"), ("x-greeting", "Gr%C3%BC%C3%9Fe"), ("x-greeting", "b"))


def test_the_mimetype_comes_from_the_handler() -> None:
    encoded = encode.http(Response.html("<p>"))
    assert (encoded.mimetype, encoded.headers["Content-Type"], encoded.get_body()) == (
        "text/html",
        "text/html; charset=utf-8",
        b"<p>",
    )
    assert encode.http(Response(200, (), (), b"x")).mimetype == ""
