"""HTTP/1.1 as it is on the wire: nothing normalised, repeats kept, and when each piece arrived."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from io import BufferedIOBase
from urllib.parse import urlsplit

Headers = list[tuple[str, str]]
Chunks = list[tuple[float, bytes]]


@dataclass(frozen=True)
class Received:
    """A response: names in lower case, values as Latin-1 text, repeats kept in their order.

    `chunks` holds, with the seconds since the request was sent, each transfer chunk, or each read of a body that is
    not chunked. `complete` is False when the connection ended before the body did.
    """

    status: int
    headers: Headers
    chunks: Chunks
    complete: bool

    @property
    def body(self) -> bytes:
        return b"".join(payload for _, payload in self.chunks)

    def values(self, name: str) -> list[str]:
        return values(self.headers, name)


def send(
    url: str, method: str, target: str, headers: Sequence[tuple[str, str]], body: bytes | None, *, timeout: float = 30
) -> Received:
    """Send one request to the host of a URL, with the target unchanged, over a new connection.

    Host, Connection and (where there is a body) Content-Length are added, each only if no header has that name; a body
    with Transfer-Encoding is sent as it is, chunk sizes and all.
    """
    host = urlsplit(url).netloc
    given = {name.lower() for name, _ in headers}
    defaults = [("Host", host), ("Connection", "close")]
    if body is not None and "transfer-encoding" not in given:
        defaults.append(("Content-Length", str(len(body))))
    lines = [f"{name}: {value}" for name, value in defaults if name.lower() not in given]
    lines += [f"{name}: {value}" for name, value in headers]
    request = "\r\n".join([f"{method} {target} HTTP/1.1", *lines, "", ""]).encode("latin-1") + (body or b"")
    address, _, port = host.rpartition(":")
    with socket.create_connection((address, int(port)), timeout) as connection, connection.makefile("rb") as stream:
        since = time.monotonic()
        connection.sendall(request)
        status, received = _response_head(stream)
        while status < 200:
            status, received = _response_head(stream)
        chunks: Chunks = []
        complete = True
        if method != "HEAD" and status not in (204, 304):
            try:
                read_body(stream, received, since, chunks)
            except (EOFError, ConnectionError):
                complete = False
        return Received(status, received, chunks, complete)


def values(headers: Headers, name: str) -> list[str]:
    """Every value of a header, by its lower-case name."""
    return [value for each, value in headers if each == name]


def read_headers(stream: BufferedIOBase) -> Headers:
    """The header or trailer lines up to the empty one."""
    headers: Headers = []
    while line := _line(stream):
        name, _, value = line.partition(":")
        headers.append((name.lower(), value.strip(" \t")))
    return headers


def read_body(stream: BufferedIOBase, headers: Headers, since: float, chunks: Chunks) -> Headers:
    """Append the body's pieces to `chunks` as they arrive, and return its trailers; EOFError when it breaks off."""
    if "chunked" in values(headers, "transfer-encoding"):
        while size := int(_line(stream).partition(";")[0], 16):
            payload = _exactly(stream, size)
            chunks.append((time.monotonic() - since, payload))
            _exactly(stream, 2)
        return read_headers(stream)
    lengths = values(headers, "content-length")
    left = int(lengths[0]) if lengths else None
    while left is None or left > 0:
        payload = stream.read1(-1 if left is None else left)
        if not payload:
            if left is None:
                break
            raise EOFError(f"{left} bytes of the body are missing")
        chunks.append((time.monotonic() - since, payload))
        left = None if left is None else left - len(payload)
    return []


def _response_head(stream: BufferedIOBase) -> tuple[int, Headers]:
    line = _line(stream)
    match = re.match(r"HTTP/1\.[01] (\d{3})", line)
    if match is None:
        raise ValueError(f"not a status line of HTTP/1: {line!r}")
    return int(match[1]), read_headers(stream)


def _line(stream: BufferedIOBase) -> str:
    line = stream.readline()
    if not line.endswith(b"\n"):
        raise EOFError(f"the connection ended within the line {line!r}")
    return line.rstrip(b"\r\n").decode("latin-1")


def _exactly(stream: BufferedIOBase, size: int) -> bytes:
    payload = stream.read(size)
    if len(payload) < size:
        raise EOFError(f"{size - len(payload)} bytes of a chunk of {size} are missing")
    return payload


def octets(value: str) -> str:
    """A header's value as it goes over the wire: UTF-8, and lone surrogates as the bytes that they stand for (PEP 383)."""
    return value.encode("utf-8", "surrogateescape").decode("latin-1")
