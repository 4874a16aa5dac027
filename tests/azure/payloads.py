"""Payloads of the worker, and functions that decode them."""

from __future__ import annotations

from base64 import b64encode
from datetime import UTC, datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

from portable_fn import (
    Message,
)
from portable_fn_azure.events import changes, messages, tasks

AT = datetime(2026, 1, 2, 3, 4, 5, 600000, tzinfo=UTC)


NAIVE = AT.replace(tzinfo=None)


ELSEWHERE = AT.astimezone(timezone(timedelta(hours=5, minutes=30)))


INVOKED: Any = SimpleNamespace(invocation_id="i-1", retry_context=SimpleNamespace(retry_count=2))


def native(**fields: Any) -> Any:
    return SimpleNamespace(get_body=lambda: b"body", **fields)


def broken(**fields: Any) -> Any:
    """Return a payload whose metadata the worker can't read."""

    class Broken(SimpleNamespace):
        @property
        def metadata(self) -> Any:
            raise ValueError

    return Broken(get_body=lambda: b"body", **fields)


def storage_queue(payload: Any) -> Any:
    return messages.storage_queue(payload, "orders")


def service_bus(payload: Any) -> Any:
    return messages.service_bus(payload, "orders")


def service_bus_batch(payload: Any) -> Any:
    return messages.service_bus_batch([payload], "orders")[0]


def received(payload: Any) -> Any:
    return messages.received(payload, "orders")


def event_hubs(payload: Any) -> Any:
    return messages.event_hubs(payload, "orders", 3)


def event_hubs_batch(payload: Any) -> Any:
    return messages.event_hubs_batch([payload], "orders", 3)[0]


def kafka(payload: Any) -> Any:
    return messages.kafka(payload, "orders", 3)


def cosmos_db(payload: Any) -> Any:
    return changes.cosmos_db([payload], "shop/users", "users")[0]


def sql(payload: Any) -> Any:
    return changes.sql([payload], "users", "i-1")[0]


def mysql(payload: Any) -> Any:
    return changes.mysql([payload], "users", "i-1")[0]


def timer(payload: Any) -> Any:
    return tasks.timer(payload, INVOKED, "nightly", "0 3 * * *")


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
