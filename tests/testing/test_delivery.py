"""Call `deliver` in async tests, in handlers and in threads."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from pathlib import Path

import pytest

from portable_fn import Request, on, portable
from portable_fn.testing import deliver, fake

ROOT = Path(__file__).parents[2]
WAYS = [
    pytest.param({"to": to, "via": via}, id=f"{to} {via}" if via else to)
    for to, via in [
        ("aws", None),
        ("gcp", "http"),
        ("gcp", "http_async"),
        ("azure", None),
        ("cloudflare", None),
        ("asgi", None),
    ]
]
USER: ContextVar[str] = ContextVar("USER", default="nobody")

pytestmark = pytest.mark.parametrize("way", WAYS)


@portable(on.http("GET", "/sync"))
def sync(request: Request) -> str:
    return f"sync for {USER.get()}"


@portable(on.http("GET", "/async"))
async def asynchronous(request: Request) -> str:
    await asyncio.sleep(0)
    return f"async for {USER.get()}"


HANDLERS = [sync, asynchronous]


def test_in_a_running_event_loop_with_its_context_variables(way: dict[str, str]) -> None:
    async def test() -> list[str]:
        USER.set("Ada")
        return [deliver(HANDLERS, fake.request("GET", f"/{kind}"), **way).text for kind in ("sync", "async")]

    assert ["sync for Ada", "async for Ada"] == asyncio.run(test())


def test_in_a_sync_handler(way: dict[str, str]) -> None:
    @portable
    def outer(request: Request) -> list[str]:
        return [deliver(HANDLERS, fake.request("GET", f"/{kind}"), **way).text for kind in ("sync", "async")]

    answer = deliver(outer, fake.request(), **way)
    if way["to"] == "cloudflare":
        # Workers have no threads, so that a sync handler is called in the event loop.
        errors = [str(record.exc_info[1]) for record in answer.logs if record.exc_info]
        assert 500 == answer.status
        assert ["(an async one, or any on Cloudflare)" in error for error in errors] == [True]
    else:
        assert ["sync for nobody", "async for nobody"] == answer.json()


def test_in_an_async_handler_it_is_a_clear_error(way: dict[str, str]) -> None:
    @portable
    async def outer(request: Request) -> str:
        with pytest.raises(
            RuntimeError, match="deliver can't be called from a handler that deliver runs in an event loop"
        ):
            deliver(asynchronous, fake.request("GET", "/async"), **way)
        return "refused"

    assert "refused" == deliver(outer, fake.request(), **way).text


def test_in_several_threads_at_once(way: dict[str, str]) -> None:
    with ThreadPoolExecutor(8) as executor:
        answers = executor.map(lambda _: deliver(HANDLERS, fake.request("GET", "/async"), **way).text, range(40))
        assert {"async for nobody"} == set(answers)


@pytest.mark.slow
def test_nothing_is_left_open_at_exit(way: dict[str, str]) -> None:
    code = (
        "from portable_fn import *\n"
        "from portable_fn.testing import deliver, fake\n"
        "async def handler(request: Request):\n"
        "    yield 'ok'\n"
        f"assert 'ok' == deliver(portable(handler), fake.request(), **{way!r}).text\n"
    )
    environment = {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT / 'adapters'}"}
    command = [sys.executable, "-X", "dev", "-c", code]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    # On a busy machine asyncio's debug mode logs callbacks that take over 0.1 seconds.
    assert [] == [line for line in result.stderr.splitlines() if not line.startswith("Executing <")]


@pytest.mark.parametrize("error", [GeneratorExit, KeyboardInterrupt, asyncio.CancelledError])
def test_any_error_of_an_async_handler_is_answered(way: dict[str, str], error: type[BaseException]) -> None:
    @portable
    async def odd(request: Request) -> None:
        raise error

    answer = deliver(odd, fake.request(), **way)
    assert (500, "application/problem+json") == (answer.status, answer.headers["content-type"])
