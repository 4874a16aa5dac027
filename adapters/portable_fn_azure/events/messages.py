"""Decode messages of Azure's queues, topics and streams.

https://learn.microsoft.com/python/api/azure-functions/azure.functions
"""

from __future__ import annotations

from portable_fn.adapter.cloudevents import is_unicode, read_time
from portable_fn.data import parse_json
from portable_fn.errors import DecodeError
from portable_fn.events import UNREADABLE, Message, unreadable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime
    from typing import Any

    from portable_fn.adapter.batch import Item
    from portable_fn_azure.native import (
        EventHubEvent,
        KafkaEvent,
        QueueMessage,
        ReceivedMessage,
        ServiceBusMessage,
    )


def storage_queue(native: QueueMessage, channel: str) -> Message[Any]:
    """Decode a message of a storage queue, which counts deliveries from 1."""
    return Message(
        require(native.id, "Id"),
        channel,
        native.get_body(),
        channel=channel,
        time=as_utc(optional(native, "insertion_time")),
        attempt=as_count(optional(native, "dequeue_count")),
        native=native,
    )


def service_bus(native: ServiceBusMessage, channel: str) -> Message[Any]:
    """Decode a message of a Service Bus queue or subscription. Its key is the session.

    The id is the sender's; without one, it is the broker's sequence number.
    """
    return _service_bus(native, channel, _metadata(native), lambda name, value: value)


def service_bus_batch(natives: Sequence[ServiceBusMessage], channel: str) -> list[Item]:
    """Decode the messages of a batch.

    If one message lacks a field, all lose it: the host sends a field of all messages as one list, without the empty strings, so
    the values after a gap would go to the wrong messages. Source: azure-functions-host,
    GrpcMessageConversionExtensions.ToRpcStringArray.
    """
    metadata = _metadata(natives[0]) if natives else {}

    def aligned(name: str, value: Any) -> Any:
        values = metadata.get(f"{name}Array")
        return value if not isinstance(values, list) or len(values) == len(natives) else None

    return [read("a Service Bus message", _service_bus, native, channel, metadata, aligned) for native in natives]


def _service_bus(
    native: ServiceBusMessage, channel: str, metadata: Mapping[str, Any], aligned: Callable[[str, Any], Any]
) -> Message[Any]:
    sequence = _as_id(native.sequence_number)
    properties = optional(native, "application_properties") or optional(native, "user_properties")
    return Message(
        _as_id(aligned("MessageId", native.message_id)) or require(sequence, "MessageId and no SequenceNumber"),
        channel,
        native.get_body(),
        channel=channel,
        time=as_utc(optional(native, "enqueued_time_utc")),
        content_type=as_text(aligned("ContentType", optional(native, "content_type"))),
        attributes=as_attributes(properties),
        subject=as_text(aligned("Subject", optional(native, "subject")))
        or as_text(aligned("Label", optional(native, "label"))),
        # .NET counts deliveries from 1; AMQP counts failed ones.
        attempt=as_count(optional(native, "delivery_count")),
        key=_as_id(aligned("SessionId", native.session_id)) or _session(metadata, properties),
        sequence=sequence,
        native=native,
    )


# Older extensions of the host have the session only in the metadata that settles messages.
# Source: Azure/azure-functions-servicebus-extension, ServiceBusTriggerBindingStrategy.GetBindingData, and
# azure-functions-python-worker#957. It may be missing there too: azure-functions-python-library#103.
_SETTLING = ("MessageSession", "SessionActions", "MessageReceiver", "MessageActions")


def _session(metadata: Mapping[str, Any], properties: object) -> str | None:
    """Return the session of a message or a batch for extensions that send no SessionId with a message."""
    if (id := _member(metadata, "SessionId")) is not None:
        return id
    of_sessions = False
    for name in _SETTLING:
        value = _member_of_any_type(metadata, name)
        if isinstance(value, str) and value.startswith("{"):
            try:
                value = parse_json(value)
            except ValueError:
                continue
        if isinstance(value, dict) and value:
            if (id := _member(value, "SessionId")) is not None:
                return id
            # Without sessions, none of the receiver's members starts like this.
            of_sessions = of_sessions or any(str(each).lower().startswith("session") for each in value)
    # The sender's properties come last, and count only if there are sessions.
    return _member(properties, "SessionId") if of_sessions and isinstance(properties, dict) else None


def _member(members: Mapping[str, Any], name: str) -> str | None:
    return _as_id(_member_of_any_type(members, name)) or None


def _member_of_any_type(members: Mapping[str, Any], name: str) -> Any:
    """Return a member by its name, in .NET's case or JSON's: SessionId, sessionId."""
    value = members.get(name)
    return members.get(name[0].lower() + name[1:]) if value is None else value


def received(native: ReceivedMessage, channel: str) -> Message[Any]:
    """Decode a message of azurefunctions-extensions-bindings-servicebus, which is settled separately."""
    body = native.body
    if isinstance(body, str):
        # An AMQP value instead of data, such as a text that JMS sends.
        body = body.encode()
    # AMQP counts failed deliveries, and azure.servicebus passes AMQP's header unchanged.
    failures = optional(native, "delivery_count")
    sequence = _as_id(native.sequence_number)
    return Message(
        _as_id(native.message_id) or require(sequence, "MessageId and no SequenceNumber"),
        channel,
        body if isinstance(body, bytes) else b"".join(body),
        channel=channel,
        time=as_utc(optional(native, "enqueued_time_utc")),
        content_type=as_text(optional(native, "content_type")),
        attributes=as_attributes(optional(native, "application_properties")),
        subject=as_text(optional(native, "subject")),
        attempt=as_count(failures + 1) if type(failures) is int else None,
        key=_as_id(native.session_id) or None,
        sequence=sequence,
        native=native,
    )


def event_hubs(native: EventHubEvent, channel: str, attempt: int | None) -> Message[Any]:
    """Decode an event of an event hub. Its id is the partition and the sequence number."""
    metadata = _metadata(native)
    return _event_hubs(native, channel, attempt, metadata, metadata.get("Properties"), metadata.get("SystemProperties"))


def event_hubs_batch(natives: Sequence[EventHubEvent], channel: str, attempt: int | None) -> list[Item]:
    """Decode the events of a batch, which come from one partition."""
    metadata = _metadata(natives[0]) if natives else {}
    properties, system = (_list(metadata.get(name)) for name in ("PropertiesArray", "SystemPropertiesArray"))
    items = []
    for index, native in enumerate(natives):
        own = properties[index] if index < len(properties) else None
        systems = system[index] if index < len(system) else None
        items.append(read("an event of an event hub", _event_hubs, native, channel, attempt, metadata, own, systems))
    return items


def _event_hubs(
    native: EventHubEvent, channel: str, attempt: int | None, metadata: Mapping[str, Any], own: Any, system: Any
) -> Message[Any]:
    place = metadata.get("PartitionContext")
    place = place if isinstance(place, dict) else {}
    partition = require(_as_id(place.get("PartitionId")), "PartitionId")
    sequence = require(_as_id(native.sequence_number), "SequenceNumber")
    namespace = place.get("FullyQualifiedNamespace")
    # The system properties include the AMQP properties that the sender set.
    content_type = system.get("content-type") if isinstance(system, dict) else None
    return Message(
        f"{partition}:{sequence}",
        f"{namespace}/{channel}" if namespace and isinstance(namespace, str) else channel,
        native.get_body(),
        channel=channel,
        time=as_utc(optional(native, "enqueued_time")),
        content_type=content_type if isinstance(content_type, str) else "",
        attributes=as_attributes(own),
        attempt=attempt,
        key=_as_key(optional(native, "partition_key")) or None,
        partition=partition,
        sequence=sequence,
        native=native,
    )


def kafka(native: KafkaEvent, channel: str, attempt: int | None) -> Message[Any]:
    """Decode a Kafka record. Its id is the topic, the partition and the offset."""
    partition = require(_as_id(native.partition), "Partition")
    offset = require(_as_id(native.offset), "Offset")
    return Message(
        f"{channel}-{partition}-{offset}",
        channel,
        native.get_body(),
        channel=channel,
        time=read_time(optional(native, "timestamp")),
        attributes=_headers(optional(native, "headers")),
        attempt=attempt,
        key=_as_key(optional(native, "key")),
        partition=partition,
        sequence=offset,
        native=native,
    )


def read(what: str, decode: Callable[..., Any], *arguments: object) -> Item:
    """Return what `decode` returns; if the data is malformed, return a DecodeError."""
    try:
        return decode(*arguments)  # type: ignore[no-any-return]  # decoders return events
    except DecodeError as exc:
        return exc
    except UNREADABLE as exc:
        error = unreadable(exc, what)
        error.__cause__ = exc
        return error


def require(value: str | None, name: str) -> str:
    """Return a value that identifies an event; raise DecodeError if it is missing or malformed."""
    if not isinstance(value, str) or not value:
        raise DecodeError(f"it has no {name}")
    if not value.isascii() and not is_unicode(value):
        raise DecodeError(f"its {name} has half of a surrogate pair, so it isn't valid Unicode")
    return value


def as_count(value: object) -> int | None:
    """Return a number of deliveries; None if it isn't a positive int."""
    return value if type(value) is int and value > 0 else None


def optional(native: object, name: str) -> Any:
    """Return an attribute that affects neither identity nor order; None if it is missing or the worker can't read it."""
    try:
        return getattr(native, name, None)
    except UNREADABLE:
        return None


def as_utc(time: object) -> datetime | None:
    """Return the worker's time as aware UTC; None for anything else. .NET omits the zone of some times, which are UTC."""
    from datetime import UTC, datetime

    if not isinstance(time, datetime):
        return None
    try:
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (OverflowError, ValueError):
        return None


def as_text(value: object) -> str:
    """Return optional text; "" for anything else."""
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return ""
    return value if isinstance(value, str) else ""


def as_attributes(properties: object) -> dict[str, str | bytes | None]:
    """Return properties as text: values such as numbers as JSON, bytes if they aren't UTF-8.

    Properties without a value, and those that can't be read, are left out.
    """
    attributes: dict[str, str | bytes | None] = {}
    for name, value in properties.items() if isinstance(properties, dict) else ():
        try:
            if value is not None and (text := _as_id(name)) is not None:
                attributes[text] = _attribute(value)
        except UNREADABLE:
            continue
    return attributes


def _attribute(value: object) -> str | bytes:
    if isinstance(value, str):
        return value
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return value
    from portable_fn.data import to_json

    text = to_json(value)
    # JSON has times and UUIDs as strings.
    return str(parse_json(text)) if text.startswith('"') else text


def _headers(headers: object) -> dict[str, str | bytes | None]:
    """Decode Kafka's headers. Their values are base64 or null; any other value becomes None."""
    from portable_fn.events import join_repeated

    named = (header for header in _list(headers) if isinstance(header, dict) and isinstance(header.get("Key"), str))
    return join_repeated((header["Key"], _header(header.get("Value"))) for header in named)


def _header(value: object) -> str | bytes | None:
    from binascii import a2b_base64

    try:
        return None if value is None else _attribute(a2b_base64(value, strict_mode=True))  # type: ignore[arg-type]  # else a TypeError
    except UNREADABLE:
        return None


def _as_id(value: object) -> str | None:
    """Return an id as text; None for anything else. In AMQP, ids may also be numbers, UUIDs or bytes."""
    if value is None or isinstance(value, str):
        if value and not value.isascii():
            value.encode()  # raises for half of a surrogate pair
        return value
    if isinstance(value, bytes):
        # Raises if it isn't UTF-8: two such ids must not become the same text.
        return value.decode()
    return str(value) if type(value) is int or type(value).__name__ == "UUID" else None


def _as_key(value: object) -> str | None:
    """Return a partition's key as text, in base64 if it isn't UTF-8. The partition keeps the order, not the key."""
    try:
        return _as_id(value)
    except UnicodeDecodeError:
        from binascii import b2a_base64

        return b2a_base64(value, newline=False).decode()  # type: ignore[arg-type]  # bytes


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _metadata(native: Any) -> Mapping[str, Any]:
    """Return the trigger's metadata; empty if the worker can't read it."""
    try:
        metadata = native.metadata
    except UNREADABLE:
        return {}
    return metadata if isinstance(metadata, dict) else {}
