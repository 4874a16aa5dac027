"""The FunctionApp that Azure's Python worker indexes."""

from __future__ import annotations

from portable_fn.adapter.binding import bindings
from portable_fn.adapter.calling import finish_alone, finish_background
from portable_fn.adapter.pipeline import failed, respond, respond_in_loop
from portable_fn.adapter.routing import UNREAD, Router, checked_root_path, refusing
from portable_fn.errors import ConfigurationError, HTTPError
from portable_fn.http import Request, Response
from portable_fn.on import HTTPTrigger
from portable_fn.pairs import unquoted
from portable_fn.record import Record
from portable_fn.recording import make_recorder
from portable_fn_azure import decode, encode
from portable_fn_azure.decode import EVERYWHERE, AzureContext, Place, logged, logged_steps
from portable_fn_azure.names import METHODS, legal_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
    from contextvars import Context as Variables
    from typing import Any, Literal

    from azure.functions import FunctionApp, HttpResponse

    from portable_fn.adapter.binding import Binding
    from portable_fn.adapter.calling import Middleware
    from portable_fn.adapter.routing import Target
    from portable_fn_azure.native import FunctionContext, HttpRequest

    AuthLevel = Literal["anonymous", "function", "admin"]
    Begin = Callable[[FunctionContext | None], AzureContext]

# The host tries functions in the order of their names, whatever their routes: a route for all paths comes last, so that it
# leaves the app's own functions theirs. Sources: Azure/azure-functions-host#9876, #6062.
LAST = "zzz_"


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
    """Build the FunctionApp of portable functions.

    The entry file has `app = entry(functions)`.

    The app has one Azure function, `http`, for all paths and methods, so 404, 405, HEAD and OPTIONS mean the same as
    everywhere. It has one more for each other trigger of each function, with the function's name.

    If one of the functions is async, all run on the event loop of Azure's worker: it awaits them, and a sync function blocks
    that loop. Otherwise the worker calls each in a thread, and their streams and background work run on one event loop for
    the whole process.

    Args:
        targets: Portable functions, or a module that has some.
        auth_level: "function", Azure's default, lets in callers with the function's key; "anonymous" lets in everybody;
            "admin" lets in callers with the app's master key.
        one_function_each: Make an Azure function for each handler and path, with the handler's name, so that each has its own
            keys and metrics. A handler that takes every path is `zzz_` and its name. Unknown paths then get Azure's own 404
            without a problem document. If paths overlap (`/items/{id}`, `/items/new`), Azure checks the key of the function
            whose name is first in the alphabet, but the right handler answers.
        streaming: Send streams chunk by chunk, and keep cookies, repeated headers and chunked request bodies as they are.
            Needs azurefunctions-extensions-http-fastapi and holds for all HTTP functions of the app. Methods other than GET,
            HEAD, POST, PUT, PATCH, DELETE and OPTIONS then get Azure's own 404.
        services: The Azure service of a trigger, by the function's name, the trigger's (`{"orders": "service_bus_queue"}`) or
            its word (`{"stream": "kafka"}`). A queue is a storage_queue or service_bus_queue, a topic a service_bus_topic, a
            stream event_hubs or kafka, an object blob or event_grid, a change cosmos_db, sql or mysql.
        connections: The names of the settings with a service's address, by the name of the function, the trigger, the dead
            letters or the service. Defaults: AzureWebJobsStorage, ServiceBusConnection, EventHubsConnection, KafkaBrokers,
            CosmosDBConnection, SqlConnection, MySqlConnection.
        options: More arguments of the trigger's decorator in azure.functions, by the function's name or the trigger's:
            `{"orders": {"is_sessions_enabled": True}}`, subscription_name, consumer_group, database_name.
        settlement: Get several Service Bus messages at once and settle each alone, so that a rejected one is dead-lettered.
            Needs azurefunctions-extensions-bindings-servicebus.
        use: Middleware around every function, and around answers without a function, such as a 404.
        root_path: The path before every path, such as "/v1", after the route prefix of host.json.
        http_name: Another name than `http`. The host tries functions in the order of their names, so an own HTTP function
            with a later name would lose its requests. Without `http_name` the app then uses `zzz_http`.
    """
    try:
        import azure.functions as func
    except ImportError as exc:
        raise ConfigurationError("Azure needs the package azure-functions: pip install 'portable-fn[azure]'") from exc
    try:
        level = func.AuthLevel[auth_level.upper()]
    except (KeyError, AttributeError):
        raise ConfigurationError(f"auth_level is 'anonymous', 'function' or 'admin', not {auth_level!r}") from None
    bound = bindings(*targets, use=use)
    checked_root_path(root_path)
    if http_name is not None:
        if one_function_each:
            raise ConfigurationError("http_name names the one function for all paths: leave out one_function_each")
        if legal_name(http_name) != http_name:
            raise ConfigurationError(f"http_name is letters, digits, _ and -, a letter first, not {http_name!r}")
    functions = [function for function in bound if _is_http(function)]
    others = [function for function in bound if _is_for_events(function)]
    in_loop = streaming or any(function.is_async for function in functions)
    cold_start = True

    def begin(native: FunctionContext | None) -> AzureContext:
        nonlocal cold_start
        invocation = AzureContext(native, cold_start)
        cold_start = False
        return invocation

    class PortableApp(func.FunctionApp):
        """A FunctionApp that can be called as well, by a function of one's own: `return app(req, context)`."""

        def __call__(self, req: HttpRequest, context: FunctionContext | None = None) -> object:
            return direct(req, context)

        def get_functions(self) -> list[Any]:
            if catch_all is not None:
                _name_last(catch_all, self)
            return super().get_functions()

    catch_all: Any = None
    app = PortableApp(http_auth_level=level)
    taken: set[str] = set()
    direct: Callable[[Any, Any], object] = _no_http
    recording = make_recorder() if functions else None
    if recording is not None:
        functions = bindings(recording.telling_of(functions))
    if functions:
        router = Router(functions, use, root_path)
        everywhere = HTTPFunction(http_name or "http", "{*path}", (), EVERYWHERE)
        first = next((trigger for trigger in functions[0].triggers if isinstance(trigger, HTTPTrigger)), None)
        alone = None if first is None else _place(first)
        direct = (_in_event_loop if in_loop else _in_thread)(router, begin, alone)
        if recording is not None:
            direct = _recorded(direct, alone, recording)
        for planned in _each(functions, root_path) if one_function_each else [everywhere]:
            answer = _streaming if streaming else _in_event_loop if in_loop else _in_thread
            # The streaming extension has its own server, which takes no other methods and leaves an invocation for one
            # unanswered.
            route = app.route(planned.route, methods=planned.methods or (METHODS if streaming else None))
            made = answer(router, begin, planned.place)
            if recording is not None:
                made = _recorded(made, planned.place, recording, streaming=streaming)
            declared = route(made)
            if planned is everywhere and http_name is None:
                catch_all = declared
            else:
                app.function_name(planned.name)(declared)
            taken.add(planned.name.lower())
    if others or services or connections or options:
        from portable_fn_azure.events.register import register

        register(
            app,
            others,
            begin,
            taken,
            services=services or {},
            connections=connections or {},
            options=options or {},
            settlement=settlement,
        )
    return app


def _name_last(catch_all: Any, app: FunctionApp) -> None:
    """Name the function for all paths `http`, or so that it comes after the app's own HTTP functions."""
    # The library shows the functions of an app only when it builds them, with their names.
    builders: list[Any] = app._function_builders
    others = [one._function for one in builders if one is not catch_all]
    own = [one for one in others if one.get_trigger() is not None and one.get_trigger().type == "httpTrigger"]
    comes_last = all(str(function.get_function_name()).lower() < "http" for function in own)
    if catch_all._function.get_setting("function_name") is None:
        from azure.functions.decorators.function_name import FunctionName

        # As app.function_name does, which takes the function that was declared last.
        catch_all.add_setting(FunctionName(function_name="http" if comes_last else f"{LAST}http"))


def _recorded(
    function: Callable[..., Any], place: Place | None, recording: Any, *, streaming: bool = False
) -> Callable[..., Any]:
    from portable_fn_azure import recorded

    return (recorded.streaming if streaming else recorded.http)(function, place, recording)


def _is_http(function: Binding) -> bool:
    if function.triggers and not any(isinstance(trigger, HTTPTrigger) for trigger in function.triggers):
        return False
    return issubclass(Request, function.kind)


def _is_for_events(function: Binding) -> bool:
    """Whether it has a trigger other than HTTP, or takes events that no request is."""
    if not function.triggers:
        return not issubclass(Request, function.kind)
    return any(not isinstance(trigger, HTTPTrigger) for trigger in function.triggers)


def _no_http(req: HttpRequest, context: FunctionContext | None) -> object:
    raise ConfigurationError("none of the functions takes a Request")


# Azure's worker calls these by keyword and wants no other parameter than `req` and `context`, and no annotations.


def _in_thread(router: Router, begin: Begin, place: Place | None) -> Callable[[Any, Any], HttpResponse]:
    """The Azure function that the worker calls in a thread of its pool."""
    from contextvars import copy_context

    def function(req, context):  # type: ignore[no-untyped-def]  # see above
        invocation = begin(context)
        # What a handler sets in a context variable is for its stream as well, and not for the thread's next invocation.
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


def _in_event_loop(router: Router, begin: Begin, place: Place | None) -> Callable[[Any, Any], Awaitable[HttpResponse]]:
    """The Azure function that the worker awaits in its event loop."""
    from portable_fn_azure.running import on_worker_loop

    async def function(req, context):  # type: ignore[no-untyped-def]  # see above
        on_worker_loop()
        invocation = begin(context)
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


def _streaming(router: Router, begin: Begin, place: Place) -> Callable[[Any, Any], Awaitable[Any]]:
    """The Azure function that the worker's streaming extension awaits."""
    from portable_fn.adapter.asgi import Disconnected, read_body
    from portable_fn_azure.running import on_worker_loop
    from portable_fn_azure.streaming import answerer

    answer = answerer()

    async def function(req, context):  # type: ignore[no-untyped-def]  # see above
        on_worker_loop()
        invocation = begin(context)
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
            response = Response(400)  # which nobody reads
        except BaseException as exc:
            response = failed(exc, request or Request(), invocation)
        return answer(encode.streaming(response), invocation)

    return function


async def _respond(target: Target, request: Request[Any], context: AzureContext) -> Response:
    """The answer of what the router found, if nothing may block the event loop."""
    call, max_body, is_async, use = target
    return await respond_in_loop((call if is_async else logged(call), max_body, is_async, use), request, context)


class HTTPFunction(Record):
    """An Azure function to be: no `methods` means all of them."""

    _fields = ("name", "route", "methods", "place")

    def __init__(self, name: str, route: str, methods: tuple[str, ...], place: Place) -> None:
        self.name = name
        self.route = route
        self.methods = methods
        self.place = place


def _each(functions: Iterable[Binding], root_path: str) -> list[HTTPFunction]:
    """An Azure function for each path of each function; ConfigurationError for a name or path that Azure can't have."""
    planned: dict[str, HTTPFunction] = {}
    routes: dict[str, list[str]] = {}
    for function in functions:
        triggers = [trigger for trigger in function.triggers if isinstance(trigger, HTTPTrigger)]
        for number, trigger in enumerate(triggers or [None], 1):
            name = legal_name(function.name) + (f"-{number}" if number > 1 else "")
            if trigger is None or trigger.segments[0][1].endswith("+"):
                name = LAST + name
            if name.lower() in planned:
                raise ConfigurationError(f"two functions would have the name {name!r} on Azure: rename {function.name}")
            methods = () if trigger is None else trigger.methods
            if "GET" in methods:
                methods = (*methods, "HEAD")
            route = "{*path}" if trigger is None else _route(trigger, function.name, root_path)
            planned[name.lower()] = HTTPFunction(name, route, methods, _place(trigger))
            routes.setdefault(route.lower(), []).append(name.lower())
    # The host tries functions in the order of their names; the last one on a route takes the methods that the others don't,
    # so that OPTIONS and 405 are ours. Source: azure-functions-host#9876.
    for names in routes.values():
        *others, last = sorted(names)
        planned[last].methods = ()
        for name in others:
            if not set(planned[name].methods) <= set(METHODS):
                planned[name].methods = ()
    return list(planned.values())


def _route(trigger: HTTPTrigger, name: str, root_path: str) -> str:
    """A path template behind the root path as Azure has it; ConfigurationError for one that Azure's routes can't say."""
    before = tuple((segment, "") for segment in root_path.split("/")[1:])
    segments = trigger.segments
    if not segments[-1][0] and not segments[-1][1]:
        # Azure ignores a slash at the end, and takes an empty route for the function's name.
        segments = segments[:-1]
        if not before and not segments:
            # The only way to say it. Source: Azure/Azure-Functions#2473.
            return "{nothing:maxlength(0)?}"
    parts = []
    for literal, parameter in (*before, *segments):
        text = unquoted(literal)
        if parameter:
            parts.append(f"{{*{parameter[:-1]}}}" if parameter.endswith("+") else f"{{{parameter}}}")
        elif text and not any(char in "{}*?" for char in text):
            parts.append(text)
        else:
            raise ConfigurationError(
                f"Azure has no route for the path {trigger.path!r} of {name}: see its part {text!r}"
            )
    if len({parameter.lower() for parameter in trigger.parameters}) < len(trigger.parameters):
        raise ConfigurationError(
            f"Azure takes the parameters of {trigger.path!r} for the same: their names differ in case"
        )
    return "/".join(parts)


def _place(trigger: object) -> Place:
    """Where the route of a trigger has the path."""
    if not isinstance(trigger, HTTPTrigger):
        return EVERYWHERE
    names = tuple(name for _, name in trigger.segments)
    if names[-1].endswith("+"):
        return Place(names[:-1], names[-1][:-1])
    return Place(names if trigger.segments[-1] != ("", "") else names[:-1])
