"""A neutral event through a provider's real shapes and back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from functools import partial
from typing import Any, overload

from portable_fn.events import Batch, ChangeEvent, CloudEvent, Event, Message, ObjectEvent, ScheduleEvent, Task
from portable_fn.http import Request
from portable_fn.pairs import Headers
from portable_fn.providers import adapter
from portable_fn.record import Record
from portable_fn.testing.loop import outside


class Answer(Record):
    """What the caller receives: `status`, `headers` (every Set-Cookie among them), the whole `body`, and its `chunks`."""

    _fields = ("status", "headers", "body", "chunks")
    __slots__ = _fields

    def __init__(self, status: int, headers: Headers, body: bytes, chunks: list[bytes] | None = None) -> None:
        self.status = status
        self.headers = headers
        self.body = body
        self.chunks = [body] if chunks is None else chunks

    @property
    def text(self) -> str:
        """The body as UTF-8."""
        return self.body.decode()

    def json(self) -> Any:
        """The body as JSON."""
        from json import loads

        return loads(self.body)

    @property
    def cookies(self) -> list[str]:
        """The value of each Set-Cookie header."""
        return self.headers.get_all("set-cookie")


class Settled(Record):
    """What became of one event, as the provider has it: "acknowledged", "retried", "dead-lettered" or "lost".

    `after` is how many seconds a retry waits, None where nobody said; `why` is the reason where the provider keeps it.
    """

    _fields = ("outcome", "after", "why")

    def __init__(self, outcome: str, after: float | None = None, why: str = "") -> None:
        self.outcome = outcome
        self.after = after
        self.why = why


class Delivery(Record):
    """What became of events on a provider: each one's `Settled`, in their order.

    `result` is what a task's caller or a CloudEvent's sender receives, `error` the name and message that a failed task's
    caller sees, else None. `native_requests` are what the provider handed over, `native_answers` what came back for each.
    """

    _fields = ("settled", "result", "error")

    def __init__(
        self,
        settled: Sequence[Settled],
        *,
        result: Any = None,
        error: tuple[str, str] | None = None,
        native_requests: Sequence[Any] = (),
        native_answers: Sequence[Any] = (),
    ) -> None:
        self.settled = list(settled)
        self.result = result
        self.error = error
        self.native_requests = list(native_requests)
        self.native_answers = list(native_answers)

    @property
    def outcomes(self) -> list[str]:
        """The word for each event."""
        return [one.outcome for one in self.settled]


class Raised(Record):
    """A function's answer where it raised: the name of the error's class, and its message."""

    _fields = ("name", "message")

    def __init__(self, name: str, message: str) -> None:
        self.name = name
        self.message = message


class Exchange(Record):
    """A neutral request on its way through a provider's real shapes; every adapter's `simulate.exchange` makes one.

    `native_request` is what the provider hands over, `invoke()` has the entry answer it natively (as often as one likes),
    `answer(native)` is what the caller receives for that.
    """

    _fields = ("native_request",)

    def __init__(self, native_request: object, invoke: Callable[[], Any], answer: Callable[[Any], Answer]) -> None:
        self.native_request = native_request
        self.invoke = invoke
        self.answer = answer


def exchange(targets: tuple[object, ...], event: Request[Any], to: str, via: str | None = None) -> Exchange:
    """The event on its way through the provider's real shapes; ValueError for a service that the provider doesn't have."""
    simulate = adapter(to, "simulate")
    if via is not None and via not in simulate.SERVICES:
        raise ValueError(f"{to} has no {via!r}; possible are {', '.join(simulate.SERVICES)}")
    made: Exchange = simulate.exchange(targets, event, via or simulate.SERVICES[0])
    return made


def kind_of(event: Event[Any]) -> str:
    """The name of the neutral kind that an event is of, whatever class an adapter made it of."""
    return next(base.__name__ for base in type(event).__mro__ if base.__module__.startswith("portable_fn."))


def service_for(simulate: Any, to: str, kind: str, via: str | None) -> str:
    """The provider's service that hands over such events; ValueError where it has none, or none of that name."""
    possible = simulate.EVENT_SERVICES.get(kind, ())
    if not possible:
        raise ValueError(f"{to} hands over no {kind}")
    if via is not None and via not in possible:
        raise ValueError(f"{to} hands over no {kind} by {via!r}; possible are {', '.join(possible)}")
    return via or possible[0]


def _called_by_name(task: Task[Any], handler: object) -> Task[Any]:
    """The task with the name of the first function for tasks."""
    from portable_fn.adapter import bindings

    for function in bindings(handler):
        names = [trigger.name for trigger in function.triggers if trigger.word == "task"]
        if names or function.kind is Task:
            named = copy(task)
            named.name = names[0] if names else function.name
            return named
    return task


Deliverable = (
    Message[Any]
    | ObjectEvent[Any]
    | ChangeEvent[Any]
    | ScheduleEvent[Any]
    | CloudEvent[Any]
    | Task[Any]
    | Batch[Any]
    | Sequence[Event[Any]]
)


@overload
def deliver(handler: object, event: Request[Any], *, to: str = "aws", via: str | None = None) -> Answer: ...
@overload
def deliver(
    handler: object,
    event: Deliverable,
    *,
    to: str = "aws",
    via: str | None = None,
    seconds: float = 30,
) -> Delivery: ...
def deliver(handler: object, event: Any, *, to: str = "aws", via: str | None = None, seconds: float = 30) -> Any:
    """Sends the event to the handler as the provider would, and gives the answer as its caller would receive it.

    `handler` is a portable function or a module of them, `to` is aws, gcp, azure, cloudflare or asgi, `via` the provider's
    service where it has several, such as "rest_api" or "sqs". A request is answered by an `Answer`; other events, one or
    several that come together, by a `Delivery`, which says what became of each. `seconds` is how long the function may take
    where the provider tells a deadline. In a running event loop, such as an async test's, the handler runs in another thread;
    RuntimeError in an async handler that was itself called by `deliver`.
    """
    if isinstance(event, Request):
        sent = exchange((handler,), event, to, via)
        return sent.answer(outside(sent.invoke))
    events = [event] if isinstance(event, Event) else list(event)
    if not events:
        raise ValueError("deliver needs an event, or several")
    if isinstance(events[0], Task) and not events[0].name:
        events = [_called_by_name(events[0], handler)]
    simulate = adapter(to, "simulate")
    service = service_for(simulate, to, kind_of(events[0]), via)
    natives = simulate.payloads(events, service)
    with simulate.playing(service):
        invoke = simulate.invoker((handler,), service, seconds)
        answers = [outside(partial(invoke, native)) for native in natives]
        made: Delivery = simulate.settled(events, service, answers)
    made.native_requests, made.native_answers = natives, answers
    return made
