"""Events on Google: what is recognised, who gets it, how it is answered, and that nothing is lost on the way."""

from __future__ import annotations

import asyncio
import base64
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portable_fn import (
    Batch,
    ChangeEvent,
    CloudEvent,
    ConfigurationError,
    Context,
    DecodeError,
    Event,
    HTTPError,
    Message,
    ObjectEvent,
    Reject,
    Request,
    Retry,
    ScheduleEvent,
    Task,
    on,
    portable,
)
from portable_fn.adapter import dead_letter
from portable_fn.adapter.cloudevents import write_time
from portable_fn.testing import deliver, fake
from portable_fn.testing.results import Answer
from portable_fn_gcp import entry, simulate
from portable_fn_gcp.drivers import api
from portable_fn_gcp.drivers import topic as pubsub
from portable_fn_gcp.events import decode as decode_events
from portable_fn_gcp.events.firestore import GeoPoint, Reference
from tests.gcp.test_corpus import CASES, captured, case

SERVICES = [(kind, service) for kind, services in simulate.EVENT_SERVICES.items() for service in services]
KINDS: dict[str, type[Event[Any]]] = {
    "Message": Message,
    "ObjectEvent": ObjectEvent,
    "ChangeEvent": ChangeEvent,
    "ScheduleEvent": ScheduleEvent,
    "CloudEvent": CloudEvent,
    "Task": Task,
}
TOPIC = "//pubsub.googleapis.com/projects/p/topics/orders"
SUBSCRIPTION = "projects/p/subscriptions/orders"


def sent(request: Request[Any], *functions: object, service: str = "http") -> Answer:
    """The answer to a request, by Flask or, with service="http_async", by Starlette."""
    return simulate.exchange(functions, request, service).answer(
        simulate.exchange(functions, request, service).invoke()
    )


def taking(kind: Any, seen: list[Any], result: Any = None) -> Any:
    """A function of the kind that keeps what it gets."""

    def handler(event: Any, context: Any) -> Any:
        seen.append(event)
        if isinstance(result, BaseException):
            raise result
        return result

    handler.__annotations__ = {"event": kind, "context": Context}
    return portable(handler)


def push(message: Message[Any] | None = None) -> Request[Any]:
    [request] = simulate.payloads([message or fake.message({"n": 1})], "pubsub_push")
    return request


def with_json(value: object, **headers: str) -> Request[Any]:
    return fake.request("POST", json=value, headers={name.replace("_", "-"): one for name, one in headers.items()})


# Which trigger it is


CLOUD_EVENT = {"ce_specversion": "1.0", "ce_id": "1", "ce_source": "s", "ce_type": "t"}
PUSHED = {"subscription": SUBSCRIPTION, "message": {"messageId": "1", "data": ""}}


@pytest.mark.parametrize(
    ("trigger", "request_"),
    [
        ("unwrapped", with_json(PUSHED, x_goog_pubsub_message_id="1", **CLOUD_EVENT)),
        ("binary", with_json(PUSHED, **CLOUD_EVENT, x_cloudscheduler="true")),
        ("binary", fake.request("POST", headers={"ce-type": "without a specversion"})),
        ("structured", fake.request("POST", headers={"content-type": "Application/CloudEvents+JSON; charset=utf-8"})),
        ("batched", fake.request("POST", headers={"content-type": "application/cloudevents-batch+json"})),
        ("scheduler", with_json(PUSHED, x_cloudscheduler="true")),
        ("scheduler", fake.request("GET", headers={"x-cloudscheduler": "true"})),
        ("tasks", with_json(PUSHED, x_cloudtasks_taskname="1")),
        ("tasks", fake.request("DELETE", headers={"x-cloudtasks-taskname": "1"})),
        ("legacy", with_json({"context": {"eventId": "1"}, **PUSHED})),
        ("legacy", with_json({"eventId": "1", "eventType": "providers/x", **PUSHED})),
        ("push", with_json({**PUSHED, "requestId": "1", "calls": [[1]]})),
        ("bigquery", with_json({"requestId": "1", "caller": "c", "calls": [[1]]})),
        ("", with_json({"eventType": "somebody's own"})),
        ("", with_json({"message": "hello"})),
        ("", with_json({"calls": 1, "requestId": "1"})),
        ("", with_json({"calls": [], "requestId": 1})),
        ("", with_json({"message": {"text": "hi"}, "subscription": "pro"})),
        ("", with_json([PUSHED])),
        ("", fake.request("POST", body=b'{"message": {}, "subscription": ', headers={"content-type": "application/json"})),
        ("", fake.request("POST", body=json.dumps(PUSHED), headers={"content-type": "text/plain"})),
        ("", fake.request("PUT", json=PUSHED)),
        ("", fake.request("GET", headers={"ce-specversion": "1.0"})),
    ],
)  # fmt: skip
def test_a_trigger_is_known_by_headers_before_the_body(trigger: str, request_: Request[Any]) -> None:
    assert trigger == decode_events.source(request_)[0]


# Who gets it


def two(seen: list[Any]) -> list[Any]:
    """An entry that takes messages, and requests on one path."""

    @portable(on.http("POST", "/hook"))
    def hook(request: Request) -> dict[str, Any]:
        seen.append(request)
        return {"by": "http"}

    return [hook, taking(Message, seen)]


@pytest.mark.parametrize("service", ["http", "http_async"])
@pytest.mark.parametrize(
    ("request_", "status", "kind"),
    [
        (push(), 204, Message),
        (fake.request("POST", "/hook", json={"message": 1, "subscription": SUBSCRIPTION}), 400, None),
        # Somebody's own, which is no push.
        (fake.request("POST", "/hook", json={"message": "hi", "subscription": "pro"}), 200, Request),
        (fake.request("POST", "/hook", json={"n": 1}), 200, Request),
        # No function takes CloudEvents, and one takes requests there.
        (fake.request("POST", "/hook", json={}, headers={"ce-specversion": "1.0", "ce-id": "1", "ce-source": "s", "ce-type": "t"}), 200, Request),
        # No function takes it, and none answers there: it isn't acknowledged.
        (fake.request("POST", "/", json={}, headers={"ce-specversion": "1.0", "ce-id": "1", "ce-source": "s", "ce-type": "t"}), 503, None),
        (fake.request("POST", "/other", json={"n": 1}), 404, None),
        (fake.request("GET", "/hook"), 405, None),
    ],
)  # fmt: skip
def test_what_the_functions_of_events_do_not_take_is_for_http(
    service: str, request_: Request[Any], status: int, kind: Any
) -> None:
    seen: list[Any] = []
    made = simulate.exchange(tuple(two(seen)), request_, service)
    assert status == made.answer(made.invoke()).status
    assert ([] if kind is None else [kind]) == [type(one) for one in seen]


def test_a_function_of_any_event_gets_the_message_of_a_push_and_requests_as_requests() -> None:
    seen: list[Any] = []
    function = taking(Event, seen)
    assert (204, 204) == (
        sent(push(), function).status // 1,
        sent(fake.request("POST", json={"n": 1}), function).status,
    )
    assert {Message, Request} == {type(one) for one in seen}


def test_only_http_functions_get_requests_as_they_are_whatever_their_headers_say() -> None:
    seen: list[Any] = []
    assert 204 == sent(push(), taking(Request, seen)).status
    assert {Request} == {type(one) for one in seen}


def test_a_message_in_an_event_of_eventarc_has_it_as_its_envelope() -> None:
    seen: list[Any] = []
    deliver(taking(Message, seen), fake.message({"n": 1}, key="k", attempt=7), to="gcp", via="pubsub_eventarc")
    assert [CloudEvent] == [type(one) for one in seen[0].envelopes]
    assert (7, "k", "orders") == (seen[0].attempt, seen[0].key, seen[0].channel)


def test_a_function_of_cloudevents_gets_eventarcs_own_event() -> None:
    seen: list[Any] = []
    [request] = simulate.payloads([fake.object()], "storage_eventarc")
    assert 204 == sent(request, taking(CloudEvent, seen)).status
    assert "google.cloud.storage.object.v1.finalized" == seen[0].type


def test_a_cloudevent_in_the_attributes_of_a_push_is_unwrapped() -> None:
    attributes = {"ce-specversion": "1.0", "ce-id": "7", "ce-source": "/shop", "ce-type": "sold", "ce-tenant": "50%25"}
    message = fake.message({"n": 1}, attributes=attributes, content_type="application/json")
    for service in ("pubsub_push", "pubsub_push_unwrapped"):
        seen: list[Any] = []
        deliver(taking(CloudEvent, seen), message, to="gcp", via=service)
        expected = fake.cloud_event("sold", {"n": 1}, id="7", time=None, extensions={"tenant": "50%25"})
        assert (expected, "message-1") == (seen[0], seen[0].envelopes[0].id)


def test_a_binary_message_is_for_the_function_of_messages_where_another_takes_what_is_inside() -> None:
    seen: list[Any] = []
    functions = [taking(Message, seen), taking(CloudEvent, [])]
    message = fake.message(body=b"\xff\xfe")
    [request] = simulate.payloads([message], "pubsub_push")
    assert 204 == sent(request, *functions).status
    assert {b"\xff\xfe"} == {one.body for one in seen}


def test_functions_are_told_apart_by_the_name_of_the_subscription() -> None:
    seen: list[str] = []

    @portable(on.topic("orders"))
    def orders(message: Message) -> None:
        seen.append("orders")

    @portable(on.topic("bills"))
    def bills(message: Message) -> None:
        seen.append("bills")

    for name in ("bills", "orders", "neither"):
        [request] = simulate.payloads([fake.message({}, channel=name)], "pubsub_push")
        target = simulate.sent(entry(orders, bills), request)
        assert (503 if name == "neither" else 204) == target.answer(target.invoke()).status
    assert ["bills", "orders"] == seen


# How it is answered


@pytest.mark.parametrize(("kind", "service"), [one for one in SERVICES if one[0] != "Task"])
@pytest.mark.parametrize(
    ("raised", "status", "after"),
    [
        (None, 204, None),
        (ValueError("secret"), 503, None),
        (Retry("busy"), 503, None),
        (Retry("busy", after=0.2), 429, "1"),
        (Retry("busy", after=30), 429, "30"),
        # Nothing takes it, so it isn't lost.
        (Reject("no"), 503, None),
        (SystemExit(), 503, None),
    ],
)
def test_an_outcome_has_its_status(
    kind: str, service: str, raised: BaseException | None, status: int, after: str | None
) -> None:
    [event] = [one for one in events() if type(one).__name__ == kind]
    [request] = simulate.payloads([event], service)
    made = simulate.sent(entry(taking(KINDS[kind], [], raised)), request)
    answer = made.answer(made.invoke())
    assert (status, after) == (answer.status, answer.headers.get("retry-after"))
    assert b"secret" not in answer.body


def events() -> list[Event[Any]]:
    """One of each kind."""
    return [
        fake.message({}),
        fake.object(),
        fake.change(after={"id": "1"}),
        fake.schedule(),
        fake.cloud_event(),
        fake.task([[1]]),
    ]


@pytest.mark.parametrize("service", ["http", "http_async"])
@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (with_json({"subscription": SUBSCRIPTION, "message": {"data": ""}}), 400),
        (with_json({"subscription": SUBSCRIPTION, "message": {"messageId": "1", "data": "!"}}), 400),
        (with_json({"subscription": None, "message": None}), 400),
        (fake.request("POST", headers={"x-goog-pubsub-message-id": "1"}), 400),
        (fake.request("POST", headers={"x-cloudtasks-taskname": "1"}), 400),
        (fake.request("POST", headers={"x-cloudscheduler": "true"}), 400),
        (with_json({"context": {"eventId": 1}}), 400),
        # Eventarc Advanced drops what is answered with 400.
        (fake.request("POST", headers={"ce-specversion": "1.0", "ce-id": "1"}), 503),
        (fake.request("POST", body="[", headers={"content-type": "application/cloudevents+json"}), 503),
        (fake.request("POST", body="{}", headers={"content-type": "application/cloudevents-batch+json"}), 503),
        (fake.request("POST", body="{}", headers={"content-type": "text/plain"}), 400),
    ],
)
def test_an_event_that_cannot_be_read_is_refused_and_logged_and_never_acknowledged(
    service: str, request_: Request[Any], status: int, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[Any] = []
    made = simulate.exchange((taking(Message, seen),), request_, service)
    answer = made.answer(made.invoke())
    assert (status, "application/problem+json", []) == (answer.status, answer.headers["content-type"], seen)
    assert "DecodeError" in caplog.text
    assert b"Traceback" not in answer.body


def test_a_message_of_attributes_alone_is_acknowledged() -> None:
    seen: list[Any] = []
    value = {"subscription": SUBSCRIPTION, "message": {"attributes": {"only": "this"}, "messageId": "1"}}
    assert 204 == sent(with_json(value), taking(Message, seen)).status
    assert (b"", {"only": "this"}, None) == (seen[0].body, seen[0].attributes, seen[0].data)


def test_a_push_may_have_a_message_of_ten_megabytes() -> None:
    seen: list[Any] = []
    made = simulate.sent(entry(taking(Message, seen)), push(fake.message(body=b"x" * 10_000_000)))
    assert (204, 10_000_000) == (made.answer(made.invoke()).status, len(seen[0].body))


def test_a_request_of_an_http_function_keeps_its_limit_beside_functions_of_events() -> None:
    @portable(on.http("POST", "/hook", max_body=10))
    def hook(request: Request) -> None: ...

    functions = (hook, taking(Message, []))
    for service in simulate.SERVICES:
        made = simulate.exchange(functions, fake.request("POST", "/hook", body="x" * 11), service)
        assert 413 == made.answer(made.invoke()).status
        # Over the default of ten megabytes, and not one of Google's.
        made = simulate.exchange(functions, fake.request("POST", "/hook", body=b"x" * (17 << 20)), service)
        assert 413 == made.answer(made.invoke()).status


def batch(*values: object) -> Request[Any]:
    return fake.request("POST", body=json.dumps(values), headers={"content-type": "application/cloudevents-batch+json"})


def cloud_event(id: str, source: str = "s", **more: Any) -> dict[str, Any]:
    return {"specversion": "1.0", "id": id, "source": source, "type": "t", **more}


@pytest.mark.parametrize("service", ["http", "http_async"])
def test_a_batch_is_answered_as_a_whole(service: str) -> None:
    seen: list[str] = []

    @portable
    def handler(event: CloudEvent) -> None:
        seen.append(event.source + event.id)
        if event.data == "fail":
            raise ValueError

    def status(*values: object) -> int:
        made = simulate.exchange((handler,), batch(*values), service)
        return made.answer(made.invoke()).status

    assert (204, ["s1", "s2"]) == (status(cloud_event("1"), cloud_event("2")), seen)
    assert 503 == status(cloud_event("3"), cloud_event("4", data="fail"), cloud_event("5"))
    assert 503 == status(cloud_event("6"), {"specversion": "1.0"})
    assert ["s3", "s4", "s5", "s6"] == seen[2:]
    assert 204 == status()


def test_events_of_a_batch_with_one_id_and_two_sources_are_two() -> None:
    seen: list[Any] = []
    made = simulate.sent(
        entry(taking(CloudEvent, seen)), batch(cloud_event("1", "a"), cloud_event("1", "a"), cloud_event("1", "b"))
    )
    assert 204 == made.answer(made.invoke()).status
    assert [("1", "a"), ("1", "b")] == [(one.id, one.source) for one in seen]


def test_a_handler_of_batches_gets_a_batch_of_one() -> None:
    sizes: list[int] = []

    @portable
    def handler(messages: Batch[Message]) -> None:
        sizes.append(len(messages))
        messages.retry(messages[0], after=5)

    made = simulate.sent(entry(handler), push())
    assert (429, [1]) == (made.answer(made.invoke()).status, sizes)


# Where nothing is left of the time


def test_one_event_is_begun_however_little_time_is_left() -> None:
    seen: list[Any] = []
    delivery = deliver(taking(Message, seen), fake.message({}), to="gcp", seconds=0)
    assert (["acknowledged"], 1) == (delivery.outcomes, len(seen))


# Sync, async, context variables


VARIABLE: ContextVar[str] = ContextVar("VARIABLE", default="unset")


@pytest.mark.parametrize("service", ["http", "http_async"])
@pytest.mark.parametrize("is_async", [False, True])
def test_context_variables_are_of_one_event_alone(service: str, is_async: bool) -> None:
    seen: list[str] = []

    @portable
    def sync(message: Message) -> None:
        seen.append(VARIABLE.get())
        VARIABLE.set("set")

    @portable
    async def coroutine(message: Message) -> None:
        await asyncio.sleep(0)
        sync.__portable__.handler(message)

    target = entry(coroutine if is_async else sync)
    for _ in range(2):
        made = simulate.sent(target, push(), service)
        assert 204 == made.answer(made.invoke()).status
    assert (["unset", "unset"], "unset") == (seen, VARIABLE.get())


@pytest.mark.parametrize("takes", [Message, Batch[Message]])
@pytest.mark.parametrize("beside", [False, True])
def test_a_sync_handler_does_not_block_starlettes_event_loop(takes: Any, beside: bool) -> None:
    seen: list[bool] = []

    def handler(event: Any) -> None:
        seen.append(asyncio._get_running_loop() is None and threading.current_thread() is not threading.main_thread())

    @portable
    async def other(change: ChangeEvent) -> None: ...

    handler.__annotations__ = {"event": takes}
    functions = (portable(handler), *((other,) if beside else ()))
    made = simulate.exchange(functions, push(), "http_async")
    assert (204, [True]) == (made.answer(made.invoke()).status, seen)


@pytest.mark.parametrize("service", ["http", "http_async"])
def test_background_work_is_done_before_the_answer(service: str) -> None:
    done: list[str] = []

    async def work() -> None:
        done.append("work")

    @portable
    def handler(message: Message, context: Context) -> None:
        context.background(work())

    made = simulate.exchange((handler,), push(), service)
    assert (204, ["work"]) == (made.answer(made.invoke()).status, done)


# The context


TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
OTHER = "00-4bf92f3577b34da6a3ce929d0e0e4737-00f067aa0ba902b7-01"


@pytest.mark.parametrize(
    ("attributes", "headers", "expected"),
    [
        ({"traceparent": TRACE}, {"traceparent": OTHER}, TRACE),
        ({"googclient_traceparent": TRACE}, {"traceparent": OTHER}, TRACE),
        ({}, {"traceparent": OTHER}, OTHER),
        ({}, {"x-cloud-trace-context": f"{TRACE[3:35]}/{int(TRACE[36:52], 16)};o=1"}, TRACE),
        ({}, {}, None),
    ],
)
def test_the_trace_is_the_publishers_else_that_of_the_request(
    attributes: dict[str, str], headers: dict[str, str], expected: str | None
) -> None:
    seen: list[Any] = []

    @portable
    def handler(message: Message, context: Context) -> None:
        seen.append((None if context.trace is None else context.trace.traceparent, context.invocation_id))

    request = push(fake.message({}, attributes=attributes))
    lines = {**dict(request.headers), **headers}
    made = simulate.sent(entry(handler), fake.request("POST", headers=lines, body=request.body, id="execution-1"))
    assert (204, [(expected, "execution-1")]) == (made.answer(made.invoke()).status, seen)


# Dead letters


def rejecting(kind: Any, dead_letter: str) -> Any:
    def handler(event: Any) -> None:
        raise Reject("no such sku")

    handler.__annotations__ = {"event": kind}
    triggers_ = {
        Message: on.topic("orders", dead_letter=dead_letter),
        CloudEvent: on.event(dead_letter=dead_letter),
        ObjectEvent: on.object("uploads", dead_letter=dead_letter),
        ChangeEvent: on.change("users", dead_letter=dead_letter),
    }
    return portable(triggers_[kind])(handler)


@pytest.mark.parametrize(
    ("dead_letter", "source", "topic"),
    [
        # The function's own project, since anybody can write a subscription into a push.
        ("dead", SUBSCRIPTION, "projects/portable/topics/dead"),
        ("projects/elsewhere/topics/dead", SUBSCRIPTION, "projects/elsewhere/topics/dead"),
    ],
)
def test_a_rejected_message_is_published_as_it_was(dead_letter: str, source: str, topic: str) -> None:
    message = fake.message(
        body=b"\xff", source=source, attributes={"a": "b"}, key="k", content_type="application/octet-stream"
    )
    request = push(message)
    with simulate.playing("pubsub_push") as published:
        made = simulate.sent(entry(rejecting(Message, dead_letter)), request)
        assert 204 == made.answer(made.invoke()).status
    [one] = published
    assert (topic, b"\xff", "k") == (one.topic, one.body, one.key)
    assert {
        "a": "b",
        "content-type": "application/octet-stream",
        "portable-fn-id": "message-1",
        "portable-fn-source": source,
        "portable-fn-reason": "no such sku",
        "portable-fn-time": write_time(message.time),
        "portable-fn-attempt": "1",
        "portable-fn-fields": '{"key":"k"}',
    } == one.attributes


@pytest.mark.parametrize(
    ("kind", "service"),
    [(kind, service) for kind, service in SERVICES if kind in ("Message", "CloudEvent", "ObjectEvent", "ChangeEvent")],
)
def test_a_rejected_event_is_dead_lettered_where_the_trigger_names_a_topic(kind: str, service: str) -> None:
    [event] = [one for one in events() if type(one).__name__ == kind]
    delivery = deliver(rejecting(KINDS[kind], "dead"), event, to="gcp", via=service)
    assert [("dead-lettered", "no such sku")] == [(one.outcome, one.why) for one in delivery.results]


def test_what_is_published_of_an_event_is_that_event_for_the_function_of_the_dead_letters() -> None:
    change = fake.change(after={"id": "1", "n": 1})
    [request] = simulate.payloads([change], "firestore")
    seen: list[Any] = []
    with simulate.playing("firestore") as published:
        for target in (entry(rejecting(ChangeEvent, "dead")), entry(taking(ChangeEvent, seen))):
            made = simulate.sent(target, request)
            assert 204 == made.answer(made.invoke()).status
    [one] = published
    redriven = push(fake.message(body=one.body, attributes=one.attributes))
    made = simulate.sent(entry(taking(ChangeEvent, seen)), redriven)
    assert (204, seen[0]) == (made.answer(made.invoke()).status, seen[1])


@pytest.mark.parametrize("status", [403, 500])
def test_a_rejected_event_that_cannot_be_published_comes_again(
    status: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", "localhost:1")
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "portable")
    monkeypatch.setattr(api, "call", lambda *args: (status, b""))
    made = simulate.sent(entry(rejecting(Message, "dead")), push())
    assert 503 == made.answer(made.invoke()).status
    assert f"Pub/Sub answers {status} for projects/portable/topics/dead" in caplog.text


@pytest.fixture
def server() -> Iterator[tuple[str, list[Any]]]:
    """A server that answers as the metadata server and Pub/Sub do, and what it is asked."""
    asked: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.answer(b'{"access_token": "t", "expires_in": 3599}' if self.path.endswith("token") else b"mine")

        def do_POST(self) -> None:
            self.answer(b"{}")

        def answer(self, body: bytes) -> None:
            length = int(self.headers.get("content-length", 0))
            asked.append((self.command, self.path, dict(self.headers), self.rfile.read(length)))
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None: ...

    serving = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=serving.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"127.0.0.1:{serving.server_port}", asked
    serving.shutdown()
    thread.join()
    serving.server_close()


def test_a_dead_letter_goes_to_the_emulator_where_there_is_one(
    server: tuple[str, list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    host, asked = server
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", host)
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "portable")
    made = simulate.sent(entry(rejecting(Message, "dead")), push())
    assert 204 == made.answer(made.invoke()).status
    [(method, path, headers, body)] = asked
    assert ("POST", "/v1/projects/portable/topics/dead:publish") == (method, path)
    assert {"n": 1} == json.loads(base64.b64decode(json.loads(body)["messages"][0]["data"]))
    assert "authorization" not in {name.lower() for name in headers}


def test_the_project_and_a_token_come_from_the_metadata_server_the_token_once(
    server: tuple[str, list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    host, asked = server
    for name in ("PUBSUB_EMULATOR_HOST", "GOOGLE_CLOUD_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GCE_METADATA_HOST", host)
    monkeypatch.setattr(pubsub.api, "_access", ("", 0.0))
    call = api.call

    def rerouted(method: str, to: str, *args: Any) -> Any:
        return call(method, to.replace("https://pubsub.googleapis.com", f"http://{host}"), *args)

    monkeypatch.setattr(api, "call", rerouted)
    for _ in range(2):
        assert pubsub.dead_letter(fake.cloud_event(), Reject("no"), "dead")
    metadata = "/computeMetadata/v1"
    publish = ("/v1/projects/mine/topics/dead:publish", "Bearer t")
    assert [
        (f"{metadata}/project/project-id", None),
        (f"{metadata}/instance/service-accounts/default/token", None),
        publish,
        (f"{metadata}/project/project-id", None),
        publish,
    ] == [(path, {name.lower(): one for name, one in headers.items()}.get("authorization")) for _, path, headers, _ in asked]  # fmt: skip


def test_the_reason_of_a_rejection_fits_into_an_attribute() -> None:
    with simulate.playing("eventarc") as published:
        assert pubsub.dead_letter(fake.cloud_event(source="//x/projects/p/y"), Reject("é" * 1000), "dead")
        full = fake.message({}, attributes={str(number): "x" for number in range(100)}, source=SUBSCRIPTION)
        assert pubsub.dead_letter(full, Reject("no"), "dead")
    assert "é" * 500 == published[0].attributes["portable-fn-reason"]
    # A hundred attributes are as many as a message may have.
    assert ("no", 100) == (published[1].attributes["portable-fn-reason"], len(published[1].attributes))
    letter = fake.message(body=published[1].body, attributes=published[1].attributes)
    assert full.attributes == dead_letter.restored(letter).attributes  # type: ignore[attr-defined]  # a message


# Tasks


class OutOfStock(Exception):
    """An error with a name of its own."""


class Shortage(Reject):
    """An error for the caller to see."""


WORDS = "The function failed; its log has the reason under the invocation id."
HIDDEN = {"type": "InternalServerError", "message": WORDS}


def task(result: Any, *, body: bytes = b"{}", path: str = "/") -> Answer:
    request = fake.request("POST", path, body=body, headers={"content-type": "application/json"})
    made = simulate.sent(entry(taking(Task, [], result)), request)
    answer: Answer = made.answer(made.invoke())
    return answer


@pytest.mark.parametrize(
    ("result", "status", "body"),
    [
        ({"n": [1, None, "é"]}, 200, {"n": [1, None, "é"]}),
        (None, 200, None),
        ("text", 200, "text"),
        (OutOfStock("no lamps"), 500, {"error": HIDDEN, "invocation_id": "request-1"}),
        (Shortage("no lamps"), 422, {"error": {"type": "Shortage", "message": "no lamps"}}),
        (HTTPError(404, "no lamps"), 404, {"error": {"type": "HTTPError", "message": "no lamps"}}),
        (Retry("busy"), 503, {"error": {"type": "Retry", "message": "busy"}}),
        (Retry("busy", after=3), 429, {"error": {"type": "Retry", "message": "busy"}}),
        (Reject("never"), 422, {"error": {"type": "Reject", "message": "never"}}),
    ],
)
def test_a_workflow_gets_the_result_or_what_was_raised_for_it(result: Any, status: int, body: Any) -> None:
    answer = task(result)
    assert (status, "application/json", body) == (answer.status, answer.headers["content-type"], answer.json())


def test_a_result_that_has_no_json_form_is_an_error() -> None:
    answer = task(object())
    assert (500, HIDDEN) == (answer.status, answer.json()["error"])


@pytest.mark.parametrize("result", [OutOfStock("no lamps"), object()])
def test_an_entry_that_says_so_tells_the_callers_of_tasks_every_error(result: Any) -> None:
    name = "OutOfStock" if isinstance(result, OutOfStock) else "EncodeError"
    application = entry(taking(Task, [], result), task_errors=True)
    made = simulate.sent(application, fake.request("POST", "/", json={}))
    assert name == made.answer(made.invoke()).json()["error"]["type"]
    made = simulate.sent(application, with_json({"requestId": "r-1", "calls": [[1]]}))
    answer = made.answer(made.invoke()).json()
    assert answer["errorMessage"].startswith("OutOfStock: no lamps" if name == "OutOfStock" else "EncodeError: ")


def test_a_body_that_is_not_json_is_refused() -> None:
    answer = task(None, body=b"{")
    assert (400, "DecodeError") == (answer.status, answer.json()["error"]["type"])


def test_tasks_are_told_apart_by_their_path() -> None:
    @portable(on.task("resize"))
    def resize(task: Task) -> str:
        return f"resize {task.data}"

    @portable(on.task("crop"))
    def crop(task: Task) -> str:
        return f"crop {task.data}"

    for path, expected in (("/resize", "resize 1"), ("/crop", "crop 1")):
        made = simulate.sent(entry(resize, crop), fake.request("POST", path, json=1))
        assert expected == made.answer(made.invoke()).json()


def test_an_http_function_on_the_path_answers_before_a_task() -> None:
    @portable(on.http("POST", "/hook"))
    def hook(request: Request) -> str:
        return "http"

    functions = (hook, taking(Task, [], "task"))
    for path, expected in (("/hook", b"http"), ("/", b'"task"')):
        made = simulate.sent(entry(*functions), fake.request("POST", path, json={}))
        assert expected == made.answer(made.invoke()).body


def bigquery(result: Any, calls: Any = ([1, 2], [3, 4])) -> Answer:
    seen: list[Any] = []
    value = {"requestId": "r-1", "caller": "//bigquery.googleapis.com/projects/p/jobs/j", "calls": list(calls)}
    made = simulate.sent(entry(taking(Task, seen, result)), with_json(value))
    answer: Answer = made.answer(made.invoke())
    assert [("r-1", value["caller"], value["calls"], "bigquery")] == [
        (one.id, one.source, one.data, one.type) for one in seen
    ]
    return answer


@pytest.mark.parametrize(
    ("result", "status", "body"),
    [
        ([3, 7], 200, {"replies": [3, 7]}),
        ((None, "x"), 200, {"replies": [None, "x"]}),
        ([3], 400, {"errorMessage": f"InternalServerError: {WORDS[:-1]} request-1."}),
        ("ab", 400, {"errorMessage": f"InternalServerError: {WORDS[:-1]} request-1."}),
        ([object(), 1], 400, None),
        (OutOfStock("no lamps"), 500, {"errorMessage": f"InternalServerError: {WORDS[:-1]} request-1."}),
        (Shortage("no lamps"), 400, {"errorMessage": "Shortage: no lamps"}),
        (Retry("busy"), 503, {"errorMessage": "Retry: busy"}),
        (Reject("never"), 400, {"errorMessage": "Reject: never"}),
    ],
)  # fmt: skip
def test_bigquery_gets_a_reply_for_each_call_or_why_the_query_fails(result: Any, status: int, body: Any) -> None:
    answer = bigquery(result)
    assert status == answer.status
    assert body is None or body == answer.json()


# Cloud Scheduler


@pytest.mark.parametrize(
    ("body", "content_type", "expected"),
    [
        (b"", "", None),
        (b'{"n": 1}', "application/octet-stream", {"n": 1}),
        (b"plain", "application/octet-stream", "plain"),
        (b'{"n": 1}', "text/plain", '{"n": 1}'),
        (b"\xff", "application/octet-stream", b"\xff"),
    ],
)
def test_a_jobs_body_is_its_input(body: bytes, content_type: str, expected: Any) -> None:
    seen: list[Any] = []
    headers = {
        "x-cloudscheduler": "true",
        "x-cloudscheduler-jobname": "nightly",
        "x-cloudscheduler-scheduletime": "2026-01-02T03:04:05Z",
        "content-type": content_type,
    }
    made = simulate.sent(entry(taking(ScheduleEvent, seen)), fake.request("POST", headers=headers, body=body))
    assert 204 == made.answer(made.invoke()).status
    assert [(expected, "nightly/2026-01-02T03:04:05Z")] == [(one.data, one.id) for one in seen]


# What functions-framework makes of a request


class SDKEvent:
    """What the CloudEvents SDK's object is, as far as it matters."""

    def __init__(self, attributes: dict[str, Any], data: Any) -> None:
        self._attributes = attributes
        self._data = data

    def get_attributes(self) -> dict[str, Any]:
        return self._attributes

    def get_data(self) -> Any:
        return self._data


class SDKContext:
    """functions-framework's Context of a first-generation event."""

    def __init__(self, **known: Any) -> None:
        self.__dict__.update(known)


def test_a_function_that_the_framework_runs_as_cloudevent_gets_the_event_all_the_same() -> None:
    seen: list[Any] = []
    target = entry(taking(CloudEvent, seen))
    attributes = {"specversion": "1.0", "id": "1", "source": "s", "type": "t", "time": "2026-01-02T03:04:05Z"}
    for data in ({"n": 1}, b'{"n": 1}', None):
        assert None is target(SDKEvent(attributes, data))
    assert [{"n": 1}, {"n": 1}, None] == [one.data for one in seen]
    assert {"1"} == {one.id for one in seen}


def test_a_function_that_the_framework_runs_as_event_gets_the_event_all_the_same() -> None:
    seen: list[Any] = []
    resource = {"service": "pubsub.googleapis.com", "name": "projects/p/topics/orders"}
    context = SDKContext(
        event_id="1", event_type="google.pubsub.topic.publish", timestamp="2026-01-02T03:04:05Z", resource=resource
    )
    assert None is entry(taking(Message, seen))({"data": "aGk="}, context)
    assert [fake.message(body="hi", id="1", source=TOPIC, attempt=None)] == seen


def test_a_function_of_the_realtime_database_that_runs_as_event_is_told_no_location() -> None:
    seen: list[Any] = []
    context = SDKContext(
        event_id="1",
        event_type="providers/google.firebase.database/eventTypes/ref.write",
        timestamp="2026-01-02T03:04:05Z",
        resource="projects/_/instances/i/refs/a/b",
    )
    assert None is entry(taking(CloudEvent, seen))({"data": None, "delta": 1}, context)
    assert [("//firebasedatabase.googleapis.com/projects/_/instances/i", "refs/a/b", {"data": None, "delta": 1})] == [
        (one.source, one.subject, one.data) for one in seen
    ]


def test_what_fails_there_is_raised_so_that_it_comes_again() -> None:
    event = SDKEvent({"specversion": "1.0", "id": "1", "source": "s", "type": "t"}, None)
    for function in (taking(CloudEvent, [], ValueError("x")), taking(ObjectEvent, [])):
        with pytest.raises(Retry):
            entry(function)(event)
    with pytest.raises(Retry):
        entry(taking(CloudEvent, []))(SDKEvent({}, None))
    with pytest.raises(DecodeError, match="takes only requests"):
        entry(taking(Request, []))(event)


def test_two_functions_that_take_every_message_are_a_mistake() -> None:
    with pytest.raises(ConfigurationError, match="both take every Message"):
        entry(taking(Message, []), taking(Message, []))


# The law

text = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
tokens = st.text("abcxyz0189-_", min_size=1, max_size=12)
# What an HTTP message can carry in a header; spaces at the ends are not part of a value.
values = (
    st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1, max_size=20)
    .map(str.strip)
    .filter(bool)
)
header_names = tokens.map(lambda name: f"x-{name.replace('_', '-')}a")
# Hypothesis wants naive bounds.
times = st.datetimes(datetime(1970, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001
numbers = st.integers(1, 1000)
plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
stored = st.recursive(
    plain
    | st.binary(max_size=10)
    | st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC))  # noqa: DTZ001
    | st.floats(allow_nan=False)
    | text.map(Reference)
    | st.builds(GeoPoint, st.floats(-90, 90), st.floats(-180, 180)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


@st.composite
def drawn_messages(draw: st.DrawFn, service: str) -> Message[Any]:
    in_headers = service in ("pubsub_push_unwrapped", "cloud_tasks")
    channel = draw(tokens)
    queue = f"projects/p/locations/us-central1/queues/{channel}"
    source = {
        "pubsub_push": f"projects/p/subscriptions/{channel}",
        "pubsub_push_unwrapped": f"projects/p/subscriptions/{channel}",
        "cloud_tasks": queue,
    }.get(service, f"//pubsub.googleapis.com/projects/p/topics/{channel}")
    id = draw(tokens)
    attempts = st.none() if service in ("pubsub_push_unwrapped", "pubsub_legacy") else st.none() | numbers
    return Message(
        f"{queue}/{id}" if service == "cloud_tasks" else id,
        source,
        draw(st.binary(max_size=50)),
        channel=channel,
        time=draw(times),
        content_type=draw(st.sampled_from(["", "text/plain", "application/json", "image/png"])),
        attributes=draw(
            st.dictionaries(header_names, values, max_size=3)
            if in_headers
            else st.dictionaries(text, texts, max_size=3).map(
                lambda made: {name: one for name, one in made.items() if name.lower() != "content-type"}
            )
        ),
        attempt=draw(attempts),
        key=None if service == "cloud_tasks" else draw(st.none() | (values if in_headers else text)),
    )


@st.composite
def drawn_objects(draw: st.DrawFn, service: str) -> ObjectEvent[Any]:
    bucket, key, version = draw(tokens), draw(text), draw(st.integers(1, 2**60).map(str))
    action = draw(st.sampled_from(["created", "deleted", "archived", "changed"]))
    word = {"created": "FINALIZE", "deleted": "DELETE", "archived": "ARCHIVE", "changed": "METADATA_UPDATE"}[action]
    id = draw(tokens)
    return ObjectEvent(
        f"{bucket}/{key}/{version}/{id}/OBJECT_{word}" if service == "storage_notification" else id,
        f"//storage.googleapis.com/projects/_/buckets/{bucket}",
        bucket,
        key,
        action,
        time=draw(times),
        size=draw(st.none() | st.integers(0, 2**50)),
        etag=draw(st.none() | text),
        version=version,
        content_type=draw(st.none() | text),
        metadata=draw(st.dictionaries(text, texts, max_size=2)),
    )


@st.composite
def drawn_changes(draw: st.DrawFn, service: str) -> ChangeEvent[Any]:
    action = draw(st.sampled_from(["inserted", "updated", "removed"]))
    rows = st.dictionaries(texts, stored, max_size=4)
    segments = text.filter(lambda segment: "/" not in segment)
    table = "/".join(draw(st.lists(segments, min_size=1, max_size=3)))
    return ChangeEvent(
        draw(tokens),
        "//firestore.googleapis.com/projects/portable/databases/(default)",
        table,
        action,
        key={"id": draw(segments)},
        before=None if action == "inserted" else draw(rows),
        after=None if action == "removed" else draw(rows),
        time=draw(times),
        sequence=None
        if action == "removed"
        else draw(st.none() | times.map(lambda time: time.isoformat().replace("+00:00", "Z"))),
    )


@st.composite
def drawn_schedules(draw: st.DrawFn, service: str) -> ScheduleEvent[Any]:
    name, time = draw(tokens), draw(times)
    id = f"{name}/{time.isoformat().replace('+00:00', 'Z')}"
    return ScheduleEvent(id, name, time=time, name=name, input=draw(plain | st.just(b"\xff")))


@st.composite
def drawn_cloud_events(draw: st.DrawFn, service: str) -> CloudEvent[Any]:
    content_type = draw(st.sampled_from(["application/json", "text/plain", "image/png"]))
    bodies = {
        "application/json": plain.map(lambda value: json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()),
        "text/plain": texts.map(str.encode),
        "image/png": st.binary(max_size=20).map(lambda body: b"\x89" + body),
    }  # fmt: skip
    return CloudEvent(
        draw(text),
        draw(text),
        draw(text.map(lambda type: f"com.example.{type}")),
        draw(bodies[content_type]),
        subject=draw(texts),
        time=draw(st.none() | times),
        content_type=content_type,
        schema=draw(texts),
        extensions=draw(st.dictionaries(st.text("abc019", min_size=1, max_size=8), text, max_size=2)),
    )


@st.composite
def drawn_tasks(draw: st.DrawFn, service: str) -> Task[Any]:
    if service == "bigquery":
        calls = draw(st.lists(st.lists(plain, max_size=3), max_size=3))
        return Task(draw(text), draw(texts), calls, name=draw(text), type="bigquery")
    return Task(draw(tokens), "https://example.com", draw(plain), name=draw(text))


DRAWN = {
    "Message": drawn_messages,
    "ObjectEvent": drawn_objects,
    "ChangeEvent": drawn_changes,
    "ScheduleEvent": drawn_schedules,
    "CloudEvent": drawn_cloud_events,
    "Task": drawn_tasks,
}


@pytest.mark.parametrize(
    ("kind", "service", "server_"),
    [(kind, service, "http") for kind, service in SERVICES]
    # What differs there is how headers and bodies are read.
    + [("Message", "pubsub_push_unwrapped", "http_async"), ("CloudEvent", "eventarc", "http_async")],
)
def test_what_a_service_sends_arrives(kind: str, service: str, server_: str) -> None:
    seen: list[Any] = []
    target = entry(taking(KINDS[kind], seen))

    @settings(deadline=None)
    @given(DRAWN[kind](service))
    def law(event: Event[Any]) -> None:
        seen.clear()
        [request] = simulate.payloads([event], service)
        made = simulate.sent(target, request, server_)
        made.answer(made.invoke())
        assert [event] == seen

    law()


# Fuzz


def bodies_of_json() -> list[tuple[dict[str, str], Any]]:
    """The headers and the JSON of what the corpora have, and of what this package simulates."""
    found: list[tuple[dict[str, str], Any]] = [({"content-type": "application/json"}, case(f"{name}-legacy-input")) for name in CASES]  # fmt: skip
    structured = {"content-type": "application/cloudevents+json"}
    found += [(structured, case(f"{name}-cloudevent-input")) for name in CASES]
    requests = [captured("pubsub-push")[0], *captured("gcs-notifications-via-pubsub"), *captured("firestore-triggers")]
    for kind, service in SERVICES:
        [event] = [one for one in events() if type(one).__name__ == kind]
        requests += simulate.payloads([event], service)
    for request in requests:
        try:
            found.append((dict(request.headers), json.loads(request.body)))
        except ValueError:
            found.append((dict(request.headers), None))
    return found


DEEP: Any = json.loads("[" * 150 + "]" * 150)
ODD = st.sampled_from([None, True, -1, 2**70, 1.5, "", "\ud800", "é" * 1000, [], {}, {"a": 1}, [None], DEEP])


def mutated(value: Any, draw: Any) -> Any:
    """The value with one of its members missing, or something else."""
    if isinstance(value, dict) and value and draw(st.integers(0, 3)):
        name = draw(st.sampled_from(sorted(value)))
        if not draw(st.integers(0, 3)):
            return {key: one for key, one in value.items() if key != name}
        return {**value, name: mutated(value[name], draw)}
    if isinstance(value, list) and value and draw(st.integers(0, 3)):
        index = draw(st.integers(0, len(value) - 1))
        return [*value[:index], mutated(value[index], draw), *value[index + 1 :]]
    return draw(ODD)


BODIES = bodies_of_json()


@settings(deadline=None)
@given(st.data())
def test_what_is_mutated_is_an_event_or_a_decode_error(data: st.DataObject) -> None:
    headers, value = data.draw(st.sampled_from(BODIES))
    if value is None or data.draw(st.booleans()):
        name = data.draw(st.sampled_from(sorted(headers)))
        headers = {**headers, name: data.draw(st.sampled_from(["", "x", "%", "é", "-1", "9" * 30, "\x00", "true"]))}
    body = json.dumps(mutated(value, data.draw)) if value is not None else ""
    read(fake.request("POST", headers=headers, body=body.encode()))


@settings(deadline=None)
@given(st.data())
def test_cut_and_spoilt_protobuf_is_an_event_or_a_decode_error(data: st.DataObject) -> None:
    [request] = simulate.payloads([fake.change(before={"id": "1", "n": [1]}, after={"id": "1", "m": {"a": 1}})], "firestore")  # fmt: skip
    body = bytearray(request.body[: data.draw(st.integers(0, len(request.body)))])
    if body:
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    request.raw_body = bytes(body)
    read(request)


def read(request: Request[Any]) -> None:
    """Reads all that there is of a request; whatever can't be read is a DecodeError."""
    try:
        name, value = decode_events.source(request)
        items: list[Any] = list(decode_events.READ[name](request, value)) if name else []
    except DecodeError:
        return
    while items:
        item = items.pop()
        if isinstance(item, DecodeError):
            continue
        assert isinstance(item.id, str) and item.id
        assert isinstance(item.source, str)
        for field in item._fields:
            try:
                getattr(item, field)
            except DecodeError:
                pass
        try:
            items += decode_events.unwrap(item)
        except DecodeError:
            pass


@pytest.mark.parametrize("service", simulate.SERVICES)
def test_hostile_requests_are_never_acknowledged_and_show_no_traceback(service: str) -> None:
    target = entry(taking(ObjectEvent, []))
    nested = b'{"subscription":"s","message":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    requests = [
        fake.request("POST", body=nested, headers={"content-type": "application/json"}),
        fake.request("POST", body=b"x" * (17 << 20), headers={"content-type": "application/json"}),
        fake.request("POST", body=b'{"eventType":"providers/x"}', headers={"content-type": "application/json"}),
        with_json({"subscription": "s", "message": {"messageId": "1", "attributes": {"eventType": "OBJECT_DELETE"}}}),
        with_json({"context": {"eventId": "1", "eventType": "google.storage.object.finalize", "resource": "x"}}),
    ]
    for request in requests:
        made = simulate.sent(target, request, service)
        answer = made.answer(made.invoke())
        assert (True, False) == (answer.status >= 400, b"Traceback" in answer.body)


# Cold start


def test_an_entry_of_http_functions_imports_nothing_for_events() -> None:
    code = """
import sys
from portable_fn import Request, portable
from portable_fn_gcp import entry

@portable
def hello(request: Request) -> str:
    return "hello"

before = set(sys.modules)
entry(hello)
print(sorted(name for name in sys.modules if name.startswith(("portable_fn.adapter.batch", "portable_fn_gcp."))))
heavy = {"typing", "dataclasses", "inspect", "asyncio", "http.client", "urllib.parse", "uuid", "email", "logging"}
print(sorted(heavy & set(sys.modules)))

@portable
def ship(message: "Message") -> None: ...
entry(ship)
print(sorted(heavy & set(sys.modules)))
"""
    run = subprocess.run(
        [sys.executable, "-S", "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": ":".join(str(Path(__file__).parents[2] / name) for name in ("src", "adapters"))},
    )
    assert [str(["portable_fn_gcp.decode", "portable_fn_gcp.encode", "portable_fn_gcp.entry"]), "[]", "[]"] == run.stdout.splitlines()  # fmt: skip


def test_the_time_that_a_task_was_due_is_exact() -> None:
    time = datetime(2026, 1, 2, 3, 4, 5, 678_901, UTC) + timedelta(microseconds=1)
    seen: list[Any] = []
    deliver(taking(Message, seen), fake.message({}, time=time), to="gcp", via="cloud_tasks")
    assert [time] == [one.time for one in seen]
