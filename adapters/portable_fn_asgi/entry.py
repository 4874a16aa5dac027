"""The application that an ASGI server calls."""

from __future__ import annotations

from portable_fn.adapter import bindings, finish_background
from portable_fn.asgi import Disconnected, ServerInvocation, respond, send_response
from portable_fn.errors import DecodeError
from portable_fn.routing import Router
from portable_fn_asgi import decode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from portable_fn_asgi.native import Application, Receive, Send


def entry(*targets: object) -> Application:
    """The ASGI 3 application of portable functions, or of a module of them: `app = entry(functions)`.

    Async functions run in the event loop, the others in its default executor. `request.client_ip` and the scheme are the
    server's word: behind a proxy it must be told to trust it, as `uvicorn --proxy-headers --forwarded-allow-ips=…` is.
    WebSockets are refused; another kind of scope raises DecodeError.
    """
    router = Router(bindings(*targets))
    cold_start = True

    async def application(scope: Any, receive: Receive, send: Send) -> None:
        nonlocal cold_start
        if scope["type"] != "http":
            return await _without_request(scope, receive, send)
        request = decode.ScopeRequest(scope)
        context = ServerInvocation("asgi", request, cold_start)
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

    return application


async def _without_request(scope: Any, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return
    if scope["type"] == "websocket":
        await receive()
        # Before it is accepted this is a 403.
        await send({"type": "websocket.close", "code": 1000, "reason": "portable functions answer HTTP"})
        return
    raise DecodeError(f"an ASGI scope of type {scope['type']!r} is unknown; known are http, lifespan and websocket")
