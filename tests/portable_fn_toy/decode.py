"""Decode Toy's invocations."""

from __future__ import annotations

from binascii import a2b_base64

from portable_fn.adapter.cloudevents import parse_time
from portable_fn.context import Context
from portable_fn.errors import DecodeError, HTTPError
from portable_fn.events import UNREADABLE, Message, Task, unreadable
from portable_fn.http import Request
from portable_fn.pairs import Headers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from portable_fn.adapter.batch import Item
    from portable_fn_toy.native import Call, Invocation, Queue, QueuedMessage, Web

SERVICES = ("web", "queue", "call")


def invocation(native: Invocation, cold_start: bool) -> Context:
    """Return an invocation's context; raise DecodeError for a payload that none of Toy's services sends."""
    if not isinstance(native, dict) or native.get("service") not in SERVICES:
        names = f"an object with {', '.join(sorted(map(str, native)))}" if isinstance(native, dict) else ""
        raise DecodeError(
            f"the payload is {(names or type(native).__name__)[:200]}; its service must be one of {', '.join(SERVICES)}"
        )
    id, deadline = native.get("invocation"), native.get("deadline")
    if not isinstance(id, str) or not id or not isinstance(deadline, (int, float, type(None))):
        raise DecodeError("an invocation must have an id, a string, and may have a deadline, a number")
    return Context("toy", invocation_id=id, deadline=deadline, cold_start=cold_start, native=native)


def web(native: Web) -> Request:
    """Decode a request; raise HTTPError 400 if it is unreadable."""
    try:
        path, _, query = _text(native["target"]).partition("?")
        return Request(
            _text(native["method"]),
            path,
            query,
            Headers((_text(name), _text(value)) for name, value in native["headers"]),
            a2b_base64(native["body"], strict_mode=True),
            host=_text(native["host"]),
            scheme=_text(native["scheme"]),
            client_ip=None if native["client"] is None else _text(native["client"]),
            id=native["invocation"],
            native=native,
        )
    except UNREADABLE as exc:
        raise HTTPError(400, f"The request can't be read: {type(exc).__name__}.") from exc


def queue(native: Queue) -> list[Item]:
    """Decode messages; each unreadable one is replaced by its DecodeError. Raise DecodeError if none can be found."""
    try:
        name = _text(native["queue"])
        return [_message(message, name) for message in native["messages"]]
    except UNREADABLE as exc:
        raise unreadable(exc, "a queue's invocation") from exc


def _message(native: QueuedMessage, queue: str) -> Item:
    try:
        id = _text(native["id"])
        if not id:
            return DecodeError("a message has no id")
        return Message(
            id,
            queue,
            a2b_base64(native["body"], strict_mode=True),
            channel=queue,
            time=parse_time(native["sent"]),
            content_type=_text(native["type"]),
            attributes={_text(name): _text(value) for name, value in native["attributes"].items()},
            attempt=int(native["attempt"]),
            native=native,
        )
    except DecodeError as exc:
        return exc
    except UNREADABLE as exc:
        return unreadable(exc, "a message")


def call(native: Call) -> Task[Any]:
    """Decode a call as a task."""
    try:
        return Task(native["invocation"], "caller", native["input"], name=_text(native["name"]), native=native)
    except UNREADABLE as exc:
        raise unreadable(exc, "a call") from exc


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("expected a string")
    return value
