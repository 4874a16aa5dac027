"""Describe data that pydantic refuses: the place and the kind of fault, never the data. Imported only for such data."""

from __future__ import annotations

from portable_fn.errors import InvalidData

__all__ = ["first_fault_validator", "invalid_data"]

MAX_ERRORS = 100

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

# pydantic builds these messages from the type alone: https://docs.pydantic.dev/latest/errors/validation_errors/
_TOLD = frozenset(
    (
        "missing", "extra_forbidden", "frozen_field", "none_required", "json_type", "model_type",
        "model_attributes_type", "dataclass_type", "dataclass_exact_type", "greater_than", "greater_than_equal",
        "less_than", "less_than_equal", "multiple_of", "finite_number", "iterable_type", "string_type",
        "string_sub_type", "string_too_short", "string_too_long", "string_pattern_mismatch", "string_not_ascii",
        "enum", "dict_type", "list_type", "tuple_type", "set_type", "frozen_set_type", "bool_type", "bool_parsing",
        "int_type", "int_parsing", "int_parsing_size", "int_from_float", "float_type", "float_parsing", "bytes_type",
        "bytes_too_short", "bytes_too_long", "literal_error", "date_type", "date_past", "date_future", "time_type",
        "datetime_type", "datetime_past", "datetime_future", "timezone_naive", "timezone_aware",
        "time_delta_type", "union_tag_not_found", "url_type", "url_too_long", "url_scheme", "uuid_type",
        "uuid_version", "decimal_type", "decimal_parsing", "decimal_max_digits", "decimal_max_places",
        "decimal_whole_digits", "complex_type", "complex_str_parsing", "missing_argument",
        "missing_keyword_only_argument", "missing_positional_only_argument", "unexpected_keyword_argument",
        "unexpected_positional_argument", "set_item_not_hashable",
    )
)  # fmt: skip
# Of these messages, the part before the first comma.
_BEGUN = frozenset(
    (
        "date_parsing", "date_from_datetime_parsing", "date_from_datetime_inexact", "time_parsing",
        "datetime_parsing", "datetime_object_invalid", "datetime_from_date_parsing", "time_delta_parsing",
        "uuid_parsing", "url_parsing", "url_syntax_violation",
    )
)  # fmt: skip
_MOST_COUNTED = 5000


def invalid_data(
    error: Any, schema: Any, read: Callable[[], object], again: Callable[[], object] | None
) -> InvalidData:
    """Return the InvalidData of pydantic's ValidationError. `read` returns the data as plain values.

    If there are too many faults to list, since each takes half a kilobyte, `again` validates up to the first fault.
    """
    from pydantic import ValidationError

    count = error.error_count()
    if count > _MOST_COUNTED and again is not None:
        try:
            again()
        except ValidationError as exc:
            error = exc
    if error.error_count() > _MOST_COUNTED:
        return InvalidData([{"pointer": "#", "type": "too_many", "detail": "has too many faults to be listed"}], count)
    faults = error.errors(include_url=False, include_context=False, include_input=False)[:MAX_ERRORS]
    try:
        plain = read()
    except ValueError:
        plain = None
    names = _names(schema)
    return InvalidData([_told(fault, plain, names) for fault in faults], count)


def _told(fault: Any, plain: object, names: frozenset[str]) -> dict[str, str]:
    kind, message = fault["type"], fault["msg"]
    if kind in _BEGUN:
        message = message.partition(",")[0]
    elif kind not in _TOLD:
        message = "Value error" if kind in ("value_error", "assertion_error") else kind.replace("_", " ").capitalize()
    return {"pointer": _pointer(fault["loc"], kind, plain, names), "type": kind, "detail": message}


def _pointer(location: tuple[int | str, ...], kind: str, plain: Any, names: frozenset[str]) -> str:
    """Return the location as a JSON pointer in a URI fragment (RFC 6901, section 6), as in the examples of RFC 9457.

    "*" replaces a name that the type doesn't have. What pydantic adds, such as the member of a union, is left out.
    """
    steps: list[str] = []
    for number, step in enumerate(location, 1):
        if isinstance(plain, dict):
            if step in plain:
                plain = plain[step]
            elif number < len(location) or not kind.startswith("missing"):
                continue
            steps.append(str(step) if step in names else "*")
        elif isinstance(step, int):
            steps.append(str(step))
            plain = plain[step] if isinstance(plain, list) and step < len(plain) else None
        elif number == len(location) and kind.startswith("missing"):
            steps.append(step if step in names else "*")
    return "#" + "".join("/" + step.replace("~", "~0").replace("/", "~1") for step in steps)


def _names(schema: Any) -> frozenset[str]:
    """Return the names and aliases of all fields in one of pydantic's core schemas."""
    names: set[str] = set()
    left = [schema]
    while left:
        schema_part = left.pop()
        if isinstance(schema_part, dict):
            fields = schema_part.get("fields") or schema_part.get("arguments_schema")
            if isinstance(fields, dict):
                names.update(name for name in fields if isinstance(name, str))
            for key in ("name", "alias", "validation_alias", "serialization_alias"):
                names.update(_texts(schema_part.get(key)))
            left.extend(value for key, value in schema_part.items() if key not in ("metadata", "serialization"))
        elif isinstance(schema_part, (list, tuple)):
            left.extend(schema_part)
    return frozenset(names)


def _texts(alias: object) -> list[str]:
    """Return the texts of an alias, which may be a path or several."""
    if isinstance(alias, str):
        return [alias]
    return [text for part in alias for text in _texts(part)] if isinstance(alias, (list, tuple)) else []


def first_fault_validator(schema: Any) -> Any:
    """Return a validator for the schema that stops at the first fault of each list, set, tuple and dict; None if pydantic has none.

    Each fault takes pydantic a hundred bytes, and a body of 10 MiB may have ten million.
    """
    from pydantic_core import SchemaError, SchemaValidator

    for kinds in (("list", "set", "frozenset", "tuple", "dict"), ("list", "set", "frozenset", "tuple")):
        changed = _failing_fast(schema, kinds)
        try:
            try:
                # Otherwise pydantic would reuse a model's own validator.
                return SchemaValidator(changed, _use_prebuilt=False)
            except TypeError:
                return SchemaValidator(changed)
        except SchemaError:
            continue
    return None


def _failing_fast(schema: Any, kinds: tuple[str, ...]) -> Any:
    if isinstance(schema, dict):
        changed = {key: part if key == "metadata" else _failing_fast(part, kinds) for key, part in schema.items()}
        if changed.get("type") in kinds and ("items_schema" in changed or "values_schema" in changed):
            changed["fail_fast"] = True
        return changed
    if isinstance(schema, (list, tuple)):
        return type(schema)(_failing_fast(part, kinds) for part in schema)
    return schema
