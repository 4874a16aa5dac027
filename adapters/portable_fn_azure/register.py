"""Register the Azure functions for HTTP: their names, routes and methods."""

from __future__ import annotations

from portable_fn.errors import ConfigurationError
from portable_fn.on import HTTPTrigger
from portable_fn.pairs import unquoted
from portable_fn.record import Record
from portable_fn_azure.decode import EVERYWHERE, Place

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from portable_fn.adapter.binding import Binding
    from portable_fn_azure.native import FunctionContext, HttpRequest

# The methods that Azure can name in a route. A function whose route names none takes every method.
METHODS = ("GET", "POST", "DELETE", "HEAD", "PATCH", "PUT", "OPTIONS")

LONGEST_NAME = 128

# The host tries functions in the order of their names, whatever their routes. A route for all paths comes last, so that the
# app's own functions get their requests. Sources: Azure/azure-functions-host#9876, #6062.
LAST = "zzz_"


class HTTPFunction(Record):
    """An Azure function to register. Without `methods` it takes all of them."""

    _fields = ("name", "route", "methods", "place")

    def __init__(self, name: str, route: str, methods: tuple[str, ...], place: Place) -> None:
        self.name = name
        self.route = route
        self.methods = methods
        self.place = place


def create_app(auth_level: str) -> Any:
    """Return a FunctionApp that can also be called, and that names its function for all paths when Azure asks for it."""
    try:
        import azure.functions as func
    except ImportError as exc:
        raise ConfigurationError("Azure needs the package azure-functions: pip install 'portable-fn[azure]'") from exc
    try:
        level = func.AuthLevel[auth_level.upper()]
    except (KeyError, AttributeError):
        raise ConfigurationError(f"auth_level must be 'anonymous', 'function' or 'admin', not {auth_level!r}") from None

    class PortableApp(func.FunctionApp):
        """A FunctionApp that a function of your own can call: `return app(req, context)`."""

        answer_directly: Callable[[Any, Any], object]
        catch_all: Any = None

        def __call__(self, req: HttpRequest, context: FunctionContext | None = None) -> object:
            return self.answer_directly(req, context)

        def get_functions(self) -> list[Any]:
            if self.catch_all is not None:
                _name_last(self.catch_all, self)
            return super().get_functions()

    return PortableApp(http_auth_level=level)


def check_http_name(name: str | None, *, one_function_each: bool) -> None:
    """Raise ConfigurationError if Azure can't have the name, or if it doesn't apply."""
    if name is None:
        return
    if one_function_each:
        raise ConfigurationError("http_name names the one function for all paths: omit one_function_each")
    if legal_name(name) != name:
        raise ConfigurationError(f"http_name must be letters, digits, _ and -, a letter first, not {name!r}")


def register(
    app: Any,
    functions: list[HTTPFunction] | None,
    run_at: Callable[[Place], Callable[..., Any]],
    *,
    http_name: str | None,
    streaming: bool,
) -> set[str]:
    """Add Azure functions to the app; return their names in lower case.

    Args:
        functions: The functions, or None for one function that takes all paths.
        run_at: Returns what the worker calls, for the place of the path in a route.
    """
    # The streaming extension's own server takes no other methods, and leaves invocations for them unanswered.
    methods = METHODS if streaming else None
    if functions is None:
        builder = app.route("{*path}", methods=methods)(run_at(EVERYWHERE))
        if http_name is None:
            app.catch_all = builder
        else:
            app.function_name(http_name)(builder)
        return {(http_name or "http").lower()}
    for function in functions:
        builder = app.route(function.route, methods=function.methods or methods)(run_at(function.place))
        app.function_name(function.name)(builder)
    return {function.name.lower() for function in functions}


def _name_last(catch_all: Any, app: Any) -> None:
    """Name the function for all paths `http`, or so that it comes after the app's own HTTP functions."""
    # azure-functions shows an app's functions only when it builds them, and then they have names.
    own = [builder._function for builder in app._function_builders if builder is not catch_all]
    triggers = [(function, function.get_trigger()) for function in own]
    names = [
        str(function.get_function_name()).lower()
        for function, trigger in triggers
        if trigger is not None and trigger.type == "httpTrigger"
    ]
    if catch_all._function.get_setting("function_name") is None:
        from azure.functions.decorators.function_name import FunctionName

        # app.function_name does the same, but only for the function that was declared last.
        name = "http" if all(name < "http" for name in names) else f"{LAST}http"
        catch_all.add_setting(FunctionName(function_name=name))


def functions_by_path(bound: Iterable[Binding], root_path: str) -> list[HTTPFunction]:
    """Return an Azure function for each path of each handler.

    Raises:
        ConfigurationError: Azure can't have one of the names or paths.
    """
    functions: dict[str, HTTPFunction] = {}
    names_by_route: dict[str, list[str]] = {}
    for binding in bound:
        triggers = [trigger for trigger in binding.triggers if isinstance(trigger, HTTPTrigger)]
        for number, trigger in enumerate(triggers or [None], 1):
            name = legal_name(binding.name) + (f"-{number}" if number > 1 else "")
            if trigger is None or trigger.segments[0][1].endswith("+"):
                name = LAST + name
            if name.lower() in functions:
                raise ConfigurationError(f"two functions would have the name {name!r} on Azure: rename {binding.name}")
            methods = () if trigger is None else trigger.methods
            if "GET" in methods:
                methods = (*methods, "HEAD")
            route = "{*path}" if trigger is None else _route(trigger, binding.name, root_path)
            functions[name.lower()] = HTTPFunction(name, route, methods, place_of(trigger))
            names_by_route.setdefault(route.lower(), []).append(name.lower())
    # The host tries functions in the order of their names. The last one on a route takes the methods that the others don't, so
    # that portable_fn answers OPTIONS and 405. Source: azure-functions-host#9876.
    for names in names_by_route.values():
        *others, last = sorted(names)
        functions[last].methods = ()
        for name in others:
            if not set(functions[name].methods) <= set(METHODS):
                functions[name].methods = ()
    return list(functions.values())


def _route(trigger: HTTPTrigger, name: str, root_path: str) -> str:
    """Return the root path and a path template as Azure's route; raise ConfigurationError if no route can express it."""
    before = tuple((segment, "") for segment in root_path.split("/")[1:])
    segments = trigger.segments
    if not segments[-1][0] and not segments[-1][1]:
        # Azure ignores a slash at the end, and replaces an empty route with the function's name.
        segments = segments[:-1]
        if not before and not segments:
            # The only way to express the root. Source: Azure/Azure-Functions#2473.
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
                f"Azure has no route for the path {trigger.path!r} of {name}: change its part {text!r}"
            )
    if len({parameter.lower() for parameter in trigger.parameters}) < len(trigger.parameters):
        raise ConfigurationError(
            f"two parameters of {trigger.path!r} differ only in case, and Azure ignores case: rename one"
        )
    return "/".join(parts)


def place_of(trigger: object) -> Place:
    """Return the route parameters that hold the path of a trigger."""
    if not isinstance(trigger, HTTPTrigger):
        return EVERYWHERE
    names = tuple(name for _, name in trigger.segments)
    if names[-1].endswith("+"):
        return Place(names[:-1], names[-1][:-1])
    return Place(names if trigger.segments[-1] != ("", "") else names[:-1])


def legal_name(name: str) -> str:
    """Return a function's name as Azure takes it: letters, digits, "_" and "-", a letter first."""
    legal = "".join(char if char.isascii() and (char.isalnum() or char == "_") else "-" for char in name)
    legal = legal.lstrip("-_0123456789").rstrip("-")
    if not legal or legal.lower() == "host" or len(legal) > LONGEST_NAME - len("-99"):
        raise ConfigurationError(
            f"{name!r} can't be the name of an Azure function: use up to {LONGEST_NAME - 3} letters, digits, _ and -, a "
            "letter first, and not 'host'"
        )
    return legal
