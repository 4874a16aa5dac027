"""AWS's half of the wire for all that is no request: events as each source hands them over, and what it makes of the answer."""

from __future__ import annotations

import gzip
import json
from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import quote_plus

from portable_fn.adapter.cloudevents import write_structured, write_time
from portable_fn.adapter.dead_letter import ID, REASON
from portable_fn.data import to_json
from portable_fn.events import ChangeEvent, CloudEvent, Event, Message, ObjectEvent, ScheduleEvent, Task
from portable_fn.on import Trigger
from portable_fn.testing.results import Delivery, EventResult, Raised, reject_reason
from portable_fn.testing.services import carried_by
from portable_fn_aws.drivers import api
from portable_fn_aws.events import objects

EVENT_SERVICES: dict[str, tuple[str, ...]] = {
    "Message": (
        "sqs", "sqs_fifo", "sns", "sns_sqs", "sns_sqs_fifo", "sns_sqs_raw", "kinesis", "kafka", "self_managed_kafka", "activemq",
        "rabbitmq", "logs", "ses", "pipes_sqs", "pipes_kinesis", "pipes_kafka", "pipes_activemq", "pipes_rabbitmq",
    ),
    "ObjectEvent": (
        "s3", "s3_sqs", "s3_sns", "s3_sns_sqs", "s3_sns_sqs_raw", "s3_eventbridge", "s3_eventbridge_sqs", "s3_eventbridge_sns_sqs",
    ),
    "ChangeEvent": ("dynamodb", "docdb", "dynamodb_kinesis", "pipes_dynamodb"),
    "ScheduleEvent": ("scheduler", "scheduled_rule", "scheduler_input", "scheduler_sqs"),
    "CloudEvent": ("eventbridge", "eventbridge_sqs", "eventbridge_sns", "cloudevent_sqs", "cloudevent_sns", "cloudevent_kinesis"),
    "Task": ("invoke",),
}  # fmt: skip

REGION, ACCOUNT = "eu-central-1", "123456789012"
_CLUSTER = f"arn:aws:kafka:{REGION}:{ACCOUNT}:cluster/events/0123-4"
# The service that a trigger's word means first.
_FIRST = {"topic": "sns", "stream": "kinesis"}
# The service by which what comes inside of messages comes first.
_CARRIED: dict[type[Event[Any]], str] = {
    Message: "sns_sqs",
    ObjectEvent: "s3_sqs",
    ChangeEvent: "dynamodb_kinesis",
    ScheduleEvent: "scheduler_sqs",
    CloudEvent: "eventbridge_sqs",
}
_BROKER = f"arn:aws:mq:{REGION}:{ACCOUNT}:broker:broker:b-0123"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def default_service(trigger: Trigger, event: Event[Any]) -> str | None:
    """The service by which such an event reaches a function with the trigger; None if the trigger makes no difference."""
    if trigger.via:
        return next((service for kind, service in _CARRIED.items() if isinstance(event, kind)), None)
    return _FIRST.get(trigger.word) if isinstance(event, Message) else None


def payloads(events: Sequence[Event[Any]], service: str) -> list[Any]:
    """What AWS hands over, one payload an invocation; ValueError for what the service can't carry."""
    make = _PAYLOADS[_outermost(service)]
    made = []
    for indices in _together(events, service):
        of_one = [_wrapped(events[index], service, index) for index in indices]
        made.append(make([event for event, _ in of_one], [record for _, record in of_one], service))
    if service == "invoke":
        names = [event.name if isinstance(event, Task) else "" for event in events]
        _called.set(list(zip(made, names, strict=True)))
    return made


# The inputs of tasks that were made last, with the function that each is for: the input doesn't tell it.
_called: ContextVar[list[tuple[Any, str]]] = ContextVar("_called")


def function_name(native: Any) -> str:
    """The name of the function that is invoked with a payload."""
    return next((name for sent, name in _called.get([]) if sent is native and name), "function")


def _outermost(service: str) -> str:
    """What invokes the function, of a service that names what is inside first."""
    if service.startswith("pipes_"):
        return service
    if service.endswith(("_sqs", "_sqs_raw")):
        return "sqs"
    if service == "sns_sqs_fifo":
        return "sqs_fifo"
    for outer in ("_sns", "_kinesis", "_eventbridge"):
        if service.endswith(outer):
            return outer[1:]
    return service


def _together(events: Sequence[Event[Any]], service: str) -> list[list[int]]:
    """The indices of the events that come in one invocation: a queue's all, a stream's of one shard, the others' alone."""
    outer = _outermost(service).removeprefix("pipes_")
    if outer in ("kinesis", "dynamodb"):
        shards: dict[Any, list[int]] = {}
        for index, event in enumerate(events):
            shards.setdefault(getattr(event, "partition", None), []).append(index)
        return list(shards.values())
    if outer in ("sqs", "sqs_fifo", "kafka", "self_managed_kafka", "activemq", "rabbitmq", "docdb"):
        return [list(range(len(events)))]
    return [[index] for index in range(len(events))]


def _wrapped(event: Event[Any], service: str, index: int) -> tuple[Event[Any], Any]:
    """The event that the outermost service carries, and what the inner ones have made of the event where it is not itself."""
    inner = service.removesuffix("_raw")
    if isinstance(event, Message):
        if inner in ("sns_sqs", "sns_sqs_fifo") and not service.endswith("_raw"):
            envelope = {"Type": "Notification", **_notification(event)}
            # A FIFO queue takes what a FIFO topic publishes.
            if inner == "sns_sqs_fifo" and not envelope["TopicArn"].endswith(".fifo"):
                envelope["TopicArn"] += ".fifo"
            return _carrier(event, to_json(envelope), index), envelope
        return event, None
    text: str | None = None
    if isinstance(event, ObjectEvent):
        if inner in ("s3_sqs", "s3_sns", "s3_sns_sqs"):
            text = to_json({"Records": [s3(event)]})
        elif inner.startswith("s3_eventbridge_"):
            text = to_json(s3_eventbridge(event))
    elif isinstance(event, CloudEvent):
        if inner.startswith("cloudevent_"):
            text = to_json(write_structured(event))
        elif inner != "eventbridge":
            text = to_json(eventbridge(event))
    elif isinstance(event, ScheduleEvent) and inner == "scheduler_sqs":
        if event.input is not None:
            raise ValueError("a schedule with an input sends a queue nothing else, which is a message and no schedule")
        text = to_json(scheduler(event))
    elif isinstance(event, ChangeEvent) and inner == "dynamodb_kinesis":
        text = to_json(_kinesis_change(event))
    if text is None:
        return event, None
    if "_sns_sqs" in inner and not service.endswith("_raw"):
        published = _carrier(event, text, index, "published")
        text = to_json({"Type": "Notification", **_notification(published)})
    return _carrier(event, text, index), None


def _carrier(event: Event[Any], text: str, index: int, word: str = "carrier") -> Message[Any]:
    """The message that has the text of an event as its body; its id is its own."""
    is_message = isinstance(event, Message)
    channel = carried_by(event, "events") if word == "carrier" else "events"
    partition = getattr(event, "partition", None)
    return Message(
        f"{word}-{index + 1}-{event.id}"[:100],
        channel,
        text.encode(),
        channel=channel,
        time=event.time,
        attempt=event.attempt if is_message else 1,  # type: ignore[attr-defined]  # a Message has it
        key=event.key if is_message else "key",  # type: ignore[attr-defined]  # a Message has it
        partition=partition if isinstance(partition, str) else None,
    )


def _arn(service: str, event: Event[Any], name: str) -> str:
    return event.source if event.source.startswith("arn:") else f"arn:aws:{service}:{REGION}:{ACCOUNT}:{name}"


def _milliseconds(time: datetime | None) -> int | None:
    return None if time is None else (time - _EPOCH) // (_second / 1000)


_second = datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC) - _EPOCH


def _iso(time: datetime | None) -> str:
    """A time to the millisecond, as SNS and S3 have it."""
    time = time or _EPOCH
    return f"{time.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.{time.microsecond // 1000:03}Z"


def _sent_text(event: Message[Any], service: str) -> str:
    """The body where a service takes text alone."""
    try:
        text = event.body.decode()
    except UnicodeDecodeError as exc:
        raise ValueError(f"{service} carries text, and the body is not UTF-8") from exc
    # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html
    if service.startswith("sqs") and any(char < " " and char not in "\t\n\r" for char in text + "\ufffe"[:0]):
        raise ValueError("SQS takes no control characters")
    return text


def _sqs_payload(events: list[Any], made: list[Any], service: str) -> dict[str, Any]:
    return {"Records": [sqs_record(event) for event in events]}


def _sqs_fifo_payload(events: list[Any], made: list[Any], service: str) -> dict[str, Any]:
    return {"Records": [sqs_record(event, is_fifo=True) for event in events]}


def sqs_record(event: Message[Any], *, is_fifo: bool = False) -> dict[str, Any]:
    """A message as SQS has it."""
    body = _sent_text(event, "sqs")
    attributes: dict[str, str] = {
        "ApproximateReceiveCount": str(event.attempt or 1),
        "SenderId": "AIDAEXAMPLE",
        "ApproximateFirstReceiveTimestamp": str(_milliseconds(event.time) or 0),
    }
    if event.time is not None:
        attributes["SentTimestamp"] = str(_milliseconds(event.time))
    arn = _arn("sqs", event, event.channel)
    if is_fifo:
        arn = arn if arn.endswith(".fifo") else f"{arn}.fifo"
        attributes["MessageGroupId"] = event.key or "group"
        attributes["MessageDeduplicationId"] = event.id
        attributes["SequenceNumber"] = event.sequence or "18849496460467696128"
    sent: dict[str, Any] = {}
    for name, value in event.attributes.items():
        if value is None:
            raise ValueError(f"SQS has no attribute without a value, and {name} has None")
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
        "eventSourceARN": arn,
        "awsRegion": REGION,
    }


def _notification(event: Message[Any]) -> dict[str, Any]:
    """A message as SNS has it."""
    sent: dict[str, Any] = {}
    for name, value in event.attributes.items():
        if value is None:
            raise ValueError(f"SNS has no attribute without a value, and {name} has None")
        is_binary = isinstance(value, bytes)
        sent[name] = {
            "Type": "Binary" if is_binary else "String",
            "Value": b64encode(value).decode() if isinstance(value, bytes) else value,
        }
    if event.content_type:
        sent["content-type"] = {"Type": "String", "Value": event.content_type}
    made = {
        "MessageId": event.id,
        "TopicArn": _arn("sns", event, event.channel),
        "Message": _sent_text(event, "sns"),
        "Timestamp": _iso(event.time),
        "SignatureVersion": "1",
        "Signature": "signature",
        "MessageAttributes": sent,
    }
    if event.subject:
        made["Subject"] = event.subject
    if event.sequence:
        made["SequenceNumber"] = event.sequence
    return made


def _sns_payload(events: list[Any], made: list[Any], service: str) -> dict[str, Any]:
    return {
        "Records": [
            {
                "EventSource": "aws:sns",
                "EventVersion": "1.0",
                "EventSubscriptionArn": f"{_arn('sns', event, event.channel)}:0123",
                "Sns": {"Type": "Notification", "Subject": None, **_notification(event)},
            }
            for event in events
        ]
    }


def _kinesis_record(event: Message[Any], number: int) -> dict[str, Any]:
    sequence = event.sequence or str(49590338271490256608559692538361571095921575989136588898 + number)
    made: dict[str, Any] = {
        "kinesisSchemaVersion": "1.0",
        "partitionKey": event.key or "key",
        "sequenceNumber": sequence,
        "data": b64encode(event.body).decode(),
    }
    if event.time is not None:
        made["approximateArrivalTimestamp"] = (_milliseconds(event.time) or 0) / 1000
    return {
        "kinesis": made,
        "eventSource": "aws:kinesis",
        "eventVersion": "1.0",
        "eventID": event.id,
        "eventName": "aws:kinesis:record",
        "invokeIdentityArn": f"arn:aws:iam::{ACCOUNT}:role/role",
        "awsRegion": REGION,
        "eventSourceARN": _arn("kinesis", event, f"stream/{event.channel}"),
    }


def _kinesis_payload(events: list[Any], made: list[Any], service: str) -> dict[str, Any]:
    return {"Records": [_kinesis_record(event, number) for number, event in enumerate(events)]}


def _whole(name: str, value: str) -> int:
    try:
        return int(value)
    except ValueError as exc:
        raise ValueError(f"the {name} of a message of Kafka is a whole number, not {value!r}") from exc


def _kafka_record(event: Message[Any], number: int) -> dict[str, Any]:
    headers = []
    for name, value in event.attributes.items():
        headers.append({name: None if value is None else _signed(value)})
    return {
        "topic": event.channel,
        "partition": _whole("partition", event.partition or "0"),
        "offset": _whole("sequence", event.sequence) if event.sequence else number,
        "timestamp": _milliseconds(event.time),
        "timestampType": "CREATE_TIME",
        "key": None if event.key is None else b64encode(event.key.encode()).decode(),
        "value": b64encode(event.body).decode(),
        "headers": headers,
    }


def _signed(value: str | bytes) -> list[int]:
    """The bytes as Java has them, from -128 to 127."""
    return [octet - 256 if octet > 127 else octet for octet in (value.encode() if isinstance(value, str) else value)]


def _kafka_payload(events: list[Any], made: list[Any], service: str) -> dict[str, Any]:
    records: dict[str, list[Any]] = {}
    for number, event in enumerate(events):
        record = _kafka_record(event, number)
        records.setdefault(f"{record['topic']}-{record['partition']}", []).append(record)
    payload: dict[str, Any] = {"eventSource": "aws:kafka", "eventSourceArn": _CLUSTER}
    if service == "self_managed_kafka":
        payload = {"eventSource": "SelfManagedKafka"}
    return {**payload, "bootstrapServers": "b-1.events:9092,b-2.events:9092", "records": records}


def _activemq_record(event: Message[Any]) -> dict[str, Any]:
    return {
        "messageID": event.id,
        "messageType": "jms/bytes-message",
        "timestamp": _milliseconds(event.time),
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


def _named(value: bytes | None) -> str:
    return "None" if value is None else "bytes"


def _texts(event: Message[Any], service: str) -> Iterator[tuple[str, str]]:
    for name, value in event.attributes.items():
        if not isinstance(value, str):
            raise ValueError(f"{service} carries text in its properties, and {name} has {_named(value)}")
        yield name, value


def _activemq_payload(events: list[Any], made: list[Any], service: str) -> dict[str, Any]:
    return {
        "eventSource": "aws:mq",
        "eventSourceArn": _BROKER,
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


def _rabbitmq_payload(events: list[Any], made: list[Any], service: str) -> dict[str, Any]:
    queues: dict[str, list[Any]] = {}
    for event in events:
        queues.setdefault(f"{event.channel}::/", []).append(_rabbitmq_record(event))
    return {"eventSource": "aws:rmq", "eventSourceArn": _BROKER, "rmqMessagesByQueue": queues}


def _logs_payload(events: list[Any], made: list[Any], service: str) -> dict[str, Any]:
    """A batch of CloudWatch Logs: the body, where it has such a batch, else one log event with the body as its message."""
    (event,) = events
    text = _sent_text(event, "logs")
    try:
        batch = json.loads(text)
    except ValueError:
        batch = None
    if not isinstance(batch, dict) or "logEvents" not in batch:
        log = {"id": event.id, "timestamp": _milliseconds(event.time) or 0, "message": text}
        text = to_json(
            {
                "messageType": "DATA_MESSAGE",
                "owner": ACCOUNT,
                "logGroup": event.channel,
                "logStream": event.partition or "stream",
                "subscriptionFilters": ["all"],
                "logEvents": [log],
            }
        )
    return {"awslogs": {"data": b64encode(gzip.compress(text.encode())).decode()}}


def _ses_payload(events: list[Any], made: list[Any], service: str) -> dict[str, Any]:
    (event,) = events
    headers = [{"name": name, "value": value} for name, value in _texts(event, "SES")]
    mail = {
        "messageId": event.id,
        "timestamp": _iso(event.time),
        "source": "sender@example.com",
        "destination": [event.channel],
        "headersTruncated": False,
        "headers": headers,
        "commonHeaders": {"subject": event.subject} if event.subject else {},
    }
    receipt = {"recipients": [event.channel], "action": {"type": "Lambda", "invocationType": "Event"}}
    return {"Records": [{"eventSource": "aws:ses", "eventVersion": "1.0", "ses": {"mail": mail, "receipt": receipt}}]}


_EVENT_NAMES = {
    "created": "ObjectCreated:Put",
    "deleted": "ObjectRemoved:Delete",
    "archived": "LifecycleTransition",
    "changed": "ObjectTagging:Put",
}
_DETAIL_TYPES = {
    "created": "Object Created",
    "deleted": "Object Deleted",
    "archived": "Object Storage Class Changed",
    "changed": "Object Tags Added",
}


def s3(event: ObjectEvent[Any]) -> dict[str, Any]:
    """A record of S3's notification, whose key is form-encoded. An id that doesn't end in the key gets it."""
    id = event.id.removesuffix(f".{event.key}") or event.id
    request, _, sequencer = id.rpartition(".")
    if not request or not sequencer:
        request, sequencer = "", id
    thing: dict[str, Any] = {"key": quote_plus(event.key, safe="/"), "sequencer": sequencer}
    thing.update(_known(size=event.size, eTag=event.etag, versionId=event.version))
    return {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": REGION,
        "eventTime": _iso(event.time),
        "eventName": event.type or _EVENT_NAMES[event.action],
        "userIdentity": {"principalId": "AIDAEXAMPLE"},
        "requestParameters": {"sourceIPAddress": "203.0.113.7"},
        "responseElements": {"x-amz-id-2": "host", **({"x-amz-request-id": request} if request else {})},
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": "notification",
            "bucket": {
                "name": event.bucket,
                "ownerIdentity": {"principalId": "AIDAEXAMPLE"},
                "arn": f"arn:aws:s3:::{event.bucket}",
            },
            "object": thing,
        },
    }


def _known(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _s3_payload(events: list[Any], made: list[Any], service: str) -> dict[str, Any]:
    return {"Records": [s3(event) for event in events]}


def s3_eventbridge(event: ObjectEvent[Any]) -> dict[str, Any]:
    """S3's event on EventBridge, whose key isn't encoded."""
    thing = {"key": event.key, "sequencer": "0055AED6DCD90281E5"}
    thing.update(_known(size=event.size, etag=event.etag))
    if event.version is not None:
        thing["version-id"] = event.version
    return _bus(
        event.id,
        "aws.s3",
        event.type or _DETAIL_TYPES[event.action],
        event.time,
        [f"arn:aws:s3:::{event.bucket}"],
        {"version": "0", "bucket": {"name": event.bucket}, "object": thing, "request-id": "request"},
    )


def _bus(id: str, source: str, type: str, time: datetime | None, resources: list[str], detail: Any) -> dict[str, Any]:
    return {
        "version": "0",
        "id": id,
        "detail-type": type,
        "source": source,
        "account": ACCOUNT,
        "time": write_time(time or _EPOCH),
        "region": REGION,
        "resources": resources,
        "detail": detail,
    }


def eventbridge(event: CloudEvent[Any]) -> dict[str, Any]:
    """An event of a bus, which has no subject, no schema, and no extensions but EventBridge's own."""
    try:
        detail = json.loads(event.body) if event.body else {}
    except ValueError:
        raise ValueError("the detail of an EventBridge event is JSON") from None
    if not isinstance(detail, dict):
        raise ValueError("the detail of an EventBridge event is an object")
    resources = event.extensions.get("resources")
    return _bus(event.id, event.source, event.type, event.time, resources.split(",") if resources else [], detail)


def scheduler(event: ScheduleEvent[Any]) -> Any:
    """What EventBridge Scheduler sends: its own event, or the schedule's input alone."""
    return _schedule(event, "aws.scheduler", f"scheduler:{REGION}:{ACCOUNT}:schedule/default/{event.name}", "{}")


def scheduled_rule(event: ScheduleEvent[Any]) -> Any:
    """What a rule with a schedule sends: its own event, or the target's input alone."""
    return _schedule(event, "aws.events", f"events:{REGION}:{ACCOUNT}:rule/{event.name}", {})


def _schedule(event: ScheduleEvent[Any], source: str, resource: str, detail: Any) -> Any:
    # A schedule with an input of its own sends nothing but that.
    if event.input is not None:
        return json.loads(to_json(event.input))
    arn = event.source if event.source.startswith("arn:") else f"arn:aws:{resource}"
    return _bus(event.id, source, "Scheduled Event", event.time, [arn], detail)


def _dynamodb_record(event: ChangeEvent[Any], number: int) -> dict[str, Any]:
    change: dict[str, Any] = {
        "Keys": _image(event.key),
        "SequenceNumber": event.sequence or str(100000000000000000000 + number),
        "SizeBytes": 26,
        "StreamViewType": "NEW_AND_OLD_IMAGES",
    }
    if event.time is not None:
        milliseconds = _milliseconds(event.time) or 0
        change["ApproximateCreationDateTime"] = (
            milliseconds // 1000 if milliseconds % 1000 == 0 else milliseconds / 1000
        )
    if event.before is not None:
        change["OldImage"] = _image(event.before)
    if event.after is not None:
        change["NewImage"] = _image(event.after)
    return {
        "eventID": event.id,
        "eventName": {"inserted": "INSERT", "updated": "MODIFY", "removed": "REMOVE"}[event.action],
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": REGION,
        "dynamodb": change,
        "eventSourceARN": _arn("dynamodb", event, f"table/{event.table}/stream/2026-01-01T00:00:00.000"),
    }


def _image(row: Any) -> dict[str, Any]:
    return {name: attribute_value(value) for name, value in row.items()}


def attribute_value(value: Any) -> dict[str, Any]:
    """A Python value as DynamoDB has it; ValueError for what it has no type for."""
    if value is None:
        return {"NULL": True}
    if isinstance(value, bool):
        return {"BOOL": value}
    if isinstance(value, (int, float, Decimal)):
        return {"N": str(value)}
    if isinstance(value, str):
        return {"S": value}
    if isinstance(value, bytes):
        return {"B": b64encode(value).decode()}
    if isinstance(value, dict):
        return {"M": _image(value)}
    if isinstance(value, (list, tuple)):
        return {"L": [attribute_value(one) for one in value]}
    if isinstance(value, (set, frozenset)) and value:
        inside = [attribute_value(one) for one in value]
        kinds = {name for one in inside for name in one}
        if len(kinds) == 1 and kinds <= {"S", "N", "B"}:
            (kind,) = kinds
            return {f"{kind}S": [one[kind] for one in inside]}
    raise ValueError(f"DynamoDB has no type for {value!r}")


def _dynamodb_payload(events: list[Any], made: list[Any], service: str) -> dict[str, Any]:
    return {"Records": [_dynamodb_record(event, number) for number, event in enumerate(events)]}


def _kinesis_change(event: ChangeEvent[Any]) -> dict[str, Any]:
    """A change as DynamoDB writes it to a Kinesis stream."""
    record = _dynamodb_record(event, 0)
    change = record["dynamodb"]
    del change["SequenceNumber"]
    if event.time is not None:
        change["ApproximateCreationDateTime"] = _milliseconds(event.time)
    return {
        "awsRegion": REGION,
        "eventID": event.id,
        "eventName": record["eventName"],
        "userIdentity": None,
        "recordFormat": "application/json",
        "tableName": event.table,
        "dynamodb": change,
        "eventSource": "aws:dynamodb",
    }


def _docdb_payload(events: list[Any], made: list[Any], service: str) -> dict[str, Any]:
    changes = []
    for event in events:
        change: dict[str, Any] = {
            "_id": {"_data": event.id},
            "documentKey": _extended(event.key),
            "ns": {"db": "database", "coll": event.table},
            "operationType": {"inserted": "insert", "updated": "update", "removed": "delete"}[event.action],
        }
        if event.time is not None:
            change["clusterTime"] = {"$timestamp": {"t": (_milliseconds(event.time) or 0) // 1000, "i": 1}}
        if event.after is not None:
            change["fullDocument"] = _extended(event.after)
        if event.before is not None:
            change["fullDocumentBeforeChange"] = _extended(event.before)
        changes.append({"event": change})
    source = events[0].source
    arn = source if source.startswith("arn:") else f"arn:aws:rds:{REGION}:{ACCOUNT}:cluster:database"
    return {"eventSourceArn": arn, "events": changes, "eventSource": "aws:docdb"}


def _extended(value: Any) -> Any:
    """A Python value as extended JSON."""
    if isinstance(value, dict):
        return {name: _extended(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_extended(one) for one in value]
    if isinstance(value, bytes):
        return {"$binary": {"base64": b64encode(value).decode(), "subType": "00"}}
    if isinstance(value, datetime):
        return {"$date": {"$numberLong": str(_milliseconds(value))}}
    if isinstance(value, Decimal):
        return {"$numberDecimal": str(value)}
    if isinstance(value, (set, frozenset)):
        raise ValueError("DocumentDB has no sets")
    return value


def _bus_payload(events: list[Any], made: list[Any], service: str) -> Any:
    (event,) = events
    makers: dict[str, Callable[[Any], Any]] = {
        "eventbridge": eventbridge,
        "s3_eventbridge": s3_eventbridge,
        "scheduler": scheduler,
        "scheduled_rule": scheduled_rule,
    }
    return makers[service](event)


def _input_payload(events: list[Any], made: list[Any], service: str) -> Any:
    """The input alone, whatever it is."""
    (event,) = events
    return json.loads(to_json(event.input))


def _piped_sqs(events: list[Any], made: list[Any], service: str) -> list[Any]:
    return [sqs_record(event) for event in events]


def _piped_kinesis(events: list[Any], made: list[Any], service: str) -> list[Any]:
    records = [_kinesis_record(event, number) for number, event in enumerate(events)]
    return [{**record.pop("kinesis"), **record} for record in records]


def _piped_dynamodb(events: list[Any], made: list[Any], service: str) -> list[Any]:
    return [_dynamodb_record(event, number) for number, event in enumerate(events)]


def _piped_kafka(events: list[Any], made: list[Any], service: str) -> list[Any]:
    records = [_kafka_record(event, number) for number, event in enumerate(events)]
    source = {"eventSource": "aws:kafka", "eventSourceArn": _CLUSTER, "bootstrapServers": "b-1.events:9092"}
    return [{**source, "eventSourceKey": f"{one['topic']}-{one['partition']}", **one} for one in records]


def _piped_activemq(events: list[Any], made: list[Any], service: str) -> list[Any]:
    source = {"eventSource": "aws:amq", "eventSourceArn": _BROKER}
    return [{**source, **_activemq_record(event)} for event in events]


def _piped_rabbitmq(events: list[Any], made: list[Any], service: str) -> list[Any]:
    source = {"eventSource": "aws:rmq", "eventSourceArn": _BROKER}
    return [{**source, "eventSourceKey": f"{event.channel}::/", **_rabbitmq_record(event)} for event in events]


_PAYLOADS: dict[str, Callable[[list[Any], list[Any], str], Any]] = {
    "sqs": _sqs_payload,
    "sqs_fifo": _sqs_fifo_payload,
    "sns": _sns_payload,
    "kinesis": _kinesis_payload,
    "kafka": _kafka_payload,
    "self_managed_kafka": _kafka_payload,
    "activemq": _activemq_payload,
    "rabbitmq": _rabbitmq_payload,
    "logs": _logs_payload,
    "ses": _ses_payload,
    "s3": _s3_payload,
    "eventbridge": _bus_payload,
    "scheduler": _bus_payload,
    "scheduled_rule": _bus_payload,
    "scheduler_input": _input_payload,
    "dynamodb": _dynamodb_payload,
    "docdb": _docdb_payload,
    "invoke": _input_payload,
    "pipes_sqs": _piped_sqs,
    "pipes_kinesis": _piped_kinesis,
    "pipes_dynamodb": _piped_dynamodb,
    "pipes_kafka": _piped_kafka,
    "pipes_activemq": _piped_activemq,
    "pipes_rabbitmq": _piped_rabbitmq,
}


class Queues:
    """SQS as its clients see it: what it was asked, in order, as (action, request)."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.refuses = False

    def post(self, endpoint: str, headers: Any, body: bytes, timeout: float) -> tuple[int, bytes]:
        """Answers a call, which has to be one of the JSON protocol, and signed."""
        if not headers["authorization"].startswith("AWS4-HMAC-SHA256 Credential="):
            return 403, b'{"__type":"com.amazonaws.sqs#MissingAuthenticationToken"}'
        if self.refuses:
            return 403, b'{"__type":"com.amazon.coral.service#AccessDeniedException"}'
        prefix, _, action = headers["x-amz-target"].partition(".")
        request = json.loads(body)
        if prefix != "AmazonSQS" or "QueueUrl" not in request:
            return 400, b'{"__type":"com.amazon.coral.service#UnknownOperationException"}'
        answer: dict[str, Any] = {}
        if action == "SendMessage":
            if not request["MessageBody"] or len(request.get("MessageAttributes", {})) > 10:
                return 400, b'{"__type":"com.amazonaws.sqs#InvalidParameterValue"}'
            answer = {"MessageId": f"dead-{len(self.calls)}"}
        self.calls.append((action, request))
        return 200, json.dumps(answer).encode()

    def delays(self) -> dict[str, int]:
        """The visibility timeouts that were set, by receipt handle."""
        return {
            entry["ReceiptHandle"]: entry["VisibilityTimeout"]
            for action, request in self.calls
            if action == "ChangeMessageVisibilityBatch"
            for entry in request["Entries"]
        }

    def dead_letters(self) -> list[dict[str, Any]]:
        """The messages that were sent."""
        return [request for action, request in self.calls if action == "SendMessage"]


_queues: ContextVar[Queues | None] = ContextVar("_queues", default=None)


@contextmanager
def playing(service: str) -> Iterator[Queues]:
    """Plays SQS while the function runs, for delays and dead letters."""
    queues = Queues()
    token = _queues.set(queues)
    post, credentials = api.post, api.credentials
    api.post, api.credentials = queues.post, lambda timeout=api.TIMEOUT: ("key", "secret", "")
    try:
        yield queues
    finally:
        api.post, api.credentials = post, credentials
        _queues.reset(token)


def results(events: Sequence[Event[Any]], service: str, answers: Sequence[Any]) -> Delivery:
    """What became of each event by the function's answers, as the source takes them."""
    outcomes: list[EventResult] = [EventResult("acknowledged")] * len(events)
    queues = _queues.get() or Queues()
    for indices, answer in zip(_together(events, service), answers, strict=True):
        sent = payloads([events[index] for index in indices], service)[0]
        if isinstance(events[0], Task):
            sent = [events[0].id]  # the payload is the caller's own value, which may look like anything
        again = _again(sent, _outermost(service), answer)
        for place, index in enumerate(indices):
            if place in again:
                outcomes[index] = EventResult("retried", *_after(sent, place, queues))
            else:
                ids = {events[index].id, *_ids(_records(sent)[place])}
                outcomes[index] = _dead_lettered(ids, queues) or outcomes[index]
    answer = answers[0]
    if isinstance(answer, Raised):
        return Delivery(outcomes, error=(answer.name, answer.message))
    # A source that polls or invokes asynchronously throws the answer away.
    return Delivery(outcomes, result=json.loads(json.dumps(answer)) if isinstance(events[0], Task) else None)


def _again(sent: Any, service: str, answer: Any) -> set[int]:
    """The places of the records that come again."""
    records = _records(sent)
    everything = set(range(len(records)))
    if isinstance(answer, Raised):
        return everything
    service = service.removeprefix("pipes_")
    if service not in ("sqs", "sqs_fifo", "kinesis", "dynamodb", "kafka", "self_managed_kafka"):
        return set()
    # What AWS writes to JSON, and takes as success: https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html
    answer = json.loads(json.dumps(answer))
    failures = answer.get("batchItemFailures") if isinstance(answer, dict) else None
    if not failures:
        return set()
    again: set[int] = set()
    for failure in failures if isinstance(failures, list) else [None]:
        name = failure.get("itemIdentifier") if isinstance(failure, dict) else None
        places = [place for place, record in enumerate(records) if name and _name(record, service) == name]
        if not places:
            return everything
        if service in ("sqs", "sqs_fifo"):
            again.update(places)
        else:
            again.update(
                place
                for place in range(places[0], len(records))
                if "kafka" not in service or _partition(records[place]) == _partition(records[places[0]])
            )
    return again


def _records(sent: Any) -> list[Any]:
    if isinstance(sent, list):
        return sent
    if isinstance(sent, dict):
        for name in ("Records", "messages", "events"):
            if isinstance(sent.get(name), list):
                return list(sent[name])
        for name in ("records", "rmqMessagesByQueue"):
            if isinstance(sent.get(name), dict):
                return [record for records in sent[name].values() for record in records]
    return [sent]


def _name(record: Any, service: str) -> Any:
    if service in ("sqs", "sqs_fifo"):
        return record["messageId"]
    if service == "kinesis":
        return (record.get("kinesis") or record)["sequenceNumber"]
    if service == "dynamodb":
        return record["dynamodb"]["SequenceNumber"]
    return {"partition": _partition(record), "offset": record["offset"]}


def _partition(record: Any) -> str:
    return f"{record['topic']}-{record['partition']}"


def _after(sent: Any, place: int, queues: Queues) -> tuple[float | None]:
    record = _records(sent)[place]
    handle = record.get("receiptHandle") if isinstance(record, dict) else None
    return (queues.delays().get(str(handle)),)


def _ids(record: Any) -> set[str]:
    """What a dead letter about the record may be called after."""
    if not isinstance(record, dict):
        return set()
    ids = {record.get("messageId"), record.get("eventID"), record.get("Sns", {}).get("MessageId")} - {None}
    if '"TopicArn"' in record.get("body", ""):
        ids.add(json.loads(record["body"]).get("MessageId"))
    if "s3" in record:
        # S3 has none of its own.
        ids.add(getattr(objects.s3(record), "id", None))
    return ids | ({f"{_partition(record)}-{record['offset']}"} if "offset" in record else set())


def _dead_lettered(ids: set[str], queues: Queues) -> EventResult | None:
    for letter in queues.dead_letters():
        attributes = letter["MessageAttributes"]
        if attributes[ID]["StringValue"] in ids:
            return EventResult("dead-lettered", None, reject_reason(attributes[REASON]["StringValue"]))
    return None
