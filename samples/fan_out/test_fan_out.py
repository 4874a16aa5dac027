"""Test three functions of one topic, in one app and each alone."""

import pytest

import fan_out
from portable_fn.testing import fake


@pytest.fixture(autouse=True)
def _nothing_done(monkeypatch):
    for name in ("invoices", "taken", "counted"):
        monkeypatch.setattr(fan_out, name, {})


def order(**changed):
    data = {"id": "o-1", "sku": "lamp", "count": 2, "cents": 3900, **changed}
    return fake.message(data, channel="orders-placed", key="o-1")


DONE = ({"o-1": 7800}, {"o-1": ("lamp", 2)}, {"o-1": "lamp"})


def done():
    return fan_out.invoices, fan_out.taken, fan_out.counted


@pytest.mark.providers("all")
def test_in_one_app_all_three_get_the_order(deliver):
    delivery = deliver(fan_out, order())

    assert ["acknowledged"] == delivery.outcomes
    assert DONE == done()


@pytest.mark.providers("all")
@pytest.mark.parametrize("alone", [0, 1, 2], ids=["invoice", "take", "count"])
def test_each_alone_does_only_its_own_on_every_provider(deliver, alone):
    function = (fan_out.invoice, fan_out.take, fan_out.count)[alone]

    deliver(function, order())

    assert [kept if index == alone else {} for index, kept in enumerate(DONE)] == list(done())


@pytest.mark.providers("all")
def test_if_one_rejects_the_others_succeed_and_the_order_is_not_lost(deliver):
    delivery = deliver(fan_out, order(count=0))

    assert delivery.outcomes[0] in ("dead-lettered", "retried")
    assert ({"o-1": 0}, {}, {"o-1": "lamp"}) == done()
