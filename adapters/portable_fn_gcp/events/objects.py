"""Objects of Cloud Storage, by Eventarc and by notifications to Pub/Sub.

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


def stored(event: CloudEvent[Any]) -> ObjectEvent[Any]:
    """The object of an event by Eventarc, or of a first-generation one."""
    word = event.type.removeprefix(PREFIX)
    if word not in ACTIONS:
        raise DecodeError(f"an event of Cloud Storage is {word[:40]!r}; known are {', '.join(ACTIONS)}")
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
    """Whether Cloud Storage has published the message."""
    attributes = message.attributes
    return attributes.get("eventType") in NOTIFICATIONS or attributes.get("eventtype") in NOTIFICATIONS


def notified(message: Message[Any]) -> ObjectEvent[Any]:
    """The object of a notification.

    `id` is made of what tells two of them apart, since the same one may be published twice: the bucket, key, generation,
    metageneration and type. An OBJECT_DELETE with `overwrittenByGeneration` is "changed", not "deleted": the key has an
    object still, of another generation, for which "created" comes as well. (Eventarc tells the two kinds not apart.)
    """
    # Unwrapped, the attributes are headers, in lower case.
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
        raise DecodeError("an event of Cloud Storage has no bucket or no name of an object")
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
        raise DecodeError(f"the payload of a notification of Cloud Storage is not JSON: {exc}") from None


def _resource(data: object) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise DecodeError(f"an event of Cloud Storage has an object as its data, not a {type(data).__name__}")
    return data


def _text(resource: dict[str, Any], name: str) -> str:
    value = resource.get(name)
    if value is None:
        return ""
    # Of a 64-bit number, which JSON has as text.
    if type(value) is int:
        return str(value)
    if not isinstance(value, str):
        raise DecodeError(f"an object's {name} is a {type(value).__name__}, not a text")
    return value


def _side(resource: dict[str, Any], name: str) -> str | None:
    """What is neither the object's identity nor its order; None if it can't be read."""
    try:
        return _text(resource, name) or None
    except DecodeError:
        return None


def _size(size: object) -> int | None:
    if isinstance(size, str) and size.isascii() and size.isdecimal() and len(size) < 20:
        size = int(size)
    return size if type(size) is int and size >= 0 else None
