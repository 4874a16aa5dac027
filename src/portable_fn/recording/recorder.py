"""Record invocations, each with its payload without secrets and its outcome.

An adapter's `entry` imports this only if PORTABLE_FN_RECORD is set when it builds the handler.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import partial, wraps
from inspect import iscoroutinefunction
from itertools import count
from threading import Lock
from typing import Any

from portable_fn.adapter.binding import Binding, bindings
from portable_fn.recording.calls import Call, reporting
from portable_fn.recording.recording import Recording, Write, current_calls, snapshot
from portable_fn.recording.requests import (
    KeepingRequest,
    payload_head,
    recorded_arguments,
    recorded_asgi,
    recorded_flask,
)

VARIABLE = "PORTABLE_FN_RECORD"
_numbers = count(1)
_one_at_a_time = Lock()
# In a block of `recorded_again` or `not_recorded`, entries get this recorder whatever the variable says.
_override: ContextVar[tuple[Recorder | None] | None] = ContextVar("_override", default=None)


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
        return override[0] if current_calls.get() is None else None
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
    calls = current_calls.get()
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
                head = payload_head(scope, provider)
                await recorded_asgi(application, self.recording(provider), head)(scope, receive, send)
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
            head = payload_head(req.scope, provider, lambda: more(req))
            with recording.collecting_calls():
                answer = await function(KeepingRequest(req, recording.received), context)
            answer.application = recorded_asgi(answer.application, recording, head)
            return answer

        return recorded

    def target(self, provider: str, make: Callable[..., Any], targets: tuple[object, ...]) -> Callable[..., Any]:
        """Return the function that `make` returns for the targets, which takes a Flask or Starlette request, recorded."""
        function = make(*self.functions(targets))

        def recorded(native: Any, *more: Any) -> Any:
            recording = self.recording(provider)
            if hasattr(native, "scope"):
                head = payload_head(native.scope, provider)
                # The answer keeps the context variables of this block.
                with recording.collecting_calls():
                    return recorded_asgi(function(native, *more), recording, head)
            if hasattr(native, "environ"):
                return recorded_flask(function, recording, native, more)
            return recorded_arguments(function, recording, (native, *more))

        return recorded
