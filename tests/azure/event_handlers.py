"""Handlers that keep the events they get, and helpers for apps."""

from __future__ import annotations

import json
from typing import Any

from portable_fn import (
    ChangeEvent,
    CloudEvent,
    Message,
    ObjectEvent,
    ScheduleEvent,
    Task,
    on,
    portable,
)
from portable_fn.testing import deliver
from portable_fn_azure import entry

# The events of the last delivery.
GOT: list[Any] = []


@portable(on.queue("orders"), on.topic("orders"), on.stream("orders"))
def message(event: Message) -> None:
    GOT.append(event)


@portable(on.object("uploads"))
def stored(event: ObjectEvent) -> None:
    GOT.append(event)


@portable(on.change("users"))
def changed(event: ChangeEvent) -> None:
    GOT.append(event)


@portable(on.event())
def happened(event: CloudEvent) -> None:
    GOT.append(event)


@portable(on.schedule("0 3 * * *", name="nightly"))
def tick(event: ScheduleEvent) -> None:
    GOT.append(event)


@portable(on.task("double"))
def double(event: Task) -> Any:
    GOT.append(event)
    return event.input


def got(handler: Any, event: Any, service: str) -> Any:
    """Deliver an event and return it as the handler gets it."""
    GOT.clear()
    delivery = deliver(handler, event, to="azure", via=service)
    assert ["acknowledged"] == delivery.outcomes
    (event,) = GOT
    return event


class Busy(Exception):
    pass


def wired(*targets: Any, **arguments: Any) -> dict[str, dict[str, Any]]:
    """Return the trigger's binding of each Azure function, with its retry policy."""
    by_name = {}
    for function in entry(*targets, **arguments).get_functions():
        bindings = json.loads(function.get_function_json())["bindings"]
        policy = function.get_settings_dict("retry_policy")
        by_name[function.get_function_name()] = {
            **bindings[0],
            "retry": policy and {name: policy[name] for name in policy if name != "setting_name"},
        }
    return by_name
