"""A message's text, which anybody may have written, imitates no other source's event: on every service of every provider."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest

from event_cannot import OWN_CONTENT
from portable_fn import (
    Batch,
    ChangeEvent,
    CloudEvent,
    DecodeError,
    Event,
    Message,
    ObjectEvent,
    Reject,
    ScheduleEvent,
    on,
    portable,
)
from portable_fn.providers import ADAPTERS, adapter
from portable_fn.testing import deliver, fake
from portable_fn_aws import entry as aws_entry
from portable_fn_cloudflare.entry import worker
from portable_fn_cloudflare.simulate.javascript import FFI, JS, WorkerEntrypoint

pytestmark = pytest.mark.slow

calls: list[tuple[str, Any]] = []


@pytest.fixture(autouse=True)
def forget() -> None:
    calls.clear()


def names() -> list[str]:
    return [name for name, _ in calls]


@portable(on.queue("feedback"), on.topic("feedback"), on.stream("feedback"))
def feedback(message: Message) -> None:
    calls.append(("feedback", message.channel))


@portable(on.topic("admin"))
def admin(message: Message) -> None:
    calls.append(("admin", message.channel))


@portable(on.object("uploads"))
def uploads(upload: ObjectEvent) -> None:
    calls.append(("uploads", upload.key))


@portable(on.change("accounts"))
def accounts(change: ChangeEvent) -> None:
    calls.append(("accounts", change.after))


@portable(on.schedule("0 3 * * *", name="nightly"))
def nightly(tick: ScheduleEvent) -> None:
    calls.append(("nightly", tick.name))


@portable(on.event("order.paid"))
def paid(event: CloudEvent) -> None:
    calls.append(("paid", event.data))


OTHERS = (uploads, accounts, nightly, paid)

S3 = {
    "Records": [
        {
            "eventSource": "aws:s3",
            "eventName": "ObjectRemoved:Delete",
            "eventTime": "2026-03-12T19:03:58.000Z",
            "responseElements": {"x-amz-request-id": "R"},
            "s3": {"bucket": {"name": "uploads"}, "object": {"key": "victim.txt", "sequencer": "1"}},
        }
    ]
}


def sns(text: Any) -> dict[str, Any]:
    """Return what SNS puts into a queue."""
    arn = "arn:aws:sns:us-east-1:1:admin"
    time = "2026-01-01T00:00:00Z"
    return {"Type": "Notification", "MessageId": "any", "TopicArn": arn, "Message": json.dumps(text), "Timestamp": time}


def bus(source: str, type: str, detail: Any, *resources: str) -> dict[str, Any]:
    """Return an event of EventBridge."""
    return {
        "version": "0",
        "id": "any",
        "detail-type": type,
        "source": source,
        "account": "1",
        "time": "2026-01-01T03:00:00Z",
        "region": "r",
        "resources": list(resources),
        "detail": detail,
    }


def cloud_event(type: str, data: Any, source: str = "shop", **more: Any) -> dict[str, Any]:
    """Return a CloudEvent in structured form."""
    return {"specversion": "1.0", "id": "any", "source": source, "type": type, "data": data, **more}


ROW = {"id": {"S": "ada"}, "admin": {"BOOL": True}}
CHANGE = {"eventID": "e", "eventName": "MODIFY", "eventSource": "aws:dynamodb", "tableName": "accounts"} | {
    "dynamodb": {"Keys": {"id": {"S": "ada"}}, "NewImage": ROW}
}
SQS_RECORD = {
    "messageId": "m",
    "body": "{}",
    "attributes": {},
    "eventSource": "aws:sqs",
    "eventSourceARN": "arn:aws:sqs:r:1:admin",
}
DOCUMENT = "projects/p/databases/(default)/documents/accounts/ada"
BLOB = "/blobServices/default/containers/uploads/blobs/victim.txt"
GRID = {
    "id": "any",
    "topic": "/subscriptions/1/storageAccounts/a",
    "subject": BLOB,
    "eventType": "Microsoft.Storage.BlobDeleted",
    "eventTime": "2026-01-01T00:00:00Z",
    "data": {"url": "https://a.blob.core.windows.net/uploads/victim.txt"},
    "dataVersion": "1",
}
TEXTS = {
    "S3's notification": S3,
    "S3's notification in SNS's envelope": sns(S3),
    "SNS's envelope": sns({"promote": "mallory"}),
    "S3's test": {
        "Service": "Amazon S3",
        "Event": "s3:TestEvent",
        "Bucket": "uploads",
        "RequestId": "1",
        "HostId": "2",
    },
    "S3's event of EventBridge": bus(
        "aws.s3", "Object Deleted", {"bucket": {"name": "uploads"}, "object": {"key": "victim.txt"}}
    ),
    "a rule's event": bus("aws.events", "Scheduled Event", {}, "arn:aws:events:us-east-1:1:rule/nightly"),
    "an event of a bus": bus("shop", "order.paid", {"order": 1}),
    "a pipe's record": bus("Pipe p", "Event from aws:sqs", SQS_RECORD),
    "records of SQS": {"Records": [SQS_RECORD]},
    "DynamoDB's change": CHANGE,
    "a DynamoDB stream's record": {
        "Records": [{**CHANGE, "eventSourceARN": "arn:aws:dynamodb:r:1:table/accounts/s/1"}]
    },
    "a CloudEvent": cloud_event("order.paid", {"order": 1}),
    "CloudEvents": [cloud_event("order.paid", {"order": 1}), cloud_event("order.paid", {"order": 2})],
    "a CloudEvent of an object": cloud_event("portable_fn.object.deleted", {"bucket": "uploads", "key": "victim.txt"}),
    "a CloudEvent of a row": cloud_event("portable_fn.change.updated", {"table": "accounts", "key": {}, "after": {}}),
    "a CloudEvent of a time": cloud_event("portable_fn.schedule", {"name": "nightly", "cron": "0 3 * * *"}),
    "a CloudEvent of a message": cloud_event("portable_fn.message", {"promote": "mallory"}, channel="admin"),
    "Cloud Storage's event": cloud_event(
        "google.cloud.storage.object.v1.deleted",
        {"bucket": "uploads", "name": "victim.txt", "generation": "1"},
        "//storage.googleapis.com/projects/_/buckets/uploads",
    ),
    "Firestore's event": cloud_event(
        "google.cloud.firestore.document.v1.written",
        {"value": {"name": DOCUMENT, "fields": {"admin": {"booleanValue": True}}}},
        "//firestore.googleapis.com/projects/p/databases/(default)",
        subject="documents/accounts/ada",
    ),
    "Pub/Sub's event": cloud_event(
        "google.cloud.pubsub.topic.v1.messagePublished",
        {"message": {"messageId": "m", "data": "e30="}, "subscription": "projects/p/subscriptions/admin"},
        "//pubsub.googleapis.com/projects/p/topics/admin",
    ),
    "R2's notification": {
        "account": "a",
        "action": "DeleteObject",
        "bucket": "uploads",
        "object": {"key": "victim.txt"},
        "eventTime": "2026-01-01T00:00:00Z",
    },
    "Event Grid's event": GRID,
    "Event Grid's events": [GRID, GRID],
    "a blob's CloudEvent": cloud_event("Microsoft.Storage.BlobDeleted", GRID["data"], GRID["topic"], subject=BLOB),
    "Dapr's envelope": cloud_event("com.dapr.event.sent", {}, topic="admin", pubsubname="pubsub"),
    "Dapr's bulk": {"pubsubname": "pubsub", "topic": "admin", "entries": []},
    "nothing of that": {"hello": "world"},
}
SERVICES = [
    pytest.param(provider, service, id=f"{provider} {service}")
    for provider in ADAPTERS
    for service in adapter(provider, "simulate").EVENT_SERVICES["Message"]
    if (provider, service) not in OWN_CONTENT
]


@pytest.mark.parametrize(("provider", "service"), SERVICES)
def test_a_text_reaches_the_function_of_its_channel_and_no_other(provider: str, service: str) -> None:
    for name, text in TEXTS.items():
        calls.clear()
        sent = fake.message(text, channel="feedback")
        delivery = deliver([admin, *OTHERS, feedback], sent, to=provider, via=service)
        assert (name, ["feedback"], ["acknowledged"]) == (name, names(), delivery.outcomes)


@pytest.mark.parametrize(("provider", "service"), [one for one in SERVICES if "azure" not in str(one.id)])
def test_a_text_reaches_the_only_function_for_messages_and_no_other(provider: str, service: str) -> None:
    @portable
    def anything(event: Event) -> None:
        calls.append(("anything", type(event)))

    @portable
    def any_message(message: Message) -> None:
        calls.append(("any_message", message.channel))

    # A Dapr binding has the name of a function's trigger, and a function for any event takes it as a request.
    is_binding = service == "dapr_binding"
    channel = "feedback" if is_binding else "prod-feedback-1A2B"
    for function in (feedback, any_message) if is_binding else (feedback, any_message, anything):
        for name, text in TEXTS.items():
            calls.clear()
            sent = fake.message(text, channel=channel)
            delivery = deliver([*OTHERS, function], sent, to=provider, via=service)
            expected = [function.__name__]
            assert (name, expected, ["acknowledged"]) == (name, names(), delivery.outcomes)


@pytest.mark.parametrize(("provider", "service"), SERVICES)
def test_an_async_function_and_one_for_batches_get_the_texts_of_their_channel(provider: str, service: str) -> None:
    @portable(on.queue("feedback"), on.topic("feedback"), on.stream("feedback"))
    async def later(message: Message) -> None:
        calls.append(("later", message.channel))

    @portable(on.queue("feedback"), on.topic("feedback"), on.stream("feedback"))
    def batch(messages: Batch[Message]) -> None:
        calls.extend(("batch", one.channel) for one in messages)

    sent = [
        fake.message(text, id=f"m-{number}", key=f"k-{number}", channel="feedback")
        for number, text in enumerate(TEXTS.values())
        # Several events with one id of SNS differ by their contents, which this test doesn't check.
        if not (isinstance(text, dict) and "TopicArn" in text)
    ]
    for function in (later, batch):
        calls.clear()
        delivery = deliver([*OTHERS, function], sent, to=provider, via=service)
        assert {"acknowledged"} == set(delivery.outcomes)
        assert [function.__name__] * len(sent) == names()


ATTRIBUTES = {
    "Cloud Storage's notification": {
        "eventType": "OBJECT_DELETE",
        "bucketId": "uploads",
        "objectId": "victim.txt",
        "objectGeneration": "1",
        "payloadFormat": "NONE",
    },
    **{
        f"a CloudEvent, {prefix}": {
            f"{prefix}{name}": value
            for name, value in {
                "specversion": "1.0",
                "id": "any",
                "source": "shop",
                "type": "order.paid",
            }.items()
        }
        for prefix in ("ce_", "ce-", "cloudEvents_", "cloudEvents:")
    },
}


@pytest.mark.parametrize(("provider", "service"), SERVICES)
@pytest.mark.parametrize("attributes", ATTRIBUTES.values(), ids=list(ATTRIBUTES))
def test_attributes_make_a_message_no_other_event(provider: str, service: str, attributes: dict[str, str]) -> None:
    sent = fake.message({}, channel="feedback", attributes=attributes)
    try:
        delivery = deliver([admin, *OTHERS, feedback], sent, to=provider, via=service)
    except ValueError:
        pytest.skip("it carries no such attributes")
    assert ["feedback"] == names()
    assert ["acknowledged"] == delivery.outcomes


# --- what comes inside of messages on purpose -----------------------------------------------------------------------------


@portable(on.queue("orders"))
def orders(message: Message) -> None:
    calls.append(("orders", message.channel))


@portable(on.object("uploads", "created", via="notifications"))
def thumbnail(upload: ObjectEvent) -> None:
    calls.append(("thumbnail", upload.key))
    if upload.key == "fail.png":
        raise LookupError(upload.key)


@portable(on.change("accounts", via="notifications"))
def audit(change: ChangeEvent) -> None:
    calls.append(("audit", change.after))


@portable(on.schedule("0 3 * * *", name="nightly", via="notifications"))
def sweep(tick: ScheduleEvent) -> None:
    calls.append(("sweep", tick.name))


@portable(on.event("order.paid", via="notifications"))
def book(event: CloudEvent) -> None:
    calls.append(("book", event.data))


@portable(on.topic("news", via="notifications"))
def read(message: Message) -> None:
    calls.append(("read", message.channel))


CARRIED = [
    pytest.param(provider, service, function, event, id=f"{provider} {service}")
    for provider, service, function, event in (
        ("aws", "s3_sqs", thumbnail, fake.object("uploads", "a.png")),
        ("aws", "s3_sns", thumbnail, fake.object("uploads", "a.png")),
        ("aws", "s3_sns_sqs", thumbnail, fake.object("uploads", "a.png")),
        ("aws", "s3_sns_sqs_raw", thumbnail, fake.object("uploads", "a.png")),
        ("aws", "s3_eventbridge_sqs", thumbnail, fake.object("uploads", "a.png")),
        ("aws", "s3_eventbridge_sns_sqs", thumbnail, fake.object("uploads", "a.png")),
        ("aws", "dynamodb_kinesis", audit, fake.change("accounts", after={"id": "1"})),
        ("aws", "scheduler_sqs", sweep, fake.schedule(name="nightly")),
        ("aws", "eventbridge_sqs", book, fake.cloud_event("order.paid", {})),
        ("aws", "eventbridge_sns", book, fake.cloud_event("order.paid", {})),
        ("aws", "cloudevent_sqs", book, fake.cloud_event("order.paid", {})),
        ("aws", "cloudevent_sns", book, fake.cloud_event("order.paid", {})),
        ("aws", "cloudevent_kinesis", book, fake.cloud_event("order.paid", {})),
        ("aws", "sns_sqs", read, fake.message({}, channel="news")),
        ("gcp", "storage_notification", thumbnail, fake.object("uploads", "a.png")),
        ("gcp", "pubsub_structured", book, fake.cloud_event("order.paid", {})),
        ("azure", "event_grid_storage_queue", thumbnail, fake.object("uploads", "a.png")),
        ("cloudflare", "r2_queue", thumbnail, fake.object("uploads", "a.png")),
        ("cloudflare", "queue", book, fake.cloud_event("order.paid", {})),
    )
]


@pytest.mark.parametrize(("provider", "service", "function", "event"), CARRIED)
def test_an_event_inside_a_message_reaches_the_function_that_names_the_channel(
    provider: str, service: str, function: Any, event: Event[Any]
) -> None:
    assert ["acknowledged"] == deliver([orders, *OTHERS, function], event, to=provider, via=service).outcomes
    assert [function.__name__] == names()


@pytest.mark.parametrize(("provider", "service", "function", "event"), CARRIED)
def test_deliver_uses_the_service_that_the_functions_via_names(
    provider: str, service: str, function: Any, event: Event[Any]
) -> None:
    assert ["acknowledged"] == deliver([orders, function], event, to=provider).outcomes
    assert [function.__name__] == names()
    assert isinstance(deliver(function, event, to=provider).events[0], type(event))


@pytest.mark.parametrize(("provider", "service", "function", "event"), CARRIED)
def test_a_channel_named_by_two_functions_delivers_the_message_and_the_event_inside(
    provider: str, service: str, function: Any, event: Event[Any]
) -> None:
    @portable(on.queue("notifications"))
    def messages(message: Message) -> None:
        calls.append(("messages", message.channel))

    if provider == "azure":
        with pytest.raises(Exception, match="Azure gives each event to only one of them"):
            deliver([messages, function], event, to=provider, via=service)
        return
    assert ["acknowledged"] == deliver([messages, function], event, to=provider, via=service).outcomes
    assert sorted(["messages", function.__name__]) == sorted(names())


@pytest.mark.parametrize(
    ("provider", "service"),
    [
        ("aws", "s3_sqs"),
        ("aws", "s3_sns_sqs"),
        ("gcp", "storage_notification"),
        ("cloudflare", "r2_queue"),
        ("azure", "event_grid_storage_queue"),
    ],
)
def test_the_message_has_the_outcome_of_the_event_inside(provider: str, service: str) -> None:
    sent = [fake.object("uploads", key, id=key) for key in ("a.png", "fail.png", "b.png")]
    delivery = deliver([orders, thumbnail], sent, to=provider, via=service)
    assert ["acknowledged", "retried", "acknowledged"] == delivery.outcomes
    assert ["a.png", "fail.png", "b.png"] == [key for _, key in calls]


def sqs(queue: str, text: Any, id: str = "m-1") -> dict[str, Any]:
    """Return a payload of one message."""
    record = {**SQS_RECORD, "messageId": id, "body": json.dumps(text)}
    return {"Records": [{**record, "receiptHandle": "h", "eventSourceARN": f"arn:aws:sqs:us-east-1:1:{queue}"}]}


class LambdaContext:
    """Return it as Lambda delivers it."""

    aws_request_id = "request-1"
    function_name = "function"
    function_version = "1"
    invoked_function_arn = "arn:aws:lambda:us-east-1:1:function:function"

    def get_remaining_time_in_millis(self) -> int:
        return 30_000


def test_a_failure_inside_a_message_is_reported_by_the_messages_id() -> None:
    text = json.loads(
        json.dumps(S3).replace("ObjectRemoved:Delete", "ObjectCreated:Put").replace("victim.txt", "fail.png")
    )
    two = {"Records": [*sqs("notifications", text, "m-1")["Records"], *sqs("orders", {}, "m-2")["Records"]]}
    answer = aws_entry(thumbnail, orders)(two, LambdaContext())
    assert {"batchItemFailures": [{"itemIdentifier": "m-1"}]} == answer
    assert ["thumbnail", "orders"] == names()


def test_an_event_inside_a_message_reaches_no_function_of_another_queue() -> None:
    for function in (thumbnail, audit, sweep, book, read):
        for name, text in TEXTS.items():
            calls.clear()
            aws_entry(orders, function)(sqs("orders", text), LambdaContext())
            assert (name, ["orders"]) == (name, names())


def test_a_text_in_a_queue_of_notifications_reaches_no_function_that_does_not_name_the_queue() -> None:
    for name, text in TEXTS.items():
        calls.clear()
        with suppress(DecodeError):
            aws_entry(thumbnail, admin, *OTHERS, orders)(sqs("notifications", text), LambdaContext())
        assert (name, []) == (name, [one for one in names() if one != "thumbnail"])


def test_the_detail_of_an_event_that_anybody_may_put_on_a_bus_poses_as_nothing_else() -> None:
    details = [
        S3,
        CHANGE,
        SQS_RECORD,
        {"Records": [SQS_RECORD]},
        {**CHANGE, "eventSourceARN": "arn:aws:dynamodb:r:1:table/t/s"},
    ]
    for detail in details:
        calls.clear()
        aws_entry(paid, uploads, accounts, feedback, admin)(bus("shop", "order.paid", detail), LambdaContext())
        assert [("paid", detail)] == calls


def test_an_event_that_a_pipe_puts_on_a_bus_reaches_the_function_that_says_so() -> None:
    record = bus(
        "Pipe accounts",
        "Event from aws:dynamodb",
        {**CHANGE, "eventSourceARN": "arn:aws:dynamodb:r:1:table/accounts/s"},
    )

    @portable(on.change("accounts", via="Pipe accounts"))
    def piped(change: ChangeEvent) -> None:
        calls.append(("piped", change.action))

    @portable(on.event())
    def every(event: CloudEvent) -> None:
        calls.append(("every", event.type))

    for functions, expected in (
        ([accounts], ["accounts"]),
        ([accounts, paid], ["accounts"]),
        ([accounts, every], ["every"]),
        ([piped, every], ["piped"]),
    ):
        calls.clear()
        aws_entry(functions)(record, LambdaContext())
        assert expected == names()


def test_each_record_of_sns_or_a_stream_is_a_message_first() -> None:
    envelope = {"EventSource": "aws:sns", "Sns": {**sns(S3), "TopicArn": "arn:aws:sns:us-east-1:1:feedback"}}
    for functions, expected in (
        ([feedback, uploads], "feedback"),
        ([uploads], "uploads"),
        ([orders, uploads], "orders"),
    ):
        calls.clear()
        aws_entry(functions)({"Records": [envelope]}, LambdaContext())
        assert [expected] == names()


def test_an_email_holds_nothing_for_other_functions() -> None:
    delivery = deliver(
        [feedback, uploads], fake.message(json.dumps(S3), channel="feedback"), to="cloudflare", via="email"
    )
    assert (["feedback"], ["acknowledged"]) == (names(), delivery.outcomes)


def test_a_rejected_event_inside_a_message_goes_to_the_dead_letters_of_its_channels_trigger() -> None:
    @portable(
        on.object("uploads", via="first", dead_letter="first-dead"),
        on.object("uploads", via="second", dead_letter="second-dead"),
    )
    def never(upload: ObjectEvent) -> None:
        raise Reject("no use")

    from portable_fn_aws.drivers import queue as client

    sent: list[str] = []
    kept = client.dead_letter
    client.dead_letter = lambda event, reject, queue, *_: sent.append(queue)  # type: ignore[assignment]  # a fake
    try:
        for queue in ("second", "first"):
            assert {"batchItemFailures": []} == aws_entry(never)(sqs(queue, S3), LambdaContext())
    finally:
        client.dead_letter = kept
    assert ["second-dead", "first-dead"] == sent


def test_cloudflare_says_which_function_is_never_called_since_another_takes_every_queue(caplog: Any) -> None:
    worker((orders, uploads, paid), WorkerEntrypoint, JS, FFI)
    assert ["uploads", "paid"] == [record.getMessage().split(" ")[0] for record in caplog.records]
    assert "orders takes all of those; name the queue on its trigger with via='…'" in caplog.text
    caplog.clear()
    for functions in ((orders, thumbnail, book), (orders, feedback, uploads), (uploads, paid)):
        worker(functions, WorkerEntrypoint, JS, FFI)
    assert [] == caplog.records


@pytest.mark.parametrize("number", [1, 40])
def test_a_messages_text_is_read_once_however_many_functions_there_are(
    number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from portable_fn_aws.events import decode as decode_events

    read: list[str] = []
    parse = decode_events.parse_json

    def counting(text: str) -> Any:
        read.append(text)
        return parse(text)

    def of_bucket(number: int) -> Any:
        @portable(on.object(f"bucket-{number}", "created"))
        def function(upload: ObjectEvent) -> None:
            calls.append((upload.bucket, upload.key))

        return function

    monkeypatch.setattr(decode_events, "parse_json", counting)
    functions = [*(of_bucket(number) for number in range(number)), accounts, nightly, paid]
    created = json.loads(json.dumps(S3).replace("uploads", "bucket-0").replace("ObjectRemoved", "ObjectCreated"))
    for text, expected in (
        (created, ["bucket-0"]),
        (json.loads(json.dumps(created).replace("Created", "Removed")), []),
    ):
        read.clear()
        calls.clear()
        assert {"batchItemFailures": []} == aws_entry(functions)(sqs("notifications", text), LambdaContext())
        assert (expected, 1) == (names(), len(read))
    read.clear()
    aws_entry(functions, feedback)(sqs("feedback", created), LambdaContext())
    assert [] == read


@pytest.mark.parametrize("beside", [[], [orders], [orders, uploads]], ids=len)
def test_a_batch_function_for_events_inside_messages_gets_the_whole_batch(beside: list[Any]) -> None:
    @portable(on.change("accounts", via="changes"))
    def rows(changes: Batch[ChangeEvent]) -> None:
        calls.append(("rows", [change.after for change in changes]))

    sent = [fake.change("accounts", after={"id": id}, id=id, sequence=id) for id in ("1", "2", "3")]
    delivery = deliver([rows, *beside], sent, to="aws", via="dynamodb_kinesis")
    assert ["acknowledged"] * 3 == delivery.outcomes
    assert [("rows", [{"id": "1"}, {"id": "2"}, {"id": "3"}])] == calls


def test_a_worker_delivers_a_queue_to_its_batch_function_and_to_functions_for_the_events_inside() -> None:
    @portable(on.queue("notifications"))
    def batch(messages: Batch[Message]) -> None:
        calls.append(("batch", len(messages)))

    sent = [fake.object("uploads", key, id=key) for key in ("a.png", "b.png")]
    assert ["acknowledged"] * 2 == deliver([batch, thumbnail], sent, to="cloudflare").outcomes
    assert [("batch", 2), ("thumbnail", "a.png"), ("thumbnail", "b.png")] == calls
    calls.clear()
    assert ["acknowledged"] * 2 == deliver([batch, uploads], sent, to="cloudflare").outcomes
    assert [("batch", 2)] == calls


def test_a_topic_that_comes_by_a_queue_is_found_raw_and_in_its_envelope() -> None:
    for service in ("sns_sqs", "sns"):
        calls.clear()
        sent = fake.message({}, channel="news")
        assert ["acknowledged"] == deliver([orders, read], sent, to="aws", via=service).outcomes
        assert [("read", "news")] == calls
    calls.clear()
    assert {"batchItemFailures": []} == aws_entry(orders, read)(sqs("notifications", {"raw": 1}), LambdaContext())
    assert [("read", "notifications")] == calls
