"""Print the matrix of capabilities: as many services side by side as fit, the rest below."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from portable_fn.cli.declared import Declared, undeclared
from portable_fn.cli.matrix import LEGEND, Column, Matrix, matrices, matrix_of

_STYLES = {"✓": "green", "emulated": "cyan", "no": "yellow", "lost": "bold red"}


def print_matrix(console: Console, all_declared: Sequence[Declared], kind: str | None) -> None:
    """Print the tables of each kind, with their notes, and the meaning of the words at the end."""
    shown = matrices(all_declared, kind)
    for matrix in shown:
        for columns in _fitting(matrix, console.width):
            part = matrix_of(matrix.kind, columns)
            console.print(_table(part))
            console.print(_notes(part))
            console.print()
    if shown:
        console.print(Text(LEGEND, "dim"))
    elif kind is not None:
        console.print(Text(f"No service sends a {kind}.", "yellow"))
    if missing := undeclared(all_declared):
        console.print(Text(f"Not declared yet: {', '.join(missing)}.", "yellow"))


def _fitting(matrix: Matrix, width: int) -> Iterator[tuple[Column, ...]]:
    """Group the columns so that each group fits; a group has at least one."""
    # A column has a border, and a space on either side. The last border closes the table.
    first = max(map(len, (*matrix.features, matrix.kind))) + 3 + 1
    group: list[Column] = []
    taken = first
    for column in matrix.columns:
        needed = _width(matrix, column) + 3
        if group and taken + needed > width:
            yield tuple(group)
            group, taken = [], first
        group.append(column)
        taken += needed
    yield tuple(group)


def _width(matrix: Matrix, column: Column) -> int:
    cells = (_cell(matrix, column, feature).plain for feature in matrix.features)
    return max(map(len, (column.provider, column.service.name, column.service.word, *cells)))


def _notes(matrix: Matrix) -> Table:
    grid = Table.grid(padding=(0, 1))
    grid.add_column(justify="right", min_width=3, no_wrap=True, style="dim")
    grid.add_column(overflow="fold")
    for number, note in enumerate(matrix.notes, 1):
        grid.add_row(str(number), Text(note))
    return grid


def _table(matrix: Matrix) -> Table:
    table = Table(box=box.ROUNDED, padding=(0, 1))
    table.add_column(Text(matrix.kind, "bold"), no_wrap=True)
    for column in matrix.columns:
        service = column.service
        title = Text.assemble((column.provider, "bold cyan"), f"\n{service.name}", (f"\n{service.word}", "dim"))
        table.add_column(title, overflow="fold")
    for feature in matrix.features:
        table.add_row(feature, *(_cell(matrix, column, feature) for column in matrix.columns))
    return table


def _cell(matrix: Matrix, column: Column, feature: str) -> Text:
    word, number = matrix.cell(column, feature)
    cell = Text(word, _STYLES.get(word.rstrip("*"), ""))
    return cell if number is None else cell.append(f" {number}", "dim")
