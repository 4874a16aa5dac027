"""Describe the parts of functions-framework's objects that this package reads. Only type checkers import it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import IO, Any, Protocol


class FlaskRequest(Protocol):
    """The request of Flask 3 under gunicorn, with its WSGI environ (PEP 3333)."""

    environ: Mapping[str, Any]
    content_length: int | None
    stream: IO[bytes]

    def get_data(self) -> bytes:
        """Return the body."""
        ...


class StarletteRequest(Protocol):
    """The request of Starlette 1 under uvicorn, `functions-framework --asgi`."""

    scope: Mapping[str, Any]

    @property
    def receive(self) -> Receive:
        """The ASGI function that receives the body."""
        ...


Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
# Starlette calls a response as an ASGI application.
Answer = Callable[[Mapping[str, Any], Receive, Send], Awaitable[None]]


class SDKEvent(Protocol):
    """The event of the CloudEvents SDK 1.12 or 2.2, which functions-framework passes to a function that it runs as `cloudevent`."""

    def get_attributes(self) -> Mapping[str, Any]:
        """Return the context attributes."""
        ...

    def get_data(self) -> Any:
        """Return the payload."""
        ...


class BackgroundContext(Protocol):
    """functions-framework's context of a first-generation event, passed to a function that it runs as `event`."""

    event_id: str
    event_type: str
    timestamp: str
    resource: Mapping[str, str] | str
