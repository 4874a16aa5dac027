"""Use an entry's middleware and root path, and a slash at the end, on the providers' real runtimes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from portable_fn import Request
from portable_fn.testing import fake
from portable_fn.testing.results import Answer
from portable_fn_aws import simulate
from tests.runtimes.asgi import uvicorn
from tests.runtimes.aws import emulator, runtime_api
from tests.runtimes.aws_stories import streamed
from tests.runtimes.azure_stories import function_app, over_front_end
from tests.runtimes.cloudflare_stories import through_the_edge, worker
from tests.runtimes.environments import ROOT, Unavailable
from tests.runtimes.gcp import functions_framework
from tests.runtimes.harnesses import over_http

pytestmark = pytest.mark.runtime

PYTHONPATH = (ROOT / "src", ROOT / "adapters")
Send = Callable[[Request[Any]], Answer]

APP = """
from portable_fn import Request, cors, on, portable
from portable_fn_PROVIDER import entry

def seen(request):
    return {"path": request.path, "root_path": request.root_path, "params": request.params}

@portable(on.http("GET", "/items/{id}"))
def item(request: Request):
    return seen(request)

@portable(on.http("GET", "/async-items/{id}"))
async def async_item(request: Request):
    return seen(request)

@portable(on.http("POST", "/orders", max_body=8))
def order(request: Request):
    return request.json()

def passed(event, ctx, call_next):
    return call_next(event, ctx)

async def tagged(event, ctx, call_next):
    response = await call_next(event, ctx)
    response.headers["x-tag"] = "tagged"
    return response

main = entry([item, async_item, order], use=USE, root_path="/v1"OPTIONS)
"""
SYNC, ASYNC = "[passed, cors()]", "[tagged, cors()]"


def source(provider: str, use: str, options: str = "") -> str:
    return APP.replace("PROVIDER", provider).replace("USE", use).replace("OPTIONS", options)


def lambda_function(folder: Path, use: str) -> Any:
    (folder / "main.py").write_text(source("aws", use))

    @contextmanager
    def start() -> Iterator[Send]:
        with emulator(folder, "main.main", pythonpath=PYTHONPATH) as function:
            yield lambda request: simulate.answer(function.invoke(simulate.payload(request, "rest_api")), "rest_api")

    return start()


def own_runtime(folder: Path, use: str) -> Any:
    (folder / "main.py").write_text(source("aws", use))
    command = ["python", "-m", "portable_fn_aws.runtime", "main:main"]

    @contextmanager
    def start() -> Iterator[Send]:
        mode = {"PORTABLE_FN_AWS_INVOKE_MODE": "RESPONSE_STREAM"}
        with runtime_api(folder, command, pythonpath=PYTHONPATH, env=mode) as api:
            yield lambda request: streamed(api, request, "rest_api")

    return start()


def served(provider: str, serve: Callable[[Path], AbstractContextManager[Any]]) -> Callable[[Path, str], Any]:
    def start(folder: Path, use: str) -> Any:
        main = folder / "main.py"
        main.write_text(source(provider, use))

        @contextmanager
        def started() -> Iterator[Send]:
            with serve(main) as server:
                yield lambda request: over_http(server, request)

        return started()

    return start


def azure(options: str) -> Callable[[Path, str], Any]:
    @contextmanager
    def start(folder: Path, use: str) -> Iterator[Send]:
        code = source("azure", use, f', auth_level="anonymous"{options}').replace("main =", "app =")
        with function_app(code) as host:
            yield lambda request: over_front_end(host, request)

    return start


@contextmanager
def workerd(folder: Path, use: str) -> Iterator[Send]:
    with worker(source("cloudflare", use).replace("main =", "Default =")) as running:
        yield lambda request: through_the_edge(running, request)


RUNTIMES: dict[str, Callable[[Path, str], Any]] = {
    "awslambdaric": lambda_function,
    "portable_fn_aws.runtime": own_runtime,
    "functions-framework": served("gcp", lambda main: functions_framework(main, "main", pythonpath=PYTHONPATH)),
    "functions-framework --asgi": served(
        "gcp", lambda main: functions_framework(main, "main", asgi=True, pythonpath=PYTHONPATH)
    ),
    "azure worker": azure(""),
    "azure worker, streaming": azure(", streaming=True"),
    "workerd": workerd,
    "uvicorn": served("asgi", lambda main: uvicorn("main:main", pythonpath=[*PYTHONPATH, main.parent])),
}


@pytest.mark.parametrize("use", [SYNC, ASYNC], ids=["sync", "async"])
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_an_entrys_middleware_and_root_path_hold_for_every_answer(runtime: str, use: str, tmp_path: Path) -> None:
    before = "/prod" if "aws" in runtime else "/api" if "azure" in runtime else ""
    try:
        with RUNTIMES[runtime](tmp_path, use) as send:
            for kind in ("items", "async-items"):
                for path, root_path in ((f"/v1/{kind}/7", "/v1"), (f"/v1/{kind}/7/", "/v1"), (f"/{kind}/7/", "")):
                    answer = marked(send(fake.request("GET", path)), use, 200)
                    rest = path.removeprefix(root_path)
                    assert {"path": rest, "root_path": before + root_path, "params": {"id": "7"}} == answer.json()
            preflight = {"origin": "https://a.example", "access-control-request-method": "POST"}
            for request, status in (
                (fake.request("GET", "/v1/nothing"), 404),
                (fake.request("POST", "/nothing", body=b"x" * 100), 404),
                (fake.request("DELETE", "/v1/items/7/"), 405),
                (fake.request("POST", "/v1/orders/", body=b"123456789"), 413),
                (fake.request("POST", "/orders", body=b"{"), 400),
                (fake.request("OPTIONS", "/v1/orders/", headers=preflight), 204),
                (fake.request("OPTIONS", "/nothing", headers=preflight), 204),
            ):
                marked(send(request), use, status)
    except Unavailable as exc:
        pytest.skip(str(exc))


def marked(answer: Answer, use: str, status: int) -> Answer:
    tag = "tagged" if use == ASYNC else None
    assert (status, "*", tag) == (
        answer.status,
        answer.headers.get("access-control-allow-origin"),
        answer.headers.get("x-tag"),
    ), answer
    return answer
