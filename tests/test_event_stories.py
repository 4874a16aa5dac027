"""Every story of events on every service of every provider's adapter."""

from __future__ import annotations

import pytest

from event_cannot import _CANNOT
from event_harnesses import EventCell, cells

CELLS = cells()


@pytest.mark.parametrize("cell", [pytest.param(cell, id=cell.name) for cell in CELLS])
def test_story(cell: EventCell) -> None:
    cell.tell()


def test_what_cannot_hold_names_stories_and_services_that_there_are() -> None:
    known = {(cell.provider, cell.service, cell.story.name) for cell in CELLS}
    said = {(provider, service, story) for (provider, service), stories in _CANNOT.items() for story in stories}
    assert set() == said - known
