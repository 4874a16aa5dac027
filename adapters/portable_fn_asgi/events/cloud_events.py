"""Decode CloudEvents over HTTP.

A handler of CloudEvent gets every event. Other kinds are CloudEvents whose types and fields
`portable_fn.adapter.as_cloudevent` defines. A handler of Message also gets all other types: its channel is the type, or the
topic of a Knative KafkaSource or of Dapr.
"""

from __future__ import annotations

from portable_fn.adapter import as_cloudevent, cloudevents
from portable_fn.events import Message

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from portable_fn.adapter.batch import Item
    from portable_fn.events import CloudEvent
    from portable_fn.http import Request

# https://knative.dev/docs/eventing/sources/kafka-source/: the source ends with "#" and the topic, the id is
# "partition:0/offset:564", the record's key is the extension `key`.
_KAFKA = "dev.knative.kafka.event"

neutral = as_cloudevent.read


def binary(request: Request[Any]) -> Sequence[Item]:
    """Decode the event whose attributes are the `ce-` headers."""
    return [cloudevents.binary(request.headers, request.body, native=request)]


def structured(request: Request[Any]) -> Sequence[Item]:
    """Decode the event in the body."""
    return [cloudevents.structured_body(request.body, request.headers.get("content-type", ""), native=request)]


def batched(request: Request[Any]) -> Sequence[Item]:
    """Decode the events in the body, an array."""
    return cloudevents.batched(request.body, request.headers.get("content-type", ""), native=request)


READ = {"binary": binary, "structured": structured, "batched": batched}


def key(event: Any) -> str | None:
    """Return the partition key, within which events of one request are in order.

    https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/extensions/partitioning.md
    """
    return event.extensions.get("partitionkey") or None


def message(event: CloudEvent[Any]) -> Message[Any]:
    """Return the event as a message, whose envelope it is."""
    extensions = event.extensions
    channel, key, partition = event.type, extensions.get("partitionkey"), extensions.get("partition")
    sequence = extensions.get("sequence")
    if event.type == as_cloudevent.MESSAGE:
        return as_cloudevent.message(event)
    if event.type == _KAFKA:
        channel = event.source.rpartition("#")[2]
        key = extensions.get("key", key)
        place, _, offset = event.id.partition("/offset:")
        partition = partition or place.removeprefix("partition:") if offset else partition
        sequence = extensions.get("offset") or offset or sequence
    elif "topic" in extensions and "pubsubname" in extensions:
        # Dapr sent it to the route of a declarative subscription.
        channel = extensions["topic"]
    return Message(
        event.id,
        event.source,
        event.body,
        channel=channel,
        time=event.time,
        content_type=event.content_type,
        attributes=extensions,
        subject=event.subject,
        key=key,
        partition=partition,
        sequence=sequence,
        native=event.native,
        envelopes=(*event.envelopes, event),
    )
