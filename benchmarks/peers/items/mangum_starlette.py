"""Reads and answers what all of these do, with Starlette behind Mangum."""

from mangum import Mangum
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route


async def hello(request):
    return JSONResponse({"hello": request.path_params["name"]})


async def show(request):
    return JSONResponse(
        {
            "method": request.method,
            "path": request.url.path,
            "id": request.path_params["id"],
            "colour": request.query_params["colour"],
            "page": request.query_params["page"],
            "agent": request.headers["user-agent"],
            "session": request.cookies["session"],
        }
    )


async def create(request):
    order = await request.json()
    return JSONResponse(
        {
            "method": request.method,
            "path": request.url.path,
            "agent": request.headers["user-agent"],
            "customer": order["customer"],
            "count": len(order["items"]),
        }
    )


routes = [
    Route("/hello/{name}", hello, methods=["GET"]),
    Route("/items/{id}", show, methods=["GET"]),
    Route("/items", create, methods=["POST"]),
]
lambda_handler = Mangum(Starlette(routes=routes), lifespan="off")
