"""What can be had of the services that send events to a container over HTTP."""

from __future__ import annotations

from portable_fn.capabilities import Capability, Service, emulated, impossible, native

_ONE = impossible("each request has one event")
_NO_ATTEMPT = impossible("Knative tells no number of the delivery")
_NO_DEADLINE = impossible("the sender doesn't tell how long it waits")

_KNATIVE: dict[str, Capability] = {
    "partial failure": native("each event is a request"),
    "retry": native("503"),
    "retry delay": native("Retry-After, in whole seconds, which Knative obeys with its feature delivery-retryafter"),
    "reject": native("400: to the dead-letter sink where one is set, else it is gone", by_documentation=True),
    "order": impossible("events are sent side by side; an ordered KafkaSource waits for each", by_documentation=True),
    "attempt count": _NO_ATTEMPT,
    "deadline": _NO_DEADLINE,
    "batch": _ONE,
    "binary body": native(),
    "attributes": native("extensions"),
}
_DAPR: dict[str, Capability] = {
    "partial failure": native(),
    "retry": native('"RETRY"'),
    "retry delay": impossible("Dapr waits as its resiliency policy or its broker says"),
    "reject": native(
        'published to dead_letter by the sidecar, else "DROP", for which Dapr sends it there; without a dead_letter it is retried',
        needs="dead_letter",
    ),
    "order": impossible("Dapr doesn't promise any for its components as a whole", by_documentation=True),
    "attempt count": native("as Service Bus tells it; other brokers tell none"),
    "deadline": _NO_DEADLINE,
    "binary body": native("in data_base64"),
    "attributes": native("texts: extensions, and what the broker calls metadata, by lower-case name"),
}
_BINDING = {
    "partial failure": native("each event is a request"),
    "retry": native("anything but 200, where the component or a resiliency policy retries"),
    "retry delay": impossible("Dapr waits as its resiliency policy or its component says"),
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
            "deadline": impossible("the server doesn't tell how long the client waits"),
            "typed principal": impossible("nobody has verified the caller: the function does, or a proxy before it"),
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
            "batch": native("Batch[Message], or concurrency, has Dapr send bulks"),
        },
    ),
    Service(
        "dapr_binding",
        "Message",
        "queue",
        {
            **_BINDING,
            "order": impossible("Dapr doesn't promise any for its components as a whole", by_documentation=True),
            "attempt count": native("as storage queues tell it; other components tell none"),
            "binary body": native(),
            "attributes": native("texts, by lower-case name, where the component hands them on"),
        },
    ),
    Service("cloud_event", "ObjectEvent", "object", {**_KNATIVE, "deletes": native()}),
    Service(
        "cloud_event",
        "ChangeEvent",
        "change",
        {**_KNATIVE, "before-image": native("where the sender has it"), "deletes": native()},
    ),
    Service("cloud_event", "ScheduleEvent", "schedule", _KNATIVE),
    Service("dapr_job", "ScheduleEvent", "schedule", _BINDING),
    Service(
        "dapr_cron",
        "ScheduleEvent",
        "schedule",
        {**_BINDING, "retry": native("where a resiliency policy for it retries")},
    ),
    Service("binary", "CloudEvent", "event", {**_KNATIVE, "reply": native()}),
    Service("structured", "CloudEvent", "event", {**_KNATIVE, "reply": native()}),
    Service(
        "batched",
        "CloudEvent",
        "event",
        {
            **_KNATIVE,
            "partial failure": impossible("a batch has one answer: where one event fails, all come again"),
            "reject": emulated("400 where all of the batch are rejected, else the whole batch comes again"),
            "batch": native(),
            "reply": impossible("a batch has one answer"),
        },
    ),
    Service(
        "post", "Task", "task", {"deadline": _NO_DEADLINE, "reply": native(), "retry": impossible("the caller decides")}
    ),
)
