"""Helpers to call an entry with events, and to read them."""

from __future__ import annotations

from typing import Any

from portable_fn import (
    DecodeError,
)
from portable_fn.testing import fake
from portable_fn_aws import decode, entry
from portable_fn_aws.events import decode as decode_events
from portable_fn_aws.simulate import LambdaContext
from portable_fn_aws.simulate.messages import sqs_record


def context() -> decode.AWSContext:
    return decode.AWSContext(LambdaContext(), True)


def items_of(native: Any) -> list[Any]:
    return list(decode_events.read_events(native, context()).items)


def only_event(native: Any) -> Any:
    (event,) = items_of(native)
    if isinstance(event, DecodeError):
        raise event
    return event


def record(**fields: Any) -> dict[str, Any]:
    return {**sqs_record(fake.message({"n": 1}, id="m-1")), **fields}


def records(*numbers: int) -> list[dict[str, Any]]:
    return [sqs_record(fake.message({"n": number}, id=f"m-{number}")) for number in numbers]


def invoke(handler: Any, native: Any) -> Any:
    return entry(handler)(native, LambdaContext())
