"""Tell the stories of a provider: make the cells, and let stories that can't hold fail."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from portable_fn.errors import ConfigurationError
from portable_fn.testing.stories import EVENT_STORIES, HTTP_STORIES, EventCell, EventStory, HTTPCell, Story, cells, tell

STREAM = "a stream's chunks arrive one by one"


def raising(error: Exception | None) -> Callable[..., None]:
    def fails(deliver: object) -> None:
        if error is not None:
            raise error

    return fails


def event_story(error: Exception | None) -> EventStory:
    return EventStory("Message: it holds", "Message", (), raising(error))


def test_cells_are_every_story_on_every_service_of_its_kind() -> None:
    all_cells = cells("portable_fn_toy", {"web": {STREAM: "it can't"}})
    http = [cell for cell in all_cells if isinstance(cell, HTTPCell)]
    events = [cell for cell in all_cells if isinstance(cell, EventCell)]

    assert [("web", story.name) for story in HTTP_STORIES] == [(cell.service, cell.story.name) for cell in http]
    expected = [
        (service, story.name)
        for kind, service in (("Message", "queue"), ("Task", "call"))
        for story in EVENT_STORIES
        if story.kind == kind
    ]
    assert expected == [(cell.service, cell.story.name) for cell in events]
    assert [(STREAM, "it can't")] == [(cell.story.name, cell.cannot) for cell in all_cells if cell.cannot]
    assert len(all_cells) == len({cell.name for cell in all_cells})


@pytest.mark.parametrize(
    "cannot", [{"web": {"no such story": "why"}}, {"wob": {STREAM: "why"}}, {"queue": {STREAM: "why"}}]
)
def test_a_reason_for_an_unknown_cell_is_an_error(cannot: dict[str, dict[str, str]]) -> None:
    ((service, stories),) = cannot.items()
    with pytest.raises(
        ValueError, match=f"unknown stories or services of portable_fn_toy: {service}: {next(iter(stories))}"
    ):
        cells("portable_fn_toy", cannot)


def test_an_unknown_provider_is_an_error() -> None:
    with pytest.raises(ConfigurationError, match="no provider 'portable_fn_nowhere'"):
        cells("portable_fn_nowhere")


@pytest.mark.parametrize("error", [AssertionError("no"), ValueError("can't carry it")])
def test_a_failing_story_raises_unless_it_cannot_hold(error: Exception) -> None:
    with pytest.raises(type(error), match=str(error)):
        tell(event_story(error), print)
    tell(event_story(error), print, "it can't")


def test_a_story_that_holds_raises_only_if_it_cannot_hold() -> None:
    tell(event_story(None), print)
    for story in (event_story(None), Story("it holds", raising(None))):
        with pytest.raises(AssertionError, match="holds; remove the reason why it can't: why"):
            tell(story, print, "why")


@pytest.mark.parametrize("story", [Story("a", raising(ValueError("broken"))), event_story(KeyError("broken"))])
def test_a_broken_story_is_not_mistaken_for_one_that_cannot_hold(story: Any) -> None:
    with pytest.raises((ValueError, KeyError), match="broken"):
        tell(story, print, "it can't")
