"""HTTP functions on Azure's real worker."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from portable_fn.testing import fake, replay
from portable_fn.testing.results import Answer
from tests.azure.http_app import CLAIMS, FULL, encoded
from tests.runtimes.azure_stories import function_app, over_front_end

ONE_LOOP = """
import asyncio
from portable_fn import Request, on, portable
from portable_fn_azure import entry

connection = []

async def ask():
    if not connection:
        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        connection.extend(await asyncio.open_connection(*server.sockets[0].getsockname()))
    reader, writer = connection
    writer.write(b"ping\\n")
    await writer.drain()
    return await reader.readline()

async def echo(reader, writer):
    async for line in reader:
        writer.write(line)

@portable(on.http("GET", "/stream"))
def stream(request: Request):
    async def lines():
        yield await ask()
    return lines()

@portable(on.http("GET", "/background"))
def background(request: Request, ctx):
    async def later():
        ctx.log.warning("asked: %s", await ask())
    ctx.background(later())

@portable(on.queue("orders"))
def ship(order, ctx):
    async def later():
        ctx.log.warning("shipped: %s", await ask())
    ctx.background(later())

@portable(on.http("GET", "/async"))
async def asynchronous(request: Request):
    return await ask()

"""


@pytest.mark.runtime
@pytest.mark.parametrize("targets", ["stream, background, ship", "stream, background, ship, asynchronous"])
def test_on_the_real_worker_a_client_keeps_its_loop_between_calls(targets: str) -> None:
    with function_app(ONE_LOOP + f'app = entry({targets}, auth_level="anonymous")\n') as host:
        for _ in range(2):
            assert b"ping\n" == fetch(host, "/stream").body
            assert 204 == fetch(host, "/background").status
            assert None is host.invoke("ship", {"event": b"{}"}, metadata={"Id": "1", "DequeueCount": 1}).error
            if "asynchronous" in targets:
                assert b"ping\n" == fetch(host, "/async").body
        assert 2 == sum("asked: b'ping" in line for line in host.logs)
        assert 2 == sum("shipped: b'ping" in line for line in host.logs)


CHECKED = """
import json, time
from contextvars import ContextVar
from portable_fn import Cookie, Request, Response, on, portable
from portable_fn_azure import entry

SEEN = ContextVar("SEEN", default="unset")

@portable(on.http("GET", "/leak"))
def leak(request):
    before = SEEN.get()
    SEEN.set("leaked")
    return before

@portable(on.http("ANY", "/where/{rest+}"))
def where(request, ctx):
    return {"path": request.raw_path, "root_path": request.root_path, "url": request.url, "params": request.params,
            "function": ctx.function, "principal": request.principal and request.principal.id,
            "client_ip": request.client_ip, "body": request.body.decode()}

@portable(on.http("GET", "/"))
def index(request, ctx):
    return {"root_path": request.root_path, "function": ctx.function}

@portable(on.http("PUT", "/where/{rest+}"))
def change(request, ctx):
    return {"function": ctx.function}

@portable(on.http("GET", "/cookies"))
def cookies(request):
    lines = request.query.get_all("cookie")
    return Response(200, [("set-cookie", line) for line in lines])

@portable(on.http("GET", "/exit"))
def leave(request):
    raise SystemExit(3)
"""


ONE = CHECKED + 'app = entry(leak, where, index, cookies, leave, auth_level="anonymous")\n'


def fetch(host: Any, target: str, prefix: str = "/api", method: str = "GET", **fields: Any) -> Answer:
    return over_front_end(host, fake.request(method, target, **fields), prefix)


@pytest.mark.runtime
@pytest.mark.parametrize("prefix", ["", "api", "v1/api"])
def test_the_real_worker_serves_a_route_prefix(prefix: str) -> None:
    root_path = f"/{prefix}" if prefix else ""
    with function_app(ONE, prefix=prefix) as host:
        for path in ("/where/a%20b/c%2Fd", "/where", "/where/", "/where/x//y", "/where/%2541/100%25/%252520"):
            got = fetch(host, path, root_path).json()
            assert (got["path"], got["root_path"]) == (path, root_path)
        for path in ("/", "") if prefix else ("/",):
            assert fetch(host, path, root_path).json()["root_path"] == root_path
        assert fetch(host, "/nowhere", root_path).headers["content-type"] == "application/problem+json"


@pytest.mark.runtime
@pytest.mark.parametrize("python", ["3.11", "3.13"])
def test_the_real_worker_serves_with_one_thread(python: str) -> None:
    env = {"PYTHON_THREADPOOL_THREAD_COUNT": "1", "WEBSITE_AUTH_ENABLED": "True"}
    with function_app(ONE, python=python, env=env) as host:
        assert [function.name for function in host.functions] == ["http"]
        assert [fetch(host, "/leak").text for _ in range(3)] == ["unset"] * 3
        assert [fetch(host, "/exit").status for _ in range(2)] == [500, 500]
        principal = {"x-ms-client-principal": encoded(CLAIMS), "x-ms-client-principal-id": "u-1"}
        assert fetch(host, "/where", headers=principal).json()["principal"] == "u-1"
        assert fetch(host, "/where", headers={"x-ms-client-principal": "%%%"}).json()["principal"] is None
        for lines in (
            ["a=x=y", FULL, "c=3; Path=/; Max-Age=-5"],
            [FULL],
            ["__Host-a=1; Path=/; Secure", "__Host-b=2; Path=/; Secure"],
        ):
            got = fetch(host, "/cookies?" + "&".join(f"cookie={quote(line)}" for line in lines)).cookies
            assert [sorted(line.lower().split("; ")) for line in sorted(got)] == [
                sorted(line.lower().split("; ")) for line in sorted(lines)
            ]
        refused = fetch(host, "/cookies?cookie=a%3Dx%3Dy&cookie=b%3Dx%3Dy")
        assert (refused.status, refused.headers["content-type"]) == (500, "application/problem+json")
        host.logged("one response can't set the cookies a, b")


@pytest.mark.runtime
def test_the_real_worker_serves_one_function_each() -> None:
    app = 'app = entry(where, change, index, auth_level="anonymous", one_function_each=True)\n'
    with function_app(CHECKED.replace('"ANY", "/where', '["GET", "POST"], "/where') + app) as host:
        assert sorted(function.name for function in host.functions) == ["change", "index", "where"]
        got = fetch(host, "/where/a/b").json()
        assert (got["function"], got["path"], got["root_path"], got["params"]) == (
            "where",
            "/where/a/b",
            "/api",
            {"rest": "a/b"},
        )
        assert fetch(host, "/where/%2541/%2Fb").json()["path"] == "/where/%2541/%2Fb"
        assert fetch(host, "/where/a", method="PUT").json() == {"function": "change"}
        for path in ("/", ""):
            assert fetch(host, path).json() == {"root_path": "/api", "function": "index"}
        assert fetch(host, "/nowhere").body == b""
        assert fetch(host, "/where/a", method="DELETE").headers["allow"] == "GET, HEAD, OPTIONS, POST, PUT"


@pytest.mark.runtime
@pytest.mark.parametrize("python", ["3.11", "3.13"])
def test_the_real_worker_streams(python: str) -> None:
    app = 'app = entry(where, index, cookies, auth_level="anonymous", streaming=True, one_function_each=True)\n'
    with function_app(CHECKED + app, python=python) as host:
        got = fetch(host, "/where/a", headers=[("client-ip", "6.6.6.6:1")]).json()
        assert (got["function"], got["path"], got["root_path"]) == ("where", "/where/a", "/api")
        assert (got["client_ip"], got["url"]) == ("203.0.113.7", "https://example.com/api/where/a")
        assert fetch(host, "/where/%2541/%2Fb").json()["path"] == "/where/%2541/%2Fb"
        # The extension would never answer the invocation.
        assert fetch(host, "/where/a", method="PROPFIND").status == 404
        sent = fetch(
            host, "/where/a", method="PUT", body=b"2\r\nhi\r\n0\r\n\r\n", headers=[("transfer-encoding", "chunked")]
        )
        assert sent.json()["body"] == "hi"
        assert fetch(host, "/cookies?cookie=a%3Dx%3Dy&cookie=b%3Dx%3Dy").cookies == ["a=x=y", "b=x=y"]


@pytest.mark.runtime
def test_the_real_worker_calls_your_function_that_calls_a_portable_one() -> None:
    own = """
import azure.functions as func

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)

@app.route("where/{*rest}")
def mine(req, context):
    return where(req, context)
"""
    with function_app(CHECKED.replace("from portable_fn_azure import entry", "") + own) as host:
        got = fetch(host, "/where/a/b").json()
        assert (got["function"], got["path"], got["params"]) == ("mine", "/where/a/b", {"rest": "a/b"})


@pytest.mark.runtime
@pytest.mark.parametrize("streaming", [False, True])
def test_an_answer_of_the_real_worker_is_recorded_and_replayed(tmp_path: Path, streaming: bool) -> None:
    app = f'app = entry(where, cookies, index, auth_level="anonymous", streaming={streaming})\n'
    with function_app(CHECKED + app, env={"PORTABLE_FN_RECORD": str(tmp_path)}) as host:
        for path in ("/where/a%20b/api/c?token=hunter2", "/", "/cookies?cookie=a%3Dx"):
            assert 200 == fetch(host, path).status
        assert "hi" == fetch(host, "/where/a", method="POST", body=b"hi").json()["body"]

    functions: dict[str, Any] = {}
    exec(CHECKED, functions)
    results = replay(tmp_path, [functions[name] for name in ("where", "cookies", "index")])
    assert (4, []) == (len(results), results.differences)
