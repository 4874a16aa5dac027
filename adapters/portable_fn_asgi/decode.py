"""ASGI's scopes as neutral events. https://asgi.readthedocs.io/en/latest/specs/www.html"""

from __future__ import annotations

import os

from portable_fn.asgi import headers, paths, percent_encoded
from portable_fn.context import Context
from portable_fn.http import Request
from portable_fn.record import lazy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from portable_fn_asgi.native import HTTPScope


def request(scope: HTTPScope) -> Request:
    """The request of an http scope, its body still to be read."""
    raw_path, root_path = paths(scope)
    client = scope.get("client")
    return Request(
        scope["method"],
        raw_path,
        percent_encoded(scope["query_string"]),
        lambda: headers(scope["headers"]),
        scheme=scope.get("scheme", "http"),
        root_path=root_path,
        client_ip=client[0] if client else None,
        native=scope,
    )


class ServerInvocation(Context):
    """What surrounds a request to an ASGI server, read when it is asked for.

    The names are Knative's and Cloud Run's: https://knative.dev/docs/serving/ (K_SERVICE, K_REVISION).
    """

    def __init__(self, scope: HTTPScope, event: Request, cold_start: bool) -> None:
        self.provider = "asgi"
        self.region = ""
        self.native = scope
        self.cold_start = cold_start
        self.event: Request = event

    @lazy
    def invocation_id(self) -> str:
        return self.event.id

    @lazy
    def function(self) -> str:
        return os.environ.get("K_SERVICE", "")

    @lazy
    def version(self) -> str:
        return os.environ.get("K_REVISION", "")
