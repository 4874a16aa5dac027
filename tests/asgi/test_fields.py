"""Test which field of a request becomes which field of an event, and the exact answers."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest

from portable_fn import (
    Batch,
    ChangeEvent,
    CloudEvent,
    DecodeError,
    Event,
    HTTPError,
    Message,
    ObjectEvent,
    Reject,
    Response,
    Retry,
    ScheduleEvent,
    on,
    portable,
)
from portable_fn.adapter.binding import bindings
from portable_fn.adapter.cloudevents import MAX_UNREADABLE
from portable_fn.adapter.problem import HIDDEN
from portable_fn.outcomes import DONE, Done, Outcome
from portable_fn.testing import fake
from portable_fn_asgi import decode
from portable_fn_asgi.events import cloud_events, dapr
from portable_fn_asgi.events import encode as encode_events
from portable_fn_asgi.native import HTTPScope

NOON = datetime(2026, 3, 4, 12, 0, 0, 5000, tzinfo=UTC)
NATIVE = object()
OUTER = fake.message(id="outer")
STRUCTURED = "application/cloudevents+json"


def whole(event: object) -> dict[str, Any]:
    """Return every field of an event, including those that equality ignores."""
    return dict(vars(event))


# Requests

SCOPE: HTTPScope = {
    "type": "http",
    "method": "PUT",
    "scheme": "https",
    "path": "/api/a b",
    "raw_path": b"/api/a%20b",
    "root_path": "/api",
    "query_string": "q=1&q=ä".encode(),
    "headers": [(b"host", b"a.example"), (b"x-a", b"1"), (b"x-a", "ä".encode()), (b"x-request-id", b"r7")],
    "client": ("203.0.113.9", 4711),
}


def test_a_scope_is_a_request() -> None:
    seen = decode.ScopeRequest(SCOPE)
    expected: dict[str, object] = {
        "method": "PUT",
        "scheme": "https",
        "path": "/a b",
        "raw_path": "/a%20b",
        "root_path": "/api",
        "raw_query": "q=1&q=%C3%A4",
        "host": "a.example",
        "client_ip": "203.0.113.9",
        "id": "r7",
        "body": b"",
        "params": {},
        "principal": None,
        "native": SCOPE,
    }
    assert expected == {name: getattr(seen, name) for name in expected}
    assert ["1", "ä"] == seen.headers.get_all("x-a")
    assert abs((datetime.now(UTC) - seen.time).total_seconds()) < 60


@pytest.mark.parametrize("client", [{}, {"client": None}])
def test_a_scope_may_have_no_scheme_no_root_path_and_no_client(client: dict[str, None]) -> None:
    scope: Any = {"type": "http", "method": "GET", "path": "/a b", "query_string": b"", "headers": [], **client}
    seen = decode.ScopeRequest(scope)
    assert ("http", "", "/a%20b", "/a b", None, "", "") == (
        seen.scheme,
        seen.root_path,
        seen.raw_path,
        seen.path,
        seen.client_ip,
        seen.host,
        seen.raw_query,
    )


TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
OTHER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.mark.parametrize(
    ("attributes", "headers", "span", "correlation"),
    [
        ({"traceparent": TRACE, "correlationid": "c1"}, {"traceparent": OTHER, "x-correlation-id": "c2"}, TRACE, "c1"),
        ({}, {"traceparent": OTHER, "x-correlation-id": "c2", "x-request-id": "r2"}, OTHER, "c2"),
        ({"x-correlation-id": "c1"}, {}, None, "c1"),
        ({"x-request-id": "r1"}, {"x-correlation-id": "c2"}, None, "r1"),
        ({}, {"correlationid": "c3"}, None, "c3"),
        ({}, {"x-request-id": "r2"}, None, "r2"),
        ({}, {}, None, "request-7"),
    ],
)
def test_the_context_has_the_events_trace_and_correlation_or_else_the_requests(
    attributes: dict[str, str], headers: dict[str, str], span: str | None, correlation: str
) -> None:
    request = fake.request("POST", headers=headers, id="request-7")
    context = decode.EventContext(request, True)
    assert ("asgi", "request-7", True, request) == (
        context.provider,
        context.invocation_id,
        context.cold_start,
        context.request,
    )
    seen = context.of(fake.message(attributes=attributes))
    assert (span, correlation) == (seen.trace and seen.trace.traceparent, seen.correlation_id)
    assert not decode.EventContext(request, False).cold_start


@pytest.mark.parametrize(
    ("token", "sent", "taken"),
    [
        ("s3cret", "s3cret", True),
        ("grüße", "grüße", True),
        ("s3cret", "S3cret", False),
        ("s3cret", None, False),
        ("", None, True),
        (None, "s3cret", True),
    ],
)
def test_an_event_is_accepted_only_with_daprs_token(
    token: str | None, sent: str | None, taken: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("APP_API_TOKEN", raising=False)
    if token is not None:
        monkeypatch.setenv("APP_API_TOKEN", token)
    request = fake.request("POST", headers={"dapr-api-token": sent} if sent else {})
    if taken:
        decode.check_token(request)
        return
    with pytest.raises(HTTPError, match=r"dapr-api-token.*APP_API_TOKEN") as caught:
        decode.check_token(request)
    assert 401 == caught.value.status
    assert "s3cret" not in str(caught.value)


# CloudEvents

ORDER = '{"specversion": "1.0", "id": "e7", "source": "/shop", "type": "made", "data": "ä"}'


@pytest.mark.parametrize("content_type", [STRUCTURED, f"{STRUCTURED}; charset=ISO-8859-1"])
def test_a_structured_event_and_a_batch_are_decoded_in_their_charset(content_type: str) -> None:
    charset = content_type.partition("charset=")[2] or "utf-8"
    for read, text in ((cloud_events.structured, ORDER), (cloud_events.batched, f"[{ORDER}]")):
        request = fake.request("POST", headers={"content-type": content_type}, body=text.encode(charset))
        (seen,) = read(request)
        assert whole(CloudEvent("e7", "/shop", "made", '"ä"'.encode(), native=request)) == whole(seen)
    (seen,) = cloud_events.structured(fake.request("POST", body=ORDER))
    assert isinstance(seen, CloudEvent)
    (seen,) = cloud_events.batched(fake.request("POST", body=f"[{ORDER}]"))
    assert isinstance(seen, CloudEvent)


def test_a_binary_event_is_decoded_from_headers_and_body() -> None:
    headers = {"ce-specversion": "1.0", "ce-id": "e7", "ce-source": "/s", "ce-type": "t", "content-type": "text/plain"}
    request = fake.request("POST", headers=headers, body="text")
    expected = CloudEvent("e7", "/s", "t", b"text", content_type="text/plain", native=request)
    assert [whole(expected)] == [whole(one) for one in cloud_events.binary(request)]


def event(type: str, data: Any = None, **fields: Any) -> CloudEvent[Any]:
    """Build a CloudEvent that arrived in a message."""
    body = data if isinstance(data, bytes) else json.dumps(data).encode()
    attributes = {"source": "/shop", "time": NOON, "content_type": "application/json", "extensions": {}, **fields}
    return CloudEvent("e7", attributes.pop("source"), type, body, native=NATIVE, envelopes=(OUTER,), **attributes)


PLACE = {"partition": "2", "sequence": "564"}
OBJECT: dict[str, Any] = {
    "bucket": "b", "key": "a b", "size": 7, "etag": "tag", "version": "v", "content_type": "image/png", "metadata": {"m": "1"},
}  # fmt: skip
CHANGE: dict[str, Any] = {"table": "t", "key": {"id": 1}, "before": {"n": 1}, "after": {"n": 2}}
SCHEDULE: dict[str, Any] = {"name": "nightly", "cron": "0 3 * * *", "input": {"n": 1}}
OBJECT_AT_LEAST = {"bucket": "b", "key": "k"}


@pytest.mark.parametrize(
    ("cloud_event", "kind", "place", "fields"),
    [
        (event("portable_fn.object.created", OBJECT), ObjectEvent, ("b", "a b", "created"), {"notification": OBJECT, "size": 7, "etag": "tag", "version": "v", "content_type": "image/png", "metadata": {"m": "1"}}),
        (event("portable_fn.object.deleted", OBJECT_AT_LEAST), ObjectEvent, ("b", "k", "deleted"), {"notification": OBJECT_AT_LEAST}),
        (event("portable_fn.object.archived", {**OBJECT_AT_LEAST, "size": 0, "metadata": None, "etag": None}), ObjectEvent, ("b", "k", "archived"), {"notification": {**OBJECT_AT_LEAST, "size": 0, "metadata": None, "etag": None}, "size": 0}),
        (event("portable_fn.change.updated", CHANGE, extensions=PLACE), ChangeEvent, ("t", "updated"), {"key": {"id": 1}, "before": {"n": 1}, "after": {"n": 2}, **PLACE}),
        (event("portable_fn.change.removed", {"table": "t", "after": None}), ChangeEvent, ("t", "removed"), {}),
        (event("portable_fn.schedule", SCHEDULE), ScheduleEvent, (), SCHEDULE),
        (event("portable_fn.schedule", {"input": 0}), ScheduleEvent, (), {"input": 0}),
        (event("portable_fn.schedule", b""), ScheduleEvent, (), {}),
    ],
)  # fmt: skip
def test_an_event_of_a_neutral_type_is_decoded_as_that_kind(
    cloud_event: CloudEvent[Any], kind: Callable[..., Event[Any]], place: tuple[str, ...], fields: dict[str, Any]
) -> None:
    shared = {"time": NOON, "native": NATIVE, "envelopes": (OUTER, cloud_event)}
    typed = {} if kind is ScheduleEvent else {"type": cloud_event.type}
    seen = cloud_events.neutral(cloud_event)
    assert whole(kind("e7", "/shop", *place, **shared, **typed, **fields)) == whole(seen)
    assert all(whole(seen)["envelopes"][index] is one for index, one in enumerate((OUTER, cloud_event)))


@pytest.mark.parametrize(
    "type", ["made", "portable_fn.message", "portable_fn.other", "portable_fn", "x.portable_fn.schedule"]
)
def test_an_event_of_any_other_type_stays_a_cloud_event(type: str) -> None:
    assert cloud_events.neutral(event(type, {})) is None


@pytest.mark.parametrize(
    ("type", "data", "words"),
    [
        ("object.created", {"key": "k"}, "of type 'portable_fn.object.created' can't be read: 'bucket' is missing"),
        ("object.created", {"bucket": "b", "key": 7}, "'key' is a text, not a int"),
        ("object.created", [OBJECT], "of type 'portable_fn.object.created' is a JSON object, not a list"),
        ("object.created", b"{", "the data of a CloudEvent of type 'portable_fn.object.created' can't be read: JSONDecodeError"),
        ("object.created", b"\xff", "'portable_fn.object.created' can't be read: UnicodeDecodeError"),
        ("object.melted", {}, "type 'portable_fn.object.melted' is unknown; possible are portable_fn.object.created|deleted|archived|changed"),
        ("change.melted", {}, "type 'portable_fn.change.melted' is unknown; possible are portable_fn.change.inserted|updated|removed"),
        ("change." + "m" * 99, {}, f"type 'portable_fn.change.{'m' * 61}' is unknown"),
        ("change.updated", {}, "'table' is missing"),
        *(("change.updated", {**CHANGE, row: [1]}, f"the {row} of a change must be a JSON object or null, not a list") for row in ("key", "before", "after")),
        ("schedule", {"name": 7}, "'name' is a text, not a int"),
        ("schedule", 7, "of type 'portable_fn.schedule' is a JSON object, not a int"),
    ],
)  # fmt: skip
def test_an_unreadable_event_of_a_neutral_type_names_the_field(type: str, data: Any, words: str) -> None:
    with pytest.raises(DecodeError, match=re.escape(words)):
        cloud_events.neutral(event(f"portable_fn.{type}", data))


ATTRIBUTES = json.dumps({"A b": "1", "raw": {"base64": "/w=="}})


@pytest.mark.parametrize(
    ("type", "extensions", "fields"),
    [
        ("made", {"partitionkey": "k", **PLACE, "a": "1"}, {"channel": "made", "key": "k", **PLACE, "attributes": {"partitionkey": "k", **PLACE, "a": "1"}}),
        ("made", {"topic": "orders"}, {"channel": "made", "attributes": {"topic": "orders"}}),
        ("made", {"topic": "orders", "pubsubname": "p"}, {"channel": "orders", "attributes": {"topic": "orders", "pubsubname": "p"}}),
        ("portable_fn.message", {"channel": "orders", "partitionkey": "k", **PLACE, "a": "1", "attributes": ATTRIBUTES}, {"channel": "orders", "key": "k", **PLACE, "attributes": {"a": "1", "A b": "1", "raw": b"\xff"}}),
        ("portable_fn.message", {}, {}),
    ],
)  # fmt: skip
def test_an_event_is_decoded_as_a_message(type: str, extensions: dict[str, str], fields: dict[str, Any]) -> None:
    cloud_event = event(type, {"n": 1}, subject="s", extensions=extensions)
    expected = Message(
        "e7",
        "/shop",
        b'{"n": 1}',
        time=NOON,
        content_type="application/json",
        subject="s",
        native=NATIVE,
        envelopes=(OUTER, cloud_event),
        **fields,
    )
    assert whole(expected) == whole(cloud_events.message(cloud_event))


@pytest.mark.parametrize(
    ("id", "extensions", "place"),
    [
        ("partition:2/offset:564", {"key": "k"}, ("k", "2", "564")),
        ("partition:2/offset:564", {"partitionkey": "p"}, ("p", "2", "564")),
        ("partition:2/offset:564", {"key": "k", "partitionkey": "p", "partition": "3", "offset": "9", "sequence": "8"}, ("k", "3", "9")),
        ("7", {"partition": "3", "sequence": "8"}, (None, "3", "8")),
        ("7", {}, (None, None, None)),
    ],
)  # fmt: skip
def test_a_message_of_knatives_kafka_source_has_its_place(
    id: str, extensions: dict[str, str], place: tuple[str | None, ...]
) -> None:
    cloud_event = CloudEvent(id, "/sources/kafka#a#orders", "dev.knative.kafka.event", extensions=extensions)
    seen = cloud_events.message(cloud_event)
    assert ("orders", *place) == (seen.channel, seen.key, seen.partition, seen.sequence)


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"a": 7}', '{"a": {}}', '{"a": {"base64": "/w"}}', '{"a": {"base64": "/w==!"}}']
)
def test_unreadable_attributes_are_left_out(text: str) -> None:
    text = text.replace('{"a"', '{"b": "1", "a"')
    made = cloud_events.message(event("portable_fn.message", extensions={"attributes": text}))
    assert made.attributes == ({"b": "1"} if "b" in text else {})


@pytest.mark.parametrize(
    ("extensions", "key"), [({"partitionkey": "k"}, "k"), ({"partitionkey": ""}, None), ({}, None)]
)
def test_events_are_in_order_within_their_partition_key(extensions: dict[str, str], key: str | None) -> None:
    assert key == cloud_events.key(event("made", extensions=extensions))


# Dapr


def subscribed(*functions: Any) -> list[Any]:
    return list(dapr.subscriptions(bindings(*functions), "bus"))


def test_dapr_subscribes_to_the_names_in_triggers() -> None:
    @portable(on.schedule("* * * * *"), on.queue("a/b c", dead_letter="poison"), on.topic("news"))
    def one(event: Event) -> None: ...

    @portable(on.queue("news"))
    def again(message: Message) -> None: ...

    @portable(on.stream("many"))
    def many(batch: Batch) -> None: ...

    @portable(on.stream("two"), concurrency=2)
    async def two(message: Message) -> None: ...

    assert [
        {"pubsubname": "bus", "topic": "a/b c", "route": "/portable_fn/a%2Fb%20c", "deadLetterTopic": "poison"},
        {"pubsubname": "bus", "topic": "news", "route": "/portable_fn/news"},
        {"pubsubname": "bus", "topic": "many", "route": "/portable_fn/many", "bulkSubscribe": {"enabled": True}},
        {"pubsubname": "bus", "topic": "two", "route": "/portable_fn/two", "bulkSubscribe": {"enabled": True}},
    ] == subscribed(one, again, many, two)


SENT: dict[str, Any] = {
    "specversion": "1.0", "id": "e7", "source": "shop", "type": "com.dapr.event.sent", "time": "2026-03-04T12:00:00.005Z",
    "datacontenttype": "text/plain", "data": "ä", "subject": "s", "topic": "orders", "pubsubname": "bus",
}  # fmt: skip
RAW = {name: value for name, value in SENT.items() if name != "time"}
# Headers of HTTP, proxies and Dapr itself.
NOISE = dict.fromkeys(
    (
        "host", "user-agent", "accept", "accept-encoding", "connection", "content-length", "transfer-encoding", "dapr-api-token",
        "pubsubname", "baggage", "forwarded", "via", "x-request-id", "x-forwarded-for", "x-forwarded-proto",
    ), "noise",
)  # fmt: skip
BROKERS: list[tuple[dict[str, Any], dict[str, str], dict[str, Any]]] = [
    (SENT, {}, {}),
    ({name: value for name, value in SENT.items() if name not in ("topic", "pubsubname")}, {}, {"channel": ""}),
    (SENT, {"x-forward": "1", "xx-forwarded-": "2"}, {"attributes": {"x-forward": "1", "xx-forwarded-": "2"}}),
    ({**SENT, "a": "1", "b": "2"}, {"b": "3"}, {"attributes": {"a": "1", "b": "2"}}),
    ({**SENT, "partitionkey": "k"}, {}, {"key": "k", "attributes": {"partitionkey": "k"}}),
    ({**SENT, "partitionkey": "k"}, {"__key": "kafka"}, {"key": "kafka", "attributes": {"partitionkey": "k"}}),
    (SENT, {"__key": "k", "__partition": "2", "__offset": "564", "__topic": "t"}, {"key": "k", **PLACE, "attributes": {"__topic": "t"}}),
    (
        SENT,
        {"metadata.sessionid": "k", "metadata.sequencenumber": "564", "metadata.deliverycount": "3", "metadata.messageid": "x"},
        {"key": "k", "sequence": "564", "attempt": 3, "attributes": {"metadata.messageid": "x"}},
    ),
    (SENT, {"x-opt-partition-key": "k", "x-opt-partition-id": "2", "x-opt-sequence-number": "564"}, {"key": "k", **PLACE}),
    (SENT, {"__key": "", "dequeuecount": "0"}, {"attempt": 1}),
    (SENT, {"dequeuecount": "999999999"}, {"attempt": 999_999_999}),
    ({**SENT, "traceid": TRACE, "traceparent": TRACE, "tracestate": ""}, {}, {"attributes": {"traceparent": TRACE}}),
    ({**SENT, "traceid": "", "traceparent": "", "tracestate": "a=1"}, {}, {"attributes": {"tracestate": "a=1"}}),
    ({**SENT, "traceid": "mine"}, {}, {"attributes": {"traceid": "mine"}}),
    # With rawPayload the id is the broker's, if it sends one.
    (RAW, {"id": "m7"}, {"id": "m7", "time": None, "attributes": {"id": "m7"}}),
    (RAW, {}, {"time": None}),
    ({**RAW, "type": "made"}, {"id": "m7"}, {"time": None, "attributes": {"id": "m7"}}),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(BROKERS)))
@pytest.mark.parametrize("form", ["single", "bulk"])
def test_a_message_of_pubsub_consists_of_its_event_and_the_brokers_metadata(number: int, form: str) -> None:
    sent, metadata, fields = BROKERS[number]
    if form == "single":
        headers = {**NOISE, **metadata, "content-type": f"{STRUCTURED}; charset=utf-16"}
        request = fake.request("POST", headers=headers, body=json.dumps(sent).encode("utf-16"))
        seen: Any = dapr.pubsub(request)
    else:
        request = fake.request("POST")
        noise = {"Content-Type": "x", "pubsubName": "bus", **{name.upper(): one for name, one in metadata.items()}}
        entry = {"entryId": "1", "event": sent, "metadata": {**noise, "n": 7}}
        items, ids = dapr.bulk({"entries": [entry], "topic": "t", "pubsubname": "bus"}, request)
        assert (["1"], 1) == (ids, len(items))
        seen = items[0]
    expected = Message(
        fields.get("id", "e7"),
        "shop",
        "ä".encode(),
        content_type="text/plain",
        subject="s",
        native=request,
        **{"channel": "orders", "time": NOON, **{name: value for name, value in fields.items() if name != "id"}},
    )
    assert {**whole(expected), "cloud_event": seen.cloud_event} == whole(seen)
    assert ("e7", sent["type"], {"topic", "pubsubname"} & sent.keys()) == (
        seen.cloud_event.id,
        seen.cloud_event.type,
        {"topic", "pubsubname"} & seen.cloud_event.extensions.keys(),
    )
    assert seen.cloud_event.native is request
    assert [seen] == list(seen.cloud_event.envelopes)
    assert seen.key == dapr.key(seen)


def bulk_of(*entries: Any, topic: Any = "orders") -> tuple[list[Any], list[object]]:
    return dapr.bulk({"entries": list(entries), "topic": topic, "pubsubname": "bus"}, REQUEST)


REQUEST = fake.request("POST", "/portable_fn/orders")


def test_an_entry_of_rawpayload_is_decoded_as_bytes() -> None:
    raw = {"entryId": "1", "event": "/w==", "contentType": "image/png", "metadata": {"Id": "m7", "A": "1"}}
    least = {"event": "", "metadata": {"__topic": "t", "__partition": "2", "__offset": "564", "id": ""}}
    items, ids = bulk_of(raw, least)
    expected = [
        Message("m7", "orders", b"\xff", channel="orders", content_type="image/png", attributes={"id": "m7", "a": "1"}),
        Message(
            "t/2/564",
            "orders",
            b"",
            channel="orders",
            attributes={"__topic": "t", "id": ""},
            partition="2",
            sequence="564",
        ),
    ]
    for one in expected:
        one.native = REQUEST
    assert (["1", None], list(map(whole, expected))) == (ids, list(map(whole, items)))


BARE: dict[str, Any] = {"entryId": "1", "event": "/w==", "metadata": {"id": "m7"}}


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (7, "an entry of a bulk can't be read: AttributeError"),
        ({"entryId": "1"}, "an entry of a bulk can't be read: 'event' is missing"),
        ({**BARE, "metadata": ["a"]}, "a raw message of 'orders' has no id"),
        ({**BARE, "metadata": None}, "a raw message of 'orders' has no id: with this broker, Dapr sends none for rawPayload"),
        ({**BARE, "metadata": {"__topic": "t", "__partition": "", "__offset": "9"}}, "a raw message of 'orders' has no id"),
        ({**BARE, "event": 7}, "an entry of a bulk can't be read: TypeError"),
        ({**BARE, "event": "/w"}, "an entry of a bulk can't be read: Error"),
        ({**BARE, "event": "/w==!"}, "an entry of a bulk can't be read: Error"),
        ({**BARE, "event": {"id": "1"}}, "the CloudEvent's specversion is missing"),
    ],
)  # fmt: skip
def test_only_an_unreadable_entry_fails_and_it_says_why(entry: Any, words: str) -> None:
    items, ids = bulk_of(entry, BARE)
    assert isinstance(items[0], DecodeError)
    assert words in str(items[0])
    assert (b"\xff", entry["entryId"] if entry != 7 else None, "1") == (items[1].body, *ids)


def test_an_unreadable_bulk_says_why() -> None:
    with pytest.raises(DecodeError, match=r"^the entries of a bulk must be an array, not dict$"):
        dapr.bulk({"entries": {}, "topic": "orders"}, REQUEST)
    assert "the topic of a bulk must be a string, not int" == str(bulk_of(BARE, topic=7)[0][0])
    assert MAX_UNREADABLE == len(bulk_of(*[7] * MAX_UNREADABLE)[0])
    with pytest.raises(DecodeError, match=f"^more than {MAX_UNREADABLE} entries of the bulk can't be read$"):
        bulk_of(*[7] * (MAX_UNREADABLE + 1))


@pytest.mark.parametrize(
    ("value", "is_bulk"),
    [({"entries": 7, "pubsubname": "b"}, True), ({"entries": []}, False), ({"pubsubname": "b"}, False), (["entries", "pubsubname"], False)],
)  # fmt: skip
def test_a_bulk_has_entries_and_a_pubsub(value: object, is_bulk: bool) -> None:
    assert is_bulk == dapr.is_bulk(value)


@pytest.mark.parametrize(
    ("headers", "id", "fields"),
    [
        ({"metadata.messageid": "m7", "id": "other"}, "m7", {}),
        ({"id": "m7", "a": "1"}, "m7", {"attributes": {"a": "1"}}),
        ({"messageid": "m7", "dequeuecount": "2", "insertiontime": "2026-03-04T12:00:00.005Z"}, "m7", {"attempt": 2, "time": NOON}),
        ({"message-id": "m7", "x-opt-enqueued-time": "2026-03-04T12:00:00.005Z"}, "m7", {"time": NOON}),
        ({"id": "m7", "publishtime": "2026-03-04 12:00:00.005 +0000 UTC"}, "m7", {"time": NOON}),
        ({"id": "m7", "insertiontime": "2026-03-04T12:00:00.005Z", "publishtime": "later"}, "m7", {"time": NOON, "attributes": {"publishtime": "later"}}),
        ({"__topic": "t", "__partition": "2", "__offset": "564"}, "t/2/564", {**PLACE, "attributes": {"__topic": "t"}}),
    ],
)  # fmt: skip
def test_a_message_of_a_binding_has_its_components_metadata(
    headers: dict[str, str], id: str, fields: dict[str, Any]
) -> None:
    request = fake.request(
        "POST", "/orders", headers={**NOISE, "content-type": "application/json", **headers}, body="7"
    )
    expected = Message(id, "orders", b"7", channel="orders", native=request, **fields)
    seen = dapr.binding(request, "orders")
    assert isinstance(seen, Message)
    assert whole(expected) == whole(seen)


READ_TIME = "2026-03-04 12:00:00.005 +0000 UTC"


def test_a_cron_binding_and_a_job_are_schedules() -> None:
    request = fake.request("POST", headers={"readTimeUTC": READ_TIME})
    expected = ScheduleEvent(f"tick/{READ_TIME}", "tick", time=NOON, name="tick", cron="* * * * *", native=request)
    assert whole(expected) == whole(dapr.cron(request, "tick", "* * * * *"))
    for body, value in ((b'{"n":1}', {"n": 1}), (b"\xff{", b"\xff{"), (b"", None)):
        request = fake.request("POST", body=body)
        expected = ScheduleEvent("tick", "tick", name="tick", cron="* * * * *", input=value, native=request)
        assert whole(expected) == whole(dapr.job(request, "tick", "* * * * *"))


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2026-03-04 12:00:00 +0000 UTC", NOON.replace(microsecond=0)),
        ("2026-03-04 12:00:00.005 +0000 UTC m=+12.5", NOON),
        ("2026-03-04 12:00:00.005000999 +0000 UTC", NOON),
        ("2026-03-04 12:00:00.005 +0000", None),
        ("2026-03-04 12:00:00.005 +0100 CET", None),
        ("2026-03-04 12:00:00.005 UTC", None),
        ("2026-03-04 noon +0000 UTC", None),
        ("2026-03-04  12:00:00 +0000 UTC", None),
        ("", None),
        ("noon " * 20, None),
    ],
)
def test_a_time_must_have_gos_format(text: str, time: datetime | None) -> None:
    request = fake.request("POST", headers={"id": "m7", "publishtime": text})
    seen = dapr.binding(request, "orders")
    assert isinstance(seen, Message)
    assert (time, None if time is None else UTC) == (seen.time, seen.time and seen.time.tzinfo)


def test_an_event_without_an_id_says_what_to_use() -> None:
    with pytest.raises(DecodeError, match=r"^a message of the binding 'orders' has no id: use a component .*Pub/Sub"):
        dapr.binding(fake.request("POST", headers={"__topic": "t"}), "orders")
    with pytest.raises(DecodeError, match="'tick' sends no readTimeUTC"):
        dapr.cron(fake.request("POST"), "tick", "")
    with pytest.raises(DecodeError, match=r"^a job has no name; Dapr sends POST /job/<name>$"):
        dapr.job(fake.request("POST"), "", "")


# Answers

LATER = Retry("busy", after=1.2)
MUCH_LATER = Retry("busy", after=30)


def problem(status: int, title: str, detail: str, **members: str) -> dict[str, Any]:
    return {"type": "about:blank", "title": title, "status": status, "detail": detail, **members}


AGAIN = problem(503, "Service Unavailable", "The event must be redelivered.")
REFUSED = problem(400, "Bad Request", "no use")
FAILED = Retry()
FAILED.error = LookupError("no such order")


task = partial(encode_events.task, invocation_id="i-1", tells_all=False)


@pytest.mark.parametrize(
    ("answer", "outcomes", "status", "document", "after"),
    [
        (encode_events.cloud_events, [DONE], 202, None, None),
        (encode_events.cloud_events, [], 202, None, None),
        (encode_events.cloud_events, [DONE, Done(fake.cloud_event("made"))], 202, None, None),
        (encode_events.cloud_events, [Done({"n": 1})], 202, None, None),
        (encode_events.cloud_events, [Retry("busy")], 503, AGAIN, None),
        (encode_events.cloud_events, [LATER, DONE, MUCH_LATER, Retry()], 503, AGAIN, "30"),
        (encode_events.cloud_events, [Reject("no use"), LATER], 503, AGAIN, "2"),
        (encode_events.cloud_events, [Retry(after=0)], 503, AGAIN, "0"),
        (encode_events.cloud_events, [Reject("no use"), DONE], 503, AGAIN, None),
        (encode_events.cloud_events, [Reject("no use"), Reject("other")], 400, REFUSED, None),
        (encode_events.cloud_events, [Reject()], 400, {**REFUSED, "detail": "The event is rejected."}, None),
        (encode_events.done, [DONE], 200, None, None),
        (encode_events.done, [LATER], 503, AGAIN, "2"),
        (task, [Done({"n": 1})], 200, {"n": 1}, None),
        (task, [Done(None)], 200, None, None),
        (task, [Reject("no use")], 400, {**REFUSED, "error": "Reject"}, None),
        (task, [LATER], 503, {**AGAIN, "detail": "busy", "error": "Retry"}, "2"),
        (task, [FAILED], 500, problem(500, "Internal Server Error", HIDDEN, invocation_id="i-1"), None),
        (
            partial(encode_events.task, invocation_id="i-1", tells_all=True), [FAILED], 500,
            problem(500, "Internal Server Error", "no such order", error="LookupError"), None,
        ),
        (encode_events.dapr_message, [DONE], 200, {"status": "SUCCESS"}, None),
        (encode_events.dapr_message, [LATER], 200, {"status": "RETRY"}, None),
        (encode_events.dapr_message, [Reject("no use")], 200, {"status": "DROP"}, None),
        (
            lambda outcomes: encode_events.dapr_bulk(outcomes, ["1", None, "3"]),
            [DONE, LATER, Reject("no use")],
            200,
            {"statuses": [{"entryId": "1", "status": "SUCCESS"}, {"entryId": None, "status": "RETRY"}, {"entryId": "3", "status": "DROP"}]},
            None,
        ),
    ],
)  # fmt: skip
def test_the_answer_says_what_becomes_of_the_events(
    answer: Callable[[list[Outcome]], Response],
    outcomes: list[Outcome],
    status: int,
    document: dict[str, Any] | None,
    after: str | None,
) -> None:
    made = answer(outcomes)
    body = made.body
    assert isinstance(body, bytes)
    assert (status, document, after) == (
        made.status,
        json.loads(body) if body else None,
        made.headers.get("retry-after"),
    )
    media_type = "application/problem+json" if status >= 400 else "application/json" if body else None
    assert media_type == made.headers.get("content-type")


def test_the_reply_to_a_cloud_event_is_a_binary_cloud_event() -> None:
    reply = fake.cloud_event("made", {"n": 1}, id="r7", source="/shop", time=NOON)
    made = encode_events.cloud_events([Done(reply)])
    assert (200, b'{"n":1}') == (made.status, made.body)
    assert {
        "ce-specversion": "1.0",
        "ce-id": "r7",
        "ce-source": "/shop",
        "ce-type": "made",
        "ce-time": "2026-03-04T12:00:00.005000Z",
        **({"content-type": reply.content_type} if reply.content_type else {}),
    } == dict(made.headers)
