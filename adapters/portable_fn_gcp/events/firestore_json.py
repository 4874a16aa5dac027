"""Decode Firestore's document events from JSON."""

from __future__ import annotations

from binascii import a2b_base64
from datetime import UTC, datetime

from portable_fn.adapter.cloudevents import read_time
from portable_fn.errors import DecodeError
from portable_fn_gcp.events.firestore import MAX_DEPTH, Document, DocumentEvent, GeoPoint, Reference

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def from_json(payload: object) -> DocumentEvent:
    """Decode `DocumentEventData` from JSON, which first-generation functions get as `data`.

    An empty document is decoded as None, as in google-cloudevents' testdata; unknown members are skipped.

    Raises:
        DecodeError: A member is malformed; the error names it.
    """
    if not isinstance(payload, dict):
        raise _not("event", "an object", payload)
    event: dict[str, Any] = payload
    mask = event.get("updateMask")
    paths = mask.get("fieldPaths") if isinstance(mask, dict) else None
    return DocumentEvent(
        _json_document(event.get("value"), "value"),
        _json_document(event.get("oldValue"), "oldValue"),
        [path for path in paths if isinstance(path, str)] if isinstance(paths, list) else [],
    )


def _json_document(document: object, name: str) -> Document | None:
    members = _object(document, name)
    if not members:
        return None
    update_time = members.get("updateTime")
    return Document(
        _json_text(members.get("name", ""), "name"),
        _json_fields(members.get("fields"), 0),
        read_time(members.get("createTime")),
        None if update_time is None else _json_timestamp(update_time, "updateTime"),
    )


def _json_fields(fields: object, depth: int) -> dict[str, Any]:
    return {name: _json_value(value, depth) for name, value in _object(fields, "fields").items()}


def _json_value(value: object, depth: int) -> Any:
    members = _object(value, "value")
    kinds = [kind for kind in members if kind in _JSON_KINDS]
    if len(kinds) != 1:
        raise DecodeError(
            f"a Firestore value must have one known kind, not {len(kinds)}; known are {', '.join(_JSON_KINDS)}"
        )
    kind = kinds[0]
    content = members[kind]
    if kind in ("mapValue", "arrayValue"):
        if depth == MAX_DEPTH:
            raise DecodeError(f"a Firestore value is nested more than {MAX_DEPTH} levels deep")
        content = _object(content, kind)
        if kind == "mapValue":
            return _json_fields(content.get("fields"), depth + 1)
        return [_json_value(item, depth + 1) for item in _list(content.get("values"), "values")]
    return _JSON_KINDS[kind](content, kind)


def _json_null(content: object, kind: str) -> None:
    if content is not None and content != "NULL_VALUE":
        raise _not(kind, "null", content)


def _json_boolean(content: object, kind: str) -> bool:
    if not isinstance(content, bool):
        raise _not(kind, "true or false", content)
    return content


def _json_integer(content: object, kind: str) -> int:
    number = content
    if isinstance(content, str) and len(content) <= 20 and content.removeprefix("-").isdecimal() and content.isascii():
        number = int(content)
    if type(number) is not int or not -(1 << 63) <= number < 1 << 63:
        raise _not(kind, "a signed 64-bit integer, as text", content)
    return number


def _json_double(content: object, kind: str) -> float:
    # JSON has no NaN, Infinity or -Infinity, so they are strings (https://protobuf.dev/programming-guides/json).
    if isinstance(content, (int, float, str)) and not isinstance(content, bool):
        try:
            return float(content)
        except (ValueError, OverflowError):
            pass
    raise _not(kind, "a number", content)


def _json_timestamp(content: object, kind: str) -> datetime:
    if isinstance(content, str):
        try:
            time = datetime.fromisoformat(content)
            if time.tzinfo is not None:
                return time.astimezone(UTC)
        except (ValueError, OverflowError):
            pass
    raise _not(kind, "an RFC 3339 time", content)


def _json_text(content: object, kind: str) -> str:
    if not isinstance(content, str):
        raise _not(kind, "text", content)
    return content


def _json_reference(content: object, kind: str) -> Reference:
    return Reference(_json_text(content, kind))


def _json_bytes(content: object, kind: str) -> bytes:
    # Both alphabets, with or without padding (https://protobuf.dev/programming-guides/json).
    text = _json_text(content, kind).rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return a2b_base64(text + "=" * (-len(text) % 4), strict_mode=True)
    except ValueError:
        raise _not(kind, "base64 text", content) from None


def _json_geo_point(content: object, kind: str) -> GeoPoint:
    point = _object(content, kind)
    return GeoPoint(
        _json_double(point.get("latitude", 0), "latitude"), _json_double(point.get("longitude", 0), "longitude")
    )


_JSON_KINDS: dict[str, Any] = {
    "nullValue": _json_null,
    "booleanValue": _json_boolean,
    "integerValue": _json_integer,
    "doubleValue": _json_double,
    "timestampValue": _json_timestamp,
    "stringValue": _json_text,
    "bytesValue": _json_bytes,
    "referenceValue": _json_reference,
    "geoPointValue": _json_geo_point,
    "arrayValue": None,
    "mapValue": None,
}


def _object(value: object, name: str) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _not(name, "an object", value)
    return value


def _list(value: object, name: str) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise _not(name, "an array", value)
    return value


def _not(name: str, wanted: str, seen: object) -> DecodeError:
    return DecodeError(f"Firestore's {name} must be {wanted}; this {type(seen).__name__} isn't")
