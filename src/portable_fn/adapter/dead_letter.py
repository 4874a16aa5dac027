"""Write and read dead letters, in one format on every provider.

A rejected message keeps its body and its attributes. These attributes are added:

    portable-fn-reason     why it was rejected, cut to 1,000 bytes
    portable-fn-source     the event's source
    portable-fn-id         the event's id
    portable-fn-attempt    which delivery was rejected, if the provider counts
    portable-fn-time       when the event happened, if the provider says; the letter's own time is that of the rejection
    portable-fn-fields     JSON of the fields that the destination can't have: channel, key, subject, partition, sequence,
                           content_type, attributes, "encoding": "base64" of a body that isn't text

Another event is a structured CloudEvent (`as_cloudevent` has the types) with the same facts as extensions, portablefnreason and so
on. So is a message if the destination accepts only text, or too few attributes.
"""

from __future__ import annotations

from binascii import a2b_base64, b2a_base64

from portable_fn.adapter import as_cloudevent, cloudevents
from portable_fn.data import parse_json, to_json
from portable_fn.errors import DecodeError
from portable_fn.events import UNREADABLE, CloudEvent, Event, Message
from portable_fn.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from portable_fn.outcomes import Reject

__all__ = [
    "ID",
    "NO_REASON",
    "REASON",
    "SOURCE",
    "Destination",
    "Letter",
    "cloud_event",
    "is_like",
    "letter",
    "reason",
    "restored",
    "structured",
    "through",
    "written",
]

PREFIX = "portable-fn-"
REASON, SOURCE, ID, ATTEMPT, TIME, FIELDS = (
    PREFIX + name for name in ("reason", "source", "id", "attempt", "time", "fields")
)
NO_REASON = "no reason given"
# In UTF-8. Pub/Sub accepts 1,024 bytes.
LONGEST_REASON = 1000

_EXTENSIONS = {name: name.replace("-", "") for name in (REASON, SOURCE, ID, ATTEMPT, TIME, FIELDS)}
# The fields of a message that portable-fn-fields has, and their empty values. The channel is one, too, unless the source ends in it.
_PLACE = {"key": None, "subject": "", "partition": None, "sequence": None, "content_type": ""}


class Destination(Record):
    """What a queue or topic accepts with a body.

    Args:
        room: The most attributes.
        longest: The most bytes of an attribute's value.
        takes_name: Returns whether it accepts an attribute of that name.
        legible: Returns a text in the characters that it accepts; the same text if it accepts it.
        names_content_type: The content type is one of the attributes.
        takes_bytes: Attributes may be bytes.
        takes_text: A body must be text.
        total: The most bytes of all attributes together.
    """

    _fields = ("room", "longest", "names_content_type", "takes_bytes", "takes_text")

    def __init__(
        self,
        room: int,
        longest: int,
        takes_name: Callable[[str], bool],
        legible: Callable[[str], str],
        *,
        names_content_type: bool = False,
        takes_bytes: bool = False,
        takes_text: bool = False,
        total: int | None = None,
    ) -> None:
        self.room = room
        self.longest = longest
        self.takes_name = takes_name
        self.legible = legible
        self.names_content_type = names_content_type
        self.takes_bytes = takes_bytes
        self.takes_text = takes_text
        self.total = total

    def takes(self, name: str, value: object) -> bool:
        """Return whether it accepts the attribute unchanged."""
        if not self.takes_name(name) or name.startswith(PREFIX) or name.lower() == "content-type":
            return False
        if isinstance(value, bytes):
            return self.takes_bytes and 0 < len(value) <= self.longest
        return isinstance(value, str) and self.takes_value(value)

    def takes_value(self, value: str) -> bool:
        """Return whether it accepts a text as an attribute's value."""
        return bool(value) and self.legible(value) == value and _size(value) <= self.longest

    def nearest(self, value: str) -> str:
        """Return the part of the text that it accepts."""
        return _cut(self.legible(value), self.longest) or "?"


class Letter(Record):
    """What is sent. `key` and `subject` are the message's, for a destination that has a place for them."""

    _fields = ("body", "content_type", "attributes", "key", "subject")

    def __init__(
        self, body: bytes, content_type: str, attributes: dict[str, str | bytes], key: str | None, subject: str
    ) -> None:
        self.body = body
        self.content_type = content_type
        self.attributes = attributes
        self.key = key
        self.subject = subject


def letter(event: Event[Any], reject: Reject, to: Destination) -> Letter:
    """Return the dead letter of an event for a destination that accepts attributes.

    Raises:
        TypeError: The event is neither a message nor can it be a CloudEvent, such as a Task.
    """
    facts = _facts(event, reject)
    if isinstance(event, Message):
        whole = _as_message(event, facts, to)
        if whole is not None:
            return whole
    attributes: dict[str, str | bytes] = {**_nearest(facts, to)}
    attributes[FIELDS] = _shown({"format": "cloudevent"}, to)
    if to.names_content_type:
        attributes["content-type"] = cloudevents.STRUCTURED
    key = getattr(event, "key", None)
    return Letter(
        structured(event, reject),
        cloudevents.STRUCTURED,
        attributes,
        key if isinstance(key, str) else None,
        event.subject,
    )


def _as_message(message: Message[Any], facts: dict[str, str], to: Destination) -> Letter | None:
    """Return the message with its unchanged body; None if the attributes can't hold everything."""
    fields: dict[str, Any] = {
        name: value for name, empty in _PLACE.items() if (value := getattr(message, name)) != empty
    }
    if (channel := message.channel) != _last(message.source):
        fields["channel"] = channel
    if (through := message.envelopes and message.envelopes[0].source) and through != message.source:
        fields["through"] = through
    content_type: str = fields.pop("content_type", "")
    attributes: dict[str, str | bytes] = {}
    if not to.takes_value(content_type):
        if content_type or not to.names_content_type:
            fields["content_type"] = content_type
        content_type = ""
    elif to.names_content_type:
        attributes["content-type"] = content_type
    attributes.update(_nearest(facts, to))
    fields.update((name.removeprefix(PREFIX), fact) for name, fact in facts.items() if attributes[name] != fact)
    body = message.body
    if to.takes_text and not _is_text(body, to):
        fields["encoding"] = "base64"
        # SQS accepts no empty body.
        body = b2a_base64(body, newline=False) or b"="
    original = dict(message.attributes)
    kept = {name: value for name, value in original.items() if value is not None and to.takes(name, value)}
    room = to.room - len(attributes)
    if len(kept) < len(original) or len(kept) > room or fields:
        kept = dict(list(kept.items())[: max(room - 1, 0)])
        others = {name: value for name, value in original.items() if name not in kept}
        if others:
            fields["attributes"] = {name: _in_json(value) for name, value in others.items()}
        attributes[FIELDS] = shown = _shown(fields, to)
        if _size(shown) > to.longest:
            return None
    everything = {**kept, **attributes}
    if to.total is not None and sum(len(name) + len(value) for name, value in everything.items()) > to.total:
        return None
    return Letter(body, content_type, everything, message.key, message.subject)


def is_like(body: bytes) -> bool:
    """Return whether a body looks like a dead letter. Such a body must not be sent unchanged to the dead letters."""
    return b"portablefnid" in body


def structured(event: Event[Any], reject: Reject) -> bytes:
    """Return the dead letter of an event for a destination that accepts only text: a structured CloudEvent, as JSON.

    Raises:
        TypeError: The event can't be a CloudEvent, such as a Task.
    """
    return written(cloud_event(event, reject))


def cloud_event(event: Event[Any], reject: Reject) -> CloudEvent[Any]:
    """Return the rejected event as a CloudEvent. Its extensions say why it was rejected, and what it was."""
    try:
        # Dapr, Knative and the like add their own extensions when they pass the letter on.
        plain = as_cloudevent.write(event, together=True)
    except DecodeError:
        plain = _unread(event)
    extensions = dict(plain.extensions)
    facts = {_EXTENSIONS[name]: value for name, value in _facts(event, reject).items()}
    fields: dict[str, Any] = {}
    # The extensions of a letter that is rejected in its turn.
    if earlier := {name: extensions.pop(name) for name in _EXTENSIONS.values() if name in extensions}:
        fields["extensions"] = earlier
    if isinstance(event, Message) and (through := event.envelopes and event.envelopes[0].source) != event.source:
        fields.update({"through": through} if through else {})
    if fields:
        facts[_EXTENSIONS[FIELDS]] = to_json(fields)
    return CloudEvent(
        plain.id,
        plain.source,
        plain.type,
        plain.body,
        subject=plain.subject,
        time=plain.time,
        content_type=plain.content_type,
        schema=plain.schema,
        extensions={**extensions, **facts},
    )


def _unread(event: Event[Any]) -> CloudEvent[Any]:
    """Return an event with unreadable contents, such as a row. Its data is what the provider sent."""
    type = str(event.type) or event.__class__.__name__
    try:
        body = to_json(event.native).encode()
    except (TypeError, ValueError, RecursionError):
        body = b""
    return CloudEvent(event.id, event.source, type, body, content_type="application/json")


def written(event: CloudEvent[Any], *, in_base64: bool = False) -> bytes:
    """Write the event in structured form, in printable characters. Its data keeps its exact bytes.

    With `in_base64` it keeps them even if somebody parses the JSON and writes it again.
    """
    value = cloudevents.write_structured(event)
    try:
        is_same = cloudevents.structured(parse_json(to_json(value))).body == event.body  # type: ignore[arg-type]  # an object
    except UNREADABLE:
        is_same = False
    if not is_same or (in_base64 and event.body):
        value.pop("data", None)
        value["data_base64"] = b2a_base64(event.body, newline=False).decode()
    text = to_json(value)
    if not text.isprintable():
        from json import dumps

        text = dumps(value)
    return text.encode()


def restored(letter: Event[Any]) -> Event[Any]:
    """Return the event in a dead letter, as it was when its handler rejected it. Its `envelopes` end with the letter.

    A message that the provider itself dead-lettered, after too many deliveries, is returned unchanged.

    Raises:
        DecodeError: It is a dead letter and can't be read.
    """
    if (cloud_event := _cloud_event_in(letter)) is not None:
        return _of_cloud_event(cloud_event, letter)
    if not isinstance(letter, Message) or ID not in letter.attributes:
        return _without_knative(letter)
    fields = _fields(letter)
    body = letter.body
    if fields.get("encoding") == "base64":
        body = b"" if body == b"=" else _decoded(body)
    source = _fact(letter, fields, SOURCE)
    attempt, time = _fact(letter, fields, ATTEMPT), _fact(letter, fields, TIME)
    hidden = {name: _of_json(value) for name, value in fields.get("attributes", {}).items()}
    visible = {name: value for name, value in letter.attributes.items() if not name.startswith(PREFIX)}
    return Message(
        _fact(letter, fields, ID),
        source,
        body,
        channel=fields.get("channel", _last(source)),
        time=cloudevents.parse_time(time) if time else None,
        content_type=fields.get("content_type", letter.content_type),
        attributes={**visible, **hidden},
        subject=fields.get("subject", ""),
        attempt=_count(attempt),
        key=fields.get("key"),
        partition=fields.get("partition"),
        sequence=fields.get("sequence"),
        native=letter.native,
        envelopes=(*letter.envelopes, letter),
    )


def reason(letter: Event[Any]) -> str | None:
    """Return why the event of a dead letter was rejected; None if the letter doesn't say."""
    if (cloud_event := _cloud_event_in(letter)) is not None:
        return cloud_event.extensions.get(_EXTENSIONS[REASON])
    attributes = letter.attributes if isinstance(letter, Message) else {}
    if ID in attributes:
        return _fact(letter, _fields(letter), REASON)  # type: ignore[arg-type]  # it is a message
    # Service Bus wrote it, with `settlement=True`, or Knative.
    why = attributes.get("DeadLetterReason")
    return why if isinstance(why, str) else _of_knative(letter)


# The attributes that Knative adds to an event for its dead-letter sink. The last has the body of the answer, in base64.
# https://knative.dev/docs/eventing/event-delivery/
_KNATIVE = ("knativeerrordest", "knativeerrorcode", "knativeerrordata")


def _of_knative(letter: Event[Any]) -> str | None:
    """Return the reason of an event that Knative dead-lettered. It is in the problem document of the answer."""
    for event in (letter, *letter.envelopes[-1:]):
        data = event.extensions.get(_KNATIVE[2]) if isinstance(event, CloudEvent) else None
        if data:
            try:
                problem: Any = parse_json(data if data.startswith("{") else a2b_base64(data).decode())
            except ValueError:
                return None
            detail = problem.get("detail") if isinstance(problem, dict) else None
            return detail if isinstance(detail, str) else None
    return None


def _without_knative(letter: Event[Any]) -> Event[Any]:
    """Return the event without the attributes of Knative."""
    name = "extensions" if isinstance(letter, CloudEvent) else "attributes"
    attributes: Mapping[str, Any] = getattr(letter, name, None) or {}
    if _KNATIVE[1] not in attributes:
        return letter
    from copy import copy

    event = copy(letter)
    setattr(event, name, {key: value for key, value in attributes.items() if key not in _KNATIVE})
    event.envelopes = (*letter.envelopes, letter)
    return event


def through(letter: Event[Any]) -> str:
    """Return the source that delivered the rejected event to its function: of a topic's message, its queue."""
    if (cloud_event := _cloud_event_in(letter)) is not None:
        fields = _json(cloud_event.extensions.get(_EXTENSIONS[FIELDS]) or "{}")
        return fields.get("through") or cloud_event.extensions.get(_EXTENSIONS[SOURCE], "")
    if isinstance(letter, Message) and ID in letter.attributes:
        fields = _fields(letter)
        return fields.get("through") or _fact(letter, fields, SOURCE)
    return ""


def _cloud_event_in(letter: Event[Any]) -> CloudEvent[Any] | None:
    """Return the CloudEvent that the letter is or holds, if portable_fn wrote it."""
    if isinstance(letter, CloudEvent):
        return letter if _EXTENSIONS[ID] in letter.extensions else None
    if not isinstance(letter, Message):
        return None
    if ID in letter.attributes:
        if _fields(letter).get("format") != "cloudevent":
            return None
        if (held := _in_body(letter)) is None:
            raise DecodeError("the body of a dead letter isn't the CloudEvent that its attributes announce")
        return held
    # An event of Dapr or HTTP is a CloudEvent, and a Message only for functions that take one.
    for event in (getattr(letter, "cloud_event", None), *letter.envelopes[-1:]):
        if isinstance(event, CloudEvent) and _EXTENSIONS[ID] in event.extensions:
            return event
    return _in_body(letter)


def _in_body(letter: Message[Any]) -> CloudEvent[Any] | None:
    if b'"portablefnid"' not in letter.body:
        return None
    try:
        value = parse_json(letter.body.decode())
    except ValueError:
        return None
    if not cloudevents.is_structured(value):
        return None
    event = cloudevents.structured(value, native=letter.native)  # type: ignore[arg-type]  # an object
    return event if _EXTENSIONS[ID] in event.extensions else None


def _of_cloud_event(cloud_event: CloudEvent[Any], letter: Event[Any]) -> Event[Any]:
    extensions = dict(cloud_event.extensions)
    facts = {name: extensions.pop(name, "") for name in _EXTENSIONS.values()}
    extensions.update(_json(facts[_EXTENSIONS[FIELDS]] or "{}").get("extensions", {}))
    if cloud_event.type == as_cloudevent.MESSAGE:
        extensions = {name: value for name, value in extensions.items() if name in as_cloudevent.PLACE}
    envelopes = (*letter.envelopes, letter)
    plain: CloudEvent[Any] = CloudEvent(
        cloud_event.id,
        cloud_event.source,
        cloud_event.type,
        cloud_event.body,
        subject=cloud_event.subject,
        time=cloud_event.time,
        content_type=cloud_event.content_type,
        schema=cloud_event.schema,
        extensions=extensions,
        attempt=_count(facts[_EXTENSIONS[ATTEMPT]]),
        native=letter.native,
        envelopes=envelopes,
    )
    if plain.type == as_cloudevent.MESSAGE:
        message = as_cloudevent.message(plain)
        message.attempt, message.envelopes = plain.attempt, envelopes
        return message
    event = as_cloudevent.read(plain)
    if event is None:
        return plain
    event.envelopes = envelopes
    return event


def _facts(event: Event[Any], reject: Reject) -> dict[str, str]:
    facts = {REASON: _reason(reject.why), SOURCE: event.source, ID: event.id}
    if (attempt := getattr(event, "attempt", None)) is not None:
        facts[ATTEMPT] = str(attempt)
    if event.time is not None:
        facts[TIME] = cloudevents.write_time(event.time)
    return facts


def _nearest(facts: Mapping[str, str], to: Destination) -> dict[str, str]:
    """Return the facts as far as the destination accepts them."""
    return {name: to.nearest(fact) for name, fact in facts.items()}


def _reason(why: str) -> str:
    """Return the reason in printable characters, cut."""
    text = why if why.isprintable() else "".join(char if char.isprintable() else " " for char in why)
    return _cut(text.strip(), LONGEST_REASON) or NO_REASON


def _cut(text: str, size: int) -> str:
    """Return the first bytes of the text, at most so many."""
    return text if len(text) * 4 <= size else text.encode("utf-8", "replace")[:size].decode("utf-8", "ignore")


def _size(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))


def _is_text(body: bytes, to: Destination) -> bool:
    try:
        return bool(body) and to.legible(text := body.decode()) == text
    except UnicodeDecodeError:
        return False


def _last(source: str) -> str:
    """Return the end of a source's name, which usually is the channel."""
    return source.rpartition("/")[2].rpartition(":")[2].removesuffix(".fifo")


def _shown(fields: Mapping[str, Any], to: Destination) -> str:
    """Write the fields in ASCII; in base64 if the destination doesn't accept JSON's characters."""
    from json import dumps

    text = dumps(fields, separators=(",", ":"))
    return text if to.legible(text) == text else b2a_base64(text.encode(), newline=False).decode()


def _in_json(value: object) -> object:
    return {"base64": b2a_base64(value, newline=False).decode()} if isinstance(value, bytes) else value


def _of_json(value: Any) -> str | bytes | None:
    if isinstance(value, dict):
        value = value.get("base64")
        return _decoded(value if isinstance(value, str) else "?")
    if value is not None and not isinstance(value, str):
        raise DecodeError(f"an attribute in the {FIELDS} of a dead letter is a {type(value).__name__}, not a text")
    return value


def _decoded(text: str | bytes) -> bytes:
    try:
        return a2b_base64(text, strict_mode=True)
    except ValueError as exc:
        raise DecodeError("a dead letter has malformed base64") from exc


def _fields(letter: Message[Any]) -> dict[str, Any]:
    fields = letter.attributes.get(FIELDS)
    if not fields:
        return {}
    try:
        text = fields.decode() if isinstance(fields, bytes) else fields
        return _json(text if text.startswith("{") else _decoded(text).decode())
    except UnicodeDecodeError as exc:
        raise DecodeError(f"the {FIELDS} of a dead letter aren't text") from exc


def _json(text: str) -> dict[str, Any]:
    try:
        value = parse_json(text)
    except ValueError as exc:
        raise DecodeError(f"the {FIELDS} of a dead letter can't be read: {exc}") from exc
    if not isinstance(value, dict):
        raise DecodeError(f"the {FIELDS} of a dead letter are a {type(value).__name__}, not an object")
    for name, member in value.items():
        wanted: Any = dict if name in ("attributes", "extensions") else str
        if not isinstance(member, wanted) or (
            name == "extensions" and not all(isinstance(text, str) for text in member.values())
        ):
            raise DecodeError(f"{name[:40]!r} in the {FIELDS} of a dead letter is a {type(member).__name__}")
    return value


def _count(text: str) -> int | None:
    return int(text) if text.isdecimal() and text.isascii() and len(text) < 10 else None


def _fact(letter: Message[Any], fields: Mapping[str, Any], name: str) -> str:
    """Return a fact. The fields have the whole value if the attribute was cut."""
    value = fields.get(name.removeprefix(PREFIX), letter.attributes.get(name)) or ""
    return value if isinstance(value, str) else value.decode("utf-8", "replace")
