"""Tell the conformance stories: named facts that hold on every provider.

- `cells(provider)` returns every story for every service of a provider. One test tells them through the adapter's `simulate`.
- `tell(story, deliver)` tells a story to a real runtime. For HTTP, `deliver` sends a neutral request to `stories.app` and returns the
  caller's answer. For events, it sends them to the functions of `stories.events_app` and returns a `StoryRun`.
- `false_claims(provider)` returns the declared capabilities that the stories contradict.
"""

from portable_fn.testing.stories import app, events_app
from portable_fn.testing.stories.cell import EventCell, HTTPCell, cells, tell
from portable_fn.testing.stories.claims import false_claims
from portable_fn.testing.stories.events import EVENT_STORIES, EventStory, StoryRun
from portable_fn.testing.stories.http import HTTP_STORIES, Story

__all__ = [
    "EVENT_STORIES",
    "HTTP_STORIES",
    "EventCell",
    "EventStory",
    "HTTPCell",
    "Story",
    "StoryRun",
    "app",
    "cells",
    "events_app",
    "false_claims",
    "tell",
]
