"""Events that come to a container over HTTP: CloudEvents, Knative's and Dapr's corners, tasks."""

from __future__ import annotations

import asyncio
import contextvars
import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portable_fn import (
    Batch,
    ChangeEvent,
    CloudEvent,
    Context,
    Event,
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
from portable_fn.events import CHANGE_ACTIONS, OBJECT_ACTIONS
from portable_fn.testing import asgi, deliver, fake
from portable_fn.testing.loop import run
from portable_fn.testing.results import Answer
from portable_fn_asgi import capabilities, entry, simulate

ENVELOPE = {
    "specversion": "1.0", "id": "1", "source": "checkout", "type": "com.dapr.event.sent", "time": "2026-01-02T03:04:05Z",
    "datacontenttype": "application/json", "data": {"n": 1}, "topic": "orders", "pubsubname": "pubsub",
    "traceid": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "tracestate": "",
    "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
}  # fmt: skip
KAFKA = {
    "ce-specversion": "1.0", "ce-id": "partition:2/offset:564", "ce-type": "dev.knative.kafka.event", "ce-key": "k 1",
    "ce-source": "/apis/v1/namespaces/default/kafkasources/kafka-source#orders", "ce-subject": "partition:2#564",
}  # fmt: skip


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def send(application: Any, request: Request[Any]) -> Answer:
    return asgi.answer(run(simulate.messages(application, simulate.scope(request), request.body)))


def post(application: Any, path: str, body: Any = b"", headers: dict[str, str] | None = None) -> Answer:
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    given = {"content-type": "application/json", **(headers or {})}
    return send(application, fake.request("POST", path, body=body, headers=given))


def keeper(kind: Any, *triggers: Any) -> tuple[Any, list[Any]]:
    """A function that keeps what it gets."""
    seen: list[Any] = []

    def keep(event: Any, ctx: Context) -> None:
        seen.append(event)

    keep.__annotations__["event"] = kind
    return portable(*triggers)(keep), seen


# What is carried, of which the law holds.

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
ids = text.filter(bool)
# What a header can carry without being encoded.
plain = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=20)
names = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=1, max_size=20).filter(
    lambda name: (
        name not in ("id", "type", "time", "data", "source", "subject", "topic", "sequence", "channel", "via", "key")
    )
)
times = st.datetimes(timezones=st.just(UTC))
values = st.none() | st.integers() | st.booleans() | text
rows = st.none() | st.dictionaries(text, values, max_size=3)
optional = st.none() | ids


def messages(
    channel: st.SearchStrategy[str] = text, **fields: st.SearchStrategy[Any]
) -> st.SearchStrategy[Message[Any]]:
    return st.builds(fake.message, body=st.binary(max_size=20), id=ids, channel=channel, **fields)


binary_bodies = st.sampled_from(["image/png", "application/octet-stream", "text/plain"])
EVENTS: dict[str, st.SearchStrategy[Any]] = {
    "cloud_event Message": messages(
        source=ids,
        time=st.none() | times,
        content_type=st.sampled_from(["", "image/png", "application/json"]),
        attributes=st.dictionaries(text, text | st.binary(max_size=5), max_size=3),
        subject=text,
        attempt=st.none(),
        key=optional,
        partition=optional,
        sequence=optional,
    ),
    "dapr_pubsub Message": messages(
        ids,
        source=ids,
        time=times,
        content_type=binary_bodies,
        attributes=st.dictionaries(names, ids, max_size=3),
        subject=text,
        attempt=st.none() | st.integers(1, 100),
        key=st.none() | plain,
        partition=st.none() | plain,
        sequence=st.none() | plain,
    ),
    "dapr_bulk Message": messages(
        ids,
        source=ids,
        time=times,
        content_type=binary_bodies,
        attributes=st.dictionaries(names, ids, max_size=3)
        | st.dictionaries(plain.map(str.lower).map("my-".__add__), text),
        subject=text,
        attempt=st.none() | st.integers(1, 100),
        key=optional,
        partition=optional,
        sequence=optional,
    ),
    "cloud_event ObjectEvent": st.builds(
        fake.object,
        text,
        text,
        action=st.sampled_from(OBJECT_ACTIONS),
        id=ids,
        source=ids,
        time=st.none() | times,
        size=st.none() | st.integers(0),
        etag=st.none() | text,
        version=st.none() | text,
        content_type=st.none() | text,
    ),
    "cloud_event ChangeEvent": st.builds(
        fake.change,
        text,
        before=rows,
        after=rows,
        action=st.sampled_from(CHANGE_ACTIONS),
        key=rows.filter(lambda key: key is not None),
        id=ids,
        source=ids,
        time=st.none() | times,
        partition=optional,
        sequence=optional,
    ),
    "cloud_event ScheduleEvent": st.builds(
        fake.schedule, at=st.none() | times, name=text, cron=text, id=ids, source=ids, input=values
    ),
    **{
        f"{mode} CloudEvent": st.builds(
            fake.cloud_event,
            ids,
            body=st.binary(max_size=20),
            id=ids,
            source=ids,
            subject=text,
            time=st.none() | times,
            content_type=binary_bodies,
            schema=text,
            extensions=st.dictionaries(names, ids, max_size=3),
        )
        for mode in ("binary", "structured", "batched")
    },
}
KINDS = {kind.__name__: kind for kind in (Message, ObjectEvent, ChangeEvent, ScheduleEvent, CloudEvent, Task)}


@pytest.mark.parametrize("service", EVENTS)
def test_decode_reads_what_simulate_renders(service: str) -> None:
    via, _, kind = service.partition(" ")

    @settings(deadline=None, max_examples=60)
    @given(EVENTS[service])
    def law(event: Event[Any]) -> None:
        keep, seen = keeper(KINDS[kind])
        made = deliver(keep, event, to="asgi", via=via)
        assert (["acknowledged"], [event]) == (made.outcomes, seen)

    law()


def test_a_binding_a_job_and_a_cron_binding_carry_what_dapr_tells() -> None:
    keep, seen = keeper(Message, on.queue("orders"))
    message = fake.message({"n": 1}, id="7", source="orders", attempt=3, attributes={"colour": "blue"})
    deliver(keep, message, to="asgi", via="dapr_binding")
    assert [message] == seen

    keep, seen = keeper(ScheduleEvent, on.schedule("0 3 * * *", name="nightly"))
    at = datetime(2026, 1, 2, 3, 0, 0, 250_000, tzinfo=UTC)
    for via in ("dapr_cron", "dapr_job"):
        deliver(keep, fake.schedule(at=at, input={"n": 1}), to="asgi", via=via)
    assert [
        fake.schedule(id="nightly/2026-01-02 03:00:00.25 +0000 UTC", cron="0 3 * * *", at=at),
        fake.schedule(id="nightly", cron="0 3 * * *", at=None, input={"n": 1}),
    ] == seen


# Outcomes, as each sender has them.


@portable(on.queue("orders", dead_letter="poison"))
def ship(order: Message) -> None:
    if order.data == "later":
        raise Retry("busy", after=2.5)
    if order.data == "never":
        raise Reject("unknown sku")
    if order.data == "broken":
        raise RuntimeError("not for others to read")


@portable(on.queue("orders"))
def ship_without_dead_letters(order: Message) -> None:
    raise Reject("unknown sku")


ORDERS = [fake.message(data, id=f"{data}") for data in ("done", "later", "never", "broken")]


@pytest.mark.parametrize(
    ("via", "outcomes", "afters"),
    [
        ("cloud_event", ["acknowledged", "retried", "dead-lettered", "retried"], [None, 3.0, None, None]),
        ("dapr_pubsub", ["acknowledged", "retried", "dead-lettered", "retried"], [None] * 4),
        ("dapr_bulk", ["acknowledged", "retried", "dead-lettered", "retried"], [None] * 4),
        ("dapr_binding", ["acknowledged", "retried", "retried", "retried"], [None] * 4),
    ],
)
def test_each_message_has_its_own_outcome(via: str, outcomes: list[str], afters: list[float | None]) -> None:
    if via == "dapr_binding":
        afters = [None] * 4
    made = deliver(ship, ORDERS, to="asgi", via=via)
    assert (outcomes, afters) == (made.outcomes, [one.waits for one in made.results])


def test_a_reject_is_told_to_knative_and_nothing_else_is() -> None:
    answers = deliver(ship, ORDERS, to="asgi", via="cloud_event").native_answers
    assert [202, 503, 400, 503] == [answer.status for answer in answers]
    assert "unknown sku" == answers[2].json()["detail"]
    assert b"not for others" not in b"".join(answer.body for answer in answers)


@pytest.mark.parametrize("via", ["dapr_pubsub", "dapr_bulk"])
def test_dapr_retries_a_reject_that_it_would_lose(via: str) -> None:
    assert ["retried"] == deliver(ship_without_dead_letters, fake.message(), to="asgi", via=via).outcomes


@pytest.mark.parametrize(
    ("path", "topic", "status"),
    [
        ("/portable_fn/a%2Fb", "a/b", "DROP"),
        ("/portable_fn/bills", "bills", "RETRY"),
        ("/my/route", "a/b", "RETRY"),
    ],
)
def test_dapr_drops_only_what_its_subscription_has_dead_letters_for(path: str, topic: str, status: str) -> None:
    @portable(on.topic("a/b", dead_letter="poison"), on.topic("bills"))
    def refuse(message: Message) -> None:
        raise Reject("no")

    entries = [{"entryId": "0", "event": {**ENVELOPE, "topic": topic}}]
    bulk = {"topic": topic, "pubsubname": "pubsub", "entries": entries}
    assert [{"entryId": "0", "status": status}] == post(entry(refuse), path, bulk).json()["statuses"]


@pytest.mark.parametrize(
    ("data", "outcome", "status"),
    [
        (["done", "done"], "acknowledged", 202),
        (["done", "broken"], "retried", 503),
        (["done", "never"], "retried", 503),
        (["never", "never"], "dead-lettered", 400),
    ],
)
def test_a_batch_of_cloud_events_has_one_outcome(data: list[str], outcome: str, status: int) -> None:
    events = [fake.cloud_event("orders", one, id=f"{number}") for number, one in enumerate(data)]
    made = deliver(ship, events, to="asgi", via="batched")
    assert ([outcome] * 2, status) == (made.outcomes, made.native_answers[0].status)


def test_a_bulk_keeps_the_order_of_a_key() -> None:
    seen: list[str] = []

    @portable(on.stream("orders"))
    def handle(order: Message) -> None:
        seen.append(order.id)
        if order.id == "2":
            raise RuntimeError

    events = [fake.message(id=str(number), key=key) for number, key in enumerate("aabab", 1)]
    made = deliver(handle, events, to="asgi", via="dapr_bulk")
    assert ["acknowledged", "retried", "acknowledged", "retried", "acknowledged"] == made.outcomes
    assert ["1", "2", "3", "5"] == seen


def test_a_bulk_comes_whole_to_a_batch_handler() -> None:
    seen: list[list[str]] = []

    @portable(on.queue("orders", dead_letter="poison"))
    def handle(orders: Batch[Message]) -> None:
        seen.append([order.id for order in orders])
        orders.retry(orders[0])
        orders.reject(orders[1])

    made = deliver(handle, [fake.message(id=id) for id in "abc"], to="asgi", via="dapr_bulk")
    assert (["retried", "dead-lettered", "acknowledged"], [["a", "b", "c"]]) == (made.outcomes, seen)


def test_one_entry_of_a_bulk_that_cannot_be_read_is_retried_alone() -> None:
    keep, seen = keeper(Message, on.topic("orders"))
    entries: list[Any] = [
        {"entryId": "a", "event": ENVELOPE, "metadata": {"__key": "k"}},
        {"entryId": "b", "event": {**ENVELOPE, "id": ""}, "metadata": {}},
        {"entryId": "c"},
        {"entryId": "d", "event": "AP8=", "metadata": {"__topic": "orders", "__partition": "0", "__offset": "5"}, "contentType": "image/png"},
        {"entryId": "e", "event": "AP8=", "metadata": None},
        5,
    ]  # fmt: skip
    answer = post(entry(keep), "/portable_fn/orders", {"topic": "orders", "pubsubname": "pubsub", "entries": entries})
    statuses = {one["entryId"]: one["status"] for one in answer.json()["statuses"]}
    # After one that can't be read, whatever has a key stops.
    assert {"a": "SUCCESS", "b": "RETRY", "c": "RETRY", "d": "SUCCESS", "e": "RETRY", None: "RETRY"} == statuses
    assert [("1", b'{"n":1}'), ("orders/0/5", b"\x00\xff")] == [(one.id, one.body) for one in seen]


def test_a_bulk_of_which_hardly_anything_can_be_read_is_none() -> None:
    keep, seen = keeper(Message, on.topic("orders"))
    bulk = {"topic": "orders", "pubsubname": "pubsub", "entries": [*range(1001), {"entryId": "0", "event": ENVELOPE}]}
    assert (400, []) == (post(entry(keep), "/portable_fn/orders", bulk).status, seen)


def test_a_cloud_event_is_answered_by_another_one() -> None:
    @portable(on.event("order.created"))
    async def bill(order: CloudEvent) -> CloudEvent:
        return fake.cloud_event("order.billed", {"n": order.data["n"]}, id="2", subject="Zoë", extensions={"x": "1"})

    made = deliver(bill, fake.cloud_event(data={"n": 1}), to="asgi")
    assert fake.cloud_event("order.billed", {"n": 1}, id="2", subject="Zoë", extensions={"x": "1"}) == made.result
    assert 200 == made.native_answers[0].status
    # What isn't wanted is done without a call.
    assert (None, 202) == (
        (other := deliver(bill, fake.cloud_event("order.lost"), to="asgi")).result,
        other.native_answers[0].status,
    )


def test_a_dead_letter_of_knative_tells_why() -> None:
    keep, seen = keeper(CloudEvent)
    extensions = {"knativeerrordest": "http://f.ns.svc", "knativeerrorcode": "400", "knativeerrordata": "eyJhIjoxfQ=="}
    deliver(keep, fake.cloud_event(extensions=extensions), to="asgi")
    assert [extensions] == [event.extensions for event in seen]


# Which request is which event.


def test_a_kafka_record_of_knative_is_a_message_with_its_place() -> None:
    keep, seen = keeper(Message, on.stream("orders"))
    assert 202 == post(entry(keep), "/", {"n": 1}, KAFKA).status
    [record] = seen
    assert ("orders", "k 1", "2", "564") == (record.channel, record.key, record.partition, record.sequence)
    assert ("partition:2/offset:564", {"n": 1}) == (record.id, record.data)
    assert "dev.knative.kafka.event" == record.envelopes[-1].type


def test_any_other_cloud_event_is_a_message_of_its_type() -> None:
    orders, of_orders = keeper(Message, on.topic("order.created"))
    users, of_users = keeper(Message, on.topic("user.created"))
    answer = deliver(
        [orders, users], fake.cloud_event("order.created", {"n": 1}, extensions={"tenant": "a"}), to="asgi"
    )
    assert (["acknowledged"], []) == (answer.outcomes, of_users)
    assert [("order.created", {"tenant": "a"}, {"n": 1})] == [
        (one.channel, one.attributes, one.data) for one in of_orders
    ]
    # One for neither is retried, and neither lost nor rejected.
    assert ["retried"] == deliver([orders, users], fake.cloud_event("else"), to="asgi").outcomes


def test_a_handler_of_any_event_gets_the_cloud_event_itself() -> None:
    seen: list[Any] = []

    @portable
    def keep(event) -> None:  # type: ignore[no-untyped-def]
        seen.append(event)

    for event in (fake.cloud_event(), fake.object()):
        deliver(keep, event, to="asgi")
    assert [fake.cloud_event(), fake.object()] == seen
    assert 204 == post(entry(keep), "/anything", {"n": 1}).status
    assert isinstance(seen[-1], Request)


def test_a_message_of_dapr_is_a_cloud_event_for_who_asks_for_one() -> None:
    keep, seen = keeper(CloudEvent, on.topic("orders"))
    headers = {"content-type": "application/cloudevents+json", "metadata.MessageId": "9"}
    assert {"status": "SUCCESS"} == post(entry(keep), "/portable_fn/orders", ENVELOPE, headers).json()
    [event] = seen
    assert ("1", "orders") == (event.id, event.envelopes[0].channel)


def test_a_message_of_dapr_goes_past_who_takes_cloud_events_where_it_was_published_as_none() -> None:
    orders, of_orders = keeper(Message, on.topic("orders"))
    events, of_events = keeper(CloudEvent, on.event("order.created"))
    made = deliver([events, orders], fake.message(), to="asgi", via="dapr_pubsub")
    assert (["acknowledged"], 1, 0) == (made.outcomes, len(of_orders), len(of_events))


def test_an_object_event_comes_through_dapr_too() -> None:
    keep, seen = keeper(ObjectEvent, on.topic("orders"))
    value = {**ENVELOPE, "type": "portable_fn.object.created", "data": {"bucket": "uploads", "key": "a b+%.png"}}
    headers = {"content-type": "application/cloudevents+json"}
    assert {"status": "SUCCESS"} == post(entry(keep), "/portable_fn/orders", value, headers).json()
    assert [("uploads", "a b+%.png", "created")] == [(one.bucket, one.key, one.action) for one in seen]


def test_what_dapr_tells_of_a_message() -> None:
    keep, seen = keeper(Message, on.topic("orders"))
    headers = {
        "content-type": "application/cloudevents+json", "metadata.SessionId": "s", "metadata.DeliveryCount": "2", "pubsubname": "pubsub",
        "metadata.SequenceNumber": "77", "colour": "blau", "dapr-api-token": "secret", "x-forwarded-for": "127.0.0.1",
    }  # fmt: skip
    post(entry(keep), "/portable_fn/orders", ENVELOPE, headers)
    [message] = seen
    assert ("s", "77", 2, "orders", "checkout") == (
        message.key,
        message.sequence,
        message.attempt,
        message.channel,
        message.source,
    )
    assert {"colour": "blau", "traceparent": ENVELOPE["traceparent"]} == message.attributes


def test_a_raw_message_has_the_id_that_its_broker_tells() -> None:
    keep, seen = keeper(Message, on.topic("orders"))
    raw = {
        **ENVELOPE,
        "id": "new at each delivery",
        "datacontenttype": "application/octet-stream",
        "data_base64": "AP8=",
    }
    del raw["data"], raw["time"]
    headers = {"content-type": "application/cloudevents+json", "__topic": "orders", "__partition": "0", "__offset": "5"}
    post(entry(keep), "/portable_fn/orders", raw, headers)
    assert [("orders/0/5", b"\x00\xff")] == [(one.id, one.body) for one in seen]


def test_dapr_is_told_what_to_subscribe_to() -> None:
    @portable(on.topic("orders", dead_letter="poison"), on.queue("a/b"))
    def one(message: Message) -> None: ...

    @portable(on.stream("clicks"))
    async def many(messages: Batch[Message]) -> None: ...

    @portable(on.http("GET"))
    def everything(request: Request) -> str:
        return "mine"

    application = entry([one, many, everything], pubsub="kafka")
    assert [
        {"pubsubname": "kafka", "topic": "orders", "route": "/portable_fn/orders", "deadLetterTopic": "poison"},
        {"pubsubname": "kafka", "topic": "a/b", "route": "/portable_fn/a%2Fb"},
        {
            "pubsubname": "kafka",
            "topic": "clicks",
            "route": "/portable_fn/clicks",
            "bulkSubscribe": {"enabled": True},
        },
    ] == send(application, fake.request("GET", "/dapr/subscribe")).json()
    assert "mine" == send(application, fake.request("GET", "/dapr/other")).text


def test_dapr_asks_which_bindings_are_taken() -> None:
    application = entry(ship, keeper(ScheduleEvent, on.schedule("* * * * *", name="minutely"))[0])
    statuses = {
        path: send(application, fake.request("OPTIONS", path)).status for path in ("/orders", "/minutely", "/x", "/")
    }
    assert {"/orders": 200, "/minutely": 200, "/x": 404, "/": 404} == statuses


@pytest.mark.parametrize(
    ("headers", "id"),
    [
        ({"id": "7"}, "7"),
        ({"messageID": "7"}, "7"),
        ({"message-id": "7"}, "7"),
        ({"__topic": "orders", "__partition": "0", "__offset": "5"}, "orders/0/5"),
    ],
)
def test_a_binding_has_the_id_that_its_component_tells(headers: dict[str, str], id: str) -> None:
    keep, seen = keeper(Message, on.queue("orders"))
    assert 200 == post(entry(keep), "/orders", b"x", headers).status
    assert [id] == [one.id for one in seen]


def test_a_binding_without_an_id_is_told_and_comes_again() -> None:
    keep, seen = keeper(Message, on.queue("orders"))
    answer = post(entry(keep), "/orders", b"x")
    assert (400, []) == (answer.status, seen)
    assert "'orders' has no id" in answer.json()["detail"]


def test_a_schedule_without_a_name_is_called_as_its_function() -> None:
    seen: list[str] = []

    @portable(on.schedule("0 3 * * *"))
    def nightly(tick: ScheduleEvent) -> None:
        seen.append(f"nightly {tick.cron}")

    @portable(on.schedule("* * * * *"))
    def minutely(tick: ScheduleEvent) -> None:
        seen.append(f"minutely {tick.cron}")

    application = entry(nightly, minutely)
    assert [200, 200] == [post(application, f"/job/{name}").status for name in ("nightly", "minutely")]
    assert ["nightly 0 3 * * *", "minutely * * * * *"] == seen
    # Dapr takes a 404 for done, which this isn't.
    assert 503 == post(application, "/job/unknown").status


def test_a_subscription_with_a_route_of_its_own_loses_nothing() -> None:
    keep, seen = keeper(Message, on.topic("orders"))
    application = entry(keep)
    headers = {"content-type": "application/cloudevents+json"}
    assert 202 == post(application, "/my/route", ENVELOPE, headers).status
    bulk = {"topic": "orders", "pubsubname": "pubsub", "entries": [{"entryId": "0", "event": {**ENVELOPE, "id": "2"}}]}
    assert [{"entryId": "0", "status": "SUCCESS"}] == post(application, "/my/route", bulk).json()["statuses"]
    assert [("1", "orders"), ("2", "orders")] == [(one.id, one.channel) for one in seen]


# HTTP functions beside the others.


@portable(on.http("GET", "/"))
async def home(request: Request) -> str:
    return "home"


@portable(on.http("POST", "/orders"))
async def order(request: Request) -> str:
    return "by http"


def test_http_functions_answer_first_and_events_come_by_post_beside_them() -> None:
    keep, seen = keeper(CloudEvent)
    application = entry(home, order, keep)
    assert "home" == send(application, fake.request("GET", "/")).text
    assert "by http" == post(application, "/orders", {}, KAFKA).text
    assert (202, 1) == (post(application, "/", {}, KAFKA).status, len(seen))
    assert [404, 405] == [post(application, path, b"x", {"content-type": "x/y"}).status for path in ("/none", "/")]


def test_an_entry_of_http_functions_alone_looks_for_no_events() -> None:
    assert 405 == post(entry(home), "/", {}, KAFKA).status
    assert "application" == entry(home).__name__  # type: ignore[attr-defined]


def test_an_entry_of_http_functions_alone_loads_nothing_for_events() -> None:
    code = """
import sys
from portable_fn import Request, on, portable
from portable_fn_asgi import entry

@portable(on.http("GET"))
async def home(request: Request): ...

entry(home)
heavy = ("portable_fn_asgi.events.entry", "portable_fn_asgi.events.dapr", "portable_fn.adapter.cloudevents", "portable_fn.adapter.batch", "asyncio", "typing")
print([name for name in heavy if name in sys.modules])
"""
    paths = os.pathsep.join(path for path in sys.path if path)
    ran = subprocess.run(
        [sys.executable, "-S", "-c", code], env={"PYTHONPATH": paths}, capture_output=True, text=True, check=True
    )
    assert "[]" == ran.stdout.strip()


def test_what_nothing_answers_is_not_found() -> None:
    application = entry(ship)
    for method, path in (("GET", "/"), ("GET", "/healthz"), ("PUT", "/orders"), ("POST", "/none")):
        assert 404 == send(application, fake.request(method, path)).status
    assert 404 == post(application, "/none", {"n": 1}).status


# Tasks.


@portable(on.task())
def add(task: Task[list[int]]) -> dict[str, Any]:
    return {"sum": sum(task.data), "id": task.id}


@portable(on.task("fail"))
async def failing(task: Task) -> None:
    raise {"key": KeyError("sku"), "retry": Retry("busy", after=5), "reject": Reject("no")}[task.data]


def test_a_task_is_called_at_its_name() -> None:
    application = entry(add, failing)
    assert {"sum": 3, "id": "7"} == post(application, "/add", [1, 2], {"x-request-id": "7"}).json()
    made = deliver([add, failing], fake.task([1, 2], name="add", id="9"), to="asgi")
    assert ({"sum": 3, "id": "9"}, None) == (made.result, made.error)
    assert 404 == post(application, "/", [1, 2]).status
    # One alone may be called at the root too, as `func invoke` does.
    assert 3 == post(entry(add), "/", [1, 2]).json()["sum"]


@pytest.mark.parametrize(
    ("data", "error"),
    [
        ("key", ("Internal Server Error", "The function failed; its log has the reason under the invocation id.")),
        ("retry", ("Retry", "busy")),
        ("reject", ("Reject", "no")),
    ],
)
def test_a_task_that_fails_tells_its_caller_what_was_raised_for_him(data: str, error: tuple[str, str]) -> None:
    assert error == deliver(failing, fake.task(data, name="fail"), to="asgi").error


@pytest.mark.parametrize(("body", "status"), [(b"{", 400), (b'["x"]', 422), (b"\xff", 400), (b"[" * 9999, 400)])
def test_the_input_of_a_task_that_is_not_valid_is_told(body: bytes, status: int) -> None:
    assert status == post(entry(add), "/add", body).status


def test_a_task_whose_result_has_no_json_form_fails() -> None:
    @portable(on.task())
    def bad(task: Task) -> object:
        return object()

    assert 500 == post(entry(bad), "/bad", {}).status


# What comes from strangers.

REQUESTS = [
    ("/", "application/json", {"n": 1}, KAFKA),
    ("/", "application/cloudevents+json", ENVELOPE, {}),
    ("/", "application/cloudevents-batch+json", [ENVELOPE, ENVELOPE], {}),
    ("/", "application/cloudevents+json", {**ENVELOPE, "type": "portable_fn.object.created", "data": {"bucket": "b", "key": "k", "size": 1, "metadata": {"a": "b"}}}, {}),
    ("/", "application/cloudevents+json", {**ENVELOPE, "type": "portable_fn.change.updated", "data": {"table": "t", "key": {}, "before": {}, "after": None}}, {}),
    ("/", "application/cloudevents+json", {**ENVELOPE, "type": "portable_fn.schedule", "data": {"name": "n", "cron": "", "input": 1}}, {}),
    ("/", "application/cloudevents+json", {**ENVELOPE, "type": "portable_fn.message", "attributes": '{"A":{"base64":"AA=="}}'}, {}),
    ("/portable_fn/orders", "application/cloudevents+json", ENVELOPE, {"__key": "k", "metadata.DeliveryCount": "2"}),
    ("/portable_fn/orders", "application/json", {"topic": "orders", "pubsubname": "p", "entries": [{"entryId": "a", "event": ENVELOPE, "metadata": {"a": "b"}}, {"entryId": "b", "event": "AA==", "metadata": {"id": "1"}, "contentType": "a/b"}]}, {}),
    ("/orders", "application/json", {"n": 1}, {"id": "1", "insertionTime": "2026-01-02T03:04:05Z", "dequeueCount": "1"}),
    ("/nightly", "application/json", {}, {"readTimeUTC": "2026-01-02 03:04:05 +0000 UTC m=+0.1"}),
    ("/job/nightly", "application/json", {"n": 1}, {}),
    ("/add", "application/json", [1], {}),
]  # fmt: skip
junk = st.sampled_from([None, True, 0, -1, 1.5, "", "x", "\ud800", [], {}, [[]], {"a": {}}, "9" * 5000, "é%ZZ\n"])


def paths_of(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inside:
        yield (*path, key)
        yield from paths_of(one, (*path, key))


@settings(deadline=None, max_examples=400)
@given(st.data())
def test_mutated_requests_are_answered_and_are_never_our_own_failure(data: st.DataObject) -> None:
    kinds = (Message, ObjectEvent, ChangeEvent, ScheduleEvent, CloudEvent)
    wanted = data.draw(st.sampled_from([[kind] for kind in kinds] + [list(kinds)]))
    functions = [keeper(kind)[0] for kind in wanted]
    path, content_type, body, headers = data.draw(st.sampled_from(REQUESTS))
    body, headers = json.loads(json.dumps(body)), dict(headers)
    places = list(paths_of(body))
    if places and data.draw(st.booleans()):
        *before, last = data.draw(st.sampled_from(places))
        inner = body
        for step in before:
            inner = inner[step]
        if data.draw(st.booleans()):
            inner[last] = data.draw(junk)
        else:
            del inner[last]
    if headers and data.draw(st.booleans()):
        name = data.draw(st.sampled_from(sorted(headers)))
        headers[name] = data.draw(st.sampled_from(["", "x", "%", "%FF%00", '"', "-1", "9" * 5000, "é", "²"]))
    raw = json.dumps(body).encode()
    if data.draw(st.integers(0, 4)) == 0:
        raw = data.draw(st.sampled_from([b"", b"null", b"\xff", raw[:-1], b"[" * 5000, b'{"a":' * 5000, raw + raw]))
    answer = post(entry(*functions, add), path, raw, {"content-type": content_type, **headers})
    # A handler's own failures are a 503 here; a 500 would be a failure of the adapter.
    assert answer.status in (200, 202, 400, 404, 422, 503), answer


def test_a_large_body_is_refused() -> None:
    assert 413 == post(entry(ship), "/", b"x" * (10 * 1024 * 1024 + 1), KAFKA).status


def test_with_a_token_of_dapr_nobody_else_is_let_in(monkeypatch: pytest.MonkeyPatch) -> None:
    keep, seen = keeper(CloudEvent)
    application = entry(keep, home)
    monkeypatch.setenv("APP_API_TOKEN", "sésame")
    assert [401, 401, 202] == [
        post(application, "/", {}, {**KAFKA, **token}).status
        for token in ({}, {"dapr-api-token": "other"}, {"dapr-api-token": "sésame"})
    ]
    assert (1, "home") == (len(seen), send(application, fake.request("GET", "/")).text)


# How handlers run.

WHO: contextvars.ContextVar[str] = contextvars.ContextVar("WHO", default="nobody")


@pytest.mark.parametrize("is_async", [True, False])
def test_context_variables_stay_with_their_event(is_async: bool) -> None:
    seen: list[str] = []

    def work(event: Any) -> None:
        seen.append(WHO.get())
        WHO.set(event.id)

    async def work_async(event: Any) -> None:
        work(event)

    handler = work_async if is_async else work
    handler.__annotations__["event"] = CloudEvent
    events = [fake.cloud_event(id="a"), fake.cloud_event(id="b")]
    for via in ("binary", "batched"):
        deliver(portable(handler), events, to="asgi", via=via)
    assert ["nobody"] * 4 == seen


def test_sync_handlers_run_in_threads_and_async_ones_in_the_loop() -> None:
    seen: dict[str, bool] = {}

    @portable(on.topic("a"))
    def blocking(message: Message) -> None:
        seen["sync"] = threading.current_thread() is threading.main_thread()

    @portable(on.topic("b"))
    async def quick(message: Message) -> None:
        seen["async"] = asyncio.get_running_loop().is_running()

    for functions in ([blocking], [blocking, quick]):
        deliver(functions, fake.message(channel="a"), to="asgi", via="dapr_pubsub")
        assert seen["sync"] is False
    deliver([blocking, quick], fake.message(channel="b"), to="asgi", via="dapr_pubsub")
    assert seen["async"] is True


def test_the_cancelling_of_the_server_goes_through() -> None:
    state: list[str] = []
    begun = asyncio.Event()

    @portable
    async def wait(event: CloudEvent) -> None:
        state.append("begun")
        begun.set()
        try:
            await asyncio.sleep(60)
        finally:
            state.append("cancelled")

    async def main() -> None:
        [request] = simulate.payloads([fake.cloud_event()], "binary")
        call = asyncio.create_task(simulate.messages(entry(wait), simulate.scope(request), request.body))
        await begun.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call

    asyncio.run(main())
    assert ["begun", "cancelled"] == state


def test_an_event_is_traced_by_itself_or_by_its_request() -> None:
    seen: list[Any] = []

    @portable
    def keep(event: CloudEvent, ctx: Context) -> None:
        assert ctx.trace is not None
        seen.append((ctx.trace.trace_id[0], ctx.correlation_id, ctx.invocation_id, ctx.provider))

    by_request = {**KAFKA, "traceparent": f"00-{'a' * 32}-{'b' * 16}-01", "x-request-id": "request-9"}
    by_itself = {**by_request, "ce-traceparent": f"00-{'c' * 32}-{'b' * 16}-01", "ce-correlationid": "order-1"}
    application = entry(keep)
    assert [202, 202] == [post(application, "/", {}, headers).status for headers in (by_request, by_itself)]
    assert [("a", "request-9", "request-9", "asgi"), ("c", "order-1", "request-9", "asgi")] == seen


def test_background_work_is_done_after_the_answer() -> None:
    done: list[str] = []

    async def later() -> None:
        done.append("later")

    @portable
    async def handle(event: CloudEvent, ctx: Context) -> None:
        ctx.background(later())

    deliver(handle, fake.cloud_event(), to="asgi")
    assert ["later"] == done


def test_what_a_dapr_would_lose_is_seen_as_lost() -> None:
    message = fake.message()
    listed = Answer(200, fake.request().headers, b'[{"topic": "orders"}]')
    with_topic = Answer(200, fake.request().headers, b'[{"topic": "orders", "deadLetterTopic": "poison"}]')
    dropped = Answer(200, fake.request().headers, b'{"status": "DROP"}')
    missing = Answer(404, fake.request().headers, b"")
    assert [["lost"], ["dead-lettered"], ["lost"]] == [
        simulate.results([message], "dapr_pubsub", [simulate.from_sidecar(answer, subscriptions)]).outcomes
        for answer, subscriptions in ((dropped, listed), (dropped, with_topic), (missing, listed))
    ]
    assert ["retried"] == simulate.results(
        [message], "dapr_bulk", [Answer(200, listed.headers, b'{"statuses":[]}')]
    ).outcomes


def test_every_service_has_its_capabilities() -> None:
    declared = {(service.kind, service.name) for service in capabilities.SERVICES}
    played = {(kind, name) for kind, names in simulate.EVENT_SERVICES.items() for name in names}
    assert played | {("Request", name) for name in simulate.SERVICES} == declared
