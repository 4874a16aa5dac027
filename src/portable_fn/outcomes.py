"""The outcomes of an event: acknowledged, retried or rejected."""

from __future__ import annotations

from _thread import _local

from portable_fn.errors import DecodeError, HTTPError, PortableError
from portable_fn.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import timedelta
    from types import TracebackType
    from typing import TypeVar

    E = TypeVar("E", bound=BaseException)

__all__ = ["DONE", "Done", "Outcome", "Reject", "Retry", "check", "forget", "let_go", "meant", "to_raise"]


class Retry(PortableError):
    """Raise it in a handler to retry this event, and only this one. Any other exception retries it, too.

    Args:
        why: The reason, for the log.
        after: The delay as seconds or a timedelta. If the provider can't wait so long, it decides.

    Raises:
        ValueError: The delay is negative or isn't a number.
    """

    # Class attributes, for subclasses whose __init__ doesn't set them.
    why: str = ""
    after: float | None = None
    # The handler's error, if it isn't this outcome.
    error: BaseException | None = None
    traceback: TracebackType | None = None

    def __init__(self, why: str = "", *, after: float | timedelta | None = None) -> None:
        super().__init__(why)
        self.why = why
        self.after = after  # type: ignore[assignment]  # seconds, once it is checked
        check(self)

    @property
    def cause(self) -> BaseException:
        """The handler's error: this outcome, or the other error that led to it."""
        return self if self.error is None else self.error

    @property
    def whole_seconds(self) -> int | None:
        """The delay in whole seconds, rounded up; None if the handler sets none."""
        return None if self.after is None else -int(-self.after // 1)


class Reject(PortableError):
    """Raise it in a handler to dead-letter the event, with a reason.

    If neither the provider nor the trigger's `dead_letter` takes it, the event is retried, so that nothing is lost.
    """

    why: str = ""
    error: BaseException | None = None
    traceback: TracebackType | None = None

    def __init__(self, why: str = "") -> None:
        super().__init__(why)
        self.why = str(why)

    @property
    def cause(self) -> BaseException:
        """The handler's error: this outcome, or the other error that led to it."""
        return self if self.error is None else self.error


class Done(Record):
    """The handler returned `result`."""

    _fields = ("result",)
    __slots__ = _fields
    cause = None

    def __init__(self, result: object = None) -> None:
        self.result = result


DONE = Done()
Outcome = Done | Retry | Reject


def check(outcome: Retry | Reject) -> None:
    """Check the reason and the delay of an outcome, and make a timedelta seconds. A subclass may set anything.

    Raises:
        ValueError: The reason isn't a str, or the delay isn't a number of seconds.
    """
    name = type(outcome).__name__
    if not isinstance(outcome.why, str):
        hint = "; a delay is Retry(after=30)" if isinstance(outcome, Retry) else ""
        raise ValueError(f"{name}'s reason must be a str, not {type(outcome.why).__name__}{hint}")
    delay: object = getattr(outcome, "after", None)
    if delay is None:
        return
    total_seconds = getattr(delay, "total_seconds", None)
    after = delay if total_seconds is None else total_seconds()
    if isinstance(after, bool) or not isinstance(after, (int, float)) or not 0 <= after < 1e9:
        raise ValueError(f"{name}'s after must be a number of seconds or a timedelta, not {delay!r}: Retry(after=30)")
    if after is not delay:
        outcome.after = after  # type: ignore[union-attr]  # a Retry has it


def meant(error: BaseException) -> BaseException:
    """Return the error that decides. Of a group, as a TaskGroup raises it, that is one of its errors.

    A group of outcomes means its Retry with the longest delay, else a Reject. A group of HTTPErrors means the one with the
    highest status. If a group has any other error, the group itself is an ordinary error.
    """
    if not isinstance(error, BaseExceptionGroup):
        return error
    leaves = _leaves(error)
    if all(isinstance(leaf, HTTPError) for leaf in leaves):
        return max(leaves, key=_status)
    if all(isinstance(leaf, (Retry, Reject)) or _is_about_data(leaf) for leaf in leaves):
        return max(leaves, key=_wait)
    return error


def forget(error: BaseException) -> None:
    """Drop the frames of an error and of the errors in its group: a handler may raise the same error object often."""
    for leaf in _leaves(error):
        leaf.__traceback__ = leaf.__context__ = None
    error.__traceback__ = error.__context__ = None


def _leaves(error: BaseException) -> list[BaseException]:
    left, leaves = [error], []
    while left:
        inner = left.pop()
        if isinstance(inner, BaseExceptionGroup):
            left.extend(reversed(inner.exceptions))
        else:
            leaves.append(inner)
    return leaves


def _is_about_data(error: BaseException) -> bool:
    return isinstance(error, DecodeError) and error.event is not None


def _status(error: BaseException) -> int:
    status: object = getattr(error, "status", None)
    return status if isinstance(status, int) else 0


def _wait(error: BaseException) -> float:
    """Return the delay of a Retry, less than 0 for another error."""
    after: object = getattr(error, "after", None)
    if not isinstance(error, Retry):
        return -1
    return after if isinstance(after, (int, float)) and after == after else 0


_raised = _local()


def to_raise(error: E, traceback: TracebackType | None) -> E:
    """Return the error to raise to the provider, with its traceback. `let_go` removes it in the next invocation."""
    _raised.error = error
    return error.with_traceback(traceback)


def let_go() -> None:
    """Remove the traceback of the error that this thread's last invocation raised: a handler may raise the same error object often."""
    error: BaseException | None = getattr(_raised, "error", None)
    if error is not None:
        error.__traceback__ = _raised.error = None
