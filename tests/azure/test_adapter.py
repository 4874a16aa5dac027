"""What the Azure adapter makes of requests and responses, beyond the stories."""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
import subprocess
import sys
import threading
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator
from contextvars import ContextVar
from functools import partial
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

import azure.functions as func
import pytest

from portable_fn import ConfigurationError, Context, Cookie, Message, Request, Response, on, portable
from portable_fn.testing import deliver, fake, replay
from portable_fn.testing.results import Answer
from portable_fn_azure import encode, entry
from portable_fn_azure.decode import Place
from portable_fn_azure.simulate import FunctionContext, TraceContext, answer, payload
from tests.runtimes.azure_stories import function_app, over_front_end

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@portable
def echo(request: Request, ctx: Context) -> dict[str, Any]:
    principal = request.principal
    return {
        "path": request.raw_path,
        "root_path": request.root_path,
        "url": request.url,
        "client_ip": request.client_ip,
        "params": request.params,
        "principal": principal and [principal.id, principal.scheme, principal.claims],
        "trace": ctx.trace and [str(ctx.trace), ctx.trace.state],
        "function": ctx.function,
        "region": ctx.region,
        "version": ctx.version,
        "remaining": ctx.remaining(),
        "cold": ctx.cold_start,
        "correlation_id": ctx.correlation_id,
    }


def context(parent: str = "", state: str = "") -> FunctionContext:
    return FunctionContext(TraceContext(parent, state))


def native(
    url: str = "https://example.com/api/a", headers: dict[str, str] | None = None, **route: str
) -> func.HttpRequest:
    return func.HttpRequest("GET", url, headers=headers or {}, params={}, route_params=route, body=b"")


def functions(app: func.FunctionApp) -> dict[str, func.decorators.function_app.Function]:
    return {each.get_function_name(): each for each in app.get_functions()}


def only(app: func.FunctionApp) -> Any:
    [function] = app.get_functions()
    return function.get_user_function()


def trigger(function: Any) -> dict[str, Any]:
    return function.get_trigger().get_dict_repr()  # type: ignore[no-any-return]  # azure-functions has it untyped


def seen(request: func.HttpRequest, surroundings: FunctionContext | None = None) -> Any:
    answered = only(entry(echo))(req=request, context=surroundings or context())
    assert answered.status_code == 200, answered.get_body()
    return json.loads(answered.get_body())


# What is registered


@portable(on.http("GET", "/items/{id}"))
def item(request: Request, ctx: Context) -> dict[str, str]:
    return {"handler": "item", "function": ctx.function, "id": request.params["id"]}


@portable(on.http(["POST", "PUT"], "/items/{id}"))
async def _change(request: Request, ctx: Context) -> dict[str, str]:
    return {"handler": "change", "function": ctx.function}


@portable(on.http("GET", "/items/new"), on.http("PROPFIND", "/files/{rest+}"))
def several(request: Request, ctx: Context) -> dict[str, str]:
    return {"handler": "several", "function": ctx.function}


@portable(on.http("GET", "/"))
def root(request: Request, ctx: Context) -> dict[str, str]:
    return {"handler": "root", "function": ctx.function}


ITEMS = [item, _change, several, root]


def test_one_function_takes_everything() -> None:
    app = functions(entry(ITEMS))
    assert list(app) == ["http"]
    assert trigger(app["http"])["route"] == "{*path}"
    assert methods(app["http"]) is None


def test_an_app_is_a_coroutine_function_where_one_of_its_handlers_is_async() -> None:
    assert [inspect.iscoroutinefunction(only(entry(targets))) for targets in (ITEMS, [item, root])] == [True, False]


def test_with_a_function_each_the_last_on_a_path_takes_the_methods_that_the_others_dont() -> None:
    app = functions(entry(ITEMS, one_function_each=True))
    assert {name: (trigger(one)["route"], methods(one)) for name, one in app.items()} == {
        "item": ("items/{id}", None),
        "change": ("items/{id}", ["POST", "PUT"]),
        "several": ("items/new", None),
        "several-2": ("files/{*rest}", None),
        "root": ("{nothing:maxlength(0)?}", None),
    }
    # One of the handlers is async, so all run on the worker's event loop.
    assert {inspect.iscoroutinefunction(one.get_user_function()) for one in app.values()} == {True}


def methods(function: Any) -> list[str] | None:
    given = trigger(function).get("methods")
    return None if given is None else [method.value for method in given]


@pytest.mark.parametrize("options", [{}, {"one_function_each": True}])
def test_a_function_is_what_the_worker_loads(options: dict[str, Any]) -> None:
    for one in entry(ITEMS, **options).get_functions():
        function: Any = one.get_user_function()
        assert list(inspect.signature(function).parameters) == ["req", "context"]
        assert function.__annotations__ == {}
        assert not hasattr(function, "__wrapped__")


@pytest.mark.parametrize("level", ["anonymous", "function", "admin"])
def test_the_auth_level_is_azures_own_unless_another_is_given(level: Any) -> None:
    assert trigger(functions(entry(item, auth_level=level))["http"])["authLevel"].value == level
    assert trigger(functions(entry(item))["http"])["authLevel"].value == "function"


def test_an_unknown_auth_level_is_an_error() -> None:
    for level in ("open", None):
        with pytest.raises(ConfigurationError, match="'anonymous', 'function' or 'admin'"):
            entry(item, auth_level=level)  # type: ignore[arg-type]  # it is the test


def named(name: str, path: str = "/a") -> Any:
    def handler(request: Request) -> None: ...

    handler.__name__ = name
    return portable(on.http("GET", path))(handler)


@pytest.mark.parametrize(
    ("name", "legal"),
    [("a", "a"), ("Get_It2", "Get_It2"), ("_private", "private"), ("__größe__", "gr--e__"), ("<lambda>", "lambda")],
)
def test_a_name_is_made_legal(name: str, legal: str) -> None:
    assert list(functions(entry(named(name), one_function_each=True))) == [legal]


@pytest.mark.parametrize("name", ["host", "HOST", "_", "ж", "a" * 126])
def test_a_name_that_azure_cant_have_is_an_error_where_it_would_be_needed(name: str) -> None:
    assert list(functions(entry(named(name)))) == ["http"]
    with pytest.raises(ConfigurationError, match="can't be the name of an Azure function"):
        entry(named(name), one_function_each=True)


def test_two_functions_of_one_name_are_an_error() -> None:
    with pytest.raises(ConfigurationError, match="the name 'A' on Azure"):
        entry(named("a"), named("A", "/b"), one_function_each=True)


@pytest.mark.parametrize("path", ["/a//b", "/a%7Bb", "/{id}/{ID}"])
def test_a_path_that_azure_cant_have_is_an_error_where_it_would_be_needed(path: str) -> None:
    entry(named("a", path))
    with pytest.raises(ConfigurationError, match="Azure"):
        entry(named("a", path), one_function_each=True)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "azurefunctions.extensions.http.fastapi", None)
    with pytest.raises(ConfigurationError, match="azurefunctions-extensions-http-fastapi"):
        entry(item, streaming=True)
    monkeypatch.setitem(sys.modules, "azure.functions", None)
    with pytest.raises(ConfigurationError, match=r"portable-fn\[azure\]"):
        entry(item)


def test_importing_the_adapter_imports_no_azure() -> None:
    code = "import portable_fn_azure, sys; print([m for m in sys.modules if m.split('.')[0] in ('azure', 'werkzeug', 'asyncio')])"
    path = [each for each in sys.path if each.endswith(("src", "adapters"))]
    done = subprocess.run(
        [sys.executable, "-c", code], check=False, env={"PYTHONPATH": ":".join(path)}, capture_output=True, text=True
    )
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


# The request


@pytest.mark.parametrize(
    ("path", "rest", "root_path", "raw_path"),
    [
        ("/api", "", "/api", "/"),
        ("/api/", "", "/api", "/"),
        ("/", "", "", "/"),
        ("/a", "a", "", "/a"),
        ("/api/a", "a", "/api", "/a"),
        ("/api/api/api", "api/api", "/api", "/api/api"),
        ("/v1/api/a/b/", "a/b/", "/v1/api", "/a/b/"),
        ("/api//a", "/a", "/api", "//a"),
        ("/api/a%20b/Zo%C3%AB/c%2Fd", "a b/Zoë/c%2Fd", "/api", "/a%20b/Zo%C3%AB/c%2Fd"),
        ("/API/x", "x", "/API", "/x"),
    ],
)
def test_the_prefix_is_the_root_path(path: str, rest: str, root_path: str, raw_path: str) -> None:
    got = seen(native(f"https://example.com{path}?q=%2B", **({"path": rest} if rest else {})))
    assert (got["root_path"], got["path"]) == (root_path, raw_path)
    assert got["params"] == {"path": rest.replace("%2F", "/")} or got["params"] == {}


@pytest.mark.parametrize(
    ("place", "path", "params", "split"),
    [
        (Place(("", "id")), "/api/items/1", {"id": "1"}, ("/api", "/items/1")),
        (Place(("", "id")), "/items/1/", {"id": "1"}, ("", "/items/1/")),
        (Place(("",), "rest"), "/v1/api/files", {}, ("/v1/api", "/files")),
        (Place(("",), "rest"), "/v1/api/files/", {}, ("/v1/api", "/files/")),
        (Place(("",), "rest"), "/api/files/a/b", {"rest": "a/b"}, ("/api", "/files/a/b")),
        (Place(("",), "rest"), "/api/files/a%41/b%2Fc", {"rest": "a%41/b%2Fc"}, ("/api", "/files/a%2541/b%2Fc")),
        (Place(("", "id")), "/api/items/a%41%20b", {"id": "a%41 b"}, ("/api", "/items/a%2541%20b")),
    ],
)
def test_a_function_of_its_own_knows_its_prefix(
    place: Place, path: str, params: dict[str, str], split: tuple[str, str]
) -> None:
    assert place.split(path, params) == split


def test_the_routes_own_parameter_is_not_the_handlers() -> None:
    answered = only(entry(item))(req=native("https://e.com/api/items/a%2Fb", path="items/a%2Fb"), context=context())
    assert json.loads(answered.get_body())["id"] == "a/b"

    @portable(on.http("GET", "/x"))
    def params(request: Request) -> dict[str, str]:
        return request.params

    assert only(entry(params))(req=native("https://e.com/api/x", path="x"), context=context()).get_body() == b"{}"


@pytest.mark.parametrize(
    ("forwarded", "address"),
    [
        ("203.0.113.7:1234", "203.0.113.7"),
        ("203.0.113.7", "203.0.113.7"),
        ("6.6.6.6, 203.0.113.7:1234", "203.0.113.7"),
        ("6.6.6.6,[2001:db8::1]:1234", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("2001:db8::1", "2001:db8::1"),
        ("[2001:db8::1", "2001:db8::1"),
        ("6.6.6.6,", None),
        ("", None),
    ],
)
def test_the_clients_address_is_the_last_one_without_its_port(forwarded: str, address: str | None) -> None:
    assert seen(native(headers={"X-Forwarded-For": forwarded}))["client_ip"] == address


def test_without_a_front_end_there_is_no_address() -> None:
    forged = {"client-ip": "6.6.6.6", "x-client-ip": "6.6.6.6", "x-azure-clientip": "6.6.6.6"}
    assert seen(native(headers=forged))["client_ip"] is None


CLAIMS = {
    "auth_typ": "aad",
    "claims": [{"typ": "sub", "val": "s-1"}, {"typ": "roles", "val": "r"}],
    "name_typ": "n",
    "role_typ": "r",
}


def encoded(value: object) -> str:
    return b64encode(json.dumps(value).encode()).decode()


def test_the_principal_is_easy_auths_where_it_is_on(monkeypatch: pytest.MonkeyPatch) -> None:
    headers = {"x-ms-client-principal": encoded(CLAIMS), "x-ms-client-principal-id": "u-1"}
    assert seen(native(headers=headers))["principal"] is None
    monkeypatch.setenv("WEBSITE_AUTH_ENABLED", "False")
    assert seen(native(headers=headers))["principal"] is None
    monkeypatch.setenv("WEBSITE_AUTH_ENABLED", "True")
    assert seen(native(headers=headers))["principal"] == ["u-1", "easyauth", CLAIMS]
    assert seen(native(headers={"x-ms-client-principal": encoded(CLAIMS).rstrip("=")}))["principal"][0] == "s-1"
    assert seen(native())["principal"] is None


@pytest.mark.parametrize(
    "header",
    ["%%%", "e", "Zoë", encoded([1]), encoded("x"), encoded({"claims": 1}), encoded({"claims": [{"typ": "a"}]}), encoded({}),
     b64encode(b"\xff\xfe").decode(), b64encode(b"[" * 10_000).decode()],
)  # fmt: skip
def test_a_malformed_principal_is_nobody(monkeypatch: pytest.MonkeyPatch, header: str) -> None:
    monkeypatch.setenv("WEBSITE_AUTH_ENABLED", "True")
    assert seen(native(headers={"x-ms-client-principal": header}))["principal"] is None


def test_the_trace_is_the_callers_else_the_hosts() -> None:
    host = "00-4bf92f3577b34da6a3ce929d0e0e4736-1111111111111111-00"
    headers = {"traceparent": TRACE, "tracestate": "a=1"}
    assert seen(native(headers=headers), context(host, "b=2"))["trace"] == [TRACE, "a=1"]
    assert seen(native(), context(host, "b=2"))["trace"] == [host, "b=2"]
    assert seen(native(), context("nonsense"))["trace"] is None
    assert seen(native())["trace"] is None


def test_the_context_is_the_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGION_NAME", "West Europe")
    function = only(entry(echo))
    first, second = (json.loads(function(req=native(), context=context()).get_body()) for _ in range(2))
    assert (first["function"], first["region"], first["version"], first["remaining"]) == (
        "http",
        "West Europe",
        "",
        None,
    )
    assert (first["cold"], second["cold"]) == (True, False)
    assert first["correlation_id"] == context().invocation_id


@pytest.mark.parametrize(
    ("raw", "seen_as"),
    [
        ("/a%20b", "/a%20b"),
        ("/%41%7E", "/A~"),
        ("/%2541", "/%2541"),
        ("/https%3A%2F%2Fa%252520b", "/https:%2F%2Fa%252520b"),
        ("/100%25", "/100%25"),
        ("/a;b=c,d+e", "/a;b=c,d+e"),
        # What the host itself can't tell apart.
        ("/a%252Fb", "/a%2Fb"),
        ("/Zo%EB", "/Zo%25EB"),
    ],
)
def test_the_raw_path_is_as_it_came_as_far_as_the_host_tells(raw: str, seen_as: str) -> None:
    assert deliver(echo, fake.request("GET", raw), to="azure").json()["path"] == seen_as


def test_a_chunked_body_is_lost_before_the_function() -> None:
    request = fake.request("POST", "/a", body=b"x", headers=[("transfer-encoding", "chunked")])
    assert payload(request).get_body() == b""


# Called by a function of one's own


def test_a_portable_function_is_called_by_a_function_of_ones_own() -> None:
    called = item(native("https://e.com/v1/items/a%2Fb", id="a%2Fb"), context())
    assert (called.status_code, json.loads(called.get_body())["id"]) == (200, "a/b")
    called = echo(native("https://e.com/v1/items/a%2Fb", id="a%2Fb"), context())
    got = json.loads(called.get_body())
    assert (got["params"], got["path"], got["root_path"]) == ({"id": "a/b"}, "/v1/items/a%2Fb", "")
    called = asyncio.run(_change(native("https://e.com/api/items/1", id="1"), context()))
    assert called.status_code == 405
    assert echo(native()).status_code == 200


# The response


def received(handler: Any, method: str = "GET", path: str = "/") -> Answer:
    return deliver(handler, fake.request(method, path), to="azure")


def answering(response: Response) -> Any:
    @portable(on.http())
    def handler(request: Request) -> Response:
        return response

    return handler


FULL = "f=v; Expires=Wed, 02 Jan 2030 03:04:05 GMT; Max-Age=-1; Domain=example.com; Path=/p; Secure; HttpOnly; SameSite=None; Partitioned"


@pytest.mark.parametrize(
    "lines",
    [
        ["a=x=y"],
        [FULL],
        ["a=x=y", "b=2; path=/"],
        ["b=2; path=/; Secure", "a=x/y", "c=3; path=/c; Priority=High"],
        ["__Host-a=1; path=/; Secure", "__Host-b=2; path=/; Secure"],
        ["path=1; path=/", "b=2; path=/"],
        ["a=1", "b=2; path=/"],
    ],
)
def test_cookies_come_out_as_they_are(lines: list[str]) -> None:
    response = Response(200, [("set-cookie", line) for line in lines])
    assert sorted(received(answering(response)).cookies) == sorted(lines)


def test_every_attribute_of_every_cookie_comes_out() -> None:
    lines = received(
        answering(Response(200, [("set-cookie", line) for line in (FULL, FULL.replace("f=", "g="))]))
    ).cookies
    assert [sorted(line.lower().split("; ")) for line in lines] == [
        sorted(FULL.lower().split("; ")), sorted(FULL.lower().replace("f=", "g=").split("; ")),
    ]  # fmt: skip


def test_a_cookie_set_and_deleted_comes_out_in_that_order() -> None:
    cookies = [Cookie.expired("s"), Cookie("s", "a=b"), Cookie("t", "1")]
    assert received(answering(Response(200, (), cookies))).cookies == ["s=a=b; Path=/", "t=1; path=/"]
    cookies = [Cookie("s", "a=b"), Cookie.expired("s")]
    assert [line.partition(";")[0] for line in received(answering(Response(200, (), cookies))).cookies] == [
        "s=a=b",
        "s=",
    ]
    cookies = [Cookie("s", "1", path="/p"), Cookie("s", "a=b")]
    assert len(received(answering(Response(200, (), cookies))).cookies) == 2


def test_two_cookies_that_the_host_would_change_are_an_error_that_says_what_to_do(
    caplog: pytest.LogCaptureFixture,
) -> None:
    cookies = [Cookie("session", "se=cret"), Cookie("csrf", "to:ken"), Cookie("c", "1")]
    got = received(answering(Response(200, (), cookies)))
    assert (got.status, got.headers["content-type"], got.cookies) == (500, "application/problem+json", [])
    assert "one response can't set the cookies session, csrf" in caplog.text
    assert "urllib.parse.quote" in caplog.text
    assert "streaming=True" in caplog.text
    assert "se=cret" not in caplog.text
    assert "to:ken" not in caplog.text


def test_a_response_can_be_answered_twice() -> None:
    response = Response(200, (), [Cookie("a", "1"), Cookie("b", "2")])
    assert [len(answer(encode.http(response), "GET").cookies) for _ in range(2)] == [2, 2]
    made = encode.http(response)
    assert answer(made, "GET") == answer(made, "GET")


def test_a_header_that_is_not_ascii_goes_out_percent_encoded_and_that_is_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    handler = answering(Response(200, [("x-greeting", "Grüße, 100%"), ("x-greeting", "b")]))
    with caplog.at_level(logging.WARNING, "portable_fn"):
        assert received(handler).headers["x-greeting"] == "Gr%C3%BC%C3%9Fe, 100%, b"
        received(handler)
    assert [record.getMessage().split(";")[0] for record in caplog.records] == [
        "the value of the header x-greeting isn't ASCII"
    ]
    streamed = encode.streaming(Response(200, [("x-greeting", "Grüße"), ("x-greeting", "b"), ("x-plain", "c")]))
    assert streamed.headers.multi_items() == (("x-plain", "c"), ("x-greeting", "Gr%C3%BC%C3%9Fe"), ("x-greeting", "b"))


def test_the_mimetype_is_the_handlers() -> None:
    made = encode.http(Response.html("<p>"))
    assert (made.mimetype, made.headers["Content-Type"], made.get_body()) == (
        "text/html",
        "text/html; charset=utf-8",
        b"<p>",
    )
    assert encode.http(Response(200, (), (), b"x")).mimetype == ""


# How it is called


VARIABLE: ContextVar[str] = ContextVar("VARIABLE", default="unset")


def test_context_variables_dont_leak_into_the_threads_next_invocation() -> None:
    @portable
    def handler(request: Request) -> str:
        before = VARIABLE.get()
        VARIABLE.set("leaked")
        return before

    function = only(entry(handler))
    assert [function(req=native(), context=context()).get_body() for _ in range(2)] == [b"unset", b"unset"]


def test_a_thread_of_a_mixed_app_carries_the_invocations_id_for_the_log() -> None:
    surroundings = context()
    ids: list[str | None] = []

    @portable(on.http("GET", "/sync"))
    def sync(request: Request) -> None:
        ids.append(surroundings.thread_local_storage.invocation_id)

    @portable(on.http("GET", "/async"))
    async def other(request: Request) -> None: ...

    function = only(entry(sync, other))
    assert asyncio.run(function(req=native(path="sync"), context=surroundings)).status_code == 404
    request = native("https://e.com/api/sync", path="sync")
    assert asyncio.run(function(req=request, context=surroundings)).status_code == 204
    assert ids == [surroundings.invocation_id]


class Stop(BaseException):
    pass


@pytest.mark.parametrize(
    "error", [Stop, SystemExit, KeyboardInterrupt, GeneratorExit, StopIteration, asyncio.CancelledError]
)
def test_whatever_is_raised_is_answered(error: type[BaseException]) -> None:
    @portable(on.http("GET", "/sync"))
    def sync(request: Request) -> None:
        raise error

    @portable(on.http("GET", "/async"))
    async def asynchronous(request: Request) -> None:
        raise error

    @portable(on.http("GET", "/stream"))
    def stream(request: Request) -> Iterator[bytes]:
        yield b"a"
        raise error

    for targets in ([sync, stream], [sync, asynchronous, stream]):
        for path in ("/sync", "/stream", "/async")[: len(targets)]:
            got = deliver(targets, fake.request("GET", path), to="azure")
            assert (got.status, got.headers["content-type"]) == (500, "application/problem+json"), (path, targets)


def test_a_request_that_cant_be_read_is_answered() -> None:
    @portable(on.http())
    async def asynchronous(request: Request) -> None: ...

    broken: Any = object()
    assert only(entry(echo))(req=broken, context=context()).status_code == 500
    assert asyncio.run(only(entry(asynchronous))(req=broken, context=context())).status_code == 500


def test_sync_handlers_may_stream_asynchronously_and_have_background_work() -> None:
    done: list[str] = []

    @portable(on.http())
    def handler(request: Request, ctx: Context) -> Response:
        async def later() -> None:
            done.append("background")

        async def chunks() -> AsyncIterator[str]:
            yield "a"
            done.append("streamed")
            yield "b"

        ctx.background(later())
        return Response(200, (), (), chunks())

    assert received(handler).body == b"ab"
    assert done == ["streamed", "background"]


def test_background_work_is_done_though_the_handler_fails() -> None:
    done: list[str] = []

    async def later() -> None:
        done.append("background")

    @portable(on.http("GET", "/sync"))
    def sync(request: Request, ctx: Context) -> None:
        ctx.background(later())
        raise ZeroDivisionError

    @portable(on.http("GET", "/async"))
    async def asynchronous(request: Request, ctx: Context) -> None:
        ctx.background(later())
        raise ZeroDivisionError

    for targets, path in (([sync], "/sync"), ([sync, asynchronous], "/sync"), ([sync, asynchronous], "/async")):
        assert deliver(targets, fake.request("GET", path), to="azure").status == 500
    assert done == ["background"] * 3


def test_a_sync_function_beside_an_async_one_is_a_plain_function_of_the_workers_pool() -> None:
    @portable(on.http("GET", "/"))
    async def asynchronous(request: Request) -> None: ...

    @portable(on.queue("orders"))
    def ship(order: Message) -> None: ...

    shapes = {one.get_function_name(): one.get_user_function() for one in entry(asynchronous, ship).get_functions()}
    assert {"http": True, "ship": False} == {name: inspect.iscoroutinefunction(one) for name, one in shapes.items()}
    assert None is shapes["ship"](event=func.QueueMessage(id="1", body=b"{}"), context=context())


def test_what_a_sync_function_leaves_is_awaited_on_the_workers_loop_once_that_has_awaited_one() -> None:
    loops: list[asyncio.AbstractEventLoop] = []

    async def note() -> None:
        loops.append(asyncio.get_running_loop())

    @portable(on.http("GET", "/"))
    async def asynchronous(request: Request) -> None:
        await note()

    @portable(on.queue("orders"))
    def ship(order: Message, ctx: Context) -> None:
        ctx.background(note())

    shapes = {one.get_function_name(): one.get_user_function() for one in entry(asynchronous, ship).get_functions()}

    async def worker() -> None:
        loop = asyncio.get_running_loop()
        request = func.HttpRequest("GET", "https://shop.example/api/", body=b"", route_params={"path": ""})
        await shapes["http"](req=request, context=context())
        order = func.QueueMessage(id="1", body=b"{}")
        await loop.run_in_executor(None, partial(shapes["ship"], event=order, context=context()))
        assert [loop] * 2 == loops

    asyncio.run(worker())


def test_log_lines_of_a_stream_and_of_background_work_find_their_own_invocation() -> None:
    found: list[tuple[str, object, object]] = []
    both = threading.Barrier(2)

    @portable(on.http("GET", "/"))
    def handler(request: Request, ctx: Context) -> AsyncIterator[str]:
        storage = cast("FunctionContext", ctx.native).thread_local_storage

        async def note(where: str) -> None:
            for _ in range(3):
                found.append((where, ctx.invocation_id, storage.invocation_id))
                await asyncio.sleep(0.001)

        async def lines() -> AsyncIterator[str]:
            # Two invocations take turns on the one event loop.
            await asyncio.to_thread(both.wait, 10)
            await note("stream")
            yield "x"

        ctx.background(note("background"))
        return lines()

    function = only(entry(handler))
    storage = threading.local()
    threads = []
    for number in range(2):
        surroundings = context()
        surroundings.invocation_id = f"invocation {number}"
        surroundings.thread_local_storage = storage
        threads.append(threading.Thread(target=function, kwargs={"req": native(), "context": surroundings}))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {"stream", "background"} == {where for where, _, _ in found}
    assert [(one, one) for _, one, _ in found] == [(one, its) for _, one, its in found]


# Through the real worker

ONE_LOOP = """
import asyncio
from portable_fn import Request, on, portable
from portable_fn_azure import entry

connection = []

async def ask():
    if not connection:
        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        connection.extend(await asyncio.open_connection(*server.sockets[0].getsockname()))
    reader, writer = connection
    writer.write(b"ping\\n")
    await writer.drain()
    return await reader.readline()

async def echo(reader, writer):
    async for line in reader:
        writer.write(line)

@portable(on.http("GET", "/stream"))
def stream(request: Request):
    async def lines():
        yield await ask()
    return lines()

@portable(on.http("GET", "/background"))
def background(request: Request, ctx):
    async def later():
        ctx.log.warning("asked: %s", await ask())
    ctx.background(later())

@portable(on.queue("orders"))
def ship(order, ctx):
    async def later():
        ctx.log.warning("shipped: %s", await ask())
    ctx.background(later())

@portable(on.http("GET", "/async"))
async def asynchronous(request: Request):
    return await ask()

"""


@pytest.mark.runtime
@pytest.mark.parametrize("targets", ["stream, background, ship", "stream, background, ship, asynchronous"])
def test_on_the_real_worker_a_client_works_from_call_to_call_whatever_calls_it(targets: str) -> None:
    with function_app(ONE_LOOP + f'app = entry({targets}, auth_level="anonymous")\n') as host:
        for _ in range(2):
            assert b"ping\n" == told(host, "/stream").body
            assert 204 == told(host, "/background").status
            assert None is host.invoke("ship", {"event": b"{}"}, metadata={"Id": "1", "DequeueCount": 1}).error
            if "asynchronous" in targets:
                assert b"ping\n" == told(host, "/async").body
        assert 2 == sum("asked: b'ping" in line for line in host.logs)
        assert 2 == sum("shipped: b'ping" in line for line in host.logs)


CHECKED = """
import json, time
from contextvars import ContextVar
from portable_fn import Cookie, Request, Response, on, portable
from portable_fn_azure import entry

SEEN = ContextVar("SEEN", default="unset")

@portable(on.http("GET", "/leak"))
def leak(request):
    before = SEEN.get()
    SEEN.set("leaked")
    return before

@portable(on.http("ANY", "/where/{rest+}"))
def where(request, ctx):
    return {"path": request.raw_path, "root_path": request.root_path, "url": request.url, "params": request.params,
            "function": ctx.function, "principal": request.principal and request.principal.id,
            "client_ip": request.client_ip, "body": request.body.decode()}

@portable(on.http("GET", "/"))
def index(request, ctx):
    return {"root_path": request.root_path, "function": ctx.function}

@portable(on.http("PUT", "/where/{rest+}"))
def change(request, ctx):
    return {"function": ctx.function}

@portable(on.http("GET", "/cookies"))
def cookies(request):
    lines = request.query.get_all("cookie")
    return Response(200, [("set-cookie", line) for line in lines])

@portable(on.http("GET", "/exit"))
def leave(request):
    raise SystemExit(3)
"""
ONE = CHECKED + 'app = entry(leak, where, index, cookies, leave, auth_level="anonymous")\n'


def told(host: Any, target: str, prefix: str = "/api", method: str = "GET", **fields: Any) -> Answer:
    return over_front_end(host, fake.request(method, target, **fields), prefix)


@pytest.mark.runtime
@pytest.mark.parametrize("prefix", ["", "api", "v1/api"])
def test_the_real_worker_with_a_prefix(prefix: str) -> None:
    root_path = f"/{prefix}" if prefix else ""
    with function_app(ONE, prefix=prefix) as host:
        for path in ("/where/a%20b/c%2Fd", "/where", "/where/", "/where/x//y", "/where/%2541/100%25/%252520"):
            got = told(host, path, root_path).json()
            assert (got["path"], got["root_path"]) == (path, root_path)
        for path in ("/", "") if prefix else ("/",):
            assert told(host, path, root_path).json()["root_path"] == root_path
        assert told(host, "/nowhere", root_path).headers["content-type"] == "application/problem+json"


@pytest.mark.runtime
@pytest.mark.parametrize("python", ["3.11", "3.13"])
def test_the_real_worker_with_one_thread(python: str) -> None:
    env = {"PYTHON_THREADPOOL_THREAD_COUNT": "1", "WEBSITE_AUTH_ENABLED": "True"}
    with function_app(ONE, python=python, env=env) as host:
        assert [function.name for function in host.functions] == ["http"]
        assert [told(host, "/leak").text for _ in range(3)] == ["unset"] * 3
        assert [told(host, "/exit").status for _ in range(2)] == [500, 500]
        principal = {"x-ms-client-principal": encoded(CLAIMS), "x-ms-client-principal-id": "u-1"}
        assert told(host, "/where", headers=principal).json()["principal"] == "u-1"
        assert told(host, "/where", headers={"x-ms-client-principal": "%%%"}).json()["principal"] is None
        for lines in (
            ["a=x=y", FULL, "c=3; Path=/; Max-Age=-5"],
            [FULL],
            ["__Host-a=1; Path=/; Secure", "__Host-b=2; Path=/; Secure"],
        ):
            got = told(host, "/cookies?" + "&".join(f"cookie={quote(line)}" for line in lines)).cookies
            assert [sorted(line.lower().split("; ")) for line in sorted(got)] == [
                sorted(line.lower().split("; ")) for line in sorted(lines)
            ]
        refused = told(host, "/cookies?cookie=a%3Dx%3Dy&cookie=b%3Dx%3Dy")
        assert (refused.status, refused.headers["content-type"]) == (500, "application/problem+json")
        host.logged("one response can't set the cookies a, b")


@pytest.mark.runtime
def test_the_real_worker_with_a_function_each() -> None:
    app = 'app = entry(where, change, index, auth_level="anonymous", one_function_each=True)\n'
    with function_app(CHECKED.replace('"ANY", "/where', '["GET", "POST"], "/where') + app) as host:
        assert sorted(function.name for function in host.functions) == ["change", "index", "where"]
        got = told(host, "/where/a/b").json()
        assert (got["function"], got["path"], got["root_path"], got["params"]) == (
            "where",
            "/where/a/b",
            "/api",
            {"rest": "a/b"},
        )
        assert told(host, "/where/%2541/%2Fb").json()["path"] == "/where/%2541/%2Fb"
        assert told(host, "/where/a", method="PUT").json() == {"function": "change"}
        for path in ("/", ""):
            assert told(host, path).json() == {"root_path": "/api", "function": "index"}
        assert told(host, "/nowhere").body == b""
        assert told(host, "/where/a", method="DELETE").headers["allow"] == "GET, HEAD, OPTIONS, POST, PUT"


@pytest.mark.runtime
@pytest.mark.parametrize("python", ["3.11", "3.13"])
def test_the_real_worker_that_streams(python: str) -> None:
    app = 'app = entry(where, index, cookies, auth_level="anonymous", streaming=True, one_function_each=True)\n'
    with function_app(CHECKED + app, python=python) as host:
        got = told(host, "/where/a", headers=[("client-ip", "6.6.6.6:1")]).json()
        assert (got["function"], got["path"], got["root_path"]) == ("where", "/where/a", "/api")
        assert (got["client_ip"], got["url"]) == ("203.0.113.7", "https://example.com/api/where/a")
        assert told(host, "/where/%2541/%2Fb").json()["path"] == "/where/%2541/%2Fb"
        # The extension would leave the invocation unanswered for ever.
        assert told(host, "/where/a", method="PROPFIND").status == 404
        sent = told(
            host, "/where/a", method="PUT", body=b"2\r\nhi\r\n0\r\n\r\n", headers=[("transfer-encoding", "chunked")]
        )
        assert sent.json()["body"] == "hi"
        assert told(host, "/cookies?cookie=a%3Dx%3Dy&cookie=b%3Dx%3Dy").cookies == ["a=x=y", "b=x=y"]


@pytest.mark.runtime
def test_the_real_worker_calls_a_function_of_ones_own_that_calls_a_portable_one() -> None:
    own = """
import azure.functions as func

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)

@app.route("where/{*rest}")
def mine(req, context):
    return where(req, context)
"""
    with function_app(CHECKED.replace("from portable_fn_azure import entry", "") + own) as host:
        got = told(host, "/where/a/b").json()
        assert (got["function"], got["path"], got["params"]) == ("mine", "/where/a/b", {"rest": "a/b"})


@pytest.mark.runtime
@pytest.mark.parametrize("streaming", [False, True])
def test_what_the_real_worker_answers_is_recorded_and_replayed(tmp_path: Path, streaming: bool) -> None:
    app = f'app = entry(where, cookies, index, auth_level="anonymous", streaming={streaming})\n'
    with function_app(CHECKED + app, env={"PORTABLE_FN_RECORD": str(tmp_path)}) as host:
        for path in ("/where/a%20b/api/c?token=hunter2", "/", "/cookies?cookie=a%3Dx"):
            assert 200 == told(host, path).status
        assert "hi" == told(host, "/where/a", method="POST", body=b"hi").json()["body"]

    functions: dict[str, Any] = {}
    exec(CHECKED, functions)
    found = replay(tmp_path, [functions[name] for name in ("where", "cookies", "index")])
    assert (4, []) == (len(found), found.differences)
