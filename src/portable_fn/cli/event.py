"""The neutral event that `render` is given by options."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from portable_fn.cli.failure import Failure
from portable_fn.cli.request import request
from portable_fn.cloudevents import parse_time
from portable_fn.errors import DecodeError
from portable_fn.events import Batch
from portable_fn.testing import fake

# By the name of the kind, in the command's words; what `--data` is of each.
_KINDS: dict[str, tuple[Callable[..., Any], str]] = {
    "message": (fake.message, "data"),
    "object": (fake.object, ""),
    "change": (fake.change, "after"),
    "schedule": (fake.schedule, "input"),
    "cloud_event": (fake.cloud_event, "data"),
    "task": (fake.task, "input"),
}
KINDS = ("request", *_KINDS)
_TIMES = ("at", "time")


def event(
    kind: str,
    *,
    data: Sequence[str],
    body: str | None,
    fields: Sequence[str],
    method: str | None,
    path: str | None,
    json: str | None,
    headers: Sequence[str],
) -> Any:
    """The event; Failure for an option that can't be read or isn't for such a kind."""
    name = kind.lower().replace("-", "_").removesuffix("event").removesuffix("_")
    name = "cloud_event" if name == "cloud" else name
    if name == "request":
        if body is not None or fields:
            raise Failure("a request takes --method, --path, --header, --data and --json")
        if len(data) > 1:
            raise Failure("a request has one --data")
        return request([], method=method, path=path, data=data[0] if data else None, json=json, headers=headers)
    if name not in _KINDS:
        raise Failure(f"no kind {kind!r}; possible are {', '.join(KINDS)}")
    for option, given in (("--method", method), ("--path", path), ("--json", json), ("--header", headers)):
        if given:
            raise Failure(f"{option} is for requests")
    return _made(name, [_json("--data", text) for text in data], body, _fields(name, fields))


def _made(name: str, data: Sequence[Any], body: str | None, fields: dict[str, Any]) -> Any:
    make, of_data = _KINDS[name]
    if data and not of_data:
        raise Failure(f"{name} has no data: its fields are {', '.join(_known(name))}")
    if body is not None:
        if data or "body" not in _known(name):
            raise Failure(f"{name} takes no --body" + (" beside --data" if data else ""))
        fields["body"] = _content(body)
    if len(data) > 1:
        if name != "message":
            raise Failure(f"{name} has one --data; several messages are a batch")
        return _call(lambda **given: fake.batch(data, **given), name, fields)
    return _call(make, name, fields | ({of_data: data[0]} if data else {}))


def _call(make: Callable[..., Any], name: str, fields: Mapping[str, Any]) -> Any:
    try:
        made = make(**fields)
        # What an event is made of is looked at here, and not later by a provider's half of the wire.
        repr(list(made) if isinstance(made, Batch) else made)
    except Exception as exc:
        raise Failure(f"{name} can't be made of {', '.join(fields)}: {exc}") from exc
    return made


def _known(name: str) -> list[str]:
    return list(inspect.signature(_KINDS[name][0]).parameters)


def _fields(name: str, given: Sequence[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for text in given:
        field, equals, value = text.partition("=")
        if not equals:
            raise Failure(f"--field: {text!r} is not of the form field=value; {name} has {', '.join(_known(name))}")
        if field not in _known(name):
            raise Failure(f"--field: {name} has no {field!r}; possible are {', '.join(_known(name))}")
        found[field] = _value(field, value)
    return found


def _value(field: str, text: str) -> Any:
    """A time by its name; else what JSON says, where it isn't a text that only looks like a number."""
    if field in _TIMES:
        try:
            return parse_time(text)
        except DecodeError as exc:
            raise Failure(f"--field: {exc}") from exc
    if field in ("attempt", "size", "is_late") or text[:1] in ("{", "[") or text == "null":
        return _json("--field", text)
    return text


def _json(option: str, text: str) -> Any:
    try:
        return json.loads(_content(text))
    except ValueError as exc:
        raise Failure(f"{option} is not JSON: {exc}; a text that is to stay one is --body") from exc


def _content(text: str) -> bytes:
    if not text.startswith("@"):
        return text.encode()
    try:
        return Path(text[1:]).read_bytes()
    except OSError as exc:
        raise Failure(f"{text[1:]}: {exc.strerror}") from exc
