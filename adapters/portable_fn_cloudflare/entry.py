"""The class that a Worker is made of."""

from __future__ import annotations

from portable_fn.adapter import bindings, failed, respond, too_large
from portable_fn.errors import HTTPError
from portable_fn.http import Request, Response
from portable_fn.routing import Router
from portable_fn_cloudflare import decode, encode
from portable_fn_cloudflare.task import settled

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator
    from typing import Any

    from portable_fn_cloudflare.native import FFI, Env, FetchRequest, JavaScript, SDKRequest, WorkerEntrypoint


def entry(*targets: object) -> type[Any]:
    """The Worker's entrypoint of portable functions, or of a module of them: `Default = entry(functions)`.

    Sync functions run in the event loop, since Workers have no threads.
    """
    # These are there in Workers alone.
    import js  # type: ignore[import-not-found]  # pyright: ignore[reportMissingImports]
    from pyodide import ffi  # type: ignore[import-not-found]  # pyright: ignore[reportMissingImports, reportUnknownVariableType]
    from workers import WorkerEntrypoint  # type: ignore[import-not-found]  # pyright: ignore[reportMissingImports, reportUnknownVariableType]

    return worker(targets, WorkerEntrypoint, js, ffi)  # pyright: ignore[reportArgumentType, reportUnknownArgumentType]


def worker(targets: tuple[object, ...], entrypoint: type[Any], js: JavaScript, ffi: FFI) -> type[Any]:
    """The class `Default`, with nothing in it but what Cloudflare calls: any of its functions can be called by RPC."""
    functions = bindings(*targets)
    first = iter((True,))
    namespace: dict[str, Any] = {"fetch": _fetch(Router(functions), first, js, ffi)}
    if any(function.kind is not Request for function in functions):
        from portable_fn_cloudflare.entry_events import methods

        namespace.update(methods(functions, first, js, ffi))
    return type("Default", (entrypoint,), namespace)


def _fetch(
    router: Router, first: Iterator[bool], js: JavaScript, ffi: FFI
) -> Callable[[Any, SDKRequest], Coroutine[Any, Any, object]]:
    async def fetch(self: WorkerEntrypoint, request: SDKRequest) -> object:
        native = request.js_object
        lines = js.Array.from_(native.headers).to_py()
        cf = native.cf
        event = decode.request(native.method, native.url, lines, cf, request)
        context = decode.WorkerInvocation(self.ctx, event, cf, next(first, False), lambda: env_of(self.env, js, ffi))
        try:
            if native.body is not ffi.jsnull:
                event.body = await _body(native, event.headers.get("content-length"), router.max_body, ffi)
            response = respond(router, event, context)
            if not isinstance(response, Response):
                response = await settled(response)
            return encode.response(response, context, js, ffi)
        except BaseException as exc:
            return encode.response(failed(exc, event, context), context, js, ffi)

    return fetch


async def _body(request: FetchRequest, length: str | None, limit: int, ffi: FFI) -> bytes:
    """The request's body; HTTPError 413 as soon as it is known to be over the limit, 400 where it breaks off."""
    known = length is not None and length.isdecimal()
    if length is not None and known and (len(length) > 18 or int(length) > limit):
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


def env_of(env: Env, js: JavaScript, ffi: FFI) -> decode.Bindings:
    """A Worker's variables, secrets and bindings."""

    def plain(value: Any) -> Any:
        if value is ffi.jsnull:
            return None
        if isinstance(value, ffi.JsProxy) and value.constructor.name in ("Object", "Array"):
            from json import loads

            return loads(js.JSON.stringify(value))
        return value

    return decode.Bindings(env, js.Object.keys(env._env).to_py(), plain)
