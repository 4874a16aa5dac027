"""What a Dapr sidecar sends: pub/sub, one and many, input bindings and jobs.

https://docs.dapr.io/reference/api/; headers, ids and answers as Dapr 1.16's pkg/runtime and components-contrib have them.
"""

from __future__ import annotations

import os
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
    from portable_fn.events import CloudEvent, Event
    from portable_fn.http import Request
    from portable_fn.outcomes import Reject
    from portable_fn_asgi.native import Subscription

# Seconds that the sidecar may take for a dead letter.
SECONDS = 5.0
# Where the sidecar posts the messages of a topic.
ROUTE = "/portable_fn/"
# The type of the CloudEvent that Dapr makes of any other message.
OWN_TYPE = "com.dapr.event.sent"

# Metadata of a message come as headers, among those of HTTP, of proxies and of Dapr itself.
_NOT_METADATA = frozenset(
    (
        "host", "user-agent", "accept", "accept-encoding", "connection", "content-type", "content-length",
        "transfer-encoding", "dapr-api-token", callers.HEADER, "pubsubname", "baggage", "forwarded", "via", "x-request-id",
    )
)  # fmt: skip

# What Kafka, Service Bus and Event Hubs, in this order, call them.
_KEYS = ("__key", "metadata.sessionid", "x-opt-partition-key")
_PARTITIONS = ("__partition", "x-opt-partition-id")
_SEQUENCES = ("__offset", "metadata.sequencenumber", "x-opt-sequence-number")
# Service Bus, and the binding of Azure's storage queues.
_ATTEMPTS = ("metadata.deliverycount", "dequeuecount")
# Service Bus, the bindings of Service Bus and Pub/Sub, those of storage queues, and Event Hubs.
_IDS = ("metadata.messageid", "id", "messageid", "message-id")
_TIMES = ("insertiontime", "x-opt-enqueued-time")


class DaprMessage(Message):
    """A message of pub/sub, with the CloudEvent that Dapr makes of each."""

    cloud_event: CloudEvent[Any]


def subscriptions(functions: Iterable[Binding], pubsub: str) -> list[Subscription]:
    """The answer to GET /dapr/subscribe: a topic for each name of on.topic, on.queue and on.stream, and for each `via`.

    Messages come in bulk where a function takes batches, or several messages at once; else one by one, since Dapr waits up to
    a second for a bulk to fill.
    """
    found: dict[str, Subscription] = {}
    for function in functions:
        for trigger in function.triggers:
            # A topic's own messages need no queue here.
            name = trigger.name if isinstance(trigger, MessageTrigger) else trigger.via
            if not name:
                continue
            from urllib.parse import quote

            one = found.setdefault(name, {"pubsubname": pubsub, "topic": name, "route": ROUTE + quote(name, safe="")})
            if trigger.dead_letter is not None:
                one["deadLetterTopic"] = trigger.dead_letter
            if function.takes_batch or function.concurrency > 1:
                one["bulkSubscribe"] = {"enabled": True}
    return list(found.values())


def has_published(pubsub: str, topic: str, event: Event[Any], reject: Reject, seconds: float | None) -> bool:
    """Whether the sidecar has published a rejected message to the topic; it is at DAPR_HTTP_PORT, which Dapr sets.

    https://docs.dapr.io/reference/api/pubsub_api/#publish-a-message-to-a-given-topic
    """
    port = os.environ.get("DAPR_HTTP_PORT", "")
    if not port.isdecimal():
        return False
    from http.client import HTTPException
    from urllib.parse import quote

    from portable_fn.adapter.dead_letter import cloud_event, written
    from portable_fn.adapter.http_client import call

    headers = {"content-type": cloudevents.STRUCTURED}
    if token := os.environ.get("DAPR_API_TOKEN"):
        headers["dapr-api-token"] = token
    url = f"http://127.0.0.1:{port}/v1.0/publish/{quote(pubsub, safe='')}/{quote(topic, safe='')}"
    # Dapr reads the JSON, and writes it anew with numbers of 64 bits.
    body = written(cloud_event(event, reject), in_base64=True)
    try:
        status, _ = call("POST", url, headers, body, SECONDS if seconds is None else min(seconds, SECONDS))
        why = "" if status < 300 else f"it answers {status}"
    except (OSError, HTTPException) as exc:
        why = type(exc).__name__
    if why:
        from portable_fn.logs import log

        log().warning(
            "the sidecar doesn't publish to the dead letters %s: %s; Dapr gets the message back without the reason",
            topic,
            why,
        )
    return not why


def key(message: Any) -> str | None:
    """The key within which messages of one request are in order."""
    key: str | None = message.key
    return key


def pubsub(request: Request[Any]) -> Item:
    """A message as Dapr delivers it: its CloudEvent, with the broker's metadata as headers."""
    event = cloudevents.structured_body(request.body, request.headers.get("content-type", ""), native=request)
    return _message(event, _metadata(request))


def is_bulk(value: object) -> bool:
    """Whether a JSON value is a bulk of messages."""
    return isinstance(value, dict) and "entries" in value and "pubsubname" in value


def bulk(value: Mapping[str, Any], request: Request[Any]) -> tuple[list[Item], list[object]]:
    """The messages of a bulk, and what Dapr calls each of them."""
    entries = value["entries"]
    if not isinstance(entries, list):
        raise DecodeError(f"the entries of a bulk are an array, not a {type(entries).__name__}")
    if len(entries) > cloudevents.MAX_EVENTS:
        raise DecodeError(f"the bulk has {len(entries)} entries; possible are {cloudevents.MAX_EVENTS}")
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
    told = entry.get("metadata")
    metadata = {
        name.lower(): value
        for name, value in (told.items() if isinstance(told, dict) else ())
        if isinstance(value, str)
    }
    for name in ("content-type", "pubsubname"):
        metadata.pop(name, None)
    event = entry["event"]
    if isinstance(event, dict):
        return _message(cloudevents.structured(event, native=request), metadata)
    # With rawPayload, only the broker may tell an id: entryId is made anew for each bulk.
    topic = bulk["topic"]
    if not isinstance(topic, str):
        raise DecodeError(f"the topic of a bulk is a text, not a {type(topic).__name__}")
    id = _broker_id(metadata)
    if id is None:
        raise DecodeError(
            f"a raw message of {topic!r} has no id: Dapr tells none for rawPayload in bulk with this broker"
        )
    body = a2b_base64(event, strict_mode=True) if event else b""
    content_type = entry.get("contentType")
    content_type = content_type if isinstance(content_type, str) else ""
    return _placed(Message(id, topic, body, channel=topic, content_type=content_type, native=request), metadata)


def _message(event: CloudEvent[Any], metadata: dict[str, str]) -> Message[Any]:
    extensions = dict(event.extensions)
    topic = extensions.pop("topic", "")
    extensions.pop("pubsubname", None)
    # Dapr writes the trace under its old name too, and empty where there is none.
    if extensions.get("traceid") in ("", extensions.get("traceparent")):
        extensions.pop("traceid", None)
    for name in ("traceparent", "tracestate"):
        if extensions.get(name) == "":
            del extensions[name]
    id = event.id
    if event.time is None and event.type == OWN_TYPE:
        # Of rawPayload: Dapr makes a new id for each delivery.
        id = _broker_id(metadata) or id
    made = DaprMessage(
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
    event.envelopes = (made,)
    made.cloud_event = event
    return _placed(made, metadata)


def is_binding(request: Request[Any]) -> bool:
    """Whether the request has the id that brokers tell of a binding's message."""
    return _broker_id(_metadata(request)) is not None


def binding(request: Request[Any], name: str) -> Item:
    """A message of an input binding: the component's bytes, with its metadata as headers.

    DecodeError for a component that tells no id, such as SQS's, Kinesis' and MQTT's, and RabbitMQ's without a header `id`.
    """
    metadata = _metadata(request)
    id = _broker_id(metadata)
    if id is None:
        raise DecodeError(
            f"a message of the binding {name!r} has no id: possible are components that tell one, as those of Kafka, Service "
            "Bus, Pub/Sub, Event Hubs and storage queues do, or Dapr's pub/sub"
        )
    for known in _IDS:
        metadata.pop(known, None)
    time = next((cloudevents.read_time(metadata.pop(known)) for known in _TIMES if known in metadata), None)
    if time is None:
        time = _go_time(metadata.pop("publishtime", ""))
    # Dapr calls whatever comes application/json.
    return _placed(Message(id, name, request.body, channel=name, time=time, native=request), metadata)


def cron(request: Request[Any], name: str, cron: str) -> ScheduleEvent[Any]:
    """The time of a cron binding; DecodeError where it doesn't tell when that was."""
    told = request.headers.get("readtimeutc")
    if not told:
        raise DecodeError(f"the cron binding {name!r} tells no readTimeUTC, which identifies a run")
    return ScheduleEvent(f"{name}/{told}", name, time=_go_time(told), name=name, cron=cron, native=request)


def job(request: Request[Any], name: str, cron: str) -> ScheduleEvent[Any]:
    """A run of a job. Dapr tells no more than its name, so that is its id: the same for each run of one that recurs."""
    body = request.body
    if not name:
        raise DecodeError("a job has no name: possible is POST /job/<name>")
    try:
        value = read_json(body) if body else None
    except ValueError:
        # What another client than an HTTP one scheduled may be any bytes.
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


def _placed(message: Message[Any], metadata: dict[str, str]) -> Message[Any]:
    """The message with what its broker's metadata say of it, and the rest of them as attributes."""
    for name, known in (("key", _KEYS), ("partition", _PARTITIONS), ("sequence", _SEQUENCES)):
        for told in known:
            if value := metadata.pop(told, None):
                setattr(message, name, value)
                break
    for told in _ATTEMPTS:
        if (value := metadata.pop(told, None)) is not None:
            if value.isdecimal() and len(value) <= 9:
                message.attempt = max(int(value), 1)
            break
    message.attributes = {**metadata, **message.attributes}
    return message


def _go_time(text: str) -> datetime | None:
    """The UTC time that Go's Time.String() gives: "2006-01-02 15:04:05.999999999 +0000 UTC", with a monotonic clock after it.

    None for any other text.
    """
    parts = text.split(" ")
    if len(parts) < 4 or parts[2] != "+0000":
        return None
    try:
        return datetime.fromisoformat(f"{parts[0]}T{parts[1]}").replace(tzinfo=UTC)
    except ValueError:
        return None
