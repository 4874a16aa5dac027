"""Read a response's stream chunk by chunk, in one task with one set of context variables."""

from __future__ import annotations

from collections.abc import AsyncIterable

from portable_fn.errors import EncodeError, PortableError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from asyncio import Task
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Generator, Iterable
    from contextvars import Context as Variables
    from typing import Any

    from portable_fn.context import Context

    Stream = Iterable[bytes | str] | AsyncIterable[bytes | str]

__all__ = ["Driven", "TooMuch", "aclose", "broken", "chunk_bytes", "chunks", "collected", "joined"]

_END = object()


def chunk_bytes(chunk: object) -> bytes:
    """Return a stream's chunk as bytes; a str is written as UTF-8.

    Raises:
        EncodeError: It is neither.
    """
    if isinstance(chunk, bytes):
        return chunk
    if isinstance(chunk, str):
        return chunk.encode()
    if isinstance(chunk, (bytearray, memoryview)):
        return bytes(chunk)
    raise EncodeError(f"a stream's chunks must be bytes or str, not {type(chunk).__name__}")


def broken(error: BaseException, context: Context) -> PortableError:
    """Log the error of a stream, and return the error that makes the server cut the connection.

    It is an Exception whatever was raised: servers let SystemExit and its kin end the worker.
    """
    from portable_fn.logs import log

    log(env=context.env).error(
        "invocation %s failed while it streamed: %s", context.invocation_id, type(error).__name__, exc_info=error
    )
    error.__traceback__ = None
    return PortableError(f"the stream of invocation {context.invocation_id} broke off: {type(error).__name__}")


async def pump(stream: Stream, write: Callable[[bytes], Awaitable[object]]) -> None:
    """Write each chunk when it arrives, except empty ones, and close the iterator in the end."""
    iterator: AsyncIterator[bytes | str] = aiter(stream) if isinstance(stream, AsyncIterable) else Threaded(stream)
    try:
        async for chunk in iterator:
            if data := chunk_bytes(chunk):
                await write(data)
    finally:
        await aclose(iterator)


class TooMuch(PortableError):
    """A collected stream has more bytes than the limit. `size` is how many arrived."""

    def __init__(self, size: int) -> None:
        super().__init__(f"the stream has at least {size} bytes")
        self.size = size


class _Collected:
    """Chunks up to a limit."""

    def __init__(self, limit: int | None) -> None:
        self._limit = limit
        self._size = 0
        self._chunks: list[bytes] = []

    def add(self, chunk: bytes) -> None:
        self._size += len(chunk)
        if self._limit is not None and self._size > self._limit:
            raise TooMuch(self._size)
        self._chunks.append(chunk)

    def whole(self) -> bytes:
        return b"".join(self._chunks)


async def joined(stream: Stream, limit: int | None = None) -> bytes:
    """Return the whole stream.

    Raises:
        TooMuch: It has over `limit` bytes.
    """
    collected = _Collected(limit)

    async def write(chunk: bytes) -> None:
        collected.add(chunk)

    await pump(stream, write)
    return collected.whole()


def collected(
    stream: Stream,
    variables: Variables,
    run: Callable[[Coroutine[Any, Any, Any], Variables], Any],
    limit: int | None = None,
) -> bytes:
    """Return the whole stream when no event loop runs. `run` runs a coroutine on one; a sync stream doesn't need it.

    Raises:
        TooMuch: It has over `limit` bytes.
    """
    if isinstance(stream, AsyncIterable):
        whole: bytes = run(joined(stream, limit), variables)
        return whole
    found = _Collected(limit)
    made = chunks(stream, variables, run)
    try:
        for chunk in made:
            found.add(chunk)
    finally:
        made.close()
    return found.whole()


def chunks(
    stream: Stream, variables: Variables, run: Callable[[Coroutine[Any, Any, Any], Variables], Any]
) -> Generator[bytes]:
    """Yield the chunks of a stream when no event loop runs. `run` runs a coroutine on one.

    The stream runs with the context variables, and is closed in the end.
    """
    if isinstance(stream, AsyncIterable):
        driven = Driven(stream, variables)
        try:
            while chunk := run(driven.next(), variables):
                yield chunk
        finally:
            run(driven.close(), variables)
        return
    iterator = variables.run(iter, stream)
    try:
        while (step := variables.run(next, iterator, _END)) is not _END:
            if data := chunk_bytes(step):
                yield data
    finally:
        if close := getattr(iterator, "close", None):
            variables.run(close)


class Driven:
    """Reads a stream ahead in its own task: while a chunk is sent, the task produces the next one.

    A stream behaves as if one task sent all of it: a timeout or a task group around its chunks works, and it keeps the context
    variables that it sets.
    """

    def __init__(self, stream: Stream, variables: Variables) -> None:
        from asyncio import Queue, Semaphore

        self._stream = stream
        self._variables = variables
        self._chunks: Queue[bytes | None] = Queue()
        self._room = Semaphore(1)
        self._task: Task[None] | None = None
        self._error: BaseException | None = None
        self._closed = False

    async def next(self) -> bytes | None:
        """Return the next chunk, None after the last. Raise the error of the stream."""
        if self._task is None:
            from asyncio import get_running_loop

            self._task = get_running_loop().create_task(self._drive(), context=self._variables)
            # A task that cancelled itself may never finish.
            self._task.add_done_callback(lambda task: self._chunks.put_nowait(None))
        chunk = await self._chunks.get()
        if chunk is not None:
            self._room.release()
        elif self._error is not None:
            raise self._error
        return chunk

    async def close(self) -> None:
        """Stop the stream where it is. Raise its error."""
        from asyncio import wait

        self._closed = True
        if self._task is None:
            await _close(self._stream)
        elif self._task.cancel():
            await wait({self._task})
            if isinstance(self._error, Exception) and not isinstance(self._error, _Closed):
                raise self._error

    async def _drive(self) -> None:
        try:
            await pump(self._stream, self._write)
        except BaseException as exc:
            # A task that raises SystemExit would end the event loop.
            self._error = exc

    async def _write(self, chunk: bytes) -> None:
        await self._room.acquire()
        if self._closed:  # and the iterator swallowed the cancellation
            raise _Closed
        self._chunks.put_nowait(chunk)


class _Closed(Exception):
    """Nobody asks for another chunk."""


async def _close(stream: object) -> None:
    """Close a stream that nobody started to read."""
    if isinstance(stream, AsyncIterable):
        await aclose(stream)
    elif close := getattr(stream, "close", None):
        close()


async def aclose(iterator: object) -> None:
    """Close an async iterator, if it can be closed."""
    close = getattr(iterator, "aclose", None)
    if close is not None:
        await close()


class Threaded:
    """A sync iterable as an async iterator. Its steps run in a thread, one after the other."""

    def __init__(self, iterable: Iterable[bytes | str]) -> None:
        from contextvars import copy_context
        from threading import Lock

        self._iterator = iter(iterable)
        self._variables = copy_context()
        # A cancelled step goes on in its thread, and a running generator can't be closed.
        self._one_at_a_time = Lock()

    def __aiter__(self) -> Threaded:
        return self

    async def __anext__(self) -> bytes | str:
        chunk = await self._in_thread(next, self._iterator, _END)
        if chunk is _END:
            raise StopAsyncIteration
        return chunk  # type: ignore[no-any-return]  # chunk_bytes looks at it

    async def aclose(self) -> None:
        """Close the iterator after the current step."""
        close = getattr(self._iterator, "close", None)
        if close is not None:
            await self._in_thread(close)

    async def _in_thread(self, function: Callable[..., Any], *args: object) -> Any:
        from portable_fn.adapter.threads import run

        return await run(self._step, function, *args)

    def _step(self, function: Callable[..., Any], *args: object) -> Any:
        with self._one_at_a_time:
            return self._variables.run(function, *args)
