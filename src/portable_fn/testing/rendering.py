"""Render a neutral event as a provider's payload."""

from __future__ import annotations

from typing import Any

from portable_fn.events import Task
from portable_fn.http import Request
from portable_fn.providers import adapter
from portable_fn.recording.calls import unregistered
from portable_fn.recording.payload_json import to_json_value
from portable_fn.testing.delivery import Deliverable
from portable_fn.testing.services import as_events, exchange, service_for, service_name

__all__ = ["render"]


def render(event: Request[Any] | Deliverable, *, to: str = "aws", via: str | None = None) -> Any:
    """Return the payload that the provider would pass to a function, as a JSON value.

    HTTP is an object with `method`, `url`, `headers` and `body`, or `body_base64` if it isn't text. On Azure it's the trigger's
    `data` and `metadata`, on Cloudflare the properties of the JavaScript objects. If the events arrive in several invocations,
    it's a list.

    Args:
        event: A request, or one or several events of a kind.
        to: The provider.
        via: The service, as for `deliver`.

    Raises:
        ValueError: The service can't carry the event.
    """
    if isinstance(event, Request):
        native = exchange((unregistered(_nothing),), event, to, via).native_request
        return to_json_value(native, to, body=event.raw_body)
    events = as_events(event, unregistered(function))
    simulate = adapter(to, "simulate")
    service = service_for(simulate, to, events[0], service_name(via))
    payloads = [to_json_value(native, to, service) for native in simulate.payloads(events, service)]
    return payloads[0] if len(payloads) == 1 else payloads


def _nothing(request: Request) -> None:
    """Stand in for a function that takes requests."""


def function(task: Task) -> None:
    """Stand in for the function that a task without a name calls."""
