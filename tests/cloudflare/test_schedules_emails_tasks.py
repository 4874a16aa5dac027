"""Read schedules, emails and RPC calls, and answer them."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from portable_fn import (
    DecodeError,
    Message,
    Reject,
    Retry,
    ScheduleEvent,
    Task,
    on,
    portable,
)
from portable_fn.testing import deliver, fake
from portable_fn.testing.loop import run
from portable_fn.testing.results import Delivery, EventResult
from portable_fn_cloudflare.entry import worker
from portable_fn_cloudflare.events import decode as events
from portable_fn_cloudflare.simulate import events as simulate_events
from portable_fn_cloudflare.simulate.javascript import (
    FFI,
    JS,
    Env,
    ExecutionContext,
    JsException,
    WorkerEntrypoint,
    javascript,
)
from tests.cloudflare.calls import NOON, double

# Schedules


def test_each_schedule_calls_the_function_with_its_expression() -> None:
    seen = []

    @portable(on.schedule("0  3 * * *"))
    def night(event: ScheduleEvent[Any]) -> None:
        seen.append(("night", event.id, event.time))

    @portable(on.schedule("0 12 * * *"))
    async def day(event: ScheduleEvent[Any]) -> None:
        seen.append(("day", event.id, event.time))

    for cron in ("0 3 * * *", "0 12 * * *"):
        delivery = deliver((night, day), fake.schedule(cron=cron, at=NOON), to="cloudflare")
        assert [EventResult("acknowledged")] == delivery.results
    assert [("night", "0 3 * * *@1772625600005", NOON), ("day", "0 12 * * *@1772625600005", NOON)] == seen


@pytest.mark.parametrize(
    ("raised", "outcome"),
    [(LookupError("no"), "retried"), (Retry("no"), "retried"), (SystemExit("no"), "retried"), (Reject("no"), "dead-lettered")],
)  # fmt: skip
def test_a_schedule_that_fails_is_an_exception(raised: BaseException, outcome: str) -> None:
    @portable(on.schedule("0 3 * * *"))
    def failing(event: ScheduleEvent[Any]) -> None:
        raise raised

    assert [outcome] == deliver(failing, fake.schedule(cron="0 3 * * *"), to="cloudflare").outcomes


@pytest.mark.parametrize(("cron", "scheduled"), [(None, 1), ("* * * * *", None), ("* * * * *", "noon"), (7, 1)])
def test_a_schedule_that_cannot_be_read_is_an_error(cron: Any, scheduled: Any) -> None:
    with pytest.raises(DecodeError, match="a schedule can't be read"):
        events.schedule(SimpleNamespace(cron=cron, scheduledTime=scheduled))  # type: ignore[arg-type]


# Emails


def mailed(*headers: tuple[str, str], **fields: Any) -> events.Email:
    lines = [("message-id", " <1@example.com> "), *headers]
    return events.email({"from": "ada@example.com", "to": "orders@example.com", **fields}, lines, b"raw \xff")


def test_an_email_is_a_message() -> None:
    email = mailed(("date", "Wed, 04 Mar 2026 13:00:00 +0100"), ("subject", "=?utf-8?b?Wm/Dqw==?= writes"))
    assert ("<1@example.com>", "orders@example.com", "orders@example.com", b"raw \xff", "Zoë writes", b"raw \xff") == (
        email.id,
        email.source,
        email.channel,
        email.body,
        email.subject,
        email.data,
    )
    assert datetime(2026, 3, 4, 12, tzinfo=UTC) == email.time
    assert ("<ada@example.com>", None, None) == (email.attributes["return-path"], email.attempt, email.key)
    assert [] == events.inside(email)


def test_a_sender_cannot_forge_the_return_path() -> None:
    assert "<ada@example.com>" == mailed(("return-path", "<boss@example.com>")).attributes["return-path"]


@pytest.mark.parametrize("date", ["", "noon", "Wed, 99 Mar 2026 13:00:00 +0100", "Wed, 04 Mar 99999 13:00:00 +0100"])
def test_an_email_with_an_invalid_date_has_no_time(date: str) -> None:
    assert None is mailed(("date", date)).time
    assert None is mailed().time


def test_a_date_without_a_zone_is_in_utc() -> None:
    assert datetime(2026, 3, 4, 13, tzinfo=UTC) == mailed(("date", "Wed, 04 Mar 2026 13:00:00 -0000")).time


@pytest.mark.parametrize("subject", ["=?utf-8?b?!!?=", "=?nowhere?q?a?=", "=?utf-8?q?=ff?=", "=?=?=?"])
def test_a_subject_that_cannot_be_decoded_stays_as_text(subject: str) -> None:
    email = mailed(("subject", subject))
    with suppress(DecodeError):
        assert isinstance(email.subject, str)


def test_an_email_without_an_id_is_refused_and_reaches_no_function() -> None:
    seen = []

    @portable
    def inbox(message: Message[Any]) -> None:
        seen.append(message.id)

    for id in ("", " "):
        (answer,) = deliver(inbox, fake.message({}, id=id), to="cloudflare", via="email").native_answers
        assert "the email has no Message-ID" in answer.message
    assert [] == seen


@pytest.mark.parametrize(
    ("raised", "settled"),
    [
        (Reject("no such mailbox"), EventResult("dead-lettered", why="no such mailbox")),
        (Reject(), EventResult("dead-lettered", why="rejected")),
        (LookupError("no"), EventResult("retried")),
        (SystemExit("no"), EventResult("retried")),
    ],
)
def test_the_outcome_of_an_email(raised: BaseException, settled: EventResult) -> None:
    @portable(on.queue("inbox@example.com"))
    async def inbox(message: Message[Any]) -> None:
        raise raised

    sent = fake.message({}, channel="inbox@example.com")
    assert [settled] == deliver(inbox, sent, to="cloudflare", via="email").results


def test_an_email_that_is_too_large_or_breaks_off_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    @portable
    def inbox(message: Message[Any]) -> None: ...

    monkeypatch.setattr("portable_fn_cloudflare.events.entry.MAX_EMAIL", 5000)
    sent = fake.message(body=b"x" * 5001, content_type="message/rfc822")
    (answer,) = deliver(inbox, sent, to="cloudflare", via="email").native_answers
    assert "the email is over 5000 bytes" in answer.message

    class Broken:
        async def __aiter__(self) -> Any:
            raise JsException("Network connection lost.")
            yield

    native = simulate_events.EmailMessage(sent)
    native.raw = Broken()  # type: ignore[assignment]
    instance = worker((inbox,), WorkerEntrypoint, JS, FFI)(ExecutionContext(), Env({}))
    with pytest.raises(DecodeError, match="an email can't be read: JsException"):
        run(native.call(instance, wrapped=True))


# RPC


def test_the_arguments_of_a_method_are_the_input() -> None:
    inputs = [
        ((), {}, None),
        ((1,), {}, 1),
        ((None,), {}, None),
        ((1, "a", None), {}, [1, "a", None]),
        (([1, 2],), {}, [1, 2]),
        ((), {"width": 7}, {"width": 7}),
        ((1,), {"width": 7}, [1, {"width": 7}]),
        ((memoryview(b"ab"),), {}, b"ab"),
        (({"at": NOON.replace(tzinfo=None)},), {}, {"at": NOON}),
        ((javascript(NOON),), {}, NOON),
        ((javascript({"n": None}),), {}, {"n": None}),
    ]
    for args, by_name, expected in inputs:
        task = events.task("double", args, by_name, "1", FFI)
        assert (expected, "double", "1", "rpc") == (task.data, task.name, task.id, task.type)


@pytest.mark.parametrize("argument", [lambda: None, object(), float("nan"), re.compile("a")])
def test_an_argument_that_cannot_be_copied_is_an_error_to_the_caller(argument: Any) -> None:
    task = fake.task(argument, name="double")
    error = deliver(double, task, to="cloudflare").error
    assert error is not None
    assert "DecodeError" == error[0]


def test_a_task_returns_a_value_or_an_error_with_its_name() -> None:
    assert Delivery([EventResult("acknowledged")], result=14) == deliver(
        double, fake.task(7, name="double"), to="cloudflare"
    )
    failed = deliver(double, fake.task({}, name="double"), to="cloudflare")
    assert ("TypeError", "unsupported operand type(s) for *: 'dict' and 'int'") == failed.error

    @portable(on.task("odd"))
    async def odd(event: Task[Any]) -> Any:
        if event.data == "reject":
            raise Reject("no use")
        return object()

    assert ("Reject", "no use") == deliver(odd, fake.task("reject", name="odd"), to="cloudflare").error
    error = deliver(odd, fake.task(name="odd"), to="cloudflare").error
    assert ("EncodeError", "a task returns a JSON value, not object: object has no JSON form") == error
