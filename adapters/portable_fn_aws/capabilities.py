"""Declare what AWS's services can do."""

from __future__ import annotations

from portable_fn.adapter.capabilities import Capability, Service, emulated, impossible, native

_DEADLINE = native("the function's timeout")
_TIMEOUT = native("the function's timeout", by_documentation=True)
_REPORT = "batchItemFailures: set ReportBatchItemFailures on the event source mapping, or they are lost"
_REJECT = emulated(
    "sent by SendMessage to the SQS queue dead_letter; otherwise retried, until the source's redrive policy or destination "
    "takes it",
    needs="dead_letter",
)
_ALONE = native("each is a separate invocation")
_TEXT = impossible("it carries only text")
_NO_ATTEMPT = impossible("AWS doesn't send it")
_TWICE = native("2 more tries, then the function's dead-letter queue or destination; without one it is lost")
_NO_WAIT = impossible("Lambda waits 1 and 2 minutes, as for every asynchronous invocation")
_STREAM_WAIT = impossible("a stream is redelivered at once")
_BATCH = native("up to the mapping's batch size")
_OF_ONE = emulated("a batch of one")
_UNORDERED = impossible("it keeps no order")

_HTTP: dict[str, Capability] = {
    "deadline": _TIMEOUT,
    "binary body": native(),
    "typed principal": native("JWT, IAM, Lambda authorizers, client certificates"),
    "streaming": emulated("by `python -m portable_fn_aws.runtime`; awslambdaric gets a stream collected"),
    "reply": native(),
}
_ALB = {
    **_HTTP,
    "typed principal": impossible("a load balancer passes the caller that it verified in headers"),
    "streaming": impossible("a load balancer takes whole answers"),
}
_LATTICE_V1 = {
    **_ALB,
    "typed principal": impossible("event structure 1 has no caller"),
    "streaming": impossible("VPC Lattice takes whole answers"),
}
_LATTICE_V2 = {**_LATTICE_V1, "typed principal": native("the IAM caller")}

_SQS: dict[str, Capability] = {
    "partial failure": native(_REPORT),
    "retry": native("after the visibility timeout, until the redrive policy's maxReceiveCount"),
    "retry delay": emulated("by ChangeMessageVisibility, up to 11 h 45 min; the function's role needs the permission"),
    "reject": _REJECT,
    "order": impossible("a standard queue keeps no order"),
    "attempt count": native("ApproximateReceiveCount"),
    "deadline": _DEADLINE,
    "batch": _BATCH,
    "binary body": _TEXT,
    "attributes": native("up to ten"),
}
_FIFO = {
    **_SQS,
    "order": native("within a message group; the others of the batch go on"),
    "partial failure": native(f"the failed message and the rest of its group: {_REPORT}"),
}
_SNS = {
    "partial failure": _ALONE,
    "retry": _TWICE,
    "retry delay": _NO_WAIT,
    "reject": _REJECT,
    "order": impossible("a topic keeps no order for a function; use a FIFO topic with a FIFO queue"),
    "attempt count": _NO_ATTEMPT,
    "deadline": _DEADLINE,
    "batch": _OF_ONE,
    "binary body": _TEXT,
    "attributes": native(),
}
_KINESIS = {
    "partial failure": native(f"the first failed record of a shard and all after it: {_REPORT}"),
    "retry": native("the shard waits, until the mapping's limits or the record's expiry"),
    "retry delay": _STREAM_WAIT,
    "reject": _REJECT,
    "order": native("within a shard"),
    "attempt count": _NO_ATTEMPT,
    "deadline": _DEADLINE,
    "batch": native("up to the mapping's batch size, with the state of a tumbling window"),
    "binary body": native(),
    "attributes": impossible("a record has only data and a key"),
}
_KAFKA = {
    **_KINESIS,
    "partial failure": native(
        f"the first failed record of a partition and all after it: {_REPORT}", by_documentation=True
    ),
    "retry": native("the partition waits, by default without end"),
    "order": native("within a partition"),
    "batch": _BATCH,
    "attributes": native("headers"),
}
_MQ = {
    "partial failure": impossible("a batch succeeds or is redelivered as a whole"),
    "retry": native("the whole batch is redelivered"),
    "retry delay": impossible("Lambda redelivers the batch when it polls"),
    "reject": _REJECT,
    "order": _UNORDERED,
    "attempt count": impossible("AWS sends only whether a message is a redelivery"),
    "deadline": _DEADLINE,
    "batch": _BATCH,
    "binary body": native(),
    "attributes": native("properties, or headers"),
}
_LOGS = {
    "partial failure": native("each is a separate invocation", by_documentation=True),
    "retry": native("2 more tries", by_documentation=True),
    "retry delay": _NO_WAIT,
    "reject": _REJECT,
    "order": _UNORDERED,
    "attempt count": _NO_ATTEMPT,
    "deadline": _DEADLINE,
    "batch": emulated("a batch of one: a subscription's batch of log events is one message"),
    "binary body": _TEXT,
    "attributes": impossible("the body has everything"),
}
_SES = {
    **_LOGS,
    "batch": _OF_ONE,
    "binary body": impossible("SES doesn't send the mail's text"),
    "attributes": native("the mail's headers", by_documentation=True),
}
_PIPE = "a pipe reads a target's batchItemFailures without a setting"

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
    "partial failure": native(f"the first failed record of a shard and all after it: {_REPORT}"),
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
    "retry": native("the whole batch is redelivered"),
    "order": emulated("the events after a failed one aren't started, and the whole batch is redelivered"),
    "batch": _BATCH,
    "before-image": native("if the collection keeps pre-images", by_documentation=True),
}

_SCHEDULE = {"retry": native("by the retry policy of the schedule or rule"), "deadline": _DEADLINE}
_BUS = {
    "partial failure": native("each is a separate invocation", by_documentation=True),
    "retry": _TWICE,
    "retry delay": _NO_WAIT,
    "reject": _REJECT,
    "deadline": _DEADLINE,
    "binary body": impossible("an event's detail is a JSON object"),
    "attributes": impossible("an event has account, region and resources, but no attributes"),
    "reply": impossible("no caller waits for an answer"),
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
            {**_SQS, "partial failure": native(_PIPE), "retry delay": impossible("a pipe sends no receipt handle")},
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
