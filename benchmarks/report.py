"""Report what was measured: tables for people, JSON for programs, and the tables of docs/explanation/performance.md."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.runtimes.environments import ROOT

RESULTS = Path(__file__).parent / "results.json"
DOCUMENT = ROOT / "docs/explanation/performance.md"

Cell = str | int | float | None


@dataclass
class Table:
    """Rows under columns. Floats have `digits` decimal places; None is a dash."""

    title: str
    columns: list[str]
    rows: list[list[Cell]]
    digits: int = 1


@dataclass
class Goal:
    """A promise. `limit` is the most that `value` may be, or the least if `at_least`."""

    text: str
    value: float
    limit: float
    unit: str
    at_least: bool = False

    @property
    def met(self) -> bool:
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    @property
    def margin(self) -> str:
        """The distance from the limit."""
        places = 2 if self.unit == "times" else 1
        sign = "≥" if self.at_least else "≤"
        return f"{self.value:.{places}f} {self.unit} ({sign} {self.limit:g})"


@dataclass
class Section:
    """One measurement: its method, tables and goals, what it could not measure and why, and notes about the figures."""

    method: str
    tables: list[Table] = field(default_factory=list)
    goals: list[Goal] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Return the section as JSON."""
        return {**asdict(self), "goals": [{**asdict(goal), "met": goal.met} for goal in self.goals]}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Section:
        """Read a section of results.json."""
        goals = [Goal(**{name: each for name, each in goal.items() if name != "met"}) for goal in value["goals"]]
        tables = [Table(**table) for table in value["tables"]]
        return cls(value["method"], tables, goals, list(value["missing"]), list(value["notes"]))


def median(values: Sequence[float]) -> float:
    """Return the middle value, or the mean of the middle two."""
    return quantile(values, 0.5)


def quantile(values: Sequence[float], part: float) -> float:
    """Return the interpolated value that `part` of the values are below."""
    ordered = sorted(values)
    position = part * (len(ordered) - 1)
    low = int(position)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (position - low)


def paired(one: Sequence[float], other: Sequence[float], compare: Callable[[float, float], float]) -> float:
    """Return the median of the comparisons of each round. What slows a whole round slows both, and cancels out."""
    return median([compare(a, b) for a, b in zip(one, other, strict=True)])


def shown(section: Section, markdown: bool = False) -> str:
    """Format the section's tables and goals as text."""
    parts = [section.method] if markdown else []
    parts += [_table(table, markdown) for table in section.tables]
    if section.goals:
        rows: list[list[Cell]] = [[goal.text, goal.margin, "met" if goal.met else "MISSED"] for goal in section.goals]
        parts.append(_table(Table("Goals", ["goal", "measured", ""], rows), markdown))
    parts += [f"Not measured: {reason}" for reason in section.missing]
    parts += section.notes
    return "\n\n".join(parts)


def _table(table: Table, markdown: bool) -> str:
    cells = [table.columns, *([_cell(cell, table.digits) for cell in row] for row in table.rows)]
    widths = [max(len(row[index]) for row in cells) for index in range(len(table.columns))]
    right = [
        any(isinstance(row[index], (int, float)) for row in table.rows) and index > 0
        for index in range(len(table.columns))
    ]
    lines = []
    for row in cells:
        aligned = [
            text.rjust(width) if is_right else text.ljust(width)
            for text, width, is_right in zip(row, widths, right, strict=True)
        ]
        lines.append(f"| {' | '.join(aligned)} |" if markdown else f"  {'  '.join(aligned)}".rstrip())
    if markdown:
        rule = [
            f"{'-' * (width - 1)}:" if is_right else "-" * width for width, is_right in zip(widths, right, strict=True)
        ]
        lines.insert(1, f"| {' | '.join(rule)} |")
    title = f"**{table.title}**\n" if markdown else table.title
    return "\n".join([title, *lines])


def _cell(value: Cell, digits: int) -> str:
    if value is None:
        return "-"
    return str(value) if isinstance(value, (str, int)) else f"{value:,.{digits}f}"


def machine() -> dict[str, Any]:
    """Describe the machine, without its name. `load` is the number of other processes that wanted a core in the minute before."""
    model = platform.processor() or platform.machine()
    if (cpuinfo := Path("/proc/cpuinfo")).exists() and (
        found := re.search(r"model name\s*: (.*)", cpuinfo.read_text())
    ):
        model = found[1]
    release = platform.freedesktop_os_release() if Path("/etc/os-release").exists() else {}
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "os": release.get("PRETTY_NAME", platform.system()),
        "kernel": platform.release(),
        "python": f"{platform.python_implementation()} {platform.python_version()} ({platform.python_compiler()})",
        "load": round(os.getloadavg()[0], 1),
    }


def commit() -> str:
    """Return the commit that was measured, with "+" if the tree had uncommitted changes."""

    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], check=False, cwd=ROOT, capture_output=True, text=True).stdout.strip()

    changed = git("status", "--porcelain", "--", "src", "adapters", "benchmarks")
    return git("rev-parse", "--short", "HEAD") + ("+" if changed else "")


def saved(
    sections: Mapping[str, Section], versions: Mapping[str, str], about: Mapping[str, Any], measured_at: str
) -> None:
    """Write results.json, with the machine and the commit of the start.

    A measurement that was left out keeps its earlier figures and their date.
    """
    now = datetime.now(UTC).isoformat(timespec="seconds")
    known = json.loads(RESULTS.read_text())["sections"] if RESULTS.exists() else {}
    measured = {name: {"date": now, "commit": measured_at, **section.as_json()} for name, section in sections.items()}
    document = {"machine": dict(about), "versions": dict(versions), "sections": {**known, **measured}}
    RESULTS.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")


def document(text: str) -> str:
    """Return the text of docs/explanation/performance.md with the tables of results.json between its markers."""
    results = json.loads(RESULTS.read_text())
    for name, value in results["sections"].items():
        text = _between(text, name, shown(Section.from_json(value), markdown=True))
    about = results["machine"]
    dates = sorted({value["date"][:10] for value in results["sections"].values()})
    peers = ", ".join(f"{name} {version}" for name, version in results["versions"].items() if name != "python")
    lines = [
        f"- Machine: {about['cpu']}, {about['cores']} cores; {about['os']}, Linux {about['kernel']}; {about['python']}; load before: {about['load']}.",
        f"- Measured: {', '.join(dates)}.",
        f"- Peers: {peers}.",
    ]
    missed = [
        f"- {goal.text}: {goal.margin}."
        for value in results["sections"].values()
        for goal in Section.from_json(value).goals
        if not goal.met
    ]
    text = _between(text, "missed", "\n".join(missed) or "None.")
    return _between(text, "machine", "\n".join(lines))


def _between(text: str, name: str, content: str) -> str:
    begin, end = f"<!-- results: {name} -->", f"<!-- end: {name} -->"
    before, found, rest = text.partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise SystemExit(f"{DOCUMENT.name} has no markers {begin} and {end}")
    return f"{before}{begin}\n{content}\n{end}{after}"
