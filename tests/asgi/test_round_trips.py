"""Test that every service's events arrive as they were sent."""

from __future__ import annotations

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
    on,
)
from portable_fn.events import CHANGE_ACTIONS, OBJECT_ACTIONS
from portable_fn.testing import deliver, fake
from tests.asgi.helpers import keeper

pytestmark = pytest.mark.usefixtures("quiet")


text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
ids = text.filter(bool)
# Values that a header can have unencoded.
plain = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=20)
names = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=1, max_size=20).filter(
    lambda name: (
        name not in ("id", "type", "time", "data", "source", "subject", "topic", "sequence", "channel", "via", "key")
    )
)
times = st.datetimes(timezones=st.just(UTC))
values = st.none() | st.integers() | st.booleans() | text
rows = st.none() | st.dictionaries(text, values, max_size=3)
optional = st.none() | ids


def messages(
    channel: st.SearchStrategy[str] = text, **fields: st.SearchStrategy[Any]
) -> st.SearchStrategy[Message[Any]]:
    return st.builds(fake.message, body=st.binary(max_size=20), id=ids, channel=channel, **fields)


binary_bodies = st.sampled_from(["image/png", "application/octet-stream", "text/plain"])
EVENTS: dict[str, st.SearchStrategy[Any]] = {
    "cloud_event Message": messages(
        source=ids,
        time=st.none() | times,
        content_type=st.sampled_from(["", "image/png", "application/json"]),
        attributes=st.dictionaries(text, text | st.binary(max_size=5), max_size=3),
        subject=text,
        attempt=st.none(),
        key=optional,
        partition=optional,
        sequence=optional,
    ),
    "dapr_pubsub Message": messages(
        ids,
        source=ids,
        time=times,
        content_type=binary_bodies,
        attributes=st.dictionaries(names, ids, max_size=3),
        subject=text,
        attempt=st.none() | st.integers(1, 100),
        key=st.none() | plain,
        partition=st.none() | plain,
        sequence=st.none() | plain,
    ),
    "dapr_bulk Message": messages(
        ids,
        source=ids,
        time=times,
        content_type=binary_bodies,
        attributes=st.dictionaries(names, ids, max_size=3)
        | st.dictionaries(plain.map(str.lower).map("my-".__add__), text),
        subject=text,
        attempt=st.none() | st.integers(1, 100),
        key=optional,
        partition=optional,
        sequence=optional,
    ),
    "cloud_event ObjectEvent": st.builds(
        fake.object,
        text,
        text,
        action=st.sampled_from(OBJECT_ACTIONS),
        id=ids,
        source=ids,
        time=st.none() | times,
        size=st.none() | st.integers(0),
        etag=st.none() | text,
        version=st.none() | text,
        content_type=st.none() | text,
    ),
    "cloud_event ChangeEvent": st.builds(
        fake.change,
        text,
        before=rows,
        after=rows,
        action=st.sampled_from(CHANGE_ACTIONS),
        key=rows.filter(lambda key: key is not None),
        id=ids,
        source=ids,
        time=st.none() | times,
        partition=optional,
        sequence=optional,
    ),
    "cloud_event ScheduleEvent": st.builds(
        fake.schedule, at=st.none() | times, name=text, cron=text, id=ids, source=ids, input=values
    ),
    **{
        f"{mode} CloudEvent": st.builds(
            fake.cloud_event,
            ids,
            body=st.binary(max_size=20),
            id=ids,
            source=ids,
            subject=text,
            time=st.none() | times,
            content_type=binary_bodies,
            schema=text,
            extensions=st.dictionaries(names, ids, max_size=3),
        )
        for mode in ("binary", "structured", "batched")
    },
}
KINDS = {kind.__name__: kind for kind in (Message, ObjectEvent, ChangeEvent, ScheduleEvent, CloudEvent, Task)}


@pytest.mark.parametrize("service", EVENTS)
def test_events_arrive_as_the_service_sent_them(service: str) -> None:
    via, _, kind = service.partition(" ")

    @settings(deadline=None, max_examples=60)
    @given(EVENTS[service])
    def law(event: Event[Any]) -> None:
        keep, seen = keeper(KINDS[kind])
        delivery = deliver(keep, event, to="asgi", via=via)
        assert (["acknowledged"], [event]) == (delivery.outcomes, seen)

    law()


def test_a_binding_a_job_and_a_cron_binding_keep_what_dapr_sends() -> None:
    keep, seen = keeper(Message, on.queue("orders"))
    message = fake.message({"n": 1}, id="7", source="orders", attempt=3, attributes={"colour": "blue"})
    deliver(keep, message, to="asgi", via="dapr_binding")
    assert [message] == seen

    keep, seen = keeper(ScheduleEvent, on.schedule("0 3 * * *", name="nightly"))
    at = datetime(2026, 1, 2, 3, 0, 0, 250_000, tzinfo=UTC)
    for via in ("dapr_cron", "dapr_job"):
        deliver(keep, fake.schedule(at=at, input={"n": 1}), to="asgi", via=via)
    assert [
        fake.schedule(id="nightly/2026-01-02 03:00:00.25 +0000 UTC", cron="0 3 * * *", at=at),
        fake.schedule(id="nightly", cron="0 3 * * *", at=None, input={"n": 1}),
    ] == seen
