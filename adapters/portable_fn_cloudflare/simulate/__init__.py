"""Cloudflare's half of the wire: what a Worker is called with, and its answer as Cloudflare has it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from portable_fn.http import Request
from portable_fn.pairs import Headers
from portable_fn.testing.loop import run
from portable_fn.testing.results import Answer, Exchange
from portable_fn_cloudflare.entry import worker
from portable_fn_cloudflare.simulate.events import EVENT_SERVICES, invoker, payloads, playing, results
from portable_fn_cloudflare.simulate.javascript import (
    FFI,
    JS,
    Env,
    ExecutionContext,
    FetchRequest,
    JsProxy,
    JSResponse,
    Proxy,
    SDKRequest,
    WorkerEntrypoint,
)

if TYPE_CHECKING:
    from portable_fn.adapter.calling import Middleware

__all__ = [
    "EVENT_SERVICES",
    "FFI",
    "JS",
    "SERVICES",
    "Env",
    "ExecutionContext",
    "JsProxy",
    "Proxy",
    "SDKRequest",
    "WorkerEntrypoint",
    "answer",
    "exchange",
    "fetch_request",
    "found_out",
    "invoker",
    "payloads",
    "playing",
    "results",
    "served",
]

SERVICES = ("fetch",)

# What Cloudflare's edge itself puts into a request's headers, whatever the client sent.
SET = ("host", "cf-connecting-ip", "cf-ray", "x-forwarded-proto")


def exchange(
    targets: tuple[object, ...],
    request: Request[Any],
    service: str,
    *,
    use: Sequence[Middleware] = (),
    root_path: str = "",
) -> Exchange:
    """The request on its way to the functions and back."""
    default = worker(targets, WorkerEntrypoint, JS, FFI, use, root_path)
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
    lines = [pair for pair in request.headers.multi_items() if pair[0] not in (*SET, "x-forwarded-for")]
    lines += [
        ("host", request.host),
        ("cf-connecting-ip", request.client_ip or ""),
        ("cf-ray", request.id),
        ("x-forwarded-for", ", ".join(forwarded)),
        ("x-forwarded-proto", request.scheme),
    ]
    if request.raw_body:
        lines.append(("content-length", str(len(request.raw_body))))
    url = f"{request.scheme}://{request.host}{request.raw_path}{query}"
    return FetchRequest(request.method, url, lines, request.raw_body, found_out(request))


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
