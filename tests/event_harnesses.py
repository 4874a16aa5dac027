"""Where the stories of events are told: each service of each provider's `simulate`, in this process."""

from __future__ import annotations

from event_cannot import cannot, told
from portable_fn.providers import ADAPTERS
from portable_fn.testing import stories
from portable_fn.testing.stories import EventCell

__all__ = ["EventCell", "all_that_cannot", "cells"]


def cells(provider: str | None = None) -> list[EventCell]:
    """Every story on every service that hands over events of its kind, where it can be told."""
    return [cell for cell in _all(provider) if told(cell.provider, cell.service, cell.story.name)]


def all_that_cannot() -> dict[tuple[str, str], dict[str, str]]:
    """For a provider and its service, the stories that can't hold, or be told, there, with the reason."""
    found: dict[tuple[str, str], dict[str, str]] = {}
    for cell in _all():
        is_told = told(cell.provider, cell.service, cell.story.name)
        why = cell.cannot if is_told else "its messages have their own form"
        if why is not None:
            found.setdefault((cell.provider, cell.service), {})[cell.story.name] = why
    return found


def _all(provider: str | None = None) -> list[EventCell]:
    return [
        cell
        for name in (ADAPTERS if provider is None else [provider])
        for cell in stories.cells(name, cannot(name))
        if isinstance(cell, EventCell)
    ]
