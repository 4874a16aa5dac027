"""Every story on every service of Toy's adapter."""

from __future__ import annotations

import pytest

from portable_fn.testing.stories import EventCell, HTTPCell, cells

# What can't hold, and why: each of these is tested to fail.
CANNOT = {
    "web": {"a stream's chunks arrive one by one": "an answer is one JSON object"},
    "queue": {
        "Message: its key arrives": "messages have no keys",
        "Message: what follows a failed one of its key comes again, unhandled": "the queue has no order",
    },
}


@pytest.mark.parametrize("cell", cells("portable_fn_toy", CANNOT), ids=lambda cell: cell.name)
def test_story(cell: HTTPCell | EventCell) -> None:
    cell.tell()
