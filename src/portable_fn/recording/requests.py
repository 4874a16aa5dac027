"""Record the requests of ASGI applications and of functions of Flask and Starlette requests."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from portable_fn.recording import payload_json
from portable_fn.recording.recording import MAX_BODY, BodyBuffer, Recording, snapshot


def payload_head(native: Any, provider: str, more: Callable[[], dict[str, Any]] = dict) -> Callable[[], dict[str, Any]]:
    """Return a function that returns the request's payload without the body, which isn't read yet."""
    return snapshot(lambda: payload_json.to_json_value(native, provider, body=b"") | more())


def recorded_asgi(app: Any, recording: Recording, head: Callable[[], dict[str, Any]]) -> Any:
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


class KeepingRequest:
    """A Starlette request that keeps what it receives."""

    def __init__(self, native: Any, body: BodyBuffer) -> None:
        self._native = native
        self.receive = _receiving(native.receive, body)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._native, name)


def recorded_flask(function: Callable[..., Any], recording: Recording, native: Any, more: tuple[Any, ...]) -> Any:
    """Call the function with a Flask request, and record the request."""
    received, sent, length = recording.received, recording.sent, native.content_length
    head = payload_head(native.environ, recording.provider)

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


def recorded_arguments(function: Callable[..., Any], recording: Recording, natives: tuple[Any, ...]) -> Any:
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
