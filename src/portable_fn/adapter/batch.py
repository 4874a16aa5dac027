"""Many messages: order, concurrency, partial failure, duplicates and the deadline."""

from __future__ import annotations

import time
from _contextvars import copy_context

from portable_fn.adapter.calling import is_awaitable
from portable_fn.errors import DecodeError, EncodeError, is_error
from portable_fn.events import Batch, Event, Message, Task
from portable_fn.outcomes import DONE, Done, Reject, Retry, check, forget, let_go, meant

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Sequence
    from typing import Any, TypeVar

    from portable_fn.adapter.binding import Binding
    from portable_fn.adapter.dispatch import Call, Dispatcher
    from portable_fn.adapter.stepping import OwnTask
    from portable_fn.context import Context
    from portable_fn.events import Window
    from portable_fn.outcomes import Outcome

    T = TypeVar("T")
    # Why no function gets an event, and its id, "" if that can't be read.
    Ungiven = list[tuple[DecodeError, str]]
    # An event, or why it can't be read: that one alone is retried.
    Item = Event[Any] | DecodeError
    # The key within which events are in order; None for one that may overtake the others.
    Key = Callable[[Any], object]
    # Sends a rejected event to the dead letters that its function's trigger names, within so many seconds (None: as long as
    # the adapter likes), and says whether they have it: True, or Done if the source is to hear no more of it than that.
    DeadLetter = Callable[[Any, Reject, str, float | None], bool | Done]

# A message isn't begun where less than this is left, in seconds, or less than what the longest one took.
MARGIN = 0.1
_EARLIER = "an earlier event of its key comes again first"
_LATE = "the time ran short"


class Consumer:
    """How an adapter has events handled: by which functions, in which order, and what the provider can do with one.

    `key` gives the key within which events are in order: after the first of a key that is retried, the rest of that key comes
    again too. `dead_letter(event, reject, dead_letter, seconds)` sends a rejected event to where its trigger says, within that
    time; without it the provider takes rejections itself, if `rejects`. A rejected event that nobody takes is retried, and so
    is one for whose sending too little time is left: a send gets half of what is left. What `id` and `key` read
    must be known to be readable: an adapter gives a DecodeError in place of an event where it isn't.
    """

    def __init__(
        self,
        dispatcher: Dispatcher,
        *,
        key: Key | None = None,
        rejects: bool = False,
        dead_letter: DeadLetter | None = None,
    ) -> None:
        self.dispatcher = dispatcher
        self.key = key
        self.rejects = rejects
        self.dead_letter = dead_letter
        self._direct: dict[type, Binding | None] = {}
        functions = dispatcher.functions
        self._takes_batch = any(one.takes_batch for one in functions)
        self._is_async = any(one.is_async for one in functions)
        self._at_once = max((one.concurrency for one in functions), default=1)
        # Among several functions each gets only what is for it anyway.
        self._chooses = len(functions) == 1 and not all(trigger.wants_all for trigger in functions[0].triggers)
        # Sending blocks, which must not hold up the event loop.
        self._sends = (
            dead_letter is not None
            and _has_threads()
            and any(one.dead_letter for each in functions for one in each.triggers)
        )

    def handle(
        self, items: Sequence[Item], context: Context, *, window: Window | None = None, state: Any = None
    ) -> list[Outcome] | Awaitable[list[Outcome]]:
        """The outcome of each item, in their order; to be awaited where a function that they are for is async.

        Whatever a handler raises is an outcome, and logged. A batch handler gets the `window` and its `state`.
        """
        let_go()
        if self._takes_batch:
            functions = self.dispatcher.functions
            if len(functions) > 1:
                return self._together_and_alone(items, context, window, state)
            return _WholeBatch(self, functions[0], items, context, window, state).handle()
        return self._each(items, context)

    async def handle_in_loop(self, items: Sequence[Item], context: Context) -> list[Outcome]:
        """As `handle`, where nothing may block the event loop: functions that aren't async run in a thread."""
        # Beside async functions, one that isn't may block before there is anything to await.
        if all(function.is_async for function in self.dispatcher.functions):
            outcomes = self.handle(items, context)
        else:
            from portable_fn.adapter.threads import run

            outcomes = await run(self.handle, items, context)
        return outcomes if isinstance(outcomes, list) else await outcomes

    def _together_and_alone(
        self, items: Sequence[Item], context: Context, window: Window | None, state: Any
    ) -> list[Outcome] | Awaitable[list[Outcome]]:
        """Where some of several functions take batches: each of these gets what is for it, the others theirs one by one."""
        batches: dict[int, tuple[Binding, list[int]]] = {}
        alone: list[int] = []
        for index, item in enumerate(items):
            try:
                functions = [] if isinstance(item, DecodeError) else [call[0] for call in self.dispatcher.calls(item)]
            except DecodeError:
                functions = []
            for function in functions:
                if function.takes_batch:
                    batches.setdefault(id(function), (function, []))[1].append(index)
            if not functions or any(not function.takes_batch for function in functions):
                alone.append(index)
        parts: list[tuple[list[int], Any]] = []
        # Where there is order, nothing may overtake one that can't be read.
        unreadable = [] if self.key is None else [at for at in alone if isinstance(items[at], DecodeError)]
        for function, found in batches.values():
            indices = sorted((*found, *unreadable))
            mine = [items[index] for index in indices]
            parts.append((indices, _WholeBatch(self, function, mine, context, window, state).handle()))
        if alone:
            mine = [items[index] for index in alone]
            parts.append((alone, self._each(mine, context)))
        if any(is_awaitable(found) for _, found in parts):
            return _merged_later(len(items), parts)
        return _merged(len(items), parts)

    def _function_for(self, item: Item) -> Binding | None:
        """The function that gets all events such as this one as they are, where there is but that one."""
        kind = type(item)
        if kind not in self._direct:
            self._direct[kind] = self.dispatcher.direct(kind) if issubclass(kind, Event) else None
        return self._direct[kind]

    def _each(self, items: Sequence[Item], context: Context) -> list[Outcome] | Awaitable[list[Outcome]]:
        """The outcomes of events that are handled each by itself."""
        if not self._is_async:
            return finished(self._in_order(items, context))
        return self._side_by_side(items, context) if self._at_once > 1 else self._in_order(items, context)

    async def _in_order(self, items: Sequence[Item], context: Context) -> list[Outcome]:
        """The outcomes of events that are handled one after the other; without async functions it waits for nothing."""
        outcomes: list[Outcome] = []
        add = outcomes.append
        # Places rather than events, so that those which an adapter makes one by one needn't be kept.
        seen: dict[object, int] = {}
        stopped: set[object] = set()
        late: Retry | None = None
        key = self.key
        deadline = context._ends
        clock = time.monotonic
        before = clock() if deadline is not None else 0.0
        longest = MARGIN
        # The first one is begun however little time seems to be left: a clock may be wrong, and nothing would ever be handled.
        begun = False
        ungiven: Ungiven = []
        function: Binding | None = None
        call: Callable[[Any, Context], Any] | None = None
        alone: Callable[[Any], Any] | None = None
        enter: Callable[[], OwnTask] | None = None
        takes_context = True
        own: OwnTask | None = None
        try:
            for index, item in enumerate(items):
                if isinstance(item, DecodeError):
                    # Which key it has can't be known, so whatever has one stops.
                    if key is not None:
                        stopped.add(None)
                    add(_not_given_to_any(item, context, ungiven))
                    continue
                known = seen.setdefault(item.id, index)
                if known != index and (known := _first_delivery(seen, items, known, index, item)) != index:
                    add(outcomes[known])
                    continue
                mine = None if key is None else key(item)
                if stopped and mine is not None and (mine in stopped or None in stopped):
                    add(late or Retry(_EARLIER))
                    continue
                if deadline is not None:
                    now = clock()
                    if now - before > longest:
                        longest = now - before
                    before = now
                    if begun and now + longest > deadline:
                        late = late or Retry(_LATE)
                        stopped.add(mine)
                        add(late)
                        continue
                if not begun:
                    begun = True
                    # Events of one batch are all of one kind.
                    function = self._function_for(item)
                    if self._is_async:
                        enter = self._entering(function, context, ungiven)
                    elif function is not None:
                        call = function.call
                        takes_context = function.takes_context or bool(function.use)
                        alone = function.handler if function.takes_event_alone else None
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
                                if alone is None
                                else copy_context().run(alone, item)
                            )
                            outcome = DONE if result is None else Done(_returned(result, item))
                        else:
                            outcome = self._call_each(item, context, ungiven)
                    except BaseException as exc:
                        outcome = self._outcome(exc, item, function, context)
                if mine is not None and isinstance(outcome, Retry):
                    stopped.add(mine)
                add(outcome)
        finally:
            if own is not None:
                own.left()
        if late is not None:
            _log_late(outcomes, late, longest, context)
        if ungiven:
            _log_not_given(ungiven, len(items), context)
        return outcomes

    def _calls(self, item: Event[Any], context: Context) -> list[Call]:
        """The calls that an event is for; an event that no function wants is done, and logged."""
        calls = self.dispatcher.calls(item)
        if not calls:
            context.log.info("%s is done without a call: %s", _shown(item), self.dispatcher.unwanted(item))
        return calls

    def _call_each(self, item: Event[Any], context: Context, ungiven: Ungiven) -> Outcome:
        """Calls the functions that the event is for, for all that they get of it, even where one of them fails."""
        results: list[object] = []
        failures: list[tuple[BaseException, Binding, Event[Any]]] = []
        try:
            calls = self._calls(item, context)
        except DecodeError as exc:
            return self._not_given(exc, item, context, ungiven)
        for function, events in calls:
            for event in () if function.takes_batch else events:
                try:
                    result = copy_context().run(function.call, event, context.of(event))
                    results.append(_returned(result, event))
                except BaseException as exc:
                    failures.append((exc, function, event))
        return self._of_all(item, results, failures, context)

    async def _call_each_async(self, item: Event[Any], context: Context, ungiven: Ungiven) -> Outcome:
        results: list[object] = []
        failures: list[tuple[BaseException, Binding, Event[Any]]] = []
        try:
            calls = self._calls(item, context)
        except DecodeError as exc:
            if self._sends:
                from asyncio import to_thread

                return await to_thread(self._not_given, exc, item, context, ungiven)
            return self._not_given(exc, item, context, ungiven)
        for function, events in calls:
            for event in () if function.takes_batch else events:
                try:
                    results.append(await _called(function, event, context))
                except BaseException as exc:
                    if _is_not_ours(exc):
                        raise
                    failures.append((exc, function, event))
        if self._sends and any(_may_reject(exc) for exc, _, _ in failures):
            from asyncio import to_thread

            return await to_thread(self._of_all, item, results, failures, context)
        return self._of_all(item, results, failures, context)

    def _of_all(
        self,
        item: Event[Any],
        results: list[object],
        failures: list[tuple[BaseException, Binding, Event[Any]]],
        context: Context,
    ) -> Outcome:
        """One outcome for several calls: retried where one is to be, else rejected where one was."""
        # What is rejected beside a retry is rejected again when the event is redelivered: sent now, it would be sent twice.
        retries = [failure for failure in failures if not self._is_rejected(*failure)]
        if len(retries) > 1 and context.raises_errors:
            # Only one of them can be raised.
            context = context.of(item)
            context.raises_errors = False
        outcomes = [
            self._outcome(exc, _letter_of(event), function, context) for exc, function, event in retries or failures
        ]
        if outcomes:
            return min(outcomes, key=_weight)
        return Done(results[0]) if len(results) == 1 and results[0] is not None else DONE

    async def _side_by_side(self, items: Sequence[Item], context: Context) -> list[Outcome]:
        """The outcomes of events several of which are handled at once, one at a time of each key."""
        import asyncio

        from portable_fn.adapter import stepping

        outcomes: list[Outcome | None] = [None] * len(items)
        first: dict[object, int] = {}
        again: dict[int, int] = {}
        # Events without a key have a lane each.
        lanes: dict[object, list[int]] = {}
        unreadable = False
        ungiven: Ungiven = []
        function: Binding | None = None
        for index, item in enumerate(items):
            if isinstance(item, DecodeError):
                outcomes[index] = _not_given_to_any(item, context, ungiven)
                unreadable = unreadable or self.key is not None
            elif (known := _first_of(first, items, index, item)) != index:
                again[index] = known
            else:
                mine = None if self.key is None else self.key(item)
                if unreadable and mine is not None:
                    outcomes[index] = Retry("an earlier event, which can't be read, comes again first")
                else:
                    function = function or self._function_for(item)
                    lanes.setdefault((index,) if mine is None else mine, []).append(index)
        begin = self._beginning(function, context, ungiven)
        deadline = context._ends
        longest = MARGIN
        late: Retry | None = None
        begun = False
        rest = iter(lanes.values())

        async def work() -> None:
            nonlocal longest, late, begun
            for lane in rest:
                stopped: Retry | None = None
                for index in lane:
                    began = time.monotonic()
                    if stopped is None and begun and deadline is not None and began + longest > deadline:
                        stopped = late = late or Retry(_LATE)
                    if stopped is not None:
                        outcomes[index] = stopped
                        continue
                    begun = True
                    item: Any = items[index]
                    error, result = await stepping.run(begin, item, copy_context())
                    outcomes[index] = outcome = await self._outcome_of(error, result, item, function, context)
                    longest = max(longest, time.monotonic() - began)
                    if isinstance(outcome, Retry):
                        stopped = Retry(_EARLIER)

        await asyncio.gather(*(work() for _ in range(min(self._at_once, len(lanes)))))
        for index, known in again.items():
            outcomes[index] = outcomes[known]
        if late is not None:
            _log_late(outcomes, late, longest, context)
        if ungiven:
            _log_not_given(ungiven, len(items), context)
        return outcomes  # type: ignore[return-value]  # each has one now

    def _entering(self, function: Binding | None, context: Context, ungiven: Ungiven) -> Callable[[], OwnTask]:
        """What enters a task for the function's coroutines, one after the other."""
        from asyncio import get_running_loop

        from portable_fn.adapter.stepping import entered

        loop, begin = get_running_loop(), self._beginning(function, context, ungiven)
        return lambda: entered(loop, begin)

    def _beginning(self, function: Binding | None, context: Context, ungiven: Ungiven) -> Callable[[Any], Any]:
        """What makes the coroutine for an event: its function's, or one that calls the several that the event may be for."""
        if function is None:
            return lambda item: self._call_each_async(item, context, ungiven)
        if function.takes_event_alone:
            return function.handler
        call = function.call
        if function.takes_context or function.use:
            return lambda item: call(item, context.of(item))
        return lambda item: call(item, context)

    async def _outcome_of(
        self, error: BaseException | None, result: Any, item: Event[Any], function: Binding | None, context: Context
    ) -> Outcome:
        """The outcome of an event whose coroutine has ended with the error, or with the result."""
        if error is None:
            if function is None:
                outcome: Outcome = result
                return outcome
            if result is None:
                return DONE
            try:
                return Done(_returned(result, item))
            except Exception as exc:
                error = exc
        if self._sends and _may_reject(error):
            from asyncio import to_thread

            return await to_thread(self._outcome, error, item, function, context)
        return self._outcome(error, item, function, context)

    def _outcome(self, error: BaseException, event: Event[Any], function: Binding | None, context: Context) -> Outcome:
        """What becomes of an event whose handler has raised."""
        name = "a function" if function is None else function.name
        try:
            outcome = self._raised(error, event, function)
        except ValueError as exc:
            exc.__cause__ = error
            error, outcome = exc, None
        if outcome is None:
            return _failed(error, context, f"{name} failed for {_shown(event)}")
        if isinstance(event, Task):
            # Its caller may see it with its traceback.
            outcome.traceback = outcome.__traceback__
        forget(error)
        if isinstance(outcome, Reject):
            return self._rejected(outcome, event, function, context)
        context.log.warning("%s retries %s: %s", name, _shown(event), outcome.why or "no reason given")
        return outcome

    def _raised(self, error: BaseException, event: Event[Any], function: Binding | None) -> Retry | Reject | None:
        """The outcome that a handler raised, None for any other error; ValueError for an outcome that is malformed.

        Data that can't be read is rejected, since no redelivery mends it, if somebody takes what is rejected.
        """
        meaning = meant(error)
        if isinstance(meaning, (Retry, Reject)):
            check(meaning)
            return meaning
        if isinstance(meaning, DecodeError) and meaning.event is not None and not isinstance(event, Task):
            takes = self.dead_letter is not None and self._dead_letter(function, event) is not None
            if takes or self.rejects:
                reject = Reject(str(meaning))
                reject.error = meaning
                return reject
        return None

    def _is_rejected(self, error: BaseException, function: Binding, event: Event[Any]) -> bool:
        try:
            return isinstance(self._raised(error, event, function), Reject)
        except ValueError:
            return False

    def _not_given(self, error: DecodeError, item: Event[Any], context: Context, ungiven: Ungiven) -> Outcome:
        """The outcome of an event that no function gets: retried, or rejected if its own data can't be read."""
        try:
            item.read_data()
        except DecodeError as exc:
            error = exc
        if self._raised(error, item, None) is None:
            return _not_given_to_any(error, context, ungiven, item)
        return self._outcome(error, _letter_of(item), None, context)

    def _dead_letter(self, function: Binding | None, event: Event[Any]) -> str | None:
        """Where the function's trigger says that a rejected event goes; without a function, where all say that name a place."""
        if function is not None:
            return _dead_letter(function, event)
        named = {one.dead_letter for each in self.dispatcher.functions for one in each.triggers if one.dead_letter}
        return named.pop() if len(named) == 1 else None

    def _rejected(self, reject: Reject, event: Event[Any], function: Binding | None, context: Context) -> Outcome:
        name = "a function" if function is None else function.name
        dead_letter = self._dead_letter(function, event)
        why = reject.why or "no reason given"
        if self.rejects:
            context.log.error("%s rejects %s: %s", name, _shown(event), why)
            return reject
        if dead_letter is not None and self.dead_letter is not None:
            context.log.error("%s rejects %s: %s", name, _shown(event), why)
            remaining = context.remaining()
            # The answer must still be on time, and others may be rejected too.
            seconds = None if remaining is None else remaining / 2
            if seconds is not None and seconds < MARGIN:
                context.log.warning("%s is retried, since no time is left to send it to %s", _shown(event), dead_letter)
            else:
                try:
                    if sent := self.dead_letter(event, reject, dead_letter, seconds):
                        return reject if sent is True else sent
                except Exception as exc:
                    context.log.error(
                        "%s can't be sent to the dead letters %s", _shown(event), dead_letter, exc_info=exc
                    )
                context.log.warning("%s is retried, since nothing takes rejected events here", _shown(event))
        else:
            named = "" if dead_letter is not None else ", and its trigger names no dead_letter="
            context.log.error(
                "%s rejects %s: %s; it is retried, since nothing takes rejected events here%s",
                name, _shown(event), why, named,
            )  # fmt: skip
        retry = Retry(f"rejected: {reject.why}")
        retry.error = reject
        return retry


def _dead_letter(function: Binding, event: Event[Any]) -> str | None:
    """Where the function's trigger for the event says that a rejected one goes."""
    triggers = function.triggers
    if len(triggers) > 1:
        try:
            triggers = tuple(one for one in triggers if one.is_via(event) or one.names(event)) or triggers
        except DecodeError:
            pass  # its place can't be read, so any will do
    return next((one.dead_letter for one in triggers if one.dead_letter), None)


def _letter_of(event: Event[Any]) -> Event[Any]:
    """Return the event to dead-letter: the message that carried the rejected event, or the event itself.

    The message can be sent back unchanged.
    """
    return next((one for one in (event, *reversed(event.envelopes)) if isinstance(one, Message)), event)


class _WholeBatch:
    """A batch on its way to a handler that takes it whole."""

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
        self._function = function
        self._items = items
        self._context = context
        self._state = state
        self._window = window
        self._outcomes: list[Outcome | None] = [None] * len(items)
        self._events: list[tuple[int, Event[Any]]] = []
        self._again: dict[int, int] = {}
        self._batch: Batch[Any] = Batch(())

    def handle(self) -> list[Outcome] | Awaitable[list[Outcome]]:
        """The outcomes of the items; to be awaited if the function is async."""
        return self._handle() if self._function.is_async else finished(self._handle())

    async def _handle(self) -> list[Outcome]:
        await self._off_loop(self._prepare)
        error: BaseException | None = None
        while self._events or self._window is not None:
            began = time.monotonic()
            error = await self._call()
            unreadable = self._unreadable(error)
            if unreadable is None:
                break
            # The others are handled without it. The handler may have handled some of them already, as before any redelivery.
            await self._off_loop(self._reject, unreadable, error)
            remaining = self._context.remaining()
            error = None if remaining is None or remaining > time.monotonic() - began else Retry(_LATE)
            if error is not None:
                break
        outcomes: list[Outcome] = await self._off_loop(self._settled, error)
        return outcomes

    async def _off_loop(self, work: Callable[..., Any], *args: Any) -> Any:
        """Does what may send dead letters: in a thread, if that would hold up an event loop."""
        if not (self._function.is_async and self._consumer._sends):
            return work(*args)
        from asyncio import to_thread

        return await to_thread(work, *args)

    def _prepare(self) -> None:
        """Makes the batch: what can't be read, isn't wanted, isn't valid or is a duplicate isn't in it."""
        consumer, function, context = self._consumer, self._function, self._context
        first: dict[object, int] = {}
        stopped: set[object] = set()
        ungiven: Ungiven = []
        key = consumer.key
        for index, item in enumerate(self._items):
            if isinstance(item, DecodeError):
                self._outcomes[index] = _not_given_to_any(item, context, ungiven)
                if key is not None:
                    stopped.add(None)
                continue
            if (known := _first_of(first, self._items, index, item)) != index:
                self._again[index] = known
                continue
            mine = None if key is None else key(item)
            if stopped and mine is not None and (mine in stopped or None in stopped):
                self._outcomes[index] = Retry(_EARLIER)
                continue
            event: Event[Any] = item
            outcome: Outcome | None = None
            try:
                event = consumer.dispatcher.only(function.kind, item)
                if consumer._chooses and not consumer._calls(item, context):
                    outcome = DONE
            except DecodeError as exc:
                outcome = consumer._not_given(exc, item, context, ungiven)
            else:
                try:
                    function.bind_data(event)
                except BaseException as exc:
                    outcome = consumer._outcome(exc, _letter_of(event), function, context)
            if outcome is None:
                self._events.append((index, event))
                continue
            self._outcomes[index] = outcome
            if mine is not None and isinstance(outcome, Retry):
                stopped.add(mine)
        if ungiven:
            _log_not_given(ungiven, len(self._items), context)

    async def _call(self) -> BaseException | None:
        """Calls the handler; what it raised, None if it returned."""
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
            _returned(result, self._batch)
        except Exception as exc:
            error = exc
        return error

    def _unreadable(self, error: BaseException | None) -> int | None:
        """The place among the events of the one whose data the handler failed to read, if somebody takes it as rejected."""
        # What the handler did to the state of a window can't be undone.
        if error is None or self._window is not None:
            return None
        meaning = meant(error)
        if not isinstance(meaning, DecodeError):
            return None
        for place, (_, event) in enumerate(self._events):
            if meaning.event is event and isinstance(self._consumer._raised(error, event, self._function), Reject):
                return place
        return None

    def _reject(self, place: int, error: BaseException) -> None:
        index, event = self._events.pop(place)
        outcome = self._consumer._outcome(error, _letter_of(event), self._function, self._context)
        self._outcomes[index] = outcome
        if isinstance(outcome, Retry) and (mine := self._key(index)) is not None:
            # What follows in its order is redelivered with it.
            for later in [one for one in self._events if one[0] > index and self._key(one[0]) == mine]:
                self._events.remove(later)
                self._outcomes[later[0]] = Retry(_EARLIER)

    def _key(self, index: int) -> object:
        key = self._consumer.key
        return None if key is None else key(self._items[index])

    def _settled(self, error: BaseException | None) -> list[Outcome]:
        """The outcomes after the handler: what it settled, and the rest done, or failed with its error."""
        consumer, context, outcomes = self._consumer, self._context, self._outcomes
        if self._state is not None and self._batch.state is not self._state:
            # The handler may as well have given the batch another one.
            kept = dict(self._batch.state)
            self._state.clear()
            self._state.update(kept)
        rest: Outcome = DONE
        if error is not None:
            rest = self._rest(error)
        stopped: set[object] = set()
        for index, event in self._events:
            outcome = self._batch.outcomes.get(id(event)) or rest
            mine = self._key(index)
            if mine is not None and mine in stopped and not isinstance(outcome, Retry):
                outcome = Retry(_EARLIER)
            elif isinstance(outcome, Reject):
                letter = _letter_of(event)
                outcome = consumer._rejected(outcome, letter, self._function, context)
            if mine is not None and isinstance(outcome, Retry):
                stopped.add(mine)
            outcomes[index] = outcome
        for index, known in self._again.items():
            outcomes[index] = outcomes[known]
        return outcomes  # type: ignore[return-value]  # each has one now

    def _rest(self, error: BaseException) -> Outcome:
        """What becomes of the events that the handler hasn't settled when it raised."""
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
        return _failed(error, self._context, f"{name} failed for a batch of {len(self._events)}")


def _first_of(first: dict[object, int], items: Sequence[Item], index: int, event: Event[Any]) -> int:
    """The place of the first delivery of the event; its own place if it hasn't been in the batch before."""
    known = first.setdefault(event.id, index)
    return known if known == index else _first_delivery(first, items, known, index, event)


def _first_delivery(first: dict[object, int], items: Sequence[Item], known: int, index: int, event: Event[Any]) -> int:
    """As `_first_of`, for an event with the id of the one at `known`: a sender may have given two events one id."""
    if known >= 0:
        first[_identity(items[known])] = known
        first[event.id] = -1
    return first.setdefault(_identity(event), index)


def _identity(event: Any) -> object:
    """What only deliveries of one event have in common; what no other event has, if this one can't be read."""
    try:
        identity = event.id, event.source, event.fingerprint
        hash(identity)
    except (DecodeError, TypeError):
        return object()
    return identity


def _log_late(outcomes: Sequence[Outcome | None], late: Retry, longest: float, context: Context) -> None:
    """Log how many events are returned unhandled since the time ran short, and how short it is."""
    context.log.warning(
        "%d of %d events are returned unhandled, to be retried: %.3f s are left of the invocation's time, the next event may take %.3f s",
        sum(outcome is late for outcome in outcomes), len(outcomes), context.remaining(), longest,
    )  # fmt: skip


def _weight(outcome: Outcome) -> int:
    """An event is retried where one function says so, else rejected where one does."""
    return 0 if isinstance(outcome, Retry) else 1 if isinstance(outcome, Reject) else 2


def _merged(count: int, parts: list[tuple[list[int], list[Outcome]]]) -> list[Outcome]:
    """The outcome of each event, of those that several functions came to."""
    outcomes: list[Outcome] = [DONE] * count
    for indices, found in parts:
        for index, outcome in zip(indices, found, strict=True):
            outcomes[index] = min(outcomes[index], outcome, key=_weight)
    return outcomes


async def _merged_later(count: int, parts: list[tuple[list[int], Any]]) -> list[Outcome]:
    return _merged(count, [(indices, await found if is_awaitable(found) else found) for indices, found in parts])


async def _called(function: Binding, event: Event[Any], context: Context) -> Any:
    """What the function returns; one that isn't async runs in a thread where the platform has threads."""
    mine = context.of(event)
    if function.is_async:
        result = function.call(event, mine)
        return _returned(await result if is_awaitable(result) else result, event)
    if not _has_threads():
        return _returned(function.call(event, mine), event)
    from portable_fn.adapter.threads import run

    result = await run(function.call, event, mine)
    return _returned(result, event)


def _returned(result: Any, event: Event[Any] | Batch[Any]) -> Any:
    """The result of a function; EncodeError if it says by its result what it must raise, or returns work that nobody runs."""
    if result is None:
        return None
    if is_awaitable(result) or hasattr(type(result), "gi_frame") or hasattr(type(result), "ag_frame"):
        if hasattr(type(result), "close"):
            result.close()
        raise EncodeError(
            f"the function returned a {type(result).__name__} that nobody runs: a handler that awaits is an async def, one that "
            "yields can't be; a decorator below @portable takes functools.wraps, middleware returns or awaits call_next"
        )
    if isinstance(result, (list, tuple)):
        error = next((one for one in result if is_error(one)), None)
    else:
        error = result if is_error(result) else None
    if error is not None:
        name = (error if isinstance(error, type) else type(error)).__name__
        raise EncodeError(f"the function returned {name}, which means nothing: raise {name}") from (
            error if isinstance(error, BaseException) else None
        )
    # What a task returns is its caller's to read.
    if not isinstance(event, Task) and (report := _report_of_failure(result)):
        raise EncodeError(
            f"the function returned {report}, a provider's own report of failure, which means nothing here: raise Retry or Reject, "
            "or call batch.retry(message) or batch.reject(message)"
        )
    return result


def _report_of_failure(result: Any) -> str:
    """What in a result says to Lambda, to Dapr or to HTTP that an event has failed; "" if nothing does."""
    if isinstance(result, dict):
        if result.get("batchItemFailures"):
            return "batchItemFailures"
        if result.keys() == {"status"} and result["status"] in ("RETRY", "DROP"):
            return f"the status {result['status']}"
        if result.keys() == {"statuses"}:
            return "statuses"
        return ""
    from portable_fn.http import Response

    return f"a Response {result.status}" if isinstance(result, Response) and result.status >= 400 else ""


def _has_threads() -> bool:
    import sys

    return sys.platform != "emscripten"


def _shown(event: Event[Any]) -> str:
    """The event's id as a log has it, where whoever sent it must not begin a line of his own."""
    id: Any = event.id
    return id if id.isprintable() and len(id) <= 256 else ascii(id[:256])


def _not_given_to_any(error: DecodeError, context: Context, ungiven: Ungiven, event: Event[Any] | None = None) -> Retry:
    """The retry of an event that no function gets, or of one that can't be read; one line of the log is for all of a batch."""
    ungiven.append((error, "" if event is None else _shown(event)))
    retry = Retry(type(error).__name__)
    retry.error = error
    retry.traceback = error.__traceback__ if context.raises_errors else None
    return retry


def _log_not_given(ungiven: Ungiven, count: int, context: Context) -> None:
    error, id = ungiven[0]
    if len(ungiven) > 1:
        what = f"{len(ungiven)} of {count} events are for no function, or can't be read, and are retried; the first"
        what += f", {id}" if id else ""
    elif id:
        what = f"{id} is for no function, and is retried"
    else:
        what = "an event can't be read, and is retried"
    _log(error, what, context)


def _may_reject(error: BaseException) -> bool:
    """Whether what was raised may be rejected, which is sent over the network."""
    return isinstance(meant(error), (Reject, DecodeError))


def _failed(error: BaseException, context: Context, what: str) -> Retry:
    """The retry for an error, which is logged; then it keeps no frames, since it may have been made once and raised often."""
    # Of a group of HTTPErrors a task's caller sees the one that is meant.
    meaning = meant(error)
    retry = Retry(type(error).__name__)
    retry.error = meaning
    if not _log(error, what, context):
        retry.traceback = meaning.__traceback__
    error.__traceback__ = meaning.__traceback__ = None
    return retry


def _log(error: BaseException, what: str, context: Context) -> bool:
    """Logs the error, and says whether with its traceback: whoever it is raised to logs that."""
    # Those that stop an iteration can't be raised everywhere.
    is_raised = isinstance(error, Exception) and not isinstance(error, (StopIteration, StopAsyncIteration))
    if context.raises_errors and is_raised:
        context.log.error("%s: %s", what, _words(error))
        return False
    context.log.error("%s", what, exc_info=error)
    return True


def _words(error: BaseException) -> str:
    """The error as the last line of a traceback has it."""
    try:
        message = str(error)
    except Exception:
        message = "<exception str() failed>"
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def finished(work: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that waits for nothing."""
    try:
        work.send(None)
    except StopIteration as exc:
        result: T = exc.value
        return result
    raise RuntimeError("a function that isn't async waits for something")


def _is_not_ours(error: BaseException) -> bool:
    from portable_fn.adapter.calling import is_not_ours

    return is_not_ours(error)
