"""Run async work on the worker's event loop."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Awaitable
    from contextvars import Context as Variables
    from typing import Any

_worker_loop: AbstractEventLoop | None = None


def on_worker_loop() -> None:
    """Remember the worker's running event loop. Awaitables of sync functions then run there too."""
    global _worker_loop
    from asyncio import get_running_loop

    own = sys.modules.get("portable_fn.adapter.loop")
    running = get_running_loop()
    # `deliver` awaits on our own loop, which doesn't run between calls.
    if own is None or running is not own._loop:
        _worker_loop = running


def run_in_thread(awaitable: Awaitable[Any], variables: Variables) -> Any:
    """Return the awaitable's result. It runs on the worker's event loop if that has awaited a function, else on ours.

    Raises:
        RuntimeError: An event loop runs in this thread, and would wait for itself.
    """
    from asyncio import _get_running_loop, run_coroutine_threadsafe

    if _worker_loop is None or not _worker_loop.is_running() or _get_running_loop() is not None:
        from portable_fn.adapter import loop

        return loop.run_in_thread(awaitable, variables)

    async def awaited() -> Any:
        return await awaitable

    return variables.run(run_coroutine_threadsafe, awaited(), _worker_loop).result()
