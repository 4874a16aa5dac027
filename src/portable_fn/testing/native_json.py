"""Write a provider's native payload as JSON, and read it back.

If a payload isn't JSON, the adapter's `simulate.native_json` converts it.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from portable_fn.data import to_json
from portable_fn.errors import DecodeError
from portable_fn.events import BROKEN, Event
from portable_fn.http import Request
from portable_fn.pairs import Headers
from portable_fn.providers import adapter
from portable_fn.record import Record
from portable_fn.recording.payload_json import adapter_json
from portable_fn.testing.extras import require_extras
from portable_fn.testing.loop import run_outside_loop
from portable_fn.testing.settings import placeholder_settings

__all__ = ["NativePayload", "is_http", "likely_providers", "native_payloads", "post_request", "request_from_json"]


class NativePayload(Record):
    """One native payload, for the adapter's `simulate.invoker`, or a request for `simulate.exchange` if `service` is "".

    Attributes:
        service: The provider's service.
        native: The payload.
        kinds: The kinds of event that it may be or contain; empty for any.
        one_by_one: Whether a function can take only one of the kinds, so that each must be tried, the innermost first.
        name: The name of the called task.
    """

    _fields = ("service", "native", "kinds", "one_by_one", "name")

    def __init__(
        self,
        service: str,
        native: Any,
        kinds: tuple[type[Event[Any]], ...] = (),
        *,
        one_by_one: bool = False,
        name: str = "",
    ) -> None:
        self.service = service
        self.native = native
        self.kinds = kinds
        self.one_by_one = one_by_one
        self.name = name

    def invoke(self, provider: str, targets: Iterable[object], seconds: float = 30) -> Any:
        """Return the functions' native answer, a `Raised` if they raise."""
        require_extras(provider)
        simulate = adapter(provider, "simulate")
        functions = tuple(targets)
        with placeholder_settings(*functions):
            if not self.service:
                return run_outside_loop(simulate.exchange(functions, self.native, simulate.SERVICES[0]).invoke)
            with simulate.playing(self.service):
                return run_outside_loop(partial(simulate.invoker(functions, self.service, seconds), self.native))


def is_http(value: object) -> bool:
    """Whether the JSON value is a request."""
    return isinstance(value, dict) and isinstance(value.get("method"), str) and isinstance(value.get("url"), str)


def request_from_json(value: Mapping[str, Any], *, id: str = "", client: str = "") -> Request[Any]:
    """Return the request that the JSON value describes, without the headers that a proxy adds.

    Args:
        value: The JSON value.
        id: The header in which the provider sends the request's id.
        client: The header in which the provider sends the client's address.

    Raises:
        DecodeError: The value isn't a request.
    """
    try:
        lines = list(_lines(value.get("headers") or {}))
        parts = urlsplit(value["url"])
        body = _body(value)
    except (KeyError, TypeError, ValueError, AttributeError) as exc:
        raise DecodeError(f"the request can't be read: {type(exc).__name__}") from exc
    headers = Headers(lines)
    forwarded_for = ",".join(headers.get_all("x-forwarded-for")).split(",")
    forwarded = [address.strip() for address in forwarded_for if address.strip()]
    client_ip = headers.get(client) if client else None
    added_by_proxy = {"host", "x-forwarded-for", "x-forwarded-proto", "content-length", id, client}
    sent_by_client = [line for line in lines if line[0] not in added_by_proxy]
    if forwarded[:-1]:
        sent_by_client.append(("x-forwarded-for", ", ".join(forwarded[:-1])))
    return Request(
        value["method"],
        parts.path or "/",
        parts.query,
        sent_by_client,
        body,
        host=headers.get("host") or parts.netloc or "localhost",
        scheme=headers.get("x-forwarded-proto") or parts.scheme or "https",
        client_ip=client_ip or (forwarded[-1] if forwarded else None),
        id=(headers.get(id) if id else None) or "request-1",
    )


def _lines(headers: Any) -> Iterable[tuple[str, str]]:
    for name, value in headers.items() if isinstance(headers, dict) else headers:
        for text in value if isinstance(value, list) else [value]:
            if not isinstance(text, str):
                raise TypeError("a header must be a string")
            yield name.lower(), text


def _body(value: Mapping[str, Any]) -> bytes:
    if "body_base64" in value:
        return b64decode(value["body_base64"], validate=True)
    body = value.get("body") or ""
    return body.encode() if isinstance(body, str) else to_json(body).encode()


def post_request(value: object, content_type: str = "application/json") -> Request[Any]:
    """Return the POST request by which a provider pushes the JSON value."""
    return Request("POST", "/", "", [("content-type", content_type)], to_json(value).encode(), host="example.com")


def native_payloads(value: Any, provider: str, via: str | None = None) -> list[NativePayload]:
    """Return the native payloads of a JSON value.

    Args:
        value: The JSON value.
        provider: The provider's name.
        via: The service, if the value doesn't say it.

    Raises:
        DecodeError: The value can't be read.
    """
    module = adapter_json(provider)
    service = None if via is None else via.replace("/", "_")
    if module is not None:
        payloads: list[NativePayload] = module.read(value, service)
        return payloads
    if is_http(value):
        return [NativePayload("", request_from_json(value), (Request,))]
    simulate = adapter(provider, "simulate")
    if service is None:
        service = next(iter(next(iter(simulate.EVENT_SERVICES.values()), ())), "")
    return [NativePayload(service, value)]


def likely_providers(value: Any) -> list[str]:
    """Return the providers whose payload the JSON value looks like, the likeliest first."""
    from portable_fn.providers import ADAPTERS

    candidates = []
    for provider in ADAPTERS:
        module = adapter_json(provider)
        recognises: Callable[[Any], int] | None = getattr(module, "recognises", None)
        try:
            likeness = 0 if recognises is None else recognises(value)
        except BROKEN:
            continue
        if likeness:
            candidates.append((-likeness, provider))
    return [provider for _, provider in sorted(candidates, key=lambda candidate: candidate[0])]
