"""Dead letters: every provider sends them in one format, and they restore the rejected event."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st

from portable_fn import (
    Batch,
    ChangeEvent,
    CloudEvent,
    Event,
    Message,
    ObjectEvent,
    Reject,
    Retry,
    ScheduleEvent,
    on,
    portable,
)
from portable_fn.adapter.dead_letter import letter, reason, restored, structured, through
from portable_fn.testing import deliver, fake
from portable_fn.testing.loop import run
from portable_fn_aws import simulate as aws
from portable_fn_aws.drivers import queue as sqs
from portable_fn_azure import simulate as azure
from portable_fn_azure.drivers import api
from portable_fn_azure.drivers import queue as azure_queues
from portable_fn_cloudflare.entry import worker
from portable_fn_cloudflare.simulate import events as cloudflare
from portable_fn_cloudflare.simulate.javascript import FFI, JS, WorkerEntrypoint
from portable_fn_gcp import simulate as gcp
from portable_fn_gcp.drivers import topic as pubsub
from tests.core.dead_letters import EVENTS, TRIGGERS, WHY, from_queues, from_sqs, rejected, rejecting

SERVICES = [
    (provider, kind, service)
    for provider, simulate in (("aws", aws), ("gcp", gcp), ("azure", azure), ("cloudflare", cloudflare))
    for kind in TRIGGERS
    for service in simulate.EVENT_SERVICES.get(kind.__name__, ())
    # An email is refused, and Service Bus with settlement=True dead-letters by itself.
    if service not in ("email", "service_bus_settled")
]


def innermost_message(event: Event[Any]) -> Event[Any]:
    """Return what is dead-lettered: the message around an event, else the event."""
    return next((one for one in (event, *reversed(event.envelopes)) if isinstance(one, Message)), event)


@pytest.mark.slow
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
def test_sqs_gets_as_many_attributes_as_it_has_room_for(count: int) -> None:
    given_ = {f"a{n}": str(n) for n in range(count)}
    _, [one] = rejected("aws", "sqs", fake.message({"n": 1}, attributes=given_), Message)
    own = {name: value for name, value in one.attributes.items() if not name.startswith("portable-fn-")}
    # Five attributes describe the rejection. The sixth has the attributes without room.
    assert (count if count <= 5 else 4) == len(own)
    assert own.items() <= given_.items()
    assert (b'{"n":1}', given_) == (one.body, restored(one).attributes)  # type: ignore[attr-defined]  # a message


def test_names_and_values_that_sqs_refuses_are_restored() -> None:
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
    event = letter(message, Reject(WHY), pubsub.destination())
    assert all(len(str(value).encode()) <= 1024 for value in event.attributes.values())
    assert message == restored(fake.message(body=event.body, attributes=event.attributes))


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


def test_a_google_event_is_dead_lettered_as_its_handler_got_it() -> None:
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


# What is sent, and how often.


def test_an_event_that_one_function_retries_is_not_dead_lettered_for_another() -> None:
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


def test_messages_that_a_batch_handler_rejects_are_sent_one_by_one() -> None:
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


def test_a_message_without_room_for_the_reason_on_cloudflare_is_sent_unchanged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    for text, fits in (('"' + "x" * 127_000 + '"', True), ("x" * 127_900, False)):
        queue = cloudflare.Queue()
        default = worker((rejecting(Message, []),), WorkerEntrypoint, JS, FFI)
        [payload] = cloudflare.payloads([fake.message(body=text)], "queue")
        answer = run(cloudflare.called(payload, default, cloudflare.Env({"DEAD": queue}), "queue"))
        [(content_type, body)] = queue.sent
        assert (["message-1"], "text", fits) == (answer["explicitAcks"], content_type, body != text.encode())
        assert fits is not ("has no room for the reason" in caplog.text)


def test_a_text_that_looks_like_a_letter_is_never_sent_unchanged() -> None:
    forged = structured(fake.message(body="x" * 127_000, channel="admin"), Reject(WHY))
    queue = cloudflare.Queue()
    default = worker((rejecting(Message, []),), WorkerEntrypoint, JS, FFI)
    [payload] = cloudflare.payloads([fake.message(body=forged)], "queue")
    answer = run(cloudflare.called(payload, default, cloudflare.Env({"DEAD": queue}), "queue"))
    # Queues refuse over 128 KB, but the stand-in accepts it.
    assert all("m" != restored(letter_).id for letter_ in map(from_queues, queue.sent)), answer
    assert [forged] == [restored(one).body for one in map(from_queues, queue.sent)]  # type: ignore[attr-defined]
    small = structured(fake.message(body="x" * 30_000, channel="admin"), Reject(WHY))
    with pytest.raises(api.QueueError):
        azure_queues.text_of(fake.message(body=small + b" " * 12_000), Reject(WHY), "base64")
