"""Neutral events with good defaults; every field can be given."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from portable_fn.context import Context
from portable_fn.data import to_json
from portable_fn.http import Principal, Request
from portable_fn.pairs import Headers

if TYPE_CHECKING:
    from portable_fn.http import HeadersInput

_TIME = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def request(
    method: str = "GET",
    target: str = "/",
    *,
    headers: HeadersInput = (),
    cookies: dict[str, str] | None = None,
    json: Any = None,
    form: dict[str, Any] | None = None,
    body: bytes | str = b"",
    params: dict[str, str] | None = None,
    host: str = "example.com",
    scheme: str = "https",
    client_ip: str | None = "203.0.113.7",
    principal: Principal | None = None,
    id: str = "request-1",
    time: datetime = _TIME,
) -> Request[Any]:
    """A request for the target, a path with or without a query, both percent-encoded: `fake.request("GET", "/items?page=2")`.

    `json` and `form` give the body and its content type.
    """
    if target and not target.startswith("/"):
        raise ValueError(f"the target {target!r} doesn't start with '/'; a request's host is host=…")
    if method != method.upper():
        raise ValueError(f"{method!r} is no method: methods have a case, and it is {method.upper()!r}")
    path, _, query = target.partition("?")
    lines = list(Headers(headers).pairs)
    given = {name for name, _ in lines}
    if json is not None:
        body = to_json(json)
        if "content-type" not in given:
            lines.append(("content-type", "application/json"))
    elif form is not None:
        from urllib.parse import urlencode

        body = urlencode(form, doseq=True)
        if "content-type" not in given:
            lines.append(("content-type", "application/x-www-form-urlencoded"))
    if cookies:
        lines.append(("cookie", "; ".join(f"{name}={value}" for name, value in cookies.items())))
    return Request(
        method,
        path,
        query,
        lines,
        body.encode() if isinstance(body, str) else body,
        params=params,
        host=host,
        scheme=scheme,
        client_ip=client_ip,
        principal=principal,
        id=id,
        time=time,
    )


def context(
    *,
    function: str = "function",
    invocation_id: str = "invocation-1",
    deadline: datetime | None = None,
    env: dict[str, Any] | None = None,
) -> Context:
    """A context for a direct call of a handler."""
    return Context(
        "local",
        function=function,
        invocation_id=invocation_id,
        deadline=None if deadline is None else deadline.timestamp(),
        env={} if env is None else env,
    )
