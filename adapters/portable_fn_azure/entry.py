"""Build the FunctionApp that Azure's Python worker indexes."""

from __future__ import annotations

from portable_fn.adapter.binding import bindings
from portable_fn.adapter.calling import finish_alone, finish_background
from portable_fn.adapter.pipeline import failed, respond, respond_in_loop
from portable_fn.adapter.routing import UNREAD, Router, checked_root_path, refusing
from portable_fn.errors import ConfigurationError, HTTPError
from portable_fn.http import Request, Response
from portable_fn.on import HTTPTrigger
from portable_fn.recording import make_recorder
from portable_fn_azure import decode, encode
from portable_fn_azure.decode import AzureContext, Place, logged, logged_steps
from portable_fn_azure.register import check_http_name, create_app, functions_by_path, place_of, register

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from contextvars import Context as Variables
    from typing import Any, Literal

    from azure.functions import FunctionApp, HttpResponse

    from portable_fn.adapter.binding import Binding
    from portable_fn.adapter.calling import Middleware
    from portable_fn.adapter.routing import Target
    from portable_fn_azure.native import FunctionContext, HttpRequest

    AuthLevel = Literal["anonymous", "function", "admin"]
    CreateContext = Callable[[FunctionContext | None], AzureContext]


def entry(
    *targets: object,
    auth_level: AuthLevel = "function",
    one_function_each: bool = False,
    streaming: bool = False,
    services: Mapping[str, str] | None = None,
    connections: Mapping[str, str] | None = None,
    options: Mapping[str, Mapping[str, Any]] | None = None,
    settlement: bool = False,
    use: Sequence[Middleware] = (),
    root_path: str = "",
    http_name: str | None = None,
) -> FunctionApp:
    """Build the FunctionApp for portable functions, or for a module of them.

    function_app.py has `app = entry(functions)`.

    It has one Azure function, `http`, for all paths and methods, so that 404, 405, HEAD and OPTIONS are answered as on the other
    providers. Each other trigger gets an Azure function with the handler's name.

    If one HTTP handler is async, all of them run on the event loop of Azure's worker: it awaits the async ones and calls the
    others in threads. If none is, the worker calls each in a thread, and one event loop per process runs their streams and
    background work.

    Args:
        targets: Portable functions, or a module that has some.
        auth_level: "function", Azure's default, requires the function's key; "admin" requires the app's master key;
            "anonymous" requires none.
        one_function_each: Register an Azure function for each handler and path, with the handler's name, for separate keys and
            metrics (`zzz_` before the name if it takes every path). Azure then answers unknown paths with its own 404, without
            a problem document. If paths overlap (`/items/{id}`, `/items/new`), the first function in alphabetical order gets
            the request and checks its key, but the right handler answers.
        streaming: Send a response's stream chunk by chunk, and cookies, repeated headers and chunked request bodies unchanged.
            Needs azurefunctions-extensions-http-fastapi. It applies to all HTTP functions of the app. Azure then answers
            methods other than GET, HEAD, POST, PUT, PATCH, DELETE and OPTIONS with its own 404.
        services: The Azure service of a trigger, by the function's name, the trigger's (`{"orders": "service_bus_queue"}`) or
            its word (`{"stream": "kafka"}`). A queue is storage_queue or service_bus_queue, a topic service_bus_topic, a
            stream event_hubs or kafka, an object blob or event_grid, a change cosmos_db, sql or mysql.
        connections: The settings with the address of a service, by the name of the function, the trigger, the dead-letter queue
            or the service. Defaults: AzureWebJobsStorage, ServiceBusConnection, EventHubsConnection, KafkaBrokers,
            CosmosDBConnection, SqlConnection and MySqlConnection.
        options: Further arguments of the trigger's decorator in azure.functions, by the function's name or the trigger's:
            `{"orders": {"is_sessions_enabled": True}}`, subscription_name, consumer_group, database_name.
        settlement: Receive Service Bus messages in batches and settle each separately; a rejected one goes to the queue's own
            dead letters. Needs azurefunctions-extensions-bindings-servicebus.
        use: Middleware around every function, and around answers without a function, such as a 404.
        root_path: A prefix of every path, such as "/v1", after the route prefix of host.json.
        http_name: A name other than `http`. The host tries functions in the order of their names: with a name before that of
            your own HTTP function, it takes that function's requests. Without `http_name`, it is `zzz_http` if the app has
            such a function.

    Raises:
        ConfigurationError: Azure can't have one of the functions or options.
    """
    app = create_app(auth_level)
    bound = bindings(*targets, use=use)
    checked_root_path(root_path)
    check_http_name(http_name, one_function_each=one_function_each)
    create_context = _context_factory()
    for_http = [binding for binding in bound if _is_for_http(binding)]
    for_events = [binding for binding in bound if _is_for_events(binding)]
    app.answer_directly = _no_http
    taken: set[str] = set()
    if for_http:
        in_loop = streaming or any(binding.is_async for binding in for_http)
        recorder = make_recorder()
        if recorder is not None:
            for_http = bindings(recorder.instrument(for_http))
        router = Router(for_http, use, root_path)
        direct = _in_event_loop if in_loop else _in_thread
        first = next((trigger for trigger in for_http[0].triggers if isinstance(trigger, HTTPTrigger)), None)
        place = None if first is None else place_of(first)
        app.answer_directly = _recorded(direct(router, create_context, place), place, recorder)

        def run_at(place: Place) -> Callable[..., Any]:
            run = (_streaming if streaming else direct)(router, create_context, place)
            return _recorded(run, place, recorder, streaming=streaming)

        functions = functions_by_path(for_http, root_path) if one_function_each else None
        taken = register(app, functions, run_at, http_name=http_name, streaming=streaming)
    if for_events or services or connections or options:
        from portable_fn_azure.events import register as events

        settings = events.Settings(services, connections, options, settlement)
        events.register(app, for_events, create_context, taken, settings)
    return app  # type: ignore[no-any-return]  # a PortableApp


def _context_factory() -> CreateContext:
    """Return what creates each invocation's context. The first one is a cold start."""
    cold_start = True

    def create(native: FunctionContext | None) -> AzureContext:
        nonlocal cold_start
        context = AzureContext(native, cold_start)
        cold_start = False
        return context

    return create


def _recorded(
    function: Callable[..., Any], place: Place | None, recorder: Any, *, streaming: bool = False
) -> Callable[..., Any]:
    if recorder is None:
        return function
    from portable_fn_azure import recorded

    return (recorded.streaming if streaming else recorded.http)(function, place, recorder)


def _is_for_http(binding: Binding) -> bool:
    if binding.triggers and not any(isinstance(trigger, HTTPTrigger) for trigger in binding.triggers):
        return False
    return issubclass(Request, binding.kind)


def _is_for_events(binding: Binding) -> bool:
    """Return whether it has a trigger other than HTTP, or takes a kind of event other than a Request."""
    if not binding.triggers:
        return not issubclass(Request, binding.kind)
    return any(not isinstance(trigger, HTTPTrigger) for trigger in binding.triggers)


def _no_http(req: HttpRequest, context: FunctionContext | None) -> object:
    raise ConfigurationError("no function takes a Request")


# Azure's worker passes keywords. It refuses parameters other than `req` and `context`, and reads annotations as bindings' types.


def _in_thread(
    router: Router, create_context: CreateContext, place: Place | None
) -> Callable[[Any, Any], HttpResponse]:
    """Return the Azure function that the worker calls in a thread of its pool."""
    from contextvars import copy_context

    def function(req, context):  # type: ignore[no-untyped-def]  # see above
        invocation = create_context(context)
        # The context variables that a handler sets also hold for its stream, but not for the thread's next invocation.
        variables = copy_context()

        def run(awaitable: Awaitable[Any], variables: Variables) -> Any:
            from portable_fn_azure.running import run_in_thread

            return run_in_thread(logged_steps(awaitable, invocation), variables)

        request = None
        response: Any = None
        try:
            invocation.event = request = decode.http(req, context, place)
            if router.root_path:
                router.strip_root_path(request)
            response = variables.run(respond, router, request, invocation)
            if type(response) is not Response:
                response = run(response, variables)
            if (stream := response.stream) is not None:
                from portable_fn.adapter.streams import collected

                response.body = collected(stream, variables, run)
            native = encode.http(response)
        except BaseException as exc:
            native = encode.http(failed(exc, request or Request(), invocation, response))
        finish_alone(invocation, lambda work: run(work, variables))
        return native

    return function


def _in_event_loop(
    router: Router, create_context: CreateContext, place: Place | None
) -> Callable[[Any, Any], Awaitable[HttpResponse]]:
    """Return the Azure function that the worker awaits in its event loop."""
    from portable_fn_azure.running import on_worker_loop

    async def function(req, context):  # type: ignore[no-untyped-def]  # see above
        on_worker_loop()
        invocation = create_context(context)
        request = response = None
        try:
            invocation.event = request = decode.http(req, context, place)
            if router.root_path:
                router.strip_root_path(request)
            response = await _respond(router.find(request), request, invocation)
            if response.is_stream:
                from portable_fn.adapter.streams import joined

                response.body = await joined(response.body)  # type: ignore[arg-type]  # a stream
            native = encode.http(response)
        except BaseException as exc:
            native = encode.http(failed(exc, request or Request(), invocation, response))
        if invocation.has_background:
            await finish_background(invocation)
        return native

    return function


def _streaming(router: Router, create_context: CreateContext, place: Place) -> Callable[[Any, Any], Awaitable[Any]]:
    """Return the Azure function that the worker's streaming extension awaits."""
    from portable_fn.adapter.asgi import Disconnected, read_body
    from portable_fn_azure.running import on_worker_loop
    from portable_fn_azure.streaming import answer_class

    answer = answer_class()

    async def function(req, context):  # type: ignore[no-untyped-def]  # see above
        on_worker_loop()
        invocation = create_context(context)
        request = None
        try:
            invocation.event = request = decode.streaming(req, context, place)
            if router.root_path:
                router.strip_root_path(request)
            target = router.find(request)
            if target[1] != UNREAD:
                try:
                    request.raw_body = await read_body(req.scope, req.receive, target[1])
                except HTTPError as exc:
                    target = refusing(exc, target[3])
            response = await _respond(target, request, invocation)
            if invocation.has_background and not response.is_stream:
                await finish_background(invocation)
        except Disconnected:
            response = Response(400)  # the client has gone
        except BaseException as exc:
            response = failed(exc, request or Request(), invocation)
        return answer(encode.streaming(response), invocation)

    return function


async def _respond(target: Target, request: Request[Any], context: AzureContext) -> Response:
    """Return the answer without blocking the event loop."""
    call, max_body, is_async, use = target
    return await respond_in_loop((call if is_async else logged(call), max_body, is_async, use), request, context)
