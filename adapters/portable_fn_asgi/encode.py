"""Neutral responses as what ASGI servers take, and outcomes as what the senders of events take: CloudEvents' and Knative, Dapr,
the caller of a task."""

from __future__ import annotations

from portable_fn.adapter.asgi import start

__all__ = ["start"]
