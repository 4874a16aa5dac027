"""Azure's services: declare each one's trigger, decode its payload.

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

# For services whose failed events the host would drop. It keeps the order and loses nothing.
FOR_EVER = RetryPolicy(attempts=-1, delay=5, max_delay=300)
# For timers: the next run comes anyway.
A_FEW_TIMES = RetryPolicy(attempts=5, delay=5, max_delay=300)


# With "binary" the bodies arrive unchanged. As text the host would change bytes that aren't UTF-8, and the members of a JSON
# object would overwrite the trigger's metadata, such as its id. Source: azure-functions-host, Utility.ApplyBindingData.


def _binary() -> Any:
    from azure.functions import DataType

    return DataType.BINARY


def _declare_storage_queue(app: Any, function: TriggerFunction) -> Any:
    arguments = {
        "queue_name": function.channel,
        "connection": function.connection,
        "data_type": _binary(),
        **function.options,
    }
    return app.queue_trigger(arg_name="event", **arguments)


def _declare_service_bus_queue(app: Any, function: TriggerFunction) -> Any:
    return app.service_bus_queue_trigger(
        arg_name="event",
        **{"queue_name": function.channel, **_service_bus_arguments(function), **_with_cardinality(function)},
    )


def _declare_service_bus_topic(app: Any, function: TriggerFunction) -> Any:
    topic = {"topic_name": function.channel, "subscription_name": subscription(function)}
    return app.service_bus_topic_trigger(
        arg_name="event", **{**topic, **_service_bus_arguments(function), **_with_cardinality(function)}
    )


def _service_bus_arguments(function: TriggerFunction) -> dict[str, Any]:
    settling = {"auto_complete_messages": False} if function.settles else {"data_type": _binary()}
    return {"connection": function.connection, **settling}


def _with_cardinality(function: TriggerFunction) -> dict[str, Any]:
    """Return the options, with the cardinality for a service that can send several events at once."""
    return {"cardinality": "many" if function.takes_many else "one", **function.options}


def subscription(function: TriggerFunction) -> str:
    """Return the subscription of a topic: the function's name, unless an option names one."""
    name: str = function.options.get("subscription_name") or function.binding.name
    return name


def consumer_group(function: TriggerFunction) -> str:
    """Return the consumer group. Kafka creates one on first use; an event hub has "$Default"."""
    group: str = function.options.get("consumer_group") or (
        function.name if function.service.name == "kafka" else "$Default"
    )
    return group


def _declare_event_hubs(app: Any, function: TriggerFunction) -> Any:
    arguments = {
        "event_hub_name": function.channel,
        "connection": function.connection,
        "consumer_group": consumer_group(function),
    }
    return app.event_hub_message_trigger(
        arg_name="event", **{**arguments, "data_type": _binary(), **_with_cardinality(function)}
    )


def _declare_kafka(app: Any, function: TriggerFunction) -> Any:
    arguments = {
        "topic": function.channel,
        "broker_list": f"%{function.connection}%",
        "consumer_group": consumer_group(function),
    }
    return app.kafka_trigger(arg_name="event", **{**arguments, "data_type": _binary(), **_with_cardinality(function)})


def _declare_blob(app: Any, function: TriggerFunction) -> Any:
    arguments = {
        "path": f"{function.channel}/{{name}}",
        "connection": function.connection,
        "data_type": _binary(),
        **function.options,
    }
    return app.blob_trigger(arg_name="event", **arguments)


def _declare_event_grid(app: Any, function: TriggerFunction) -> Any:
    return app.event_grid_trigger(arg_name="event", **function.options)


def _declare_cosmos_db(app: Any, function: TriggerFunction) -> Any:
    database, container = _container(function)
    if not database:
        raise ConfigurationError(
            f"on.change({function.channel!r}) of {function.binding.name} names no database: write on.change('shop/{container}'), "
            f"or pass options={{{function.channel!r}: {{'database_name': 'shop'}}}}"
        )
    arguments = {
        "database_name": database,
        "container_name": container,
        "connection": function.connection,
        # Two functions with the same prefix would share the changes.
        "lease_container_prefix": function.name,
        "create_lease_container_if_not_exists": True,
        **function.options,
    }
    return app.cosmos_db_trigger(arg_name="event", **arguments)


def _container(function: TriggerFunction) -> tuple[str, str]:
    """Return the database and the container of Cosmos DB."""
    database, slash, container = function.channel.partition("/")
    if not slash:
        database, container = "", function.channel
    return function.options.get("database_name", database), function.options.get("container_name", container)


def _declare_sql(app: Any, function: TriggerFunction) -> Any:
    # sql_trigger does the same, but older versions of azure-functions lack it.
    arguments = {"tableName": function.channel, "connectionStringSetting": function.connection, **function.options}
    return app.generic_trigger(arg_name="event", type="sqlTrigger", **arguments)


def _declare_mysql(app: Any, function: TriggerFunction) -> Any:
    arguments = {"table_name": function.channel, "connection_string_setting": function.connection, **function.options}
    return app.mysql_trigger(arg_name="event", **arguments)


def _declare_timer(app: Any, function: TriggerFunction) -> Any:
    # The monitor keeps a timer's status by the function's name.
    arguments = {"schedule": ncrontab(function.trigger.cron), "use_monitor": True, **function.options}
    return app.timer_trigger(arg_name="event", **arguments)


def _declare_durable_activity(app: Any, function: TriggerFunction) -> Any:
    # activity_trigger does the same, but needs azure-functions-durable.
    return app.generic_trigger(
        arg_name="event", type="activityTrigger", **{"activity": function.channel, **function.options}
    )


def _decode_storage_queue(native: Any, function: TriggerFunction, context: FunctionContext | None) -> list[Item]:
    return [messages.storage_queue(native, function.channel)]


def _decode_service_bus(native: Any, function: TriggerFunction, context: FunctionContext | None) -> list[Item]:
    if function.settles:
        natives = native if isinstance(native, list) else [native]
        return [messages.read("a Service Bus message", messages.received, each, function.channel) for each in natives]
    if isinstance(native, list):
        return messages.service_bus_batch(native, function.channel)
    return [messages.service_bus(native, function.channel)]


def _decode_event_hubs(native: Any, function: TriggerFunction, context: FunctionContext | None) -> list[Item]:
    attempt = decode_events.attempt(context)
    if isinstance(native, list):
        return messages.event_hubs_batch(native, function.channel, attempt)
    return [messages.event_hubs(native, function.channel, attempt)]


def _decode_kafka(native: Any, function: TriggerFunction, context: FunctionContext | None) -> list[Item]:
    attempt = decode_events.attempt(context)
    natives = native if isinstance(native, list) else [native]
    return [messages.read("a Kafka record", messages.kafka, each, function.channel, attempt) for each in natives]


def _decode_blob(native: Any, function: TriggerFunction, context: FunctionContext | None) -> list[Item]:
    return [objects.blob(native)]


def _decode_event_grid(native: Any, function: TriggerFunction, context: FunctionContext | None) -> list[Item]:
    event = event_grid(native)
    # A storage account sends the events of all its containers.
    if function.trigger.kind is ObjectEvent and not event.subject.startswith(
        f"{objects.CONTAINERS}{function.channel}/"
    ):
        return []
    return [event]


def _decode_cosmos_db(native: Any, function: TriggerFunction, context: FunctionContext | None) -> list[Item]:
    database, container = _container(function)
    return changes.cosmos_db(native, f"{database}/{container}", container)


def _decode_sql(native: Any, function: TriggerFunction, context: FunctionContext | None) -> list[Item]:
    return changes.sql(native, function.channel, decode.invocation_id(context))


def _decode_mysql(native: Any, function: TriggerFunction, context: FunctionContext | None) -> list[Item]:
    return changes.mysql(native, function.channel, decode.invocation_id(context))


def _decode_timer(native: Any, function: TriggerFunction, context: FunctionContext | None) -> list[Item]:
    return [decode_events.timer(native, context, function.channel or function.name, function.trigger.cron)]


def _decode_durable_activity(native: Any, function: TriggerFunction, context: FunctionContext | None) -> list[Item]:
    return [decode_events.activity(native, context, function.channel)]


# By name. The first service of a word is its default.
SERVICES = {
    service.name: service
    for service in (
        Service(
            "storage_queue",
            ("queue",),
            "AzureWebJobsStorage",
            _declare_storage_queue,
            _decode_storage_queue,
            competes=True,
        ),
        Service(
            "service_bus_queue",
            ("queue",),
            "ServiceBusConnection",
            _declare_service_bus_queue,
            _decode_service_bus,
            takes_many=True,
            competes=True,
        ),
        Service(
            "service_bus_topic",
            ("topic",),
            "ServiceBusConnection",
            _declare_service_bus_topic,
            _decode_service_bus,
            takes_many=True,
            competes=True,
        ),
        Service(
            "event_hubs",
            ("stream",),
            "EventHubsConnection",
            _declare_event_hubs,
            _decode_event_hubs,
            retry=FOR_EVER,
            takes_many=True,
            competes=True,
        ),
        Service(
            "kafka",
            ("stream",),
            "KafkaBrokers",
            _declare_kafka,
            _decode_kafka,
            retry=FOR_EVER,
            takes_many=True,
            competes=True,
        ),
        Service("blob", ("object",), "AzureWebJobsStorage", _declare_blob, _decode_blob),
        Service("event_grid", ("event", "object"), "", _declare_event_grid, _decode_event_grid),
        Service("cosmos_db", ("change",), "CosmosDBConnection", _declare_cosmos_db, _decode_cosmos_db, retry=FOR_EVER),
        Service("sql", ("change",), "SqlConnection", _declare_sql, _decode_sql),
        Service("mysql", ("change",), "MySqlConnection", _declare_mysql, _decode_mysql),
        Service("timer", ("schedule",), "", _declare_timer, _decode_timer, retry=A_FEW_TIMES),
        Service("durable_activity", ("task",), "", _declare_durable_activity, _decode_durable_activity, competes=True),
    )
}
