"""The road of a request that is an event: which functions get it, and how it is answered."""

from __future__ import annotations

from portable_fn.adapter import callers
from portable_fn.adapter.batch import Consumer
from portable_fn.adapter.dispatch import Dispatcher
from portable_fn.errors import DecodeError, HTTPError
from portable_fn.events import Task
from portable_fn.http import Request
from portable_fn_gcp.drivers import topic as pubsub
from portable_fn_gcp.events import decode as triggers
from portable_fn_gcp.events import encode as encode_events

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence
    from typing import Any

    from portable_fn.adapter.batch import Item
    from portable_fn.adapter.binding import Binding
    from portable_fn.adapter.routing import Router
    from portable_fn.context import Context
    from portable_fn.http import Response
    from portable_fn.outcomes import Outcome

# A message of Pub/Sub may have 10 MB, which its push has as base64. https://cloud.google.com/pubsub/quotas
MAX_BODY = 16 * 1024 * 1024


class EventRouter:
    """Takes the requests that are events for an entry's functions; `tells_all` says that callers of tasks see every error."""

    def __init__(self, functions: Sequence[Binding], router: Router, *, tells_all: bool) -> None:
        self.tells_all = tells_all
        self.dispatcher = Dispatcher(functions, triggers.unwrap)
        self.consumer = Consumer(self.dispatcher, dead_letter=pubsub.dead_letter)
        self.max_body = max(MAX_BODY, router.max_body)
        self._router = router
        self._http = {function.call for function in functions if issubclass(Request, function.kind)}

    def received(self, request: Request[Any]) -> IncomingEvents | None:
        """The events of the request, whose body is read; None where it is for an HTTP function, or for none.

        An event that no function takes is for the HTTP function on its path, where there is one, and what is no known event
        for a function of tasks, where there is no such. HTTPError 401 without the token of the environment, 403 or 415 for what
        a web page may send, and for a body that can't be inflated.
        """
        name = ""
        request._max_body = self.max_body
        try:
            name, value = triggers.trigger(request)
            if name:
                items = triggers.events(name, request, value)
                if self._answers(request) and not any(self._takes(item) for item in items):
                    return None
            elif request.method != "POST" or self._answers(request):
                return None
            elif self.dispatcher.takes(Task):
                name = "task"
                items = triggers.events(name, request, None)
            elif self._http:
                return None
            else:
                raise DecodeError(f"a POST of {request.content_type[:80]!r} is none of {triggers.KNOWN}")
        except DecodeError as exc:
            items = [exc]
        except HTTPError:
            # The body can't be inflated. An application that is mounted may read other codings.
            if self._answers(request):
                return None
            raise
        _check(request)
        callers.refuse_page(request)
        if name == "task":
            callers.require_json(request)
        return IncomingEvents(self, name, items, request)

    def converted(self, args: tuple[Any, ...], sent: Request[Any] | None) -> tuple[IncomingEvents, Request[Any]]:
        """Return the event that functions-framework read from the request `sent`, and a request that stands for it.

        The framework does so if it runs the function as `cloudevent` or `event`.

        Raises:
            HTTPError: 401 without the environment's token, also if the request is unknown; 403 for a browser's request for
                another site.
        """
        _check(Request("POST") if sent is None else sent)
        if sent is not None:
            callers.refuse_page(sent)
        items: list[Item]
        try:
            items = [triggers.of_background_event(*args) if len(args) == 2 else triggers.of_cloud_event(args[0])]
        except DecodeError as exc:
            items = [exc]
        request: Request[Any] = Request("POST", native=args[-1])
        return IncomingEvents(self, "converted", items, request), request

    def _answers(self, request: Request[Any]) -> bool:
        """Whether an HTTP function answers the request, and not just the router with a 404 or 405."""
        if not self._http:
            return False
        return self._router.find(request)[0] in self._http

    def _takes(self, item: Item) -> bool:
        return self.dispatcher.takes_event(item)


def _check(request: Request[Any]) -> None:
    # Pub/Sub's pushes can't have a header of one's own.
    callers.check(request, {callers.TOKEN: callers.HEADER}, parameter=True)


class IncomingEvents:
    """The events of one request."""

    def __init__(self, receiver: EventRouter, trigger: str, items: Sequence[Item], request: Request[Any]) -> None:
        self._receiver = receiver
        self.trigger = trigger
        self._items = items
        self._request = request

    def handle(self, context: Context) -> list[Outcome] | Awaitable[list[Outcome]]:
        """The outcomes of the events; to be awaited where a function is async."""
        return self._receiver.consumer.handle(self._items, context)

    async def handle_in_loop(self, context: Context) -> list[Outcome]:
        """The outcomes, where nothing may block the event loop."""
        return await self._receiver.consumer.handle_in_loop(self._items, context)

    def answer(self, outcomes: Sequence[Outcome], context: Context) -> Response:
        """What Google gets for the events."""
        first = self._items[0] if self._items else None
        if self.trigger == "task":
            return encode_events.task(outcomes[0], context, tells_all=self._receiver.tells_all)
        if self.trigger == "bigquery":
            return encode_events.bigquery(outcomes[0], first, context, tells_all=self._receiver.tells_all)
        if isinstance(first, DecodeError) and len(self._items) == 1 and self.trigger not in encode_events.OF_EVENTARC:
            return encode_events.unreadable(first, self._request, context)
        return encode_events.acknowledge(outcomes, self._request, context)
