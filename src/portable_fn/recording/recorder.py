"""Record invocations, each with its payload without secrets and its outcome.

An adapter's `entry` imports this only if PORTABLE_FN_RECORD is set when it builds the handler.
"""

from __future__ import annotations

import json
import os
import sys
import time
from asyncio import to_thread
from collections.abc import AsyncGenerator, Callable, Generator, Iterable, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from contextvars import ContextVar
from functools import partial, wraps
from inspect import iscoroutinefunction
from itertools import count
from threading import Lock
from typing import Any

from portable_fn.adapter.binding import Binding, bindings
from portable_fn.data import to_json
from portable_fn.logs import log
from portable_fn.recording import payload_json
from portable_fn.recording.calls import Call, deliveries, reporting
from portable_fn.recording.redaction import missing_words, redacted, without_words

VARIABLE = "PORTABLE_FN_RECORD"
# A longer body isn't recorded: finding the secrets in a megabyte of addresses takes two seconds.
MAX_BODY = 1024 * 1024
# Nor is a payload or an answer whose JSON is longer; a body in base64 and its headers fit in.
MAX_JSON = 2 * MAX_BODY

Write = Callable[[dict[str, Any]], None]

_numbers = count(1)
_one_at_a_time = Lock()
_calls: ContextVar[list[Call] | None] = ContextVar("_calls", default=None)
# In a block of `recorded_again` or `not_recorded`, entries get this recorder whatever the variable says.
_override: ContextVar[tuple[Recorder | None] | None] = ContextVar("_override", default=None)


class BodyBuffer:
    """A body up to a limit.

    Attributes:
        is_cut: Whether the body is too long or incomplete; it's empty then.
        is_whole: Whether its end has arrived.
    """

    def __init__(self) -> None:
        self._body = bytearray()
        self.is_cut = False
        self.is_whole = False

    @property
    def body(self) -> bytes:
        """The kept bytes."""
        return bytes(self._body)

    def add(self, chunk: bytes) -> None:
        """Keep a chunk."""
        if len(self._body) + len(chunk) > MAX_BODY:
            self.cut()
        elif not self.is_cut:
            self._body += chunk

    def cut(self) -> None:
        """Drop this body and later chunks: redaction can't find half a secret."""
        self.is_cut = True
        self._body = bytearray()


class Recording:
    """The recording of one invocation that starts now.

    Attributes:
        provider: The provider.
        calls: The calls of functions.
        payload: Returns the payload as a JSON value.
        answer: Returns the answer as a JSON value.
        error: The error that the caller gets, if the invocation returns it instead of raising.
        received: The body of the payload, if it arrives piece by piece.
        sent: The body of the answer, if it is sent piece by piece.
    """

    def __init__(self, provider: str, write: Write) -> None:
        self.provider = provider
        self.calls: list[Call] = []
        self.payload: Callable[[], Any] = lambda: None
        self.answer: Callable[[], Any] = lambda: None
        self.error: BaseException | None = None
        self.received = BodyBuffer()
        self.sent = BodyBuffer()
        self._write = write
        # A function that calls `deliver` calls it again in a replay, so the inner invocation isn't recorded.
        self._is_inside = _calls.get() is not None and deliveries.get() > 0
        self._start = time.perf_counter()

    @contextmanager
    def collecting_calls(self) -> Generator[None]:
        """Collect the calls of functions during the block."""
        token = _calls.set(self.calls)
        try:
            yield
        finally:
            _calls.reset(token)

    @contextmanager
    def writing(self) -> Generator[Recording]:
        """Record the block as the whole invocation, and write it at the end."""
        error: BaseException | None = None
        try:
            with self.collecting_calls():
                yield self
        except BaseException as exc:
            error = exc
            raise
        finally:
            self.write(error)

    @asynccontextmanager
    async def writing_in_loop(self) -> AsyncGenerator[Recording]:
        """Do the same without blocking the event loop: redact and write in a thread."""
        error: BaseException | None = None
        try:
            with self.collecting_calls():
                yield self
        except BaseException as exc:
            error = exc
            raise
        finally:
            if sys.platform == "emscripten" or isinstance(error, GeneratorExit):
                # Workers have no threads, and a coroutine that is being closed can't await.
                self.write(error)
            else:
                await to_thread(self.write, error)

    def write(self, error: BaseException | None = None) -> None:
        """Write the recording to its file, or to the log if PORTABLE_FN_RECORD is "-"; log a failure to do so."""
        if self._is_inside:
            return
        seconds = time.perf_counter() - self._start
        error = error or self.error
        try:
            payload = _plain(self.payload())
            bodies = {"payload": self.received, "answer": self.sent}
            if _is_long(payload):
                payload = None
                self.received.cut()
            kept = redacted(payload)
            secrets = missing_words(payload, kept)
            recording: dict[str, Any] = {
                "provider": self.provider,
                "recorded": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                "seconds": round(seconds, 6),
                "payload": kept,
                "calls": without_words(_plain(self.calls), secrets),
            }
            if error is None:
                answer = _plain(self.answer())
                if _is_long(answer):
                    answer = None
                    self.sent.cut()
                recording["answer"] = without_words(redacted(answer), secrets)
            else:
                message = without_words(redacted(_message(error)), secrets)
                recording["raised"] = {"name": type(error).__name__, "message": message}
            if cut := [name for name, body in bodies.items() if body.is_cut]:
                recording["cut"] = cut
            self._write(recording)
        except Exception as exc:
            # The error's message may contain parts of the payload.
            log().warning("an invocation can't be recorded: %s", type(exc).__name__)


def _plain(value: Any) -> Any:
    return json.loads(to_json(value))


def _is_long(value: Any) -> bool:
    return len(to_json(value)) > MAX_JSON


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:
        return ""


def snapshot(value: Callable[[], Any]) -> Callable[[], Any]:
    """Return a function that returns the JSON value as it is now, or raises the error that `value` raises now."""
    try:
        text = to_json(value())
    except Exception as exc:
        return partial(_raise, exc)
    return partial(json.loads, text)


def _raise(error: Exception) -> Any:
    raise error


def _print(recording: dict[str, Any]) -> None:
    text = _json(recording, sys.stdout.encoding or "utf-8", separators=(",", ":"))
    # `print` writes the line's end separately, so another thread could write in between.
    with _one_at_a_time:
        sys.stdout.write(f"{VARIABLE} {text}\n")
        sys.stdout.flush()


def _save(folder: str, recording: dict[str, Any]) -> None:
    os.makedirs(folder, exist_ok=True)
    name = f"{time.time_ns()}-{os.getpid()}-{next(_numbers)}-{recording['provider']}.json"
    path = os.path.join(folder, name)
    text = _json(recording, "utf-8", indent=2)
    # Readers never see half a file, and only this user can read a payload.
    opened = os.open(f"{path}.part", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with open(opened, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(f"{path}.part", path)
    except BaseException:
        with suppress(OSError):
            os.unlink(f"{path}.part")
        raise


def _json(recording: dict[str, Any], encoding: str, **options: Any) -> str:
    """Return the JSON text, escaped if the encoding lacks a character; every encoding lacks lone surrogates."""
    text = json.dumps(recording, ensure_ascii=False, **options)
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return json.dumps(recording, **options)
    return text


def recorder(where: str | None) -> Recorder | None:
    """Return the recorder for an entry, or None.

    Args:
        where: A folder, or "-" to print lines.
    """
    override = _override.get()
    if override is not None:
        return override[0] if _calls.get() is None else None
    if not where:
        return None
    # Absolute, because a handler may change the working directory.
    return Recorder(_print if where == "-" else partial(_save, os.path.abspath(where)))


@contextmanager
def recorded_again() -> Generator[list[dict[str, Any]]]:
    """Record the entries built in the block into a list."""
    recordings: list[dict[str, Any]] = []
    token = _override.set((Recorder(recordings.append),))
    try:
        yield recordings
    finally:
        _override.reset(token)


@contextmanager
def not_recorded() -> Generator[None]:
    """Don't record the entries built in the block."""
    token = _override.set((None,))
    try:
        yield
    finally:
        _override.reset(token)


def _add_call(call: Call) -> None:
    calls = _calls.get()
    if calls is not None:
        calls.append(call)


class Recorder:
    """Records the invocations of an entry."""

    def __init__(self, write: Write) -> None:
        self._write = write

    def recording(self, provider: str) -> Recording:
        """Start the recording of an invocation."""
        return Recording(provider, self._write)

    def functions(self, targets: tuple[object, ...]) -> list[Any]:
        """Return the targets' portable functions, which add their calls to the recording."""
        return self.instrument(bindings(*targets))

    def instrument(self, functions: Iterable[Binding]) -> list[Any]:
        """Return functions that do the same and add their calls to the recording."""
        return reporting(functions, _add_call)

    def invocations(
        self, provider: str, function: Callable[..., Any], payload: Callable[..., Any], answer: Callable[[Any], Any]
    ) -> Callable[..., Any]:
        """Return the function, async or not, so that it records its invocations.

        Args:
            provider: The provider.
            function: The function.
            payload: Returns its arguments as a JSON value, before the call.
            answer: Returns its result as a JSON value.
        """

        @wraps(function)
        def recorded(*args: Any, **named: Any) -> Any:
            with self.recording(provider).writing() as recording:
                recording.payload = snapshot(lambda: payload(*args, **named))
                result = function(*args, **named)
                recording.answer = lambda: answer(result)
                return result

        @wraps(function)
        async def recorded_async(*args: Any, **named: Any) -> Any:
            async with self.recording(provider).writing_in_loop() as recording:
                recording.payload = snapshot(lambda: payload(*args, **named))
                result = await function(*args, **named)
                recording.answer = lambda: answer(result)
                return result

        return recorded_async if iscoroutinefunction(function) else recorded

    def function(self, provider: str, make: Callable[..., Any], targets: tuple[object, ...]) -> Callable[..., Any]:
        """Return the function that `make` returns for the targets, which takes a JSON payload, so that it records itself."""

        def called(payload: Any, *_: object, **__: object) -> Any:
            return payload

        return self.invocations(provider, make(*self.functions(targets)), called, lambda returned: returned)

    def application(self, provider: str, make: Callable[..., Any], targets: tuple[object, ...]) -> Any:
        """Return the ASGI application that `make` returns for the targets, so that it records its requests."""
        application = make(*self.functions(targets))

        async def recorded(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "http":
                head = _head(scope, provider)
                await _recorded_asgi(application, self.recording(provider), head)(scope, receive, send)
            else:
                await application(scope, receive, send)

        return recorded

    def streamed(
        self, provider: str, function: Callable[..., Any], more: Callable[[Any], dict[str, Any]]
    ) -> Callable[..., Any]:
        """Return the async function of a Starlette request, so that it records the request when the answer is sent.

        Args:
            provider: The provider.
            function: The function. Its answer has an ASGI `application`.
            more: Returns further members of the payload.
        """

        @wraps(function)
        async def recorded(req: Any, context: Any) -> Any:
            recording = self.recording(provider)
            head = _head(req.scope, provider, lambda: more(req))
            with recording.collecting_calls():
                answer = await function(_Receiving(req, recording.received), context)
            answer.application = _recorded_asgi(answer.application, recording, head)
            return answer

        return recorded

    def target(self, provider: str, make: Callable[..., Any], targets: tuple[object, ...]) -> Callable[..., Any]:
        """Return the function that `make` returns for the targets, which takes a Flask or Starlette request, recorded."""
        function = make(*self.functions(targets))

        def recorded(native: Any, *more: Any) -> Any:
            recording = self.recording(provider)
            if hasattr(native, "scope"):
                head = _head(native.scope, provider)
                # The answer keeps the context variables of this block.
                with recording.collecting_calls():
                    return _recorded_asgi(function(native, *more), recording, head)
            if hasattr(native, "environ"):
                return _recorded_flask(function, recording, native, more)
            return _recorded_arguments(function, recording, (native, *more))

        return recorded


def _head(native: Any, provider: str, more: Callable[[], dict[str, Any]] = dict) -> Callable[[], dict[str, Any]]:
    """Return a function that returns the request's payload without the body, which isn't read yet."""
    return snapshot(lambda: payload_json.to_json_value(native, provider, body=b"") | more())


def _recorded_asgi(app: Any, recording: Recording, head: Callable[[], dict[str, Any]]) -> Any:
    """Return the application so that it records one request."""

    async def recorded(scope: Any, receive: Any, send: Any) -> None:
        received, sent = recording.received, recording.sent
        start: dict[str, Any] = {}

        async def sending(message: Any) -> None:
            if message["type"] == "http.response.start":
                start.update(message)
            sent.add(message.get("body", b""))
            await send(message)

        def payload() -> Any:
            request = head()
            if (
                not received.is_whole
                and _is_refused_for_its_body(recording, start.get("status"))
                and _has_body(request["headers"])
            ):
                received.cut()
            return request | payload_json.body_fields(received.body)

        def answer() -> Any:
            if not start:
                return None  # the client has disconnected
            headers = [(name.decode(), value.decode()) for name, value in start["headers"]]
            return answer_json(start["status"], headers, sent.body)

        async with recording.writing_in_loop():
            recording.payload, recording.answer = payload, answer
            await app(scope, _receiving(receive, received), sending)

    return recorded


def _has_body(headers: Mapping[str, Any]) -> bool:
    return "transfer-encoding" in headers or headers.get("content-length", "0") != "0"


def _is_refused_for_its_body(recording: Recording, status: int | None) -> bool:
    """Whether the request failed before a function was called, because its body is too large or incomplete."""
    return not recording.calls and status in (None, 400, 413)


def _receiving(receive: Any, body: BodyBuffer) -> Any:
    async def receiving() -> Any:
        message = await receive()
        body.add(message.get("body", b""))
        body.is_whole = message["type"] == "http.request" and not message.get("more_body")
        return message

    return receiving


class _Receiving:
    """A Starlette request that keeps what it receives."""

    def __init__(self, native: Any, body: BodyBuffer) -> None:
        self._native = native
        self.receive = _receiving(native.receive, body)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._native, name)


def _recorded_flask(function: Callable[..., Any], recording: Recording, native: Any, more: tuple[Any, ...]) -> Any:
    received, sent, length = recording.received, recording.sent, native.content_length
    head = _head(native.environ, recording.provider)

    def payload() -> Any:
        if length is not None:
            if length > MAX_BODY:
                received.cut()
            else:
                received.add(native.get_data())
                if len(received.body) < length:
                    received.cut()
        return head() | payload_json.body_fields(received.body)

    with recording.writing():
        recording.payload = payload
        if length is None:
            # The stream can be read only once.
            native.stream = _KeepingStream(native.stream, received)
        answer = function(native, *more)

        def answer_value() -> Any:
            if answer.is_streamed:
                sent.cut()
            else:
                sent.add(answer.get_data())
            return answer_json(answer.status_code, list(answer.headers), sent.body)

        recording.answer = answer_value
        return answer


def _recorded_arguments(function: Callable[..., Any], recording: Recording, natives: tuple[Any, ...]) -> Any:
    """Call the function with arguments that a framework has decoded; it answers 500 if the function raises."""
    recording.payload = snapshot(lambda: payload_json.to_json_value(natives, recording.provider))
    status = 500
    try:
        with recording.collecting_calls():
            answer = function(*natives)
        status = 200
        return answer
    finally:
        recording.answer = lambda: answer_json(status, [], b"")
        recording.write()


class _KeepingStream:
    """A stream that keeps what is read."""

    def __init__(self, stream: Any, body: BodyBuffer) -> None:
        self._stream = stream
        self._body = body

    def read(self, *size: int) -> bytes:
        chunk: bytes = self._stream.read(*size)
        self._body.add(chunk)
        return chunk

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def answer_json(status: int, headers: Iterable[tuple[str, str]], body: bytes) -> dict[str, Any]:
    """Return the answer to a request as a JSON value."""
    request = payload_json.http("", "", headers, body)
    return {"status": status, **{name: value for name, value in request.items() if name not in ("method", "url")}}
