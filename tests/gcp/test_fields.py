"""Which field of Google's payloads is which field of a neutral event, what an error names, and what exactly Google is answered."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Mapping
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

import pytest
from flask import Request as FlaskRequest
from starlette.requests import Request as StarletteRequest

from portable_fn import (
    ChangeEvent,
    CloudEvent,
    DecodeError,
    Event,
    HTTPError,
    Message,
    ObjectEvent,
    Reject,
    Request,
    Response,
    Retry,
    Task,
    portable,
)
from portable_fn.pairs import Headers
from portable_fn.testing import fake
from portable_fn.testing.results import Answer
from portable_fn_gcp import decode, encode, entry, simulate
from portable_fn_gcp.events import changes, messages
from portable_fn_gcp.events import decode as decode_events
from portable_fn_gcp.events.legacy import background_event
from tests.gcp.test_corpus import event

AT, DUE = "2026-01-02T03:04:05.678901Z", "1767323045.678901"
TIME = datetime(2026, 1, 2, 3, 4, 5, 678_901, UTC)
LATER, LATER_TIME = "2026-02-03T04:05:06Z", datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)
SUBSCRIPTION = "projects/p/subscriptions/orders-sub"
TOPIC = "//pubsub.googleapis.com/projects/p/topics/orders"
QUEUE = "projects/p/locations/l/queues/mails"
BUCKET = "//storage.googleapis.com/projects/_/buckets/uploads"
NONE: Mapping[str, str] = {}
DATABASE = "//firestore.googleapis.com/projects/p/databases/(default)"


def base64(body: bytes) -> str:
    return b64encode(body).decode()


def posted(value: object) -> Request[Any]:
    return fake.request("POST", json=value)


def headed(headers: dict[str, str], body: bytes = b"") -> Request[Any]:
    return fake.request("POST", headers=headers, body=body)


def push(message: object, **more: object) -> Request[Any]:
    return posted({"subscription": SUBSCRIPTION, "message": message, **more})


def eventarc(type: str, source: str, data: object, **more: str) -> Request[Any]:
    """A CloudEvent with the id "event-1", in binary form."""
    known = {"specversion": "1.0", "id": "event-1", "type": type, "source": source, **more}
    return fake.request("POST", json=data, headers={f"ce-{name}": value for name, value in known.items()})


def unwrapped(body: bytes = b"", headers: Mapping[str, str] = NONE) -> Request[Any]:
    """A push without its wrapper."""
    given = {"x-goog-pubsub-message-id": "7", "x-goog-pubsub-subscription-name": SUBSCRIPTION}
    return headed({**given, **headers}, body)


def task(body: bytes = b"", headers: Mapping[str, str] = NONE) -> Request[Any]:
    """A task of a queue."""
    given = {"x-cloudtasks-queuename": QUEUE, "x-cloudtasks-taskname": "t-1"}
    return headed({**given, **headers}, body)


def whole(made: Event[Any]) -> dict[str, Any]:
    """Every field of an event, those too that don't count for whether two are equal."""
    names = (*made._fields, "type", "subject", "data", "native", "envelopes", "attempt", "metadata")
    return {name: getattr(made, name, None) for name in names}


# Messages


def message(id: str = "7", source: str = SUBSCRIPTION, body: bytes = b"", **more: Any) -> Message[Any]:
    return Message(id, source, body, channel=source.rpartition("/")[2], **more)


# What the way to the function adds to a request, of Google and of others.
ON_THE_WAY = dict.fromkeys(messages._ADDED - {"content-type"}, "1") | {
    "x-goog-pubsub-publish-time": AT,
    "x-google-dos": "1",
    "x-cloudtasks-queuename": QUEUE,
    "x-cloudtasks-tasknumber": "1",
    "x-appengine-country": "DE",
}


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (
            push({"data": base64(b'{"n":1}'), "attributes": {"a": "b", "content-type": "application/json"}, "messageId": "7", "publishTime": AT, "orderingKey": "k"}, deliveryAttempt=3),
            message(body=b'{"n":1}', time=TIME, content_type="application/json", attributes={"a": "b"}, attempt=3, key="k"),
        ),
        (push({"messageId": "7"}), message()),
        (push({"messageId": "7", "data": None, "attributes": None, "publishTime": None, "orderingKey": None}, deliveryAttempt=None), message()),
        (push({"messageId": "7", "data": "", "attributes": {}, "publishTime": "", "orderingKey": ""}, deliveryAttempt=0), message(attempt=0)),
        (push({"message_id": "7", "publish_time": AT, "ordering_key": "k"}), message(time=TIME, key="k")),
        (push({"messageId": "7", "message_id": "8", "publishTime": AT, "publish_time": LATER, "orderingKey": "k", "ordering_key": "l"}), message(time=TIME, key="k")),
        (push({"messageId": "7", "attributes": {"Content-Type": "text/plain", "a": "b"}}), message(content_type="text/plain", attributes={"a": "b"})),
        (push({"messageId": "7", "attributes": {"content-type": "a/b", "Content-Type": "c/d"}}), message(content_type="a/b", attributes={"Content-Type": "c/d"})),
        (
            unwrapped(b'{"n":1}', headers={"x-goog-pubsub-publish-time": AT, "x-goog-pubsub-ordering-key": "k", "x-goog-ordering-key": "l", "content-type": "application/json", "a": "b"}),
            message(body=b'{"n":1}', time=TIME, content_type="application/json", attributes={"a": "b"}, key="k"),
        ),
        (unwrapped(), message()),
        (unwrapped(headers={"x-goog-ordering-key": "l"}), message(key="l")),
        (unwrapped(headers={"content-type": "application/x-www-form-urlencoded; charset=utf-8"}), message()),
        (unwrapped(headers={"content-type": "application/octet-stream"}), message()),
        (unwrapped(headers=ON_THE_WAY), message(time=TIME)),
        (
            task(b'{"n":1}', headers={"x-cloudtasks-taskretrycount": "2", "x-cloudtasks-taskexecutioncount": "1", "x-cloudtasks-tasketa": DUE, "content-type": "application/json", "a": "b"}),
            message(f"{QUEUE}/t-1", QUEUE, b'{"n":1}', time=TIME, content_type="application/json", attributes={"a": "b"}, attempt=3),
        ),
        (task(), message(f"{QUEUE}/t-1", QUEUE)),
        (task(headers={"x-cloudtasks-taskretrycount": "", "x-cloudtasks-tasketa": "", "content-type": "application/octet-stream"}), message(f"{QUEUE}/t-1", QUEUE)),
        (task(headers={"x-cloudtasks-taskretrycount": "0"}), message(f"{QUEUE}/t-1", QUEUE, attempt=1)),
        (task(headers={name: one for name, one in ON_THE_WAY.items() if name != "x-goog-pubsub-message-id"}), message(f"{QUEUE}/t-1", QUEUE)),
    ],
)  # fmt: skip
def test_each_field_of_a_message_has_its_place(request_: Request[Any], expected: Message[Any]) -> None:
    expected.native = request_
    assert whole(expected) == whole(event(request_))


PUBLISHED = {
    "subscription": SUBSCRIPTION,
    "deliveryAttempt": 3,
    "message": {
        "data": base64(b'{"n":1}'),
        "attributes": {"a": "b"},
        "messageId": "7",
        "publishTime": AT,
        "orderingKey": "k",
    },
}


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (PUBLISHED, message("7", TOPIC, b'{"n":1}', time=TIME, attributes={"a": "b"}, attempt=3, key="k")),
        # What the message doesn't say of itself, the event says.
        ({"message": {}}, message("event-1", TOPIC, time=LATER_TIME)),
    ],
)
def test_each_field_of_a_message_of_eventarc_has_its_place(data: Any, expected: Message[Any]) -> None:
    request = eventarc(messages.PUBLISHED, TOPIC, data, time=LATER)
    outer = event(request)
    expected.native, expected.envelopes = request, (outer,)
    assert [whole(expected)] == [whole(one) for one in decode_events.unwrap(outer)]


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        ("0", datetime(1970, 1, 1, tzinfo=UTC)),
        ("1767323045", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("1767323045.", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("1767323045.5", datetime(2026, 1, 2, 3, 4, 5, 500_000, UTC)),
        # More than microseconds is cut off.
        ("1767323045.1234567", datetime(2026, 1, 2, 3, 4, 5, 123_456, UTC)),
        ("253402300799.999999", datetime(9999, 12, 31, 23, 59, 59, 999_999, UTC)),
        *((broken, None) for broken in ("253402300800", "9" * 5000, "-1", ".5", "1e3", "1.x", "x.1", "1.2.3", "٣", "1.٣")),
    ],
)  # fmt: skip
def test_a_task_is_due_at_a_number_of_seconds_until_the_end_of_the_year_9999(
    seconds: str, expected: datetime | None
) -> None:
    assert expected == event(task(headers={"x-cloudtasks-tasketa": seconds})).time


@pytest.mark.parametrize(
    ("attempt", "expected"),
    [(0, 0), (1, 1), (2**31, 2**31), ("999999999", 999_999_999)]
    + [(broken, None) for broken in (-1, True, 1.5, "-1", "", "x", "٣", "1" * 10, "9" * 5000, [1])],
)
def test_an_attempt_is_a_number_from_zero(attempt: Any, expected: int | None) -> None:
    assert expected == event(push({"messageId": "7"}, deliveryAttempt=attempt)).attempt


# Objects

RESOURCE = {
    "bucket": "uploads",
    "name": "a b/é.png",
    "size": "352",
    "etag": "CNHZ=",
    "generation": "1587627537231057",
    "metageneration": "2",
    "contentType": "image/png",
    "metadata": {"k": "v"},
}


def object_(id: str, key: str, action: str, **more: Any) -> ObjectEvent[Any]:
    return ObjectEvent(id, BUCKET, "uploads", key, action, **more)


FULL: dict[str, Any] = {
    "size": 352,
    "etag": "CNHZ=",
    "version": "1587627537231057",
    "content_type": "image/png",
    "metadata": {"k": "v"},
    "notification": RESOURCE,
}


@pytest.mark.parametrize(
    ("word", "action"),
    [("finalized", "created"), ("deleted", "deleted"), ("archived", "archived"), ("metadataUpdated", "changed")],
)
@pytest.mark.parametrize(
    ("subject", "data", "key", "fields"),
    [
        # What the resource says comes before what the event's subject does.
        ("objects/other", RESOURCE, "a b/é.png", FULL),
        ("objects/a/b.png", {}, "a/b.png", {"notification": {}}),
        ("", {"name": "objects/x", "size": 0, "generation": 12}, "objects/x", {"size": 0, "version": "12", "notification": {"name": "objects/x", "size": 0, "generation": 12}}),
        ("objects/a", dict.fromkeys(RESOURCE), "a", {"notification": dict.fromkeys(RESOURCE)}),
    ],
)  # fmt: skip
def test_each_field_of_an_object_of_eventarc_has_its_place(
    word: str, action: str, subject: str, data: Any, key: str, fields: dict[str, Any]
) -> None:
    type = f"google.cloud.storage.object.v1.{word}"
    request = eventarc(type, BUCKET, data, time=AT, subject=subject)
    outer = event(request)
    expected = object_("event-1", key, action, time=TIME, type=type, native=request, envelopes=(outer,), **fields)
    assert [whole(expected)] == [whole(one) for one in decode_events.unwrap(outer)]


def test_the_bucket_in_an_objects_event_comes_before_that_of_its_source() -> None:
    [made] = decode_events.unwrap(event(eventarc("google.cloud.storage.object.v1.deleted", "//x/y/other", RESOURCE)))
    assert ("//x/y/other", "uploads") == (made.source, getattr(made, "bucket", None))


NOTICE = {"bucketId": "uploads", "objectId": "a b/é.png", "objectGeneration": "1587627537231057", "eventTime": LATER}


def notice(type: str, resource: object = None, **attributes: str) -> Request[Any]:
    body = b"" if resource is None else json.dumps(resource).encode()
    told = {**NOTICE, "eventType": type, "payloadFormat": "JSON_API_V1", **attributes}
    return push({"messageId": "7", "publishTime": AT, "data": base64(body), "attributes": told})


def lower(attributes: dict[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in attributes.items()}


GENERATION = "1587627537231057"
NO_PAYLOAD = {**NOTICE, "eventType": "OBJECT_DELETE", "payloadFormat": "NONE"}
OVERWRITTEN = {"overwrittenByGeneration": "2"}


@pytest.mark.parametrize(
    ("request_", "id", "action", "fields"),
    [
        (notice("OBJECT_FINALIZE", RESOURCE), f"{GENERATION}/2/OBJECT_FINALIZE", "created", FULL),
        (notice("OBJECT_ARCHIVE", RESOURCE), f"{GENERATION}/2/OBJECT_ARCHIVE", "archived", FULL),
        (notice("OBJECT_METADATA_UPDATE", RESOURCE), f"{GENERATION}/2/OBJECT_METADATA_UPDATE", "changed", FULL),
        (notice("OBJECT_DELETE", RESOURCE), f"{GENERATION}/2/OBJECT_DELETE", "deleted", FULL),
        (notice("OBJECT_DELETE", RESOURCE, **OVERWRITTEN), f"{GENERATION}/2/OBJECT_DELETE", "changed", FULL),
        (notice("OBJECT_FINALIZE", RESOURCE, **OVERWRITTEN), f"{GENERATION}/2/OBJECT_FINALIZE", "created", FULL),
        # The resource's own generation comes before the attribute.
        (notice("OBJECT_DELETE", {"generation": 5, "metageneration": 3}), f"{GENERATION}/3/OBJECT_DELETE", "deleted", {"version": "5", "notification": {"generation": 5, "metageneration": 3}}),
        # With payloadFormat NONE the message's id stands for the metageneration.
        (notice("OBJECT_DELETE", payloadFormat="NONE"), f"{GENERATION}/7/OBJECT_DELETE", "deleted", {"version": GENERATION, "notification": lower(NO_PAYLOAD)}),
        (unwrapped(headers={**lower(NO_PAYLOAD), "objectid": "a b/é.png", "x-goog-pubsub-publish-time": AT}), f"{GENERATION}/7/OBJECT_DELETE", "deleted", {"version": GENERATION, "notification": lower(NO_PAYLOAD)}),
        (push({"messageId": "7", "publishTime": AT, "attributes": {"eventType": "OBJECT_DELETE", "bucketId": "uploads", "objectId": "a b/é.png"}}), "/7/OBJECT_DELETE", "deleted", {"time": TIME, "notification": {"eventtype": "OBJECT_DELETE", "bucketid": "uploads", "objectid": "a b/é.png"}}),
    ],
)  # fmt: skip
def test_each_field_of_a_notification_of_cloud_storage_has_its_place(
    request_: Request[Any], id: str, action: str, fields: dict[str, Any]
) -> None:
    outer = event(request_)
    known = {"time": LATER_TIME, "type": id.rpartition("/")[2], "native": request_, "envelopes": (outer,), **fields}
    expected = object_(f"uploads/a b/é.png/{id}", "a b/é.png", action, **known)
    assert [whole(expected)] == [whole(one) for one in decode_events.unwrap(outer)]


@pytest.mark.parametrize("size", [0, 2**63, "0", "9" * 19, None])
def test_an_objects_size_is_a_number_of_bytes(size: Any) -> None:
    [made] = decode_events.unwrap(event(eventarc("google.cloud.storage.object.v1.deleted", BUCKET, {"name": "a", "size": size})))  # fmt: skip
    assert (None if size is None else int(size)) == getattr(made, "size", -1)


# Changes

ROAD = "projects/p/databases/(default)/documents/users/ada/orders/o-1"


def document(n: int, **more: object) -> dict[str, Any]:
    return {"name": ROAD, "fields": {"n": {"integerValue": str(n)}}, **more}


NEW, OLD = document(2, createTime=AT, updateTime=LATER), document(1, createTime=AT, updateTime=AT)
AFTER, BEFORE = {"n": 2}, {"n": 1}


@pytest.mark.parametrize("suffix", ["", ".withAuthContext"])
@pytest.mark.parametrize(
    ("word", "data", "action", "before", "after", "sequence"),
    [
        ("created", {"value": NEW}, "inserted", None, AFTER, "2026-02-03T04:05:06Z"),
        ("updated", {"value": NEW, "oldValue": OLD}, "updated", BEFORE, AFTER, "2026-02-03T04:05:06Z"),
        ("deleted", {"oldValue": OLD}, "removed", BEFORE, None, None),
        ("written", {"value": NEW}, "inserted", None, AFTER, "2026-02-03T04:05:06Z"),
        ("written", {"value": NEW, "oldValue": OLD}, "updated", BEFORE, AFTER, "2026-02-03T04:05:06Z"),
        ("written", {"oldValue": OLD, "value": {}}, "removed", BEFORE, None, None),
        ("written", {"value": document(2)}, "inserted", None, AFTER, None),
        # The event's subject has the path where the document has no name.
        ("written", {"value": {"fields": NEW["fields"]}}, "inserted", None, AFTER, None),
        ("written", {"value": {**NEW, "fields": None}}, "inserted", None, {}, "2026-02-03T04:05:06Z"),
    ],
)
def test_each_field_of_a_document_of_firestore_has_its_place(
    suffix: str, word: str, data: Any, action: str, before: Any, after: Any, sequence: str | None
) -> None:
    type = f"google.cloud.firestore.document.v1.{word}{suffix}"
    # The emulator doubles "projects/".
    source = DATABASE.replace("/projects/", "/projects/projects/")
    request = eventarc(type, source, data, time=AT, subject="documents/users/ada/orders/o-1")
    outer = event(request)
    expected: ChangeEvent[Any] = ChangeEvent(
        "event-1",
        DATABASE,
        "users/ada/orders",
        action,
        key={"id": "o-1"},
        before=before,
        after=after,
        time=TIME,
        sequence=sequence,
        type=type,
        native=request,
        envelopes=(outer,),
    )
    assert [whole(expected)] == [whole(one) for one in decode_events.unwrap(outer)]


@pytest.mark.parametrize(
    ("path", "table", "id"),
    [
        ("documents/a", "documents", "a"),
        ("users/ada/documents/a", "users/ada/documents", "a"),
        ("a b/é", "a b", "é"),
    ],
)
def test_a_collection_may_have_any_name(path: str, table: str, id: str) -> None:
    data = {"value": {"name": f"projects/p/databases/d/documents/{path}", "fields": {}}}
    [made] = decode_events.unwrap(event(eventarc("google.cloud.firestore.document.v1.created", DATABASE, data)))
    assert isinstance(made, ChangeEvent)
    assert (table, {"id": id}) == (made.table, made.key)


# What can't be read


def unsaid(words: list[str], error: BaseException) -> list[str]:
    """Which of the words the error doesn't say, and what it does say."""
    text = str(error)
    missing = [word for word in words if not re.search(rf"(?<!\w){re.escape(word)}(?!\w)", text)]
    return [*missing, text] if missing else []


STORED = "google.cloud.storage.object.v1.finalized"
WRITTEN = "google.cloud.firestore.document.v1.written"


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (push([]), ["message", "list"]),
        (push({"data": ""}), ["no messageId"]),
        (push({"messageId": 7}), ["messageId", "int"]),
        (push({"message_id": 7}), ["message_id", "int"]),
        (push({"messageId": "7", "orderingKey": ["k"]}), ["orderingKey", "list"]),
        (push({"messageId": "7", "data": 1}), ["data", "base64", "int"]),
        (push({"messageId": "7", "data": "a"}), ["data", "base64", "str"]),
        (push({"messageId": "7", "data": "YQ==YQ=="}), ["data", "base64", "str"]),
        (push({"messageId": "7", "data": "YQ\n=="}), ["data", "base64", "str"]),
        (eventarc(messages.PUBLISHED, TOPIC, {}), ["messagePublished", "no message", "dict"]),
        (eventarc(messages.PUBLISHED, TOPIC, ["message"]), ["messagePublished", "no message", "list"]),
        (unwrapped(headers={"x-goog-pubsub-message-id": ""}), ["x-goog-pubsub-message-id", "no"]),
        (headed({"x-goog-pubsub-message-id": "7"}), ["x-goog-pubsub-subscription-name", "no"]),
        (task(headers={"x-cloudtasks-taskname": ""}), ["no X-CloudTasks-TaskName"]),
        (headed({"x-cloudtasks-taskname": "t-1"}), ["no X-CloudTasks-QueueName"]),
        (headed({"x-cloudscheduler": "true"}), ["no X-CloudScheduler-JobName"]),
        (headed({"x-cloudscheduler": "true", "x-cloudscheduler-jobname": "j"}), ["no X-CloudScheduler-ScheduleTime"]),
        (eventarc("google.cloud.storage.object.v1." + "x" * 41, BUCKET, RESOURCE), ["Cloud Storage", f"'{'x' * 40}'", "finalized, deleted, archived, metadataUpdated"]),
        (eventarc(STORED, BUCKET, [RESOURCE]), ["Cloud Storage", "list"]),
        (eventarc(STORED, "//x/", {"name": "a"}), ["Cloud Storage", "no bucket"]),
        (eventarc(STORED, BUCKET, {}), ["Cloud Storage", "no name"]),
        (eventarc(STORED, BUCKET, {**RESOURCE, "name": ["a"]}), ["name", "list"]),
        (eventarc(STORED, BUCKET, {**RESOURCE, "bucket": 1.5}), ["bucket", "float"]),
        (notice("OBJECT_DELETE", bucketId=""), ["no bucket"]),
        (push({"messageId": "7", "attributes": {"eventType": "OBJECT_DELETE", "objectId": "a"}}), ["no bucket"]),
        (push({"messageId": "7", "attributes": {"eventType": "OBJECT_DELETE", "bucketId": "b"}}), ["no name"]),
        (notice("OBJECT_DELETE", [1]), ["Cloud Storage", "list"]),
        (notice("OBJECT_DELETE", {"metageneration": []}), ["metageneration", "list"]),
        (push({"messageId": "7", "data": base64(b"{"), "attributes": {**NOTICE, "eventType": "OBJECT_DELETE"}}), ["notification", "not JSON"]),
        (push({"messageId": "7", "data": base64(b"\xff"), "attributes": {**NOTICE, "eventType": "OBJECT_DELETE"}}), ["not UTF-8"]),
        (eventarc("google.cloud.firestore.document.v1." + "x" * 41, DATABASE, {"value": NEW}), ["Firestore", f"'{'x' * 40}'", "written, created, updated, deleted"]),
        (eventarc(WRITTEN, DATABASE, {}), ["Firestore", "no document"]),
        (eventarc(WRITTEN, DATABASE, [NEW]), ["Firestore", "object", "list"]),
        (eventarc(WRITTEN, DATABASE, {"value": {"fields": {}, "updateTime": AT}}), ["Firestore", "no path"]),
        (eventarc(WRITTEN, DATABASE, {"value": {**NEW, "name": "x/documents/users/"}}), ["Firestore", "an id"]),
        (eventarc(WRITTEN, DATABASE, {"value": {**NEW, "name": "x/documents/users"}}), ["Firestore", "collection"]),
        (eventarc(WRITTEN, DATABASE, {"value": {**NEW, "name": ""}}, subject="documents/users"), ["Firestore", "collection"]),
    ],
)  # fmt: skip
def test_an_error_names_what_was_seen(request_: Request[Any], words: list[str]) -> None:
    with pytest.raises(DecodeError) as raised:
        decode_events.unwrap(event(request_))
    assert [] == unsaid(words, raised.value)


def test_a_document_in_protobuf_is_known_by_its_content_type() -> None:
    [request] = simulate.payloads([fake.change("users", after={"id": "1", "n": 1})], "firestore")
    assert "application/protobuf" == request.headers["content-type"]
    headers = dict(request.headers)
    bodies = {"application/protobuf; charset=x": request.body, "application/json": b'{"value": ' + json.dumps(NEW).encode() + b"}"}  # fmt: skip
    made = [
        decode_events.unwrap(event(fake.request("POST", headers={**headers, "content-type": type}, body=body)))[0]
        for type, body in bodies.items()
    ]
    assert ["users", "users/ada/orders"] == [getattr(one, "table", None) for one in made]
    assert changes.PREFIX == made[0].type[: len(changes.PREFIX)]


# First-generation events


def legacy(type: str, resource: object, data: object, **more: object) -> Request[Any]:
    return posted({"context": {"eventId": "1", "timestamp": AT, "eventType": type, "resource": resource}, "data": data, **more})  # fmt: skip


AUTH, LOG = "providers/firebase.auth/eventTypes/user.create", "providers/google.firebase.analytics/eventTypes/event.log"
REF = "providers/google.firebase.database/eventTypes/ref.write"
WRITE = "providers/cloud.firestore/eventTypes/document.write"
FINALIZE, PUBLISH = "google.storage.object.finalize", "google.pubsub.topic.publish"
APP = {"userDim": {"appInfo": {"appId": "app-1"}}}


@pytest.mark.parametrize(
    ("request_", "type", "source", "subject", "data"),
    [
        (legacy(FINALIZE, {"service": "storage.googleapis.com", "name": "projects/_/buckets/b/objects/a/b.png"}, {"n": 1}), STORED, "//storage.googleapis.com/projects/_/buckets/b", "objects/a/b.png", {"n": 1}),
        # The generation behind a key isn't of it, any other "#" is.
        (legacy(FINALIZE, "projects/_/buckets/b/objects/a#b#123", None), STORED, "//storage.googleapis.com/projects/_/buckets/b", "objects/a#b", None),
        (legacy(FINALIZE, "projects/_/buckets/b/objects/a#b", None), STORED, "//storage.googleapis.com/projects/_/buckets/b", "objects/a#b", None),
        (legacy(FINALIZE, "projects/_/buckets/b/objects/123", None), STORED, "//storage.googleapis.com/projects/_/buckets/b", "objects/123", None),
        (legacy(FINALIZE, "projects/_/buckets/b", None), STORED, "//storage.googleapis.com/projects/_/buckets/b", "", None),
        (legacy(PUBLISH, "projects/p/topics/orders", {"data": "aGk="}), messages.PUBLISHED, TOPIC, "", {"message": {"messageId": "1", "publishTime": AT, "data": "aGk="}}),
        (legacy("providers/cloud.pubsub/eventTypes/topic.publish", {"service": "", "name": "projects/p/topics/orders"}, {"messageId": "7", "publishTime": LATER, "data": ""}), messages.PUBLISHED, TOPIC, "", {"message": {"messageId": "7", "publishTime": LATER}}),
        (legacy(WRITE, "projects/p/databases/(default)/documents/users/ada", {}), WRITTEN, DATABASE, "documents/users/ada", {}),
        (legacy(WRITE, "projects/p/databases/(default)", {}), WRITTEN, DATABASE, "", {}),
        (legacy(AUTH, "projects/p", {"uid": "u", "metadata": {"createdAt": "c", "lastSignedInAt": "l", "x": 1}}), "google.firebase.auth.user.v1.created", "//firebaseauth.googleapis.com/projects/p", "users/u", {"uid": "u", "metadata": {"createTime": "c", "lastSignInTime": "l", "x": 1}}),
        (legacy(AUTH, "projects/p", {"metadata": "m"}), "google.firebase.auth.user.v1.created", "//firebaseauth.googleapis.com/projects/p", "users/", {"metadata": "m"}),
        (legacy(AUTH, "projects/p", [1]), "google.firebase.auth.user.v1.created", "//firebaseauth.googleapis.com/projects/p", "", [1]),
        (legacy(LOG, "projects/p/events/sold", APP), "google.firebase.analytics.log.v1.written", "//firebaseanalytics.googleapis.com/projects/p/apps/app-1", "events/sold", APP),
        (legacy(LOG, "projects/p", APP), "google.firebase.analytics.log.v1.written", "//firebaseanalytics.googleapis.com/projects/p", "", APP),
        (legacy(LOG, "projects/p/events/sold", {"userDim": [1]}), "google.firebase.analytics.log.v1.written", "//firebaseanalytics.googleapis.com/projects/p/events/sold", "", {"userDim": [1]}),
        (legacy(REF, "projects/_/instances/i/refs/a/b", 1, domain="firebaseio.com"), "google.firebase.database.ref.v1.written", "//firebasedatabase.googleapis.com/projects/_/locations/us-central1/instances/i", "refs/a/b", 1),
        (legacy(REF, "projects/_/instances/i", 1, domain="europe-west1.firebasedatabase.app"), "google.firebase.database.ref.v1.written", "//firebasedatabase.googleapis.com/projects/_/locations/europe-west1/instances/i", "", 1),
        (legacy("google.firebase.remoteconfig.update", "projects/p", None), "google.firebase.remoteconfig.remoteConfig.v1.updated", "//firebaseremoteconfig.googleapis.com/projects/p", "", None),
        # Of an unknown type, as it is.
        (legacy("somebody.else", "x/y", "é"), "somebody.else", "//googleapis.com/x/y", "", "é"),
        (posted({"eventId": "1", "eventType": "somebody.else", "timestamp": AT, "resource": "x", "context": None}), "somebody.else", "//googleapis.com/x", "", None),
    ],
)  # fmt: skip
def test_each_field_of_a_first_generation_event_has_its_place(
    request_: Request[Any], type: str, source: str, subject: str, data: Any
) -> None:
    body = json.dumps(data, separators=(",", ":"), ensure_ascii=False).encode()
    expected: CloudEvent[Any] = CloudEvent(
        "1", source, type, body, subject=subject, time=TIME, content_type="application/json", native=request_
    )
    assert whole(expected) == whole(event(request_))


def test_half_of_a_pair_of_surrogates_stays_readable() -> None:
    sent = legacy("somebody.else", "x/y", {"name": "a ?"})
    sent.body = sent.body.replace(b"?", rb"\ud800")
    made = event(sent)
    assert ({"name": "a \ud800"}, '{"name":"a \\ud800"}') == (made.data, made.text)


def test_a_first_generation_event_may_have_no_time() -> None:
    context = {"eventId": "1", "eventType": PUBLISH, "resource": "projects/p/topics/orders"}
    made = event(posted({"context": context, "data": {}}))
    assert (None, {"message": {"messageId": "1"}}) == (made.time, made.data)


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (posted({"context": {"eventId": "1", "eventType": ""}}), ["no eventType"]),
        (posted({"eventType": "google.x"}), ["no eventId"]),
        (posted({"eventType": "google.x", "eventId": ""}), ["no eventId"]),
        (posted({"eventType": "google.x", "eventId": 1}), ["first-generation", "eventId", "int"]),
        (posted({"eventType": "google.x", "eventId": "1"}), ["resource"]),
        (legacy("google.x", ["x"], None), ["resource"]),
        (legacy("google.x", {"service": "x"}, None), ["resource"]),
        (legacy("google.x", {"service": 1, "name": "x"}, None), ["resource"]),
        (legacy(PUBLISH, "projects/p/topics/orders", "hi"), ["Pub/Sub", "data", "str"]),
        (legacy(REF, "projects/_/instances/i", 1), ["Realtime Database", "domain"]),
        (legacy(REF, "projects/_/instances/i", 1, domain=1), ["Realtime Database", "domain"]),
        (legacy(REF, "projects/_/instances/i", 1, domain=""), ["Realtime Database", "domain"]),
    ],
)  # fmt: skip
def test_an_error_names_what_a_first_generation_event_has_not(request_: Request[Any], words: list[str]) -> None:
    with pytest.raises(DecodeError) as raised:
        event(request_)
    assert [] == unsaid(words, raised.value)


def test_what_is_no_cloudevent_of_an_sdk_is_told_so() -> None:
    native: Any = object()
    with pytest.raises(DecodeError, match="object isn't a CloudEvent"):
        decode_events.sdk_event(native)


def test_data_without_a_json_form_is_told_so() -> None:
    class Known:
        event_id, event_type, timestamp, resource = "1", "somebody.else", AT, "x"

    with pytest.raises(DecodeError, match="data can't be written as JSON"):
        background_event(object(), Known())  # type: ignore[arg-type]  # its fields are the class's


# Requests

LINES = {
    "content-type": "text/plain",
    "content-length": "2",
    "x-forwarded-for": "6.6.6.6, 203.0.113.9",
    "x-forwarded-proto": "https",
    "function-execution-id": "e-1",
    "x-a-b": "Zoë",
}
TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"


def flask(**environ: Any) -> Request[Any]:
    """What is made of the environ, which has but what must be there and what is given."""
    native: Any = FlaskRequest({"REQUEST_METHOD": "PUT", "wsgi.input": BytesIO(), **environ})
    return decode.http(native)


def test_each_field_of_flasks_request_has_its_place() -> None:
    cgi = {f"HTTP_{name.upper().replace('-', '_')}": value.encode().decode("latin-1") for name, value in LINES.items()}
    for name in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        cgi[name] = cgi.pop(f"HTTP_{name}")
    target = {"RAW_URI": "/a%2Fb?x=%C3%A9?y", "PATH_INFO": "/other", "QUERY_STRING": "x=é?y".encode().decode("latin-1")}
    made = flask(**target, **cgi, **{"wsgi.url_scheme": "http"})
    assert ("PUT", "/a%2Fb", "x=%C3%A9?y", LINES, "https", "203.0.113.9", "e-1") == fields(made)
    assert isinstance(made.native, FlaskRequest)


def fields(made: Request[Any]) -> tuple[Any, ...]:
    return made.method, made.raw_path, made.raw_query, dict(made.headers), made.scheme, made.client_ip, made.id


def test_flasks_request_may_have_nothing_but_a_method_and_a_path() -> None:
    made = flask(PATH_INFO="/é a".encode().decode("latin-1"), CONTENT_TYPE="", CONTENT_LENGTH="")
    assert ("PUT", "/%C3%A9%20a", "", {}, "http", None) == fields(made)[:-1]
    assert "https" == flask(PATH_INFO="/", **{"wsgi.url_scheme": "https"}).scheme


def test_each_field_of_starlettes_request_has_its_place() -> None:
    scope = {
        "type": "http",
        "method": "PUT",
        "path": "/other",
        "raw_path": b"/a%2Fb",
        "query_string": "x=é".encode(),
        "headers": [(name.encode(), value.encode()) for name, value in LINES.items()],
        "scheme": "http",
    }
    native: Any = StarletteRequest(scope)
    made = decode.http_async(native)
    assert ("PUT", "/a%2Fb", "x=%C3%A9", LINES, "https", "203.0.113.9", "e-1") == fields(made)
    assert isinstance(made.native, StarletteRequest)
    native = StarletteRequest({**scope, "headers": [], "scheme": "https"})
    assert ("https", None) == fields(decode.http_async(native))[4:6]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (f" {TRACE_ID.upper()}/1; o=1 ", f"00-{TRACE_ID}-0000000000000001-01"),
        (f"{TRACE_ID}/1;o=1;x", f"00-{TRACE_ID}-0000000000000001-00"),
        (f"{TRACE_ID}/1;O=1", f"00-{TRACE_ID}-0000000000000001-00"),
        (f"{TRACE_ID}/;o=1", None),
        (f"{TRACE_ID}/-1;o=1", None),
    ],
)
def test_googles_trace_is_read_leniently_and_not_guessed(value: str, expected: str | None) -> None:
    trace = decode.trace(Headers({"x-cloud-trace-context": value}))
    assert expected == (trace and trace.traceparent)
    assert decode.trace(Headers()) is None


# Answers


def answered(request: Request[Any], kind: Any, result: Any = None) -> Answer:
    """The answer to the request by a function of the kind that returns the result, or raises it."""

    def handler(event: Any) -> Any:
        if isinstance(result, BaseException):
            raise result
        return result

    handler.__annotations__ = {"event": kind}
    made = simulate.sent(entry(portable(handler)), request)
    answer: Answer = made.answer(made.invoke())
    return answer


def read(answer: Answer) -> tuple[int, str, str, Any]:
    headers = answer.headers
    return answer.status, headers.get("content-type", ""), headers.get("retry-after", ""), json.loads(answer.body)


@pytest.mark.parametrize(
    ("raised", "status", "title", "after"),
    [
        (ValueError("secret"), 503, "Service Unavailable", ""),
        (Retry("secret"), 503, "Service Unavailable", ""),
        (Reject("secret"), 503, "Service Unavailable", ""),
        (Retry("secret", after=0), 429, "Too Many Requests", "0"),
        (Retry("secret", after=1.1), 429, "Too Many Requests", "2"),
    ],
)
def test_an_event_that_is_to_come_again_is_answered_so(
    raised: BaseException, status: int, title: str, after: str
) -> None:
    expected = {
        "type": "about:blank",
        "title": title,
        "status": status,
        "detail": "The event must be redelivered; the function's log has the reason under the invocation id.",
        "invocation_id": "request-1",
    }
    answer = answered(push({"messageId": "7"}), Message, raised)
    assert (status, "application/problem+json", after, expected) == read(answer)


def test_a_batch_waits_as_long_as_the_longest_of_its_events() -> None:
    @portable
    def handler(event: CloudEvent) -> None:
        raise Retry(after=event.data)

    values = [
        {"specversion": "1.0", "id": str(after), "source": "s", "type": "t", "data": after}
        for after in (5, 30, None, 7)
    ]
    request = headed({"content-type": "application/cloudevents-batch+json"}, json.dumps(values).encode())
    made = simulate.sent(entry(handler), request)
    answer = made.answer(made.invoke())
    assert (429, "30") == (answer.status, answer.headers["retry-after"])


def test_an_event_that_is_done_is_answered_with_nothing() -> None:
    answer = answered(push({"messageId": "7"}), Message, {"ignored": 1})
    assert (204, b"") == (answer.status, answer.body)


def test_an_event_that_cannot_be_read_is_answered_with_why() -> None:
    status, content_type, _, document = read(answered(push({"messageId": 7}), Message))
    assert (400, "application/problem+json", "request-1") == (status, content_type, document["invocation_id"])
    assert "a Pub/Sub message's messageId must be a string, not int" == document["detail"]


HIDDEN = "The function failed; its log has the reason under the invocation id."


class OutOfStock(Exception):
    """An error with a name of its own."""


@pytest.mark.parametrize(
    ("result", "status", "after", "type", "message"),
    [
        (OutOfStock("no lamps"), 500, "", "InternalServerError", HIDDEN),
        (Retry("busy"), 503, "", "Retry", "busy"),
        (Retry("busy", after=3), 429, "3", "Retry", "busy"),
        (Reject("never"), 422, "", "Reject", "never"),
        (DecodeError("odd"), 400, "", "DecodeError", "odd"),
        (HTTPError(404, "gone"), 404, "", "HTTPError", "gone"),
        (HTTPError(503, headers={"retry-after": "7"}), 503, "7", "HTTPError", "Service Unavailable"),
    ],
)
def test_a_call_that_failed_is_answered_with_the_error(
    result: BaseException, status: int, after: str, type: str, message: str
) -> None:
    answer = answered(fake.request("POST", json={}), Task, result)
    expected: dict[str, Any] = {"error": {"type": type, "message": message}}
    if message is HIDDEN:
        expected["invocation_id"] = "request-1"
    assert (status, "application/json", after, expected) == read(answer)
    # No other answer would come of the same rows, where it isn't for a while.
    status = 400 if status == 422 else status
    answer = answered(fake.request("POST", json={"requestId": "r", "calls": [[1]]}), Task, result)
    message = message.replace("id.", "id request-1.")
    assert (status, "application/json", after, {"errorMessage": f"{type}: {message}"}) == read(answer)


def test_a_call_that_cannot_be_read_is_answered_with_why() -> None:
    answer = answered(fake.request("POST", body=b"{", headers={"content-type": "application/json"}), Task)
    status, content_type, _, document = read(answer)
    assert (400, "application/json", "DecodeError") == (status, content_type, document["error"]["type"])
    assert "the input of task '' isn't JSON" in document["error"]["message"]
    answer = answered(posted({"requestId": "", "calls": []}), Task)
    status, content_type, _, document = read(answer)
    assert (400, "application/json") == (status, content_type)
    assert "DecodeError: a BigQuery remote function's requestId" in document["errorMessage"]


def test_a_responses_lines_are_as_the_handler_gave_them() -> None:
    response = Response(
        201, [("x-a", "1"), ("x-a", "Zoë"), ("transfer-encoding", "chunked"), ("content-length", "2")], (), b"hi"
    )
    made = encode.http(response, None)
    lines = [("x-a", "1"), ("x-a", "Zoë".encode().decode("latin-1")), ("content-length", "2")]
    assert (201, lines, b"hi") == (made.status_code, list(made.headers), made.get_data())
    made = encode.http(Response(200, body=[b"as the handler made it"]), iter([b"a", b"b"]))
    assert ([], [b"a", b"b"]) == (list(made.headers), list(made.iter_encoded()))
