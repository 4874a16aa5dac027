"""Play an ASGI server: call an application with requests as uvicorn does, and return what the caller receives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from portable_fn.adapter.callers import unwarned
from portable_fn.http import Request
from portable_fn.testing import asgi
from portable_fn.testing.loop import run
from portable_fn.testing.results import Exchange
from portable_fn_asgi.entry import entry
from portable_fn_asgi.simulate.events import EVENT_SERVICES, from_sidecar, invoker, payloads, playing, results
from portable_fn_asgi.simulate.server import messages, scope

if TYPE_CHECKING:
    from portable_fn.adapter.calling import Middleware

__all__ = [
    "EVENT_SERVICES",
    "SERVICES",
    "exchange",
    "from_sidecar",
    "invoker",
    "messages",
    "payloads",
    "playing",
    "results",
    "scope",
]

SERVICES = ("http",)


def exchange(
    targets: tuple[object, ...],
    request: Request[Any],
    service: str,
    *,
    use: Sequence[Middleware] = (),
    root_path: str = "",
) -> Exchange:
    """Return the exchange of a request with the functions through an ASGI server."""
    with unwarned():
        application = entry(*targets, use=use, root_path=root_path)
    native = scope(request)
    return Exchange(native, lambda: run(messages(application, native, request.raw_body)), asgi.answer)
