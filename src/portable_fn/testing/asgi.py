"""Play an ASGI server and the proxy in front of it, for the adapters' `simulate`."""

from __future__ import annotations

import asyncio
from typing import Any

from portable_fn.errors import EncodeError
from portable_fn.http import Request
from portable_fn.pairs import Headers, unquoted
from portable_fn.testing.results import Answer

__all__ = ["Connection", "answer", "proxied", "scope"]


def proxied(request: Request[Any], *added: tuple[str, str]) -> list[tuple[str, str]]:
    """Return the request's header lines behind a proxy: with host, forwarding headers, `added` ones and content length."""
    replaced = ("host", "x-forwarded-for", "x-forwarded-proto", "content-length")
    forwarded = [*request.headers.get_all("x-forwarded-for"), request.client_ip or ""]
    lines = [
        ("host", request.host),
        ("x-forwarded-for", ", ".join(forwarded)),
        ("x-forwarded-proto", request.scheme),
        *added,
        *(line for line in request.headers.multi_items() if line[0] not in replaced),
    ]
    if request.raw_body:
        lines.append(("content-length", str(len(request.raw_body))))
    return lines


def scope(
    request: Request[Any],
    lines: list[tuple[str, str]],
    *,
    server: tuple[str, int],
    client: tuple[str, int] | None,
    scheme: str,
    root_path: str = "",
) -> dict[str, Any]:
    """Return uvicorn's http scope for the request; lone surrogates in header values stand for bytes (PEP 383)."""
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "server": server,
        "client": client,
        "scheme": scheme,
        "method": request.method,
        "root_path": root_path,
        "path": unquoted(root_path + request.raw_path),
        "raw_path": (root_path + request.raw_path).encode("ascii"),
        "query_string": request.raw_query.encode("ascii"),
        "headers": [(name.encode("ascii"), value.encode("utf-8", "surrogateescape")) for name, value in lines],
        "state": {},
    }


class Connection:
    """A client's connection that never breaks: `receive` returns the body, `sent` has the messages of the application."""

    def __init__(self, body: bytes) -> None:
        self.sent: list[dict[str, Any]] = []
        self._body: bytes | None = body

    async def receive(self) -> dict[str, Any]:
        """Return the body; afterwards wait forever."""
        if self._body is None:
            await asyncio.Event().wait()
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(self, message: Any) -> None:
        """Keep the message."""
        self.sent.append(message)


def answer(sent: list[dict[str, Any]]) -> Answer:
    """Return what the caller receives for the messages.

    Raises:
        EncodeError: A server would refuse the messages.
    """
    start, *bodies = sent or [{"type": "nothing"}]
    types = [message["type"] for message in sent]
    expected = ["http.response.start", *["http.response.body"] * len(bodies)]
    if types != expected or not bodies or bodies[-1].get("more_body"):
        raise EncodeError(f"a server would refuse the messages {types}")
    headers = Headers((name.decode("ascii"), value.decode()) for name, value in start["headers"])
    chunks = [message["body"] for message in bodies if message.get("body")]
    body = b"".join(chunks)
    length = headers.get("content-length")
    if length is not None and body and int(length) != len(body):
        raise EncodeError(f"a server would refuse a body of {len(body)} bytes: content-length is {length}")
    return Answer(start["status"], headers, body, chunks)
