"""Tests without a cloud: fake events, delivery through a provider's real shapes, and the conformance stories."""

from portable_fn.testing import fake
from portable_fn.testing.delivery import deliver

__all__ = ["deliver", "fake"]
