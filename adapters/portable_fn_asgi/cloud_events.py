"""CloudEvents over HTTP as the neutral kinds.

A handler of CloudEvent gets any. For the other kinds a CloudEvent of one of these types has its fields in neutral words, as
an outbox, a bridge or `simulate` writes them; bodies are JSON:

    portable_fn.message                 the body is the message's; extensions channel, partitionkey (its key), partition and
                                        sequence; all others are attributes, but for one called attributes, a JSON object of
                                        those that can't be extensions, bytes as {"base64": …}
    portable_fn.object.<action>         {"bucket", "key", "size", "etag", "version", "content_type", "metadata"}
    portable_fn.change.<action>         {"table", "key", "before", "after"}; extensions partition and sequence
    portable_fn.schedule                {"name", "cron", "input"}

A handler of Message gets every other type too: the channel is the type, or the topic of a Knative KafkaSource or of Dapr.
"""

from __future__ import annotations

from binascii import a2b_base64

from portable_fn import cloudevents
from portable_fn.data import parse_json
from portable_fn.errors import DecodeError
from portable_fn.events import (
    CHANGE_ACTIONS,
    OBJECT_ACTIONS,
    UNREADABLE,
    ChangeEvent,
    CloudEvent,
    Event,
    Message,
    ObjectEvent,
    ScheduleEvent,
    unreadable,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from portable_fn.batch import Item
    from portable_fn.http import Request

MESSAGE = "portable_fn.message"
OBJECT = "portable_fn.object."
CHANGE = "portable_fn.change."
SCHEDULE = "portable_fn.schedule"
PLACE = ("channel", "partitionkey", "partition", "sequence", "attributes")
# https://knative.dev/docs/eventing/sources/kafka-source/: the source ends with "#" and the topic, the id is
# "partition:0/offset:564", the record's key is the extension `key`.
_KAFKA = "dev.knative.kafka.event"


def binary(request: Request[Any]) -> Sequence[Item]:
    """The event whose attributes are the request's `ce-` headers."""
    return [cloudevents.binary(request.headers, request.body, native=request)]


def structured(request: Request[Any]) -> Sequence[Item]:
    """The event that is the request's body."""
    return [cloudevents.structured_body(request.body, request.headers.get("content-type", ""), native=request)]


def batched(request: Request[Any]) -> Sequence[Item]:
    """The events of the request's body, which is an array."""
    return cloudevents.batched(request.body, request.headers.get("content-type", ""), native=request)


def key(event: Any) -> str | None:
    """The partition key within which events of one request are in order.

    https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/extensions/partitioning.md
    """
    return event.extensions.get("partitionkey") or None


def neutral(event: CloudEvent[Any]) -> Event[Any] | None:
    """The object, row or schedule that the event's type says that it is about; None for any other type."""
    type = event.type
    if not type.startswith("portable_fn."):
        return None
    try:
        if type.startswith(OBJECT):
            return _object(event, _action(type, OBJECT, OBJECT_ACTIONS))
        if type.startswith(CHANGE):
            return _change(event, _action(type, CHANGE, CHANGE_ACTIONS))
        if type == SCHEDULE:
            return _schedule(event)
    except UNREADABLE as exc:
        raise unreadable(exc, f"the data of a CloudEvent of type {type!r}") from exc
    return None


def message(event: CloudEvent[Any]) -> Message[Any]:
    """The event as a message, which it is the envelope of."""
    extensions = event.extensions
    channel, key, partition = event.type, extensions.get("partitionkey"), extensions.get("partition")
    sequence = extensions.get("sequence")
    attributes: Mapping[str, str | bytes] = extensions
    if event.type == MESSAGE:
        channel = extensions.get("channel", "")
        attributes = {name: value for name, value in extensions.items() if name not in PLACE}
        if "attributes" in extensions:
            attributes = {**attributes, **_attributes(extensions["attributes"])}
    elif event.type == _KAFKA:
        channel = event.source.rpartition("#")[2]
        key = extensions.get("key", key)
        place, _, offset = event.id.partition("/offset:")
        partition = partition or place.removeprefix("partition:") if offset else partition
        sequence = extensions.get("offset") or offset or sequence
    elif "topic" in extensions and "pubsubname" in extensions:
        # From a Dapr sidecar, by a subscription with a route of its own.
        channel = extensions["topic"]
    return Message(
        event.id,
        event.source,
        event.body,
        channel=channel,
        time=event.time,
        content_type=event.content_type,
        attributes=attributes,
        subject=event.subject,
        key=key,
        partition=partition,
        sequence=sequence,
        native=event.native,
        envelopes=(*event.envelopes, event),
    )


def _attributes(text: str) -> dict[str, str | bytes]:
    try:
        given: Any = parse_json(text)
        return {
            name: value if isinstance(value, str) else a2b_base64(value["base64"], strict_mode=True)
            for name, value in given.items()
        }
    except UNREADABLE as exc:
        raise unreadable(exc, "the extension 'attributes' of a CloudEvent") from exc


def _object(event: CloudEvent[Any], action: str) -> ObjectEvent[Any]:
    data = _data(event)
    size = data.get("size")
    if size is not None and (type(size) is not int or size < 0):
        seen = "one below 0" if type(size) is int else f"a {type(size).__name__}"
        raise DecodeError(f"the size of an object is a whole number of bytes, not {seen}")
    metadata = data.get("metadata") or {}
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise DecodeError("the metadata of an object are names with texts")
    return ObjectEvent(
        event.id,
        event.source,
        _text(data, "bucket"),
        _text(data, "key"),
        action,
        time=event.time,
        size=size,
        etag=_optional_text(data, "etag"),
        version=_optional_text(data, "version"),
        content_type=_optional_text(data, "content_type"),
        metadata=metadata,
        type=event.type,
        notification=data,
        native=event.native,
        envelopes=(*event.envelopes, event),
    )


def _change(event: CloudEvent[Any], action: str) -> ChangeEvent[Any]:
    data = _data(event)
    rows = {name: data.get(name) for name in ("key", "before", "after")}
    for name, row in rows.items():
        if row is not None and not isinstance(row, dict):
            raise DecodeError(f"the {name} of a change is a JSON object or null, not a {type(row).__name__}")
    return ChangeEvent(
        event.id,
        event.source,
        _text(data, "table"),
        action,
        time=event.time,
        partition=event.extensions.get("partition"),
        sequence=event.extensions.get("sequence"),
        type=event.type,
        native=event.native,
        envelopes=(*event.envelopes, event),
        **rows,
    )


def _schedule(event: CloudEvent[Any]) -> ScheduleEvent[Any]:
    data = _data(event) if event.body else {}
    return ScheduleEvent(
        event.id,
        event.source,
        time=event.time,
        name=_optional_text(data, "name") or "",
        cron=_optional_text(data, "cron") or "",
        input=data.get("input"),
        native=event.native,
        envelopes=(*event.envelopes, event),
    )


def _action(type: str, prefix: str, possible: tuple[str, ...]) -> str:
    action = type[len(prefix) :]
    if action not in possible:
        raise DecodeError(f"a CloudEvent's type {type[:80]!r} is unknown; possible are {prefix}{'|'.join(possible)}")
    return action


def _data(event: CloudEvent[Any]) -> dict[str, Any]:
    data = parse_json(event.body.decode())
    if not isinstance(data, dict):
        raise DecodeError(
            f"the data of a CloudEvent of type {event.type!r} is a JSON object, not a {type(data).__name__}"
        )
    return data


def _text(data: Mapping[str, Any], name: str) -> str:
    value = data[name]
    if not isinstance(value, str):
        raise DecodeError(f"{name!r} is a text, not a {type(value).__name__}")
    return value


def _optional_text(data: Mapping[str, Any], name: str) -> str | None:
    return None if data.get(name) is None else _text(data, name)
