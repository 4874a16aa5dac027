"""Test the step, by a direct call and through each provider's workflow."""

import pytest

from pipeline import OutOfStock, ShelfLocked, reserve
from portable_fn.testing import fake


def test_what_is_there_is_reserved():
    assert {"sku": "lamp", "reserved": 2, "by": "local"} == reserve(fake.task({"sku": "lamp", "count": 2}))


def test_a_missing_product_is_an_error_with_a_name():
    with pytest.raises(OutOfStock, match="2 of desk are wanted, 1 are there"):
        reserve(fake.task({"sku": "desk", "count": 2}))


@pytest.mark.providers("all")
def test_the_workflow_gets_the_result_on_every_provider(deliver):
    delivery = deliver(reserve, fake.task({"sku": "lamp", "count": 2}, name="reserve"))

    assert {"sku": "lamp", "reserved": 2, "by": deliver.provider} == delivery.result


@pytest.mark.providers("all")
@pytest.mark.parametrize(
    ("order", "error", "message"),
    [
        ({"sku": "desk", "count": 2}, OutOfStock, "2 of desk are wanted, 1 are there"),
        ({"sku": "sofa", "count": 1}, ShelfLocked, "the shelf of sofa is being counted"),
    ],
)
def test_the_workflow_gets_the_error_by_its_name_on_every_provider(deliver, order, error, message):
    delivery = deliver(reserve, fake.task(order, name="reserve"))

    assert (error.__name__, message) == delivery.error


@pytest.mark.providers("all")
def test_input_that_isnt_an_order_is_an_error_of_the_caller(deliver):
    delivery = deliver(reserve, fake.task({"sku": "lamp"}, name="reserve"))

    assert "InvalidData" == delivery.error[0]
    assert "#/count" in delivery.error[1]
