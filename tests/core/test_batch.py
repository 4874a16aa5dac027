"""Many messages: order, duplicates, partial failure, the deadline, concurrency and rejections, without a provider."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from datetime import UTC, datetime
from threading import get_ident
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from portable_fn import (
    Batch,
    ChangeEvent,
    Context,
    DecodeError,
    EncodeError,
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
from portable_fn.events import Window
from portable_fn.outcomes import DONE, Done
from portable_fn.testing import fake

calls: list[Any] = []


@pytest.fixture(autouse=True)
def _nothing_called() -> None:
    calls.clear()


def act(event: Message[Any]) -> None:
    calls.append(event.id)
    if event.data == "fail":
        raise LookupError("told to")
    if event.data == "retry":
        raise Retry("told to", after=5)
    if event.data == "reject":
        raise Reject("told to")
    if event.data == "exit":
        raise SystemExit


@portable
def each(event: Message[Any]) -> None:
    act(event)


@portable
async def each_async(event: Message[Any]) -> None:
    await asyncio.sleep(0)
    act(event)


@portable(concurrency=3)
async def three_at_once(event: Message[Any]) -> None:
    await asyncio.sleep(0)
    act(event)


EACH = pytest.mark.parametrize("function", [each, each_async, three_at_once])


def in_loop(found: Any) -> Any:
    """What `handle` gave, awaited where it must be."""
    if isinstance(found, list):
        return found

    async def awaited() -> Any:
        return await found

    return asyncio.run(awaited())


def settled(
    function: Any,
    items: Sequence[Any],
    *,
    key: Callable[[Any], Any] | None = None,
    seconds: float | None = None,
    **fields: Any,
) -> list[Any]:
    targets = function if isinstance(function, tuple) else (function,)
    consumer = Consumer(Dispatcher(bindings(*targets)), key=key, **fields)
    context = Context(deadline=None if seconds is None else time.time() + seconds)
    found: list[Any] = in_loop(consumer.handle(items, context))
    assert len(items) == len(found)
    return found


def outcomes(function: Any, items: Sequence[Any], **fields: Any) -> list[str]:
    """The outcomes' words: "done", "retry" or "reject"."""
    return [type(one).__name__.lower() for one in settled(function, items, **fields)]


def messages(*datas: Any, keys: str = "") -> list[Message[Any]]:
    return [fake.message(data, id=str(number), key=keys[number] if keys else None) for number, data in enumerate(datas)]


def by_key(event: Any) -> Any:
    return event.key


@EACH
def test_a_failure_costs_only_itself(function: Any) -> None:
    assert ["done", "retry", "done", "retry"] == outcomes(function, messages(1, "fail", 2, "retry"))
    assert {"0", "1", "2", "3"} == set(calls)


@EACH
def test_after_a_failure_the_rest_of_its_key_comes_again_unhandled(function: Any) -> None:
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
def test_one_that_cannot_be_read_is_retried_alone(function: Any) -> None:
    assert ["done", "retry", "done"] == outcomes(function, [*messages(1), DecodeError("broken"), *messages(2, 3)[1:]])


@EACH
def test_after_one_that_cannot_be_read_everything_with_a_key_comes_again(function: Any) -> None:
    first, second = messages(1, 2, keys="ab")
    assert ["done", "retry", "retry"] == outcomes(function, [first, DecodeError("broken"), second], key=by_key)


@EACH
def test_whatever_is_raised_is_an_outcome(function: Any) -> None:
    assert ["retry", "done"] == outcomes(function, messages("exit", 1))


@EACH
def test_a_rejected_message_is_retried_where_nobody_takes_it(function: Any) -> None:
    assert ["retry", "done"] == outcomes(function, messages("reject", 1))


@EACH
def test_a_rejected_message_stays_rejected_where_the_provider_takes_it_and_holds_up_nobody(function: Any) -> None:
    assert ["reject", "done"] == outcomes(function, messages("reject", 1, keys="aa"), key=by_key, rejects=True)


@portable(on.queue("orders", dead_letter="dead"))
def with_dead_letter(event: Message[Any]) -> None:
    act(event)


def test_a_rejected_message_goes_to_the_dead_letters_of_its_trigger() -> None:
    sent: list[Any] = []

    def settle(event: Any, reject: Reject, dead_letter: str, seconds: float | None) -> bool:
        sent.append((event.id, reject.why, dead_letter))
        return True

    assert ["reject"] == outcomes(with_dead_letter, messages("reject"), dead_letter=settle)
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

    def settle(event: Any, reject: Reject, dead_letter: str, seconds: float | None) -> bool:
        went.append(dead_letter)
        return True

    assert ([outcome], sent) == (outcomes(rejects, [fake.message(channel=channel)], dead_letter=settle), went)


def test_sending_to_the_dead_letters_holds_up_no_event_loop() -> None:
    threads: set[int] = set()

    @portable(on.queue("orders", dead_letter="dead"))
    async def rejects(event: Message[Any]) -> None:
        threads.add(get_ident())
        raise Reject("told to")

    def settle(event: Any, reject: Reject, dead_letter: str, seconds: float | None) -> bool:
        threads.add(get_ident())
        return True

    assert ["reject"] == outcomes(rejects, messages(1), dead_letter=settle)
    assert 2 == len(threads)


def test_a_rejected_message_that_cannot_be_sent_to_the_dead_letters_is_retried() -> None:
    def settle(event: Any, reject: Reject, dead_letter: str, seconds: float | None) -> bool:
        raise OSError("no network")

    assert ["retry"] == outcomes(with_dead_letter, messages("reject"), dead_letter=settle)


@portable
def slow(event: Message[Any]) -> None:
    calls.append(event.id)
    time.sleep(0.15)


@portable
async def slow_async(event: Message[Any]) -> None:
    calls.append(event.id)
    await asyncio.sleep(0.15)


@pytest.mark.parametrize("function", [slow, slow_async])
def test_messages_not_begun_when_time_runs_short_come_again(function: Any) -> None:
    found = outcomes(function, messages(*range(10)), seconds=0.6)
    begun = len(calls)
    assert 1 <= begun < 6
    assert ["done"] * begun + ["retry"] * (10 - begun) == found


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


def test_one_key_is_never_handled_twice_at_once() -> None:
    running: dict[str, int] = {}

    @portable(concurrency=5)
    async def counted(event: Message[Any]) -> None:
        running[event.key or ""] = running.get(event.key or "", 0) + 1
        assert 1 == running[event.key or ""]
        await asyncio.sleep(0.005)
        running[event.key or ""] -= 1

    assert ["done"] * 12 == outcomes(counted, messages(*range(12), keys="abcabcabcabc"), key=by_key)


variable: ContextVar[str] = ContextVar("variable", default="unset")


def test_what_one_message_sets_in_a_context_variable_the_next_does_not_see() -> None:
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
        found: Any = Consumer(Dispatcher(bindings(waits))).handle(messages(1, 2), Context())
        task = asyncio.ensure_future(found)
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())


class Order(BaseModel):
    sku: str


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


# Whole batches


@portable
def whole(batch: Batch[Message[Any]]) -> None:
    calls.extend(event.id for event in batch)
    for event in batch:
        if event.data == "retry":
            batch.retry(event, after=3)
        if event.data == "reject":
            batch.reject(event, "told to")
        if event.data == "fail":
            raise LookupError


@portable
async def whole_async(batch: Batch[Message[Any]]) -> None:
    await asyncio.sleep(0)
    whole(batch)


WHOLE = pytest.mark.parametrize("function", [whole, whole_async])


@WHOLE
def test_a_batch_handler_settles_single_messages_and_the_rest_is_done(function: Any) -> None:
    assert ["done", "retry", "reject", "done"] == outcomes(function, messages(1, "retry", "reject", 2), rejects=True)
    assert ["0", "1", "2", "3"] == calls


@WHOLE
def test_a_batch_handler_that_fails_has_all_retried_but_what_it_rejected(function: Any) -> None:
    assert ["retry", "reject", "retry"] == outcomes(function, messages(1, "reject", "fail"), rejects=True)


@WHOLE
def test_after_a_retried_message_of_a_batch_the_rest_of_its_key_comes_again(function: Any) -> None:
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
    with pytest.raises(ValueError, match="not of this batch"):
        batch.retry(fake.message(1))


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
def test_a_batch_handler_beside_others_gets_what_is_for_it(is_async: bool) -> None:
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


datas = st.lists(st.sampled_from([0, "fail", "retry", "reject"]), max_size=12)


@given(datas, st.data())
def test_sync_async_and_concurrent_handlers_come_to_the_same_outcomes(sent: list[Any], data: st.DataObject) -> None:
    keys = data.draw(st.text("abc", min_size=len(sent), max_size=len(sent)))
    items = messages(*sent, keys=keys)
    expected = outcomes(each, items, key=by_key)
    assert expected == outcomes(each_async, items, key=by_key) == outcomes(three_at_once, items, key=by_key)
    # What is retried is the first failure of its key, or after it.
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


# What a log says, and what each outcome carries


class Odd:
    """Awaitable, and nothing to close."""

    def __await__(self) -> Any:
        yield


def fell(*words: str, by: type[BaseException] | None = None) -> tuple[str, tuple[str, ...], type[BaseException] | None]:
    return "ERROR", words, by


def warned(*words: str) -> tuple[str, tuple[str, ...], None]:
    return "WARNING", words, None


UNTAKEN = warned("m-1 is retried", "rejected")


@portable(on.queue("orders", dead_letter="dead"))
async def sends_later(event: Message[Any]) -> None:
    act(event)


def cannot_send(event: Any, reject: Reject, dead_letter: str, seconds: float | None) -> bool:
    raise OSError("no network")


def sends(event: Any, reject: Reject, dead_letter: str, seconds: float | None) -> bool:
    return bool(event.id == "m-1" and dead_letter == "dead" and reject.why == "told to")


def sends_not(event: Any, reject: Reject, dead_letter: str, seconds: float | None) -> bool:
    return False


def takes_rejects(event: Message[Any]) -> None:
    if event.data == "retry":
        raise Retry
    raise Reject


def takes_batches(batch: Batch[Message[Any]]) -> None:
    takes_rejects(batch[0])


takes_rejects_each = portable(takes_rejects)
takes_whole = portable(takes_batches)


@portable
def whole_retries(batch: Batch[Message[Any]]) -> None:
    raise Retry("told to", after=5)


@portable
async def whole_rejects(batch: Batch[Message[Any]]) -> None:
    raise Reject("told to")


def ignores(event: Message[Any]) -> None: ...
async def ignores_async(event: Message[Any]) -> None: ...


for_others = portable(on.queue("others"))(ignores)
for_others_async = portable(on.queue("others"))(ignores_async)


SINGLE = (each, each_async, three_at_once)
TOLD = fell("rejects m-1", "told to")
UNNAMED = ("rejects m-1: told to; it is retried", "names no dead_letter=")
RETRIED = ("retry", "told to", 5, None)
TO_RETRY = ("retry", "rejected: told to", None, Reject)


@pytest.mark.parametrize(
    ("functions", "item", "options", "outcome", "logged"),
    [
        *((one, "retry", {}, RETRIED, [warned(one.__name__, "retries m-1", "told to")]) for one in SINGLE),
        *(
            (one, "fail", {}, ("retry", "LookupError", None, LookupError), [fell(one.__name__, "m-1", by=LookupError)])
            for one in SINGLE
        ),
        *((one, "reject", {}, TO_RETRY, [fell(one.__name__, *UNNAMED)]) for one in SINGLE),
        *((one, "reject", {"rejects": True}, ("reject", "told to", None, None), [TOLD]) for one in SINGLE),
        *(
            (
                one,
                DecodeError("broken"),
                {},
                ("retry", "DecodeError", None, DecodeError),
                [fell("read", by=DecodeError)],
            )
            for one in (*SINGLE, whole)
        ),
        (
            takes_rejects_each,
            "retry",
            {},
            ("retry", "", None, None),
            [warned("takes_rejects retries m-1", "no reason")],
        ),
        (
            takes_rejects_each,
            "x",
            {},
            ("retry", "rejected: ", None, Reject),
            [fell("m-1", "no reason", "no dead_letter=")],
        ),
        (takes_whole, "retry", {}, ("retry", "", None, None), [warned("takes_batches retries the batch", "no reason")]),
        (whole_retries, 1, {}, RETRIED, [warned("whole_retries retries the batch", "told to")]),
        (whole_rejects, 1, {}, TO_RETRY, [fell("whole_rejects", *UNNAMED)]),
        (whole_rejects, 1, {"rejects": True}, ("reject", "told to", None, None), [TOLD]),
        (whole, "fail", {}, ("retry", "LookupError", None, LookupError), [fell("whole", "batch of 1", by=LookupError)]),
        *(
            (one, "reject", {"dead_letter": sends}, ("reject", "told to", None, None), [TOLD])
            for one in (with_dead_letter, sends_later)
        ),
        *(
            (one, "reject", {"dead_letter": sends_not}, TO_RETRY, [TOLD, UNTAKEN])
            for one in (with_dead_letter, sends_later)
        ),
        *(
            (
                one,
                "reject",
                {"dead_letter": cannot_send},
                TO_RETRY,
                [TOLD, fell("m-1", "dead letters dead", by=OSError), UNTAKEN],
            )
            for one in (with_dead_letter, sends_later)
        ),
        # No dead letters are named, or nothing sends there.
        (each, "reject", {"dead_letter": sends}, TO_RETRY, [fell(*UNNAMED)]),
        (with_dead_letter, "reject", {}, TO_RETRY, [fell("rejects m-1: told to; it is retried")]),
        *(
            (
                one,
                fake.schedule(id="m-1"),
                {},
                ("retry", "DecodeError", None, DecodeError),
                [fell("m-1", by=DecodeError)],
            )
            for one in (each, each_async, whole)
        ),
    ],
)
def test_each_outcome_keeps_what_was_said_and_the_log_has_it_too(
    functions: Any,
    item: Any,
    options: dict[str, Any],
    outcome: tuple[Any, ...],
    logged: list[Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    event = item if isinstance(item, (Event, DecodeError)) else fake.message(item, id="m-1")
    (found,) = settled(functions, [event], **options)
    error = found.error
    assert outcome == (
        type(found).__name__.lower(), found.why, getattr(found, "after", None), None if error is None else type(error),
    )  # fmt: skip
    records = [
        (record.levelname, record.exc_info and record.exc_info[0], record.getMessage()) for record in caplog.records
    ]
    assert [(level, by) for level, _, by in logged] == [(level, by) for level, by, _ in records]
    for (_, words, _), (_, _, message) in zip(logged, records, strict=True):
        assert [] == [word for word in words if word not in message], message


@pytest.mark.parametrize(
    ("id", "shown"),
    [
        ("a" * 256, "a" * 256),
        ("a" * 257, ascii("a" * 256)),
        ("1\nERROR forged", r"'1\nERROR forged'"),
        ("é", "é"),
    ],
)
def test_an_id_in_the_log_is_one_line_of_at_most_256_characters(
    id: str, shown: str, caplog: pytest.LogCaptureFixture
) -> None:
    outcomes(each, [fake.message("retry", id=id)])
    assert [f"each retries {shown}: told to"] == [record.getMessage() for record in caplog.records]


async def never() -> None: ...


async def yields_later() -> Any:
    yield


@pytest.mark.parametrize(
    ("answer", "name", "takes_batch"),
    [
        (never, "coroutine", False),
        (Odd, "Odd", False),
        (yields_later, "async_generator", False),
        (yields_later, "async_generator", True),
        (lambda: (one for one in "a"), "generator", False),
        (lambda: (one for one in "a"), "generator", True),
        (never, "coroutine", None),
    ],
)
def test_work_that_nobody_would_do_is_a_failure_that_says_so(answer: Any, name: str, takes_batch: bool | None) -> None:
    work: list[Any] = []

    def one(event: Message[Any]) -> Any:
        work.append(answer())
        return work[0]

    def batch(events: Batch[Message[Any]]) -> Any:
        return one(events[0])

    async def batch_later(events: Batch[Message[Any]]) -> Any:
        return one(events[0])

    handler: Any = {True: batch, False: one, None: batch_later}[takes_batch]
    (found,) = settled(portable(handler), messages(1))
    assert ("retry", EncodeError) == (type(found).__name__.lower(), type(found.error))
    assert [] == [word for word in (name, "async def", "functools.wraps") if word not in str(found.error)]
    # It is closed, so that Python doesn't warn of work that was never awaited.
    assert getattr(work[0], "cr_frame", None) is getattr(work[0], "gi_frame", None) is None


@pytest.mark.parametrize("function", [each, each_async, three_at_once, whole, whole_async, (for_others, whole)])
def test_no_events_are_no_outcomes(function: Any) -> None:
    assert [] == outcomes(function, [])


@pytest.mark.parametrize("concurrency", [1, 2])
@pytest.mark.parametrize(
    ("results", "outcome"),
    [
        ((None, None), ("done", None)),
        (("one", None), ("done", None)),
        ((None, Reject("no")), ("reject", "no")),
        ((Reject("no"), None), ("reject", "no")),
        ((Reject("no"), Retry("again")), ("retry", "again")),
        ((Retry("again"), Reject("no")), ("retry", "again")),
        ((Retry("one"), Retry("two")), ("retry", "one")),
    ],
)
@pytest.mark.parametrize("is_async", [False, True])
def test_of_several_functions_one_that_retries_wins_over_one_that_rejects_and_that_over_the_done(
    results: tuple[Any, Any], outcome: tuple[str, Any], is_async: bool, concurrency: int
) -> None:
    def answers(result: Any) -> Any:
        def now(event: Message[Any]) -> Any:
            calls.append(event.id)
            if isinstance(result, BaseException):
                raise result
            return result

        async def later(event: Message[Any]) -> Any:
            return now(event)

        return portable(on.queue("orders"), concurrency=concurrency if is_async else 1)(later if is_async else now)

    (found,) = settled(tuple(map(answers, results)), messages(1), rejects=True)
    assert outcome == (type(found).__name__.lower(), found.result if isinstance(found, Done) else found.why)
    assert ["0", "0"] == calls


@pytest.mark.parametrize("is_async", [False, True])
def test_the_result_is_that_of_the_one_function_that_was_called(is_async: bool) -> None:
    def now(event: Message[Any]) -> Any:
        return event.data

    async def later(event: Message[Any]) -> Any:
        return event.data

    function = portable(on.queue("orders"))(later if is_async else now)
    for functions in ((function,), (function, for_others)):
        assert [Done("a"), Done()] == settled(functions, messages("a", None))


# What is seen of the deadline


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0
        self.set = 0.0

    def time(self) -> float:
        return self.now + self.set

    def monotonic(self) -> float:
        return self.now


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize(
    ("deadline", "seconds", "keys", "whys"),
    [
        # A tenth of a second must be left, and no less; the first is begun whatever is left.
        (1000.1, [0, 0], "", ["", ""]),
        (1000.0999, [0, 0], "", ["", "the time ran short"]),
        # So must what the longest one took, however short the ones after it are.
        (1004.0, [2, 0, 0], "", ["", "", ""]),
        (1004.0, [2, 0.5, 0], "", ["", "", "the time ran short"]),
        (1003.0, [0.5, 1, 1, 0, 0], "", ["", "", "", "the time ran short", "the time ran short"]),
        (1005.0, [1, 0.5, 2, 0], "", ["", "", "", "the time ran short"]),
        (None, [50, 60], "", ["", ""]),
        (1001.0, [0.75, 0, 0], "abb", ["", "the time ran short", "ended"]),
    ],
)
def test_an_event_is_begun_while_the_longest_so_far_would_fit(
    deadline: float | None,
    seconds: list[float],
    keys: str,
    whys: list[str],
    is_async: bool,
) -> None:
    clock = Clock()

    def now(event: Message[Any]) -> None:
        clock.now += event.data
        # Somebody sets the wall clock meanwhile, which changes nothing.
        clock.set += 3600

    async def later(event: Message[Any]) -> None:
        now(event)

    consumer = Consumer(Dispatcher(bindings(portable(later if is_async else now))), key=by_key)
    context = Context(deadline=deadline)
    context.clock = clock
    found = in_loop(consumer.handle(messages(*seconds, keys=keys), context))
    # After the first of a key, its rest comes again, for whichever of the two reasons.
    assert [bool(why) for why in whys] == [isinstance(one, Retry) for one in found]
    assert [why for why in whys if why != "ended"] == [
        getattr(one, "why", "") for one, why in zip(found, whys, strict=True) if why != "ended"
    ]


# Where it runs


@pytest.mark.parametrize(
    ("functions", "threads"),
    [
        ((for_others,), [False]),
        ((for_others_async,), [True]),
    ],
)
def test_in_an_event_loop_only_async_functions_run_in_its_thread(functions: Any, threads: list[bool]) -> None:
    seen: list[int] = []
    sync = functions == (for_others,)

    def now(event: Message[Any]) -> None:
        seen.append(get_ident())

    async def later(event: Message[Any]) -> None:
        seen.append(get_ident())

    first = portable(on.queue("orders"))(now if sync else later)
    second = portable(on.queue("others"))(later)

    async def handled() -> Any:
        for targets in ((first,), (first, second)):
            consumer = Consumer(Dispatcher(bindings(*targets)))
            assert [Done(), Done()] == await consumer.handle_in_loop(messages(1, 2), Context())
        return get_ident()

    loop = asyncio.run(handled())
    assert threads * 4 == [one == loop for one in seen]


@pytest.mark.parametrize(("platform", "in_loop_thread"), [("linux", False), ("emscripten", True)])
def test_where_there_are_no_threads_what_is_not_async_runs_in_the_loop(
    platform: str, in_loop_thread: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []

    @portable(on.queue("orders", dead_letter="dead"))
    def now(event: Message[Any]) -> None:
        seen.append(get_ident())
        raise Reject

    @portable(on.queue("orders", dead_letter="dead"))
    async def later(event: Message[Any]) -> None:
        raise Reject

    def settle(event: Any, reject: Reject, dead_letter: str, seconds: float | None) -> bool:
        seen.append(get_ident())
        return True

    monkeypatch.setattr("sys.platform", platform)
    for functions in ((now, for_others_async), (later,)):
        assert ["reject"] == outcomes(functions, [fake.message()], dead_letter=settle)
    # The function that isn't async, and the sending for the one that is.
    assert [in_loop_thread] * 2 == [seen[0] == get_ident(), seen[-1] == get_ident()]


@pytest.mark.parametrize(
    ("error", "found"),
    # Python makes a RuntimeError of a StopIteration that leaves a coroutine (PEP 479).
    [(StopIteration, RuntimeError), (GeneratorExit, GeneratorExit), (KeyboardInterrupt, KeyboardInterrupt)],
)
def test_whatever_a_function_in_a_thread_raises_is_an_outcome(
    error: type[BaseException], found: type[BaseException]
) -> None:
    @portable(on.queue("orders"))
    def odd(event: Message[Any]) -> None:
        raise error

    (outcome,) = settled((odd, for_others_async), messages(1))
    assert found is type(outcome.error)


def test_the_server_can_cancel_a_batch_and_one_of_several_functions() -> None:
    @portable
    async def batch(events: Batch[Message[Any]]) -> None:
        await asyncio.sleep(10)

    @portable(on.queue("orders"))
    async def one(event: Message[Any]) -> None:
        await asyncio.sleep(10)

    async def cancelled(*functions: Any) -> None:
        task = asyncio.ensure_future(Consumer(Dispatcher(bindings(*functions))).handle(messages(1), Context()))  # type: ignore[arg-type]  # they are async
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled(batch))
    asyncio.run(cancelled(one, for_others_async))


# Batches with order, windows and other functions beside them


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        # One that can't be read may be of any key; one without a key waits for nobody.
        ([1, None, (2, "a"), (3, None)], ["done", "retry", "retry", "done"]),
        ([(1, "a"), None, (2, "a")], ["done", "retry", "retry"]),
        # Data that isn't valid is rejected, and retried where nobody takes that, with the rest of its key.
        ([("x", "a"), (1, "a"), (1, "b"), ("x", None), (1, None)], ["retry", "retry", "done", "retry", "done"]),
    ],
)
@pytest.mark.parametrize("style", ["each", "later", "at once", "batch", "batch later"])
def test_what_stops_a_key_is_the_same_for_every_style_of_handler(
    items: list[Any], expected: list[str], style: str
) -> None:
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


def test_the_last_of_a_window_is_told_even_where_it_has_no_events() -> None:
    @portable
    def counts(batch: Batch[Message[Any]]) -> None:
        calls.append(len(batch))

    window = Window(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC), is_final=True)
    consumer = Consumer(Dispatcher(bindings(counts)))
    for items in ([], [DecodeError("broken")]):
        assert len(items) == len(in_loop(consumer.handle(items, Context(), window=window, state={})))
    outcomes(counts, [])
    assert [0, 0] == calls


def test_what_a_batch_settled_stands_where_it_rejects_the_rest() -> None:
    @portable
    def rejects(batch: Batch[Message[Any]]) -> None:
        batch.retry(batch[0], after=7, why="busy")
        raise Reject("the rest")

    first, second = settled(rejects, messages(1, 2), rejects=True)
    assert ("busy", 7, "the rest") == (first.why, first.after, second.why)
    # The rest of a key that comes again isn't rejected, since that would be out of order.
    assert ["retry", "retry", "reject"] == outcomes(rejects, messages(1, 2, 3, keys="aab"), key=by_key, rejects=True)


@pytest.mark.parametrize("is_async", [False, True])
def test_batch_handlers_each_get_their_own_and_nothing_overtakes_one_that_cannot_be_read(
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
    # What no function is for is retried, and holds up nobody.
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


def test_functions_that_are_not_async_need_no_event_loop() -> None:
    beside = portable(on.queue("orders"))(takes_batches)
    for functions, channel in (((each,), "orders"), ((whole,), "orders"), ((beside, for_others), "others")):
        found = Consumer(Dispatcher(bindings(*functions))).handle([fake.message(channel=channel)], Context())
        assert [Done()] == found


def test_the_most_that_any_of_the_functions_has_at_once_holds_for_all() -> None:
    running = highest = 0

    async def counted(event: Message[Any]) -> None:
        nonlocal running, highest
        running += 1
        highest = max(highest, running)
        await asyncio.sleep(0.005)
        running -= 1

    for other in (1, 3):
        highest = 0
        functions = (
            portable(on.queue("orders"), concurrency=2)(counted),
            portable(on.queue("others"), concurrency=other)(ignores_async),
        )
        assert ["done"] * 6 == outcomes(functions, messages(*range(6)))
        assert max(2, other) == highest


def test_a_function_reads_in_its_context_which_event_it_is_for() -> None:
    def reads(event: Message[Any], ctx: Context) -> None:
        calls.append(ctx.correlation_id)

    async def reads_later(event: Message[Any], ctx: Context) -> None:
        reads(event, ctx)

    def sees(event: Any, ctx: Context, call_next: Any) -> Any:
        calls.append(ctx.correlation_id)
        return call_next(event, ctx)

    sent = [fake.message(1, id=name, attributes={"x-correlation-id": name}) for name in ("one", "two")]
    around = portable(on.queue("orders"), use=[sees])(ignores)
    first, second = (portable(on.queue("orders"))(handler) for handler in (reads, reads_later))
    for functions in (
        (around,),
        (portable(reads),),
        (portable(reads_later),),
        (first, for_others),
        (second, for_others_async),
    ):
        outcomes(functions, sent)
        assert ["one", "two"] == calls
        calls.clear()


@pytest.mark.parametrize("rejecting", ["batch", "single"])
def test_what_either_a_batch_handler_or_another_rejects_is_rejected(rejecting: str) -> None:
    @portable(on.queue("orders"))
    def together(batch: Batch[Message[Any]]) -> None:
        if rejecting == "batch":
            batch.reject(batch[0])

    @portable(on.queue("orders"))
    def one(event: Message[Any]) -> None:
        if rejecting == "single":
            raise Reject

    assert ["reject"] == outcomes((together, one), messages(1), rejects=True)


def test_a_source_has_the_dead_letters_of_its_trigger_or_where_its_place_cannot_be_read_of_any() -> None:
    class Unreadable(Message[Any]):
        @property
        def channel(self) -> str:  # type: ignore[override]  # as an adapter reads one late
            raise DecodeError("no channel")

        @channel.setter
        def channel(self, value: str) -> None: ...

    went: list[str] = []

    def settle(event: Any, reject: Reject, dead_letter: str, seconds: float | None) -> bool:
        went.append(dead_letter)
        return True

    two = portable(on.queue("a", dead_letter="dead-a"), on.queue("b", dead_letter="dead-b"))(takes_rejects)
    assert ["reject"] == outcomes(two, [fake.message(channel="b")], dead_letter=settle)
    assert ["dead-b"] == went
    went.clear()
    binding = portable(on.queue("a"), on.queue("b", dead_letter="dead"))(takes_rejects).__portable__  # type: ignore[attr-defined]
    consumer = Consumer(Dispatcher([binding]), dead_letter=settle)
    event = Unreadable("m-1", "orders", b"1", channel="orders", time=None)
    (found,) = in_loop(consumer.handle([event], Context()))
    assert (Reject, ["dead"]) == (type(found), went)


@pytest.mark.parametrize("beside", [False, True], ids=["alone", "beside another function"])
def test_a_batch_has_only_what_its_trigger_wants(beside: bool) -> None:
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
