"""Keep one invocation until it is written: its payload, calls and answer."""

from __future__ import annotations

import json
import sys
import time
from asyncio import to_thread
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any

from portable_fn.data import to_json
from portable_fn.logs import log
from portable_fn.recording.calls import Call, deliveries
from portable_fn.recording.redaction import missing_words, redacted, without_words

# A longer body isn't recorded: finding the secrets in a megabyte of addresses takes two seconds.
MAX_BODY = 1024 * 1024
# Nor is a payload or an answer whose JSON is longer; a body in base64 and its headers fit in.
MAX_JSON = 2 * MAX_BODY
Write = Callable[[dict[str, Any]], None]
current_calls: ContextVar[list[Call] | None] = ContextVar("current_calls", default=None)


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
        self._is_inside = current_calls.get() is not None and deliveries.get() > 0
        self._start = time.perf_counter()

    @contextmanager
    def collecting_calls(self) -> Generator[None]:
        """Collect the calls of functions during the block."""
        token = current_calls.set(self.calls)
        try:
            yield
        finally:
            current_calls.reset(token)

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
