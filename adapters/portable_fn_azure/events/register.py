"""Register an Azure function for each trigger other than HTTP."""

from __future__ import annotations

import os

from portable_fn.adapter.binding import bindings
from portable_fn.errors import ConfigurationError
from portable_fn.on import HTTPTrigger, RetryPolicy
from portable_fn.recording import make_recorder
from portable_fn_azure.events.entry import azure_function
from portable_fn_azure.events.function import DeadLetterQueue, Service, TriggerFunction
from portable_fn_azure.events.services import A_FEW_TIMES, SERVICES, consumer_group, subscription
from portable_fn_azure.register import legal_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from azure.functions import FunctionApp

    from portable_fn.adapter.binding import Binding
    from portable_fn_azure.events.entry import CreateContext

_WORDS = ("queue", "topic", "stream", "object", "change", "event", "schedule", "task")


class Settings:
    """What the arguments of `entry` say about triggers."""

    def __init__(
        self,
        services: Mapping[str, str] | None = None,
        connections: Mapping[str, str] | None = None,
        options: Mapping[str, Mapping[str, Any]] | None = None,
        settlement: bool = False,
    ) -> None:
        self.services = services or {}
        self.connections = connections or {}
        self.options = options or {}
        self.settlement = settlement

    def check(self, known: set[str]) -> None:
        """Raise ConfigurationError if a setting is for a name that isn't known."""
        settings: tuple[tuple[str, Iterable[str]], ...] = (
            ("services", self.services),
            ("connections", self.connections),
            ("options", self.options),
        )
        for parameter, names in settings:
            for name in names:
                if name not in known:
                    raise ConfigurationError(
                        f"{parameter} has {name!r}, but no function or trigger has that name; known names: "
                        f"{', '.join(sorted(known - {''}))}"
                    )


def register(
    app: FunctionApp, bound: Iterable[Binding], create_context: CreateContext, taken: set[str], settings: Settings
) -> list[TriggerFunction]:
    """Add an Azure function for each trigger other than HTTP; add its name to `taken`, in lower case."""
    if not taken:
        # Without it, the library warns at each start that an app without HTTP functions has an auth level, as every app has:
        # seen with azure-functions 1.26 and 2.3.
        app._require_auth_level = True
    recorder = make_recorder()
    if recorder is not None:
        bound = bindings(recorder.instrument(bound))
    functions = plan(bound, taken, settings)
    for function in functions:
        run = azure_function(function, create_context)
        if recorder is not None:
            from portable_fn_azure import recorded

            run = recorded.event(run, function, recorder)
        builder = function.service.declare(app, function)(run)
        if function.retry is not None:
            policy: dict[str, Any] = _retry_arguments(function.retry)
            builder = app.retry(**policy)(builder)
        app.function_name(function.name)(builder)
        for warning in _warnings(function):
            _warn(f"{function.name}: {warning}")
    return functions


def plan(bound: Iterable[Binding], taken: set[str], settings: Settings) -> list[TriggerFunction]:
    """Return the Azure functions to register.

    Raises:
        ConfigurationError: Azure can't have one of them, or a setting names an unknown function.
    """
    functions: list[TriggerFunction] = []
    known: set[str] = {*_WORDS, *SERVICES}
    for binding in bound:
        if not binding.triggers:
            raise ConfigurationError(
                f"{binding.name} takes {binding.kind.__name__}, but has no trigger, and Azure declares triggers in code: add "
                "one, such as on.queue('orders')"
            )
        known.add(binding.name)
        triggers = [trigger for trigger in binding.triggers if not isinstance(trigger, HTTPTrigger)]
        for number, trigger in enumerate(triggers, 1):
            known.update((trigger.name, trigger.via, trigger.dead_letter or ""))
            function = _trigger_function(binding, trigger, number, settings)
            if function.name.lower() in taken:
                raise ConfigurationError(
                    f"two functions would have the name {function.name!r} on Azure: rename {binding.name}"
                )
            taken.add(function.name.lower())
            functions.append(function)
    settings.check(known)
    _refuse_competition(functions)
    return functions


def _trigger_function(binding: Binding, trigger: Any, number: int, settings: Settings) -> TriggerFunction:
    name = legal_name(trigger.name if trigger.word == "task" and trigger.name else binding.name)
    keys = [binding.name, *filter(None, (trigger.name, trigger.via))]
    word = "queue" if is_carried(trigger) else trigger.word
    service = _service(binding, trigger, [settings.services[key] for key in (*keys, word) if key in settings.services])
    options: dict[str, Any] = {}
    for key in reversed(keys):
        options.update(settings.options.get(key, {}))
    connections = settings.connections
    connection = next((connections[key] for key in (*keys, service.name) if key in connections), service.connection)
    settles = settings.settlement and service.name.startswith("service_bus")
    return TriggerFunction(
        f"{name}-{number}" if number > 1 else name,
        binding,
        trigger,
        service,
        _channel(binding, trigger, service),
        connection,
        options,
        settles,
        None if settles else _dead_letter_queue(trigger, service, connection, settings),
    )


def _channel(binding: Binding, trigger: Any, service: Service) -> str:
    if service.name == "durable_activity":
        return trigger.name or binding.name
    name: str = trigger.via if trigger.via and trigger.word not in service.words else trigger.name
    return name


def _dead_letter_queue(trigger: Any, service: Service, connection: str, settings: Settings) -> DeadLetterQueue | None:
    """Return the queue for rejected events: on Service Bus if the trigger is, else a storage queue."""
    name = trigger.dead_letter
    if not name:
        return None
    kind = "service_bus_queue" if service.name.startswith("service_bus") else "storage_queue"
    kind = settings.services.get(name, kind)
    if kind not in ("storage_queue", "service_bus_queue"):
        raise ConfigurationError(
            f"the dead-letter queue {name!r} can't be {kind}: use storage_queue or service_bus_queue"
        )
    if kind == "storage_queue" and name.endswith("-poison"):
        # redrive sends the messages of a poison queue back unchanged: the host moved them, so they have no reason.
        raise ConfigurationError(
            f"{name!r} can't be a dead_letter: Azure's host moves its own failed messages to queues ending in -poison; use "
            "another name"
        )
    same_service = kind.partition("_")[0] == service.name.partition("_")[0]
    default = connection if same_service else SERVICES[kind].connection
    return DeadLetterQueue(kind, name, settings.connections.get(name, default))


def is_carried(trigger: Any) -> bool:
    """Return whether the trigger listens to the queue of `via`. On Azure only Event Grid sends other events to queues."""
    return bool(trigger.via) and trigger.word in ("object", "event")


def default_service(trigger: Any) -> Service:
    """Return the trigger's service if no setting names one."""
    if is_carried(trigger):
        return SERVICES["storage_queue"]
    # A blob trigger sends only created objects.
    if trigger.word == "object" and set(trigger.actions) - {"created"}:
        return SERVICES["event_grid"]
    return next(service for service in SERVICES.values() if trigger.word in service.words)


def _service(binding: Binding, trigger: Any, names: list[str]) -> Service:
    """Return the service that the first of the names has; without names, the trigger's default."""
    if not names:
        return default_service(trigger)
    words = {trigger.word, *(("queue", "topic", "stream") if trigger.via else ())}
    possible = [service for service in SERVICES.values() if words.intersection(service.words)]
    for service in possible:
        if service.name == names[0]:
            return service
    raise ConfigurationError(
        f"on.{trigger.word} of {binding.name} can't be Azure's {names[0]!r}; use one of "
        f"{', '.join(service.name for service in possible)}"
    )


def _refuse_competition(functions: Iterable[TriggerFunction]) -> None:
    places: dict[tuple[object, ...], TriggerFunction] = {}
    for function in functions:
        if not function.service.competes:
            continue
        reader = ""
        if function.service.name == "service_bus_topic":
            reader = subscription(function)
        elif function.service.name in ("event_hubs", "kafka"):
            reader = consumer_group(function)
        place = (function.service.name, function.channel, function.connection, reader)
        other = places.setdefault(place, function)
        if other is not function:
            raise ConfigurationError(
                f"{other.binding.name} and {function.binding.name} both read {function.channel!r}, and Azure gives each event to "
                "only one of them: make them one function, or give each a consumer_group or subscription_name in options"
            )


def _retry_arguments(policy: RetryPolicy) -> dict[str, str]:
    """Return the arguments of `app.retry`: whole seconds, less than a day. Source: azure_functions_runtime, loader.py."""
    largest = policy.delay if policy.max_delay is None else policy.max_delay
    count = {"max_retry_count": str(policy.attempts)}
    if policy.max_delay is not None and largest <= policy.delay:
        return {"strategy": "fixed_delay", **count, "delay_interval": _interval(policy.delay)}
    if policy.max_delay is None:
        largest = max(policy.delay, A_FEW_TIMES.max_delay or 0)
    return {
        "strategy": "exponential_backoff",
        **count,
        "minimum_interval": _interval(policy.delay),
        "maximum_interval": _interval(largest),
    }


def _interval(seconds: float) -> str:
    whole = min(max(round(seconds), 1), 86399)
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}"


def _warnings(function: TriggerFunction) -> list[str]:
    """Return what may surprise the developer of a function."""
    warnings = []
    trigger, service, retry = function.trigger, function.service.name, function.retry
    if getattr(trigger, "retry", None) is not None and retry is None:
        warnings.append(
            f"Azure's {service} takes no retry policy from code: set it in host.json or in the queue's settings"
        )
    if retry is not None and retry.attempts >= 0 and service not in ("timer", "durable_activity"):
        warnings.append(
            f"{service} loses events that fail {retry.attempts + 1} times; attempts=-1 retries until they succeed"
        )
    if retry is not None and retry.attempts < 0 and function.dead_letter is None:
        warnings.append(
            f"a rejected event is retried until it succeeds, and blocks the others of {service}: add dead_letter='a-queue'"
        )
    if service in ("sql", "mysql"):
        warnings.append(f"{service} gives up rows that fail 5 times")
    if trigger.word == "schedule" and trigger.timezone != os.environ.get("WEBSITE_TIME_ZONE", "UTC"):
        warnings.append(f"all timers of an Azure app have one time zone: set WEBSITE_TIME_ZONE to {trigger.timezone!r}")
    if service == "blob" and set(trigger.actions) != {"created"}:
        warnings.append(
            "a blob trigger sends only created objects: use on.object(…, 'created'), or services={…: 'event_grid'}"
        )
    if (
        service in ("cosmos_db", "mysql")
        and "change_feed_mode" not in function.options
        and trigger.actions != ("updated",)
    ):
        warnings.append(f"{service} sends no removed rows, and inserted rows as updated")
    return warnings


def _warn(text: str) -> None:
    from portable_fn.logs import log

    log().warning("%s", text)
