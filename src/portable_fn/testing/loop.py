"""Run simulated exchanges on the process's event loop, as entries do, so that a test can share an async client."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine
from contextvars import copy_context
from typing import Any

from portable_fn.adapter import loop
from portable_fn.recording.calls import deliveries

__all__ = ["run", "run_outside_loop"]


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Return the coroutine's result, computed on the process's event loop."""
    return loop.run(coroutine, copy_context())


def run_outside_loop(invoke: Callable[[], Any]) -> Any:
    """Call `invoke` outside of any event loop: in another thread if a loop runs in this one.

    Raises:
        RuntimeError: A handler that runs this way in an event loop calls it, and would wait forever.
    """
    depth = deliveries.get()
    variables = copy_context()
    variables.run(deliveries.set, depth + 1)
    # anyio reads this variable to learn which library runs a coroutine; `anyio.to_thread` resets it in the same way.
    if (sniffio := sys.modules.get("sniffio")) is not None:
        variables.run(sniffio.current_async_library_cvar.set, None)
    if asyncio._get_running_loop() is None and not _is_in_trio():
        return variables.run(invoke)
    if depth:
        raise RuntimeError(
            "deliver can't be called from a handler that deliver runs in an event loop (an async one, or any on Cloudflare): "
            "that would block the loop forever. Use await asyncio.to_thread(deliver, …), or call the other function directly "
            "with a fake event"
        )
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1, "portable_fn.testing") as executor:
        return executor.submit(variables.run, invoke).result()


def _is_in_trio() -> bool:
    """Whether trio runs in this thread; anyio would believe that it runs the handler too."""
    trio = sys.modules.get("trio")
    return trio is not None and trio.lowlevel.in_trio_run()
