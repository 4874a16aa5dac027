"""List the stories of events that can't hold on a service, with the reason. Tests check that they fail there."""

from __future__ import annotations

from portable_fn.providers import adapter

# Services whose messages have their own form (a mail, log lines), so a story can't choose the content.
OWN_CONTENT = {("aws", "logs"), ("aws", "ses"), ("cloudflare", "email")}
RUN_ON_OWN_CONTENT = {
    "Message: it has the id that the provider gave it",
    "Message: its id stays the same when it is redelivered",
    "Message: its time is aware, in UTC",
    "Message: the function knows how much time is left",
}

# Everybody may call over HTTP.
NO_ERRORS = {
    "Task: an error reaches the caller by its name and message": "over HTTP the caller sees only errors raised for it, such as a "
    "Reject, and the rest only with entry(…, task_errors=True)"
}
WAITS = "Message: a retry waits as long as the handler says"
_LEFT = "{}: the function knows how much time is left"
SHORT = "Message: those not started when time runs short are redelivered"
ORDER = "Message: those after a failed one of the same key are redelivered, unhandled"
KEY = "Message: its key arrives"
ATTEMPT = "Message: the attempt is counted from 1"
ATTRIBUTES = "Message: its attributes arrive as text"
CONTENT = "Message: its content type arrives"
BYTES = "Message: bytes stay bytes"
TWICE = "Message: one that is twice in a batch is handled once"
ITSELF = "Message: a failed one costs only itself"
APART = "Message: several failed ones are reported one by one"
BEFORE = "Message: those before a failed one are acknowledged"
DEAD = "Message: a rejected one is dead-lettered"
UNREAD = "Message: one with unreadable data is dead-lettered"
UNREAD_OF_BATCH = "Message: a batch is handled without the one with unreadable data"
ONE_AGAIN = "Message: a batch handler can retry one of them"
ROW_BEFORE = "ChangeEvent: those before a failed one are acknowledged"
ROW_ORDER = "ChangeEvent: those after a failed one are redelivered, unhandled"
ROW_OLD = "ChangeEvent: an updated row arrives with its old values too"
ROW_NEW = "ChangeEvent: an inserted row arrives with its values"
ROW_GONE = "ChangeEvent: a removed row arrives as such"
ROW_KEY = "ChangeEvent: the row's key arrives"
DUE = "ScheduleEvent: it arrives with the time it was due"
LATE = "ScheduleEvent: a late one says so"
INPUT = "ScheduleEvent: its input arrives"
BATCH = "Message: a batch arrives whole"
ROW_BATCH = "ChangeEvent: a batch arrives whole"
ROW_WAITS = "ChangeEvent: a retry waits as long as the handler says"
OBJECT_WAITS = "ObjectEvent: a retry waits as long as the handler says"
EVENT_BEFORE = "CloudEvent: those before a failed one are acknowledged"
REPLY = "CloudEvent: a returned one is the reply"
EVENT_WAITS = "CloudEvent: a retry waits as long as the handler says"
EVENT_DEAD = "CloudEvent: a rejected one is dead-lettered"
EVENT_BYTES = "CloudEvent: bytes stay bytes"
EVENT_UNREAD = "CloudEvent: one with unreadable data is dead-lettered"
SUBJECT = "CloudEvent: its subject arrives"
EXTENSIONS = "CloudEvent: its extensions arrive"

# Providers without a deadline, on every service.
NO_DEADLINES = {
    "asgi": "the sender doesn't say how long it waits",
    "azure": "Azure gives the worker no deadline",
    "cloudflare": "the runtime gives no deadline",
}


def because(reason: str, *stories: str) -> dict[str, str]:
    """Return the stories with one reason for all."""
    return dict.fromkeys(stories, reason)


ONE_BY_ONE = {
    **because("each message is a separate call", TWICE, ORDER, BATCH),
    **because("each message is a separate call with its own time", SHORT),
}
UNORDERED = {**ONE_BY_ONE, ORDER: "it has no order"}
NO_KEY = because("it has no keys", KEY)
KAFKA_CONTENT = because("a Kafka record has only headers, which are all attributes", CONTENT)

# Google: each message is an HTTP request.
PUSH_WAITS = because("the subscription's retry policy sets the time, whatever the answer", WAITS)
EVENTARC_WAITS = because("Eventarc's own retry policy sets the time", EVENT_WAITS, OBJECT_WAITS, ROW_WAITS)
BUS = {EVENT_WAITS: EVENTARC_WAITS[EVENT_WAITS], REPLY: "an event has no reply"}
NO_ATTEMPT = because("it doesn't send the attempt", ATTEMPT)
ROW_ONE_BY_ONE = because("each change is a separate call", ROW_ORDER, ROW_BATCH)
FIRESTORE = {**ROW_ONE_BY_ONE, ROW_WAITS: EVENTARC_WAITS[ROW_WAITS]}
STORAGE = because("the retry policies of Eventarc and Pub/Sub set the time", OBJECT_WAITS)
GCP = {
    ("gcp", "pubsub_push"): {
        **PUSH_WAITS,
        **because("each message is a separate call", TWICE, BATCH),
        SHORT: ONE_BY_ONE[SHORT],
    },
    ("gcp", "pubsub_push_unwrapped"): {
        **PUSH_WAITS,
        **NO_ATTEMPT,
        **because("each message is a separate call", TWICE, BATCH),
        SHORT: ONE_BY_ONE[SHORT],
    },
    ("gcp", "pubsub_eventarc"): {**PUSH_WAITS, **ONE_BY_ONE},
    ("gcp", "pubsub_legacy"): {**PUSH_WAITS, **NO_ATTEMPT, **ONE_BY_ONE},
    ("gcp", "cloud_tasks"): {**UNORDERED, **NO_KEY},
    ("gcp", "firestore"): FIRESTORE,
    ("gcp", "firestore_base64"): FIRESTORE,
    ("gcp", "firestore_legacy"): FIRESTORE,
    ("gcp", "eventarc"): BUS,
    ("gcp", "eventarc_structured"): BUS,
    ("gcp", "eventarc_batched"): {**BUS, EVENT_BEFORE: "a batch of events has one answer"},
    ("gcp", "pubsub_structured"): BUS,
    ("gcp", "storage_eventarc"): STORAGE,
    ("gcp", "storage_notification"): STORAGE,
    ("gcp", "storage_legacy"): STORAGE,
    ("gcp", "bigquery"): {
        **because(
            "a remote function takes and returns a list",
            "Task: it passes a value in and a value out",
            "Task: the reason of a Reject reaches the caller",
        ),
        **NO_ERRORS,
    },
    ("gcp", "workflows"): NO_ERRORS,
}

# Containers: there is no deadline.
NO_DEADLINE = because(NO_DEADLINES["asgi"], SHORT)
DAPR_WAITS = because("Dapr's resiliency policy or broker sets the time", WAITS)
ASGI = {
    ("asgi", "cloud_event"): {
        **ONE_BY_ONE,
        **NO_DEADLINE,
        ATTEMPT: "Knative sends no number of the delivery",
        **ROW_ONE_BY_ONE,
    },
    ("asgi", "dapr_pubsub"): {**ONE_BY_ONE, **NO_DEADLINE, **DAPR_WAITS},
    ("asgi", "dapr_bulk"): {**NO_DEADLINE, **DAPR_WAITS},
    ("asgi", "dapr_binding"): {
        **ONE_BY_ONE,
        **NO_DEADLINE,
        **DAPR_WAITS,
        **because("a binding has no dead letters; a rejected message is retried", DEAD, UNREAD, UNREAD_OF_BATCH),
        CONTENT: "the content type of a binding's request is Dapr's own",
    },
    ("asgi", "batched"): {
        EVENT_BEFORE: "a batch of events has one answer",
        REPLY: "a batch of events has no reply",
    },
    ("asgi", "post"): NO_ERRORS,
    ("asgi", "dapr_job"): because("Dapr sends no time of a job", DUE, LATE),
    ("asgi", "dapr_cron"): because("a cron binding has no input", INPUT),
}

# Cloudflare: a queue delivers a batch without order or attributes.
NO_ATTRIBUTES = because("it has no attributes", ATTRIBUTES)
NO_CLOCK = because("the runtime gives no deadline", SHORT)
QUEUES = {**NO_ATTRIBUTES, **NO_CLOCK, **NO_KEY, ORDER: "it has no order", REPLY: "a message has no reply"}
CLOUDFLARE = {
    ("cloudflare", "queue"): QUEUES,
    ("cloudflare", "queue_raw"): {story: why for story, why in QUEUES.items() if story != REPLY},
    ("cloudflare", "scheduled"): because("a cron trigger has no input", INPUT),
}

# Azure: Azure gives the worker no deadline, and a batch succeeds or is redelivered as a whole.
HOST_WAITS = because("host.json or the entity sets the time", WAITS)
WHOLE = because("a batch succeeds or is redelivered as a whole", ONE_AGAIN)
SERVICE_BUS = {
    **because("each message is a separate call", TWICE),
    **NO_CLOCK,
    **HOST_WAITS,
    **WHOLE,
    ORDER: "it has no order without sessions",
}
PARTITION = {
    **NO_CLOCK,
    **HOST_WAITS,
    **WHOLE,
    **because("a partition waits for the event that is retried", ITSELF, APART),
    **because("each message is a separate call", TWICE),
}
EVENT_GRID = {
    **because("Event Grid's own retry policy sets the time", EVENT_WAITS, OBJECT_WAITS),
    REPLY: "an event has no reply",
}
ROW_WHOLE = because("the retry policy sets the time", ROW_WAITS) | because(
    "a batch of rows succeeds or is redelivered as a whole", ROW_BEFORE, ROW_ORDER
)
AZURE = {
    ("azure", "storage_queue"): {
        **UNORDERED,
        **NO_CLOCK,
        **HOST_WAITS,
        **NO_KEY,
        **NO_ATTRIBUTES,
        CONTENT: "a message of Queue storage is only text",
    },
    ("azure", "service_bus_queue"): SERVICE_BUS,
    ("azure", "service_bus_topic"): SERVICE_BUS,
    ("azure", "service_bus_sessions"): {story: why for story, why in SERVICE_BUS.items() if story != ORDER},
    ("azure", "service_bus_settled"): {**NO_CLOCK, **HOST_WAITS},
    ("azure", "event_hubs"): PARTITION,
    ("azure", "kafka"): {**PARTITION, **KAFKA_CONTENT},
    ("azure", "event_grid_storage_queue"): because("host.json sets the time", OBJECT_WAITS),
    ("azure", "timer"): because("a timer has no input", INPUT),
    ("azure", "event_grid"): {
        **because(
            "Event Grid's own schema has no extensions and only JSON data", EXTENSIONS, EVENT_BYTES, EVENT_UNREAD
        ),
        **EVENT_GRID,
    },
    ("azure", "event_grid_cloud_events"): EVENT_GRID,
    ("azure", "blob"): {
        **because("host.json sets the time", OBJECT_WAITS),
        "ObjectEvent: a deleted one arrives as such, with its odd key": "the blob trigger sends no deletions",
    },
    ("azure", "cosmos_db"): {
        **ROW_WHOLE,
        **because("the change feed has only the current row, and not what happened", ROW_NEW, ROW_OLD, ROW_GONE),
    },
    ("azure", "cosmos_db_versions"): ROW_WHOLE,
    ("azure", "sql"): {
        **ROW_WHOLE,
        ROW_OLD: "the trigger has only the current row",
        ROW_KEY: "the trigger doesn't say which columns are the key",
    },
    ("azure", "mysql"): {
        **ROW_WHOLE,
        **because("the trigger has only the current row, and not what happened", ROW_NEW, ROW_OLD, ROW_GONE),
        ROW_KEY: "the trigger doesn't say which columns are the key",
    },
}

# AWS.
TEXT = because("it carries only text; an attribute can hold bytes", BYTES)
NO_REPLY = because("an event has no reply", REPLY)
STREAM_WAITS = because("the mapping redelivers at once", WAITS, ROW_WAITS, EVENT_WAITS)
INVOKED_AGAIN = because("Lambda retries after 1 and 2 minutes", WAITS, OBJECT_WAITS, EVENT_WAITS)
CHECKPOINT = because("a checkpoint redelivers everything after a failure", ITSELF, APART)
NO_ORDER = because("it has no order", ORDER)
ALL_OR_NOTHING = because("the mapping knows only a failed batch", BEFORE, ITSELF, APART, ONE_AGAIN, SHORT, ORDER)
EVENTBRIDGE = {
    **because("an event of EventBridge has no subject", SUBJECT),
    **because("an event of EventBridge has no extensions", EXTENSIONS),
    **because("an event of EventBridge is JSON", EVENT_BYTES, EVENT_UNREAD),
    **NO_REPLY,
}


def only(reasons: dict[str, str], *stories: str) -> dict[str, str]:
    """Return some of the stories, with their reasons."""
    return {story: reasons[story] for story in stories}


_SQS = {**TEXT, **NO_ORDER, **NO_KEY}
_SNS = {
    **TEXT,
    **NO_KEY,
    **NO_ATTEMPT,
    **only(INVOKED_AGAIN, WAITS),
    **because("each message is a separate call", TWICE, BATCH, SHORT, ORDER),
}
_KINESIS = {
    **CHECKPOINT,
    **NO_ATTEMPT,
    **NO_ATTRIBUTES,
    **only(STREAM_WAITS, WAITS),
    CONTENT: "a Kinesis record is only bytes",
}
_KAFKA = {**CHECKPOINT, **NO_ATTEMPT, **KAFKA_CONTENT, **only(STREAM_WAITS, WAITS)}
_MQ = {**ALL_OR_NOTHING, **NO_ATTEMPT, **NO_KEY, **only(STREAM_WAITS, WAITS)}
_ACTIVEMQ = {**_MQ, CONTENT: "the event source mapping sends a message's JMS type, but no content type"}
_PIPES_WAIT = because("the pipe's source sets the time", WAITS)
AWS = {
    ("aws", "sqs"): _SQS,
    ("aws", "sqs_fifo"): TEXT,
    ("aws", "sns"): _SNS,
    ("aws", "sns_sqs"): _SQS,
    ("aws", "sns_sqs_raw"): _SQS,
    ("aws", "sns_sqs_fifo"): TEXT,
    ("aws", "kinesis"): _KINESIS,
    ("aws", "kafka"): _KAFKA,
    ("aws", "self_managed_kafka"): _KAFKA,
    ("aws", "activemq"): _ACTIVEMQ,
    ("aws", "rabbitmq"): _MQ,
    ("aws", "pipes_sqs"): {**_SQS, **_PIPES_WAIT},
    ("aws", "pipes_kinesis"): _KINESIS,
    ("aws", "pipes_kafka"): _KAFKA,
    ("aws", "pipes_activemq"): _ACTIVEMQ,
    ("aws", "pipes_rabbitmq"): _MQ,
    ("aws", "dynamodb"): only(STREAM_WAITS, ROW_WAITS),
    ("aws", "dynamodb_kinesis"): only(STREAM_WAITS, ROW_WAITS),
    ("aws", "pipes_dynamodb"): only(STREAM_WAITS, ROW_WAITS),
    ("aws", "docdb"): {
        **only(STREAM_WAITS, ROW_WAITS),
        **because("the mapping knows only a failed batch", ROW_BEFORE, ROW_ORDER),
    },
    ("aws", "s3"): only(INVOKED_AGAIN, OBJECT_WAITS),
    ("aws", "s3_sns"): only(INVOKED_AGAIN, OBJECT_WAITS),
    ("aws", "s3_eventbridge"): only(INVOKED_AGAIN, OBJECT_WAITS),
    ("aws", "eventbridge"): {**EVENTBRIDGE, **only(INVOKED_AGAIN, EVENT_WAITS)},
    ("aws", "eventbridge_sns"): {**EVENTBRIDGE, **only(INVOKED_AGAIN, EVENT_WAITS)},
    ("aws", "eventbridge_sqs"): EVENTBRIDGE,
    ("aws", "cloudevent_sqs"): NO_REPLY,
    ("aws", "cloudevent_sns"): {**NO_REPLY, **only(INVOKED_AGAIN, EVENT_WAITS)},
    ("aws", "cloudevent_kinesis"): {**NO_REPLY, **only(STREAM_WAITS, EVENT_WAITS)},
    ("aws", "scheduler_input"): because("with its own input Scheduler sends no time", DUE, LATE),
    ("aws", "scheduler_sqs"): because("with its own input a schedule's message looks like any other", INPUT),
}

ALL_THAT_CANNOT: dict[tuple[str, str], dict[str, str]] = {**AWS, **GCP, **ASGI, **CLOUDFLARE, **AZURE}


def cannot(provider: str) -> dict[str, dict[str, str]]:
    """Return, for each service of the provider, the stories that can't hold there, with the reason."""
    reasons: dict[str, dict[str, str]] = {}
    for kind, services in adapter(provider, "simulate").EVENT_SERVICES.items():
        for service in services if provider in NO_DEADLINES else ():
            reasons.setdefault(service, {})[_LEFT.format(kind)] = NO_DEADLINES[provider]
    for (name, service), stories in ALL_THAT_CANNOT.items():
        if name == provider:
            reasons.setdefault(service, {}).update(stories)
    return reasons


def can_run(provider: str, service: str, story: str) -> bool:
    """Return whether the story can run there at all."""
    return (provider, service) not in OWN_CONTENT or story in RUN_ON_OWN_CONTENT
