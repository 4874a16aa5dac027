"""Which function gets an event, and which part of it."""

from __future__ import annotations

from typing import Any

import pytest

from portable_fn import (
    Batch,
    ChangeEvent,
    CloudEvent,
    ConfigurationError,
    Context,
    DecodeError,
    Event,
    Message,
    ObjectEvent,
    Request,
    ScheduleEvent,
    Task,
    on,
    portable,
)
from portable_fn.adapter.binding import bindings
from portable_fn.adapter.dispatch import Dispatcher
from portable_fn.testing import fake


def unwrap(event: Event[Any]) -> list[Event[Any]]:
    """Unwrap the events of a provider for tests: a message's data names what is inside."""
    inside = {
        "object": fake.object,
        "event": lambda: fake.cloud_event("order.created", {"inside": "object"}),
        "objects": lambda: fake.object("uploads", "b.png"),
    }
    data = event.data if isinstance(event, (Message, CloudEvent)) else None
    if not isinstance(data, dict) or "inside" not in data:
        return []
    made = inside[data["inside"]]()
    made.envelopes = (*event.envelopes, event)
    return [made, fake.object()] if data["inside"] == "objects" else [made]


def called(event: Event[Any], *functions: Any) -> list[tuple[str, list[str]]]:
    """Return the names of the functions that get the event, with the kinds of their events."""
    result = Dispatcher(bindings(*functions), unwrap).calls(event)
    return [(function.name, [type(one).__name__ for one in events]) for function, events in result]


@portable(on.queue("orders"))
def orders(event: Message[Any]) -> None: ...


@portable(on.queue("invoices"))
def invoices(event: Message[Any]) -> None: ...


@portable
def any_message(event: Message[Any]) -> None: ...


@portable
def anything(event: Event[Any]) -> None: ...


@portable
def any_object(event: ObjectEvent[Any]) -> None: ...


@portable(on.object("uploads", "created", suffix=".png"))
def pictures(event: ObjectEvent[Any]) -> None: ...


@portable(on.event("order.created"))
def created(event: CloudEvent[Any]) -> None: ...


@portable(on.schedule("0 3 * * *", name="nightly"))
def nightly(event: ScheduleEvent[Any]) -> None: ...


@portable(on.schedule("0 4 * * *"))
def later(event: ScheduleEvent[Any]) -> None: ...


@portable(on.change("users", "removed"))
def removed(event: ChangeEvent[Any]) -> None: ...


@portable(on.task())
def double(event: Task[Any]) -> None: ...


@portable(on.http("GET", "/"))
def page(event: Request[Any]) -> None: ...


def test_the_function_whose_trigger_names_the_source_gets_the_message() -> None:
    assert [("invoices", ["Message"])] == called(fake.message(channel="invoices"), orders, invoices, any_message)


def test_a_function_without_triggers_gets_events_that_no_other_names() -> None:
    assert [("any_message", ["Message"])] == called(fake.message(channel="other"), orders, invoices, any_message)
    assert [("anything", ["Message"])] == called(fake.message(channel="other"), orders, anything)


def test_the_only_function_for_messages_gets_them_whatever_the_source_is_called() -> None:
    assert [("orders", ["Message"])] == called(fake.message(channel="prod-orders-1A2B"), orders, nightly, page)


def test_if_no_function_names_the_source_an_error_names_the_functions() -> None:
    with pytest.raises(DecodeError, match=r"Message of 'other' could be for any of orders \(on.queue\), invoices"):
        called(fake.message(channel="other"), orders, invoices)


def test_if_no_function_takes_the_event_an_error_says_what_they_take() -> None:
    with pytest.raises(
        DecodeError, match=r"no function takes a ScheduleEvent of 'nightly'; there are orders \(Message\)"
    ):
        called(fake.schedule(), orders)
    with pytest.raises(DecodeError, match="there are only functions for HTTP"):
        called(fake.schedule(), page)


NOTIFICATION: Message[Any] = fake.message({"inside": "object"}, channel="notifications")


def test_an_event_inside_goes_to_its_function_if_no_function_takes_messages() -> None:
    assert [("any_object", ["ObjectEvent"])] == called(NOTIFICATION, any_object)
    assert [("pictures", ["ObjectEvent"])] == called(NOTIFICATION, pictures, created, nightly)
    assert [("anything", ["Message"])] == called(NOTIFICATION, anything)


def test_an_event_two_levels_inside_goes_to_its_function() -> None:
    event = fake.message({"inside": "event"})
    assert [("any_object", ["ObjectEvent"])] == called(event, any_object)
    assert [("created", ["CloudEvent"])] == called(event, created)


@portable(on.queue("notifications"))
def notifications(event: Message[Any]) -> None: ...


@portable(on.object("uploads", via="notifications"))
def relayed(event: ObjectEvent[Any]) -> None: ...


def test_a_message_is_for_the_function_that_takes_its_channel_whatever_is_inside() -> None:
    others = (pictures, any_object, created)
    assert [("notifications", ["Message"])] == called(NOTIFICATION, notifications, *others)
    assert [("any_message", ["Message"])] == called(NOTIFICATION, any_message, *others)
    assert [("anything", ["Message"])] == called(NOTIFICATION, anything, *others)
    assert [("orders", ["Message"])] == called(NOTIFICATION, orders, *others)


def test_an_event_inside_an_untaken_channel_goes_to_its_function() -> None:
    assert [("pictures", ["ObjectEvent"])] == called(NOTIFICATION, pictures, orders, invoices)
    with pytest.raises(DecodeError, match="could be for any of orders"):
        called(fake.message({}, channel="notifications"), pictures, orders, invoices)


def test_a_trigger_may_say_by_which_channel_its_events_come() -> None:
    assert [("relayed", ["ObjectEvent"])] == called(NOTIFICATION, relayed, orders, any_message, anything)
    assert [("relayed", ["ObjectEvent"])] == called(fake.object("uploads"), relayed, orders)
    for text in ({"inside": "object"}, {}):
        assert [("orders", ["Message"])] == called(fake.message(text, channel="orders"), relayed, orders)


def test_a_message_and_the_event_inside_may_go_to_two_functions() -> None:
    both = called(NOTIFICATION, notifications, relayed, pictures)
    assert [("notifications", ["Message"]), ("relayed", ["ObjectEvent"])] == both
    assert [("notifications", ["Message"])] == called(fake.message({}, channel="notifications"), notifications, relayed)


def test_a_message_that_holds_nothing_for_its_channels_functions_is_an_error() -> None:
    with pytest.raises(DecodeError, match=r"'notifications' holds nothing for relayed .*via='notifications'"):
        called(fake.message({}, channel="notifications"), relayed, orders)


def test_of_several_functions_by_one_channel_the_one_that_names_the_source_gets_the_event_inside() -> None:
    @portable(on.object("thumbnails", via="notifications"))
    def thumbnails(event: ObjectEvent[Any]) -> None: ...

    assert [("relayed", ["ObjectEvent"])] == called(NOTIFICATION, thumbnails, relayed)

    @portable(on.object("pages", via="notifications"))
    def pages(event: ObjectEvent[Any]) -> None: ...

    with pytest.raises(DecodeError, match="could be for any of thumbnails"):
        called(NOTIFICATION, thumbnails, pages)


def test_the_only_function_by_a_channel_gets_the_event_inside_whatever_its_source() -> None:
    @portable(on.object("logical", via="notifications"))
    def logical(event: ObjectEvent[Any]) -> None: ...

    assert [("logical", ["ObjectEvent"])] == called(NOTIFICATION, logical, orders)
    both = called(NOTIFICATION, logical, notifications)
    assert [("notifications", ["Message"]), ("logical", ["ObjectEvent"])] == both


def test_a_function_for_any_event_gets_the_events_of_each_trigger() -> None:
    @portable(on.queue("orders"), on.object("uploads", via="notifications"))
    def several(event: Event[Any]) -> None: ...

    assert [("several", ["ObjectEvent"])] == called(NOTIFICATION, several)
    assert [("several", ["Message"])] == called(fake.message({"inside": "object"}, channel="orders"), several)


def test_a_queue_trigger_beside_another_kind_names_the_queue_of_its_events() -> None:
    @portable(on.queue("notifications"))
    def held(event: ObjectEvent[Any]) -> None: ...

    assert [("held", ["ObjectEvent"])] == called(NOTIFICATION, held, pictures, orders)
    assert [("held", ["ObjectEvent"])] == called(fake.message({"inside": "object"}, channel="prod-1"), held, pictures)


def published(text: Any, topic: str, queue: str) -> Message[Any]:
    """Return a topic's message as SNS puts it into a queue."""
    made = fake.message(text, channel=topic)
    made.envelopes = (fake.message({}, channel=queue),)
    return made


@portable(on.topic("news"))
def news(event: Message[Any]) -> None: ...


@portable(on.topic("alerts"))
def alerts(event: Message[Any]) -> None: ...


@portable(on.topic("alerts", via="mixed"))
def mixed_alerts(event: Message[Any]) -> None: ...


def test_a_topics_message_by_a_queue_is_for_the_function_that_takes_the_queue() -> None:
    forged = published({}, "news", "orders")
    assert [("orders", ["Message"])] == called(forged, orders, news)
    assert [("any_message", ["Message"])] == called(published({}, "news", "x"), any_message, news)
    assert [("news", ["Message"])] == called(forged, news, alerts)
    assert [("news", ["Message"])] == called(published({}, "news", "x"), orders, news)


def test_a_topics_message_by_a_queue_is_for_the_trigger_that_says_so() -> None:
    @portable(on.topic("news", via="mixed"))
    def mixed_news(event: Message[Any]) -> None: ...

    functions = (mixed_news, mixed_alerts, orders, any_message)
    assert [("mixed_news", ["Message"])] == called(published({}, "news", "mixed"), *functions)
    assert [("mixed_alerts", ["Message"])] == called(published({}, "alerts", "mixed"), *functions)
    assert [("mixed_alerts", ["Message"])] == called(published({}, "prod-alerts", "mixed"), mixed_alerts, orders)
    assert [("orders", ["Message"])] == called(published({}, "news", "orders"), *functions)
    # With raw delivery, only one topic is possible.
    assert [("mixed_alerts", ["Message"])] == called(fake.message({}, channel="mixed"), mixed_alerts, orders)
    with pytest.raises(DecodeError, match="could be for any of mixed_news"):
        called(fake.message({}, channel="mixed"), *functions)


def test_a_notification_in_a_topics_message_in_a_queue_goes_to_whom_the_queue_or_topic_is_said_for() -> None:
    event = published({"inside": "object"}, "bucket-topic", "mixed")

    @portable(on.object("uploads", via="mixed"))
    def by_queue(event: ObjectEvent[Any]) -> None: ...

    @portable(on.object("uploads", via="bucket-topic"))
    def by_topic(event: ObjectEvent[Any]) -> None: ...

    assert [("pictures", ["ObjectEvent"])] == called(event, pictures, orders, invoices)
    assert [("by_queue", ["ObjectEvent"])] == called(event, by_queue, by_topic, pictures, orders)
    assert [("by_topic", ["ObjectEvent"])] == called(event, by_topic, pictures, news, alerts)
    assert [("orders", ["Message"])] == called(event, by_topic, pictures, orders)
    both = called(event, by_queue, mixed_alerts)
    assert [("by_queue", ["ObjectEvent"]), ("mixed_alerts", ["Message"])] == sorted(both)


def test_unreadable_contents_are_a_message_to_its_taker_and_an_error_to_via() -> None:
    def unreadable(event: Event[Any]) -> list[Event[Any]]:
        raise DecodeError("no such notification")

    def names(*functions: Any) -> list[str]:
        return [function.name for function, _ in Dispatcher(bindings(*functions), unreadable).calls(NOTIFICATION)]

    assert ["notifications"] == names(notifications, pictures)
    assert ["any_message"] == names(any_message, pictures)
    for functions in ((relayed,), (relayed, notifications), (pictures, orders, invoices)):
        with pytest.raises(DecodeError, match="no such notification"):
            names(*functions)


def test_each_event_is_looked_into_once_however_many_functions_there_are() -> None:
    looked: list[str] = []

    def counting(event: Event[Any]) -> list[Event[Any]]:
        looked.append(event.id)
        return unwrap(event)

    def function(number: int) -> Any:
        def handler(event: ObjectEvent[Any]) -> None: ...

        handler.__name__ = f"of_{number}"
        return portable(on.object(f"bucket-{number}", suffix=".txt"))(handler)

    dispatcher = Dispatcher(bindings(*map(function, range(40)), pictures), counting)
    assert ["pictures"] == [one.name for one, _ in dispatcher.calls(fake.message({"inside": "objects"}, id="m-1"))]
    assert ["m-1"] == looked

    @portable(on.object("uploads", "deleted"))
    def deleted(event: ObjectEvent[Any]) -> None: ...

    dispatcher = Dispatcher(bindings(deleted), counting)
    unwanted = fake.message({"inside": "object"}, id="m-2")
    assert dispatcher.takes_event(unwanted)
    looked.clear()
    reasons: list[str] = []
    assert [] == dispatcher.calls(unwanted, reasons.append)
    assert ["no function wants an ObjectEvent of 'uploads', created"] == [reason.split(";")[0] for reason in reasons]
    assert ["m-2"] == looked


def test_a_message_that_a_function_takes_is_not_looked_into() -> None:
    def fails(event: Event[Any]) -> list[Event[Any]]:
        raise AssertionError("it is looked into")

    for functions in ((notifications, pictures), (any_message, pictures), (orders, any_object)):
        assert 1 == len(Dispatcher(bindings(*functions), fails).calls(NOTIFICATION))


def test_a_source_named_by_one_trigger_is_never_another_functions() -> None:
    @portable(on.object("elsewhere"))
    def elsewhere(event: ObjectEvent[Any]) -> None: ...

    assert [] == called(fake.object("uploads", "a.txt"), pictures, elsewhere)
    assert [("elsewhere", ["ObjectEvent"])] == called(fake.object("elsewhere", "a.txt"), pictures, elsewhere)


def test_every_event_inside_an_envelope_is_delivered() -> None:
    event = fake.message({"inside": "objects"})
    assert [("any_object", ["ObjectEvent", "ObjectEvent"])] == called(event, any_object)


def test_an_event_that_no_trigger_wants_is_acknowledged_without_a_call() -> None:
    assert [] == called(fake.object("uploads", "a.txt"), pictures)
    assert [] == called(fake.object("uploads", "a.png", action="deleted"), pictures)
    assert [("pictures", ["ObjectEvent"])] == called(fake.object("uploads", "a.png"), pictures)
    assert [] == called(fake.cloud_event("order.deleted", {}), created)
    assert [] == called(fake.change("users", after={}), removed)
    assert [("removed", ["ChangeEvent"])] == called(fake.change("users", before={}), removed)


def test_an_event_that_one_function_does_not_want_still_reaches_another() -> None:
    event = fake.message({"inside": "event"}, channel="orders")

    @portable(on.event("order.deleted"))
    def deleted(event: CloudEvent[Any]) -> None: ...

    assert [("orders", ["Message"])] == called(event, deleted, orders)
    assert [("created", ["CloudEvent"])] == called(event, deleted, created)


def test_a_schedule_is_found_by_its_name_or_its_cron_expression() -> None:
    assert [("nightly", ["ScheduleEvent"])] == called(fake.schedule(name="nightly"), nightly, later)
    assert [("later", ["ScheduleEvent"])] == called(fake.schedule(name="x", cron="0 4 * * *"), nightly, later)
    assert [("nightly", ["ScheduleEvent"])] == called(fake.schedule(name="rule-1A2B"), nightly)
    with pytest.raises(DecodeError, match="name a trigger"):
        called(fake.schedule(name="rule-1A2B"), nightly, later)


def test_a_task_is_found_by_its_name_which_is_the_handlers() -> None:
    assert [("double", ["Task"])] == called(fake.task(name="double"), double, anything)
    assert "double" == bindings(double)[0].triggers[0].name


def test_two_functions_that_take_everything_of_a_kind_are_refused() -> None:
    @portable
    def another(event: Message[Any]) -> None: ...

    with pytest.raises(ConfigurationError, match="any_message and another both take every Message"):
        Dispatcher(bindings(any_message, another))


@pytest.mark.parametrize(
    ("trigger", "annotation", "why"),
    [
        (on.object("uploads"), Message, r"is for on.object but takes a Message, not a ObjectEvent"),
        (on.schedule("* * * * *"), CloudEvent, "on.schedule but takes a CloudEvent"),
        (on.http("GET", "/"), Message, "on.http but takes a Message"),
        (on.task(), Message, "on.task but takes a Message"),
        (on.queue("orders"), Request, "on.queue but takes a Request"),
        (on.change("users"), ObjectEvent, "on.change but takes a ObjectEvent"),
    ],
)
def test_a_trigger_that_cannot_call_the_handler_is_refused(trigger: Any, annotation: Any, why: str) -> None:
    def handler(event): ...

    handler.__annotations__ = {"event": annotation}
    with pytest.raises(ConfigurationError, match=why):
        portable(trigger)(handler)


@pytest.mark.parametrize(
    ("trigger", "annotation"),
    [
        (on.queue("orders"), ObjectEvent),
        (on.topic("orders"), CloudEvent),
        (on.event(), ObjectEvent),
        (on.queue("orders"), Batch),
        (on.change("users"), Batch[ChangeEvent]),
        (on.queue("orders"), Event),
    ],
)
def test_a_message_may_call_a_handler_of_the_event_inside(trigger: Any, annotation: Any) -> None:
    def handler(event): ...

    handler.__annotations__ = {"event": annotation}
    portable(trigger)(handler)


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda: on.queue(""), r"on.queue takes a name"),
        (lambda: on.queue(7), r"on.queue takes a name, not 7"),
        (lambda: on.object("uploads", "made"), r"no action 'made'; possible are created, deleted"),
        (lambda: on.change("users", "created"), r"no action 'created'; possible are inserted"),
        (lambda: on.schedule("hourly"), r"five fields"),
        (lambda: on.schedule("0 0 3 * * *"), r"five fields"),
        (lambda: on.event(""), r"on.event takes types"),
        (lambda: on.queue("orders", dead_letter=""), r"dead_letter must be the name"),
        (lambda: on.queue("orders", retry=5), r"on.RetryPolicy"),
        (lambda: on.RetryPolicy(attempts=0), r"attempts"),
        (lambda: on.RetryPolicy(delay=0), r"delay"),
    ],
)
def test_a_trigger_that_makes_no_sense_is_refused(make: Any, why: str) -> None:
    with pytest.raises(ConfigurationError, match=why):
        make()


def test_concurrency_is_for_async_handlers_alone() -> None:
    def handler(event: Message[Any], ctx: Context) -> None: ...

    with pytest.raises(ConfigurationError, match="async"):
        portable(concurrency=3)(handler)
    with pytest.raises(ConfigurationError, match="whole number"):
        portable(concurrency=0)(handler)


def test_a_batch_of_a_kind_without_batches_is_refused() -> None:
    def handler(event: Batch[ObjectEvent[Any]]) -> None: ...

    with pytest.raises(ConfigurationError, match=r"Batch\[ObjectEvent\]; possible are Batch\[Message\]"):
        portable(handler)


def test_takes_event_ignores_the_names_of_triggers() -> None:
    dispatcher = Dispatcher(bindings(pictures), unwrap)
    assert dispatcher.takes_event(fake.object("elsewhere", "a"))
    assert dispatcher.takes_event(fake.message({"inside": "object"}))
    assert not dispatcher.takes_event(fake.message({"sku": "lamp"}))


def test_takes_event_is_true_for_an_event_that_cannot_be_read() -> None:
    def fails(event: Event[Any]) -> list[Event[Any]]:
        raise DecodeError("malformed")

    assert Dispatcher(bindings(pictures)).takes_event(DecodeError("malformed"))
    assert Dispatcher(bindings(pictures), fails).takes_event(fake.message({}))
