"""Encode Firestore's document events as protobuf, as Firestore sends them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from struct import pack

from portable_fn.errors import EncodeError
from portable_fn_gcp.events.firestore import MAX_DEPTH, Document, DocumentEvent, GeoPoint, Reference

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def encode(event: DocumentEvent) -> bytes:
    """Serialize a DocumentEventData.

    Raises:
        EncodeError: Firestore has no kind for a value.
    """
    message = b""
    if event.value is not None:
        message += _bytes(1, _document(event.value))
    if event.old_value is not None:
        message += _bytes(2, _document(event.old_value))
    if event.update_mask:
        message += _bytes(3, b"".join(_text(1, path) for path in event.update_mask))
    return message


def _document(document: Document) -> bytes:
    message = _text(1, document.name) if document.name else b""
    message += _entries(2, document.fields, 0)
    if document.create_time is not None:
        message += _bytes(3, _timestamp(document.create_time))
    if document.update_time is not None:
        message += _bytes(4, _timestamp(document.update_time))
    return message


def _entries(number: int, fields: Mapping[str, Any], depth: int) -> bytes:
    return b"".join(_bytes(number, _text(1, name) + _bytes(2, _value(value, depth))) for name, value in fields.items())


def _value(value: object, depth: int) -> bytes:
    match value:
        case None:
            return _number(11, 0)
        case bool():
            return _number(1, value)
        case int() if -(1 << 63) <= value < 1 << 63:
            return _number(2, value)
        case float():
            return _double(3, value)
        case datetime() if value.tzinfo is not None:
            return _bytes(10, _timestamp(value))
        case Reference():
            return _text(5, value)
        case str():
            return _text(17, value)
        case bytes():
            return _bytes(18, value)
        case GeoPoint():
            return _bytes(8, _double(1, value.latitude) + _double(2, value.longitude))
        case list() if depth < MAX_DEPTH:
            return _bytes(9, b"".join(_bytes(1, _value(item, depth + 1)) for item in value))
        case dict() if depth < MAX_DEPTH:
            return _bytes(6, _entries(1, value, depth + 1))
    raise EncodeError(
        f"Firestore can't store a {type(value).__name__}; it stores None, bool, int of 64 bits, float, aware "
        f"datetime, str, bytes, Reference, GeoPoint, list and dict, nested up to {MAX_DEPTH} levels"
    )


def _timestamp(time: datetime) -> bytes:
    since = time - _EPOCH
    seconds = since // timedelta(seconds=1)
    return _number(1, seconds) + _number(2, since.microseconds * 1000)


def _text(number: int, text: str) -> bytes:
    return _bytes(number, text.encode())


def _bytes(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _double(number: int, value: float) -> bytes:
    return _varint(number << 3 | 1) + pack("<d", value)


def _number(number: int, value: int) -> bytes:
    return _varint(number << 3) + _varint(value & (1 << 64) - 1)


def _varint(number: int) -> bytes:
    written = bytearray()
    while number > 0x7F:
        written.append(number & 0x7F | 0x80)
        number >>= 7
    written.append(number)
    return bytes(written)
