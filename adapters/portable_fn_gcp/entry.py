"""The function that functions-framework calls."""

from __future__ import annotations

import sys
from _thread import allocate_lock

from portable_fn.adapter import bindings, failed, finish_background, respond, too_large
from portable_fn.asgi import Disconnected, send_response
from portable_fn.asgi import respond as respond_async
from portable_fn.binding import is_awaitable
from portable_fn.routing import Router
from portable_fn.streams import broken, chunk_bytes
from portable_fn_gcp import decode, encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Coroutine, Iterator
    from typing import Any

    from portable_fn.context import Context
    from portable_fn.http import Request, Response
    from portable_fn_gcp.native import Answer, FlaskRequest, Receive, Send, StarletteRequest

    Target = Callable[[Any], Any]


def entry(*targets: object) -> Target:
    """The functions-framework target of portable functions, or of a module of them: `main = entry(functions)`.

    It is the same for Flask and for Starlette (`functions-framework --asgi`). Under Flask, async functions run on one event
    loop in a thread of its own, under Starlette, sync functions run in threads. The client's address and scheme are what
    Google's front end says: behind a load balancer of one's own the address is the balancer's. `principal` is None, since
    nobody has verified the headers of IAP, nor a bearer token, where the function is open to everybody.
    """
    router = Router(bindings(*targets))
    cold_start = True

    def target(native: Any) -> Any:
        nonlocal cold_start
        first, cold_start = cold_start, False
        return starlette(router, native, first) if hasattr(native, "scope") else flask(router, native, first)

    return target


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
