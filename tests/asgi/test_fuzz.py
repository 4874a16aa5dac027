"""Test that malformed and hostile requests are refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portable_fn import (
    ChangeEvent,
    CloudEvent,
    Message,
    ObjectEvent,
    ScheduleEvent,
)
from portable_fn.testing import fake
from portable_fn_asgi import entry
from tests.asgi.helpers import ENVELOPE, KAFKA, add, home, keeper, post, send, ship

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("quiet")]


REQUESTS = [
    ("/", "application/json", {"n": 1}, KAFKA),
    ("/", "application/cloudevents+json", ENVELOPE, {}),
    ("/", "application/cloudevents-batch+json", [ENVELOPE, ENVELOPE], {}),
    ("/", "application/cloudevents+json", {**ENVELOPE, "type": "portable_fn.object.created", "data": {"bucket": "b", "key": "k", "size": 1, "metadata": {"a": "b"}}}, {}),
    ("/", "application/cloudevents+json", {**ENVELOPE, "type": "portable_fn.change.updated", "data": {"table": "t", "key": {}, "before": {}, "after": None}}, {}),
    ("/", "application/cloudevents+json", {**ENVELOPE, "type": "portable_fn.schedule", "data": {"name": "n", "cron": "", "input": 1}}, {}),
    ("/", "application/cloudevents+json", {**ENVELOPE, "type": "portable_fn.message", "attributes": '{"A":{"base64":"AA=="}}'}, {}),
    ("/portable_fn/orders", "application/cloudevents+json", ENVELOPE, {"__key": "k", "metadata.DeliveryCount": "2"}),
    ("/portable_fn/orders", "application/json", {"topic": "orders", "pubsubname": "p", "entries": [{"entryId": "a", "event": ENVELOPE, "metadata": {"a": "b"}}, {"entryId": "b", "event": "AA==", "metadata": {"id": "1"}, "contentType": "a/b"}]}, {}),
    ("/orders", "application/json", {"n": 1}, {"id": "1", "insertionTime": "2026-01-02T03:04:05Z", "dequeueCount": "1"}),
    ("/nightly", "application/json", {}, {"readTimeUTC": "2026-01-02 03:04:05 +0000 UTC m=+0.1"}),
    ("/job/nightly", "application/json", {"n": 1}, {}),
    ("/add", "application/json", [1], {}),
]  # fmt: skip
junk = st.sampled_from([None, True, 0, -1, 1.5, "", "x", "\ud800", [], {}, [[]], {"a": {}}, "9" * 5000, "é%ZZ\n"])


def paths_of(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inside:
        yield (*path, key)
        yield from paths_of(one, (*path, key))


@settings(deadline=None, max_examples=400)
@given(st.data())
def test_mutated_requests_are_answered_and_never_make_the_adapter_fail(data: st.DataObject) -> None:
    kinds = (Message, ObjectEvent, ChangeEvent, ScheduleEvent, CloudEvent)
    wanted = data.draw(st.sampled_from([[kind] for kind in kinds] + [list(kinds)]))
    functions = [keeper(kind)[0] for kind in wanted]
    path, content_type, body, headers = data.draw(st.sampled_from(REQUESTS))
    body, headers = json.loads(json.dumps(body)), dict(headers)
    places = list(paths_of(body))
    if places and data.draw(st.booleans()):
        *before, last = data.draw(st.sampled_from(places))
        inner = body
        for step in before:
            inner = inner[step]
        if data.draw(st.booleans()):
            inner[last] = data.draw(junk)
        else:
            del inner[last]
    if headers and data.draw(st.booleans()):
        name = data.draw(st.sampled_from(sorted(headers)))
        headers[name] = data.draw(st.sampled_from(["", "x", "%", "%FF%00", '"', "-1", "9" * 5000, "é", "²"]))
    raw = json.dumps(body).encode()
    if data.draw(st.integers(0, 4)) == 0:
        raw = data.draw(st.sampled_from([b"", b"null", b"\xff", raw[:-1], b"[" * 5000, b'{"a":' * 5000, raw + raw]))
    answer = post(entry(*functions, add), path, raw, {"content-type": content_type, **headers})
    # A handler's error is answered with 503; 500 would be the adapter's own failure.
    assert answer.status in (200, 202, 400, 404, 422, 503), answer


def test_a_large_body_is_refused() -> None:
    assert 413 == post(entry(ship), "/", b"x" * (10 * 1024 * 1024 + 1), KAFKA).status


def test_requests_without_daprs_token_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    keep, seen = keeper(CloudEvent)
    application = entry(keep, home)
    monkeypatch.setenv("APP_API_TOKEN", "sésame")
    assert [401, 401, 202] == [
        post(application, "/", {}, {**KAFKA, **token}).status
        for token in ({}, {"dapr-api-token": "other"}, {"dapr-api-token": "sésame"})
    ]
    assert (1, "home") == (len(seen), send(application, fake.request("GET", "/")).text)
