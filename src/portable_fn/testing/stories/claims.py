"""Compare what an adapter declares in its `capabilities.py` with what the stories show."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from portable_fn.adapter.capabilities import ASKED, FEATURES, Service
from portable_fn.providers import adapter
from portable_fn.testing.stories.cell import Cannot
from portable_fn.testing.stories.events import EVENT_STORIES
from portable_fn.testing.stories.http import HTTP_STORIES

# By service, kind and feature, the name of the adapter's own test that shows what no story does.
Shown = Mapping[tuple[str, str, str], str]


class AnyStory(Protocol):
    """A story of HTTP or of events."""

    @property
    def name(self) -> str:
        """The fact."""
        ...

    @property
    def kind(self) -> str:
        """The kind of event."""
        ...

    @property
    def features(self) -> tuple[str, ...]:
        """The features that it shows."""
        ...


def false_claims(provider: str, cannot: Cannot | None = None, shown: Shown | None = None) -> list[str]:
    """Return a sentence for each declaration that is false or missing.

    A "native" feature needs a story that shows it, or a test in `shown`, unless it's declared by documentation alone. An
    "impossible" feature must have neither. An "emulated" one isn't checked, because its note limits it.

    Args:
        provider: The provider, or an adapter's module.
        cannot: The stories that can't hold on a service, with the reason.
        shown: The adapter's own tests.
    """
    services = adapter(provider, "capabilities").SERVICES
    stories: list[AnyStory] = [*HTTP_STORIES, *EVENT_STORIES]
    return [
        *false_services(services, adapter(provider, "simulate")),
        *silences(services),
        *false_features(services, stories, cannot or {}, shown or {}),
    ]


def false_services(services: Iterable[Service], simulate: Any) -> list[str]:
    """Return the services that only the declarations or only `simulate` name."""
    declared = {(service.kind, service.name) for service in services}
    played = {("Request", name) for name in simulate.SERVICES}
    played |= {(kind, name) for kind, names in simulate.EVENT_SERVICES.items() for name in names}
    return [
        *(f"{name} ({kind}) is simulated but not declared" for kind, name in sorted(played - declared)),
        *(f"{name} ({kind}) is declared but not simulated" for kind, name in sorted(declared - played)),
    ]


def silences(services: Iterable[Service]) -> list[str]:
    """Return the features that every service of a kind must declare and doesn't."""
    return [
        f"{service.name} ({service.kind}), {feature}: not declared"
        for service in services
        for feature in ASKED[service.kind]
        if feature not in service.features
    ]


def false_features(services: Iterable[Service], stories: Iterable[AnyStory], cannot: Cannot, shown: Shown) -> list[str]:
    """Return the declarations that the stories, and the adapter's own tests, contradict."""
    stories = list(stories)
    false: list[str] = []
    for service in services:
        failing = cannot.get(service.name, {})
        for feature, capability in service.features.items():
            place = f"{service.name} ({service.kind}), {feature}"
            if feature not in FEATURES:
                false.append(f"{place}: there is no such feature")
                continue
            about = [story for story in stories if story.kind == service.kind and feature in story.features]
            holding = [story.name for story in about if story.name not in failing]
            if test := shown.get((service.name, service.kind, feature)):
                holding.append(test)
            if capability.level == "native" and not capability.by_documentation and not holding:
                why = f"it can't hold there: {about[0].name}" if about else "there is none"
                false.append(f"{place}: native, but no story shows it ({why})")
            if capability.level == "impossible" and holding:
                false.append(f"{place}: impossible, but a story holds: {holding[0]}")
    return false
