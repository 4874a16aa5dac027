"""The function that functions-framework calls."""

from __future__ import annotations

from _contextvars import copy_context

from portable_fn.adapter.asgi import Disconnected, send_response
from portable_fn.adapter.asgi import respond as respond_async
from portable_fn.adapter.binding import bindings
from portable_fn.adapter.calling import finish_alone, finish_background, is_awaitable
from portable_fn.adapter.pipeline import refuse, respond, too_large
from portable_fn.adapter.routing import Router
from portable_fn.adapter.streams import broken, chunks
from portable_fn.errors import DecodeError, HTTPError
from portable_fn.http import Request, Response
from portable_fn.outcomes import Retry, to_raise
from portable_fn.recording import make_recorder
from portable_fn_gcp import decode, encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
    from contextvars import Context as Variables
    from typing import Any

    from werkzeug.wrappers import Response as WerkzeugResponse

    from portable_fn.adapter.binding import Binding
    from portable_fn.adapter.calling import Middleware
    from portable_fn.adapter.streams import Stream
    from portable_fn.context import Context
    from portable_fn.outcomes import Outcome
    from portable_fn_gcp.events.entry import EventRouter, IncomingEvents
    from portable_fn_gcp.native import Answer, FlaskRequest, Receive, Send, StarletteRequest

    Target = Callable[..., Any]


def entry(*targets: object, use: Sequence[Middleware] = (), root_path: str = "", task_errors: bool = False) -> Target:
    """Build the functions-framework target of portable functions.

    The entry file has `main = entry(functions)`.

    The target works under Flask and under Starlette (`functions-framework --asgi`). Under Flask, async functions run on one
    event loop in its own thread. Under Starlette, sync functions run in threads. The client's address and scheme are what
    Google's front end says: behind your own load balancer the address is the balancer's. `principal` is None, because nobody
    verifies the headers of IAP or a bearer token if the function is open to everybody.

    If a function takes events, a request from one of Google's triggers is the trigger's event: Pub/Sub, Eventarc, Cloud
    Scheduler, Cloud Tasks, BigQuery, or a first-generation one. Any other POST that no HTTP function answers is a task, as
    Workflows sends it. Such a request doesn't prove who sent it. Let only the trigger's service account invoke the function,
    and set PORTABLE_FN_CALLERS=trusted. Or set PORTABLE_FN_TOKEN: then an event without the token is refused. A batch of
    CloudEvents gets one answer.

    Args:
        targets: Portable functions, or a module that has some.
        use: Middleware around every function, and around answers without a function, such as a 404.
        root_path: The path before every path, such as "/v1", if a proxy leaves it there.
        task_errors: Show the caller of a task the class and message of every error. By default the caller sees only those of
            Reject, Retry and HTTPError and of their subclasses.
    """
    if (recording := make_recorder()) is not None:
        recorded: Target = recording.target("gcp", lambda *those: _entry(those, use, root_path, task_errors), targets)
        return recorded
    return _entry(targets, use, root_path, task_errors)


def _entry(targets: tuple[object, ...], use: Sequence[Middleware], root_path: str, task_errors: bool) -> Target:
    functions = bindings(*targets, use=use)
    router = Router(functions, use, root_path)
    receiver = _receiver(functions, router, task_errors)
    cold_start = True

    def target(native: Any, *more: Any) -> Any:
        nonlocal cold_start
        first, cold_start = cold_start, False
        if hasattr(native, "scope"):
            return _starlette(router, receiver, native, first)
        if hasattr(native, "environ"):
            return _flask(router, receiver, native, first)
        return _converted(functions, receiver, (native, *more), first)

    return target


def _receiver(functions: list[Binding], router: Router, task_errors: bool) -> EventRouter | None:
    """What takes events; None where all functions are for HTTP."""
    if all(function.kind is Request for function in functions):
        return None
    from portable_fn.adapter import callers
    from portable_fn_gcp.events.entry import EventRouter

    callers.warn_if_open(
        [function for function in functions if function.kind is not Request],
        (callers.TOKEN,),
        "let only the triggers' service account invoke the function (--no-allow-unauthenticated)",
    )
    return EventRouter(functions, router, tells_all=task_errors)


def register(function: Callable[..., Any]) -> Callable[..., Any]:
    """Registers a portable function as the target of its name; an async one becomes an `async def`, run by Starlette."""
    from functions_framework._function_registry import ASGI_FUNCTIONS, REGISTRY_MAP

    binding = function.__portable__  # type: ignore[attr-defined]  # a portable function has it
    # The framework looks a target up by its variable's name, which a function made by another one doesn't know.
    if function.__qualname__ != function.__name__:
        return function
    REGISTRY_MAP[function.__name__] = "http"
    if not _is_coroutine_function(binding.handler):
        return function
    ASGI_FUNCTIONS.add(function.__name__)

    async def target(*args: Any) -> Any:
        result = function(*args)
        return await result if is_awaitable(result) else result

    for name in ("__name__", "__qualname__", "__module__", "__doc__", "__portable__"):
        setattr(target, name, getattr(function, name))
    return target


def _is_coroutine_function(handler: object) -> bool:
    from inspect import iscoroutinefunction, unwrap

    return iscoroutinefunction(unwrap(handler))  # type: ignore[arg-type]  # a handler is callable


def _flask(router: Router, receiver: EventRouter | None, native: FlaskRequest, cold_start: bool) -> WerkzeugResponse:
    """The answer to Flask's request."""
    request = decode.http(native)
    if router.root_path:
        router.strip_root_path(request)
    context = decode.GCPContext(request, cold_start)
    # What a handler sets in a context variable is for its stream as well, and not for the thread's next request.
    variables = copy_context()
    received = None
    try:
        request.raw_body = _body(native, router.max_body if receiver is None else receiver.max_body)
        if receiver is not None:
            received = receiver.received(request)
    except HTTPError as exc:
        if receiver is not None:
            context.log.error("what may be an event is refused: %s", exc.detail)
        answer = variables.run(refuse, router, exc, request, context)
    else:
        if received is not None:
            answer = received.answer(_outcomes(received, context, variables), context)
        else:
            answer = variables.run(respond, router, request, context)
    response = answer if isinstance(answer, Response) else run(answer, variables)
    # Cloud Run takes the CPU away once the answer is out, so the work comes first.
    _finish(context, variables)
    response = encode.fitting(response, request, context)
    body = response.body
    return encode.http(response, None if isinstance(body, bytes) else _chunks(body, context, variables))


def _outcomes(received: IncomingEvents, context: Context, variables: Variables) -> list[Outcome]:
    outcomes = variables.run(received.handle, context)
    if isinstance(outcomes, list):
        return outcomes
    awaited: list[Outcome] = run(outcomes, variables)
    return awaited


def _converted(functions: list[Binding], receiver: EventRouter | None, args: tuple[Any, ...], cold_start: bool) -> None:
    """Handles what functions-framework has made of the request, where it runs the function as `cloudevent` or `event`.

    What the handler raised is raised, so that the framework answers with a 500 and the event comes again.
    """
    if receiver is None:
        names = ", ".join(function.name for function in functions)
        raise DecodeError(
            f"functions-framework hands over a {type(args[0]).__name__}, and {names} takes requests alone"
        )
    received, request = receiver.converted(args, _under_way())
    context = decode.GCPContext(request, cold_start)
    variables = copy_context()
    outcomes = _outcomes(received, context, variables)
    _finish(context, variables)
    for outcome in outcomes:
        if isinstance(outcome, Retry):
            raise to_raise(outcome, outcome.traceback)


def _under_way() -> Request | None:
    """The request that Flask handles in this thread; None if it is Starlette that does."""
    import sys

    flask: Any = sys.modules.get("flask")
    return decode.http(flask.request) if flask is not None and flask.has_request_context() else None


def _body(native: FlaskRequest, limit: int) -> bytes:
    """The request's body; HTTPError 413 as soon as it is known to be over the limit, 400 where it can't be read."""
    length = native.content_length
    if length is not None and length > limit:
        raise too_large(limit)
    try:
        body = native.stream.read(limit + 1) if length is None else native.get_data()
    except Exception as exc:
        raise HTTPError(400, "The body is malformed.") from exc
    if len(body) > limit:
        raise too_large(limit)
    # gunicorn gives what there was where the client has gone.
    if length is not None and len(body) < length:
        raise HTTPError(400, f"The body ends after {len(body)} of {length} bytes.")
    return body


def _chunks(stream: Stream, context: Context, variables: Variables) -> Iterator[bytes]:
    """The chunks of a stream, each as it comes."""
    made = chunks(stream, variables, run)
    try:
        while (chunk := _unbroken(context, next, made, None)) is not None:
            yield chunk
    finally:
        _unbroken(context, made.close)
    _finish(context, variables)


def _unbroken(context: Context, step: Callable[..., Any], *args: object) -> Any:
    """A step of a stream; whatever it raises is logged, and an error for which gunicorn cuts the connection."""
    try:
        return step(*args)
    except BaseException as exc:
        raise broken(exc, context) from exc


def _finish(context: Context, variables: Variables) -> None:
    """Does the background work that the handler left; what fails there is logged."""
    finish_alone(context, lambda work: run(work, variables))


def run(awaitable: Awaitable[Any], variables: Variables) -> Any:
    """Return the awaitable's result, computed on the process's event loop, beside those of other threads."""
    from portable_fn.adapter import loop

    return loop.run_in_thread(awaitable, variables)


def _starlette(router: Router, receiver: EventRouter | None, native: StarletteRequest, cold_start: bool) -> Answer:
    """The answer to Starlette's request: an ASGI application, as its responses are.

    It does the whole road, since functions-framework calls a `def` in a thread that has no event loop.
    """
    request = decode.http_async(native)
    if router.root_path:
        router.strip_root_path(request)
    context = decode.GCPContext(request, cold_start)
    # The framework's log records take the execution id from a context variable, which it resets before it sends.
    variables = copy_context()

    async def road(receive: Receive, send: Send) -> None:
        try:
            if receiver is None:
                response = await respond_async(router, request, context, native.scope, receive)
            else:
                response = await _received(router, receiver, request, context, native.scope, receive)
        except Disconnected:
            return
        await _answer(encode.fitting(response, request, context), context, receive, send)

    async def answer(scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        from asyncio import create_task

        await create_task(road(receive, send), context=variables)

    return answer


async def _received(
    router: Router,
    receiver: EventRouter,
    request: Request[Any],
    context: Context,
    scope: Mapping[str, Any],
    receive: Receive,
) -> Response:
    """The answer to a request that may be an event, which shows when its body is read."""
    from portable_fn.adapter.asgi import has_body, read_body
    from portable_fn.adapter.pipeline import respond_in_loop

    try:
        if has_body(scope):
            request.raw_body = await read_body(scope, receive, receiver.max_body)
        received = receiver.received(request)
    except HTTPError as exc:
        context.log.error("what may be an event is refused: %s", exc.detail)
        return await respond_in_loop(router.refusal(exc, request), request, context)
    if received is None:
        return await respond_in_loop(router.find(request), request, context)
    return received.answer(await received.handle_in_loop(context), context)


async def _answer(response: Response, context: Context, receive: Receive, send: Send) -> None:
    # Cloud Run takes the CPU away once the answer is out, so the work comes first; a stream may leave some more.
    if context.has_background:
        await finish_background(context)
    try:
        await send_response(response, context, receive, send)
    finally:
        if context.has_background:
            await finish_background(context)
