"""Sync functions beside an event loop run in their own threads, up to 40 at once."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
import time
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import pytest

from portable_fn import Context, Message, Request, on, portable
from portable_fn.adapter import threads
from portable_fn.adapter.batch import Consumer
from portable_fn.adapter.binding import bindings
from portable_fn.adapter.dispatch import Dispatcher
from portable_fn.testing import deliver, fake

variable: ContextVar[str] = ContextVar("variable", default="unset")


def test_forty_run_at_once_and_the_next_ones_wait() -> None:
    running = highest = 0
    lock, full = threading.Lock(), threading.Event()

    def work() -> int:
        nonlocal running, highest
        with lock:
            running += 1
            highest = max(highest, running)
            if running == 40:
                full.set()
        full.wait(10)
        time.sleep(0.01)
        with lock:
            running -= 1
        return 1

    async def all_of_them() -> list[int]:
        return await asyncio.gather(*(threads.run(work) for _ in range(100)))

    assert [1] * 100 == asyncio.run(all_of_them())
    assert 40 == highest == threads.MOST


def test_only_as_many_threads_as_needed_are_started() -> None:
    before = {one.name for one in threading.enumerate()}

    async def one_after_the_other() -> set[int]:
        return {await threads.run(threading.get_ident) for _ in range(50)}

    used = asyncio.run(one_after_the_other())
    begun = {one.name for one in threading.enumerate()} - before
    assert len(begun) <= 1
    assert len(used) <= len([one for one in threading.enumerate() if one.name.startswith("portable_fn-")])


def test_they_hold_up_no_event_loop() -> None:
    async def beside() -> float:
        slow = asyncio.ensure_future(threads.run(time.sleep, 0.3))
        began = time.monotonic()
        await asyncio.sleep(0.01)
        took = time.monotonic() - began
        await slow
        return took

    assert asyncio.run(beside()) < 0.25


def test_they_have_a_copy_of_the_context_variables() -> None:
    def sets() -> str:
        before = variable.get()
        variable.set("thread")
        return before

    async def twice() -> list[str]:
        variable.set("task")
        return [await threads.run(sets), await threads.run(sets), variable.get()]

    assert ["task", "task", "task"] == asyncio.run(twice())


@pytest.mark.parametrize("error", [ValueError, SystemExit, KeyboardInterrupt, GeneratorExit, StopIteration])
def test_every_error_is_raised_and_costs_no_thread(error: type[BaseException]) -> None:
    def fails() -> None:
        raise error("here")

    async def caught() -> list[BaseException | str]:
        result: list[BaseException | str] = []
        for _ in range(45):
            try:
                await threads.run(fails)
            except BaseException as exc:
                result.append(exc)
        return [*result, await threads.run(lambda: "next")]

    *errors, last = asyncio.run(caught())
    # Python makes a RuntimeError of a StopIteration that leaves a coroutine (PEP 479).
    assert [RuntimeError if error is StopIteration else error] * 45 == [type(one) for one in errors]
    assert "next" == last


def test_a_function_cancelled_before_it_started_is_not_called() -> None:
    called: list[str] = []
    begun, go = threading.Barrier(threads.MOST + 1), threading.Event()

    def blocks() -> None:
        begun.wait(10)
        go.wait(10)

    async def cancelled() -> None:
        busy = [asyncio.ensure_future(threads.run(blocks)) for _ in range(threads.MOST)]
        await asyncio.to_thread(begun.wait, 10)
        waiting = asyncio.ensure_future(threads.run(called.append, "waiting"))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.sleep(0)
        go.set()
        await asyncio.gather(*busy)
        await threads.run(called.append, "next")

    asyncio.run(cancelled())
    assert ["next"] == called


def test_a_loop_that_is_closed_before_one_has_ended_costs_no_thread() -> None:
    go = threading.Event()

    async def leaves() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(threads.run(go.wait, 10), 0.01)

    asyncio.run(leaves())
    go.set()

    async def after() -> str:
        return await threads.run(lambda: "next")

    assert "next" == asyncio.run(after())


def run_alone(code: str) -> str:
    env = {**os.environ, "PYTHONPATH": str(Path(threads.__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=30, check=False
    )
    assert 0 == done.returncode, done.stderr
    return done.stdout


def test_the_process_ends_when_their_work_has_ended() -> None:
    code = """
import asyncio, time
from portable_fn.adapter import threads
def work():
    time.sleep(0.3)
    print("ended", flush=True)
async def leaves():
    try:
        await asyncio.wait_for(threads.run(work), 0.05)
    except TimeoutError:
        print("left", flush=True)
asyncio.run(leaves())
"""
    assert ["left", "ended"] == run_alone(code).split()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_process_has_its_own_threads() -> None:
    code = """
import asyncio, os
from portable_fn.adapter import threads
async def once():
    return await threads.run(lambda: "done")
print(asyncio.run(once()), flush=True)
if pid := os.fork():
    os.waitpid(pid, 0)
else:
    print(asyncio.run(once()), flush=True)
    os._exit(0)
"""
    assert ["done", "done"] == run_alone(code).split()


def named() -> bool:
    return threading.current_thread().name.startswith("portable_fn-")


def test_functions_middleware_and_streams_run_in_them() -> None:
    seen: list[bool] = []

    async def around(event: Any, ctx: Context, call_next: Any) -> Any:
        return await call_next(event, ctx)

    def chunks() -> Any:
        seen.append(named())
        yield b"x"

    @portable(on.http("GET", "/plain"))
    def plain(request: Request) -> Any:
        seen.append(named())
        return chunks()

    @portable(on.http("GET", "/wrapped"), use=[around])
    def wrapped(request: Request) -> str:
        seen.append(named())
        return "x"

    @portable(on.queue("orders"))
    def message(message: Message) -> None:
        seen.append(named())

    @portable(on.queue("orders"))
    async def beside(message: Message) -> None: ...

    for path in ("/plain", "/wrapped"):
        assert b"x" == deliver([plain, wrapped], fake.request("GET", path), to="asgi").body
    for functions in ((message,), (message, beside)):
        consumer = Consumer(Dispatcher(bindings(*functions)))
        asyncio.run(consumer.handle_in_loop([fake.message({})], Context()))
    assert [True] * 5 == seen
