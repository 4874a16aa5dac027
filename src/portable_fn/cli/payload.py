"""Read native payloads and show the events in them."""

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
    """Return the payload as a JSON value.

    Raises:
        Failure: The provider has no payload for such an event.
    """
    try:
        return render(event, to=to, via=via)
    except (*UNREADABLE, PortableError) as exc:
        raise Failure(str(exc)) from exc


def read(place: str) -> Any:
    """Read the JSON value in a file, or from stdin for "-"."""
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
    # Python sets a stream to None if it was closed at the start, as by `<&-`.
    if sys.stdin is None:
        raise Failure("stdin is closed")
    return sys.stdin.read()


def events(value: Any, provider: str | None, via: str | None) -> tuple[str, list[Event[Any]]]:
    """Return the provider of the payload, and the events in it.

    Raises:
        Failure: The payload can't be read.
    """
    try:
        if provider is None:
            provider = guess_provider(value)
        else:
            adapter(provider, "simulate")
    except ValueError as exc:
        raise Failure(f"{exc} with --provider; possible are {', '.join(ADAPTERS)}") from exc
    except ConfigurationError as exc:
        raise Failure(str(exc)) from exc
    try:
        parsed_events = parse_events(value, provider, via)
        for event in parsed_events:
            # Also read the fields that are read on first use.
            event_as_json(event)
    except (ConfigurationError, ValueError) as exc:
        raise Failure(str(exc)) from exc
    except PortableError as exc:
        raise Failure(f"{provider}: {exc}", FAILED) from exc
    return provider, parsed_events


def as_json(provider: str, found: Sequence[Event[Any]]) -> Any:
    """Return the events as a JSON object."""
    return {"provider": provider, "events": [event_as_json(event) for event in found]}


def event_as_json(event: Event[Any]) -> dict[str, Any]:
    """Return the event as a JSON object."""
    document: dict[str, Any] = {"kind": event.kind_name, **dict(_fields(event))}
    if (data := _data(event)) is not None:
        document["data"] = data
    if event.envelopes:
        document["envelopes"] = [
            {"kind": envelope.kind_name, **dict(_fields(envelope))} for envelope in event.envelopes
        ]
    return document


def text(provider: str, found: Sequence[Event[Any]]) -> str:
    """Return the events as text, without empty fields."""
    lines = [f"{provider}: {len(found)} event{'' if len(found) == 1 else 's'}"]
    for event in found:
        lines += ["", event.kind_name]
        lines += [
            f"  {name:<12} {value if isinstance(value, str) else to_json(value)}"
            for name, value in _fields(event)
            if value not in (None, "", {}, [])
        ]
        if (data := _data(event)) is not None:
            lines.append(f"  {'data':<12} {to_json(data)}")
        lines += [f"  {'came in':<12} {_envelope(envelope)}" for envelope in reversed(event.envelopes)]
    return "\n".join(lines)


def replayed(folder: str, functions: Sequence[Binding], to: str | None, ignore: Sequence[str]) -> Replay:
    """Replay the recordings of the folder.

    Raises:
        Failure: There are none, or there is no such provider.
    """
    try:
        if to is not None:
            adapter(to, "simulate")
        return replay(folder, [function.function for function in functions], to, ignore=ignore)
    except (ConfigurationError, ValueError, OSError) as exc:
        raise Failure(str(exc)) from exc


def replay_text(found: Replay) -> str:
    """Return the differences, what was skipped, and the counts."""
    lines = [*found.differences, *(f"{one} (skipped)" for one in found.skipped)]
    differ, skipped = sum(bool(one.differences) for one in found), len(found.skipped)
    summary = f"{len(found)} replayed: {len(found) - differ - skipped} the same, {differ} not"
    return "\n".join([*lines, f"{summary}, {skipped} skipped." if skipped else f"{summary}."])


def replay_as_json(found: Replay) -> Any:
    """Return the replayed recordings as a JSON object."""
    return {"replayed": [{name: getattr(one, name) for name in one._fields} for one in found]}


def _envelope(event: Event[Any]) -> str:
    return f"{event.kind_name} {event.id} of {getattr(event, 'channel', '') or event.source}"


def _fields(event: Event[Any]) -> Iterator[tuple[str, Any]]:
    for name in _OF_REQUEST if isinstance(event, Request) else event._fields:
        # Without decoding, because a body of another coding can't be read.
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
    """Return the data, unless a field of the event shows it."""
    if "body" not in event._fields or isinstance(event, Request):
        return None
    try:
        data = event.read_data()
    except PortableError:
        return None
    return None if isinstance(data, (str, bytes)) else _plain(data)
