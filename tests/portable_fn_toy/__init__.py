"""portable_fn on Toy, a provider that isn't: written by CONTRIBUTING's six steps, as a third party would."""

from portable_fn_toy.entry import entry

__all__ = ["entry"]
