"""Run simulated exchanges on the process's event loop, as the entries do, so that a client works across providers."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine
from contextvars import copy_context
from typing import Any

from portable_fn.adapter import loop
from portable_fn.recording.calls import deliveries


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Return the coroutine's result, computed on the process's event loop."""
    return loop.run(coroutine, copy_context())


def outside(invoke: Callable[[], Any]) -> Any:
    """What `invoke` gives, which is called where no event loop runs: in a thread of its own where one runs here.

    Raises RuntimeError in a handler that is itself called so in an event loop, which would wait for ever.
    """
    depth = deliveries.get()
    variables = copy_context()
    variables.run(deliveries.set, depth + 1)
    # What anyio takes for the library that runs a coroutine, before it looks; `anyio.to_thread` does the same.
    if (sniffio := sys.modules.get("sniffio")) is not None:
        variables.run(sniffio.current_async_library_cvar.set, None)
    if asyncio._get_running_loop() is None and not _is_in_trio():
        return variables.run(invoke)
    if depth:
        raise RuntimeError(
            "a handler that deliver calls in an event loop, as every async one and on Cloudflare also a sync one, can't call "
            "deliver, for which that loop would have to wait: await asyncio.to_thread(deliver, …), or call the other function "
            "itself, with a fake event"
        )
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1, "portable_fn.testing") as executor:
        return executor.submit(variables.run, invoke).result()


def _is_in_trio() -> bool:
    """Whether trio runs in this thread, which anyio would take for what runs a handler too."""
    trio = sys.modules.get("trio")
    return trio is not None and trio.lowlevel.in_trio_run()
