"""Render events and schedules as EventBridge sends them."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from portable_fn.adapter.cloudevents import write_time
from portable_fn.data import to_json
from portable_fn.events import CloudEvent, ScheduleEvent
from portable_fn_aws.formats import ACCOUNT, EPOCH, REGION


def bus_event(
    id: str, source: str, type: str, time: datetime | None, resources: list[str], detail: Any
) -> dict[str, Any]:
    """Render an event of EventBridge."""
    return {
        "version": "0",
        "id": id,
        "detail-type": type,
        "source": source,
        "account": ACCOUNT,
        "time": write_time(time or EPOCH),
        "region": REGION,
        "resources": resources,
        "detail": detail,
    }


def eventbridge(event: CloudEvent[Any]) -> dict[str, Any]:
    """Render an event of a bus. EventBridge has no subject and no schema, and only its own extensions."""
    try:
        detail = json.loads(event.body) if event.body else {}
    except ValueError:
        raise ValueError("the detail of an EventBridge event must be JSON") from None
    if not isinstance(detail, dict):
        raise ValueError("the detail of an EventBridge event must be an object")
    resources = event.extensions.get("resources")
    return bus_event(event.id, event.source, event.type, event.time, resources.split(",") if resources else [], detail)


def scheduler(event: ScheduleEvent[Any]) -> Any:
    """Render the payload of EventBridge Scheduler: its own event, or only the schedule's input."""
    return _schedule(event, "aws.scheduler", f"scheduler:{REGION}:{ACCOUNT}:schedule/default/{event.name}", "{}")


def scheduled_rule(event: ScheduleEvent[Any]) -> Any:
    """Render the payload of a rule with a schedule: its own event, or only the target's input."""
    return _schedule(event, "aws.events", f"events:{REGION}:{ACCOUNT}:rule/{event.name}", {})


def _schedule(event: ScheduleEvent[Any], source: str, resource: str, detail: Any) -> Any:
    # A schedule with an input sends only that.
    if event.input is not None:
        return json.loads(to_json(event.input))
    schedule = event.source if event.source.startswith("arn:") else f"arn:aws:{resource}"
    return bus_event(event.id, source, "Scheduled Event", event.time, [schedule], detail)
