"""What goes wrong between a source and a function, on purpose: redelivery, duplicates, another order, throttling."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from copy import copy
from dataclasses import dataclass, field
from typing import Any

from portable_fn.events import Event
from portable_fn.testing.results import Delivery, EventResult


@dataclass(frozen=True)
class Redelivery:
    """The source sends again what is retried, up to `max_attempts` deliveries of an event, those before included.

    What is retried after the last is dead-lettered, or lost where the source has no `dead_letter`. Nobody waits meanwhile.
    """

    max_attempts: int = 5
    dead_letter: bool = True

    def __post_init__(self) -> None:
        _whole("max_attempts", self.max_attempts, 1)


@dataclass(frozen=True)
class Duplicates:
    """The source delivers each event that many times, the second time after the whole of the first."""

    times: int = 2

    def __post_init__(self) -> None:
        _whole("times", self.times, 1)


@dataclass(frozen=True)
class Reordered:
    """The source delivers events in another order, by the seed; those of a key or partition stay in theirs where it has order."""

    seed: int = 0

    def __post_init__(self) -> None:
        _whole("seed", self.seed)


@dataclass(frozen=True)
class Throttled:
    """The provider doesn't invoke the function that many times: a request is answered with 429, events come later.

    `counts` says whether the source takes that for a delivery, as SQS does.
    """

    times: int = 1
    counts: bool = False

    def __post_init__(self) -> None:
        _whole("times", self.times, 0)


def _whole(name: str, value: object, least: int | None = None) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or (least is not None and value < least):
        raise ValueError(f"{name} is a whole number{'' if least is None else f' from {least}'}, not {value!r}")


Failure = Duplicates | Reordered | Throttled

# Sends events once, and gives what became of them with what went over the wire.
Send = Callable[[list[Event[Any]]], Delivery]

_WORST = ("acknowledged", "retried", "dead-lettered", "lost")


@dataclass
class _Copy:
    """One of the deliveries that an event is to have, with those that it has had."""

    index: int
    event: Event[Any]
    delivered: int

    @classmethod
    def of(cls, index: int, event: Event[Any], before: int = 0) -> _Copy:
        attempt = getattr(event, "attempt", None)
        made = cls(index, event, before + (attempt - 1 if isinstance(attempt, int) else 0))
        return made._numbered() if before else made

    def again(self) -> _Copy:
        self.delivered += 1
        return self._numbered()

    def _numbered(self) -> _Copy:
        """With the number of the next delivery, where the event tells it."""
        if getattr(self.event, "attempt", None) is not None:
            self.event = copy(self.event)
            self.event.attempt = self.delivered + 1  # type: ignore[attr-defined]  # it has one
        return self


@dataclass
class _Sent:
    """What went over the wire so far."""

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
    """What became of the events in the end, with `attempts`: how often each was delivered.

    All deliveries of one duplicate are in a `block` of their own.
    """
    failures = _known(failures)
    times = next((one.times for one in failures if isinstance(one, Duplicates)), 1)
    throttled = next((one for one in failures if isinstance(one, Throttled)), None)
    order = _order(events, failures, has_order)
    attempts = [0] * len(events)
    outcomes: list[list[EventResult]] = [[] for _ in events]
    sent = _Sent()
    for before in range(times):
        wave = [_Copy.of(index, events[index], before) for index in order]
        with block():
            while wave:
                if throttled is not None and throttled.times > 0:
                    throttled = Throttled(throttled.times - 1, throttled.counts)
                    if throttled.counts:
                        again = [_counted(one, redelivery, EventResult("retried"), outcomes) for one in wave]
                        wave = [one for one in again if one is not None]
                    continue
                wave = _sent_once(wave, send, redelivery, outcomes, attempts, sent)
    settled = [max(each, key=lambda one: _WORST.index(one.outcome)) for each in outcomes]
    last = sent.last
    return Delivery(
        settled,
        result=None if last is None else last.result,
        error=None if last is None else last.error,
        native_requests=sent.requests,
        native_answers=sent.answers,
        attempts=attempts,
    )


def _sent_once(
    wave: Sequence[_Copy],
    send: Send,
    redelivery: Redelivery | None,
    outcomes: list[list[EventResult]],
    attempts: list[int],
    sent: _Sent,
) -> list[_Copy]:
    """Sends what is due; gives what is due then."""
    sent.last = made = send([one.event for one in wave])
    sent.requests += made.native_requests
    sent.answers += made.native_answers
    due = []
    for place, (one, settled) in enumerate(zip(wave, made.results, strict=True)):
        is_held = place in made.held
        attempts[one.index] += not is_held
        if settled.outcome != "retried" or redelivery is None:
            outcomes[one.index].append(settled)
        elif is_held:
            due.append(one)
        elif (again := _counted(one, redelivery, settled, outcomes)) is not None:
            due.append(again)
    return due


def _counted(
    one: _Copy, redelivery: Redelivery | None, settled: EventResult, outcomes: list[list[EventResult]]
) -> _Copy | None:
    """The next delivery after one that failed; None where that was the last, which is settled then."""
    again = one.again()
    if redelivery is None or again.delivered < redelivery.max_attempts:
        return again
    outcomes[one.index].append(EventResult("dead-lettered" if redelivery.dead_letter else "lost", None, settled.why))
    return None


def _known(failures: Sequence[Failure]) -> list[Failure]:
    found = list(failures)
    kinds = [type(one) for one in found]
    for one in found:
        if not isinstance(one, (Duplicates, Reordered, Throttled)):
            raise TypeError(f"failures are Duplicates, Reordered and Throttled, not {one!r}")
        if kinds.count(type(one)) > 1:
            raise ValueError(f"failures has {type(one).__name__} more than once")
    return found


def _order(events: Sequence[Event[Any]], failures: Sequence[Failure], has_order: bool) -> list[int]:
    """The indices of the events in the order in which they come."""
    order = list(range(len(events)))
    seed = next((one.seed for one in failures if isinstance(one, Reordered)), None)
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
