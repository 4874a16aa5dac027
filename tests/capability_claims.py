"""Whether what an adapter declares in its `capabilities.py` is what the stories show.

A story tells some features of one kind of event; a cell is a provider's service, and a story holds there unless the cell's
harness says why it can't. Each harness tests that a story holds where it doesn't say so, and fails where it does, so that here
only the words have to agree:

- native, and not by documentation alone: some story of that kind and feature holds in the cell;
- impossible: no story of that kind and feature holds in the cell;
- a test of the adapter's own may stand for a story where no neutral story can tell the feature (TESTS);
- emulated: nothing is asked, since a note says how far it goes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, Protocol

from portable_fn.capabilities import FEATURES, Service
from portable_fn.testing.stories import HTTP_STORIES


class Told(Protocol):
    """A story as it is asked here."""

    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def features(self) -> tuple[str, ...]: ...


# For a provider and its service, the stories that can't hold there, with the reason.
Cannot = Mapping[tuple[str, str], Mapping[str, str]]


# For a provider, its service, the kind and the feature, the file and the name of the test that shows it.
Tests = Mapping[tuple[str, str, str, str], tuple[str, str]]


def false_claims(
    provider: str, services: Iterable[Service], stories: Iterable[Told], cannot: Cannot, tests: Tests | None = None
) -> list[str]:
    """What the provider's declarations say and nothing shows, or something shows and they deny: a sentence each."""
    stories = list(stories)
    found: list[str] = []
    for service in services:
        cell = cannot.get((provider, service.name), {})
        for feature, capability in service.features.items():
            place = f"{provider}/{service.name} ({service.kind}), {feature}"
            if feature not in FEATURES:
                found.append(f"{place}: there is no such feature")
                continue
            about = [story for story in stories if story.kind == service.kind and feature in story.features]
            holding = [story.name for story in about if story.name not in cell]
            if test := (tests or {}).get((provider, service.name, service.kind, feature)):
                holding.append(test[1])
            if capability.level == "native" and not capability.by_documentation and not holding:
                why = f"it can't hold there: {about[0].name}" if about else "there is none"
                found.append(f"{place}: native, but no story shows it ({why})")
            if capability.level == "impossible" and holding:
                found.append(f"{place}: impossible, but a story holds: {holding[0]}")
    return found


def false_services(provider: str, services: Iterable[Service], simulate: Any) -> list[str]:
    """Where a provider's declarations and its `simulate` don't name the same services for a kind: a sentence each."""
    declared = {(service.kind, service.name) for service in services}
    played = {("Request", name) for name in simulate.SERVICES}
    played |= {(kind, name) for kind, names in getattr(simulate, "EVENT_SERVICES", {}).items() for name in names}
    return [
        *(f"{provider}: {name} ({kind}) is played and not declared" for kind, name in sorted(played - declared)),
        *(f"{provider}: {name} ({kind}) is declared and not played" for kind, name in sorted(declared - played)),
    ]


class HTTPStory(NamedTuple):
    """A story of HTTP with the features that it tells."""

    name: str
    features: tuple[str, ...]
    kind: str = "Request"


_HTTP_FEATURES = {
    "a binary request body arrives byte for byte": ("binary body",),
    "a binary response body is received byte for byte": ("binary body",),
    "a dict is JSON, a str is text in UTF-8, None is a 204": ("reply",),
    "a stream's chunks arrive one by one": ("streaming",),
}


def http_stories() -> list[HTTPStory]:
    """The stories of HTTP that tell a feature; KeyError for a name that no story has any more."""
    names = {story.name: story.name for story in HTTP_STORIES}
    return [HTTPStory(names[name], features) for name, features in _HTTP_FEATURES.items()]


# The harness's name for a runtime, and the provider's service that it runs; None where the name has the service.
_RUNTIMES = {
    "awslambdaric": ("aws", None),
    "portable_fn_aws.runtime": ("aws", None),
    "azure worker": ("azure", "http"),
    "workerd": ("cloudflare", "fetch"),
    "functions-framework --asgi": ("gcp", "http_async"),
    "functions-framework": ("gcp", "http"),
    "uvicorn": ("asgi", "http"),
}


def http_cannot() -> dict[tuple[str, str], dict[str, str]]:
    """What can't hold of the HTTP stories by any harness of a service, in process or on a real runtime."""
    from harnesses import IN_PROCESS
    from portable_fn.providers import adapter
    from tests.runtimes.harnesses import REAL

    found: dict[tuple[str, str], dict[str, str]] = {}
    for harness in IN_PROCESS:
        provider, _, service = harness.name.partition(" ")
        found[provider, service or adapter(provider, "simulate").SERVICES[0]] = dict(harness.cannot)
    for harness in REAL:
        provider, service = next(cell for name, cell in _RUNTIMES.items() if harness.name.startswith(name))
        cell = found[provider, service or harness.name.split(", ")[1]]
        for story in set(cell) - set(harness.cannot):
            del cell[story]
    return found


_GATEWAY = ("test_aws_adapter.py", "test_the_principal_is_whom_the_gateway_verified")
TESTS: dict[tuple[str, str, str, str], tuple[str, str]] = {
    (provider, service, "Request", "typed principal"): test
    for provider, service, test in (
        ("aws", "http_api", _GATEWAY),
        ("aws", "function_url", _GATEWAY),
        ("aws", "rest_api", _GATEWAY),
        ("aws", "lattice_v2", ("test_aws_adapter.py", "test_the_principal_of_vpc_lattice_is_the_iam_caller")),
        ("azure", "http", ("test_azure_adapter.py", "test_the_principal_is_easy_auths_where_it_is_on")),
        ("cloudflare", "fetch", ("test_cloudflare_adapter.py", "test_a_verified_client_certificate_is_the_principal")),
    )
} | {
    # The context is the same, whichever service the request came by.
    ("aws", service, "Request", "deadline"): ("test_aws_adapter.py", "test_the_context_is_lambdas")
    for service in ("http_api", "function_url", "rest_api", "alb", "alb_multi_value", "lattice_v1", "lattice_v2")
}
