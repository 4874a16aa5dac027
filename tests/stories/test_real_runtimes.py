"""Tell every HTTP story on every real runtime that this machine has."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from harnesses import Harness, Send
from portable_fn.testing.stories import HTTP_STORIES, Story, tell
from tests.runtimes.harnesses import REAL

pytestmark = pytest.mark.runtime

CELLS = [
    pytest.param(harness, story, id=f"{harness.name} | {story.name}") for harness in REAL for story in HTTP_STORIES
]


@pytest.fixture(scope="session")
def started() -> Iterator[Callable[[Harness], Send]]:
    """Start a harness at its first story, for the rest of the run."""
    running: dict[str, Send | Exception] = {}
    with ExitStack() as stack:

        def start(harness: Harness) -> Send:
            if harness.name not in running:
                try:
                    running[harness.name] = stack.enter_context(harness.start())
                except Exception as exc:
                    running[harness.name] = exc
            send = running[harness.name]
            if isinstance(send, Exception):
                raise send
            return send

        yield start


@pytest.mark.parametrize(("harness", "story"), CELLS)
def test_story(
    harness: Harness,
    story: Story,
    started: Callable[[Harness], Send],
    record_property: Callable[[str, object], None],
) -> None:
    record_property("cell", (story.name, harness.name, harness.cannot.get(story.name)))
    tell(story, started(harness), harness.cannot.get(story.name))
