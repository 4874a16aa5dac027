"""Send messages as Pub/Sub and Cloud Tasks do."""

from __future__ import annotations

from base64 import b64encode
from datetime import UTC, datetime, timedelta
from typing import Any

from portable_fn.adapter import cloudevents
from portable_fn.adapter.cloudevents import write_time
from portable_fn.data import to_json
from portable_fn.errors import EncodeError
from portable_fn.events import CloudEvent, Message
from portable_fn.http import Request
from portable_fn.testing.services import carried_by
from portable_fn_gcp.events import messages
from portable_fn_gcp.simulate.requests import PROJECT, binary, first_generation, post, post_json


def _name(event: Message[Any], collection: str) -> str:
    """Return the full name of the message's queue, topic or subscription."""
    return event.source if "/" in event.source else f"projects/{PROJECT}/{collection}/{event.channel}"


def _texts(event: Message[Any]) -> dict[str, Any]:
    for name, value in event.attributes.items():
        if not isinstance(value, str):
            raise EncodeError(f"Google's attributes of messages are strings, but {name!r} is {type(value).__name__}")
    return dict(event.attributes)


def _pubsub_message(event: Message[Any]) -> dict[str, Any]:
    attributes = _texts(event)
    if event.content_type:
        attributes["content-type"] = event.content_type
    message: dict[str, Any] = {"data": b64encode(event.body).decode(), "messageId": event.id, "message_id": event.id}
    if event.time is not None:
        message["publishTime"] = message["publish_time"] = write_time(event.time)
    if attributes:
        message["attributes"] = attributes
    if event.key is not None:
        message["orderingKey"] = event.key
    return message


def _pubsub_body(event: Message[Any], subscription: str) -> dict[str, Any]:
    body: dict[str, Any] = {"subscription": subscription, "message": _pubsub_message(event)}
    if event.attempt is not None:
        body["deliveryAttempt"] = event.attempt
    return body


def pubsub_push(event: Any) -> Request[Any]:
    """Build a push."""
    return post_json(_pubsub_body(event, _name(event, "subscriptions")))


def pubsub_push_unwrapped(event: Any) -> Request[Any]:
    """Build an unwrapped push, with its metadata."""
    headers = {
        **_texts(event),
        "x-goog-pubsub-message-id": event.id,
        "x-goog-pubsub-subscription-name": _name(event, "subscriptions"),
    }
    if event.content_type:
        headers["content-type"] = event.content_type
    if event.time is not None:
        headers["x-goog-pubsub-publish-time"] = write_time(event.time)
    if event.key is not None:
        headers["x-goog-pubsub-ordering-key"] = event.key
    return post(event.body, headers)


def _topic(event: Message[Any]) -> str:
    return event.source if event.source.startswith("//") else f"//pubsub.googleapis.com/{_name(event, 'topics')}"


def pubsub_eventarc(event: Any) -> Request[Any]:
    """Build Eventarc's event of a message."""
    body = _pubsub_body(event, f"projects/{PROJECT}/subscriptions/eventarc-{event.channel}")
    return binary(
        CloudEvent(
            event.id,
            _topic(event),
            messages.PUBLISHED,
            to_json(body).encode(),
            time=event.time,
            content_type="application/json",
        )
    )


def pubsub_legacy(event: Any) -> Request[Any]:
    """Build the first-generation event of a message."""
    message = _pubsub_message(event)
    for name in ("messageId", "message_id", "publishTime", "publish_time"):
        message.pop(name, None)
    message["@type"] = "type.googleapis.com/google.pubsub.v1.PubsubMessage"
    service, _, name = _topic(event)[2:].partition("/")
    return first_generation(event, messages.PUBLISHED, {"service": service, "name": name}, message)


def cloud_tasks(event: Any) -> Request[Any]:
    """Build a task of a Cloud Tasks queue."""
    queue = _name(event, "locations/us-central1/queues")
    headers = {
        **_texts(event),
        "x-cloudtasks-queuename": queue,
        "x-cloudtasks-taskname": event.id.removeprefix(f"{queue}/"),
    }
    if event.attempt is not None:
        headers["x-cloudtasks-taskretrycount"] = str(event.attempt - 1)
    if event.time is not None:
        seconds = (event.time - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(seconds=1)
        headers["x-cloudtasks-tasketa"] = f"{seconds}.{event.time.microsecond:06}"
    if event.content_type:
        headers["content-type"] = event.content_type
    return post(event.body, headers)


def pubsub_structured(event: Any) -> Request[Any]:
    """Build a push of a message that holds a CloudEvent."""
    body = to_json(cloudevents.write_structured(event)).encode()
    subscription = f"projects/{PROJECT}/subscriptions/{carried_by(event, 'events')}"
    return pubsub_push(Message(event.id, subscription, body, content_type=cloudevents.STRUCTURED))
