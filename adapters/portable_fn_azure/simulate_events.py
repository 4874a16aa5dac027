"""Azure's half of the wire for what isn't HTTP: events as the host hands them to the worker, and what becomes of them.

The shapes are those of the host's extensions; `Sent` is what the host tells a worker by gRPC, in protobuf's JSON.
"""

from __future__ import annotations

import json
import sys
from base64 import b64decode
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from datetime import datetime
from types import ModuleType, SimpleNamespace
from typing import Any
from warnings import catch_warnings, simplefilter

from portable_fn import on
from portable_fn.adapter import bindings
from portable_fn.binding import Binding, is_awaitable
from portable_fn.data import to_json
from portable_fn.events import Event, Message, ObjectEvent
from portable_fn.record import Record
from portable_fn.testing.delivery import Delivery, Raised, Settled
from portable_fn.testing.loop import run
from portable_fn_azure.decode import FunctionInvocation
from portable_fn_azure.simulate_payloads import Sent, alone, rows, together

EVENT_SERVICES: dict[str, tuple[str, ...]] = {
    "Message": (
        "storage_queue",
        "service_bus_queue",
        "service_bus_sessions",
        "service_bus_settled",
        "service_bus_topic",
        "event_hubs",
        "kafka",
    ),
    "ObjectEvent": ("event_grid", "event_grid_cloud_events", "blob", "event_grid_storage_queue"),
    "ChangeEvent": ("cosmos_db", "cosmos_db_versions", "sql", "mysql"),
    "CloudEvent": ("event_grid_cloud_events", "event_grid"),
    "ScheduleEvent": ("timer",),
    "Task": ("durable_activity",),
}

# A service here that is one of the adapter's with something chosen.
_ADAPTERS = {
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


class Arrival(Record):
    """Events that reach the host together: `each` by itself, and `many` at once, whichever the function's binding asks for."""

    _fields = ("keys", "each", "many")

    def __init__(self, keys: list[object], each: list[Sent], many: Sent | None) -> None:
        self.keys = keys
        self.each = each
        self.many = many


class Invoked(Record):
    """How an invocation for the events at `indices` ended: with an `error` or with what it `returned` and put `out`.

    `settled` has what became of each by a call of its own, `retries` says whether the host invokes it again.
    """

    _fields = ("indices", "error", "returned", "out", "settled", "retries")

    def __init__(
        self,
        indices: list[int],
        error: Raised | None,
        returned: Any = None,
        out: Sequence[Any] = (),
        settled: Mapping[int, Settled] | None = None,
        retries: bool = True,
    ) -> None:
        self.indices = indices
        self.error = error
        self.returned = returned
        self.out = list(out)
        self.settled = settled or {}
        self.retries = retries


def payloads(events: Sequence[Event[Any]], service: str) -> list[Any]:
    """What reaches the host: the events together where the service hands over several at once, else each by itself."""
    if service in (
        "event_hubs",
        "kafka",
        "service_bus_queue",
        "service_bus_sessions",
        "service_bus_settled",
        "service_bus_topic",
    ):
        each = [alone(event, service, index) for index, event in enumerate(events)]
        return [Arrival([_place(event, service) for event in events], each, together(list(events), service))]
    if service in ("cosmos_db", "cosmos_db_versions", "sql", "mysql"):
        return [Arrival([None] * len(events), [], rows(list(events), service))]
    return [Arrival([None], [alone(event, service, index)], None) for index, event in enumerate(events)]


@contextmanager
def playing(service: str) -> Iterator[None]:
    """The package that settles messages one by one, where it is asked for and isn't installed."""
    names = ("azurefunctions", "azurefunctions.extensions", "azurefunctions.extensions.bindings", _EXTENSION)
    if service != "service_bus_settled" or _EXTENSION in sys.modules:
        yield
        return
    kept = {name: sys.modules.get(name) for name in names}
    for name in names:
        sys.modules.setdefault(name, ModuleType(name))
    vars(sys.modules[_EXTENSION]).update(ServiceBusReceivedMessage=SimpleNamespace, ServiceBusMessageActions=_Actions)
    try:
        yield
    finally:
        for name, module in kept.items():
            if module is None:
                del sys.modules[name]


def invoker(targets: tuple[object, ...], service: str, seconds: float) -> Callable[[Any], Any]:
    """The host, the worker and the function app: gives how each invocation ended that came of an arrival."""
    wired = _wired(targets, service)
    many = wired.many

    def invoke(arrival: Arrival) -> list[Invoked]:
        if arrival.many is not None and (many or not arrival.each):
            return [wired.invoke(arrival.many, list(range(len(arrival.keys))))]
        invoked: list[Invoked] = []
        stopped: set[object] = set()
        for index, sent in enumerate(arrival.each):
            key = arrival.keys[index]
            if key is not None and key in stopped:
                continue
            one = wired.invoke(sent, [index])
            invoked.append(one)
            if one.error is not None and one.retries:
                stopped.add(key)
        return invoked

    return invoke


def settled(events: Sequence[Event[Any]], service: str, answers: Sequence[Any]) -> Delivery:
    """What became of each event, as the host and the service have it."""
    found: dict[int, Settled] = {}
    error: Raised | None = None
    result: Any = None
    offset = 0
    for answer in answers:
        # An error that reaches the host before a function is called has everything come again.
        invocations = answer if isinstance(answer, list) else [Invoked([0], answer)]
        for one in invocations:
            result, error = one.returned, one.error or error
            bodies = list(one.out)
            for index in one.indices:
                if service == "service_bus_settled":
                    # One that nobody settles comes again when its lock ends.
                    found[index] = one.settled.get(index, Settled("retried"))
                else:
                    found[offset + index] = _outcome(one, events[offset + index], bodies)
        offset += 1 if len(answers) == len(events) else len(events)
    # What the host holds back behind one that it tries again.
    each = [found.get(index, Settled("retried")) for index in range(len(events))]
    return Delivery(each, result=result, error=None if error is None else (error.name, error.message))


def _outcome(one: Invoked, event: Event[Any], bodies: list[bytes]) -> Settled:
    if one.error is not None:
        return Settled("retried" if one.retries else "lost")
    for body in bodies:
        if len(one.indices) == 1 or _is_of(body, event):
            bodies.remove(body)
            return Settled("dead-lettered")
    return Settled("acknowledged")


def _is_of(body: bytes, event: Event[Any]) -> bool:
    """Whether the dead letter is of that event, of several."""
    if isinstance(event, Message):
        return body == event.body
    row = json.loads(body)
    return all(row[name] == json.loads(to_json(getattr(event, name))) for name in ("key", "after") if name in row)


class _Wired:
    """A function of a function app, called as the worker calls it."""

    def __init__(self, function: Any, service: str) -> None:
        self.service = service
        self.name = function.get_function_name()
        self.user_function: Any = function.get_user_function()
        trigger = function.get_trigger()
        self.type = trigger.type
        self.many = "many" in str(getattr(trigger, "cardinality", "")).lower()
        self.output = next((one for one in function.get_bindings() if one.name == "rejected"), None)
        self.retries = self.type not in _LOST or bool(function.get_settings_dict("retry_policy"))

    def invoke(self, sent: Sent, indices: list[int]) -> Invoked:
        native = self.native(sent)
        arguments: dict[str, Any] = {"event": native, "context": _context(self.name, sent.retry_count)}
        out = _Out()
        actions = _Actions(native)
        if self.service == "service_bus_settled":
            arguments["actions"] = actions
        elif self.output is not None:
            arguments["rejected"] = out
        put: list[bytes] = []
        try:
            returned = self.user_function(**arguments)
            if is_awaitable(returned):
                returned = run(returned)
            if self.output is not None and out.get() is not None:
                put = _put(_converter(self.output.type).encode(out.get(), expected_type=None))
            if self.type == "activityTrigger":
                returned = json.loads(_converter(self.type).encode(returned, expected_type=None).value)
            elif returned is not None:
                raise RuntimeError(f"function {self.name!r} without a $return binding returned a non-None value")
        except Exception as exc:
            return Invoked(indices, Raised(type(exc).__name__, str(exc)), settled=actions.settled, retries=self.retries)
        return Invoked(indices, None, returned, put, actions.settled)

    def native(self, sent: Sent) -> Any:
        """What the worker makes of what the host sends."""
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
_LOST = ("eventHubTrigger", "kafkaTrigger", "cosmosDBTrigger", "timerTrigger")
_EXTENSION = "azurefunctions.extensions.bindings.servicebus"
# What a function without a trigger of its own is for.
_NAMES = {"object": "uploads", "change": "users"}


def _wired(targets: tuple[object, ...], service: str) -> _Wired:
    from azure.functions import FunctionApp

    from portable_fn_azure.services import SERVICES
    from portable_fn_azure.triggers import register

    name = _ADAPTERS.get(service, service)
    words = SERVICES[name].words
    functions = [_for(function, words) for function in bindings(*targets)]
    options: dict[str, dict[str, Any]] = {}
    for function in functions:
        given = options.setdefault(function.name, {})
        if service == "service_bus_sessions":
            given["is_sessions_enabled"] = True
        if name == "cosmos_db" and "/" not in function.triggers[0].name:
            given["database_name"] = "database"
        if service == "cosmos_db_versions":
            given["change_feed_mode"] = "AllVersionsAndDeletes"
    app = FunctionApp()
    register(
        app,
        functions,
        lambda native: FunctionInvocation(native, False),
        set(),
        services=dict.fromkeys(SERVICES[name].words, name),
        connections={},
        options=options,
        settlement=service == "service_bus_settled",
    )
    return _Wired(app.get_functions()[0], service)


def _for(function: Binding, words: Sequence[str]) -> Binding:
    """The function with its triggers for one of the words alone, or with such a one where it has none."""
    fitting = tuple(trigger for trigger in function.triggers if trigger.word in words)
    made = copy(function)
    if "object" in words and function.kind is not ObjectEvent and len(words) > 1:
        words = tuple(word for word in words if word != "object")
    word = "object" if function.kind is ObjectEvent and "object" in words else words[0]
    declared: Any = getattr(on, word)
    name = _NAMES.get(word, "orders")
    if word == "schedule":
        fitting = fitting or (declared("0 3 * * *", name="nightly"),)
    elif word == "event":
        fitting = fitting or (declared(),)
    dead_letter = next((trigger.dead_letter for trigger in function.triggers if trigger.dead_letter), None)
    made.triggers = fitting[:1] or (declared(name, dead_letter=dead_letter) if word != "task" else declared(name),)
    return made


class _Out:
    """azure.functions.Out as the worker makes it."""

    def __init__(self) -> None:
        self._value: Any = None

    def set(self, value: Any) -> None:
        self._value = value

    def get(self) -> Any:
        return self._value


class _Actions:
    """How messages are settled one by one, recorded."""

    def __init__(self, natives: Any = ()) -> None:
        self._natives = natives if isinstance(natives, list) else []
        self.settled: dict[int, Settled] = {}

    def _settle(self, message: Any, settled: Settled) -> None:
        index = next(index for index, one in enumerate(self._natives) if one is message)
        if index in self.settled:
            raise ValueError("the lock of the message is gone: it is settled already")
        self.settled[index] = settled

    def complete(self, message: Any) -> None:
        self._settle(message, Settled("acknowledged"))

    def abandon(self, message: Any) -> None:
        self._settle(message, Settled("retried"))

    def deadletter(self, message: Any, deadletter_reason: str | None = None) -> None:
        self._settle(message, Settled("dead-lettered", why=deadletter_reason or ""))


def _context(name: str, retry_count: int) -> FunctionContext:
    context = FunctionContext(TraceContext("", ""))
    context.function_name = name
    context.retry_context = SimpleNamespace(retry_count=retry_count, max_retry_count=0)
    return context


def _put(datum: Any) -> list[bytes]:
    """The messages that an output binding sends."""
    if datum.type == "json":
        return [one.encode() for one in json.loads(datum.value)]
    return [datum.value if datum.type == "bytes" else datum.value.encode()]


def _place(event: Event[Any], service: str) -> object:
    """Within what the host, or the broker, waits for an event that it tries again."""
    if service in ("event_hubs", "kafka"):
        return getattr(event, "partition", None) or "0"
    return getattr(event, "key", None) if service == "service_bus_sessions" else None


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
        body=iter([body[:1], body[1:]]),
        enqueued_time_utc=None if time is None else datetime.fromisoformat(time),
        application_properties=properties,
    )
