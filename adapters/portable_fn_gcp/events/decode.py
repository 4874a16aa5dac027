"""Which of Google's triggers a request comes from, and the events that it is.

All of them are HTTP requests to the function, known by their headers or by what their body has. Anybody can send such a
request to a public URL: none of these headers is authentication.
"""

from __future__ import annotations

import os

from portable_fn.adapter import cloudevents
from portable_fn.data import parse_json
from portable_fn.errors import DecodeError
from portable_fn.events import CloudEvent, Message, ScheduleEvent, Task
from portable_fn.pairs import unquoted
from portable_fn_gcp.events import legacy, messages, objects

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from portable_fn.adapter.batch import Item
    from portable_fn.events import Event
    from portable_fn.http import Request
    from portable_fn_gcp.native import BackgroundContext, SDKEvent

# What a request must be where it is none of the functions' routes, as an error names it.
KNOWN = (
    "a Pub/Sub push (unwrapped only with its metadata written), a CloudEvent (binary, structured or batched), Cloud "
    "Scheduler's, Cloud Tasks', a first-generation event, or a BigQuery remote function's"
)


def trigger(request: Request[Any]) -> tuple[str, Any]:
    """The name of the trigger, and the JSON object of the body where that was looked at; "" for plain HTTP.

    DecodeError for CloudEvents in a format that isn't JSON.
    """
    headers = request.headers
    is_post = request.method == "POST"
    # First what is a message: whoever wrote it chose its other headers. A task's method may be any, and a job's.
    if is_post and "x-goog-pubsub-message-id" in headers:
        return "unwrapped", None
    if "x-cloudtasks-taskname" in headers:
        return "tasks", None
    if is_post and (mode := cloudevents.mode(headers)):
        return mode, None
    if headers.get("x-cloudscheduler", "").lower() == "true":
        return "scheduler", None
    if is_post and request.content_type in ("application/json", ""):
        return _by_body(request.body)
    return "", None


def _by_body(body: bytes) -> tuple[str, Any]:
    # Read as JSON only where a name is there that tells.
    if b'"message"' not in body and b'"eventType"' not in body and b'"calls"' not in body:
        return "", None
    try:
        value = parse_json(body.decode())
    except ValueError:
        return "", None
    if isinstance(value, dict):
        if legacy.is_legacy(value):
            return "legacy", value
        subscription = value.get("subscription")
        # Somebody's own JSON has such members too.
        if "message" in value and isinstance(subscription, str) and subscription.startswith("projects/"):
            return "push", value
        if isinstance(value.get("requestId"), str) and isinstance(value.get("calls"), list):
            return "bigquery", value
    return "", None


def events(name: str, request: Request[Any], value: Any) -> Sequence[Item]:
    """The events of a request by the trigger of that name; DecodeError where it can't be read."""
    match name:
        case "unwrapped":
            return [messages.unwrapped(request)]
        case "push":
            return [messages.pushed(value, request)]
        case "binary":
            return [cloudevents.binary(request.headers, request.body, native=request)]
        case "structured":
            return [cloudevents.structured_body(request.body, request.headers.get("content-type", ""), native=request)]
        case "batched":
            return cloudevents.batched(request.body, request.headers.get("content-type", ""), native=request)
        case "scheduler":
            return [_scheduled(request)]
        case "tasks":
            return [messages.queued(request)]
        case "legacy":
            return [legacy.cloud_event(value, request)]
        case "bigquery":
            return [_called_by_bigquery(value, request)]
        case _:
            return [_called(request)]


def _scheduled(request: Request[Any]) -> ScheduleEvent[Any]:
    """The run of a job: `id` is the job's name and the time for which it was due, which retries have too.

    https://cloud.google.com/scheduler/docs/reference/rest/v1/projects.locations.jobs#HttpTarget
    """
    headers = request.headers
    name, time = headers.get("x-cloudscheduler-jobname"), headers.get("x-cloudscheduler-scheduletime")
    if not name:
        raise DecodeError("a job has no X-CloudScheduler-JobName")
    if not time:
        raise DecodeError(
            "a job has no X-CloudScheduler-ScheduleTime, so nothing tells its runs apart: only jobs with a schedule in the "
            "unix-cron format have it"
        )
    return ScheduleEvent(
        f"{name}/{time}",
        name,
        time=cloudevents.read_time(time),
        name=name.rpartition("/")[2],
        input=_input(request),
        native=request,
    )


def _input(request: Request[Any]) -> Any:
    """A job's body: JSON, else text, else bytes; its content type says application/octet-stream where nobody set one."""
    if not request.body:
        return None
    try:
        text = request.body.decode()
    except UnicodeDecodeError:
        return request.body
    if request.content_type.startswith("text/"):
        return text
    try:
        return parse_json(text)
    except ValueError:
        return text


def _called_by_bigquery(value: dict[str, Any], request: Request[Any]) -> Task[Any]:
    """The call of a remote function: the input is `calls`, the list of the arguments of each row.

    https://cloud.google.com/bigquery/docs/remote-functions#input_format
    """
    id, caller = value["requestId"], value.get("caller", "")
    if not isinstance(id, str) or not id or not isinstance(caller, str):
        raise DecodeError("a BigQuery remote function's requestId or caller is no text")
    return Task(
        id,
        caller,
        value["calls"],
        name=_name(request),
        type="bigquery",
        carrier=request.headers,
        native=request,
    )


def _called(request: Request[Any]) -> Task[Any]:
    """A direct call, as Workflows makes it: JSON in, JSON out. It is no delivery, so its id is the request's."""
    try:
        input = parse_json(request.body.decode()) if request.body else None
    except ValueError as exc:
        raise DecodeError(f"a task's body is not JSON: {exc}") from None
    return Task(
        request.id,
        request.source,
        input,
        name=_name(request),
        carrier=request.headers,
        native=request,
    )


def _name(request: Request[Any]) -> str:
    """What was called: the path, else the function, as Cloud Run names it."""
    return unquoted(request.raw_path[1:]) or os.environ.get("K_SERVICE", "")


def of_cloud_event(native: SDKEvent) -> CloudEvent[Any]:
    """The event of a CloudEvents SDK's object, which functions-framework makes where it runs a function as `cloudevent`."""
    try:
        attributes = dict(native.get_attributes())
        data = native.get_data()
    except (AttributeError, TypeError, ValueError) as exc:
        raise DecodeError(f"a {type(native).__name__} is no CloudEvent with attributes and data") from exc
    value = {name: one.isoformat() if hasattr(one, "isoformat") else one for name, one in attributes.items()}
    if isinstance(data, (bytes, bytearray)):
        from binascii import b2a_base64

        value["data_base64"] = b2a_base64(data, newline=False).decode()
    elif data is not None:
        value["data"] = data
    return cloudevents.structured(value, native=native)


def of_background_event(data: Any, context: BackgroundContext) -> CloudEvent[Any]:
    """The event of what functions-framework gives a function that it runs as `event`."""
    names = ("event_id", "event_type", "timestamp", "resource")
    id, type, time, resource = (getattr(context, name, None) for name in names)
    known = {"eventId": id, "eventType": type, "timestamp": time, "resource": resource}
    # The framework keeps no domain, which tells where an instance of the Realtime Database is.
    return legacy.cloud_event({"context": known, "data": data, "domain": None}, context)


def unwrap(event: Event[Any]) -> list[Event[Any]]:
    """What is in an event: of Eventarc the message, object or document, of a message a notification or a CloudEvent."""
    if isinstance(event, Message):
        return _inside_of_message(event)
    if isinstance(event, CloudEvent):
        if event.type == messages.PUBLISHED:
            return [messages.published(event)]
        if event.type.startswith(objects.PREFIX):
            return [objects.stored(event)]
        if event.type.startswith("google.cloud.firestore.document."):
            from portable_fn_gcp.events import changes

            return [changes.documented(event)]
        return cloudevents.neutral_inside(event)
    return []


def _inside_of_message(message: Message[Any]) -> list[Event[Any]]:
    if objects.is_notification(message):
        return [objects.notified(message)]
    # Of the attributes "ce-…" too, whose values aren't percent-encoded, as they are in headers.
    # https://github.com/google/knative-gcp/blob/main/docs/spec/pubsub-protocol-binding.md
    return cloudevents.inside(message)
