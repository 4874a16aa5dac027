"""Which field of AWS's payloads becomes which field of a request or a context."""

from __future__ import annotations

from typing import Any

import pytest

from portable_fn import (
    HTTPError,
    Message,
    Request,
)
from portable_fn.http import Principal
from portable_fn_aws import decode
from portable_fn_aws.simulate import LambdaContext
from tests.aws.samples import (
    ALB,
    ALB_BARE,
    ALB_MULTI,
    BAD,
    CALLER,
    CERTIFICATE,
    CLAIMS,
    CUSTOM,
    FUNCTION,
    HTTP_API,
    HTTP_API_BARE,
    IAM,
    LATTICE_1,
    LATTICE_1_QUERY,
    LATTICE_2,
    LATTICE_2_QUERY,
    LATTICE_IAM,
    NEW,
    NOW,
    REQUEST_ID,
    REST_API,
    REST_API_1,
    REST_API_1_DEFAULT,
    REST_API_BARE,
    REST_API_PATHLESS,
    REST_API_SINGLE,
    SNS_IN_SQS,
    SQS,
    UNPADDED,
    incoming,
    records,
    service_of,
)

REQUESTS: dict[str, tuple[str, dict[str, Any], Request[Any]]] = {
    "http_api": ("http_api", HTTP_API, Request(
        "POST", "/a%20b", "x=1&x=2", [("x-a", "1"), ("host", "h"), ("cookie", "c=1; d=2")], b"\x00", params={"x": "a b"},
        host="d.example", root_path="/prod", client_ip="192.0.2.1", principal=Principal("user-1", "jwt", CLAIMS), id="q-1",
        time=1700000000.123, native=HTTP_API,
    )),
    "http_api bare": ("http_api", HTTP_API_BARE, Request(id=NEW, time=NOW, native=HTTP_API_BARE)),
    "rest_api": ("rest_api", REST_API, Request(
        "PUT", "/a%20b", "q=a%20b&q=%C3%BC%26&e=", [("x-a", "1"), ("x-a", "2"), ("x-forwarded-proto", "http")], "é".encode(),
        params={"x": "a b"}, host="d.example", scheme="http", root_path="/prod", client_ip="192.0.2.2",
        principal=Principal("p", "custom", CUSTOM), id="q-2", time=1700000000.123, native=REST_API,
    )),
    "rest_api bare": ("rest_api", REST_API_BARE, Request(id=NEW, time=NOW, native=REST_API_BARE)),
    "rest_api with single values": ("rest_api", REST_API_SINGLE, Request(
        "GET", "/", "q=a", [("x-a", "1")], principal=Principal("CN=client", "mtls", CERTIFICATE), id=NEW, time=NOW,
        native=REST_API_SINGLE,
    )),
    "rest_api without a stage": ("rest_api", REST_API_PATHLESS, Request(
        "GET", "/prod/a", principal=Principal(IAM["userArn"], "iam", IAM), id=NEW, time=NOW, native=REST_API_PATHLESS,
    )),
    "payload 1.0": ("rest_api", REST_API_1, Request(
        "GET", "/50%25%20%C3%BC", params={"x": "50%25"}, root_path="/prod", principal=Principal("user-1", "jwt", CLAIMS), id=NEW,
        time=NOW, native=REST_API_1,
    )),
    "payload 1.0 without a stage": ("rest_api", REST_API_1_DEFAULT, Request(
        "GET", "/a/b", id=NEW, time=NOW, native=REST_API_1_DEFAULT,
    )),
    "alb": ("alb", ALB, Request(
        "PATCH", "/a%20b", "q=a%20b&r=", [("x-forwarded-for", "192.0.2.9, 192.0.2.3"), ("x-forwarded-proto", "http")], b"\x01",
        scheme="http", client_ip="192.0.2.3", id=NEW, time=NOW, native=ALB,
    )),
    "alb with many values": ("alb", ALB_MULTI, Request(
        "PATCH", "/a%20b", "q=1&q=2&r=3", [("x-a", "1"), ("x-a", "2")], b"\x01", id=NEW, time=NOW, native=ALB_MULTI,
    )),
    "alb bare": ("alb", ALB_BARE, Request(id=NEW, time=NOW, native=ALB_BARE)),
    "lattice_v1": ("lattice_v1", LATTICE_1, Request(
        "DELETE", "/a%20b", "x=1&y=2", [("x-forwarded-for", "192.0.2.4"), ("x-forwarded-proto", "http")], b"\x02", scheme="http",
        client_ip="192.0.2.4", id=NEW, time=NOW, native=LATTICE_1,
    )),
    "lattice_v1 with parameters": ("lattice_v1", LATTICE_1_QUERY, Request(
        "GET", "/", "x=a%20b", id=NEW, time=NOW, native=LATTICE_1_QUERY,
    )),
    "lattice_v2": ("lattice_v2", LATTICE_2, Request(
        "OPTIONS", "/a%20b", "x=1&y=2",
        [("x-forwarded-for", "192.0.2.5"), ("x-forwarded-proto", "http"), ("x-a", "1"), ("x-a", "2")], b"\x03", scheme="http",
        client_ip="192.0.2.5", principal=Principal(LATTICE_IAM["principal"], "iam", LATTICE_IAM), id=NEW, time=1700000000.123,
        native=LATTICE_2,
    )),
    "lattice_v2 with parameters": ("lattice_v2", LATTICE_2_QUERY, Request(
        "GET", "/", "x=a%20b&x=c", id=NEW, time=NOW, native=LATTICE_2_QUERY,
    )),
}  # fmt: skip


@pytest.mark.parametrize("name", REQUESTS)
def test_every_field_of_a_request_is_read(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: NOW)
    monkeypatch.setattr("portable_fn.http.new_id", lambda: NEW)
    service, native, expected = REQUESTS[name]
    actual = decode.read_request(native, service_of(native))
    names = (*(name for name in expected._fields if name != "headers"), "path", "native", "type")
    assert service == decode.http_service(native)
    assert list(expected.headers.multi_items()) == list(actual.headers.multi_items())
    assert {name: getattr(expected, name) for name in names} == {name: getattr(actual, name) for name in names}


def http_api(path: str = "/a", params: Any = None, **fields: Any) -> dict[str, Any]:
    return {"version": "2.0", "rawPath": path, "pathParameters": params,
            "requestContext": {"http": {"method": "GET"}, **fields}}  # fmt: skip


def rest_api(**fields: Any) -> dict[str, Any]:
    return {**REST_API_BARE, "requestContext": fields}


@pytest.mark.parametrize(
    ("native", "raw_path", "path", "root_path"),
    [
        (http_api("/prod", stage="prod"), "/", "/", "/prod"),
        (http_api("/production", stage="prod"), "/production", "/production", ""),
        (http_api("/$default/a", stage="$default"), "/$default/a", "/$default/a", ""),
        (http_api("/100%25"), "/100%2525", "/100%25", ""),
        (http_api("/100%25", domainName="x.lambda-url.r.on.aws"), "/100%25", "/100%", ""),
        (http_api("/a/:@!$&'()*+,;=-._~"), "/a/:@!$&'()*+,;=-._~", "/a/:@!$&'()*+,;=-._~", ""),
        (http_api("/ü/:@!$&'()*+,;=-._~"), "/%C3%BC/:@!$&'()*+,;=-._~", "/ü/:@!$&'()*+,;=-._~", ""),
        (http_api("/ü ?#[]\x7f"), "/%C3%BC%20%3F%23%5B%5D%7F", "/ü ?#[]\x7f", ""),
        ({**REST_API_1, "path": "/prodigy"}, "/prodigy", "/prodigy", "/prod"),
        ({**REST_API_1, "path": "/50%"}, "/50%25", "/50%", "/prod"),
    ],
)
def test_a_path_is_split_from_its_stage_and_encoded_once(
    native: dict[str, Any], raw_path: str, path: str, root_path: str
) -> None:
    request = decode.read_request(native, service_of(native))
    assert (raw_path, path, root_path) == (request.raw_path, request.path, request.root_path)


@pytest.mark.parametrize(
    ("native", "expected"),
    [
        (http_api(authorizer={"jwt": {"claims": {"scope": "a"}}}), Principal("", "jwt", {"scope": "a"})),
        (http_api(authorizer={"jwt": {"scopes": ["a"]}}), Principal("", "jwt", {})),
        (http_api(authorizer={"iam": IAM}), Principal(IAM["userArn"], "iam", IAM)),
        (http_api(authorizer={"iam": CALLER}), Principal("AIDA", "iam", CALLER)),
        (http_api(authorizer={"iam": {"x": 1}}), Principal("", "iam", {"x": 1})),
        (http_api(authorizer={"lambda": CUSTOM}), Principal("p", "custom", CUSTOM)),
        (http_api(authorizer={"lambda": {"key": 1}}), Principal("", "custom", {"key": 1})),
        (http_api(authorizer={"lambda": {}}), Principal("", "custom", {})),
        (http_api(authorizer={"lambda": None}), None),
        (http_api(authentication={"clientCert": CERTIFICATE}), Principal("CN=client", "mtls", CERTIFICATE)),
        (http_api(authentication={"clientCert": {"x": 1}}), Principal("", "mtls", {"x": 1})),
        (http_api(authentication={"clientCert": None}), None),
        (http_api(authentication={}), None),
        (http_api(authorizer=None, authentication={"clientCert": CERTIFICATE}), Principal("CN=client", "mtls", CERTIFICATE)),
        (rest_api(authorizer={"claims": {"scope": "a"}}), Principal("", "jwt", {"scope": "a"})),
        (rest_api(authorizer={"claims": {}, "key": 1}), Principal("", "custom", {"claims": {}, "key": 1})),
        (rest_api(authorizer={"key": 1}), Principal("", "custom", {"key": 1})),
        (rest_api(authorizer={"principalId": 7}), Principal("7", "custom", {"principalId": 7})),
        (rest_api(authorizer=CUSTOM, identity=IAM), Principal("p", "custom", CUSTOM)),
        (rest_api(authorizer={}, identity={**IAM, "clientCert": CERTIFICATE}),
         Principal(IAM["userArn"], "iam", {**IAM, "clientCert": CERTIFICATE})),
        (rest_api(identity={"userArn": None, "clientCert": {"x": 1}}), Principal("", "mtls", {"x": 1})),
        (rest_api(identity={"sourceIp": "192.0.2.1"}), None),
    ],
)  # fmt: skip
def test_the_principal_is_the_first_that_the_gateway_verified(
    native: dict[str, Any], expected: Principal | None
) -> None:
    assert expected == decode.read_request(native, service_of(native)).principal


@pytest.mark.parametrize(
    ("native", "expected"),
    [
        ({**HTTP_API_BARE, "version": "1.0"}, None),
        ({**HTTP_API_BARE, "routeArn": "arn"}, None),
        ({**HTTP_API_BARE, "methodArn": "arn"}, "http_api"),
        ({**REST_API_BARE, "methodArn": "arn"}, None),
        ({**REST_API_BARE, "routeArn": "arn"}, None),
        ({**REST_API_BARE, "requestContext": {"connectionId": "c"}}, None),
        ({"httpMethod": "GET", "requestContext": {}}, None),
        ({"resource": "/", "requestContext": {}}, None),
        ({**LATTICE_1, "requestContext": None}, "lattice_v1"),
        ({**LATTICE_1, "requestContext": {}}, None),
        ({"raw_path": "/"}, None),
        ({"method": "GET"}, None),
        ([HTTP_API_BARE], None),
        ("requestContext", None),
        (None, None),
    ],
)
def test_other_payloads_have_no_http_service(native: Any, expected: str | None) -> None:
    assert expected == decode.http_service(native)


@pytest.mark.parametrize(
    ("native", "words"),
    [
        ({}, "an object with no members"),
        ({"b": 1, "a": 2}, "an object with a, b:"),
        ({f"m{number:02}": 1 for number in range(21)}, "m18, m19:"),
        ([1], "the payload, a list"),
        (None, "the payload, a NoneType"),
    ],
)
def test_the_error_for_an_unknown_payload_shows_its_member_names(native: Any, words: str) -> None:
    assert decode.http_service(native) is None
    error = str(decode.unknown_payload(native))
    assert words in error and "(API Gateway REST and HTTP API" in error


@pytest.mark.parametrize(
    ("service", "native", "words"),
    [
        ("http_api", {**HTTP_API_BARE, "rawPath": None}, "TypeError"),
        ("http_api", {"requestContext": {}, "rawPath": "/"}, "KeyError 'http'"),
        (
            "http_api",
            {**HTTP_API_BARE, "requestContext": {"http": {"method": 7}}},
            "the method, path and query must be strings",
        ),
        ("http_api", {**HTTP_API_BARE, "rawQueryString": ["x"]}, "the method, path and query must be strings"),
        ("http_api", {**HTTP_API_BARE, "pathParameters": ["x"]}, "the path parameters must be an object"),
        ("http_api", {**HTTP_API_BARE, "body": UNPADDED, "isBase64Encoded": True}, "Error"),
        ("rest_api", {**REST_API_BARE, "httpMethod": None}, "the method, path and query must be strings"),
        ("rest_api", {**REST_API_BARE, "headers": {"x-a": 7}}, "the value of 'x-a' is a int"),
        ("rest_api", {**REST_API_BARE, "multiValueQueryStringParameters": {"q": [{}]}}, "the value of 'q' is a dict"),
        ("alb", {"httpMethod": "GET"}, "KeyError 'path'"),
        ("lattice_v1", {**LATTICE_1, "body": BAD}, "Error"),
        ("lattice_v2", {**LATTICE_2, "path": 7}, "AttributeError"),
    ],
)
def test_a_malformed_request_is_a_400_that_says_why(service: str, native: Any, words: str) -> None:
    with pytest.raises(HTTPError) as caught:
        decode.read_request(native, service)
    detail = str(caught.value.detail)
    assert 400 == caught.value.status
    assert detail.startswith(f"The {service} event can't be read: ") and words in detail


@pytest.mark.parametrize(
    ("epoch", "expected"),
    [
        ("9" * 19, (10**19 - 1) / 1000),
        ("9" * 20, NOW),
        ("-1", NOW),
        (10**400, NOW),
        (1500, 1.5),
        ("x", NOW),
        (None, NOW),
    ],
)
def test_a_time_with_too_many_digits_is_ignored(epoch: Any, expected: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: NOW)
    request = decode.read_request(rest_api(requestTimeEpoch=epoch), "rest_api")
    assert expected == request._time


SPAN, ROOT = "53995c3f42cd8ad8", "1-5759e988-bd862e3fe1be46a994272793"
TRACE = f"00-5759e988bd862e3fe1be46a994272793-{SPAN}"
SENT = f"00-0af7651916cd43dd8448eb211c80319c-{SPAN}-01"


@pytest.mark.parametrize(
    ("attributes", "environment", "expected"),
    [
        ({"x-amzn-trace-id": f"Root={ROOT};Parent={SPAN};Sampled=1"}, None, f"{TRACE}-01"),
        ({"x-amzn-trace-id": f"Self=x; Sampled=0; Parent={SPAN}; Root={ROOT}; Lineage=a=b"}, None, f"{TRACE}-00"),
        ({"x-amzn-trace-id": f"Root={ROOT};Parent={SPAN};Sampled=?"}, None, f"{TRACE}-00"),
        ({"x-amzn-trace-id": f"Root={ROOT};Parent={SPAN}"}, None, f"{TRACE}-00"),
        ({"x-amzn-trace-id": f"Root={ROOT};Sampled=1"}, None, "None"),
        ({"x-amzn-trace-id": f"Parent={SPAN};Sampled=1"}, None, "None"),
        ({"x-amzn-trace-id": f"Root=2{ROOT[1:]};Parent={SPAN}"}, None, "None"),
        ({"x-amzn-trace-id": f"Root={ROOT};Root;Parent={SPAN}"}, None, "None"),
        ({"x-amzn-trace-id": "Root"}, None, "None"),
        ({"x-amzn-trace-id": b"\xff"}, None, "None"),
        ({}, None, "None"),
        ({}, f"Root={ROOT};Parent={SPAN};Sampled=1", f"{TRACE}-01"),
        ({"x-amzn-trace-id": f"Root={ROOT};Parent={SPAN}"}, f"Root={ROOT};Parent={SPAN};Sampled=1", f"{TRACE}-00"),
        ({"traceparent": SENT, "x-amzn-trace-id": f"Root={ROOT};Parent={SPAN}"}, None, SENT),
        (None, f"Root={ROOT};Parent={SPAN};Sampled=1", f"{TRACE}-01"),
        (None, None, "None"),
    ],
)
def test_an_x_ray_trace_becomes_a_w3c_trace(
    attributes: Any, environment: str | None, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("_X_AMZN_TRACE_ID", raising=False)
    if environment is not None:
        monkeypatch.setenv("_X_AMZN_TRACE_ID", environment)
    ctx = decode.AWSContext(LambdaContext(), False)
    ctx.event = None if attributes is None else Message("m", "q", b"", attributes=attributes)
    assert expected == str(ctx.trace)


def test_the_x_ray_trace_of_an_sqs_message_and_of_its_sns_message_is_carried() -> None:
    header = f"Root={ROOT};Parent={SPAN};Sampled=1"
    for native in (SQS, SNS_IN_SQS):
        (event,) = incoming(records(native, attributes={**native["attributes"], "AWSTraceHeader": header})).items
        assert isinstance(event, Message)
        assert {**event.attributes, "x-amzn-trace-id": header} == event.carrier
    broken: Any
    for broken in ([], None, "x"):
        (event,) = incoming(records(SQS, attributes=broken)).items
        assert isinstance(event, Message) and event.attributes == event.carrier


def test_the_context_has_lambdas_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-north-1")
    monkeypatch.setattr("time.time", lambda: NOW)
    native: Any = LambdaContext(30, "named")
    native.function_version = "7"
    ctx = decode.AWSContext(native, False)
    assert ("aws", REQUEST_ID, "named", "7", FUNCTION, "eu-north-1", False, native, NOW + 30, None) == (
        ctx.provider, ctx.invocation_id, ctx.function, ctx.version, ctx.arn, ctx.region, ctx.cold_start, ctx.native,
        ctx._deadline_seconds, ctx.trace,
    )  # fmt: skip
    monkeypatch.delenv("AWS_REGION")
    assert ("", True) == (
        decode.AWSContext(native, True).region,
        decode.AWSContext(native, True).cold_start,
    )
