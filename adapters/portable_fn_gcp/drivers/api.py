"""Send calls of Google's APIs, with the token of the metadata server."""

from __future__ import annotations

import os
import time

from portable_fn.data import parse_json
from portable_fn.errors import ConfigurationError, PortableError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


# A handler waits for it, and its own time runs.
_SECONDS = 10


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
    """What the metadata server says.

    https://cloud.google.com/compute/docs/metadata/overview
    """
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
    from portable_fn.adapter import http_client as calling_out

    return calling_out.call(method, f"{host}{path}", headers, body, seconds)
