"""Bytes to JSON to validated data, and back."""

from __future__ import annotations

import json
import sys

from portable_fn.errors import ConfigurationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

# CPython's JSON scanner recurses once a level, and in WebAssembly the native stack ends long before Python's own limit.
MAX_JSON_DEPTH = 200


class InvalidData(ValueError):
    """The data is JSON but not what the handler's annotation asks for; `errors` lists pointer and detail of each fault."""

    def __init__(self, errors: list[dict[str, str]]) -> None:
        super().__init__("; ".join(f"{error['pointer']}: {error['detail']}" for error in errors))
        self.errors = errors


def read_json(body: bytes, charset: str = "utf-8") -> object:
    """The value of a JSON text; ValueError, saying where, for malformed, too deeply nested or non-standard JSON."""
    try:
        text = body.decode(charset).removeprefix("\ufeff")
    except UnicodeDecodeError as exc:
        raise ValueError(f"not {charset}: byte 0x{body[exc.start]:02x} at offset {exc.start}") from exc
    if text.count("[") + text.count("{") > MAX_JSON_DEPTH and _depth(text) > MAX_JSON_DEPTH:
        raise ValueError(f"nested more than {MAX_JSON_DEPTH} levels deep")
    return _decode(text)


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")


_decode = json.JSONDecoder(parse_constant=_refuse_constant).decode


def _depth(text: str) -> int:
    depth = deepest = 0
    in_string = escaped = False
    for char in text:
        if in_string:
            if escaped:
                escaped = False
            elif char == "\\":
                escaped = True
            elif char == '"':
                in_string = False
        elif char == '"':
            in_string = True
        elif char in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif char in "]}":
            depth -= 1
    return deepest


def _plain(value: Any) -> object:
    """What JSON has no word for, in words that it has: models, dataclasses, times, decimals, UUIDs, enums, sets."""
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
    # json.dumps and JSONEncoder.encode make a new C encoder at each call, which is half of what a small answer costs.
    make: Any = getattr(json.encoder, "c_make_encoder", None)
    if make is None:
        return json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_plain).encode
    encode = make(None, _plain, json.encoder.encode_basestring, None, ":", ",", False, False, False)
    return lambda value: "".join(encode(value, 0))


to_json = _encoder()


def validator(wanted: Any) -> Callable[[object], object]:
    """A function that turns plain JSON data into the wanted type by pydantic, or raises InvalidData."""
    try:
        from pydantic import PydanticUserError, TypeAdapter, ValidationError
    except ImportError as exc:
        raise ConfigurationError("typed data needs pydantic: pip install 'portable-fn[pydantic]'") from exc
    try:
        validate: Callable[[object], object] = TypeAdapter(wanted).validate_python
    except PydanticUserError as exc:
        raise ConfigurationError(f"pydantic can't validate {wanted!r}: {exc.message}") from exc

    def validated(value: object) -> object:
        try:
            return validate(value)
        except ValidationError as exc:
            # The input stays out of the errors: it may hold secrets, and errors reach logs and callers.
            faults = exc.errors(include_url=False, include_context=False, include_input=False)
            raise InvalidData([{"pointer": _pointer(f["loc"]), "detail": f["msg"]} for f in faults]) from None

    return validated


def _pointer(location: tuple[int | str, ...]) -> str:
    """The location as a JSON pointer in a URI fragment (RFC 6901, section 6), as the examples of RFC 9457 have it."""
    return "#" + "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in location)
