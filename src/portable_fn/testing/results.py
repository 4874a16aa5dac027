"""What became of a delivery, for a test to assert."""

from __future__ import annotations

from copy import copy
from typing import Literal, TypeVar

from portable_fn.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from logging import LogRecord
    from typing import Any

    from portable_fn.events import Event
    from portable_fn.pairs import Headers


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


class EventResult(Record):
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


class ResultList(list[T]):
    """A list that knows the delivery that it is of, and of which outcome its events are; equal to any list with the same in it."""

    def __init__(self, values: Iterable[T], delivery: Delivery, outcome: OutcomeWord | None = None) -> None:
        super().__init__(values)
        self.delivery = delivery
        self.outcome: OutcomeWord | None = outcome


class Delivery(Record):
    """What became of events on a provider: each one's `EventResult`, in their order.

    - `result` is what a task's caller or a CloudEvent's sender receives. `error` is the name and message that a failed task's
      caller sees; of other events those of the first error, other than Retry and Reject, that a function raised or that kept
      them from one, else None.
    - `events` are those that were delivered, `attempts` how often the source sent each of them; `acknowledged`, `retried`,
      `dead_lettered` and `lost` have the events of which that became.
    - `logs` are the records that were logged meanwhile, `background` is what ctx.background was given, `duration` how many
      seconds the invocations took.
    - `native_requests` are what the provider handed over, `native_answers` what came back for each.
    """

    _fields = ("results", "result", "error")

    def __init__(
        self,
        results: Sequence[EventResult],
        *,
        result: Any = None,
        error: tuple[str, str] | None = None,
        native_requests: Sequence[Any] = (),
        native_answers: Sequence[Any] = (),
        events: Sequence[Event[Any]] = (),
        attempts: Sequence[int] = (),
        held: Iterable[int] = (),
    ) -> None:
        self.results: list[EventResult] = ResultList(map(copy, results), self)
        for one in self.results:
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
        return ResultList((one.outcome for one in self.results), self)

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
        pairs = zip(self.events, self.results, strict=True)
        return ResultList((event for event, one in pairs if one.outcome == outcome), self, outcome)

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
    from portable_fn.adapter.dead_letter import NO_REASON

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


class Background(Record):
    """Work that a handler gave to `ctx.background`: its `name`, whether it is `done`, and the `error` that it ended with."""

    _fields = ("name", "done", "error")

    def __init__(self, name: str, done: bool = False, error: BaseException | None = None) -> None:
        self.name = name
        self.done = done
        self.error = error
