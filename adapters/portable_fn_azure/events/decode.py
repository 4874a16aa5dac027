"""Decode the payload of each service's trigger into events, or into a DecodeError for each malformed one."""

from __future__ import annotations

from portable_fn.events import ObjectEvent
from portable_fn_azure.decode import invocation_id
from portable_fn_azure.events import changes, event_grid, messages, objects, tasks
from portable_fn_azure.events.function import container_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from portable_fn.adapter.batch import Item
    from portable_fn_azure.events.function import TriggerFunction
    from portable_fn_azure.native import FunctionContext


def decode(native: Any, function: TriggerFunction, context: FunctionContext | None) -> list[Item]:
    """Decode the events of an invocation; if the whole payload is malformed, return one DecodeError."""
    service = function.service
    items = messages.read(f"the payload of {service.name}", service.decode, native, function, context)
    return items if isinstance(items, list) else [items]


def from_storage_queue(native: Any, function: TriggerFunction, context: FunctionContext | None) -> list[Item]:
    """Decode a message of a storage queue."""
    return [messages.storage_queue(native, function.channel)]


def from_service_bus(native: Any, function: TriggerFunction, context: FunctionContext | None) -> list[Item]:
    """Decode one or several messages of Service Bus."""
    if function.settles:
        natives = native if isinstance(native, list) else [native]
        return [messages.read("a Service Bus message", messages.received, each, function.channel) for each in natives]
    if isinstance(native, list):
        return messages.service_bus_batch(native, function.channel)
    return [messages.service_bus(native, function.channel)]


def from_event_hubs(native: Any, function: TriggerFunction, context: FunctionContext | None) -> list[Item]:
    """Decode one or several events of an event hub."""
    attempt = tasks.attempt(context)
    if isinstance(native, list):
        return messages.event_hubs_batch(native, function.channel, attempt)
    return [messages.event_hubs(native, function.channel, attempt)]


def from_kafka(native: Any, function: TriggerFunction, context: FunctionContext | None) -> list[Item]:
    """Decode one or several Kafka records."""
    attempt = tasks.attempt(context)
    natives = native if isinstance(native, list) else [native]
    return [messages.read("a Kafka record", messages.kafka, each, function.channel, attempt) for each in natives]


def from_blob(native: Any, function: TriggerFunction, context: FunctionContext | None) -> list[Item]:
    """Decode a blob."""
    return [objects.blob(native)]


def from_event_grid(native: Any, function: TriggerFunction, context: FunctionContext | None) -> list[Item]:
    """Decode an event of Event Grid; skip one of another container."""
    event = event_grid.event_grid(native)
    # A storage account sends the events of all its containers.
    if function.trigger.kind is ObjectEvent and not event.subject.startswith(
        f"{objects.CONTAINERS}{function.channel}/"
    ):
        return []
    return [event]


def from_cosmos_db(native: Any, function: TriggerFunction, context: FunctionContext | None) -> list[Item]:
    """Decode documents of Cosmos DB."""
    database, container = container_of(function)
    return changes.cosmos_db(native, f"{database}/{container}", container)


def from_sql(native: Any, function: TriggerFunction, context: FunctionContext | None) -> list[Item]:
    """Decode rows of Azure SQL."""
    return changes.sql(native, function.channel, invocation_id(context))


def from_mysql(native: Any, function: TriggerFunction, context: FunctionContext | None) -> list[Item]:
    """Decode rows of MySQL."""
    return changes.mysql(native, function.channel, invocation_id(context))


def from_timer(native: Any, function: TriggerFunction, context: FunctionContext | None) -> list[Item]:
    """Decode a timer's call."""
    return [tasks.timer(native, context, function.channel or function.name, function.trigger.cron)]


def from_durable_activity(native: Any, function: TriggerFunction, context: FunctionContext | None) -> list[Item]:
    """Decode the input of a Durable activity."""
    return [tasks.activity(native, context, function.channel)]
