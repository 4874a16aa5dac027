"""The server's side of ASGI 3: requests, responses, bodies.

https://asgi.readthedocs.io/en/latest/specs/www.html
"""

from __future__ import annotations

import os

from portable_fn.adapter.calling import is_not_ours
from portable_fn.adapter.pipeline import respond_in_loop, too_large
from portable_fn.adapter.routing import UNREAD, refusing
from portable_fn.context import Context
from portable_fn.errors import HTTPError
from portable_fn.pairs import Headers
from portable_fn.record import lazy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping
    from typing import Any

    from portable_fn.adapter.routing import Router, Target
    from portable_fn.adapter.streams import Stream
    from portable_fn.http import Request, Response

    Scope = Mapping[str, Any]
    Message = Mapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[dict[str, Any]], Awaitable[None]]
    Lines = Iterable[tuple[bytes, bytes]]

__all__ = [
    "ASGIContext",
    "Disconnected",
    "has_body",
    "headers",
    "origin_form",
    "paths",
    "percent_encoded",
    "quoted",
    "read_body",
    "respond",
    "send_response",
    "start",
    "text",
]


class Disconnected(Exception):
    """The client has gone. Nobody waits for the rest of the answer."""


class ASGIContext(Context):
    """The context of a request to a server in a container, read on first use.

    The names are those of Knative and Cloud Run: https://knative.dev/docs/serving/ (K_SERVICE, K_REVISION).
    """

    def __init__(self, provider: str, event: Request[Any], cold_start: bool) -> None:
        self.provider = provider
        # On Google, only the metadata server knows the region.
        self.region = ""
        self.native = event.native
        self.cold_start = cold_start
        self.event = event

    @lazy
    def invocation_id(self) -> str:
        """The id of the request."""
        id: str = self.event.id
        return id

    @lazy
    def function(self) -> str:
        """The service's name, from K_SERVICE."""
        return os.environ.get("K_SERVICE", "")

    @lazy
    def version(self) -> str:
        """The revision's name, from K_REVISION."""
        return os.environ.get("K_REVISION", "")


def headers(lines: Lines) -> Headers:
    """Return the headers of a scope: values are UTF-8, or else Latin-1."""
    return Headers((name.decode("latin-1"), text(value, name)) for name, value in lines)


def text(value: bytes, name: bytes = b"") -> str:
    """Decode a header's value: UTF-8, or else Latin-1.

    An attribute of a CloudEvent isn't decoded as Latin-1, so that two ids can't become equal: lone surrogates replace its bytes
    (PEP 383).
    """
    try:
        return value.decode()
    except UnicodeDecodeError:
        if name[:3].lower() == b"ce-":
            return value.decode(errors="surrogateescape")
        return value.decode("latin-1")


def paths(scope: Scope) -> tuple[str, str]:
    """Return the scope's raw path without its root path, and the root path."""
    raw = scope.get("raw_path")
    path = origin_form(percent_encoded(raw)) if raw else quoted(scope["path"])
    root_path = scope.get("root_path") or ""
    if root_path:
        root_path = root_path.rstrip("/")
        # Servers differ in whether the path includes the root path. By the specification it does, and in uvicorn since 0.26.
        if path.startswith(f"{root_path}/") or path == root_path:
            path = path[len(root_path) :] or "/"
    return path, root_path


def origin_form(target: str) -> str:
    """Return the path of a request's target, which may be a whole URL or "*" (RFC 9112, section 3.2)."""
    if target.startswith("/"):
        return target
    return f"/{target.partition('://')[2].partition('/')[2]}"


def quoted(path: str) -> str:
    """Percent-encode a decoded path."""
    from urllib.parse import quote

    return quote(path, safe="/:@!$&'()*+,;=-._~")


def percent_encoded(raw: bytes) -> str:
    """Percent-encode what isn't ASCII in a path or query."""
    if raw.isascii():
        return raw.decode()
    return "".join(chr(byte) if byte < 0x80 else f"%{byte:02X}" for byte in raw)


def respond(
    router: Router, request: Request[Any], context: Context, scope: Scope, receive: Receive
) -> Awaitable[Response]:
    """Return the answer to a request whose body must still be read, up to the limit of its function.

    Raises:
        Disconnected: When awaited, if the client has gone.
    """
    target = router.find(request)
    if target[1] == UNREAD or (request.method == "GET" and not has_body(scope)):
        return respond_in_loop(target, request, context)
    return _with_body(target, request, context, scope, receive)


async def _with_body(
    target: Target, request: Request[Any], context: Context, scope: Scope, receive: Receive
) -> Response:
    try:
        request.raw_body = await read_body(scope, receive, target[1])
    except HTTPError as exc:
        target = refusing(exc, target[3])
    return await respond_in_loop(target, request, context)


def has_body(scope: Scope) -> bool:
    """Return whether a request has a body; asking is cheaper than receiving an empty one."""
    # HTTP/2 and HTTP/3 need neither header for a body.
    if scope.get("http_version", "1.1") not in ("1.1", "1.0"):
        return True
    for name, _ in scope.get("headers") or ():
        if name in (b"content-length", b"transfer-encoding"):
            return True
    return False


async def read_body(scope: Scope, receive: Receive, limit: int) -> bytes:
    """Read the request's body.

    Raises:
        HTTPError: 413, as soon as the body is known to be over the limit.
        Disconnected: The client has gone.
    """
    for name, value in scope.get("headers") or ():
        # Before the first message: a server answers it to a client that waits with "100 Continue".
        if name == b"content-length" and value.isdigit() and (len(value) > 18 or int(value) > limit):
            raise too_large(limit)
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body"):
        body: bytes = message.get("body", b"")
        if len(body) > limit:
            raise too_large(limit)
        return body
    chunks: list[bytes] = []
    size = 0
    while message["type"] != "http.disconnect":
        chunks.append(message.get("body", b""))
        size += len(chunks[-1])
        if size > limit:
            raise too_large(limit)
        if not message.get("more_body"):
            return b"".join(chunks)
        message = await receive()
    raise Disconnected


def start(response: Response) -> dict[str, Any]:
    """Return the message that starts the answer, with the length of a body that isn't a stream."""
    # The server frames the body.
    pairs = response.wire_headers() if response.cookies else response.headers.multi_items()
    lines = [(name.encode(), value.encode()) for name, value in pairs if name != "transfer-encoding"]
    body = response.body
    if type(body) is bytes and response.status not in (204, 304) and response.headers.get("content-length") is None:
        lines.append((b"content-length", b"%d" % len(body)))
    return {"type": "http.response.start", "status": response.status, "headers": lines}


async def send_response(response: Response, context: Context, receive: Receive, send: Send) -> None:
    """Send the answer. A stream's chunks are sent as they arrive.

    A stream is closed as soon as the client goes. Its error is logged and raised as a PortableError. Servers then cut the connection,
    so the client can't mistake a part for the whole.
    """
    stream = response.stream
    try:
        await send(start(response))
        if stream is None:
            await send({"type": "http.response.body", "body": response.body})
        else:
            await _stream(stream, context, receive, send)
    except OSError:
        # `send` raises OSError if the client has gone (specification 2.4). A stream's own error never arrives as one.
        pass


async def _stream(stream: Stream, context: Context, receive: Receive, send: Send) -> None:
    import asyncio

    from portable_fn.adapter.streams import broken, pump

    task = asyncio.current_task()
    assert task is not None, "ASGI servers run the application in a task"
    gone = False

    async def stop_when_the_client_goes() -> None:
        nonlocal gone
        while (await receive())["type"] != "http.disconnect":
            pass
        gone = True
        task.cancel()

    async def write(chunk: bytes) -> None:
        if gone:  # and the iterator swallowed the cancellation
            raise Disconnected
        try:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        except OSError as exc:
            raise Disconnected from exc

    watch = asyncio.create_task(stop_when_the_client_goes())
    try:
        await pump(stream, write)
        await send({"type": "http.response.body", "body": b""})
    except BaseException as exc:
        if gone:
            if task.cancelling() > 1:
                raise
        elif is_not_ours(exc):
            raise
        elif not isinstance(exc, Disconnected):
            raise broken(exc, context) from exc
    finally:
        if gone:
            task.uncancel()
        watch.cancel()
