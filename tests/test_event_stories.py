"""Every story of events on every service of every provider's adapter."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from event_cannot import _CANNOT, OWN_CONTENT
from event_harnesses import EventCell, cells
from portable_fn import Event, Message, on, portable
from portable_fn.providers import ADAPTERS, adapter
from portable_fn.testing import deliver
from portable_fn.testing.delivery import kind_of
from portable_fn.testing.stories import events_app
from portable_fn.testing.stories.events import every_event, messages

CELLS = cells()


@pytest.mark.parametrize("cell", [pytest.param(cell, id=cell.name) for cell in CELLS])
def test_story(cell: EventCell) -> None:
    cell.tell()


def test_what_cannot_hold_names_stories_and_services_that_there_are() -> None:
    known = {(cell.provider, cell.service, cell.story.name) for cell in CELLS}
    said = {(provider, service, story) for (provider, service), stories in _CANNOT.items() for story in stories}
    assert set() == said - known


SERVICES = [
    pytest.param(provider, service, event, id=f"{provider} {service} {kind_of(event)}")
    for provider in ADAPTERS
    for event in every_event()
    for service in adapter(provider, "simulate").EVENT_SERVICES.get(kind_of(event), ())
]

# What an event comes in, outermost first, by the provider's service; on the others it comes in nothing.
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


@pytest.mark.parametrize(("provider", "service", "event"), SERVICES)
def test_what_an_event_came_in_is_reachable_outermost_first(provider: str, service: str, event: Event[Any]) -> None:
    events_app.SEEN.clear()
    deliver(events_app.BY_KIND[kind_of(event)], [event], to=provider, via=service)
    (seen,) = events_app.SEEN
    assert list(ENVELOPES.get((provider, service, kind_of(event)), ())) == seen["envelopes"]


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


# Here rather than among the stories, since no provider's runtime has pydantic by itself.
@pytest.mark.parametrize(
    ("provider", "service"),
    [
        pytest.param(provider, service, id=f"{provider} {service}")
        for provider in ADAPTERS
        for service in adapter(provider, "simulate").EVENT_SERVICES["Message"]
        if (provider, service) not in OWN_CONTENT
    ],
)
def test_data_that_is_not_what_the_annotation_names_is_rejected_and_the_handler_not_called(
    provider: str, service: str
) -> None:
    shipped.clear()
    delivery = deliver(ship, messages({"sku": "lamp"}, {"sku": 7}), to=provider, via=service)
    assert ["lamp"] == shipped
    # A binding of Dapr's has no dead letters, so that a rejected message comes again.
    last = "retried" if (provider, service) == ("asgi", "dapr_binding") else "dead-lettered"
    assert ["acknowledged", last] == delivery.outcomes
