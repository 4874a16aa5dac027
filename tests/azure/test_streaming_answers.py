"""Answers of the streaming extension."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextvars import ContextVar
from types import SimpleNamespace
from typing import Any

import pytest

from portable_fn import (
    ConfigurationError,
    Context,
    Request,
    Response,
    on,
    portable,
)
from portable_fn_azure import entry
from tests.azure.http_app import streamed


class Starlettes:
    """A stand-in for Starlette's Response, the base of the extension's class."""


@pytest.fixture
def extension(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(
        sys.modules,
        "azurefunctions.extensions.http.fastapi",
        SimpleNamespace(Response=Starlettes),
    )


def test_streaming_without_its_package_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "azurefunctions.extensions.http.fastapi", None)  # so that it can't be imported
    with pytest.raises(ConfigurationError, match="azurefunctions-extensions-http-fastapi: add it"):
        entry(portable(on.http())(lambda request: None), streaming=True)


STEP: ContextVar[str] = ContextVar("STEP", default="unset")


class Sent:
    """The messages that an ASGI server sends."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []

    async def __call__(self, message: dict[str, Any]) -> None:
        self.messages.append(message)

    @property
    def status(self) -> int:
        status: int = self.messages[0]["status"]
        return status

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        return [pair for pair in self.messages[0]["headers"] if pair[0] != b"content-length"]

    @property
    def chunks(self) -> list[bytes]:
        return [message["body"] for message in self.messages[1:] if message.get("body")]


def answered(handler: Any, request: Any) -> Sent:
    """Call the app's function as the extension and its server do, and return what the server sends."""
    app = entry(handler, streaming=True)
    [azure_function] = app.get_functions()
    function: Callable[..., Awaitable[Any]] = azure_function.get_user_function()
    sent = Sent()

    async def client() -> dict[str, Any]:
        await asyncio.sleep(60)
        return {"type": "http.disconnect"}

    async def serve() -> None:
        response = await function(req=request, context=SimpleNamespace(invocation_id="i-1", function_name="http"))
        assert isinstance(response, Starlettes)
        # The server runs in another context.
        await asyncio.create_task(response(request.scope, client, sent))  # type: ignore[operator]  # an ASGI application

    asyncio.run(serve())
    return sent


@pytest.mark.usefixtures("extension")
def test_a_stream_is_sent_by_chunks_in_the_handlers_context_and_background_work_follows() -> None:
    done: list[str] = []

    async def later() -> None:
        done.append("background")

    async def chunks() -> AsyncIterator[bytes]:
        yield STEP.get().encode()
        done.append("stream")
        yield b"two"

    @portable(on.http())
    async def handler(request: Request, ctx: Context) -> Response:
        STEP.set("set")
        ctx.background(later())
        return Response(200, [("x-a", "1"), ("x-a", "Zoë")], body=chunks())

    sent = answered(handler, streamed(path="a"))
    assert (200, [b"set", b"two"]) == (sent.status, sent.chunks)
    assert [(b"x-a", b"1"), (b"x-a", b"Zo%C3%AB")] == sent.headers
    assert ["stream", "background"] == done


@pytest.mark.usefixtures("extension")
def test_background_work_is_finished_although_a_stream_breaks() -> None:
    done: list[str] = []

    async def later() -> None:
        done.append("background")

    async def chunks() -> AsyncIterator[bytes]:
        yield b"one"
        raise KeyError("k")

    @portable(on.http())
    async def handler(request: Request, ctx: Context) -> Response:
        ctx.background(later())
        return Response(200, body=chunks())

    with pytest.raises(Exception, match="stream"):
        answered(handler, streamed())
    assert ["background"] == done


@portable(on.http(max_body=8))
def whole(request: Request) -> Response:
    if request.text == "fail":
        raise KeyError("secret")
    return Response(201, [("set-cookie", "a=x=y"), ("set-cookie", "b=x=y")], body=request.body + request.path.encode())


def part(body: bytes, more: bool = False) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


@pytest.mark.usefixtures("extension")
@pytest.mark.parametrize(
    ("parts", "status", "body"),
    [
        ((part(b"a", True), part(b"b", True), part(b"c")), 201, b"abc/items"),
        ((part(b"12345678"),), 201, b"12345678/items"),
        ((part(b"12345678", True), part(b"9")), 413, b"problem"),
        ((part(b"fail"),), 500, b"problem"),
        ((part(b"a", True),), 400, b""),
    ],
)
def test_a_streaming_request_is_read_to_its_end_and_always_answered(
    parts: tuple[dict[str, Any], ...], status: int, body: bytes
) -> None:
    sent = answered(whole, streamed("/api/items", parts=parts, path="items"))
    assert status == sent.status
    if status == 201:
        assert [(b"set-cookie", b"a=x=y"), (b"set-cookie", b"b=x=y")] == sent.headers
    if body == b"problem":
        assert (b"content-type", b"application/problem+json") in sent.headers
        assert b"secret" not in b"".join(sent.chunks)
    else:
        assert body == b"".join(sent.chunks)
