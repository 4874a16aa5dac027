"""The outcome of each event, and what the log says."""

from __future__ import annotations

from typing import Any

import pytest

from portable_fn import (
    Batch,
    DecodeError,
    EncodeError,
    Event,
    Message,
    Reject,
    Retry,
    on,
    portable,
)
from portable_fn.outcomes import Done
from portable_fn.testing import fake
from tests.core.batches import (
    act,
    calls,
    each,
    each_async,
    for_others,
    handled,
    messages,
    outcomes,
    takes_batches,
    takes_rejects,
    three_at_once,
    whole,
    whole_async,
    with_dead_letter,
)


@pytest.fixture(autouse=True)
def _nothing_called() -> None:
    calls.clear()


# The log, and the contents of each outcome


class Odd:
    """An awaitable that can't be closed."""

    def __await__(self) -> Any:
        yield


def fell(*words: str, by: type[BaseException] | None = None) -> tuple[str, tuple[str, ...], type[BaseException] | None]:
    return "ERROR", words, by


def warned(*words: str) -> tuple[str, tuple[str, ...], None]:
    return "WARNING", words, None


UNTAKEN = warned("m-1 is retried", "rejected")


@portable(on.queue("orders", dead_letter="dead"))
async def sends_later(event: Message[Any]) -> None:
    act(event)


def cannot_send(event: Any, reject: Reject, dead_letter: str, seconds: float | None) -> bool:
    raise OSError("no network")


def sends(event: Any, reject: Reject, dead_letter: str, seconds: float | None) -> bool:
    return bool(event.id == "m-1" and dead_letter == "dead" and reject.why == "told to")


def sends_not(event: Any, reject: Reject, dead_letter: str, seconds: float | None) -> bool:
    return False


takes_rejects_each = portable(takes_rejects)


takes_whole = portable(takes_batches)


@portable
def whole_retries(batch: Batch[Message[Any]]) -> None:
    raise Retry("told to", after=5)


@portable
async def whole_rejects(batch: Batch[Message[Any]]) -> None:
    raise Reject("told to")


SINGLE = (each, each_async, three_at_once)


TOLD = fell("rejects m-1", "told to")


UNNAMED = ("rejects m-1: told to; it is retried", "names no dead_letter=")


RETRIED = ("retry", "told to", 5, None)


TO_RETRY = ("retry", "rejected: told to", None, Reject)


@pytest.mark.parametrize(
    ("functions", "item", "options", "outcome", "logged"),
    [
        *((one, "retry", {}, RETRIED, [warned(one.__name__, "retries m-1", "told to")]) for one in SINGLE),
        *(
            (one, "fail", {}, ("retry", "LookupError", None, LookupError), [fell(one.__name__, "m-1", by=LookupError)])
            for one in SINGLE
        ),
        *((one, "reject", {}, TO_RETRY, [fell(one.__name__, *UNNAMED)]) for one in SINGLE),
        *((one, "reject", {"rejects": True}, ("reject", "told to", None, None), [TOLD]) for one in SINGLE),
        *(
            (
                one,
                DecodeError("broken"),
                {},
                ("retry", "DecodeError", None, DecodeError),
                [fell("read", by=DecodeError)],
            )
            for one in (*SINGLE, whole)
        ),
        (
            takes_rejects_each,
            "retry",
            {},
            ("retry", "", None, None),
            [warned("takes_rejects retries m-1", "no reason")],
        ),
        (
            takes_rejects_each,
            "x",
            {},
            ("retry", "rejected: ", None, Reject),
            [fell("m-1", "no reason", "no dead_letter=")],
        ),
        (takes_whole, "retry", {}, ("retry", "", None, None), [warned("takes_batches retries the batch", "no reason")]),
        (whole_retries, 1, {}, RETRIED, [warned("whole_retries retries the batch", "told to")]),
        (whole_rejects, 1, {}, TO_RETRY, [fell("whole_rejects", *UNNAMED)]),
        (whole_rejects, 1, {"rejects": True}, ("reject", "told to", None, None), [TOLD]),
        (whole, "fail", {}, ("retry", "LookupError", None, LookupError), [fell("whole", "batch of 1", by=LookupError)]),
        *(
            (one, "reject", {"dead_letter": sends}, ("reject", "told to", None, None), [TOLD])
            for one in (with_dead_letter, sends_later)
        ),
        *(
            (one, "reject", {"dead_letter": sends_not}, TO_RETRY, [TOLD, UNTAKEN])
            for one in (with_dead_letter, sends_later)
        ),
        *(
            (
                one,
                "reject",
                {"dead_letter": cannot_send},
                TO_RETRY,
                [TOLD, fell("m-1", "dead letters dead", by=OSError), UNTAKEN],
            )
            for one in (with_dead_letter, sends_later)
        ),
        # No destination is named, or nothing sends there.
        (each, "reject", {"dead_letter": sends}, TO_RETRY, [fell(*UNNAMED)]),
        (with_dead_letter, "reject", {}, TO_RETRY, [fell("rejects m-1: told to; it is retried")]),
        *(
            (
                one,
                fake.schedule(id="m-1"),
                {},
                ("retry", "DecodeError", None, DecodeError),
                [fell("m-1", by=DecodeError)],
            )
            for one in (each, each_async, whole)
        ),
    ],
)
def test_each_outcome_and_the_log_keep_the_reason(
    functions: Any,
    item: Any,
    options: dict[str, Any],
    outcome: tuple[Any, ...],
    logged: list[Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    event = item if isinstance(item, (Event, DecodeError)) else fake.message(item, id="m-1")
    (result,) = handled(functions, [event], **options)
    error = result.error
    assert outcome == (
        type(result).__name__.lower(), result.why, getattr(result, "after", None), None if error is None else type(error),
    )  # fmt: skip
    records = [
        (record.levelname, record.exc_info and record.exc_info[0], record.getMessage()) for record in caplog.records
    ]
    assert [(level, by) for level, _, by in logged] == [(level, by) for level, by, _ in records]
    for (_, words, _), (_, _, message) in zip(logged, records, strict=True):
        assert [] == [word for word in words if word not in message], message


@pytest.mark.parametrize(
    ("id", "shown"),
    [
        ("a" * 256, "a" * 256),
        ("a" * 257, ascii("a" * 256)),
        ("1\nERROR forged", r"'1\nERROR forged'"),
        ("é", "é"),
    ],
)
def test_an_id_in_the_log_is_one_line_of_at_most_256_characters(
    id: str, shown: str, caplog: pytest.LogCaptureFixture
) -> None:
    outcomes(each, [fake.message("retry", id=id)])
    assert [f"each retries {shown}: told to"] == [record.getMessage() for record in caplog.records]


async def never() -> None: ...


async def yields_later() -> Any:
    yield


@pytest.mark.parametrize(
    ("answer", "name", "takes_batch"),
    [
        (never, "coroutine", False),
        (Odd, "Odd", False),
        (yields_later, "async_generator", False),
        (yields_later, "async_generator", True),
        (lambda: (one for one in "a"), "generator", False),
        (lambda: (one for one in "a"), "generator", True),
        (never, "coroutine", None),
    ],
)
def test_work_that_nobody_would_do_is_a_failure_that_says_so(answer: Any, name: str, takes_batch: bool | None) -> None:
    work: list[Any] = []

    def one(event: Message[Any]) -> Any:
        work.append(answer())
        return work[0]

    def batch(events: Batch[Message[Any]]) -> Any:
        return one(events[0])

    async def batch_later(events: Batch[Message[Any]]) -> Any:
        return one(events[0])

    handler: Any = {True: batch, False: one, None: batch_later}[takes_batch]
    (result,) = handled(portable(handler), messages(1))
    assert ("retry", EncodeError) == (type(result).__name__.lower(), type(result.error))
    assert [] == [word for word in (name, "async def", "functools.wraps") if word not in str(result.error)]
    # It is closed, so Python doesn't warn of work that was never awaited.
    assert getattr(work[0], "cr_frame", None) is getattr(work[0], "gi_frame", None) is None


@pytest.mark.parametrize("function", [each, each_async, three_at_once, whole, whole_async, (for_others, whole)])
def test_without_events_there_are_no_outcomes(function: Any) -> None:
    assert [] == outcomes(function, [])


@pytest.mark.parametrize("concurrency", [1, 2])
@pytest.mark.parametrize(
    ("results", "outcome"),
    [
        ((None, None), ("done", None)),
        (("one", None), ("done", None)),
        ((None, Reject("no")), ("reject", "no")),
        ((Reject("no"), None), ("reject", "no")),
        ((Reject("no"), Retry("again")), ("retry", "again")),
        ((Retry("again"), Reject("no")), ("retry", "again")),
        ((Retry("one"), Retry("two")), ("retry", "one")),
    ],
)
@pytest.mark.parametrize("is_async", [False, True])
def test_of_several_functions_a_retry_wins_over_a_rejection_and_that_over_success(
    results: tuple[Any, Any], outcome: tuple[str, Any], is_async: bool, concurrency: int
) -> None:
    def answers(result: Any) -> Any:
        def now(event: Message[Any]) -> Any:
            calls.append(event.id)
            if isinstance(result, BaseException):
                raise result
            return result

        async def later(event: Message[Any]) -> Any:
            return now(event)

        return portable(on.queue("orders"), concurrency=concurrency if is_async else 1)(later if is_async else now)

    (found,) = handled(tuple(map(answers, results)), messages(1), rejects=True)
    assert outcome == (type(found).__name__.lower(), found.result if isinstance(found, Done) else found.why)
    assert ["0", "0"] == calls


@pytest.mark.parametrize("is_async", [False, True])
def test_the_result_is_that_of_the_one_function_that_was_called(is_async: bool) -> None:
    def now(event: Message[Any]) -> Any:
        return event.data

    async def later(event: Message[Any]) -> Any:
        return event.data

    function = portable(on.queue("orders"))(later if is_async else now)
    for functions in ((function,), (function, for_others)):
        assert [Done("a"), Done()] == handled(functions, messages("a", None))
