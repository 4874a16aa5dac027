"""Functions for the events of a Worker that the stories don't have."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from portable_fn import Context, Message, Reject, Retry, ScheduleEvent, Task, on, portable
from portable_fn.testing.stories.events_app import SEEN

AT_ONCE: list[int] = [0, 0]


@portable(on.task("seen"))
def seen(event: Task[Any]) -> list[dict[str, Any]]:
    """What the stories' functions saw since the last time."""
    found = list(SEEN)
    SEEN.clear()
    return found


@portable(on.task("echo"))
def echo(event: Task[Any]) -> Any:
    """The input, of which types it is, and the call's id."""
    return {"input": event.data, "types": _types(event.data), "id": event.id}


@portable(on.task("types"))
def types(event: Task[Any]) -> Any:
    """Of which types the input is."""
    return _types(event.data)


def _types(value: Any) -> Any:
    if isinstance(value, list):
        return [_types(one) for one in value]
    if isinstance(value, dict):
        return {name: _types(one) for name, one in value.items()}
    return type(value).__name__


@portable(on.task("unwritable"))
def unwritable(event: Task[Any]) -> Any:
    """What JSON has no word for."""
    return object()


@portable(on.task("rejecting"))
async def rejecting(event: Task[Any]) -> Any:
    """Rejects its input."""
    await asyncio.sleep(0)
    raise Reject("it has no use")


@portable(on.task("later"))
async def later(event: Task[Any], ctx: Context) -> str:
    """Answers before its work is done, which is seen afterwards."""

    async def work() -> None:
        await asyncio.sleep(0.05)
        SEEN.append({"worked": True})

    ctx.background(work())
    return "answered"


@portable(on.queue("slow"), concurrency=3)
async def slow(message: Message[Any]) -> None:
    """Waits with up to two others."""
    AT_ONCE[0] += 1
    AT_ONCE[1] = max(AT_ONCE)
    await asyncio.sleep(0.02)
    AT_ONCE[0] -= 1
    if isinstance(message.data, dict):
        raise Retry("not now", after=90.5)


@portable(on.queue("nowhere", dead_letter="ABSENT"))
def nowhere(message: Message[Any]) -> None:
    """Rejects, and has no binding for the dead letters."""
    raise Reject("nowhere to go")


@portable(on.schedule("1 1 * * 1"))
def report(event: ScheduleEvent[Any]) -> None:
    """Fails."""
    raise LookupError("no such report")


@portable(on.schedule("2 2 * * 2"))
async def never(event: ScheduleEvent[Any]) -> None:
    """Rejects."""
    raise Reject("it is past")


@portable(on.schedule("3 3 * * 3"))
def exits(event: ScheduleEvent[Any]) -> None:
    """Exits."""
    sys.exit("told to")


@portable(on.queue("spam@example.com"))
def spam(message: Message[Any]) -> None:
    """Rejects emails."""
    raise Reject("we know no spam")


@portable(on.queue("fail@example.com"))
async def fail(message: Message[Any]) -> None:
    """Fails for emails."""
    raise LookupError("no such customer")


@portable(on.task("at_once"))
def at_once(event: Task[Any]) -> int:
    """How many of them waited at once."""
    return AT_ONCE[1]
