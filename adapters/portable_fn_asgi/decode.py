"""ASGI's scopes as neutral events. https://asgi.readthedocs.io/en/latest/specs/www.html"""

from __future__ import annotations

from time import time

from portable_fn.asgi import headers, paths, percent_encoded
from portable_fn.http import Request, unquoted
from portable_fn.pairs import Headers
from portable_fn.record import lazy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from portable_fn_asgi.native import HTTPScope


class ScopeRequest(Request):
    """The request of an http scope, its body still to be read; what is seldom used is read when it is asked for."""

    native: HTTPScope
    _host = _principal = _id = None

    def __init__(self, scope: HTTPScope) -> None:
        self.method = scope["method"]
        self.raw_path, self.root_path = paths(scope)
        self.path = unquoted(self.raw_path)
        self.raw_query = percent_encoded(scope["query_string"])
        self.scheme = scope.get("scheme", "http")
        self.body = b""
        self.params = {}
        self._time = time()
        self.native = scope

    @lazy
    def _headers(self) -> Headers:
        return headers(self.native["headers"])

    @lazy
    def _client_ip(self) -> str | None:
        client = self.native.get("client")
        return client[0] if client else None
