"""A batch loses no messages: duplicates differ from other messages of the same id, and work goes on at the deadline."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from portable_fn import Batch, CloudEvent, Context, DecodeError, Event, Message, Retry, Task, on, portable
from portable_fn.adapter.batch import Consumer
from portable_fn.adapter.binding import bindings
from portable_fn.adapter.dispatch import Dispatcher
from portable_fn.events import decoded, join_repeated, optional
from portable_fn.trace import caller_trace

calls: list[Any] = []


@pytest.fixture(autouse=True)
def _nothing_called() -> None:
    calls.clear()


@portable
def each(event: Message[Any]) -> None:
    calls.append(event.body)


@portable
async def each_async(event: Message[Any]) -> None:
    calls.append(event.body)


@portable(concurrency=3)
async def three_at_once(event: Message[Any]) -> None:
    await asyncio.sleep(0)
    calls.append(event.body)


@portable
def whole(batch: Batch[Message[Any]]) -> None:
    calls.extend(event.body for event in batch)
    for event in batch:
        if event.body == b"fail":
            batch.retry(event)


@portable
async def whole_async(batch: Batch[Message[Any]]) -> None:
    calls.extend(event.body for event in batch)


@portable(on.queue("orders"))
def first_of_two(event: Message[Any]) -> None:
    calls.append(event.body)


@portable(on.queue("orders"))
def second_of_two(event: Message[Any]) -> None:
    pass


ONE_BY_ONE = pytest.mark.parametrize("function", [each, each_async, three_at_once, (first_of_two, second_of_two)])
EVERY = pytest.mark.parametrize(
    "function", [each, each_async, three_at_once, whole, whole_async, (first_of_two, second_of_two)]
)


def handled(function: Any, items: list[Any], *, seconds: float | None = None, key: Any = None) -> list[str]:
    targets = function if isinstance(function, tuple) else (function,)
    context = Context(deadline=None if seconds is None else time.time() + seconds)
    result: Any = Consumer(Dispatcher(bindings(*targets)), key=key).handle(items, context)
    if not isinstance(result, list):

        async def awaited() -> Any:
            return await result

        result = asyncio.run(awaited())
    assert len(items) == len(result)
    return [type(one).__name__.lower() for one in result]


def sent(body: bytes, *, id: str = "chosen", **fields: Any) -> Message[Any]:
    return Message(id, "queue", body, channel="orders", **fields)


@EVERY
def test_two_messages_to_which_the_sender_gave_one_id_are_both_handled(function: Any) -> None:
    assert ["done"] * 3 == handled(function, [sent(b"1"), sent(b"2"), sent(b"1")])
    assert {b"1", b"2"} == set(calls) and 2 == len(calls)


@EVERY
@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"sequence": "1"}, {"sequence": "2"}),
        ({"attributes": {"operation": "create"}}, {"attributes": {"operation": "delete"}}),
        ({"attributes": {"operation": None}}, {"attributes": {"operation": ""}}),
        ({"content_type": "text/plain"}, {"content_type": "application/json"}),
        ({"subject": "a"}, {"subject": "b"}),
    ],
)
def test_other_fields_than_the_body_distinguish_two_messages_of_one_id(function: Any, one: Any, other: Any) -> None:
    assert ["done"] * 4 == handled(function, [sent(b"1", **one), sent(b"1", **other)] * 2)
    assert [b"1", b"1"] == calls


@EVERY
def test_a_message_delivered_twice_is_handled_once_whatever_the_count_of_its_deliveries(function: Any) -> None:
    assert ["done", "done"] == handled(function, [sent(b"1", attempt=1), sent(b"1", attempt=2)])
    assert [b"1"] == calls


def test_each_of_several_messages_of_one_id_shares_its_first_deliverys_outcome() -> None:
    items = [sent(b"1"), sent(b"fail"), sent(b"2"), sent(b"fail"), sent(b"1"), sent(b"2")]
    assert ["done", "retry", "done", "retry", "done", "done"] == handled(whole, items)
    assert [b"1", b"fail", b"2"] == calls


class Unreadable(Message[Any]):
    """A message whose body is unreadable."""

    @decoded
    def body(self) -> bytes:
        raise ValueError("no base64")


@ONE_BY_ONE
def test_messages_of_one_id_that_cannot_be_read_are_not_taken_for_deliveries_of_one(function: Any) -> None:
    def unreadable() -> Message[Any]:
        event = object.__new__(Unreadable)
        event.id, event.source, event.channel, event.attributes = "chosen", "queue", "orders", {}
        return event

    assert ["done", "retry", "retry"] == handled(function, [sent(b"1"), unreadable(), unreadable()])
    assert [b"1"] == calls


def test_events_of_one_id_with_other_content_are_both_handled() -> None:
    seen: list[Any] = []

    @portable
    def any_event(event: Event[Any]) -> None:
        seen.append(event.data)

    one, two = (CloudEvent("chosen", "/sensor", "reading", data) for data in (b"1", b"2"))
    assert ["done"] * 3 == handled(any_event, [one, two, one])
    assert [1, 2] == seen


def test_a_first_message_of_an_id_is_read_once_however_many_others_have_its_id() -> None:
    read = 0

    class Counted(Message[Any]):
        @decoded
        def body(self) -> bytes:
            nonlocal read
            read += 1
            return b"0"

    class Made(list[Any]):
        """Items like an adapter's records, which are decoded on every access."""

        def __getitem__(self, index: Any) -> Any:
            return counted() if index == 0 else super().__getitem__(index)

    def counted() -> Message[Any]:
        event = object.__new__(Counted)
        event.id, event.source, event.channel, event.attributes = "chosen", "queue", "orders", {}
        return event

    @portable
    def ignores(event: Message[Any]) -> None:
        calls.append(event.id)

    items = Made([counted(), *(sent(b"%d" % number) for number in range(1, 50))])
    assert ["done"] * 50 == handled(ignores, items)
    assert (50, 1) == (len(calls), read)


# The deadline


@ONE_BY_ONE
@pytest.mark.parametrize("seconds", [-100, -1, 0, 0.05])
def test_the_first_message_is_started_however_little_time_is_left(function: Any, seconds: float) -> None:
    assert ["done", "retry", "retry"] == handled(
        function, [sent(b"%d" % n, id=str(n)) for n in range(3)], seconds=seconds
    )
    assert [b"0"] == calls


@ONE_BY_ONE
def test_the_first_readable_message_is_started(function: Any) -> None:
    assert ["retry", "done", "retry"] == handled(
        function, [DecodeError("broken"), sent(b"1", id="1"), sent(b"2", id="2")], seconds=-1
    )
    assert [b"1"] == calls


@ONE_BY_ONE
def test_one_log_line_counts_the_unhandled_messages_and_says_why(
    function: Any, caplog: pytest.LogCaptureFixture
) -> None:
    items = [sent(b"%d" % n, id=str(n), key="ab"[n % 2]) for n in range(6)]
    with caplog.at_level(logging.INFO):
        handled(function, items, seconds=0.05, key=lambda event: event.key)
    (line,) = caplog.records
    assert "WARNING" == line.levelname
    assert line.getMessage().startswith("5 of 6 events are returned unhandled, to be retried: 0.0")
    assert line.getMessage().endswith("s are left of the invocation's time, the next event may take 0.100 s")


@ONE_BY_ONE
def test_nothing_is_said_of_the_time_if_there_is_enough(function: Any, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        assert ["done"] * 3 == handled(function, [sent(b"%d" % n, id=str(n)) for n in range(3)], seconds=60)
    assert [] == caplog.records


def test_messages_stopped_by_a_failure_are_not_counted_as_late(
    caplog: pytest.LogCaptureFixture,
) -> None:
    @portable
    def fails(event: Message[Any]) -> None:
        raise Retry

    items = [sent(b"", id="0", key="a"), sent(b"", id="1", key="b"), sent(b"", id="2", key="c")]
    with caplog.at_level(logging.INFO):
        handled(fails, items, seconds=0.05, key=lambda event: event.key)
    assert ["2 of 3"] == [line.getMessage()[:6] for line in caplog.records if "returned" in line.getMessage()]


# Data that only logs and traces need


class Broken(Message[Any]):
    """A message whose attributes can't be read."""

    @property
    def carrier(self) -> Mapping[str, Any]:
        raise DecodeError("the attributes can't be read")


class Odd(Mapping[str, Any]):
    """Attributes of types that no provider has."""

    def __getitem__(self, name: str) -> Any:
        return [name]

    def __iter__(self) -> Iterator[str]:
        return iter(("traceparent", "tracestate", "x-correlation-id"))

    def __len__(self) -> int:
        return 3


@pytest.mark.parametrize(
    "event",
    [
        Broken("1", "queue", b""),
        Message("1", "queue", b"", attributes=Odd()),
        Message("1", "queue", b"", attributes={"x-correlation-id": None, "traceparent": None}),
        Message("1", "queue", b"", attributes={"x-correlation-id": b"\xff", "traceparent": b"\xff"}),
        Message("1", "queue", b"", attributes={"x-correlation-id": "\ud800", "traceparent": "\ud800"}),
        Task("1", "function", carrier=None),
    ],
)
def test_a_log_line_never_fails_for_an_event(event: Any, caplog: pytest.LogCaptureFixture) -> None:
    context = Context(invocation_id="i-1").of(event)
    with caplog.at_level(logging.INFO):
        context.log.info("seen")
    (line,) = caplog.records
    assert ("i-1", "i-1") == (line.__dict__["correlation_id"], line.__dict__["invocation_id"])
    assert context.trace is None


def test_a_log_line_never_fails_for_a_correlation_id_that_cannot_be_had(caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> str:
        raise LookupError

    with caplog.at_level(logging.INFO):
        Context(invocation_id="i-1", correlation_id=broken).log.info("seen")
    assert "i-1" == caplog.records[0].__dict__["correlation_id"]


def test_a_trace_state_that_is_not_text_is_left_out() -> None:
    sent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    trace = caller_trace({"traceparent": sent, "tracestate": [1]})
    assert trace is not None and (sent, "") == (trace.traceparent, trace.state)


# Attributes


@pytest.mark.parametrize(
    ("pairs", "joined"),
    [
        ([("a", "1"), ("b", None), ("c", b"\xff")], {"a": "1", "b": None, "c": b"\xff"}),
        ([("a", "1"), ("b", "2"), ("a", "3"), ("a", "")], {"a": "1, 3, ", "b": "2"}),
        ([("a", None), ("a", "1"), ("a", None)], {"a": "1"}),
        ([("a", None), ("a", None)], {"a": None}),
        ([("a", "ü"), ("a", b"\xff"), ("a", "1")], {"a": "ü".encode() + b", \xff, 1"}),
        ([("a", b"\xff"), ("a", None)], {"a": b"\xff"}),
    ],
)
def test_repeated_attributes_are_joined(pairs: Any, joined: Any) -> None:
    assert joined == join_repeated(pairs)
    assert list(joined) == list(join_repeated(pairs))


def test_unreadable_side_data_is_absent() -> None:
    class Made(Message[Any]):
        @optional
        def time(self) -> Any:
            return self.native[0]  # type: ignore[index]  # whatever a test gives

    assert isinstance(vars(Made)["time"], optional)
    for native in (None, (), object()):
        event = object.__new__(Made)
        event.native = native
        assert event.time is None and event.time is None
    event = object.__new__(Made)
    event.native = ["now"]
    assert "now" == event.time
