"""Build the function that Toy awaits."""

from __future__ import annotations

from portable_fn.adapter.batch import Consumer
from portable_fn.adapter.binding import bindings
from portable_fn.adapter.calling import finish_background, is_not_ours
from portable_fn.adapter.dispatch import Dispatcher
from portable_fn.adapter.pipeline import failed, respond_in_loop
from portable_fn.adapter.routing import Router
from portable_fn.adapter.streams import joined
from portable_fn.http import Request
from portable_fn.recording import make_recorder
from portable_fn_toy import decode, encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence
    from typing import Any

    from portable_fn.adapter.calling import Middleware
    from portable_fn.context import Context
    from portable_fn_toy.native import Web

    Function = Callable[[Any], Coroutine[Any, Any, dict[str, Any]]]


def entry(*targets: object, use: Sequence[Middleware] = (), root_path: str = "") -> Function:
    """Build Toy's function of portable functions.

    Assign it: `function = entry(functions)`. It collects streams, and raises DecodeError for an unreadable invocation, which
    Toy then repeats.
    """
    if (recording := make_recorder()) is not None:
        recorded: Function = recording.function(
            "portable_fn_toy", lambda *functions: _entry(functions, use, root_path), targets
        )
        return recorded
    return _entry(targets, use, root_path)


def _entry(targets: tuple[object, ...], use: Sequence[Middleware], root_path: str) -> Function:
    functions = bindings(*targets, use=use)
    router = Router(functions, use, root_path)
    consumer = Consumer(Dispatcher(functions), rejects=True)
    cold_start = True

    async def function(native: Any) -> dict[str, Any]:
        nonlocal cold_start
        context = decode.invocation(native, cold_start)
        cold_start = False
        try:
            if native["service"] == "web":
                return await _web(router, native, context)
            if native["service"] == "queue":
                return encode.queue(await consumer.handle_in_loop(decode.queue(native), context))
            return encode.call((await consumer.handle_in_loop([decode.call(native)], context))[0])
        finally:
            await finish_background(context)

    return function


async def _web(router: Router, native: Web, context: Context) -> dict[str, Any]:
    request = Request()
    try:
        context.event = request = decode.web(native)
        if router.root_path:
            router.strip_root_path(request)
        response = await respond_in_loop(router.find(request), request, context)
        if response.stream is not None:
            response.body = await joined(response.stream)
    except BaseException as exc:
        if is_not_ours(exc):
            raise
        response = failed(exc, request, context)
    return encode.web(response)
