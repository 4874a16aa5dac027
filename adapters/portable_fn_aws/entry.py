"""The function that AWS Lambda calls."""

from __future__ import annotations

from _thread import allocate_lock
from collections.abc import AsyncIterable

from portable_fn.adapter import bindings, failed, finish_background, respond
from portable_fn.errors import HTTPError
from portable_fn.http import Request, Response
from portable_fn.routing import Router
from portable_fn_aws import decode, encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
    from typing import Any

    from portable_fn.http import Stream
    from portable_fn_aws.decode import LambdaInvocation
    from portable_fn_aws.native import LambdaContext, ProxyAnswer

    LambdaHandler = Callable[[Any, LambdaContext], object]
    Write = Callable[[Response], ProxyAnswer]


def entry(*targets: object) -> LambdaHandler:
    """The Lambda handler of portable functions, or of a module of them: `lambda_handler = entry(hello)`.

    Payloads of no known shape raise DecodeError. Streams are collected: awslambdaric can't stream.
    """
    invoke = invoker(*targets)

    def lambda_handler(payload: Any, native: LambdaContext) -> ProxyAnswer:
        response, write, context = invoke(payload, native)
        if type(response.body) is not bytes:
            response = collected(response, context)
        if "pending" in context.__dict__:
            run(finish_background(context))
        return write(response)

    return lambda_handler


def invoker(*targets: object) -> Callable[[Any, LambdaContext], tuple[Response, Write, LambdaInvocation]]:
    """The road up to the response, which may be a stream still, with how its service takes it."""
    router = Router(bindings(*targets))
    cold_start = True

    def invoke(payload: Any, native: LambdaContext) -> tuple[Response, Write, LambdaInvocation]:
        nonlocal cold_start
        service = decode.service(payload)
        context = decode.LambdaInvocation(native, cold_start)
        cold_start = False
        try:
            request = decode.request(payload, service)
        except HTTPError as exc:
            response: Any = failed(exc, Request(), context)
        else:
            context.event = request
            response = respond(router, request, context)
            if type(response) is not Response:
                response = run(response)
        return response, encode.answer(service, payload), context

    return invoke


_loop: asyncio.AbstractEventLoop | None = None
_one_at_a_time = allocate_lock()


def run(awaitable: Awaitable[Any]) -> Any:
    """The result of the awaitable on the process's one event loop, which lives from call to call."""
    global _loop
    import asyncio

    if _loop is None:
        import atexit

        _loop = asyncio.new_event_loop()
        atexit.register(_loop.close)

    async def awaited() -> Any:
        return await awaitable

    with _one_at_a_time:
        return _loop.run_until_complete(awaited())


def collected(response: Response, context: LambdaInvocation) -> Response:
    """The response with its stream read to the end; a problem document where the stream fails on the way."""
    try:
        response.body = b"".join(chunks(response.stream or ()))
    except BaseException as exc:
        return failed(exc, context.event or Request(), context)
    return response


def chunks(stream: Stream) -> Iterator[bytes]:
    """The chunks of a sync or async stream; str as UTF-8."""
    from portable_fn.streams import chunk_bytes

    return map(chunk_bytes, _pulled(stream.__aiter__()) if isinstance(stream, AsyncIterable) else stream)


def _pulled(stream: AsyncIterator[bytes | str]) -> Iterator[bytes | str]:
    while True:
        try:
            yield run(stream.__anext__())
        except StopAsyncIteration:
            return
