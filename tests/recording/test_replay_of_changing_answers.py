"""Replay answers whose ids and times differ, and record long bodies without blocking anything."""

from __future__ import annotations

import asyncio
import json
import time
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from portable_fn import Request, on, portable
from portable_fn.events import ChangeEvent
from portable_fn.testing import deliver, fake, replay
from portable_fn_asgi import entry

_numbers = count(1)


@portable(on.http("GET", "/orders"))
def orders(request: Request) -> dict[str, Any]:
    number = next(_numbers)
    return {"id": number, "items": [{"sku": "A1", "at": {"time": number}}, {"sku": "B2", "at": {"time": number}}]}


@pytest.mark.parametrize("to", [None, "gcp", "asgi"])
def test_members_that_are_ignored_may_differ(folder: Path, to: str | None) -> None:
    deliver(orders, fake.request("GET", "/orders"), to="aws")

    for ignore in (["id", "time"], ["/id", "/items/*/at/time"], ["/id", "/items/0/at", "items/1/at"], ["/*"]):
        assert [] == replay(folder, orders, to, ignore=ignore).differences
    for ignore in ([], ["id"], ["time"], ["/time", "id"], ["/items/*/time", "id"], ["/items/0/at", "id"]):
        assert 1 == len(replay(folder, orders, to, ignore=ignore).differences), ignore


def test_other_members_still_differ(folder: Path) -> None:
    deliver(orders, fake.request("GET", "/orders"), to="aws")

    @portable(on.http("GET", "/orders"))
    def orders_of_today(request: Request) -> dict[str, Any]:
        return {"id": 9, "items": [{"sku": "A1", "at": {"time": 9}}, {"sku": "C3", "at": {"time": 9}}]}

    differences = replay(folder, orders_of_today, ignore=["id", "time"]).differences
    assert "'B2'" in differences[-1] and "'C3'" in differences[-1]


@pytest.mark.parametrize("ignore", ["", "/", 7])
def test_an_empty_path_is_refused(folder: Path, ignore: Any) -> None:
    deliver(orders, fake.request("GET", "/orders"), to="aws")

    with pytest.raises(ValueError, match="ignore takes names and paths"):
        replay(folder, orders, ignore=[ignore])


@portable(on.change("accounts"))
def changed(change: ChangeEvent[Any]) -> None: ...


def test_a_number_with_a_huge_exponent_is_skipped_at_once_on_another_provider(folder: Path) -> None:
    deliver(changed, fake.change("accounts", after={"id": "1", "total": 7}), to="aws")
    (file,) = folder.iterdir()
    file.write_text(file.read_text().replace('"N": "7"', '"N": "1E+9999999"'))
    assert "9999999" in file.read_text()
    start = time.perf_counter()

    replays = replay(folder, changed, to="gcp")

    (skipped,) = replays.skipped
    assert "a number of 10000000 digits" in skipped or "can't be read" in skipped
    assert time.perf_counter() - start < 5


@portable(on.http("POST", "/"))
async def echo(request: Request) -> str:
    return "ok"


@pytest.mark.slow
def test_recording_does_not_block_the_event_loop(folder: Path) -> None:
    application = entry(echo)
    body = (b"http://a:b@" * 100_000)[: 1024 * 1024 - 1]
    gaps: list[float] = []

    async def main() -> list[Any]:
        async def watched() -> None:
            while True:
                before = time.perf_counter()
                await asyncio.sleep(0.01)
                gaps.append(time.perf_counter() - before)

        watching = asyncio.create_task(watched())
        sent = await post(application, body)
        watching.cancel()
        return sent

    sent = asyncio.run(main())

    assert 200 == sent[0]["status"]
    (file,) = folder.iterdir()
    assert "cut" not in json.loads(file.read_text())
    # In the loop's thread, redaction would block for most of a second.
    assert len(gaps) > 10
    assert max(gaps) < 0.5


def test_a_body_that_is_too_long_is_not_recorded(folder: Path) -> None:
    sent = asyncio.run(post(entry(echo), b"http://a:b@" * 200_000))

    assert 200 == sent[0]["status"]
    (file,) = folder.iterdir()
    recording = json.loads(file.read_text())
    assert ["payload"] == recording["cut"]
    assert len(file.read_text()) < 10_000


def test_a_lambda_payload_that_is_too_long_is_not_recorded(folder: Path) -> None:
    deliver(echo, fake.request("POST", "/", body=b"http://a:b@" * 200_000), to="aws")

    (file,) = folder.iterdir()
    assert ["payload"] == json.loads(file.read_text())["cut"]
    (skipped,) = replay(folder, echo).skipped
    assert "too long to record" in skipped


async def post(application: Any, body: bytes) -> list[Any]:
    """Return the messages that the application sends for a POST."""
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/",
        "raw_path": b"/",
        "query_string": b"",
        "root_path": "",
        "headers": [(b"content-length", str(len(body)).encode()), (b"content-type", b"text/plain")],
        "client": None,
        "server": None,
    }
    await application(scope, receive, send)
    return sent
