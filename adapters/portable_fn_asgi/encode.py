"""Encode neutral responses as ASGI messages.

The module `events.encode` encodes outcomes for the senders of events: CloudEvents and Knative, Dapr, the caller of a task.
"""

from __future__ import annotations

from portable_fn.adapter.asgi import start

__all__ = ["start"]
