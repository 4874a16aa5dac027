"""Declare what Google's services can do, by the names of `simulate`."""

from __future__ import annotations

from portable_fn.adapter.capabilities import Capability, Service, emulated, impossible, native

_DEADLINE = native("CLOUD_RUN_TIMEOUT_SECONDS")
_ONE = native("each is a separate request")
_BATCH = emulated("a batch of one: messages arrive one at a time")
_RETRY = native("503, or 429 for Retry(after=…). Pass --retry to `gcloud functions deploy`, or it drops failed events")
_DELAY = impossible("the subscription's retry policy sets the time")
_REJECT = emulated(
    "published over REST to the Pub/Sub topic dead_letter; otherwise retried, until the subscription's own dead-letter topic "
    "takes it",
    needs="dead_letter",
)
_ATTEMPT = native("deliveryAttempt, if the subscription has a dead-letter policy")
_UNORDERED = impossible("the ordering key arrives, but Eventarc's subscription keeps no order")

_HTTP: dict[str, Capability] = {
    "deadline": native("CLOUD_RUN_TIMEOUT_SECONDS", by_documentation=True),
    "binary body": native(),
    "typed principal": impossible("nothing verifies IAP's headers or a bearer token before the function"),
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
    "deletes": native("an overwritten object isn't deleted"),
}
_OBJECT_OF_EVENTARC = {
    **_OBJECT,
    "deletes": native("in a bucket without versions an overwritten object is sent as deleted, too"),
}

_CHANGE = {
    "partial failure": _ONE,
    "retry": _RETRY,
    "reject": _REJECT,
    "retry delay": _DELAY,
    "deadline": _DEADLINE,
    "batch": _BATCH,
    "order": impossible("Firestore's events arrive in any order; compare `sequence`, the time of the write"),
    "before-image": native(),
    "deletes": native(),
}

_EVENT = {
    "partial failure": native("each is a separate request", by_documentation=True),
    "retry": _RETRY,
    "retry delay": _DELAY,
    "reject": _REJECT,
    "deadline": _DEADLINE,
    "binary body": native(),
    "attributes": native(),
    "reply": impossible("Eventarc ignores a returned event"),
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
            "order": native("by ordering key, if the subscription has it enabled"),
        },
    ),
    Service(
        "pubsub_push_unwrapped",
        "Message",
        "topic",
        {
            **_MESSAGE,
            "attempt count": impossible("an unwrapped push doesn't send it"),
            "order": native("by ordering key, if the subscription has it enabled"),
            "attributes": native("as headers, with names in lower case"),
        },
    ),
    Service("pubsub_eventarc", "Message", "topic", {**_MESSAGE, "attempt count": _ATTEMPT, "order": _UNORDERED}),
    Service(
        "pubsub_legacy",
        "Message",
        "topic",
        {
            **_MESSAGE,
            "attempt count": impossible("a first-generation event doesn't have it"),
            "order": _UNORDERED,
        },
    ),
    Service(
        "cloud_tasks",
        "Message",
        "queue",
        {
            **_MESSAGE,
            "retry": native("503, or 429 for Retry(after=…), by the queue's retry configuration"),
            "retry delay": native("by Retry-After", by_documentation=True),
            "reject": emulated(
                "published over REST to the Pub/Sub topic dead_letter; otherwise retried, until the queue's last attempt, then "
                "deleted",
                needs="dead_letter",
                loses=True,
            ),
            "order": impossible("a queue keeps no order"),
            "attempt count": native("TaskRetryCount"),
            "attributes": native("as headers, with names in lower case"),
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
        {"retry": native("503, by the job's retry configuration"), "deadline": _DEADLINE},
    ),
    Service("eventarc", "CloudEvent", "event", _EVENT),
    Service("eventarc_structured", "CloudEvent", "event", _EVENT),
    Service(
        "eventarc_batched",
        "CloudEvent",
        "event",
        {
            **_EVENT,
            "partial failure": impossible("a batch has one answer: all of it is redelivered"),
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
            "reply": emulated("a list of replies for the list of calls"),
            "deadline": _DEADLINE,
        },
    ),
)
