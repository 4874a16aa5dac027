"""The server's half of ASGI: requests as uvicorn hands them to an application, and its messages as the caller gets them."""

from __future__ import annotations

from typing import Any

from portable_fn.http import Request
from portable_fn.testing import asgi
from portable_fn.testing.delivery import Exchange
from portable_fn.testing.loop import run
from portable_fn_asgi.entry import entry

SERVICES = ("http",)


def exchange(targets: tuple[object, ...], request: Request[Any], service: str) -> Exchange:
    """The request on its way through an ASGI server to the functions and back."""
    application, native = entry(*targets), scope(request)
    return Exchange(native, lambda: run(messages(application, native, request.body)), asgi.answer)


def scope(request: Request[Any]) -> dict[str, Any]:
    """The http scope that uvicorn makes of the request behind a proxy that it trusts."""
    host, _, port = request.host.partition(":")
    return asgi.scope(
        request,
        asgi.proxied(request),
        server=(host, int(port) if port else 443 if request.scheme == "https" else 80),
        client=None if request.client_ip is None else (request.client_ip, 0),
        scheme=request.scheme,
        root_path=request.root_path,
    )


async def messages(application: Any, scope: dict[str, Any], body: bytes) -> list[dict[str, Any]]:
    """What the application sends for the scope and body."""
    connection = asgi.Connection(body)
    await application(dict(scope), connection.receive, connection.send)
    return connection.sent
