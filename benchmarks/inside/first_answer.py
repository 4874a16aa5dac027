"""Import a contender and answer one request: `python -c "import first_answer" PROVIDER MODULE NAME`.

Prints the seconds of the monotonic clock before the import and after the answer, and the CPU time till then; the answer is
checked. The clock is the machine's, so that the parent may subtract the moment of the spawn.
"""

import sys
from time import perf_counter, process_time

began = perf_counter()


def bare(module, name):
    return '{"hello": "Ada"}'


def aws(module, name):
    from events import EVENTS, LambdaContext

    handler = getattr(__import__(module), name)
    answer = handler(EVENTS["hello"], LambdaContext())
    return answer["body"]


def gcp(source, name):
    """Answer as `functions-framework --source … --target …`, whose application a WSGI server calls."""
    import io

    from functions_framework import create_app

    application = create_app(name, source)
    environ = {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/hello/Ada",
        "QUERY_STRING": "",
        "SERVER_NAME": "function.example",
        "SERVER_PORT": "443",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "function.example",
        "HTTP_ACCEPT": "*/*",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "https",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    return b"".join(application(environ, lambda status, headers, exc_info=None: None))


def azure(module, name):
    """Answer as the worker does: index the app's functions, then call one with its trigger's data."""
    app = getattr(__import__(module), name)
    from azure.functions import HttpRequest

    [function] = app.get_functions()
    user = function.get_user_function()
    params = {"name": "Ada"} if "{name}" in function.get_trigger().route else {"path": "hello/Ada"}
    AzureContext.function_directory = sys.modules[module].__file__.rpartition("/")[0]
    request = HttpRequest(
        "GET",
        "https://function.example/hello/Ada",  # the sample's host.json has no route prefix
        headers={"host": "function.example", "accept": "*/*"},
        params={},
        route_params=params,
        body=b"",
    )
    arguments = {user.__code__.co_varnames[0]: request}
    if "context" in user.__code__.co_varnames[: user.__code__.co_argcount]:
        arguments["context"] = AzureContext()
    answer = user(**arguments)
    if hasattr(answer, "__await__"):
        import asyncio

        answer = asyncio.run(answer)
    return answer.get_body()


class AzureContext:
    """The parts of the worker's context that the contenders read."""

    invocation_id = "4bf92f35-77b3-4da6-a3ce-929d0e0e4736"
    function_name = "hello"
    trace_context = retry_context = thread_local_storage = None


def asgi(module, name):
    """Answer in an event loop of asyncio, which every server has."""
    import asyncio

    app = getattr(__import__(module), name)
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "https",
        "path": "/hello/Ada",
        "raw_path": b"/hello/Ada",
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"function.example"), (b"accept", b"*/*")],
        "client": ("203.0.113.7", 50000),
        "server": ("function.example", 443),
        "state": {},
    }
    body = []

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        body.append(message.get("body", b""))

    asyncio.run(app(scope, receive, send))
    return b"".join(body)


_, provider, module, name = sys.argv
body = globals()[provider](module, name)
answered = perf_counter()
print(began, answered, process_time())

import json  # noqa: E402  # only now, so that no contender finds it loaded

assert json.loads(body)["hello"] == "Ada", body
