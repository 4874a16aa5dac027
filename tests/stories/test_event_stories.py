"""Tell every event story on every service of every provider's adapter."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from event_cannot import ALL_THAT_CANNOT, OWN_CONTENT
from event_harnesses import EventCell, cells
from portable_fn import Event, Message, ObjectEvent, Reject, Retry, on, portable
from portable_fn.providers import ADAPTERS, adapter
from portable_fn.testing import deliver, fake
from portable_fn.testing.stories import events_app
from portable_fn.testing.stories.events import every_event, messages

CELLS = cells()


def _marks(cell: EventCell) -> list[pytest.MarkDecorator]:
    """Leave out of `make test-fast` the services that aren't a provider's first for a kind of event."""
    services = adapter(cell.provider, "simulate").EVENT_SERVICES.values()
    return [] if any(cell.service == of_kind[0] for of_kind in services) else [pytest.mark.slow]


@pytest.mark.parametrize("cell", [pytest.param(cell, id=cell.name, marks=_marks(cell)) for cell in CELLS])
def test_story(cell: EventCell) -> None:
    cell.tell()


def test_the_stories_and_services_that_cannot_hold_exist() -> None:
    known = {(cell.provider, cell.service, cell.story.name) for cell in CELLS}
    listed = {
        (provider, service, story) for (provider, service), stories in ALL_THAT_CANNOT.items() for story in stories
    }
    assert set() == listed - known


SERVICES = [
    pytest.param(provider, service, event, id=f"{provider} {service} {event.kind_name}")
    for provider in ADAPTERS
    for event in every_event()
    for service in adapter(provider, "simulate").EVENT_SERVICES.get(event.kind_name, ())
]

# The envelopes of an event, outermost first, by the provider's service; on the others it has none.
ENVELOPES = {
    ("aws", "sns_sqs", "Message"): ("Message",),
    ("aws", "sns_sqs_fifo", "Message"): ("Message",),
    ("aws", "s3_sqs", "ObjectEvent"): ("Message",),
    ("aws", "s3_sns", "ObjectEvent"): ("Message",),
    ("aws", "s3_sns_sqs", "ObjectEvent"): ("Message", "Message"),
    ("aws", "s3_sns_sqs_raw", "ObjectEvent"): ("Message",),
    ("aws", "s3_eventbridge", "ObjectEvent"): ("CloudEvent",),
    ("aws", "s3_eventbridge_sqs", "ObjectEvent"): ("Message", "CloudEvent"),
    ("aws", "s3_eventbridge_sns_sqs", "ObjectEvent"): ("Message", "Message", "CloudEvent"),
    ("aws", "dynamodb_kinesis", "ChangeEvent"): ("Message",),
    ("aws", "scheduler", "ScheduleEvent"): ("CloudEvent",),
    ("aws", "scheduled_rule", "ScheduleEvent"): ("CloudEvent",),
    ("aws", "scheduler_sqs", "ScheduleEvent"): ("Message", "CloudEvent"),
    ("aws", "eventbridge_sqs", "CloudEvent"): ("Message",),
    ("aws", "eventbridge_sns", "CloudEvent"): ("Message",),
    ("aws", "cloudevent_sqs", "CloudEvent"): ("Message",),
    ("aws", "cloudevent_sns", "CloudEvent"): ("Message",),
    ("aws", "cloudevent_kinesis", "CloudEvent"): ("Message",),
    ("gcp", "pubsub_eventarc", "Message"): ("CloudEvent",),
    ("gcp", "pubsub_legacy", "Message"): ("CloudEvent",),
    ("gcp", "storage_eventarc", "ObjectEvent"): ("CloudEvent",),
    ("gcp", "storage_notification", "ObjectEvent"): ("Message",),
    ("gcp", "storage_legacy", "ObjectEvent"): ("CloudEvent",),
    ("gcp", "firestore", "ChangeEvent"): ("CloudEvent",),
    ("gcp", "firestore_base64", "ChangeEvent"): ("CloudEvent",),
    ("gcp", "firestore_legacy", "ChangeEvent"): ("CloudEvent",),
    ("gcp", "pubsub_structured", "CloudEvent"): ("Message",),
    ("azure", "event_grid", "ObjectEvent"): ("CloudEvent",),
    ("azure", "event_grid_cloud_events", "ObjectEvent"): ("CloudEvent",),
    ("azure", "event_grid_storage_queue", "ObjectEvent"): ("Message", "CloudEvent"),
    ("cloudflare", "r2_queue", "ObjectEvent"): ("Message",),
    ("cloudflare", "queue", "CloudEvent"): ("Message",),
    ("asgi", "cloud_event", "Message"): ("CloudEvent",),
    ("asgi", "cloud_event", "ObjectEvent"): ("CloudEvent",),
    ("asgi", "cloud_event", "ChangeEvent"): ("CloudEvent",),
    ("asgi", "cloud_event", "ScheduleEvent"): ("CloudEvent",),
}


def test_services_declared_to_arrive_in_messages_do() -> None:
    declared = {
        (provider, service.name, service.kind)
        for provider in ADAPTERS
        for service in adapter(provider, "capabilities").SERVICES
        if service.in_messages
    }
    # Each of Azure's functions listens to one place, so no other function takes its messages.
    carried = {place for place, kinds in ENVELOPES.items() if kinds[0] == "Message" and place[0] != "azure"}
    assert {place for place in carried if place[2] != "Message"} == declared


@pytest.mark.parametrize(("provider", "service", "event"), SERVICES)
def test_an_event_has_its_envelopes_outermost_first(provider: str, service: str, event: Event[Any]) -> None:
    events_app.SEEN.clear()
    deliver(events_app.BY_KIND[event.kind_name], [event], to=provider, via=service)
    (seen,) = events_app.SEEN
    assert list(ENVELOPES.get((provider, service, event.kind_name), ())) == seen["envelopes"]


RAISED = [
    pytest.param(error, after, why, expected, id=type(error).__name__)
    for error, after, why, expected in (
        (Retry("busy", after=30), 30, "", None),
        (Reject("no use"), None, "no use", None),
        (LookupError("no such order"), None, "", ("LookupError", "no such order")),
    )
]


@pytest.mark.slow
@pytest.mark.parametrize(("provider", "service", "event"), [cell for cell in SERVICES if "Task" not in str(cell.id)])
@pytest.mark.parametrize(("error", "after", "why", "expected_error"), RAISED)
def test_a_delivery_has_delay_reason_and_error_even_if_the_provider_drops_them(
    provider: str,
    service: str,
    event: Event[Any],
    error: Exception,
    after: float | None,
    why: str,
    expected_error: tuple[str, str] | None,
) -> None:
    @portable(*events_app.BY_KIND[event.kind_name].__portable__.triggers)
    def raises(event: Event[Any]) -> None:
        raise error

    delivery = deliver(raises, [event], to=provider, via=service)
    (result,) = delivery.results
    # Azure's timer and some streams drop an event if its function has no retry policy.
    expected_delay = after if result.outcome == "retried" else None
    assert (expected_delay, why, expected_error) == (result.after, result.why, delivery.error)


MESSAGE_SERVICES = [
    pytest.param(provider, service, id=f"{provider} {service}")
    for provider in ADAPTERS
    for service in adapter(provider, "simulate").EVENT_SERVICES["Message"]
    if (provider, service) not in OWN_CONTENT
]


@pytest.mark.parametrize(("provider", "service"), MESSAGE_SERVICES)
def test_each_event_has_its_own_delay(provider: str, service: str) -> None:
    waits: list[tuple[int, bytes]] = []

    @portable(on.queue("orders"), on.stream("orders", retry=on.RetryPolicy()), on.topic("orders"))
    def some_again(order: Message[Any]) -> None:
        if (wait := len(order.body) % 10) > 0:
            waits.append((wait, order.body))
            raise Retry(after=wait)

    bodies = [b"x" * length for length in (13, 10, 17, 12)]
    orders = [
        fake.message(body=body, id=f"order-{number}", key=f"key-{number}", partition=str(number % 2))
        for number, body in enumerate(bodies)
    ]
    delivery = deliver(some_again, orders, to=provider, via=service)
    delays = [result.after for result in delivery.results]
    assert [{wait for wait, body in waits if body == sent} or {None} for sent in bodies] == [
        {delay} for delay in delays
    ]


@pytest.mark.parametrize(
    ("provider", "service"),
    [
        pytest.param(provider, service, id=f"{provider} {service}")
        for provider in ADAPTERS
        for service in adapter(provider, "simulate").EVENT_SERVICES.get("ObjectEvent", ())
        # A blob trigger sends no deletions; a function for the queue's messages has no trigger for objects.
        if service not in ("blob", "event_grid_storage_queue")
    ],
)
def test_an_event_that_no_function_wants_is_acknowledged_without_a_call_and_logged(provider: str, service: str) -> None:
    @portable(on.object("uploads", "created", suffix=".png"))
    def thumbnail(upload: ObjectEvent) -> None:
        raise AssertionError("it is called")

    delivery = deliver(thumbnail, fake.object("uploads", "a.png", action="deleted"), to=provider, via=service)
    assert ["acknowledged"] == delivery.outcomes
    (record,) = delivery.logs
    assert "INFO" == record.levelname
    assert record.getMessage().endswith(
        "is done without a call: no function wants an ObjectEvent of 'uploads', deleted; "
        "there are thumbnail (on.object('uploads', 'created', suffix='.png'))"
    )


def ignore(event: Event[Any]) -> None: ...


async def ignore_later(event: Event[Any]) -> None: ...


@pytest.mark.parametrize("provider", ["gcp", "asgi"])
@pytest.mark.parametrize("handler", [ignore, ignore_later])
@pytest.mark.parametrize("trigger", [on.queue("orders"), on.task("orders")])
def test_an_event_that_is_too_large_is_named_in_the_error_and_in_the_log(
    trigger: Any, handler: Any, provider: str
) -> None:
    too_large = "x" * 20_000_000
    event = fake.message(too_large) if trigger.word == "queue" else fake.task(too_large)
    delivery = deliver(portable(trigger)(handler), event, to=provider)
    assert delivery.error is not None
    assert delivery.error[1].startswith("The body is over 1")
    assert [record.getMessage().rpartition(": ")[2] for record in delivery.logs] == [delivery.error[1]]


class Order(BaseModel):
    sku: str


shipped: list[str] = []


@portable(
    on.queue("orders", dead_letter="orders-dead"),
    on.topic("orders", dead_letter="orders-dead"),
    on.stream("orders", dead_letter="orders-dead"),
)
def ship(order: Message[Order]) -> None:
    shipped.append(order.data.sku)


# Not among the stories, because no provider's runtime has pydantic by itself.
@pytest.mark.parametrize(("provider", "service"), MESSAGE_SERVICES)
def test_data_that_does_not_fit_the_annotation_is_rejected_without_a_call(provider: str, service: str) -> None:
    shipped.clear()
    delivery = deliver(ship, messages({"sku": "lamp"}, {"sku": 7}), to=provider, via=service)
    assert ["lamp"] == shipped
    # A Dapr binding has no dead letters, so a rejected message is redelivered.
    last = "retried" if (provider, service) == ("asgi", "dapr_binding") else "dead-lettered"
    assert ["acknowledged", last] == delivery.outcomes
