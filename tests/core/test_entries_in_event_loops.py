"""Call an entry while an event loop runs in the same thread."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextvars import copy_context
from typing import Any

import pytest

from portable_fn import Request, Task, on, portable
from portable_fn.adapter.loop import run, run_in_thread
from portable_fn.testing import deliver, fake, render
from tests.core.loops import EVERYWHERE, done, within


def async_task() -> Callable[..., Any]:
    @portable(on.task("inner"))
    async def inner(task: Task) -> int:
        await asyncio.sleep(0)
        return 1

    return inner


def entries() -> dict[str, Callable[[], Any]]:
    """How each provider with a plain function as entry calls it, for an async function."""
    from io import BytesIO

    from flask import Request as FlaskRequest

    import portable_fn_aws
    import portable_fn_gcp
    from portable_fn_gcp import simulate

    @portable(on.http("GET", "/"))
    async def handler(request: Request) -> int:
        await asyncio.sleep(0)
        return 1

    aws, aws_http, google = (
        portable_fn_aws.entry(async_task()),
        portable_fn_aws.entry(handler),
        portable_fn_gcp.entry(handler),
    )
    payload = render(fake.request(), to="aws")
    return {
        "a task on Lambda": lambda: aws({}, None),
        "HTTP on Lambda": lambda: aws_http(payload, None),
        "Google": lambda: google(FlaskRequest(simulate.environ(fake.request()) | {"wsgi.input": BytesIO()})),
    }


@pytest.mark.filterwarnings("ignore:coroutine")
@pytest.mark.parametrize("where", ["a task on Lambda", "HTTP on Lambda", "Google"])
@pytest.mark.parametrize("runs", ["asyncio", "run", "run_in_thread"])
def test_an_entry_that_would_wait_for_its_own_loop_raises_an_error_with_advice(where: str, runs: str) -> None:
    call = entries()[where]

    async def directly() -> str:
        try:
            call()
        except RuntimeError as exc:
            return str(exc)
        return "no error"

    async def as_the_error_says() -> object:
        return await asyncio.to_thread(call)

    def with_loop(work: Coroutine[Any, Any, Any]) -> Any:
        if runs == "asyncio":
            return asyncio.run(work)
        return (run if runs == "run" else run_in_thread)(work, copy_context())

    assert "await asyncio.to_thread(entry, …)" in within(10, lambda: with_loop(directly()))
    assert within(10, lambda: with_loop(as_the_error_says())) is not None


@pytest.mark.parametrize("runs", [asyncio.run, done])
def test_azures_entry_in_its_own_loop_answers_with_500_and_the_log_says_why(
    caplog: pytest.LogCaptureFixture, runs: Callable[[Any], Any]
) -> None:
    from portable_fn_azure import entry
    from portable_fn_azure.simulate import payload

    @portable(on.http("GET", "/"))
    def export(request: Request) -> AsyncIterator[bytes]:
        async def lines() -> AsyncIterator[bytes]:
            yield b"line"

        return lines()

    app = entry(export)

    async def directly() -> Any:
        return app(payload(fake.request()), None)

    async def in_a_thread() -> Any:
        return await asyncio.to_thread(app, payload(fake.request()), None)

    assert 500 == within(10, lambda: runs(directly())).status_code
    assert "await asyncio.to_thread(entry, …)" in caplog.text
    assert 200 == within(10, lambda: runs(in_a_thread())).status_code


@pytest.mark.parametrize("to", EVERYWHERE)
def test_deliver_in_a_thread_of_an_async_handler_works(to: str) -> None:
    inner = async_task()

    @portable(on.http("GET", "/"))
    async def outer(request: Request) -> list[object]:
        return [
            (await asyncio.to_thread(deliver, inner, fake.task({}), to=other)).result
            for other in ("aws", "gcp", "azure", "asgi")
        ]

    assert [1, 1, 1, 1] == within(20, lambda: deliver(outer, fake.request(), to=to)).json()
