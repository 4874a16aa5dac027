"""Answer cross-origin requests: the middleware `cors`."""

from __future__ import annotations

from portable_fn.adapter.calling import is_awaitable, then
from portable_fn.errors import ConfigurationError, HTTPError
from portable_fn.http import Request, Response
from portable_fn.pairs import is_token

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from portable_fn.context import Context


def cors(
    origins: str | Sequence[str] = "*",
    *,
    methods: Sequence[str] = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"),
    headers: Sequence[str] | None = None,
    expose: Sequence[str] = (),
    credentials: bool = False,
    max_age: int = 600,
) -> Callable[[Any, Context, Callable[[Any, Context], Any]], Any]:
    """Return middleware for cross-origin requests, as in https://fetch.spec.whatwg.org/#http-cors-protocol.

    It answers preflights itself and marks errors, too. To mark answers without a function, such as a 404, put it on the entry:
    `entry(functions, use=[cors()])`. An entry without `use` takes it from its functions.

    Args:
        origins: "*" or the allowed origins, such as "https://example.com".
        methods: The allowed methods.
        headers: The allowed request headers; None: those that the preflight asks for.
        expose: The response headers that scripts may read.
        credentials: Whether cookies and the like are allowed.
        max_age: The seconds that a preflight stays valid.

    Raises:
        ConfigurationError: An origin is malformed, or credentials go with "*".
    """
    allowed = {origin.lower() for origin in ((origins,) if isinstance(origins, str) else origins)}
    any_origin = "*" in allowed
    if credentials and (any_origin or "*" in (*expose, *(headers or ()))):
        raise ConfigurationError("cors: credentials=True needs named origins and headers, not '*'")
    for origin in allowed - {"*", "null"}:
        scheme, separator, host = origin.partition("://")
        if not scheme or not separator or not host or any(char in "/?#*@" for char in host):
            raise ConfigurationError(f"cors: {origin!r} is not an origin such as https://example.com")

    def mark(response: Response, origin: str | None) -> Response:
        # Without Vary if all get the same answer, since caches then keep it for all.
        if any_origin:
            response.headers["access-control-allow-origin"] = "*"
        else:
            add_vary(response, "Origin")
            if origin is None or origin.lower() not in allowed:
                return response
            response.headers["access-control-allow-origin"] = origin
        if credentials:
            response.headers["access-control-allow-credentials"] = "true"
        if expose:
            response.headers["access-control-expose-headers"] = ", ".join(expose)
        return response

    def preflight(request: Request[Any], origin: str) -> Response:
        response = mark(Response(204), origin)
        response.headers.pop_all("access-control-expose-headers")
        add_vary(response, "Access-Control-Request-Method")
        add_vary(response, "Access-Control-Request-Headers")
        if "access-control-allow-origin" in response.headers:
            response.headers["access-control-allow-methods"] = ", ".join(methods)
            asked = request.headers.get("access-control-request-headers", "").split(",") if headers is None else headers
            if names := [name.strip() for name in asked if is_token(name.strip())]:
                response.headers["access-control-allow-headers"] = ", ".join(names)
            response.headers["access-control-max-age"] = str(max_age)
        return response

    def around(event: Any, context: Context, call_next: Callable[[Any, Context], Any]) -> Any:
        if not isinstance(event, Request):
            return call_next(event, context)
        try:
            origin = event.headers.get("origin")
        except HTTPError as exc:
            from portable_fn.adapter.problem import problem

            return mark(problem(exc, context), None)
        if event.method == "OPTIONS" and origin is not None and "access-control-request-method" in event.headers:
            return preflight(event, origin)

        return after_response(lambda: call_next(event, context), lambda response: mark(response, origin), context)

    # For answers without a function: an entry finds it by these, and one with the same settings.
    expected = None if headers is None else tuple(headers)
    around.__first_that_allows__ = first_that_allows  # type: ignore[attr-defined]
    around.__cors__ = (frozenset(allowed), tuple(methods), expected, tuple(expose), credentials, max_age)  # type: ignore[attr-defined]
    return around


def first_that_allows(many: Sequence[Any]) -> Callable[[Any, Context, Callable[[Any, Context], Any]], Any]:
    """Return middleware that uses, for each request, the first of several `cors` that allows its origin."""

    def choose(event: Any, context: Context, call_next: Callable[[Any, Context], Any]) -> Any:
        try:
            origin = event.headers.get("origin", "").lower()
        except HTTPError:
            origin = ""
        one = next((one for one in many if {origin, "*"} & one.__cors__[0]), many[0])
        return then(one(event, context, call_next), varied)

    def varied(response: Response) -> Response:
        add_vary(response, "Origin")
        return response

    return choose


def after_response(call: Callable[[], Any], follow: Callable[[Response], Response], context: Context) -> Any:
    """Return `follow` of the call's response, or of the problem document for its error; an awaitable if the call's result is one."""
    from portable_fn.adapter.problem import problem

    try:
        result = call()
    except Exception as exc:
        return follow(problem(exc, context))
    if not is_awaitable(result):
        return follow(result)

    async def later() -> Response:
        try:
            response = await result
        except Exception as exc:
            response = problem(exc, context)
        return follow(response)

    return later()


def add_vary(response: Response, name: str) -> None:
    """Add a name to the Vary header if it isn't there."""
    known = response.headers.get("vary", "")
    if known != "*" and name.lower() not in [part.strip().lower() for part in known.split(",")]:
        response.headers["vary"] = f"{known}, {name}" if known else name
