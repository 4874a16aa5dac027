"""Mount an ASGI application as a portable function: `asgi_app`.

https://asgi.readthedocs.io/en/latest/specs/www.html
"""

from __future__ import annotations

from portable_fn import on
from portable_fn.adapter.asgi import text
from portable_fn.decorator import portable
from portable_fn.errors import ConfigurationError, PortableError
from portable_fn.http import MAX_BODY, Request, Response

TYPE_CHECKING = False
if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping, Sequence
    from typing import Any

    from portable_fn.context import Context

    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]
    Application = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[object]]
    Function = Callable[[Request[Any], Context], Awaitable[Response]]

__all__ = ["asgi_app", "http_scope", "lifespan"]

# uvicorn 0.54 declares the same: the application learns from `receive` that the client has gone.
_VERSIONS = {"version": "3.0", "spec_version": "2.3"}


def asgi_app(app: Application, *, max_body: int = MAX_BODY, startup_timeout: float = 60) -> Function:
    """Mount an ASGI application (FastAPI, Starlette, Litestar, Django, …) as a portable function that answers every path.

    In a container, the application's lifespan starts and stops with the server. Elsewhere it starts with the first request, once
    per process, and stops if the process ends its event loop in order. If the startup fails or takes too long, requests are
    answered with 500; after a failure, the next request tries again.

    The neutral request and context are in `scope["extensions"]["portable_fn"]`. Work after the answer, such as background tasks,
    is `context.background`; a stream waits for it.

    Args:
        app: The application.
        max_body: The most bytes of a body. A larger one is answered with 413.
        startup_timeout: The most seconds that a request waits for the startup.

    Raises:
        ConfigurationError: `app` isn't an ASGI application.
    """
    if not callable(app):
        raise ConfigurationError(f"asgi_app takes an ASGI application, not {type(app).__name__}")
    mount = Mount(app, startup_timeout)

    async def mounted(request: Request, context: Context) -> Response:
        request.params.pop("path", None)
        state = await mount.started()
        return await _Call(app, request, context, state).response()

    mounted.__mount__ = mount  # type: ignore[attr-defined]  # for a server that says when to start and to shut down
    return portable(on.http("ANY", "/{path+}", max_body=max_body))(mounted)


async def lifespan(mounts: Sequence[Mount], receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Any]) -> None:
    """Start and stop mounted applications when the server says so, and send it the result."""
    while True:
        kind = (await receive())["type"]
        failures = await (_start if kind == "lifespan.startup" else _stop)(mounts)
        if failures:
            await send({"type": f"{kind}.failed", "message": "\n".join(filter(None, failures))})
        else:
            await send({"type": f"{kind}.complete"})
        if failures or kind == "lifespan.shutdown":
            return


async def _start(mounts: Sequence[Mount]) -> list[str]:
    for number, mount in enumerate(mounts):
        if (failure := await mount.start()) is not None:
            return [failure, *await _stop(mounts[:number])]
    return []


async def _stop(mounts: Sequence[Mount]) -> list[str]:
    ended = [await mount.stop() for mount in reversed(mounts)]
    return [failure for failure in ended if failure is not None]


class Mount:
    """An application with its lifespan in each event loop."""

    def __init__(self, app: Application, timeout: float) -> None:
        self._app = app
        self._timeout = timeout
        self._lifespans: dict[asyncio.AbstractEventLoop, _Lifespan] = {}

    def _lifespan(self) -> _Lifespan:
        """Return the lifespan that runs or starts; a new one if the last one failed to start."""
        from asyncio import get_running_loop

        loop = get_running_loop()
        known = self._lifespans.get(loop)
        if known is not None and not known.has_failed:
            return known
        if known is not None:
            known.cancel()
        for other in [other for other in self._lifespans if other.is_closed()]:
            del self._lifespans[other]
        self._lifespans[loop] = lifespan = _Lifespan(self._app)
        return lifespan

    async def started(self) -> dict[str, Any]:
        """Wait for the startup, and return the state that it left. All callers share one attempt.

        Raises:
            PortableError: The startup failed, or takes longer than the timeout. It then goes on.
        """
        lifespan = self._lifespan()
        if not lifespan.startup.done():
            from asyncio import wait

            await wait({lifespan.startup}, timeout=self._timeout)
            if not lifespan.startup.done():
                raise PortableError(f"the application hasn't started within {self._timeout:g} seconds")
        if (failure := lifespan.startup.result()) is not None:
            raise PortableError(f"the application's startup failed: {failure or 'it gives no reason'}")
        return lifespan.state

    async def start(self) -> str | None:
        """Start the application, however long it takes. Return its message if it fails."""
        from asyncio import shield

        return await shield(self._lifespan().startup)

    async def stop(self) -> str | None:
        """Stop the application if it runs. Return its message if it fails."""
        from asyncio import get_running_loop

        lifespan = self._lifespans.pop(get_running_loop(), None)
        return None if lifespan is None else await lifespan.stop()


class _Lifespan:
    """An application's lifespan in one event loop.

    `startup` and `shutdown` resolve to None, or to the application's message of its failure, which may be "".
    """

    def __init__(self, app: Application) -> None:
        import asyncio

        self._app = app
        self.state: dict[str, Any] = {}
        self._asked = False
        loop = asyncio.get_running_loop()
        self.startup: asyncio.Future[str | None] = loop.create_future()
        self._shutdown: asyncio.Future[str | None] = loop.create_future()
        self._stops = asyncio.Event()
        self._task = asyncio.create_task(self._run())
        # It waits as long as the process lives, of which asyncio would complain at the end.
        self._task._log_destroy_pending = False  # type: ignore[attr-defined]  # as asyncio.gather does
        # Nothing else refers to it. If it were collected, it would end at any moment. Starlette 1.10 formats a traceback then, which breaks
        # a parser that runs around it: "AST constructor recursion depth mismatch", seen with CPython 3.11.7.
        _running.add(self._task)
        self._task.add_done_callback(_running.discard)

    @property
    def has_failed(self) -> bool:
        """Whether the startup has failed."""
        return self.startup.done() and self.startup.result() is not None

    @property
    def _is_on(self) -> bool:
        return self.startup.done() and self.startup.result() is None

    def cancel(self) -> None:
        """Stop it where it is."""
        self._task.cancel()

    async def stop(self) -> str | None:
        """Stop the application. Return its message if it fails."""
        from asyncio import shield

        if self._is_on:
            self._stops.set()
            return await shield(self._shutdown)
        self._task.cancel()
        return None

    async def _run(self) -> None:
        from asyncio import CancelledError

        scope = {"type": "lifespan", "asgi": _VERSIONS, "state": self.state}
        failure: str | None = None
        try:
            await self._app(scope, self._receive, self._send)
        except (CancelledError, GeneratorExit):
            # The event loop is being closed.
            _resolve(self.startup, "it was cancelled")
            raise
        except BaseException as exc:
            if self._is_on:
                failure = f"{type(exc).__name__}: {exc}"
                _log("the application's lifespan failed", exc)
            elif not self.startup.done() and self._asked and not isinstance(exc, PortableError):
                # By ASGI's rules the application has no lifespan. Most applications without one fail before they are asked.
                _log(
                    "the application failed before it answered its startup, which is taken for having no lifespan", exc
                )
        finally:
            _resolve(self.startup, None)
            _resolve(self._shutdown, failure)

    async def _receive(self) -> Message:
        from asyncio import CancelledError, Event

        if not self._asked:
            self._asked = True
            return {"type": "lifespan.startup"}
        if not self.startup.done():
            raise PortableError("the application asks for another message of its lifespan before it has started")
        if self._stops.is_set():
            await Event().wait()
        try:
            await self._stops.wait()
        except CancelledError:
            # What ends the event loop, such as asyncio.run, cancels its tasks and waits for them.
            if not self._is_on:
                raise
            self._task.uncancel()
            self._stops.set()
        return {"type": "lifespan.shutdown"}

    async def _send(self, message: Message) -> None:
        kind = message["type"]
        if not kind.startswith("lifespan."):
            raise PortableError(f"the application answers its lifespan with {kind}")
        failure = str(message.get("message") or "") if kind.endswith(".failed") else None
        _resolve(self.startup if kind.startswith("lifespan.startup.") else self._shutdown, failure)


def _resolve(future: asyncio.Future[str | None], failure: str | None) -> None:
    if not future.done():
        future.set_result(failure)


def _log(what: str, error: BaseException) -> None:
    from portable_fn.logs import log

    log().error(what, exc_info=error)


_running: set[asyncio.Task[None]] = set()


class _Call:
    """One request to the application, and the answer that it sends in messages."""

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
        # One message ahead of the reader: the application waits for a slow client.
        self._messages: asyncio.Queue[Message | None] = asyncio.Queue(1)
        self._task = asyncio.create_task(self._run())
        # The loop keeps only weak references.
        _running.add(self._task)
        self._task.add_done_callback(_running.discard)

    async def response(self) -> Response:
        """Return the answer: with bytes if the body is one message, else with a stream."""
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
        """Wait for the application's work after its answer, and log its error."""
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
        """Tell the application that the client has gone."""
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
            return {"type": "http.request", "body": self._request.sent_body[0], "more_body": False}
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
    """Return the ASGI scope of a neutral request."""
    host, _, port = request.host.rpartition(":")
    if not (port.isascii() and port.isdigit() and len(port) <= 5):
        host, port = request.host, "443" if request.scheme == "https" else "80"
    root_path = request.root_path
    body, is_as_sent = request.sent_body
    left_out = _REWRITTEN if is_as_sent else (*_REWRITTEN, "content-encoding")
    lines = [
        (name.encode("latin-1"), value.encode("utf-8", "surrogateescape"))
        for name, value in request.headers.multi_items()
        if name not in left_out
    ]
    if "host" in request.headers or request.host:
        lines.insert(0, (b"host", request.headers.get("host", request.host).encode()))
    # The provider has decoded transfer codings, and may not send the length.
    if body or "content-length" in request.headers:
        lines.append((b"content-length", b"%d" % len(body)))
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
