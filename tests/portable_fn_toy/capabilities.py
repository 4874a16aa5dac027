"""Declare what Toy's services can do."""

from __future__ import annotations

from portable_fn.adapter.capabilities import Service, impossible, native

_WEB = {
    "typed principal": impossible("nothing verifies the caller"),
    "streaming": impossible("an answer is one JSON object"),
}
_QUEUE = {
    name: native()
    for name in ("partial failure", "retry", "retry delay", "reject", "attempt count", "batch", "attributes")
} | {"order": impossible("it has no order")}
_ALL = {"deadline": native(), "binary body": native(), "reply": native()}

SERVICES = (
    Service("web", "Request", "http", _ALL | _WEB),
    Service("queue", "Message", "queue", _ALL | _QUEUE),
    Service("call", "Task", "task", _ALL),
)
