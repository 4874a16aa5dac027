"""Test the adapter under an ASGI server, beyond the stories."""

from __future__ import annotations

import asyncio
import contextvars
import json
import logging
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest

from portable_fn import Context, HTTPError, PortableError, Request, Response, on, portable
from portable_fn.adapter.asgi import ASGIContext
from portable_fn.errors import DecodeError
from portable_fn.testing import fake
from portable_fn_asgi import decode, entry, simulate

Message = dict[str, Any]


class Client:
    """A client of an ASGI application: the messages that it sends, and those that it received."""

    def __init__(self, application: Any, request: Request | None = None, *parts: Message, **scope: Any) -> None:
        self.scope = {**simulate.scope(request or fake.request()), **scope}
        self.incoming: asyncio.Queue[Message] = asyncio.Queue()
        for part in parts or ({"type": "http.request", "body": (request or fake.request()).body, "more_body": False},):
            self.incoming.put_nowait(part)
        self.received: list[Message] = []
        self.on_send: Callable[[Message], Awaitable[None]] | None = None
        self._application = application

    def leave(self) -> None:
        self.incoming.put_nowait({"type": "http.disconnect"})

    async def send(self, message: Message) -> None:
        self.received.append(message)
        if self.on_send is not None:
            await self.on_send(message)

    async def call(self) -> list[Message]:
        await asyncio.wait_for(self._application(self.scope, self.incoming.get, self.send), 10)
        return self.received

    @property
    def status(self) -> int:
        return self.received[0]["status"]

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.received[1:])


def chunk(body: bytes, more: bool = True) -> Message:
    return {"type": "http.request", "body": body, "more_body": more}


@portable(on.http("POST", "/small", max_body=10))
async def small(request: Request) -> dict[str, int]:
    return {"size": len(request.body)}


@portable(on.http("POST", "/large"))
async def large(request: Request) -> dict[str, int]:
    return {"size": len(request.body)}


def test_a_body_arrives_in_several_messages() -> None:
    async def main() -> None:
        client = Client(
            entry(small, large), fake.request("POST", "/large"), chunk(b"ab"), chunk(b"c"), chunk(b"", False)
        )
        await client.call()
        assert b'{"size":3}' == client.body

    asyncio.run(main())


def test_a_content_length_over_the_limit_is_refused_unread() -> None:
    async def main() -> None:
        request = fake.request("POST", "/small", headers={"content-length": "11"}, body=b"x" * 11)
        client = Client(entry(small, large), request, chunk(b"x"), chunk(b"never read"))
        await client.call()
        assert (413, 2) == (client.status, client.incoming.qsize())
        assert "application/problem+json" == dict(client.received[0]["headers"])[b"content-type"].decode()

    asyncio.run(main())


def test_a_body_without_a_length_is_refused_once_it_exceeds_the_limit() -> None:
    async def main() -> None:
        request = fake.request("POST", "/small", headers={"transfer-encoding": "chunked"})
        client = Client(entry(small, large), request, chunk(b"x" * 8), chunk(b"x" * 3), chunk(b"never read"))
        await client.call()
        assert (413, 1) == (client.status, client.incoming.qsize())

    asyncio.run(main())


def test_an_http_2_body_needs_no_length() -> None:
    @portable(on.http("GET"))
    async def size(request: Request) -> dict[str, int]:
        return {"size": len(request.body)}

    async def main() -> None:
        client = Client(entry(size), None, chunk(b"abc", False), http_version="2")
        await client.call()
        assert b'{"size":3}' == client.body

    asyncio.run(main())


def test_a_client_that_disconnects_while_sending_gets_no_answer() -> None:
    async def main() -> None:
        client = Client(entry(large), fake.request("POST", "/large"), chunk(b"x"), {"type": "http.disconnect"})
        assert [] == await client.call()

    asyncio.run(main())


def test_a_bytes_body_has_a_length_and_a_stream_has_none() -> None:
    @portable(on.http("GET", "/{kind}"))
    async def answer(request: Request) -> Any:
        return b"abc" if request.params["kind"] == "bytes" else iter([b"abc"])

    async def main() -> None:
        whole, stream = (
            Client(entry(answer), fake.request("GET", "/bytes")),
            Client(entry(answer), fake.request("GET", "/s")),
        )
        await whole.call()
        await stream.call()
        assert (b"content-length", b"3") in whole.received[0]["headers"]
        assert b"content-length" not in dict(stream.received[0]["headers"])

    asyncio.run(main())


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_stream_stops_and_closes_when_the_client_leaves(kind: str) -> None:
    closed = threading.Event()

    def ticks() -> Iterator[bytes]:
        try:
            while True:
                yield b"tick"
                time.sleep(0.01)
        finally:
            closed.set()

    async def async_ticks() -> AsyncIterator[bytes]:
        try:
            yield b"tick"
            await asyncio.sleep(3600)
        finally:
            closed.set()

    @portable(on.http())
    async def stream(request: Request) -> Response:
        return Response(200, (), (), ticks() if kind == "sync" else async_ticks())

    async def main() -> None:
        client = Client(entry(stream))

        async def leave_after_the_first(message: Message) -> None:
            if message.get("body"):
                client.leave()

        client.on_send = leave_after_the_first
        client.incoming.get_nowait()
        began = time.monotonic()
        await client.call()
        assert closed.is_set()
        assert time.monotonic() - began < 2
        assert client.received[-1].get("more_body"), "the stream ends as if it were whole"
        assert 0 == asyncio.current_task().cancelling()

    asyncio.run(main())


def test_a_stream_stops_if_the_server_raises_oserror_for_a_client_that_left() -> None:
    closed = threading.Event()

    async def ticks() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"tick"
        finally:
            closed.set()

    @portable(on.http())
    async def stream(request: Request) -> Response:
        return Response(200, (), (), ticks())

    async def main() -> None:
        client = Client(entry(stream))
        client.incoming.get_nowait()

        async def broken_pipe(message: Message) -> None:
            if message.get("body"):
                raise BrokenPipeError

        client.on_send = broken_pipe
        await client.call()
        assert closed.is_set()

    asyncio.run(main())


def test_a_stream_that_ignores_its_cancellation_still_stops() -> None:
    async def stubborn() -> AsyncIterator[bytes]:
        while True:
            yield b"tick"
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                pass

    @portable(on.http())
    async def stream(request: Request) -> Response:
        return Response(200, (), (), stubborn())

    async def main() -> None:
        client = Client(entry(stream), None, chunk(b"", False), {"type": "http.disconnect"})
        client.incoming.get_nowait()
        await client.call()
        assert 2 >= len(client.received)

    asyncio.run(main())


@pytest.mark.parametrize("error", [ZeroDivisionError, SystemExit, OSError])
@pytest.mark.parametrize("kind", ["sync", "async"])
def test_an_error_in_a_stream_is_logged_and_closes_the_connection(
    error: type[BaseException], kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    def parts() -> Iterator[bytes]:
        yield b"one"
        raise error("on purpose")

    async def async_parts() -> AsyncIterator[bytes]:
        yield b"one"
        raise error("on purpose")

    @portable(on.http())
    async def stream(request: Request) -> Response:
        return Response(200, (), (), parts() if kind == "sync" else async_parts())

    async def main() -> None:
        client = Client(entry(stream))
        client.incoming.get_nowait()
        with pytest.raises(PortableError, match="broke off"):
            await client.call()
        assert [b"one"] == [message.get("body") for message in client.received[1:]]

    asyncio.run(main())
    assert error.__name__ in caplog.text


def test_a_chunk_that_is_neither_bytes_nor_str_closes_the_connection(caplog: pytest.LogCaptureFixture) -> None:
    @portable(on.http())
    async def stream(request: Request) -> Response:
        return Response(200, (), (), iter(["é", 5]))  # type: ignore[list-item]  # the mistake

    async def main() -> None:
        client = Client(entry(stream))
        client.incoming.get_nowait()
        with pytest.raises(PortableError):
            await client.call()
        assert "é".encode() == client.body

    asyncio.run(main())
    assert "a stream's chunks must be bytes or str, not int" in caplog.text


def test_a_sync_handler_does_not_block_the_loop_and_keeps_context_variables() -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")

    @portable(on.http("GET", "/sync"))
    def sync(request: Request) -> dict[str, str]:
        time.sleep(0.2)
        return {"variable": variable.get(), "thread": threading.current_thread().name}

    async def main() -> None:
        variable.set("kept")
        client = Client(entry(sync), fake.request("GET", "/sync"))
        call = asyncio.create_task(client.call())
        beats = 0
        while not call.done():
            await asyncio.sleep(0.01)
            beats += 1
        seen = json.loads(client.body)
        assert "kept" == seen["variable"]
        assert threading.current_thread().name != seen["thread"]
        assert beats > 5

    asyncio.run(main())


@pytest.mark.parametrize("error", [StopIteration, SystemExit, KeyboardInterrupt, asyncio.CancelledError, GeneratorExit])
def test_every_error_of_a_sync_handler_is_answered(error: type[BaseException]) -> None:
    @portable(on.http())
    def raising(request: Request) -> None:
        raise error

    async def main() -> None:
        client = Client(entry(raising))
        await client.call()
        assert 500 == client.status

    asyncio.run(main())


def test_a_def_that_returns_a_coroutine_is_awaited() -> None:
    async def later() -> dict[str, int]:
        return {"a": 1}

    @portable(on.http())
    def handler(request: Request) -> Any:
        return later()

    async def main() -> None:
        client = Client(entry(handler))
        await client.call()
        assert b'{"a":1}' == client.body

    asyncio.run(main())


def test_a_cancellation_by_the_server_propagates() -> None:
    @portable(on.http())
    async def slow(request: Request) -> None:
        await asyncio.sleep(3600)

    async def main() -> None:
        client = Client(entry(slow))
        task = asyncio.create_task(client.call())
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert [] == client.received

    asyncio.run(main())


def test_a_cancellation_by_the_server_closes_a_stream() -> None:
    closed = False

    async def ticks() -> AsyncIterator[bytes]:
        nonlocal closed
        try:
            yield b"tick"
            await asyncio.sleep(3600)
        finally:
            closed = True

    @portable(on.http())
    async def stream(request: Request) -> Response:
        return Response(200, (), (), ticks())

    async def main() -> None:
        client = Client(entry(stream))
        task = asyncio.create_task(client.call())
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert closed

    asyncio.run(main())


def test_background_work_runs_after_the_answer() -> None:
    order = []

    @portable(on.http())
    async def handler(request: Request, ctx: Context) -> str:
        async def later() -> None:
            order.append("background")

        ctx.background(later())
        return "ok"

    async def main() -> None:
        client = Client(entry(handler))

        async def note(message: Message) -> None:
            order.append(message["type"])

        client.on_send = note
        await client.call()

    asyncio.run(main())
    assert ["http.response.start", "http.response.body", "background"] == order


def test_the_lifespan_is_answered() -> None:
    async def main() -> None:
        client = Client(
            entry(small), None, {"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}, type="lifespan"
        )
        sent = await client.call()
        assert ["lifespan.startup.complete", "lifespan.shutdown.complete"] == [message["type"] for message in sent]

    asyncio.run(main())


def test_a_websocket_is_refused() -> None:
    async def main() -> None:
        client = Client(entry(small), None, {"type": "websocket.connect"}, type="websocket")
        [closed] = await client.call()
        assert ("websocket.close", 1000) == (closed["type"], closed["code"])

    asyncio.run(main())


def test_an_unknown_scope_is_refused_with_the_known_ones() -> None:
    async def main() -> None:
        with pytest.raises(DecodeError, match="type 'mqtt' is unknown; known are http, lifespan and websocket"):
            await Client(entry(small), type="mqtt").call()

    asyncio.run(main())


@pytest.mark.parametrize(
    ("scope", "raw_path", "root_path", "path"),
    [
        ({"raw_path": b"/a%20b", "path": "/a b"}, "/a%20b", "", "/a b"),
        ({"raw_path": None, "path": "/a b/é%"}, "/a%20b/%C3%A9%25", "", "/a b/é%"),
        ({"raw_path": "/é".encode(), "path": "/é"}, "/%C3%A9", "", "/é"),
        ({"raw_path": b"/api/x", "path": "/api/x", "root_path": "/api"}, "/x", "/api", "/x"),
        ({"raw_path": b"/x", "path": "/x", "root_path": "/api/"}, "/x", "/api", "/x"),
        ({"raw_path": b"/api", "path": "/api", "root_path": "/api"}, "/", "/api", "/"),
        ({"raw_path": b"/apis", "path": "/apis", "root_path": "/api"}, "/apis", "/api", "/apis"),
    ],
)
def test_the_root_path_is_removed_from_the_path(scope: Message, raw_path: str, root_path: str, path: str) -> None:
    request = decode.ScopeRequest({**simulate.scope(fake.request()), **scope})
    assert (raw_path, root_path, path) == (request.raw_path, request.root_path, request.path)


def test_header_values_are_utf_8_or_else_latin_1_and_repeats_are_kept() -> None:
    lines = [(b"x-name", "Zoë".encode()), (b"x-old", "Zoë".encode("latin-1")), (b"x-tag", b"1"), (b"x-tag", b"2")]
    request = decode.ScopeRequest({**simulate.scope(fake.request()), "headers": lines})
    assert ("Zoë", "Zoë", ["1", "2"]) == (
        request.headers["x-name"], request.headers["x-old"], request.headers.get_all("x-tag"),
    )  # fmt: skip


def test_the_context_has_knatives_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("K_SERVICE", "orders")
    monkeypatch.setenv("K_REVISION", "orders-00001")
    scope = simulate.scope(fake.request(headers={"x-request-id": "r-1"}))
    context = ASGIContext("asgi", decode.ScopeRequest(scope), True)
    assert ("orders", "orders-00001", "r-1", None) == (
        context.function, context.version, context.invocation_id, context.remaining(),
    )  # fmt: skip
    assert context.cold_start and repr(context)


def test_an_http_error_before_the_handler_is_answered_with_its_problem() -> None:
    @portable(on.http("POST", "/x"))
    async def handler(request: Request) -> None:
        raise HTTPError(409, "taken")

    async def main() -> None:
        client = Client(entry(handler), fake.request("POST", "/x"))
        await client.call()
        assert (409, "taken") == (client.status, json.loads(client.body)["detail"])

    asyncio.run(main())


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)
