"""Handlers and requests for the tests of binding and routing."""

from __future__ import annotations

import asyncio
import functools
from datetime import datetime
from typing import Any

import pydantic

from portable_fn import (
    Batch,
    ChangeEvent,
    Context,
    Message,
    Request,
    Response,
    Task,
    on,
    portable,
)
from portable_fn.adapter.binding import bindings
from portable_fn.adapter.pipeline import respond
from portable_fn.adapter.routing import Router


def answer(event: Request[Any], *functions: object) -> Response:
    response = respond(Router(bindings(*functions)), event, Context(invocation_id="i-1"))
    return asyncio.run(response) if not isinstance(response, Response) else response  # type: ignore[arg-type]


def problem(response: Response) -> dict[str, Any]:
    import json

    assert isinstance(response.body, bytes)
    assert response.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = json.loads(response.body)
    return document


@portable
def bare(event, ctx):  # type: ignore[no-untyped-def]
    return {"path": event.path, "provider": ctx.provider}


@portable(on.http("GET", "/async/{name}"))
async def later(request: Request) -> dict[str, str]:
    return {"name": request.params["name"]}


class Item(pydantic.BaseModel):
    sku: str
    amount: int = 1


def named(name: str, *triggers: Any) -> Any:
    def handler(request: Request) -> dict[str, object]:
        return {"function": name, "params": request.params}

    return portable(*triggers)(handler)


async def _outer(event: Any, ctx: Context, call_next: Any) -> Any:
    return await call_next(event, ctx)


# Handlers with all kinds of declarations


class Strict(pydantic.BaseModel, strict=True):
    at: datetime


def passes_on(function: Any) -> Any:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


def of_message(message: Message[Any], ctx: Context) -> None: ...


async def of_message_async(message: Message, ctx: Context | None = None) -> None: ...


def of_typed(message: Message[Strict]) -> Strict: ...  # type: ignore[empty-body]


def of_task(task: Task[Strict], ctx: Context) -> None: ...


async def of_batch_async(batch: Batch[ChangeEvent[Any]], ctx: Context) -> None: ...


def of_typed_batch(batch: Batch[Message[Strict]]) -> None: ...
