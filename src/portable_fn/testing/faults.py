"""Simulate what goes wrong between a source and a function: redelivery, duplicates, another order, throttling."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from copy import copy
from dataclasses import dataclass, field
from typing import Any

from portable_fn.events import Event
from portable_fn.testing.results import Delivery, EventResult

__all__ = ["Duplicates", "Failure", "Redelivery", "Reordered", "Throttled"]


@dataclass(frozen=True)
class Redelivery:
    """The source redelivers retried events. It doesn't wait for delays.

    Attributes:
        max_attempts: How often an event is delivered at most, counting its earlier deliveries.
        dead_letter: Whether events that fail the last time are dead-lettered, or lost.
    """

    max_attempts: int = 5
    dead_letter: bool = True

    def __post_init__(self) -> None:
        _whole("max_attempts", self.max_attempts, 1)


@dataclass(frozen=True)
class Duplicates:
    """The source delivers each event several times, the second time after all events were delivered.

    Attributes:
        times: How often each event is delivered.
    """

    times: int = 2

    def __post_init__(self) -> None:
        _whole("times", self.times, 1)


@dataclass(frozen=True)
class Reordered:
    """The source delivers events in another order; an ordered source keeps the order of a key or partition.

    Attributes:
        seed: Determines the order.
    """

    seed: int = 0

    def __post_init__(self) -> None:
        _whole("seed", self.seed)


@dataclass(frozen=True)
class Throttled:
    """The provider throttles the function: a request gets 429, events arrive later.

    Attributes:
        times: How often the function isn't invoked.
        counts: Whether the source counts that as a delivery, as SQS does.
    """

    times: int = 1
    counts: bool = False

    def __post_init__(self) -> None:
        _whole("times", self.times, 0)


def _whole(name: str, value: object, least: int | None = None) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or (least is not None and value < least):
        raise ValueError(f"{name} must be a whole number{'' if least is None else f' from {least}'}, not {value!r}")


Failure = Duplicates | Reordered | Throttled

# Sends events once; returns their results with the native payloads and answers.
Send = Callable[[list[Event[Any]]], Delivery]

_BEST_TO_WORST = ("acknowledged", "retried", "dead-lettered", "lost")


@dataclass
class _Copy:
    """A copy of an event with its number of deliveries."""

    index: int
    event: Event[Any]
    delivered: int

    @classmethod
    def of(cls, index: int, event: Event[Any], before: int = 0) -> _Copy:
        attempt = getattr(event, "attempt", None)
        first = cls(index, event, before + (attempt - 1 if isinstance(attempt, int) else 0))
        return first._with_attempt() if before else first

    def redelivery(self) -> _Copy:
        self.delivered += 1
        return self._with_attempt()

    def _with_attempt(self) -> _Copy:
        """Count the event's next delivery, if the source counts attempts."""
        if getattr(self.event, "attempt", None) is not None:
            self.event = copy(self.event)
            self.event.attempt = self.delivered + 1  # type: ignore[attr-defined]  # it has one
        return self


@dataclass
class _Sent:
    """The native payloads and answers so far."""

    requests: list[Any] = field(default_factory=list[Any])
    answers: list[Any] = field(default_factory=list[Any])
    last: Delivery | None = None


def redelivered(
    events: Sequence[Event[Any]],
    send: Send,
    redelivery: Redelivery | None,
    failures: Sequence[Failure],
    has_order: bool,
    block: Callable[[], AbstractContextManager[Any]],
) -> Delivery:
    """Deliver the events with the failures, and return their final results.

    Args:
        events: The events.
        send: Sends events once.
        redelivery: The source's redelivery, if it has one.
        failures: What goes wrong.
        has_order: Whether the source keeps the order of a key.
        block: Makes the context for all deliveries of one duplicate.
    """
    failures = _checked(failures)
    times = next((failure.times for failure in failures if isinstance(failure, Duplicates)), 1)
    throttled = next((failure for failure in failures if isinstance(failure, Throttled)), None)
    order = _order(events, failures, has_order)
    attempts = [0] * len(events)
    results: list[list[EventResult]] = [[] for _ in events]
    sent = _Sent()
    for before in range(times):
        due = [_Copy.of(index, events[index], before) for index in order]
        with block():
            while due:
                if throttled is not None and throttled.times > 0:
                    throttled = Throttled(throttled.times - 1, throttled.counts)
                    if throttled.counts:
                        retried = EventResult("retried")
                        next_copies = [_redeliver(event_copy, redelivery, retried, results) for event_copy in due]
                        due = [event_copy for event_copy in next_copies if event_copy is not None]
                    continue
                due = _send_once(due, send, redelivery, results, attempts, sent)
    last = sent.last
    return Delivery(
        [max(of_event, key=lambda result: _BEST_TO_WORST.index(result.outcome)) for of_event in results],
        result=None if last is None else last.result,
        error=None if last is None else last.error,
        native_requests=sent.requests,
        native_answers=sent.answers,
        attempts=attempts,
    )


def _send_once(
    due: Sequence[_Copy],
    send: Send,
    redelivery: Redelivery | None,
    results: list[list[EventResult]],
    attempts: list[int],
    sent: _Sent,
) -> list[_Copy]:
    """Send the due copies; return those that are due next."""
    sent.last = delivery = send([event_copy.event for event_copy in due])
    sent.requests += delivery.native_requests
    sent.answers += delivery.native_answers
    next_due = []
    for index, (event_copy, result) in enumerate(zip(due, delivery.results, strict=True)):
        is_held = index in delivery.held
        attempts[event_copy.index] += not is_held
        if result.outcome != "retried" or redelivery is None:
            results[event_copy.index].append(result)
        elif is_held:
            next_due.append(event_copy)
        elif (next_copy := _redeliver(event_copy, redelivery, result, results)) is not None:
            next_due.append(next_copy)
    return next_due


def _redeliver(
    failed: _Copy, redelivery: Redelivery | None, result: EventResult, results: list[list[EventResult]]
) -> _Copy | None:
    """Return the copy for the next delivery; None after the last one, which adds the final result."""
    next_copy = failed.redelivery()
    if redelivery is None or next_copy.delivered < redelivery.max_attempts:
        return next_copy
    results[failed.index].append(EventResult("dead-lettered" if redelivery.dead_letter else "lost", None, result.why))
    return None


def _checked(failures: Sequence[Failure]) -> list[Failure]:
    checked = list(failures)
    kinds = [type(failure) for failure in checked]
    for failure in checked:
        if not isinstance(failure, (Duplicates, Reordered, Throttled)):
            raise TypeError(f"failures must be Duplicates, Reordered or Throttled, not {failure!r}")
        if kinds.count(type(failure)) > 1:
            raise ValueError(f"failures has {type(failure).__name__} more than once")
    return checked


def _order(events: Sequence[Event[Any]], failures: Sequence[Failure], has_order: bool) -> list[int]:
    """Return the indices of the events in the order of their delivery."""
    order = list(range(len(events)))
    seed = next((failure.seed for failure in failures if isinstance(failure, Reordered)), None)
    if seed is None:
        return order
    random.Random(seed).shuffle(order)
    if not has_order:
        return order
    groups: dict[object, list[int]] = {}
    for index, event in enumerate(events):
        groups.setdefault(_group(event), []).append(index)
    rest = {group: iter(indices) for group, indices in groups.items()}
    return [next(rest[_group(events[index])]) for index in order]


def _group(event: Event[Any]) -> object:
    partition = getattr(event, "partition", None)
    return getattr(event, "key", None) if partition is None and not hasattr(event, "table") else partition
