"""Read and write CloudEvents 1.0: structured JSON, batches of it, and HTTP headers. Version 0.3 can be read, too.

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md
"""

from __future__ import annotations

from portable_fn.data import MAX_JSON_MEMORY, parse_json, read_json, to_json
from portable_fn.errors import DecodeError, EncodeError
from portable_fn.events import CloudEvent, Event, Message
from portable_fn.pairs import Headers, unquoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime
    from typing import Any

__all__ = [
    "BATCHED",
    "MAX_EVENTS",
    "MAX_UNREADABLE",
    "STRUCTURED",
    "batched",
    "binary",
    "inside",
    "is_json",
    "is_structured",
    "is_unicode",
    "json_body",
    "json_data",
    "mode",
    "neutral_inside",
    "parse_time",
    "read_time",
    "structured",
    "structured_body",
    "write_batched",
    "write_binary",
    "write_structured",
    "write_structured_body",
    "write_time",
]

STRUCTURED = "application/cloudevents+json"
BATCHED = "application/cloudevents-batch+json"

# Each unreadable event is logged with its traceback, and a body of 10 MB may have millions.
MAX_UNREADABLE = 1000
# More than any sender puts into a request: Event Grid sends at most 5,000. Each takes half a kilobyte, however short it is.
MAX_EVENTS = 10_000
MAX_ATTRIBUTES = 1000

_KNOWN = frozenset(("specversion", "id", "source", "type", "subject", "time", "datacontenttype", "dataschema"))
# In version 0.3, `dataschema` was `schemaurl`, and base64 was a `datacontentencoding` instead of `data_base64`.
_KNOWN_0_3 = _KNOWN - {"dataschema"} | {"schemaurl", "datacontentencoding"}
# An attribute's name: lower-case letters and digits.
_NAME = frozenset("abcdefghijklmnopqrstuvwxyz0123456789")
# The attributes that an event's identity, functions and order depend on. If another attribute can't be read, it is left out.
_STRICT = frozenset(("specversion", "id", "source", "type", "partitionkey"))


def mode(headers: Mapping[str, str]) -> str:
    """Return how an HTTP message holds CloudEvents: "structured", "batched" or "binary"; "" if it holds none.

    Raises:
        DecodeError: The format isn't JSON.
    """
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type.startswith("application/cloudevents"):
        if media_type == STRUCTURED:
            return "structured"
        if media_type == BATCHED:
            return "batched"
        raise DecodeError(f"{media_type[:80]!r} isn't a known format of CloudEvents; use {STRUCTURED} or {BATCHED}")
    # Any of them is enough: an event without a specversion is malformed, but it is an event.
    return "binary" if "ce-id" in headers or "ce-type" in headers or "ce-specversion" in headers else ""


def is_structured(value: object) -> bool:
    """Return whether a JSON value is an event in structured form."""
    return isinstance(value, dict) and "specversion" in value and "type" in value and "source" in value


def structured(
    value: Mapping[str, Any], *, native: object = None, envelopes: tuple[Event[Any], ...] = ()
) -> CloudEvent[Any]:
    """Read an event from a JSON object.

    An unreadable attribute is left out, unless it is required or the partition key; `native` has it.

    Raises:
        DecodeError: A required attribute is missing, or it or the partition key isn't text.
    """
    if len(value) > MAX_ATTRIBUTES:
        raise DecodeError(f"a CloudEvent has {len(value)} attributes; possible are {MAX_ATTRIBUTES}")
    attributes: dict[str, str] = {}
    for name, member in value.items():
        if type(member) is str:
            attributes[name] = member
        elif member is not None and name != "data" and name != "data_base64":
            text = _as_text(name, member)
            if text is not None:
                attributes[name] = text
    attributes.pop("data", None)
    attributes.pop("data_base64", None)
    return _event(attributes, _body(value, attributes), native, envelopes)


def _as_text(name: str, value: object) -> str | None:
    """Return the text of a JSON attribute that isn't text; None if it is left out."""
    if isinstance(value, int) and name != "datacontenttype":
        return str(value).lower()  # true and false, too
    if name == "specversion" and isinstance(value, float):
        return str(value)
    if name in _STRICT:
        raise DecodeError(
            f"the CloudEvent's attribute {name!r} is a {type(value).__name__}; possible are a text, a whole number, "
            "true and false"
        )
    return None


def structured_body(body: bytes, content_type: str = "", *, native: object = None) -> CloudEvent[Any]:
    """Read an event from an HTTP body in structured form, in the charset of its content type."""
    value = _json(body, content_type, "the CloudEvent")
    if not isinstance(value, dict):
        raise DecodeError(f"a CloudEvent must be a JSON object, not a {type(value).__name__}")
    return structured(value, native=native)


def batched(body: bytes, content_type: str = "", *, native: object = None) -> list[CloudEvent[Any] | DecodeError]:
    """Read a batch of events. An event that can't be read is a DecodeError in the list.

    Raises:
        DecodeError: It isn't a batch, or more than MAX_UNREADABLE of its events can't be read.
    """
    values = _json(body, content_type, "the batch of CloudEvents")
    if not isinstance(values, list):
        raise DecodeError(f"a batch of CloudEvents must be a JSON array, not a {type(values).__name__}")
    if len(values) > MAX_EVENTS:
        raise DecodeError(f"the batch has {len(values)} CloudEvents; possible are {MAX_EVENTS}")
    events: list[CloudEvent[Any] | DecodeError] = []
    unreadable = 0
    for value in values:
        try:
            if not isinstance(value, dict):
                raise DecodeError(f"an event of the batch is a {type(value).__name__}, not an object")
            events.append(structured(value, native=native))
        except DecodeError as exc:
            unreadable += 1
            if unreadable > MAX_UNREADABLE:
                raise DecodeError(
                    f"more than {MAX_UNREADABLE} events of the batch can't be read, the last: {exc}"
                ) from exc
            events.append(exc)
    return events


def _json(body: bytes, content_type: str, what: str) -> object:
    charset = "utf-8"
    for parameter in content_type.split(";")[1:]:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset":
            charset = value.strip().strip("\"'").lower() or charset
    try:
        # Half of what JSON may take, since the data is written again as the event's body.
        return read_json(body, charset, MAX_JSON_MEMORY // 2)
    except (ValueError, LookupError) as exc:
        raise DecodeError(f"{what} is not JSON: {exc.args[0] if exc.args else exc}") from exc


def _body(value: Mapping[str, Any], attributes: Mapping[str, str]) -> bytes:
    encoded = value.get("data_base64")
    data = value.get("data")
    if encoded is not None and data is not None:
        raise DecodeError("the CloudEvent has both data and data_base64; possible is one of them")
    if attributes.get("datacontentencoding") == "base64" and attributes.get("specversion") == "0.3":
        encoded = data
    if encoded is not None:
        from binascii import a2b_base64

        try:
            return (
                a2b_base64(encoded, strict_mode=True) if isinstance(encoded, str) and encoded else _no_base64(encoded)
            )
        except ValueError as exc:
            raise DecodeError("the CloudEvent's data_base64 is not base64") from exc
    if "data" not in value:
        return b""
    holds_json = is_json(attributes.get("datacontenttype", ""))
    if data is None and not holds_json:
        return b""
    try:
        return data.encode() if isinstance(data, str) and not holds_json else json_body(data)
    except (TypeError, ValueError, RecursionError) as exc:
        raise DecodeError("the CloudEvent's data can't be a body: it has no JSON form, or isn't Unicode text") from exc


def _no_base64(encoded: object) -> bytes:
    if encoded == "":
        return b""
    raise ValueError


def json_body(data: object) -> bytes:
    """Write data as a JSON body."""
    try:
        return to_json(data).encode()
    except UnicodeEncodeError:
        # A lone surrogate, which JSON can escape and UTF-8 can't have.
        from json import dumps

        return dumps(data, separators=(",", ":")).encode()


def is_json(content_type: str) -> bool:
    """Return whether data of the content type is JSON. It is if there is no content type."""
    # Without "datacontenttype" the data is JSON (JSON format, section 3.1).
    media_type = content_type.partition(";")[0].rstrip().lower()
    return not media_type or media_type.endswith(("/json", "+json"))


def json_data(event: CloudEvent[Any]) -> Any:
    """Read an event's data as JSON, because its type says so, even if the content type disagrees."""
    data = event.read_data()
    if isinstance(data, (str, bytes)) and not is_json(event.content_type):
        try:
            return parse_json(event.text)
        except ValueError:
            pass
    return data


def binary(headers: Mapping[str, str], body: bytes, *, native: object = None) -> CloudEvent[Any]:
    """Read an event from an HTTP message in binary form: attributes in percent-encoded `ce-` headers, the data in the body."""
    attributes: dict[str, str] = {}
    values = headers.joined() if isinstance(headers, Headers) else headers
    for header, value in values.items():
        if header[:3].lower() == "ce-":
            name = header[3:].lower()
            is_strict = name in _STRICT
            single = _told_once(name, headers.get_all(header)) if is_strict and isinstance(headers, Headers) else value
            quoted = _unescaped(single) if '"' in single else single
            attributes[name] = text = unquoted(quoted)
            if is_strict and "\ufffd" in text:
                _check_utf8(name, quoted)
    if content_type := headers.get("content-type"):
        attributes["datacontenttype"] = content_type
    return _event(attributes, body, native, ())


def _told_once(name: str, values: list[str]) -> str:
    """Return a header's value, which two lines must not contradict."""
    if any(value != values[0] for value in values):
        raise DecodeError(f"the CloudEvent's {name} has {len(values)} different values; send one")
    return values[0]


def _check_utf8(name: str, quoted: str) -> None:
    """Check that a percent-encoded value is UTF-8. Repaired, it could equal another value.

    Raises:
        DecodeError: It isn't UTF-8.
    """
    from urllib.parse import unquote_to_bytes

    try:
        unquote_to_bytes(quoted).decode()
    except UnicodeError as exc:
        raise DecodeError(f"the CloudEvent's {name} is percent-encoded, but not as UTF-8") from exc


def _unescaped(value: str) -> str:
    """Return a header's value with its quoted strings unquoted. Writers from before version 1.0.1 quote them."""
    import re

    def unquote(quoted: re.Match[str]) -> str:
        return re.sub(r"\\(.)", r"\1", quoted[1]) if quoted[2] else quoted[0]

    # An unclosed one counts, too, up to its end. If the pattern tried again at each quote in it, a header of 60 KB would take seconds.
    return re.sub(r'"((?:[^"\\]|\\.)*+)("?)', unquote, value, flags=re.DOTALL)


def _event(
    attributes: Mapping[str, str], body: bytes, native: object, envelopes: tuple[Event[Any], ...]
) -> CloudEvent[Any]:
    get = attributes.get
    version = get("specversion")
    if version == "1.0":
        known, schema = _KNOWN, "dataschema"
    elif version == "0.3":
        known, schema = _KNOWN_0_3, "schemaurl"
    else:
        shown = "missing" if version is None else repr(version[:40])
        raise DecodeError(f"the CloudEvent's specversion is {shown}; known are '1.0' and '0.3'")
    id, source, type = get("id"), get("source"), get("type")
    if not id or not source or not type:
        missing = [name for name in ("id", "source", "type") if not get(name)]
        raise DecodeError(f"the CloudEvent has no {' and no '.join(missing)}")
    extensions: dict[str, str] = {}
    odd: list[str] = []
    spoiled: set[str] = set()
    for name, value in attributes.items():
        if not value.isascii() and not is_unicode(value):
            if name in _STRICT:
                raise DecodeError(f"the CloudEvent's attribute {name!r} has half of a surrogate pair, which isn't text")
            spoiled.add(name)
        elif name not in known:
            if _is_extension(name):
                extensions[name] = value
            else:
                odd.append(name)
    for name in odd:
        # HTTP headers have no capitals, so names are lower-case in every form.
        lowered = name.lower()
        if name.isascii() and lowered not in known and lowered not in extensions and _is_extension(lowered):
            extensions[lowered] = attributes[name]
    if spoiled:
        attributes = {name: value for name, value in attributes.items() if name not in spoiled}
        get = attributes.get
    return CloudEvent(
        id,
        source,
        type,
        body,
        subject=get("subject") or "",
        time=read_time(get("time")),
        content_type=get("datacontenttype") or "",
        schema=get(schema) or "",
        extensions=extensions,
        native=native,
        envelopes=envelopes,
    )


def _is_extension(name: str) -> bool:
    return bool(name) and name != "data" and _NAME.issuperset(name)


def is_unicode(text: str) -> bool:
    """Return whether the text has no half of a surrogate pair."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def read_time(value: object) -> datetime | None:
    """Read a time that is side data; None if there is none or it can't be read."""
    if not value:
        return None
    try:
        return parse_time(value)  # type: ignore[arg-type]  # anything but a text is a DecodeError
    except DecodeError:
        return None


def parse_time(text: str) -> datetime:
    """Read an RFC 3339 time as aware UTC, to the microsecond. A time without an offset is UTC.

    Raises:
        DecodeError: It isn't such a time.
    """
    from datetime import UTC, datetime

    try:
        try:
            # Python 3.11 accepts nanoseconds, and cuts them to microseconds.
            time = datetime.fromisoformat(text)
        except ValueError:
            # RFC 3339 also has a leap second, which datetime hasn't, and a lower-case "z".
            time = datetime.fromisoformat(text.upper().replace(":60", ":59"))
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, TypeError, AttributeError, OverflowError) as exc:
        raise DecodeError("a time is not one of RFC 3339, such as 2026-01-02T03:04:05Z") from exc


# The prefixes of a message's attributes in the bindings of CloudEvents to Kafka, HTTP and AMQP, and in Pub/Sub.
_PREFIXES = ("ce_", "ce-", "cloudEvents:", "cloudEvents_")


def inside(message: Message[Any]) -> list[Event[Any]]:
    """Return the CloudEvents that a message holds; an empty list if it holds none.

    The body has one in structured form or a batch of them, or the message's attributes have one in binary form.

    Raises:
        DecodeError: A CloudEvent can't be read.
    """
    envelopes = (*message.envelopes, message)
    attributes = message.attributes
    for prefix in _PREFIXES:
        if attributes.get(f"{prefix}specversion") is not None:
            own: dict[str, str] = {}
            for name, attribute in attributes.items():
                lowered = name[len(prefix) :].lower()
                if name.startswith(prefix) and (name.endswith(lowered) or prefix + lowered not in attributes):
                    _add(own, lowered, attribute)
            content_type = message.content_type or attributes.get("content-type")
            if content_type:
                _add(own, "datacontenttype", content_type)
            return [_event(own, message.body, message.native, envelopes)]
    if b'"specversion"' not in message.body:
        return []
    try:
        value = parse_json(message.body.decode())
    except ValueError:
        return []
    values: list[Any] = value if isinstance(value, list) else [value]
    if not all(map(is_structured, values)):
        return []
    return [structured(one, native=message.native, envelopes=envelopes) for one in values]


def _add(attributes: dict[str, str], name: str, value: Any) -> None:
    """Add a message's attribute. Side data that isn't text is left out."""
    if isinstance(value, bytes):
        try:
            value = value.decode()
        except UnicodeDecodeError as exc:
            if name in _STRICT:
                raise DecodeError(f"the CloudEvent's attribute {name!r} is not UTF-8") from exc
    if isinstance(value, str):
        attributes[name] = value


def neutral_inside(event: CloudEvent[Any]) -> list[Event[Any]]:
    """Return the object, row or schedule in an event of a portable_fn type, such as a dead letter; an empty list for another type."""
    if not event.type.startswith("portable_fn."):
        return []
    from portable_fn.adapter.as_cloudevent import read

    inner = read(event)
    return [] if inner is None else [inner]


def write_structured(event: CloudEvent[Any]) -> dict[str, Any]:
    """Write an event in structured form, as a JSON object.

    Raises:
        EncodeError: An attribute's name is impossible, or its value isn't a str.
    """
    value: dict[str, Any] = dict(_attributes(event))
    if event.content_type:
        value["datacontenttype"] = event.content_type
    if event.body:
        try:
            text = event.body.decode()
            value["data"] = parse_json(text) if is_json(event.content_type) else text
        except ValueError:
            from binascii import b2a_base64

            value["data_base64"] = b2a_base64(event.body, newline=False).decode()
    return value


def write_batched(events: Iterable[CloudEvent[Any]]) -> bytes:
    """Write events as the body of a batch."""
    return json_body([write_structured(event) for event in events])


def write_structured_body(event: CloudEvent[Any]) -> bytes:
    """Write an event in structured form, as a body."""
    return json_body(write_structured(event))


def write_binary(event: CloudEvent[Any]) -> tuple[list[tuple[str, str]], bytes]:
    """Write an event in binary form: HTTP headers and a body.

    Raises:
        EncodeError: An attribute's name is impossible, or its value isn't a str.
    """
    headers = [(f"ce-{name}", _percent_encoded(name, value)) for name, value in _attributes(event)]
    if event.content_type:
        headers.append(("content-type", event.content_type))
    return headers, event.body


def _attributes(event: CloudEvent[Any]) -> list[tuple[str, str]]:
    """Return an event's attributes without its content type."""
    attributes = [("specversion", "1.0"), ("id", event.id), ("source", event.source), ("type", event.type)]
    if event.subject:
        attributes.append(("subject", event.subject))
    if event.time is not None:
        attributes.append(("time", write_time(event.time)))
    if event.schema:
        attributes.append(("dataschema", event.schema))
    for name, value in event.extensions.items():
        if not name or name in _KNOWN or name == "data" or not _NAME.issuperset(name):
            raise EncodeError(f"a CloudEvent can't have the extension {name!r}: possible are names of a-z and 0-9")
        attributes.append((name, value))
    for name, value in attributes:
        if not isinstance(value, str):
            raise EncodeError(f"the CloudEvent's {name} is a str, not {type(value).__name__}")
    return attributes


def write_time(time: datetime) -> str:
    """Write a time by RFC 3339, in UTC."""
    from datetime import UTC

    return time.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _percent_encoded(name: str, value: str) -> str:
    # By the binding's section 3.1.3.2: space, double quote, percent, and all but printable ASCII.
    if value.isascii() and value.isprintable() and not any(char in value for char in ' "%'):
        return value
    try:
        return "".join(
            char if "!" <= char <= "~" and char not in '"%' else "".join(f"%{byte:02X}" for byte in char.encode())
            for char in value
        )
    except UnicodeEncodeError as exc:
        raise EncodeError(f"the CloudEvent's {name} has half of a surrogate pair, which no header can carry") from exc
