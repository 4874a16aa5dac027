"""Test the function, by a direct call and through each provider."""

import pytest

from app import hello
from portable_fn.testing import fake


def test_a_handler_is_a_plain_function():
    assert {"hello": "Ada", "from": "local"} == hello(fake.request("GET", "/hello/Ada", params={"name": "Ada"}))


@pytest.mark.providers("all")
def test_hello_answers_on_every_provider(deliver):
    answer = deliver(hello, fake.request("GET", "/hello/Ada"))

    assert 200 == answer.status
    assert "application/json" == answer.headers["content-type"]
    assert {"hello": "Ada", "from": deliver.provider} == answer.json()


@pytest.mark.providers("all")
def test_the_name_is_decoded_on_every_provider(deliver):
    answer = deliver(hello, fake.request("GET", "/hello/Zo%C3%AB"))

    assert "Zoë" == answer.json()["hello"]


@pytest.mark.providers("all")
def test_another_path_is_not_found_on_any_provider(deliver):
    assert 404 == deliver(hello, fake.request("GET", "/goodbye/Ada")).status
