"""Find the function for a request: path templates, 404, 405 with Allow, HEAD from GET, OPTIONS."""

from __future__ import annotations

from portable_fn.adapter.binding import Binding, middleware
from portable_fn.adapter.calling import any_is_async, around
from portable_fn.errors import ConfigurationError, HTTPError
from portable_fn.http import MAX_BODY, Request, Response
from portable_fn.on import HTTPTrigger
from portable_fn.pairs import unquoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import Any

    from portable_fn.adapter.calling import Middleware
    from portable_fn.context import Context

    # How to call it, the largest body that it takes (UNREAD if none needs to be read), whether it is async, its middleware.
    Target = tuple[Callable[[Any, Context], Any], int, bool, tuple[Middleware, ...]]

__all__ = ["UNREAD", "Route", "Router", "checked_root_path", "refusing"]

UNREAD = -1
_ANY = "ANY"


class Route:
    """The functions of one path template, by method."""

    def __init__(self, trigger: HTTPTrigger) -> None:
        self.segments = trigger.segments
        self.names = trigger.parameters
        self.name_set = frozenset(trigger.parameters)
        self.greedy = bool(self.segments[-1][1].endswith("+"))
        self.ends_with_slash = len(self.segments) > 1 and self.segments[-1] == ("", "")
        numbered = list(enumerate(trigger.segments))
        self._literals = [(index, literal) for index, (literal, name) in numbered if not name]
        self._parameters = [(index, name) for index, (_, name) in numbered if name and name[-1] != "+"]
        self.path = trigger.path
        self.functions: dict[str, Binding] = {}
        self.targets: dict[str, Target] = {}

    def add(self, trigger: HTTPTrigger, function: Binding) -> None:
        """Let the function answer the trigger's methods.

        Raises:
            ConfigurationError: Another function answers one of them already.
        """
        if trigger.parameters != self.names:
            raise ConfigurationError(
                f"{trigger.path!r} of {function.name} and {self.path!r} are one path with other names"
            )
        for method in trigger.methods or (_ANY,):
            if method in self.functions:
                other = self.functions[method].name
                raise ConfigurationError(
                    f"{other} and {function.name} both answer {method} {trigger.path}: give one another path or method"
                )
            self.functions[method] = function
            target = (function.call, trigger.max_body, function.is_async, function.use)
            self.targets[method] = target
            if method == "GET":
                self.targets.setdefault("HEAD", target)

    def target(self, method: str) -> Target | None:
        """Return what answers a method here: its own function, GET's for HEAD, or one for any method."""
        return self.targets.get(method) or self.targets.get(_ANY)

    def match(self, segments: list[str]) -> dict[str, str] | None:
        """Return the decoded path parameters if the path matches the template, else None."""
        if len(segments) != len(self.segments) and not (self.greedy and len(segments) >= len(self.segments) - 1):
            return None
        for index, literal in self._literals:
            if literal != segments[index] and literal != unquoted(segments[index]):
                return None
        params = {}
        for index, name in self._parameters:
            if not segments[index]:
                return None
            params[name] = unquoted(segments[index])
        if self.greedy:
            rest = segments[len(self.segments) - 1 :]
            params[self.names[-1]] = unquoted("/".join(rest))
        return params


class Router:
    """Finds the function for a request.

    `max_body` is the largest body that a function takes.

    Args:
        functions: The functions; those for other events are ignored.
        use: The entry's middleware, for answers without a function. If there is none, the functions' `cors`.
        root_path: The start of every path, if the entry has one.

    Raises:
        ConfigurationError: Two functions answer the same path and method, or the root path is malformed.
    """

    def __init__(self, functions: Sequence[Binding], use: Sequence[Middleware] = (), root_path: str = "") -> None:
        routes: dict[tuple[tuple[str, bool], ...], Route] = {}
        bare: Binding | None = None
        self.max_body = MAX_BODY
        for function in functions:
            if not issubclass(Request, function.kind):
                continue
            if not function.triggers:
                if bare is not None:
                    raise ConfigurationError(f"{bare.name} and {function.name} both answer every path: add on.http(…)")
                bare = function
            for trigger in function.triggers:
                if isinstance(trigger, HTTPTrigger):
                    shape = tuple((literal, name.endswith("+")) for literal, name in trigger.segments)
                    routes.setdefault(shape, Route(trigger)).add(trigger, function)
                    self.max_body = max(self.max_body, trigger.max_body)
        self._fallback: Target | None = None if bare is None else (bare.call, MAX_BODY, bare.is_async, bare.use)
        self._use = middleware(use, "the entry") or _cors_of(functions)
        self.root_path = checked_root_path(root_path)
        self._root = [unquoted(segment) for segment in root_path.split("/")]
        # Literal segments, then parameters, then a parameter for the rest.
        self._routes = sorted(routes.values(), key=lambda route: [_rank(*segment) for segment in route.segments])
        self._literals = {route.path: route for route in self._routes if not route.names}
        self._by_template = {route.path: route for route in self._routes if route.names}
        self._some_end_with_slash = any(route.ends_with_slash for route in self._routes)

    def find(self, request: Request[Any]) -> Target:
        """Find what answers a request, and set the request's path parameters.

        If no function does, it is a call that raises HTTPError 404 or 405, with middleware around it. Parameters that the provider
        extracted count only if the function has the same template: the provider may have decoded the path, and then only they show an
        encoded slash.
        """
        method = request.method
        path = request.raw_path
        literal = self._literals.get(path)
        if literal is not None and (target := literal.target(method)):
            request._params = {}
            return target
        segments = path.split("/")[1:]
        if request._template not in self._by_template and not (path[-1:] == "/" != path or self._some_end_with_slash):
            # Only the template decides here, as for most requests.
            for route in self._routes:
                params = route.match(segments)
                if params is not None:
                    if target := route.target(method):
                        request._params = params
                        return target
                    break
            else:
                return self._without_route(request)
        matching = []
        for route, params in self._matching(request, segments):
            if target := route.target(method):
                request._params = params
                return target
            matching.append(route)
        return _without_handler(request, matching) if matching else self._without_route(request)

    def _without_route(self, request: Request[Any]) -> Target:
        return self._fallback or refusing(HTTPError(404, f"Nothing answers {request.path}."), self._use)

    def refusal(self, error: BaseException, request: Request[Any]) -> Target:
        """Return what answers a request that was refused before its function was called, with that function's middleware."""
        return refusing(error, self.find(request)[3])

    def strip_root_path(self, request: Request[Any]) -> None:
        """Move the entry's root path from the request's path to its own root path, if the path starts with it as whole segments."""
        path, root = request.raw_path, self.root_path
        if path.startswith(root) and path[len(root) : len(root) + 1] in ("", "/"):
            cut = len(root)
        else:
            segments = path.split("/")[: len(self._root)]
            if "%" not in path or [unquoted(segment) for segment in segments] != self._root:
                return
            cut = len("/".join(segments))
        request.root_path += path[:cut]
        request.raw_path = path[cut:] or "/"
        request.path = unquoted(request.raw_path)
        if request._template.startswith(f"{root}/"):
            request._template = request._template[len(root) :]

    def answers(self, request: Request[Any], *, every_path: bool = True) -> bool:
        """Return whether a function has the request's path and method, or, for OPTIONS, its path.

        Args:
            request: The request.
            every_path: Whether a route for every path counts, such as that of a mounted application.
        """
        return any(
            (every_path or len(route.segments) > 1 or not route.greedy)
            and (request.method == "OPTIONS" or route.target(request.method) is not None)
            for route, _ in self._matching(request, request.raw_path.split("/")[1:])
        )

    def _matching(self, request: Request[Any], segments: list[str]) -> Iterator[tuple[Route, dict[str, str]]]:
        """Yield the routes of the request's path with its decoded parameters, the most specific first.

        A route whose path differs only by a slash at the end comes after the exact ones, but before those for the rest of a path: of
        `/items` and `/{rest+}`, the first gets `/items/`.
        """
        other = self._with_or_without_slash(segments)
        provided = request._params
        by_provider = self._by_template.get(request._template) if provided and request._template else None
        if by_provider is not None:
            if not by_provider.name_set <= provided.keys():
                by_provider = None
            elif by_provider.match(segments) is None and (other is None or by_provider.match(other) is None):
                # An HTTP API decodes the path, even encoded slashes. Only its parameters show how it was split.
                yield by_provider, provided
            elif (
                by_provider.greedy and segments[-1:] == [""] and not str(provided[by_provider.names[-1]]).endswith("/")
            ):
                # A REST API may omit the path's last slash in {proxy+}: floci-io/floci#1863.
                by_provider = None
        waiting: list[tuple[Route, dict[str, str]]] = []
        for route in self._routes:
            params = route.match(segments)
            if params is not None:
                if route.greedy and waiting:
                    yield from waiting
                    waiting = []
                yield route, provided if route is by_provider else params
            elif other is not None and not route.greedy and (params := route.match(other)) is not None:
                waiting.append((route, provided if route is by_provider else params))
        yield from waiting

    def _with_or_without_slash(self, segments: list[str]) -> list[str] | None:
        """Return the segments of the path that differs by a slash at the end; None if no route can have it."""
        if segments[-1:] != [""]:
            return [*segments, ""] if self._some_end_with_slash else None
        # Of two slashes at the end none is omitted, and "/" has no other form.
        return segments[:-1] if len(segments) > 1 and segments[-2] else None


def _without_handler(request: Request[Any], routes: list[Route]) -> Target:
    """Return what answers OPTIONS, or 405, on a path whose functions take other methods: with the middleware of one of them."""
    functions = {method: function for route in reversed(routes) for method, function in route.functions.items()}
    methods = {*functions, "OPTIONS"} | ({"HEAD"} if "GET" in functions else set())
    allow = {"allow": ", ".join(sorted(methods))}

    def answer(event: Any, context: Context) -> Response:
        if request.method == "OPTIONS":
            return Response(204, allow)
        raise HTTPError(405, f"Possible here: {allow['allow']}.", headers=allow)

    try:
        # The preflight of a CORS request names its method.
        wanted = request.headers.get("access-control-request-method", "")
    except HTTPError:
        wanted = ""
    function = functions.get(wanted) or next(iter(functions.values()))
    return _around_nothing(function.use, answer), MAX_BODY, function.is_async, function.use


def _around_nothing(
    use: tuple[Middleware, ...], call: Callable[[Any, Context], Response]
) -> Callable[[Any, Context], Any]:
    """Return a call that doesn't block, with the middleware around it. Async middleware needs no thread for it."""
    return around(use, call, is_async=any_is_async(use[-1:]))


def refusing(error: BaseException, use: tuple[Middleware, ...]) -> Target:
    """Return a call that raises the error inside the middleware."""

    def refuse(event: Any, context: Context) -> Response:
        raise error

    return _around_nothing(use, refuse), UNREAD, not use or any_is_async(use), use


def checked_root_path(root_path: str) -> str:
    """Return the root path.

    Raises:
        ConfigurationError: It isn't a path such as "/v1".
    """
    if root_path == "":
        return root_path
    if not isinstance(root_path, str) or not all(root_path.split("/")[1:]) or root_path[0] != "/":
        raise ConfigurationError(
            f"root_path must be a path such as '/v1', without a slash at its end, not {root_path!r}"
        )
    if any(char in "?#{}\\" or char.isspace() or not char.isprintable() for char in root_path):
        raise ConfigurationError(f"root_path must be plain segments such as '/v1', not {root_path!r}")
    return root_path


def _cors_of(functions: Iterable[Binding]) -> tuple[Middleware, ...]:
    """Return the `cors` of the functions, for answers without a function; of several, the one that allows the origin."""
    settings: dict[object, Any] = {}
    for function in functions:
        if issubclass(Request, function.kind):
            for middleware in function.use:
                if key := getattr(middleware, "__cors__", None):
                    settings.setdefault(key, middleware)
    several = list(settings.values())
    return (several[0].__first_that_allows__(several),) if len(several) > 1 else tuple(several)


def _rank(literal: str, name: str) -> tuple[int, str]:
    return (0, literal) if not name else (2 if name.endswith("+") else 1, "")
