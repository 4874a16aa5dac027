"""Test that malformed and hostile requests are refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portable_fn import (
    DecodeError,
    ObjectEvent,
    Request,
)
from portable_fn.testing import fake
from portable_fn_gcp import entry, simulate
from portable_fn_gcp.events import decode as decode_events
from tests.gcp.helpers import SERVICES, answer_of, events, taking, with_json
from tests.gcp.test_corpus import CASES, captured, case


def bodies_of_json() -> list[tuple[dict[str, str], Any]]:
    """Return headers and JSON of requests in the corpora, and of simulated ones."""
    pairs: list[tuple[dict[str, str], Any]] = [({"content-type": "application/json"}, case(f"{name}-legacy-input")) for name in CASES]  # fmt: skip
    structured = {"content-type": "application/cloudevents+json"}
    pairs += [(structured, case(f"{name}-cloudevent-input")) for name in CASES]
    requests = [captured("pubsub-push")[0], *captured("gcs-notifications-via-pubsub"), *captured("firestore-triggers")]
    for kind, service in SERVICES:
        [event] = [one for one in events() if type(one).__name__ == kind]
        requests += simulate.payloads([event], service)
    for request in requests:
        try:
            pairs.append((dict(request.headers), json.loads(request.body)))
        except ValueError:
            pairs.append((dict(request.headers), None))
    return pairs


DEEP: Any = json.loads("[" * 150 + "]" * 150)
ODD = st.sampled_from([None, True, -1, 2**70, 1.5, "", "\ud800", "é" * 1000, [], {}, {"a": 1}, [None], DEEP])


def mutated(value: Any, draw: Any) -> Any:
    """Return the value with one member missing or replaced."""
    if isinstance(value, dict) and value and draw(st.integers(0, 3)):
        name = draw(st.sampled_from(sorted(value)))
        if not draw(st.integers(0, 3)):
            return {key: one for key, one in value.items() if key != name}
        return {**value, name: mutated(value[name], draw)}
    if isinstance(value, list) and value and draw(st.integers(0, 3)):
        index = draw(st.integers(0, len(value) - 1))
        return [*value[:index], mutated(value[index], draw), *value[index + 1 :]]
    return draw(ODD)


BODIES = bodies_of_json()


@settings(deadline=None)
@given(st.data())
def test_a_mutated_request_is_an_event_or_a_decode_error(data: st.DataObject) -> None:
    headers, value = data.draw(st.sampled_from(BODIES))
    if value is None or data.draw(st.booleans()):
        name = data.draw(st.sampled_from(sorted(headers)))
        headers = {**headers, name: data.draw(st.sampled_from(["", "x", "%", "é", "-1", "9" * 30, "\x00", "true"]))}
    body = json.dumps(mutated(value, data.draw)) if value is not None else ""
    read(fake.request("POST", headers=headers, body=body.encode()))


@settings(deadline=None)
@given(st.data())
def test_damaged_protobuf_is_an_event_or_a_decode_error(data: st.DataObject) -> None:
    [request] = simulate.payloads([fake.change(before={"id": "1", "n": [1]}, after={"id": "1", "m": {"a": 1}})], "firestore")  # fmt: skip
    body = bytearray(request.body[: data.draw(st.integers(0, len(request.body)))])
    if body:
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    request.raw_body = bytes(body)
    read(request)


def read(request: Request[Any]) -> None:
    """Read every field of a request's events; any error must be a DecodeError."""
    incoming = decode_events.incoming_events(request)
    items: list[Any] = [] if incoming is None else list(incoming.items)
    while items:
        item = items.pop()
        if isinstance(item, DecodeError):
            continue
        assert isinstance(item.id, str) and item.id
        assert isinstance(item.source, str)
        for field in item._fields:
            try:
                getattr(item, field)
            except DecodeError:
                pass
        try:
            items += decode_events.unwrap(item)
        except DecodeError:
            pass


@pytest.mark.parametrize("service", simulate.SERVICES)
def test_hostile_requests_are_never_acknowledged_and_show_no_traceback(service: str) -> None:
    target = entry(taking(ObjectEvent, []))
    nested = b'{"subscription":"s","message":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    requests = [
        fake.request("POST", body=nested, headers={"content-type": "application/json"}),
        fake.request("POST", body=b"x" * (17 << 20), headers={"content-type": "application/json"}),
        fake.request("POST", body=b'{"eventType":"providers/x"}', headers={"content-type": "application/json"}),
        with_json({"subscription": "s", "message": {"messageId": "1", "attributes": {"eventType": "OBJECT_DELETE"}}}),
        with_json({"context": {"eventId": "1", "eventType": "google.storage.object.finalize", "resource": "x"}}),
    ]
    for request in requests:
        answer = answer_of(target, request, service)
        assert (True, False) == (answer.status >= 400, b"Traceback" in answer.body)
