"""Each field of an event's payload becomes the neutral event's."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest

from portable_fn import (
    ChangeEvent,
    CloudEvent,
    Message,
    ObjectEvent,
    ScheduleEvent,
    Task,
)
from portable_fn_azure import decode
from portable_fn_azure.events import changes, messages, objects, tasks
from tests.azure.payloads import (
    AT,
    BARE_FROM_HUB,
    BLOB,
    CHANGED,
    ELSEWHERE,
    FROM_HUB,
    FROM_KAFKA,
    HEADERS,
    HUB,
    INVOKED,
    ITS_OWN,
    KAFKA,
    NAIVE,
    NEW,
    NO_BLOB,
    NO_HUB,
    NOTHING,
    ODD,
    ODD_ETAGS,
    OLD,
    PLACE,
    ROW,
    SERVICE_BUS,
    broken,
    cosmos_db,
    event_hubs,
    event_hubs_batch,
    kafka,
    mysql,
    native,
    read_blob,
    received,
    service_bus,
    service_bus_batch,
    sql,
    storage_queue,
    timer,
    version,
)

FIELDS: dict[str, tuple[Callable[[Any], Any], Any, Any]] = {
    "storage_queue": (
        storage_queue,
        native(id="q-1", insertion_time=NAIVE, dequeue_count=2),
        Message("q-1", "orders", b"body", channel="orders", time=AT, attempt=2),
    ),
    "storage_queue, bare": (
        storage_queue,
        native(id="q-1", insertion_time=None, dequeue_count=0),
        Message("q-1", "orders", b"body", channel="orders"),
    ),
    "service_bus": (
        service_bus,
        native(**SERVICE_BUS),
        Message(
            "m-1",
            "orders",
            b"body",
            channel="orders",
            time=AT,
            content_type="text/plain",
            attributes={"of": "the application"},
            subject="the subject",
            attempt=2,
            key="s-1",
            sequence="7",
        ),
    ),
    "service_bus, as older senders have it": (
        service_bus,
        native(**{**NOTHING, "user_properties": {"of": "the user"}, "label": "the label"}),
        Message(
            "7",
            "orders",
            b"body",
            channel="orders",
            attributes={"of": "the user"},
            subject="the label",
            sequence="7",
        ),
    ),
    "service_bus, bare": (
        service_bus,
        native(**NOTHING),
        Message("7", "orders", b"body", channel="orders", sequence="7"),
    ),
    "service_bus_batch, of one metadata for each": (
        service_bus_batch,
        native(**{**NOTHING, "label": "l", "metadata": {"LabelArray": ["l"], "Label": []}}),
        Message("7", "orders", b"body", channel="orders", subject="l", sequence="7"),
    ),
    "service_bus_batch, of metadata for none": (
        service_bus_batch,
        native(
            **{
                **SERVICE_BUS,
                "metadata": {
                    f"{name}Array": [] for name in ("MessageId", "ContentType", "Subject", "Label", "SessionId")
                },
            }
        ),
        Message(
            "7",
            "orders",
            b"body",
            channel="orders",
            time=AT,
            attributes={"of": "the application"},
            attempt=2,
            sequence="7",
        ),
    ),
    "service_bus_batch, of metadata that can't be read": (
        service_bus_batch,
        broken(**{name: value for name, value in {**NOTHING, "label": "l"}.items() if name != "metadata"}),
        Message("7", "orders", b"body", channel="orders", subject="l", sequence="7"),
    ),
    "received": (
        received,
        native(
            **{**SERVICE_BUS, "message_id": UUID(int=1), "session_id": b"s-1", "content_type": b"text/plain"}, body=b"b"
        ),
        Message(
            "00000000-0000-0000-0000-000000000001",
            "orders",
            b"b",
            channel="orders",
            time=AT,
            content_type="text/plain",
            attributes={"of": "the application"},
            subject="the subject",
            attempt=3,
            key="s-1",
            sequence="7",
        ),
    ),
    "received, bare": (
        received,
        native(**NOTHING, body=iter([b"b", b"c"])),
        Message("7", "orders", b"bc", channel="orders", sequence="7"),
    ),
    "event_hubs": (event_hubs, native(**HUB), FROM_HUB),
    "event_hubs, bare": (event_hubs, native(**NO_HUB), BARE_FROM_HUB),
    "event_hubs, of odd system properties": (
        event_hubs,
        native(**{**NO_HUB, "metadata": {**PLACE, "SystemProperties": {"content-type": 5}}}),
        BARE_FROM_HUB,
    ),
    "event_hubs_batch": (
        event_hubs_batch,
        native(
            **{
                **HUB,
                "metadata": {
                    "PartitionContext": HUB["metadata"]["PartitionContext"],
                    "PropertiesArray": [{"a": "b"}],
                    "SystemPropertiesArray": [{"content-type": "text/plain"}],
                },
            }
        ),
        FROM_HUB,
    ),
    "event_hubs_batch, bare": (event_hubs_batch, native(**NO_HUB), BARE_FROM_HUB),
    "event_hubs_batch, of odd metadata": (
        event_hubs_batch,
        native(**{**NO_HUB, "metadata": {**PLACE, "PropertiesArray": "no list", "SystemPropertiesArray": ["no dict"]}}),
        BARE_FROM_HUB,
    ),
    "kafka": (
        kafka,
        native(**KAFKA, headers=HEADERS),
        Message(
            "orders-5-7",
            "orders",
            b"body",
            time=AT,
            attributes={"a": "first, Zoë", "raw": b"\xff\x00", "none": None},
            key="k-1",
            **FROM_KAFKA,
        ),
    ),
    "kafka, bare": (
        kafka,
        native(**{**KAFKA, "key": None, "timestamp": ""}, headers=None),
        Message("orders-5-7", "orders", b"body", **FROM_KAFKA),
    ),
    "kafka, of a key that is bytes": (
        kafka,
        native(**{**KAFKA, "key": "Zoë".encode(), "timestamp": None}, headers=None),
        Message("orders-5-7", "orders", b"body", key="Zoë", **FROM_KAFKA),
    ),
    "cosmos_db": (
        cosmos_db,
        {**ROW, **ITS_OWN, "metadata": {"operationType": "create"}},
        ChangeEvent(
            "r-1:e-1",
            "shop/users",
            "users",
            "updated",
            after={**ROW, "metadata": {"operationType": "create"}},
            **CHANGED,
        ),
    ),
    "cosmos_db, bare": (
        cosmos_db,
        {"id": "u-1", "_lsn": 7},
        ChangeEvent("u-1:7", "shop/users", "users", "updated", key={"id": "u-1"}, after={"id": "u-1"}, sequence="7"),
    ),
    "cosmos_db, of an application's metadata": (
        cosmos_db,
        {"id": "u-1", "_etag": "e", "metadata": {}},
        ChangeEvent("u-1:e", "shop/users", "users", "updated", key={"id": "u-1"}, after={"id": "u-1", "metadata": {}}),
    ),
    "cosmos_db, created": (
        cosmos_db,
        version("create", current={**NEW, **ITS_OWN}),
        ChangeEvent("u-1:7", "shop/users", "users", "inserted", after=NEW, **CHANGED),
    ),
    "cosmos_db, replaced": (
        cosmos_db,
        version("replace", current=NEW, previous={**OLD, **ITS_OWN}),
        ChangeEvent("u-1:7", "shop/users", "users", "updated", before=OLD, after=NEW, **CHANGED),
    ),
    "cosmos_db, deleted": (
        cosmos_db,
        version("delete", current={"id": "u-1"}, previous=OLD),
        ChangeEvent("u-1:7", "shop/users", "users", "removed", before=OLD, **CHANGED),
    ),
    "cosmos_db, deleted, of the metadata alone": (
        cosmos_db,
        {"metadata": {"operationType": "delete", "lsn": 7, "id": "u-1"}, "current": {}},
        ChangeEvent("u-1:7", "shop/users", "users", "removed", key={"id": "u-1"}, sequence="7"),
    ),
    "sql, inserted": (
        sql,
        {"Operation": 0, "Item": ROW},
        ChangeEvent("i-1:0", "users", "users", "inserted", key={}, after=ROW),
    ),
    "sql, updated": (
        sql,
        {"Operation": 1, "Item": ROW},
        ChangeEvent("i-1:0", "users", "users", "updated", key={}, after=ROW),
    ),
    "sql, removed": (sql, {"Operation": 2, "Item": ROW}, ChangeEvent("i-1:0", "users", "users", "removed", key=ROW)),
    "mysql": (mysql, {"Item": ROW}, ChangeEvent("i-1:0", "users", "users", "updated", after=ROW)),
    "blob": (
        objects.blob,
        native(**BLOB),
        ObjectEvent(
            "https://account.blob.core.windows.net/uploads/a/uploads/b.png@0x8D",
            "https://account.blob.core.windows.net/uploads",
            "uploads",
            "a/uploads/b.png",
            "created",
            time=AT,
            size=6,
            etag="0x8D",
            version="v-1",
            content_type="image/png",
            metadata={"a": "b"},
            body=read_blob,
            type="blobTrigger",
            notification=BLOB["blob_properties"],
        ),
    ),
    "blob, without its address": (
        objects.blob,
        native(**NO_BLOB, blob_properties={"ETag": "0x8D"}),
        ObjectEvent(
            "uploads/b.png@0x8D",
            "uploads",
            "uploads",
            "b.png",
            "created",
            size=5,
            etag="0x8D",
            body=read_blob,
            type="blobTrigger",
            notification={"ETag": "0x8D"},
        ),
    ),
    **{
        f"blob, of odd properties and the ETag {etag!r}": (
            objects.blob,
            native(**NO_BLOB, blob_properties={"ETag": etag, **ODD}),
            ObjectEvent(
                "uploads/b.png@2026-01-02T03:04:05.6+00:00",
                "uploads",
                "uploads",
                "b.png",
                "created",
                time=AT,
                size=5,
                body=read_blob,
                type="blobTrigger",
                notification={"ETag": etag, **ODD},
            ),
        )
        for etag in ODD_ETAGS
    },
    "timer": (
        timer,
        native(schedule_status={"Next": "2026-01-02T08:34:05.6+05:30"}, past_due=True),
        ScheduleEvent(
            "nightly@2026-01-02T03:04:05.600000+00:00",
            "nightly",
            time=AT,
            name="nightly",
            cron="0 3 * * *",
            is_late=True,
            attempt=3,
        ),
    ),
    **{
        f"timer, of the status {status}": (
            timer,
            native(schedule_status=status, past_due=None),
            ScheduleEvent("i-1", "nightly", name="nightly", cron="0 3 * * *", is_late=False, attempt=3),
        )
        for status in ({}, {"Next": "0001-01-01T00:00:00"})
    },
    "activity": (
        lambda payload: tasks.activity(payload, INVOKED, "double"),
        {"n": 2},
        Task("i-1", "double", {"n": 2}, name="double", type="activity"),
    ),
}


@pytest.mark.parametrize(
    ("reader", "payload", "expected"), [pytest.param(*row, id=name) for name, row in FIELDS.items()]
)
def test_each_field_becomes_the_neutral_one(reader: Callable[[Any], Any], payload: Any, expected: Any) -> None:
    expected.native = payload
    got = reader(payload)
    assert type(expected) is type(got)
    assert vars(expected) == vars(got)
    if expected.time is not None:
        assert timedelta(0) == got.time.utcoffset()


def stored(
    type: str = "Microsoft.Storage.BlobCreated", subject: str = "uploads/blobs/a/blobs/b.png", **data: Any
) -> Any:
    return CloudEvent(
        "g-1",
        "/subscriptions/s/storageAccounts/account",
        type,
        json.dumps(data).encode(),
        subject=f"/blobServices/default/containers/{subject}",
        time=AT,
        native=SimpleNamespace(grid=True),
        envelopes=(Message("q-1", "orders", b""),),
    )


ALL: Any = {
    "url": "https://account.blob.core.windows.net/uploads/a%20b/uploads/c%2541.png",
    "contentLength": 6,
    "eTag": "0x8D",
    "blobVersion": "v-1",
    "contentType": "image/png",
}


@pytest.mark.parametrize(
    ("event", "key", "action", "fields"),
    [
        (
            stored(**ALL),
            "a b/uploads/c%41.png",
            "created",
            {"size": 6, "etag": "0x8D", "version": "v-1", "content_type": "image/png"},
        ),
        (stored(), "a/blobs/b.png", "created", {}),
        (stored(url=5, contentLength="6", eTag=5, blobVersion=5, contentType=""), "a/blobs/b.png", "created", {}),
        (stored(url="https://elsewhere/x", eTag="", blobVersion=""), "a/blobs/b.png", "created", {}),
        (stored("Microsoft.Storage.BlobDeleted", contentLength=6, eTag="e"), "a/blobs/b.png", "deleted", {"etag": "e"}),
        (stored("Microsoft.Storage.BlobRenamed"), "a/blobs/b.png", "changed", {}),
        (stored("Microsoft.Storage.BlobTierChanged", accessTier="Archive"), "a/blobs/b.png", "archived", {}),
        (
            stored("Microsoft.Storage.BlobTierChanged", accessTier="Hot", previousTier="Cool"),
            "a/blobs/b.png",
            "changed",
            {},
        ),
    ],
)
def test_each_field_of_a_storage_event_becomes_the_object_events(
    event: Any, key: str, action: str, fields: dict[str, Any]
) -> None:
    got: Any = objects.storage_event(event)
    expected: ObjectEvent[Any] = ObjectEvent(
        "g-1",
        "/subscriptions/s/storageAccounts/account",
        "uploads",
        key,
        action,
        time=AT,
        type=event.type,
        notification=event.read_data(),
        native=event.native,
        envelopes=(*event.envelopes, event),
        **fields,
    )
    assert vars(expected) == vars(got)


@pytest.mark.parametrize(
    "event",
    [
        stored("Microsoft.Storage.AsyncOperationInitiated"),
        CloudEvent("1", "s", "Microsoft.Storage.BlobCreated", b"{}", subject="uploads/blobs/b.png"),
    ],
)
def test_an_event_that_is_not_about_a_blob_is_not_an_object_event(event: Any) -> None:
    assert objects.storage_event(event) is None


def test_the_ids_of_a_batchs_rows_have_their_positions() -> None:
    rows: Any = [{"Operation": 0, "Item": {}}, {"Operation": 1, "Item": {}}]
    for got in (changes.sql(rows, "users", "i-1"), changes.sql(json.dumps(rows), "users", "i-1")):
        assert ["i-1:0", "i-1:1"] == [event.id for event in got if isinstance(event, ChangeEvent)]
    assert ["i-1:0", "i-1:1"] == [
        event.id for event in changes.mysql(rows, "users", "i-1") if isinstance(event, ChangeEvent)
    ]


def test_an_empty_batch_has_no_events() -> None:
    assert [] == messages.service_bus_batch([], "orders")
    assert [] == messages.event_hubs_batch([], "orders", 1)
    assert [] == changes.cosmos_db([], "shop/users", "users")
    assert [] == changes.sql("[]", "users", "i-1")


def test_events_without_an_entry_in_the_metadata_have_no_properties() -> None:
    first: Any = native(
        **{
            **NO_HUB,
            "metadata": {
                **PLACE,
                "PropertiesArray": [{"a": "b"}],
                "SystemPropertiesArray": [{"content-type": "text/plain"}],
            },
        }
    )
    second: Any = native(**{**NO_HUB, "sequence_number": 8, "metadata": first.metadata})
    got: Any = messages.event_hubs_batch([first, second], "orders", 1)
    assert [({"a": "b"}, "text/plain"), ({}, "")] == [(event.attributes, event.content_type) for event in got]


def test_a_decode_error_keeps_its_cause() -> None:
    got = mysql({})
    assert isinstance(got.__cause__, KeyError)


def test_a_time_is_utc_in_every_time_zone_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setenv("TZ", "XYZ-05:30")
        time.tzset()
        times = [messages.as_utc(time) for time in (NAIVE, ELSEWHERE, AT, None)]
    time.tzset()
    assert [AT, AT, AT, None] == times
    assert [timedelta(0)] * 3 == [time.utcoffset() for time in times if time is not None]


def test_a_context_has_the_fields_of_the_workers() -> None:
    for cold in (True, False):
        got = decode.AzureContext(INVOKED, cold)
        assert ("azure", INVOKED, cold, "i-1") == (got.provider, got.native, got.cold_start, got.invocation_id)


@pytest.mark.parametrize(
    ("value", "deliveries"), [(1, 1), (2, 2), (0, None), (-1, None), (True, None), ("3", None), (None, None)]
)
def test_an_impossible_number_of_deliveries_is_ignored(value: Any, deliveries: int | None) -> None:
    assert deliveries == messages.as_count(value)


@pytest.mark.parametrize(
    ("context", "attempt"),
    [
        (None, 1),
        (SimpleNamespace(), 1),
        (SimpleNamespace(retry_context=None), 1),
        *((SimpleNamespace(retry_context=SimpleNamespace(retry_count=n)), 1) for n in (0, -1, True, "3", None)),
        (SimpleNamespace(retry_context=SimpleNamespace(retry_count=1)), 2),
    ],
)
def test_attempts_start_at_one(context: Any, attempt: int) -> None:
    assert attempt == tasks.attempt(context)


def test_properties_without_a_value_are_omitted_and_bytes_stay_bytes() -> None:
    assert {"raw": b"\xff"} == messages.as_attributes({"raw": b"\xff", None: "nobody's", "none": None})
    assert {} == messages.as_attributes(None)
