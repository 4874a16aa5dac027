"""One event loop serves the whole process: `portable_fn.adapter.loop`."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextvars import ContextVar, copy_context
from typing import Any

import pytest

from portable_fn import Context, Message, Request, on, portable
from portable_fn.adapter import loop
from portable_fn.adapter.loop import run, run_in_thread
from portable_fn.testing import deliver, fake
from tests.core.loops import EVERYWHERE, done, in_a_process


class Client:
    """A client that keeps its connection, as httpx's and aiohttp's do: it works only on the loop that opened it."""

    def __init__(self, address: Any) -> None:
        self._address = address
        self._connection: Any = None
        self.opened = 0

    async def ask(self) -> bytes:
        if self._connection is None:
            self._connection = await asyncio.open_connection(*self._address)
            self.opened += 1
        reader, writer = self._connection
        writer.write(b"ping\n")
        await writer.drain()
        return bytes(await reader.readline())

    async def close(self) -> None:
        if self._connection is not None:
            self._connection[1].close()
            await self._connection[1].wait_closed()


@pytest.fixture
def client() -> Iterator[Client]:
    import socketserver

    class Echo(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            try:
                for line in self.rfile:
                    self.wfile.write(line)
            except OSError:
                pass

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Echo) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        client = Client(server.server_address)
        yield client
        done(client.close())
        server.shutdown()


# What one loop makes possible


def test_a_client_works_from_call_to_call_and_across_the_providers_of_one_test(client: Client) -> None:
    @portable(on.http("GET", "/"))
    async def ping(request: Request) -> bytes:
        return await client.ask()

    @portable(on.http("GET", "/stream"))
    def stream(request: Request) -> AsyncIterator[bytes]:
        async def lines() -> AsyncIterator[bytes]:
            yield await client.ask()

        return lines()

    @portable(on.http("GET", "/background"))
    def background(request: Request, ctx: Context) -> None:
        async def later() -> None:
            await client.ask()

        ctx.background(later())

    @portable(on.queue("orders"))
    async def ship(order: Message) -> None:
        await client.ask()

    @portable(on.queue("parcels"))
    def pack(order: Message, ctx: Context) -> None:
        async def later() -> None:
            await client.ask()

        ctx.background(later())

    for _ in range(2):
        for to in EVERYWHERE:
            assert b"ping\n" == deliver(ping, fake.request(), to=to).body
            assert b"ping\n" == deliver(stream, fake.request("GET", "/stream"), to=to).body
            answer = deliver(background, fake.request("GET", "/background"), to=to)
            assert [(True, None)] == [(work.done, work.error) for work in answer.background]
            assert ["acknowledged"] == deliver(ship, fake.message({}, channel="orders"), to=to).outcomes
            packed = deliver(pack, fake.message({}, channel="parcels"), to=to)
            assert [(True, None)] == [(work.done, work.error) for work in packed.background]
    assert 1 == client.opened


def test_locks_and_queues_of_a_module_serve_all_providers() -> None:
    lock, queue = asyncio.Lock(), asyncio.Queue[str]()

    @portable(on.http("GET", "/"))
    async def handler(request: Request) -> str:
        async def contend() -> None:
            # A lock belongs to the loop on which somebody first waits for it.
            async with lock:
                await asyncio.sleep(0)
                await queue.put("x")

        await asyncio.gather(contend(), contend())
        return await queue.get() + await asyncio.wait_for(queue.get(), 1)

    assert {"xx"} == {deliver(handler, fake.request(), to=to).text for to in EVERYWHERE for _ in range(2)}


def test_deliver_runs_a_handler_in_the_tests_own_thread() -> None:
    threads = set()

    @portable(on.http("GET", "/"))
    async def handler(request: Request) -> None:
        threads.add(threading.current_thread())

    for to in EVERYWHERE:
        assert 204 == deliver(handler, fake.request(), to=to).status
    assert {threading.current_thread()} == threads


def test_invoke_times_a_handler_on_the_loop_that_it_ran_on() -> None:
    from portable_fn.adapter.binding import bindings
    from portable_fn.cli.sending import send

    loops: list[asyncio.AbstractEventLoop] = []

    @portable(on.http("GET", "/"))
    async def handler(request: Request) -> None:
        loops.append(asyncio.get_running_loop())

    for to in EVERYWHERE:
        assert 3 == send(bindings(handler), fake.request(), to, None, 3).calls
    assert ((1 + 2 * 3) * len(EVERYWHERE), 1) == (len(loops), len(set(loops)))


def test_a_server_that_records_has_its_thread_all_the_same() -> None:
    code = """
import portable_fn.recording.recorder
from portable_fn.adapter import loop
print(loop._may_start_thread)
"""
    assert "True" == in_a_process(code)


# Which thread runs it


def test_threads_share_the_loop_and_take_turns_in_running_it() -> None:
    together = threading.Barrier(6)
    loops, threads, results = set(), set(), []

    async def work(number: int) -> int:
        loops.add(asyncio.get_running_loop())
        # All run at once, though only one thread runs the loop.
        await asyncio.to_thread(together.wait, 10)
        for _ in range(number):
            await asyncio.sleep(0.01)
            threads.add(threading.current_thread())
        return number

    started = [threading.Thread(target=lambda n=n: results.append(done(work(n)))) for n in range(1, 6)]
    for thread in started:
        thread.start()
    results.append(done(work(6)))
    for thread in started:
        thread.join()
    assert [1, 2, 3, 4, 5, 6] == sorted(results)
    assert 1 == len(loops)
    # The first to start may be the last to end; at least one other thread follows a shorter one.
    assert len(threads) >= 1


def test_a_thread_that_waits_runs_the_loop_when_the_one_before_is_done() -> None:
    begun, ran = threading.Event(), []

    async def first() -> None:
        begun.set()
        await asyncio.sleep(0.05)
        ran.append(threading.current_thread().name)

    async def second() -> str:
        await asyncio.sleep(0.2)
        ran.append(threading.current_thread().name)
        return "done"

    def follow() -> None:
        begun.wait()
        assert "done" == done(second())

    other = threading.Thread(target=follow, name="second")
    other.start()
    done(first())
    other.join()
    assert [threading.current_thread().name, "second"] == ran


def test_threads_that_race_for_the_loop_all_finish() -> None:
    async def work(number: int) -> int:
        if number % 3 == 0:
            await asyncio.sleep(0)
        if number % 5 == 0:
            await asyncio.sleep(0.0001)
        return number

    counts: list[int] = []

    def many(first: int) -> None:
        counts.append(sum(done(work(number)) for number in range(first, first + 300)))

    started = [threading.Thread(target=many, args=(first,)) for first in range(0, 2400, 300)]
    for thread in started:
        thread.start()
    for thread in started:
        thread.join(60)
    assert sum(range(2400)) == sum(counts)
    assert (False, []) == (loop._is_led, loop._waiting)


def test_a_server_has_a_thread_that_runs_the_loop_between_calls() -> None:
    code = """
import asyncio, threading, time
from contextvars import copy_context
from portable_fn.adapter.loop import run, run_in_thread
ticks = []
async def work(number):
    async def tick():
        while True:
            ticks.append(1)
            await asyncio.sleep(0.005)
    if number == 0:
        work.tick = asyncio.create_task(tick())
    await asyncio.sleep(0)
    return threading.current_thread().name
print(run(work(0), copy_context()))
before = len(ticks); time.sleep(0.1); print(len(ticks) == before)
print(run_in_thread(work(1), copy_context()))
before = len(ticks); time.sleep(0.2); print(len(ticks) > before)
print(run(work(2), copy_context()))
async def stop():
    work.tick.cancel()
run(stop(), copy_context())
"""
    assert ["MainThread", "True", "portable_fn", "True", "portable_fn"] == in_a_process(code).split()


def test_the_thread_takes_over_from_a_call_that_runs_the_loop() -> None:
    code = """
import asyncio, threading
from contextvars import copy_context
from portable_fn.adapter.loop import run, run_in_thread
begun, names = threading.Event(), []
async def long():
    begun.set()
    for _ in range(20):
        await asyncio.sleep(0.01)
    names.append(threading.current_thread().name)
async def short():
    names.append(threading.current_thread().name)
def other():
    begun.wait()
    run_in_thread(short(), copy_context())
thread = threading.Thread(target=other)
thread.start()
run(long(), copy_context())
thread.join()
run(short(), copy_context())
print(*names)
"""
    assert "MainThread MainThread portable_fn" == in_a_process(code)


def test_the_context_variables_are_the_passed_ones() -> None:
    who: ContextVar[str] = ContextVar("who", default="nobody")
    variables = copy_context()
    variables.run(who.set, "Ada")

    async def work() -> str:
        result = who.get()
        who.set("Grace")
        return result

    assert ("Ada", "Grace") == (run(work(), variables), variables[who])
    assert "nobody" == who.get()


# How work ends


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit, GeneratorExit, asyncio.CancelledError])
def test_every_error_is_raised_and_the_loop_lives_on(error: type[BaseException]) -> None:
    async def raises() -> None:
        raise error("why")

    async def returns() -> str:
        return "lives"

    for runs in (run, run_in_thread):
        with pytest.raises(error):
            runs(raises(), copy_context())
        assert "lives" == runs(returns(), copy_context())


def test_work_that_cancels_its_own_task_ends_as_it_would_alone() -> None:
    async def returns() -> str:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        return "returned"

    async def nothing() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()

    async def waits() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(1)

    assert ("returned", None) == (done(returns()), done(nothing()))
    with pytest.raises(asyncio.CancelledError):
        done(waits())


def test_work_that_another_threads_work_cancels_is_not_waited_for_for_ever() -> None:
    begun, waiting = threading.Event(), threading.Event()

    async def waits() -> None:
        waiting.set()
        await asyncio.sleep(60)

    async def cancels() -> None:
        known = asyncio.all_tasks()
        begun.set()
        await asyncio.to_thread(waiting.wait, 10)
        for other in asyncio.all_tasks() - known:
            other.cancel()

    def follow() -> BaseException | None:
        begun.wait()
        try:
            done(waits())
        except asyncio.CancelledError as exc:
            return exc
        return None

    other: list[BaseException | None] = []
    thread = threading.Thread(target=lambda: other.append(follow()))
    thread.start()
    done(cancels())
    thread.join(10)
    assert [asyncio.CancelledError] == [type(error) for error in other]
    # Whatever else it cancelled, such as an idle task, the next work runs.
    assert "next" == done(asyncio.sleep(0, "next"))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_task_that_exits_and_a_stopped_loop_end_nobodys_work(caplog: pytest.LogCaptureFixture) -> None:
    async def exits() -> None:
        raise SystemExit(3)

    async def work() -> str:
        left = asyncio.create_task(exits())
        await asyncio.sleep(0.01)
        assert isinstance(left.exception(), SystemExit)
        asyncio.get_running_loop().stop()
        await asyncio.sleep(0.01)
        return "lives"

    assert ["lives", "lives"] == [done(work()), run_in_thread(work(), copy_context())]
    assert ["a task would have ended the process"] * 2 == [record.message.strip() for record in caplog.records]


def interrupt_once(ready: Callable[[], object]) -> threading.Thread:
    """Send SIGINT, as Ctrl+C does, at the right time."""

    def interrupt() -> None:
        ends = time.monotonic() + 10
        while not ready() and time.monotonic() < ends:
            time.sleep(0.001)
        time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    return thread


async def until(event: threading.Event) -> str:
    await asyncio.to_thread(event.wait, 10)
    return "done"


def test_a_call_that_runs_the_loop_and_is_interrupted_leaves_it_to_the_others() -> None:
    ends, results = threading.Event(), list[str]()
    follower = threading.Thread(target=lambda: results.append(done(until(ends))))

    async def long() -> None:
        follower.start()
        await asyncio.sleep(10)

    interrupter = interrupt_once(lambda: loop._waiting)
    with pytest.raises(KeyboardInterrupt):
        done(long())
    ends.set()
    follower.join(10)
    interrupter.join()
    assert (["done"], False, []) == (results, loop._is_led, loop._waiting)


def test_a_call_that_waits_for_another_thread_can_be_interrupted() -> None:
    ends, results = threading.Event(), list[str]()
    leader = threading.Thread(target=lambda: results.append(done(until(ends))))
    leader.start()
    while not loop._is_led:
        time.sleep(0.001)
    interrupter = interrupt_once(lambda: loop._waiting)
    with pytest.raises(KeyboardInterrupt):
        done(asyncio.sleep(10))
    ends.set()
    leader.join(10)
    interrupter.join()
    assert (["done"], False, []) == (results, loop._is_led, loop._waiting)


def test_a_raised_error_keeps_no_frame_alive() -> None:
    import gc
    import weakref

    class Thing:
        pass

    seen: list[weakref.ref[Thing]] = []

    async def raises() -> None:
        thing = Thing()
        seen.append(weakref.ref(thing))
        raise ValueError("why")

    gc.collect()
    gc.disable()
    try:
        try:
            done(raises())
        except ValueError:
            pass
        assert [None] == [reference() for reference in seen]
    finally:
        gc.enable()


# Processes


def test_a_forked_process_has_its_own_loop() -> None:
    code = """
import asyncio, os, sys
from contextvars import copy_context
from portable_fn.adapter.loop import run, run_in_thread
async def which():
    await asyncio.sleep(0.001)
    return asyncio.get_running_loop()
for runs in (run, run_in_thread):
    before = runs(which(), copy_context())
    child = os.fork()
    if child == 0:
        own = runs(which(), copy_context())
        again = runs(which(), copy_context())
        import gc
        gc.collect()
        os._exit(0 if own is again and own is not before else 1)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    # Nobody has closed what the parent's loop waits by.
    async def woken():
        return await asyncio.to_thread(lambda: "woken")
    print(runs(woken(), copy_context()), runs(which(), copy_context()) is before)
"""
    assert ["0", "woken", "True"] * 2 == in_a_process(code, PYTHONWARNINGS="ignore::DeprecationWarning").split()


@pytest.mark.slow
@pytest.mark.parametrize("runs", ["run", "run_in_thread"])
def test_remaining_work_ends_and_the_loop_is_closed_at_the_end_of_the_process(runs: str) -> None:
    code = f"""
import asyncio
from contextvars import copy_context
from portable_fn.adapter.loop import {runs}
left = []
async def stays():
    try:
        await asyncio.sleep(100)
    finally:
        print("cleaned up")
async def numbers():
    try:
        yield 1
    finally:
        print("closed")
async def work():
    left.append(asyncio.create_task(stays()))
    left.append(numbers())
    await anext(left[1])
    await asyncio.to_thread(int)
{runs}(work(), copy_context())
print("done")
"""
    assert ["done", "cleaned up", "closed"] == in_a_process(code).splitlines()


@pytest.mark.slow
def test_a_task_that_refuses_to_end_does_not_keep_the_process() -> None:
    code = """
import asyncio, logging
from contextvars import copy_context
from portable_fn.adapter.loop import run
logging.disable()
async def refuses():
    while True:
        try:
            await asyncio.sleep(100)
        except asyncio.CancelledError:
            pass
async def work():
    work.task = asyncio.create_task(refuses())
    await asyncio.sleep(0)
run(work(), copy_context())
print("done")
"""
    began = time.monotonic()
    assert "done" == in_a_process(code)
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("provider", ["aws", "gcp"])
def test_sync_functions_load_no_event_loop(provider: str) -> None:
    code = f"""
import sys
from portable_fn import Request, on, portable
from portable_fn_{provider} import entry
@portable(on.http("GET", "/"))
def hello(request: Request) -> str:
    return "hello"
entry(hello)
print([name for name in ("asyncio", "portable_fn.adapter.loop") if name in sys.modules])
"""
    assert "[]" == in_a_process(code)
