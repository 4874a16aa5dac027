"""Google's half of the wire: requests as functions-framework hands them to a function, and its answer as the caller gets it."""

from __future__ import annotations

import asyncio
from io import BytesIO
from typing import Any

from portable_fn.errors import ConfigurationError, EncodeError
from portable_fn.http import Request, unquoted
from portable_fn.pairs import Headers
from portable_fn.testing.delivery import Answer, Exchange
from portable_fn.testing.loop import run
from portable_fn_gcp.entry import entry

SERVICES = ("http", "http_async")

# What functions-framework 3.10 has Starlette route; anything else is a 405 of Starlette's own.
ASYNC_METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH")


def exchange(targets: tuple[object, ...], request: Request[Any], service: str) -> Exchange:
    """The request on its way through one of SERVICES to the functions and back."""
    target = entry(*targets)
    if service == "http":
        made = environ(request)
        return Exchange(made, lambda: _wsgi(target, made, request.body), lambda native: native)
    made = scope(request)
    return Exchange(made, lambda: run(_asgi(target, made, request.body)), answer)


def environ(request: Request[Any]) -> dict[str, Any]:
    """The WSGI environ that gunicorn makes of the request, repeated headers joined."""
    target = f"{request.raw_path}?{request.raw_query}" if request.raw_query else request.raw_path
    host, _, port = request.host.partition(":")
    headers = Headers(_lines(request))
    made = {
        "REQUEST_METHOD": request.method,
        "RAW_URI": target,
        "PATH_INFO": unquoted(request.raw_path).encode().decode("latin-1"),
        "QUERY_STRING": request.raw_query,
        "SCRIPT_NAME": "",
        "SERVER_NAME": host,
        "SERVER_PORT": port or "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "169.254.169.126",
        "wsgi.url_scheme": "http",
        "wsgi.input_terminated": True,
    }
    for name in headers:
        key = name.upper().replace("-", "_")
        value = ",".join(headers.get_all(name)).encode("utf-8", "surrogateescape").decode("latin-1")
        made[key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"] = value
    return made


def scope(request: Request[Any]) -> dict[str, Any]:
    """The http scope that uvicorn makes of the request."""
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "server": ("127.0.0.1", 8080),
        "client": ("169.254.169.126", 0),
        "scheme": "http",
        "method": request.method,
        "root_path": "",
        "path": unquoted(request.raw_path),
        "raw_path": request.raw_path.encode("ascii"),
        "query_string": request.raw_query.encode("ascii"),
        "headers": [
            (name.encode("ascii"), value.encode("utf-8", "surrogateescape")) for name, value in _lines(request)
        ],
        "state": {},
    }


def answer(sent: list[dict[str, Any]]) -> Answer:
    """What the caller receives for ASGI messages; EncodeError for messages that uvicorn would refuse."""
    start, *bodies = sent or [{"type": "nothing"}]
    kinds = [message["type"] for message in sent]
    if (
        kinds != ["http.response.start", *["http.response.body"] * len(bodies)]
        or not bodies
        or bodies[-1].get("more_body")
    ):
        raise EncodeError(f"uvicorn would refuse the messages {kinds}")
    headers = Headers((name.decode("ascii"), value.decode()) for name, value in start["headers"])
    chunks = [message["body"] for message in bodies if message.get("body")]
    return Answer(start["status"], headers, b"".join(chunks), chunks)


def _wsgi(target: Any, made: dict[str, Any], body: bytes) -> Answer:
    try:
        from flask import Request as FlaskRequest
    except ImportError as exc:
        raise ConfigurationError("Google's requests are Flask's: pip install 'portable-fn[gcp]'") from exc

    seen: list[Any] = []
    native = {**made, "wsgi.input": BytesIO(body)}
    response = target(FlaskRequest(native))
    chunks = response(native, lambda status, headers: seen.extend((status, headers)))
    try:
        sent = [chunk for chunk in chunks if chunk]
    finally:
        if close := getattr(chunks, "close", None):
            close()
    status, lines = seen
    headers = Headers((name, value.encode("latin-1").decode()) for name, value in lines)
    return Answer(int(status.split()[0]), headers, b"".join(sent), sent)


async def _asgi(target: Any, made: dict[str, Any], body: bytes) -> list[dict[str, Any]]:
    try:
        from starlette.requests import Request as StarletteRequest
    except ImportError as exc:
        raise ConfigurationError("Google's async requests are Starlette's: pip install 'portable-fn[gcp]'") from exc

    sent: list[dict[str, Any]] = []
    received = False

    async def receive() -> dict[str, Any]:
        nonlocal received
        if received:
            await asyncio.Event().wait()
        received = True
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    if made["method"] not in ASYNC_METHODS:
        refusal = b"Method Not Allowed"
        headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"allow", ", ".join(ASYNC_METHODS).encode())]
        await send({"type": "http.response.start", "status": 405, "headers": headers})
        await send({"type": "http.response.body", "body": refusal})
        return sent
    native = dict(made)
    response = target(StarletteRequest(native, receive, send))
    await response(native, receive, send)
    return sent


def _lines(request: Request[Any]) -> list[tuple[str, str]]:
    """The header lines as they reach the function: with the host, what Google's front end adds, and a body's length."""
    left_out = ("host", "x-forwarded-for", "x-forwarded-proto", "content-length")
    forwarded = [*request.headers.get_all("x-forwarded-for"), request.client_ip or ""]
    lines = [
        ("host", request.host),
        ("x-forwarded-for", ",".join(forwarded)),
        ("x-forwarded-proto", request.scheme),
        # Without one of Google's, functions-framework invents an execution id.
        ("function-execution-id", request.id),
        *(pair for pair in request.headers.pairs if pair[0] not in left_out),
    ]
    if request.body:
        lines.append(("content-length", str(len(request.body))))
    return lines
