"""Define and register a story about events."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

from portable_fn.events import Message, Task
from portable_fn.record import Record
from portable_fn.testing import fake
from portable_fn.testing.results import Delivery, OutcomeWord

ACK, AGAIN, DEAD = "acknowledged", "retried", "dead-lettered"


class StoryRun(Record):
    """The result of a story's delivery.

    Attributes:
        delivery: The outcomes of the events.
        seen: The events as the functions saw them.
    """

    _fields = ("delivery", "seen")

    def __init__(self, delivery: Delivery, seen: list[dict[str, Any]]) -> None:
        self.delivery = delivery
        self.seen = seen

    @property
    def outcomes(self) -> list[OutcomeWord]:
        """The outcome of each event."""
        return self.delivery.outcomes

    @property
    def saw(self) -> dict[str, Any]:
        """The event of the only call."""
        assert len(self.seen) == 1, self.seen
        return self.seen[0]


# Delivers events together to the story's functions: deliver(events, seconds=30).
Deliver = Callable[..., StoryRun]


class EventStory(Record):
    """A named fact about a kind of event.

    Attributes:
        name: The fact.
        kind: The kind of event.
        features: The features of portable_fn.adapter.capabilities that it shows.
        tell: Raises AssertionError if the fact doesn't hold.
        app: The functions that get the events. "each": one by one. "batch": as a batch. "failing": always fails, for schedules.
            "among others": one for messages beside one for each other kind. "by messages": one with via= for events in messages,
            beside one for messages.
    """

    _fields = ("name",)

    def __init__(
        self, name: str, kind: str, features: tuple[str, ...], tell: Callable[[Deliver], None], app: str = "each"
    ) -> None:
        self.name = name
        self.kind = kind
        self.features = features
        self.tell = tell
        self.app = app


EVENT_STORIES: list[EventStory] = []
Tell = Callable[[Deliver], None]


def story(kind: str, name: str, *features: str, app: str = "each") -> Callable[[Tell], Tell]:
    """Register a story: a function that gets `deliver` and asserts."""

    def register(tell: Tell) -> Tell:
        EVENT_STORIES.append(EventStory(f"{kind}: {name}", kind, features, tell, app))
        return tell

    return register


def messages(*datas: Any, key: str | None = None, **fields: Any) -> list[Message[Any]]:
    """Make numbered messages, each with its own key unless one is passed."""
    return [
        fake.message(
            data,
            id=f"message-{number}",
            **{**fields, "key": key or f"key-{number}", "partition": "0", "sequence": str(100 + number)},
        )
        for number, data in enumerate(datas, 1)
    ]


def task(data: Any) -> Task[Any]:
    """Make a call of the story's function."""
    return fake.task(data, name="function")


def body_of(seen: dict[str, Any]) -> bytes:
    """Return the body of a seen event."""
    return base64.b64decode(seen["body"])


FAIL = {"do": "fail"}
