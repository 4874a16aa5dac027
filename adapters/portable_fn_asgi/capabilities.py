"""Declare what the services that send events to a container can do."""

from __future__ import annotations

from portable_fn.adapter.capabilities import Capability, Service, emulated, impossible, native

_ONE = impossible("each request has one event")
_NO_ATTEMPT = impossible("Knative sends no number of the delivery")
_NO_DEADLINE = impossible("the sender doesn't say how long it waits")

_KNATIVE: dict[str, Capability] = {
    "partial failure": native("each event is a request"),
    "retry": native("503"),
    "retry delay": native("Retry-After in whole seconds; Knative needs its feature delivery-retryafter"),
    "reject": native("400: to the dead-letter sink; without a sink the event is gone", by_documentation=True),
    "order": impossible("events are sent side by side, except by an ordered KafkaSource", by_documentation=True),
    "attempt count": _NO_ATTEMPT,
    "deadline": _NO_DEADLINE,
    "batch": _ONE,
    "binary body": native(),
    "attributes": native("extensions"),
}
_DAPR: dict[str, Capability] = {
    "partial failure": native(),
    "retry": native('"RETRY"'),
    "retry delay": impossible("Dapr's resiliency policy or broker sets the time"),
    "reject": native(
        'published to dead_letter by the sidecar; if that fails "DROP": Dapr sends it there. Without a dead_letter it is retried',
        needs="dead_letter",
    ),
    "order": impossible("Dapr promises no order for its components in general", by_documentation=True),
    "attempt count": native("from Service Bus; other brokers send none"),
    "deadline": _NO_DEADLINE,
    "binary body": native("in data_base64"),
    "attributes": native("text: extensions, and the broker's metadata, by lower-case name"),
}
_BINDING = {
    "partial failure": native("each event is a request"),
    "retry": native("an answer other than 200, if the component or a resiliency policy retries"),
    "retry delay": impossible("Dapr's resiliency policy or component sets the time"),
    "reject": emulated("retried: a binding has no dead letters"),
    "deadline": _NO_DEADLINE,
    "batch": _ONE,
}

SERVICES = (
    Service(
        "http",
        "Request",
        "http",
        {
            "binary body": native(),
            "streaming": native(),
            "reply": native(),
            "deadline": impossible("the server doesn't say how long the client waits"),
            "typed principal": impossible("nothing has verified the caller: do it in the function or in a proxy"),
        },
    ),
    Service(
        "cloud_event",
        "Message",
        "queue",
        _KNATIVE,
    ),
    Service("dapr_pubsub", "Message", "topic", {**_DAPR, "batch": _ONE}),
    Service(
        "dapr_bulk",
        "Message",
        "topic",
        {
            **_DAPR,
            "order": emulated("by key within a bulk"),
            "batch": native("with Batch[Message] or concurrency= Dapr sends bulks"),
        },
    ),
    Service(
        "dapr_binding",
        "Message",
        "queue",
        {
            **_BINDING,
            "order": impossible("Dapr promises no order for its components in general", by_documentation=True),
            "attempt count": native("from storage queues; other components send none"),
            "binary body": native(),
            "attributes": native("text, by lower-case name, if the component passes it on"),
        },
    ),
    Service("cloud_event", "ObjectEvent", "object", {**_KNATIVE, "deletes": native()}),
    Service(
        "cloud_event",
        "ChangeEvent",
        "change",
        {**_KNATIVE, "before-image": native("if the sender has it"), "deletes": native()},
    ),
    Service("cloud_event", "ScheduleEvent", "schedule", _KNATIVE),
    Service("dapr_job", "ScheduleEvent", "schedule", _BINDING),
    Service(
        "dapr_cron",
        "ScheduleEvent",
        "schedule",
        {**_BINDING, "retry": native("if a resiliency policy for it retries")},
    ),
    Service("binary", "CloudEvent", "event", {**_KNATIVE, "reply": native()}),
    Service("structured", "CloudEvent", "event", {**_KNATIVE, "reply": native()}),
    Service(
        "batched",
        "CloudEvent",
        "event",
        {
            **_KNATIVE,
            "partial failure": impossible("a batch has one answer: if one event fails, all are redelivered"),
            "reject": emulated("400 if all of the batch are rejected, otherwise the whole batch is redelivered"),
            "batch": native(),
            "reply": impossible("a batch has one answer"),
        },
    ),
    Service(
        "post", "Task", "task", {"deadline": _NO_DEADLINE, "reply": native(), "retry": impossible("the caller decides")}
    ),
)
