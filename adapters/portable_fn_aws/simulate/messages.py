"""Render messages as SQS, SNS, Kinesis, Kafka, Amazon MQ, CloudWatch Logs and SES send them."""

from __future__ import annotations

import gzip
import json
from base64 import b64encode
from collections.abc import Iterator
from typing import Any

from portable_fn.data import to_json
from portable_fn.events import Message
from portable_fn_aws.formats import ACCOUNT, REGION, arn, body_text, iso, milliseconds, notification

CLUSTER = f"arn:aws:kafka:{REGION}:{ACCOUNT}:cluster/events/0123-4"
BROKER = f"arn:aws:mq:{REGION}:{ACCOUNT}:broker:broker:b-0123"


def sqs_record(event: Message[Any], *, is_fifo: bool = False) -> dict[str, Any]:
    """Render a record of SQS."""
    body = body_text(event, "sqs")
    attributes: dict[str, str] = {
        "ApproximateReceiveCount": str(event.attempt or 1),
        "SenderId": "AIDAEXAMPLE",
        "ApproximateFirstReceiveTimestamp": str(milliseconds(event.time) or 0),
    }
    if event.time is not None:
        attributes["SentTimestamp"] = str(milliseconds(event.time))
    queue = arn("sqs", event, event.channel)
    if is_fifo:
        queue = queue if queue.endswith(".fifo") else f"{queue}.fifo"
        attributes["MessageGroupId"] = event.key or "group"
        attributes["MessageDeduplicationId"] = event.id
        attributes["SequenceNumber"] = event.sequence or "18849496460467696128"
    sent: dict[str, Any] = {}
    for name, value in event.attributes.items():
        if value is None:
            raise ValueError(f"the attribute {name} is None: SQS needs a value")
        if isinstance(value, bytes):
            sent[name] = {"binaryValue": b64encode(value).decode(), "dataType": "Binary"}
        else:
            sent[name] = {"stringValue": value, "dataType": "String"}
    if event.content_type:
        sent["content-type"] = {"stringValue": event.content_type, "dataType": "String"}
    for value in sent.values():
        value.update(stringListValues=[], binaryListValues=[])
    return {
        "messageId": event.id,
        "receiptHandle": f"receipt of {event.id}",
        "body": body,
        "attributes": attributes,
        "messageAttributes": sent,
        "md5OfBody": "",
        "eventSource": "aws:sqs",
        "eventSourceARN": queue,
        "awsRegion": REGION,
    }


def sqs(events: list[Any]) -> dict[str, Any]:
    """Render a payload of SQS."""
    return {"Records": [sqs_record(event) for event in events]}


def sqs_fifo(events: list[Any]) -> dict[str, Any]:
    """Render a payload of a FIFO queue."""
    return {"Records": [sqs_record(event, is_fifo=True) for event in events]}


def sns(events: list[Any]) -> dict[str, Any]:
    """Render a payload of SNS."""
    return {
        "Records": [
            {
                "EventSource": "aws:sns",
                "EventVersion": "1.0",
                "EventSubscriptionArn": f"{arn('sns', event, event.channel)}:0123",
                "Sns": {"Type": "Notification", "Subject": None, **notification(event)},
            }
            for event in events
        ]
    }


def _kinesis_record(event: Message[Any], number: int) -> dict[str, Any]:
    sequence = event.sequence or str(49590338271490256608559692538361571095921575989136588898 + number)
    content: dict[str, Any] = {
        "kinesisSchemaVersion": "1.0",
        "partitionKey": event.key or "key",
        "sequenceNumber": sequence,
        "data": b64encode(event.body).decode(),
    }
    if event.time is not None:
        content["approximateArrivalTimestamp"] = (milliseconds(event.time) or 0) / 1000
    return {
        "kinesis": content,
        "eventSource": "aws:kinesis",
        "eventVersion": "1.0",
        "eventID": event.id,
        "eventName": "aws:kinesis:record",
        "invokeIdentityArn": f"arn:aws:iam::{ACCOUNT}:role/role",
        "awsRegion": REGION,
        "eventSourceARN": arn("kinesis", event, f"stream/{event.channel}"),
    }


def kinesis(events: list[Any]) -> dict[str, Any]:
    """Render a payload of Kinesis."""
    return {"Records": [_kinesis_record(event, number) for number, event in enumerate(events)]}


def _whole(name: str, value: str) -> int:
    try:
        return int(value)
    except ValueError as exc:
        raise ValueError(f"the {name} of a Kafka message is a whole number, not {value!r}") from exc


def _kafka_record(event: Message[Any], number: int) -> dict[str, Any]:
    headers = []
    for name, value in event.attributes.items():
        headers.append({name: None if value is None else _signed(value)})
    return {
        "topic": event.channel,
        "partition": _whole("partition", event.partition or "0"),
        "offset": _whole("sequence", event.sequence) if event.sequence else number,
        "timestamp": milliseconds(event.time),
        "timestampType": "CREATE_TIME",
        "key": None if event.key is None else b64encode(event.key.encode()).decode(),
        "value": b64encode(event.body).decode(),
        "headers": headers,
    }


def _signed(value: str | bytes) -> list[int]:
    """Return the bytes as Java numbers them, from -128 to 127."""
    return [octet - 256 if octet > 127 else octet for octet in (value.encode() if isinstance(value, str) else value)]


def kafka(events: list[Any]) -> dict[str, Any]:
    """Render the records of an MSK cluster."""
    source = {"eventSource": "aws:kafka", "eventSourceArn": CLUSTER}
    return {**source, **_kafka_records(events)}


def self_managed_kafka(events: list[Any]) -> dict[str, Any]:
    """Render the records of a self-managed Kafka cluster."""
    return {"eventSource": "SelfManagedKafka", **_kafka_records(events)}


def _kafka_records(events: list[Any]) -> dict[str, Any]:
    records: dict[str, list[Any]] = {}
    for number, event in enumerate(events):
        record = _kafka_record(event, number)
        records.setdefault(f"{record['topic']}-{record['partition']}", []).append(record)
    return {"bootstrapServers": "b-1.events:9092,b-2.events:9092", "records": records}


def _activemq_record(event: Message[Any]) -> dict[str, Any]:
    return {
        "messageID": event.id,
        "messageType": "jms/bytes-message",
        "timestamp": milliseconds(event.time),
        "deliveryMode": 1,
        "correlationID": "",
        "replyTo": "null",
        "destination": {"physicalName": event.channel},
        "redelivered": event.attempt != 1,
        "type": "",
        "expiration": 0,
        "priority": 0,
        "data": b64encode(event.body).decode(),
        "properties": dict(_texts(event, "ActiveMQ")),
    }


def _texts(event: Message[Any], service: str) -> Iterator[tuple[str, str]]:
    for name, value in event.attributes.items():
        if not isinstance(value, str):
            kind = "None" if value is None else "bytes"
            raise ValueError(f"the attribute {name} is {kind}: {service} carries only text")
        yield name, value


def activemq(events: list[Any]) -> dict[str, Any]:
    """Render a payload of an ActiveMQ broker."""
    return {
        "eventSource": "aws:mq",
        "eventSourceArn": BROKER,
        "messages": [_activemq_record(event) for event in events],
    }


def _rabbitmq_record(event: Message[Any]) -> dict[str, Any]:
    headers = {name: None if value is None else {"bytes": _signed(value)} for name, value in event.attributes.items()}
    time = event.time
    written = None
    if time is not None:
        hour = time.hour % 12 or 12
        written = f"{time:%b} {time.day}, {time.year}, {hour}:{time:%M:%S} {'AM' if time.hour < 12 else 'PM'}"
    return {
        "basicProperties": {
            "contentType": event.content_type or None,
            "contentEncoding": None,
            "headers": headers,
            "deliveryMode": 1,
            "correlationId": None,
            "messageId": event.id,
            "timestamp": written,
            "bodySize": len(event.body),
        },
        "redelivered": event.attempt != 1,
        "data": b64encode(event.body).decode(),
    }


def rabbitmq(events: list[Any]) -> dict[str, Any]:
    """Render a payload of a RabbitMQ broker."""
    queues: dict[str, list[Any]] = {}
    for event in events:
        queues.setdefault(f"{event.channel}::/", []).append(_rabbitmq_record(event))
    return {"eventSource": "aws:rmq", "eventSourceArn": BROKER, "rmqMessagesByQueue": queues}


def logs(events: list[Any]) -> dict[str, Any]:
    """Render a batch of CloudWatch Logs: the body if it is one, otherwise one log event with the body as its message."""
    (event,) = events
    text = body_text(event, "logs")
    try:
        batch = json.loads(text)
    except ValueError:
        batch = None
    if not isinstance(batch, dict) or "logEvents" not in batch:
        log_event = {"id": event.id, "timestamp": milliseconds(event.time) or 0, "message": text}
        text = to_json(
            {
                "messageType": "DATA_MESSAGE",
                "owner": ACCOUNT,
                "logGroup": event.channel,
                "logStream": event.partition or "stream",
                "subscriptionFilters": ["all"],
                "logEvents": [log_event],
            }
        )
    return {"awslogs": {"data": b64encode(gzip.compress(text.encode())).decode()}}


def ses(events: list[Any]) -> dict[str, Any]:
    """Render a payload of SES."""
    (event,) = events
    headers = [{"name": name, "value": value} for name, value in _texts(event, "SES")]
    mail = {
        "messageId": event.id,
        "timestamp": iso(event.time),
        "source": "sender@example.com",
        "destination": [event.channel],
        "headersTruncated": False,
        "headers": headers,
        "commonHeaders": {"subject": event.subject} if event.subject else {},
    }
    receipt = {"recipients": [event.channel], "action": {"type": "Lambda", "invocationType": "Event"}}
    return {"Records": [{"eventSource": "aws:ses", "eventVersion": "1.0", "ses": {"mail": mail, "receipt": receipt}}]}


def pipes_sqs(events: list[Any]) -> list[Any]:
    """Render the records of SQS from a pipe."""
    return [sqs_record(event) for event in events]


def pipes_kinesis(events: list[Any]) -> list[Any]:
    """Render the records of Kinesis from a pipe."""
    records = [_kinesis_record(event, number) for number, event in enumerate(events)]
    return [{**record.pop("kinesis"), **record} for record in records]


def pipes_kafka(events: list[Any]) -> list[Any]:
    """Render the records of Kafka from a pipe."""
    records = [_kafka_record(event, number) for number, event in enumerate(events)]
    source = {"eventSource": "aws:kafka", "eventSourceArn": CLUSTER, "bootstrapServers": "b-1.events:9092"}
    return [{**source, "eventSourceKey": f"{record['topic']}-{record['partition']}", **record} for record in records]


def pipes_activemq(events: list[Any]) -> list[Any]:
    """Render the messages of an ActiveMQ broker from a pipe."""
    source = {"eventSource": "aws:amq", "eventSourceArn": BROKER}
    return [{**source, **_activemq_record(event)} for event in events]


def pipes_rabbitmq(events: list[Any]) -> list[Any]:
    """Render the messages of a RabbitMQ broker from a pipe."""
    source = {"eventSource": "aws:rmq", "eventSourceArn": BROKER}
    return [{**source, "eventSourceKey": f"{event.channel}::/", **_rabbitmq_record(event)} for event in events]
