"""The class that a Worker is made of."""

from __future__ import annotations

from portable_fn.adapter import declared, failed, recorder, refuse, resolved, respond, too_large
from portable_fn.errors import HTTPError
from portable_fn.http import Request, Response
from portable_fn.routing import Router
from portable_fn_cloudflare import decode, encode
from portable_fn_cloudflare.task import finish_unawaited, settled

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
    from typing import Any

    from portable_fn.binding import Binding, Middleware
    from portable_fn.context import Context
    from portable_fn_cloudflare.native import FFI, Env, FetchRequest, JavaScript, SDKRequest, WorkerEntrypoint

    Encode = Callable[[Response, Context, JavaScript, FFI], object]
    Method = Callable[..., Coroutine[Any, Any, object]]
    MakeRouter = Callable[[Sequence[Binding]], Router]


def entry(*targets: object, use: Sequence[Middleware] = (), root_path: str = "") -> type[Any]:
    """The Worker's entrypoint of portable functions, or of a module of them: `Default = entry(functions)`.

    Sync functions run in the event loop, since Workers have no threads.

    Args:
        use: Middleware around every function and around what is answered without one, such as a 404.
        root_path: What stands before every path, such as "/v1", if a proxy leaves it there.
    """
    # These are there in Workers alone.
    import js  # type: ignore[import-not-found]  # pyright: ignore[reportMissingImports]
    from pyodide import ffi  # type: ignore[import-not-found]  # pyright: ignore[reportMissingImports, reportUnknownVariableType]
    from workers import WorkerEntrypoint  # type: ignore[import-not-found]  # pyright: ignore[reportMissingImports, reportUnknownVariableType]

    return worker(targets, WorkerEntrypoint, js, ffi, use, root_path)  # pyright: ignore[reportArgumentType, reportUnknownArgumentType]


def worker(
    targets: tuple[object, ...],
    entrypoint: type[Any],
    js: JavaScript,
    ffi: FFI,
    use: Sequence[Middleware] = (),
    root_path: str = "",
) -> type[Any]:
    """The class `Default`, with nothing in it but what Cloudflare calls: any of its functions can be called by RPC."""
    functions = declared(*targets)
    if use:
        functions = [function.within(use) for function in functions]
    first = iter((True,))

    def router(functions: Sequence[Binding]) -> Router:
        return Router(functions, use, root_path)

    found = methods(functions, router, first, js, ffi)
    has_settings = any(trigger.settings for function in functions for trigger in function.triggers)
    is_first = True

    def method(name: str) -> Callable[..., Coroutine[Any, Any, object]]:
        def called(self: WorkerEntrypoint, *args: Any, **by_name: Any) -> Coroutine[Any, Any, object]:
            nonlocal is_first, functions
            if is_first:
                # Only a call has the bindings: a Worker may start from the memory of one that had none.
                if has_settings:
                    functions = resolved(functions, _names(functions, env_of(self.env, js, ffi)))
                    found.update(methods(functions, router, first, js, ffi))
                is_first = False
                if (recording := recorder(getattr(self.env, "PORTABLE_FN_RECORD", None))) is not None:
                    from portable_fn_cloudflare.recorded import recording_methods

                    found.update(recording_methods(functions, router, first, js, ffi, recording))
            return found[name](self, *args, **by_name)

        called.__name__ = name
        # Pyodide gives a method no more arguments than its signature has.
        called.__wrapped__ = found[name]  # type: ignore[attr-defined]  # as functools.wraps does
        return called

    return type("Default", (entrypoint,), {name: method(name) for name in found})


def _names(functions: Sequence[Binding], env: Mapping[str, Any]) -> dict[str, str]:
    """What the triggers' variables hold: a text, or of a binding, such as a queue's producer, its own name."""
    variables = {
        setting.variable
        for function in functions
        for trigger in function.triggers
        for setting in trigger.settings.values()
    }
    found = {name: env.get(name) for name in variables}
    return {name: value if isinstance(value, str) else name for name, value in found.items() if value is not None}


def methods(
    functions: Sequence[Binding], router: MakeRouter, first: Iterator[bool], js: JavaScript, ffi: FFI
) -> dict[str, Method]:
    """What Cloudflare calls, by its name; `first` tells a cold start once."""
    found: dict[str, Method] = {"fetch": answering(router(functions), first, js, ffi)}
    if any(function.kind is not Request for function in functions):
        from portable_fn_cloudflare import entry_events

        found.update(entry_events.methods(functions, first, js, ffi))
    return found


def answering(
    router: Router, first: Iterator[bool], js: JavaScript, ffi: FFI, encoded: Encode = encode.response
) -> Callable[[Any, SDKRequest], Coroutine[Any, Any, object]]:
    """The method `fetch`; `encoded` makes what it returns of a response."""

    async def fetch(self: WorkerEntrypoint, request: SDKRequest) -> object:
        native = request.js_object
        lines = js.Array.from_(native.headers).to_py()
        cf = native.cf
        event = decode.request(native.method, native.url, lines, cf, request)
        if router.root_path:
            router.strip_root_path(event)
        context = decode.WorkerInvocation(self.ctx, event, cf, next(first, False), lambda: env_of(self.env, js, ffi))
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
                response = await settled(response)
            await finish_unawaited(context)
            return encoded(response, context, js, ffi)
        except BaseException as exc:
            sent = response if isinstance(response, Response) else None
            return encoded(failed(exc, event, context, sent), context, js, ffi)

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
