"""Rejected events, and the letters that arrive for them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from portable_fn import (
    ChangeEvent,
    CloudEvent,
    Event,
    Message,
    ObjectEvent,
    Reject,
    on,
    portable,
)
from portable_fn.testing import deliver, fake, strategies
from portable_fn.testing.loop import run
from portable_fn_aws import entry as aws_entry
from portable_fn_aws import simulate as aws
from portable_fn_aws.drivers import queue as sqs
from portable_fn_azure import simulate as azure
from portable_fn_azure.simulate.queues import letters
from portable_fn_cloudflare.entry import worker
from portable_fn_cloudflare.simulate import events as cloudflare
from portable_fn_cloudflare.simulate.javascript import FFI, JS, WorkerEntrypoint
from portable_fn_gcp import simulate as gcp

WHY = "unknown sku"


TRIGGERS: dict[type[Any], Callable[..., Any]] = {
    Message: lambda dead: (
        on.queue("orders", dead_letter=dead),
        on.topic("orders", dead_letter=dead),
        on.stream("orders", dead_letter=dead),
    ),
    ObjectEvent: lambda dead: (on.object("uploads", dead_letter=dead),),
    ChangeEvent: lambda dead: (on.change("users", dead_letter=dead),),
    CloudEvent: lambda dead: (on.event(dead_letter=dead),),
}


def rejecting(kind: type[Any], seen: list[Any], dead: str = "DEAD") -> Any:
    def handler(event: Any) -> None:
        seen.append(event)
        raise Reject(WHY)

    handler.__annotations__ = {"event": kind}
    return portable(*TRIGGERS[kind](dead))(handler)


def looking(seen: list[Any]) -> Any:
    @portable(on.queue("dead"))
    def look(message: Message[Any]) -> None:
        seen.append(message)

    return look


# The letters that arrive at the consumer of the dead letters.


def from_sqs(request: dict[str, Any]) -> Message[Any]:
    """Return the message of a SendMessage, as Lambda gets it from the queue."""
    for name, value in request["MessageAttributes"].items():
        assert sqs.is_attribute_name(name), name
        assert value.get("StringValue") or value.get("BinaryValue"), name
    assert len(request["MessageAttributes"]) <= 10
    assert request["MessageBody"] == sqs.legible(request["MessageBody"]) != ""
    record = {
        "messageId": "letter-1",
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:eu-central-1:123456789012:dead",
        "body": request["MessageBody"],
        "attributes": {"SentTimestamp": "1767323045000", "ApproximateReceiveCount": "1"},
        "messageAttributes": {
            name: {f"{key[0].lower()}{key[1:]}": one for key, one in value.items()}
            for name, value in request["MessageAttributes"].items()
        },
    }
    seen: list[Any] = []
    aws_entry(looking(seen))({"Records": [json.loads(json.dumps(record))]}, aws.LambdaContext(30))
    return seen[0]  # type: ignore[no-any-return]  # a message


def from_pubsub(published: Any) -> Message[Any]:
    """Return the published message, as a push delivers it."""
    assert len(published.attributes) <= 100
    assert all(len(value.encode()) <= 1024 for value in published.attributes.values())
    pushed = fake.message(body=published.body, attributes=published.attributes, key=published.key)
    seen: list[Any] = []
    assert ["acknowledged"] == deliver(looking(seen), pushed, to="gcp", via="pubsub_push").outcomes
    return seen[0]  # type: ignore[no-any-return]  # a message


def from_queues(sent: tuple[str, bytes]) -> Message[Any]:
    """Return the text that was sent to a Cloudflare queue, as its consumer gets it."""
    assert "text" == sent[0]
    seen: list[Any] = []
    assert ["acknowledged"] == deliver(looking(seen), fake.message(body=sent[1]), to="cloudflare").outcomes
    return seen[0]  # type: ignore[no-any-return]  # a message


def from_azure(sent: Message[Any]) -> Message[Any]:
    """Return the message of a storage queue or a Service Bus queue, as the host delivers it."""
    seen: list[Any] = []
    via = "service_bus_queue" if sent.attributes else "storage_queue"
    sent.channel = "dead"
    assert ["acknowledged"] == deliver(looking(seen), sent, to="azure", via=via).outcomes
    return seen[0]  # type: ignore[no-any-return]  # a message


def rejected(provider: str, service: str, event: Event[Any], kind: type[Any]) -> tuple[Any, list[Message[Any]]]:
    """Return the event as its handler rejected it, and the dead letters as their consumer gets them."""
    seen: list[Any] = []
    handler = rejecting(kind, seen)
    if provider == "aws":
        with aws.playing(service) as queues:
            invoke = aws.invoker((handler,), service, 30)
            for payload in aws.payloads([event], service):
                invoke(payload)
        return seen[0], [from_sqs(one) for one in queues.dead_letters()]
    if provider == "gcp":
        with gcp.playing(service) as topics:
            invoke = gcp.invoker((handler,), service, 30)
            for payload in gcp.payloads([event], service):
                invoke(payload)
        return seen[0], [from_pubsub(one) for one in topics]
    if provider == "azure":
        with azure.playing(service):
            invoke = azure.invoker((handler,), service, 30)
            for arrival in azure.payloads([event], service):
                invoke(arrival)
            return seen[0], [from_azure(one) for one in letters()]
    queue = cloudflare.Queue()
    default = worker((handler,), WorkerEntrypoint, JS, FFI)
    for payload in cloudflare.payloads([event], service):
        run(cloudflare.called(payload, default, cloudflare.Env({"DEAD": queue}), service))
    return seen[0], [from_queues(one) for one in queue.sent]


EVENTS: dict[type[Any], st.SearchStrategy[Any]] = {
    Message: strategies.messages(),
    ObjectEvent: strategies.objects(),
    ChangeEvent: strategies.changes(),
    CloudEvent: strategies.cloud_events(),
}
