"""Functions for the tests of portable_fn_aws.runtime."""

import asyncio

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
