"""Test orders, by a direct call and through each provider."""

import pytest

import orders
from carrier import Carrier
from orders import Order, ship
from portable_fn import Reject, Retry
from portable_fn.testing import fake


@pytest.fixture(autouse=True)
def carrier(monkeypatch):
    """Return a carrier with nothing booked."""
    carrier = Carrier(room=100)
    monkeypatch.setattr(orders, "carrier", carrier)
    return carrier


def batch(*data):
    return [fake.message(one, id=f"message-{number}") for number, one in enumerate(data, 1)]


LAMP = {"id": "o-1", "sku": "lamp", "parcels": 3}
DESK = {"id": "o-2", "sku": "desk", "parcels": 7}
TOO_MANY = {"id": "o-3", "sku": "desk", "parcels": 98}
POISON = {"id": "o-4", "sku": "unicorn", "parcels": 1}
NO_ORDER = {"id": "o-5", "sku": "lamp", "parcels": 0}


def test_an_order_is_booked_once_however_often_it_comes(carrier):
    order = fake.message(LAMP)
    ship(order)
    ship(order)

    assert {"o-1": 3} == carrier.booked
    assert isinstance(order.data, Order)


def test_an_unknown_product_is_rejected():
    with pytest.raises(Reject, match="unicorn"):
        ship(fake.message(POISON))


def test_data_that_isnt_an_order_is_rejected_and_the_reason_says_where():
    with pytest.raises(Reject, match="#/parcels"):
        ship(fake.message(NO_ORDER))


def test_a_busy_carrier_is_asked_again_later():
    with pytest.raises(Retry) as retry:
        ship(fake.message({**LAMP, "parcels": 101}))

    assert 30 == retry.value.after


@pytest.mark.providers("all")
def test_one_that_must_wait_costs_only_itself_on_every_provider(deliver, carrier):
    delivery = deliver(ship, batch(LAMP, TOO_MANY, DESK))

    assert ["acknowledged", "retried", "acknowledged"] == delivery.outcomes
    assert {"o-1": 3, "o-2": 7} == carrier.booked


@pytest.mark.providers("all")
@pytest.mark.parametrize("poison", [POISON, NO_ORDER], ids=["unknown product", "no order"])
def test_a_poison_message_costs_only_itself_and_is_never_lost(deliver, poison, carrier):
    delivery = deliver(ship, batch(LAMP, poison, DESK))

    # Where the provider can't dead-letter it at once it is retried, until the queue's own rule dead-letters it.
    assert ["acknowledged", "acknowledged"] == [delivery.outcomes[0], delivery.outcomes[2]]
    assert delivery.outcomes[1] in ("dead-lettered", "retried")
    assert {"o-1": 3, "o-2": 7} == carrier.booked
