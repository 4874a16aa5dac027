"""Decode Lambda's payloads that aren't requests.

https://docs.aws.amazon.com/lambda/latest/dg/lambda-services.html
"""

from __future__ import annotations

from collections.abc import Sequence
from sys import modules

from portable_fn.data import parse_json
from portable_fn.errors import DecodeError
from portable_fn.events import BROKEN, UNREADABLE, CloudEvent, Event, Message, unreadable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Any

    from portable_fn.events import ScheduleEvent, Task, Window
    from portable_fn_aws.decode import AWSContext

    Item = Event[Any] | DecodeError
    Read = Callable[[Any], Item]
    Key = Callable[[Any], object]
    # A service, the module and the function that read its records, and the key within which they are in order.
    Source = tuple[str, str, str, Key | None]


class IncomingEvents:
    """The events of one invocation.

    Attributes:
        service: The service that sends them.
        records: The payload's records, by which AWS learns of failures.
        items: The events in the order of the records.
        key: Returns the key within which events are in order; None if the service keeps no order.
        places: If records hold several events or none: for each item, the index of its record.
        results: If `places` is set: what the handlers returned for each item.
        window: The tumbling window; None without one.
        state: The state of the tumbling window.
        pipe: Whether EventBridge Pipes sends them.
    """

    places: Sequence[int] | None = None
    results: Sequence[Any] | None = None
    window: Window | None = None
    state: dict[str, Any] | None = None
    pipe = False

    def __init__(self, service: str, records: Sequence[Any], items: Sequence[Item], key: Key | None = None) -> None:
        self.service = service
        self.records = records
        self.items = items
        self.key = key


class Records(Sequence["Item"]):
    """The events of records. Each is read on access, so that a batch handled one by one keeps few events in memory."""

    def __init__(self, records: list[Any], read: Read) -> None:
        self._records = records
        self._read = read

    def __len__(self) -> int:
        return len(self._records)

    def __iter__(self) -> Iterator[Item]:
        return map(self._read, self._records)

    def __getitem__(self, index: Any) -> Any:
        return self._read(self._records[index])


def group(event: Event[Any]) -> object:
    """Return the message group, within which a FIFO queue keeps order."""
    return event.key  # type: ignore[attr-defined]  # a message of a FIFO queue


def shard(event: Event[Any]) -> object:
    """Return one key for all: a stream's batch is from one shard, and is redelivered from the first failure on."""
    return ""


def topic_partition(event: Event[Any]) -> object:
    """Return the topic and partition, within which Kafka keeps order."""
    return event.channel, event.partition  # type: ignore[attr-defined]  # a Kafka message


# By a record's eventSource. A module is imported with its first record.
_SOURCES: dict[str, Source] = {
    "aws:sqs": ("sqs", "portable_fn_aws.events.messages", "read_sqs", None),
    "aws:sns": ("sns", "portable_fn_aws.events.messages", "read_sns", None),
    "aws:kinesis": ("kinesis", "portable_fn_aws.events.messages", "read_kinesis", shard),
    "aws:ses": ("ses", "portable_fn_aws.events.messages", "read_ses", None),
    "aws:dynamodb": ("dynamodb", "portable_fn_aws.events.changes", "read_dynamodb", shard),
    "aws:s3": ("s3", "portable_fn_aws.events.objects", "read_s3", None),
}
_FIFO_QUEUE: Source = ("sqs", "portable_fn_aws.events.messages", "read_sqs_fifo", group)


def read_events(payload: Any, context: AWSContext) -> IncomingEvents:
    """Decode a payload that isn't a request; an unrecognised one becomes a Task."""
    if isinstance(payload, dict):
        records = payload.get("Records")
        if type(records) is list and (records or "window" in payload):
            incoming = _read_records(records, payload)
            if incoming is not None:
                return incoming
        elif "eventSource" in payload and (incoming := _read_grouped(payload, context)) is not None:
            return incoming
        elif "detail-type" in payload and "source" in payload and "detail" in payload:
            return IncomingEvents("eventbridge", [payload], [_read_bus_event(payload)])
        elif isinstance(payload.get("awslogs"), dict):
            from portable_fn_aws.events.logs import read_logs

            batch = read_logs(payload["awslogs"].get("data"))
            return IncomingEvents("logs", [payload], [] if batch is None else [batch])
        elif payload.get("Event") == "s3:TestEvent" or records == []:
            return IncomingEvents("s3", [], [])
    elif type(payload) is list and (incoming := _read_pipe(payload, context)) is not None:
        incoming.pipe = True
        return incoming
    return read_call(payload, context)


def read_call(payload: Any, context: AWSContext) -> IncomingEvents:
    """Decode the payload as the input of a direct call, whatever it looks like."""
    return IncomingEvents("invoke", [payload], [read_task(payload, context)])


def read_task(payload: Any, context: AWSContext) -> Task[Any]:
    """Decode the input of a direct call. The id is the invocation's, which stays the same if Lambda invokes again."""
    from portable_fn.events import Task
    from portable_fn_aws.events.tasks import type_of

    return Task(
        context.invocation_id,
        context.arn,
        payload,
        name=context.function,
        type=type_of(payload),
        native=payload,
    )


def read_schedule_input(payload: Any, context: AWSContext) -> ScheduleEvent[Any]:
    """Decode the input of a schedule, which nothing marks as such; the id is the invocation's."""
    from portable_fn.events import ScheduleEvent

    return ScheduleEvent(context.invocation_id, context.arn, input=payload, native=payload)


def _read_records(records: list[Any], payload: Mapping[str, Any]) -> IncomingEvents | None:
    """Decode a payload with Records; return None if portable_fn has no kind for their source."""
    first, source = _first_with_source(records) if records else ({}, _source_of_window(payload))
    if source is None:
        return None
    incoming = _read_from(source, first, records)
    if incoming is not None and "window" in payload:
        _add_window(incoming, payload)
    return incoming


def _first_with_source(records: list[Any]) -> tuple[Mapping[str, Any], str | None]:
    """Return the first record that names its source, and the source: earlier records may be malformed."""
    for record in records:
        if type(record) is dict:
            source = record.get("eventSource") or record.get("EventSource")
            if type(source) is str and source:
                return record, source
    return {}, None


def _read_from(name: str, first: Mapping[str, Any], records: list[Any]) -> IncomingEvents | None:
    """Decode the records of a source by its name; return None if portable_fn has no kind for it."""
    source = _SOURCES.get(name)
    if source is None:
        return None
    if name == "aws:sqs" and _is_fifo(first, records):
        source = _FIFO_QUEUE
    elif name == "aws:kinesis" and _has_packed(records):
        from portable_fn_aws.events.packed import Unpacked

        unpacked = Unpacked(records)
        incoming = IncomingEvents("kinesis", records, unpacked, shard)
        incoming.places = unpacked.places
        return incoming
    service, module, function, key = source
    if module not in modules:
        __import__(module)
    return IncomingEvents(service, records, Records(records, getattr(modules[module], function)), key)


def _is_fifo(first: Mapping[str, Any], records: list[Any]) -> bool:
    """Return whether the records are from a FIFO queue, by the first that has an ARN."""
    arn = first.get("eventSourceARN")
    if type(arn) is not str or not arn:
        arns = (record.get("eventSourceARN") for record in records if type(record) is dict)
        arn = next((arn for arn in arns if type(arn) is str and arn), "")
    return arn[-5:] == ".fifo"


def _has_packed(records: list[Any]) -> bool:
    """Return whether a Kinesis record starts like an aggregated record, or like gzip, as batches of CloudWatch Logs do."""
    for record in records:
        try:
            start = record["kinesis"]["data"][:4]
        except (LookupError, TypeError):
            # The record is from EventBridge Pipes, or malformed.
            start = str(record.get("data"))[:4] if type(record) is dict else ""
        # The base64 of F3 89 9A, and of gzip's 1F 8B 08.
        if start == "84ma" or start == "H4sI":
            return True
    return False


def _source_of_window(payload: Mapping[str, Any]) -> str | None:
    """Return the source of a tumbling window that ends without a record."""
    arn = payload.get("eventSourceARN")
    service = arn.split(":")[2:3] if isinstance(arn, str) else []
    return f"aws:{service[0]}" if service else None


def _add_window(incoming: IncomingEvents, payload: Mapping[str, Any]) -> None:
    from portable_fn.adapter.cloudevents import parse_time
    from portable_fn.events import Window

    window, state = payload["window"], payload.get("state")
    if not isinstance(window, dict) or not isinstance(state, (dict, type(None))):
        raise DecodeError("the tumbling window and its state must be objects")
    incoming.window = Window(
        parse_time(window.get("start", "")),
        parse_time(window.get("end", "")),
        is_final=payload.get("isFinalInvokeForWindow") is True,
        ended_early=payload.get("isWindowTerminatedEarly") is True,
    )
    incoming.state = {} if state is None else state


def _read_grouped(payload: Mapping[str, Any], context: AWSContext) -> IncomingEvents | None:
    """Decode a payload that names its source once: Kafka, Amazon MQ, DocumentDB; return None for any other."""
    service = str(payload["eventSource"]).removeprefix("aws:")
    if service in ("kafka", "SelfManagedKafka"):
        source = payload.get("eventSourceArn") or payload.get("bootstrapServers") or service
        partitions = _object(payload, "records").values()
        records = [record for partition in partitions for record in _list(partition, "records")]
        return _read_kafka(records, source)
    arn = payload.get("eventSourceArn")
    source = arn if isinstance(arn, str) else service
    if service in ("mq", "amq"):
        from portable_fn_aws.events.brokers import read_activemq

        records = _list(payload.get("messages"), "messages")
        return IncomingEvents("mq", records, [read_activemq(record, source) for record in records])
    if service == "rmq":
        from portable_fn_aws.events.brokers import read_rabbitmq

        records, items = [], []
        for queue, messages in _object(payload, "rmqMessagesByQueue").items():
            for index, record in enumerate(_list(messages, "messages")):
                records.append(record)
                items.append(read_rabbitmq(record, source, queue, f"{context.invocation_id}/{queue}/{index}"))
        return IncomingEvents("mq", records, items)
    if service == "docdb":
        from portable_fn_aws.events.changes import read_docdb

        records = _list(payload.get("events"), "events")
        return IncomingEvents("docdb", records, [read_docdb(record, source) for record in records], shard)
    return None


def _read_kafka(records: list[Any], source: object) -> IncomingEvents:
    from portable_fn_aws.events.brokers import read_kafka

    if not isinstance(source, str):
        raise DecodeError("the source of the Kafka records must be a string")
    return IncomingEvents("kafka", records, [read_kafka(record, source) for record in records], topic_partition)


def _object(payload: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = payload.get(name)
    if not isinstance(value, dict):
        raise DecodeError(f"the payload's {name} must be an object")
    return value


def _list(value: Any, name: str) -> list[Any]:
    if not isinstance(value, list):
        raise DecodeError(f"the payload's {name} must be a list")
    return value


def _read_pipe(payload: list[Any], context: AWSContext) -> IncomingEvents | None:
    """Decode a list of records from EventBridge Pipes; return None for any other list.

    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-pipes-event-source.html
    """
    first, source = _first_with_source(payload)
    if source is None:
        return None
    if (incoming := _read_from(source, first, payload)) is not None:
        return incoming
    service = source.removeprefix("aws:")
    origin = first.get("eventSourceArn") or first.get("bootstrapServers") or service
    if service in ("kafka", "SelfManagedKafka"):
        return _read_kafka(payload, origin)
    if service in ("mq", "amq", "rmq") and isinstance(origin, str):
        from portable_fn_aws.events.brokers import read_activemq, read_rabbitmq
        from portable_fn_aws.events.messages import maybe_text

        items: list[Item] = []
        for index, record in enumerate(payload):
            if service == "rmq":
                queue = maybe_text(record.get("eventSourceKey")) if isinstance(record, dict) else ""
                items.append(read_rabbitmq(record, origin, queue, f"{context.invocation_id}/{queue}/{index}"))
            else:
                items.append(read_activemq(record, origin))
        return IncomingEvents("mq", payload, items)
    return None


def _read_bus_event(payload: Mapping[str, Any]) -> CloudEvent[Any] | DecodeError:
    from portable_fn_aws.events.bus import BusEvent

    try:
        return BusEvent(payload)
    except BROKEN as exc:
        return unreadable(exc, "an EventBridge event")


# A text without any of these holds no event of AWS.
_MARKS = ('"Records"', '"detail-type"', '"dynamodb"')


def unwrap(event: Event[Any]) -> list[Event[Any]]:
    """Return the events directly inside an event: in a message's body, or in an EventBridge event's detail.

    Raises:
        DecodeError: They are malformed.
    """
    if isinstance(event, CloudEvent):
        return _unwrap_bus_event(event)
    if not isinstance(event, Message):
        return []
    try:
        text = event.text
    except DecodeError:
        return []
    if any(mark in text for mark in _MARKS):
        try:
            value = parse_json(text)
        except ValueError:
            return []
        if events := _unwrap_value(value, event):
            return events
    from portable_fn.adapter.cloudevents import inside

    return inside(event)


def _unwrap_bus_event(event: CloudEvent[Any]) -> list[Event[Any]]:
    envelope = event.native
    if not isinstance(envelope, dict) or "detail-type" not in envelope:
        from portable_fn.adapter.cloudevents import neutral_inside

        return neutral_inside(event)
    if event.source == "aws.s3":
        from portable_fn_aws.events.objects import read_bus_event as read
    else:
        from portable_fn_aws.events.bus import read_schedule as read  # type: ignore[assignment]  # both read an event
    try:
        inner: Event[Any] | None = read(event, envelope)
        if inner is None:
            # The detail may be the record of a pipe.
            return _unwrap_value(envelope["detail"], event)
    except UNREADABLE as exc:
        raise unreadable(exc, f"the event {event.type!r} of {event.source}") from exc
    inner.envelopes = (*event.envelopes, event)
    return [inner]


def _unwrap_value(value: Any, event: Event[Any]) -> list[Event[Any]]:
    """Return the events in a JSON value that has the shape of one of AWS's payloads."""
    items: Sequence[Item] = ()
    if not isinstance(value, dict):
        return []
    records = value.get("Records")
    if type(records) is list and records:
        incoming = _read_records(records, value)
        items = incoming.items if incoming is not None else ()
    elif "detail-type" in value and "source" in value and "detail" in value:
        items = [_read_bus_event(value)]
    elif value.get("eventSource") == "aws:dynamodb" and "tableName" in value:
        from portable_fn_aws.events.changes import KinesisTableChange

        try:
            items = [KinesisTableChange(value)]
        except UNREADABLE as exc:
            raise unreadable(exc, "a change of a table") from exc
    elif isinstance(value.get("eventSource"), str) and isinstance(event, CloudEvent):
        incoming = _read_from(value["eventSource"], value, [value])
        items = incoming.items if incoming is not None else ()
    events = []
    for item in items:
        if isinstance(item, DecodeError):
            raise item
        item.envelopes = (*event.envelopes, event, *item.envelopes)
        events.append(item)
    return events


def is_notice(event: Event[Any]) -> bool:
    """Return whether a source sent the event about itself: S3's test of a notification, or a dropped DocumentDB collection.

    Such an event is acknowledged, unless a handler accepts any event.
    """
    if isinstance(event, Message):
        try:
            text = event.text
        except DecodeError:
            return False
        if "s3:TestEvent" not in text:
            return False
        from portable_fn_aws.events.objects import is_test

        try:
            return is_test(parse_json(text))
        except ValueError:
            return False
    from portable_fn.events import CHANGE_ACTIONS, ChangeEvent

    return type(event) is ChangeEvent and event.action not in CHANGE_ACTIONS
