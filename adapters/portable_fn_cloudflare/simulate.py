"""Cloudflare's half of the wire: requests as a Worker gets them, and its answer as the caller gets it.

The entry runs on stand-ins for the modules `js`, `pyodide.ffi` and `workers`, which do what real workerd was seen to do.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from types import SimpleNamespace
from typing import Any

from portable_fn.http import Request
from portable_fn.pairs import Headers
from portable_fn.testing.delivery import Answer, Exchange
from portable_fn.testing.loop import run
from portable_fn_cloudflare.entry import worker

SERVICES = ("fetch",)

# What Cloudflare's edge itself puts into a request's headers, whatever the client sent.
SET = ("host", "cf-connecting-ip", "cf-ray", "x-forwarded-proto")


def exchange(targets: tuple[object, ...], request: Request[Any], service: str) -> Exchange:
    """The request on its way to the functions and back."""
    default = worker(targets, WorkerEntrypoint, JS, FFI)
    native = fetch_request(request)
    return Exchange(native, lambda: run(served(default, native)), answer)


async def served(default: type[Any], native: FetchRequest, env: dict[str, Any] | None = None) -> JSResponse:
    """The Worker's response, its stream read to the end and its background work done; `env` are the bindings."""
    context = ExecutionContext()
    made: JSResponse = await default(context, Env(dict(os.environ) if env is None else env)).fetch(SDKRequest(native))
    if not isinstance(made, JSResponse):
        raise TypeError(f"workerd takes a Response, not {type(made).__name__}")
    if made.body is not None:
        made.chunks = [chunk async for chunk in made.body]
    while context.work:
        await context.work.pop()
    return made


def fetch_request(request: Request[Any]) -> FetchRequest:
    """The request as a Worker gets it from the edge."""
    query = f"?{request.raw_query}" if request.raw_query else ""
    forwarded = [*request.headers.get_all("x-forwarded-for"), request.client_ip or ""]
    lines = [pair for pair in request.headers.pairs if pair[0] not in (*SET, "x-forwarded-for")]
    lines += [
        ("host", request.host),
        ("cf-connecting-ip", request.client_ip or ""),
        ("cf-ray", request.id),
        ("x-forwarded-for", ", ".join(forwarded)),
        ("x-forwarded-proto", request.scheme),
    ]
    if request.body:
        lines.append(("content-length", str(len(request.body))))
    url = f"{request.scheme}://{request.host}{request.raw_path}{query}"
    return FetchRequest(request.method, url, lines, request.body, found_out(request))


def found_out(request: Request[Any]) -> dict[str, Any]:
    """What the edge says of the request: `request.cf`."""
    certificate = {"certPresented": "0", "certVerified": "NONE", "certRevoked": "0", "certSubjectDN": ""}
    if request.principal is not None and request.principal.scheme == "mtls":
        certificate.update(certPresented="1", certVerified="SUCCESS", certSubjectDN=request.principal.id)
        certificate.update(request.principal.claims)
    return {
        "colo": "AMS",
        "country": "NL",
        "httpProtocol": "HTTP/2",
        "tlsVersion": "TLSv1.3",
        "tlsClientAuth": certificate,
    }


def answer(native: JSResponse) -> Answer:
    """What the caller receives for a Worker's response; ConnectionError for a stream that broke off."""
    if native.body is not None and native.body.broken is not None:
        raise ConnectionError(f"the answer broke off after {sum(map(len, native.chunks))} bytes: {native.body.broken}")
    return Answer(native.status, Headers(native.headers), b"".join(native.chunks), native.chunks)


# JavaScript


class JsProxy:
    """A value of JavaScript's: JSON, or bytes."""

    def __init__(self, value: Any) -> None:
        self.value = value

    @property
    def constructor(self) -> SimpleNamespace:
        return SimpleNamespace(name={"dict": "Object", "list": "Array"}.get(type(self.value).__name__, "Uint8Array"))

    def __getattr__(self, name: str) -> Any:
        try:
            return _javascript(self.value[name])
        except (KeyError, TypeError) as exc:
            raise AttributeError(name) from exc

    def to_py(self) -> Any:
        return self.value

    def to_bytes(self) -> bytes:
        return bytes(self.value)


class JsNull:
    """JavaScript's null, which is not None."""

    def __bool__(self) -> bool:
        return False


jsnull = JsNull()


class JsException(Exception):
    """What JavaScript threw."""


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
    """A copy of the value for JavaScript."""
    return JsProxy(bytes(value) if isinstance(value, memoryview) else [list(item) for item in value])


def _javascript(value: Any) -> Any:
    """A value of JSON as Pyodide hands it over."""
    if value is None:
        return jsnull
    return JsProxy(value) if isinstance(value, (dict, list)) else value


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
    """A request's body, in pieces of at most 4096 bytes."""

    def __init__(self, whole: bytes) -> None:
        self.whole = whole

    async def __aiter__(self) -> AsyncIterator[JsProxy]:
        for start in range(0, len(self.whole), 4096):
            yield JsProxy(self.whole[start : start + 4096])


class ReadableStream:
    """A stream whose source is pulled for a piece whenever there is none."""

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
    JSON=SimpleNamespace(stringify=lambda proxy: json.dumps(proxy.value)),
    Object=SimpleNamespace(keys=lambda env: JsProxy(list(env))),
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
            return _javascript(self._env[name])
        except KeyError as exc:
            raise AttributeError(name) from exc


class ExecutionContext:
    """What a Worker's `ctx` is."""

    def __init__(self) -> None:
        self.work: list[asyncio.Future[object]] = []

    def waitUntil(self, work: Any) -> None:  # noqa: N802  # JavaScript's name
        self.work.append(asyncio.ensure_future(work))


class WorkerEntrypoint:
    """The SDK's class of the same name."""

    def __init__(self, ctx: ExecutionContext, env: Env) -> None:
        self.ctx = ctx
        self.env = env
