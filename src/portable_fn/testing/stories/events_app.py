"""The functions that the stories of events are told to: each shows what it saw and does as the event's data says."""

from __future__ import annotations

import base64
import json
import os
import time
from typing import Any

from portable_fn import (
    Batch,
    ChangeEvent,
    CloudEvent,
    Context,
    DecodeError,
    Event,
    Message,
    ObjectEvent,
    Reject,
    Retry,
    ScheduleEvent,
    Task,
    on,
    portable,
)

# What the functions saw in this process, newest last.
SEEN: list[dict[str, Any]] = []
# Before each line that shows one, where PORTABLE_FN_STORIES is "print".
MARK = "portable_fn saw "


# How a text begins that is no JSON, and that a function fails to read.
UNREADABLE = b'{"do": "read"'


class OutOfStock(Exception):
    """An error with a name of its own."""


def see(event: Event[Any], context: Context, together: int = 1) -> None:
    """Note the event, and how many arrived together, in SEEN.

    For a runtime in another process, also write it to the file that PORTABLE_FN_STORIES names, or print it if that is
    "print".
    """
    shown = {
        **_shown(event),
        "provider": context.provider,
        "remaining": context.remaining() is not None,
        "together": together,
    }
    SEEN.append(shown)
    path = os.environ.get("PORTABLE_FN_STORIES")
    if path == "print":
        print(MARK + json.dumps(shown), flush=True)
    elif path:
        with open(path, "a") as file:
            file.write(json.dumps(shown) + "\n")


def _shown(event: Any) -> dict[str, Any]:
    names = {
        "Message": ("channel", "subject", "attempt", "key", "partition", "sequence", "content_type"),
        "ObjectEvent": ("bucket", "key", "action", "size", "etag", "version", "content_type"),
        "ChangeEvent": ("table", "action", "sequence"),
        "ScheduleEvent": ("name", "cron", "is_late"),
        "CloudEvent": ("type", "subject", "schema", "content_type"),
        "Task": ("name", "type"),
    }
    kind = event.kind_name
    shown = {
        "kind": kind,
        "id": event.id,
        "source": event.source,
        "envelopes": [one.kind_name for one in event.envelopes],
    }
    shown["time"] = None if event.time is None else event.time.isoformat()
    shown.update((name, getattr(event, name)) for name in names[kind])
    if kind in ("Message", "CloudEvent"):
        shown["body"] = base64.b64encode(event.body).decode()
    if kind == "Message":
        shown["attributes"] = {name: _plain(value) for name, value in event.attributes.items()}
    if kind == "CloudEvent":
        shown["extensions"] = dict(event.extensions)
    if kind == "ChangeEvent":
        shown["row"] = _plain(event.key)
        shown["before"], shown["after"] = _plain(event.before), _plain(event.after)
    if kind in ("ScheduleEvent", "Task"):
        shown["input"] = event.input
    return shown


def _plain(value: Any) -> Any:
    """A value as JSON has it: bytes, decimals and sets by their name."""
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    if isinstance(value, bytes):
        return {"bytes": base64.b64encode(value).decode()}
    if isinstance(value, (set, frozenset)):
        return {"set": sorted(_plain(one) for one in value)}
    if type(value).__name__ == "Decimal":
        return float(value) if value % 1 else int(value)
    return value


def act(data: Any) -> Any:
    """Does what the data says: {"do": "fail"}, "retry", "reject", "sleep", "return"; nothing for any other."""
    if not isinstance(data, dict):
        return None
    what = data.get("do")
    if what == "fail":
        raise OutOfStock("told to fail")
    if what == "retry":
        raise Retry("told to", after=data.get("after"))
    if what == "reject":
        raise Reject("told to")
    if what == "exit":
        raise SystemExit("told to")
    if what == "sleep":
        time.sleep(data["seconds"])
    return data.get("value") if what == "return" else None


def _data(event: Message[Any] | CloudEvent[Any]) -> Any:
    try:
        return event.data
    except DecodeError:
        if event.body.startswith(UNREADABLE):
            raise
        return None  # any other body that is no JSON says nothing


@portable(
    on.queue("orders", dead_letter="orders-dead"),
    on.topic("orders", dead_letter="orders-dead"),
    on.stream("orders", dead_letter="orders-dead", retry=on.RetryPolicy(attempts=5, delay=5)),
)
def message(event: Message[Any], ctx: Context) -> None:
    """A message, each on its own."""
    see(event, ctx)
    act(_data(event))


@portable(on.object("uploads", dead_letter="orders-dead"))
def stored(event: ObjectEvent[Any], ctx: Context) -> None:
    """An object; one whose key begins with "fail", "reject" or "retry" does that."""
    _store(event, ctx)


def _store(event: ObjectEvent[Any], ctx: Context) -> None:
    see(event, ctx)
    for what in ("fail", "reject", "retry"):
        if event.key.startswith(what):
            act({"do": what, "after": 30})


@portable(on.change("users", dead_letter="orders-dead", retry=on.RetryPolicy(attempts=5, delay=5)))
def changed(event: ChangeEvent[Any], ctx: Context) -> None:
    """A row of a table."""
    see(event, ctx)
    act(event.data)


@portable(on.schedule("0 3 * * *", name="nightly", retry=on.RetryPolicy(attempts=5, delay=5)))
def tick(event: ScheduleEvent[Any], ctx: Context) -> None:
    """A schedule."""
    see(event, ctx)
    act(event.input)


@portable(on.schedule("0 3 * * *", name="nightly", retry=on.RetryPolicy(attempts=5, delay=5)))
def failing(event: ScheduleEvent[Any], ctx: Context) -> None:
    """A schedule whose function always fails."""
    see(event, ctx)
    act({"do": "fail"})


@portable(on.event(dead_letter="orders-dead"))
def happened(event: CloudEvent[Any], ctx: Context) -> Any:
    """An event of a bus."""
    return _happen(event, ctx)


def _happen(event: CloudEvent[Any], ctx: Context) -> Any:
    see(event, ctx)
    data = _data(event)
    if isinstance(data, dict) and data.get("do") == "reply":
        return CloudEvent("reply-1", "/stories", "order.shipped", b'{"n":1}', content_type="application/json")
    return act(data)


@portable(on.task("function"))
def function(event: Task[Any], ctx: Context) -> Any:
    """A task."""
    see(event, ctx)
    return act(event.data)


BY_KIND = {
    "Message": message,
    "ObjectEvent": stored,
    "ChangeEvent": changed,
    "ScheduleEvent": tick,
    "CloudEvent": happened,
    "Task": function,
}


@portable(
    on.queue("orders", dead_letter="orders-dead"),
    on.topic("orders", dead_letter="orders-dead"),
    on.stream("orders", dead_letter="orders-dead", retry=on.RetryPolicy(attempts=5, delay=5)),
)
def batch(messages: Batch[Message[Any]], ctx: Context) -> None:
    """Messages as they came together; each is settled as its data says."""
    for one in messages:
        see(one, ctx, len(messages))
        data = _data(one) or {}
        if data.get("do") == "retry":
            messages.retry(one, after=data.get("after"), why="told to")
        elif data.get("do") == "reject":
            messages.reject(one, "told to")
        elif data.get("do") == "fail":
            raise OutOfStock("told to fail")


@portable(on.change("users", dead_letter="orders-dead", retry=on.RetryPolicy(attempts=5, delay=5)))
def changes(rows: Batch[ChangeEvent[Any]], ctx: Context) -> None:
    """Rows as they came together."""
    for one in rows:
        see(one, ctx, len(rows))


@portable(on.object("uploads", via="events", dead_letter="orders-dead"))
def stored_by_messages(event: ObjectEvent[Any], ctx: Context) -> None:
    """An object of which a message tells."""
    _store(event, ctx)


@portable(on.change("users", via="events", dead_letter="orders-dead", retry=on.RetryPolicy(attempts=5, delay=5)))
def changed_by_messages(event: ChangeEvent[Any], ctx: Context) -> None:
    """A row of which a message tells."""
    see(event, ctx)
    act(event.data)


@portable(on.schedule("0 3 * * *", name="nightly", via="events", retry=on.RetryPolicy(attempts=5, delay=5)))
def tick_by_messages(event: ScheduleEvent[Any], ctx: Context) -> None:
    """A schedule of which a message tells."""
    see(event, ctx)
    act(event.input)


@portable(on.event(via="events", dead_letter="orders-dead"))
def happened_by_messages(event: CloudEvent[Any], ctx: Context) -> Any:
    """An event of a bus that comes in a message."""
    return _happen(event, ctx)


# By kind, what is called for what comes in the messages of "events", which is the channel that `simulate` takes for such.
BY_MESSAGES = {
    "ObjectEvent": stored_by_messages,
    "ChangeEvent": changed_by_messages,
    "ScheduleEvent": tick_by_messages,
    "CloudEvent": happened_by_messages,
}


def functions_for(kind: str, app: str) -> list[Any]:
    """The functions of an entry that a story of the kind and the app is told to: first the one that the story is about."""
    if app == "among others":
        return [message, stored, changed, tick, happened]
    if app == "by messages":
        return [BY_MESSAGES[kind], message]
    if app == "batch":
        return [changes if kind == "ChangeEvent" else batch]
    return [failing if app == "failing" else BY_KIND[kind]]
