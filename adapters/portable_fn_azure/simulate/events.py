"""Azure's half of the wire for what isn't HTTP: events as the host hands them to the worker, and what becomes of them.

The shapes are those of the host's extensions; `Sent` is what the host tells a worker by gRPC, in protobuf's JSON.
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
from portable_fn_azure.events import register as triggers
from portable_fn_azure.simulate import queues as simulate_queues
from portable_fn_azure.simulate.payloads import Sent, alone, rows, together
from portable_fn_azure.simulate.worker import EXTENSION, Actions, Invoked, Wired, functions_for

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

# What the host can hand over several of at once, and what it always does.
_MANY = (
    "event_hubs",
    "kafka",
    "service_bus_queue",
    "service_bus_sessions",
    "service_bus_settled",
    "service_bus_topic",
)
_ROWS = ("cosmos_db", "cosmos_db_versions", "sql", "mysql")


class Arrival(Record):
    """Events that reach the host together: `each` by itself, and `many` at once, whichever the function's binding asks for.

    `events` are they, none where they aren't known; then `place` and `function` may say what the trigger listens to, and the
    Azure function's name. `only` makes the arrival of some of them by their places.
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
        only: Callable[[list[int]], Arrival] | None = None,
    ) -> None:
        self.keys = keys
        self.each = each
        self.many = many
        self.events = events
        self.place = place
        self.function = function
        self.only = only


def payloads(events: Sequence[Event[Any]], service: str) -> list[Any]:
    """What reaches the host: the events together where the service hands over several at once, else each by itself."""
    return [_arrival(events, indices, service) for indices in _together(events, service)]


def _arrival(events: Sequence[Event[Any]], indices: list[int], service: str) -> Arrival:
    """The arrival of those of the events that are at the indices."""
    those = [events[index] for index in indices]

    def only(places: list[int]) -> Arrival:
        return _arrival(events, [indices[place] for place in places], service)

    if service in _ROWS:
        return Arrival([None] * len(those), [], rows(those, service), those, only=only)
    keys = [_key(event, service) for event in those]
    each = [alone(event, service, index) for index, event in zip(indices, those, strict=True)]
    many = together(those, service) if service in _MANY else None
    return Arrival(keys, each, many, those, only=only)


def _together(events: Sequence[Event[Any]], service: str) -> list[list[int]]:
    """The indices of the events that reach the host together: a queue's, topic's, stream's or table's all, others alone."""
    if service not in (*_MANY, *_ROWS):
        return [[index] for index in range(len(events))]
    places: dict[Any, list[int]] = {}
    for index, event in enumerate(events):
        places.setdefault(event.table if isinstance(event, ChangeEvent) else getattr(event, "channel", ""), []).append(
            index
        )
    return list(places.values())


class Waiting(Record):
    """An event that some functions are to get again, and what became of it with those that are done with it, by their names."""

    _fields = ("event", "done")

    def __init__(self, event: Event[Any], done: dict[str, EventResult]) -> None:
        self.event = event
        self.done = done

    def is_for(self, event: Event[Any]) -> bool:
        """Whether this is the event, whatever the number of the delivery."""
        return is_same_event(event, self.event)


# Those of the outermost block of `playing`.
_waiting: ContextVar[list[Waiting] | None] = ContextVar("_waiting", default=None)


@contextmanager
def playing(service: str) -> Iterator[None]:
    """Play what the services remember: which functions have handled an event.

    Play the package that settles messages one by one, too, if an app needs it and it isn't installed.
    """
    token = None if _waiting.get() is not None else _waiting.set([])
    try:
        with _settling(service), simulate_queues.playing():
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
    """The host, the worker and the function app: gives how each invocation ended that came of an arrival.

    The first is a cold start, or each where that is asked for. Each function has a subscription of its own: an event that
    comes again goes to those alone that weren't done with it.
    """
    functions = functions_for(targets, service, cold_start)

    def invoke(arrival: Arrival) -> list[Invoked]:
        listening = _listening(functions, arrival)
        before = [_taken(event) for event in arrival.events]
        invoked = [one for function in listening for one in _invoked(arrival, function, before)]
        _keep_waiting(arrival.events, [function.name for function in listening], invoked, service)
        return invoked

    return invoke


def _taken(event: Event[Any]) -> dict[str, EventResult]:
    """What became of an event that comes again with the functions that are done with it."""
    waiting = _waiting.get() or []
    for one in waiting:
        if one.is_for(event):
            waiting.remove(one)
            return one.done
    return {}


def _invoked(arrival: Arrival, function: Wired, before: list[dict[str, EventResult]]) -> list[Invoked]:
    """How the invocations of the function ended, with what became of events with it at an earlier delivery."""
    done = {index: known[function.name] for index, known in enumerate(before) if function.name in known}
    if not done or arrival.only is None:
        return invocations(arrival, function.many, function.invoke)
    earlier = Invoked(list(done), None, results=done, function=function.name, earlier=True)
    left = [index for index in range(len(before)) if index not in done]
    if not left:
        return [earlier]
    again = invocations(arrival.only(left), function.many, function.invoke)
    for one in again:
        one.indices = [left[index] for index in one.indices]
        one.results = {left[index]: settled for index, settled in one.results.items()}
    return [earlier, *again]


def _keep_waiting(events: Sequence[Event[Any]], names: Sequence[str], invoked: Sequence[Invoked], service: str) -> None:
    """Remembers which functions are done with events that others are to get again."""
    waiting = _waiting.get()
    if waiting is None or len(names) == 1:
        return
    indices = list(range(len(events)))
    became = {
        name: _of_function([one for one in invoked if one.function == name], indices, events, service) for name in names
    }
    for index, event in enumerate(events):
        each = {name: of_it.get(index, _HELD_BACK) for name, of_it in became.items()}
        done = {name: settled for name, settled in each.items() if settled.outcome != _HELD_BACK.outcome}
        if done and len(done) < len(each):
            waiting.append(Waiting(event, done))


def invocations(arrival: Arrival, many: bool, invoke: Callable[[Sent, list[int]], Invoked]) -> list[Invoked]:
    """The invocations of a function, which takes `many` events or one, that come of an arrival.

    Within a partition or a session the host waits for one that it tries again.
    """
    if arrival.many is not None and (many or not arrival.each):
        return [invoke(arrival.many, list(range(len(arrival.keys))))]
    invoked: list[Invoked] = []
    stopped: set[object] = set()
    for index, sent in enumerate(arrival.each):
        key = arrival.keys[index]
        if key is not None and key in stopped:
            continue
        one = invoke(sent, [index])
        invoked.append(one)
        if one.error is not None and one.retries:
            stopped.add(key)
    return invoked


def _listening(functions: list[Wired], arrival: Arrival) -> list[Wired]:
    """The functions that an event is for: those whose trigger names what it is from, or, where all are for one thing, all."""
    found, event = functions, next(iter(arrival.events), None)
    if arrival.function and (there := [one for one in functions if one.place == arrival.place]):
        return [one for one in there if one.name == arrival.function] or there
    if event is not None:
        found = [one for one in functions if isinstance(event, one.trigger.trigger.kind)] or functions
        if named := [one for one in found if one.listens_to(event)]:
            return named
        found = [one for one in found if isinstance(event, one.trigger.binding.kind)] or found
    if len({one.place for one in found}) > 1:
        names = ", ".join(f"{one.name} ({one.place})" for one in found)
        what = "what is sent" if event is None else describe(event)
        raise ValueError(f"{what} is for none of the functions, or it doesn't say for which; there are {names}")
    return found


def default_service(trigger: Trigger, event: Event[Any]) -> str | None:
    """The service that `entry` registers the trigger for, where nothing else is said, and that hands over such an event."""
    if isinstance(event, ObjectEvent) and (trigger.word == "queue" or triggers.is_carried(trigger)):
        return "event_grid_storage_queue"
    name = triggers.default_service(trigger).name
    # Which schema a subscription to events has, code doesn't say; and nothing brings a function what it isn't for.
    return None if trigger.word == "event" or (name == "blob" and not trigger.wants(event)) else name


def results(events: Sequence[Event[Any]], service: str, answers: Sequence[Any]) -> Delivery:
    """What became of each event, as the host and the service have it; for several functions, the worst."""
    found = [EventResult("acknowledged")] * len(events)
    held = set(range(len(events)))
    error: Raised | None = None
    result: Any = None
    for indices, answer in zip(_together(events, service), answers, strict=True):
        # An error that reaches the host before a function is called has everything come again.
        invoked = answer if isinstance(answer, list) else [Invoked(list(range(len(indices))), answer)]
        for one in invoked:
            if not one.earlier:
                held -= {indices[number] for number in one.indices}
                result, error = one.returned, one.error or error
        for function in dict.fromkeys(one.function for one in invoked):
            of_it = _of_function([one for one in invoked if one.function == function], indices, events, service)
            for index in indices:
                found[index] = max(found[index], of_it.get(index, _HELD_BACK), key=_badness)
    return Delivery(found, result=result, error=None if error is None else (error.name, error.message), held=held)


# What the host doesn't hand over behind one that it tries again, and what nobody settles until its lock ends.
_HELD_BACK = EventResult("retried")
_WORST = ("acknowledged", "dead-lettered", "retried", "lost")


def _badness(settled: EventResult) -> int:
    return _WORST.index(settled.outcome)


def _of_function(
    invoked: Sequence[Invoked], indices: Sequence[int], events: Sequence[Event[Any]], service: str
) -> dict[int, EventResult]:
    """What became of events by one function's invocations, which number them from 0."""
    found = {}
    for one in invoked:
        sent = list(one.out)
        for number in one.indices:
            index = indices[number]
            if service == "service_bus_settled" or one.earlier:
                found[index] = one.results.get(number, _HELD_BACK)
            else:
                found[index] = _outcome(one, events[index], sent)
    return found


def _outcome(one: Invoked, event: Event[Any], sent: list[Message[Any]]) -> EventResult:
    if one.error is not None:
        return EventResult("retried" if one.retries else "lost")
    for letter in sent:
        if len(one.indices) == 1 or _is_of(restored(letter), event):
            sent.remove(letter)
            return EventResult("dead-lettered", why=reject_reason(reason(letter) or ""))
    return EventResult("acknowledged")


def _is_of(rejected: Any, event: Event[Any]) -> bool:
    """Whether the event that was rejected is this one, of several; a function may know it by another id."""
    if isinstance(event, Message):
        return bool(rejected.body == event.body)
    return all(to_json(getattr(rejected, name)) == to_json(getattr(event, name)) for name in ("key", "after"))


def _key(event: Event[Any], service: str) -> object:
    """Within what the host, or the broker, waits for an event that it tries again."""
    if service in ("event_hubs", "kafka"):
        return getattr(event, "partition", None) or "0"
    return getattr(event, "key", None) if service == "service_bus_sessions" else None
