"""The conformance stories: named facts that hold on every provider.

`cells(provider)` are all of them on each of a provider's services, for one test to tell through the adapter's `simulate`. A real
runtime is told a story by `tell(story, deliver)`. For HTTP's stories that brings a neutral request to `stories.app` and gives the
answer as its caller receives it; for those of events it brings events to the functions of `stories.events_app`, and gives `StoryRun`.
`false_claims(provider)` says where an adapter's capabilities aren't what the stories show.
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
