"""The road that every adapter's entry takes between its `decode` and its `encode`."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterable
from types import FunctionType, ModuleType

from portable_fn.binding import Binding, is_awaitable
from portable_fn.errors import ConfigurationError, HTTPError
from portable_fn.http import Request, Response, finish, to_response
from portable_fn.routing import refusing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
    from typing import Any

    from portable_fn.binding import Middleware
    from portable_fn.context import Context
    from portable_fn.routing import Router, Target


def bindings(*targets: object, use: Sequence[Middleware] = ()) -> list[Binding]:
    """The functions of an entry's targets, with what their triggers take from the environment, and `use` around each.

    Raises ConfigurationError for what isn't portable, or if a variable isn't set.
    """
    import os

    functions = resolved(declared(*targets), os.environ)
    return [function.within(use) for function in functions] if use else functions


def resolved(functions: Iterable[Binding], variables: Mapping[str, Any]) -> list[Binding]:
    """The functions with the settings of their triggers read; those without any as they are."""
    found = []
    for function in functions:
        found.append(function)
        if any(trigger.settings for trigger in function.triggers):
            from copy import copy

            found[-1] = copy(function)
            found[-1].triggers = tuple(trigger.resolved(variables) for trigger in function.triggers)
    return found


def declared(*targets: object) -> list[Binding]:
    """The functions of an entry's targets as they were declared: portable functions, modules with some, or lists of either."""
    found: dict[int, Binding] = {}
    for target in targets:
        if isinstance(target, ModuleType):
            inside: list[Any] = [value for value in vars(target).values() if _is_portable(value)]
            if not inside:
                raise ConfigurationError(f"the module {target.__name__} has no function with @portable")
        elif _is_portable(target):
            inside = [target]
        elif isinstance(target, (list, tuple)):
            found.update((id(binding), binding) for binding in declared(*target))
            continue
        else:
            shown = getattr(target, "__qualname__", type(target).__name__)
            raise ConfigurationError(
                f"an entry takes portable functions or a module of them, not {shown}: add @portable"
            )
        for function in inside:
            if function.__portable__.function is not function:
                name = function.__portable__.name
                raise ConfigurationError(
                    f"{name} has a decorator above @portable, which no provider would run: put @portable on top, "
                    "or give it as middleware, use=[…]"
                )
            found[id(function.__portable__)] = function.__portable__
    if not found:
        raise ConfigurationError("an entry needs a portable function or a module of them")
    return list(found.values())


def _is_portable(value: object) -> bool:
    # The type is asked first: mocks and lazy objects have, or load, whatever attribute is looked for.
    return isinstance(value, FunctionType) and hasattr(value, "__portable__")


def recorder(where: str | None = None) -> Any:
    """What records the invocations of an entry, where `where`, else PORTABLE_FN_RECORD, says where to; None where nothing does."""
    import os

    where = where or os.environ.get("PORTABLE_FN_RECORD")
    # It has been imported where the entry is made for a replay.
    if not where and "portable_fn.testing.recording" not in sys.modules:
        return None
    if where and where != "-" and sys.platform == "emscripten":
        from portable_fn.logs import log

        log().warning("nothing is recorded in %s: no file lasts here, but PORTABLE_FN_RECORD=- prints lines", where)
        return None
    try:
        from portable_fn.testing import recording

        return recording.recorder(where)
    except Exception as exc:
        from portable_fn.logs import log

        # A function that was packed without what its tests need is to run all the same.
        log().warning("nothing can be recorded: %s", exc)
        return None


def respond(router: Router, request: Request[Any], context: Context) -> Response | Awaitable[Response]:
    """The answer to a request, to be awaited where its function is async; whatever is raised becomes a problem document."""
    try:
        call, max_body, _, use = router.find(request)
        if request.raw_body and is_over(request, max_body):
            call = refusing(too_large(max_body), use)[0]
        result = call(request, context)
        if type(result) is dict or not is_awaitable(result):
            return finish(to_response(result), request)
    except BaseException as exc:
        return failed(exc, request, context)
    return _respond_later(result, request, context)


def refuse(
    router: Router, error: BaseException, request: Request[Any], context: Context
) -> Response | Awaitable[Response]:
    """Answer a request that was refused before its function was called, with the middleware that its answer would have."""
    try:
        result = router.refusal(error, request)[0](request, context)
        if not is_awaitable(result):
            return finish(to_response(result), request)
    except BaseException as exc:
        return failed(exc, request, context)
    return _respond_later(result, request, context)


async def _respond_later(result: Any, request: Request[Any], context: Context) -> Response:
    # Nobody cancels a task here but the handler itself: it runs alone in its loop, or in a Worker.
    try:
        return finish(to_response(await result), request)
    except BaseException as exc:
        return failed(exc, request, context)


async def respond_in_loop(target: Target, request: Request[Any], context: Context) -> Response:
    """The answer of what the router found, where nothing may block the event loop: a function that isn't async runs in a
    thread."""
    call, max_body, is_async, use = target
    try:
        if request.raw_body and is_over(request, max_body):
            call, _, is_async, _ = refusing(too_large(max_body), use)
        result = call(request, context) if is_async else await _in_thread(call, request, context)
        if is_awaitable(result):
            result = await result
        return finish(to_response(result), request)
    except BaseException as exc:
        if is_not_ours(exc):
            raise
        return failed(exc, request, context)


async def _in_thread(call: Callable[[Any, Context], Any], request: Request[Any], context: Context) -> Any:
    from portable_fn.threads import run

    def called() -> Any:
        # Caught in the thread, since a Future takes no StopIteration; encoded there, since that may take long.
        try:
            result = call(request, context)
            if is_awaitable(result):
                return result
            response = finish(to_response(result), request)
            stream = response.stream
            if stream and not isinstance(stream, AsyncIterable):
                from portable_fn.streams import Threaded

                # Made here, it keeps the context variables that the handler has set.
                response = response.copy()
                response.body = Threaded(stream)
            return response
        except BaseException as exc:
            return failed(exc, request, context)

    return await run(called)


def failed(
    error: BaseException, request: Request[Any], context: Context, instead_of: Response | None = None
) -> Response:
    """The problem document for what was raised on the way.

    If that kept a response from being sent, the document stands `instead_of` it and has its CORS headers.
    """
    from portable_fn.problem import problem

    response = problem(error, context)
    if instead_of is not None:
        for name, value in instead_of.headers.pairs:
            if name == "vary" or name.startswith("access-control-"):
                response.headers.add(name, value)
    return finish(response, request)


def answer_too_large(
    size: int, limit: int, taker: str, request: Request[Any], context: Context, instead_of: Response
) -> Response:
    """The problem document in place of an answer of more bytes than its taker, such as "Lambda", takes; it is logged."""
    detail = f"The answer has {size} bytes; {taker} takes {limit}."
    context.log.error("invocation %s failed: %s", context.invocation_id, detail)
    error = HTTPError(500, detail, extensions={"invocation_id": context.invocation_id})
    return failed(error, request, context, instead_of)


def is_over(request: Request[Any], limit: int) -> bool:
    """Whether the body has over `limit` bytes, which hold once it is inflated too; below 0 is no limit."""
    if len(request.raw_body) > limit:
        return limit >= 0
    request._max_body = limit
    # What looks for events has inflated the body by a limit of its own.
    return "body" in request.__dict__ and len(request.body) > limit


def too_large(limit: int) -> HTTPError:
    """The error for a body of over `limit` bytes."""
    return HTTPError(413, f"The body is over {limit} bytes.")


async def finish_background(context: Context) -> None:
    """Awaits what the handler gave to `context.background`; whatever fails there is logged."""
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
    """Does the background work where `run` runs it on an event loop, and nobody but the work itself cancels its task."""
    if not context.has_background:
        return
    from asyncio import CancelledError

    while context.has_background:
        try:
            run(finish_background(context))
        except CancelledError:
            pass  # of the work itself, and logged


def is_not_ours(error: BaseException) -> bool:
    """Whether an error in async code is to go on up: the coroutine is closed, or the server cancels the running task, as it
    does when it stops or the client has gone."""
    asyncio = sys.modules.get("asyncio")
    try:
        task = asyncio.current_task() if asyncio is not None else None
    except RuntimeError:
        task = None  # no event loop runs: the coroutine is being closed
    if isinstance(error, GeneratorExit):
        return task is None
    # A TaskGroup that has failed leaves the task's number of cancellations at 1: seen with Python 3.11 and 3.12.
    return (
        asyncio is not None and isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling() > 0
    )
