"""The function as a plain function, and as each provider calls it."""

import pytest

from app import hello
from portable_fn.testing import deliver, fake

PROVIDERS = ["aws", "gcp", "azure", "cloudflare", "asgi"]


def test_a_handler_is_a_plain_function():
    assert {"hello": "Ada", "from": "local"} == hello(fake.request("GET", "/hello/Ada", params={"name": "Ada"}))


@pytest.mark.parametrize("provider", PROVIDERS)
def test_hello_answers_on_every_provider(provider):
    answer = deliver(hello, fake.request("GET", "/hello/Ada"), to=provider)

    assert 200 == answer.status
    assert "application/json" == answer.headers["content-type"]
    assert {"hello": "Ada", "from": provider} == answer.json()


@pytest.mark.parametrize("provider", PROVIDERS)
def test_the_name_is_decoded_on_every_provider(provider):
    answer = deliver(hello, fake.request("GET", "/hello/Zo%C3%AB"), to=provider)

    assert "Zoë" == answer.json()["hello"]


@pytest.mark.parametrize("provider", PROVIDERS)
def test_another_path_is_not_found_on_any_provider(provider):
    assert 404 == deliver(hello, fake.request("GET", "/goodbye/Ada"), to=provider).status
