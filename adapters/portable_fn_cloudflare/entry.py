"""The class that a Worker is made of."""

from __future__ import annotations

from portable_fn.adapter import bindings, failed, respond, too_large
from portable_fn.errors import HTTPError
from portable_fn.http import Response
from portable_fn.routing import Router
from portable_fn_cloudflare import decode, encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

    from portable_fn.context import Context
    from portable_fn_cloudflare.native import FFI, FetchRequest, JavaScript, SDKRequest, WorkerEntrypoint


def entry(*targets: object) -> type[Any]:
    """The Worker's entrypoint of portable functions, or of a module of them: `Default = entry(functions)`.

    Sync functions run in the event loop, since Workers have no threads.
    """
    import js
    from pyodide import ffi
    from workers import WorkerEntrypoint

    return worker(targets, WorkerEntrypoint, js, ffi)


def worker(targets: tuple[object, ...], entrypoint: type, js: JavaScript, ffi: FFI) -> type[Any]:
    """The class `Default`, with nothing in it but what Cloudflare calls: any of its functions can be called by RPC."""
    return type("Default", (entrypoint,), {"fetch": _fetch(Router(bindings(*targets)), js, ffi)})


def _fetch(router: Router, js: JavaScript, ffi: FFI) -> Callable[[Any, SDKRequest], Coroutine[Any, Any, object]]:
    cold_start = True

    def plain(value: Any) -> Any:
        """A JSON value of JavaScript's as Python's, anything else as it is."""
        if value is ffi.jsnull:
            return None
        if isinstance(value, ffi.JsProxy) and value.constructor.name in ("Object", "Array"):
            from json import loads

            return loads(js.JSON.stringify(value))
        return value

    async def fetch(self: WorkerEntrypoint, request: SDKRequest) -> object:
        nonlocal cold_start
        native = request.js_object
        lines = js.Array.from_(native.headers).to_py()
        cf = plain(native.cf) or {}
        event = decode.request(native.method, native.url, lines, cf, request)
        context = decode.WorkerInvocation(
            self.ctx,
            event,
            cf,
            cold_start,
            lambda: decode.Bindings(self.env, js.Object.keys(self.env._env).to_py(), plain),
            lambda coroutine: self.ctx.waitUntil(_logged(coroutine, context)),
        )
        cold_start = False
        try:
            if native.body is not ffi.jsnull:
                event.body = await _body(native, event.headers.get("content-length"), router.max_body, ffi)
            response = respond(router, event, context)
            if type(response) is not Response:
                response = await response
            return encode.response(response, context, js, ffi)
        except BaseException as exc:
            return encode.response(failed(exc, event, context), context, js, ffi)

    return fetch


async def _body(request: FetchRequest, length: str | None, limit: int, ffi: FFI) -> bytes:
    """The request's body; HTTPError 413 as soon as it is known to be over the limit, 400 where it breaks off."""
    known = length is not None and length.isdecimal()
    if known and int(length) > limit:
        raise too_large(limit)
    try:
        if known:
            return (await request.arrayBuffer()).to_bytes()
        chunks: list[bytes] = []
        size = 0
        async for chunk in request.body:
            chunks.append(chunk.to_bytes())
            size += len(chunks[-1])
            if size > limit:
                raise too_large(limit)
        return b"".join(chunks)
    except ffi.JsException as exc:
        raise HTTPError(400, f"The body can't be read to its end: {exc}.") from exc


async def _logged(coroutine: Coroutine[Any, Any, object], context: Context) -> None:
    """The background work; what it raises would else be lost, or, if it is SystemExit, end the isolate."""
    try:
        await coroutine
    except BaseException:
        context.log.exception("background work failed")
