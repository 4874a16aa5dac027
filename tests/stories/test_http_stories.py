"""Tell every HTTP story on every provider's adapter."""

from __future__ import annotations

import pytest

from harnesses import IN_PROCESS, Harness
from portable_fn.testing.stories import HTTP_STORIES, Story, tell

# Those of `make test-fast`: one service of each provider.
FIRST = ("aws http_api", "gcp http", "azure", "cloudflare", "asgi")
CELLS = [
    pytest.param(
        harness,
        story,
        id=f"{harness.name} | {story.name}",
        marks=[] if harness.name in FIRST else [pytest.mark.slow],
    )
    for harness in IN_PROCESS
    for story in HTTP_STORIES
]


@pytest.mark.parametrize(("harness", "story"), CELLS)
def test_story(harness: Harness, story: Story) -> None:
    with harness.start() as send:
        tell(story, send, harness.cannot.get(story.name))
