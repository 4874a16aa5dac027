"""A runtime that a machine can't have is a skip; at the end of a run: which real runtime told which story."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from tests.runtimes.environments import Unavailable

pytest.register_assert_rewrite("portable_fn.testing.stories")


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


# (story, runtime): what its cell shows, with the reason where it isn't "ok".
_CELLS: dict[tuple[str, str], tuple[str, str]] = {}


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    for name, value in report.user_properties:
        if name != "cell" or report.when != "call":
            continue
        story, runtime, cannot = value
        if report.skipped:
            reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
            _CELLS[story, runtime] = ("skip", reason.removeprefix("Skipped: "))
        elif report.failed:
            _CELLS[story, runtime] = ("FAIL", "")
        else:
            _CELLS[story, runtime] = ("no", cannot) if cannot else ("ok", "")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not _CELLS:
        return
    write = terminalreporter.write_line
    stories = list(dict.fromkeys(story for story, _ in _CELLS))
    runtimes = list(dict.fromkeys(runtime for _, runtime in _CELLS))
    reasons = list(dict.fromkeys(reason for _, reason in _CELLS.values() if reason))
    terminalreporter.section("stories on real runtimes")
    for letter, runtime in zip(_letters(len(runtimes)), runtimes, strict=True):
        shown = [_CELLS[story, runtime][0] for story in stories if (story, runtime) in _CELLS]
        counts = ", ".join(f"{shown.count(word)} {word}" for word in ("ok", "no", "skip", "FAIL") if word in shown)
        write(f"{letter} = {runtime}: {counts}")
    cells = {
        story: [_shown(_CELLS.get((story, runtime), ("-", "")), reasons) for runtime in runtimes] for story in stories
    }
    table = [_row("", _letters(len(runtimes))), *(_row(story, shown) for story, shown in cells.items())]
    for row, story in table:
        write(f"{row} {story}")
    for number, reason in enumerate(reasons, 1):
        write(f"[{number}] {reason}")


def _row(story: str, cells: list[str]) -> tuple[str, str]:
    return "".join(f"{cell:>5}" for cell in cells), story


def _shown(cell: tuple[str, str], reasons: list[str]) -> str:
    word, reason = cell
    return f"[{reasons.index(reason) + 1}]" if reason else word


def _letters(count: int) -> list[str]:
    return [chr(ord("A") + index) for index in range(count)]
