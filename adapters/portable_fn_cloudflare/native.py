"""The types of what Cloudflare Workers pass, as far as we read it. Only type checkers import this module."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Any, Protocol


class Buffer(Protocol):
    """A JavaScript ArrayBuffer or Uint8Array, by Pyodide."""

    def to_bytes(self) -> bytes: ...


class FetchRequest(Protocol):
    """JavaScript's Request.

    https://developers.cloudflare.com/workers/runtime-apis/request/

    `body` is jsnull if there is none, `cf` is None if another Worker calls.
    """

    method: str
    url: str
    headers: object
    body: AsyncIterator[Buffer]
    cf: Cf | None

    def arrayBuffer(self) -> Awaitable[Buffer]: ...  # noqa: N802


class Cf(Protocol):
    """What the edge found out about a request.

    https://developers.cloudflare.com/workers/runtime-apis/request/#incomingrequestcfproperties
    """

    colo: str
    tlsClientAuth: Certificate | None  # noqa: N815


class Certificate(Protocol):
    """The client's certificate, or "NONE" and empty strings.

    https://developers.cloudflare.com/ssl/client-certificates/
    """

    certVerified: str  # noqa: N815

    def to_py(self) -> dict[str, str]: ...


class SDKRequest(Protocol):
    """The Request of the `workers` SDK 1.9.5."""

    js_object: FetchRequest


class ExecutionContext(Protocol):
    """The context of a call.

    https://developers.cloudflare.com/workers/runtime-apis/context/
    """

    def waitUntil(self, work: Awaitable[object]) -> object: ...  # noqa: N802


class Env(Protocol):
    """The SDK's wrapper of the bindings, which are its attributes; `_env` is what it wraps."""

    _env: object


class WorkerEntrypoint(Protocol):
    """The SDK's class of the same name; each request gets a new instance."""

    env: Env
    ctx: ExecutionContext


class QueueMessage(Protocol):
    """A message of a queue.

    https://developers.cloudflare.com/queues/configuration/javascript-apis/#message

    `timestamp` is a Date, `body` the value that JavaScript read from the message.
    """

    id: str
    timestamp: Any
    body: Any
    attempts: int

    def ack(self) -> None: ...
    def retry(self, *, delaySeconds: int = ...) -> None: ...  # noqa: N803


class MessageBatch(Protocol):
    """The messages of one call.

    https://developers.cloudflare.com/queues/configuration/javascript-apis/#messagebatch
    """

    queue: str
    messages: Iterable[QueueMessage]


class ScheduledController(Protocol):
    """https://developers.cloudflare.com/workers/runtime-apis/handlers/scheduled/; `scheduledTime` is in milliseconds."""

    cron: str
    scheduledTime: int  # noqa: N815

    def noRetry(self) -> None: ...  # noqa: N802


class StreamController(Protocol):
    """The controller of a stream.

    https://developer.mozilla.org/en-US/docs/Web/API/ReadableStreamDefaultController
    """

    def enqueue(self, chunk: object) -> None: ...
    def close(self) -> None: ...
    def error(self, reason: object) -> None: ...


class Proxy(Protocol):
    """A Python function for JavaScript to call, until it is destroyed."""

    def destroy(self) -> None: ...


class JavaScript(Protocol):
    """The module `js`: JavaScript's globals.

    https://pyodide.org/en/stable/usage/api/python-api.html
    """

    Array: Any
    Error: Any
    JSON: Any
    Object: Any
    Promise: Any
    ReadableStream: Any
    Response: Any


class FFI(Protocol):
    """The module `pyodide.ffi`."""

    JsException: type[Exception]
    JsProxy: type[Any]
    jsnull: object
    to_js: Callable[[object], object]
    create_proxy: Callable[[Callable[..., object]], Proxy]


MultiDict = Iterable[Iterable[str]]
