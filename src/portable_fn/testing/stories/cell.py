"""The stories on every service of a provider, each a cell that a test tells."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, TypeVar

from portable_fn.events import Event
from portable_fn.http import Request
from portable_fn.providers import adapter
from portable_fn.record import Record
from portable_fn.testing.delivery import deliver
from portable_fn.testing.results import Answer
from portable_fn.testing.stories import app, events_app
from portable_fn.testing.stories.events import EVENT_STORIES, EventStory, StoryRun
from portable_fn.testing.stories.http import HTTP_STORIES, Story

S = TypeVar("S", bound=Story | EventStory)
# By service, the names of the stories that can't hold there, each with the reason.
Cannot = Mapping[str, Mapping[str, str]]


class _Cell(Record, Generic[S]):
    _fields = ("provider", "service", "story", "cannot")

    def __init__(self, provider: str, service: str, story: S, cannot: str | None = None) -> None:
        self.provider = provider
        self.service = service
        self.story = story
        self.cannot = cannot

    @property
    def name(self) -> str:
        """A name for the test: the provider, the service and the story."""
        return f"{self.provider} {self.service} | {self.story.name}"


class HTTPCell(_Cell[Story]):
    """A story of HTTP on a service of a provider, with the reason where it can't hold there."""

    def deliver(self, request: Request[Any]) -> Answer:
        """Brings the request through the service to the stories' functions."""
        return deliver(app, request, to=self.provider, via=self.service)

    def tell(self) -> None:
        """Tells the story through the provider's `simulate`; AssertionError as `tell` has it."""
        __tracebackhide__ = True
        tell(self.story, self.deliver, self.cannot)


class EventCell(_Cell[EventStory]):
    """A story of events on a service of a provider, with the reason where it can't hold there."""

    def deliver(self, events: Sequence[Event[Any]], *, seconds: float = 30) -> StoryRun:
        """Brings the events through the service to the story's functions."""
        events_app.SEEN.clear()
        functions = events_app.functions_for(self.story.kind, self.story.app)
        delivery = deliver(functions, list(events), to=self.provider, via=self.service, seconds=seconds)
        return StoryRun(delivery, list(events_app.SEEN))

    def tell(self) -> None:
        """Tells the story through the provider's `simulate`; AssertionError as `tell` has it."""
        __tracebackhide__ = True
        tell(self.story, self.deliver, self.cannot)


# How long a second is in process, where no runtime counts whole ones.
EventCell.deliver.second = 0.3  # type: ignore[attr-defined]  # what a story asks for


def cells(provider: str, cannot: Cannot | None = None) -> list[HTTPCell | EventCell]:
    """Every story on every service by which the provider, a name of ours or an adapter's module, hands over what it is about.

    `cannot` has the stories that can't hold on a service, with the reason. ValueError where it names a story or a service that
    isn't there.
    """
    simulate = adapter(provider, "simulate")
    reasons = {(service, story): why for service, stories in (cannot or {}).items() for story, why in stories.items()}
    found: list[HTTPCell | EventCell] = [
        HTTPCell(provider, service, story, reasons.pop((service, story.name), None))
        for service in simulate.SERVICES
        for story in HTTP_STORIES
    ]
    found += [
        EventCell(provider, service, story, reasons.pop((service, story.name), None))
        for kind, services in simulate.EVENT_SERVICES.items()
        for service in services
        for story in EVENT_STORIES
        if story.kind == kind
    ]
    if reasons:
        unknown = "; ".join(f"{service}: {story}" for service, story in reasons)
        raise ValueError(f"these are no stories on a service of {provider}: {unknown}")
    return found


def tell(story: Story | EventStory, deliver: Callable[..., Any], cannot: str | None = None) -> None:
    """Tells a story to the functions that `deliver` brings events to, such as those in a real runtime.

    AssertionError where it doesn't hold, and where it does though `cannot` says why it can't: what can't hold must fail, so
    that no reason outlives itself.
    """
    __tracebackhide__ = True
    try:
        story.tell(deliver)
    except AssertionError:
        if cannot is None:
            raise
    except ValueError:
        # So deliver says that a service can't carry an event.
        if cannot is None or isinstance(story, Story):
            raise
    else:
        if cannot is not None:
            raise AssertionError(f"{story.name!r} holds, though it is said that it can't: {cannot}")
