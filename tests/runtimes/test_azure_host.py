"""The mock Azure host around the real worker, tried with a function_app.py written by hand."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.runtimes.azure import AzureHost, Refused, azure_functions
from tests.runtimes.environments import pythons
from tests.runtimes.wire import Received, send

pytestmark = pytest.mark.runtime

APP = """
import json, logging, sys, time
import azure.functions as func

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)

def answer(req, context):
    return json.dumps({
        "function": context.function_name, "invocation": context.invocation_id,
        "trace": context.trace_context.Traceparent,
        "method": req.method, "url": req.url, "headers": dict(req.headers), "params": dict(req.params),
        "route": dict(req.route_params), "body": list(req.get_body()),
    })

@app.route("seen")
def seen(req, context):
    logging.info("seen %s", req.method)
    print("printed")
    return func.HttpResponse(answer(req, context), mimetype="application/json")

@app.route("items/{id:int}/{part?}", methods=["GET"])
def items(req, context):
    return func.HttpResponse(answer(req, context))

@app.route("files/{*rest}")
async def zfiles(req, context):
    return func.HttpResponse(answer(req, context))

@app.route("files/special")
def zzspecial(req):
    return func.HttpResponse("never reached: zfiles comes first in the alphabet")

@app.route("binary")
def binary(req):
    return func.HttpResponse(req.get_body()[::-1], status_code=201, mimetype="application/octet-stream")

@app.route("cookies")
def cookies(req):
    response = func.HttpResponse("ok")
    response.headers.add("Set-Cookie", "a=1; Path=/; HttpOnly; SameSite=None; Secure")
    response.headers.add("Set-Cookie", "b=x=y; Max-Age=60; Expires=Wed, 21 Oct 2026 07:28:00 GMT; Domain=example.com")
    response.headers.add("X-Repeated", "1")
    response.headers.add("X-Repeated", "2")
    return response

@app.route("empty")
def empty(req):
    return func.HttpResponse(status_code=204)

@app.route("word")
def word(req):
    return "Zo\\u00eb"

@app.route("number")
def number(req):
    return "1.10"

@app.route("accent")
def accent(req):
    return func.HttpResponse("ok", headers={"X-Name": "Zo\\u00eb"})

@app.route("fails")
def fails(req):
    raise LookupError("no such thing")

class Stop(BaseException):
    pass

@app.route("stops")
def stops(req):
    raise Stop("no answer")

@app.route("slow")
def slow(req):
    time.sleep(0.5)
    return func.HttpResponse(str(time.time()))

@app.queue_trigger("message", "orders", "Storage")
@app.queue_output("shipped", "shipped", "Storage")
def ship(message, shipped: func.Out[str], context):
    if message.dequeue_count > 1:
        raise LookupError(message.get_body().decode())
    shipped.set(json.dumps([message.id, message.get_json()["sku"], context.trace_context.Traceparent]))

@app.service_bus_queue_trigger("messages", "Bus", "many", cardinality="many")
def many(messages):
    print("many:", [message.get_body() for message in messages])
"""

STREAMING = """
import asyncio, json
import azure.functions as func
from azurefunctions.extensions.http.fastapi import JSONResponse, Request, Response, StreamingResponse

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)

@app.route("parts")
async def parts(req: Request) -> StreamingResponse:
    async def body():
        for part in ("one", "two", "three"):
            yield part
            await asyncio.sleep(0.2)
    return StreamingResponse(body(), media_type="text/plain")

@app.route("seen/{name}")
async def seen(req: Request) -> JSONResponse:
    response = JSONResponse({
        "method": req.method, "url": str(req.url),
        "headers": [[name.decode(), value.decode()] for name, value in req.scope["headers"]],
        "path": dict(req.path_params), "body": list(await req.body()),
    })
    response.headers.append("X-Repeated", "1")
    response.headers.append("X-Repeated", "2")
    response.set_cookie("a", "1")
    response.set_cookie("b", "2")
    return response

@app.route("fails")
async def fails(req: Request) -> Response:
    raise LookupError("no such thing")

@app.route("breaks")
async def breaks(req: Request) -> StreamingResponse:
    async def body():
        yield "one"
        raise LookupError("in the middle")
    return StreamingResponse(body())
"""


def folder(at: Path, function_app: str, host: dict[str, Any] | None = None) -> Path:
    (at / "function_app.py").write_text(function_app)
    (at / "host.json").write_text(json.dumps({"version": "2.0", **(host or {})}))
    return at


@pytest.fixture(scope="module", params=["3.11", "3.13"])
def azure(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AzureHost]:
    if request.param not in pythons():
        pytest.skip(f"Python {request.param} is not on this machine")
    with azure_functions(folder(tmp_path_factory.mktemp("app"), APP), python=request.param, timeout=2) as host:
        yield host


@pytest.fixture(scope="module", params=["3.11", "3.13"])
def streaming(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AzureHost]:
    if request.param not in pythons():
        pytest.skip(f"Python {request.param} is not on this machine")
    with azure_functions(folder(tmp_path_factory.mktemp("app"), STREAMING), python=request.param) as host:
        yield host


def get(host: AzureHost, target: str, *headers: tuple[str, str], method: str = "GET") -> Received:
    return send(host.url, method, target, headers, None)


def test_functions_are_listed_with_their_bindings(azure: AzureHost) -> None:
    [items] = [function for function in azure.functions if function.name == "items"]
    trigger, output = items.bindings
    assert ("httpTrigger", "req", "items/{id:int}/{part?}", ["GET"]) == (
        trigger["type"],
        trigger["name"],
        trigger["route"],
        trigger["methods"],
    )
    assert ("http", "$return") == (output["type"], output["name"])


def test_repeated_query_values_are_joined_and_the_url_keeps_them(azure: AzureHost) -> None:
    response = get(azure, "/api/seen?a=1&b=%26+x&a=2&empty=")
    seen = json.loads(response.body)
    assert {"a": "1,2", "b": "& x"} == seen["params"]
    assert f"{azure.url}/api/seen?a=1&b=%26+x&a=2&empty=" == seen["url"]
    assert ["application/json"] == response.values("content-type")


def test_repeated_headers_are_joined_by_a_comma_and_read_as_utf_8(azure: AzureHost) -> None:
    name = "Zoë".encode().decode("latin-1")
    seen = json.loads(get(azure, "/api/seen", ("X-A", "1"), ("x-a", "2"), ("X-Name", name), ("X-Empty", "")).body)
    assert ("1,2", "Zoë", "") == (seen["headers"]["x-a"], seen["headers"]["x-name"], seen["headers"]["x-empty"])


def test_header_bytes_that_are_not_utf_8_are_a_bad_request(azure: AzureHost) -> None:
    assert 400 == get(azure, "/api/seen", ("X-Name", "Zo\xeb")).status


def test_a_trace_is_continued(azure: AzureHost) -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    seen = json.loads(get(azure, "/api/seen", ("traceparent", f"00-{trace}-b7ad6b7169203331-01")).body)
    assert trace == seen["trace"].split("-")[1]
    assert "b7ad6b7169203331" not in seen["trace"]


def test_the_outer_scheme_and_host_are_those_of_the_front_end(azure: AzureHost) -> None:
    seen = json.loads(
        get(azure, "/api/seen", ("X-Forwarded-Proto", "https"), ("Disguised-Host", "app.example.com")).body
    )
    assert "https://app.example.com/api/seen" == seen["url"]


@pytest.mark.parametrize(
    ("raw", "seen"),
    [
        ("/a%20b", "/a%20b"),
        ("/%41%7E", "/A~"),
        ("/a%2Fb", "/a%2Fb"),
        ("/a%252Fb", "/a%2Fb"),
        ("/100%25", "/100%25"),
        ("/Zo%C3%AB", "/Zo%C3%AB"),
        ("/Zo%EB", "/Zo%EB"),
        ("/a;b=c,d+e", "/a;b=c,d+e"),
    ],
)
def test_the_path_of_the_url_is_decoded_and_encoded_again(azure: AzureHost, raw: str, seen: str) -> None:
    url = json.loads(get(azure, f"/api/files{raw}").body)["url"]
    assert f"{azure.url}/api/files{seen}" == url


@pytest.mark.parametrize(
    ("target", "route"),
    [
        ("/api/files", {}),
        ("/api/files/", {}),
        ("/api/files/a/b%20c/d%2Fe/", {"rest": "a/b c/d%2Fe/"}),
        ("/API/Files/special", {"rest": "special"}),
        ("/api/items/7", {"id": "7"}),
        ("/api/items/7/wheel/", {"id": "7", "part": "wheel"}),
    ],
)
def test_routes_match_as_the_host_matches_them(azure: AzureHost, target: str, route: dict[str, str]) -> None:
    assert route == json.loads(get(azure, target).body)["route"]


@pytest.mark.parametrize("target", ["/", "/seen", "/api", "/api/nothing", "/api/items/x", "/api/items/7/a/b"])
def test_what_no_route_matches_is_not_found(azure: AzureHost, target: str) -> None:
    response = get(azure, target)
    assert (404, b"") == (response.status, response.body)


def test_a_method_that_the_route_does_not_take_is_not_found(azure: AzureHost) -> None:
    assert 404 == get(azure, "/api/items/7", method="DELETE").status


@pytest.mark.parametrize("method", ["OPTIONS", "PROPFIND", "PATCH"])
def test_a_route_without_methods_takes_any(azure: AzureHost, method: str) -> None:
    assert method == json.loads(get(azure, "/api/seen", method=method).body)["method"]


def test_head_is_answered_without_a_body(azure: AzureHost) -> None:
    response = get(azure, "/api/seen", method="HEAD")
    assert (200, b"", []) == (response.status, response.body, response.values("content-length"))


def test_bytes_come_and_go_unharmed(azure: AzureHost) -> None:
    body = bytes(range(256))
    response = send(azure.url, "POST", "/api/binary", [("Content-Type", "text/plain; charset=utf-8")], body)
    assert (201, body[::-1]) == (response.status, response.body)
    assert ["application/octet-stream"] == response.values("content-type")


def test_a_large_body_is_taken(azure: AzureHost) -> None:
    body = bytes(8_000_000)
    assert body == send(azure.url, "POST", "/api/binary", [], body).body


def test_a_chunked_body_never_reaches_the_function(azure: AzureHost) -> None:
    response = send(azure.url, "POST", "/api/binary", [("Transfer-Encoding", "chunked")], b"2\r\nhi\r\n0\r\n\r\n")
    assert (201, b"") == (response.status, response.body)


def test_two_cookies_are_written_the_host_s_way_and_of_a_repeated_header_the_last_is_kept(azure: AzureHost) -> None:
    response = get(azure, "/api/cookies")
    assert [
        "a=1; domain=; path=/; secure; samesite=none; httponly",
        "b=x%3Dy; expires=Wed, 21 Oct 2026 07:28:00 GMT; max-age=60; domain=example.com; path=",
    ] == response.values("set-cookie")
    assert ["2"] == response.values("x-repeated")


def test_an_empty_answer_has_no_body(azure: AzureHost) -> None:
    response = get(azure, "/api/empty")
    assert (204, b"", ["text/plain; charset=utf-8"]) == (
        response.status,
        response.body,
        response.values("content-type"),
    )


def test_a_returned_str_is_text_unless_it_is_json(azure: AzureHost) -> None:
    assert "Zoë".encode() == get(azure, "/api/word").body
    assert 500 == get(azure, "/api/number").status
    azure.logged("which the host rewrites")


def test_a_header_that_is_not_ascii_fails_the_response(azure: AzureHost) -> None:
    assert 500 == get(azure, "/api/accent").status


def test_an_exception_is_500_without_a_body_and_is_logged(azure: AzureHost) -> None:
    response = get(azure, "/api/fails")
    assert (500, b"") == (response.status, response.body)
    azure.logged("LookupError: no such thing")


def test_a_base_exception_gets_no_answer_and_the_worker_lives_on(azure: AzureHost) -> None:
    assert 500 == get(azure, "/api/stops").status
    azure.logged("[host] stops gave no response within 2.0 s")
    assert 204 == get(azure, "/api/empty").status


def test_requests_interleave(azure: AzureHost) -> None:
    answers: list[Received] = []
    threads = [threading.Thread(target=lambda: answers.append(get(azure, "/api/slow"))) for _ in range(3)]
    since = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [200, 200, 200] == [answer.status for answer in answers]
    assert time.monotonic() - since < 1.4


def test_logs_and_prints_are_kept(azure: AzureHost) -> None:
    get(azure, "/api/seen")
    azure.logged("[Information] root: seen GET")
    azure.logged("printed")


def test_other_triggers_are_invoked_with_typed_data(azure: AzureHost) -> None:
    metadata = {"Id": "m1", "DequeueCount": "1", "InsertionTime": "2026-01-01T00:00:00+00:00"}
    trace = {"trace_parent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
    done = azure.invoke("ship", {"message": '{"sku": "bolt"}'}, metadata=metadata, trace=trace)
    assert (None, None) == (done.error, done.returned)
    assert ["m1", "bolt", trace["trace_parent"]] == json.loads(done.outputs["shipped"])
    failed = azure.invoke("ship", {"message": "again"}, metadata={**metadata, "DequeueCount": "2"})
    assert "LookupError: again" == failed.error


def test_a_batch_is_invoked_as_a_collection(azure: AzureHost) -> None:
    metadata = {"UserPropertiesArray": [{}, {}], "MessageIdArray": ["1", "2"]}
    assert azure.invoke("many", {"messages": [b"one", b"\xff"]}, metadata=metadata).error is None
    azure.logged(r"many: [b'one', b'\xff']")


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        ('@app.function_name("2nd")\n@app.route("x")\ndef handler(req): ...', "'2nd' is not a valid function name"),
        ('@app.route("x")\ndef host(req): ...', "'host' is not a valid function name"),
        ('@app.route("x", trigger_arg_name="a_b")\ndef f(a_b): ...', "The binding name a_b is invalid"),
        ('@app.route("/x")\ndef f(req): ...', "'/' cannot appear consecutively"),
        ('@app.route("x")\ndef f(req) -> dict: ...', 'does not match binding type "http"'),
        ("raise LookupError('at import')", "at import"),
    ],
)
def test_what_the_host_would_not_load_is_refused(tmp_path: Path, function: str, reason: str) -> None:
    app = f"import azure.functions as func\napp = func.FunctionApp()\n{function}\n"
    with pytest.raises(Refused, match=reason), azure_functions(folder(tmp_path, app)):
        pass


def test_the_route_prefix_may_be_empty_and_an_empty_route_is_the_name(tmp_path: Path) -> None:
    app = 'import azure.functions as func\napp = func.FunctionApp()\n@app.route("")\ndef me(req): return "yes"\n'
    with azure_functions(folder(tmp_path, app, {"extensions": {"http": {"routePrefix": ""}}})) as host:
        assert b"yes" == get(host, "/me").body
        assert 404 == get(host, "/").status


def test_system_exit_ends_the_worker_and_every_later_request_fails(tmp_path: Path) -> None:
    app = 'import azure.functions as func\napp = func.FunctionApp()\n@app.route("x")\ndef f(req): raise SystemExit(3)\n'
    with azure_functions(folder(tmp_path, app)) as host:
        assert [500, 500] == [get(host, "/api/x").status, get(host, "/api/x").status]
        host.logged("[host] the worker process exited with 3")


def test_the_environment_and_the_path_reach_the_worker(tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "mine.py").write_text("import os\nWORD = os.environ['WORD']")
    app = "import azure.functions as func, mine\napp = func.FunctionApp()\n"
    app += '@app.route("x")\ndef f(req): return mine.WORD\n'
    with azure_functions(folder(tmp_path, app), pythonpath=[tmp_path / "lib"], env={"WORD": "hello"}) as host:
        assert b"hello" == get(host, "/api/x").body


def test_streamed_parts_arrive_one_at_a_time(streaming: AzureHost) -> None:
    response = get(streaming, "/api/parts")
    assert [b"one", b"two", b"three"] == [payload for _, payload in response.chunks]
    assert response.complete
    assert response.chunks[2][0] - response.chunks[0][0] > 0.3


def test_in_streaming_mode_the_request_comes_whole_but_to_the_worker_s_own_host(streaming: AzureHost) -> None:
    response = send(streaming.url, "POST", "/api/seen/Ada?a=1&a=2", [("X-A", "1"), ("X-A", "2")], b"\xff\x00")
    seen = json.loads(response.body)
    assert ("POST", {"name": "Ada"}, [255, 0]) == (seen["method"], seen["path"], seen["body"])
    assert ["1", "2"] == [value for name, value in seen["headers"] if name == "x-a"]
    assert not seen["url"].startswith(streaming.url)
    assert seen["url"].endswith("/api/seen/Ada?a=1&a=2")
    assert streaming.url.removeprefix("http://") == dict(seen["headers"])["x-forwarded-host"]
    assert ["1", "2"] == response.values("x-repeated")
    assert ["a=1; Path=/; SameSite=lax", "b=2; Path=/; SameSite=lax"] == response.values("set-cookie")


def test_in_streaming_mode_a_chunked_request_body_arrives(streaming: AzureHost) -> None:
    headers = [("Transfer-Encoding", "chunked")]
    response = send(streaming.url, "PUT", "/api/seen/Ada", headers, b"2\r\nhi\r\n0\r\n\r\n")
    assert list(b"hi") == json.loads(response.body)["body"]


def test_in_streaming_mode_an_exception_is_the_web_server_s_500(streaming: AzureHost) -> None:
    response = get(streaming, "/api/fails")
    assert (500, b"Internal Server Error") == (response.status, response.body)
    streaming.logged("[host] fails failed: LookupError: no such thing")


def test_in_streaming_mode_a_header_that_is_not_ascii_is_a_bad_gateway(streaming: AzureHost) -> None:
    name = "Zoë".encode().decode("latin-1")
    assert 502 == get(streaming, "/api/seen/Ada", ("X-Name", name)).status


def test_a_stream_that_breaks_is_broken_for_the_caller(streaming: AzureHost) -> None:
    response = get(streaming, "/api/breaks")
    assert (200, b"one", False) == (response.status, response.body, response.complete)


def test_in_streaming_mode_the_web_server_takes_no_propfind(streaming: AzureHost) -> None:
    assert 405 == get(streaming, "/api/seen/Ada", method="PROPFIND").status
