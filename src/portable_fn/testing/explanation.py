"""Explain a failed assertion on a delivery: which event, its outcome, and why."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Any

from portable_fn.providers import nearest
from portable_fn.testing.results import OUTCOMES, Delivery, EventResult, OutcomeWord, Raised, ResultList

MAX_WIDTH = 160
# pytest shows eight lines of an explanation by default.
MAX_EVENTS = 2


def explanation(left: object, right: object) -> list[str] | None:
    """Return the lines of pytest's explanation of `left == right`; None if neither belongs to a delivery."""
    # A delivery without events is the expected value of a test.
    pairs = [(left, right), (right, left)]
    if isinstance(left, Delivery) and isinstance(right, Delivery) and len(left.events) < len(right.events):
        pairs.reverse()
    for actual, expected in pairs:
        if lines := _differences(actual, expected):
            return [f"{_short(left)} == {_short(right)}", *lines]
    return None


def _differences(actual: object, expected: object) -> list[str]:
    """Return how a delivery, or one of its results, differs from the expected value; empty if `actual` isn't one."""
    if isinstance(actual, Delivery) and isinstance(expected, Delivery):
        return [*_result_differences(actual, expected.results), *_answer_differences(actual, expected)]
    if isinstance(actual, EventResult) and isinstance(expected, EventResult) and actual.delivery is not None:
        indices = [index for index, result in enumerate(actual.delivery.results) if result is actual]
        return [line for index in indices for line in _event_lines(actual.delivery, index, expected)]
    if not isinstance(actual, ResultList) or not isinstance(expected, list):
        return []
    results: ResultList[Any] = actual
    delivery = results.delivery
    if results.outcome:
        return _membership_differences(results, results.outcome, expected)
    if all(isinstance(item, EventResult) for item in expected):
        return _result_differences(delivery, expected)
    if all(isinstance(item, str) for item in expected):
        unknown = [EventResult("retried")] * len(expected)
        return _result_differences(
            delivery,
            [
                EventResult(word, result.after, result.why)
                for word, result in zip(expected, [*delivery.results, *unknown], strict=False)
            ],
        )
    return []


def _membership_differences(actual: ResultList[Any], outcome: OutcomeWord, expected: list[Any]) -> list[str]:
    """Describe the events that miss the list's outcome, and those that have it unexpectedly."""
    delivery = actual.delivery
    missing = [index for index, event in enumerate(delivery.events) if event in expected and event not in actual]
    lines = [
        line
        for index in missing[:MAX_EVENTS]
        for line in _event_lines(delivery, index, EventResult(outcome, None, delivery.results[index].why), delay=False)
    ]
    others = [event for event in actual if event not in expected]
    lines += [f"{_short(event)}: was {outcome}, which isn't expected" for event in others[:MAX_EVENTS]]
    if (more := len(missing[MAX_EVENTS:]) + len(others[MAX_EVENTS:])) > 0:
        lines.append(f"and {_count(more, 'event')} more")
    return lines


def _result_differences(delivery: Delivery, expected: Sequence[EventResult]) -> list[str]:
    actual = delivery.results
    lines = []
    if len(actual) != len(expected):
        lines.append(f"{_count(len(actual), 'event')}, but {_count(len(expected), 'outcome')} expected")
    indices = [index for index, pair in enumerate(zip(actual, expected, strict=False)) if pair[0] != pair[1]]
    for index in indices[:MAX_EVENTS]:
        lines += _event_lines(delivery, index, expected[index])
    if len(indices) > MAX_EVENTS:
        lines.append(f"and {_count(len(indices) - MAX_EVENTS, 'event')} more")
    return lines


def _answer_differences(delivery: Delivery, expected: Delivery) -> Iterable[str]:
    for name in ("result", "error"):
        actual, wanted = getattr(delivery, name), getattr(expected, name)
        if actual != wanted:
            yield f"the {name} is {_short(actual)}, expected {_short(wanted)}"


def _event_lines(delivery: Delivery, index: int, expected: EventResult, *, delay: bool = True) -> list[str]:
    """Describe the event's outcome, the expected one, and the reason."""
    result = delivery.results[index]
    is_known = index < len(delivery.events)
    name = _short(delivery.events[index]) if is_known else f"event {index + 1} of {len(delivery.results)}"
    differences = []
    if result.outcome != expected.outcome:
        differences.append(f"was {result.outcome}, expected {expected.outcome}{_unknown(expected.outcome)}")
    if delay and result.after != expected.after:
        differences.append(f"{_after(result.after)}, expected {_after(expected.after)}")
    if result.why != expected.why:
        differences.append(f"because of {_short(result.why)}, expected {_short(expected.why)}")
    lines = [f"{name}: {'; '.join(differences)}"]
    if result.why and result.why == expected.why:
        lines.append(f"  why: {_cut(result.why)}")
    if logged := _logged(delivery, delivery.events[index].id if is_known else ""):
        lines.append(f"  log: {_cut(logged)}")
    return lines


def _unknown(outcome: str) -> str:
    """Return a hint if the outcome doesn't exist."""
    if outcome in OUTCOMES:
        return ""
    return f", which isn't an outcome{nearest(outcome, OUTCOMES)}; possible are {', '.join(OUTCOMES)}"


def _logged(delivery: Delivery, id: str) -> str:
    """Return the first warning or error that names the event; of a single event, the first one."""
    lines = [_first_line(record) for record in delivery.logs if record.levelno >= logging.WARNING]
    for line in lines:
        if id and id in [word.rstrip(":,.") for word in line.split()]:
            return line
    return lines[0] if lines and len(delivery.results) == 1 else ""


def _first_line(record: logging.LogRecord) -> str:
    """Return the first line of the message, with the exception's name and message."""
    line = record.getMessage().partition("\n")[0]
    if record.exc_info and (error := record.exc_info[1]) is not None:
        raised = Raised.of(error)
        line += f": {raised.name}: {raised.message}".partition("\n")[0]
    return line


def _after(seconds: object) -> str:
    if seconds is None:
        return "without a delay"
    return f"after {seconds:g} s" if isinstance(seconds, (int, float)) else f"after {_short(seconds)}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _short(value: object) -> str:
    return _cut(repr(value))


def _cut(text: str) -> str:
    return text if len(text) <= MAX_WIDTH else f"{text[: MAX_WIDTH - 3]}..."
