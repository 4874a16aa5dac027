"""Read and write AWS's payloads as JSON."""

from __future__ import annotations

from typing import Any

from portable_fn.errors import DecodeError
from portable_fn.events import ScheduleEvent, Task
from portable_fn.testing.native_json import NativePayload
from portable_fn_aws import decode
from portable_fn_aws.events.decode import read_events
from portable_fn_aws.simulate import EVENT_SERVICES, LambdaContext, answer


def recognises(value: Any) -> int:
    """Return 2 for a payload of a service, otherwise 0: a task's input may be any JSON."""
    if decode.http_service(value) is not None:
        return 2
    try:
        incoming = read_events(value, decode.AWSContext(LambdaContext(), False))
    except DecodeError:
        return 2
    return 0 if incoming.service == "invoke" else 2


def read(value: Any, service: str | None) -> list[NativePayload]:
    """Return the payload unchanged; the service tells a schedule's input from a task's."""
    kinds = (ScheduleEvent,) if service in EVENT_SERVICES["ScheduleEvent"] else (Task,) if service == "invoke" else ()
    return [NativePayload(service or "invoke", value, kinds)]


def http_answer(payload: Any, native: Any) -> Any:
    """Return what the caller receives for the answer to a request; None if the payload isn't a request."""
    service = decode.http_service(payload)
    return None if service is None else answer(native, service)
