"""Test the fields of first-generation events."""

from __future__ import annotations

import json
from typing import Any

import pytest

from portable_fn import (
    CloudEvent,
    DecodeError,
    Request,
)
from portable_fn_gcp.events import decode as decode_events
from portable_fn_gcp.events import messages
from portable_fn_gcp.events.legacy import background_event
from tests.gcp.payloads import (
    AT,
    DATABASE,
    LATER,
    STORED,
    TIME,
    TOPIC,
    WRITTEN,
    missing_words,
    posted,
    whole,
)
from tests.gcp.test_corpus import event


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
        # A generation after the key doesn't belong to it; any other "#" does.
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
        # An unknown type is kept.
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


def test_an_unpaired_surrogate_stays_readable() -> None:
    sent = legacy("somebody.else", "x/y", {"name": "a ?"})
    sent.body = sent.body.replace(b"?", rb"\ud800")
    decoded = event(sent)
    assert ({"name": "a \ud800"}, '{"name":"a \\ud800"}') == (decoded.data, decoded.text)


def test_a_first_generation_event_may_have_no_time() -> None:
    context = {"eventId": "1", "eventType": PUBLISH, "resource": "projects/p/topics/orders"}
    decoded = event(posted({"context": context, "data": {}}))
    assert (None, {"message": {"messageId": "1"}}) == (decoded.time, decoded.data)


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
def test_an_error_names_the_missing_member_of_a_first_generation_event(
    request_: Request[Any], words: list[str]
) -> None:
    with pytest.raises(DecodeError) as raised:
        event(request_)
    assert [] == missing_words(words, raised.value)


def test_an_object_that_is_not_a_cloudevent_of_the_sdk_is_refused() -> None:
    native: Any = object()
    with pytest.raises(DecodeError, match="object isn't a CloudEvent"):
        decode_events.sdk_event(native)


def test_data_that_json_cannot_encode_is_refused() -> None:
    class Known:
        event_id, event_type, timestamp, resource = "1", "somebody.else", AT, "x"

    with pytest.raises(DecodeError, match="data can't be written as JSON"):
        background_event(object(), Known())  # type: ignore[arg-type]  # its fields are the class's
