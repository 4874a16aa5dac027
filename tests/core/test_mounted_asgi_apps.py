"""ASGI applications of Starlette and FastAPI, mounted as portable functions, on every provider."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from fastapi import FastAPI
from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request as StarletteRequest
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Mount, Route

from portable_fn import ConfigurationError, Context, PortableError, Request, asgi_app
from portable_fn.mount import http_scope
from portable_fn.testing import deliver, fake

STREAMS = ("asgi", "gcp", "cloudflare")


LOG: list[str] = []


@pytest.fixture(autouse=True)
def _fresh() -> None:
    LOG.clear()


@asynccontextmanager
async def lifespan(app: object) -> AsyncIterator[dict[str, object]]:
    LOG.append("started")
    yield {"greeting": "hello"}


async def hello(request: StarletteRequest) -> Response:
    response = JSONResponse({
        "hello": request.path_params["name"],
        "query": request.query_params.getlist("q"),
        "greeting": request.state.greeting,
        "path_params": dict(request.path_params),
        "neutral": sorted(request.scope["extensions"]["portable_fn"]),
        "params": request.scope["extensions"]["portable_fn"]["request"].params,
        "scheme": request.url.scheme,
    })  # fmt: skip
    response.set_cookie("a", "1")
    response.set_cookie("b", "2")
    return response


async def seen(request: StarletteRequest) -> Response:
    neutral: Request = request.scope["extensions"]["portable_fn"]["request"]
    context: Context = request.scope["extensions"]["portable_fn"]["context"]
    return JSONResponse({
        "root_path": request.scope["root_path"], "path": request.scope["path"], "client": request.client and request.client.host,
        "raw_path": request.scope["raw_path"].decode(), "host": request.headers["host"],
        "same": neutral.raw_path, "provider": context.provider,
    })  # fmt: skip


async def mirror(request: StarletteRequest) -> Response:
    return Response(await request.body(), media_type=request.headers.get("content-type"))


async def stream(request: StarletteRequest) -> Response:
    async def chunks() -> AsyncIterator[bytes]:
        for chunk in (b"one,", b"two,", b"three"):
            yield chunk
            await asyncio.sleep(0.01)

    async def later() -> None:
        LOG.append("after the stream")

    return StreamingResponse(chunks(), media_type="text/plain", background=BackgroundTask(later))


async def background(request: StarletteRequest) -> Response:
    async def later() -> None:
        await asyncio.sleep(0.01)
        LOG.append("background")

    return PlainTextResponse("ok", background=BackgroundTask(later))


async def crash(request: StarletteRequest) -> Response:
    raise ZeroDivisionError("a-secret-detail")


STARLETTE = Starlette(
    routes=[
        Route("/hello/{name}", hello),
        Route("/seen", seen),
        Route("/mirror", mirror, methods=["POST"]),
        Route("/stream", stream),
        Route("/background", background),
        Route("/crash", crash),
        Mount("/mounted", routes=[Route("/hello/{name}", hello)]),
    ],
    lifespan=lifespan,
)


def test_a_request_and_its_answer_arrive_with_all_cookies(way: dict[str, str]) -> None:
    answer = deliver(asgi_app(STARLETTE), fake.request("GET", "/hello/Zo%C3%AB?q=1&q=%2B"), **way)
    expected = {
        "hello": "Zoë", "query": ["1", "+"], "greeting": "hello", "path_params": {"name": "Zoë"},
        "neutral": ["context", "request"], "params": {}, "scheme": "https",
    }  # fmt: skip
    if way["via"] == "alb":
        expected["query"] = ["+"]
    assert (200, expected) == (answer.status, answer.json())
    assert ["a=1", "b=2"] == sorted(cookie.partition(";")[0] for cookie in answer.cookies)


def test_a_mounted_sub_application_is_routed(way: dict[str, str]) -> None:
    answer = deliver(asgi_app(STARLETTE), fake.request("GET", "/mounted/hello/Ada"), **way)
    assert "Ada" == answer.json()["hello"]


def test_the_scope_has_the_providers_facts(way: dict[str, str]) -> None:
    answer = deliver(asgi_app(STARLETTE), fake.request("GET", "/seen", host="api.example.com"), **way).json()
    assert (way["to"], "203.0.113.7") == (answer["provider"], answer["client"])
    assert f"{answer['root_path']}/seen" == answer["path"] == answer["raw_path"]
    assert "/seen" == answer["same"]


def test_a_binary_body_goes_there_and_back(way: dict[str, str]) -> None:
    request = fake.request("POST", "/mirror", body=bytes(range(256)), headers={"content-type": "image/png"})
    answer = deliver(asgi_app(STARLETTE), request, **way)
    assert (200, bytes(range(256)), "image/png") == (answer.status, answer.body, answer.headers["content-type"])


def test_a_stream_comes_whole_and_its_background_task_runs(way: dict[str, str]) -> None:
    answer = deliver(asgi_app(STARLETTE), fake.request("GET", "/stream"), **way)
    assert b"one,two,three" == answer.body
    if way["to"] in STREAMS:
        assert [b"one,", b"two,", b"three"] == answer.chunks
    assert "after the stream" in LOG


def test_a_background_task_runs(way: dict[str, str]) -> None:
    assert b"ok" == deliver(asgi_app(STARLETTE), fake.request("GET", "/background"), **way).body
    assert "background" in LOG


def test_a_path_that_the_application_does_not_have_is_its_own_404(way: dict[str, str]) -> None:
    answer = deliver(asgi_app(STARLETTE), fake.request("GET", "/nowhere"), **way)
    assert (404, b"Not Found") == (answer.status, answer.body)


def test_a_crash_is_the_applications_own_500_and_is_logged(
    way: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    answer = deliver(asgi_app(STARLETTE), fake.request("GET", "/crash"), **way)
    assert (500, b"Internal Server Error") == (answer.status, answer.body)
    assert "ZeroDivisionError" in caplog.text


def test_head_has_no_body_and_leaves_no_task_behind(way: dict[str, str]) -> None:
    for path in ("/hello/Ada", "/stream"):
        answer = deliver(asgi_app(STARLETTE), fake.request("HEAD", path), **way)
        assert (200, b"") == (answer.status, answer.body)


def test_a_body_over_the_limit_is_a_413(way: dict[str, str]) -> None:
    headers = {"content-type": "text/plain"}
    function = asgi_app(STARLETTE, max_body=10)
    assert 200 == deliver(function, fake.request("POST", "/mirror", body=b"x" * 10, headers=headers), **way).status
    assert 413 == deliver(function, fake.request("POST", "/mirror", body=b"x" * 11, headers=headers), **way).status


def test_the_lifespan_starts_once(way: dict[str, str]) -> None:
    function = asgi_app(STARLETTE)
    for name in ("Ada", "Grace"):
        assert "hello" == deliver(function, fake.request("GET", f"/hello/{name}"), **way).json()["greeting"]
    assert ["started"] == LOG


# FastAPI


class Order(BaseModel):
    sku: str
    count: int = 1


FASTAPI = FastAPI()


@FASTAPI.post("/orders", status_code=201)
async def create(order: Order, response: Any = None) -> Order:
    return order


@FASTAPI.get("/sync/{number}")
def sync(number: int) -> dict[str, int]:
    return {"number": number}


def test_fastapi_validates_a_json_body(way: dict[str, str]) -> None:
    function = asgi_app(FASTAPI)
    answer = deliver(function, fake.request("POST", "/orders", json={"sku": "tea"}), **way)
    assert (201, {"sku": "tea", "count": 1}) == (answer.status, answer.json())
    assert 422 == deliver(function, fake.request("POST", "/orders", json={"sku": 1}), **way).status


def test_fastapi_runs_a_def_in_its_own_threads(way: dict[str, str]) -> None:
    assert {"number": 7} == deliver(asgi_app(FASTAPI), fake.request("GET", "/sync/7"), **way).json()


def test_fastapi_serves_its_openapi_document(way: dict[str, str]) -> None:
    answer = deliver(asgi_app(FASTAPI), fake.request("GET", "/openapi.json"), **way)
    assert "/orders" in answer.json()["paths"]


# Middleware that sends every answer in several messages.


def test_a_middleware_of_starlette_works(way: dict[str, str]) -> None:
    async def marking(request: StarletteRequest, call_next: Any) -> Response:
        response: Response = await call_next(request)
        response.headers["x-marked"] = "yes"
        return response

    app = Starlette(
        routes=[Route("/mirror", mirror, methods=["POST"])], middleware=[Middleware(BaseHTTPMiddleware, marking)]
    )
    request = fake.request("POST", "/mirror", body=b"abc", headers={"content-type": "text/plain"})
    answer = deliver(asgi_app(app), request, **way)
    assert (b"abc", "yes") == (answer.body, answer.headers["x-marked"])


# Applications that do what frameworks never do.


def call(app: Any, request: Request | None = None, **options: Any) -> Any:
    return deliver(asgi_app(app, **options), request or fake.request(), to="asgi")


async def answered(send: Any, *bodies: bytes, status: int = 200) -> None:
    await send({"type": "http.response.start", "status": status, "headers": [(b"x-name", "Zoë".encode("latin-1"))]})
    for body in bodies:
        await send({"type": "http.response.body", "body": body, "more_body": body is not bodies[-1]})


def test_an_application_without_lifespan_is_fine() -> None:
    async def raising(scope: Any, receive: Any, send: Any) -> None:
        assert "http" == scope["type"]
        await answered(send, b"ok")

    async def returning(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await answered(send, b"ok")

    async def ignorant(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await receive() if scope["type"] == "lifespan" else None
        await answered(send, b"ok")

    async def answering_http(scope: Any, receive: Any, send: Any) -> None:
        await answered(send, b"ok")

    for app in (raising, returning, ignorant, answering_http):
        answer = call(app)
        assert (200, b"ok", "Zoë") == (answer.status, answer.body, answer.headers["x-name"]), app


def test_a_startup_that_raises_in_starlette_is_a_500(caplog: pytest.LogCaptureFixture) -> None:
    @asynccontextmanager
    async def broken(app: object) -> AsyncIterator[None]:
        raise LookupError("the database is away")
        yield

    assert 500 == call(Starlette(lifespan=broken)).status
    assert "the database is away" in caplog.text


def test_a_startup_that_never_ends_is_a_500_in_the_end(caplog: pytest.LogCaptureFixture) -> None:
    async def endless(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(3600)

    assert 500 == call(endless, startup_timeout=0.05).status
    assert "the application hasn't started within 0.05 seconds" in caplog.text


def test_the_state_is_a_copy_for_each_request() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            scope["state"]["shared"] = []
            return await send({"type": "lifespan.startup.complete"})
        scope["state"]["shared"].append(1)
        scope["state"]["mine"] = scope["state"].get("mine", 0) + 1
        return await answered(send, json.dumps(scope["state"]).encode())

    function = asgi_app(app)
    answers = [deliver(function, fake.request(), to="asgi").json() for _ in range(2)]
    assert [{"shared": [1], "mine": 1}, {"shared": [1, 1], "mine": 1}] == answers


@pytest.mark.parametrize("error", [ZeroDivisionError, SystemExit])
def test_an_exception_before_the_start_is_a_problem(
    error: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise error("on purpose")

    answer = call(app)
    assert (500, "application/problem+json") == (answer.status, answer.headers["content-type"])
    assert error.__name__ in caplog.text


@pytest.mark.parametrize("error", [ZeroDivisionError, SystemExit])
@pytest.mark.parametrize(("to", "via"), [("asgi", "http"), ("gcp", "http"), ("gcp", "http_async")])
def test_an_exception_after_the_start_cuts_the_stream(error: type[BaseException], to: str, via: str) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await answered(send, b"one", b"two", b"")
            raise AssertionError

    async def cut(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"one", "more_body": True})
        raise error("on purpose")

    assert b"onetwo" == deliver(asgi_app(app), fake.request(), to=to, via=via).body
    with pytest.raises(PortableError, match="broke off"):
        deliver(asgi_app(cut), fake.request(), to=to, via=via)


def test_an_application_that_ends_without_an_answer_is_a_500(caplog: pytest.LogCaptureFixture) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        return None

    assert 500 == call(app).status
    assert "the application ended without http.response.start" in caplog.text


def test_a_body_that_ends_too_early_cuts_the_stream() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"one", "more_body": True})

    with pytest.raises(PortableError, match="broke off"):
        call(app)


def test_the_application_waits_for_its_reader_and_learns_when_it_goes() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            return
        await receive()
        await send({"type": "http.response.start", "status": 200})
        try:
            for number in range(1000):
                await send({"type": "http.response.body", "body": b"x", "more_body": True})
                LOG.append(f"sent {number}")
        except OSError:
            LOG.append((await receive())["type"])

    async def main() -> None:
        response = await asgi_app(app)(fake.request(), fake.context())
        stream = aiter(response.body)  # type: ignore[arg-type]  # it is async
        for _ in range(3):
            await anext(stream)
        await asyncio.sleep(0.01)
        assert 6 > len(LOG)
        await stream.aclose()  # type: ignore[attr-defined]  # it is a generator
        await asyncio.sleep(0.01)
        assert "http.disconnect" == LOG[-1]

    asyncio.run(main())


def test_receive_waits_for_the_end_after_the_body() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            return
        LOG.append(repr(await receive()))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await receive()
        await answered(send, b"ok")
        LOG.append((await receive())["type"])

    call(app, fake.request("POST", "/", body=b"abc"))
    assert ["{'type': 'http.request', 'body': b'abc', 'more_body': False}", "http.disconnect"] == LOG


def test_a_root_path_of_the_server_reaches_the_application() -> None:
    request = fake.request("GET", "/seen")
    request.root_path = "/v1"
    answer = deliver(asgi_app(STARLETTE), request, to="asgi").json()
    assert ("/v1", "/v1/seen", "/v1/seen") == (answer["root_path"], answer["path"], answer["raw_path"])


def test_only_an_application_can_be_mounted() -> None:
    with pytest.raises(ConfigurationError, match="asgi_app takes an ASGI application, not str"):
        asgi_app("main:app")  # type: ignore[arg-type]  # the mistake


@pytest.mark.parametrize(
    ("url", "server", "host"),
    [
        ("https://a.example/", ("a.example", 443), b"a.example"),
        ("http://a.example/", ("a.example", 80), b"a.example"),
        ("https://a.example:8443/", ("a.example", 8443), b"a.example:8443"),
        ("http://a.example:123456/", ("a.example:123456", 80), b"a.example:123456"),
    ],
)
def test_the_server_of_the_scope_is_the_host_that_was_called(url: str, server: tuple[str, int], host: bytes) -> None:
    scheme, _, name = url.rstrip("/").partition("://")
    request = Request("GET", "/", scheme=scheme, host=name, headers={})
    scope = http_scope(request, Context(), {})
    assert (scheme, server, [(b"host", host)]) == (scope["scheme"], scope["server"], scope["headers"])


def test_a_request_without_a_host_gets_no_host_header() -> None:
    assert [] == http_scope(Request("GET", "/", headers={}), Context(), {})["headers"]


def test_each_event_loop_has_its_own_lifespan_and_those_of_closed_loops_are_forgotten() -> None:
    function: Any = asgi_app(STARLETTE)
    for _ in range(3):
        assert 200 == asyncio.run(function(fake.request("GET", "/seen"), fake.context())).status
    assert 1 == len(function.__portable__.handler.__mount__._lifespans)


def test_sending_to_a_client_that_has_gone_is_an_os_error() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            return
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"a", "more_body": True})
        LOG.append((await receive())["type"])
        try:
            await send({"type": "http.response.body", "body": b"b", "more_body": True})
        except OSError as exc:
            LOG.append(str(exc))

    async def main() -> None:
        response = await asgi_app(app)(fake.request("GET", "/"), fake.context())
        stream: Any = response.body
        assert b"a" == await anext(stream)
        await stream.aclose()
        await asyncio.sleep(0.01)

    asyncio.run(main())
    assert ["http.disconnect", "the client has gone"] == LOG


START = {"type": "http.response.start", "status": 200, "headers": []}
BODY = {"type": "http.response.body", "body": b"a"}


@pytest.mark.parametrize(
    ("messages", "status", "words"),
    [
        ([BODY], 500, "sent http.response.body where http.response.start is due"),
        ([START, START], 500, "sent http.response.start where http.response.body is due"),
        ([START, BODY, BODY], 200, "sent http.response.body after the end of its answer"),
    ],
)
def test_messages_out_of_turn_are_named_in_the_log(
    messages: list[Any], status: int, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            for message in messages:
                await send(dict(message))

    assert status == call(app).status
    assert words in caplog.text
