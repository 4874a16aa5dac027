"""Run the stories' functions in the real Azure worker, behind a mock of the host and of Azure's front end."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from harnesses import AZURE, AZURE_EACH, AZURE_STREAMING, Harness, Send
from portable_fn.http import Request
from portable_fn.pairs import Headers
from portable_fn.testing.results import Answer
from portable_fn_azure.simulate import ADDED
from tests.runtimes import wire
from tests.runtimes.azure import AzureHost, azure_functions
from tests.runtimes.environments import ROOT, Unavailable, pythons

PYTHONPATH = (ROOT / "src", ROOT / "adapters")

STORIES = """
from portable_fn.testing.stories import app as functions
from portable_fn_azure import entry

app = entry(functions, auth_level="anonymous"{options})
"""


@contextmanager
def function_app(
    source: str,
    *,
    python: str = "3.11",
    prefix: str = "api",
    env: Mapping[str, str] = {},
    timeout: float = 30,
    environment: str = "azure",
) -> Iterator[AzureHost]:
    """Run a function_app.py in the worker of a Python version, behind the host; raise Unavailable without that Python."""
    if python not in pythons():
        raise Unavailable(f"Python {python} is not on this machine")
    with TemporaryDirectory() as folder:
        settings = {"version": "2.0", "extensions": {"http": {"routePrefix": prefix}}}
        Path(folder, "function_app.py").write_text(source)
        Path(folder, "host.json").write_text(json.dumps(settings))
        with azure_functions(
            Path(folder),
            python=python,
            pythonpath=PYTHONPATH,
            env={"WEBSITE_SKU": "FlexConsumption", **env},
            timeout=timeout,
            environment=environment,
        ) as host:
            yield host


def over_front_end(host: AzureHost, request: Request, prefix: str = "/api") -> Answer:
    """Return what a client receives through App Service's front end, which adds the client, the host and the scheme."""
    client = f"{request.client_ip or '203.0.113.7'}:54321"
    headers = [
        # The worker's host; another header has the outer one.
        ("host", "app"),
        ("disguised-host", request.host),
        ("client-ip", client),
        ("x-forwarded-for", ", ".join([*request.headers.get_all("x-forwarded-for"), client])),
        ("x-forwarded-proto", request.scheme),
        *(pair for pair in request.headers.multi_items() if pair[0] not in ADDED),
    ]
    target = prefix + request.raw_path + (f"?{request.raw_query}" if request.raw_query else "")
    on_the_wire = [(name, wire.octets(value)) for name, value in headers]
    body = request.raw_body if request.raw_body or request.method in ("POST", "PUT", "PATCH") else None
    received = wire.send(host.url, request.method, target, on_the_wire, body)
    assert received.complete, f"the answer breaks off: {received}"
    lines = [(name, value.encode("latin-1").decode()) for name, value in received.headers]
    return Answer(received.status, Headers(lines), received.body, [chunk for _, chunk in received.chunks])


def harness(name: str, cannot: dict[str, str], options: str = "", python: str = "3.11") -> Harness:
    @contextmanager
    def start() -> Iterator[Send]:
        with function_app(STORIES.format(options=options), python=python) as host:
            yield lambda request: over_front_end(host, request)

    return Harness(name, start, cannot)


HARNESSES = [
    harness("azure worker 3.11", AZURE),
    harness("azure worker 3.13", AZURE, python="3.13"),
    harness("azure worker, function each", AZURE_EACH, ", one_function_each=True"),
    harness("azure worker, streaming", AZURE_STREAMING, ", streaming=True"),
]
