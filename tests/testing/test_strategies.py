"""Draw events with the strategies, shrink them, and deliver them unchanged through every provider."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from portable_fn import (
    Batch,
    ChangeEvent,
    CloudEvent,
    Event,
    Message,
    ObjectEvent,
    Principal,
    Request,
    ScheduleEvent,
    Task,
    portable,
)
from portable_fn.testing import fake, strategies
from portable_fn.testing.plugin import Deliver

pytestmark = pytest.mark.slow

FIRST = datetime(2000, 1, 1, tzinfo=UTC)
# The event that each kind shrinks to.
PLAINEST: dict[str, tuple[Callable[..., Any], Callable[..., Any], object]] = {
    "messages": (strategies.messages, fake.message, fake.message(None, id="0", time=FIRST)),
    "objects": (strategies.objects, fake.object, fake.object(key="0", id="0", time=FIRST)),
    "changes": (strategies.changes, fake.change, fake.change(after={"id": "0"}, id="0", time=FIRST)),
    "schedules": (strategies.schedules, fake.schedule, fake.schedule(name="0", id="0", at=FIRST)),
    "cloud_events": (strategies.cloud_events, fake.cloud_event, fake.cloud_event(data={}, id="0", time=None)),
    "tasks": (strategies.tasks, fake.task, fake.task(None, id="0")),
    "requests": (strategies.requests, fake.request, fake.request(id="0", time=FIRST)),
}
# A value for each argument of the strategies; READ has how to read it from the event, unless it has the same name.
VALUES: dict[str, Any] = {
    "action": "removed",
    "after": None,
    "at": datetime(2026, 5, 6, tzinfo=UTC),
    "attempt": 7,
    "attributes": {"odd": b"\xff"},
    "before": {"id": 1},
    "body": b"\x00body",
    "bucket": "a bucket",
    "channel": "a channel",
    "client_ip": None,
    "content_type": "text/plain",
    "cookies": {"a": "1"},
    "cron": "1 2 3 4 5",
    "data": {"sku": "A1"},
    "etag": "an etag",
    "extensions": {"xa": "1"},
    "form": {"a": "1"},
    "files": {"photo": ("cat.png", b"cat", "image/png")},
    "headers": [("x-a", "1"), ("x-a", "2")],
    "host": "example.org",
    "id": "an id",
    "input": [1],
    "is_late": True,
    "json": {"a": 1},
    "key": "a key",
    "metadata": {"a": "1"},
    "method": "PUT",
    "name": "a name",
    "params": {"id": "7"},
    "partition": "a partition",
    "principal": Principal("someone", "jwt", {}),
    "schema": "https://example.com/schema",
    "scheme": "http",
    "sequence": "5",
    "size": 5,
    "source": "a source",
    "subject": "a subject",
    "table": "a table",
    "target": "/a%20b?c=d",
    "time": datetime(2026, 5, 6, tzinfo=UTC),
    "type": "a type",
    "version": "a version",
}
READ: dict[str, Callable[[Any], Any]] = {
    "at": lambda event: event.time,
    "cookies": lambda event: dict(event.cookies.multi_items()),
    "form": lambda event: dict(event.form.multi_items()),
    "files": lambda event: {
        name: (file.filename, file.body, file.content_type) for name, file in event.form.multi_items() if file.filename
    },
    "headers": lambda event: [pair for pair in event.headers.multi_items() if pair[0] == "x-a"],
    "json": lambda event: event.json(),
    "target": lambda event: f"{event.raw_path}?{event.raw_query}",
}
KINDS = pytest.mark.parametrize("kind", PLAINEST)
fast = settings(max_examples=20, deadline=None)
search = settings(max_examples=2000, database=None, derandomize=True)


def plain(kind: str) -> SearchStrategy[Any]:
    strategy: SearchStrategy[Any] = PLAINEST[kind][0]()
    return strategy


@KINDS
def test_each_kind_shrinks_to_the_plainest_event(kind: str) -> None:
    assert PLAINEST[kind][2] == find(plain(kind), lambda _: True, settings=search)


@KINDS
def test_each_field_that_can_be_faked_has_a_strategy(kind: str) -> None:
    strategy, make, _ = PLAINEST[kind]
    assert set(inspect.signature(make).parameters) == set(inspect.signature(strategy).parameters)


@pytest.mark.parametrize(
    ("kind", "name"),
    [(kind, name) for kind, (strategy, _, _) in PLAINEST.items() for name in inspect.signature(strategy).parameters],
)
def test_a_strategy_passed_for_a_field_sets_it(kind: str, name: str) -> None:
    value = {("changes", "key"): {"id": "7"}, ("objects", "action"): "archived"}.get((kind, name), VALUES[name])
    fields = {name: st.just(value)}
    if name in ("form", "files"):
        fields["method"] = st.just("POST")

    @settings(max_examples=3, database=None)
    @given(PLAINEST[kind][0](**fields))
    def has(event: Event[Any]) -> None:
        assert value == READ.get(name, lambda event: getattr(event, name))(event)

    has()


@pytest.mark.parametrize(
    ("kind", "odd"),
    [
        ("messages", lambda message: not message.text.isascii()),
        ("messages", lambda message: message.data == ""),
        ("messages", lambda message: len(message.body) > 30_000),
        ("messages", lambda message: isinstance(message.data, float)),
        ("messages", lambda message: message.attempt is None),
        ("messages", lambda message: isinstance(message.data, dict) and any(not key.isascii() for key in message.data)),
        ("objects", lambda upload: " " in upload.key),
        ("objects", lambda upload: "+" in upload.key and "%" in upload.key),
        ("objects", lambda upload: "/" in upload.key and not upload.key.isascii()),
        ("changes", lambda change: change.action == "updated" and change.before != change.after),
        ("cloud_events", lambda event: event.time is None),
        ("cloud_events", lambda event: event.extensions),
        ("requests", lambda request: len(request.headers.get_all("x-0")) == 2),
        ("requests", lambda request: "%2F" in request.raw_path),
        ("requests", lambda request: request.content_type == "application/x-www-form-urlencoded"),
        ("requests", lambda request: request.content_type == "application/json"),
        ("requests", lambda request: b"\0" in request.body),
    ],
)
def test_odd_values_are_drawn(kind: str, odd: Callable[[Any], bool]) -> None:
    assert odd(find(plain(kind), odd, settings=settings(search, phases=[Phase.generate])))


@fast
@given(strategies.changes())
def test_before_and_after_fit_the_action(change: ChangeEvent[Any]) -> None:
    rows = {"inserted": (False, True), "updated": (True, True), "removed": (True, False)}
    assert rows[change.action] == (change.before is not None, change.after is not None)
    assert {change.key["id"]} == {row["id"] for row in (change.before, change.after) if row is not None}


@fast
@given(strategies.changes(before=st.none()))
def test_the_action_follows_from_the_passed_rows(change: ChangeEvent[Any]) -> None:
    assert "inserted" == change.action


@fast
@given(strategies.batches(min_size=2, max_size=4), strategies.batches(strategies.changes()))
def test_batches_are_of_messages_with_different_ids(
    batch: Batch[Message[Any]], changes: Batch[ChangeEvent[Any]]
) -> None:
    assert 2 <= len(batch) <= 4
    assert len(batch) == len({message.id for message in batch})
    assert {ChangeEvent} == {type(change) for change in changes}


def assert_arrives(deliver: Deliver, kind: type[Event[Any]], event: Event[Any], read: Callable[[Any], Any]) -> None:
    """Assert that a handler gets what was drawn."""
    seen: list[Any] = []

    def keep(event: Any) -> None:
        seen.append(read(event))

    keep.__annotations__["event"] = kind
    assert ["acknowledged"] == deliver(portable(keep), event).outcomes  # type: ignore[call-overload]  # of any kind
    assert [read(event)] == seen


def data(event: Any) -> Any:
    return event.data


@pytest.mark.providers("all", "aws/kinesis", "azure/service_bus_queue")
@fast
@given(message=strategies.messages())
def test_messages_arrive_unchanged(deliver: Deliver, message: Message[Any]) -> None:
    assert_arrives(deliver, Message, message, data)


@pytest.mark.providers("all")
@fast
@given(upload=strategies.objects(action=st.sampled_from(["created", "deleted"])))
def test_objects_arrive_unchanged(deliver: Deliver, upload: ObjectEvent[Any]) -> None:
    assert_arrives(deliver, ObjectEvent, upload, lambda event: (event.bucket, event.key, event.action))


@pytest.mark.providers("aws", "gcp", "azure", "asgi")
@fast
@given(change=strategies.changes(action=st.sampled_from(["inserted", "updated"])))
def test_changes_arrive_unchanged(deliver: Deliver, change: ChangeEvent[Any]) -> None:
    assert_arrives(deliver, ChangeEvent, change, data)


@pytest.mark.providers("all")
@fast
@given(tick=strategies.schedules())
def test_schedules_arrive_unchanged(deliver: Deliver, tick: ScheduleEvent[Any]) -> None:
    assert_arrives(deliver, ScheduleEvent, tick, data)


@pytest.mark.providers("all")
@fast
@given(event=strategies.cloud_events())
def test_cloud_events_arrive_unchanged(deliver: Deliver, event: CloudEvent[Any]) -> None:
    assert_arrives(deliver, CloudEvent, event, data)


@pytest.mark.providers("all")
@fast
@given(task=strategies.tasks())
def test_tasks_and_their_results_arrive_unchanged(deliver: Deliver, task: Task[Any]) -> None:
    @portable
    def echo(task: Task) -> Any:
        return task.data

    assert task.data == deliver(echo, task).result


@pytest.mark.providers("all")
@fast
@given(request_sent=strategies.requests())
def test_requests_arrive_unchanged(deliver: Deliver, request_sent: Request[Any]) -> None:
    seen: list[Any] = []

    @portable
    def keep(request: Request) -> None:
        seen.append((request.method, request.query.multi_items(), request.body))

    assert 204 == deliver(keep, request_sent).status
    assert [(request_sent.method, request_sent.query.multi_items(), request_sent.body)] == seen
