"""Decode queue messages, schedules, emails and RPC calls."""

from __future__ import annotations

from portable_fn.adapter.cloudevents import inside as cloud_event_inside
from portable_fn.adapter.cloudevents import neutral_inside, read_time
from portable_fn.data import parse_json
from portable_fn.errors import DecodeError
from portable_fn.events import UNREADABLE, CloudEvent, Event, Message, ObjectEvent, ScheduleEvent, Task, unreadable
from portable_fn.http import new_id
from portable_fn.record import lazy
from portable_fn_cloudflare.decode import CloudflareContext
from portable_fn_cloudflare.values import body, plain, raw, time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime
    from typing import Any

    from portable_fn_cloudflare.native import FFI, ExecutionContext, MessageBatch, QueueMessage, ScheduledController

# https://developers.cloudflare.com/r2/buckets/event-notifications/#event-types
R2_ACTIONS = {
    "PutObject": "created",
    "CopyObject": "created",
    "CompleteMultipartUpload": "created",
    "DeleteObject": "deleted",
    "LifecycleDeletion": "deleted",
}


class CloudflareEventContext(CloudflareContext):
    """The context of a call that isn't a request. Cloudflare sends no id, so each call gets a new one."""

    def __init__(self, native: ExecutionContext, cold_start: bool, env: Callable[[], Mapping[str, Any]]) -> None:
        self.provider = "cloudflare"
        self.function = ""
        self.invocation_id = new_id()
        self.native = native
        self.cold_start = cold_start
        self._cf = None
        self._env = env


def messages(batch: MessageBatch, ffi: FFI) -> tuple[list[QueueMessage], list[Message[Any] | DecodeError]]:
    """Return the native messages of a batch, and each one decoded, or the error that says why it can't be read.

    https://developers.cloudflare.com/queues/configuration/javascript-apis/#messagebatch
    """
    natives = [raw(native) for native in batch.messages]
    queue = queue_of(batch)
    items: list[Message[Any] | DecodeError] = []
    for native in natives:
        try:
            items.append(message(native, queue, ffi))
        except DecodeError as exc:
            items.append(exc)
    return natives, items


def queue_of(batch: MessageBatch) -> str:
    """Return the name of the batch's queue, or "" if it has none."""
    queue = getattr(batch, "queue", None)
    return queue if isinstance(queue, str) else ""


def message(native: QueueMessage, queue: str, ffi: FFI) -> Message[Any]:
    """Decode a queue's message. Its source is the name of the queue: Cloudflare says nothing else."""
    try:
        if not queue:
            raise DecodeError("a batch of messages has no queue name")
        id = native.id
        if not isinstance(id, str) or not id:
            raise DecodeError(f"a message of {queue!r} has no id")
        content, content_type = body(native.body, ffi)
        return Message(
            id,
            queue,
            content,
            channel=queue,
            time=_sent(native),
            content_type=content_type,
            attempt=_attempts(native),
            native=native,
        )
    except DecodeError:
        raise
    except Exception as exc:
        # The SDK and JavaScript raise errors of any class if they can't convert a value.
        raise unreadable(exc, f"a message of {queue!r}") from exc


def _sent(native: QueueMessage) -> datetime | None:
    try:
        return time(native.timestamp)
    except Exception:
        # The SDK and JavaScript raise errors of any class.
        return None


def _attempts(native: QueueMessage) -> int | None:
    attempts: Any = getattr(native, "attempts", None)
    if isinstance(attempts, float) and attempts.is_integer():
        attempts = int(attempts)
    return attempts if type(attempts) is int and attempts > 0 else None


def inside(event: Event[Any]) -> list[Event[Any]]:
    """Unwrap a queue's message that holds an R2 notification or a structured CloudEvent."""
    if not isinstance(event, Message):
        return neutral_inside(event) if isinstance(event, CloudEvent) else []
    try:
        text = event.text
    except DecodeError:
        return []  # bytes that aren't text
    if '"eventTime"' in text and (notification := _notification(text)) is not None:
        return [_object(notification, event)]
    cloud_events = cloud_event_inside(event)
    for cloud_event in cloud_events:
        cloud_event.attempt = event.attempt  # type: ignore[attr-defined]  # it is a CloudEvent
    return cloud_events


def _notification(text: str) -> dict[str, Any] | None:
    try:
        value = parse_json(text)
    except ValueError:
        return None
    known = isinstance(value, dict) and {"account", "action", "bucket", "object", "eventTime"} <= value.keys()
    return value if known else None  # type: ignore[return-value]  # it is a dict


def _object(notification: dict[str, Any], message: Message[Any]) -> ObjectEvent[Any]:
    """Decode an R2 notification. Of a deleted object it has only the key.

    https://developers.cloudflare.com/r2/buckets/event-notifications/#message-format
    """
    try:
        word, bucket, stored = notification["action"], notification["bucket"], notification["object"]
        key = stored["key"]
        action = R2_ACTIONS.get(word)
        if action is None:
            raise DecodeError(f"R2's action {str(word)[:40]!r} is unknown; possible are {', '.join(R2_ACTIONS)}")
        for name, value in (("account", notification["account"]), ("bucket", bucket), ("key", key)):
            if not isinstance(value, str):
                raise DecodeError(f"the {name} of an R2 notification must be a string, not a {type(value).__name__}")
        return ObjectEvent(
            message.id,
            f"{notification['account']}/{bucket}",
            bucket,
            key,
            action,
            time=read_time(notification["eventTime"]),
            size=_size(stored.get("size")),
            etag=etag if isinstance(etag := stored.get("eTag"), str) else None,
            type=word,
            notification=notification,
            native=message.native,
            envelopes=(*message.envelopes, message),
        )
    except UNREADABLE as exc:
        raise unreadable(exc, "an R2 notification") from exc


def _size(size: object) -> int | None:
    if isinstance(size, str) and size.isascii() and size.isdecimal() and len(size) < 20:
        size = int(size)
    return size if type(size) is int and size >= 0 else None


def schedule(controller: ScheduledController) -> ScheduleEvent[Any]:
    """Decode a schedule. Its time, in milliseconds, is when it was due.

    https://developers.cloudflare.com/workers/runtime-apis/handlers/scheduled/
    """
    from datetime import UTC, datetime

    try:
        cron, due = " ".join(controller.cron.split()), int(controller.scheduledTime)
    except UNREADABLE as exc:
        raise unreadable(exc, "a schedule") from exc
    try:
        time = datetime.fromtimestamp(due / 1000, UTC)
    except (ValueError, ArithmeticError, OSError):
        time = None
    return ScheduleEvent(f"{cron}@{due}", "scheduled", time=time, cron=cron, native=controller)


class Email(Message):
    """An email: `body` is the whole RFC 5322 message, `attributes` its headers; repeats are joined by commas."""

    content_type = "message/rfc822"

    def __init__(
        self, sender: str, recipient: str, headers: Iterable[tuple[str, str]], content: bytes, native: object
    ) -> None:
        # Delivery sets this header and replaces the sender's: RFC 5321, section 4.4.
        self.attributes = self._headers = {**dict(headers), "return-path": f"<{sender}>"}
        if not (id := self._headers.get("message-id", "").strip()):
            raise DecodeError("the email has no Message-ID")
        self.id = id
        self.source = self.channel = recipient
        self.body = content
        self.native = native

    @lazy
    def subject(self) -> str:
        subject = self._headers.get("subject", "")
        if "=?" not in subject:
            return subject
        from email.errors import MessageError
        from email.header import decode_header, make_header

        try:
            return str(make_header(decode_header(subject)))
        except (*UNREADABLE, MessageError):
            return subject  # the charset is unknown, or the bytes aren't in it

    @lazy
    def time(self) -> datetime | None:
        from datetime import UTC
        from email.utils import parsedate_to_datetime

        try:
            date = parsedate_to_datetime(self._headers["date"])
            return date.replace(tzinfo=UTC) if date.tzinfo is None else date.astimezone(UTC)
        except (*UNREADABLE, OverflowError):
            return None  # senders write anything here, or nothing


def email(native: Any, headers: Iterable[tuple[str, str]], content: bytes) -> Email:
    """Decode an email from its envelope, headers and content.

    https://developers.cloudflare.com/email-routing/email-workers/runtime-api/
    """
    try:
        recipient = read(native, "to")
        if not isinstance(recipient, str) or not recipient:
            raise DecodeError("the email has no recipient")
        return Email(_sender(native), recipient, headers, content, native)
    except UNREADABLE as exc:
        raise unreadable(exc, "an email") from exc


def _sender(native: Any) -> str:
    """Return the envelope's sender, which isn't verified; "" if there is none, as in a bounce."""
    try:
        sender = read(native, "from")
    except UNREADABLE:
        return ""
    return sender if isinstance(sender, str) else ""


def read(native: Any, name: str) -> Any:
    """Read a field of a JavaScript object, or of a dict, which RPC passes."""
    return native[name] if isinstance(native, dict) else getattr(native, name)


def task(name: str, args: Sequence[Any], by_name: Mapping[str, Any], id: str, ffi: FFI) -> Task[Any]:
    """Decode an RPC call. The input is its only argument, a list of several, or None; `id` is the id of the call."""
    inputs = [plain(value, ffi) for value in args]
    if by_name:
        inputs.append({key: plain(value, ffi) for key, value in by_name.items()})
    value = inputs if len(inputs) > 1 else inputs[0] if inputs else None
    return Task(id, "rpc", value, name=name, type="rpc", native=args)
