"""The conformance stories: named facts that hold on every provider.

A harness of HTTP's is `send`, a function that brings a neutral request to `stories.app` and gives the answer as its caller receives
it; one of events' is `deliver`, which brings events to the functions of `stories.events_app`.
"""

from portable_fn.testing.stories import app, events_app
from portable_fn.testing.stories.events import EVENT_STORIES, EventStory, Told
from portable_fn.testing.stories.http import HTTP_STORIES, Story

__all__ = ["EVENT_STORIES", "HTTP_STORIES", "EventStory", "Story", "Told", "app", "events_app"]
