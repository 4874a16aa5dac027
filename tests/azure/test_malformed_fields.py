"""The error for each malformed field shows the value."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from portable_fn import (
    CloudEvent,
    DecodeError,
)
from portable_fn_azure.events import changes, objects
from tests.azure.payloads import (
    BLOB,
    KAFKA,
    NO_BLOB,
    NO_HUB,
    NOTHING,
    PLACE,
    ROW,
    cosmos_db,
    event_hubs,
    event_hubs_batch,
    kafka,
    mysql,
    native,
    received,
    service_bus,
    service_bus_batch,
    sql,
    storage_queue,
    version,
)

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
    "sql": (lambda payload: changes.sql(payload, "users", "i-1"), '{"a": 1}', "the changes must be a list, not dict"),
    "sql, 3": (sql, {"Operation": 3, "Item": ROW}, "the Operation must be 0, 1 or 2, not 3"),
    "sql, -1": (sql, {"Operation": -1, "Item": ROW}, "the Operation must be 0, 1 or 2, not -1"),
    "sql, long": (sql, {"Operation": LONG, "Item": ROW}, f"the Operation must be 0, 1 or 2, not {LONG[:40]}"),
    "sql, true": (sql, {"Operation": True, "Item": ROW}, "the Operation must be 0, 1 or 2, not True"),
    "sql, item": (sql, {"Operation": 0, "Item": ["a"]}, "the Item must be an object, not list"),
    "sql, nothing": (sql, {"Item": ROW}, "a changed row can't be read: 'Operation' is missing"),
    "sql, invocation": (
        lambda payload: changes._row(payload, "users", ""),
        {"Operation": 0, "Item": {}},
        "it has no id of the invocation",
    ),
    "mysql": (mysql, {"Item": 5}, "the Item must be an object, not int"),
    "mysql, nothing": (mysql, {}, "a changed row can't be read: 'Item' is missing"),
    "mysql, invocation": (
        lambda payload: changes._mysql_row(payload, "users", ""),
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


@pytest.mark.parametrize(("reader", "payload", "error"), [pytest.param(*row, id=name) for name, row in BROKEN.items()])
def test_an_error_shows_the_malformed_value(reader: Callable[[Any], Any], payload: Any, error: str) -> None:
    try:
        got = reader(payload)
    except DecodeError as exc:
        got = exc
    assert isinstance(got, DecodeError)
    # From the start of the message: no part of the payload comes first.
    assert str(got).startswith(error)
