"""Azure's triggers other than HTTP: what each payload becomes, how functions are wired, and what becomes of failures."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import azure.functions as func
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

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
    ScheduleEvent,
    Task,
    on,
    portable,
)
from portable_fn.adapter.dead_letter import restored
from portable_fn.testing import Duplicates, Redelivery, deliver, fake
from portable_fn.testing.services import exchange
from portable_fn_azure import entry
from portable_fn_azure.capabilities import SERVICES as CAPABILITIES
from portable_fn_azure.events import changes, event_grid, messages, objects
from portable_fn_azure.events.cron import ncrontab
from portable_fn_azure.events.function import DeadLetterQueue
from portable_fn_azure.events.register import Settings, plan
from portable_fn_azure.simulate import EVENT_SERVICES, FunctionContext, TraceContext
from portable_fn_azure.simulate.events import payloads
from portable_fn_azure.simulate.payloads import INVOCATION, Sent
from portable_fn_azure.simulate.worker import functions_for

# What a handler got last.
GOT: list[Any] = []


@portable(on.queue("orders"), on.topic("orders"), on.stream("orders"))
def message(event: Message) -> None:
    GOT.append(event)


@portable(on.object("uploads"))
def stored(event: ObjectEvent) -> None:
    GOT.append(event)


@portable(on.change("users"))
def changed(event: ChangeEvent) -> None:
    GOT.append(event)


@portable(on.event())
def happened(event: CloudEvent) -> None:
    GOT.append(event)


@portable(on.schedule("0 3 * * *", name="nightly"))
def tick(event: ScheduleEvent) -> None:
    GOT.append(event)


@portable(on.task("double"))
def double(event: Task) -> Any:
    GOT.append(event)
    return event.input


def got(handler: Any, event: Any, service: str) -> Any:
    """The event as the handler gets it."""
    GOT.clear()
    delivery = deliver(handler, event, to="azure", via=service)
    assert ["acknowledged"] == delivery.outcomes
    (one,) = GOT
    return one


# The law: what goes out as a payload comes back as it was, for all that the service can carry.

TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12)
WORD = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=12)
BODY = st.binary(max_size=64)
TIME = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001  # bounds are naive
SECOND = TIME.map(lambda time: time.replace(microsecond=0))
NUMBER = st.integers(0, 2**53)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
ATTRIBUTES = st.dictionaries(TEXT, TEXT, max_size=3)
TYPE = st.sampled_from(["", "application/json", "text/plain; charset=utf-8", "image/png"])


@st.composite
def storage_queue(draw: Any) -> Any:
    return fake.message(body=draw(BODY), id=draw(WORD), time=draw(TIME), attempt=draw(st.integers(1, 9)))


@st.composite
def service_bus(draw: Any) -> Any:
    return fake.message(
        body=draw(BODY),
        id=draw(WORD),
        time=draw(TIME),
        attempt=draw(st.integers(1, 9)),
        content_type=draw(TYPE),
        subject=draw(TEXT),
        attributes=draw(ATTRIBUTES),
        key=draw(st.none() | WORD),
        sequence=str(draw(NUMBER)),
    )


@st.composite
def event_hubs(draw: Any) -> Any:
    partition, sequence = str(draw(st.integers(0, 31))), str(draw(NUMBER))
    return fake.message(
        body=draw(BODY),
        id=f"{partition}:{sequence}",
        source=draw(st.sampled_from(["orders", "shop.servicebus.windows.net/orders"])),
        time=draw(TIME),
        attempt=draw(st.integers(1, 9)),
        content_type=draw(TYPE),
        attributes=draw(ATTRIBUTES),
        key=draw(st.none() | WORD),
        partition=partition,
        sequence=sequence,
    )


@st.composite
def kafka(draw: Any) -> Any:
    partition, sequence = str(draw(st.integers(0, 31))), str(draw(NUMBER))
    values = st.one_of(TEXT, st.just(b"\xff\x00"))
    return fake.message(
        body=draw(BODY),
        id=f"orders-{partition}-{sequence}",
        time=draw(TIME),
        attempt=draw(st.integers(1, 9)),
        attributes=draw(st.dictionaries(TEXT, values, max_size=3)),
        key=draw(st.none() | TEXT),
        partition=partition,
        sequence=sequence,
    )


KEY = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12)


@st.composite
def grid_object(draw: Any) -> Any:
    action = draw(st.sampled_from(["created", "deleted", "archived", "changed"]))
    return fake.object(
        "uploads",
        draw(KEY),
        action=action,
        id=draw(WORD),
        source=draw(WORD),
        time=draw(TIME),
        size=draw(NUMBER) if action == "created" else None,
        etag=draw(st.none() | WORD),
        version=draw(st.none() | WORD),
        content_type=draw(st.none() | st.just("image/png")),
    )


@st.composite
def blob(draw: Any) -> Any:
    from urllib.parse import quote

    key, time, body = draw(KEY), draw(TIME), draw(BODY)
    source = "https://account.blob.core.windows.net/uploads"
    return fake.object(
        "uploads",
        key,
        id=f"{source}/{quote(key)}@{time.isoformat()}",
        source=source,
        time=time,
        version=draw(st.none() | WORD),
        content_type=draw(st.sampled_from(["image/png", "application/octet-stream"])),
        body=body,
    )


@st.composite
def cosmos_db(draw: Any) -> Any:
    id = draw(WORD)
    after = {**draw(st.dictionaries(TEXT, JSON, max_size=3)), "id": id}
    return fake.change(
        "users",
        source="database/users",
        action="updated",
        key={"id": id},
        after=after,
        id=f"{draw(WORD)}:{draw(WORD)}",
        time=draw(st.none() | SECOND),
        sequence=str(draw(NUMBER)),
    )


@st.composite
def cosmos_db_versions(draw: Any) -> Any:
    id, sequence = draw(WORD), str(draw(NUMBER))
    row = st.dictionaries(WORD, JSON, max_size=3).map(lambda row: {**row, "id": id})
    action = draw(st.sampled_from(["inserted", "updated", "removed"]))
    return fake.change(
        "users",
        source="database/users",
        action=action,
        key={"id": id},
        before=None if action == "inserted" else draw(row),
        after=None if action == "removed" else draw(row),
        id=f"{id}:{sequence}",
        time=draw(SECOND),
        sequence=sequence,
    )


@st.composite
def sql(draw: Any) -> Any:
    row = draw(st.dictionaries(TEXT, JSON, max_size=3))
    action = draw(st.sampled_from(["inserted", "updated", "removed"]))
    removed = action == "removed"
    return fake.change(
        "users",
        action=action,
        key=row if removed else {},
        after=None if removed else row,
        id=f"{INVOCATION}:0",
        time=None,
    )


@st.composite
def mysql(draw: Any) -> Any:
    row = draw(st.dictionaries(TEXT, JSON, max_size=3))
    return fake.change("users", action="updated", key={}, after=row, id=f"{INVOCATION}:0", time=None)


@st.composite
def grid_event(draw: Any) -> Any:
    version = draw(st.sampled_from(["", "1.0"]))
    return fake.cloud_event(
        draw(WORD),
        draw(JSON.filter(lambda value: value is not None)),
        id=draw(WORD),
        source=draw(WORD),
        subject=draw(TEXT),
        time=draw(st.none() | TIME),
        extensions={"dataversion": version} if version else None,
    )


@st.composite
def cloud_event(draw: Any) -> Any:
    names = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=1, max_size=9).map(lambda name: f"x{name}")
    kind = draw(st.sampled_from(["application/json", "application/octet-stream"]))
    body = draw(BODY) if kind != "application/json" else json.dumps(draw(JSON), ensure_ascii=False).encode()
    made = fake.cloud_event(
        draw(WORD),
        body=body,
        id=draw(WORD),
        source=draw(WORD),
        subject=draw(TEXT),
        time=draw(st.none() | TIME),
        content_type=kind,
        schema=draw(st.sampled_from(["", "https://example.com/schema"])),
        extensions=draw(st.dictionaries(names, TEXT.filter(bool), max_size=2)),
    )
    if kind == "application/json":
        from portable_fn.data import to_json

        made.body = b"" if made.read_data() is None else to_json(made.read_data()).encode()
    return made


@st.composite
def timer(draw: Any) -> Any:
    time = draw(TIME)
    return fake.schedule(
        at=time, name="nightly", cron="0 3 * * *", id=f"nightly@{time.isoformat()}", is_late=draw(st.booleans())
    )


@st.composite
def activity(draw: Any) -> Any:
    return fake.task(draw(JSON), name="double", id=INVOCATION, source="double", type="activity")


@portable(on.task("task"))
def task(event: Task) -> None:
    GOT.append(event)


LAWS: dict[tuple[str, str], tuple[Any, Any]] = {
    ("Message", "storage_queue"): (message, storage_queue()),
    ("Message", "service_bus_queue"): (message, service_bus()),
    ("Message", "service_bus_sessions"): (message, service_bus()),
    ("Message", "service_bus_settled"): (message, service_bus()),
    ("Message", "service_bus_topic"): (message, service_bus()),
    ("Message", "event_hubs"): (message, event_hubs()),
    ("Message", "kafka"): (message, kafka()),
    ("ObjectEvent", "event_grid"): (stored, grid_object()),
    ("ObjectEvent", "event_grid_cloud_events"): (stored, grid_object()),
    ("ObjectEvent", "event_grid_storage_queue"): (stored, grid_object()),
    ("ObjectEvent", "blob"): (stored, blob()),
    ("ChangeEvent", "cosmos_db"): (changed, cosmos_db()),
    ("ChangeEvent", "cosmos_db_versions"): (changed, cosmos_db_versions()),
    ("ChangeEvent", "sql"): (changed, sql()),
    ("ChangeEvent", "mysql"): (changed, mysql()),
    ("CloudEvent", "event_grid"): (happened, grid_event()),
    ("CloudEvent", "event_grid_cloud_events"): (happened, cloud_event()),
    ("ScheduleEvent", "timer"): (tick, timer()),
    ("Task", "durable_activity"): (double, activity()),
}


def test_every_service_has_a_law() -> None:
    assert {(kind, service) for kind, services in EVENT_SERVICES.items() for service in services} == set(LAWS)


@pytest.mark.parametrize("law", [pytest.param(law, id=" ".join(law)) for law in LAWS])
def test_what_goes_out_comes_back(law: tuple[str, str], caplog: pytest.LogCaptureFixture) -> None:
    handler, events = LAWS[law]
    caplog.set_level(logging.CRITICAL)

    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
    @given(events)
    def holds(event: Any) -> None:
        assert event == got(handler, event, law[1])

    holds()


@pytest.mark.parametrize(
    ("service", "events"),
    [("service_bus_topic", service_bus()), ("event_hubs", event_hubs()), ("kafka", kafka())],
)
def test_what_goes_out_together_comes_back(service: str, events: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)

    @portable(on.topic("orders"), on.stream("orders"))
    def whole(batch: Batch[Message]) -> None:
        GOT.extend(batch)

    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(events, min_size=1, max_size=4, unique_by=lambda event: event.id))
    def holds(sent: list[Any]) -> None:
        for one in sent:
            # A batch is of one partition, and of one try.
            if service == "event_hubs":
                one.partition, one.source = sent[0].partition, sent[0].source
                one.id = f"{one.partition}:{one.sequence}"
            if service in ("event_hubs", "kafka"):
                one.attempt = sent[0].attempt
            if service == "service_bus_topic":
                # The host leaves empty ones out, so that nobody can tell whose the rest are.
                one.content_type, one.subject, one.key = "text/plain", f"about {one.id}", f"session {one.id}"
        if len({one.id for one in sent}) < len(sent):
            return
        GOT.clear()
        assert ["acknowledged"] * len(sent) == deliver(whole, sent, to="azure", via=service).outcomes
        assert sent == GOT

    holds()


def test_a_property_that_one_of_a_batch_lacks_is_given_to_none_wrongly() -> None:
    first = fake.message({}, id="1", subject="of the first", key="a", sequence="1")
    second = fake.message({}, id="2", sequence="2")

    @portable(on.topic("orders"))
    def whole(batch: Batch[Message]) -> None:
        GOT.extend((one.id, one.subject, one.key) for one in batch)

    GOT.clear()
    deliver(whole, [second, first], to="azure", via="service_bus_topic")
    assert [("2", "", None), ("1", "", None)] == GOT


def test_a_service_bus_message_without_an_id_of_its_sender_has_the_brokers_number() -> None:
    assert "7" == got(message, fake.message({}, id="", sequence="7"), "service_bus_queue").id


# Mutated payloads


def mutations(value: Any) -> Iterator[Any]:
    """The value with each of its members missing, null, of another type, huge or deep."""
    deep: Any = []
    for _ in range(300):
        deep = [deep]
    yield from (None, 5, "text", [], {}, True, -1, 10**30, "x" * 10_000, deep)
    if isinstance(value, dict):
        for name in value:
            yield {each: value[each] for each in value if each != name}
            yield from ({**value, name: inner} for inner in mutations(value[name]))
    if isinstance(value, list):
        for index, one in enumerate(value):
            yield from ([*value[:index], inner, *value[index + 1 :]] for inner in mutations(one))


def typed(value: Any) -> Any:
    """A value as the host sends it."""
    return {"string": value} if isinstance(value, str) else {"json": json.dumps(value)}


SAMPLES: dict[str, Any] = {
    "storage_queue": fake.message({}),
    "service_bus_queue": fake.message({}, sequence="1", attributes={"a": "b"}),
    "event_hubs": fake.message({}, partition="0", sequence="1", attributes={"a": "b"}),
    "kafka": fake.message({}, partition="0", sequence="1", attributes={"a": "b"}),
    "blob": fake.object("uploads", "a.png", body=b"", metadata={"a": "b"}),
    "event_grid": fake.object("uploads", "a.png", size=1),
    "event_grid_cloud_events": fake.object("uploads", "a.png", size=1),
    "event_grid_storage_queue": fake.object("uploads", "a.png", size=1),
    "cosmos_db": fake.change("users", after={"id": "1"}),
    "cosmos_db_versions": fake.change("users", after={"id": "1"}),
    "sql": fake.change("users", after={"id": "1"}),
    "mysql": fake.change("users", after={"id": "1"}),
    "timer": fake.schedule(),
    "durable_activity": fake.task({}),
}
HANDLERS: dict[type[Event], Any] = {
    Message: message,
    ObjectEvent: stored,
    ChangeEvent: changed,
    ScheduleEvent: tick,
    Task: task,
}


@pytest.mark.parametrize("service", SAMPLES)
def test_a_mutated_payload_is_an_event_or_a_decode_error(service: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    event = SAMPLES[service]
    [function] = functions_for((HANDLERS[type(event)],), service)
    arrival = payloads([event], service)[0]
    sent = arrival.each[0] if arrival.each else arrival.many
    tried = 0
    for one in mutated(sent):
        try:
            function.native(one)
        except Exception:
            continue  # the library's own converter refuses it: no function is called
        invoked = function.invoke(one, [0])
        tried += 1
        assert invoked.error is None or "DecodeError" == invoked.error.name, (one, invoked.error)
        for seen in GOT:
            read_all(seen)
        GOT.clear()
    assert tried > 10


def read_all(event: Any) -> None:
    """Every field of the event, which may say that it can't be read."""
    for name in (*event._fields, "data"):
        try:
            getattr(event, name)
        except DecodeError:
            pass


def mutated(sent: Sent) -> Iterator[Sent]:
    """The invocation with its data, or one of its metadata, changed or missing."""
    ((kind, data),) = sent.data.items()
    if kind in ("json", "string") and data[:1] in "[{":
        yield from (Sent({kind: json.dumps(value)}, sent.metadata) for value in mutations(json.loads(data)))
    for name, value in sent.metadata.items():
        yield Sent(sent.data, {each: sent.metadata[each] for each in sent.metadata if each != name})
        inner = json.loads(value["json"]) if "json" in value else value.get("string")
        yield from (Sent(sent.data, {**sent.metadata, name: typed(odd)}) for odd in mutations(inner))


# What is inside


def test_a_message_with_a_structured_cloud_event_is_one_to_whom_asks_for_it() -> None:
    @portable(on.queue("orders"))
    def asks(event: CloudEvent) -> None:
        GOT.append(event)

    body = {"specversion": "1.0", "id": "e-1", "source": "/shop", "type": "order.created", "data": {"n": 1}}
    one = got(asks, fake.message(body, id="m-1"), "storage_queue")
    assert ("e-1", {"n": 1}, ["m-1"]) == (one.id, one.data, [outer.id for outer in one.envelopes])


@pytest.mark.parametrize(
    ("body", "attributes"),
    [
        (b"\xff\xfe", {"cloudEvents:specversion": "1.0", "cloudEvents:id": "1", "cloudEvents:source": "s", "cloudEvents:type": "t"}),
        (b'{"eventType": 1}', {"ce_specversion": "1.0", "ce_id": "1", "ce_source": "s", "ce_type": "t"}),
        (b'{"specversion": "1.0", "id": "1", "source": "s", "type": "t", "data": {"eventType": "x"}}', {}),
    ],
)  # fmt: skip
def test_a_cloud_event_in_a_message_may_be_bytes_or_speak_of_an_event_type(
    body: bytes, attributes: dict[str, str]
) -> None:
    [found] = event_grid.unwrap(fake.message(body=body, attributes=attributes))
    assert ("1", "s", "t") == (found.id, found.source, found.type)


def test_event_grids_own_events_in_an_event_hub_come_as_a_list() -> None:
    @portable(on.stream("orders"))
    def asks(event: CloudEvent) -> None:
        GOT.append(event.id)

    body = [{"id": f"e-{n}", "topic": "/shop", "subject": "", "eventType": "t", "data": {}} for n in (1, 2)]
    GOT.clear()
    deliver(asks, fake.message(body), to="azure", via="event_hubs")
    assert ["e-1", "e-2"] == GOT


def test_objects_of_other_containers_are_nothing_to_the_function() -> None:
    GOT.clear()
    assert ["acknowledged"] == deliver(stored, fake.object("others", "a.png"), to="azure", via="event_grid").outcomes
    assert [] == GOT


def test_a_blobs_content_is_read_when_it_is_asked_for() -> None:
    one = got(stored, fake.object("uploads", "a.png", body=b"abc", metadata={"by": "Ada"}), "blob")
    assert (b"abc", b"abc", {"by": "Ada"}, 3) == (one.body, one.body, one.metadata, one.size)


# What becomes of failures


class Busy(Exception):
    pass


def failing(how: str, **triggered: Any) -> Any:
    """A function that fails for the body b"fail" in one of the ways."""

    def handler(event: Message) -> None:
        GOT.append(event.id)
        if event.body == b"fail":
            if how == "raise":
                raise Busy("not now")
            if how == "exit":
                raise SystemExit(3)
            if how == "stop":
                raise StopIteration
            if how == "reject":
                raise Reject("never")
            raise Retry("later", after=30)

    return portable(on.queue("orders", **triggered), on.topic("orders", **triggered), on.stream("orders", **triggered))(
        handler
    )


def three(second: bytes = b"fail", **fields: Any) -> list[Any]:
    return [
        fake.message(body=body, id=f"m-{n}", partition="0", sequence=str(n), **fields)
        for n, body in enumerate((b"", second, b""), 1)
    ]


@pytest.mark.parametrize("how", ["raise", "exit", "stop", "retry"])
@pytest.mark.parametrize("service", ["storage_queue", "service_bus_queue", "service_bus_topic", "service_bus_settled"])
def test_a_failure_in_a_queue_costs_only_itself(service: str, how: str) -> None:
    outcomes = deliver(failing(how), three(), to="azure", via=service).outcomes
    assert ["acknowledged", "retried", "acknowledged"] == outcomes


@pytest.mark.parametrize("service", ["event_hubs", "kafka"])
def test_a_failure_in_a_stream_holds_up_its_partition(service: str) -> None:
    GOT.clear()
    outcomes = deliver(failing("raise"), three(), to="azure", via=service).outcomes
    assert ["acknowledged", "retried", "retried"] == outcomes
    assert 2 == len(GOT)


def test_a_failure_in_a_session_holds_up_the_session() -> None:
    GOT.clear()
    outcomes = deliver(failing("raise"), three(key="s"), to="azure", via="service_bus_sessions").outcomes
    assert (["acknowledged", "retried", "retried"], ["m-1", "m-2"]) == (outcomes, GOT)


@pytest.mark.parametrize("service", ["storage_queue", "service_bus_queue", "service_bus_topic", "event_hubs", "kafka"])
def test_a_rejected_message_goes_to_its_dead_letters_where_there_are_some(service: str) -> None:
    sent = fake.message(body=b"fail")
    assert ["dead-lettered"] == deliver(failing("reject", dead_letter="bad"), sent, to="azure", via=service).outcomes
    assert ["retried"] == deliver(failing("reject"), sent, to="azure", via=service).outcomes


def test_settlement_dead_letters_with_the_reason() -> None:
    delivery = deliver(failing("reject"), three(), to="azure", via="service_bus_settled")
    assert ["acknowledged", "dead-lettered", "acknowledged"] == delivery.outcomes
    assert "never" == delivery.results[1].why


def test_a_rejected_message_too_large_for_a_storage_queue_is_retried() -> None:
    @portable(on.queue("orders", dead_letter="bad"))
    def refuses(event: Message) -> None:
        raise Reject

    assert ["retried"] == deliver(refuses, fake.message(body=b"x" * 50_000), to="azure", via="storage_queue").outcomes


def test_a_rejected_binary_message_stays_as_it_is() -> None:
    @portable(on.queue("orders", dead_letter="bad"))
    def refuses(event: Message) -> None:
        raise Reject

    delivery = deliver(refuses, fake.message(body=b"\xff\x00"), to="azure", via="storage_queue")
    assert [b"\xff\x00"] == [restored(one).body for one in delivery.native_answers[0][0].out]


@pytest.mark.parametrize("service", ["service_bus_topic", "event_hubs", "kafka"])
def test_every_rejected_message_of_a_batch_is_in_its_dead_letters_with_its_reason(service: str) -> None:
    bodies = (b"[]", b"\xff", b'{"a": 1}', b"text")
    sent = [fake.message(body=body, id=f"m-{n}", sequence=str(n)) for n, body in enumerate(bodies)]

    @portable(on.topic("orders", dead_letter="bad"), on.stream("orders", dead_letter="bad"))
    def each(batch: Batch[Message[Any]]) -> None:
        for one in batch:
            batch.reject(one, f"no {len(one.body)}")

    delivery = deliver(each, sent, to="azure", via=service)
    assert ["dead-lettered"] * 4 == delivery.outcomes
    assert ["no 2", "no 1", "no 8", "no 4"] == [one.why for one in delivery.results]
    assert list(bodies) == [restored(one).body for one in delivery.native_answers[0][0].out]


def test_each_trigger_of_a_function_is_for_its_own_events_alone() -> None:
    seen: list[Any] = []

    @portable(on.change("shop/users", "removed"), on.change("shop/bills"))
    def rows(event: ChangeEvent) -> None:
        seen.append(event.id)

    @portable(on.object("uploads", "created"), on.object("uploads", "deleted"))
    def blobs(event: ObjectEvent) -> None:
        seen.append(event.action)

    assert ["acknowledged"] == deliver(
        rows, fake.change("users", after={"id": "1"}), to="azure", via="cosmos_db"
    ).outcomes
    functions = {one.get_trigger().type: one.get_user_function() for one in entry(blobs).get_functions()}
    assert ["blobTrigger", "eventGridTrigger"] == list(functions)
    for type in ("Microsoft.Storage.BlobCreated", "Microsoft.Storage.BlobDeleted"):
        # A subscription is for both unless it is told otherwise.
        functions["eventGridTrigger"](
            func.EventGridEvent(
                id="1",
                topic="/shop",
                subject=f"{objects.CONTAINERS}uploads/blobs/a.png",
                event_type=type,
                event_time=None,
                data={},
                data_version="",
            ),
            None,
        )
    assert ["deleted"] == seen


@pytest.mark.parametrize(
    ("tier", "before", "action"), [("Archive", "Hot", "archived"), ("Hot", "Archive", "changed"), ("Cold", "", "archived")]
)  # fmt: skip
def test_a_blob_that_comes_back_from_the_archive_is_not_archived(tier: str, before: str, action: str) -> None:
    data = {"accessTier": tier, "previousTier": before, "url": "https://shop.blob.core.windows.net/uploads/a.png"}
    subject = f"{objects.CONTAINERS}uploads/blobs/a.png"
    [found] = event_grid.unwrap(fake.cloud_event("Microsoft.Storage.BlobTierChanged", data, subject=subject))
    assert action == found.action  # type: ignore[attr-defined]  # it is an ObjectEvent


def test_a_failing_document_has_its_whole_batch_come_again_and_what_follows_it_is_not_begun() -> None:
    @portable(on.change("shop/users"))
    def one(event: ChangeEvent) -> None:
        GOT.append(event.key["id"])
        if event.key["id"] == "2":
            raise Busy

    GOT.clear()
    sent = [fake.change("users", after={"id": str(n)}, id=f"c-{n}") for n in (1, 2, 3)]
    assert ["retried"] * 3 == deliver(one, sent, to="azure", via="cosmos_db").outcomes
    assert ["1", "2"] == GOT


def test_what_was_done_is_left_out_when_the_host_tries_a_batch_again() -> None:
    failing = {"2"}

    @portable(on.change("shop/users"))
    def one(event: ChangeEvent) -> None:
        GOT.append(event.key["id"])
        if event.key["id"] in failing:
            raise Busy

    [function] = functions_for((one,), "cosmos_db")
    sent = payloads([fake.change("users", after={"id": str(n)}, id=f"c-{n}") for n in (1, 2, 3)], "cosmos_db")[0].many
    GOT.clear()
    errors = []
    for retry in (0, 1, 2):
        if retry == 2:
            failing.clear()
        errors.append(function.invoke(Sent(sent.data, sent.metadata, retry), [0, 1, 2]).error is not None)
    assert ([True, True, False], ["1", "2", "2", "2", "3"]) == (errors, GOT)
    GOT.clear()
    function.invoke(Sent(sent.data, sent.metadata, 0), [0, 1, 2])
    assert ["1", "2", "3"] == GOT


def test_a_tasks_error_reaches_the_orchestrator_by_name_and_message() -> None:
    @portable(on.task("fails"))
    def fails(event: Task) -> None:
        raise Busy("not now")

    assert ("Busy", "not now") == deliver(fails, fake.task({}), to="azure").error


def test_a_tasks_result_that_is_no_json_is_told_as_such() -> None:
    @portable(on.task("odd"))
    def odd(event: Task) -> Any:
        return object()

    assert ("EncodeError", "a task must return a JSON value, not a object") == deliver(
        odd, fake.task({}), to="azure"
    ).error


@pytest.mark.parametrize("service", ["storage_queue", "event_hubs", "service_bus_settled"])
def test_async_handlers_have_the_same_outcomes(service: str) -> None:
    @portable(on.queue("orders", dead_letter="bad"), on.stream("orders", dead_letter="bad"))
    async def waits(event: Message, ctx: Context) -> None:
        if event.body == b"fail":
            raise SystemExit(3)
        if event.body == b"reject":
            raise Reject("never")

    assert ["acknowledged"] == deliver(waits, fake.message(body=b""), to="azure", via=service).outcomes
    assert ["retried"] == deliver(waits, fake.message(body=b"fail"), to="azure", via=service).outcomes
    assert ["dead-lettered"] == deliver(waits, fake.message(body=b"reject"), to="azure", via=service).outcomes


def test_background_work_of_a_handler_that_is_not_async_is_done_too() -> None:
    @portable(on.queue("orders"))
    def leaves(event: Message, ctx: Context) -> None:
        async def later() -> None:
            GOT.append("later")

        ctx.background(later())

    assert ["later"] == [got(leaves, fake.message({}), "storage_queue")]


def test_the_trace_and_the_correlation_id_are_the_senders() -> None:
    parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

    @portable(on.queue("orders"))
    def traced(event: Message, ctx: Context) -> None:
        GOT.append((ctx.trace and ctx.trace.trace_id, ctx.correlation_id))

    attributes = {"traceparent": parent, "x-correlation-id": "abc"}
    one = got(traced, fake.message({}, attributes=attributes), "service_bus_queue")
    assert ("4bf92f3577b34da6a3ce929d0e0e4736", "abc") == one


# What Azure calls of an app with several functions


def several(*triggers: Any) -> tuple[list[Any], list[tuple[str, Any]]]:
    """A function for each trigger, with what they got: the function's name and the event."""
    got: list[tuple[str, Any]] = []

    def one_for(name: str, trigger: Any) -> Any:
        def function(event: Any) -> None:
            got.append((name, event))
            if f"{name} fails" in (getattr(event, "text", ""), getattr(event, "key", "")):
                raise Busy
            if f"{name} rejects" == getattr(event, "text", ""):
                raise Reject("not for us")

        function.__name__ = name
        function.__annotations__["event"] = {
            "object": ObjectEvent, "change": ChangeEvent, "schedule": ScheduleEvent, "event": CloudEvent, "task": Task,
            "http": Request,
        }.get(trigger.word, Message)  # fmt: skip
        return portable(trigger)(function)

    return [one_for(name, trigger) for name, trigger in zip("abc", triggers, strict=False)], got


@pytest.mark.parametrize(
    ("triggers", "event", "called"),
    [
        ((on.topic("orders"), on.topic("orders"), on.topic("bills")), fake.message(0), "ab"),
        ((on.queue("orders"), on.queue("bills"), on.topic("orders")), fake.message(0, channel="bills"), "b"),
        ((on.topic("orders"), on.topic("orders")), fake.message(0, channel="another name"), "ab"),
        ((on.stream("orders"), on.stream("orders"), on.queue("orders")), fake.message(0), "ab"),
        ((on.object("uploads"), on.object("others"), on.object("uploads")), fake.object(body=b""), "ac"),
        ((on.change("users"), on.change("shop/users"), on.change("bills")), fake.change("users", after={"id": "1"}), "ab"),
        ((on.schedule("0 3 * * *"), on.schedule("0 4 * * *")), fake.schedule(cron="0 4 * * *"), "b"),
        ((on.task("one"), on.task("two")), fake.task(0, name="two"), "b"),
        ((on.event("a.b"), on.event(), on.event("c.d")), fake.cloud_event("a.b", 0), "ab"),
        ((on.http(), on.queue("orders")), fake.message(0), "b"),
    ],
)  # fmt: skip
def test_all_functions_are_called_whose_trigger_is_for_the_events_source(
    triggers: tuple[Any, ...], event: Any, called: str
) -> None:
    functions, got = several(*triggers)
    assert ["acknowledged"] == deliver(functions, event, to="azure").outcomes
    assert list(called) == [name for name, _ in got]


def test_one_function_is_called_once_for_each_of_its_triggers_for_the_source() -> None:
    [function], got = several(on.topic("orders"))
    twice = portable(on.topic("orders"), on.topic("bills"))(function.__portable__.handler)
    for channel in ("bills", "orders"):
        deliver(twice, fake.message(0, channel=channel), to="azure", via="service_bus_topic")
    assert ["bills", "orders"] == [event.channel for _, event in got]


@pytest.mark.parametrize(
    ("text", "outcome"), [("a fails", "retried"), ("b fails", "retried"), ("b rejects", "dead-lettered"), ("", "acknowledged")]
)  # fmt: skip
def test_what_becomes_of_an_event_is_the_worst_that_became_of_it(text: str, outcome: str) -> None:
    functions, got = several(*[on.topic("orders", dead_letter="bad")] * 2)
    ids = ["first", "second"]
    events = [fake.message(body=body, id=id) for id, body in zip(ids, (text.encode(), b""), strict=True)]
    assert [outcome, "acknowledged"] == deliver(functions, events, to="azure").outcomes
    assert [("a", 0), ("a", 1), ("b", 0), ("b", 1)] == [(name, ids.index(event.id)) for name, event in got]


@pytest.mark.parametrize("service", ["service_bus_topic", "event_grid"])
def test_an_event_comes_again_to_the_function_alone_that_was_not_done_with_it(service: str) -> None:
    got: list[tuple[str, str, int]] = []

    def one_for(name: str, kind: type[Any], trigger: Any, fails: dict[str, int]) -> Any:
        def function(event: Any) -> None:
            times = sum(one[:2] == (name, event.id) for one in got) + 1
            got.append((name, event.id, times))
            if times <= fails.get(event.id, 0):
                raise Busy

        function.__name__ = name
        function.__annotations__["event"] = kind
        return portable(trigger)(function)

    if service == "event_grid":
        events: list[Any] = [fake.object(id=id) for id in ("first", "second", "third")]
        kind: type[Any] = ObjectEvent
        trigger: Any = on.object("uploads")
    else:
        events = [fake.message(0, id=id) for id in ("first", "second", "third")]
        kind, trigger = Message, on.topic("orders")
    functions = [
        one_for("a", kind, trigger, {"first": 2, "third": 1}),
        one_for("b", kind, trigger, {"second": 1, "third": 9}),
    ]
    delivery = deliver(functions, events, to="azure", via=service, redelivery=Redelivery(max_attempts=3))

    assert ["acknowledged", "acknowledged", "dead-lettered"] == delivery.outcomes
    assert [3, 2, 3] == delivery.attempts
    times = {(name, id): count for name, id, count in got}
    assert {
        ("a", "first"): 3, ("a", "second"): 1, ("a", "third"): 2,
        ("b", "first"): 1, ("b", "second"): 2, ("b", "third"): 3,
    } == times  # fmt: skip


def test_what_one_function_rejects_is_not_forgotten_where_it_comes_again_to_another() -> None:
    times: list[int] = []

    @portable(on.topic("orders", dead_letter="bad"))
    def picky(order: Message) -> None:
        raise Reject("not for us")

    @portable(on.topic("orders"))
    def late(order: Message) -> None:
        times.append(1)
        if len(times) == 1:
            raise Busy

    delivery = deliver([picky, late], fake.message(0), to="azure", redelivery=Redelivery())
    assert (["dead-lettered"], [2], 2) == (delivery.outcomes, delivery.attempts, len(times))


def test_a_duplicate_reaches_all_functions_again() -> None:
    functions, got = several(on.topic("orders"), on.topic("orders"))
    deliver(functions, fake.message(0), to="azure", failures=[Duplicates()])
    assert list("abab") == [name for name, _ in got]


@pytest.mark.parametrize("cold_start", [False, True])
def test_each_invocation_that_comes_of_what_arrives_together_is_a_cold_start_where_that_is_asked_for(
    cold_start: bool,
) -> None:
    seen: list[bool] = []

    @portable(on.queue("orders"))
    def ship(order: Message, ctx: Context) -> None:
        seen.append(ctx.cold_start)

    deliver(ship, fake.batch([1, 2]), to="azure", via="service_bus_queue", cold_start=cold_start)
    assert [True, cold_start] == seen


def test_events_of_several_places_reach_each_its_own() -> None:
    functions, got = several(on.queue("orders"), on.queue("bills"))
    events = [fake.message(n, channel=channel, id=str(n)) for n, channel in enumerate(("bills", "orders", "bills"))]
    for service in ("storage_queue", "service_bus_queue"):
        assert ["acknowledged"] * 3 == deliver(functions, events, to="azure", via=service).outcomes
        assert [("a", 1), ("b", 0), ("b", 2)] == sorted((name, event.data) for name, event in got)
        got.clear()


def test_an_event_that_none_of_several_is_for_is_refused_with_what_there_is() -> None:
    functions, _ = several(on.queue("orders"), on.queue("bills"))
    with pytest.raises(
        ValueError, match=r"no function takes a Message of 'clicks'; there are a \(orders\), b \(bills\)"
    ):
        deliver(functions, fake.message(0, channel="clicks"), to="azure")


def test_two_that_would_compete_for_a_queue_are_refused_as_entry_refuses_them() -> None:
    functions, _ = several(on.queue("orders"), on.queue("orders"))
    with pytest.raises(ConfigurationError, match="gives each event to only one of them"):
        deliver(functions, fake.message(0), to="azure")


@pytest.mark.parametrize(
    ("trigger", "event", "service"),
    [
        (on.queue("orders"), fake.message(0), "queueTrigger"),
        (on.topic("orders"), fake.message(0), "serviceBusTrigger"),
        (on.stream("orders"), fake.message(0), "eventHubTrigger"),
        (on.object("uploads"), fake.object(body=b"a"), "blobTrigger"),
        (on.object("uploads", "deleted"), fake.object(action="deleted"), "eventGridTrigger"),
        (on.change("users"), fake.change("users", after={"id": "1"}), "cosmosDBTrigger"),
    ],
)
def test_by_default_a_delivery_takes_the_service_that_entry_registers(trigger: Any, event: Any, service: str) -> None:
    # A type's mark in the metadata that the host sends.
    marks = {
        "queueTrigger": "DequeueCount", "serviceBusTrigger": "LockToken", "eventHubTrigger": "PartitionContext",
        "blobTrigger": "BlobTrigger",
    }  # fmt: skip
    [function], _ = several(trigger)
    options = {"users": {"database_name": "shop"}} if trigger.word == "change" else {}
    assert service == wired(function, options=options)["a"]["type"]
    arrival = deliver(function, event, to="azure").native_request
    sent = arrival.each[0] if arrival.each else arrival.many
    assert {marks[name] for name in marks if name == service} == set(marks.values()) & set(sent.metadata)


def test_an_object_that_the_function_is_not_for_comes_by_event_grid_where_a_blob_trigger_would_not_tell() -> None:
    functions, got = several(on.object("uploads", "created"))
    assert ["acknowledged"] == deliver(functions, fake.object(action="deleted"), to="azure").outcomes
    assert [] == got
    functions, _ = several(on.object("uploads"))
    with pytest.raises(ValueError, match="a blob trigger sends only created objects, not deleted ones"):
        deliver(functions, fake.object(action="deleted"), to="azure")


# How functions are wired


def wired(*targets: Any, **given: Any) -> dict[str, dict[str, Any]]:
    """The trigger's binding of each Azure function, with its retry policy."""
    found = {}
    for function in entry(*targets, **given).get_functions():
        bindings = json.loads(function.get_function_json())["bindings"]
        policy = function.get_settings_dict("retry_policy")
        found[function.get_function_name()] = {
            **bindings[0],
            "retry": policy and {name: policy[name] for name in policy if name != "setting_name"},
        }
    return found


def test_nothing_is_said_of_access_keys_where_no_function_is_for_http(caplog: pytest.LogCaptureFixture) -> None:
    @portable(on.queue("orders"))
    def queued(event: Message) -> None: ...

    assert ["queued"] == [one.get_function_name() for one in entry(queued).get_functions()]
    assert [] == [text for text in caplog.messages if "Auth level" in text]


def test_each_trigger_is_an_azure_function_by_the_functions_name() -> None:
    @portable(on.http("GET", "/hello"), on.queue("orders"), on.schedule("*/5 * * * *"))
    def mixed(event: Event) -> None: ...

    found = wired(mixed, stored, happened, double)
    types = {name: binding["type"] for name, binding in found.items()}
    assert {
        "http": "httpTrigger",
        "mixed": "queueTrigger",
        "mixed-2": "timerTrigger",
        "stored": "blobTrigger",
        "happened": "eventGridTrigger",
        "double": "activityTrigger",
    } == types
    assert "0 */5 * * * *" == found["mixed-2"]["schedule"]
    assert "uploads/{name}" == found["stored"]["path"]


def test_services_connections_and_options_are_by_name() -> None:
    found = wired(
        message,
        changed,
        services={"queue": "service_bus_queue", "stream": "kafka", "changed": "sql"},
        connections={"kafka": "Brokers", "users": "UsersDatabase"},
        options={"orders": {"cardinality": "many"}} | {"users": {"leasesTableName": "leases"}},
    )
    assert ("serviceBusTrigger", "orders", "MANY", "ServiceBusConnection") == tuple(
        found["message"][name] for name in ("type", "queueName", "cardinality", "connection")
    )
    assert "message" == found["message-2"]["subscriptionName"]
    assert ("%Brokers%", "message-3") == (found["message-3"]["brokerList"], found["message-3"]["consumerGroup"])
    assert ("sqlTrigger", "UsersDatabase", "leases") == tuple(
        found["changed"][name] for name in ("type", "connectionStringSetting", "leasesTableName")
    )


def test_bodies_are_bound_as_bytes() -> None:
    found = wired(message, stored)
    assert {"BINARY"} == {binding["dataType"] for binding in found.values()}


def test_an_object_trigger_for_more_than_created_ones_is_event_grids() -> None:
    @portable(on.object("uploads", "created", "deleted"))
    def both(event: ObjectEvent) -> None: ...

    assert "eventGridTrigger" == wired(both)["both"]["type"]


def test_what_azure_would_lose_is_retried_for_ever_unless_a_policy_says_otherwise() -> None:
    @portable(on.stream("a"), on.stream("b", retry=on.RetryPolicy(3, 10, 10)))
    def read(event: Message) -> None: ...

    found = wired(read)
    assert {
        "strategy": "exponential_backoff",
        "max_retry_count": "-1",
        "minimum_interval": "00:00:05",
        "maximum_interval": "00:05:00",
    } == found["read"]["retry"]
    assert {"strategy": "fixed_delay", "max_retry_count": "3", "delay_interval": "00:00:10"} == found["read-2"]["retry"]


def test_dead_letters_are_a_queue_of_the_triggers_own_kind_and_connection() -> None:
    @portable(on.queue("a", dead_letter="bad"), on.topic("b", dead_letter="bad"), on.stream("c", dead_letter="bad"))
    def read(event: Message) -> None: ...

    def dead_letters(**settings: Any) -> list[Any]:
        functions = plan([read.__portable__], set(), Settings(**settings))  # type: ignore[attr-defined]
        return [function.dead_letter for function in functions]

    assert [
        DeadLetterQueue("storage_queue", "bad", "Mine"),
        DeadLetterQueue("service_bus_queue", "bad", "Mine"),
        DeadLetterQueue("storage_queue", "bad", "AzureWebJobsStorage"),
    ] == dead_letters(connections={"read": "Mine"})
    assert [DeadLetterQueue("service_bus_queue", "bad", "Dead")] * 3 == dead_letters(
        services={"bad": "service_bus_queue"}, connections={"bad": "Dead"}
    )
    # They take no binding of the function's.
    assert {"event"} == {
        binding["name"]
        for one in entry(read).get_functions()
        for binding in json.loads(one.get_function_json())["bindings"]
    }


@pytest.mark.parametrize(
    ("trigger", "given", "said"),
    [
        (on.stream("s"), {}, "blocks the others of event_hubs"),
        (on.stream("s", retry=on.RetryPolicy(2)), {}, "loses events that fail 3 times"),
        (on.queue("q", retry=on.RetryPolicy(2)), {}, "takes no retry policy from code"),
        (on.object("uploads"), {}, "sends only created objects"),
        (on.schedule("0 3 * * *", timezone="Europe/Rome"), {}, "set WEBSITE_TIME_ZONE to 'Europe/Rome'"),
        (on.change("shop/users"), {}, "no removed rows"),
        (on.change("shop/users", "inserted"), {}, "inserted rows as updated"),
        (on.change("users"), {"services": {"users": "sql"}}, "gives up rows that fail 5 times"),
    ],
)
def test_what_one_may_not_expect_is_said_when_the_function_is_registered(
    trigger: Any, given: dict[str, Any], said: str, caplog: pytest.LogCaptureFixture
) -> None:
    @portable(trigger)
    def function(event: Event) -> None: ...

    entry(function, **given)
    import re

    assert [] != [text for text in caplog.messages if text.startswith("function: ") and re.search(said, text)]


def test_nothing_is_said_where_all_is_as_one_expects(caplog: pytest.LogCaptureFixture) -> None:
    @portable(on.queue("q"), on.object("uploads", "created"), on.schedule("0 3 * * *"), on.event(), on.task("t"))
    def function(event: Event) -> None: ...

    @portable(on.stream("s", dead_letter="bad"))
    def stream(event: Message) -> None: ...

    entry(function, stream)
    assert [] == [record.message for record in caplog.records if record.name == "portable_fn"]


def both(trigger: Any) -> list[Any]:
    def first(event: Message) -> None: ...
    def second(event: Message) -> None: ...

    return [portable(trigger)(first), portable(trigger)(second)]


def bare(event: Message) -> None: ...


@pytest.mark.parametrize(
    ("targets", "given", "said"),
    [
        ([portable(bare)], {}, r"bare takes Message, but has no trigger.*on\.queue\('orders'\)"),
        (both(on.queue("q")), {}, "first and second both read 'q', and Azure gives each event to only one"),
        (both(on.stream("s")), {}, "first and second both read 's'"),
        ([changed], {}, "names no database"),
        ([message], {"services": {"oders": "kafka"}}, "services has 'oders', but no function or trigger has that name"),
        ([message], {"options": {"oders": {}}}, "options has 'oders'"),
        (
            [message],
            {"services": {"queue": "kafka"}},
            "can't be Azure's 'kafka'; use one of storage_queue, service_bus_queue",
        ),
        ([message], {"settlement": True}, "needs the package azurefunctions-extensions-bindings-servicebus"),
    ],
)
def test_what_azure_cannot_have_is_refused(targets: list[Any], given: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        entry(*targets, **given)


def test_functions_for_one_topic_have_a_subscription_each() -> None:
    found = wired(*both(on.topic("t")))
    assert ["first", "second"] == [binding["subscriptionName"] for binding in found.values()]


@pytest.mark.parametrize(
    ("cron", "azures"),
    [
        ("0 3 * * *", "0 0 3 * * *"),
        ("*/5 * * * 7", "0 */5 * * * 0"),
        ("0 0 * * 5-7", "0 0 0 * * 5,6,0"),
        ("0 0 * * mon-fri", "0 0 0 * * mon-fri"),
        ("0 0 1,15 * ?", "0 0 0 1,15 * *"),
        ("10-20/5,30 0 1 jan,MAR *", "0 10-20/5,30 0 1 jan,MAR *"),
    ],
)
def test_a_cron_expression_gains_seconds_and_keeps_its_meaning(cron: str, azures: str) -> None:
    assert azures == ncrontab(cron)


@pytest.mark.parametrize(
    "cron",
    [
        "0 0 1 * 1", "0 0 * * 1-7/2", "0 22-4 * * *", "0 0 * * fri-sun", "0 0 L * *", "0 0 * * mon#2", "60 0 * * *", "*/0 0 * * *",
        "0 0 0 * *", "a b c d e", "1-2-3 0 * * *", "? 0 * * *", "0,,1 0 * * *",
    ],
)  # fmt: skip
def test_a_cron_expression_that_azure_would_read_otherwise_is_refused(cron: str) -> None:
    with pytest.raises(ConfigurationError):
        ncrontab(cron)


# Corners


def context(**given: Any) -> Any:
    made: Any = FunctionContext(TraceContext("", ""))
    for name, value in given.items():
        setattr(made, name, value)
    return made


def test_a_timer_without_a_status_has_the_invocations_id() -> None:
    one = got(tick, fake.schedule(at=None, is_late=False), "timer")
    assert (INVOCATION, None, False) == (one.id, one.time, one.is_late)


def test_a_tries_number_is_of_the_hosts_retry() -> None:
    assert 3 == got(message, fake.message({}, attempt=3), "event_hubs").attempt


def test_times_and_uuids_among_properties_are_texts_as_they_are() -> None:
    given = {"id": UUID(int=1), "at": datetime(2026, 1, 2, 3, tzinfo=UTC), b"n": b"a"}
    assert {
        "id": f"{'0' * 8}-0000-0000-0000-{'1':0>12}",
        "at": "2026-01-02T03:00:00+00:00",
        "n": "a",
    } == messages.as_attributes(given)


def test_amqp_counts_failures_where_dotnet_counts_deliveries() -> None:
    assert 1 == got(message, fake.message({}, attempt=1), "service_bus_settled").attempt
    assert 1 == got(message, fake.message({}, attempt=1), "service_bus_queue").attempt


@pytest.mark.parametrize("body", ["Zoë", "Zoë".encode(), [b"Zo", "ë".encode()]])
def test_a_settled_message_has_its_body_as_bytes_whole_in_parts_or_as_a_text(body: Any) -> None:
    names = (
        "delivery_count",
        "sequence_number",
        "enqueued_time_utc",
        "content_type",
        "application_properties",
        "subject",
    )
    native: Any = SimpleNamespace(**dict.fromkeys((*names, "session_id")), message_id="1", body=body)
    assert "Zoë" == messages.received(native, "orders").text


def test_numbers_and_truths_among_properties_are_texts_as_json_has_them() -> None:
    assert {"n": "5", "yes": "true", "half": "0.5"} == messages.as_attributes(
        {"n": 5, "yes": True, "half": 0.5, "none": None}
    )


def test_naive_times_are_utc() -> None:
    naive = datetime(2026, 1, 2, 3, 4, 5)  # noqa: DTZ001  # as .NET's JSON has it
    assert datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC) == messages.as_utc(naive)
    assert timedelta(0) == messages.as_utc(naive).utcoffset()  # type: ignore[union-attr]  # it is a time


def test_one_unreadable_document_fails_alone() -> None:
    good, bad = changes.cosmos_db([{"id": "1", "_rid": "r", "_etag": "e"}, {"id": "2"}], "db/users", "users")
    assert isinstance(good, ChangeEvent)
    assert isinstance(bad, DecodeError)


def test_every_service_says_what_it_can_do() -> None:
    said = {(service.kind, service.name) for service in CAPABILITIES}
    assert {(kind, service) for kind, services in EVENT_SERVICES.items() for service in services} == said - {
        ("Request", "http")
    }


def test_an_app_of_http_alone_loads_nothing_for_other_triggers() -> None:
    code = """
import sys
from portable_fn import Request, portable
from portable_fn_azure import entry
@portable
def hello(request: Request): ...
entry(hello)
print(sorted(name for name in sys.modules if name.startswith("portable_fn_azure.")), "portable_fn.adapter.batch" in sys.modules)
"""
    result = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    loaded = [f"portable_fn_azure.{name}" for name in ("decode", "encode", "entry", "register")]
    assert f"{loaded} False" == result.stdout.strip()


def test_what_no_function_is_for_is_an_error_and_not_acknowledged() -> None:
    @portable(on.http("GET", "/"))
    def page(request: Request) -> None: ...

    @portable(on.queue("orders"))
    def ship(order: Message) -> None: ...

    with pytest.raises(ConfigurationError, match="no function takes events of storage_queue"):
        functions_for((page,), "storage_queue")
    with pytest.raises(ConfigurationError, match="none of the functions takes a Request"):
        exchange((ship,), fake.request(), "azure")
