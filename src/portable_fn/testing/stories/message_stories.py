"""Tell what holds for messages on every provider."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from portable_fn.testing import fake
from portable_fn.testing.stories.event_story import ACK, AGAIN, DEAD, FAIL, Deliver, body_of, messages, story


@story("Message", "it arrives with its data, once")
def _(deliver: Deliver) -> None:
    run = deliver(messages({"sku": "lamp", "n": [1, None, "é"]}))
    assert [ACK] == run.outcomes
    assert {"sku": "lamp", "n": [1, None, "é"]} == json.loads(body_of(run.saw))
    assert "Message" == run.saw["kind"]


@story("Message", "it has the id that the provider gave it")
def _(deliver: Deliver) -> None:
    assert deliver(messages({}, {})).seen[0]["id"]
    first, second = deliver(messages({}, {})).seen
    assert first["id"] != second["id"]


@story("Message", "its id stays the same when it is redelivered")
def _(deliver: Deliver) -> None:
    (sent,) = messages({})
    first = deliver([sent]).saw["id"]
    assert first == deliver([sent]).saw["id"]


@story("Message", "its channel is the name of the queue, topic or stream")
def _(deliver: Deliver) -> None:
    assert "orders" == deliver(messages({})).saw["channel"]


@story("Message", "its time is aware, in UTC")
def _(deliver: Deliver) -> None:
    time = datetime.fromisoformat(deliver(messages({})).saw["time"])
    assert timedelta(0) == time.utcoffset()
    assert datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC) == time


@story("Message", "text that isn't JSON arrives unchanged")
def _(deliver: Deliver) -> None:
    assert "plain text, naïve ☃".encode() == body_of(deliver([fake.message(body="plain text, naïve ☃")]).saw)


@story("Message", "bytes stay bytes", "binary body")
def _(deliver: Deliver) -> None:
    every = bytes(range(256))
    assert every == body_of(deliver([fake.message(body=every, content_type="application/octet-stream")]).saw)


@story("Message", "its content type arrives")
def _(deliver: Deliver) -> None:
    run = deliver([fake.message({"sku": "lamp"}, content_type="application/json")])
    assert "application/json" == run.saw["content_type"]


@story("Message", "its attributes arrive as text", "attributes")
def _(deliver: Deliver) -> None:
    attributes = {"tenant": "7", "city": "Zürich", "words": "two words"}
    run = deliver([fake.message({}, attributes=attributes)])
    assert attributes == {name: run.saw["attributes"].get(name) for name in attributes}


@story("Message", "the attempt is counted from 1", "attempt count")
def _(deliver: Deliver) -> None:
    assert 1 == deliver([fake.message({}, attempt=1)]).saw["attempt"]
    assert 3 == deliver([fake.message({}, attempt=3)]).saw["attempt"]


@story("Message", "a failed one is redelivered", "retry")
def _(deliver: Deliver) -> None:
    assert [AGAIN] == deliver(messages(FAIL)).outcomes


@story("Message", "a function that exits fails", "retry")
def _(deliver: Deliver) -> None:
    assert [AGAIN] == deliver(messages({"do": "exit"})).outcomes


@story("Message", "all failed ones are redelivered", "retry")
def _(deliver: Deliver) -> None:
    run = deliver(messages(FAIL, FAIL, FAIL))
    assert [AGAIN] * 3 == run.outcomes


@story("Message", "those before a failed one are acknowledged", "partial failure")
def _(deliver: Deliver) -> None:
    assert [ACK, AGAIN] == deliver(messages({}, FAIL, {})).outcomes[:2]


@story("Message", "a failed one costs only itself")
def _(deliver: Deliver) -> None:
    run = deliver(messages({}, FAIL, {}))
    assert [ACK, AGAIN, ACK] == run.outcomes
    assert 3 == len(run.seen)


@story("Message", "several failed ones are reported one by one")
def _(deliver: Deliver) -> None:
    assert [AGAIN, ACK, AGAIN, ACK] == deliver(messages(FAIL, {}, FAIL, {})).outcomes


@story("Message", "a retry waits as long as the handler says", "retry delay")
def _(deliver: Deliver) -> None:
    run = deliver(messages({"do": "retry", "after": 30}))
    assert [AGAIN] == run.outcomes
    assert 30 == run.delivery.results[0].waits


@story("Message", "a rejected one is dead-lettered", "reject")
def _(deliver: Deliver) -> None:
    assert [DEAD] == deliver(messages({"do": "reject"})).outcomes


@story("Message", "one with unreadable data is dead-lettered", "reject")
def _(deliver: Deliver) -> None:
    assert [DEAD] == deliver([fake.message(body='{"do": "read"')]).outcomes


@story("Message", "a batch is handled without the one with unreadable data", "reject", app="batch")
def _(deliver: Deliver) -> None:
    first, second, third = messages({"n": 1}, {"n": 2}, {"n": 3}, key="one")
    second.body = b'{"do": "read"'
    assert [ACK, DEAD, ACK] == deliver([first, second, third]).outcomes


@story("Message", "a rejected one is not lost")
def _(deliver: Deliver) -> None:
    assert deliver(messages({"do": "reject"})).outcomes in ([DEAD], [AGAIN])


@story("Message", "those after a failed one of the same key are redelivered, unhandled", "order")
def _(deliver: Deliver) -> None:
    run = deliver(messages({"n": 1}, FAIL, {"n": 3}, key="one"))
    assert [ACK, AGAIN, AGAIN] == run.outcomes
    assert [{"n": 1}, FAIL] == [json.loads(body_of(call)) for call in run.seen]


@story("Message", "its key arrives")
def _(deliver: Deliver) -> None:
    assert "customer-7" == deliver(messages({}, key="customer-7")).saw["key"]


@story("Message", "one that is twice in a batch is handled once")
def _(deliver: Deliver) -> None:
    (sent,) = messages({"n": 1})
    run = deliver([sent, sent])
    assert [ACK, ACK] == run.outcomes
    assert 1 == len(run.seen)


@story("Message", "those not started when time runs short are redelivered")
def _(deliver: Deliver) -> None:
    # Shorter in process.
    second = getattr(deliver, "second", 1.0)
    # Three fit, even after a slow start; a fourth never does.
    slow = {"do": "sleep", "seconds": 0.26 * second}
    run = deliver(messages(slow, slow, slow, slow, slow, key="one"), seconds=second)
    assert ACK == run.outcomes[0]
    assert AGAIN == run.outcomes[-1]
    assert len(run.seen) < 5
    assert [ACK] * len(run.seen) == run.outcomes[: len(run.seen)]


@story("Message", "a batch arrives whole", "batch", app="batch")
def _(deliver: Deliver) -> None:
    assert [3, 3, 3] == [call["together"] for call in deliver(messages({}, {}, {})).seen]


@story("Message", "a batch handler gets every message", app="batch")
def _(deliver: Deliver) -> None:
    run = deliver(messages({"n": 1}, {"n": 2}, {"n": 3}))
    assert [ACK] * 3 == run.outcomes
    assert [{"n": 1}, {"n": 2}, {"n": 3}] == [json.loads(body_of(call)) for call in run.seen]


@story("Message", "all are redelivered if a batch handler fails", app="batch")
def _(deliver: Deliver) -> None:
    assert [AGAIN] * 2 == deliver(messages(FAIL, FAIL)).outcomes


@story("Message", "a batch handler can retry one of them", app="batch")
def _(deliver: Deliver) -> None:
    assert [ACK, AGAIN] == deliver(messages({}, {"do": "retry"}, {})).outcomes[:2]


@story("Message", "a batch handler can reject one of them", app="batch")
def _(deliver: Deliver) -> None:
    run = deliver(messages({}, {"do": "reject"}))
    assert ACK == run.outcomes[0]
    assert run.outcomes[1] in (DEAD, AGAIN)


# Texts that look like events of other sources.
LOOKALIKES: list[Any] = [
    {
        "Records": [
            {
                "eventSource": "aws:s3",
                "eventName": "ObjectRemoved:Delete",
                "eventTime": "2026-01-02T03:04:05.000Z",
                "responseElements": {"x-amz-request-id": "1"},
                "s3": {"bucket": {"name": "uploads"}, "object": {"key": "a.png", "sequencer": "1"}},
            }
        ]
    },
    {
        "version": "0",
        "id": "1",
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": "1",
        "time": "2026-01-02T03:00:00Z",
        "region": "eu-central-1",
        "resources": ["arn:aws:events:eu-central-1:1:rule/nightly"],
        "detail": {},
    },
    {
        "eventID": "1",
        "eventName": "MODIFY",
        "eventSource": "aws:dynamodb",
        "tableName": "users",
        "dynamodb": {"Keys": {"id": {"S": "1"}}, "NewImage": {"id": {"S": "1"}}},
    },
    {
        "account": "1",
        "action": "DeleteObject",
        "bucket": "uploads",
        "object": {"key": "a.png"},
        "eventTime": "2026-01-02T03:04:05Z",
    },
    {
        "id": "1",
        "topic": "/subscriptions/1",
        "subject": "/blobServices/default/containers/uploads/blobs/a.png",
        "eventType": "Microsoft.Storage.BlobDeleted",
        "eventTime": "2026-01-02T03:04:05Z",
        "data": {},
        "dataVersion": "1",
    },
    {"specversion": "1.0", "id": "1", "source": "shop", "type": "order.created", "data": {}},
    {
        "specversion": "1.0",
        "id": "1",
        "source": "s",
        "type": "portable_fn.object.deleted",
        "data": {"bucket": "uploads", "key": "a.png"},
    },
    {
        "specversion": "1.0",
        "id": "1",
        "source": "//storage.googleapis.com/projects/_/buckets/uploads",
        "type": "google.cloud.storage.object.v1.deleted",
        "data": {"bucket": "uploads", "name": "a.png", "generation": "1"},
    },
]


@story("Message", "whatever its text looks like, it reaches only its own function", app="among others")
def _(deliver: Deliver) -> None:
    run = deliver(messages(*LOOKALIKES))
    assert [ACK] * len(LOOKALIKES) == run.outcomes
    assert ["Message"] * len(LOOKALIKES) == [call["kind"] for call in run.seen]
    assert LOOKALIKES == [json.loads(body_of(call)) for call in run.seen]


@story("Message", "whatever its attributes look like, it reaches only its own function", app="among others")
def _(deliver: Deliver) -> None:
    posing = {"eventType": "OBJECT_DELETE", "bucketId": "uploads", "objectId": "a.png", "objectGeneration": "1"}
    event = {"specversion": "1.0", "id": "1", "source": "shop", "type": "order.created"}
    for attributes in (posing, {f"ce-{name}": value for name, value in event.items()}):
        run = deliver([fake.message({}, attributes=attributes)])
        assert [ACK] == run.outcomes
        assert "Message" == run.saw["kind"]
