"""Sending dead letters ends before the invocation's time does."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterator
from threading import get_ident
from typing import Any

import pytest

from portable_fn import Batch, Context, Message, Reject, on, portable
from portable_fn.adapter.batch import Consumer
from portable_fn.adapter.binding import bindings
from portable_fn.adapter.dispatch import Dispatcher
from portable_fn.testing import fake
from portable_fn_aws.drivers import api
from portable_fn_aws.drivers import queue as sqs
from portable_fn_gcp.drivers import topic as pubsub


def each(message: Message) -> None:
    raise Reject("no")


async def each_later(message: Message) -> None:
    raise Reject("no")


def whole(batch: Batch[Message]) -> None:
    raise Reject("no")


async def whole_later(batch: Batch[Message]) -> None:
    raise Reject("no")


STYLES = pytest.mark.parametrize("handler", [each, each_later, whole, whole_later])


def handled(handler: Any, send_letter: Any, *, seconds: float | None, count: int = 4) -> list[str]:
    function = portable(on.queue("orders", dead_letter="dead"))(handler)
    consumer = Consumer(Dispatcher(bindings(function)), dead_letter=send_letter)
    context = Context(deadline=None if seconds is None else time.time() + seconds)
    result: Any = consumer.handle([fake.message({}, id=str(number)) for number in range(count)], context)

    async def awaited() -> Any:
        return await result

    outcomes = result if isinstance(result, list) else asyncio.run(awaited())
    return [type(outcome).__name__ for outcome in outcomes]


@STYLES
def test_a_send_gets_half_of_the_time_that_is_left(handler: Any) -> None:
    given: list[float] = []

    def send_letter(event: Any, reject: Reject, dead_letter: str, seconds: float) -> bool:
        given.append(seconds)
        return True

    assert ["Reject"] * 4 == handled(handler, send_letter, seconds=60)
    assert [30] * 4 == [pytest.approx(seconds, abs=1) for seconds in given]


@STYLES
def test_without_a_deadline_only_the_adapter_limits_sending(handler: Any) -> None:
    given: list[float | None] = []

    def send_letter(event: Any, reject: Reject, dead_letter: str, seconds: float | None) -> bool:
        given.append(seconds)
        return True

    assert ["Reject"] * 4 == handled(handler, send_letter, seconds=None)
    assert [None] * 4 == given


@pytest.mark.slow
@STYLES
def test_dead_letters_that_nobody_takes_in_time_are_retried_before_the_deadline(handler: Any) -> None:
    def send_letter(event: Any, reject: Reject, dead_letter: str, seconds: float) -> bool:
        time.sleep(seconds)
        raise OSError("silence")

    began = time.monotonic()
    assert ["Retry"] * 20 == handled(handler, send_letter, seconds=1.0, count=20)
    assert time.monotonic() - began < 1.0


@pytest.mark.parametrize("handler", [each_later, whole_later])
def test_sending_the_rejects_of_an_async_handler_holds_up_no_event_loop(handler: Any) -> None:
    threads: set[int] = set()

    def send_letter(event: Any, reject: Reject, dead_letter: str, seconds: float | None) -> bool:
        threads.add(get_ident())
        return True

    assert ["Reject"] * 4 == handled(handler, send_letter, seconds=None)
    assert get_ident() not in threads


def test_sending_rejected_and_invalid_events_of_several_async_handlers_blocks_no_event_loop() -> None:
    threads: list[int] = []

    def send_letter(event: Any, reject: Reject, dead_letter: str, seconds: float | None) -> bool:
        threads.append(get_ident())
        return True

    async def typed(batch: Batch[Message[int]]) -> None: ...

    rejecting = portable(on.queue("orders", dead_letter="dead"))(each_later)
    beside = portable(on.queue("others"))(whole_later)
    invalid = portable(on.queue("orders", dead_letter="dead"))(typed)
    for functions in ((rejecting, beside), (invalid,)):
        consumer = Consumer(Dispatcher(bindings(*functions)), dead_letter=send_letter)
        (outcome,) = asyncio.run(consumer.handle_in_loop([fake.message("text")], Context()))
        assert isinstance(outcome, Reject)
    assert 2 == len(threads)
    assert get_ident() not in threads


@pytest.fixture
def silent() -> Iterator[str]:
    """Return the address of a server that accepts and never answers."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(50)
        yield f"127.0.0.1:{listening.getsockname()[1]}"


def test_sqs_that_is_silent_costs_no_more_than_the_time_given(silent: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", f"http://{silent}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    began = time.monotonic()
    with pytest.raises(api.SQSError):
        sqs.dead_letter(fake.message({}), Reject("no"), "dead", "arn:aws:lambda:eu-central-1:1:function:f", 0.3)
    assert 0.2 < time.monotonic() - began < 2


@pytest.mark.parametrize("emulated", [True, False], ids=["Pub/Sub", "the metadata server"])
def test_google_that_is_silent_costs_no_more_than_the_time_given(
    emulated: bool, silent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GCE_METADATA_HOST", silent)
    monkeypatch.setattr(pubsub.api, "_access", ("", 0.0))
    if emulated:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", silent)
    else:
        monkeypatch.delenv("PUBSUB_EMULATOR_HOST", raising=False)
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        pubsub.dead_letter(fake.message({}), Reject("no"), "projects/p/topics/dead", 0.3)
    assert 0.2 < time.monotonic() - began < 2
