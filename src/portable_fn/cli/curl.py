"""Write the curl command that sends a payload to a function on this machine."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Mapping
from shlex import quote
from typing import Any, TypeGuard
from urllib.parse import quote as percent_encoded
from urllib.parse import urlsplit

from portable_fn.cli.errors import Failure

# The addresses of functions-framework, func, wrangler dev, uvicorn, and Lambda's Runtime Interface Emulator, whose port is the one
# that AWS's documentation maps.
ADDRESSES = {
    "aws": "http://localhost:9000",
    "gcp": "http://localhost:8080",
    "azure": "http://localhost:7071",
    "cloudflare": "http://localhost:8787",
    "asgi": "http://localhost:8000",
}
# https://docs.aws.amazon.com/lambda/latest/dg/python-image.html
_EMULATOR = "/2015-03-31/functions/function/invocations"
# Headers that curl sets itself, or that a proxy would set.
_OF_CONNECTIONS = ("host", "content-length", "x-forwarded-for", "x-forwarded-proto")


def command(payload: Any, to: str, address: str | None) -> str:
    """Return the command for a payload of `render`, or a line for each of several.

    Raises:
        Failure: The payload can't be sent by HTTP.
    """
    address = (address or ADDRESSES.get(to, "http://localhost:8000")).rstrip("/")
    if "://" not in address:
        raise Failure(f"--url: {address!r} has no scheme: http://{address}")
    if isinstance(payload, list) and payload and all(_is_request(request) for request in payload):
        return "\n".join(_posted(request, address) for request in payload)
    if to == "aws":
        body = json.dumps(payload, ensure_ascii=False)
        return f"curl {quote(address + _EMULATOR)} --data-binary {quote(body)}"
    if _is_request(payload):
        return _posted(payload, address)
    if to == "cloudflare" and isinstance(payload, dict) and "cron" in payload:
        scheduled = f"{address}/cdn-cgi/local/scheduled?cron={percent_encoded(payload['cron'])}"
        return f"curl {quote(scheduled)}"
    raise Failure(f"{to} gets this event only from its service, not by HTTP: deliver it here with portable-fn invoke")


def _is_request(payload: Any) -> TypeGuard[dict[str, Any]]:
    return isinstance(payload, dict) and {"method", "url", "headers"} <= payload.keys()


def _posted(request: Mapping[str, Any], address: str) -> str:
    url = urlsplit(request["url"])
    target = f"{url.path or '/'}{f'?{url.query}' if url.query else ''}"
    parts = ["curl", "-X", request["method"], quote(address + target)]
    if request["method"] == "HEAD":
        parts[1:3] = ["--head"]
    for name, values in request["headers"].items():
        for value in values if isinstance(values, list) else [values]:
            if name not in _OF_CONNECTIONS:
                # curl sends an empty header for "name;".
                parts += ["-H", quote(f"{name}: {value}" if value else f"{name};")]
    if body := request.get("body"):
        if not any(name == "content-type" for name in request["headers"]):
            parts += ["-H", quote("content-type:")]
        return " ".join([*parts, "--data-binary", quote(body)])
    if packed := request.get("body_base64"):
        b64decode(packed, validate=True)
        return " ".join(["printf %s", quote(packed), "| base64 -d |", *parts, "--data-binary @-"])
    return " ".join(parts)
