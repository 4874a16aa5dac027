"""Simulate Cloudflare: call a Worker and read its answer."""

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
    "edge_properties",
    "exchange",
    "fetch_request",
    "invoker",
    "payloads",
    "playing",
    "results",
    "served",
]

SERVICES = ("fetch",)

# Headers that Cloudflare's edge sets, in place of the client's.
SET = ("host", "cf-connecting-ip", "cf-ray", "x-forwarded-proto")


def exchange(
    targets: tuple[object, ...],
    request: Request[Any],
    service: str,
    *,
    use: Sequence[Middleware] = (),
    root_path: str = "",
) -> Exchange:
    """Prepare the exchange of a request."""
    default = worker(targets, WorkerEntrypoint, JS, FFI, use, root_path)
    native = fetch_request(request)
    return Exchange(native, lambda: run(served(default, native)), answer)


async def served(default: type[Any], native: FetchRequest, env: dict[str, Any] | None = None) -> JSResponse:
    """Return the Worker's response after its stream and its background work have ended; `env` has the bindings."""
    context = ExecutionContext()
    response: JSResponse = await default(context, Env(dict(os.environ) if env is None else env)).fetch(
        SDKRequest(native)
    )
    if not isinstance(response, JSResponse):
        raise TypeError(f"workerd takes a Response, not {type(response).__name__}")
    if response.body is not None:
        response.chunks = [chunk async for chunk in response.body]
    while context.work:
        await context.work.pop()
    return response


def fetch_request(request: Request[Any]) -> FetchRequest:
    """Build the request that the edge passes to the Worker."""
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
    return FetchRequest(request.method, url, lines, request.raw_body, edge_properties(request))


def edge_properties(request: Request[Any]) -> dict[str, Any]:
    """Return `request.cf`, which the edge adds."""
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
    """Return what the caller receives; raise ConnectionError if the stream broke off."""
    if native.body is not None and native.body.broken is not None:
        raise ConnectionError(f"the answer broke off after {sum(map(len, native.chunks))} bytes: {native.body.broken}")
    return Answer(native.status, Headers(native.headers), b"".join(native.chunks), native.chunks)
