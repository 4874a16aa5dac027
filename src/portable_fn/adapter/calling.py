"""Call a handler: middleware around it, sync or async, its background work after it."""

from __future__ import annotations

import sys

from portable_fn.errors import EncodeError
from portable_fn.http import Request, Response, to_response

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
    from typing import Any, TypeVar

    from portable_fn.context import Context

    T = TypeVar("T")
    Handler = Callable[..., Any]
    Middleware = Callable[[Any, Context, Callable[[Any, Context], Any]], Any]

__all__ = ["finish_alone", "finish_background", "is_awaitable", "is_not_ours", "then"]


async def finish_background(context: Context) -> None:
    """Await what the handler passed to `context.background`, and log its errors."""
    while context.pending:
        coroutine = context.pending.pop(0)
        try:
            await coroutine
        except BaseException as exc:
            context.log.error("background work failed", exc_info=exc)
            if is_not_ours(exc):
                raise
            exc.__traceback__ = None


def finish_alone(context: Context, run: Callable[[Awaitable[None]], object]) -> None:
    """Do the background work when `run` runs it on an event loop. Only the work itself cancels its task."""
    if not context.has_background:
        return
    from asyncio import CancelledError

    while context.has_background:
        try:
            run(finish_background(context))
        except CancelledError:
            pass  # of the work itself, and logged


def is_not_ours(error: BaseException) -> bool:
    """Return whether an error in async code must reach the server.

    The coroutine is being closed, or the server cancels the running task because it stops or the client has gone.
    """
    asyncio = sys.modules.get("asyncio")
    try:
        task = asyncio.current_task() if asyncio is not None else None
    except RuntimeError:
        task = None  # no event loop runs: the coroutine is being closed
    if isinstance(error, GeneratorExit):
        return task is None
    # After a failure, a TaskGroup leaves the task's number of cancellations at 1: seen with Python 3.11 and 3.12.
    return (
        asyncio is not None and isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling() > 0
    )


# Flags of a code object: https://docs.python.org/3/library/inspect.html#code-objects-bit-flags
_VARARGS, _COROUTINE = 0x04, 0x80


def around(
    use: tuple[Middleware, ...], call: Callable[[Any, Context], Any], is_async: bool
) -> Callable[[Any, Context], Any]:
    """Return the call with the middleware around it, the first outermost. Inside, the answer to a Request is a Response."""
    if not use:
        return call

    async def answered(event: Any, context: Context) -> Response:
        result = call(event, context)
        return _own_response(await result if is_awaitable(result) else result)

    handler_is_async = is_async

    def normalised(event: Any, context: Context) -> Any:
        if not isinstance(event, Request):
            return call(event, context)
        return answered(event, context) if handler_is_async else then(call(event, context), _own_response)

    wrapped: Callable[[Any, Context], Any] = normalised
    for middleware in reversed(use):
        wrapped = _step(middleware, wrapped, is_async)
        is_async = is_async or _is_async(middleware)
    return wrapped


def _step(middleware: Middleware, call: Callable[[Any, Context], Any], is_async: bool) -> Callable[[Any, Context], Any]:
    async def awaitable(event: Any, context: Context) -> Any:
        if is_async:
            result = call(event, context)
        else:
            # It may block, and the event loop must not.
            from portable_fn.adapter.threads import run

            result = await run(call, event, context)
        return await result if is_awaitable(result) else result

    follow = awaitable if _is_async(middleware) else call
    name = getattr(middleware, "__name__", repr(middleware))

    def step(event: Any, context: Context) -> Any:
        # The awaitables that call_next returned. Their handlers may not have started yet.
        pending: list[Any] = []

        def call_next(event: Any, context: Context) -> Any:
            result = follow(event, context)
            if is_awaitable(result):
                pending.append(result)
            return result

        result = middleware(event, context, call_next)
        if is_awaitable(result):
            return later(result, event, pending)
        return answered(result, event, pending, is_awaited=False) if pending else answered(result, event)

    async def later(result: Any, event: Any, pending: list[Any]) -> Any:
        return answered(await result, event, pending)

    def answered(result: Any, event: Any, pending: Sequence[Any] = (), *, is_awaited: bool = True) -> Any:
        for result_of_next in pending:
            if result_of_next is result:
                result.close()
                raise EncodeError(
                    f"the middleware {name} returned what call_next gave without await, so that nobody runs the handler"
                )
            if not is_awaited or _is_left(result_of_next, isinstance(event, Request)):
                # A task may run one that has started.
                if hasattr(result_of_next, "cr_suspended") and not result_of_next.cr_suspended:
                    result_of_next.close()
                raise EncodeError(
                    f"the middleware {name} neither returns nor awaits what call_next gave, so that nobody runs the handler: "
                    "return call_next(event, ctx), or await it in an async def"
                )
        if not isinstance(event, Request):
            return result
        if result is None:
            raise EncodeError(f"the middleware {name} returned None: return what call_next gives, or a Response")
        if is_awaitable(result):
            result.close()
            raise EncodeError(f"the middleware {name} returned an awaitable that nobody awaits")
        return _own_response(result)

    return step


def _own_response(result: object) -> Response:
    """Return a response that middleware may change: the handler may keep the one that it returned."""
    return result.copy() if isinstance(result, Response) else to_response(result)


def is_awaitable(value: object) -> bool:
    """Return whether the value must be awaited. Cheaper than inspect's, which also knows generators from before Python 3.5."""
    return hasattr(type(value), "__await__")


def has_threads() -> bool:
    """Return whether the platform has threads; WebAssembly hasn't."""
    return sys.platform != "emscripten"


def finished(work: Coroutine[Any, Any, T]) -> T:
    """Return the result of a coroutine that never waits."""
    try:
        work.send(None)
    except StopIteration as exc:
        result: T = exc.value
        return result
    raise RuntimeError("a sync function waits for something")


def then(result: Any, follow: Callable[[Any], Any]) -> Any:
    """Return `follow(result)`, or an awaitable of it if the result must be awaited first."""
    if not is_awaitable(result):
        return follow(result)

    async def later() -> Any:
        return follow(await result)

    return later()


def any_is_async(functions: Iterable[Handler]) -> bool:
    """Return whether one of the functions is async."""
    return any(_is_async(function) for function in functions)


def _is_async(function: Handler) -> bool:
    function = _unwrapped(function)
    code = getattr(function, "__code__", None) or getattr(type(function).__call__, "__code__", None)
    return code is not None and bool(code.co_flags & _COROUTINE)


def _unwrapped(function: Any) -> Any:
    while hasattr(function, "__wrapped__"):
        function = function.__wrapped__
    return function


def _is_left(awaitable: Any, is_request: bool) -> bool:
    """Return whether nobody awaits a handler's work, or a task does it after its event was acknowledged.

    Work that has started may go on after the answer to a request.
    """
    if hasattr(awaitable, "cr_suspended"):
        has_begun = awaitable.cr_suspended or awaitable.cr_running
        return awaitable.cr_frame is not None and not (has_begun and is_request)
    done = getattr(awaitable, "done", None)
    return done is not None and not done() and not is_request
