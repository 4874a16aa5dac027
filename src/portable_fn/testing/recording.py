"""Recordings of invocations: each with its payload, without secrets, and its outcome, in a file of its own.

An adapter's `entry` takes this road only where PORTABLE_FN_RECORD is set when it is called.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from inspect import iscoroutinefunction
from itertools import count
from typing import Any

from portable_fn.adapter import bindings
from portable_fn.binding import Binding
from portable_fn.data import to_json
from portable_fn.testing import native_json
from portable_fn.testing.probing import Call, telling
from portable_fn.testing.redaction import redacted

VARIABLE = "PORTABLE_FN_RECORD"
# Of a body that is streamed no more is kept.
MAX_BODY = 10 * 1024 * 1024

_numbers = count(1)
_calls: ContextVar[list[Call] | None] = ContextVar("_calls", default=None)
# Where recordings go instead, while they are replayed.
_again: list[dict[str, Any]] | None = None


class Recording:
    """One invocation, from now on: `payload()` and `answer()`, as JSON values, are what it was called with and what came back.

    `error` is what its caller is told to have been raised, where nothing was.
    """

    def __init__(self, provider: str) -> None:
        self.provider = provider
        self.calls: list[Call] = []
        self.payload: Callable[[], Any] = lambda: None
        self.answer: Callable[[], Any] = lambda: None
        self.error: BaseException | None = None
        self._start = time.perf_counter()

    @contextmanager
    def heard(self) -> Generator[None]:
        """A block whose calls of functions are this invocation's."""
        token = _calls.set(self.calls)
        try:
            yield
        finally:
            _calls.reset(token)

    @contextmanager
    def written(self) -> Generator[Recording]:
        """A block that is the whole invocation, which is written at its end."""
        error: BaseException | None = None
        try:
            with self.heard():
                yield self
        except BaseException as exc:
            error = exc
            raise
        finally:
            self.write(error)

    def write(self, error: BaseException | None = None) -> None:
        """Writes the file, or a line of the log where PORTABLE_FN_RECORD is "-"; what fails is logged and costs nothing else."""
        seconds = time.perf_counter() - self._start
        error = error or self.error
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
    if _again is not None:
        _again.append(json.loads(text))
        return
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
def recorded_again() -> Generator[list[dict[str, Any]]]:
    """A block whose entries record into the list."""
    global _again
    before = _again, os.environ.get(VARIABLE)
    found: list[dict[str, Any]] = []
    _again, os.environ[VARIABLE] = found, "-"
    try:
        yield found
    finally:
        _again = before[0]
        if before[1] is None:
            del os.environ[VARIABLE]
        else:
            os.environ[VARIABLE] = before[1]


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


def functions(targets: tuple[object, ...]) -> list[Any]:
    """The portable functions of the targets, which tell the recording of their calls."""
    return telling_of(bindings(*targets))


def telling_of(those: Iterable[Binding]) -> list[Any]:
    """Portable functions like those, which tell the recording of their calls."""
    return telling(those, _tell)


def invocations(
    provider: str, function: Callable[..., Any], payload: Callable[..., Any], answer: Callable[[Any], Any]
) -> Callable[..., Any]:
    """The function, async or not, which records its invocations.

    `payload` gives a JSON value of what it is called with, `answer` one of what it returns.
    """

    @wraps(function)
    def recorded(*args: Any, **named: Any) -> Any:
        with Recording(provider).written() as recording:
            recording.payload = lambda: payload(*args, **named)
            result = function(*args, **named)
            recording.answer = lambda: answer(result)
            return result

    @wraps(function)
    async def recorded_async(*args: Any, **named: Any) -> Any:
        with Recording(provider).written() as recording:
            recording.payload = lambda: payload(*args, **named)
            result = await function(*args, **named)
            recording.answer = lambda: answer(result)
            return result

    return recorded_async if iscoroutinefunction(function) else recorded


def function(provider: str, make: Callable[..., Any], targets: tuple[object, ...]) -> Callable[..., Any]:
    """What `make` gives for the targets, a function of a JSON payload, async or not, which records its invocations."""
    return invocations(provider, make(*functions(targets)), lambda payload, *native: payload, lambda answered: answered)


def application(provider: str, make: Callable[..., Any], targets: tuple[object, ...]) -> Any:
    """What `make` gives for the targets, an ASGI application, which records its requests."""
    given = make(*functions(targets))

    async def recorded(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await _recorded_asgi(given, Recording(provider), scope)(scope, receive, send)
        else:
            await given(scope, receive, send)

    return recorded


def _recorded_asgi(
    app: Any,
    recording: Recording,
    native: Any,
    received: Kept | None = None,
    more: Callable[[], dict[str, Any]] = dict,
) -> Any:
    """The application, which records the one request, of the native scope.

    `received` is what of its body was received before, `more()` what is said in the payload beside.
    """

    async def recorded(scope: Any, receive: Any, send: Any) -> None:
        body, sent = received or Kept(), Kept()
        start: dict[str, Any] = {}

        async def sending(message: Any) -> None:
            if message["type"] == "http.response.start":
                start.update(message)
            sent.add(message.get("body", b""))
            await send(message)

        with recording.written():
            recording.payload = lambda: native_json.written(native, recording.provider, body=body.body) | more()
            recording.answer = lambda: (
                answered(start["status"], [(name.decode(), one.decode()) for name, one in start["headers"]], sent.body)
                if start
                else None  # whoever asked has gone
            )
            await app(scope, _receiving(receive, body), sending)

    return recorded


def _receiving(receive: Any, kept: Kept) -> Any:
    async def receiving() -> Any:
        message = await receive()
        kept.add(message.get("body", b""))
        return message

    return receiving


def streamed(provider: str, function: Callable[..., Any], more: Callable[[Any], dict[str, Any]]) -> Callable[..., Any]:
    """The async function of Starlette's request, which records it once its answer is sent by its `application`.

    `more` is said in the payload beside what the request has.
    """

    @wraps(function)
    async def recorded(req: Any, context: Any) -> Any:
        recording, received = Recording(provider), Kept()
        with recording.heard():
            answer = await function(_Receiving(req, received), context)
        answer.application = _recorded_asgi(answer.application, recording, req.scope, received, lambda: more(req))
        return answer

    return recorded


class _Receiving:
    """Starlette's request, of which is kept what is received."""

    def __init__(self, native: Any, kept: Kept) -> None:
        self._native = native
        self.receive = _receiving(native.receive, kept)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._native, name)


def target(provider: str, make: Callable[..., Any], targets: tuple[object, ...]) -> Callable[..., Any]:
    """What `make` gives for the targets, a function of Flask's or Starlette's request, which records its requests."""
    given = make(*functions(targets))

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
            return _converted(given, Recording(provider), (native, *more))
        with Recording(provider).written() as recording:
            kept = Kept()
            if native.content_length is None:
                # It can be read but once.
                native.stream = _Read(native.stream, kept)
            answer = given(native, *more)
            recording.payload = lambda: native_json.written(native.environ, provider, body=kept.body)
            recording.answer = lambda: answered(
                answer.status_code,
                list(answer.headers),
                b"" if answer.is_streamed else answer.get_data(),
            )
            if native.content_length is not None and native.content_length <= MAX_BODY:
                kept.add(native.get_data())
            return answer

    return recorded


def _converted(given: Callable[..., Any], recording: Recording, natives: tuple[Any, ...]) -> Any:
    """The answer to what a framework has converted before; it answers for what is raised with a 500."""
    recording.payload = lambda: native_json.written(natives, recording.provider)
    status = 500
    try:
        with recording.heard():
            answer = given(*natives)
        status = 200
        return answer
    finally:
        recording.answer = lambda: answered(status, [], b"")
        recording.write()


class _Read:
    """A stream of which is kept what is read."""

    def __init__(self, stream: Any, kept: Kept) -> None:
        self._stream = stream
        self._kept = kept

    def read(self, *size: int) -> bytes:
        chunk: bytes = self._stream.read(*size)
        self._kept.add(chunk)
        return chunk

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class Kept:
    """A body, up to a limit."""

    def __init__(self) -> None:
        self.body = b""

    def add(self, chunk: bytes) -> None:
        if len(self.body) + len(chunk) <= MAX_BODY:
            self.body += chunk


def answered(status: int, headers: Iterable[tuple[str, str]], body: bytes) -> dict[str, Any]:
    """The answer to a request as a JSON value."""
    made = native_json.http("", "", headers, body)
    return {"status": status, **{name: value for name, value in made.items() if name not in ("method", "url")}}
