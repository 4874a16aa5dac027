"""The neutral events of a native payload."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from portable_fn import on
from portable_fn.errors import DecodeError
from portable_fn.events import ChangeEvent, CloudEvent, Event, Message, ObjectEvent, ScheduleEvent, Task
from portable_fn.http import Request
from portable_fn.testing.delivery import Raised
from portable_fn.testing.native_json import Arrived, arrived, recognised
from portable_fn.testing.observing import observing
from portable_fn.testing.probing import unregistered
from portable_fn.testing.recording import not_recorded

KINDS: tuple[type[Event[Any]], ...] = (
    Request, Message, ObjectEvent, ChangeEvent, ScheduleEvent, CloudEvent, Task,
)  # fmt: skip


def parse(native: Any, provider: str | None = None, *, via: str | None = None) -> Event[Any] | list[Event[Any]]:
    """The neutral event of a payload, a JSON value such as a console shows or `render` gives; a list where it has several.

    What comes in something else, as S3's events in SQS, is unwrapped: `envelopes` has what it came in. Without a provider it is
    the one that the payload looks like, `via` is the service where the payload doesn't tell. DecodeError for what can't be
    read, ValueError where no provider is recognised.
    """
    events = parsed(native, provider or guessed(native), via)
    return events[0] if len(events) == 1 else events


def guessed(native: Any) -> str:
    """The provider whose payload it looks like."""
    found = recognised(native)
    if not found:
        raise ValueError("no provider's payload looks like this: name the provider")
    return found[0]


def parsed(native: Any, provider: str, via: str | None = None) -> list[Event[Any]]:
    """The neutral events of a payload; none of a mere notice that all is well."""
    with not_recorded():
        return [event for one in arrived(native, provider, via) for event in _events(one, provider)]


def _events(one: Arrived, provider: str) -> list[Event[Any]]:
    kinds = one.kinds or KINDS
    error: Exception | None = None
    for those in [(kind,) for kind in kinds] if one.one_by_one else [kinds]:
        seen: list[Event[Any]] = []
        with observing(quiet=True) as observed:
            answer = one.invoke(provider, [_seeing(kind, one.name, seen.append) for kind in those])
        failures = [record.exc_info[1] for record in observed.logs if record.exc_info]
        error = next((found for found in failures if isinstance(found, DecodeError)), None)
        if error is None and not seen and isinstance(answer, Raised):
            error = DecodeError(answer.message)
        if error is None and (seen or not one.one_by_one):
            return seen
    raise error or DecodeError(f"nothing that {provider} hands over looks like this")


def _seeing(kind: type[Event[Any]], name: str, seen: Callable[[Event[Any]], None]) -> object:
    """A portable function that is for all events of the kind, and does nothing with them."""

    def function(event: Any) -> None:
        seen(event)

    # A task's may become that of the task.
    function.__name__ = name or ("function" if kind is Task else f"see_{kind.__name__}")
    function.__annotations__["event"] = kind
    return unregistered(function, *((on.task(name),) if name and kind is Task else ()))
