"""Build functions and requests for the tests of Google's events."""

from __future__ import annotations

from typing import Any

from portable_fn import (
    ChangeEvent,
    CloudEvent,
    Context,
    Event,
    Message,
    ObjectEvent,
    Request,
    ScheduleEvent,
    Task,
    portable,
)
from portable_fn.testing import fake
from portable_fn.testing.results import Answer
from portable_fn_gcp import entry, simulate

SERVICES = [(kind, service) for kind, services in simulate.EVENT_SERVICES.items() for service in services]
KINDS: dict[str, type[Event[Any]]] = {
    "Message": Message,
    "ObjectEvent": ObjectEvent,
    "ChangeEvent": ChangeEvent,
    "ScheduleEvent": ScheduleEvent,
    "CloudEvent": CloudEvent,
    "Task": Task,
}
TOPIC = "//pubsub.googleapis.com/projects/p/topics/orders"
SUBSCRIPTION = "projects/p/subscriptions/orders"


def answer_of(target: Any, request: Request[Any], service: str = "http") -> Answer:
    """Return a target's answer to a request: under Flask, or under Starlette with service="http_async"."""
    exchange = simulate.sent(target, request, service)
    answer: Answer = exchange.answer(exchange.invoke())
    return answer


def sent(request: Request[Any], *functions: object) -> Answer:
    """Return the answer of functions to a request."""
    return answer_of(entry(*functions), request)


def taking(kind: Any, seen: list[Any], result: Any = None) -> Any:
    """Build a function of the kind that appends its events to `seen`."""

    def handler(event: Any, context: Any) -> Any:
        seen.append(event)
        if isinstance(result, BaseException):
            raise result
        return result

    handler.__annotations__ = {"event": kind, "context": Context}
    return portable(handler)


def push(message: Message[Any] | None = None) -> Request[Any]:
    [request] = simulate.payloads([message or fake.message({"n": 1})], "pubsub_push")
    return request


def with_json(value: object, **headers: str) -> Request[Any]:
    return fake.request("POST", json=value, headers={name.replace("_", "-"): one for name, one in headers.items()})


def events() -> list[Event[Any]]:
    """Return one event of each kind."""
    return [
        fake.message({}),
        fake.object(),
        fake.change(after={"id": "1"}),
        fake.schedule(),
        fake.cloud_event(),
        fake.task([[1]]),
    ]
