"""Whether what an adapter declares in its `capabilities.py` is what the stories show."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from portable_fn.adapter.capabilities import ASKED, FEATURES, Service
from portable_fn.providers import adapter
from portable_fn.testing.stories.cell import Cannot
from portable_fn.testing.stories.events import EVENT_STORIES
from portable_fn.testing.stories.http import HTTP_STORIES

# By service, kind and feature, the name of the adapter's own test that shows what no story tells.
Shown = Mapping[tuple[str, str, str], str]


class StoryRun(Protocol):
    """A story as it is asked here."""

    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def features(self) -> tuple[str, ...]: ...


def false_claims(provider: str, cannot: Cannot | None = None, shown: Shown | None = None) -> list[str]:
    """What the adapter declares and no story shows, a story shows and it denies, or it leaves out: a sentence each.

    A story shows some features of a kind, and holds on a service unless `cannot` says why it can't. Native, unless by
    documentation alone, is what some story of the feature shows, or the test that `shown` names for (service, kind, feature).
    Impossible is what none shows. Nothing is asked of what is emulated, since its note says how far it goes.
    """
    services = adapter(provider, "capabilities").SERVICES
    stories: list[StoryRun] = [*HTTP_STORIES, *EVENT_STORIES]
    return [
        *false_services(services, adapter(provider, "simulate")),
        *silences(services),
        *false_features(services, stories, cannot or {}, shown or {}),
    ]


def false_services(services: Iterable[Service], simulate: Any) -> list[str]:
    """Where the declarations and `simulate` don't name the same services for a kind."""
    declared = {(service.kind, service.name) for service in services}
    played = {("Request", name) for name in simulate.SERVICES}
    played |= {(kind, name) for kind, names in simulate.EVENT_SERVICES.items() for name in names}
    return [
        *(f"{name} ({kind}) is played and not declared" for kind, name in sorted(played - declared)),
        *(f"{name} ({kind}) is declared and not played" for kind, name in sorted(declared - played)),
    ]


def silences(services: Iterable[Service]) -> list[str]:
    """What is asked of a kind and not declared."""
    return [
        f"{service.name} ({service.kind}), {feature}: not declared"
        for service in services
        for feature in ASKED[service.kind]
        if feature not in service.features
    ]


def false_features(services: Iterable[Service], stories: Iterable[StoryRun], cannot: Cannot, shown: Shown) -> list[str]:
    """Where a feature's declaration isn't what the stories, and the tests that stand for one, show."""
    stories = list(stories)
    found: list[str] = []
    for service in services:
        failing = cannot.get(service.name, {})
        for feature, capability in service.features.items():
            place = f"{service.name} ({service.kind}), {feature}"
            if feature not in FEATURES:
                found.append(f"{place}: there is no such feature")
                continue
            about = [story for story in stories if story.kind == service.kind and feature in story.features]
            holding = [story.name for story in about if story.name not in failing]
            if test := shown.get((service.name, service.kind, feature)):
                holding.append(test)
            if capability.level == "native" and not capability.by_documentation and not holding:
                why = f"it can't hold there: {about[0].name}" if about else "there is none"
                found.append(f"{place}: native, but no story shows it ({why})")
            if capability.level == "impossible" and holding:
                found.append(f"{place}: impossible, but a story holds: {holding[0]}")
    return found
