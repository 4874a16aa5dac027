"""Recordings of invocations: each with its payload, without secrets, and its outcome, in a file of its own.

An adapter's `entry` takes this road only where PORTABLE_FN_RECORD is set when it is called.
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
# Of a longer body nothing is kept: to look for secrets in a megabyte of addresses takes two seconds.
MAX_BODY = 1024 * 1024
# Nor of a payload or an answer whose JSON is longer; a body in base64 and its headers fit in.
MAX_JSON = 2 * MAX_BODY

Write = Callable[[dict[str, Any]], None]

_numbers = count(1)
_one_at_a_time = Lock()
_calls: ContextVar[list[Call] | None] = ContextVar("_calls", default=None)
# What entries get that are made in a block of `recorded_again` or `not_recorded`, whatever the variable says.
_instead: ContextVar[tuple[Recorder | None] | None] = ContextVar("_instead", default=None)


class Kept:
    """A body, up to a limit: where it isn't kept whole it is empty, and `is_cut`; `is_whole` says that its end has come."""

    def __init__(self) -> None:
        self._body = bytearray()
        self.is_cut = False
        self.is_whole = False

    @property
    def body(self) -> bytes:
        """What was kept."""
        return bytes(self._body)

    def add(self, chunk: bytes) -> None:
        """Keeps a chunk as well."""
        if len(self._body) + len(chunk) > MAX_BODY:
            self.cut()
        elif not self.is_cut:
            self._body += chunk

    def cut(self) -> None:
        """Keeps nothing, of what comes neither: half a text may have secrets that aren't found."""
        self.is_cut = True
        self._body = bytearray()


class Recording:
    """One invocation, from now on: `payload()` and `answer()`, as JSON values, are what it was called with and what came back.

    `error` is what its caller is told to have been raised, where nothing was. `received` and `sent` are the bodies of payload
    and answer where they come piece by piece; the recording says of which it has but a part.
    """

    def __init__(self, provider: str, write: Write) -> None:
        self.provider = provider
        self.calls: list[Call] = []
        self.payload: Callable[[], Any] = lambda: None
        self.answer: Callable[[], Any] = lambda: None
        self.error: BaseException | None = None
        self.received = Kept()
        self.sent = Kept()
        self._write = write
        # What a function sends by `deliver` is sent again where the function is replayed.
        self._is_inside = _calls.get() is not None and deliveries.get() > 0
        self._start = time.perf_counter()

    @contextmanager
    def collecting_calls(self) -> Generator[None]:
        """A block whose calls of functions are this invocation's."""
        token = _calls.set(self.calls)
        try:
            yield
        finally:
            _calls.reset(token)

    @contextmanager
    def writing(self) -> Generator[Recording]:
        """A block that is the whole invocation, which is written at its end."""
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
        """As `written`, where nothing may block the event loop: a thread looks for the secrets and writes."""
        error: BaseException | None = None
        try:
            with self.collecting_calls():
                yield self
        except BaseException as exc:
            error = exc
            raise
        finally:
            if sys.platform == "emscripten" or isinstance(error, GeneratorExit):
                # No threads there; and a coroutine that is being closed can't wait.
                self.write(error)
            else:
                await to_thread(self.write, error)

    def write(self, error: BaseException | None = None) -> None:
        """Writes the file, or a line of the log where PORTABLE_FN_RECORD is "-"; what fails is logged and costs nothing else."""
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
            made: dict[str, Any] = {
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
                made["answer"] = without_words(redacted(answer), secrets)
            else:
                message = without_words(redacted(_message(error)), secrets)
                made["raised"] = {"name": type(error).__name__, "message": message}
            if cut := [name for name, body in bodies.items() if body.is_cut]:
                made["cut"] = cut
            self._write(made)
        except Exception as exc:
            # Not what it says, which may have something of the payload.
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
    """What gives the JSON value as it is now, whatever is done to it meanwhile; what fails now is raised then."""
    try:
        text = to_json(value())
    except Exception as exc:
        return partial(_raise, exc)
    return partial(json.loads, text)


def _raise(error: Exception) -> Any:
    raise error


def _print(made: dict[str, Any]) -> None:
    text = _json(made, sys.stdout.encoding or "utf-8", separators=(",", ":"))
    # `print` writes the end of the line by itself, and another thread's line may come before.
    with _one_at_a_time:
        sys.stdout.write(f"{VARIABLE} {text}\n")
        sys.stdout.flush()


def _save(folder: str, made: dict[str, Any]) -> None:
    os.makedirs(folder, exist_ok=True)
    name = f"{time.time_ns()}-{os.getpid()}-{next(_numbers)}-{made['provider']}.json"
    path = os.path.join(folder, name)
    text = _json(made, "utf-8", indent=2)
    # Nobody is to read half a file, and nobody else's eyes are for a payload.
    opened = os.open(f"{path}.part", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with open(opened, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(f"{path}.part", path)
    except BaseException:
        with suppress(OSError):
            os.unlink(f"{path}.part")
        raise


def _json(made: dict[str, Any], encoding: str, **how: Any) -> str:
    """The JSON text, with escapes where the encoding hasn't all of it, as none has half a pair of surrogates."""
    text = json.dumps(made, ensure_ascii=False, **how)
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return json.dumps(made, **how)
    return text


def recorder(where: str | None) -> Recorder | None:
    """What records an entry that is made now, in the folder `where`, or in lines for "-"; None where nothing does."""
    instead = _instead.get()
    if instead is not None:
        return instead[0] if _calls.get() is None else None
    if not where:
        return None
    # A handler may go to another folder, and change its environment.
    return Recorder(_print if where == "-" else partial(_save, os.path.abspath(where)))


@contextmanager
def recorded_again() -> Generator[list[dict[str, Any]]]:
    """A block whose entries record into the list."""
    found: list[dict[str, Any]] = []
    token = _instead.set((Recorder(found.append),))
    try:
        yield found
    finally:
        _instead.reset(token)


@contextmanager
def not_recorded() -> Generator[None]:
    """A block whose entries don't record."""
    token = _instead.set((None,))
    try:
        yield
    finally:
        _instead.reset(token)


def _tell(call: Call) -> None:
    calls = _calls.get()
    if calls is not None:
        calls.append(call)


class Recorder:
    """What records the invocations of an entry."""

    def __init__(self, write: Write) -> None:
        self._write = write

    def recording(self, provider: str) -> Recording:
        """An invocation that begins now."""
        return Recording(provider, self._write)

    def functions(self, targets: tuple[object, ...]) -> list[Any]:
        """The portable functions of the targets, which tell the recording of their calls."""
        return self.instrument(bindings(*targets))

    def instrument(self, those: Iterable[Binding]) -> list[Any]:
        """Portable functions like those, which tell the recording of their calls."""
        return reporting(those, _tell)

    def invocations(
        self, provider: str, function: Callable[..., Any], payload: Callable[..., Any], answer: Callable[[Any], Any]
    ) -> Callable[..., Any]:
        """The function, async or not, which records its invocations.

        `payload` gives a JSON value of what it is called with, before it is, `answer` one of what it returns.
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
        """What `make` gives for the targets, a function of a JSON `payload`, async or not, which records its invocations."""

        def called(payload: Any, *_: object, **__: object) -> Any:
            return payload

        return self.invocations(provider, make(*self.functions(targets)), called, lambda returned: returned)

    def application(self, provider: str, make: Callable[..., Any], targets: tuple[object, ...]) -> Any:
        """What `make` gives for the targets, an ASGI application, which records its requests."""
        given = make(*self.functions(targets))

        async def recorded(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "http":
                head = _head(scope, provider)
                await _recorded_asgi(given, self.recording(provider), head)(scope, receive, send)
            else:
                await given(scope, receive, send)

        return recorded

    def streamed(
        self, provider: str, function: Callable[..., Any], more: Callable[[Any], dict[str, Any]]
    ) -> Callable[..., Any]:
        """The async function of Starlette's request, which records it once its answer is sent by its `application`.

        `more` is said in the payload beside what the request has.
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
        """What `make` gives for the targets, a function of Flask's or Starlette's request, which records its requests."""
        given = make(*self.functions(targets))

        def recorded(native: Any, *more: Any) -> Any:
            recording = self.recording(provider)
            if hasattr(native, "scope"):
                head = _head(native.scope, provider)
                # What answers has the context variables of here.
                with recording.collecting_calls():
                    return _recorded_asgi(given(native, *more), recording, head)
            if hasattr(native, "environ"):
                return _recorded_flask(given, recording, native, more)
            return _converted(given, recording, (native, *more))

        return recorded


def _head(native: Any, provider: str, more: Callable[[], dict[str, Any]] = dict) -> Callable[[], dict[str, Any]]:
    """The payload of a request, but for its body, which nobody has read."""
    return snapshot(lambda: payload_json.to_json_value(native, provider, body=b"") | more())


def _recorded_asgi(app: Any, recording: Recording, head: Callable[[], dict[str, Any]]) -> Any:
    """The application, which records the one request."""

    async def recorded(scope: Any, receive: Any, send: Any) -> None:
        received, sent = recording.received, recording.sent
        start: dict[str, Any] = {}

        async def sending(message: Any) -> None:
            if message["type"] == "http.response.start":
                start.update(message)
            sent.add(message.get("body", b""))
            await send(message)

        def payload() -> Any:
            made = head()
            if (
                not received.is_whole
                and _is_for_its_body(recording, start.get("status"))
                and _has_body(made["headers"])
            ):
                received.cut()
            return made | payload_json.body_fields(received.body)

        def answer() -> Any:
            if not start:
                return None  # whoever asked has gone
            headers = [(name.decode(), value.decode()) for name, value in start["headers"]]
            return answer_json(start["status"], headers, sent.body)

        async with recording.writing_in_loop():
            recording.payload, recording.answer = payload, answer
            await app(scope, _receiving(receive, received), sending)

    return recorded


def _has_body(headers: Mapping[str, Any]) -> bool:
    return "transfer-encoding" in headers or headers.get("content-length", "0") != "0"


def _is_for_its_body(recording: Recording, status: int | None) -> bool:
    """Whether a request came to nothing before a function was called, for it is too large or breaks off."""
    return not recording.calls and status in (None, 400, 413)


def _receiving(receive: Any, kept: Kept) -> Any:
    async def receiving() -> Any:
        message = await receive()
        kept.add(message.get("body", b""))
        kept.is_whole = message["type"] == "http.request" and not message.get("more_body")
        return message

    return receiving


class _Receiving:
    """Starlette's request, of which is kept what is received."""

    def __init__(self, native: Any, kept: Kept) -> None:
        self._native = native
        self.receive = _receiving(native.receive, kept)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._native, name)


def _recorded_flask(given: Callable[..., Any], recording: Recording, native: Any, more: tuple[Any, ...]) -> Any:
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
            # It can be read but once.
            native.stream = _Read(native.stream, received)
        answer = given(native, *more)

        def answer_value() -> Any:
            if answer.is_streamed:
                sent.cut()
            else:
                sent.add(answer.get_data())
            return answer_json(answer.status_code, list(answer.headers), sent.body)

        recording.answer = answer_value
        return answer


def _converted(given: Callable[..., Any], recording: Recording, natives: tuple[Any, ...]) -> Any:
    """The answer to what a framework has converted before; it answers for what is raised with a 500."""
    recording.payload = snapshot(lambda: payload_json.to_json_value(natives, recording.provider))
    status = 500
    try:
        with recording.collecting_calls():
            answer = given(*natives)
        status = 200
        return answer
    finally:
        recording.answer = lambda: answer_json(status, [], b"")
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


def answer_json(status: int, headers: Iterable[tuple[str, str]], body: bytes) -> dict[str, Any]:
    """The answer to a request as a JSON value."""
    made = payload_json.http("", "", headers, body)
    return {"status": status, **{name: value for name, value in made.items() if name not in ("method", "url")}}
