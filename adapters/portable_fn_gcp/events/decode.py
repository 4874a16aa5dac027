"""Decode a request from one of Google's triggers as events.

Each trigger sends an HTTP request, recognised by its headers or by members of its body. Anybody can send such a request to a
public URL: these headers authenticate nobody.
"""

from __future__ import annotations

from portable_fn.adapter import cloudevents
from portable_fn.data import parse_json
from portable_fn.errors import DecodeError
from portable_fn.events import CloudEvent, Message
from portable_fn_gcp.events import legacy, messages, objects, tasks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from portable_fn.adapter.batch import Item
    from portable_fn.events import Event
    from portable_fn.http import Request
    from portable_fn_gcp.native import SDKEvent

    Read = Callable[[Request[Any], Any], Sequence[Item]]

# Follows "known are" in an error about a request that is neither an event nor on an HTTP function's path.
KNOWN = (
    "a Pub/Sub push (unwrapped only with its metadata written), a CloudEvent (binary, structured or batched), Cloud Scheduler, "
    "Cloud Tasks, a first-generation event, and a BigQuery remote function"
)


class IncomingEvents:
    """The events of one request, and the source that sent it."""

    def __init__(self, source: str, items: Sequence[Item], request: Request[Any]) -> None:
        self.source = source
        self.items = items
        self.request = request


def incoming_events(request: Request[Any]) -> IncomingEvents | None:
    """Decode the events of a request; None for plain HTTP. The items have a DecodeError for each unreadable event."""
    name = ""
    try:
        name, value = source(request)
        return IncomingEvents(name, _READ[name](request, value), request) if name else None
    except DecodeError as exc:
        return IncomingEvents(name, [exc], request)


def incoming_task(request: Request[Any]) -> IncomingEvents:
    """Decode a direct call, such as Workflows makes; the item is a DecodeError if its body isn't JSON."""
    try:
        return IncomingEvents("task", [tasks.task(request)], request)
    except DecodeError as exc:
        return IncomingEvents("task", [exc], request)


def source(request: Request[Any]) -> tuple[str, Any]:
    """Return the name of the request's source, and its body if that was parsed as JSON; "" for plain HTTP.

    Raises:
        DecodeError: CloudEvents in a format other than JSON.
    """
    headers = request.headers
    is_post = request.method == "POST"
    # Messages first, since their sender may choose other headers. Cloud Tasks and Cloud Scheduler may use any method.
    if is_post and "x-goog-pubsub-message-id" in headers:
        return "unwrapped", None
    if "x-cloudtasks-taskname" in headers:
        return "tasks", None
    if is_post and (mode := cloudevents.mode(headers)):
        return mode, None
    if headers.get("x-cloudscheduler", "").lower() == "true":
        return "scheduler", None
    if is_post and request.content_type in ("application/json", ""):
        return _source_of_body(request.body)
    return "", None


def _source_of_body(body: bytes) -> tuple[str, Any]:
    # Parse the JSON only if one of these names is in it.
    if b'"message"' not in body and b'"eventType"' not in body and b'"calls"' not in body:
        return "", None
    try:
        value = parse_json(body.decode())
    except ValueError:
        return "", None
    if isinstance(value, dict):
        if ("context" in value or "eventType" in value) and legacy.is_legacy(value):
            return "legacy", value
        subscription = value.get("subscription")
        # Other senders' JSON has members of these names, too.
        if "message" in value and isinstance(subscription, str) and subscription.startswith("projects/"):
            return "push", value
        if isinstance(value.get("requestId"), str) and isinstance(value.get("calls"), list):
            return "bigquery", value
    return "", None


# By source: decode the events of a request, whose body the second argument holds if `source` parsed it.
_READ: dict[str, Read] = {
    "unwrapped": lambda request, _: [messages.unwrapped_push(request)],
    "push": lambda request, value: [messages.push(value, request)],
    "binary": lambda request, _: [cloudevents.binary(request.headers, request.body, native=request)],
    "structured": lambda request, _: [
        cloudevents.structured_body(request.body, request.headers.get("content-type", ""), native=request)
    ],
    "batched": lambda request, _: cloudevents.batched(
        request.body, request.headers.get("content-type", ""), native=request
    ),
    "scheduler": lambda request, _: [tasks.scheduled(request)],
    "tasks": lambda request, _: [messages.cloud_task(request)],
    "legacy": lambda request, value: [legacy.cloud_event(value, request)],
    "bigquery": lambda request, value: [tasks.bigquery(value, request)],
}


def sdk_event(native: SDKEvent) -> CloudEvent[Any]:
    """Decode an event of the CloudEvents SDK, which functions-framework passes to a function that it runs as `cloudevent`."""
    try:
        attributes = dict(native.get_attributes())
        data = native.get_data()
    except (AttributeError, TypeError, ValueError) as exc:
        raise DecodeError(f"{type(native).__name__} isn't a CloudEvent with attributes and data") from exc
    value = {name: value.isoformat() if hasattr(value, "isoformat") else value for name, value in attributes.items()}
    if isinstance(data, (bytes, bytearray)):
        from binascii import b2a_base64

        value["data_base64"] = b2a_base64(data, newline=False).decode()
    elif data is not None:
        value["data"] = data
    return cloudevents.structured(value, native=native)


def unwrap(event: Event[Any]) -> list[Event[Any]]:
    """Return what is directly inside an event.

    An event from Eventarc holds a message, an object or a document; a message may hold a notification or a CloudEvent.
    """
    if isinstance(event, Message):
        if objects.is_notification(event):
            return [objects.notification(event)]
        # Also in attributes "ce-…". Unlike in headers, their values aren't percent-encoded.
        # https://github.com/google/knative-gcp/blob/main/docs/spec/pubsub-protocol-binding.md
        return cloudevents.inside(event)
    if isinstance(event, CloudEvent):
        if event.type == messages.PUBLISHED:
            return [messages.eventarc(event)]
        if event.type.startswith(objects.PREFIX):
            return [objects.eventarc(event)]
        if event.type.startswith("google.cloud.firestore.document."):
            from portable_fn_gcp.events import changes

            return [changes.eventarc(event)]
        return cloudevents.neutral_inside(event)
    return []
