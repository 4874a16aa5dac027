"""Says hello with portable_fn, by an async handler."""

from portable_fn import Context, Request, on, portable
from portable_fn_asgi import entry


@portable(on.http("GET", "/hello/{name}"))
async def hello(request: Request, ctx: Context) -> dict:
    return {"hello": request.params["name"], "from": ctx.provider}


app = entry(hello)
