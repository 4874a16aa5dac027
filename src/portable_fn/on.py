"""Triggers: what a function is called for, as plain data."""

from __future__ import annotations

from portable_fn.errors import ConfigurationError
from portable_fn.pairs import is_token
from portable_fn.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

# What API Gateway itself accepts; Lambda takes 6 MB, Azure 100 MB, Cloudflare 100 MB.
MAX_BODY = 10 * 1024 * 1024


class Trigger(Record):
    """What a function is called for."""


class HTTPTrigger(Trigger):
    """HTTP requests with one of the methods (none means any) on the paths of a template."""

    _fields = ("methods", "path", "max_body")
    __slots__ = (*_fields, "segments", "names")

    def __init__(self, methods: tuple[str, ...], path: str, max_body: int) -> None:
        self.methods = methods
        self.path = path
        self.max_body = max_body
        # (literal, "") or ("", name); a last "{name+}" takes all the segments that are left.
        self.segments = tuple(_segment(path, segment) for segment in path.split("/")[1:])
        self.names = tuple(name.rstrip("+") for _, name in self.segments if name)
        if len(set(self.names)) < len(self.names):
            raise ConfigurationError(f"the path {path!r} names a parameter twice")
        if any(name.endswith("+") for _, name in self.segments[:-1]):
            raise ConfigurationError(f"the path {path!r} has a greedy parameter before its end")


def http(method: str | Iterable[str] = "ANY", path: str = "/{path+}", *, max_body: int = MAX_BODY) -> HTTPTrigger:
    """HTTP requests: a method, several, or "ANY", and a path template.

    `{name}` in the path takes one segment, a last `{name+}` all that are left, even none. GET answers HEAD too. A body of
    over `max_body` bytes is answered with 413.
    """
    if not isinstance(path, str) or not path.startswith("/"):
        raise ConfigurationError(f"the path {path!r} doesn't start with '/': on.http(method, path)")
    if type(max_body) is not int or max_body < 0:
        raise ConfigurationError(f"max_body is a whole number of bytes, not {max_body!r}")
    try:
        methods = tuple(name.upper() for name in ([method] if isinstance(method, str) else method))
    except (TypeError, AttributeError) as exc:
        raise ConfigurationError(f"{method!r} is not an HTTP method: on.http(method, path)") from exc
    if not methods:
        raise ConfigurationError("on.http has no method; 'ANY' takes all of them")
    for name in methods:
        if not is_token(name) or name == "*":
            raise ConfigurationError(f"{name!r} is not an HTTP method; 'ANY' is all of them: on.http(method, path)")
    return HTTPTrigger(() if "ANY" in methods else methods, path, max_body)


def _segment(path: str, segment: str) -> tuple[str, str]:
    if "{" not in segment and "}" not in segment:
        if segment[:1] == ":" or any(char in "<>* " for char in segment):
            raise ConfigurationError(
                f"in the path {path!r}, {segment!r} is no plain text; a parameter is {{name}}, a rest {{name+}}"
            )
        return segment, ""
    name = segment[1:-1]
    if segment[0] != "{" or segment[-1] != "}" or not name.removesuffix("+").isidentifier():
        raise ConfigurationError(f"in the path {path!r}, {segment!r} is neither plain text nor {{name}} nor {{name+}}")
    return "", name
