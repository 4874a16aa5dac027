"""A neutral event through a provider's real shapes and back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from copy import copy
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

from portable_fn import loop
from portable_fn.events import Batch, ChangeEvent, CloudEvent, Event, Message, ObjectEvent, ScheduleEvent, Task
from portable_fn.http import Request
from portable_fn.pairs import Headers
from portable_fn.providers import ADAPTERS, adapter, nearest
from portable_fn.record import Record
from portable_fn.testing.arriving import arriving
from portable_fn.testing.extras import needed
from portable_fn.testing.loop import outside
from portable_fn.testing.observing import Background, Observed, observing

if TYPE_CHECKING:
    from logging import LogRecord

    from portable_fn.binding import Middleware
    from portable_fn.on import Trigger
    from portable_fn.testing.failure import Failure, Redelivery

# What a test's handlers use, such as a connection of sqlite3, often belongs to the thread that made it.
loop.may_start_thread = False

T = TypeVar("T")

OutcomeWord = Literal["acknowledged", "retried", "dead-lettered", "lost"]
OUTCOMES: tuple[OutcomeWord, ...] = ("acknowledged", "retried", "dead-lettered", "lost")


class Answer(Record):
    """What the caller receives: `status`, `headers` (every Set-Cookie among them), the whole `body`, and its `chunks`.

    From `deliver` it has, beside them, `logs`, `background`, `duration`, `native_request` and `native_answer`, as a
    `Delivery` has them.
    """

    _fields = ("status", "headers", "body", "chunks")
    __slots__ = (*_fields, "background", "duration", "logs", "native_answer", "native_request")

    logs: list[LogRecord]
    background: list[Background]
    duration: float
    native_request: Any
    native_answer: Any

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

    `after` is how many seconds the function said that a retry is to wait, None where it didn't; `waits` is how many the provider
    does wait by that, None where it waits as it does anyhow. `why` is the reason that a Reject gave, "" where it gave none.
    """

    _fields = ("outcome", "after", "why")

    delivery: Delivery | None = None  # that of which it says something

    def __init__(self, outcome: OutcomeWord, after: float | None = None, why: str = "") -> None:
        self.outcome: OutcomeWord = outcome
        self.after = self.waits = after
        self.why = why


class Told(list[T]):
    """A list that knows the delivery that it is of, and of which outcome its events are; equal to any list with the same in it."""

    def __init__(self, values: Iterable[T], delivery: Delivery, outcome: OutcomeWord | None = None) -> None:
        super().__init__(values)
        self.delivery = delivery
        self.outcome: OutcomeWord | None = outcome


class Delivery(Record):
    """What became of events on a provider: each one's `Settled`, in their order.

    - `result` is what a task's caller or a CloudEvent's sender receives. `error` is the name and message that a failed task's
      caller sees; of other events those of the first error, other than Retry and Reject, that a function raised or that kept
      them from one, else None.
    - `events` are those that were delivered, `attempts` how often the source sent each of them; `acknowledged`, `retried`,
      `dead_lettered` and `lost` have the events of which that became.
    - `logs` are the records that were logged meanwhile, `background` is what ctx.background was given, `duration` how many
      seconds the invocations took.
    - `native_requests` are what the provider handed over, `native_answers` what came back for each.
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
        events: Sequence[Event[Any]] = (),
        attempts: Sequence[int] = (),
        held: Iterable[int] = (),
    ) -> None:
        self.settled: list[Settled] = Told(map(copy, settled), self)
        for one in self.settled:
            one.delivery = self
        self.result = result
        self.error = error
        self.native_requests = list(native_requests)
        self.native_answers = list(native_answers)
        self.events = list(events)
        self.attempts = list(attempts)
        self.held = set(held)  # the places of events that weren't sent, behind one of their key
        self.logs: list[LogRecord] = []
        self.background: list[Background] = []
        self.duration = 0.0

    @property
    def outcomes(self) -> list[OutcomeWord]:
        """The word for each event."""
        return Told((one.outcome for one in self.settled), self)

    @property
    def acknowledged(self) -> list[Event[Any]]:
        """The events that are done."""
        return self._those("acknowledged")

    @property
    def retried(self) -> list[Event[Any]]:
        """The events that the source is to send again."""
        return self._those("retried")

    @property
    def dead_lettered(self) -> list[Event[Any]]:
        """The events that never come again, and are kept elsewhere."""
        return self._those("dead-lettered")

    @property
    def lost(self) -> list[Event[Any]]:
        """The events that never come again, and are kept nowhere."""
        return self._those("lost")

    def _those(self, outcome: OutcomeWord) -> list[Event[Any]]:
        pairs = zip(self.events, self.settled, strict=True)
        return Told((event for event, one in pairs if one.outcome == outcome), self, outcome)

    @property
    def native_request(self) -> Any:
        """What the provider handed over; ValueError where that was not one thing."""
        return _single(self.native_requests, "native_requests")

    @property
    def native_answer(self) -> Any:
        """What came back for it; ValueError where that was not one thing."""
        return _single(self.native_answers, "native_answers")


def _single(those: Sequence[Any], name: str) -> Any:
    if len(those) != 1:
        raise ValueError(f"there are {len(those)}, which {name} has")
    return those[0]


def refused(answers: Iterable[Any]) -> tuple[str, str] | None:
    """The title and the detail of the first answer that refuses an event before any function has it, a problem document."""
    for answer in answers:
        # Google asks by 429 for a retry after a while.
        if not isinstance(answer, Answer) or answer.status == 429 or not 400 <= answer.status < 500:
            continue
        if answer.headers.get("content-type") == "application/problem+json":
            problem = answer.json()
            return problem["title"], problem["detail"]
    return None


class Raised(Record):
    """A function's answer where it raised: the name of the error's class, and its message."""

    _fields = ("name", "message")

    def __init__(self, name: str, message: str) -> None:
        self.name = name
        self.message = message

    @classmethod
    def of(cls, error: BaseException) -> Raised:
        """What is told of the error, though it be one whose message can't be made."""
        try:
            message = str(error)
        except Exception:
            message = "<exception str() failed>"  # so traceback says
        return cls(type(error).__name__, message)


def told_reason(told: str) -> str:
    """The reason that a handler gave, of one that a dead letter tells."""
    from portable_fn.dead_letter import NO_REASON

    return "" if told == NO_REASON else told


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


def exchange(
    targets: tuple[object, ...],
    event: Request[Any],
    to: str,
    via: str | None = None,
    *,
    use: Sequence[Middleware] = (),
    root_path: str = "",
) -> Exchange:
    """The event on its way through the provider's real shapes; ValueError for a service that the provider doesn't have.

    `use` and `root_path` are what the provider's `entry` is told.
    """
    simulate = adapter(to, "simulate")
    via = _service_name(via)
    if via is not None and via not in simulate.SERVICES:
        raise ValueError(
            f"{to} has no {via!r}{nearest(via, simulate.SERVICES)}; possible are {', '.join(simulate.SERVICES)}"
        )
    from portable_fn.testing.settings import stood_in

    with stood_in(*targets):
        # An adapter whose entry has no such options need not take them.
        options = {name: value for name, value in (("use", use), ("root_path", root_path)) if value}
        made: Exchange = simulate.exchange(targets, event, via or simulate.SERVICES[0], **options)
    return made


def kind_of(event: Event[Any]) -> str:
    """The name of the neutral kind that an event is of, whatever class an adapter made it of."""
    return next(base.__name__ for base in type(event).__mro__ if base.__module__.startswith("portable_fn."))


def service_for(simulate: Any, to: str, event: Event[Any], via: str | None, handler: object = None) -> str:
    """The provider's service that hands over the event; ValueError where it has none, or none of that name.

    Where none is named, it is the one that the adapter's `entry` takes for the handler's trigger, if that makes a difference.
    """
    kind = kind_of(event)
    possible: tuple[str, ...] = simulate.EVENT_SERVICES.get(kind, ())
    if not possible:
        raise ValueError(f"{to} hands over no {kind}")
    if via is not None and via not in possible:
        raise ValueError(
            f"{to} hands over no {kind} by {via!r}{nearest(via, possible)}; possible are {', '.join(possible)}"
        )
    if via is None and handler is not None and hasattr(simulate, "default_service"):
        trigger = _trigger_for(event, handler)
        via = None if trigger is None else simulate.default_service(trigger, event)
    return via if via in possible else possible[0]


def _trigger_for(event: Event[Any], handler: object) -> Trigger | None:
    """The first trigger by which the handler gets such an event, of those that name where it is from, if there are any."""
    return next(iter(_triggers_for(event, handler)), None)


def _triggers_for(event: Event[Any], handler: object) -> list[Trigger]:
    """The triggers by which the handler gets such an event: those that name where it is from, if there are any, else all."""
    from portable_fn.adapter import bindings

    triggers = [
        trigger
        for function in bindings(handler)
        if isinstance(event, function.kind)
        for trigger in function.triggers
        if trigger.word != "http"
    ]
    return [trigger for trigger in triggers if trigger.names(event)] or triggers


def _reaches_one(event: Event[Any], handler: object) -> None:
    """Raises TypeError for an event of a kind that reaches none of the functions, whatever provider hands it over how."""
    from portable_fn.adapter import bindings

    functions = bindings(handler)
    if not any(_may_reach(event, function.kind) for function in functions):
        those = ", ".join(f"{function.name} (a {function.kind.__name__})" for function in functions)
        raise TypeError(
            f"{kind_of(event)} {event.id!r} is of a kind that is for none of the functions; there are {those}"
        )


def _may_reach(event: Event[Any], kind: type[Event[Any]]) -> bool:
    """Whether a function for the kind may get the event: as it is, with what it comes in, or what is inside of it."""
    if isinstance(event, kind):
        return True
    if isinstance(event, (Request, Task)) or kind is Request:
        return False
    # A schedule's own input is a task's.
    held = (Message, CloudEvent)
    return isinstance(event, ScheduleEvent) if kind is Task else isinstance(event, held) or kind in held


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


def carried_by(event: Event[Any], default: str) -> str:
    """The channel whose message an event comes in: what `via` of the handler's trigger says, else the default."""
    channel: str = getattr(event, "_carried_by", "") or default
    return channel


def _as_declared(event: Event[Any], handler: object) -> Event[Any]:
    """The event with what its handler's trigger says of it: a schedule's cron expression, the channel that it comes by."""
    from portable_fn.on import ScheduleTrigger

    if isinstance(event, (Request, Task)):
        return event
    triggers = _triggers_for(event, handler)
    told: dict[str, str] = {}
    if triggers and isinstance(triggers[0], ScheduleTrigger) and isinstance(event, ScheduleEvent) and not event.cron:
        told["cron"] = triggers[0].cron
    if via := next((trigger.via for trigger in triggers if trigger.via), ""):
        told["_carried_by"] = via
    if not told:
        return event
    made = copy(event)
    vars(made).update(told)
    return made


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


# "all" is no provider's name.
@overload
def deliver(  # type: ignore[overload-overlap]  # see above
    handler: object,
    event: Request[Any],
    *,
    to: Literal["all"] | list[str] | tuple[str, ...],
    via: str | None = None,
    failures: Sequence[Failure] = (),
    use: Sequence[Middleware] = (),
    root_path: str = "",
) -> dict[str, Answer]: ...
@overload
def deliver(
    handler: object,
    event: Request[Any],
    *,
    to: str = "aws",
    via: str | None = None,
    failures: Sequence[Failure] = (),
    use: Sequence[Middleware] = (),
    root_path: str = "",
) -> Answer: ...
@overload
def deliver(  # type: ignore[overload-overlap]  # see above
    handler: object,
    event: Deliverable,
    *,
    to: Literal["all"] | list[str] | tuple[str, ...],
    via: str | None = None,
    seconds: float = 30,
    redelivery: Redelivery | None = None,
    failures: Sequence[Failure] = (),
    cold_start: bool = False,
    use: Sequence[Middleware] = (),
    root_path: str = "",
) -> dict[str, Delivery]: ...
@overload
def deliver(
    handler: object,
    event: Deliverable,
    *,
    to: str = "aws",
    via: str | None = None,
    seconds: float = 30,
    redelivery: Redelivery | None = None,
    failures: Sequence[Failure] = (),
    cold_start: bool = False,
    use: Sequence[Middleware] = (),
    root_path: str = "",
) -> Delivery: ...
def deliver(
    handler: object,
    event: Any,
    *,
    to: str | Sequence[str] = "aws",
    via: str | None = None,
    seconds: float = 30,
    redelivery: Redelivery | None = None,
    failures: Sequence[Failure] = (),
    cold_start: bool = False,
    use: Sequence[Middleware] = (),
    root_path: str = "",
) -> Any:
    """Sends the event to the handler as the provider would, and gives the answer as its caller would receive it.

    `handler` is a portable function or a module of them, `to` is aws, gcp, azure, cloudflare or asgi, `via` the provider's
    service where it has several, such as "rest_api" or "sqs", by default what its `entry` takes the handler's trigger for;
    what comes inside of something else is named from the inside, "s3/sns/sqs". A request is answered by an `Answer`; other events, one or several that come together, by a `Delivery`, which
    says what became of each. With a list of providers, or "all" that hand over such events by `via`, it is a dict of these.

    - `seconds` is how long the function may take where the provider tells a deadline.
    - `redelivery` has the source send again what is retried; `failures` are what else goes wrong on the way: `Duplicates`,
      `Reordered`, `Throttled`.
    - `cold_start` has each invocation come to a process of its own; else only the first meets a fresh one.
    - `use` and `root_path` are what the provider's `entry` is told by these names.

    The handlers of all providers run on one event loop, in the thread that calls `deliver`. In a running event loop, such as an
    async test's, they run in another thread. RuntimeError in an async handler that was itself called by `deliver`, on Cloudflare
    in a sync one too: await `asyncio.to_thread(deliver, …)` there. MissingExtra, a ConfigurationError, where the provider's extra isn't installed.
    """
    if not isinstance(to, Iterable) or not all(isinstance(one, str) for one in to):
        raise TypeError(f"to is the name of a provider, a list of several, or 'all', not {to!r}")
    from portable_fn.testing.settings import stood_in

    with stood_in(handler):
        return _deliver(
            handler,
            event,
            to=to,
            via=via,
            seconds=seconds,
            redelivery=redelivery,
            failures=failures,
            cold_start=cold_start,
            use=use,
            root_path=root_path,
        )


def _deliver(
    handler: object,
    event: Any,
    *,
    to: str | Sequence[str],
    via: str | None,
    seconds: float,
    redelivery: Redelivery | None,
    failures: Sequence[Failure],
    cold_start: bool,
    use: Sequence[Middleware],
    root_path: str,
) -> Any:
    if not isinstance(to, str) or to == "all":
        named = providers_for(event, via) if isinstance(to, str) else to
        needed(*named)
        return {
            provider: deliver(
                handler,
                event,
                to=provider,
                via=via,
                seconds=seconds,
                redelivery=redelivery,
                failures=failures,
                cold_start=cold_start,
                use=use,
                root_path=root_path,
            )
            for provider in named
        }
    from portable_fn.adapter import declared
    from portable_fn.testing.outcomes import note
    from portable_fn.testing.probing import replaced

    needed(to)
    if isinstance(event, Request):
        _reaches_one(event, handler)
        if redelivery is not None or cold_start:
            raise ValueError("nobody sends a request again: redelivery and cold_start are for other events")
        sent = exchange((handler,), event, to, via, use=use, root_path=root_path)
        return _answered(sent, failures)
    if root_path:
        raise ValueError("root_path is for requests")
    if use:
        handler = [replaced(one, one.call) for one in (function.within(use) for function in declared(handler))]
    events = several(event, handler)
    _reaches_one(events[0], handler)
    simulate = adapter(to, "simulate")
    service = service_for(simulate, to, events[0], _service_name(via), handler)
    with simulate.playing(service):
        invoke = None if cold_start else simulate.invoker((handler,), service, seconds)
        colder = {"cold_start": True} if getattr(simulate, "TAKES_APART", False) else {}

    def send(those: list[Event[Any]]) -> Delivery:
        natives = simulate.payloads([_as_declared(one, handler) for one in those], service)
        with simulate.playing(service), arriving(those):
            answers = []
            for native in natives:
                call = invoke or simulate.invoker((handler,), service, seconds, **colder)
                answers.append(outside(partial(call, native)))
            made: Delivery = simulate.settled(those, service, answers)
        note(made, those, observed.handled)
        observed.handled.clear()
        made.native_requests, made.native_answers = natives, answers
        return made

    with observing() as observed:
        start = perf_counter()
        if redelivery is None and not failures:
            found = send(events)
            found.attempts = [int(index not in found.held) for index in range(len(events))]
        else:
            from portable_fn.testing.failure import redelivered

            # What a source remembers of one of the times that it delivers an event, it knows nothing of at the next.
            found = redelivered(
                events,
                send,
                redelivery,
                failures,
                _has_order(to, service),
                partial(simulate.playing, service),
            )
        _note(found, observed, perf_counter() - start)
    found.events = events
    return found


def several(event: Any, handler: object = None) -> list[Event[Any]]:
    """The events of what `deliver` takes; a task without a name has that of the handler's first function for tasks."""
    if isinstance(event, Event):
        events: list[Event[Any]] = [event]
    else:
        events = list(event) if isinstance(event, Iterable) else [event]
        _come_together(events)
    if not events:
        raise ValueError("deliver needs an event, or several")
    first = events[0]
    if isinstance(first, Task) and not first.name and handler is not None:
        events[0] = _called_by_name(first, handler)
    return events


def _come_together(events: Sequence[Event[Any]]) -> None:
    """Raises TypeError for what is no event, ValueError for events that no source hands over together."""
    for one in events:
        if not isinstance(one, Event):
            raise TypeError(f"what is delivered is an event, as those of fake, or several, not a {type(one).__name__}")
        if isinstance(one, Request):
            raise ValueError("requests don't come together: deliver each by itself")
    if len(kinds := dict.fromkeys(map(kind_of, events))) > 1:
        raise ValueError(f"events that come together are of one kind, not {' and '.join(kinds)}")
    first: dict[tuple[str, str], Event[Any]] = {}
    for one in events:
        if not is_again(one, first.setdefault((one.id, one.source), one)):
            numbered = ", or their data to fake.batch, which numbers them" if isinstance(one, Message) else ""
            raise ValueError(
                f"two different events have the id {one.id!r}, by which functions know what they have had: "
                f"give each an id=…{numbered}"
            )


def is_again(event: Event[Any], before: Event[Any]) -> bool:
    """Whether it is the event that there was before, whatever the number of the delivery."""
    names = [name for name in event._fields if name != "attempt"]
    return type(event) is type(before) and all(getattr(event, name) == getattr(before, name) for name in names)


def providers_for(event: Any, via: str | None) -> list[str]:
    """The providers that hand over such events, by that service where one is named; ValueError where none does."""
    kind = "Request" if isinstance(event, Request) else kind_of(several(event)[0])
    name = _service_name(via)
    found = []
    every: dict[str, None] = {}
    for provider in ADAPTERS:
        simulate = adapter(provider, "simulate")
        possible = simulate.SERVICES if kind == "Request" else simulate.EVENT_SERVICES.get(kind, ())
        every |= dict.fromkeys(possible)
        if possible and (name is None or name in possible):
            found.append(provider)
    if not found:
        by = "" if name is None else f" by {via!r}{nearest(name, every)}; possible are {', '.join(every)}"
        raise ValueError(f"no provider hands over a {kind}{by}")
    return found


def _service_name(via: str | None) -> str | None:
    """The adapter's name of a service: "s3/sns/sqs" is s3_sns_sqs."""
    return None if via is None else via.replace("/", "_")


def _has_order(provider: str, service: str) -> bool:
    declared = [one for one in adapter(provider, "capabilities").SERVICES if one.name == service]
    orders = [one.features["order"].level for one in declared if "order" in one.features]
    return bool(orders) and "impossible" not in orders


def _answered(sent: Exchange, failures: Sequence[Failure]) -> Answer:
    """The answer to a request; that of the provider itself if it is throttled."""
    native: Any = None
    with observing() as observed:
        start = perf_counter()
        if _is_throttled(failures):
            answer = Answer(429, Headers([("content-type", "text/plain"), ("retry-after", "1")]), b"Too Many Requests")
        else:
            native = outside(sent.invoke)
            answer = sent.answer(native)
        _note(answer, observed, perf_counter() - start)
    answer.native_request, answer.native_answer = sent.native_request, native
    return answer


def _is_throttled(failures: Sequence[Failure]) -> bool:
    if not failures:
        return False
    from portable_fn.testing.failure import Throttled

    if not all(isinstance(one, Throttled) for one in failures):
        raise ValueError("what can go wrong with a request is Throttled")
    return any(one.times > 0 for one in failures if isinstance(one, Throttled))


def _note(found: Answer | Delivery, observed: Observed, seconds: float) -> None:
    found.logs, found.background, found.duration = observed.logs, observed.background, seconds
