"""A neutral event through a provider's real shapes and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from portable_fn.http import Request
from portable_fn.pairs import Headers
from portable_fn.providers import adapter
from portable_fn.record import Record
from portable_fn.testing.loop import outside


class Answer(Record):
    """What the caller receives: `status`, `headers` (every Set-Cookie among them), the whole `body`, and its `chunks`."""

    _fields = ("status", "headers", "body", "chunks")
    __slots__ = _fields

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


def exchange(targets: tuple[object, ...], event: Request[Any], to: str, via: str | None = None) -> Exchange:
    """The event on its way through the provider's real shapes; ValueError for a service that the provider doesn't have."""
    simulate = adapter(to, "simulate")
    if via is not None and via not in simulate.SERVICES:
        raise ValueError(f"{to} has no {via!r}; possible are {', '.join(simulate.SERVICES)}")
    made: Exchange = simulate.exchange(targets, event, via or simulate.SERVICES[0])
    return made


def deliver(handler: object, event: Request[Any], *, to: str = "aws", via: str | None = None) -> Answer:
    """Sends the event to the handler as the provider would, and gives the answer as its caller would receive it.

    `handler` is a portable function or a module of them, `to` is aws, gcp, azure, cloudflare or asgi, `via` the provider's
    service where it has several, such as "rest_api". In a running event loop, such as an async test's, the handler runs in
    another thread; RuntimeError in an async handler that was itself called by `deliver`.
    """
    sent = exchange((handler,), event, to, via)
    return sent.answer(outside(sent.invoke))
