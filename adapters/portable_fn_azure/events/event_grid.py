"""Decode Event Grid's events, and unwrap events and messages."""

from __future__ import annotations

from portable_fn.adapter.cloudevents import inside, json_body, neutral_inside, read_time, structured, write_time
from portable_fn.data import parse_json
from portable_fn.events import CloudEvent, Message
from portable_fn_azure.events.messages import as_text, as_utc, optional, require
from portable_fn_azure.events.objects import storage_event

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from portable_fn.events import Event
    from portable_fn_azure.native import EventGridCloudEvent, EventGridEvent


def event_grid(native: EventGridEvent | EventGridCloudEvent) -> CloudEvent[Any]:
    """Decode an event of either schema."""
    either: Any = native
    return _cloud_event(either) if hasattr(native, "specversion") else _own_event(either)


def _own_event(native: EventGridEvent) -> CloudEvent[Any]:
    time = as_utc(optional(native, "event_time"))
    return _grid_event(
        {
            "id": native.id,
            "topic": native.topic,
            "subject": optional(native, "subject"),
            "eventType": native.event_type,
            "eventTime": None if time is None else write_time(time),
            "data": native.get_json(),
            "dataVersion": optional(native, "data_version"),
        },
        native,
    )


def _cloud_event(native: EventGridCloudEvent) -> CloudEvent[Any]:
    time = as_utc(optional(native, "time"))
    extensions = optional(native, "extension_attrs")
    value = {
        "specversion": native.specversion,
        "id": native.id,
        "source": native.source,
        "type": native.type,
        "subject": optional(native, "subject"),
        "time": None if time is None else write_time(time),
        "datacontenttype": optional(native, "datacontenttype"),
        "dataschema": optional(native, "dataschema"),
        # They include data_base64: seen with azure-functions 1.26.
        **(extensions if isinstance(extensions, dict) else {}),
    }
    if native.get_json() is not None:
        value["data"] = native.get_json()
    return structured(value, native=native)


def _grid_event(value: Mapping[str, Any], native: object, envelopes: tuple[Event[Any], ...] = ()) -> CloudEvent[Any]:
    """Decode an event of Event Grid's own schema.

    https://learn.microsoft.com/azure/event-grid/event-schema
    """
    version, data = as_text(value.get("dataVersion")), value.get("data")
    return CloudEvent(
        require(value.get("id"), "id"),
        require(value.get("topic"), "topic"),
        require(value.get("eventType"), "eventType"),
        b"" if data is None else json_body(data),
        subject=as_text(value.get("subject")),
        time=read_time(value.get("eventTime")),
        content_type="application/json",
        extensions={"dataversion": version} if version else None,
        native=native,
        envelopes=envelopes,
    )


def unwrap(event: Event[Any]) -> list[Event[Any]]:
    """Return the events inside an event: Event Grid's in a message, a blob's in an event of Event Grid."""
    if isinstance(event, CloudEvent):
        object_event = storage_event(event)
        return neutral_inside(event) if object_event is None else [object_event]
    if not isinstance(event, Message):
        return []
    if b'"eventType"' not in event.body:
        return inside(event)
    try:
        values = parse_json(event.body.decode())
    except ValueError:
        return inside(event)
    outer = (*event.envelopes, event)
    # In an event hub, Event Grid puts them in a list.
    events: list[Event[Any]] = [
        _grid_event(value, event.native, outer)
        for value in (values if isinstance(values, list) else [values])
        if isinstance(value, dict) and "eventType" in value and "topic" in value and "specversion" not in value
    ]
    # Without one, "eventType" was in the data of a CloudEvent.
    return events or inside(event)
