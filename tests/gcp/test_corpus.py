"""Test how requests of Google's emulators and its conformance suite are decoded."""

from __future__ import annotations

import json
from base64 import b64decode
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from portable_fn import ChangeEvent, CloudEvent, DecodeError, Event, Message, ObjectEvent, Request, portable
from portable_fn.adapter.cloudevents import parse_time, structured, write_structured
from portable_fn.testing import fake
from portable_fn_gcp import entry
from portable_fn_gcp.events import decode as decode_events
from portable_fn_gcp.events.firestore import GeoPoint, Reference
from tests.gcp.helpers import answer_of

PAYLOADS = Path(__file__).parents[1] / "payloads"
CAPTURED = PAYLOADS / "gcp-captured"
CONFORMANCE = PAYLOADS / "gcp-functions-conformance"


def captured(name: str) -> list[Request[Any]]:
    """Return recorded requests; the recorder wrote bodies as Latin-1."""
    requests = []
    for line in (CAPTURED / f"{name}.jsonl").read_text("utf-8").splitlines():
        one = json.loads(line)
        body = b64decode(one["b64"]) if "b64" in one else one["b"].encode("latin-1")
        requests.append(fake.request(one["m"], one["path"], headers=one["h"], body=body, host="function"))
    return requests


def event(request: Request[Any]) -> Any:
    """Return the event of a request, or raise the DecodeError that says why it is unreadable."""
    incoming = decode_events.incoming_events(request)
    assert incoming is not None, "the request isn't an event"
    [item] = incoming.items
    if isinstance(item, DecodeError):
        raise item
    return item


def innermost(item: Event[Any]) -> Event[Any]:
    inside = decode_events.unwrap(item)
    return innermost(inside[0]) if inside else item


SECONDS = {"1": "14.499", "2": "14.525", "3": "14.546"}
BODIES = {"1": b"hello \xff", "2": b'{"j":1}', "3": b""}
ATTRIBUTES: dict[str, dict[str, str]] = {
    "1": {"a": "b", "googclient_x": "1"},
    "2": {"ce-type": "x"},
    "3": {"only": "attr"},
}
PUSHES = captured("pubsub-push")
# Without `writeMetadata` a push looks like any other request.
BARE = (28, 29, 30)
UNWRAPPED = {31: "2", 32: "1", 33: "3"}


@pytest.mark.parametrize("index", [index for index in range(70) if index not in (*BARE, *UNWRAPPED)])
def test_a_wrapped_push_of_the_emulator_is_a_message(index: int) -> None:
    request = PUSHES[index]
    sent = json.loads(request.body)
    id, subscription = sent["message"]["messageId"], sent["subscription"]
    expected = Message(
        id,
        subscription,
        BODIES[id],
        channel=subscription.removeprefix("projects/my-proj/subscriptions/"),
        time=parse_time(f"2026-11-24T10:02:{SECONDS[id]}Z"),
        attributes=ATTRIBUTES[id],
    )
    assert expected == event(request)
    assert {"sub-"} == {event(request).channel[:4]}


@pytest.mark.parametrize(("index", "id"), UNWRAPPED.items())
def test_an_unwrapped_push_of_the_emulator_is_a_message(index: int, id: str) -> None:
    expected = Message(
        id,
        "projects/my-proj/subscriptions/sub-nwm",
        # The emulator damages bytes other than UTF-8.
        BODIES[id].decode("utf-8", "replace").encode(),
        channel="sub-nwm",
        time=parse_time(f"2026-11-24T10:02:{SECONDS[id]}Z"),
        attributes=ATTRIBUTES[id],
        key="k1" if id == "2" else None,
    )
    assert expected == event(PUSHES[index])


@pytest.mark.parametrize("index", BARE)
def test_a_push_without_wrapper_and_metadata_is_never_acknowledged(
    index: int, caplog: pytest.LogCaptureFixture
) -> None:
    @portable
    def handler(message: Message) -> None:
        raise AssertionError("the request isn't a message")

    assert ("", 400) == (decode_events.source(PUSHES[index])[0], answer_of(entry(handler), PUSHES[index]).status)
    assert "isn't an event; known are a Pub/Sub push (unwrapped only with its metadata written)" in caplog.text


def test_tasks_of_the_emulator_are_messages_with_attempts() -> None:
    queue = "projects/my-proj/locations/us-central1/queues/q1"
    ids = ["1795514555574608", "1795514555575776", "1795514555575776", "1795514555575776"]
    expected = [
        Message(
            f"{queue}/{id}",
            queue,
            b'{"a":1}',
            channel="q1",
            content_type="application/json",
            attributes={"x-my": "1"},
            attempt=attempt,
        )
        for id, attempt in zip(ids, [1, 1, 2, 3], strict=True)
    ]
    assert expected == [event(request) for request in captured("cloud-tasks")]


FIRST, SECOND = "1795514551237462", "1795514551241838"


@pytest.mark.parametrize(
    ("index", "message_id", "type", "action", "generation", "size"),
    [
        (0, "7", "OBJECT_FINALIZE", "created", FIRST, 5),
        (1, "8", "OBJECT_METADATA_UPDATE", "changed", FIRST, 5),
        # It was overwritten, so the key still has an object.
        (2, "9", "OBJECT_DELETE", "changed", FIRST, 5),
        (3, "11", "OBJECT_DELETE", "deleted", SECOND, 0),
        (4, "10", "OBJECT_FINALIZE", "created", SECOND, 6),
    ],
)
def test_a_push_of_a_cloud_storage_notification_holds_an_object_event(
    index: int, message_id: str, type: str, action: str, generation: str, size: int
) -> None:
    message = event(captured("gcs-notifications-via-pubsub")[index])
    assert isinstance(message, Message)
    [inner] = decode_events.unwrap(message)
    expected = ObjectEvent(
        f"bkt/dir/é.txt/{generation}/{message_id}/{type}",
        "//storage.googleapis.com/projects/_/buckets/bkt",
        "bkt",
        "dir/é.txt",
        action,
        time=datetime(2026, 11, 24, 10, 2, 31, tzinfo=UTC),
        size=size,
        version=generation,
        content_type="text/plain",
    )
    assert (expected, message_id) == (inner, message.id)
    assert isinstance(inner, ObjectEvent)
    assert ((message,), type, {"k": "v" if index == 0 else "w"}) == (inner.envelopes, inner.type, inner.metadata)


def ada(i: int) -> dict[str, Any]:
    """Return the written document."""
    return {
        "l": [1, "a"],
        "n": None,
        "t": datetime(2024, 1, 2, 3, 4, 5, 600_000, UTC),
        "m": {"k": [{"z": 1}]},
        "b": True,
        "by": b"\x00\xff",
        "i": i,
        "s": "é",
        "ref": Reference("projects/my-proj/databases/(default)/documents/users/ab"),
        "f": 1.5,
        "g": GeoPoint(1.0, 2.0),
    }


LEGACY, CREATED, WRITTEN, UPDATED, DELETED = "", "created", "written", "updated", "deleted"


@pytest.mark.parametrize(
    ("index", "word", "action", "before", "after", "id"),
    [
        (0, LEGACY, "inserted", None, 1, "8cb6aa77-96a3-4779-95a7-028a3822b6ad"),
        (1, CREATED, "inserted", None, 1, "d6fc3eb5-3080-4034-a9fc-42fdc6bcc340"),
        (2, WRITTEN, "inserted", None, 1, "9c2bffc7-9ca5-4ae3-b7cf-f2e5b5d5a0e3"),
        (3, LEGACY, "updated", 1, 2, "4fdd931e-6229-42e2-b978-c747e1cada48"),
        (4, UPDATED, "updated", 1, 2, "e74773f0-0561-4c78-b3be-7a01ad1e15c9"),
        (5, WRITTEN, "updated", 1, 2, "eb8aac31-8ed8-4536-b393-55fa9ba17969"),
        (6, LEGACY, "removed", 2, None, "61395057-2b91-49d9-97d3-5d0f1235009a"),
        (7, DELETED, "removed", 2, None, "3d82aadb-d449-46d8-9aca-e69aaef298c1"),
        (8, WRITTEN, "removed", 2, None, "3a709695-9f60-4958-882c-be332aaee408"),
    ],
)
def test_an_event_of_the_firestore_emulator_is_a_change(
    index: int, word: str, action: str, before: int | None, after: int | None, id: str
) -> None:
    outer = event(captured("firestore-triggers")[index])
    [inner] = decode_events.unwrap(outer)
    expected = ChangeEvent(
        id,
        "//firestore.googleapis.com/projects/my-proj/databases/(default)",
        "users",
        action,
        key={"id": "ab"},
        before=None if before is None else ada(before),
        after=None if after is None else ada(after),
        time=outer.time,
        sequence={None: None, 1: "2026-11-24T10:02:27.848545Z", 2: "2026-11-24T10:02:27.975820Z"}[after],
    )
    assert expected == inner
    assert f"google.cloud.firestore.document.v1.{word or WRITTEN}" == inner.type
    assert ((outer,), 24) == (inner.envelopes, outer.time.day)


CASES = sorted(path.name.removesuffix("-legacy-input.json") for path in CONFORMANCE.glob("*-legacy-input.json"))


def case(name: str) -> Any:
    return json.loads((CONFORMANCE / f"{name}.json").read_text("utf-8"))


def from_legacy(name: str) -> CloudEvent[Any]:
    decoded: CloudEvent[Any] = event(fake.request("POST", json=case(f"{name}-legacy-input")))
    return decoded


def from_structured(name: str) -> CloudEvent[Any]:
    headers = {"content-type": "application/cloudevents+json; charset=utf-8"}
    decoded: CloudEvent[Any] = event(fake.request("POST", json=case(f"{name}-cloudevent-input"), headers=headers))
    return decoded


def from_binary(name: str) -> CloudEvent[Any]:
    value = case(f"{name}-cloudevent-input")
    data, content_type = value.pop("data"), value.pop("datacontenttype")
    headers = {"content-type": content_type, **{f"ce-{key}": one for key, one in value.items()}}
    decoded: CloudEvent[Any] = event(fake.request("POST", json=data, headers=headers))
    return decoded


def test_the_conformance_suite_has_all_its_cases() -> None:
    assert 17 == len(CASES)


@pytest.mark.parametrize("name", CASES)
def test_a_first_generation_event_becomes_the_cloudevent_that_the_conformance_suite_expects(name: str) -> None:
    expected = case(f"{name}-cloudevent-output")
    assert {**expected, "time": "2020-09-29T11:32:00.123000Z"} == write_structured(from_legacy(name))


@pytest.mark.parametrize("name", CASES)
def test_binary_structured_and_first_generation_events_are_equal(name: str) -> None:
    assert structured(case(f"{name}-cloudevent-input")) == from_structured(name)
    assert from_structured(name).data == from_binary(name).data
    inner = innermost(from_structured(name))
    if type(inner) is not CloudEvent:
        assert [inner, inner] == [innermost(from_binary(name)), innermost(from_legacy(name))]


@pytest.mark.parametrize("name", [name for name in CASES if name.startswith("firebase")])
def test_firebase_events_stay_cloudevents(name: str) -> None:
    inner = from_legacy(name)
    subject = "users/UUpby3s4spZre6kHsgVSPetzQ8l2" if name == "firebase-auth" else "refs/gcf-test/xyz"
    assert (CloudEvent, subject, []) == (type(inner), inner.subject, decode_events.unwrap(inner))


SAMPLE = "//pubsub.googleapis.com/projects/sample-project/topics/gcf-test"
AT = datetime(2020, 9, 29, 11, 32, 0, 123_000, UTC)
ID = "aaaaaa-1111-bbbb-2222-cccccccccccc"
FIELDS: dict[str, Event[Any]] = {
    "pubsub_text": Message(
        ID, SAMPLE, b"test message 3", channel="gcf-test", time=AT, attributes={"attr1": "attr1-value"}
    ),
    "pubsub_binary": Message(ID, SAMPLE, b"\x01\x02\x03\x04", channel="gcf-test", time=AT),
    "legacy_pubsub": Message(
        ID, SAMPLE, b"This is a sample message", channel="gcf-test", time=AT, attributes={"attribute1": "value1"}
    ),
    "storage": ObjectEvent(
        ID,
        "//storage.googleapis.com/projects/_/buckets/some-bucket",
        "some-bucket",
        "folder/Test.cs",
        "created",
        time=AT,
        size=352,
        etag="CNHZkbuF/ugCEAE=",
        version="1587627537231057",
        content_type="text/plain",
    ),
    "firestore_simple": ChangeEvent(
        ID,
        "//firestore.googleapis.com/projects/project-id/databases/(default)",
        "gcf-test",
        "updated",
        key={"id": "2Vm2mI1d0wIaK2Waj5to"},
        before={"another test": "asd", "count": 3, "foo": "bar"},
        after={"another test": "asd", "count": 4, "foo": "bar"},
        time=AT,
        sequence="2020-04-23T12:00:27.247187Z",
    ),
    "firestore_complex": ChangeEvent(
        ID,
        "//firestore.googleapis.com/projects/project-id/databases/(default)",
        "gcf-test",
        "inserted",
        key={"id": "IH75dRdeYJKd4uuQiqch"},
        after={
            "arrayValue": [1, 2],
            "booleanValue": True,
            "doubleValue": 5.5,
            "geoPointValue": GeoPoint(51.4543, -0.9781),
            "intValue": 50,
            "mapValue": {"field1": "x", "field2": ["x", 1]},
            "nullValue": None,
            "referenceValue": Reference("projects/project-id/databases/(default)/documents/foo/bar/baz/qux"),
            "stringValue": "text",
            "timestampValue": datetime(2020, 4, 23, 14, 23, 53, 241_000, UTC),
        },
        time=AT,
        sequence="2020-04-23T14:25:05.349632Z",
    ),
}


@pytest.mark.parametrize("name", [name for name in CASES if not name.startswith("firebase")])
def test_each_case_of_the_conformance_suite_has_its_fields(name: str) -> None:
    assert FIELDS[name] == innermost(from_legacy(name))
