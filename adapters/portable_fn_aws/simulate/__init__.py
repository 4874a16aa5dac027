"""Simulate AWS's HTTP services: render the payload of a request, and read the answer as its caller gets it."""

from __future__ import annotations

import time
from base64 import b64decode, b64encode
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote

from portable_fn.errors import EncodeError
from portable_fn.http import Request
from portable_fn.pairs import Headers
from portable_fn.testing.results import Answer, Exchange, Raised
from portable_fn_aws.entry import entry
from portable_fn_aws.limits import ALB, LAMBDA, json_size
from portable_fn_aws.simulate.events import EVENT_SERVICES, default_service, function_name, payloads
from portable_fn_aws.simulate.queues import playing
from portable_fn_aws.simulate.results import results

if TYPE_CHECKING:
    from portable_fn.adapter.calling import Middleware

__all__ = [
    "ADDED",
    "EVENT_SERVICES",
    "SERVICES",
    "LambdaContext",
    "answer",
    "default_service",
    "exchange",
    "invoker",
    "payload",
    "payloads",
    "playing",
    "results",
]

SERVICES = ("http_api", "function_url", "rest_api", "alb", "alb_multi_value", "lattice_v1", "lattice_v2")

# The headers that the services add to a request.
ADDED = ("host", "x-forwarded-for", "x-forwarded-proto")


class LambdaContext:
    """The context that awslambdaric passes."""

    def __init__(self, seconds: float = 30, function_name: str = "function") -> None:
        self.aws_request_id = "00000000-0000-4000-8000-000000000001"
        self.function_name = function_name
        self.function_version = "$LATEST"
        self.invoked_function_arn = "arn:aws:lambda:eu-central-1:123456789012:function:function"
        self.memory_limit_in_mb = "128"
        self.log_group_name = "/aws/lambda/function"
        self.log_stream_name = "2026/01/02/[$LATEST]0"
        self._deadline = time.time() + seconds

    def get_remaining_time_in_millis(self) -> int:
        return max(int((self._deadline - time.time()) * 1000), 0)


def exchange(
    targets: tuple[object, ...],
    request: Request[Any],
    service: str,
    *,
    use: Sequence[Middleware] = (),
    root_path: str = "",
) -> Exchange:
    """Prepare the exchange of a request through one of SERVICES."""
    handler, native = entry(*targets, use=use, root_path=root_path), payload(request, service)
    return Exchange(native, lambda: handler(native, LambdaContext()), lambda result: answer(result, service))


def invoker(targets: tuple[object, ...], service: str, seconds: float = 30) -> Callable[[Any], Any]:
    """Return a function that invokes the functions with a payload; it returns their errors as Raised."""
    handler = entry(*targets)

    def invoke(native: Any) -> Any:
        try:
            answer = handler(native, LambdaContext(seconds, function_name(native)))
            if (size := json_size(answer)) > LAMBDA:
                raise EncodeError(f"Function.ResponseSizeTooLarge: the answer has {size} bytes; Lambda takes {LAMBDA}")
            return answer
        except Exception as exc:
            return Raised.of(exc)

    return invoke


def payload(request: Request[Any], service: str) -> dict[str, Any]:
    """Render the service's payload of a request."""
    return _PAYLOADS[service](request)


def answer(native: Any, service: str) -> Answer:
    """Return what the caller receives for a function's answer.

    Raises:
        EncodeError: The service would refuse the answer with 502, or ignore a part of it.
    """
    max_bytes = ALB if service.startswith("alb") else LAMBDA
    if (size := json_size(native)) > max_bytes:
        raise EncodeError(f"{service} would answer 502: the answer has {size} bytes; the limit is {max_bytes}")
    if not isinstance(native, dict) or not isinstance(native.get("statusCode"), int):
        raise EncodeError(f"{service} would answer 502: statusCode is missing in {native!r}")
    pairs = [(name.lower(), value) for name, value in (native.get("headers") or {}).items()]
    for name, values in (native.get("multiValueHeaders") or {}).items():
        pairs = [pair for pair in pairs if pair[0] != name.lower()] + [(name.lower(), value) for value in values]
    pairs += [("set-cookie", cookie) for cookie in native.get("cookies") or ()]
    _check_for(service, native)
    body = native.get("body") or ""
    raw = b64decode(body, validate=True) if native.get("isBase64Encoded") else body.encode()
    return Answer(native["statusCode"], Headers(pairs), raw)


def _check_for(service: str, native: dict[str, Any]) -> None:
    """Raise EncodeError for members that the service ignores."""
    if "cookies" in native and service not in ("http_api", "function_url"):
        raise EncodeError(f"{service} ignores cookies")
    if "multiValueHeaders" in native and service not in ("rest_api", "alb_multi_value"):
        raise EncodeError(f"{service} ignores multiValueHeaders")
    if "headers" in native and service == "alb_multi_value":
        raise EncodeError("a load balancer with multi-value headers ignores headers")


def _http_api(request: Request[Any]) -> dict[str, Any]:
    return _version_2(request, unquote(request.raw_path), "id.execute-api.eu-central-1.amazonaws.com")


def _function_url(request: Request[Any]) -> dict[str, Any]:
    return _version_2(request, request.raw_path, "id.lambda-url.eu-central-1.on.aws")


def _version_2(request: Request[Any], path: str, domain: str) -> dict[str, Any]:
    lines = _lines(request)
    headers = Headers(line for line in lines if line[0] != "cookie")
    text, is_base64 = _body(request)
    cookies = [cookie for name, value in lines if name == "cookie" for cookie in value.split("; ")]
    event = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": request.raw_query,
        # API Gateway joins repeated headers with a comma and no space.
        "headers": {name: ",".join(headers.get_all(name)) for name in headers},
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "id",
            "domainName": request.host if "execute-api" in domain else domain,
            "http": {
                "method": request.method,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": request.client_ip,
                "userAgent": request.headers.get("user-agent", ""),
            },
            "requestId": request.id,
            "routeKey": "$default",
            "stage": "$default",
            "time": request.time.strftime("%d/%b/%Y:%H:%M:%S +0000"),
            "timeEpoch": round(request.time.timestamp() * 1000),
        },
        "isBase64Encoded": is_base64,
    }
    if cookies:
        event["cookies"] = cookies
    if text:
        event["body"] = text
    if request.raw_query:
        event["queryStringParameters"] = _joined(request.raw_query)
    if request.params:
        event["pathParameters"] = request.params
    return event


def _rest_api(request: Request[Any]) -> dict[str, Any]:
    text, is_base64 = _body(request)
    headers = Headers(_lines(request))
    query = _grouped(parse_qsl(request.raw_query, keep_blank_values=True))
    # A root path is a custom domain's base path: the payload's path starts with it and lacks the stage.
    path = request.root_path + request.raw_path
    rest = request.raw_path[1:]
    resource = "/{proxy+}" if rest else "/"
    return {
        "resource": resource,
        "path": path,
        "httpMethod": request.method,
        "headers": {name: headers.get_all(name)[-1] for name in headers} or None,
        "multiValueHeaders": {name: headers.get_all(name) for name in headers} or None,
        "queryStringParameters": {name: values[-1] for name, values in query.items()} or None,
        "multiValueQueryStringParameters": query or None,
        "pathParameters": request.params or ({"proxy": rest} if rest else None),
        "stageVariables": None,
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "id",
            "domainName": request.host,
            "httpMethod": request.method,
            "identity": {"sourceIp": request.client_ip, "userAgent": headers.get("user-agent")},
            "path": path if request.root_path else f"/prod{path}",
            "requestId": request.id,
            "requestTimeEpoch": round(request.time.timestamp() * 1000),
            "resourcePath": resource,
            "stage": "prod",
        },
        "body": text or None,
        "isBase64Encoded": is_base64,
    }


def _alb(request: Request[Any]) -> dict[str, Any]:
    event = _alb_base(request)
    headers = Headers(_lines(request))
    event["headers"] = {name: headers.get_all(name)[-1] for name in headers}
    event["queryStringParameters"] = {name: values[-1] for name, values in _raw_query(request).items()}
    return event


def _alb_multi_value(request: Request[Any]) -> dict[str, Any]:
    event = _alb_base(request)
    headers = Headers(_lines(request))
    event["multiValueHeaders"] = {name: headers.get_all(name) for name in headers}
    event["multiValueQueryStringParameters"] = _raw_query(request)
    return event


def _alb_base(request: Request[Any]) -> dict[str, Any]:
    text, is_base64 = _body(request)
    arn = "arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/function/0123456789abcdef"
    return {
        "requestContext": {"elb": {"targetGroupArn": arn}},
        "httpMethod": request.method,
        "path": request.raw_path,
        "body": text,
        "isBase64Encoded": is_base64,
    }


def _lattice_v1(request: Request[Any]) -> dict[str, Any]:
    text, is_base64 = _body(request)
    headers = Headers(_lines(request))
    return {
        "raw_path": f"{request.raw_path}?{request.raw_query}" if request.raw_query else request.raw_path,
        "method": request.method,
        "headers": dict(headers),
        "query_string_parameters": _joined(request.raw_query),
        "body": text,
        "is_base64_encoded": is_base64,
    }


def _lattice_v2(request: Request[Any]) -> dict[str, Any]:
    text, is_base64 = _body(request)
    headers = Headers(_lines(request))
    network = "arn:aws:vpc-lattice:eu-central-1:123456789012:servicenetwork/sn-0123456789abcdef0"
    return {
        "version": "2.0",
        "path": request.raw_path,
        "method": request.method,
        "headers": {name: headers.get_all(name) for name in headers},
        "queryStringParameters": _grouped(parse_qsl(request.raw_query, keep_blank_values=True)),
        "requestContext": {
            "serviceNetworkArn": network,
            "serviceArn": network.replace("servicenetwork/sn-", "service/svc-"),
            "targetGroupArn": network.replace("servicenetwork/sn-", "targetgroup/tg-"),
            "identity": {"sourceVpcArn": "arn:aws:ec2:eu-central-1:123456789012:vpc/vpc-0123456789abcdef0"},
            "region": "eu-central-1",
            "timeEpoch": str(round(request.time.timestamp() * 1_000_000)),
        },
        "body": text,
        "isBase64Encoded": is_base64,
    }


_PAYLOADS = {
    "http_api": _http_api,
    "function_url": _function_url,
    "rest_api": _rest_api,
    "alb": _alb,
    "alb_multi_value": _alb_multi_value,
    "lattice_v1": _lattice_v1,
    "lattice_v2": _lattice_v2,
}


def _lines(request: Request[Any]) -> list[tuple[str, str]]:
    """Return the header lines that reach the function: with the host, and the client that the service's proxy adds."""
    pairs = [
        pair
        for pair in request.headers.multi_items()
        if pair[0] not in ("host", "x-forwarded-for", "x-forwarded-proto")
    ]
    forwarded = [*request.headers.get_all("x-forwarded-for"), request.client_ip or ""]
    return [
        ("host", request.host),
        ("x-forwarded-for", ", ".join(forwarded)),
        ("x-forwarded-proto", request.scheme),
        *pairs,
    ]


def _body(request: Request[Any]) -> tuple[str, bool]:
    """Return the body and whether it is base64: the services send textual types as text if they are UTF-8."""
    if not request.raw_body:
        return "", False
    if request.content_type.startswith("text/") or request.content_type in ("application/json", ""):
        try:
            return request.raw_body.decode(), False
        except UnicodeDecodeError:
            pass
    return b64encode(request.raw_body).decode(), True


def _grouped(pairs: list[tuple[str, str]]) -> dict[str, list[str]]:
    grouped: dict[str, list[str]] = {}
    for name, value in pairs:
        grouped.setdefault(name, []).append(value)
    return grouped


def _raw_query(request: Request[Any]) -> dict[str, list[str]]:
    parts = [part.partition("=") for part in request.raw_query.split("&") if part]
    return _grouped([(name, value) for name, _, value in parts])


def _joined(raw_query: str) -> dict[str, str]:
    return {name: ",".join(values) for name, values in _grouped(parse_qsl(raw_query, keep_blank_values=True)).items()}
