"""Wrap portable functions to report each call, or to report only the event that they would get."""

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

# A call in JSON: the function, the kind of event, and each event's id and outcome.
Call = dict[str, Any]

# How deeply calls of `deliver` are nested, because a handler may call it; 0 if a provider invokes the function.
deliveries: ContextVar[int] = ContextVar("deliveries", default=0)


def with_call(function: Binding, call: Callable[[Any, Context], Any]) -> Any:
    """Return a portable function like this one that calls `call` instead."""
    replaced = copy(function)
    replaced.call = call
    replaced.takes_event_alone = False

    def stand_in() -> None: ...

    stand_in.__name__ = stand_in.__qualname__ = function.name
    stand_in.__portable__ = replaced  # type: ignore[attr-defined]  # how an entry recognises a portable function
    replaced.function = stand_in
    return stand_in


def unregistered(handler: Callable[..., Any], *triggers: Trigger) -> Any:
    """Make the handler portable without registering it with functions-framework, as @portable does."""
    function = Binding(handler, triggers)
    return with_call(function, function.call)


def probes(functions: Iterable[Binding], seen: Callable[[Binding, Any], None]) -> list[Any]:
    """Return functions that do nothing but pass themselves and their event to `seen`."""
    return [_probe(function, seen) for function in functions]


def _probe(function: Binding, seen: Callable[[Binding, Any], None]) -> Any:
    if function.is_async:

        async def later(event: Any, context: Context) -> None:
            seen(function, event)

        return with_call(function, later)

    def call(event: Any, context: Context) -> None:
        seen(function, event)

    return with_call(function, call)


def reporting(functions: Iterable[Binding], report: Callable[[Call], None]) -> list[Any]:
    """Return functions that do the same and report the outcome of each call."""
    return [_reporting(function, report) for function in functions]


def _reporting(function: Binding, report: Callable[[Call], None]) -> Any:
    def call(event: Any, context: Context) -> Any:
        try:
            result = function.call(event, context)
        except BaseException as exc:
            report(_call(function, event, exc))
            raise
        if is_awaitable(result):
            return later(event, result)
        report(_call(function, event, None))
        return result

    async def later(event: Any, result: Any) -> Any:
        try:
            value = await result
        except BaseException as exc:
            report(_call(function, event, exc))
            raise
        report(_call(function, event, None))
        return value

    return with_call(function, call)


def _call(function: Binding, event: Any, error: BaseException | None) -> Call:
    events = (
        [_outcome(member, event.outcomes.get(id(member), error)) for member in event]
        if isinstance(event, Batch)
        else [_outcome(event, error)]
    )
    return {"function": function.name, "kind": function.kind.__name__, "events": events}


def _outcome(event: Any, outcome: Any) -> dict[str, Any]:
    value: dict[str, Any] = {"id": event.id, "outcome": "done"}
    if isinstance(outcome, Retry):
        value["outcome"] = "retry"
        if outcome.after is not None:
            value["after"] = outcome.after
    elif isinstance(outcome, Reject):
        value["outcome"] = "reject"
    elif isinstance(outcome, BaseException):
        value.update(outcome="error", error=type(outcome).__name__)
    return value
