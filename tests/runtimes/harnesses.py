"""The real runtimes as harnesses of the stories; each plays the proxy that a provider has before its runtime."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from harnesses import GCP_ASYNC, Harness, Send
from portable_fn.http import Request
from portable_fn.pairs import Headers
from portable_fn.testing.results import Answer
from tests.runtimes import aws_stories, azure_stories, cloudflare_stories, wire
from tests.runtimes.asgi import uvicorn
from tests.runtimes.environments import ROOT
from tests.runtimes.gcp import functions_framework
from tests.runtimes.process import Server

PYTHONPATH = (ROOT / "src", ROOT / "adapters")


def over_http(server: Server, request: Request) -> Answer:
    """What a client of the provider receives, whose proxy says who called, whom and how."""
    forwarded = [*request.headers.get_all("x-forwarded-for"), request.client_ip or "203.0.113.7"]
    headers = [
        ("host", request.host),
        ("x-forwarded-for", ", ".join(forwarded)),
        ("x-forwarded-proto", request.scheme),
        *(
            pair
            for pair in request.headers.multi_items()
            if pair[0] not in ("host", "x-forwarded-for", "x-forwarded-proto")
        ),
    ]
    target = f"{request.raw_path}?{request.raw_query}" if request.raw_query else request.raw_path
    on_the_wire = [(name, wire.octets(value)) for name, value in headers]
    body = request.raw_body if request.raw_body or request.method in ("POST", "PUT", "PATCH") else None
    received = wire.send(server.url, request.method, target, on_the_wire, body)
    assert received.complete, f"the answer breaks off: {received}"
    lines = [(name, value.encode("latin-1").decode()) for name, value in received.headers]
    return Answer(received.status, Headers(lines), received.body, [chunk for _, chunk in received.chunks])


def served(
    name: str, source: str, serve: Callable[[Path], AbstractContextManager[Server]], cannot: dict[str, str]
) -> Harness:
    """Serve the source over HTTP by a runtime, as main.py in a new folder."""

    @contextmanager
    def start() -> Iterator[Send]:
        with TemporaryDirectory() as folder:
            main = Path(folder, "main.py")
            main.write_text(source)
            with serve(main) as server:
                yield partial(over_http, server)

    return Harness(name, start, cannot)


_GCP = """
from portable_fn.testing.stories import app
from portable_fn_gcp import entry

main = entry(app)
"""

_ASGI = """
from portable_fn.testing.stories import app
from portable_fn_asgi import entry

main = entry(app)
"""

# How uvicorn trusts its proxy: a connection from 127.0.0.1, as --proxy-headers has it by default.
REAL = [
    *aws_stories.HARNESSES,
    *azure_stories.HARNESSES,
    *cloudflare_stories.HARNESSES,
    served("functions-framework", _GCP, lambda main: functions_framework(main, "main", pythonpath=PYTHONPATH), {}),
    served(
        "functions-framework --asgi",
        _GCP,
        lambda main: functions_framework(main, "main", asgi=True, pythonpath=PYTHONPATH),
        GCP_ASYNC,
    ),
    served("uvicorn", _ASGI, lambda main: uvicorn("main:main", pythonpath=[*PYTHONPATH, main.parent]), {}),
]
