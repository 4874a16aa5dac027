"""Call functions that take a batch as a whole. Loaded only for such functions."""

from __future__ import annotations

from _contextvars import copy_context

from portable_fn.adapter.admission import Admission
from portable_fn.adapter.calling import finished, is_awaitable
from portable_fn.adapter.failures import EARLIER, LATE, message_of, require_plain_result, severity, to_retry
from portable_fn.errors import DecodeError
from portable_fn.events import Batch
from portable_fn.outcomes import DONE, Reject, Retry, check, forget, meant

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from typing import Any

    from portable_fn.adapter.batch import Consumer, Item
    from portable_fn.adapter.binding import Binding
    from portable_fn.context import Context
    from portable_fn.events import Event, Window
    from portable_fn.outcomes import Outcome


class WholeBatch:
    """The items of one invocation for a function that takes them as a batch."""

    def __init__(
        self,
        consumer: Consumer,
        function: Binding,
        items: Sequence[Item],
        context: Context,
        window: Window | None,
        state: Any,
    ) -> None:
        self._consumer = consumer
        self._failures = consumer.failures
        self._function = function
        self._items = items
        self._context = context
        self._state = state
        self._window = window
        self._admission = Admission(items, consumer.key, context)
        # The index of each event among the items, and what the function gets of it.
        self._events: list[tuple[int, Event[Any]]] = []
        self._batch: Batch[Any] = Batch(())

    def handle(self) -> list[Outcome] | Awaitable[list[Outcome]]:
        """Return the outcomes of the items; an awaitable if the function is async."""
        return self._handle() if self._function.is_async else finished(self._handle())

    async def _handle(self) -> list[Outcome]:
        await self._off_loop(self._prepare)
        error: BaseException | None = None
        monotonic = self._context.clock.monotonic
        while self._events or self._window is not None:
            started = monotonic()
            error = await self._call()
            unreadable = self._unreadable(error)
            if unreadable is None:
                break
            # The others are handled without it. The handler may have handled some already, as before any redelivery.
            await self._off_loop(self._reject, unreadable, error)
            remaining = self._context.remaining()
            error = None if remaining is None or remaining > monotonic() - started else Retry(LATE)
            if error is not None:
                break
        outcomes: list[Outcome] = await self._off_loop(self._finish, error)
        return outcomes

    async def _off_loop(self, work: Callable[..., Any], *args: Any) -> Any:
        """Run work that may send dead letters, in a thread if it would block an event loop."""
        if not (self._function.is_async and self._failures.blocks):
            return work(*args)
        from asyncio import to_thread

        return await to_thread(work, *args)

    def _prepare(self) -> None:
        """Collect the events of the batch: those that are admitted, wanted and valid."""
        consumer, failures, function, context = self._consumer, self._failures, self._function, self._context
        admission = self._admission
        for index, item, key in admission.admitted():
            outcome: Outcome | None = None
            event = item
            try:
                event = consumer.dispatcher.only(function.kind, item)
                if consumer.may_ignore and not consumer.calls(item, context):
                    outcome = DONE
            except DecodeError as exc:
                outcome = failures.untaken(exc, item, context, admission.untaken)
            else:
                try:
                    function.bind_data(event)
                except BaseException as exc:
                    outcome = failures.outcome(exc, message_of(event), function, context)
            if outcome is None:
                self._events.append((index, event))
            else:
                admission.set(index, key, outcome)
        admission.log_untaken()

    async def _call(self) -> BaseException | None:
        """Call the function. Return its error, None if it returned."""
        self._batch = Batch([event for _, event in self._events], window=self._window, state=self._state)
        call, context = self._function.call, self._context
        error: BaseException | None = None
        result: Any = None
        if self._function.is_async:
            from portable_fn.adapter import stepping

            error, result = await stepping.run(lambda batch: call(batch, context), self._batch, copy_context())
        else:
            try:
                result = copy_context().run(call, self._batch, context)
            except BaseException as exc:
                error = exc
        try:
            require_plain_result(result, self._batch)
        except Exception as exc:
            error = exc
        return error

    def _unreadable(self, error: BaseException | None) -> int | None:
        """Return the place of the event whose data the function failed to read, if the event can be rejected."""
        # What the handler did to a window's state can't be undone.
        if error is None or self._window is not None:
            return None
        meaning = meant(error)
        if not isinstance(meaning, DecodeError):
            return None
        for place, (_, event) in enumerate(self._events):
            if meaning.event is event and isinstance(
                self._failures.raised_outcome(error, event, self._function), Reject
            ):
                return place
        return None

    def _reject(self, place: int, error: BaseException) -> None:
        index, event = self._events.pop(place)
        outcome = self._failures.outcome(error, message_of(event), self._function, self._context)
        outcomes = self._admission.outcomes
        outcomes[index] = outcome
        if isinstance(outcome, Retry) and (key := self._key(index)) is not None:
            # The later events of its key are redelivered with it.
            for later in [pair for pair in self._events if pair[0] > index and self._key(pair[0]) == key]:
                self._events.remove(later)
                outcomes[later[0]] = Retry(EARLIER)

    def _key(self, index: int) -> object:
        key = self._consumer.key
        return None if key is None else key(self._items[index])

    def _finish(self, error: BaseException | None) -> list[Outcome]:
        """Return the outcomes: those that the handler set; the other events are acknowledged, or fail with its error."""
        outcomes = self._admission.outcomes
        if self._state is not None and self._batch.state is not self._state:
            # The handler may have assigned another state to the batch.
            state = dict(self._batch.state)
            self._state.clear()
            self._state.update(state)
        default: Outcome = DONE
        if error is not None:
            default = self._default_outcome(error)
        stopped: set[object] = set()
        for index, event in self._events:
            outcome = self._batch.outcomes.get(id(event)) or default
            key = self._key(index)
            if key is not None and key in stopped and not isinstance(outcome, Retry):
                outcome = Retry(EARLIER)
            elif isinstance(outcome, Reject):
                outcome = self._failures.reject(outcome, message_of(event), self._function, self._context)
            if key is not None and isinstance(outcome, Retry):
                stopped.add(key)
            outcomes[index] = outcome
        return self._admission.finish()

    def _default_outcome(self, error: BaseException) -> Outcome:
        """Return the outcome of the events for which the handler set none before it raised the error."""
        name = self._function.name
        meaning = meant(error)
        if isinstance(meaning, (Retry, Reject)):
            try:
                check(meaning)
            except ValueError as exc:
                exc.__cause__ = error
                error = exc
            else:
                forget(error)
                if isinstance(meaning, Retry):
                    self._context.log.warning("%s retries the batch: %s", name, meaning.why or "no reason given")
                return meaning
        return to_retry(error, self._context, f"{name} failed for a batch of {len(self._events)}")


def handle_for_several(
    consumer: Consumer, items: Sequence[Item], context: Context, window: Window | None, state: Any
) -> list[Outcome] | Awaitable[list[Outcome]]:
    """Handle the items with several functions, some of which take batches: each function gets the events that are for it."""
    batches: dict[int, tuple[Binding, list[int]]] = {}
    alone: list[int] = []
    for index, item in enumerate(items):
        try:
            functions = [] if isinstance(item, DecodeError) else [call[0] for call in consumer.dispatcher.calls(item)]
        except DecodeError:
            functions = []
        for function in functions:
            if function.takes_batch:
                batches.setdefault(id(function), (function, []))[1].append(index)
        if not functions or any(not function.takes_batch for function in functions):
            alone.append(index)
    parts: list[tuple[list[int], Any]] = []
    # In an ordered source no event may overtake one that can't be read.
    unreadable = [] if consumer.key is None else [at for at in alone if isinstance(items[at], DecodeError)]
    for function, taken in batches.values():
        indices = sorted((*taken, *unreadable))
        batch = WholeBatch(consumer, function, [items[index] for index in indices], context, window, state)
        parts.append((indices, batch.handle()))
    if alone:
        parts.append((alone, consumer.handle_each([items[index] for index in alone], context)))
    if any(is_awaitable(outcomes) for _, outcomes in parts):
        return _merge_later(len(items), parts)
    return _merge(len(items), parts)


def _merge(count: int, parts: list[tuple[list[int], list[Outcome]]]) -> list[Outcome]:
    """Return one outcome for each item, the most severe one that a function led to."""
    merged: list[Outcome] = [DONE] * count
    for indices, outcomes in parts:
        for index, outcome in zip(indices, outcomes, strict=True):
            merged[index] = min(merged[index], outcome, key=severity)
    return merged


async def _merge_later(count: int, parts: list[tuple[list[int], Any]]) -> list[Outcome]:
    return _merge(count, [(indices, await part if is_awaitable(part) else part) for indices, part in parts])
