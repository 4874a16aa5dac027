"""Tell every event story on the real runtimes of AWS, Google, Azure and containers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from event_harnesses import EventCell, cells
from portable_fn.testing.stories import tell
from tests.runtimes.azure_event_stories import Worker
from tests.runtimes.event_stories import CANNOT, RUNTIMES, Running, Runtime

pytestmark = pytest.mark.runtime

# In the story of the deadline, the function has one second.
SHORT = 1.0

CELLS = [
    pytest.param(runtime, cell, id=f"{runtime.name}, {cell.name}")
    for runtime in RUNTIMES
    for cell in cells(runtime.provider)
]
Start = Callable[[Runtime, EventCell], Running | Worker]


@pytest.fixture(scope="module")
def started() -> Iterator[Start]:
    """Start a runtime with a function at its first story, for the rest of the module."""
    running: dict[tuple[object, ...], Running | Worker | Exception] = {}
    with ExitStack() as stack:

        def start(runtime: Runtime, cell: EventCell) -> Running | Worker:
            kind, app = cell.story.kind, cell.story.app
            seconds = SHORT if "time runs short" in cell.story.name else 30.0
            key = (runtime.name,) if runtime.shared else (runtime.name, kind, app, seconds)
            if key not in running:
                try:
                    running[key] = stack.enter_context(runtime.start(kind, app, seconds))
                except Exception as exc:
                    running[key] = exc
            process = running[key]
            if isinstance(process, Exception):
                raise process
            return process

        yield start


@pytest.mark.parametrize(("runtime", "cell"), CELLS)
def test_story(
    runtime: Runtime, cell: EventCell, started: Start, record_property: Callable[[str, object], None]
) -> None:
    cannot = cell.cannot or CANNOT.get((cell.service, cell.story.name))
    record_property("event_cell", (cell.story.name, runtime.name, cell.service, cannot))
    if reason := runtime.without.get(cell.service):
        pytest.skip(reason)
    tell(cell.story, started(runtime, cell).deliver_to(cell), cannot)
