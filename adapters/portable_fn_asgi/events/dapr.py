"""Decode the requests of a Dapr sidecar: messages and bulks of pub/sub, input bindings and jobs.

https://docs.dapr.io/reference/api/; headers, ids and answers are those of Dapr 1.16: pkg/runtime and components-contrib.
"""

from __future__ import annotations

from binascii import a2b_base64
from datetime import UTC, datetime

from portable_fn.adapter import callers, cloudevents
from portable_fn.data import read_json
from portable_fn.errors import DecodeError
from portable_fn.events import BROKEN, Message, ScheduleEvent, unreadable
from portable_fn.on import MessageTrigger

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from portable_fn.adapter.batch import Item
    from portable_fn.adapter.binding import Binding
    from portable_fn.events import CloudEvent
    from portable_fn.http import Request
    from portable_fn_asgi.native import Subscription

# The sidecar posts a topic's messages to this path.
ROUTE = "/portable_fn/"
# Dapr wraps messages that aren't CloudEvents in one of this type.
OWN_TYPE = "com.dapr.event.sent"

# A message's metadata are headers, beside these of HTTP, proxies and Dapr itself.
_NOT_METADATA = frozenset(
    (
        "host", "user-agent", "accept", "accept-encoding", "connection", "content-type", "content-length",
        "transfer-encoding", "dapr-api-token", callers.HEADER, "pubsubname", "baggage", "forwarded", "via", "x-request-id",
    )
)  # fmt: skip

# The names in Kafka, Service Bus and Event Hubs, in this order.
_KEYS = ("__key", "metadata.sessionid", "x-opt-partition-key")
_PARTITIONS = ("__partition", "x-opt-partition-id")
_SEQUENCES = ("__offset", "metadata.sequencenumber", "x-opt-sequence-number")
# Service Bus, and the binding of Azure's storage queues.
_ATTEMPTS = ("metadata.deliverycount", "dequeuecount")
# Service Bus, the bindings of Service Bus and Pub/Sub, those of storage queues, and Event Hubs.
_IDS = ("metadata.messageid", "id", "messageid", "message-id")
_TIMES = ("insertiontime", "x-opt-enqueued-time")


class DaprMessage(Message):
    """A message of pub/sub, and the CloudEvent in which Dapr wraps it."""

    cloud_event: CloudEvent[Any]


def subscriptions(functions: Iterable[Binding], pubsub: str) -> list[Subscription]:
    """Return the answer to GET /dapr/subscribe: a topic for each name of on.topic, on.queue and on.stream, and each `via`.

    Bulks are enabled only for a function that takes batches, or several messages at once: Dapr waits up to a second for a bulk
    to fill.
    """
    subscriptions: dict[str, Subscription] = {}
    for function in functions:
        for trigger in function.triggers:
            # `via` of a topic is a queue, which Dapr doesn't need.
            name = trigger.name if isinstance(trigger, MessageTrigger) else trigger.via
            if not name:
                continue
            from urllib.parse import quote

            subscription = subscriptions.setdefault(
                name, {"pubsubname": pubsub, "topic": name, "route": ROUTE + quote(name, safe="")}
            )
            if trigger.dead_letter is not None:
                subscription["deadLetterTopic"] = trigger.dead_letter
            if function.takes_batch or function.concurrency > 1:
                subscription["bulkSubscribe"] = {"enabled": True}
    return list(subscriptions.values())


def key(message: Any) -> str | None:
    """Return the key within which messages of one request are in order."""
    key: str | None = message.key
    return key


def pubsub(request: Request[Any]) -> Item:
    """Decode a message: a CloudEvent, with the broker's metadata as headers."""
    event = cloudevents.structured_body(request.body, request.headers.get("content-type", ""), native=request)
    return _message(event, _metadata(request))


def is_bulk(value: object) -> bool:
    """Whether a JSON value is a bulk of messages."""
    return isinstance(value, dict) and "entries" in value and "pubsubname" in value


def bulk(value: Mapping[str, Any], request: Request[Any]) -> tuple[list[Item], list[object]]:
    """Decode a bulk; return its messages, and Dapr's id of each."""
    entries = value["entries"]
    if not isinstance(entries, list):
        raise DecodeError(f"the entries of a bulk must be an array, not {type(entries).__name__}")
    if len(entries) > cloudevents.MAX_EVENTS:
        raise DecodeError(f"the bulk has {len(entries)} entries; at most {cloudevents.MAX_EVENTS} are allowed")
    items: list[Item] = []
    ids: list[object] = []
    failed = 0
    for entry in entries:
        ids.append(entry.get("entryId") if isinstance(entry, dict) else None)
        try:
            items.append(_entry(entry, value, request))
        except BROKEN as exc:
            failed += 1
            if failed > cloudevents.MAX_UNREADABLE:
                raise DecodeError(f"more than {cloudevents.MAX_UNREADABLE} entries of the bulk can't be read") from exc
            items.append(unreadable(exc, "an entry of a bulk"))
    return items, ids


def _entry(entry: Any, bulk: Mapping[str, Any], request: Request[Any]) -> Item:
    sent = entry.get("metadata")
    metadata = {
        name.lower(): value
        for name, value in (sent.items() if isinstance(sent, dict) else ())
        if isinstance(value, str)
    }
    for name in ("content-type", "pubsubname"):
        metadata.pop(name, None)
    event = entry["event"]
    if isinstance(event, dict):
        return _message(cloudevents.structured(event, native=request), metadata)
    # With rawPayload, the id must be the broker's: Dapr generates entryId for each bulk.
    topic = bulk["topic"]
    if not isinstance(topic, str):
        raise DecodeError(f"the topic of a bulk must be a string, not {type(topic).__name__}")
    id = _broker_id(metadata)
    if id is None:
        raise DecodeError(
            f"a raw message of {topic!r} has no id: with this broker, Dapr sends none for rawPayload in bulk"
        )
    body = a2b_base64(event, strict_mode=True) if event else b""
    content_type = entry.get("contentType")
    content_type = content_type if isinstance(content_type, str) else ""
    return _with_metadata(Message(id, topic, body, channel=topic, content_type=content_type, native=request), metadata)


def _message(event: CloudEvent[Any], metadata: dict[str, str]) -> Message[Any]:
    extensions = dict(event.extensions)
    topic = extensions.pop("topic", "")
    extensions.pop("pubsubname", None)
    # Dapr repeats the trace under its old name; without a trace both are empty.
    if extensions.get("traceid") in ("", extensions.get("traceparent")):
        extensions.pop("traceid", None)
    for name in ("traceparent", "tracestate"):
        if extensions.get(name) == "":
            del extensions[name]
    id = event.id
    if event.time is None and event.type == OWN_TYPE:
        # With rawPayload, Dapr generates a new id for each delivery.
        id = _broker_id(metadata) or id
    message = DaprMessage(
        id,
        event.source,
        event.body,
        channel=topic,
        time=event.time,
        content_type=event.content_type,
        attributes=extensions,
        subject=event.subject,
        key=extensions.get("partitionkey"),
        native=event.native,
    )
    event.envelopes = (message,)
    message.cloud_event = event
    return _with_metadata(message, metadata)


def is_binding(request: Request[Any]) -> bool:
    """Whether the request has a broker's id of a binding's message."""
    return _broker_id(_metadata(request)) is not None


def binding(request: Request[Any], name: str) -> Item:
    """Decode a message of an input binding: the component's bytes, with its metadata as headers.

    Raises:
        DecodeError: The component sends no id, such as those of SQS, Kinesis and MQTT, and RabbitMQ's without a header `id`.
    """
    metadata = _metadata(request)
    id = _broker_id(metadata)
    if id is None:
        raise DecodeError(
            f"a message of the binding {name!r} has no id: use a component that sends one (Kafka, Service Bus, Pub/Sub, Event "
            "Hubs, storage queues), or Dapr's pub/sub"
        )
    for known in _IDS:
        metadata.pop(known, None)
    time = next((cloudevents.read_time(metadata.pop(known)) for known in _TIMES if known in metadata), None)
    if time is None:
        time = _go_time(metadata.pop("publishtime", ""))
    # The content type isn't known: Dapr always sends application/json.
    return _with_metadata(Message(id, name, request.body, channel=name, time=time, native=request), metadata)


def cron(request: Request[Any], name: str, cron: str) -> ScheduleEvent[Any]:
    """Decode a run of a cron binding.

    Raises:
        DecodeError: The time of the run is missing.
    """
    time = request.headers.get("readtimeutc")
    if not time:
        raise DecodeError(f"the cron binding {name!r} sends no readTimeUTC, which identifies a run")
    return ScheduleEvent(f"{name}/{time}", name, time=_go_time(time), name=name, cron=cron, native=request)


def job(request: Request[Any], name: str, cron: str) -> ScheduleEvent[Any]:
    """Decode a run of a job.

    Dapr sends only the job's name, which is therefore the id of every run.
    """
    body = request.body
    if not name:
        raise DecodeError("a job has no name; Dapr sends POST /job/<name>")
    try:
        value = read_json(body) if body else None
    except ValueError:
        # A client of another protocol than HTTP may schedule any bytes.
        value = body
    return ScheduleEvent(name, name, name=name, cron=cron, input=value, native=request)


def _metadata(request: Request[Any]) -> dict[str, str]:
    return {
        name: value
        for name, value in request.headers.joined().items()
        if name not in _NOT_METADATA and not name.startswith("x-forwarded-")
    }


def _broker_id(metadata: Mapping[str, str]) -> str | None:
    for name in _IDS:
        if id := metadata.get(name):
            return id
    place = [metadata.get(name) for name in ("__topic", "__partition", "__offset")]
    return "/".join(filter(None, place)) if all(place) else None


def _with_metadata(message: Message[Any], metadata: dict[str, str]) -> Message[Any]:
    """Set the message's fields that its broker's metadata contain; the others become attributes."""
    for field, names in (("key", _KEYS), ("partition", _PARTITIONS), ("sequence", _SEQUENCES)):
        for name in names:
            if value := metadata.pop(name, None):
                setattr(message, field, value)
                break
    for name in _ATTEMPTS:
        if (value := metadata.pop(name, None)) is not None:
            if value.isdecimal() and len(value) <= 9:
                message.attempt = max(int(value), 1)
            break
    message.attributes = {**metadata, **message.attributes}
    return message


def _go_time(text: str) -> datetime | None:
    """Parse a UTC time of Go's Time.String(); None for any other text.

    It is "2006-01-02 15:04:05.999999999 +0000 UTC", and a monotonic clock may follow.
    """
    parts = text.split(" ")
    if len(parts) < 4 or parts[2] != "+0000":
        return None
    try:
        return datetime.fromisoformat(f"{parts[0]}T{parts[1]}").replace(tzinfo=UTC)
    except ValueError:
        return None
