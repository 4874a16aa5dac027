"""Test the fields of requests, and the exact answers."""

from __future__ import annotations

import json
from io import BytesIO
from typing import Any

import pytest
from flask import Request as FlaskRequest
from starlette.requests import Request as StarletteRequest

from portable_fn import (
    CloudEvent,
    DecodeError,
    HTTPError,
    Message,
    Reject,
    Request,
    Response,
    Retry,
    Task,
    portable,
)
from portable_fn.pairs import Headers
from portable_fn.testing import fake
from portable_fn.testing.results import Answer
from portable_fn_gcp import decode, encode, entry
from tests.gcp.helpers import answer_of
from tests.gcp.payloads import (
    headed,
    posted,
    push,
)

# Requests

LINES = {
    "content-type": "text/plain",
    "content-length": "2",
    "x-forwarded-for": "6.6.6.6, 203.0.113.9",
    "x-forwarded-proto": "https",
    "function-execution-id": "e-1",
    "x-a-b": "Zoë",
}
TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"


def flask(**environ: Any) -> Request[Any]:
    """Decode a request with a minimal environ and these variables."""
    native: Any = FlaskRequest({"REQUEST_METHOD": "PUT", "wsgi.input": BytesIO(), **environ})
    return decode.http(native)


def test_each_field_of_flasks_request_has_its_place() -> None:
    cgi = {f"HTTP_{name.upper().replace('-', '_')}": value.encode().decode("latin-1") for name, value in LINES.items()}
    for name in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        cgi[name] = cgi.pop(f"HTTP_{name}")
    target = {"RAW_URI": "/a%2Fb?x=%C3%A9?y", "PATH_INFO": "/other", "QUERY_STRING": "x=é?y".encode().decode("latin-1")}
    request = flask(**target, **cgi, **{"wsgi.url_scheme": "http"})
    assert ("PUT", "/a%2Fb", "x=%C3%A9?y", LINES, "https", "203.0.113.9", "e-1") == fields(request)
    assert isinstance(request.native, FlaskRequest)


def fields(request: Request[Any]) -> tuple[Any, ...]:
    return (
        request.method,
        request.raw_path,
        request.raw_query,
        dict(request.headers),
        request.scheme,
        request.client_ip,
        request.id,
    )


def test_flasks_request_needs_only_a_method_and_a_path() -> None:
    request = flask(PATH_INFO="/é a".encode().decode("latin-1"), CONTENT_TYPE="", CONTENT_LENGTH="")
    assert ("PUT", "/%C3%A9%20a", "", {}, "http", None) == fields(request)[:-1]
    assert "https" == flask(PATH_INFO="/", **{"wsgi.url_scheme": "https"}).scheme


def test_each_field_of_starlettes_request_has_its_place() -> None:
    scope = {
        "type": "http",
        "method": "PUT",
        "path": "/other",
        "raw_path": b"/a%2Fb",
        "query_string": "x=é".encode(),
        "headers": [(name.encode(), value.encode()) for name, value in LINES.items()],
        "scheme": "http",
    }
    native: Any = StarletteRequest(scope)
    request = decode.http_async(native)
    assert ("PUT", "/a%2Fb", "x=%C3%A9", LINES, "https", "203.0.113.9", "e-1") == fields(request)
    assert isinstance(request.native, StarletteRequest)
    native = StarletteRequest({**scope, "headers": [], "scheme": "https"})
    assert ("https", None) == fields(decode.http_async(native))[4:6]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (f" {TRACE_ID.upper()}/1; o=1 ", f"00-{TRACE_ID}-0000000000000001-01"),
        (f"{TRACE_ID}/1;o=1;x", f"00-{TRACE_ID}-0000000000000001-00"),
        (f"{TRACE_ID}/1;O=1", f"00-{TRACE_ID}-0000000000000001-00"),
        (f"{TRACE_ID}/;o=1", None),
        (f"{TRACE_ID}/-1;o=1", None),
    ],
)
def test_googles_trace_header_is_parsed_leniently_but_not_guessed(value: str, expected: str | None) -> None:
    trace = decode.trace(Headers({"x-cloud-trace-context": value}))
    assert expected == (trace and trace.traceparent)
    assert decode.trace(Headers()) is None


# Answers


def answered(request: Request[Any], kind: Any, result: Any = None) -> Answer:
    """Return the answer of a function of the kind that returns the result, or raises it."""

    def handler(event: Any) -> Any:
        if isinstance(result, BaseException):
            raise result
        return result

    handler.__annotations__ = {"event": kind}
    return answer_of(entry(portable(handler)), request)


def read(answer: Answer) -> tuple[int, str, str, Any]:
    headers = answer.headers
    return answer.status, headers.get("content-type", ""), headers.get("retry-after", ""), json.loads(answer.body)


@pytest.mark.parametrize(
    ("raised", "status", "title", "after"),
    [
        (ValueError("secret"), 503, "Service Unavailable", ""),
        (Retry("secret"), 503, "Service Unavailable", ""),
        (Reject("secret"), 503, "Service Unavailable", ""),
        (Retry("secret", after=0), 429, "Too Many Requests", "0"),
        (Retry("secret", after=1.1), 429, "Too Many Requests", "2"),
    ],
)
def test_a_retried_event_is_answered_with_a_problem_document(
    raised: BaseException, status: int, title: str, after: str
) -> None:
    expected = {
        "type": "about:blank",
        "title": title,
        "status": status,
        "detail": "The event must be redelivered; the function's log has the reason under the invocation id.",
        "invocation_id": "request-1",
    }
    answer = answered(push({"messageId": "7"}), Message, raised)
    assert (status, "application/problem+json", after, expected) == read(answer)


def test_a_batch_waits_for_the_longest_delay_of_its_events() -> None:
    @portable
    def handler(event: CloudEvent) -> None:
        raise Retry(after=event.data)

    values = [
        {"specversion": "1.0", "id": str(after), "source": "s", "type": "t", "data": after}
        for after in (5, 30, None, 7)
    ]
    request = headed({"content-type": "application/cloudevents-batch+json"}, json.dumps(values).encode())
    answer = answer_of(entry(handler), request)
    assert (429, "30") == (answer.status, answer.headers["retry-after"])


def test_an_acknowledged_event_has_an_empty_answer() -> None:
    answer = answered(push({"messageId": "7"}), Message, {"ignored": 1})
    assert (204, b"") == (answer.status, answer.body)


def test_the_answer_says_why_an_event_is_unreadable() -> None:
    status, content_type, _, document = read(answered(push({"messageId": 7}), Message))
    assert (400, "application/problem+json", "request-1") == (status, content_type, document["invocation_id"])
    assert "a Pub/Sub message's messageId must be a string, not int" == document["detail"]


HIDDEN = "The function failed; its log has the reason under the invocation id."


class OutOfStock(Exception):
    """An application's error."""


@pytest.mark.parametrize(
    ("result", "status", "after", "type", "message"),
    [
        (OutOfStock("no lamps"), 500, "", "InternalServerError", HIDDEN),
        (Retry("busy"), 503, "", "Retry", "busy"),
        (Retry("busy", after=3), 429, "3", "Retry", "busy"),
        (Reject("never"), 422, "", "Reject", "never"),
        (DecodeError("odd"), 400, "", "DecodeError", "odd"),
        (HTTPError(404, "gone"), 404, "", "HTTPError", "gone"),
        (HTTPError(503, headers={"retry-after": "7"}), 503, "7", "HTTPError", "Service Unavailable"),
    ],
)
def test_a_failed_call_is_answered_with_the_error(
    result: BaseException, status: int, after: str, type: str, message: str
) -> None:
    answer = answered(fake.request("POST", json={}), Task, result)
    expected: dict[str, Any] = {"error": {"type": type, "message": message}}
    if message is HIDDEN:
        expected["invocation_id"] = "request-1"
    assert (status, "application/json", after, expected) == read(answer)
    # The same rows would fail again, unless the error is temporary.
    status = 400 if status == 422 else status
    answer = answered(fake.request("POST", json={"requestId": "r", "calls": [[1]]}), Task, result)
    message = message.replace("id.", "id request-1.")
    assert (status, "application/json", after, {"errorMessage": f"{type}: {message}"}) == read(answer)


def test_the_answer_says_why_a_call_is_unreadable() -> None:
    answer = answered(fake.request("POST", body=b"{", headers={"content-type": "application/json"}), Task)
    status, content_type, _, document = read(answer)
    assert (400, "application/json", "DecodeError") == (status, content_type, document["error"]["type"])
    assert "the input of task '' isn't JSON" in document["error"]["message"]
    answer = answered(posted({"requestId": "", "calls": []}), Task)
    status, content_type, _, document = read(answer)
    assert (400, "application/json") == (status, content_type)
    assert "DecodeError: a BigQuery remote function's requestId" in document["errorMessage"]


def test_a_response_keeps_the_handlers_header_lines() -> None:
    response = Response(
        201, [("x-a", "1"), ("x-a", "Zoë"), ("transfer-encoding", "chunked"), ("content-length", "2")], (), b"hi"
    )
    answer = encode.http(response, None)
    lines = [("x-a", "1"), ("x-a", "Zoë".encode().decode("latin-1")), ("content-length", "2")]
    assert (201, lines, b"hi") == (answer.status_code, list(answer.headers), answer.get_data())
    answer = encode.http(Response(200, body=[b"as the handler made it"]), iter([b"a", b"b"]))
    assert ([], [b"a", b"b"]) == (list(answer.headers), list(answer.iter_encoded()))
