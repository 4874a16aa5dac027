"""Build the requests that triggers send."""

from __future__ import annotations

from typing import Any

from portable_fn.adapter import cloudevents
from portable_fn.adapter.cloudevents import write_time
from portable_fn.data import to_json
from portable_fn.events import CloudEvent, Event
from portable_fn.http import Request
from portable_fn.testing import fake
from portable_fn_gcp.events import legacy

PROJECT = "portable"
_LEGACY_TYPES = {modern: first for first, modern in reversed(legacy.TYPES.items())}


def post(body: bytes, headers: dict[str, str], path: str = "/", **fields: Any) -> Request[Any]:
    """Build a POST."""
    return fake.request("POST", path, body=body, headers=headers, **fields)


def post_json(value: object, headers: dict[str, str] | None = None) -> Request[Any]:
    """Build a POST of JSON."""
    return post(to_json(value).encode(), {"content-type": "application/json", **(headers or {})})


def first_generation(event: Event[Any], type: str, resource: object, data: object) -> Request[Any]:
    """Build a first-generation event; `type` is that of Eventarc."""
    context = {"eventId": event.id, "eventType": _LEGACY_TYPES[type], "resource": resource}
    if event.time is not None:
        context["timestamp"] = write_time(event.time)
    return post_json({"context": context, "data": data})


def binary(event: CloudEvent[Any]) -> Request[Any]:
    """Build a CloudEvent whose attributes are headers."""
    headers, body = cloudevents.write_binary(event)
    return post(body, dict(headers))


def structured(event: CloudEvent[Any]) -> Request[Any]:
    """Build a CloudEvent whose attributes are in the body."""
    body = to_json(cloudevents.write_structured(event)).encode()
    return post(body, {"content-type": cloudevents.STRUCTURED})
