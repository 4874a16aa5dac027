"""Show native and neutral values as plain data and short text."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias, cast

from portable_fn.events import Event
from portable_fn.http import Request
from portable_fn.record import Record

Plain: TypeAlias = "dict[str, Plain] | list[Plain] | str | int | float | bool | None"

# The names of the parts of HTTP objects, in any library.
_PARTS = (
    "method", "url", "path", "query_string", "route_params", "params", "status", "status_code", "mimetype", "headers",
    "body", "data", "chunks",
)  # fmt: skip
_LONGEST = 120


def plain(value: object) -> Plain:
    """Return the value as JSON data: UTF-8 bytes as text, objects by the parts that HTTP objects have."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (bytes, bytearray)):
        return text(bytes(value))
    if isinstance(value, Mapping):
        mapping = cast("Mapping[object, object]", value)
        return {str(plain(name)): plain(item) for name, item in mapping.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in cast("Sequence[object]", value)]
    pairs: Callable[[], Iterable[tuple[object, object]]] | None = getattr(value, "items", None)
    if callable(pairs):
        return [[str(name), plain(item)] for name, item in pairs()]
    parts = {name: getattr(value, name, None) for name in _PARTS}
    known = {name: plain(part) for name, part in parts.items() if part is not None and not callable(part)}
    read: Callable[[], object] | None = getattr(value, "get_body", None)
    if callable(read):
        known["body"] = plain(read())
    if "body" in known:
        known.pop("chunks", None)  # the body, in chunks
    if not known and isinstance(value, Record):
        fields = {name: getattr(value, name) for name in value._fields}
        known = {name: plain(field) for name, field in fields.items() if field not in (None, "", [], {})}
    return {type(value).__name__: known} if known else f"<{type(value).__name__}>"


def text(body: bytes) -> str:
    """Return a body as text; if it isn't UTF-8, its size and its start in base64."""
    try:
        return body.decode()
    except UnicodeDecodeError:
        return f"<{len(body)} bytes: {b64encode(body[:30]).decode()}{'…' if len(body) > 30 else ''}>"


def compact(value: Plain) -> str:
    """Return the value as one line of JSON with long texts cut."""
    line = json.dumps(_cut(value), ensure_ascii=False)
    return line.replace('"…": "…"', "…").replace('"…"', "…")


def about(value: Plain, *events: Event[Any]) -> str:
    """Return one line of JSON with the parts of a native payload that carry the neutral events, "…" for the rest."""
    kept = _carrying(value, _Pieces(events))
    return compact(value if kept is None else kept)


class _Pieces:
    """The texts of events to look for: those that are a whole text, and those that may be part of one."""

    def __init__(self, events: Iterable[Event[Any]]) -> None:
        self.whole: set[str] = set()
        self.inside: set[str] = set()
        for event in events:
            if isinstance(event, Request):
                self._request(event)
            else:
                self.whole.update(_texts([getattr(event, name) for name in event._fields]))
            if body := getattr(event, "body", b""):
                self.inside |= {text(body), b64encode(body).decode()}

    def _request(self, request: Request[Any]) -> None:
        self.whole |= {"/", request.method, request.host}
        for pairs in (request.query.multi_items(), request.headers.multi_items(), request.params.items()):
            self.whole.update(value for _, value in pairs)
        self.inside |= {part for part in (request.path, request.raw_path, request.raw_query) if len(part) > 1}

    def are_in(self, leaf: str) -> bool:
        return leaf in self.whole or any(part in leaf for part in self.inside)


def _texts(value: object) -> Iterable[str]:
    """Return the texts in the value, and its numbers as text."""
    if isinstance(value, Mapping):
        mapping = cast("Mapping[object, object]", value)
        for item in mapping.values():
            yield from _texts(item)
    elif isinstance(value, (list, tuple)):
        for item in cast("Sequence[object]", value):
            yield from _texts(item)
    elif isinstance(value, (str, int, float)) and not isinstance(value, bool) and value != "":
        yield str(value)


_ELLIPSIS = "…"


def _carrying(value: Plain, pieces: _Pieces) -> Plain:
    """Return the value with only the members that carry a piece, or None."""
    if isinstance(value, str):
        return value if pieces.are_in(value) else None
    if isinstance(value, dict):
        members: dict[str, Plain] = {}
        for name, item in value.items():
            if (inner := _carrying(item, pieces)) is not None:
                members[name] = inner
        if members and len(members) < len(value):
            members[_ELLIPSIS] = _ELLIPSIS
        return members or None
    if isinstance(value, list):
        items: list[Plain] = [inner for item in value if (inner := _carrying(item, pieces)) is not None]
        if items and len(value) == 2 and isinstance(value[0], str):
            return value  # a name and its value belong together
        if items and len(items) < len(value):
            items.append(_ELLIPSIS)
        return items or None
    return True if value is True else None


def _cut(value: Plain) -> Plain:
    if isinstance(value, dict):
        return {name: _cut(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_cut(item) for item in value]
    if isinstance(value, str) and len(value) > _LONGEST:
        return f"{value[:_LONGEST]}…"
    return value


def neutral(request: Request[Any], given: Iterable[str]) -> str:
    """Return what the handler saw: method and path, parameters, the caller's headers, and the body."""
    query = f"?{request.raw_query}" if request.raw_query else ""
    lines = [f"{request.method} {request.raw_path}{query}"]
    if request.params:
        lines.append(f"params {compact(plain(request.params))}")
    names = dict.fromkeys(given)
    lines += [f"{name}: {request.headers[name]}" for name in names if name in request.headers]
    if request.raw_body:
        lines.append(str(_cut(text(request.raw_body))))
    return "\n".join(lines)
