"""Functions that do to their own task what nobody should, and streams that lean on theirs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextvars import ContextVar

from portable_fn import Context, Request, Response, on, portable

WHO: ContextVar[str] = ContextVar("WHO", default="nobody")


def cancel() -> None:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()


async def cancels_itself() -> None:
    cancel()
    await asyncio.sleep(0)


async def cancels_itself_and_returns() -> None:
    cancel()


async def raises_generator_exit() -> None:
    raise GeneratorExit


async def raises_cancelled() -> None:
    raise asyncio.CancelledError


ODD: dict[str, Callable[[], Awaitable[None]]] = {
    function.__name__: function
    for function in (cancels_itself, cancels_itself_and_returns, raises_generator_exit, raises_cancelled)
}


@portable(on.http("GET", "/odd/{what}"))
async def odd(request: Request) -> str:
    await ODD[request.params["what"]]()
    return "ended"


@portable(on.http("GET", "/task-that-exits"))
async def begins_a_task_that_exits(request: Request) -> str:
    async def exits() -> None:
        raise SystemExit(3)

    task = asyncio.create_task(exits())
    await asyncio.sleep(0.01)
    return type(task.exception()).__name__


@portable(on.http("GET", "/odd-background/{what}"))
async def odd_background(request: Request, ctx: Context) -> str:
    async def work() -> None:
        await ODD[request.params["what"]]()

    async def more_work() -> None:
        WORKED.append(request.params["what"])

    ctx.background(work())
    ctx.background(more_work())
    return "ended"


WORKED: list[str] = []


@portable(on.http("GET", "/worked"))
async def worked(request: Request) -> list[str]:
    return WORKED


@portable(on.http("GET", "/within-a-timeout"))
async def within_a_timeout(request: Request) -> Response:
    async def chunks() -> AsyncIterator[bytes]:
        try:
            async with asyncio.timeout(0.2):
                yield b"one,"
                await asyncio.sleep(5)
                yield b"two"
        except TimeoutError:
            yield b"timed out"

    return Response(200, (), (), chunks())


async def fails() -> None:
    await asyncio.sleep(0.1)
    raise LookupError


@portable(on.http("GET", "/within-a-task-group"))
async def within_a_task_group(request: Request) -> Response:
    async def chunks() -> AsyncIterator[bytes]:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(fails())
                yield b"one,"
                await asyncio.sleep(5)
                yield b"two"
        except ExceptionGroup:
            yield b"failed"

    return Response(200, (), (), chunks())


@portable(on.http("GET", "/variables"))
async def variables(request: Request) -> Response:
    async def chunks() -> AsyncIterator[str]:
        yield f"{before},{WHO.get()},"
        WHO.set("the stream")
        yield WHO.get()

    before = WHO.get()
    WHO.set("the handler")
    return Response(200, (), (), chunks())


@portable(on.http("GET", "/sync-variables"))
def sync_variables(request: Request) -> Response:
    def chunks() -> Iterator[str]:
        yield f"{before},{WHO.get()},"
        WHO.set("the stream")
        yield WHO.get()

    before = WHO.get()
    WHO.set("the handler")
    return Response(200, (), (), chunks())


@portable(on.http("GET", "/background-variables"))
def background_variables(request: Request, ctx: Context) -> str:
    async def work() -> None:
        WORKED.append(WHO.get())

    WHO.set("the handler")
    ctx.background(work())
    return "ended"
