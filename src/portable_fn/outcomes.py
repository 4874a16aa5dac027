"""What becomes of an event: done, retried or rejected."""

from __future__ import annotations

from portable_fn.errors import PortableError
from portable_fn.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import timedelta


class Retry(PortableError):
    """Raise it in a handler to have the event come again, and only this one; any other exception means the same.

    `after` is how many seconds to wait, or a timedelta; where the provider can't wait so, it comes when the provider has it
    come. Raises ValueError for a delay that isn't 0 or more.
    """

    # Also of a subclass that sets none of them.
    why: str = ""
    after: float | None = None
    # What the handler raised that means a retry, where it was something else, and whether its traceback is in the log.
    error: BaseException | None = None
    is_logged = False

    def __init__(self, why: str = "", *, after: float | timedelta | None = None) -> None:
        if after is not None:
            seconds = getattr(after, "total_seconds", None)
            after = seconds() if seconds is not None else after
            if isinstance(after, bool) or not isinstance(after, (int, float)) or not 0 <= after < 1e9:
                raise ValueError(f"after is a number of seconds or a timedelta, not {after!r}: Retry(after=30)")
        if not isinstance(why, str):
            raise ValueError(f"Retry's reason is a str, not {type(why).__name__}; a delay is Retry(after=30)")
        super().__init__(why)
        self.why = why
        self.after = after


class Reject(PortableError):
    """Raise it in a handler to have the event never come again: it is dead-lettered, with the reason where that can be told.

    Where it can't be dead-lettered, by the provider or to the trigger's `dead_letter`, it is retried, so that nothing is lost.
    """

    why: str = ""
    error: BaseException | None = None
    is_logged = False

    def __init__(self, why: str = "") -> None:
        super().__init__(why)
        self.why = str(why)


class Done(Record):
    """The handler returned, `result` is what."""

    _fields = ("result",)
    __slots__ = _fields

    def __init__(self, result: object = None) -> None:
        self.result = result


DONE = Done()
Outcome = Done | Retry | Reject
