"""Run portable functions on Toy, an invented provider, by the six steps of docs/how-to/add-a-provider.md."""

from portable_fn_toy.entry import entry

__all__ = ["entry"]
