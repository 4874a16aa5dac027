"""Says hello as a bare ASGI function."""

import json


async def app(scope, receive, send):
    if scope["type"] != "http":
        raise NotImplementedError(scope["type"])
    path = scope["path"]
    if scope["method"] == "GET" and path.startswith("/hello/"):
        status, body = 200, json.dumps({"hello": path.removeprefix("/hello/"), "from": "asgi"}).encode()
    else:
        status, body = 404, b'{"detail": "Not found"}'
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
