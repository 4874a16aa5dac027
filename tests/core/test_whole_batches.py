"""Functions that take a batch as a whole: outcomes, order, windows and other functions beside them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from portable_fn import (
    Batch,
    ChangeEvent,
    Context,
    DecodeError,
    Message,
    Reject,
    on,
    portable,
)
from portable_fn.adapter.batch import Consumer
from portable_fn.adapter.binding import bindings
from portable_fn.adapter.dispatch import Dispatcher
from portable_fn.events import Window
from portable_fn.outcomes import DONE
from portable_fn.testing import fake
from tests.core.batches import (
    Order,
    by_key,
    calls,
    for_others,
    for_others_async,
    handled,
    ignores,
    ignores_async,
    in_loop,
    messages,
    outcomes,
    takes_rejects,
    whole,
    whole_async,
)


@pytest.fixture(autouse=True)
def _nothing_called() -> None:
    calls.clear()


WHOLE = pytest.mark.parametrize("function", [whole, whole_async])


@WHOLE
def test_a_batch_handler_sets_the_outcome_of_single_messages_and_the_rest_is_acknowledged(function: Any) -> None:
    assert ["done", "retry", "reject", "done"] == outcomes(function, messages(1, "retry", "reject", 2), rejects=True)
    assert ["0", "1", "2", "3"] == calls


@WHOLE
def test_a_failed_batch_is_retried_except_for_rejected_messages(function: Any) -> None:
    assert ["retry", "reject", "retry"] == outcomes(function, messages(1, "reject", "fail"), rejects=True)


@WHOLE
def test_after_a_retried_message_of_a_batch_the_rest_of_its_key_is_retried(function: Any) -> None:
    sent = messages(1, "retry", 2, 3, keys="aaab")
    assert ["done", "retry", "retry", "done"] == outcomes(function, sent, key=by_key)


@WHOLE
def test_a_batch_has_no_duplicates_and_nothing_unreadable(function: Any) -> None:
    (one,) = messages(1)
    assert ["done", "done", "retry"] == outcomes(function, [one, one, DecodeError("broken")])
    assert ["0"] == calls


def test_the_data_of_a_batch_is_validated_message_by_message() -> None:
    @portable
    def orders(batch: Batch[Message[Order]]) -> None:
        calls.extend(event.data.sku for event in batch)

    sent = [fake.message({"sku": "lamp"}, id="1"), fake.message({}, id="2"), fake.message(body="{", id="3")]
    assert ["done", "reject", "reject"] == outcomes(orders, sent, rejects=True)
    assert ["lamp"] == calls


def test_a_batch_takes_no_message_of_another() -> None:
    batch = fake.batch([1, 2])
    with pytest.raises(ValueError, match="in this batch"):
        batch.retry(fake.message(1))


# Batches with order, windows and other functions beside them


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        # An unreadable event may have any key; an event without a key waits for no other.
        ([1, None, (2, "a"), (3, None)], ["done", "retry", "retry", "done"]),
        ([(1, "a"), None, (2, "a")], ["done", "retry", "retry"]),
        # Invalid data is rejected, and retried without a destination, with the rest of its key.
        ([("x", "a"), (1, "a"), (1, "b"), ("x", None), (1, None)], ["retry", "retry", "done", "retry", "done"]),
    ],
)
@pytest.mark.parametrize("style", ["each", "later", "at once", "batch", "batch later"])
def test_a_key_stops_alike_for_every_style_of_handler(items: list[Any], expected: list[str], style: str) -> None:
    def now(event: Message[int]) -> None: ...
    async def later(event: Message[int]) -> None: ...
    def batch(events: Batch[Message[int]]) -> None: ...
    async def batch_later(events: Batch[Message[int]]) -> None: ...

    handler: Any = {"each": now, "batch": batch, "batch later": batch_later}.get(style, later)
    sent: list[Any] = []
    for number, item in enumerate(items):
        data, key = item if isinstance(item, tuple) else (item, None)
        sent.append(DecodeError("broken") if item is None else fake.message(data, id=str(number), key=key))
    function = portable(concurrency=3 if style == "at once" else 1)(handler)
    assert expected == outcomes(function, sent, key=by_key)


@pytest.mark.parametrize("beside", [(), (for_others,), (for_others_async,)])
@pytest.mark.parametrize("is_async", [False, True])
def test_a_batch_handler_gets_the_window_and_the_state_and_may_give_another(beside: Any, is_async: bool) -> None:
    window = Window(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC), is_final=True)

    def sums(batch: Batch[Message[Any]]) -> None:
        calls.append((batch.window, dict(batch.state), len(batch)))
        if batch[0].data == "new":
            batch.state = {"new": 1}
        else:
            batch.state["sum"] = batch.state.get("sum", 0) + 1

    async def sums_later(batch: Batch[Message[Any]]) -> None:
        sums(batch)

    function = portable(on.stream("orders"))(sums_later if is_async else sums)
    consumer = Consumer(Dispatcher(bindings(function, *beside)))
    state = {"sum": 1}
    for data, expected in ((1, {"sum": 2}), ("new", {"new": 1})):
        in_loop(consumer.handle(messages(data), Context(), window=window, state=state))
        assert expected == state
    assert [(window, {"sum": 1}, 1), (window, {"sum": 2}, 1)] == calls


def test_the_last_batch_of_a_window_is_delivered_even_without_events() -> None:
    @portable
    def counts(batch: Batch[Message[Any]]) -> None:
        calls.append(len(batch))

    window = Window(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC), is_final=True)
    consumer = Consumer(Dispatcher(bindings(counts)))
    for items in ([], [DecodeError("broken")]):
        assert len(items) == len(in_loop(consumer.handle(items, Context(), window=window, state={})))
    outcomes(counts, [])
    assert [0, 0] == calls


def test_outcomes_that_a_batch_handler_set_stand_when_it_rejects_the_rest() -> None:
    @portable
    def rejects(batch: Batch[Message[Any]]) -> None:
        batch.retry(batch[0], after=7, why="busy")
        raise Reject("the rest")

    first, second = handled(rejects, messages(1, 2), rejects=True)
    assert ("busy", 7, "the rest") == (first.why, first.after, second.why)
    # The rest of a retried key isn't rejected, since that would be out of order.
    assert ["retry", "retry", "reject"] == outcomes(rejects, messages(1, 2, 3, keys="aab"), key=by_key, rejects=True)


@pytest.mark.parametrize("is_async", [False, True])
def test_batch_handlers_get_their_own_messages_and_nothing_overtakes_an_unreadable_one(
    is_async: bool, caplog: pytest.LogCaptureFixture
) -> None:
    def batches(name: str) -> Any:
        def now(batch: Batch[Message[Any]]) -> None:
            calls.append((name, *(event.id for event in batch)))

        async def later(batch: Batch[Message[Any]]) -> None:
            now(batch)

        return portable(on.stream(name))(later if is_async else now)

    def sent(*channels: str) -> list[Any]:
        return [
            fake.message(number, id=str(number), channel=channel, key="k") if channel else DecodeError("broken")
            for number, channel in enumerate(channels)
        ]

    functions = (batches("a"), batches("b"))
    other = portable(on.stream("c"))(ignores_async if is_async else ignores)
    # An event that no function takes is retried, and stops no other.
    items = sent("a", "b", "a", "c", "nowhere")
    assert ["done"] * 4 + ["retry"] == outcomes((*functions, other), items)
    assert [("a", "0", "2"), ("b", "1")] == sorted(calls)
    calls.clear()
    items = sent("a", "", "b", "a", "c")
    assert ["done", "retry", "retry", "retry", "retry"] == outcomes((*functions, other), items, key=by_key)
    assert [("a", "0")] == calls
    calls.clear()
    caplog.clear()
    assert ["done", "retry", "done", "done", "done"] == outcomes((*functions, other), items)
    assert 1 == len(caplog.records)
    assert [("a", "0", "3"), ("b", "2")] == sorted(calls)


@pytest.mark.parametrize("rejecting", ["batch", "single"])
def test_a_message_rejected_by_a_batch_handler_or_another_is_rejected(rejecting: str) -> None:
    @portable(on.queue("orders"))
    def together(batch: Batch[Message[Any]]) -> None:
        if rejecting == "batch":
            batch.reject(batch[0])

    @portable(on.queue("orders"))
    def one(event: Message[Any]) -> None:
        if rejecting == "single":
            raise Reject

    assert ["reject"] == outcomes((together, one), messages(1), rejects=True)


def test_an_event_is_sent_to_its_triggers_dead_letters_or_to_any_if_its_source_is_unreadable() -> None:
    class Unreadable(Message[Any]):
        @property
        def channel(self) -> str:  # type: ignore[override]  # as an adapter reads one late
            raise DecodeError("no channel")

        @channel.setter
        def channel(self, value: str) -> None: ...

    went: list[str] = []

    def send_letter(event: Any, reject: Reject, dead_letter: str, seconds: float | None) -> bool:
        went.append(dead_letter)
        return True

    two = portable(on.queue("a", dead_letter="dead-a"), on.queue("b", dead_letter="dead-b"))(takes_rejects)
    assert ["reject"] == outcomes(two, [fake.message(channel="b")], dead_letter=send_letter)
    assert ["dead-b"] == went
    went.clear()
    binding = portable(on.queue("a"), on.queue("b", dead_letter="dead"))(takes_rejects).__portable__  # type: ignore[attr-defined]
    consumer = Consumer(Dispatcher([binding]), dead_letter=send_letter)
    event = Unreadable("m-1", "orders", b"1", channel="orders", time=None)
    (result,) = in_loop(consumer.handle([event], Context()))
    assert (Reject, ["dead"]) == (type(result), went)


@pytest.mark.parametrize("beside", [False, True], ids=["alone", "beside another function"])
def test_a_batch_has_only_messages_that_its_trigger_wants(beside: bool) -> None:
    seen: list[object] = []

    @portable(on.change("users", "removed"))
    def removed(changes: Batch[ChangeEvent[Any]]) -> None:
        seen.extend(change.id for change in changes)

    @portable(on.change("users", "inserted"))
    def inserted(change: ChangeEvent[Any]) -> None: ...

    events = [fake.change("users", after={"id": 1}, id="a"), fake.change("users", before={"id": 2}, id="b")]
    functions = [removed, inserted] if beside else [removed]
    consumer = Consumer(Dispatcher(bindings(*functions)))
    assert [DONE, DONE] == consumer.handle(events, fake.context())
    assert ["b"] == seen
