"""Send HTTP requests without a library, such as a dead letter."""

from __future__ import annotations

import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["call"]

# At most this much of an answer is read.
MAX_ANSWER = 16 * 1024 * 1024


def call(method: str, url: str, headers: Mapping[str, str], body: bytes | None, seconds: float) -> tuple[int, bytes]:
    """Send a request. Return the status and the body of the answer.

    Raises:
        TimeoutError: No time is left, or the server hasn't answered within that many seconds.
        OSError, http.client.HTTPException: The server can't be reached, or breaks off.
    """
    from http.client import HTTPConnection, HTTPSConnection

    scheme, _, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    if seconds <= 0:
        raise TimeoutError(f"no time is left to call {host}")
    end = time.monotonic() + seconds
    connection = (HTTPSConnection if scheme == "https" else HTTPConnection)(host, timeout=seconds)
    try:
        connection.connect()
        # Subtract the time of the connection.
        connection.sock.settimeout(max(end - time.monotonic(), 0.001))
        connection.request(method, f"/{path}" if slash else "/", body, dict(headers))
        response = connection.getresponse()
        return response.status, response.read(MAX_ANSWER)
    finally:
        connection.close()
