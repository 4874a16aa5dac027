"""Parse a native payload into neutral events."""

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
from portable_fn.testing.native_json import NativePayload, likely_providers, native_payloads
from portable_fn.testing.observing import observing
from portable_fn.testing.results import Raised

__all__ = ["guess_provider", "parse", "parse_events"]

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
    """Return the neutral event of a payload, or a list if it has several.

    Nested events, such as S3's in SQS, are unwrapped: `envelopes` has the outer ones.

    Args:
        native: The payload as a JSON value, such as a console shows or `render` returns.
        provider: The provider; by default the one whose payload it looks like.
        kind: The annotation of a handler: the result is what that handler gets, such as a `Message[Order]` with valid data, or a
            `Batch` of several.
        via: The service, if the payload doesn't show it.

    Raises:
        DecodeError: The payload can't be read, or isn't of the kind.
        ValueError: The payload looks like no provider's.
    """
    binding = None if kind is None else _binding_for(kind)
    provider = provider or guess_provider(native)
    events = parse_events(native, provider, via, Event if binding is None else binding.kind)
    if binding is None:
        return events[0] if len(events) == 1 else events
    for event in events:
        binding.bind_data(event)
    if binding.takes_batch:
        return Batch(events)
    if len(events) != 1:
        hint = "; pass kind=Batch[…] for several" if events else ""
        raise DecodeError(
            f"this payload of {provider} has {len(events) or 'no'} events for {binding.kind.__name__}, not one{hint}"
        )
    return events[0]


def _binding_for(kind: object) -> Binding:
    """Return a handler with that annotation."""

    def parse(event: Any) -> None: ...

    parse.__annotations__["event"] = kind
    return Binding(parse)


def guess_provider(native: Any) -> str:
    """Return the provider whose payload it looks like."""
    providers = likely_providers(native)
    if not providers:
        raise ValueError("no provider's payload looks like this: name the provider")
    return providers[0]


def parse_events(
    native: Any, provider: str, via: str | None = None, kind: type[Event[Any]] = Event
) -> list[Event[Any]]:
    """Return the neutral events as a handler of the kind gets them; empty for a service's own notice, such as a test event."""
    _require_service(provider, via)
    try:
        with not_recorded():
            payloads = native_payloads(native, provider, via)
            return [event for payload in payloads for event in _events(payload, provider, kind)]
    except ConfigurationError as exc:
        if kind is Event or isinstance(exc, MissingExtra):
            raise
        raise DecodeError(str(exc)) from exc
    except (*UNREADABLE, HTTPError) as exc:
        raise unreadable(exc, f"this payload of {provider}") from exc


def _require_service(provider: str, via: str | None) -> None:
    """Raise ValueError for a service that the provider doesn't have."""
    simulate = adapter(provider, "simulate")
    known = {*simulate.SERVICES, *chain.from_iterable(simulate.EVENT_SERVICES.values())}
    if via is not None and via.replace("/", "_") not in known:
        raise ValueError(f"{provider} has no {via!r}{nearest(via, known)}; possible are {', '.join(sorted(known))}")


def _events(payload: NativePayload, provider: str, kind: type[Event[Any]]) -> list[Event[Any]]:
    kinds = (payload.kinds or KINDS) if kind is Event else (kind,)
    error: Exception | None = None
    for group in [(kind,) for kind in kinds] if payload.one_by_one else [kinds]:
        seen: list[Event[Any]] = []
        with observing(quiet=True) as observed:
            answer = _invoke(payload, provider, [_collector(kind, payload.name, seen.append) for kind in group])
        failures = [record.exc_info[1] for record in observed.logs if record.exc_info]
        error = next((failure for failure in failures if isinstance(failure, DecodeError)), None)
        if error is None and not seen and isinstance(answer, Raised):
            # Cloudflare's message is a traceback; its last line is the error.
            error = DecodeError(answer.message.rstrip().rpartition("\n")[2])
        if error is None and (seen or not payload.one_by_one):
            envelopes = {id(envelope) for event in seen for envelope in event.envelopes}
            return [event for event in seen if id(event) not in envelopes]
    raise error or DecodeError(f"this looks like no payload of {provider}")


def _invoke(payload: NativePayload, provider: str, functions: list[object]) -> Any:
    """Return the functions' answer; raise DecodeError if the payload calls a task by a name that no function can have."""
    try:
        return payload.invoke(provider, functions)
    except ConfigurationError as exc:
        if payload.name:
            raise DecodeError(str(exc)) from exc
        raise


def _collector(kind: type[Event[Any]], name: str, seen: Callable[[Event[Any]], None]) -> object:
    """Return a portable function that takes every event of the kind and passes it to `seen`."""

    def function(event: Any) -> None:
        seen(event)

    # A task without a name gets its function's.
    function.__name__ = name or ("function" if kind is Task else f"see_{kind.__name__}")
    function.__annotations__["event"] = kind
    collector = unregistered(function, *((on.task(name),) if name and kind is Task else ()))
    collector.__portable__.sees_inside = True
    return collector
