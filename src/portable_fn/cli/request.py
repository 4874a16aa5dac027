"""Make the neutral request that the options describe. Whatever they leave out fits the function's `on.http`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from portable_fn.adapter.binding import Binding
from portable_fn.adapter.routing import Route
from portable_fn.cli.errors import Failure
from portable_fn.data import parse_json
from portable_fn.http import Request
from portable_fn.on import METHODS, HTTPTrigger, mistyped_method
from portable_fn.pairs import is_token
from portable_fn.testing import fake

# Path and query by RFC 3986, sections 3.3 and 3.4; "%" because both may be encoded already.
_ALLOWED = "/:@!$&'()*+,;=-._~%?"


def request(
    functions: Sequence[Binding],
    *,
    method: str | None,
    path: str | None,
    data: str | None,
    json: str | None,
    headers: Sequence[str],
) -> Request[Any]:
    """Return the request.

    Raises:
        Failure: An option can't be read.
    """
    lines = [_header(header) for header in headers]
    if data is not None and json is not None:
        raise Failure("pass --data or --json, not both")
    body = b"" if data is None else _data(data)
    if json is not None:
        body = _json(json)
        if "content-type" not in {name for name, _ in lines}:
            lines.append(("content-type", "application/json"))
    if method is not None and not is_token(method):
        raise Failure(f"--method: {method!r} is not an HTTP method")
    if method is not None and method.upper() not in METHODS and (meant := mistyped_method(method.upper())):
        raise Failure(f"--method: {method!r} is not an HTTP method: is it {meant!r}?")
    if path is not None and not path.startswith("/"):
        raise Failure(f"--path: {path!r} doesn't start with '/'")
    triggers = [trigger for function in functions for trigger in function.triggers if isinstance(trigger, HTTPTrigger)]
    method = method.upper() if method else _method(triggers, path, bool(body))
    if path is None:
        path = next((_sample(trigger) for trigger in triggers if _takes(trigger, method)), "/")
    return fake.request(method, quote(path, safe=_ALLOWED), headers=lines, body=body)


def _method(triggers: Sequence[HTTPTrigger], path: str | None, has_body: bool) -> str:
    """Return the first method that a function declares for the path; if there is a body, one that takes a body."""
    segments = None if path is None else path.partition("?")[0].split("/")[1:]
    matching = [trigger for trigger in triggers if segments is None or Route(trigger).match(segments) is not None]
    methods = [method for trigger in matching for method in trigger.methods]
    if has_body:
        return next((method for method in methods if method in ("POST", "PUT", "PATCH")), "POST")
    return methods[0] if methods else "GET"


def _takes(trigger: HTTPTrigger, method: str) -> bool:
    return not trigger.methods or method in trigger.methods or (method == "HEAD" and "GET" in trigger.methods)


def _sample(trigger: HTTPTrigger) -> str:
    """Return a path that fits the template, such as /hello/Ada for /hello/{name}."""
    return "/" + "/".join(_value(name.rstrip("+")) if name else literal for literal, name in trigger.segments)


def _value(parameter: str) -> str:
    if parameter.endswith("name"):
        return "Ada"
    return "1" if parameter.endswith("id") else parameter


def _header(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    if not colon or not is_token(name.strip()) or not value.strip().isprintable():
        raise Failure(f"--header: {line!r} must be 'name: value'")
    return name.strip().lower(), value.strip()


def _data(data: str) -> bytes:
    if not data.startswith("@"):
        return data.encode()
    try:
        return Path(data[1:]).read_bytes()
    except OSError as exc:
        raise Failure(f"--data: {data[1:]}: {exc.strerror}") from exc


def _json(text: str) -> bytes:
    try:
        parse_json(text)
    except ValueError as exc:
        raise Failure(f"--json is not JSON: {exc}") from exc
    return text.encode()
