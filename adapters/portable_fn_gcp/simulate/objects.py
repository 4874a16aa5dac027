"""Send changes of objects as Cloud Storage does."""

from __future__ import annotations

from typing import Any

from portable_fn.adapter.cloudevents import write_time
from portable_fn.data import to_json
from portable_fn.events import CloudEvent, Message, ObjectEvent
from portable_fn.http import Request
from portable_fn.testing.services import carried_by
from portable_fn_gcp.events import objects
from portable_fn_gcp.simulate.messages import pubsub_push
from portable_fn_gcp.simulate.requests import PROJECT, binary, first_generation

_EVENTARC = {action: word for word, action in objects.ACTIONS.items()}
_NOTIFICATIONS = {action: word for word, action in objects.NOTIFICATIONS.items()}


def _bucket(event: ObjectEvent[Any]) -> str:
    return (
        event.source if event.source.startswith("//") else f"//storage.googleapis.com/projects/_/buckets/{event.bucket}"
    )


def _resource(event: ObjectEvent[Any]) -> dict[str, Any]:
    known = {
        "kind": "storage#object",
        "bucket": event.bucket,
        "name": event.key,
        "size": None if event.size is None else str(event.size),
        "etag": event.etag,
        "generation": event.version,
        "contentType": event.content_type,
        "metadata": dict(event.metadata) or None,
    }
    return {name: value for name, value in known.items() if value is not None}


def storage_eventarc(event: Any) -> Request[Any]:
    """Build Eventarc's event of an object."""
    return binary(
        CloudEvent(
            event.id,
            _bucket(event),
            objects.PREFIX + _EVENTARC[event.action],
            to_json(_resource(event)).encode(),
            subject=f"objects/{event.key}",
            time=event.time,
            content_type="application/json",
            extensions={"bucket": event.bucket},
        )
    )


def storage_legacy(event: Any) -> Request[Any]:
    """Build the first-generation event of an object."""
    service, _, bucket = _bucket(event)[2:].partition("/")
    resource = {"service": service, "name": f"{bucket}/objects/{event.key}", "type": "storage#object"}
    return first_generation(event, objects.PREFIX + _EVENTARC[event.action], resource, _resource(event))


def storage_notification(event: Any) -> Request[Any]:
    """Build a push of a Cloud Storage notification."""
    type = _NOTIFICATIONS[event.action]
    attributes = {
        "bucketId": event.bucket,
        "objectId": event.key,
        "eventType": type,
        "payloadFormat": "JSON_API_V1",
        "notificationConfig": f"projects/_/buckets/{event.bucket}/notificationConfigs/1",
    }
    if event.version is not None:
        attributes["objectGeneration"] = event.version
    if event.time is not None:
        attributes["eventTime"] = write_time(event.time)
    resource = _resource(event)
    # The id of a decoded notification ends with its metageneration and type.
    before, after = f"{event.bucket}/{event.key}/{event.version or ''}/", f"/{type}"
    if event.id.startswith(before) and event.id.endswith(after):
        resource["metageneration"] = event.id[len(before) : -len(after)]
    message = Message(
        event.id,
        f"projects/{PROJECT}/subscriptions/{carried_by(event, 'events')}",
        to_json(resource).encode(),
        time=event.time,
        attributes=attributes,
    )
    return pubsub_push(message)
