"""Skip runtimes that the machine can't have. At the end of a run, print which story held on which service of which real runtime."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

# Imported here, not by the plugin when an assertion fails: CPython 3.11's parser fails on a deep stack.
import portable_fn.testing.explanation  # noqa: F401
from tests.runtimes.environments import Unavailable

if TYPE_CHECKING:
    from tests.runtimes.azurite import Storage

pytest.register_assert_rewrite("portable_fn.testing.stories")
settings.register_profile("fast", max_examples=10)


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name bytes by their parameter: a gzip has the time in it, and each process must give a test the same name."""
    return argname if isinstance(val, bytes) and not val.isascii() else None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup() -> Generator[None, object, object]:
    return (yield from _skipping())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None, object, object]:
    return (yield from _skipping())


def _skipping() -> Generator[None, object, object]:
    try:
        return (yield)
    except Unavailable as exc:
        pytest.skip(str(exc))


@pytest.fixture(scope="module")
def storage() -> Iterator[Storage]:
    """An empty account of Azurite, the emulator of Azure Storage."""
    from tests.runtimes.azurite import azurite

    with azurite() as running:
        yield running


# The results of stories, by property, story and runtime: each service's "ok", "no", "skip" or "FAIL", with the reason of "no" and
# "skip". The property "cell" is for requests (story, runtime, why it can't hold), "event_cell" for other events (story, runtime,
# service, why it can't hold).
_CELLS: dict[str, dict[tuple[str, str], list[tuple[str, str]]]] = {"cell": {}, "event_cell": {}}
_TITLES = {
    "cell": "stories on real runtimes",
    "event_cell": "stories of events on real runtimes, with the number of services",
}


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    for name, value in report.user_properties:
        if name not in _CELLS or report.when != "call":
            continue
        story, runtime, *_, cannot = value
        if report.skipped:
            reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
            result = ("skip", reason.removeprefix("Skipped: "))
        elif report.failed:
            result = ("FAIL", "")
        else:
            result = ("no", cannot) if cannot else ("ok", "")
        _CELLS[name].setdefault((story, runtime), []).append(result)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for name, cells in _CELLS.items():
        if cells:
            terminalreporter.section(_TITLES[name])
            for line in _table(cells, counted=name == "event_cell"):
                terminalreporter.write_line(line)


def _table(cells: dict[tuple[str, str], list[tuple[str, str]]], *, counted: bool) -> list[str]:
    """Return the lines: the names of the columns, a row for each story, and the numbered reasons."""
    stories = list(dict.fromkeys(story for story, _ in cells))
    runtimes = list(dict.fromkeys(runtime for _, runtime in cells))
    letters = [chr(ord("A") + index) for index in range(len(runtimes))]
    lines = []
    for letter, runtime in zip(letters, runtimes, strict=True):
        words = [word for (_, name), results in cells.items() if name == runtime for word, _ in results]
        counts = ", ".join(f"{words.count(word)} {word}" for word in ("ok", "no", "skip", "FAIL") if word in words)
        lines.append(f"{letter} = {runtime}: {counts}")
    reasons: dict[str, int] = {}
    rows = {"": letters}
    for story in stories:
        rows[story] = [_cell(cells.get((story, runtime), []), reasons, counted) for runtime in runtimes]
    width = 1 + max(len(cell) for row in rows.values() for cell in row)
    lines += [("".join(f"{cell:>{width}}" for cell in row) + f" {story}").rstrip() for story, row in rows.items()]
    lines += [f"[{number}] {reason}" for reason, number in reasons.items()]
    if any("-" in row for row in rows.values()):
        lines.append("- the provider sends no such event, or the run left it out")
    return lines


def _cell(results: list[tuple[str, str]], reasons: dict[str, int], counted: bool) -> str:
    """Return a cell: "ok", or the number of services on which the story holds; a reason's number if it holds on none; "-" if it wasn't run."""
    words = [word for word, _ in results]
    if "FAIL" in words or not words:
        return "FAIL" if words else "-"
    held = words.count("ok")
    if not held:
        reason = "; ".join(dict.fromkeys(reason for _, reason in results))
        return f"[{reasons.setdefault(reason, len(reasons) + 1)}]"
    if not counted:
        return "ok"
    return str(held) if held == len(words) else f"{held}/{len(words)}"
