"""Errors for malformed payloads name the field."""

from __future__ import annotations

import json
from typing import Any

import pytest

from portable_fn import (
    DecodeError,
    Event,
    Message,
)
from portable_fn_aws.events import decode as decode_events
from tests.aws.samples import (
    ACTIVEMQ,
    BAD,
    BUS,
    BUS_S3,
    DETAIL,
    DOCDB,
    DYNAMODB,
    FIFO,
    KAFKA,
    KINESIS,
    LOG,
    LOGS,
    MAIL,
    RABBITMQ,
    S3,
    SCHEDULED,
    SES,
    SNS,
    SQS,
    TABLE_CHANGE,
    UNPADDED,
    WINDOW,
    b64,
    bus,
    incoming,
    logs,
    message,
    records,
)


def inside(record: dict[str, Any], name: str, **fields: Any) -> dict[str, Any]:
    """Return a payload with a record whose member of that name has other fields; a field that is `...` is left out."""
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
def test_the_error_names_the_malformed_field(native: Any, words: str) -> None:
    said = []
    try:
        for item in incoming(native).items:
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
def test_the_error_names_the_malformed_field_of_an_inner_event(event: Event[Any], words: str) -> None:
    with pytest.raises(DecodeError) as caught:
        decode_events.unwrap(event)
    assert words in str(caught.value)


def test_a_batch_of_logs_at_the_limit_is_read_and_one_byte_more_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    size = len(json.dumps(LOGS))
    monkeypatch.setattr("portable_fn_aws.events.logs.MAX_LOGS", size)
    (passes,) = incoming(logs(LOGS)).items
    assert isinstance(passes, Message)
    monkeypatch.setattr("portable_fn_aws.events.logs.MAX_LOGS", size - 1)
    (refused,) = incoming(logs(LOGS)).items
    assert f"over {size - 1} bytes" in str(refused)
