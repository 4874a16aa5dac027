"""The samples' own entry files on every provider's real runtime."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from portable_fn.http import Request
from portable_fn.testing import fake
from portable_fn.testing.delivery import Answer
from portable_fn_aws import simulate
from tests.runtimes.asgi import uvicorn
from tests.runtimes.aws import emulator
from tests.runtimes.azure import azure_functions
from tests.runtimes.azure_stories import over_front_end
from tests.runtimes.cloudflare import workerd
from tests.runtimes.cloudflare_stories import PACKAGES, through_the_edge
from tests.runtimes.environments import ROOT
from tests.runtimes.gcp import functions_framework
from tests.runtimes.harnesses import PYTHONPATH, over_http

pytestmark = pytest.mark.runtime

Send = Callable[[Request[Any]], Answer]
SAMPLES = {"hello": "hello", "rest_api": "items"}


@contextmanager
def aws(folder: Path, name: str) -> Iterator[Send]:
    with emulator(folder, "lambda_function.lambda_handler", pythonpath=PYTHONPATH) as function:
        yield lambda request: simulate.answer(function.invoke(simulate.payload(request, "http_api")), "http_api")


@contextmanager
def gcp(folder: Path, name: str) -> Iterator[Send]:
    with functions_framework(folder / "main.py", name, pythonpath=[*PYTHONPATH, folder]) as server:
        yield partial(over_http, server)


@contextmanager
def azure(folder: Path, name: str) -> Iterator[Send]:
    with azure_functions(folder, pythonpath=PYTHONPATH) as host:
        yield lambda request: over_front_end(host, request, prefix="")


@contextmanager
def cloudflare(folder: Path, name: str) -> Iterator[Send]:
    own = [file for file in folder.glob("*.py") if file.stem in ("app", "items")]
    with workerd(folder / "worker.py", sources=own, packages=PACKAGES, pydantic=name == "items") as running:
        yield partial(through_the_edge, running)


@contextmanager
def asgi(folder: Path, name: str) -> Iterator[Send]:
    with uvicorn("asgi:app", pythonpath=[*PYTHONPATH, folder]) as server:
        yield partial(over_http, server)


Call = Callable[..., Answer]


@pytest.fixture(params=[aws, gcp, azure, cloudflare, asgi], ids=lambda start: start.__name__)
def on_the_runtime(request: pytest.FixtureRequest) -> Callable[[str], AbstractContextManager[Call]]:
    """Starts a sample on a provider's real runtime."""

    @contextmanager
    def start(sample: str) -> Iterator[Call]:
        with request.param(ROOT / "samples" / sample, SAMPLES[sample]) as send:
            yield lambda *args, **fields: send(fake.request(*args, **fields))

    return start


def test_hello_says_hello(on_the_runtime: Callable[[str], AbstractContextManager[Call]], request: Any) -> None:
    with on_the_runtime("hello") as call:
        answer = call("GET", "/hello/Zo%C3%AB")
        assert (answer.status, answer.json()) == (200, {"hello": "Zoë", "from": request.node.callspec.id})


def test_the_rest_api_creates_lists_and_refuses(on_the_runtime: Callable[[str], AbstractContextManager[Call]]) -> None:
    with on_the_runtime("rest_api") as call:
        created = call("POST", "/items", json={"name": "lamp", "stock": 3})
        assert (created.status, created.headers["location"], created.json()["id"]) == (201, "/items/1", 1)
        assert call("GET", "/items/1").json() == created.json()
        assert call("GET", "/items").json()["items"] == [created.json()]
        refused = call("POST", "/items", json={"name": "", "stock": "many"})
        assert refused.status == 422
        assert [error["pointer"] for error in refused.json()["errors"]] == ["#/name", "#/stock"]
        assert call("DELETE", "/items/1").status == 204
        assert call("GET", "/items/1").status == 404
