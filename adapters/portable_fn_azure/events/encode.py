"""Encode outcomes for Azure's host."""

from __future__ import annotations

from portable_fn.errors import EncodeError
from portable_fn.outcomes import Done, Reject, Retry, to_raise

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from portable_fn.context import Context
    from portable_fn.outcomes import Outcome
    from portable_fn_azure.native import ServiceBusMessageActions


def acknowledge(outcomes: Sequence[Outcome]) -> None:
    """Raise the error of the first event to retry; return if there is none.

    An invocation succeeds or fails as a whole, with all its events.
    """
    for outcome in outcomes:
        if isinstance(outcome, Retry):
            raise _as_exception(outcome)


def task_result(outcome: Outcome) -> Any:
    """Return the result of a Durable activity as plain values.

    Raises:
        EncodeError: The result isn't JSON.
        Exception: The handler's error; the orchestrator sees its name and message.
    """
    if not isinstance(outcome, Done):
        raise _as_exception(outcome)
    from portable_fn.data import parse_json, to_json

    try:
        return parse_json(to_json(outcome.result))
    except (TypeError, ValueError, RecursionError) as exc:
        raise EncodeError(f"a task must return a JSON value, not a {type(outcome.result).__name__}") from exc


def settle_each(natives: Any, outcomes: Sequence[Outcome], actions: ServiceBusMessageActions, context: Context) -> None:
    """Settle each message with Service Bus.

    Raises:
        Exception: One couldn't be settled. Service Bus redelivers it when its lock ends.
    """
    failure: Exception | None = None
    for native, outcome in zip(natives if isinstance(natives, list) else [natives], outcomes, strict=False):
        try:
            if isinstance(outcome, Done):
                actions.complete(native)
            elif isinstance(outcome, Reject):
                actions.deadletter(native, deadletter_reason=outcome.why[:4096] or "rejected")
            else:
                actions.abandon(native)
        except Exception as exc:
            context.log.error("a message can't be settled", exc_info=exc)
            failure = exc
    if failure is not None:
        raise failure


def _as_exception(outcome: Retry | Reject) -> Exception:
    """Return the handler's error, or the outcome if the worker can't pass that error on.

    An error that isn't an Exception leaves the invocation unanswered, or ends the worker; a Future refuses StopIteration.
    """
    cause = outcome.cause
    if isinstance(cause, Exception) and not isinstance(cause, (StopIteration, StopAsyncIteration)):
        return to_raise(cause, outcome.traceback)
    return to_raise(outcome, outcome.traceback)
