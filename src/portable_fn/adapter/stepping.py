"""Run each coroutine in its own asyncio task, but build the task only for a coroutine that waits.

A task that the event loop starts, and that another one awaits, costs about 20 µs. So one task is built beforehand and stays idle. A
coroutine runs its first step at once, while the idle task is the current one. If the coroutine ends in that step, the next one uses
the same idle task, unless somebody could notice that. If the coroutine waits, the task goes on with it and ends with it.

`asyncio._enter_task` and its kin exist for this: https://docs.python.org/3/library/asyncio-extending.html
"""

from __future__ import annotations

import asyncio
import sys
from _contextvars import Context as Variables
from asyncio import tasks
from sys import getrefcount
from types import CoroutineType, coroutine
from weakref import getweakrefcount

from portable_fn.adapter.calling import is_awaitable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Future
    from collections.abc import Callable, Generator
    from typing import Any

    # A result, or an error if there is one.
    Ended = tuple[BaseException | None, Any]

# A batch takes one for itself and one for its messages.
_MOST_IDLE = 4
_NOTHING = object()


class _Task(asyncio.Task[None]):
    """A task that knows whether anybody changed it."""

    is_touched = False

    def __setattr__(self, name: str, value: object) -> None:
        super().__setattr__(name, value)
        if name != "is_touched" and name[:1] != "_":
            self.is_touched = True

    def set_name(self, value: object) -> None:
        self.is_touched = True
        super().set_name(value)

    def add_done_callback(self, fn: Any, /, *, context: Variables | None = None) -> None:
        self.is_touched = True
        super().add_done_callback(fn, context=context)

    def cancel(self, msg: Any = None) -> bool:
        self.is_touched = True
        return super().cancel(msg)


def _swapped(loop: AbstractEventLoop, task: Any) -> Any:
    """Make the task the loop's current one, or none if it is None. Return the task that was."""
    before = asyncio.current_task(loop)
    if before is not None:
        tasks._leave_task(loop, before)
    if task is not None:
        tasks._enter_task(loop, task)
    return before


# Python 3.12 and later have it.
_swap: Callable[[AbstractEventLoop, Any], Any] = getattr(tasks, "_swap_current_task", _swapped)


class OwnTask:
    """An idle task. `variables.run(own.send, what)` runs the first step of the coroutine that `call(what)` returns.

    It returns `own` if the coroutine has ended, else the future that the coroutine waits for, which `end` needs.
    """

    def __init__(self, loop: AbstractEventLoop) -> None:
        self._loop = loop
        self.call: Callable[[Any], Any] | None = None
        self.error: BaseException | None = None
        self.result: Any = None
        self._waited: Any = _NOTHING
        self._is_retired = False
        self._idle: Future[None] | None = None
        self._on_end: Callable[[OwnTask], object] | None = None
        driver: Any = self._drive()
        driver.send(None)
        self.send = driver.send
        self._throw = driver.throw
        life = self._live()
        # To its first pause, since a coroutine that hasn't started doesn't notice that it is cancelled.
        life.send(None)
        self.task = _Task(life, loop=loop, context=Variables())
        # The loop may be closed while the task is idle.
        self.task._log_destroy_pending = False  # as asyncio itself does
        self._outer: Any = None
        self._count()

    def enter(self) -> None:
        """Make it the current task, until `leave` or `left`. The task around it must not wait meanwhile."""
        self._outer = _swap(self._loop, self.task)
        self._count()

    def leave(self) -> None:
        """Leave the task, because its coroutine waits."""
        _swap(self._loop, self._outer)
        self._outer = None

    def left(self) -> None:
        """Leave the task, because its coroutine has ended. Keep the task for others if nobody changed it."""
        is_untouched = self.is_untouched()
        self.leave()
        self.call = None
        loop = self._loop
        found = _kept.get(loop)
        if found is None:
            for other in [one for one in _kept if one.is_closed()]:
                del _kept[other]
            found = _kept[loop] = []
        # A Worker's event loop does nothing between two requests, and nothing that one request started during another.
        if is_untouched and len(found) < _MOST_IDLE and sys.platform != "emscripten":
            self._count()
            found.append(self)
        else:
            self.retire()

    def is_untouched(self) -> bool:
        """Return whether nobody has changed the task since it was entered or left, and nobody refers to it."""
        task = self.task
        return (
            getrefcount(task) == self._references
            and getweakrefcount(task) == self._weak_references
            and not task.is_touched
        )

    def _count(self) -> None:
        task = self.task
        self._references, self._weak_references = getrefcount(task), getweakrefcount(task)

    def take(self) -> Ended:
        """Return the error and the result of the coroutine that has ended."""
        found = self.error, self.result
        self.error = self.result = None
        return found

    def retire(self) -> None:
        """End the idle task."""
        self._is_retired = True
        if self._idle is not None and not self._idle.done():
            self._idle.set_result(None)

    async def end(self, waited: Any, variables: Variables) -> Ended:
        """Finish the coroutine that waits. If this is cancelled, so is the coroutine."""
        done: Future[None] = self._loop.create_future()

        def tell(own: OwnTask) -> None:
            if not done.done():
                done.set_result(None)

        self.go_on(waited, variables, tell)
        try:
            await done
        except BaseException:
            self.task.cancel()
            raise
        return self.take()

    def go_on(self, waited: Any, variables: Variables, on_end: Callable[[OwnTask], object]) -> None:
        """Let the task go on with the coroutine that waits. `on_end` is called when the coroutine has ended."""
        self._waited, self._variables, self._on_end = waited, variables, on_end
        if self._idle is not None and not self._idle.done():
            self._idle.set_result(None)

    @coroutine
    def _drive(self) -> Generator[Any, Any, None]:
        """Run the first step of one coroutine after the other: receive the argument of `call`, and yield itself when one has ended."""
        what = yield self
        while True:
            work: Any = None
            try:
                work = self.call(what)  # type: ignore[misc]  # it is set
                if type(work) is CoroutineType:
                    self.result = yield from work  # type: ignore[misc]  # this is a coroutine too
                elif is_awaitable(work):
                    self.result = yield from work.__await__()
                else:
                    self.result = work
            except GeneratorExit as exc:
                if self._waited is not _NOTHING:
                    raise
                self.error = exc
            except BaseException as exc:
                self.error = exc
            what = work = None
            what = yield self
            self.result = None

    async def _live(self) -> None:
        cancelled: BaseException | None = None
        try:
            await _pause()
            if self._waited is _NOTHING and not self._is_retired:
                self._idle = self._loop.create_future()
                await self._idle
        except asyncio.CancelledError as exc:
            cancelled = exc
        if self._waited is not _NOTHING:
            await self._rest(cancelled)
            if self._on_end is not None:
                self._on_end(self)

    @coroutine
    def _rest(self, cancelled: BaseException | None) -> Generator[Any, None, None]:
        """Run the other steps of the coroutine as the task itself would, each with the coroutine's own context variables."""
        waited, run = self._waited, self._variables.run
        closes = False
        while waited is not self:
            step: Callable[[Any], Any] = self.send
            value: BaseException | None = None
            try:
                if cancelled is not None:
                    # A task that is cancelled while its coroutine runs cancels what the coroutine waits for next.
                    error, cancelled = cancelled, None
                    if not (hasattr(waited, "cancel") and waited.cancel(*error.args)):
                        raise error
                yield waited
            except BaseException as exc:
                closes = isinstance(exc, GeneratorExit)
                step, value = self._throw, exc
            try:
                waited = run(step, value)
            except BaseException as exc:
                if closes:
                    raise
                self.error = exc
                return


@coroutine
def _pause() -> Generator[None, None, None]:
    yield


_kept: dict[AbstractEventLoop, list[OwnTask]] = {}


def entered(loop: AbstractEventLoop, call: Callable[[Any], Any]) -> OwnTask:
    """Return an idle task of the running loop as the current task. It runs what `call` returns."""
    found = _kept.get(loop)
    while found:
        own = found.pop()
        if own.is_untouched():
            break
        # Somebody found it among all tasks.
        own.retire()
    else:
        own = OwnTask(loop)
    own.call = call
    own.enter()
    return own


async def run(call: Callable[[Any], Any], what: Any, variables: Variables) -> Ended:
    """Run the coroutine that `call(what)` returns in its own task, with those context variables. Return its error and result.

    If this is cancelled, so is the coroutine.
    """
    own = entered(asyncio.get_running_loop(), call)
    try:
        waited = variables.run(own.send, what)
        ended = own.take()
    except BaseException:
        own.leave()
        raise
    if waited is own:
        own.left()
        return ended
    own.leave()
    return await own.end(waited, variables)
