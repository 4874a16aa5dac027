"""Play an ASGI server: a scope for a request, and the messages that the application sends."""

from __future__ import annotations

from typing import Any

from portable_fn.http import Request
from portable_fn.testing import asgi


def scope(request: Request[Any]) -> dict[str, Any]:
    """Return uvicorn's scope of a request behind a trusted proxy."""
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
    """Return the messages that the application sends for the scope and body."""
    connection = asgi.Connection(body)
    await application(dict(scope), connection.receive, connection.send)
    return connection.sent
