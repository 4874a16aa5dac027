"""Test every operation through each provider."""

from itertools import count

import pytest

import items
from portable_fn.testing import fake


@pytest.fixture(autouse=True)
def _empty_table(monkeypatch):
    monkeypatch.setattr(items, "table", {})
    monkeypatch.setattr(items, "ids", count(1))


@pytest.fixture
def call(deliver):
    """Call the API as a provider does."""
    return lambda *args, **kwargs: deliver(items, fake.request(*args, **kwargs))


def test_a_created_item_can_be_read(call):
    created = call("POST", "/items", json={"name": "lamp", "stock": 3})

    assert 201 == created.status
    assert "/items/1" == created.headers["location"]
    assert {"name": "lamp", "stock": 3, "id": 1} == created.json()
    assert created.json() == call("GET", "/items/1").json()


def test_a_list_comes_in_pages(call):
    for name in ("lamp", "desk", "chair"):
        call("POST", "/items", json={"name": name, "stock": 1})

    first = call("GET", "/items?limit=2").json()
    second = call("GET", first["next"]).json()

    assert ["lamp", "desk"] == [item["name"] for item in first["items"]]
    assert ["chair"] == [item["name"] for item in second["items"]]
    assert second["next"] is None


def test_an_item_is_replaced(call):
    call("POST", "/items", json={"name": "lamp", "stock": 3})

    assert {"name": "lamp", "stock": 2, "id": 1} == call("PUT", "/items/1", json={"name": "lamp", "stock": 2}).json()
    assert 2 == call("GET", "/items/1").json()["stock"]


def test_a_deleted_item_is_gone(call):
    call("POST", "/items", json={"name": "lamp", "stock": 3})

    assert 204 == call("DELETE", "/items/1").status
    assert 404 == call("GET", "/items/1").status


@pytest.mark.parametrize("method", ["GET", "DELETE"])
@pytest.mark.parametrize("id", ["7", "lamp"])
def test_what_does_not_exist_is_404(call, method, id):
    answer = call(method, f"/items/{id}")

    assert 404 == answer.status
    assert "application/problem+json" == answer.headers["content-type"]
    assert f"There is no item {id}." == answer.json()["detail"]


def test_what_does_not_fit_the_model_is_422_and_says_where(call):
    answer = call("POST", "/items", json={"name": "", "stock": -1})

    assert 422 == answer.status
    assert ["#/name", "#/stock"] == [error["pointer"] for error in answer.json()["errors"]]
    assert {} == items.table


def test_a_limit_that_isnt_a_number_is_422(call):
    assert 422 == call("GET", "/items?limit=many").status


def test_a_body_that_isnt_json_is_400(call):
    assert 400 == call("POST", "/items", body="{", headers={"content-type": "application/json"}).status
