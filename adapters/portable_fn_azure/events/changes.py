"""Decode changed rows and documents of Azure's databases."""

from __future__ import annotations

from portable_fn.errors import DecodeError
from portable_fn.events import ChangeEvent
from portable_fn_azure.events.messages import read, require

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from typing import Any

    from portable_fn.adapter.batch import Item

# The fields that Cosmos DB adds to a document.
SYSTEM = ("_rid", "_self", "_etag", "_attachments", "_ts", "_lsn")
# https://github.com/Azure/azure-functions-sql-extension/blob/main/Worker.Extensions.Sql/src/SqlChange.cs
SQL_OPERATIONS = ("inserted", "updated", "removed")


def cosmos_db(native: Sequence[Mapping[str, Any]], source: str, table: str) -> list[Item]:
    """Decode the documents of a change feed's batch as "updated": the feed doesn't distinguish inserts.

    In the mode "all versions and deletes" it does, and it has deletes and the previous version.
    """
    return [read("a document of Cosmos DB", _document, document, source, table) for document in native]


def _document(native: Mapping[str, Any], source: str, table: str) -> ChangeEvent[Any]:
    change = native.get("metadata")
    if isinstance(change, dict) and "operationType" in change and "_etag" not in native:
        return _version(native, change, source, table)
    document = native.get("id")
    version = native.get("_etag")
    if not isinstance(version, str) or not version:
        lsn = native["_lsn"]
        version = require(_sequence(lsn) or lsn, "_etag and no _lsn")
    row = native.get("_rid")
    row = row if isinstance(row, str) and row else require(document, "id")
    return ChangeEvent(
        f"{row}:{version.strip(chr(34))}",
        source,
        table,
        "updated",
        key={"id": document},
        after=_own(native),
        time=_seconds(native.get("_ts")),
        sequence=_sequence(native.get("_lsn")),
        native=native,
    )


def _version(native: Mapping[str, Any], change: Mapping[str, Any], source: str, table: str) -> ChangeEvent[Any]:
    """Decode a change of the feed's mode "all versions and deletes".

    https://learn.microsoft.com/azure/cosmos-db/nosql/change-feed-modes#all-versions-and-deletes-change-feed-mode
    """
    operation = change["operationType"]
    action = {"create": "inserted", "replace": "updated", "delete": "removed"}.get(operation)
    if action is None:
        raise DecodeError(f"operationType must be create, replace or delete, not {str(operation)[:40]!r}")
    current, previous = native.get("current"), native.get("previous")
    document = (current or previous or change).get("id")
    lsn = require(_sequence(change.get("lsn")), "lsn")
    return ChangeEvent(
        f"{require(document, 'id')}:{lsn}",
        source,
        table,
        action,
        key={"id": document},
        before=None if not previous else _own(previous),
        after=None if action == "removed" or not current else _own(current),
        time=_seconds(change.get("crts")),
        sequence=lsn,
        native=native,
    )


def sql(native: object, table: str, invocation: str) -> list[Item]:
    """Decode the rows of an Azure SQL trigger's batch.

    Nothing identifies a change, so its id is the invocation's and its number: redelivered rows have other ids. A removed row has
    only its key.
    """
    from portable_fn.data import parse_json

    changes = parse_json(native) if isinstance(native, str) else native
    if not isinstance(changes, list):
        raise DecodeError(f"the changes must be a list, not {type(changes).__name__}")
    return [read("a changed row", _row, row, table, f"{invocation}:{index}") for index, row in enumerate(changes)]


def _row(native: Mapping[str, Any], table: str, id: str) -> ChangeEvent[Any]:
    operation, item = native["Operation"], _object(native["Item"])
    if type(operation) is not int or not 0 <= operation < len(SQL_OPERATIONS):
        raise DecodeError(f"the Operation must be 0, 1 or 2, not {str(operation)[:40]}")
    action = SQL_OPERATIONS[operation]
    removed = action == "removed"
    return ChangeEvent(
        require(id, "id of the invocation"),
        table,
        table,
        action,
        key=item if removed else {},
        after=None if removed else item,
        native=native,
    )


def mysql(native: Sequence[Mapping[str, Any]], table: str, invocation: str) -> list[Item]:
    """Decode the rows of a MySQL trigger's batch as "updated": the trigger doesn't distinguish inserts."""
    return [read("a changed row", _mysql_row, row, table, f"{invocation}:{index}") for index, row in enumerate(native)]


def _mysql_row(native: Mapping[str, Any], table: str, id: str) -> ChangeEvent[Any]:
    return ChangeEvent(
        require(id, "id of the invocation"), table, table, "updated", after=_object(native["Item"]), native=native
    )


def _object(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise DecodeError(f"the Item must be an object, not {type(value).__name__}")
    return value


def _own(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a document without the fields that Cosmos DB adds."""
    return {name: document[name] for name in document if name not in SYSTEM}


def _sequence(value: object) -> str | None:
    return str(value) if type(value) is int else None


def _seconds(value: object) -> datetime | None:
    """Return the time of a number of seconds since 1970; None for anything else."""
    if type(value) is not int:
        return None
    from datetime import UTC, datetime, timedelta

    try:
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=value)
    except OverflowError:
        return None
