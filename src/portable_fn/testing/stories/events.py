"""What holds for every kind of event on every provider."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from portable_fn.events import Event, Message, Task
from portable_fn.record import Record
from portable_fn.testing import fake
from portable_fn.testing.results import Delivery, OutcomeWord

ACK, AGAIN, DEAD = "acknowledged", "retried", "dead-lettered"


class StoryRun(Record):
    """What became of the events, and what the functions saw of them."""

    _fields = ("delivery", "seen")

    def __init__(self, delivery: Delivery, seen: list[dict[str, Any]]) -> None:
        self.delivery = delivery
        self.seen = seen

    @property
    def outcomes(self) -> list[OutcomeWord]:
        return self.delivery.outcomes

    @property
    def saw(self) -> dict[str, Any]:
        """What the one call saw."""
        assert len(self.seen) == 1, self.seen
        return self.seen[0]


# Brings events that come together to the functions: deliver(events, seconds=30).
Deliver = Callable[..., StoryRun]


class EventStory(Record):
    """A named fact about a kind of event; `features` are those of portable_fn.adapter.capabilities that it shows.

    `app` is which of the functions it is told to: "each" gets events one by one, "batch" as they come, "failing" fails for
    each schedule, "among others" is for messages, with functions for all other kinds beside, "by messages" is for what comes in
    messages, with one for messages beside.
    """

    _fields = ("name",)

    def __init__(
        self, name: str, kind: str, features: tuple[str, ...], tell: Callable[[Deliver], None], app: str = "each"
    ) -> None:
        self.name = name
        self.kind = kind
        self.features = features
        self.tell = tell
        self.app = app


EVENT_STORIES: list[EventStory] = []
Tell = Callable[[Deliver], None]


def story(kind: str, name: str, *features: str, app: str = "each") -> Callable[[Tell], Tell]:
    def told(tell: Tell) -> Tell:
        EVENT_STORIES.append(EventStory(f"{kind}: {name}", kind, features, tell, app))
        return tell

    return told


def messages(*datas: Any, **fields: Any) -> list[Message[Any]]:
    """Messages of the data, numbered, each with a key of its own where there is none given."""
    given = {"key": None, **fields}
    return [
        fake.message(
            data,
            id=f"message-{number}",
            **{**given, "key": given["key"] or f"key-{number}", "partition": "0", "sequence": str(100 + number)},
        )
        for number, data in enumerate(datas, 1)
    ]


def task(data: Any) -> Task[Any]:
    """A call of the story's function."""
    return fake.task(data, name="function")


def body_of(seen: dict[str, Any]) -> bytes:
    return base64.b64decode(seen["body"])


def ids(told: StoryRun) -> list[str]:
    return [one["id"] for one in told.seen]


FAIL = {"do": "fail"}


# Messages


@story("Message", "it arrives with its data, once")
def _(deliver: Deliver) -> None:
    told = deliver(messages({"sku": "lamp", "n": [1, None, "é"]}))
    assert [ACK] == told.outcomes
    assert {"sku": "lamp", "n": [1, None, "é"]} == json.loads(body_of(told.saw))
    assert "Message" == told.saw["kind"]


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
    told = deliver([fake.message({"sku": "lamp"}, content_type="application/json")])
    assert "application/json" == told.saw["content_type"]


@story("Message", "its attributes arrive as text", "attributes")
def _(deliver: Deliver) -> None:
    attributes = {"tenant": "7", "city": "Zürich", "words": "two words"}
    told = deliver([fake.message({}, attributes=attributes)])
    assert attributes == {name: told.saw["attributes"].get(name) for name in attributes}


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
    told = deliver(messages(FAIL, FAIL, FAIL))
    assert [AGAIN] * 3 == told.outcomes


@story("Message", "those before a failed one are acknowledged", "partial failure")
def _(deliver: Deliver) -> None:
    assert [ACK, AGAIN] == deliver(messages({}, FAIL, {})).outcomes[:2]


@story("Message", "a failed one costs only itself")
def _(deliver: Deliver) -> None:
    told = deliver(messages({}, FAIL, {}))
    assert [ACK, AGAIN, ACK] == told.outcomes
    assert 3 == len(told.seen)


@story("Message", "several failed ones are reported one by one")
def _(deliver: Deliver) -> None:
    assert [AGAIN, ACK, AGAIN, ACK] == deliver(messages(FAIL, {}, FAIL, {})).outcomes


@story("Message", "a retry waits as long as the handler says", "retry delay")
def _(deliver: Deliver) -> None:
    told = deliver(messages({"do": "retry", "after": 30}))
    assert [AGAIN] == told.outcomes
    assert 30 == told.delivery.results[0].waits


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
    told = deliver(messages({"n": 1}, FAIL, {"n": 3}, key="one"))
    assert [ACK, AGAIN, AGAIN] == told.outcomes
    assert [{"n": 1}, FAIL] == [json.loads(body_of(one)) for one in told.seen]


@story("Message", "its key arrives")
def _(deliver: Deliver) -> None:
    assert "customer-7" == deliver(messages({}, key="customer-7")).saw["key"]


@story("Message", "one that is twice in a batch is handled once")
def _(deliver: Deliver) -> None:
    (sent,) = messages({"n": 1})
    told = deliver([sent, sent])
    assert [ACK, ACK] == told.outcomes
    assert 1 == len(told.seen)


@story("Message", "those not started when time runs short are redelivered")
def _(deliver: Deliver) -> None:
    # In process it need not take so long.
    second = getattr(deliver, "second", 1.0)
    # Three fit in, with time to spare for a slow start; a fourth never does.
    slow = {"do": "sleep", "seconds": 0.26 * second}
    told = deliver(messages(slow, slow, slow, slow, slow, key="one"), seconds=second)
    assert ACK == told.outcomes[0]
    assert AGAIN == told.outcomes[-1]
    assert len(told.seen) < 5
    assert [ACK] * len(told.seen) == told.outcomes[: len(told.seen)]


@story("Message", "a batch arrives whole", "batch", app="batch")
def _(deliver: Deliver) -> None:
    assert [3, 3, 3] == [one["together"] for one in deliver(messages({}, {}, {})).seen]


@story("Message", "a batch handler gets every message", app="batch")
def _(deliver: Deliver) -> None:
    told = deliver(messages({"n": 1}, {"n": 2}, {"n": 3}))
    assert [ACK] * 3 == told.outcomes
    assert [{"n": 1}, {"n": 2}, {"n": 3}] == [json.loads(body_of(one)) for one in told.seen]


@story("Message", "all are redelivered if a batch handler fails", app="batch")
def _(deliver: Deliver) -> None:
    assert [AGAIN] * 2 == deliver(messages(FAIL, FAIL)).outcomes


@story("Message", "a batch handler can retry one of them", app="batch")
def _(deliver: Deliver) -> None:
    assert [ACK, AGAIN] == deliver(messages({}, {"do": "retry"}, {})).outcomes[:2]


@story("Message", "a batch handler can reject one of them", app="batch")
def _(deliver: Deliver) -> None:
    told = deliver(messages({}, {"do": "reject"}))
    assert ACK == told.outcomes[0]
    assert told.outcomes[1] in (DEAD, AGAIN)


# Texts that look like what other sources put into messages.
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
    told = deliver(messages(*LOOKALIKES))
    assert [ACK] * len(LOOKALIKES) == told.outcomes
    assert ["Message"] * len(LOOKALIKES) == [one["kind"] for one in told.seen]
    assert LOOKALIKES == [json.loads(body_of(one)) for one in told.seen]


@story("Message", "whatever its attributes look like, it reaches only its own function", app="among others")
def _(deliver: Deliver) -> None:
    posing = {"eventType": "OBJECT_DELETE", "bucketId": "uploads", "objectId": "a.png", "objectGeneration": "1"}
    event = {"specversion": "1.0", "id": "1", "source": "shop", "type": "order.created"}
    for attributes in (posing, {f"ce-{name}": value for name, value in event.items()}):
        told = deliver([fake.message({}, attributes=attributes)])
        assert [ACK] == told.outcomes
        assert "Message" == told.saw["kind"]


# Objects

ODD_KEYS = (
    "plain.png",
    "a b.png",
    "a+b.png",
    "100%.png",
    "a%2Fb.png",
    "é/ü/☃.png",
    "deep/er/still.png",
    "q?x=1&y=2#z.png",
    "🦊.png",
    "quote'd\"name.png",
)


@story("ObjectEvent", "a created one arrives with its bucket, key and size")
def _(deliver: Deliver) -> None:
    told = deliver([fake.object("uploads", "picture.png", size=1234)])
    assert [ACK] == told.outcomes
    assert ("uploads", "picture.png", "created", 1234) == tuple(
        told.saw[name] for name in ("bucket", "key", "action", "size")
    )


@story("ObjectEvent", "odd keys arrive decoded")
def _(deliver: Deliver) -> None:
    for key in ODD_KEYS:
        assert key == deliver([fake.object("uploads", key, id=f"object {key}")]).saw["key"]


@story("ObjectEvent", "a deleted one arrives as such, with its odd key", "deletes")
def _(deliver: Deliver) -> None:
    told = deliver([fake.object("uploads", "a b+c%.png", action="deleted")])
    assert ("deleted", "a b+c%.png") == (told.saw["action"], told.saw["key"])


@story("ObjectEvent", "its id stays the same when it is redelivered")
def _(deliver: Deliver) -> None:
    sent = fake.object("uploads", "picture.png")
    assert deliver([sent]).saw["id"] == deliver([sent]).saw["id"] != ""


@story("ObjectEvent", "a failed one is redelivered", "retry")
def _(deliver: Deliver) -> None:
    assert [AGAIN] == deliver([fake.object("uploads", "fail.png")]).outcomes


@story("ObjectEvent", "a rejected one is not lost")
def _(deliver: Deliver) -> None:
    assert deliver([fake.object("uploads", "reject.png")]).outcomes in ([DEAD], [AGAIN])


@story("ObjectEvent", "a rejected one is dead-lettered", "reject")
def _(deliver: Deliver) -> None:
    assert [DEAD] == deliver([fake.object("uploads", "reject.png")]).outcomes


@story("ObjectEvent", "those before a failed one are acknowledged", "partial failure")
def _(deliver: Deliver) -> None:
    keys = ["a.png", "fail.png", "b.png"]
    assert [ACK, AGAIN] == deliver([fake.object("uploads", key, id=f"object-{key}") for key in keys]).outcomes[:2]


@story("ObjectEvent", "a retry waits as long as the handler says", "retry delay")
def _(deliver: Deliver) -> None:
    told = deliver([fake.object("uploads", "retry.png")])
    assert [AGAIN] == told.outcomes
    assert 30 == told.delivery.results[0].waits


# Rows

ADA = {"id": "7", "name": "Ada", "age": 36, "tags": ["a", "b"], "address": {"city": "Zürich", "zip": None}, "ok": True}
EVE = {**ADA, "name": "Eve", "age": 36.5}


@story("ChangeEvent", "an inserted row arrives with its values")
def _(deliver: Deliver) -> None:
    told = deliver([fake.change("users", after=ADA)])
    assert [ACK] == told.outcomes
    assert ("users", "inserted", ADA) == tuple(told.saw[name] for name in ("table", "action", "after"))


@story("ChangeEvent", "an updated row arrives with its new values")
def _(deliver: Deliver) -> None:
    told = deliver([fake.change("users", before=ADA, after=EVE)])
    assert ("updated", EVE) == (told.saw["action"], told.saw["after"])


@story("ChangeEvent", "an updated row arrives with its old values too", "before-image")
def _(deliver: Deliver) -> None:
    assert ADA == deliver([fake.change("users", before=ADA, after=EVE)]).saw["before"]


@story("ChangeEvent", "a removed row arrives as such", "deletes")
def _(deliver: Deliver) -> None:
    told = deliver([fake.change("users", before=ADA)])
    assert ("removed", None) == (told.saw["action"], told.saw["after"])


@story("ChangeEvent", "the row's key arrives")
def _(deliver: Deliver) -> None:
    assert "7" in map(str, deliver([fake.change("users", after=ADA)]).saw["row"].values())


@story("ChangeEvent", "a failed one is redelivered", "retry")
def _(deliver: Deliver) -> None:
    assert [AGAIN] == deliver([fake.change("users", after={**ADA, **FAIL})]).outcomes


@story("ChangeEvent", "those before a failed one are acknowledged", "partial failure")
def _(deliver: Deliver) -> None:
    rows = [{**ADA, "id": "1"}, {**ADA, "id": "2", **FAIL}, {**ADA, "id": "3"}]
    sent = [fake.change("users", after=row, id=f"change-{row['id']}", sequence=f"10{row['id']}") for row in rows]
    assert [ACK, AGAIN] == deliver(sent).outcomes[:2]


@story("ChangeEvent", "those after a failed one are redelivered, unhandled", "order")
def _(deliver: Deliver) -> None:
    rows = [{**ADA, "id": "1"}, {**ADA, "id": "2", **FAIL}, {**ADA, "id": "3"}]
    sent = [fake.change("users", after=row, id=f"change-{row['id']}", sequence=f"10{row['id']}") for row in rows]
    told = deliver(sent)
    assert [ACK, AGAIN, AGAIN] == told.outcomes
    assert 2 == len(told.seen)


@story("ChangeEvent", "a retry waits as long as the handler says", "retry delay")
def _(deliver: Deliver) -> None:
    told = deliver([fake.change("users", after={**ADA, "do": "retry", "after": 30})])
    assert [AGAIN] == told.outcomes
    assert 30 == told.delivery.results[0].waits


@story("ChangeEvent", "a rejected one is not lost")
def _(deliver: Deliver) -> None:
    assert deliver([fake.change("users", after={**ADA, "do": "reject"})]).outcomes in ([DEAD], [AGAIN])


@story("ChangeEvent", "a rejected one is dead-lettered", "reject")
def _(deliver: Deliver) -> None:
    assert [DEAD] == deliver([fake.change("users", after={**ADA, "do": "reject"})]).outcomes


@story("ChangeEvent", "a batch arrives whole", "batch", app="batch")
def _(deliver: Deliver) -> None:
    rows = [fake.change("users", after={**ADA, "id": id}, id=f"change-{id}", sequence=f"10{id}") for id in "123"]
    assert [3, 3, 3] == [one["together"] for one in deliver(rows).seen]


# Schedules


@story("ScheduleEvent", "it arrives with the time it was due")
def _(deliver: Deliver) -> None:
    due = datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=2)
    told = deliver([fake.schedule(at=due, cron="0 3 * * *")])
    assert [ACK] == told.outcomes
    assert told.saw["time"] is not None
    assert due == datetime.fromisoformat(told.saw["time"])
    assert False is told.saw["is_late"]


@story("ScheduleEvent", "a late one says so")
def _(deliver: Deliver) -> None:
    due = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=2)
    assert True is deliver([fake.schedule(at=due, cron="0 3 * * *", is_late=True)]).saw["is_late"]


@story("ScheduleEvent", "its id stays the same when it is redelivered")
def _(deliver: Deliver) -> None:
    sent = fake.schedule(cron="0 3 * * *")
    assert deliver([sent]).saw["id"] == deliver([sent]).saw["id"] != ""


@story("ScheduleEvent", "its input arrives")
def _(deliver: Deliver) -> None:
    assert {"report": "sales"} == deliver([fake.schedule(input={"report": "sales"}, cron="0 3 * * *")]).saw["input"]


@story("ScheduleEvent", "a failed one is redelivered", "retry", app="failing")
def _(deliver: Deliver) -> None:
    assert [AGAIN] == deliver([fake.schedule(cron="0 3 * * *")]).outcomes


# Events of a bus


@story("CloudEvent", "it arrives with its id, source and type")
def _(deliver: Deliver) -> None:
    told = deliver([fake.cloud_event("order.created", {"n": 1}, subject="orders/7", source="shop")])
    assert [ACK] == told.outcomes
    assert ("order.created", "event-1") == (told.saw["type"], told.saw["id"])
    assert told.saw["source"].endswith("shop")
    assert {"n": 1} == json.loads(body_of(told.saw))
    assert datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC) == datetime.fromisoformat(told.saw["time"])


@story("CloudEvent", "its subject arrives")
def _(deliver: Deliver) -> None:
    assert "orders/7 é" == deliver([fake.cloud_event(subject="orders/7 é")]).saw["subject"]


@story("CloudEvent", "its extensions arrive", "attributes")
def _(deliver: Deliver) -> None:
    sent = {"tenant": "7", "city": "Zürich"}
    extensions = deliver([fake.cloud_event(data={}, extensions=sent)]).saw["extensions"]
    assert sent == {name: extensions.get(name) for name in sent}


@story("CloudEvent", "bytes stay bytes", "binary body")
def _(deliver: Deliver) -> None:
    every = bytes(range(256))
    told = deliver([fake.cloud_event(body=every, content_type="application/octet-stream")])
    assert every == body_of(told.saw)


@story("CloudEvent", "one of an unknown type arrives")
def _(deliver: Deliver) -> None:
    assert (
        "com.example.nobody/knows#this" == deliver([fake.cloud_event("com.example.nobody/knows#this", {})]).saw["type"]
    )


@story("CloudEvent", "a failed one is redelivered", "retry")
def _(deliver: Deliver) -> None:
    assert [AGAIN] == deliver([fake.cloud_event(data=FAIL)]).outcomes


@story("CloudEvent", "a retry waits as long as the handler says", "retry delay")
def _(deliver: Deliver) -> None:
    told = deliver([fake.cloud_event(data={"do": "retry", "after": 30})])
    assert [AGAIN] == told.outcomes
    assert 30 == told.delivery.results[0].waits


@story("CloudEvent", "those before a failed one are acknowledged", "partial failure")
def _(deliver: Deliver) -> None:
    sent = [fake.cloud_event(data=data, id=f"event-{number}") for number, data in enumerate([{}, FAIL, {}])]
    assert [ACK, AGAIN] == deliver(sent).outcomes[:2]


@story("CloudEvent", "a rejected one is not lost")
def _(deliver: Deliver) -> None:
    assert deliver([fake.cloud_event(data={"do": "reject"})]).outcomes in ([DEAD], [AGAIN])


@story("CloudEvent", "a returned one is the reply", "reply")
def _(deliver: Deliver) -> None:
    reply = deliver([fake.cloud_event(data={"do": "reply"})]).delivery.result
    assert reply is not None
    assert ("reply-1", "order.shipped", {"n": 1}) == (reply.id, reply.type, reply.data)


@story("CloudEvent", "a rejected one is dead-lettered", "reject")
def _(deliver: Deliver) -> None:
    assert [DEAD] == deliver([fake.cloud_event(data={"do": "reject"})]).outcomes


@story("CloudEvent", "one with unreadable data is dead-lettered", "reject")
def _(deliver: Deliver) -> None:
    event = fake.cloud_event(data={})
    event.body = b'{"do": "read"'
    assert [DEAD] == deliver([event]).outcomes


# Tasks


@story("Task", "it passes a value in and a value out", "reply")
def _(deliver: Deliver) -> None:
    value = {"n": [1, 2.5, None, True, "é"], "nested": {"a": {}}}
    told = deliver([task({"do": "return", "value": value})])
    assert value == told.delivery.result
    assert {"do": "return", "value": value} == told.saw["input"]


@story("Task", "nothing returned is null")
def _(deliver: Deliver) -> None:
    assert None is deliver([task({})]).delivery.result


@story("Task", "an error reaches the caller by its name and message")
def _(deliver: Deliver) -> None:
    assert ("OutOfStock", "told to fail") == deliver([task(FAIL)]).delivery.error


@story("Task", "the reason of a Reject reaches the caller")
def _(deliver: Deliver) -> None:
    assert ("Reject", "told to") == deliver([task({"do": "reject"})]).delivery.error


@story("Task", "a function that exits is an error to the caller")
def _(deliver: Deliver) -> None:
    told = deliver([task({"do": "exit"})])
    assert told.delivery.error is not None


# All of them


def every_event() -> Sequence[Event[Any]]:
    """One of each kind."""
    return [
        *messages({}),
        fake.object(),
        fake.change(after=ADA),
        fake.schedule(cron="0 3 * * *"),
        fake.cloud_event(data={}),
        task({}),
    ]


def _of_every_kind(event: Event[Any]) -> None:
    @story(type(event).__name__, "the function knows how much time is left", "deadline")
    def _(deliver: Deliver) -> None:
        assert True is deliver([event]).saw["remaining"]


def _of_what_messages_hold(event: Event[Any]) -> None:
    kind = type(event).__name__

    @story(kind, "one in a message reaches the function with via=", app="by messages")
    def _(deliver: Deliver) -> None:
        told = deliver([event])
        assert [ACK] == told.outcomes
        assert kind == told.saw["kind"]


for _event in every_event():
    _of_every_kind(_event)
    if not isinstance(_event, (Message, Task)):
        _of_what_messages_hold(_event)
