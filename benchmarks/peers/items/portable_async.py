"""Reads and answers what all of these do, with portable_fn and async handlers."""

from portable_fn import Context, Request, on, portable
from portable_fn_aws import entry


@portable(on.http("GET", "/hello/{name}"))
async def hello(request: Request, ctx: Context) -> dict:
    return {"hello": request.params["name"]}


@portable(on.http("GET", "/items/{id}"))
async def show(request: Request, ctx: Context) -> dict:
    return {
        "method": request.method,
        "path": request.path,
        "id": request.params["id"],
        "colour": request.query["colour"],
        "page": request.query["page"],
        "agent": request.headers["user-agent"],
        "session": request.cookies["session"],
    }


@portable(on.http("POST", "/items"))
async def create(request: Request, ctx: Context) -> dict:
    order = request.json()
    return {
        "method": request.method,
        "path": request.path,
        "agent": request.headers["user-agent"],
        "customer": order["customer"],
        "count": len(order["items"]),
    }


lambda_handler = entry(hello, show, create)
