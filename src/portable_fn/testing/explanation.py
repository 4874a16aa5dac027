"""What a failed assertion on a delivery says: which event, what became of it, and why."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Any

from portable_fn.providers import nearest
from portable_fn.testing.results import OUTCOMES, Delivery, EventResult, OutcomeWord, Raised, ResultList

MAX_WIDTH = 160
# pytest shows eight lines of an explanation unless it is asked for more.
MAX_EVENTS = 2


def explanation(left: object, right: object) -> list[str] | None:
    """The lines of pytest's explanation of `left == right`; None where neither is of a delivery."""
    # A delivery without events was made to compare with.
    pairs = [(left, right), (right, left)]
    if isinstance(left, Delivery) and isinstance(right, Delivery) and len(left.events) < len(right.events):
        pairs.reverse()
    for actual, expected in pairs:
        if lines := _differences(actual, expected):
            return [f"{_shown(left)} == {_shown(right)}", *lines]
    return None


def _differences(actual: object, expected: object) -> list[str]:
    """How a delivery, or what is of one, differs from the expected value; nothing where the actual one isn't."""
    if isinstance(actual, Delivery) and isinstance(expected, Delivery):
        return [*_settled(actual, expected.results), *_answered(actual, expected)]
    if isinstance(actual, EventResult) and isinstance(expected, EventResult) and actual.delivery is not None:
        places = [place for place, one in enumerate(actual.delivery.results) if one is actual]
        return [line for place in places for line in _event(actual.delivery, place, expected)]
    if not isinstance(actual, ResultList) or not isinstance(expected, list):
        return []
    told: ResultList[Any] = actual
    delivery = told.delivery
    if told.outcome:
        return _those(told, told.outcome, expected)
    if all(isinstance(one, EventResult) for one in expected):
        return _settled(delivery, expected)
    if all(isinstance(one, str) for one in expected):
        unknown = [EventResult("retried")] * len(expected)
        return _settled(
            delivery,
            [
                EventResult(word, was.after, was.why)
                for word, was in zip(expected, [*delivery.results, *unknown], strict=False)
            ],
        )
    return []


def _those(told: ResultList[Any], outcome: OutcomeWord, expected: list[Any]) -> list[str]:
    """Which events are expected to be of the list's outcome and aren't, and the other way round."""
    delivery = told.delivery
    lacking = [place for place, event in enumerate(delivery.events) if event in expected and event not in told]
    lines = [
        line
        for place in lacking[:MAX_EVENTS]
        for line in _event(delivery, place, EventResult(outcome, None, delivery.results[place].why), delay=False)
    ]
    others = [event for event in told if event not in expected]
    lines += [f"{_shown(event)}: was {outcome}, and isn't expected" for event in others[:MAX_EVENTS]]
    if (more := len(lacking[MAX_EVENTS:]) + len(others[MAX_EVENTS:])) > 0:
        lines.append(f"and {_count(more, 'event')} more")
    return lines


def _settled(delivery: Delivery, expected: Sequence[EventResult]) -> list[str]:
    actual = delivery.results
    lines = []
    if len(actual) != len(expected):
        lines.append(f"{_count(len(actual), 'event')}, but {_count(len(expected), 'outcome')} expected")
    places = [place for place, pair in enumerate(zip(actual, expected, strict=False)) if pair[0] != pair[1]]
    for place in places[:MAX_EVENTS]:
        lines += _event(delivery, place, expected[place])
    if len(places) > MAX_EVENTS:
        lines.append(f"and {_count(len(places) - MAX_EVENTS, 'event')} more")
    return lines


def _answered(delivery: Delivery, expected: Delivery) -> Iterable[str]:
    for name in ("result", "error"):
        was, wanted = getattr(delivery, name), getattr(expected, name)
        if was != wanted:
            yield f"the {name} is {_shown(was)}, expected {_shown(wanted)}"


def _event(delivery: Delivery, place: int, expected: EventResult, *, delay: bool = True) -> list[str]:
    """What became of the event at the place, what was expected, and why."""
    was = delivery.results[place]
    known = place < len(delivery.events)
    name = _shown(delivery.events[place]) if known else f"event {place + 1} of {len(delivery.results)}"
    told = []
    if was.outcome != expected.outcome:
        told.append(f"was {was.outcome}, expected {expected.outcome}{_unknown(expected.outcome)}")
    if delay and was.after != expected.after:
        told.append(f"{_after(was.after)}, expected {_after(expected.after)}")
    if was.why != expected.why:
        told.append(f"because of {_shown(was.why)}, expected {_shown(expected.why)}")
    lines = [f"{name}: {'; '.join(told)}"]
    if was.why and was.why == expected.why:
        lines.append(f"  why: {_cut(was.why)}")
    if logged := _logged(delivery, delivery.events[place].id if known else ""):
        lines.append(f"  log: {_cut(logged)}")
    return lines


def _unknown(outcome: str) -> str:
    """That there is no such outcome, where there is none."""
    if outcome in OUTCOMES:
        return ""
    return f", which is no outcome{nearest(outcome, OUTCOMES)}; possible are {', '.join(OUTCOMES)}"


def _logged(delivery: Delivery, id: str) -> str:
    """The first warning or error that names the event; where there is one event only, any is of it."""
    lines = [_first_line(record) for record in delivery.logs if record.levelno >= logging.WARNING]
    for line in lines:
        if id and id in [word.rstrip(":,.") for word in line.split()]:
            return line
    return lines[0] if lines and len(delivery.results) == 1 else ""


def _first_line(record: logging.LogRecord) -> str:
    """The first line of what was logged, and the exception with it."""
    line = record.getMessage().partition("\n")[0]
    if record.exc_info and (error := record.exc_info[1]) is not None:
        raised = Raised.of(error)
        line += f": {raised.name}: {raised.message}".partition("\n")[0]
    return line


def _after(seconds: object) -> str:
    if seconds is None:
        return "without a delay"
    return f"after {seconds:g} s" if isinstance(seconds, (int, float)) else f"after {_shown(seconds)}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _shown(value: object) -> str:
    return _cut(repr(value))


def _cut(text: str) -> str:
    return text if len(text) <= MAX_WIDTH else f"{text[: MAX_WIDTH - 3]}..."
