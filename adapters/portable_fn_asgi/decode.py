"""Decode ASGI scopes.

https://asgi.readthedocs.io/en/latest/specs/www.html
"""

from __future__ import annotations

from time import time

from portable_fn.adapter.asgi import ASGIContext, headers, paths, percent_encoded
from portable_fn.errors import HTTPError
from portable_fn.http import Request, given_id
from portable_fn.pairs import Headers, unquoted
from portable_fn.record import lazy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from portable_fn.trace import Trace
    from portable_fn_asgi.native import HTTPScope


MAX_HEADERS = 1000


class ScopeRequest(Request):
    """The request of an http scope; its body isn't read yet. Rarely used fields are read on first use."""

    native: HTTPScope
    _host = _principal = _id = None

    def __init__(self, scope: HTTPScope) -> None:
        self.method = scope["method"]
        self.raw_path, self.root_path = paths(scope)
        self.path = unquoted(self.raw_path)
        self.raw_query = percent_encoded(scope.get("query_string") or b"")
        self.scheme = scope.get("scheme") or "http"
        self.raw_body = b""
        self._params = {}
        self._time = time()
        self.native = scope

    @lazy
    def _headers(self) -> Headers:
        lines = tuple(self.native.get("headers") or ())
        # uvicorn with httptools accepts any number of headers.
        if len(lines) > MAX_HEADERS:
            raise HTTPError(431, f"The request has over {MAX_HEADERS} headers.")
        return headers(lines)

    @lazy
    def _client_ip(self) -> str | None:
        client = self.native.get("client")
        return client[0] if client else None


class EventContext(ASGIContext):
    """The context of events in a request; what an event doesn't contain is the request's."""

    def __init__(self, request: Request, cold_start: bool) -> None:
        super().__init__("asgi", request, cold_start)
        self.request = request

    @lazy
    def invocation_id(self) -> str:
        """The request's id."""
        return self.request.id

    @lazy
    def trace(self) -> Trace | None:
        """The event's trace, else the request's."""
        from portable_fn.trace import caller_trace

        return caller_trace(self._carrier) or caller_trace(self.request.headers)

    @lazy
    def correlation_id(self) -> str:
        """The event's correlation id, else the request's, else its id."""
        for carrier in (self._carrier, self.request.headers):
            if id := given_id(carrier, "x-correlation-id", "correlationid", "x-request-id"):
                return id
        return self.invocation_id


def check_token(request: Request) -> None:
    """Raise HTTPError 401 if the environment has a token for events, and the request hasn't.

    https://docs.dapr.io/operations/security/app-api-token/
    """
    from portable_fn.adapter import callers

    callers.check(request, {"APP_API_TOKEN": "dapr-api-token", callers.TOKEN: callers.HEADER})
