"""Write events as Azure's host sends them to the worker: as its extensions do, as TypedData in protobuf's JSON."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from portable_fn.adapter.cloudevents import write_structured, write_time
from portable_fn.data import to_json
from portable_fn.errors import DecodeError
from portable_fn.events import ChangeEvent, CloudEvent, Message, ObjectEvent, ScheduleEvent, Task
from portable_fn.record import Record
from portable_fn_azure.events.changes import SQL_OPERATIONS
from portable_fn_azure.events.objects import ACTIONS, CONTAINERS

INVOCATION = "00000000-0000-4000-8000-000000000001"
_COUNTED = ("event_hubs", "kafka", "cosmos_db", "cosmos_db_versions", "timer")


class Sent(Record):
    """What the host sends for one invocation: the trigger's data and metadata as TypedData, and the number of retries."""

    _fields = ("data", "metadata", "retry_count")

    def __init__(self, data: dict[str, Any], metadata: dict[str, dict[str, Any]], retry_count: int = 0) -> None:
        self.data = data
        self.metadata = metadata
        self.retry_count = retry_count


# TypedData, as protobuf's JSON has it. Source: azure-functions-host, GrpcMessageConversionExtensions.


def _text(value: str) -> dict[str, Any]:
    return {"string": value}


def _json(value: Any) -> dict[str, Any]:
    return {"json": to_json(value)}


def _bytes(value: bytes) -> dict[str, Any]:
    return {"bytes": b64encode(value).decode()}


def _texts(values: Sequence[str | None]) -> dict[str, Any]:
    return {"collection_string": {"string": [value for value in values if value]}}


def _longs(values: Sequence[int]) -> dict[str, Any]:
    return {"collection_sint64": {"sint64": list(values)}}


def _blobs(values: Sequence[bytes]) -> dict[str, Any]:
    return {"collection_bytes": {"bytes": [b64encode(value).decode() for value in values]}}


def _metadata(**values: Any) -> dict[str, dict[str, Any]]:
    """Return the trigger's metadata without nulls, which the host omits."""
    system = {"sys": _json({"MethodName": "function", "UtcNow": "2026-01-02T03:04:05Z", "RandGuid": INVOCATION})}
    return {name: value for name, value in values.items() if value is not None} | system


def _optional(value: str | None) -> dict[str, Any] | None:
    return None if value is None else _text(value)


def _offset(time: datetime | None) -> dict[str, Any]:
    """Write a DateTimeOffset of .NET."""
    return _json("9999-12-31T23:59:59.9999999+00:00" if time is None else time.astimezone(UTC).isoformat())


def _naive(time: datetime | None) -> str:
    """Write a DateTime of .NET, without its zone."""
    return "0001-01-01T00:00:00" if time is None else time.astimezone(UTC).replace(tzinfo=None).isoformat()


def alone(event: Any, service: str, index: int) -> Sent:
    """Return what the host sends for a single event."""
    retries = (event.attempt or 1) - 1 if service in _COUNTED else 0
    return Sent(*_SINGLE[service](event, index), retries)


def _storage_queue(event: Message[Any], index: int) -> tuple[dict[str, Any], dict[str, Any]]:
    return _queued(event.id, event.body, event.time, event.attempt)


def _queued(
    id: str, body: bytes, time: datetime | None, attempt: int | None = None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Write a message of a storage queue.

    Source: Microsoft.Azure.WebJobs.Extensions.Storage.Queues, QueueTriggerBinding.CreateBindingData.
    """
    try:
        text = _text(body.decode())
    except UnicodeDecodeError:
        text = None
    return _bytes(body), _metadata(
        QueueTrigger=text,
        DequeueCount=_json(attempt or 1),
        ExpirationTime=_offset(None),
        Id=_text(id),
        InsertionTime=_offset(time),
        NextVisibleTime=_offset(None),
        PopReceipt=_text("AgAAAAMAAAAAAAAA"),
    )


def _service_bus(event: Message[Any], index: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Write a message of Service Bus.

    Source: Microsoft.Azure.WebJobs.Extensions.ServiceBus, ServiceBusTriggerBindingStrategy.
    """
    properties = _json(_properties(event))
    return _bytes(event.body), _metadata(
        DeliveryCount=_json(event.attempt or 1),
        LockToken=_text(INVOCATION),
        ExpiresAtUtc=_json(_naive(None)),
        EnqueuedTimeUtc=_json(_naive(event.time)),
        MessageId=_text(event.id),
        ContentType=_optional(event.content_type or None),
        SequenceNumber=_json(_number(event.sequence, index)),
        Subject=_optional(event.subject or None),
        Label=_optional(event.subject or None),
        SessionId=_optional(event.key),
        ApplicationProperties=properties,
        UserProperties=properties,
    )


def _event_hubs(event: Message[Any], index: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Write an event of an event hub.

    Source: Microsoft.Azure.WebJobs.Extensions.EventHubs, EventHubTriggerBindingStrategy.
    """
    system = _system(event, index)
    return _bytes(event.body), _metadata(
        PartitionContext=_json(_partition(event)),
        PartitionKey=_optional(event.key),
        Offset=_json(system["Offset"]),
        SequenceNumber=_json(system["SequenceNumber"]),
        EnqueuedTimeUtc=_json(_naive(event.time)),
        Properties=_json(_properties(event)),
        SystemProperties=_json(system),
    )


def _partition(event: Message[Any]) -> dict[str, Any]:
    namespace, slash, hub = event.source.rpartition("/")
    return {
        "IsCheckpointingAfterInvocation": True,
        "FullyQualifiedNamespace": namespace if slash else "",
        "EventHubName": hub,
        "ConsumerGroup": "$Default",
        "PartitionId": event.partition or "0",
    }


def _system(event: Message[Any], index: int) -> dict[str, Any]:
    sequence = _number(event.sequence, index)
    typed = {"content-type": event.content_type} if event.content_type else {}
    return {
        **typed,
        "SequenceNumber": sequence,
        "Offset": sequence * 100,
        "PartitionKey": event.key,
        "EnqueuedTimeUtc": _naive(event.time),
    }


def _kafka(event: Message[Any], index: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Write a Kafka record.

    Source: azure-functions-kafka-extension, KafkaTriggerBindingStrategy.
    """
    return _bytes(event.body), _metadata(
        Key=_optional(event.key),
        Partition=_json(_whole("partition", event.partition or "0")),
        Topic=_text(event.channel),
        Timestamp=_json(_zulu(event.time)),
        Offset=_json(_number(event.sequence, index)),
        Headers=_json(_headers(event)),
    )


def _zulu(time: datetime | None) -> str:
    return "1970-01-01T00:00:00Z" if time is None else write_time(time)


def _headers(event: Message[Any]) -> list[dict[str, str | None]]:
    return [
        {
            "Key": name,
            "Value": None if value is None else b64encode(value.encode() if isinstance(value, str) else value).decode(),
        }
        for name, value in event.attributes.items()
    ]


def _number(sequence: str | None, index: int) -> int:
    return index + 1 if sequence is None else _whole("sequence", sequence)


def _whole(name: str, value: str) -> int:
    try:
        return int(value)
    except ValueError as exc:
        raise ValueError(f"the {name} of a message must be a whole number on Azure, not {value!r}") from exc


def _properties(event: Message[Any]) -> dict[str, str]:
    """Return the properties for JSON, which has no bytes."""
    for name, value in event.attributes.items():
        if not isinstance(value, str):
            raise ValueError(f"the host sends only text in properties, and {name} is bytes")
    return dict(event.attributes)  # type: ignore[arg-type]  # all are text


def together(events: list[Any], service: str) -> Sent:
    """Return what the host sends for events that arrive together."""
    retries = (events[0].attempt or 1) - 1 if service in _COUNTED else 0
    bodies = _blobs([event.body for event in events])
    numbers = [_number(event.sequence, index) for index, event in enumerate(events)]
    if service == "service_bus_settled":
        return Sent(_json([_settleable(event, index) for index, event in enumerate(events)]), {})
    if service == "event_hubs":
        return Sent(
            bodies,
            _metadata(
                PartitionContext=_json(_partition(events[0])),
                PartitionKeyArray=_texts([event.key for event in events]),
                OffsetArray=_texts([str(number * 100) for number in numbers]),
                SequenceNumberArray=_longs(numbers),
                EnqueuedTimeUtcArray=_json([_naive(event.time) for event in events]),
                PropertiesArray=_json([_properties(event) for event in events]),
                SystemPropertiesArray=_json([_system(event, index) for index, event in enumerate(events)]),
            ),
            retries,
        )
    if service == "kafka":
        return Sent(
            bodies,
            _metadata(
                PartitionArray=_json([_whole("partition", event.partition or "0") for event in events]),
                OffsetArray=_longs(numbers),
                TimestampArray=_json([_zulu(event.time) for event in events]),
                TopicArray=_texts([event.channel for event in events]),
                KeyArray=_json([event.key for event in events]),
                HeadersArray=_json([_headers(event) for event in events]),
            ),
            retries,
        )
    properties = _json([_properties(event) for event in events])
    return Sent(
        bodies,
        _metadata(
            DeliveryCountArray=_json([event.attempt or 1 for event in events]),
            LockTokenArray=_texts([INVOCATION for _ in events]),
            EnqueuedTimeUtcArray=_json([_naive(event.time) for event in events]),
            MessageIdArray=_texts([event.id for event in events]),
            ContentTypeArray=_texts([event.content_type for event in events]),
            SequenceNumberArray=_longs(numbers),
            SubjectArray=_texts([event.subject for event in events]),
            LabelArray=_texts([event.subject for event in events]),
            SessionIdArray=_texts([event.key for event in events]),
            ApplicationPropertiesArray=properties,
            UserPropertiesArray=properties,
        ),
    )


def _settleable(event: Message[Any], index: int) -> dict[str, Any]:
    return {
        "message_id": event.id,
        "body": b64encode(event.body).decode(),
        "content_type": event.content_type or None,
        "subject": event.subject or None,
        "session_id": event.key,
        "sequence_number": _number(event.sequence, index),
        "delivery_count": (event.attempt or 1) - 1,
        "enqueued_time_utc": None if event.time is None else event.time.isoformat(),
        "application_properties": _properties(event),
    }


def _blob(event: ObjectEvent[Any], index: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Write a blob.

    Source: Microsoft.Azure.WebJobs.Extensions.Storage.Blobs, BlobTriggerBinding; BlobProperties by Newtonsoft.Json.
    """
    if event.action != "created":
        raise ValueError(f"a blob trigger sends only created objects, not {event.action} ones; use event_grid")
    source = event.source if "://" in event.source else f"https://account.blob.core.windows.net/{event.bucket}"
    body = event.body or b""
    properties = {
        "LastModified": (event.time or datetime(2026, 1, 1, tzinfo=UTC)).isoformat(),
        "CreatedOn": "2026-01-01T00:00:00+00:00",
        "Metadata": dict(event.metadata),
        "BlobType": 0,
        "ContentLength": len(body) if event.size is None else event.size,
        "ContentType": event.content_type or "application/octet-stream",
        "ETag": {},
        "VersionId": event.version,
    }
    return _bytes(body), _metadata(
        BlobTrigger=_text(f"{event.bucket}/{event.key}"),
        Uri=_json(f"{source}/{quote(event.key)}"),
        Properties=_json(properties),
        Metadata=_json(dict(event.metadata)),
        name=_text(event.key),
    )


def _grid(event: Any, index: int) -> tuple[dict[str, Any], dict[str, Any]]:
    return _json(_grid_event(event)), _metadata()


def _grid_event(event: Any) -> dict[str, Any]:
    """Write an event in Event Grid's own schema.

    https://learn.microsoft.com/azure/event-grid/event-schema
    """
    value: dict[str, Any] = {
        "id": event.id,
        "topic": event.source,
        "subject": event.subject,
        "eventType": event.type,
        "dataVersion": "",
        "metadataVersion": "1",
    }
    if event.time is not None:
        value["eventTime"] = write_time(event.time)
    if isinstance(event, ObjectEvent):
        return {**value, **_storage_event(event)}
    value["dataVersion"] = event.extensions.get("dataversion", "")
    if set(event.extensions) - {"dataversion"} or event.schema or event.content_type != "application/json":
        raise ValueError(
            "Event Grid's own schema has only JSON data, no extensions and no data schema; use event_grid_cloud_events"
        )
    try:
        value["data"] = event.read_data()
    except DecodeError as exc:
        raise ValueError(str(exc)) from exc
    return value


def _storage_event(event: ObjectEvent[Any]) -> dict[str, Any]:
    """Write a blob's event in Event Grid's own schema.

    https://learn.microsoft.com/azure/event-grid/event-schema-blob-storage
    """
    type = next(name for name, action in ACTIONS.items() if action == event.action)
    data = {
        "api": "PutBlob" if event.action == "created" else "DeleteBlob",
        "requestId": INVOCATION,
        "eTag": event.etag,
        "contentType": event.content_type,
        "contentLength": event.size,
        "blobType": "BlockBlob",
        "blobVersion": event.version,
        "url": f"https://account.blob.core.windows.net/{event.bucket}/{quote(event.key)}",
        "sequencer": "00000000000004420000000000028963",
    }
    return {
        "eventType": type,
        "subject": f"{CONTAINERS}{event.bucket}/blobs/{event.key}",
        "data": {name: value for name, value in data.items() if value is not None},
    }


def _cloud_event(event: Any, index: int) -> tuple[dict[str, Any], dict[str, Any]]:
    if isinstance(event, CloudEvent):
        return _json(write_structured(event)), _metadata()
    stored = _storage_event(event)
    value = {
        "specversion": "1.0",
        "id": event.id,
        "source": event.source,
        "type": stored["eventType"],
        "subject": stored["subject"],
        "data": stored["data"],
    }
    if event.time is not None:
        value["time"] = write_time(event.time)
    return _json(value), _metadata()


def _grid_in_queue(event: Any, index: int) -> tuple[dict[str, Any], dict[str, Any]]:
    return _queued(f"message of {event.id}"[:60], to_json(_grid_event(event)).encode(), event.time)


def _timer(event: ScheduleEvent[Any], index: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Write a timer's call.

    Source: azure-webjobs-sdk-extensions, TimerInfo and ScheduleStatus.
    """
    if event.input is not None:
        raise ValueError("an Azure timer has no input")
    status = None
    if event.time is not None:
        due = event.time.isoformat()
        status = {"Last": due, "Next": due, "LastUpdated": due}
    info = {"Schedule": {"AdjustForDST": True}, "ScheduleStatus": status, "IsPastDue": event.is_late}
    return _json(info), _metadata(TimerTrigger=_json(info))


def _activity(event: Task[Any], index: int) -> tuple[dict[str, Any], dict[str, Any]]:
    return _text(to_json(event.input)), _metadata(instanceId=_text("instance"))


_SINGLE: dict[str, Callable[[Any, int], tuple[dict[str, Any], dict[str, Any]]]] = {
    "storage_queue": _storage_queue,
    "service_bus_queue": _service_bus,
    "service_bus_sessions": _service_bus,
    "service_bus_settled": _service_bus,
    "service_bus_topic": _service_bus,
    "event_hubs": _event_hubs,
    "kafka": _kafka,
    "blob": _blob,
    "event_grid": _grid,
    "event_grid_cloud_events": _cloud_event,
    "event_grid_storage_queue": _grid_in_queue,
    "timer": _timer,
    "durable_activity": _activity,
}


def rows(events: list[Any], service: str) -> Sent:
    """Return what the host sends for rows, which always arrive together."""
    if service == "sql":
        return Sent(_text(to_json([_sql_row(event) for event in events])), {})
    if service == "mysql":
        if any(event.action == "removed" for event in events):
            raise ValueError("a MySQL trigger sends no removed rows")
        return Sent(_text(to_json([{"Operation": 0, "Item": event.after} for event in events])), {})
    document = _version if service == "cosmos_db_versions" else _document
    retries = (getattr(events[0], "attempt", None) or 1) - 1
    return Sent(_json([document(event, index) for index, event in enumerate(events)]), _metadata(), retries)


def _sql_row(event: ChangeEvent[Any]) -> dict[str, Any]:
    removed = event.action == "removed"
    return {"Operation": SQL_OPERATIONS.index(event.action), "Item": event.key if removed else event.after}


def _document(event: ChangeEvent[Any], index: int) -> dict[str, Any]:
    """Write a document of the change feed.

    https://learn.microsoft.com/azure/cosmos-db/change-feed
    """
    if event.after is None:
        raise ValueError("Cosmos DB's change feed has no removed documents: pass `after`")
    rid, _, etag = event.id.partition(":")
    document = {
        **event.after,
        "_rid": rid,
        "_self": f"dbs/database/colls/{event.table}/docs/{rid}/",
        "_etag": f'"{etag or "0"}"',
        "_attachments": "attachments/",
        "_lsn": _number(event.sequence, index),
    }
    return document if event.time is None else {**document, "_ts": int(event.time.timestamp())}


def _version(event: ChangeEvent[Any], index: int) -> dict[str, Any]:
    """Write a change in the feed's mode "all versions and deletes".

    https://learn.microsoft.com/azure/cosmos-db/nosql/change-feed-modes
    """
    operation = {"inserted": "create", "updated": "replace", "removed": "delete"}[event.action]
    if not isinstance(event.key.get("id"), str):
        raise ValueError(f"the id of a document in Cosmos DB must be a str, not {event.key.get('id')!r}")
    metadata = {"operationType": operation, "lsn": _number(event.sequence, index), "id": event.key["id"]}
    if event.time is not None:
        metadata["crts"] = int(event.time.timestamp())
    versions = {"current": event.after, "previous": event.before}
    return {**{name: value for name, value in versions.items() if value is not None}, "metadata": metadata}
