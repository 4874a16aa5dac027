"""Read and write Google's requests as JSON: whole, or only the body, as a console shows it."""

from __future__ import annotations

from typing import Any

from portable_fn.adapter import cloudevents
from portable_fn.errors import DecodeError
from portable_fn.events import Task
from portable_fn.http import Request
from portable_fn.testing.native_json import NativePayload, is_http, post_request, request_from_json
from portable_fn_gcp.events import decode, legacy


def write(native: Any, service: str) -> Any:
    """Return a request unchanged; an event that functions-framework decoded, as the CloudEvent that it is today."""
    if not isinstance(native, tuple):
        return native
    event = legacy.background_event(*native) if len(native) == 2 else decode.sdk_event(native[0])
    return cloudevents.write_structured(event)


def recognises(value: Any) -> int:
    """Return 3 for what only Google sends, 1 for a request through Google's front end, else 0."""
    try:
        request = _request(value)
        name, _ = decode.source(request)
    except DecodeError:
        return 0
    if name in ("binary", "structured", "batched"):
        source = request.headers.get("ce-source", "") or _source(value)
        return 3 if source.startswith("//") else 0
    if name or _is_of_workflows(request):
        return 3
    return 1 if is_http(value) and "function-execution-id" in request.headers else 0


def read(value: Any, service: str | None) -> list[NativePayload]:
    """Return the request, or a POST with the value as its body. The simulation adds the execution id again."""
    request = _request(value, id="function-execution-id")
    name, _ = decode.source(request)
    kinds: tuple[type, ...] = () if name else (Request,)
    if service in ("workflows", "bigquery") or _is_of_workflows(request):
        kinds = (Task,)
    elif not name and not is_http(value):
        raise DecodeError(f"the value isn't the body of a Google trigger; known are {decode.KNOWN}")
    return [NativePayload(service or "http", request, kinds)]


def _is_of_workflows(request: Request[Any]) -> bool:
    return request.headers.get("user-agent", "").startswith("GoogleCloudWorkflows")


def _request(value: Any, *, id: str = "") -> Request[Any]:
    if is_http(value):
        return request_from_json(value, id=id)
    if isinstance(value, dict) and cloudevents.is_structured(value):
        return post_request(value, cloudevents.STRUCTURED)
    if isinstance(value, list) and value and all(map(cloudevents.is_structured, value)):
        return post_request(value, cloudevents.BATCHED)
    return post_request(value)


def _source(value: Any) -> str:
    first = value[0] if isinstance(value, list) and value else value
    source = first.get("source") if isinstance(first, dict) and not is_http(first) else None
    if isinstance(first, dict) and is_http(first) and '"source":"//' in str(first.get("body", "")).replace(" ", ""):
        return "//"
    return source if isinstance(source, str) else ""
