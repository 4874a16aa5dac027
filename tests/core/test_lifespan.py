"""A mounted application's startup and shutdown: repeated after a failure, announced by the server, in every process."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from starlette.applications import Starlette
from starlette.requests import Request as StarletteRequest
from starlette.responses import JSONResponse
from starlette.routing import Route

from portable_fn import Request, asgi_app, on, portable
from portable_fn.testing import deliver, fake, render
from portable_fn_asgi import entry
from tests.runtimes.aws import runtime_api
from tests.runtimes.environments import venv
from tests.runtimes.process import free_ports, running, serving

ROOT = Path(__file__).parents[2]
EVERYWHERE = ("aws", "gcp", "azure", "cloudflare", "asgi")


class App:
    """An application that notes what it receives and fails to start `fails` times."""

    def __init__(self, fails: int = 0, *, raises: bool = False, name: str = "app") -> None:
        self.told: list[str] = []
        self.fails = fails
        self.raises = raises
        self.name = name
        self.gate: asyncio.Event | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": repr(scope["state"].get("number")).encode()})
            return
        while True:
            message = await receive()
            self.told.append(message["type"].removeprefix("lifespan."))
            if message["type"] == "lifespan.startup":
                if self.gate is not None:
                    await self.gate.wait()
                if self.fails > 0:
                    self.fails -= 1
                    await send({"type": "lifespan.startup.failed", "message": f"{self.name}: connection refused"})
                    if self.raises:
                        raise ConnectionError("connection refused")
                    return
                scope["state"]["number"] = len(self.told)
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return


class Server:
    """A server that calls the application as uvicorn does."""

    def __init__(self, application: Any) -> None:
        self.application = application
        self.inbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.outbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}
        self.task = asyncio.create_task(application(scope, self.inbox.get, self.outbox.put))

    async def says(self, kind: str) -> dict[str, Any]:
        await self.inbox.put({"type": f"lifespan.{kind}"})
        return await asyncio.wait_for(self.outbox.get(), 5)

    async def get(self, path: str = "/") -> tuple[int, bytes]:
        from portable_fn_asgi.simulate.server import messages, scope

        sent = await messages(self.application, scope(fake.request("GET", path)), b"")
        return sent[0]["status"], sent[1]["body"]


# A startup that failed


@pytest.mark.parametrize("raises", [False, True])
@pytest.mark.parametrize("to", EVERYWHERE)
def test_a_startup_that_failed_is_tried_again_with_the_next_request(
    to: str, raises: bool, caplog: pytest.LogCaptureFixture
) -> None:
    app = App(2, raises=raises)
    function = asgi_app(app)
    statuses = [deliver(function, fake.request(), to=to).status for _ in range(5)]
    assert ([500, 500, 200, 200, 200], ["startup"] * 3) == (statuses, app.told)
    assert 2 == caplog.text.count("PortableError: the application's startup failed: app: connection refused")


def test_starlettes_startup_is_tried_again() -> None:
    tries: list[int] = []

    @asynccontextmanager
    async def lifespan(app: object) -> AsyncIterator[dict[str, int]]:
        tries.append(1)
        if len(tries) == 1:
            raise LookupError("the database is away")
        yield {"tries": len(tries)}

    async def show(request: StarletteRequest) -> JSONResponse:
        return JSONResponse(request.state.tries)

    function = asgi_app(Starlette(routes=[Route("/", show)], lifespan=lifespan))
    answers = [deliver(function, fake.request(), to="aws") for _ in range(3)]
    assert [500, 200, 200] == [answer.status for answer in answers]
    assert ([2, 2], 2) == ([answer.json() for answer in answers[1:]], len(tries))


def test_requests_at_once_share_one_attempt() -> None:
    app = App(1)
    function = asgi_app(app)
    application = entry(function)

    async def main() -> None:
        app.gate = asyncio.Event()
        server = Server(application)
        first = [asyncio.create_task(server.get()) for _ in range(5)]
        await asyncio.sleep(0.01)
        app.gate.set()
        assert [500] * 5 == [(await one)[0] for one in first]
        assert ["startup"] == app.told
        assert [200] * 5 == [status for status, _ in await asyncio.gather(*(server.get() for _ in range(5)))]
        assert ["startup"] * 2 == app.told
        server.task.cancel()

    asyncio.run(main())


def test_a_startup_that_exceeds_its_time_goes_on_and_is_not_repeated() -> None:
    app = App()
    function = asgi_app(app, startup_timeout=0.01)
    application = entry(function)

    async def main() -> None:
        app.gate = asyncio.Event()
        server = Server(application)
        assert [500, 500] == [(await server.get())[0] for _ in range(2)]
        app.gate.set()
        await asyncio.sleep(0.01)
        assert ((200, b"1"), ["startup"]) == (await server.get(), app.told)
        server.task.cancel()

    asyncio.run(main())


def test_an_application_that_fails_before_it_answers_is_taken_for_one_without_lifespan_and_the_log_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await receive()
            raise ConnectionError("the database is away")
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body"})

    function = asgi_app(app)
    assert [200, 200] == [deliver(function, fake.request(), to="aws").status for _ in range(2)]
    assert 1 == caplog.text.count("ConnectionError: the database is away")


# The server's startup and shutdown


def test_the_application_starts_before_the_server_is_ready_and_shuts_down_with_it() -> None:
    app = App()

    async def main() -> None:
        server = Server(entry(asgi_app(app)))
        assert {"type": "lifespan.startup.complete"} == await server.says("startup")
        assert ["startup"] == app.told
        # The requests get the state that the startup left.
        assert [(200, b"1")] * 2 == [await server.get() for _ in range(2)]
        assert {"type": "lifespan.shutdown.complete"} == await server.says("shutdown")
        assert ["startup", "shutdown"] == app.told
        await server.task

    asyncio.run(main())


def test_the_server_is_ready_no_sooner_than_the_application() -> None:
    app = App()

    async def main() -> None:
        app.gate = asyncio.Event()
        server = Server(entry(asgi_app(app, startup_timeout=0.001)))
        answer = asyncio.create_task(server.says("startup"))
        await asyncio.sleep(0.05)
        assert not answer.done()
        app.gate.set()
        assert {"type": "lifespan.startup.complete"} == await answer
        server.task.cancel()

    asyncio.run(main())


def test_the_server_learns_of_a_startup_that_failed_and_of_a_shutdown_that_did() -> None:
    async def unruly(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.failed", "message": "the pool is in use"})

    async def crashing(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        raise LookupError("no pool")

    async def main() -> None:
        server = Server(entry(asgi_app(App(1))))
        failed = {"type": "lifespan.startup.failed", "message": "app: connection refused"}
        assert failed == await server.says("startup")
        await server.task
        for app, why in ((unruly, "the pool is in use"), (crashing, "LookupError: no pool")):
            server = Server(entry(asgi_app(app)))
            assert {"type": "lifespan.startup.complete"} == await server.says("startup")
            assert {"type": "lifespan.shutdown.failed", "message": why} == await server.says("shutdown")
            await server.task

    asyncio.run(main())


def test_several_mounted_applications_start_in_order_and_shut_down_in_the_reverse() -> None:
    order: list[str] = []

    def named(name: str, **options: Any) -> Any:
        app = App(name=name, **options)

        class Noted(list[str]):
            def append(self, what: str) -> None:
                order.append(f"{name} {what}")
                super().append(what)

        app.told = Noted()

        @portable(on.http("ANY", f"/{name}"))
        async def mounted(request: Request) -> None: ...

        function: Any = asgi_app(app)
        function.__portable__.triggers = mounted.__portable__.triggers  # type: ignore[attr-defined]  # a portable function has it
        return function

    async def main() -> None:
        server = Server(entry(named("a"), named("b")))
        await server.says("startup")
        await server.says("shutdown")
        assert ["a startup", "b startup", "b shutdown", "a shutdown"] == order
        order.clear()
        server = Server(entry(named("a"), named("b", fails=1), named("c")))
        failed = {"type": "lifespan.startup.failed", "message": "b: connection refused"}
        assert failed == await server.says("startup")
        assert ["a startup", "b startup", "a shutdown"] == order

    asyncio.run(main())


def test_an_application_without_lifespan_holds_up_no_server() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ok"})

    async def main() -> None:
        server = Server(entry(asgi_app(app)))
        assert {"type": "lifespan.startup.complete"} == await server.says("startup")
        assert (200, b"ok") == await server.get()
        assert {"type": "lifespan.shutdown.complete"} == await server.says("shutdown")

    asyncio.run(main())


def test_without_a_servers_lifespan_it_starts_with_the_first_request_and_shuts_down_with_the_loop() -> None:
    app = App()

    async def main() -> None:
        from portable_fn_asgi.simulate.server import messages, scope

        sent = await messages(entry(asgi_app(app)), scope(fake.request()), b"")
        assert 200 == sent[0]["status"]

    # It cancels the rest, and waits for it.
    asyncio.run(main())
    assert ["startup", "shutdown"] == app.told


def test_a_function_without_mounted_application_is_ready_at_once() -> None:
    @portable
    def hello(request: Request) -> None: ...

    async def main() -> None:
        server = Server(entry(hello))
        assert {"type": "lifespan.startup.complete"} == await server.says("startup")
        assert {"type": "lifespan.shutdown.complete"} == await server.says("shutdown")
        await server.task

    asyncio.run(main())


# Processes

PRINTING = """
import os
from portable_fn import asgi_app

async def api(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ok"})
        return
    while True:
        message = await receive()
        print("the app hears", message["type"], flush=True)
        if os.environ.get("FAILS"):
            return await send({"type": message["type"] + ".failed", "message": "the database is away"})
        await send({"type": message["type"] + ".complete"})
        if message["type"] == "lifespan.shutdown":
            return

app = asgi_app(api)
"""
SOURCES = (ROOT / "src", ROOT / "adapters")


def test_a_process_that_ends_shuts_the_application_down() -> None:
    code = (
        PRINTING
        + "import sys; from portable_fn_aws import entry; print(entry(app)(eval(sys.argv[1]), None)['statusCode'])"
    )
    payload = repr(render(fake.request(), to="aws"))
    path = {"PYTHONPATH": ":".join(map(str, SOURCES))}
    command = [sys.executable, "-X", "dev", "-c", code, payload]
    done = subprocess.run(command, env=path, capture_output=True, text=True, check=True, timeout=60)
    heard = ["the app hears lifespan.startup", "200", "the app hears lifespan.shutdown"]
    # On a busy machine asyncio's debug mode logs callbacks that take over 0.1 seconds.
    logged = [line for line in done.stderr.splitlines() if not line.startswith("Executing <")]
    assert (heard, []) == (done.stdout.splitlines(), logged)


ASGI = PRINTING + "from portable_fn_asgi import entry\nmain = entry(app)\n"
GOOGLE = PRINTING + "from portable_fn_gcp import entry\nmain = entry(app)\n"
# Environment, file and command; whether the application starts before the first request, and shuts down.
SERVERS: dict[str, tuple[str, str, str, bool, bool]] = {
    "uvicorn": ("asgi", ASGI, "uvicorn main:main --port PORT", True, True),
    "hypercorn": ("knative", ASGI, "hypercorn main:main --bind 127.0.0.1:PORT", True, True),
    "functions-framework": ("gcp", GOOGLE, "functions_framework --target main --host 127.0.0.1 --port PORT", False, True),
    # Its uvicorn ends by the signal, without running what asyncio or atexit still has.
    "functions-framework --asgi": (
        "gcp", GOOGLE, "functions_framework --target main --asgi --host 127.0.0.1 --port PORT", False, False
    ),
}  # fmt: skip


@pytest.mark.runtime
@pytest.mark.parametrize("server", SERVERS)
def test_on_a_real_server(server: str, tmp_path: Path) -> None:
    environment, code, command, is_before, is_after = SERVERS[server]
    (tmp_path / "main.py").write_text(code)
    [port] = free_ports(1)
    interpreter = venv(environment)
    parts = [str(port) if part == "PORT" else part.replace("PORT", str(port)) for part in command.split()]
    with serving([interpreter, "-m", *parts], port, cwd=tmp_path, pythonpath=SOURCES) as running:
        if is_before:
            running.process.logged("the app hears lifespan.startup")
        for _ in range(2):
            with urlopen(f"{running.url}/") as answer:
                assert b"ok" == answer.read()
        assert 1 == sum("lifespan.startup" in line for line in running.logs)
    assert is_after == any("lifespan.shutdown" in line for line in running.logs)


@pytest.mark.runtime
def test_our_lambda_runtime_shuts_the_application_down_when_it_is_ended(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(PRINTING)
    command = [sys.executable, "-m", "portable_fn_aws.runtime", "main"]
    with runtime_api(tmp_path, command, pythonpath=SOURCES) as api:
        assert 200 == api.invoke(render(fake.request(), to="aws")).json["statusCode"]
        api.process.popen.terminate()
        assert 0 == api.process.popen.wait(10)
        api.process.logged("the app hears lifespan.shutdown")


@pytest.mark.runtime
def test_uvicorn_ends_if_the_application_fails_to_start_and_says_why(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(ASGI)
    [port] = free_ports(1)
    command = [venv("asgi"), "-m", "uvicorn", "main:main", "--port", str(port)]
    with running(command, cwd=tmp_path, pythonpath=SOURCES, env={"FAILS": "1"}) as process:
        assert 3 == process.popen.wait(20)
    assert any("the database is away" in line for line in process.logs)
