"""What functions said of events, beside what the provider makes of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from portable_fn.events import Event, Message, Task
from portable_fn.outcomes import Outcome, Reject, Retry
from portable_fn.testing.observing import Handled
from portable_fn.testing.results import Delivery, EventResult, Raised


def note(delivery: Delivery, events: Sequence[Event[Any]], handled: Sequence[Handled]) -> None:
    """Gives the `EventResult` of each event the delay and the reason that a function gave, which a provider need not keep.

    Also, unless it is a task's, the delivery the first error that a function raised. `handled` are the events as they were
    decoded; where there are none, none reached a function.
    """
    if not handled:
        return
    for settled, outcomes in zip(delivery.results, _of_each(events, handled), strict=True):
        _note(settled, outcomes)
    if not isinstance(events[0], Task):
        raised = (outcome.error for _, outcome in handled if isinstance(outcome, Retry) and outcome.error is not None)
        error = next((one for one in raised if not isinstance(one, Reject)), None)
        told = None if error is None else Raised.of(error)
        delivery.error = None if told is None else (told.name, told.message)


def _note(settled: EventResult, outcomes: Sequence[Outcome]) -> None:
    if settled.outcome != "acknowledged":
        said = (found for one in outcomes for found in (one, getattr(one, "error", None)) if isinstance(found, Reject))
        settled.why = next((one.why for one in said if one.why), settled.why)
    if settled.outcome == "retried":
        delays = (one.after for one in outcomes if isinstance(one, Retry) and one.after is not None)
        settled.after = next(delays, settled.after)


def _of_each(events: Sequence[Event[Any]], handled: Sequence[Handled]) -> list[list[Outcome]]:
    """The outcomes of each event, one of every function that had it apart; none where it can't be told which they are.

    It is known by its id, a message whose id is the provider's by its body, and the others by their turn.
    """
    found: list[list[Outcome]] = [[] for _ in events]
    rest = list(handled)
    for is_same in (_has_id, _has_body):
        left = [index for index, outcomes in enumerate(found) if not outcomes]
        for index in left:
            found[index] = [outcome for item, outcome in rest if is_same(item, events[index])]
        known = [events[index] for index in left if found[index]]
        rest = [(item, outcome) for item, outcome in rest if not any(is_same(item, event) for event in known)]
    left = [index for index, outcomes in enumerate(found) if not outcomes]
    if left and len(rest) % len(left) == 0:
        for turn, (_, outcome) in enumerate(rest):
            found[left[turn % len(left)]].append(outcome)
    return found


def _has_id(item: object, event: Event[Any]) -> bool:
    return isinstance(item, Event) and item.id == event.id


def _has_body(item: object, event: Event[Any]) -> bool:
    return isinstance(item, Message) and isinstance(event, Message) and (item.body, item.key) == (event.body, event.key)
