"""Build the function that functions-framework calls."""

from __future__ import annotations

from _contextvars import copy_context

from portable_fn.adapter.asgi import Disconnected, send_response
from portable_fn.adapter.asgi import respond as respond_async
from portable_fn.adapter.binding import bindings
from portable_fn.adapter.calling import finish_alone, finish_background, is_awaitable
from portable_fn.adapter.pipeline import refuse, respond, too_large
from portable_fn.adapter.routing import Router
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
    from portable_fn_gcp.events.decode import IncomingEvents
    from portable_fn_gcp.events.entry import EventRouter
    from portable_fn_gcp.native import Answer, FlaskRequest, Receive, Send, StarletteRequest

    Target = Callable[..., Any]


def entry(*targets: object, use: Sequence[Middleware] = (), root_path: str = "", task_errors: bool = False) -> Target:
    """Build the functions-framework target for portable functions.

    The entry file has `main = entry(functions)`.

    One target serves Flask and Starlette (`functions-framework --asgi`). Under Flask, async functions share one event loop in
    a separate thread. Under Starlette, sync functions run in threads. Google's front end sets the client's address and the
    scheme; behind your own load balancer the address is the balancer's. `principal` is None: if everybody may call the
    function, nothing verifies IAP's headers or a bearer token.

    If a function takes events, a request from one of Google's triggers is decoded as an event: from Pub/Sub, Eventarc, Cloud
    Scheduler, Cloud Tasks, BigQuery, or the first generation. Any other POST without an HTTP function is a task, as Workflows
    sends it. Such requests authenticate nobody. Either let only the triggers' service account invoke the function, and set
    PORTABLE_FN_CALLERS=trusted; or set PORTABLE_FN_TOKEN, and events without that token are refused. A batch of CloudEvents
    has one answer.

    Args:
        targets: Portable functions, or a module that has some.
        use: Middleware around every function, and around answers without a function, such as a 404.
        root_path: The path before every path, such as "/v1", if a proxy leaves it there.
        task_errors: Show the caller of a task the class and message of every error. By default the caller sees only those of
            Reject, Retry and HTTPError and of their subclasses.

    Raises:
        ConfigurationError: Two functions take the same events or requests.
    """
    if (recording := make_recorder()) is not None:
        recorded: Target = recording.target(
            "gcp", lambda *functions: _entry(functions, use, root_path, task_errors), targets
        )
        return recorded
    return _entry(targets, use, root_path, task_errors)


def _entry(targets: tuple[object, ...], use: Sequence[Middleware], root_path: str, task_errors: bool) -> Target:
    functions = bindings(*targets, use=use)
    router = Router(functions, use, root_path)
    events = _event_router(functions, router, task_errors)
    cold_start = True

    def target(native: Any, *more: Any) -> Any:
        nonlocal cold_start
        first, cold_start = cold_start, False
        if hasattr(native, "scope"):
            return _starlette(router, events, native, first)
        if hasattr(native, "environ"):
            return _flask(router, events, native, first)
        return _converted(functions, events, (native, *more), first)

    return target


def _event_router(functions: list[Binding], router: Router, task_errors: bool) -> EventRouter | None:
    """Return the router of events; None if all functions are for HTTP."""
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
    """Register a portable function as the target of its name.

    Returns an `async def` for an async function, which functions-framework then runs under Starlette.
    """
    from functions_framework._function_registry import ASGI_FUNCTIONS, REGISTRY_MAP

    binding = function.__portable__  # type: ignore[attr-defined]  # every portable function has it
    # The framework looks up a target by its variable's name, which a nested function doesn't know.
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


def _flask(router: Router, events: EventRouter | None, native: FlaskRequest, cold_start: bool) -> WerkzeugResponse:
    """Answer Flask's request."""
    request = decode.http(native)
    if router.root_path:
        router.strip_root_path(request)
    context = decode.GCPContext(request, cold_start)
    # A handler's context variables hold for its stream, too, but not for the thread's next request.
    variables = copy_context()
    incoming = None
    try:
        request.raw_body = _body(native, router.max_body if events is None else events.max_body)
        if events is not None:
            incoming = events.match(request)
    except HTTPError as exc:
        if events is not None:
            context.log.error("a possible event is refused: %s", exc.detail)
        answer = variables.run(refuse, router, exc, request, context)
    else:
        if events is None or incoming is None:
            answer = variables.run(respond, router, request, context)
        else:
            answer = events.acknowledge(incoming, _outcomes(events, incoming, context, variables), context)
    response = answer if isinstance(answer, Response) else run(answer, variables)
    # Background work comes first: Cloud Run takes the CPU away after the answer.
    _finish(context, variables)
    response = encode.fitting(response, request, context)
    body = response.body
    return encode.http(response, None if isinstance(body, bytes) else _chunks(body, context, variables))


def _outcomes(events: EventRouter, incoming: IncomingEvents, context: Context, variables: Variables) -> list[Outcome]:
    outcomes = variables.run(events.handle, incoming, context)
    if isinstance(outcomes, list):
        return outcomes
    awaited: list[Outcome] = run(outcomes, variables)
    return awaited


def _converted(functions: list[Binding], events: EventRouter | None, args: tuple[Any, ...], cold_start: bool) -> None:
    """Handle an event that functions-framework decoded, since it runs the function as `cloudevent` or `event`.

    The handler's error is raised: the framework answers with 500, and the event is redelivered.
    """
    if events is None:
        names = ", ".join(function.name for function in functions)
        raise DecodeError(f"functions-framework passes a {type(args[0]).__name__}, but {names} takes only requests")
    incoming = events.convert(args, _current_request())
    context = decode.GCPContext(incoming.request, cold_start)
    variables = copy_context()
    outcomes = _outcomes(events, incoming, context, variables)
    _finish(context, variables)
    for outcome in outcomes:
        if isinstance(outcome, Retry):
            raise to_raise(outcome, outcome.traceback)


def _current_request() -> Request | None:
    """Return the request that Flask handles in this thread; None under Starlette."""
    import sys

    flask: Any = sys.modules.get("flask")
    return decode.http(flask.request) if flask is not None and flask.has_request_context() else None


def _body(native: FlaskRequest, limit: int) -> bytes:
    """Read the request's body.

    Raises:
        HTTPError: 413 as soon as the body exceeds the limit; 400 if it can't be read.
    """
    length = native.content_length
    if length is not None and length > limit:
        raise too_large(limit)
    try:
        body = native.stream.read(limit + 1) if length is None else native.get_data()
    except Exception as exc:
        raise HTTPError(400, "The body is malformed.") from exc
    if len(body) > limit:
        raise too_large(limit)
    # If the client disconnects, gunicorn returns the part that it received.
    if length is not None and len(body) < length:
        raise HTTPError(400, f"The body ends after {len(body)} of {length} bytes.")
    return body


def _chunks(stream: Stream, context: Context, variables: Variables) -> Iterator[bytes]:
    """Yield the chunks of a stream as they arrive."""
    from portable_fn.adapter.streams import chunks

    iterator = chunks(stream, variables, run)
    try:
        while (chunk := _step(context, next, iterator, None)) is not None:
            yield chunk
    finally:
        _step(context, iterator.close)
    _finish(context, variables)


def _step(context: Context, step: Callable[..., Any], *args: object) -> Any:
    """Run a step of a stream; log an error, and raise one that makes gunicorn close the connection."""
    try:
        return step(*args)
    except BaseException as exc:
        from portable_fn.adapter.streams import broken

        raise broken(exc, context) from exc


def _finish(context: Context, variables: Variables) -> None:
    """Run the handler's background work; log its errors."""
    finish_alone(context, lambda work: run(work, variables))


def run(awaitable: Awaitable[Any], variables: Variables) -> Any:
    """Return the awaitable's result, computed on the process's event loop, concurrently with those of other threads."""
    from portable_fn.adapter import loop

    return loop.run_in_thread(awaitable, variables)


def _starlette(router: Router, events: EventRouter | None, native: StarletteRequest, cold_start: bool) -> Answer:
    """Answer Starlette's request with an ASGI application, which is what Starlette's responses are.

    The application runs the whole pipeline: functions-framework calls a `def` in a thread without an event loop.
    """
    request = decode.http_async(native)
    if router.root_path:
        router.strip_root_path(request)
    context = decode.GCPContext(request, cold_start)
    # The framework's log records read the execution id from a context variable, which it resets before it sends.
    variables = copy_context()

    async def pipeline(receive: Receive, send: Send) -> None:
        try:
            if events is None:
                response = await respond_async(router, request, context, native.scope, receive)
            else:
                response = await _respond(router, events, request, context, native.scope, receive)
        except Disconnected:
            return
        await _send(encode.fitting(response, request, context), context, receive, send)

    async def answer(scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        from asyncio import create_task

        await create_task(pipeline(receive, send), context=variables)

    return answer


async def _respond(
    router: Router,
    events: EventRouter,
    request: Request[Any],
    context: Context,
    scope: Mapping[str, Any],
    receive: Receive,
) -> Response:
    """Answer a request that may be an event; its body has to be read to know."""
    from portable_fn.adapter.asgi import has_body, read_body
    from portable_fn.adapter.pipeline import respond_in_loop

    try:
        if has_body(scope):
            request.raw_body = await read_body(scope, receive, events.max_body)
        incoming = events.match(request)
    except HTTPError as exc:
        context.log.error("a possible event is refused: %s", exc.detail)
        return await respond_in_loop(router.refusal(exc, request), request, context)
    if incoming is None:
        return await respond_in_loop(router.find(request), request, context)
    return events.acknowledge(incoming, await events.handle_in_loop(incoming, context), context)


async def _send(response: Response, context: Context, receive: Receive, send: Send) -> None:
    # Background work comes first: Cloud Run takes the CPU away after the answer. A stream may add more work.
    if context.has_background:
        await finish_background(context)
    try:
        await send_response(response, context, receive, send)
    finally:
        if context.has_background:
            await finish_background(context)
