"""Deliver neutral events to functions in a provider's native form."""

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
from portable_fn.testing.extras import require_extras
from portable_fn.testing.loop import run_outside_loop
from portable_fn.testing.observing import Observed, add_outcomes, arriving, observing
from portable_fn.testing.results import Answer
from portable_fn.testing.services import (
    as_declared,
    as_events,
    exchange,
    has_order,
    providers_for,
    require_function,
    service_for,
    service_name,
)

if TYPE_CHECKING:
    from portable_fn.adapter.calling import Middleware
    from portable_fn.testing.faults import Failure, Redelivery
    from portable_fn.testing.results import Delivery, Exchange

__all__ = ["Deliverable", "deliver"]

# Handlers in tests often use objects that belong to the thread of the test, such as an sqlite3 connection.
loop.stay_in_calling_threads()


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


# "all" isn't a provider's name.
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
    """Send events to a handler as a provider would, and return the answer or the outcomes.

    The handlers of all providers run on one event loop, in the thread that calls `deliver`. In a running event loop, such as an
    async test's, they run in another thread.

    Args:
        handler: A portable function, a list of them, or a module.
        event: A request, or one or several events of a kind.
        to: A provider's name, a list of names, or "all" that have such an event.
        via: The provider's service, such as "rest_api" or "sqs"; nested ones from the inside: "s3/sns/sqs". By default the one
            that the handler's trigger needs.
        seconds: The deadline that the provider tells the function.
        redelivery: Send retried events again.
        failures: What else goes wrong: `Duplicates`, `Reordered`, `Throttled`.
        cold_start: Start a fresh process for each invocation, not only for the first.
        use: The middleware that `entry` gets.
        root_path: The path prefix that `entry` gets.

    Returns:
        An `Answer` for a request, a `Delivery` for other events. For several providers, a dict of these by provider.

    Raises:
        MissingExtra: The extra that simulates the provider isn't installed.
        RuntimeError: An async handler that `deliver` called calls `deliver` itself. On Cloudflare this applies to sync handlers
            too. Await `asyncio.to_thread(deliver, ...)` instead.
        TypeError: The event can't reach any of the functions.
        ValueError: The provider has no such service or event.
    """
    if not isinstance(to, Iterable) or not all(isinstance(name, str) for name in to):
        raise TypeError(f"to must be a provider's name, a list of names, or 'all', not {to!r}")
    from portable_fn.testing.settings import placeholder_settings

    with placeholder_settings(handler):
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
        providers = providers_for(event, via) if isinstance(to, str) else to
        require_extras(*providers)
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
            for provider in providers
        }
    require_extras(to)
    if isinstance(event, Request):
        require_function(event, handler)
        if redelivery is not None or cold_start:
            raise ValueError("redelivery and cold_start are for events, not for requests")
        return _send_request(exchange((handler,), event, to, via, use=use, root_path=root_path), failures)
    if root_path:
        raise ValueError("root_path is for requests")
    if use:
        from portable_fn.adapter.binding import declared
        from portable_fn.recording.calls import with_call

        wrapped = [function.within(use) for function in declared(handler)]
        handler = [with_call(function, function.call) for function in wrapped]
    events = as_events(event, handler)
    require_function(events[0], handler)
    return _send_events(
        handler, events, to, via, seconds=seconds, redelivery=redelivery, failures=failures, cold_start=cold_start
    )


def _send_events(
    handler: object,
    events: list[Event[Any]],
    to: str,
    via: str | None,
    *,
    seconds: float,
    redelivery: Redelivery | None,
    failures: Sequence[Failure],
    cold_start: bool,
) -> Delivery:
    simulate = adapter(to, "simulate")
    service = service_for(simulate, to, events[0], service_name(via), handler)
    with simulate.playing(service):
        warm = None if cold_start else simulate.invoker((handler,), service, seconds)
        apart = {"cold_start": True} if getattr(simulate, "TAKES_APART", False) else {}

    def send(batch: list[Event[Any]]) -> Delivery:
        payloads = simulate.payloads([as_declared(event, handler) for event in batch], service)
        with simulate.playing(service), arriving(batch):
            answers = []
            for payload in payloads:
                invoke = warm or simulate.invoker((handler,), service, seconds, **apart)
                answers.append(run_outside_loop(partial(invoke, payload)))
            delivery: Delivery = simulate.results(batch, service, answers)
        add_outcomes(delivery, batch, observed.events)
        observed.events.clear()
        delivery.native_requests, delivery.native_answers = payloads, answers
        return delivery

    with observing() as observed:
        start = perf_counter()
        if redelivery is None and not failures:
            delivery = send(events)
            delivery.attempts = [int(index not in delivery.held) for index in range(len(events))]
        else:
            from portable_fn.testing.faults import redelivered

            # Each duplicate has its own `playing` block: a source forgets it between deliveries.
            delivery = redelivered(
                events,
                send,
                redelivery,
                failures,
                has_order(to, service),
                partial(simulate.playing, service),
            )
        _add_observed(delivery, observed, perf_counter() - start)
    delivery.events = events
    return delivery


def _send_request(exchange: Exchange, failures: Sequence[Failure]) -> Answer:
    """Return the answer to a request, or the provider's own if it throttles."""
    native: Any = None
    with observing() as observed:
        start = perf_counter()
        if _is_throttled(failures):
            answer = Answer(429, Headers([("content-type", "text/plain"), ("retry-after", "1")]), b"Too Many Requests")
        else:
            native = run_outside_loop(exchange.invoke)
            answer = exchange.answer(native)
        _add_observed(answer, observed, perf_counter() - start)
    answer.native_request, answer.native_answer = exchange.native_request, native
    return answer


def _is_throttled(failures: Sequence[Failure]) -> bool:
    if not failures:
        return False
    from portable_fn.testing.faults import Throttled

    throttled = [failure for failure in failures if isinstance(failure, Throttled)]
    if len(throttled) < len(failures):
        raise ValueError("failures of a request can only be Throttled; the others are for events")
    return any(failure.times > 0 for failure in throttled)


def _add_observed(result: Answer | Delivery, observed: Observed, seconds: float) -> None:
    result.logs, result.background, result.duration = observed.logs, observed.works, seconds
