"""A stream whose chunks are asked for one by one: how far it reads ahead, and how it ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextvars import ContextVar, copy_context
from typing import Any

import pytest

from portable_fn.adapter.streams import Driven, chunks

WHO: ContextVar[str] = ContextVar("WHO", default="nobody")


class Counting:
    """Chunks that count how many were produced, and note if they were closed."""

    def __init__(self) -> None:
        self.made = 0
        self.closed = 0

    async def endless(self) -> AsyncIterator[bytes]:
        try:
            while True:
                self.made += 1
                yield b"%d" % self.made
                await asyncio.sleep(0)
        finally:
            self.closed += 1

    async def stubborn(self) -> AsyncIterator[bytes]:
        try:
            while True:
                try:
                    self.made += 1
                    yield b"%d" % self.made
                    await asyncio.sleep(60)
                except asyncio.CancelledError:
                    pass
        finally:
            self.closed += 1

    async def fails_when_closed(self) -> AsyncIterator[bytes]:
        try:
            yield b"1"
            yield b"2"
            yield b"3"
        finally:
            self.closed += 1
            raise LookupError

    def sync_endless(self) -> Iterator[bytes]:
        try:
            while True:
                self.made += 1
                yield b"%d" % self.made
        finally:
            self.closed += 1


def test_a_stream_is_made_while_the_chunk_before_is_sent_and_no_further() -> None:
    async def main() -> None:
        counting = Counting()
        driven = Driven(counting.endless(), copy_context())
        await asyncio.sleep(0.01)
        assert 0 == counting.made
        for number in range(1, 5):
            assert b"%d" % number == await driven.next()
            await asyncio.sleep(0.01)
            assert number + 2 == counting.made
        await driven.close()
        assert 1 == counting.closed

    asyncio.run(main())


def test_an_unread_stream_is_closed() -> None:
    class File:
        closed = False

        def __aiter__(self) -> AsyncIterator[bytes]:
            raise NotImplementedError

        async def aclose(self) -> None:
            self.closed = True

    file = File()
    asyncio.run(Driven(file, copy_context()).close())
    assert file.closed


def test_a_stream_that_swallows_its_cancellation_is_closed() -> None:
    async def main() -> None:
        counting = Counting()
        driven = Driven(counting.stubborn(), copy_context())
        assert b"1" == await driven.next()
        await asyncio.sleep(0)
        await driven.close()
        assert (2, 1) == (counting.made, counting.closed)

    asyncio.run(main())


def test_the_error_of_closing_a_stream_is_raised() -> None:
    async def main() -> None:
        driven = Driven(Counting().fails_when_closed(), copy_context())
        assert b"1" == await driven.next()
        with pytest.raises(LookupError):
            await driven.close()

    asyncio.run(main())


def test_a_stream_whose_task_is_cancelled_by_itself_ends() -> None:
    async def cancels_itself() -> AsyncIterator[bytes]:
        yield b"1"
        task = asyncio.current_task()
        assert task is not None
        task.cancel()

    async def main() -> list[bytes]:
        driven = Driven(cancels_itself(), copy_context())
        return [chunk async for chunk in all_of(driven)]

    async def all_of(driven: Driven) -> AsyncIterator[bytes]:
        while chunk := await driven.next():
            yield chunk

    assert [b"1"] == asyncio.run(asyncio.wait_for(main(), 5))


def test_chunks_outside_a_loop_are_closed_when_their_reader_stops() -> None:
    with asyncio.Runner() as runner:

        def run(coroutine: Coroutine[Any, Any, Any], variables: object) -> Any:
            return runner.run(coroutine)

        for kind in ("endless", "sync_endless"):
            counting = Counting()
            reading = chunks(getattr(counting, kind)(), copy_context(), run)
            assert [b"1", b"2"] == [next(reading), next(reading)]
            reading.close()
            assert 1 == counting.closed


@pytest.mark.parametrize("begun", [False, True])
def test_an_iterable_that_cannot_be_closed_needs_no_closing(begun: bool) -> None:
    class Plain:
        def __aiter__(self) -> Any:
            return self

        async def __anext__(self) -> bytes:
            return b"x"

    async def main(stream: Any) -> None:
        driven = Driven(stream, copy_context())
        if begun:
            assert b"x" == await driven.next()
        await driven.close()

    asyncio.run(main(Plain()))
    asyncio.run(main([b"x"]))


def test_an_unread_sync_stream_is_closed() -> None:
    closed: list[str] = []

    class Closing(list[bytes]):
        def close(self) -> None:
            closed.append("closed")

    asyncio.run(Driven(Closing(), copy_context()).close())
    assert ["closed"] == closed


def test_chunks_that_are_empty_are_left_out_since_they_would_end_a_chunked_answer() -> None:
    assert [b"a", b"b"] == list(chunks(["", b"a", b"", "b"], copy_context(), lambda work, variables: None))
