"""Stand in for the modules `js`, `pyodide.ffi` and `workers`, and behave as real workerd was seen to."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from portable_fn.pairs import Headers

# JavaScript


class Map(dict[Any, Any]):
    """JavaScript's Map, whose keys may have any type."""


class JsProxy:
    """A JavaScript value: a JSON value, bytes, a datetime for a Date, a set, or a Map."""

    def __init__(self, value: Any) -> None:
        self.value = value

    @property
    def constructor(self) -> SimpleNamespace:
        names = {"dict": "Object", "list": "Array", "datetime": "Date", "set": "Set", "Map": "Map", "Pattern": "RegExp"}
        return SimpleNamespace(name=names.get(type(self.value).__name__, "Uint8Array"))

    def __getattr__(self, name: str) -> Any:
        if name == "getTime" and isinstance(self.value, datetime):
            return lambda: self.value.timestamp() * 1000
        try:
            return javascript(self.value[name])
        except (KeyError, TypeError, IndexError) as exc:
            raise AttributeError(name) from exc

    def to_py(self, *, depth: int = -1) -> Any:
        return _to_py(self.value, depth, {})

    def to_bytes(self) -> bytes:
        return bytes(self.value)


def _to_py(value: Any, depth: int, seen: dict[int, Any]) -> Any:
    """Convert a value as Pyodide does: shared values stay shared; null, Date and RegExp stay JavaScript's."""
    if depth == 0 or not isinstance(value, (dict, list, set, bytes)):
        return javascript(value)
    if isinstance(value, bytes):
        return memoryview(value)
    if id(value) in seen:
        return seen[id(value)]
    if isinstance(value, dict):
        made: Any = {}
        seen[id(value)] = made
        made.update((_to_py(key, depth - 1, seen), _to_py(inner, depth - 1, seen)) for key, inner in value.items())
        return made
    made = seen[id(value)] = []
    made.extend(_to_py(inner, depth - 1, seen) for inner in value)
    return set(made) if isinstance(value, set) else made


class JsNull:
    """JavaScript's null, which isn't None."""

    def __bool__(self) -> bool:
        return False


jsnull = JsNull()


class JsException(Exception):
    """An error that JavaScript threw."""

    name = "Error"


class Resolvers:
    """The result of Promise.withResolvers; its promise can only be rejected."""

    def __init__(self) -> None:
        self.promise = self
        self.error: Exception | None = None

    def reject(self, error: Exception) -> None:
        self.error = error


class Proxy:
    """A Python function for JavaScript to call, until it is destroyed."""

    alive = 0

    def __init__(self, function: Callable[..., Awaitable[object]]) -> None:
        self._function: Callable[..., Awaitable[object]] | None = function
        Proxy.alive += 1

    def __call__(self, *args: object) -> Awaitable[object]:
        if self._function is None:
            raise JsException("Object has already been destroyed")
        return self._function(*args)

    def destroy(self) -> None:
        if self._function is not None:
            Proxy.alive -= 1
        self._function = None


def to_js(value: Any) -> JsProxy:
    """Copy the value for JavaScript."""
    return JsProxy(bytes(value) if isinstance(value, memoryview) else [list(item) for item in value])


def javascript(value: Any) -> Any:
    """Convert a value as Pyodide passes it to Python."""
    if value is None:
        return jsnull
    if isinstance(value, (dict, list, set, bytes, datetime, re.Pattern)):
        return JsProxy(value)
    if isinstance(value, BigInt) or not isinstance(value, (int, float)) or isinstance(value, bool):
        return value
    # JavaScript has one type of number. Pyodide passes whole numbers as int.
    number = float(value)
    return int(number) if number.is_integer() and abs(number) < 2**53 else number


class BigInt(int):
    """JavaScript's bigint."""


class FetchRequest:
    """JavaScript's Request: names in lower case and in order, repeats joined, values as UTF-8."""

    def __init__(
        self, method: str, url: str, lines: Iterable[tuple[str, str]], body: bytes, cf: dict[str, Any] | None
    ) -> None:
        headers = Headers(
            (name, value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")) for name, value in lines
        )
        self.method = method
        self.url = url.partition("#")[0]
        self.headers = sorted((name, ", ".join(headers.get_all(name))) for name in headers)
        self.body: Any = JsBody(body) if "content-length" in headers else jsnull
        self.cf = None if cf is None else JsProxy(cf)

    async def arrayBuffer(self) -> JsProxy:  # noqa: N802  # JavaScript's name
        return JsProxy(self.body.whole)


class JsBody:
    """A request's body, in chunks of at most 4096 bytes."""

    def __init__(self, whole: bytes) -> None:
        self.whole = whole

    async def __aiter__(self) -> AsyncIterator[JsProxy]:
        for start in range(0, len(self.whole), 4096):
            yield JsProxy(self.whole[start : start + 4096])


class ReadableStream:
    """A stream that pulls a chunk from its source when it has none."""

    def __init__(self, pull: Proxy, cancel: Proxy) -> None:
        self._pull = pull
        self.cancel = cancel
        self._pieces: list[bytes] = []
        self._closed = False
        self.broken: object = None

    def enqueue(self, chunk: JsProxy) -> None:
        self._pieces.append(chunk.to_bytes())

    def close(self) -> None:
        self._closed = True

    def error(self, reason: object) -> None:
        self.broken = reason

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while not self._closed and self.broken is None:
            await self._pull(self)
            while self._pieces:
                yield self._pieces.pop(0)


class JSResponse:
    """JavaScript's Response."""

    def __init__(self, body: Any, status: int, headers: JsProxy, encode_body: str) -> None:
        if not 200 <= status <= 599:
            raise JsException(
                f"RangeError: Responses may only be constructed with status codes in the range 200 to 599, not {status}"
            )
        if body is not None and status in (204, 205, 304):
            raise JsException("TypeError: Response with null body status (101, 204, 205, or 304) cannot have a body.")
        self.status = status
        self.headers: list[tuple[str, str]] = [(name, value) for name, value in headers.value]
        self.body: ReadableStream | None = None
        self.chunks = [b""]
        if isinstance(body, ReadableStream):
            self.body = body
        elif body is not None:
            self.chunks = [body.to_bytes()]
        encoding = dict(self.headers).get("content-encoding")
        if encoding == "gzip" and encode_body != "manual":
            self.chunks = [gzip.compress(self.chunks[0])]


class Array:
    """JavaScript's Array."""

    @staticmethod
    def from_(pairs: Iterable[tuple[str, str]]) -> JsProxy:
        return JsProxy([list(pair) for pair in pairs])


JS: Any = SimpleNamespace(
    Array=Array,
    Error=SimpleNamespace(new=JsException),
    JSON=SimpleNamespace(
        stringify=lambda proxy: json.dumps(proxy.value), parse=lambda text: javascript(json.loads(text))
    ),
    Object=SimpleNamespace(keys=lambda env: JsProxy(list(env))),
    Promise=SimpleNamespace(withResolvers=Resolvers),
    ReadableStream=SimpleNamespace(new=ReadableStream),
    Response=SimpleNamespace(
        new=lambda body, status, headers, encodeBody="automatic": JSResponse(body, status, headers, encodeBody)  # noqa: N803  # JavaScript's name
    ),
)
FFI: Any = SimpleNamespace(JsException=JsException, JsProxy=JsProxy, jsnull=jsnull, to_js=to_js, create_proxy=Proxy)


# The `workers` SDK


class SDKRequest:
    """The SDK's Request."""

    def __init__(self, native: FetchRequest) -> None:
        self.js_object = native


class Env:
    """The SDK's wrapper of the bindings."""

    def __init__(self, bindings: dict[str, Any]) -> None:
        self._env = bindings

    def __getattr__(self, name: str) -> Any:
        try:
            return javascript(self._env[name])
        except KeyError as exc:
            raise AttributeError(name) from exc


class ExecutionContext:
    """A Worker's `ctx`."""

    def __init__(self) -> None:
        self.work: list[asyncio.Future[object]] = []

    def waitUntil(self, work: Any) -> None:  # noqa: N802  # JavaScript's name
        self.work.append(asyncio.ensure_future(work))


class WorkerEntrypoint:
    """The SDK's class of the same name."""

    def __init__(self, ctx: ExecutionContext, env: Env) -> None:
        self.ctx = ctx
        self.env = env


class JsDict(dict[str, Any]):
    """The SDK's form of an object: a dict whose keys are attributes, too."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


def python_from_rpc(value: Any) -> Any:
    """Convert a value as SDK 1.9.5 does: its times are naive."""
    if isinstance(value, JsProxy):
        if isinstance(value.value, datetime):
            return value.value.astimezone(UTC).replace(tzinfo=None)
        if not isinstance(value.value, re.Pattern):
            return python_from_rpc(value.to_py())
    if value is jsnull:
        return None
    if isinstance(value, dict):
        return JsDict((key, python_from_rpc(inner)) for key, inner in value.items())
    return [python_from_rpc(inner) for inner in value] if isinstance(value, list) else value


def python_to_rpc(value: Any) -> Any:
    """Return what the RPC caller gets for what the SDK gets; raise the error of a rejected promise."""
    value = getattr(value, "js_object", value)
    if isinstance(value, Resolvers) and value.error is not None:
        raise value.error
    if value is None or isinstance(value, (str, int, float, JsProxy, JsNull)):
        return None if value is jsnull else value.value if isinstance(value, JsProxy) else value
    raise TypeError(f"{type(value).__name__} cannot be sent over RPC.")


class BindingWrapper:
    """The SDK's wrapper of a JavaScript value. Its attributes are converted or wrapped."""

    def __init__(self, binding: Any) -> None:
        self._binding = binding

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._binding, name)
        if isinstance(value, list):
            return [BindingWrapper(one) for one in value]
        return value if callable(value) else python_from_rpc(value)
