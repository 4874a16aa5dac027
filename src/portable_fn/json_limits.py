"""Measure the depth of JSON, and the memory of its values. Imported only for a text that may be too much."""

from __future__ import annotations

import re
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["TooManyValues", "check"]

# The bytes that CPython 3.11 to 3.14 takes: sys.getsizeof with the collector's header, rounded up to 16 as malloc does. A dict has
# room for five entries.
_LIST, _DICT, _EMPTY_DICT, _PLACE, _NUMBER, _STRING, _ENTRY = 72, 200, 80, 9, 32, 64, 44
# Each number is an object; CPython shares those from -5 to 256.
_NUMBERS = re.compile(r"[-+.\deE]{4,}+|-\d\d|-[6-9]|\d[.eE]\d|[3-9]\d\d|2(?:5[7-9]|[6-9]\d)")
_BRACKETS = re.compile(r"[^][{}]++")
# Half of a character that makes its string take four bytes per character.
_SURROGATE = re.compile(r"\\u[dD][89abAB]")
# The reader copies a string when it gets wider, and allocates a quarter more than it needs.
_WIDE, _WIDER = 3, 6
_CHUNK = 65_536
_MOST_KEYS = 10_000


class TooManyValues(ValueError):
    """The values of a JSON text would take more memory than its reader may."""


def check(text: str, max_depth: int, budget: int) -> None:
    """Check the depth of a JSON text, and the memory that reading it takes.

    The check itself takes no memory: it looks at the text in parts.

    Args:
        text: The JSON.
        max_depth: The most levels of nesting.
        budget: The most bytes, the text itself among them.

    Raises:
        ValueError: The text is nested too deep.
        TooManyValues: Reading it takes too many bytes.
    """
    width = _width(text)
    left = budget - len(text) * width
    if _most(text, width) <= left:
        left = sys.maxsize
    depth = 0
    keys: set[str] = set()
    # The part of an open string before this part of the text, and the width that was assumed for it.
    run, run_width = 0, width
    for part in _parts(text, width):
        left -= _size(part, keys)
        if part.is_inside:
            # A string is as wide as its widest part.
            before, run_width = run_width, max(run_width, part.width)
            left -= run * (run_width - before) + len(part.pieces[0]) * (run_width - part.width)
        if len(part.pieces) > 1:
            run, run_width = 0, part.width
        run += len(part.pieces[-1])
        if left < 0:
            raise TooManyValues("it has too many values")
        for bracket in _BRACKETS.sub("", part.outside):
            depth += 1 if bracket in "[{" else -1
            if depth > max_depth:
                raise ValueError(f"nested more than {max_depth} levels deep")


class _Part:
    """A part of a text, cut at its quotes. `is_inside`: it starts inside a string."""

    __slots__ = ("has_escapes", "is_inside", "outside", "pieces", "strings", "width")

    def __init__(self, pieces: list[str], is_inside: int, has_escapes: bool, width: int) -> None:
        self.pieces = pieces
        self.is_inside = is_inside
        self.outside = "".join(pieces[is_inside::2])
        self.strings = pieces[1 - is_inside :: 2]
        self.has_escapes = has_escapes
        self.width = width


def _parts(text: str, width: int) -> Iterator[_Part]:
    at = is_inside = 0
    while at < len(text):
        end = at + _CHUNK
        chunk = text[at:end]
        if (len(chunk) - len(chunk.rstrip("\\"))) % 2:
            end += 1
            chunk = text[at:end]
        at = end
        has_escapes = "\\" in chunk
        wide = width
        if has_escapes:
            wide = max(width, _WIDER if _SURROGATE.search(chunk) else _WIDE if "\\u" in chunk else 1)
            chunk = chunk.replace("\\\\", "").replace('\\"', "")
        pieces = chunk.split('"')
        yield _Part(pieces, is_inside, has_escapes, wide)
        is_inside = (is_inside + len(pieces) - 1) % 2


def _size(part: _Part, keys: set[str]) -> int:
    """Estimate the bytes of a part's values. `keys` are the earlier keys, which are stored once."""
    outside = part.outside
    dicts, lists, empty = outside.count("{"), outside.count("["), outside.count("{}")
    known = 0
    # A repeated key isn't a new string. The rest of a key with escapes doesn't identify it.
    if not part.has_escapes and len(keys) < _MOST_KEYS:
        after = part.pieces[2 - part.is_inside :: 2]
        found = [name for name, rest in zip(part.strings, after, strict=False) if rest[:1] == ":"]
        known = len(found) + len(keys)
        keys.update(found)
        known -= len(keys)
    return (
        (dicts - empty) * _DICT
        + empty * _EMPTY_DICT
        + lists * _LIST
        + (outside.count(",") + dicts + lists) * _PLACE
        + len(_NUMBERS.findall(outside)) * _NUMBER
        + (len(part.pieces) // 2 - known) * _STRING
        + max(outside.count(":") - 5 * dicts, 0) * _ENTRY
        + sum(map(len, part.strings)) * part.width
    )


def _most(text: str, width: int) -> int:
    """Return the most bytes that the values of a text may take, by counts that are quick."""
    return (
        text.count("{") * _DICT
        + text.count("[") * _LIST
        + text.count(",") * (_PLACE + _NUMBER)
        + text.count('"') * (_STRING + _ENTRY) // 2
        + len(text) * (_WIDER if "\\u" in text else width)
    )


def _width(text: str) -> int:
    """Return the bytes per character of the text (PEP 393)."""
    return 1 if text.isascii() else max(1, min(4, round(sys.getsizeof(text) / len(text))))
