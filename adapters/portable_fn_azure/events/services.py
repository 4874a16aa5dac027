"""Azure's services: how each declares its trigger, and what comes of what it hands over.

https://learn.microsoft.com/azure/azure-functions/functions-triggers-bindings
"""

from __future__ import annotations

from portable_fn.errors import ConfigurationError
from portable_fn.events import ObjectEvent
from portable_fn.on import RetryPolicy
from portable_fn_azure import decode
from portable_fn_azure.events import changes, messages, objects
from portable_fn_azure.events import decode as decode_events
from portable_fn_azure.events.cron import ncrontab
from portable_fn_azure.events.event_grid import event_grid
from portable_fn_azure.events.function import Service

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from portable_fn.adapter.batch import Item
    from portable_fn_azure.events.function import TriggerFunction
    from portable_fn_azure.native import FunctionContext

# The host's retry policy for what it would drop otherwise: it keeps the order, and loses nothing.
FOR_EVER = RetryPolicy(attempts=-1, delay=5, max_delay=300)
# A time that has passed is worth a few tries; the next one comes anyway.
A_FEW_TIMES = RetryPolicy(attempts=5, delay=5, max_delay=300)


# "binary" has bodies come as they are. As text they'd be changed where they aren't UTF-8, and a JSON object's members would
# take the place of the trigger's metadata, its id among it. Source: azure-functions-host, Utility.ApplyBindingData.


def _binary() -> Any:
    from azure.functions import DataType

    return DataType.BINARY


def _storage_queue(app: Any, one: TriggerFunction) -> Any:
    given = {"queue_name": one.channel, "connection": one.connection, "data_type": _binary(), **one.options}
    return app.queue_trigger(arg_name="event", **given)


def _service_bus_queue(app: Any, one: TriggerFunction) -> Any:
    return app.service_bus_queue_trigger(
        arg_name="event", **{"queue_name": one.channel, **_service_bus_arguments(one), **one.arguments}
    )


def _service_bus_topic(app: Any, one: TriggerFunction) -> Any:
    place = {"topic_name": one.channel, "subscription_name": subscription(one)}
    return app.service_bus_topic_trigger(arg_name="event", **{**place, **_service_bus_arguments(one), **one.arguments})


def _service_bus_arguments(one: TriggerFunction) -> dict[str, Any]:
    settling = {"auto_complete_messages": False} if one.settles else {"data_type": _binary()}
    return {"connection": one.connection, **settling}


def subscription(one: TriggerFunction) -> str:
    """Return the name of a topic's subscription: the option, or the function's name."""
    name: str = one.options.get("subscription_name") or one.function.name
    return name


def consumer_group(one: TriggerFunction) -> str:
    """The consumer group: Kafka makes one on first use, event hubs have one of their own."""
    group: str = one.options.get("consumer_group") or (one.name if one.service.name == "kafka" else "$Default")
    return group


def _event_hubs(app: Any, one: TriggerFunction) -> Any:
    given = {"event_hub_name": one.channel, "connection": one.connection, "consumer_group": consumer_group(one)}
    return app.event_hub_message_trigger(arg_name="event", **{**given, "data_type": _binary(), **one.arguments})


def _kafka(app: Any, one: TriggerFunction) -> Any:
    given = {"topic": one.channel, "broker_list": f"%{one.connection}%", "consumer_group": consumer_group(one)}
    return app.kafka_trigger(arg_name="event", **{**given, "data_type": _binary(), **one.arguments})


def _blob(app: Any, one: TriggerFunction) -> Any:
    given = {"path": f"{one.channel}/{{name}}", "connection": one.connection, "data_type": _binary(), **one.options}
    return app.blob_trigger(arg_name="event", **given)


def _event_grid(app: Any, one: TriggerFunction) -> Any:
    return app.event_grid_trigger(arg_name="event", **one.options)


def _cosmos_db(app: Any, one: TriggerFunction) -> Any:
    database, container = _container(one)
    if not database:
        raise ConfigurationError(
            f"on.change({one.channel!r}) of {one.function.name} doesn't say which database it is in: on.change('shop/{container}'), "
            f"or options={{{one.channel!r}: {{'database_name': 'shop'}}}}"
        )
    given = {
        "database_name": database,
        "container_name": container,
        "connection": one.connection,
        # Two functions with one prefix would share the changes.
        "lease_container_prefix": one.name,
        "create_lease_container_if_not_exists": True,
        **one.options,
    }
    return app.cosmos_db_trigger(arg_name="event", **given)


def _container(one: TriggerFunction) -> tuple[str, str]:
    """The database and container of Cosmos DB."""
    database, slash, container = one.channel.partition("/")
    if not slash:
        database, container = "", one.channel
    return one.options.get("database_name", database), one.options.get("container_name", container)


def _sql(app: Any, one: TriggerFunction) -> Any:
    # sql_trigger is the same, but older ones of azure-functions have it not.
    given = {"tableName": one.channel, "connectionStringSetting": one.connection, **one.options}
    return app.generic_trigger(arg_name="event", type="sqlTrigger", **given)


def _mysql(app: Any, one: TriggerFunction) -> Any:
    given = {"table_name": one.channel, "connection_string_setting": one.connection, **one.options}
    return app.mysql_trigger(arg_name="event", **given)


def _timer(app: Any, one: TriggerFunction) -> Any:
    # A function's timer has one status in the monitor, by the function's name.
    given = {"schedule": ncrontab(one.trigger.cron), "use_monitor": True, **one.options}
    return app.timer_trigger(arg_name="event", **given)


def _durable_activity(app: Any, one: TriggerFunction) -> Any:
    # activity_trigger is the same, but wants azure-functions-durable installed.
    return app.generic_trigger(arg_name="event", type="activityTrigger", **{"activity": one.channel, **one.options})


def _items_of_storage_queue(native: Any, one: TriggerFunction, context: FunctionContext | None) -> list[Item]:
    return [messages.storage_queue(native, one.channel)]


def _items_of_service_bus(native: Any, one: TriggerFunction, context: FunctionContext | None) -> list[Item]:
    if one.settles:
        natives = native if isinstance(native, list) else [native]
        return [messages.read("a Service Bus message", messages.received, each, one.channel) for each in natives]
    if isinstance(native, list):
        return messages.service_bus_batch(native, one.channel)
    return [messages.service_bus(native, one.channel)]


def _items_of_event_hubs(native: Any, one: TriggerFunction, context: FunctionContext | None) -> list[Item]:
    attempt = decode_events.attempt(context)
    if isinstance(native, list):
        return messages.event_hubs_batch(native, one.channel, attempt)
    return [messages.event_hubs(native, one.channel, attempt)]


def _items_of_kafka(native: Any, one: TriggerFunction, context: FunctionContext | None) -> list[Item]:
    attempt = decode_events.attempt(context)
    natives = native if isinstance(native, list) else [native]
    return [messages.read("a record of Kafka", messages.kafka, each, one.channel, attempt) for each in natives]


def _items_of_blob(native: Any, one: TriggerFunction, context: FunctionContext | None) -> list[Item]:
    return [objects.blob(native)]


def _items_of_event_grid(native: Any, one: TriggerFunction, context: FunctionContext | None) -> list[Item]:
    event = event_grid(native)
    # A storage account's events are of all its containers.
    if one.trigger.kind is ObjectEvent and not event.subject.startswith(f"{objects.CONTAINERS}{one.channel}/"):
        return []
    return [event]


def _items_of_cosmos_db(native: Any, one: TriggerFunction, context: FunctionContext | None) -> list[Item]:
    database, container = _container(one)
    return changes.cosmos_db(native, f"{database}/{container}", container)


def _items_of_sql(native: Any, one: TriggerFunction, context: FunctionContext | None) -> list[Item]:
    return changes.sql(native, one.channel, decode.invocation_id(context))


def _items_of_mysql(native: Any, one: TriggerFunction, context: FunctionContext | None) -> list[Item]:
    return changes.mysql(native, one.channel, decode.invocation_id(context))


def _items_of_timer(native: Any, one: TriggerFunction, context: FunctionContext | None) -> list[Item]:
    return [decode_events.timer(native, context, one.channel or one.name, one.trigger.cron)]


def _items_of_durable_activity(native: Any, one: TriggerFunction, context: FunctionContext | None) -> list[Item]:
    return [decode_events.activity(native, context, one.channel)]


# By name; of those for a word the first is what it is where nothing else is said.
SERVICES = {
    service.name: service
    for service in (
        Service(
            "storage_queue", ("queue",), "AzureWebJobsStorage", _storage_queue, _items_of_storage_queue, competes=True
        ),
        Service(
            "service_bus_queue",
            ("queue",),
            "ServiceBusConnection",
            _service_bus_queue,
            _items_of_service_bus,
            takes_many=True,
            competes=True,
        ),
        Service(
            "service_bus_topic",
            ("topic",),
            "ServiceBusConnection",
            _service_bus_topic,
            _items_of_service_bus,
            takes_many=True,
            competes=True,
        ),
        Service(
            "event_hubs",
            ("stream",),
            "EventHubsConnection",
            _event_hubs,
            _items_of_event_hubs,
            retry=FOR_EVER,
            takes_many=True,
            competes=True,
        ),
        Service(
            "kafka",
            ("stream",),
            "KafkaBrokers",
            _kafka,
            _items_of_kafka,
            retry=FOR_EVER,
            takes_many=True,
            competes=True,
        ),
        Service("blob", ("object",), "AzureWebJobsStorage", _blob, _items_of_blob),
        Service("event_grid", ("event", "object"), "", _event_grid, _items_of_event_grid),
        Service("cosmos_db", ("change",), "CosmosDBConnection", _cosmos_db, _items_of_cosmos_db, retry=FOR_EVER),
        Service("sql", ("change",), "SqlConnection", _sql, _items_of_sql),
        Service("mysql", ("change",), "MySqlConnection", _mysql, _items_of_mysql),
        Service("timer", ("schedule",), "", _timer, _items_of_timer, retry=A_FEW_TIMES),
        Service("durable_activity", ("task",), "", _durable_activity, _items_of_durable_activity, competes=True),
    )
}
