"""Payloads of AWS's services, with the events and fields to expect."""

from __future__ import annotations

import base64
import gzip
import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from portable_fn import (
    ChangeEvent,
    CloudEvent,
    Event,
    Message,
    ObjectEvent,
    Task,
)
from portable_fn_aws import decode
from portable_fn_aws.events import decode as decode_events
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


def incoming(native: Any) -> IncomingEvents:
    return decode_events.read_events(native, context())


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def all_fields(event: Any) -> dict[str, Any]:
    """Return all fields of an event, so that a failed comparison shows the difference."""
    names = (*event._fields, "type", "subject", "native", "envelopes", "carrier", "data")
    return {
        "class": next(cls.__name__ for cls in type(event).__mro__ if cls.__module__ == "portable_fn.events"),
        **{name: [all_fields(envelope) for envelope in event.envelopes] if name == "envelopes" else getattr(event, name) for name in names},
    }  # fmt: skip


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


WINDOW = {"start": "2023-11-14T22:13:20Z", "end": "2023-11-14T22:15:20+00:00"}


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


SQS_3 = {"Records": [SQS, SQS_BARE, {**SQS, "messageId": "m-3"}]}
KINESIS_2, DYNAMODB_2 = {"Records": [KINESIS, KINESIS_BARE]}, {"Records": [DYNAMODB, DYNAMODB_BARE]}
KAFKA_4 = {
    "eventSource": "aws:kafka", "eventSourceArn": CLUSTER,
    "records": {"logs-2": [KAFKA, {**KAFKA, "offset": 16}], "logs-3": [KAFKA_BARE, KAFKA_KEYLESS]},
}  # fmt: skip
WINDOWED = {"window": WINDOW, "state": {"n": Decimal(1)}, **KINESIS_2}


def report(*names: Any) -> dict[str, Any]:
    return {"batchItemFailures": [{"itemIdentifier": name} for name in names]}


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


def message(body: object) -> Message[Any]:
    return Message("m", "q", body if isinstance(body, bytes) else json.dumps(body).encode())


def bus(native: dict[str, Any]) -> Event[Any]:
    (event,) = incoming(native).items
    assert isinstance(event, Event)
    return event


def records(record: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """Return a payload with a record that has other fields; a field that is `...` is left out."""
    return {"Records": [{name: value for name, value in {**record, **fields}.items() if value is not ...}]}


UNPADDED, BAD = "YQ=", "Y\nQ=="
