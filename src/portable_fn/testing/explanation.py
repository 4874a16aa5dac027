"""What a failed assertion on a delivery says: which event, what became of it, and why."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence

from portable_fn.testing.delivery import Delivery, Settled

MAX_WIDTH = 160
# pytest shows eight lines of an explanation unless it is asked for more.
MAX_EVENTS = 2


def explanation(sent: Sequence[Delivery], left: object, right: object) -> list[str] | None:
    """The lines of pytest's explanation of `left == right`; None where neither is of a delivery that was sent."""
    for delivery in reversed(sent):
        for actual, expected in ((left, right), (right, left)):
            if lines := _differences(delivery, actual, expected):
                return [f"{_shown(left)} == {_shown(right)}", *lines]
    if isinstance(left, Delivery) and isinstance(right, Delivery):
        return [f"{_shown(left)} == {_shown(right)}", *_differences(left, left, right)]
    return None


def _differences(delivery: Delivery, actual: object, expected: object) -> list[str]:
    """How the delivery differs from the expected value; nothing where the actual one isn't the delivery's."""
    if actual is delivery and isinstance(expected, Delivery):
        return [*_settled(delivery, expected.settled), *_answered(delivery, expected)]
    if isinstance(actual, Settled) and isinstance(expected, Settled):
        places = [place for place, one in enumerate(delivery.settled) if one is actual]
        return [line for place in places for line in _event(delivery, place, expected)]
    if not isinstance(actual, list) or not isinstance(expected, list) or not actual:
        return []
    if actual == delivery.settled and all(isinstance(one, Settled) for one in expected):
        return _settled(delivery, expected)
    if actual == delivery.outcomes and all(isinstance(one, str) for one in expected):
        unknown = [Settled("")] * len(expected)
        return _settled(
            delivery,
            [
                Settled(word, was.after, was.why)
                for word, was in zip(expected, [*delivery.settled, *unknown], strict=False)
            ],
        )
    return []


def _settled(delivery: Delivery, expected: Sequence[Settled]) -> list[str]:
    actual = delivery.settled
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


def _event(delivery: Delivery, place: int, expected: Settled) -> list[str]:
    """What became of the event at the place, what was expected, and why."""
    was = delivery.settled[place]
    known = place < len(delivery.events)
    name = _shown(delivery.events[place]) if known else f"event {place + 1} of {len(delivery.settled)}"
    told = []
    if was.outcome != expected.outcome:
        told.append(f"was {was.outcome}, expected {expected.outcome}")
    if was.after != expected.after:
        told.append(f"{_after(was.after)}, expected {_after(expected.after)}")
    if was.why != expected.why:
        told.append(f"because of {_shown(was.why)}, expected {_shown(expected.why)}")
    lines = [f"{name}: {'; '.join(told)}"]
    if was.why and was.why == expected.why:
        lines.append(f"  why: {_cut(was.why)}")
    if logged := _logged(delivery, delivery.events[place].id if known else ""):
        lines.append(f"  log: {_cut(logged)}")
    return lines


def _logged(delivery: Delivery, id: str) -> str:
    """The first warning or error that names the event; where there is one event only, any is of it."""
    lines = [_first_line(record) for record in delivery.logs if record.levelno >= logging.WARNING]
    for line in lines:
        if id and id in [word.rstrip(":,.") for word in line.split()]:
            return line
    return lines[0] if lines and len(delivery.settled) == 1 else ""


def _first_line(record: logging.LogRecord) -> str:
    """The first line of what was logged, and the exception with it."""
    line = record.getMessage().partition("\n")[0]
    if record.exc_info and (error := record.exc_info[1]) is not None:
        line += f": {type(error).__name__}: {error}".partition("\n")[0]
    return line


def _after(seconds: float | None) -> str:
    return "without a delay" if seconds is None else f"after {seconds:g} s"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _shown(value: object) -> str:
    return _cut(repr(value))


def _cut(text: str) -> str:
    return text if len(text) <= MAX_WIDTH else f"{text[: MAX_WIDTH - 3]}..."
