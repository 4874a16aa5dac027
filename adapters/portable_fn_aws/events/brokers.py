"""Decode messages of Kafka, ActiveMQ and RabbitMQ."""

from __future__ import annotations

from binascii import a2b_base64

from portable_fn.data import to_json
from portable_fn.events import BROKEN, Message, decoded, join_repeated, optional, unreadable
from portable_fn.record import lazy
from portable_fn_aws.events.messages import (
    list_or_empty,
    maybe_text,
    maybe_time,
    milliseconds,
    object_or_empty,
    readable_pairs,
    require_text,
    whole,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from typing import Any

    from portable_fn_aws.events.messages import Item
    from portable_fn_aws.native import Record


class KafkaMessage(Message):
    """A record of a topic; topic, partition and offset are its id.

    https://docs.aws.amazon.com/lambda/latest/dg/with-msk.html

    Partition and offset are numbers, or strings of digits as in AWS's guide to Pipes. A tombstone, whose value is null, has an
    empty body. A key that isn't UTF-8 stays base64. A null header is None; repeated headers are joined.
    """

    def __init__(self, record: Record, source: str) -> None:
        self.native = record
        self.source = source
        self.channel = require_text(record["topic"], "the topic of a Kafka record")
        partition, offset = record["partition"], record["offset"]
        if type(partition) is not int or type(offset) is not int or partition < 0 or offset < 0:
            partition = whole(partition, "the partition of a Kafka record")
            offset = whole(offset, "the offset of a Kafka record")
        self.partition = str(partition)
        self.sequence = str(offset)
        self.id = f"{self.channel}-{partition}-{offset}"

    @decoded
    def body(self) -> bytes:
        value = self.native.get("value")  # type: ignore[attr-defined]  # the record
        return b"" if value is None else a2b_base64(value, strict_mode=True)

    @optional
    def key(self) -> str | None:
        encoded: str | None = self.native.get("key")  # type: ignore[attr-defined]  # the record
        if encoded is None:
            return None
        try:
            return a2b_base64(encoded, strict_mode=True).decode()
        except UnicodeDecodeError:
            return encoded

    @optional
    def time(self) -> datetime | None:
        return milliseconds(self.native.get("timestamp"))  # type: ignore[attr-defined]  # the record

    @lazy
    def attributes(self) -> Mapping[str, str | bytes | None]:
        headers = self.native.get("headers")  # type: ignore[attr-defined]  # the record
        return (
            join_repeated(pair for header in list_or_empty(headers) for pair in readable_pairs(header, byte_values))
            if headers
            else {}
        )


def read_kafka(record: Record, source: str) -> Item:
    """Decode a record of a topic of that cluster."""
    try:
        return KafkaMessage(record, source)
    except BROKEN as exc:
        return unreadable(exc, "a Kafka record")


def byte_values(values: Any) -> str | bytes | None:
    """Return the text of byte values, which Java numbers from -128 to 127; bytes if they aren't UTF-8, None for null."""
    if values is None:
        return None
    octets = bytes(value & 255 for value in values)
    try:
        return octets.decode()
    except UnicodeDecodeError:
        return octets


class MQMessage(Message):
    """A message of a broker."""

    _correlation: str | None = None

    @property
    def carrier(self) -> Mapping[str, Any]:
        return self.attributes if not self._correlation else {**self.attributes, "x-correlation-id": self._correlation}


def read_activemq(record: Record, source: str) -> Item:
    """Decode a message of an ActiveMQ broker.

    https://docs.aws.amazon.com/lambda/latest/dg/with-mq.html

    AWS's guides spell the members differently: `physicalName` and `physicalname`, `correlationID` and `correlationId`.
    """
    try:
        message = MQMessage(
            require_text(_any_case(record, "messageid"), "the messageID of an ActiveMQ message"),
            source,
            a2b_base64(record.get("data") or "", strict_mode=True),
            channel=maybe_text(_any_case(object_or_empty(record.get("destination")), "physicalname")),
            time=maybe_time(milliseconds, record.get("timestamp")),
            attributes=dict(readable_pairs(record.get("properties"), _written)),
            attempt=1 if record.get("redelivered") is False else None,
            native=record,
        )
        message._correlation = maybe_text(_any_case(record, "correlationid"))
    except BROKEN as exc:
        return unreadable(exc, "an ActiveMQ message")
    return message


def read_rabbitmq(record: Record, source: str, queue: str, fallback_id: str) -> Item:
    """Decode a message of a RabbitMQ queue, named `queue::/host`.

    Args:
        fallback_id: Its id if the sender set none, because RabbitMQ sets none: its place in the invocation.
    """
    try:
        properties = object_or_empty(record.get("basicProperties"))
        message = MQMessage(
            require_text(properties.get("messageId") or fallback_id, "the messageId of a RabbitMQ message"),
            source,
            a2b_base64(record.get("data") or "", strict_mode=True),
            channel=queue.partition("::")[0],
            time=maybe_time(_java_time, properties.get("timestamp")),
            content_type=maybe_text(properties.get("contentType")),
            attributes=dict(readable_pairs(properties.get("headers"), _written)),
            attempt=1 if record.get("redelivered") is False else None,
            native=record,
        )
        message._correlation = maybe_text(properties.get("correlationId"))
    except BROKEN as exc:
        return unreadable(exc, "a RabbitMQ message")
    return message


def _any_case(record: Mapping[str, Any], name: str) -> Any:
    """Return the member of that name in lower case, however AWS spells it."""
    return next((value for known, value in record.items() if known.lower() == name), None)


def _written(value: Any) -> str | bytes | None:
    """Return a property or header as text: RabbitMQ sends texts as byte values; other values become JSON; null is None."""
    if isinstance(value, dict) and isinstance(value.get("bytes"), list):
        return byte_values(value["bytes"])
    return value if value is None or isinstance(value, str) else to_json(value)


def _java_time(text: Any) -> datetime | None:
    """Read a time such as `Jan 1, 1970, 12:33:41 AM`; newer Java versions write a narrow space before AM."""
    if not text:
        return None
    from datetime import UTC, datetime

    return datetime.strptime(" ".join(text.split()), "%b %d, %Y, %I:%M:%S %p").replace(tzinfo=UTC)
