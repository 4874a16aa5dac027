"""Print results as a table with one row for each provider, or as panels if the terminal is narrow."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from http import HTTPStatus
from typing import Any

from rich import box
from rich.console import Console, Group
from rich.highlighter import JSONHighlighter
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from portable_fn.cli.delivering import Delivered
from portable_fn.cli.excerpt import about, compact, neutral, plain, text
from portable_fn.cli.sending import Sent
from portable_fn.events import Event
from portable_fn.http import Request
from portable_fn.testing.results import Answer, Delivery

# Below this width, the columns are too narrow for JSON.
NARROW = 118
# The width in a file or a pipe, which has no terminal.
PIPED = 120

_TITLES = ("native request", "the handler sees", "native answer", "the caller gets", "overhead")
_DELIVERY_TITLES = ("native request", "outcome", "native answer", "log")


def print_table(place: str, functions: Sequence[str], request: Request[Any], all_sent: Sequence[Sent]) -> None:
    """Print what each side saw, for each provider."""
    console = stdout()
    query = f"?{request.raw_query}" if request.raw_query else ""
    name = f"{place}:{functions[0]}" if len(functions) == 1 else place
    console.print(Text.assemble((f"{request.method} {request.raw_path}{query}", "bold"), f"  →  {name}"))
    rows = [(sent, _cells(sent, request)) for sent in all_sent]
    if console.width >= NARROW:
        console.print(_columns(rows, _TITLES, (28, 18, 23, 21)))
    else:
        console.print(Group(*(_panel(sent, cells, _TITLES) for sent, cells in rows)))
    for line in _summary(all_sent):
        console.print(line)


def print_deliveries(
    place: str, functions: Sequence[str], events: Sequence[Event[Any]], all_delivered: Sequence[Delivered]
) -> None:
    """Print the payloads, the outcome of each event and the log, for each provider."""
    console = stdout()
    name = f"{place}:{functions[0]}" if len(functions) == 1 else place
    ids = ", ".join(event.id for event in events)
    console.print(Text.assemble((f"{events[0].kind_name} {ids}", "bold"), f"  →  {name}"))
    rows = [(delivered, _delivered_cells(delivered)) for delivered in all_delivered]
    if console.width >= NARROW:
        console.print(_columns(rows, _DELIVERY_TITLES, (32, 18, 22, 22)))
    else:
        console.print(Group(*(_panel(delivered, cells, _DELIVERY_TITLES) for delivered, cells in rows)))
    for line in _delivery_summary(all_delivered):
        console.print(line)


def stdout() -> Console:
    """Return the console: as wide as the terminal or `COLUMNS`, or else `PIPED`."""
    console = Console(highlight=False)
    if console.is_terminal or "COLUMNS" in os.environ:
        return console
    return Console(highlight=False, width=PIPED)


def _columns(
    rows: Sequence[tuple[Sent | Delivered, list[Text]]], titles: Sequence[str], ratios: Sequence[int]
) -> Table:
    """Return the rows as a table. Columns without a ratio are as wide as their contents."""
    table = Table(box=box.ROUNDED, show_lines=True, expand=True, padding=(0, 1))
    table.add_column("provider", style="bold cyan", no_wrap=True)
    for title, ratio in zip(titles, ratios, strict=False):
        table.add_column(title, ratio=ratio, overflow="fold")
    for title in titles[len(ratios) :]:
        table.add_column(title, justify="right", no_wrap=True)
    for sent, cells in rows:
        table.add_row(sent.name, *cells)
    return table


def _panel(sent: Sent | Delivered, cells: Sequence[Text], titles: Sequence[str]) -> Panel:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for title, cell in zip(titles, cells, strict=True):
        if cell:
            grid.add_row(title, cell)
    return Panel(grid, title=Text(sent.name, "bold cyan"), title_align="left", box=box.ROUNDED)


def _cells(sent: Sent, request: Request[Any]) -> list[Text]:
    if sent.missing:
        return [Text(sent.error or "", "yellow"), Text(), Text(), Text(), Text()]
    names = [name for name, _ in request.headers.multi_items()]
    seen = Text(neutral(sent.seen, names)) if sent.seen else Text("was not called", "yellow")
    overhead = Text("-", "dim") if sent.overhead is None else Text(f"{sent.overhead:.1f} µs")
    native_request = "" if sent.native_request is None else about(sent.native_request, request)
    native_answer = "" if sent.native_answer is None else compact(sent.native_answer)
    return [_json(native_request), seen, _json(native_answer), _answer(sent), overhead]


def _delivered_cells(delivered: Delivered) -> list[Text]:
    if delivered.delivery is None:
        return [Text(delivered.error or "", "yellow" if delivered.missing else "red"), Text(), Text(), Text()]
    events = delivered.delivery.events
    return [
        _lines(_json(about(native, *events)) for native in delivered.native_requests),
        _outcomes(delivered.delivery),
        _lines(_json(compact(native)) for native in delivered.native_answers),
        _lines(Text(line, "red" if line.startswith(("error:", "critical:")) else "") for line in delivered.logged),
    ]


def _outcomes(delivery: Delivery) -> Text:
    """Return the outcome of each event, and the result of a task or reply."""
    lines = []
    for event, result in zip(delivery.events, delivery.results, strict=True):
        cell = Text(f"{event.id} ", "default").append(result.outcome, _STYLES.get(result.outcome, "bold red"))
        if result.after is not None:
            cell.append(f" after {result.after:g} s")
        if result.why:
            cell.append(f": {result.why}")
        lines.append(cell)
    if delivery.error is not None:
        lines.append(Text("error ", "dim").append(": ".join(delivery.error), "default"))
    elif delivery.result is not None:
        lines.append(Text("result ", "dim").append(_json(compact(plain(delivery.result)))))
    return _lines(lines)


_STYLES = {"acknowledged": "bold green", "retried": "bold yellow"}


def _lines(texts: Iterable[Text]) -> Text:
    return Text("\n").join(texts)


def _delivery_summary(all_delivered: Sequence[Delivered]) -> list[Text]:
    alike: dict[str, list[str]] = {}
    for delivered in all_delivered:
        if delivered.delivery is not None:
            alike.setdefault(", ".join(delivered.delivery.outcomes), []).append(delivered.name)
    names = [name for those in alike.values() for name in those]
    if len(alike) > 1:
        groups = "; ".join(f"{', '.join(those)}: {outcomes}" for outcomes, those in alike.items())
        return [Text(f"The outcomes differ. {groups}", "yellow")]
    return [Text(f"The same outcome on all {len(names)}.", "green")] if len(names) > 1 else []


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
    for name, value in sent.answer.headers.multi_items():
        cell.append(f"\n{name}: ", "dim").append(value, "not bold default")
    if body := _body(sent.answer):
        cell.append("\n").append(Text(body if len(body) <= 500 else f"{body[:500]}…", "default"))
    for line in sent.logged:
        cell.append(f"\nlog: {line}", "not bold red")
    return cell


def _body(answer: Answer) -> str:
    """Return the body as text; JSON with spaces, at which lines can break."""
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
                "overhead: how much longer a call of the provider's entry takes than a direct call of the handler with the "
                f"same neutral request; median of {min(timed)} pairs of calls in this process, no network",
                "dim",
            )
        )
    elif answered:
        lines.append(Text("--time N calls the function N more times on each provider, to time the overhead", "dim"))
    return lines
