"""Check that docs/reference/errors.md shows messages that the code has, and each class of error."""

from __future__ import annotations

import re
from pathlib import Path

import portable_fn
from portable_fn import PortableError

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reference" / "errors.md").read_text()
# What a message has in the place of "…", or as an example.
VARIABLE = re.compile(r"…|'…'|\bGET /|\bon\.queue\b|\ba Request\b|\ba Message\b|\bN of M sqs\b")


def test_the_messages_on_the_page_are_those_of_the_code() -> None:
    sources = "".join(path.read_text() for folder in ("src", "adapters") for path in (ROOT / folder).rglob("*.py"))
    whole = re.sub(r'"\s*\n\s*f?"', "", sources)
    messages = re.sub(r"\{[^{}]*\}|%[sd]", "…", whole)

    parts = [
        part.strip(" ,")
        for message in re.findall(r"^\| `([^`]+)` \|", PAGE, re.MULTILINE)
        for part in VARIABLE.split(message)
    ]

    assert 15 < len(parts)
    assert [] == [part for part in parts if len(part) > 6 and part not in messages]


def test_the_page_has_every_class_of_error() -> None:
    names = {
        name
        for name in portable_fn.__all__
        if isinstance(cls := getattr(portable_fn, name), type)
        and issubclass(cls, PortableError)
        and cls is not PortableError
    }

    assert set() == {name for name in names if f"`{name}`" not in PAGE}
