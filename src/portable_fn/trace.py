"""The W3C trace context.

https://www.w3.org/TR/trace-context/
"""

from __future__ import annotations

from portable_fn.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

__all__ = ["Trace", "caller_trace", "make_trace", "parse_traceparent"]


class Trace(Record):
    """The caller's span: `trace_id` in 32 and `span_id` in 16 hexadecimal digits, `sampled`, and the unchanged `state`."""

    _fields = ("trace_id", "span_id", "sampled", "state")
    __slots__ = _fields

    def __init__(self, trace_id: str, span_id: str, sampled: bool = False, state: str = "") -> None:
        self.trace_id = trace_id
        self.span_id = span_id
        self.sampled = sampled
        self.state = state

    @property
    def traceparent(self) -> str:
        """Return a `traceparent` header for a call that this invocation makes."""
        return f"00-{self.trace_id}-{self.span_id}-{'01' if self.sampled else '00'}"

    def __str__(self) -> str:
        return self.traceparent


def caller_trace(carrier: Mapping[str, Any]) -> Trace | None:
    """Return the trace of the `traceparent` and `tracestate` among headers or attributes."""
    return parse_traceparent(carrier.get("traceparent"), carrier.get("tracestate"))


def parse_traceparent(value: object, state: object = None) -> Trace | None:
    """Parse `traceparent` and `tracestate`. Return None if there is none, or if it is malformed."""
    if not isinstance(value, str):
        return None
    version, *rest = value.strip().split("-", 8)
    if (
        len(version) != 2
        or version == "ff"
        or not is_hex(version)
        or len(rest) < 3
        or (version == "00" and len(rest) > 3)
    ):
        return None
    trace_id, span_id, flags = rest[:3]
    if len(flags) != 2 or not is_hex(flags):
        return None
    return make_trace(trace_id, span_id, bool(int(flags, 16) & 1), state if isinstance(state, str) else "")


def make_trace(trace_id: str, span_id: str, sampled: bool, state: str = "") -> Trace | None:
    """Return the trace; None if an id has the wrong length, isn't lower-case hexadecimal, or is all zeros."""
    if len(trace_id) != 32 or len(span_id) != 16 or not is_hex(trace_id + span_id):
        return None
    if not trace_id.strip("0") or not span_id.strip("0"):
        return None
    return Trace(trace_id, span_id, sampled, state)


def is_hex(text: str) -> bool:
    """Return whether all characters are lower-case hexadecimal digits."""
    return not text.strip("0123456789abcdef")
