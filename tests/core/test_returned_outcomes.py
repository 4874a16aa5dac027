"""A returned outcome, and dropped work, is an error: no event is acknowledged by mistake."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from portable_fn import Batch, Context, HTTPError, Message, Reject, Request, Response, Retry, Task, on, portable
from portable_fn.testing import deliver, fake
from portable_fn.testing.results import Delivery

PROVIDERS = ["aws", "gcp", "azure", "cloudflare", "asgi"]


class Later(Retry):
    pass


async def gathered() -> Any:
    async def fails() -> None:
        raise ValueError("one of them")

    return await asyncio.gather(fails(), return_exceptions=True)


OUTCOMES = [
    (Retry("busy", after=30), "Retry"),
    (Reject("no"), "Reject"),
    (Later(), "Later"),
    (HTTPError(503), "HTTPError"),
    (ValueError("x"), "ValueError"),
    (KeyboardInterrupt(), "KeyboardInterrupt"),
    (Retry, "Retry"),
    ([None, Reject("no")], "Reject"),
    ((Retry(),), "Retry"),
    (asyncio.run(gathered()), "ValueError"),
]
REPORTS = [
    {"batchItemFailures": [{"itemIdentifier": "m-1"}]},
    {"status": "RETRY"},
    {"status": "DROP"},
    {"statuses": [{"entryId": "1", "status": "RETRY"}]},
    Response(500),
    Response.json({"error": "not found"}, 404),
]
ALL = [*(result for result, _ in OUTCOMES), *REPORTS]


def returning(result: Any, style: str) -> Any:
    def each(message: Message) -> Any:
        return result

    async def each_later(message: Message) -> Any:
        return result

    def whole(batch: Batch[Message]) -> Any:
        return result

    async def whole_later(batch: Batch[Message]) -> Any:
        return result

    handler: Any = {"each": each, "each later": each_later, "whole": whole, "whole later": whole_later}[style]
    return portable(on.queue("orders", dead_letter="dead"))(handler)


STYLES = pytest.mark.parametrize("style", ["each", "each later", "whole", "whole later"])


@STYLES
@pytest.mark.parametrize("result", ALL, ids=repr)
def test_a_message_whose_handler_returns_an_outcome_or_a_report_is_retried(result: Any, style: str) -> None:
    delivery = deliver(returning(result, style), [fake.message({})], to="aws")
    assert ["retried"] == delivery.outcomes
    assert delivery.error is not None
    assert "EncodeError" == delivery.error[0]
    assert "raise" in delivery.error[1]


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("result", [Retry("busy"), Reject("no"), {"batchItemFailures": [{"itemIdentifier": "m"}]}])
@STYLES
def test_no_provider_acknowledges_it(result: Any, style: str, provider: str) -> None:
    assert ["retried"] == deliver(returning(result, style), [fake.message({})], to=provider).outcomes


@pytest.mark.parametrize(("result", "name"), OUTCOMES, ids=repr)
def test_the_error_names_the_outcome_to_raise(result: Any, name: str) -> None:
    delivery = deliver(returning(result, "each"), [fake.message({})], to="aws")
    assert ("EncodeError", f"the function returned {name}, which means nothing: raise {name}") == delivery.error


@pytest.mark.parametrize(
    "result",
    [None, 1, "text", b"x", {}, {"a": 1}, {"status": "SUCCESS"}, {"status": "shipped"}, {"status": "RETRY", "n": 1},
     {"batchItemFailures": []}, [1, "x"], (), Response(204), {"error": "as data"}],
)  # fmt: skip
@STYLES
def test_any_other_result_is_done(result: Any, style: str) -> None:
    assert ["acknowledged"] == deliver(returning(result, style), [fake.message({})], to="aws").outcomes


@pytest.mark.parametrize("beside", [False, True])
def test_it_is_an_error_beside_other_functions_too(beside: bool) -> None:
    @portable(on.queue("orders"))
    def now(message: Message) -> None: ...

    @portable(on.queue("orders"))
    async def later(message: Message) -> None: ...

    functions = [returning(Retry("busy"), "each"), later if beside else now]
    assert ["retried"] == deliver(functions, [fake.message({})], to="aws").outcomes


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_task_may_return_any_json_and_no_exception(provider: str) -> None:
    @portable(on.task("work"))
    def work(task: Task) -> Any:
        return HTTPError(404) if task.data == "error" else task.data

    for result in ({"batchItemFailures": [{"itemIdentifier": "m"}]}, {"status": "RETRY"}):
        assert result == deliver(work, [fake.task(result, name="work")], to=provider).result
    delivery: Delivery = deliver(work, [fake.task("error", name="work")], to=provider)
    assert delivery.error is not None
    # Over HTTP only the log says why.
    told = [delivery.error[1], *(str(record.exc_info and record.exc_info[1]) for record in delivery.logs)]
    assert "EncodeError" in delivery.error[0] or any("raise HTTPError" in text for text in told)


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("result", [HTTPError(404), HTTPError, Retry("busy"), ValueError("x")], ids=repr)
@pytest.mark.parametrize("is_async", [False, True])
def test_an_http_function_that_returns_an_exception_has_failed(result: Any, is_async: bool, provider: str) -> None:
    def now(request: Request) -> Any:
        return result

    async def later(request: Request) -> Any:
        return result

    function = portable(on.http("GET", "/"))(later if is_async else now)
    answer = deliver(function, fake.request(), to=provider)
    assert (500, "application/problem+json") == (answer.status, answer.headers["content-type"])
    errors = [str(record.exc_info[1]) for record in answer.logs if record.exc_info]
    name = getattr(result, "__name__", type(result).__name__)
    assert [f"the handler returned {name}: raise it"] == errors


# --- middleware that drops what call_next gives ------------------------------------------------------------------------

called: list[str] = []


@pytest.fixture(autouse=True)
def _nothing_called() -> None:
    called.clear()


def drops(event: Any, ctx: Context, call_next: Any) -> Any:
    call_next(event, ctx)


def answers_itself(event: Any, ctx: Context, call_next: Any) -> Any:
    call_next(event, ctx)
    return Response(204)


def drops_and_awaits_another(event: Any, ctx: Context, call_next: Any) -> Any:
    call_next(event, ctx)

    async def another() -> Any:
        return Response(204)

    return another()


async def forgets_await(event: Any, ctx: Context, call_next: Any) -> Any:
    call_next(event, ctx)
    return Response(204)


async def returns_it_without_await(event: Any, ctx: Context, call_next: Any) -> Any:
    return call_next(event, ctx)


DROPPING = [drops, answers_itself, drops_and_awaits_another, forgets_await, returns_it_without_await]


@pytest.mark.parametrize("style", ["each", "whole"])
@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("middleware", DROPPING)
def test_middleware_that_drops_an_async_handler_has_the_message_retried(
    middleware: Any, provider: str, style: str
) -> None:
    async def each(message: Message) -> None:
        called.append(message.id)

    async def whole(batch: Batch[Message]) -> None:
        called.append("batch")

    function = portable(on.queue("orders"), use=[middleware])(each if style == "each" else whole)  # type: ignore[type-var]
    delivery = deliver(function, [fake.message({})], to=provider)
    assert (["retried"], []) == (delivery.outcomes, called)
    assert delivery.error is not None
    assert f"the middleware {middleware.__name__} " in delivery.error[1]


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("middleware", DROPPING)
def test_middleware_that_drops_an_async_handler_is_a_500_that_the_log_explains(middleware: Any, provider: str) -> None:
    @portable(on.http("GET", "/"), use=[middleware])
    async def handler(request: Request) -> str:
        called.append("handler")
        return "x"

    answer = deliver(handler, fake.request(), to=provider)
    assert (500, []) == (answer.status, called)
    errors = [str(record.exc_info[1]) for record in answer.logs if record.exc_info]
    assert 1 == len(errors)
    assert f"the middleware {middleware.__name__} " in errors[0]


def skips(event: Any, ctx: Context, call_next: Any) -> Any:
    return Response(202) if isinstance(event, Request) else None


def passes(event: Any, ctx: Context, call_next: Any) -> Any:
    return call_next(event, ctx)


def wraps(event: Any, ctx: Context, call_next: Any) -> Any:
    work = call_next(event, ctx)

    async def wrapped() -> Any:
        return await work

    return wrapped()


async def awaits(event: Any, ctx: Context, call_next: Any) -> Any:
    return await call_next(event, ctx)


async def makes_a_task(event: Any, ctx: Context, call_next: Any) -> Any:
    return await asyncio.create_task(call_next(event, ctx))


async def limits(event: Any, ctx: Context, call_next: Any) -> Any:
    return await asyncio.wait_for(call_next(event, ctx), 5)


async def tries_twice(event: Any, ctx: Context, call_next: Any) -> Any:
    try:
        return await call_next(event, ctx)
    except LookupError:
        return await call_next(event, ctx)


@pytest.mark.parametrize("middleware", [skips, passes, wraps, awaits, makes_a_task, limits, tries_twice])
def test_middleware_may_skip_await_or_wrap_the_handler_and_try_again(middleware: Any) -> None:
    async def act() -> None:
        called.append("handler")
        await asyncio.sleep(0)
        if middleware is tries_twice and len(called) % 2:
            raise LookupError

    @portable(on.http("GET", "/"), use=[middleware])
    async def handler(request: Request) -> None:
        await act()

    @portable(on.queue("orders"), use=[middleware])
    async def message(message: Message) -> None:
        await act()

    assert deliver(handler, fake.request(), to="aws").status in (202, 204)
    assert ["acknowledged"] == deliver(message, [fake.message({})], to="aws").outcomes
    assert {skips: 0, tries_twice: 4}.get(middleware, 2) == len(called)


def test_a_message_whose_handler_still_runs_in_a_task_of_the_middleware_is_not_acknowledged() -> None:
    async def leaves_it_to_a_task(event: Any, ctx: Context, call_next: Any) -> Any:
        task = asyncio.create_task(call_next(event, ctx))

        async def finish() -> None:
            await task

        ctx.background(finish())
        await asyncio.sleep(0)
        return Response(202) if isinstance(event, Request) else None

    async def waits(event: Any) -> None:
        await asyncio.sleep(0.01)

    async def message(message: Message) -> None:
        await waits(message)

    async def request(request: Request) -> None:
        await waits(request)

    function = portable(on.queue("orders"), use=[leaves_it_to_a_task])(message)
    assert ["retried"] == deliver(function, [fake.message({})], to="aws").outcomes
    handler = portable(on.http("GET", "/"), use=[leaves_it_to_a_task])(request)
    assert 202 == deliver(handler, fake.request(), to="aws").status


def test_sync_middleware_around_a_handler_that_only_returns_a_coroutine_may_not_drop_it_either() -> None:
    async def work(message: Message) -> None:
        called.append(message.id)

    class Work:
        """Only an awaitable."""

        def __await__(self) -> Any:
            yield

    for make in (work, lambda message: Work()):

        @portable(on.queue("orders"), use=[drops])
        def message(message: Message, ctx: Context, make: Any = make) -> Any:
            return make(message)

        assert ["retried"] == deliver(message, [fake.message({})], to="aws").outcomes
    assert [] == called


def test_json_of_an_answer_says_nothing_of_failure() -> None:
    @portable(on.http("GET", "/"))
    def handler(request: Request) -> Any:
        return {"batchItemFailures": [{"itemIdentifier": "m"}]}

    assert {"batchItemFailures": [{"itemIdentifier": "m"}]} == json.loads(
        deliver(handler, fake.request(), to="aws").body
    )
