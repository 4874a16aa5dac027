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

__all__ = [
    "as_declared",
    "as_events",
    "carried_by",
    "exchange",
    "has_order",
    "is_same_event",
    "providers_for",
    "require_function",
    "service_for",
    "service_name",
]


def exchange(
    targets: tuple[object, ...],
    event: Request[Any],
    to: str,
    via: str | None = None,
    *,
    use: Sequence[Middleware] = (),
    root_path: str = "",
) -> Exchange:
    """Translate a request into the provider's native form.

    Args:
        targets: The functions.
        event: The request.
        to: The provider.
        via: The service; by default the provider's first.
        use: The middleware that `entry` gets.
        root_path: The path prefix that `entry` gets.

    Raises:
        ValueError: The provider has no such service.
    """
    simulate = adapter(to, "simulate")
    via = service_name(via)
    if via is not None and via not in simulate.SERVICES:
        raise ValueError(
            f"{to} has no {via!r}{nearest(via, simulate.SERVICES)}; possible are {', '.join(simulate.SERVICES)}"
        )
    from portable_fn.testing.settings import placeholder_settings

    with placeholder_settings(*targets):
        # Other people's adapters may lack these options.
        options = {name: value for name, value in (("use", use), ("root_path", root_path)) if value}
        translated: Exchange = simulate.exchange(targets, event, via or simulate.SERVICES[0], **options)
    return translated


def service_for(simulate: Any, to: str, event: Event[Any], via: str | None, handler: object = None) -> str:
    """Return the provider's service that delivers the event.

    Args:
        simulate: The adapter's `simulate`.
        to: The provider.
        event: The event.
        via: The service's name; by default the one that `entry` registers for the handler's trigger, else the first.
        handler: The functions.

    Raises:
        ValueError: The provider has no such service, or none for such events.
    """
    kind = event.kind_name
    possible: tuple[str, ...] = simulate.EVENT_SERVICES.get(kind, ())
    if not possible:
        raise ValueError(f"{to} delivers no {kind}")
    if via is not None and via not in possible:
        raise ValueError(
            f"{to} delivers no {kind} by {via!r}{nearest(via, possible)}; possible are {', '.join(possible)}"
        )
    if via is None and handler is not None and hasattr(simulate, "default_service"):
        triggers = _triggers_for(event, handler)
        via = simulate.default_service(triggers[0], event) if triggers else None
    return via if via in possible else possible[0]


def _triggers_for(event: Event[Any], handler: object) -> list[Trigger]:
    """Return the handler's triggers for the event: those that name its source, or else all of its kind."""
    from portable_fn.adapter.binding import bindings

    triggers = [
        trigger
        for function in bindings(handler)
        if isinstance(event, function.kind)
        for trigger in function.triggers
        if trigger.word != "http"
    ]
    return [trigger for trigger in triggers if trigger.names(event)] or triggers


def require_function(event: Event[Any], handler: object) -> None:
    """Raise TypeError if no provider can deliver the event to any of the functions."""
    from portable_fn.adapter.binding import bindings

    functions = bindings(handler)
    if not any(_may_reach(event, function.kind) for function in functions):
        names = ", ".join(f"{function.name} ({function.kind.__name__})" for function in functions)
        raise TypeError(f"no function takes the {event.kind_name} {event.id!r}; there is {names}")


def _may_reach(event: Event[Any], kind: type[Event[Any]]) -> bool:
    """Whether a function for the kind may get the event, its envelope, or its content."""
    if isinstance(event, kind):
        return True
    if isinstance(event, (Request, Task)) or kind is Request:
        return False
    # A schedule's input may call a task.
    envelopes = (Message, CloudEvent)
    return isinstance(event, ScheduleEvent) if kind is Task else isinstance(event, envelopes) or kind in envelopes


def _named(task: Task[Any], handler: object) -> Task[Any]:
    """Return the task with the name of the handler's first function for tasks."""
    from portable_fn.adapter.binding import bindings

    for function in bindings(handler):
        names = [trigger.name for trigger in function.triggers if trigger.word == "task"]
        if names or function.kind is Task:
            named = copy(task)
            named.name = names[0] if names else function.name
            return named
    return task


def carried_by(event: Event[Any], default: str) -> str:
    """Return the channel whose message carries the event: `via` of the handler's trigger, or else the default."""
    channel: str = getattr(event, "_carried_by", "") or default
    return channel


def as_declared(event: Event[Any], handler: object) -> Event[Any]:
    """Return the event with the cron expression and the carrying channel (`via`) of the handler's trigger."""
    from portable_fn.on import ScheduleTrigger

    if isinstance(event, (Request, Task)):
        return event
    triggers = _triggers_for(event, handler)
    fields: dict[str, str] = {}
    if triggers and isinstance(triggers[0], ScheduleTrigger) and isinstance(event, ScheduleEvent) and not event.cron:
        fields["cron"] = triggers[0].cron
    if via := next((trigger.via for trigger in triggers if trigger.via), ""):
        fields["_carried_by"] = via
    if not fields:
        return event
    declared = copy(event)
    vars(declared).update(fields)
    return declared


def as_events(event: Any, handler: object = None) -> list[Event[Any]]:
    """Return what `deliver` accepts as a list of events; a task without a name gets that of the handler's first task."""
    if isinstance(event, Event):
        events: list[Event[Any]] = [event]
    else:
        events = list(event) if isinstance(event, Iterable) else [event]
        _require_batch(events)
    if not events:
        raise ValueError("deliver needs at least one event")
    first = events[0]
    if isinstance(first, Task) and not first.name and handler is not None:
        events[0] = _named(first, handler)
    return events


def _require_batch(events: Sequence[Event[Any]]) -> None:
    """Raise TypeError for anything but events, and ValueError for events that no source sends together."""
    for event in events:
        if not isinstance(event, Event):
            raise TypeError(f"deliver takes an event, such as fake makes, or several, not {type(event).__name__}")
        if isinstance(event, Request):
            raise ValueError("deliver takes one request at a time")
    if len(kinds := dict.fromkeys(event.kind_name for event in events)) > 1:
        raise ValueError(f"deliver takes events of one kind, not {' and '.join(kinds)}")
    first: dict[tuple[str, str], Event[Any]] = {}
    for event in events:
        if not is_same_event(event, first.setdefault((event.id, event.source), event)):
            batch = ", or pass their data to fake.batch, which numbers them" if isinstance(event, Message) else ""
            raise ValueError(f"two different events have the id {event.id!r}: give each its own id=…{batch}")


def is_same_event(event: Event[Any], before: Event[Any]) -> bool:
    """Whether both are deliveries of one event: equal except for the attempt."""
    names = [name for name in event._fields if name != "attempt"]
    return type(event) is type(before) and all(getattr(event, name) == getattr(before, name) for name in names)


def providers_for(event: Any, via: str | None) -> list[str]:
    """Return the providers that deliver such events, by that service if it's named.

    Raises:
        ValueError: No provider does.
    """
    kind = "Request" if isinstance(event, Request) else as_events(event)[0].kind_name
    name = service_name(via)
    providers = []
    services: dict[str, None] = {}
    for provider in ADAPTERS:
        simulate = adapter(provider, "simulate")
        possible = simulate.SERVICES if kind == "Request" else simulate.EVENT_SERVICES.get(kind, ())
        services |= dict.fromkeys(possible)
        if possible and (name is None or name in possible):
            providers.append(provider)
    if not providers:
        by = "" if name is None else f" by {via!r}{nearest(name, services)}; possible are {', '.join(services)}"
        raise ValueError(f"no provider delivers a {kind}{by}")
    return providers


def service_name(via: str | None) -> str | None:
    """Return a service's name as adapters spell it: s3_sns_sqs for "s3/sns/sqs"."""
    return None if via is None else via.replace("/", "_")


def has_order(provider: str, service: str) -> bool:
    """Whether the provider's service keeps the order of events."""
    declared = [entry for entry in adapter(provider, "capabilities").SERVICES if entry.name == service]
    orders = [entry.features["order"].level for entry in declared if "order" in entry.features]
    return bool(orders) and "impossible" not in orders
