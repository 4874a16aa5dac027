"""Whatever the side data of a service's payload is, the event arrives with its own id, and each field can be read."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from portable_fn import ChangeEvent, CloudEvent, Context, Message, ObjectEvent, Request, ScheduleEvent, on, portable
from portable_fn.pairs import Headers
from portable_fn.testing import fake
from portable_fn_asgi import simulate as container
from portable_fn_asgi.entry import entry as container_entry
from portable_fn_azure import simulate as azure
from portable_fn_azure.simulate.payloads import Sent
from portable_fn_azure.simulate.worker import functions_for
from portable_fn_cloudflare import simulate as cloudflare
from portable_fn_cloudflare.entry import worker
from portable_fn_cloudflare.simulate.javascript import FFI, JS, Env, ExecutionContext, WorkerEntrypoint
from portable_fn_gcp import entry as google_entry
from portable_fn_gcp import simulate as google

pytestmark = pytest.mark.slow

seen: list[Any] = []


def look(event: Any, ctx: Context) -> None:
    """Read everything in the event except its data, as a log or a dead letter does."""
    for name in event._fields:
        getattr(event, name)
    assert repr(event)
    ctx.log.info("it is here")
    assert ctx.correlation_id
    ctx.trace  # noqa: B018  # it is read
    seen.append((event.id, event.source))


@portable(on.queue("orders"), on.topic("orders"), on.stream("orders"))
def message(event: Message, ctx: Context) -> None:
    look(event, ctx)


@portable(on.object("uploads"))
def stored(event: ObjectEvent, ctx: Context) -> None:
    look(event, ctx)


@portable(on.change("users"))
def changed(event: ChangeEvent, ctx: Context) -> None:
    look(event, ctx)


@portable(on.schedule("0 3 * * *", name="nightly"))
def tick(event: ScheduleEvent, ctx: Context) -> None:
    look(event, ctx)


@portable(on.event("sold"))
def happened(event: CloudEvent, ctx: Context) -> None:
    look(event, ctx)


MESSAGE = fake.message(
    {"n": 1}, subject="an order", content_type="application/json", attributes={"tenant": "7", "city": "Zürich"}, key="c-7",
    partition="3", sequence="41", attempt=2,
)  # fmt: skip
EVENTS: dict[str, tuple[Any, Any]] = {
    "Message": (message, MESSAGE),
    "ObjectEvent": (
        stored,
        fake.object(
            "uploads", "a.png", size=3, etag="e", version="7", content_type="image/png", metadata={"by": "Ada"}
        ),
    ),
    "ChangeEvent": (
        changed,
        fake.change("users", action="updated", before={"id": "7", "n": 1}, after={"id": "7", "n": 2}, sequence="9"),
    ),
    "ScheduleEvent": (tick, fake.schedule(name="nightly", cron="0 3 * * *")),
    "CloudEvent": (
        happened,
        fake.cloud_event(
            "sold", {"n": 1}, subject="lamp", extensions={"tenant": "7", "traceparent": "00-x"}, schema="https://s"
        ),
    ),
}

# The JSON members that are an event's identity, source, order or payload; all others are side data.
STRICT = frozenset(
    (
        "specversion", "id", "source", "type", "partitionkey", "data", "data_base64",
        "message", "messageId", "message_id", "subscription", "orderingKey", "ordering_key", "body",
        "context", "eventId", "eventType", "resource", "service", "name", "domain",
        "bucket", "key", "table", "metageneration", "bucketId", "objectId", "objectGeneration",
        "value", "oldValue", "before", "after", "fields", "updateTime", "input",
        "topic", "entries", "entryId", "event", "pubsubname", "__topic", "__partition", "__offset",
        "account", "action", "object",
    )
)  # fmt: skip
STRICT_HEADERS = frozenset(
    (
        "content-type", "content-length", "host", "ce-specversion", "ce-id", "ce-source", "ce-type", "ce-partitionkey",
        "x-goog-pubsub-message-id", "x-goog-pubsub-subscription-name", "x-cloudtasks-queuename", "x-cloudtasks-taskname",
        "x-cloudscheduler", "x-cloudscheduler-jobname", "x-cloudscheduler-scheduletime", "id", "readtimeutc",
        # They name the object of a notification.
        "eventtype", "bucketid", "objectid", "objectgeneration",
    )
)  # fmt: skip
ODD: list[Any] = [None, True, -1, 1.5, 10**30, "", "x", "٣", "\ud800", "9" * 400, [], {}, [None], {"a": [1]}]
ODD_TEXTS = ["", "x", "-1", "1e9", "9" * 400, "noon", '"', "%FF", "a, b", "=?x?q??=", "é"]


def members(value: Any) -> Iterator[tuple[list[Any], str]]:
    """Return the paths of the members that are side data."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if name not in STRICT and not (isinstance(inner, dict) and STRICT.intersection(inner)):
                yield [], name
            if name not in ("before", "after", "fields"):
                for path, result in members(inner):
                    yield [name, *path], result
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            for path, result in members(inner):
                yield [index, *path], result


def changed_at(value: Any, path: list[Any], name: str, odd: Any) -> Any:
    copy = json.loads(json.dumps(value))
    place = copy
    for step in path:
        place = place[step]
    place[name] = odd
    return copy


def mutants(request: Request[Any]) -> Iterator[tuple[str, Request[Any]]]:
    """Return the request with one part of its side data changed, for all of them."""

    def made(headers: dict[str, str], body: bytes) -> Request[Any]:
        if "content-length" in headers:
            headers["content-length"] = str(len(body))
        target = request.raw_path + (f"?{request.raw_query}" if request.raw_query else "")
        return (
            Request(request.method, request.raw_path, request.raw_query, Headers(headers), body, host=request.host)
            if target
            else request
        )

    headers = request.headers.joined()
    for name in headers:
        if name not in STRICT_HEADERS:
            for odd in ODD_TEXTS:
                yield f"{name}: {odd}", made({**headers, name: odd}, request.body)
            yield f"no {name}", made({known: value for known, value in headers.items() if known != name}, request.body)
    try:
        value = json.loads(request.body)
    except ValueError:
        return
    for path, name in members(value):
        for odd in ODD:
            body = json.dumps(changed_at(value, path, name, odd)).encode()
            yield f"{path} {name}: {odd!r}", made(dict(headers), body)
    more = {"a-b": 1, "A_B": "x", "": "x", "é": [], "x" * 300: {}, "time_": None}
    if isinstance(value, dict) and "specversion" in value:
        yield "more members", made(dict(headers), json.dumps({**value, **more}).encode())


def arrives(
    requests: Iterator[tuple[str, Request[Any]]], original: Request[Any], send: Callable[[Request[Any]], int]
) -> int:
    seen.clear()
    assert send(original) in (200, 202, 204)
    [expected] = seen
    count = 0
    for name, request in requests:
        seen.clear()
        status = send(request)
        assert (name, [expected]) == (name, seen)
        assert status in (200, 202, 204), name
        count += 1
    return count


KINDS = tuple(EVENTS)
GOOGLE = [(service, kind) for kind in KINDS for service in google.EVENT_SERVICES[kind]]


@pytest.mark.parametrize(("service", "kind"), GOOGLE)
def test_an_event_of_google_arrives_whatever_its_side_data_says(service: str, kind: str) -> None:
    function, event = EVENTS[kind]
    target = google_entry(function)

    def send(request: Request[Any]) -> int:
        made = google.sent(target, request)
        return made.answer(made.invoke()).status

    [request] = google.payloads([event], service)
    assert arrives(mutants(request), request, send) > (0 if service in ("firestore_base64", "scheduler") else 10)


CONTAINER = [(service, kind) for kind in KINDS for service in container.EVENT_SERVICES[kind]]


@pytest.mark.parametrize(("service", "kind"), CONTAINER)
def test_an_event_in_a_container_arrives_whatever_its_side_data_says(service: str, kind: str) -> None:
    function, event = EVENTS[kind]

    async def call(request: Request[Any]) -> int:
        sent: list[Any] = []

        async def receive() -> Any:
            return {"type": "http.request", "body": request.body}

        async def send(message: Any) -> None:
            sent.append(message)

        await application(container.scope(request), receive, send)
        told = json.loads(sent[1]["body"] or b"null") if service in ("dapr_pubsub", "dapr_bulk") else None
        statuses = [] if told is None else told.get("statuses") or [told]
        assert all(one["status"] == "SUCCESS" for one in statuses), told
        status: int = sent[0]["status"]
        return status

    application = container_entry(function)
    [request] = container.payloads([event], service)
    with asyncio.Runner() as runner:
        assert arrives(mutants(request), request, lambda one: runner.run(call(one))) >= (
            0 if service in ("dapr_job", "dapr_cron") else 5
        )


# --- Azure: the worker's objects ---------------------------------------------------------------------------------------

SIDE = (
    "insertion_time", "dequeue_count", "expiration_time", "pop_receipt", "content_type", "subject", "label", "delivery_count",
    "enqueued_time_utc", "application_properties", "user_properties", "enqueued_time", "timestamp", "headers", "iothub_metadata",
    "length", "event_time", "data_version", "time", "datacontenttype", "dataschema", "extension_attrs", "past_due",
)  # fmt: skip
# A row of SQL or MySQL has only its payload. Event Grid puts JSON into a queue, as elsewhere.
ELSEWHERE = ("sql", "mysql", "event_grid_storage_queue")
AZURE = [(service, kind) for kind in KINDS for service in azure.EVENT_SERVICES[kind] if service not in ELSEWHERE]


class Mutant:
    """Return a native object of the worker with one attribute replaced."""

    def __init__(self, native: Any, name: str, odd: Any) -> None:
        self.__dict__.update(native_=native, **{name: odd})

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["native_"], name)


@pytest.mark.parametrize(("service", "kind"), AZURE)
def test_an_event_of_azures_arrives_whatever_its_side_data_says(service: str, kind: str) -> None:
    function, event = EVENTS[kind]
    with azure.playing(service):
        [wired] = functions_for((function,), service)
    if (service, kind) == ("event_grid", "CloudEvent"):
        event = fake.cloud_event("sold", {"n": 1}, subject="lamp")
    sent = azure.payloads([event], service)[0]

    def natives(one: Sent) -> Any:
        native = wired.native(one)
        return list(native) if isinstance(native, Sequence) else [native]

    def call(native: Any) -> bool:
        seen.clear()
        arguments = {"actions": Actions()} if service == "service_bus_settled" else {}
        wired.user_function(event=native if many else native[0], context=Invoked(), **arguments)
        return True

    class Invoked:
        invocation_id, retry_context, function_name = "i-1", None, "f"

    class Actions:
        def complete(self, message: Any) -> None: ...

    one = sent.many if wired.many or not sent.each else sent.each[0]
    many = isinstance(wired.native(one), Sequence)
    assert call(natives(one))
    [expected] = seen
    for odd in [*ODD, object(), b"\xff", MESSAGE]:
        for name in SIDE:
            [native] = natives(one)
            if name == "subject" and kind == "ObjectEvent":
                continue  # it says which object
            if isinstance(native, Mapping):
                mutated: Any = {**native, "_ts": odd, "_attachments": odd, "_self": odd}
            else:
                mutated = Mutant(native, name, odd)
            call([mutated])
            assert (name, [expected]) == (name, seen)


# --- Cloudflare --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("service", "kind"),
    [("queue", "Message"), ("queue_raw", "Message"), ("r2_queue", "ObjectEvent"), ("queue", "CloudEvent")],
)
def test_an_event_of_cloudflares_arrives_whatever_its_side_data_says(service: str, kind: str) -> None:
    function, event = EVENTS[kind]
    instance = worker((function,), WorkerEntrypoint, JS, FFI)(ExecutionContext(), Env({}))

    def call(change: Callable[[Any], None]) -> None:
        seen.clear()
        [batch] = cloudflare.payloads([event], service)
        [sent] = batch.messages
        native = SimpleNamespace(
            id=sent.id,
            timestamp=sent.timestamp,
            body=sent.body,
            attempts=sent.attempts,
            ack=lambda: None,
            retry=lambda: None,
        )
        change(native)
        asyncio.run(instance.queue(SimpleNamespace(queue=batch.queue, messages=[native])))

    call(lambda native: None)
    [expected] = seen
    for odd in [*ODD, object(), float("nan")]:
        for name in ("timestamp", "attempts"):
            call(lambda native, name=name, odd=odd: setattr(native, name, odd))  # type: ignore[misc]
            assert (name, [expected]) == (name, seen)
    [batch] = cloudflare.payloads([event], service)
    body = batch.messages[0].body
    value = body.to_py() if hasattr(body, "to_py") else body
    if kind == "Message" or not isinstance(value, dict):
        return
    for path, name in members(value):
        for odd in ODD:
            if odd != "\ud800":
                text = json.dumps(changed_at(value, path, name, odd))
                call(lambda native, text=text: setattr(native, "body", text))  # type: ignore[misc]
                assert (path, name, odd, [expected]) == (path, name, odd, seen)
