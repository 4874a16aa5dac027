"""What AWS's services can do with a function's events, as data."""

from __future__ import annotations

from portable_fn.capabilities import Capability, Service, emulated, impossible, native

_DEADLINE = native("the function's timeout")
_TIMEOUT = native("the function's timeout", by_documentation=True)
_REPORT = "batchItemFailures, which the event source mapping takes with ReportBatchItemFailures alone; without it they are lost"
_REJECT = emulated(
    "sent by SendMessage to the SQS queue that the trigger's dead_letter names; else it is retried, until the source's own "
    "redrive policy or destination takes it",
    needs="dead_letter",
)
_ALONE = native("each is an invocation of its own")
_TEXT = impossible("it carries text alone")
_NO_ATTEMPT = impossible("it isn't told")
_TWICE = native("two more times, then the function's dead-letter queue or destination takes it, or it is lost")
_NO_WAIT = impossible("Lambda waits as it does for every asynchronous invocation, 1 and 2 minutes")
_STREAM_WAIT = impossible("a stream comes again at once")
_BATCH = native("up to the mapping's batch size")
_OF_ONE = emulated("a batch has one")
_UNORDERED = impossible("it keeps no order")

_HTTP: dict[str, Capability] = {
    "deadline": _TIMEOUT,
    "binary body": native(),
    "typed principal": native("JWT, IAM, Lambda authorizers, client certificates"),
    "streaming": emulated("by `python -m portable_fn_aws.runtime`; with awslambdaric a stream is collected"),
    "reply": native(),
}
_ALB = {
    **_HTTP,
    "typed principal": impossible("a load balancer hands over what its own authentication verified as headers"),
    "streaming": impossible("a load balancer takes whole answers"),
}
_LATTICE_V1 = {
    **_ALB,
    "typed principal": impossible("event structure 1 tells no caller"),
    "streaming": impossible("VPC Lattice takes whole answers"),
}
_LATTICE_V2 = {**_LATTICE_V1, "typed principal": native("the IAM caller")}

_SQS: dict[str, Capability] = {
    "partial failure": native(_REPORT),
    "retry": native("after the visibility timeout, until the redrive policy's maxReceiveCount"),
    "retry delay": emulated(
        "by ChangeMessageVisibility, which the function's role must be allowed, up to 11 hours 45 minutes"
    ),
    "reject": _REJECT,
    "order": impossible("a standard queue keeps none"),
    "attempt count": native("ApproximateReceiveCount"),
    "deadline": _DEADLINE,
    "batch": _BATCH,
    "binary body": _TEXT,
    "attributes": native("up to ten"),
}
_FIFO = {
    **_SQS,
    "order": native("within a message group; the others of the batch go on"),
    "partial failure": native(f"the failed and what follows it in its group: {_REPORT}"),
}
_SNS = {
    "partial failure": _ALONE,
    "retry": _TWICE,
    "retry delay": _NO_WAIT,
    "reject": _REJECT,
    "order": impossible("a topic keeps none on its way to a function; a FIFO topic goes to a FIFO queue"),
    "attempt count": _NO_ATTEMPT,
    "deadline": _DEADLINE,
    "batch": _OF_ONE,
    "binary body": _TEXT,
    "attributes": native(),
}
_KINESIS = {
    "partial failure": native(f"the first failed one of a shard, and all that follow: {_REPORT}"),
    "retry": native("the shard waits for it, until the mapping's limits or the record's expiry"),
    "retry delay": _STREAM_WAIT,
    "reject": _REJECT,
    "order": native("within a shard"),
    "attempt count": _NO_ATTEMPT,
    "deadline": _DEADLINE,
    "batch": native("up to the mapping's batch size, with the state of a tumbling window"),
    "binary body": native(),
    "attributes": impossible("a record is its data and its key"),
}
_KAFKA = {
    **_KINESIS,
    "partial failure": native(
        f"the first failed one of a partition, and all that follow: {_REPORT}", by_documentation=True
    ),
    "retry": native("the partition waits for it, by default without end"),
    "order": native("within a partition"),
    "batch": _BATCH,
    "attributes": native("headers"),
}
_MQ = {
    "partial failure": impossible("a batch is done or comes again as a whole"),
    "retry": native("the whole batch comes again"),
    "retry delay": impossible("the batch comes again when Lambda polls"),
    "reject": _REJECT,
    "order": _UNORDERED,
    "attempt count": impossible("it is only told whether a message was delivered before"),
    "deadline": _DEADLINE,
    "batch": _BATCH,
    "binary body": native(),
    "attributes": native("properties, or headers"),
}
_LOGS = {
    "partial failure": native("each is an invocation of its own", by_documentation=True),
    "retry": native("two more times", by_documentation=True),
    "retry delay": _NO_WAIT,
    "reject": _REJECT,
    "order": _UNORDERED,
    "attempt count": _NO_ATTEMPT,
    "deadline": _DEADLINE,
    "batch": emulated("a subscription's batch of log events is one message"),
    "binary body": _TEXT,
    "attributes": impossible("all is in the body"),
}
_SES = {
    **_LOGS,
    "batch": _OF_ONE,
    "binary body": impossible("the mail's own text isn't handed over"),
    "attributes": native("the mail's headers", by_documentation=True),
}
_PIPE = "a pipe takes a target's batchItemFailures without being told to"

_OBJECT = {
    "partial failure": _ALONE,
    "retry": _TWICE,
    "retry delay": _NO_WAIT,
    "reject": _REJECT,
    "deadline": _DEADLINE,
    "deletes": native(),
}
_OBJECT_SQS = {
    **_OBJECT,
    "partial failure": native(_REPORT),
    "retry": _SQS["retry"],
    "retry delay": _SQS["retry delay"],
}

_ROWS = {
    "partial failure": native(f"the first failed one of a shard, and all that follow: {_REPORT}"),
    "retry": _KINESIS["retry"],
    "retry delay": _STREAM_WAIT,
    "reject": _REJECT,
    "order": native("within a shard, and so for each row"),
    "deadline": _DEADLINE,
    "batch": _KINESIS["batch"],
    "before-image": native("with the stream's view type NEW_AND_OLD_IMAGES"),
    "deletes": native(),
}
_DOCDB = {
    **_ROWS,
    "partial failure": _MQ["partial failure"],
    "retry": native("the whole batch comes again"),
    "order": emulated("what follows a failed one isn't begun, and the whole batch comes again"),
    "batch": _BATCH,
    "before-image": native("where the collection keeps pre-images", by_documentation=True),
}

_SCHEDULE = {"retry": native("as the schedule's or the rule's retry policy says"), "deadline": _DEADLINE}
_BUS = {
    "partial failure": native("each is an invocation of its own", by_documentation=True),
    "retry": _TWICE,
    "retry delay": _NO_WAIT,
    "reject": _REJECT,
    "deadline": _DEADLINE,
    "binary body": impossible("the detail of an event is a JSON object"),
    "attributes": impossible("an event has account, region and resources, and no attributes of one's own"),
    "reply": impossible("nobody waits for an answer"),
}
_BUS_SQS = {
    **_BUS,
    "partial failure": native(_REPORT, by_documentation=True),
    "retry": _SQS["retry"],
    "retry delay": _SQS["retry delay"],
}
_STRUCTURED = {"binary body": native("as data_base64"), "attributes": native("extensions")}

_SERVICES: dict[str, dict[str, tuple[str, dict[str, Capability]]]] = {
    "Request": {
        "http_api": ("http", _HTTP),
        "function_url": ("http", _HTTP),
        "rest_api": ("http", _HTTP),
        "alb": ("http", _ALB),
        "alb_multi_value": ("http", _ALB),
        "lattice_v1": ("http", _LATTICE_V1),
        "lattice_v2": ("http", _LATTICE_V2),
    },
    "Message": {
        "sqs": ("queue", _SQS),
        "sqs_fifo": ("queue", _FIFO),
        "sns": ("topic", _SNS),
        "sns_sqs": ("topic", _SQS),
        "sns_sqs_fifo": ("topic", _FIFO),
        "sns_sqs_raw": ("topic", _SQS),
        "kinesis": ("stream", _KINESIS),
        "kafka": ("stream", _KAFKA),
        "self_managed_kafka": ("stream", _KAFKA),
        "activemq": ("queue", _MQ),
        "rabbitmq": ("queue", _MQ),
        "logs": ("topic", _LOGS),
        "ses": ("topic", _SES),
        "pipes_sqs": (
            "queue",
            {**_SQS, "partial failure": native(_PIPE), "retry delay": impossible("a pipe tells no receipt")},
        ),
        "pipes_kinesis": ("stream", {**_KINESIS, "partial failure": native(_PIPE), "batch": _BATCH}),
        "pipes_kafka": ("stream", {**_KAFKA, "partial failure": native(_PIPE, by_documentation=True)}),
        "pipes_activemq": ("queue", _MQ),
        "pipes_rabbitmq": ("queue", _MQ),
    },
    "ObjectEvent": {
        "s3": ("object", _OBJECT),
        "s3_sqs": ("object", _OBJECT_SQS),
        "s3_sns": ("object", _OBJECT),
        "s3_sns_sqs": ("object", _OBJECT_SQS),
        "s3_sns_sqs_raw": ("object", _OBJECT_SQS),
        "s3_eventbridge": ("object", _OBJECT),
        "s3_eventbridge_sqs": ("object", _OBJECT_SQS),
        "s3_eventbridge_sns_sqs": ("object", _OBJECT_SQS),
    },
    "ChangeEvent": {
        "dynamodb": ("change", _ROWS),
        "docdb": ("change", _DOCDB),
        "dynamodb_kinesis": ("change", _ROWS),
        "pipes_dynamodb": ("change", {**_ROWS, "partial failure": native(_PIPE), "batch": _BATCH}),
    },
    "ScheduleEvent": {
        "scheduler": ("schedule", _SCHEDULE),
        "scheduled_rule": ("schedule", _SCHEDULE),
        "scheduler_input": ("schedule", _SCHEDULE),
        "scheduler_sqs": ("schedule", {"retry": _SQS["retry"], "deadline": _DEADLINE}),
    },
    "CloudEvent": {
        "eventbridge": ("event", _BUS),
        "eventbridge_sqs": ("event", _BUS_SQS),
        "eventbridge_sns": ("event", _BUS),
        "cloudevent_sqs": ("event", {**_BUS_SQS, **_STRUCTURED}),
        "cloudevent_sns": ("event", {**_BUS, **_STRUCTURED}),
        "cloudevent_kinesis": (
            "event",
            {**_BUS, **_STRUCTURED, "retry": _KINESIS["retry"], "retry delay": _STREAM_WAIT},
        ),
    },
    "Task": {
        "invoke": (
            "task",
            {
                "retry": emulated(
                    "the error's class and message reach the caller, whose policy decides (Step Functions' Retry and Catch)"
                ),
                "deadline": _DEADLINE,
                "reply": native(),
            },
        )
    },
}

_IN_MESSAGES = ("_sqs", "_sqs_raw", "_sns", "_kinesis")

SERVICES: tuple[Service, ...] = tuple(
    Service(name, kind, word, features, in_messages=kind != "Message" and name.endswith(_IN_MESSAGES))
    for kind, services in _SERVICES.items()
    for name, (word, features) in services.items()
)
