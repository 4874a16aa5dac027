"""The kinds of events beside HTTP's: messages, objects, rows, schedules, CloudEvents and tasks, and what all have."""

from __future__ import annotations

import time as clock
from _contextvars import ContextVar
from collections.abc import Sequence

from portable_fn.data import parse_json
from portable_fn.errors import DecodeError
from portable_fn.record import Generic, Record, elsewhere, lazy, overload

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from datetime import datetime
    from typing import Any, Literal

    from typing_extensions import TypeVar

    from portable_fn.outcomes import Outcome

    T = TypeVar("T", default=Any)
    R = TypeVar("R")
    M = TypeVar("M", bound="Event[Any]", default="Message[Any]")

    ObjectAction = Literal["created", "deleted", "archived", "changed"]
    ChangeAction = Literal["inserted", "updated", "removed"]
else:
    T = R = M = None

__all__ = [
    "BROKEN",
    "CHANGE_ACTIONS",
    "OBJECT_ACTIONS",
    "UNREADABLE",
    "Batch",
    "ChangeEvent",
    "CloudEvent",
    "Event",
    "Message",
    "ObjectEvent",
    "ScheduleEvent",
    "Task",
    "Window",
    "decoded",
    "join_repeated",
    "optional",
    "seconds_since",
    "unreadable",
]

# What reading a payload that isn't as its provider documents it may raise.
UNREADABLE = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError)
# What reading one record of several may raise, which then stands for it: `unreadable` makes a DecodeError of each.
BROKEN = (*UNREADABLE, DecodeError)


class decoded(lazy[R], Generic[R]):
    """A lazy attribute that is read from what the provider handed over; DecodeError where that can't be read."""

    def __get__(self, instance: object | None, owner: type | None = None) -> Any:
        if instance is None:
            return self
        try:
            value = instance.__dict__[self._name] = self._read(instance)
        except BROKEN as exc:
            error = unreadable(exc, f"{self._name} of {type(instance).__name__}")
            if isinstance(instance, Event):
                error = _about(instance, error)
            raise error from (None if error is exc else exc)
        return value


def _about(event: Event[Any], error: DecodeError) -> DecodeError:
    """The error, which says whose contents can't be read: no redelivery mends them."""
    if error.event is None:
        error.event = event
    return error


class optional(lazy[R], Generic[R]):
    """A lazy attribute of side data, which neither identity nor order depends on: None if it can't be read.

    `native` has it as the provider sent it.
    """

    def __get__(self, instance: object | None, owner: type | None = None) -> Any:
        if instance is None:
            return self
        try:
            value = self._read(instance)
        except BROKEN:
            value = None
        instance.__dict__[self._name] = value
        return value


def unreadable(error: Exception, what: str) -> DecodeError:
    """The DecodeError for what went wrong while `what` was read; it names fields and types, never their contents."""
    if isinstance(error, DecodeError):
        return error
    if isinstance(error, KeyError):
        return DecodeError(f"{what} can't be read: {error.args[0]!r} is missing")
    return DecodeError(f"{what} can't be read: {type(error).__name__}")


class Event(Record, Generic[T]):
    """Something that happened and that a handler is called for.

    `id` with `source` is the same over redeliveries, `time` is aware UTC (None where the provider gives none), `data` the
    payload read as JSON or validated as the handler's annotation says, `native` what the provider handed over, as it came.
    `envelopes` are the events that it came in, outermost first.
    """

    id: str | lazy[str]
    source: str | lazy[str]
    type: str | lazy[str] = ""
    subject: str | lazy[str] = ""
    time: datetime | lazy[datetime] | lazy[datetime | None] | None
    native: object
    envelopes: tuple[Event[Any], ...] = ()
    # The name of its kind, whatever class an adapter has for it.
    kind_name = "Event"
    # Whether whoever sent it wrote what is inside, and may have made it look like any source's event, as is so of messages.
    sender_wrote_contents = False

    def __eq__(self, other: object) -> bool:
        # An adapter's own class of a kind has the kind's fields.
        if not isinstance(other, Event) or other._fields is not self._fields:
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self._fields)

    __hash__ = None

    @lazy
    def data(self) -> T:
        """The payload read as JSON; what the handler's annotation asks for where that names a type."""
        data: T = self.read_data()
        return data

    if not TYPE_CHECKING:
        # What handlers of AWS do with their event.
        get = elsewhere("an event is not a dict; event.data has the data, event.native what the provider sent")

        def __getitem__(self, key: object) -> object:
            from portable_fn.hints import subscript

            raise TypeError(subscript(self, key))

    @property
    def fingerprint(self) -> object:
        """What tells two events of a batch apart whose senders gave them the same id; hashable.

        Deliveries of one event have the same.
        """
        return None

    def read_data(self) -> Any:
        """The data as it came, whatever the handler's annotation says."""
        raise NotImplementedError

    def json_text(self) -> str | None:
        """The JSON text that the data was read from; None where it was something else."""
        return None

    @property
    def carrier(self) -> Mapping[str, Any]:
        """Where the trace and correlation ids of whoever caused the event are looked up, by lower-case name."""
        return {}


class _Content(Event[T], Generic[T]):
    """An event with a body of a content type."""

    body: bytes | lazy[bytes]
    content_type: str | lazy[str] = ""

    @property
    def fingerprint(self) -> object:
        """The fields that tell two events with one id apart."""
        return self.body

    @lazy
    def text(self) -> str:
        """The body as UTF-8; DecodeError where it isn't."""
        try:
            return self.body.decode()
        except UnicodeDecodeError as exc:
            error = DecodeError(f"the body of {self.id} is not UTF-8 at offset {exc.start}; body has its bytes")
            raise _about(self, error) from None

    def read_data(self) -> Any:
        """JSON, unless the content type says text or something binary, which stay str and bytes; None for an empty body."""
        if self.content_type and not self._is_json:
            return self.text if self.content_type.lower().startswith("text/") else self.body
        text = self.text
        if not text:
            return None
        try:
            return parse_json(text)
        except ValueError as exc:
            error = DecodeError(
                f"the body of {self.id} is not JSON: {exc}; text and body have it as it came, content_type is "
                f"{self.content_type or 'not told'!r}"
            )
            raise _about(self, error) from None

    def json_text(self) -> str | None:
        return self.text if not self.content_type or self._is_json else None

    @property
    def _is_json(self) -> bool:
        media_type = self.content_type.partition(";")[0].rstrip().lower()
        return media_type.endswith(("/json", "+json"))


class Message(_Content[T], Generic[T]):
    """A message of a queue, a topic or a stream.

    `channel` is the short name of that queue, topic or stream, `source` the provider's whole one. `attributes` are what the
    sender attached, as str, bytes if they aren't text, or None for a Kafka header that is null. `attempt` counts deliveries from 1, None where the provider
    doesn't tell. Messages with the same `key` (FIFO group, ordering or partition key, session) come in order; `partition`
    (a shard too) and `sequence` say where in a stream it stands.
    """

    kind_name = "Message"
    # Bodies and attributes hold secrets, and what is shown reaches logs.
    _shown = ("id", "channel", "attempt")
    _fields = (
        "id", "source", "channel", "time", "body", "content_type", "attributes", "subject", "attempt", "key", "partition",
        "sequence",
    )  # fmt: skip

    channel: str | lazy[str]
    attributes: Mapping[str, str | bytes | None] | lazy[Mapping[str, str | bytes | None]]
    attempt: int | lazy[int | None] | None = None
    key: str | lazy[str | None] | None = None
    partition: str | lazy[str | None] | None = None
    sequence: str | lazy[str | None] | None = None

    def __init__(
        self,
        id: str,
        source: str,
        body: bytes,
        *,
        channel: str = "",
        time: datetime | None = None,
        content_type: str = "",
        attributes: Mapping[str, str | bytes | None] | None = None,
        subject: str = "",
        attempt: int | None = None,
        key: str | None = None,
        partition: str | None = None,
        sequence: str | None = None,
        native: object = None,
        envelopes: tuple[Event[Any], ...] = (),
    ) -> None:
        self.id = id
        self.source = source
        self.body = body
        self.channel = channel
        self.time = time
        self.content_type = content_type
        self.attributes = {} if attributes is None else attributes
        self.subject = subject
        self.attempt = attempt
        self.key = key
        self.partition = partition
        self.sequence = sequence
        self.native = native
        self.envelopes = envelopes

    @property
    def carrier(self) -> Mapping[str, Any]:
        """The names and values that have the ids of the trace and the correlation."""
        return self.attributes

    @property
    def fingerprint(self) -> object:
        """The fields that tell two events with one id apart."""
        attributes = tuple(sorted(self.attributes.items()))
        return self.sequence, self.body, self.content_type, self.subject, attributes


def join_repeated(pairs: Iterable[tuple[str, str | bytes | None]]) -> dict[str, str | bytes | None]:
    """Attributes whose names may be repeated, such as Kafka's headers: the values of one name are joined by ", ".

    The joined value is bytes if one of them is. None beside other values is left out.
    """
    joined: dict[str, str | bytes | None] = {}
    for name, value in pairs:
        before = joined.get(name)
        if before is None:
            joined[name] = value
        elif isinstance(before, str) and isinstance(value, str):
            joined[name] = f"{before}, {value}"
        elif value is not None:
            joined[name] = b", ".join(one.encode() if isinstance(one, str) else one for one in (before, value))
    return joined


class Window(Record):
    """The tumbling window of a stream's batch.

    `start` and `end` are aware UTC. `is_final` marks the window's last batch, `ended_early` a window whose state grew too
    large.
    """

    _fields = ("start", "end", "is_final", "ended_early")

    def __init__(self, start: datetime, end: datetime, *, is_final: bool = False, ended_early: bool = False) -> None:
        self.start = start
        self.end = end
        self.is_final = is_final
        self.ended_early = ended_early


class Batch(Record, Sequence[M], Generic[M]):
    """The messages that came together, for a handler that wants them so: a sequence.

    `retry(message)` and `reject(message)` settle one of them, the others are done when the handler returns, and retried when
    it raises. Where the source has order, what follows a retried message under its key comes again too. `state` is what the
    handler kept in this `window` before, and may change; both are only there where the provider has windows.
    """

    _fields = ("messages",)

    def __init__(
        self,
        messages: Sequence[M],
        *,
        window: Window | None = None,
        state: dict[str, Any] | None = None,
        native: object = None,
    ) -> None:
        self.messages = list(messages)
        self.window = window
        self.state: dict[str, Any] = {} if state is None else state
        self.native = native
        self.outcomes: dict[int, Outcome] = {}

    @overload
    def __getitem__(self, index: int) -> M: ...
    @overload
    def __getitem__(self, index: slice) -> list[M]: ...
    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, str):
            from portable_fn.hints import subscript

            raise TypeError(subscript(self, index))
        return self.messages[index]

    def __len__(self) -> int:
        return len(self.messages)

    def __iter__(self) -> Iterator[M]:
        return iter(self.messages)

    def retry(self, message: M, after: float | None = None, why: str = "") -> None:
        """Has the message come again, after that many seconds where the provider can wait."""
        from portable_fn.outcomes import Retry

        self._settle(message, Retry(why, after=after))

    def reject(self, message: M, why: str = "") -> None:
        """Has the message dead-lettered: it is never to come again."""
        from portable_fn.outcomes import Reject

        self._settle(message, Reject(why))

    def _settle(self, message: M, outcome: Outcome) -> None:
        if not any(message is one for one in self.messages):
            raise ValueError(f"{message!r} is not of this batch")
        self.outcomes[id(message)] = outcome


OBJECT_ACTIONS = ("created", "deleted", "archived", "changed")


class ObjectEvent(Event[T], Generic[T]):
    """An object was created, deleted, archived (moved to colder storage, or noncurrent), or its metadata changed.

    `key` is decoded. `size` is in bytes; `etag`, `version` (a version id or generation) and `content_type` are None where the
    provider doesn't tell. `body` is the object's content where the provider hands it over, else None. `type` is the
    provider's own word for what happened. `data` is the notification as the provider has it.
    """

    kind_name = "ObjectEvent"
    _fields = ("id", "source", "time", "bucket", "key", "action", "size", "etag", "version", "content_type")

    def __init__(
        self,
        id: str,
        source: str,
        bucket: str,
        key: str,
        action: str,
        *,
        time: datetime | None = None,
        size: int | None = None,
        etag: str | None = None,
        version: str | None = None,
        content_type: str | None = None,
        metadata: Mapping[str, str] | None = None,
        body: bytes | Callable[[], bytes] | None = None,
        type: str = "",
        notification: Any = None,
        native: object = None,
        envelopes: tuple[Event[Any], ...] = (),
    ) -> None:
        self.id = id
        self.source = source
        self.bucket = bucket
        self.key = key
        self.action = action
        self.time = time
        self.size = size
        self.etag = etag
        self.version = version
        self.content_type = content_type
        self.metadata = {} if metadata is None else metadata
        self._body = body
        self.type = type
        self._notification = notification
        self.native = native
        self.envelopes = envelopes

    @property
    def subject(self) -> str:  # type: ignore[override]  # read-only here
        """The key."""
        return self.key

    @lazy
    def body(self) -> bytes | None:
        """The object's content where the provider hands it over, else None."""
        return self._body() if callable(self._body) else self._body

    def read_data(self) -> Any:
        """Return the data before validation."""
        return self._notification


CHANGE_ACTIONS = ("inserted", "updated", "removed")


class ChangeEvent(Event[T], Generic[T]):
    """A row or document was inserted, updated or removed.

    `table` is the short name of the table or collection, `key` what identifies the row, `before` and `after` the row's
    values, None where there is none or the provider doesn't tell. `partition` and `sequence` say where in the table's stream
    it stands. `data` is `after`, or `before` of a removed row.
    """

    kind_name = "ChangeEvent"
    _fields = ("id", "source", "time", "table", "action", "key", "before", "after", "partition", "sequence")
    _shown = ("id", "table", "action")

    table: str | lazy[str]
    action: str | lazy[str]
    key: Mapping[str, Any] | lazy[Mapping[str, Any]]
    before: Mapping[str, Any] | lazy[Mapping[str, Any] | None] | None
    after: Mapping[str, Any] | lazy[Mapping[str, Any] | None] | None
    partition: str | lazy[str | None] | None
    sequence: str | lazy[str | None] | None

    def __init__(
        self,
        id: str,
        source: str,
        table: str,
        action: str,
        *,
        key: Mapping[str, Any] | None = None,
        before: Mapping[str, Any] | None = None,
        after: Mapping[str, Any] | None = None,
        time: datetime | None = None,
        partition: str | None = None,
        sequence: str | None = None,
        type: str = "",
        native: object = None,
        envelopes: tuple[Event[Any], ...] = (),
    ) -> None:
        self.id = id
        self.source = source
        self.table = table
        self.action = action
        self.key = {} if key is None else key
        self.before = before
        self.after = after
        self.time = time
        self.partition = partition
        self.sequence = sequence
        self.type = type
        self.native = native
        self.envelopes = envelopes

    def read_data(self) -> Any:
        """Return the data before validation."""
        return self.before if self.after is None else self.after


# Returns the seconds since a schedule was due, if a simulated source decides that; else the system's clock does.
seconds_since: ContextVar[Callable[[datetime], float] | None] = ContextVar("seconds_since", default=None)


class ScheduleEvent(Event[T], Generic[T]):
    """It is time.

    `time` is when it was due, `name` the rule, job or timer, `cron` its schedule, both "" where the provider doesn't tell.
    `is_late` says that it came noticeably later than it was due: by the provider's word, or, where it says nothing, over a
    minute. `data` is the schedule's own input, None without one.
    """

    kind_name = "ScheduleEvent"
    _fields = ("id", "source", "time", "name", "cron", "input")
    LATE = 60.0

    def __init__(
        self,
        id: str,
        source: str,
        *,
        time: datetime | None = None,
        name: str = "",
        cron: str = "",
        is_late: bool | None = None,
        input: Any = None,
        attempt: int | None = None,
        native: object = None,
        envelopes: tuple[Event[Any], ...] = (),
    ) -> None:
        self.id = id
        self.source = source
        self.time = time
        self.name = name
        self.cron = cron
        self.is_late = time is not None and _seconds_since(time) > self.LATE if is_late is None else is_late
        self.input = input
        self.attempt = attempt
        self.native = native
        self.envelopes = envelopes

    def read_data(self) -> Any:
        """Return the data before validation."""
        return self.input


def _seconds_since(due: datetime) -> float:
    simulated = seconds_since.get()
    return clock.time() - due.timestamp() if simulated is None else simulated(due)


class CloudEvent(_Content[T], Generic[T]):
    """An event of a bus, as CloudEvents 1.0 has it.

    https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md

    `content_type` is its `datacontenttype`, `schema` its `dataschema`; `extensions` are its further attributes. `data` is JSON,
    or text or bytes where the content type says so. `attempt` counts deliveries from 1, None where the provider doesn't tell.
    """

    kind_name = "CloudEvent"
    _shown = ("id", "source", "type")
    _fields = ("id", "source", "type", "subject", "time", "content_type", "schema", "extensions", "body")

    extensions: Mapping[str, str] | lazy[Mapping[str, str]]

    def __init__(
        self,
        id: str,
        source: str,
        type: str,
        body: bytes = b"",
        *,
        subject: str = "",
        time: datetime | None = None,
        content_type: str = "",
        schema: str = "",
        extensions: Mapping[str, str] | None = None,
        attempt: int | None = None,
        native: object = None,
        envelopes: tuple[Event[Any], ...] = (),
    ) -> None:
        self.id = id
        self.source = source
        self.type = type
        self.body = body
        self.subject = subject
        self.time = time
        self.content_type = content_type
        self.schema = schema
        self.extensions = {} if extensions is None else extensions
        self.attempt = attempt
        self.native = native
        self.envelopes = envelopes

    @property
    def fingerprint(self) -> object:
        """The fields that tell two events with one id apart."""
        # Not the extensions: a trace may be another one for each delivery.
        return self.type, self.subject, self.content_type, self.body

    @property
    def carrier(self) -> Mapping[str, Any]:
        """The names and values that have the ids of the trace and the correlation."""
        return self.extensions


class Task(Event[T], Generic[T]):
    """A direct call: a JSON value in, a JSON value out.

    `name` is the function or activity that was called, `type` what called it ("invoke", or the provider's service where it is
    one of those that have no kind of their own, such as "cognito"). `data` is the value. What the handler returns is the
    answer; what it raises reaches the caller by the name of its class and its message.
    """

    kind_name = "Task"
    _fields = ("id", "source", "name", "type", "input")
    _shown = ("id", "name", "type")

    def __init__(
        self,
        id: str,
        source: str,
        input: Any = None,
        *,
        name: str = "",
        type: str = "invoke",
        subject: str = "",
        time: datetime | None = None,
        attempt: int | None = None,
        carrier: Mapping[str, Any] | None = None,
        native: object = None,
        envelopes: tuple[Event[Any], ...] = (),
    ) -> None:
        self.id = id
        self.source = source
        self.input = input
        self.name = name
        self.type = type
        self.subject = subject
        self.time = time
        self.attempt = attempt
        self._carrier = carrier
        self.native = native
        self.envelopes = envelopes

    @property
    def carrier(self) -> Mapping[str, Any]:
        """The names and values that have the ids of the trace and the correlation."""
        return self._carrier or {}

    def read_data(self) -> Any:
        """Return the data before validation."""
        return self.input
