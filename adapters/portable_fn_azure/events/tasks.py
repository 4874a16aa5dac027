"""Decode timers, Durable activities and the number of an attempt."""

from __future__ import annotations

from portable_fn.events import ScheduleEvent, Task
from portable_fn_azure.decode import invocation_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from portable_fn_azure.native import FunctionContext, TimerRequest


def timer(native: TimerRequest, context: FunctionContext | None, name: str, cron: str) -> ScheduleEvent[Any]:
    """Decode a timer's call. The id is the timer's name and the time that was due.

    The monitor's status has that time. Before a timer's first run it has none, and the id is the invocation's.
    """
    # The host updates the status after the call. Source: azure-webjobs-sdk-extensions, TimerListener.
    status = getattr(native, "schedule_status", None)
    due = status.get("Next") if isinstance(status, dict) else None
    time = None
    if isinstance(due, str) and due and not due.startswith("0001-"):
        from portable_fn.adapter.cloudevents import read_time

        time = read_time(due)
        # Even a malformed time tells one run from another.
        id = f"{name}@{due if time is None else time.isoformat()}"
    else:
        id = invocation_id(context)
    return ScheduleEvent(
        id,
        name,
        time=time,
        name=name,
        cron=cron,
        # A mock's attribute is truthy too.
        is_late=getattr(native, "past_due", None) is True,
        attempt=attempt(context),
        native=native,
    )


def activity(native: object, context: FunctionContext | None, name: str) -> Task[Any]:
    """Decode a Durable activity's input, which the worker read as JSON. Each attempt has another id, the invocation's."""
    return Task(invocation_id(context), name, native, name=name, type="activity", native=native)


def attempt(context: FunctionContext | None) -> int:
    """Return the number of the attempt by the host's retry policy, from 1."""
    retries = getattr(getattr(context, "retry_context", None), "retry_count", 0)
    return (retries if type(retries) is int and retries > 0 else 0) + 1
