"""Run async code where the provider calls a plain function: on one event loop for the whole process.

A client, lock or queue belongs to the event loop that used it first, so it works from call to call only on one loop. A server
that awaits the entry (uvicorn, `functions-framework --asgi`, Azure's worker, workerd) has its own loop, and nothing here runs.
"""

from __future__ import annotations

import asyncio
from _thread import allocate_lock, get_ident
from asyncio import _get_running_loop
from sys import get_asyncgen_hooks, set_asyncgen_hooks

from portable_fn.adapter import stepping

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _thread import LockType
    from collections.abc import Awaitable
    from contextvars import Context as Variables
    from threading import Thread
    from typing import Any

    from portable_fn.adapter.stepping import OwnTask

__all__ = ["run", "run_in_thread", "stay_in_calling_threads"]

_NESTED = (
    "an event loop runs in this thread, which can't wait here for async code: "
    "await asyncio.to_thread(entry, …) instead, or await the portable function itself"
)

_may_start_thread = True

_lock = allocate_lock()  # guards all variables below
_loop: asyncio.AbstractEventLoop | None = None
_is_led = False  # whether a thread runs the loop, or is about to
_waiting: list[_Work] = []  # what other threads started, one of which runs the loop next
_thread: Thread | None = None
_forgotten: list[asyncio.AbstractEventLoop] = []
_checked: asyncio.AbstractEventLoop | None = None  # the last loop that can start work at once
_has_hooks = False
_ends = False


def run(awaitable: Awaitable[Any], variables: Variables) -> Any:
    """Return the awaitable's result, computed on the process's event loop with the given context variables.

    The calling thread runs the loop until the result is there. If another thread runs it already, the two share it.

    Raises:
        RuntimeError: An event loop runs in this thread, which would wait for itself for ever.
    """
    global _is_led
    if _get_running_loop() is not None:
        _close_unbegun(awaitable)
        raise RuntimeError(_NESTED)
    work = _Work(awaitable, variables)
    with _lock:
        loop = _loop if _loop is not None and not _loop.is_closed() else _new_loop()
        leads = not _is_led
        if leads:
            _is_led = True
        else:
            work.queue()
    if not leads:
        loop.call_soon_threadsafe(work.begin, loop)
        leads = work.wait()
    if leads:
        work.lead(loop)
    if work.error is not None:
        error, work.error = work.error, None  # otherwise its traceback would refer to it
        try:
            raise error
        finally:
            del error
    return work.result


def run_in_thread(awaitable: Awaitable[Any], variables: Variables) -> Any:
    """Return the awaitable's result, for servers that call from several threads.

    A separate thread runs the loop, even between calls.
    """
    if _thread is None and _may_start_thread:
        _start_thread()
    return run(awaitable, variables)


def stay_in_calling_threads() -> None:
    """Never start a thread for the loop, so that a test's handlers run in the thread of the test."""
    global _may_start_thread
    _may_start_thread = False


class _Work:
    """An awaitable until its result is there."""

    _turn: LockType  # released when the work is done, or when its thread must run the loop
    _leads = False
    _own: OwnTask | None = None
    _has_begun = _is_done = _is_at_once = False
    result: Any = None
    error: BaseException | None = None

    def __init__(self, awaitable: Awaitable[Any] | None = None, variables: Variables | None = None) -> None:
        self._awaitable = awaitable
        self._variables = variables

    def begin(self, loop: asyncio.AbstractEventLoop) -> None:
        """Start the work in the thread that runs the loop. It ends at once if it never waits."""
        if self._has_begun or self._variables is None:
            return
        self._has_begun = True
        own = stepping.entered(loop, _as_it_is)
        waited = self._variables.run(own.send, self._awaitable)
        if waited is own:
            self.error, self.result = own.take()
            own.left()
            self._end(loop)
        else:
            own.leave()
            self._own = own
            own.go_on(waited, self._variables, self._ended)

    def _ended(self, own: OwnTask) -> None:
        self.error, self.result = own.take()
        self._end(own.task.get_loop())

    def _end(self, loop: asyncio.AbstractEventLoop) -> None:
        self._is_done = True
        with _lock:
            if self in _waiting:
                _waiting.remove(self)
                self._turn.release()
                return
        if not self._is_at_once:
            # What the work started, such as tasks, must do its first step, too.
            loop.call_soon(loop.stop)

    def queue(self, *, first: bool = False) -> None:
        """Let the thread that runs the loop do the work. The caller holds `_lock`."""
        self._turn = allocate_lock()
        self._turn.acquire()
        _waiting.insert(0 if first else len(_waiting), self)

    def wait(self) -> bool:
        """Wait until the work is done. Return True if this thread must run the loop instead."""
        try:
            self._turn.acquire()
        except BaseException:
            # KeyboardInterrupt, for example: nobody waits for the work any longer.
            with _lock:
                if self in _waiting:
                    _waiting.remove(self)
            if _loop is not None:
                _loop.call_soon_threadsafe(self._cancel)
            if self._leads:
                _pass_on()
            raise
        return self._leads

    def _cancel(self) -> None:
        if self._own is not None:
            self._own.task.cancel()
        elif not self._has_begun:
            self._has_begun = True
            _close_unbegun(self._awaitable)

    def promote(self) -> None:
        """Make the waiting thread run the loop. The caller holds `_lock`."""
        self._leads = True
        self._turn.release()

    def lead(self, loop: asyncio.AbstractEventLoop) -> None:
        """Run the loop in this thread until the work is done."""
        try:
            if _can_begin_at_once(loop):
                self._begin_at_once(loop)
            else:
                loop.call_soon(self.begin, loop)
            while not self._is_done:
                _run_on(loop)
        except BaseException:
            self._cancel()
            raise
        finally:
            _pass_on()

    def _begin_at_once(self, loop: Any) -> None:
        """Start the work as the loop would, but without an iteration of the loop, which takes longer than most work.

        If the loop has anything to do then, such as the first step of a task that the work started, it does it.
        """
        hooks = get_asyncgen_hooks()
        self._is_at_once = True
        try:
            loop._thread_id = get_ident()
            asyncio._set_running_loop(loop)
            set_asyncgen_hooks(loop._asyncgen_firstiter_hook, loop._asyncgen_finalizer_hook)
            self.begin(loop)
        finally:
            set_asyncgen_hooks(*hooks)
            asyncio._set_running_loop(None)
            loop._thread_id = None
            self._is_at_once = False
        for _ in range(2):
            if self._is_done and (loop._ready or loop._scheduled or loop._stopping):
                loop.call_soon(loop.stop)
                _run_on(loop)


# The attributes of a loop that `_begin_at_once` needs. asyncio's own loops have them in Python 3.11 to 3.14.
_PARTS = ("_thread_id", "_ready", "_scheduled", "_stopping", "_asyncgen_firstiter_hook", "_asyncgen_finalizer_hook")


def _can_begin_at_once(loop: asyncio.AbstractEventLoop) -> bool:
    global _checked
    if _checked is not loop:
        _checked = loop if all(hasattr(loop, part) for part in _PARTS) else None
    return _checked is loop and not loop.get_debug()


def _as_it_is(awaitable: Any) -> Any:
    return awaitable


def _close_unbegun(awaitable: object) -> None:
    """Close a coroutine that was never started. Python would warn of it."""
    if (close := getattr(awaitable, "close", None)) is not None:
        close()


def _run_on(loop: asyncio.AbstractEventLoop) -> None:
    """Run the loop until something stops it, such as a task that is done or raises SystemExit."""
    try:
        loop.run_forever()
    except SystemExit as exc:
        loop.call_exception_handler({"message": "a task would have ended the process", "exception": exc})


def _pass_on() -> None:
    """Let another thread run the loop, if one waits for it."""
    global _is_led
    with _lock:
        if _waiting:
            _waiting.pop(0).promote()
        else:
            _is_led = False


def _new_loop() -> asyncio.AbstractEventLoop:
    global _loop, _has_hooks
    _loop = asyncio.new_event_loop()
    if not _has_hooks:
        import atexit
        import os

        _has_hooks = True
        atexit.register(_close)
        if hasattr(os, "register_at_fork"):
            # With preload, gunicorn forks its workers after it loaded the function, and a fork has no threads.
            os.register_at_fork(after_in_child=_forget)
    return _loop


def _start_thread() -> None:
    global _thread, _is_led
    import threading

    with _lock:
        if _thread is not None:
            return
        loop = _loop or _new_loop()
        turn = None
        if _is_led:
            turn = _Work()
            turn.queue(first=True)
        _is_led = True
        _thread = threading.Thread(target=_lead_for_ever, args=(loop, turn), name="portable_fn", daemon=True)
        _thread.start()


def _lead_for_ever(loop: asyncio.AbstractEventLoop, turn: _Work | None) -> None:
    if turn is not None:
        turn.wait()
    while not (_ends or loop.is_closed()):
        try:
            _run_on(loop)
        except BaseException as exc:
            loop.call_exception_handler({"message": "a task would have ended the event loop", "exception": exc})
    _pass_on()


def _forget() -> None:
    """Give the forked process its own loop."""
    global _lock, _loop, _is_led, _thread, _ends
    if _loop is not None:
        # If it were collected, it would remove its pipe from the selector that the parent process still uses.
        _forgotten.append(_loop)
    _lock, _loop, _is_led, _thread, _ends = allocate_lock(), None, False, None, False
    _waiting.clear()


def _close() -> None:
    """End what still runs on the loop, and close it, at the end of the process."""
    global _loop, _ends
    loop, _loop = _loop, None
    if loop is None or loop.is_closed():
        return
    _ends = True
    if _thread is not None:
        loop.call_soon_threadsafe(loop.stop)
        _thread.join(1)
    if loop.is_running():
        return  # by a thread that waits for nobody
    try:
        # Looked up before the loop runs here: in Python 3.14.8 a thread that runs a loop sees only the tasks that it started itself.
        loop.run_until_complete(_cancel_all(asyncio.all_tasks(loop)))
    finally:
        loop.close()


async def _cancel_all(left: set[asyncio.Task[Any]]) -> None:
    """Cancel the remaining tasks, as asyncio.run does, but don't wait for ever."""
    for task in left:
        task.cancel()
    if left:
        # A mounted application shuts down then.
        await asyncio.wait(left, timeout=3)
    await asyncio.get_running_loop().shutdown_asyncgens()
