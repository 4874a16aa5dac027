"""The stories' functions as a Worker in real workerd, with Cloudflare's edge played in front of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from harnesses import Harness, Send
from portable_fn.http import Request
from portable_fn.pairs import Headers
from portable_fn.testing.results import Answer
from portable_fn_cloudflare.simulate import edge_properties
from tests.runtimes.cloudflare import CF_HEADER, SCHEME_HEADER, Workerd, workerd
from tests.runtimes.environments import ROOT
from tests.runtimes.wire import octets, send

PACKAGES = (ROOT / "src" / "portable_fn", ROOT / "adapters" / "portable_fn_cloudflare")

STORIES = """
from portable_fn.testing.stories import app
from portable_fn_cloudflare import entry

Default = entry(app)
"""


@contextmanager
def worker(
    script: str,
    *sources: Path,
    vars: dict[str, str] | None = None,
    queues: Sequence[str] = (),
    snapshot: bool = False,
    built_in_sdk: bool = False,
) -> Iterator[Workerd]:
    """A Worker of the script, with portable_fn and its adapter beside it, in workerd."""
    with TemporaryDirectory() as folder:
        main = Path(folder, "entry.py")
        main.write_text(script)
        with workerd(
            main,
            sources=sources,
            packages=PACKAGES,
            vars=vars or {},
            queues=queues,
            snapshot=snapshot,
            built_in_sdk=built_in_sdk,
        ) as running:
            yield running


@contextmanager
def stories(*, snapshot: bool = False) -> Iterator[Send]:
    """The stories' Worker, as what brings requests to it."""
    with worker(STORIES, snapshot=snapshot) as running:
        yield lambda request: through_the_edge(running, request)


def through_the_edge(running: Workerd, request: Request[Any]) -> Answer:
    """Sends the request with what Cloudflare's edge adds; ConnectionError where the answer breaks off."""
    edge = {
        "host": request.host,
        "cf-connecting-ip": request.client_ip or "",
        "cf-ray": request.id,
        CF_HEADER.lower(): json.dumps(edge_properties(request)),
        SCHEME_HEADER.lower(): request.scheme,
    }
    lines = [*edge.items(), *(pair for pair in request.headers.multi_items() if pair[0] not in edge)]
    lines = [(name, octets(value)) for name, value in lines]
    target = f"{request.raw_path}?{request.raw_query}" if request.raw_query else request.raw_path
    try:
        received = send(running.url, request.method, target, lines, request.raw_body or None)
    except EOFError as exc:
        raise ConnectionError("the answer broke off before it began") from exc
    if not received.complete:
        raise ConnectionError(f"the answer broke off after {len(received.body)} bytes")
    headers = Headers((name, value.encode("latin-1").decode()) for name, value in received.headers)
    chunks = [chunk for _, chunk in received.chunks]
    return Answer(received.status, headers, received.body, chunks)


HARNESSES = [Harness("workerd", stories), Harness("workerd, from a snapshot", partial(stories, snapshot=True))]
