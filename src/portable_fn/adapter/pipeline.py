"""The pipeline between an adapter's `decode` and its `encode`."""

from __future__ import annotations

from collections.abc import AsyncIterable

from portable_fn.adapter.calling import is_awaitable, is_not_ours
from portable_fn.adapter.routing import refusing
from portable_fn.errors import HTTPError
from portable_fn.http import Request, Response, finish, to_response

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Any

    from portable_fn.adapter.routing import Router, Target
    from portable_fn.context import Context

__all__ = ["answer_too_large", "failed", "refuse", "respond", "respond_in_loop", "too_large"]


def respond(router: Router, request: Request[Any], context: Context) -> Response | Awaitable[Response]:
    """Return the answer to a request; an awaitable if its function is async. An error becomes a problem document."""
    try:
        call, max_body, _, use = router.find(request)
        if request.raw_body and is_over(request, max_body):
            call = refusing(too_large(max_body), use)[0]
        result = call(request, context)
        if type(result) is dict or not is_awaitable(result):
            return finish(to_response(result), request)
    except BaseException as exc:
        return failed(exc, request, context)
    return _respond_later(result, request, context)


def refuse(
    router: Router, error: BaseException, request: Request[Any], context: Context
) -> Response | Awaitable[Response]:
    """Answer a request that was refused before its function was called, with the middleware around its answer."""
    try:
        result = router.refusal(error, request)[0](request, context)
        if not is_awaitable(result):
            return finish(to_response(result), request)
    except BaseException as exc:
        return failed(exc, request, context)
    return _respond_later(result, request, context)


async def _respond_later(result: Any, request: Request[Any], context: Context) -> Response:
    # Only the handler itself cancels the task: it runs alone in its loop, or in a Worker.
    try:
        return finish(to_response(await result), request)
    except BaseException as exc:
        return failed(exc, request, context)


async def respond_in_loop(target: Target, request: Request[Any], context: Context) -> Response:
    """Return the response of the target that the router found, without blocking the event loop.

    A sync function runs in a thread.
    """
    call, max_body, is_async, use = target
    try:
        if request.raw_body and is_over(request, max_body):
            call, _, is_async, _ = refusing(too_large(max_body), use)
        result = call(request, context) if is_async else await _in_thread(call, request, context)
        if is_awaitable(result):
            result = await result
        return finish(to_response(result), request)
    except BaseException as exc:
        if is_not_ours(exc):
            raise
        return failed(exc, request, context)


async def _in_thread(call: Callable[[Any, Context], Any], request: Request[Any], context: Context) -> Any:
    from portable_fn.adapter.threads import run

    def called() -> Any:
        # Caught in the thread, since a Future can't raise StopIteration. Encoded there, since that may take long.
        try:
            result = call(request, context)
            if is_awaitable(result):
                return result
            response = finish(to_response(result), request)
            stream = response.stream
            if stream and not isinstance(stream, AsyncIterable):
                from portable_fn.adapter.streams import Threaded

                # Built here, it keeps the context variables that the handler has set.
                response = response.copy()
                response.body = Threaded(stream)
            return response
        except BaseException as exc:
            return failed(exc, request, context)

    return await run(called)


def failed(
    error: BaseException, request: Request[Any], context: Context, instead_of: Response | None = None
) -> Response:
    """Return the problem document for an error on the way.

    If the error kept a response from being sent, the document replaces it (`instead_of`) and has its CORS headers.
    """
    from portable_fn.adapter.problem import problem

    response = problem(error, context)
    if instead_of is not None:
        for name, value in instead_of.headers.multi_items():
            if name == "vary" or name.startswith("access-control-"):
                response.headers.add(name, value)
    return finish(response, request)


def answer_too_large(
    size: int, limit: int, taker: str, request: Request[Any], context: Context, instead_of: Response
) -> Response:
    """Return the problem document that replaces an answer with too many bytes for its receiver, such as "Lambda". It is logged."""
    detail = f"The answer has {size} bytes; {taker} takes {limit}."
    context.log.error("invocation %s failed: %s", context.invocation_id, detail)
    error = HTTPError(500, detail, extensions={"invocation_id": context.invocation_id})
    return failed(error, request, context, instead_of)


def is_over(request: Request[Any], limit: int) -> bool:
    """Return whether the body has over `limit` bytes, also once it is decompressed. There is no limit below 0."""
    if len(request.raw_body) > limit:
        return limit >= 0
    request._max_body = limit
    # The search for events has decompressed the body with its own limit.
    return "body" in request.__dict__ and len(request.body) > limit


def too_large(limit: int) -> HTTPError:
    """Return the error for a body of over `limit` bytes."""
    return HTTPError(413, f"The body is over {limit} bytes.")
