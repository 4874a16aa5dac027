"""An unreadable field doesn't cost the whole event, unless its identity or order depends on it."""

from __future__ import annotations

import json
from base64 import b64encode
from datetime import UTC, datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest

import portable_fn_gcp
from portable_fn import (
    ChangeEvent,
    CloudEvent,
    DecodeError,
    Message,
    ObjectEvent,
    Reject,
    ScheduleEvent,
    on,
    portable,
)
from portable_fn.adapter import cloudevents
from portable_fn.errors import ConfigurationError, PortableError
from portable_fn.pairs import Headers
from portable_fn.testing import fake
from portable_fn_asgi.decode import ScopeRequest
from portable_fn_asgi.events import dapr
from portable_fn_azure.events import changes as azure_changes
from portable_fn_azure.events import event_grid as azure_grid
from portable_fn_azure.events import messages as azure_messages
from portable_fn_azure.events import objects as azure_objects
from portable_fn_azure.events import tasks
from portable_fn_cloudflare.events import decode as worker_events
from portable_fn_cloudflare.simulate.javascript import FFI
from portable_fn_gcp import decode as google_decode
from portable_fn_gcp import simulate as google
from portable_fn_gcp.drivers import api
from portable_fn_gcp.drivers import topic as pubsub
from portable_fn_gcp.events import decode as google_events
from portable_fn_gcp.events import firestore


def named(one: object) -> str:
    """Return a test's name for the value, which is the same in every process."""
    return type(one).__name__ if isinstance(one, Mock) or type(one) is object else ascii(one)[:40]


# --- CloudEvents -------------------------------------------------------------------------------------------------------


def named(odd: object) -> str:
    """Return a name for a test that is the same in every process."""
    return repr(odd).partition(" id=")[0].partition(" at 0x")[0][:40]


EVENT: dict[str, Any] = {"specversion": "1.0", "id": "1", "source": "/s", "type": "t"}
HEADERS = {f"ce-{name}": value for name, value in EVENT.items()}


def in_each_form(members: dict[str, Any]) -> list[CloudEvent[Any]]:
    """Return the event with the members, alone, in a batch and in a message."""
    value = {**EVENT, **members}
    body = json.dumps(value).encode()
    batch = cloudevents.batched(json.dumps([value]).encode())
    result: list[Any] = [cloudevents.structured_body(body), *batch, *cloudevents.inside(fake.message(body=body))]
    return result


@pytest.mark.parametrize(
    ("members", "extensions"),
    [
        ({"tenantId": "t1"}, {"tenantid": "t1"}),  # as a header has it
        ({"tenantId": "t1", "tenantid": "t2"}, {"tenantid": "t2"}),
        ({"fc-code-checksum": "9"}, {}),
        ({"event_source": "x"}, {}),
        ({"": "x", " ": "x", "é": "x", "\u212a": "x"}, {}),
        ({"a" * 300: "x"}, {"a" * 300: "x"}),
        ({"ID": "2", "Source": "/other", "Type": "u", "DATA": "x", "Data_Base64": "AA=="}, {}),
        ({"x": 1.5, "y": {"z": 1}, "list": []}, {}),
        ({"x": "\ud800"}, {}),
    ],
)
def test_an_extension_of_a_wrong_name_or_value_is_left_out(members: dict[str, Any], extensions: dict[str, str]) -> None:
    for event in in_each_form(members):
        assert ("1", "/s", "t", extensions, b"") == (event.id, event.source, event.type, event.extensions, event.body)


@pytest.mark.parametrize(
    "time", ["yesterday", "", 5, -1.5, True, [], {}, "0001-01-01T00:00:00+14:00", "\ud800", "9" * 400]
)
def test_a_malformed_time_is_absent(time: object) -> None:
    for event in in_each_form({"time": time}):
        assert ("1", None) == (event.id, event.time)


@pytest.mark.parametrize("value", [1.5, [], {}, "\ud800"])
def test_an_attribute_that_is_not_text_is_absent(value: object) -> None:
    for event in in_each_form({"subject": value, "dataschema": value, "datacontenttype": value, "data": {"a": 1}}):
        assert ("1", "", "", "", {"a": 1}) == (event.id, event.subject, event.schema, event.content_type, event.data)


def test_a_content_type_that_is_a_number_is_absent() -> None:
    assert {"a": 1} == cloudevents.structured({**EVENT, "datacontenttype": 5, "data": {"a": 1}}).data


@pytest.mark.parametrize("version", ["1.0", 1.0, "0.3", 0.3])
def test_a_version_may_be_a_number(version: object) -> None:
    assert "1" == cloudevents.structured({**EVENT, "specversion": version}).id


@pytest.mark.parametrize("name", ["id", "source", "type", "partitionkey"])
@pytest.mark.parametrize("value", [1.5, [], {}, "\ud800"])
def test_an_event_whose_identity_or_order_cannot_be_read_is_refused(name: str, value: object) -> None:
    with pytest.raises(DecodeError, match=f"attribute '{name}'"):
        cloudevents.structured({**EVENT, name: value})


@pytest.mark.parametrize("name", ["id", "source", "type", "partitionkey"])
def test_an_id_that_is_not_text_is_not_repaired_into_another_one(name: str) -> None:
    with pytest.raises(DecodeError, match=f"{name} is percent-encoded, but not as UTF-8"):
        cloudevents.binary({**HEADERS, f"ce-{name}": "a%FF"}, b"")
    with pytest.raises(DecodeError, match=f"'{name}' is not UTF-8"):
        cloudevents.inside(
            fake.message(attributes={f"ce_{key[3:]}": v for key, v in HEADERS.items()} | {f"ce_{name}": b"\xff"})
        )
    event = cloudevents.binary({**HEADERS, f"ce-{name}": "%EF%BF%BD"}, b"")
    assert "\ufffd" == (event.extensions.get(name) or getattr(event, name))


def test_a_header_that_comes_twice_is_one_if_both_say_the_same() -> None:
    lines = list(HEADERS.items())
    assert "1" == cloudevents.binary(Headers([*lines, ("ce-id", "1")]), b"").id
    with pytest.raises(DecodeError, match="id has 2 different values"):
        cloudevents.binary(Headers([*lines, ("ce-id", "2")]), b"")
    assert {"x": "a, b"} == cloudevents.binary(Headers([*lines, ("ce-x", "a"), ("ce-x", "b")]), b"").extensions


def test_headers_of_side_data_may_say_anything() -> None:
    odd = {
        "ce-time": "yesterday",
        "ce-fc-code-checksum": "9",
        "ce-event_source": "x",
        "ce-": "x",
        "ce-data": "x",
        "ce-x": "%FF",
    }
    event = cloudevents.binary({**HEADERS, **odd}, b"{}")
    assert ("1", None, {"x": "\ufffd"}, {}) == (event.id, event.time, event.extensions, event.data)


def test_attributes_of_a_message_may_say_anything() -> None:
    attributes: dict[str, Any] = {f"ce_{name[3:]}": value.encode() for name, value in HEADERS.items()}
    odd: dict[str, Any] = {
        "ce_time": b"\xff",
        "ce_x": b"\xff",
        "ce_trace": None,
        "ce_a-b": b"1",
        "ce_tenantId": b"t1",
        "ce_ID": b"2",
        "content-type": b"\xff",
    }
    (event,) = cloudevents.inside(Message("m-1", "orders", b"{}", attributes={**attributes, **odd}))
    assert isinstance(event, CloudEvent)
    assert ("1", None, {"tenantid": "t1"}, "") == (event.id, event.time, event.extensions, event.content_type)


def test_a_time_that_can_be_read_is_there() -> None:
    assert datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC) == cloudevents.read_time("2026-01-02T03:04:05Z")
    assert None is cloudevents.read_time(None)


@pytest.mark.parametrize(
    "name", ["ce-id", "ce-source", "ce-type", "ce-partitionkey", "ce-tenant", "ce-subject", "x-other"]
)
@pytest.mark.parametrize("value", [b"\xff", b"a\xe9", b"%41\xff", b'"\xff"'])
def test_a_header_that_is_not_utf_8_cannot_be_an_id(name: str, value: bytes) -> None:
    known = {**{header.encode(): text.encode() for header, text in HEADERS.items()}, name.encode(): value}
    environ = {
        f"HTTP_{header.decode().upper().replace('-', '_')}": text.decode("latin-1") for header, text in known.items()
    }
    flask: Any = SimpleNamespace(environ={"REQUEST_METHOD": "POST", "PATH_INFO": "/", **environ})
    starlette: Any = SimpleNamespace(scope={"method": "POST", "path": "/", "headers": list(known.items())})
    made = (google_decode.http(flask), google_decode.http_async(starlette), ScopeRequest(starlette.scope))
    for request in made:
        if name in ("ce-tenant", "ce-subject", "x-other"):
            event = cloudevents.binary(request.headers, b"")
            assert ("1", "/s", "t") == (event.id, event.source, event.type)
            assert "".join((event.subject, *event.extensions.values())).encode().strip(b"A\xef\xbf\xbd") == b""
        else:
            with pytest.raises(DecodeError, match=name[3:]):
                cloudevents.binary(request.headers, b"")


# --- Google ------------------------------------------------------------------------------------------------------------

ODD: list[Any] = [None, -1, True, 1.5, "", "x", "٣", "9" * 400, [], {}, [1], {"a": 1}]
BUCKET = "//storage.googleapis.com/projects/_/buckets/uploads"
DATABASE = "//firestore.googleapis.com/projects/p/databases/(default)"
OBJECT = {"bucket": "uploads", "name": "a.png", "size": "5", "etag": "e", "generation": "7", "contentType": "image/png"}
NOTICE = {"eventType": "OBJECT_FINALIZE", "bucketId": "uploads", "objectId": "a.png", "objectGeneration": "7"}
DOCUMENT = {"name": "projects/p/databases/(default)/documents/users/ada", "fields": {"n": {"integerValue": "1"}}}


def google_event(request: Any) -> Any:
    """Return the event of the request, or the event inside it."""
    (event,) = google_events.incoming_events(request).items
    if isinstance(event, DecodeError):
        raise event
    return (google_events.unwrap(event) or [event])[0]


def push(message: dict[str, Any], **more: Any) -> Any:
    value = {"subscription": "projects/p/subscriptions/orders", "message": {"messageId": "7", **message}, **more}
    return fake.request("POST", json=value)


def raw(value: Any) -> Any:
    """Return a request whose JSON may contain what UTF-8 can't have."""
    return fake.request("POST", headers={"content-type": "application/json"}, body=json.dumps(value).encode())


def of_google(data: Any, type: str, source: str, **attributes: str) -> Any:
    known = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": source, "ce-type": type, **attributes}
    return fake.request("POST", json=data, headers=known)


@pytest.mark.parametrize("odd", ODD, ids=named)
def test_side_data_of_pubsub_may_be_anything(odd: Any) -> None:
    event = google_event(push({"attributes": odd, "publishTime": odd, "data": "aGk="}, deliveryAttempt=odd))
    assert ("7", "orders", b"hi", None, None) == (event.id, event.channel, event.body, event.time, event.attempt)
    event = google_event(push({"attributes": {"tenant": "t1", "odd": odd, "content-type": odd}}))
    expected = {"tenant": "t1", "odd": odd} if isinstance(odd, str) else {"tenant": "t1"}
    assert ("7", expected) == (event.id, event.attributes)


@pytest.mark.parametrize("odd", ["", "x", "noon", "-1", "٣", "9" * 400, "a, b"])
def test_headers_of_google_that_are_side_data_may_say_anything(odd: str) -> None:
    unwrapped = {"x-goog-pubsub-message-id": "7", "x-goog-pubsub-subscription-name": "projects/p/subscriptions/s"}
    event = google_event(fake.request("POST", headers={**unwrapped, "x-goog-pubsub-publish-time": odd}))
    assert ("7", "s", None) == (event.id, event.channel, event.time)
    queue = {"x-cloudtasks-queuename": "q", "x-cloudtasks-taskname": "t"}
    more = {"x-cloudtasks-taskretrycount": odd, "x-cloudtasks-tasketa": odd}
    event = google_event(fake.request("POST", headers={**queue, **more}))
    assert ("q/t", None, None) == (event.id, event.attempt, event.time)
    if odd:
        job = {"x-cloudscheduler": "true", "x-cloudscheduler-jobname": "j", "x-cloudscheduler-scheduletime": odd}
        event = google_event(fake.request("POST", headers=job))
        assert isinstance(event, ScheduleEvent)
        assert (f"j/{odd}", "j", None, False) == (event.id, event.name, event.time, event.is_late)


@pytest.mark.parametrize("odd", ODD, ids=named)
def test_side_data_of_an_object_may_be_anything(odd: Any) -> None:
    side = dict.fromkeys(("size", "etag", "generation", "contentType", "metadata", "timeCreated"), odd)
    event = google_event(of_google({**OBJECT, **side}, "google.cloud.storage.object.v1.finalized", BUCKET))
    assert isinstance(event, ObjectEvent)
    assert ("1", "uploads", "a.png", "created", {}) == (event.id, event.bucket, event.key, event.action, event.metadata)
    assert event.size is None
    assert all(isinstance(one, str | None) for one in (event.etag, event.version, event.content_type))
    assert event.data == {**OBJECT, **side}
    body = b64encode(json.dumps({**side, "metageneration": "1"}).encode()).decode()
    event = google_event(push({"attributes": {**NOTICE, "eventTime": odd}, "data": body}))
    assert ("uploads/a.png/7/1/OBJECT_FINALIZE", "uploads", "a.png", None) == (
        event.id,
        event.bucket,
        event.key,
        event.time,
    )


def test_a_size_is_a_number_or_a_text() -> None:
    for size in (5, "5"):
        event = google_event(of_google({**OBJECT, "size": size}, "google.cloud.storage.object.v1.finalized", BUCKET))
        assert (5, {"k": "v"}) == (event.size, {**event.metadata, "k": "v"})
    odd = {**OBJECT, "metadata": {"k": "v", "n": 1}}
    assert {"k": "v"} == google_event(of_google(odd, "google.cloud.storage.object.v1.finalized", BUCKET)).metadata


@pytest.mark.parametrize("odd", ODD, ids=named)
def test_side_data_of_a_document_may_be_anything(odd: Any) -> None:
    for mask in (odd, {"fieldPaths": odd}, {"fieldPaths": ["n", odd]}):
        data = {"value": {**DOCUMENT, "createTime": odd}, "updateMask": mask}
        event = google_event(of_google(data, "google.cloud.firestore.document.v1.written", DATABASE))
        assert isinstance(event, ChangeEvent)
        assert ("1", "users", {"id": "ada"}, {"n": 1}) == (event.id, event.table, event.key, event.after)


def test_a_protobuf_document_with_a_malformed_creation_time_arrives() -> None:
    name = b"projects/p/databases/d/documents/users/ada"
    nanos_beyond_a_second = b"\x10\xff\xff\xff\xff\x0f"
    document = b"\x0a" + bytes([len(name)]) + name + b"\x1a\x06" + nanos_beyond_a_second
    mask = b"\x1a\x03\x0a\x01\xff"  # a path that isn't UTF-8
    event = firestore.document_event(b"\x0a" + bytes([len(document)]) + document + mask)
    assert event.value is not None
    assert (name.decode(), None, []) == (event.value.name, event.value.create_time, event.update_mask)
    with pytest.raises(DecodeError, match="outside of a second"):
        # The time of the write orders the changes.
        firestore.document_event(b"\x0a" + bytes([len(document)]) + document.replace(b"\x1a\x06", b"\x22\x06"))


@pytest.mark.parametrize("odd", [None, 1, 1.5, [], {}, "noon", "9" * 400])
def test_a_first_generation_event_arrives_without_a_time_that_can_be_read(odd: Any) -> None:
    context = {"eventId": "1", "eventType": "somebody.else", "timestamp": odd, "resource": "x/y"}
    event = google_event(fake.request("POST", json={"context": context, "data": 5}))
    assert ("1", "somebody.else", None, 5) == (event.id, event.type, event.time, event.data)


@pytest.mark.parametrize(
    "request_",
    [
        push({"messageId": 7}),
        push({"messageId": ""}),
        raw({"subscription": "projects/p/subscriptions/s", "message": {"messageId": "\ud800"}}),
        raw({"subscription": "projects/p/subscriptions/s", "message": {"messageId": "7", "orderingKey": "\ud800"}}),
        raw({"context": {"eventId": "\ud800", "eventType": "t"}, "data": 1}),
        push({"orderingKey": 5}),
        fake.request("POST", headers={"x-goog-pubsub-message-id": "7"}),
        of_google({**OBJECT, "name": ["a"]}, "google.cloud.storage.object.v1.finalized", BUCKET),
        of_google({"value": {**DOCUMENT, "updateTime": 5}}, "google.cloud.firestore.document.v1.written", DATABASE),
    ],
)
def test_the_identity_and_order_of_a_google_event_must_be_readable(request_: Any) -> None:
    with pytest.raises(DecodeError):
        google_event(request_)


def test_a_cloudevent_in_a_message_has_the_id_that_the_message_says() -> None:
    attributes = {
        "ce-specversion": "1.0",
        "ce-id": 'a"b"%41',
        "ce-source": "/s",
        "ce-type": "t",
        "ce-x_y": "x",
        "ce-time": "x",
    }
    event = google_event(push({"attributes": attributes}))
    assert ('a"b"%41', None, {}) == (event.id, event.time, event.extensions)


# --- Where Google's dead letters go ------------------------------------------------------------------------------------


@portable(on.topic("orders", dead_letter="dead"))
def reject(message: Message) -> None:
    raise Reject("no")


@pytest.mark.parametrize("project", ["evil", "_", ""])
def test_a_forged_pushs_project_is_never_the_dead_letters(project: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for mine in ("mine", None):
        if mine is None:
            monkeypatch.delenv("GOOGLE_CLOUD_PROJECT", raising=False)
        else:
            monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", mine)
        request = push({}, subscription=f"projects/{project}/subscriptions/orders")
        with google.playing("pubsub_push") as published:
            event = google.sent(portable_fn_gcp.entry(reject), request)
            assert 204 == event.answer(event.invoke()).status
        assert [f"projects/{mine or 'portable'}/topics/dead"] == [one.topic for one in published]


def test_an_emulator_takes_dead_letters_for_the_events_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GOOGLE_CLOUD_PROJECT", raising=False)
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", "localhost:8085")
    called: list[Any] = []

    def call(method: str, host: str, path: str, *more: Any) -> tuple[int, bytes]:
        called.append((host, path))
        return 200, b""

    monkeypatch.setattr(api, "call", call)
    pubsub.dead_letter(fake.message({}, source="projects/p/subscriptions/orders"), Reject("no"), "dead")
    assert [("http://localhost:8085", "/v1/projects/p/topics/dead:publish")] == called


@pytest.mark.parametrize("variable", ["PUBSUB_EMULATOR_HOST", "GCE_METADATA_HOST"])
def test_an_endpoint_is_a_host_with_or_without_port_and_scheme(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    hosts = {
        "localhost:8085": "http://localhost:8085",
        "http://localhost:8085": "http://localhost:8085",
        "HTTPS://pubsub.example/": "https://pubsub.example",
        "[::1]:8085": "http://[::1]:8085",
        "169.254.169.254": "http://169.254.169.254",
        "": "",
    }
    for host, origin in hosts.items():
        monkeypatch.setenv(variable, host)
        assert origin == api.origin(variable)
    for host in (
        "ftp://localhost",
        "http://",
        "localhost:port",
        "a b",
        "localhost:8085/v1",
        "user:pw@host",
        "x:1\r\ny",
    ):
        monkeypatch.setenv(variable, host)
        with pytest.raises(ConfigurationError, match=f"{variable} is .* such as localhost:8085"):
            api.origin(variable)


def test_a_missing_metadata_server_is_an_error_that_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GOOGLE_CLOUD_PROJECT", raising=False)
    monkeypatch.setenv("GCE_METADATA_HOST", "127.0.0.1:1")
    with pytest.raises(PortableError, match="set GOOGLE_CLOUD_PROJECT"):
        pubsub.dead_letter(fake.message({}), Reject("no"), "dead")


# --- Azure -------------------------------------------------------------------------------------------------------------


def half_readable(**fields: Any) -> Any:
    """Return a native object of the worker with no other readable attribute."""

    class HalfReadable(SimpleNamespace):
        def __getattr__(self, name: str) -> Any:
            raise ValueError(name)

    return HalfReadable(**fields)


def azure_native(**fields: Any) -> Any:
    return SimpleNamespace(get_body=lambda: b"{}", **fields)


ODD_NATIVES: list[Any] = [*ODD, object(), b"\xff", datetime.min.replace(tzinfo=timezone(timedelta(hours=14))), Mock()]


@pytest.mark.parametrize("odd", ODD_NATIVES, ids=named)
def test_side_data_of_azures_messages_may_be_anything(odd: Any) -> None:
    queue = azure_messages.storage_queue(azure_native(id="m", insertion_time=odd, dequeue_count=odd), "orders")
    assert ("m", "orders", b"{}") == (queue.id, queue.channel, queue.body)
    side = dict.fromkeys(("enqueued_time_utc", "content_type", "subject", "label", "delivery_count", "metadata"), odd)
    known = {"message_id": "m", "sequence_number": 7, "session_id": None}
    for properties in (
        odd,
        {"tenant": "t1", "odd": None if isinstance(odd, Mock) else odd},
        {"tenant": "t1", b"\xff": "x"},
    ):
        native = azure_native(**side, **known, application_properties=properties, user_properties=None)
        made = azure_messages.service_bus(native, "orders")
        (many,) = azure_messages.service_bus_batch([native], "orders")
        native.body = b"{}"
        handled = azure_messages.received(native, "orders")
        for one in (made, many, handled):
            assert isinstance(one, Message)
            assert ("m", "7", b"{}") == (one.id, one.sequence, one.body)
            assert all(isinstance(text, str) for text in (one.content_type, one.subject, *one.attributes))
            assert odd == properties or "t1" == one.attributes["tenant"]
    place = {
        "PartitionContext": {"PartitionId": "0", "FullyQualifiedNamespace": odd},
        "Properties": odd,
        "SystemProperties": odd,
    }
    event = azure_native(sequence_number=7, enqueued_time=odd, partition_key=odd, metadata=place)
    hub = azure_messages.event_hubs(event, "clicks", 1)
    assert ("0:7", "0", "7") == (hub.id, hub.partition, hub.sequence)
    assert isinstance(hub.content_type, str)
    record = azure_native(partition=0, offset=7, timestamp=odd, headers=odd, key=odd)
    kafka = azure_messages.kafka(record, "clicks", 1)
    assert ("clicks-0-7", "0", "7", None) == (kafka.id, kafka.partition, kafka.sequence, kafka.time)
    record.headers = [
        odd,
        {"Key": odd, "Value": "dDE="},
        {"Key": "tenant", "Value": "dDE="},
        {"Key": "odd", "Value": odd},
    ]
    assert "t1" == azure_messages.kafka(record, "clicks", 1).attributes["tenant"]


def test_fields_that_the_worker_cannot_read_are_absent() -> None:
    event = azure_messages.storage_queue(half_readable(id="m", get_body=lambda: b""), "orders")
    assert ("m", None, None) == (event.id, event.time, event.attempt)
    known = {"message_id": "m", "sequence_number": 7, "session_id": "s", "get_body": lambda: b"", "body": b""}
    for read in (azure_messages.service_bus, azure_messages.received):
        event = read(half_readable(**known), "orders")
        assert ("m", "7", {}, "", None) == (event.id, event.sequence, event.attributes, event.subject, event.time)
    blob = azure_objects.blob(
        half_readable(name="uploads/a.png", uri=None, blob_properties={"ETag": "e"}, read=lambda: b"")
    )
    assert ("uploads/a.png@e", "a.png", None, {}) == (blob.id, blob.key, blob.size, blob.metadata)


def test_kafkas_headers_on_azure_may_be_null_repeated_or_no_base64() -> None:
    headers = [("tenant", "dDE="), ("trace", None), ("odd", "?"), ("page", "YQ=="), ("page", "Yg=="), ("raw", "/w==")]
    native = azure_native(
        partition=0,
        offset=7,
        timestamp=None,
        key=None,
        headers=[{"Key": key, "Value": value} for key, value in headers],
    )
    expected = {"tenant": "t1", "trace": None, "odd": None, "page": "a, b", "raw": b"\xff"}
    assert expected == azure_messages.kafka(native, "clicks", 1).attributes


@pytest.mark.parametrize("odd", ODD_NATIVES, ids=named)
def test_side_data_of_azures_blobs_and_grid_events_may_be_anything(odd: Any) -> None:
    properties = {"ETag": '"e"', "LastModified": odd, "VersionId": odd, "ContentLength": odd, "ContentType": odd}
    native = azure_native(
        name="uploads/a.png", uri=None, length=odd, metadata=odd, blob_properties=properties, read=lambda: b""
    )
    blob = azure_objects.blob(native)
    assert ("uploads", "a.png", None) == (blob.bucket, blob.key, blob.time)
    assert blob.id.endswith("@e")
    native.metadata = {"k": "v", "n": None if isinstance(odd, str) else odd}
    assert {"k": "v"} == azure_objects.blob(native).metadata
    own = azure_native(
        id="1", topic="/t", event_type="sold", subject=odd, event_time=odd, data_version=odd, get_json=lambda: {"n": 1}
    )
    cloud = azure_native(
        specversion="1.0", id="1", source="/t", type="sold", subject=odd, time=odd, datacontenttype=odd if not isinstance(odd, str) else None,
        dataschema=odd, extension_attrs=odd, get_json=lambda: {"n": 1},
    )  # fmt: skip
    for grid in (own, cloud):
        event = azure_grid.event_grid(grid)
        assert ("1", "/t", "sold", {"n": 1}) == (event.id, event.source, event.type, event.data)
    if isinstance(odd, str | int | float | list | dict | None) and odd == odd:
        value = {
            "id": "1",
            "topic": "/t",
            "eventType": "sold",
            "subject": odd,
            "eventTime": odd,
            "dataVersion": odd,
            "data": odd,
        }
        (inside,) = azure_grid.unwrap(Message("m", "orders", json.dumps(value).encode()))
        assert ("1", "/t", "sold", None) == (inside.id, inside.source, inside.type, inside.time)


@pytest.mark.parametrize("odd", [*ODD, 10**20, -(10**20)], ids=named)
def test_side_data_of_azures_rows_and_timers_may_be_anything(odd: Any) -> None:
    (row,) = azure_changes.cosmos_db([{"id": "u", "_etag": "e", "_ts": odd, "_lsn": odd}], "shop/users", "users")
    assert isinstance(row, ChangeEvent)
    assert "u:e" == row.id
    version = {"metadata": {"operationType": "create", "lsn": 7, "crts": odd}, "current": {"id": "u"}}
    (row,) = azure_changes.cosmos_db([version], "shop/users", "users")
    assert isinstance(row, ChangeEvent)
    assert ("u:7", "7") == (row.id, row.sequence)
    context: Any = SimpleNamespace(invocation_id="i-1", retry_context=odd)
    for status in (odd, {"Next": odd}):
        tick = tasks.timer(azure_native(schedule_status=status, past_due=odd), context, "nightly", "0 3 * * *")
        told = isinstance(status, dict) and isinstance(odd, str) and odd
        assert (f"nightly@{odd}" if told else "i-1", None, 1) == (tick.id, tick.time, tick.attempt)


@pytest.mark.parametrize("odd", [None, "", True, 1.5, [], {}, object(), b"\xff", Mock()], ids=named)
def test_the_identity_of_an_azure_event_must_be_readable(odd: Any) -> None:
    metadata = {"PartitionContext": {"PartitionId": odd}}
    unreadable: list[tuple[Any, Any]] = [
        (azure_messages.storage_queue, azure_native(id=odd)),
        (azure_messages.service_bus, azure_native(message_id=odd, sequence_number=odd)),
        (azure_messages.received, azure_native(message_id=odd, sequence_number=odd, body=b"")),
        (
            lambda one, channel: azure_messages.event_hubs(one, channel, 1),
            azure_native(sequence_number=7, metadata=metadata),
        ),
        (lambda one, channel: azure_messages.kafka(one, channel, 1), azure_native(partition=0, offset=odd)),
        (lambda one, _: azure_changes._document(one, "shop/users", "users"), {"id": "u", "_etag": odd, "_lsn": odd}),
        (lambda one, _: azure_changes._document(one, "shop/users", "users"), {"id": odd, "_rid": odd, "_etag": "e"}),
    ]
    for read, native in unreadable:
        assert isinstance(azure_messages.read("it", read, native, "orders"), DecodeError), read


# --- Cloudflare --------------------------------------------------------------------------------------------------------

NOTIFICATION: dict[str, Any] = {
    "account": "acc",
    "action": "PutObject",
    "bucket": "uploads",
    "object": {"key": "a.png", "size": 5, "eTag": "e"},
    "eventTime": "2026-01-02T03:04:05Z",
}


@pytest.mark.parametrize("odd", [*ODD_NATIVES, float("nan"), float("inf")], ids=named)
def test_side_data_of_a_message_of_cloudflares_may_be_anything(odd: Any) -> None:
    native: Any = SimpleNamespace(id="m", body="hi", timestamp=odd, attempts=odd)
    event = worker_events.message(native, "orders", FFI)
    assert ("m", "orders", b"hi", None) == (event.id, event.channel, event.body, event.attempt)
    assert event.time is None or event.time.tzinfo is UTC
    del native.timestamp, native.attempts
    event = worker_events.message(native, "orders", FFI)
    assert ("m", None, None) == (event.id, event.time, event.attempt)


@pytest.mark.parametrize(("attempts", "attempt"), [(1, 1), (2.0, 2), (0, None), (-1, None), ("1", None), (True, None)])
def test_attempts_of_javascript_may_be_a_float(attempts: Any, attempt: int | None) -> None:
    native: Any = SimpleNamespace(id="m", body="hi", timestamp=None, attempts=attempts)
    assert attempt == worker_events.message(native, "orders", FFI).attempt


@pytest.mark.parametrize("odd", ODD, ids=named)
def test_side_data_of_an_r2_notification_may_be_anything(odd: Any) -> None:
    value = {**NOTIFICATION, "eventTime": odd, "object": {"key": "a.png", "size": odd, "eTag": odd}}
    (event,) = worker_events.inside(fake.message(value, id="m"))
    assert isinstance(event, ObjectEvent)
    assert ("m", "acc/uploads", "a.png", "created") == (event.id, event.source, event.key, event.action)
    assert (None, None) == (event.time, event.size)
    for name in ("account", "bucket"):
        if not isinstance(odd, str):
            with pytest.raises(DecodeError):
                worker_events.inside(fake.message({**NOTIFICATION, name: odd}))


def test_a_schedule_whose_time_is_out_of_range_has_its_id() -> None:
    tick = worker_events.schedule(SimpleNamespace(cron="* * * * *", scheduledTime=10**30))
    assert (f"* * * * *@{10**30}", None, False) == (tick.id, tick.time, tick.is_late)


@pytest.mark.parametrize("subject", ["=?nonsense?q?a?=", "=?utf-8?b?!?=", "=?utf-8?q?=FF?=", "=?", "=?utf-8?b?A?="])
def test_an_emails_headers_may_say_anything(subject: str) -> None:
    for sender in ("a@b", None, 5):
        lines = [("message-id", "<1>"), ("subject", subject), ("date", "yesterday")]
        event = worker_events.email({"from": sender, "to": "in@shop"}, lines, b"")
        assert ("<1>", "in@shop", None) == (event.id, event.channel, event.time)
        assert isinstance(event.subject, str)
    assert "return-path" in worker_events.email({"to": "in@shop"}, lines, b"").attributes


# --- Dapr --------------------------------------------------------------------------------------------------------------

CLOUD_EVENT = {
    **EVENT,
    "topic": "orders",
    "pubsubname": "pubsub",
    "datacontenttype": "application/json",
    "data": {"n": 1},
}


@pytest.mark.parametrize("odd", ODD, ids=named)
def test_side_data_of_an_entry_of_daprs_may_be_anything(odd: Any) -> None:
    told = {"id": "m7", "dequeuecount": odd, "insertiontime": odd, "trace": odd}
    entries = [
        {"entryId": "1", "event": "aGk=", "metadata": told, "contentType": odd},
        {
            "entryId": "2",
            "event": {**CLOUD_EVENT, "tenantId": odd, "a-b": odd, "time": odd, "traceparent": odd},
            "metadata": odd,
        },
    ]
    items, ids = dapr.bulk({"entries": entries, "topic": "orders", "pubsubname": "pubsub"}, fake.request("POST"))
    assert ["1", "2"] == ids
    raw, event = items
    assert isinstance(raw, Message)
    assert isinstance(event, Message)
    assert ("m7", b"hi", None) == (raw.id, raw.body, raw.time)
    assert ("1", "orders", {"n": 1}, None) == (event.id, event.channel, event.data, event.time)


@pytest.mark.parametrize("odd", ["", "x", "-1", "9" * 400, "noon noon noon noon", "2026-13-01 00:00:00 +0000 UTC"])
def test_headers_of_daprs_that_are_side_data_may_say_anything(odd: str) -> None:
    told = dict.fromkeys(
        ("dequeuecount", "insertiontime", "x-opt-enqueued-time", "publishtime", "metadata.deliverycount"), odd
    )
    event = dapr.binding(fake.request("POST", headers={"id": "m7", **told}, body=b"hi"), "orders")
    assert isinstance(event, Message)
    assert ("m7", "orders", b"hi", None, None) == (event.id, event.channel, event.body, event.time, event.attempt)
    if odd:
        tick = dapr.cron(fake.request("POST", headers={"readtimeutc": odd}), "nightly", "")
        assert (f"nightly/{odd}", None) == (tick.id, tick.time)
