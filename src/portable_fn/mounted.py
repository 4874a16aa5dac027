"""An ASGI application as a portable function: `asgi_app`. https://asgi.readthedocs.io/en/latest/specs/www.html"""

from __future__ import annotations

from portable_fn import on
from portable_fn.asgi import text
from portable_fn.decorator import portable
from portable_fn.errors import ConfigurationError, PortableError
from portable_fn.http import Request, Response
from portable_fn.on import MAX_BODY

TYPE_CHECKING = False
if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
    from typing import Any

    from portable_fn.context import Context

    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]
    Application = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[object]]
    Function = Callable[[Request[Any], Context], Awaitable[Response]]

# What uvicorn 0.54 declares: the application hears of a client that has gone from `receive`.
_VERSIONS = {"version": "3.0", "spec_version": "2.3"}


def asgi_app(app: Application, *, max_body: int = MAX_BODY, startup_timeout: float = 60) -> Function:
    """An ASGI application (FastAPI, Starlette, Litestar, Django, …) as a portable function that answers every path.

    Its lifespan starts with the first request, once in a process and event loop, and isn't shut down; where the startup fails,
    or isn't through after `startup_timeout` seconds, requests are answered with 500. The neutral request and context are in
    `scope["extensions"]["portable_fn"]`. What the application does after its answer, such as background tasks, is
    `context.background`, and after a stream it ends before the stream does. A body of over `max_body` bytes is a 413.
    """
    if not callable(app):
        raise ConfigurationError(f"asgi_app takes an ASGI application, not {type(app).__name__}")
    lifespans: dict[asyncio.AbstractEventLoop, _Lifespan] = {}

    async def mounted(request: Request, context: Context) -> Response:
        from asyncio import get_running_loop

        request.params.pop("path", None)
        loop = get_running_loop()
        if loop not in lifespans:
            for other in [other for other in lifespans if other.is_closed()]:
                del lifespans[other]
            lifespans[loop] = _Lifespan(app, startup_timeout)
        state = await lifespans[loop].started()
        return await _Call(app, request, context, state).response()

    return portable(on.http("ANY", "/{path+}", max_body=max_body))(mounted)


class _Lifespan:
    """The application's lifespan in one event loop."""

    def __init__(self, app: Application, timeout: float) -> None:
        import asyncio

        self._app = app
        self._timeout = timeout
        self._state: dict[str, Any] = {}
        self._asked = False
        # Why the startup failed, empty where it didn't.
        self._startup: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._run())
        # It waits as long as the process lives; asyncio would complain of that at the end.
        self._task._log_destroy_pending = False  # type: ignore[attr-defined]  # as asyncio.gather does
        # Nobody else keeps it: collected, it would end in the midst of anything. Starlette 1.10 formats a traceback then, which
        # breaks a parser at work around it: "AST constructor recursion depth mismatch", seen with CPython 3.11.7.
        _running.add(self._task)
        self._task.add_done_callback(_running.discard)

    async def started(self) -> dict[str, Any]:
        """The state that the startup left, once it is through; PortableError where it failed or takes longer."""
        if not self._startup.done():
            from asyncio import wait

            await wait({self._startup}, timeout=self._timeout)
            if not self._startup.done():
                raise PortableError(f"the application hasn't started within {self._timeout:g} seconds")
        if failure := self._startup.result():
            raise PortableError(f"the application's startup failed: {failure}")
        return self._state

    async def _run(self) -> None:
        from asyncio import CancelledError

        scope = {"type": "lifespan", "asgi": _VERSIONS, "state": self._state}
        try:
            await self._app(scope, self._receive, self._send)
        except (CancelledError, GeneratorExit):
            # The event loop is being closed.
            raise
        except BaseException as exc:
            # Before the startup is answered, an exception says that the application has no lifespan.
            if self._startup.done() and not self._startup.result():
                import logging

                logging.getLogger("portable_fn").error("the application's lifespan failed", exc_info=exc)
        finally:
            self._settle("")

    async def _receive(self) -> Message:
        from asyncio import Event

        if not self._asked:
            self._asked = True
            return {"type": "lifespan.startup"}
        if not self._startup.done():
            raise PortableError("the application asks for another message of its lifespan before it has started")
        await Event().wait()
        raise AssertionError("the lifespan isn't shut down")

    async def _send(self, message: Message) -> None:
        if message["type"] == "lifespan.startup.complete":
            self._settle("")
        elif message["type"] == "lifespan.startup.failed":
            self._settle(message.get("message") or "it gives no reason")
        elif not message["type"].startswith("lifespan."):
            raise PortableError(f"the application answers its lifespan with {message['type']}")

    def _settle(self, failure: str) -> None:
        if not self._startup.done():
            self._startup.set_result(failure)


_running: set[asyncio.Task[None]] = set()


class _Call:
    """One request to the application, whose answer it sends in messages."""

    def __init__(self, app: Application, request: Request[Any], context: Context, state: dict[str, Any]) -> None:
        import asyncio

        self._app = app
        self._request = request
        self._context = context
        self._scope = http_scope(request, context, state)
        self._received = False
        self._ended: BaseException | None = None
        self._complete = False
        self._over = asyncio.Event()
        # One message ahead of who reads the answer: the application waits for a slow client.
        self._messages: asyncio.Queue[Message | None] = asyncio.Queue(1)
        self._task = asyncio.create_task(self._run())
        # The loop itself keeps weak references only.
        _running.add(self._task)
        self._task.add_done_callback(_running.discard)

    async def response(self) -> Response:
        """The answer: with bytes where the body is one message, else with a stream."""
        try:
            begun = await self._next("http.response.start")
            body = await self._next("http.response.body")
        except BaseException:
            self._leave()
            self._task.cancel()
            raise
        status, lines = begun["status"], begun.get("headers", ())
        response = Response(status, [(name.decode("latin-1"), text(value)) for name, value in lines])
        if not body.get("more_body"):
            response.body = bytes(body.get("body", b""))
        elif self._request.method == "HEAD" or status in (204, 304):
            self._leave()
        else:
            response.body = self._stream(body)
            return response
        if not self._task.done() or self._ended is not None:
            self._context.background(self._finish())
        return response

    async def _stream(self, message: Message) -> AsyncIterator[bytes]:
        try:
            yield message.get("body", b"")
            while message.get("more_body"):
                message = await self._next("http.response.body")
                yield message.get("body", b"")
        finally:
            self._leave()
        await self._finish()

    async def _finish(self) -> None:
        """Waits for what the application does after its answer; what fails there is logged."""
        await self._task
        if self._ended is not None and self._complete:
            self._context.log.error("the application failed after its answer", exc_info=self._ended)

    async def _next(self, kind: str) -> Message:
        message = await self._messages.get()
        if message is None:
            raise self._ended or PortableError(f"the application ended without {kind}")
        if message["type"] != kind:
            raise PortableError(f"the application sent {message['type']} where {kind} is due")
        return message

    def _leave(self) -> None:
        """Tells the application that nobody reads on."""
        self._over.set()
        while not self._messages.empty():
            self._messages.get_nowait()

    async def _run(self) -> None:
        try:
            await self._app(self._scope, self._receive, self._send)
        except BaseException as exc:
            # A task that raises SystemExit would end the event loop.
            self._ended = exc
        if not self._over.is_set():
            await self._messages.put(None)

    async def _receive(self) -> Message:
        if not self._received:
            self._received = True
            return {"type": "http.request", "body": self._request.body, "more_body": False}
        await self._over.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        if self._complete:
            raise PortableError(f"the application sent {message['type']} after the end of its answer")
        if self._over.is_set():
            raise OSError("the client has gone")
        self._complete = message["type"] == "http.response.body" and not message.get("more_body")
        await self._messages.put(message)
        if self._complete:
            self._over.set()


def http_scope(request: Request[Any], context: Context, state: Mapping[str, Any]) -> dict[str, Any]:
    """The scope of a neutral request."""
    host, _, port = request.host.rpartition(":")
    if not (port.isascii() and port.isdigit() and len(port) <= 5):
        host, port = request.host, "443" if request.scheme == "https" else "80"
    root_path = request.root_path
    lines = [
        (name.encode("latin-1"), value.encode("utf-8", "surrogateescape"))
        for name, value in request.headers.pairs
        if name not in _REWRITTEN
    ]
    if "host" in request.headers or request.host:
        lines.insert(0, (b"host", request.headers.get("host", request.host).encode()))
    # The provider has undone transfer codings, and not every one gives the length.
    if request.body or "content-length" in request.headers:
        lines.append((b"content-length", b"%d" % len(request.body)))
    return {
        "type": "http",
        "asgi": _VERSIONS,
        "http_version": "1.1",
        "method": request.method,
        "scheme": request.scheme,
        "path": root_path + request.path,
        "raw_path": (root_path + request.raw_path).encode(),
        "query_string": request.raw_query.encode(),
        "root_path": root_path,
        "headers": lines,
        "client": None if request.client_ip is None else (request.client_ip, 0),
        "server": (host, int(port)),
        "state": dict(state),
        "extensions": {"portable_fn": {"request": request, "context": context}},
    }


_REWRITTEN = ("host", "content-length", "transfer-encoding")
