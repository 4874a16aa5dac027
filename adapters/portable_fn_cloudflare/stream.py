"""Stream a response's chunks to JavaScript."""

from __future__ import annotations

from collections.abc import AsyncIterable

from portable_fn.adapter.streams import Driven, broken

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from portable_fn.context import Context
    from portable_fn_cloudflare.native import FFI, JavaScript, StreamController

    Chunks = AsyncIterable[bytes | str] | Iterable[bytes | str]


def readable(body: Chunks, context: Context, js: JavaScript, ffi: FFI) -> object:
    """Build a ReadableStream of the chunks. It asks for each chunk when the client is ready for it.

    If the iterator raises, the error is logged and the stream fails, which cuts the connection. If the client goes away, the
    iterator is closed.
    """
    source = _Source(body, context, js, ffi)
    return js.ReadableStream.new(pull=source.pulled, cancel=source.cancelled)


class _Source:
    def __init__(self, body: Chunks, context: Context, js: JavaScript, ffi: FFI) -> None:
        from contextvars import copy_context

        self._chunks = Driven(as_async(body), copy_context())
        self._context = context
        self._js = js
        self._ffi = ffi
        self._gone = False
        self.pulled = ffi.create_proxy(self._pull)
        self.cancelled = ffi.create_proxy(self._cancel)

    async def _pull(self, controller: StreamController) -> None:
        try:
            chunk = await self._chunks.next()
        except BaseException as exc:
            if not self._gone:
                self._release()
                controller.error(self._js.Error.new(str(broken(exc, self._context))))
            return
        if self._gone:
            return
        if chunk is not None:
            controller.enqueue(self._ffi.to_js(memoryview(chunk)))
        else:
            self._release()
            controller.close()

    async def _cancel(self, reason: object) -> None:
        self._gone = True
        try:
            await self._chunks.close()
        except BaseException as exc:
            broken(exc, self._context)
        self._release()

    def _release(self) -> None:
        # JavaScript's garbage collector doesn't free Python's proxies.
        self.pulled.destroy()
        self.cancelled.destroy()


def as_async(body: Chunks) -> AsyncIterable[bytes | str]:
    """Return the chunks as an async iterable."""
    return body if isinstance(body, AsyncIterable) else _inline(body)


async def _inline(body: Iterable[bytes | str]) -> AsyncIterator[bytes | str]:
    """Iterate over a sync iterable in the event loop, because Workers have no threads."""
    iterator = iter(body)
    try:
        for chunk in iterator:
            yield chunk
    finally:
        close = getattr(iterator, "close", None)
        if close is not None:
            close()
