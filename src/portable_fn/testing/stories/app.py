"""Serve the HTTP stories: the functions of one entry."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime

from portable_fn import Context, Cookie, HTTPError, Request, Response, cors, on, portable

CHUNKS = (b"one,", b"two,", b"three")
EVERY_BYTE = bytes(range(256))


def _seen(request: Request) -> dict[str, object]:
    return {
        "method": request.method,
        "path": request.path,
        "raw_path": request.raw_path,
        "query": [list(pair) for pair in request.query.multi_items()],
        "headers": dict(request.headers),
        "cookies": [list(pair) for pair in request.cookies.multi_items()],
        "body": request.body.hex(),
        "params": request.params,
        "host": request.host,
        "scheme": request.scheme,
        "client_ip": request.client_ip,
        "content_type": request.content_type,
        "principal": request.principal and request.principal.id,
        "id": request.id,
        "source": request.source,
        "time": request.time.isoformat(),
        "url": request.url,
    }


@portable(on.http("ANY", "/echo/{rest+}"))
def echo(request: Request) -> dict[str, object]:
    return _seen(request)


@portable(on.http("ANY", "/async-echo"))
async def async_echo(request: Request) -> dict[str, object]:
    await asyncio.sleep(0)
    return _seen(request)


@portable(on.http("GET", "/context"))
def context(request: Request, ctx: Context) -> dict[str, object]:
    return {
        "provider": ctx.provider,
        "function": ctx.function,
        "invocation_id": ctx.invocation_id,
        "correlation_id": ctx.correlation_id,
        "trace": ctx.trace and [ctx.trace.trace_id, ctx.trace.span_id, ctx.trace.sampled, ctx.trace.state],
        "remaining": ctx.remaining(),
    }


@portable(on.http("GET", "/items/{id}"))
def item(request: Request) -> dict[str, object]:
    return {"id": request.params["id"]}


@portable(on.http("POST", "/mirror"))
def mirror(request: Request) -> Response:
    return Response(200, {"content-type": request.content_type or "application/octet-stream"}, (), request.body)


@portable(on.http("POST", "/size"))
def size(request: Request) -> dict[str, int]:
    return {"size": len(request.body)}


@portable(on.http("POST", "/limited", max_body=1000))
def limited(request: Request) -> dict[str, int]:
    return {"size": len(request.body)}


@portable(on.http("POST", "/json"))
def read_json(request: Request) -> object:
    return {"data": request.json()}


@portable(on.http("POST", "/text"))
def read_text(request: Request) -> dict[str, str]:
    return {"text": request.text}


@portable(on.http("POST", "/form"))
def read_form(request: Request) -> dict[str, object]:
    return {"form": [list(pair) for pair in request.form.multi_items()]}


@portable(on.http("GET", "/search"))
def search(request: Request) -> dict[str, object]:
    return {"q": request.query["q"], "limit": request.query.get_int("limit", 20, ge=1, le=100)}


@portable(on.http("GET", "/bytes"))
def every_byte(request: Request) -> bytes:
    return EVERY_BYTE


@portable(on.http("GET", "/large"))
def large(request: Request) -> bytes:
    return EVERY_BYTE * 4096


@portable(on.http("GET", "/nothing"))
def nothing(request: Request) -> None:
    return None


@portable(on.http("GET", "/string"))
def string(request: Request) -> str:
    return "grüße"


@portable(on.http("GET", "/cookies"))
def cookies(request: Request) -> Response:
    return Response(200, (), [Cookie("a", "1"), Cookie("b", "2"), Cookie("c", "x=y")], "ok")


@portable(on.http("GET", "/cookie-attributes"))
def cookie_attributes(request: Request) -> Response:
    full = Cookie(
        "full",
        "v",
        expires=datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC),
        max_age=60,
        domain="example.com",
        path="/p",
        secure=True,
        http_only=True,
        same_site="None",
        partitioned=True,
    )
    return Response(200, (), [full, Cookie("plain", "w", path=None)], "ok")


@portable(on.http("GET", "/headers"))
def headers(request: Request) -> Response:
    return Response(200, [("x-one", "1"), ("x-many", "a"), ("x-many", "b"), ("x-name", "Zoë")], (), "ok")


@portable(on.http("GET", "/no-content-type"))
def no_content_type(request: Request) -> Response:
    return Response(200, (), (), b"bare")


@portable(on.http("GET", "/status/{status}"))
def status(request: Request) -> Response:
    code = int(request.params["status"])
    return Response(code, {"content-type": "text/plain", "x-status": str(code)}, (), f"status {code}".encode())


@portable(on.http("GET", "/error/{status}"))
def error(request: Request) -> None:
    raise HTTPError(int(request.params["status"]), "on purpose", headers={"x-why": "told"}, extensions={"balance": 30})


@portable(on.http("GET", "/redirect"))
def redirect(request: Request) -> Response:
    return Response.redirect("/elsewhere?a=ü", 303)


@portable(on.http("GET", "/crash"))
def crash(request: Request) -> None:
    raise ZeroDivisionError("a-secret-detail")


@portable(on.http("GET", "/async-crash"))
async def async_crash(request: Request) -> None:
    raise ZeroDivisionError("a-secret-detail")


@portable(on.http("GET", "/exit"))
def exits(request: Request) -> None:
    raise SystemExit(3)


@portable(on.http("GET", "/async-exit"))
async def async_exits(request: Request) -> None:
    raise SystemExit(3)


@portable(on.http("GET", "/unwritable"))
def unwritable(request: Request) -> object:
    return {"value": object()}


@portable(on.http("GET", "/stream"))
def stream(request: Request) -> Iterator[bytes]:
    yield from CHUNKS


@portable(on.http("GET", "/async-stream"))
async def async_stream(request: Request) -> Response:
    async def chunks() -> AsyncIterator[bytes]:
        for chunk in CHUNKS:
            yield chunk
            await asyncio.sleep(0.02)

    return Response(200, {"content-type": "text/plain", "x-stream": "yes"}, [Cookie("s", "1")], chunks())


@portable(on.http("GET", "/slow/{name}"))
async def slow(request: Request, ctx: Context) -> dict[str, str]:
    await asyncio.sleep(0.02)
    return {"name": request.params["name"], "correlation_id": ctx.correlation_id}


@portable(on.http("GET", "/background"))
async def background(request: Request, ctx: Context) -> dict[str, int]:
    async def later() -> None:
        await asyncio.sleep(0)
        BACKGROUND.append(request.id)

    done = len(BACKGROUND)
    ctx.background(later())
    return {"done": done}


@portable(on.http("GET", "/background-done"))
def background_done(request: Request) -> dict[str, int]:
    return {"done": len(BACKGROUND)}


BACKGROUND: list[str] = []


@portable(on.http(["GET", "PUT"], "/cors"), use=[cors(["https://app.example"], credentials=True, expose=["x-total"])])
def shared(request: Request) -> Response:
    if request.query.get("crash"):
        raise ZeroDivisionError("a-secret-detail")
    return Response(200, {"x-total": "3"}, (), "shared")
