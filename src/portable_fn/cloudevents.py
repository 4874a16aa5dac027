"""The CloudEvents 1.0 envelope: structured JSON, and HTTP headers.

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md
"""

from __future__ import annotations

from portable_fn.data import parse_json, to_json
from portable_fn.errors import DecodeError
from portable_fn.events import CloudEvent, Event, Message

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from typing import Any

STRUCTURED = "application/cloudevents+json"
BATCHED = "application/cloudevents-batch+json"

_KNOWN = (
    "specversion",
    "id",
    "source",
    "type",
    "subject",
    "time",
    "datacontenttype",
    "dataschema",
    "data",
    "data_base64",
)
# A name of an attribute: lower-case letters and digits.
_NAME = frozenset("abcdefghijklmnopqrstuvwxyz0123456789")


def is_structured(value: object) -> bool:
    """Whether a JSON value is an event in structured form."""
    return isinstance(value, dict) and "specversion" in value and "type" in value and "source" in value


def structured(
    value: Mapping[str, Any], *, native: object = None, envelopes: tuple[Event[Any], ...] = ()
) -> CloudEvent[Any]:
    """The event that a JSON object has; DecodeError where a required attribute is missing or one is no text."""
    attributes = {}
    for name, given in value.items():
        if name in ("data", "data_base64") or given is None:
            continue
        if isinstance(given, bool):
            given = "true" if given else "false"
        elif isinstance(given, int):
            given = str(given)
        if not isinstance(given, str):
            raise DecodeError(f"the CloudEvent's attribute {name!r} is a {type(given).__name__}, not a text")
        attributes[name] = given
    content_type = attributes.get("datacontenttype", "")
    return _event(attributes, _body(value, content_type), native, envelopes)


def _body(value: Mapping[str, Any], content_type: str) -> bytes:
    encoded = value.get("data_base64")
    if encoded is not None:
        from binascii import a2b_base64

        try:
            return a2b_base64(encoded, strict_mode=True)
        except (ValueError, TypeError) as exc:
            raise DecodeError("the CloudEvent's data_base64 is not base64") from exc
    if "data" not in value:
        return b""
    data = value["data"]
    media_type = content_type.partition(";")[0].rstrip().lower()
    if isinstance(data, str) and media_type and not media_type.endswith(("/json", "+json")):
        return data.encode()
    try:
        return to_json(data).encode()
    except (TypeError, ValueError, RecursionError) as exc:
        raise DecodeError("the CloudEvent's data has no JSON form") from exc


def binary(headers: Mapping[str, str], body: bytes, *, native: object = None) -> CloudEvent[Any]:
    """The event of an HTTP request in binary form: attributes in `ce-` headers, percent-encoded, the data in the body."""
    attributes = {}
    for name in headers:
        if name[:3].lower() == "ce-":
            value = headers[name]
            if "%" in value:
                from portable_fn.http import unquoted

                value = unquoted(value)
            attributes[name[3:].lower()] = value
    if content_type := headers.get("content-type"):
        attributes["datacontenttype"] = content_type
    return _event(attributes, body, native, ())


def batched(body: bytes, *, native: object = None) -> list[CloudEvent[Any] | DecodeError]:
    """The events of a batch, each one that can't be read as the DecodeError that says why; DecodeError for no batch at all."""
    try:
        values = parse_json(body.decode())
    except ValueError as exc:
        raise DecodeError(f"the batch of CloudEvents is not JSON: {exc}") from exc
    if not isinstance(values, list):
        raise DecodeError(f"a batch of CloudEvents is a JSON array, not a {type(values).__name__}")
    events: list[CloudEvent[Any] | DecodeError] = []
    for value in values:
        try:
            if not isinstance(value, dict):
                raise DecodeError(f"an event of the batch is a {type(value).__name__}, not an object")
            events.append(structured(value, native=native))
        except DecodeError as exc:
            events.append(exc)
    return events


def _event(
    attributes: Mapping[str, str], body: bytes, native: object, envelopes: tuple[Event[Any], ...]
) -> CloudEvent[Any]:
    version = attributes.get("specversion")
    if version not in ("1.0", "0.3"):
        raise DecodeError(f"the CloudEvent's specversion is {version!r}; known are '1.0' and '0.3'")
    missing = [name for name in ("id", "source", "type") if not attributes.get(name)]
    if missing:
        raise DecodeError(f"the CloudEvent has no {' and no '.join(missing)}")
    extensions = {}
    for name, value in attributes.items():
        if name not in _KNOWN:
            if not name or not _NAME.issuperset(name):
                raise DecodeError(f"the CloudEvent's attribute {name[:40]!r} is no name: possible are a-z and 0-9")
            extensions[name] = value
    return CloudEvent(
        attributes["id"],
        attributes["source"],
        attributes["type"],
        body,
        subject=attributes.get("subject", ""),
        time=parse_time(attributes["time"]) if attributes.get("time") else None,
        content_type=attributes.get("datacontenttype", ""),
        schema=attributes.get("dataschema") or attributes.get("schemaurl", ""),
        extensions=extensions,
        native=native,
        envelopes=envelopes,
    )


def parse_time(text: str) -> datetime:
    """An RFC 3339 time as aware UTC, to the microsecond; DecodeError where it is none."""
    from datetime import UTC, datetime

    try:
        # Python 3.11 takes nanoseconds, and cuts them to microseconds.
        time = datetime.fromisoformat(text)
    except (ValueError, TypeError) as exc:
        raise DecodeError("a time is not one of RFC 3339") from exc
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def inside(message: Message[Any]) -> list[Event[Any]]:
    """The CloudEvent that a message has as its body, in structured form; nothing where it has none."""
    if '"specversion"' not in message.text:
        return []
    try:
        value = parse_json(message.text)
    except ValueError:
        return []
    if not is_structured(value):
        return []
    return [structured(value, native=message.native, envelopes=(*message.envelopes, message))]  # type: ignore[arg-type]  # it is a dict


def write_structured(event: CloudEvent[Any]) -> dict[str, Any]:
    """The event in structured form, a JSON object."""
    value: dict[str, Any] = {"specversion": "1.0", "id": event.id, "source": event.source, "type": event.type}
    if event.subject:
        value["subject"] = event.subject
    if event.time is not None:
        value["time"] = write_time(event.time)
    if event.content_type:
        value["datacontenttype"] = event.content_type
    if event.schema:
        value["dataschema"] = event.schema
    value.update(event.extensions)
    if event.body:
        media_type = event.content_type.partition(";")[0].rstrip().lower()
        try:
            text = event.body.decode()
            value["data"] = parse_json(text) if not media_type or media_type.endswith(("/json", "+json")) else text
        except ValueError:
            from binascii import b2a_base64

            value["data_base64"] = b2a_base64(event.body, newline=False).decode()
    return value


def write_binary(event: CloudEvent[Any]) -> tuple[list[tuple[str, str]], bytes]:
    """The event in binary form: HTTP headers and a body."""
    headers = [("ce-specversion", "1.0"), ("ce-id", event.id), ("ce-source", event.source), ("ce-type", event.type)]
    if event.subject:
        headers.append(("ce-subject", event.subject))
    if event.time is not None:
        headers.append(("ce-time", write_time(event.time)))
    if event.schema:
        headers.append(("ce-dataschema", event.schema))
    headers += [(f"ce-{name}", value) for name, value in event.extensions.items()]
    written = [(name, _percent_encoded(value)) for name, value in headers]
    if event.content_type:
        written.append(("content-type", event.content_type))
    return written, event.body


def write_time(time: datetime) -> str:
    """A time as RFC 3339 has it, in UTC."""
    from datetime import UTC

    return time.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _percent_encoded(value: str) -> str:
    # What the specification names: space, double quote, percent, and all but printable ASCII.
    if value.isascii() and value.isprintable() and not any(char in ' "%' for char in value):
        return value
    return "".join(
        char if "!" <= char <= "~" and char not in '"%' else "".join(f"%{byte:02X}" for byte in char.encode())
        for char in value
    )
