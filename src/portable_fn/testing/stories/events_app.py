"""Serve the event stories: each function shows the event that it got, and does what the event's data says."""

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

# The events that the functions got in this process, newest last.
SEEN: list[dict[str, Any]] = []
# The start of each printed line, if PORTABLE_FN_STORIES is "print".
MARK = "portable_fn saw "


# The start of malformed JSON that a function must fail to read.
UNREADABLE = b'{"do": "read"'


class OutOfStock(Exception):
    """An error with its own name."""


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
        "envelopes": [envelope.kind_name for envelope in event.envelopes],
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
    """Return a value as JSON, with bytes and sets as objects and decimals as numbers."""
    if isinstance(value, dict):
        return {name: _plain(member) for name, member in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, bytes):
        return {"bytes": base64.b64encode(value).decode()}
    if isinstance(value, (set, frozenset)):
        return {"set": sorted(_plain(item) for item in value)}
    if type(value).__name__ == "Decimal":
        return float(value) if value % 1 else int(value)
    return value


def act(data: Any) -> Any:
    """Do what the data says: {"do": "fail"}, "retry", "reject", "exit", "sleep", "return"; otherwise nothing."""
    if not isinstance(data, dict):
        return None
    action = data.get("do")
    if action == "fail":
        raise OutOfStock("told to fail")
    if action == "retry":
        raise Retry("told to", after=data.get("after"))
    if action == "reject":
        raise Reject("told to")
    if action == "exit":
        raise SystemExit("told to")
    if action == "sleep":
        time.sleep(data["seconds"])
    return data.get("value") if action == "return" else None


def _data(event: Message[Any] | CloudEvent[Any]) -> Any:
    try:
        return event.data
    except DecodeError:
        if event.body.startswith(UNREADABLE):
            raise
        return None  # other malformed bodies mean nothing


@portable(
    on.queue("orders", dead_letter="orders-dead"),
    on.topic("orders", dead_letter="orders-dead"),
    on.stream("orders", dead_letter="orders-dead", retry=on.RetryPolicy(attempts=5, delay=5)),
)
def message(event: Message[Any], ctx: Context) -> None:
    """Take a message."""
    see(event, ctx)
    act(_data(event))


@portable(on.object("uploads", dead_letter="orders-dead"))
def stored(event: ObjectEvent[Any], ctx: Context) -> None:
    """Take an object; if its key starts with "fail", "reject" or "retry", do that."""
    _store(event, ctx)


def _store(event: ObjectEvent[Any], ctx: Context) -> None:
    see(event, ctx)
    for action in ("fail", "reject", "retry"):
        if event.key.startswith(action):
            act({"do": action, "after": 30})


@portable(on.change("users", dead_letter="orders-dead", retry=on.RetryPolicy(attempts=5, delay=5)))
def changed(event: ChangeEvent[Any], ctx: Context) -> None:
    """Take a change of a row."""
    see(event, ctx)
    act(event.data)


@portable(on.schedule("0 3 * * *", name="nightly", retry=on.RetryPolicy(attempts=5, delay=5)))
def tick(event: ScheduleEvent[Any], ctx: Context) -> None:
    """Take a schedule."""
    see(event, ctx)
    act(event.input)


@portable(on.schedule("0 3 * * *", name="nightly", retry=on.RetryPolicy(attempts=5, delay=5)))
def failing(event: ScheduleEvent[Any], ctx: Context) -> None:
    """Take a schedule, and always fail."""
    see(event, ctx)
    act({"do": "fail"})


@portable(on.event(dead_letter="orders-dead"))
def happened(event: CloudEvent[Any], ctx: Context) -> Any:
    """Take an event of a bus."""
    return _happen(event, ctx)


def _happen(event: CloudEvent[Any], ctx: Context) -> Any:
    see(event, ctx)
    data = _data(event)
    if isinstance(data, dict) and data.get("do") == "reply":
        return CloudEvent("reply-1", "/stories", "order.shipped", b'{"n":1}', content_type="application/json")
    return act(data)


@portable(on.task("function"))
def function(event: Task[Any], ctx: Context) -> Any:
    """Take a task."""
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
    """Take a batch; retry or reject each message as its data says."""
    for message in messages:
        see(message, ctx, len(messages))
        data = _data(message) or {}
        if data.get("do") == "retry":
            messages.retry(message, after=data.get("after"), why="told to")
        elif data.get("do") == "reject":
            messages.reject(message, "told to")
        elif data.get("do") == "fail":
            raise OutOfStock("told to fail")


@portable(on.change("users", dead_letter="orders-dead", retry=on.RetryPolicy(attempts=5, delay=5)))
def changes(rows: Batch[ChangeEvent[Any]], ctx: Context) -> None:
    """Take a batch of changes."""
    for row in rows:
        see(row, ctx, len(rows))


@portable(on.object("uploads", via="events", dead_letter="orders-dead"))
def stored_by_messages(event: ObjectEvent[Any], ctx: Context) -> None:
    """Take an object from a message."""
    _store(event, ctx)


@portable(on.change("users", via="events", dead_letter="orders-dead", retry=on.RetryPolicy(attempts=5, delay=5)))
def changed_by_messages(event: ChangeEvent[Any], ctx: Context) -> None:
    """Take a change from a message."""
    see(event, ctx)
    act(event.data)


@portable(on.schedule("0 3 * * *", name="nightly", via="events", retry=on.RetryPolicy(attempts=5, delay=5)))
def tick_by_messages(event: ScheduleEvent[Any], ctx: Context) -> None:
    """Take a schedule from a message."""
    see(event, ctx)
    act(event.input)


@portable(on.event(via="events", dead_letter="orders-dead"))
def happened_by_messages(event: CloudEvent[Any], ctx: Context) -> Any:
    """Take an event of a bus from a message."""
    return _happen(event, ctx)


# By kind, the function for events in messages of the channel "events", which `simulate` uses for these.
BY_MESSAGES = {
    "ObjectEvent": stored_by_messages,
    "ChangeEvent": changed_by_messages,
    "ScheduleEvent": tick_by_messages,
    "CloudEvent": happened_by_messages,
}


def functions_for(kind: str, app: str) -> list[Any]:
    """Return the functions of the entry for a story, the one that the story is about first.

    Args:
        kind: The kind of event.
        app: The story's `app`.
    """
    if app == "among others":
        return [message, stored, changed, tick, happened]
    if app == "by messages":
        return [BY_MESSAGES[kind], message]
    if app == "batch":
        return [changes if kind == "ChangeEvent" else batch]
    return [failing if app == "failing" else BY_KIND[kind]]
