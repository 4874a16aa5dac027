"""Decode changes of Cloud Storage objects, from Eventarc and from notifications to Pub/Sub.

https://cloud.google.com/storage/docs/pubsub-notifications and google/events/cloud/storage/v1/data.proto of
https://github.com/googleapis/google-cloudevents
"""

from __future__ import annotations

from portable_fn.adapter.cloudevents import json_data, read_time
from portable_fn.data import parse_json
from portable_fn.errors import DecodeError
from portable_fn.events import ObjectEvent
from portable_fn_gcp.events.messages import texts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from portable_fn.events import CloudEvent, Message

PREFIX = "google.cloud.storage.object.v1."

ACTIONS = {
    "finalized": "created",
    "deleted": "deleted",
    "archived": "archived",
    "metadataUpdated": "changed",
}

NOTIFICATIONS = {
    "OBJECT_FINALIZE": "created",
    "OBJECT_DELETE": "deleted",
    "OBJECT_ARCHIVE": "archived",
    "OBJECT_METADATA_UPDATE": "changed",
}


def eventarc(event: CloudEvent[Any]) -> ObjectEvent[Any]:
    """Decode the object in an event from Eventarc or of the first generation."""
    word = event.type.removeprefix(PREFIX)
    if word not in ACTIONS:
        raise DecodeError(f"an unknown event {word[:40]!r} of Cloud Storage; known are {', '.join(ACTIONS)}")
    resource = _resource(json_data(event))
    bucket = _text(resource, "bucket") or event.source.rpartition("/")[2]
    key = _text(resource, "name") or event.subject.removeprefix("objects/")
    return _object(
        resource,
        event.id,
        event.source,
        bucket,
        key,
        ACTIONS[word],
        time=event.time,
        type=event.type,
        native=event.native,
        envelopes=(*event.envelopes, event),
    )


def is_notification(message: Message[Any]) -> bool:
    """Whether Cloud Storage published the message."""
    attributes = message.attributes
    return attributes.get("eventType") in NOTIFICATIONS or attributes.get("eventtype") in NOTIFICATIONS


def notification(message: Message[Any]) -> ObjectEvent[Any]:
    """Decode a notification.

    Cloud Storage may publish one notification twice, so `id` consists of what identifies it: bucket, key, generation,
    metageneration and type. An OBJECT_DELETE with `overwrittenByGeneration` is "changed", not "deleted": the key still has an
    object, of another generation, which is also notified as "created". (Eventarc doesn't distinguish the two.)
    """
    # In an unwrapped push the attributes are headers, in lower case.
    attributes = {name.lower(): value for name, value in message.attributes.items() if isinstance(value, str)}
    bucket, key = attributes.get("bucketid", ""), attributes.get("objectid", "")
    generation, type = attributes.get("objectgeneration", ""), attributes["eventtype"]
    # With payloadFormat NONE there is no body.
    resource = _resource(_json(message) if message.body else {})
    metageneration = _text(resource, "metageneration") or message.id
    action = NOTIFICATIONS[type]
    if action == "deleted" and attributes.get("overwrittenbygeneration"):
        action = "changed"
    return _object(
        resource or attributes,
        f"{bucket}/{key}/{generation}/{metageneration}/{type}",
        f"//storage.googleapis.com/projects/_/buckets/{bucket}",
        bucket,
        key,
        action,
        generation=generation,
        time=read_time(attributes.get("eventtime")) or message.time,
        type=type,
        native=message.native,
        envelopes=(*message.envelopes, message),
    )


def _object(
    resource: dict[str, Any],
    id: str,
    source: str,
    bucket: str,
    key: str,
    action: str,
    *,
    generation: str = "",
    **fields: Any,
) -> ObjectEvent[Any]:
    if not bucket or not key:
        raise DecodeError("an event of Cloud Storage has no bucket or no name of the object")
    return ObjectEvent(
        id,
        source,
        bucket,
        key,
        action,
        size=_size(resource.get("size")),
        etag=_side(resource, "etag"),
        version=_side(resource, "generation") or generation or None,
        content_type=_side(resource, "contentType"),
        metadata=texts(resource.get("metadata")),
        notification=resource,
        **fields,
    )


def _json(message: Message[Any]) -> object:
    try:
        return parse_json(message.text)
    except ValueError as exc:
        raise DecodeError(f"the payload of a Cloud Storage notification is not JSON: {exc}") from None


def _resource(data: object) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise DecodeError(f"the data of a Cloud Storage event must be an object, not {type(data).__name__}")
    return data


def _text(resource: dict[str, Any], name: str) -> str:
    value = resource.get(name)
    if value is None:
        return ""
    # JSON carries 64-bit numbers as strings.
    if type(value) is int:
        return str(value)
    if not isinstance(value, str):
        raise DecodeError(f"an object's {name} must be a string, not {type(value).__name__}")
    return value


def _side(resource: dict[str, Any], name: str) -> str | None:
    """Return a member that neither identifies nor orders objects; None if it is unreadable."""
    try:
        return _text(resource, name) or None
    except DecodeError:
        return None


def _size(size: object) -> int | None:
    if isinstance(size, str) and size.isascii() and size.isdecimal() and len(size) < 20:
        size = int(size)
    return size if type(size) is int and size >= 0 else None
