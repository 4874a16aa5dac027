"""An event survives a round trip through its payload, and a mutated payload is an event or a DecodeError."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from portable_fn import (
    Batch,
    ChangeEvent,
    DecodeError,
    Event,
    Message,
    ObjectEvent,
    ScheduleEvent,
    Task,
    on,
    portable,
)
from portable_fn.testing import deliver, fake
from portable_fn_azure.simulate import EVENT_SERVICES
from portable_fn_azure.simulate.events import payloads
from portable_fn_azure.simulate.payloads import INVOCATION, Sent
from portable_fn_azure.simulate.worker import functions_for
from tests.azure.event_handlers import GOT, changed, double, got, happened, message, stored, tick

pytestmark = pytest.mark.slow

# The law: a payload decodes to the event that it was written from, for everything that the service can carry.

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
    event = fake.cloud_event(
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

        event.body = b"" if event.read_data() is None else to_json(event.read_data()).encode()
    return event


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
def test_an_event_survives_a_round_trip(law: tuple[str, str], caplog: pytest.LogCaptureFixture) -> None:
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
def test_a_batch_survives_a_round_trip(service: str, events: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)

    @portable(on.topic("orders"), on.stream("orders"))
    def whole(batch: Batch[Message]) -> None:
        GOT.extend(batch)

    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(events, min_size=1, max_size=4, unique_by=lambda event: event.id))
    def holds(sent: list[Any]) -> None:
        for event in sent:
            # A batch has one partition and one attempt.
            if service == "event_hubs":
                event.partition, event.source = sent[0].partition, sent[0].source
                event.id = f"{event.partition}:{event.sequence}"
            if service in ("event_hubs", "kafka"):
                event.attempt = sent[0].attempt
            if service == "service_bus_topic":
                # The host omits empty ones, so the rest can't be assigned to messages.
                event.content_type, event.subject, event.key = "text/plain", f"about {event.id}", f"session {event.id}"
        if len({event.id for event in sent}) < len(sent):
            return
        GOT.clear()
        assert ["acknowledged"] * len(sent) == deliver(whole, sent, to="azure", via=service).outcomes
        assert sent == GOT

    holds()


def test_a_property_that_one_message_lacks_reaches_no_wrong_message() -> None:
    first = fake.message({}, id="1", subject="of the first", key="a", sequence="1")
    second = fake.message({}, id="2", sequence="2")

    @portable(on.topic("orders"))
    def whole(batch: Batch[Message]) -> None:
        GOT.extend((message.id, message.subject, message.key) for message in batch)

    GOT.clear()
    deliver(whole, [second, first], to="azure", via="service_bus_topic")
    assert [("2", "", None), ("1", "", None)] == GOT


def test_the_id_of_a_service_bus_message_without_one_is_the_sequence_number() -> None:
    assert "7" == got(message, fake.message({}, id="", sequence="7"), "service_bus_queue").id


# Mutated payloads


def mutations(value: Any) -> Iterator[Any]:
    """Yield the value with each of its members missing, null, of another type, huge or deep."""
    deep: Any = []
    for _ in range(300):
        deep = [deep]
    yield from (None, 5, "text", [], {}, True, -1, 10**30, "x" * 10_000, deep)
    if isinstance(value, dict):
        for name in value:
            yield {each: value[each] for each in value if each != name}
            yield from ({**value, name: inner} for inner in mutations(value[name]))
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from ([*value[:index], inner, *value[index + 1 :]] for inner in mutations(item))


def typed(value: Any) -> Any:
    """Return a value as the host sends it."""
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
    for payload in mutated(sent):
        try:
            function.native(payload)
        except Exception:
            continue  # the library's own converter refuses it: no function is called
        invoked = function.invoke(payload, [0])
        tried += 1
        assert invoked.error is None or "DecodeError" == invoked.error.name, (payload, invoked.error)
        for seen in GOT:
            read_all(seen)
        GOT.clear()
    assert tried > 10


def read_all(event: Any) -> None:
    """Read every field of the event, which may raise DecodeError."""
    for name in (*event._fields, "data"):
        try:
            getattr(event, name)
        except DecodeError:
            pass


def mutated(sent: Sent) -> Iterator[Sent]:
    """Yield the invocation with its data, or a part of its metadata, changed or missing."""
    ((kind, data),) = sent.data.items()
    if kind in ("json", "string") and data[:1] in "[{":
        yield from (Sent({kind: json.dumps(value)}, sent.metadata) for value in mutations(json.loads(data)))
    for name, value in sent.metadata.items():
        yield Sent(sent.data, {each: sent.metadata[each] for each in sent.metadata if each != name})
        inner = json.loads(value["json"]) if "json" in value else value.get("string")
        yield from (Sent(sent.data, {**sent.metadata, name: typed(odd)}) for odd in mutations(inner))
