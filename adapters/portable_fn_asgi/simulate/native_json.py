"""Read requests with events from JSON: whole, or only the body, as an outbox or a broker stores it."""

from __future__ import annotations

from typing import Any

from portable_fn.adapter import cloudevents
from portable_fn.adapter.as_cloudevent import MESSAGE
from portable_fn.errors import DecodeError
from portable_fn.events import (
    ChangeEvent,
    CloudEvent,
    Event,
    Message,
    ObjectEvent,
    ScheduleEvent,
    Task,
)
from portable_fn.http import Request
from portable_fn.testing.native_json import NativePayload, is_http, post_request, request_from_json
from portable_fn_asgi.events import dapr

Kinds = tuple[type[Event[Any]], ...]

_SERVICES: dict[str, Kinds] = {
    "dapr_binding": (Message,),
    "dapr_cron": (ScheduleEvent,),
    "dapr_job": (ScheduleEvent,),
    "post": (Task,),
}


def recognises(value: Any) -> int:
    """Return 2 for what a Dapr sidecar sends, 1 for other CloudEvents and requests, else 0."""
    if not is_http(value) and not _is_event(value):
        return 0
    try:
        request = _request(value)
    except DecodeError:
        return 1
    from_dapr = request.raw_path.startswith((dapr.ROUTE, "/job/")) or "readtimeutc" in request.headers
    return 2 if from_dapr or (isinstance(value, dict) and "pubsubname" in value) else 1


def read(value: Any, service: str | None) -> list[NativePayload]:
    """Return the request, or a POST with the value as its body."""
    request = _request(value)
    kinds = _SERVICES.get(service or "") or _kinds(request)
    name = request.path[1:] if kinds == (Task,) else ""
    return [NativePayload(service or "http", request, kinds, name=name)]


def _kinds(request: Request[Any]) -> Kinds:
    path = request.raw_path
    if path.startswith(dapr.ROUTE):
        return (Message, ObjectEvent, ChangeEvent)
    if path.startswith("/job/") or "readtimeutc" in request.headers:
        return (ScheduleEvent,)
    if not cloudevents.mode(request.headers):
        return (Request,)
    # A function of messages takes any CloudEvent.
    if request.headers.get("ce-type") == MESSAGE or f'"{MESSAGE}"'.encode() in request.raw_body:
        return (Message,)
    return (CloudEvent, ObjectEvent, ChangeEvent, ScheduleEvent)


def _is_event(value: Any) -> bool:
    return (
        all(map(cloudevents.is_structured, value))
        if isinstance(value, list) and value
        else (isinstance(value, dict) and cloudevents.is_structured(value))
    )


def _request(value: Any) -> Request[Any]:
    if is_http(value):
        return request_from_json(value)
    return post_request(value, cloudevents.BATCHED if isinstance(value, list) else cloudevents.STRUCTURED)
