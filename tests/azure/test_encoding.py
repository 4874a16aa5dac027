"""Encode responses and outcomes."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from portable_fn import (
    Reject,
    Response,
    Retry,
)
from portable_fn.errors import EncodeError
from portable_fn.outcomes import DONE, Done
from portable_fn_azure import encode
from portable_fn_azure.events import encode as encode_events
from portable_fn_azure.simulate import answer
from tests.azure.payloads import AT


def cookies_of(*lines: str) -> list[str]:
    return answer(encode.http(Response(200, [("set-cookie", line) for line in lines])), "GET").cookies


@pytest.mark.parametrize(
    ("lines", "sent"),
    [
        (["a=x=y", "b=2; path=/c=d"], ["a=x=y", "b=2; path=/c=d"]),
        (["a=1; Secure", "b=2; Secure"], ["a=1; Secure", "b=2; path=; Secure"]),
        (["a=1; path=/; Domain=a.example", "a=x=y; path=/; Domain=b.example"], None),
        (["a=1; path=/; Domain=A.example", "a=x=y; path=/; domain=a.example"], ["a=x=y; path=/; domain=a.example"]),
        (["a=1; path=/; Secure", "a=x=y; path=/; HttpOnly"], ["a=x=y; path=/; HttpOnly"]),
    ],
)
def test_a_later_cookie_of_the_same_name_path_and_domain_replaces_an_earlier_one(
    lines: list[str], sent: list[str] | None
) -> None:
    assert sorted(lines if sent is None else sent) == sorted(cookies_of(*lines))


@pytest.fixture
def untold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encode, "_warned", set())


@pytest.mark.usefixtures("untold")
def test_a_value_that_is_not_ascii_is_percent_encoded_with_a_warning_that_names_the_header(
    caplog: pytest.LogCaptureFixture,
) -> None:
    encoded = encode.http(Response(200, [("x-a", "Zoë %~"), ("set-cookie", "a=Zoë")]))
    assert "Zo%C3%AB %~" == encoded.headers["x-a"]
    assert ["a=Zo%C3%AB"] == answer(encoded, "GET").cookies
    assert [
        ("portable_fn", logging.WARNING, "the value of the header x-a"),
        ("portable_fn", logging.WARNING, "the value of the header set-cookie"),
    ] == [(record.name, record.levelno, record.getMessage().partition(" isn't ")[0]) for record in caplog.records]
    assert "Zo" not in caplog.text


@pytest.mark.parametrize(
    ("content_type", "mimetype"),
    [("text/html", "text/html"), ("text/html; charset=utf-8; x=y", "text/html"), (None, "")],
)
def test_the_mimetype_is_the_content_type_without_its_parameters(content_type: str | None, mimetype: str) -> None:
    headers = [] if content_type is None else [("content-type", content_type)]
    encoded = encode.http(Response(200, headers, body=b"x"))
    assert (mimetype, content_type) == (encoded.mimetype, encoded.headers.get("content-type"))


def test_the_headers_of_an_answer_can_be_read_and_popped() -> None:
    headers: Any = encode.http(Response(200, [("x-a", "1"), ("x-b", "2"), ("set-cookie", "a=1")])).headers
    assert ["1"] == headers.get_all("x-a") == headers.getlist("x-a")
    assert ("x-b" in headers, "x-c" in headers, "Set-Cookie" in headers) == (True, False, False)
    assert ("2", "none") == (headers.pop("x-b", "none"), headers.pop("x-b", "none"))


class Stop(BaseException):
    pass


def caused(outcome: Any, cause: BaseException) -> Any:
    outcome.error = cause
    return outcome


FIRST = KeyError("first")


RETRY, STOPPED, STREAM, ENDED = Retry("later"), Retry(), Retry(), Retry()


REJECT = Reject("never")


@pytest.mark.parametrize(
    ("outcomes", "raised"),
    [
        ([], None),
        ([DONE, Reject("no")], None),
        ([DONE, caused(Retry(), FIRST), caused(Retry(), KeyError("second"))], FIRST),
        ([RETRY], RETRY),
        ([caused(STOPPED, StopIteration())], STOPPED),
        ([caused(STREAM, StopAsyncIteration())], STREAM),
        ([caused(ENDED, Stop())], ENDED),
    ],
)
def test_the_error_of_the_first_event_to_retry_is_raised(outcomes: list[Any], raised: Any) -> None:
    got = None
    try:
        encode_events.acknowledge(outcomes)
    except Exception as exc:
        got = exc
    assert raised is got


def test_an_activity_returns_plain_values_or_raises_the_handlers_error() -> None:
    assert {"at": "2026-01-02T03:04:05.600000+00:00"} == encode_events.task_result(Done({"at": AT}))
    assert encode_events.task_result(DONE) is None
    with pytest.raises(Reject) as rejected:
        encode_events.task_result(REJECT)
    assert REJECT is rejected.value
    with pytest.raises(EncodeError, match="a task must return a JSON value, not a object"):
        encode_events.task_result(Done(object()))
