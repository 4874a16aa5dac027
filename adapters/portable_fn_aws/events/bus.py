"""Decode EventBridge's events and schedules."""

from __future__ import annotations

from portable_fn.adapter.cloudevents import parse_time
from portable_fn.data import parse_json, to_json
from portable_fn.events import CloudEvent, ScheduleEvent, decoded, optional
from portable_fn.record import lazy
from portable_fn_aws.events.messages import require_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from typing import Any

_SCHEDULES = ("aws.events", "aws.scheduler")


class BusEvent(CloudEvent):
    """An event of a bus.

    https://docs.aws.amazon.com/eventbridge/latest/ref/overiew-event-structure.html

    `type` is the detail-type, `data` the detail. The extensions are account, region and resources; several resources are joined by
    commas.
    """

    native: Mapping[str, Any]
    content_type = "application/json"
    schema = ""
    attempt = None

    def __init__(self, payload: Mapping[str, Any]) -> None:
        self.native = payload
        self.id = require_text(payload["id"], "the id of an EventBridge event")
        self.source = require_text(payload["source"], "the source of an EventBridge event")
        self.type = require_text(payload["detail-type"], "the detail-type of an EventBridge event")

    @property
    def sender_wrote_contents(self) -> bool:  # type: ignore[override]  # read-only here
        """Whether anyone who may put events can have sent it: only AWS's services may send events of sources `aws.…`.

        https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEventsRequestEntry.html
        """
        return not self.source.startswith("aws.")

    @optional
    def time(self) -> datetime | None:
        return parse_time(self.native["time"])

    @decoded
    def body(self) -> bytes:
        # A lone surrogate becomes its JSON escape.
        return to_json(self.native["detail"]).encode("utf-8", "backslashreplace")

    @lazy
    def extensions(self) -> Mapping[str, str]:
        extensions = {}
        for name in ("account", "region", "resources"):
            value = self.native.get(name)
            if isinstance(value, list) and all(isinstance(item, str) for item in value):
                value = ",".join(value)
            if value and isinstance(value, str):
                extensions[name] = value
        return extensions

    def read_data(self) -> Any:
        return self.native["detail"]


def read_schedule(event: CloudEvent[Any], envelope: Mapping[str, Any]) -> ScheduleEvent[Any] | None:
    """Decode the event of a rule with a schedule or of EventBridge Scheduler; return None for any other event."""
    if event.source not in _SCHEDULES or event.type != "Scheduled Event":
        return None
    resources = envelope.get("resources")
    resources = resources if resources and isinstance(resources, list) else [event.source]
    detail = envelope["detail"]
    # EventBridge Scheduler's detail is a string: "{}" by default.
    if isinstance(detail, str):
        try:
            detail = parse_json(detail)
        except ValueError:
            pass
    return ScheduleEvent(
        event.id,
        require_text(resources[0], "the rule of a scheduled event"),
        time=event.time,
        name=resources[0].rpartition("/")[2],
        input=detail or None,
        native=envelope,
    )
