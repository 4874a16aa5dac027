"""Say hello, on every provider."""

from portable_fn import Context, Request, on, portable


@portable(on.http("GET", "/hello/{name}"))
def hello(request: Request, ctx: Context) -> dict:
    return {"hello": request.params["name"], "from": ctx.provider}
