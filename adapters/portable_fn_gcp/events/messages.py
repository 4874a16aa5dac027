"""Decode messages of Pub/Sub and Cloud Tasks.

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

# Headers that Google and its front end add; all others are the sender's.
_ADDED = frozenset(
    (
        "accept", "accept-encoding", "authorization", "connection", "content-length", "content-type", "forwarded", "from",
        "function-execution-id", "host", "transfer-encoding", "user-agent", "via", "x-cloud-trace-context", "x-forwarded-for",
        "x-forwarded-host", "x-forwarded-proto", "x-serverless-authorization", callers.HEADER,
    )
)  # fmt: skip
_GOOGLE_PREFIXES = ("x-goog-", "x-google-", "x-cloudtasks-", "x-appengine-")


def push(body: Mapping[str, Any], request: object) -> Message[Any]:
    """Decode a wrapped push; `source` and `channel` are the subscription, since a push doesn't contain the topic."""
    return _message(body["message"], body.get("deliveryAttempt"), body["subscription"], native=request)


def eventarc(event: CloudEvent[Any]) -> Message[Any]:
    """Decode the message in an event from Eventarc or of the first generation; `source` and `channel` are the topic."""
    body = json_data(event)
    if not isinstance(body, dict) or "message" not in body:
        raise DecodeError(f"an event of type {PUBLISHED} has no message: its data is {type(body).__name__}")
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
        raise DecodeError(f"a Pub/Sub message must be an object, not {type(message).__name__}")
    # The service and the emulator (0.8.20) send each member under both names.
    message_id = _text(message, "messageId", "message_id") or id
    if not message_id:
        raise DecodeError("a Pub/Sub message has no messageId")
    attributes = texts(message.get("attributes"))
    data = message.get("data")
    content_type = ""
    for name in ("content-type", "Content-Type"):
        # Pub/Sub has no such field; CloudEvents' Pub/Sub binding uses this attribute.
        if name in attributes:
            content_type = attributes[name]
            attributes = {key: value for key, value in attributes.items() if key != name}
            break
    return Message(
        message_id,
        source,
        # A message that has only attributes has no data, or empty data.
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


def unwrapped_push(request: Request[Any]) -> Message[Any]:
    """Decode an unwrapped push: the body is the data, headers hold the rest. It doesn't contain the attempt.

    Without `--push-no-wrapper-write-metadata` these headers are missing, and a push looks like any other request. Names of
    attributes are in lower case, as in HTTP.
    """
    headers = request.headers
    id = headers["x-goog-pubsub-message-id"]
    subscription = headers.get("x-goog-pubsub-subscription-name")
    if not id or not subscription:
        raise DecodeError("an unwrapped push has no x-goog-pubsub-message-id or no x-goog-pubsub-subscription-name")
    content_type = headers.get("content-type", "")
    # The emulator (0.8.20) sends these for any data.
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
        # The service's name, then the emulator's.
        key=headers.get("x-goog-pubsub-ordering-key") or headers.get("x-goog-ordering-key"),
        native=request,
    )


def cloud_task(request: Request[Any]) -> Message[Any]:
    """Decode a task of a Cloud Tasks queue; `time` is when it was due, `attributes` are the task's own headers.

    `attempt` is TaskRetryCount + 1. TaskExecutionCount doesn't count attempts that the function never answered.
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
        # Cloud Tasks sends this if the task has no content type.
        content_type="" if content_type == "application/octet-stream" else content_type,
        attributes=_attributes(headers),
        attempt=None if retries is None else retries + 1,
        native=request,
    )


def _attributes(headers: Headers) -> dict[str, str]:
    return {name: headers[name] for name in headers if name not in _ADDED and not name.startswith(_GOOGLE_PREFIXES)}


def texts(members: object) -> dict[str, str]:
    """Return the members that are strings, such as attributes; leave out all others."""
    if not isinstance(members, dict):
        return {}
    return {name: value for name, value in members.items() if isinstance(value, str)}


def _text(message: Mapping[str, Any], *names: str) -> str:
    for name in names:
        value = message.get(name)
        if value is not None:
            if not isinstance(value, str):
                raise DecodeError(f"a Pub/Sub message's {name} must be a string, not {type(value).__name__}")
            if not value.isascii() and not is_unicode(value):
                raise DecodeError(f"a Pub/Sub message's {name} has an unpaired surrogate, which isn't valid Unicode")
            return value
    return ""


def _bytes(data: object) -> bytes:
    try:
        return a2b_base64(data, strict_mode=True)  # type: ignore[arg-type]  # anything else is a TypeError
    except (ValueError, TypeError):
        raise DecodeError(f"a Pub/Sub message's data isn't a string of valid base64 ({type(data).__name__})") from None


def _count(value: object) -> int | None:
    """Return a number of 0 or more, from JSON or a header; None for anything else."""
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 10:
        value = int(value)
    return value if type(value) is int and value >= 0 else None


def _of_epoch(seconds: str) -> datetime | None:
    """Return the time of seconds since 1970, whose decimals after the sixth are cut off; None for anything else."""
    from datetime import UTC, datetime, timedelta

    whole, _, fraction = seconds.partition(".")
    digits = whole + fraction
    # The last second of the year 9999 has 12 digits.
    if not (whole and digits.isascii() and digits.isdecimal()) or len(whole) > 12 or int(whole) > 253402300799:
        return None
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(
        seconds=int(whole), microseconds=int(fraction[:6].ljust(6, "0"))
    )
