"""Test the visits, by a direct call and through each provider's stream."""

import pytest

import clicks
from clicks import gather
from portable_fn.testing import fake
from visits import Visits


@pytest.fixture(autouse=True)
def visits(monkeypatch):
    """Return an empty table."""
    visits = Visits()
    monkeypatch.setattr(clicks, "visits", visits)
    return visits


def stream(*pairs):
    """Return clicks in one partition, each with its visitor as the key."""
    return [
        fake.message(
            {"visitor": visitor, "page": page},
            id=f"click-{number}",
            channel="clicks",
            key=visitor,
            partition="0",
            sequence=str(100 + number),
        )
        for number, (visitor, page) in enumerate(pairs, 1)
    ]


CLICKS = [("ada", "/"), ("bob", "/"), ("ada", "/lamps"), ("ada", "/cart"), ("bob", "/desks")]


def test_a_batch_is_one_write_for_each_visitor(visits, monkeypatch):
    writes = []
    monkeypatch.setattr(visits, "add", lambda visitor, pages: writes.append((visitor, list(pages.values()))))

    gather(fake.batch(stream(*CLICKS)))

    assert [("ada", ["/", "/lamps", "/cart"]), ("bob", ["/", "/desks"])] == writes


def test_only_the_clicks_of_a_throttled_visitor_are_redelivered(visits):
    visits.throttled = {"ada"}
    batch = fake.batch(stream(*CLICKS))

    gather(batch)

    assert {id(batch[index]) for index in (0, 2, 3)} == set(batch.outcomes)
    assert ["/", "/desks"] == visits.path("bob")


@pytest.mark.providers("all")
def test_the_clicks_of_each_visitor_stay_in_order_on_every_provider(deliver, visits):
    delivery = deliver(gather, stream(*CLICKS))

    assert ["acknowledged"] * 5 == delivery.outcomes
    assert ["/", "/lamps", "/cart"] == visits.path("ada")
    assert ["/", "/desks"] == visits.path("bob")


@pytest.mark.providers("all")
def test_redelivered_clicks_are_stored_once_and_in_order(deliver, visits):
    visits.throttled = {"ada"}
    first = deliver(gather, stream(*CLICKS))
    visits.throttled = set()
    deliver(
        gather,
        [one for one, what in zip(stream(*CLICKS), first.outcomes, strict=True) if what == "retried"],
    )

    assert ["retried"] * 3 == [first.outcomes[index] for index in (0, 2, 3)]
    assert ["/", "/lamps", "/cart"] == visits.path("ada")
    assert ["/", "/desks"] == visits.path("bob")
