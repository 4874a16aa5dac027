"""Recognise events of other providers, to name the adapter that takes them."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_GOOGLE = "portable_fn_gcp under functions-framework takes it, on Cloud Run too"
_AWS = "portable_fn_aws takes it"
_AZURE = "portable_fn_azure takes it"

# By prefix of a CloudEvent's type; Google's: https://cloud.google.com/eventarc/docs/event-types
_TYPES = (
    ("google.cloud.", _GOOGLE),
    ("google.firebase.", _GOOGLE),
    ("com.amazonaws.", _AWS),
    ("aws.", _AWS),
    ("microsoft.", _AZURE),
)


def adapter_of_type(type: str) -> str:
    """Return which adapter takes a CloudEvent of that type; "" if no other provider sends it."""
    lower = type.lower()
    return next((adapter for prefix, adapter in _TYPES if lower.startswith(prefix)), "")


def adapter_of_body(value: object) -> str:
    """Return which adapter takes a JSON value: a Pub/Sub push, an event of AWS or of Event Grid; "" for any other."""
    if isinstance(value, list):
        return _AZURE if value and all(map(_is_event_grid, value)) else ""
    if not isinstance(value, dict):
        return ""
    if isinstance(value.get("message"), dict) and str(value.get("subscription")).startswith("projects/"):
        return _GOOGLE
    if "detail-type" in value and "source" in value and "detail" in value:
        return _AWS
    if "TopicArn" in value and "Type" in value:
        return _AWS
    records = value.get("Records")
    return _AWS if isinstance(records, list) and records and all(map(_is_aws_record, records)) else ""


def _is_event_grid(value: Any) -> bool:
    return isinstance(value, dict) and "eventType" in value and "eventTime" in value and "topic" in value


def _is_aws_record(value: Any) -> bool:
    return isinstance(value, dict) and str(value.get("eventSource") or value.get("EventSource")).startswith("aws:")
