"""Remember which events of a batch succeeded, so that the host's next attempt skips them."""

from __future__ import annotations

import os

from portable_fn.events import Event
from portable_fn.outcomes import Retry
from portable_fn_azure.events.tasks import attempt

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from portable_fn.adapter.batch import Item
    from portable_fn.outcomes import Outcome
    from portable_fn_azure.native import FunctionContext

    Batch = tuple[tuple[str, str] | None, ...]

# Forgetting an attempt costs only that its events are handled a second time.
MOST_BATCHES = 100


class Progress:
    """What each batch's last attempt handled.

    The host repeats a batch unchanged, and usually in the same process. Nothing is kept of a batch that succeeded. A first
    attempt starts from the beginning: the host may be reading the stream from an earlier place.
    """

    def __init__(self) -> None:
        # The number of the last attempt, and the positions of the events that it handled.
        self._batches: dict[Batch, tuple[int, frozenset[int]]] = {}

    def begin(self, items: Sequence[Item], context: FunctionContext | None) -> Attempt:
        """Begin an attempt at a batch."""
        if len(items) < 2:
            return Attempt(self, (), 1, items, frozenset())
        number = attempt(context)
        batch = tuple((item.source, item.id) if isinstance(item, Event) else None for item in items)
        last, handled = self._batches.pop(batch, (0, frozenset[int]()))
        # Several processes of one host share the attempts at a batch, and each knows only its own.
        if number == 1 or last != number - 1 or os.environ.get("FUNCTIONS_WORKER_PROCESS_COUNT", "1") != "1":
            handled = frozenset()
        return Attempt(self, batch, number, items, handled)

    def keep(self, batch: Batch, number: int, handled: frozenset[int]) -> None:
        """Remember what an attempt handled."""
        while len(self._batches) >= MOST_BATCHES:
            # Another thread may have removed it already.
            self._batches.pop(next(iter(list(self._batches)), batch), None)
        self._batches[batch] = number, handled


class Attempt:
    """One attempt at a batch; `left` has the items to handle."""

    def __init__(
        self, progress: Progress, batch: Batch, number: int, items: Sequence[Item], handled: frozenset[int]
    ) -> None:
        self._progress = progress
        self._batch = batch
        self._number = number
        self._handled = handled
        self._positions = [position for position in range(len(items)) if position not in handled]
        self.left = [items[position] for position in self._positions]

    def end(self, outcomes: Sequence[Outcome]) -> None:
        """Remember what is handled if the host will repeat the batch for the rest."""
        if not self._batch or not any(isinstance(outcome, Retry) for outcome in outcomes):
            return
        # A rejected event is in the dead-letter queue, or its outcome would be a Retry.
        done = {
            position
            for position, outcome in zip(self._positions, outcomes, strict=True)
            if not isinstance(outcome, Retry)
        }
        if handled := self._handled | done:
            self._progress.keep(self._batch, self._number, handled)
