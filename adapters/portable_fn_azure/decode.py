"""Decode HTTP requests of Azure Functions, and the context of an invocation.

https://learn.microsoft.com/azure/azure-functions/functions-reference-python
"""

from __future__ import annotations

import os

from portable_fn.context import Context
from portable_fn.http import Principal, Request, given_id, new_id
from portable_fn.pairs import Headers
from portable_fn.record import Record, lazy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator, Mapping
    from typing import Any

    from portable_fn.trace import Trace
    from portable_fn_azure.native import FunctionContext, HttpRequest, StreamingRequest


class Place(Record):
    """The place of the path in an Azure route.

    `names` has the parameters of the last segments ("" for a literal), `rest` the name of the catch-all after them.
    """

    _fields = ("names", "rest")
    __slots__ = _fields

    def __init__(self, names: tuple[str, ...], rest: str = "") -> None:
        self.names = names
        self.rest = rest

    def split(self, path: str, route_params: Mapping[str, str]) -> tuple[str, str]:
        """Split a URL's path into the route prefix ("/api" unless host.json has another) and the rest."""
        rest = route_params.get(self.rest) if self.rest else None
        count = len(self.names)
        if rest:
            # Both have the same slashes: an encoded one stays encoded, in the URL and in the route's value.
            count += rest.count("/") + 1
        else:
            # The host ignores a slash at the end.
            count += path.endswith("/")
        segments = path.split("/")
        cut = max(len(segments) - count, 1)
        after = segments[cut:]
        if "%" in path:
            # The host writes %2541 as %41 into the URL. Only the route's values still tell it from an A.
            for number, name in enumerate(self.names):
                if name and "%" in route_params.get(name, ""):
                    after[number] = _encoded(route_params[name])
            if rest and "%" in rest:
                after[len(self.names) :] = [_encoded(rest)]
        return "/".join(segments[:cut]), "/" + "/".join(after)


EVERYWHERE = Place((), "path")


def http(native: HttpRequest, context: FunctionContext | None, place: Place | None) -> Request:
    """Decode a request. Without a place, its path is the whole URL's, and its parameters are the route's."""
    scheme, _, address = native.url.partition("://")
    host, _, target = address.partition("/")
    path, _, raw_query = target.partition("?")
    params = None
    if place is not None:
        root_path, raw_path = place.split(f"/{path}", native.route_params)
    else:
        root_path, raw_path = "", f"/{path}"
        # The host decodes everything except slashes.
        params = {name: value.replace("%2F", "/").replace("%2f", "/") for name, value in native.route_params.items()}
    headers = native.headers
    return Request(
        native.method,
        raw_path,
        raw_query,
        lambda: Headers.lowered(dict(headers)),
        native.get_body(),
        params=params,
        host=host,
        scheme=scheme,
        root_path=root_path,
        client_ip=_address(headers.get("x-forwarded-for")),
        principal=_principal(headers),
        id=given_invocation(context),
        native=native,
    )


def streaming(native: StreamingRequest, context: FunctionContext, place: Place) -> Request:
    """Decode a request of the streaming extension, without reading its body."""
    from portable_fn.adapter.asgi import headers as asgi_headers
    from portable_fn.adapter.asgi import paths, percent_encoded

    scope = native.scope
    headers = asgi_headers(scope["headers"])
    root_path, raw_path = place.split(paths(scope)[0], native.path_params)
    return Request(
        scope["method"],
        raw_path,
        percent_encoded(scope["query_string"]),
        headers,
        # The host's proxy sets these three, whatever the client sent. Source: azure-functions-host,
        # DefaultHttpProxyService, and microsoft/reverse-proxy, HttpTransformer.Default.
        host=headers.get("x-forwarded-host"),
        scheme=headers.get("x-forwarded-proto", "https"),
        root_path=root_path,
        # X-Forwarded-For holds the host's own peer here. App Service's front end overwrites Client-IP.
        # Source: Azure/app-service-linux-docs, Things_You_Should_Know/headers.md.
        client_ip=_address(headers.get("client-ip")) if "WEBSITE_SKU" in os.environ else None,
        principal=_principal(headers),
        id=given_invocation(context),
        native=native,
    )


def given_invocation(context: object) -> str | None:
    """Return the invocation's id; None if the context is None or a mock."""
    return given_id({"id": getattr(context, "invocation_id", None)}, "id")


def invocation_id(context: object) -> str:
    """Return the invocation's id, or a new one: each invocation has another id anyway."""
    return given_invocation(context) or new_id()


class AzureContext(Context):
    """The context of an invocation, read from the worker's context on first use."""

    version = ""

    def __init__(self, native: FunctionContext | None, cold_start: bool) -> None:
        self.provider = "azure"
        self.native = native
        self.cold_start = cold_start
        # All its events share it.
        self._id = invocation_id(native)

    @lazy
    def invocation_id(self) -> str:
        # The request's, if the worker's context has none.
        return self.event.id if isinstance(self.event, Request) else self._id

    @lazy
    def function(self) -> str:
        name = getattr(self.native, "function_name", None)
        return name if isinstance(name, str) else ""

    @lazy
    def region(self) -> str:
        return os.environ.get("REGION_NAME", "")

    @lazy
    def trace(self) -> Trace | None:
        from portable_fn.trace import caller_trace, parse_traceparent

        carrier = self._carrier
        # The host replaces the caller's span with its own.
        continued = getattr(self.native, "trace_context", None)
        return caller_trace(carrier) or parse_traceparent(
            getattr(continued, "trace_parent", None), getattr(continued, "trace_state", None)
        )


# The worker assigns a log line to an invocation by its thread.
# https://learn.microsoft.com/azure/azure-functions/functions-reference-python#log-from-created-threads


def logged(call: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """Wrap a call that runs in a thread of ours, so that its log lines belong to the invocation."""

    def called(event: Any, context: Context) -> Any:
        storage = getattr(context.native, "thread_local_storage", None)
        if storage is None:
            return call(event, context)
        storage.invocation_id = context.invocation_id
        try:
            return call(event, context)
        finally:
            storage.invocation_id = None

    return called


def logged_steps(awaitable: Awaitable[Any], context: Context) -> Awaitable[Any]:
    """Wrap an awaitable for our event loop, where several invocations share a thread, so that its log lines belong to its own."""
    storage = getattr(context.native, "thread_local_storage", None)
    return awaitable if storage is None else _LoggedSteps(awaitable, storage, context.invocation_id)


class _LoggedSteps:
    def __init__(self, awaitable: Awaitable[Any], storage: Any, invocation_id: str) -> None:
        self._awaitable = awaitable
        self._storage = storage
        self._invocation_id = invocation_id

    def __await__(self) -> Generator[Any, Any, Any]:
        steps: Any = self._awaitable.__await__()
        step, value = steps.send, None
        while True:
            before = getattr(self._storage, "invocation_id", None)
            self._storage.invocation_id = self._invocation_id
            try:
                waits_for = step(value)
            except StopIteration as stop:
                return stop.value
            finally:
                self._storage.invocation_id = before
            try:
                step, value = steps.send, (yield waits_for)
            except BaseException as exc:
                step, value = steps.throw, exc

    def close(self) -> None:
        """Close an awaitable that never started."""
        if (close := getattr(self._awaitable, "close", None)) is not None:
            close()


# The claims that may hold the subject if its header is missing.
_SUBJECTS = ("http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier", "sub")


def _principal(headers: Mapping[str, str]) -> Principal | None:
    """Return the principal that App Service's authentication ("Easy Auth") verified; None if its header is malformed.

    Only while it is on does it replace these headers. While it is off, any client can send them.

    https://learn.microsoft.com/azure/app-service/configure-authentication-user-identities
    """
    if os.environ.get("WEBSITE_AUTH_ENABLED", "").lower() != "true":
        return None
    encoded = headers.get("x-ms-client-principal")
    if not encoded:
        return None
    from binascii import a2b_base64
    from json import loads

    try:
        claims = loads(a2b_base64(encoded + "=="))
        values = {claim["typ"]: claim["val"] for claim in claims["claims"]}
        subject = headers.get("x-ms-client-principal-id") or next(
            (values[name] for name in _SUBJECTS if name in values), ""
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return Principal(str(subject), "easyauth", claims)


def _encoded(value: str) -> str:
    """Percent-encode a route's value, which the host decoded except for slashes."""
    from urllib.parse import quote

    return quote(value, safe="/:@!$&'()*+,;=-._~").replace("%252F", "%2F").replace("%252f", "%2f")


def _address(forwarded: str | None) -> str | None:
    """Return the last address without its port. The front end adds it; clients can send the others."""
    last = (forwarded or "").rpartition(",")[2].strip()
    if last.startswith("["):
        last = last[1:].partition("]")[0]
    elif last.count(":") == 1:
        last = last.partition(":")[0]
    return last or None
