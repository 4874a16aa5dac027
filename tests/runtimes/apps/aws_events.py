"""Functions for events on AWS's real runtimes."""

from __future__ import annotations

from typing import Any

from portable_fn import Message, Task, on, portable


class OutOfStock(Exception):
    """What Step Functions may catch by this name."""


@portable(on.queue("orders"), on.stream("orders"))
def each(message: Message) -> None:
    if message.data["n"] == 2:
        raise OutOfStock("no lamps")


@portable(on.task())
def work(task: Task) -> Any:
    if task.data.get("fail"):
        raise OutOfStock("no lamps")
    return {"id": task.id, "value": task.data}
