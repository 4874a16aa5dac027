"""Find the functions for events, run them, and answer Google."""

from __future__ import annotations

from portable_fn.adapter import callers
from portable_fn.adapter.batch import Consumer
from portable_fn.adapter.dispatch import Dispatcher
from portable_fn.errors import DecodeError, HTTPError
from portable_fn.events import Task
from portable_fn.http import Request
from portable_fn_gcp.events import decode, encode, legacy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence
    from typing import Any

    from portable_fn.adapter.batch import Item
    from portable_fn.adapter.binding import Binding
    from portable_fn.adapter.routing import Router
    from portable_fn.context import Context
    from portable_fn.events import Event
    from portable_fn.http import Response
    from portable_fn.outcomes import Outcome, Reject
    from portable_fn_gcp.events.decode import IncomingEvents

# A Pub/Sub message may have 10 MB; a push carries it as base64. https://cloud.google.com/pubsub/quotas
MAX_BODY = 16 * 1024 * 1024


class EventRouter:
    """The functions for events, and what they answer.

    Args:
        functions: All functions of the entry.
        router: Knows which paths the HTTP functions answer.
        tells_all: Whether callers of tasks see every error.
    """

    def __init__(self, functions: Sequence[Binding], router: Router, *, tells_all: bool) -> None:
        self.max_body = max(MAX_BODY, router.max_body)
        self._tells_all = tells_all
        self._dispatcher = Dispatcher(functions, decode.unwrap)
        self._consumer = Consumer(self._dispatcher, dead_letter=_dead_letter)
        self._router = router
        self._http = {function.call for function in functions if issubclass(Request, function.kind)}

    def match(self, request: Request[Any]) -> IncomingEvents | None:
        """Return the events of a request whose body is read; None if it belongs to an HTTP function, or to none.

        An event that no function takes goes to the HTTP function on its path, if there is one. Any other POST without an HTTP
        function is a task, if a function takes tasks.

        Raises:
            HTTPError: 401 without the environment's token; 403 or 415 if a web page may have sent it; 4xx if the body can't be
                inflated.
        """
        request._max_body = self.max_body
        try:
            incoming = decode.incoming_events(request)
        except HTTPError:
            # The body can't be inflated, but a mounted application may know other codings.
            if self._answers(request):
                return None
            raise
        if incoming is None:
            incoming = self._task(request)
        elif self._answers(request) and not any(map(self._dispatcher.takes_event, incoming.items)):
            return None
        if incoming is None:
            return None
        _check_token(request)
        callers.refuse_page(request)
        if incoming.source == "task":
            callers.require_json(request)
        return incoming

    def _task(self, request: Request[Any]) -> IncomingEvents | None:
        """Return the task of a request without a trigger; None if it is for an HTTP function, or for none."""
        if request.method != "POST" or self._answers(request):
            return None
        if self._dispatcher.takes(Task):
            return decode.incoming_task(request)
        if self._http:
            return None
        error = DecodeError(f"a POST of {request.content_type[:80]!r} isn't an event; known are {decode.KNOWN}")
        return decode.IncomingEvents("", [error], request)

    def convert(self, args: tuple[Any, ...], sent: Request[Any] | None) -> IncomingEvents:
        """Return the event that functions-framework made of a request, if it runs the function as `cloudevent` or `event`.

        Args:
            args: What functions-framework passes to the function.
            sent: The request, if it is known.

        Raises:
            HTTPError: 401 without the environment's token, or if the request is unknown; 403 if a browser sent it for another
                site.
        """
        _check_token(Request("POST") if sent is None else sent)
        if sent is not None:
            callers.refuse_page(sent)
        item: Item
        try:
            item = legacy.background_event(*args) if len(args) == 2 else decode.sdk_event(args[0])
        except DecodeError as exc:
            item = exc
        return decode.IncomingEvents("converted", [item], Request("POST", native=args[-1]))

    def handle(self, incoming: IncomingEvents, context: Context) -> list[Outcome] | Awaitable[list[Outcome]]:
        """Return the outcomes; an awaitable if a function is async."""
        return self._consumer.handle(incoming.items, context)

    async def handle_in_loop(self, incoming: IncomingEvents, context: Context) -> list[Outcome]:
        """Return the outcomes without blocking the event loop."""
        return await self._consumer.handle_in_loop(incoming.items, context)

    def acknowledge(self, incoming: IncomingEvents, outcomes: Sequence[Outcome], context: Context) -> Response:
        """Return the answer for the outcomes of a request."""
        return encode.acknowledge(incoming, outcomes, context, tells_all=self._tells_all)

    def _answers(self, request: Request[Any]) -> bool:
        """Whether an HTTP function answers the request, rather than the router with 404 or 405."""
        return bool(self._http) and self._router.find(request)[0] in self._http


def _dead_letter(event: Event[Any], reject: Reject, dead_letter: str, seconds: float | None) -> bool:
    """Publish a rejected event to its dead-letter topic."""
    from portable_fn_gcp.drivers import topic

    return topic.dead_letter(event, reject, dead_letter, seconds)


def _check_token(request: Request[Any]) -> None:
    # A Pub/Sub push can't have custom headers.
    callers.check(request, {callers.TOKEN: callers.HEADER}, parameter=True)
