"""Messages of Azure's queues, topics and streams as neutral events, as the worker hands them over.

https://learn.microsoft.com/python/api/azure-functions/azure.functions
"""

from __future__ import annotations

from portable_fn.cloudevents import parse_time
from portable_fn.errors import DecodeError
from portable_fn.events import UNREADABLE, Message, unreadable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime
    from typing import Any

    from portable_fn.batch import Item
    from portable_fn_azure.native import (
        EventHubEvent,
        KafkaEvent,
        QueueMessage,
        ReceivedMessage,
        ServiceBusMessage,
    )


def storage_queue(native: QueueMessage, channel: str) -> Message[Any]:
    """A message of a storage queue, which counts its deliveries from 1."""
    return Message(
        given(native.id, "Id"),
        channel,
        native.get_body(),
        channel=channel,
        time=utc(native.insertion_time),
        attempt=count(native.dequeue_count),
        native=native,
    )


def service_bus(native: ServiceBusMessage, channel: str) -> Message[Any]:
    """A message of a Service Bus queue or subscription; its session is the key.

    The id is the sender's, or, where he gave none, the broker's sequence number.
    """
    return _service_bus(native, channel, lambda name, value: value)


def service_bus_batch(natives: Sequence[ServiceBusMessage], channel: str) -> list[Item]:
    """The messages of a batch.

    What one of them lacks is left out for all: the host leaves empty texts out of a list of them, so that what follows stands
    at the wrong message. Source: azure-functions-host, GrpcMessageConversionExtensions.ToRpcStringArray.
    """
    metadata = _metadata(natives[0]) if natives else {}

    def aligned(name: str, value: Any) -> Any:
        values = metadata.get(f"{name}Array")
        return value if not isinstance(values, list) or len(values) == len(natives) else None

    return [read("a Service Bus message", _service_bus, native, channel, aligned) for native in natives]


def _service_bus(native: ServiceBusMessage, channel: str, aligned: Callable[[str, Any], Any]) -> Message[Any]:
    sequence = native.sequence_number
    return Message(
        aligned("MessageId", native.message_id) or given(_text(sequence), "MessageId and no SequenceNumber"),
        channel,
        native.get_body(),
        channel=channel,
        time=utc(native.enqueued_time_utc),
        content_type=aligned("ContentType", native.content_type) or "",
        attributes=texts(native.application_properties or native.user_properties),
        subject=aligned("Subject", native.subject) or aligned("Label", native.label) or "",
        # .NET counts from 1, where AMQP counts failed deliveries.
        attempt=count(native.delivery_count),
        key=aligned("SessionId", native.session_id) or None,
        sequence=_text(sequence),
        native=native,
    )


def received(native: ReceivedMessage, channel: str) -> Message[Any]:
    """A message as azurefunctions-extensions-bindings-servicebus has it, for settling each by itself."""
    body = native.body
    if isinstance(body, str):
        # A value instead of data, as JMS sends a text.
        body = body.encode()
    # AMQP counts failed deliveries: azure.servicebus gives the message's header as it is.
    failures = native.delivery_count
    sequence = _text(native.sequence_number)
    return Message(
        _text(native.message_id) or given(sequence, "MessageId and no SequenceNumber"),
        channel,
        body if isinstance(body, bytes) else b"".join(body),
        channel=channel,
        time=utc(native.enqueued_time_utc),
        content_type=_text(native.content_type) or "",
        attributes=texts(native.application_properties),
        subject=_text(native.subject) or "",
        attempt=None if failures is None else failures + 1,
        key=_text(native.session_id) or None,
        sequence=sequence,
        native=native,
    )


def event_hubs(native: EventHubEvent, channel: str, attempt: int | None) -> Message[Any]:
    """An event of an event hub. Its id is its place: partition and sequence number."""
    metadata = _metadata(native)
    return _event_hubs(native, channel, attempt, metadata, metadata.get("Properties"), metadata.get("SystemProperties"))


def event_hubs_batch(natives: Sequence[EventHubEvent], channel: str, attempt: int | None) -> list[Item]:
    """The events of a batch, all of one partition."""
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
    partition = given(_text(place.get("PartitionId")), "PartitionId")
    sequence = given(_text(native.sequence_number), "SequenceNumber")
    namespace = place.get("FullyQualifiedNamespace")
    # What the sender set of AMQP's own properties is among the system's.
    content_type = system.get("content-type") if isinstance(system, dict) else None
    return Message(
        f"{partition}:{sequence}",
        f"{namespace}/{channel}" if namespace else channel,
        native.get_body(),
        channel=channel,
        time=utc(native.enqueued_time),
        content_type=content_type if isinstance(content_type, str) else "",
        attributes=texts(own),
        attempt=attempt,
        key=native.partition_key or None,
        partition=partition,
        sequence=sequence,
        native=native,
    )


def kafka(native: KafkaEvent, channel: str, attempt: int | None) -> Message[Any]:
    """A record of Kafka. Its id is its place: topic, partition and offset."""
    partition = given(_text(native.partition), "Partition")
    offset = given(_text(native.offset), "Offset")
    return Message(
        f"{channel}-{partition}-{offset}",
        channel,
        native.get_body(),
        channel=channel,
        time=None if not native.timestamp else parse_time(native.timestamp),
        attributes=_headers(native.headers or ()),
        attempt=attempt,
        key=_text(native.key),
        partition=partition,
        sequence=offset,
        native=native,
    )


def read(what: str, decode: Callable[..., Any], *arguments: object) -> Item:
    """What `decode` makes of the arguments, or the DecodeError that says why it can't."""
    try:
        return decode(*arguments)  # type: ignore[no-any-return]  # decoders make events
    except DecodeError as exc:
        return exc
    except UNREADABLE as exc:
        error = unreadable(exc, what)
        error.__cause__ = exc
        return error


def given(value: str | None, name: str) -> str:
    """What identifies an event; DecodeError without it."""
    if not isinstance(value, str) or not value:
        raise DecodeError(f"it has no {name}")
    return value


def count(value: object) -> int | None:
    """A number of deliveries; None for one that can't be."""
    return value if type(value) is int and value > 0 else None


def utc(time: datetime | None) -> datetime | None:
    """A time of the worker's as aware UTC: .NET leaves the zone of some out, which are in UTC."""
    if time is None:
        return None
    from datetime import UTC

    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def texts(properties: object) -> dict[str, str | bytes]:
    """Properties as text: numbers and the like as JSON has them, bytes where they aren't UTF-8; none of those without a value."""
    if properties is None:
        return {}
    if not isinstance(properties, dict):
        raise DecodeError(f"its properties are a {type(properties).__name__}, not an object")
    return {_text(name) or "": _attribute(value) for name, value in properties.items() if value is not None}


def _attribute(value: object) -> str | bytes:
    if isinstance(value, str):
        return value
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return value
    from portable_fn.data import parse_json, to_json

    text = to_json(value)
    # A time or a UUID is a text to JSON.
    return str(parse_json(text)) if text.startswith('"') else text


def _headers(headers: Sequence[Mapping[str, str | None]]) -> dict[str, str | bytes | None]:
    """Kafka's headers, whose values come in base64, or are null."""
    from binascii import a2b_base64

    from portable_fn.events import join_repeated

    return join_repeated(
        (str(one["Key"]), None if (value := one["Value"]) is None else _attribute(a2b_base64(value))) for one in headers
    )


def _text(value: object) -> str | None:
    """A value as text: AMQP has ids that are numbers, UUIDs or bytes."""
    if value is None or isinstance(value, str):
        return value
    return value.decode() if isinstance(value, bytes) else str(value)


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _metadata(native: Any) -> Mapping[str, Any]:
    """The trigger's metadata; empty where the worker can't read it."""
    try:
        found = native.metadata
    except UNREADABLE:
        return {}
    return found if isinstance(found, dict) else {}
