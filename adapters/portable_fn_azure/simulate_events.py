"""Azure's half of the wire for what isn't HTTP: events as the host hands them to the worker, and what becomes of them.

The shapes are those of the host's extensions; `Sent` is what the host tells a worker by gRPC, in protobuf's JSON.
"""

from __future__ import annotations

import json
import sys
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from datetime import UTC, datetime
from types import ModuleType, SimpleNamespace
from typing import Any
from urllib.parse import quote
from warnings import catch_warnings, simplefilter

from portable_fn import on
from portable_fn.adapter import bindings
from portable_fn.binding import Binding, is_awaitable
from portable_fn.cloudevents import write_structured, write_time
from portable_fn.data import to_json
from portable_fn.events import ChangeEvent, CloudEvent, Event, Message, ObjectEvent, ScheduleEvent, Task
from portable_fn.record import Record
from portable_fn.testing.delivery import Delivery, Raised, Settled
from portable_fn.testing.loop import run
from portable_fn_azure.changes import SQL_OPERATIONS
from portable_fn_azure.decode import FunctionInvocation
from portable_fn_azure.objects import ACTIONS, CONTAINERS

EVENT_SERVICES: dict[str, tuple[str, ...]] = {
    "Message": (
        "storage_queue",
        "service_bus_queue",
        "service_bus_sessions",
        "service_bus_settled",
        "service_bus_topic",
        "event_hubs",
        "kafka",
    ),
    "ObjectEvent": ("event_grid", "event_grid_cloud_events", "blob", "event_grid_storage_queue"),
    "ChangeEvent": ("cosmos_db", "cosmos_db_versions", "sql", "mysql"),
    "CloudEvent": ("event_grid_cloud_events", "event_grid"),
    "ScheduleEvent": ("timer",),
    "Task": ("durable_activity",),
}

# A service here that is one of the adapter's with something chosen.
_ADAPTERS = {
    "service_bus_sessions": "service_bus_queue",
    "service_bus_settled": "service_bus_queue",
    "event_grid_cloud_events": "event_grid",
    "event_grid_storage_queue": "storage_queue",
    "cosmos_db_versions": "cosmos_db",
}
INVOCATION = "00000000-0000-4000-8000-000000000001"
TOPIC = "/subscriptions/0/resourceGroups/group/providers/Microsoft.Storage/storageAccounts/account"
_COUNTED = ("event_hubs", "kafka", "cosmos_db", "cosmos_db_versions", "timer")


class TraceContext:
    """The trace of the worker's context; the real one is continued by the host."""

    def __init__(self, parent: str, state: str) -> None:
        self.trace_parent = parent
        self.trace_state = state


class FunctionContext:
    """The context that the worker hands over."""

    def __init__(self, trace: TraceContext) -> None:
        from threading import local

        self.invocation_id = "00000000-0000-4000-8000-000000000001"
        self.function_name = "http"
        self.function_directory = "/home/site/wwwroot"
        self.trace_context = trace
        self.retry_context: Any = None
        self.thread_local_storage: Any = local()


class Sent(Record):
    """What the host sends for one invocation: the trigger's data and metadata as TypedData, and the retry's number."""

    _fields = ("data", "metadata", "retry_count")

    def __init__(self, data: dict[str, Any], metadata: dict[str, dict[str, Any]], retry_count: int = 0) -> None:
        self.data = data
        self.metadata = metadata
        self.retry_count = retry_count


class Arrival(Record):
    """Events that reach the host together: `each` by itself, and `many` at once, whichever the function's binding asks for."""

    _fields = ("keys", "each", "many")

    def __init__(self, keys: list[object], each: list[Sent], many: Sent | None) -> None:
        self.keys = keys
        self.each = each
        self.many = many


class Invoked(Record):
    """How an invocation for the events at `indices` ended: with an `error` or with what it `returned` and put `out`.

    `settled` has what became of each by a call of its own, `retries` says whether the host invokes it again.
    """

    _fields = ("indices", "error", "returned", "out", "settled", "retries")

    def __init__(
        self,
        indices: list[int],
        error: Raised | None,
        returned: Any = None,
        out: Sequence[Any] = (),
        settled: Mapping[int, Settled] | None = None,
        retries: bool = True,
    ) -> None:
        self.indices = indices
        self.error = error
        self.returned = returned
        self.out = list(out)
        self.settled = settled or {}
        self.retries = retries


def payloads(events: Sequence[Event[Any]], service: str) -> list[Any]:
    """What reaches the host: the events together where the service hands over several at once, else each by itself."""
    if service in (
        "event_hubs",
        "kafka",
        "service_bus_queue",
        "service_bus_sessions",
        "service_bus_settled",
        "service_bus_topic",
    ):
        each = [_one(event, service, index) for index, event in enumerate(events)]
        return [Arrival([_place(event, service) for event in events], each, _many(list(events), service))]
    if service in ("cosmos_db", "cosmos_db_versions", "sql", "mysql"):
        return [Arrival([None] * len(events), [], _rows(list(events), service))]
    return [Arrival([None], [_one(event, service, index)], None) for index, event in enumerate(events)]


@contextmanager
def playing(service: str) -> Iterator[None]:
    """The package that settles messages one by one, where it is asked for and isn't installed."""
    names = ("azurefunctions", "azurefunctions.extensions", "azurefunctions.extensions.bindings", _EXTENSION)
    if service != "service_bus_settled" or _EXTENSION in sys.modules:
        yield
        return
    kept = {name: sys.modules.get(name) for name in names}
    for name in names:
        sys.modules.setdefault(name, ModuleType(name))
    vars(sys.modules[_EXTENSION]).update(ServiceBusReceivedMessage=SimpleNamespace, ServiceBusMessageActions=_Actions)
    try:
        yield
    finally:
        for name, module in kept.items():
            if module is None:
                del sys.modules[name]


def invoker(targets: tuple[object, ...], service: str, seconds: float) -> Callable[[Any], Any]:
    """The host, the worker and the function app: gives how each invocation ended that came of an arrival."""
    wired = _wired(targets, service)
    many = wired.many

    def invoke(arrival: Arrival) -> list[Invoked]:
        if arrival.many is not None and (many or not arrival.each):
            return [wired.invoke(arrival.many, list(range(len(arrival.keys))))]
        invoked: list[Invoked] = []
        stopped: set[object] = set()
        for index, sent in enumerate(arrival.each):
            key = arrival.keys[index]
            if key is not None and key in stopped:
                continue
            one = wired.invoke(sent, [index])
            invoked.append(one)
            if one.error is not None and one.retries:
                stopped.add(key)
        return invoked

    return invoke


def settled(events: Sequence[Event[Any]], service: str, answers: Sequence[Any]) -> Delivery:
    """What became of each event, as the host and the service have it."""
    found: dict[int, Settled] = {}
    error: Raised | None = None
    result: Any = None
    offset = 0
    for answer in answers:
        # An error that reaches the host before a function is called has everything come again.
        invocations = answer if isinstance(answer, list) else [Invoked([0], answer)]
        for one in invocations:
            result, error = one.returned, one.error or error
            bodies = list(one.out)
            for index in one.indices:
                if service == "service_bus_settled":
                    # One that nobody settles comes again when its lock ends.
                    found[index] = one.settled.get(index, Settled("retried"))
                else:
                    found[offset + index] = _outcome(one, events[offset + index], bodies)
        offset += 1 if len(answers) == len(events) else len(events)
    # What the host holds back behind one that it tries again.
    each = [found.get(index, Settled("retried")) for index in range(len(events))]
    return Delivery(each, result=result, error=None if error is None else (error.name, error.message))


def _outcome(one: Invoked, event: Event[Any], bodies: list[bytes]) -> Settled:
    if one.error is not None:
        return Settled("retried" if one.retries else "lost")
    for body in bodies:
        if len(one.indices) == 1 or _is_of(body, event):
            bodies.remove(body)
            return Settled("dead-lettered")
    return Settled("acknowledged")


def _is_of(body: bytes, event: Event[Any]) -> bool:
    """Whether the dead letter is of that event, of several."""
    if isinstance(event, Message):
        return body == event.body
    row = json.loads(body)
    return all(row[name] == json.loads(to_json(getattr(event, name))) for name in ("key", "after") if name in row)


class _Wired:
    """A function of a function app, called as the worker calls it."""

    def __init__(self, function: Any, service: str) -> None:
        self.service = service
        self.name = function.get_function_name()
        self.user_function: Any = function.get_user_function()
        trigger = function.get_trigger()
        self.type = trigger.type
        self.many = "many" in str(getattr(trigger, "cardinality", "")).lower()
        self.output = next((one for one in function.get_bindings() if one.name == "rejected"), None)
        self.retries = self.type not in _LOST or bool(function.get_settings_dict("retry_policy"))

    def invoke(self, sent: Sent, indices: list[int]) -> Invoked:
        native = self.native(sent)
        arguments: dict[str, Any] = {"event": native, "context": _context(self.name, sent.retry_count)}
        out = _Out()
        actions = _Actions(native)
        if self.service == "service_bus_settled":
            arguments["actions"] = actions
        elif self.output is not None:
            arguments["rejected"] = out
        put: list[bytes] = []
        try:
            returned = self.user_function(**arguments)
            if is_awaitable(returned):
                returned = run(returned)
            if self.output is not None and out.get() is not None:
                put = _put(_converter(self.output.type).encode(out.get(), expected_type=None))
            if self.type == "activityTrigger":
                returned = json.loads(_converter(self.type).encode(returned, expected_type=None).value)
            elif returned is not None:
                raise RuntimeError(f"function {self.name!r} without a $return binding returned a non-None value")
        except Exception as exc:
            return Invoked(indices, Raised(type(exc).__name__, str(exc)), settled=actions.settled, retries=self.retries)
        return Invoked(indices, None, returned, put, actions.settled)

    def native(self, sent: Sent) -> Any:
        """What the worker makes of what the host sends."""
        if self.service == "service_bus_settled":
            return [_received(one) for one in json.loads(sent.data["json"])]
        if self.type == "sqlTrigger":
            return _datum(sent.data).value
        metadata = {name: _datum(value) for name, value in sent.metadata.items()}
        with catch_warnings():
            # That of reading a task's input without a type.
            simplefilter("ignore", DeprecationWarning)
            return _converter(self.type).decode(_datum(sent.data), trigger_metadata=metadata)


def _converter(binding: str) -> Any:
    from azure.functions.meta import get_binding_registry

    registry: Any = get_binding_registry  # it has no annotations
    return registry().get(binding)


# What the host forgets where it has no retry policy.
_LOST = ("eventHubTrigger", "kafkaTrigger", "cosmosDBTrigger", "timerTrigger")
_EXTENSION = "azurefunctions.extensions.bindings.servicebus"
# What a function without a trigger of its own is for.
_NAMES = {"object": "uploads", "change": "users"}


def _wired(targets: tuple[object, ...], service: str) -> _Wired:
    from azure.functions import FunctionApp

    from portable_fn_azure.triggers import SERVICES, register

    name = _ADAPTERS.get(service, service)
    words = SERVICES[name].words
    functions = [_for(function, words) for function in bindings(*targets)]
    options: dict[str, dict[str, Any]] = {}
    for function in functions:
        given = options.setdefault(function.name, {})
        if service == "service_bus_sessions":
            given["is_sessions_enabled"] = True
        if name == "cosmos_db" and "/" not in function.triggers[0].name:
            given["database_name"] = "database"
        if service == "cosmos_db_versions":
            given["change_feed_mode"] = "AllVersionsAndDeletes"
    app = FunctionApp()
    register(
        app,
        functions,
        lambda native: FunctionInvocation(native, False),
        set(),
        services=dict.fromkeys(SERVICES[name].words, name),
        connections={},
        options=options,
        settlement=service == "service_bus_settled",
    )
    return _Wired(app.get_functions()[0], service)


def _for(function: Binding, words: Sequence[str]) -> Binding:
    """The function with its triggers for one of the words alone, or with such a one where it has none."""
    fitting = tuple(trigger for trigger in function.triggers if trigger.word in words)
    made = copy(function)
    if "object" in words and function.kind is not ObjectEvent and len(words) > 1:
        words = tuple(word for word in words if word != "object")
    word = "object" if function.kind is ObjectEvent and "object" in words else words[0]
    declared: Any = getattr(on, word)
    name = _NAMES.get(word, "orders")
    if word == "schedule":
        fitting = fitting or (declared("0 3 * * *", name="nightly"),)
    elif word == "event":
        fitting = fitting or (declared(),)
    dead_letter = next((trigger.dead_letter for trigger in function.triggers if trigger.dead_letter), None)
    made.triggers = fitting[:1] or (declared(name, dead_letter=dead_letter) if word != "task" else declared(name),)
    return made


class _Out:
    """azure.functions.Out as the worker makes it."""

    def __init__(self) -> None:
        self._value: Any = None

    def set(self, value: Any) -> None:
        self._value = value

    def get(self) -> Any:
        return self._value


class _Actions:
    """How messages are settled one by one, recorded."""

    def __init__(self, natives: Any = ()) -> None:
        self._natives = natives if isinstance(natives, list) else []
        self.settled: dict[int, Settled] = {}

    def _settle(self, message: Any, settled: Settled) -> None:
        index = next(index for index, one in enumerate(self._natives) if one is message)
        if index in self.settled:
            raise ValueError("the lock of the message is gone: it is settled already")
        self.settled[index] = settled

    def complete(self, message: Any) -> None:
        self._settle(message, Settled("acknowledged"))

    def abandon(self, message: Any) -> None:
        self._settle(message, Settled("retried"))

    def deadletter(self, message: Any, deadletter_reason: str | None = None) -> None:
        self._settle(message, Settled("dead-lettered", why=deadletter_reason or ""))


def _context(name: str, retry_count: int) -> FunctionContext:
    context = FunctionContext(TraceContext("", ""))
    context.function_name = name
    context.retry_context = SimpleNamespace(retry_count=retry_count, max_retry_count=0)
    return context


def _put(datum: Any) -> list[bytes]:
    """The messages that an output binding sends."""
    if datum.type == "json":
        return [one.encode() for one in json.loads(datum.value)]
    return [datum.value if datum.type == "bytes" else datum.value.encode()]


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


def _datum(typed: Mapping[str, Any]) -> Any:
    """The worker's Datum of a TypedData."""
    from azure.functions.meta import Datum

    ((type, value),) = typed.items()
    if type == "bytes":
        value = b64decode(value)
    elif type == "collection_bytes":
        value = SimpleNamespace(bytes=[b64decode(one) for one in value["bytes"]])
    elif type.startswith("collection_"):
        value = SimpleNamespace(**value)
    return Datum(value, type)


def _metadata(**values: Any) -> dict[str, dict[str, Any]]:
    """The trigger's metadata without what is null, which the host leaves out."""
    system = {"sys": _json({"MethodName": "function", "UtcNow": "2026-01-02T03:04:05Z", "RandGuid": INVOCATION})}
    return {name: value for name, value in values.items() if value is not None} | system


def _optional(value: str | None) -> dict[str, Any] | None:
    return None if value is None else _text(value)


def _offset(time: datetime | None) -> dict[str, Any]:
    """A DateTimeOffset of .NET's."""
    return _json("9999-12-31T23:59:59.9999999+00:00" if time is None else time.astimezone(UTC).isoformat())


def _naive(time: datetime | None) -> str:
    """A DateTime of .NET's, whose zone is left out."""
    return "0001-01-01T00:00:00" if time is None else time.astimezone(UTC).replace(tzinfo=None).isoformat()


def _place(event: Event[Any], service: str) -> object:
    """Within what the host, or the broker, waits for an event that it tries again."""
    if service in ("event_hubs", "kafka"):
        return getattr(event, "partition", None) or "0"
    return getattr(event, "key", None) if service == "service_bus_sessions" else None


def _one(event: Any, service: str, index: int) -> Sent:
    """What the host sends for an event that comes by itself."""
    retries = (event.attempt or 1) - 1 if service in _COUNTED else 0
    return Sent(*_SINGLE[service](event, index), retries)


def _storage_queue(event: Message[Any], index: int) -> tuple[dict[str, Any], dict[str, Any]]:
    return _queued(event.id, event.body, event.time, event.attempt)


def _queued(
    id: str, body: bytes, time: datetime | None, attempt: int | None = None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Source: Microsoft.Azure.WebJobs.Extensions.Storage.Queues, QueueTriggerBinding.CreateBindingData."""
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
    """Source: Microsoft.Azure.WebJobs.Extensions.ServiceBus, ServiceBusTriggerBindingStrategy."""
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
    """Source: Microsoft.Azure.WebJobs.Extensions.EventHubs, EventHubTriggerBindingStrategy."""
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
    """Source: azure-functions-kafka-extension, KafkaTriggerBindingStrategy."""
    return _bytes(event.body), _metadata(
        Key=_optional(event.key),
        Partition=_json(int(event.partition or 0)),
        Topic=_text(event.channel),
        Timestamp=_json(_zulu(event.time)),
        Offset=_json(_number(event.sequence, index)),
        Headers=_json(_headers(event)),
    )


def _zulu(time: datetime | None) -> str:
    return "1970-01-01T00:00:00Z" if time is None else write_time(time)


def _headers(event: Message[Any]) -> list[dict[str, str]]:
    return [
        {"Key": name, "Value": b64encode(value.encode() if isinstance(value, str) else value).decode()}
        for name, value in event.attributes.items()
    ]


def _number(sequence: str | None, index: int) -> int:
    return index + 1 if sequence is None else int(sequence)


def _properties(event: Message[Any]) -> dict[str, str]:
    """Properties by JSON, which has no bytes."""
    for name, value in event.attributes.items():
        if isinstance(value, bytes):
            raise ValueError(f"the host has no bytes in properties: {name}")
    return dict(event.attributes)  # type: ignore[arg-type]  # no bytes are left


def _many(events: list[Any], service: str) -> Sent:
    """What the host sends for events that come together."""
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
                PartitionArray=_json([int(event.partition or 0) for event in events]),
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


def _received(value: dict[str, Any]) -> Any:
    """A message of azure.servicebus, which has names and texts of properties as bytes, and the body in parts."""
    body, time = b64decode(value.pop("body")), value.pop("enqueued_time_utc")
    properties = {name.encode(): text.encode() for name, text in value.pop("application_properties").items()}
    return SimpleNamespace(
        **value,
        body=iter([body[:1], body[1:]]),
        enqueued_time_utc=None if time is None else datetime.fromisoformat(time),
        application_properties=properties,
    )


def _blob(event: ObjectEvent[Any], index: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Source: Microsoft.Azure.WebJobs.Extensions.Storage.Blobs, BlobTriggerBinding; BlobProperties by Newtonsoft.Json."""
    if event.action != "created":
        raise ValueError(f"a blob trigger has no {event.action} objects")
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
    """https://learn.microsoft.com/azure/event-grid/event-schema"""
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
        raise ValueError("Event Grid's own schema has no extensions, no schema of the data and no data but JSON")
    value["data"] = event.read_data()
    return value


def _storage_event(event: ObjectEvent[Any]) -> dict[str, Any]:
    """https://learn.microsoft.com/azure/event-grid/event-schema-blob-storage"""
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
    """Source: azure-webjobs-sdk-extensions, TimerInfo and ScheduleStatus."""
    if event.input is not None:
        raise ValueError("a timer has no input")
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


def _rows(events: list[Any], service: str) -> Sent:
    """What the host sends for rows, which always come together."""
    if service == "sql":
        return Sent(_text(to_json([_sql_row(event) for event in events])), {})
    if service == "mysql":
        if any(event.action == "removed" for event in events):
            raise ValueError("a MySQL trigger has no removed rows")
        return Sent(_text(to_json([{"Operation": 0, "Item": event.after} for event in events])), {})
    document = _version if service == "cosmos_db_versions" else _document
    retries = (getattr(events[0], "attempt", None) or 1) - 1
    return Sent(_json([document(event, index) for index, event in enumerate(events)]), _metadata(), retries)


def _sql_row(event: ChangeEvent[Any]) -> dict[str, Any]:
    removed = event.action == "removed"
    return {"Operation": SQL_OPERATIONS.index(event.action), "Item": event.key if removed else event.after}


def _document(event: ChangeEvent[Any], index: int) -> dict[str, Any]:
    """A document of the change feed. https://learn.microsoft.com/azure/cosmos-db/change-feed"""
    if event.after is None:
        raise ValueError("the change feed has no removed documents")
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
    """https://learn.microsoft.com/azure/cosmos-db/nosql/change-feed-modes"""
    operation = {"inserted": "create", "updated": "replace", "removed": "delete"}[event.action]
    metadata = {"operationType": operation, "lsn": _number(event.sequence, index), "id": event.key.get("id")}
    if event.time is not None:
        metadata["crts"] = int(event.time.timestamp())
    versions = {"current": event.after, "previous": event.before}
    return {**{name: value for name, value in versions.items() if value is not None}, "metadata": metadata}
