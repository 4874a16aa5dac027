"""Lambda's payloads that are no requests as neutral events.

https://docs.aws.amazon.com/lambda/latest/dg/lambda-services.html
"""

from __future__ import annotations

from collections.abc import Sequence

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


class IncomingEvents:
    """The events of one invocation: `items` in the order of `records`, which are what AWS names when it is told of a failure.

    If some of the records hold several events, or none, `places` are the places of the records that the items are of, and
    `results` what the handlers returned for each. `service` is whose they are; `key` gives what they are in order within, None without order; `pipe` says that EventBridge
    Pipes sends them; `window` and `state` are those of a tumbling window, None for others.
    """

    places: Sequence[int] | None = None
    results: Sequence[Any] | None = None
    window: Window | None = None
    state: dict[str, Any] | None = None
    pipe = False

    def __init__(
        self, service: str, records: Sequence[Any], items: Sequence[Item], key: Callable[[Any], object] | None = None
    ) -> None:
        self.service = service
        self.records = records
        self.items = items
        self.key = key


class Records(Sequence["Item"]):
    """The events of records, each made when it is asked for, so that of a batch handled one by one few are there at once."""

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
    """What a FIFO queue's messages are in order within."""
    return event.key  # type: ignore[attr-defined]  # a message of a FIFO queue


def shard(event: Event[Any]) -> object:
    """One key for all: what a stream hands over at once is of one shard, and comes again from the first failure on."""
    return ""


def topic_partition(event: Event[Any]) -> object:
    """What Kafka's messages are in order within."""
    return event.channel, event.partition  # type: ignore[attr-defined]  # a Kafka message


def arrival(payload: Any, context: AWSContext) -> IncomingEvents:
    """The events in a payload that is no request; what nothing is known of is a task."""
    if isinstance(payload, dict):
        records = payload.get("Records")
        if type(records) is list and (records or "window" in payload):
            found = _records(records, payload)
            if found is not None:
                return found
        elif "eventSource" in payload and (found := _grouped(payload, context)) is not None:
            return found
        elif "detail-type" in payload and "source" in payload and "detail" in payload:
            return IncomingEvents("eventbridge", [payload], [_bus_event(payload)])
        elif isinstance(payload.get("awslogs"), dict):
            from portable_fn_aws.events.messages import logs

            batch = logs(payload["awslogs"].get("data"))
            return IncomingEvents("logs", [payload], [] if batch is None else [batch])
        elif payload.get("Event") == "s3:TestEvent" or records == []:
            return IncomingEvents("s3", [], [])
    elif type(payload) is list and (found := _piped(payload, context)) is not None:
        found.pipe = True
        return found
    return called(payload, context)


def called(payload: Any, context: AWSContext) -> IncomingEvents:
    """The payload as a direct call, whatever it looks like."""
    return IncomingEvents("invoke", [payload], [task(payload, context)])


def task(payload: Any, context: AWSContext) -> Task[Any]:
    """The payload as the input of a direct call. Its id is the invocation's, the same when Lambda invokes again."""
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


def scheduled(payload: Any, context: AWSContext) -> ScheduleEvent[Any]:
    """The payload as a schedule's own input, which has no mark of what it is; its id is the invocation's."""
    from portable_fn.events import ScheduleEvent

    return ScheduleEvent(context.invocation_id, context.arn, input=payload, native=payload)


def _records(records: list[Any], payload: Mapping[str, Any]) -> IncomingEvents | None:
    """The events of a payload with Records; None where they are of a source that has no kind of its own."""
    first, source = _first_known(records) if records else ({}, _source_of(payload))
    if source is None:
        return None
    found = _of_source(source, first, records)
    if found is not None and "window" in payload:
        _add_window(found, payload)
    return found


def _first_known(records: list[Any]) -> tuple[Mapping[str, Any], str | None]:
    """The first record that names its source, and the source: one record may be broken, and the others not."""
    for record in records:
        if type(record) is dict:
            source = record.get("eventSource") or record.get("EventSource")
            if type(source) is str and source:
                return record, source
    return {}, None


def _of_source(source: str, first: Mapping[str, Any], records: list[Any]) -> IncomingEvents | None:
    known = _SOURCES.get(source) or _known(source)
    if known is None:
        return None
    service, read, key = known
    if source == "aws:sqs" and _is_fifo(first, records):
        service, read, key = _SOURCES["fifo"]
    elif source == "aws:kinesis" and _has_packed(records):
        from portable_fn_aws.events.packed import Unpacked

        items = Unpacked(records)
        found = IncomingEvents(service, records, items, key)
        found.places = items.places
        return found
    return IncomingEvents(service, records, Records(records, read), key)


def _is_fifo(first: Mapping[str, Any], records: list[Any]) -> bool:
    """Whether the records are of a FIFO queue, by the first that has an ARN."""
    arn = first.get("eventSourceARN")
    if type(arn) is not str or not arn:
        arns = (record.get("eventSourceARN") for record in records if type(record) is dict)
        arn = next((one for one in arns if type(one) is str and one), "")
    return arn[-5:] == ".fifo"


def _has_packed(records: list[Any]) -> bool:
    """Whether a record of Kinesis begins as those that were aggregated do, or as gzip, as batches of CloudWatch Logs do."""
    for record in records:
        try:
            begin = record["kinesis"]["data"][:4]
        except (LookupError, TypeError):
            # As Pipes has it, or broken.
            begin = str(record.get("data"))[:4] if type(record) is dict else ""
        # The base64 of F3 89 9A, and of gzip's 1F 8B 08.
        if begin == "84ma" or begin == "H4sI":
            return True
    return False


# The service of each source, how its records are read, and what they are in order within.
_SOURCES: dict[str, tuple[str, Read, Callable[[Any], object] | None]] = {}


def _known(source: str) -> tuple[str, Read, Callable[[Any], object] | None] | None:
    """What is known of a source, read in when it first comes."""
    if source in ("aws:sqs", "aws:sns", "aws:kinesis", "aws:ses"):
        from portable_fn_aws.events import messages

        _SOURCES["aws:sqs"] = "sqs", messages.sqs, None
        _SOURCES["fifo"] = "sqs", messages.sqs_fifo, group
        _SOURCES["aws:sns"] = "sns", messages.sns, None
        _SOURCES["aws:kinesis"] = "kinesis", messages.kinesis, shard
        _SOURCES["aws:ses"] = "ses", messages.ses, None
    elif source == "aws:dynamodb":
        from portable_fn_aws.events.changes import dynamodb

        _SOURCES[source] = "dynamodb", dynamodb, shard
    elif source == "aws:s3":
        from portable_fn_aws.events.objects import s3

        _SOURCES[source] = "s3", s3, None
    else:
        return None
    return _SOURCES[source]


def _source_of(payload: Mapping[str, Any]) -> str | None:
    """The source of a tumbling window that ends without a record."""
    arn = payload.get("eventSourceARN")
    service = arn.split(":")[2:3] if isinstance(arn, str) else []
    return f"aws:{service[0]}" if service else None


def _add_window(found: IncomingEvents, payload: Mapping[str, Any]) -> None:
    from portable_fn.adapter.cloudevents import parse_time
    from portable_fn.events import Window

    window, state = payload["window"], payload.get("state")
    if not isinstance(window, dict) or not isinstance(state, (dict, type(None))):
        raise DecodeError("the tumbling window, or its state, is no object")
    found.window = Window(
        parse_time(window.get("start", "")),
        parse_time(window.get("end", "")),
        is_final=payload.get("isFinalInvokeForWindow") is True,
        ended_early=payload.get("isWindowTerminatedEarly") is True,
    )
    found.state = {} if state is None else state


def _grouped(payload: Mapping[str, Any], context: AWSContext) -> IncomingEvents | None:
    """The events of a payload that names its source once, for all: Kafka, Amazon MQ, DocumentDB; None for any other."""
    service = str(payload["eventSource"]).removeprefix("aws:")
    if service in ("kafka", "SelfManagedKafka"):
        source = payload.get("eventSourceArn") or payload.get("bootstrapServers") or service
        records = [one for name in _members(payload, "records") for one in _list(payload["records"][name], "records")]
        return _kafka(records, source)
    arn = payload.get("eventSourceArn")
    source = arn if isinstance(arn, str) else service
    if service in ("mq", "amq"):
        from portable_fn_aws.events.messages import activemq

        records = _list(payload.get("messages"), "messages")
        return IncomingEvents("mq", records, [activemq(one, source) for one in records])
    if service == "rmq":
        from portable_fn_aws.events.messages import rabbitmq

        queues = _members(payload, "rmqMessagesByQueue")
        placed = [
            (one, name, f"{context.invocation_id}/{name}/{index}")
            for name in queues
            for index, one in enumerate(_list(queues[name], "messages"))
        ]
        items = [rabbitmq(one, source, name, place) for one, name, place in placed]
        return IncomingEvents("mq", [one for one, _, _ in placed], items)
    if service == "docdb":
        from portable_fn_aws.events.changes import docdb

        records = _list(payload.get("events"), "events")
        return IncomingEvents("docdb", records, [docdb(one, source) for one in records], shard)
    return None


def _kafka(records: list[Any], source: object) -> IncomingEvents:
    from portable_fn_aws.events.messages import kafka

    if not isinstance(source, str):
        raise DecodeError("the source of the Kafka records is no text")
    return IncomingEvents("kafka", records, [kafka(one, source) for one in records], topic_partition)


def _members(payload: Mapping[str, Any], name: str) -> dict[str, Any]:
    members = payload.get(name)
    if not isinstance(members, dict):
        raise DecodeError(f"the payload's {name} is no object")
    return members


def _list(value: Any, name: str) -> list[Any]:
    if not isinstance(value, list):
        raise DecodeError(f"the payload's {name} is no list")
    return value


def _piped(payload: list[Any], context: AWSContext) -> IncomingEvents | None:
    """The events that EventBridge Pipes hands over: a list of records; None for any other list.

    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-pipes-event-source.html
    """
    first, source = _first_known(payload)
    if source is None:
        return None
    if (found := _of_source(source, first, payload)) is not None:
        return found
    service = source.removeprefix("aws:")
    where = first.get("eventSourceArn") or first.get("bootstrapServers") or service
    if service in ("kafka", "SelfManagedKafka"):
        return _kafka(payload, where)
    if service in ("mq", "amq", "rmq") and isinstance(where, str):
        from portable_fn_aws.events.messages import activemq, maybe_text, rabbitmq

        items: list[Item] = []
        for index, one in enumerate(payload):
            if service == "rmq":
                queue = maybe_text(one.get("eventSourceKey")) if isinstance(one, dict) else ""
                items.append(rabbitmq(one, where, queue, f"{context.invocation_id}/{queue}/{index}"))
            else:
                items.append(activemq(one, where))
        return IncomingEvents("mq", payload, items)
    return None


def _bus_event(payload: Mapping[str, Any]) -> CloudEvent[Any] | DecodeError:
    from portable_fn_aws.events.bus import BusEvent

    try:
        return BusEvent(payload)
    except BROKEN as exc:
        return unreadable(exc, "an EventBridge event")


# What one of these has to contain for something of AWS's to be inside.
_MARKS = ('"Records"', '"detail-type"', '"dynamodb"')


def inside(event: Event[Any]) -> list[Event[Any]]:
    """What is directly inside of an event: of a message's body, or of an EventBridge event's detail."""
    if isinstance(event, CloudEvent):
        return _inside_bus_event(event)
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
        if found := _inside_value(value, event):
            return found
    from portable_fn.adapter.cloudevents import inside

    return inside(event)


def _inside_bus_event(event: CloudEvent[Any]) -> list[Event[Any]]:
    envelope = event.native
    if not isinstance(envelope, dict) or "detail-type" not in envelope:
        from portable_fn.adapter.cloudevents import neutral_inside

        return neutral_inside(event)
    if event.source == "aws.s3":
        from portable_fn_aws.events.objects import bus_event as read
    else:
        from portable_fn_aws.events.bus import schedule as read  # type: ignore[assignment]  # both read an event
    try:
        found: Event[Any] | None = read(event, envelope)
        # A pipe's record.
        if found is None:
            return _inside_value(envelope["detail"], event)
    except UNREADABLE as exc:
        raise unreadable(exc, f"the event {event.type!r} of {event.source}") from exc
    found.envelopes = (*event.envelopes, event)
    return [found]


def _inside_value(value: Any, event: Event[Any]) -> list[Event[Any]]:
    """The events of a JSON value that has the shape of something of AWS's."""
    items: Sequence[Item] = ()
    if not isinstance(value, dict):
        return []
    records = value.get("Records")
    if type(records) is list and records:
        found = _records(records, value)
        items = found.items if found is not None else ()
    elif "detail-type" in value and "source" in value and "detail" in value:
        items = [_bus_event(value)]
    elif value.get("eventSource") == "aws:dynamodb" and "tableName" in value:
        from portable_fn_aws.events.changes import KinesisTableChange

        try:
            items = [KinesisTableChange(value)]
        except UNREADABLE as exc:
            raise unreadable(exc, "a change of a table") from exc
    elif isinstance(value.get("eventSource"), str) and isinstance(event, CloudEvent):
        found = _of_source(value["eventSource"], value, [value])
        items = found.items if found is not None else ()
    events = list(items)
    for one in events:
        if isinstance(one, DecodeError):
            raise one
        one.envelopes = (*event.envelopes, event, *one.envelopes)
    return events  # type: ignore[return-value]  # none of them is an error


def is_notice(item: Event[Any]) -> bool:
    """Return whether the event is a notice about its source, not about its content.

    Examples are S3's test of a notification, and a dropped collection of DocumentDB. A notice is acknowledged if no function
    asks for it.
    """
    if isinstance(item, Message):
        try:
            text = item.text
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

    return type(item) is ChangeEvent and item.action not in CHANGE_ACTIONS
