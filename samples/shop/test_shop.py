from copy import deepcopy

import pytest

import shop

pytestmark = pytest.mark.providers("aws", "gcp", "azure", "cloudflare")


@pytest.fixture(autouse=True)
def products(monkeypatch):
    """Give each test a full stock."""
    monkeypatch.setattr(shop, "PRODUCTS", deepcopy(shop.PRODUCTS))


def test_a_product(deliver, fake):
    answer = deliver(shop, fake.request("GET", "/products/lamp"))
    assert answer.json() == {"price": 40, "stock": 5, "picture": None}


ORDERS = [("lamp", 2, 200), ("lamp", 9, 409), ("lamp", 0, 422), ("sofa", 1, 404)]


@pytest.mark.parametrize(("sku", "count", "status"), ORDERS)
def test_an_order(deliver, fake, sku, count, status):
    answer = deliver(shop, fake.request("POST", "/orders", json={"sku": sku, "count": count}))
    assert answer.status == status


def test_each_message_of_a_batch_has_its_own_outcome(deliver, fake):
    orders = [("lamp", 1), ("sofa", 1), ("desk", 2), ("desk", 1)]
    messages = fake.batch([{"sku": sku, "count": count} for sku, count in orders], channel="orders")
    delivery = deliver(shop, messages)
    assert delivery.outcomes == ["acknowledged", "dead-lettered", "retried", "acknowledged"]


def test_an_uploaded_picture_is_shown(deliver, fake):
    delivery = deliver(shop, fake.object("pictures", "lamp.png"))
    assert delivery.outcomes == ["acknowledged"]
    assert shop.PRODUCTS["lamp"]["picture"] == "lamp.png"


def test_the_report_names_what_is_scarce(deliver, fake):
    delivery = deliver(shop, fake.schedule())
    assert [record.getMessage() for record in delivery.logs] == ["order more of desk: 1 left"]
