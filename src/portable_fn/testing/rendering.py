"""A neutral event as a provider would hand it over, alone."""

from __future__ import annotations

from typing import Any

from portable_fn.events import Task
from portable_fn.http import Request
from portable_fn.providers import adapter
from portable_fn.recording.calls import unregistered
from portable_fn.recording.payload_json import written
from portable_fn.testing.delivery import Deliverable
from portable_fn.testing.services import exchange, service_for, several


def render(event: Request[Any] | Deliverable, *, to: str = "aws", via: str | None = None) -> Any:
    """The payload that the provider would hand to a function for the event, as a JSON value; `to` and `via` as in `deliver`.

    What comes over HTTP is an object with `method`, `url`, `headers` and `body` (`body_base64` where it is no text); what the
    host of Azure Functions hands over has the trigger's `data` and `metadata`, what a Worker is called with the properties of
    JavaScript's objects. Events that come in several invocations are a list. ValueError for what the service can't carry.
    """
    if isinstance(event, Request):
        sent = exchange((unregistered(_nothing),), event, to, via)
        return written(sent.native_request, to, body=event.raw_body)
    events = several(event, unregistered(function))
    simulate = adapter(to, "simulate")
    service = service_for(simulate, to, events[0], None if via is None else via.replace("/", "_"))
    made = [written(native, to, service) for native in simulate.payloads(events, service)]
    return made[0] if len(made) == 1 else made


def _nothing(request: Request) -> None:
    """Stands for a function that a request is for."""


def function(task: Task) -> None:
    """Stands for the one that a task without a name is for."""
