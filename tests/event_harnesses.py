"""Where the stories of events are told: each service of each provider's `simulate`, in this process."""

from __future__ import annotations

from typing import Any

from event_cannot import cannot, told
from portable_fn.providers import ADAPTERS, adapter
from portable_fn.record import Record
from portable_fn.testing import deliver
from portable_fn.testing.stories import EVENT_STORIES, EventStory, Told, events_app


class EventCell(Record):
    """A story on one service of a provider, with the reason where it can't hold there."""

    _fields = ("provider", "service", "story", "cannot")

    def __init__(self, provider: str, service: str, story: EventStory, cannot: str | None) -> None:
        self.provider = provider
        self.service = service
        self.story = story
        self.cannot = cannot

    @property
    def name(self) -> str:
        return f"{self.provider} {self.service} | {self.story.name}"

    def deliver(self, events: Any, *, seconds: float = 30) -> Told:
        """Brings the events through the service to the story's functions."""
        events_app.SEEN.clear()
        handler = events_app.function_for(self.story.kind, self.story.app)
        delivery = deliver(handler, list(events), to=self.provider, via=self.service, seconds=seconds)
        return Told(delivery, list(events_app.SEEN))


# How long a second is in process, where no runtime counts whole ones.
EventCell.deliver.second = 0.3  # type: ignore[attr-defined]  # what a story asks for


def cells(provider: str | None = None) -> list[EventCell]:
    """Every story on every service that hands over events of its kind."""
    return [
        EventCell(name, service, story, cannot(name, service, story.name))
        for name in (ADAPTERS if provider is None else [provider])
        for story in EVENT_STORIES
        for service in adapter(name, "simulate").EVENT_SERVICES.get(story.kind, ())
        if told(name, service, story.name)
    ]


def all_that_cannot() -> dict[tuple[str, str], dict[str, str]]:
    """For a provider and its service, the stories that can't hold, or be told, there, with the reason."""
    found: dict[tuple[str, str], dict[str, str]] = {}
    for name in ADAPTERS:
        for kind, services in adapter(name, "simulate").EVENT_SERVICES.items():
            for service in services:
                for story in EVENT_STORIES:
                    if story.kind == kind:
                        why = cannot(name, service, story.name)
                        if not told(name, service, story.name):
                            why = "its messages have a form of their own"
                        if why is not None:
                            found.setdefault((name, service), {})[story.name] = why
    return found
