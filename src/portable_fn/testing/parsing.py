"""The neutral events of a native payload."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from typing import Any, TypeVar, overload

from portable_fn import on
from portable_fn.adapter.binding import Binding
from portable_fn.errors import ConfigurationError, DecodeError, HTTPError
from portable_fn.events import (
    UNREADABLE,
    Batch,
    ChangeEvent,
    CloudEvent,
    Event,
    Message,
    ObjectEvent,
    ScheduleEvent,
    Task,
    unreadable,
)
from portable_fn.http import Request
from portable_fn.providers import adapter, nearest
from portable_fn.recording.calls import unregistered
from portable_fn.recording.recorder import not_recorded
from portable_fn.testing.extras import MissingExtra
from portable_fn.testing.native_json import NativePayload, arrived, recognised
from portable_fn.testing.observing import observing
from portable_fn.testing.results import Raised

E = TypeVar("E", bound=Event[Any] | Batch[Any])

KINDS: tuple[type[Event[Any]], ...] = (
    Request, Message, ObjectEvent, ChangeEvent, ScheduleEvent, CloudEvent, Task,
)  # fmt: skip


@overload
def parse(native: Any, provider: str | None = None, *, kind: type[E], via: str | None = None) -> E: ...
@overload
def parse(
    native: Any, provider: str | None = None, *, kind: None = None, via: str | None = None
) -> Event[Any] | list[Event[Any]]: ...
def parse(native: Any, provider: str | None = None, *, kind: Any = None, via: str | None = None) -> Any:
    """The neutral event of a payload, a JSON value such as a console shows or `render` gives; a list where it has several.

    With a `kind`, which is what a handler's annotation may be, it is what such a handler gets: the one Message, the object in a
    message or the message around it, a valid `Message[Order]`, several as a `Batch`. DecodeError where it isn't one.

    What comes in something else, as S3's events in SQS, is unwrapped: `envelopes` has what it came in. Without a provider it is
    the one that the payload looks like, `via` is the service where the payload doesn't tell. DecodeError for what can't be
    read, ValueError where no provider is recognised.
    """
    asked = None if kind is None else _asking(kind)
    provider = provider or guessed(native)
    events = parsed(native, provider, via, Event if asked is None else asked.kind)
    if asked is None:
        return events[0] if len(events) == 1 else events
    for event in events:
        asked.bind_data(event)
    if asked.takes_batch:
        return Batch(events)
    if len(events) != 1:
        several = "; several are a Batch" if events else ""
        raise DecodeError(
            f"this payload of {provider} has {len(events) or 'no'} events for a {asked.kind.__name__}{several}"
        )
    return events[0]


def _asking(kind: object) -> Binding:
    """A handler with that annotation."""

    def parse(event: Any) -> None: ...

    parse.__annotations__["event"] = kind
    return Binding(parse)


def guessed(native: Any) -> str:
    """The provider whose payload it looks like."""
    found = recognised(native)
    if not found:
        raise ValueError("no provider's payload looks like this: name the provider")
    return found[0]


def parsed(native: Any, provider: str, via: str | None = None, kind: type[Event[Any]] = Event) -> list[Event[Any]]:
    """The neutral events of a payload, as a handler of the kind gets them; none of a mere notice that all is well."""
    _check_service(provider, via)
    try:
        with not_recorded():
            return [event for one in arrived(native, provider, via) for event in _events(one, provider, kind)]
    except ConfigurationError as exc:
        if kind is Event or isinstance(exc, MissingExtra):
            raise
        raise DecodeError(str(exc)) from exc
    except (*UNREADABLE, HTTPError) as exc:
        raise unreadable(exc, f"what {provider} hands over") from exc


def _check_service(provider: str, via: str | None) -> None:
    """ValueError for a service that the provider doesn't have."""
    simulate = adapter(provider, "simulate")
    known = {*simulate.SERVICES, *chain.from_iterable(simulate.EVENT_SERVICES.values())}
    if via is not None and via.replace("/", "_") not in known:
        raise ValueError(f"{provider} has no {via!r}{nearest(via, known)}; possible are {', '.join(sorted(known))}")


def _events(one: NativePayload, provider: str, kind: type[Event[Any]]) -> list[Event[Any]]:
    kinds = (one.kinds or KINDS) if kind is Event else (kind,)
    error: Exception | None = None
    for those in [(kind,) for kind in kinds] if one.one_by_one else [kinds]:
        seen: list[Event[Any]] = []
        with observing(quiet=True) as observed:
            answer = _invoked(one, provider, [_seeing(kind, one.name, seen.append) for kind in those])
        failures = [record.exc_info[1] for record in observed.logs if record.exc_info]
        error = next((found for found in failures if isinstance(found, DecodeError)), None)
        if error is None and not seen and isinstance(answer, Raised):
            # Of a traceback, which is Cloudflare's message, only the error.
            error = DecodeError(answer.message.rstrip().rpartition("\n")[2])
        if error is None and (seen or not one.one_by_one):
            around = {id(envelope) for event in seen for envelope in event.envelopes}
            return [event for event in seen if id(event) not in around]
    raise error or DecodeError(f"nothing that {provider} hands over looks like this")


def _invoked(one: NativePayload, provider: str, functions: list[object]) -> Any:
    """What the functions answer; DecodeError where the payload calls one by a name that none can have."""
    try:
        return one.invoke(provider, functions)
    except ConfigurationError as exc:
        if one.name:
            raise DecodeError(str(exc)) from exc
        raise


def _seeing(kind: type[Event[Any]], name: str, seen: Callable[[Event[Any]], None]) -> object:
    """A portable function that is for all events of the kind, and does nothing with them."""

    def function(event: Any) -> None:
        seen(event)

    # A task's may become that of the task.
    function.__name__ = name or ("function" if kind is Task else f"see_{kind.__name__}")
    function.__annotations__["event"] = kind
    made = unregistered(function, *((on.task(name),) if name and kind is Task else ()))
    made.__portable__.sees_inside = True
    return made
