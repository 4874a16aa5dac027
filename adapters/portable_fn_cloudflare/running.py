"""A request's task in a Worker, which nobody cancels but the handler itself."""

from __future__ import annotations

from portable_fn.adapter.calling import finish_background

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable
    from typing import Any

    from portable_fn.context import Context


async def run_in_task(awaitable: Awaitable[Any]) -> Any:
    """The result of the awaitable; where it has cancelled the task, that ends with it."""
    try:
        return await awaitable
    finally:
        from asyncio import CancelledError, current_task, sleep

        task = current_task()
        if task is not None and task.cancelling():
            # A cancellation that hasn't come yet would lose the result.
            try:
                await sleep(0)
            except CancelledError:
                pass


async def finish_unawaited(context: Context) -> None:
    """Do the background work if there is no waitUntil that would: a context of a test's, or of a runtime that has none."""
    if context.has_background and getattr(context.native, "waitUntil", None) is None:
        await finish(context)


async def finish(context: Context) -> None:
    """Does the background work that the handler left; whatever fails there is logged."""
    from asyncio import CancelledError

    try:
        await run_in_task(finish_background(context))
    except (CancelledError, GeneratorExit):
        # Of the work itself, and logged.
        pass
