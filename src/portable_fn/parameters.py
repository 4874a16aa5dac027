"""Read a client's text as a value of a type, or answer 422. Imported on first use."""

from __future__ import annotations

from portable_fn.errors import HTTPError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

__all__ = ["boolean", "bounds", "choice", "integer", "invalid", "named", "number", "parsed"]

_TRUE = ("true", "1", "yes", "on")
_FALSE = ("false", "0", "no", "off")


def invalid(name: str, place: str, detail: str, kind: str) -> HTTPError:
    """Return the 422 for a value of that name. It doesn't show the value, which may be a secret."""
    from portable_fn.errors import PLACES, parameter_error

    return HTTPError(
        422, f"The {PLACES[place]} {name!r} is not valid.", extensions=parameter_error(name, place, detail, kind)
    )


def integer(text: str, ge: float | None, le: float | None) -> int:
    """Read a whole number in decimal digits.

    Raises:
        ValueError: It is anything else, even if int() accepts it.
    """
    if not (text[1:] if text[:1] in ("-", "+") else text).isdigit() or not text.isascii() or len(text) > 1000:
        raise ValueError
    value = int(text)
    _check(value, ge, le)
    return value


def number(text: str, ge: float | None, le: float | None) -> float:
    """Read a number with or without point and exponent.

    Raises:
        ValueError: It is anything else, even if float() accepts it.
    """
    if not text.isascii() or "_" in text or text != text.strip():
        raise ValueError
    value = float(text)
    if value - value:  # inf - inf is nan
        raise ValueError
    _check(value, ge, le)
    return value


def boolean(text: str) -> bool:
    """Read true, 1, yes, on or false, 0, no, off, in any case."""
    word = text.lower()
    if word not in _TRUE and word not in _FALSE:
        raise ValueError
    return word in _TRUE


def choice(text: str, choices: Iterable[Any]) -> Any:
    """Return the choice, a member of an Enum or a text, whose value is the text."""
    for member in choices:
        if str(getattr(member, "value", member)) == text:
            return member
    raise ValueError


def parsed(text: str, parse: Callable[[str], Any]) -> Any:
    """Return the result of the function for the text.

    Raises:
        ValueError: The function raised an error for the text.
    """
    try:
        return parse(text)
    # decimal.InvalidOperation is an ArithmeticError.
    except (ValueError, TypeError, LookupError, ArithmeticError) as exc:
        raise ValueError from exc


def bounds(what: str, ge: float | None, le: float | None) -> str:
    """Describe the number that is wanted."""
    if ge is not None and le is not None:
        return f"must be {what} from {ge} to {le}"
    if ge is not None:
        return f"must be {what} of at least {ge}"
    return f"must be {what}" if le is None else f"must be {what} of at most {le}"


def named(choices: Iterable[Any]) -> str:
    """List the choices."""
    return f"must be one of {', '.join(str(getattr(member, 'value', member)) for member in choices)}"


def _check(value: float, ge: float | None, le: float | None) -> None:
    if (ge is not None and value < ge) or (le is not None and value > le):
        raise ValueError
