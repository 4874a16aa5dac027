"""A compressed body: gzip is decompressed within the function's limit, another coding is a 415."""

from __future__ import annotations

import gzip
import os
import time
import tracemalloc
import zlib
from contextlib import suppress
from typing import Any

import fastapi
import pydantic
import pytest

from portable_fn import CloudEvent, HTTPError, Message, Request, Response, asgi_app, on, portable
from portable_fn.compression import MAX_MEMBERS, without_coding
from portable_fn.http import MAX_BODY
from portable_fn.providers import ADAPTERS, adapter
from portable_fn.testing import deliver, fake

SERVICES = [(provider, service) for provider in ADAPTERS for service in adapter(provider, "simulate").SERVICES]
GZIP = {"content-type": "application/json", "content-encoding": "gzip"}


class Item(pydantic.BaseModel):
    sku: str


@portable(on.http("POST", "/json"))
def read_json(request: Request) -> Any:
    return {"json": request.json(), "text": request.text, "data": request.data, "raw": len(request.raw_body)}


@portable(on.http("POST", "/model"))
def model(request: Request[Item]) -> str:
    return request.data.sku


@portable(on.http("POST", "/form"))
async def form(request: Request) -> str:
    return request.form["sku"]  # type: ignore[return-value]  # a text


@portable(on.http("POST", "/small", max_body=100))
def small(request: Request) -> int:
    return len(request.body)


@portable(on.http("POST", "/ignored"))
def ignored(request: Request) -> str:
    return "not read"


FUNCTIONS = [read_json, model, form, small, ignored]


@pytest.mark.parametrize(("provider", "service"), SERVICES)
def test_a_gzip_body_is_decompressed_on_every_service(provider: str, service: str) -> None:
    body = gzip.compress(b'{"sku":"lamp"}')
    answer = deliver(FUNCTIONS, fake.request("POST", "/json", body=body, headers=GZIP), to=provider, via=service)
    value = {"sku": "lamp"}
    assert {"json": value, "text": '{"sku":"lamp"}', "data": value, "raw": len(body)} == answer.json()
    answer = deliver(FUNCTIONS, fake.request("POST", "/model", body=body, headers=GZIP), to=provider, via=service)
    assert "lamp" == answer.text
    headers = {"content-type": "application/x-www-form-urlencoded", "content-encoding": "X-GZip"}
    request = fake.request("POST", "/form", body=gzip.compress(b"sku=lamp"), headers=headers)
    assert "lamp" == deliver(FUNCTIONS, request, to=provider, via=service).text


@pytest.mark.parametrize("provider", ADAPTERS)
def test_a_bomb_is_a_413(provider: str) -> None:
    bomb = gzip.compress(b"\0" * 1_000_000)
    request = fake.request("POST", "/small", body=bomb[:90], headers=GZIP)
    assert 413 == deliver(FUNCTIONS, request, to=provider).status
    request = fake.request("POST", "/json", body=gzip.compress(b"\0" * (MAX_BODY + 1)), headers=GZIP)
    answer = deliver(FUNCTIONS, request, to=provider)
    assert (413, f"The body is over {MAX_BODY} bytes when it is decompressed.") == (
        answer.status,
        answer.json()["detail"],
    )


@pytest.mark.parametrize(("coding", "possible"), [("br", False), ("deflate", False), ("zstd", False), ("gzip, gzip", False), ("gzip, br", False), ("x", False), ("identity", True), ("", True), ("identity, ", True)])  # fmt: skip
def test_another_coding_is_a_415_that_names_gzip(coding: str, possible: bool) -> None:
    request = fake.request("POST", "/json", body=b"{}", headers={"content-encoding": coding})
    answer = deliver(FUNCTIONS, request)
    if possible:
        assert {} == answer.json()["json"]
    else:
        assert (415, "gzip, identity") == (answer.status, answer.headers["accept-encoding"])
    request = fake.request("POST", "/ignored", body=b"{}", headers={"content-encoding": coding})
    assert "not read" == deliver(FUNCTIONS, request).text


@pytest.mark.parametrize("provider", ADAPTERS)
def test_a_body_that_a_proxy_has_inflated_already_is_read(provider: str) -> None:
    request = fake.request("POST", "/json", body=b'{"a":1}', headers=GZIP)
    assert {"a": 1} == deliver(FUNCTIONS, request, to=provider).json()["json"]
    request = fake.request("POST", "/json", body=b"\x1e\x8b not gzip", headers=GZIP)
    assert 400 == deliver(FUNCTIONS, request, to=provider).status


ONE = gzip.compress(b"one,")
TWO = gzip.compress(b"two")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", b""),
        (gzip.compress(b""), b""),
        (ONE + TWO, b"one,two"),
        (ONE + gzip.compress(b"") + TWO, b"one,two"),
        (ONE + TWO + b"\0" * 1000, b"one,two"),
        (ONE * 3000, b"one," * 3000),
        (gzip.compress(bytes(range(256)) * 400), bytes(range(256)) * 400),
    ],
)
def test_a_gzip_body_may_have_several_members(body: bytes, expected: bytes) -> None:
    assert expected == without_coding(body, "gzip", MAX_BODY)


WRONG_SUM = ONE[:-8] + b"\0\0\0\1" + ONE[-4:]


@pytest.mark.parametrize(
    "body",
    [
        ONE[:-1],
        ONE[:5],
        b"\x1f\x8b",
        ONE + b"x",
        ONE + b"\0" + TWO,
        ONE + TWO[:-1],
        WRONG_SUM,
        ONE[:-4] + b"\1\0\0\0",
        b"\x1f\x8b\x08\x00" + os.urandom(300),
        b"\x1f\x8b" + zlib.compress(b"a"),
    ],
)
def test_malformed_gzip_is_a_400(body: bytes) -> None:
    with pytest.raises(HTTPError) as caught:
        without_coding(body, "gzip", MAX_BODY)
    assert 400 == caught.value.status


@pytest.mark.parametrize("size", [0, 1, 1023, 1024, 1025, 100_000])
def test_the_limit_is_exact(size: int) -> None:
    body = gzip.compress(os.urandom(size))
    assert size == len(without_coding(body, "gzip", size))
    if size:
        with pytest.raises(HTTPError) as caught:
            without_coding(body, "gzip", size - 1)
        assert 413 == caught.value.status


HOSTILE = {
    "a bomb": gzip.compress(b"\0" * 300_000_000),
    "empty members": gzip.compress(b"") * (MAX_BODY // 20),
    "tiny members": gzip.compress(b"a") * (MAX_BODY // 21),
    "zeros between members": (gzip.compress(b"a") + b"\0") * 300_000,
    "members and then zeros": gzip.compress(b"a") * (MAX_MEMBERS - 1) + b"\0" * 9_000_000,
}


@pytest.mark.slow
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_gzip_takes_neither_memory_nor_time(name: str) -> None:
    began = time.process_time()
    tracemalloc.start()
    with suppress(HTTPError):
        without_coding(HOSTILE[name], "gzip", MAX_BODY)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3 * MAX_BODY
    assert time.process_time() - began < 5


def test_the_body_is_inflated_once_and_only_if_it_is_read() -> None:
    request = fake.request("POST", "/", body=gzip.compress(b"{}"), headers=GZIP)
    assert request.body is request.body
    assert request.raw_body != request.body


# Applications and events


def app() -> Any:
    api = fastapi.FastAPI()

    @api.post("/raw")
    async def raw(request: fastapi.Request) -> dict[str, Any]:
        return {
            "coding": request.headers.get("content-encoding"),
            "length": request.headers["content-length"],
            "body": (await request.body()).hex(),
        }

    return api


@pytest.mark.parametrize("provider", ADAPTERS)
@pytest.mark.parametrize("coding", ["gzip", "br"])
def test_an_application_gets_the_unchanged_body(provider: str, coding: str) -> None:
    body = gzip.compress(b"{}")
    request = fake.request("POST", "/raw", body=body, headers={"content-encoding": coding})
    expected = {"coding": coding, "length": str(len(body)), "body": body.hex()}
    assert expected == deliver(asgi_app(app()), request, to=provider).json()

    @portable(on.queue("orders"))
    def ship(message: Message) -> None: ...

    assert expected == deliver([asgi_app(app()), ship], request, to=provider).json()


def test_an_application_gets_the_body_that_middleware_set() -> None:
    def mount(change: Any) -> dict[str, Any]:
        @portable(on.http("POST", "/{path+}"), use=[change])
        async def mounted(request: Request, ctx: Any) -> Response:
            result: Response = await asgi_app(app()).__portable__.handler(request, ctx)  # type: ignore[attr-defined]
            return result

        request = fake.request("POST", "/raw", body=gzip.compress(b"{}"), headers=GZIP)
        read: dict[str, Any] = deliver(mounted, request).json()
        return read

    async def looks(event: Any, ctx: Any, call_next: Any) -> Any:
        assert b"{}" == event.body
        return await call_next(event, ctx)

    async def replaces(event: Any, ctx: Any, call_next: Any) -> Any:
        event.body = b"[]"
        return await call_next(event, ctx)

    assert {"coding": "gzip", "length": "22", "body": gzip.compress(b"{}").hex()}.keys() == mount(looks).keys()
    assert "gzip" == mount(looks)["coding"]
    assert {"coding": None, "length": "2", "body": b"[]".hex()} == mount(replaces)


@pytest.mark.parametrize("provider", ["gcp", "asgi"])
@pytest.mark.parametrize("mode", ["binary", "structured"])
def test_a_compressed_event_is_an_event(provider: str, mode: str, caplog: pytest.LogCaptureFixture) -> None:
    seen: list[Any] = []

    @portable(on.event("order.created"))
    def created(event: CloudEvent) -> None:
        seen.append(event.data)

    headers: dict[str, str] = {"content-encoding": "gzip"}
    if mode == "binary":
        headers |= {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "s", "ce-type": "order.created"}
        headers["content-type"] = "application/json"
        body = b'{"a":1}'
    else:
        headers["content-type"] = "application/cloudevents+json"
        body = b'{"specversion":"1.0","id":"1","source":"s","type":"order.created","data":{"a":1}}'

    def sent(sent: bytes) -> int:
        made = adapter(provider, "simulate").exchange(
            (created,), fake.request("POST", "/", body=sent, headers=headers), "http"
        )
        status: int = made.answer(made.invoke()).status
        return status

    assert sent(gzip.compress(body)) in (202, 204)
    assert [{"a": 1}] == seen
    assert 413 == sent(gzip.compress(b" " * 17_000_000))
    assert 400 == sent(gzip.compress(body)[:-1])
    headers["content-encoding"] = "br"
    assert 415 == sent(body)
    assert [{"a": 1}] == seen
    assert 3 == caplog.text.count("refused")
