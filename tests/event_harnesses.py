"""Where the stories of events are told: each service of each provider's `simulate`, in this process."""

from __future__ import annotations

from typing import Any

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
        handler = events_app.batch if self.story.app == "batch" else events_app.BY_KIND[self.story.kind]
        delivery = deliver(handler, list(events), to=self.provider, via=self.service, seconds=seconds)
        return Told(delivery, list(events_app.SEEN))


def cells(provider: str | None = None) -> list[EventCell]:
    """Every story on every service that hands over events of its kind."""
    from event_cannot import CANNOT

    found = []
    for name in ADAPTERS if provider is None else [provider]:
        services = getattr(adapter(name, "simulate"), "EVENT_SERVICES", {})
        for story in EVENT_STORIES:
            for service in services.get(story.kind, ()):
                reason = CANNOT.get((name, service), {}).get(story.name)
                found.append(EventCell(name, service, story, reason))
    return found
