"""Publishes what a handler rejects to the Pub/Sub topic that its trigger names, over REST and without an SDK.

https://cloud.google.com/pubsub/docs/reference/rest/v1/projects.topics/publish
"""

from __future__ import annotations

import os
import time

from portable_fn.data import parse_json, to_json
from portable_fn.errors import ConfigurationError, PortableError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from portable_fn.events import Event
    from portable_fn.outcomes import Reject

# A handler waits for it, and its own time runs.
_SECONDS = 10

# What Pub/Sub allows. https://cloud.google.com/pubsub/quotas#resource_limits
_MAX_ATTRIBUTES = 100
_MAX_NAME = 256
# What Pub/Sub itself adds to what it dead-letters: https://cloud.google.com/pubsub/docs/handling-failures#track_delivery_attempts
OF_DEAD_LETTERS = "CloudPubSubDeadLetterSource"
_MAX_VALUE = 1024


def dead_letter(event: Event[Any], reject: Reject, topic: str, seconds: float | None = None) -> bool:
    """Publish a rejected event to the topic, as `portable_fn.dead_letter` writes it.

    The topic is a short name in the function's own project or a whole `projects/…/topics/…`. Raises if Pub/Sub doesn't take it
    within `seconds`, 10 at most.
    """
    end = time.monotonic() + (_SECONDS if seconds is None else min(seconds, _SECONDS))
    from portable_fn.dead_letter import Destination, letter

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
    project = project or _metadata("project/project-id", end).decode()
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
    host = _origin("PUBSUB_EMULATOR_HOST") or "https://pubsub.googleapis.com"
    if not os.environ.get("PUBSUB_EMULATOR_HOST"):
        headers["authorization"] = f"Bearer {_token(end)}"
    path = f"/v1/{quote(topic)}:publish"
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
    host = _origin("GCE_METADATA_HOST") or "http://metadata.google.internal"
    headers = {"metadata-flavor": "Google"}
    try:
        status, body = call("GET", host, f"/computeMetadata/v1/{path}", headers, None, _left(end))
    except TimeoutError:
        raise
    except OSError as exc:
        raise PortableError(
            f"the metadata server {host} can't be reached: {exc}; off Google's platform set GOOGLE_CLOUD_PROJECT and "
            "PUBSUB_EMULATOR_HOST"
        ) from exc
    if status != 200:
        raise PortableError(f"the metadata server answers {status} for {path}")
    return body


def _origin(variable: str) -> str:
    """The origin that the variable names, as Google's own libraries take it: a host, with a port or a scheme or without.

    "" if the variable isn't set; ConfigurationError for anything else.
    """
    given = os.environ.get(variable, "")
    if not given:
        return ""
    import re

    # An address of IPv6 is in brackets.
    found = re.fullmatch(r"(?:(https?)://)?((?:[a-z0-9_.-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?)/?", given, re.IGNORECASE)
    if found is None:
        raise ConfigurationError(
            f"{variable} is {given[:80]!r}: possible are a host, a port and a scheme, such as localhost:8085 or http://localhost:8085"
        )
    return f"{(found[1] or 'http').lower()}://{found[2]}"


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
    from portable_fn import calling_out

    return calling_out.call(method, f"{host}{path}", headers, body, seconds)
