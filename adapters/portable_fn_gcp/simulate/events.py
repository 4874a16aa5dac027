"""Google's half of the wire for events: the requests that its triggers send, and what they make of the answers."""

from __future__ import annotations

import os
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

from portable_fn.adapter import cloudevents
from portable_fn.adapter.cloudevents import parse_time, write_time
from portable_fn.adapter.dead_letter import ID, REASON, SOURCE
from portable_fn.data import parse_json, to_json
from portable_fn.errors import DecodeError, EncodeError
from portable_fn.events import ChangeEvent, CloudEvent, Event, Message, ObjectEvent
from portable_fn.http import Request
from portable_fn.on import Trigger
from portable_fn.testing import fake
from portable_fn.testing.results import Delivery, EventResult, Raised, refused, told_reason
from portable_fn.testing.services import carried_by
from portable_fn_gcp.drivers import api
from portable_fn_gcp.events import changes, firestore_wire, legacy, messages, objects
from portable_fn_gcp.events.firestore import Document, DocumentEvent

EVENT_SERVICES = {
    "Message": ("pubsub_push", "pubsub_push_unwrapped", "pubsub_eventarc", "pubsub_legacy", "cloud_tasks"),
    "ObjectEvent": ("storage_eventarc", "storage_notification", "storage_legacy"),
    "ChangeEvent": ("firestore", "firestore_base64", "firestore_legacy"),
    "ScheduleEvent": ("scheduler",),
    "CloudEvent": ("eventarc", "eventarc_structured", "eventarc_batched", "pubsub_structured"),
    "Task": ("workflows", "bigquery"),
}

PROJECT = "portable"
_OBJECT_WORDS = {action: word for word, action in objects.ACTIONS.items()}
_NOTIFICATIONS = {action: word for word, action in objects.NOTIFICATIONS.items()}
_CHANGE_WORDS = {"inserted": "created", "updated": "updated", "removed": "deleted"}
_LEGACY_TYPES = {modern: first for first, modern in reversed(legacy._TYPES.items())}


def default_service(trigger: Trigger, event: Event[Any]) -> str | None:
    """The service by which such an event reaches a function with the trigger; None if the trigger makes no difference."""
    if not trigger.via:
        return None
    return "storage_notification" if isinstance(event, ObjectEvent) else "pubsub_structured"


def payloads(events: Sequence[Event[Any]], service: str) -> list[Request[Any]]:
    """The requests that the trigger sends for the events, each as it is on the way to the function."""
    if service == "eventarc_batched":
        values = [cloudevents.write_structured(event) for event in events]  # type: ignore[arg-type]  # the service's kind
        return [_post(to_json(values).encode(), {"content-type": cloudevents.BATCHED})]
    return [_REQUESTS[service](event) for event in events]


def _post(body: bytes, headers: dict[str, str], path: str = "/", **fields: Any) -> Request[Any]:
    return fake.request("POST", path, body=body, headers=headers, **fields)


def _json(value: object, headers: dict[str, str] | None = None) -> Request[Any]:
    return _post(to_json(value).encode(), {"content-type": "application/json", **(headers or {})})


def _name(event: Message[Any], collection: str) -> str:
    """The whole name of the message's queue, topic or subscription."""
    return event.source if "/" in event.source else f"projects/{PROJECT}/{collection}/{event.channel}"


def _texts(event: Message[Any]) -> dict[str, Any]:
    for name, value in event.attributes.items():
        if not isinstance(value, str):
            raise EncodeError(f"an attribute of a message is a text on Google, and {name} has bytes")
    return dict(event.attributes)


def _pubsub_message(event: Message[Any]) -> dict[str, Any]:
    attributes = _texts(event)
    if event.content_type:
        attributes["content-type"] = event.content_type
    message: dict[str, Any] = {"data": b64encode(event.body).decode(), "messageId": event.id, "message_id": event.id}
    if event.time is not None:
        message["publishTime"] = message["publish_time"] = write_time(event.time)
    if attributes:
        message["attributes"] = attributes
    if event.key is not None:
        message["orderingKey"] = event.key
    return message


def _pubsub_body(event: Message[Any], subscription: str) -> dict[str, Any]:
    body: dict[str, Any] = {"subscription": subscription, "message": _pubsub_message(event)}
    if event.attempt is not None:
        body["deliveryAttempt"] = event.attempt
    return body


def _pubsub_push(event: Any) -> Request[Any]:
    return _json(_pubsub_body(event, _name(event, "subscriptions")))


def _pubsub_push_unwrapped(event: Any) -> Request[Any]:
    headers = {
        **_texts(event),
        "x-goog-pubsub-message-id": event.id,
        "x-goog-pubsub-subscription-name": _name(event, "subscriptions"),
    }
    if event.content_type:
        headers["content-type"] = event.content_type
    if event.time is not None:
        headers["x-goog-pubsub-publish-time"] = write_time(event.time)
    if event.key is not None:
        headers["x-goog-pubsub-ordering-key"] = event.key
    return _post(event.body, headers)


def _topic(event: Message[Any]) -> str:
    return event.source if event.source.startswith("//") else f"//pubsub.googleapis.com/{_name(event, 'topics')}"


def _pubsub_eventarc(event: Any) -> Request[Any]:
    body = _pubsub_body(event, f"projects/{PROJECT}/subscriptions/eventarc-{event.channel}")
    return _binary(
        CloudEvent(
            event.id,
            _topic(event),
            messages.PUBLISHED,
            to_json(body).encode(),
            time=event.time,
            content_type="application/json",
        )
    )


def _pubsub_legacy(event: Any) -> Request[Any]:
    message = _pubsub_message(event)
    for name in ("messageId", "message_id", "publishTime", "publish_time"):
        message.pop(name, None)
    message["@type"] = "type.googleapis.com/google.pubsub.v1.PubsubMessage"
    service, _, name = _topic(event)[2:].partition("/")
    return _legacy(event, messages.PUBLISHED, {"service": service, "name": name}, message)


def _legacy(event: Event[Any], type: str, resource: object, data: object) -> Request[Any]:
    context = {"eventId": event.id, "eventType": _LEGACY_TYPES[type], "resource": resource}
    if event.time is not None:
        context["timestamp"] = write_time(event.time)
    return _json({"context": context, "data": data})


def _cloud_tasks(event: Any) -> Request[Any]:
    queue = _name(event, "locations/us-central1/queues")
    headers = {
        **_texts(event),
        "x-cloudtasks-queuename": queue,
        "x-cloudtasks-taskname": event.id.removeprefix(f"{queue}/"),
    }
    if event.attempt is not None:
        headers["x-cloudtasks-taskretrycount"] = str(event.attempt - 1)
    if event.time is not None:
        seconds = (event.time - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(seconds=1)
        headers["x-cloudtasks-tasketa"] = f"{seconds}.{event.time.microsecond:06}"
    if event.content_type:
        headers["content-type"] = event.content_type
    return _post(event.body, headers)


def _bucket(event: ObjectEvent[Any]) -> str:
    return (
        event.source if event.source.startswith("//") else f"//storage.googleapis.com/projects/_/buckets/{event.bucket}"
    )


def _resource(event: ObjectEvent[Any]) -> dict[str, Any]:
    known = {
        "kind": "storage#object",
        "bucket": event.bucket,
        "name": event.key,
        "size": None if event.size is None else str(event.size),
        "etag": event.etag,
        "generation": event.version,
        "contentType": event.content_type,
        "metadata": dict(event.metadata) or None,
    }
    return {name: value for name, value in known.items() if value is not None}


def _storage_eventarc(event: Any) -> Request[Any]:
    return _binary(
        CloudEvent(
            event.id,
            _bucket(event),
            objects.PREFIX + _OBJECT_WORDS[event.action],
            to_json(_resource(event)).encode(),
            subject=f"objects/{event.key}",
            time=event.time,
            content_type="application/json",
            extensions={"bucket": event.bucket},
        )
    )


def _storage_legacy(event: Any) -> Request[Any]:
    service, _, bucket = _bucket(event)[2:].partition("/")
    resource = {"service": service, "name": f"{bucket}/objects/{event.key}", "type": "storage#object"}
    return _legacy(event, objects.PREFIX + _OBJECT_WORDS[event.action], resource, _resource(event))


def _storage_notification(event: Any) -> Request[Any]:
    type = _NOTIFICATIONS[event.action]
    attributes = {
        "bucketId": event.bucket,
        "objectId": event.key,
        "eventType": type,
        "payloadFormat": "JSON_API_V1",
        "notificationConfig": f"projects/_/buckets/{event.bucket}/notificationConfigs/1",
    }
    if event.version is not None:
        attributes["objectGeneration"] = event.version
    if event.time is not None:
        attributes["eventTime"] = write_time(event.time)
    resource = _resource(event)
    # The id that an event is given ends with its metageneration and type, where it is one of Cloud Storage's.
    before, after = f"{event.bucket}/{event.key}/{event.version or ''}/", f"/{type}"
    if event.id.startswith(before) and event.id.endswith(after):
        resource["metageneration"] = event.id[len(before) : -len(after)]
    message = Message(
        event.id,
        f"projects/{PROJECT}/subscriptions/{carried_by(event, 'events')}",
        to_json(resource).encode(),
        time=event.time,
        attributes=attributes,
    )
    return _pubsub_push(message)


def _document_event(event: ChangeEvent[Any]) -> tuple[str, DocumentEvent]:
    """The path of the document, and what happened to it."""
    if set(event.key) != {"id"}:
        raise EncodeError('a document of Firestore has its id as key: give the change a `key` like {"id": "7"}')
    path = f"{event.table}/{event.key['id']}"
    name = f"projects/{PROJECT}/databases/(default)/documents/{path}"
    written = _written(event.sequence)
    return path, DocumentEvent(
        None if event.after is None else Document(name, dict(event.after), update_time=written),
        None if event.before is None else Document(name, dict(event.before)),
    )


def _written(sequence: str | None) -> datetime | None:
    """When the document was written; None for a sequence that is no time, which Firestore hasn't."""
    if sequence is None:
        return None
    try:
        return parse_time(sequence)
    except DecodeError:
        return None


def _database(event: ChangeEvent[Any]) -> str:
    default = f"//firestore.googleapis.com/projects/{PROJECT}/databases/(default)"
    return event.source if event.source.startswith("//") else default


def _firestore(event: Any) -> Request[Any]:
    path, written = _document_event(event)
    return _binary(
        CloudEvent(
            event.id,
            _database(event),
            changes.PREFIX + _CHANGE_WORDS[event.action],
            firestore_wire.encode(written),
            subject=f"documents/{path}",
            time=event.time,
            content_type="application/protobuf",
            schema="https://github.com/googleapis/google-cloudevents/blob/main/proto/google/events/cloud/firestore/v1/data.proto",
            extensions={"document": path, "database": "(default)", "namespace": "(default)", "project": PROJECT},
        )
    )


def _firestore_base64(event: Any) -> Request[Any]:
    """As the emulator sends it, cloud-firestore-emulator 1.21."""
    request = _firestore(event)
    request.raw_body = b64encode(request.raw_body)
    return request


def _firestore_legacy(event: Any) -> Request[Any]:
    path, written = _document_event(event)
    data = {"value": _json_document(written.value), "oldValue": _json_document(written.old_value), "updateMask": {}}
    name = f"{_database(event).removeprefix('//firestore.googleapis.com/')}/documents/{path}"
    resource = {"service": "firestore.googleapis.com", "name": name}
    return _legacy(event, changes.PREFIX + _CHANGE_WORDS[event.action], resource, data)


def _json_document(document: Document | None) -> dict[str, Any]:
    if document is None:
        return {}
    made: dict[str, Any] = {"name": document.name, "fields": _json_fields(document.fields)}
    if document.update_time is not None:
        made["updateTime"] = write_time(document.update_time)
    return made


def _json_fields(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: _json_value(value) for name, value in fields.items()}


def _json_value(value: Any) -> dict[str, Any]:
    from portable_fn_gcp.events.firestore import GeoPoint, Reference

    match value:
        case None:
            return {"nullValue": None}
        case bool():
            return {"booleanValue": value}
        case int():
            return {"integerValue": str(value)}
        case float():
            # JSON has no NaN and Infinity, so they are text (https://protobuf.dev/programming-guides/json).
            named = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
            return {"doubleValue": named.get(str(value), value)}
        case Reference():
            return {"referenceValue": value}
        case str():
            return {"stringValue": value}
        case bytes():
            return {"bytesValue": b64encode(value).decode()}
        case GeoPoint():
            return {"geoPointValue": dict(value)}
        case list():
            return {"arrayValue": {"values": [_json_value(item) for item in value]}}
        case dict():
            return {"mapValue": {"fields": _json_fields(value)}}
        case _ if hasattr(value, "isoformat"):
            return {"timestampValue": write_time(value)}
    raise EncodeError(f"Firestore has no kind for this {type(value).__name__}")


def _scheduler(event: Any) -> Request[Any]:
    # A job that Google's own names can't have has an id that decode makes of its name and time.
    headers = {
        "x-cloudscheduler": "true",
        "x-cloudscheduler-jobname": event.source if "/" in event.source else event.name,
        "user-agent": "Google-Cloud-Scheduler",
    }
    if event.time is not None:
        headers["x-cloudscheduler-scheduletime"] = write_time(event.time)
    if event.input is None:
        return _post(b"", headers)
    if isinstance(event.input, bytes):
        return _post(event.input, {**headers, "content-type": "application/octet-stream"})
    return _post(to_json(event.input).encode(), {**headers, "content-type": "application/json"})


def _binary(event: Any) -> Request[Any]:
    headers, body = cloudevents.write_binary(event)
    return _post(body, dict(headers))


def _structured(event: Any) -> Request[Any]:
    body = to_json(cloudevents.write_structured(event)).encode()
    return _post(body, {"content-type": cloudevents.STRUCTURED})


def _pubsub_structured(event: Any) -> Request[Any]:
    body = to_json(cloudevents.write_structured(event)).encode()
    subscription = f"projects/{PROJECT}/subscriptions/{carried_by(event, 'events')}"
    return _pubsub_push(Message(event.id, subscription, body, content_type=cloudevents.STRUCTURED))


def _workflows(event: Any) -> Request[Any]:
    body = b"" if event.input is None else to_json(event.input).encode()
    headers = {
        "content-type": "application/json",
        "user-agent": "GoogleCloudWorkflows; (+https://cloud.google.com/workflows/docs)",
    }
    return _post(body, headers, f"/{quote(event.name, safe='')}", id=event.id)


def _bigquery(event: Any) -> Request[Any]:
    # BigQuery sends the arguments of rows; any other input is the one argument of one row.
    calls = event.input if _are_calls(event.input) else [[event.input]]
    body = {"requestId": event.id, "caller": event.source, "calls": calls}
    return _post(to_json(body).encode(), {"content-type": "application/json"}, f"/{quote(event.name, safe='')}")


def _are_calls(input: object) -> bool:
    return isinstance(input, list) and all(isinstance(call, list) for call in input)


_REQUESTS: dict[str, Callable[[Any], Request[Any]]] = {
    "pubsub_push": _pubsub_push,
    "pubsub_push_unwrapped": _pubsub_push_unwrapped,
    "pubsub_eventarc": _pubsub_eventarc,
    "pubsub_legacy": _pubsub_legacy,
    "cloud_tasks": _cloud_tasks,
    "storage_eventarc": _storage_eventarc,
    "storage_notification": _storage_notification,
    "storage_legacy": _storage_legacy,
    "firestore": _firestore,
    "firestore_base64": _firestore_base64,
    "firestore_legacy": _firestore_legacy,
    "scheduler": _scheduler,
    "eventarc": _binary,
    "eventarc_structured": _structured,
    "pubsub_structured": _pubsub_structured,
    "workflows": _workflows,
    "bigquery": _bigquery,
}


def ordering_key(request: Request[Any], service: str) -> str | None:
    """The key within which the trigger sends one request after the other, and none before the last is acknowledged.

    https://cloud.google.com/pubsub/docs/ordering. A subscription made by Eventarc, or for a first-generation function, keeps
    no order.
    """
    if service == "pubsub_push_unwrapped":
        return request.headers.get("x-goog-pubsub-ordering-key")
    if service == "pubsub_push":
        message: Any = request.json()["message"]
        key: str | None = message.get("orderingKey")
        return key
    return None


class Published:
    """A message that the function published to a topic of dead letters."""

    def __init__(self, topic: str, body: bytes, attributes: dict[str, str], key: str | None) -> None:
        self.topic = topic
        self.body = body
        self.attributes = attributes
        self.key = key


# What was published, for each of the simulations that are under way, the innermost last.
_published: list[list[Published]] = []


@contextmanager
def playing(service: str) -> Iterator[list[Published]]:
    """Plays Pub/Sub's REST interface and the metadata server; gives what is published."""
    published: list[Published] = []
    _published.append(published)
    before = api.call
    api.call = _played
    try:
        yield published
    finally:
        api.call = before
        _published.pop()


def played() -> list[Published] | None:
    """What is published in the innermost block of `playing`; None outside of one."""
    return _published[-1] if _published else None


def _played(method: str, host: str, path: str, headers: Any, body: bytes | None, seconds: float) -> tuple[int, bytes]:
    if path.startswith("/computeMetadata/"):
        if headers.get("metadata-flavor") != "Google":
            return 403, b""
        token = b'{"access_token":"played","expires_in":3599,"token_type":"Bearer"}'
        return 200, token if path.endswith("/token") else PROJECT.encode()
    value: Any = parse_json((body or b"").decode())
    if "authorization" not in headers and "PUBSUB_EMULATOR_HOST" not in os.environ:
        return 401, b""
    topic = path.removeprefix("/v1/").removesuffix(":publish")
    for message in value["messages"]:
        made = Published(topic, b64decode(message["data"]), message["attributes"], message.get("orderingKey"))
        _published[-1].append(made)
    return 200, b'{"messageIds":["1"]}'


def results(events: Sequence[Event[Any]], service: str, answers: Sequence[Any]) -> Delivery:
    """Return the result of each event, as the trigger reads the answers.

    An answer is that of an HTTP server, a Raised, or None for a request that wasn't sent yet.
    """
    if service == "eventarc_batched":
        answers = [answers[0]] * len(events)
    if service in ("workflows", "bigquery"):
        return _called(service, answers[0])
    published = _published[-1] if _published else []
    rejected = {_rejected_id(one): told_reason(one.attributes[REASON]) for one in published}
    return Delivery(
        [_settled(event, service, answer, rejected) for event, answer in zip(events, answers, strict=True)],
        error=refused(answers),
        held=[index for index, answer in enumerate(answers) if answer is None],
    )


def _rejected_id(one: Published) -> str:
    # Of a task whose id wasn't one of Cloud Tasks', which begins with the queue.
    return one.attributes[ID].removeprefix(one.attributes[SOURCE] + "/")


def _settled(event: Event[Any], service: str, answer: Any, rejected: dict[str, str]) -> EventResult:
    if answer is None or isinstance(answer, Raised):
        return EventResult("retried")
    if answer.status in (200, 204):
        id = event.id.removeprefix(event.source + "/")
        return EventResult("dead-lettered", why=rejected[id]) if id in rejected else EventResult("acknowledged")
    # The others wait as their own retry policy says.
    after = answer.headers.get("retry-after") if service == "cloud_tasks" else None
    return EventResult("retried", None if after is None else float(after))


def _called(service: str, answer: Any) -> Delivery:
    if isinstance(answer, Raised):
        return Delivery([EventResult("retried")], error=(answer.name, answer.message))
    if error := refused([answer]):
        return Delivery([EventResult("retried")], error=error)
    value = answer.json()
    if answer.status == 200:
        return Delivery([EventResult("acknowledged")], result=value["replies"] if service == "bigquery" else value)
    if service == "bigquery":
        name, _, message = value["errorMessage"].partition(": ")
        error = (name, message)
    else:
        error = (value["error"]["type"], value["error"]["message"])
    return Delivery([EventResult("retried")], error=error)
