"""Recordings of invocations: each with its payload, without secrets, and its outcome, in a file of its own.

An adapter's `entry` takes this road only where PORTABLE_FN_RECORD is set when it is called.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from inspect import iscoroutinefunction
from itertools import count
from typing import Any

from portable_fn.adapter import bindings
from portable_fn.data import to_json
from portable_fn.testing import native_json
from portable_fn.testing.probing import Call, telling
from portable_fn.testing.redaction import redacted

VARIABLE = "PORTABLE_FN_RECORD"
# Of a body that is streamed no more is kept.
MAX_BODY = 10 * 1024 * 1024

_numbers = count(1)
_calls: ContextVar[list[Call] | None] = ContextVar("_calls", default=None)


class Recording:
    """One invocation: `payload()` and `answer`, as JSON values, are what it was called with and what came back."""

    def __init__(self, provider: str) -> None:
        self.provider = provider
        self.calls: list[Call] = []
        self.payload: Callable[[], Any] = lambda: None
        self.answer: Callable[[], Any] = lambda: None

    def write(self, seconds: float, error: BaseException | None) -> None:
        """Writes the file, or a line of the log where PORTABLE_FN_RECORD is "-"; what fails is logged and costs nothing else."""
        try:
            made: dict[str, Any] = {
                "provider": self.provider,
                "recorded": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                "seconds": round(seconds, 6),
                "payload": redacted(self.payload()),
                "calls": self.calls,
            }
            if error is None:
                made["answer"] = redacted(self.answer())
            else:
                made["raised"] = {"name": type(error).__name__, "message": redacted(str(error))}
            _write(made)
        except Exception as exc:
            # Not what it says, which may have something of the payload.
            logging.getLogger("portable_fn").warning("an invocation can't be recorded: %s", type(exc).__name__)


def _write(made: dict[str, Any]) -> None:
    folder = os.environ.get(VARIABLE) or "-"
    text = to_json(made)
    if folder == "-":
        print(f"{VARIABLE} {text}", file=sys.stdout, flush=True)
        return
    os.makedirs(folder, exist_ok=True)
    name = f"{time.time_ns()}-{os.getpid()}-{next(_numbers)}-{made['provider']}.json"
    path = os.path.join(folder, name)
    # Nobody is to read half a file, and nobody else's eyes are for a payload.
    with open(os.open(f"{path}.part", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        json.dump(json.loads(text), file, indent=2, ensure_ascii=False)
    os.replace(f"{path}.part", path)


@contextmanager
def _recording(recording: Recording) -> Generator[Recording]:
    token = _calls.set(recording.calls)
    start = time.perf_counter()
    error: BaseException | None = None
    try:
        yield recording
    except BaseException as exc:
        error = exc
        raise
    finally:
        _calls.reset(token)
        recording.write(time.perf_counter() - start, error)


@contextmanager
def not_recorded() -> Generator[None]:
    """A block whose entries don't record."""
    before = os.environ.pop(VARIABLE, None)
    try:
        yield
    finally:
        if before is not None:
            os.environ[VARIABLE] = before


def _tell(call: Call) -> None:
    calls = _calls.get()
    if calls is not None:
        calls.append(call)


def _functions(targets: tuple[object, ...]) -> list[Any]:
    return telling(bindings(*targets), _tell)


def function(provider: str, make: Callable[..., Any], targets: tuple[object, ...]) -> Callable[..., Any]:
    """What `make` gives for the targets, a function of a JSON payload, async or not, which records its invocations."""
    handler = make(*_functions(targets))

    def recorded(payload: Any, *native: Any) -> Any:
        with _recording(Recording(provider)) as recording:
            recording.payload = lambda: payload
            answer = handler(payload, *native)
            recording.answer = lambda: answer
            return answer

    async def recorded_async(payload: Any, *native: Any) -> Any:
        with _recording(Recording(provider)) as recording:
            recording.payload = lambda: payload
            answer = await handler(payload, *native)
            recording.answer = lambda: answer
            return answer

    return recorded_async if iscoroutinefunction(handler) else recorded


def application(provider: str, make: Callable[..., Any], targets: tuple[object, ...]) -> Any:
    """What `make` gives for the targets, an ASGI application, which records its requests."""
    given = make(*_functions(targets))

    async def recorded(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await _recorded_asgi(given, Recording(provider), scope)(scope, receive, send)
        else:
            await given(scope, receive, send)

    return recorded


def _recorded_asgi(app: Any, recording: Recording, native: Any) -> Any:
    """The application, which records the one request, of the native scope."""

    async def recorded(scope: Any, receive: Any, send: Any) -> None:
        received, sent = _Kept(), _Kept()
        start: dict[str, Any] = {}

        async def receiving() -> Any:
            message = await receive()
            received.add(message.get("body", b""))
            return message

        async def sending(message: Any) -> None:
            if message["type"] == "http.response.start":
                start.update(message)
            sent.add(message.get("body", b""))
            await send(message)

        with _recording(recording):
            recording.payload = lambda: native_json.written(native, recording.provider, body=received.body)
            recording.answer = lambda: _answer(
                start["status"], [(name.decode(), one.decode()) for name, one in start["headers"]], sent.body
            )
            await app(scope, receiving, sending)

    return recorded


def target(provider: str, make: Callable[..., Any], targets: tuple[object, ...]) -> Callable[..., Any]:
    """What `make` gives for the targets, a function of Flask's or Starlette's request, which records its requests."""
    given = make(*_functions(targets))

    def recorded(native: Any, *more: Any) -> Any:
        if hasattr(native, "scope"):
            recording = Recording(provider)
            # What answers has the context variables of here.
            token = _calls.set(recording.calls)
            try:
                return _recorded_asgi(given(native, *more), recording, native.scope)
            finally:
                _calls.reset(token)
        if not hasattr(native, "environ"):
            return given(native, *more)
        with _recording(Recording(provider)) as recording:
            kept = _Kept()
            if native.content_length is None:
                # It can be read but once.
                native.stream = _Read(native.stream, kept)
            answer = given(native, *more)
            recording.payload = lambda: native_json.written(native.environ, provider, body=kept.body)
            recording.answer = lambda: _answer(
                answer.status_code,
                list(answer.headers),
                b"" if answer.is_streamed else answer.get_data(),
            )
            if native.content_length is not None and native.content_length <= MAX_BODY:
                kept.add(native.get_data())
            return answer

    return recorded


class _Read:
    """A stream of which is kept what is read."""

    def __init__(self, stream: Any, kept: _Kept) -> None:
        self._stream = stream
        self._kept = kept

    def read(self, *size: int) -> bytes:
        chunk: bytes = self._stream.read(*size)
        self._kept.add(chunk)
        return chunk

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class _Kept:
    """A body, up to a limit."""

    def __init__(self) -> None:
        self.body = b""

    def add(self, chunk: bytes) -> None:
        if len(self.body) + len(chunk) <= MAX_BODY:
            self.body += chunk


def _answer(status: int, headers: list[tuple[str, str]], body: bytes) -> dict[str, Any]:
    made = native_json.http("", "", headers, body)
    return {"status": status, **{name: value for name, value in made.items() if name not in ("method", "url")}}
