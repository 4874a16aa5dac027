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
from portable_fn.recording.payload_json import of_adapter
from portable_fn.testing.extras import needed
from portable_fn.testing.loop import outside
from portable_fn.testing.settings import stood_in


class NativePayload(Record):
    """What a provider has handed over, for its `simulate.invoker` or, where `service` is "", a request for `exchange`.

    `kinds` are the kinds that it may be or hold, any where there are none; `one_by_one` says that a function is only ever for
    one of them, so that they are to be tried, the innermost first. `name` is the task's that is called.
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
        """What the functions answer, natively; Raised where that is an exception."""
        needed(provider)
        simulate = adapter(provider, "simulate")
        functions = tuple(targets)
        with stood_in(*functions):
            if not self.service:
                return outside(simulate.exchange(functions, self.native, simulate.SERVICES[0]).invoke)
            with simulate.playing(self.service):
                return outside(partial(simulate.invoker(functions, self.service, seconds), self.native))


def is_http(value: object) -> bool:
    """Whether the value is a request as an object."""
    return isinstance(value, dict) and isinstance(value.get("method"), str) and isinstance(value.get("url"), str)


def request_of(value: Mapping[str, Any], *, id: str = "", client: str = "") -> Request[Any]:
    """The request of an object; `id` and `client` name the headers in which the provider tells the request's id and client.

    What a proxy puts into headers is taken out of them, since it is put there anew. DecodeError for what is no request.
    """
    try:
        lines = list(_lines(value.get("headers") or {}))
        parts = urlsplit(value["url"])
        body = _body(value)
    except (KeyError, TypeError, ValueError, AttributeError) as exc:
        raise DecodeError(f"the request can't be read: {type(exc).__name__}") from exc
    headers = Headers(lines)
    forwarded = [one.strip() for one in ",".join(headers.get_all("x-forwarded-for")).split(",") if one.strip()]
    client_ip = headers.get(client) if client else None
    told = {"host", "x-forwarded-for", "x-forwarded-proto", "content-length", id, client}
    left = [(name, one) for name, one in lines if name not in told]
    if forwarded[:-1]:
        left.append(("x-forwarded-for", ", ".join(forwarded[:-1])))
    return Request(
        value["method"],
        parts.path or "/",
        parts.query,
        left,
        body,
        host=headers.get("host") or parts.netloc or "localhost",
        scheme=headers.get("x-forwarded-proto") or parts.scheme or "https",
        client_ip=client_ip or (forwarded[-1] if forwarded else None),
        id=(headers.get(id) if id else None) or "request-1",
    )


def _lines(headers: Any) -> Iterable[tuple[str, str]]:
    for name, value in headers.items() if isinstance(headers, dict) else headers:
        for one in value if isinstance(value, list) else [value]:
            if not isinstance(one, str):
                raise TypeError("a header is a text")
            yield name.lower(), one


def _body(value: Mapping[str, Any]) -> bytes:
    if "body_base64" in value:
        return b64decode(value["body_base64"], validate=True)
    body = value.get("body") or ""
    return body.encode() if isinstance(body, str) else to_json(body).encode()


def posted(value: object, content_type: str = "application/json") -> Request[Any]:
    """The POST whose body is the JSON value, as a provider that pushes over HTTP sends it."""
    return Request("POST", "/", "", [("content-type", content_type)], to_json(value).encode(), host="example.com")


def arrived(value: Any, provider: str, via: str | None = None) -> list[NativePayload]:
    """Return the native payloads of a JSON value.

    Args:
        value: The JSON value.
        provider: The provider's name.
        via: The service, if the value doesn't say it.

    Raises:
        DecodeError: The value can't be read.
    """
    module = of_adapter(provider)
    service = None if via is None else via.replace("/", "_")
    if module is not None:
        found: list[NativePayload] = module.read(value, service)
        return found
    if is_http(value):
        return [NativePayload("", request_of(value), (Request,))]
    simulate = adapter(provider, "simulate")
    if service is None:
        service = next(iter(next(iter(simulate.EVENT_SERVICES.values()), ())), "")
    return [NativePayload(service, value)]


def recognised(value: Any) -> list[str]:
    """The providers whose payload the JSON value looks like, the likeliest first."""
    from portable_fn.providers import ADAPTERS

    found = []
    for provider in ADAPTERS:
        module = of_adapter(provider)
        recognises: Callable[[Any], int] | None = getattr(module, "recognises", None)
        try:
            likeness = 0 if recognises is None else recognises(value)
        except BROKEN:
            continue
        if likeness:
            found.append((-likeness, provider))
    return [provider for _, provider in sorted(found, key=lambda one: one[0])]
