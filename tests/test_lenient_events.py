"""One part of an event that can't be read doesn't cost the whole event; what its identity or its order depends on does."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from portable_fn import CloudEvent, DecodeError, Message, cloudevents
from portable_fn.pairs import Headers
from portable_fn.testing import fake

# --- CloudEvents -------------------------------------------------------------------------------------------------------

EVENT: dict[str, Any] = {"specversion": "1.0", "id": "1", "source": "/s", "type": "t"}
HEADERS = {f"ce-{name}": value for name, value in EVENT.items()}


def in_each_form(members: dict[str, Any]) -> list[CloudEvent[Any]]:
    """The event with the members, alone, in a batch and in a message."""
    value = {**EVENT, **members}
    body = json.dumps(value).encode()
    alone: list[Any] = [cloudevents.structured_body(body), *cloudevents.batched(json.dumps([value]).encode())]
    return [*alone, *cloudevents.inside(fake.message(body=body))]


@pytest.mark.parametrize(
    ("members", "extensions"),
    [
        ({"tenantId": "t1"}, {"tenantid": "t1"}),  # as a header has it
        ({"tenantId": "t1", "tenantid": "t2"}, {"tenantid": "t2"}),
        ({"fc-code-checksum": "9"}, {}),
        ({"event_source": "x"}, {}),
        ({"": "x", " ": "x", "é": "x", "\u212a": "x"}, {}),
        ({"a" * 300: "x"}, {"a" * 300: "x"}),
        ({"ID": "2", "Source": "/other", "Type": "u", "DATA": "x", "Data_Base64": "AA=="}, {}),
        ({"x": 1.5, "y": {"z": 1}, "list": []}, {}),
        ({"x": "\ud800"}, {}),
    ],
)
def test_an_extension_of_a_wrong_name_or_value_is_left_out(members: dict[str, Any], extensions: dict[str, str]) -> None:
    for event in in_each_form(members):
        assert ("1", "/s", "t", extensions, b"") == (event.id, event.source, event.type, event.extensions, event.body)


@pytest.mark.parametrize(
    "time", ["yesterday", "", 5, -1.5, True, [], {}, "0001-01-01T00:00:00+14:00", "\ud800", "9" * 400]
)
def test_a_time_that_is_none_is_absent(time: object) -> None:
    for event in in_each_form({"time": time}):
        assert ("1", None) == (event.id, event.time)


@pytest.mark.parametrize("value", [1.5, [], {}, "\ud800"])
def test_an_attribute_that_is_no_text_is_absent(value: object) -> None:
    for event in in_each_form({"subject": value, "dataschema": value, "datacontenttype": value, "data": {"a": 1}}):
        assert ("1", "", "", "", {"a": 1}) == (event.id, event.subject, event.schema, event.content_type, event.data)


def test_a_content_type_that_is_a_number_is_absent() -> None:
    assert {"a": 1} == cloudevents.structured({**EVENT, "datacontenttype": 5, "data": {"a": 1}}).data


@pytest.mark.parametrize("version", ["1.0", 1.0, "0.3", 0.3])
def test_a_version_may_be_a_number(version: object) -> None:
    assert "1" == cloudevents.structured({**EVENT, "specversion": version}).id


@pytest.mark.parametrize("name", ["id", "source", "type", "partitionkey"])
@pytest.mark.parametrize("value", [1.5, [], {}, "\ud800"])
def test_an_event_whose_identity_or_order_cannot_be_read_is_refused(name: str, value: object) -> None:
    with pytest.raises(DecodeError, match=f"attribute '{name}'"):
        cloudevents.structured({**EVENT, name: value})


@pytest.mark.parametrize("name", ["id", "source", "type", "partitionkey"])
def test_an_id_that_is_no_text_is_not_repaired_into_another_one(name: str) -> None:
    with pytest.raises(DecodeError, match=f"{name} is percent-encoded, but not as UTF-8"):
        cloudevents.binary({**HEADERS, f"ce-{name}": "a%FF"}, b"")
    with pytest.raises(DecodeError, match=f"'{name}' is not UTF-8"):
        cloudevents.inside(
            fake.message(attributes={f"ce_{key[3:]}": v for key, v in HEADERS.items()} | {f"ce_{name}": b"\xff"})
        )
    event = cloudevents.binary({**HEADERS, f"ce-{name}": "%EF%BF%BD"}, b"")
    assert "\ufffd" == (event.extensions.get(name) or getattr(event, name))


def test_a_header_that_comes_twice_is_one_if_both_say_the_same() -> None:
    lines = list(HEADERS.items())
    assert "1" == cloudevents.binary(Headers([*lines, ("ce-id", "1")]), b"").id
    with pytest.raises(DecodeError, match="id is told 2 times"):
        cloudevents.binary(Headers([*lines, ("ce-id", "2")]), b"")
    assert {"x": "a, b"} == cloudevents.binary(Headers([*lines, ("ce-x", "a"), ("ce-x", "b")]), b"").extensions


def test_headers_of_side_data_may_say_anything() -> None:
    odd = {
        "ce-time": "yesterday",
        "ce-fc-code-checksum": "9",
        "ce-event_source": "x",
        "ce-": "x",
        "ce-data": "x",
        "ce-x": "%FF",
    }
    event = cloudevents.binary({**HEADERS, **odd}, b"{}")
    assert ("1", None, {"x": "\ufffd"}, {}) == (event.id, event.time, event.extensions, event.data)


def test_attributes_of_a_message_may_say_anything() -> None:
    attributes: dict[str, Any] = {f"ce_{name[3:]}": value.encode() for name, value in HEADERS.items()}
    odd: dict[str, Any] = {
        "ce_time": b"\xff",
        "ce_x": b"\xff",
        "ce_trace": None,
        "ce_a-b": b"1",
        "ce_tenantId": b"t1",
        "ce_ID": b"2",
        "content-type": b"\xff",
    }
    (event,) = cloudevents.inside(Message("m-1", "orders", b"{}", attributes={**attributes, **odd}))
    assert isinstance(event, CloudEvent)
    assert ("1", None, {"tenantid": "t1"}, "") == (event.id, event.time, event.extensions, event.content_type)


def test_a_time_that_can_be_read_is_there() -> None:
    assert datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC) == cloudevents.read_time("2026-01-02T03:04:05Z")
    assert None is cloudevents.read_time(None)
