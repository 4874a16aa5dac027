"""Write the neutral kinds as CloudEvents, and read them back.

An outbox, a bridge or `simulate` sends them to the ASGI adapter. A dead letter is one if it can't be a message.

    portable_fn.message                 The body is the message's. The extensions are channel, partitionkey (its key), partition,
                                        sequence and its attributes. The extension `attributes` is a JSON object of the
                                        attributes that can't be extensions, with bytes as {"base64": …}, or null.
    portable_fn.object.<action>         {"bucket", "key", "size", "etag", "version", "content_type", "metadata"}
    portable_fn.change.<action>         {"table", "key", "before", "after"}; extensions partition and sequence
    portable_fn.schedule                {"name", "cron", "input"}

In the JSON of a change with the extension portablefnvalues="typed", an object with one member is a value that JSON doesn't have:
{"$decimal": "1.50"}, {"$bytes": base64}, {"$set": […]}, {"$time": RFC 3339}, {"$float": "nan"}. {"$object": {…}} is an object
whose only member starts with "$".
"""

from __future__ import annotations

from binascii import a2b_base64

from portable_fn.data import parse_json, to_json
from portable_fn.errors import DecodeError
from portable_fn.events import (
    CHANGE_ACTIONS,
    OBJECT_ACTIONS,
    UNREADABLE,
    ChangeEvent,
    CloudEvent,
    Event,
    Message,
    ObjectEvent,
    ScheduleEvent,
    unreadable,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

__all__ = ["MESSAGE", "is_extension", "message", "read", "write"]

MESSAGE = "portable_fn.message"
OBJECT = "portable_fn.object."
CHANGE = "portable_fn.change."
SCHEDULE = "portable_fn.schedule"
PLACE = ("channel", "partitionkey", "partition", "sequence", "attributes")
_VALUES = "portablefnvalues"
# The fields of an object that are in the data.
_OBJECT_FIELDS = ("bucket", "key", "size", "etag", "version", "content_type", "metadata")
_TAKEN = (*PLACE, "id", "source", "type", "specversion", "subject", "time", "datacontenttype", "dataschema", "data")


def read(event: CloudEvent[Any]) -> Event[Any] | None:
    """Return the object, row or schedule in an event of such a type; None for another type.

    Raises:
        DecodeError: The data doesn't fit the type.
    """
    type = event.type
    if not type.startswith("portable_fn."):
        return None
    try:
        if type.startswith(OBJECT):
            return _object(event)
        if type.startswith(CHANGE):
            return _change(event)
        if type == SCHEDULE:
            return _schedule(event)
    except UNREADABLE as exc:
        raise unreadable(exc, f"the data of a CloudEvent of type {type!r}") from exc
    return None


def message(event: CloudEvent[Any]) -> Message[Any]:
    """Return the message in an event of type `portable_fn.message`."""
    extensions = event.extensions
    attributes: dict[str, str | bytes | None] = {}
    attributes.update({name: value for name, value in extensions.items() if name not in PLACE})
    if "attributes" in extensions:
        attributes.update(_attributes(extensions["attributes"]))
    return Message(
        event.id,
        event.source,
        event.body,
        channel=extensions.get("channel", ""),
        time=event.time,
        content_type=event.content_type,
        attributes=attributes,
        subject=event.subject,
        key=extensions.get("partitionkey"),
        partition=extensions.get("partition"),
        sequence=extensions.get("sequence"),
        native=event.native,
        envelopes=(*event.envelopes, event),
    )


def _attributes(text: str) -> dict[str, str | bytes | None]:
    """Return the attributes of a JSON object, except those that can't be read."""
    try:
        values = parse_json(text)
    except UNREADABLE:
        return {}
    attributes: dict[str, str | bytes | None] = {}
    for name, value in values.items() if isinstance(values, dict) else ():
        if value is None or isinstance(value, str):
            attributes[name] = value
            continue
        try:
            attributes[name] = a2b_base64(value["base64"], strict_mode=True)
        except UNREADABLE:
            continue
    return attributes


def _object(event: CloudEvent[Any]) -> ObjectEvent[Any]:
    data = _data(event)
    action = _action(event, data, OBJECT, OBJECT_ACTIONS)
    size, metadata = data.get("size"), data.get("metadata")
    return ObjectEvent(
        event.id,
        event.source,
        _text(data, "bucket"),
        _text(data, "key"),
        action,
        time=event.time,
        size=size if type(size) is int and size >= 0 else None,
        etag=_optional_text(data, "etag"),
        version=_optional_text(data, "version"),
        content_type=_optional_text(data, "content_type"),
        metadata={name: value for name, value in metadata.items() if isinstance(value, str)}
        if isinstance(metadata, dict)
        else {},
        type=_optional_text(data, "type") or event.type,
        notification=data.get("notification", data),
        native=event.native,
        envelopes=(*event.envelopes, event),
    )


def _change(event: CloudEvent[Any]) -> ChangeEvent[Any]:
    data = _data(event)
    action = _action(event, data, CHANGE, CHANGE_ACTIONS)
    rows = {name: data.get(name) for name in ("key", "before", "after")}
    for name, row in rows.items():
        if row is not None and not isinstance(row, dict):
            raise DecodeError(f"the {name} of a change must be a JSON object or null, not a {type(row).__name__}")
    if event.extensions.get(_VALUES) == "typed":
        rows = {name: None if row is None else _untyped(row) for name, row in rows.items()}
    return ChangeEvent(
        event.id,
        event.source,
        _text(data, "table"),
        action,
        time=event.time,
        partition=event.extensions.get("partition"),
        sequence=event.extensions.get("sequence"),
        type=_optional_text(data, "type") or event.type,
        native=event.native,
        envelopes=(*event.envelopes, event),
        **rows,
    )


def _schedule(event: CloudEvent[Any]) -> ScheduleEvent[Any]:
    data = _data(event) if event.body else {}
    return ScheduleEvent(
        event.id,
        event.source,
        time=event.time,
        # Some functions are only for one name.
        name="" if data.get("name") is None else _text(data, "name"),
        cron=_optional_text(data, "cron") or "",
        input=data.get("input"),
        native=event.native,
        envelopes=(*event.envelopes, event),
    )


def _action(event: CloudEvent[Any], data: Mapping[str, Any], prefix: str, possible: tuple[str, ...]) -> str:
    action = event.type[len(prefix) :]
    # DocumentDB also sends operations that don't change a row, such as drop, with their own names.
    if action not in possible and data.get("action") != action:
        raise DecodeError(
            f"a CloudEvent's type {event.type[:80]!r} is unknown; possible are {prefix}{'|'.join(possible)}"
        )
    return action


def _data(event: CloudEvent[Any]) -> dict[str, Any]:
    data = parse_json(event.body.decode())
    if not isinstance(data, dict):
        raise DecodeError(
            f"the data of a CloudEvent of type {event.type!r} is a JSON object, not a {type(data).__name__}"
        )
    return data


def _text(data: Mapping[str, Any], name: str) -> str:
    value = data[name]
    if not isinstance(value, str):
        raise DecodeError(f"{name!r} is a text, not a {type(value).__name__}")
    return value


def _optional_text(data: Mapping[str, Any], name: str) -> str | None:
    """Return the member as a text of side data; None if it isn't a text."""
    value = data.get(name)
    return value if isinstance(value, str) else None


def write(event: Event[Any], *, together: bool = False) -> CloudEvent[Any]:
    """Return the event as a CloudEvent that `read` or `message` turns back into an equal event. A CloudEvent is returned unchanged.

    Args:
        event: A message, an object, a row or a schedule.
        together: Put all attributes of a message into the extension `attributes`.

    Raises:
        TypeError: The event is of another kind, such as a Task, or holds a value without a JSON form.
    """
    if isinstance(event, CloudEvent):
        return event
    content_type = "application/json"
    extensions: dict[str, str | None] = {}
    if isinstance(event, Message):
        type, body, content_type = MESSAGE, event.body, event.content_type
        extensions = {
            "channel": event.channel or None,
            "partitionkey": event.key,
            "partition": event.partition,
            "sequence": event.sequence,
            **_extensions(event, together),
        }
    elif isinstance(event, ObjectEvent):
        about = {name: getattr(event, name) for name in _OBJECT_FIELDS}
        type, body = OBJECT + event.action, _json(_with_words(event, about, OBJECT, OBJECT_ACTIONS))
    elif isinstance(event, ChangeEvent):
        type = CHANGE + event.action
        rows: dict[str, Any] = {"key": event.key, "before": event.before, "after": event.after}
        extensions = {"partition": event.partition, "sequence": event.sequence}
        if not _is_plain(rows):
            rows = {name: None if row is None else _typed(row) for name, row in rows.items()}
            extensions[_VALUES] = "typed"
        body = _json(_with_words(event, {"table": event.table, **rows}, CHANGE, CHANGE_ACTIONS))
    elif isinstance(event, ScheduleEvent):
        type, body = SCHEDULE, _json({"name": event.name, "cron": event.cron, "input": event.input})
    else:
        raise TypeError(f"a {event.__class__.__name__} has no form as a CloudEvent")
    return CloudEvent(
        event.id,
        event.source,
        type,
        body,
        subject=event.subject,
        time=event.time,
        content_type=content_type,
        extensions={name: value for name, value in extensions.items() if value is not None},
        native=event.native,
    )


def _with_words(event: Any, about: dict[str, Any], prefix: str, possible: tuple[str, ...]) -> dict[str, Any]:
    """Add to the data what only some events have: the provider's own type and notification, and its own action."""
    if event.type and not event.type.startswith(prefix):
        about["type"] = event.type
    if event.action not in possible:
        about["action"] = event.action
    notification = event.read_data() if isinstance(event, ObjectEvent) else None
    # An event that `read` returned has only these fields.
    is_ours = isinstance(notification, dict) and notification.keys() >= {"bucket", "key", "content_type", "metadata"}
    if notification is not None and not is_ours and _is_plain(notification):
        about["notification"] = notification
    return about


def _extensions(message: Message[Any], together: bool) -> dict[str, str]:
    """Return a message's attributes: by their names if they can be extensions, the others as JSON."""
    extensions: dict[str, str] = {}
    others: dict[str, object] = {}
    for name, value in message.attributes.items():
        if isinstance(value, bytes):
            others[name] = {"base64": _base64(value)}
        elif value and not together and is_extension(name):
            extensions[name] = value
        else:
            others[name] = value
    return {**extensions, "attributes": _json(others).decode()} if others else extensions


def is_extension(name: str) -> bool:
    """Return whether a message's attribute can be an extension of that name."""
    return bool(name) and not name.strip("abcdefghijklmnopqrstuvwxyz0123456789") and name not in _TAKEN


def _json(value: object) -> bytes:
    text = to_json(value)
    try:
        return text.encode()
    except UnicodeEncodeError:
        # Half a surrogate pair, which JSON can escape.
        return text.encode("utf-8", "backslashreplace")


def _base64(value: bytes) -> str:
    from binascii import b2a_base64

    return b2a_base64(value, newline=False).decode()


def _is_plain(value: Any) -> bool:
    """Return whether JSON has all of the value, and nothing in it looks like a typed value."""
    if isinstance(value, dict):
        if len(value) == 1 and next(iter(value))[:1] == "$":
            return False
        return all(type(name) is str and _is_plain(member) for name, member in value.items())
    if isinstance(value, list):
        return all(map(_is_plain, value))
    return value is None or type(value) in (str, int, bool) or (type(value) is float and not value - value)


def _typed(value: Any) -> Any:
    if isinstance(value, dict):
        typed = {name: _typed(member) for name, member in value.items()}
        return {"$object": typed} if len(typed) == 1 and next(iter(typed))[:1] == "$" else typed
    if isinstance(value, (list, tuple)):
        return [_typed(member) for member in value]
    if isinstance(value, (bytes, bytearray, memoryview)):
        return {"$bytes": _base64(bytes(value))}
    if isinstance(value, (set, frozenset)):
        return {"$set": [_typed(member) for member in value]}
    if type(value).__name__ == "Decimal":
        return {"$decimal": str(value)}
    if type(value).__name__ == "datetime":
        return {"$time": value.isoformat()}
    if isinstance(value, float) and value - value:  # inf - inf is nan
        return {"$float": str(value)}
    return value


def _untyped(value: Any) -> Any:
    if isinstance(value, list):
        return [_untyped(member) for member in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        (name,) = value
        if name[:1] == "$":
            return _read_typed(name, value[name])
    return {name: _untyped(member) for name, member in value.items()}


def _read_typed(name: str, value: Any) -> Any:
    if name == "$object":
        return {key: _untyped(member) for key, member in value.items()}
    if name == "$set":
        return {_untyped(member) for member in value}
    if name == "$bytes":
        return a2b_base64(value, strict_mode=True)
    if name == "$float":
        return float(value)
    if name == "$time":
        from datetime import datetime

        return datetime.fromisoformat(value)
    if name == "$decimal":
        from decimal import Decimal

        return Decimal(value)
    raise ValueError(f"{name[:40]!r} isn't a known type of value")
