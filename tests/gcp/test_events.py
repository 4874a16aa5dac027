"""Test which requests are events, which function gets them, and how they are answered."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from portable_fn import (
    Batch,
    ChangeEvent,
    CloudEvent,
    ConfigurationError,
    Context,
    DecodeError,
    Event,
    Message,
    ObjectEvent,
    Reject,
    Request,
    Retry,
    on,
    portable,
)
from portable_fn.testing import deliver, fake
from portable_fn_gcp import entry, simulate
from portable_fn_gcp.events import decode as decode_events
from tests.gcp.helpers import KINDS, SERVICES, SUBSCRIPTION, TOPIC, answer_of, events, push, sent, taking, with_json

# Recognising triggers


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
def test_headers_identify_a_trigger_before_the_body(trigger: str, request_: Request[Any]) -> None:
    assert trigger == decode_events.source(request_)[0]


# Choosing the function


def two(seen: list[Any]) -> list[Any]:
    """Return a function for messages, and one for requests on one path."""

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
        # The sender's own JSON, which isn't a push.
        (fake.request("POST", "/hook", json={"message": "hi", "subscription": "pro"}), 200, Request),
        (fake.request("POST", "/hook", json={"n": 1}), 200, Request),
        # No function takes CloudEvents, but one takes requests on this path.
        (fake.request("POST", "/hook", json={}, headers={"ce-specversion": "1.0", "ce-id": "1", "ce-source": "s", "ce-type": "t"}), 200, Request),
        # No function takes it or answers on its path, so it isn't acknowledged.
        (fake.request("POST", "/", json={}, headers={"ce-specversion": "1.0", "ce-id": "1", "ce-source": "s", "ce-type": "t"}), 503, None),
        (fake.request("POST", "/other", json={"n": 1}), 404, None),
        (fake.request("GET", "/hook"), 405, None),
    ],
)  # fmt: skip
def test_http_functions_get_requests_that_no_event_function_takes(
    service: str, request_: Request[Any], status: int, kind: Any
) -> None:
    seen: list[Any] = []
    assert status == answer_of(entry(*two(seen)), request_, service).status
    assert ([] if kind is None else [kind]) == [type(one) for one in seen]


def test_a_function_for_any_event_gets_a_push_as_a_message_and_a_request_as_a_request() -> None:
    seen: list[Any] = []
    function = taking(Event, seen)
    assert (204, 204) == (
        sent(push(), function).status,
        sent(fake.request("POST", json={"n": 1}), function).status,
    )
    assert {Message, Request} == {type(one) for one in seen}


def test_an_entry_of_http_functions_treats_every_request_as_http() -> None:
    seen: list[Any] = []
    assert 204 == sent(push(), taking(Request, seen)).status
    assert {Request} == {type(one) for one in seen}


def test_a_message_from_eventarc_has_the_cloudevent_as_its_envelope() -> None:
    seen: list[Any] = []
    deliver(taking(Message, seen), fake.message({"n": 1}, key="k", attempt=7), to="gcp", via="pubsub_eventarc")
    assert [CloudEvent] == [type(one) for one in seen[0].envelopes]
    assert (7, "k", "orders") == (seen[0].attempt, seen[0].key, seen[0].channel)


def test_a_function_for_cloudevents_gets_eventarcs_event() -> None:
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


def test_a_binary_message_reaches_the_function_for_messages_beside_one_for_cloudevents() -> None:
    seen: list[Any] = []
    functions = [taking(Message, seen), taking(CloudEvent, [])]
    message = fake.message(body=b"\xff\xfe")
    [request] = simulate.payloads([message], "pubsub_push")
    assert 204 == sent(request, *functions).status
    assert {b"\xff\xfe"} == {one.body for one in seen}


def test_the_subscriptions_name_selects_the_function() -> None:
    seen: list[str] = []

    @portable(on.topic("orders"))
    def orders(message: Message) -> None:
        seen.append("orders")

    @portable(on.topic("bills"))
    def bills(message: Message) -> None:
        seen.append("bills")

    for name in ("bills", "orders", "neither"):
        [request] = simulate.payloads([fake.message({}, channel=name)], "pubsub_push")
        assert (503 if name == "neither" else 204) == answer_of(entry(orders, bills), request).status
    assert ["bills", "orders"] == seen


# Answers


@pytest.mark.parametrize(("kind", "service"), [one for one in SERVICES if one[0] != "Task"])
@pytest.mark.parametrize(
    ("raised", "status", "after"),
    [
        (None, 204, None),
        (ValueError("secret"), 503, None),
        (Retry("busy"), 503, None),
        (Retry("busy", after=0.2), 429, "1"),
        (Retry("busy", after=30), 429, "30"),
        # Retried rather than lost, since there is no dead-letter topic.
        (Reject("no"), 503, None),
        (SystemExit(), 503, None),
    ],
)
def test_each_outcome_has_its_status(
    kind: str, service: str, raised: BaseException | None, status: int, after: str | None
) -> None:
    [event] = [one for one in events() if type(one).__name__ == kind]
    [request] = simulate.payloads([event], service)
    answer = answer_of(entry(taking(KINDS[kind], [], raised)), request)
    assert (status, after) == (answer.status, answer.headers.get("retry-after"))
    assert b"secret" not in answer.body


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
        # Eventarc Advanced would drop an event after 400.
        (fake.request("POST", headers={"ce-specversion": "1.0", "ce-id": "1"}), 503),
        (fake.request("POST", body="[", headers={"content-type": "application/cloudevents+json"}), 503),
        (fake.request("POST", body="{}", headers={"content-type": "application/cloudevents-batch+json"}), 503),
        (fake.request("POST", body="{}", headers={"content-type": "text/plain"}), 400),
    ],
)
def test_an_unreadable_event_is_refused_and_logged_and_never_acknowledged(
    service: str, request_: Request[Any], status: int, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[Any] = []
    answer = answer_of(entry(taking(Message, seen)), request_, service)
    assert (status, "application/problem+json", []) == (answer.status, answer.headers["content-type"], seen)
    assert "DecodeError" in caplog.text
    assert b"Traceback" not in answer.body


def test_a_message_with_only_attributes_is_acknowledged() -> None:
    seen: list[Any] = []
    value = {"subscription": SUBSCRIPTION, "message": {"attributes": {"only": "this"}, "messageId": "1"}}
    assert 204 == sent(with_json(value), taking(Message, seen)).status
    assert (b"", {"only": "this"}, None) == (seen[0].body, seen[0].attributes, seen[0].data)


def test_a_push_may_have_a_message_of_ten_megabytes() -> None:
    seen: list[Any] = []
    assert (204, 10_000_000) == (
        answer_of(entry(taking(Message, seen)), push(fake.message(body=b"x" * 10_000_000))).status,
        len(seen[0].body),
    )


def test_an_http_function_keeps_its_body_limit_beside_functions_for_events() -> None:
    @portable(on.http("POST", "/hook", max_body=10))
    def hook(request: Request) -> None: ...

    functions = (hook, taking(Message, []))
    for service in simulate.SERVICES:
        assert 413 == answer_of(entry(*functions), fake.request("POST", "/hook", body="x" * 11), service).status
        # Over the limit of events, and not from Google.
        assert (
            413 == answer_of(entry(*functions), fake.request("POST", "/hook", body=b"x" * (17 << 20)), service).status
        )


def batch(*values: object) -> Request[Any]:
    return fake.request("POST", body=json.dumps(values), headers={"content-type": "application/cloudevents-batch+json"})


def cloud_event(id: str, source: str = "s", **more: Any) -> dict[str, Any]:
    return {"specversion": "1.0", "id": id, "source": source, "type": "t", **more}


@pytest.mark.parametrize("service", ["http", "http_async"])
def test_a_batch_has_one_answer(service: str) -> None:
    seen: list[str] = []

    @portable
    def handler(event: CloudEvent) -> None:
        seen.append(event.source + event.id)
        if event.data == "fail":
            raise ValueError

    def status(*values: object) -> int:
        return answer_of(entry(handler), batch(*values), service).status

    assert (204, ["s1", "s2"]) == (status(cloud_event("1"), cloud_event("2")), seen)
    assert 503 == status(cloud_event("3"), cloud_event("4", data="fail"), cloud_event("5"))
    assert 503 == status(cloud_event("6"), {"specversion": "1.0"})
    assert ["s3", "s4", "s5", "s6"] == seen[2:]
    assert 204 == status()


def test_two_events_of_a_batch_may_share_an_id_if_their_sources_differ() -> None:
    seen: list[Any] = []
    assert (
        204
        == answer_of(
            entry(taking(CloudEvent, seen)), batch(cloud_event("1", "a"), cloud_event("1", "a"), cloud_event("1", "b"))
        ).status
    )
    assert [("1", "a"), ("1", "b")] == [(one.id, one.source) for one in seen]


def test_a_handler_of_batches_gets_a_batch_of_one() -> None:
    sizes: list[int] = []

    @portable
    def handler(messages: Batch[Message]) -> None:
        sizes.append(len(messages))
        messages.retry(messages[0], after=5)

    assert (429, [1]) == (answer_of(entry(handler), push()).status, sizes)


# Without time left


def test_one_event_is_handled_however_little_time_is_left() -> None:
    seen: list[Any] = []
    delivery = deliver(taking(Message, seen), fake.message({}), to="gcp", seconds=0)
    assert (["acknowledged"], 1) == (delivery.outcomes, len(seen))


# Sync, async, context variables


VARIABLE: ContextVar[str] = ContextVar("VARIABLE", default="unset")


@pytest.mark.parametrize("service", ["http", "http_async"])
@pytest.mark.parametrize("is_async", [False, True])
def test_context_variables_belong_to_one_event(service: str, is_async: bool) -> None:
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
        assert 204 == answer_of(target, push(), service).status
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
    assert (204, [True]) == (answer_of(entry(*functions), push(), "http_async").status, seen)


@pytest.mark.parametrize("service", ["http", "http_async"])
def test_background_work_runs_before_the_answer(service: str) -> None:
    done: list[str] = []

    async def work() -> None:
        done.append("work")

    @portable
    def handler(message: Message, context: Context) -> None:
        context.background(work())

    assert (204, ["work"]) == (answer_of(entry(handler), push(), service).status, done)


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
def test_the_trace_is_the_publishers_or_else_the_requests(
    attributes: dict[str, str], headers: dict[str, str], expected: str | None
) -> None:
    seen: list[Any] = []

    @portable
    def handler(message: Message, context: Context) -> None:
        seen.append((None if context.trace is None else context.trace.traceparent, context.invocation_id))

    request = push(fake.message({}, attributes=attributes))
    lines = {**dict(request.headers), **headers}
    assert (204, [(expected, "execution-1")]) == (
        answer_of(entry(handler), fake.request("POST", headers=lines, body=request.body, id="execution-1")).status,
        seen,
    )


# Events that functions-framework decoded


class SDKEvent:
    """A stand-in for the CloudEvents SDK's event."""

    def __init__(self, attributes: dict[str, Any], data: Any) -> None:
        self._attributes = attributes
        self._data = data

    def get_attributes(self) -> dict[str, Any]:
        return self._attributes

    def get_data(self) -> Any:
        return self._data


class SDKContext:
    """A stand-in for functions-framework's Context of a first-generation event."""

    def __init__(self, **known: Any) -> None:
        self.__dict__.update(known)


def test_a_function_run_as_cloudevent_gets_the_event() -> None:
    seen: list[Any] = []
    target = entry(taking(CloudEvent, seen))
    attributes = {"specversion": "1.0", "id": "1", "source": "s", "type": "t", "time": "2026-01-02T03:04:05Z"}
    for data in ({"n": 1}, b'{"n": 1}', None):
        assert None is target(SDKEvent(attributes, data))
    assert [{"n": 1}, {"n": 1}, None] == [one.data for one in seen]
    assert {"1"} == {one.id for one in seen}


def test_a_function_run_as_event_gets_the_event() -> None:
    seen: list[Any] = []
    resource = {"service": "pubsub.googleapis.com", "name": "projects/p/topics/orders"}
    context = SDKContext(
        event_id="1", event_type="google.pubsub.topic.publish", timestamp="2026-01-02T03:04:05Z", resource=resource
    )
    assert None is entry(taking(Message, seen))({"data": "aGk="}, context)
    assert [fake.message(body="hi", id="1", source=TOPIC, attempt=None)] == seen


def test_a_realtime_database_event_without_a_domain_has_no_location() -> None:
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


def test_a_failed_event_raises_in_functions_run_as_cloudevent() -> None:
    event = SDKEvent({"specversion": "1.0", "id": "1", "source": "s", "type": "t"}, None)
    for function in (taking(CloudEvent, [], ValueError("x")), taking(ObjectEvent, [])):
        with pytest.raises(Retry):
            entry(function)(event)
    with pytest.raises(Retry):
        entry(taking(CloudEvent, []))(SDKEvent({}, None))
    with pytest.raises(DecodeError, match="takes only requests"):
        entry(taking(Request, []))(event)


def test_two_functions_for_every_message_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="both take every Message"):
        entry(taking(Message, []), taking(Message, []))


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


def test_the_due_time_of_a_cloud_task_is_exact() -> None:
    time = datetime(2026, 1, 2, 3, 4, 5, 678_901, UTC) + timedelta(microseconds=1)
    seen: list[Any] = []
    deliver(taking(Message, seen), fake.message({}, time=time), to="gcp", via="cloud_tasks")
    assert [time] == [one.time for one in seen]
