"""Simulate Azure's worker: call each function of an app, and return how its invocation ends."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Mapping, Sequence
from copy import copy
from datetime import datetime
from itertools import chain, repeat
from types import SimpleNamespace
from typing import Any
from warnings import catch_warnings, simplefilter

from portable_fn import on
from portable_fn.adapter.binding import Binding, bindings
from portable_fn.adapter.calling import is_awaitable
from portable_fn.errors import ConfigurationError
from portable_fn.events import UNREADABLE, ObjectEvent, unreadable
from portable_fn.http import Request
from portable_fn.on import Trigger
from portable_fn.record import Record
from portable_fn.testing.loop import run
from portable_fn.testing.results import EventResult, Raised
from portable_fn_azure.decode import AzureContext
from portable_fn_azure.events.function import TriggerFunction
from portable_fn_azure.events.register import Settings, register
from portable_fn_azure.events.services import SERVICES
from portable_fn_azure.simulate.payloads import Sent
from portable_fn_azure.simulate.queues import letters

# Services of the simulation that are the adapter's services with an option.
ADAPTERS = {
    "service_bus_sessions": "service_bus_queue",
    "service_bus_settled": "service_bus_queue",
    "event_grid_cloud_events": "event_grid",
    "event_grid_storage_queue": "storage_queue",
    "cosmos_db_versions": "cosmos_db",
}


class TraceContext:
    """The trace of the worker's context. The real host continues it."""

    def __init__(self, parent: str, state: str) -> None:
        self.trace_parent = parent
        self.trace_state = state


class FunctionContext:
    """The context that the worker passes."""

    def __init__(self, trace: TraceContext) -> None:
        from threading import local

        self.invocation_id = "00000000-0000-4000-8000-000000000001"
        self.function_name = "http"
        self.function_directory = "/home/site/wwwroot"
        self.trace_context = trace
        self.retry_context: Any = None
        self.thread_local_storage: Any = local()


class Invoked(Record):
    """The end of an invocation for the events at `indices`: an `error`, or the `returned` value.

    `out` has the dead letters that it sent, `results` the result of each event that it settled alone. `retries` says whether
    the host invokes it again, `function` is the Azure function's name. With `earlier` it wasn't invoked now: it handled the
    events at an earlier delivery.
    """

    _fields = ("indices", "error", "returned", "out", "results", "retries", "function")

    def __init__(
        self,
        indices: list[int],
        error: Raised | None,
        returned: Any = None,
        out: Sequence[Any] = (),
        results: Mapping[int, EventResult] | None = None,
        retries: bool = True,
        function: str = "",
        earlier: bool = False,
    ) -> None:
        self.indices = indices
        self.error = error
        self.returned = returned
        self.out = list(out)
        self.results = dict(results or {})
        self.retries = retries
        self.function = function
        self.earlier = earlier


class WorkerFunction:
    """A function of an app, called as the worker calls it."""

    def __init__(self, function: Any, trigger: TriggerFunction, service: str) -> None:
        self.trigger = trigger
        self.service = service
        self.name = function.get_function_name()
        self.user_function: Any = function.get_user_function()
        declared = function.get_trigger()
        self.type = declared.type
        self.many = "many" in str(getattr(declared, "cardinality", "")).lower()
        self.retries = self.type not in LOST or bool(function.get_settings_dict("retry_policy"))

    @property
    def place(self) -> str:
        """What the function's trigger listens to, such as a queue."""
        place: str = self.trigger.place
        return place

    def listens_to(self, event: Any) -> bool:
        """Return whether the function's trigger names the event's source."""
        if self.trigger.service.name == "event_grid":
            # The code doesn't say which events a subscription has. The function skips those of other containers.
            return True
        if self.trigger.service.name == "cosmos_db":
            return bool(self.trigger.channel.rpartition("/")[2] == event.table)
        return bool(self.trigger.trigger.names(event))

    def invoke(self, sent: Sent, indices: list[int]) -> Invoked:
        """Call the function for the events at the indices."""
        native = self.native(sent)
        arguments: dict[str, Any] = {"event": native, "context": _context(self.name, sent.retry_count)}
        before = len(letters())
        actions = Actions(native)
        if self.service == "service_bus_settled":
            arguments["actions"] = actions
        try:
            returned = self.user_function(**arguments)
            if is_awaitable(returned):
                returned = run(returned)
            if self.type == "activityTrigger":
                returned = json.loads(_converter(self.type).encode(returned, expected_type=None).value)
            elif returned is not None:
                raise RuntimeError(f"function {self.name!r} without a $return binding returned a non-None value")
        except Exception as exc:
            error = Raised.of(exc)
            return Invoked(indices, error, None, (), actions.results, self.retries, self.name)
        return Invoked(indices, None, returned, letters()[before:], actions.results, self.retries, self.name)

    def native(self, sent: Sent) -> Any:
        """Convert what the host sends, as the worker does; raise DecodeError if it can't."""
        try:
            return self._native(sent)
        except (*UNREADABLE, NotImplementedError, UnboundLocalError) as exc:
            # Event Hubs' converter raises UnboundLocalError for data of an unknown type: seen with azure-functions 1.26.
            raise unreadable(exc, f"what the host sends for {self.service}") from exc

    def _native(self, sent: Sent) -> Any:
        if self.service == "service_bus_settled":
            return [_received(message) for message in json.loads(sent.data["json"])]
        if self.type == "sqlTrigger":
            return _datum(sent.data).value
        metadata = {name: _datum(value) for name, value in sent.metadata.items()}
        with catch_warnings():
            # The warning about a task's input without a type.
            simplefilter("ignore", DeprecationWarning)
            return _converter(self.type).decode(_datum(sent.data), trigger_metadata=metadata)


def _converter(binding: str) -> Any:
    from azure.functions.meta import get_binding_registry

    registry: Any = get_binding_registry  # without annotations
    return registry().get(binding)


# Triggers whose failed events the host drops without a retry policy.
LOST = ("eventHubTrigger", "kafkaTrigger", "cosmosDBTrigger", "timerTrigger")
EXTENSION = "azurefunctions.extensions.bindings.servicebus"
# The sources of functions without a trigger.
_NAMES = {"object": "uploads", "change": "users"}


def functions_for(targets: tuple[object, ...], service: str, cold_start: bool = False) -> list[WorkerFunction]:
    """Return the Azure functions for the service, as `entry` registers them.

    Args:
        cold_start: Whether each invocation is a cold start; by default only the first is.

    Raises:
        ConfigurationError: Azure can't have one of them.
    """
    from azure.functions import FunctionApp

    cold_starts = chain([True], repeat(cold_start))

    name = ADAPTERS.get(service, service)
    words = SERVICES[name].words
    functions = for_the_words(bindings(*targets), words)
    if not functions:
        raise ConfigurationError(f"no function takes events of {service}")
    options: dict[str, dict[str, Any]] = {}
    for function in functions:
        of_function = options.setdefault(function.name, {})
        if service == "service_bus_sessions":
            of_function["is_sessions_enabled"] = True
        if name == "event_hubs":
            # An event hub has one consumer group. For several functions, an app sets their groups in options.
            of_function["consumer_group"] = function.name
        if service == "cosmos_db_versions":
            of_function["change_feed_mode"] = "AllVersionsAndDeletes"
        for trigger in function.triggers:
            if name == "cosmos_db" and "/" not in trigger.name:
                options.setdefault(trigger.name, {})["database_name"] = "database"
    app = FunctionApp()
    triggers = register(
        app,
        functions,
        lambda native: AzureContext(native, next(cold_starts)),
        set(),
        Settings(
            services=dict.fromkeys((*words, *(function.name for function in functions)), name),
            options=options,
            settlement=service == "service_bus_settled",
        ),
    )
    return [
        WorkerFunction(function, trigger, service)
        for function, trigger in zip(app.get_functions(), triggers, strict=True)
    ]


def for_the_words(functions: list[Binding], words: Sequence[str]) -> list[Binding]:
    """Return the functions with only their triggers for the words; if none has one, each with an invented trigger."""
    chosen = []
    for function in functions:
        if fitting := tuple(trigger for trigger in function.triggers if _is_for(trigger, words)):
            chosen.append(copy(function))
            chosen[-1].triggers = fitting
    return chosen or [_for(function, words) for function in functions if function.kind is not Request]


def _is_for(trigger: Trigger, words: Sequence[str]) -> bool:
    """Return whether the trigger is for one of the words, or takes events inside messages of a queue, topic or stream."""
    return trigger.word in words or bool(trigger.via and {"queue", "topic", "stream"}.intersection(words))


def _for(function: Binding, words: Sequence[str]) -> Binding:
    """Return the function with an invented trigger for one of the words."""
    word = "object" if function.kind is ObjectEvent and "object" in words else words[0]
    declared: Any = getattr(on, word)
    names = [trigger.name for trigger in function.triggers if trigger.name]
    name = names[0] if names else _NAMES.get(word, "orders")
    dead_letter = next((trigger.dead_letter for trigger in function.triggers if trigger.dead_letter), None)
    copied = copy(function)
    if word == "schedule":
        copied.triggers = (declared("0 3 * * *", name="nightly"),)
    elif word == "event":
        copied.triggers = (declared(dead_letter=dead_letter),)
    elif word == "task":
        copied.triggers = (declared(function.name),)
    else:
        copied.triggers = (declared(name, dead_letter=dead_letter),)
    return copied


class Actions:
    """A client that settles messages separately, and records the results."""

    def __init__(self, natives: Any = ()) -> None:
        self._natives = natives if isinstance(natives, list) else []
        self.results: dict[int, EventResult] = {}

    def _settle(self, message: Any, result: EventResult) -> None:
        index = next(index for index, native in enumerate(self._natives) if native is message)
        if index in self.results:
            raise ValueError("the message is already settled, so its lock is gone")
        self.results[index] = result

    def complete(self, message: Any) -> None:
        """Acknowledge a message."""
        self._settle(message, EventResult("acknowledged"))

    def abandon(self, message: Any) -> None:
        """Have a message redelivered."""
        self._settle(message, EventResult("retried"))

    def deadletter(self, message: Any, deadletter_reason: str | None = None) -> None:
        """Dead-letter a message."""
        self._settle(message, EventResult("dead-lettered", why=deadletter_reason or ""))


def _context(name: str, retry_count: int) -> FunctionContext:
    context = FunctionContext(TraceContext("", ""))
    context.function_name = name
    context.retry_context = SimpleNamespace(retry_count=retry_count, max_retry_count=0)
    return context


def _datum(typed: Mapping[str, Any]) -> Any:
    """Return a TypedData as the worker's Datum."""
    from azure.functions.meta import Datum

    ((type, value),) = typed.items()
    if type == "bytes":
        value = b64decode(value)
    elif type == "collection_bytes":
        value = SimpleNamespace(bytes=[b64decode(part) for part in value["bytes"]])
    elif type.startswith("collection_"):
        value = SimpleNamespace(**value)
    return Datum(value, type)


def _received(value: dict[str, Any]) -> Any:
    """Return a message of azure.servicebus: names and texts of properties are bytes, the body comes in parts."""
    body, time = b64decode(value.pop("body")), value.pop("enqueued_time_utc")
    properties = {name.encode(): text.encode() for name, text in value.pop("application_properties").items()}
    return SimpleNamespace(
        **value,
        body=[body[:1], body[1:]],
        enqueued_time_utc=None if time is None else datetime.fromisoformat(time),
        application_properties=properties,
    )
