"""Simulate Azure for triggers other than HTTP: send events as the host does, and return the result of each.

The payloads have the shapes of the host's extensions. `Sent` is what the host sends to a worker by gRPC, in protobuf's JSON.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from types import ModuleType, SimpleNamespace
from typing import Any

from portable_fn.adapter.dead_letter import reason, restored
from portable_fn.adapter.dispatch import describe
from portable_fn.data import to_json
from portable_fn.events import ChangeEvent, Event, Message, ObjectEvent
from portable_fn.on import Trigger
from portable_fn.record import Record
from portable_fn.testing.results import Delivery, EventResult, Raised, reject_reason
from portable_fn.testing.services import is_same_event
from portable_fn_azure.events import register
from portable_fn_azure.simulate import queues
from portable_fn_azure.simulate.payloads import Sent, alone, rows, together
from portable_fn_azure.simulate.worker import EXTENSION, Actions, Invoked, WorkerFunction, functions_for

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

# Services that can send several events in one invocation, and those that always do.
_MANY = (
    "event_hubs",
    "kafka",
    "service_bus_queue",
    "service_bus_sessions",
    "service_bus_settled",
    "service_bus_topic",
)
_ROWS = ("cosmos_db", "cosmos_db_versions", "sql", "mysql")


class HostEvents(Record):
    """Events that reach the host together.

    Args:
        keys: The key within which each event stays in order, or None.
        each: What the host sends if the function's binding takes one event.
        many: What it sends if the binding takes many.
        events: The events, if known.
        place: What the trigger listens to, if the events aren't known.
        function: The Azure function's name, if the events aren't known.
        only: Returns the same for the events at some positions.
    """

    _fields = ("keys", "each", "many")

    def __init__(
        self,
        keys: list[object],
        each: list[Sent],
        many: Sent | None,
        events: Sequence[Event[Any]] = (),
        place: str = "",
        function: str = "",
        only: Callable[[list[int]], HostEvents] | None = None,
    ) -> None:
        self.keys = keys
        self.each = each
        self.many = many
        self.events = events
        self.place = place
        self.function = function
        self.only = only


def payloads(events: Sequence[Event[Any]], service: str) -> list[Any]:
    """Return what reaches the host: the events together if the service can send several at once, else one by one."""
    return [_host_events(events, indices, service) for indices in _together(events, service)]


def _host_events(events: Sequence[Event[Any]], indices: list[int], service: str) -> HostEvents:
    """Return what reaches the host for the events at the indices."""
    chosen = [events[index] for index in indices]

    def only(positions: list[int]) -> HostEvents:
        return _host_events(events, [indices[position] for position in positions], service)

    if service in _ROWS:
        return HostEvents([None] * len(chosen), [], rows(chosen, service), chosen, only=only)
    keys = [_key(event, service) for event in chosen]
    each = [alone(event, service, index) for index, event in zip(indices, chosen, strict=True)]
    many = together(chosen, service) if service in _MANY else None
    return HostEvents(keys, each, many, chosen, only=only)


def _together(events: Sequence[Event[Any]], service: str) -> list[list[int]]:
    """Return the indices of events that reach the host together: those of a queue, topic, stream or table; others alone."""
    if service not in (*_MANY, *_ROWS):
        return [[index] for index in range(len(events))]
    places: dict[Any, list[int]] = {}
    for index, event in enumerate(events):
        places.setdefault(event.table if isinstance(event, ChangeEvent) else getattr(event, "channel", ""), []).append(
            index
        )
    return list(places.values())


class Waiting(Record):
    """An event that some functions get again, and its results in the other functions, by their names."""

    _fields = ("event", "done")

    def __init__(self, event: Event[Any], done: dict[str, EventResult]) -> None:
        self.event = event
        self.done = done

    def is_for(self, event: Event[Any]) -> bool:
        """Return whether this is the event, at any delivery."""
        return is_same_event(event, self.event)


# Of the outermost block of `playing`.
_waiting: ContextVar[list[Waiting] | None] = ContextVar("_waiting", default=None)


@contextmanager
def playing(service: str) -> Iterator[None]:
    """Remember which functions have handled an event, and answer calls to queues.

    Replace the package that settles messages separately if an app needs it and it isn't installed.
    """
    token = None if _waiting.get() is not None else _waiting.set([])
    try:
        with _settling(service), queues.playing():
            yield
    finally:
        if token is not None:
            _waiting.reset(token)


@contextmanager
def _settling(service: str) -> Iterator[None]:
    names = ("azurefunctions", "azurefunctions.extensions", "azurefunctions.extensions.bindings", EXTENSION)
    if service != "service_bus_settled" or EXTENSION in sys.modules:
        yield
        return
    kept = {name: sys.modules.get(name) for name in names}
    for name in names:
        sys.modules.setdefault(name, ModuleType(name))
    vars(sys.modules[EXTENSION]).update(ServiceBusReceivedMessage=SimpleNamespace, ServiceBusMessageActions=Actions)
    try:
        yield
    finally:
        for name, module in kept.items():
            if module is None:
                del sys.modules[name]


def invoker(
    targets: tuple[object, ...], service: str, seconds: float, cold_start: bool = False
) -> Callable[[Any], Any]:
    """Return a host with a worker and the functions' app: for events that arrive together, it returns its invocations.

    The first invocation is a cold start; with `cold_start`, each is. Each function has a separate subscription: an event is
    redelivered only to the functions that haven't handled it.
    """
    functions = functions_for(targets, service, cold_start)

    def invoke(arrived: HostEvents) -> list[Invoked]:
        listening = _listening(functions, arrived)
        before = [_taken(event) for event in arrived.events]
        invoked = [invocation for function in listening for invocation in _invoked(arrived, function, before)]
        _keep_waiting(arrived.events, [function.name for function in listening], invoked, service)
        return invoked

    return invoke


def _taken(event: Event[Any]) -> dict[str, EventResult]:
    """Return the results of a redelivered event in the functions that have handled it."""
    waiting = _waiting.get() or []
    for entry in waiting:
        if entry.is_for(event):
            waiting.remove(entry)
            return entry.done
    return {}


def _invoked(arrived: HostEvents, function: WorkerFunction, before: list[dict[str, EventResult]]) -> list[Invoked]:
    """Invoke the function, except for events that it handled at an earlier delivery; return its invocations."""
    done = {index: known[function.name] for index, known in enumerate(before) if function.name in known}
    if not done or arrived.only is None:
        return invocations(arrived, function.many, function.invoke)
    earlier = Invoked(list(done), None, results=done, function=function.name, earlier=True)
    left = [index for index in range(len(before)) if index not in done]
    if not left:
        return [earlier]
    again = invocations(arrived.only(left), function.many, function.invoke)
    for invocation in again:
        invocation.indices = [left[index] for index in invocation.indices]
        invocation.results = {left[index]: result for index, result in invocation.results.items()}
    return [earlier, *again]


def _keep_waiting(events: Sequence[Event[Any]], names: Sequence[str], invoked: Sequence[Invoked], service: str) -> None:
    """Remember which functions have handled the events that others get again."""
    waiting = _waiting.get()
    if waiting is None or len(names) == 1:
        return
    indices = list(range(len(events)))
    became = {
        name: _results_of(
            [invocation for invocation in invoked if invocation.function == name], indices, events, service
        )
        for name in names
    }
    for index, event in enumerate(events):
        each = {name: of_function.get(index, _HELD_BACK) for name, of_function in became.items()}
        done = {name: result for name, result in each.items() if result.outcome != _HELD_BACK.outcome}
        if done and len(done) < len(each):
            waiting.append(Waiting(event, done))


def invocations(arrived: HostEvents, many: bool, invoke: Callable[[Sent, list[int]], Invoked]) -> list[Invoked]:
    """Invoke a function, which takes `many` events or one, for events that arrive together.

    Within a partition or a session, the events after a retried one aren't delivered.
    """
    if arrived.many is not None and (many or not arrived.each):
        return [invoke(arrived.many, list(range(len(arrived.keys))))]
    invoked: list[Invoked] = []
    stopped: set[object] = set()
    for index, sent in enumerate(arrived.each):
        key = arrived.keys[index]
        if key is not None and key in stopped:
            continue
        invocation = invoke(sent, [index])
        invoked.append(invocation)
        if invocation.error is not None and invocation.retries:
            stopped.add(key)
    return invoked


def _listening(functions: list[WorkerFunction], arrived: HostEvents) -> list[WorkerFunction]:
    """Return the functions whose trigger names the event's source; if all listen to the same place, all of them."""
    event = next(iter(arrived.events), None)
    if arrived.function and (there := [function for function in functions if function.place == arrived.place]):
        return [function for function in there if function.name == arrived.function] or there
    if event is not None:
        functions = [
            function for function in functions if isinstance(event, function.trigger.trigger.kind)
        ] or functions
        if listening := [function for function in functions if function.listens_to(event)]:
            return listening
        functions = [
            function for function in functions if isinstance(event, function.trigger.binding.kind)
        ] or functions
    if len({function.place for function in functions}) > 1:
        names = ", ".join(f"{function.name} ({function.place})" for function in functions)
        if event is None:
            raise ValueError(f"the payload doesn't say which function it is for; there are {names}")
        raise ValueError(f"no function takes {describe(event)}; there are {names}")
    return functions


def default_service(trigger: Trigger, event: Event[Any]) -> str | None:
    """Return the service that `entry` registers for the trigger by default; None if it sends no such event."""
    if isinstance(event, ObjectEvent) and (trigger.word == "queue" or register.is_carried(trigger)):
        return "event_grid_storage_queue"
    name = register.default_service(trigger).name
    # The code doesn't say which schema an Event Grid subscription has. A blob trigger sends no such event.
    return None if trigger.word == "event" or (name == "blob" and not trigger.wants(event)) else name


def results(events: Sequence[Event[Any]], service: str, answers: Sequence[Any]) -> Delivery:
    """Return the result of each event on the host and the service; with several functions, the worst."""
    worst = [EventResult("acknowledged")] * len(events)
    held = set(range(len(events)))
    error: Raised | None = None
    result: Any = None
    for indices, answer in zip(_together(events, service), answers, strict=True):
        # If the host fails before it calls a function, everything is redelivered.
        invoked = answer if isinstance(answer, list) else [Invoked(list(range(len(indices))), answer)]
        for invocation in invoked:
            if not invocation.earlier:
                held -= {indices[number] for number in invocation.indices}
                result, error = invocation.returned, invocation.error or error
        for function in dict.fromkeys(invocation.function for invocation in invoked):
            of_function = _results_of(
                [invocation for invocation in invoked if invocation.function == function], indices, events, service
            )
            for index in indices:
                worst[index] = max(worst[index], of_function.get(index, _HELD_BACK), key=_badness)
    return Delivery(worst, result=result, error=None if error is None else (error.name, error.message), held=held)


# An event that the host doesn't deliver after a retried one, or that isn't settled before its lock ends.
_HELD_BACK = EventResult("retried")
_WORST = ("acknowledged", "dead-lettered", "retried", "lost")


def _badness(result: EventResult) -> int:
    return _WORST.index(result.outcome)


def _results_of(
    invoked: Sequence[Invoked], indices: Sequence[int], events: Sequence[Event[Any]], service: str
) -> dict[int, EventResult]:
    """Return the results of events in one function's invocations, which number them from 0."""
    by_index: dict[int, EventResult] = {}
    for invocation in invoked:
        sent = list(invocation.out)
        for number in invocation.indices:
            index = indices[number]
            if service == "service_bus_settled" or invocation.earlier:
                by_index[index] = invocation.results.get(number, _HELD_BACK)
            else:
                by_index[index] = _outcome(invocation, events[index], sent)
    return by_index


def _outcome(invocation: Invoked, event: Event[Any], sent: list[Message[Any]]) -> EventResult:
    if invocation.error is not None:
        return EventResult("retried" if invocation.retries else "lost")
    for letter in sent:
        if len(invocation.indices) == 1 or _is_of(restored(letter), event):
            sent.remove(letter)
            return EventResult("dead-lettered", why=reject_reason(reason(letter) or ""))
    return EventResult("acknowledged")


def _is_of(rejected: Any, event: Event[Any]) -> bool:
    """Return whether this is the rejected event. A function may see it with another id."""
    if isinstance(event, Message):
        return bool(rejected.body == event.body)
    return all(to_json(getattr(rejected, name)) == to_json(getattr(event, name)) for name in ("key", "after"))


def _key(event: Event[Any], service: str) -> object:
    """Return the key within which the host or the broker waits for a retried event."""
    if service in ("event_hubs", "kafka"):
        return getattr(event, "partition", None) or "0"
    return getattr(event, "key", None) if service == "service_bus_sessions" else None
