"""What an attacker found: in pools of threads, answers with many cookies, redrives and packed records."""

from __future__ import annotations

import asyncio
import threading
from contextvars import copy_context
from typing import Any

import pytest

from portable_fn import ConfigurationError, Message, PortableError, Request, Response, on, portable
from portable_fn.adapter.threads import MOST, _Threads
from portable_fn.cli.redrive import LEFT, SENT, redriven
from portable_fn.testing import deliver, fake
from portable_fn_aws.events.packed import MAX_MESSAGES, _Aggregate
from portable_fn_azure import entry as azure_entry


def test_threads_that_cannot_be_started_take_no_place_in_the_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = _Threads()

    def no_more(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    async def put() -> Any:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        pool.put((loop, future, copy_context(), threading.get_ident, ()))
        return await asyncio.wait_for(future, 5)

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", no_more)
        for _ in range(MOST + 1):
            with pytest.raises(RuntimeError, match="can't start new thread"):
                asyncio.run(put())
    try:
        assert None is asyncio.run(put())[0]
        with monkeypatch.context() as patch:
            # The only thread does the work.
            patch.setattr(threading.Thread, "start", no_more)
            assert None is asyncio.run(put())[0]
    finally:
        pool.finish()


@pytest.mark.slow
@pytest.mark.parametrize("via", ["http_api", "rest_api", "alb", "alb_multi_value"])
def test_an_answer_of_too_many_cookies_is_a_problem_document(via: str) -> None:
    @portable(on.http("GET", "/"))
    def baker(request: Request) -> Response:
        return Response(200, cookies={f"c{number}": "a" * 3000 for number in range(2500)})

    answer = deliver(baker, fake.request("GET", "/"), to="aws", via=via)

    assert (500, "application/problem+json") == (answer.status, answer.headers["content-type"])


def test_dead_letters_have_a_queue_that_azures_host_does_not_use() -> None:
    @portable(on.queue("orders", dead_letter="orders-poison"))
    def ship(order: Message) -> None: ...

    with pytest.raises(ConfigurationError, match="use another name"):
        azure_entry(ship)


class Letters:
    """Three dead letters. The first one's subscription is gone."""

    def __init__(self) -> None:
        self.left = [fake.message({}, id=id) for id in ("1", "2", "3")]
        self.sent: list[str] = []

    def receive(self) -> list[Message[Any]]:
        received, self.left = self.left, []
        return received

    def event(self, letter: Message[Any]) -> Message[Any]:
        return letter

    def destination(self, letter: Message[Any]) -> str:
        if letter.id == "1":
            raise PortableError("Pub/Sub answers 404")
        return "orders"

    def send(self, letter: Message[Any], event: Any, to: str) -> None:
        self.sent.append(letter.id)

    def delete(self, letter: Message[Any]) -> None: ...

    def release(self, letters: Any) -> None: ...


def test_a_letter_whose_place_is_gone_is_left_and_holds_up_no_other() -> None:
    letters = Letters()

    result = list(redriven(letters, None, None, False))

    assert [LEFT, SENT, SENT] == [one.outcome for one in result]
    assert ["2", "3"] == letters.sent


def test_a_record_of_too_many_messages_is_read_no_further_than_to_know_that() -> None:
    one = b"\x1a\x04\x08\x00\x1a\x00"
    data = b"\xf3\x89\x9a\xc2" + b"\x0a\x01k" + one * (MAX_MESSAGES + 50_000)
    outer: Any = None

    record = _Aggregate(outer, data, len(data))

    assert MAX_MESSAGES + 1 == record.count == len(record._messages)
    with pytest.raises(ValueError, match="more keys than messages"):
        _Aggregate(
            outer, b"\xf3\x89\x9a\xc2" + b"\x0a\x01k" * (2 * MAX_MESSAGES + 1) + one, 4 + 3 * (2 * MAX_MESSAGES + 1) + 6
        )
