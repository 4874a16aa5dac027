"""Render events as AWS's event sources send them to a function."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Any

from portable_fn.adapter.cloudevents import write_structured
from portable_fn.data import to_json
from portable_fn.events import ChangeEvent, CloudEvent, Event, Message, ObjectEvent, ScheduleEvent, Task
from portable_fn.on import Trigger
from portable_fn.testing.services import carried_by
from portable_fn_aws.formats import notification
from portable_fn_aws.simulate import bus, changes, messages, objects

EVENT_SERVICES: dict[str, tuple[str, ...]] = {
    "Message": (
        "sqs", "sqs_fifo", "sns", "sns_sqs", "sns_sqs_fifo", "sns_sqs_raw", "kinesis", "kafka", "self_managed_kafka", "activemq",
        "rabbitmq", "logs", "ses", "pipes_sqs", "pipes_kinesis", "pipes_kafka", "pipes_activemq", "pipes_rabbitmq",
    ),
    "ObjectEvent": (
        "s3", "s3_sqs", "s3_sns", "s3_sns_sqs", "s3_sns_sqs_raw", "s3_eventbridge", "s3_eventbridge_sqs", "s3_eventbridge_sns_sqs",
    ),
    "ChangeEvent": ("dynamodb", "docdb", "dynamodb_kinesis", "pipes_dynamodb"),
    "ScheduleEvent": ("scheduler", "scheduled_rule", "scheduler_input", "scheduler_sqs"),
    "CloudEvent": ("eventbridge", "eventbridge_sqs", "eventbridge_sns", "cloudevent_sqs", "cloudevent_sns", "cloudevent_kinesis"),
    "Task": ("invoke",),
}  # fmt: skip

# The first service of a trigger's word.
_FIRST = {"topic": "sns", "stream": "kinesis"}
# The first service of an event that arrives inside a message.
_CARRIED: dict[type[Event[Any]], str] = {
    Message: "sns_sqs",
    ObjectEvent: "s3_sqs",
    ChangeEvent: "dynamodb_kinesis",
    ScheduleEvent: "scheduler_sqs",
    CloudEvent: "eventbridge_sqs",
}


def default_service(trigger: Trigger, event: Event[Any]) -> str | None:
    """Return the service that the trigger asks for; None if it allows any."""
    if trigger.via:
        return next((service for kind, service in _CARRIED.items() if isinstance(event, kind)), None)
    return _FIRST.get(trigger.word) if isinstance(event, Message) else None


def payloads(events: Sequence[Event[Any]], service: str) -> list[Any]:
    """Render the payload of each invocation.

    Raises:
        ValueError: The service can't carry an event.
    """
    render = _PAYLOADS[outermost(service)]
    rendered = [
        render([_wrapped(events[index], service, index) for index in indices])
        for indices in invocations(events, service)
    ]
    if service == "invoke":
        names = [event.name if isinstance(event, Task) else "" for event in events]
        _task_inputs.set(list(zip(rendered, names, strict=True)))
    return rendered


# The inputs of the tasks rendered last, each with the function that it is for, which the input doesn't tell.
_task_inputs: ContextVar[list[tuple[Any, str]]] = ContextVar("_task_inputs")


def function_name(native: Any) -> str:
    """Return the name of the function that a payload is for."""
    return next((name for sent, name in _task_inputs.get([]) if sent is native and name), "function")


def outermost(service: str) -> str:
    """Return the service that invokes the function; a service's name starts with the innermost: s3_sns_sqs."""
    if service.startswith("pipes_"):
        return service
    if service.endswith(("_sqs", "_sqs_raw")):
        return "sqs"
    if service == "sns_sqs_fifo":
        return "sqs_fifo"
    for outer in ("_sns", "_kinesis", "_eventbridge"):
        if service.endswith(outer):
            return outer[1:]
    return service


def invocations(events: Sequence[Event[Any]], service: str) -> list[list[int]]:
    """Return the indices of the events of each invocation: all of a queue, those of one shard, otherwise one."""
    outer = outermost(service).removeprefix("pipes_")
    if outer in ("kinesis", "dynamodb"):
        shards: dict[Any, list[int]] = {}
        for index, event in enumerate(events):
            shards.setdefault(getattr(event, "partition", None), []).append(index)
        return list(shards.values())
    if outer in ("sqs", "sqs_fifo", "kafka", "self_managed_kafka", "activemq", "rabbitmq", "docdb"):
        return [list(range(len(events)))]
    return [[index] for index in range(len(events))]


def _wrapped(event: Event[Any], service: str, index: int) -> Event[Any]:
    """Return the event that the outermost service carries: a message with the inner services' envelopes, or the event."""
    inner = service.removesuffix("_raw")
    if isinstance(event, Message):
        if inner in ("sns_sqs", "sns_sqs_fifo") and not service.endswith("_raw"):
            envelope = {"Type": "Notification", **notification(event)}
            # A FIFO queue takes messages of FIFO topics.
            if inner == "sns_sqs_fifo" and not envelope["TopicArn"].endswith(".fifo"):
                envelope["TopicArn"] += ".fifo"
            return _carrier(event, to_json(envelope), index)
        return event
    text = _inner_text(event, inner)
    if text is None:
        return event
    if "_sns_sqs" in inner and not service.endswith("_raw"):
        published = _carrier(event, text, index, "published")
        text = to_json({"Type": "Notification", **notification(published)})
    return _carrier(event, text, index)


def _inner_text(event: Event[Any], service: str) -> str | None:
    """Return the text by which the innermost service sends the event to another; None if it invokes the function."""
    if isinstance(event, ObjectEvent):
        if service in ("s3_sqs", "s3_sns", "s3_sns_sqs"):
            return to_json({"Records": [objects.s3(event)]})
        if service.startswith("s3_eventbridge_"):
            return to_json(objects.s3_eventbridge(event))
    elif isinstance(event, CloudEvent):
        if service.startswith("cloudevent_"):
            return to_json(write_structured(event))
        if service != "eventbridge":
            return to_json(bus.eventbridge(event))
    elif isinstance(event, ScheduleEvent) and service == "scheduler_sqs":
        if event.input is not None:
            raise ValueError(
                "a schedule with an input sends a queue only the input, which is a message: omit the input"
            )
        return to_json(bus.scheduler(event))
    elif isinstance(event, ChangeEvent) and service == "dynamodb_kinesis":
        return to_json(changes.kinesis_change(event))
    return None


def _carrier(event: Event[Any], text: str, index: int, word: str = "carrier") -> Message[Any]:
    """Return a message whose body is the text of an event; it has its own id."""
    is_message = isinstance(event, Message)
    channel = carried_by(event, "events") if word == "carrier" else "events"
    partition = getattr(event, "partition", None)
    return Message(
        f"{word}-{index + 1}-{event.id}"[:100],
        channel,
        text.encode(),
        channel=channel,
        time=event.time,
        attempt=event.attempt if is_message else 1,  # type: ignore[attr-defined]  # a Message has it
        key=event.key if is_message else "key",  # type: ignore[attr-defined]  # a Message has it
        partition=partition if isinstance(partition, str) else None,
    )


def _alone(render: Callable[[Any], Any]) -> Callable[[list[Any]], Any]:
    """Return a renderer of a service that sends each event alone."""
    return lambda events: render(*events)


def _bus_event(event: ObjectEvent[Any] | CloudEvent[Any]) -> dict[str, Any]:
    return objects.s3_eventbridge(event) if isinstance(event, ObjectEvent) else bus.eventbridge(event)


_input = _alone(lambda event: json.loads(to_json(event.input)))

_PAYLOADS: dict[str, Callable[[list[Any]], Any]] = {
    "sqs": messages.sqs,
    "sqs_fifo": messages.sqs_fifo,
    "sns": messages.sns,
    "kinesis": messages.kinesis,
    "kafka": messages.kafka,
    "self_managed_kafka": messages.self_managed_kafka,
    "activemq": messages.activemq,
    "rabbitmq": messages.rabbitmq,
    "logs": messages.logs,
    "ses": messages.ses,
    "s3": objects.s3_notification,
    "eventbridge": _alone(_bus_event),
    "scheduler": _alone(bus.scheduler),
    "scheduled_rule": _alone(bus.scheduled_rule),
    "scheduler_input": _input,
    "dynamodb": changes.dynamodb,
    "docdb": changes.docdb,
    "invoke": _input,
    "pipes_sqs": messages.pipes_sqs,
    "pipes_kinesis": messages.pipes_kinesis,
    "pipes_dynamodb": changes.pipes_dynamodb,
    "pipes_kafka": messages.pipes_kafka,
    "pipes_activemq": messages.pipes_activemq,
    "pipes_rabbitmq": messages.pipes_rabbitmq,
}
