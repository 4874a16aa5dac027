"""Check that the stories show what adapters declare about their providers."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import pytest

from capability_claims import TESTS, http_cannot
from event_harnesses import all_that_cannot
from portable_fn.adapter.capabilities import Capability, Service, emulated, impossible, native
from portable_fn.providers import ADAPTERS
from portable_fn.testing.stories import false_claims
from portable_fn.testing.stories.claims import false_features, false_services, silences


class Story(NamedTuple):
    """A story with only the fields that claims need."""

    name: str
    features: tuple[str, ...]
    kind: str = "Message"


LATER = Story("a retried message comes later", ("retry delay",))
AGAIN = Story("a failed message is redelivered", ("retry",))
OTHER = Story("a retried message is redelivered", ("retry", "retry delay"))


def claims(capability: Capability, *stories: Story, cannot: tuple[str, ...] = ()) -> list[str]:
    service = Service("line", "Message", "queue", {"retry delay": capability})
    return false_features([service], stories, {"line": dict.fromkeys(cannot, "it can't wait")}, {})


PLACE = "line (Message), retry delay"


@pytest.mark.parametrize(
    ("expected", "actual"),
    [
        ([], claims(native(), LATER)),
        ([], claims(native(), LATER, OTHER, cannot=(LATER.name,))),
        ([], claims(native(by_documentation=True))),
        ([], claims(native(by_documentation=True), LATER, cannot=(LATER.name,))),
        ([f"{PLACE}: native, but no story shows it (there is none)"], claims(native())),
        (
            [f"{PLACE}: native, but no story shows it (it can't hold there: {LATER.name})"],
            claims(native(), LATER, cannot=(LATER.name,)),
        ),
        ([f"{PLACE}: native, but no story shows it (there is none)"], claims(native(), AGAIN)),
        ([f"{PLACE}: native, but no story shows it (there is none)"], claims(native(), LATER._replace(kind="Task"))),
        ([], claims(impossible("no"), LATER, cannot=(LATER.name,))),
        ([], claims(impossible("no"))),
        ([f"{PLACE}: impossible, but a story holds: {LATER.name}"], claims(impossible("no"), LATER)),
        (
            [f"{PLACE}: impossible, but a story holds: {OTHER.name}"],
            claims(impossible("no"), LATER, OTHER, cannot=(LATER.name,)),
        ),
        ([], claims(emulated("somehow"), LATER)),
        ([], claims(emulated("somehow"))),
    ],
)
def test_a_claim_is_true_if_the_stories_of_its_cell_show_it(expected: list[str], actual: list[str]) -> None:
    assert expected == actual


def test_an_adapters_own_test_may_replace_a_story() -> None:
    shown = {("line", "Message", "retry delay"): "test_it_waits"}
    services = [Service(name, "Message", "queue", {"retry delay": native()}) for name in ("line", "hub")]
    denying = [Service("line", "Message", "queue", {"retry delay": impossible("no")})]

    assert ["hub (Message), retry delay: native, but no story shows it (there is none)"] == false_features(
        services, [], {}, shown
    )
    assert [f"{PLACE}: impossible, but a story holds: test_it_waits"] == false_features(denying, [], {}, shown)


@pytest.mark.parametrize(("file", "name"), sorted(set(TESTS.values())))
def test_each_test_that_replaces_a_story_exists(file: str, name: str) -> None:
    assert f"\ndef {name}(" in (Path(__file__).parents[1] / file).read_text()


def test_a_service_can_do_what_one_of_its_harnesses_can() -> None:
    stream = "a stream's chunks arrive one by one"
    cannot = http_cannot()

    assert stream in cannot["aws", "http_api"]
    assert stream not in cannot["aws", "rest_api"]
    assert stream not in cannot["azure", "http"]


def test_an_unknown_feature_is_a_false_claim() -> None:
    service = Service("line", "Message", "queue", {"retry dellay": native()})
    assert ["line (Message), retry dellay: there is no such feature"] == false_features([service], [], {}, {})


def test_simulated_and_declared_services_must_be_the_same() -> None:
    simulate = SimpleNamespace(SERVICES=("web",), EVENT_SERVICES={"Message": ("line", "hub")})
    services = [Service("line", "Message", "queue", {}), Service("line", "Task", "task", {})]

    assert [
        "hub (Message) is simulated but not declared",
        "web (Request) is simulated but not declared",
        "line (Task) is declared but not simulated",
    ] == false_services(services, simulate)


def test_every_feature_asked_of_a_kind_must_be_declared() -> None:
    assert ["line (Task), reply: not declared"] == silences([Service("line", "Task", "task", {"deadline": native()})])


@pytest.mark.parametrize("provider", ADAPTERS)
def test_the_stories_show_what_an_adapter_declares(provider: str) -> None:
    cannot: dict[str, dict[str, str]] = {}
    for (name, service), stories in [*http_cannot().items(), *all_that_cannot().items()]:
        if name == provider:
            cannot.setdefault(service, {}).update(stories)
    shown = {place[1:]: test for place, (_, test) in TESTS.items() if place[0] == provider}
    assert "" == "\n".join(false_claims(provider, cannot, shown))
