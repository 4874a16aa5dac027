"""Which field of AWS's payloads becomes which neutral field, what is said of broken ones, and what is answered: as tables."""

from __future__ import annotations

import base64
import gzip
import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from portable_fn import (
    ChangeEvent,
    CloudEvent,
    DecodeError,
    EncodeError,
    Event,
    HTTPError,
    Message,
    ObjectEvent,
    Reject,
    Request,
    Response,
    Retry,
    ScheduleEvent,
    Task,
)
from portable_fn.cookies import Cookie
from portable_fn.events import Window
from portable_fn.http import Principal
from portable_fn.outcomes import Done, Outcome
from portable_fn_aws import decode, encode
from portable_fn_aws.events import decode as decode_events
from portable_fn_aws.events import encode as encode_events
from portable_fn_aws.events.decode import IncomingEvents
from portable_fn_aws.simulate import LambdaContext

REQUEST_ID = LambdaContext().aws_request_id
FUNCTION = LambdaContext().invoked_function_arn


def context() -> decode.AWSContext:
    return decode.AWSContext(LambdaContext(), True)


def service_of(native: Any) -> str:
    service = decode.http_service(native)
    assert service is not None
    return service


def arrival(native: Any) -> IncomingEvents:
    return decode_events.read_events(native, context())


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def told(event: Any) -> dict[str, Any]:
    """Everything that an event says, as a difference between two is best seen."""
    names = (*event._fields, "type", "subject", "native", "envelopes", "carrier", "data")
    return {
        "class": next(cls.__name__ for cls in type(event).__mro__ if cls.__module__ == "portable_fn.events"),
        **{name: [told(one) for one in event.envelopes] if name == "envelopes" else getattr(event, name) for name in names},
    }  # fmt: skip


# --- events ------------------------------------------------------------------------------------------------------------

TIME = datetime(2023, 11, 14, 22, 13, 20, 123000, UTC)
MILLISECONDS = 1700000000123
QUEUE, TOPIC = "arn:aws:sqs:r:1:orders", "arn:aws:sns:r:1:news"

SQS: dict[str, Any] = {
    "messageId": "m-1",
    "receiptHandle": "handle",
    "body": '{"n": 1}',
    "attributes": {"SentTimestamp": str(MILLISECONDS), "ApproximateReceiveCount": "3", "SequenceNumber": "17"},
    "messageAttributes": {
        "text": {"dataType": "String", "stringValue": "a"},
        "number": {"dataType": "Number.int", "stringValue": "7"},
        "binary": {"dataType": "Binary.gif", "binaryValue": b64(b"\xff\x00")},
        "Content-Type": {"dataType": "String", "stringValue": "application/json"},
    },
    "eventSource": "aws:sqs",
    "eventSourceARN": QUEUE,
}
SQS_BARE = {"messageId": "m-2", "body": "1", "attributes": {}, "eventSource": "aws:sqs", "eventSourceARN": QUEUE}
FIFO: dict[str, Any] = {
    **SQS_BARE,
    "attributes": {"MessageGroupId": "group", "SequenceNumber": "18849", "ApproximateReceiveCount": "2"},
    "eventSourceARN": f"{QUEUE}.fifo",
}
ENVELOPE: dict[str, Any] = {
    "Type": "Notification",
    "MessageId": "p-1",
    "TopicArn": TOPIC,
    "Subject": "Hello",
    "Message": "[2]",
    "Timestamp": "2023-11-14T22:13:20.123Z",
    "SequenceNumber": "10000",
    "MessageAttributes": {
        "text": {"Type": "String", "Value": "b"},
        "binary": {"Type": "Binary", "Value": b64(b"\xfe")},
        "plain": {"Type": "Binary", "Value": "no base64"},
        "content-type": {"Type": "String", "Value": "application/json"},
    },
}
PUBLISHED: dict[str, Any] = {"text": "b", "binary": b"\xfe", "plain": "no base64"}
ENVELOPE_BARE = {"Type": "Notification", "MessageId": "p-2", "TopicArn": TOPIC, "Message": "", "Timestamp": ENVELOPE["Timestamp"]}  # fmt: skip
SNS: dict[str, Any] = {"EventSource": "aws:sns", "EventVersion": "1.0", "Sns": ENVELOPE}
SNS_BARE = {"EventSource": "aws:sns", "Sns": ENVELOPE_BARE}
SNS_IN_SQS: dict[str, Any] = {**SQS_BARE, "body": json.dumps(ENVELOPE), "attributes": {"ApproximateReceiveCount": "4"}}
SNS_IN_FIFO: dict[str, Any] = {**FIFO, "body": json.dumps(ENVELOPE)}

STREAM = "arn:aws:kinesis:r:1:stream/clicks"
KINESIS_INSIDE = {
    "partitionKey": "k", "sequenceNumber": "4954", "data": b64(b'{"k":1}'), "approximateArrivalTimestamp": 1700000000.123,
}  # fmt: skip
KINESIS: dict[str, Any] = {
    "eventSource": "aws:kinesis",
    "eventID": "shardId-7:4954",
    "eventSourceARN": STREAM,
    "kinesis": KINESIS_INSIDE,
}
KINESIS_BARE = {
    "eventSource": "aws:kinesis", "eventID": "4955", "eventSourceARN": STREAM,
    "kinesis": {"partitionKey": "k", "sequenceNumber": "4955", "data": ""},
}  # fmt: skip
KINESIS_PIPED = {"eventSource": "aws:kinesis", "eventID": "shardId-8:1", "eventSourceARN": STREAM, **KINESIS_INSIDE}
CLICK: dict[str, Any] = {"channel": "clicks", "time": TIME, "key": "k", "sequence": "4954"}

CLUSTER = "arn:aws:kafka:r:1:cluster/c/1"
KAFKA = {
    "topic": "logs", "partition": 2, "offset": 15, "timestamp": MILLISECONDS, "key": b64("ké".encode()), "value": b64(b"3"),
    "headers": [{"a": [104, 105]}, {"b": [-1, 127]}],
}  # fmt: skip
KAFKA_BARE = {"topic": "logs", "partition": 3, "offset": 0, "key": b64(b"\xff"), "value": None}
KAFKA_KEYLESS = {"topic": "logs", "partition": 3, "offset": 1, "key": None}

BROKER = "arn:aws:mq:r:1:broker:b:1"
ACTIVEMQ = {
    "messageID": "a-1", "messageType": "jms/text-message", "timestamp": MILLISECONDS, "redelivered": False, "data": b64(b"4"),
    "destination": {"physicalName": "todo"}, "properties": {"a": "x", "n": 5}, "correlationID": "c-1",
}  # fmt: skip
ACTIVEMQ_BARE = {"messageID": "a-2", "destination": {"physicalName": "todo"}, "redelivered": True}
RABBITMQ = {
    "basicProperties": {
        "messageId": "r-1", "contentType": "application/json", "timestamp": "Nov 14, 2023, 10:13:20 PM", "correlationId": "c-2",
        "headers": {"a": {"bytes": [104, 105]}, "n": 5, "t": "x", "o": {"bytes": 1}},
    },
    "redelivered": False, "data": b64(b"5"),
}  # fmt: skip
RABBITMQ_BARE: dict[str, Any] = {"basicProperties": {}, "redelivered": True}

LOG = {"id": "l-1", "timestamp": MILLISECONDS, "message": "x"}
LOGS = {"messageType": "DATA_MESSAGE", "logGroup": "/aws/lambda/f", "logStream": "s", "logEvents": [LOG, {"id": "l-2"}]}


def logs(batch: Any) -> dict[str, Any]:
    return {"awslogs": {"data": b64(gzip.compress(json.dumps(batch).encode()))}}


MAIL: dict[str, Any] = {
    "mail": {
        "messageId": "mail-1", "timestamp": "2023-11-14T22:13:20.123Z", "destination": ["not@this.one"],
        "headers": [{"name": "To", "value": "a"}, {"name": "Received", "value": "b"}, {"name": "RECEIVED", "value": "c"}],
        "commonHeaders": {"subject": "Hi \ud800"},
    },
    "receipt": {"recipients": ["first@a.b", "second@a.b"]},
}  # fmt: skip
SES: dict[str, Any] = {"eventSource": "aws:ses", "ses": MAIL}
MAIL_BARE: dict[str, Any] = {"mail": {"messageId": "mail-2", "timestamp": "2023-11-14T22:13:20.123Z"}}
MAIL_SENT = {"mail": {**MAIL_BARE["mail"], "destination": ["to@a.b"]}, "receipt": {}}

S3: dict[str, Any] = {
    "eventSource": "aws:s3", "eventName": "s3:ObjectCreated:Put", "eventTime": "2023-11-14T22:13:20.123Z",
    "responseElements": {"x-amz-request-id": "REQ"},
    "s3": {
        "bucket": {"name": "uploads", "arn": "arn:aws-cn:s3:::uploads"},
        "object": {"key": "a+b%2Bc/%C3%A9", "size": 7, "eTag": "tag", "versionId": "v1", "sequencer": "0055"},
    },
}  # fmt: skip
S3_BARE = {
    "eventSource": "aws:s3", "eventName": "ObjectTagging:Put", "eventTime": "2023-11-14T22:13:20.123Z",
    "responseElements": {"x-amz-request-id": "REQ"},
    "s3": {"bucket": {"name": "uploads"}, "object": {"key": "a", "size": "7", "eTag": 1, "versionId": None, "sequencer": ""}},
}  # fmt: skip
S3_SEQUENCED = {**S3, "responseElements": None}
PUT: dict[str, Any] = {
    "time": TIME, "size": 7, "etag": "tag", "version": "v1", "type": "ObjectCreated:Put",
}  # fmt: skip

TABLE = "arn:aws:dynamodb:r:1:table/users/stream/2023"
IMAGE = {
    "s": {"S": "x"}, "n": {"N": "1.50"}, "b": {"B": b64(b"\x01")}, "t": {"BOOL": True}, "f": {"BOOL": False}, "z": {"NULL": True},
    "m": {"M": {"a": {"S": "S"}, "b": {"M": {}}}}, "l": {"L": [{"S": "x"}, {"N": "2"}, {"B": b64(b"\x02")}, {"L": [{"BOOL": True}]}]},
    "ss": {"SS": ["a", "b"]}, "ns": {"NS": ["1", "2"]}, "bs": {"BS": [b64(b"\x03")]},
}  # fmt: skip
ROW = {
    "s": "x", "n": Decimal("1.50"), "b": b"\x01", "t": True, "f": False, "z": None, "m": {"a": "S", "b": {}},
    "l": ["x", Decimal(2), b"\x02", [True]], "ss": {"a", "b"}, "ns": {Decimal(1), Decimal(2)}, "bs": {b"\x03"},
}  # fmt: skip
DYNAMODB: dict[str, Any] = {
    "eventSource": "aws:dynamodb", "eventID": "d-1", "eventName": "MODIFY", "eventSourceARN": TABLE,
    "dynamodb": {
        "Keys": {"id": {"S": "7"}}, "OldImage": {"old": {"S": "o"}}, "NewImage": IMAGE, "SequenceNumber": "111",
        "ApproximateCreationDateTime": 1700000000.123,
    },
}  # fmt: skip
DYNAMODB_BARE = {
    "eventSource": "aws:dynamodb", "eventID": "d-2", "eventName": "REMOVE", "eventSourceARN": "users",
    "dynamodb": {"Keys": {"id": {"S": "8"}}, "SequenceNumber": "112"},
}  # fmt: skip

COLLECTION = "arn:aws:rds:r:1:cluster:c"
DOCDB: dict[str, Any] = {
    "event": {
        "_id": {"_data": "t-1"}, "operationType": "replace", "clusterTime": {"$timestamp": {"t": 1700000000, "i": 4}},
        "ns": {"db": "shop", "coll": "users"}, "documentKey": {"_id": {"$oid": "63e2"}},
        "fullDocumentBeforeChange": {"n": 1},
        "fullDocument": {
            "int": {"$numberInt": "1"}, "long": {"$numberLong": "2"}, "double": {"$numberDouble": "1.5"},
            "decimal": {"$numberDecimal": "0.10"}, "old": {"$binary": b64(b"\x01"), "$type": "00"},
            "date": {"$date": MILLISECONDS}, "text": {"$date": "2023-11-14T22:13:20.123Z"}, "uuid": {"$uuid": "u"},
            "binary": {"$binary": {"base64": b64(b"\x02"), "subType": "00"}},
            "clock": {"$timestamp": {"t": 1700000000, "i": 1}}, "symbol": {"$symbol": "y"}, "nothing": {"$undefined": True},
            "list": [{"$oid": "63e3"}, {}], "mixed": {"$oid": "63e4", "x": {"$oid": "63e5"}}, "empty": {},
        },
    }
}  # fmt: skip
DOCUMENT = {
    "int": 1, "long": 2, "double": 1.5, "decimal": Decimal("0.10"), "old": b"\x01", "date": TIME, "text": TIME, "uuid": "u",
    "binary": b"\x02", "clock": TIME.replace(microsecond=0), "symbol": "y", "nothing": None, "list": ["63e3", {}],
    "mixed": {"$oid": "63e4", "x": "63e5"}, "empty": {},
}  # fmt: skip
DOCDB_BARE = {"event": {"_id": {"_data": "t-2"}, "operationType": "dropDatabase", "ns": {"db": "shop"}}}
DOCDB_NOWHERE = {"event": {"_id": {"_data": "t-3"}, "operationType": "invalidate"}}

BUS: dict[str, Any] = {
    "version": "0", "id": "b-1", "source": "shop", "detail-type": "Order Placed", "time": "2023-11-14T22:13:20.123Z",
    "account": "1", "region": "r", "resources": ["x", "y"], "detail": {"n": 6},
}  # fmt: skip

INPUT = {"my": "input"}

EVENTS: dict[str, tuple[Any, list[Event[Any]]]] = {
    "sqs": ({"Records": [SQS, SQS_BARE]}, [
        Message("m-1", QUEUE, b'{"n": 1}', channel="orders", time=TIME, content_type="application/json", attempt=3,
                attributes={"text": "a", "number": "7", "binary": b"\xff\x00"}, native=SQS),
        Message("m-2", QUEUE, b"1", channel="orders", native=SQS_BARE),
    ]),
    "sqs_fifo": ({"Records": [FIFO]}, [
        Message("m-2", f"{QUEUE}.fifo", b"1", channel="orders", attempt=2, key="group", sequence="18849", native=FIFO),
    ]),
    "sns": ({"Records": [SNS, SNS_BARE]}, [
        Message("p-1", TOPIC, b"[2]", channel="news", time=TIME, content_type="application/json", attributes=PUBLISHED,
                subject="Hello", sequence="10000", native=SNS),
        Message("p-2", TOPIC, b"", channel="news", time=TIME, native=SNS_BARE),
    ]),
    "sns_sqs": ({"Records": [SNS_IN_SQS]}, [
        Message("p-1", TOPIC, b"[2]", channel="news", time=TIME, content_type="application/json", attributes=PUBLISHED,
                subject="Hello", sequence="10000", attempt=4, native=ENVELOPE, envelopes=(
                    Message("m-2", QUEUE, json.dumps(ENVELOPE).encode(), channel="orders", attempt=4, native=SNS_IN_SQS),
                )),
    ]),
    "sns_sqs_fifo": ({"Records": [SNS_IN_FIFO]}, [
        Message("p-1", TOPIC, b"[2]", channel="news", time=TIME, content_type="application/json", attributes=PUBLISHED,
                subject="Hello", sequence="10000", attempt=2, key="group", native=ENVELOPE, envelopes=(
                    Message("m-2", f"{QUEUE}.fifo", json.dumps(ENVELOPE).encode(), channel="orders", attempt=2, key="group",
                            sequence="18849", native=SNS_IN_FIFO),
                )),
    ]),
    "kinesis": ({"Records": [KINESIS, KINESIS_BARE]}, [
        Message("shardId-7:4954", STREAM, b'{"k":1}', partition="shardId-7", native=KINESIS, **CLICK),
        Message("4955", STREAM, b"", channel="clicks", key="k", sequence="4955", native=KINESIS_BARE),
    ]),
    "kinesis_pipe": ([KINESIS_PIPED], [
        Message("shardId-8:1", STREAM, b'{"k":1}', partition="shardId-8", native=KINESIS_PIPED, **CLICK),
    ]),
    "kafka": (
        {"eventSource": "aws:kafka", "eventSourceArn": CLUSTER, "bootstrapServers": "s:9092",
         "records": {"logs-2": [KAFKA], "logs-3": [KAFKA_BARE, KAFKA_KEYLESS]}}, [
            Message("logs-2-15", CLUSTER, b"3", channel="logs", time=TIME, attributes={"a": "hi", "b": b"\xff\x7f"}, key="ké",
                    partition="2", sequence="15", native=KAFKA),
            Message("logs-3-0", CLUSTER, b"", channel="logs", key=b64(b"\xff"), partition="3", sequence="0", native=KAFKA_BARE),
            Message("logs-3-1", CLUSTER, b"", channel="logs", partition="3", sequence="1", native=KAFKA_KEYLESS),
        ]),
    "ses": ({"Records": [SES, {"ses": MAIL_BARE}, {"ses": MAIL_SENT}]}, [
        Message("mail-1", "aws:ses", json.dumps(MAIL, separators=(",", ":")).encode(),
                channel="first@a.b", time=TIME, content_type="application/json", attributes={"to": "a", "received": "b, c"},
                subject="Hi \ud800", native=SES),
        Message("mail-2", "aws:ses", json.dumps(MAIL_BARE, separators=(",", ":")).encode(), time=TIME,
                content_type="application/json", native={"ses": MAIL_BARE}),
        Message("mail-2", "aws:ses", json.dumps(MAIL_SENT, separators=(",", ":")).encode(), channel="to@a.b", time=TIME,
                content_type="application/json", native={"ses": MAIL_SENT}),
    ]),
    "logs": (logs(LOGS), [
        Message("l-1", "/aws/lambda/f", json.dumps(LOGS).encode(), channel="/aws/lambda/f", time=TIME, partition="s",
                content_type="application/json", native=LOGS),
    ]),
    "s3": ({"Records": [S3, S3_BARE, S3_SEQUENCED]}, [
        ObjectEvent("REQ.0055.a b+c/é", "arn:aws-cn:s3:::uploads", "uploads", "a b+c/é", "created", notification=S3, native=S3, **PUT),
        ObjectEvent("REQ.ObjectTagging:Put.a", "arn:aws:s3:::uploads", "uploads", "a", "changed", time=TIME,
                    type="ObjectTagging:Put", notification=S3_BARE, native=S3_BARE),
        ObjectEvent("0055.a b+c/é", "arn:aws-cn:s3:::uploads", "uploads", "a b+c/é", "created", notification=S3_SEQUENCED,
                    native=S3_SEQUENCED, **PUT),
    ]),
    "dynamodb": ({"Records": [DYNAMODB, DYNAMODB_BARE]}, [
        ChangeEvent("d-1", TABLE, "users", "updated", key={"id": "7"}, before={"old": "o"}, after=ROW, time=TIME, sequence="111",
                    type="MODIFY", native=DYNAMODB),
        ChangeEvent("d-2", "users", "users", "removed", key={"id": "8"}, sequence="112", type="REMOVE", native=DYNAMODB_BARE),
    ]),
    "docdb": ({"eventSource": "aws:docdb", "eventSourceArn": COLLECTION, "events": [DOCDB, DOCDB_BARE, DOCDB_NOWHERE]}, [
        ChangeEvent("t-1", COLLECTION, "users", "updated", key={"_id": "63e2"}, before={"n": 1}, after=DOCUMENT,
                    time=TIME.replace(microsecond=0), type="replace", native=DOCDB),
        ChangeEvent("t-2", COLLECTION, "shop", "dropDatabase", type="dropDatabase", native=DOCDB_BARE),
        ChangeEvent("t-3", COLLECTION, "", "invalidate", type="invalidate", native=DOCDB_NOWHERE),
    ]),
    "eventbridge": (BUS, [
        CloudEvent("b-1", "shop", "Order Placed", b'{"n":6}', time=TIME, content_type="application/json",
                   extensions={"account": "1", "region": "r", "resources": "x,y"}, native=BUS),
    ]),
    "invoke": (INPUT, [Task(REQUEST_ID, FUNCTION, INPUT, name="function", native=INPUT)]),
}  # fmt: skip


@pytest.mark.parametrize("name", EVENTS)
def test_every_field_is_read_and_every_missing_one_is_left_out(name: str) -> None:
    native, expected = EVENTS[name]
    assert [told(event) for event in expected] == [told(event) for event in arrival(native).items]


MQ: dict[str, tuple[Any, list[tuple[Message[Any], dict[str, Any]]]]] = {
    "activemq": ({"eventSource": "aws:mq", "eventSourceArn": BROKER, "messages": [ACTIVEMQ, ACTIVEMQ_BARE]}, [
        (Message("a-1", BROKER, b"4", channel="todo", time=TIME, attributes={"a": "x", "n": "5"}, attempt=1, native=ACTIVEMQ),
         {"a": "x", "n": "5", "x-correlation-id": "c-1"}),
        (Message("a-2", BROKER, b"", channel="todo", native=ACTIVEMQ_BARE), {}),
    ]),
    "rabbitmq": (
        {"eventSource": "aws:rmq", "eventSourceArn": BROKER, "rmqMessagesByQueue": {"todo::/": [RABBITMQ, RABBITMQ_BARE]}}, [
            (Message("r-1", BROKER, b"5", channel="todo", time=TIME.replace(microsecond=0), content_type="application/json",
                     attributes={"a": "hi", "n": "5", "t": "x", "o": '{"bytes":1}'}, attempt=1, native=RABBITMQ),
             {"a": "hi", "n": "5", "t": "x", "o": '{"bytes":1}', "x-correlation-id": "c-2"}),
            (Message(f"{REQUEST_ID}/todo:://1", BROKER, b"", channel="todo", native=RABBITMQ_BARE), {}),
        ]),
}  # fmt: skip


@pytest.mark.parametrize("name", MQ)
def test_a_brokers_correlation_id_is_carried_beside_the_fields(name: str) -> None:
    native, expected = MQ[name]
    assert [{**told(event), "carrier": carrier} for event, carrier in expected] == [
        told(event) for event in arrival(native).items
    ]


@pytest.mark.parametrize(
    ("queue", "channel"), [("todo::/", "todo"), ("todo::a::b", "todo"), ("todo", "todo"), ("", "")]
)
def test_a_queue_of_rabbitmq_is_named_without_its_host(queue: str, channel: str) -> None:
    native = {"eventSource": "aws:rmq", "rmqMessagesByQueue": {queue: [RABBITMQ]}}
    (event,) = arrival(native).items
    assert isinstance(event, Message)
    assert (channel, "rmq") == (event.channel, event.source)


def test_a_mail_or_an_event_of_a_bus_with_half_a_character_can_be_read() -> None:
    for native in ({"Records": [SES]}, {**BUS, "detail": {"subject": "Hi \ud800"}}):
        (event,) = arrival(native).items
        assert isinstance(event, (Message, CloudEvent))
        assert "Hi \\ud800" in event.text and event.data == json.loads(event.body)


PIPED: dict[str, tuple[dict[str, Any], str, str]] = {
    "kafka": ({"eventSource": "aws:kafka", "eventSourceArn": CLUSTER, **KAFKA}, "logs-2-15", CLUSTER),
    "self-managed kafka": ({"eventSource": "SelfManagedKafka", "bootstrapServers": "s:9092", **KAFKA}, "logs-2-15", "s:9092"),
    "kafka of nowhere": ({"eventSource": "aws:kafka", **KAFKA}, "logs-2-15", "kafka"),
    "activemq": ({"eventSource": "aws:amq", "eventSourceArn": BROKER, **ACTIVEMQ}, "a-1", BROKER),
    "mq": ({"eventSource": "aws:mq", "eventSourceArn": BROKER, **ACTIVEMQ}, "a-1", BROKER),
    "rabbitmq": ({"eventSource": "aws:rmq", "eventSourceArn": BROKER, "eventSourceKey": "todo::/", **RABBITMQ}, "r-1", BROKER),
    "rabbitmq without an id": (
        {"eventSource": "aws:rmq", "eventSourceArn": BROKER, "eventSourceKey": "todo::/", **RABBITMQ_BARE},
        f"{REQUEST_ID}/todo:://0", BROKER,
    ),
    "rabbitmq without a queue": (
        {"eventSource": "aws:rmq", "eventSourceArn": BROKER, **RABBITMQ_BARE}, f"{REQUEST_ID}//0", BROKER,
    ),
    "rabbitmq of nowhere": ({"eventSource": "aws:rmq", **RABBITMQ}, "r-1", "rmq"),
    "sqs": (SQS_BARE, "m-2", QUEUE),
    "dynamodb": (DYNAMODB, "d-1", TABLE),
}  # fmt: skip


@pytest.mark.parametrize("name", PIPED)
def test_a_pipes_record_says_itself_where_it_is_from(name: str) -> None:
    native, id, source = PIPED[name]
    found = arrival([native])
    (event,) = found.items
    assert isinstance(event, Event)
    assert (id, source, native, True, [native]) == (event.id, event.source, event.native, found.pipe, found.records)


def test_a_pipes_record_of_rabbitmq_names_its_queue() -> None:
    (event,) = arrival([PIPED["rabbitmq"][0]]).items
    assert isinstance(event, Message) and "todo" == event.channel


@pytest.mark.parametrize("first", [SQS, *(PIPED[name][0] for name in ("kafka", "mq", "rabbitmq"))])
def test_a_pipes_record_that_is_none_is_unreadable_alone(first: dict[str, Any]) -> None:
    items = arrival([first, 7]).items
    assert [True, False] == [isinstance(item, Event) for item in items]
    assert "can't be read: TypeError" in str(items[1]) or "can't be read: AttributeError" in str(items[1])


GROUPED: list[tuple[dict[str, Any], str, str]] = [
    ({"eventSource": "aws:kafka", "records": {"a": [KAFKA]}}, "kafka", "kafka"),
    ({"eventSource": "SelfManagedKafka", "bootstrapServers": "s:9092", "records": {"a": [KAFKA]}}, "kafka", "s:9092"),
    ({"eventSource": "aws:SelfManagedKafka", "records": {"a": [KAFKA]}}, "kafka", "SelfManagedKafka"),
    ({"eventSource": "aws:amq", "messages": [ACTIVEMQ]}, "mq", "amq"),
    ({"eventSource": "mq", "eventSourceArn": 7, "messages": [ACTIVEMQ]}, "mq", "mq"),
    ({"eventSource": "aws:rmq", "eventSourceArn": BROKER, "rmqMessagesByQueue": {"a": [RABBITMQ]}}, "mq", BROKER),
    ({"eventSource": "aws:docdb", "events": [DOCDB]}, "docdb", "docdb"),
]


@pytest.mark.parametrize(("native", "service", "source"), GROUPED)
def test_a_payload_that_names_its_source_once_names_it_for_all(native: Any, service: str, source: str) -> None:
    found = arrival(native)
    assert (service, [source]) == (found.service, [item.source for item in found.items if isinstance(item, Event)])


IN_ORDER = [
    ("sqs", {"Records": [SQS]}, None), ("sqs", {"Records": [FIFO]}, "group"), ("sns", {"Records": [SNS]}, None),
    ("kinesis", {"Records": [KINESIS]}, ""), ("dynamodb", {"Records": [DYNAMODB]}, ""), ("s3", {"Records": [S3]}, None),
    ("ses", {"Records": [SES]}, None), ("docdb", EVENTS["docdb"][0], ""), ("kafka", EVENTS["kafka"][0], ("logs", "2")),
    ("mq", MQ["activemq"][0], None), ("mq", MQ["rabbitmq"][0], None), ("logs", logs(LOGS), None), ("eventbridge", BUS, None),
    ("invoke", INPUT, None), ("invoke", [INPUT], None), ("invoke", [], None), ("invoke", "text", None), ("invoke", None, None),
    ("invoke", [{"eventSource": "aws:new"}], None), ("invoke", {"eventSource": "aws:new"}, None),
    ("invoke", {"Records": [{"eventSource": "aws:new"}]}, None), ("invoke", {"Records": [1]}, None),
    ("invoke", {"Records": [{"eventSource": 1}]}, None), ("invoke", {"Records": {}}, None), ("invoke", {"awslogs": 1}, None),
    ("invoke", {"detail-type": "a", "source": "b"}, None), ("invoke", {"detail-type": "a", "detail": {}}, None),
    ("s3", {"Event": "s3:TestEvent"}, None), ("s3", {"Records": []}, None),
    ("logs", logs({"messageType": "CONTROL_MESSAGE"}), None), ("sqs", [FIFO], "group"), ("kafka", [PIPED["kafka"][0]], ("logs", "2")),
    ("mq", [PIPED["activemq"][0]], None), ("sqs", {"Records": [{}, SQS]}, None), ("sqs", {"Records": [{"messageId": "1"}, SQS]}, None),
    ("sns", {"Records": [{}, SNS]}, None), ("sqs", {"Records": [7, SQS]}, None), ("sqs", {"Records": [None, {"eventSource": ""}, FIFO]}, "group"),
    ("sqs", {"Records": [{"eventSource": None}, FIFO]}, "group"), ("sqs", {"Records": [{}, {"eventSource": 1}, SQS]}, None),
]  # fmt: skip


@pytest.mark.parametrize(("service", "native", "key"), IN_ORDER)
def test_a_payload_is_of_a_service_and_its_events_are_in_order_within_a_key(
    service: str, native: Any, key: object
) -> None:
    found = arrival(native)
    events = [item for item in found.items if isinstance(item, Event)]
    assert (service, key) == (found.service, found.key(events[0]) if found.key is not None else None)
    assert found.pipe == (type(native) is list and service != "invoke")


def test_the_records_of_a_batch_are_its_items_one_by_one() -> None:
    for native in (BUS, logs(LOGS)):
        assert [native] == arrival(native).records
    for native in (logs({"messageType": "CONTROL_MESSAGE"}), {"Event": "s3:TestEvent"}, {"Records": []}):
        assert [] == list(arrival(native).items)
    for native in (
        {"Records": [SQS, SQS_BARE]},
        EVENTS["kafka"][0],
        MQ["activemq"][0],
        MQ["rabbitmq"][0],
        EVENTS["docdb"][0],
    ):
        found = arrival(native)
        assert len(found.records) == len(found.items) >= 2
        assert found.records == [item.native for item in found.items if isinstance(item, Event)]
        assert found.records[1] is found.items[1].native  # type: ignore[union-attr]  # all can be read


WINDOW = {"start": "2023-11-14T22:13:20Z", "end": "2023-11-14T22:15:20+00:00"}
START, END = datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC), datetime(2023, 11, 14, 22, 15, 20, tzinfo=UTC)


@pytest.mark.parametrize(
    ("more", "service", "window", "state"),
    [
        ({"Records": [KINESIS], "state": {"n": 1}}, "kinesis", Window(START, END), {"n": 1}),
        ({"Records": [DYNAMODB], "state": None}, "dynamodb", Window(START, END), {}),
        (
            {"Records": [], "eventSourceARN": STREAM, "isFinalInvokeForWindow": True, "isWindowTerminatedEarly": False},
            "kinesis", Window(START, END, is_final=True), {},
        ),
        (
            {"Records": [], "eventSourceARN": TABLE, "isFinalInvokeForWindow": "true", "isWindowTerminatedEarly": True},
            "dynamodb", Window(START, END, ended_early=True), {},
        ),
        ({"Records": []}, "invoke", None, None),
        ({"Records": [], "eventSourceARN": "nonsense"}, "invoke", None, None),
        ({"Records": [], "eventSourceARN": 7}, "invoke", None, None),
    ],
)  # fmt: skip
def test_a_tumbling_window_is_read(more: Any, service: str, window: Window | None, state: Any) -> None:
    found = arrival({"window": WINDOW, **more})
    assert (service, window, state) == (found.service, found.window, found.state)


def test_a_direct_call_of_a_test_without_a_context_has_no_id() -> None:
    ctx = decode.AWSContext(None, True)
    assert told(Task("", "", INPUT, native=INPUT)) == told(decode_events.read_task(INPUT, ctx))
    assert ("", None) == (ctx.version, ctx.deadline)


def test_a_schedules_own_input_is_a_schedule_of_the_invocation() -> None:
    tick = ScheduleEvent(REQUEST_ID, FUNCTION, input=INPUT, native=INPUT)
    assert told(tick) == told(decode_events.read_schedule(INPUT, context()))
    called = decode_events.read_call(BUS, context())
    assert ("invoke", [BUS], [told(Task(REQUEST_ID, FUNCTION, BUS, name="function", native=BUS))]) == (
        called.service, called.records, [told(item) for item in called.items],
    )  # fmt: skip


# --- what is inside ----------------------------------------------------------------------------------------------------

DETAIL = {
    "bucket": {"name": "uploads"}, "object": {"key": "a+b%20é", "size": 7, "etag": "tag", "version-id": "v1"}, "reason": "PutObject",
}  # fmt: skip
BUS_S3 = {**BUS, "source": "aws.s3", "detail-type": "Object Created", "detail": DETAIL}
TABLE_CHANGE = {
    "eventSource": "aws:dynamodb", "eventID": "c-1", "eventName": "INSERT", "tableName": "users",
    "dynamodb": {"Keys": {"id": {"S": "7"}}, "ApproximateCreationDateTime": MILLISECONDS},
}  # fmt: skip
SCHEDULED = {
    **BUS, "source": "aws.events", "detail-type": "Scheduled Event", "resources": ["arn:aws:events:r:1:rule/nightly"], "detail": {},
}  # fmt: skip
PLACED, CREATED = EVENTS["eventbridge"][1][0], EVENTS["s3"][1][0]


def message(body: object) -> Message[Any]:
    return Message("m", "q", body if isinstance(body, bytes) else json.dumps(body).encode())


def bus(native: dict[str, Any]) -> Event[Any]:
    (event,) = arrival(native).items
    assert isinstance(event, Event)
    return event


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (message({"Records": [S3]}), [CREATED]),
        (message(BUS), [PLACED]),
        (message({**BUS, "detail": '"Records"'}), [bus({**BUS, "detail": '"Records"'})]),
        (message(TABLE_CHANGE), [
            ChangeEvent("c-1", "users", "users", "inserted", key={"id": "7"}, time=TIME, type="INSERT", native=TABLE_CHANGE),
        ]),
        (message({**TABLE_CHANGE, "dynamodb": {"Keys": {}}}), [
            ChangeEvent("c-1", "users", "users", "inserted", type="INSERT", native={**TABLE_CHANGE, "dynamodb": {"Keys": {}}}),
        ]),
        (bus(BUS_S3), [
            ObjectEvent("b-1", "arn:aws:s3:::uploads", "uploads", "a+b%20é", "created", time=TIME, size=7, etag="tag", version="v1",
                        type="Object Created", notification=DETAIL, native=BUS_S3),
        ]),
        (bus(SCHEDULED), [
            ScheduleEvent("b-1", "arn:aws:events:r:1:rule/nightly", time=TIME, name="nightly", native=SCHEDULED),
        ]),
        (bus({**BUS, "detail": DYNAMODB}), [EVENTS["dynamodb"][1][0]]),
        (bus({**BUS, "detail": TABLE_CHANGE}), [
            ChangeEvent("c-1", "users", "users", "inserted", key={"id": "7"}, time=TIME, type="INSERT", native=TABLE_CHANGE),
        ]),
        (bus({**BUS, "detail": {"eventSource": "aws:new"}}), []),
        (bus({**BUS, "detail": {"eventSource": 1}}), []),
        (bus({**BUS_S3, "detail-type": "Object New"}), []),
        (bus(BUS), []),
        (message(DYNAMODB), []),
        (message({"Records": []}), []),
        (message({"Records": {"eventSource": "aws:s3"}}), []),
        (message({"Records": [{"eventSource": "aws:new"}]}), []),
        (message({"detail-type": "a", "source": "b"}), []),
        (message({"source": "b", "detail": {"detail-type": 1}}), []),
        (message([{"detail-type": 1, "Records": 1}]), []),
        (CloudEvent("c", "s", "t", b"{}", native="text"), []),
        (CloudEvent("c", "s", "t", b"{}", native={"detail": DYNAMODB}), []),
        (Task("t", "s", {"Records": [S3]}), []),
    ],
)  # fmt: skip
def test_what_is_inside_of_an_event_has_it_as_its_envelope(event: Event[Any], expected: list[Event[Any]]) -> None:
    envelopes = [told(one) for one in (*event.envelopes, event)]
    assert [{**told(one), "envelopes": envelopes} for one in expected] == [
        told(one) for one in decode_events.unwrap(event)
    ]


@pytest.mark.parametrize("body", [b'{"Records"', b'{"Records": []}\xff', b'"detail-type', b'"dynamodb"'])
def test_in_a_body_that_is_no_json_there_is_nothing(body: bytes) -> None:
    assert [] == decode_events.unwrap(message(body))


TEST_EVENT = {"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "uploads"}


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (message(TEST_EVENT), True),
        (message({**TEST_EVENT, "Records": []}), False),
        (message({**TEST_EVENT, "Event": "s3:TestEvent2"}), False),
        (message({"Service": "s3:TestEvent"}), False),
        (message("s3:TestEvent"), False),
        (message(b"s3:TestEvent"), False),
        (message(b"s3:TestEvent\xff"), False),
        (message({"n": 1}), False),
        (EVENTS["docdb"][1][1], True),
        (EVENTS["docdb"][1][0], False),
        (EVENTS["dynamodb"][1][0], False),
        (CREATED, False),
    ],
)
def test_a_notice_only_tells_how_the_source_fares(event: Event[Any], expected: bool) -> None:
    assert expected is decode_events.is_notice(event)


# --- what is broken ----------------------------------------------------------------------------------------------------


def records(record: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A record with other fields, those that are ... left out."""
    return {"Records": [{name: value for name, value in {**record, **fields}.items() if value is not ...}]}


def inside(record: dict[str, Any], name: str, **fields: Any) -> dict[str, Any]:
    """A record with other fields in its member of that name, those that are ... left out."""
    (changed,) = records(record[name], **fields)["Records"]
    return records(record, **{name: changed})


def mq(name: str, **fields: Any) -> dict[str, Any]:
    if name == "activemq":
        return {"eventSource": "aws:mq", "messages": records(ACTIVEMQ, **fields)["Records"]}
    if name == "rabbitmq":
        return {"eventSource": "rmq", "rmqMessagesByQueue": {"todo": records(RABBITMQ, **fields)["Records"]}}
    if name == "kafka":
        return {"eventSource": "kafka", "records": {"logs-2": records(KAFKA, **fields)["Records"]}}
    (event,) = records(DOCDB["event"], **fields)["Records"]
    return {"eventSource": "aws:docdb", "events": [{"event": event}]}


UNPADDED, BAD = "YQ=", "Y\nQ=="

BROKEN: list[tuple[Any, str]] = [
    (records(SQS, messageId=...), "an SQS record can't be read: 'messageId' is missing"),
    (records(SQS, messageId=""), "the messageId and the eventSourceARN of an SQS record must"),
    (records(SQS, messageId=7), "the messageId and the eventSourceARN of an SQS record must"),
    (records(SQS, eventSourceARN=""), "the messageId and the eventSourceARN of an SQS record must"),
    (records(SQS, eventSourceARN=None), "the messageId and the eventSourceARN of an SQS record must"),
    (records(SQS, body=...), "an SQS record can't be read: 'body' is missing"),
    (records(SQS, body=["x"]), "text of SQSMessage can't be read: TypeError"),
    (records(FIFO, attributes={"MessageGroupId": ""}), "the MessageGroupId of a record of a FIFO queue is empty"),
    (records(FIFO, attributes={"MessageGroupId": None}), "the MessageGroupId of a record of a FIFO queue is missing"),
    (records(FIFO, attributes={"MessageGroupId": 7}), "the MessageGroupId of a record of a FIFO queue isn\'t a string"),
    (records(FIFO, body=...), "an SQS record can't be read: 'body' is missing"),
    (records(SNS, Sns=...), "an SNS record can't be read: 'Sns' is missing"),
    (inside(SNS, "Sns", MessageId=""), "the MessageId of an SNS notification is empty"),
    (inside(SNS, "Sns", TopicArn=7), "the TopicArn of an SNS notification isn\'t a string"),
    (inside(SNS, "Sns", Message=7), "text of SNSMessage can't be read: TypeError"),
    (records(KINESIS, eventID=...), "a Kinesis record can't be read: 'eventID' is missing"),
    (records(KINESIS, eventID=""), "the eventID and the eventSourceARN of a Kinesis record must"),
    (records(KINESIS, eventSourceARN=7), "the eventID and the eventSourceARN of a Kinesis record must"),
    (inside(KINESIS, "kinesis", data=UNPADDED), "body of KinesisMessage can't be read"),
    (inside(KINESIS, "kinesis", data=BAD), "body of KinesisMessage can't be read"),
    (inside(KINESIS, "kinesis", sequenceNumber=7), "the sequenceNumber of a Kinesis record isn\'t a string"),
    (mq("kafka", topic=""), "the topic of a Kafka record is empty"),
    (mq("kafka", topic=...), "a Kafka record can't be read: 'topic' is missing"),
    (mq("kafka", partition="02"), "the partition of a Kafka record isn't a whole number"),
    (mq("kafka", partition="two"), "the partition of a Kafka record isn't a whole number"),
    (mq("kafka", partition=-1), "the partition of a Kafka record isn't a whole number"),
    (mq("kafka", partition=None), "the partition of a Kafka record isn't a whole number"),
    (mq("kafka", offset=1.5), "the offset of a Kafka record isn't a whole number"),
    (mq("kafka", offset=True), "the offset of a Kafka record isn't a whole number"),
    (mq("kafka", offset="٣"), "the offset of a Kafka record isn't a whole number"),
    (mq("kafka", value=BAD), "body of KafkaMessage can't be read"),
    (mq("activemq", messageID=7), "the messageID of an ActiveMQ message isn\'t a string"),
    (mq("activemq", messageID=...), "the messageID of an ActiveMQ message is missing"),
    (mq("activemq", data=BAD), "an ActiveMQ message can't be read"),
    (mq("rabbitmq", basicProperties={"messageId": 7}), "the messageId of a RabbitMQ message isn\'t a string"),
    (mq("rabbitmq", data=BAD), "a RabbitMQ message can't be read"),
    (records(SES, ses={}), "an SES record can't be read: 'mail' is missing"),
    (records(SES, ses={"mail": {**MAIL["mail"], "messageId": ""}}), "the messageId of a mail is empty"),
    (logs({**LOGS, "logGroup": ""}), "the logGroup of a CloudWatch Logs batch is empty"),
    (logs({**LOGS, "logEvents": [{**LOG, "id": None}]}), "the id of a log event is missing"),
    (logs({**LOGS, "logEvents": []}), "the CloudWatch Logs batch can't be read: IndexError"),
    ({"awslogs": {"data": logs(LOGS)["awslogs"]["data"] + "\n"}}, "the CloudWatch Logs batch can't be read"),
    ({"awslogs": {"data": b64(b'{"messageType": "CONTROL_MESSAGE"}')}}, "the CloudWatch Logs batch can't be read: error"),
    ({"awslogs": {}}, "the CloudWatch Logs batch can't be read: TypeError"),
    (records(S3, eventName=...), "an S3 record can't be read: 'eventName' is missing"),
    (records(S3, s3={**S3["s3"], "bucket": {"name": ""}}), "the name of the bucket is empty"),
    (records(S3, s3={**S3["s3"], "bucket": {"name": "a", "arn": {"b": 1}}}), "the arn of the bucket isn\'t a string"),
    (records(S3, s3={**S3["s3"], "object": {"key": "%FF", "sequencer": "1"}}), "an S3 record can't be read: UnicodeDecodeError"),
    (records(S3, s3={**S3["s3"], "object": {"key": 7}}), "the key of the object isn\'t a string"),
    (records(S3, responseElements={"x-amz-request-id": 7}, s3={**S3["s3"], "object": {"key": "a", "sequencer": 7}}),
     "an S3 record has neither a request id nor a sequencer"),
    (records(DYNAMODB, eventID=...), "a DynamoDB record can't be read: 'eventID' is missing"),
    (records(DYNAMODB, eventID=7), "the eventID and the eventSourceARN of a DynamoDB record must"),
    (records(DYNAMODB, eventSourceARN=""), "the eventID and the eventSourceARN of a DynamoDB record must"),
    (records(DYNAMODB, eventName="TTL"), "action of DynamoDBChange can't be read: 'TTL' is missing"),
    (inside(DYNAMODB, "dynamodb", SequenceNumber=""), "the SequenceNumber of a DynamoDB record is empty"),
    (inside(DYNAMODB, "dynamodb", Keys=...), "key of DynamoDBChange can't be read: 'Keys' is missing"),
    (inside(DYNAMODB, "dynamodb", OldImage={"a": {"B": BAD}}), "before of DynamoDBChange can't be read"),
    (inside(DYNAMODB, "dynamodb", NewImage={"a": {"SS": [1]}}), "after of DynamoDBChange can't be read: TypeError"),
    (inside(DYNAMODB, "dynamodb", NewImage={"a": {"NS": {}}}), "after of DynamoDBChange can't be read: TypeError"),
    (mq("docdb", operationType=""), "the operationType of a change is empty"),
    (mq("docdb", _id={"_data": 7}), "the id of a change isn\'t a string"),
    (mq("docdb", _id=...), "a DocumentDB event can't be read: '_id' is missing"),
    (mq("docdb", fullDocument=["x"]), "a DocumentDB event can't be read: TypeError"),
    (mq("docdb", fullDocument={"a": {"$oid": 7}}), "an $oid isn\'t a string"),
    (mq("docdb", fullDocument={"a": {"$uuid": ""}}), "a $uuid is empty"),
    (mq("docdb", fullDocument={"a": {"$symbol": None}}), "a $symbol is missing"),
    (mq("docdb", fullDocument={"a": {"$binary": BAD}}), "a DocumentDB event can't be read"),
    ({**BUS, "id": ""}, "the id of an EventBridge event is empty"),
    ({**BUS, "source": 7}, "the source of an EventBridge event isn\'t a string"),
    ({name: value for name, value in BUS.items() if name != "id"}, "an EventBridge event can't be read: 'id' is missing"),
    ({**BUS, "detail-type": None}, "the detail-type of an EventBridge event is missing"),
    ({"window": 7, "Records": [KINESIS]}, "the tumbling window and its state must be objects"),
    ({"window": WINDOW, "state": [], "Records": [KINESIS]}, "the tumbling window and its state must be objects"),
    ({"window": {"start": WINDOW["start"]}, "Records": [KINESIS]}, "a time is not one of RFC 3339"),
    ({"eventSource": "aws:kafka", "records": []}, "the payload's records must be an object"),
    ({"eventSource": "aws:kafka", "records": {"a": {}}}, "the payload's records must be a list"),
    ({"eventSource": "aws:kafka", "eventSourceArn": 7, "records": {"a": []}}, "the source of the Kafka records must be a string"),
    ({"eventSource": "aws:mq"}, "the payload's messages must be a list"),
    ({"eventSource": "aws:rmq"}, "the payload's rmqMessagesByQueue must be an object"),
    ({"eventSource": "aws:rmq", "rmqMessagesByQueue": {"a": {}}}, "the payload's messages must be a list"),
    ({"eventSource": "aws:docdb", "events": {}}, "the payload's events must be a list"),
]  # fmt: skip


@pytest.mark.parametrize(("native", "words"), BROKEN)
def test_what_cant_be_read_is_named(native: Any, words: str) -> None:
    said = []
    try:
        for item in arrival(native).items:
            if isinstance(item, DecodeError):
                raise item
            for name in (*item._fields, "type", "subject", "data", "text"):
                try:
                    getattr(item, name, None)
                except DecodeError as exc:
                    said.append(str(exc))
    except DecodeError as exc:
        said.append(str(exc))
    assert words in "\n".join(said)


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (message({"Records": [{"eventSource": "aws:s3"}]}), "an S3 record can't be read: 'eventName' is missing"),
        (message({**BUS, "id": ""}), "the id of an EventBridge event is empty"),
        (message({**TABLE_CHANGE, "eventID": 7}), "the eventID of a change isn\'t a string"),
        (message({**TABLE_CHANGE, "tableName": ""}), "the tableName of a change is empty"),
        (message({"eventSource": "aws:dynamodb", "tableName": "a", "dynamodb": 1}), "a change of a table can't be read: 'eventID'"),
        (bus({**BUS_S3, "detail": {"object": {}}}), "the event 'Object Created' of aws.s3 can't be read: 'bucket' is missing"),
        (bus({**BUS_S3, "detail": {**DETAIL, "bucket": {"name": 7}}}), "the name of the bucket isn\'t a string"),
        (bus({**BUS_S3, "detail": {**DETAIL, "object": {"key": ""}}}), "the key of the object is empty"),
        (bus({**SCHEDULED, "resources": [7]}), "the rule of a scheduled event isn\'t a string"),
    ],
)  # fmt: skip
def test_what_cant_be_read_inside_of_an_event_is_named(event: Event[Any], words: str) -> None:
    with pytest.raises(DecodeError) as caught:
        decode_events.unwrap(event)
    assert words in str(caught.value)


def test_the_largest_batch_of_logs_passes_and_one_byte_more_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    size = len(json.dumps(LOGS))
    monkeypatch.setattr("portable_fn_aws.events.logs.MAX_LOGS", size)
    (passes,) = arrival(logs(LOGS)).items
    assert isinstance(passes, Message)
    monkeypatch.setattr("portable_fn_aws.events.logs.MAX_LOGS", size - 1)
    (refused,) = arrival(logs(LOGS)).items
    assert f"over {size - 1} bytes" in str(refused)


# --- requests ----------------------------------------------------------------------------------------------------------

NOW = 1800000000.5
NEW = "a new id"
IAM = {"userArn": "arn:aws:iam::1:user/u", "callerId": "AIDA", "accountId": "1"}
CALLER = {"callerId": "AIDA"}
CLAIMS, CUSTOM = {"sub": "user-1", "scope": "a"}, {"principalId": "p", "key": "value"}
CERTIFICATE = {"subjectDN": "CN=client", "serialNumber": "1"}
LATTICE_IAM = {"type": "AWS_IAM", "principal": "arn:aws:sts::1:assumed-role/r/s", "sourceVpcArn": "vpc"}

HTTP_API: dict[str, Any] = {
    "version": "2.0", "routeKey": "ANY /{x}", "rawPath": "/prod/a b", "rawQueryString": "x=1&x=2", "cookies": ["c=1", "d=2"],
    "headers": {"X-A": "1", "host": "h"}, "pathParameters": {"x": "a b"}, "body": b64(b"\x00"), "isBase64Encoded": True,
    "requestContext": {
        "http": {"method": "POST", "sourceIp": "192.0.2.1"}, "stage": "prod", "domainName": "d.example", "requestId": "q-1",
        "timeEpoch": MILLISECONDS, "authorizer": {"jwt": {"claims": CLAIMS}},
    },
}  # fmt: skip
HTTP_API_BARE = {"version": "2.0", "rawPath": "/", "requestContext": {"http": {"method": "GET"}}}
REST_API: dict[str, Any] = {
    "resource": "/{x}", "path": "/a%20b", "httpMethod": "PUT", "headers": {"X-A": "not this"},
    "multiValueHeaders": {"X-A": ["1", "2"], "X-Forwarded-Proto": ["http"]},
    "queryStringParameters": {"q": "not this"}, "multiValueQueryStringParameters": {"q": ["a b", "ü&"], "e": [None]},
    "pathParameters": {"x": "a%20b"}, "body": "é", "isBase64Encoded": False,
    "requestContext": {
        "stage": "prod", "path": "/prod/a%20b", "identity": {"sourceIp": "192.0.2.2"}, "domainName": "d.example",
        "requestId": "q-2", "requestTimeEpoch": MILLISECONDS, "authorizer": CUSTOM,
    },
}  # fmt: skip
REST_API_BARE = {"resource": "/", "path": "/", "httpMethod": "GET", "requestContext": {}}
REST_API_SINGLE = {
    **REST_API_BARE, "headers": {"X-A": "1"}, "queryStringParameters": {"q": "a"}, "multiValueHeaders": None,
    "requestContext": {"stage": "prod", "path": "/a", "identity": {"clientCert": CERTIFICATE}},
}  # fmt: skip
REST_API_PATHLESS = {**REST_API_BARE, "path": "/prod/a", "requestContext": {"path": "//a", "identity": IAM}}
REST_API_1 = {
    **REST_API_BARE, "version": "1.0", "path": "/prod/50% ü", "pathParameters": {"x": "50%25"},
    "requestContext": {"stage": "prod", "path": "/prod/50% ü", "authorizer": {"claims": CLAIMS}},
}  # fmt: skip
REST_API_1_DEFAULT = {
    **REST_API_BARE,
    "version": "1.0",
    "path": "/a/b",
    "requestContext": {"stage": "$default", "path": "/a/b"},
}
ALB: dict[str, Any] = {
    "httpMethod": "PATCH", "path": "/a%20b", "queryStringParameters": {"q": "a%20b", "r": ""},
    "headers": {"X-Forwarded-For": "192.0.2.9, 192.0.2.3", "x-forwarded-proto": "http"}, "body": b64(b"\x01"),
    "isBase64Encoded": True, "requestContext": {"elb": {"targetGroupArn": "arn"}},
}  # fmt: skip
ALB_MULTI = {
    **ALB, "multiValueHeaders": {"x-a": ["1", "2"]}, "multiValueQueryStringParameters": {"q": ["1", "2"], "r": ["3"]},
}  # fmt: skip
ALB_BARE = {"httpMethod": "GET", "path": "/", "requestContext": {"elb": {}}}
LATTICE_1: dict[str, Any] = {
    "raw_path": "/a%20b?x=1&y=2", "method": "DELETE", "body": b64(b"\x02"), "is_base64_encoded": True,
    "headers": {"X-Forwarded-For": "192.0.2.4", "x-forwarded-proto": "http"}, "query_string_parameters": {"x": "not this"},
}  # fmt: skip
LATTICE_1_QUERY = {"raw_path": "", "method": "GET", "query_string_parameters": {"x": "a b"}}
LATTICE_2: dict[str, Any] = {
    "version": "2.0", "path": "/a%20b?x=1&y=2", "method": "OPTIONS", "body": b64(b"\x03"), "isBase64Encoded": True,
    "headers": {"x-forwarded-for": ["192.0.2.5"], "x-forwarded-proto": ["http"], "x-a": ["1", "2"]},
    "queryStringParameters": {"x": ["not this"]},
    "requestContext": {"serviceNetworkArn": "arn", "identity": LATTICE_IAM, "timeEpoch": "1700000000123000"},
}  # fmt: skip
LATTICE_2_QUERY = {
    "path": "", "method": "GET", "queryStringParameters": {"x": ["a b", "c"]},
    "requestContext": {"serviceNetworkArn": "arn", "identity": {"type": "NONE", "principal": "x"}},
}  # fmt: skip

REQUESTS: dict[str, tuple[str, dict[str, Any], Request[Any]]] = {
    "http_api": ("http_api", HTTP_API, Request(
        "POST", "/a%20b", "x=1&x=2", [("x-a", "1"), ("host", "h"), ("cookie", "c=1; d=2")], b"\x00", params={"x": "a b"},
        host="d.example", root_path="/prod", client_ip="192.0.2.1", principal=Principal("user-1", "jwt", CLAIMS), id="q-1",
        time=1700000000.123, native=HTTP_API,
    )),
    "http_api bare": ("http_api", HTTP_API_BARE, Request(id=NEW, time=NOW, native=HTTP_API_BARE)),
    "rest_api": ("rest_api", REST_API, Request(
        "PUT", "/a%20b", "q=a%20b&q=%C3%BC%26&e=", [("x-a", "1"), ("x-a", "2"), ("x-forwarded-proto", "http")], "é".encode(),
        params={"x": "a b"}, host="d.example", scheme="http", root_path="/prod", client_ip="192.0.2.2",
        principal=Principal("p", "custom", CUSTOM), id="q-2", time=1700000000.123, native=REST_API,
    )),
    "rest_api bare": ("rest_api", REST_API_BARE, Request(id=NEW, time=NOW, native=REST_API_BARE)),
    "rest_api with single values": ("rest_api", REST_API_SINGLE, Request(
        "GET", "/", "q=a", [("x-a", "1")], principal=Principal("CN=client", "mtls", CERTIFICATE), id=NEW, time=NOW,
        native=REST_API_SINGLE,
    )),
    "rest_api without a stage": ("rest_api", REST_API_PATHLESS, Request(
        "GET", "/prod/a", principal=Principal(IAM["userArn"], "iam", IAM), id=NEW, time=NOW, native=REST_API_PATHLESS,
    )),
    "payload 1.0": ("rest_api", REST_API_1, Request(
        "GET", "/50%25%20%C3%BC", params={"x": "50%25"}, root_path="/prod", principal=Principal("user-1", "jwt", CLAIMS), id=NEW,
        time=NOW, native=REST_API_1,
    )),
    "payload 1.0 without a stage": ("rest_api", REST_API_1_DEFAULT, Request(
        "GET", "/a/b", id=NEW, time=NOW, native=REST_API_1_DEFAULT,
    )),
    "alb": ("alb", ALB, Request(
        "PATCH", "/a%20b", "q=a%20b&r=", [("x-forwarded-for", "192.0.2.9, 192.0.2.3"), ("x-forwarded-proto", "http")], b"\x01",
        scheme="http", client_ip="192.0.2.3", id=NEW, time=NOW, native=ALB,
    )),
    "alb with many values": ("alb", ALB_MULTI, Request(
        "PATCH", "/a%20b", "q=1&q=2&r=3", [("x-a", "1"), ("x-a", "2")], b"\x01", id=NEW, time=NOW, native=ALB_MULTI,
    )),
    "alb bare": ("alb", ALB_BARE, Request(id=NEW, time=NOW, native=ALB_BARE)),
    "lattice_v1": ("lattice_v1", LATTICE_1, Request(
        "DELETE", "/a%20b", "x=1&y=2", [("x-forwarded-for", "192.0.2.4"), ("x-forwarded-proto", "http")], b"\x02", scheme="http",
        client_ip="192.0.2.4", id=NEW, time=NOW, native=LATTICE_1,
    )),
    "lattice_v1 with parameters": ("lattice_v1", LATTICE_1_QUERY, Request(
        "GET", "/", "x=a%20b", id=NEW, time=NOW, native=LATTICE_1_QUERY,
    )),
    "lattice_v2": ("lattice_v2", LATTICE_2, Request(
        "OPTIONS", "/a%20b", "x=1&y=2",
        [("x-forwarded-for", "192.0.2.5"), ("x-forwarded-proto", "http"), ("x-a", "1"), ("x-a", "2")], b"\x03", scheme="http",
        client_ip="192.0.2.5", principal=Principal(LATTICE_IAM["principal"], "iam", LATTICE_IAM), id=NEW, time=1700000000.123,
        native=LATTICE_2,
    )),
    "lattice_v2 with parameters": ("lattice_v2", LATTICE_2_QUERY, Request(
        "GET", "/", "x=a%20b&x=c", id=NEW, time=NOW, native=LATTICE_2_QUERY,
    )),
}  # fmt: skip


@pytest.mark.parametrize("name", REQUESTS)
def test_every_field_of_a_request_is_read(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: NOW)
    monkeypatch.setattr("portable_fn.http.new_id", lambda: NEW)
    service, native, expected = REQUESTS[name]
    actual = decode.request(native, service_of(native))
    names = (*(name for name in expected._fields if name != "headers"), "path", "native", "type")
    assert service == decode.http_service(native)
    assert list(expected.headers.multi_items()) == list(actual.headers.multi_items())
    assert {name: getattr(expected, name) for name in names} == {name: getattr(actual, name) for name in names}


def http_api(path: str = "/a", params: Any = None, **fields: Any) -> dict[str, Any]:
    return {"version": "2.0", "rawPath": path, "pathParameters": params,
            "requestContext": {"http": {"method": "GET"}, **fields}}  # fmt: skip


def rest_api(**fields: Any) -> dict[str, Any]:
    return {**REST_API_BARE, "requestContext": fields}


@pytest.mark.parametrize(
    ("native", "raw_path", "path", "root_path"),
    [
        (http_api("/prod", stage="prod"), "/", "/", "/prod"),
        (http_api("/production", stage="prod"), "/production", "/production", ""),
        (http_api("/$default/a", stage="$default"), "/$default/a", "/$default/a", ""),
        (http_api("/100%25"), "/100%2525", "/100%25", ""),
        (http_api("/100%25", domainName="x.lambda-url.r.on.aws"), "/100%25", "/100%", ""),
        (http_api("/a/:@!$&'()*+,;=-._~"), "/a/:@!$&'()*+,;=-._~", "/a/:@!$&'()*+,;=-._~", ""),
        (http_api("/ü/:@!$&'()*+,;=-._~"), "/%C3%BC/:@!$&'()*+,;=-._~", "/ü/:@!$&'()*+,;=-._~", ""),
        (http_api("/ü ?#[]\x7f"), "/%C3%BC%20%3F%23%5B%5D%7F", "/ü ?#[]\x7f", ""),
        ({**REST_API_1, "path": "/prodigy"}, "/prodigy", "/prodigy", "/prod"),
        ({**REST_API_1, "path": "/50%"}, "/50%25", "/50%", "/prod"),
    ],
)
def test_a_path_is_split_from_its_stage_and_encoded_once(
    native: dict[str, Any], raw_path: str, path: str, root_path: str
) -> None:
    request = decode.request(native, service_of(native))
    assert (raw_path, path, root_path) == (request.raw_path, request.path, request.root_path)


@pytest.mark.parametrize(
    ("native", "expected"),
    [
        (http_api(authorizer={"jwt": {"claims": {"scope": "a"}}}), Principal("", "jwt", {"scope": "a"})),
        (http_api(authorizer={"jwt": {"scopes": ["a"]}}), Principal("", "jwt", {})),
        (http_api(authorizer={"iam": IAM}), Principal(IAM["userArn"], "iam", IAM)),
        (http_api(authorizer={"iam": CALLER}), Principal("AIDA", "iam", CALLER)),
        (http_api(authorizer={"iam": {"x": 1}}), Principal("", "iam", {"x": 1})),
        (http_api(authorizer={"lambda": CUSTOM}), Principal("p", "custom", CUSTOM)),
        (http_api(authorizer={"lambda": {"key": 1}}), Principal("", "custom", {"key": 1})),
        (http_api(authorizer={"lambda": {}}), Principal("", "custom", {})),
        (http_api(authorizer={"lambda": None}), None),
        (http_api(authentication={"clientCert": CERTIFICATE}), Principal("CN=client", "mtls", CERTIFICATE)),
        (http_api(authentication={"clientCert": {"x": 1}}), Principal("", "mtls", {"x": 1})),
        (http_api(authentication={"clientCert": None}), None),
        (http_api(authentication={}), None),
        (http_api(authorizer=None, authentication={"clientCert": CERTIFICATE}), Principal("CN=client", "mtls", CERTIFICATE)),
        (rest_api(authorizer={"claims": {"scope": "a"}}), Principal("", "jwt", {"scope": "a"})),
        (rest_api(authorizer={"claims": {}, "key": 1}), Principal("", "custom", {"claims": {}, "key": 1})),
        (rest_api(authorizer={"key": 1}), Principal("", "custom", {"key": 1})),
        (rest_api(authorizer={"principalId": 7}), Principal("7", "custom", {"principalId": 7})),
        (rest_api(authorizer=CUSTOM, identity=IAM), Principal("p", "custom", CUSTOM)),
        (rest_api(authorizer={}, identity={**IAM, "clientCert": CERTIFICATE}),
         Principal(IAM["userArn"], "iam", {**IAM, "clientCert": CERTIFICATE})),
        (rest_api(identity={"userArn": None, "clientCert": {"x": 1}}), Principal("", "mtls", {"x": 1})),
        (rest_api(identity={"sourceIp": "192.0.2.1"}), None),
    ],
)  # fmt: skip
def test_the_principal_is_the_first_that_the_gateway_verified(
    native: dict[str, Any], expected: Principal | None
) -> None:
    assert expected == decode.request(native, service_of(native)).principal


@pytest.mark.parametrize(
    ("native", "expected"),
    [
        ({**HTTP_API_BARE, "version": "1.0"}, None),
        ({**HTTP_API_BARE, "routeArn": "arn"}, None),
        ({**HTTP_API_BARE, "methodArn": "arn"}, "http_api"),
        ({**REST_API_BARE, "methodArn": "arn"}, None),
        ({**REST_API_BARE, "routeArn": "arn"}, None),
        ({**REST_API_BARE, "requestContext": {"connectionId": "c"}}, None),
        ({"httpMethod": "GET", "requestContext": {}}, None),
        ({"resource": "/", "requestContext": {}}, None),
        ({**LATTICE_1, "requestContext": None}, "lattice_v1"),
        ({**LATTICE_1, "requestContext": {}}, None),
        ({"raw_path": "/"}, None),
        ({"method": "GET"}, None),
        ([HTTP_API_BARE], None),
        ("requestContext", None),
        (None, None),
    ],
)
def test_what_is_no_request_is_of_no_service_of_requests(native: Any, expected: str | None) -> None:
    assert expected == decode.http_service(native)


@pytest.mark.parametrize(
    ("native", "words"),
    [
        ({}, "an object with no members"),
        ({"b": 1, "a": 2}, "an object with a, b:"),
        ({f"m{number:02}": 1 for number in range(21)}, "m18, m19:"),
        ([1], "the payload, a list"),
        (None, "the payload, a NoneType"),
    ],
)
def test_what_has_no_known_shape_is_shown_by_its_names(native: Any, words: str) -> None:
    assert decode.http_service(native) is None
    error = str(decode.unknown(native))
    assert words in error and "(API Gateway REST and HTTP API" in error


@pytest.mark.parametrize(
    ("service", "native", "words"),
    [
        ("http_api", {**HTTP_API_BARE, "rawPath": None}, "TypeError"),
        ("http_api", {"requestContext": {}, "rawPath": "/"}, "KeyError 'http'"),
        (
            "http_api",
            {**HTTP_API_BARE, "requestContext": {"http": {"method": 7}}},
            "the method, path and query must be strings",
        ),
        ("http_api", {**HTTP_API_BARE, "rawQueryString": ["x"]}, "the method, path and query must be strings"),
        ("http_api", {**HTTP_API_BARE, "pathParameters": ["x"]}, "the path parameters must be an object"),
        ("http_api", {**HTTP_API_BARE, "body": UNPADDED, "isBase64Encoded": True}, "Error"),
        ("rest_api", {**REST_API_BARE, "httpMethod": None}, "the method, path and query must be strings"),
        ("rest_api", {**REST_API_BARE, "headers": {"x-a": 7}}, "the value of 'x-a' is a int"),
        ("rest_api", {**REST_API_BARE, "multiValueQueryStringParameters": {"q": [{}]}}, "the value of 'q' is a dict"),
        ("alb", {"httpMethod": "GET"}, "KeyError 'path'"),
        ("lattice_v1", {**LATTICE_1, "body": BAD}, "Error"),
        ("lattice_v2", {**LATTICE_2, "path": 7}, "AttributeError"),
    ],
)
def test_a_request_that_cant_be_read_is_a_400_that_says_why(service: str, native: Any, words: str) -> None:
    with pytest.raises(HTTPError) as caught:
        decode.request(native, service)
    detail = str(caught.value.detail)
    assert 400 == caught.value.status
    assert detail.startswith(f"The {service} event can't be read: ") and words in detail


@pytest.mark.parametrize(
    ("epoch", "expected"),
    [
        ("9" * 19, (10**19 - 1) / 1000),
        ("9" * 20, NOW),
        ("-1", NOW),
        (10**400, NOW),
        (1500, 1.5),
        ("x", NOW),
        (None, NOW),
    ],
)
def test_a_time_of_more_digits_than_any_has_is_none(
    epoch: Any, expected: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.time", lambda: NOW)
    request = decode.request(rest_api(requestTimeEpoch=epoch), "rest_api")
    assert expected == request._time


SPAN, ROOT = "53995c3f42cd8ad8", "1-5759e988-bd862e3fe1be46a994272793"
TRACE = f"00-5759e988bd862e3fe1be46a994272793-{SPAN}"
SENT = f"00-0af7651916cd43dd8448eb211c80319c-{SPAN}-01"


@pytest.mark.parametrize(
    ("attributes", "environment", "expected"),
    [
        ({"x-amzn-trace-id": f"Root={ROOT};Parent={SPAN};Sampled=1"}, None, f"{TRACE}-01"),
        ({"x-amzn-trace-id": f"Self=x; Sampled=0; Parent={SPAN}; Root={ROOT}; Lineage=a=b"}, None, f"{TRACE}-00"),
        ({"x-amzn-trace-id": f"Root={ROOT};Parent={SPAN};Sampled=?"}, None, f"{TRACE}-00"),
        ({"x-amzn-trace-id": f"Root={ROOT};Parent={SPAN}"}, None, f"{TRACE}-00"),
        ({"x-amzn-trace-id": f"Root={ROOT};Sampled=1"}, None, "None"),
        ({"x-amzn-trace-id": f"Parent={SPAN};Sampled=1"}, None, "None"),
        ({"x-amzn-trace-id": f"Root=2{ROOT[1:]};Parent={SPAN}"}, None, "None"),
        ({"x-amzn-trace-id": f"Root={ROOT};Root;Parent={SPAN}"}, None, "None"),
        ({"x-amzn-trace-id": "Root"}, None, "None"),
        ({"x-amzn-trace-id": b"\xff"}, None, "None"),
        ({}, None, "None"),
        ({}, f"Root={ROOT};Parent={SPAN};Sampled=1", f"{TRACE}-01"),
        ({"x-amzn-trace-id": f"Root={ROOT};Parent={SPAN}"}, f"Root={ROOT};Parent={SPAN};Sampled=1", f"{TRACE}-00"),
        ({"traceparent": SENT, "x-amzn-trace-id": f"Root={ROOT};Parent={SPAN}"}, None, SENT),
        (None, f"Root={ROOT};Parent={SPAN};Sampled=1", f"{TRACE}-01"),
        (None, None, "None"),
    ],
)
def test_x_rays_trace_is_w3cs(
    attributes: Any, environment: str | None, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("_X_AMZN_TRACE_ID", raising=False)
    if environment is not None:
        monkeypatch.setenv("_X_AMZN_TRACE_ID", environment)
    ctx = decode.AWSContext(LambdaContext(), False)
    ctx.event = None if attributes is None else Message("m", "q", b"", attributes=attributes)
    assert expected == str(ctx.trace)


def test_x_rays_trace_of_a_message_of_sqs_and_of_what_sns_put_into_it_is_carried() -> None:
    header = f"Root={ROOT};Parent={SPAN};Sampled=1"
    for native in (SQS, SNS_IN_SQS):
        (event,) = arrival(records(native, attributes={**native["attributes"], "AWSTraceHeader": header})).items
        assert isinstance(event, Message)
        assert {**event.attributes, "x-amzn-trace-id": header} == event.carrier
    broken: Any
    for broken in ([], None, "x"):
        (event,) = arrival(records(SQS, attributes=broken)).items
        assert isinstance(event, Message) and event.attributes == event.carrier


def test_the_context_is_what_lambda_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-north-1")
    monkeypatch.setattr("time.time", lambda: NOW)
    native: Any = LambdaContext(30, "named")
    native.function_version = "7"
    ctx = decode.AWSContext(native, False)
    assert ("aws", REQUEST_ID, "named", "7", FUNCTION, "eu-north-1", False, native, NOW + 30, None) == (
        ctx.provider, ctx.invocation_id, ctx.function, ctx.version, ctx.arn, ctx.region, ctx.cold_start, ctx.native,
        ctx._deadline_seconds, ctx.trace,
    )  # fmt: skip
    monkeypatch.delenv("AWS_REGION")
    assert ("", True) == (
        decode.AWSContext(native, True).region,
        decode.AWSContext(native, True).cold_start,
    )


# --- answers -----------------------------------------------------------------------------------------------------------

COOKIE = Cookie("d", "2")
ANSWER = Response(
    201, [("X-A", "1"), ("x-a", "2"), ("set-cookie", "c=1"), ("content-type", "text/plain")], [COOKIE], b"caf\xc3\xa9"
)
BINARY = Response(200, [("x-a", "1")], (), b"\xff")
EMPTY = Response(204)

ANSWERS: list[tuple[Any, Response, dict[str, Any]]] = [
    (HTTP_API, ANSWER, {
        "statusCode": 201, "headers": {"x-a": "1, 2", "content-type": "text/plain"}, "cookies": ["c=1", str(COOKIE)],
        "body": "café", "isBase64Encoded": False,
    }),
    (HTTP_API, BINARY, {"statusCode": 200, "headers": {"x-a": "1"}, "body": "/w==", "isBase64Encoded": True}),
    (HTTP_API, Response(200, [("set-cookie", "c=1")]), {
        "statusCode": 200, "headers": {}, "cookies": ["c=1"], "body": "", "isBase64Encoded": False,
    }),
    (HTTP_API, EMPTY, {"statusCode": 204, "headers": {}, "body": "", "isBase64Encoded": False}),
    (REST_API, ANSWER, {
        "statusCode": 201, "multiValueHeaders": {"x-a": ["1", "2"], "set-cookie": ["c=1", str(COOKIE)], "content-type": ["text/plain"]},
        "body": "café", "isBase64Encoded": False,
    }),
    (REST_API, BINARY, {"statusCode": 200, "multiValueHeaders": {"x-a": ["1"]}, "body": "/w==", "isBase64Encoded": True}),
    ({**ALB_MULTI, "multiValueHeaders": {}}, EMPTY, {
        "statusCode": 204, "multiValueHeaders": {}, "body": "", "isBase64Encoded": False,
    }),
    (ALB, ANSWER, {
        "statusCode": 201, "headers": {"x-a": "1", "X-a": "2", "set-cookie": "c=1", "content-type": "text/plain", "Set-cookie": str(COOKIE)},
        "body": "café", "isBase64Encoded": False,
    }),
    (ALB, BINARY, {"statusCode": 200, "headers": {"x-a": "1"}, "body": "/w==", "isBase64Encoded": True}),
    (LATTICE_1, EMPTY, {"statusCode": 204, "headers": {}, "body": "", "isBase64Encoded": False}),
    (LATTICE_2, EMPTY, {"statusCode": 204, "headers": {}, "body": "", "isBase64Encoded": False}),
    (ALB, Response(200, [("a1", str(number)) for number in range(4)]), {
        "statusCode": 200, "headers": {"a1": "0, 2, 3", "A1": "1"}, "body": "", "isBase64Encoded": False,
    }),
    (ALB, Response(200, [("abc", str(number)) for number in range(8)]), {
        "statusCode": 200, "body": "", "isBase64Encoded": False,
        "headers": {"abc": "0", "Abc": "1", "aBc": "2", "ABc": "3", "abC": "4", "AbC": "5", "aBC": "6", "ABC": "7"},
    }),
]  # fmt: skip


@pytest.mark.parametrize(("native", "response", "expected"), ANSWERS)
def test_a_response_is_answered_as_the_service_takes_it(
    native: Any, response: Response, expected: dict[str, Any]
) -> None:
    before = list(response.headers.multi_items())
    assert expected == encode.answer(service_of(native), native)(response)
    assert before == list(response.headers.multi_items())


@pytest.mark.parametrize(
    ("headers", "body", "expected"),
    [
        ({"content-type": "application/json"}, b"{}", ("{}", False)),
        ({"content-type": "Application/Problem+JSON ; charset=utf-8"}, b"{}", ("{}", False)),
        ({"content-type": "application/atom+xml; q=1"}, b"<a/>", ("<a/>", False)),
        ({"content-type": "application/javascript;x"}, b"1", ("1", False)),
        ({"content-type": "application/yaml"}, b"a: 1", ("a: 1", False)),
        ({"content-type": "TEXT/css"}, b"a", ("a", False)),
        ({"content-type": "text/plain"}, b"\xff", ("/w==", True)),
        ({"content-type": "text/plain", "content-encoding": "gzip"}, b"a", ("YQ==", True)),
        ({"content-type": "image/png"}, b"a", ("YQ==", True)),
        ({}, b"a", ("YQ==", True)),
        ({"content-type": "text/plain"}, iter([b"a"]), ("", False)),
    ],
)
def test_a_body_goes_out_as_text_or_as_base64(headers: dict[str, str], body: Any, expected: tuple[str, bool]) -> None:
    for native in (HTTP_API, REST_API, ALB):
        answer: Any = encode.answer(service_of(native), native)(Response(200, headers, (), body))
        assert expected == (answer["body"], answer["isBase64Encoded"])


class Broken(Exception):
    pass


class Stop(BaseException):
    pass


def failed(error: BaseException | None = None) -> Retry:
    retry = Retry("again")
    retry.error = error
    return retry


OK, FAILED, WHY = Done(), failed(Broken("why")), Broken("why")
SQS_3 = {"Records": [SQS, SQS_BARE, {**SQS, "messageId": "m-3"}]}
KINESIS_2, DYNAMODB_2 = {"Records": [KINESIS, KINESIS_BARE]}, {"Records": [DYNAMODB, DYNAMODB_BARE]}
KAFKA_4 = {
    "eventSource": "aws:kafka", "eventSourceArn": CLUSTER,
    "records": {"logs-2": [KAFKA, {**KAFKA, "offset": 16}], "logs-3": [KAFKA_BARE, KAFKA_KEYLESS]},
}  # fmt: skip
WINDOWED = {"window": WINDOW, "state": {"n": Decimal(1)}, **KINESIS_2}


def report(*names: Any) -> dict[str, Any]:
    return {"batchItemFailures": [{"itemIdentifier": name} for name in names]}


SETTLED: list[tuple[Any, list[Outcome], Any]] = [
    (SQS_3, [OK, OK, OK], report()),
    (SQS_3, [Done("a result"), OK, OK], report()),
    (SQS_3, [FAILED, OK, Retry()], report("m-1", "m-3")),
    (KINESIS_2, [OK, FAILED], report("4955")),
    ([KINESIS_PIPED, KINESIS_PIPED], [FAILED, OK], report("4954")),
    ({"Records": [KINESIS, KINESIS_BARE, KINESIS]}, [OK, FAILED, FAILED], report("4955")),
    (DYNAMODB_2, [OK, FAILED], report("112")),
    ({"Records": [DYNAMODB, DYNAMODB_BARE, DYNAMODB]}, [OK, FAILED, FAILED], report("112")),
    (KAFKA_4, [OK, OK, OK, OK], report()),
    (KAFKA_4, [OK, FAILED, OK, FAILED], report({"partition": "logs-2", "offset": 16}, {"partition": "logs-3", "offset": 1})),
    (KAFKA_4, [FAILED, FAILED, FAILED, OK], report({"partition": "logs-2", "offset": 15}, {"partition": "logs-3", "offset": 0})),
    (WINDOWED, [OK, OK], {**report(), "state": {"n": "1"}}),
    (WINDOWED, [OK, FAILED], {**report("4955"), "state": {"n": "1"}}),
    ({"Records": [SNS]}, [OK], None),
    ({"Records": [SNS, SNS]}, [Done(1), Done(2)], None),
    ({"Records": [S3]}, [Done(1)], None),
    ({"Records": [SES]}, [Done({"disposition": "STOP_RULE"})], {"disposition": "STOP_RULE"}),
    ({"Records": [SES]}, [OK], None),
    ({"Records": [SES, SES]}, [Done(1), Done(2)], None),
    (MQ["activemq"][0], [Done(1), OK], None),
    (EVENTS["docdb"][0], [OK, OK, OK], None),
    (BUS, [Done(1)], None),
    ([SQS, SQS_BARE], [Done({"n": Decimal(1)}), OK], [{"n": "1"}, None]),
    ([SQS, SQS_BARE], [OK, OK], report()),
    ([SQS, SQS_BARE], [OK, FAILED], report("m-2")),
    (INPUT, [Done({"a": TIME})], {"a": "2023-11-14T22:13:20.123000+00:00"}),
    (INPUT, [Done(True)], True),
    (INPUT, [Done("text")], "text"),
    (INPUT, [OK], None),
]  # fmt: skip


@pytest.mark.parametrize(("native", "outcomes", "expected"), SETTLED)
def test_what_became_of_events_is_answered_as_the_source_takes_it(
    native: Any, outcomes: list[Outcome], expected: Any
) -> None:
    found = arrival(native)
    assert expected == encode_events.acknowledge(found, outcomes, reports=True)
    if all(outcome == OK for outcome in outcomes):
        assert expected == encode_events.acknowledge_all(found)


UNNAMED = [{**SQS, "messageId": 7}, SQS_BARE]
RAISED: list[tuple[Any, list[Outcome], bool]] = [
    (SQS_3, [FAILED, failed(Broken("other")), failed(Broken("third"))], True),
    (SQS_3, [OK, FAILED, OK], False),
    ({"Records": UNNAMED}, [FAILED, OK], True),
    ({"Records": [{**SQS, "messageId": ""}, SQS]}, [FAILED, OK], True),
    ({"Records": [{"eventSource": "aws:sqs"}, SQS]}, [FAILED, OK], True),
    ({"Records": [SQS, 7]}, [OK, FAILED], True),
    ({"Records": [{**KINESIS, "kinesis": 7}, KINESIS]}, [FAILED, OK], True),
    ({"Records": [{**DYNAMODB, "dynamodb": None}, DYNAMODB]}, [FAILED, OK], True),
    ({**KAFKA_4, "records": {"a": [{**KAFKA, "offset": "one"}, KAFKA]}}, [FAILED, OK], True),
    ({"Records": [SNS, SNS]}, [OK, FAILED], True),
    (MQ["activemq"][0], [OK, FAILED], True),
    ([SQS, SQS_BARE], [Done(1), FAILED], True),
    ({"Records": [SES]}, [FAILED], True),
    (INPUT, [FAILED], True),
]  # fmt: skip


@pytest.mark.parametrize(("native", "outcomes", "reports"), RAISED)
def test_where_less_than_all_cant_be_told_what_the_first_handler_raised_is_raised(
    native: Any, outcomes: list[Outcome], reports: bool
) -> None:
    with pytest.raises(Broken, match="why"):
        encode_events.acknowledge(arrival(native), outcomes, reports=reports)


def test_a_failure_is_known_by_the_handlers_own_error_and_else_by_the_outcome() -> None:
    retry, reject, stop = Retry("later"), Reject("never"), Stop("now", 2)
    outcomes: list[Outcome] = [failed(WHY), retry, reject]
    assert [WHY, retry, reject] == [encode_events.handler_error(outcome) for outcome in outcomes]
    told = encode_events.handler_error(failed(stop))
    assert ("Stop", ("now", 2), stop, True) == (
        type(told).__name__, told.args, told.__cause__, isinstance(told, Exception),
    )  # fmt: skip
    with pytest.raises(Reject, match="never"):
        encode_events.acknowledge(arrival(INPUT), [reject], reports=True)


@pytest.mark.parametrize("value", [{1: {2}, "a": object()}, float("nan"), [float("inf")]])
def test_a_result_without_a_form_in_json_is_an_error_that_names_its_type(value: Any) -> None:
    with pytest.raises(EncodeError, match=f"returned a {type(value).__name__} that can't be written as JSON"):
        encode_events.plain_json(value)


FIREHOSE = {"invocationId": "i", "records": [{"recordId": "1", "data": ""}, {"recordId": "2", "data": ""}]}
FINE, DROPPED = {"recordId": "1", "result": "Ok", "data": "YQ=="}, {"recordId": "2", "result": "Dropped"}


@pytest.mark.parametrize(
    ("records", "words"),
    [
        ([FINE, DROPPED], None),
        ([DROPPED, FINE], None),
        ([FINE, {"recordId": "2", "result": "ProcessingFailed"}], None),
        ("text", "the answer to Firehose needs {'records': [{'recordId'"),
        ([FINE, 7], "the answer to Firehose needs {'records': [{'recordId'"),
        ([FINE], "each recordId once: it sent 2, the answer has 1"),
        ([FINE, DROPPED, DROPPED], "each recordId once: it sent 2, the answer has 3"),
        ([FINE, FINE], "each recordId once"),
        ([FINE, {**DROPPED, "recordId": "3"}], "each recordId once"),
        ([FINE, {**DROPPED, "result": "dropped"}], "Ok, Dropped or ProcessingFailed, not 'dropped'"),
        ([{**FINE, "data": None}, DROPPED], "with the result Ok needs its data as base64"),
    ],
)
def test_firehose_is_answered_for_each_record_or_it_is_an_error(records: Any, words: str | None) -> None:
    outcomes = [Done({"records": records})]
    if words is None:
        assert {"records": records} == encode_events.acknowledge(arrival(FIREHOSE), outcomes, reports=True)
        return
    with pytest.raises(EncodeError) as caught:
        encode_events.acknowledge(arrival(FIREHOSE), outcomes, reports=True)
    assert words in str(caught.value)


def test_firehose_may_be_answered_with_nothing_or_be_told_that_the_answer_is_none() -> None:
    assert None is encode_events.acknowledge(arrival(FIREHOSE), [OK], reports=True)
    for result in ("text", ["records"]):
        with pytest.raises(EncodeError, match="the answer to Firehose needs"):
            encode_events.acknowledge(arrival(FIREHOSE), [Done(result)], reports=True)
    with pytest.raises(EncodeError, match="it sent 0, the answer has 2"):
        encode_events.acknowledge(
            arrival({**FIREHOSE, "records": 7}), [Done({"records": [FINE, DROPPED]})], reports=True
        )
