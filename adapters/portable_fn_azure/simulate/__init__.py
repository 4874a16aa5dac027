"""Simulate Azure: pass a request to a function as the host and its worker do, and return the answer that a caller gets.

`simulate.events` does the same for triggers other than HTTP.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote, unquote_to_bytes

from portable_fn.adapter.binding import bindings
from portable_fn.adapter.calling import is_awaitable
from portable_fn.errors import ConfigurationError, EncodeError
from portable_fn.http import Request
from portable_fn.pairs import Headers
from portable_fn.testing.loop import run
from portable_fn.testing.results import Answer, Exchange
from portable_fn_azure.entry import entry
from portable_fn_azure.simulate.events import EVENT_SERVICES, default_service, invoker, payloads, playing, results
from portable_fn_azure.simulate.worker import FunctionContext, TraceContext

if TYPE_CHECKING:
    from portable_fn.adapter.calling import Middleware

__all__ = [
    "EVENT_SERVICES",
    "NEEDS",
    "SERVICES",
    "TAKES_APART",
    "FunctionContext",
    "TraceContext",
    "answer",
    "default_service",
    "exchange",
    "invoker",
    "payload",
    "payloads",
    "playing",
    "results",
]

SERVICES = ("http",)

# Events that arrive together may need several invocations. `invoker` takes whether each is a cold start.
TAKES_APART = True

# The modules whose objects the worker passes.
NEEDS = ("azure.functions",)

# The headers that the front end and the host add to a request.
ADDED = ("host", "client-ip", "content-length", "disguised-host", "x-forwarded-for", "x-forwarded-proto")


def exchange(
    targets: tuple[object, ...],
    request: Request[Any],
    service: str,
    *,
    use: Sequence[Middleware] = (),
    root_path: str = "",
) -> Exchange:
    """Take a request through the host and the worker to the functions, and the answer back."""
    if not any(issubclass(Request, function.kind) for function in bindings(*targets)):
        raise ConfigurationError("none of the functions takes a Request")
    app = entry(*targets, use=use, root_path=root_path)
    function: Any = app.get_functions()[0].get_user_function()
    native = payload(request)
    trace = TraceContext(request.headers.get("traceparent", ""), request.headers.get("tracestate", ""))

    def invoke() -> Any:
        result = function(req=native, context=FunctionContext(trace))
        return run(result) if is_awaitable(result) else result

    return Exchange(native, invoke, lambda result: answer(result, request.method))


def payload(request: Request[Any]) -> Any:
    """Return the azure.functions.HttpRequest that the worker passes."""
    from azure.functions import HttpRequest

    path = decoded_path(request.raw_path).removeprefix("/")
    query = f"?{request.raw_query}" if request.raw_query else ""
    headers = _joined(_lines(request))
    return HttpRequest(
        request.method,
        f"{request.scheme}://{request.host}/api/{encoded_path(path)}{query}",
        headers=headers,
        params={name: value for name, value in _joined(parse_qsl(request.raw_query, True)).items() if value},
        route_params={"path": path} if path else {},
        # The host reads only a body with a content-length.
        body=request.raw_body if "content-length" in headers else b"",
    )


def answer(native: Any, method: str) -> Answer:
    """Return the answer that the caller gets; raise EncodeError if the host would answer 500."""
    from azure.functions.http import HttpResponseConverter

    http = HttpResponseConverter.encode(native, expected_type=None).value
    if not isinstance(http, dict):
        raise EncodeError(f"the host would rewrite a str: {http!r}")
    lines: dict[str, str] = {}
    for name, value in http["headers"].items():
        lines.setdefault(name.lower(), value.value)
    pairs = [*lines.items(), *(("set-cookie", line) for jar in http["cookies"] or () for line in _cookies(jar))]
    for name, value in pairs:
        if not re.fullmatch(r"[\t -~]*", value):
            raise EncodeError(f"the host would answer 500: the header {name} isn't ASCII")
    status, body = int(http["status_code"].value), http["body"].value
    if body and status in (204, 205, 304):
        raise EncodeError(f"the host would answer 500: a {status} has no body")
    return Answer(status, Headers(pairs), b"" if method == "HEAD" else body)


def decoded_path(raw: str) -> str:
    """Decode a path as Kestrel does: %2F, and bytes that aren't UTF-8, stay encoded.

    Source: dotnet/aspnetcore, src/Shared/UrlDecoder/UrlDecoder.cs.
    """

    def decoded(match: re.Match[str]) -> str:
        try:
            return unquote_to_bytes(match[0]).decode()
        except UnicodeDecodeError:
            return match[0]

    return re.sub(r"(?:%(?!2[Ff])[0-9A-Fa-f]{2})+", decoded, raw)


def encoded_path(decoded: str) -> str:
    """Encode a decoded path as the host does for the URL: text that looks percent-encoded stays.

    Source: dotnet/aspnetcore, src/Http/Http.Abstractions/src/PathString.cs.
    """
    return quote(re.sub(r"%(?![0-9A-Fa-f]{2})", "%25", decoded), safe="/%!$&'()*+,;=:@~")


def _lines(request: Request[Any]) -> list[tuple[str, str]]:
    """Return the header lines that reach the host, with what the front end adds about the client."""
    pairs = [pair for pair in request.headers.multi_items() if pair[0] not in ADDED]
    client = request.client_ip or "203.0.113.7"
    seen = f"[{client}]:54321" if ":" in client else f"{client}:54321"
    lines = [
        ("host", request.host),
        ("client-ip", seen),
        ("disguised-host", request.host),
        ("x-forwarded-for", ", ".join([*request.headers.get_all("x-forwarded-for"), seen])),
        ("x-forwarded-proto", request.scheme),
        *pairs,
    ]
    if request.raw_body and "transfer-encoding" not in request.headers:
        lines.append(("content-length", str(len(request.raw_body))))
    return lines


def _joined(pairs: list[tuple[str, str]]) -> dict[str, str]:
    """Join repeated values by a comma without a space."""
    joined: dict[str, str] = {}
    for name, value in pairs:
        joined[name] = f"{joined[name]},{value}" if name in joined else value
    return joined


def _cookies(jar: Any) -> list[str]:
    """Return the Set-Cookie lines that the host writes for the fields of cookies that the worker sends.

    Source: azure-functions-python-worker, datumdef.py; dotnet/aspnetcore, ResponseCookies.cs and SetCookieHeaderValue.cs.
    """
    lines = []
    for name, cookie in jar.items():
        parts = [f"{name}={quote(cookie.value, safe='')}"]
        parts += [f"expires={cookie['expires']}"] if cookie["expires"] else []
        parts += [f"max-age={int(cookie['max-age'])}"] if cookie["max-age"] else []
        parts += [f"{key}={cookie[key]}" for key in ("domain", "path") if cookie[key] is not None]
        parts += ["secure"] if cookie["secure"] else []
        parts += [f"samesite={cookie['samesite'].lower()}"] if cookie["samesite"] else []
        parts += ["httponly"] if cookie["httponly"] else []
        lines.append("; ".join(parts))
    return lines
