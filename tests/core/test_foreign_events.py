"""A container refuses an event of another provider unless a function is for it, and says what takes it."""

from __future__ import annotations

import base64
import logging
from typing import Any

import pytest

from portable_fn import CloudEvent, Event, Message, ObjectEvent, Task, on, portable
from portable_fn_asgi import entry
from tests.core.test_events_from_browsers import CLOUD_EVENTS, hit

called: list[tuple[str, str]] = []


@pytest.fixture(autouse=True)
def forget() -> None:
    called.clear()


@portable(on.queue("orders"))
def ship(order: Message) -> None:
    called.append(("ship", order.channel))


@portable(on.event("order.paid"))
def paid(event: CloudEvent) -> None:
    called.append(("paid", event.type))


@portable(on.event(source="shop"))
def of_shop(event: CloudEvent) -> None:
    called.append(("of_shop", event.type))


@portable(on.object("uploads"))
def uploads(upload: ObjectEvent) -> None:
    called.append(("uploads", upload.key))


@portable(on.event())
def objects(upload: ObjectEvent) -> None:
    called.append(("objects", upload.key))


@portable(on.task("double"))
def double(task: Task) -> None:
    called.append(("double", task.name))


def named(functions: list[Any]) -> str:
    """Return the names of functions for the name of a test."""
    return " ".join(function.__name__ for function in functions)


FINALIZED = "google.cloud.storage.object.v1.finalized"
FOREIGN = {
    FINALIZED: "portable_fn_gcp under functions-framework",
    "google.cloud.pubsub.topic.v1.messagePublished": "portable_fn_gcp under functions-framework",
    "google.firebase.auth.user.v1.created": "portable_fn_gcp under functions-framework",
    "com.amazonaws.s3.ObjectCreated": "portable_fn_aws",
    "aws.s3.object.created": "portable_fn_aws",
    "Microsoft.Storage.BlobCreated": "portable_fn_azure",
    "Microsoft.EventGrid.SubscriptionValidationEvent": "portable_fn_azure",
}


def cloud_event(type: str, **more: Any) -> dict[str, Any]:
    """Return a CloudEvent in structured form."""
    return {
        "specversion": "1.0",
        "id": "1",
        "source": "s",
        "type": type,
        "data": {"bucket": "uploads", "name": "a"},
        **more,
    }


def sent(functions: Any, type: str, **more: Any) -> int:
    """Return the status of the answer to a CloudEvent."""
    status, _, _ = hit(entry(functions), "/", cloud_event(type, **more), CLOUD_EVENTS)
    return status


@pytest.mark.parametrize("type", FOREIGN)
@pytest.mark.parametrize(
    "functions",
    [[ship], [paid], [of_shop], [uploads], [objects], [ship, paid, uploads, double], [objects, ship]],
    ids=named,
)
def test_an_event_of_another_provider_is_retried_and_the_log_says_what_takes_it(
    functions: Any, type: str, caplog: pytest.LogCaptureFixture
) -> None:
    # Knative, Eventarc and Event Grid retry a 503, and dead-letter events that fail too often.
    assert (503, []) == (sent(functions, type), called)
    assert ["ERROR"] == [record.levelname for record in caplog.records if record.levelno > logging.WARNING]
    assert f"no function takes a CloudEvent of type '{type}': {FOREIGN[type]}" in caplog.text


def test_so_it_is_in_headers_and_in_a_batch() -> None:
    application = entry(ship, paid)
    headers = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "s", "ce-type": FINALIZED}
    assert 503 == hit(application, "/", {}, "application/json", headers)[0]
    batch = [cloud_event("order.paid"), cloud_event(FINALIZED)]
    assert 503 == hit(application, "/", batch, "application/cloudevents-batch+json")[0]
    assert [("paid", "order.paid")] == called


def test_a_function_that_names_the_type_or_takes_any_event_gets_it() -> None:
    @portable(on.event(FINALIZED))
    def finalized(event: CloudEvent) -> None:
        called.append(("finalized", event.type))

    @portable(on.event())
    def every(event: CloudEvent) -> None:
        called.append(("every", event.type))

    @portable(on.event(source="s"))
    def of_source(event: CloudEvent) -> None:
        called.append(("of_source", event.type))

    @portable(on.topic(FINALIZED))
    def topic(message: Message) -> None:
        called.append(("topic", message.channel))

    @portable
    def bare_event(event: CloudEvent) -> None:
        called.append(("bare_event", event.type))

    @portable
    def bare_message(message: Message) -> None:
        called.append(("bare_message", message.channel))

    for function in (finalized, every, of_source, topic, bare_event, bare_message):
        for functions in ([function], [function, uploads], [function, paid]):
            called.clear()
            assert 202 == sent(functions, FINALIZED)
            assert [(function.__name__, FINALIZED)] == called


def test_a_function_for_any_event_at_all_gets_it() -> None:
    @portable
    def anything(event: Event) -> None:
        called.append(("anything", type(event).__name__))

    assert 202 == sent([anything], FINALIZED)
    assert [("anything", "CloudEvent")] == called


def test_an_event_that_a_function_filters_out_is_acknowledged_and_reaches_no_other() -> None:
    @portable(on.event("google.cloud.storage.object.v1.deleted"))
    def deleted(event: CloudEvent) -> None:
        raise AssertionError

    for functions in ([deleted], [deleted, ship]):
        assert (202, []) == (sent(functions, FINALIZED), called)
    assert 503 == sent([deleted, ship], "Microsoft.Storage.BlobCreated")


def test_an_event_of_nobodys_type_is_still_a_message_to_the_only_function_for_messages() -> None:
    assert 202 == sent([ship], "order.created")
    assert 202 == sent([ship], "googly.cloud")
    assert [("ship", "order.created"), ("ship", "googly.cloud")] == called


def test_an_event_in_a_topic_of_dapr_or_kafka_is_the_topics_whatever_its_type() -> None:
    assert 202 == sent([ship, paid], FINALIZED, topic="orders", pubsubname="pubsub")
    message = cloud_event(FINALIZED, topic="orders", pubsubname="pubsub")
    assert 200 == hit(entry(ship, paid), "/portable_fn/orders", message, CLOUD_EVENTS)[0]
    assert [("ship", "orders")] * 2 == called
    assert 503 == sent([ship, paid], FINALIZED, topic="others", pubsubname="pubsub")


PUSH = {
    "message": {"messageId": "1", "data": base64.b64encode(b"{}").decode()},
    "subscription": "projects/p/subscriptions/orders",
}
GRID = {
    "id": "1",
    "topic": "/s",
    "subject": "b",
    "eventType": "Microsoft.Storage.BlobCreated",
    "eventTime": "t",
    "data": {},
}
BODIES = [
    (PUSH, "portable_fn_gcp under functions-framework"),
    ([GRID], "portable_fn_azure"),
    ({"detail-type": "x", "source": "aws.s3", "detail": {}}, "portable_fn_aws"),
    ({"Type": "Notification", "TopicArn": "arn:aws:sns:r:1:t", "Message": "{}"}, "portable_fn_aws"),
    ({"Records": [{"eventSource": "aws:s3"}]}, "portable_fn_aws"),
]


@pytest.mark.parametrize(("body", "what"), BODIES, ids=["a push", "Event Grid", "EventBridge", "SNS", "S3"])
@pytest.mark.parametrize("path", ["/", "/push", "/portable_fn/orders"])
@pytest.mark.parametrize("functions", [[ship], [ship, paid, double], [ship, uploads]], ids=named)
def test_a_post_of_another_provider_is_refused_and_the_log_says_what_takes_it(
    functions: Any, path: str, body: Any, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        status, _, answer = hit(entry(functions), path, body, "application/json")
    # Pub/Sub treats all but five statuses as a refusal. Dapr drops a message only for a 404.
    assert (400, []) == (status, called)
    assert what in caplog.text
    assert what.encode() in answer


def test_a_task_called_by_its_name_gets_its_input() -> None:
    application = entry(double)
    assert 400 == hit(application, "/", PUSH, "application/json")[0]
    assert [] == called
    for body in (PUSH, {"message": "hello", "subscription": "weekly"}):
        assert 200 == hit(application, "/double", body, "application/json")[0]
    for body in ({"message": "hello", "subscription": "weekly"}, {"Records": []}, [], [1], {"Type": "x"}, None):
        assert 200 == hit(application, "/", body, "application/json")[0]
    assert 8 == len(called)
