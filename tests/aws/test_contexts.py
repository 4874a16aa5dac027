"""Accept partial and malformed contexts, and refuse malformed addresses."""

from __future__ import annotations

import logging
import sys
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock, Mock

import pytest

from portable_fn import Batch, Context, Message, Request, Retry, ScheduleEvent, Task, on, portable
from portable_fn.testing import fake
from portable_fn_aws import entry
from portable_fn_aws.drivers import api
from portable_fn_aws.drivers import queue as sqs
from portable_fn_aws.simulate import LambdaContext, payload
from portable_fn_aws.simulate import payloads as render
from tests.aws.test_runtime import APPS, SOURCES, get
from tests.runtimes.aws import runtime_api

seen: list[Any] = []


@pytest.fixture(autouse=True)
def _nothing_seen() -> None:
    seen.clear()


class Lambda(LambdaContext):
    """Lambda's context with other members."""

    def __init__(self, **members: Any) -> None:
        super().__init__()
        vars(self).update(members)


def raising(*_: object) -> Any:
    raise RuntimeError("no such thing here")


class Raising:
    """A context whose every member raises."""

    aws_request_id = function_name = function_version = invoked_function_arn = property(raising)
    get_remaining_time_in_millis = raising


# Contexts without a remaining time, or with a malformed one.
TIMELESS = [
    None,
    object(),
    {},
    "context",
    SimpleNamespace(),
    SimpleNamespace(aws_request_id=None, function_name=7, invoked_function_arn=["arn"], function_version=b"1"),
    MagicMock(),
    Mock(),
    Raising(),
    Lambda(get_remaining_time_in_millis=None),
    Lambda(get_remaining_time_in_millis=30_000),
    Lambda(get_remaining_time_in_millis=lambda: None),
    Lambda(get_remaining_time_in_millis=lambda: "30000"),
    Lambda(get_remaining_time_in_millis=lambda: True),
    Lambda(get_remaining_time_in_millis=lambda: float("nan")),
    Lambda(get_remaining_time_in_millis=lambda: float("-inf")),
    Lambda(get_remaining_time_in_millis=lambda: 10**400),
    Lambda(get_remaining_time_in_millis=MagicMock()),
    Lambda(get_remaining_time_in_millis=raising),
]
TIMELESS_IDS = [str(number) for number in range(len(TIMELESS))]


@portable
def hello(request: Request, ctx: Context) -> str:
    seen.append(ctx)
    return "hello"


@portable(on.queue("orders"))
def ship(order: Message, ctx: Context) -> None:
    ctx.log.info("an order")
    seen.append(ctx)


@portable(on.queue("orders"), concurrency=2)
async def ship_async(order: Message, ctx: Context) -> None:
    ctx.log.info("an order")
    seen.append(ctx)


@portable(on.queue("orders"))
def ship_all(orders: Batch[Message], ctx: Context) -> None:
    seen.extend(ctx for _ in orders)


@portable
def add(numbers: Task, ctx: Context) -> int:
    seen.append(ctx)
    assert (numbers.id, numbers.source, numbers.name) == (ctx.invocation_id, ctx.arn, ctx.function)  # type: ignore[attr-defined]  # AWS's own
    return sum(numbers.data)


@portable
def nightly(tick: ScheduleEvent) -> None:
    seen.append(tick)


def batch(count: int = 3) -> Any:
    (native,) = render(
        [fake.message({"n": number}, id=f"m-{number}", channel="orders") for number in range(count)], "sqs"
    )
    return native


@pytest.mark.parametrize("context", TIMELESS, ids=TIMELESS_IDS)
def test_a_context_without_information_does_no_harm(context: Any) -> None:
    assert 200 == entry(hello)(payload(fake.request(), "http_api"), context)["statusCode"]  # type: ignore[index]  # a dict
    assert 3 == entry(add)([1, 2], context)
    for handler in (ship, ship_async, ship_all):
        assert {"batchItemFailures": []} == entry(handler)(batch(), context)
    assert 11 == len(seen)
    for ctx in seen:
        assert ctx.deadline is None and ctx.remaining() is None
        assert {str} == {type(value) for value in (ctx.invocation_id, ctx.function, ctx.version, ctx.region, ctx.arn)}
        assert ctx.native is context


def test_a_schedules_input_is_a_schedule_with_any_context() -> None:
    for context in TIMELESS:
        assert entry(nightly)({"any": "input"}, context) is None
    assert len(TIMELESS) == len(seen)
    assert {("", ""), (LambdaContext().aws_request_id, LambdaContext().invoked_function_arn)} == {
        (tick.id, tick.source) for tick in seen
    }


@pytest.mark.parametrize("left", [-1, -30_000, 0, 1, 99, -0.5])
@pytest.mark.parametrize("handler", [ship, ship_async])
def test_one_message_is_handled_and_a_log_line_says_why_the_others_are_returned(
    handler: Any, left: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        answer = entry(handler)(batch(), Lambda(get_remaining_time_in_millis=lambda: left))
    assert {"batchItemFailures": [{"itemIdentifier": "m-1"}, {"itemIdentifier": "m-2"}]} == answer
    assert 1 == len(seen)
    lines = [record.getMessage() for record in caplog.records]
    assert 1 == sum("2 of 3 events are returned unhandled, to be retried" in line for line in lines)


def test_a_batch_of_one_is_handled_even_if_the_time_is_short() -> None:
    assert {"batchItemFailures": []} == entry(ship)(batch(1), Lambda(get_remaining_time_in_millis=lambda: 0))
    assert 1 == len(seen)


def test_a_batch_handler_gets_its_batch_even_if_the_time_is_short() -> None:
    assert {"batchItemFailures": []} == entry(ship_all)(batch(), Lambda(get_remaining_time_in_millis=lambda: 0))
    assert 3 == len(seen)


def test_the_runtime_has_no_deadline_if_the_runtime_api_sends_none() -> None:
    from portable_fn_aws.runtime_api import Invocation

    id = {"lambda-runtime-aws-request-id": "r-1"}
    assert Invocation(id, b"").get_remaining_time_in_millis() is None
    for deadline in ("", "soon", "-1", "1e3"):
        invocation = Invocation({**id, "lambda-runtime-deadline-ms": deadline}, b"")
        assert invocation.get_remaining_time_in_millis() is None
        assert {"batchItemFailures": []} == entry(ship)(batch(), invocation)
    assert 0 == Invocation({**id, "lambda-runtime-deadline-ms": "1"}, b"").get_remaining_time_in_millis()


# The runtime's output


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_the_runtime_starts_with_its_output_closed(closed: str) -> None:
    command = ["/bin/sh", "-c", f"exec {sys.executable} -m portable_fn_aws.runtime aws_functions {closed}"]
    with runtime_api(APPS, command, pythonpath=SOURCES) as api:
        assert 200 == api.invoke(get("/loop")).json["statusCode"]
        assert api.invoke({"no": "known shape"}).failed
        assert 200 == api.invoke(get("/loop")).json["statusCode"]


def test_the_runtime_starts_with_an_output_that_was_closed_or_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    from io import StringIO

    from portable_fn_aws import runtime

    closed = StringIO()
    closed.close()
    for output in (closed, StringIO(), object()):
        monkeypatch.setattr(sys, "stdout", output)
        runtime._open_output()
        assert output is sys.stdout


# The address of SQS


@pytest.fixture
def no_settings(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SQS", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


@pytest.mark.parametrize(
    "region",
    [
        "evil.example/",
        "evil.example#",
        "evil.example?",
        "a@evil.example",
        "x.y",
        "eu west",
        "eu-west-1\r\nx",
        "é",
        "..",
        "-",
    ],
)
def test_a_malformed_region_never_becomes_a_host(region: str, no_settings: pytest.MonkeyPatch) -> None:
    with pytest.raises(api.SQSError, match="isn't a region"):
        sqs.queue_url(f"arn:aws:sqs:{region}:1:orders")
    with pytest.raises(api.SQSError, match="isn't a region"):
        sqs.queue_url("dead", f"arn:aws:lambda:{region}:1:function:f")


def test_a_forged_arn_gets_no_signed_request(no_settings: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    posted: list[str] = []
    no_settings.setattr(sqs.api, "post", lambda endpoint, *_: posted.append(endpoint) or (200, b"{}"))
    no_settings.setenv("AWS_ACCESS_KEY_ID", "key")
    no_settings.setenv("AWS_SECRET_ACCESS_KEY", "secret")

    @portable(on.queue("orders"))
    def later(order: Message) -> None:
        if order.data["n"]:
            raise Retry("later", after=60)

    native = batch(2)
    for record in native["Records"]:
        record["eventSourceARN"] = "arn:aws:sqs:evil.example/:1:orders"
    with caplog.at_level(logging.WARNING):
        assert {"batchItemFailures": [{"itemIdentifier": "m-1"}]} == entry(later)(native, LambdaContext())
    assert [] == posted
    assert any("the queue's region 'evil.example/' isn't a region" in line.getMessage() for line in caplog.records)


@pytest.mark.parametrize("name", ["AWS_ENDPOINT_URL_SQS", "AWS_ENDPOINT_URL"])
@pytest.mark.parametrize(
    "endpoint", ["localhost:4566", "localhost", "//localhost", "http://", "https:///sqs", "ftp://localhost"]
)
def test_the_error_for_a_malformed_endpoint_names_the_variable(
    name: str, endpoint: str, no_settings: pytest.MonkeyPatch
) -> None:
    no_settings.setenv(name, endpoint)
    with pytest.raises(api.SQSError, match=f"{name} isn't a URL: it needs http:// or https:// and a host"):
        sqs.queue_url("arn:aws:sqs:eu-west-1:1:orders")


@pytest.mark.parametrize(
    "queue",
    ["arn:aws:sqs:eu-west-1:orders", "ARN:aws:sqs:eu-west-1:1:orders", "a/b", "sqs.eu-west-1.amazonaws.com/1/q"],
)
def test_a_queue_must_be_a_name_an_arn_or_a_url(queue: str, no_settings: pytest.MonkeyPatch) -> None:
    with pytest.raises(api.SQSError, match="a queue is a name, an ARN or a URL, not"):
        sqs.queue_url(queue, "arn:aws:lambda:eu-west-1:1:function:f")


def test_a_malformed_port_is_an_error(no_settings: pytest.MonkeyPatch) -> None:
    with pytest.raises(api.SQSError, match="the port of localhost:x isn't a number"):
        api.post("http://user:secret@localhost:x/path", {}, b"", 1.0)


# The context of a request


@pytest.mark.parametrize("service", ["http_api", "function_url", "rest_api", "lattice_v2"])
@pytest.mark.parametrize("odd", [None, 7, True, "odd", [], ["odd"], {}, {"odd": 1}])
def test_a_request_is_handled_even_if_minor_fields_of_its_context_are_malformed(service: str, odd: Any) -> None:
    def tell(request: Request, ctx: Context) -> dict[str, Any]:
        ctx.log.info("a request")
        assert (
            isinstance(request.id, str) and isinstance(request.host, str) and isinstance(request.client_ip, str | None)
        )
        return {
            "time": request.time.timestamp() > 0,
            "principal": request.principal is None,
            "trace": ctx.trace is None,
        }

    handler = entry(portable(on.http("GET", "/a"))(tell))
    whole = payload(fake.request("GET", "/a"), service)
    names = {"identity", "authorizer", "domainName", "requestId", "timeEpoch", "requestTimeEpoch", "accountId", "apiId"}
    for name in names & (whole["requestContext"].keys() | {"authorizer"}):
        native = {**whole, "requestContext": {**whole["requestContext"], name: odd}}
        assert 200 == handler(native, None)["statusCode"], name  # type: ignore[index]  # a dict
    if service in ("http_api", "function_url"):
        http = {**whole["requestContext"]["http"], "sourceIp": odd, "userAgent": odd, "protocol": odd}
        native = {**whole, "requestContext": {**whole["requestContext"], "http": http}}
        assert 200 == handler(native, None)["statusCode"]  # type: ignore[index]  # a dict
