"""What Google's services can do, by the names of `simulate`."""

from __future__ import annotations

from portable_fn.capabilities import Capability, Service, emulated, impossible, native

_DEADLINE = native("CLOUD_RUN_TIMEOUT_SECONDS")
_ONE = native("each has a request of its own")
_BATCH = emulated("one comes at a time, and a handler of Batch gets it as a batch of one")
_RETRY = native(
    "503, or 429 for Retry(after=…). `gcloud functions deploy` has to be told --retry, else a failed event is dropped"
)
_DELAY = impossible("the subscription's retry policy says how long it waits")
_REJECT = emulated(
    "published over REST to the trigger's dead_letter, a topic of Pub/Sub; else it comes again, and the subscription's own "
    "dead-letter topic gets it in the end",
    needs="dead_letter",
)
_ATTEMPT = native("deliveryAttempt, which Pub/Sub tells where the subscription has a dead-letter policy")
_UNORDERED = impossible("the ordering key arrives, but the subscription that Eventarc makes keeps no order")

_HTTP: dict[str, Capability] = {
    "deadline": native("CLOUD_RUN_TIMEOUT_SECONDS", by_documentation=True),
    "binary body": native(),
    "typed principal": impossible("nobody verifies the headers of IAP, or a bearer token, before the function"),
    "streaming": native(),
    "reply": native(),
}

_MESSAGE = {
    "partial failure": _ONE,
    "retry": _RETRY,
    "retry delay": _DELAY,
    "reject": _REJECT,
    "deadline": _DEADLINE,
    "batch": _BATCH,
    "binary body": native(),
    "attributes": native(),
}

_OBJECT = {
    "partial failure": _ONE,
    "retry": _RETRY,
    "retry delay": _DELAY,
    "reject": _REJECT,
    "deadline": _DEADLINE,
    "deletes": native("an overwritten object is no deleted one"),
}
_OBJECT_OF_EVENTARC = {
    **_OBJECT,
    "deletes": native("a bucket without versions tells an overwritten object as deleted, too"),
}

_CHANGE = {
    "partial failure": _ONE,
    "retry": _RETRY,
    "reject": _REJECT,
    "retry delay": _DELAY,
    "deadline": _DEADLINE,
    "batch": _BATCH,
    "order": impossible("Firestore's events come in any order; `sequence`, the time of the write, tells it"),
    "before-image": native(),
    "deletes": native(),
}

_EVENT = {
    "partial failure": native("each has a request of its own", by_documentation=True),
    "retry": _RETRY,
    "retry delay": _DELAY,
    "reject": _REJECT,
    "deadline": _DEADLINE,
    "binary body": native(),
    "attributes": native(),
    "reply": impossible("Eventarc takes no event in return"),
}

SERVICES = (
    Service("http", "Request", "http", _HTTP),
    Service("http_async", "Request", "http", _HTTP),
    Service(
        "pubsub_push",
        "Message",
        "topic",
        {
            **_MESSAGE,
            "attempt count": _ATTEMPT,
            "order": native("by ordering key, where the subscription has it enabled"),
        },
    ),
    Service(
        "pubsub_push_unwrapped",
        "Message",
        "topic",
        {
            **_MESSAGE,
            "attempt count": impossible("an unwrapped push doesn't tell it"),
            "order": native("by ordering key, where the subscription has it enabled"),
            "attributes": native("as headers, whose names are in lower case"),
        },
    ),
    Service("pubsub_eventarc", "Message", "topic", {**_MESSAGE, "attempt count": _ATTEMPT, "order": _UNORDERED}),
    Service(
        "pubsub_legacy",
        "Message",
        "topic",
        {
            **_MESSAGE,
            "attempt count": impossible("a first-generation event doesn't tell it"),
            "order": _UNORDERED,
        },
    ),
    Service(
        "cloud_tasks",
        "Message",
        "queue",
        {
            **_MESSAGE,
            "retry": native("503, or 429 for Retry(after=…), as often as the queue's retry configuration says"),
            "retry delay": native("by Retry-After", by_documentation=True),
            "reject": emulated(
                "published over REST to the trigger's dead_letter, a topic of Pub/Sub; else it comes again, until the queue's "
                "attempts are used up and it is deleted",
                needs="dead_letter",
                loses=True,
            ),
            "order": impossible("a queue has none"),
            "attempt count": native("TaskRetryCount"),
            "attributes": native("as headers, whose names are in lower case"),
        },
    ),
    Service("storage_eventarc", "ObjectEvent", "object", _OBJECT_OF_EVENTARC),
    Service("storage_notification", "ObjectEvent", "object", _OBJECT, in_messages=True),
    Service("storage_legacy", "ObjectEvent", "object", _OBJECT_OF_EVENTARC),
    Service("firestore", "ChangeEvent", "change", _CHANGE),
    Service("firestore_base64", "ChangeEvent", "change", _CHANGE),
    Service("firestore_legacy", "ChangeEvent", "change", _CHANGE),
    Service(
        "scheduler",
        "ScheduleEvent",
        "schedule",
        {"retry": native("503, as often as the job's retry configuration says"), "deadline": _DEADLINE},
    ),
    Service("eventarc", "CloudEvent", "event", _EVENT),
    Service("eventarc_structured", "CloudEvent", "event", _EVENT),
    Service(
        "eventarc_batched",
        "CloudEvent",
        "event",
        {
            **_EVENT,
            "partial failure": impossible("a batch has one answer: all of it comes again"),
        },
    ),
    Service("pubsub_structured", "CloudEvent", "event", _EVENT, in_messages=True),
    Service(
        "workflows",
        "Task",
        "task",
        {
            "retry": native("by the workflow's policy: the answer has the error's name, and 503 for a Retry"),
            "reply": native(),
            "deadline": _DEADLINE,
        },
    ),
    Service(
        "bigquery",
        "Task",
        "task",
        {
            "retry": native("BigQuery retries a 500 or 503", by_documentation=True),
            "reply": emulated("a reply for each call of a list of calls"),
            "deadline": _DEADLINE,
        },
    ),
)
