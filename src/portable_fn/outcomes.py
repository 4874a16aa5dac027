"""What becomes of an event: done, retried or rejected."""

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
    """Raise it in a handler to have the event come again, and only this one; any other exception means the same.

    `after` is how many seconds to wait, or a timedelta; where the provider can't wait so, it comes when the provider has it
    come. Raises ValueError for a delay that isn't 0 or more.
    """

    # Also of a subclass that sets none of them.
    why: str = ""
    after: float | None = None
    # What the handler raised that means a retry, if it was something else.
    error: BaseException | None = None
    traceback: TracebackType | None = None

    def __init__(self, why: str = "", *, after: float | timedelta | None = None) -> None:
        super().__init__(why)
        self.why = why
        self.after = after  # type: ignore[assignment]  # seconds, once it is checked
        check(self)

    @property
    def cause(self) -> BaseException:
        """The error that the handler raised: this outcome, or the other error that means it."""
        return self if self.error is None else self.error

    @property
    def whole_seconds(self) -> int | None:
        """The delay in whole seconds, rounded up; None if the handler sets none."""
        return None if self.after is None else -int(-self.after // 1)


class Reject(PortableError):
    """Raise it in a handler to have the event never come again: it is dead-lettered, with the reason where that can be told.

    Where it can't be dead-lettered, by the provider or to the trigger's `dead_letter`, it is retried, so that nothing is lost.
    """

    why: str = ""
    error: BaseException | None = None
    traceback: TracebackType | None = None

    def __init__(self, why: str = "") -> None:
        super().__init__(why)
        self.why = str(why)

    @property
    def cause(self) -> BaseException:
        """The error that the handler raised: this outcome, or the other error that means it."""
        return self if self.error is None else self.error


class Done(Record):
    """The handler returned, `result` is what."""

    _fields = ("result",)
    __slots__ = _fields
    cause = None

    def __init__(self, result: object = None) -> None:
        self.result = result


DONE = Done()
Outcome = Done | Retry | Reject


def check(outcome: Retry | Reject) -> None:
    """Raise ValueError if the outcome has a reason that is no text, or a delay that is none; a timedelta becomes its seconds.

    A subclass may set them as it likes.
    """
    name = type(outcome).__name__
    if not isinstance(outcome.why, str):
        hint = "; a delay is Retry(after=30)" if isinstance(outcome, Retry) else ""
        raise ValueError(f"{name}'s reason is a str, not {type(outcome.why).__name__}{hint}")
    given: object = getattr(outcome, "after", None)
    if given is None:
        return
    seconds = getattr(given, "total_seconds", None)
    after = given if seconds is None else seconds()
    if isinstance(after, bool) or not isinstance(after, (int, float)) or not 0 <= after < 1e9:
        raise ValueError(f"{name}'s after is a number of seconds or a timedelta, not {given!r}: Retry(after=30)")
    if after is not given:
        outcome.after = after  # type: ignore[union-attr]  # a Retry has it


def meant(error: BaseException) -> BaseException:
    """Return what a handler meant by what it raised: of a group, as a TaskGroup raises it, the outcome that decides.

    A group of outcomes alone means one of them. A Retry decides over a Reject, and of several the one that waits longest; of
    several HTTPErrors the one with the highest status. Beside any other error the group is an error like any other.
    """
    if not isinstance(error, BaseExceptionGroup):
        return error
    inside = _leaves(error)
    if all(isinstance(one, HTTPError) for one in inside):
        return max(inside, key=_status)
    if all(isinstance(one, (Retry, Reject)) or _is_about_data(one) for one in inside):
        return max(inside, key=_wait)
    return error


def forget(error: BaseException) -> None:
    """Let go of the frames that an outcome was raised in, of a group's too: if it was made once, it would keep them for ever."""
    for one in _leaves(error):
        one.__traceback__ = one.__context__ = None
    error.__traceback__ = error.__context__ = None


def _leaves(error: BaseException) -> list[BaseException]:
    left, found = [error], []
    while left:
        one = left.pop()
        if isinstance(one, BaseExceptionGroup):
            left.extend(reversed(one.exceptions))
        else:
            found.append(one)
    return found


def _is_about_data(error: BaseException) -> bool:
    return isinstance(error, DecodeError) and error.event is not None


def _status(error: BaseException) -> int:
    status: object = getattr(error, "status", None)
    return status if isinstance(status, int) else 0


def _wait(error: BaseException) -> float:
    """What decides among outcomes: less than 0 for no Retry."""
    after: object = getattr(error, "after", None)
    if not isinstance(error, Retry):
        return -1
    return after if isinstance(after, (int, float)) and after == after else 0


_raised = _local()


def to_raise(error: E, traceback: TracebackType | None) -> E:
    """Return the error for the provider to see, with its traceback, which `let_go` takes from it in the next invocation."""
    _raised.error = error
    return error.with_traceback(traceback)


def let_go() -> None:
    """Take the traceback from what this thread's last invocation raised, since it may be an error that was made once."""
    error: BaseException | None = getattr(_raised, "error", None)
    if error is not None:
        error.__traceback__ = _raised.error = None
