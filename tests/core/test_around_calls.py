"""What entries and middleware do around a call: threads, streams, background work."""

from __future__ import annotations

import asyncio
import contextvars
import sys
import threading
from typing import Any

import pytest

from portable_fn import (
    Context,
    Message,
    Request,
    Response,
    on,
    portable,
)
from portable_fn.adapter.binding import Binding, bindings
from portable_fn.adapter.calling import finish_alone, finish_background
from portable_fn.adapter.pipeline import respond_in_loop
from portable_fn.adapter.routing import Router
from portable_fn.recording import make_recorder
from portable_fn.testing import fake
from tests.core.handlers import _outer, answer


def test_middleware_around_other_events_gets_the_handlers_result_unchanged() -> None:
    returned: list[Any] = []

    def sees(event: Any, ctx: Context, call_next: Any) -> Any:
        returned.append((ctx.invocation_id, call_next(event, ctx)))
        return None

    def handler(event: Message[Any], ctx: Context) -> Any:
        return {event.id: ctx.invocation_id}

    assert Binding(handler, use=[sees, sees]).call(fake.message(), Context(invocation_id="i-2")) is None
    assert [("i-2", {"message-1": "i-2"}), ("i-2", None)] == returned


class Forgets:
    def __repr__(self) -> str:
        return "<forgetful>"

    def __call__(self, event: Any, ctx: Context, call_next: Any) -> None: ...


def forgets(event: Any, ctx: Context, call_next: Any) -> None: ...


@pytest.mark.parametrize(("use", "name"), [(Forgets(), "<forgetful>"), (forgets, "forgets")])
def test_middleware_that_answers_nothing_is_named(use: Any, name: str, caplog: pytest.LogCaptureFixture) -> None:
    assert 500 == answer(fake.request(), portable(on.http(), use=[use])(lambda request: {})).status
    assert f"middleware {name} returned None" in str(caplog.records[0].exc_info[1])  # type: ignore[index]  # it is logged with it


@pytest.mark.parametrize("is_async", [False, True])
def test_middleware_around_an_async_handler_stays_in_the_event_loop(is_async: bool) -> None:
    """A Worker has no threads."""
    threads: list[int] = []

    def sees(event: Any, ctx: Context, call_next: Any) -> Any:
        threads.append(threading.get_ident())
        return call_next(event, ctx)

    async def later(request: Request) -> str:
        return "x"

    def now(request: Request) -> str:
        return "x"

    use = [_outer, sees] if is_async else [_outer, sees, _outer]
    assert b"x" == answer(fake.request(), portable(on.http(), use=use)(later if is_async else now)).body
    assert [threading.get_ident()] == threads


# What entries do around a call


def test_a_sync_stream_in_an_event_loop_runs_in_threads_with_the_handlers_variables() -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")
    threads: set[int] = set()

    @portable
    def handler(request: Request) -> Any:
        def lines() -> Any:
            threads.add(threading.get_ident())
            yield variable.get()

        variable.set("set")
        return Response(200, {}, (), lines())

    async def main() -> None:
        request = fake.request()
        response = await respond_in_loop(Router(bindings(handler)).find(request), request, Context())
        assert ["set"] == [chunk async for chunk in response.body]  # type: ignore[union-attr]  # it is a stream
        assert threading.get_ident() not in threads

    asyncio.run(main())


@pytest.mark.parametrize(
    ("platform", "where", "words"),
    [("emscripten", "somewhere", "can't record in somewhere"), ("linux", "-", "can't record: ")],
)
def test_if_recording_is_impossible_the_log_says_so_and_the_function_runs(
    platform: str, where: str, words: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("sys.platform", platform)
    monkeypatch.delattr("portable_fn.recording.recorder", raising=False)
    monkeypatch.setitem(sys.modules, "portable_fn.recording.recorder", None)
    assert make_recorder(where) is None
    assert [words] == [words for record in caplog.records if words in record.getMessage()]


def test_background_work_is_cancelled_with_the_server_and_of_itself_costs_only_itself() -> None:
    done: list[str] = []

    async def waits() -> None:
        await asyncio.sleep(10)

    async def works() -> None:
        done.append("done")

    async def cancels() -> None:
        asyncio.current_task().cancel()  # type: ignore[union-attr]  # it runs in a task
        await asyncio.sleep(0)

    async def cancelled() -> None:
        context = Context()
        context.background(waits())
        task = asyncio.ensure_future(finish_background(context))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    context = Context()
    context.background(cancels())
    context.background(works())
    finish_alone(context, asyncio.run)
    assert ["done"] == done


def test_closing_a_coroutine_outside_of_a_loop_goes_on_up() -> None:
    @portable
    async def waits(request: Request) -> None:
        await asyncio.Event().wait()

    request = fake.request()
    answering = respond_in_loop(Router(bindings(waits)).find(request), request, Context())

    async def begin() -> None:
        answering.send(None)

    asyncio.run(begin())
    answering.close()
    with pytest.raises(RuntimeError, match="reuse"):
        answering.send(None)
