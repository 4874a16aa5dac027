"""Call Google's APIs over HTTP, with the token of the metadata server."""

from __future__ import annotations

import os
import time
from _contextvars import ContextVar

from portable_fn.data import parse_json, to_json
from portable_fn.errors import ConfigurationError, PortableError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    # (method, host, path, headers, body, seconds) → (status, body)
    Transport = Callable[[str, str, str, Mapping[str, str], bytes | None, float], tuple[int, bytes]]


# Seconds for all calls that one event needs: its handler's time runs meanwhile.
SECONDS = 10

# If set, it sends the requests instead of the network; a simulation sets it.
transport: ContextVar[Transport | None] = ContextVar("transport", default=None)

_access: tuple[str, float] = ("", 0.0)


def token(end: float) -> str:
    """Return the access token of the function's service account, cached until a minute before it expires."""
    value, expires = _access
    if time.time() > expires - 60:
        answer: Any = parse_json(metadata("instance/service-accounts/default/token", end).decode())
        value = answer["access_token"]
        set_token(value, answer["expires_in"])
    return value


def set_token(value: str, seconds: float) -> None:
    """Use this access token for so many seconds."""
    global _access
    _access = (value, time.time() + seconds)


def metadata(path: str, end: float) -> bytes:
    """Return a value of the metadata server.

    https://cloud.google.com/compute/docs/metadata/overview

    Raises:
        PortableError: The server can't be reached, or doesn't have the value.
    """
    host = origin("GCE_METADATA_HOST") or "http://metadata.google.internal"
    headers = {"metadata-flavor": "Google"}
    try:
        status, body = call("GET", host, f"/computeMetadata/v1/{path}", headers, None, remaining(end))
    except TimeoutError:
        raise
    except OSError as exc:
        raise PortableError(
            f"the metadata server {host} can't be reached: {exc}; outside Google's platform set GOOGLE_CLOUD_PROJECT and "
            "PUBSUB_EMULATOR_HOST"
        ) from exc
    if status != 200:
        raise PortableError(f"the metadata server answers {status} for {path}")
    return body


def origin(variable: str) -> str:
    """Return the origin in an environment variable, which has Google's own format: a host, optionally a scheme and a port.

    Returns "" if the variable isn't set.

    Raises:
        ConfigurationError: The variable has another format.
    """
    value = os.environ.get(variable, "")
    if not value:
        return ""
    import re

    # IPv6 addresses are in brackets.
    match = re.fullmatch(r"(?:(https?)://)?((?:[a-z0-9_.-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?)/?", value, re.IGNORECASE)
    if match is None:
        raise ConfigurationError(
            f"{variable} is {value[:80]!r}: set a host, and a port and a scheme if needed, such as localhost:8085 or http://localhost:8085"
        )
    return f"{(match[1] or 'http').lower()}://{match[2]}"


def remaining(end: float) -> float:
    """Return the seconds until `end` on the monotonic clock.

    Raises:
        PortableError: None are left.
    """
    seconds = end - time.monotonic()
    if seconds <= 0:
        raise PortableError("no time is left to call Pub/Sub")
    return seconds


def pubsub(method: str, path: str, value: object, end: float) -> Any:
    """Call Pub/Sub's REST API, or its emulator at PUBSUB_EMULATOR_HOST, and return the JSON answer.

    Raises:
        PortableError: Pub/Sub doesn't answer with 200, or no time is left.
        OSError: Pub/Sub can't be reached.
    """
    headers = {"content-type": "application/json"}
    host = origin("PUBSUB_EMULATOR_HOST") or "https://pubsub.googleapis.com"
    if not os.environ.get("PUBSUB_EMULATOR_HOST"):
        headers["authorization"] = f"Bearer {token(end)}"
    body = None if value is None else to_json(value).encode()
    status, answer = call(method, host, f"/v1/{path}", headers, body, remaining(end))
    if status != 200:
        from urllib.parse import unquote

        raise PortableError(f"Pub/Sub answers {status} for {unquote(path).removesuffix(':publish')}")
    return parse_json(answer.decode() or "{}")


def call(
    method: str, host: str, path: str, headers: Mapping[str, str], body: bytes | None, seconds: float
) -> tuple[int, bytes]:
    """Send one HTTP request within so many seconds; return the status and body of the answer."""
    send = transport.get()
    if send is not None:
        return send(method, host, path, headers, body, seconds)
    from portable_fn.adapter import http_client

    return http_client.call(method, f"{host}{path}", headers, body, seconds)
