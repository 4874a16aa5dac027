"""Neutral responses as what ASGI servers take; every adapter that speaks ASGI shares it."""

from portable_fn.asgi import start

__all__ = ["start"]
