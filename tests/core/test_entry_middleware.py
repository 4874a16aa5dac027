"""Middleware of an entry: around every function, and around answers without a function."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from collections.abc import Callable, Iterator
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest

from harnesses import IN_PROCESS, Harness
from portable_fn import (
    Batch,
    ConfigurationError,
    Context,
    Event,
    HTTPError,
    Message,
    Request,
    Response,
    ScheduleEvent,
    Task,
    cors,
    on,
    portable,
)
from portable_fn.testing import deliver, fake
from portable_fn.testing.results import Answer
from portable_fn.testing.stories import HTTP_STORIES, tell
from portable_fn.testing.stories import app as stories_app
from portable_fn_asgi import entry as asgi_entry
from portable_fn_asgi.simulate.server import messages, scope
from portable_fn_aws import entry as aws_entry
from portable_fn_aws.entry import EntryFunctions
from portable_fn_aws.runtime import load_functions
from portable_fn_aws.simulate import payload
from portable_fn_azure import entry as azure_entry
from portable_fn_cloudflare.entry import worker
from portable_fn_cloudflare.simulate import FFI, JS, FetchRequest, WorkerEntrypoint, served
from portable_fn_gcp import entry as gcp_entry
from portable_fn_gcp import simulate as gcp

Middleware = Callable[[Any, Context, Callable[[Any, Context], Any]], Any]

SERVICES = [
    *(("aws", service) for service in ("http_api", "rest_api", "alb", "lattice_v1", "lattice_v2")),
    *(("gcp", service) for service in ("http", "http_async")),
    *((provider, None) for provider in ("azure", "cloudflare", "asgi")),
]
on_every_service = pytest.mark.parametrize(("provider", "via"), SERVICES)
SHOP = {"origin": "https://shop.example"}


def cloudflare_entry(*targets: Any, **options: Any) -> Any:
    return worker(targets, WorkerEntrypoint, JS, FFI, **options)


ENTRIES = [aws_entry, gcp_entry, azure_entry, cloudflare_entry, asgi_entry]


@portable(on.http("POST", "/orders", max_body=8))
def order(request: Request[list[int]]) -> dict[str, Any]:
    return {"data": request.data}


@portable(on.http("POST", "/async-orders", max_body=8))
async def async_order(request: Request) -> dict[str, Any]:
    return {"data": request.json()}


def sync(name: str) -> Middleware:
    def middleware(event: Any, ctx: Context, call_next: Any) -> Any:
        SEEN.append(name)
        return call_next(event, ctx)

    return middleware


def asynchronous(name: str) -> Middleware:
    async def middleware(event: Any, ctx: Context, call_next: Any) -> Any:
        SEEN.append(name)
        await asyncio.sleep(0)
        try:
            return await call_next(event, ctx)
        except HTTPError as exc:
            SEEN.append(f"{name} {exc.status}")
            raise

    return middleware


SEEN: list[str] = []


@pytest.fixture(autouse=True)
def _nothing_seen() -> None:
    SEEN.clear()


def posted(path: str, body: bytes = b"[1]", **headers: str) -> Request[Any]:
    return fake.request("POST", path, body=body, headers={"content-type": "application/json", **SHOP, **headers})


REFUSED = [
    (posted("/order"), 404),
    (fake.request("PUT", "/orders", headers=SHOP), 405),
    (posted("/orders", b"[1, 2, 3, 4]"), 413),
    (posted("/async-orders", b"[1, 2, 3, 4]"), 413),
    (posted("/orders", b"["), 400),
    (posted("/async-orders", b"["), 400),
    (posted("/orders", b'"x"'), 422),
    (posted("/async-orders", b"[1]", **{"content-type": "application/json; charset=none"}), 415),
    (fake.request("OPTIONS", "/orders", headers=SHOP), 204),
    (posted("/orders"), 200),
    (posted("/async-orders"), 200),
]
each_refusal = pytest.mark.parametrize(
    ("request_", "status"), REFUSED, ids=[f"{status} {one.path}" for one, status in REFUSED]
)


@pytest.mark.slow
@on_every_service
@each_refusal
def test_cors_of_an_entry_marks_every_answer(
    provider: str, via: str | None, request_: Request[Any], status: int
) -> None:
    use = [cors(["https://shop.example"], credentials=True)]
    answer = deliver([order, async_order], request_, to=provider, via=via, use=use)
    assert status == answer.status, answer
    assert ("https://shop.example", "true") == (
        answer.headers.get("access-control-allow-origin"),
        answer.headers.get("access-control-allow-credentials"),
    )
    assert "Origin" in answer.headers["vary"]


@on_every_service
@pytest.mark.parametrize("path", ["/orders", "/order"])
def test_cors_of_an_entry_answers_preflights_of_every_path(provider: str, via: str | None, path: str) -> None:
    headers = {**SHOP, "access-control-request-method": "POST"}
    answer = deliver(order, fake.request("OPTIONS", path, headers=headers), to=provider, via=via, use=[cors()])
    assert (204, "*") == (answer.status, answer.headers["access-control-allow-origin"])
    assert "POST" in answer.headers["access-control-allow-methods"]


@pytest.mark.slow
@on_every_service
@each_refusal
@pytest.mark.parametrize("make", [sync, asynchronous])
def test_middleware_of_an_entry_is_around_every_answer_once(
    provider: str, via: str | None, request_: Request[Any], status: int, make: Callable[[str], Middleware]
) -> None:
    inner = sync("inner") if make is asynchronous else asynchronous("inner")
    answer = deliver([order, async_order], request_, to=provider, via=via, use=[make("outer"), inner])
    assert status == answer.status, answer
    error = [] if status in (200, 204) else [f"{'outer' if make is asynchronous else 'inner'} {status}"]
    assert ["outer", "inner", *error] == SEEN


async def passing(event: Any, ctx: Context, call_next: Any) -> Any:
    return await call_next(event, ctx)


def sync_passing(event: Any, ctx: Context, call_next: Any) -> Any:
    return call_next(event, ctx)


@pytest.mark.slow
@pytest.mark.parametrize("use", [[passing, sync_passing], [sync_passing, passing], [sync_passing]])
@pytest.mark.parametrize("harness", IN_PROCESS, ids=lambda harness: harness.name)
def test_every_story_holds_inside_of_an_entrys_middleware(harness: Harness, use: list[Middleware]) -> None:
    provider, _, service = harness.name.partition(" ")
    for story in HTTP_STORIES:
        send = partial(deliver, stories_app, to=provider, via=service or None, use=use)
        tell(story, send, harness.cannot.get(story.name))


@on_every_service
@pytest.mark.parametrize("status", [404, 405])
def test_middleware_of_an_entry_may_answer_instead_of_a_404(provider: str, via: str | None, status: int) -> None:
    def forgiving(event: Any, ctx: Context, call_next: Any) -> Any:
        try:
            return call_next(event, ctx)
        except HTTPError as exc:
            return {"forgiven": exc.status}

    request = fake.request("GET", "/orders" if status == 405 else "/nothing")
    assert {"forgiven": status} == deliver(order, request, to=provider, via=via, use=[forgiving]).json()


def test_an_entrys_middleware_is_outside_of_a_functions_own() -> None:
    @portable(on.http("GET", "/x"), use=[sync("own"), asynchronous("inner")])
    def handler(request: Request) -> None:
        SEEN.append("handler")

    for provider in ("aws", "gcp", "azure", "cloudflare", "asgi"):
        SEEN.clear()
        assert (
            204 == deliver(handler, fake.request("GET", "/x"), to=provider, use=[sync("entry"), sync("second")]).status
        )
        assert ["entry", "second", "own", "inner", "handler"] == SEEN
        SEEN.clear()
        assert 405 == deliver(handler, fake.request("POST", "/x"), to=provider, use=[sync("entry")]).status
        assert ["entry", "own", "inner", "inner 405"] == SEEN


def test_the_function_itself_is_as_it_was_before() -> None:
    aws_entry(order, use=[sync("entry")])
    assert {"data": [1]} == order(posted("/orders"))
    assert 200 == aws_entry(order)(payload(posted("/orders"), "http_api"), None)["statusCode"]  # type: ignore[index]
    assert [] == SEEN


@portable(on.queue("orders"))
def ship(message: Message) -> None:
    SEEN.append("ship")


@portable(on.stream("clicks"))
async def count(batch: Batch[Message]) -> None:
    SEEN.append(f"count {len(batch)}")


@portable(on.schedule("0 3 * * *", name="nightly"))
async def nightly(event: ScheduleEvent) -> None:
    SEEN.append("nightly")


@portable(on.task("double"))
def double(task: Task) -> int:
    SEEN.append("double")
    return int(task.data) * 2


@pytest.mark.parametrize("provider", ["aws", "gcp", "azure", "cloudflare", "asgi"])
@pytest.mark.parametrize("make", [sync, asynchronous])
def test_middleware_of_an_entry_is_around_functions_of_every_kind(
    provider: str, make: Callable[[str], Middleware]
) -> None:
    for function, event, name in (
        (ship, fake.message({"sku": "lamp"}), "ship"),
        (nightly, fake.schedule(name="nightly"), "nightly"),
        (double, fake.task(21, name="double"), "double"),
    ):
        SEEN.clear()
        delivered = deliver(function, event, to=provider, use=[make("entry")])
        assert ["acknowledged"] == delivered.outcomes
        assert ["entry", name] == SEEN


@pytest.mark.parametrize("provider", ["aws", "gcp", "azure", "asgi"])
def test_middleware_of_an_entry_gets_a_batch_as_its_handler_does(provider: str) -> None:
    kinds: list[type[Any]] = []

    def asks(event: Any, ctx: Context, call_next: Any) -> Any:
        kinds.append(type(event))
        return call_next(event, ctx)

    via = {"asgi": "dapr_bulk"}.get(provider)
    assert ["acknowledged"] == deliver(
        count, fake.message({}, channel="clicks"), to=provider, via=via, use=[asks]
    ).outcomes
    assert [Batch] == kinds


def test_a_failure_of_an_entrys_middleware_is_that_of_the_message() -> None:
    def fails(event: Any, ctx: Context, call_next: Any) -> Any:
        call_next(event, ctx)
        raise ValueError("after the handler")

    assert ["retried"] == deliver(ship, fake.message({}), use=[fails]).outcomes
    assert ["ship"] == SEEN


def test_a_third_partys_adapter_has_them_too() -> None:
    for path, status in (("/v1/orders/", 200), ("/v1/order", 404)):
        answer = deliver(order, posted(path), to="portable_fn_toy", use=[cors()], root_path="/v1")
        assert (status, "*") == (answer.status, answer.headers["access-control-allow-origin"])


# Requests that can't be read


@pytest.mark.parametrize("service", ["http_api", "rest_api", "alb", "alb_multi_value", "lattice_v2"])
@pytest.mark.parametrize("make", [sync, asynchronous])
def test_a_request_that_lambda_cannot_read_is_marked_too(service: str, make: Callable[[str], Middleware]) -> None:
    event = payload(fake.request("POST", "/orders", headers=SHOP, body=b"\xff"), service)
    event["body"] = "not base64"
    handler = aws_entry(order, use=[make("entry"), cors("https://shop.example")])
    for broken in (event, {**event, "isBase64Encoded": False, "body": 7}):
        SEEN.clear()
        answer: Any = handler(broken, None)
        headers = {**(answer.get("headers") or {}), **(answer.get("multiValueHeaders") or {})}
        assert (400, ["entry"]) == (answer["statusCode"], SEEN)
        assert headers["access-control-allow-origin"] in ("https://shop.example", ["https://shop.example"])


@pytest.mark.parametrize("headers", [{"origin": 7}, {"origin": None}, 7, [1], {"x": {"y": 1}}])
def test_a_request_whose_headers_lambda_cannot_read_is_marked_if_all_are_allowed(headers: Any) -> None:
    answer: Any = aws_entry(order, use=[cors()])({**payload(posted("/orders"), "http_api"), "headers": headers}, None)
    assert (400, "*") == (answer["statusCode"], answer["headers"]["access-control-allow-origin"])


@pytest.mark.parametrize(
    "change", [{"rawPath": 7}, {"rawPath": None}, {"pathParameters": 7}, {"requestContext": {"http": {}}}]
)
def test_even_the_answer_to_an_incomplete_request_has_the_entrys_headers(change: dict[str, Any]) -> None:
    answer: Any = aws_entry(order, use=[cors()])({**payload(posted("/orders"), "http_api"), **change}, None)
    assert (400, "*") == (answer["statusCode"], answer["headers"]["access-control-allow-origin"])


def test_a_405_is_marked_though_its_headers_cannot_be_read() -> None:
    event = {**payload(fake.request("GET", "/orders"), "http_api"), "headers": {"origin": 7}}
    answer: Any = aws_entry(order, use=[cors()])(event, None)
    assert (400, "*") == (answer["statusCode"], answer["headers"]["access-control-allow-origin"])
    # Without middleware nothing reads them.
    unmarked: Any = aws_entry(order)(event, None)
    assert 405 == unmarked["statusCode"]


def test_our_lambda_runtime_takes_the_entrys_middleware(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    code = (
        "from portable_fn import cors, on, portable\n"
        "from portable_fn_aws import entry\n"
        "@portable(on.http('GET', '/items'))\n"
        "def items(request):\n"
        "    return {'root': request.root_path}\n"
        "handler = entry(items, use=[cors()], root_path='/v1')\n"
    )
    (tmp_path / "app_with_middleware.py").write_text(code)
    monkeypatch.syspath_prepend(str(tmp_path))
    functions, _ = load_functions("app_with_middleware:handler", None)
    assert isinstance(functions, EntryFunctions)
    for path, status in (("/v1/items/", 200), ("/nothing", 404)):
        response = functions.respond(payload(fake.request("GET", path), "http_api"), None, "http_api").response
        assert (status, "*") == (response.status, response.headers["access-control-allow-origin"])


@pytest.mark.parametrize("service", ["http", "http_async"])
@pytest.mark.parametrize("make", [sync, asynchronous])
@pytest.mark.parametrize("functions", [[order], [order, ship]], ids=["alone", "beside events"])
def test_a_body_over_googles_limit_is_marked_too(
    service: str, make: Callable[[str], Middleware], functions: Any
) -> None:
    request = posted("/orders")
    target = gcp_entry(*functions, use=[make("entry"), cors()])
    request.raw_body = b" " * (16 * 1024 * 1024 + 1)
    sent = gcp.sent(target, request, service)
    answer = sent.answer(sent.invoke())
    assert (413, "*", "entry") == (answer.status, answer.headers["access-control-allow-origin"], SEEN[0])


@pytest.mark.parametrize("make", [sync, asynchronous])
def test_a_body_over_a_workers_limit_is_marked_too(make: Callable[[str], Middleware]) -> None:
    default = cloudflare_entry(order, use=[make("entry"), cors()])
    lines = [("content-length", "99999999"), *SHOP.items()]
    native = FetchRequest("POST", "https://example.com/orders", lines, b"x", {})
    answer = asyncio.run(served(default, native))
    assert (413, "entry") == (answer.status, SEEN[0])
    assert ["*"] == [value for name, value in answer.headers if name == "access-control-allow-origin"]


@pytest.mark.parametrize("make", [sync, asynchronous])
def test_a_body_that_breaks_off_in_a_container_costs_no_middleware(make: Callable[[str], Middleware]) -> None:
    async def received() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def sent(message: Any) -> None:
        raise AssertionError(message)

    application = asgi_entry(order, use=[make("entry")])
    asyncio.run(application(scope(posted("/orders")), received, sent))  # type: ignore[arg-type]  # a coroutine
    assert [] == SEEN


def test_a_404_reads_no_body_in_a_container() -> None:
    async def received() -> dict[str, Any]:
        raise AssertionError("the body is read")

    for use in ([], [sync("entry")], [asynchronous("entry")]):
        made: list[Any] = []

        async def sent(message: Any, made: list[Any] = made) -> None:
            made.append(message)

        application = asgi_entry(order, use=use)
        asyncio.run(application(scope(posted("/nothing", b"x" * 100)), received, sent))  # type: ignore[arg-type]  # a coroutine
        assert 404 == made[0]["status"]


def test_a_json_that_no_function_of_a_container_takes_is_marked_too() -> None:
    application = asgi_entry(order, ship, use=[cors()])
    # A page of another site may not send a possible event.
    for request, status in ((fake.request("POST", "/nothing", json=[1]), 404), (posted("/nothing"), 403)):
        answer = asyncio.run(messages(application, scope(request), request.body))
        assert (status, b"*") == (answer[0]["status"], dict(answer[0]["headers"])[b"access-control-allow-origin"])


@pytest.mark.parametrize("make", [sync, asynchronous])
def test_a_body_over_the_limit_of_azures_streaming_is_marked_too(
    make: Callable[[str], Middleware], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Starlettes: ...

    extension = SimpleNamespace(Response=Starlettes)
    monkeypatch.setitem(sys.modules, "azurefunctions.extensions.http.fastapi", extension)
    app = azure_entry(order, health, streaming=True, use=[make("entry"), cors()])
    [one] = app.get_functions()
    function: Any = one.get_user_function()

    async def answered(path: str, body: bytes) -> tuple[int, bytes]:
        request = posted(path, body)
        native = scope(request)

        async def receive() -> dict[str, Any]:
            assert path != "/nothing", "a 404 needs no body"
            return {"type": "http.request", "body": body}

        req = SimpleNamespace(scope=native, receive=receive, path_params={"path": path[1:]})
        made = await function(req=req, context=SimpleNamespace(invocation_id="i-1", function_name="http"))
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        await made(native, receive, send)
        return sent[0]["status"], dict(sent[0]["headers"])[b"access-control-allow-origin"]

    for path, body, status in (("/orders", b"123456789", 413), ("/nothing", b"1", 404), ("/health", b"1" * 10, 405)):
        SEEN.clear()
        assert (status, b"*") == asyncio.run(answered(path, body))
        assert "entry" == SEEN[0]


# Without middleware of the entry


@portable(on.http("POST", "/orders", max_body=8), use=[cors(["https://shop.example"])])
def shop_order(request: Request) -> dict[str, Any]:
    return request.json()  # type: ignore[no-any-return]


@portable(on.http("GET", "/reports"), use=[cors(["https://office.example"], credentials=True)])
async def report(request: Request) -> None: ...


@portable(on.http("GET", "/health"))
def health(request: Request) -> None: ...


def allowed(answer: Answer) -> str | None:
    return answer.headers.get("access-control-allow-origin")


@on_every_service
def test_an_answer_without_a_function_has_the_functions_cors(provider: str, via: str | None) -> None:
    for request, status in (
        (posted("/order"), 404),
        (posted("/orders", b"123456789"), 413),
        (fake.request("GET", "/orders", headers=SHOP), 405),
        (posted("/orders", b"["), 400),
    ):
        answer = deliver([shop_order, health], request, to=provider, via=via)
        assert (status, "https://shop.example") == (answer.status, allowed(answer))
        assert "Origin" in answer.headers["vary"]


@on_every_service
def test_of_several_cors_a_404_has_the_one_that_allows_the_origin(provider: str, via: str | None) -> None:
    functions = [shop_order, report, health]
    for origin, credentials in (
        ("https://shop.example", None),
        ("https://office.example", "true"),
        ("https://evil.example", None),
    ):
        answer = deliver(functions, fake.request("GET", "/nothing", headers={"origin": origin}), to=provider, via=via)
        expected = None if "evil" in origin else origin
        assert (404, expected) == (answer.status, allowed(answer))
        assert (credentials, "Origin") == (
            answer.headers.get("access-control-allow-credentials"),
            answer.headers["vary"],
        )
        # Each function's own answers have its own CORS.
        answer = deliver(functions, fake.request("POST", "/reports", headers={"origin": origin}), to=provider, via=via)
        assert (405, origin if "office" in origin else None) == (answer.status, allowed(answer))


def test_cors_of_equal_settings_counts_once_and_any_origin_needs_no_vary() -> None:
    functions = [
        portable(on.http("GET", f"/{name}"), use=[cors(methods=["GET"], headers=["x-a"])])(lambda request: None)
        for name in ("a", "b")
    ]
    answer = deliver(functions, fake.request("GET", "/nothing"))
    assert (404, "*", None) == (answer.status, allowed(answer), answer.headers.get("vary"))


def test_an_entrys_own_middleware_takes_the_place_of_the_functions_cors() -> None:
    assert None is allowed(deliver(shop_order, posted("/order"), use=[sync("entry")]))
    assert "*" == allowed(deliver(shop_order, posted("/order"), use=[cors()]))


def test_other_middleware_of_a_function_is_around_its_413_and_not_around_a_404() -> None:
    function = portable(on.http("POST", "/orders", max_body=1), use=[asynchronous("own")])(lambda request: None)
    assert 404 == deliver(function, posted("/order")).status
    assert [] == SEEN
    assert 413 == deliver(function, posted("/orders")).status
    assert ["own", "own 413"] == SEEN


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize(
    ("use", "why"),
    [
        (cors, "must be a list"),
        ([cors], r"cors is called: cors\(\)"),
        ([None], "middleware is a function"),
        ("x", "must be a list"),
    ],
)
def test_an_entry_refuses_a_value_that_is_not_middleware(entry: Any, use: Any, why: str) -> None:
    for function in (order, ship):
        with pytest.raises(ConfigurationError, match=f"the entry.*{why}|{why}.*"):
            entry(function, use=use)


def test_a_middleware_that_fails_around_a_404_is_a_500(caplog: pytest.LogCaptureFixture) -> None:
    def fails(event: Event[Any], ctx: Context, call_next: Any) -> Any:
        raise ZeroDivisionError

    with caplog.at_level(logging.ERROR):
        assert 500 == deliver(order, posted("/order"), use=[fails]).status
    assert "ZeroDivisionError" in caplog.text


def test_a_response_of_middleware_stays_its_own() -> None:
    kept = Response(200, {"x-a": "1"})

    def answers(event: Any, ctx: Context, call_next: Any) -> Response:
        return kept

    def tagged(event: Any, ctx: Context, call_next: Any) -> Any:
        response = call_next(event, ctx)
        response.headers["x-tag"] = "yes"
        return response

    assert "yes" == deliver(order, posted("/order"), use=[tagged, answers]).headers["x-tag"]
    assert "x-tag" not in kept.headers


@pytest.mark.parametrize(("provider", "via"), [("aws", "http_api"), ("aws", "alb"), ("azure", None)])
@pytest.mark.parametrize("is_async", [False, True])
def test_a_stream_that_fails_while_it_is_collected_keeps_the_cors_headers(
    provider: str, via: str | None, is_async: bool
) -> None:
    def chunks() -> Iterator[bytes]:
        yield b"one"
        raise KeyError("k")

    @portable(on.http("GET", "/x"))
    def handler(request: Request) -> Response:
        return Response(200, {"x-a": "1"}, body=chunks())

    @portable(on.http("GET", "/x"))
    async def async_handler(request: Request) -> Response:
        return Response(200, {"x-a": "1"}, body=chunks())

    use = [cors("https://shop.example", credentials=True)]
    function = async_handler if is_async else handler
    answer = deliver(function, fake.request("GET", "/x", headers=SHOP), to=provider, via=via, use=use)
    assert (500, "https://shop.example", "Origin") == (answer.status, allowed(answer), answer.headers["vary"])
    assert ("true", None) == (answer.headers["access-control-allow-credentials"], answer.headers.get("x-a"))


def test_an_answer_that_azure_cannot_write_keeps_the_cors_headers() -> None:
    @portable(on.http("GET", "/x"))
    def handler(request: Request) -> Response:
        return Response(200, cookies={"a": "x=y", "b": "x=y"})

    answer = deliver(handler, fake.request("GET", "/x", headers=SHOP), to="azure", use=[cors()])
    assert (500, "*") == (answer.status, allowed(answer))


def test_a_recorded_entry_has_its_middleware(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setenv("PORTABLE_FN_RECORD", str(tmp_path))
    for provider in ("aws", "gcp", "azure", "cloudflare", "asgi"):
        for path, status in (("/v1/orders/", 200), ("/v1/order", 404)):
            answer = deliver(order, posted(path), to=provider, use=[cors()], root_path="/v1")
            assert (status, "*") == (answer.status, allowed(answer)), provider
    recorded = [json.loads(file.read_text()) for file in sorted(tmp_path.iterdir())]
    assert 10 == len(recorded)
    assert {1} == {
        len(one["calls"]) for one in recorded if one["answer"].get("status", one["answer"].get("statusCode")) == 200
    }
