"""Choose the service that carries an event to a function."""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy

from portable_fn.events import CloudEvent, Event, Message, ScheduleEvent, Task
from portable_fn.http import Request
from portable_fn.providers import ADAPTERS, adapter, nearest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from portable_fn.adapter.calling import Middleware
    from portable_fn.on import Trigger
    from portable_fn.testing.results import Exchange


def exchange(
    targets: tuple[object, ...],
    event: Request[Any],
    to: str,
    via: str | None = None,
    *,
    use: Sequence[Middleware] = (),
    root_path: str = "",
) -> Exchange:
    """The event on its way through the provider's real shapes; ValueError for a service that the provider doesn't have.

    `use` and `root_path` are what the provider's `entry` is told.
    """
    simulate = adapter(to, "simulate")
    via = _service_name(via)
    if via is not None and via not in simulate.SERVICES:
        raise ValueError(
            f"{to} has no {via!r}{nearest(via, simulate.SERVICES)}; possible are {', '.join(simulate.SERVICES)}"
        )
    from portable_fn.testing.settings import stood_in

    with stood_in(*targets):
        # An adapter whose entry has no such options need not take them.
        options = {name: value for name, value in (("use", use), ("root_path", root_path)) if value}
        made: Exchange = simulate.exchange(targets, event, via or simulate.SERVICES[0], **options)
    return made


def service_for(simulate: Any, to: str, event: Event[Any], via: str | None, handler: object = None) -> str:
    """The provider's service that hands over the event; ValueError where it has none, or none of that name.

    Where none is named, it is the one that the adapter's `entry` takes for the handler's trigger, if that makes a difference.
    """
    kind = event.kind_name
    possible: tuple[str, ...] = simulate.EVENT_SERVICES.get(kind, ())
    if not possible:
        raise ValueError(f"{to} hands over no {kind}")
    if via is not None and via not in possible:
        raise ValueError(
            f"{to} hands over no {kind} by {via!r}{nearest(via, possible)}; possible are {', '.join(possible)}"
        )
    if via is None and handler is not None and hasattr(simulate, "default_service"):
        trigger = _trigger_for(event, handler)
        via = None if trigger is None else simulate.default_service(trigger, event)
    return via if via in possible else possible[0]


def _trigger_for(event: Event[Any], handler: object) -> Trigger | None:
    """The first trigger by which the handler gets such an event, of those that name where it is from, if there are any."""
    return next(iter(_triggers_for(event, handler)), None)


def _triggers_for(event: Event[Any], handler: object) -> list[Trigger]:
    """The triggers by which the handler gets such an event: those that name where it is from, if there are any, else all."""
    from portable_fn.adapter.binding import bindings

    triggers = [
        trigger
        for function in bindings(handler)
        if isinstance(event, function.kind)
        for trigger in function.triggers
        if trigger.word != "http"
    ]
    return [trigger for trigger in triggers if trigger.names(event)] or triggers


def _reaches_one(event: Event[Any], handler: object) -> None:
    """Raises TypeError for an event of a kind that reaches none of the functions, whatever provider hands it over how."""
    from portable_fn.adapter.binding import bindings

    functions = bindings(handler)
    if not any(_may_reach(event, function.kind) for function in functions):
        those = ", ".join(f"{function.name} (a {function.kind.__name__})" for function in functions)
        raise TypeError(
            f"{event.kind_name} {event.id!r} is of a kind that is for none of the functions; there are {those}"
        )


def _may_reach(event: Event[Any], kind: type[Event[Any]]) -> bool:
    """Whether a function for the kind may get the event: as it is, with what it comes in, or what is inside of it."""
    if isinstance(event, kind):
        return True
    if isinstance(event, (Request, Task)) or kind is Request:
        return False
    # A schedule's own input is a task's.
    held = (Message, CloudEvent)
    return isinstance(event, ScheduleEvent) if kind is Task else isinstance(event, held) or kind in held


def _called_by_name(task: Task[Any], handler: object) -> Task[Any]:
    """The task with the name of the first function for tasks."""
    from portable_fn.adapter.binding import bindings

    for function in bindings(handler):
        names = [trigger.name for trigger in function.triggers if trigger.word == "task"]
        if names or function.kind is Task:
            named = copy(task)
            named.name = names[0] if names else function.name
            return named
    return task


def carried_by(event: Event[Any], default: str) -> str:
    """The channel whose message an event comes in: what `via` of the handler's trigger says, else the default."""
    channel: str = getattr(event, "_carried_by", "") or default
    return channel


def _as_declared(event: Event[Any], handler: object) -> Event[Any]:
    """The event with what its handler's trigger says of it: a schedule's cron expression, the channel that it comes by."""
    from portable_fn.on import ScheduleTrigger

    if isinstance(event, (Request, Task)):
        return event
    triggers = _triggers_for(event, handler)
    told: dict[str, str] = {}
    if triggers and isinstance(triggers[0], ScheduleTrigger) and isinstance(event, ScheduleEvent) and not event.cron:
        told["cron"] = triggers[0].cron
    if via := next((trigger.via for trigger in triggers if trigger.via), ""):
        told["_carried_by"] = via
    if not told:
        return event
    made = copy(event)
    vars(made).update(told)
    return made


def several(event: Any, handler: object = None) -> list[Event[Any]]:
    """The events of what `deliver` takes; a task without a name has that of the handler's first function for tasks."""
    if isinstance(event, Event):
        events: list[Event[Any]] = [event]
    else:
        events = list(event) if isinstance(event, Iterable) else [event]
        _come_together(events)
    if not events:
        raise ValueError("deliver needs an event, or several")
    first = events[0]
    if isinstance(first, Task) and not first.name and handler is not None:
        events[0] = _called_by_name(first, handler)
    return events


def _come_together(events: Sequence[Event[Any]]) -> None:
    """Raises TypeError for what is no event, ValueError for events that no source hands over together."""
    for one in events:
        if not isinstance(one, Event):
            raise TypeError(f"what is delivered is an event, as those of fake, or several, not a {type(one).__name__}")
        if isinstance(one, Request):
            raise ValueError("requests don't come together: deliver each by itself")
    if len(kinds := dict.fromkeys(event.kind_name for event in events)) > 1:
        raise ValueError(f"events that come together are of one kind, not {' and '.join(kinds)}")
    first: dict[tuple[str, str], Event[Any]] = {}
    for one in events:
        if not is_again(one, first.setdefault((one.id, one.source), one)):
            numbered = ", or their data to fake.batch, which numbers them" if isinstance(one, Message) else ""
            raise ValueError(
                f"two different events have the id {one.id!r}, by which functions know what they have had: "
                f"give each an id=…{numbered}"
            )


def is_again(event: Event[Any], before: Event[Any]) -> bool:
    """Whether it is the event that there was before, whatever the number of the delivery."""
    names = [name for name in event._fields if name != "attempt"]
    return type(event) is type(before) and all(getattr(event, name) == getattr(before, name) for name in names)


def providers_for(event: Any, via: str | None) -> list[str]:
    """The providers that hand over such events, by that service where one is named; ValueError where none does."""
    kind = "Request" if isinstance(event, Request) else several(event)[0].kind_name
    name = _service_name(via)
    found = []
    every: dict[str, None] = {}
    for provider in ADAPTERS:
        simulate = adapter(provider, "simulate")
        possible = simulate.SERVICES if kind == "Request" else simulate.EVENT_SERVICES.get(kind, ())
        every |= dict.fromkeys(possible)
        if possible and (name is None or name in possible):
            found.append(provider)
    if not found:
        by = "" if name is None else f" by {via!r}{nearest(name, every)}; possible are {', '.join(every)}"
        raise ValueError(f"no provider hands over a {kind}{by}")
    return found


def _service_name(via: str | None) -> str | None:
    """The adapter's name of a service: "s3/sns/sqs" is s3_sns_sqs."""
    return None if via is None else via.replace("/", "_")


def _has_order(provider: str, service: str) -> bool:
    declared = [one for one in adapter(provider, "capabilities").SERVICES if one.name == service]
    orders = [one.features["order"].level for one in declared if "order" in one.features]
    return bool(orders) and "impossible" not in orders
