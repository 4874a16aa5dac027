"""The kinds of events other than requests: messages, objects, rows, schedules, CloudEvents and tasks."""

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

# The errors of reading a payload that differs from the provider's documentation.
UNREADABLE = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError)
# The errors of reading one record of several; `unreadable` makes a DecodeError of each, which takes the record's place.
BROKEN = (*UNREADABLE, DecodeError)


class decoded(lazy[R], Generic[R]):
    """A lazy attribute that is read from the provider's payload.

    Raises:
        DecodeError: The payload can't be read.
    """

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
    """Note on the error whose contents can't be read: a redelivery doesn't help."""
    if error.event is None:
        error.event = event
    return error


class optional(lazy[R], Generic[R]):
    """A lazy attribute that neither identity nor order depends on. It is None if it can't be read.

    `native` has what the provider sent.
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
    """Return a DecodeError for an error while `what` was read. It names fields and types, never their contents."""
    if isinstance(error, DecodeError):
        return error
    if isinstance(error, KeyError):
        return DecodeError(f"{what} can't be read: {error.args[0]!r} is missing")
    return DecodeError(f"{what} can't be read: {type(error).__name__}")


class Event(Record, Generic[T]):
    """Something that happened, for which a handler is called.

    - `id` with `source` is the same in every delivery of the event.
    - `time` is aware UTC; None if the provider sends none.
    - `data` is the payload, read as JSON or validated by the handler's annotation.
    - `native` is what the provider sent, unchanged.
    - `envelopes` are the events around this one, outermost first.
    """

    id: str | lazy[str]
    source: str | lazy[str]
    type: str | lazy[str] = ""
    subject: str | lazy[str] = ""
    time: datetime | lazy[datetime] | lazy[datetime | None] | None
    native: object
    envelopes: tuple[Event[Any], ...] = ()
    # The name of the kind, whatever class an adapter uses.
    kind_name = "Event"
    # Whether the sender wrote the contents, and so can imitate any source's event, as in a message.
    sender_wrote_contents = False

    def __eq__(self, other: object) -> bool:
        # An adapter's own class for a kind has the fields of the kind.
        if not isinstance(other, Event) or other._fields is not self._fields:
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self._fields)

    __hash__ = None

    @lazy
    def data(self) -> T:
        """The payload, read as JSON or validated by the handler's annotation."""
        data: T = self.read_data()
        return data

    if not TYPE_CHECKING:
        # AWS handlers read their event so.
        get = elsewhere("an event is not a dict; event.data has the data, event.native what the provider sent")

        def __getitem__(self, key: object) -> object:
            from portable_fn.hints import subscript

            raise TypeError(subscript(self, key))

    @property
    def fingerprint(self) -> object:
        """A hashable value that tells two events with one id apart.

        Deliveries of the same event have the same fingerprint.
        """
        return None

    def read_data(self) -> Any:
        """Read the data before validation."""
        raise NotImplementedError

    def json_text(self) -> str | None:
        """Return the JSON text of the data; None if it isn't JSON."""
        return None

    @property
    def carrier(self) -> Mapping[str, Any]:
        """The names and values that have the ids of the trace and the correlation, by lower-case name."""
        return {}


class _Content(Event[T], Generic[T]):
    """An event with a body and its content type."""

    body: bytes | lazy[bytes]
    content_type: str | lazy[str] = ""

    @property
    def fingerprint(self) -> object:
        """The fields that tell two events with one id apart."""
        return self.body

    @lazy
    def text(self) -> str:
        """The body as UTF-8.

        Raises:
            DecodeError: The body isn't UTF-8.
        """
        try:
            return self.body.decode()
        except UnicodeDecodeError as exc:
            error = DecodeError(f"the body of {self.id} is not UTF-8 at offset {exc.start}; body has its bytes")
            raise _about(self, error) from None

    def read_data(self) -> Any:
        """Read JSON, a str if the content type is text, or bytes if it is binary; None if the body is empty."""
        if self.content_type and not self._is_json:
            return self.text if self.content_type.lower().startswith("text/") else self.body
        text = self.text
        if not text:
            return None
        try:
            return parse_json(text)
        except ValueError as exc:
            error = DecodeError(
                f"the body of {self.id} is not JSON: {exc}; text and body have it unchanged, content_type is "
                f"{self.content_type!r}"
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

    - `channel` is the short name of the queue, topic or stream, `source` the provider's full name.
    - `attributes` are the sender's: str, or bytes if they aren't text, or None for a null header of Kafka.
    - `attempt` counts deliveries from 1; None if the provider doesn't.
    - Messages with one `key` (FIFO group, ordering or partition key, session) are in order.
    - `partition`, or shard, and `sequence` are its place in a stream.
    """

    kind_name = "Message"
    # Bodies and attributes hold secrets, and a repr reaches logs.
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
    """Join repeated attributes, such as Kafka's headers, with ", ".

    A joined value is bytes if one of its parts is. None beside other values is left out.
    """
    joined: dict[str, str | bytes | None] = {}
    for name, value in pairs:
        before = joined.get(name)
        if before is None:
            joined[name] = value
        elif isinstance(before, str) and isinstance(value, str):
            joined[name] = f"{before}, {value}"
        elif value is not None:
            joined[name] = b", ".join(part.encode() if isinstance(part, str) else part for part in (before, value))
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
    """The messages of one delivery, as a sequence, for a handler that takes them together.

    `retry(message)` and `reject(message)` set the outcome of one message. The others are acknowledged if the handler returns, and
    retried if it raises. If the source has order, the later messages of a retried message's key are retried, too.

    If the provider has windows, `window` is the batch's, and `state` is what the handler kept in it; the handler may change it.
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
        """Retry a message, after that many seconds if the provider can wait."""
        from portable_fn.outcomes import Retry

        self._set(message, Retry(why, after=after))

    def reject(self, message: M, why: str = "") -> None:
        """Dead-letter a message."""
        from portable_fn.outcomes import Reject

        self._set(message, Reject(why))

    def _set(self, message: M, outcome: Outcome) -> None:
        if not any(message is other for other in self.messages):
            raise ValueError(f"{message!r} isn't in this batch")
        self.outcomes[id(message)] = outcome


OBJECT_ACTIONS = ("created", "deleted", "archived", "changed")


class ObjectEvent(Event[T], Generic[T]):
    """An object was created, deleted or archived (moved to colder storage, or noncurrent), or its metadata changed.

    - `key` is decoded. `size` is in bytes.
    - `etag`, `version` (a version id or generation) and `content_type` are None if the provider doesn't send them.
    - `body` is the object's content if the provider sends it, else None.
    - `type` is the provider's name for what happened, `data` the provider's notification.
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
        """The object's content if the provider sends it, else None."""
        return self._body() if callable(self._body) else self._body

    def read_data(self) -> Any:
        """Return the notification."""
        return self._notification


CHANGE_ACTIONS = ("inserted", "updated", "removed")


class ChangeEvent(Event[T], Generic[T]):
    """A row or document was inserted, updated or removed.

    - `table` is the short name of the table or collection, `key` identifies the row.
    - `before` and `after` are the row's values; None if there are none or the provider doesn't send them.
    - `partition` and `sequence` are its place in the table's stream.
    - `data` is `after`, or `before` of a removed row.
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
        """Return the row before validation."""
        return self.before if self.after is None else self.after


# Returns the seconds since a schedule was due, for a simulated source. None: use the system's clock.
seconds_since: ContextVar[Callable[[datetime], float] | None] = ContextVar("seconds_since", default=None)


class ScheduleEvent(Event[T], Generic[T]):
    """A scheduled time has come.

    - `time` is when it was due.
    - `name` is that of the rule, job or timer, `cron` its schedule; both are "" if the provider doesn't send them.
    - `is_late`: it is late by the provider's word; if the provider says nothing, by more than a minute.
    - `data` is the schedule's own input; None if it has none.
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
        """Return the input before validation."""
        return self.input


def _seconds_since(due: datetime) -> float:
    simulated = seconds_since.get()
    return clock.time() - due.timestamp() if simulated is None else simulated(due)


class CloudEvent(_Content[T], Generic[T]):
    """An event of a bus, in the terms of CloudEvents 1.0.

    https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md

    `content_type` is its `datacontenttype`, `schema` its `dataschema`; `extensions` are its other attributes. `data` is JSON,
    or text or bytes if the content type says so. `attempt` counts deliveries from 1; None if the provider doesn't.
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
        # Without the extensions, since each delivery may have its own trace.
        return self.type, self.subject, self.content_type, self.body

    @property
    def carrier(self) -> Mapping[str, Any]:
        """The names and values that have the ids of the trace and the correlation."""
        return self.extensions


class Task(Event[T], Generic[T]):
    """A direct call: a JSON value in, a JSON value out.

    `name` is the called function or activity. `type` is its caller: "invoke", or a provider's service without its own kind of
    event, such as "cognito". `data` is the value. The caller gets what the handler returns, or the class name and message of what
    it raises.
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
        """Return the input before validation."""
        return self.input
