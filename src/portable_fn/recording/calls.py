"""Portable functions that tell of each call, or that are only asked what they would be called with."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextvars import ContextVar
from copy import copy
from typing import Any

from portable_fn.adapter.binding import Binding
from portable_fn.adapter.calling import is_awaitable
from portable_fn.context import Context
from portable_fn.events import Batch
from portable_fn.on import Trigger
from portable_fn.outcomes import Reject, Retry

# A call as JSON has it: the function, the kind of event, and each event's id and outcome.
Call = dict[str, Any]

# How many calls of `deliver` are under way around this one; 0 if a provider calls. A handler may deliver to another one.
deliveries: ContextVar[int] = ContextVar("deliveries", default=0)


def with_call(function: Binding, call: Callable[[Any, Context], Any]) -> Any:
    """A portable function like that one, of which a call does something else."""
    made = copy(function)
    made.call = call
    made.takes_event_alone = False

    def stand_in() -> None: ...

    stand_in.__name__ = stand_in.__qualname__ = function.name
    stand_in.__portable__ = made  # type: ignore[attr-defined]  # how an entry knows a portable function
    made.function = stand_in
    return stand_in


def unregistered(handler: Callable[..., Any], *triggers: Trigger) -> Any:
    """A portable function of the handler that no framework hears of, as functions-framework does of what @portable makes."""
    function = Binding(handler, triggers)
    return with_call(function, function.call)


def probes(functions: Iterable[Binding], seen: Callable[[Binding, Any], None]) -> list[Any]:
    """Functions like those, which do nothing but tell what they would be called with."""
    return [_silent(function, seen) for function in functions]


def _silent(function: Binding, seen: Callable[[Binding, Any], None]) -> Any:
    if function.is_async:

        async def later(event: Any, context: Context) -> None:
            seen(function, event)

        return with_call(function, later)

    def call(event: Any, context: Context) -> None:
        seen(function, event)

    return with_call(function, call)


def reporting(functions: Iterable[Binding], tell: Callable[[Call], None]) -> list[Any]:
    """Functions like those, which do the same and tell of each call how it ended."""
    return [_telling(function, tell) for function in functions]


def _telling(function: Binding, tell: Callable[[Call], None]) -> Any:
    def call(event: Any, context: Context) -> Any:
        try:
            result = function.call(event, context)
        except BaseException as exc:
            tell(_told(function, event, exc))
            raise
        if is_awaitable(result):
            return later(event, result)
        tell(_told(function, event, None))
        return result

    async def later(event: Any, result: Any) -> Any:
        try:
            value = await result
        except BaseException as exc:
            tell(_told(function, event, exc))
            raise
        tell(_told(function, event, None))
        return value

    return with_call(function, call)


def _told(function: Binding, event: Any, error: BaseException | None) -> Call:
    each = (
        [_outcome(one, event.outcomes.get(id(one), error)) for one in event]
        if isinstance(event, Batch)
        else [_outcome(event, error)]
    )
    return {"function": function.name, "kind": function.kind.__name__, "events": each}


def _outcome(event: Any, ended: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"id": event.id, "outcome": "done"}
    if isinstance(ended, Retry):
        found["outcome"] = "retry"
        if ended.after is not None:
            found["after"] = ended.after
    elif isinstance(ended, Reject):
        found["outcome"] = "reject"
    elif isinstance(ended, BaseException):
        found.update(outcome="error", error=type(ended).__name__)
    return found
