"""Decode the requests of AWS's HTTP services, and Lambda's context.

https://docs.aws.amazon.com/lambda/latest/dg/lambda-services.html
"""

from __future__ import annotations

import os
import time
from binascii import a2b_base64

from portable_fn.context import Context
from portable_fn.errors import DecodeError, HTTPError
from portable_fn.http import Principal, Request, forwarded_for, forwarded_scheme
from portable_fn.pairs import Headers, unquoted
from portable_fn.record import lazy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from portable_fn.trace import Trace
    from portable_fn_aws.native import LambdaContext, Payload

_KNOWN = "API Gateway REST and HTTP API, function URL, ALB, VPC Lattice v1 and v2"


def http_service(payload: Any) -> str | None:
    """Return the service whose request the payload is; None if it isn't a request."""
    if isinstance(payload, dict):
        context = payload.get("requestContext")
        if isinstance(context, dict):
            # An authorizer's payload has the whole request next to its ARN; a WebSocket event may have httpMethod.
            if "http" in context and payload.get("version") == "2.0" and "routeArn" not in payload:
                return "http_api"
            if "methodArn" not in payload and "routeArn" not in payload and "connectionId" not in context:
                if "elb" in context:
                    return "alb"
                if "serviceNetworkArn" in context:
                    return "lattice_v2"
                if "httpMethod" in payload and "resource" in payload:
                    return "rest_api"
        elif "raw_path" in payload and "method" in payload:
            return "lattice_v1"
    return None


def unknown_payload(payload: Any) -> DecodeError:
    """Return the error for a payload that isn't a request, if all functions take requests."""
    if isinstance(payload, dict):
        seen = f"an object with {', '.join(sorted(map(str, payload))[:20]) or 'no members'}"
    else:
        seen = f"a {type(payload).__name__}"
    return DecodeError(f"no function takes the payload, {seen}: they all take requests ({_KNOWN})")


class HTTPAPIRequest(Request):
    """A request of payload 2.0, from an HTTP API or a function URL; its less used parts are decoded on access."""

    native: Payload

    def __init__(self, payload: Payload) -> None:
        context = payload["requestContext"]
        path = payload["rawPath"]
        root_path = ""
        stage = context.get("stage", "$default")
        if stage != "$default" and (path.startswith(f"/{stage}/") or path == f"/{stage}"):
            root_path = f"/{stage}"
            path = path[len(root_path) :] or "/"
        # An HTTP API decodes the path, a function URL doesn't.
        if "%" in path and ".lambda-url." in (_word(context.get("domainName")) or ""):
            self.raw_path, self.path = path, unquoted(path)
        else:
            self.raw_path, self.path = _encoded(path), path
        self.root_path = root_path
        self.raw_query = payload.get("rawQueryString") or ""
        self.method = context["http"]["method"]
        self.scheme = "https"
        params = payload.get("pathParameters")
        if params:
            self._params = params.copy()
            # The routeKey is a method and a template: "GET /items/{id}".
            self._template = str(payload.get("routeKey")).partition(" ")[2]
        else:
            self._params = {}
        body = payload.get("body")
        self.raw_body = _body(body, payload.get("isBase64Encoded")) if body else b""
        has_principal = "authorizer" in context or "authentication" in context
        self._principal = _http_api_principal(context) if has_principal else None
        self.native = payload

    @lazy
    def _headers(self) -> Headers:
        headers = self.native.get("headers") or {}
        "".join(headers.values())  # raises TypeError if a value isn't a string
        # The services write names in lower case; hand-written events and emulators may not.
        if (names := "".join(headers)) != names.lower():
            headers = {name.lower(): value for name, value in headers.items()}
        # Payload 2.0 moves cookies out of the headers; put them back.
        if cookies := self.native.get("cookies"):
            headers = {**headers, "cookie": "; ".join(cookies)}
        return Headers.lowered(headers)

    @lazy
    def _host(self) -> str | None:
        return _word(self.native["requestContext"].get("domainName"))

    @lazy
    def _client_ip(self) -> str | None:
        return _word(self.native["requestContext"]["http"].get("sourceIp"))

    @lazy
    def _id(self) -> str | None:
        return _word(self.native["requestContext"].get("requestId"))

    @lazy
    def _time(self) -> float:
        seconds = _seconds(self.native["requestContext"].get("timeEpoch"), 1000)
        return time.time() if seconds is None else seconds


def rest_api(payload: Payload) -> Request:
    """Decode a request of a REST API, or of an HTTP API with payload 1.0, which has a `version` and decodes the path."""
    context = payload["requestContext"]
    identity = _object(context.get("identity"))
    decoded = payload.get("version") == "1.0"
    root_path, path = _split_path(payload, context, decoded)
    if decoded:
        root_path, path = _encoded(root_path), _encoded(path)
    params = payload.get("pathParameters") or {}
    headers = _multi_headers(payload)
    request = Request(
        payload["httpMethod"],
        path,
        _query(_multi(payload, "multiValueQueryStringParameters", "queryStringParameters")),
        headers,
        _body(payload.get("body"), payload.get("isBase64Encoded")),
        params=params.copy() if decoded else {name: unquoted(value) for name, value in params.items()},
        host=_word(context.get("domainName")),
        scheme=forwarded_scheme(headers, "https"),
        root_path=root_path,
        client_ip=_word(identity.get("sourceIp")),
        principal=_rest_api_principal(context),
        id=_word(context.get("requestId")),
        time=_seconds(context.get("requestTimeEpoch"), 1000),
        native=payload,
    )
    if params:
        request._template = str(payload["resource"])
    return request


def _split_path(payload: Payload, context: Mapping[str, Any], decoded: bool) -> tuple[str, str]:
    """Split the client's path into the root path (a stage or a custom domain's base path) and the rest.

    On the API's own domain `path` is the rest, and the context's path is the stage and the rest. On a custom domain both start
    with the base path, and the context's path with the stage too if the mapping names no stage: only `resource` tells where the
    rest starts. With payload 1.0 of an HTTP API, both start with the stage. Sources: localstack/localstack#12296, aws-powertools/powertools-lambda-python#579.
    """
    path: str = payload["path"]
    whole = str(context.get("path") or "")
    stage = f"/{context['stage']}" if context.get("stage") else ""
    if stage and whole == stage + path:
        return stage, path
    base = _base_path(payload, path, decoded)
    if base is None and payload["resource"] == context.get("resourcePath") == "/" and whole == path:
        base = path.removesuffix("/")
    if base is not None:
        rest = path[len(base) :] or "/"
        if whole == path or not whole.endswith(rest):
            return base, rest
        return whole[: -len(rest)], rest
    has_stage = bool(stage) and (whole == stage or whole.startswith(f"{stage}/"))
    if has_stage and decoded and path.startswith(f"{stage}/"):
        return stage, path[len(stage) :]
    return stage if has_stage and whole != path else "", path


def _base_path(payload: Payload, path: str, decoded: bool) -> str | None:
    """Return the path before the resource with its parameters; None if the path doesn't end with the resource."""
    end = _filled(str(payload["resource"]), payload.get("pathParameters") or {})
    if not end:
        return None
    if path.endswith(end):
        return path[: -len(end)]
    # Resource and parameters may lack the path's final slash: floci-io/floci#1863.
    if path.endswith(f"{end}/"):
        return path[: -len(end) - 1]
    if decoded or "%" not in path:
        return None
    # The path and its parameters may be encoded in different ways.
    plain = unquoted(path).removesuffix("/")
    for wanted in (end, unquoted(end)):
        if plain.endswith(wanted):
            before = plain[: -len(wanted)]
            base = "/".join(path.split("/")[: before.count("/") + 1])
            return base if unquoted(base) == before else None
    return None


def _filled(resource: str, params: Mapping[str, Any]) -> str:
    """Return the resource with its parameters filled in; "" for the root, or if a parameter is missing."""
    parts = resource.split("/")[1:]
    for number, part in enumerate(parts):
        if part[:1] == "{":
            # Lambda's test event has a slash at the start of {proxy+}'s value.
            parts[number] = str(params.get(part[1:-1].removesuffix("+"), "")).removeprefix("/")
    return "/" + "/".join(parts) if all(parts) and parts else ""


def alb(payload: Payload) -> Request:
    """Decode a request of a load balancer, with single- or multi-value headers; it sends the query encoded."""
    headers = _multi_headers(payload)
    pairs = _multi(payload, "multiValueQueryStringParameters", "queryStringParameters")
    return Request(
        payload["httpMethod"],
        payload["path"],
        "&".join(f"{name}={value}" for name, value in pairs),
        headers,
        _body(payload.get("body"), payload.get("isBase64Encoded")),
        scheme=forwarded_scheme(headers, "https"),
        client_ip=forwarded_for(headers),
        native=payload,
    )


def lattice_v1(payload: Payload) -> Request:
    """Decode a request of VPC Lattice with event structure 1: snake case, the query in `raw_path`."""
    headers = Headers(_flat(payload.get("headers")))
    path, _, query = payload["raw_path"].partition("?")
    return Request(
        payload["method"],
        path or "/",
        query or _query(_flat(payload.get("query_string_parameters"))),
        headers,
        _body(payload.get("body"), payload.get("is_base64_encoded")),
        scheme=forwarded_scheme(headers, "https"),
        client_ip=forwarded_for(headers),
        native=payload,
    )


def lattice_v2(payload: Payload) -> Request:
    """Decode a request of VPC Lattice with event structure 2: header and query values are lists or strings."""
    context = payload["requestContext"]
    headers = Headers(_flat(payload.get("headers")))
    path, _, query = payload["path"].partition("?")
    identity = _object(context.get("identity"))
    return Request(
        payload["method"],
        path or "/",
        query or _query(_flat(payload.get("queryStringParameters"))),
        headers,
        _body(payload.get("body"), payload.get("isBase64Encoded")),
        scheme=forwarded_scheme(headers, "https"),
        client_ip=forwarded_for(headers),
        principal=Principal(identity["principal"], "iam", identity) if identity.get("type") == "AWS_IAM" else None,
        # A string of microseconds.
        time=_seconds(context.get("timeEpoch"), 1_000_000),
        native=payload,
    )


_REQUESTS = {
    "http_api": HTTPAPIRequest,
    "rest_api": rest_api,
    "alb": alb,
    "lattice_v1": lattice_v1,
    "lattice_v2": lattice_v2,
}


def read_request(payload: Payload, name: str) -> Request:
    """Decode the request of a service.

    Raises:
        HTTPError: 400, a part of the payload is malformed.
    """
    try:
        request = _REQUESTS[name](payload)
        if not type(request.method) is type(request.raw_path) is type(request.raw_query) is str:
            raise TypeError("the method, path and query must be strings")
        if type(request._params) is not dict:
            raise TypeError("the path parameters must be an object")
    except (KeyError, TypeError, AttributeError, ValueError) as exc:
        raise HTTPError(400, f"The {name} event can't be read: {type(exc).__name__} {exc}.") from exc
    return request


def read_parts(payload: Payload) -> Request:
    """Decode the readable parts of a malformed request: method, path, headers."""
    context = payload.get("requestContext")
    http = context.get("http") if isinstance(context, dict) else None
    methods = (http.get("method") if isinstance(http, dict) else None, payload.get("httpMethod"), payload.get("method"))
    paths = (payload.get("rawPath"), payload.get("path"), payload.get("raw_path"))
    headers = {}
    for many in (payload.get("headers"), payload.get("multiValueHeaders")):
        for name, value in many.items() if isinstance(many, dict) else ():
            first = value[0] if isinstance(value, list) and value else value
            if isinstance(name, str) and isinstance(first, str):
                headers[name] = first
    return Request(
        next((method for method in methods if isinstance(method, str)), "GET"),
        next((path for path in paths if isinstance(path, str)), "/"),
        headers=headers,
        native=payload,
    )


# A year in milliseconds. No Lambda function runs that long: if more time remains, a mock sent it, or there is no limit.
_YEAR = 366 * 24 * 3600 * 1000


class AWSContext(Context):
    """The context of an invocation, read from Lambda's context on access.

    Tests and emulators may pass None, a mock, or a partial context: a missing field is "" or None.
    """

    native: LambdaContext

    def __init__(self, native: LambdaContext | None, cold_start: bool) -> None:
        self.provider = "aws"
        self.native = native  # type: ignore[assignment]  # _text takes None
        self.cold_start = cold_start
        self.invocation_id = _text(native, "aws_request_id")

    @lazy
    def function(self) -> str:
        return _text(self.native, "function_name")

    @lazy
    def version(self) -> str:
        return _text(self.native, "function_version")

    @lazy
    def arn(self) -> str:
        return _text(self.native, "invoked_function_arn")

    @lazy
    def region(self) -> str:
        return os.environ.get("AWS_REGION", "")

    @lazy
    def _deadline_seconds(self) -> float | None:
        try:
            left: Any = self.native.get_remaining_time_in_millis()
        except Exception:
            return None
        if type(left) not in (int, float) or not -_YEAR < left < _YEAR:
            return None
        return time.time() + float(left) / 1000

    @lazy
    def trace(self) -> Trace | None:
        return trace(self._carrier)


def _text(native: object, name: str) -> str:
    """Return a string of Lambda's context; "" if it is missing."""
    try:
        value = getattr(native, name, "")
    except Exception:
        return ""
    return value if isinstance(value, str) else ""


def trace(carrier: Mapping[str, Any]) -> Trace | None:
    """Return the caller's trace: `traceparent`, otherwise `X-Amzn-Trace-Id`, otherwise Lambda's environment variable."""
    from portable_fn.trace import caller_trace

    return caller_trace(carrier) or _x_ray(carrier.get("x-amzn-trace-id")) or _x_ray(os.environ.get("_X_AMZN_TRACE_ID"))


def _x_ray(value: object) -> Trace | None:
    """Read X-Ray's `Root=1-EPOCH-RANDOM;Parent=SPAN;Sampled=1`; its ids are W3C's with dashes."""
    from portable_fn.trace import make_trace

    if not isinstance(value, str):
        return None
    parts = [part.strip().partition("=") for part in value.split(";", 20)]
    fields = {name: text for name, _, text in parts}
    version, _, trace_id = fields.get("Root", "").partition("-")
    if version != "1":
        return None
    return make_trace(trace_id.replace("-", ""), fields.get("Parent", ""), fields.get("Sampled") == "1")


def _http_api_principal(context: Mapping[str, Any]) -> Principal | None:
    authorizer = _object(context.get("authorizer"))
    if jwt := authorizer.get("jwt"):
        claims = jwt.get("claims") or {}
        return Principal(str(claims.get("sub", "")), "jwt", claims)
    if iam := authorizer.get("iam"):
        return Principal(iam.get("userArn") or iam.get("callerId") or "", "iam", iam)
    if (custom := authorizer.get("lambda")) is not None:
        return Principal(str((custom or {}).get("principalId", "")), "custom", custom or {})
    return _certificate((context.get("authentication") or {}).get("clientCert"))


def _rest_api_principal(context: Mapping[str, Any]) -> Principal | None:
    authorizer = _object(context.get("authorizer"))
    identity = _object(context.get("identity"))
    # Cognito's authorizer sets `claims`; a custom one may set it too, but not to an object.
    claims = authorizer.get("claims")
    if claims and isinstance(claims, dict):
        return Principal(str(claims.get("sub", "")), "jwt", claims)
    if authorizer:
        return Principal(str(authorizer.get("principalId", "")), "custom", authorizer)
    if arn := identity.get("userArn"):
        return Principal(arn, "iam", identity)
    return _certificate(identity.get("clientCert"))


def _certificate(certificate: Mapping[str, Any] | None) -> Principal | None:
    return Principal(certificate.get("subjectDN", ""), "mtls", certificate) if certificate else None


def _word(value: object) -> str | None:
    """Return the value if it is a string, otherwise None."""
    return value if isinstance(value, str) else None


def _object(value: Any) -> Mapping[str, Any]:
    """Return the value if it is an object, otherwise an empty one."""
    return value if isinstance(value, dict) else {}


def _multi(payload: Payload, many: str, single: str) -> list[tuple[str, str]]:
    """Return the pairs of a field with lists, or of its sibling with single values; either may be null."""
    return _flat(payload.get(many)) or _flat(payload.get(single))


def _multi_headers(payload: Payload) -> Headers:
    return Headers(_multi(payload, "multiValueHeaders", "headers"))


def _flat(values: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    """Return the pairs of a mapping whose values are strings, lists of strings, or null; raise TypeError for others."""
    pairs = []
    for name, value in (values or {}).items():
        for item in value if isinstance(value, list) else [value]:
            if not isinstance(item, str) and item is not None:
                raise TypeError(f"the value of {name!r} is a {type(item).__name__}")
            pairs.append((name, item or ""))
    return pairs


def _query(pairs: list[tuple[str, str]]) -> str:
    """Return the query string of decoded pairs."""
    if not pairs:
        return ""
    from urllib.parse import quote, urlencode

    return urlencode(pairs, quote_via=quote)


_ENCODED = frozenset(' "#%<>?[\\]^`{|}')


def _encoded(path: str) -> str:
    if path.isascii() and path.isprintable() and _ENCODED.isdisjoint(path):
        return path
    from urllib.parse import quote

    return quote(path, safe="/:@!$&'()*+,;=-._~")


def _seconds(epoch: object, units: int) -> float | None:
    """Return the seconds of a time in fractions of a second since the epoch; None if it isn't a number.

    Args:
        units: The number of fractions in a second.
    """
    if isinstance(epoch, str) and epoch.isdecimal() and len(epoch) < 20:
        epoch = int(epoch)
    try:
        return epoch / units  # type: ignore[operator]  # the except clause checks
    except (TypeError, OverflowError):
        return None


def _body(body: str | None, is_base64: bool | None) -> bytes:
    if not body:
        return b""
    return a2b_base64(body, strict_mode=True) if is_base64 else body.encode()
