"""An exception object that is raised again and again keeps no frames, and logs still show where it was raised."""

from __future__ import annotations

import asyncio
import gc
import io
import logging
from collections.abc import Iterator
from logging.handlers import MemoryHandler, QueueHandler
from queue import SimpleQueue
from typing import Any
from weakref import ref

import pytest

from portable_fn import Batch, HTTPError, Message, Reject, Request, Retry, Task, on, portable
from portable_fn.testing import deliver, fake
from portable_fn_aws import entry
from portable_fn_aws.drivers import queue as sqs
from portable_fn_aws.simulate import LambdaContext, payloads

PROVIDERS = ["aws", "gcp", "azure", "cloudflare", "asgi"]


class Big:
    """An object that a frame refers to."""


held: list[ref[Big]] = []


@pytest.fixture(autouse=True)
def _nothing_held(monkeypatch: pytest.MonkeyPatch) -> None:
    held.clear()
    monkeypatch.setattr(sqs.api, "call", lambda *args, **named: {})


@pytest.fixture
def unlogged() -> Iterator[None]:
    """Don't let pytest keep log records with their tracebacks."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def looking() -> None:
    raise LookupError("inside")


def raising(error: BaseException) -> None:
    local = Big()
    held.append(ref(local))
    try:
        looking()
    except LookupError:
        raise error  # noqa: B904  # with the other one as its context


def kept(last: int = 1) -> int:
    """Return how many frames are still referred to, except those of the last call."""
    gc.collect()
    return sum(one() is not None for one in held[:-last])


async def grouped(error: BaseException) -> None:
    async def fails() -> None:
        raising(error)

    async with asyncio.TaskGroup() as group:
        group.create_task(fails())


def not_found() -> Exception:
    return HTTPError(404)


def broken() -> Exception:
    return ValueError("x")


def busy() -> Exception:
    return Retry("busy")


def never() -> Exception:
    return Reject("no")


def ends() -> BaseException:
    return SystemExit("x")


@pytest.mark.slow
@pytest.mark.usefixtures("unlogged")
@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize(
    ("style", "make"),
    [
        *(
            (style, make)
            for style in ("now", "later", "in middleware", "in the background")
            for make in (not_found, broken)
        ),
        ("in a group", not_found),
    ],
)
def test_requests_leave_no_frames_behind(style: str, make: Any, provider: str) -> None:
    error = make()

    def now(request: Request) -> None:
        raising(error)

    async def later(request: Request) -> None:
        await grouped(error) if style == "in a group" else raising(error)

    def around(event: Any, ctx: Any, call_next: Any) -> None:
        raising(error)

    async def work() -> None:
        raising(error)

    async def background(request: Request, ctx: Any) -> None:
        ctx.background(work())

    handler: Any = now if style in ("now", "in middleware") else background if style == "in the background" else later
    function = portable(on.http("GET", "/"), use=[around] if style == "in middleware" else [])(handler)
    for _ in range(5):
        deliver(function, fake.request(), to=provider)
    assert (5, 0) == (len(held), kept())
    assert error.__traceback__ is None


@pytest.mark.slow
@pytest.mark.usefixtures("unlogged")
@pytest.mark.parametrize(
    ("style", "make"),
    [
        *(
            (style, make)
            for style in ("each", "each later", "whole", "whole later", "beside another")
            for make in (broken, busy, never, ends)
        ),
        ("in a group", busy),
        ("in a group", never),
    ],
)
@pytest.mark.parametrize("count", [1, 3])
def test_messages_leave_no_frames_behind(style: str, make: Any, count: int) -> None:
    error = make()

    def each(message: Message) -> None:
        raising(error)

    async def each_later(message: Message) -> None:
        await grouped(error) if style == "in a group" else raising(error)

    def whole(batch: Batch[Message]) -> None:
        raising(error)

    async def whole_later(batch: Batch[Message]) -> None:
        raising(error)

    @portable(on.queue("orders"))
    async def another(message: Message) -> None: ...

    handlers: dict[str, Any] = {"each": each, "whole": whole, "whole later": whole_later}
    function = portable(on.queue("orders", dead_letter="dead"))(handlers.get(style, each_later))
    call = entry(function, another) if style == "beside another" else entry(function)
    [payload] = payloads([fake.message({}, id=f"m-{number}") for number in range(count)], "sqs")
    for _ in range(5):
        try:
            call(payload, LambdaContext())
        except Exception:
            pass
    assert 0 == kept(count)


@pytest.mark.slow
@pytest.mark.usefixtures("unlogged")
@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("make", [broken, busy, never])
def test_tasks_leave_no_frames_behind(make: Any, provider: str) -> None:
    error = make()

    @portable(on.task("work"))
    def work(task: Task) -> None:
        raising(error)

    for _ in range(5):
        deliver(work, [fake.task(name="work")], to=provider)
    assert (5, 0) == (len(held), kept())


def test_lambda_gets_only_the_frames_of_this_invocation() -> None:
    error = broken()

    @portable(on.task("work"))
    def work(task: Task) -> None:
        raising(error)

    call = entry(work)
    for _ in range(3):
        with pytest.raises(ValueError, match="x") as caught:
            call({}, LambdaContext())
        names = [one.name for one in caught.traceback]
        assert (1, 1) == (names.count("work"), names.count("raising"))


@pytest.mark.parametrize("make", [broken, not_found])
def test_the_log_shows_the_raising_line_each_time(make: Any, caplog: pytest.LogCaptureFixture) -> None:
    error = make()

    @portable(on.queue("orders"))
    def message(message: Message) -> None:
        raising(error)

    for _ in range(3):
        caplog.clear()
        deliver(message, [fake.message({})], to="gcp")
        # As the error, and as the context of another error.
        assert (1, 2) == (caplog.text.count("in message"), caplog.text.count("in raising"))


def test_handlers_that_write_later_still_have_the_traceback() -> None:
    @portable(on.http("GET", "/"))
    def handler(request: Request) -> None:
        raising(broken())

    queue: SimpleQueue[logging.LogRecord] = SimpleQueue()
    stream = io.StringIO()
    queued, kept_back = QueueHandler(queue), MemoryHandler(100, target=logging.StreamHandler(stream))
    logger = logging.getLogger("portable_fn")
    for one in (queued, kept_back):
        logger.addHandler(one)
    try:
        delivery = deliver(handler, fake.request(), to="aws")
        kept_back.flush()
    finally:
        for one in (queued, kept_back):
            logger.removeHandler(one)
    assert "in raising" in str(queue.get_nowait().getMessage())
    assert "in raising" in stream.getvalue()
    [record] = [record for record in delivery.logs if record.exc_info]
    assert "in raising" in logging.Formatter().formatException(record.exc_info)  # type: ignore[arg-type]  # it has one


def test_a_delivery_still_has_the_error() -> None:
    @portable(on.queue("orders"))
    def message(message: Message) -> None:
        raising(broken())

    assert ("ValueError", "x") == deliver(message, [fake.message({})], to="aws").error
