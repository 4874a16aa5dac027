"""Read and write what Azure's host sends as JSON: a trigger's data and metadata as TypedData, and the service's name."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

from portable_fn.adapter import cloudevents
from portable_fn.data import to_json
from portable_fn.errors import DecodeError
from portable_fn.events import ChangeEvent, CloudEvent, Event, Message, ObjectEvent, ScheduleEvent, Task
from portable_fn.http import Request
from portable_fn.testing.native_json import NativePayload, is_http, request_from_json
from portable_fn_azure.simulate.events import EVENT_SERVICES, HostEvents
from portable_fn_azure.simulate.payloads import Sent

_KNOWN = {name for services in EVENT_SERVICES.values() for name in services}
_ROWS = ("cosmos_db", "cosmos_db_versions", "sql", "mysql")
# Its messages arrive together and are settled separately.
_SETTLED = "service_bus_settled"
# The type of the data for a function that takes many events.
_MANY = "collection_bytes"
# The service whose metadata has such a name.
_MARKS = {
    "DequeueCount": "storage_queue",
    "LockToken": "service_bus_queue",
    "PartitionContext": "event_hubs",
    "Topic": "kafka",
    "BlobTrigger": "blob",
    "TimerTrigger": "timer",
    "instanceId": "durable_activity",
}


def write(native: HostEvents, service: str) -> Any:
    """Return each event as the host sends it to a function that takes one at a time; rows together."""
    many = [] if native.many is None else [native.many]
    sent = many if service == _SETTLED else native.each or many
    values = [
        {"service": service, "data": each.data, "metadata": each.metadata, "retry_count": each.retry_count}
        for each in sent
    ]
    return values[0] if len(values) == 1 else values


def recognises(value: Any) -> int:
    """Return 3 for what the host or Event Grid sends, 2 for a request from Azure's front end, else 0."""
    first = value[0] if isinstance(value, list) and value else value
    if not isinstance(first, dict):
        return 0
    if is_http(first):
        return 2 if "disguised-host" in (first.get("headers") or {}) else 0
    if _is_grid(first):
        return 3
    if {"data", "metadata"} <= set(first) and isinstance(first["metadata"], dict):
        return 3
    source = first.get("source") if cloudevents.is_structured(first) else None
    return 3 if isinstance(source, str) and source.startswith("/subscriptions/") else 0


def read(value: Any, service: str | None) -> list[NativePayload]:
    """Return what reaches the host: one payload, or each in a list."""
    values = value if isinstance(value, list) else [value]
    return [_native_payload(each, service) for each in values]


def _native_payload(value: Any, service: str | None) -> NativePayload:
    if not isinstance(value, dict):
        raise DecodeError(f"the host sends objects, not {type(value).__name__}")
    if is_http(value):
        return NativePayload("", _of_front_end(value), (Request,))
    if _is_grid(value) or cloudevents.is_structured(value):
        name = service or ("event_grid" if _is_grid(value) else "event_grid_cloud_events")
        return _event_payload(name, Sent({"json": to_json(value)}, {}))
    data, metadata = value.get("data"), value.get("metadata")
    if not isinstance(data, dict) or len(data) != 1 or not isinstance(metadata, dict):
        raise DecodeError(
            "an object from the host needs data with exactly one type, and metadata; or it must be an event of Event Grid"
        )
    name = value.get("service") or service or _marked(metadata)
    if name not in _KNOWN:
        raise DecodeError(f"azure has no service {str(name)[:80]!r}; use one of {', '.join(sorted(_KNOWN))}")
    retries = value.get("retry_count", 0)
    place, function = (str(value.get(key, "")) for key in ("place", "function"))
    return _event_payload(name, Sent(data, metadata, retries if isinstance(retries, int) else 0), place, function)


def _event_payload(service: str, sent: Sent, place: str = "", function: str = "") -> NativePayload:
    kinds: tuple[type[Event[Any]], ...] = (ChangeEvent,) if service in _ROWS else _kinds(service)
    count = _count(service, sent)
    if count is None:
        arrived = HostEvents([None], [sent], None, place=place, function=function)
    else:
        arrived = HostEvents([None] * count, [], sent, place=place, function=function)
    return NativePayload(service, arrived, kinds, one_by_one=True)


def _count(service: str, sent: Sent) -> int | None:
    """Return how many events arrive together; None for a single event."""
    if service in _ROWS:
        text = str(next(iter(sent.data.values())))
        return len(json.loads(text)) if text.startswith("[") else 1
    if service == _SETTLED:
        return len(json.loads(sent.data["json"]))
    return len(sent.data[_MANY]["bytes"]) if _MANY in sent.data else None


def _kinds(service: str) -> tuple[type[Event[Any]], ...]:
    """Return the kinds of the service's events and of the events inside them, the innermost first."""
    known = {name for name, services in EVENT_SERVICES.items() if service in services}
    if "Message" in known:
        return (ObjectEvent, CloudEvent, Message)
    return tuple(kind for kind in (ObjectEvent, CloudEvent, ScheduleEvent, Task) if kind.__name__ in known)


def _marked(metadata: dict[str, Any]) -> str:
    return next((service for name, service in _MARKS.items() if name in metadata), "event_grid")


def _is_grid(value: dict[str, Any]) -> bool:
    return {"id", "eventType", "subject", "data"} <= set(value)


def _of_front_end(value: dict[str, Any]) -> Request[Any]:
    """Return the request without what the front end and the host added."""
    parts = urlsplit(value["url"])
    prefix = value.get("root_path", "/api")
    path = parts.path.removeprefix(prefix) if parts.path.startswith(f"{prefix}/") else parts.path
    url = parts._replace(path=path).geturl()
    request = request_from_json({**value, "url": url}, client="client-ip")
    lines = [pair for pair in request.headers.multi_items() if pair[0] != "disguised-host"]
    host, colon, port = (request.client_ip or "").rpartition(":")
    client = host.strip("[]") if colon and port.isdecimal() else request.client_ip
    return Request(
        request.method,
        request.raw_path,
        request.raw_query,
        lines,
        request.raw_body,
        host=value.get("host", request.host),
        scheme=request.scheme,
        client_ip=client,
        id=request.id,
    )
