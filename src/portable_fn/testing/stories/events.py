"""Tell what holds for every kind of event on every provider."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from portable_fn.events import Event, Message, Task
from portable_fn.testing import fake
from portable_fn.testing.stories import message_stories  # registers the stories of messages
from portable_fn.testing.stories.event_story import (
    ACK,
    AGAIN,
    DEAD,
    EVENT_STORIES,
    FAIL,
    Deliver,
    EventStory,
    StoryRun,
    body_of,
    messages,
    story,
    task,
)

__all__ = ["EVENT_STORIES", "EventStory", "StoryRun", "every_event", "message_stories", "messages"]

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
    run = deliver([fake.object("uploads", "picture.png", size=1234)])
    assert [ACK] == run.outcomes
    assert ("uploads", "picture.png", "created", 1234) == tuple(
        run.saw[name] for name in ("bucket", "key", "action", "size")
    )


@story("ObjectEvent", "odd keys arrive decoded")
def _(deliver: Deliver) -> None:
    for key in ODD_KEYS:
        assert key == deliver([fake.object("uploads", key, id=f"object {key}")]).saw["key"]


@story("ObjectEvent", "a deleted one arrives as such, with its odd key", "deletes")
def _(deliver: Deliver) -> None:
    run = deliver([fake.object("uploads", "a b+c%.png", action="deleted")])
    assert ("deleted", "a b+c%.png") == (run.saw["action"], run.saw["key"])


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
    run = deliver([fake.object("uploads", "retry.png")])
    assert [AGAIN] == run.outcomes
    assert 30 == run.delivery.results[0].waits


# Rows

ADA = {"id": "7", "name": "Ada", "age": 36, "tags": ["a", "b"], "address": {"city": "Zürich", "zip": None}, "ok": True}
EVE = {**ADA, "name": "Eve", "age": 36.5}


@story("ChangeEvent", "an inserted row arrives with its values")
def _(deliver: Deliver) -> None:
    run = deliver([fake.change("users", after=ADA)])
    assert [ACK] == run.outcomes
    assert ("users", "inserted", ADA) == tuple(run.saw[name] for name in ("table", "action", "after"))


@story("ChangeEvent", "an updated row arrives with its new values")
def _(deliver: Deliver) -> None:
    run = deliver([fake.change("users", before=ADA, after=EVE)])
    assert ("updated", EVE) == (run.saw["action"], run.saw["after"])


@story("ChangeEvent", "an updated row arrives with its old values too", "before-image")
def _(deliver: Deliver) -> None:
    assert ADA == deliver([fake.change("users", before=ADA, after=EVE)]).saw["before"]


@story("ChangeEvent", "a removed row arrives as such", "deletes")
def _(deliver: Deliver) -> None:
    run = deliver([fake.change("users", before=ADA)])
    assert ("removed", None) == (run.saw["action"], run.saw["after"])


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
    run = deliver(sent)
    assert [ACK, AGAIN, AGAIN] == run.outcomes
    assert 2 == len(run.seen)


@story("ChangeEvent", "a retry waits as long as the handler says", "retry delay")
def _(deliver: Deliver) -> None:
    run = deliver([fake.change("users", after={**ADA, "do": "retry", "after": 30})])
    assert [AGAIN] == run.outcomes
    assert 30 == run.delivery.results[0].waits


@story("ChangeEvent", "a rejected one is not lost")
def _(deliver: Deliver) -> None:
    assert deliver([fake.change("users", after={**ADA, "do": "reject"})]).outcomes in ([DEAD], [AGAIN])


@story("ChangeEvent", "a rejected one is dead-lettered", "reject")
def _(deliver: Deliver) -> None:
    assert [DEAD] == deliver([fake.change("users", after={**ADA, "do": "reject"})]).outcomes


@story("ChangeEvent", "a batch arrives whole", "batch", app="batch")
def _(deliver: Deliver) -> None:
    rows = [fake.change("users", after={**ADA, "id": id}, id=f"change-{id}", sequence=f"10{id}") for id in "123"]
    assert [3, 3, 3] == [call["together"] for call in deliver(rows).seen]


# Schedules


@story("ScheduleEvent", "it arrives with the time it was due")
def _(deliver: Deliver) -> None:
    due = datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=2)
    run = deliver([fake.schedule(at=due, cron="0 3 * * *")])
    assert [ACK] == run.outcomes
    assert run.saw["time"] is not None
    assert due == datetime.fromisoformat(run.saw["time"])
    assert False is run.saw["is_late"]


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
    run = deliver([fake.cloud_event("order.created", {"n": 1}, subject="orders/7", source="shop")])
    assert [ACK] == run.outcomes
    assert ("order.created", "event-1") == (run.saw["type"], run.saw["id"])
    assert run.saw["source"].endswith("shop")
    assert {"n": 1} == json.loads(body_of(run.saw))
    assert datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC) == datetime.fromisoformat(run.saw["time"])


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
    run = deliver([fake.cloud_event(body=every, content_type="application/octet-stream")])
    assert every == body_of(run.saw)


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
    run = deliver([fake.cloud_event(data={"do": "retry", "after": 30})])
    assert [AGAIN] == run.outcomes
    assert 30 == run.delivery.results[0].waits


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
    run = deliver([task({"do": "return", "value": value})])
    assert value == run.delivery.result
    assert {"do": "return", "value": value} == run.saw["input"]


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
    run = deliver([task({"do": "exit"})])
    assert run.delivery.error is not None


# Several kinds


def every_event() -> Sequence[Event[Any]]:
    """Make one event of each kind."""
    return [
        *messages({}),
        fake.object(),
        fake.change(after=ADA),
        fake.schedule(cron="0 3 * * *"),
        fake.cloud_event(data={}),
        task({}),
    ]


def _tell_of_deadline(event: Event[Any]) -> None:
    @story(type(event).__name__, "the function knows how much time is left", "deadline")
    def _(deliver: Deliver) -> None:
        assert True is deliver([event]).saw["remaining"]


def _tell_of_events_in_messages(event: Event[Any]) -> None:
    kind = type(event).__name__

    @story(kind, "one in a message reaches the function with via=", app="by messages")
    def _(deliver: Deliver) -> None:
        run = deliver([event])
        assert [ACK] == run.outcomes
        assert kind == run.saw["kind"]


for _event in every_event():
    _tell_of_deadline(_event)
    if not isinstance(_event, (Message, Task)):
        _tell_of_events_in_messages(_event)
