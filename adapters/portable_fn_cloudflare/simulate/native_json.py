"""Write what a Worker is called with as JSON, and read it back: the properties of JavaScript's objects."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from datetime import UTC, datetime
from typing import Any

from portable_fn.adapter.cloudevents import parse_time, write_time
from portable_fn.errors import DecodeError
from portable_fn.events import UNREADABLE, CloudEvent, Message, ObjectEvent, ScheduleEvent, Task, unreadable
from portable_fn.http import Request
from portable_fn.recording.payload_json import body_fields
from portable_fn.testing.native_json import NativePayload, is_http, request_from_json
from portable_fn_cloudflare.simulate.events import (
    Call,
    EmailMessage,
    MessageBatch,
    QueueMessage,
    ScheduledController,
    wire,
)
from portable_fn_cloudflare.simulate.javascript import JsBody, JsProxy, jsnull


def write(native: Any, service: str) -> Any:
    """Write a batch, a controller, an email or a call."""
    if isinstance(native, MessageBatch):
        return {"queue": native.queue, "messages": [_message(one) for one in native.messages]}
    if isinstance(native, ScheduledController):
        return {"cron": native.cron, "scheduledTime": native.scheduledTime}
    if isinstance(native, EmailMessage):
        raw = {f"raw{name.removeprefix('body')}": text for name, text in body_fields(native.raw.whole).items()}
        return {"from": vars(native)["from"], "to": native.to, "headers": dict(native.headers), **raw}
    assert isinstance(native, Call), native
    return {"method": native.name, "args": native.args}


def _message(one: QueueMessage) -> dict[str, Any]:
    body = None if one.body is jsnull else one.body.value if isinstance(one.body, JsProxy) else one.body
    content_type, octets = wire(body)
    time = one.timestamp.value if isinstance(one.timestamp, JsProxy) else one.timestamp
    return {
        "id": one.id,
        "timestamp": write_time(time),
        "attempts": one.attempts,
        "contentType": content_type,
        "body": b64encode(octets).decode() if content_type == "bytes" else body,
    }


def recognises(value: Any) -> int:
    """Return 2 for a value that only Cloudflare passes, else 0."""
    if not isinstance(value, dict):
        return 0
    if is_http(value):
        return 2 if "cf-ray" in (value.get("headers") or {}) else 0
    shapes = ({"queue", "messages"}, {"cron", "scheduledTime"}, {"from", "to", "headers"}, {"method", "args"})
    return 2 if any(shape <= set(value) for shape in shapes) else 0


def read(value: Any, service: str | None) -> list[NativePayload]:
    """Read what a Worker is called with."""
    if is_http(value):
        return [NativePayload("", request_from_json(value, id="cf-ray", client="cf-connecting-ip"), (Request,))]
    if not isinstance(value, dict):
        raise DecodeError(f"a Worker is called with objects, not a {type(value).__name__}")
    try:
        return [_arrived(value, service)]
    except UNREADABLE as exc:
        raise unreadable(exc, "what the Worker is called with") from exc


def _arrived(value: dict[str, Any], service: str | None) -> NativePayload:
    if "messages" in value:
        messages = [_queue_message(one) for one in value["messages"]]
        return NativePayload(
            service or "queue", MessageBatch(value["queue"], messages), (ObjectEvent, CloudEvent, Message)
        )
    if "scheduledTime" in value:
        time = datetime.fromtimestamp(value["scheduledTime"] / 1000, UTC)
        controller = ScheduledController(ScheduleEvent("", "", time=time, cron=value["cron"]))
        return NativePayload("scheduled", controller, (ScheduleEvent,))
    if "headers" in value:
        return NativePayload("email", _email(value), (Message,))
    if "method" in value:
        call = Call(Task("", "", name=value["method"]))
        call.args = list(value["args"])
        return NativePayload("rpc", call, (Task,), name=call.name)
    raise DecodeError(
        f"a Worker isn't called with {', '.join(sorted(map(str, value))[:10])}; possible are a batch (queue, "
        "messages), a controller (cron, scheduledTime), an email (from, to, headers, raw) and a call (method, args)"
    )


def _queue_message(one: dict[str, Any]) -> QueueMessage:
    body = one["body"]
    if one.get("contentType") == "bytes":
        body = b64decode(body, validate=True)
    time = one.get("timestamp")
    return QueueMessage(
        one["id"],
        parse_time(time) if time else datetime.now(UTC),
        one.get("attempts", 1),
        json.loads(json.dumps(body)) if not isinstance(body, bytes) else body,
    )


def _email(value: dict[str, Any]) -> EmailMessage:
    raw = b64decode(value["raw_base64"], validate=True) if "raw_base64" in value else value.get("raw", "").encode()
    email = EmailMessage(Message("", "", raw, channel=value["to"]))
    setattr(email, "from", value["from"])
    email.headers = sorted((str(name).lower(), str(one)) for name, one in value["headers"].items())
    email.rawSize, email.raw = len(raw), JsBody(raw)
    return email
