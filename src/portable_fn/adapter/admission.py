"""Decide which events of a batch are handled: readable ones, once each, in the order of their key."""

from __future__ import annotations

from portable_fn.adapter.failures import EARLIER, log_untaken, retry_untaken
from portable_fn.errors import DecodeError
from portable_fn.outcomes import Retry

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    from portable_fn.adapter.batch import Item, Key
    from portable_fn.adapter.failures import Untaken
    from portable_fn.context import Context
    from portable_fn.events import Event
    from portable_fn.outcomes import Outcome


class Admission:
    """The outcomes of a batch's items while they are found: first of those that aren't handled, then of the others.

    `Consumer` has a tuned copy of this for events that are handled one after the other.
    """

    def __init__(self, items: Sequence[Item], key: Key | None, context: Context) -> None:
        self.items = items
        self.outcomes: list[Outcome | None] = [None] * len(items)
        self.untaken: Untaken = []
        # Keys whose later events are retried unhandled; None stops every key.
        self.stopped: set[object] = set()
        self._key = key
        self._context = context
        self._duplicates: dict[int, int] = {}

    def admitted(self) -> Iterator[tuple[int, Event[Any], object]]:
        """Yield each event that must be handled, with its index and its key."""
        first: dict[object, int] = {}
        stopped = self.stopped
        for index, item in enumerate(self.items):
            if isinstance(item, DecodeError):
                self.outcomes[index] = retry_untaken(item, self._context, self.untaken)
                # Its key is unknown, so every event with a key waits for it.
                if self._key is not None:
                    stopped.add(None)
                continue
            earlier = first.setdefault(item.id, index)
            if earlier != index and (earlier := first_delivery(first, self.items, earlier, index, item)) != index:
                self._duplicates[index] = earlier
                continue
            key = None if self._key is None else self._key(item)
            if stopped and key is not None and (key in stopped or None in stopped):
                self.outcomes[index] = Retry(EARLIER)
            else:
                yield index, item, key

    def set(self, index: int, key: object, outcome: Outcome) -> None:
        """Set the outcome of an item. If it is a retry, later events of its key aren't admitted."""
        self.outcomes[index] = outcome
        if key is not None and isinstance(outcome, Retry):
            self.stopped.add(key)

    def log_untaken(self) -> None:
        """Log the events that no function takes."""
        if self.untaken:
            log_untaken(self.untaken, len(self.items), self._context)

    def finish(self) -> list[Outcome]:
        """Return the outcome of every item; a duplicate has that of its first delivery."""
        for index, earlier in self._duplicates.items():
            self.outcomes[index] = self.outcomes[earlier]
        return self.outcomes  # type: ignore[return-value]  # each has one now


def first_delivery(first: dict[object, int], items: Sequence[Item], earlier: int, index: int, event: Event[Any]) -> int:
    """Return the index of the event's first delivery in the batch, its own index if this is the first.

    Args:
        first: The index of each id's first event; -1 if different events share the id. It is updated.
        items: The batch.
        earlier: The value of `first` for the event's id.
        index: The event's index.
        event: The event. A sender may have given two different events one id.
    """
    if earlier >= 0:
        first[_identity(items[earlier])] = earlier
        first[event.id] = -1
    return first.setdefault(_identity(event), index)


def _identity(event: Any) -> object:
    """Return a value that only deliveries of the same event share; a unique one if the event can't be read."""
    try:
        identity = event.id, event.source, event.fingerprint
        hash(identity)
    except (DecodeError, TypeError):
        return object()
    return identity
