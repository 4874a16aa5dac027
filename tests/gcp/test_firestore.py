"""Test Firestore's document events against Google's own classes, the emulator and damaged messages."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from base64 import b64encode
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portable_fn import DecodeError, EncodeError
from portable_fn_gcp.events.firestore import (
    Document,
    DocumentEvent,
    GeoPoint,
    Reference,
    body,
    document_event,
)
from portable_fn_gcp.events.firestore_json import from_json
from portable_fn_gcp.simulate.firestore import encode

PAYLOADS = Path(__file__).parents[1] / "payloads"
GOOGLES: dict[str, dict[str, Any]] = json.loads((PAYLOADS / "google-events" / "firestore.json").read_text("utf-8"))
CAPTURED = [
    json.loads(line) for line in (PAYLOADS / "gcp-captured" / "firestore-triggers.jsonl").read_bytes().splitlines()
]
EXAMPLES = 200 if os.environ.get("CI") else 60
NAME = "projects/my-proj/databases/(default)/documents/users/ab"


def exactly(value: object) -> object:
    """Return the value with its types, comparable even if it contains NaN, which equals nothing."""
    match value:
        case DocumentEvent():
            return exactly([value.value, value.old_value, value.update_mask])
        case Document():
            return exactly([value.name, value.fields, value.create_time, value.update_time])
        case dict():
            return type(value), {key: exactly(item) for key, item in value.items()}
        case list():
            return [exactly(item) for item in value]
        case _:
            return type(value), repr(value)


# Google's own classes


@pytest.mark.parametrize("case", GOOGLES)
def test_googles_protobuf_and_googles_json_decode_equally(case: str) -> None:
    google = GOOGLES[case]
    assert exactly(from_json(google["json"])) == exactly(document_event(bytes.fromhex(google["protobuf"])))


@pytest.mark.parametrize(
    "case", sorted(set(GOOGLES) - {"timestamps", "created", "updated", "deleted", "empty documents"})
)
def test_encoded_events_equal_googles(case: str) -> None:
    # Excluded: nanoseconds, maps that Google sorts, and an empty document, which is decoded as None.
    message = bytes.fromhex(GOOGLES[case]["protobuf"])
    if case not in ("geo points", "vector", "odd keys"):
        assert message == encode(document_event(message))
    assert exactly(document_event(message)) == exactly(document_event(encode(document_event(message))))


def values(case: str) -> Any:
    value = document_event(bytes.fromhex(GOOGLES[case]["protobuf"])).value
    assert value is not None
    return value.fields["v"]


def test_each_kind_of_value_has_its_python_type() -> None:
    assert values("null") is None
    assert [True, False] == values("booleans")
    assert [0, 1, -1, 127, 128, 300, 2**31, -(2**31), 2**53 + 1, 2**63 - 1, -(2**63)] == values("integers")
    assert [0.0, -0.0, 1.5, 5e-324, 1.7976931348623157e308, math.inf, -math.inf] == values("doubles")[:-1]
    assert math.isnan(values("doubles")[-1])
    assert -1.0 == math.copysign(1, values("doubles")[1])
    assert [b"", b"\x00\xff", b"\n\n", b"\xfb\xef\xff"] == values("bytes")
    assert ["", "a", "Zoë 😀\x00"] == values("strings")[:3]
    assert [GeoPoint(51.4543, -0.9781), GeoPoint(90.0, 0.0), GeoPoint(0.0, -180.0), GeoPoint(0.0, 0.0)] == (
        values("geo points")
    )
    assert ([], {}) == (values("empty array"), values("empty map"))
    assert {"__type__": "__vector__", "value": [0.5, -1.0]} == values("vector")


def test_timestamps_are_aware_utc_and_truncated_to_microseconds() -> None:
    assert [
        datetime(1970, 1, 1, tzinfo=UTC),
        datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
        datetime(1, 1, 1, tzinfo=UTC),
        datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
        datetime(2024, 1, 2, 3, 4, 5, 600000, tzinfo=UTC),
        datetime(2024, 1, 2, 3, 4, 5, 123456, tzinfo=UTC),
    ] == values("timestamps")


def test_references_differ_from_strings_and_geo_points_from_maps() -> None:
    reference, _ = values("references")
    point = values("geo points")[0]
    assert (Reference, GeoPoint) == (type(reference), type(point))
    assert (51.4543, -0.9781) == (point.latitude, point.longitude)
    assert '{"latitude": 51.4543, "longitude": -0.9781}' == json.dumps(point)


# The emulator


def of_type(name: str) -> list[bytes]:
    return [entry["b"].encode("latin-1") for entry in CAPTURED if entry["h"].get("ce-type", "").endswith(f".{name}")]


def test_the_emulators_cloud_event_and_its_legacy_event_decode_equally() -> None:
    written = [document_event(body(data)) for data in of_type("written")]
    legacy = [
        from_json(json.loads(entry["b"].encode("latin-1"))["data"])
        for entry in CAPTURED
        if entry["h"]["Content-Type"] == "application/json"
    ]
    assert 3 == len(written)
    assert [exactly(event) for event in legacy] == [exactly(event) for event in written]


def test_the_emulators_documents_are_before_and_after() -> None:
    fields = {
        "l": [1, "a"],
        "n": None,
        "t": datetime(2024, 1, 2, 3, 4, 5, 600000, tzinfo=UTC),
        "m": {"k": [{"z": 1}]},
        "b": True,
        "by": b"\x00\xff",
        "i": 1,
        "s": "é",
        "ref": Reference(NAME),
        "f": 1.5,
        "g": GeoPoint(1.0, 2.0),
    }
    created_at = datetime(2026, 11, 24, 10, 2, 27, 848545, tzinfo=UTC)
    updated_at = datetime(2026, 11, 24, 10, 2, 27, 975820, tzinfo=UTC)
    before = Document(NAME, fields, created_at, created_at)
    after = Document(NAME, {**fields, "i": 2}, created_at, updated_at)
    for name, expected in {
        "created": DocumentEvent(before),
        "updated": DocumentEvent(after, before),
        "deleted": DocumentEvent(None, after),
    }.items():
        (data,) = of_type(name)
        assert exactly(expected) == exactly(document_event(body(data)))


def test_only_base64_bodies_are_decoded_as_base64() -> None:
    for google in GOOGLES.values():
        message = bytes.fromhex(google["protobuf"])
        assert (message, message) == (body(message), body(b64encode(message)))
        assert not message or message == body(b64encode(message) + b"\r\n")
    # The last one is a message, too, with an unknown fixed32 field before its value.
    for other in (b"", b"hello", b"{}", b"AAAA", b"CAAA", b"E\xff\xff\xff\xff\n\x00"):
        assert other == body(other)


@pytest.mark.parametrize("text", [b"C", b"Cg", b"CgA", b"Cg==Cg==", b"Cg A", b"EgA=\x00"])
def test_damaged_base64_is_a_decode_error(text: bytes) -> None:
    with pytest.raises(DecodeError, match=r"base64"):
        body(text)


# Round trips

names = st.text(st.characters(exclude_categories=["Cs"]), max_size=10)
times = st.datetimes(timezones=st.just(UTC)).map(lambda time: time.replace(fold=0))
plain: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats()
    | times
    | names
    | names.map(lambda name: name * 40)
    | names.map(Reference)
    | st.binary(max_size=200)
    | st.builds(GeoPoint, st.floats(-90, 90), st.floats(-180, 180)),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4),
    max_leaves=15,
)
documents = st.builds(
    Document,
    names.filter(bool),
    st.dictionaries(names, plain, max_size=6),
    st.none() | times,
    st.none() | times,
)
events = st.builds(DocumentEvent, st.none() | documents, st.none() | documents, st.lists(names, max_size=4))


@settings(deadline=None, max_examples=EXAMPLES)
@given(event=events)
def test_decoding_reverses_encoding(event: DocumentEvent) -> None:
    assert exactly(event) == exactly(document_event(encode(event)))


# Corners of the wire format, written by hand


def field(number: int, content: bytes) -> bytes:
    """Return a length-delimited field, with each number in as few bytes as possible."""
    assert number < 16
    length = len(content)
    return bytes([number << 3 | 2, *([length] if length < 128 else [length & 0x7F | 0x80, length >> 7])]) + content


def event_of(value: bytes, key: bytes = field(1, b"k")) -> bytes:
    return field(1, field(2, key + field(2, value)))


def value_of(data: bytes) -> object:
    value = document_event(data).value
    assert value is not None
    return value.fields


STRING_A = b"\x8a\x01\x01a"


@pytest.mark.parametrize(
    ("data", "fields"),
    [
        pytest.param(event_of(STRING_A), {"k": "a"}, id="as usual"),
        pytest.param(field(1, field(2, field(2, STRING_A) + field(1, b"k"))), {"k": "a"}, id="value before key"),
        pytest.param(field(1, field(2, field(2, STRING_A))), {"": "a"}, id="no key"),
        pytest.param(event_of(b"\x10\x01" + STRING_A), {"k": "a"}, id="the last of a oneof counts"),
        pytest.param(event_of(STRING_A) + event_of(b"\x08\x01", field(1, b"l")), {"k": "a", "l": True}, id="in parts"),
        pytest.param(event_of(STRING_A) + event_of(b"\x08\x01"), {"k": True}, id="the last of a key counts"),
        pytest.param(event_of(field(9, field(1, STRING_A)) * 2), {"k": ["a", "a"]}, id="an array in parts"),
        pytest.param(event_of(b"\x8a\x81\x80\x00\x01a"), {"k": "a"}, id="a tag in more bytes than it takes"),
        pytest.param(event_of(b"\x8a\x01\x81\x80\x00a"), {"k": "a"}, id="a length in more bytes than it takes"),
        pytest.param(event_of(b"\x90\x00\x05"), {"k": 5}, id="a small tag in two bytes"),
        pytest.param(event_of(b"\x08\x80\x80\x04"), {"k": True}, id="a boolean that is not 1"),
        pytest.param(event_of(STRING_A + b"\xf8\x3f\x80\x01"), {"k": "a"}, id="an unknown varint"),
        pytest.param(event_of(b"\xf9\x3f12345678" + STRING_A), {"k": "a"}, id="an unknown fixed64"),
        pytest.param(event_of(b"\xfa\x3f\x05abcde" + STRING_A), {"k": "a"}, id="unknown bytes"),
        pytest.param(event_of(b"\xfd\x3f1234" + STRING_A), {"k": "a"}, id="an unknown fixed32"),
        pytest.param(
            b"\x78\x01" + event_of(STRING_A) + field(15, b"xyz"), {"k": "a"}, id="unknown fields of the event"
        ),
    ],
)
def test_everything_that_protobuf_allows_is_decoded(data: bytes, fields: dict[str, object]) -> None:
    assert exactly(fields) == exactly(value_of(data))


@pytest.mark.parametrize(
    ("data", "says"),
    [
        pytest.param(b"\x0a", "offset 1: cut short", id="a tag alone"),
        pytest.param(b"\x0a\x05ab", "offset 2: a length of 5 bytes, but 2 are left", id="a length beyond the buffer"),
        pytest.param(field(1, b"\x0a\x05ab") + b"x" * 9, "offset 4: a length of 5 bytes, but 2 are left", id="within"),
        pytest.param(b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "a length of 18446744073709551615", id="huge"),
        pytest.param(b"\x0a" + b"\x80" * 10 + b"\x00", "offset 11: a varint of more than 64 bits", id="a long varint"),
        pytest.param(event_of(b"\x10" + b"\xff" * 9 + b"\x02"), "a varint of more than 64 bits", id="65 bits"),
        pytest.param(event_of(b"\x10\x80"), "cut short", id="a varint cut short"),
        pytest.param(event_of(b"\x10\x80") + b"\x01", "a number that goes beyond its value", id="a varint beyond"),
        pytest.param(event_of(b"\x19123"), "a double in 3 bytes", id="a double cut short"),
        pytest.param(event_of(field(8, b"\x09123")), "a double in 3 bytes", id="a latitude cut short"),
        pytest.param(event_of(b"\x12\x01a"), r"integer_value \(field 2\) can't have wire type 2", id="wrong wire type"),
        pytest.param(b"\x08\x01", r"value \(field 1\) can't have wire type 0", id="wrong wire type of the event"),
        pytest.param(field(1, b"\x08\x01"), r"name \(field 1\) can't have wire type 0", id="and of the document"),
        pytest.param(event_of(b"\x8b\x01"), r"string_value \(field 17\) can't have wire type 3", id="a known group"),
        pytest.param(b"\x7b\x7c", "field 15 has wire type 3; possible are", id="an unknown group"),
        pytest.param(b"\x7f", "field 15 has wire type 7; possible are", id="no wire type"),
        pytest.param(b"\x00\x00", "field number 0", id="field number zero"),
        pytest.param(event_of(b"\x8a\x01\x02a\xff"), "offset 13: text that is not UTF-8", id="not UTF-8"),
        pytest.param(
            event_of(STRING_A, field(1, b"\xed\xa0\x80")), "offset 6: text that is not UTF-8", id="a surrogate"
        ),
        pytest.param(field(1, field(1, b"\xff")), "offset 4: text that is not UTF-8", id="a name that is not UTF-8"),
        pytest.param(event_of(b""), "a value of an unknown kind; known are boolean_value", id="a value of no kind"),
        pytest.param(event_of(b"\xf8\x3f\x01"), "a value of an unknown kind", id="a value of an unknown kind"),
        pytest.param(field(1, field(2, field(1, b"k"))), "a field without a value", id="no value"),
        pytest.param(
            event_of(field(10, b"\x10\x80\x94\xeb\xdc\x03")), "nanoseconds outside", id="too many nanoseconds"
        ),
        pytest.param(event_of(field(10, b"\x08" + b"\xff" * 8 + b"\x7f")), "outside of the years", id="a late time"),
        pytest.param(event_of(field(10, b"\x08" + b"\x80" * 9 + b"\x01")), "outside of the years", id="an early time"),
        pytest.param(
            event_of(field(10, b"\x08" + b"\x85" + b"\x80" * 8 + b"\x02")), "more than 64 bits", id="65 bits of time"
        ),
        pytest.param(
            event_of(field(10, b"\x0a\x00")), r"seconds \(field 1\) can't have wire type 2", id="seconds as text"
        ),
    ],
)
def test_malformed_protobuf_is_a_decode_error_that_says_what_and_where(data: bytes, says: str) -> None:
    with pytest.raises(DecodeError, match=says):
        document_event(data)


def nested(levels: int) -> dict[str, Any]:
    value: Any = "the innermost"
    for level in range(levels):
        value = [value] if level % 2 else {"k": value}
    return {"v": value}


def nested_json(levels: int) -> dict[str, Any]:
    value: dict[str, Any] = {"nullValue": None}
    for _ in range(levels):
        value = {"arrayValue": {"values": [value]}}
    return {"value": {"fields": {"v": value}}}


def test_a_hundred_levels_are_decoded_and_one_more_is_refused() -> None:
    event = DocumentEvent(Document(NAME, nested(100)))
    data = encode(event)
    assert event == document_event(data)
    with pytest.raises(EncodeError, match="nested up to 100 levels"):
        encode(DocumentEvent(Document(NAME, nested(101))))
    from_json(nested_json(100))
    with pytest.raises(DecodeError, match="nested more than 100 levels deep"):
        from_json(nested_json(101))


@pytest.mark.parametrize("levels", [101, 5000])
def test_deep_messages_are_refused(levels: int) -> None:
    value = STRING_A
    for _ in range(levels):
        value = _long(9, _long(1, value))
    data = _long(1, _long(2, field(1, b"k") + _long(2, value)))
    with pytest.raises(DecodeError, match="nested more than 100 levels deep"):
        document_event(data)


def _long(number: int, content: bytes) -> bytes:
    length = len(content)
    return bytes([number << 3 | 2, *(length >> shift & 0x7F | 0x80 for shift in (0, 7, 14)), length >> 21]) + content


# JSON


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"integerValue": 5}, 5),
        ({"doubleValue": 1}, 1.0),
        ({"doubleValue": "1.5"}, 1.5),
        ({"nullValue": "NULL_VALUE"}, None),
        ({"bytesValue": "-_8"}, b"\xfb\xff"),
        ({"timestampValue": "2024-01-02T03:04:05+02:00"}, datetime(2024, 1, 2, 1, 4, 5, tzinfo=UTC)),
        ({"arrayValue": {"values": None}}, []),
        ({"mapValue": {}}, {}),
        ({"stringValue": "a", "unknown": 1}, "a"),
    ],
)
def test_everything_that_json_allows_is_decoded(value: object, expected: object) -> None:
    document = from_json({"value": {"fields": {"k": value}}, "unknown": 1}).value
    assert document is not None
    assert exactly({"k": expected}) == exactly(document.fields)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ({}, "one known kind, not 0; known are nullValue"),
        ({"otherValue": 1}, "one known kind, not 0;"),
        ({"stringValue": "a", "integerValue": "1"}, "one known kind, not 2;"),
        ("text", "value must be an object; this str isn't"),
        ({"nullValue": 0}, "nullValue must be null"),
        ({"booleanValue": "true"}, "booleanValue must be true or false; this str isn't"),
        ({"integerValue": str(2**63)}, "integerValue must be a signed 64-bit integer"),
        ({"integerValue": "9" * 100_000}, "integerValue must be"),
        ({"integerValue": "\N{ARABIC-INDIC DIGIT ONE}"}, "integerValue must be"),
        ({"integerValue": True}, "integerValue must be"),
        ({"integerValue": 1.0}, "integerValue must be"),
        ({"doubleValue": "one"}, "doubleValue must be a number"),
        ({"doubleValue": 10**400}, "doubleValue must be a number"),
        ({"doubleValue": True}, "doubleValue must be a number"),
        ({"timestampValue": "2024-01-02T03:04:05"}, "timestampValue must be an RFC 3339 time"),
        ({"timestampValue": "0001-01-01T00:00:00+01:00"}, "timestampValue must be"),
        ({"timestampValue": 5}, "timestampValue must be"),
        ({"stringValue": None}, "stringValue must be text; this NoneType isn't"),
        ({"bytesValue": "A"}, "bytesValue must be base64 text"),
        ({"bytesValue": "é==="}, "bytesValue must be base64 text"),
        ({"geoPointValue": {"latitude": "north"}}, "latitude must be a number"),
        ({"arrayValue": {"values": {}}}, "values must be an array"),
        ({"mapValue": []}, "mapValue must be an object"),
    ],
)
def test_malformed_json_is_a_decode_error_that_says_which_member(value: object, says: str) -> None:
    with pytest.raises(DecodeError, match=says):
        from_json({"value": {"fields": {"k": value}}})


@pytest.mark.parametrize("payload", [None, [], "text", 5])
def test_json_other_than_an_object_is_a_decode_error(payload: object) -> None:
    with pytest.raises(DecodeError, match="event must be an object; this"):
        from_json(payload)


def test_an_error_does_not_contain_the_value() -> None:
    for value in ({"integerValue": "secret"}, {"bytesValue": "!secret"}, {"secret": 1}):
        with pytest.raises(DecodeError) as caught:
            from_json({"value": {"fields": {"secret": value}}})
        assert "secret" not in str(caught.value)
    document = Document(NAME, {"password": "secret"})
    assert "secret" not in repr(DocumentEvent(document, document))


# Damage

MESSAGES = [bytes.fromhex(google["protobuf"]) for google in GOOGLES.values() if len(google["protobuf"]) < 5000]


def survives(data: bytes) -> None:
    try:
        event = document_event(data)
    except DecodeError:
        return
    assert DocumentEvent is type(event)


@pytest.mark.parametrize("number", range(len(MESSAGES)))
def test_a_message_cut_short_anywhere_is_an_event_or_a_decode_error(number: int) -> None:
    message = MESSAGES[number]
    for length in range(len(message)):
        survives(message[:length])


@pytest.mark.slow
@settings(deadline=None, max_examples=EXAMPLES * 5)
@given(
    message=st.sampled_from(MESSAGES),
    changes=st.lists(st.tuples(st.integers(0, 2500), st.integers(0, 255), st.booleans()), max_size=6),
)
def test_a_damaged_message_is_an_event_or_a_decode_error(message: bytes, changes: list[tuple[int, int, bool]]) -> None:
    damaged = bytearray(message)
    for position, byte, replace in changes:
        at = position % (len(damaged) + 1)
        damaged[at : at + replace] = bytes([byte])
    survives(bytes(damaged))


@settings(deadline=None, max_examples=EXAMPLES * 5)
@given(data=st.binary(max_size=60))
def test_any_bytes_are_an_event_or_a_decode_error(data: bytes) -> None:
    for message in (data, event_of(data), field(1, data)):
        survives(message)
    try:
        assert bytes is type(body(data))
    except DecodeError:
        pass


MEMBERS = [
    "value",
    "oldValue",
    "updateMask",
    "fieldPaths",
    "fields",
    "values",
    "name",
    "createTime",
    "latitude",
    "nullValue",
    "booleanValue",
    "integerValue",
    "doubleValue",
    "timestampValue",
    "stringValue",
    "bytesValue",
    "referenceValue",
    "geoPointValue",
    "arrayValue",
    "mapValue",
]
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(MEMBERS), inner, max_size=3),
    max_leaves=12,
)


@pytest.mark.slow
@settings(deadline=None, max_examples=EXAMPLES * 5)
@given(payload=json_values)
def test_any_json_is_an_event_or_a_decode_error(payload: Any) -> None:
    for event in (payload, {"value": payload}, {"value": {"fields": {"k": payload}}}, {"updateMask": payload}):
        try:
            assert DocumentEvent is type(from_json(event))
        except DecodeError:
            pass


def test_time_grows_linearly_with_the_message() -> None:
    def bytecodes(parts: int) -> int:
        """Count the lines of the decoder that run: unlike time, the same on every machine."""
        data = event_of(field(9, field(1, STRING_A)) * 8) * parts
        lines = 0

        def trace(frame: Any, event: str, _: object) -> Any:
            nonlocal lines
            lines += event == "line"
            return trace

        before = sys.gettrace()
        sys.settrace(trace)
        try:
            document_event(data)
        finally:
            sys.settrace(before)
        return lines

    assert bytecodes(400) < bytecodes(100) * 4.1


def test_importing_the_decoder_loads_nothing_heavy() -> None:
    code = (
        "import sys, portable_fn.errors, portable_fn.record; import portable_fn_gcp.events.firestore; "
        "print([name for name in ('google', 'base64', 'typing', 'dataclasses', 'portable_fn_gcp.simulate.firestore') "
        "if name in sys.modules])"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    ran = subprocess.run([sys.executable, "-S", "-c", code], env=env, capture_output=True, text=True, check=True)
    assert "[]" == ran.stdout.strip()
