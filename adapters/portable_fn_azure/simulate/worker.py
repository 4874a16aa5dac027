"""The worker of Azure's that runs a function app: how each function is called, and how its invocation ends."""

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

# A service of the simulation that is one of the adapter's with something chosen.
ADAPTERS = {
    "service_bus_sessions": "service_bus_queue",
    "service_bus_settled": "service_bus_queue",
    "event_grid_cloud_events": "event_grid",
    "event_grid_storage_queue": "storage_queue",
    "cosmos_db_versions": "cosmos_db",
}


class TraceContext:
    """The trace of the worker's context; the real one is continued by the host."""

    def __init__(self, parent: str, state: str) -> None:
        self.trace_parent = parent
        self.trace_state = state


class FunctionContext:
    """The context that the worker hands over."""

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


class Wired:
    """A function of a function app, called as the worker calls it."""

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
        """Whether the event is of what the function's trigger names."""
        if self.trigger.service.name == "event_grid":
            # Which events a subscription is of, code doesn't say; the function leaves aside what it isn't for.
            return True
        if self.trigger.service.name == "cosmos_db":
            return bool(self.trigger.channel.rpartition("/")[2] == event.table)
        return bool(self.trigger.trigger.names(event))

    def invoke(self, sent: Sent, indices: list[int]) -> Invoked:
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
        """What the worker makes of what the host sends; DecodeError where it can't."""
        try:
            return self._native(sent)
        except (*UNREADABLE, NotImplementedError, UnboundLocalError) as exc:
            # The last is Event Hubs' converter's, of data of a type that it doesn't know: seen with azure-functions 1.26.
            raise unreadable(exc, f"what the host sends for {self.service}") from exc

    def _native(self, sent: Sent) -> Any:
        if self.service == "service_bus_settled":
            return [_received(one) for one in json.loads(sent.data["json"])]
        if self.type == "sqlTrigger":
            return _datum(sent.data).value
        metadata = {name: _datum(value) for name, value in sent.metadata.items()}
        with catch_warnings():
            # That of reading a task's input without a type.
            simplefilter("ignore", DeprecationWarning)
            return _converter(self.type).decode(_datum(sent.data), trigger_metadata=metadata)


def _converter(binding: str) -> Any:
    from azure.functions.meta import get_binding_registry

    registry: Any = get_binding_registry  # it has no annotations
    return registry().get(binding)


# What the host forgets where it has no retry policy.
LOST = ("eventHubTrigger", "kafkaTrigger", "cosmosDBTrigger", "timerTrigger")
EXTENSION = "azurefunctions.extensions.bindings.servicebus"
# What a function without a trigger of its own is for.
_NAMES = {"object": "uploads", "change": "users"}


def functions_for(targets: tuple[object, ...], service: str, cold_start: bool = False) -> list[Wired]:
    """The Azure functions for the service, as `entry` registers them; ConfigurationError for what Azure can't have.

    The first invocation is a cold start, or each.
    """
    from azure.functions import FunctionApp

    cold_starts = chain([True], repeat(cold_start))

    name = ADAPTERS.get(service, service)
    words = SERVICES[name].words
    functions = for_the_words(bindings(*targets), words)
    if not functions:
        raise ConfigurationError(f"none of the functions is for what {service} hands over")
    options: dict[str, dict[str, Any]] = {}
    for function in functions:
        given = options.setdefault(function.name, {})
        if service == "service_bus_sessions":
            given["is_sessions_enabled"] = True
        if name == "event_hubs":
            # A hub has one reader of its own; for others entry is told their consumer groups.
            given["consumer_group"] = function.name
        if service == "cosmos_db_versions":
            given["change_feed_mode"] = "AllVersionsAndDeletes"
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
    return [Wired(function, trigger, service) for function, trigger in zip(app.get_functions(), triggers, strict=True)]


def for_the_words(functions: list[Binding], words: Sequence[str]) -> list[Binding]:
    """The functions with their triggers for the words alone; where none has such a one, each with one made up."""
    made = []
    for function in functions:
        if fitting := tuple(trigger for trigger in function.triggers if _is_for(trigger, words)):
            made.append(copy(function))
            made[-1].triggers = fitting
    return made or [_for(function, words) for function in functions if function.kind is not Request]


def _is_for(trigger: Trigger, words: Sequence[str]) -> bool:
    """Whether the trigger is for one of the words, or for what comes by a queue, a topic or a stream."""
    return trigger.word in words or bool(trigger.via and {"queue", "topic", "stream"}.intersection(words))


def _for(function: Binding, words: Sequence[str]) -> Binding:
    """The function with a trigger for one of the words."""
    word = "object" if function.kind is ObjectEvent and "object" in words else words[0]
    declared: Any = getattr(on, word)
    names = [trigger.name for trigger in function.triggers if trigger.name]
    name = names[0] if names else _NAMES.get(word, "orders")
    dead_letter = next((trigger.dead_letter for trigger in function.triggers if trigger.dead_letter), None)
    made = copy(function)
    if word == "schedule":
        made.triggers = (declared("0 3 * * *", name="nightly"),)
    elif word == "event":
        made.triggers = (declared(dead_letter=dead_letter),)
    elif word == "task":
        made.triggers = (declared(function.name),)
    else:
        made.triggers = (declared(name, dead_letter=dead_letter),)
    return made


class Actions:
    """How messages are settled one by one, recorded."""

    def __init__(self, natives: Any = ()) -> None:
        self._natives = natives if isinstance(natives, list) else []
        self.results: dict[int, EventResult] = {}

    def _settle(self, message: Any, settled: EventResult) -> None:
        index = next(index for index, one in enumerate(self._natives) if one is message)
        if index in self.results:
            raise ValueError("the lock of the message is gone: it is settled already")
        self.results[index] = settled

    def complete(self, message: Any) -> None:
        self._settle(message, EventResult("acknowledged"))

    def abandon(self, message: Any) -> None:
        self._settle(message, EventResult("retried"))

    def deadletter(self, message: Any, deadletter_reason: str | None = None) -> None:
        self._settle(message, EventResult("dead-lettered", why=deadletter_reason or ""))


def _context(name: str, retry_count: int) -> FunctionContext:
    context = FunctionContext(TraceContext("", ""))
    context.function_name = name
    context.retry_context = SimpleNamespace(retry_count=retry_count, max_retry_count=0)
    return context


def _datum(typed: Mapping[str, Any]) -> Any:
    """The worker's Datum of a TypedData."""
    from azure.functions.meta import Datum

    ((type, value),) = typed.items()
    if type == "bytes":
        value = b64decode(value)
    elif type == "collection_bytes":
        value = SimpleNamespace(bytes=[b64decode(one) for one in value["bytes"]])
    elif type.startswith("collection_"):
        value = SimpleNamespace(**value)
    return Datum(value, type)


def _received(value: dict[str, Any]) -> Any:
    """A message of azure.servicebus, which has names and texts of properties as bytes, and the body in parts."""
    body, time = b64decode(value.pop("body")), value.pop("enqueued_time_utc")
    properties = {name.encode(): text.encode() for name, text in value.pop("application_properties").items()}
    return SimpleNamespace(
        **value,
        body=[body[:1], body[1:]],
        enqueued_time_utc=None if time is None else datetime.fromisoformat(time),
        application_properties=properties,
    )
