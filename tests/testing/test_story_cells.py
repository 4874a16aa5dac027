"""How a provider's tests tell the stories: the cells, and what can't hold must fail."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from portable_fn.errors import ConfigurationError
from portable_fn.testing.stories import EVENT_STORIES, HTTP_STORIES, EventCell, EventStory, HTTPCell, Story, cells, tell

STREAM = "a stream's chunks arrive one by one"


def raising(error: Exception | None) -> Callable[..., None]:
    def told(deliver: object) -> None:
        if error is not None:
            raise error

    return told


def event_story(error: Exception | None) -> EventStory:
    return EventStory("Message: it holds", "Message", (), raising(error))


def test_the_cells_are_every_story_on_every_service_that_hands_over_its_kind() -> None:
    found = cells("portable_fn_toy", {"web": {STREAM: "it can't"}})
    http = [cell for cell in found if isinstance(cell, HTTPCell)]
    events = [cell for cell in found if isinstance(cell, EventCell)]

    assert [("web", story.name) for story in HTTP_STORIES] == [(cell.service, cell.story.name) for cell in http]
    expected = [
        (service, story.name)
        for kind, service in (("Message", "queue"), ("Task", "call"))
        for story in EVENT_STORIES
        if story.kind == kind
    ]
    assert expected == [(cell.service, cell.story.name) for cell in events]
    assert [(STREAM, "it can't")] == [(cell.story.name, cell.cannot) for cell in found if cell.cannot]
    assert len(found) == len({cell.name for cell in found})


@pytest.mark.parametrize(
    "cannot", [{"web": {"no such story": "why"}}, {"wob": {STREAM: "why"}}, {"queue": {STREAM: "why"}}]
)
def test_a_reason_for_an_unknown_cell_is_an_error(cannot: dict[str, dict[str, str]]) -> None:
    ((service, stories),) = cannot.items()
    with pytest.raises(
        ValueError, match=f"unknown stories or services of portable_fn_toy: {service}: {next(iter(stories))}"
    ):
        cells("portable_fn_toy", cannot)


def test_the_cells_of_no_provider_are_an_error() -> None:
    with pytest.raises(ConfigurationError, match="no provider 'portable_fn_nowhere'"):
        cells("portable_fn_nowhere")


@pytest.mark.parametrize("error", [AssertionError("no"), ValueError("can't carry it")])
def test_what_fails_is_seen_unless_it_can_not_hold(error: Exception) -> None:
    with pytest.raises(type(error), match=str(error)):
        tell(event_story(error), print)
    tell(event_story(error), print, "it can't")


def test_what_holds_is_quiet_unless_it_can_not() -> None:
    tell(event_story(None), print)
    for story in (event_story(None), Story("it holds", raising(None))):
        with pytest.raises(AssertionError, match="holds; remove the reason why it can't: why"):
            tell(story, print, "why")


@pytest.mark.parametrize("story", [Story("a", raising(ValueError("broken"))), event_story(KeyError("broken"))])
def test_what_is_broken_does_not_pass_for_what_can_not_hold(story: Any) -> None:
    with pytest.raises((ValueError, KeyError), match="broken"):
        tell(story, print, "it can't")
