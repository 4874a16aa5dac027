"""The server's half of ASGI: requests as uvicorn hands them to an application, and its messages as the caller gets them."""

from __future__ import annotations

import asyncio
from typing import Any

from portable_fn.errors import EncodeError
from portable_fn.http import Request, unquoted
from portable_fn.pairs import Headers
from portable_fn.testing.delivery import Answer, Exchange
from portable_fn.testing.loop import run
from portable_fn_asgi.entry import entry

SERVICES = ("http",)


def exchange(targets: tuple[object, ...], request: Request[Any], service: str) -> Exchange:
    """The request on its way through an ASGI server to the functions and back."""
    application, native = entry(*targets), scope(request)
    return Exchange(native, lambda: run(messages(application, native, request.body)), answer)


def scope(request: Request[Any]) -> dict[str, Any]:
    """The http scope that uvicorn makes of the request behind a proxy that it trusts."""
    host, _, port = request.host.partition(":")
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "server": (host, int(port or 0)),
        "client": None if request.client_ip is None else (request.client_ip, 0),
        "scheme": request.scheme,
        "method": request.method,
        "root_path": request.root_path,
        "path": unquoted(request.root_path + request.raw_path),
        "raw_path": (request.root_path + request.raw_path).encode("ascii"),
        "query_string": request.raw_query.encode("ascii"),
        "headers": [
            (name.encode("ascii"), value.encode("utf-8", "surrogateescape")) for name, value in _lines(request)
        ],
        "state": {},
    }


async def messages(application: Any, scope: dict[str, Any], body: bytes) -> list[dict[str, Any]]:
    """What the application sends for the scope and body; the client stays until the end."""
    sent: list[dict[str, Any]] = []
    received = False

    async def receive() -> dict[str, Any]:
        nonlocal received
        if received:
            await asyncio.Event().wait()
        received = True
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await application(dict(scope), receive, send)
    return sent


def answer(sent: list[dict[str, Any]]) -> Answer:
    """What the caller receives for the messages; EncodeError for messages that a server would refuse."""
    starts = [message for message in sent if message["type"] == "http.response.start"]
    bodies = [message for message in sent if message["type"] == "http.response.body"]
    if len(starts) != 1 or not bodies or sent != starts + bodies or bodies[-1].get("more_body"):
        raise EncodeError(f"a server would refuse the messages {[message['type'] for message in sent]}")
    headers = Headers((name.decode("ascii"), value.decode()) for name, value in starts[0]["headers"])
    chunks = [message["body"] for message in bodies if message.get("body")]
    body = b"".join(chunks)
    length = headers.get("content-length")
    if length is not None and body and int(length) != len(body):
        raise EncodeError(f"a server would refuse {len(body)} bytes where content-length says {length}")
    return Answer(starts[0]["status"], headers, body, chunks)


def _lines(request: Request[Any]) -> list[tuple[str, str]]:
    """The header lines as they reach the application: with the host, what the proxy adds, and the length of a body."""
    left_out = ("host", "x-forwarded-for", "x-forwarded-proto", "content-length")
    forwarded = [*request.headers.get_all("x-forwarded-for"), request.client_ip or ""]
    lines = [
        ("host", request.host),
        ("x-forwarded-for", ", ".join(forwarded)),
        ("x-forwarded-proto", request.scheme),
        *(pair for pair in request.headers.pairs if pair[0] not in left_out),
    ]
    if request.body:
        lines.append(("content-length", str(len(request.body))))
    return lines
