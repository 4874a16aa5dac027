"""What each field of Azure's payloads becomes, what is said of one that can't be read, and what exactly is answered."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import azure.functions as func
import pytest

from portable_fn import (
    ChangeEvent,
    CloudEvent,
    ConfigurationError,
    Context,
    DecodeError,
    Message,
    ObjectEvent,
    Reject,
    Request,
    Response,
    Retry,
    ScheduleEvent,
    Task,
    on,
    portable,
)
from portable_fn.errors import EncodeError
from portable_fn.outcomes import DONE, Done
from portable_fn_azure import decode, encode, entry
from portable_fn_azure.decode import Place
from portable_fn_azure.events import changes, messages, objects
from portable_fn_azure.events import decode as decode_events
from portable_fn_azure.events import encode as encode_events
from portable_fn_azure.simulate import answer

AT = datetime(2026, 1, 2, 3, 4, 5, 600000, tzinfo=UTC)
NAIVE = AT.replace(tzinfo=None)
ELSEWHERE = AT.astimezone(timezone(timedelta(hours=5, minutes=30)))
INVOKED: Any = SimpleNamespace(invocation_id="i-1", retry_context=SimpleNamespace(retry_count=2))


def native(**fields: Any) -> Any:
    return SimpleNamespace(get_body=lambda: b"body", **fields)


def broken(**fields: Any) -> Any:
    """A native of which the worker can't read the metadata."""

    class Broken(SimpleNamespace):
        @property
        def metadata(self) -> Any:
            raise ValueError

    return Broken(get_body=lambda: b"body", **fields)


def storage_queue(one: Any) -> Any:
    return messages.storage_queue(one, "orders")


def service_bus(one: Any) -> Any:
    return messages.service_bus(one, "orders")


def service_bus_batch(one: Any) -> Any:
    return messages.service_bus_batch([one], "orders")[0]


def received(one: Any) -> Any:
    return messages.received(one, "orders")


def event_hubs(one: Any) -> Any:
    return messages.event_hubs(one, "orders", 3)


def event_hubs_batch(one: Any) -> Any:
    return messages.event_hubs_batch([one], "orders", 3)[0]


def kafka(one: Any) -> Any:
    return messages.kafka(one, "orders", 3)


def cosmos_db(one: Any) -> Any:
    return changes.cosmos_db([one], "shop/users", "users")[0]


def sql(one: Any) -> Any:
    return changes.sql([one], "users", "i-1")[0]


def mysql(one: Any) -> Any:
    return changes.mysql([one], "users", "i-1")[0]


def timer(one: Any) -> Any:
    return decode_events.timer(one, INVOKED, "nightly", "0 3 * * *")


SERVICE_BUS = {
    "message_id": "m-1",
    "sequence_number": 7,
    "enqueued_time_utc": NAIVE,
    "content_type": "text/plain",
    "application_properties": {"of": "the application"},
    "user_properties": {"of": "the user"},
    "subject": "the subject",
    "label": "the label",
    "delivery_count": 2,
    "session_id": "s-1",
    "metadata": {},
}
NOTHING = {**dict.fromkeys(SERVICE_BUS), "sequence_number": 7}
HUB: Any = {
    "sequence_number": 7,
    "enqueued_time": ELSEWHERE,
    "partition_key": "k-1",
    "metadata": {
        "PartitionContext": {"PartitionId": "5", "FullyQualifiedNamespace": "shop.servicebus.windows.net"},
        "Properties": {"a": "b"},
        "SystemProperties": {"content-type": "text/plain"},
    },
}
PLACE = {"PartitionContext": {"PartitionId": 5}}
NO_HUB = {"sequence_number": 7, "enqueued_time": None, "partition_key": "", "metadata": PLACE}
FROM_HUB = Message(
    "5:7",
    "shop.servicebus.windows.net/orders",
    b"body",
    channel="orders",
    time=AT,
    content_type="text/plain",
    attributes={"a": "b"},
    attempt=3,
    key="k-1",
    partition="5",
    sequence="7",
)
BARE_FROM_HUB = Message("5:7", "orders", b"body", channel="orders", attempt=3, partition="5", sequence="7")
KAFKA = {"partition": 5, "offset": 7, "key": "k-1", "timestamp": "2026-01-02T03:04:05.6Z"}
HEADERS = [
    {"Key": "a", "Value": b64encode(b"first").decode()},
    {"Key": "a", "Value": b64encode("Zoë".encode()).decode()},
    {"Key": "raw", "Value": b64encode(b"\xff\x00").decode()},
    {"Key": "none", "Value": None},
]
FROM_KAFKA: dict[str, Any] = {"channel": "orders", "attempt": 3, "partition": "5", "sequence": "7"}
ROW = {"id": "u-1", "name": "Ada"}
ITS_OWN = {"_rid": "r-1", "_self": "s", "_etag": '"e-1"', "_attachments": "a", "_ts": 1767323045, "_lsn": 7}
SECOND = AT.replace(microsecond=0)
CHANGED: dict[str, Any] = {"sequence": "7", "time": SECOND, "key": {"id": "u-1"}}
NEW = {"id": "u-1", "v": 2}
OLD = {"id": "u-1", "v": 1}


def version(operation: str, **fields: Any) -> dict[str, Any]:
    return {"metadata": {"operationType": operation, "lsn": 7, "crts": 1767323045}, **fields}


def read_blob() -> bytes:
    return b"content"


BLOB = {
    "name": "uploads/a/uploads/b.png",
    "uri": "https://account.blob.core.windows.net/uploads/a/uploads/b.png",
    "length": 5,
    "blob_properties": {
        "ETag": '"0x8D"',
        "LastModified": "2026-01-02T03:04:05.6+00:00",
        "VersionId": "v-1",
        "ContentLength": 6,
        "ContentType": "image/png",
    },
    "metadata": {"a": "b"},
    "read": read_blob,
}
NO_BLOB = {"name": "uploads/b.png", "uri": None, "length": 5, "metadata": None, "read": read_blob}
ODD_ETAGS: tuple[Any, ...] = ({}, "", 5)
ODD = {
    "LastModified": "2026-01-02T03:04:05.6+00:00",
    "VersionId": 5,
    "ContentLength": "6",
    "ContentType": "",
}

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
        lambda one: decode_events.activity(one, INVOKED, "double"),
        {"n": 2},
        Task("i-1", "double", {"n": 2}, name="double", type="activity"),
    ),
}


@pytest.mark.parametrize(("reader", "given", "expected"), [pytest.param(*row, id=name) for name, row in FIELDS.items()])
def test_each_field_becomes_the_neutral_one(reader: Callable[[Any], Any], given: Any, expected: Any) -> None:
    expected.native = given
    got = reader(given)
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
def test_each_field_of_a_storage_event_becomes_the_objects(
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
def test_what_is_about_no_blob_is_no_object(event: Any) -> None:
    assert objects.storage_event(event) is None


LONG = "x" * 41
BROKEN: dict[str, tuple[Callable[[Any], Any], Any, str]] = {
    "storage_queue": (storage_queue, native(id=None), "it has no Id"),
    "service_bus": (
        service_bus,
        native(**{**NOTHING, "sequence_number": None}),
        "it has no MessageId and no SequenceNumber",
    ),
    "service_bus_batch": (service_bus_batch, native(), "a Service Bus message can't be read: AttributeError"),
    "received": (
        received,
        native(**{**NOTHING, "sequence_number": None}, body=b""),
        "it has no MessageId and no SequenceNumber",
    ),
    "event_hubs": (event_hubs, native(**{**NO_HUB, "metadata": {"PartitionContext": 5}}), "it has no PartitionId"),
    "event_hubs, sequence": (event_hubs, native(**{**NO_HUB, "sequence_number": None}), "it has no SequenceNumber"),
    "event_hubs, metadata": (event_hubs, native(**{**NO_HUB, "metadata": "text"}), "it has no PartitionId"),
    "event_hubs_batch": (
        event_hubs_batch,
        native(metadata=PLACE),
        "an event of an event hub can't be read: AttributeError",
    ),
    "kafka": (kafka, native(**{**KAFKA, "partition": None}), "it has no Partition"),
    "kafka, offset": (kafka, native(**{**KAFKA, "offset": None}), "it has no Offset"),
    "cosmos_db": (cosmos_db, {"id": "u-1"}, "a document of Cosmos DB can't be read: '_lsn' is missing"),
    "cosmos_db, id": (cosmos_db, {"_etag": "e"}, "it has no id"),
    "cosmos_db, operation": (
        cosmos_db,
        version(LONG),
        f"operationType must be create, replace or delete, not '{LONG[:40]}'",
    ),
    "cosmos_db, lsn": (cosmos_db, {"metadata": {"operationType": "delete", "id": "1"}}, "it has no lsn"),
    "cosmos_db, id of a version": (cosmos_db, version("delete"), "it has no id"),
    "sql": (lambda one: changes.sql(one, "users", "i-1"), '{"a": 1}', "the changes must be a list, not dict"),
    "sql, 3": (sql, {"Operation": 3, "Item": ROW}, "the Operation must be 0, 1 or 2, not 3"),
    "sql, -1": (sql, {"Operation": -1, "Item": ROW}, "the Operation must be 0, 1 or 2, not -1"),
    "sql, long": (sql, {"Operation": LONG, "Item": ROW}, f"the Operation must be 0, 1 or 2, not {LONG[:40]}"),
    "sql, true": (sql, {"Operation": True, "Item": ROW}, "the Operation must be 0, 1 or 2, not True"),
    "sql, item": (sql, {"Operation": 0, "Item": ["a"]}, "the Item must be an object, not list"),
    "sql, nothing": (sql, {"Item": ROW}, "a changed row can't be read: 'Operation' is missing"),
    "sql, invocation": (
        lambda one: changes._row(one, "users", ""),
        {"Operation": 0, "Item": {}},
        "it has no id of the invocation",
    ),
    "mysql": (mysql, {"Item": 5}, "the Item must be an object, not int"),
    "mysql, nothing": (mysql, {}, "a changed row can't be read: 'Item' is missing"),
    "mysql, invocation": (
        lambda one: changes._mysql_row(one, "users", ""),
        {"Item": {}},
        "it has no id of the invocation",
    ),
    "blob": (objects.blob, native(**{**BLOB, "name": None}), "it has no BlobTrigger"),
    "blob, key": (objects.blob, native(**{**BLOB, "name": "uploads"}), "it has no name of a blob in BlobTrigger"),
    "blob, version": (objects.blob, native(**NO_BLOB, blob_properties=None), "it has no ETag and no LastModified"),
    "blob, empty version": (
        objects.blob,
        native(**NO_BLOB, blob_properties={"ETag": ""}),
        "it has no ETag and no LastModified",
    ),
    "storage event": (
        objects.storage_event,
        CloudEvent("1", "s", "Microsoft.Storage.BlobCreated", b"[]", subject=f"{objects.CONTAINERS}uploads/blobs/b"),
        "the data of Microsoft.Storage.BlobCreated must be an object, not list",
    ),
}


@pytest.mark.parametrize(("reader", "given", "said"), [pytest.param(*row, id=name) for name, row in BROKEN.items()])
def test_an_error_names_what_was_seen(reader: Callable[[Any], Any], given: Any, said: str) -> None:
    try:
        got = reader(given)
    except DecodeError as exc:
        got = exc
    assert isinstance(got, DecodeError)
    # At its beginning: nothing of the payload stands before it.
    assert str(got).startswith(said)


def test_the_rows_of_a_batch_have_their_places() -> None:
    rows: Any = [{"Operation": 0, "Item": {}}, {"Operation": 1, "Item": {}}]
    for got in (changes.sql(rows, "users", "i-1"), changes.sql(json.dumps(rows), "users", "i-1")):
        assert ["i-1:0", "i-1:1"] == [one.id for one in got if isinstance(one, ChangeEvent)]
    assert ["i-1:0", "i-1:1"] == [one.id for one in changes.mysql(rows, "users", "i-1") if isinstance(one, ChangeEvent)]


def test_an_empty_batch_is_nothing() -> None:
    assert [] == messages.service_bus_batch([], "orders")
    assert [] == messages.event_hubs_batch([], "orders", 1)
    assert [] == changes.cosmos_db([], "shop/users", "users")
    assert [] == changes.sql("[]", "users", "i-1")


def test_events_of_a_hub_beyond_the_metadata_have_no_properties() -> None:
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
    assert [({"a": "b"}, "text/plain"), ({}, "")] == [(one.attributes, one.content_type) for one in got]


def test_what_went_wrong_is_kept_with_the_error_that_stands_for_it() -> None:
    got = mysql({})
    assert isinstance(got.__cause__, KeyError)


def test_a_time_is_utc_whatever_zone_the_machine_is_in(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setenv("TZ", "XYZ-05:30")
        time.tzset()
        told = [messages.as_utc(one) for one in (NAIVE, ELSEWHERE, AT, None)]
    time.tzset()
    assert [AT, AT, AT, None] == told
    assert [timedelta(0)] * 3 == [one.utcoffset() for one in told if one is not None]


def test_a_context_is_the_workers() -> None:
    for cold in (True, False):
        got = decode.AzureContext(INVOKED, cold)
        assert ("azure", INVOKED, cold, "i-1") == (got.provider, got.native, got.cold_start, got.invocation_id)


@pytest.mark.parametrize(
    ("value", "deliveries"), [(1, 1), (2, 2), (0, None), (-1, None), (True, None), ("3", None), (None, None)]
)
def test_a_number_of_deliveries_that_cannot_be_is_not_told(value: Any, deliveries: int | None) -> None:
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
def test_a_try_is_counted_from_one(context: Any, attempt: int) -> None:
    assert attempt == decode_events.attempt(context)


def test_properties_without_a_value_are_left_out_and_bytes_that_are_no_text_stay() -> None:
    assert {"raw": b"\xff"} == messages.as_attributes({"raw": b"\xff", None: "nobody's", "none": None})
    assert {} == messages.as_attributes(None)


def test_a_slash_that_was_encoded_stays_as_it_came() -> None:
    place = Place(("id",), "rest")
    params = {"id": "a%2fb%41", "rest": "c%2Fd%41/e"}
    assert ("/api", "/a%2fb%2541/c%2Fd%2541/e") == place.split("/api/a%2fb%2541/c%2Fd%2541/e", params)


def principal(value: object) -> str:
    return b64encode(json.dumps(value).encode()).decode()


@pytest.mark.parametrize(
    ("claims", "subject"),
    [
        ([], ""),
        ([{"typ": "sub", "val": 5}], "5"),
        ([{"typ": "sub", "val": "s"}, {"typ": decode._SUBJECTS[0], "val": "n"}], "n"),
    ],
)
def test_a_principal_is_named_by_its_claims_where_no_header_does(
    monkeypatch: pytest.MonkeyPatch, claims: list[Any], subject: str
) -> None:
    monkeypatch.setenv("WEBSITE_AUTH_ENABLED", "true")
    request = func.HttpRequest(
        "GET", "https://e.com/", headers={"x-ms-client-principal": principal({"claims": claims})}, body=b""
    )
    got: Any = decode.http(request, None, None).principal
    assert (subject, "easyauth", {"claims": claims}) == (got.id, got.scheme, got.claims)


# HTTP


def read(request: Any) -> dict[str, Any]:
    names = ("method", "raw_path", "root_path", "raw_query", "host", "scheme", "client_ip", "id", "native", "principal")
    return {name: getattr(request, name) for name in names}


def test_each_field_of_a_request_becomes_the_neutral_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEBSITE_AUTH_ENABLED", "true")
    given = func.HttpRequest(
        "PUT",
        "http://example.com:8080/api/items/a%2fb?u=https://e.com/?x&n=1",
        headers={
            "X-Forwarded-For": "203.0.113.7:1234",
            "X-MS-Client-Principal": principal({"claims": [{"typ": "sub", "val": "s-1"}]}),
            "Host": "other.example",
        },
        route_params={"id": "a%2fb", "other": "c%2Fd"},
        body=b"body",
    )
    expected = {
        "method": "PUT",
        "raw_query": "u=https://e.com/?x&n=1",
        "host": "example.com:8080",
        "scheme": "http",
        "client_ip": "203.0.113.7",
        "id": "i-1",
        "native": given,
    }
    for place, root_path, raw_path, params in (
        (None, "", "/api/items/a%2fb", {"id": "a/b", "other": "c/d"}),
        (Place(("", "id")), "/api", "/items/a%2fb", {}),
    ):
        got = decode.http(given, INVOKED, place)
        told = read(got)
        assert told.pop("principal").id == "s-1"
        assert {**expected, "root_path": root_path, "raw_path": raw_path} == told
        assert (b"body", "other.example", params) == (got.body, got.headers["host"], got.params)


def test_a_request_without_all_that_may_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WEBSITE_AUTH_ENABLED", raising=False)
    got = decode.http(
        func.HttpRequest("GET", "https://example.com", headers={"x-request-id": "r"}, body=b""), None, None
    )
    expected: tuple[Any, ...] = ("GET", "/", "", "example.com", "https", "", None, None, "r", b"", {})
    assert expected == (
        got.method,
        got.raw_path,
        got.raw_query,
        got.host,
        got.scheme,
        got.root_path,
        got.client_ip,
        got.principal,
        got.id,
        got.body,
        got.params,
    )


# Streaming: Starlette's requests, and an answer that an ASGI server sends.


def streamed(
    target: str = "/api/items/a%20b",
    /,
    query: bytes = b"q=%2B&u=\xc3\xab",
    headers: list[tuple[bytes, bytes]] | None = None,
    parts: tuple[dict[str, Any], ...] = ({"type": "http.request"},),
    method: str = "PUT",
    **params: str,
) -> Any:
    sent = iter(parts)

    async def receive() -> dict[str, Any]:
        return next(sent, {"type": "http.disconnect"})

    scope = {
        "type": "http",
        "method": method,
        "path": target,
        "raw_path": target.encode(),
        "query_string": query,
        "headers": headers or [],
    }
    return SimpleNamespace(scope=scope, receive=receive, path_params=params)


PROXIED = [
    (b"host", b"127.0.0.1:5000"),
    (b"x-forwarded-host", b"example.com"),
    (b"x-forwarded-proto", b"http"),
    (b"x-forwarded-for", b"10.0.0.1"),
    (b"client-ip", b"203.0.113.7:1234"),
    (b"x-ms-client-principal", principal({"claims": [{"typ": "sub", "val": "s-1"}]}).encode()),
    (b"x-a", b"1"),
    (b"x-a", "Zoë".encode()),
]


def test_each_field_of_a_streaming_request_becomes_the_neutral_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEBSITE_SKU", "Standard")
    monkeypatch.setenv("WEBSITE_AUTH_ENABLED", "true")
    given = streamed(headers=PROXIED, id="a b")
    got = decode.streaming(given, INVOKED, Place(("", "id")))
    told = read(got)
    assert told.pop("principal").id == "s-1"
    assert {
        "method": "PUT",
        "raw_path": "/items/a%20b",
        "root_path": "/api",
        "raw_query": "q=%2B&u=%C3%AB",
        "host": "example.com",
        "scheme": "http",
        "client_ip": "203.0.113.7",
        "id": "i-1",
        "native": given,
    } == told
    assert ["1", "Zoë"] == got.headers.get_all("x-a")


def test_a_streaming_request_tells_of_a_client_only_what_a_front_end_saw(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WEBSITE_SKU", raising=False)
    monkeypatch.delenv("WEBSITE_AUTH_ENABLED", raising=False)
    given = streamed(headers=PROXIED[4:6])
    got = read(decode.streaming(given, INVOKED, Place((), "path")))
    assert (None, None, "https") == (got["client_ip"], got["principal"], got["scheme"])
    assert got["host"] == Request().host


class Starlettes:
    """Stands for Starlette's Response, of which the extension's own is one."""


@pytest.fixture
def extension(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(
        sys.modules,
        "azurefunctions.extensions.http.fastapi",
        SimpleNamespace(Response=Starlettes),
    )


def test_streaming_without_its_package_says_which_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "azurefunctions.extensions.http.fastapi", None)  # so that it can't be imported
    with pytest.raises(ConfigurationError, match="azurefunctions-extensions-http-fastapi: add it"):
        entry(portable(on.http())(lambda request: None), streaming=True)


STEP: ContextVar[str] = ContextVar("STEP", default="unset")


class Sent:
    """What an ASGI server was told to send."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []

    async def __call__(self, message: dict[str, Any]) -> None:
        self.messages.append(message)

    @property
    def status(self) -> int:
        status: int = self.messages[0]["status"]
        return status

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        return [pair for pair in self.messages[0]["headers"] if pair[0] != b"content-length"]

    @property
    def chunks(self) -> list[bytes]:
        return [message["body"] for message in self.messages[1:] if message.get("body")]


def answered(handler: Any, request: Any) -> Sent:
    """What comes of a request by the app's one function, as the extension and its server call it."""
    app = entry(handler, streaming=True)
    [one] = app.get_functions()
    function: Callable[..., Awaitable[Any]] = one.get_user_function()
    sent = Sent()

    async def client() -> dict[str, Any]:
        await asyncio.sleep(60)
        return {"type": "http.disconnect"}

    async def serve() -> None:
        made = await function(req=request, context=SimpleNamespace(invocation_id="i-1", function_name="http"))
        assert isinstance(made, Starlettes)
        # The server has a context of its own.
        await asyncio.create_task(made(request.scope, client, sent))  # type: ignore[operator]  # an ASGI application

    asyncio.run(serve())
    return sent


@pytest.mark.usefixtures("extension")
def test_a_stream_goes_out_chunk_by_chunk_in_the_handlers_context_and_background_work_after_it() -> None:
    done: list[str] = []

    async def later() -> None:
        done.append("background")

    async def chunks() -> AsyncIterator[bytes]:
        yield STEP.get().encode()
        done.append("stream")
        yield b"two"

    @portable(on.http())
    async def handler(request: Request, ctx: Context) -> Response:
        STEP.set("set")
        ctx.background(later())
        return Response(200, [("x-a", "1"), ("x-a", "Zoë")], body=chunks())

    sent = answered(handler, streamed(path="a"))
    assert (200, [b"set", b"two"]) == (sent.status, sent.chunks)
    assert [(b"x-a", b"1"), (b"x-a", b"Zo%C3%AB")] == sent.headers
    assert ["stream", "background"] == done


@pytest.mark.usefixtures("extension")
def test_background_work_is_done_though_a_stream_breaks() -> None:
    done: list[str] = []

    async def later() -> None:
        done.append("background")

    async def chunks() -> AsyncIterator[bytes]:
        yield b"one"
        raise KeyError("k")

    @portable(on.http())
    async def handler(request: Request, ctx: Context) -> Response:
        ctx.background(later())
        return Response(200, body=chunks())

    with pytest.raises(Exception, match="stream"):
        answered(handler, streamed())
    assert ["background"] == done


@portable(on.http(max_body=8))
def whole(request: Request) -> Response:
    if request.text == "fail":
        raise KeyError("secret")
    return Response(201, [("set-cookie", "a=x=y"), ("set-cookie", "b=x=y")], body=request.body + request.path.encode())


def part(body: bytes, more: bool = False) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


@pytest.mark.usefixtures("extension")
@pytest.mark.parametrize(
    ("parts", "status", "body"),
    [
        ((part(b"a", True), part(b"b", True), part(b"c")), 201, b"abc/items"),
        ((part(b"12345678"),), 201, b"12345678/items"),
        ((part(b"12345678", True), part(b"9")), 413, b"problem"),
        ((part(b"fail"),), 500, b"problem"),
        ((part(b"a", True),), 400, b""),
    ],
)
def test_a_streaming_request_is_read_to_its_end_and_always_answered(
    parts: tuple[dict[str, Any], ...], status: int, body: bytes
) -> None:
    sent = answered(whole, streamed("/api/items", parts=parts, path="items"))
    assert status == sent.status
    if status == 201:
        assert [(b"set-cookie", b"a=x=y"), (b"set-cookie", b"b=x=y")] == sent.headers
    if body == b"problem":
        assert (b"content-type", b"application/problem+json") in sent.headers
        assert b"secret" not in b"".join(sent.chunks)
    else:
        assert body == b"".join(sent.chunks)


# What is answered


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
def test_a_cookie_gives_way_to_a_later_one_of_its_name_path_and_domain(
    lines: list[str], sent: list[str] | None
) -> None:
    assert sorted(lines if sent is None else sent) == sorted(cookies_of(*lines))


@pytest.fixture
def untold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encode, "_warned", set())


@pytest.mark.usefixtures("untold")
def test_what_is_not_ascii_is_percent_encoded_and_said_by_the_headers_name(caplog: pytest.LogCaptureFixture) -> None:
    made = encode.http(Response(200, [("x-a", "Zoë %~"), ("set-cookie", "a=Zoë")]))
    assert "Zo%C3%AB %~" == made.headers["x-a"]
    assert ["a=Zo%C3%AB"] == answer(made, "GET").cookies
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
    given = [] if content_type is None else [("content-type", content_type)]
    made = encode.http(Response(200, given, body=b"x"))
    assert (mimetype, content_type) == (made.mimetype, made.headers.get("content-type"))


def test_an_answers_headers_can_be_read_and_taken_as_those_of_any() -> None:
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
def test_the_host_is_told_what_the_first_that_is_to_come_again_raised(outcomes: list[Any], raised: Any) -> None:
    got = None
    try:
        encode_events.acknowledge(outcomes)
    except Exception as exc:
        got = exc
    assert raised is got


def test_an_activity_answers_plain_values_or_raises_what_was_raised() -> None:
    assert {"at": "2026-01-02T03:04:05.600000+00:00"} == encode_events.task_result(Done({"at": AT}))
    assert encode_events.task_result(DONE) is None
    with pytest.raises(Reject) as rejected:
        encode_events.task_result(REJECT)
    assert REJECT is rejected.value
    with pytest.raises(EncodeError, match="a task must return a JSON value, not a object"):
        encode_events.task_result(Done(object()))
