"""What a failed assertion on a delivery says: which event, what became of it, and why."""

from __future__ import annotations

import logging
from typing import Any

from portable_fn.events import Event
from portable_fn.http import Request
from portable_fn.record import Record
from portable_fn.testing.delivery import Delivery, Settled, deliver

MAX_WIDTH = 160
# pytest shows eight lines of an explanation unless it is asked for more.
MAX_EVENTS = 2


class Sent(Record):
    """A delivery of this test, with the events, the name of the service and what was logged meanwhile."""

    _fields = ("service", "events", "delivery", "logged")

    def __init__(self, service: str, events: list[Event[Any]], delivery: Delivery, logged: list[str]) -> None:
        self.service = service
        self.events = events
        self.delivery = delivery
        self.logged = logged


def deliver_and_note(sent: list[Sent], handler: object, event: Any, to: str, via: str | None, seconds: float) -> Any:
    """What `deliver` gives; a delivery is noted in `sent`."""
    if isinstance(event, Request):
        return deliver(handler, event, to=to, via=via)
    events = [event] if isinstance(event, Event) else list(event)
    logs = _Logs()
    root = logging.getLogger()
    root.addHandler(logs)
    try:
        delivery = deliver(handler, event if isinstance(event, Event) else events, to=to, via=via, seconds=seconds)  # type: ignore[arg-type]  # some kind of event
    finally:
        root.removeHandler(logs)
    sent.append(Sent(f"{to} {via}" if via else to, events, delivery, logs.lines))
    return delivery


class _Logs(logging.Handler):
    """The first line of each record, and the exception that it tells."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        line = record.getMessage().partition("\n")[0]
        if record.exc_info and (error := record.exc_info[1]) is not None:
            line += f": {type(error).__name__}: {error}".partition("\n")[0]
        self.lines.append(line)


def explanation(sent: list[Sent], left: object, right: object) -> list[str] | None:
    """The lines of pytest's explanation of `left == right`; None where they are not of a delivery."""
    for one in (*reversed(sent), None):
        for actual, expected in ((left, right), (right, left)):
            if lines := _differences(one, actual, expected):
                return [f"{_shown(left)} == {_shown(right)}", *lines]
    return None


def _differences(sent: Sent | None, actual: object, expected: object) -> list[str]:
    """How the actual value, which is one of the sent delivery's, differs from the expected one; none where it isn't."""
    if isinstance(actual, Delivery) and isinstance(expected, Delivery):
        if sent is None:
            sent = Sent("", [], actual, [])
        if sent.delivery is not actual:
            return []
        lines = _settled(sent, expected.settled)
        for word, was, wanted in (
            ("result", actual.result, expected.result),
            ("error", actual.error, expected.error),
        ):
            if was != wanted:
                lines.append(f"the {word} is {_shown(was)}, expected {_shown(wanted)}")
        return lines
    if isinstance(actual, Settled) and isinstance(expected, Settled):
        if sent is None:
            return _settled(Sent("", [], Delivery([actual]), []), [expected])
        for index, one in enumerate(sent.delivery.settled):
            if one is actual:
                return _event(sent, index, expected)
        return []
    if sent is None or not isinstance(actual, list) or not isinstance(expected, (list, tuple)) or not actual:
        return []
    if all(isinstance(one, str) for one in expected) and actual == sent.delivery.outcomes:
        words = [Settled(word, was.after, was.why) for word, was in zip(expected, sent.delivery.settled, strict=False)]
        return _settled(sent, [*words, *(Settled(word) for word in expected[len(words) :])])
    if all(isinstance(one, Settled) for one in expected) and actual == sent.delivery.settled:
        return _settled(sent, list(expected))
    return []


def _settled(sent: Sent, expected: list[Settled]) -> list[str]:
    actual = sent.delivery.settled
    lines = []
    if len(actual) != len(expected):
        lines.append(f"{_count(len(actual), 'event')}, but {_count(len(expected), 'outcome')} expected")
    different = [index for index, (one, wanted) in enumerate(zip(actual, expected, strict=False)) if one != wanted]
    for index in different[:MAX_EVENTS]:
        lines += _event(sent, index, expected[index])
    if more := len(different) - MAX_EVENTS:
        lines += [f"and {_count(more, 'event')} more"] if more > 0 else []
    return lines


def _event(sent: Sent, index: int, expected: Settled) -> list[str]:
    """What became of the event at the index, what was expected, and why."""
    was = sent.delivery.settled[index]
    event = sent.events[index] if index < len(sent.events) else None
    name = _shown(event) if event is not None else f"event {index + 1} of {len(sent.delivery.settled)}"
    place = f" by {sent.service}" if sent.service else ""
    told = [f"is {was.outcome}, expected {expected.outcome}"] if was.outcome != expected.outcome else []
    if was.after != expected.after:
        told.append(f"{_after(was.after)}, expected {_after(expected.after)}")
    if was.why != expected.why:
        told.append(f"why is {was.why!r}, expected {expected.why!r}")
    lines = [f"{name}{place} {', and '.join(told)}"]
    if was.why and was.why == expected.why:
        lines.append(f"  why: {_cut(was.why)}")
    if logged := _logged(sent, event):
        lines.append(f"  log: {_cut(logged)}")
    return lines


def _logged(sent: Sent, event: Event[Any] | None) -> str:
    """The first line that was logged of the event; where only one event was sent, any line is of it."""
    for line in sent.logged:
        if event is not None and event.id in [word.rstrip(":,.") for word in line.split()]:
            return line
    return sent.logged[0] if sent.logged and len(sent.events) == 1 else ""


def _after(seconds: float | None) -> str:
    return "without a delay" if seconds is None else f"after {seconds:g} s"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _shown(value: object) -> str:
    return _cut(repr(value))


def _cut(text: str) -> str:
    return text if len(text) <= MAX_WIDTH else f"{text[: MAX_WIDTH - 3]}..."
