"""What the adapters declare that their providers can do is what the stories show."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from capability_claims import TESTS, HTTPStory, false_claims, false_services, http_cannot, http_stories
from event_harnesses import all_that_cannot
from portable_fn.capabilities import ASKED, Capability, Service, emulated, impossible, native
from portable_fn.cli.declared import declared
from portable_fn.providers import ADAPTERS, adapter
from portable_fn.testing.stories import EVENT_STORIES

LATER = HTTPStory("a retried message comes later", ("retry delay",), "Message")
AGAIN = HTTPStory("a failed message comes again", ("retry",), "Message")
OTHER = HTTPStory("a retried message comes again", ("retry", "retry delay"), "Message")


def claims(capability: Capability, *stories: Any, cannot: tuple[str, ...] = ()) -> list[str]:
    service = Service("line", "Message", "queue", {"retry delay": capability})
    return false_claims("toy", [service], stories, {("toy", "line"): dict.fromkeys(cannot, "it can't wait")})


PLACE = "toy/line (Message), retry delay"


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
def test_a_claim_is_true_where_the_stories_of_its_cell_show_it(expected: list[str], actual: list[str]) -> None:
    assert expected == actual


def test_a_test_of_the_adapters_own_may_stand_for_a_story() -> None:
    tests = {("toy", "line", "Message", "retry delay"): ("test_toy.py", "test_it_waits")}
    services = [Service(name, "Message", "queue", {"retry delay": native()}) for name in ("line", "hub")]
    denied = [Service("line", "Message", "queue", {"retry delay": impossible("no")})]

    assert ["toy/hub (Message), retry delay: native, but no story shows it (there is none)"] == false_claims(
        "toy", services, [], {}, tests
    )
    assert [f"{PLACE}: impossible, but a story holds: test_it_waits"] == false_claims("toy", denied, [], {}, tests)


@pytest.mark.parametrize(("file", "name"), sorted(set(TESTS.values())))
def test_a_test_that_stands_for_a_story_is_there(file: str, name: str) -> None:
    assert f"\ndef {name}(" in (Path(__file__).parent / file).read_text()


def test_what_one_harness_of_a_service_can_do_the_service_can() -> None:
    stream = "a stream's chunks arrive one by one"
    cannot = http_cannot()

    assert stream in cannot["aws", "http_api"]
    assert stream not in cannot["aws", "rest_api"]
    assert stream not in cannot["azure", "http"]


def test_a_feature_that_nobody_asks_for_is_a_false_claim() -> None:
    service = Service("line", "Message", "queue", {"retry dellay": native()})
    assert ["toy/line (Message), retry dellay: there is no such feature"] == false_claims("toy", [service], [], {})


def test_services_that_are_played_and_services_that_are_declared_are_the_same() -> None:
    simulate = SimpleNamespace(SERVICES=("web",), EVENT_SERVICES={"Message": ("line", "hub")})
    services = [Service("line", "Message", "queue", {}), Service("line", "Task", "task", {})]

    assert [
        "toy: hub (Message) is played and not declared",
        "toy: web (Request) is played and not declared",
        "toy: line (Task) is declared and not played",
    ] == false_services("toy", services, simulate)


def services_of(provider: str) -> tuple[Service, ...]:
    (one,) = declared(provider, "--provider")
    if one.services is None:
        pytest.skip("not declared yet")
    return one.services


@pytest.mark.parametrize("provider", ADAPTERS)
def test_what_an_adapter_declares_is_what_the_stories_show(provider: str) -> None:
    http, events = http_cannot(), all_that_cannot()
    cannot = {cell: {**http.get(cell, {}), **events.get(cell, {})} for cell in {*http, *events}}
    found = false_claims(provider, services_of(provider), [*http_stories(), *EVENT_STORIES], cannot, TESTS)
    assert "" == "\n".join(found)


@pytest.mark.parametrize("provider", ADAPTERS)
def test_an_adapter_declares_the_services_that_it_plays(provider: str) -> None:
    assert "" == "\n".join(false_services(provider, services_of(provider), adapter(provider, "simulate")))


@pytest.mark.parametrize("provider", ADAPTERS)
def test_an_adapter_declares_all_that_is_asked_of_a_kind(provider: str) -> None:
    silent = [
        f"{service.name} ({service.kind}): {feature}"
        for service in services_of(provider)
        for feature in ASKED[service.kind]
        if feature not in service.features
    ]
    assert "" == "\n".join(silent)
