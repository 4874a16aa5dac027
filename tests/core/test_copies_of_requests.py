"""Requests of every provider can be copied and pickled."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from portable_fn import HTTPError, Request, on, portable
from portable_fn.providers import ADAPTERS, adapter
from portable_fn.testing import deliver, fake

SERVICES = [(provider, service) for provider in ADAPTERS for service in adapter(provider, "simulate").SERVICES]
COPIES: dict[str, Callable[[Any], Any]] = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda request: pickle.loads(pickle.dumps(request)),
}


def taken(provider: str, service: str) -> Request[Any]:
    seen: list[Request[Any]] = []

    @portable(on.http("POST", "/items/{id}"))
    def take(request: Request) -> None:
        seen.append(request)

    headers = {"x-a": "b", "cookie": "c=1", "content-type": "application/json"}
    deliver(take, fake.request("POST", "/items/7?a=1", body=b'{"a":1}', headers=headers), to=provider, via=service)
    return seen[0]


@pytest.mark.parametrize("made", COPIES)
@pytest.mark.parametrize(("provider", "service"), SERVICES)
def test_a_copied_request_is_the_request(provider: str, service: str, made: str) -> None:
    request = taken(provider, service)
    copied = COPIES[made](request)
    assert request == copied
    assert ({"id": "7"}, {"a": 1}, "1", "1") == (copied.params, copied.json(), copied.query["a"], copied.cookies["c"])
    assert (request.url, request.source, request.raw_path) == (copied.url, copied.source, copied.raw_path)


@pytest.mark.parametrize(("provider", "service"), SERVICES)
def test_a_deep_copy_shares_nothing_that_changes(provider: str, service: str) -> None:
    request = taken(provider, service)
    copied = copy.deepcopy(request)
    copied.params["id"] = "8"
    assert "7" == request.params["id"]


class Native:
    """An object that can't be copied, like a proxy of JavaScript."""

    def __reduce__(self) -> Any:
        raise TypeError("cannot pickle")


def test_a_native_that_can_not_be_copied_is_shared_and_pickled_as_none() -> None:
    request: Request[Any] = Request("POST", "/a", native=Native())
    assert request.native is copy.copy(request).native is copy.deepcopy(request).native
    assert pickle.loads(pickle.dumps(request)).native is None
    plain: Request[Any] = Request("POST", "/a", native={"plain": [1]})
    assert {"plain": [1]} == pickle.loads(pickle.dumps(plain)).native
    deep = copy.deepcopy(plain)
    assert deep.native == plain.native
    assert deep.native is not plain.native


def test_a_request_whose_headers_can_not_be_read_is_copied_as_such() -> None:
    request: Request[Any] = Request("GET", "/", headers=lambda: [("x", None, 1)], id="i", host="h")  # type: ignore[arg-type, return-value]
    with pytest.raises(HTTPError):
        copy.copy(request).headers  # noqa: B018  # reading it is the test


def test_copy_returns_an_equal_request_with_its_own_headers_and_parameters() -> None:
    request: Request[Any] = Request("POST", "/a", "b=1", {"x-a": "1"}, b"{}", params={"id": "7"}, native=Native())
    request.json()
    copied = request.copy()
    assert request == copied
    assert request.native is copied.native
    copied.params["id"] = "8"
    assert "7" == request.params["id"]
    assert {"x-b": "2"} == dict(request.copy([("x-b", "2")]).headers)
