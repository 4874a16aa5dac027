"""Translate a request to RpcHttp, and RpcHttp to a response, as the host does."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qsl, quote, unquote_to_bytes

from .protos import protos

Headers = Sequence[tuple[str, str]]

SAME_SITE = {"Strict": "strict", "Lax": "lax", "ExplicitNone": "none"}


class HostFailure(Exception):
    """The host can't encode a worker's answer, and answers 500."""


@dataclass(frozen=True)
class Answer:
    status: int
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""


def decoded_path(raw: str) -> str:
    """Decode a path as Kestrel does: %2F, and bytes that aren't UTF-8, stay encoded.

    Source: dotnet/aspnetcore, src/Shared/UrlDecoder/UrlDecoder.cs.
    """
    return re.sub(
        r"(?:%(?!2[Ff])[0-9A-Fa-f]{2})+", lambda match: unquote_to_bytes(match[0]).decode("utf-8", "percent"), raw
    )


def encoded_path(decoded: str) -> str:
    """Encode a decoded path as PathString.ToUriComponent does: text that looks percent-encoded stays.

    Source: dotnet/aspnetcore, src/Http/Http.Abstractions/src/PathString.cs. So %41 arrives as A and %2541 as %41.
    """
    return quote(re.sub(r"%(?![0-9A-Fa-f]{2})", "%25", decoded), safe="/%!$&'()*+,;=:@~")


def rpc_request(
    method: str, scheme: str, path: str, query: str, headers: Headers, body: bytes, params: dict[str, str]
) -> Any:
    """Write an HTTP request as RpcHttp.

    Source: azure-functions-host, GrpcMessageConversionExtensions.ToRpcHttp, for the capabilities this worker declares
    (RpcHttpBodyOnly and RawHttpBodyBytes, no nullable dictionaries).
    """
    joined = _joined(headers)
    return protos.RpcHttp(
        method=method,
        url=f"{scheme}://{joined.get('host', '')}{encoded_path(path)}{'?' + query if query else ''}",
        headers=joined,
        query={name: value for name, value in _joined(parse_qsl(query, True), str).items() if value},
        params=params,
        # The host reads a body only if Content-Length is above zero: a chunked one never reaches the worker.
        body=protos.TypedData(bytes=body) if body and "content-length" in joined else None,
    )


def response(returned: Any) -> Answer:
    """Return an HTTP function's return value as the response.

    Source: azure-functions-host, HttpBinding.CreateResult and RawScriptResult.ExecuteResultAsync.
    """
    kind = returned.WhichOneof("data")
    if kind == "string":
        return _text(returned.string)
    if kind != "http":
        raise HostFailure(f"an HTTP function returned {kind}, which is not modelled here")
    http = returned.http
    body = http.body.bytes
    status = int(http.status_code) if http.status_code.isdigit() else 200
    headers: dict[str, tuple[str, str]] = {}
    for name, value in http.headers.items():
        headers.setdefault(name.lower(), (name, value))
    answer = Answer(status, [*headers.values(), *(("Set-Cookie", _cookie(each)) for each in http.cookies)], body)
    require_ascii(answer.headers)
    if body and status in (204, 205, 304):
        raise HostFailure(f"Writing to the response body is invalid for responses with status code {status}.")
    return answer


def require_ascii(headers: Headers) -> None:
    """Raise HostFailure for a header value that Kestrel refuses to send."""
    for name, value in headers:
        if not re.fullmatch(r"[\t\x20-\x7e]*", value):
            raise HostFailure(f"Invalid non-ASCII or control character in header {name}: {value!r}")


def _text(text: str) -> Answer:
    # The host parses a returned str as JSON: an object with a body is a whole response, and .NET formats any other value
    # again.
    try:
        json.loads(text)
    except ValueError:
        return Answer(200, [("Content-Type", "text/plain; charset=utf-8")], text.encode())
    raise HostFailure(f"the returned str {text[:40]!r} is JSON, which the host rewrites: return an HttpResponse")


def _cookie(cookie: Any) -> str:
    """Write a cookie as ResponseCookies.Append and SetCookieHeaderValue do, with its value percent-encoded.

    Source: dotnet/aspnetcore, src/Http: Http/src/Internal/ResponseCookies.cs, Headers/src/SetCookieHeaderValue.cs.
    A present but empty domain or path is written as such (azure-functions-python-worker#1902).
    """
    parts = [f"{cookie.name}={quote(cookie.value, safe='')}"]
    if cookie.HasField("expires"):
        moment = datetime.fromtimestamp(cookie.expires.value.seconds, UTC)
        parts.append(f"expires={format_datetime(moment, usegmt=True)}")
    if cookie.HasField("max_age"):
        if cookie.max_age.value < 0:
            raise HostFailure(f"the cookie {cookie.name} has a negative max-age")
        parts.append(f"max-age={int(cookie.max_age.value)}")
    if cookie.HasField("domain"):
        parts.append(f"domain={cookie.domain.value}")
    parts.append(f"path={cookie.path.value if cookie.HasField('path') else '/'}")
    if cookie.secure.value:
        parts.append("secure")
    if same_site := SAME_SITE.get(protos.RpcHttpCookie.SameSite.Name(cookie.same_site)):
        parts.append(f"samesite={same_site}")
    if cookie.http_only.value:
        parts.append("httponly")
    return "; ".join(parts)


def _joined(pairs: Headers, key: Any = str.lower) -> dict[str, str]:
    """Join repeated values by a comma without a space, as StringValues.ToString does. Names ignore case."""
    values: dict[str, list[str]] = {}
    names: dict[str, str] = {}
    for name, value in pairs:
        values.setdefault(names.setdefault(name.lower(), key(name)), []).append(value)
    return {name: ",".join(each) for name, each in values.items()}


def _kept(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    return "".join(f"%{byte:02X}" for byte in error.object[error.start : error.end]), error.end


codecs.register_error("percent", _kept)
