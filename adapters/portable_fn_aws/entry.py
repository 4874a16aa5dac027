"""Build the Lambda handler."""

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
    Encode = Callable[[Response], ProxyAnswer]


# A body of up to so many characters always fits: the smallest limit is a load balancer's, 1 MiB.
_ALWAYS_FITS = 80_000


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
        handler = _handler(targets, use, root_path)
    else:
        handler = recording.function("aws", lambda *recorded: _handler(recorded, use, root_path), targets)
    # The attribute holds the handler itself: functools.wraps copies attributes to functions around it, which aren't entries.
    handler.__portable_entry__ = handler  # type: ignore[attr-defined]  # a function takes attributes
    return handler


def _handler(targets: tuple[object, ...], use: Sequence[Middleware], root_path: str) -> LambdaHandler:
    functions = EntryFunctions(*targets, use=use, root_path=root_path)
    http_service, answer_request, answer_events = functions.http_service, functions.respond, functions.answer_events

    def lambda_handler(payload: Any, native: LambdaContext | None) -> Any:
        service = http_service(payload)
        if service is None:
            return answer_events(payload, native)
        return answer_request(payload, native, service).buffered()

    lambda_handler.__portable_functions__ = functions  # type: ignore[attr-defined]  # for `runtime`, which streams
    return lambda_handler


class EntryFunctions:
    """The functions of one entry: they respond to requests and answer events.

    Context variables that a handler sets belong to its invocation, including its stream and background work.

    Attributes:
        http_service: Returns the service whose request a payload is; None for events.
    """

    def __init__(self, *targets: object, use: Sequence[Middleware] = (), root_path: str = "") -> None:
        functions = bindings(*targets, use=use)
        self._router = Router(functions, use, root_path)
        self._has_root_path = bool(root_path)
        self._events = _event_router(functions)
        takes_only_tasks = all(function.kind is Task for function in functions)
        self.http_service: Callable[[Any], str | None] = _no_service if takes_only_tasks else decode.http_service
        self._cold_start = True

    def respond(self, payload: Any, native: LambdaContext | None, service: str) -> HTTPAnswer:
        """Answer the request of an HTTP service."""
        context = decode.AWSContext(native, self._cold_start)
        self._cold_start = False
        variables = copy_context()
        router = self._router
        try:
            request = decode.read_request(payload, service)
        except HTTPError as exc:
            context.event = request = decode.read_parts(payload)
            response: Any = variables.run(refuse, router, exc, request, context)
        else:
            if self._has_root_path:
                router.strip_root_path(request)
            context.event = request
            response = variables.run(respond, router, request, context)
        if type(response) is not Response:
            response = run(response, variables)
        return HTTPAnswer(response, encode.encoder(service, payload), context, variables)

    def answer_events(self, payload: Any, native: LambdaContext | None) -> Any:
        """Handle the events in the payload and return the native answer.

        Raises:
            DecodeError: All functions take requests, or the payload is malformed.
            Exception: The handler's error, if the source must see the invocation fail.
        """
        if self._events is None:
            raise decode.unknown_payload(payload)
        context = decode.AWSContext(native, self._cold_start)
        self._cold_start = False
        variables = copy_context()
        try:
            return self._events.answer(payload, context, variables)
        finally:
            if "pending" in context.__dict__:
                finish(context, variables)


class HTTPAnswer:
    """The response to a request, which may be a stream, and how its service takes it."""

    __slots__ = ("context", "encode", "response", "variables")

    def __init__(self, response: Response, encode: Encode, context: AWSContext, variables: Variables) -> None:
        self.response = response
        self.encode = encode
        self.context = context
        self.variables = variables

    def buffered(self) -> ProxyAnswer:
        """Collect the stream, do the background work, and return the native answer."""
        response, context = self.response, self.context
        if type(response.body) is not bytes:
            self.collect()
            response = self.response
        if "pending" in context.__dict__:
            finish(context, self.variables)
        answer = self.encode(response)
        if len(answer["body"]) > _ALWAYS_FITS or (response.cookies and _length(response.cookies) > _ALWAYS_FITS):
            from portable_fn_aws.limits import fit_answer

            return fit_answer(answer, self.encode, response, context)
        return answer

    def collect(self) -> None:
        """Read the response's stream to its end; if that fails, a problem document replaces the response."""
        from portable_fn.adapter import streams
        from portable_fn_aws.limits import limit_of

        response, context = self.response, self.context
        request = context.event or Request()
        max_bytes, taker = limit_of(request.native)
        try:
            response.body = streams.collected(response.body, self.variables, run, max_bytes)  # type: ignore[arg-type]  # a stream
        except streams.TooMuch as exc:
            self.response = answer_too_large(exc.size, max_bytes, taker, request, context, response)
        except BaseException as exc:
            self.response = failed(exc, request, context, response)


def _no_service(payload: Any) -> None:
    """Treat no payload as a request: all functions take tasks, which may look like anything."""


def _length(cookies: Sequence[Cookie]) -> int:
    return sum(len(cookie.name) + len(cookie.value) for cookie in cookies)


def _event_router(functions: list[Binding]) -> EventRouter | None:
    """Return the router of events; None, without loading it, if all functions take requests."""
    if all(function.kind is Request for function in functions):
        return None
    from portable_fn.adapter.dispatch import Dispatcher
    from portable_fn_aws.events.decode import unwrap
    from portable_fn_aws.events.entry import EventRouter

    return EventRouter(Dispatcher(functions, unwrap), run)


def run(awaitable: Awaitable[Any], variables: Variables) -> Any:
    """Return the awaitable's result, computed on the process's event loop."""
    from portable_fn.adapter import loop

    return loop.run(awaitable, variables)


def finish(context: AWSContext, variables: Variables) -> None:
    """Do the background work that the handler left, and log what fails."""
    finish_alone(context, lambda work: run(work, variables))
