"""CloudEvents, beyond what the providers' stories test."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portable_fn import CloudEvent
from portable_fn.adapter import cloudevents
from portable_fn.errors import DecodeError, EncodeError
from portable_fn.pairs import Headers
from portable_fn.testing import fake

REQUIRED = {"specversion": "1.0", "id": "1", "source": "/s", "type": "t"}
HEADERS = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/s", "ce-type": "t"}

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
names = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=1, max_size=20).filter(
    lambda name: name not in (*REQUIRED, "subject", "time", "datacontenttype", "dataschema", "data")
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=5,
)
times = st.datetimes(timezones=st.just(UTC))


@st.composite
def events(draw: st.DrawFn) -> CloudEvent[Any]:
    content_type = draw(st.sampled_from(["", "application/json", "application/x+json", "text/plain", "image/png"]))
    bodies = [st.just(b""), json_values.map(cloudevents.json_body), st.binary(max_size=20), text.map(str.encode)]
    # JSON in another layout keeps its meaning, but not its spaces.
    kinds = bodies[:2] if content_type in ("", "application/json", "application/x+json") else bodies
    return fake.cloud_event(
        draw(text.filter(bool)),
        id=draw(text.filter(bool)),
        source=draw(text.filter(bool)),
        subject=draw(text),
        time=draw(st.none() | times),
        schema=draw(text),
        content_type=content_type,
        extensions=draw(st.dictionaries(names, text, max_size=3)),
        body=draw(st.one_of(kinds)),
    )


@settings(deadline=None)
@given(events())
def test_an_event_written_in_any_mode_is_read_back(event: CloudEvent) -> None:
    headers, body = cloudevents.write_binary(event)
    written = cloudevents.write_structured_body(event)
    batch = cloudevents.write_batched([event, event])
    assert [event] * 4 == [
        cloudevents.binary(Headers(headers), body),
        cloudevents.structured_body(written),
        *cloudevents.batched(batch),
    ]


@settings(deadline=None)
@given(
    st.dictionaries(
        st.sampled_from([*HEADERS, "ce-time", "ce-x", "content-type", "ce-", "ce-A_b"]), st.text(max_size=30)
    )
)
def test_headers_give_an_event_or_a_decode_error(headers: dict[str, str]) -> None:
    for given_headers in (headers, {**HEADERS, **headers}):
        try:
            cloudevents.mode(given_headers)
            assert isinstance(cloudevents.binary(given_headers, b""), CloudEvent)
        except DecodeError:
            pass


@settings(deadline=None)
@given(
    st.dictionaries(
        st.sampled_from([*REQUIRED, "time", "data", "data_base64", "datacontenttype", "x", "X"]), json_values
    )
)
def test_json_gives_an_event_or_a_decode_error(value: dict[str, Any]) -> None:
    for given_value in (value, {**REQUIRED, **value}):
        try:
            assert isinstance(cloudevents.structured_body(json.dumps(given_value).encode()), CloudEvent)
        except DecodeError:
            pass


# https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md#3132-http-header-values
@pytest.mark.parametrize(
    ("value", "header"),
    [
        ("Euro € 😀", "Euro%20%E2%82%AC%20%F0%9F%98%80"),
        ('a"b%c', "a%22b%25c"),
        ("tab\tline\n", "tab%09line%0A"),
        ("/plain~!", "/plain~!"),
    ],
)
def test_header_values_are_percent_encoded(value: str, header: str) -> None:
    headers, _ = cloudevents.write_binary(fake.cloud_event(subject=value))
    assert header == dict(headers)["ce-subject"]
    assert value == cloudevents.binary({**HEADERS, "ce-subject": header}, b"").subject


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ('"Euro € 😀"', "Euro € 😀"),  # as writers of 1.0 and before did
        (r'"a \"b\" c"', 'a "b" c'),
        (r'a "b" "c\" d', r'a b "c\" d'),
        ('"' + r"\"" * 30_000, '"' + r"\"" * 30_000),  # not closed: it took 16 s to look at each quote's rest
        ("€ as it is", "€ as it is"),
        ("%E2%82%ac", "€"),
        ("100%", "100%"),
        ("%zz", "%zz"),
        ("%2541", "%41"),
        ("%FF", "\ufffd"),
    ],
)
def test_header_values_that_others_write_are_read(header: str, value: str) -> None:
    assert value == cloudevents.binary({**HEADERS, "ce-subject": header}, b"").subject


def test_header_names_come_in_any_case() -> None:
    event = cloudevents.binary(
        Headers([("CE-SpecVersion", "1.0"), ("Ce-Id", "1"), ("ce-source", "s"), ("CE-TYPE", "t")]), b""
    )
    assert ("1", "s", "t") == (event.id, event.source, event.type)


@pytest.mark.parametrize(
    ("members", "body", "data"),
    [
        ({}, b"", None),
        ({"data": None}, b"null", None),
        ({"data": None, "datacontenttype": "text/plain"}, b"", ""),
        ({"data": "x"}, b'"x"', "x"),
        ({"data": "x", "datacontenttype": "text/plain"}, b"x", "x"),
        ({"data": {"a": [1, 2.5]}, "datacontenttype": "application/cloudevents+json; charset=utf-8"}, b'{"a":[1,2.5]}', {"a": [1, 2.5]}),
        ({"data_base64": "AP8=", "datacontenttype": "image/png"}, b"\x00\xff", b"\x00\xff"),
        ({"data_base64": "", "datacontenttype": "image/png"}, b"", b""),
        ({"data_base64": "eyJhIjoxfQ=="}, b'{"a":1}', {"a": 1}),
        ({"data": "\ud800"}, b'"\\ud800"', "\ud800"),
        ({"specversion": "0.3", "data": "AP8=", "datacontentencoding": "base64", "datacontenttype": "image/png"}, b"\x00\xff", b"\x00\xff"),
    ],
)  # fmt: skip
def test_data_comes_as_text_json_or_base64(members: dict[str, Any], body: bytes, data: object) -> None:
    event = cloudevents.structured({**REQUIRED, **members})
    assert (body, data) == (event.body, event.data)


def test_version_0_3_has_other_names() -> None:
    old = {
        **REQUIRED,
        "specversion": "0.3",
        "schemaurl": "https://s",
        "datacontentencoding": "base64",
        "dataschema": "an extension",
    }
    event = cloudevents.structured(old)
    assert ("https://s", {"dataschema": "an extension"}) == (event.schema, event.extensions)
    assert {"schemaurl": "an extension"} == cloudevents.structured({**REQUIRED, "schemaurl": "an extension"}).extensions


def test_whole_numbers_and_booleans_become_text() -> None:
    event = cloudevents.structured({**REQUIRED, "partition": 7, "sampled": True, "last": False, "none": None})
    assert {"partition": "7", "sampled": "true", "last": "false"} == event.extensions


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2026-01-02T03:04:05Z", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2026-01-02t03:04:05z", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2026-01-02T03:04:05.123456789+05:30", datetime(2026, 1, 1, 21, 34, 5, 123456, tzinfo=UTC)),
        ("2016-12-31T23:59:60Z", datetime(2016, 12, 31, 23, 59, 59, tzinfo=UTC)),
        ("2026-01-02T03:04:05", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
    ],
)
def test_times_have_offsets_and_nanoseconds(text: str, time: datetime) -> None:
    assert time == cloudevents.parse_time(text)
    assert timedelta(0) == cloudevents.parse_time(text).utcoffset()


def test_a_time_is_written_in_utc() -> None:
    time = datetime(2026, 1, 2, 3, 4, 5, 600000, tzinfo=timezone(timedelta(hours=2)))
    assert "2026-01-02T01:04:05.600000Z" == cloudevents.write_time(time)


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({"specversion": None}, "specversion is missing"),
        ({"specversion": "2.0"}, "'2.0'; known are '1.0' and '0.3'"),
        ({"id": "", "type": None}, "no id and no type"),
        ({"id": 1.5}, "'id' is a float"),
        ({"source": {}}, "'source' is a dict"),
        ({"partitionkey": []}, "'partitionkey' is a list"),
        ({"id": "\ud800"}, "'id' has half of a surrogate pair"),
        ({"data": 1, "data_base64": "AA=="}, "both data and data_base64"),
        ({"data_base64": "A"}, "not base64"),
        ({"data_base64": "AA==\n"}, "not base64"),
        ({"data_base64": "é"}, "not base64"),
        ({"data_base64": 5}, "not base64"),
        ({"data": "\ud800", "datacontenttype": "text/plain"}, "isn't Unicode text"),
    ],
)  # fmt: skip
def test_a_malformed_event_is_named(members: dict[str, Any], said: str) -> None:
    with pytest.raises(DecodeError) as caught:
        cloudevents.structured({**REQUIRED, **members})
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "not JSON"),
        (b"\xff", "not utf-8: byte 0xff at offset 0"),
        (b"[]", "a CloudEvent must be a JSON object, not a list"),
        (b"[" * 100_000, "nested more than 200 levels deep"),
        (b"[" * 2_000_000 + b"]" * 2_000_000, "nested more than 200 levels deep"),
        (b'{"specversion":"1.0","data":' + b"[" * 201 + b"]" * 201 + b"}", "nested more than 200 levels deep"),
        (b'{"specversion":"1.0","x":' + b"9" * 5000 + b"}", "not JSON"),
    ],
)  # fmt: skip
def test_a_body_without_an_event_is_named(body: bytes, said: str) -> None:
    with pytest.raises(DecodeError) as caught:
        cloudevents.structured_body(body)
    assert said in str(caught.value)


def test_a_structured_body_is_in_the_charset_that_its_content_type_names() -> None:
    body = json.dumps({**REQUIRED, "subject": "é"}, ensure_ascii=False)
    for charset in ("utf-8", "iso-8859-1", "UTF-16"):
        read = cloudevents.structured_body(body.encode(charset), f'application/cloudevents+json; charset="{charset}"')
        assert "é" == read.subject
    with pytest.raises(DecodeError, match="charset 'zip' is unknown"):
        cloudevents.structured_body(b"{}", "application/cloudevents+json; charset=zip")


def test_an_unreadable_event_of_a_batch_fails_alone() -> None:
    first, second, third = cloudevents.batched(json.dumps([REQUIRED, {"id": "2"}, 5]).encode())
    assert "1" == first.id  # type: ignore[union-attr]
    assert "the CloudEvent's specversion is missing; known are '1.0' and '0.3'" == str(second)
    assert "an event of the batch is a int, not an object" == str(third)


def test_a_batch_with_too_many_unreadable_events_is_refused() -> None:
    assert 1001 == len(cloudevents.batched(json.dumps([REQUIRED, *range(1000)]).encode()))
    with pytest.raises(DecodeError, match="more than 1000 events of the batch can't be read"):
        cloudevents.batched(json.dumps([REQUIRED, *range(1001)]).encode())


@pytest.mark.parametrize(
    ("headers", "mode"),
    [
        ({"content-type": "application/cloudevents+json; charset=utf-8"}, "structured"),
        ({"content-type": "Application/CloudEvents-Batch+JSON"}, "batched"),
        ({"content-type": "application/json", "ce-specversion": "1.0"}, "binary"),
        ({"ce-id": "1"}, "binary"),
        ({"content-type": "application/json"}, ""),
    ],
)
def test_headers_decide_the_mode(headers: dict[str, str], mode: str) -> None:
    assert mode == cloudevents.mode(Headers(headers))


def test_another_format_than_json_is_refused() -> None:
    with pytest.raises(DecodeError, match=r"cloudevents\+protobuf' isn't a known format"):
        cloudevents.mode({"content-type": "application/cloudevents+protobuf"})


@pytest.mark.parametrize("name", ["", "My", "a_b", "id", "data", "é"])
def test_an_extension_with_an_impossible_name_is_not_written(name: str) -> None:
    event = fake.cloud_event(extensions={name: "x"})
    for write in (cloudevents.write_binary, cloudevents.write_structured):
        with pytest.raises(EncodeError, match="possible are names of a-z and 0-9"):
            write(event)


def test_a_message_holds_events_in_any_mode() -> None:
    event = fake.cloud_event(data={"a": 1}, extensions={"x": "é"})
    kafka = {f"ce_{name}": value.encode() for name, value in cloudevents._attributes(event)}
    held = [
        fake.message(body=cloudevents.write_structured_body(event)),
        fake.message(body=event.body, content_type="application/json", attributes=kafka),
    ]
    assert [[event], [event]] == [cloudevents.inside(message) for message in held]
    [inside] = cloudevents.inside(held[0])
    assert (held[0],) == inside.envelopes
    assert [event, event] == cloudevents.inside(fake.message(body=cloudevents.write_batched([event, event])))


@pytest.mark.parametrize(
    "body", [b"", b"\xff\xfe", b'{"specversion"', b'\xff"specversion"', b'["specversion"]', b'{"specversion":"1.0"}']
)
def test_nothing_is_found_in_a_message_without_an_event(body: bytes) -> None:
    assert [] == cloudevents.inside(fake.message(body=body))


def test_an_unreadable_event_inside_a_message_is_an_error() -> None:
    with pytest.raises(DecodeError, match="no id"):
        cloudevents.inside(fake.message({"specversion": "1.0", "type": "t", "source": "s"}))
