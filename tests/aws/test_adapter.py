"""Answer HTTP payloads, beyond the stories."""

from __future__ import annotations

import asyncio
import copy
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portable_fn import Context, DecodeError, Message, Reject, Request, Response, ScheduleEvent, Task, portable
from portable_fn.testing import fake
from portable_fn.testing.stories import app
from portable_fn_aws import decode, entry
from portable_fn_aws.simulate import SERVICES, LambdaContext, payload, payloads

CORPUS = Path(__file__).parents[3] / "shared" / "corpora"


@portable
def echo(request: Request, ctx: Context) -> dict[str, Any]:
    principal = request.principal
    return {
        "method": request.method,
        "path": request.raw_path,
        "root_path": request.root_path,
        "url": request.url,
        "query": list(request.query.multi_items()),
        "cookies": list(request.cookies.multi_items()),
        "headers": dict(request.headers),
        "client_ip": request.client_ip,
        "params": request.params,
        "principal": principal and [principal.id, principal.scheme, principal.claims],
        "body": request.body.hex(),
        "time": request.time,
        "trace": ctx.trace and str(ctx.trace),
        "region": ctx.region,
        "version": ctx.version,
    }


def seen(event: dict[str, Any]) -> Any:
    native = echo(event, LambdaContext())
    assert native["statusCode"] == 200, native
    return json.loads(native["body"])


def http_api(**fields: Any) -> dict[str, Any]:
    event = payload(fake.request("GET", "/a"), "http_api")
    for name, value in fields.items():
        if isinstance(value, dict) and name in event:
            event[name] = {**event[name], **value}
        else:
            event[name] = value
    return event


def rest_api(**fields: Any) -> dict[str, Any]:
    event = payload(fake.request("GET", "/a"), "rest_api")
    context = fields.pop("requestContext", {})
    event["requestContext"] = {**event["requestContext"], **context}
    return {**event, **fields}


def test_a_null_in_place_of_an_object_is_empty() -> None:
    nulls = dict.fromkeys(
        ["headers", "multiValueHeaders", "queryStringParameters", "multiValueQueryStringParameters", "pathParameters"]
    )
    assert seen(rest_api(**nulls, body=None))["headers"] == {}
    assert seen(http_api(**{**nulls, "cookies": None}, body=None, isBase64Encoded=None))["params"] == {}
    identity = {"identity": None, "authorizer": None}
    assert seen(rest_api(requestContext=identity))["principal"] is None
    alb = payload(fake.request(), "alb_multi_value")
    assert seen({**alb, "multiValueHeaders": None, "headers": None, "body": None})["headers"] == {}


def test_single_values_are_read_if_there_are_no_lists() -> None:
    fields = {"multiValueHeaders": None, "multiValueQueryStringParameters": None}
    event = rest_api(**fields, headers={"X-A": "1"}, queryStringParameters={"q": "a b"})
    assert (seen(event)["headers"], seen(event)["query"]) == ({"x-a": "1"}, [["q", "a b"]])


def test_the_stage_is_the_root_path() -> None:
    event = http_api(rawPath="/prod/a/b", requestContext={"stage": "prod"})
    assert (seen(event)["path"], seen(event)["root_path"], seen(event)["url"]) == (
        "/a/b", "/prod", "https://example.com/prod/a/b",
    )  # fmt: skip
    assert seen(http_api(rawPath="/prod", requestContext={"stage": "prod"}))["path"] == "/"
    assert seen(http_api(rawPath="/production", requestContext={"stage": "prod"}))["path"] == "/production"
    assert seen(rest_api())["url"] == "https://example.com/prod/a"


def test_an_http_api_with_payload_1_0_decodes_the_path_and_its_parameters() -> None:
    event = rest_api(version="1.0", path="/a b/é%", pathParameters={"id": "50%25"})
    assert (seen(event)["path"], seen(event)["params"]) == ("/a%20b/%C3%A9%25", {"id": "50%25"})
    event = rest_api(path="/a%20b", pathParameters={"id": "50%25"})
    assert (seen(event)["path"], seen(event)["params"]) == ("/a%20b", {"id": "50%"})


def test_a_function_urls_path_is_encoded_and_an_http_apis_is_not() -> None:
    domain = {"domainName": "id.lambda-url.eu-central-1.on.aws"}
    assert seen(http_api(rawPath="/100%25", requestContext=domain))["path"] == "/100%25"
    assert seen(http_api(rawPath="/100%25"))["path"] == "/100%2525"


JWT, IAM, CUSTOM = {"sub": "user-1", "scope": "a b"}, {"userArn": "arn:aws:iam::1:user/u"}, {"key": "value"}
CERTIFICATE = {"subjectDN": "CN=client", "serialNumber": "1"}


@pytest.mark.parametrize(
    ("event", "principal"),
    [
        (http_api(), None),
        (http_api(requestContext={"authorizer": {"jwt": {"claims": JWT, "scopes": ["a"]}}}), ["user-1", "jwt", JWT]),
        (http_api(requestContext={"authorizer": {"iam": IAM}}), [IAM["userArn"], "iam", IAM]),
        (http_api(requestContext={"authorizer": {"lambda": CUSTOM}}), ["", "custom", CUSTOM]),
        (http_api(requestContext={"authentication": {"clientCert": CERTIFICATE}}), ["CN=client", "mtls", CERTIFICATE]),
        (http_api(requestContext={"authentication": None}), None),
        (rest_api(), None),
        (rest_api(requestContext={"authorizer": {"claims": JWT}}), ["user-1", "jwt", JWT]),
        (
            rest_api(requestContext={"authorizer": {"principalId": "p", **CUSTOM}}),
            ["p", "custom", {"principalId": "p", **CUSTOM}],
        ),
        (rest_api(requestContext={"identity": IAM}), [IAM["userArn"], "iam", IAM]),
        (rest_api(requestContext={"identity": {"clientCert": CERTIFICATE}}), ["CN=client", "mtls", CERTIFICATE]),
    ],
)
def test_the_principal_is_the_caller_that_the_gateway_verified(event: dict[str, Any], principal: Any) -> None:
    assert seen(event)["principal"] == principal


def test_the_principal_of_vpc_lattice_is_the_iam_caller() -> None:
    event = payload(fake.request(), "lattice_v2")
    event["requestContext"]["identity"] = {"type": "AWS_IAM", "principal": "arn:aws:sts::1:assumed-role/r/s"}
    assert seen(event)["principal"][:2] == ["arn:aws:sts::1:assumed-role/r/s", "iam"]


def test_the_trace_is_read_from_the_header_or_else_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    root, parent = "1-5759e988-bd862e3fe1be46a994272793", "53995c3f42cd8ad8"
    trace = f"00-5759e988bd862e3fe1be46a994272793-{parent}-01"
    assert seen(http_api(headers={"x-amzn-trace-id": f"Root={root};Parent={parent};Sampled=1"}))["trace"] == trace
    assert seen(http_api(headers={"x-amzn-trace-id": f"Root={root}"}))["trace"] is None
    monkeypatch.setenv("_X_AMZN_TRACE_ID", f"Root={root};Parent={parent};Sampled=0;Lineage=a:0")
    assert seen(http_api())["trace"] == trace[:-1] + "0"
    assert seen(http_api(headers={"traceparent": trace}))["trace"] == trace


def test_the_context_is_lambdas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    assert (seen(http_api())["region"], seen(http_api())["version"]) == ("eu-central-1", "$LATEST")

    @portable
    def handler(request: Request, ctx: Context) -> dict[str, Any]:
        remaining = ctx.remaining()
        assert remaining is not None
        assert ctx.deadline is not None
        return {
            "cold": ctx.cold_start,
            "remaining": 29 < remaining <= 30,
            "id": ctx.invocation_id,
            "aware": str(ctx.deadline.tzinfo),
        }

    function = entry(handler)
    answers = [json.loads(function(http_api(), LambdaContext())["body"]) for _ in range(2)]
    assert [answer["cold"] for answer in answers] == [True, False]
    assert answers[0] == {"cold": True, "remaining": True, "id": LambdaContext().aws_request_id, "aware": "UTC"}


def test_the_error_for_an_unknown_payload_names_its_members_and_the_known_services() -> None:
    for event, seen_there in [
        ({"one": 1, "two": 2}, "an object with one, two"),
        ([1], "a list"),
        (None, "a NoneType"),
        ({}, "an object with no members"),
        ({"requestContext": {"connectionId": "c"}, "httpMethod": "GET", "resource": "/"}, "requestContext"),
        ({**rest_api(), "methodArn": "arn", "type": "REQUEST"}, "methodArn"),
        ({**http_api(), "routeArn": "arn", "type": "REQUEST"}, "routeArn"),
    ]:
        with pytest.raises(DecodeError, match="API Gateway REST and HTTP API, function URL, ALB") as caught:
            echo(event, LambdaContext())
        assert seen_there in str(caught.value)


@pytest.mark.parametrize("body", ["!!!", "YQ", "YQ==YQ==", "Y\nQ==", "\ud800"])
def test_invalid_base64_is_a_400(body: str) -> None:
    for event in (http_api(body=body, isBase64Encoded=True), rest_api(body=body, isBase64Encoded=True)):
        native = echo(event, LambdaContext())
        assert (native["statusCode"], json.loads(native["body"])["status"]) == (400, 400)


def test_background_work_is_done_before_the_answer() -> None:
    function = entry(app.background)
    before = len(app.BACKGROUND)
    function(payload(fake.request("GET", "/background"), "http_api"), LambdaContext())
    assert len(app.BACKGROUND) == before + 1


def test_a_stream_that_fails_is_a_500() -> None:
    @portable
    def broken(request: Request) -> Any:
        yield b"begun"
        raise ZeroDivisionError("a-secret")

    native = echo_of(broken)
    assert native["statusCode"] == 500
    assert "a-secret" not in native["body"]


def echo_of(function: Any) -> Any:
    return function(http_api(), LambdaContext())


def recorded(name: str) -> dict[str, Any]:
    event: dict[str, Any] = json.loads((Path(__file__).parents[1] / "payloads" / name).read_text())
    return event


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("aws-lambda-go/apigw-request.json", {"method": "POST", "path": "/hello/world", "client_ip": "192.168.196.186"}),
        ("aws-lambda-go/apigw-v2-request-iam.json", {"method": "GET", "path": "/my/path", "client_ip": "IP"}),
        ("aws-lambda-go/apigw-v2-request-jwt-authorizer.json", {"principal": ["", "jwt", {"claim1": "value1", "claim2": "value2"}]}),
        ("aws-lambda-go/apigw-v2-request-no-authorizer.json", {"cookies": [], "method": "GET"}),
        ("aws-lambda-go/lambda-urls-request.json", {"method": "POST", "body": b"Hello from client!".hex()}),
        ("aws-lambda-go/alb-lambda-target-request-headers-only.json", {"query": [["key", "hello"]], "client_ip": "25.12.198.67"}),
        ("aws-lambda-go/alb-lambda-target-request-multivalue-headers.json", {"client_ip": "72.21.198.67", "url": "http://lambda-test-alb-1234567.us-east-1.elb.amazonaws.com/?key=hello"}),
    ],
)  # fmt: skip
def test_recorded_http_payloads_are_read(name: str, expected: dict[str, Any]) -> None:
    got = seen(recorded(name))
    assert {key: got[key] for key in expected} == expected


HTTP = {
    "alb-lambda-target-request-headers-only.json",
    "alb-lambda-target-request-multivalue-headers.json",
    "apigw-request.json",
    "apigw-restapi-openapi-request.json",
    "apigw-v2-request-iam.json",
    "apigw-v2-request-jwt-authorizer.json",
    "apigw-v2-request-lambda-authorizer.json",
    "apigw-v2-request-no-authorizer.json",
    "lambda-urls-request.json",
}


@pytest.mark.skipif(not CORPUS.exists(), reason="needs AWS's recorded payloads of other services (../shared/corpora)")
def test_only_the_recorded_http_payloads_are_requests() -> None:
    requests = set()
    for file in sorted((CORPUS / "aws-lambda-go").glob("*.json")):
        try:
            event = json.loads(file.read_text())
        except ValueError:
            assert "malformed" in file.name
            continue
        if (service := decode.http_service(event)) is not None:
            decode.read_request(event, service)
            requests.add(file.name)
    assert requests == HTTP


def paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    all_paths = [path] if path else []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        all_paths += paths(inner, (*path, key))
    return all_paths


ODD = st.sampled_from([None, 0, -1, 1e300, True, "", "\ud800", "x" * 5000, [], [None], {}, {"a": None}, [["a"]]])
REQUEST = fake.request(
    "POST", "/echo/a%20b?x=1&x=2", json={"a": 1}, cookies={"c": "1"}, headers={"x-a": "1"}, params={"rest": "a b"}
)
STORIES = entry(app)


@given(st.sampled_from(SERVICES), st.data())
def test_a_mutated_request_is_answered_or_raises_decode_error_and_is_never_a_500(
    service: str, data: st.DataObject
) -> None:
    event = copy.deepcopy(payload(REQUEST, service))
    for _ in range(data.draw(st.integers(1, 3))):
        *parents, last = data.draw(st.sampled_from(paths(event)))
        inside: Any = event
        try:
            for key in parents:
                inside = inside[key]
            if data.draw(st.booleans()):
                del inside[last]
            else:
                inside[last] = copy.deepcopy(data.draw(ODD))
        except (KeyError, IndexError, TypeError):
            continue  # an earlier mutation removed the place
    try:
        native = STORIES(event, LambdaContext())
    except DecodeError:
        return
    assert native["statusCode"] < 500, (event, native)
    assert json.loads(json.dumps(native)) == native


def test_a_custom_authorizer_may_set_claims_to_a_string() -> None:
    event = payload(fake.request("GET", "/a"), "rest_api")
    authorizer = {"principalId": "u", "claims": '{"sub":"v"}'}
    event["requestContext"]["authorizer"] = authorizer
    assert ["u", "custom", authorizer] == seen(event)["principal"]
    event["requestContext"]["authorizer"] = {"claims": {"sub": "v"}}
    assert ["v", "jwt", {"sub": "v"}] == seen(event)["principal"]


@pytest.mark.parametrize(
    ("service", "field"), [("http_api", "timeEpoch"), ("rest_api", "requestTimeEpoch"), ("lattice_v2", "timeEpoch")]
)
@pytest.mark.parametrize("epoch", ["yesterday", "", None, [], {"a": 1}, 10**400])
def test_a_malformed_time_becomes_the_time_of_receipt(service: str, field: str, epoch: object) -> None:
    event = payload(fake.request("GET", "/a"), service)
    event["requestContext"][field] = epoch
    assert abs(datetime.now(UTC) - datetime.fromisoformat(seen(event)["time"])) < timedelta(minutes=1)


@pytest.mark.parametrize("service", ["rest_api", "alb", "alb_multi_value", "lattice_v1", "lattice_v2"])
@pytest.mark.parametrize(
    ("forwarded", "scheme"),
    [
        ("http", "http"),
        ("https", "https"),
        ("http, https", "https"),
        ("x,HTTP", "http"),
        ("javascript", "https"),
        ("", "https"),
    ],
)
def test_the_scheme_is_the_one_that_the_service_saw_last(service: str, forwarded: str, scheme: str) -> None:
    event = payload(fake.request("GET", "/a"), service)
    for headers in filter(None, (event.get("headers"), event.get("multiValueHeaders"))):
        for name in [name for name in headers if name.lower() == "x-forwarded-proto"]:
            headers[name] = [forwarded] if isinstance(headers[name], list) else forwarded
    assert scheme == seen(event)["url"].partition("://")[0]


@pytest.mark.parametrize(
    "event",
    [
        http_api(pathParameters={"path": "x"}),
        {**payload(fake.request(params={"path": "x"}), "rest_api"), "version": "1.0"},
        payload(fake.request(params={"path": "x"}), "rest_api"),
    ],
)
def test_a_handler_that_changes_its_path_parameters_leaves_the_payload_unchanged(event: dict[str, Any]) -> None:
    @portable
    def clears(request: Request) -> None:
        assert request.params
        request.params.clear()

    before = copy.deepcopy(event)
    assert 204 == clears(event, LambdaContext())["statusCode"]
    assert before == event


@pytest.mark.parametrize(
    ("content_type", "is_text"),
    [
        ("application/vnd.api+json", True),
        ("application/JSON", True),
        ("Text/HTML; charset=utf-8", True),
        ("image/svg+xml", True),
        ("application/xhtml+xml", True),
        ("application/xml", True),
        ("application/x-ndjson", True),
        ("application/yaml", True),
        ("text/javascript", True),
        ("application/octet-stream", False),
        ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", False),
        ("image/png", False),
        ("", False),
    ],
)
def test_a_body_with_a_text_type_is_sent_as_text(content_type: str, is_text: bool) -> None:
    @portable
    def handler(request: Request) -> Response:
        return Response(200, {"content-type": content_type} if content_type else (), (), b"<a/>")

    assert is_text != handler(http_api(), LambdaContext())["isBase64Encoded"]


@pytest.mark.parametrize("service", ["alb", "lattice_v2"])
def test_a_repeated_header_without_another_spelling_is_joined(service: str) -> None:
    @portable
    def handler(request: Request) -> Response:
        return Response(200, [("1", "a"), ("1", "b"), ("1", "c"), ("x", "a"), ("x", "b"), ("x", "c")])

    assert {"1": "a, b, c", "x": "a, c", "X": "b"} == (
        handler(payload(fake.request(), service), LambdaContext())["headers"]
    )


@pytest.mark.filterwarnings("ignore:coroutine")
def test_a_lambda_handler_called_inside_an_event_loop_raises_a_clear_error() -> None:
    @portable
    async def handler(request: Request) -> str:
        return "ok"

    async def test() -> None:
        with pytest.raises(RuntimeError, match="an event loop runs in this thread"):
            handler(http_api(), LambdaContext())

    asyncio.run(test())


@pytest.mark.parametrize("native", [None, {}])
def test_a_handler_may_be_called_without_a_context(native: Any) -> None:
    seen: list[Context] = []

    @portable
    def hello(request: Request, ctx: Context) -> str:
        seen.append(ctx)
        return "hello"

    @portable
    def ship(order: Message, ctx: Context) -> None:
        seen.append(ctx)
        if order.data["sku"] == "unknown":
            raise Reject("unknown sku")

    @portable
    def add(numbers: Task, ctx: Context) -> int:
        seen.append(ctx)
        return sum(numbers.data)

    @portable
    def nightly(tick: ScheduleEvent, ctx: Context) -> None:
        seen.append(ctx)

    (batch,) = payloads([fake.message({"sku": "A1"}), fake.message({"sku": "unknown"}, id="unknown")], "sqs")
    assert 200 == cast("Any", entry(hello)(payload(fake.request(), "http_api"), native))["statusCode"]
    assert {"batchItemFailures": [{"itemIdentifier": "unknown"}]} == entry(ship)(batch, native)
    assert 3 == entry(add)([1, 2], native)
    entry(nightly)({"any": "input"}, native)

    assert [("aws", "", "", "", None, None)] * 5 == [
        (ctx.provider, ctx.invocation_id, ctx.function, ctx.version, ctx.deadline, ctx.remaining()) for ctx in seen
    ]
