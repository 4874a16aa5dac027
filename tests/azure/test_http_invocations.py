"""Threads, context variables, streams and background work of an invocation."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import AsyncIterator, Iterator
from contextvars import ContextVar
from functools import partial
from typing import Any, cast

import azure.functions as func
import pytest

from portable_fn import Context, Message, Request, Response, on, portable
from portable_fn.testing import deliver, fake
from portable_fn_azure import entry
from portable_fn_azure.simulate import FunctionContext
from tests.azure.http_app import context, echo, native, only, received

VARIABLE: ContextVar[str] = ContextVar("VARIABLE", default="unset")


def test_context_variables_do_not_leak_into_the_threads_next_invocation() -> None:
    @portable
    def handler(request: Request) -> str:
        before = VARIABLE.get()
        VARIABLE.set("leaked")
        return before

    function = only(entry(handler))
    assert [function(req=native(), context=context()).get_body() for _ in range(2)] == [b"unset", b"unset"]


def test_a_thread_of_a_mixed_app_has_the_invocations_id_for_log_lines() -> None:
    surroundings = context()
    ids: list[str | None] = []

    @portable(on.http("GET", "/sync"))
    def sync(request: Request) -> None:
        ids.append(surroundings.thread_local_storage.invocation_id)

    @portable(on.http("GET", "/async"))
    async def other(request: Request) -> None: ...

    function = only(entry(sync, other))
    assert asyncio.run(function(req=native(path="sync"), context=surroundings)).status_code == 404
    request = native("https://e.com/api/sync", path="sync")
    assert asyncio.run(function(req=request, context=surroundings)).status_code == 204
    assert ids == [surroundings.invocation_id]


class Stop(BaseException):
    pass


@pytest.mark.parametrize(
    "error", [Stop, SystemExit, KeyboardInterrupt, GeneratorExit, StopIteration, asyncio.CancelledError]
)
def test_every_error_is_answered(error: type[BaseException]) -> None:
    @portable(on.http("GET", "/sync"))
    def sync(request: Request) -> None:
        raise error

    @portable(on.http("GET", "/async"))
    async def asynchronous(request: Request) -> None:
        raise error

    @portable(on.http("GET", "/stream"))
    def stream(request: Request) -> Iterator[bytes]:
        yield b"a"
        raise error

    for targets in ([sync, stream], [sync, asynchronous, stream]):
        for path in ("/sync", "/stream", "/async")[: len(targets)]:
            got = deliver(targets, fake.request("GET", path), to="azure")
            assert (got.status, got.headers["content-type"]) == (500, "application/problem+json"), (path, targets)


def test_a_malformed_request_is_answered() -> None:
    @portable(on.http())
    async def asynchronous(request: Request) -> None: ...

    broken: Any = object()
    assert only(entry(echo))(req=broken, context=context()).status_code == 500
    assert asyncio.run(only(entry(asynchronous))(req=broken, context=context())).status_code == 500


def test_sync_handlers_can_stream_asynchronously_and_have_background_work() -> None:
    done: list[str] = []

    @portable(on.http())
    def handler(request: Request, ctx: Context) -> Response:
        async def later() -> None:
            done.append("background")

        async def chunks() -> AsyncIterator[str]:
            yield "a"
            done.append("streamed")
            yield "b"

        ctx.background(later())
        return Response(200, (), (), chunks())

    assert received(handler).body == b"ab"
    assert done == ["streamed", "background"]


def test_background_work_is_finished_although_the_handler_fails() -> None:
    done: list[str] = []

    async def later() -> None:
        done.append("background")

    @portable(on.http("GET", "/sync"))
    def sync(request: Request, ctx: Context) -> None:
        ctx.background(later())
        raise ZeroDivisionError

    @portable(on.http("GET", "/async"))
    async def asynchronous(request: Request, ctx: Context) -> None:
        ctx.background(later())
        raise ZeroDivisionError

    for targets, path in (([sync], "/sync"), ([sync, asynchronous], "/sync"), ([sync, asynchronous], "/async")):
        assert deliver(targets, fake.request("GET", path), to="azure").status == 500
    assert done == ["background"] * 3


def test_the_worker_runs_a_sync_function_in_a_thread_although_another_is_async() -> None:
    @portable(on.http("GET", "/"))
    async def asynchronous(request: Request) -> None: ...

    @portable(on.queue("orders"))
    def ship(order: Message) -> None: ...

    shapes = {
        function.get_function_name(): function.get_user_function()
        for function in entry(asynchronous, ship).get_functions()
    }
    assert {"http": True, "ship": False} == {
        name: inspect.iscoroutinefunction(function) for name, function in shapes.items()
    }
    assert None is shapes["ship"](event=func.QueueMessage(id="1", body=b"{}"), context=context())


def test_work_of_sync_functions_runs_on_the_workers_loop_once_it_has_awaited_a_function() -> None:
    loops: list[asyncio.AbstractEventLoop] = []

    async def note() -> None:
        loops.append(asyncio.get_running_loop())

    @portable(on.http("GET", "/"))
    async def asynchronous(request: Request) -> None:
        await note()

    @portable(on.queue("orders"))
    def ship(order: Message, ctx: Context) -> None:
        ctx.background(note())

    shapes = {
        function.get_function_name(): function.get_user_function()
        for function in entry(asynchronous, ship).get_functions()
    }

    async def worker() -> None:
        loop = asyncio.get_running_loop()
        request = func.HttpRequest("GET", "https://shop.example/api/", body=b"", route_params={"path": ""})
        await shapes["http"](req=request, context=context())
        order = func.QueueMessage(id="1", body=b"{}")
        await loop.run_in_executor(None, partial(shapes["ship"], event=order, context=context()))
        assert [loop] * 2 == loops

    asyncio.run(worker())


def test_log_lines_of_streams_and_background_work_belong_to_their_invocation() -> None:
    seen: list[tuple[str, object, object]] = []
    both = threading.Barrier(2)

    @portable(on.http("GET", "/"))
    def handler(request: Request, ctx: Context) -> AsyncIterator[str]:
        storage = cast("FunctionContext", ctx.native).thread_local_storage

        async def note(where: str) -> None:
            for _ in range(3):
                seen.append((where, ctx.invocation_id, storage.invocation_id))
                await asyncio.sleep(0.001)

        async def lines() -> AsyncIterator[str]:
            # Two invocations take turns on one event loop.
            await asyncio.to_thread(both.wait, 10)
            await note("stream")
            yield "x"

        ctx.background(note("background"))
        return lines()

    function = only(entry(handler))
    storage = threading.local()
    threads = []
    for number in range(2):
        surroundings = context()
        surroundings.invocation_id = f"invocation {number}"
        surroundings.thread_local_storage = storage
        threads.append(threading.Thread(target=function, kwargs={"req": native(), "context": surroundings}))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {"stream", "background"} == {where for where, _, _ in seen}
    assert [(expected, expected) for _, expected, _ in seen] == [(expected, actual) for _, expected, actual in seen]
