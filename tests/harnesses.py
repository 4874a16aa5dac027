"""Run the stories on each provider's adapter, in this process. The real runtimes are in runtimes/harnesses.py."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from portable_fn.http import Request
from portable_fn.record import Record
from portable_fn.testing.delivery import deliver
from portable_fn.testing.results import Answer
from portable_fn.testing.stories import app

Send = Callable[[Request[Any]], Answer]


class Harness(Record):
    """A way to send requests to the stories' functions. `cannot` has the stories that can't hold there, with the reason."""

    _fields = ("name",)

    def __init__(self, name: str, start: Callable[[], Any], cannot: dict[str, str] | None = None) -> None:
        self.name = name
        self.start = start
        self.cannot = cannot or {}


STREAM = "a stream's chunks arrive one by one"
CLIENT_IP = "the client's address is what the provider's proxy saw"

AWS_COLLECTS = {STREAM: "awslambdaric can't stream, so a stream is collected; portable_fn_aws.runtime streams"}
AWS_BALANCED = {
    **AWS_COLLECTS,
    "a 1 MiB response body is received whole": "a load balancer takes an answer of 1 MiB, as JSON, so 768 KiB of bytes",
}
GCP_ASYNC = {
    "unusual methods arrive: PROPFIND, PURGE": "functions-framework has Starlette route seven methods; the others are its 405"
}
_AZURE_ASCII = {
    "a non-ASCII response header value is received unchanged": "the host answers 500 for one, so it is percent-encoded as UTF-8"
}
AZURE = {**_AZURE_ASCII, STREAM: "only the streaming extension sends chunks; otherwise a stream is collected"}
_AZURE_404 = "if no function's route matches, the host answers with a bare 404"
AZURE_EACH = {
    **AZURE,
    "an unknown path is a 404": _AZURE_404,
    "a missing path parameter is a 404": _AZURE_404,
}
AZURE_STREAMING = {
    **_AZURE_ASCII,
    "a non-ASCII header value arrives unchanged": "the host's proxy before the streaming extension refuses one with 502",
    "unusual methods arrive: PROPFIND, PURGE": "the streaming extension's server routes eight methods; Azure names seven",
}


def simulated(provider: str, service: str | None = None, cannot: dict[str, str] | None = None) -> Harness:
    """Return the provider's adapter, with `simulate` as the provider's half of the wire."""

    @contextmanager
    def start() -> Iterator[Send]:
        yield lambda request: deliver(app, request, to=provider, via=service)

    return Harness(f"{provider} {service}" if service else provider, start, cannot)


_RAW_PATH = "the raw path is the path as sent"
_SLASH = "an encoded slash doesn't split a path parameter"

IN_PROCESS = [
    simulated(
        "aws",
        "http_api",
        {
            **AWS_COLLECTS,
            _SLASH: "an HTTP API decodes the path before the function sees it",
        },
    ),
    simulated(
        "aws",
        "function_url",
        {**AWS_COLLECTS, "the host is what the client called": "a function URL has only its own host"},
    ),
    simulated("aws", "rest_api", AWS_COLLECTS),
    simulated(
        "aws",
        "alb",
        {
            **AWS_BALANCED,
            "repeated query names keep every value, in order": "ALB keeps the last value unless multi-value is on",
            "repeated request headers read as one, joined": "ALB keeps the last value unless multi-value is on",
        },
    ),
    simulated("aws", "alb_multi_value", AWS_BALANCED),
    simulated("aws", "lattice_v1", AWS_COLLECTS),
    simulated("aws", "lattice_v2", AWS_COLLECTS),
    simulated("gcp", "http"),
    simulated("gcp", "http_async", GCP_ASYNC),
    simulated("asgi"),
    simulated("azure", None, AZURE),
    simulated("cloudflare"),
]
