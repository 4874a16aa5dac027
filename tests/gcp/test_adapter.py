"""Test the adapter under functions-framework, beyond the stories."""

from __future__ import annotations

import asyncio
import inspect
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from flask import Request as FlaskRequest
from functions_framework._function_registry import ASGI_FUNCTIONS, REGISTRY_MAP
from starlette.requests import Request as StarletteRequest

from portable_fn import Context, PortableError, Request, Response, on, portable
from portable_fn.pairs import Headers
from portable_fn.testing import deliver, fake
from portable_fn_gcp import decode, entry, register, simulate
from tests.runtimes.environments import ROOT, Unavailable
from tests.runtimes.gcp import functions_framework
from tests.runtimes.wire import send

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"


def flask(request: Request | None = None, **environ: Any) -> FlaskRequest:
    request = request or fake.request()
    variables = {**simulate.environ(request), "wsgi.input": BytesIO(request.body), **environ}
    return FlaskRequest({name: value for name, value in variables.items() if value is not None})


# The request


@pytest.mark.parametrize(
    ("raw_uri", "raw_path"),
    [
        ("/a%2Fb?x=/y", "/a%2Fb"),
        ("/", "/"),
        ("http://example.com/a%20b?x=1", "/a%20b"),
        ("http://example.com", "/"),
        ("//two//slashes", "//two//slashes"),
        ("/Zoë".encode().decode("latin-1"), "/Zo%C3%AB"),
    ],
)
def test_the_raw_path_is_the_request_targets(raw_uri: str, raw_path: str) -> None:
    assert raw_path == decode.http(flask(RAW_URI=raw_uri)).raw_path


def test_the_decoded_path_is_encoded_if_there_is_no_raw_path() -> None:
    request = decode.http(flask(RAW_URI=None, PATH_INFO="/a b/Zoë%".encode().decode("latin-1")))
    assert ("/a%20b/Zo%C3%AB%25", "/a b/Zoë%") == (request.raw_path, request.path)


def test_header_values_are_utf_8_or_else_latin_1() -> None:
    headers = decode.http(flask(HTTP_X_NAME="Zoë".encode().decode("latin-1"), HTTP_X_OLD="Zoë")).headers
    assert ("Zoë", "Zoë") == (headers["x-name"], headers["x-old"])


@pytest.mark.parametrize(
    ("forwarded", "scheme"),
    [
        ("http", "http"),
        ("https", "https"),
        ("http, https", "https"),
        ("x,HTTP", "http"),
        ("javascript", "https"),
        ("", "https"),
    ],
)
def test_the_scheme_is_the_last_one_that_googles_front_end_set(forwarded: str, scheme: str) -> None:
    assert scheme == decode.http(flask(HTTP_X_FORWARDED_PROTO=forwarded)).scheme
    assert "http" == decode.http(flask(HTTP_X_FORWARDED_PROTO=None)).scheme


def test_googles_front_end_sets_the_client_and_the_scheme() -> None:
    request = decode.http(flask(HTTP_X_FORWARDED_FOR="6.6.6.6, 203.0.113.9", HTTP_X_FORWARDED_PROTO="http"))
    assert ("203.0.113.9", "http") == (request.client_ip, request.scheme)
    request = decode.http(flask(HTTP_X_FORWARDED_FOR=None, HTTP_X_FORWARDED_PROTO=None))
    assert (None, "http") == (request.client_ip, request.scheme)


@pytest.mark.parametrize(
    ("execution_id", "request_id", "expected"), [("e-1", "r-1", "e-1"), (None, "r-1", "r-1"), (None, None, None)]
)
def test_the_invocation_id_is_the_execution_id_or_else_the_request_id(
    execution_id: str | None, request_id: str | None, expected: str | None
) -> None:
    request = decode.http(flask(HTTP_FUNCTION_EXECUTION_ID=execution_id, HTTP_X_REQUEST_ID=request_id))
    context = decode.GCPContext(request, False)
    assert context.invocation_id == request.id
    assert request.id == expected if expected else len(request.id) == 32


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (f"{TRACE_ID}/67667974448284343;o=1", ("00f067aa0ba902b7", True)),
        (f"{TRACE_ID}/67667974448284343;o=0", ("00f067aa0ba902b7", False)),
        (f"{TRACE_ID}/67667974448284343", ("00f067aa0ba902b7", False)),
        (f"{TRACE_ID}/18446744073709551615;o=1", ("ffffffffffffffff", True)),
        (f"{TRACE_ID}/18446744073709551616;o=1", None),
        (f"{TRACE_ID}/0;o=1", None),
        (f"{TRACE_ID}/٣;o=1", None),
        (f"{TRACE_ID}/{'9' * 5000};o=1", None),
        (TRACE_ID, None),
        ("nonsense", None),
        ("", None),
    ],
)
def test_googles_own_trace_header_is_read(value: str, expected: tuple[str, bool] | None) -> None:
    trace = decode.trace(Headers({"x-cloud-trace-context": value}))
    assert expected == (trace and (trace.span_id, trace.sampled))
    assert trace is None or TRACE_ID == trace.trace_id


def test_traceparent_comes_first() -> None:
    headers = {
        "traceparent": f"00-{TRACE_ID}-00f067aa0ba902b7-01",
        "x-cloud-trace-context": f"{'1' * 32}/1;o=1",
    }
    trace = decode.trace(Headers(headers))
    assert trace is not None and TRACE_ID == trace.trace_id


def test_the_context_has_cloud_runs_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("K_SERVICE", "orders")
    monkeypatch.setenv("K_REVISION", "orders-00001")
    monkeypatch.setenv("CLOUD_RUN_TIMEOUT_SECONDS", "60")
    context = decode.GCPContext(decode.http(flask()), True)
    assert ("gcp", "orders", "orders-00001", True) == (
        context.provider, context.function, context.version, context.cold_start,
    )  # fmt: skip
    remaining = context.remaining()
    assert remaining is not None and 59 < remaining <= 60


@pytest.mark.parametrize("seconds", [None, "", "soon"])
def test_there_is_no_deadline_without_cloud_runs_timeout(seconds: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CLOUD_RUN_TIMEOUT_SECONDS", raising=False)
    if seconds is not None:
        monkeypatch.setenv("CLOUD_RUN_TIMEOUT_SECONDS", seconds)
    assert decode.GCPContext(decode.http(flask()), True).remaining() is None


class Endless:
    """A body that never ends."""

    def __init__(self) -> None:
        self.asked = 0

    def read(self, size: int = -1) -> bytes:
        self.asked += size
        assert 0 < size < 10_000, "reads without a limit"
        return b"x" * size


@portable(on.http("POST", "/size"))
def size(request: Request) -> dict[str, int]:
    return {"size": len(request.body)}


@portable(on.http("POST", "/size", max_body=1000))
def small(request: Request) -> dict[str, int]:
    return {"size": len(request.body)}


def test_a_body_over_the_limit_is_refused_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    request = fake.request("POST", "/size")
    for length in ({"CONTENT_LENGTH": str(100_000_000)}, {"CONTENT_LENGTH": None, "HTTP_TRANSFER_ENCODING": "chunked"}):
        body = Endless()
        monkeypatch.setattr("portable_fn.adapter.routing.MAX_BODY", 1000)
        response = entry(small)(flask(request, **{**length, "wsgi.input": body}))
        assert 413 == response.status_code
        assert body.asked <= 1001


def test_a_body_that_ends_early_is_answered_with_400() -> None:
    request = fake.request("POST", "/size", body=b"abc")
    response = entry(size)(flask(request, CONTENT_LENGTH="10"))
    assert 400 == response.status_code


# The answer


def test_no_content_type_is_added_and_the_length_is_sent_once() -> None:
    @portable(on.http())
    def bare(request: Request) -> Response:
        return Response(200, {"content-length": "3"}, (), b"abc")

    answer = deliver(bare, fake.request(), to="gcp")
    assert [("content-length", "3")] == list(answer.headers.multi_items())


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_stream_is_closed_when_gunicorn_closes_it(kind: str) -> None:
    closed = threading.Event()

    def ticks() -> Iterator[bytes]:
        try:
            while True:
                yield b"tick"
        finally:
            closed.set()

    async def async_ticks() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"tick"
                await asyncio.sleep(0)
        finally:
            closed.set()

    @portable(on.http())
    def stream(request: Request) -> Response:
        return Response(200, (), (), ticks() if kind == "sync" else async_ticks())

    native = flask()
    chunks = entry(stream)(native)(native.environ, lambda status, headers: None)
    assert b"tick" == next(iter(chunks))
    chunks.close()
    assert closed.wait(2)


@pytest.mark.parametrize(
    ("error", "via"),
    [
        (ZeroDivisionError, "http"),
        (SystemExit, "http"),
        (GeneratorExit, "http"),
        (ZeroDivisionError, "http_async"),
        (SystemExit, "http_async"),
    ],
)
@pytest.mark.parametrize("kind", ["sync", "async"])
def test_an_error_in_a_stream_is_logged_and_closes_the_connection(
    error: type[BaseException], via: str, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    class Parts:
        """An iterator rather than a generator, for which GeneratorExit is a normal end."""

        def __init__(self) -> None:
            self._parts = [b"one"]

        def __iter__(self) -> Iterator[bytes]:
            return self

        def __next__(self) -> bytes:
            if self._parts:
                return self._parts.pop()
            raise error("on purpose")

    async def async_parts() -> AsyncIterator[bytes]:
        yield b"one"
        raise error("on purpose")

    @portable(on.http())
    def stream(request: Request) -> Response:
        return Response(200, (), (), Parts() if kind == "sync" else async_parts())

    with pytest.raises(PortableError, match="broke off"):
        deliver(stream, fake.request(), to="gcp", via=via)
    assert error.__name__ in caplog.text


@pytest.mark.parametrize("via", ["http", "http_async"])
def test_background_work_runs_before_the_answer_while_there_is_cpu(via: str) -> None:
    done = []

    @portable(on.http())
    async def handler(request: Request, ctx: Context) -> dict[str, bool]:
        async def later() -> None:
            await asyncio.sleep(0.01)
            done.append(True)

        ctx.background(later())
        return {"done": bool(done)}

    native = flask()
    assert {"done": False} == deliver(handler, fake.request(), to="gcp", via=via).json()
    assert done == [True]
    entry(handler)(native)
    assert done == [True, True]


def test_async_handlers_of_several_flask_threads_share_one_event_loop() -> None:
    loops = set()
    together = threading.Barrier(4)

    @portable(on.http())
    async def handler(request: Request) -> str:
        loops.add(asyncio.get_running_loop())
        await asyncio.to_thread(together.wait, 5)
        return "ok"

    target = entry(handler)
    statuses = []
    threads = [threading.Thread(target=lambda: statuses.append(target(flask()).status_code)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ([200] * 4, 1) == (statuses, len(loops))


def test_a_task_that_exits_does_not_end_the_event_loop() -> None:
    @portable(on.http())
    async def handler(request: Request) -> str:
        async def exits() -> None:
            raise SystemExit(3)

        try:
            await asyncio.create_task(exits())
        except SystemExit:
            return "lives"
        return "never"

    target = entry(handler)
    assert [b"lives", b"lives"] == [target(flask()).get_data() for _ in range(2)]


def test_a_sync_handler_does_not_block_the_loop_of_starlette() -> None:
    @portable(on.http())
    def sync(request: Request) -> str:
        time.sleep(0.2)
        return "ok"

    async def main() -> None:
        scope = simulate.scope(fake.request())
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        async def receive() -> Any:
            return await asyncio.Event().wait()

        answer = entry(sync)(StarletteRequest(scope, receive, send))
        call = asyncio.ensure_future(answer(scope, receive, send))
        beats = 0
        while not call.done():
            await asyncio.sleep(0.01)
            beats += 1
        await call
        assert (200, b"ok") == (sent[0]["status"], sent[1]["body"])
        assert beats > 5

    asyncio.run(main())


def test_head_of_a_stream_has_no_length_because_get_has_none() -> None:
    @portable(on.http("GET", "/"))
    def stream(request: Request) -> Iterator[bytes]:
        yield b"one"

    @portable(on.http("GET", "/whole"))
    def whole(request: Request) -> str:
        return "whole"

    lengths = {
        path: deliver([stream, whole], fake.request("HEAD", path), to="gcp").headers.get("content-length")
        for path in ("/", "/whole")
    }
    assert {"/": None, "/whole": "5"} == lengths


def test_the_handlers_framing_headers_are_dropped() -> None:
    @portable
    def handler(request: Request) -> Response:
        return Response(200, {"transfer-encoding": "chunked"}, (), b"abc")

    assert [("content-length", "3")] == list(deliver(handler, fake.request(), to="gcp").headers.multi_items())


# Registration


def sync_target(request: Request) -> str:
    return f"sync {request.method}"


async def async_target(request: Request) -> str:
    return f"async {request.method}"


def test_flask_runs_a_decorated_def_and_starlette_an_async_def() -> None:
    registered = [portable(handler) for handler in (sync_target, async_target)]
    assert ("http", "http") == (REGISTRY_MAP["sync_target"], REGISTRY_MAP["async_target"])
    assert (False, True) == ("sync_target" in ASGI_FUNCTIONS, "async_target" in ASGI_FUNCTIONS)
    assert [False, True] == [inspect.iscoroutinefunction(function) for function in registered]
    assert b"sync GET" == registered[0](flask()).get_data()
    starlette = StarletteRequest(simulate.scope(fake.request()))
    assert callable(asyncio.run(registered[1](starlette)))
    # Both still take neutral events, and can be passed to entry.
    assert "sync GET" == registered[0](fake.request())
    assert "async GET" == asyncio.run(registered[1](fake.request()))
    assert "async GET" == deliver(registered[1], fake.request(), to="asgi").text


def test_a_nested_function_is_not_registered() -> None:
    @portable
    async def inner(request: Request) -> str:
        return "ok"

    assert inner is register(inner)
    assert "inner" not in REGISTRY_MAP


def test_a_flask_function_imports_only_what_it_needs() -> None:
    code = "import sys, portable_fn_gcp; print([n for n in ('asyncio', 'flask', 'typing', 'dataclasses') if n in sys.modules])"
    path = {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT / 'adapters'}"}
    done = subprocess.run([sys.executable, "-S", "-c", code], env=path, capture_output=True, text=True, check=True)
    assert "[]" == done.stdout.strip()


# The real framework

MAIN = """
from portable_fn import Context, Request, on, portable

@portable(on.http("GET", "/hello/{name}"))
def hello(request: Request, ctx: Context) -> dict:
    return {"hello": request.params["name"], "id": ctx.invocation_id}

@portable(on.http("GET", "/hello/{name}"))
async def hello_async(request: Request) -> dict:
    return {"hello": request.params["name"]}

@portable(on.http("GET", "/broken"))
def broken(request):
    def parts():
        yield b"one"
        raise ZeroDivisionError
    return parts()

async def raw(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
        await send({"type": "http.response.body", "body": scope["path"].encode()})

from portable_fn import asgi_app

mounted = asgi_app(raw)
"""


@pytest.mark.runtime
@pytest.mark.parametrize(
    ("target", "asgi", "path", "expected"),
    [
        ("hello", False, "/hello/Ada", b'{"hello":"Ada"'),
        ("hello", True, "/hello/Ada", b'{"hello":"Ada"'),
        ("hello_async", False, "/hello/Ada", b'{"hello":"Ada"'),
        ("hello_async", True, "/hello/Ada", b'{"hello":"Ada"'),
        ("mounted", False, "/any/path", b"/any/path"),
        ("mounted", True, "/any/path", b"/any/path"),
    ],
)
def test_the_framework_serves_a_decorated_function(
    target: str, asgi: bool, path: str, expected: bytes, tmp_path: Path
) -> None:
    main = tmp_path / "main.py"
    main.write_text(MAIN)
    try:
        with functions_framework(main, target, asgi=asgi, pythonpath=[ROOT / "src", ROOT / "adapters"]) as server:
            received = send(server.url, "GET", path, [("function-execution-id", "e-1")], None)
            assert (200, expected) == (received.status, received.body[: len(expected)])
            if target != "mounted":
                assert 404 == send(server.url, "GET", "/nowhere", [], None).status
            if target == "hello":
                assert b'"id":"e-1"' in received.body
    except Unavailable as reason:
        pytest.skip(str(reason))


@pytest.mark.runtime
@pytest.mark.parametrize("asgi", [False, True])
def test_the_framework_closes_the_connection_of_a_failed_stream(asgi: bool, tmp_path: Path) -> None:
    main = tmp_path / "main.py"
    main.write_text(MAIN)
    try:
        with functions_framework(main, "broken", asgi=asgi, pythonpath=[ROOT / "src", ROOT / "adapters"]) as server:
            received = send(server.url, "GET", "/broken", [], None)
            assert (200, b"one", False) == (received.status, received.body, received.complete)
    except Unavailable as reason:
        pytest.skip(str(reason))
