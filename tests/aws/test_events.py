"""Decode events beyond the stories and the table of fields."""

from __future__ import annotations

import base64
import gzip
import json
import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from portable_fn import (
    ChangeEvent,
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
from portable_fn.testing import deliver, fake
from portable_fn_aws import entry
from portable_fn_aws.events import decode as decode_events
from portable_fn_aws.simulate import LambdaContext, payloads
from portable_fn_aws.simulate.messages import sqs_record
from portable_fn_aws.simulate.objects import s3
from tests.aws.calls import invoke, items_of, only_event, record, records

ROOT = Path(__file__).parents[2]


def test_the_group_of_a_fifo_queue_is_the_key_and_its_sequence_is_kept() -> None:
    system = {"MessageGroupId": "g", "SequenceNumber": "18849496460467696128", "ApproximateReceiveCount": "3"}
    arn = "arn:aws:sqs:eu-central-1:123456789012:orders.fifo"
    event = only_event({"Records": [record(attributes=system, eventSourceARN=arn)]})
    assert ("g", "18849496460467696128", 3, "orders") == (event.key, event.sequence, event.attempt, event.channel)


def test_a_group_of_a_standard_queue_is_ignored() -> None:
    event = only_event({"Records": [record(attributes={"MessageGroupId": "tenant", "ApproximateReceiveCount": "1"})]})
    assert (None, None) == (event.key, event.time)


def test_a_fifo_record_without_a_group_fails_alone() -> None:
    arn = "arn:aws:sqs:eu-central-1:123456789012:orders.fifo"
    good = {"MessageGroupId": "g"}
    items = items_of(
        {"Records": [record(attributes={}, eventSourceARN=arn), record(attributes=good, eventSourceARN=arn)]}
    )
    assert ["DecodeError", "FIFOMessage"] == [type(item).__name__ for item in items]
    assert "an SQS record can't be read: 'MessageGroupId' is missing" == str(items[0])


def test_the_trace_of_a_message_is_the_senders_or_else_x_rays() -> None:
    root, parent = "1-5759e988-bd862e3fe1be46a994272793", "53995c3f42cd8ad8"
    system = {"AWSTraceHeader": f"Root={root};Parent={parent};Sampled=1"}
    seen: list[Any] = []

    @portable
    def keep(message: Message, ctx: Context) -> None:
        seen.append(str(ctx.trace))

    sent = {
        "traceparent": {"dataType": "String", "stringValue": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"}
    }
    invoke(keep, {"Records": [record(attributes=system), record(messageId="m-2", messageAttributes=sent)]})
    assert [
        "00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00",
    ] == seen


def test_the_attribute_content_type_is_the_content_type() -> None:
    sent = {"Content-Type": {"dataType": "String", "stringValue": "text/plain"}}
    event = only_event({"Records": [record(messageAttributes=sent, body="12")]})
    assert ("text/plain", "12", {}) == (event.content_type, event.data, event.attributes)


def test_an_sns_message_in_sqs_has_the_queues_message_as_envelope() -> None:
    published = fake.message({"n": 1}, id="p-1", attributes={"a": "1", "b": b"\xff"}, subject="Hello", attempt=2)
    event = only_event(payloads([published], "sns_sqs")[0])
    (outer,) = event.envelopes
    assert ("p-1", "Hello", {"a": "1", "b": b"\xff"}, 2) == (event.id, event.subject, event.attributes, event.attempt)
    assert outer.source.startswith("arn:aws:sqs:") and event.source.startswith("arn:aws:sns:")
    assert outer.id != event.id


def test_a_body_that_only_mentions_a_topic_is_a_plain_body() -> None:
    for body in ('{"Type":"Order","TopicArn":"x"}', '"TopicArn"', '{"TopicArn"', '{"note":"\\"TopicArn\\""}'):
        assert body == only_event({"Records": [record(body=body)]}).text


def test_a_deeply_nested_envelope_is_a_plain_body() -> None:
    body = '{"Type":"Notification","TopicArn":' + "[" * 500 + "]" * 500 + "}"
    assert "m-1" == only_event({"Records": [record(body=body)]}).id


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.1", Decimal("0.1")),
        ("1E+126", Decimal("1E+126")),
        ("-12345678901234567890123456789012345678", None),
        ("0", Decimal(0)),
    ],
)
def test_a_dynamodb_number_is_exact(text: str, value: Decimal | None) -> None:
    (native,) = payloads([fake.change(after={"id": "1"})], "dynamodb")
    native["Records"][0]["dynamodb"]["NewImage"] = {"n": {"N": text}, "l": {"L": [{"N": text}]}, "s": {"NS": [text]}}
    wanted = Decimal(text) if value is None else value
    assert {"n": wanted, "l": [wanted], "s": {wanted}} == only_event(native).after


@pytest.mark.parametrize(
    "image",
    [{"n": {"N": 1.5}}, {"n": {"N": "x"}}, {"n": {}}, {"n": {"S": "a", "N": "1"}}, {"n": {"X": "1"}}, {"n": None}, {"n": {"B": "?"}},
     {"n": {"SS": "ab"}}, {"n": {"BOOL": "true"}}, {"n": {"L": {}}}, {"n": {"M": []}}, []],
)  # fmt: skip
def test_a_malformed_image_raises_decode_error_on_access(image: Any) -> None:
    (native,) = payloads([fake.change(after={"id": "1"})], "dynamodb")
    native["Records"][0]["dynamodb"]["NewImage"] = image
    with pytest.raises(DecodeError, match="after of DynamoDBChange can't be read"):
        _ = only_event(native).after


def test_an_s3_event_name_becomes_an_action() -> None:
    said = {
        "ObjectCreated:CompleteMultipartUpload": "created", "ObjectRemoved:DeleteMarkerCreated": "deleted",
        "LifecycleExpiration:Delete": "deleted", "s3:LifecycleTransition": "archived", "ObjectAcl:Put": "changed",
        "ObjectRestore:Post": "changed", "IntelligentTiering": "archived", "ObjectNeverHeardOf": "changed",
    }  # fmt: skip
    actual = {}
    for name in said:
        native = s3(fake.object())
        native["eventName"] = name
        event = only_event({"Records": [native]})
        actual[name] = event.action
        assert name.removeprefix("s3:") == event.type
    assert said == actual


def test_two_deletions_of_one_request_have_two_ids() -> None:
    first, second = s3(fake.object(key="a", id="request.1")), s3(fake.object(key="a", id="request.2"))
    assert ["request.1.a", "request.2.a"] == [event.id for event in items_of({"Records": [first, second]})]


def test_two_objects_of_one_request_and_sequencer_have_two_ids() -> None:
    first, second = s3(fake.object(key="a", id="request.1")), s3(fake.object(key="b", id="request.1"))
    assert ["request.1.a", "request.1.b"] == [event.id for event in items_of({"Records": [first, second]})]


def test_an_s3_record_without_an_identity_is_a_decode_error() -> None:
    native = s3(fake.object())
    native["responseElements"] = native["s3"]["object"]["sequencer"] = None
    with pytest.raises(DecodeError, match="neither a request id nor a sequencer"):
        only_event({"Records": [native]})


TEST_EVENT = {"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "uploads", "RequestId": "1", "HostId": "2"}


def test_s3s_test_of_a_notification_is_acknowledged_without_a_call() -> None:
    seen: list[Any] = []

    @portable(on.queue("uploads"))
    def keep(upload: ObjectEvent) -> None:
        seen.append(upload.key)

    body = json.dumps(TEST_EVENT)
    real = sqs_record(fake.message({"Records": [s3(fake.object(key="a.png"))]}, id="m-2"))
    assert {"batchItemFailures": []} == invoke(keep, {"Records": [record(body=body), real]})
    envelope = {"Type": "Notification", "MessageId": "p", "TopicArn": "arn:aws:sns:r:1:t", "Message": body}
    assert {"batchItemFailures": []} == invoke(keep, {"Records": [record(body=json.dumps(envelope))]})
    assert None is invoke(keep, TEST_EVENT)
    assert ["a.png"] == seen


def test_s3s_test_of_a_notification_reaches_no_function_of_another_queue() -> None:
    seen: list[str] = []

    @portable(on.object("uploads"))
    def upload(event: ObjectEvent) -> None:
        seen.append("upload")

    @portable(on.object("uploads", via="orders"))
    def by_orders(event: ObjectEvent) -> None:
        seen.append("upload")

    @portable(on.object("uploads", via="orders"), on.queue("elsewhere"))
    def several(event: Event) -> None:
        seen.append("upload")

    @portable(on.queue("elsewhere"))
    def elsewhere(message: Message) -> None:
        seen.append("elsewhere")

    @portable(on.queue("orders"))
    def orders(message: Message) -> None:
        seen.append("orders")

    native = {"Records": [record(body=json.dumps(TEST_EVENT))]}
    for functions in ([by_orders], [by_orders, elsewhere], [several], [upload]):
        assert {"batchItemFailures": []} == entry(functions)(native, LambdaContext())
    assert [] == seen
    entry(upload, elsewhere, orders)(native, LambdaContext())
    entry(by_orders, orders)(native, LambdaContext())
    assert ["orders", "orders"] == seen


def test_a_text_like_s3s_test_reaches_the_only_message_function() -> None:
    seen: list[Any] = []

    @portable(on.object("uploads"))
    def upload(event: ObjectEvent) -> None: ...

    @portable(on.queue("orders"))
    def orders(message: Message) -> None:
        seen.append(message.channel)

    native = {"Records": [record(body=json.dumps(TEST_EVENT), eventSourceARN="arn:aws:sqs:r:1:prod-orders-1A2B")]}
    assert {"batchItemFailures": []} == entry(upload, orders)(native, LambdaContext())
    assert ["prod-orders-1A2B"] == seen


def test_s3s_test_of_a_notification_is_a_message_for_message_functions() -> None:
    seen: list[Any] = []

    @portable
    def keep(message: Message) -> None:
        seen.append(message.data)

    invoke(keep, {"Records": [record(body=json.dumps(TEST_EVENT))]})
    assert [TEST_EVENT] == seen


def logs(batch: Any) -> dict[str, Any]:
    return {"awslogs": {"data": base64.b64encode(gzip.compress(json.dumps(batch).encode())).decode()}}


def test_a_check_of_a_subscription_is_acknowledged_without_a_call() -> None:
    @portable
    def never(message: Message) -> None:
        raise AssertionError

    assert None is invoke(never, logs({"messageType": "CONTROL_MESSAGE", "logEvents": [{"id": ""}]}))


def test_a_batch_of_logs_over_the_limit_is_a_decode_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("portable_fn_aws.events.logs.MAX_LOGS", 1000)
    with pytest.raises(DecodeError, match="over 1000 bytes"):
        only_event(logs({"messageType": "DATA_MESSAGE", "more": "a" * 5000}))
    with pytest.raises(DecodeError, match="can't be read"):
        only_event({"awslogs": {"data": "AAAA"}})


def test_a_kafka_tombstone_is_an_empty_message_with_a_key() -> None:
    (native,) = payloads([fake.message({}, key="k", sequence="7", partition="2")], "kafka")
    (name,) = native["records"]
    native["records"][name][0].update(value=None, headers=[{"a": [-61, -68]}, {"b": [-1]}])
    event = only_event(native)
    assert (b"", None, "k", "orders-2-7") == (event.body, event.data, event.key, event.id)
    assert {"a": "ü", "b": b"\xff"} == event.attributes


@pytest.mark.parametrize("source", ["aws:kafka", "kafka", "aws:SelfManagedKafka", "SelfManagedKafka"])
def test_kafka_is_known_with_and_without_the_prefix(source: str) -> None:
    (native,) = payloads([fake.message({"n": 1})], "self_managed_kafka")
    assert {"n": 1} == only_event({**native, "eventSource": source}).data


def test_rabbitmq_times_of_newer_java_versions_are_read() -> None:
    (native,) = payloads([fake.message({})], "rabbitmq")
    ((message,),) = native["rmqMessagesByQueue"].values()
    message["basicProperties"]["timestamp"] = "Jan 1, 1970, 12:33:41\u202fAM"
    assert datetime(1970, 1, 1, 0, 33, 41, tzinfo=UTC) == only_event(native).time


def test_the_id_of_a_rabbitmq_message_falls_back_to_its_place_in_the_invocation() -> None:
    (native,) = payloads([fake.message({}, id="a"), fake.message({}, id="b")], "rabbitmq")
    for message in native["rmqMessagesByQueue"]["orders::/"]:
        message["basicProperties"]["messageId"] = None
    request = "00000000-0000-4000-8000-000000000001"
    assert [f"{request}/orders:://0", f"{request}/orders:://1"] == [event.id for event in items_of(native)]


def test_documentdbs_extended_json_becomes_plain_python() -> None:
    (native,) = payloads([fake.change(after={"id": "1"})], "docdb")
    native["events"][0]["event"]["fullDocument"] = {
        "_id": {"$oid": "63e2"}, "at": {"$date": {"$numberLong": "1700000000000"}}, "when": {"$date": "2024-01-01T00:00:00Z"},
        "n": {"$numberLong": "7"}, "d": {"$numberDecimal": "0.10"}, "b": {"$binary": {"base64": "AAE=", "subType": "00"}},
        "deep": [{"x": {"$numberInt": "1"}}], "odd": {"$regularExpression": {"pattern": "a"}}, "plain": {"$a": 1, "b": 2},
    }  # fmt: skip
    assert {
        "_id": "63e2", "at": datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC), "when": datetime(2024, 1, 1, tzinfo=UTC),
        "n": 7, "d": Decimal("0.10"), "b": b"\x00\x01", "deep": [{"x": 1}],
        "odd": {"$regularExpression": {"pattern": "a"}}, "plain": {"$a": 1, "b": 2},
    } == only_event(native).after  # fmt: skip


def test_a_dropped_collection_is_acknowledged_without_a_call() -> None:
    (native,) = payloads([fake.change(after={"id": "1"})], "docdb")
    native["events"].append(
        {"event": {"_id": {"_data": "2"}, "operationType": "drop", "ns": {"db": "d", "coll": "users"}}}
    )
    seen: list[Any] = []

    @portable
    def keep(change: ChangeEvent) -> None:
        seen.append(change.action)

    assert None is invoke(keep, native)
    assert ["inserted"] == seen


def test_a_table_change_in_a_kinesis_stream_has_microseconds() -> None:
    change = {
        "eventSource": "aws:dynamodb", "eventID": "1", "eventName": "REMOVE", "tableName": "users",
        "dynamodb": {"Keys": {"id": {"S": "7"}}, "ApproximateCreationDateTime": 1700000000000001,
                     "ApproximateCreationDateTimePrecision": "MICROSECOND"},
    }  # fmt: skip
    message = only_event(payloads([fake.message(change)], "kinesis")[0])
    (row,) = decode_events.unwrap(message)
    assert ("users", "removed", {"id": "7"}) == (row.table, row.action, row.key)  # type: ignore[attr-defined]
    assert datetime(2023, 11, 14, 22, 13, 20, 1, tzinfo=UTC) == row.time
    assert (message,) == row.envelopes


def test_envelopes_start_with_the_outermost() -> None:
    message = only_event(payloads([fake.object(key="a b/é+%.png", id="o-1")], "s3_eventbridge_sns_sqs")[0])
    (bus,) = decode_events.unwrap(message)
    (upload,) = decode_events.unwrap(bus)
    queue = message.envelopes[0]
    assert ("a b/é+%.png", "o-1") == (upload.key, upload.id)  # type: ignore[attr-defined]
    assert [queue, message, bus] == list(upload.envelopes)


@pytest.mark.parametrize(
    ("detail", "data"), [("{}", None), ('{"a":1}', {"a": 1}), ("text", "text"), ({}, None), ({"a": 1}, {"a": 1})]
)
def test_a_schedules_detail_is_its_input_or_nothing(detail: Any, data: Any) -> None:
    (native,) = payloads([fake.schedule()], "scheduler")
    (tick,) = decode_events.unwrap(only_event({**native, "detail": detail}))
    assert (data, "nightly", False) == (tick.data, tick.name, tick.native is None)  # type: ignore[attr-defined]


def test_a_schedule_trigger_makes_any_input_a_schedule() -> None:
    seen: list[Any] = []

    @portable(on.schedule("0 3 * * *"))
    def nightly(tick: ScheduleEvent) -> None:
        seen.append((tick.id, tick.data))

    for native in ({"report": "sales"}, {"Name": "x", "Details": 1}, "text", None):
        assert None is invoke(nightly, native)
    id = "00000000-0000-4000-8000-000000000001"
    assert [(id, {"report": "sales"}), (id, {"Name": "x", "Details": 1}), (id, "text"), (id, None)] == seen


def test_a_task_calls_the_function_of_its_name() -> None:
    @portable(on.task())
    def add(task: Task) -> int:
        return int(sum(task.data))

    @portable(on.task())
    def most(task: Task) -> int:
        return int(max(task.data))

    tasks = ([1, 2], "add"), ([1, 2], "most")
    assert [3, 2] == [deliver([add, most], fake.task(data, name=name), to="aws").result for data, name in tasks]


def test_a_payload_without_a_source_is_a_task_if_a_function_takes_tasks() -> None:
    seen: list[str] = []

    @portable(on.schedule("0 3 * * *"))
    def nightly(tick: ScheduleEvent) -> None:
        seen.append("tick")

    @portable(on.task())
    def work(task: Task) -> None:
        seen.append("task")

    handler = entry(nightly, work)
    handler({"report": "sales"}, LambdaContext())
    handler(payloads([fake.schedule()], "scheduler")[0], LambdaContext())
    assert ["task", "tick"] == seen


def test_the_fields_of_a_bus_event_become_a_cloudevents() -> None:
    (native,) = payloads([fake.cloud_event("order.created", {"n": 1}, source="shop", id="e-1")], "eventbridge")
    event = only_event({**native, "resources": ["arn:a", "arn:b"]})
    assert ("e-1", "shop", "order.created", {"n": 1}) == (event.id, event.source, event.type, event.data)
    assert {"account": "123456789012", "region": "eu-central-1", "resources": "arn:a,arn:b"} == event.extensions
    assert b'{"n":1}' == event.body


def test_an_entry_for_requests_names_known_services_and_loads_no_event_modules() -> None:
    @portable
    def hello(request: Request) -> str:
        return "hello"

    with pytest.raises(DecodeError, match="no function takes the payload, an object with Records"):
        invoke(hello, {"Records": records(1)})
    code = (
        "import sys; from portable_fn import Request, portable; from portable_fn_aws import entry\n"
        "@portable\ndef hello(request: Request): return {}\nentry(hello)\n"
        "print(sorted(name for name in sys.modules if name.startswith('portable_fn_aws.')))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT, env={"PYTHONPATH": "src:adapters"})  # fmt: skip
    assert "['portable_fn_aws.decode', 'portable_fn_aws.encode', 'portable_fn_aws.entry']" == run.stdout.strip()


def test_the_event_modules_load_nothing_heavy() -> None:
    code = (
        "import sys, json; before = set(sys.modules); from portable_fn import Message, portable; from portable_fn_aws import entry\n"
        "@portable\ndef hello(message: Message): message.data\nhandler = entry(hello)\n"
        "class C: aws_request_id = invoked_function_arn = function_name = 'x'; get_remaining_time_in_millis = lambda self: 9000\n"
        f"handler(json.loads({json.dumps(json.dumps({'Records': records(1)}))}), C())\n"
        "heavy = {'typing', 'dataclasses', 'inspect', 'asyncio', 'email', 'uuid', 'http.client', 'urllib.parse', 'logging', 'decimal',"
        " 'datetime', 'hashlib', 'portable_fn_aws.drivers.queue', 'portable_fn_aws.events.changes', 'portable_fn_aws.events.objects', 'zlib'}\n"
        "print(sorted((heavy & set(sys.modules)) - before))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT, env={"PYTHONPATH": "src:adapters"})  # fmt: skip
    assert "[]" == run.stdout.strip()
