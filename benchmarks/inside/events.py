"""Build API Gateway HTTP API events, payload 2.0, as Lambda's client passes them."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# 20 headers: the browser's, and those that the service adds.
HEADERS = {
    "accept": "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
    "accept-encoding": "gzip, deflate, br, zstd",
    "accept-language": "en-GB,en;q=0.9,de;q=0.8",
    "authorization": "Bearer eyJhbGciOiJSUzI1NiIsImtpZCI6ImV4YW1wbGUifQ.eyJzdWIiOiJhZGEifQ.c2lnbmF0dXJl",
    "cache-control": "no-cache",
    "content-length": "0",
    "dnt": "1",
    "host": "a1b2c3d4e5.execute-api.eu-central-1.amazonaws.com",
    "origin": "https://shop.example",
    "pragma": "no-cache",
    "referer": "https://shop.example/shoes?colour=midnight%20blue",
    "sec-fetch-dest": "document",
    "sec-fetch-mode": "navigate",
    "sec-fetch-site": "same-site",
    "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    "user-agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "x-amzn-trace-id": "Root=1-5759e988-bd862e3fe1be46a994272793",
    "x-forwarded-for": "203.0.113.7",
    "x-forwarded-port": "443",
    "x-forwarded-proto": "https",
}


def _event(
    method: str,
    route: str,
    path: str,
    query: str,
    params: dict[str, str],
    cookies: list[str],
    headers: dict[str, str],
    body: str | None,
) -> dict[str, Any]:
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": f"{method} {route}",
        "rawPath": path,
        "rawQueryString": query,
        "headers": headers,
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "a1b2c3d4e5",
            "domainName": "a1b2c3d4e5.execute-api.eu-central-1.amazonaws.com",
            "domainPrefix": "a1b2c3d4e5",
            "http": {
                "method": method,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "203.0.113.7",
                "userAgent": headers["user-agent"],
            },
            "requestId": "JKJaXmPLvHcESHA=",
            "routeKey": f"{method} {route}",
            "stage": "$default",
            "time": "02/Jan/2026:03:04:05 +0000",
            "timeEpoch": 1767323045000,
        },
        "isBase64Encoded": False,
    }
    if params:
        event["pathParameters"] = params
    if cookies:
        event["cookies"] = cookies
    if query:
        # The service decodes these, and joins the values of a repeated name with commas.
        event["queryStringParameters"] = {"colour": "midnight blue", "page": "2"}
    if body is not None:
        event["body"] = body
    return event


# A JSON text of 1024 bytes.
_ITEM = '{"sku": "shoe-%02d", "colour": "midnight blue", "size": 42, "price": "59.90"}'
_ITEMS = ", ".join(_ITEM % number for number in range(11))
_ORDER = '{"customer": "Ada Lovelace", "items": [' + _ITEMS + '], "note": "%s"}'
BODY = _ORDER % ("n" * (1024 - len(_ORDER % "")))

EVENTS = {
    "hello": _event("GET", "/hello/{name}", "/hello/Ada", "", {"name": "Ada"}, [], HEADERS, None),
    "GET": _event(
        "GET",
        "/items/{id}",
        "/items/42",
        "colour=midnight%20blue&page=2",
        {"id": "42"},
        ["session=0123456789abcdef0123456789abcdef"],
        HEADERS,
        None,
    ),
    "POST": _event(
        "POST",
        "/items",
        "/items",
        "",
        {},
        [],
        {**HEADERS, "content-type": "application/json", "content-length": "1024"},
        BODY,
    ),
}


class LambdaContext:
    """The parts of awslambdaric's context that the contenders read."""

    aws_request_id = "4bf92f35-77b3-4da6-a3ce-929d0e0e4736"
    function_name = "function"
    function_version = "$LATEST"
    invoked_function_arn = "arn:aws:lambda:eu-central-1:123456789012:function:function"
    memory_limit_in_mb = "128"

    def get_remaining_time_in_millis(self) -> int:
        return 30_000
