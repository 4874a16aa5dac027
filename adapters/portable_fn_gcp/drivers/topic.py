"""Publish messages to Pub/Sub topics over REST, without an SDK.

https://cloud.google.com/pubsub/docs/reference/rest/v1/projects.topics/publish
"""

from __future__ import annotations

import os
import time

from portable_fn_gcp.drivers import api

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from portable_fn.adapter.dead_letter import Destination
    from portable_fn.events import Event
    from portable_fn.outcomes import Reject


# Pub/Sub's limits. https://cloud.google.com/pubsub/quotas#resource_limits
_MAX_ATTRIBUTES = 100
_MAX_NAME = 256
_MAX_VALUE = 1024
# Prefix of the attributes that Pub/Sub adds when it dead-letters a message.
# https://cloud.google.com/pubsub/docs/handling-failures#track_delivery_attempts
DEAD_LETTER_PREFIX = "CloudPubSubDeadLetterSource"


def dead_letter(event: Event[Any], reject: Reject, topic: str, seconds: float | None = None) -> bool:
    """Publish a rejected event to a topic, in the format of `portable_fn.adapter.dead_letter`.

    Args:
        event: The rejected event.
        reject: Has the reason.
        topic: A short name in the function's own project, or a full name `projects/…/topics/…`.
        seconds: The time limit; 10 at most.

    Raises:
        PortableError: Pub/Sub refuses the message, or the time is over.
        OSError: Pub/Sub can't be reached.
    """
    end = time.monotonic() + (api.SECONDS if seconds is None else min(seconds, api.SECONDS))
    from portable_fn.adapter.dead_letter import letter

    message = letter(event, reject, destination())
    publish(_full_name(topic, event.source, end), message.body, message.attributes, message.key, end)  # type: ignore[arg-type]  # only strings
    return True


def destination() -> Destination:
    """Return what a topic accepts in a message."""
    from portable_fn.adapter.dead_letter import Destination

    return Destination(_MAX_ATTRIBUTES, _MAX_VALUE, _is_name, _as_utf_8, names_content_type=True)


def _is_name(name: str) -> bool:
    # Attributes of this prefix would say that Pub/Sub itself dead-lettered the message.
    reserved = ("goog", DEAD_LETTER_PREFIX)
    return 0 < len(name.encode("utf-8", "surrogatepass")) <= _MAX_NAME and not name.startswith(reserved)


def _as_utf_8(text: str) -> str:
    """Return the text with "?" for what UTF-8 can't encode."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _full_name(topic: str, source: str, end: float) -> str:
    """Return the topic's full name.

    The default project is the function's own: a sender can write any project into an event. An emulator has no other
    users' projects, so there it may be the event's.
    """
    if topic.startswith("projects/"):
        return topic
    project = os.environ.get("GOOGLE_CLOUD_PROJECT", "")
    if not project and os.environ.get("PUBSUB_EMULATOR_HOST"):
        project = source.partition("projects/")[2].partition("/")[0].strip("_")
    project = project or api.metadata("project/project-id", end).decode()
    return f"projects/{project}/topics/{topic}"


def publish(topic: str, body: bytes, attributes: Mapping[str, str], key: str | None, end: float) -> None:
    """Publish a message to the topic of this full name, until `end` on the monotonic clock.

    Raises:
        PortableError: Pub/Sub refuses the message, or the time is over.
        OSError: Pub/Sub can't be reached.
    """
    from binascii import b2a_base64
    from urllib.parse import quote

    message: dict[str, Any] = {"data": b2a_base64(body, newline=False).decode(), "attributes": attributes}
    if key:
        message["orderingKey"] = key
    api.pubsub("POST", f"{quote(topic)}:publish", {"messages": [message]}, end)
