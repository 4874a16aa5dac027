"""Read what was sent, unchanged, and refuse hostile input."""

from __future__ import annotations

import re
import string
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portable_fn import (
    CloudEvent,
    DecodeError,
    Event,
    Message,
    ObjectEvent,
    ScheduleEvent,
    Task,
    portable,
)
from portable_fn.testing import deliver, fake
from portable_fn_cloudflare import values
from portable_fn_cloudflare.events import decode as events
from portable_fn_cloudflare.simulate import events as simulate_events
from portable_fn_cloudflare.simulate.javascript import (
    FFI,
    Map,
    javascript,
    python_from_rpc,
)
from tests.cloudflare.calls import NOON, NOTIFICATION, WRAPPERS, batch_of, decoded, resize

# The law


text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
numbers = st.one_of(st.integers(-(2**53) + 1, 2**53 - 1), st.floats(allow_nan=False, allow_infinity=False))
json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, text),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(text, inner, max_size=3)),
    max_leaves=10,
)
ids = st.text(string.ascii_letters + string.digits + "-", min_size=1, max_size=32)
# To the millisecond, as JavaScript counts.
times = st.integers(946_684_800_000, 4_102_444_800_000).map(
    lambda ms: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)
)


def handled(event: Any, service: str, kind: Any) -> Any:
    """The event as a function gets it that the service calls."""
    got: list[Event[Any]] = []

    def function(event: Any) -> None:
        got.append(event)

    function.__annotations__ = {"event": kind}
    if kind is Task:
        function.__name__ = event.name
    delivery = deliver(portable(function), event, to="cloudflare", via=service)
    assert ["acknowledged"] == delivery.outcomes
    (found,) = got
    return found


@pytest.mark.parametrize("service", ["queue", "queue_raw"])
@given(
    id=ids, channel=ids, time=times, attempt=st.integers(1, 100), sent=st.one_of(json_values, st.binary(max_size=50))
)
def test_a_message_arrives_as_it_was_sent(
    service: str, id: str, channel: str, time: datetime, attempt: int, sent: Any
) -> None:
    body, content_type = values.body(javascript(sent), FFI)
    message = Message(id, channel, body, channel=channel, time=time, content_type=content_type, attempt=attempt)
    assert message == handled(message, service, Message)


@given(id=ids, key=text, bucket=ids, time=times, size=st.integers(0, 2**50), etag=ids, deleted=st.booleans())
def test_an_object_event_arrives_as_it_was_sent(
    id: str, key: str, bucket: str, time: datetime, size: int, etag: str, deleted: bool
) -> None:
    event = fake.object(bucket, key, id=id, source=f"{'a' * 32}/{bucket}", time=time)
    if deleted:
        event.action = "deleted"
    else:
        event.size, event.etag = size, etag
    assert event == handled(event, "r2_queue", ObjectEvent)


@given(id=ids, time=times, subject=text, extensions=st.dictionaries(st.from_regex("[a-z0-9]{4}x", fullmatch=True), text), data=json_values, raw=st.binary(min_size=1))  # fmt: skip
def test_a_cloud_event_arrives_as_it_was_sent(
    id: str, time: datetime, subject: str, extensions: dict[str, str], data: Any, raw: bytes
) -> None:
    body, _ = values.body(javascript([data]), FFI)
    for event in (
        fake.cloud_event(body=body, id=id, time=time, subject=subject, extensions=extensions),
        fake.cloud_event(body=raw, id=id, time=time, content_type="application/octet-stream"),
    ):
        assert event == handled(event, "queue", CloudEvent)


@given(time=times, cron=st.sampled_from(["0 3 * * *", "*/5 1,2 * * MON-FRI"]))
def test_a_schedule_arrives_as_it_was_sent(time: datetime, cron: str) -> None:
    due = round(time.timestamp() * 1000)
    event = fake.schedule(at=time, cron=cron, name="", id=f"{cron}@{due}", source="scheduled")
    assert event == handled(event, "scheduled", ScheduleEvent)


@given(sent=json_values.filter(lambda value: value is not None))
def test_a_task_comes_as_it_was_sent_and_its_result_is_returned(sent: Any) -> None:
    task = handled(fake.task(sent, name="double"), "rpc", Task)
    assert (sent, "double") == (task.data, task.name)
    assert sent == deliver(resize, fake.task(sent, name="resize-image"), to="cloudflare").result


@given(id=ids, subject=text.map(str.strip), time=times, attributes=st.dictionaries(st.from_regex("x-[a-z]{1,5}", fullmatch=True), ids), body=st.binary())  # fmt: skip
def test_an_email_arrives_as_it_was_sent(
    id: str, subject: str, time: datetime, attributes: dict[str, str], body: bytes
) -> None:
    sent = fake.message(
        id=id, body=body, subject=subject, time=time.replace(microsecond=0), attributes=attributes, attempt=None
    )
    got: Any = handled(sent, "email", Message)
    assert (id, "orders", body, sent.time) == (got.id, got.channel, got.body, got.time)
    assert attributes.items() <= got.attributes.items()
    assert subject.split() == got.subject.split()


# Hostile input


junk = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.binary(max_size=5), st.just(NOON),
        st.just(re.compile("a")),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3),
        st.dictionaries(st.one_of(st.integers(), st.text(max_size=2)), inner, max_size=3).map(Map),
    ),
    max_leaves=8,
)  # fmt: skip
FIELDS = [*NOTIFICATION, "specversion", "id", "type", "source", "time", "data", "data_base64"]
CLOUD_EVENT = {"specversion": "1.0", "id": "e", "source": "/shop", "type": "a", "time": "2026-01-02T03:04:05Z"}


def read_all(event: Event[Any]) -> None:
    """Reads every field; only a DecodeError may be raised."""
    for name in (*event._fields, "data", "subject", "carrier"):
        try:
            getattr(event, name)
        except DecodeError:
            pass


@given(
    base=st.sampled_from([NOTIFICATION, CLOUD_EVENT]),
    changed=st.dictionaries(st.sampled_from(FIELDS), junk, max_size=3),
    inner=st.dictionaries(st.sampled_from(["key", "size", "eTag"]), junk, max_size=2),
    gone=st.sets(st.sampled_from(FIELDS), max_size=1),
)
def test_a_changed_body_is_an_event_or_a_decode_error(
    base: dict[str, Any], changed: dict[str, Any], inner: dict[str, Any], gone: set[str]
) -> None:
    value = {name: one for name, one in {**base, **changed}.items() if name not in gone}
    if inner and isinstance(value.get("object"), dict):
        value["object"] = {**value["object"], **inner}
    for wrap in WRAPPERS.values():
        (message,) = decoded(wrap(batch_of(value)))
        if isinstance(message, Message):
            read_all(message)
            try:
                for one in events.inside(message):
                    read_all(one)
            except DecodeError:
                pass


@given(id=junk, timestamp=junk, attempts=junk, body=junk)
def test_a_changed_message_is_an_event_or_a_decode_error(id: Any, timestamp: Any, attempts: Any, body: Any) -> None:
    message = simulate_events.QueueMessage(javascript(id), timestamp, javascript(attempts), body)
    for wrap in WRAPPERS.values():
        (event,) = decoded(wrap(simulate_events.MessageBatch("orders", [message])))
        assert isinstance(event, (Message, DecodeError))


@given(headers=st.lists(st.tuples(st.sampled_from(["message-id", "subject", "date"]), st.text(max_size=30))), to=junk)
def test_a_changed_email_is_an_event_or_a_decode_error(headers: Sequence[tuple[str, str]], to: Any) -> None:
    try:
        read_all(events.email({"from": None, "to": javascript(to)}, headers, b""))
    except DecodeError:
        pass


@given(value=junk)
def test_a_changed_argument_is_a_task_or_a_decode_error(value: Any) -> None:
    try:
        read_all(events.task("double", [javascript(value), python_from_rpc(javascript(value))], {}, "1", FFI))
    except DecodeError:
        pass
