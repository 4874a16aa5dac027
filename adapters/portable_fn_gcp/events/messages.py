"""Messages of Pub/Sub and Cloud Tasks.

https://cloud.google.com/pubsub/docs/push#receive_push, https://cloud.google.com/pubsub/docs/payload-unwrapping and
https://cloud.google.com/tasks/docs/creating-http-target-tasks#handler
"""

from __future__ import annotations

from binascii import a2b_base64

from portable_fn.adapter import callers
from portable_fn.adapter.cloudevents import is_unicode, json_data, read_time
from portable_fn.errors import DecodeError
from portable_fn.events import Message

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from typing import Any

    from portable_fn.events import CloudEvent, Event
    from portable_fn.http import Request
    from portable_fn.pairs import Headers

PUBLISHED = "google.cloud.pubsub.topic.v1.messagePublished"

# What the way from Google to the function adds to a request; the rest of the headers is the sender's.
_OF_THE_WAY = frozenset(
    (
        "accept", "accept-encoding", "authorization", "connection", "content-length", "content-type", "forwarded", "from",
        "function-execution-id", "host", "transfer-encoding", "user-agent", "via", "x-cloud-trace-context", "x-forwarded-for",
        "x-forwarded-host", "x-forwarded-proto", "x-serverless-authorization", callers.HEADER,
    )
)  # fmt: skip
_OF_GOOGLE = ("x-goog-", "x-google-", "x-cloudtasks-", "x-appengine-")


def pushed(body: Mapping[str, Any], request: object) -> Message[Any]:
    """The message of a push, wrapped; `source` and `channel` are the subscription, since a push doesn't tell the topic."""
    return _message(body["message"], body.get("deliveryAttempt"), body["subscription"], native=request)


def published(event: CloudEvent[Any]) -> Message[Any]:
    """The message of an event by Eventarc, or of a first-generation one; `source` and `channel` are the topic."""
    body = json_data(event)
    if not isinstance(body, dict) or "message" not in body:
        raise DecodeError(f"an event of type {PUBLISHED} has no message: its data is a {type(body).__name__}")
    return _message(
        body["message"],
        body.get("deliveryAttempt"),
        event.source,
        id=event.id,
        time=event.time,
        native=event.native,
        envelopes=(*event.envelopes, event),
    )


def _message(
    message: object,
    attempt: object,
    source: str,
    *,
    id: str | None = None,
    time: datetime | None = None,
    native: object,
    envelopes: tuple[Event[Any], ...] = (),
) -> Message[Any]:
    if not isinstance(message, dict):
        raise DecodeError(f"a Pub/Sub message is an object, not a {type(message).__name__}")
    # Each comes by both names, as the service sends it and the emulator too (0.8.20).
    given = _text(message, "messageId", "message_id") or id
    if not given:
        raise DecodeError("a Pub/Sub message has no messageId")
    attributes = texts(message.get("attributes"))
    data = message.get("data")
    content_type = ""
    for name in ("content-type", "Content-Type"):
        # The field that Pub/Sub hasn't, by the name that CloudEvents' own binding uses.
        if name in attributes:
            content_type = attributes[name]
            attributes = {key: value for key, value in attributes.items() if key != name}
            break
    return Message(
        given,
        source,
        # A message of attributes alone has no data, or empty data.
        b"" if data is None else _bytes(data),
        channel=source.rpartition("/")[2],
        time=read_time(message.get("publishTime") or message.get("publish_time")) or time,
        content_type=content_type,
        attributes=attributes,
        attempt=_count(attempt),
        key=_text(message, "orderingKey", "ordering_key") or None,
        native=native,
        envelopes=envelopes,
    )


def unwrapped(request: Request[Any]) -> Message[Any]:
    """The message of a push without its wrapper: the data is the body, the rest in headers; nothing tells the attempt.

    Without `--push-no-wrapper-write-metadata` there are no such headers, and nobody could know the request for a push. The
    names of attributes are in lower case, since HTTP's are.
    """
    headers = request.headers
    id = headers["x-goog-pubsub-message-id"]
    subscription = headers.get("x-goog-pubsub-subscription-name")
    if not id or not subscription:
        raise DecodeError("an unwrapped push has no x-goog-pubsub-message-id or no x-goog-pubsub-subscription-name")
    content_type = headers.get("content-type", "")
    # The emulator's own, 0.8.20, whatever the data is.
    if content_type.startswith(("application/x-www-form-urlencoded", "application/octet-stream")):
        content_type = ""
    return Message(
        id,
        subscription,
        request.body,
        channel=subscription.rpartition("/")[2],
        time=read_time(headers.get("x-goog-pubsub-publish-time")),
        content_type=content_type,
        attributes=_attributes(headers),
        # The service's name, and the emulator's.
        key=headers.get("x-goog-pubsub-ordering-key") or headers.get("x-goog-ordering-key"),
        native=request,
    )


def queued(request: Request[Any]) -> Message[Any]:
    """The task of a Cloud Tasks queue; `time` is when it was due, `attributes` are the task's own headers.

    `attempt` comes of TaskRetryCount: TaskExecutionCount leaves out attempts that the function never answered.
    """
    headers = request.headers
    queue, task = headers.get("x-cloudtasks-queuename"), headers.get("x-cloudtasks-taskname")
    if not queue or not task:
        raise DecodeError("a task has no X-CloudTasks-QueueName or no X-CloudTasks-TaskName")
    retries = _count(headers.get("x-cloudtasks-taskretrycount"))
    content_type = headers.get("content-type", "")
    return Message(
        f"{queue}/{task}",
        queue,
        request.body,
        channel=queue.rpartition("/")[2],
        time=_of_epoch(headers.get("x-cloudtasks-tasketa", "")),
        # What Cloud Tasks sends where the task has none of its own.
        content_type="" if content_type == "application/octet-stream" else content_type,
        attributes=_attributes(headers),
        attempt=None if retries is None else retries + 1,
        native=request,
    )


def _attributes(headers: Headers) -> dict[str, str]:
    return {name: headers[name] for name in headers if name not in _OF_THE_WAY and not name.startswith(_OF_GOOGLE)}


def texts(given: object) -> dict[str, str]:
    """The texts of an object, such as attributes; what is no text is left out."""
    return {name: value for name, value in given.items() if isinstance(value, str)} if isinstance(given, dict) else {}


def _text(message: Mapping[str, Any], *names: str) -> str:
    for name in names:
        value = message.get(name)
        if value is not None:
            if not isinstance(value, str):
                raise DecodeError(f"a Pub/Sub message's {name} is a {type(value).__name__}, not a text")
            if not value.isascii() and not is_unicode(value):
                raise DecodeError(f"a Pub/Sub message's {name} has half of a surrogate pair, which is no text")
            return value
    return ""


def _bytes(data: object) -> bytes:
    try:
        return a2b_base64(data, strict_mode=True)  # type: ignore[arg-type]  # anything else is a TypeError
    except (ValueError, TypeError):
        raise DecodeError(f"a Pub/Sub message's data is no base64 text but a {type(data).__name__}") from None


def _count(value: object) -> int | None:
    """A number from 0, of JSON or of a header; None for anything else."""
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 10:
        value = int(value)
    return value if type(value) is int and value >= 0 else None


def _of_epoch(seconds: str) -> datetime | None:
    """A time of seconds since 1970 with up to six decimals; None for anything else."""
    from datetime import UTC, datetime, timedelta

    whole, _, fraction = seconds.partition(".")
    digits = whole + fraction
    # The end of the year 9999 has 12 digits.
    if not (whole and digits.isascii() and digits.isdecimal()) or len(whole) > 12 or int(whole) > 253402300799:
        return None
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(
        seconds=int(whole), microseconds=int(fraction[:6].ljust(6, "0"))
    )
