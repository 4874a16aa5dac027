"""Native and neutral values as plain data and short text."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterable, Mapping
from typing import Any

from portable_fn.http import Request

# What HTTP objects of any library call their parts.
_PARTS = (
    "method", "url", "path", "query_string", "route_params", "params", "status", "status_code", "mimetype", "headers",
    "body", "data",
)  # fmt: skip
_LONGEST = 120


def plain(value: Any) -> Any:
    """The value in words of JSON: bytes as text where they are UTF-8, objects by the parts that HTTP objects have."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (bytes, bytearray, memoryview)):
        return text(bytes(value))
    if isinstance(value, Mapping):
        return {str(plain(name)): plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    pairs = getattr(value, "items", None)
    if callable(pairs):
        return [[str(name), plain(item)] for name, item in pairs()]
    parts = {name: getattr(value, name, None) for name in _PARTS}
    known = {name: plain(part) for name, part in parts.items() if part is not None and not callable(part)}
    return {type(value).__name__: known} if known else f"<{type(value).__name__}>"


def text(body: bytes) -> str:
    """A body as text; what isn't UTF-8 as its size and its beginning in base64."""
    try:
        return body.decode()
    except UnicodeDecodeError:
        return f"<{len(body)} bytes: {b64encode(body[:30]).decode()}{'…' if len(body) > 30 else ''}>"


def compact(value: Any) -> str:
    """The plain value as one line of JSON, its long texts cut."""
    return _unquoted(json.dumps(_cut(value), ensure_ascii=False, default=str))


def about(value: Any, request: Request[Any]) -> str:
    """One line of JSON with what of a native request carries something of the neutral one, "…" for the rest."""
    kept = _kept(value, _Needles(request))
    return compact(value if kept is _NOTHING else kept)


class _Needles:
    """The pieces of a request to look for."""

    def __init__(self, request: Request[Any]) -> None:
        self.whole = {
            request.method,
            request.host,
            *request.params.values(),
            *(value for _, value in request.query.pairs),
        }
        self.whole |= {value for name, value in request.headers.pairs}
        self.parts = [part for part in (request.path, request.raw_path, request.raw_query) if len(part) > 1]
        if request.body:
            self.parts += [text(request.body), b64encode(request.body).decode()]

    def found_in(self, leaf: object) -> bool:
        if leaf is True:
            return True
        return isinstance(leaf, str) and (leaf in self.whole or any(part in leaf for part in self.parts) or leaf == "/")


_NOTHING = object()
_ELLIPSIS = "…"


def _kept(value: Any, needles: _Needles) -> Any:
    if isinstance(value, dict):
        kept = {name: inner for name, item in value.items() if (inner := _kept(item, needles)) is not _NOTHING}
        if not kept:
            return _NOTHING
        return kept if len(kept) == len(value) else {**kept, _ELLIPSIS: _ELLIPSIS}
    if isinstance(value, list):
        inner = [item for item in (_kept(item, needles) for item in value) if item is not _NOTHING]
        # A pair of name and value is worth both.
        if inner and len(value) == 2 and isinstance(value[0], str):
            return value
        if not inner:
            return _NOTHING
        return inner if len(inner) == len(value) else [*inner, _ELLIPSIS]
    return value if needles.found_in(value) else _NOTHING


def _cut(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _cut(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_cut(item) for item in value]
    if isinstance(value, str) and len(value) > _LONGEST:
        return f"{value[:_LONGEST]}…"
    return value


def _unquoted(line: str) -> str:
    return line.replace('"…": "…"', "…").replace('"…"', "…")


def neutral(request: Request[Any], given: Iterable[str]) -> str:
    """What the handler saw: method and path, then parameters, the headers that the caller gave, and the body."""
    query = f"?{request.raw_query}" if request.raw_query else ""
    lines = [f"{request.method} {request.raw_path}{query}"]
    if request.params:
        lines.append(f"params {compact(request.params)}")
    names = dict.fromkeys(given)
    lines += [f"{name}: {request.headers[name]}" for name in names if name in request.headers]
    if request.body:
        lines.append(_cut(text(request.body)))
    return "\n".join(lines)
