"""A malformed part of a record affects only its own field, unless identity, order or acknowledgement depend on it."""

from __future__ import annotations

import copy
import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from portable_fn import ChangeEvent, Context, DecodeError, Event, Message, ObjectEvent, ScheduleEvent, on, portable
from portable_fn_aws import entry
from portable_fn_aws.events import decode as decode_events
from portable_fn_aws.simulate import LambdaContext
from tests.aws import samples
from tests.aws.samples import b64, incoming

# For each source: its payload, the path of its record, and the minor parts: for each the path, the event's field, and the
# field's value without the part.
ODD: list[Any] = [..., None, 7, True, 1e400, "odd", "\ud800", [], ["odd"], {}, {"odd": None}, {"Value": 7}, -(10**30)]

SIDE: dict[str, tuple[Any, tuple[Any, ...], dict[str, tuple[str, Any]]]] = {
    "sqs": ({"Records": [samples.SQS]}, ("Records", 0), {
        "attributes": ("time attempt", None),
        "attributes/SentTimestamp": ("time", None),
        "attributes/ApproximateReceiveCount": ("attempt", None),
        "messageAttributes": ("attributes content_type", {}),
        "messageAttributes/text": ("attributes", None),
        "messageAttributes/binary": ("attributes", None),
        "messageAttributes/binary/binaryValue": ("attributes", None),
        "messageAttributes/number/stringValue": ("attributes", None),
        "messageAttributes/Content-Type": ("content_type", ""),
        "messageAttributes/Content-Type/stringValue": ("content_type", ""),
    }),
    "fifo": ({"Records": [samples.FIFO]}, ("Records", 0), {
        "attributes/SequenceNumber": ("sequence", None),
        "attributes/ApproximateReceiveCount": ("attempt", None),
        "attributes/AWSTraceHeader": ("carrier", {}),
    }),
    "sns": ({"Records": [samples.SNS]}, ("Records", 0), {
        "Sns/Subject": ("subject", ""),
        "Sns/Timestamp": ("time", None),
        "Sns/SequenceNumber": ("sequence", None),
        "Sns/MessageAttributes": ("attributes content_type", {}),
        "Sns/MessageAttributes/text": ("attributes", None),
        "Sns/MessageAttributes/text/Value": ("attributes", None),
        "Sns/MessageAttributes/binary/Type": ("attributes", None),
        "Sns/MessageAttributes/content-type": ("content_type", ""),
        "EventVersion": ("", None),
        "EventSubscriptionArn": ("", None),
    }),
    "kinesis": ({"Records": [samples.KINESIS]}, ("Records", 0), {
        "kinesis/approximateArrivalTimestamp": ("time", None),
        "kinesis/partitionKey": ("key", None),
        "kinesis/encryptionType": ("", None),
        "invokeIdentityArn": ("", None),
    }),
    "kafka": ({"eventSource": "aws:kafka", "records": {"logs-2": [samples.KAFKA]}}, ("records", "logs-2", 0), {
        "timestamp": ("time", None),
        "timestampType": ("", None),
        "key": ("key", None),
        "headers": ("attributes", {}),
        "headers/0": ("attributes", None),
        "headers/0/a": ("attributes", None),
        "headers/1/b/0": ("attributes", None),
    }),
    "activemq": ({"eventSource": "aws:mq", "messages": [samples.ACTIVEMQ]}, ("messages", 0), {
        "timestamp": ("time", None),
        "properties": ("attributes", {}),
        "properties/a": ("attributes", None),
        "redelivered": ("attempt", None),
        "correlationID": ("carrier", None),
        "destination": ("channel", ""),
        "destination/physicalName": ("channel", ""),
        "messageType": ("", None),
    }),
    "rabbitmq": ({"eventSource": "aws:rmq", "rmqMessagesByQueue": {"todo::/": [samples.RABBITMQ]}}, ("rmqMessagesByQueue", "todo::/", 0), {
        "basicProperties/contentType": ("content_type", ""),
        "basicProperties/timestamp": ("time", None),
        "basicProperties/correlationId": ("carrier", None),
        "basicProperties/headers": ("attributes", {}),
        "basicProperties/headers/a": ("attributes", None),
        "basicProperties/headers/a/bytes": ("attributes", None),
        "basicProperties/priority": ("", None),
        "redelivered": ("attempt", None),
    }),
    "ses": ({"Records": [samples.SES]}, ("Records", 0), {
        "ses/mail/timestamp": ("time", None),
        "ses/mail/headers": ("attributes", {}),
        "ses/mail/headers/0": ("attributes", None),
        "ses/mail/headers/0/name": ("attributes", None),
        "ses/mail/headers/0/value": ("attributes", None),
        "ses/mail/commonHeaders": ("subject", ""),
        "ses/mail/commonHeaders/subject": ("subject", ""),
        "ses/receipt": ("channel", ""),
        "ses/receipt/recipients/0": ("channel", ""),
    }),
    "s3": ({"Records": [samples.S3]}, ("Records", 0), {
        "eventTime": ("time", None),
        "responseElements": ("id", None),
        "s3/object/size": ("size", None),
        "s3/object/eTag": ("etag", None),
        "s3/object/versionId": ("version", None),
        "userIdentity": ("", None),
    }),
    "dynamodb": ({"Records": [samples.DYNAMODB]}, ("Records", 0), {
        "dynamodb/ApproximateCreationDateTime": ("time", None),
        "dynamodb/ApproximateCreationDateTimePrecision": ("", None),
        "dynamodb/SizeBytes": ("", None),
        "userIdentity": ("", None),
    }),
    "docdb": ({"eventSource": "aws:docdb", "events": [samples.DOCDB]}, ("events", 0), {
        "event/clusterTime": ("time", None),
        "event/clusterTime/$timestamp": ("time", None),
        "event/clusterTime/$timestamp/t": ("time", None),
        "event/ns/db": ("", None),
    }),
    "eventbridge": (samples.BUS, (), {
        "time": ("time", None),
        "account": ("extensions", None),
        "region": ("extensions", None),
        "resources": ("extensions", None),
        "resources/0": ("extensions", None),
        "version": ("", None),
    }),
}  # fmt: skip

DERIVED = {"ses": {"data", "body", "subject", "channel"}, "s3": {"data"}}
# A mail's body is JSON, which has no infinity.
CASES = [
    (source, path, odd)
    for source, (_, _, paths) in SIDE.items()
    for path in paths
    for odd in range(len(ODD))
    if (source, ODD[odd]) != ("ses", 1e400)
]


def spoiled(native: Any, path: list[Any], value: Any) -> Any:
    """Return a copy of the payload with another value at the path; `...` removes the value."""
    native = copy.deepcopy(native)
    inside = native
    for step in path[:-1]:
        inside = inside[step]
    if value is not ...:
        inside[path[-1]] = value
    elif isinstance(inside, list):
        del inside[path[-1]]
    else:
        inside.pop(path[-1], None)
    return native


def steps(path: str) -> list[Any]:
    return [int(step) if step.isdigit() else step for step in path.split("/")]


def said(event: Event[Any]) -> dict[str, Any]:
    names = (*event._fields, "type", "subject", "carrier", "data", "envelopes")
    return {name: getattr(event, name) for name in names}


@pytest.mark.slow
@pytest.mark.parametrize(("source", "path", "odd"), CASES)
def test_a_malformed_minor_part_affects_only_its_own_field(source: str, path: str, odd: int) -> None:
    native, where, paths = SIDE[source]
    names, _ = paths[path]
    (whole,) = incoming(native).items
    changed = spoiled(native, [*where, *steps(path)], ODD[odd])
    (event,) = incoming(changed).items
    assert isinstance(whole, Event) and isinstance(event, Event), event
    expected, actual = said(whole), said(event)
    # The part may affect its own field, and the fields derived from it.
    affected = {*names.split()} | DERIVED.get(source, set())
    affected |= (
        {"carrier"}
        if names in ("attributes", "extensions")
        else {"data", "carrier"}
        if "content_type" in names
        else set()
    )
    for name in expected.keys() - affected:
        assert expected[name] == actual[name], name
    for name in affected & {"time"}:
        assert actual[name] is None or isinstance(actual[name], datetime)
    for name in affected & {"content_type", "channel", "subject"}:
        assert isinstance(actual[name], str)
    for name in affected & {"attributes", "extensions"}:
        assert {type(value) for value in actual[name].values()} <= {str, bytes, type(None)}


def test_a_malformed_attribute_leaves_the_others() -> None:
    odd = {
        "number": {"dataType": "Number", "stringValue": 7},
        "binary": {"dataType": "Binary", "binaryValue": "YQ="},
        "null": None,
    }
    native = {
        "Records": [
            {
                **samples.SQS,
                "messageAttributes": {**samples.SQS["messageAttributes"], **odd, "untyped": {"stringValue": "x"}},
            }
        ]
    }
    (event,) = incoming(native).items
    assert isinstance(event, Message)
    assert ({"text": "a", "untyped": "x"}, "application/json") == (event.attributes, event.content_type)
    assert event.native is native["Records"][0]


@pytest.mark.parametrize(("source", "path"), [(source, path) for source, path, odd in CASES if odd == 0])
def test_a_missing_part_is_the_neutral_default(source: str, path: str) -> None:
    native, where, paths = SIDE[source]
    names, nothing = paths[path]
    if (nothing is None and names in ("attributes", "carrier", "extensions", "id", "")) or (
        names == "channel" and "ses" in path
    ):
        return
    (event,) = incoming(spoiled(native, [*where, *steps(path)], ...)).items
    values = [getattr(event, name) for name in names.split()]
    assert [nothing if name != "content_type" else "" for name in names.split()] == values


@pytest.mark.slow
@pytest.mark.parametrize(("source", "path", "odd"), CASES)
def test_a_handler_that_logs_and_reads_everything_succeeds(source: str, path: str, odd: int) -> None:
    seen: list[Any] = []

    @portable
    def handler(event: Event, ctx: Context) -> None:
        ctx.log.info("seen")
        assert ctx.trace is None or ctx.trace.trace_id
        seen.append((event.time, event.subject, event.type))

    native, where, _ = SIDE[source]
    with_context = LambdaContext()
    entry(handler)(spoiled(native, [*where, *steps(path)], ODD[odd]), with_context)
    assert 1 == len(seen)


# The paths of the parts that identity, order or acknowledgement depend on.
STRICT: dict[str, tuple[Any, tuple[Any, ...], tuple[str, ...]]] = {
    "sqs": ({"Records": [samples.SQS]}, ("Records", 0), ("messageId", "eventSourceARN")),
    "fifo": ({"Records": [samples.FIFO, copy.deepcopy({**samples.FIFO, "messageId": "m-9"})]}, ("Records", 0), (
        "messageId", "eventSourceARN", "attributes", "attributes/MessageGroupId",
    )),
    "sns": ({"Records": [samples.SNS]}, ("Records", 0), ("Sns", "Sns/MessageId", "Sns/TopicArn")),
    "kinesis": ({"Records": [samples.KINESIS]}, ("Records", 0), ("eventID", "eventSourceARN")),
    "kafka": ({"eventSource": "aws:kafka", "records": {"logs-2": [samples.KAFKA]}}, ("records", "logs-2", 0), (
        "topic", "partition", "offset",
    )),
    "activemq": ({"eventSource": "aws:mq", "messages": [samples.ACTIVEMQ]}, ("messages", 0), ("messageID",)),
    "dynamodb": ({"Records": [samples.DYNAMODB]}, ("Records", 0), ("eventID", "eventSourceARN")),
    "docdb": ({"eventSource": "aws:docdb", "events": [samples.DOCDB]}, ("events", 0), ("event/_id", "event/_id/_data")),
    "s3": ({"Records": [samples.S3]}, ("Records", 0), ("s3/bucket/name", "s3/object/key", "eventName")),
    "ses": ({"Records": [samples.SES]}, ("Records", 0), ("ses/mail/messageId",)),
    "eventbridge": (samples.BUS, (), ("id", "source", "detail-type")),
}  # fmt: skip
UNFIT: list[Any] = [..., None, True, [], ["odd"], {}, {"odd": None}, 1.5, b"bytes"]


def strict() -> Iterator[tuple[str, str, Any]]:
    for source, (_, _, paths) in STRICT.items():
        for path in paths:
            for value in UNFIT:
                # Without these members a bus event is a direct call.
                if not (source == "eventbridge" and value is ... and path != "id"):
                    yield source, path, value


@pytest.mark.slow
@pytest.mark.parametrize(("source", "path", "value"), list(strict()))
def test_the_identity_of_an_event_is_never_invented(source: str, path: str, value: Any) -> None:
    native, where, _ = STRICT[source]
    first, *others = incoming(spoiled(native, [*where, *steps(path)], value)).items
    if isinstance(first, Event) and source == "docdb":
        raise AssertionError(first)
    assert isinstance(first, DecodeError) or path == "attributes"
    assert [True] * len(others) == [isinstance(other, Event) for other in others]


@pytest.mark.parametrize("id", ["\ud800", "a\ud800b", "\x00", " ", "a\nb", "é" * 300])
def test_an_odd_id_is_kept(id: str) -> None:
    for native, where, path in (
        ({"Records": [samples.SQS]}, ("Records", 0), "messageId"),
        ({"Records": [samples.SNS]}, ("Records", 0), "Sns/MessageId"),
        ({"Records": [samples.KINESIS]}, ("Records", 0), "eventID"),
        ({"eventSource": "aws:rmq", "rmqMessagesByQueue": {"q::/": [samples.RABBITMQ]}}, ("rmqMessagesByQueue", "q::/", 0), "basicProperties/messageId"),
        (samples.BUS, (), "id"),
    ):  # fmt: skip
        (event,) = incoming(spoiled(native, [*where, *steps(path)], id)).items
        assert isinstance(event, Event) and id == event.id


def test_two_odd_ids_of_a_batch_are_two_messages_and_each_is_reported() -> None:
    @portable(on.queue("orders"))
    def fails(order: Message) -> None:
        raise LookupError

    ids = ["\ud800", "\udfff", "\ufffd"]
    native = {"Records": [{**samples.SQS, "messageId": id} for id in ids]}
    with pytest.raises(LookupError):
        entry(fails)(native, LambdaContext())

    @portable(on.queue("orders"))
    def some_fail(order: Message) -> None:
        if order.id != "\ufffd":
            raise LookupError

    answer = entry(some_fail)(native, LambdaContext())
    assert {"batchItemFailures": [{"itemIdentifier": "\ud800"}, {"itemIdentifier": "\udfff"}]} == answer


# A malformed first record says nothing about the others.


@pytest.mark.parametrize(
    "first",
    [{}, None, 7, [], {"eventSource": 7}, {"eventSource": ["aws:sqs"]}, {"eventSource": "aws:sqs"},
     {"eventSource": "aws:sqs", "eventSourceARN": None}, {"eventSource": "aws:sqs", "eventSourceARN": 7}],
)  # fmt: skip
@pytest.mark.parametrize("is_pipe", [False, True])
def test_a_queue_is_fifo_even_if_its_first_record_is_malformed(first: Any, is_pipe: bool) -> None:
    records = [first, samples.FIFO]
    batch = incoming(records if is_pipe else {"Records": records})
    assert ("sqs", decode_events.group, is_pipe) == (batch.service, batch.key, batch.pipe)
    assert [DecodeError, True] == [type(batch.items[0]), isinstance(batch.items[1], Event)]


def test_a_failed_pipe_record_is_named_even_if_the_first_record_is_malformed(caplog: pytest.LogCaptureFixture) -> None:
    seen: list[str] = []

    @portable(on.queue("orders"))
    def ship(order: Message) -> None:
        seen.append(order.id)

    with caplog.at_level(logging.CRITICAL), pytest.raises(DecodeError):
        # The first record has no name to report, so the whole batch must fail.
        entry(ship)([{}, samples.SQS], LambdaContext())
    assert ["m-1"] == seen


# Texts that only look like an envelope


@pytest.mark.parametrize(
    "change",
    [{"MessageId": ""}, {"MessageId": 7}, {"TopicArn": None}, {"TopicArn": ["a"]}, {"Message": {"n": 1}}, {"Type": 1}],
)
@pytest.mark.parametrize("record", [samples.SQS_BARE, samples.FIFO])
def test_a_body_that_only_looks_like_an_sns_envelope_is_a_message(record: Any, change: Any) -> None:
    body = json.dumps({**samples.ENVELOPE, **change})
    (event,) = incoming({"Records": [{**record, "body": body}]}).items
    assert isinstance(event, Message)
    assert (record["messageId"], body, ()) == (event.id, event.text, event.envelopes)


# Kafka


def kafka(**changes: Any) -> Any:
    return {"eventSource": "aws:kafka", "records": {"logs-2": [{**samples.KAFKA, **changes}]}}


@pytest.mark.parametrize(
    ("headers", "attributes"),
    [
        ([{"trace": None}, {"tenant": list(b"t1")}], {"trace": None, "tenant": "t1"}),
        ([{"a": list(b"1")}, {"b": []}, {"a": list(b"2")}], {"a": "1, 2", "b": ""}),
        ([{"a": None}, {"a": list(b"2")}, {"a": None}], {"a": "2"}),
        ([{"a": [-1]}, {"a": list(b"x")}], {"a": b"\xff, x"}),
        ([{"a": list(b"1"), "b": None}], {"a": "1", "b": None}),
        ([None, 7, "a", ["a"], {"a": "text"}, {"b": 7}, {"c": ["x"]}, {"d": list(b"d")}], {"d": "d"}),
        ({"a": [1]}, {}),
        (None, {}),
    ],
)
def test_kafka_headers_may_be_null_repeated_or_malformed(headers: Any, attributes: Any) -> None:
    (event,) = incoming(kafka(headers=headers)).items
    assert isinstance(event, Message) and attributes == event.attributes


def test_a_null_trace_header_is_read_as_none() -> None:
    seen: list[Any] = []

    @portable(on.stream("logs"))
    def read(event: Message, ctx: Context) -> None:
        ctx.log.info("a click")
        seen.append((ctx.correlation_id, ctx.trace, event.attributes))

    names = ("traceparent", "x-correlation-id", "x-amzn-trace-id", "ce_specversion", "content-type")
    entry(read)(kafka(headers=[{name: None} for name in names]), LambdaContext())
    assert [(LambdaContext().aws_request_id, None, dict.fromkeys(names))] == seen


@pytest.mark.parametrize(("partition", "offset"), [(2, 15), ("2", "15"), ("2", 15), (2, "15"), ("0", "0")])
def test_partition_and_offset_are_numbers_or_strings(partition: Any, offset: Any) -> None:
    (event,) = incoming(kafka(partition=partition, offset=offset)).items
    assert isinstance(event, Message)
    assert (str(partition), str(offset), f"logs-{partition}-{offset}") == (event.partition, event.sequence, event.id)


@pytest.mark.parametrize("partition", [0, "0"])
@pytest.mark.parametrize("offset", [7, "7"])
def test_a_kafka_failure_is_reported_by_an_offset_that_is_a_number_or_a_string(partition: Any, offset: Any) -> None:
    @portable(on.stream("logs"))
    def reads(event: Message) -> None:
        if event.sequence == "7":
            raise LookupError

    first = {**samples.KAFKA, "partition": partition, "offset": 6}
    native = {"eventSource": "aws:kafka", "records": {"logs-0": [first, {**first, "offset": offset}]}}
    assert {"batchItemFailures": [{"itemIdentifier": {"partition": "logs-0", "offset": 7}}]} == entry(reads)(
        native, None
    )


def test_a_pipes_kafka_partition_may_be_a_string_as_in_the_guide() -> None:
    record = {
        "eventSource": "aws:kafka",
        "eventSourceArn": samples.CLUSTER,
        "eventSourceKey": "logs-0",
        **samples.KAFKA,
        "partition": "0",
    }
    (event,) = incoming([record]).items
    assert isinstance(event, Message) and ("0", "logs-0-15") == (event.partition, event.id)


# ActiveMQ


@pytest.mark.parametrize("physical", ["physicalName", "physicalname", "PhysicalName"])
@pytest.mark.parametrize("correlation", ["correlationID", "correlationId", "correlationid"])
@pytest.mark.parametrize("message", ["messageID", "messageId"])
def test_activemq_names_may_have_any_case(physical: str, correlation: str, message: str) -> None:
    native = {
        message: "ID:1",
        "destination": {physical: "todo"},
        correlation: "c-1",
        "data": b64(b"1"),
        "redelivered": False,
    }
    (event,) = incoming({"eventSource": "aws:mq", "messages": [native]}).items
    assert isinstance(event, Message)
    assert ("ID:1", "todo", "c-1") == (event.id, event.channel, event.carrier["x-correlation-id"])


# Times are kept as sent

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("sent", "microseconds"),
    [
        (1479499740, 1479499740_000000), (1479499740.5, 1479499740_500000), (1700000000.123456, 1700000000_123456),
        ("1479499740", 1479499740_000000), ("1479499740.25", 1479499740_250000), (1.4794997e9, 1479499700_000000),
        (1700000000123, 1700000000_123000), (1700000000123.5, 1700000000_123500), (1700000000123456, 1700000000_123456),
        (0, 0),
    ],
)  # fmt: skip
def test_a_dynamodb_change_keeps_the_sent_time(sent: Any, microseconds: int) -> None:
    native = spoiled({"Records": [samples.DYNAMODB]}, ["Records", 0, "dynamodb", "ApproximateCreationDateTime"], sent)
    (event,) = incoming(native).items
    assert isinstance(event, ChangeEvent) and EPOCH + timedelta(microseconds=microseconds) == event.time


@pytest.mark.parametrize(
    ("sent", "precision", "microseconds"),
    [
        (1700000000123456, "MICROSECOND", 1700000000_123456), (1700000000123, "MILLISECOND", 1700000000_123000),
        (1700000000123, None, 1700000000_123000), (1700000000123456, None, 1700000000_123456),
        (1700000000123456, "NANOSECOND", 1700000000_123456), (1700000000123, ["odd"], 1700000000_123000),
    ],
)  # fmt: skip
def test_a_change_through_kinesis_keeps_the_sent_precision(sent: int, precision: Any, microseconds: int) -> None:
    change = copy.deepcopy(samples.TABLE_CHANGE)
    change["dynamodb"] |= {"ApproximateCreationDateTime": sent, "ApproximateCreationDateTimePrecision": precision}
    (event,) = decode_events.unwrap(samples.message(change))
    assert isinstance(event, ChangeEvent) and EPOCH + timedelta(microseconds=microseconds) == event.time


@pytest.mark.parametrize(
    ("sent", "microseconds"), [(1545084650.987, 1545084650_987000), (1545084650, 1545084650_000000)]
)
def test_a_kinesis_record_keeps_the_sent_time(sent: Any, microseconds: int) -> None:
    native = spoiled({"Records": [samples.KINESIS]}, ["Records", 0, "kinesis", "approximateArrivalTimestamp"], sent)
    (event,) = incoming(native).items
    assert isinstance(event, Message) and EPOCH + timedelta(microseconds=microseconds) == event.time


# S3


def test_a_bucket_whose_arn_isnt_a_string_fails_alone(caplog: pytest.LogCaptureFixture) -> None:
    seen: list[str] = []

    @portable(on.object("uploads"))
    def thumbnail(upload: ObjectEvent) -> None:
        seen.append(upload.key)

    odd = spoiled(samples.S3, ["s3", "bucket", "arn"], {"arn": "x"})
    odd["s3"]["object"]["key"] = "odd"
    with caplog.at_level(logging.ERROR), pytest.raises(DecodeError, match="the arn of the bucket isn't a string"):
        entry(thumbnail)({"Records": [odd, samples.S3]}, LambdaContext())
    assert ["a b+c/é"] == seen


def test_two_objects_of_one_notification_are_two_events() -> None:
    seen: list[str] = []

    @portable(on.object("uploads"))
    def thumbnail(upload: ObjectEvent) -> None:
        seen.append(upload.key)

    records = [spoiled(samples.S3, ["s3", "object", "key"], key) for key in ("a", "b", "a")]
    entry(thumbnail)({"Records": records}, LambdaContext())
    assert ["a", "b"] == seen


@pytest.mark.parametrize(
    ("key", "decoded"), [("%EF%BF%BD", "\ufffd"), ("a+%25FF", "a %FF"), ("%C3%A9", "é"), ("100%", "100%")]
)
def test_a_key_is_decoded_and_never_repaired(key: str, decoded: str) -> None:
    (event,) = incoming({"Records": [spoiled(samples.S3, ["s3", "object", "key"], key)]}).items
    assert isinstance(event, ObjectEvent) and decoded == event.key


# Schedules


@pytest.mark.parametrize("resources", [..., None, [], "arn:aws:events:r:1:rule/x", 7, {}])
def test_a_schedule_without_a_rule_has_the_service_as_its_source(resources: Any) -> None:
    (event,) = decode_events.unwrap(incoming(spoiled(samples.SCHEDULED, ["resources"], resources)).items[0])  # type: ignore[arg-type]  # it is an event
    assert isinstance(event, ScheduleEvent) and "aws.events" == event.source
