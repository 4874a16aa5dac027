"""JSON over HTTP, as the emulated services' REST interfaces speak it, and a server that hears what they deliver."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Empty, SimpleQueue
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from tests.runtimes.wire import Headers, values


def call(method: str, url: str, body: object = None, headers: Mapping[str, str] = {}, *, timeout: float = 30) -> Any:
    """The parsed answer, or None for an empty one; `body` goes as it is where it is bytes, else as JSON."""
    data, named = (body, headers) if isinstance(body, bytes) else (None, headers)
    if body is not None and data is None:
        data, named = json.dumps(body).encode(), {"Content-Type": "application/json", **headers}
    try:
        with urlopen(Request(url, data, dict(named), method=method), timeout=timeout) as answer:
            text = answer.read()
    except HTTPError as exc:
        with exc:
            raise RuntimeError(f"{method} {url} answered {exc.code}: {exc.read().decode(errors='replace')}") from exc
    return json.loads(text) if text else None


@dataclass(frozen=True)
class Heard:
    """A request; header names in lower case, values as Latin-1 text, repeats kept in their order."""

    method: str
    target: str
    headers: Headers
    body: bytes
    at: float

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def header(self, name: str) -> str | None:
        """The first value of a header, by its lower-case name."""
        return next(iter(values(self.headers, name)), None)

    def prefixed(self, prefix: str) -> dict[str, str]:
        """The headers whose name begins so."""
        return {name: value for name, value in self.headers if name.startswith(prefix)}


@dataclass(frozen=True)
class Listener:
    """A server that keeps what it hears and answers 204, unless told otherwise."""

    url: str
    _heard: SimpleQueue[Heard] = field(default_factory=SimpleQueue)
    _answers: SimpleQueue[int] = field(default_factory=SimpleQueue)

    def will_answer(self, *statuses: int) -> None:
        """Answer the next requests with these statuses, one each."""
        for status in statuses:
            self._answers.put(status)

    def next(self, *, timeout: float = 20) -> Heard:
        """The next request, awaited."""
        try:
            return self._heard.get(timeout=timeout)
        except Empty:
            raise AssertionError(f"nothing was heard within {timeout} s") from None


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def __init__(self, listener: Listener, *arguments: Any) -> None:
        self.listener = listener
        super().__init__(*arguments)

    def _hear(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        headers = [(name.lower(), value) for name, value in self.headers.items()]
        try:
            status = self.listener._answers.get_nowait()
        except Empty:
            status = 204
        self.listener._heard.put(Heard(self.command, self.path, headers, body, time.monotonic()))
        self.send_response(status)
        if status != 204:
            self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_POST = do_PUT = _hear  # noqa: N815 - the names that http.server calls

    def log_message(self, format: str, *arguments: object) -> None:
        """What was heard is the log."""


@contextmanager
def listening() -> Iterator[Listener]:
    """Hear every GET, POST and PUT with a Content-Length on a free port of 127.0.0.1."""
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        listener = Listener(f"http://127.0.0.1:{server.server_port}")
        server.RequestHandlerClass = partial(_Handler, listener)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield listener
        finally:
            server.shutdown()
