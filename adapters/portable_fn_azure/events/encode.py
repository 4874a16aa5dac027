"""Encode outcomes for Azure's host."""

from __future__ import annotations

from portable_fn.errors import EncodeError
from portable_fn.outcomes import Done, Retry, to_raise

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from portable_fn.outcomes import Outcome, Reject


def invocation(outcomes: Sequence[Outcome]) -> None:
    """Nothing where all is done; where something is to come again, raises what was raised for the first of it.

    The host knows an invocation as done or failed, for all that came with it.
    """
    for outcome in outcomes:
        if isinstance(outcome, Retry):
            raise _raised(outcome)


def activity(outcome: Outcome) -> Any:
    """A Durable activity's answer, as plain values; raises what the handler raised, whose name and message the caller sees."""
    if not isinstance(outcome, Done):
        raise _raised(outcome)
    from portable_fn.data import parse_json, to_json

    try:
        return parse_json(to_json(outcome.result))
    except (TypeError, ValueError, RecursionError) as exc:
        raise EncodeError(f"a task's result is a JSON value, not a {type(outcome.result).__name__}") from exc


def _raised(outcome: Retry | Reject) -> Exception:
    """What the host is told: the handler's own error where the worker can pass it on.

    One that is no Exception would leave the invocation unanswered, or end the worker, and a Future takes no StopIteration.
    """
    cause = outcome.error
    if isinstance(cause, Exception) and not isinstance(cause, (StopIteration, StopAsyncIteration)):
        return to_raise(cause, outcome.traceback)
    return to_raise(outcome, outcome.traceback)
