"""Test which field of a payload becomes which field of an event, and what errors name."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from portable_fn import (
    ChangeEvent,
    DecodeError,
    Message,
    ObjectEvent,
    Request,
)
from portable_fn.testing import fake
from portable_fn_gcp import simulate
from portable_fn_gcp.events import changes, messages
from portable_fn_gcp.events import decode as decode_events
from tests.gcp.payloads import (
    AT,
    BUCKET,
    DATABASE,
    DUE,
    LATER,
    LATER_TIME,
    QUEUE,
    STORED,
    SUBSCRIPTION,
    TIME,
    TOPIC,
    WRITTEN,
    base64,
    eventarc,
    headed,
    missing_words,
    push,
    task,
    unwrapped,
    whole,
)
from tests.gcp.test_corpus import event

# Messages


def message(id: str = "7", source: str = SUBSCRIPTION, body: bytes = b"", **more: Any) -> Message[Any]:
    return Message(id, source, body, channel=source.rpartition("/")[2], **more)


# Headers that Google and others add on the way to the function.
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
        # Fields that the message lacks are the event's.
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
        # Digits after microseconds are cut off.
        ("1767323045.1234567", datetime(2026, 1, 2, 3, 4, 5, 123_456, UTC)),
        ("253402300799.999999", datetime(9999, 12, 31, 23, 59, 59, 999_999, UTC)),
        *((broken, None) for broken in ("253402300800", "9" * 5000, "-1", ".5", "1e3", "1.x", "x.1", "1.2.3", "٣", "1.٣")),
    ],
)  # fmt: skip
def test_a_cloud_task_is_due_in_seconds_up_to_the_year_9999(seconds: str, expected: datetime | None) -> None:
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
        # The resource takes precedence over the event's subject.
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


def test_the_bucket_in_the_data_takes_precedence_over_the_source() -> None:
    [inner] = decode_events.unwrap(event(eventarc("google.cloud.storage.object.v1.deleted", "//x/y/other", RESOURCE)))
    assert ("//x/y/other", "uploads") == (inner.source, getattr(inner, "bucket", None))


NOTICE = {"bucketId": "uploads", "objectId": "a b/é.png", "objectGeneration": "1587627537231057", "eventTime": LATER}


def notice(type: str, resource: object = None, **attributes: str) -> Request[Any]:
    body = b"" if resource is None else json.dumps(resource).encode()
    sent = {**NOTICE, "eventType": type, "payloadFormat": "JSON_API_V1", **attributes}
    return push({"messageId": "7", "publishTime": AT, "data": base64(body), "attributes": sent})


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
        # The resource's generation takes precedence over the attribute.
        (notice("OBJECT_DELETE", {"generation": 5, "metageneration": 3}), f"{GENERATION}/3/OBJECT_DELETE", "deleted", {"version": "5", "notification": {"generation": 5, "metageneration": 3}}),
        # With payloadFormat NONE the message's id replaces the metageneration.
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
    [inner] = decode_events.unwrap(event(eventarc("google.cloud.storage.object.v1.deleted", BUCKET, {"name": "a", "size": size})))  # fmt: skip
    assert (None if size is None else int(size)) == getattr(inner, "size", -1)


# Changes

DOCUMENT = "projects/p/databases/(default)/documents/users/ada/orders/o-1"


def document(n: int, **more: object) -> dict[str, Any]:
    return {"name": DOCUMENT, "fields": {"n": {"integerValue": str(n)}}, **more}


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
        # If the document has no name, the event's subject has the path.
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
    [inner] = decode_events.unwrap(event(eventarc("google.cloud.firestore.document.v1.created", DATABASE, data)))
    assert isinstance(inner, ChangeEvent)
    assert (table, {"id": id}) == (inner.table, inner.key)


# Unreadable events


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
def test_an_error_names_the_bad_value(request_: Request[Any], words: list[str]) -> None:
    with pytest.raises(DecodeError) as raised:
        decode_events.unwrap(event(request_))
    assert [] == missing_words(words, raised.value)


def test_the_content_type_identifies_a_protobuf_document() -> None:
    [request] = simulate.payloads([fake.change("users", after={"id": "1", "n": 1})], "firestore")
    assert "application/protobuf" == request.headers["content-type"]
    headers = dict(request.headers)
    bodies = {"application/protobuf; charset=x": request.body, "application/json": b'{"value": ' + json.dumps(NEW).encode() + b"}"}  # fmt: skip
    inner = [
        decode_events.unwrap(event(fake.request("POST", headers={**headers, "content-type": type}, body=body)))[0]
        for type, body in bodies.items()
    ]
    assert ["users", "users/ada/orders"] == [getattr(one, "table", None) for one in inner]
    assert changes.PREFIX == inner[0].type[: len(changes.PREFIX)]
