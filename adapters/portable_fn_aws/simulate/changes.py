"""Render changes as DynamoDB and DocumentDB send them."""

from __future__ import annotations

from base64 import b64encode
from datetime import datetime
from decimal import Decimal
from typing import Any

from portable_fn.events import ChangeEvent
from portable_fn_aws.formats import ACCOUNT, REGION, arn, milliseconds


def _dynamodb_record(event: ChangeEvent[Any], number: int) -> dict[str, Any]:
    change: dict[str, Any] = {
        "Keys": _image(event.key),
        "SequenceNumber": event.sequence or str(100000000000000000000 + number),
        "SizeBytes": 26,
        "StreamViewType": "NEW_AND_OLD_IMAGES",
    }
    if event.time is not None:
        time = milliseconds(event.time) or 0
        change["ApproximateCreationDateTime"] = time // 1000 if time % 1000 == 0 else time / 1000
    if event.before is not None:
        change["OldImage"] = _image(event.before)
    if event.after is not None:
        change["NewImage"] = _image(event.after)
    return {
        "eventID": event.id,
        "eventName": {"inserted": "INSERT", "updated": "MODIFY", "removed": "REMOVE"}[event.action],
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": REGION,
        "dynamodb": change,
        "eventSourceARN": arn("dynamodb", event, f"table/{event.table}/stream/2026-01-01T00:00:00.000"),
    }


def _image(row: Any) -> dict[str, Any]:
    return {name: attribute_value(value) for name, value in row.items()}


def attribute_value(value: Any) -> dict[str, Any]:
    """Render a value as DynamoDB's attribute value.

    Raises:
        ValueError: DynamoDB has no type for it.
    """
    if value is None:
        return {"NULL": True}
    if isinstance(value, bool):
        return {"BOOL": value}
    if isinstance(value, (int, float, Decimal)):
        return {"N": str(value)}
    if isinstance(value, str):
        return {"S": value}
    if isinstance(value, bytes):
        return {"B": b64encode(value).decode()}
    if isinstance(value, dict):
        return {"M": _image(value)}
    if isinstance(value, (list, tuple)):
        return {"L": [attribute_value(item) for item in value]}
    if isinstance(value, (set, frozenset)) and value:
        members = [attribute_value(member) for member in value]
        kinds = {kind for member in members for kind in member}
        if len(kinds) == 1 and kinds <= {"S", "N", "B"}:
            (kind,) = kinds
            return {f"{kind}S": [member[kind] for member in members]}
    raise ValueError(f"DynamoDB has no type for {value!r}")


def dynamodb(events: list[Any]) -> dict[str, Any]:
    """Render a payload of a table's stream."""
    return {"Records": [_dynamodb_record(event, number) for number, event in enumerate(events)]}


def kinesis_change(event: ChangeEvent[Any]) -> dict[str, Any]:
    """Render a change as DynamoDB writes it to a Kinesis stream."""
    record = _dynamodb_record(event, 0)
    change = record["dynamodb"]
    del change["SequenceNumber"]
    if event.time is not None:
        change["ApproximateCreationDateTime"] = milliseconds(event.time)
    return {
        "awsRegion": REGION,
        "eventID": event.id,
        "eventName": record["eventName"],
        "userIdentity": None,
        "recordFormat": "application/json",
        "tableName": event.table,
        "dynamodb": change,
        "eventSource": "aws:dynamodb",
    }


def docdb(events: list[Any]) -> dict[str, Any]:
    """Render a payload of a DocumentDB change stream."""
    changes = []
    for event in events:
        change: dict[str, Any] = {
            "_id": {"_data": event.id},
            "documentKey": _extended(event.key),
            "ns": {"db": "database", "coll": event.table},
            "operationType": {"inserted": "insert", "updated": "update", "removed": "delete"}[event.action],
        }
        if event.time is not None:
            change["clusterTime"] = {"$timestamp": {"t": (milliseconds(event.time) or 0) // 1000, "i": 1}}
        if event.after is not None:
            change["fullDocument"] = _extended(event.after)
        if event.before is not None:
            change["fullDocumentBeforeChange"] = _extended(event.before)
        changes.append({"event": change})
    source = events[0].source
    cluster = source if source.startswith("arn:") else f"arn:aws:rds:{REGION}:{ACCOUNT}:cluster:database"
    return {"eventSourceArn": cluster, "events": changes, "eventSource": "aws:docdb"}


def _extended(value: Any) -> Any:
    """Render a value as MongoDB's extended JSON."""
    if isinstance(value, dict):
        return {name: _extended(member) for name, member in value.items()}
    if isinstance(value, (list, tuple)):
        return [_extended(item) for item in value]
    if isinstance(value, bytes):
        return {"$binary": {"base64": b64encode(value).decode(), "subType": "00"}}
    if isinstance(value, datetime):
        return {"$date": {"$numberLong": str(milliseconds(value))}}
    if isinstance(value, Decimal):
        return {"$numberDecimal": str(value)}
    if isinstance(value, (set, frozenset)):
        raise ValueError("DocumentDB has no sets")
    return value


def pipes_dynamodb(events: list[Any]) -> list[Any]:
    """Render the records of a table's stream from a pipe."""
    return [_dynamodb_record(event, number) for number, event in enumerate(events)]
