"""The Azure functions for triggers other than HTTP: which service each is for, and how it is registered."""

from __future__ import annotations

import os

from portable_fn.adapter.binding import bindings
from portable_fn.errors import ConfigurationError
from portable_fn.on import HTTPTrigger, RetryPolicy
from portable_fn.recording import make_recorder
from portable_fn_azure.events.entry import azure_function
from portable_fn_azure.events.function import Service, TriggerFunction
from portable_fn_azure.events.services import A_FEW_TIMES, SERVICES, consumer_group, subscription

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from azure.functions import FunctionApp

    from portable_fn.adapter.binding import Binding
    from portable_fn_azure.events.entry import Begin

    Options = Mapping[str, Mapping[str, Any]]


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
) -> list[TriggerFunction]:
    """Adds an Azure function for each trigger of each function that isn't HTTP; `taken` are the names that are."""
    if not taken:
        # Else the library warns at each start that an app without HTTP functions has an auth level, which it always has:
        # seen with azure-functions 1.26 and 2.3.
        app._require_auth_level = True
    recording = make_recorder()
    if recording is not None:
        functions = bindings(recording.telling_of(functions))
    planned = plan(functions, taken, services, connections, options, settlement)
    for wiring in planned:
        called = azure_function(wiring, begin)
        if recording is not None:
            from portable_fn_azure import recorded

            called = recorded.event(called, wiring, recording)
        declared = wiring.service.declare(app, wiring)(called)
        if wiring.retry is not None:
            policy: dict[str, Any] = _policy(wiring.retry)
            declared = app.retry(**policy)(declared)
        app.function_name(wiring.name)(declared)
        for warning in _warnings(wiring):
            _warn(f"{wiring.name}: {warning}")
    return planned


def plan(
    functions: Iterable[Binding],
    taken: set[str],
    services: Mapping[str, str],
    connections: Mapping[str, str],
    options: Options,
    settlement: bool,
) -> list[TriggerFunction]:
    """The Azure functions to be; ConfigurationError for what Azure can't have, or what an option names that there isn't."""
    planned: list[TriggerFunction] = []
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
            used.update((trigger.name, trigger.via, trigger.dead_letter or ""))
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
) -> TriggerFunction:
    from portable_fn_azure.names import legal_name

    name = legal_name(trigger.name if trigger.word == "task" and trigger.name else function.name)
    keys = [function.name, *filter(None, (trigger.name, trigger.via))]
    word = "queue" if is_carried(trigger) else trigger.word
    service = _service(function, trigger, [services[key] for key in (*keys, word) if key in services])
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
        if kind == "storage_queue" and trigger.dead_letter.endswith("-poison"):
            # redrive takes what is there for what the host moved, which has no reason and goes back as it is.
            raise ConfigurationError(
                f"the dead letters {trigger.dead_letter!r} would lie among those that Azure's host moves itself: name a queue "
                "without -poison"
            )
        same = kind.partition("_")[0] == service.name.partition("_")[0]
        default = connection if same else SERVICES[kind].connection
        dead_letter = (kind, trigger.dead_letter, connections.get(trigger.dead_letter, default))
    channel = trigger.name
    if trigger.via and trigger.word not in service.words:
        channel = trigger.via
    if service.name == "durable_activity":
        channel = trigger.name or function.name
    return TriggerFunction(
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


def is_carried(trigger: Any) -> bool:
    """Whether the trigger listens to the queue that `via` names; only events of Event Grid come in Azure's queues."""
    return bool(trigger.via) and trigger.word in ("object", "event")


def default_service(trigger: Any) -> Service:
    """The service that the trigger is for where nothing else is said."""
    if is_carried(trigger):
        return SERVICES["storage_queue"]
    # A blob trigger knows of created objects alone.
    if trigger.word == "object" and set(trigger.actions) - {"created"}:
        return SERVICES["event_grid"]
    return next(service for service in SERVICES.values() if trigger.word in service.words)


def _service(function: Binding, trigger: Any, asked: list[str]) -> Service:
    if not asked:
        return default_service(trigger)
    words = {trigger.word, *(("queue", "topic", "stream") if trigger.via else ())}
    possible = [service for service in SERVICES.values() if words.intersection(service.words)]
    for service in possible:
        if service.name == asked[0]:
            return service
    names = ", ".join(service.name for service in possible)
    raise ConfigurationError(
        f"on.{trigger.word} of {function.name} can't be Azure's {asked[0]!r}; possible are {names}"
    )


def _refuse_competition(planned: Iterable[TriggerFunction]) -> None:
    places: dict[tuple[object, ...], TriggerFunction] = {}
    for wiring in planned:
        if not wiring.service.competes:
            continue
        reader = ""
        if wiring.service.name == "service_bus_topic":
            reader = subscription(wiring)
        elif wiring.service.name in ("event_hubs", "kafka"):
            reader = consumer_group(wiring)
        place = (wiring.service.name, wiring.channel, wiring.connection, reader)
        other = places.setdefault(place, wiring)
        if other is not wiring:
            raise ConfigurationError(
                f"{other.function.name} and {wiring.function.name} are both for {wiring.channel!r}, and Azure would give each event "
                "to one of them only: make them one function, or give each a consumer_group or subscription_name in options"
            )


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


def _warnings(one: TriggerFunction) -> list[str]:
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
    if service in ("cosmos_db", "mysql") and "change_feed_mode" not in one.options and trigger.actions != ("updated",):
        found.append(f"{service} tells of no removed rows, and of inserted ones as updated")
    return found


def _warn(text: str) -> None:
    from portable_fn.logs import log

    log().warning("%s", text)
