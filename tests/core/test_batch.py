"""Events of a batch, handled one by one: order, duplicates, failures, dead letters and concurrency, without a provider."""

from __future__ import annotations

import asyncio
import time
from contextvars import ContextVar
from threading import get_ident
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portable_fn import (
    Batch,
    Context,
    DecodeError,
    Event,
    Message,
    Reject,
    Retry,
    on,
    portable,
)
from portable_fn.adapter.batch import Consumer
from portable_fn.adapter.binding import bindings
from portable_fn.adapter.dispatch import Dispatcher
from portable_fn.testing import fake
from tests.core.batches import (
    Order,
    by_key,
    calls,
    datas,
    each,
    each_async,
    messages,
    outcomes,
    three_at_once,
    with_dead_letter,
)


@pytest.fixture(autouse=True)
def _nothing_called() -> None:
    calls.clear()


EACH = pytest.mark.parametrize("function", [each, each_async, three_at_once])


@EACH
def test_a_failure_costs_only_itself(function: Any) -> None:
    assert ["done", "retry", "done", "retry"] == outcomes(function, messages(1, "fail", 2, "retry"))
    assert {"0", "1", "2", "3"} == set(calls)


@EACH
def test_after_a_failure_the_rest_of_its_key_is_retried_unhandled(function: Any) -> None:
    sent = messages(1, "fail", 2, 3, 4, keys="aabba")
    assert ["done", "retry", "done", "done", "retry"] == outcomes(function, sent, key=by_key)
    assert ["0", "1", "2", "3"] == sorted(calls)


@EACH
def test_within_a_key_messages_are_handled_in_order(function: Any) -> None:
    sent = messages(*range(12), keys="abcabcabcabc")
    assert ["done"] * 12 == outcomes(function, sent, key=by_key)
    for key in "abc":
        mine = [event.id for event in sent if event.key == key]
        assert mine == [one for one in calls if one in mine]


@EACH
def test_a_duplicate_is_handled_once_and_shares_the_outcome(function: Any) -> None:
    one, two = messages(1, "fail")
    assert ["done", "retry", "done", "retry"] == outcomes(function, [one, two, one, two])
    assert ["0", "1"] == sorted(calls)


@EACH
def test_the_same_id_from_another_source_is_another_message(function: Any) -> None:
    first, second = fake.message(1, id="1", source="a"), fake.message("fail", id="1", source="b")
    third = fake.message(3, id="1", source="c")
    sent = [first, second, third, first, second, third]
    assert ["done", "retry", "done"] * 2 == outcomes(function, sent)
    assert ["1", "1", "1"] == calls


@EACH
def test_an_unreadable_message_is_retried_alone(function: Any) -> None:
    assert ["done", "retry", "done"] == outcomes(function, [*messages(1), DecodeError("broken"), *messages(2, 3)[1:]])


@EACH
def test_after_an_unreadable_message_every_message_with_a_key_is_retried(function: Any) -> None:
    first, second = messages(1, 2, keys="ab")
    assert ["done", "retry", "retry"] == outcomes(function, [first, DecodeError("broken"), second], key=by_key)


@EACH
def test_every_error_is_an_outcome(function: Any) -> None:
    assert ["retry", "done"] == outcomes(function, messages("exit", 1))


@EACH
def test_a_rejected_message_without_a_destination_is_retried(function: Any) -> None:
    assert ["retry", "done"] == outcomes(function, messages("reject", 1))


@EACH
def test_a_message_that_the_provider_takes_as_rejected_stops_no_other(function: Any) -> None:
    assert ["reject", "done"] == outcomes(function, messages("reject", 1, keys="aa"), key=by_key, rejects=True)


def test_a_rejected_message_goes_to_the_dead_letters_of_its_trigger() -> None:
    sent: list[Any] = []

    def send_letter(event: Any, reject: Reject, dead_letter: str, seconds: float | None) -> bool:
        sent.append((event.id, reject.why, dead_letter))
        return True

    assert ["reject"] == outcomes(with_dead_letter, messages("reject"), dead_letter=send_letter)
    assert [("0", "told to", "dead")] == sent


@pytest.mark.parametrize(
    ("channel", "sent", "outcome"),
    [("a", ["dead-a"], "reject"), ("b", ["dead-b"], "reject"), ("c", [], "retry"), ("elsewhere", ["dead-a"], "reject")],
)
def test_a_rejected_message_goes_to_the_dead_letters_of_the_trigger_that_names_its_queue(
    channel: str, sent: list[str], outcome: str
) -> None:
    @portable(on.queue("a", dead_letter="dead-a"), on.queue("b", dead_letter="dead-b"), on.queue("c"))
    def rejects(event: Message[Any]) -> None:
        raise Reject

    went: list[str] = []

    def send_letter(event: Any, reject: Reject, dead_letter: str, seconds: float | None) -> bool:
        went.append(dead_letter)
        return True

    assert ([outcome], sent) == (outcomes(rejects, [fake.message(channel=channel)], dead_letter=send_letter), went)


def test_sending_to_the_dead_letters_holds_up_no_event_loop() -> None:
    threads: set[int] = set()

    @portable(on.queue("orders", dead_letter="dead"))
    async def rejects(event: Message[Any]) -> None:
        threads.add(get_ident())
        raise Reject("told to")

    def send_letter(event: Any, reject: Reject, dead_letter: str, seconds: float | None) -> bool:
        threads.add(get_ident())
        return True

    assert ["reject"] == outcomes(rejects, messages(1), dead_letter=send_letter)
    assert 2 == len(threads)


def test_a_rejected_message_that_cannot_be_sent_to_the_dead_letters_is_retried() -> None:
    def send_letter(event: Any, reject: Reject, dead_letter: str, seconds: float | None) -> bool:
        raise OSError("no network")

    assert ["retry"] == outcomes(with_dead_letter, messages("reject"), dead_letter=send_letter)


@portable
def slow(event: Message[Any]) -> None:
    calls.append(event.id)
    time.sleep(0.15)


@portable
async def slow_async(event: Message[Any]) -> None:
    calls.append(event.id)
    await asyncio.sleep(0.15)


@pytest.mark.parametrize("function", [slow, slow_async])
def test_messages_not_started_before_time_runs_short_are_retried(function: Any) -> None:
    result = outcomes(function, messages(*range(10)), seconds=0.6)
    begun = len(calls)
    assert 1 <= begun < 6
    assert ["done"] * begun + ["retry"] * (10 - begun) == result


def test_as_many_are_handled_at_once_as_the_function_says() -> None:
    running = highest = 0

    @portable(concurrency=3)
    async def counted(event: Message[Any]) -> None:
        nonlocal running, highest
        running += 1
        highest = max(highest, running)
        await asyncio.sleep(0.01)
        running -= 1

    assert ["done"] * 9 == outcomes(counted, messages(*range(9)))
    assert 3 == highest


def test_two_messages_of_one_key_never_run_at_once() -> None:
    running: dict[str, int] = {}

    @portable(concurrency=5)
    async def counted(event: Message[Any]) -> None:
        running[event.key or ""] = running.get(event.key or "", 0) + 1
        assert 1 == running[event.key or ""]
        await asyncio.sleep(0.005)
        running[event.key or ""] -= 1

    assert ["done"] * 12 == outcomes(counted, messages(*range(12), keys="abcabcabcabc"), key=by_key)


variable: ContextVar[str] = ContextVar("variable", default="unset")


def test_a_context_variable_set_for_one_message_is_unset_for_the_next() -> None:
    @portable
    def sets(event: Message[Any]) -> None:
        calls.append(variable.get())
        variable.set(event.id)

    @portable
    async def sets_async(event: Message[Any]) -> None:
        calls.append(variable.get())
        variable.set(event.id)

    for function in (sets, sets_async):
        outcomes(function, messages(1, 2, 3))
    assert ["unset"] * 6 == calls
    assert "unset" == variable.get()


def test_a_task_that_cancels_itself_costs_only_its_message() -> None:
    @portable
    async def cancels(event: Message[Any]) -> None:
        if event.data == "cancel":
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
            await asyncio.sleep(0)

    assert ["done", "retry", "done"] == outcomes(cancels, messages(1, "cancel", 2))


def test_the_server_can_cancel_it_all() -> None:
    @portable
    async def waits(event: Message[Any]) -> None:
        await asyncio.sleep(10)

    async def cancelled() -> None:
        result: Any = Consumer(Dispatcher(bindings(waits))).handle(messages(1, 2), Context())
        task = asyncio.ensure_future(result)
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())


@portable
def typed(event: Message[Order]) -> None:
    calls.append(event.data.sku)


def test_data_that_is_not_valid_or_cannot_be_read_is_rejected() -> None:
    sent = [
        fake.message({"sku": "lamp"}, id="1"),
        fake.message({"sku": 7}, id="2"),
        fake.message(body="{", id="3"),
        fake.message(body=b"\xff", id="4"),
    ]
    assert ["done", "reject", "reject", "reject"] == outcomes(typed, sent, rejects=True)
    assert ["lamp"] == calls


# Several functions


def test_every_function_for_a_source_gets_its_messages_and_one_failure_brings_it_back() -> None:
    @portable(on.topic("orders"))
    def first(event: Message[Any]) -> None:
        calls.append("first")
        raise LookupError

    @portable(on.topic("orders"))
    async def second(event: Message[Any]) -> None:
        calls.append("second")

    assert ["retry"] == outcomes((first, second), messages(1))
    assert ["first", "second"] == calls


@pytest.mark.parametrize("is_async", [False, True])
def test_a_batch_handler_beside_others_gets_its_own_messages(is_async: bool) -> None:
    @portable(on.queue("orders"))
    def together(batch: Batch[Message[Any]]) -> None:
        calls.append(["orders", *(event.id for event in batch)])

    @portable(on.queue("orders"))
    def copy(event: Message[Any]) -> None:
        calls.append(["copy", event.id])
        if event.data == "fail":
            raise LookupError

    async def later(event: Message[Any]) -> None:
        calls.append(["later", event.id])

    def now(event: Message[Any]) -> None:
        calls.append(["later", event.id])

    other = portable(on.queue("later"))(later if is_async else now)
    channels = ["orders", "later", "orders"]
    sent = [
        fake.message("fail" if number == 2 else 1, id=str(number), channel=channel)
        for number, channel in enumerate(channels)
    ]
    assert ["done", "done", "retry"] == outcomes((together, copy, other), sent)
    assert [["copy", "0"], ["copy", "2"], ["later", "1"], ["orders", "0", "2"]] == sorted(calls)


@given(datas, st.data())
def test_sync_async_and_concurrent_handlers_come_to_the_same_outcomes(sent: list[Any], data: st.DataObject) -> None:
    keys = data.draw(st.text("abc", min_size=len(sent), max_size=len(sent)))
    items = messages(*sent, keys=keys)
    expected = outcomes(each, items, key=by_key)
    assert expected == outcomes(each_async, items, key=by_key) == outcomes(three_at_once, items, key=by_key)
    # A retried message is the first failure of its key, or comes after it.
    for key in set(keys):
        mine = [outcome for outcome, item in zip(expected, items, strict=True) if item.key == key]
        assert mine == sorted(mine)


def test_an_event_that_no_function_takes_is_retried() -> None:
    def any_event(event: Event[Any]) -> None: ...

    assert ["retry"] == outcomes(each, [fake.schedule()])
    assert ["done"] == outcomes(portable(any_event), [fake.schedule()])


def test_a_retry_that_a_handler_raises_for_an_error_is_its_own_and_not_that_error() -> None:
    @portable
    def wrapped(event: Message[Any]) -> None:
        try:
            raise LookupError("inside")
        except LookupError as exc:
            raise Retry("outside", after=5) from exc

    @portable
    def plain(event: Message[Any]) -> None:
        raise LookupError("inside")

    consumer = Consumer(Dispatcher(bindings(wrapped)))
    (outcome,) = consumer.handle(messages(1), Context())  # type: ignore[misc]  # it isn't async
    assert ("outside", 5, None) == (outcome.why, outcome.after, outcome.error)
    (outcome,) = Consumer(Dispatcher(bindings(plain))).handle(messages(1), Context())  # type: ignore[misc]  # it isn't async
    assert "inside" == str(outcome.error)
