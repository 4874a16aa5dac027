"""Read and write JSON; validate data."""

from __future__ import annotations

import json
import sys

from portable_fn.errors import ConfigurationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = [
    "MAX_JSON_DEPTH",
    "MAX_JSON_MEMORY",
    "Validator",
    "charset_of",
    "decode_text",
    "media_type_of",
    "parse_json",
    "read_json",
    "to_json",
]

# CPython's JSON scanner recurses once per level. In WebAssembly the native stack ends long before Python's own limit.
MAX_JSON_DEPTH = 200
# The most memory that a JSON text and its values may take, unless larger bodies are allowed: six times the largest body, 10 MiB.
MAX_JSON_MEMORY = 60 * 1024 * 1024
# The most memory of values per character: {"":{"":{"":[]}}}.
_MOST_A_CHARACTER = 42

# The charsets of https://encoding.spec.whatwg.org, and UTF-32. Python has more: some take quadratic time (punycode), some aren't
# charsets (zip), and Python keeps every unknown name that it was asked for.
_CHARSETS = frozenset(
    (
        "utf-8", "utf8", "us-ascii", "ascii", "latin-1", "latin1", "utf-16", "utf-16le", "utf-16be", "utf-32", "utf-32le",
        "utf-32be", "shift_jis", "shift-jis", "sjis", "euc-jp", "iso-2022-jp", "gb2312", "gbk", "gb18030", "big5", "euc-kr",
        "koi8-r", "koi8-u", "macintosh", "cp866",
        *(f"iso-8859-{number}" for number in range(1, 17) if number != 12),
        *(f"{prefix}{number}" for prefix in ("windows-", "cp") for number in (874, *range(1250, 1259))),
    )
)  # fmt: skip


def media_type_of(content_type: str) -> str:
    """Return the media type of a Content-Type header, in lower case and without parameters."""
    return content_type.partition(";")[0].strip().lower()


def charset_of(content_type: str) -> str:
    """Return the charset of a Content-Type header; utf-8 if it names none."""
    if ";" not in content_type:
        return "utf-8"
    for parameter in content_type.split(";", 20)[1:]:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset":
            return value.strip().strip("\"'").lower() or "utf-8"
    return "utf-8"


def decode_text(body: bytes, charset: str) -> str:
    """Decode the bytes.

    Raises:
        LookupError: The charset is unknown.
        ValueError: The bytes aren't in the charset; the message says where.
    """
    if charset not in _CHARSETS:
        raise LookupError(f"charset {charset[:40]!r} is unknown")
    try:
        return body.decode(charset)
    except UnicodeDecodeError as exc:
        raise ValueError(f"not {charset}: byte 0x{body[exc.start]:02x} at offset {exc.start}") from exc


def read_json(body: bytes, charset: str = "utf-8", budget: int = MAX_JSON_MEMORY) -> object:
    """Parse JSON.

    Raises:
        ValueError: The JSON is malformed, nested too deeply or non-standard; the message says where. It is
            `json_limits.TooManyValues` if the values would take over `budget` bytes.
    """
    text = decode_text(body, charset)
    # A single emoji makes Python store every character of the text, and of each string with an emoji, in four bytes.
    if len(text) > 1_000_000 and sys.getsizeof(text) > 3 * len(body) and charset in ("utf-8", "utf8"):
        del text
        try:
            return parse_json(_with_escapes(body), budget)
        except ValueError as exc:
            from portable_fn.json_limits import TooManyValues

            if isinstance(exc, TooManyValues):
                raise
            # The error must describe the original text.
            text = decode_text(body, charset)
    return parse_json(text, budget)


def _with_escapes(body: bytes) -> str:
    """Decode a JSON text and write characters of four UTF-8 bytes as JSON's escapes."""
    import re

    def escaped(match: re.Match[bytes]) -> bytes:
        units = match[0].decode().encode("utf-16-be").hex()
        return rf"\u{units[:4]}\u{units[4:]}".encode()

    # In parts, since the text between two escapes is briefly an object.
    parts: list[str] = []
    at = 0
    while at < len(body):
        end = at + 65_536
        while end < len(body) and body[end] & 0xC0 == 0x80:
            end += 1
        parts.append(re.sub(rb"[\xf0-\xf4][\x80-\xbf]{3}", escaped, body[at:end]).decode())
        at = end
    return "".join(parts)


def parse_json(text: str, budget: int = MAX_JSON_MEMORY) -> object:
    """Parse JSON text.

    Raises:
        ValueError: As `read_json`.
    """
    if len(text) > MAX_JSON_DEPTH and (
        len(text) * _MOST_A_CHARACTER > budget or text.count("[") + text.count("{") > MAX_JSON_DEPTH
    ):
        from portable_fn.json_limits import check

        check(text, MAX_JSON_DEPTH, budget)
    try:
        value, end = _scan(text, 0)
        if end == len(text):
            return value
    except StopIteration:
        pass
    # There is white space around the value, a byte order mark, or an error to describe.
    return _decode(text.removeprefix("\ufeff"))


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    value = float(text)
    if value - value:  # inf - inf is nan
        raise ValueError(f"a number of {len(text)} characters is too large")
    return value


_decoder = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite)
_decode = _decoder.decode
# `decode` calls it between two regular expressions for white space, which take as long as a small text.
_scan: Callable[[str, int], tuple[object, int]] = _decoder.scan_once  # type: ignore[attr-defined]  # typeshed has it not


def _plain(value: Any) -> object:
    """Convert a value that JSON doesn't have: a model, dataclass, time, Decimal, UUID, Enum or set."""
    dump = getattr(value, "model_dump", None)
    if dump is not None:
        return dump(mode="json", by_alias=True)
    cls = type(value)
    fields = getattr(cls, "__dataclass_fields__", None)
    if fields is not None:
        return {name: getattr(value, name) for name in fields if fields[name]._field_type.name == "_FIELD"}
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if cls.__module__ in ("decimal", "_decimal", "uuid", "ipaddress"):
        return str(value)
    enum = sys.modules.get("enum")
    if enum is not None and isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, (set, frozenset)):
        return list(value)
    if hasattr(value, "keys") and hasattr(cls, "__getitem__"):
        return {key: value[key] for key in value.keys()}
    raise TypeError(f"{cls.__name__} has no JSON form")


def _encoder() -> Callable[[object], str]:
    # json.dumps and JSONEncoder.encode build a C encoder at each call, which is half of the time of a small answer.
    make: Any = getattr(json.encoder, "c_make_encoder", None)
    encode: Callable[[object, int], Any] = (
        make(None, _plain, json.encoder.encode_basestring, None, ":", ",", False, False, False)
        if make is not None
        else lambda value, _: json.JSONEncoder(
            ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_plain
        ).encode(value)
    )

    def to_json(value: object) -> str:
        """Write the value as JSON. A key may be a UUID, a date, a Decimal or an Enum, too.

        Raises:
            TypeError: The value has no JSON form.
            ValueError: The value has no JSON form.
        """
        try:
            return "".join(encode(value, 0))
        except TypeError:
            # The encoder accepts only str, int, float, bool and None as keys, and has no hook for others.
            return "".join(encode(_with_plain_keys(value), 0))

    return to_json


to_json = _encoder()


def _with_plain_keys(value: Any) -> object:
    """Return the value with JSON keys in all its dicts.

    Raises:
        TypeError: A key has no JSON form.
    """
    if value is None or isinstance(value, (str, int, float)):
        return value
    if isinstance(value, (list, tuple)):
        return [_with_plain_keys(one) for one in value]
    if not isinstance(value, dict):
        return _with_plain_keys(_plain(value))
    plain = {_key(key): _with_plain_keys(one) for key, one in value.items()}
    if len(plain) < len(value):
        raise ValueError("two keys of a dict are written alike")
    return plain


def _key(key: Any) -> str:
    if isinstance(key, str):
        return str.__str__(key)
    if key is None or isinstance(key, (int, float)):
        return to_json(key)
    plain = _plain(key)
    if isinstance(plain, (dict, list)):
        raise TypeError(f"a dict has a {type(key).__name__} as a key, which JSON can't have")
    return _key(plain)


# pydantic takes a hundred bytes for each fault, and a longer text may have too many.
_LONG = 65_536


class Validator:
    """Checks data against a type with pydantic: models, dataclasses, TypedDicts, and lists and unions of them.

    In JSON of over 64 KiB it finds only the first fault of each list and dict.

    Raises:
        ConfigurationError: pydantic isn't installed, or doesn't know the type.
    """

    def __init__(self, wanted: Any) -> None:
        try:
            from pydantic import PydanticUserError, TypeAdapter
        except ImportError as exc:
            raise ConfigurationError("typed data needs pydantic: pip install 'portable-fn[pydantic]'") from exc
        try:
            self._adapter: Any = TypeAdapter(wanted)
        except PydanticUserError as exc:
            raise ConfigurationError(f"pydantic can't validate {wanted!r}: {exc.message}") from exc
        self._first: Any = None

    def from_json(self, text: str | bytes) -> object:
        """Validate JSON that `read_json` has read; bytes are UTF-8.

        Raises:
            InvalidData: The data doesn't have the type.
        """
        if isinstance(text, bytes):
            text = text.removeprefix(b"\xef\xbb\xbf")

        def read() -> object:
            return read_json(text) if isinstance(text, bytes) else parse_json(text)

        validator = self._adapter if len(text) <= _LONG else self._up_to_first_fault()
        return self._checked(lambda: validator.validate_json(text), read, self._again(text, validator))

    def from_plain(self, data: object) -> object:
        """Validate the data of a form, or None.

        Raises:
            InvalidData: The data doesn't have the type.
        """
        return self._checked(lambda: self._adapter.validate_python(data), lambda: data, None)

    def _up_to_first_fault(self) -> Any:
        if self._first is None:
            from portable_fn.invalid import first_fault_validator

            self._first = first_fault_validator(self._adapter.core_schema) or self._adapter
        return self._first

    def _again(self, text: str | bytes, validator: Any) -> Callable[[], object] | None:
        return None if validator is self._first else lambda: self._up_to_first_fault().validate_json(text)

    def _checked(
        self, validate: Callable[[], object], read: Callable[[], object], again: Callable[[], object] | None
    ) -> object:
        from pydantic import PydanticUserError, ValidationError

        try:
            return validate()
        except ValidationError as exc:
            from portable_fn.invalid import invalid_data

            # Errors reach logs and callers, so the input, which may hold secrets, stays out of them.
            invalid = invalid_data(exc, self._adapter.core_schema, read, again)
        except PydanticUserError as exc:
            raise ConfigurationError(f"pydantic can't validate the handler's data: {exc.message}") from exc
        # Raised here, since inside the block pydantic's error, which has the input, would be its context.
        raise invalid
