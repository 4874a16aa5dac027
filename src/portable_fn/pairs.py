"""Mappings with repeated names, in order: query parameters, cookies, form fields and headers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from portable_fn.errors import MissingValue
from portable_fn.record import Generic, overload

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from enum import Enum
    from typing import Any, Literal, Never, Self

    from typing_extensions import TypeVar

    V = TypeVar("V", default=str)
    D = TypeVar("D", default=Never)
    E = TypeVar("E", bound=Enum)
    T = TypeVar("T")
    Place = Literal["query", "form", "cookie", "header", "path"]
else:
    V = str

__all__ = [
    "MAX_FIELDS",
    "Headers",
    "MultiDict",
    "MutableHeaders",
    "Params",
    "checked",
    "is_token",
    "parse_query",
    "unquoted",
    "unquoted_bytes",
]

_REQUIRED: Any = object()


class Typed:
    """Reads a value as a number, a choice, or with a function.

    A malformed value is a 422 that names it and doesn't show it. A missing value is one, too, unless there is a default; an empty
    value is missing. If a name is repeated, the first value is read.
    """

    # Where the values are in a request.
    _place: Place = "query"

    @overload
    def get_int(self, name: str, *, ge: int | None = None, le: int | None = None) -> int: ...
    @overload
    def get_int(self, name: str, default: D, *, ge: int | None = None, le: int | None = None) -> int | D: ...
    def get_int(self, name: str, default: Any = _REQUIRED, *, ge: int | None = None, le: int | None = None) -> Any:
        """Return a whole number, at least `ge` and at most `le`."""
        from portable_fn.parameters import bounds, integer

        return self._read(name, default, "int", lambda text: integer(text, ge, le), bounds("a whole number", ge, le))

    @overload
    def get_float(self, name: str, *, ge: float | None = None, le: float | None = None) -> float: ...
    @overload
    def get_float(self, name: str, default: D, *, ge: float | None = None, le: float | None = None) -> float | D: ...
    def get_float(
        self, name: str, default: Any = _REQUIRED, *, ge: float | None = None, le: float | None = None
    ) -> Any:
        """Return a number, at least `ge` and at most `le`; neither infinite nor NaN."""
        from portable_fn.parameters import bounds, number

        return self._read(name, default, "float", lambda text: number(text, ge, le), bounds("a number", ge, le))

    @overload
    def get_bool(self, name: str) -> bool: ...
    @overload
    def get_bool(self, name: str, default: D) -> bool | D: ...
    def get_bool(self, name: str, default: Any = _REQUIRED) -> Any:
        """Return True for true, 1, yes or on, and False for false, 0, no or off, in any case."""
        from portable_fn.parameters import boolean

        return self._read(name, default, "bool", boolean, "must be true or false")

    @overload
    def get_enum(self, name: str, choices: type[E]) -> E: ...
    @overload
    def get_enum(self, name: str, choices: type[E], default: D) -> E | D: ...
    @overload
    def get_enum(self, name: str, choices: Sequence[T]) -> T: ...
    @overload
    def get_enum(self, name: str, choices: Sequence[T], default: D) -> T | D: ...
    def get_enum(self, name: str, choices: Any, default: Any = _REQUIRED) -> Any:
        """Return the member of an Enum with that value, or that choice of several strings or numbers."""
        from portable_fn.parameters import choice, named

        return self._read(name, default, "enum", lambda text: choice(text, choices), named(choices))

    @overload
    def get_as(self, name: str, parse: Callable[[str], T]) -> T: ...
    @overload
    def get_as(self, name: str, parse: Callable[[str], T], default: D) -> T | D: ...
    def get_as(self, name: str, parse: Callable[[str], Any], default: Any = _REQUIRED) -> Any:
        """Return the result of a function of the text, such as `UUID` or `date.fromisoformat`. Its ValueError is a 422."""
        from portable_fn.parameters import parsed

        what = getattr(parse, "__name__", "")
        if what == "fromisoformat":
            what = getattr(getattr(parse, "__self__", None), "__name__", "date")
        wanted = f"must be a {what}" if what.isidentifier() else "is not valid"
        return self._read(name, default, "value", lambda text: parsed(text, parse), wanted)

    def _read(self, name: str, default: Any, kind: str, parse: Callable[[str], Any], wanted: str) -> Any:
        text = self.get(name)  # type: ignore[attr-defined]  # those who are Typed are mappings
        if not text and isinstance(text, str | None):
            if default is _REQUIRED:
                raise self._missing(name)
            return default
        try:
            if isinstance(text, str):
                return parse(text)
        except ValueError:
            pass
        from portable_fn.parameters import invalid

        raise invalid(name, self._place, wanted, kind)

    def _missing(self, name: str) -> KeyError:
        return MissingValue(name, self._place)


class Params(Typed, dict[str, str]):
    """The decoded parameters of a path. A name that the template doesn't have is a plain KeyError."""

    _place = "path"

    def _missing(self, name: str) -> KeyError:
        return KeyError(name)


class MultiDict(Typed, Mapping[str, V], Generic[V]):
    """A read-only mapping that keeps repeated names. `values[name]` is the first value.

    `get_all(name)` returns every value, `multi_items()` every pair in order, `dict(values)` the first value of each name. A
    missing name is a KeyError, which a request's client sees as a 422.
    """

    def __init__(self, pairs: Iterable[tuple[str, V]] = (), place: Place = "query") -> None:
        self._items: tuple[tuple[str, V], ...] = tuple(pairs)
        self._first = dict(self._items[::-1])
        self._place = place

    def __getitem__(self, name: str) -> V:
        try:
            return self._first[name]
        except KeyError:
            raise self._missing(name) from None

    @overload
    def get(self, name: str) -> V | None: ...
    @overload
    def get(self, name: str, default: V | D) -> V | D: ...
    def get(self, name: str, default: Any = None) -> Any:
        """Return the first value of the name, or the default."""
        return self._first.get(name, default)

    def get_all(self, name: str) -> list[V]:
        """Return every value of the name, in order; an empty list if there are none."""
        return [value for known, value in self._items if known == name]

    def multi_items(self) -> tuple[tuple[str, V], ...]:
        """Return every (name, value), in order."""
        return self._items

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(name for name, _ in self._items))

    def __len__(self) -> int:
        return len(self._first)

    def __contains__(self, name: object) -> bool:
        return name in self._first

    def __eq__(self, other: object) -> bool:
        if isinstance(other, MultiDict):
            return self._items == other._items
        if isinstance(other, Mapping):
            return dict(self) == dict(other)
        return NotImplemented

    __hash__ = None  # type: ignore[assignment]  # the standard way to say unhashable

    def __repr__(self) -> str:
        return f"{type(self).__name__}({list(self._items)!r})"


class Headers(Typed, Mapping[str, str]):
    """HTTP headers. Names are case-insensitive, and repeated ones are kept.

    `headers[name]` joins repeated values with ", ", as RFC 9110, section 5.3, allows. Several providers join them, so only the
    joined form means the same everywhere. `get_all(name)` returns the separate values, if the provider kept them.
    """

    _place = "header"

    def __init__(self, headers: Mapping[str, str] | Iterable[tuple[str, str]] = ()) -> None:
        self._values: dict[str, str | list[str]] = {}
        for name, value in _pairs_of(headers):
            self._append(name.lower(), value)

    @classmethod
    def lowered(cls, values: dict[str, str | list[str]]) -> Self:
        """Return headers over a mapping with lower-case names. The mapping isn't copied."""
        headers = cls.__new__(cls)
        headers._values = values
        return headers

    def _append(self, name: str, value: str) -> None:
        known = self._values.get(name)
        if known is None:
            self._values[name] = value
        elif isinstance(known, list):
            known.append(value)
        else:
            self._values[name] = [known, value]

    def multi_items(self) -> tuple[tuple[str, str], ...]:
        """Return every (lower-case name, value), repeats of a name beside each other and in order."""
        pairs: list[tuple[str, str]] = []
        for name, value in self._values.items():
            if isinstance(value, str):
                pairs.append((name, value))
            else:
                pairs.extend((name, one) for one in value)
        return tuple(pairs)

    def joined(self) -> dict[str, str]:
        """Return every lower-case name with its value; repeated values are joined with ", "."""
        if list in map(type, self._values.values()):
            return {name: self[name] for name in self._values}
        return self._values.copy()  # type: ignore[return-value]  # all are str

    def __getitem__(self, name: str) -> str:
        try:
            value = self._values[name.lower()]
        except KeyError:
            raise self._missing(name) from None
        return value if isinstance(value, str) else _join(name, value)

    @overload
    def get(self, name: str) -> str | None: ...
    @overload
    def get(self, name: str, default: str | D) -> str | D: ...
    def get(self, name: str, default: object = None) -> object:
        """Return the value of the name, repeated ones joined with ", ", or the default."""
        value = self._values.get(name.lower(), default)
        return _join(name, value) if isinstance(value, list) else value

    def get_all(self, name: str) -> list[str]:
        """Return every value of the name, in order; an empty list if there are none."""
        value = self._values.get(name.lower(), [])
        return [value] if isinstance(value, str) else list(value)

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._values

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Headers):
            return dict(_grouped(self)) == dict(_grouped(other))
        if isinstance(other, Mapping):
            return dict(self) == dict(other)
        return NotImplemented

    __hash__ = None  # type: ignore[assignment]  # the standard way to say unhashable

    def __repr__(self) -> str:
        return f"{type(self).__name__}({list(self.multi_items())!r})"


class MutableHeaders(Headers):
    """A response's headers. `headers[name] = value` replaces, `headers.add(name, value)` repeats.

    Raises:
        ValueError: HTTP can't carry the name or the value, such as one with a line break.
    """

    def _append(self, name: str, value: str) -> None:
        super()._append(name, checked(name, value))

    def _missing(self, name: str) -> KeyError:
        # A header that a response lacks isn't the client's mistake.
        return KeyError(name)

    def add(self, name: str, value: str) -> None:
        """Add another value of the name."""
        self._append(name.lower(), value)

    def __setitem__(self, name: str, value: str) -> None:
        name = name.lower()
        self._values[name] = checked(name, value)

    def __delitem__(self, name: str) -> None:
        del self._values[name.lower()]

    def setdefault(self, name: str, value: str) -> str:
        """Return the joined value of the name. If there is none, set it first."""
        if name not in self:
            self[name] = value
        return self[name]

    def pop_all(self, name: str) -> list[str]:
        """Remove the name and return its values."""
        values = self.get_all(name)
        self._values.pop(name.lower(), None)
        return values


def _join(name: str, values: list[str]) -> str:
    # RFC 9113, section 8.2.3: separate Cookie lines of a client are one list, joined by "; ".
    return ("; " if name.lower() == "cookie" else ", ").join(values)


def _pairs_of(headers: Mapping[str, str] | Iterable[tuple[str, str]]) -> Iterable[tuple[str, str]]:
    if isinstance(headers, Headers):
        return headers.multi_items()
    return headers.items() if isinstance(headers, Mapping) else headers  # pyright: ignore[reportReturnType]


def _grouped(headers: Headers) -> Iterator[tuple[str, list[str]]]:
    return ((name, headers.get_all(name)) for name in headers)


def checked(name: str, value: str) -> str:
    """Return the value of a header.

    Raises:
        ValueError: HTTP can't carry the name or the value.
    """
    if not is_token(name):
        raise ValueError(f"{name!r} is not a header name: letters, digits and !#$%&'*+-.^_`|~ are possible")
    if not isinstance(value, str):
        raise ValueError(f"header {name}: a value must be a str, not {type(value).__name__}")
    if not value.isprintable() and any(_is_impossible(char) for char in value):
        raise ValueError(
            f"header {name}: control characters such as line breaks, and lone surrogates, are not possible in a value"
        )
    return value


def _is_impossible(char: str) -> bool:
    return (char < " " and char != "\t") or char == "\x7f" or "\ud800" <= char <= "\udfff"


def is_token(name: str) -> bool:
    """Return whether the text is a token of RFC 9110, section 5.6.2, as names of headers, methods and cookies are."""
    return name.isascii() and name.translate(_PUNCTUATION).isalnum()


_PUNCTUATION = dict.fromkeys(map(ord, "!#$%&'*+-.^_`|~"), "0")


# More fields of a form, parameters of a query or cookies than people and browsers send.
MAX_FIELDS = 1000


def parse_query(raw_query: str) -> MultiDict:
    """Parse a query string: decoded, in order, with repeated and empty values."""
    parts = [(name, value) for name, _, value in [part.partition("=") for part in raw_query.split("&") if part]]
    if "%" not in raw_query and "+" not in raw_query:
        return MultiDict(parts)
    return MultiDict([(_form_decoded(name), _form_decoded(value)) for name, value in parts])


def _form_decoded(text: str) -> str:
    return unquoted(text.replace("+", " "))


def unquoted(text: str) -> str:
    """Percent-decode the text as urllib.parse.unquote does, whose import costs 2.5 ms of cold start."""
    if "%" not in text:
        return text
    return unquoted_bytes(text.encode("utf-8", "surrogatepass")).decode("utf-8", "replace")


def unquoted_bytes(raw: bytes) -> bytes:
    """Percent-decode the bytes."""
    if len(raw) <= 65_536:
        return _unquoted(raw)
    # In parts, since the text between two escapes is briefly an object. No escape is cut.
    parts: list[bytes] = []
    at = 0
    while at < len(raw):
        cut = raw.rfind(b"%", at + 65_534, at + 65_536)
        end = at + 65_536 if cut < 0 else cut
        parts.append(_unquoted(raw[at:end]))
        at = end
    return b"".join(parts)


def _unquoted(raw: bytes) -> bytes:
    if not _BYTES:
        _BYTES.update(((high + low).encode(), bytes.fromhex(high + low)) for high in _DIGITS for low in _DIGITS)
    parts = raw.split(b"%")
    for index in range(1, len(parts)):
        part = parts[index]
        byte = _BYTES.get(part[:2])
        parts[index] = b"%" + part if byte is None else byte + part[2:]
    return b"".join(parts)


_DIGITS = "0123456789abcdefABCDEF"


_BYTES: dict[bytes, bytes] = {}
