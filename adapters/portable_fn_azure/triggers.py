"""The Azure functions for triggers other than HTTP: which service and binding each has, and what becomes of an invocation.

https://learn.microsoft.com/azure/azure-functions/functions-triggers-bindings
"""

from __future__ import annotations

import os

from portable_fn.adapter import finish_alone, finish_background
from portable_fn.batch import Consumer
from portable_fn.dispatch import Dispatcher
from portable_fn.errors import ConfigurationError
from portable_fn.events import ChangeEvent, Event, ObjectEvent
from portable_fn.on import HTTPTrigger, RetryPolicy
from portable_fn.outcomes import Done, Reject
from portable_fn.record import Record
from portable_fn_azure import changes, decode, encode, messages, objects
from portable_fn_azure.cron import ncrontab
from portable_fn_azure.event_grid import event_grid, unwrap

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
    from typing import Any

    from azure.functions import FunctionApp

    from portable_fn.batch import Item, Settle
    from portable_fn.binding import Binding
    from portable_fn.outcomes import Outcome
    from portable_fn_azure.decode import FunctionInvocation
    from portable_fn_azure.native import FunctionContext, Out, ServiceBusMessageActions

    Begin = Callable[[FunctionContext | None], FunctionInvocation]
    Options = Mapping[str, Mapping[str, Any]]

# The host's retry policy for what it would drop otherwise: it keeps the order, and loses nothing.
FOR_EVER = RetryPolicy(attempts=-1, delay=5, max_delay=300)
# A time that has passed is worth a few tries; the next one comes anyway.
A_FEW_TIMES = RetryPolicy(attempts=5, delay=5, max_delay=300)


class Service(Record):
    """A service of Azure: the trigger's `words` that it is for, and how its binding is declared and its payload read.

    `connection` is the setting that says where it is, by default. `retry` is the host's policy where the trigger has none; None
    where the host takes none for it. `takes_many` says that it can hand over several at once, `competes` that of two functions
    for the same place only one would get an event.
    """

    _fields = ("name", "words", "connection", "retry", "takes_many", "competes")

    def __init__(
        self,
        name: str,
        words: tuple[str, ...],
        connection: str,
        declare: Callable[[Any, Wiring], Any],
        items: Callable[[Any, Wiring, FunctionContext | None], list[Item]],
        *,
        retry: RetryPolicy | None = None,
        takes_many: bool = False,
        competes: bool = False,
    ) -> None:
        self.name = name
        self.words = words
        self.connection = connection
        self.declare = declare
        self.items = items
        self.retry = retry
        self.takes_many = takes_many
        self.competes = competes


class Wiring(Record):
    """An Azure function to be: a trigger of a function, with the service that it is for.

    `many` says that it takes all that come at once, `settles` that it settles each by itself, `dead_letter` where rejected
    events go: the kind of queue, its name and its connection.
    """

    _fields = ("name", "service", "channel", "connection", "options", "many", "settles", "retry", "dead_letter")

    def __init__(
        self,
        name: str,
        function: Binding,
        trigger: Any,
        service: Service,
        channel: str,
        connection: str,
        options: dict[str, Any],
        settles: bool,
        dead_letter: tuple[str, str, str] | None,
    ) -> None:
        self.name = name
        self.function = function
        self.trigger = trigger
        self.service = service
        self.channel = channel
        self.connection = connection
        self.options = options
        self.many = service.takes_many and (settles or function.takes_batch)
        if "cardinality" in options:
            self.many = str(getattr(options["cardinality"], "value", options["cardinality"])).lower() == "many"
        self.settles = settles
        self.dead_letter = dead_letter
        self.retry: RetryPolicy | None = None
        if service.retry is not None:
            self.retry = getattr(trigger, "retry", None) or service.retry
        self.consumer = Consumer(Dispatcher([function], unwrap), key=_key, rejects=settles)

    @property
    def arguments(self) -> dict[str, Any]:
        """What a decorator of several at once or one takes, as the options have it."""
        return {"cardinality": "many" if self.many else "one", **self.options}


def register(
    app: FunctionApp,
    functions: Iterable[Binding],
    begin: Begin,
    taken: set[str],
    *,
    services: Mapping[str, str],
    connections: Mapping[str, str],
    options: Options,
    settlement: bool,
) -> None:
    """Adds an Azure function for each trigger of each function that isn't HTTP; `taken` are the names that are."""
    for wiring in plan(functions, taken, services, connections, options, settlement):
        declared = wiring.service.declare(app, wiring)(azure_function(wiring, begin))
        if wiring.dead_letter is not None:
            declared = _output(app, *wiring.dead_letter)(declared)
        if wiring.retry is not None:
            policy: dict[str, Any] = _policy(wiring.retry)
            declared = app.retry(**policy)(declared)
        app.function_name(wiring.name)(declared)
        for warning in _warnings(wiring):
            _warn(f"{wiring.name}: {warning}")


def plan(
    functions: Iterable[Binding],
    taken: set[str],
    services: Mapping[str, str],
    connections: Mapping[str, str],
    options: Options,
    settlement: bool,
) -> list[Wiring]:
    """The Azure functions to be; ConfigurationError for what Azure can't have, or what an option names that there isn't."""
    planned: list[Wiring] = []
    used: set[str] = {"queue", "topic", "stream", "object", "change", "event", "schedule", "task", *SERVICES}
    for function in functions:
        if not function.triggers:
            raise ConfigurationError(
                f"{function.name} takes a {function.kind.__name__}, but nothing says from where: Azure declares it in code, "
                "so add a trigger, such as on.queue('orders')"
            )
        used.add(function.name)
        number = 0
        for trigger in function.triggers:
            if isinstance(trigger, HTTPTrigger):
                continue
            number += 1
            used.update((trigger.name, trigger.dead_letter or ""))
            wiring = _wire(function, trigger, number, services, connections, options, settlement)
            if wiring.name.lower() in taken:
                raise ConfigurationError(
                    f"two functions would have the name {wiring.name!r} on Azure: rename {function.name}"
                )
            taken.add(wiring.name.lower())
            planned.append(wiring)
    for parameter, given in (("services", services), ("connections", connections), ("options", options)):
        for name in given:
            if name not in used:
                raise ConfigurationError(
                    f"{parameter} has {name!r}, which is no function's or trigger's name; there are "
                    f"{', '.join(sorted(used - {''}))}"
                )
    _refuse_competition(planned)
    return planned


def _wire(
    function: Binding,
    trigger: Any,
    number: int,
    services: Mapping[str, str],
    connections: Mapping[str, str],
    options: Options,
    settlement: bool,
) -> Wiring:
    from portable_fn_azure.entry import legal_name

    name = legal_name(trigger.name if trigger.word == "task" and trigger.name else function.name)
    keys = [function.name, *([trigger.name] if trigger.name else [])]
    service = _service(function, trigger, [services[key] for key in (*keys, trigger.word) if key in services])
    given: dict[str, Any] = {}
    for key in reversed(keys):
        given.update(options.get(key, {}))
    connection = next((connections[key] for key in (*keys, service.name) if key in connections), service.connection)
    settles = settlement and service.name.startswith("service_bus")
    dead_letter = None
    if trigger.dead_letter and not settles:
        kind = "service_bus_queue" if service.name.startswith("service_bus") else "storage_queue"
        kind = services.get(trigger.dead_letter, kind)
        if kind not in ("storage_queue", "service_bus_queue"):
            raise ConfigurationError(f"the dead letters {trigger.dead_letter!r} are no {kind}, but a queue")
        same = kind.partition("_")[0] == service.name.partition("_")[0]
        default = connection if same else SERVICES[kind].connection
        dead_letter = (kind, trigger.dead_letter, connections.get(trigger.dead_letter, default))
    channel = trigger.name
    if service.name == "durable_activity":
        channel = trigger.name or function.name
    return Wiring(
        f"{name}-{number}" if number > 1 else name,
        function,
        trigger,
        service,
        channel,
        connection,
        given,
        settles,
        dead_letter,
    )


def _service(function: Binding, trigger: Any, asked: list[str]) -> Service:
    possible = [service for service in SERVICES.values() if trigger.word in service.words]
    if not asked:
        # A blob trigger knows of created objects alone.
        actions = getattr(trigger, "actions", ())
        if trigger.word == "object" and set(actions) - {"created"}:
            return SERVICES["event_grid"]
        return possible[0]
    for service in possible:
        if service.name == asked[0]:
            return service
    names = ", ".join(service.name for service in possible)
    raise ConfigurationError(
        f"on.{trigger.word} of {function.name} can't be Azure's {asked[0]!r}; possible are {names}"
    )


def _refuse_competition(planned: Iterable[Wiring]) -> None:
    places: dict[tuple[object, ...], Wiring] = {}
    for wiring in planned:
        if not wiring.service.competes:
            continue
        subscription = _subscription(wiring) if wiring.service.name == "service_bus_topic" else None
        group = _group(wiring) if wiring.service.name in ("event_hubs", "kafka") else None
        place = (wiring.service.name, wiring.channel, wiring.connection, subscription, group)
        other = places.setdefault(place, wiring)
        if other is not wiring:
            raise ConfigurationError(
                f"{other.function.name} and {wiring.function.name} are both for {wiring.channel!r}, and Azure would give each event "
                "to one of them only: make them one function, or give each a consumer_group or subscription_name in options"
            )


# What an invocation comes to. The worker wants no other parameters than those of the bindings and `context`, and no annotations.


def azure_function(wiring: Wiring, begin: Begin) -> Callable[..., Any]:
    """The Azure function, which the worker calls in a thread of its pool, or awaits where the handler is async."""
    if wiring.function.is_async:
        work_in_loop = _in_event_loop(wiring, begin)

        async def plain_in_loop(event, context):  # type: ignore[no-untyped-def]  # see above
            return await work_in_loop(event, context)

        async def rejecting_in_loop(event, context, rejected):  # type: ignore[no-untyped-def]  # see above
            return await work_in_loop(event, context, rejected)

        async def settling_in_loop(event, context, actions):  # type: ignore[no-untyped-def]  # see above
            return await work_in_loop(event, context, None, actions)

        shapes: tuple[Any, ...] = (plain_in_loop, rejecting_in_loop, settling_in_loop)
    else:
        work = _in_thread(wiring, begin)

        def plain(event, context):  # type: ignore[no-untyped-def]  # see above
            return work(event, context)

        def rejecting(event, context, rejected):  # type: ignore[no-untyped-def]  # see above
            return work(event, context, rejected)

        def settling(event, context, actions):  # type: ignore[no-untyped-def]  # see above
            return work(event, context, None, actions)

        shapes = (plain, rejecting, settling)
    function: Callable[..., Any] = shapes[2 if wiring.settles else 0 if wiring.dead_letter is None else 1]
    if wiring.settles:
        function.__annotations__ = _settlement_types()
    return function


def _in_thread(wiring: Wiring, begin: Begin) -> Callable[..., Any]:
    def work(
        native: Any,
        context: FunctionContext | None,
        rejected: Out | None = None,
        actions: ServiceBusMessageActions | None = None,
    ) -> Any:
        invocation = begin(context)
        items = _items(native, wiring, context)
        outcomes: Any = _consumer(wiring, rejected).handle(items, invocation)
        finish_alone(invocation, _run)
        if actions is not None:
            _settle_each(native, outcomes, actions, invocation)
            return None
        return _answer(wiring, outcomes)

    return work


def _in_event_loop(wiring: Wiring, begin: Begin) -> Callable[..., Awaitable[Any]]:
    async def work(
        native: Any,
        context: FunctionContext | None,
        rejected: Out | None = None,
        actions: ServiceBusMessageActions | None = None,
    ) -> Any:
        invocation = begin(context)
        items = _items(native, wiring, context)
        outcomes: Any = _consumer(wiring, rejected).handle(items, invocation)
        if not isinstance(outcomes, list):
            outcomes = await outcomes
        if invocation.has_background:
            await finish_background(invocation)
        if actions is not None:
            from asyncio import to_thread

            await to_thread(_settle_each, native, outcomes, actions, invocation)
            return None
        return _answer(wiring, outcomes)

    return work


def _items(native: Any, wiring: Wiring, context: FunctionContext | None) -> list[Item]:
    found = messages.read(f"what {wiring.service.name} hands over", wiring.service.items, native, wiring, context)
    return found if isinstance(found, list) else [found]


def _consumer(wiring: Wiring, rejected: Out | None) -> Consumer:
    if rejected is None or wiring.dead_letter is None:
        return wiring.consumer
    return Consumer(wiring.consumer.dispatcher, key=_key, settle=_sender(rejected, wiring.dead_letter[0]))


def _key(event: Any) -> object:
    """What is in order: a session, a partition, and a table's changes."""
    if isinstance(event, ChangeEvent):
        return event.table
    partition = getattr(event, "partition", None)
    return partition if partition is not None else getattr(event, "key", None)


def _answer(wiring: Wiring, outcomes: Sequence[Outcome]) -> Any:
    if wiring.service.name == "durable_activity":
        return encode.activity(outcomes[0])
    return encode.invocation(outcomes)


def _run(awaitable: Awaitable[None]) -> None:
    from asyncio import run

    run(awaitable)  # type: ignore[arg-type]  # it is a coroutine


# A storage queue's message is 64 KB, in base64. https://learn.microsoft.com/azure/storage/queues/storage-queues-introduction
_LARGEST = 48 * 1024


def _sender(rejected: Out, kind: str) -> Settle:
    """Sends rejected events by the output binding, which does so where the function returns."""
    bodies: list[bytes | str] = []

    def send(event: Event[Any], reject: Reject, dead_letter: str) -> bool:
        body = encode.rejected(event)
        if kind == "storage_queue" and len(body) > _LARGEST:
            return False
        # The worker sends several to a storage queue only as text, and to Service Bus not at all.
        # Source: azure-functions, QueueMessageOutConverter and ServiceBusMessageOutConverter.
        several = [*bodies, body]
        if len(several) > 1 and (kind != "storage_queue" or not all(isinstance(one, str) for one in several)):
            return False
        bodies.append(body)
        rejected.set(bodies[0] if len(bodies) == 1 else list(bodies))
        return True

    return send


def _settle_each(
    natives: Any, outcomes: Sequence[Outcome], actions: ServiceBusMessageActions, context: FunctionInvocation
) -> None:
    """Settles each message with Service Bus; raises where the host couldn't for one, which comes again when its lock ends."""
    failure: Exception | None = None
    for native, outcome in zip(natives if isinstance(natives, list) else [natives], outcomes, strict=False):
        try:
            if isinstance(outcome, Done):
                actions.complete(native)
            elif isinstance(outcome, Reject):
                actions.deadletter(native, deadletter_reason=outcome.why[:4096] or "rejected")
            else:
                actions.abandon(native)
        except Exception as exc:
            context.log.error("a message can't be settled", exc_info=exc)
            failure = exc
    if failure is not None:
        raise failure


def _settlement_types() -> dict[str, Any]:
    from importlib import import_module
    from typing import List  # noqa: UP035  # the extension takes no list[…]: seen with 1.0.0b2

    try:
        extension: Any = import_module("azurefunctions.extensions.bindings.servicebus")
    except ImportError as exc:
        raise ConfigurationError(
            "settlement needs the package azurefunctions-extensions-bindings-servicebus: add it to requirements.txt"
        ) from exc
    return {
        "event": List[extension.ServiceBusReceivedMessage],  # noqa: UP006  # see above
        "actions": extension.ServiceBusMessageActions,
    }


# The services: how each declares its trigger, and what comes of a payload.
# "binary" has bodies come as they are. As text they'd be changed where they aren't UTF-8, and a JSON object's members would
# take the place of the trigger's metadata, its id among it. Source: azure-functions-host, Utility.ApplyBindingData.


def _binary() -> Any:
    from azure.functions import DataType

    return DataType.BINARY


def _storage_queue(app: Any, one: Wiring) -> Any:
    given = {"queue_name": one.channel, "connection": one.connection, "data_type": _binary(), **one.options}
    return app.queue_trigger(arg_name="event", **given)


def _service_bus_queue(app: Any, one: Wiring) -> Any:
    return app.service_bus_queue_trigger(
        arg_name="event", **{"queue_name": one.channel, **_service_bus_arguments(one), **one.arguments}
    )


def _service_bus_topic(app: Any, one: Wiring) -> Any:
    place = {"topic_name": one.channel, "subscription_name": _subscription(one)}
    return app.service_bus_topic_trigger(arg_name="event", **{**place, **_service_bus_arguments(one), **one.arguments})


def _service_bus_arguments(one: Wiring) -> dict[str, Any]:
    settling = {"auto_complete_messages": False} if one.settles else {"data_type": _binary()}
    return {"connection": one.connection, **settling}


def _subscription(one: Wiring) -> str:
    name: str = one.options.get("subscription_name") or one.function.name
    return name


def _group(one: Wiring) -> str:
    """The consumer group: Kafka makes one on first use, event hubs have one of their own."""
    group: str = one.options.get("consumer_group") or (one.name if one.service.name == "kafka" else "$Default")
    return group


def _event_hubs(app: Any, one: Wiring) -> Any:
    given = {"event_hub_name": one.channel, "connection": one.connection, "consumer_group": _group(one)}
    return app.event_hub_message_trigger(arg_name="event", **{**given, "data_type": _binary(), **one.arguments})


def _kafka(app: Any, one: Wiring) -> Any:
    given = {"topic": one.channel, "broker_list": f"%{one.connection}%", "consumer_group": _group(one)}
    return app.kafka_trigger(arg_name="event", **{**given, "data_type": _binary(), **one.arguments})


def _blob(app: Any, one: Wiring) -> Any:
    given = {"path": f"{one.channel}/{{name}}", "connection": one.connection, "data_type": _binary(), **one.options}
    return app.blob_trigger(arg_name="event", **given)


def _event_grid(app: Any, one: Wiring) -> Any:
    return app.event_grid_trigger(arg_name="event", **one.options)


def _cosmos_db(app: Any, one: Wiring) -> Any:
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


def _container(one: Wiring) -> tuple[str, str]:
    """The database and container of Cosmos DB."""
    database, slash, container = one.channel.partition("/")
    if not slash:
        database, container = "", one.channel
    return one.options.get("database_name", database), one.options.get("container_name", container)


def _sql(app: Any, one: Wiring) -> Any:
    # sql_trigger is the same, but older ones of azure-functions have it not.
    given = {"tableName": one.channel, "connectionStringSetting": one.connection, **one.options}
    return app.generic_trigger(arg_name="event", type="sqlTrigger", **given)


def _mysql(app: Any, one: Wiring) -> Any:
    given = {"table_name": one.channel, "connection_string_setting": one.connection, **one.options}
    return app.mysql_trigger(arg_name="event", **given)


def _timer(app: Any, one: Wiring) -> Any:
    # A function's timer has one status in the monitor, by the function's name.
    given = {"schedule": ncrontab(one.trigger.cron), "use_monitor": True, **one.options}
    return app.timer_trigger(arg_name="event", **given)


def _durable_activity(app: Any, one: Wiring) -> Any:
    # activity_trigger is the same, but wants azure-functions-durable installed.
    return app.generic_trigger(arg_name="event", type="activityTrigger", **{"activity": one.channel, **one.options})


def _output(app: Any, kind: str, name: str, connection: str) -> Any:
    declare = app.queue_output if kind == "storage_queue" else app.service_bus_queue_output
    return declare(arg_name="rejected", queue_name=name, connection=connection)


def _items_of_storage_queue(native: Any, one: Wiring, context: FunctionContext | None) -> list[Item]:
    return [messages.storage_queue(native, one.channel)]


def _items_of_service_bus(native: Any, one: Wiring, context: FunctionContext | None) -> list[Item]:
    if one.settles:
        natives = native if isinstance(native, list) else [native]
        return [messages.read("a Service Bus message", messages.received, each, one.channel) for each in natives]
    if isinstance(native, list):
        return messages.service_bus_batch(native, one.channel)
    return [messages.service_bus(native, one.channel)]


def _items_of_event_hubs(native: Any, one: Wiring, context: FunctionContext | None) -> list[Item]:
    attempt = decode.attempt(context)
    if isinstance(native, list):
        return messages.event_hubs_batch(native, one.channel, attempt)
    return [messages.event_hubs(native, one.channel, attempt)]


def _items_of_kafka(native: Any, one: Wiring, context: FunctionContext | None) -> list[Item]:
    attempt = decode.attempt(context)
    natives = native if isinstance(native, list) else [native]
    return [messages.read("a record of Kafka", messages.kafka, each, one.channel, attempt) for each in natives]


def _items_of_blob(native: Any, one: Wiring, context: FunctionContext | None) -> list[Item]:
    return [objects.blob(native)]


def _items_of_event_grid(native: Any, one: Wiring, context: FunctionContext | None) -> list[Item]:
    event = event_grid(native)
    # A storage account's events are of all its containers.
    if one.trigger.kind is ObjectEvent and not event.subject.startswith(f"{objects.CONTAINERS}{one.channel}/"):
        return []
    return [event]


def _items_of_cosmos_db(native: Any, one: Wiring, context: FunctionContext | None) -> list[Item]:
    database, container = _container(one)
    return changes.cosmos_db(native, f"{database}/{container}", container)


def _items_of_sql(native: Any, one: Wiring, context: FunctionContext | None) -> list[Item]:
    return changes.sql(native, one.channel, str(getattr(context, "invocation_id", "")))


def _items_of_mysql(native: Any, one: Wiring, context: FunctionContext | None) -> list[Item]:
    return changes.mysql(native, one.channel, str(getattr(context, "invocation_id", "")))


def _items_of_timer(native: Any, one: Wiring, context: FunctionContext | None) -> list[Item]:
    return [decode.timer(native, context, one.channel or one.name, one.trigger.cron)]


def _items_of_durable_activity(native: Any, one: Wiring, context: FunctionContext | None) -> list[Item]:
    return [decode.activity(native, context, one.channel)]


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


def _policy(policy: RetryPolicy) -> dict[str, str]:
    """A retry policy as the worker reads it: whole seconds, below a day. Source: azure_functions_runtime, loader.py."""
    largest = policy.delay if policy.max_delay is None else policy.max_delay
    given = {"max_retry_count": str(policy.attempts)}
    if policy.max_delay is not None and largest <= policy.delay:
        return {"strategy": "fixed_delay", **given, "delay_interval": _interval(policy.delay)}
    if policy.max_delay is None:
        largest = max(policy.delay, A_FEW_TIMES.max_delay or 0)
    return {
        "strategy": "exponential_backoff",
        **given,
        "minimum_interval": _interval(policy.delay),
        "maximum_interval": _interval(largest),
    }


def _interval(seconds: float) -> str:
    whole = min(max(round(seconds), 1), 86399)
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}"


def _warnings(one: Wiring) -> list[str]:
    """What a developer must know of a function that he may not expect."""
    found = []
    trigger, service = one.trigger, one.service.name
    given = getattr(trigger, "retry", None)
    if given is not None and one.retry is None:
        found.append(
            f"Azure's {service} takes no retry policy from code; host.json and the queue's own settings have it"
        )
    if one.retry is not None and one.retry.attempts >= 0 and service not in ("timer", "durable_activity"):
        found.append(f"{service} loses what has failed {one.retry.attempts + 1} times; attempts=-1 retries for ever")
    if one.retry is not None and one.retry.attempts < 0 and one.dead_letter is None:
        found.append(
            f"what it rejects is retried for ever and holds up the rest; dead_letter='a-queue' takes it from {service}"
        )
    if service in ("sql", "mysql"):
        found.append(f"{service} gives up what has failed 5 times")
    if trigger.word == "schedule" and trigger.timezone != os.environ.get("WEBSITE_TIME_ZONE", "UTC"):
        found.append(
            f"Azure has one time zone for all timers: the setting WEBSITE_TIME_ZONE, which is to be {trigger.timezone!r}"
        )
    if service == "blob" and set(trigger.actions) != {"created"}:
        found.append(
            "a blob trigger tells of created objects alone; say on.object(…, 'created'), or have services say 'event_grid'"
        )
    if service in ("cosmos_db", "mysql") and "change_feed_mode" not in one.options and not trigger.actions:
        found.append(f"{service} tells of no removed rows, and of inserted ones as updated")
    return found


def _warn(text: str) -> None:
    from logging import getLogger

    getLogger("portable_fn").warning("%s", text)
