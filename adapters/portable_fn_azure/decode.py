"""Azure Functions' HTTP requests, timers and Durable activities as neutral events.

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

    `names` has the parameters of the last segments ("" for plain text), `rest` is the name of the catch-all.
    """

    _fields = ("names", "rest")
    __slots__ = _fields

    def __init__(self, names: tuple[str, ...], rest: str = "") -> None:
        self.names = names
        self.rest = rest

    def split(self, path: str, route_params: Mapping[str, str]) -> tuple[str, str]:
        """The route prefix of a URL's path ("/api" unless host.json says otherwise), and the path after it."""
        rest = route_params.get(self.rest) if self.rest else None
        count = len(self.names)
        if rest:
            # Both have the same slashes: an encoded one stays encoded, in the URL and in the route's value.
            count += rest.count("/") + 1
        else:
            # The host matches with and without a slash at the end.
            count += path.endswith("/")
        segments = path.split("/")
        cut = max(len(segments) - count, 1)
        after = segments[cut:]
        if "%" in path:
            # The URL has %41 for %2541, the route's values have it apart from A.
            for number, name in enumerate(self.names):
                if name and "%" in route_params.get(name, ""):
                    after[number] = _encoded(route_params[name])
            if rest and "%" in rest:
                after[len(self.names) :] = [_encoded(rest)]
        return "/".join(segments[:cut]), "/" + "/".join(after)


EVERYWHERE = Place((), "path")


def http(native: HttpRequest, context: FunctionContext | None, place: Place | None) -> Request:
    """The HTTP trigger's request; without a place its whole path, with the route's parameters."""
    scheme, _, address = native.url.partition("://")
    host, _, target = address.partition("/")
    path, _, raw_query = target.partition("?")
    params = None
    if place is not None:
        root_path, raw_path = place.split(f"/{path}", native.route_params)
    else:
        root_path, raw_path = "", f"/{path}"
        # The host decodes all but the slashes.
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
    """The request of the streaming extension, its body still to be read."""
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
        # X-Forwarded-For is the host's own peer then. App Service's front end overwrites Client-IP, where there is one.
        # Source: Azure/app-service-linux-docs, Things_You_Should_Know/headers.md.
        client_ip=_address(headers.get("client-ip")) if "WEBSITE_SKU" in os.environ else None,
        principal=_principal(headers),
        id=given_invocation(context),
        native=native,
    )


def given_invocation(context: object) -> str | None:
    """The invocation's id; None where the worker's context is none, or a mock of it."""
    return given_id({"id": getattr(context, "invocation_id", None)}, "id")


def invocation_id(context: object) -> str:
    """The invocation's id, or a new one: it is another one for each invocation anyway."""
    return given_invocation(context) or new_id()


class AzureContext(Context):
    """What surrounds an invocation, read from the worker's context when it is asked for."""

    version = ""

    def __init__(self, native: FunctionContext | None, cold_start: bool) -> None:
        self.provider = "azure"
        self.native = native
        self.cold_start = cold_start
        # One for all of its events.
        self._id = invocation_id(native)

    @lazy
    def invocation_id(self) -> str:
        # The request's own, if the worker tells none.
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
        # What the host gives has its own span in place of the caller's.
        continued = getattr(self.native, "trace_context", None)
        return caller_trace(carrier) or parse_traceparent(
            getattr(continued, "trace_parent", None), getattr(continued, "trace_state", None)
        )


# The worker finds the invocation of a log line by the thread that writes it.
# https://learn.microsoft.com/azure/azure-functions/functions-reference-python#log-from-created-threads


def logged(call: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """Return the call for a thread that the worker doesn't know; its second argument is the context."""

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
    """Return the awaitable for an event loop that the worker doesn't know, where several take turns in one thread."""
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
        """Close what wasn't begun."""
        if (close := getattr(self._awaitable, "close", None)) is not None:
            close()


# The claims that may hold the subject, where the header of its own is missing.
_SUBJECTS = ("http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier", "sub")


def _principal(headers: Mapping[str, str]) -> Principal | None:
    """Whom App Service's authentication ("Easy Auth") verified; None for a header that can't be read.

    Its headers are anybody's to send where it is off: it replaces them only where it is on.
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
        named = {claim["typ"]: claim["val"] for claim in claims["claims"]}
        subject = headers.get("x-ms-client-principal-id") or next(
            (named[name] for name in _SUBJECTS if name in named), ""
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return Principal(str(subject), "easyauth", claims)


def _encoded(value: str) -> str:
    """A route's value, percent-encoded; the host decodes all but the slashes."""
    from urllib.parse import quote

    return quote(value, safe="/:@!$&'()*+,;=-._~").replace("%252F", "%2F").replace("%252f", "%2f")


def _address(forwarded: str | None) -> str | None:
    """The last address, which the front end itself saw, without its port; a client can send the others."""
    last = (forwarded or "").rpartition(",")[2].strip()
    if last.startswith("["):
        last = last[1:].partition("]")[0]
    elif last.count(":") == 1:
        last = last.partition(":")[0]
    return last or None
