"""A neutral event through a provider's real shapes and back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any, Literal, overload

from portable_fn.adapter import loop
from portable_fn.events import Batch, ChangeEvent, CloudEvent, Event, Message, ObjectEvent, ScheduleEvent, Task
from portable_fn.http import Request
from portable_fn.pairs import Headers
from portable_fn.providers import adapter
from portable_fn.testing.arriving import arriving
from portable_fn.testing.extras import needed
from portable_fn.testing.loop import outside
from portable_fn.testing.observing import Observed, observing
from portable_fn.testing.results import Answer
from portable_fn.testing.services import (
    _as_declared,
    _has_order,
    _reaches_one,
    _service_name,
    exchange,
    providers_for,
    service_for,
    several,
)

if TYPE_CHECKING:
    from portable_fn.adapter.calling import Middleware
    from portable_fn.testing.faults import Failure, Redelivery
    from portable_fn.testing.results import Delivery, Exchange

# What a test's handlers use, such as a connection of sqlite3, often belongs to the thread that made it.
loop.may_start_thread = False


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
    from portable_fn.adapter.binding import declared
    from portable_fn.recording.calls import replaced
    from portable_fn.testing.outcomes import note

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
            made: Delivery = simulate.results(those, service, answers)
        note(made, those, observed.events)
        observed.events.clear()
        made.native_requests, made.native_answers = natives, answers
        return made

    with observing() as observed:
        start = perf_counter()
        if redelivery is None and not failures:
            found = send(events)
            found.attempts = [int(index not in found.held) for index in range(len(events))]
        else:
            from portable_fn.testing.faults import redelivered

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
    from portable_fn.testing.faults import Throttled

    if not all(isinstance(one, Throttled) for one in failures):
        raise ValueError("what can go wrong with a request is Throttled")
    return any(one.times > 0 for one in failures if isinstance(one, Throttled))


def _note(found: Answer | Delivery, observed: Observed, seconds: float) -> None:
    found.logs, found.background, found.duration = observed.logs, observed.works, seconds
