"""Every HTTP story on every provider's adapter."""

from __future__ import annotations

import pytest

from harnesses import IN_PROCESS, Harness
from portable_fn.testing.stories import HTTP_STORIES, Story

CELLS = [
    pytest.param(harness, story, id=f"{harness.name} | {story.name}")
    for harness in IN_PROCESS
    for story in HTTP_STORIES
]


@pytest.mark.parametrize(("harness", "story"), CELLS)
def test_story(harness: Harness, story: Story) -> None:
    tell(harness, story)


def tell(harness: Harness, story: Story) -> None:
    with harness.start() as send:
        told(send, harness, story)


def told(send, harness: Harness, story: Story) -> None:
    """Tells the story; one that the harness says it can't tell must fail."""
    if story.name not in harness.cannot:
        story.tell(send)
        return
    with pytest.raises(AssertionError):
        story.tell(send)
