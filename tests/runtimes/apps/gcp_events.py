"""Functions for the triggers of Google's emulators: each prints what it gets, and fails as often as the data says."""

from __future__ import annotations

from collections import Counter

from portable_fn import ChangeEvent, CloudEvent, Context, Message, ObjectEvent, Reject, Retry, Task, on, portable
from portable_fn.testing.stories.events_app import see
from portable_fn_gcp import entry

# How often each event has come to this process.
_CAME: Counter[str] = Counter()


@portable(on.queue("orders", dead_letter="rejected"))
def ship(message: Message, ctx: Context) -> None:
    """Fails as often as the message's `fail` says, and rejects it where there is a `reject`."""
    see(message, ctx)
    _CAME[message.id] += 1
    data = message.data if message.body[:1] == b"{" else {}
    if data.get("reject"):
        raise Reject("unknown sku")
    if _CAME[message.id] <= data.get("fail", 0):
        raise Retry("busy", after=data["after"]) if "after" in data else ValueError("told to fail")


@portable
async def ship_async(message: Message, ctx: Context) -> None:
    """The same, for Starlette."""
    ship.__portable__.handler(message, ctx)


@portable
def stored(upload: ObjectEvent, ctx: Context) -> None:
    """An object."""
    see(upload, ctx)


@portable
def changed(change: ChangeEvent, ctx: Context) -> None:
    """A document."""
    see(change, ctx)


@portable
def happened(event: CloudEvent, ctx: Context) -> None:
    """An event; one of the type "fail" fails."""
    see(event, ctx)
    if event.type == "fail":
        raise ValueError("told to fail")


@portable
def double(task: Task) -> int:
    """Twice the input."""
    if not isinstance(task.data, int):
        raise TypeError("no number")
    return task.data * 2


# Under names that aren't their own, functions-framework doesn't know them for HTTP functions.
mismatched = entry(happened)
renamed = happened
