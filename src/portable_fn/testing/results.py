"""The results of a delivery, for a test to assert."""

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

__all__ = [
    "OUTCOMES",
    "Answer",
    "Background",
    "Delivery",
    "EventResult",
    "Exchange",
    "OutcomeWord",
    "Raised",
    "ResultList",
    "refused",
    "reject_reason",
]


T = TypeVar("T")

OutcomeWord = Literal["acknowledged", "retried", "dead-lettered", "lost"]


OUTCOMES: tuple[OutcomeWord, ...] = ("acknowledged", "retried", "dead-lettered", "lost")


class Answer(Record):
    """The response as its caller receives it.

    `deliver` adds `logs`, `background`, `duration`, `native_request` and `native_answer`, as for a `Delivery`.

    Attributes:
        status: The HTTP status.
        headers: The headers, with every Set-Cookie.
        body: The whole body.
        chunks: The body as it was sent, piece by piece.
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
        """Return the body as JSON."""
        from json import loads

        return loads(self.body)

    @property
    def cookies(self) -> list[str]:
        """The value of each Set-Cookie header."""
        return self.headers.get_all("set-cookie")


class EventResult(Record):
    """The outcome of one event on the provider.

    Attributes:
        outcome: "acknowledged", "retried", "dead-lettered" or "lost".
        after: The delay of a `Retry` in seconds, or None.
        waits: The delay that the provider honours; None if it uses its own.
        why: The reason of a `Reject`, or "".
    """

    _fields = ("outcome", "after", "why")

    delivery: Delivery | None = None  # the delivery it belongs to

    def __init__(self, outcome: OutcomeWord, after: float | None = None, why: str = "") -> None:
        self.outcome: OutcomeWord = outcome
        self.after = self.waits = after
        self.why = why


class ResultList(list[T]):
    """A list that remembers its delivery, and the outcome of its events if they share one; equal to a plain list."""

    def __init__(self, values: Iterable[T], delivery: Delivery, outcome: OutcomeWord | None = None) -> None:
        super().__init__(values)
        self.delivery = delivery
        self.outcome: OutcomeWord | None = outcome


class Delivery(Record):
    """The outcomes of events on a provider.

    Attributes:
        results: An `EventResult` for each event, in their order.
        result: What a task's caller or a CloudEvent's sender receives.
        error: The name and message of an error, or None. For a task, as its caller sees it. For other events, the first one other
            than `Retry` and `Reject` that a function raised, or that kept the event from its function.
        events: The delivered events.
        attempts: How often the source sent each event.
        logs: The records logged meanwhile.
        background: The work passed to `ctx.background`.
        duration: How many seconds the invocations took.
        native_requests: The payloads of the provider.
        native_answers: The answer to each.
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
        for event_result in self.results:
            event_result.delivery = self
        self.result = result
        self.error = error
        self.native_requests = list(native_requests)
        self.native_answers = list(native_answers)
        self.events = list(events)
        self.attempts = list(attempts)
        self.held = set(held)  # the indices of events not sent because they wait behind one of their key
        self.logs: list[LogRecord] = []
        self.background: list[Background] = []
        self.duration = 0.0

    @property
    def outcomes(self) -> list[OutcomeWord]:
        """The outcome of each event."""
        return ResultList((event_result.outcome for event_result in self.results), self)

    @property
    def acknowledged(self) -> list[Event[Any]]:
        """The acknowledged events."""
        return self._with_outcome("acknowledged")

    @property
    def retried(self) -> list[Event[Any]]:
        """The events that the source redelivers."""
        return self._with_outcome("retried")

    @property
    def dead_lettered(self) -> list[Event[Any]]:
        """The events that aren't redelivered, but kept as dead letters."""
        return self._with_outcome("dead-lettered")

    @property
    def lost(self) -> list[Event[Any]]:
        """The events that are neither redelivered nor kept."""
        return self._with_outcome("lost")

    def _with_outcome(self, outcome: OutcomeWord) -> list[Event[Any]]:
        pairs = zip(self.events, self.results, strict=True)
        return ResultList((event for event, result in pairs if result.outcome == outcome), self, outcome)

    @property
    def native_request(self) -> Any:
        """The provider's payload; ValueError if there are several."""
        return _single(self.native_requests, "native_requests")

    @property
    def native_answer(self) -> Any:
        """The answer to the provider; ValueError if there are several."""
        return _single(self.native_answers, "native_answers")


def _single(values: Sequence[Any], name: str) -> Any:
    if len(values) != 1:
        raise ValueError(f"there are {len(values)}: use {name}")
    return values[0]


def refused(answers: Iterable[Any]) -> tuple[str, str] | None:
    """Return title and detail of the first problem document that refuses an event before a function gets it, or None."""
    for answer in answers:
        # On Google, 429 asks for a delayed retry.
        if not isinstance(answer, Answer) or answer.status == 429 or not 400 <= answer.status < 500:
            continue
        if answer.headers.get("content-type") == "application/problem+json":
            problem = answer.json()
            return problem["title"], problem["detail"]
    return None


class Raised(Record):
    """The answer of a function that raised: the name of the error's class and its message."""

    _fields = ("name", "message")

    def __init__(self, name: str, message: str) -> None:
        self.name = name
        self.message = message

    @classmethod
    def of(cls, error: BaseException) -> Raised:
        """Describe the error, even if its `str()` raises."""
        try:
            message = str(error)
        except Exception:
            message = "<exception str() failed>"  # the words of Python's traceback module
        return cls(type(error).__name__, message)


def reject_reason(reason: str) -> str:
    """Return a dead letter's reason as the handler gave it: "" for the placeholder."""
    from portable_fn.adapter.dead_letter import NO_REASON

    return "" if reason == NO_REASON else reason


class Exchange(Record):
    """A request translated for a provider, from an adapter's `simulate.exchange`.

    Attributes:
        native_request: The provider's payload.
        invoke: Calls the entry and returns its native answer; can be called several times.
        answer: Returns what the caller receives for a native answer.
    """

    _fields = ("native_request",)

    def __init__(self, native_request: object, invoke: Callable[[], Any], answer: Callable[[Any], Answer]) -> None:
        self.native_request = native_request
        self.invoke = invoke
        self.answer = answer


class Background(Record):
    """Work that a handler passed to `ctx.background`.

    Attributes:
        name: The coroutine's name.
        done: Whether it has finished without an error.
        error: The error that ended it, or None.
    """

    _fields = ("name", "done", "error")

    def __init__(self, name: str, done: bool = False, error: BaseException | None = None) -> None:
        self.name = name
        self.done = done
        self.error = error
