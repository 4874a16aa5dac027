"""Middleware, and CORS."""

from __future__ import annotations

import asyncio
import gc
import warnings
from typing import Any

import pytest

from portable_fn import ConfigurationError, Context, HTTPError, Request, Response, cors, on, portable
from portable_fn.adapter.binding import bindings
from portable_fn.adapter.pipeline import respond
from portable_fn.adapter.routing import Router
from portable_fn.testing import fake


def answer(event: Request[Any], *functions: object) -> Response:
    response = respond(Router(bindings(*functions)), event, Context())
    return asyncio.run(response) if not isinstance(response, Response) else response  # type: ignore[arg-type]


def tagged(name: str) -> Any:
    def middleware(event: Any, ctx: Context, call_next: Any) -> Any:
        event.__dict__.setdefault("seen", []).append(name)
        response = call_next(event, ctx)
        response.headers.add("x-tag", name)
        return response

    return middleware


async def awaited(event: Any, ctx: Context, call_next: Any) -> Any:
    response = await call_next(event, ctx)
    response.headers.add("x-tag", "awaited")
    return response


def test_the_first_middleware_is_the_outermost_and_sees_a_response() -> None:
    @portable(on.http(), use=[tagged("outer"), tagged("inner")])
    def handler(request: Request) -> Any:
        return {"seen": request.seen}  # type: ignore[attr-defined]

    response = answer(fake.request(), handler)
    assert response.body == b'{"seen":["outer","inner"]}'
    assert response.headers.get_all("x-tag") == ["inner", "outer"]


@pytest.mark.parametrize("is_async", [False, True])
def test_async_middleware_goes_around_sync_and_async_handlers(is_async: bool) -> None:
    def sync(request: Request) -> str:
        return "x"

    async def asynchronous(request: Request) -> str:
        return "x"

    function = portable(on.http(), use=[awaited])(asynchronous if is_async else sync)
    assert function.__portable__.is_async  # type: ignore[attr-defined]
    response = answer(fake.request(), function)
    assert (response.body, response.headers["x-tag"]) == (b"x", "awaited")


def test_middleware_can_answer_itself_and_sees_the_handlers_error() -> None:
    def guard(event: Any, ctx: Context, call_next: Any) -> Any:
        if "authorization" not in event.headers:
            return Response(401)
        try:
            return call_next(event, ctx)
        except ZeroDivisionError:
            raise HTTPError(409, "divided") from None

    @portable(on.http(), use=[guard])
    def handler(request: Request) -> None:
        raise ZeroDivisionError

    assert answer(fake.request(), handler).status == 401
    assert answer(fake.request(headers={"authorization": "x"}), handler).status == 409


def test_a_neutral_call_does_without_middleware() -> None:
    @portable(on.http(), use=[tagged("x")])
    def handler(request: Request) -> str:
        return "plain"

    assert handler(fake.request()) == "plain"


def shared(**settings: Any) -> Any:
    @portable(on.http(["GET", "PUT"], "/x"), use=[cors(**settings)])
    def handler(request: Request) -> Response:
        if request.query:
            raise ZeroDivisionError
        return Response(200, {"vary": "Accept"}, (), "x")

    return handler


def preflight(method: str = "PUT", origin: str = "https://a.example", headers: str = "x-token") -> Request[Any]:
    lines = {"origin": origin, "access-control-request-method": method, "access-control-request-headers": headers}
    return fake.request("OPTIONS", "/x", headers=lines)


ORIGIN = {"origin": "https://a.example"}


def test_any_origin_is_a_star_without_vary() -> None:
    response = answer(fake.request("GET", "/x", headers=ORIGIN), shared())
    assert (response.headers["access-control-allow-origin"], response.headers["vary"]) == ("*", "Accept")
    assert "access-control-allow-credentials" not in response.headers


def test_any_origin_is_allowed_without_an_origin_since_caches_keep_the_answer_for_all() -> None:
    response = answer(fake.request("GET", "/x"), shared(expose=["x-a"]))
    assert response.headers["access-control-allow-origin"] == "*"
    assert response.headers["access-control-expose-headers"] == "x-a"


def test_origins_have_no_case_and_odd_header_names_are_not_echoed() -> None:
    response = answer(preflight(headers="x-token, a\x01b, "), shared(origins="https://A.example"))
    assert response.headers["access-control-allow-origin"] == "https://a.example"
    assert response.headers["access-control-allow-headers"] == "x-token"


@pytest.mark.parametrize(
    ("use", "why"),
    [
        (cors, "must be a list"),
        ([cors], r"cors is called: cors\(\)"),
        ([None], "middleware is a function"),
        ([print], None),
    ],
)
def test_a_value_that_is_not_middleware_is_refused_at_decoration(use: Any, why: str | None) -> None:
    def handler(request: Request) -> None: ...

    if why is None:
        portable(on.http(), use=use)(handler)  # a builtin doesn't describe its parameters
        return
    with pytest.raises(ConfigurationError, match=why):
        portable(on.http(), use=use)(handler)


def test_middleware_that_forgets_to_return_or_to_await_is_a_500_that_says_so(caplog: pytest.LogCaptureFixture) -> None:
    async def forgets_await(event: Any, ctx: Context, call_next: Any) -> Any:
        return call_next(event, ctx)

    def forgets_return(event: Any, ctx: Context, call_next: Any) -> Any:
        call_next(event, ctx)

    for middleware, why in ((forgets_return, "returned None"), (forgets_await, "without await")):
        function = portable(on.http(), use=[middleware])(lambda request: {})
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            assert answer(fake.request(), function).status == 500
            gc.collect()
        assert why in str(caplog.records[-1].exc_info)


def test_inner_middleware_may_return_every_result_of_a_handler() -> None:
    def inner(event: Any, ctx: Context, call_next: Any) -> Any:
        return {"inner": True}

    @portable(on.http(), use=[tagged("outer"), inner])
    def handler(request: Request) -> None: ...

    response = answer(fake.request(), handler)
    assert (response.body, response.headers["x-tag"]) == (b'{"inner":true}', "outer")


def test_several_origins_are_named_back_one_by_one_with_vary() -> None:
    function = shared(origins=["https://a.example", "https://b.example"], credentials=True, expose=["x-a", "x-b"])
    for origin in ("https://a.example", "https://b.example"):
        response = answer(fake.request("GET", "/x", headers={"origin": origin}), function)
        assert response.headers["access-control-allow-origin"] == origin
        assert response.headers["access-control-allow-credentials"] == "true"
        assert response.headers["access-control-expose-headers"] == "x-a, x-b"
        assert response.headers["vary"] == "Accept, Origin"
    for headers in ({"origin": "https://evil.example"}, {"origin": "https://a.example.evil"}, {}):
        response = answer(fake.request("GET", "/x", headers=headers), function)
        assert "access-control-allow-origin" not in response.headers
        assert response.headers["vary"] == "Accept, Origin"


def test_a_preflight_names_the_allowed_methods_and_their_time() -> None:
    response = answer(preflight(), shared(origins="https://a.example", headers=["x-token", "x-other"], max_age=60))
    assert response.status == 204
    assert response.headers["access-control-allow-origin"] == "https://a.example"
    assert response.headers["access-control-allow-methods"] == "GET, HEAD, POST, PUT, PATCH, DELETE"
    assert response.headers["access-control-allow-headers"] == "x-token, x-other"
    assert response.headers["access-control-max-age"] == "60"
    assert response.headers["vary"] == "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"


def test_a_preflight_of_a_foreign_origin_allows_nothing() -> None:
    response = answer(preflight(origin="https://evil.example"), shared(origins="https://a.example"))
    assert [name for name in response.headers if name.startswith("access-control")] == []


def test_a_preflight_for_a_method_reaches_the_middleware_of_its_function() -> None:
    @portable(on.http("GET", "/x"), use=[cors("https://get.example")])
    def get(request: Request) -> None: ...

    @portable(on.http("PUT", "/x"), use=[cors("https://put.example")])
    def put(request: Request) -> None: ...

    for method in ("GET", "PUT"):
        origin = f"https://{method.lower()}.example"
        response = answer(preflight(method, origin), get, put)
        assert response.headers.get("access-control-allow-origin") == origin


def test_errors_are_marked_too_from_sync_and_async_handlers() -> None:
    @portable(on.http("GET", "/y"), use=[cors()])
    async def asynchronous(request: Request) -> None:
        raise HTTPError(404)

    for target, status in (("/x?fail=1", 500), ("/y", 404)):
        response = answer(fake.request("GET", target, headers=ORIGIN), shared(), asynchronous)
        assert (response.status, response.headers["access-control-allow-origin"]) == (status, "*")
    response = answer(fake.request("DELETE", "/x", headers=ORIGIN), shared())
    assert (response.status, response.headers["access-control-allow-origin"]) == (405, "*")


def test_settings_that_browsers_would_refuse_are_refused() -> None:
    for settings in (
        {"credentials": True},
        {"origins": "example.com"},
        {"origins": ["https://a.example/"]},
        {"origins": ["https://a.example/app"]},
        {"origins": ["https://*.example"]},
        {"origins": ["https://a.example"], "credentials": True, "headers": ["*"]},
        {"origins": ["https://a.example"], "credentials": True, "expose": ["*"]},
    ):
        with pytest.raises(ConfigurationError, match="cors"):
            cors(**settings)  # type: ignore[arg-type]
