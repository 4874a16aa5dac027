"""What Azure's Python worker hands over: only what we read. Imported by type checkers alone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, Protocol


class HttpRequest(Protocol):
    """azure.functions.HttpRequest; header names are lower-case, repeated ones joined with a bare comma."""

    @property
    def method(self) -> str: ...
    @property
    def url(self) -> str: ...
    @property
    def headers(self) -> Mapping[str, str]: ...
    @property
    def route_params(self) -> Mapping[str, str]: ...
    def get_body(self) -> bytes: ...


class StreamingRequest(Protocol):
    """The Starlette request of azurefunctions-extensions-http-fastapi, whose path parameters are the route's."""

    path_params: Mapping[str, str]

    @property
    def scope(self) -> MutableMapping[str, Any]: ...
    @property
    def receive(self) -> Callable[[], Awaitable[MutableMapping[str, Any]]]: ...


class TraceContext(Protocol):
    """The trace as the host continues it: the caller's trace with the host's own span."""

    @property
    def trace_parent(self) -> str: ...
    @property
    def trace_state(self) -> str: ...


class ThreadLocalStorage(Protocol):
    """Where the worker looks up the invocation whose logs a thread writes."""

    invocation_id: str | None


class FunctionContext(Protocol):
    """The worker's context, which is no azure.functions.Context and has no deadline."""

    @property
    def invocation_id(self) -> str: ...
    @property
    def function_name(self) -> str: ...
    @property
    def trace_context(self) -> TraceContext: ...
    @property
    def thread_local_storage(self) -> ThreadLocalStorage: ...
