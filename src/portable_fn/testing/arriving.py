"""Decide if the schedules of a simulated source are late: on time, unless their events say otherwise."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from portable_fn.events import Event, ScheduleEvent, seconds_since


@contextmanager
def arriving(events: Iterable[Event[Any]]) -> Generator[None]:
    """Deliver the schedules among the events as late as they say, whatever the clock says."""
    schedules = [(event.time, event) for event in events if isinstance(event, ScheduleEvent) and event.time]

    def since(due: datetime) -> float:
        # Some providers send whole seconds.
        _, event = min(schedules, key=lambda schedule: abs(schedule[0] - due))
        return ScheduleEvent.LATE + 1 if event.is_late else 0

    token = seconds_since.set(since if schedules else None)
    try:
        yield
    finally:
        seconds_since.reset(token)
