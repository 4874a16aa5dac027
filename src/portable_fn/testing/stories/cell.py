"""Pair each story with each service of a provider: a cell, which a test tells."""

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
# By service, the names of stories that can't hold there, with the reason.
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
        """The name for a test: provider, service and story."""
        return f"{self.provider} {self.service} | {self.story.name}"


class HTTPCell(_Cell[Story]):
    """A story of HTTP on a provider's service; `cannot` is the reason why it can't hold there."""

    def deliver(self, request: Request[Any]) -> Answer:
        """Deliver the request through the service to the stories' functions."""
        return deliver(app, request, to=self.provider, via=self.service)

    def tell(self) -> None:
        """Tell the story through the provider's `simulate`; raise AssertionError as `tell` does."""
        __tracebackhide__ = True
        tell(self.story, self.deliver, self.cannot)


class EventCell(_Cell[EventStory]):
    """A story of events on a provider's service; `cannot` is the reason why it can't hold there."""

    def deliver(self, events: Sequence[Event[Any]], *, seconds: float = 30) -> StoryRun:
        """Deliver the events through the service to the story's functions."""
        events_app.SEEN.clear()
        functions = events_app.functions_for(self.story.kind, self.story.app)
        delivery = deliver(functions, list(events), to=self.provider, via=self.service, seconds=seconds)
        return StoryRun(delivery, list(events_app.SEEN))

    def tell(self) -> None:
        """Tell the story through the provider's `simulate`; raise AssertionError as `tell` does."""
        __tracebackhide__ = True
        tell(self.story, self.deliver, self.cannot)


# A short "second" saves time in process. Real runtimes count whole seconds.
EventCell.deliver.second = 0.3  # type: ignore[attr-defined]  # a story reads it


def cells(provider: str, cannot: Cannot | None = None) -> list[HTTPCell | EventCell]:
    """Return every story on every service of the provider that delivers its kind of event.

    Args:
        provider: The provider's name, or an adapter's module.
        cannot: The stories that can't hold on a service, with the reason.

    Raises:
        ValueError: `cannot` names an unknown story or service.
    """
    simulate = adapter(provider, "simulate")
    reasons = {(service, story): why for service, stories in (cannot or {}).items() for story, why in stories.items()}
    all_cells: list[HTTPCell | EventCell] = [
        HTTPCell(provider, service, story, reasons.pop((service, story.name), None))
        for service in simulate.SERVICES
        for story in HTTP_STORIES
    ]
    all_cells += [
        EventCell(provider, service, story, reasons.pop((service, story.name), None))
        for kind, services in simulate.EVENT_SERVICES.items()
        for service in services
        for story in EVENT_STORIES
        if story.kind == kind
    ]
    if reasons:
        unknown = "; ".join(f"{service}: {story}" for service, story in reasons)
        raise ValueError(f"cannot names unknown stories or services of {provider}: {unknown}")
    return all_cells


def tell(story: Story | EventStory, deliver: Callable[..., Any], cannot: str | None = None) -> None:
    """Tell a story to the functions behind `deliver`, for example in a real runtime.

    Args:
        story: The story.
        deliver: Delivers a request or events, and returns an `Answer` or a `StoryRun`.
        cannot: Why the story can't hold.

    Raises:
        AssertionError: The story doesn't hold, or it holds although `cannot` says why it can't: reasons must not outlive
            their cause.
    """
    __tracebackhide__ = True
    try:
        story.tell(deliver)
    except AssertionError:
        if cannot is None:
            raise
    except ValueError:
        # deliver raises it if a service can't carry an event.
        if cannot is None or isinstance(story, Story):
            raise
    else:
        if cannot is not None:
            raise AssertionError(f"{story.name!r} holds; remove the reason why it can't: {cannot}")
