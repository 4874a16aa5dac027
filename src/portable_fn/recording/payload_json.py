"""Write native payloads as JSON."""

from __future__ import annotations

import json
from base64 import b64encode
from importlib import import_module

from portable_fn.data import to_json
from portable_fn.http import Request
from portable_fn.pairs import Headers
from portable_fn.providers import adapter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from types import ModuleType
    from typing import Any


def adapter_json(provider: str) -> ModuleType | None:
    """Return the adapter's `simulate.native_json`, or None if it has none."""
    simulate = f"{adapter(provider).__name__}.simulate"
    try:
        return import_module(f"{simulate}.native_json")
    except ModuleNotFoundError as exc:
        # An adapter's `simulate` may be a module, or missing.
        if exc.name not in (simulate, f"{simulate}.native_json"):
            raise
        return None


def to_json_value(native: Any, provider: str, service: str = "", body: bytes | None = None) -> Any:
    """Return a native payload as a JSON value.

    Args:
        native: The payload.
        provider: The provider.
        service: The provider's service.
        body: The body of a native request, which may already be read.
    """
    module = adapter_json(provider)
    write: Callable[[Any, str], Any] | None = getattr(module, "write", None)
    if write is not None and body is None:
        native = write(native, service)
    return json.loads(to_json(_plain(native, body or b"")))


def _plain(native: Any, body: bytes) -> Any:
    if isinstance(native, Request):
        query = f"?{native.raw_query}" if native.raw_query else ""
        url = f"{native.scheme}://{native.host}{native.raw_path}{query}"
        return http(native.method, url, native.headers.multi_items(), native.body)
    if isinstance(native, dict) and "REQUEST_METHOD" in native:
        return _of_wsgi(native, body)
    if isinstance(native, dict) and native.get("type") == "http" and "asgi" in native:
        return _of_asgi(native, body)
    if isinstance(native, (dict, list, str, int, float, bool)) or native is None:
        return native
    if all(hasattr(native, name) for name in ("method", "url", "headers")):
        headers = native.headers
        return http(native.method, native.url, headers if isinstance(headers, list) else headers.items(), body)
    raise TypeError(f"{type(native).__name__} can't be written as JSON")


def _of_wsgi(environ: Mapping[str, Any], body: bytes) -> dict[str, Any]:
    names = {"CONTENT_TYPE": "content-type", "CONTENT_LENGTH": "content-length"}
    headers = [
        (names.get(name) or name[5:].lower().replace("_", "-"), value.encode("latin-1").decode("utf-8", "replace"))
        for name, value in environ.items()
        if name in names or name.startswith("HTTP_")
    ]
    host = dict(headers).get("host", environ["SERVER_NAME"])
    return http(environ["REQUEST_METHOD"], f"{environ['wsgi.url_scheme']}://{host}{environ['RAW_URI']}", headers, body)


def _of_asgi(scope: Mapping[str, Any], body: bytes) -> dict[str, Any]:
    headers = [(name.decode("latin-1"), value.decode("utf-8", "replace")) for name, value in scope["headers"]]
    host = dict(headers).get("host", scope["server"][0] if scope.get("server") else "localhost")
    raw_path = scope.get("raw_path") or scope["path"].encode()
    query = f"?{scope['query_string'].decode('latin-1')}" if scope.get("query_string") else ""
    return http(
        scope["method"], f"{scope.get('scheme', 'http')}://{host}{raw_path.decode('latin-1')}{query}", headers, body
    )


def http(method: str, url: str, headers: Iterable[tuple[str, str]], body: bytes) -> dict[str, Any]:
    """Return a request as an object: `method`, `url`, `headers` (a list for repeated ones), `body` or `body_base64`."""
    lines = Headers((name.lower(), value) for name, value in headers)
    joined = {name: lines.get_all(name) for name in lines}
    request: dict[str, Any] = {
        "method": method,
        "url": url,
        "headers": {name: values[0] if len(values) == 1 else values for name, values in joined.items()},
    }
    return request | body_fields(body)


def body_fields(body: bytes) -> dict[str, str]:
    """Return the member `body` if it's text, otherwise `body_base64`; an empty dict for an empty body."""
    if not body:
        return {}
    try:
        return {"body": body.decode()}
    except UnicodeDecodeError:
        return {"body_base64": b64encode(body).decode()}
