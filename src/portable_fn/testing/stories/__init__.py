"""The conformance stories: named facts that hold on every provider.

A harness is `send`, a function that brings a neutral request to `stories.app` and gives the answer as its caller receives it.
"""

from portable_fn.testing.stories import app
from portable_fn.testing.stories.http import HTTP_STORIES, Story

__all__ = ["HTTP_STORIES", "Story", "app"]
