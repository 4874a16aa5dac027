"""Record what the worker passes to a function, as the JSON that `simulate.native_json` reads."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from portable_fn.data import to_json
from portable_fn.recording.payload_json import http as http_json
from portable_fn.recording.requests import answer_json

if TYPE_CHECKING:
    from portable_fn_azure.decode import Place
    from portable_fn_azure.events.function import TriggerFunction
    from portable_fn_azure.native import HttpRequest

Function = Callable[..., Any]
Typed = dict[str, Any]


def http(run: Function, place: Place | None, recorder: Any) -> Function:
    """Record an HTTP function whose route has the path at `place`."""

    def payload(req: HttpRequest, context: object = None) -> Any:
        request = http_json(req.method, req.url, req.headers.items(), req.get_body())
        return request | _route_prefix_and_host(place, req.url, req.route_params, urlsplit(req.url).netloc)

    def answer(native: Any) -> Any:
        return answer_json(native.status_code, list(native.headers.items()), native.get_body())

    recorded: Function = recorder.invocations("azure", run, payload, answer)
    return recorded


def streaming(run: Function, place: Place | None, recorder: Any) -> Function:
    """Record an HTTP function of the streaming extension, once its answer is sent."""

    def more(req: Any) -> Any:
        return _route_prefix_and_host(place, str(req.url), req.path_params, req.headers.get("x-forwarded-host"))

    recorded: Function = recorder.streamed("azure", run, more)
    return recorded


def _route_prefix_and_host(
    place: Place | None, url: str, params: Mapping[str, str], host: str | None
) -> dict[str, str]:
    """Return what the request itself lacks: the route's prefix, and the client's host, since the header has the worker's."""
    prefix = {} if place is None else {"root_path": place.split(urlsplit(url).path, params)[0]}
    return prefix | ({"host": host} if host else {})


def event(run: Function, function: TriggerFunction, recorder: Any) -> Function:
    """Record a function for a trigger other than HTTP."""

    def payload(event: Any, context: Any = None, **_: object) -> Any:
        data, metadata = _sent(function, event)
        retry = getattr(context, "retry_context", None)
        return {
            "service": _service(function, event),
            "function": function.name,
            "place": function.place,
            "data": data,
            "metadata": metadata,
            "retry_count": getattr(retry, "retry_count", 0) or 0,
        }

    recorded: Function = recorder.invocations("azure", run, payload, lambda returned: returned)
    return recorded


def _service(function: TriggerFunction, native: Any) -> str:
    """Return the service's name in the simulation."""
    name: str = function.service.name
    if function.settles:
        return "service_bus_settled"
    if function.options.get("is_sessions_enabled") and name == "service_bus_queue":
        return "service_bus_sessions"
    if function.options.get("change_feed_mode"):
        return "cosmos_db_versions"
    return "event_grid_cloud_events" if hasattr(native, "specversion") else name


def _sent(function: TriggerFunction, native: Any) -> tuple[Typed, dict[str, Typed]]:
    """Return the trigger's data and metadata."""
    if function.settles:
        return _json([_received(message) for message in (native if isinstance(native, list) else [native])]), {}
    name = function.service.name
    if name in ("service_bus_queue", "service_bus_topic", "event_hubs", "kafka"):
        if isinstance(native, list):
            bodies = [b64encode(event.get_body()).decode() for event in native]
            return {"collection_bytes": {"bytes": bodies}}, _metadata(native[0])
        return _bytes(native.get_body()), _metadata(native)
    return _SENT[name](native)


def _storage_queue(native: Any) -> tuple[Typed, dict[str, Typed]]:
    times = {
        "ExpirationTime": native.expiration_time,
        "InsertionTime": native.insertion_time,
        "NextVisibleTime": native.time_next_visible,
    }
    return _bytes(native.get_body()), {
        "Id": _text(native.id),
        "DequeueCount": _json(native.dequeue_count),
        "PopReceipt": _text(native.pop_receipt),
        **{name: _json(time.isoformat()) for name, time in times.items() if time is not None},
    }


def _blob(native: Any) -> tuple[Typed, dict[str, Typed]]:
    # Reading it consumes it. Seen with azure-functions 1.26 and 2.3: a BytesIO holds the whole blob.
    return _bytes(native._io.getvalue()), {
        "BlobTrigger": _text(native.name),
        "Uri": _json(native.uri),
        "Properties": _json(native.blob_properties or {}),
        "Metadata": _json(native.metadata or {}),
    }


def _event_grid(native: Any) -> tuple[Typed, dict[str, Typed]]:
    if hasattr(native, "specversion"):
        names = ("id", "source", "type", "specversion", "time", "subject", "datacontenttype", "dataschema")
        value = {name: _plain(getattr(native, name)) for name in names} | native.extension_attrs
    else:
        value = {
            "id": native.id,
            "topic": native.topic,
            "subject": native.subject,
            "eventType": native.event_type,
            "eventTime": _plain(native.event_time),
            "dataVersion": native.data_version,
        }
    value["data"] = native.get_json()
    return _json({name: field for name, field in value.items() if field is not None}), {}


def _rows(native: Any) -> tuple[Typed, dict[str, Typed]]:
    # An Azure SQL trigger's rows arrive as text.
    return _text(native) if isinstance(native, str) else _json([dict(row) for row in native]), {}


def _timer(native: Any) -> tuple[Typed, dict[str, Typed]]:
    info = {"Schedule": native.schedule, "ScheduleStatus": native.schedule_status, "IsPastDue": native.past_due}
    return _json(info), {"TimerTrigger": _json(info)}


def _activity(native: Any) -> tuple[Typed, dict[str, Typed]]:
    return _text(to_json(native)), {}


_SENT: dict[str, Callable[[Any], tuple[Typed, dict[str, Typed]]]] = {
    "storage_queue": _storage_queue,
    "blob": _blob,
    "event_grid": _event_grid,
    "cosmos_db": _rows,
    "sql": _rows,
    "mysql": _rows,
    "timer": _timer,
    "durable_activity": _activity,
}


def _received(native: Any) -> Typed:
    """Return a message that is settled separately."""
    # `body` returns a new iterator on each access: seen with azure-servicebus 7.15.
    body = native.body
    body = body.encode() if isinstance(body, str) else body if isinstance(body, bytes) else b"".join(body)
    names = ("message_id", "content_type", "subject", "session_id", "sequence_number", "delivery_count")
    return {
        **{name: _plain(getattr(native, name)) for name in names},
        "body": b64encode(body).decode(),
        "enqueued_time_utc": _plain(native.enqueued_time_utc),
        "application_properties": {
            str(_plain(name)): _plain(value) for name, value in (native.application_properties or {}).items()
        },
    }


def _metadata(native: Any) -> dict[str, Typed]:
    """Return the trigger's metadata as the host sent it.

    `metadata` has Python values; the original is a private attribute. Seen with azure-functions 1.26 and 2.3.
    """
    data = vars(native)[f"_{type(native).__name__}__trigger_metadata"]
    return {name: _typed(datum) for name, datum in data.items() if datum.type is not None}


def _typed(datum: Any) -> Typed:
    """Return the worker's Datum as TypedData."""
    value = datum.value
    if datum.type.startswith("collection_"):
        member = datum.type.removeprefix("collection_")
        values = [b64encode(part).decode() if isinstance(part, bytes) else part for part in getattr(value, member)]
        return {datum.type: {member: values}}
    return {datum.type: b64encode(value).decode() if isinstance(value, bytes) else value}


def _text(value: str) -> Typed:
    return {"string": value}


def _json(value: Any) -> Typed:
    return {"json": to_json(value)}


def _bytes(value: bytes) -> Typed:
    return {"bytes": b64encode(value).decode()}


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value.isoformat() if isinstance(value, datetime) else value
