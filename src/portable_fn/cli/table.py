"""What happened, as a table to read: one row a provider, or one panel each where the terminal is narrow."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from contextlib import suppress
from http import HTTPStatus
from typing import Any

from rich import box
from rich.console import Console, Group
from rich.highlighter import JSONHighlighter
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from portable_fn.cli.excerpt import about, compact, neutral, text
from portable_fn.cli.sending import Sent
from portable_fn.http import Request
from portable_fn.testing.delivery import Answer

# Below this width the columns get too narrow to read JSON in.
NARROW = 118
# What goes into a file or a pipe has no terminal that says its width.
PIPED = 120

_TITLES = ("native request", "the handler sees", "native answer", "the caller gets", "overhead")


def print_table(place: str, functions: Sequence[str], request: Request[Any], all_sent: Sequence[Sent]) -> None:
    """Prints what every side saw, for each provider."""
    console = stdout()
    query = f"?{request.raw_query}" if request.raw_query else ""
    name = f"{place}:{functions[0]}" if len(functions) == 1 else place
    console.print(Text.assemble((f"{request.method} {request.raw_path}{query}", "bold"), f"  →  {name}"))
    rows = [(sent, _cells(sent, request)) for sent in all_sent]
    console.print(_columns(rows) if console.width >= NARROW else Group(*(_panel(*row) for row in rows)))
    for line in _summary(all_sent):
        console.print(line)


def stdout() -> Console:
    """What is printed on: as wide as the terminal, or as `COLUMNS` says, else as what is read from a pipe."""
    console = Console(highlight=False)
    if console.is_terminal or "COLUMNS" in os.environ:
        return console
    return Console(highlight=False, width=PIPED)


def _columns(rows: Sequence[tuple[Sent, list[Text]]]) -> Table:
    table = Table(box=box.ROUNDED, show_lines=True, expand=True, padding=(0, 1))
    table.add_column("provider", style="bold cyan", no_wrap=True)
    for title, ratio in zip(_TITLES[:4], (28, 18, 23, 21), strict=True):
        table.add_column(title, ratio=ratio, overflow="fold")
    table.add_column(_TITLES[4], justify="right", no_wrap=True)
    for sent, cells in rows:
        table.add_row(sent.name, *cells)
    return table


def _panel(sent: Sent, cells: Sequence[Text]) -> Panel:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for title, cell in zip(_TITLES, cells, strict=True):
        if cell:
            grid.add_row(title, cell)
    return Panel(grid, title=Text(sent.name, "bold cyan"), title_align="left", box=box.ROUNDED)


def _cells(sent: Sent, request: Request[Any]) -> list[Text]:
    if sent.missing:
        return [Text(sent.error or "", "yellow"), Text(), Text(), Text(), Text()]
    given = [name for name, _ in request.headers.pairs]
    seen = Text(neutral(sent.seen, given)) if sent.seen else Text("was not called", "yellow")
    overhead = Text("-", "dim") if sent.overhead is None else Text(f"{sent.overhead:.1f} µs")
    native_request = "" if sent.native_request is None else about(sent.native_request, request)
    native_answer = "" if sent.native_answer is None else compact(sent.native_answer)
    return [_json(native_request), seen, _json(native_answer), _answer(sent), overhead]


def _json(line: str) -> Text:
    return JSONHighlighter()(Text(line))


def _answer(sent: Sent) -> Text:
    if sent.answer is None:
        return Text(sent.error or "", "red")
    status = sent.answer.status
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = ""
    cell = Text(
        f"{status} {phrase}".strip(), "bold green" if status < 400 else "bold yellow" if status < 500 else "bold red"
    )
    for name, value in sent.answer.headers.pairs:
        cell.append(f"\n{name}: ", "dim").append(value, "not bold default")
    if body := _body(sent.answer):
        cell.append("\n").append(Text(body if len(body) <= 500 else f"{body[:500]}…", "default"))
    for line in sent.logged:
        cell.append(f"\nlog: {line}", "not bold red")
    return cell


def _body(answer: Answer) -> str:
    """The body as text; JSON with spaces, where its lines may break."""
    if "json" in answer.headers.get("content-type", ""):
        with suppress(ValueError):
            return json.dumps(json.loads(answer.body), ensure_ascii=False)
    return text(answer.body)


def _summary(all_sent: Sequence[Sent]) -> list[Text]:
    lines: list[Text] = []
    answered = [(sent.name, sent.answer) for sent in all_sent if sent.answer is not None]
    alike: dict[str, list[str]] = {}
    for name, answer in answered:
        alike.setdefault(f"{answer.status} {answer.headers.get('content-type', '')}".rstrip(), []).append(name)
    if len(alike) > 1:
        groups = "; ".join(f"{', '.join(names)}: {shown}" for shown, names in alike.items())
        lines.append(Text(f"The answers differ. {groups}", "yellow"))
    elif len(answered) > 1:
        same = (
            "status, content type and body"
            if len({answer.body for _, answer in answered}) == 1
            else "status and content type"
        )
        lines.append(Text(f"The same {same} on all {len(answered)}.", "green"))
    timed = [sent.calls for sent in all_sent if sent.overhead is not None]
    if timed:
        lines.append(
            Text(
                "overhead: what a call of the provider's entry takes longer than a direct call of the handler with the "
                f"same neutral request; median of {min(timed)} pairs of calls in this process, no network",
                "dim",
            )
        )
    elif answered:
        lines.append(
            Text(
                "overhead: not measured; --repeat N calls the function N more times on each provider to time it", "dim"
            )
        )
    return lines
