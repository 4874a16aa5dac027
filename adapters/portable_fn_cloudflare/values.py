"""Copy JavaScript's values to plain Python. A proxy lives only as long as the call that brought it."""

from __future__ import annotations

from portable_fn.data import MAX_JSON_DEPTH, to_json
from portable_fn.errors import DecodeError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import datetime
    from typing import Any

    from portable_fn_cloudflare.native import FFI

# A queue's message has at most 128 KB: https://developers.cloudflare.com/queues/platform/limits/. A value with more values than
# this repeats a shared one many times.
MAX_VALUES = 200_000


def body(value: Any, ffi: FFI) -> tuple[bytes, str]:
    """Return the body and the content type of a message's value: text as UTF-8, bytes unchanged, anything else as JSON.

    In the JSON, a Map is an object, a Set an array, a Date an ISO 8601 time, a bigint a number, and bytes are base64. Text has
    no content type, because it may itself be JSON.

    Raises:
        DecodeError: JSON can't express the value.
    """
    value = _python(value, ffi)
    if isinstance(value, str):
        try:
            return value.encode(), ""
        except UnicodeEncodeError as exc:
            raise DecodeError("the body is a text with half a surrogate pair") from exc
    if isinstance(value, memoryview):
        return value.tobytes(), "application/octet-stream"
    try:
        return to_json(_Copy(ffi, as_json=True).of(value)).encode(), "application/json"
    except ValueError as exc:
        raise DecodeError(f"the body has no JSON form: {exc}") from exc


def plain(value: Any, ffi: FFI) -> Any:
    """Copy the value to dict, list, str, int, float, bool, None, bytes and aware datetime.

    Raises:
        DecodeError: The value has another type, such as a function, or contains itself.
    """
    return _Copy(ffi).of(_python(value, ffi))


def time(value: Any) -> datetime:
    """Return the time of a Date, or of the SDK's naive datetime, as aware UTC."""
    from datetime import UTC, datetime

    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    return datetime.fromtimestamp(value.getTime() / 1000, UTC)


def raw(value: Any) -> Any:
    """Return what the SDK's wrapper wraps, or the value itself. The wrapper would convert it without a limit."""
    return getattr(value, "_binding", value)


def _python(value: Any, ffi: FFI) -> Any:
    """Convert the value by Pyodide."""
    if not isinstance(value, ffi.JsProxy):
        return value
    try:
        return value.to_py(depth=MAX_JSON_DEPTH + 1)
    except Exception as exc:
        raise DecodeError(f"a {value.constructor.name} has no plain form: {type(exc).__name__}") from exc


class _Copy:
    """Copies values that Pyodide or the SDK converted. They still contain some of JavaScript's types."""

    def __init__(self, ffi: FFI, *, as_json: bool = False) -> None:
        self._ffi = ffi
        self._as_json = as_json
        self._left = MAX_VALUES

    def of(self, value: Any, depth: int = 0) -> Any:
        self._left -= 1
        if self._left < 0:
            raise DecodeError(f"there are more than {MAX_VALUES} values")
        if depth > MAX_JSON_DEPTH:
            raise DecodeError(f"nested more than {MAX_JSON_DEPTH} levels deep")
        if value is None or value is self._ffi.jsnull:
            return None
        if isinstance(value, (str, bool)):
            return value
        if isinstance(value, int):
            # A bigint has a class of Pyodide.
            return int(value)
        if isinstance(value, float):
            return _number(value)
        if isinstance(value, dict):
            copied = {_key(key, self._ffi): self.of(inner, depth + 1) for key, inner in value.items()}
            if len(copied) < len(value):
                raise DecodeError("a Map has two keys that are equal as text")
            return copied
        if isinstance(value, (list, set, tuple)):
            return [self.of(inner, depth + 1) for inner in value]
        if isinstance(value, (memoryview, bytes)):
            return self._bytes(bytes(value))
        return self._date(value)

    def _bytes(self, value: bytes) -> bytes | str:
        if not self._as_json:
            return value
        from binascii import b2a_base64

        return b2a_base64(value, newline=False).decode()

    def _date(self, value: Any) -> datetime | str:
        name = type(value).__name__
        if isinstance(value, self._ffi.JsProxy):
            name = value.constructor.name
        if name not in ("Date", "datetime"):
            raise DecodeError(f"a {name} has no plain form")
        try:
            date = time(value)
        except (ValueError, OverflowError) as exc:
            raise DecodeError("a Date is not a valid time") from exc
        return date.isoformat().replace("+00:00", "Z") if self._as_json else date


def _number(value: float) -> float | int:
    if value - value:  # inf - inf is nan
        raise DecodeError(f"a number is {value}, which JSON can't express")
    # JavaScript has one type of number. Numbers that it writes without point and exponent are int here.
    return int(value) if value.is_integer() and abs(value) < 1e21 else value


def _key(key: Any, ffi: FFI) -> str:
    if isinstance(key, str):
        return key
    if key is None or key is ffi.jsnull or isinstance(key, (int, float)):
        return to_json(None if key is ffi.jsnull else key)
    raise DecodeError(f"a Map has a {type(key).__name__} as a key; possible are texts and numbers")
