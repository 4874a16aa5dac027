"""What the AWS adapter makes of events that are no requests, beyond the stories."""

from __future__ import annotations

import base64
import gzip
import json
import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portable_fn import (
    Batch,
    ChangeEvent,
    CloudEvent,
    ConfigurationError,
    Context,
    DecodeError,
    EncodeError,
    Event,
    Message,
    ObjectEvent,
    Reject,
    Request,
    Retry,
    ScheduleEvent,
    Task,
    on,
    portable,
)
from portable_fn.adapter.cloudevents import write_time
from portable_fn.testing import deliver, fake
from portable_fn.testing.results import Raised
from portable_fn_aws import decode, entry
from portable_fn_aws.drivers import api
from portable_fn_aws.drivers import queue as sqs
from portable_fn_aws.events import decode as decode_events
from portable_fn_aws.events import encode as encode_events
from portable_fn_aws.simulate import EVENT_SERVICES, LambdaContext, payloads, playing, results
from portable_fn_aws.simulate.messages import sqs_record
from portable_fn_aws.simulate.objects import s3

ROOT = Path(__file__).parents[2]


def context() -> decode.AWSContext:
    return decode.AWSContext(LambdaContext(), True)


def arrived(native: Any) -> list[Any]:
    return list(decode_events.read_events(native, context()).items)


def one(native: Any) -> Any:
    (event,) = arrived(native)
    if isinstance(event, DecodeError):
        raise event
    return event


def record(**fields: Any) -> dict[str, Any]:
    return {**sqs_record(fake.message({"n": 1}, id="m-1")), **fields}


def records(*numbers: int) -> list[dict[str, Any]]:
    return [sqs_record(fake.message({"n": number}, id=f"m-{number}")) for number in numbers]


def invoke(handler: Any, native: Any) -> Any:
    return entry(handler)(native, LambdaContext())


# --- what is read ------------------------------------------------------------------------------------------------------


def test_a_fifo_queues_group_is_the_key_and_its_sequence_is_kept() -> None:
    system = {"MessageGroupId": "g", "SequenceNumber": "18849496460467696128", "ApproximateReceiveCount": "3"}
    arn = "arn:aws:sqs:eu-central-1:123456789012:orders.fifo"
    event = one({"Records": [record(attributes=system, eventSourceARN=arn)]})
    assert ("g", "18849496460467696128", 3, "orders") == (event.key, event.sequence, event.attempt, event.channel)


def test_a_group_of_a_standard_queue_is_no_order() -> None:
    event = one({"Records": [record(attributes={"MessageGroupId": "tenant", "ApproximateReceiveCount": "1"})]})
    assert (None, None) == (event.key, event.time)


def test_a_fifo_record_without_a_group_is_unreadable_alone() -> None:
    arn = "arn:aws:sqs:eu-central-1:123456789012:orders.fifo"
    good = {"MessageGroupId": "g"}
    items = arrived(
        {"Records": [record(attributes={}, eventSourceARN=arn), record(attributes=good, eventSourceARN=arn)]}
    )
    assert ["DecodeError", "FIFOMessage"] == [type(item).__name__ for item in items]
    assert "an SQS record can't be read: 'MessageGroupId' is missing" == str(items[0])


def test_the_trace_of_a_message_is_x_rays_or_the_senders_own() -> None:
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


def test_a_content_type_among_the_attributes_is_the_messages() -> None:
    sent = {"Content-Type": {"dataType": "String", "stringValue": "text/plain"}}
    event = one({"Records": [record(messageAttributes=sent, body="12")]})
    assert ("text/plain", "12", {}) == (event.content_type, event.data, event.attributes)


def test_sns_in_sqs_is_the_message_that_was_published_in_the_queues_envelope() -> None:
    published = fake.message({"n": 1}, id="p-1", attributes={"a": "1", "b": b"\xff"}, subject="Hello", attempt=2)
    event = one(payloads([published], "sns_sqs")[0])
    (outer,) = event.envelopes
    assert ("p-1", "Hello", {"a": "1", "b": b"\xff"}, 2) == (event.id, event.subject, event.attributes, event.attempt)
    assert outer.source.startswith("arn:aws:sqs:") and event.source.startswith("arn:aws:sns:")
    assert outer.id != event.id


def test_a_body_that_only_speaks_of_a_topic_is_a_body() -> None:
    for body in ('{"Type":"Order","TopicArn":"x"}', '"TopicArn"', '{"TopicArn"', '{"note":"\\"TopicArn\\""}'):
        assert body == one({"Records": [record(body=body)]}).text


def test_a_deep_or_huge_envelope_is_no_envelope() -> None:
    body = '{"Type":"Notification","TopicArn":' + "[" * 500 + "]" * 500 + "}"
    assert "m-1" == one({"Records": [record(body=body)]}).id


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.1", Decimal("0.1")),
        ("1E+126", Decimal("1E+126")),
        ("-12345678901234567890123456789012345678", None),
        ("0", Decimal(0)),
    ],
)
def test_a_number_of_dynamodb_is_exact(text: str, value: Decimal | None) -> None:
    (native,) = payloads([fake.change(after={"id": "1"})], "dynamodb")
    native["Records"][0]["dynamodb"]["NewImage"] = {"n": {"N": text}, "l": {"L": [{"N": text}]}, "s": {"NS": [text]}}
    wanted = Decimal(text) if value is None else value
    assert {"n": wanted, "l": [wanted], "s": {wanted}} == one(native).after


@pytest.mark.parametrize(
    "image",
    [{"n": {"N": 1.5}}, {"n": {"N": "x"}}, {"n": {}}, {"n": {"S": "a", "N": "1"}}, {"n": {"X": "1"}}, {"n": None}, {"n": {"B": "?"}},
     {"n": {"SS": "ab"}}, {"n": {"BOOL": "true"}}, {"n": {"L": {}}}, {"n": {"M": []}}, []],
)  # fmt: skip
def test_an_image_that_is_none_of_dynamodbs_is_a_decode_error_when_it_is_read(image: Any) -> None:
    (native,) = payloads([fake.change(after={"id": "1"})], "dynamodb")
    native["Records"][0]["dynamodb"]["NewImage"] = image
    with pytest.raises(DecodeError, match="after of DynamoDBChange can't be read"):
        _ = one(native).after


def test_what_s3_says_of_an_object_is_an_action() -> None:
    said = {
        "ObjectCreated:CompleteMultipartUpload": "created", "ObjectRemoved:DeleteMarkerCreated": "deleted",
        "LifecycleExpiration:Delete": "deleted", "s3:LifecycleTransition": "archived", "ObjectAcl:Put": "changed",
        "ObjectRestore:Post": "changed", "IntelligentTiering": "archived", "ObjectNeverHeardOf": "changed",
    }  # fmt: skip
    actual = {}
    for name in said:
        native = s3(fake.object())
        native["eventName"] = name
        event = one({"Records": [native]})
        actual[name] = event.action
        assert name.removeprefix("s3:") == event.type
    assert said == actual


def test_two_deletions_of_one_request_have_two_ids() -> None:
    first, second = s3(fake.object(key="a", id="request.1")), s3(fake.object(key="a", id="request.2"))
    assert ["request.1.a", "request.2.a"] == [event.id for event in arrived({"Records": [first, second]})]


def test_two_objects_of_one_request_and_one_place_have_two_ids() -> None:
    first, second = s3(fake.object(key="a", id="request.1")), s3(fake.object(key="b", id="request.1"))
    assert ["request.1.a", "request.1.b"] == [event.id for event in arrived({"Records": [first, second]})]


def test_an_s3_record_without_anything_that_identifies_it_is_a_decode_error() -> None:
    native = s3(fake.object())
    native["responseElements"] = native["s3"]["object"]["sequencer"] = None
    with pytest.raises(DecodeError, match="neither a request id nor a sequencer"):
        one({"Records": [native]})


TEST_EVENT = {"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "uploads", "RequestId": "1", "HostId": "2"}


def test_s3s_test_of_a_notification_is_done_quietly() -> None:
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


def test_s3s_test_of_a_notification_is_for_no_function_of_another_queue() -> None:
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


def test_a_text_that_looks_like_s3s_test_is_a_message_to_the_only_function_for_messages() -> None:
    seen: list[Any] = []

    @portable(on.object("uploads"))
    def upload(event: ObjectEvent) -> None: ...

    @portable(on.queue("orders"))
    def orders(message: Message) -> None:
        seen.append(message.channel)

    native = {"Records": [record(body=json.dumps(TEST_EVENT), eventSourceARN="arn:aws:sqs:r:1:prod-orders-1A2B")]}
    assert {"batchItemFailures": []} == entry(upload, orders)(native, LambdaContext())
    assert ["prod-orders-1A2B"] == seen


def test_s3s_test_of_a_notification_is_a_message_for_who_takes_messages() -> None:
    seen: list[Any] = []

    @portable
    def keep(message: Message) -> None:
        seen.append(message.data)

    invoke(keep, {"Records": [record(body=json.dumps(TEST_EVENT))]})
    assert [TEST_EVENT] == seen


def logs(batch: Any) -> dict[str, Any]:
    return {"awslogs": {"data": base64.b64encode(gzip.compress(json.dumps(batch).encode())).decode()}}


def test_a_check_of_a_subscription_is_done_quietly() -> None:
    @portable
    def never(message: Message) -> None:
        raise AssertionError

    assert None is invoke(never, logs({"messageType": "CONTROL_MESSAGE", "logEvents": [{"id": ""}]}))


def test_a_logs_batch_that_inflates_without_end_is_a_decode_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("portable_fn_aws.events.logs.MAX_LOGS", 1000)
    with pytest.raises(DecodeError, match="over 1000 bytes"):
        one(logs({"messageType": "DATA_MESSAGE", "more": "a" * 5000}))
    with pytest.raises(DecodeError, match="can't be read"):
        one({"awslogs": {"data": "AAAA"}})


def test_a_tombstone_of_kafka_is_an_empty_message_with_a_key() -> None:
    (native,) = payloads([fake.message({}, key="k", sequence="7", partition="2")], "kafka")
    (name,) = native["records"]
    native["records"][name][0].update(value=None, headers=[{"a": [-61, -68]}, {"b": [-1]}])
    event = one(native)
    assert (b"", None, "k", "orders-2-7") == (event.body, event.data, event.key, event.id)
    assert {"a": "ü", "b": b"\xff"} == event.attributes


@pytest.mark.parametrize("source", ["aws:kafka", "kafka", "aws:SelfManagedKafka", "SelfManagedKafka"])
def test_kafka_is_known_with_and_without_the_prefix(source: str) -> None:
    (native,) = payloads([fake.message({"n": 1})], "self_managed_kafka")
    assert {"n": 1} == one({**native, "eventSource": source}).data


def test_rabbitmqs_times_are_read_with_the_spaces_of_newer_javas() -> None:
    (native,) = payloads([fake.message({})], "rabbitmq")
    ((message,),) = native["rmqMessagesByQueue"].values()
    message["basicProperties"]["timestamp"] = "Jan 1, 1970, 12:33:41\u202fAM"
    assert datetime(1970, 1, 1, 0, 33, 41, tzinfo=UTC) == one(native).time


def test_rabbitmqs_messages_without_an_id_have_their_place_in_the_invocation() -> None:
    (native,) = payloads([fake.message({}, id="a"), fake.message({}, id="b")], "rabbitmq")
    for message in native["rmqMessagesByQueue"]["orders::/"]:
        message["basicProperties"]["messageId"] = None
    request = "00000000-0000-4000-8000-000000000001"
    assert [f"{request}/orders:://0", f"{request}/orders:://1"] == [event.id for event in arrived(native)]


def test_documentdbs_extended_json_is_plain_python() -> None:
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
    } == one(native).after  # fmt: skip


def test_a_dropped_collection_is_done_quietly() -> None:
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


def test_a_table_that_writes_to_a_kinesis_stream_tells_microseconds() -> None:
    change = {
        "eventSource": "aws:dynamodb", "eventID": "1", "eventName": "REMOVE", "tableName": "users",
        "dynamodb": {"Keys": {"id": {"S": "7"}}, "ApproximateCreationDateTime": 1700000000000001,
                     "ApproximateCreationDateTimePrecision": "MICROSECOND"},
    }  # fmt: skip
    message = one(payloads([fake.message(change)], "kinesis")[0])
    (row,) = decode_events.unwrap(message)
    assert ("users", "removed", {"id": "7"}) == (row.table, row.action, row.key)  # type: ignore[attr-defined]
    assert datetime(2023, 11, 14, 22, 13, 20, 1, tzinfo=UTC) == row.time
    assert (message,) == row.envelopes


def test_nested_envelopes_are_outermost_first() -> None:
    message = one(payloads([fake.object(key="a b/é+%.png", id="o-1")], "s3_eventbridge_sns_sqs")[0])
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
    (tick,) = decode_events.unwrap(one({**native, "detail": detail}))
    assert (data, "nightly", False) == (tick.data, tick.name, tick.native is None)  # type: ignore[attr-defined]


def test_where_a_schedule_has_an_input_of_its_own_the_trigger_decides() -> None:
    seen: list[Any] = []

    @portable(on.schedule("0 3 * * *"))
    def nightly(tick: ScheduleEvent) -> None:
        seen.append((tick.id, tick.data))

    for native in ({"report": "sales"}, {"Name": "x", "Details": 1}, "text", None):
        assert None is invoke(nightly, native)
    id = "00000000-0000-4000-8000-000000000001"
    assert [(id, {"report": "sales"}), (id, {"Name": "x", "Details": 1}), (id, "text"), (id, None)] == seen


def test_a_task_is_for_the_function_of_its_name() -> None:
    @portable(on.task())
    def add(task: Task) -> int:
        return int(sum(task.data))

    @portable(on.task())
    def most(task: Task) -> int:
        return int(max(task.data))

    tasks = ([1, 2], "add"), ([1, 2], "most")
    assert [3, 2] == [deliver([add, most], fake.task(data, name=name), to="aws").result for data, name in tasks]


def test_where_tasks_are_taken_too_a_payload_without_a_source_is_a_task() -> None:
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


def test_the_fields_of_an_event_of_a_bus_are_a_cloudevents() -> None:
    (native,) = payloads([fake.cloud_event("order.created", {"n": 1}, source="shop", id="e-1")], "eventbridge")
    event = one({**native, "resources": ["arn:a", "arn:b"]})
    assert ("e-1", "shop", "order.created", {"n": 1}) == (event.id, event.source, event.type, event.data)
    assert {"account": "123456789012", "region": "eu-central-1", "resources": "arn:a,arn:b"} == event.extensions
    assert b'{"n":1}' == event.body


def test_an_entry_of_requests_alone_says_what_it_knows_and_loads_no_events() -> None:
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


# --- what becomes of it ------------------------------------------------------------------------------------------------


@portable
def odd_fails(message: Message) -> None:
    if message.data["n"] % 2:
        raise KeyError(message.data["n"])


def test_of_a_queues_batch_those_that_failed_are_reported() -> None:
    assert {"batchItemFailures": [{"itemIdentifier": "m-1"}, {"itemIdentifier": "m-3"}]} == invoke(
        odd_fails, {"Records": records(1, 2, 3, 4)}
    )


def test_where_every_message_failed_the_first_ones_own_error_is_raised() -> None:
    with pytest.raises(KeyError, match="3"):
        invoke(odd_fails, {"Records": records(3, 5)})


def test_the_whole_batch_fails_where_that_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORTABLE_FN_AWS_BATCH", "raise")
    with pytest.raises(KeyError, match="1"):
        invoke(odd_fails, {"Records": records(1, 2)})
    assert {"batchItemFailures": []} == invoke(odd_fails, {"Records": records(2, 4)})
    monkeypatch.setenv("PORTABLE_FN_AWS_BATCH", "riase")
    with pytest.raises(
        ConfigurationError, match="PORTABLE_FN_AWS_BATCH is 'riase'; set report, report-always or raise"
    ):
        entry(odd_fails)


def test_what_must_be_set_on_the_mapping_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    handler = entry(odd_fails)
    for _ in range(3):
        handler({"Records": records(1, 2)}, LambdaContext())
    said = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert 1 == len(said)
    assert said[0].startswith(
        "1 of 2 sqs records are reported as failed: without FunctionResponseTypes=[ReportBatchItemFailures]"
    )


def test_a_record_that_cannot_be_read_fails_alone() -> None:
    batch = records(2, 4, 6)
    batch[1]["eventSourceARN"] = None
    assert {"batchItemFailures": [{"itemIdentifier": "m-4"}]} == invoke(odd_fails, {"Records": batch})


def test_a_record_that_cannot_even_be_named_fails_the_batch() -> None:
    batch = records(2, 4, 6)
    del batch[1]["messageId"]
    with pytest.raises(DecodeError, match="'messageId' is missing"):
        invoke(odd_fails, {"Records": batch})


def test_a_first_record_without_a_source_costs_only_itself() -> None:
    batch = records(2, 4)
    del batch[0]["eventSource"]
    batch[0]["body"] = None
    assert {"batchItemFailures": [{"itemIdentifier": "m-2"}]} == invoke(odd_fails, {"Records": batch})


def test_no_records_are_nothing_to_do() -> None:
    assert None is invoke(odd_fails, {"Records": []})


@portable
def changes(change: ChangeEvent) -> None:
    if change.key["id"] == "2":
        raise ValueError


def test_of_a_shard_the_first_that_failed_alone_is_reported() -> None:
    rows = [fake.change(after={"id": str(n)}, id=f"c-{n}", sequence=f"10{n}") for n in (1, 2, 3, 2)]
    assert {"batchItemFailures": [{"itemIdentifier": "102"}]} == invoke(changes, payloads(rows, "dynamodb")[0])


def test_of_kafka_the_first_that_failed_of_each_partition_is_reported() -> None:
    sent = [
        fake.message({"n": n}, id=f"k-{n}", partition=str(partition), sequence=str(offset))
        for n, partition, offset in ((2, 0, 5), (1, 0, 6), (3, 0, 7), (4, 1, 1), (5, 1, 2), (6, 2, 1))
    ]
    assert {
        "batchItemFailures": [
            {"itemIdentifier": {"partition": "orders-0", "offset": 6}},
            {"itemIdentifier": {"partition": "orders-1", "offset": 2}},
        ]
    } == invoke(odd_fails, payloads(sent, "kafka")[0])


@pytest.mark.parametrize("service", ["activemq", "rabbitmq"])
def test_a_broker_takes_all_or_nothing(service: str) -> None:
    sent = [fake.message({"n": n}, id=f"b-{n}") for n in (2, 1, 4)]
    with pytest.raises(KeyError):
        invoke(odd_fails, payloads(sent, service)[0])
    assert None is invoke(odd_fails, payloads(sent[:1], service)[0])


def test_a_fifo_groups_rest_comes_again_and_other_groups_go_on() -> None:
    sent = [
        fake.message({"n": n}, id=f"f-{n}", key=key) for n, key in ((2, "a"), (1, "a"), (4, "b"), (6, "a"), (8, "b"))
    ]
    assert {"batchItemFailures": [{"itemIdentifier": "f-1"}, {"itemIdentifier": "f-6"}]} == invoke(
        odd_fails, payloads(sent, "sqs_fifo")[0]
    )


WINDOW = {
    "window": {"start": "2026-01-01T00:00:00Z", "end": "2026-01-01T00:05:00Z"}, "state": {"sum": 1}, "shardId": "shardId-0",
    "eventSourceARN": "arn:aws:kinesis:eu-central-1:123456789012:stream/clicks", "isFinalInvokeForWindow": False,
    "isWindowTerminatedEarly": False,
}  # fmt: skip


@portable
def summed(batch: Batch[Message]) -> None:
    assert batch.window is not None
    batch.state = {
        "sum": batch.state.get("sum", 0) + sum(message.data["n"] for message in batch),
        "final": batch.window.is_final,
    }


def test_a_tumbling_windows_state_is_returned() -> None:
    (native,) = payloads([fake.message({"n": n}, id=f"s:{n}") for n in (1, 2)], "kinesis")
    assert {"batchItemFailures": [], "state": {"sum": 4, "final": False}} == invoke(
        summed, {**native, **WINDOW, "state": {"sum": 1}}
    )
    last = {**WINDOW, "state": {"sum": 4}, "isFinalInvokeForWindow": True, "Records": []}
    assert {"batchItemFailures": [], "state": {"sum": 4, "final": True}} == invoke(summed, last)


@dataclass
class Receipt:
    total: Decimal
    at: datetime


@pytest.mark.parametrize(
    ("result", "answer"),
    [
        (None, None),
        ({"a": [1, 2.5, True, None]}, {"a": [1, 2.5, True, None]}),
        (
            Receipt(Decimal("1.10"), datetime(2026, 1, 1, tzinfo=UTC)),
            {"total": "1.10", "at": "2026-01-01T00:00:00+00:00"},
        ),
        ("text", "text"),
    ],
)
def test_a_tasks_result_is_a_json_value(result: Any, answer: Any) -> None:
    @portable
    def work(task: Task) -> Any:
        return result

    assert answer == invoke(work, {"n": 1})


def test_a_result_without_a_json_form_is_an_encode_error() -> None:
    @portable
    def work(task: Task) -> Any:
        return {"x": float("nan")} if task.data else object()

    for native in (0, 1):
        with pytest.raises(EncodeError, match="can't be written as JSON"):
            invoke(work, native)


def test_a_tasks_error_is_its_own_class_with_its_own_message() -> None:
    class OutOfStock(Exception):
        pass

    @portable
    async def work(task: Task) -> Any:
        if task.data == "exit":
            raise SystemExit("bye")
        if task.data == "reject":
            raise Reject("never")
        raise OutOfStock("no lamps")

    with pytest.raises(OutOfStock, match="no lamps"):
        invoke(work, {})
    for native, name, message in (("exit", "SystemExit", "bye"), ("reject", "Reject", "never")):
        with pytest.raises(Exception, match=message) as raised:
            invoke(work, native)
        assert name == type(raised.value).__name__


def test_a_payload_that_no_function_takes_is_a_decode_error() -> None:
    with pytest.raises(DecodeError, match="no function takes a Task of 'cognito'; there are odd_fails"):
        invoke(odd_fails, {"triggerSource": "PreSignUp_SignUp", "userPoolId": "p"})


def test_firehoses_answer_is_checked_for_what_firehose_would_take_as_failure() -> None:
    answers: list[Any] = []

    @portable
    def transform(task: Task) -> Any:
        return answers[-1]

    native = {"invocationId": "i", "deliveryStreamArn": "a", "records": [{"recordId": "1"}, {"recordId": "2"}]}
    good = {"records": [{"recordId": "2", "result": "Dropped"}, {"recordId": "1", "result": "Ok", "data": "YQ=="}]}
    answers.append(good)
    assert good == invoke(transform, native)
    dropped = good["records"][0]
    answers.append(None)
    assert None is invoke(transform, native)  # which has Firehose keep all of them as failed
    wrong: tuple[Any, ...] = (
        {"records": []},
        {"records": [dropped, dropped]},
        {"records": [dropped, {"recordId": "1", "result": "OK"}]},
        {"records": [dropped, {"recordId": "1", "result": "Ok"}]},
    )
    for bad in wrong:
        answers.append(bad)
        with pytest.raises(EncodeError, match="Firehose"):
            invoke(transform, native)


def test_a_pipes_enrichment_gets_the_results_and_its_target_the_failures() -> None:
    @portable
    def enrich(message: Message) -> Any:
        if message.data["n"] == 3:
            raise ValueError("three")
        return {"doubled": message.data["n"] * 2}

    native = payloads([fake.message({"n": n}, id=f"p-{n}") for n in (1, 2)], "pipes_kinesis")[0]
    assert [{"doubled": 2}, {"doubled": 4}] == invoke(enrich, native)
    with pytest.raises(ValueError, match="three"):
        invoke(enrich, payloads([fake.message({"n": n}, id=f"p-{n}") for n in (1, 3)], "pipes_sqs")[0])
    target = payloads([fake.message({"n": n}, id=f"p-{n}") for n in (2, 3)], "pipes_sqs")[0]
    assert {"batchItemFailures": [{"itemIdentifier": "p-3"}]} == invoke(odd_fails, target)


def test_context_variables_and_background_work_end_with_the_invocation() -> None:
    from contextvars import ContextVar

    variable: ContextVar[str] = ContextVar("variable", default="unset")
    seen: list[str] = []

    @portable
    async def handler(message: Message, ctx: Context) -> None:
        seen.append(variable.get())
        variable.set("leaked")

        async def later() -> None:
            seen.append("background")

        ctx.background(later())

    handler_ = entry(handler)
    handler_({"Records": records(1, 2)}, LambdaContext())
    handler_({"Records": records(3)}, LambdaContext())
    assert ["unset", "unset", "background", "background", "unset", "background"] == seen
    assert "unset" == variable.get()


# --- SQS without an SDK ------------------------------------------------------------------------------------------------


def test_the_signature_is_that_of_aws_own_example() -> None:
    # The case post-vanilla of https://docs.aws.amazon.com/general/latest/gr/signature-v4-test-suite.html
    headers = {"host": "example.amazonaws.com", "x-amz-date": "20150830T123600Z"}
    secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
    assert (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=host;x-amz-date, "
        "Signature=5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"
    ) == api.authorization("POST", "/", headers, b"", "AKIDEXAMPLE", secret, "us-east-1", "service")


def test_the_signature_is_botocores() -> None:
    auth, awsrequest, credentials = (
        pytest.importorskip(f"botocore.{name}") for name in ("auth", "awsrequest", "credentials")
    )
    body = '{"QueueUrl":"ü"}'.encode()
    headers = {"content-type": "application/x-amz-json-1.0", "x-amz-target": "AmazonSQS.SendMessage", "host": "sqs.eu-central-1.amazonaws.com"}  # fmt: skip
    request = awsrequest.AWSRequest("POST", "https://sqs.eu-central-1.amazonaws.com/", headers=headers, data=body)
    auth.SigV4Auth(credentials.Credentials("key", "secret", "token"), "sqs", "eu-central-1").add_auth(request)
    signed = {name.lower(): str(value) for name, value in request.headers.items()}
    expected = signed.pop("authorization")
    assert "x-amz-security-token" in signed
    assert expected == api.authorization("POST", "/", signed, body, "key", "secret", "eu-central-1", "sqs")


class SQS(BaseHTTPRequestHandler):
    """An SQS over HTTP that keeps what it is asked."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        server: Any = self.server
        server.seen.append((self.headers, json.loads(body)))
        status, answer = server.answer
        self.send_response(status)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def do_GET(self) -> None:
        served = {"AccessKeyId": "served", "SecretAccessKey": "secret", "Token": self.headers["authorization"]}
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(served).encode())

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def queue_api(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    server: Any = HTTPServer(("127.0.0.1", 0), SQS)
    server.seen, server.answer = [], (200, b"{}")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    for name, value in {
        "AWS_ENDPOINT_URL_SQS": f"http://127.0.0.1:{server.server_port}/", "AWS_REGION": "eu-central-1",
        "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_SESSION_TOKEN": "token",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@portable(on.queue("orders", dead_letter="dead"))
def told(message: Message) -> None:
    match message.data:
        case {"after": after}:
            raise Retry("busy", after=after)
        case {"reject": why}:
            raise Reject(why)


def test_a_retrys_delay_is_set_by_one_call_for_ten(queue_api: Any) -> None:
    batch = [sqs_record(fake.message({"after": n * 0.5}, id=f"m-{n}")) for n in range(1, 12)] + records(99)
    answer = invoke(told, {"Records": batch})
    assert 11 == len(answer["batchItemFailures"])
    (headers, first), (_, second) = queue_api.seen
    assert "AmazonSQS.ChangeMessageVisibilityBatch" == headers["x-amz-target"]
    assert "token" == headers["x-amz-security-token"]
    assert "key/" in headers["authorization"] and "/eu-central-1/sqs/aws4_request" in headers["authorization"]
    assert (10, 1) == (len(first["Entries"]), len(second["Entries"]))
    assert {"Id": "0", "ReceiptHandle": "receipt of m-1", "VisibilityTimeout": 1} == first["Entries"][0]
    assert 6 == second["Entries"][0]["VisibilityTimeout"]


def test_a_refused_delay_is_logged_with_the_permission_and_costs_nothing_else(
    queue_api: Any, caplog: pytest.LogCaptureFixture
) -> None:
    queue_api.answer = (403, b'{"__type":"com.amazon.coral.service#AccessDeniedException"}')
    answer = invoke(told, {"Records": [sqs_record(fake.message({"after": 30}, id="m-1")), *records(2)]})
    assert {"batchItemFailures": [{"itemIdentifier": "m-1"}]} == answer
    assert (
        "refused with 403 AccessDeniedException; the function's role needs sqs:ChangeMessageVisibility on"
        in caplog.text
    )


def test_with_snapstart_the_credentials_are_served(queue_api: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"http://127.0.0.1:{queue_api.server_port}/credentials")
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "authorized")
    assert ("served", "secret", "authorized") == api.credentials()
    invoke(told, {"Records": [sqs_record(fake.message({"after": 30}, id="m-1")), *records(2)]})
    assert "Credential=served/" in queue_api.seen[0][0]["authorization"]


def test_without_credentials_or_an_answer_a_delay_is_but_logged(
    queue_api: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    batch = {"Records": [sqs_record(fake.message({"after": 30}, id="m-1")), *records(2)]}
    monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", "http://127.0.0.1:1")
    assert {"batchItemFailures": [{"itemIdentifier": "m-1"}]} == invoke(told, batch)
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    assert {"batchItemFailures": [{"itemIdentifier": "m-1"}]} == invoke(told, batch)
    assert "127.0.0.1:1 can't be reached: ConnectionRefusedError" in caplog.text
    assert "there are no credentials in the environment" in caplog.text


def test_a_delay_is_never_longer_than_sqs_can_wait(queue_api: Any) -> None:
    with pytest.raises(Retry):
        invoke(told, {"Records": [sqs_record(fake.message({"after": 1e6}))]})
    assert 42300 == queue_api.seen[0][1]["Entries"][0]["VisibilityTimeout"]


def test_a_rejected_message_is_sent_to_its_dead_letters_with_all_that_it_had(queue_api: Any) -> None:
    attributes: dict[str, str | bytes] = {"tenant": "7", "raw": b"\xff"}
    sent = fake.message({"reject": "unknown sku"}, id="m-1", attributes=attributes)
    assert {"batchItemFailures": []} == invoke(told, payloads([sent], "sqs")[0])
    ((headers, request),) = queue_api.seen
    assert "AmazonSQS.SendMessage" == headers["x-amz-target"]
    assert f"http://127.0.0.1:{queue_api.server_port}/123456789012/dead" == request["QueueUrl"]
    assert '{"reject":"unknown sku"}' == request["MessageBody"]
    assert {
        "tenant": {"DataType": "String", "StringValue": "7"},
        "raw": {"DataType": "Binary", "BinaryValue": "/w=="},
        "portable-fn-reason": {"DataType": "String", "StringValue": "unknown sku"},
        "portable-fn-source": {"DataType": "String", "StringValue": "arn:aws:sqs:eu-central-1:123456789012:orders"},
        "portable-fn-id": {"DataType": "String", "StringValue": "m-1"},
        "portable-fn-attempt": {"DataType": "String", "StringValue": "1"},
        "portable-fn-time": {"DataType": "String", "StringValue": write_time(sent.time)},
    } == request["MessageAttributes"]


def test_a_fifo_dead_letter_keeps_the_group_and_is_sent_once(queue_api: Any) -> None:
    @portable(on.queue("orders.fifo", dead_letter="arn:aws:sqs:us-west-2:999999999999:dead.fifo"))
    def rejects(message: Message) -> None:
        raise Reject("no")

    assert {"batchItemFailures": []} == invoke(rejects, payloads([fake.message({}, id="m-1", key="g")], "sqs_fifo")[0])
    ((headers, request),) = queue_api.seen
    told = "g", sha256(b"arn:aws:sqs:eu-central-1:123456789012:orders.fifo m-1").hexdigest()
    assert told == (request["MessageGroupId"], request["MessageDeduplicationId"])
    assert request["QueueUrl"].endswith("/999999999999/dead.fifo") and "/us-west-2/sqs/" in headers["authorization"]


@pytest.mark.parametrize(
    ("service", "event", "body"),
    [
        ("kinesis", fake.message(body=b"\xff\x00", id="s:1", content_type=""), "/wA="),
        ("sns", fake.message({"n": 1}), '{"n":1}'),
        ("dynamodb", fake.change(after={"id": "1"}), None),
        ("s3", fake.object(), None),
    ],
)
def test_every_source_has_dead_letters(queue_api: Any, service: str, event: Event[Any], body: str | None) -> None:
    @portable(
        on.queue("orders", dead_letter="dead"),
        on.object("uploads", dead_letter="dead"),
        on.change("users", dead_letter="dead"),
    )
    def rejects(event: Event) -> None:
        raise Reject("no")

    native = payloads([event], service)[0]
    assert invoke(rejects, native) in (None, {"batchItemFailures": []})
    ((_, request),) = queue_api.seen
    if body is None:
        letter = json.loads(request["MessageBody"])
        kind = "change.inserted" if service == "dynamodb" else "object.created"
        assert (f"portable_fn.{kind}", "no") == (letter["type"], letter["portablefnreason"])
    else:
        assert body == request["MessageBody"]


def test_a_dead_letter_that_cannot_be_sent_is_a_retry(queue_api: Any) -> None:
    queue_api.answer = (400, b"{}")
    batch = [sqs_record(fake.message({"reject": "no"}, id="m-1")), *records(2)]
    assert {"batchItemFailures": [{"itemIdentifier": "m-1"}]} == invoke(told, {"Records": batch})


@pytest.mark.parametrize(
    ("queue", "owner", "url", "region"),
    [
        ("dead", "arn:aws:lambda:eu-west-1:1:function:f", "https://sqs.eu-west-1.amazonaws.com/1/dead", "eu-west-1"),
        ("dead", "arn:aws-cn:lambda:cn-north-1:1:function:f", "https://sqs.cn-north-1.amazonaws.com.cn/1/dead", "cn-north-1"),
        ("arn:aws:sqs:us-east-2:2:q", "arn:aws:lambda:eu-west-1:1:function:f", "https://sqs.us-east-2.amazonaws.com/2/q", "us-east-2"),
        ("https://sqs.eu-west-3.amazonaws.com/3/q", "", "https://sqs.eu-west-3.amazonaws.com/3/q", "eu-west-3"),
    ],
)  # fmt: skip
def test_a_queue_is_found_by_name_arn_or_url(
    monkeypatch: pytest.MonkeyPatch, queue: str, owner: str, url: str, region: str
) -> None:
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SQS", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    assert (url, region) == sqs.queue_url(queue, owner)


# --- what AWS makes of an answer ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("service", "answer", "again"),
    [
        ("sqs", None, []),
        ("sqs", {}, []),
        ("sqs", {"batchItemfailures": [{"itemIdentifier": "e-1"}]}, []),
        ("sqs", {"batchItemFailures": None}, []),
        ("sqs", {"batchItemFailures": [{"itemIdentifier": "e-2"}]}, [1]),
        ("sqs", {"batchItemFailures": [{"itemIdentifier": ""}]}, [0, 1, 2]),
        ("sqs", {"batchItemFailures": [{"itemIdentifier": None}]}, [0, 1, 2]),
        ("sqs", {"batchItemFailures": [{"itemidentifier": "e-2"}]}, [0, 1, 2]),
        ("sqs", {"batchItemFailures": [{"itemIdentifier": "nobody"}]}, [0, 1, 2]),
        ("sqs", Raised("ValueError", ""), [0, 1, 2]),
        ("kinesis", {"batchItemFailures": [{"itemIdentifier": "103"}, {"itemIdentifier": "102"}]}, [1, 2]),
        ("kafka", {"batchItemFailures": [{"itemIdentifier": {"partition": "orders-0", "offset": 102}}]}, [1, 2]),
        ("kafka", {"batchItemFailures": [{"itemIdentifier": "orders-0-102"}]}, [0, 1, 2]),
        ("activemq", {"batchItemFailures": [{"itemIdentifier": "e-2"}]}, []),
        ("activemq", Raised("ValueError", ""), [0, 1, 2]),
    ],
)
def test_an_answer_is_taken_as_aws_takes_it(service: str, answer: Any, again: list[int]) -> None:
    sent = [fake.message({}, id=f"e-{n}", partition="0", sequence=f"10{n}") for n in (1, 2, 3)]
    with playing(service):
        outcomes = results(sent, service, [answer]).outcomes
    assert again == [index for index, outcome in enumerate(outcomes) if outcome == "retried"]


def test_a_function_that_knows_nothing_of_a_reject_is_not_said_to_have_dead_letters() -> None:
    @portable
    def rejects(message: Message) -> None:
        raise Reject("no")

    assert ["retried"] == deliver(rejects, fake.message({}), to="aws").outcomes


# --- the law -----------------------------------------------------------------------------------------------------------

TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12)
ID = st.text(st.sampled_from("abcXYZ012-."), min_size=1, max_size=12).filter(lambda text: text.strip("."))
NAME = st.text(st.sampled_from("abcdefgh-_012"), min_size=1, max_size=10).filter(lambda name: name != "content-type")
TIME = st.integers(631152000000, 4102444800000).map(
    lambda milliseconds: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)
)
SECONDS = TIME.map(lambda time: time.replace(microsecond=0))
NUMBER = st.decimals(allow_nan=False, allow_infinity=False, places=3, min_value=-(10**9), max_value=10**9)
VALUE = st.recursive(
    st.none() | st.booleans() | TEXT | NUMBER | st.binary(max_size=5) | st.sets(TEXT, min_size=1, max_size=3) | st.sets(NUMBER, min_size=1, max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
PLAIN = st.dictionaries(
    TEXT, st.none() | st.booleans() | TEXT | NUMBER | st.binary(max_size=5) | st.lists(TEXT, max_size=2), max_size=3
)
LOSES_ATTRIBUTES = ("kinesis", "pipes_kinesis")
TEXT_ONLY = ("sqs", "sqs_fifo", "sns", "sns_sqs", "sns_sqs_fifo", "sns_sqs_raw", "pipes_sqs")
MESSAGES = [name for name in EVENT_SERVICES["Message"] if name not in ("logs", "ses")]


@st.composite
def messages(draw: st.DrawFn, service: str) -> Message[Any]:
    arn = "kafka" not in service and "mq" not in service
    channel = draw(NAME)
    kind = (
        "kinesis"
        if "kinesis" in service
        else "sns"
        if service.startswith("sns") and service != "sns_sqs_raw"
        else "sqs"
    )
    resource = f"stream/{channel}" if kind == "kinesis" else f"{channel}.fifo" if "fifo" in service else channel
    is_stream, is_kafka = kind == "kinesis", "kafka" in service
    is_fifo = "fifo" in service
    texts = st.dictionaries(NAME, TEXT, max_size=3)
    either = st.dictionaries(
        NAME, TEXT | st.binary(min_size=1, max_size=5).filter(lambda value: b"\xff" in value), max_size=3
    )
    attributes: dict[str, Any] = {}
    if service not in LOSES_ATTRIBUTES:
        attributes = draw(texts if "activemq" in service else either)
    partition = draw(st.integers(0, 20))
    offset = draw(st.integers(0, 10**12))
    id = f"{channel}-{partition}-{offset}" if is_kafka else draw(ID)
    if is_stream:
        id = f"shardId-{partition}:{offset}"
    key = draw(TEXT) if is_stream or is_fifo else draw(st.none() | TEXT) if is_kafka else None
    return fake.message(
        id=id,
        body=draw(TEXT.map(str.encode) if service in TEXT_ONLY else st.binary(max_size=20)),
        channel=channel,
        source=f"arn:aws:{kind}:eu-central-1:123456789012:{resource}" if arn else None,
        time=draw(SECONDS if "rabbitmq" in service else TIME),
        attributes=attributes,
        content_type=draw(st.sampled_from(["", "text/plain"])) if service in TEXT_ONLY or "rabbitmq" in service else "",
        subject=draw(st.just("") | TEXT) if service.startswith("sns") and service != "sns_sqs_raw" else "",
        attempt=None
        if is_stream or is_kafka or service == "sns"
        else 1
        if "mq" in service
        else draw(st.integers(1, 9)),
        key=key,
        partition=str(partition) if is_kafka else f"shardId-{partition}" if is_stream else None,
        sequence=str(offset) if is_stream or is_kafka or is_fifo else None,
    )


def same(expected: Event[Any], actual: Any, *lost: str) -> None:
    names = [name for name in expected._fields if name not in lost]
    assert {name: getattr(expected, name) for name in names} == {name: getattr(actual, name) for name in names}


def read(event: Event[Any], service: str, kind: type[Event[Any]]) -> Any:
    (native,) = payloads([event], service)
    found = one(json.loads(json.dumps(native)))
    while not isinstance(found, kind):
        (found,) = decode_events.unwrap(found)
    return found


@pytest.mark.parametrize("service", MESSAGES)
@settings(deadline=None, max_examples=25)
@given(data=st.data())
def test_decode_reads_the_messages_that_simulate_renders(service: str, data: st.DataObject) -> None:
    message = data.draw(messages(service))
    same(message, read(message, service, Message), *(("source",) if "kafka" in service or "mq" in service else ()))


@pytest.mark.parametrize("service", EVENT_SERVICES["ObjectEvent"])
@settings(deadline=None, max_examples=25)
@given(key=TEXT, bucket=NAME, action=st.sampled_from(["created", "deleted", "archived", "changed"]), id=ID, time=TIME,
       size=st.none() | st.integers(0, 10**13), etag=st.none() | TEXT, version=st.none() | TEXT)  # fmt: skip
def test_decode_reads_the_objects_that_simulate_renders(service: str, bucket: str, **fields: Any) -> None:
    if "eventbridge" not in service:
        fields["id"] += f".{fields['key']}"
    event = fake.object(bucket=bucket, source=f"arn:aws:s3:::{bucket}", **fields)
    same(event, read(event, service, ObjectEvent))


@pytest.mark.parametrize("service", EVENT_SERVICES["ChangeEvent"])
@settings(deadline=None, max_examples=25)
@given(data=st.data())
def test_decode_reads_the_changes_that_simulate_renders(service: str, data: st.DataObject) -> None:
    rows = PLAIN if service == "docdb" else st.dictionaries(TEXT, VALUE, max_size=4)
    before, after = data.draw(st.tuples(st.none() | rows, rows) | st.tuples(rows, st.none()))
    table = data.draw(NAME)
    event = fake.change(
        table, before=before, after=after, key=data.draw(st.dictionaries(TEXT, TEXT, min_size=1, max_size=2)), id=data.draw(ID),
        source={"docdb": "arn:aws:rds:eu-central-1:1:cluster:c", "dynamodb_kinesis": table}.get(
            service, f"arn:aws:dynamodb:eu-central-1:1:table/{table}/stream/2026"
        ),
        time=data.draw(SECONDS), sequence=None if service in ("docdb", "dynamodb_kinesis") else str(data.draw(st.integers(0, 10**30))),
    )  # fmt: skip
    same(event, read(event, service, ChangeEvent))


@pytest.mark.parametrize("service", ["scheduler", "scheduled_rule", "scheduler_sqs"])
@settings(deadline=None, max_examples=25)
@given(id=ID, at=SECONDS, name=NAME)
def test_decode_reads_the_schedules_that_simulate_renders(service: str, id: str, at: datetime, name: str) -> None:
    event = fake.schedule(id=id, at=at, name=name)
    same(event, read(event, service, ScheduleEvent), "source")


@pytest.mark.parametrize("service", EVENT_SERVICES["CloudEvent"])
@settings(deadline=None, max_examples=25)
@given(
    id=ID, source=TEXT, type=TEXT, time=TIME, data=st.dictionaries(TEXT, TEXT | st.integers(), max_size=3), tenant=TEXT
)
def test_decode_reads_the_cloudevents_that_simulate_renders(service: str, tenant: str, **fields: Any) -> None:
    has_extensions = service.startswith("cloudevent")
    event = fake.cloud_event(**fields, extensions={"tenant": tenant} if has_extensions else None)
    same(event, read(event, service, CloudEvent), *(() if has_extensions else ("extensions",)))


@settings(deadline=None, max_examples=25)
@given(value=st.recursive(st.none() | st.booleans() | st.integers() | TEXT, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3), max_leaves=8))  # fmt: skip
def test_decode_reads_the_tasks_that_simulate_renders(value: Any) -> None:
    sent = fake.task(value, name="function")
    same(sent, read(sent, "invoke", Task), "id", "source")


def test_an_outcome_that_is_none_of_a_failure_has_no_error() -> None:
    assert "Reject" == type(encode_events.handler_error(Reject("no"))).__name__


def test_by_default_a_delivery_takes_the_service_that_the_triggers_word_means() -> None:
    @portable(on.queue("orders"), on.topic("placed"), on.stream("clicks"))
    def handler(event: Message[Any]) -> None: ...

    def source(channel: str) -> str:
        native = deliver(handler, fake.message(0, channel=channel), to="aws").native_request["Records"][0]
        name: str = native["eventSource"] if "eventSource" in native else native["EventSource"]
        return name

    assert ["aws:sqs", "aws:sns", "aws:kinesis", "aws:sqs"] == list(map(source, ("orders", "placed", "clicks", "else")))
