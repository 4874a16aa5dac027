"""Send changes of documents as Firestore does."""

from __future__ import annotations

from base64 import b64encode
from datetime import datetime
from typing import Any

from portable_fn.adapter.cloudevents import parse_time, write_time
from portable_fn.errors import DecodeError, EncodeError
from portable_fn.events import ChangeEvent, CloudEvent
from portable_fn.http import Request
from portable_fn_gcp.events import changes
from portable_fn_gcp.events.firestore import Document, DocumentEvent, GeoPoint, Reference
from portable_fn_gcp.simulate.firestore import encode
from portable_fn_gcp.simulate.requests import PROJECT, binary, first_generation

_WORDS = {"inserted": "created", "updated": "updated", "removed": "deleted"}


def _document_event(event: ChangeEvent[Any]) -> tuple[str, DocumentEvent]:
    """Return the document's path, and its change."""
    if set(event.key) != {"id"}:
        raise EncodeError('the key of a Firestore document is its id: pass fake.change a `key` such as {"id": "7"}')
    path = f"{event.table}/{event.key['id']}"
    name = f"projects/{PROJECT}/databases/(default)/documents/{path}"
    written = _written(event.sequence)
    return path, DocumentEvent(
        None if event.after is None else Document(name, dict(event.after), update_time=written),
        None if event.before is None else Document(name, dict(event.before)),
    )


def _written(sequence: str | None) -> datetime | None:
    """Return the time of the write; None if the sequence isn't a time, as it always is on Firestore."""
    if sequence is None:
        return None
    try:
        return parse_time(sequence)
    except DecodeError:
        return None


def _database(event: ChangeEvent[Any]) -> str:
    default = f"//firestore.googleapis.com/projects/{PROJECT}/databases/(default)"
    return event.source if event.source.startswith("//") else default


def firestore(event: Any) -> Request[Any]:
    """Build Eventarc's event of a document, as protobuf."""
    path, written = _document_event(event)
    return binary(
        CloudEvent(
            event.id,
            _database(event),
            changes.PREFIX + _WORDS[event.action],
            encode(written),
            subject=f"documents/{path}",
            time=event.time,
            content_type="application/protobuf",
            schema="https://github.com/googleapis/google-cloudevents/blob/main/proto/google/events/cloud/firestore/v1/data.proto",
            extensions={"document": path, "database": "(default)", "namespace": "(default)", "project": PROJECT},
        )
    )


def firestore_base64(event: Any) -> Request[Any]:
    """Build an event as cloud-firestore-emulator 1.21 sends it."""
    request = firestore(event)
    request.raw_body = b64encode(request.raw_body)
    return request


def firestore_legacy(event: Any) -> Request[Any]:
    """Build the first-generation event of a document."""
    path, written = _document_event(event)
    data = {"value": _json_document(written.value), "oldValue": _json_document(written.old_value), "updateMask": {}}
    name = f"{_database(event).removeprefix('//firestore.googleapis.com/')}/documents/{path}"
    resource = {"service": "firestore.googleapis.com", "name": name}
    return first_generation(event, changes.PREFIX + _WORDS[event.action], resource, data)


def _json_document(document: Document | None) -> dict[str, Any]:
    if document is None:
        return {}
    members: dict[str, Any] = {"name": document.name, "fields": _json_fields(document.fields)}
    if document.update_time is not None:
        members["updateTime"] = write_time(document.update_time)
    return members


def _json_fields(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: _json_value(value) for name, value in fields.items()}


def _json_value(value: Any) -> dict[str, Any]:
    match value:
        case None:
            return {"nullValue": None}
        case bool():
            return {"booleanValue": value}
        case int():
            return {"integerValue": str(value)}
        case float():
            # JSON has no NaN or Infinity, so they are strings (https://protobuf.dev/programming-guides/json).
            named = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
            return {"doubleValue": named.get(str(value), value)}
        case Reference():
            return {"referenceValue": value}
        case str():
            return {"stringValue": value}
        case bytes():
            return {"bytesValue": b64encode(value).decode()}
        case GeoPoint():
            return {"geoPointValue": dict(value)}
        case list():
            return {"arrayValue": {"values": [_json_value(item) for item in value]}}
        case dict():
            return {"mapValue": {"fields": _json_fields(value)}}
        case _ if hasattr(value, "isoformat"):
            return {"timestampValue": write_time(value)}
    raise EncodeError(f"Firestore can't store a {type(value).__name__}")
