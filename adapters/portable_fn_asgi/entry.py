"""Build the application that an ASGI server calls."""

from __future__ import annotations

from portable_fn.adapter.asgi import ASGIContext, Disconnected, read_body, respond, send_response
from portable_fn.adapter.binding import bindings
from portable_fn.adapter.calling import finish_background
from portable_fn.adapter.pipeline import respond_in_loop
from portable_fn.adapter.routing import Router
from portable_fn.errors import DecodeError, HTTPError
from portable_fn.http import MAX_BODY, Request, Response
from portable_fn.recording import make_recorder
from portable_fn_asgi import decode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from portable_fn.adapter.binding import Binding
    from portable_fn.adapter.calling import Middleware
    from portable_fn.context import Context
    from portable_fn_asgi.events.entry import EventRoute, EventRouter
    from portable_fn_asgi.native import Application, Receive, Send


def entry(
    *targets: object,
    pubsub: str = "pubsub",
    use: Sequence[Middleware] = (),
    root_path: str = "",
    task_errors: bool = False,
) -> Application:
    """Build the ASGI 3 application of portable functions.

    The entry file has `app = entry(functions)`.

    Async functions run in the event loop, sync functions in threads, up to 40 at once. The server sets `request.client_ip` and
    `request.scheme`. Behind a proxy, let the server trust the proxy's headers, for example with
    `uvicorn --proxy-headers --forwarded-allow-ips=…`. Applications that `asgi_app` mounts start up and shut down with the
    server. WebSockets are refused; any other scope raises DecodeError.

    Events arrive by POST, at paths that no HTTP function answers: CloudEvents at any path, as Knative sends them (past a mounted application, which answers every path), tasks at
    their name, and the events of a Dapr sidecar. Everybody who reaches the server can send events. Keep it from the public, or
    set APP_API_TOKEN (as Dapr does) or PORTABLE_FN_TOKEN: then an event without the token is refused. Without a token the log
    has a warning, unless PORTABLE_FN_CALLERS is "trusted". Web pages can't send events: an event must be JSON or have its
    attributes in headers, and a browser's requests for another site are refused.

    Args:
        targets: Portable functions, or a module that has some.
        pubsub: The name of the Dapr pub/sub component of the topics.
        use: Middleware around every function, and around answers without a function, such as a 404.
        root_path: The path before every path, such as "/v1", if neither the proxy nor the server strips it.
        task_errors: Show the caller of a task the class and message of every error. By default the caller sees only those of
            Reject, Retry and HTTPError and of their subclasses.
    """
    if (recording := make_recorder()) is not None:
        recorded: Application = recording.application(
            "asgi", lambda *functions: _entry(functions, pubsub, use, root_path, task_errors), targets
        )
        return recorded
    return _entry(targets, pubsub, use, root_path, task_errors)


def _entry(
    targets: tuple[object, ...], pubsub: str, use: Sequence[Middleware], root_path: str, task_errors: bool
) -> Application:
    functions = bindings(*targets, use=use)
    router = Router(functions, use, root_path)
    lifespan = _lifespan(functions)
    cold_start = True

    async def application(scope: Any, receive: Receive, send: Send) -> None:
        nonlocal cold_start
        if scope["type"] != "http":
            return await (lifespan if scope["type"] == "lifespan" else _without_request)(scope, receive, send)
        request = decode.ScopeRequest(scope)
        if root_path:
            router.strip_root_path(request)
        context = ASGIContext("asgi", request, cold_start)
        cold_start = False
        try:
            response = await respond(router, request, context, scope, receive)
        except Disconnected:
            return None
        try:
            await send_response(response, context, receive, send)
        finally:
            if "pending" in context.__dict__:
                await finish_background(context)

    if all(function.kind is Request for function in functions):
        return application

    from portable_fn.adapter import callers
    from portable_fn_asgi.events.entry import EventRouter

    events = EventRouter(functions, router, pubsub, tells_all=task_errors)
    callers.warn_if_open(
        [function for function in functions if function.kind is not Request],
        ("APP_API_TOKEN", callers.TOKEN),
        "keep the port from all but the sender (a sidecar, a cluster-local service)",
    )

    async def with_events(scope: Any, receive: Receive, send: Send) -> None:
        nonlocal cold_start
        if scope["type"] != "http" or scope["method"] not in ("POST", "GET", "OPTIONS"):
            return await application(scope, receive, send)
        request = decode.ScopeRequest(scope)
        if root_path:
            router.strip_root_path(request)
        try:
            route = events.match(request)
        except HTTPError:
            # Its headers are unreadable, so it can't be an event.
            route = None
        if route is None:
            return await application(scope, receive, send)
        context = decode.EventContext(request, cold_start)
        cold_start = False
        try:
            response = await _respond(router, events, route, request, context, receive)
        except Disconnected:
            return None
        try:
            await send_response(response, context, receive, send)
        finally:
            if context.has_background:
                await finish_background(context)

    return with_events


async def _respond(
    router: Router,
    events: EventRouter,
    route: EventRoute | Response,
    request: decode.ScopeRequest,
    context: Context,
    receive: Receive,
) -> Response:
    """Read the body of a request with events, run the functions, and answer it."""
    try:
        try:
            decode.check_token(request)
            if isinstance(route, Response):
                return route
            route.check(request)
            request.raw_body = await read_body(request.native, receive, MAX_BODY)
            incoming = route.read(request)
        except HTTPError as exc:
            # After 404 it wasn't an event.
            if exc.status != 404:
                context.log.error("an event is refused: %s", exc.detail)
            raise
        except DecodeError as exc:
            context.log.error("an event can't be read", exc_info=exc)
            raise HTTPError(400, str(exc)) from exc
        return events.acknowledge(incoming, await route.consumer.handle_in_loop(incoming.items, context))
    except Disconnected:
        raise
    except Exception as exc:
        return await respond_in_loop(router.refusal(exc, request), request, context)


def _lifespan(functions: list[Binding]) -> Application:
    """Return the application for the server's startup and shutdown, which passes both on to mounted applications."""
    handlers: list[Any] = [function.handler for function in functions]
    mounts = [handler.__mount__ for handler in handlers if hasattr(handler, "__mount__")]

    async def lifespan(scope: Any, receive: Receive, send: Send) -> None:
        if mounts:
            from portable_fn import mount

            return await mount.lifespan(mounts, receive, send)
        while True:
            message = await receive()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return None

    return lifespan


async def _without_request(scope: Any, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await receive()
        # Closing before accepting answers 403.
        await send({"type": "websocket.close", "code": 1000, "reason": "portable functions answer HTTP"})
        return
    raise DecodeError(f"an ASGI scope of type {scope['type']!r} is unknown; known are http, lifespan and websocket")
