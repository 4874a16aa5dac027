from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.cloudflare.calls import WRAPPERS


@pytest.fixture(params=WRAPPERS)
def wrap(request: pytest.FixtureRequest) -> Callable[[Any], Any]:
    return WRAPPERS[request.param]
