"""Build functions and requests for the tests of events over HTTP."""

from __future__ import annotations

import json
from typing import Any

from portable_fn import (
    Context,
    Message,
    Reject,
    Request,
    Retry,
    Task,
    on,
    portable,
)
from portable_fn.testing import asgi, fake
from portable_fn.testing.loop import run
from portable_fn.testing.results import Answer
from portable_fn_asgi import simulate

ENVELOPE = {
    "specversion": "1.0", "id": "1", "source": "checkout", "type": "com.dapr.event.sent", "time": "2026-01-02T03:04:05Z",
    "datacontenttype": "application/json", "data": {"n": 1}, "topic": "orders", "pubsubname": "pubsub",
    "traceid": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "tracestate": "",
    "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
}  # fmt: skip
KAFKA = {
    "ce-specversion": "1.0", "ce-id": "partition:2/offset:564", "ce-type": "dev.knative.kafka.event", "ce-key": "k 1",
    "ce-source": "/apis/v1/namespaces/default/kafkasources/kafka-source#orders", "ce-subject": "partition:2#564",
}  # fmt: skip


def send(application: Any, request: Request[Any]) -> Answer:
    return asgi.answer(run(simulate.messages(application, simulate.scope(request), request.body)))


def post(application: Any, path: str, body: Any = b"", headers: dict[str, str] | None = None) -> Answer:
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    all_headers = {"content-type": "application/json", **(headers or {})}
    return send(application, fake.request("POST", path, body=body, headers=all_headers))


def keeper(kind: Any, *triggers: Any) -> tuple[Any, list[Any]]:
    """Return a function of the kind, and the list of events that it gets."""
    seen: list[Any] = []

    def keep(event: Any, ctx: Context) -> None:
        seen.append(event)

    keep.__annotations__["event"] = kind
    return portable(*triggers)(keep), seen


@portable(on.queue("orders", dead_letter="poison"))
def ship(order: Message) -> None:
    if order.data == "later":
        raise Retry("busy", after=2.5)
    if order.data == "never":
        raise Reject("unknown sku")
    if order.data == "broken":
        raise RuntimeError("not for others to read")


@portable(on.queue("orders"))
def ship_without_dead_letters(order: Message) -> None:
    raise Reject("unknown sku")


@portable(on.http("GET", "/"))
async def home(request: Request) -> str:
    return "home"


@portable(on.task())
def add(task: Task[list[int]]) -> dict[str, Any]:
    return {"sum": sum(task.data), "id": task.id}
