"""Decode what is alike in the triggers: timers, activities, attempts."""

from __future__ import annotations

from portable_fn.events import ScheduleEvent, Task
from portable_fn_azure.decode import invocation_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from portable_fn_azure.native import FunctionContext, TimerRequest


def timer(native: TimerRequest, context: FunctionContext | None, name: str, cron: str) -> ScheduleEvent[Any]:
    """The timer trigger's time; its id is the timer's name with the time that was due.

    That time is in the monitor's status; a call by hand has none before the first run, and the invocation's id then.
    """
    # The status is brought up to date after the call. Source: azure-webjobs-sdk-extensions, TimerListener.
    status = getattr(native, "schedule_status", None)
    due = status.get("Next") if isinstance(status, dict) else None
    time = None
    if isinstance(due, str) and due and not due.startswith("0001-"):
        from portable_fn.adapter.cloudevents import read_time

        time = read_time(due)
        # A time that can't be read tells the runs apart as well.
        id = f"{name}@{due if time is None else time.isoformat()}"
    else:
        id = invocation_id(context)
    return ScheduleEvent(
        id,
        name,
        time=time,
        name=name,
        cron=cron,
        # A mock of it is true, too.
        is_late=getattr(native, "past_due", None) is True,
        attempt=attempt(context),
        native=native,
    )


def activity(native: object, context: FunctionContext | None, name: str) -> Task[Any]:
    """A Durable activity's input, read as JSON by the worker; its id is the invocation's, another one for each try."""
    return Task(invocation_id(context), name, native, name=name, type="activity", native=native)


def attempt(context: FunctionContext | None) -> int:
    """Which try of the host's retry policy it is, from 1."""
    retries = getattr(getattr(context, "retry_context", None), "retry_count", 0)
    return (retries if type(retries) is int and retries > 0 else 0) + 1
