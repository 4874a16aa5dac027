"""What functions-framework hands over: only what we read. Imported by type checkers alone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import IO, Any, Protocol


class FlaskRequest(Protocol):
    """The request of Flask 3 under gunicorn, with its WSGI environ (PEP 3333)."""

    environ: Mapping[str, Any]
    content_length: int | None
    stream: IO[bytes]

    def get_data(self) -> bytes: ...


class StarletteRequest(Protocol):
    """The request of Starlette 1 under uvicorn, `functions-framework --asgi`."""

    scope: Mapping[str, Any]

    @property
    def receive(self) -> Receive: ...


Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
# What Starlette takes as a response.
Answer = Callable[[Mapping[str, Any], Receive, Send], Awaitable[None]]


class SDKEvent(Protocol):
    """The CloudEvents SDK's event, 1.12 and 2.2, which functions-framework hands to a function that it runs as `cloudevent`."""

    def get_attributes(self) -> Mapping[str, Any]: ...
    def get_data(self) -> Any: ...


class BackgroundContext(Protocol):
    """functions-framework's context of a first-generation event, for a function that it runs as `event`."""

    event_id: str
    event_type: str
    timestamp: str
    resource: Mapping[str, str] | str
