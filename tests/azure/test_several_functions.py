"""Deliver events to several functions of an app."""

from __future__ import annotations

from typing import Any

import pytest

from portable_fn import (
    ChangeEvent,
    CloudEvent,
    ConfigurationError,
    Context,
    Message,
    ObjectEvent,
    Reject,
    Request,
    ScheduleEvent,
    Task,
    on,
    portable,
)
from portable_fn.testing import Duplicates, Redelivery, deliver, fake
from tests.azure.event_handlers import Busy, wired


def several(*triggers: Any) -> tuple[list[Any], list[tuple[str, Any]]]:
    """Return a function for each trigger, and a list of their calls: the function's name and the event."""
    got: list[tuple[str, Any]] = []

    def one_for(name: str, trigger: Any) -> Any:
        def function(event: Any) -> None:
            got.append((name, event))
            if f"{name} fails" in (getattr(event, "text", ""), getattr(event, "key", "")):
                raise Busy
            if f"{name} rejects" == getattr(event, "text", ""):
                raise Reject("not for us")

        function.__name__ = name
        function.__annotations__["event"] = {
            "object": ObjectEvent, "change": ChangeEvent, "schedule": ScheduleEvent, "event": CloudEvent, "task": Task,
            "http": Request,
        }.get(trigger.word, Message)  # fmt: skip
        return portable(trigger)(function)

    return [one_for(name, trigger) for name, trigger in zip("abc", triggers, strict=False)], got


@pytest.mark.parametrize(
    ("triggers", "event", "called"),
    [
        ((on.topic("orders"), on.topic("orders"), on.topic("bills")), fake.message(0), "ab"),
        ((on.queue("orders"), on.queue("bills"), on.topic("orders")), fake.message(0, channel="bills"), "b"),
        ((on.topic("orders"), on.topic("orders")), fake.message(0, channel="another name"), "ab"),
        ((on.stream("orders"), on.stream("orders"), on.queue("orders")), fake.message(0), "ab"),
        ((on.object("uploads"), on.object("others"), on.object("uploads")), fake.object(body=b""), "ac"),
        ((on.change("users"), on.change("shop/users"), on.change("bills")), fake.change("users", after={"id": "1"}), "ab"),
        ((on.schedule("0 3 * * *"), on.schedule("0 4 * * *")), fake.schedule(cron="0 4 * * *"), "b"),
        ((on.task("one"), on.task("two")), fake.task(0, name="two"), "b"),
        ((on.event("a.b"), on.event(), on.event("c.d")), fake.cloud_event("a.b", 0), "ab"),
        ((on.http(), on.queue("orders")), fake.message(0), "b"),
    ],
)  # fmt: skip
def test_every_function_whose_trigger_names_the_source_is_called(
    triggers: tuple[Any, ...], event: Any, called: str
) -> None:
    functions, got = several(*triggers)
    assert ["acknowledged"] == deliver(functions, event, to="azure").outcomes
    assert list(called) == [name for name, _ in got]


def test_a_function_is_called_once_for_each_trigger_of_the_source() -> None:
    [function], got = several(on.topic("orders"))
    twice = portable(on.topic("orders"), on.topic("bills"))(function.__portable__.handler)
    for channel in ("bills", "orders"):
        deliver(twice, fake.message(0, channel=channel), to="azure", via="service_bus_topic")
    assert ["bills", "orders"] == [event.channel for _, event in got]


@pytest.mark.parametrize(
    ("text", "outcome"), [("a fails", "retried"), ("b fails", "retried"), ("b rejects", "dead-lettered"), ("", "acknowledged")]
)  # fmt: skip
def test_the_result_of_an_event_is_the_worst_of_all_functions(text: str, outcome: str) -> None:
    functions, got = several(*[on.topic("orders", dead_letter="bad")] * 2)
    ids = ["first", "second"]
    events = [fake.message(body=body, id=id) for id, body in zip(ids, (text.encode(), b""), strict=True)]
    assert [outcome, "acknowledged"] == deliver(functions, events, to="azure").outcomes
    assert [("a", 0), ("a", 1), ("b", 0), ("b", 1)] == [(name, ids.index(event.id)) for name, event in got]


@pytest.mark.parametrize("service", ["service_bus_topic", "event_grid"])
def test_an_event_is_redelivered_only_to_functions_that_have_not_handled_it(service: str) -> None:
    got: list[tuple[str, str, int]] = []

    def one_for(name: str, kind: type[Any], trigger: Any, fails: dict[str, int]) -> Any:
        def function(event: Any) -> None:
            times = sum(call[:2] == (name, event.id) for call in got) + 1
            got.append((name, event.id, times))
            if times <= fails.get(event.id, 0):
                raise Busy

        function.__name__ = name
        function.__annotations__["event"] = kind
        return portable(trigger)(function)

    if service == "event_grid":
        events: list[Any] = [fake.object(id=id) for id in ("first", "second", "third")]
        kind: type[Any] = ObjectEvent
        trigger: Any = on.object("uploads")
    else:
        events = [fake.message(0, id=id) for id in ("first", "second", "third")]
        kind, trigger = Message, on.topic("orders")
    functions = [
        one_for("a", kind, trigger, {"first": 2, "third": 1}),
        one_for("b", kind, trigger, {"second": 1, "third": 9}),
    ]
    delivery = deliver(functions, events, to="azure", via=service, redelivery=Redelivery(max_attempts=3))

    assert ["acknowledged", "acknowledged", "dead-lettered"] == delivery.outcomes
    assert [3, 2, 3] == delivery.attempts
    times = {(name, id): count for name, id, count in got}
    assert {
        ("a", "first"): 3, ("a", "second"): 1, ("a", "third"): 2,
        ("b", "first"): 1, ("b", "second"): 2, ("b", "third"): 3,
    } == times  # fmt: skip


def test_a_rejection_by_one_function_stays_when_another_gets_the_event_again() -> None:
    times: list[int] = []

    @portable(on.topic("orders", dead_letter="bad"))
    def picky(order: Message) -> None:
        raise Reject("not for us")

    @portable(on.topic("orders"))
    def late(order: Message) -> None:
        times.append(1)
        if len(times) == 1:
            raise Busy

    delivery = deliver([picky, late], fake.message(0), to="azure", redelivery=Redelivery())
    assert (["dead-lettered"], [2], 2) == (delivery.outcomes, delivery.attempts, len(times))


def test_a_duplicate_reaches_all_functions_again() -> None:
    functions, got = several(on.topic("orders"), on.topic("orders"))
    deliver(functions, fake.message(0), to="azure", failures=[Duplicates()])
    assert list("abab") == [name for name, _ in got]


@pytest.mark.parametrize("cold_start", [False, True])
def test_each_invocation_of_a_delivery_can_be_a_cold_start(
    cold_start: bool,
) -> None:
    seen: list[bool] = []

    @portable(on.queue("orders"))
    def ship(order: Message, ctx: Context) -> None:
        seen.append(ctx.cold_start)

    deliver(ship, fake.batch([1, 2]), to="azure", via="service_bus_queue", cold_start=cold_start)
    assert [True, cold_start] == seen


def test_events_of_several_queues_reach_the_functions_of_each() -> None:
    functions, got = several(on.queue("orders"), on.queue("bills"))
    events = [fake.message(n, channel=channel, id=str(n)) for n, channel in enumerate(("bills", "orders", "bills"))]
    for service in ("storage_queue", "service_bus_queue"):
        assert ["acknowledged"] * 3 == deliver(functions, events, to="azure", via=service).outcomes
        assert [("a", 1), ("b", 0), ("b", 2)] == sorted((name, event.data) for name, event in got)
        got.clear()


def test_an_event_that_no_function_takes_is_an_error_that_lists_the_functions() -> None:
    functions, _ = several(on.queue("orders"), on.queue("bills"))
    with pytest.raises(
        ValueError, match=r"no function takes a Message of 'clicks'; there are a \(orders\), b \(bills\)"
    ):
        deliver(functions, fake.message(0, channel="clicks"), to="azure")


def test_deliver_refuses_two_functions_of_one_queue_as_entry_does() -> None:
    functions, _ = several(on.queue("orders"), on.queue("orders"))
    with pytest.raises(ConfigurationError, match="gives each event to only one of them"):
        deliver(functions, fake.message(0), to="azure")


@pytest.mark.parametrize(
    ("trigger", "event", "service"),
    [
        (on.queue("orders"), fake.message(0), "queueTrigger"),
        (on.topic("orders"), fake.message(0), "serviceBusTrigger"),
        (on.stream("orders"), fake.message(0), "eventHubTrigger"),
        (on.object("uploads"), fake.object(body=b"a"), "blobTrigger"),
        (on.object("uploads", "deleted"), fake.object(action="deleted"), "eventGridTrigger"),
        (on.change("users"), fake.change("users", after={"id": "1"}), "cosmosDBTrigger"),
    ],
)
def test_by_default_deliver_uses_the_service_that_entry_registers(trigger: Any, event: Any, service: str) -> None:
    # The key by which the metadata shows the service.
    marks = {
        "queueTrigger": "DequeueCount", "serviceBusTrigger": "LockToken", "eventHubTrigger": "PartitionContext",
        "blobTrigger": "BlobTrigger",
    }  # fmt: skip
    [function], _ = several(trigger)
    options = {"users": {"database_name": "shop"}} if trigger.word == "change" else {}
    assert service == wired(function, options=options)["a"]["type"]
    arrival = deliver(function, event, to="azure").native_request
    sent = arrival.each[0] if arrival.each else arrival.many
    assert {marks[name] for name in marks if name == service} == set(marks.values()) & set(sent.metadata)


def test_a_deleted_object_arrives_by_event_grid_since_a_blob_trigger_sends_none() -> None:
    functions, got = several(on.object("uploads", "created"))
    assert ["acknowledged"] == deliver(functions, fake.object(action="deleted"), to="azure").outcomes
    assert [] == got
    functions, _ = several(on.object("uploads"))
    with pytest.raises(ValueError, match="a blob trigger sends only created objects, not deleted ones"):
        deliver(functions, fake.object(action="deleted"), to="azure")
