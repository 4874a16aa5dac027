"""Build the methods that Cloudflare calls."""

from __future__ import annotations

from portable_fn.adapter.pipeline import failed, refuse, respond, too_large
from portable_fn.errors import HTTPError
from portable_fn.http import Request, Response
from portable_fn_cloudflare import decode, encode
from portable_fn_cloudflare.decode import env_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator, Sequence
    from typing import Any

    from portable_fn.adapter.binding import Binding
    from portable_fn.adapter.routing import Router
    from portable_fn_cloudflare.entry import Encode, MakeRouter, Method
    from portable_fn_cloudflare.native import FFI, FetchRequest, JavaScript, SDKRequest, WorkerEntrypoint


def methods(
    functions: Sequence[Binding], router: MakeRouter, first: Iterator[bool], js: JavaScript, ffi: FFI
) -> dict[str, Method]:
    """Return the methods by name. The first item of `first` marks the cold start."""
    by_name: dict[str, Method] = {"fetch": answering(router(functions), first, js, ffi)}
    if any(function.kind is not Request for function in functions):
        from portable_fn_cloudflare.events import entry as entry_events

        by_name.update(entry_events.methods(functions, first, js, ffi))
    return by_name


def answering(
    router: Router, first: Iterator[bool], js: JavaScript, ffi: FFI, encoded: Encode = encode.response
) -> Callable[[Any, SDKRequest], Coroutine[Any, Any, object]]:
    """Build the method `fetch`; `encoded` turns a response into what it returns."""

    async def fetch(self: WorkerEntrypoint, request: SDKRequest) -> object:
        native = request.js_object
        lines = js.Array.from_(native.headers).to_py()
        cf = native.cf
        event = decode.request(native.method, native.url, lines, cf, request)
        if router.root_path:
            router.strip_root_path(event)
        context = decode.CloudflareContext(self.ctx, event, cf, next(first, False), lambda: env_of(self.env, js, ffi))
        response: Any = None
        try:
            try:
                if native.body is not ffi.jsnull:
                    event.raw_body = await _body(native, event.headers.get("content-length"), router.max_body, ffi)
            except HTTPError as exc:
                response = refuse(router, exc, event, context)
            else:
                response = respond(router, event, context)
            if not isinstance(response, Response):
                from portable_fn_cloudflare.running import run_in_task

                response = await run_in_task(response)
            if context.has_background:
                from portable_fn_cloudflare.running import finish_unawaited

                await finish_unawaited(context)
            return encoded(response, context, js, ffi)
        except BaseException as exc:
            sent = response if isinstance(response, Response) else None
            return encoded(failed(exc, event, context, sent), context, js, ffi)

    return fetch


async def _body(request: FetchRequest, length: str | None, limit: int, ffi: FFI) -> bytes:
    """Read the request's body.

    Raises:
        HTTPError: 413 as soon as the body is known to be over the limit; 400 if it breaks off.
    """
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
