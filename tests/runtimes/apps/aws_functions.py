"""Functions for the tests of portable_fn_aws.runtime."""

import asyncio
import time

from portable_fn import Context, Cookie, Request, Response, on, portable

loops = set()


@portable(on.http("GET", "/hello/{name}"))
def hello(request: Request, ctx: Context) -> dict:
    return {
        "hello": request.params["name"],
        "trace": str(ctx.trace),
        "remaining": round(ctx.remaining() or 0),
        "cold_start": ctx.cold_start,
        "function": ctx.function,
        "arn": ctx.native.invoked_function_arn,
        "client": ctx.native.client_context,
        "identity": ctx.native.identity,
        "tenant": ctx.native.tenant_id,
    }


@portable(on.http("GET", "/stream"))
async def stream(request: Request) -> Response:
    async def chunks():
        for chunk in (b"one,", b"", "zwei,", b"three"):
            yield chunk
            await asyncio.sleep(0.05)

    return Response(201, {"x-many": "a"}, [Cookie("a", "1"), Cookie("b", "2")], chunks())


@portable(on.http("GET", "/broken"))
def broken(request: Request):
    yield b"begun"
    raise ZeroDivisionError("mid-stream")


@portable(on.http("GET", "/loop"))
async def loop(request: Request) -> dict:
    loops.add(id(asyncio.get_running_loop()))
    return {"loops": len(loops)}


@portable(on.http("GET", "/exit"))
def exits(request: Request) -> None:
    raise SystemExit(3)


@portable(on.http("GET", "/odd/{what}"))
async def odd(request: Request, ctx: Context) -> Response:
    response = Response.text("ok")
    match request.params["what"]:
        case "body":
            response.body = 5
        case "cookies":
            response.cookies = 5
        case "header":
            response.headers.add("1", "a")
            response.headers.add("1", "b")
        case "error":
            raise Unspeakable
        case "background":

            async def cancels_itself() -> None:
                asyncio.current_task().cancel()
                await asyncio.sleep(0)

            ctx.background(cancels_itself())
    return response


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise SystemExit(3)


@portable(on.http("GET", "/endless/{kind}"))
def endless(request: Request) -> Response:
    def chunks():
        try:
            while True:
                yield b"x" * 100_000
        finally:
            print("closed the sync stream")

    async def async_chunks():
        try:
            while True:
                yield b"x" * 100_000
                await asyncio.sleep(0)
        finally:
            print("closed the async stream")

    return Response(200, (), (), chunks() if request.params["kind"] == "sync" else async_chunks())


@portable(on.http("GET", "/generator-exit"))
def raises_generator_exit(request: Request) -> Response:
    class Chunks:
        def __iter__(self):
            return self

        def __next__(self):
            raise GeneratorExit

    return Response(200, (), (), Chunks())


@portable(on.http("GET", "/slow"))
def slow(request: Request) -> str:
    print("has begun")
    time.sleep(0.5)
    return "done"
