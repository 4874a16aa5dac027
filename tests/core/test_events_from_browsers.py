"""No web page can make a visitor's browser send events, tasks or jobs; every pipeline asks for a sidecar's token."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import logging
from typing import Any

import pytest
from flask import Request as FlaskRequest
from starlette.requests import Request as StarletteRequest

from portable_fn import CloudEvent, HTTPError, Message, Request, ScheduleEvent, Task, on, portable
from portable_fn_asgi import entry as asgi_entry
from portable_fn_gcp import entry as gcp_entry

called: list[str] = []


@pytest.fixture(autouse=True)
def forget() -> None:
    called.clear()


@portable(on.task("double"))
def double(task: Task) -> None:
    called.append("double")


@portable(on.topic("orders"))
def ship(order: Message) -> None:
    called.append("ship")


@portable(on.schedule("0 3 * * *", name="nightly"))
def nightly(tick: ScheduleEvent) -> None:
    called.append("nightly")


@portable(on.event("order.paid"))
def paid(event: CloudEvent) -> None:
    called.append("paid")


@portable(on.http("POST", "/orders/new"))
def new(request: Request) -> str:
    called.append("new")
    return request.content_type


FUNCTIONS = (double, ship, nightly, paid, new)
EVENT = {"specversion": "1.0", "id": "1", "source": "shop", "type": "order.paid", "data": {}}
MESSAGE = {**EVENT, "type": "com.dapr.event.sent", "topic": "orders", "pubsubname": "pubsub"}
BULK = {"pubsubname": "pubsub", "topic": "orders", "entries": [{"entryId": "1", "event": MESSAGE}]}
CLOUD_EVENTS = "application/cloudevents+json"

# Each sender's POST: path, body, content type, further headers, and the called function.
ROADS = {
    "a task": ("/double", {}, "application/json", {}, "double"),
    "the only task": ("/", {}, "application/json", {}, "double"),
    "a task with a charset": ("/double", {}, "application/json; charset=utf-8", {}, "double"),
    "a task of another type of JSON": ("/double", {}, "application/vnd.shop+json", {}, "double"),
    "a task in capitals": ("/double", {}, "Application/JSON", {}, "double"),
    "Dapr's message": ("/portable_fn/orders", MESSAGE, CLOUD_EVENTS, {}, "ship"),
    "Dapr's bulk": ("/portable_fn/orders", BULK, "application/json", {}, "ship"),
    "Dapr's bulk by its own route": ("/route", BULK, "application/json", {}, "ship"),
    "Dapr's binding": ("/orders", {}, "application/json", {"id": "1"}, "ship"),
    "Dapr's cron binding": (
        "/nightly",
        None,
        "application/json",
        {"readtimeutc": "2026-01-02 03:00:00 +0000 UTC"},
        "nightly",
    ),
    "Dapr's job": ("/job/nightly", {}, "application/json", {}, "nightly"),
    "Dapr's job without data": ("/job/nightly", None, "application/json", {}, "nightly"),
    "a CloudEvent": ("/", EVENT, CLOUD_EVENTS, {}, "paid"),
    "a batch of CloudEvents": ("/", [EVENT], "application/cloudevents-batch+json", {}, "paid"),
    "a CloudEvent in headers": (
        "/",
        "plain text",
        "text/plain",
        {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "shop", "ce-type": "order.paid"},
        "paid",
    ),
}
# Everything that a page may send to another site without a preflight.
OF_PAGES = [
    "text/plain",
    "text/plain; application/json",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    None,
]


def hit(
    application: Any,
    path: str,
    body: Any,
    content_type: str | None,
    headers: dict[str, str] | None = None,
    method: str = "POST",
) -> tuple[int, dict[str, str], bytes]:
    """Return the status, headers and body of the answer."""
    sent = b"" if body is None else body.encode() if isinstance(body, str) else json.dumps(body).encode()
    given = {**(headers or {}), **({} if content_type is None else {"content-type": content_type})}
    out: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": sent, "more_body": False}

    async def send(message: Any) -> None:
        out.append(message)

    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in {"host": "shop.test", **given}.items()],
        "scheme": "http",
    }
    asyncio.run(application(scope, receive, send))
    answered = {name.decode(): value.decode() for name, value in out[0]["headers"]}
    return out[0]["status"], answered, b"".join(message.get("body", b"") for message in out[1:])


@pytest.mark.parametrize("road", ROADS, ids=str)
def test_a_senders_event_is_accepted(road: str) -> None:
    path, body, content_type, headers, who = ROADS[road]
    status, _, answer = hit(asgi_entry(*FUNCTIONS), path, body, content_type, headers)
    assert (status in (200, 202), [who]) == (True, called), answer


@pytest.mark.parametrize("content_type", OF_PAGES, ids=str)
@pytest.mark.parametrize("road", [road for road in ROADS if road != "a CloudEvent in headers"], ids=str)
def test_no_pipeline_accepts_a_content_type_that_a_page_can_send(
    road: str, content_type: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    path, body, _, headers, _ = ROADS[road]
    status, answered, _ = hit(asgi_entry(*FUNCTIONS), path, body, content_type, headers)
    assert [] == called
    # Only its content type says that it is Dapr's, so nothing answers the path.
    is_nothing = road == "Dapr's bulk by its own route"
    assert status == (404 if is_nothing else 415)
    if not is_nothing:
        assert "application/json" == answered["accept"]
        assert "an event is refused: The content type is" in caplog.text


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "https://evil.test"},
        {"origin": "null"},
        {"origin": "http://shop.test.evil.test"},
        {"origin": "http://shop.test:8000"},
        {"sec-fetch-site": "cross-site", "origin": "http://shop.test"},
    ],
    ids=str,
)
@pytest.mark.parametrize("road", ROADS, ids=str)
def test_a_browsers_request_for_another_site_is_refused_whatever_its_content_type(
    road: str, headers: dict[str, str]
) -> None:
    path, body, content_type, more, _ = ROADS[road]
    status, _, _ = hit(asgi_entry(*FUNCTIONS), path, body, content_type, {**more, **headers})
    assert (403, []) == (status, called)


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "same-origin"},
        {"sec-fetch-site": "none"},
        {"origin": "http://shop.test"},
        {"origin": "http://SHOP.test"},
    ],
    ids=str,
)
def test_a_page_of_the_servers_own_may_call_a_task(headers: dict[str, str]) -> None:
    status, _, _ = hit(asgi_entry(*FUNCTIONS), "/double", {}, "application/json", headers)
    assert (200, ["double"]) == (status, called)


def test_a_call_with_a_token_needs_no_content_type_for_an_empty_body(monkeypatch: pytest.MonkeyPatch) -> None:
    application = asgi_entry(*FUNCTIONS)
    assert 200 == hit(application, "/double", None, None, {"authorization": "Bearer x"})[0]
    assert 415 == hit(application, "/double", None, None, {"authorization": "Basic x"})[0]
    assert 415 == hit(application, "/double", {}, "text/plain", {"authorization": "Bearer x"})[0]
    monkeypatch.setenv("APP_API_TOKEN", "right")
    assert 200 == hit(application, "/double", None, None, {"dapr-api-token": "right"})[0]
    assert 401 == hit(application, "/double", None, None, {"dapr-api-token": "wrong"})[0]
    assert ["double", "double"] == called


def test_a_functions_own_path_accepts_any_request() -> None:
    application = asgi_entry(*FUNCTIONS)
    status, _, body = hit(application, "/orders/new", "x", "text/plain", {"origin": "https://evil.test"})
    assert (200, b"text/plain", ["new"]) == (status, body, called)


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/dapr/subscribe"), ("OPTIONS", "/orders"), ("OPTIONS", "/nightly")], ids=str
)
def test_daprs_own_requests_need_the_token_too(method: str, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    application = asgi_entry(*FUNCTIONS)
    assert 200 == hit(application, path, None, None, method=method)[0]
    monkeypatch.setenv("APP_API_TOKEN", "right")
    for headers in ({}, {"dapr-api-token": ""}, {"dapr-api-token": "wrong"}, {"dapr-api-token": "right, right"}):
        status, _, body = hit(application, path, None, None, headers, method=method)
        assert 401 == status
        assert b"pubsub" not in body
    assert 200 == hit(application, path, None, None, {"dapr-api-token": "right"}, method=method)[0]


@pytest.mark.parametrize("road", ROADS, ids=str)
def test_every_road_needs_the_token(road: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_API_TOKEN", "right")
    path, body, content_type, headers, who = ROADS[road]
    application = asgi_entry(*FUNCTIONS)
    assert 401 == hit(application, path, body, content_type, headers)[0]
    assert 401 == hit(application, path, body, content_type, {**headers, "dapr-api-token": "wrong"})[0]
    assert [] == called
    hit(application, path, body, content_type, {**headers, "dapr-api-token": "right"})
    assert [who] == called


# --- Google ---------------------------------------------------------------------------------------------------------------


def google(body: Any, content_type: str | None, headers: dict[str, str] | None = None, path: str = "/double") -> Any:
    """Return Flask's request."""
    sent = b"" if body is None else json.dumps(body).encode()
    environ = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "CONTENT_LENGTH": str(len(sent)),
        "wsgi.input": io.BytesIO(sent),
        "wsgi.url_scheme": "https",
        "SERVER_NAME": "shop.test",
        "SERVER_PORT": "443",
        "HTTP_HOST": "shop.test",
        **{f"HTTP_{name.upper().replace('-', '_')}": value for name, value in (headers or {}).items()},
    }
    return FlaskRequest(environ if content_type is None else {**environ, "CONTENT_TYPE": content_type})


async def google_async(
    application: Any, body: Any, content_type: str | None, headers: dict[str, str] | None = None
) -> int:
    """Return the status of the answer under Starlette."""
    sent = b"" if body is None else json.dumps(body).encode()
    given = {"host": "shop.test", **(headers or {}), **({} if content_type is None else {"content-type": content_type})}
    given["content-length"] = str(len(sent))
    out: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": sent, "more_body": False}

    async def send(message: Any) -> None:
        out.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/double",
        "raw_path": b"/double",
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in given.items()],
        "scheme": "https",
        "client": ("203.0.113.7", 1),
        "server": ("shop.test", 443),
    }
    await application(StarletteRequest(scope, receive))(scope, receive, send)
    status: int = out[0]["status"]
    return status


@pytest.mark.parametrize("content_type", OF_PAGES, ids=str)
def test_a_task_on_google_is_json(content_type: str | None, caplog: pytest.LogCaptureFixture) -> None:
    application = gcp_entry(double, ship, nightly, paid)
    assert 415 == application(google({}, content_type)).status_code
    assert 415 == asyncio.run(google_async(application, {}, content_type))
    assert [] == called
    assert 2 == caplog.text.count("is refused: The content type is")
    for headers in ({}, {"origin": "https://shop.test"}):
        assert 200 == application(google({}, "application/json", headers)).status_code
        assert 200 == asyncio.run(google_async(application, {}, "application/json", headers))
    assert 200 == application(google(None, None, {"authorization": "Bearer x"})).status_code
    assert ["double"] * 5 == called


PUSH = {
    "message": {"messageId": "1", "data": base64.b64encode(b"{}").decode()},
    "subscription": "projects/p/subscriptions/orders",
}


@pytest.mark.parametrize(
    ("body", "content_type", "headers"),
    [
        ({}, "application/json", {}),
        (PUSH, "application/json", {}),
        # A page can omit the content type.
        (PUSH, None, {}),
        (EVENT, CLOUD_EVENTS, {}),
        (
            {},
            "application/json",
            {
                "x-cloudscheduler": "true",
                "x-cloudscheduler-jobname": "nightly",
                "x-cloudscheduler-scheduletime": "2026-01-02T03:00:00Z",
            },
        ),
        ({}, "application/json", {"x-cloudtasks-queuename": "orders", "x-cloudtasks-taskname": "1"}),
    ],
)
def test_a_browsers_request_to_google_for_another_site_is_refused(
    body: Any, content_type: str | None, headers: dict[str, str]
) -> None:
    application = gcp_entry(double, ship, nightly, paid)
    for of_a_page in ({"origin": "https://evil.test"}, {"origin": "null"}, {"sec-fetch-site": "cross-site"}):
        assert 403 == application(google(body, content_type, {**headers, **of_a_page})).status_code
        assert 403 == asyncio.run(google_async(application, body, content_type, {**headers, **of_a_page}))
    assert [] == called
    assert application(google(body, content_type, headers)).status_code in (200, 204)
    assert 1 == len(called)


def test_a_function_on_google_for_a_pages_requests_gets_them() -> None:
    application = gcp_entry(double, new)
    answer = application(google({}, "text/plain", {"origin": "https://evil.test"}, "/orders/new"))
    assert (200, b"text/plain") == (answer.status_code, answer.get_data())


def test_a_refusal_repeats_nothing_of_the_request(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        _, _, body = hit(asgi_entry(double), "/double", {"secret": "hunter2"}, "text/plain")
    assert b"hunter2" not in body
    assert "hunter2" not in caplog.text


def test_an_event_that_functions_framework_has_converted_is_refused_too_if_a_browser_sent_it_for_another_site() -> None:
    from flask import Flask

    class Event:
        def get_attributes(self) -> dict[str, Any]:
            return {name: value for name, value in EVENT.items() if name != "data"}

        def get_data(self) -> Any:
            return {}

    target, application = gcp_entry(paid), Flask("main")
    for headers in ({"origin": "https://evil.test"}, {"sec-fetch-site": "cross-site"}):
        with application.test_request_context("/", headers=headers), pytest.raises(HTTPError, match="403"):
            target(Event())
    assert [] == called
    with application.test_request_context("/"):
        target(Event())
    assert ["paid"] == called
