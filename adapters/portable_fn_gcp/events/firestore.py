"""Decode Firestore's document events from protobuf, without protobuf's classes.

Wire format: https://protobuf.dev/programming-guides/encoding. Messages: google/events/cloud/firestore/v1/data.proto of
https://github.com/googleapis/google-cloudevents, the same in PyPI's google-events 0.14 and in the emulator.

Values become plain Python: null None; booleans, integers, doubles, strings and bytes the same in Python; timestamps aware UTC
datetimes, truncated to the microseconds that Firestore stores; references `Reference`, geo points `GeoPoint`, arrays lists,
maps dicts. A vector is a map, as on the wire.
"""

from __future__ import annotations

from binascii import a2b_base64
from datetime import UTC, datetime, timedelta
from struct import Struct

from portable_fn.errors import DecodeError
from portable_fn.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# Firestore allows 20, https://firebase.google.com/docs/firestore/quotas.
MAX_DEPTH = 100


class Reference(str):
    """The name of another document: `projects/…/databases/…/documents/…`."""

    __slots__ = ()


class GeoPoint(dict[str, float]):
    """A point on Earth, in degrees: a dict of `latitude` and `longitude`, which JSON can encode."""

    def __init__(self, latitude: float, longitude: float) -> None:
        self["latitude"] = latitude
        self["longitude"] = longitude

    @property
    def latitude(self) -> float:
        """Degrees north."""
        return self["latitude"]

    @property
    def longitude(self) -> float:
        """Degrees east."""
        return self["longitude"]


class Document(Record):
    """A document at one moment; `name` is the full `projects/…/databases/…/documents/…`, times are aware UTC."""

    _fields = ("name", "fields", "create_time", "update_time")
    # Fields may hold secrets, and the repr reaches logs.
    _shown = ("name", "update_time")
    __slots__ = _fields

    def __init__(
        self,
        name: str,
        fields: dict[str, Any],
        create_time: datetime | None = None,
        update_time: datetime | None = None,
    ) -> None:
        self.name = name
        self.fields = fields
        self.create_time = create_time
        self.update_time = update_time


class DocumentEvent(Record):
    """A change of a document: `old_value` before it, `value` after it, `update_mask` the changed paths."""

    _fields = ("value", "old_value", "update_mask")
    __slots__ = _fields

    def __init__(
        self, value: Document | None = None, old_value: Document | None = None, update_mask: list[str] | None = None
    ) -> None:
        self.value = value
        self.old_value = old_value
        self.update_mask = update_mask or []


def body(data: bytes) -> bytes:
    """Return the protobuf message in a body labelled `application/protobuf`, which the emulator encodes in base64.

    A body that isn't base64 is returned unchanged.

    Raises:
        DecodeError: The base64 is damaged.
    """
    # The three fields' tags are 0x0a, 0x12 and 0x1a; base64 of these starts with C, E and G. As protobuf tags those would be a
    # group, an unknown fixed32 and an invalid wire type. Seen with the emulator, tests/payloads/gcp-captured.
    if data[:1] not in (b"C", b"E", b"G"):
        return data
    try:
        message = a2b_base64(data.rstrip(), strict_mode=True)
    except ValueError as exc:
        if not data.isascii():
            return data
        raise DecodeError(f"a Firestore event of {len(data)} characters isn't valid base64: {exc}") from exc
    return message if message[0] in b"\x0a\x12\x1a" else data


def document_event(data: bytes) -> DocumentEvent:
    """Decode a serialized `google.events.cloud.firestore.v1.DocumentEventData`.

    An empty document is decoded as None; unknown fields are skipped.

    Raises:
        DecodeError: The message is malformed; the error says what, and at which offset.
    """
    value = old_value = None
    update_mask: list[str] = []
    pos, end = 0, len(data)
    try:
        while pos < end:
            tag, pos = _varint(data, pos)
            if tag == 0x0A:
                pos, stop = _span(data, pos, end)
                value = _document(data, pos, stop, value)
            elif tag == 0x12:
                pos, stop = _span(data, pos, end)
                old_value = _document(data, pos, stop, old_value)
            elif tag == 0x1A:
                pos, stop = _span(data, pos, end)
                _mask(data, pos, stop, update_mask)
            else:
                stop = _skip(data, tag, pos, end, _EVENT)
            pos = stop
    except IndexError:
        raise _error(end, "cut short") from None
    return DocumentEvent(value, old_value, update_mask)


# Each message is read in place, from `pos` to `end`, without a copy. Hot loops read a tag or length of one byte without a call.
# Reading beyond the buffer raises IndexError; reading beyond a message fails the next comparison with `end`.

_EVENT = {1: "value", 2: "old_value", 3: "update_mask"}
_MASK = {1: "field_paths"}
_DOCUMENT = {1: "name", 2: "fields", 3: "create_time", 4: "update_time"}
_ENTRY = {1: "key", 2: "value"}
_VALUE = {
    1: "boolean_value",
    2: "integer_value",
    3: "double_value",
    5: "reference_value",
    6: "map_value",
    8: "geo_point_value",
    9: "array_value",
    10: "timestamp_value",
    11: "null_value",
    17: "string_value",
    18: "bytes_value",
}
_SPANS = frozenset((0x2A, 0x32, 0x42, 0x4A, 0x52, 0x8A, 0x92))
_ARRAY = {1: "values"}
_MAP = {1: "fields"}
_TIMESTAMP = {1: "seconds", 2: "nanos"}
_GEO_POINT = {1: "latitude", 2: "longitude"}

# Shifts of the second and later bytes of a varint; ten bytes hold 64 bits.
_SHIFTS = (7, 14, 21, 28, 35, 42, 49, 56, 63)

_UNSET: Any = object()
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_double = Struct("<d").unpack_from
_two_doubles = Struct("<xdxd").unpack_from


def _document(data: bytes, pos: int, end: int, document: Document | None) -> Document | None:
    """Decode a document into the earlier parts of it, as protobuf merges a repeated message."""
    if pos == end:
        return document
    document = document or Document("", {})
    while pos < end:
        tag, pos = _varint(data, pos)
        if tag == 0x12:
            pos = _entries(data, pos, end, 0, document.fields, tag)
        elif tag == 0x0A:
            pos, stop = _span(data, pos, end)
            document.name = _text(data, pos, stop)
            pos = stop
        elif tag == 0x1A:
            pos, stop = _span(data, pos, end)
            try:
                document.create_time = _timestamp(data, pos, stop)
            except DecodeError:
                pass  # nothing depends on it
            pos = stop
        elif tag == 0x22:
            pos, stop = _span(data, pos, end)
            document.update_time = _timestamp(data, pos, stop)
            pos = stop
        else:
            pos = _skip(data, tag, pos, end, _DOCUMENT)
    return document


def _mask(data: bytes, pos: int, end: int, paths: list[str]) -> None:
    while pos < end:
        tag, pos = _varint(data, pos)
        if tag == 0x0A:
            pos, stop = _span(data, pos, end)
            try:
                paths.append(_text(data, pos, stop))
            except DecodeError:
                pass  # nothing depends on it
            pos = stop
        else:
            pos = _skip(data, tag, pos, end, _MASK)


def _entries(data: bytes, pos: int, end: int, depth: int, fields: dict[str, Any], tag: int) -> int:
    """Read consecutive entries of a map, from after the first one's tag; return where the last one ends."""
    while True:
        length = data[pos]
        pos += 1
        stop = pos + length
        if length > 0x7F or stop > end:
            pos, stop = _span(data, pos - 1, end)
        # Nearly all entries are a key, then a value, each with a one-byte length.
        length = data[pos + 1]
        middle = pos + 2 + length
        if (
            length < 0x80
            and middle < stop
            and data[pos] == 0x0A
            and data[middle] == 0x12
            and 0 < data[middle + 1] == stop - middle - 2 < 0x80
        ):
            pos += 2
            try:
                key = data[pos:middle].decode()
                pos = middle + 2
                if data[pos] == 0x8A and data[pos + 1] == 0x01 and data[pos + 2] == stop - pos - 3:
                    pos += 3
                    fields[key] = data[pos:stop].decode()
                else:
                    fields[key] = _value(data, pos, stop, depth)
            except UnicodeDecodeError as exc:
                raise _not_utf_8(pos, exc) from None
        else:
            _entry(data, pos, stop, depth, fields)
        if stop == end or data[stop] != tag:
            return stop
        pos = stop + 1


def _entry(data: bytes, pos: int, end: int, depth: int, fields: dict[str, Any]) -> None:
    key = ""
    value = _UNSET
    while pos < end:
        tag, pos = _varint(data, pos)
        if tag == 0x0A:
            pos, stop = _span(data, pos, end)
            key = _text(data, pos, stop)
            pos = stop
        elif tag == 0x12:
            pos, stop = _span(data, pos, end)
            value = _value(data, pos, stop, depth, value)
            pos = stop
        else:
            pos = _skip(data, tag, pos, end, _ENTRY)
    if value is _UNSET:
        raise _error(end, "a field without a value")
    fields[key] = value


def _value(data: bytes, pos: int, end: int, depth: int, value: Any = _UNSET) -> Any:
    while pos < end:
        tag = data[pos]
        pos += 1
        if tag > 0x7F:
            # 0x8A 0x01 is the number 0x8A: two-byte tags of fields up to 31 end with 1.
            if data[pos] == 1:
                pos += 1
            else:
                tag, pos = _varint(data, pos - 1)
        if tag in _SPANS:
            length = data[pos]
            pos += 1
            stop = pos + length
            if length > 0x7F or stop > end:
                pos, stop = _span(data, pos - 1, end)
            if tag == 0x8A:
                try:
                    value = data[pos:stop].decode()
                except UnicodeDecodeError as exc:
                    raise _not_utf_8(pos, exc) from None
            elif tag == 0x32:
                value = value if type(value) is dict else {}
                _map(data, pos, stop, depth + 1, value)
            elif tag == 0x4A:
                value = value if type(value) is list else []
                _array(data, pos, stop, depth + 1, value)
            elif tag == 0x52:
                value = _timestamp(data, pos, stop)
            elif tag == 0x2A:
                value = Reference(_text(data, pos, stop))
            elif tag == 0x92:
                value = data[pos:stop]
            else:
                value = _geo_point(data, pos, stop)
            pos = stop
        elif tag == 0x10:
            value = data[pos]
            pos += 1
            if value > 0x7F:
                value, pos = _varint(data, pos - 1)
                if value >> 63:
                    value -= 1 << 64
        elif tag == 0x08:
            value, pos = _varint(data, pos)
            value = value != 0
        elif tag == 0x19:
            if pos + 8 > end:
                raise _error(pos, f"a double in {end - pos} bytes")
            (value,) = _double(data, pos)
            pos += 8
        elif tag == 0x58:
            _, pos = _varint(data, pos)
            value = None
        else:
            pos = _skip(data, tag, pos, end, _VALUE)
    if pos > end:
        raise _error(end, "a number that goes beyond its value")
    if value is _UNSET:
        raise _error(end, f"a value of an unknown kind; known are {', '.join(_VALUE.values())}")
    return value


def _map(data: bytes, pos: int, end: int, depth: int, fields: dict[str, Any]) -> None:
    if depth > MAX_DEPTH:
        raise _error(pos, f"nested more than {MAX_DEPTH} levels deep")
    while pos < end:
        tag, pos = _varint(data, pos)
        if tag == 0x0A:
            pos = _entries(data, pos, end, depth, fields, tag)
        else:
            pos = _skip(data, tag, pos, end, _MAP)


def _array(data: bytes, pos: int, end: int, depth: int, values: list[Any]) -> None:
    if depth > MAX_DEPTH:
        raise _error(pos, f"nested more than {MAX_DEPTH} levels deep")
    while pos < end:
        tag = data[pos]
        pos += 1
        if tag > 0x7F:
            tag, pos = _varint(data, pos - 1)
        if tag == 0x0A:
            length = data[pos]
            pos += 1
            stop = pos + length
            if length > 0x7F or stop > end:
                pos, stop = _span(data, pos - 1, end)
            values.append(_value(data, pos, stop, depth))
            pos = stop
        else:
            pos = _skip(data, tag, pos, end, _ARRAY)


def _timestamp(data: bytes, pos: int, end: int) -> datetime:
    seconds = nanos = 0
    while pos < end:
        tag = data[pos]
        pos += 1
        if tag not in (0x08, 0x10):
            if tag > 0x7F:
                tag, pos = _varint(data, pos - 1)
            if tag not in (0x08, 0x10):
                pos = _skip(data, tag, pos, end, _TIMESTAMP)
                continue
        # Inlined from _varint: a call would take a third of a timestamp's time.
        number = data[pos]
        pos += 1
        if number > 0x7F:
            for shift in _SHIFTS:
                byte = data[pos]
                pos += 1
                number += (byte - 1) << shift
                if byte < 0x80:
                    break
            if number >> 64:
                raise _error(pos, "a varint of more than 64 bits")
        if tag == 0x10:
            nanos = number
        else:
            seconds = number if number < 1 << 63 else number - (1 << 64)
    if pos > end:
        raise _error(end, "a number that goes beyond its timestamp")
    # 0001-01-01 to 9999-12-31 is the range of a Timestamp, and of a datetime.
    if not -62135596800 <= seconds <= 253402300799 or nanos > 999_999_999:
        raise _error(end, "a timestamp outside of the years 1 to 9999, or its nanoseconds outside of a second")
    return _EPOCH + timedelta(0, seconds, nanos // 1000)


def _geo_point(data: bytes, pos: int, end: int) -> GeoPoint:
    if end - pos == 18 and data[pos] == 0x09 and data[pos + 9] == 0x11:
        return GeoPoint(*_two_doubles(data, pos))
    latitude = longitude = 0.0
    while pos < end:
        tag, pos = _varint(data, pos)
        if tag not in (0x09, 0x11):
            pos = _skip(data, tag, pos, end, _GEO_POINT)
            continue
        if pos + 8 > end:
            raise _error(pos, f"a double in {end - pos} bytes")
        (degrees,) = _double(data, pos)
        pos += 8
        if tag == 0x09:
            latitude = degrees
        else:
            longitude = degrees
    return GeoPoint(latitude, longitude)


def _text(data: bytes, pos: int, end: int) -> str:
    try:
        return data[pos:end].decode()
    except UnicodeDecodeError as exc:
        raise _not_utf_8(pos, exc) from None


def _not_utf_8(pos: int, exc: UnicodeDecodeError) -> DecodeError:
    return _error(pos + exc.start, "text that is not UTF-8")


def _varint(data: bytes, pos: int) -> tuple[int, int]:
    """Return the unsigned 64-bit number at `pos`, and where it ends."""
    number = data[pos]
    pos += 1
    if number < 0x80:
        return number, pos
    for shift in _SHIFTS:
        byte = data[pos]
        pos += 1
        # Minus one removes the continuation bit of the byte before.
        number += (byte - 1) << shift
        if byte < 0x80:
            if number >> 64:
                break
            return number, pos
    raise _error(pos, "a varint of more than 64 bits")


def _span(data: bytes, pos: int, end: int) -> tuple[int, int]:
    """Return where the bytes begin and end whose length is at `pos`."""
    length, pos = _varint(data, pos)
    stop = pos + length
    if stop > end:
        raise _error(pos, f"a length of {length} bytes, but {max(end - pos, 0)} are left")
    return pos, stop


def _skip(data: bytes, tag: int, pos: int, end: int, known: dict[int, str]) -> int:
    """Return where an unknown field ends, whose tag ended at `pos`."""
    number, wire_type = tag >> 3, tag & 7
    if number in known:
        raise _wire_type(tag, pos, known)
    if not 0 < number < 1 << 29:
        raise _error(pos, f"field number {number}; possible are 1 to {(1 << 29) - 1}")
    if wire_type == 0:
        _, pos = _varint(data, pos)
    elif wire_type == 1:
        pos += 8
    elif wire_type == 2:
        _, pos = _span(data, pos, end)
    elif wire_type == 5:
        pos += 4
    else:
        raise _error(pos, f"field {number} has wire type {wire_type}; possible are 0, 1, 2 and 5, groups are not read")
    if pos > end:
        raise _error(end, f"field {number} goes beyond its message")
    return pos


def _wire_type(tag: int, pos: int, known: dict[int, str]) -> DecodeError:
    return _error(pos, f"{known[tag >> 3]} (field {tag >> 3}) can't have wire type {tag & 7}")


def _error(pos: int, what: str) -> DecodeError:
    return DecodeError(f"a Firestore event is not valid protobuf: offset {pos}: {what}")
