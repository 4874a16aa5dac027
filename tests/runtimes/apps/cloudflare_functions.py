"""Functions that show what a Worker alone has or does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextvars import ContextVar

from portable_fn import Context, Request, Response, on, portable

WHO: ContextVar[str] = ContextVar("WHO", default="nobody")
DONE: list[str] = []


@portable(on.http("ANY", "/seen/{rest+}"))
def seen(request: Request, ctx: Context) -> dict[str, object]:
    principal = request.principal
    return {
        "method": request.method,
        "raw_path": request.raw_path,
        "raw_query": request.raw_query,
        "host": request.host,
        "cookies": request.cookies.multi_items(),
        "cookie": request.headers.get("cookie"),
        "id": request.id,
        "principal": principal and [principal.id, principal.scheme, principal.claims],
        "provider": ctx.provider,
        "region": ctx.region,
        "version": ctx.version,
        "invocation_id": ctx.invocation_id,
        "remaining": ctx.remaining(),
        "size": len(request.body),
    }


@portable(on.http("ANY", "/{star}"))
def star(request: Request) -> str:
    return request.raw_path


@portable(on.http("GET", "/env"))
def env(request: Request, ctx: Context) -> dict[str, object]:
    missing = []
    for name in ("NO_SUCH_NAME", "toString", "__class__", "_env", "constructor"):
        try:
            ctx.env[name]
        except KeyError:
            missing.append(name)
    return {
        "greeting": ctx.env["GREETING"],
        "default": ctx.env.get("NO_SUCH_NAME", "default"),
        "in": ["GREETING" in ctx.env, "toString" in ctx.env],
        "listed": "GREETING" in list(ctx.env),
        "length": len(ctx.env) == len(dict(ctx.env)) > 0,
        "missing": missing,
    }


@portable(on.http("GET", "/background/{how}"))
async def background(request: Request, ctx: Context) -> list[str]:
    how = request.params["how"]

    async def work() -> None:
        await asyncio.sleep(0.1)
        DONE.append(how)
        if how == "fails":
            raise LookupError("no such work")
        if how == "exits":
            raise SystemExit(3)

    ctx.background(work())
    return list(DONE)


@portable(on.http("GET", "/done"))
def done(request: Request) -> list[str]:
    return list(DONE)


async def parts(how: str) -> AsyncIterator[bytes | str]:
    try:
        yield b"one,"
        yield ""
        await asyncio.sleep(0.01)
        yield "zwölf,"
        if how == "fails":
            raise LookupError("no such part")
        if how == "exits":
            raise SystemExit(3)
        if how == "number":
            yield 3  # type: ignore[misc]  # on purpose
        if how == "endless":
            while True:
                await asyncio.sleep(0.01)
                yield b"more,"
        if how == "stuck":
            await asyncio.sleep(60)
        yield WHO.get().encode()
    finally:
        print("closed", how)


@portable(on.http("GET", "/stream/{how}"))
async def stream(request: Request) -> Response:
    WHO.set(request.query.get("who", "nobody"))
    return Response(200, (), (), parts(request.params["how"]))


def sync_parts(how: str) -> Iterator[bytes]:
    try:
        yield b"one,"
        if how == "fails":
            raise LookupError("no such part")
        while how == "endless":
            yield b"x" * 4096
        yield WHO.get().encode()
    finally:
        print("closed", how, "sync")


@portable(on.http("GET", "/sync-stream/{how}"))
def sync_stream(request: Request) -> Response:
    WHO.set(request.query.get("who", "nobody"))
    return Response(200, (), (), sync_parts(request.params["how"]))


@portable(on.http("GET", "/odd/{what}"))
def odd(request: Request) -> Response:
    match request.params["what"]:
        case "surrogate":
            return Response(200, {"x-odd": "a\ud800b"})
        case "interrupt":
            raise KeyboardInterrupt
        case "cancelled":
            raise asyncio.CancelledError
        case "stop":
            raise StopIteration
        case "gzip":
            return Response(200, {"content-encoding": "gzip", "content-type": "text/plain"}, (), b"already encoded")
        case "twice":
            return Response(200, [("vary", "a"), ("vary", "b"), ("www-authenticate", "A"), ("www-authenticate", "B")])
        case "set-cookie":
            return Response(200, [("set-cookie", "a=1"), ("set-cookie", "b=2")], {"c": "3"})
        case "bare":
            return Response(200, (), (), b"bare")
        case "none":
            return Response(200)
        case what:
            return Response(int(what), {"x-status": what})


@portable(on.http("POST", "/small", max_body=1000))
def small(request: Request) -> int:
    return len(request.body)
