"""Test that every service's events arrive as they were sent."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portable_fn import (
    ChangeEvent,
    CloudEvent,
    Event,
    Message,
    ObjectEvent,
    ScheduleEvent,
    Task,
)
from portable_fn_gcp import entry, simulate
from portable_fn_gcp.events.firestore import GeoPoint, Reference
from tests.gcp.helpers import KINDS, SERVICES, answer_of, taking

pytestmark = pytest.mark.slow

text = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
tokens = st.text("abcxyz0189-_", min_size=1, max_size=12)
# Values that a header can have; spaces at the ends aren't part of it.
values = (
    st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1, max_size=20)
    .map(str.strip)
    .filter(bool)
)
header_names = tokens.map(lambda name: f"x-{name.replace('_', '-')}a")
# Hypothesis requires naive bounds.
times = st.datetimes(datetime(1970, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001
numbers = st.integers(1, 1000)
plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
stored = st.recursive(
    plain
    | st.binary(max_size=10)
    | st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC))  # noqa: DTZ001
    | st.floats(allow_nan=False)
    | text.map(Reference)
    | st.builds(GeoPoint, st.floats(-90, 90), st.floats(-180, 180)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


@st.composite
def drawn_messages(draw: st.DrawFn, service: str) -> Message[Any]:
    in_headers = service in ("pubsub_push_unwrapped", "cloud_tasks")
    channel = draw(tokens)
    queue = f"projects/p/locations/us-central1/queues/{channel}"
    source = {
        "pubsub_push": f"projects/p/subscriptions/{channel}",
        "pubsub_push_unwrapped": f"projects/p/subscriptions/{channel}",
        "cloud_tasks": queue,
    }.get(service, f"//pubsub.googleapis.com/projects/p/topics/{channel}")
    id = draw(tokens)
    attempts = st.none() if service in ("pubsub_push_unwrapped", "pubsub_legacy") else st.none() | numbers
    return Message(
        f"{queue}/{id}" if service == "cloud_tasks" else id,
        source,
        draw(st.binary(max_size=50)),
        channel=channel,
        time=draw(times),
        content_type=draw(st.sampled_from(["", "text/plain", "application/json", "image/png"])),
        attributes=draw(
            st.dictionaries(header_names, values, max_size=3)
            if in_headers
            else st.dictionaries(text, texts, max_size=3).map(
                lambda attributes: {name: value for name, value in attributes.items() if name.lower() != "content-type"}
            )
        ),
        attempt=draw(attempts),
        key=None if service == "cloud_tasks" else draw(st.none() | (values if in_headers else text)),
    )


@st.composite
def drawn_objects(draw: st.DrawFn, service: str) -> ObjectEvent[Any]:
    bucket, key, version = draw(tokens), draw(text), draw(st.integers(1, 2**60).map(str))
    action = draw(st.sampled_from(["created", "deleted", "archived", "changed"]))
    word = {"created": "FINALIZE", "deleted": "DELETE", "archived": "ARCHIVE", "changed": "METADATA_UPDATE"}[action]
    id = draw(tokens)
    return ObjectEvent(
        f"{bucket}/{key}/{version}/{id}/OBJECT_{word}" if service == "storage_notification" else id,
        f"//storage.googleapis.com/projects/_/buckets/{bucket}",
        bucket,
        key,
        action,
        time=draw(times),
        size=draw(st.none() | st.integers(0, 2**50)),
        etag=draw(st.none() | text),
        version=version,
        content_type=draw(st.none() | text),
        metadata=draw(st.dictionaries(text, texts, max_size=2)),
    )


@st.composite
def drawn_changes(draw: st.DrawFn, service: str) -> ChangeEvent[Any]:
    action = draw(st.sampled_from(["inserted", "updated", "removed"]))
    rows = st.dictionaries(texts, stored, max_size=4)
    segments = text.filter(lambda segment: "/" not in segment)
    table = "/".join(draw(st.lists(segments, min_size=1, max_size=3)))
    return ChangeEvent(
        draw(tokens),
        "//firestore.googleapis.com/projects/portable/databases/(default)",
        table,
        action,
        key={"id": draw(segments)},
        before=None if action == "inserted" else draw(rows),
        after=None if action == "removed" else draw(rows),
        time=draw(times),
        sequence=None
        if action == "removed"
        else draw(st.none() | times.map(lambda time: time.isoformat().replace("+00:00", "Z"))),
    )


@st.composite
def drawn_schedules(draw: st.DrawFn, service: str) -> ScheduleEvent[Any]:
    name, time = draw(tokens), draw(times)
    id = f"{name}/{time.isoformat().replace('+00:00', 'Z')}"
    return ScheduleEvent(id, name, time=time, name=name, input=draw(plain | st.just(b"\xff")))


@st.composite
def drawn_cloud_events(draw: st.DrawFn, service: str) -> CloudEvent[Any]:
    content_type = draw(st.sampled_from(["application/json", "text/plain", "image/png"]))
    bodies = {
        "application/json": plain.map(lambda value: json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()),
        "text/plain": texts.map(str.encode),
        "image/png": st.binary(max_size=20).map(lambda body: b"\x89" + body),
    }  # fmt: skip
    return CloudEvent(
        draw(text),
        draw(text),
        draw(text.map(lambda type: f"com.example.{type}")),
        draw(bodies[content_type]),
        subject=draw(texts),
        time=draw(st.none() | times),
        content_type=content_type,
        schema=draw(texts),
        extensions=draw(st.dictionaries(st.text("abc019", min_size=1, max_size=8), text, max_size=2)),
    )


@st.composite
def drawn_tasks(draw: st.DrawFn, service: str) -> Task[Any]:
    if service == "bigquery":
        calls = draw(st.lists(st.lists(plain, max_size=3), max_size=3))
        return Task(draw(text), draw(texts), calls, name=draw(text), type="bigquery")
    return Task(draw(tokens), "https://example.com", draw(plain), name=draw(text))


DRAWN = {
    "Message": drawn_messages,
    "ObjectEvent": drawn_objects,
    "ChangeEvent": drawn_changes,
    "ScheduleEvent": drawn_schedules,
    "CloudEvent": drawn_cloud_events,
    "Task": drawn_tasks,
}


@pytest.mark.parametrize(
    ("kind", "service", "server_"),
    [(kind, service, "http") for kind, service in SERVICES]
    # Starlette differs in how headers and bodies are read.
    + [("Message", "pubsub_push_unwrapped", "http_async"), ("CloudEvent", "eventarc", "http_async")],
)
def test_events_arrive_as_the_service_sent_them(kind: str, service: str, server_: str) -> None:
    seen: list[Any] = []
    target = entry(taking(KINDS[kind], seen))

    @settings(deadline=None)
    @given(DRAWN[kind](service))
    def law(event: Event[Any]) -> None:
        seen.clear()
        [request] = simulate.payloads([event], service)
        answer_of(target, request, server_)
        assert [event] == seen

    law()
