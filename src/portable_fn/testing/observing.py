"""Note what a block of a test does: log records, background work, and the outcome of each event.

`arriving` sets when schedules arrive, `observing` collects, `add_outcomes` adds it to a delivery.
"""

from __future__ import annotations

import logging
from collections.abc import Coroutine, Generator, Iterable, Sequence
from contextlib import contextmanager
from datetime import datetime
from threading import Lock
from typing import Any

from portable_fn import logs
from portable_fn.context import observer
from portable_fn.errors import DecodeError
from portable_fn.events import Event, Message, ScheduleEvent, Task, seconds_since
from portable_fn.outcomes import Outcome, Reject, Retry
from portable_fn.testing.results import Background, Delivery, EventResult, Raised

__all__ = ["Handled", "Observed", "add_outcomes", "arriving", "observing"]

# A decoded event, or the error if it couldn't be decoded, with its outcome.
Handled = tuple[Event[Any] | DecodeError, Outcome]


@contextmanager
def arriving(events: Iterable[Event[Any]]) -> Generator[None]:
    """Deliver the schedules among the events on time, or late if they say so, whatever the clock says."""
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


class Observed:
    """The log records, the background work and the events with their outcomes of a block.

    Attributes:
        quiet: Whether log records are shown nowhere if nobody has set up logging.
        logs: The log records.
        works: The background work.
        events: The events with their outcomes.
    """

    def __init__(self, quiet: bool) -> None:
        self.quiet = quiet
        self.logs: list[logging.LogRecord] = []
        self.works: list[Background] = []
        self.events: list[Handled] = []

    def background(self, coroutine: Coroutine[Any, Any, object]) -> Coroutine[Any, Any, object]:
        """Note background work, and watch how it ends."""
        work = Background(getattr(coroutine, "__qualname__", type(coroutine).__name__))
        self.works.append(work)
        return _watched(coroutine, work)

    def handled(self, items: Sequence[Any], outcomes: Sequence[Outcome]) -> None:
        """Note the outcome of each event."""
        self.events.extend(zip(items, outcomes, strict=True))


@contextmanager
def observing(*, quiet: bool = False) -> Generator[Observed]:
    """Collect log records and background work of a block, also from its threads and tasks.

    Collect every record of `portable_fn`, which `ctx.log` writes, and records of other loggers at their level. What other handlers
    show stays the same.

    Args:
        quiet: Don't show records on stderr if nobody has set up logging.
    """
    observed = Observed(quiet)
    token = observer.set(observed)
    _begin()
    try:
        yield observed
    finally:
        _end()
        observer.reset(token)


def add_outcomes(delivery: Delivery, events: Sequence[Event[Any]], handled: Sequence[Handled]) -> None:
    """Add what functions said and a provider need not keep: delay and reason of each event, and the delivery's error.

    The error is the first one that a function raised, except a `Reject`. A task's stays as its caller sees it.

    Args:
        delivery: The results of the events.
        events: The events that were sent.
        handled: The events as they were decoded. If empty, none reached a function.
    """
    if not handled:
        return
    for result, outcomes in zip(delivery.results, _outcomes_by_event(events, handled), strict=True):
        _add_delay_and_reason(result, outcomes)
    if not isinstance(events[0], Task):
        errors = (outcome.error for _, outcome in handled if isinstance(outcome, Retry) and outcome.error is not None)
        error = next((error for error in errors if not isinstance(error, Reject)), None)
        raised = None if error is None else Raised.of(error)
        delivery.error = None if raised is None else (raised.name, raised.message)


def _add_delay_and_reason(result: EventResult, outcomes: Sequence[Outcome]) -> None:
    if result.outcome != "acknowledged":
        rejects = (
            reason
            for outcome in outcomes
            for reason in (outcome, getattr(outcome, "error", None))
            if isinstance(reason, Reject)
        )
        result.why = next((reject.why for reject in rejects if reject.why), result.why)
    if result.outcome == "retried":
        delays = (outcome.after for outcome in outcomes if isinstance(outcome, Retry) and outcome.after is not None)
        result.after = next(delays, result.after)


def _outcomes_by_event(events: Sequence[Event[Any]], handled: Sequence[Handled]) -> list[list[Outcome]]:
    """Return the outcomes of each event, one for each function that got it; an empty list if they can't be matched.

    Match by id, then messages by body because some providers replace the id, then the rest by order.
    """
    matched: list[list[Outcome]] = [[] for _ in events]
    rest = list(handled)
    for is_same in (_has_id, _has_body):
        open_indices = [index for index, outcomes in enumerate(matched) if not outcomes]
        for index in open_indices:
            matched[index] = [outcome for item, outcome in rest if is_same(item, events[index])]
        known = [events[index] for index in open_indices if matched[index]]
        rest = [(item, outcome) for item, outcome in rest if not any(is_same(item, event) for event in known)]
    open_indices = [index for index, outcomes in enumerate(matched) if not outcomes]
    if open_indices and len(rest) % len(open_indices) == 0:
        for position, (_, outcome) in enumerate(rest):
            matched[open_indices[position % len(open_indices)]].append(outcome)
    return matched


def _has_id(item: object, event: Event[Any]) -> bool:
    return isinstance(item, Event) and item.id == event.id


def _has_body(item: object, event: Event[Any]) -> bool:
    return isinstance(item, Message) and isinstance(event, Message) and (item.body, item.key) == (event.body, event.key)


class _Collector(logging.Handler):
    only_watches = True  # portable_fn.logs shows the record as if this handler weren't there

    def emit(self, record: logging.LogRecord) -> None:
        observed = _current()
        if observed is not None:
            observed.logs.append(record)
        last = logging.lastResort
        if last is not None and record.levelno >= last.level and not _is_quiet() and _is_unhandled(record):
            last.handle(record)


def _is_quiet() -> bool:
    observed = _current()
    return observed is not None and observed.quiet


def _current() -> Observed | None:
    observed = observer.get()
    return observed if isinstance(observed, Observed) else None


def _is_unhandled(record: logging.LogRecord) -> bool:
    """Whether no other handler takes the record, so that logging would write it to stderr as its last resort."""
    logger: logging.Logger | None = logging.getLogger(record.name)
    while logger is not None:
        if any(handler is not _collector for handler in logger.handlers):
            return False
        logger = logger.parent if logger.propagate else None
    return True


class _UsualLevel(logging.Filter):
    """Pass the records that other handlers would get without `observing`, which lowers the level."""

    def filter(self, record: logging.LogRecord) -> bool:
        is_ours = False
        logger: logging.Logger | None = logging.getLogger(record.name)
        while logger is not None and logger.parent is not None:
            is_ours = logger.name == "portable_fn"
            if level := _level if is_ours else logger.level:
                return record.levelno >= level
            logger = logger.parent
        return record.levelno >= (logs.threshold() if is_ours else logging.root.level)


class _UsualLevelUnlessQuiet(_UsualLevel):
    """The same for the handler that portable_fn itself adds, which is silent in a quiet block."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not _is_quiet() and super().filter(record)


# Blocks in several threads share these: the first block sets them up, the last one removes them.
_collector = _Collector()
_usual_level = _UsualLevel()
_usual_level_unless_quiet = _UsualLevelUnlessQuiet()
_filtered_handlers: list[logging.Handler] = []
_lock = Lock()
_blocks = 0
_level = logging.NOTSET


def _begin() -> None:
    global _blocks, _level
    with _lock:
        _blocks += 1
        if _blocks == 1:
            logger = logging.getLogger("portable_fn")
            _level = logger.level
            root = logging.getLogger()
            if _level == logging.NOTSET:
                logger.setLevel(logging.DEBUG)
                _filtered_handlers[:] = [
                    handler for handler in (*root.handlers, *logger.handlers) if handler is not logs.shown
                ]
                for handler in _filtered_handlers:
                    handler.addFilter(_usual_level)
            root.addHandler(_collector)
            logs.shown.addFilter(_usual_level_unless_quiet)


def _end() -> None:
    global _blocks
    with _lock:
        _blocks -= 1
        if _blocks == 0:
            logging.getLogger().removeHandler(_collector)
            logs.shown.removeFilter(_usual_level_unless_quiet)
            while _filtered_handlers:
                _filtered_handlers.pop().removeFilter(_usual_level)
            logging.getLogger("portable_fn").setLevel(_level)


async def _watched(coroutine: Coroutine[Any, Any, object], work: Background) -> object:
    try:
        result = await coroutine
    except BaseException as exc:
        work.error = exc
        raise
    work.done = True
    return result
