"""AWS's payloads as JSON, which they are."""

from __future__ import annotations

from typing import Any

from portable_fn.errors import DecodeError
from portable_fn.events import ScheduleEvent, Task
from portable_fn.testing.native_json import NativePayload
from portable_fn_aws import decode
from portable_fn_aws.events import decode as decode_events
from portable_fn_aws.simulate import EVENT_SERVICES, LambdaContext, answer


def recognises(value: Any) -> int:
    """2 for a payload of a service, else 0: a task's input may be anything."""
    if decode.http_service(value) is not None:
        return 2
    try:
        found = decode_events.read_events(value, decode.AWSContext(LambdaContext(), False))
    except DecodeError:
        return 2
    return 0 if found.service == "invoke" else 2


def read(value: Any, service: str | None) -> list[NativePayload]:
    """The payload as it is; only a schedule's own input must be told from a task's."""
    kinds = (ScheduleEvent,) if service in EVENT_SERVICES["ScheduleEvent"] else (Task,) if service == "invoke" else ()
    return [NativePayload(service or "invoke", value, kinds)]


def http_answer(payload: Any, native: Any) -> Any:
    """What the caller receives for the answer to a request; None for what is no request."""
    service = decode.http_service(payload)
    return None if service is None else answer(native, service)
