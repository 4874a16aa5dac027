"""Make the neutral event that the options of `render` and `invoke` describe."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from portable_fn.adapter.binding import Binding
from portable_fn.adapter.cloudevents import parse_time
from portable_fn.cli.errors import Failure
from portable_fn.cli.kinds import named, word
from portable_fn.cli.request import request
from portable_fn.data import read_json
from portable_fn.errors import DecodeError
from portable_fn.events import Batch, Event
from portable_fn.on import ChangeTrigger, EventTrigger, MessageTrigger, ObjectTrigger, ScheduleTrigger, TaskTrigger
from portable_fn.testing import fake
from portable_fn.testing.settings import resolve_names

# By the word of the kind: the function that makes it, and the field that `--data` sets.
_KINDS: dict[str, tuple[Callable[..., Any], str]] = {
    "message": (fake.message, "data"),
    "object": (fake.object, ""),
    "change": (fake.change, "after"),
    "schedule": (fake.schedule, "input"),
    "cloud_event": (fake.cloud_event, "data"),
    "task": (fake.task, "input"),
}
_TIMES = ("at", "time")
# The types that an option can be read as, by the words of annotations.
_TYPES: dict[str, type] = {
    "str": str,
    "bytes": bytes,
    "int": int,
    "bool": bool,
    "datetime": datetime,
    "Mapping": dict,
    "None": type(None),
}
_ROW = {"id": "1"}


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
    functions: Sequence[Binding] = (),
) -> Any:
    """Return the event, which fits the functions unless an option says otherwise.

    Raises:
        Failure: An option can't be read, or isn't for such a kind.
    """
    name = named(kind, "--kind" if functions else "KIND")
    if name == "request":
        if body is not None or fields:
            raise Failure("a request takes --method, --path, --header, --data and --json")
        if len(data) > 1:
            raise Failure("a request has one --data")
        return request(functions, method=method, path=path, data=data[0] if data else None, json=json, headers=headers)
    for option, given in (("--method", method), ("--path", path), ("--json", json), ("--header", headers)):
        if given:
            raise Failure(f"{option} is for requests")
    values = [_json("--data", text) for text in data]
    own = _fields(name, fields)
    return _made(name, values, body, _fitting(name, functions, values, own) | own)


def kind_for(functions: Sequence[Binding], *, like_request: bool, like_event: bool) -> str:
    """Return the kind of an event for the functions, if options for requests or for events are given.

    Requests come before others.

    Raises:
        Failure: There are several other kinds.
    """
    found: dict[str, str] = {}
    for function in functions:
        kinds = [function.kind] if function.kind is not Event else [trigger.kind for trigger in function.triggers]
        for kind in kinds:
            found.setdefault(word(kind.__name__), function.name)
    if not found and not like_event:
        return "request"
    if "request" in found and (like_request or not like_event or len(found) == 1):
        return "request"
    found.pop("request", None)
    if not found:
        raise Failure("the functions take any event: choose the kind with --kind")
    if len(found) > 1:
        each = ", ".join(f"{name} ({kind})" for kind, name in found.items())
        raise Failure(
            f"the functions take several kinds of events: name one function of {each}, or choose the kind with --kind"
        )
    return next(iter(found))


def _fitting(name: str, functions: Sequence[Binding], data: list[Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of an event that the first function of its kind takes.

    The row of a removed item is `before`.
    """
    triggers = [trigger for function in resolve_names(functions) for trigger in function.triggers]
    match next((one for one in triggers if word(one.kind.__name__) == name), None):
        case MessageTrigger() as trigger:
            return {"channel": trigger.name}
        case ObjectTrigger() as trigger:
            key = f"{trigger.prefix}picture{trigger.suffix or '.png'}"
            return {"bucket": trigger.name, "key": key, "action": (*trigger.actions, "created")[0]}
        case ChangeTrigger() as trigger:
            says = any(name in given for name in ("before", "after", "action"))
            rows = {} if says else _rows((*trigger.actions, "inserted")[0], data)
            return {"table": trigger.name, **rows}
        case ScheduleTrigger() as trigger:
            return {"cron": trigger.cron} | ({"name": trigger.name} if trigger.name else {})
        case EventTrigger() as trigger:
            fields = {"type": trigger.types[0]} if trigger.types else {}
            return fields | ({"source": trigger.source} if trigger.source else {})
        case TaskTrigger() as trigger:
            return {"name": trigger.name}
        case _:
            return {}


def _rows(action: str, data: list[Any]) -> dict[str, Any]:
    """Return the rows of a change of that action, except the one in the data."""
    if action == "removed":
        return {"before": data.pop() if data else _ROW}
    after = {} if data else {"after": _ROW}
    return {"before": _ROW, **after} if action == "updated" else after


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
    fields |= {of_data: data[0]} if data else {}
    _check_types(make, name, fields)
    return _call(make, name, fields)


def _check_types(make: Callable[..., Any], name: str, fields: Mapping[str, Any]) -> None:
    """Check the types of the fields.

    Raises:
        Failure: A field has another type.
    """
    for field, value in fields.items():
        annotation = str(inspect.signature(make).parameters[field].annotation)
        types = [_TYPES.get(one) for one in re.sub(r"\[.*\]", "", annotation).split(" | ")]
        if None not in types and type(value) not in types:
            raise Failure(f"{field} of {name} must be {annotation}, not {value!r}")


def _call(make: Callable[..., Any], name: str, fields: Mapping[str, Any]) -> Any:
    try:
        made = make(**fields)
        # Fields are read on first use, which would be in a provider's simulation.
        repr(list(made) if isinstance(made, Batch) else made)
    except Exception as exc:
        raise Failure(f"{name} can't be made from {', '.join(fields)}: {exc}") from exc
    return made


def _known(name: str) -> list[str]:
    return list(inspect.signature(_KINDS[name][0]).parameters)


def _fields(name: str, given: Sequence[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for text in given:
        field, equals, value = text.partition("=")
        if not equals:
            raise Failure(f"--field: {text!r} must be field=value; {name} has {', '.join(_known(name))}")
        if field not in _known(name):
            raise Failure(f"--field: {name} has no {field!r}; possible are {', '.join(_known(name))}")
        found[field] = _value(field, value)
    return found


def _value(field: str, text: str) -> Any:
    """Read a value: a time by its name, JSON for numbers, objects and null, else text."""
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
        return read_json(_content(text))
    except ValueError as exc:
        raise Failure(f"{option} is not JSON: {exc}; pass text with --body") from exc


def _content(text: str) -> bytes:
    if not text.startswith("@"):
        return text.encode()
    try:
        return Path(text[1:]).read_bytes()
    except OSError as exc:
        raise Failure(f"{text[1:]}: {exc.strerror}") from exc
