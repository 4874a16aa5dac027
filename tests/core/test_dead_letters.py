"""One dead-letter format on every provider, and the event back from it."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st

from portable_fn import (
    Batch,
    ChangeEvent,
    CloudEvent,
    DecodeError,
    Event,
    Message,
    ObjectEvent,
    Reject,
    Retry,
    ScheduleEvent,
    on,
    portable,
)
from portable_fn.adapter.as_cloudevent import read, write
from portable_fn.adapter.dead_letter import NO_REASON, Destination, letter, reason, restored, structured, through
from portable_fn.testing import asgi, deliver, fake, strategies
from portable_fn.testing.loop import run
from portable_fn_asgi import entry as asgi_entry
from portable_fn_asgi.simulate import events as asgi_simulate
from portable_fn_asgi.simulate.server import messages as asgi_messages
from portable_fn_asgi.simulate.server import scope
from portable_fn_aws import entry as aws_entry
from portable_fn_aws import simulate as aws
from portable_fn_aws.drivers import queue as sqs
from portable_fn_azure import simulate as azure
from portable_fn_azure.drivers import api
from portable_fn_azure.drivers import queue as azure_queues
from portable_fn_azure.simulate.queues import letters
from portable_fn_cloudflare.entry import worker
from portable_fn_cloudflare.simulate import events as cloudflare
from portable_fn_cloudflare.simulate.javascript import FFI, JS, WorkerEntrypoint
from portable_fn_gcp import simulate as gcp
from portable_fn_gcp.drivers import topic as pubsub

WHY = "unknown sku"
TRIGGERS: dict[type[Any], Callable[..., Any]] = {
    Message: lambda dead: (
        on.queue("orders", dead_letter=dead),
        on.topic("orders", dead_letter=dead),
        on.stream("orders", dead_letter=dead),
    ),
    ObjectEvent: lambda dead: (on.object("uploads", dead_letter=dead),),
    ChangeEvent: lambda dead: (on.change("users", dead_letter=dead),),
    CloudEvent: lambda dead: (on.event(dead_letter=dead),),
}


def rejecting(kind: type[Any], seen: list[Any], dead: str = "DEAD") -> Any:
    def handler(event: Any) -> None:
        seen.append(event)
        raise Reject(WHY)

    handler.__annotations__ = {"event": kind}
    return portable(*TRIGGERS[kind](dead))(handler)


def looking(seen: list[Any]) -> Any:
    @portable(on.queue("dead"))
    def look(message: Message[Any]) -> None:
        seen.append(message)

    return look


# What arrives at the consumer of the dead letters, of what was sent there.


def from_sqs(request: dict[str, Any]) -> Message[Any]:
    """The message of a SendMessage, as Lambda gets it from the queue."""
    for name, value in request["MessageAttributes"].items():
        assert sqs.is_attribute_name(name), name
        assert value.get("StringValue") or value.get("BinaryValue"), name
    assert len(request["MessageAttributes"]) <= 10
    assert request["MessageBody"] == sqs.legible(request["MessageBody"]) != ""
    record = {
        "messageId": "letter-1",
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:eu-central-1:123456789012:dead",
        "body": request["MessageBody"],
        "attributes": {"SentTimestamp": "1767323045000", "ApproximateReceiveCount": "1"},
        "messageAttributes": {
            name: {f"{key[0].lower()}{key[1:]}": one for key, one in value.items()}
            for name, value in request["MessageAttributes"].items()
        },
    }
    seen: list[Any] = []
    aws_entry(looking(seen))({"Records": [json.loads(json.dumps(record))]}, aws.LambdaContext(30))
    return seen[0]  # type: ignore[no-any-return]  # a message


def from_pubsub(published: Any) -> Message[Any]:
    """The published message, as a push brings it."""
    assert len(published.attributes) <= 100
    assert all(len(value.encode()) <= 1024 for value in published.attributes.values())
    pushed = fake.message(body=published.body, attributes=published.attributes, key=published.key)
    seen: list[Any] = []
    assert ["acknowledged"] == deliver(looking(seen), pushed, to="gcp", via="pubsub_push").outcomes
    return seen[0]  # type: ignore[no-any-return]  # a message


def from_queues(sent: tuple[str, bytes]) -> Message[Any]:
    """The text that was sent to a queue of Cloudflare's, as its consumer gets it."""
    assert "text" == sent[0]
    seen: list[Any] = []
    assert ["acknowledged"] == deliver(looking(seen), fake.message(body=sent[1]), to="cloudflare").outcomes
    return seen[0]  # type: ignore[no-any-return]  # a message


def from_azure(sent: Message[Any]) -> Message[Any]:
    """The message of a storage queue or a Service Bus queue, as the host brings it."""
    seen: list[Any] = []
    via = "service_bus_queue" if sent.attributes else "storage_queue"
    sent.channel = "dead"
    assert ["acknowledged"] == deliver(looking(seen), sent, to="azure", via=via).outcomes
    return seen[0]  # type: ignore[no-any-return]  # a message


def rejected(provider: str, service: str, event: Event[Any], kind: type[Any]) -> tuple[Any, list[Message[Any]]]:
    """The event as its handler rejected it, and the dead letters as their consumer gets them."""
    seen: list[Any] = []
    handler = rejecting(kind, seen)
    if provider == "aws":
        with aws.playing(service) as queues:
            invoke = aws.invoker((handler,), service, 30)
            for payload in aws.payloads([event], service):
                invoke(payload)
        return seen[0], [from_sqs(one) for one in queues.dead_letters()]
    if provider == "gcp":
        with gcp.playing(service) as topics:
            invoke = gcp.invoker((handler,), service, 30)
            for payload in gcp.payloads([event], service):
                invoke(payload)
        return seen[0], [from_pubsub(one) for one in topics]
    if provider == "azure":
        with azure.playing(service):
            invoke = azure.invoker((handler,), service, 30)
            for arrival in azure.payloads([event], service):
                invoke(arrival)
            return seen[0], [from_azure(one) for one in letters()]
    queue = cloudflare.Queue()
    default = worker((handler,), WorkerEntrypoint, JS, FFI)
    for payload in cloudflare.payloads([event], service):
        run(cloudflare.called(payload, default, cloudflare.Env({"DEAD": queue}), service))
    return seen[0], [from_queues(one) for one in queue.sent]


SERVICES = [
    (provider, kind, service)
    for provider, simulate in (("aws", aws), ("gcp", gcp), ("azure", azure), ("cloudflare", cloudflare))
    for kind in TRIGGERS
    for service in simulate.EVENT_SERVICES.get(kind.__name__, ())
    # An email is refused, and Service Bus dead-letters itself what is settled one by one.
    if service not in ("email", "service_bus_settled")
]
EVENTS: dict[type[Any], st.SearchStrategy[Any]] = {
    Message: strategies.messages(),
    ObjectEvent: strategies.objects(),
    ChangeEvent: strategies.changes(),
    CloudEvent: strategies.cloud_events(),
}


def innermost_message(event: Event[Any]) -> Event[Any]:
    """What is dead-lettered: the message that an event came in, else the event."""
    return next((one for one in (event, *reversed(event.envelopes)) if isinstance(one, Message)), event)


@pytest.mark.parametrize(("provider", "kind", "service"), SERVICES, ids=lambda value: getattr(value, "__name__", value))
@settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
@given(data=st.data())
def test_a_dead_letter_restores_the_event_that_was_rejected(
    provider: str, kind: type[Any], service: str, data: st.DataObject
) -> None:
    event = data.draw(EVENTS[kind])
    try:
        was, letters = rejected(provider, service, event, kind)
    except ValueError:
        reject()  # the service can't carry such an event
    [one] = letters
    back = restored(one)
    was = innermost_message(was)
    assert was == back
    assert was.data == back.data
    assert type(was).__mro__[-4:] == type(back).__mro__[-4:]
    assert one in back.envelopes
    assert WHY == reason(one)


# What each destination gets.


def test_a_message_keeps_its_body_and_attributes_on_sqs() -> None:
    sent = fake.message({"n": 1.50}, attributes={"tenant": "7", "raw": b"\xff"}, content_type="application/json")
    _, [one] = rejected("aws", "sqs", sent, Message)
    assert (sent.body, "application/json", {"n": 1.5}) == (one.body, one.content_type, one.data)
    assert {
        "tenant": "7",
        "raw": b"\xff",
        "portable-fn-reason": WHY,
        "portable-fn-source": "arn:aws:sqs:eu-central-1:123456789012:orders",
        "portable-fn-id": "message-1",
        "portable-fn-attempt": "1",
        "portable-fn-time": sent.time.isoformat().replace("+00:00", "Z"),  # type: ignore[union-attr]  # it has one
    } == one.attributes


@pytest.mark.parametrize("count", range(11))
def test_of_ten_attributes_of_a_message_sqs_gets_as_many_as_there_is_room_for(count: int) -> None:
    given_ = {f"a{n}": str(n) for n in range(count)}
    _, [one] = rejected("aws", "sqs", fake.message({"n": 1}, attributes=given_), Message)
    own = {name: value for name, value in one.attributes.items() if not name.startswith("portable-fn-")}
    # Five say what was rejected and why; the sixth holds the attributes that have no room.
    assert (count if count <= 5 else 4) == len(own)
    assert own.items() <= given_.items()
    assert (b'{"n":1}', given_) == (one.body, restored(one).attributes)  # type: ignore[attr-defined]  # a message


def test_what_sqs_refuses_in_names_and_values_comes_back_as_it_was() -> None:
    odd: dict[str, Any] = {
        "a b": "1", "AWS.x": "2", ".": "3", "a..b": "4", "é": "5", "empty": "", "nul": "\0", "none": None,
        "portable-fn-mine": "6", "Content-Type": "7", "x" * 257: "8",
    }  # fmt: skip
    message = Message("m\x00-1", "arn:aws:sqs:eu-central-1:1:orders", b"\xff\x00", channel="orders", attributes=odd)
    request = sqs.message(message, Reject(WHY), "https://sqs/1/dead")
    assert message == restored(from_sqs(request))


def test_an_empty_body_comes_back_empty() -> None:
    message = Message("m-1", "arn:aws:sqs:eu-central-1:1:orders", b"", channel="orders")
    assert b"" == restored(from_sqs(sqs.message(message, Reject(), "https://sqs/1/dead"))).body  # type: ignore[attr-defined]
    assert b"" == restored(fake.message(body=structured(message, Reject()))).body  # type: ignore[attr-defined]  # messages


def test_a_fifo_queue_of_dead_letters_keeps_group_and_key() -> None:
    message = fake.message({}, key="grüße", source="arn:aws:sqs:eu-central-1:1:orders.fifo", sequence="7")
    request = sqs.message(message, Reject(WHY), "https://sqs/1/dead.fifo")
    assert request["MessageGroupId"].isascii()
    back = restored(from_sqs(request))
    assert ("grüße", "7", "orders") == (back.key, back.sequence, back.channel)  # type: ignore[attr-defined]  # a message


def test_two_messages_of_a_broker_to_which_their_sender_gave_one_id_are_two_in_a_fifo_queue() -> None:
    source = "arn:aws:mq:eu-central-1:1:broker:b:b-1"
    requests = [
        sqs.message(Message("m-1", source, body), Reject(WHY), "https://sqs/1/dead.fifo") for body in (b"1", b"2", b"1")
    ]
    assert 2 == len({request["MessageDeduplicationId"] for request in requests})


def test_a_message_that_a_topic_put_into_a_queue_tells_both() -> None:
    was, [one] = rejected("aws", "sns_sqs", fake.message({"n": 1}, subject="news"), Message)
    assert (b'{"n":1}', was.source) == (one.body, one.attributes["portable-fn-source"])
    assert ("news", True) == (restored(one).subject, was.source.startswith("arn:aws:sns:"))
    assert was.envelopes[0].source == through(one)


def test_a_value_that_pubsub_has_no_room_for_comes_back() -> None:
    attributes = {"long": "é" * 1000, "googclient": "x", "a": "b", "": "none"}
    was, [one] = rejected("gcp", "cloud_tasks", fake.message({"n": 1}, attributes={"long": "e" * 2000}), Message)
    assert (WHY, was.attributes) == (one.attributes["portable-fn-reason"], restored(one).attributes)  # type: ignore[attr-defined]
    message = fake.message({"n": 1}, attributes=attributes)
    made = letter(message, Reject(WHY), pubsub.destination())
    assert all(len(str(value).encode()) <= 1024 for value in made.attributes.values())
    assert message == restored(fake.message(body=made.body, attributes=made.attributes))


def test_a_row_is_the_same_cloudevent_on_every_provider_that_has_rows() -> None:
    change = fake.change(after={"id": "1", "n": 1}, before={"id": "1", "n": 0})
    seen = []
    for provider, service in (("aws", "dynamodb"), ("gcp", "firestore"), ("azure", "cosmos_db")):
        _, [one] = rejected(provider, service, change, ChangeEvent)
        body = json.loads(one.body)
        assert ("portable_fn.change.updated", WHY, "users") == (
            body["type"],
            body["portablefnreason"],
            body["data"]["table"],
        )
        if provider != "azure":
            assert {"portable-fn-reason", "portable-fn-id", "portable-fn-source"} <= one.attributes.keys()
            assert "application/cloudevents+json" == one.content_type
        seen.append(restored(one).after)  # type: ignore[attr-defined]  # a change
    assert {"id": "1", "n": 1} == seen[0] == seen[1] == {name: seen[2][name] for name in ("id", "n")}


def test_a_rows_exact_values_come_back() -> None:
    row = {
        "decimal": Decimal("1.50"), "bytes": b"\xff", "set": {"a", "b"}, "numbers": {Decimal(1), Decimal("2.5")},
        "time": datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC), "nested": [{"n": [None, True, Decimal("1E+3")]}],
        "$decimal": {"$decimal": "not one"}, "list": [{"$set": [1]}], "nan": float("inf"), "big": 2**70,
    }  # fmt: skip
    change = fake.change(before=row, after={**row, "set": {b"\x00"}}, key={"id": Decimal(7)})
    back = restored(fake.message(body=structured(change, Reject(WHY))))
    assert change == back
    assert "1.50" == str(back.before["decimal"])  # type: ignore[attr-defined]  # a change
    assert str in {type(value) for value in back.before["set"]}  # type: ignore[attr-defined]  # a change


def test_a_row_of_plain_json_is_plain_json_in_its_letter() -> None:
    letter_ = json.loads(structured(fake.change(after={"id": "1"}), Reject(WHY)))
    assert {"table": "users", "key": {"id": "1"}, "before": None, "after": {"id": "1"}} == letter_["data"]
    assert "portablefnvalues" not in letter_


def test_an_object_comes_back_with_its_providers_own_word_and_notification() -> None:
    was, [one] = rejected("aws", "s3", fake.object(key="a b/ü.png", size=7, version="3"), ObjectEvent)
    back: Any = restored(one)
    assert (was, was.type, was.data) == (back, back.type, back.data)
    assert "ObjectCreated:Put" == back.type


def test_an_event_that_came_in_a_message_is_dead_lettered_as_that_message() -> None:
    for provider, service, kind, event in (
        ("aws", "s3_sqs", ObjectEvent, fake.object()),
        ("aws", "cloudevent_sqs", CloudEvent, fake.cloud_event()),
        ("aws", "dynamodb_kinesis", ChangeEvent, fake.change(after={"id": "1"})),
        ("gcp", "storage_notification", ObjectEvent, fake.object()),
        ("azure", "event_grid_storage_queue", ObjectEvent, fake.object()),
        ("cloudflare", "r2_queue", ObjectEvent, fake.object()),
    ):
        was, [one] = rejected(provider, service, event, kind)
        assert isinstance(was, kind)
        assert innermost_message(was) == restored(one), (provider, service)
        assert "Message" == next(
            base.__name__ for base in type(restored(one)).__mro__ if base.__module__ == "portable_fn.events"
        )


def test_a_google_event_is_dead_lettered_as_what_its_handler_got() -> None:
    was, [one] = rejected("gcp", "storage_eventarc", fake.object(key="a"), ObjectEvent)
    assert ("ObjectEvent", "portable_fn.object.created") == (type(restored(one)).__name__, json.loads(one.body)["type"])
    assert was == restored(one)
    _, [one] = rejected("gcp", "eventarc", fake.cloud_event("order.created", {"n": 1}), CloudEvent)
    assert "order.created" == json.loads(one.body)["type"]


@pytest.mark.parametrize("provider", ["aws", "gcp", "azure", "cloudflare"])
@pytest.mark.parametrize(
    ("kind", "event"),
    [
        (ObjectEvent, fake.object("uploads", "a.png", size=3)),
        (ChangeEvent, fake.change("users", before={"id": "1"}, after={"id": "1", "at": Decimal("1.5")})),
        (ScheduleEvent, fake.schedule(name="nightly", cron="0 3 * * *", input={"a": 1})),
    ],
)
def test_a_function_behind_the_dead_letters_gets_the_event_itself(
    provider: str, kind: type[Any], event: Event[Any]
) -> None:
    seen: list[Any] = []

    def handler(event: Any) -> None:
        seen.append(event)

    handler.__annotations__ = {"event": kind}
    again = portable(on.queue("dead"))(handler)
    sent = fake.message(body=structured(event, Reject(WHY)), content_type="application/cloudevents+json")
    if provider == "cloudflare":
        sent = fake.message(body=structured(event, Reject(WHY)))
    assert ["acknowledged"] == deliver(again, sent, to=provider, via="sqs" if provider == "aws" else None).outcomes
    assert [event] == seen


# The text alone.


@given(message=strategies.messages(attributes=st.dictionaries(st.text(max_size=8), st.text(max_size=8) | st.binary(max_size=8) | st.none(), max_size=4),
       body=st.binary(max_size=40) | st.text(max_size=20) | st.sampled_from([b"", b"null", b" 1 ", b'{"a": 1.0}', b"1e5", b'"\\ud800"', b"\xef\xbb\xbf{}"]),
       content_type=st.sampled_from(["", "application/json", "text/plain; charset=utf-8", "application/octet-stream", "Application/X+JSON"]),
       subject=st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
       key=st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
       partition=st.none() | st.just("3"), sequence=st.none() | st.just("41"), source=st.just("src"), channel=st.sampled_from(["", "orders", "a/b"])))  # fmt: skip
@settings(deadline=None)
def test_a_text_alone_restores_the_message_to_the_byte(message: Message[Any]) -> None:
    text = structured(message, Reject(WHY))
    assert text.decode().isprintable()
    assert message == restored(fake.message(body=text))


@given(message=strategies.messages(body=st.binary(max_size=40),
       attributes=st.dictionaries(st.text(max_size=8) | st.sampled_from(["host", "portable-fn-id", "a", "b", "c"]), st.text(max_size=8) | st.binary(max_size=8) | st.none(), max_size=14),
       content_type=st.sampled_from(["", "application/json", "tëxt/plain"]), subject=st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
       key=st.none() | st.text(max_size=8), source=st.just("src"), channel=st.sampled_from(["", "orders", "a/b"])), longest=st.sampled_from([40, 200, 10**6]), is_text=st.booleans())  # fmt: skip
@settings(deadline=None)
def test_whatever_a_destination_does_not_take_comes_back(message: Message[Any], longest: int, is_text: bool) -> None:
    def ascii_only(text: str) -> str:
        return "".join(char if " " <= char <= "~" and char not in '"\\' else "?" for char in text)

    to = Destination(
        12,
        max(longest, 60),
        str.isidentifier,
        ascii_only,
        names_content_type=is_text,
        takes_bytes=is_text,
        takes_text=is_text,
    )
    try:
        made = letter(message, Reject("réason"), to)
    except UnicodeEncodeError:
        reject()  # half a pair of surrogates, which no CloudEvent has
    assert len(made.attributes) <= 12
    assert "r?ason" == made.attributes["portable-fn-reason"]
    # As the destination's consumer gets it.
    attributes = {name: value for name, value in made.attributes.items() if name != "content-type"}
    told = fake.message(body=made.body, attributes=attributes, content_type=made.content_type)
    assert message == restored(told)
    assert "réason" == reason(told)


def test_a_dead_letter_that_is_rejected_in_its_turn_comes_back_step_by_step() -> None:
    order = fake.message({"n": 1}, attributes={"tenant": "7"}, key="k")
    to = Destination(10, 1000, str.isascii, str)
    event = fake.cloud_event("order.created", {"n": 1}, extensions={"tenant": "7"})
    for first in (order, event, fake.object(), fake.change(after={"id": "1"})):
        for second_is_text in (False, True):
            for first_is_text in (False, True):
                if first_is_text:
                    once = fake.message(body=structured(first, Reject("first")), id="letter-1")
                else:
                    made = letter(first, Reject("first"), to)
                    once = fake.message(
                        body=made.body, attributes=made.attributes, content_type=made.content_type, id="letter-1"
                    )
                if second_is_text:
                    twice = fake.message(body=structured(once, Reject("second")))
                else:
                    made = letter(once, Reject("second"), Destination(12, 1000, str.isascii, str))
                    twice = fake.message(body=made.body, attributes=made.attributes, content_type=made.content_type)
                assert ("second", once) == (reason(twice), restored(twice))
                assert ("first", first) == (reason(restored(twice)), restored(restored(twice)))


def test_a_cloudevent_that_is_a_dead_letter_keeps_its_own_extensions() -> None:
    event = fake.cloud_event("order.created", extensions={"tenant": "7", "portablefnreason": "mine"})
    back: Any = restored(fake.message(body=structured(event, Reject(WHY))))
    assert {"tenant": "7", "portablefnreason": "mine"} == back.extensions


# The facts.


@pytest.mark.parametrize(
    ("why", "told"),
    [
        ("", NO_REASON),
        ("unknown sku", "unknown sku"),
        ("a\nb\x1b[2J\x00", "a b [2J"),
        ("é" * 5000, "é" * 500),
        ("🎉" * 5000, "🎉" * 250),
        ("x" * 999 + "é", "x" * 999),
        ("half \ud83d of it", "half   of it"),
    ],
)
def test_a_reason_is_a_line_of_a_thousand_bytes_at_most(why: str, told: str) -> None:
    letters = [
        from_sqs(sqs.message(fake.message({}), Reject(why), "https://sqs/1/dead")),
        fake.message(body=structured(fake.message({}), Reject(why))),
    ]
    assert [told] * 2 == [reason(one) for one in letters]


def test_data_that_is_not_valid_is_told_without_its_values() -> None:
    @portable(on.queue("orders", dead_letter="DEAD"))
    def ship(order: Message[dict[str, int]]) -> None: ...

    with aws.playing("sqs") as queues:
        invoke = aws.invoker((ship,), "sqs", 30)
        [payload] = aws.payloads([fake.message({"pin": "secret-4711"})], "sqs")
        invoke(payload)
    [request] = queues.dead_letters()
    told = request["MessageAttributes"]["portable-fn-reason"]["StringValue"]
    assert told.startswith("the data is not valid")
    assert "secret-4711" not in json.dumps(request["MessageAttributes"])


def test_the_time_is_the_events_and_the_letter_has_its_own() -> None:
    at = datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC)
    was, [one] = rejected("aws", "sqs", fake.message({}, time=at), Message)
    assert "2020-01-02T03:04:05Z" == one.attributes["portable-fn-time"]
    assert (at, datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)) == (restored(one).time, one.time)
    assert was.time == at


def test_what_the_provider_does_not_tell_is_not_there() -> None:
    message = Message("m-1", "orders", b"{}", channel="orders")
    made = letter(message, Reject(WHY), Destination(10, 1000, str.isascii, str, names_content_type=True))
    assert {"portable-fn-reason", "portable-fn-source", "portable-fn-id"} == made.attributes.keys()
    back: Any = restored(fake.message(body=made.body, attributes=made.attributes))
    assert (None, None) == (back.time, back.attempt)


# What is no dead letter of ours.


def test_a_message_that_its_provider_dead_lettered_itself_is_given_as_it_is() -> None:
    message = fake.message({"n": 1}, attributes={"a": "b"})
    assert message is restored(message)
    assert None is reason(message)
    by_service_bus = fake.message({"n": 1}, attributes={"DeadLetterReason": "told to"})
    assert (by_service_bus, "told to") == (restored(by_service_bus), reason(by_service_bus))
    for body in (b'{"portablefnid": 1}', b'"portablefnid"', b'{"portablefnid" ', b'\xff"portablefnid"'):
        assert None is reason(fake.message(body=body))
        assert body == restored(fake.message(body=body)).body  # type: ignore[attr-defined]  # a message
    assert None is reason(fake.object())
    event = fake.cloud_event()
    assert event is restored(event)


@pytest.mark.parametrize(
    "attributes",
    [
        {"portable-fn-fields": "{"},
        {"portable-fn-fields": "[]"},
        {"portable-fn-fields": "no base64!"},
        {"portable-fn-fields": '{"encoding":"base64"}'},
        {"portable-fn-fields": '{"attributes":{"a":{"base64":"?"}}}'},
        {"portable-fn-fields": '{"attributes":{"a":{"base64":5}}}'},
        {"portable-fn-fields": '{"attributes":{"a":5}}'},
        {"portable-fn-fields": '{"attributes":[]}'},
        {"portable-fn-fields": '{"key":5}'},
        {"portable-fn-fields": '{"id":null}'},
        {"portable-fn-fields": '{"channel":{}}'},
        {"portable-fn-fields": b"\xff"},
        {"portable-fn-fields": "/w=="},
        {"portable-fn-fields": "[" * 100_000},
        {"portable-fn-time": "yesterday"},
        {"portable-fn-fields": '{"format":"cloudevent"}'},
    ],
)
def test_a_dead_letter_that_cannot_be_read_says_so(attributes: dict[str, Any]) -> None:
    with pytest.raises(DecodeError):
        restored(fake.message(body=b'?"portablefnid"', attributes={"portable-fn-id": "1", **attributes}))


@pytest.mark.parametrize("attempt", ["", "0x1", "-1", "٣", "9" * 5000])
def test_an_attempt_that_is_no_number_is_not_there(attempt: str) -> None:
    back: Any = restored(fake.message({}, attributes={"portable-fn-id": "1", "portable-fn-attempt": attempt}))
    assert None is back.attempt


def test_extensions_of_a_letter_that_are_no_texts_are_refused() -> None:
    letter_ = json.loads(structured(fake.cloud_event(), Reject(WHY)))
    letter_["portablefnfields"] = '{"extensions":{"a":5}}'
    with pytest.raises(DecodeError):
        restored(fake.message(letter_))


# Which are sent, and how often.


def test_an_event_that_one_function_retries_is_not_sent_for_the_one_that_rejects_it() -> None:
    @portable(on.queue("orders", dead_letter="DEAD"))
    def rejects(order: Message[Any]) -> None:
        raise Reject(WHY)

    @portable(on.queue("orders"))
    def fails(order: Message[Any]) -> None:
        raise Retry("busy")

    with aws.playing("sqs") as queues:
        invoke = aws.invoker(([rejects, fails],), "sqs", 30)
        [payload] = aws.payloads([fake.message({})], "sqs")
        assert "Retry" == invoke(payload).name
    assert [] == queues.dead_letters()


def test_what_a_batch_handler_rejects_is_sent_one_by_one() -> None:
    @portable(on.queue("orders", dead_letter="DEAD"))
    def whole(orders: Batch[Message[Any]]) -> None:
        for order in orders:
            if order.data["n"] % 2:
                orders.reject(order, f"odd {order.data['n']}")

    with aws.playing("sqs") as queues:
        invoke = aws.invoker((whole,), "sqs", 30)
        [payload] = aws.payloads([fake.message({"n": n}, id=f"m-{n}") for n in range(5)], "sqs")
        invoke(payload)
    letters = [from_sqs(one) for one in queues.dead_letters()]
    assert [("odd 1", {"n": 1}), ("odd 3", {"n": 3})] == [(reason(one), restored(one).data) for one in letters]


def test_what_has_no_room_for_the_reason_on_cloudflare_is_sent_as_it_was(caplog: pytest.LogCaptureFixture) -> None:
    for text, fits in (('"' + "x" * 127_000 + '"', True), ("x" * 127_900, False)):
        queue = cloudflare.Queue()
        default = worker((rejecting(Message, []),), WorkerEntrypoint, JS, FFI)
        [payload] = cloudflare.payloads([fake.message(body=text)], "queue")
        answer = run(cloudflare.called(payload, default, cloudflare.Env({"DEAD": queue}), "queue"))
        [(content_type, body)] = queue.sent
        assert (["message-1"], "text", fits) == (answer["explicitAcks"], content_type, body != text.encode())
        assert fits is not ("has no room for the reason" in caplog.text)


def test_a_text_that_could_be_taken_for_a_letter_is_not_sent_as_it_was() -> None:
    forged = structured(fake.message(body="x" * 127_000, channel="admin"), Reject(WHY))
    queue = cloudflare.Queue()
    default = worker((rejecting(Message, []),), WorkerEntrypoint, JS, FFI)
    [payload] = cloudflare.payloads([fake.message(body=forged)], "queue")
    answer = run(cloudflare.called(payload, default, cloudflare.Env({"DEAD": queue}), "queue"))
    # Queues refuse what is over 128 KB; the stand-in takes it.
    assert all("m" != restored(letter_).id for letter_ in map(from_queues, queue.sent)), answer
    assert [forged] == [restored(one).body for one in map(from_queues, queue.sent)]  # type: ignore[attr-defined]
    small = structured(fake.message(body="x" * 30_000, channel="admin"), Reject(WHY))
    with pytest.raises(api.QueueError):
        azure_queues.text_of(fake.message(body=small + b" " * 12_000), Reject(WHY), "base64")


# The kinds as CloudEvents.


@pytest.mark.parametrize("kind", [ObjectEvent, ChangeEvent, ScheduleEvent])
@settings(deadline=None)
@given(data=st.data())
def test_a_kind_is_read_from_the_cloudevent_that_it_is_written_as(kind: type[Any], data: st.DataObject) -> None:
    every = {**EVENTS, ScheduleEvent: strategies.schedules()}
    event = data.draw(every[kind])
    assert event == read(write(event))


def test_a_task_has_no_dead_letter() -> None:
    with pytest.raises(TypeError, match="a Task has no form as a CloudEvent"):
        structured(fake.task({}), Reject(WHY))


# Dapr, whose sidecar publishes the letter.


@pytest.fixture
def sidecar(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A sidecar that answers with `status`, and what is published to it."""
    published: list[Any] = []
    known = SimpleNamespace(published=published, status=204)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            published.append((self.path, dict(self.headers), json.loads(body)))
            self.send_response(known.status)
            self.end_headers()

        def log_message(self, *args: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    monkeypatch.setenv("DAPR_HTTP_PORT", str(server.server_port))
    monkeypatch.setenv("DAPR_API_TOKEN", "token")
    yield known
    server.shutdown()
    thread.join()
    server.server_close()


def from_dapr(target: Any, request: Any) -> Any:
    """What the application answers to a sidecar."""
    application = asgi_entry(target)
    answer = asgi.answer(run(asgi_messages(application, scope(request), request.body)))
    return answer.json()


@portable(on.topic("orders", dead_letter="poison"))
def refuses(order: Message[Any]) -> None:
    raise Reject(WHY)


@portable(on.topic("orders", dead_letter="poison"), concurrency=3)
async def refuses_several(order: Message[Any]) -> None:
    raise Reject(WHY)


def test_a_sidecar_publishes_the_letter_with_its_reason(sidecar: Any) -> None:
    event = fake.message(body=b'{"n": 1.50, "big": 12345678901234567890}', attributes={"tenant": "7"}, subject="s")
    [request] = asgi_simulate.payloads([event], "dapr_pubsub")
    seen: list[Any] = []

    @portable(on.topic("orders", dead_letter="a b/poison"))
    def keeps(order: Message[Any]) -> None:
        seen.append(order)
        raise Reject(WHY)

    assert {"status": "SUCCESS"} == from_dapr(keeps, request)
    [(path, headers, published)] = sidecar.published
    assert "/v1.0/publish/pubsub/a%20b%2Fpoison" == path
    assert ("application/cloudevents+json", "token") == (headers["content-type"], headers["dapr-api-token"])
    assert (WHY, "message-1") == (published["portablefnreason"], published["id"])
    # As the sidecar brings it: with what it adds, and the JSON written anew.
    brought = {
        **json.loads(json.dumps(published, sort_keys=True)), "topic": "poison", "pubsubname": "pubsub", "traceid": "00-1",
        "traceparent": "00-1", "tracestate": "",
    }  # fmt: skip
    letters: list[Any] = []

    @portable(on.topic("poison"))
    def look(message: Message[Any]) -> None:
        letters.append(message)

    again = fake.request(
        "POST", "/portable_fn/poison", body=json.dumps(brought).encode(), headers={"content-type": "application/cloudevents+json"}
    )  # fmt: skip
    assert {"status": "SUCCESS"} == from_dapr(look, again)
    assert (seen[0], WHY) == (restored(letters[0]), reason(letters[0]))
    assert seen[0].data == letters[0].data


def test_a_bulk_of_a_sidecar_has_a_letter_each(sidecar: Any) -> None:
    events = [fake.message({"n": n}, id=f"m-{n}") for n in range(3)]
    [request] = asgi_simulate.payloads(events, "dapr_bulk")
    statuses = from_dapr(refuses_several, request)["statuses"]
    assert ["SUCCESS"] * 3 == [one["status"] for one in statuses]
    assert {"m-0", "m-1", "m-2"} == {published["id"] for _, _, published in sidecar.published}


@pytest.mark.parametrize("status", [404, 500, None])
def test_what_the_sidecar_does_not_publish_is_dropped_to_its_own_dead_letters(
    sidecar: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, status: int | None
) -> None:
    sidecar.status = status
    if status is None:
        monkeypatch.setenv("DAPR_HTTP_PORT", "1")
    [request] = asgi_simulate.payloads([fake.message({})], "dapr_pubsub")
    assert {"status": "DROP"} == from_dapr(refuses, request)
    why = "ConnectionRefusedError" if status is None else f"it answers {status}"
    assert f"the sidecar didn't publish to the dead-letter topic poison: {why}" in caplog.text


@pytest.mark.parametrize("port", [None, "no port"])
def test_without_a_sidecars_port_a_rejected_message_is_dropped(
    monkeypatch: pytest.MonkeyPatch, port: str | None
) -> None:
    monkeypatch.delenv("DAPR_HTTP_PORT", raising=False)
    if port is not None:
        monkeypatch.setenv("DAPR_HTTP_PORT", port)
    [request] = asgi_simulate.payloads([fake.message({})], "dapr_pubsub")
    assert {"status": "DROP"} == from_dapr(refuses, request)


def test_a_delivery_in_tests_reaches_no_sidecar(sidecar: Any) -> None:
    assert ["dead-lettered"] == deliver(refuses, fake.message({}), to="asgi", via="dapr_pubsub").outcomes
    assert [] == sidecar.published


# Knative, whose broker sends an event on to its dead-letter sink.


@pytest.mark.parametrize("kind", [CloudEvent, Message])
def test_a_dead_letter_of_knatives_is_restored_and_tells_why(kind: type[Any]) -> None:
    seen: list[Any] = []
    event = fake.cloud_event("order.created", {"n": 1}, extensions={"tenant": "7"})
    [request] = asgi_simulate.payloads([event], "binary")
    application = asgi_entry(rejecting(kind, seen))
    answer = asgi.answer(run(asgi_messages(application, scope(request), request.body)))
    assert 400 == answer.status
    added = {
        "knativeerrordest": "http://shop.default.svc.cluster.local", "knativeerrorcode": "400",
        "knativeerrordata": b64encode(answer.body).decode(),
    }  # fmt: skip
    letters: list[Any] = []

    def look(letter: Any) -> None:
        letters.append(letter)

    look.__annotations__ = {"letter": kind}
    sent = fake.cloud_event("order.created", {"n": 1}, extensions={"tenant": "7", **added})
    assert ["acknowledged"] == deliver(portable(look), sent, to="asgi", via="binary").outcomes
    assert (seen[0], WHY) == (restored(letters[0]), reason(letters[0]))


@pytest.mark.parametrize("told", ["?", "bm8ganNvbg==", "W10=", "e30=", "/w=="])
def test_what_knative_tells_otherwise_is_no_reason(told: str) -> None:
    event = fake.cloud_event(extensions={"knativeerrorcode": "500", "knativeerrordata": told})
    assert (None, {}) == (reason(event), restored(event).extensions)  # type: ignore[attr-defined]  # a CloudEvent


# In tests of one's own.


@pytest.mark.parametrize("as_text", [False, True])
@pytest.mark.parametrize(
    "event", [fake.message({"n": 1}, attributes={"a": "é", "raw": b"\xff"}, key="k"), fake.object()]
)
def test_a_fake_dead_letter_is_one(event: Event[Any], as_text: bool) -> None:
    one = fake.dead_letter(event, WHY, channel="orders-dead", as_text=as_text)
    assert (event, WHY, "orders-dead") == (restored(one), reason(one), one.channel)
    assert as_text is not ("portable-fn-reason" in one.attributes)


@pytest.mark.parametrize("provider", ["aws", "gcp", "azure", "cloudflare", "asgi"])
def test_a_handler_of_dead_letters_is_tested_as_any_other(provider: str) -> None:
    seen: list[Any] = []

    @portable(on.queue("orders-dead"))
    def look(one: Message[Any]) -> None:
        seen.append((reason(one), restored(one).data))

    sent = fake.dead_letter(fake.message({"n": 1}), WHY, as_text=provider in ("azure", "cloudflare"))
    assert ["acknowledged"] == deliver(look, sent, to=provider).outcomes
    assert [(WHY, {"n": 1})] == seen
