"""Each message, batch and request of an async handler has its own task and context variables, whether it waits or not."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import AsyncIterator, Callable
from contextvars import ContextVar
from typing import Any
from weakref import WeakKeyDictionary, ref

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from portable_fn import Batch, Context, Message, Reject, Request, Retry, Task, on, portable
from portable_fn.adapter.batch import Consumer
from portable_fn.adapter.binding import bindings
from portable_fn.adapter.dispatch import Dispatcher
from portable_fn.outcomes import Done
from portable_fn.testing import deliver, fake

seen: list[Any] = []
variable: ContextVar[str] = ContextVar("variable", default="unset")


@pytest.fixture(autouse=True)
def _nothing_seen() -> None:
    seen.clear()


def messages(count: int, *, keys: str = "") -> list[Message[Any]]:
    return [fake.message(number, id=f"m-{number}", key=keys[number] if keys else None) for number in range(count)]


def handled(function: Any, items: list[Any], **fields: Any) -> list[Any]:
    consumer = Consumer(Dispatcher(bindings(*(function if isinstance(function, tuple) else (function,)))), **fields)

    async def awaited() -> list[Any]:
        before = asyncio.current_task()
        result: list[Any] = await consumer.handle(items, Context())  # type: ignore[misc]  # the functions are async
        assert asyncio.current_task() is before
        return result

    return asyncio.run(asyncio.wait_for(awaited(), 20))


def words(function: Any, items: list[Any], **fields: Any) -> list[str]:
    return [type(one).__name__ for one in handled(function, items, **fields)]


def task() -> asyncio.Task[Any]:
    current = asyncio.current_task()
    assert current is not None
    return current


Handler = Callable[[Message[Any]], Any]


def waits(seconds: float | None) -> Any:
    """What a handler does to wait: nothing, one turn of the loop, or longer."""

    async def nothing() -> None: ...

    return nothing() if seconds is None else asyncio.sleep(seconds)


WAITS = pytest.mark.parametrize("seconds", [None, 0, 0.001], ids=["never waits", "waits a turn", "waits"])
AT_ONCE = pytest.mark.parametrize("at_once", [1, 4])


# --- the task ------------------------------------------------------------------------------------------------------------


@WAITS
@AT_ONCE
def test_the_current_task_is_a_real_one_and_the_same_all_the_time(seconds: float | None, at_once: int) -> None:
    @portable(concurrency=at_once)
    async def handler(message: Message) -> None:
        mine = task()
        assert isinstance(mine, asyncio.Task)
        assert mine in asyncio.all_tasks()
        assert mine.get_loop() is asyncio.get_running_loop()
        assert not mine.done()
        await waits(seconds)
        assert mine is task()
        seen.append(mine)

    assert ["Done"] * 6 == words(handler, messages(6))
    # A handler that keeps its task is the only one with that task.
    assert 6 == len({id(one) for one in seen})


@WAITS
@AT_ONCE
def test_a_task_that_somebody_kept_cancels_no_other_message(seconds: float | None, at_once: int) -> None:
    @portable(concurrency=at_once)
    async def handler(message: Message) -> None:
        asyncio.get_running_loop().call_soon(task().cancel) if message.id == "m-1" else None
        for _ in range(3):
            await waits(seconds)
        seen.append(message.id)

    result = words(handler, messages(6))
    assert (["Done"] * 6 if seconds is None else ["Done", "Retry", *["Done"] * 4]) == result


@WAITS
def test_a_task_that_somebody_refers_to_or_changes_is_never_reused(
    seconds: float | None,
) -> None:
    by_task: WeakKeyDictionary[Any, str] = WeakKeyDictionary()
    names = {f"order-{number}" for number in range(9)}

    @portable
    async def handler(message: Message) -> None:
        mine = task()
        assert mine not in by_task
        assert mine.get_name() not in names
        assert not hasattr(mine, "order")
        how = message.data % 3
        if how == 0:
            by_task[mine] = message.id
        elif how == 1:
            mine.set_name(f"order-{message.data}")
        else:
            mine.order = message.id  # type: ignore[attr-defined]  # as some libraries keep what belongs to a task
        await waits(seconds)

    assert ["Done"] * 9 == words(handler, messages(9))


@WAITS
@AT_ONCE
def test_callbacks_of_the_task_run_at_its_end(seconds: float | None, at_once: int) -> None:
    @portable(concurrency=at_once)
    async def handler(message: Message) -> None:
        task().add_done_callback(lambda _, id=message.id: seen.append(id))
        await waits(seconds)

    @portable
    async def last(message: Message) -> None:
        await asyncio.sleep(0.01)

    consumer = Consumer(Dispatcher(bindings(handler)))

    async def awaited() -> None:
        await consumer.handle(messages(3), Context())  # type: ignore[misc]  # the function is async
        await asyncio.sleep(0.01)

    asyncio.run(awaited())
    assert ["m-0", "m-1", "m-2"] == sorted(seen)


# --- cancelling ----------------------------------------------------------------------------------------------------------


@WAITS
@AT_ONCE
@pytest.mark.parametrize("times", [1, 3])
def test_a_handler_that_cancels_itself_costs_only_its_message_and_nothing_if_it_goes_on(
    seconds: float | None, at_once: int, times: int
) -> None:
    @portable(concurrency=at_once)
    async def handler(message: Message) -> None:
        if message.id == "m-1":
            for _ in range(times):
                task().cancel("by itself")
        assert (times if message.id == "m-1" else 0) == task().cancelling()
        await waits(seconds)
        seen.append(message.id)

    result = handled(handler, messages(4))
    if seconds is None:
        assert ["Done"] * 4 == [type(one).__name__ for one in result]
    else:
        assert ["Done", "Retry", "Done", "Done"] == [type(one).__name__ for one in result]
        assert isinstance(result[1].error, asyncio.CancelledError)
        assert ("by itself",) == result[1].error.args


def test_a_cancelled_handler_cancels_what_it_waits_for() -> None:
    @portable
    async def handler(message: Message) -> None:
        async def inner() -> None:
            try:
                await asyncio.sleep(10)
            except asyncio.CancelledError:
                seen.append("inner")
                raise

        if message.id == "m-1":
            work = asyncio.create_task(inner())
            await asyncio.sleep(0)
            task().cancel()
            await work

    assert ["Done", "Retry", "Done"] == words(handler, messages(3))
    assert ["inner"] == seen


def test_a_handler_that_swallows_its_cancelling_is_done() -> None:
    @portable
    async def handler(message: Message) -> None:
        task().cancel()
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            task().uncancel()
        await asyncio.sleep(0)
        seen.append(message.id)

    assert ["Done"] * 3 == words(handler, messages(3))
    assert ["m-0", "m-1", "m-2"] == seen


@WAITS
def test_a_cancelled_error_that_the_handler_raises_is_its_own(seconds: float | None) -> None:
    @portable
    async def handler(message: Message) -> None:
        await waits(seconds)
        if message.id == "m-1":
            raise asyncio.CancelledError("own")

    assert ["Done", "Retry", "Done"] == words(handler, messages(3))


def server_cancels(function: Any, items: list[Any], begun: asyncio.Event) -> None:
    async def server() -> None:
        consumer = Consumer(Dispatcher(bindings(function)))
        work: Any = asyncio.ensure_future(consumer.handle(items, Context()))  # type: ignore[arg-type]  # it is async
        await begun.wait()
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work
        for _ in range(3):
            await asyncio.sleep(0)

    asyncio.run(asyncio.wait_for(server(), 10))


@AT_ONCE
@pytest.mark.parametrize("whole", [False, True])
def test_the_servers_cancelling_reaches_the_handler_and_ends_the_batch(at_once: int, whole: bool) -> None:
    begun = asyncio.Event()

    async def each(message: Message) -> None:
        seen.append(message.id)
        if len(seen) == (1 if at_once == 1 else 3):
            begun.set()
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    async def batch(batch: Batch[Message]) -> None:
        await each(batch[0])
        await each(batch[0])

    if whole:
        at_once = 1
    function = portable(concurrency=1 if whole else at_once)(batch if whole else each)  # type: ignore[type-var]
    server_cancels(function, messages(3), begun)
    count = 1 if at_once == 1 else 3
    assert (count, count) == (seen.count("cancelled"), len(seen) - seen.count("cancelled"))


def test_a_handler_that_cancels_every_task_but_its_own_does_not_hang_or_lose() -> None:
    @portable(on.queue("orders"))
    async def handler(message: Message) -> None:
        if message.id == "m-1":
            for other in asyncio.all_tasks() - {task()}:
                other.cancel()
        await asyncio.sleep(0)

    for _ in range(3):
        delivery = deliver(handler, [fake.message(1, id=f"m-{n}") for n in range(3)], to="aws")
        # The task around all of it is one of them.
        assert ["retried"] * 3 == delivery.outcomes
    assert ["acknowledged"] == deliver(handler, [fake.message(1, id="m-0")], to="aws").outcomes


# --- time limits and groups ----------------------------------------------------------------------------------------------


def test_a_timeout_that_ends_inside_costs_only_its_message() -> None:
    @portable
    async def handler(message: Message) -> None:
        async with asyncio.timeout(0.01 if message.id == "m-1" else 10):
            await asyncio.sleep(0.02)

    result = handled(handler, messages(3))
    assert ["Done", "Retry", "Done"] == [type(one).__name__ for one in result]
    assert isinstance(result[1].error, TimeoutError)


def test_a_timeout_in_the_past_ends_only_a_handler_that_waits() -> None:
    @portable
    async def handler(message: Message) -> None:
        async with asyncio.timeout(-1):
            if message.id == "m-1":
                await asyncio.sleep(10)

    assert ["Done", "Retry", "Done"] == words(handler, messages(3))


@WAITS
@AT_ONCE
def test_a_timeout_that_does_not_end_changes_nothing(seconds: float | None, at_once: int) -> None:
    @portable(concurrency=at_once)
    async def handler(message: Message) -> None:
        async with asyncio.timeout(10):
            await waits(seconds)
        seen.append(task().cancelling())

    assert ["Done"] * 5 == words(handler, messages(5))
    assert [0] * 5 == seen


@AT_ONCE
def test_a_task_group_inside_waits_for_its_tasks_and_its_failure_costs_only_its_message(at_once: int) -> None:
    @portable(concurrency=at_once)
    async def handler(message: Message) -> None:
        async def part(number: int) -> None:
            await asyncio.sleep(0)
            if message.id == "m-1" and number == 1:
                raise LookupError
            seen.append((message.id, number))

        async with asyncio.TaskGroup() as group:
            for number in range(2):
                group.create_task(part(number))

    assert ["Done", "Retry", "Done"] == words(handler, messages(3))
    assert {("m-0", 0), ("m-0", 1), ("m-2", 0), ("m-2", 1)} <= set(seen)


@WAITS
def test_anyio_has_its_scopes_groups_and_threads(seconds: float | None) -> None:
    @portable
    async def handler(message: Message) -> None:
        with anyio.CancelScope() as scope:
            if message.id == "m-1":
                scope.cancel()
                await anyio.sleep(10)
        with anyio.move_on_after(0.01) as limit:
            await anyio.sleep(10 if message.id == "m-2" else 0)
        assert limit.cancelled_caught is (message.id == "m-2")
        await waits(seconds)
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.sleep, 0)
        seen.append(await anyio.to_thread.run_sync(lambda: message.id))

    assert ["Done"] * 4 == words(handler, messages(4))
    assert ["m-0", "m-1", "m-2", "m-3"] == seen


# --- context variables ---------------------------------------------------------------------------------------------------


@WAITS
@AT_ONCE
def test_context_variables_are_a_messages_own_and_inherited_from_outside(seconds: float | None, at_once: int) -> None:
    @portable(concurrency=at_once)
    async def handler(message: Message) -> None:
        before = variable.get()
        token = variable.set(message.id)
        await waits(seconds)
        seen.append((before, variable.get()))
        if message.data % 2:
            variable.reset(token)

    variable.set("outside")
    try:
        assert ["Done"] * 6 == words(handler, messages(6))
        assert "outside" == variable.get()
    finally:
        variable.set("unset")
    assert {("outside", f"m-{number}") for number in range(6)} == set(seen)


@WAITS
def test_background_tasks_inherit_them_and_go_on(seconds: float | None) -> None:
    @portable(on.queue("orders"))
    async def handler(message: Message, ctx: Context) -> None:
        async def later() -> None:
            await asyncio.sleep(0)
            seen.append(variable.get())

        variable.set(message.id)
        work = asyncio.create_task(later())
        ctx.background(later())

        async def ends() -> None:
            await work

        ctx.background(ends())
        await waits(seconds)
        variable.set("changed")

    delivery = deliver(handler, [fake.message(1, id=f"m-{n}") for n in range(2)], to="aws")
    assert ["acknowledged"] * 2 == delivery.outcomes
    # A task has a copy of the variables at its creation; the background work has the invocation's.
    assert ["m-0", "m-1"] == sorted(one for one in seen if one.startswith("m-"))


@WAITS
def test_a_task_that_the_handler_leaves_has_its_first_step_before_the_invocation_ends(seconds: float | None) -> None:
    tasks: list[Any] = []

    async def left(id: str) -> None:
        seen.append(id)

    @portable(on.queue("orders"))
    async def message(message: Message) -> None:
        tasks.append(asyncio.create_task(left("message")))
        await waits(seconds)

    @portable(on.http("GET", "/"))
    async def request(request: Request) -> None:
        tasks.append(asyncio.create_task(left("request")))
        await waits(seconds)

    deliver(message, [fake.message(1)], to="aws")
    deliver(request, fake.request(), to="aws")
    assert ["message", "request"] == seen


@pytest.mark.slow
def test_an_async_generator_that_is_left_is_closed() -> None:
    async def numbers() -> AsyncIterator[int]:
        try:
            yield 1
            yield 2
        finally:
            await asyncio.sleep(0)
            seen.append("closed")

    @portable(on.queue("orders"))
    async def handler(message: Message) -> None:
        async for number in numbers():
            seen.append(number)
            break

    for _ in range(2):
        deliver(handler, [fake.message(1)], to="aws")
        gc.collect()
    deliver(handler, [fake.message(1)], to="aws")
    gc.collect()
    assert 3 == seen.count(1)
    assert seen.count("closed") >= 2


# --- errors --------------------------------------------------------------------------------------------------------------

ERRORS = [StopIteration, StopAsyncIteration, GeneratorExit, SystemExit, KeyboardInterrupt, RecursionError, ValueError]


@WAITS
@AT_ONCE
@pytest.mark.parametrize("error", ERRORS)
def test_every_error_is_the_outcome_of_its_message(
    error: type[BaseException], seconds: float | None, at_once: int
) -> None:
    @portable(concurrency=at_once)
    async def handler(message: Message) -> None:
        await waits(seconds)
        if message.id == "m-1":
            raise error

    result = handled(handler, messages(3))
    assert ["Done", "Retry", "Done"] == [type(one).__name__ for one in result]
    # Python makes a RuntimeError of a StopIteration that leaves a coroutine (PEP 479).
    assert (RuntimeError if error is StopIteration else error) is type(result[1].error)


@pytest.mark.parametrize("error", ERRORS)
def test_an_error_before_the_coroutine_exists_is_an_outcome_too(error: type[BaseException]) -> None:
    def fails(event: Any, ctx: Any, call_next: Any) -> Any:
        if event.id == "m-1":
            raise error
        return call_next(event, ctx)

    @portable(use=[fails])
    async def handler(message: Message) -> None: ...

    result = handled(handler, messages(3))
    assert ["Done", "Retry", "Done"] == [type(one).__name__ for one in result]
    assert error is type(result[1].error)


@WAITS
def test_the_traceback_shows_the_raising_line(seconds: float | None, caplog: pytest.LogCaptureFixture) -> None:
    @portable
    async def handler(message: Message) -> None:
        await waits(seconds)
        raise ValueError("here")

    handled(handler, messages(1))
    assert "in handler" in caplog.text


def test_an_awaitable_other_than_a_coroutine_is_awaited() -> None:
    class Later:
        def __init__(self, seconds: float | None) -> None:
            self.seconds = seconds

        def __await__(self) -> Any:
            yield from waits(self.seconds).__await__()
            return "later"

    def gives(event: Any, ctx: Any, call_next: Any) -> Any:
        call_next(event, ctx).close()
        return Later(0.001 if event.data % 2 else None)

    @portable(use=[gives])
    async def handler(message: Message) -> None: ...

    # Middleware that drops the handler is an error, which shows that its own was awaited.
    result = handled(handler, messages(4))
    assert ["Done"] * 4 == [type(one).__name__ for one in result]
    assert [Done("later")] * 4 == result


# --- what is left --------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@WAITS
def test_no_message_is_kept_when_its_handler_has_ended(seconds: float | None) -> None:
    class Big:
        pass

    kept: list[ref[Big]] = []

    @portable(on.queue("orders"))
    async def handler(message: Message) -> None:
        local = Big()
        kept.append(ref(local))
        variable.set(local)  # type: ignore[arg-type]  # anything
        await waits(seconds)

    for _ in range(3):
        deliver(handler, [fake.message(1, id=f"m-{n}") for n in range(3)], to="aws")
    gc.collect()
    assert [None] * 9 == [one() for one in kept]


@WAITS
def test_idle_tasks_do_not_grow_in_number(seconds: float | None) -> None:
    @portable
    async def handler(message: Message) -> None:
        await waits(seconds)

    consumer = Consumer(Dispatcher(bindings(handler)))

    async def awaited() -> list[int]:
        counts = []
        for _ in range(20):
            await consumer.handle(messages(5), Context())  # type: ignore[misc]  # it is async
            await asyncio.sleep(0)
            counts.append(len(asyncio.all_tasks()))
        return counts

    counts = asyncio.run(awaited())
    assert max(counts) <= 4


def test_a_loop_that_is_closed_with_idle_tasks_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    @portable
    async def handler(message: Message) -> None: ...

    consumer = Consumer(Dispatcher(bindings(handler)))
    for _ in range(2):
        loop = asyncio.new_event_loop()
        result: Any = loop.run_until_complete(consumer.handle(messages(2), Context()))  # type: ignore[arg-type]  # it is async
        assert 2 == len(result)
        loop.close()
        del loop
    gc.collect()
    assert [] == caplog.records


# --- what a batch comes to -----------------------------------------------------------------------------------------------

ACTS = st.lists(
    st.tuples(st.sampled_from(["", "fail", "retry", "reject", "cancel", "exit", "timeout"]), st.sampled_from([None, 0, 0.0001])),
    max_size=8,
)  # fmt: skip


@given(ACTS, st.integers(1, 4), st.data())
def test_a_batch_comes_to_the_same_whether_its_handlers_wait_or_not(
    acts: list[tuple[str, float | None]], at_once: int, data: st.DataObject
) -> None:
    keys = data.draw(st.text("ab", min_size=len(acts), max_size=len(acts)))

    async def handler(message: Message) -> None:
        what, seconds = acts[message.data]
        seen.append(message.id)
        await waits(seconds)
        if what == "fail":
            raise LookupError
        if what == "retry":
            raise Retry("told to")
        if what == "reject":
            raise Reject("told to")
        if what == "exit":
            raise SystemExit
        if what == "cancel":
            task().cancel()
            await asyncio.sleep(0)
        if what == "timeout":
            async with asyncio.timeout(0):
                await asyncio.sleep(1)

    seen.clear()
    function = portable(concurrency=at_once)(handler)
    items = messages(len(acts), keys=keys)
    result = words(function, items, key=lambda event: event.key, rejects=True)
    stopped: set[str] = set()
    expected, begun = [], []
    for number, (what, _) in enumerate(acts):
        if keys[number] in stopped:
            expected.append("Retry")
            continue
        begun.append(f"m-{number}")
        expected.append({"": "Done", "reject": "Reject"}.get(what, "Retry"))
        if expected[-1] == "Retry":
            stopped.add(keys[number])
    assert expected == result
    assert sorted(begun) == sorted(seen)
    for key in "ab":
        mine = [f"m-{number}" for number in range(len(acts)) if keys[number] == key]
        assert [one for one in seen if one in mine] == [one for one in mine if one in seen]


@pytest.mark.parametrize("provider", ["aws", "gcp", "azure", "cloudflare", "asgi"])
@WAITS
def test_each_provider_tells_them_apart(seconds: float | None, provider: str) -> None:
    @portable(on.queue("orders"))
    async def message(message: Message) -> None:
        seen.append((variable.get(), task().cancelling()))
        variable.set(message.id)
        task().cancel() if message.data == "cancel" else None
        await waits(seconds)

    outcome = "acknowledged" if seconds is None else "retried"
    for data, expected in (("x", "acknowledged"), ("cancel", outcome), ("y", "acknowledged")):
        assert [expected] == deliver(message, [fake.message(data)], to=provider).outcomes
    assert [("unset", 0)] * 3 == seen


@WAITS
@pytest.mark.parametrize("provider", ["aws", "gcp", "azure", "cloudflare", "asgi"])
def test_requests_and_tasks_have_their_own_task_and_variables_too(seconds: float | None, provider: str) -> None:
    @portable(on.http("GET", "/"))
    async def request(request: Request) -> str:
        seen.append(variable.get())
        variable.set("request")
        async with asyncio.timeout(5):
            await waits(seconds)
        return "answer"

    @portable(on.task("work"))
    async def work(call: Task) -> str:
        seen.append(variable.get())
        variable.set("task")
        async with asyncio.timeout(5):
            await waits(seconds)
        return "result"

    for _ in range(2):
        assert b"answer" == deliver(request, fake.request(), to=provider).body
        assert "result" == deliver(work, [fake.task(name="work")], to=provider).result
    assert ["unset"] * 4 == seen


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with Python 3.12")
def test_eager_tasks_of_a_handler_start_at_once() -> None:
    @portable
    async def handler(message: Message) -> None:
        async def eager() -> None:
            seen.append(task())

        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)  # type: ignore[attr-defined,unused-ignore]
        mine = task()
        await asyncio.create_task(eager())
        assert mine is task()
        assert mine is not seen[-1]

    assert ["Done"] * 3 == words(handler, messages(3))
