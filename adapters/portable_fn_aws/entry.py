"""The function that AWS Lambda calls."""

from __future__ import annotations

from _thread import allocate_lock

from portable_fn.adapter import bindings, failed, finish_background, respond
from portable_fn.binding import is_awaitable
from portable_fn.errors import HTTPError
from portable_fn.http import Request
from portable_fn.routing import Router
from portable_fn_aws import decode, encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable
    from typing import Any

    from portable_fn.http import Response
    from portable_fn_aws.native import LambdaContext, ProxyAnswer

    LambdaHandler = Callable[[Any, LambdaContext], object]


def entry(*targets: object) -> LambdaHandler:
    """The Lambda handler of portable functions, or of a module of them: `lambda_handler = entry(hello)`.

    Payloads of no known shape raise DecodeError. Streams are collected: awslambdaric can't stream.
    """
    router = Router(bindings(*targets))
    cold_start = True

    def lambda_handler(payload: Any, native: LambdaContext) -> ProxyAnswer:
        nonlocal cold_start
        service = decode.service(payload)
        try:
            request = decode.request(payload, service)
            context = decode.LambdaInvocation(native, request, cold_start)
            response = respond(router, request, context)
        except HTTPError as exc:
            request = Request()
            context = decode.LambdaInvocation(native, None, cold_start)
            response = failed(exc, request, context)
        cold_start = False
        if is_awaitable(response):
            response = run(response)
        if "pending" in context.__dict__:
            run(finish_background(context))
        return encode.answer(service, payload)(response, _collected(response))

    return lambda_handler


_loop: asyncio.AbstractEventLoop | None = None
_one_at_a_time = allocate_lock()


def run(awaitable: Awaitable[Any]) -> Any:
    """The result of the awaitable on the process's one event loop, which lives from call to call."""
    global _loop
    import asyncio

    if _loop is None:
        _loop = asyncio.new_event_loop()

    async def awaited() -> Any:
        return await awaitable

    with _one_at_a_time:
        return _loop.run_until_complete(awaited())


def _collected(response: Response) -> bytes:
    """The whole body; a stream is read to its end."""
    body = response.body
    if isinstance(body, bytes):
        return body
    if hasattr(body, "__aiter__"):

        async def collect() -> bytes:
            return b"".join([chunk_bytes(chunk) async for chunk in body])

        return run(collect())
    return b"".join(chunk_bytes(chunk) for chunk in body)


def chunk_bytes(chunk: bytes | str) -> bytes:
    """A stream's chunk as bytes; str as UTF-8."""
    return chunk.encode() if isinstance(chunk, str) else bytes(chunk)
