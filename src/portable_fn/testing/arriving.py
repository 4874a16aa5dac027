"""When schedules arrive that a simulated source sends: on time, but for those that say they are late."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from typing import Any

from portable_fn.events import Event, ScheduleEvent

# Those under way with the time at which each was due.
_under_way: ContextVar[list[tuple[datetime, ScheduleEvent[Any]]]] = ContextVar("_under_way")
_by_the_clock = ScheduleEvent._seconds_since


@contextmanager
def arriving(events: Iterable[Event[Any]]) -> Generator[None]:
    """A block in which the schedules among the events arrive as late as they say, whatever the clock has."""
    schedules = [(event.time, event) for event in events if isinstance(event, ScheduleEvent) and event.time]
    token = _under_way.set(schedules)
    try:
        yield
    finally:
        _under_way.reset(token)


def _seconds_since(due: datetime) -> float:
    if not (schedules := _under_way.get([])):
        return _by_the_clock(due)
    # Some providers tell whole seconds.
    _, event = min(schedules, key=lambda one: abs(one[0] - due))
    return ScheduleEvent.LATE + 1 if event.is_late else 0


ScheduleEvent._seconds_since = staticmethod(_seconds_since)  # type: ignore[method-assign]  # outside of a block as it was
