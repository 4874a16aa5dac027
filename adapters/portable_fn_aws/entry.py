"""The function that AWS Lambda calls."""

from __future__ import annotations

from _contextvars import copy_context

from portable_fn.adapter.binding import bindings
from portable_fn.adapter.calling import finish_alone
from portable_fn.adapter.pipeline import answer_too_large, failed, refuse, respond
from portable_fn.adapter.routing import Router
from portable_fn.errors import HTTPError
from portable_fn.events import Task
from portable_fn.http import Request, Response
from portable_fn.recording import make_recorder
from portable_fn_aws import decode, encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from contextvars import Context as Variables
    from typing import Any

    from portable_fn.adapter.binding import Binding
    from portable_fn.adapter.calling import Middleware
    from portable_fn.cookies import Cookie
    from portable_fn_aws.decode import AWSContext
    from portable_fn_aws.events.entry import EventRouter
    from portable_fn_aws.native import LambdaContext, ProxyAnswer

    LambdaHandler = Callable[[Any, LambdaContext | None], object]
    Write = Callable[[Response], ProxyAnswer]
    Invoke = Callable[[Any, LambdaContext | None], tuple[Any, Write | None, AWSContext, Variables]]


# A body of as many characters is in no case too large: a load balancer takes 1 MiB.
_SURE = 80_000


def entry(*targets: object, use: Sequence[Middleware] = (), root_path: str = "") -> LambdaHandler:
    """Build the Lambda handler of portable functions.

    The entry file has `lambda_handler = entry(hello)`.

    If all functions take requests, any other payload raises DecodeError. Otherwise an unknown payload is a Task. If all
    functions take tasks, every payload is a Task. Streams are collected, because awslambdaric can't stream.

    Args:
        targets: Portable functions, or a module that has some.
        use: Middleware around every function, and around answers without a function, such as a 404.
        root_path: The path before every path, such as "/v1", if the payload doesn't have it: an HTTP API's mapping.
    """
    recording = make_recorder()
    handler: LambdaHandler
    if recording is None:
        handler = _entry(targets, use, root_path)
    else:
        handler = recording.function("aws", lambda *those: _entry(those, use, root_path), targets)
    # By itself, to tell it from a function around it that has its attributes, as functools.wraps gives them.
    handler.__portable_entry__ = handler  # type: ignore[attr-defined]  # a function takes attributes
    return handler


def _entry(targets: tuple[object, ...], use: Sequence[Middleware], root_path: str) -> LambdaHandler:
    invoke = invoker(*targets, use=use, root_path=root_path)

    def lambda_handler(payload: Any, native: LambdaContext | None) -> Any:
        response, write, context, variables = invoke(payload, native)
        if write is None:
            return response
        if type(response.body) is not bytes:
            response = collected(response, context, variables)
        if "pending" in context.__dict__:
            finish(context, variables)
        answer = write(response)
        if len(answer["body"]) > _SURE or (response.cookies and _length(response.cookies) > _SURE):
            from portable_fn_aws.limits import fitting

            return fitting(answer, write, response, context)
        return answer

    lambda_handler.__portable_invoke__ = invoke  # type: ignore[attr-defined]  # for `runtime`, which streams
    return lambda_handler


def _length(cookies: Sequence[Cookie]) -> int:
    return sum(len(cookie.name) + len(cookie.value) for cookie in cookies)


def invoker(*targets: object, use: Sequence[Middleware] = (), root_path: str = "") -> Invoke:
    """The road up to the response, which may be a stream still, with how its service takes it.

    For what is no request it is the whole road, up to the answer, which is to be written as it is. The context variables that
    the handler sets are of its invocation alone, of its stream and background work too.
    """
    functions = bindings(*targets, use=use)
    router = Router(functions, use, root_path)
    events = _events(functions)
    tasks_alone = all(function.kind is Task for function in functions)
    cold_start = True

    def invoke(payload: Any, native: LambdaContext | None) -> tuple[Any, Write | None, AWSContext, Variables]:
        nonlocal cold_start
        service = None if tasks_alone else decode.http_service(payload)
        if service is None and events is None:
            raise decode.unknown(payload)
        context = decode.AWSContext(native, cold_start)
        cold_start = False
        variables = copy_context()
        if service is None:
            try:
                return events(payload, context, variables), None, context, variables  # type: ignore[misc]  # seen to be there
            finally:
                if "pending" in context.__dict__:
                    finish(context, variables)
        try:
            request = decode.request(payload, service)
        except HTTPError as exc:
            context.event = request = decode.unreadable(payload)
            response: Any = variables.run(refuse, router, exc, request, context)
        else:
            if root_path:
                router.strip_root_path(request)
            context.event = request
            response = variables.run(respond, router, request, context)
        if type(response) is not Response:
            response = run(response, variables)
        return response, encode.answer(service, payload), context, variables

    return invoke


def _events(functions: list[Binding]) -> EventRouter | None:
    """The road of what is no request; None where all functions are for requests, which then needn't load it."""
    if all(function.kind is Request for function in functions):
        return None
    from portable_fn.adapter.dispatch import Dispatcher
    from portable_fn_aws.events.decode import inside
    from portable_fn_aws.events.entry import EventRouter

    return EventRouter(Dispatcher(functions, inside), run)


def run(awaitable: Awaitable[Any], variables: Variables) -> Any:
    """Return the awaitable's result, computed on the process's event loop."""
    from portable_fn.adapter import loop

    return loop.run(awaitable, variables)


def collected(response: Response, context: AWSContext, variables: Variables) -> Response:
    """The response with its stream read to the end; a problem document where the stream fails on the way."""
    from portable_fn.adapter import streams
    from portable_fn_aws.limits import limit

    request = context.event or Request()
    most, taker = limit(request.native)
    try:
        response.body = streams.collected(response.body, variables, run, most)  # type: ignore[arg-type]  # a stream
    except streams.TooMuch as exc:
        return answer_too_large(exc.size, most, taker, request, context, response)
    except BaseException as exc:
        return failed(exc, request, context, response)
    return response


def finish(context: AWSContext, variables: Variables) -> None:
    """Does the background work that the handler left; what fails there is logged."""
    finish_alone(context, lambda work: run(work, variables))
