"""Run the stories of events on each service of each provider's `simulate`, in this process."""

from __future__ import annotations

from event_cannot import can_run, cannot
from portable_fn.providers import ADAPTERS
from portable_fn.testing import stories
from portable_fn.testing.stories import EventCell

__all__ = ["EventCell", "all_that_cannot", "cells"]


def cells(provider: str | None = None) -> list[EventCell]:
    """Return every story on every service that delivers events of its kind, if it can run there."""
    return [cell for cell in _all(provider) if can_run(cell.provider, cell.service, cell.story.name)]


def all_that_cannot() -> dict[tuple[str, str], dict[str, str]]:
    """Return, by provider and service, the stories that can't hold or run there, with the reason."""
    reasons: dict[tuple[str, str], dict[str, str]] = {}
    for cell in _all():
        runs = can_run(cell.provider, cell.service, cell.story.name)
        why = cell.cannot if runs else "its messages have their own form"
        if why is not None:
            reasons.setdefault((cell.provider, cell.service), {})[cell.story.name] = why
    return reasons


def _all(provider: str | None = None) -> list[EventCell]:
    return [
        cell
        for name in (ADAPTERS if provider is None else [provider])
        for cell in stories.cells(name, cannot(name))
        if isinstance(cell, EventCell)
    ]
