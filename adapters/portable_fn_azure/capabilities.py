"""Declare what Azure's services can do, and what the adapter does in their place."""

from __future__ import annotations

from portable_fn.adapter.capabilities import Capability, Service, emulated, impossible, native

_NO_DEADLINE = impossible("Azure gives the worker no deadline")
_NO_DELAY = impossible("the host sets the time, by host.json and the service's settings")
_SENT = emulated("sent to the queue dead_letter= by its REST interface", needs="dead_letter")
_WHOLE = impossible("a batch fails as a whole")
_WHOLE_BUT = emulated("the batch is redelivered as a whole; the same process skips what succeeded")
_ONE = native("each message is a separate invocation")
_NO_REMOVED = impossible("it sends no removed rows", loses=True)
_HOLDS = native("the host's policy: for ever, declared by the adapter unless the trigger has one")
_GIVES_UP = native("5 times, then the row is given up", by_documentation=True)
_GRID_RETRY = native("Event Grid's own, for 24 hours, then the dead letters of its subscription", by_documentation=True)

_SERVICE_BUS: dict[str, Capability] = {
    "partial failure": _ONE,
    "retry": native("the message is abandoned"),
    "retry delay": impossible("Service Bus redelivers an abandoned message at once"),
    "reject": _SENT,
    "order": impossible("without sessions there is no order"),
    "attempt count": native(),
    "deadline": _NO_DEADLINE,
    "batch": native("cardinality many; a batch fails as a whole"),
    "binary body": native(),
    "attributes": native(),
}

_GRID_OBJECT = {
    "partial failure": native("each is a separate invocation"),
    "retry": _GRID_RETRY,
    "retry delay": impossible("Event Grid has its own schedule"),
    "reject": _SENT,
    "deadline": _NO_DEADLINE,
    "deletes": native(),
}

SERVICES: tuple[Service, ...] = (
    Service(
        "http",
        "Request",
        "http",
        {
            "deadline": _NO_DEADLINE,
            "binary body": native(),
            "typed principal": native("App Service authentication"),
            "streaming": native("entry(…, streaming=True) with azurefunctions-extensions-http-fastapi"),
            "reply": native(),
        },
    ),
    Service(
        "storage_queue",
        "Message",
        "queue",
        {
            "partial failure": _ONE,
            "retry": native("5 times, then the queue's -poison queue"),
            "retry delay": _NO_DELAY,
            "reject": _SENT,
            "order": impossible("storage queues keep no order"),
            "attempt count": native(),
            "deadline": _NO_DEADLINE,
            "batch": impossible("messages arrive one at a time; a batch of one"),
            "binary body": native(),
            "attributes": impossible("a message is only its body"),
        },
    ),
    Service("service_bus_queue", "Message", "queue", _SERVICE_BUS),
    Service(
        "service_bus_sessions",
        "Message",
        "queue",
        {**_SERVICE_BUS, "order": native("within a session, with is_sessions_enabled", by_documentation=True)},
    ),
    Service(
        "service_bus_settled",
        "Message",
        "queue",
        {
            **_SERVICE_BUS,
            "partial failure": native("entry(…, settlement=True): each message is completed or abandoned by itself"),
            "reject": native("the queue's own dead letters"),
            "order": emulated("after a retried message the rest of its session is retried, too"),
            "batch": native("cardinality many"),
        },
    ),
    Service("service_bus_topic", "Message", "topic", _SERVICE_BUS),
    Service(
        "event_hubs",
        "Message",
        "stream",
        {
            "partial failure": native("each event is a separate invocation, one after the other"),
            "retry": _HOLDS,
            "retry delay": _NO_DELAY,
            "reject": _SENT,
            "order": native("within a partition"),
            "attempt count": native("the host's retries, by its policy"),
            "deadline": _NO_DEADLINE,
            "batch": native("cardinality many; a batch fails as a whole"),
            "binary body": native(),
            "attributes": native("text; bytes in base64"),
        },
    ),
    Service(
        "kafka",
        "Message",
        "stream",
        {
            "partial failure": native("each record is a separate invocation, one after the other"),
            "retry": _HOLDS,
            "retry delay": _NO_DELAY,
            "reject": _SENT,
            "order": native("within a partition"),
            "attempt count": native("the host's retries, by its policy"),
            "deadline": _NO_DEADLINE,
            "batch": native("cardinality many; a batch fails as a whole"),
            "binary body": native(),
            "attributes": native(),
        },
    ),
    Service("event_grid", "ObjectEvent", "object", _GRID_OBJECT),
    Service("event_grid_cloud_events", "ObjectEvent", "object", _GRID_OBJECT),
    Service(
        "blob",
        "ObjectEvent",
        "object",
        {
            "partial failure": native("each is a separate invocation"),
            "retry": native("5 times, then webjobs-blobtrigger-poison"),
            "retry delay": impossible("host.json sets the time"),
            "reject": _SENT,
            "deadline": _NO_DEADLINE,
            "deletes": impossible("a blob trigger sends only created objects; event_grid sends all", loses=True),
        },
    ),
    Service(
        "event_grid_storage_queue",
        "ObjectEvent",
        "queue",
        {
            "partial failure": native("each is a separate invocation"),
            "retry": native("5 times, then the queue's -poison queue"),
            "retry delay": impossible("host.json sets the time"),
            "reject": _SENT,
            "deadline": _NO_DEADLINE,
            "deletes": native(),
        },
    ),
    Service(
        "cosmos_db",
        "ChangeEvent",
        "change",
        {
            "partial failure": _WHOLE_BUT,
            "retry": _HOLDS,
            "retry delay": _NO_DELAY,
            "reject": _SENT,
            "order": native("within a logical partition", by_documentation=True),
            "deadline": _NO_DEADLINE,
            "batch": native("always; it fails as a whole"),
            "before-image": impossible("the feed has only the latest version"),
            "deletes": _NO_REMOVED,
        },
    ),
    Service(
        "cosmos_db_versions",
        "ChangeEvent",
        "change",
        {
            "partial failure": _WHOLE_BUT,
            "retry": _HOLDS,
            "retry delay": _NO_DELAY,
            "reject": _SENT,
            "deadline": _NO_DEADLINE,
            "order": native("within a logical partition", by_documentation=True),
            "batch": native("always; it fails as a whole"),
            "before-image": native("change_feed_mode in options", by_documentation=True),
            "deletes": native("change_feed_mode in options", by_documentation=True),
        },
    ),
    Service(
        "sql",
        "ChangeEvent",
        "change",
        {
            "partial failure": _WHOLE,
            "retry": _GIVES_UP,
            "retry delay": _NO_DELAY,
            "reject": _SENT,
            "order": impossible("change tracking has only a row's latest state"),
            "deadline": _NO_DEADLINE,
            "batch": native("always; it fails as a whole"),
            "before-image": impossible("change tracking keeps no old values"),
            "deletes": native("with only the row's key"),
        },
    ),
    Service(
        "mysql",
        "ChangeEvent",
        "change",
        {
            "partial failure": _WHOLE,
            "retry": _GIVES_UP,
            "retry delay": _NO_DELAY,
            "reject": _SENT,
            "order": impossible("the trigger sees only a row's latest state"),
            "deadline": _NO_DEADLINE,
            "batch": native("always; it fails as a whole"),
            "before-image": impossible("the trigger keeps no old values"),
            "deletes": _NO_REMOVED,
        },
    ),
    Service(
        "event_grid_cloud_events",
        "CloudEvent",
        "event",
        {
            "partial failure": native("each is a separate invocation"),
            "retry": _GRID_RETRY,
            "retry delay": impossible("Event Grid has its own schedule"),
            "reject": _SENT,
            "deadline": _NO_DEADLINE,
            "binary body": native(),
            "attributes": native(),
            "reply": impossible("a trigger returns no answer"),
        },
    ),
    Service(
        "event_grid",
        "CloudEvent",
        "event",
        {
            "partial failure": native("each is a separate invocation"),
            "retry": _GRID_RETRY,
            "retry delay": impossible("Event Grid has its own schedule"),
            "reject": _SENT,
            "deadline": _NO_DEADLINE,
            "binary body": impossible("its own schema has only JSON data"),
            "attributes": impossible("its own schema has no extensions"),
            "reply": impossible("a trigger returns no answer"),
        },
    ),
    Service(
        "timer",
        "ScheduleEvent",
        "schedule",
        {
            "retry": native("the host's policy: 5 times, declared by the adapter unless the trigger has one"),
            "retry delay": _NO_DELAY,
            "deadline": _NO_DEADLINE,
        },
    ),
    Service(
        "durable_activity",
        "Task",
        "task",
        {
            "retry": native("the orchestrator's, which sees the error's name and message"),
            "deadline": _NO_DEADLINE,
            "reply": native(),
        },
    ),
)
