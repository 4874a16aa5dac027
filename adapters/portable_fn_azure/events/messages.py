"""Messages of Azure's queues, topics and streams as neutral events, as the worker hands them over.

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
    """A message of a storage queue, which counts its deliveries from 1."""
    return Message(
        given(native.id, "Id"),
        channel,
        native.get_body(),
        channel=channel,
        time=utc(side(native, "insertion_time")),
        attempt=count(side(native, "dequeue_count")),
        native=native,
    )


def service_bus(native: ServiceBusMessage, channel: str) -> Message[Any]:
    """A message of a Service Bus queue or subscription; its session is the key.

    The id is the sender's, or, where he gave none, the broker's sequence number.
    """
    return _service_bus(native, channel, _metadata(native), lambda name, value: value)


def service_bus_batch(natives: Sequence[ServiceBusMessage], channel: str) -> list[Item]:
    """The messages of a batch.

    What one of them lacks is left out for all: the host leaves empty texts out of a list of them, so that what follows stands
    at the wrong message. Source: azure-functions-host, GrpcMessageConversionExtensions.ToRpcStringArray.
    """
    metadata = _metadata(natives[0]) if natives else {}

    def aligned(name: str, value: Any) -> Any:
        values = metadata.get(f"{name}Array")
        return value if not isinstance(values, list) or len(values) == len(natives) else None

    return [read("a Service Bus message", _service_bus, native, channel, metadata, aligned) for native in natives]


def _service_bus(
    native: ServiceBusMessage, channel: str, metadata: Mapping[str, Any], aligned: Callable[[str, Any], Any]
) -> Message[Any]:
    sequence = _text(native.sequence_number)
    properties = side(native, "application_properties") or side(native, "user_properties")
    return Message(
        _text(aligned("MessageId", native.message_id)) or given(sequence, "MessageId and no SequenceNumber"),
        channel,
        native.get_body(),
        channel=channel,
        time=utc(side(native, "enqueued_time_utc")),
        content_type=text(aligned("ContentType", side(native, "content_type"))),
        attributes=texts(properties),
        subject=text(aligned("Subject", side(native, "subject"))) or text(aligned("Label", side(native, "label"))),
        # .NET counts from 1, where AMQP counts failed deliveries.
        attempt=count(side(native, "delivery_count")),
        key=_text(aligned("SessionId", native.session_id)) or _session(metadata, properties),
        sequence=sequence,
        native=native,
    )


# Where older extensions of the host have the session: in what settles its messages.
# Source: Azure/azure-functions-servicebus-extension, ServiceBusTriggerBindingStrategy.GetBindingData, and
# azure-functions-python-worker#957; that it may be missing there too, azure-functions-python-library#103.
_SETTLING = ("MessageSession", "SessionActions", "MessageReceiver", "MessageActions")


def _session(metadata: Mapping[str, Any], properties: object) -> str | None:
    """The session of the message, or of all of a batch, as extensions tell it that have no SessionId of a message."""
    if (id := _member(metadata, "SessionId")) is not None:
        return id
    of_sessions = False
    for name in _SETTLING:
        found = _member_of_any_type(metadata, name)
        if isinstance(found, str) and found.startswith("{"):
            try:
                found = parse_json(found)
            except ValueError:
                continue
        if isinstance(found, dict) and found:
            if (id := _member(found, "SessionId")) is not None:
                return id
            # A receiver without sessions has none of these.
            of_sessions = of_sessions or any(str(each).lower().startswith("session") for each in found)
    # The sender's own properties are the last word, and none where there are no sessions.
    return _member(properties, "SessionId") if of_sessions and isinstance(properties, dict) else None


def _member(members: Mapping[str, Any], name: str) -> str | None:
    return _text(_member_of_any_type(members, name)) or None


def _member_of_any_type(members: Mapping[str, Any], name: str) -> Any:
    """A member by its name in .NET's case, or in that of JSON: SessionId, sessionId."""
    found = members.get(name)
    return members.get(name[0].lower() + name[1:]) if found is None else found


def received(native: ReceivedMessage, channel: str) -> Message[Any]:
    """A message as azurefunctions-extensions-bindings-servicebus has it, for settling each by itself."""
    body = native.body
    if isinstance(body, str):
        # A value instead of data, as JMS sends a text.
        body = body.encode()
    # AMQP counts failed deliveries: azure.servicebus gives the message's header as it is.
    failures = side(native, "delivery_count")
    sequence = _text(native.sequence_number)
    return Message(
        _text(native.message_id) or given(sequence, "MessageId and no SequenceNumber"),
        channel,
        body if isinstance(body, bytes) else b"".join(body),
        channel=channel,
        time=utc(side(native, "enqueued_time_utc")),
        content_type=text(side(native, "content_type")),
        attributes=texts(side(native, "application_properties")),
        subject=text(side(native, "subject")),
        attempt=count(failures + 1) if type(failures) is int else None,
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
        f"{namespace}/{channel}" if namespace and isinstance(namespace, str) else channel,
        native.get_body(),
        channel=channel,
        time=utc(side(native, "enqueued_time")),
        content_type=content_type if isinstance(content_type, str) else "",
        attributes=texts(own),
        attempt=attempt,
        key=_key(side(native, "partition_key")) or None,
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
        time=read_time(side(native, "timestamp")),
        attributes=_headers(side(native, "headers")),
        attempt=attempt,
        key=_key(side(native, "key")),
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
    if not value.isascii() and not is_unicode(value):
        raise DecodeError(f"its {name} has half of a surrogate pair, which is no text")
    return value


def count(value: object) -> int | None:
    """A number of deliveries; None for one that can't be."""
    return value if type(value) is int and value > 0 else None


def side(native: object, name: str) -> Any:
    """An attribute that neither identity nor order depends on; None if there is none, or if the worker can't read it."""
    try:
        return getattr(native, name, None)
    except UNREADABLE:
        return None


def utc(time: object) -> datetime | None:
    """A time of the worker's as aware UTC: .NET leaves the zone of some out, which are in UTC. None for anything else."""
    from datetime import UTC, datetime

    if not isinstance(time, datetime):
        return None
    try:
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (OverflowError, ValueError):
        return None


def text(value: object) -> str:
    """A text that is side data; "" if it is none."""
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return ""
    return value if isinstance(value, str) else ""


def texts(properties: object) -> dict[str, str | bytes | None]:
    """Return properties as text: values such as numbers as JSON, bytes if they aren't UTF-8.

    Properties without a value, and those that can't be read, are left out.
    """
    found: dict[str, str | bytes | None] = {}
    for name, value in properties.items() if isinstance(properties, dict) else ():
        try:
            if value is not None and (known := _text(name)) is not None:
                found[known] = _attribute(value)
        except UNREADABLE:
            continue
    return found


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
    # A time or a UUID is a text to JSON.
    return str(parse_json(text)) if text.startswith('"') else text


def _headers(headers: object) -> dict[str, str | bytes | None]:
    """Kafka's headers, whose values come in base64, or are null; a value that is neither is None."""
    from portable_fn.events import join_repeated

    named = (one for one in _list(headers) if isinstance(one, dict) and isinstance(one.get("Key"), str))
    return join_repeated((one["Key"], _header(one.get("Value"))) for one in named)


def _header(value: object) -> str | bytes | None:
    from binascii import a2b_base64

    try:
        return None if value is None else _attribute(a2b_base64(value, strict_mode=True))  # type: ignore[arg-type]  # else a TypeError
    except UNREADABLE:
        return None


def _text(value: object) -> str | None:
    """What identifies an event, as text: AMQP has ids that are numbers, UUIDs or bytes. None for anything else."""
    if value is None or isinstance(value, str):
        if value and not value.isascii():
            value.encode()  # half of a surrogate pair is no text
        return value
    if isinstance(value, bytes):
        # One that isn't UTF-8 must not become the same as another one.
        return value.decode()
    return str(value) if type(value) is int or type(value).__name__ == "UUID" else None


def _key(value: object) -> str | None:
    """A key that orders nothing beside the partition; one that isn't UTF-8 is in base64."""
    try:
        return _text(value)
    except UnicodeDecodeError:
        from binascii import b2a_base64

        return b2a_base64(value, newline=False).decode()  # type: ignore[arg-type]  # bytes


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _metadata(native: Any) -> Mapping[str, Any]:
    """The trigger's metadata; empty where the worker can't read it."""
    try:
        found = native.metadata
    except UNREADABLE:
        return {}
    return found if isinstance(found, dict) else {}
