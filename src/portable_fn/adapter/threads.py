"""Run sync functions beside an event loop: in threads, up to 40 at once.

asyncio's own executor has 5 threads more than the machine has cores, and costs 20 to 50 µs per call; this one costs 7.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import sys
from _contextvars import copy_context
from _queue import SimpleQueue
from _thread import allocate_lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Future
    from collections.abc import Callable
    from contextvars import Context as Variables
    from threading import Thread
    from typing import Any

    # An error, or None, and a result.
    Ended = tuple[BaseException | None, Any]
    Work = tuple[AbstractEventLoop, Future[Ended], Variables, Callable[..., Any], tuple[Any, ...]]

__all__ = ["MOST", "run"]

# As many as Starlette has. https://www.starlette.io/threadpool/
MOST = 40


class _Threads:
    """The threads of this process, started on demand."""

    def __init__(self) -> None:
        self._queue: SimpleQueue[Work | None] = SimpleQueue()
        self._lock = allocate_lock()
        self._threads: list[Thread] = []
        # How many threads are idle, minus the work that waits for one.
        self._free = 0

    def put(self, work: Work) -> None:
        thread: Thread | None = None
        with self._lock:
            self._free -= 1
            if self._free < 0 and len(self._threads) < MOST:
                from threading import Thread

                # At the end of the process `finish` waits for them.
                thread = Thread(target=self._serve, name=f"portable_fn-{len(self._threads) + 1}", daemon=True)
                self._threads.append(thread)
                self._free += 1
        if thread is not None:
            try:
                thread.start()
            except RuntimeError:
                # A container may limit its processes. The other threads do the work, if there are any.
                with self._lock:
                    self._threads.remove(thread)
                    self._free -= 1
                    is_alone = not any(one.is_alive() for one in self._threads)
                    if is_alone:
                        self._free += 1
                if is_alone:
                    raise
        self._queue.put(work)

    def _serve(self) -> None:
        while (work := self._queue.get()) is not None:
            loop, future, variables, function, arguments = work
            error: BaseException | None = None
            result: Any = None
            if not future.cancelled():
                try:
                    result = variables.run(function, *arguments)
                except BaseException as exc:
                    error = exc
            with self._lock:
                self._free += 1
            try:
                loop.call_soon_threadsafe(_tell, future, (error, result))
            except RuntimeError:
                pass  # the loop is closed, so nobody waits
            del work, loop, future, variables, function, arguments, error, result

    def finish(self) -> None:
        """Wait for the running work, as asyncio's own executor does at the end of the process."""
        with self._lock:
            threads = list(self._threads)
        for _ in threads:
            self._queue.put(None)
        for thread in threads:
            thread.join()


def _tell(future: Future[Ended], ended: Ended) -> None:
    if not future.done():
        future.set_result(ended)


_threads = _Threads()


def _renew() -> None:
    global _threads
    _threads = _Threads()


@atexit.register
def _finish() -> None:
    _threads.finish()


if hasattr(os, "register_at_fork"):
    # A fork has no threads.
    os.register_at_fork(after_in_child=_renew)


async def run(function: Callable[..., Any], *arguments: Any) -> Any:
    """Return the function's result. A thread runs it with a copy of the context variables.

    If this is cancelled before a thread has started the function, the function isn't called; otherwise it goes on in its thread. A
    Worker has no threads, so the function is called at once, as by Pyodide's own executor.
    """
    if sys.platform == "emscripten":
        return copy_context().run(function, *arguments)
    loop = asyncio.get_running_loop()
    future: Future[Ended] = loop.create_future()
    _threads.put((loop, future, copy_context(), function, arguments))
    error, result = await future
    if error is None:
        return result
    try:
        raise error
    finally:
        del error
