"""Azure's services: declare their triggers.

https://learn.microsoft.com/azure/azure-functions/functions-triggers-bindings
"""

from __future__ import annotations

from portable_fn.errors import ConfigurationError
from portable_fn.on import RetryPolicy
from portable_fn_azure.events import decode
from portable_fn_azure.events.cron import ncrontab
from portable_fn_azure.events.function import Service, container_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from portable_fn_azure.events.function import TriggerFunction

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
    database, container = container_of(function)
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


# By name. The first service of a word is its default.
SERVICES = {
    service.name: service
    for service in (
        Service(
            "storage_queue",
            ("queue",),
            "AzureWebJobsStorage",
            _declare_storage_queue,
            decode.from_storage_queue,
            competes=True,
        ),
        Service(
            "service_bus_queue",
            ("queue",),
            "ServiceBusConnection",
            _declare_service_bus_queue,
            decode.from_service_bus,
            takes_many=True,
            competes=True,
        ),
        Service(
            "service_bus_topic",
            ("topic",),
            "ServiceBusConnection",
            _declare_service_bus_topic,
            decode.from_service_bus,
            takes_many=True,
            competes=True,
        ),
        Service(
            "event_hubs",
            ("stream",),
            "EventHubsConnection",
            _declare_event_hubs,
            decode.from_event_hubs,
            retry=FOR_EVER,
            takes_many=True,
            competes=True,
        ),
        Service(
            "kafka",
            ("stream",),
            "KafkaBrokers",
            _declare_kafka,
            decode.from_kafka,
            retry=FOR_EVER,
            takes_many=True,
            competes=True,
        ),
        Service("blob", ("object",), "AzureWebJobsStorage", _declare_blob, decode.from_blob),
        Service("event_grid", ("event", "object"), "", _declare_event_grid, decode.from_event_grid),
        Service(
            "cosmos_db", ("change",), "CosmosDBConnection", _declare_cosmos_db, decode.from_cosmos_db, retry=FOR_EVER
        ),
        Service("sql", ("change",), "SqlConnection", _declare_sql, decode.from_sql),
        Service("mysql", ("change",), "MySqlConnection", _declare_mysql, decode.from_mysql),
        Service("timer", ("schedule",), "", _declare_timer, decode.from_timer, retry=A_FEW_TIMES),
        Service(
            "durable_activity", ("task",), "", _declare_durable_activity, decode.from_durable_activity, competes=True
        ),
    )
}
