"""The errors that portable_fn raises on purpose. `PortableError` is their base."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from portable_fn.events import Event

__all__ = [
    "PLACES",
    "ConfigurationError",
    "DecodeError",
    "EncodeError",
    "HTTPError",
    "InvalidData",
    "MissingValue",
    "PortableError",
    "is_error",
    "parameter_error",
]


class PortableError(Exception):
    """The base of the errors that portable_fn raises on purpose."""


def is_error(value: object) -> bool:
    """Return whether the value is an exception or an exception class, which must be raised instead of returned."""
    return isinstance(value, BaseException) or (isinstance(value, type) and issubclass(value, BaseException))


class ConfigurationError(PortableError):
    """A function, trigger or entry is declared in a way that can't work. Raised while its module is imported."""


class DecodeError(PortableError):
    """The provider's payload can't be read. The message says what came and what is possible.

    `event` is the event whose contents can't be read, such as a message that isn't JSON; None if it isn't known.
    """

    event: Event[Any] | None = None


class EncodeError(PortableError):
    """The handler's result can't be written as an answer. The message says what is possible."""


class HTTPError(PortableError):
    """Raise it in a handler to answer with that status and an RFC 9457 problem document.

    Args:
        status: From 400 to 599.
        detail: The explanation for the caller.
        title: By default the status's own.
        type: By default "about:blank".
        extensions: Further members of the document.
        headers: Further headers of the response.

    Raises:
        ValueError: The status is out of range, or the detail isn't a str.
    """

    # Class attributes, for subclasses whose __init__ doesn't set them.
    status: int = 500
    detail: str = ""
    title: str = ""
    type: str = "about:blank"
    headers: Mapping[str, str] | Iterable[tuple[str, str]] = ()
    extensions: Mapping[str, object] | None = None

    def __init__(
        self,
        status: int,
        detail: str = "",
        *,
        title: str = "",
        type: str = "about:blank",
        headers: Mapping[str, str] | Iterable[tuple[str, str]] = (),
        extensions: Mapping[str, object] | None = None,
    ) -> None:
        if not isinstance(status, int) or not 400 <= status <= 599:
            raise ValueError(f"HTTPError takes a status from 400 to 599, not {status!r}: HTTPError(404, detail)")
        if not isinstance(detail, str):
            raise ValueError(
                f"HTTPError's detail must be a str, not {detail.__class__.__name__}; other members go into extensions"
            )
        super().__init__(status, detail)
        self.status = status
        self.detail = detail
        self.title = title
        self.type = type
        self.headers = headers
        self.extensions = extensions

    def __str__(self) -> str:
        return f"{self.status} {self.detail}".rstrip()


# The places of a request's values, as a problem document names them, and in words.
PLACES = {
    "query": "query parameter",
    "form": "form field",
    "cookie": "cookie",
    "header": "header",
    "path": "path parameter",
}


class MissingValue(HTTPError, KeyError):
    """A query parameter, form field, cookie or header that a handler reads is missing: a 422 that names it.

    It is also a KeyError, so `except KeyError` works. `get(name)` returns None instead.
    """

    def __init__(self, name: str, place: str = "query") -> None:
        super().__init__(
            422,
            f"The {PLACES[place]} {name!r} is missing.",
            extensions=parameter_error(name, place, "is missing", "missing"),
        )
        self.args = (name, place)


def parameter_error(name: str, place: str, detail: str, kind: str) -> dict[str, object]:
    """Return the extensions of a problem document for a value of a request."""
    pointer = "#/" + name.replace("~", "~0").replace("/", "~1")
    return {"errors": [{"in": place, "pointer": pointer, "type": kind, "detail": detail}]}


class InvalidData(ValueError):
    """The data is valid JSON, but not what the handler's annotation says.

    `errors` has pointer, type and detail of the first hundred faults, without values. `count` is how many there are.
    """

    def __init__(self, errors: list[dict[str, str]], count: int, what: str = "") -> None:
        super().__init__(what + "; ".join(f"{error['pointer']}: {error['detail']}" for error in errors))
        self.errors = errors
        self.count = count
