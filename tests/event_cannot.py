"""Which story of events can't hold on which service, with the reason: each is tested to fail there."""

from __future__ import annotations

from portable_fn.providers import adapter

# Services whose messages have a form of their own (a mail, log lines), so that no story can say what is in them.
OWN_CONTENT = {("aws", "logs"), ("aws", "ses"), ("cloudflare", "email")}
TOLD_ON_OWN_CONTENT = {
    "Message: it has the id that the provider gave it",
    "Message: redelivered it has the id that it had",
    "Message: its time is aware, in UTC",
    "Message: the function knows how much time is left",
}

# Anybody may call over HTTP.
NO_ERRORS = {
    "Task: an error reaches the caller by its name and message": "over HTTP the caller sees what was raised for him, such as a "
    "Reject, and the rest only with entry(…, task_errors=True)"
}
WAITS = "Message: a retry waits as long as the handler says"
_LEFT = "{}: the function knows how much time is left"
SHORT = "Message: those not begun when time runs short come again"
ORDER = "Message: what follows a failed one of its key comes again, unhandled"
KEY = "Message: its key arrives"
ATTEMPT = "Message: the attempt is counted from 1"
ATTRIBUTES = "Message: its attributes arrive as text"
CONTENT = "Message: its content type arrives"
BYTES = "Message: bytes stay bytes"
TWICE = "Message: one that comes twice in a batch is handled once"
ITSELF = "Message: a failed one costs only itself"
APART = "Message: several that fail are each told apart"
BEFORE = "Message: what came before a failed one is done"
DEAD = "Message: a rejected one is dead-lettered"
UNREAD = "Message: one whose data can't be read is dead-lettered"
UNREAD_OF_BATCH = "Message: a batch is handled without the one whose data can't be read"
ONE_AGAIN = "Message: a batch handler can have one of them come again"
ROW_BEFORE = "ChangeEvent: what came before a failed one is done"
ROW_ORDER = "ChangeEvent: what follows a failed one comes again, unhandled"
ROW_OLD = "ChangeEvent: an updated row arrives with its old values too"
ROW_NEW = "ChangeEvent: an inserted row arrives with its values"
ROW_GONE = "ChangeEvent: a removed row arrives as such"
ROW_KEY = "ChangeEvent: what identifies the row arrives"
DUE = "ScheduleEvent: it comes with the time at which it was due"
LATE = "ScheduleEvent: one that is late says so"
INPUT = "ScheduleEvent: its input arrives"
BATCH = "Message: a batch arrives whole"
ROW_BATCH = "ChangeEvent: a batch arrives whole"
ROW_WAITS = "ChangeEvent: a retry waits as long as the handler says"
OBJECT_WAITS = "ObjectEvent: a retry waits as long as the handler says"
EVENT_BEFORE = "CloudEvent: what came before a failed one is done"
REPLY = "CloudEvent: one that is returned is the reply"
EVENT_WAITS = "CloudEvent: a retry waits as long as the handler says"
EVENT_DEAD = "CloudEvent: a rejected one is dead-lettered"
EVENT_BYTES = "CloudEvent: bytes stay bytes"
EVENT_UNREAD = "CloudEvent: one whose data can't be read is dead-lettered"
SUBJECT = "CloudEvent: its subject arrives"
EXTENSIONS = "CloudEvent: its extensions arrive"

# Providers that tell no deadline, whatever the service.
NO_DEADLINES = {
    "asgi": "the sender doesn't tell how long it waits",
    "azure": "the worker tells no deadline",
    "cloudflare": "the runtime tells no deadline",
}


def because(reason: str, *stories: str) -> dict[str, str]:
    """The stories, all for one reason."""
    return dict.fromkeys(stories, reason)


ONE_BY_ONE = {
    **because("each message is a call of its own", TWICE, ORDER, BATCH),
    **because("each message is a call of its own, with time of its own", SHORT),
}
UNORDERED = {**ONE_BY_ONE, ORDER: "it has no order"}
NO_KEY = because("it has no keys", KEY)
KAFKA_CONTENT = because("a record of Kafka has headers alone, and all of them are attributes", CONTENT)

# Google: each message is an HTTP request.
PUSH_WAITS = because("Pub/Sub waits as the subscription's retry policy says, whatever the answer", WAITS)
EVENTARC_WAITS = because("Eventarc waits as its own retry policy says", EVENT_WAITS, OBJECT_WAITS, ROW_WAITS)
BUS = {EVENT_WAITS: EVENTARC_WAITS[EVENT_WAITS], REPLY: "nobody takes a reply to an event"}
NO_ATTEMPT = because("it doesn't tell the attempt", ATTEMPT)
ROW_ONE_BY_ONE = because("each change is a call of its own", ROW_ORDER, ROW_BATCH)
FIRESTORE = {**ROW_ONE_BY_ONE, ROW_WAITS: EVENTARC_WAITS[ROW_WAITS]}
STORAGE = because("Eventarc and Pub/Sub wait as their own retry policies say", OBJECT_WAITS)
GCP = {
    ("gcp", "pubsub_push"): {
        **PUSH_WAITS,
        **because("each message is a call of its own", TWICE, BATCH),
        SHORT: ONE_BY_ONE[SHORT],
    },
    ("gcp", "pubsub_push_unwrapped"): {
        **PUSH_WAITS,
        **NO_ATTEMPT,
        **because("each message is a call of its own", TWICE, BATCH),
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
            "a remote function takes and gives a list",
            "Task: a value comes in and a value goes out",
            "Task: the reason of a Reject reaches the caller",
        ),
        **NO_ERRORS,
    },
    ("gcp", "workflows"): NO_ERRORS,
}

# Containers: nobody tells a deadline.
NO_DEADLINE = because(NO_DEADLINES["asgi"], SHORT)
DAPR_WAITS = because("Dapr waits as its resiliency policy or its broker says", WAITS)
ASGI = {
    ("asgi", "cloud_event"): {
        **ONE_BY_ONE,
        **NO_DEADLINE,
        ATTEMPT: "Knative tells no number of the delivery",
        **ROW_ONE_BY_ONE,
    },
    ("asgi", "dapr_pubsub"): {**ONE_BY_ONE, **NO_DEADLINE, **DAPR_WAITS},
    ("asgi", "dapr_bulk"): {**NO_DEADLINE, **DAPR_WAITS},
    ("asgi", "dapr_binding"): {
        **ONE_BY_ONE,
        **NO_DEADLINE,
        **DAPR_WAITS,
        **because("a binding has no dead letters; a rejected message comes again", DEAD, UNREAD, UNREAD_OF_BATCH),
        CONTENT: "the content type of a binding's request is Dapr's own",
    },
    ("asgi", "batched"): {
        EVENT_BEFORE: "a batch of events has one answer",
        REPLY: "a batch of events has no reply",
    },
    ("asgi", "post"): NO_ERRORS,
    ("asgi", "dapr_job"): because("Dapr tells no time of a job", DUE, LATE),
    ("asgi", "dapr_cron"): because("a cron binding has no input", INPUT),
}

# Cloudflare: a queue hands over a batch without order or attributes.
NO_ATTRIBUTES = because("it has no attributes", ATTRIBUTES)
NO_CLOCK = because("the runtime tells no deadline", SHORT)
QUEUES = {**NO_ATTRIBUTES, **NO_CLOCK, **NO_KEY, ORDER: "it has no order", REPLY: "nobody takes a reply to a message"}
CLOUDFLARE = {
    ("cloudflare", "queue"): QUEUES,
    ("cloudflare", "queue_raw"): {story: why for story, why in QUEUES.items() if story != REPLY},
    ("cloudflare", "scheduled"): because("a cron trigger has no input", INPUT),
}

# Azure: the worker tells no deadline, and a batch is done or comes again as a whole.
HOST_WAITS = because("the host waits as host.json or the entity says", WAITS)
WHOLE = because("a batch is done or comes again as a whole", ONE_AGAIN)
SERVICE_BUS = {
    **because("each message is a call of its own", TWICE),
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
    **because("each message is a call of its own", TWICE),
}
EVENT_GRID = {
    **because("Event Grid waits as its own retry policy says", EVENT_WAITS, OBJECT_WAITS),
    REPLY: "nobody takes a reply to an event",
}
ROW_WHOLE = because("the host waits as the retry policy says", ROW_WAITS) | because(
    "a batch of rows is done or comes again as a whole", ROW_BEFORE, ROW_ORDER
)
AZURE = {
    ("azure", "storage_queue"): {
        **UNORDERED,
        **NO_CLOCK,
        **HOST_WAITS,
        **NO_KEY,
        **NO_ATTRIBUTES,
        CONTENT: "a message of Queue storage is a text alone",
    },
    ("azure", "service_bus_queue"): SERVICE_BUS,
    ("azure", "service_bus_topic"): SERVICE_BUS,
    ("azure", "service_bus_sessions"): {story: why for story, why in SERVICE_BUS.items() if story != ORDER},
    ("azure", "service_bus_settled"): {**NO_CLOCK, **HOST_WAITS},
    ("azure", "event_hubs"): PARTITION,
    ("azure", "kafka"): {**PARTITION, **KAFKA_CONTENT},
    ("azure", "event_grid_storage_queue"): because("the host waits as host.json says", OBJECT_WAITS),
    ("azure", "timer"): because("a timer has no input", INPUT),
    ("azure", "event_grid"): {
        **because(
            "Event Grid's own schema has no extensions and no data but JSON", EXTENSIONS, EVENT_BYTES, EVENT_UNREAD
        ),
        **EVENT_GRID,
    },
    ("azure", "event_grid_cloud_events"): EVENT_GRID,
    ("azure", "blob"): {
        **because("the host waits as host.json says", OBJECT_WAITS),
        "ObjectEvent: a deleted one arrives as such, with its odd key": "the blob trigger tells of no deletion",
    },
    ("azure", "cosmos_db"): {
        **ROW_WHOLE,
        **because(
            "the change feed has the row as it is now, and doesn't say what happened", ROW_NEW, ROW_OLD, ROW_GONE
        ),
    },
    ("azure", "cosmos_db_versions"): ROW_WHOLE,
    ("azure", "sql"): {
        **ROW_WHOLE,
        ROW_OLD: "the trigger has the row as it is now",
        ROW_KEY: "the trigger doesn't say which columns are the key",
    },
    ("azure", "mysql"): {
        **ROW_WHOLE,
        **because("the trigger has the row as it is now, and doesn't say what happened", ROW_NEW, ROW_OLD, ROW_GONE),
        ROW_KEY: "the trigger doesn't say which columns are the key",
    },
}

# AWS.
TEXT = because("it carries text alone; an attribute can have bytes", BYTES)
NO_REPLY = because("nobody takes a reply to an event", REPLY)
STREAM_WAITS = because("the mapping has it again at once", WAITS, ROW_WAITS, EVENT_WAITS)
INVOKED_AGAIN = because("Lambda invokes it again after one minute and after two", WAITS, OBJECT_WAITS, EVENT_WAITS)
CHECKPOINT = because("a checkpoint has all that follows a failure come again", ITSELF, APART)
NO_ORDER = because("it has no order", ORDER)
ALL_OR_NOTHING = because(
    "the mapping knows no failure but the whole batch's", BEFORE, ITSELF, APART, ONE_AGAIN, SHORT, ORDER
)
EVENTBRIDGE = {
    **because("an event of EventBridge has no subject", SUBJECT),
    **because("an event of EventBridge has no extensions", EXTENSIONS),
    **because("an event of EventBridge is JSON", EVENT_BYTES, EVENT_UNREAD),
    **NO_REPLY,
}


def only(reasons: dict[str, str], *stories: str) -> dict[str, str]:
    """Some of the stories, for their reasons."""
    return {story: reasons[story] for story in stories}


_SQS = {**TEXT, **NO_ORDER, **NO_KEY}
_SNS = {
    **TEXT,
    **NO_KEY,
    **NO_ATTEMPT,
    **only(INVOKED_AGAIN, WAITS),
    **because("each message is a call of its own", TWICE, BATCH, SHORT, ORDER),
}
_KINESIS = {
    **CHECKPOINT,
    **NO_ATTEMPT,
    **NO_ATTRIBUTES,
    **only(STREAM_WAITS, WAITS),
    CONTENT: "a record of Kinesis is bytes alone",
}
_KAFKA = {**CHECKPOINT, **NO_ATTEMPT, **KAFKA_CONTENT, **only(STREAM_WAITS, WAITS)}
_MQ = {**ALL_OR_NOTHING, **NO_ATTEMPT, **NO_KEY, **only(STREAM_WAITS, WAITS)}
_ACTIVEMQ = {**_MQ, CONTENT: "the event source mapping tells the JMS type of a message and no content type"}
_PIPES_WAIT = because("a pipe waits as its source does", WAITS)
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
        **because("the mapping knows no failure but the whole batch's", ROW_BEFORE, ROW_ORDER),
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
    ("aws", "scheduler_input"): because("with an input of its own Scheduler tells no time", DUE, LATE),
    ("aws", "scheduler_sqs"): because(
        "with an input of its own nothing tells a schedule's message from another", INPUT
    ),
}

_CANNOT: dict[tuple[str, str], dict[str, str]] = {**AWS, **GCP, **ASGI, **CLOUDFLARE, **AZURE}


def cannot(provider: str) -> dict[str, dict[str, str]]:
    """For each service of the provider, the stories that can't hold there, with the reason."""
    found: dict[str, dict[str, str]] = {}
    for kind, services in adapter(provider, "simulate").EVENT_SERVICES.items():
        for service in services if provider in NO_DEADLINES else ():
            found.setdefault(service, {})[_LEFT.format(kind)] = NO_DEADLINES[provider]
    for (name, service), stories in _CANNOT.items():
        if name == provider:
            found.setdefault(service, {}).update(stories)
    return found


def told(provider: str, service: str, story: str) -> bool:
    """Whether the story can be told there at all."""
    return (provider, service) not in OWN_CONTENT or story in TOLD_ON_OWN_CONTENT
