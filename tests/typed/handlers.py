"""What an editor infers in and of handlers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any, assert_type

from flask import Flask

from portable_fn import (
    Batch,
    ChangeEvent,
    CloudEvent,
    Context,
    Event,
    Headers,
    Message,
    ObjectEvent,
    Request,
    Response,
    ScheduleEvent,
    Task,
    on,
    portable,
    wsgi_app,
)
from portable_fn.pairs import Params
from portable_fn.testing import fake


class Order:
    sku: str


@portable
def bare(order: Message[Order], ctx: Context) -> str:
    assert_type(order.data, Order)
    assert_type(order.data.sku, str)
    assert_type(order.id, str)
    assert_type(order.time, datetime | None)
    assert_type(order.body, bytes)
    assert_type(order.text, str)
    assert_type(order.channel, str)
    assert_type(order.attributes, Mapping[str, str | bytes | None])
    assert_type(order.attempt, int | None)
    assert_type(order.key, str | None)
    assert_type(order.envelopes, tuple[Event[Any], ...])
    assert_type(ctx.deadline, datetime | None)
    return order.data.sku


@portable(on.queue("orders"), on.topic("orders"), concurrency=4)
async def triggered(order: Message[Order]) -> int:
    assert_type(order.data, Order)
    return 1


@portable
def untyped(message: Message) -> list[Any]:
    assert_type(message, Message[Any])
    assert_type(message.data, Any)
    return [message.data]


@portable
def whole(batch: Batch[Message[Order]]) -> None:
    assert_type(batch[0], Message[Order])
    assert_type(batch[1:], list[Message[Order]])
    for message in batch:
        assert_type(message.data, Order)
        batch.retry(message, after=30)
        batch.reject(message, "unknown sku")


@portable
def rows(batch: Batch[ChangeEvent]) -> None:
    for change in batch:
        assert_type(change, ChangeEvent[Any])


@portable(on.http("POST", "/orders"))
def requested(request: Request[Order]) -> dict[str, str]:
    assert_type(request.data, Order)
    assert_type(request.headers, Headers)
    assert_type(request.params, Params)
    assert_type(request.params["id"], str)
    assert_type(request.params.get_int("id"), int)
    assert_type(request.query.get_int("limit", 20, ge=1), int)
    assert_type(request.query.get_bool("all", None), bool | None)
    assert_type(request.query["page"], str)
    return {"sku": request.data.sku}


@portable(on.event("order.created"))
def happened(event: CloudEvent[Order]) -> None:
    assert_type(event.data, Order)
    assert_type(event.type, str)
    assert_type(event.extensions, Mapping[str, str])


@portable(on.task())
def called(task: Task[Order]) -> Order:
    assert_type(task.data, Order)
    return task.data


@portable(on.object("uploads", "created"))
def uploaded(upload: ObjectEvent) -> None:
    assert_type(upload.key, str)
    assert_type(upload.size, int | None)
    assert_type(upload.body, bytes | None)


@portable(on.change("users"))
def changed(change: ChangeEvent) -> None:
    assert_type(change.before, Mapping[str, Any] | None)
    assert_type(change.after, Mapping[str, Any] | None)
    assert_type(change.key, Mapping[str, Any])


@portable(on.schedule("0 3 * * *"))
def nightly(tick: ScheduleEvent) -> None:
    assert_type(tick.time, datetime | None)
    assert_type(tick.is_late, bool)


# A portable function has the signature of its handler.
assert_type(bare(fake.message(), fake.context()), str)
assert_type(bare(order=fake.message(), ctx=fake.context()), str)
assert_type(untyped(fake.message()), list[Any])
assert_type(requested(fake.request()), dict[str, str])
assert_type(called(fake.task()), Order)
an_async_function: Callable[[Message[Order]], Awaitable[int]] = triggered


async def awaited() -> None:
    assert_type(await triggered(fake.message()), int)


# Flask's and a hand-written WSGI application, mounted.
assert_type(wsgi_app(Flask("shop"))(fake.request(), fake.context()), Response)
