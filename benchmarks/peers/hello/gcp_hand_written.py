"""Says hello, written for functions-framework alone."""

import functions_framework


@functions_framework.http
def hello(request):
    return {"hello": request.path.removeprefix("/hello/"), "from": "gcp"}
