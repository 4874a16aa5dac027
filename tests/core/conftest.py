"""Fixtures that several tests of the core use."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest

from portable_fn.providers import ADAPTERS


def _http_services() -> Iterator[Any]:
    for provider, package in ADAPTERS.items():
        try:
            services = import_module(f"{package}.simulate").SERVICES
        except ModuleNotFoundError as exc:
            yield pytest.param((provider, ""), id=provider, marks=pytest.mark.skip(str(exc)))
            continue
        for service in services:
            yield pytest.param((provider, service), id=f"{provider} {service}")


@pytest.fixture(params=list(_http_services()))
def way(request: pytest.FixtureRequest) -> dict[str, str]:
    """Return the arguments of `deliver` for each HTTP service of each provider."""
    provider, service = request.param
    return {"to": provider, "via": service}
