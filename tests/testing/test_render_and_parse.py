"""Render events as native payloads in JSON, and parse native payloads into events."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from copy import copy
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from event_cannot import OWN_CONTENT
from portable_fn import (
    Batch,
    ChangeEvent,
    CloudEvent,
    ConfigurationError,
    DecodeError,
    Event,
    HTTPError,
    Message,
    ObjectEvent,
    Reject,
    Request,
    ScheduleEvent,
    Task,
    portable,
)
from portable_fn.providers import ADAPTERS, adapter
from portable_fn.testing import deliver, fake, parse, render, strategies
from portable_fn.testing.native_json import likely_providers

KINDS = {kind.__name__: kind for kind in (Request, Message, ObjectEvent, ChangeEvent, ScheduleEvent, CloudEvent, Task)}
EVENTS: dict[str, Any] = {
    "Message": fake.message({"sku": 1}, content_type="application/json", attributes={"colour": "réd"}, attempt=2),
    "ObjectEvent": fake.object(key="a b.png", size=3),
    "ChangeEvent": fake.change(after={"id": "1", "name": "Ada"}),
    "ScheduleEvent": fake.schedule(),
    "CloudEvent": fake.cloud_event(data={"total": 7}),
    "Task": fake.task({"a": 1}, name="add"),
}
REQUEST = fake.request(
    "POST", "/items/7?a=1&a=2", body=b'{"n":1}', headers={"content-type": "application/json", "x-tenant": "ä"}
)
SERVICES = [
    (provider, kind, service)
    for provider in ADAPTERS
    for kind, services in adapter(provider, "simulate").EVENT_SERVICES.items()
    for service in services
]
EVERY: dict[str, st.SearchStrategy[Any]] = {
    "Message": strategies.messages(),
    "ObjectEvent": strategies.objects(),
    "ChangeEvent": strategies.changes(),
    "ScheduleEvent": strategies.schedules(),
    "CloudEvent": strategies.cloud_events(),
    "Task": strategies.tasks(),
}
# The fields that every service carries unchanged; some services set their own source, id or time.
CONTENT = {
    "Message": ("channel", "data"),
    "ObjectEvent": ("bucket", "key", "action"),
    "ChangeEvent": ("table", "after"),
    "ScheduleEvent": ("input",),
    "CloudEvent": ("id", "source", "type", "data"),
    "Task": ("data",),
}
HTTP = [(provider, service) for provider in ADAPTERS for service in adapter(provider, "simulate").SERVICES]


def received(kind: str, event: Any, provider: str, via: str) -> list[Any]:
    """Return the events that a function of the kind gets."""
    seen: list[Any] = []

    def add(event: Any) -> None:
        seen.append(event)

    add.__annotations__["event"] = KINDS[kind]
    deliver(portable(add), event, to=provider, via=via)
    return seen


def event_for(kind: str, service: str) -> Any:
    if service in ("cloud_tasks", "email", "pubsub_push_unwrapped", "ses"):
        # Their attributes are headers, which are ASCII.
        return fake.message({"sku": 1}, content_type="application/json")
    return fake.schedule(input={"a": 1}) if service == "scheduler_input" else EVENTS[kind]


@pytest.mark.parametrize(("provider", "kind", "service"), SERVICES)
def test_parse_returns_the_event_that_a_function_would_get_from_a_rendered_payload(
    provider: str, kind: str, service: str
) -> None:
    event = event_for(kind, service)
    payload = json.loads(json.dumps(render(event, to=provider, via=service)))

    parsed: Any = parse(payload, provider, via=service)
    (seen,) = received(kind, event, provider, service)
    assert kind == parsed.kind_name
    if kind == "Task":
        # The caller chooses the function, and the invocation has the id, so a payload may have neither.
        assert (seen.data, seen.type) == (parsed.data, parsed.type)
        assert parsed.name in (seen.name, "function")
    else:
        assert seen == parsed


@pytest.mark.slow
@pytest.mark.parametrize(("provider", "kind", "service"), SERVICES)
@settings(deadline=None, max_examples=50 if os.environ.get("CI") else 8)
@given(data=st.data())
def test_parsing_a_rendered_payload_twice_loses_nothing(
    provider: str, kind: str, service: str, data: st.DataObject
) -> None:
    event = data.draw(EVERY[kind])
    try:
        payload = json.loads(json.dumps(render(event, to=provider, via=service)))
    except ValueError:
        assume(False)

    first: Any = parse(payload, provider, via=service)
    if (provider, service) not in {*OWN_CONTENT, ("gcp", "bigquery")}:
        assert [getattr(event, name) for name in CONTENT[kind]] == [getattr(first, name) for name in CONTENT[kind]]
    again: Any = parse(render(first, to=provider, via=service), provider, via=service)
    if kind == "Task":
        again.id = first.id  # the invocation's
    assert (kind, first) == (again.kind_name, again)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["http://[::1", "\ud800"]),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


@st.composite
def damaged(draw: st.DrawFn, value: Any) -> Any:
    """Draw the JSON value with one member replaced or removed, also inside JSON in a text."""
    if isinstance(value, str) and value.startswith(("{", "[")):
        return json.dumps(draw(damaged(json.loads(value))))
    if not isinstance(value, (dict, list)) or not value or draw(st.integers(0, 9)) == 0:
        return draw(ANYTHING)
    place: Any = draw(st.sampled_from(range(len(value)) if isinstance(value, list) else list(value)))
    damaged_value: Any = copy(value)
    if draw(st.integers(0, 9)) == 0:
        del damaged_value[place]
    else:
        damaged_value[place] = draw(damaged(value[place]))
    return damaged_value


@pytest.mark.slow
@pytest.mark.parametrize(
    ("provider", "kind", "service"), [*SERVICES, *((provider, "Request", service) for provider, service in HTTP)]
)
@settings(deadline=None, max_examples=100 if os.environ.get("CI") else 10)
@given(data=st.data())
def test_hostile_json_is_events_or_a_decode_error(provider: str, kind: str, service: str, data: st.DataObject) -> None:
    event = REQUEST if kind == "Request" else event_for(kind, service)
    payload = data.draw(damaged(json.loads(json.dumps(render(event, to=provider, via=service)))))

    for named, via in ((provider, service), (provider, None), *(((None, None),) if likely_providers(payload) else ())):
        # HTTPError is for requests: 400 for unreadable headers.
        with suppress(DecodeError, HTTPError):
            parsed: Any = parse(payload, named, via=via)
            for parsed_event in parsed if isinstance(parsed, list) else [parsed]:
                # Some fields are read lazily.
                assert all(hasattr(parsed_event, name) for name in parsed_event._fields)


NESTED: list[Any] = []
for _ in range(5_000):
    NESTED = [NESTED]


@pytest.mark.parametrize("provider", list(ADAPTERS))
@pytest.mark.parametrize("value", [NESTED, {"body": NESTED}, float("nan"), "\ud800", None, 10**400], ids=type)
def test_malformed_or_too_deep_json_is_a_decode_error_or_a_tasks_input(provider: str, value: Any) -> None:
    with suppress(DecodeError):
        assert "Task" == parse(value, provider).kind_name  # type: ignore[union-attr]  # it is one event


@pytest.mark.parametrize(("provider", "service"), HTTP)
def test_parse_returns_the_request_that_a_function_would_get(provider: str, service: str) -> None:
    payload = json.loads(json.dumps(render(REQUEST, to=provider, via=service)))

    parsed: Any = parse(payload, provider)
    (seen,) = received("Request", REQUEST, provider, service)
    for name in ("method", "raw_path", "raw_query", "body", "host", "scheme", "client_ip", "headers"):
        assert getattr(seen, name) == getattr(parsed, name), name
    assert provider == guess(payload)


def guess(payload: Any) -> str:
    from portable_fn.testing.parsing import guess_provider

    return guess_provider(payload)


# Payloads that look like no provider's or another's: anything may be a task's input, and only a CloudEvent's source names its provider.
NOBODY = {("aws", "scheduler_input"), ("aws", "invoke")}
NEUTRAL = {("gcp", "eventarc"), ("gcp", "eventarc_structured"), ("gcp", "eventarc_batched")}


@pytest.mark.parametrize(("provider", "kind", "service"), SERVICES)
def test_the_provider_of_a_payload_is_recognised(provider: str, kind: str, service: str) -> None:
    payload = render(event_for(kind, service), to=provider, via=service)
    if (provider, service) in NOBODY:
        with pytest.raises(ValueError, match="no provider's payload looks like this"):
            parse(payload)
    else:
        assert ("asgi" if (provider, service) in NEUTRAL else provider) == guess(payload)


CONSOLE = [
    pytest.param(
        {"message": {"data": "eyJza3UiOjF9", "messageId": "7"}, "subscription": "projects/p/subscriptions/orders"},
        ("gcp", "Message", "7"),
        id="Pub/Sub push",
    ),
    pytest.param(
        {
            "specversion": "1.0",
            "id": "8",
            "source": "//storage.googleapis.com/projects/_/buckets/uploads",
            "type": "google.cloud.storage.object.v1.finalized",
            "subject": "objects/a.png",
            "datacontenttype": "application/json",
            "data": {"bucket": "uploads", "name": "a.png"},
        },
        ("gcp", "ObjectEvent", "8"),
        id="Eventarc",
    ),
    pytest.param(
        {
            "id": "9",
            "topic": "/subscriptions/s/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/account",
            "subject": "/blobServices/default/containers/uploads/blobs/a.png",
            "eventType": "Microsoft.Storage.BlobCreated",
            "eventTime": "2026-01-02T03:04:05Z",
            "data": {"url": "https://account.blob.core.windows.net/uploads/a.png", "contentLength": 3},
            "dataVersion": "",
            "metadataVersion": "1",
        },
        ("azure", "ObjectEvent", "9"),
        id="Event Grid",
    ),
    pytest.param(
        {"queue": "orders", "messages": [{"id": "10", "timestamp": "2026-01-02T03:04:05Z", "body": {"sku": 1}}]},
        ("cloudflare", "Message", "10"),
        id="Queues",
    ),
    pytest.param(
        {"specversion": "1.0", "id": "11", "source": "/shop", "type": "order.created", "data": {"total": 7}},
        ("asgi", "CloudEvent", "11"),
        id="CloudEvent",
    ),
    pytest.param(
        {
            "version": "0",
            "id": "12",
            "detail-type": "order.created",
            "source": "shop",
            "account": "123456789012",
            "time": "2026-01-02T03:04:05Z",
            "region": "eu-central-1",
            "resources": [],
            "detail": {"total": 7},
        },
        ("aws", "CloudEvent", "12"),
        id="EventBridge",
    ),
]


@pytest.mark.parametrize(("payload", "expected"), CONSOLE)
def test_a_payload_from_a_console_is_recognised_and_read(payload: Any, expected: tuple[str, str, str]) -> None:
    event: Any = parse(payload)
    assert expected == (guess(payload), event.kind_name, event.id)


@pytest.mark.parametrize("provider", list(ADAPTERS))
def test_several_events_are_a_list_in_their_order(provider: str) -> None:
    payload = render(fake.batch([1, 2, 3], channel="orders"), to=provider)
    payloads = payload if isinstance(payload, list) else [payload]

    events: list[Any] = []
    for native in payloads:
        parsed = parse(native, provider)
        events += parsed if isinstance(parsed, list) else [parsed]
    assert [1, 2, 3] == [event.data for event in events]


def test_events_of_several_invocations_are_a_list_of_payloads() -> None:
    assert ["message-1", "message-2"] == [
        payload["Records"][0]["Sns"]["MessageId"] for payload in render(fake.batch([1, 2]), via="sns")
    ]


def test_nested_events_are_unwrapped_with_their_envelopes() -> None:
    event: Any = parse(render(fake.object(key="a b.png"), via="s3/sns/sqs"))
    assert ("ObjectEvent", "a b.png") == (event.kind_name, event.key)
    assert ["Message", "Message"] == [envelope.kind_name for envelope in event.envelopes]


class Order(BaseModel):
    sku: int


UPLOAD = render(fake.object(key="a b.png"), via="s3/sns/sqs")
ORDER, ORDERS = (render(fake.batch(data), via="sqs") for data in ([{"sku": 1}], [{"sku": 1}, {"sku": "two"}]))
POST = render(fake.request("POST", json={"sku": 1}))


@pytest.mark.parametrize(
    ("payload", "kind", "expected"),
    [
        (UPLOAD, ObjectEvent, ("ObjectEvent", "object-1.a b.png")),
        (UPLOAD, Event, ("ObjectEvent", "object-1.a b.png")),
        (UPLOAD, Message, ("Message", "published-1-object-1")),
        (ORDER, Message, ("Message", "message-1")),
        (ORDER, Message[Order], ("Message", "message-1")),
        (POST, Request[Order], ("Request", "request-1")),
    ],
)
def test_kind_works_like_a_handlers_annotation(payload: Any, kind: Any, expected: tuple[str, str]) -> None:
    event: Any = parse(payload, "aws", kind=kind)
    assert expected == (event.kind_name, event.id)
    if kind in (Message[Order], Request[Order]):
        assert Order(sku=1) == event.data


def test_several_of_a_kind_are_a_batch() -> None:
    for payload, count in ((ORDER, 1), (ORDERS, 2)):
        batch = parse(payload, kind=Batch[Message])
        assert (Batch, count) == (type(batch), len(batch))
        assert ["acknowledged"] * count == deliver(portable(nothing), batch).outcomes


def nothing(event: Message) -> None: ...


@pytest.mark.parametrize(
    ("payload", "kind", "error", "message"),
    [
        (render(fake.request(), to="azure"), Message, DecodeError, "none of the functions takes a Request"),
        (ORDER, ObjectEvent, DecodeError, "no function takes a Message of 'orders'"),
        (
            ORDERS,
            Message,
            DecodeError,
            "this payload of aws has 2 events for Message, not one; pass kind=Batch.…. for several",
        ),
        (ORDERS, Batch[Message[Order]], Reject, "the data is not valid: #/sku"),
        (
            {"Service": "Amazon S3", "Event": "s3:TestEvent"},
            ObjectEvent,
            DecodeError,
            "this payload of aws has no events",
        ),
        (
            ORDER,
            Order,
            ConfigurationError,
            "parse takes .*Order, not an event; annotate Request.Order., or Message.Order. for messages",
        ),
        (ORDER, Batch[ObjectEvent], ConfigurationError, "possible are Batch.Message., Batch.ChangeEvent."),
    ],
)
def test_a_payload_of_another_kind_is_an_error(payload: Any, kind: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        parse(payload, kind=kind)


def test_a_binary_body_is_base64() -> None:
    request = fake.request("PUT", "/picture", body=b"\x89PNG\xff")
    payload = render(request, to="asgi")
    assert ("iVBOR/8=", False) == (payload["body_base64"], "body" in payload)
    assert b"\x89PNG\xff" == parse(payload, "asgi", kind=Request).body


def test_a_repeated_header_is_a_list() -> None:
    payload = render(fake.request(headers=[("x-tag", "a"), ("x-tag", "b")]), to="asgi")
    assert ["a", "b"] == payload["headers"]["x-tag"]
    assert ["a", "b"] == parse(payload, "asgi", kind=Request).headers.get_all("x-tag")


def test_a_test_notification_of_s3_has_no_events() -> None:
    assert [] == parse({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "uploads"}, "aws")


@pytest.mark.parametrize(
    ("payload", "provider", "message"),
    [
        ({"Records": [{"eventSource": "aws:sqs", "body": "1"}]}, "aws", "messageId"),
        ({"what": "ever"}, "gcp", "the value isn't the body of a Google trigger"),
        ({"message": {"data": "!"}, "subscription": "projects/p/subscriptions/s"}, "gcp", "messageId"),
        ({"what": "ever"}, "azure", "an object from the host needs data"),
        ("text", "azure", "the host sends objects, not str"),
        ({"data": {"string": "1"}, "metadata": {}, "service": "pigeon"}, "azure", "azure has no service 'pigeon'"),
        ({"what": "ever"}, "cloudflare", "a Worker isn't called with what"),
        ({"queue": "orders", "messages": [{"body": 1}]}, "cloudflare", "'id' is missing"),
        ([], "cloudflare", "a Worker is called with objects, not a list"),
        ({"specversion": "1.0", "type": "a", "source": "b"}, "asgi", "id"),
        ({"method": "GET", "url": "/", "headers": {"a": 1}}, "asgi", "the request can't be read: TypeError"),
        ({"method": "GET", "url": "/", "body_base64": "%"}, "asgi", "the request can't be read: Error"),
        ({"method": "GET", "url": "http://[::1"}, None, "the request can't be read: ValueError"),
        ({"method": "GET", "url": "/", "headers": 3}, None, "the request can't be read: TypeError"),
        ({"method": "fetch", "args": []}, None, "Cloudflare reserves that name"),
        ({"method": "", "args": []}, None, "^AttributeError: "),
        (
            {"service": "event_hubs", "data": {"collection_bytes": {"bytes": []}}, "metadata": {}},
            None,
            "what the host sends for event_hubs can't be read: NotImplementedError",
        ),
        (
            {"service": "event_hubs", "data": {"": None}, "metadata": {"SystemProperties": {"json": "{}"}}},
            None,
            "what the host sends for event_hubs can't be read: UnboundLocalError",
        ),
        (
            {"service": "service_bus_queue", "data": {"bytes": "eA=="}, "metadata": {"a": 1}},
            None,
            "what the host sends for service_bus_queue can't be read: AttributeError",
        ),
    ],
)
def test_an_unreadable_payload_is_an_error_that_says_why(payload: Any, provider: str | None, message: str) -> None:
    with pytest.raises(DecodeError, match=message):
        parse(payload, provider)


@pytest.mark.parametrize(
    ("event", "to", "via", "message"),
    [
        (fake.message(1), "aws", "pigeon", "aws delivers no Message by 'pigeon'"),
        (fake.change(after={"id": 1}), "cloudflare", None, "cloudflare delivers no ChangeEvent"),
        (fake.request(), "gcp", "sqs", "gcp has no 'sqs'"),
        (fake.message(body=b"\xff"), "aws", "sqs", "sqs carries text"),
        (fake.schedule(input={"a": 1}), "aws", "scheduler_sqs", "which is a message: omit the input"),
        (fake.change(after={"id": 1}), "azure", "cosmos_db_versions", "in Cosmos DB must be a str, not 1"),
        (fake.message(attributes={"é": "1"}), "asgi", "dapr_pubsub", "a header can't be named 'é'"),
        (fake.message(attributes={"é": "1"}), "asgi", "dapr_binding", "a header can't be named 'é'"),
    ],
)
def test_an_event_that_a_provider_cannot_carry_is_an_error(event: Any, to: str, via: str | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        render(event, to=to, via=via)


def test_an_unknown_service_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"aws has no 'sqz' \(is it 'sqs'\?\); possible are activemq, alb, "):
        parse({"a": 1}, "aws", via="sqz")


def test_a_task_without_a_name_calls_the_function_named_function() -> None:
    payload = render(fake.task([1]), to="cloudflare")
    assert {"method": "function", "args": [[1]]} == payload
    assert ("function", [1]) == (parse(payload, kind=Task).name, parse(payload, kind=Task).data)


def test_a_third_party_adapter_works_without_native_json(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "acme_adapter"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "simulate.py").write_text(
        "from portable_fn_aws.simulate import *\n"
        "from portable_fn_aws.simulate import EVENT_SERVICES, SERVICES, exchange, invoker\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    payload = render(EVENTS["Message"], to="acme_adapter")
    assert payload == render(EVENTS["Message"], to="aws")
    assert parse(payload, "acme_adapter") == parse(payload, "aws")
