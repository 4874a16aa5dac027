"""Handlers and events for the tests of batches."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import strategies as st
from pydantic import BaseModel

from portable_fn import (
    Batch,
    Context,
    Message,
    Reject,
    Retry,
    on,
    portable,
)
from portable_fn.adapter.batch import Consumer
from portable_fn.adapter.binding import bindings
from portable_fn.adapter.dispatch import Dispatcher
from portable_fn.testing import fake

calls: list[Any] = []


def act(event: Message[Any]) -> None:
    calls.append(event.id)
    if event.data == "fail":
        raise LookupError("told to")
    if event.data == "retry":
        raise Retry("told to", after=5)
    if event.data == "reject":
        raise Reject("told to")
    if event.data == "exit":
        raise SystemExit


@portable
def each(event: Message[Any]) -> None:
    act(event)


@portable
async def each_async(event: Message[Any]) -> None:
    await asyncio.sleep(0)
    act(event)


@portable(concurrency=3)
async def three_at_once(event: Message[Any]) -> None:
    await asyncio.sleep(0)
    act(event)


def in_loop(found: Any) -> Any:
    """Return the result of `handle`, awaited if necessary."""
    if isinstance(found, list):
        return found

    async def awaited() -> Any:
        return await found

    return asyncio.run(awaited())


def handled(
    function: Any,
    items: Sequence[Any],
    *,
    key: Callable[[Any], Any] | None = None,
    seconds: float | None = None,
    **fields: Any,
) -> list[Any]:
    targets = function if isinstance(function, tuple) else (function,)
    consumer = Consumer(Dispatcher(bindings(*targets)), key=key, **fields)
    context = Context(deadline=None if seconds is None else time.time() + seconds)
    result: list[Any] = in_loop(consumer.handle(items, context))
    assert len(items) == len(result)
    return result


def outcomes(function: Any, items: Sequence[Any], **fields: Any) -> list[str]:
    """Return the outcomes as words: "done", "retry" or "reject"."""
    return [type(one).__name__.lower() for one in handled(function, items, **fields)]


def messages(*datas: Any, keys: str = "") -> list[Message[Any]]:
    return [fake.message(data, id=str(number), key=keys[number] if keys else None) for number, data in enumerate(datas)]


def by_key(event: Any) -> Any:
    return event.key


@portable(on.queue("orders", dead_letter="dead"))
def with_dead_letter(event: Message[Any]) -> None:
    act(event)


class Order(BaseModel):
    sku: str


# Whole batches


@portable
def whole(batch: Batch[Message[Any]]) -> None:
    calls.extend(event.id for event in batch)
    for event in batch:
        if event.data == "retry":
            batch.retry(event, after=3)
        if event.data == "reject":
            batch.reject(event, "told to")
        if event.data == "fail":
            raise LookupError


@portable
async def whole_async(batch: Batch[Message[Any]]) -> None:
    await asyncio.sleep(0)
    whole(batch)


datas = st.lists(st.sampled_from([0, "fail", "retry", "reject"]), max_size=12)


def takes_rejects(event: Message[Any]) -> None:
    if event.data == "retry":
        raise Retry
    raise Reject


def takes_batches(batch: Batch[Message[Any]]) -> None:
    takes_rejects(batch[0])


def ignores(event: Message[Any]) -> None: ...


async def ignores_async(event: Message[Any]) -> None: ...


for_others = portable(on.queue("others"))(ignores)


for_others_async = portable(on.queue("others"))(ignores_async)
