"""Publishes what a handler rejects to the Pub/Sub topic that its trigger names, over REST and without an SDK.

https://cloud.google.com/pubsub/docs/reference/rest/v1/projects.topics/publish
"""

from __future__ import annotations

import os
import time

from portable_fn.data import parse_json, to_json
from portable_fn.errors import PortableError
from portable_fn.events import CloudEvent, Event, Message

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from portable_fn.outcomes import Reject

# A handler waits for it, and its own time runs.
_SECONDS = 10

# What Pub/Sub allows. https://cloud.google.com/pubsub/quotas#resource_limits
_MAX_ATTRIBUTES = 100
_MAX_VALUE = 1024


def dead_letter(event: Event[Any], reject: Reject, topic: str, seconds: float | None = None) -> bool:
    """Publishes the event to the topic, a short name in the event's own project or a whole `projects/…/topics/…`.

    A message goes as it is, any other event as a structured CloudEvent, so that a function gets there what it would have
    got here. `portable_fn_id`, `portable_fn_source` and `portable_fn_reason` say what it was, and why it was rejected. Raises
    if Pub/Sub doesn't take it within `seconds`, 10 at most.
    """
    end = time.monotonic() + (_SECONDS if seconds is None else min(seconds, _SECONDS))
    told = {"portable_fn_id": event.id, "portable_fn_source": event.source, "portable_fn_reason": reject.why}
    body, attributes, key = _content(event)
    for name, value in told.items():
        if value and len(attributes) < _MAX_ATTRIBUTES:
            attributes[name] = value.encode("utf-8", "replace")[:_MAX_VALUE].decode("utf-8", "ignore")
    publish(_whole(topic, event.source, end), body, attributes, key, end)
    return True


def _content(event: Event[Any]) -> tuple[bytes, dict[str, str], str | None]:
    if isinstance(event, CloudEvent):
        from portable_fn_gcp.messages import PUBLISHED, published

        if event.type == PUBLISHED:
            event = published(event)
    if isinstance(event, Message):
        attributes = {name: str(value) for name, value in event.attributes.items() if value is not None}
        if event.content_type:
            attributes["content-type"] = event.content_type
        return event.body, attributes, event.key
    if not isinstance(event, CloudEvent):
        raise PortableError(f"a {type(event).__name__} can't be published")
    from portable_fn.cloudevents import STRUCTURED, write_structured

    return to_json(write_structured(event)).encode(), {"content-type": STRUCTURED}, None


def _whole(topic: str, source: str, end: float) -> str:
    if topic.startswith("projects/"):
        return topic
    _, found, rest = source.partition("projects/")
    project = rest.partition("/")[0] if found else ""
    # Cloud Storage's sources have "_".
    if project in ("", "_"):
        project = os.environ.get("GOOGLE_CLOUD_PROJECT") or _metadata("project/project-id", end).decode()
    return f"projects/{project}/topics/{topic}"


def publish(topic: str, body: bytes, attributes: Mapping[str, str], key: str | None, end: float) -> None:
    """Publishes a message to the topic, by its whole name, until `end` on the monotonic clock; PortableError if Pub/Sub doesn't
    take it."""
    from binascii import b2a_base64
    from urllib.parse import quote

    message: dict[str, Any] = {"data": b2a_base64(body, newline=False).decode(), "attributes": attributes}
    if key:
        message["orderingKey"] = key
    headers = {"content-type": "application/json"}
    emulator = os.environ.get("PUBSUB_EMULATOR_HOST")
    if not emulator:
        headers["authorization"] = f"Bearer {_token(end)}"
    path = f"/v1/{quote(topic)}:publish"
    host = f"http://{emulator}" if emulator else "https://pubsub.googleapis.com"
    status, _ = call("POST", host, path, headers, to_json({"messages": [message]}).encode(), _left(end))
    if status != 200:
        raise PortableError(f"Pub/Sub answers {status} for {topic}")


_access: tuple[str, float] = ("", 0.0)


def _token(end: float) -> str:
    """The access token of the function's service account, kept until a minute before its end."""
    global _access
    token, until = _access
    if time.time() > until - 60:
        answer: Any = parse_json(_metadata("instance/service-accounts/default/token", end).decode())
        token, until = answer["access_token"], time.time() + answer["expires_in"]
        _access = (token, until)
    return token


def _metadata(path: str, end: float) -> bytes:
    """What the metadata server says. https://cloud.google.com/compute/docs/metadata/overview"""
    host = os.environ.get("GCE_METADATA_HOST", "metadata.google.internal")
    headers = {"metadata-flavor": "Google"}
    status, body = call("GET", f"http://{host}", f"/computeMetadata/v1/{path}", headers, None, _left(end))
    if status != 200:
        raise PortableError(f"the metadata server answers {status} for {path}")
    return body


def _left(end: float) -> float:
    """The seconds until `end`; PortableError if there are none."""
    left = end - time.monotonic()
    if left <= 0:
        raise PortableError("no time is left to call Pub/Sub")
    return left


def call(
    method: str, host: str, path: str, headers: Mapping[str, str], body: bytes | None, seconds: float
) -> tuple[int, bytes]:
    """The status and body of the answer to one HTTP request, in so many seconds."""
    from http.client import HTTPConnection, HTTPSConnection

    scheme, _, address = host.partition("://")
    connection = (HTTPSConnection if scheme == "https" else HTTPConnection)(address, timeout=seconds)
    end = time.monotonic() + seconds
    try:
        connection.connect()
        # The time that it took to connect is gone.
        connection.sock.settimeout(max(end - time.monotonic(), 0.001))
        connection.request(method, path, body, dict(headers))
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()
