"""The matrix of capabilities, one table a kind: as data, as JSON and as Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from portable_fn.capabilities import FEATURES, Capability, Service
from portable_fn.cli.declared import HANDED_OVER, Declared, undeclared

LEGEND = (
    "✓: the provider does it. emulated: the adapter does it, as the note says. no: nobody can. lost: nobody can, and what it "
    "is about is lost. *: by documentation alone, nothing here has shown it. Empty: the question makes no sense there."
)


@dataclass(frozen=True)
class Column:
    """A service of a provider."""

    provider: str
    service: Service


@dataclass(frozen=True)
class Matrix:
    """What the services that hand over events of one kind can do; `notes` are numbered from 1."""

    kind: str
    columns: tuple[Column, ...]
    features: tuple[str, ...]
    notes: tuple[str, ...]

    def cell(self, column: Column, feature: str) -> tuple[str, int | None]:
        """The word for a feature of a service, and the number of its note; "" where it isn't asked."""
        capability = column.service.features.get(feature)
        if capability is None:
            return "", None
        note = noted(capability)
        return word(capability), self.notes.index(note) + 1 if note else None


def word(capability: Capability) -> str:
    """The capability in a word: ✓, emulated, no or lost, with a * where only documentation says so."""
    found = {"native": "✓", "emulated": "emulated"}.get(capability.level, "lost" if capability.loses else "no")
    return found + "*" * capability.by_documentation


def noted(capability: Capability) -> str:
    """How or why, and what of the trigger it takes."""
    if not capability.needs:
        return capability.note
    otherwise = "; else it is lost" if capability.loses else ""
    return f"{capability.note} (only with {capability.needs}= on the trigger{otherwise})"


def matrices(all_declared: Iterable[Declared], kind: str | None = None) -> list[Matrix]:
    """The matrix of each kind that some service hands over, or of the one kind."""
    columns = [Column(one.provider, service) for one in all_declared for service in one.services or ()]
    found: list[Matrix] = []
    for name in HANDED_OVER if kind is None else (kind,):
        if mine := tuple(column for column in columns if column.service.kind == name):
            found.append(_matrix(name, mine))
    return found


def _matrix(kind: str, columns: tuple[Column, ...]) -> Matrix:
    asked = [column.service.features for column in columns]
    known = [feature for feature in FEATURES if any(feature in features for features in asked)]
    others = [feature for features in asked for feature in features if feature not in FEATURES]
    features = tuple(dict.fromkeys([*known, *others]))
    capabilities = [given[feature] for feature in features for given in asked if feature in given]
    return Matrix(kind, columns, features, tuple(dict.fromkeys(filter(None, map(noted, capabilities)))))


def as_json(all_declared: Sequence[Declared], kind: str | None = None) -> dict[str, Any]:
    """The declarations as an object of JSON: every service with its features, and the providers that declare nothing."""
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


# More columns than this can't be read side by side on a page.
ON_A_PAGE = 8


def markdown(all_declared: Sequence[Declared], kind: str | None = None, heading: str = "##") -> str:
    """The matrices as Markdown, each under a heading with its kind, its notes numbered below it."""
    parts = [LEGEND]
    for matrix in matrices(all_declared, kind):
        parts.append(f"{heading} {matrix.kind}")
        for begin in range(0, len(matrix.columns), ON_A_PAGE):
            parts.append(_markdown_table(matrix, matrix.columns[begin : begin + ON_A_PAGE]))
        parts.append("\n".join(f"{number}. {_escaped(note)}" for number, note in enumerate(matrix.notes, 1)))
    if missing := undeclared(all_declared):
        parts.append(f"Not declared yet: {', '.join(missing)}.")
    return "\n\n".join(filter(None, parts)) + "\n"


def _markdown_table(matrix: Matrix, columns: Sequence[Column]) -> str:
    asked = [name for name in matrix.features if any(name in column.service.features for column in columns)]
    titles = [_title(column) for column in columns]
    lines = [_row("", *titles), "|---" * (len(columns) + 1) + "|"]
    for feature in asked:
        lines.append(_row(feature, *(_markdown_cell(*matrix.cell(column, feature)) for column in columns)))
    return "\n".join(lines)


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _title(column: Column) -> str:
    service = column.service
    return "<br>".join(filter(None, (column.provider, f"`{service.name}`", service.word)))


def _markdown_cell(found: str, number: int | None) -> str:
    shown = found.replace("*", r"\*")
    if found.startswith("lost"):
        shown = f"**{shown}**"
    return shown if number is None else f"{shown} ({number})"


def _escaped(text: str) -> str:
    return re.sub(r"([|<>*_\[\]])", r"\\\1", text)
