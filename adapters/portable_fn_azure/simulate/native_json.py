"""What Azure's host hands over as JSON: a trigger's data and metadata as TypedData, and the name of the service."""

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
from portable_fn_azure.simulate.events import EVENT_SERVICES
from portable_fn_azure.simulate.events import Arrival as HostArrival
from portable_fn_azure.simulate.payloads import Sent

_KNOWN = {name for services in EVENT_SERVICES.values() for name in services}
_ROWS = ("cosmos_db", "cosmos_db_versions", "sql", "mysql")
# Its messages come together and are settled each by itself.
_SETTLED = "service_bus_settled"
# The type of data that a function gets which takes several at once.
_MANY = "collection_bytes"
# Which service's metadata has such a name.
_MARKS = {
    "DequeueCount": "storage_queue",
    "LockToken": "service_bus_queue",
    "PartitionContext": "event_hubs",
    "Topic": "kafka",
    "BlobTrigger": "blob",
    "TimerTrigger": "timer",
    "instanceId": "durable_activity",
}


def write(native: HostArrival, service: str) -> Any:
    """Each event as the host hands it to a function that takes them one by one; rows, which come together, together."""
    many = [] if native.many is None else [native.many]
    sent = many if service == _SETTLED else native.each or many
    made = [
        {"service": service, "data": one.data, "metadata": one.metadata, "retry_count": one.retry_count} for one in sent
    ]
    return made[0] if len(made) == 1 else made


def recognises(value: Any) -> int:
    """3 for what the host hands over and what Event Grid sends, 2 for a request by way of Azure's front end, else 0."""
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
    """What reaches the host by the value: one thing, or a list of several."""
    values = value if isinstance(value, list) else [value]
    return [_arrived(one, service) for one in values]


def _arrived(value: Any, service: str | None) -> NativePayload:
    if not isinstance(value, dict):
        raise DecodeError(f"the host hands over objects, not a {type(value).__name__}")
    if is_http(value):
        return NativePayload("", _of_front_end(value), (Request,))
    if _is_grid(value) or cloudevents.is_structured(value):
        name = service or ("event_grid" if _is_grid(value) else "event_grid_cloud_events")
        return _one(name, Sent({"json": to_json(value)}, {}))
    data, metadata = value.get("data"), value.get("metadata")
    if not isinstance(data, dict) or len(data) != 1 or not isinstance(metadata, dict):
        raise DecodeError("the host hands over an object with data, of one type, and metadata, or Event Grid's events")
    name = value.get("service") or service or _marked(metadata)
    if name not in _KNOWN:
        raise DecodeError(f"there is no service {str(name)[:80]!r} here; possible are {', '.join(sorted(_KNOWN))}")
    retries = value.get("retry_count", 0)
    place, function = (str(value.get(one, "")) for one in ("place", "function"))
    return _one(name, Sent(data, metadata, retries if isinstance(retries, int) else 0), place, function)


def _one(service: str, sent: Sent, place: str = "", function: str = "") -> NativePayload:
    kinds: tuple[type[Event[Any]], ...] = (ChangeEvent,) if service in _ROWS else _kinds(service)
    several = _several(service, sent)
    if several is None:
        arrival = HostArrival([None], [sent], None, place=place, function=function)
    else:
        arrival = HostArrival([None] * several, [], sent, place=place, function=function)
    return NativePayload(service, arrival, kinds, one_by_one=True)


def _several(service: str, sent: Sent) -> int | None:
    """How many come together; None where it is one by itself."""
    if service in _ROWS:
        text = str(next(iter(sent.data.values())))
        return len(json.loads(text)) if text.startswith("[") else 1
    if service == _SETTLED:
        return len(json.loads(sent.data["json"]))
    return len(sent.data[_MANY]["bytes"]) if _MANY in sent.data else None


def _kinds(service: str) -> tuple[type[Event[Any]], ...]:
    """The kinds that the service's events are or hold, the innermost first."""
    known = {name for name, services in EVENT_SERVICES.items() if service in services}
    if "Message" in known:
        return (ObjectEvent, CloudEvent, Message)
    return tuple(kind for kind in (ObjectEvent, CloudEvent, ScheduleEvent, Task) if kind.__name__ in known)


def _marked(metadata: dict[str, Any]) -> str:
    return next((service for name, service in _MARKS.items() if name in metadata), "event_grid")


def _is_grid(value: dict[str, Any]) -> bool:
    return {"id", "eventType", "subject", "data"} <= set(value)


def _of_front_end(value: dict[str, Any]) -> Request[Any]:
    """The request, without what the front end and the host have added."""
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
