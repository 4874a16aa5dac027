"""Says hello with Starlette behind Mangum; without lifespan, which would cost each call a task."""

from mangum import Mangum
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route


async def hello(request):
    return JSONResponse({"hello": request.path_params["name"], "from": "aws"})


lambda_handler = Mangum(Starlette(routes=[Route("/hello/{name}", hello)]), lifespan="off")
