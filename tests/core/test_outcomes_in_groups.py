"""An error that a handler raises in a TaskGroup, so inside an ExceptionGroup, means the same as alone."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from portable_fn import Batch, HTTPError, Message, Reject, Request, Retry, Task, on, portable
from portable_fn.outcomes import meant
from portable_fn.testing import deliver, fake

PROVIDERS = ["aws", "gcp", "azure", "cloudflare", "asgi"]


class Later(Retry):
    after = timedelta(seconds=40)  # type: ignore[assignment]  # which becomes its seconds

    def __init__(self) -> None:
        pass


async def together(*errors: BaseException) -> None:
    """Raise all of the errors in one group."""

    async def fails(error: BaseException) -> None:
        try:
            await asyncio.sleep(0)
        finally:
            # Even if the group cancels it.
            raise error

    async with asyncio.TaskGroup() as group:
        for error in errors:
            group.create_task(fails(error))


def grouped(*errors: BaseException) -> BaseException:
    return BaseExceptionGroup("g", errors)


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize(
    ("errors", "status"),
    [
        ([HTTPError(404)], 404),
        ([HTTPError(404), HTTPError(503), HTTPError(409)], 503),
        ([grouped(HTTPError(404), grouped(HTTPError(418)))], 418),
        ([HTTPError(404), ValueError("x")], 500),
        ([ValueError("x")], 500),
        ([HTTPError(404), Retry("busy")], 500),
        ([grouped(HTTPError(404), grouped(KeyError("x")))], 500),
    ],
    ids=repr,
)
def test_http_errors_of_a_task_group_are_answered_as_alone(errors: Any, status: int, provider: str) -> None:
    @portable(on.http("GET", "/"))
    async def handler(request: Request) -> None:
        await together(*errors)

    assert status == deliver(handler, fake.request(), to=provider).status


def test_a_sync_handler_may_raise_a_group_too_and_the_document_is_the_errors_own() -> None:
    @portable(on.http("GET", "/"))
    def handler(request: Request) -> None:
        raise grouped(HTTPError(429, "slowly", headers={"retry-after": "3"}, extensions={"limit": 5}))

    answer = deliver(handler, fake.request(), to="aws")
    assert (429, "3", 5, "slowly") == (
        answer.status, answer.headers["retry-after"], answer.json()["limit"], answer.json()["detail"],
    )  # fmt: skip


MEANINGS = [
    ([Retry("busy", after=30)], ("retried", 30)),
    ([Reject("no")], ("dead-lettered", None)),
    ([Retry("busy"), Reject("no")], ("retried", None)),
    ([Reject("no"), Retry("busy", after=5), Retry("longer", after=50), Retry("short", after=1)], ("retried", 50)),
    ([grouped(Reject("no"), grouped(Reject("neither")))], ("dead-lettered", None)),
    ([grouped(Reject("no"), grouped(Retry("busy", after=7)))], ("retried", 7)),
    ([Reject("no"), ValueError("x")], ("retried", None)),
    ([Retry("busy", after=30), ValueError("x")], ("retried", None)),
    ([Reject("no"), HTTPError(404)], ("retried", None)),
    ([Later()], ("retried", 40)),
]


@pytest.mark.parametrize("style", ["each", "each of many", "whole", "beside another"])
@pytest.mark.parametrize(("errors", "outcome"), MEANINGS, ids=repr)
def test_outcomes_in_a_task_group_mean_the_same_as_alone(errors: Any, outcome: Any, style: str) -> None:
    async def each(message: Message) -> None:
        await together(*errors)

    async def whole(batch: Batch[Message]) -> None:
        await together(*errors)

    @portable(on.queue("others"))
    async def another(message: Message) -> None: ...

    concurrency = 5 if style == "each of many" else 1
    handler: Any = whole if style == "whole" else each
    function = portable(on.queue("orders", dead_letter="dead"), concurrency=concurrency)(handler)
    functions = [function, another] if style == "beside another" else [function]
    (handled,) = deliver(functions, [fake.message({}, id="m-1")], to="aws").results
    assert outcome == (handled.outcome, handled.after)


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize(
    ("error", "outcome"),
    [(Reject("no"), "dead-lettered"), (Retry("busy"), "retried"), (ValueError("x"), "retried")],
    ids=repr,
)
def test_they_are_so_on_every_provider(error: Exception, outcome: str, provider: str) -> None:
    @portable(on.queue("orders", dead_letter="dead"))
    async def message(message: Message) -> None:
        await together(error)

    assert [outcome] == deliver(message, [fake.message({})], to=provider).outcomes


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("error", [Reject("no"), Retry("busy"), HTTPError(404, "nothing")], ids=repr)
def test_a_tasks_caller_sees_an_outcome_of_a_group_as_alone(error: Exception, provider: str) -> None:
    @portable(on.task("work"))
    async def alone(task: Task) -> None:
        raise error

    @portable(on.task("work"))
    async def group(task: Task) -> None:
        await together(error)

    expected = deliver(alone, [fake.task(name="work")], to=provider)
    delivery = deliver(group, [fake.task(name="work")], to=provider)
    assert (expected.outcomes, expected.error) == (delivery.outcomes, delivery.error)


def test_a_group_with_another_error_stays_a_group() -> None:
    group = ExceptionGroup("g", [ValueError("x"), Retry("busy")])
    assert group is meant(group)
    error = ValueError("x")
    assert error is meant(error)


def test_the_log_of_a_group_with_another_error_has_all_of_it(caplog: pytest.LogCaptureFixture) -> None:
    @portable(on.queue("orders"))
    async def message(message: Message) -> None:
        await together(Retry("busy"), ValueError("the reason"))

    deliver(message, [fake.message({})], to="gcp")
    assert "ValueError: the reason" in caplog.text
    assert "test_outcomes_in_groups.py" in caplog.text
