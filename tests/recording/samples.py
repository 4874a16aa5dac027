"""Handlers, events and recordings that the tests of recording share."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from portable_fn import (
    HTTPError,
    Message,
    Reject,
    Request,
    Retry,
    Task,
    on,
    portable,
)  # fmt: skip
from portable_fn.providers import ADAPTERS
from portable_fn.testing import deliver, fake

RECORDING = [*ADAPTERS]


@portable(on.queue("orders"))
def ship(message: Message[Any]) -> None:
    match message.data["sku"]:
        case 2:
            raise Retry("later", after=5)
        case 3:
            raise ValueError("no such lamp")
        case 4:
            raise Reject("never")


@portable(on.http("POST", "/items"))
async def create(request: Request) -> dict[str, Any]:
    if not request.json():
        raise HTTPError(422, "nothing to create")
    return {"created": request.json()["name"], "token": "hunter2"}


@portable(on.task("add"))
def add(task: Task[Any]) -> int:
    total: int = task.data["a"] + 1
    return total


HANDLERS = [ship, create, add]
MESSAGES = fake.batch([{"sku": sku, "password": "hunter2"} for sku in (1, 2, 3, 4)], content_type="application/json")
REQUEST = fake.request(
    "POST",
    "/items?api_key=hunter2&page=1",
    json={"name": "lamp", "client_secret": "hunter2"},
    headers={"authorization": "Bearer hunter2", "x-session": "hunter2", "x-tenant": "7"},
    cookies={"sid": "hunter2"},
)


def record(provider: str) -> None:
    deliver(HANDLERS, MESSAGES, to=provider)
    deliver(HANDLERS, REQUEST, to=provider)
    deliver(HANDLERS, fake.task({"a": 1}), to=provider)


def printed(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line.partition(" ")[2]) for line in file.read_text().splitlines()]


def recordings(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted(folder.iterdir())]


LINE = '{"provider":"aws","payload":{"a":1},"calls":[{"function":"add","kind":"Task","events":[{"id":"1","outcome":"done"}]}],"answer":2}'


@portable(on.http("POST", "/"))
def length(request: Request) -> str:
    return str(len(request.body))


@portable(on.http("GET", "/big"))
async def big(request: Request) -> Any:
    for _ in range(11):
        yield "x" * 1024 * 1024
