"""The harnesses of the real runtimes, tried with handlers written by hand."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import pytest

from tests.runtimes.asgi import uvicorn
from tests.runtimes.aws import HELLO, INTEGRATION_RESPONSE, TRACE, Answer, emulator, runtime_api
from tests.runtimes.environments import Unavailable
from tests.runtimes.gcp import functions_framework
from tests.runtimes.wire import Chunks, send

pytestmark = pytest.mark.runtime

T = TypeVar("T")
Start = Callable[[AbstractContextManager[T]], T]

LAMBDA = """
import os
print("imported")

def hello(event, context):
    print("called for", event["rawPath"])
    return {"statusCode": 200, "headers": {"content-type": "text/plain"}, "body": event["rawPath"]}

def seen(event, context):
    return {
        "trace": os.environ.get("_X_AMZN_TRACE_ID"),
        "remaining": context.get_remaining_time_in_millis(),
        "tenant": context.tenant_id,
        "identity": context.identity.cognito_identity_id,
        "custom": context.client_context and context.client_context.custom,
        "arn": context.invoked_function_arn,
        "function": context.function_name,
    }

def broken(event, context):
    raise LookupError("no such thing")
"""

STREAMING = """
import http.client, json, os, sys, time
api = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
while True:
    api.request("GET", "/2018-06-01/runtime/invocation/next")
    invocation = api.getresponse()
    event = json.loads(invocation.read())
    answer = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
    request_id = invocation.headers["Lambda-Runtime-Aws-Request-Id"]
    answer.putrequest("POST", f"/2018-06-01/runtime/invocation/{request_id}/response")
    answer.putheader("Content-Type", "application/vnd.awslambda.http-integration-response")
    answer.putheader("Lambda-Runtime-Function-Response-Mode", "streaming")
    answer.putheader("Transfer-Encoding", "chunked")
    answer.putheader("Trailer", "Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body")
    answer.endheaders()
    def write(payload):
        answer.send(b"%x\\r\\n%s\\r\\n" % (len(payload), payload))
    write(json.dumps({"statusCode": 200, "headers": {"content-type": "text/plain"}}).encode() + bytes(8))
    for part in event["parts"]:
        time.sleep(0.1)
        write(part.encode())
    if event.get("vanish"):
        sys.exit(1)
    trailers = "".join(f"{name}: {value}\\r\\n" for name, value in event.get("trailers", {}).items())
    answer.send(f"0\\r\\n{trailers}\\r\\n".encode())
    assert answer.getresponse().status == 202
    answer.close()
"""

FUNCTION = """
import time

def hello(request):
    return f"{request.method} {request.full_path}", 201, [("set-cookie", "a=1"), ("set-cookie", "b=2")]

async def hello_async(request):
    from starlette.responses import PlainTextResponse
    response = PlainTextResponse(f"{request.method} {request.url.path}", 201)
    response.raw_headers += [(b"set-cookie", b"a=1"), (b"set-cookie", b"b=2")]
    return response

def stream(request):
    def parts():
        for part in (b"one", b"two", b"three"):
            yield part
            time.sleep(0.1)
    return parts()

def on_event(event):
    print("event", event["id"], event.data)
"""

ASGI = """
import asyncio, json

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            print(message["type"])
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    headers = [(b"set-cookie", b"a=1"), (b"set-cookie", b"b=2"), (b"x-name", "Zo\\u00eb".encode("latin-1"))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    if scope["path"] == "/raw":
        seen = [scope["method"], scope["raw_path"].decode("latin-1"), scope["query_string"].decode("latin-1")]
        seen += [[name.decode(), value.decode("latin-1")] for name, value in scope["headers"]]
        return await send({"type": "http.response.body", "body": json.dumps(seen).encode()})
    for part in (b"one", b"two", b"three"):
        await send({"type": "http.response.body", "body": part, "more_body": True})
        await asyncio.sleep(0.1)
    if scope["path"] == "/broken":
        raise RuntimeError("broken on purpose")
    await send({"type": "http.response.body"})
"""


@pytest.fixture
def start() -> Iterator[Start[Any]]:
    """Enter a harness until the test ends, or skip where its runtime can't be had."""
    with ExitStack() as stack:

        def enter(harness: AbstractContextManager[T]) -> T:
            try:
                return stack.enter_context(harness)
            except Unavailable as reason:
                pytest.skip(str(reason))

        yield enter


@pytest.fixture
def app(tmp_path: Path) -> Path:
    for name, source in {"app": LAMBDA, "bootstrap": STREAMING, "main": FUNCTION, "asgi_app": ASGI}.items():
        (tmp_path / f"{name}.py").write_text(source)
    return tmp_path


def apart(chunks: Chunks) -> bool:
    """Whether each chunk came clearly later than the one before."""
    return all(later - earlier > 0.02 for (earlier, _), (later, _) in pairwise(chunks))


def test_the_emulator_answers_an_http_event(app: Path, start: Start[Any]) -> None:
    function = start(emulator(app, "app.hello"))
    expected = {"statusCode": 200, "headers": {"content-type": "text/plain"}, "body": "/hello/Ada"}
    assert expected == function.invoke(HELLO)
    assert function.server.process.logged("called for /hello/Ada") in function.logs


def test_the_emulator_passes_the_client_context(app: Path, start: Start[Any]) -> None:
    function = start(emulator(app, "app.seen"))
    answer = function.invoke({}, client_context={"custom": {"a": "b"}})
    assert ({"a": "b"}, "portable") == (answer["custom"], answer["function"])


def test_the_emulator_answers_a_failure_with_200(app: Path, start: Start[Any]) -> None:
    received = start(emulator(app, "app.broken")).send(json.dumps(HELLO).encode())
    error = json.loads(received.body)
    assert (200, "LookupError", "no such thing") == (received.status, error["errorType"], error["errorMessage"])


def test_the_emulator_collects_what_a_bootstrap_streams(app: Path, start: Start[Any]) -> None:
    function = start(emulator(app, "app.hello", bootstrap=["python", "bootstrap.py"]))
    received = function.send(json.dumps({"parts": ["one", "two"]}).encode())
    prelude, _, body = received.body.partition(bytes(8))
    assert (200, b"onetwo") == (json.loads(prelude)["statusCode"], body)


def test_the_runtime_api_tells_the_stock_client_all_that_lambda_tells(app: Path, start: Start[Any]) -> None:
    api = start(runtime_api(app, ["python", "-m", "awslambdaric", "app.seen"]))
    answer = api.invoke(
        {},
        client_context={"custom": {"a": "b"}},
        cognito_identity={"cognitoIdentityId": "me", "cognitoIdentityPoolId": "pool"},
        tenant_id="blue",
        invocation_id="attempt-1",
    )
    assert not answer.failed and not answer.streamed
    assert 0 < answer.json["remaining"] <= 30_000
    seen = [answer.json[name] for name in ("trace", "tenant", "identity", "custom")]
    assert [TRACE, "blue", "me", {"a": "b"}] == seen
    assert ("lambda-runtime-invocation-id", "attempt-1") in answer.headers


def test_the_runtime_api_gets_the_error_of_a_handler_and_the_next_answer(app: Path, start: Start[Any]) -> None:
    api = start(runtime_api(app, ["python", "-m", "awslambdaric", "app.broken"]))
    for _ in range(2):
        answer = api.invoke(HELLO)
        assert (True, "LookupError") == (answer.failed, answer.json["errorType"])


def test_the_runtime_api_gets_the_error_of_a_failed_start(app: Path, start: Start[Any]) -> None:
    api = start(runtime_api(app, ["python", "-m", "awslambdaric", "app.absent"]))
    assert "Runtime.HandlerNotFound" == api.init_error().json["errorType"]


def test_the_runtime_api_receives_each_chunk_at_once(app: Path, start: Start[Any]) -> None:
    answer = start(runtime_api(app, ["python", "bootstrap.py"])).invoke({"parts": ["one", "two", "three"]})
    prelude, body = answer.split()
    assert ({"statusCode": 200, "headers": {"content-type": "text/plain"}}, b"onetwothree") == (prelude, body)
    assert [b"one", b"two", b"three"] == [payload for _, payload in answer.chunks[1:]]
    assert apart(answer.chunks)


def test_the_runtime_api_reads_an_error_that_came_after_the_stream_began(app: Path, start: Start[Any]) -> None:
    api = start(runtime_api(app, ["python", "bootstrap.py"]))
    error = "Lambda-Runtime-Function-Error"
    trailers = {f"{error}-Type": "Runtime.Broken", f"{error}-Body": "eyJhIjogMX0="}
    answer = api.invoke({"parts": ["one"], "trailers": trailers})
    assert (b"one", ("Runtime.Broken", {"a": 1})) == (answer.split()[1], answer.stream_error)


def test_the_runtime_api_sees_a_stream_that_breaks_off(app: Path, start: Start[Any]) -> None:
    answer = start(runtime_api(app, ["python", "bootstrap.py"])).invoke({"parts": ["one"], "vanish": True})
    with pytest.raises(AssertionError, match="ended before the last chunk"):
        answer.split()


@pytest.mark.parametrize(
    ("body", "headers", "complaint"),
    [
        (b'{"statusCode": 200}', {}, "no NUL byte"),
        (b'{"statusCode": 200}' + bytes(7) + b"x", {}, "fewer than 8 NUL"),
        (b"{statusCode: 200}" + bytes(8), {}, "not JSON"),
        (b"[]" + bytes(8), {}, "not a JSON object"),
        (b'{"statusCode": "200"}' + bytes(8), {}, "may not hold {'statusCode': '200'}"),
        (b'{"headers": {"a": 1}}' + bytes(8), {}, "may not hold {'headers'"),
        (b'{"body": ""}' + bytes(8), {}, "may not hold {'body'"),
        (b'{"cookies": ["' + b"x" * 16384 + b'"]}' + bytes(8), {}, "first 16 KiB"),
        (b"{}" + bytes(8), {"content-type": "application/json"}, "content-type"),
        (b"{}" + bytes(8), {"lambda-runtime-function-response-mode": "buffered"}, "Response-Mode"),
    ],
)
def test_a_wrong_stream_gets_an_error_that_says_why(body: bytes, headers: dict[str, str], complaint: str) -> None:
    right = {
        "content-type": INTEGRATION_RESPONSE,
        "transfer-encoding": "chunked",
        "lambda-runtime-function-response-mode": "streaming",
    }
    answer = Answer(failed=False, headers=list({**right, **headers}.items()), chunks=[(0.0, body)])
    with pytest.raises(AssertionError) as error:
        answer.split()
    assert complaint in str(error.value)


@pytest.mark.parametrize(("target", "asgi", "seen"), [("hello", False, "GET /a?b=c"), ("hello_async", True, "GET /a")])
def test_functions_framework_serves_a_function(
    app: Path, start: Start[Any], target: str, asgi: bool, seen: str
) -> None:
    server = start(functions_framework(app / "main.py", target, asgi=asgi))
    received = send(server.url, "GET", "/a?b=c", [], None)
    assert (201, seen) == (received.status, received.body.decode())
    assert ["a=1", "b=2"] == received.values("set-cookie")


def test_functions_framework_streams_a_generator(app: Path, start: Start[Any]) -> None:
    received = send(start(functions_framework(app / "main.py", "stream")).url, "GET", "/", [], None)
    assert [b"one", b"two", b"three"] == [payload for _, payload in received.chunks]
    assert apart(received.chunks)


def test_functions_framework_passes_a_cloud_event(app: Path, start: Start[Any]) -> None:
    server = start(functions_framework(app / "main.py", "on_event", signature_type="cloudevent"))
    headers = [("ce-id", "7"), ("ce-source", "/s"), ("ce-type", "t"), ("ce-specversion", "1.0")]
    received = send(server.url, "POST", "/", [*headers, ("content-type", "application/json")], b'{"a": 1}')
    assert (200, "event 7 {'a': 1}") == (received.status, server.process.logged("event 7"))


def test_uvicorn_streams_three_chunks_apart(app: Path, start: Start[Any]) -> None:
    received = send(start(uvicorn("asgi_app:app", pythonpath=[app])).url, "GET", "/", [], None)
    assert [b"one", b"two", b"three"] == [payload for _, payload in received.chunks]
    assert apart(received.chunks) and received.complete


def test_a_response_that_breaks_off_is_not_complete(app: Path, start: Start[Any]) -> None:
    received = send(start(uvicorn("asgi_app:app", pythonpath=[app])).url, "GET", "/broken", [], None)
    assert (b"onetwothree", False) == (received.body, received.complete)


def test_a_request_goes_out_and_comes_back_as_it_was_written(app: Path, start: Start[Any]) -> None:
    server = start(uvicorn("asgi_app:app", pythonpath=[app]))
    headers = [("x-a", "1"), ("x-a", "2"), ("x-name", "Zo\u00eb"), ("host", "example.com"), ("connection", "close")]
    received = send(server.url, "PURGE", "/r%61w?a=%20&a=b+c", headers, None)
    assert ["PURGE", "/r%61w", "a=%20&a=b+c", *map(list, headers)] == json.loads(received.body)
    assert (["a=1", "b=2"], ["Zo\u00eb"]) == (received.values("set-cookie"), received.values("x-name"))


def test_leaving_uvicorn_stops_it_gracefully(app: Path) -> None:
    with uvicorn("asgi_app:app", pythonpath=[app], lifespan="on") as server:
        assert "lifespan.startup" in server.logs
    assert "lifespan.shutdown" in server.logs


def test_a_server_that_cannot_start_says_why(app: Path) -> None:
    with pytest.raises(RuntimeError, match=r"exited with \d before port") as error, uvicorn("absent:app"):
        pass
    assert 'Could not import module "absent"' in error.value.__notes__[0]
