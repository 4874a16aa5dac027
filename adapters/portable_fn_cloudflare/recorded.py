"""Record a Worker's calls and answers as the JSON that `simulate.native_json` reads."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from portable_fn.adapter.cloudevents import write_time
from portable_fn.adapter.routing import Router
from portable_fn.adapter.streams import aclose, chunk_bytes
from portable_fn.recording.payload_json import body_fields, http
from portable_fn.recording.recording import snapshot
from portable_fn.recording.requests import answer_json
from portable_fn_cloudflare import encode, values
from portable_fn_cloudflare.events import decode as events
from portable_fn_cloudflare.methods import answering, methods
from portable_fn_cloudflare.stream import as_async

if TYPE_CHECKING:
    from portable_fn.adapter.binding import Binding
    from portable_fn.adapter.routing import Target
    from portable_fn.context import Context
    from portable_fn.http import Request, Response
    from portable_fn_cloudflare.entry import MakeRouter
    from portable_fn_cloudflare.native import FFI, JavaScript, SDKRequest, WorkerEntrypoint

Method = Callable[..., Any]


def recording_methods(
    functions: Sequence[Binding], router: MakeRouter, first: Iterator[bool], js: JavaScript, ffi: FFI, recorder: Any
) -> dict[str, Method]:
    """Return the methods of `methods`, each of which records its calls."""
    telling = [function.__portable__ for function in recorder.instrument(functions)]
    recorded = {
        name: _called(name, method, js, ffi, recorder)
        for name, method in methods(telling, router, first, js, ffi).items()
        if name != "fetch"
    }
    return {"fetch": _fetched(router(telling), first, js, ffi, recorder), **recorded}


def _fetched(router: Router, first: Iterator[bool], js: JavaScript, ffi: FFI, recorder: Any) -> Method:
    async def fetch(self: WorkerEntrypoint, request: SDKRequest) -> object:
        one = recorder.recording("cloudflare")
        # JavaScript's values are gone when a stream ends.
        url = request.js_object.url
        is_streamed = is_read = False

        def asked(event: Request[Any]) -> None:
            nonlocal is_read
            is_read = True
            one.payload = snapshot(lambda: http(event.method, url, event.headers.multi_items(), event.raw_body))

        def encoded(response: Response, context: Context, js: JavaScript, ffi: FFI) -> object:
            nonlocal is_streamed
            event: Any = context.event
            if not is_read:
                # The body is too long, or breaks off.
                asked(event)
                one.received.cut()
            one.answer = lambda: answer_json(response.status, response.wire_headers(), one.sent.body)
            if isinstance(response.body, bytes):
                one.sent.add(response.body)
                return encode.response(response, context, js, ffi)
            copied = response.copy()
            copied.body = _going_by(response.body, one)
            native = encode.response(copied, context, js, ffi)
            is_streamed = True
            return native

        error: BaseException | None = None
        try:
            with one.collecting_calls():
                return await answering(_Asked(router, asked), first, js, ffi, encoded)(self, request)
        except BaseException as exc:
            error = exc
            raise
        finally:
            if not is_streamed:
                one.write(error)

    return fetch


class _Asked(Router):
    """A router that reports each request once its body is read."""

    def __init__(self, router: Router, tell: Callable[[Request[Any]], None]) -> None:
        vars(self).update(vars(router))
        self._router = router
        self._tell = tell

    def find(self, request: Request[Any]) -> Target:
        self._tell(request)
        return self._router.find(request)

    def refusal(self, error: BaseException, request: Request[Any]) -> Target:
        return self._router.refusal(error, request)


async def _going_by(stream: Any, one: Any) -> AsyncIterator[bytes | str]:
    """Pass on the stream's chunks and keep them; write the recording at the end."""
    chunks = aiter(as_async(stream))
    error: Exception | None = None
    try:
        async for chunk in chunks:
            one.sent.add(chunk_bytes(chunk))
            yield chunk
    except Exception as exc:
        error = exc
        raise
    finally:
        try:
            await aclose(chunks)
        finally:
            one.write(error)


def _called(name: str, method: Method, js: JavaScript, ffi: FFI, recorder: Any) -> Method:
    async def recorded(self: WorkerEntrypoint, *args: Any, **by_name: Any) -> object:
        with recorder.recording("cloudflare").writing() as one:
            match name:
                case "queue":
                    one.payload = snapshot(lambda: _batch(values.raw(args[0]), ffi))
                case "scheduled":
                    one.payload = snapshot(lambda: _controller(args[0]))
                case "email":
                    native = args[0]
                    raw = _read(native, one.received)
                    args = ({**native, "raw": raw} if isinstance(native, dict) else _Email(native, raw), *args[1:])
                    one.payload = lambda: _email(native, one.received.body, js)
                case _:
                    inputs = [*args, by_name] if by_name else args
                    one.payload = snapshot(
                        lambda: {"method": name, "args": [values.plain(value, ffi) for value in inputs]}
                    )
            answer = await method(self, *args, **by_name)
            one.error = getattr(answer, "error", None)
            one.answer = lambda: values.plain(answer, ffi)
            return answer

    recorded.__name__ = name
    return recorded


def _controller(native: Any) -> Any:
    return {"cron": native.cron, "scheduledTime": int(native.scheduledTime)}


def _batch(batch: Any, ffi: FFI) -> Any:
    return {"queue": batch.queue, "messages": [_message(values.raw(message), ffi) for message in batch.messages]}


def _message(native: Any, ffi: FFI) -> Any:
    body, content_type = values.body(native.body, ffi)
    made = {"id": native.id, "timestamp": write_time(values.time(native.timestamp)), "attempts": native.attempts}
    if not content_type:
        return {**made, "contentType": "text", "body": body.decode()}
    if content_type == "application/json":
        return {**made, "contentType": "json", "body": json.loads(body)}
    return {**made, "contentType": "bytes", "body": b64encode(body).decode()}


def _email(native: Any, raw: bytes, js: JavaScript) -> Any:
    lines = js.Array.from_(events.read(native, "headers")).to_py()
    made = {"from": events.read(native, "from"), "to": events.read(native, "to"), "headers": dict(lines)}
    return made | {f"raw{name.removeprefix('body')}": text for name, text in body_fields(raw).items()}


async def _read(native: Any, kept: Any) -> AsyncIterator[Any]:
    async for chunk in events.read(native, "raw"):
        kept.add(chunk.to_bytes())
        yield chunk


class _Email:
    """JavaScript's email. What is read of its content is kept."""

    def __init__(self, native: Any, raw: object) -> None:
        self._native = native
        self.raw = raw

    def __getattr__(self, name: str) -> Any:
        return getattr(self._native, name)
