"""Publishes what a handler rejects to the Pub/Sub topic that its trigger names, over REST and without an SDK.

https://cloud.google.com/pubsub/docs/reference/rest/v1/projects.topics/publish
"""

from __future__ import annotations

import os
import time

from portable_fn.data import to_json
from portable_fn.errors import PortableError
from portable_fn_gcp.drivers import api

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from portable_fn.events import Event
    from portable_fn.outcomes import Reject


# What Pub/Sub allows. https://cloud.google.com/pubsub/quotas#resource_limits
_MAX_ATTRIBUTES = 100
_MAX_NAME = 256
# What Pub/Sub itself adds to what it dead-letters: https://cloud.google.com/pubsub/docs/handling-failures#track_delivery_attempts
OF_DEAD_LETTERS = "CloudPubSubDeadLetterSource"
_MAX_VALUE = 1024


def dead_letter(event: Event[Any], reject: Reject, topic: str, seconds: float | None = None) -> bool:
    """Publish a rejected event to the topic, as `portable_fn.adapter.dead_letter` writes it.

    The topic is a short name in the function's own project or a whole `projects/…/topics/…`. Raises if Pub/Sub doesn't take it
    within `seconds`, 10 at most.
    """
    end = time.monotonic() + (api._SECONDS if seconds is None else min(seconds, api._SECONDS))
    from portable_fn.adapter.dead_letter import Destination, letter

    made = letter(event, reject, Destination(_MAX_ATTRIBUTES, _MAX_VALUE, _is_name, _legible, names_content_type=True))
    publish(_whole(topic, event.source, end), made.body, made.attributes, made.key, end)  # type: ignore[arg-type]  # texts alone
    return True


def _is_name(name: str) -> bool:
    # By its own names a letter tells that Pub/Sub itself dead-lettered it.
    own = ("goog", OF_DEAD_LETTERS)
    return 0 < len(name.encode("utf-8", "surrogatepass")) <= _MAX_NAME and not name.startswith(own)


def _legible(text: str) -> str:
    """The text as UTF-8 has it."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _whole(topic: str, source: str, end: float) -> str:
    """The topic's whole name. Its project is the function's own, since whoever sends an event can write any into it.

    An emulator has nobody else's projects: there it may be the event's.
    """
    if topic.startswith("projects/"):
        return topic
    project = os.environ.get("GOOGLE_CLOUD_PROJECT", "")
    if not project and os.environ.get("PUBSUB_EMULATOR_HOST"):
        project = source.partition("projects/")[2].partition("/")[0].strip("_")
    project = project or api._metadata("project/project-id", end).decode()
    return f"projects/{project}/topics/{topic}"


def publish(topic: str, body: bytes, attributes: Mapping[str, str], key: str | None, end: float) -> None:
    """Publish a message to a topic.

    Args:
        topic: The whole name, `projects/…/topics/…`.
        body: The message's body.
        attributes: The message's attributes.
        key: The ordering key.
        end: The last moment, on the monotonic clock.

    Raises:
        PortableError: Pub/Sub didn't accept the message.
    """
    from binascii import b2a_base64
    from urllib.parse import quote

    message: dict[str, Any] = {"data": b2a_base64(body, newline=False).decode(), "attributes": attributes}
    if key:
        message["orderingKey"] = key
    headers = {"content-type": "application/json"}
    host = api._origin("PUBSUB_EMULATOR_HOST") or "https://pubsub.googleapis.com"
    if not os.environ.get("PUBSUB_EMULATOR_HOST"):
        headers["authorization"] = f"Bearer {api._token(end)}"
    path = f"/v1/{quote(topic)}:publish"
    status, _ = api.call("POST", host, path, headers, to_json({"messages": [message]}).encode(), api._left(end))
    if status != 200:
        raise PortableError(f"Pub/Sub answers {status} for {topic}")
