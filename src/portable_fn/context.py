"""The context of an invocation."""

from __future__ import annotations

import time
from _contextvars import ContextVar

from portable_fn.record import Record, elsewhere, lazy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence
    from datetime import datetime
    from logging import Logger, LoggerAdapter
    from typing import Any, Protocol, Self

    from portable_fn.trace import Trace

    class Clock(Protocol):
        """The time, as the module `time` returns it."""

        def time(self) -> float:
            """Return the seconds since the epoch."""
            raise NotImplementedError

        def monotonic(self) -> float:
            """Return seconds that never go back."""
            raise NotImplementedError

    class Observer(Protocol):
        """Sees what the entries of this context do."""

        def background(self, coroutine: Coroutine[Any, Any, object]) -> Coroutine[Any, Any, object]:
            """See background work. Return the coroutine to run in its place."""
            raise NotImplementedError

        def handled(self, items: Sequence[Any], outcomes: Sequence[Any]) -> object:
            """See the outcome of each event, or of the DecodeError for one that can't be read."""


__all__ = ["Context", "observer"]


# For the testing kit.
observer: ContextVar[Observer | None] = ContextVar("observer", default=None)


class Context(Record):
    """The context of an invocation.

    `provider` is the adapter's name. `function`, `version` and `region` say what runs where; "" if the provider doesn't say.
    `invocation_id` is the invocation's, `native` the provider's own context. `cold_start`: it is the process's first invocation.
    """

    _fields = ("provider", "function", "version", "region", "invocation_id", "cold_start", "native")

    if not TYPE_CHECKING:
        # The names of AWS's context.
        aws_request_id = elsewhere("it is ctx.invocation_id")
        function_name = elsewhere("it is ctx.function")
        function_version = elsewhere("it is ctx.version")
        get_remaining_time_in_millis = elsewhere("ctx.remaining() gives the seconds, ctx.deadline the time")
        invoked_function_arn = elsewhere("ctx.native has it on AWS; ctx.function is the name")
        memory_limit_in_mb = elsewhere("ctx.native has it on AWS")

    # Class attributes, since an adapter's own context reads these values on first use.
    event: Any = None
    _deadline: float | Callable[[], float | None] | None = None
    _trace: Callable[[], Trace | None] | Trace | None = None
    _correlation_id: Callable[[], str | None] | str | None = None
    _env: Mapping[str, Any] | Callable[[], Mapping[str, Any]] | None = None
    _wait_until: Any = None
    clock: Clock = time
    # Whether a failed event's error ends the invocation, so that the platform logs the traceback.
    raises_errors = False

    def __init__(
        self,
        provider: str = "local",
        *,
        invocation_id: str = "",
        function: str = "",
        version: str = "",
        region: str = "",
        deadline: float | Callable[[], float | None] | None = None,
        cold_start: bool = False,
        trace: Callable[[], Trace | None] | Trace | None = None,
        correlation_id: Callable[[], str | None] | str | None = None,
        env: Mapping[str, Any] | Callable[[], Mapping[str, Any]] | None = None,
        native: object = None,
        wait_until: Callable[[Coroutine[Any, Any, object]], object] | None = None,
    ) -> None:
        self.provider = provider
        self.invocation_id = invocation_id
        self.function = function
        self.version = version
        self.region = region
        self.cold_start = cold_start
        self.native = native
        self._deadline = deadline
        self._trace = trace
        self._correlation_id = correlation_id
        self._env = env
        self._wait_until = wait_until

    def of(self, event: Any) -> Self:
        """Return the context for one of the invocation's events, with the event's own trace and correlation id."""
        fields = self.__dict__.copy()
        # These are the event's own.
        if "correlation_id" in fields or "trace" in fields:
            for name in ("trace", "correlation_id", "log"):
                fields.pop(name, None)
        fields["pending"] = self.pending
        fields["event"] = event
        context = object.__new__(type(self))
        context.__dict__ = fields
        return context

    @property
    def has_background(self) -> bool:
        """Whether the entry still has background work to finish."""
        return bool(self.__dict__.get("pending"))

    @lazy
    def pending(self) -> list[Coroutine[Any, Any, object]]:
        """The background work that the entry still has to finish."""
        return []

    @lazy
    def deadline(self) -> datetime | None:
        """When the provider ends the invocation, aware UTC; None if it sets no time."""
        seconds = self._deadline_seconds
        if seconds is None:
            return None
        from datetime import UTC, datetime

        return datetime.fromtimestamp(seconds, UTC)

    def remaining(self) -> float | None:
        """Return the seconds until the deadline, negative after it; None if the provider sets none."""
        ends = self._ends
        return None if ends is None else ends - self.clock.monotonic()

    @lazy
    def _deadline_seconds(self) -> float | None:
        """The deadline by the wall clock, in seconds since 1970."""
        return self._deadline() if callable(self._deadline) else self._deadline

    @lazy
    def _ends(self) -> float | None:
        """The deadline by the monotonic clock. It is converted once, because the wall clock may be set meanwhile."""
        seconds = self._deadline_seconds
        return None if seconds is None else seconds - self.clock.time() + self.clock.monotonic()

    @lazy
    def trace(self) -> Trace | None:
        """The caller's W3C trace context, from the provider's header."""
        trace = self._trace() if callable(self._trace) else self._trace
        if trace is not None or self.event is None:
            return trace
        from portable_fn.trace import caller_trace

        return caller_trace(self._carrier)

    @property
    def _carrier(self) -> Mapping[str, Any]:
        """The event's names and values that have its caller's ids; empty if they can't be read, since only logs and traces need them."""
        try:
            return {} if self.event is None else self.event.carrier
        except Exception:
            return {}

    @lazy
    def correlation_id(self) -> str:
        """The caller's `x-correlation-id`, else `x-request-id`, else the invocation id."""
        id = self._correlation_id() if callable(self._correlation_id) else self._correlation_id
        if not id and self.event is not None:
            from portable_fn.http import given_id

            id = given_id(self._carrier, "x-correlation-id", "correlationid", "x-request-id")
        return id or self.invocation_id

    @lazy
    def env(self) -> Mapping[str, Any]:
        """Settings and bindings: the environment variables, or what the provider has instead."""
        if self._env is None:
            import os

            return os.environ
        return self._env() if callable(self._env) else self._env

    @lazy
    def log(self) -> LoggerAdapter[Logger]:
        """A logger whose records have `invocation_id` and `correlation_id`. It shows records from INFO on, unless logging is set up."""
        from portable_fn import logs

        try:
            correlation_id = self.correlation_id
        except Exception:
            # A log line must not fail because the event can't be read.
            correlation_id = self.invocation_id
        extra = {"invocation_id": self.invocation_id, "correlation_id": correlation_id}
        return logs.log(f"portable_fn.{self.function or 'function'}", extra, self.env)

    def background(self, coroutine: Coroutine[Any, Any, object]) -> None:
        """Run a coroutine in the background: after the answer if the provider can (`waitUntil`), else before it."""
        if (observing := observer.get()) is not None:
            coroutine = observing.background(coroutine)
        if self._wait_until is not None:
            self._wait_until(coroutine)
        else:
            self.pending.append(coroutine)
