"""Build the matrix of capabilities, one table for each kind: as data, JSON and Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from portable_fn.adapter.capabilities import FEATURES, Capability, Service
from portable_fn.cli.declared import KINDS_OF_SERVICES, Declared, undeclared

LEGEND = (
    "✓: the provider does it. emulated: the adapter does it, as the note says. no: impossible. lost: impossible, and the data is "
    "lost. *: by documentation only, not seen in a test. Empty: it makes no sense there."
)


@dataclass(frozen=True)
class Column:
    """A service of a provider."""

    provider: str
    service: Service


@dataclass(frozen=True)
class Matrix:
    """What the services of one kind of event can do; `notes` are numbered from 1."""

    kind: str
    columns: tuple[Column, ...]
    features: tuple[str, ...]
    notes: tuple[str, ...]

    def cell(self, column: Column, feature: str) -> tuple[str, int | None]:
        """Return the word for a feature of a service, or "" if it makes no sense there, and the number of its note."""
        capability = column.service.features.get(feature)
        if capability is None:
            return "", None
        note = noted(capability)
        return word(capability), self.notes.index(note) + 1 if note else None


def word(capability: Capability) -> str:
    """Return the capability in a word: ✓, emulated, no or lost, with a * if only documentation says so."""
    level = {"native": "✓", "emulated": "emulated"}.get(capability.level, "lost" if capability.loses else "no")
    return level + "*" * capability.by_documentation


def noted(capability: Capability) -> str:
    """Return how or why, and what else it needs."""
    parts = [capability.note] if capability.note else []
    if capability.needs:
        otherwise = "; otherwise it is lost" if capability.loses else ""
        parts.append(f"(only with {capability.needs}= on the trigger{otherwise})")
    if capability.setting:
        parts.append(f"(must be set: {capability.setting})")
    return " ".join(parts)


def matrices(all_declared: Iterable[Declared], kind: str | None = None) -> list[Matrix]:
    """Return the matrix of each kind that a service sends, or of the one kind."""
    columns = [
        Column(declaration.provider, service) for declaration in all_declared for service in declaration.services or ()
    ]
    by_kind = {
        name: tuple(column for column in columns if column.service.kind == name)
        for name in (KINDS_OF_SERVICES if kind is None else (kind,))
    }
    return [matrix_of(name, mine) for name, mine in by_kind.items() if mine]


def matrix_of(kind: str, columns: tuple[Column, ...]) -> Matrix:
    """Return the matrix of these columns, with only their features and notes."""
    asked = [column.service.features for column in columns]
    known = [feature for feature in FEATURES if any(feature in features for features in asked)]
    others = [feature for features in asked for feature in features if feature not in FEATURES]
    features = tuple(dict.fromkeys([*known, *others]))
    capabilities = [given[feature] for feature in features for given in asked if feature in given]
    return Matrix(kind, columns, features, tuple(dict.fromkeys(filter(None, map(noted, capabilities)))))


def as_json(all_declared: Sequence[Declared], kind: str | None = None) -> dict[str, Any]:
    """Return the declarations as a JSON object: each service with its features, and the providers that declare nothing."""
    services = [
        {
            "provider": column.provider,
            "name": column.service.name,
            "kind": column.service.kind,
            "word": column.service.word,
            "features": {name: _plain(given) for name, given in column.service.features.items()},
        }
        for matrix in matrices(all_declared, kind)
        for column in matrix.columns
    ]
    return {"services": services, "undeclared": undeclared(all_declared)}


def _plain(capability: Capability) -> dict[str, Any]:
    return {field: getattr(capability, field) for field in capability._fields}


# A page has room for this many columns.
ON_A_PAGE = 8


def markdown(all_declared: Sequence[Declared], kind: str | None = None, heading: str = "##") -> str:
    """Return the matrices as Markdown, each under a heading with its kind, its numbered notes below it."""
    parts = [escaped(LEGEND)]
    for matrix in matrices(all_declared, kind):
        parts.append(f"{heading} {matrix.kind}")
        alone = len({column.provider for column in matrix.columns}) == 1
        for start in range(0, len(matrix.columns), ON_A_PAGE):
            part = matrix_of(matrix.kind, matrix.columns[start : start + ON_A_PAGE])
            parts.append(_markdown_table(part, alone))
            parts.append("\n".join(f"{number}. {escaped(note)}" for number, note in enumerate(part.notes, 1)))
    if missing := undeclared(all_declared):
        parts.append(f"Not declared yet: {', '.join(missing)}.")
    return "\n\n".join(filter(None, parts)) + "\n"


def _markdown_table(matrix: Matrix, alone: bool) -> str:
    lines = [_row("", *(_title(column, alone) for column in matrix.columns)), "|---" * (len(matrix.columns) + 1) + "|"]
    for name in matrix.features:
        cells = (_markdown_cell(*matrix.cell(column, name)) for column in matrix.columns)
        lines.append(_row(name, *cells))
    return "\n".join(lines)


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _title(column: Column, alone: bool) -> str:
    service = column.service
    return "<br>".join(filter(None, ("" if alone else column.provider, f"`{service.name}`", service.word)))


def _markdown_cell(found: str, number: int | None) -> str:
    shown = found.replace("*", r"\*")
    if found.startswith("lost"):
        shown = f"**{shown}**"
    return shown if number is None else f"{shown} ({number})"


def escaped(text: str) -> str:
    """Escape the text for Markdown, in tables too."""
    return re.sub(r"([|<>*_\[\]])", r"\\\1", text)
