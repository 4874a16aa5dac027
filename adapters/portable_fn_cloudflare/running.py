"""Run handlers and their background work in a Worker's task. Only the handler itself cancels that task."""

from __future__ import annotations

from portable_fn.adapter.calling import finish_background

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable
    from typing import Any

    from portable_fn.context import Context


async def run_in_task(awaitable: Awaitable[Any]) -> Any:
    """Return the awaitable's result. If it cancelled the task, the cancellation ends here."""
    try:
        return await awaitable
    finally:
        from asyncio import CancelledError, current_task, sleep

        task = current_task()
        if task is not None and task.cancelling():
            # A cancellation that is still pending would lose the result.
            try:
                await sleep(0)
            except CancelledError:
                pass


async def finish_unawaited(context: Context) -> None:
    """Do the background work if the context has no waitUntil, as in tests and in some runtimes."""
    if context.has_background and getattr(context.native, "waitUntil", None) is None:
        await finish(context)


async def finish(context: Context) -> None:
    """Do the background work that the handler left; log what fails."""
    from asyncio import CancelledError

    try:
        await run_in_task(finish_background(context))
    except (CancelledError, GeneratorExit):
        # The work raised it, and it is logged.
        pass
