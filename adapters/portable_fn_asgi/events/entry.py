"""Which requests are events, where an entry has functions for them: what reads each, who handles it, what answers it."""

from __future__ import annotations

from portable_fn.adapter import cloudevents
from portable_fn.adapter.batch import Consumer
from portable_fn.adapter.callers import refuse_page, require_json
from portable_fn.adapter.dispatch import Dispatcher
from portable_fn.data import read_json
from portable_fn.errors import DecodeError, HTTPError
from portable_fn.events import CloudEvent, Event, Message, ScheduleEvent, Task
from portable_fn.http import Request, Response, encode_json
from portable_fn.on import EventTrigger, ScheduleTrigger, TaskTrigger
from portable_fn.outcomes import DONE
from portable_fn.pairs import unquoted
from portable_fn.record import Record
from portable_fn_asgi.events import cloud_events, dapr, foreign
from portable_fn_asgi.events import encode as encode_events

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any

    from portable_fn.adapter.batch import Item
    from portable_fn.adapter.binding import Binding
    from portable_fn.adapter.routing import Router
    from portable_fn.outcomes import Done, Outcome, Reject

    Encode = Callable[[Sequence[Outcome]], Response]

_DECODE = {
    "binary": cloud_events.binary,
    "structured": cloud_events.structured,
    "batched": cloud_events.batched,
}


class EventRoute(Record):
    """How one request is handled as events: `decode` gives them and what encodes their outcomes; DecodeError is a 400.

    The body `is_json`, but for CloudEvents whose attributes are headers: those no page sends without asking.
    """

    _fields = ("consumer", "decode", "is_json")

    def __init__(
        self,
        consumer: Consumer,
        decode: Callable[[Request[Any]], tuple[Sequence[Item], Encode]],
        *,
        is_json: bool = True,
    ) -> None:
        self.consumer = consumer
        self.decode = decode
        self.is_json = is_json

    def check(self, request: Request[Any]) -> None:
        """Raise HTTPError 403 or 415 for what a web page may send."""
        refuse_page(request)
        if self.is_json:
            require_json(request)


class EventRouter:
    """Routes the requests that are events.

    Args:
        functions: The entry's functions.
        router: The router of the entry's HTTP functions.
        pubsub: The Dapr pub/sub component of their topics.
        tells_all: Whether callers of tasks see every error.
    """

    def __init__(self, functions: Sequence[Binding], router: Router, pubsub: str, *, tells_all: bool) -> None:
        self._tells_all = tells_all
        self._router = router
        self._pubsub = pubsub
        kinds = {kind for function in functions for kind in _kinds(function)}
        self._strangers = _Strangers(functions)
        self.dispatcher = dispatcher = Dispatcher(functions, _unwrap(kinds, self._strangers))
        self._functions = dispatcher.functions
        # One without a trigger answers every path, as far as HTTP goes.
        self._http_answers_all = any(function.kind is Request and not function.triggers for function in functions)
        self._takes_any = any(function.kind is Event and not function.triggers for function in functions)
        self._takes_messages = Event in kinds or any(
            kind is not ScheduleEvent and kind is not Task and kind is not Request for kind in kinds
        )
        self._takes_schedules = Event in kinds or ScheduleEvent in kinds
        self._bindings, self._takes_any_binding = _bindings(dispatcher.functions)
        self._schedules = _schedules(dispatcher.functions)
        self._tasks = _tasks(dispatcher.functions)
        self._of_events = Consumer(dispatcher, key=cloud_events.key, rejects=True)
        self._of_messages = Consumer(dispatcher, key=dapr.key, dead_letter=self._dead_letter)
        self._of_one = Consumer(dispatcher)
        self._of_tasks = Consumer(dispatcher, rejects=True)

    def find(self, request: Request[Any]) -> EventRoute | Response | None:
        """How the request is handled as an event, or answered; None where it is one for HTTP functions."""
        method = request.method
        if method == "POST":
            return self._event(request)
        if method == "GET" and request.raw_path == "/dapr/subscribe" and self._takes_messages:
            listed = dapr.subscriptions(self._functions, self._pubsub)
            return Response(200, {"content-type": "application/json"}, (), encode_json(listed))
        if method == "OPTIONS" and self._is_bound(request.path[1:]) and not self._is_http(request):
            # Dapr asks whether the app takes a binding's events.
            return Response(200)
        return None

    def _is_http(self, request: Request[Any]) -> bool:
        return self._http_answers_all or self._router.answers(request)

    def _is_bound(self, name: str) -> bool:
        return bool(name) and (name in self._bindings or name in self._schedules or self._takes_any_binding)

    def _event(self, request: Request[Any]) -> EventRoute | None:
        path = request.raw_path
        # Named to Dapr, so these are no function's, not even of one that answers every path.
        if self._takes_messages and path.startswith(dapr.ROUTE):
            return EventRoute(self._of_messages, _pubsub)
        if self._is_http(request):
            return None
        if self._takes_schedules and path.startswith("/job/"):
            name = unquoted(path[len("/job/") :])
            return EventRoute(
                self._of_one, lambda request: ([dapr.job(request, name, self._cron(name))], encode_events.done)
            )
        name = request.path[1:]
        is_bound = bool(name) and (name in self._bindings or self._takes_any_binding)
        # A binding's message first: its metadata are headers, and whoever wrote it chose them.
        if is_bound and dapr.is_binding(request):
            return EventRoute(self._of_one, lambda request: ([dapr.binding(request, name)], encode_events.done))
        try:
            mode = cloudevents.mode(request.headers)
        except DecodeError as exc:
            return EventRoute(self._of_events, _raising(exc))
        if mode:
            decode = _DECODE[mode]
            return EventRoute(
                self._of_events,
                lambda request: ([self._strangers.told(item) for item in decode(request)], encode_events.cloud_events),
                is_json=mode != "binary",
            )
        if name in self._tasks:
            return EventRoute(self._of_tasks, lambda request: self._called(request, _task(request, name)))
        if path == "/" and len(self._tasks) == 1:
            (only,) = self._tasks
            return EventRoute(self._of_tasks, lambda request: self._called(request, _own(_task(request, only))))
        if "readtimeutc" in request.headers and (name in self._schedules or self._takes_schedules):
            return EventRoute(
                self._of_one, lambda request: ([dapr.cron(request, name, self._cron(name))], encode_events.done)
            )
        if is_bound:
            return EventRoute(self._of_one, lambda request: ([dapr.binding(request, name)], encode_events.done))
        if self._takes_messages and not self._takes_any and request.content_type == "application/json":
            # A bulk by a subscription with a route of its own: Dapr drops what is answered with 404.
            return EventRoute(self._of_messages, _bulk_or_nothing)
        return None

    def _called(self, request: Request[Any], task: Task[Any]) -> tuple[Sequence[Item], Encode]:
        return [task], lambda outcomes: encode_events.task(outcomes, request.id, tells_all=self._tells_all)

    def _dead_letter(self, event: Event[Any], reject: Reject, dead_letter: str, seconds: float | None) -> bool | Done:
        """Publish the message to its dead letters, as `portable_fn.adapter.dead_letter` writes it; Dapr drops it if that fails.

        What is dropped goes to the subscription's dead-letter topic, without the reason; without such a topic it would be lost.
        """
        if dapr.has_published(self._pubsub, dead_letter, event, reject, seconds):
            return DONE
        request: Any = event.native
        return any(
            unquoted(one["route"]) == request.path and "deadLetterTopic" in one
            for one in dapr.subscriptions(self._functions, self._pubsub)
        )

    def _cron(self, name: str) -> str:
        return self._schedules.get(name, "")


def _pubsub(request: Request[Any]) -> tuple[Sequence[Item], Encode]:
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type == cloudevents.STRUCTURED:
        return [dapr.pubsub(request)], encode_events.dapr_message
    if (bulk := _bulk(request)) is None:
        raise DecodeError(f"{request.path} takes what Dapr sends: a structured CloudEvent, or a bulk with its entries")
    return bulk


def _bulk(request: Request[Any]) -> tuple[Sequence[Item], Encode] | None:
    try:
        value = read_json(request.body)
    except ValueError:
        return None
    if not dapr.is_bulk(value):
        if what := foreign.adapter_of_body(value):
            raise DecodeError(f"{request.path} takes no event of another provider: {what}")
        return None
    items, ids = dapr.bulk(value, request)  # type: ignore[arg-type]  # a dict, as is_bulk has seen
    return items, lambda outcomes: encode_events.dapr_bulk(outcomes, ids)


def _bulk_or_nothing(request: Request[Any]) -> tuple[Sequence[Item], Encode]:
    if (bulk := _bulk(request)) is None:
        raise HTTPError(404, f"Nothing answers {request.path}.")
    return bulk


def _task(request: Request[Any], name: str) -> Task[Any]:
    try:
        value = read_json(request.body) if request.body else None
    except ValueError as exc:
        raise DecodeError(f"the input of the task {name!r} is JSON, which this isn't: {exc}") from exc
    return Task(
        request.id, request.source, value, name=name, time=request.time, carrier=request.headers, native=request
    )


def _own(task: Task[Any]) -> Task[Any]:
    """The task; DecodeError if its input is an event of another provider, which `POST /` calls no task with."""
    if what := foreign.adapter_of_body(task.input):
        raise DecodeError(f"the task {task.name!r} isn't called with an event of another provider: {what}")
    return task


class _Strangers:
    """Which CloudEvents of other providers an entry's functions take: those whose type, or topic, a trigger names, or any."""

    def __init__(self, functions: Iterable[Binding]) -> None:
        bare = {function.kind for function in functions if not function.triggers}
        self._take_any = bool(bare & {Event, CloudEvent, Message})
        self._take_messages = Message in bare
        self._channels = {name for one in functions for trigger in one.triggers for name in trigger.channels}
        self._events = [
            trigger
            for one in functions
            if one.kind in (Event, CloudEvent)
            for trigger in one.triggers
            if isinstance(trigger, EventTrigger)
        ]

    def is_message(self, event: CloudEvent[Any], channel: str) -> bool:
        """Whether an event that would be a message of the channel is one to the functions."""
        return self._take_messages or channel in self._channels or not foreign.adapter_of_type(event.type)

    def told(self, item: Item) -> Item:
        """The item; the DecodeError that says what takes it if it is an event of another provider that no function is for.

        Were it left to the functions, a trigger that names something else would get it, or have it done without a call.
        """
        if not isinstance(item, CloudEvent) or self._take_any or not (what := foreign.adapter_of_type(item.type)):
            return item
        known = (trigger.types for trigger in self._events)
        if (
            any(trigger.wants(item) for trigger in self._events)
            or any(foreign.adapter_of_type(type) == what for types in known for type in types)
            or cloud_events.message(item).channel in self._channels
        ):
            return item
        return DecodeError(f"a CloudEvent of type {item.type[:200]!r} is for none of the functions: {what}")


def _raising(error: DecodeError) -> Callable[[Request[Any]], tuple[Sequence[Item], Encode]]:
    def decode(request: Request[Any]) -> tuple[Sequence[Item], Encode]:
        raise error

    return decode


def _kinds(function: Binding) -> set[type[Event[Any]]]:
    return {function.kind} if function.kind is not Event else {Event, *(trigger.kind for trigger in function.triggers)}


def _unwrap(kinds: set[type[Event[Any]]], strangers: _Strangers) -> Callable[[Event[Any]], list[Event[Any]]]:
    """What is inside of an event, for functions of those kinds."""

    def unwrap(event: Event[Any]) -> list[Event[Any]]:
        if isinstance(event, dapr.DaprMessage):
            # What isn't published as a CloudEvent is made one of Dapr's own type, which is nothing to who takes messages.
            return [] if event.cloud_event.type == dapr.OWN_TYPE and Message in kinds else [event.cloud_event]
        if isinstance(event, Message):
            return cloudevents.inside(event)
        if not isinstance(event, CloudEvent):
            return []
        found = cloud_events.neutral(event)
        if found is not None and (Event in kinds or any(isinstance(found, kind) for kind in kinds)):
            return [found]
        # One that came in a message was one already.
        if Message in kinds and not any(isinstance(envelope, Message) for envelope in event.envelopes):
            message = cloud_events.message(event)
            return [message] if strangers.is_message(event, message.channel) else []
        return []

    return unwrap


def _bindings(functions: Iterable[Binding]) -> tuple[frozenset[str], bool]:
    """The names of input bindings for messages, and whether a function takes those of any name."""
    names = {name for one in functions for trigger in one.triggers for name in trigger.channels}
    return frozenset(names), any(function.kind is Message and not function.triggers for function in functions)


def _schedules(functions: Iterable[Binding]) -> dict[str, str]:
    """The cron expressions by the names of triggers, or of the functions whose trigger has none."""
    found = {}
    for function in functions:
        for trigger in function.triggers:
            if isinstance(trigger, ScheduleTrigger):
                found[trigger.name or function.name] = trigger.cron
    return found


def _tasks(functions: Iterable[Binding]) -> frozenset[str]:
    names = {trigger.name for one in functions for trigger in one.triggers if isinstance(trigger, TaskTrigger)}
    bare = {one.name for one in functions if one.kind is Task and not one.triggers}
    return frozenset(names | bare)
