"""A response's chunks as the ReadableStream that JavaScript reads them from."""

from __future__ import annotations

from collections.abc import AsyncIterable

from portable_fn.streams import aclose, broken, chunk_bytes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from asyncio import Task
    from collections.abc import AsyncIterator, Coroutine, Iterable
    from typing import Any

    from portable_fn.context import Context
    from portable_fn_cloudflare.native import FFI, JavaScript, StreamController

    Chunks = AsyncIterable[bytes | str] | Iterable[bytes | str]


def readable(body: Chunks, context: Context, js: JavaScript, ffi: FFI) -> object:
    """A ReadableStream of the chunks, each made when the client is ready for it.

    What the iterator raises is logged and errors the stream, which cuts the connection; a client that goes closes it.
    """
    source = _Source(body, context, js, ffi)
    return js.ReadableStream.new(pull=source.pulled, cancel=source.cancelled)


class _Source:
    def __init__(self, body: Chunks, context: Context, js: JavaScript, ffi: FFI) -> None:
        from contextvars import copy_context

        self._chunks: AsyncIterator[bytes | str]
        self._chunks = body.__aiter__() if isinstance(body, AsyncIterable) else _inline(body)
        self._variables = copy_context()
        self._context = context
        self._js = js
        self._ffi = ffi
        self._step: Task[None] | None = None
        self._gone = False
        self.pulled = ffi.create_proxy(self._pull)
        self.cancelled = ffi.create_proxy(self._cancel)

    async def _pull(self, controller: StreamController) -> None:
        # In a task of its own, for the handler's context variables, and so that it can be cancelled.
        await self._start(self._next(controller))

    async def _cancel(self, reason: object) -> None:
        from asyncio import wait

        self._gone = True
        if self._step is not None and not self._step.done():
            # An async generator that runs can't be closed.
            self._step.cancel()
            await wait([self._step])
        await self._start(self._close())
        self._release()

    def _start(self, step: Coroutine[Any, Any, None]) -> Task[None]:
        from asyncio import get_running_loop

        self._step = get_running_loop().create_task(step, context=self._variables)
        return self._step

    async def _next(self, controller: StreamController) -> None:
        # Nothing may leave this task: SystemExit in a task ends the isolate.
        try:
            async for chunk in self._chunks:
                if data := chunk_bytes(chunk):
                    if not self._gone:
                        controller.enqueue(self._ffi.to_js(memoryview(data)))
                    return
        except BaseException as exc:
            if not self._gone:
                await self._close()
                self._release()
                controller.error(self._js.Error.new(str(broken(exc, self._context))))
        else:
            if not self._gone:
                self._release()
                controller.close()

    async def _close(self) -> None:
        try:
            await aclose(self._chunks)
        except BaseException as exc:
            broken(exc, self._context)

    def _release(self) -> None:
        # JavaScript's garbage collector doesn't free what Python made for it.
        self.pulled.destroy()
        self.cancelled.destroy()


async def _inline(body: Iterable[bytes | str]) -> AsyncIterator[bytes | str]:
    """A sync iterable as an async iterator; Workers have no threads."""
    iterator = iter(body)
    try:
        for chunk in iterator:
            yield chunk
    finally:
        close = getattr(iterator, "close", None)
        if close is not None:
            close()
