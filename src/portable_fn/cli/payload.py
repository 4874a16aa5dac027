"""Native payloads that are given to a command, and the events in them, shown."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from portable_fn.adapter.binding import Binding
from portable_fn.cli.errors import FAILED, Failure
from portable_fn.data import parse_json, to_json
from portable_fn.errors import ConfigurationError, PortableError
from portable_fn.events import UNREADABLE, Event
from portable_fn.http import Request
from portable_fn.providers import ADAPTERS, adapter
from portable_fn.recording.payload_json import body_fields
from portable_fn.testing.parsing import guess_provider, parse_events
from portable_fn.testing.rendering import render
from portable_fn.testing.replaying import Replay, replay

_OF_REQUEST = ("id", "time", "method", "path", "raw_query", "headers", "host", "scheme", "client_ip", "body")


def rendered(event: Any, to: str, via: str | None) -> Any:
    """The payload as a JSON value; Failure if the provider has none for such an event."""
    try:
        return render(event, to=to, via=via)
    except (*UNREADABLE, PortableError) as exc:
        raise Failure(str(exc)) from exc


def read(place: str) -> Any:
    """The JSON value in a file, or on stdin for "-"."""
    try:
        text = _stdin() if place == "-" else Path(place).read_text(encoding="utf-8")
    except OSError as exc:
        raise Failure(f"{place}: {exc.strerror}") from exc
    except UnicodeDecodeError as exc:
        raise Failure(f"{place} is not UTF-8") from exc
    try:
        return parse_json(text)
    except ValueError as exc:
        raise Failure(f"{'stdin' if place == '-' else place} is not JSON: {exc}") from exc


def _stdin() -> str:
    # Python has None for a stream that was closed when it started, as `<&-` does.
    if sys.stdin is None:
        raise Failure("stdin is closed")
    return sys.stdin.read()


def events(value: Any, provider: str | None, via: str | None) -> tuple[str, list[Event[Any]]]:
    """The provider that the payload is of, and the events in it; Failure where it can't be read."""
    try:
        if provider is None:
            provider = guess_provider(value)
        else:
            adapter(provider, "simulate")
    except ValueError as exc:
        raise Failure(f"{exc} by --provider; possible are {', '.join(ADAPTERS)}") from exc
    except ConfigurationError as exc:
        raise Failure(str(exc)) from exc
    try:
        found = parse_events(value, provider, via)
        for event in found:
            # What is read only where it is asked for, too.
            event_as_json(event)
    except (ConfigurationError, ValueError) as exc:
        raise Failure(str(exc)) from exc
    except PortableError as exc:
        raise Failure(f"{provider}: {exc}", FAILED) from exc
    return provider, found


def as_json(provider: str, found: Sequence[Event[Any]]) -> Any:
    """The events as an object of JSON."""
    return {"provider": provider, "events": [event_as_json(event) for event in found]}


def event_as_json(event: Event[Any]) -> dict[str, Any]:
    """The event as an object of JSON."""
    made: dict[str, Any] = {"kind": event.kind_name, **dict(_fields(event))}
    if (data := _data(event)) is not None:
        made["data"] = data
    if event.envelopes:
        made["envelopes"] = [{"kind": one.kind_name, **dict(_fields(one))} for one in event.envelopes]
    return made


def text(provider: str, found: Sequence[Event[Any]]) -> str:
    """The events to be read, their fields without the empty ones."""
    lines = [f"{provider}: {len(found)} event{'' if len(found) == 1 else 's'}"]
    for event in found:
        lines += ["", event.kind_name]
        lines += [
            f"  {name:<12} {one if isinstance(one, str) else to_json(one)}"
            for name, one in _fields(event)
            if one not in (None, "", {}, [])
        ]
        if (data := _data(event)) is not None:
            lines.append(f"  {'data':<12} {to_json(data)}")
        lines += [f"  {'came in':<12} {_envelope(one)}" for one in reversed(event.envelopes)]
    return "\n".join(lines)


def replayed(folder: str, functions: Sequence[Binding], to: str | None, ignore: Sequence[str]) -> Replay:
    """The recordings of the folder, replayed; Failure where there are none, or no such provider."""
    try:
        if to is not None:
            adapter(to, "simulate")
        return replay(folder, [function.function for function in functions], to, ignore=ignore)
    except (ConfigurationError, ValueError, OSError) as exc:
        raise Failure(str(exc)) from exc


def replay_text(found: Replay) -> str:
    """What came out otherwise, what was skipped, and how many there were."""
    lines = [*found.differences, *(f"{one} (skipped)" for one in found.skipped)]
    differ, skipped = sum(bool(one.differences) for one in found), len(found.skipped)
    summary = f"{len(found)} replayed: {len(found) - differ - skipped} the same, {differ} not"
    return "\n".join([*lines, f"{summary}, {skipped} skipped." if skipped else f"{summary}."])


def replay_as_json(found: Replay) -> Any:
    """The recordings, replayed, as an object of JSON."""
    return {"replayed": [{name: getattr(one, name) for name in one._fields} for one in found]}


def _envelope(event: Event[Any]) -> str:
    return f"{event.kind_name} {event.id} of {getattr(event, 'channel', '') or event.source}"


def _fields(event: Event[Any]) -> Iterator[tuple[str, Any]]:
    for name in _OF_REQUEST if isinstance(event, Request) else event._fields:
        # As it came, since a body of another coding can't be read.
        value = event.raw_body if name == "body" and isinstance(event, Request) else getattr(event, name)
        if isinstance(value, bytes):
            yield from (body_fields(value) or {"body": ""}).items()
        elif name == "headers":
            yield name, [list(pair) for pair in value.multi_items()]
        else:
            yield name, _plain(value)


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return body_fields(value) or ""
    if isinstance(value, Mapping):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(one) for one in value]
    return json.loads(to_json(value))


def _data(event: Event[Any]) -> Any:
    """The data where it is another value than a field of the event shows."""
    if "body" not in event._fields or isinstance(event, Request):
        return None
    try:
        data = event.read_data()
    except PortableError:
        return None
    return None if isinstance(data, (str, bytes)) else _plain(data)
