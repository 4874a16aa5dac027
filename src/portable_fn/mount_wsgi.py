"""Mount a WSGI application, such as one of Flask or Django, as a portable function.

https://peps.python.org/pep-3333/
"""

from __future__ import annotations

import sys
from io import BytesIO

from portable_fn import on
from portable_fn.adapter.asgi import text
from portable_fn.decorator import portable
from portable_fn.errors import ConfigurationError, PortableError
from portable_fn.http import MAX_BODY, Request, Response
from portable_fn.pairs import unquoted_bytes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from _typeshed import OptExcInfo
    from _typeshed.wsgi import WSGIApplication

    from portable_fn.context import Context

    Function = Callable[[Request[Any], Context], Response]


def wsgi_app(app: WSGIApplication, *, max_body: int = MAX_BODY) -> Function:
    """Mount a WSGI application (Flask, Django, Bottle, …) as a portable function that answers every path.

    The application runs as any sync handler does: it needs no event loop, and no thread where the provider runs one request at
    a time. The neutral request and context are `environ["portable_fn.request"]` and `environ["portable_fn.context"]`.

    Args:
        app: The application itself, such as `Flask(__name__)` or Django's `get_wsgi_application()`.
        max_body: The most bytes that a request's body may have; over it the answer is 413.

    Raises:
        ConfigurationError: `app` can't be called.
    """
    if not callable(app):
        raise ConfigurationError(f"wsgi_app takes a WSGI application, not {type(app).__name__}")

    def mounted(request: Request, context: Context) -> Response:
        request.params.pop("path", None)
        return _Call().response(app, environ(request, context))

    return portable(on.http("ANY", "/{path+}", max_body=max_body))(mounted)


class _Call:
    """One call of an application."""

    def __init__(self) -> None:
        self._status = 0
        self._headers: list[tuple[str, str]] = []
        self._written: list[bytes] = []
        self._is_sent = False

    def response(self, app: WSGIApplication, environ: dict[str, Any]) -> Response:
        """Return the response: with bytes if the application says that it has all of them, else with a stream."""
        parts = app(environ, self._start)
        try:
            response = self._read(parts)
        except BaseException:
            _close(parts)
            raise
        if not isinstance(response.body, _Stream):
            try:
                _close(parts)
            except Exception as exc:
                environ["portable_fn.context"].log.error("the application failed after its answer", exc_info=exc)
        return response

    def _read(self, parts: Iterable[bytes]) -> Response:
        # Django's responses have `streaming`.
        if isinstance(parts, (list, tuple)) or getattr(parts, "streaming", True) is False:
            body = b"".join(parts)
            return self._started(b"".join((*self._written, body)))
        steps = iter(parts)
        # The application may call start_response as late as with the first part that isn't empty.
        first = next(filter(None, steps), b"")
        begin = b"".join((*self._written, first))
        response = self._started(begin)
        if first and response.headers.get("content-length") != str(len(begin)):
            response.body = _Stream(begin, steps, parts)
            self._is_sent = True
        else:
            response.body = begin + b"".join(steps)
        return response

    def _started(self, body: bytes) -> Response:
        if not self._status:
            raise PortableError("the application ended without start_response")
        return Response(self._status, self._headers, body=body)

    def _start(
        self, status: str, headers: list[tuple[str, str]], exc_info: OptExcInfo | None = None
    ) -> Callable[[bytes], object]:
        if exc_info is None and self._status:
            raise PortableError("the application called start_response twice without exc_info")
        if exc_info is not None and self._is_sent and exc_info[1] is not None:
            raise exc_info[1]
        self._status = int(status[:3])
        # Django's Set-Cookie begins with a space.
        self._headers = [(name, text(value.strip().encode("latin-1"))) for name, value in headers]
        return self._written.append


class _Stream:
    """A body that isn't read to its end. To close it closes the application's iterable."""

    def __init__(self, begin: bytes, steps: Iterable[bytes], parts: Iterable[bytes]) -> None:
        self._begin = begin
        self._steps = iter(steps)
        self._parts = parts

    def __iter__(self) -> _Stream:
        return self

    def __next__(self) -> bytes:
        begin, self._begin = self._begin, b""
        return begin or next(self._steps)

    def close(self) -> None:
        """Close what the application returned."""
        _close(self._parts)


def _close(parts: object) -> None:
    if close := getattr(parts, "close", None):
        close()


def environ(request: Request[Any], context: Context) -> dict[str, Any]:
    """Return a neutral request as WSGI's environ."""
    host, _, port = request.host.rpartition(":")
    if not (port.isascii() and port.isdigit() and len(port) <= 5):
        host, port = request.host, "443" if request.scheme == "https" else "80"
    body, is_as_sent = request.sent_body
    variables: dict[str, Any] = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": _decoded(request.root_path),
        "PATH_INFO": _decoded(request.raw_path),
        "QUERY_STRING": _bytes_as_text(request.raw_query),
        "SERVER_NAME": host or "localhost",
        "SERVER_PORT": port,
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": request.scheme,
        "wsgi.input": BytesIO(body),
        # As gunicorn says that its input ends: werkzeug then reads a body without CONTENT_LENGTH.
        "wsgi.input_terminated": True,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        "portable_fn.request": request,
        "portable_fn.context": context,
    }
    if request.client_ip is not None:
        variables["REMOTE_ADDR"] = request.client_ip
    for name, value in request.headers.multi_items():
        # "x_user" would pose as "x-user", which a proxy may have set. gunicorn and Django's server leave it out too.
        if "_" in name or name in _REWRITTEN or (name == "content-encoding" and not is_as_sent):
            continue
        key = "CONTENT_TYPE" if name == "content-type" else f"HTTP_{name.upper().replace('-', '_')}"
        before = f"{variables[key]}{'; ' if name == 'cookie' else ','}" if key in variables else ""
        variables[key] = before + _bytes_as_text(value)
    if "host" in request.headers or request.host:
        variables["HTTP_HOST"] = request.headers.get("host", request.host)
    # The provider has undone transfer codings, and not every one gives the length.
    if body or "content-length" in request.headers:
        variables["CONTENT_LENGTH"] = str(len(body))
    return variables


_REWRITTEN = ("host", "content-length", "transfer-encoding")


def _decoded(path: str) -> str:
    return unquoted_bytes(path.encode("utf-8", "surrogateescape")).decode("latin-1")


def _bytes_as_text(value: str) -> str:
    """Return a text as PEP 3333 wants it: each character is one byte."""
    return value if value.isascii() else value.encode("utf-8", "surrogateescape").decode("latin-1")
