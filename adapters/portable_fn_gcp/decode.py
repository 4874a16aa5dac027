"""Decode requests of functions-framework.

https://cloud.google.com/run/docs/container-contract
"""

from __future__ import annotations

import os
import time

from portable_fn.adapter import asgi
from portable_fn.http import Request, forwarded_for, forwarded_scheme, given_id
from portable_fn.pairs import Headers
from portable_fn.record import lazy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from portable_fn.trace import Trace
    from portable_fn_gcp.native import FlaskRequest, StarletteRequest


def http(native: FlaskRequest) -> Request:
    """Decode Flask's request; its body isn't read yet."""
    environ = native.environ
    raw_path = environ.get("RAW_URI")
    query = _from_latin_1(environ.get("QUERY_STRING", ""))
    if raw_path is None:
        # A server other than gunicorn passes only the decoded path, as Latin-1.
        raw_path = asgi.quoted(environ["PATH_INFO"].encode("latin-1"))
    return _request(
        environ["REQUEST_METHOD"],
        _path(raw_path),
        asgi.percent_encoded(query),
        Headers.lowered(_environ_headers(environ)),
        environ.get("wsgi.url_scheme", "http"),
        native,
    )


def http_async(native: StarletteRequest) -> Request:
    """Decode Starlette's request; its body isn't read yet."""
    scope = native.scope
    raw_path, _ = asgi.paths(scope)
    return _request(
        scope["method"],
        raw_path,
        asgi.percent_encoded(scope.get("query_string") or b""),
        asgi.headers(scope.get("headers") or ()),
        scope.get("scheme") or "http",
        native,
    )


def _request(method: str, raw_path: str, raw_query: str, headers: Headers, scheme: str, native: object) -> Request:
    return Request(
        method,
        raw_path,
        raw_query,
        headers,
        # All requests pass Google's front end, which sets x-forwarded-proto and appends to x-forwarded-for.
        scheme=forwarded_scheme(headers, scheme),
        client_ip=forwarded_for(headers),
        id=given_id(headers, "function-execution-id"),
        native=native,
    )


class GCPContext(asgi.ASGIContext):
    """The context of an invocation by functions-framework, read on first use."""

    def __init__(self, event: Request, cold_start: bool) -> None:
        super().__init__("gcp", event, cold_start)
        # `event` is replaced if the request contains an event.
        self._request = event
        self._started = time.monotonic()

    @lazy
    def invocation_id(self) -> str:
        """The id of the execution, else of the request."""
        return self._request.id

    @lazy
    def _ends(self) -> float | None:
        seconds = os.environ.get("CLOUD_RUN_TIMEOUT_SECONDS", "")
        # Cloud Run allows 1 to 3600 seconds.
        is_time = seconds.isascii() and seconds.isdigit() and len(seconds) < 7 and int(seconds) > 0
        return self._started + int(seconds) if is_time else None

    @lazy
    def _deadline_seconds(self) -> float | None:
        remaining = self.remaining()
        return None if remaining is None else time.time() + remaining

    @lazy
    def trace(self) -> Trace | None:
        """The trace of the event's publisher, else of the request's caller."""
        return _event_trace(self._carrier) or trace(self._request.headers)


def _event_trace(carrier: Mapping[str, Any]) -> Trace | None:
    """Return the trace of the publisher."""
    from portable_fn.trace import caller_trace, parse_traceparent

    # Pub/Sub's client libraries use this name.
    return parse_traceparent(carrier.get("googclient_traceparent")) or caller_trace(carrier)


def trace(headers: Headers) -> Trace | None:
    """Return the caller's trace: `traceparent`, else `X-Cloud-Trace-Context`."""
    from portable_fn.trace import caller_trace

    return caller_trace(headers) or _cloud_trace(headers.get("x-cloud-trace-context", ""))


def _cloud_trace(value: str) -> Trace | None:
    """Parse `TRACE_ID/SPAN_ID;o=1`, whose span is decimal.

    https://cloud.google.com/trace/docs/trace-context
    """
    from portable_fn.trace import make_trace

    trace_id, _, rest = value.strip().partition("/")
    span_id, _, options = rest.partition(";")
    if not span_id.isdecimal() or not span_id.isascii() or len(span_id) > 20:
        return None
    return make_trace(trace_id.lower(), f"{int(span_id):016x}", options.strip() == "o=1")


def _environ_headers(environ: Mapping[str, Any]) -> dict[str, str | list[str]]:
    """Return the headers of a WSGI environ, in which gunicorn joins repeated headers with commas."""
    headers: dict[str, str | list[str]] = {}
    for key, value in environ.items():
        if key.startswith("HTTP_"):
            name = key[5:].replace("_", "-").lower()
            headers[name] = value if value.isascii() else asgi.text(_from_latin_1(value), name.encode("latin-1"))
    for key, name in (("CONTENT_TYPE", "content-type"), ("CONTENT_LENGTH", "content-length")):
        if value := environ.get(key):
            headers[name] = value if value.isascii() else asgi.text(_from_latin_1(value))
    return headers


def _from_latin_1(text: str) -> bytes:
    # WSGI decodes bytes as Latin-1 (PEP 3333).
    return text.encode("latin-1")


def _path(raw_uri: str) -> str:
    """Return the raw path of a request target, which may be a whole URL (RFC 9112, section 3.2.2)."""
    return asgi.origin_form(asgi.percent_encoded(_from_latin_1(raw_uri.partition("?")[0])))
