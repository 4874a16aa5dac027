"""Find the functions for events, and how to decode a request for them."""

from __future__ import annotations

from portable_fn.adapter import cloudevents
from portable_fn.adapter.batch import Consumer
from portable_fn.adapter.callers import refuse_page, require_json
from portable_fn.adapter.dispatch import Dispatcher
from portable_fn.errors import DecodeError
from portable_fn.events import Event, Message, ScheduleEvent, Task
from portable_fn.http import Request, Response, encode_json
from portable_fn.on import ScheduleTrigger, TaskTrigger
from portable_fn.outcomes import DONE
from portable_fn.pairs import unquoted
from portable_fn.record import Record
from portable_fn_asgi.events import cloud_events, dapr, decode, encode
from portable_fn_asgi.events.decode import IncomingEvents

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any

    from portable_fn.adapter.binding import Binding
    from portable_fn.adapter.routing import Router
    from portable_fn.outcomes import Done, Outcome, Reject

    Read = Callable[[Request[Any]], IncomingEvents]


class EventRoute(Record):
    """How one request is handled as events.

    Args:
        consumer: Runs the functions.
        read: Decodes the request, whose body is read; a DecodeError is answered with 400.
        is_json: Whether the body must be JSON. CloudEvents in headers needn't be: a web page can't set such headers unasked.
    """

    _fields = ("consumer", "read", "is_json")

    def __init__(self, consumer: Consumer, read: Read, *, is_json: bool = True) -> None:
        self.consumer = consumer
        self.read = read
        self.is_json = is_json

    def check(self, request: Request[Any]) -> None:
        """Raise HTTPError 403 or 415 for a request that a web page may send."""
        refuse_page(request)
        if self.is_json:
            require_json(request)


class EventRouter:
    """The routes of an entry's functions for events.

    Args:
        functions: All functions of the entry.
        router: Knows which paths the HTTP functions answer.
        pubsub: The name of the Dapr pub/sub component of the topics.
        tells_all: Whether callers of tasks see every error.
    """

    def __init__(self, functions: Sequence[Binding], router: Router, pubsub: str, *, tells_all: bool) -> None:
        self._tells_all = tells_all
        self._router = router
        self._pubsub = pubsub
        kinds = {kind for function in functions for kind in _kinds(function)}
        self._foreigners = decode.ForeignEvents(functions)
        self.dispatcher = dispatcher = Dispatcher(functions, decode.unwrapper(kinds, self._foreigners))
        self._functions = dispatcher.functions
        # An HTTP function without a trigger answers every path.
        self._http_answers_all = any(function.kind is Request and not function.triggers for function in functions)
        self._takes_any = any(function.kind is Event and not function.triggers for function in functions)
        self._takes_messages = Event in kinds or any(
            kind is not ScheduleEvent and kind is not Task and kind is not Request for kind in kinds
        )
        self._takes_schedules = Event in kinds or ScheduleEvent in kinds
        self._bindings, self._takes_any_binding = _bindings(dispatcher.functions)
        self._schedules = _schedules(dispatcher.functions)
        self._tasks = _tasks(dispatcher.functions)
        self._cloud_events = Consumer(dispatcher, key=cloud_events.key, rejects=True)
        self._messages = Consumer(dispatcher, key=dapr.key, dead_letter=self._dead_letter)
        self._singles = Consumer(dispatcher)
        self._calls = Consumer(dispatcher, rejects=True)

    def match(self, request: Request[Any]) -> EventRoute | Response | None:
        """Return how to handle the request as events, or its answer; None if it is for HTTP functions."""
        method = request.method
        if method == "POST":
            return self._route(request)
        if method == "GET" and request.raw_path == "/dapr/subscribe" and self._takes_messages:
            subscriptions = dapr.subscriptions(self._functions, self._pubsub)
            return Response(200, {"content-type": "application/json"}, (), encode_json(subscriptions))
        if method == "OPTIONS" and self._is_bound(request.path[1:]) and not self._is_http(request):
            # Dapr asks whether the application takes a binding's events.
            return Response(200)
        return None

    def acknowledge(self, incoming: IncomingEvents, outcomes: Sequence[Outcome]) -> Response:
        """Return the answer for the outcomes of a request."""
        return encode.acknowledge(incoming, outcomes, tells_all=self._tells_all)

    def _is_http(self, request: Request[Any]) -> bool:
        return self._http_answers_all or self._router.answers(request)

    def _passes_by(self, request: Request[Any]) -> bool:
        """Return whether the request is a CloudEvent for a function, and only a function of every path would answer it.

        A mounted application answers every path, so CloudEvents would never reach the functions beside it. No web page can
        send CloudEvents: their headers, or their content type, need the server's permission (CORS).
        """
        if not self._takes_messages:
            return False
        try:
            is_cloud_event = bool(cloudevents.mode(request.headers))
        except DecodeError:
            return False
        return is_cloud_event and not self._router.answers(request, every_path=False)

    def _is_bound(self, name: str) -> bool:
        return bool(name) and (name in self._bindings or name in self._schedules or self._takes_any_binding)

    def _route(self, request: Request[Any]) -> EventRoute | None:
        path = request.raw_path
        # /dapr/subscribe lists these paths, so they belong to no HTTP function, not even to one that answers every path.
        if self._takes_messages and path.startswith(dapr.ROUTE):
            return EventRoute(self._messages, decode.pubsub)
        if self._is_http(request) and not self._passes_by(request):
            return None
        if self._takes_schedules and path.startswith("/job/"):
            return self._dapr("dapr_job", dapr.job, unquoted(path[len("/job/") :]))
        name = request.path[1:]
        is_bound = bool(name) and (name in self._bindings or self._takes_any_binding)
        # A binding's message first: its sender chooses the metadata, which are headers.
        if is_bound and dapr.is_binding(request):
            return self._binding(name)
        try:
            mode = cloudevents.mode(request.headers)
        except DecodeError as exc:
            return EventRoute(self._cloud_events, _raising(exc))
        if mode:
            return EventRoute(
                self._cloud_events,
                lambda request: decode.cloud_event(request, mode, self._foreigners),
                is_json=mode != "binary",
            )
        if name in self._tasks:
            return EventRoute(self._calls, lambda request: decode.task(request, name))
        if path == "/" and len(self._tasks) == 1:
            (only,) = self._tasks
            return EventRoute(self._calls, lambda request: decode.task_at_root(request, only))
        if "readtimeutc" in request.headers and (name in self._schedules or self._takes_schedules):
            return self._dapr("dapr_cron", dapr.cron, name)
        if is_bound:
            return self._binding(name)
        if self._takes_messages and not self._takes_any and request.content_type == "application/json":
            # A bulk for a subscription with another route. Dapr would drop it after a 404.
            return EventRoute(self._messages, decode.bulk_only)
        return None

    def _dapr(self, source: str, read: Callable[..., ScheduleEvent[Any]], name: str) -> EventRoute:
        """Return the route of a schedule of this name."""
        cron = self._schedules.get(name, "")
        return EventRoute(self._singles, lambda request: IncomingEvents(source, [read(request, name, cron)], request))

    def _binding(self, name: str) -> EventRoute:
        return EventRoute(
            self._singles, lambda request: IncomingEvents("dapr_binding", [dapr.binding(request, name)], request)
        )

    def _dead_letter(self, event: Event[Any], reject: Reject, dead_letter: str, seconds: float | None) -> bool | Done:
        """Publish a rejected message to its dead-letter topic, or let Dapr drop it.

        Dapr sends a dropped message to the subscription's dead-letter topic, without the reason. Without such a topic the
        message would be lost, so it is retried.
        """
        from portable_fn_asgi.drivers import topic

        if topic.dead_letter(event, reject, dead_letter, seconds, pubsub=self._pubsub):
            return DONE
        request: Any = event.native
        return any(
            unquoted(subscription["route"]) == request.path and "deadLetterTopic" in subscription
            for subscription in dapr.subscriptions(self._functions, self._pubsub)
        )


def _raising(error: DecodeError) -> Read:
    def read(request: Request[Any]) -> IncomingEvents:
        raise error

    return read


def _kinds(function: Binding) -> set[type[Event[Any]]]:
    return {function.kind} if function.kind is not Event else {Event, *(trigger.kind for trigger in function.triggers)}


def _bindings(functions: Iterable[Binding]) -> tuple[frozenset[str], bool]:
    """Return the names of input bindings for messages, and whether a function takes those of any name."""
    names = {name for function in functions for trigger in function.triggers for name in trigger.channels}
    return frozenset(names), any(function.kind is Message and not function.triggers for function in functions)


def _schedules(functions: Iterable[Binding]) -> dict[str, str]:
    """Return cron expressions by the trigger's name, or by the function's if the trigger has none."""
    schedules = {}
    for function in functions:
        for trigger in function.triggers:
            if isinstance(trigger, ScheduleTrigger):
                schedules[trigger.name or function.name] = trigger.cron
    return schedules


def _tasks(functions: Sequence[Binding]) -> frozenset[str]:
    """Return the names of tasks."""
    names = {
        trigger.name for function in functions for trigger in function.triggers if isinstance(trigger, TaskTrigger)
    }
    bare = {function.name for function in functions if function.kind is Task and not function.triggers}
    return frozenset(names | bare)
