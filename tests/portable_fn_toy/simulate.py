"""Play Toy: send payloads, and read the answers."""

from __future__ import annotations

import json
import time
from base64 import b64decode, b64encode
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from portable_fn.adapter.cloudevents import write_time
from portable_fn.events import Event, Message, Task
from portable_fn.http import Request
from portable_fn.pairs import Headers
from portable_fn.testing.loop import run
from portable_fn.testing.results import Answer, Delivery, EventResult, Exchange, Raised
from portable_fn_toy.entry import entry

if TYPE_CHECKING:
    from portable_fn.adapter.calling import Middleware

SERVICES = ("web",)
EVENT_SERVICES = {"Message": ("queue",), "Task": ("call",)}


def exchange(
    targets: tuple[object, ...],
    request: Request[Any],
    service: str,
    *,
    use: Sequence[Middleware] = (),
    root_path: str = "",
) -> Exchange:
    """Return the exchange of a request with the functions."""
    function, native = entry(*targets, use=use, root_path=root_path), _web(request)
    return Exchange(native, lambda: run(function(native)), _answer)


def payloads(events: Sequence[Event[Any]], service: str) -> list[dict[str, Any]]:
    """Return one invocation with all messages of a queue, or one for each call."""
    if service == "queue":
        return [{"service": "queue", "invocation": "invocation-1", **_queue(events)}]
    return [
        {"service": "call", "invocation": task.id, "name": task.name, "input": task.input}
        for task in events
        if isinstance(task, Task)
    ]


def playing(service: str) -> AbstractContextManager[None]:
    """Return a block in which nothing is played beside the call."""
    return nullcontext()


def invoker(targets: tuple[object, ...], service: str, seconds: float) -> Callable[[Any], Any]:
    """Return a function that invokes the functions with this time limit, and returns their error as Raised."""
    function = entry(*targets)

    def invoke(native: Any) -> Any:
        try:
            return run(function({**native, "deadline": time.time() + seconds}))
        except Exception as exc:
            return Raised(type(exc).__name__, str(exc))

    return invoke


def results(events: Sequence[Event[Any]], service: str, answers: Sequence[Any]) -> Delivery:
    """Return what becomes of each event; after a failure or an unknown answer Toy redelivers all."""
    answer = answers[0]
    if service == "call":
        if isinstance(answer, Raised):
            return Delivery([EventResult("retried")], error=(answer.name, answer.message))
        if "error" in answer:
            return Delivery([EventResult("retried")], error=(answer["error"], answer["message"]))
        return Delivery([EventResult("acknowledged")], result=json.loads(answer["result"]))
    outcomes = [] if isinstance(answer, Raised) else answer["messages"]
    if len(outcomes) != len(events):
        return Delivery([EventResult("retried")] * len(events))
    return Delivery([_result(outcome) for outcome in outcomes])


def _result(outcome: dict[str, Any]) -> EventResult:
    if "reject" in outcome:
        return EventResult("dead-lettered", why=outcome["reject"])
    return EventResult("acknowledged") if outcome.get("done") is True else EventResult("retried", outcome.get("after"))


def _web(request: Request[Any]) -> dict[str, Any]:
    return {
        "service": "web",
        "invocation": request.id,
        "deadline": time.time() + 30,
        "method": request.method,
        "target": f"{request.raw_path}?{request.raw_query}" if request.raw_query else request.raw_path,
        "headers": [list(pair) for pair in request.headers.multi_items()],
        "body": b64encode(request.raw_body).decode(),
        "host": request.host,
        "scheme": request.scheme,
        "client": request.client_ip,
    }


def _answer(native: dict[str, Any]) -> Answer:
    return Answer(native["status"], Headers(native["headers"]), b64decode(native["body"], validate=True))


def _queue(events: Sequence[Any]) -> dict[str, Any]:
    return {"queue": events[0].channel, "messages": [_message(event) for event in events]}


def _message(message: Message[Any]) -> dict[str, Any]:
    if message.time is None or not all(isinstance(value, str) for value in message.attributes.values()):
        raise ValueError("a Toy message must have a time, and its attributes must be strings")
    return {
        "id": message.id,
        "sent": write_time(message.time),
        "attempt": message.attempt or 1,
        "type": message.content_type,
        "attributes": dict(message.attributes),
        "body": b64encode(message.body).decode(),
    }
