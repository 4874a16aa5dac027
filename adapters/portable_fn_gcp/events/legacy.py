"""Decode events of first-generation functions as the CloudEvents that Eventarc would send today.

https://github.com/GoogleCloudPlatform/functions-framework-conformance/blob/main/docs/mapping.md
"""

from __future__ import annotations

from portable_fn.adapter.cloudevents import is_unicode, read_time
from portable_fn.data import to_json
from portable_fn.errors import DecodeError
from portable_fn.events import CloudEvent
from portable_fn_gcp.events.messages import PUBLISHED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from portable_fn_gcp.native import BackgroundContext

TYPES = {
    "google.pubsub.topic.publish": PUBLISHED,
    "providers/cloud.pubsub/eventTypes/topic.publish": PUBLISHED,
    "google.storage.object.finalize": "google.cloud.storage.object.v1.finalized",
    "google.storage.object.delete": "google.cloud.storage.object.v1.deleted",
    "google.storage.object.archive": "google.cloud.storage.object.v1.archived",
    "google.storage.object.metadataUpdate": "google.cloud.storage.object.v1.metadataUpdated",
    "providers/cloud.firestore/eventTypes/document.write": "google.cloud.firestore.document.v1.written",
    "providers/cloud.firestore/eventTypes/document.create": "google.cloud.firestore.document.v1.created",
    "providers/cloud.firestore/eventTypes/document.update": "google.cloud.firestore.document.v1.updated",
    "providers/cloud.firestore/eventTypes/document.delete": "google.cloud.firestore.document.v1.deleted",
    "providers/firebase.auth/eventTypes/user.create": "google.firebase.auth.user.v1.created",
    "providers/firebase.auth/eventTypes/user.delete": "google.firebase.auth.user.v1.deleted",
    "google.firebase.remoteconfig.update": "google.firebase.remoteconfig.remoteConfig.v1.updated",
    "providers/firebase.remoteConfig/remoteconfig.update": "google.firebase.remoteconfig.remoteConfig.v1.updated",
    "providers/google.firebase.analytics/eventTypes/event.log": "google.firebase.analytics.log.v1.written",
    "providers/google.firebase.database/eventTypes/ref.create": "google.firebase.database.ref.v1.created",
    "providers/google.firebase.database/eventTypes/ref.write": "google.firebase.database.ref.v1.written",
    "providers/google.firebase.database/eventTypes/ref.update": "google.firebase.database.ref.v1.updated",
    "providers/google.firebase.database/eventTypes/ref.delete": "google.firebase.database.ref.v1.deleted",
}

# By the start of the type, if the event doesn't name its service.
_SERVICES = {
    "providers/cloud.firestore/": "firestore.googleapis.com",
    "providers/google.firebase.analytics/": "firebaseanalytics.googleapis.com",
    "providers/firebase.auth/": "firebaseauth.googleapis.com",
    "providers/google.firebase.database/": "firebasedatabase.googleapis.com",
    "providers/firebase.remoteConfig/": "firebaseremoteconfig.googleapis.com",
    "google.firebase.remoteconfig": "firebaseremoteconfig.googleapis.com",
    "providers/cloud.pubsub/": "pubsub.googleapis.com",
    "google.pubsub": "pubsub.googleapis.com",
    "providers/cloud.storage/": "storage.googleapis.com",
    "google.storage": "storage.googleapis.com",
}

_RENAMED = {"createdAt": "createTime", "lastSignedInAt": "lastSignInTime"}


def is_legacy(value: Mapping[str, Any]) -> bool:
    """Whether a JSON object is a first-generation event, rather than other JSON with a member of that name."""
    context = value.get("context")
    if isinstance(context, dict) and "eventId" in context:
        return True
    type = value.get("eventType")
    return isinstance(type, str) and ("eventId" in value or type.startswith(("providers/", "google.")))


def cloud_event(value: Mapping[str, Any], request: object) -> CloudEvent[Any]:
    """Decode an event; an unknown type is kept."""
    context = value.get("context")
    context = context if isinstance(context, dict) else {}
    type = _text(context, value, "eventType")
    id = _text(context, value, "eventId")
    time = context.get("timestamp") or value.get("timestamp")
    time = time if isinstance(time, str) else ""
    resource = context.get("resource") or value.get("resource")
    service, name = "", resource
    if isinstance(resource, dict):
        service, name = resource.get("service") or "", resource.get("name")
    if not isinstance(name, str) or not isinstance(service, str):
        raise DecodeError("a first-generation event's resource must be a string or an object of strings")
    if not service:
        service = next((value for prefix, value in _SERVICES.items() if type.startswith(prefix)), "googleapis.com")
    data = value.get("data")
    source, subject, data = _split(service, name, data, value, id, time)
    try:
        body = to_json(data).encode("utf-8", "backslashreplace")
    except (TypeError, ValueError, RecursionError) as exc:
        raise DecodeError("a first-generation event's data can't be written as JSON") from exc
    return CloudEvent(
        id,
        source,
        TYPES.get(type, type),
        body,
        subject=subject,
        time=read_time(time),
        content_type="application/json",
        native=request,
    )


def background_event(data: Any, context: BackgroundContext) -> CloudEvent[Any]:
    """Decode an event that functions-framework passes to a function that it runs as `event`."""
    names = ("event_id", "event_type", "timestamp", "resource")
    id, type, time, resource = (getattr(context, name, None) for name in names)
    members = {"eventId": id, "eventType": type, "timestamp": time, "resource": resource}
    # The framework drops the domain, which has the location of an instance of the Realtime Database.
    return cloud_event({"context": members, "data": data, "domain": None}, context)


def _split(service: str, name: str, data: Any, value: Mapping[str, Any], id: str, time: str) -> tuple[str, str, Any]:
    """Return the source, the subject and the data."""
    source = f"//{service}/{name}"
    match service:
        case "storage.googleapis.com":
            bucket, separator, key = name.partition("/objects/")
            if separator:
                # The generation may follow the key.
                before, hash, generation = key.rpartition("#")
                key = before if hash and generation.isdecimal() else key
                return f"//{service}/{bucket}", f"objects/{key}", data
        case "pubsub.googleapis.com":
            if not isinstance(data, dict):
                raise DecodeError(
                    f"a first-generation Pub/Sub event's data must be an object, not {type(data).__name__}"
                )
            message = {"messageId": id, "publishTime": time, **data}
            return source, "", {"message": {key: member for key, member in message.items() if member != ""}}
        case "firebasedatabase.googleapis.com":
            instance, separator, path = name.partition("/refs/")
            domain = value.get("domain", "")
            if domain is not None:
                if not isinstance(domain, str) or not domain:
                    raise DecodeError("a first-generation event of the Realtime Database has no domain")
                location = "us-central1" if domain == "firebaseio.com" else domain.partition(".")[0]
                instance = instance.replace("projects/_/", f"projects/_/locations/{location}/", 1)
            return f"//{service}/{instance}", f"refs/{path}" if separator else "", data
        case "firestore.googleapis.com":
            database, separator, path = name.partition("/documents/")
            return f"//{service}/{database}", f"documents/{path}" if separator else "", data
        case "firebaseauth.googleapis.com":
            if isinstance(data, dict):
                metadata = data.get("metadata")
                if isinstance(metadata, dict):
                    data = {**data, "metadata": {_RENAMED.get(key, key): member for key, member in metadata.items()}}
                return source, f"users/{data.get('uid', '')}", data
        case "firebaseanalytics.googleapis.com":
            project, separator, event = name.partition("/events/")
            app = data
            for key in ("userDim", "appInfo", "appId"):
                app = app.get(key) if isinstance(app, dict) else None
            if separator and isinstance(app, str):
                return f"//{service}/{project}/apps/{app}", f"events/{event}", data
    return source, "", data


def _text(context: Mapping[str, Any], value: Mapping[str, Any], name: str) -> str:
    text = context.get(name)
    if text is None:
        text = value.get(name)
    if text is None or text == "":
        raise DecodeError(f"a first-generation event has no {name}")
    if not isinstance(text, str):
        raise DecodeError(f"a first-generation event's {name} must be a string, not {type(text).__name__}")
    if not text.isascii() and not is_unicode(text):
        raise DecodeError(f"a first-generation event's {name} has an unpaired surrogate, which isn't valid Unicode")
    return text
