"""What of a batch is handled already if the host's retry policy delivers the batch again."""

from __future__ import annotations

import os

from portable_fn.events import Event
from portable_fn.outcomes import Retry
from portable_fn_azure.events import decode as decode_events

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from portable_fn.adapter.batch import Item
    from portable_fn.outcomes import Outcome
    from portable_fn_azure.native import FunctionContext

    Batch = tuple[tuple[str, str] | None, ...]

# An attempt that is forgotten only has its events handled again.
MOST_BATCHES = 100


class Progress:
    """Remember what each batch's last attempt handled, so that the next attempt leaves it out.

    The host repeats a batch as it was, and as a rule in the same process. Everything else is forgotten: what failed or wasn't
    begun, all of a batch that is handled to its end, and all of it if this is a first attempt, since then the host may be
    reading the stream anew from an earlier place.
    """

    def __init__(self) -> None:
        # The number of the last attempt, and the places of what is handled.
        self._batches: dict[Batch, tuple[int, frozenset[int]]] = {}

    def begin(self, items: Sequence[Item], context: FunctionContext | None) -> Attempt:
        """Begin an attempt at a batch."""
        if len(items) < 2:
            return Attempt(self, (), 1, items, frozenset())
        number = decode_events.attempt(context)
        batch = tuple((item.source, item.id) if isinstance(item, Event) else None for item in items)
        last, handled = self._batches.pop(batch, (0, frozenset[int]()))
        # Several processes of one host share the attempts at a batch, and each knows but its own.
        if number == 1 or last != number - 1 or os.environ.get("FUNCTIONS_WORKER_PROCESS_COUNT", "1") != "1":
            handled = frozenset()
        return Attempt(self, batch, number, items, handled)

    def keep(self, batch: Batch, number: int, handled: frozenset[int]) -> None:
        while len(self._batches) >= MOST_BATCHES:
            # Another thread may have been quicker.
            self._batches.pop(next(iter(list(self._batches)), batch), None)
        self._batches[batch] = number, handled


class Attempt:
    """One attempt at a batch; `left` are the items that are still to be handled."""

    def __init__(
        self, progress: Progress, batch: Batch, number: int, items: Sequence[Item], handled: frozenset[int]
    ) -> None:
        self._progress = progress
        self._batch = batch
        self._number = number
        self._handled = handled
        self._places = [place for place in range(len(items)) if place not in handled]
        self.left = [items[place] for place in self._places]

    def end(self, outcomes: Sequence[Outcome]) -> None:
        """Remember what is handled if the batch is to be delivered again for the rest."""
        if not self._batch or not any(isinstance(outcome, Retry) for outcome in outcomes):
            return
        # What is rejected is in its dead letters, or it would be retried.
        done = {place for place, outcome in zip(self._places, outcomes, strict=True) if not isinstance(outcome, Retry)}
        if handled := self._handled | done:
            self._progress.keep(self._batch, self._number, handled)
