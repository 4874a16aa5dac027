"""Decode changes of DynamoDB and DocumentDB."""

from __future__ import annotations

from binascii import a2b_base64
from decimal import Decimal

from portable_fn.errors import DecodeError
from portable_fn.events import BROKEN, ChangeEvent, decoded, optional, unreadable
from portable_fn.record import lazy
from portable_fn_aws.events.messages import (
    maybe_text,
    maybe_time,
    milliseconds,
    object_or_empty,
    require_text,
    since_epoch,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime
    from typing import Any

    from portable_fn_aws.native import Record

_PRECISIONS = {"MILLISECOND": "milliseconds", "MICROSECOND": "microseconds"}
_ACTIONS = {"INSERT": "inserted", "MODIFY": "updated", "REMOVE": "removed"}


class TableChange(ChangeEvent):
    """A change of a table's item; its values are decoded on access.

    Numbers are Decimal, which is exact, sets are sets, and binary values are bytes. `key` has the attributes of the primary
    key.
    """

    native: Record
    partition = None

    @lazy
    def type(self) -> str:
        return maybe_text(self.native.get("eventName"))

    @optional
    def time(self) -> datetime | None:
        change = self.native["dynamodb"]
        created = change["ApproximateCreationDateTime"]
        # 1e11 seconds is in the year 5138, so larger numbers have a finer unit.
        size = float(created)
        unit = "seconds" if size < 1e11 else "milliseconds" if size < 1e14 else "microseconds"
        return since_epoch(
            created, _PRECISIONS.get(maybe_text(change.get("ApproximateCreationDateTimePrecision")), unit)
        )

    @decoded
    def action(self) -> str:
        return _ACTIONS[self.native["eventName"]]

    @decoded
    def key(self) -> Mapping[str, Any]:
        return plain(self.native["dynamodb"]["Keys"])

    @decoded
    def before(self) -> Mapping[str, Any] | None:
        image = self.native["dynamodb"].get("OldImage")
        return None if image is None else plain(image)

    @decoded
    def after(self) -> Mapping[str, Any] | None:
        image = self.native["dynamodb"].get("NewImage")
        return None if image is None else plain(image)


class DynamoDBChange(TableChange):
    """A record of a table's stream.

    https://docs.aws.amazon.com/lambda/latest/dg/with-ddb.html
    """

    def __init__(self, record: Record) -> None:
        self.native = record
        self.id = id = record["eventID"]
        self.source = source = record["eventSourceARN"]
        if not (type(id) is type(source) is str and id and source):
            raise DecodeError("the eventID and the eventSourceARN of a DynamoDB record must be non-empty strings")

    @decoded
    def table(self) -> str:
        # arn:aws:dynamodb:REGION:ACCOUNT:table/NAME/stream/TIME
        source: str = self.source
        _, slash, rest = source.partition("/")
        return rest.partition("/")[0] if slash else source

    @decoded
    def sequence(self) -> str | None:
        return require_text(self.native["dynamodb"]["SequenceNumber"], "the SequenceNumber of a DynamoDB record")


def read_dynamodb(record: Record) -> ChangeEvent[Any] | DecodeError:
    """Decode a record of a table's stream."""
    try:
        return DynamoDBChange(record)
    except BROKEN as exc:
        return unreadable(exc, "a DynamoDB record")


class KinesisTableChange(TableChange):
    """A table's change that DynamoDB wrote to a Kinesis stream: with the table's name and finer times, without a sequence.

    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/kds_using-shards-and-metrics.html
    """

    sequence = None

    def __init__(self, record: Record) -> None:
        self.native = record
        self.id = require_text(record["eventID"], "the eventID of a change")
        self.table = self.source = require_text(record["tableName"], "the tableName of a change")


def plain(image: Mapping[str, Any]) -> dict[str, Any]:
    """Decode DynamoDB's attribute values.

    https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_AttributeValue.html
    """
    row = {}
    for name, value in image.items():
        # A value is an object with one member; the member's name is the value's type.
        [kind] = value
        content = value[kind]
        if type(content) is not str:
            row[name] = _READ[kind](content)
        elif kind == "S":
            row[name] = content
        else:
            row[name] = _READ_TEXT[kind](content)
    return row


def _truth(content: Any) -> bool:
    if type(content) is not bool:
        raise TypeError("a BOOL must be true or false")
    return content


def _list(content: Any) -> list[Any]:
    values = []
    for value in _of_list(content):
        [kind] = value
        content = value[kind]
        values.append(_READ_TEXT[kind](content) if type(content) is str else _READ[kind](content))
    return values


def _texts(content: Any) -> list[str]:
    "".join(_of_list(content))  # raises TypeError if an item isn't a string
    return content  # type: ignore[no-any-return]  # a list of strings


def _of_list(content: Any) -> list[Any]:
    if type(content) is not list:
        raise TypeError("a list or set must be a list")
    return content


def _binary_value(content: str) -> bytes:
    return a2b_base64(content, strict_mode=True)


# By type: for contents that are strings, and for others.
_READ_TEXT: dict[str, Callable[[str], Any]] = {"S": str, "N": Decimal, "B": _binary_value}
_READ: dict[str, Callable[[Any], Any]] = {
    "BOOL": _truth,
    "NULL": lambda content: None,
    "M": plain,
    "L": _list,
    "SS": lambda content: set(_texts(content)),
    "NS": lambda content: {Decimal(text) for text in _texts(content)},
    "BS": lambda content: {_binary_value(text) for text in _texts(content)},
}


_OPERATIONS = {"insert": "inserted", "update": "updated", "replace": "updated", "delete": "removed"}


def read_docdb(record: Record, source: str) -> ChangeEvent[Any] | DecodeError:
    """Decode an event of a collection's change stream.

    https://docs.aws.amazon.com/lambda/latest/dg/with-documentdb.html

    If the event isn't about one document, such as a dropped collection, the operation is its action.
    """
    try:
        change = record["event"]
        operation = require_text(change["operationType"], "the operationType of a change")
        namespace = object_or_empty(change.get("ns"))
        return ChangeEvent(
            require_text(change["_id"]["_data"], "the id of a change"),
            source,
            maybe_text(namespace.get("coll") or namespace.get("db")),
            _OPERATIONS.get(operation, operation),
            key=_document(change.get("documentKey")),
            before=_document(change.get("fullDocumentBeforeChange")),
            after=_document(change.get("fullDocument")),
            time=maybe_time(lambda clock: since_epoch(clock["$timestamp"]["t"], "seconds"), change.get("clusterTime")),
            type=operation,
            native=record,
        )
    except BROKEN as exc:
        return unreadable(exc, "a DocumentDB event")


def _document(value: Any) -> dict[str, Any] | None:
    if value is None:
        return None
    if not isinstance(value, dict):
        raise TypeError("a document must be an object")
    return {name: _extended(member) for name, member in value.items()}


def _extended(value: Any) -> Any:
    """Decode MongoDB's extended JSON.

    https://www.mongodb.com/docs/manual/reference/mongodb-extended-json/
    """
    if isinstance(value, list):
        return [_extended(item) for item in value]
    if not isinstance(value, dict):
        return value
    names = [name for name in value if name[:1] == "$"]
    read = _EXTENDED.get(names[0]) if names and len(names) == len(value) else None
    return {name: _extended(member) for name, member in value.items()} if read is None else read(value)


def _date(value: Mapping[str, Any]) -> datetime:
    date = _extended(value["$date"])
    if isinstance(date, str):
        from portable_fn.adapter.cloudevents import parse_time

        return parse_time(date)
    return milliseconds(date)


def _decimal(value: Mapping[str, Any]) -> Decimal:
    return Decimal(value["$numberDecimal"])


def _binary(value: Mapping[str, Any]) -> bytes:
    content = value["$binary"]
    return a2b_base64(content["base64"] if isinstance(content, dict) else content, strict_mode=True)


_EXTENDED: dict[str, Callable[[Mapping[str, Any]], Any]] = {
    "$oid": lambda value: require_text(value["$oid"], "an $oid"),
    "$date": _date,
    "$numberInt": lambda value: int(value["$numberInt"]),
    "$numberLong": lambda value: int(value["$numberLong"]),
    "$numberDouble": lambda value: float(value["$numberDouble"]),
    "$numberDecimal": _decimal,
    "$binary": _binary,
    "$uuid": lambda value: require_text(value["$uuid"], "a $uuid"),
    "$timestamp": lambda value: milliseconds(value["$timestamp"]["t"] * 1000),
    "$symbol": lambda value: require_text(value["$symbol"], "a $symbol"),
    "$undefined": lambda value: None,
}
