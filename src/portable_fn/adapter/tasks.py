"""Decode a task from a POST: JSON in, JSON out."""

from __future__ import annotations

from portable_fn.data import read_json
from portable_fn.errors import DecodeError
from portable_fn.events import Task

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import datetime
    from typing import Any

    from portable_fn.http import Request

__all__ = ["posted_task"]


def posted_task(request: Request[Any], name: str, time: datetime | None = None) -> Task[Any]:
    """Return the task whose input is the request's JSON body. No service delivers it, so its id is the request's.

    Raises:
        DecodeError: The body isn't JSON.
    """
    try:
        value = read_json(request.body) if request.body else None
    except ValueError as exc:
        raise DecodeError(f"the input of task {name!r} isn't JSON: {exc}") from exc
    return Task(request.id, request.source, value, name=name, time=time, carrier=request.headers, native=request)
