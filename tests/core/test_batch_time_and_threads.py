"""Batches near the deadline, in event loops and in threads."""

from __future__ import annotations

import asyncio
from threading import get_ident
from typing import Any

import pytest

from portable_fn import (
    Batch,
    Context,
    Message,
    Reject,
    Retry,
    on,
    portable,
)
from portable_fn.adapter.batch import Consumer
from portable_fn.adapter.binding import bindings
from portable_fn.adapter.dispatch import Dispatcher
from portable_fn.outcomes import Done
from portable_fn.testing import fake
from tests.core.batches import (
    by_key,
    calls,
    each,
    for_others,
    for_others_async,
    handled,
    ignores,
    ignores_async,
    in_loop,
    messages,
    outcomes,
    takes_batches,
    whole,
)


@pytest.fixture(autouse=True)
def _nothing_called() -> None:
    calls.clear()


# The deadline


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
        # A tenth of a second must be left. The first event is started whatever is left.
        (1000.1, [0, 0], "", ["", ""]),
        (1000.0999, [0, 0], "", ["", "the time ran short"]),
        # The time of the longest event must be left, however short the ones after it are.
        (1004.0, [2, 0, 0], "", ["", "", ""]),
        (1004.0, [2, 0.5, 0], "", ["", "", "the time ran short"]),
        (1003.0, [0.5, 1, 1, 0, 0], "", ["", "", "", "the time ran short", "the time ran short"]),
        (1005.0, [1, 0.5, 2, 0], "", ["", "", "", "the time ran short"]),
        (None, [50, 60], "", ["", ""]),
        (1001.0, [0.75, 0, 0], "abb", ["", "the time ran short", "ended"]),
    ],
)
def test_an_event_is_started_if_the_longest_so_far_would_fit(
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
    result = in_loop(consumer.handle(messages(*seconds, keys=keys), context))
    # After the first late event of a key, the rest of the key is retried for either reason.
    assert [bool(why) for why in whys] == [isinstance(one, Retry) for one in result]
    assert [why for why in whys if why != "ended"] == [
        getattr(one, "why", "") for one, why in zip(result, whys, strict=True) if why != "ended"
    ]


# Loops and threads


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
def test_without_threads_sync_functions_run_in_the_loop(
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

    def send_letter(event: Any, reject: Reject, dead_letter: str, seconds: float | None) -> bool:
        seen.append(get_ident())
        return True

    monkeypatch.setattr("sys.platform", platform)
    for functions in ((now, for_others_async), (later,)):
        assert ["reject"] == outcomes(functions, [fake.message()], dead_letter=send_letter)
    # The sync function, and the sending for the async one.
    assert [in_loop_thread] * 2 == [seen[0] == get_ident(), seen[-1] == get_ident()]


@pytest.mark.parametrize(
    ("error", "found"),
    # Python makes a RuntimeError of a StopIteration that leaves a coroutine (PEP 479).
    [(StopIteration, RuntimeError), (GeneratorExit, GeneratorExit), (KeyboardInterrupt, KeyboardInterrupt)],
)
def test_every_error_of_a_function_in_a_thread_is_an_outcome(
    error: type[BaseException], found: type[BaseException]
) -> None:
    @portable(on.queue("orders"))
    def odd(event: Message[Any]) -> None:
        raise error

    (outcome,) = handled((odd, for_others_async), messages(1))
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


def test_functions_that_are_not_async_need_no_event_loop() -> None:
    beside = portable(on.queue("orders"))(takes_batches)
    for functions, channel in (((each,), "orders"), ((whole,), "orders"), ((beside, for_others), "others")):
        result = Consumer(Dispatcher(bindings(*functions))).handle([fake.message(channel=channel)], Context())
        assert [Done()] == result


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
