"""Call a simulated Worker with batches of messages."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from portable_fn import (
    DecodeError,
    Message,
    Task,
    on,
    portable,
)
from portable_fn.testing.loop import run
from portable_fn_cloudflare.entry import worker
from portable_fn_cloudflare.events import decode as events
from portable_fn_cloudflare.simulate import events as simulate_events
from portable_fn_cloudflare.simulate.javascript import (
    FFI,
    JS,
    BindingWrapper,
    Env,
    ExecutionContext,
    WorkerEntrypoint,
    python_from_rpc,
)

NOON = datetime(2026, 3, 4, 12, 0, 0, 5000, tzinfo=UTC)


class LaterWrapper:
    """A wrapper as a later SDK may have it: what it wraps is nobody's business."""

    def __init__(self, wrapped: Any) -> None:
        self.__wrapped = wrapped

    def __getattr__(self, name: str) -> Any:
        value = getattr(self.__wrapped, name)
        if isinstance(value, list):
            return [LaterWrapper(one) for one in value]
        return value if callable(value) else python_from_rpc(value)


WRAPPERS: dict[str, Callable[[Any], Any]] = {
    "raw": lambda batch: batch,
    "SDK 1.9.5": BindingWrapper,
    "a later SDK": LaterWrapper,
}


def batch_of(*bodies: Any, queue: str = "orders") -> simulate_events.MessageBatch:
    messages = [simulate_events.QueueMessage(f"m{number}", NOON, number, body) for number, body in enumerate(bodies, 1)]
    return simulate_events.MessageBatch(queue, messages)


def decoded(batch: Any) -> list[Message[Any] | DecodeError]:
    return events.messages(batch, FFI)[1]


def call(
    targets: tuple[object, ...],
    batch: simulate_events.MessageBatch,
    wrap: Callable[[Any], Any] = BindingWrapper,
    **env: Any,
) -> dict[str, Any]:
    """What workerd says of the batch."""
    instance = worker(targets, WorkerEntrypoint, JS, FFI)(ExecutionContext(), Env(env))
    wrapped = SimpleNamespace(queue=lambda _, *rest: instance.queue(wrap(batch), *rest))
    return run(batch.call(wrapped, wrapped=False))  # type: ignore[no-any-return]  # workerd's words


NOTIFICATION = {
    "account": "3f4b7e3dcab231cbfdaa90a6a28bd548",
    "action": "PutObject",
    "bucket": "my-bucket",
    "object": {"key": "my new+object%20.png", "size": 65536, "eTag": "c846ff7a18f28c2e262116d6e8719ef0"},
    "eventTime": "2024-05-24T19:36:44.379Z",
}


@portable(on.task("resize-image"))
def resize(event: Task[Any]) -> Any:
    return event.data


@portable
def double(event: Task[Any]) -> Any:
    return event.data * 2
