"""Messages with equal ids from their sender are each handled, unless one is a duplicate of another."""

from __future__ import annotations

import json
from typing import Any

import pytest

from portable_fn import Batch, Message, Retry, on, portable
from portable_fn_aws import entry
from portable_fn_aws.simulate import LambdaContext
from tests.aws import samples
from tests.aws.samples import b64

seen: list[bytes] = []


@pytest.fixture(autouse=True)
def _nothing_seen() -> None:
    seen.clear()


@portable
def each(event: Message) -> None:
    seen.append(event.body)


@portable
async def each_async(event: Message) -> None:
    seen.append(event.body)


@portable
def whole(batch: Batch[Message]) -> None:
    seen.extend(event.body for event in batch)


EVERY = pytest.mark.parametrize("handler", [each, each_async, whole])


def rabbitmq(*bodies: bytes, **properties: Any) -> dict[str, Any]:
    records = [
        {"basicProperties": {"messageId": "chosen", **properties}, "data": b64(body), "redelivered": False}
        for body in bodies
    ]
    return {"eventSource": "aws:rmq", "eventSourceArn": samples.BROKER, "rmqMessagesByQueue": {"orders::/": records}}


def activemq(*bodies: bytes) -> dict[str, Any]:
    records = [
        {"messageID": "ID:chosen", "destination": {"physicalName": "orders"}, "data": b64(body)} for body in bodies
    ]
    return {"eventSource": "aws:mq", "eventSourceArn": samples.BROKER, "messages": records}


def sns(*texts: bytes) -> dict[str, Any]:
    """Return SQS records with an SNS envelope; anyone who may send to the queue can write one."""
    bodies = [json.dumps({**samples.ENVELOPE, "Message": text.decode(), "SequenceNumber": None}) for text in texts]
    return {
        "Records": [{**samples.SQS_BARE, "messageId": f"m-{place}", "body": body} for place, body in enumerate(bodies)]
    }


@EVERY
@pytest.mark.parametrize("render", [rabbitmq, activemq, sns])
def test_two_messages_with_equal_ids_from_their_sender_are_both_handled(handler: Any, render: Any) -> None:
    entry(handler)(render(b"1", b"2", b"1", b"3"), LambdaContext())
    assert [b"1", b"2", b"3"] == sorted(seen)


@EVERY
def test_a_pipe_delivers_both_of_two_messages_with_equal_ids(handler: Any) -> None:
    records = rabbitmq(b"1", b"2")["rmqMessagesByQueue"]["orders::/"]
    source = {"eventSource": "aws:rmq", "eventSourceArn": samples.BROKER, "eventSourceKey": "orders::/"}
    entry(handler)([{**source, **record} for record in records], LambdaContext())
    assert [b"1", b"2"] == sorted(seen)


@EVERY
def test_a_header_distinguishes_two_messages_with_equal_ids_and_bodies(handler: Any) -> None:
    native = rabbitmq(b"1")
    records = native["rmqMessagesByQueue"]["orders::/"]
    for operation in ("create", "delete"):
        records.append({**records[0], "basicProperties": {"messageId": "chosen", "headers": {"operation": operation}}})
    entry(handler)(native, LambdaContext())
    assert [b"1"] * 3 == seen


@EVERY
def test_the_same_message_in_two_queues_is_handled_twice(handler: Any) -> None:
    native = rabbitmq(b"1")
    native["rmqMessagesByQueue"]["orders-of-others::/"] = rabbitmq(b"2")["rmqMessagesByQueue"]["orders::/"]
    entry(handler)(native, LambdaContext())
    assert [b"1", b"2"] == sorted(seen)


def test_two_envelopes_with_equal_ids_have_separate_outcomes() -> None:
    @portable(on.queue("orders"))
    def some_fail(event: Message) -> None:
        if event.text == "2":
            raise Retry

    answer = entry(some_fail)(sns(b"1", b"2", b"2", b"1"), LambdaContext())
    assert {"batchItemFailures": [{"itemIdentifier": "m-1"}, {"itemIdentifier": "m-2"}]} == answer
