"""Play functions-framework: call a function with Google's requests, and return what the caller receives."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from io import BytesIO
from typing import TYPE_CHECKING, Any

from portable_fn.adapter.callers import unwarned
from portable_fn.errors import ConfigurationError, EncodeError
from portable_fn.http import Request
from portable_fn.pairs import Headers, unquoted
from portable_fn.testing import asgi
from portable_fn.testing.loop import run
from portable_fn.testing.results import Answer, Exchange, Raised
from portable_fn_gcp import encode
from portable_fn_gcp.entry import entry
from portable_fn_gcp.simulate.events import EVENT_SERVICES, ordering_key, payloads, results
from portable_fn_gcp.simulate.pubsub import current, playing

if TYPE_CHECKING:
    from portable_fn.adapter.calling import Middleware

__all__ = [
    "EVENT_SERVICES",
    "NEEDS",
    "SERVICES",
    "environ",
    "exchange",
    "invoker",
    "payloads",
    "playing",
    "results",
    "scope",
    "sent",
]

SERVICES = ("http", "http_async")

# Packages with the requests that a function is called with; functions-framework installs them.
NEEDS = ("flask",)

# functions-framework 3.10 routes these in Starlette, which answers all others with 405.
ASYNC_METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH")


def exchange(
    targets: tuple[object, ...],
    request: Request[Any],
    service: str,
    *,
    use: Sequence[Middleware] = (),
    root_path: str = "",
) -> Exchange:
    """Return the exchange of a request with the functions, by one of SERVICES."""
    with unwarned():
        target = entry(*targets, use=use, root_path=root_path)
    return sent(target, request, service)


def sent(target: Any, request: Request[Any], service: str = "http") -> Exchange:
    """Return the exchange of a request with a target of functions-framework, by one of SERVICES."""
    if service == "http":
        native = environ(request)
        return Exchange(native, lambda: _wsgi(target, native, request.raw_body), lambda answer: answer)
    native = scope(request)
    return Exchange(native, lambda: run(_asgi(target, native, request.raw_body)), asgi.answer)


def invoker(
    targets: tuple[object, ...], service: str, seconds: float
) -> Callable[[Request[Any]], Answer | Raised | None]:
    """Return a function that sends a trigger's request to the functions under Flask.

    It returns None for a request that isn't sent, since an earlier one of the same ordering key wasn't acknowledged. The next
    block of `playing` sends such requests again.

    Args:
        targets: The functions.
        service: The trigger.
        seconds: The function's time limit; Cloud Run has only whole seconds.
    """
    with unwarned():
        target = entry(*targets)
    waiting: set[str] = set()
    block = current.get()

    def invoke(native: Request[Any]) -> Answer | Raised | None:
        nonlocal block
        if block is not current.get():
            block = current.get()
            waiting.clear()
        key = ordering_key(native, service)
        if key in waiting:
            return None
        answer = send(native)
        if key is not None and not (isinstance(answer, Answer) and answer.status in (200, 204)):
            waiting.add(key)
        return answer

    def send(native: Request[Any]) -> Answer | Raised:
        before = os.environ.get("CLOUD_RUN_TIMEOUT_SECONDS")
        os.environ["CLOUD_RUN_TIMEOUT_SECONDS"] = str(int(seconds))
        try:
            http = sent(target, native)
            return http.answer(http.invoke())
        except Exception as exc:
            return Raised.of(exc)
        finally:
            if before is None:
                del os.environ["CLOUD_RUN_TIMEOUT_SECONDS"]
            else:
                os.environ["CLOUD_RUN_TIMEOUT_SECONDS"] = before

    return invoke


def environ(request: Request[Any]) -> dict[str, Any]:
    """Return gunicorn's WSGI environ of the request, in which repeated headers are joined."""
    target = f"{request.raw_path}?{request.raw_query}" if request.raw_query else request.raw_path
    host, _, port = request.host.partition(":")
    headers = Headers(_lines(request))
    variables = {
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
        variables[key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"] = value
    return variables


def scope(request: Request[Any]) -> dict[str, Any]:
    """Return uvicorn's scope of the request."""
    return asgi.scope(
        request, _lines(request), server=("127.0.0.1", 8080), client=("169.254.169.126", 0), scheme="http"
    )


def _wsgi(target: Any, environ: dict[str, Any], body: bytes) -> Answer:
    try:
        from flask import Request as FlaskRequest
    except ImportError as exc:
        raise ConfigurationError("Google's functions need Flask: pip install 'portable-fn[gcp]'") from exc

    started: list[Any] = []
    native = {**environ, "wsgi.input": BytesIO(body)}
    response = target(FlaskRequest(native))
    chunks = response(native, lambda status, headers: started.extend((status, headers)))
    try:
        sent = [chunk for chunk in chunks if chunk]
    finally:
        if close := getattr(chunks, "close", None):
            close()
    status, lines = started
    if not response.is_streamed:
        _check_size(sum(map(len, sent)))
    headers = Headers((name, value.encode("latin-1").decode()) for name, value in lines)
    return Answer(int(status.split()[0]), headers, b"".join(sent), sent)


async def _asgi(target: Any, scope: dict[str, Any], body: bytes) -> list[dict[str, Any]]:
    try:
        from starlette.requests import Request as StarletteRequest
    except ImportError as exc:
        raise ConfigurationError("Google's async functions need Starlette: pip install 'portable-fn[gcp]'") from exc

    connection = asgi.Connection(body)
    if scope["method"] not in ASYNC_METHODS:
        headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"allow", ", ".join(ASYNC_METHODS).encode())]
        await connection.send({"type": "http.response.start", "status": 405, "headers": headers})
        await connection.send({"type": "http.response.body", "body": b"Method Not Allowed"})
        return connection.sent
    native = dict(scope)
    response = target(StarletteRequest(native, connection.receive, connection.send))
    await response(native, connection.receive, connection.send)
    if len(connection.sent) == 2:
        _check_size(len(connection.sent[1].get("body", b"")))
    return connection.sent


def _check_size(size: int) -> None:
    """Raise EncodeError for an answer in one piece that Cloud Run would refuse."""
    if size > encode.MAX_ANSWER:
        raise EncodeError(
            f"Cloud Run would answer 500: the answer has {size} bytes, but at most {encode.MAX_ANSWER} are allowed"
        )


def _lines(request: Request[Any]) -> list[tuple[str, str]]:
    # If Google doesn't send an execution id, functions-framework generates one.
    return asgi.proxied(request, ("function-execution-id", request.id))
