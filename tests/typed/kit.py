"""What an editor infers for the testing kit and for triggers."""

from __future__ import annotations

from typing import Any, Literal, assert_type

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from portable_fn import (
    Batch,
    ChangeEvent,
    CloudEvent,
    Context,
    Event,
    Message,
    ObjectEvent,
    Request,
    ScheduleEvent,
    Task,
    on,
    portable,
)
from portable_fn.testing import deliver, fake, parse, strategies
from portable_fn.testing.plugin import Deliver
from portable_fn.testing.results import Answer, Delivery, EventResult


@portable
def ship(order: Message[dict[str, int]]) -> None: ...


assert_type(fake.request("POST", "/", json={}), Request[Any])
assert_type(fake.message({}, attempt=3), Message[Any])
assert_type(fake.batch([1, 2]), Batch[Any])
assert_type(fake.object("uploads", "a b.png"), ObjectEvent[Any])
assert_type(fake.change("users", after={}), ChangeEvent[Any])
assert_type(fake.schedule(), ScheduleEvent[Any])
assert_type(fake.cloud_event("order.created", {}), CloudEvent[Any])
assert_type(fake.task({}), Task[Any])
assert_type(fake.context(), Context)

assert_type(deliver(ship, fake.request()), Answer)
assert_type(deliver(ship, fake.message(), to="gcp", via="pubsub_push", seconds=3), Delivery)
assert_type(deliver(ship, fake.batch([1])), Delivery)
assert_type(deliver(ship, [fake.message(), fake.message()]), Delivery)
assert_type(deliver(ship, fake.task()).result, Any)
assert_type(deliver(ship, fake.message()).outcomes, list[Literal["acknowledged", "retried", "dead-lettered", "lost"]])
assert_type(deliver(ship, fake.message()).results, list[EventResult])
assert_type(deliver(ship, fake.request()).cookies, list[str])
assert_type(deliver(ship, fake.request(), to="all"), dict[str, Answer])
assert_type(deliver(ship, fake.message(), to=["aws", "gcp"]), dict[str, Delivery])

assert_type(parse({}), Event[Any] | list[Event[Any]])
assert_type(parse({}, "aws", kind=Message), Message[Any])
assert_type(parse({}, kind=Message[dict[str, int]]).data, dict[str, int])
assert_type(parse({}, "gcp", kind=Batch[ChangeEvent]), Batch[ChangeEvent[Any]])
assert_type(deliver(ship, parse({}, kind=Message)), Delivery)
assert_type(deliver(ship, parse({}, kind=Batch)), Delivery)
assert_type(deliver(ship, parse({}, kind=Request)), Answer)


def test_by_the_fixture(deliver: Deliver, context: Context) -> None:
    assert_type(deliver(ship, fake.request()), Answer)
    assert_type(deliver(ship, fake.message(), to="gcp"), Delivery)
    assert_type(deliver(ship, fake.request(), to="all"), dict[str, Answer])
    assert_type(deliver(ship, fake.message(), to=["aws", "gcp"], cold_start=True), dict[str, Delivery])
    assert_type(deliver.service, str | None)


assert_type(on.http("GET", "/"), on.HTTPTrigger)
assert_type(on.queue("orders", retry=on.RetryPolicy(attempts=3)), on.MessageTrigger)
assert_type(on.topic("orders"), on.MessageTrigger)
assert_type(on.stream("orders"), on.MessageTrigger)
assert_type(on.object("uploads", "created", prefix="in/"), on.ObjectTrigger)
assert_type(on.change("users", "removed"), on.ChangeTrigger)
assert_type(on.schedule("0 3 * * *"), on.ScheduleTrigger)
assert_type(on.event("order.created"), on.EventTrigger)
assert_type(on.task(), on.TaskTrigger)

assert_type(strategies.messages(attempt=st.just(3)), SearchStrategy[Message[Any]])
assert_type(strategies.batches(), SearchStrategy[Batch[Message[Any]]])
assert_type(strategies.batches(strategies.changes(), max_size=3), SearchStrategy[Batch[ChangeEvent[Any]]])
assert_type(strategies.objects(), SearchStrategy[ObjectEvent[Any]])
assert_type(strategies.changes(), SearchStrategy[ChangeEvent[Any]])
assert_type(strategies.schedules(), SearchStrategy[ScheduleEvent[Any]])
assert_type(strategies.cloud_events(), SearchStrategy[CloudEvent[Any]])
assert_type(strategies.tasks(), SearchStrategy[Task[Any]])
assert_type(strategies.requests(json=st.integers()), SearchStrategy[Request[Any]])


@given(strategies.messages(data=st.fixed_dictionaries({"n": st.integers()})))
def test_by_a_strategy(order: Message[dict[str, int]]) -> None:
    assert_type(order.data["n"], int)
