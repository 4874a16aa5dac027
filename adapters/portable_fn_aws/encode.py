"""Encode responses for AWS's HTTP services."""

from __future__ import annotations

from binascii import b2a_base64

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from portable_fn.http import Response
    from portable_fn_aws.native import Payload, ProxyAnswer


def http_api(response: Response) -> ProxyAnswer:
    """Encode for an HTTP API with payload 2.0 or a function URL: join repeated headers, keep cookies apart."""
    headers = response.headers.joined()
    text, is_base64 = _text(response, headers)
    answer: ProxyAnswer = {
        "statusCode": response.status,
        "headers": headers,
        "body": text,
        "isBase64Encoded": is_base64,
    }
    if response.cookies or "set-cookie" in headers:
        headers.pop("set-cookie", None)
        answer["cookies"] = response.set_cookies
    return answer


def multi_value(response: Response) -> ProxyAnswer:
    """Encode for a REST API or a load balancer with multi-value headers."""
    headers: dict[str, list[str]] = {}
    for name, value in response.wire_headers():
        headers.setdefault(name, []).append(value)
    text, is_base64 = _text(response, response.headers)
    return {"statusCode": response.status, "multiValueHeaders": headers, "body": text, "isBase64Encoded": is_base64}


def single_value(response: Response) -> ProxyAnswer:
    """Encode for a load balancer with single-value headers or VPC Lattice.

    Each value of a repeated header gets another spelling of the name, by upper and lower case. If no spelling is left, the
    values are joined.
    """
    headers: dict[str, str] = {}
    for name, value in response.wire_headers():
        spelling = next((spelling for spelling in _spellings(name) if spelling not in headers), name)
        headers[spelling] = f"{headers[name]}, {value}" if spelling in headers else value
    text, is_base64 = _text(response, response.headers)
    return {"statusCode": response.status, "headers": headers, "body": text, "isBase64Encoded": is_base64}


def encoder(service: str, payload: Payload) -> Callable[[Response], ProxyAnswer]:
    """Return the encoder for the service's answer to this payload."""
    if service == "http_api":
        return http_api
    if service == "rest_api" or (service == "alb" and payload.get("multiValueHeaders") is not None):
        return multi_value
    return single_value


def _spellings(name: str) -> Iterable[str]:
    """Yield the name in every mix of upper and lower case, plain lower case first."""
    letters = [index for index, char in enumerate(name) if char.isalpha()]
    for number in range(2 ** len(letters)):
        chars = list(name)
        for bit, index in enumerate(letters):
            if number >> bit & 1:
                chars[index] = chars[index].upper()
        yield "".join(chars)


_TEXT = ("application/json", "text/")


def _text(response: Response, headers: Mapping[str, str]) -> tuple[str, bool]:
    """Return the body and whether it is base64: it is text if its type says so and it is UTF-8; a stream is sent apart."""
    body = response.body
    if not body or not isinstance(body, bytes):
        return "", False
    content_type = headers.get("content-type", "")
    if (content_type.startswith(_TEXT) or _is_text(content_type)) and "content-encoding" not in headers:
        try:
            return body.decode(), False
        except UnicodeDecodeError:
            pass
    return b2a_base64(body, newline=False).decode(), True


def _is_text(content_type: str) -> bool:
    media_type = content_type.partition(";")[0].strip().lower()
    return media_type.startswith("text/") or media_type.endswith(("json", "xml", "javascript", "yaml"))
