"""Decide what becomes of an event: check what its handler returned, or handle what it raised."""

from __future__ import annotations

from portable_fn.adapter.calling import has_threads, is_awaitable
from portable_fn.errors import DecodeError, EncodeError, is_error
from portable_fn.events import Message, Task
from portable_fn.outcomes import DONE, Done, Reject, Retry, check, forget, meant

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from portable_fn.adapter.binding import Binding
    from portable_fn.context import Context
    from portable_fn.events import Batch, Event
    from portable_fn.outcomes import Outcome

    # Why no function takes an event, and its id; "" if the id can't be read.
    Untaken = list[tuple[DecodeError, str]]
    # What one of several functions for an event raised, and the event that it got.
    Failure = tuple[BaseException, Binding, Event[Any]]
    # Sends a rejected event to the destination that its trigger names, within a number of seconds (None: no limit). Returns
    # whether it was sent, or Done if the source must see the event as acknowledged, not as rejected.
    DeadLetter = Callable[[Any, Reject, str, float | None], bool | Done]

# The least time, in seconds, that starting an event or sending a dead letter needs.
MARGIN = 0.1
# Why an event is retried unhandled.
EARLIER = "an earlier event of its key is retried first"
LATE = "the time ran short"


class FailurePolicy:
    """Decides whether an event that a handler failed is retried, rejected or dead-lettered, and logs it.

    Args:
        functions: The functions that take events.
        rejects: Whether the provider itself takes rejected events.
        dead_letter: Sends a rejected event to the destination that its trigger names.
    """

    def __init__(self, functions: Sequence[Binding], *, rejects: bool, dead_letter: DeadLetter | None) -> None:
        self.rejects = rejects
        self.dead_letter = dead_letter
        self._triggers = [trigger for function in functions for trigger in function.triggers]
        # Sending blocks, so an async function's outcome is decided in a thread.
        self.blocks = (
            dead_letter is not None and has_threads() and any(trigger.dead_letter for trigger in self._triggers)
        )

    def outcome(self, error: BaseException, event: Event[Any], function: Binding | None, context: Context) -> Outcome:
        """Return the outcome of an event whose handler raised the error."""
        name = _name(function)
        try:
            outcome = self.raised_outcome(error, event, function)
        except ValueError as exc:
            exc.__cause__ = error
            error, outcome = exc, None
        if outcome is None:
            return to_retry(error, context, f"{name} failed for {printable_id(event)}")
        if isinstance(event, Task):
            # The task's caller may see the traceback.
            outcome.traceback = outcome.__traceback__
        forget(error)
        if isinstance(outcome, Reject):
            return self.reject(outcome, event, function, context)
        context.log.warning("%s retries %s: %s", name, printable_id(event), outcome.why or "no reason given")
        return outcome

    def outcome_of_several(
        self, item: Event[Any], results: list[object], failures: list[Failure], context: Context
    ) -> Outcome:
        """Return the outcome of an event that several functions handled.

        The event is retried if one function retries it, else rejected if one rejects it.
        """
        # A retried event is rejected again when it is redelivered. If it were dead-lettered now, it would be dead-lettered twice.
        retries = [failure for failure in failures if not self._is_rejected(*failure)]
        if len(retries) > 1 and context.raises_errors:
            # Only one of the errors can be raised, so each is logged with its traceback.
            context = context.of(item)
            context.raises_errors = False
        outcomes = [
            self.outcome(error, message_of(event), function, context) for error, function, event in retries or failures
        ]
        if outcomes:
            return min(outcomes, key=severity)
        return Done(results[0]) if len(results) == 1 and results[0] is not None else DONE

    def raised_outcome(
        self, error: BaseException, event: Event[Any], function: Binding | None
    ) -> Retry | Reject | None:
        """Return the outcome that the error means, None for an error that isn't an outcome.

        Data that can't be read is rejected if rejected events have a destination, since a redelivery can't mend it.

        Raises:
            ValueError: The outcome is malformed.
        """
        meaning = meant(error)
        if isinstance(meaning, (Retry, Reject)):
            check(meaning)
            return meaning
        if isinstance(meaning, DecodeError) and meaning.event is not None and not isinstance(event, Task):
            is_sent = self.dead_letter is not None and self._destination(function, event) is not None
            if is_sent or self.rejects:
                reject = Reject(str(meaning))
                reject.error = meaning
                return reject
        return None

    def _is_rejected(self, error: BaseException, function: Binding, event: Event[Any]) -> bool:
        try:
            return isinstance(self.raised_outcome(error, event, function), Reject)
        except ValueError:
            return False

    def untaken(self, error: DecodeError, item: Event[Any], context: Context, untaken: Untaken) -> Outcome:
        """Return the outcome of an event that no function takes: retried, or rejected if its data can't be read."""
        try:
            item.read_data()
        except DecodeError as exc:
            error = exc
        if self.raised_outcome(error, item, None) is None:
            return retry_untaken(error, context, untaken, item)
        return self.outcome(error, message_of(item), None, context)

    def _destination(self, function: Binding | None, event: Event[Any]) -> str | None:
        """Return where a rejected event is sent; without a function, the only destination that the triggers name."""
        if function is not None:
            return _destination(function, event)
        named = {trigger.dead_letter for trigger in self._triggers if trigger.dead_letter}
        return named.pop() if len(named) == 1 else None

    def reject(self, reject: Reject, event: Event[Any], function: Binding | None, context: Context) -> Outcome:
        """Dead-letter a rejected event. Return the outcome: a retry if the event couldn't be sent."""
        destination = self._destination(function, event)
        if self.rejects:
            _log_reject(reject, event, function, context)
            return reject
        if destination is not None and self.dead_letter is not None:
            _log_reject(reject, event, function, context)
            if sent := self._send(event, reject, destination, context):
                return reject if sent is True else sent
        else:
            named = "" if destination is not None else ", and its trigger names no dead_letter="
            context.log.error(
                "%s rejects %s: %s; it is retried, since nothing takes rejected events here%s",
                _name(function), printable_id(event), reject.why or "no reason given", named,
            )  # fmt: skip
        retry = Retry(f"rejected: {reject.why}")
        retry.error = reject
        return retry

    def _send(self, event: Event[Any], reject: Reject, destination: str, context: Context) -> bool | Done:
        remaining = context.remaining()
        # The answer must still be on time, and more events may be rejected.
        seconds = None if remaining is None else remaining / 2
        id = printable_id(event)
        if seconds is not None and seconds < MARGIN:
            context.log.warning("%s is retried, since no time is left to send it to %s", id, destination)
            return False
        sent: bool | Done = False
        try:
            sent = self.dead_letter(event, reject, destination, seconds)  # type: ignore[misc]  # the caller checked it
        except Exception as exc:
            context.log.error("%s can't be sent to the dead letters %s", id, destination, exc_info=exc)
        if not sent:
            context.log.warning("%s is retried, since nothing takes rejected events here", id)
        return sent


def _name(function: Binding | None) -> str:
    return "a function" if function is None else function.name


def _log_reject(reject: Reject, event: Event[Any], function: Binding | None, context: Context) -> None:
    context.log.error("%s rejects %s: %s", _name(function), printable_id(event), reject.why or "no reason given")


def _destination(function: Binding, event: Event[Any]) -> str | None:
    """Return the `dead_letter` of the function's trigger for the event."""
    triggers = function.triggers
    if len(triggers) > 1:
        try:
            triggers = (
                tuple(trigger for trigger in triggers if trigger.is_via(event) or trigger.names(event)) or triggers
            )
        except DecodeError:
            pass  # the event's place can't be read, so any trigger will do
    return next((trigger.dead_letter for trigger in triggers if trigger.dead_letter), None)


def message_of(event: Event[Any]) -> Event[Any]:
    """Return the message that contains the event, which can be sent back unchanged; the event itself if there is none."""
    return next(
        (candidate for candidate in (event, *reversed(event.envelopes)) if isinstance(candidate, Message)), event
    )


def severity(outcome: Outcome) -> int:
    """Sort a retry before a rejection, and both before an acknowledgement."""
    return 0 if isinstance(outcome, Retry) else 1 if isinstance(outcome, Reject) else 2


def may_reject(error: BaseException) -> bool:
    """Return whether the error may reject its event, which may be sent over the network."""
    return isinstance(meant(error), (Reject, DecodeError))


def require_plain_result(result: Any, event: Event[Any] | Batch[Any]) -> Any:
    """Return the result of a function.

    Raises:
        EncodeError: The result is an outcome, a provider's report of failure, or work that nobody runs.
    """
    if result is None:
        return None
    if is_awaitable(result) or hasattr(type(result), "gi_frame") or hasattr(type(result), "ag_frame"):
        if hasattr(type(result), "close"):
            result.close()
        raise EncodeError(
            f"the function returned a {type(result).__name__} that nobody runs: a handler that awaits is an async def, one that "
            "yields can't be; a decorator below @portable takes functools.wraps, middleware returns or awaits call_next"
        )
    if isinstance(result, (list, tuple)):
        error = next((item for item in result if is_error(item)), None)
    else:
        error = result if is_error(result) else None
    if error is not None:
        name = (error if isinstance(error, type) else type(error)).__name__
        raise EncodeError(f"the function returned {name}, which means nothing: raise {name}") from (
            error if isinstance(error, BaseException) else None
        )
    # A task's result is for its caller.
    if not isinstance(event, Task) and (report := _report_of_failure(result)):
        raise EncodeError(
            f"the function returned {report}, a provider's own report of failure, which means nothing here: raise Retry or Reject, "
            "or call batch.retry(message) or batch.reject(message)"
        )
    return result


def _report_of_failure(result: Any) -> str:
    """Name what reports a failure to Lambda, Dapr or an HTTP client; "" if nothing does."""
    if isinstance(result, dict):
        if result.get("batchItemFailures"):
            return "batchItemFailures"
        if result.keys() == {"status"} and result["status"] in ("RETRY", "DROP"):
            return f"the status {result['status']}"
        if result.keys() == {"statuses"}:
            return "statuses"
        return ""
    from portable_fn.http import Response

    return f"a Response {result.status}" if isinstance(result, Response) and result.status >= 400 else ""


def printable_id(event: Event[Any]) -> str:
    """Return the event's id for a log: at most 256 characters, and a sender's line break is escaped."""
    id: Any = event.id
    return id if id.isprintable() and len(id) <= 256 else ascii(id[:256])


def retry_untaken(error: DecodeError, context: Context, untaken: Untaken, event: Event[Any] | None = None) -> Retry:
    """Return the retry of an event that no function takes or that can't be read. Note it for the batch's one log line."""
    untaken.append((error, "" if event is None else printable_id(event)))
    retry = Retry(type(error).__name__)
    retry.error = error
    retry.traceback = error.__traceback__ if context.raises_errors else None
    return retry


def log_untaken(untaken: Untaken, count: int, context: Context) -> None:
    """Log the events of a batch that no function takes or that can't be read."""
    error, id = untaken[0]
    if len(untaken) > 1:
        what = f"{len(untaken)} of {count} events are for no function, or can't be read, and are retried; the first"
        what += f", {id}" if id else ""
    elif id:
        what = f"{id} is for no function, and is retried"
    else:
        what = "an event can't be read, and is retried"
    _log_error(error, what, context)


def log_late(outcomes: Sequence[Outcome | None], late: Retry, longest: float, context: Context) -> None:
    """Log how many events are retried unhandled because time ran short."""
    context.log.warning(
        "%d of %d events are returned unhandled, to be retried: %.3f s are left of the invocation's time, the next event may take %.3f s",
        sum(outcome is late for outcome in outcomes), len(outcomes), context.remaining(), longest,
    )  # fmt: skip


def to_retry(error: BaseException, context: Context, what: str) -> Retry:
    """Log the error and return the retry for it.

    The error's frames are dropped: a handler may raise the same error object often.
    """
    # Of a group of HTTPErrors, a task's caller sees one.
    meaning = meant(error)
    retry = Retry(type(error).__name__)
    retry.error = meaning
    if not _log_error(error, what, context):
        retry.traceback = meaning.__traceback__
    error.__traceback__ = meaning.__traceback__ = None
    return retry


def _log_error(error: BaseException, what: str, context: Context) -> bool:
    """Log the error, with its traceback unless it is raised to the provider, which logs that. Return whether it was logged."""
    # Errors that stop an iteration can't be raised everywhere.
    is_raised = isinstance(error, Exception) and not isinstance(error, (StopIteration, StopAsyncIteration))
    if context.raises_errors and is_raised:
        context.log.error("%s: %s", what, _last_line(error))
        return False
    context.log.error("%s", what, exc_info=error)
    return True


def _last_line(error: BaseException) -> str:
    """Return the last line of the error's traceback."""
    try:
        message = str(error)
    except Exception:
        message = "<exception str() failed>"
    return f"{type(error).__name__}: {message}" if message else type(error).__name__
