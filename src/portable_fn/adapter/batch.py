"""Handle the events of one invocation: their order, duplicates, failures, concurrency and the deadline."""

from __future__ import annotations

from _contextvars import copy_context

from portable_fn.adapter.calling import finished, has_threads, is_awaitable, is_not_ours
from portable_fn.adapter.failures import (
    EARLIER,
    LATE,
    MARGIN,
    FailurePolicy,
    log_late,
    log_untaken,
    may_reject,
    printable_id,
    require_plain_result,
    retry_untaken,
)
from portable_fn.context import observer
from portable_fn.errors import DecodeError
from portable_fn.events import Event
from portable_fn.outcomes import DONE, Done, Retry, let_go

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from typing import Any

    from portable_fn.adapter.binding import Binding
    from portable_fn.adapter.dispatch import Call, Dispatcher
    from portable_fn.adapter.failures import DeadLetter as DeadLetter
    from portable_fn.adapter.failures import Failure, Untaken
    from portable_fn.adapter.stepping import OwnTask
    from portable_fn.context import Context, Observer
    from portable_fn.events import Window
    from portable_fn.outcomes import Outcome

    # An event, or why it can't be read; then that item alone is retried.
    Item = Event[Any] | DecodeError
    # Returns the key within which events are in order, None for an event that may overtake others.
    Key = Callable[[Any], object]

__all__ = ["Consumer"]


class Consumer:
    """Calls the functions for events, and decides the outcome of each event.

    Args:
        dispatcher: Finds the functions for an event.
        key: Returns the key within which events are in order. If an event is retried, the later events of its key are retried
            unhandled. An adapter must pass a DecodeError instead of an event whose id or key can't be read.
        rejects: Whether the provider itself takes rejected events.
        dead_letter: Sends a rejected event to the destination that its trigger names, within a number of seconds: half of the
            time that is left. If an event can't be sent, it is retried.
    """

    def __init__(
        self,
        dispatcher: Dispatcher,
        *,
        key: Key | None = None,
        rejects: bool = False,
        dead_letter: DeadLetter | None = None,
    ) -> None:
        functions = dispatcher.functions
        self.dispatcher = dispatcher
        self.key = key
        self.failures = FailurePolicy(functions, rejects=rejects, dead_letter=dead_letter)
        # Among several functions, each gets only events that it wants.
        self.may_ignore = len(functions) == 1 and not all(trigger.wants_all for trigger in functions[0].triggers)
        self._direct: dict[type, Binding | None] = {}
        self._takes_batch = any(function.takes_batch for function in functions)
        self._is_async = any(function.is_async for function in functions)
        self._concurrency = max((function.concurrency for function in functions), default=1)

    def handle(
        self, items: Sequence[Item], context: Context, *, window: Window | None = None, state: Any = None
    ) -> list[Outcome] | Awaitable[list[Outcome]]:
        """Return the outcome of each item, in their order; an awaitable if a function is async.

        A handler's error becomes an outcome, and is logged.

        Args:
            items: The events, or why one can't be read.
            context: The context of the invocation.
            window: The window of the stream, for functions that take batches.
            state: The window's state, which those functions may change.
        """
        let_go()
        observing = observer.get()
        if self._takes_batch:
            from portable_fn.adapter.whole_batch import WholeBatch, handle_for_several

            functions = self.dispatcher.functions
            if len(functions) > 1:
                outcomes = handle_for_several(self, items, context, window, state)
            else:
                outcomes = WholeBatch(self, functions[0], items, context, window, state).handle()
        else:
            outcomes = self.handle_each(items, context)
        return outcomes if observing is None else _observed(observing, items, outcomes)

    async def handle_in_loop(self, items: Sequence[Item], context: Context) -> list[Outcome]:
        """Return the outcomes without blocking the event loop: functions that aren't async run in a thread."""
        # If one function isn't async, it may block before anything can be awaited.
        if all(function.is_async for function in self.dispatcher.functions):
            outcomes = self.handle(items, context)
        else:
            from portable_fn.adapter.threads import run

            outcomes = await run(self.handle, items, context)
        return outcomes if isinstance(outcomes, list) else await outcomes

    def _function_for(self, item: Item) -> Binding | None:
        """Return the function that gets every event of the item's class unchanged, if it is the only one."""
        kind = type(item)
        if kind not in self._direct:
            self._direct[kind] = self.dispatcher.direct(kind) if issubclass(kind, Event) else None
        return self._direct[kind]

    def handle_each(self, items: Sequence[Item], context: Context) -> list[Outcome] | Awaitable[list[Outcome]]:
        """Return the outcomes of events that are handled one at a time, not as a batch."""
        if not self._is_async:
            return finished(self._in_order(items, context))
        return self._concurrently(items, context) if self._concurrency > 1 else self._in_order(items, context)

    async def _in_order(self, items: Sequence[Item], context: Context) -> list[Outcome]:
        """Return the outcomes of events that are handled one after the other. Without async functions it never waits."""
        outcomes: list[Outcome] = []
        add = outcomes.append
        # Indices rather than events, so that events which an adapter decodes one by one needn't stay in memory.
        first: dict[object, int] = {}
        stopped: set[object] = set()
        late: Retry | None = None
        key_of = self.key
        deadline = context._ends
        monotonic = context.clock.monotonic
        before = monotonic() if deadline is not None else 0.0
        longest = MARGIN
        # The first event is started even if no time seems to be left: if a clock is wrong, no event would ever be handled.
        is_started = False
        untaken: Untaken = []
        function: Binding | None = None
        call: Callable[[Any, Context], Any] | None = None
        handler: Callable[[Any], Any] | None = None
        enter: Callable[[], OwnTask] | None = None
        takes_context = True
        own: OwnTask | None = None
        try:
            for index, item in enumerate(items):
                if isinstance(item, DecodeError):
                    # Its key is unknown, so every event with a key waits for it.
                    if key_of is not None:
                        stopped.add(None)
                    add(retry_untaken(item, context, untaken))
                    continue
                earlier = first.setdefault(item.id, index)
                if earlier != index:
                    from portable_fn.adapter.admission import first_delivery

                    earlier = first_delivery(first, items, earlier, index, item)
                    if earlier != index:
                        add(outcomes[earlier])
                        continue
                key = None if key_of is None else key_of(item)
                if stopped and key is not None and (key in stopped or None in stopped):
                    add(late or Retry(EARLIER))
                    continue
                if deadline is not None:
                    now = monotonic()
                    if now - before > longest:
                        longest = now - before
                    before = now
                    if is_started and now + longest > deadline:
                        late = late or Retry(LATE)
                        stopped.add(key)
                        add(late)
                        continue
                if not is_started:
                    is_started = True
                    # The events of a batch have the same kind.
                    function = self._function_for(item)
                    if self._is_async:
                        enter = self._entering(function, context, untaken)
                    elif function is not None:
                        call = function.call
                        takes_context = function.takes_context or bool(function.use)
                        handler = function.handler if function.takes_event_alone else None
                if enter is not None:
                    if own is None:
                        own = enter()
                    variables = copy_context()
                    waited = variables.run(own.send, item)
                    if waited is own and own.error is None and own.is_untouched():
                        error, result = None, own.result
                    elif waited is own:
                        error, result = own.take()
                        own.left()
                        own = None
                    else:
                        own.leave()
                        waiting, own = own, None
                        error, result = await waiting.end(waited, variables)
                    outcome: Outcome = DONE
                    if result is not None or error is not None:
                        outcome = await self._outcome_of(error, result, item, function, context)
                else:
                    try:
                        if call is not None:
                            result = (
                                copy_context().run(call, item, context.of(item) if takes_context else context)
                                if handler is None
                                else copy_context().run(handler, item)
                            )
                            outcome = DONE if result is None else Done(require_plain_result(result, item))
                        else:
                            outcome = self._call_each(item, context, untaken)
                    except BaseException as exc:
                        outcome = self.failures.outcome(exc, item, function, context)
                if key is not None and isinstance(outcome, Retry):
                    stopped.add(key)
                add(outcome)
        finally:
            if own is not None:
                own.left()
        if late is not None:
            log_late(outcomes, late, longest, context)
        if untaken:
            log_untaken(untaken, len(items), context)
        return outcomes

    def calls(self, item: Event[Any], context: Context) -> list[Call]:
        """Return the functions to call for an event. An event that no function wants is acknowledged, and logged."""

        def log(reason: str) -> None:
            context.log.info("%s is done without a call: %s", printable_id(item), reason)

        return self.dispatcher.calls(item, log)

    def _call_each(self, item: Event[Any], context: Context, untaken: Untaken) -> Outcome:
        """Call every function for the event, even if one of them fails."""
        results: list[object] = []
        failures: list[Failure] = []
        try:
            calls = self.calls(item, context)
        except DecodeError as exc:
            return self.failures.untaken(exc, item, context, untaken)
        for function, events in calls:
            for event in () if function.takes_batch else events:
                try:
                    result = copy_context().run(function.call, event, context.of(event))
                    results.append(require_plain_result(result, event))
                except BaseException as exc:
                    failures.append((exc, function, event))
        return self.failures.outcome_of_several(item, results, failures, context)

    async def _call_each_async(self, item: Event[Any], context: Context, untaken: Untaken) -> Outcome:
        results: list[object] = []
        failures: list[Failure] = []
        try:
            calls = self.calls(item, context)
        except DecodeError as exc:
            return await self._off_loop(self.failures.untaken, exc, item, context, untaken)
        for function, events in calls:
            for event in () if function.takes_batch else events:
                try:
                    results.append(await _call(function, event, context))
                except BaseException as exc:
                    if is_not_ours(exc):
                        raise
                    failures.append((exc, function, event))
        decide = self.failures.outcome_of_several
        if any(may_reject(error) for error, _, _ in failures):
            return await self._off_loop(decide, item, results, failures, context)
        return decide(item, results, failures, context)

    async def _off_loop(self, decide: Callable[..., Outcome], *args: Any) -> Outcome:
        """Decide an outcome, in a thread if sending a dead letter would block the event loop."""
        if not self.failures.blocks:
            return decide(*args)
        from asyncio import to_thread

        return await to_thread(decide, *args)

    async def _concurrently(self, items: Sequence[Item], context: Context) -> list[Outcome]:
        """Return the outcomes of events, several of which are handled at once, but never two of one key."""
        import asyncio

        from portable_fn.adapter import stepping
        from portable_fn.adapter.admission import Admission

        admission = Admission(items, self.key, context)
        outcomes = admission.outcomes
        # The indices of each key's events; an event without a key has a lane for itself.
        lanes: dict[object, list[int]] = {}
        function: Binding | None = None
        for index, event, key in admission.admitted():
            function = function or self._function_for(event)
            lanes.setdefault((index,) if key is None else key, []).append(index)
        start = self._starting(function, context, admission.untaken)
        deadline = context._ends
        monotonic = context.clock.monotonic
        longest = MARGIN
        late: Retry | None = None
        is_started = False
        waiting = iter(lanes.values())

        async def work() -> None:
            nonlocal longest, late, is_started
            for lane in waiting:
                stopped: Retry | None = None
                for index in lane:
                    started = monotonic()
                    if stopped is None and is_started and deadline is not None and started + longest > deadline:
                        stopped = late = late or Retry(LATE)
                    if stopped is not None:
                        outcomes[index] = stopped
                        continue
                    is_started = True
                    item: Any = items[index]
                    error, result = await stepping.run(start, item, copy_context())
                    outcomes[index] = outcome = await self._outcome_of(error, result, item, function, context)
                    longest = max(longest, monotonic() - started)
                    if isinstance(outcome, Retry):
                        stopped = Retry(EARLIER)

        await asyncio.gather(*(work() for _ in range(min(self._concurrency, len(lanes)))))
        if late is not None:
            log_late(outcomes, late, longest, context)
        admission.log_untaken()
        return admission.finish()

    def _entering(self, function: Binding | None, context: Context, untaken: Untaken) -> Callable[[], OwnTask]:
        """Return a function that enters a task for the function's coroutines, one after the other."""
        from asyncio import get_running_loop

        from portable_fn.adapter.stepping import entered

        loop, start = get_running_loop(), self._starting(function, context, untaken)
        return lambda: entered(loop, start)

    def _starting(self, function: Binding | None, context: Context, untaken: Untaken) -> Callable[[Any], Any]:
        """Return a function that makes the coroutine for an event. Without a function, it calls all functions for the event."""
        if function is None:
            return lambda item: self._call_each_async(item, context, untaken)
        if function.takes_event_alone:
            return function.handler
        call = function.call
        if function.takes_context or function.use:
            return lambda item: call(item, context.of(item))
        return lambda item: call(item, context)

    async def _outcome_of(
        self, error: BaseException | None, result: Any, item: Event[Any], function: Binding | None, context: Context
    ) -> Outcome:
        """Return the outcome of an event whose coroutine raised the error, or returned the result."""
        if error is None:
            if function is None:
                outcome: Outcome = result
                return outcome
            if result is None:
                return DONE
            try:
                return Done(require_plain_result(result, item))
            except Exception as exc:
                error = exc
        if may_reject(error):
            return await self._off_loop(self.failures.outcome, error, item, function, context)
        return self.failures.outcome(error, item, function, context)


async def _call(function: Binding, event: Event[Any], context: Context) -> Any:
    """Return the function's result. A function that isn't async runs in a thread, if the platform has threads."""
    context = context.of(event)
    if function.is_async:
        result = function.call(event, context)
        return require_plain_result(await result if is_awaitable(result) else result, event)
    if not has_threads():
        return require_plain_result(function.call(event, context), event)
    from portable_fn.adapter.threads import run

    result = await run(function.call, event, context)
    return require_plain_result(result, event)


def _observed(observing: Observer, items: Sequence[Item], outcomes: Any) -> Any:
    """Return the outcomes, which the observer sees too."""
    if not is_awaitable(outcomes):
        observing.handled(items, outcomes)
        return outcomes

    async def later() -> list[Outcome]:
        handled: list[Outcome] = await outcomes
        observing.handled(items, handled)
        return handled

    return later()
