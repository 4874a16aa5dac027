"""Run portable_fn_aws.runtime against a Runtime API that records the traffic."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from importlib import import_module
from pathlib import Path

import pytest

from portable_fn.testing import fake, replay
from portable_fn_aws.simulate import payload, payloads
from tests.runtimes.aws import ARN, TRACE, RuntimeApi, runtime_api

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
APPS = ROOT / "tests" / "runtimes" / "apps"
SOURCES = (ROOT / "src", ROOT / "adapters")


def start(target: str = "aws_functions", **env: str) -> AbstractContextManager[RuntimeApi]:
    return runtime_api(APPS, [sys.executable, "-m", "portable_fn_aws.runtime", target], pythonpath=SOURCES, env=env)


@pytest.fixture(scope="module")
def api() -> Iterator[RuntimeApi]:
    with start() as api:
        yield api


def get(path: str, service: str = "function_url") -> dict[str, object]:
    return payload(fake.request("GET", path), service)


def test_a_buffered_answer_is_a_proxy_answer(api: RuntimeApi) -> None:
    answer = api.invoke(get("/hello/Ada"), client_context={"custom": 1}, cognito_identity={"id": "i"}, tenant_id="t")
    assert not answer.streamed
    assert answer.json["statusCode"] == 200
    body = __import__("json").loads(answer.json["body"])
    assert body == {
        "hello": "Ada",
        "trace": "00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01",
        "remaining": 30,
        "cold_start": True,
        "function": "portable",
        "arn": ARN,
        "client": {"custom": 1},
        "identity": {"id": "i"},
        "tenant": "t",
    }
    assert TRACE.startswith("Root=1-5759e988")


def test_a_stream_is_sent_chunk_by_chunk_in_the_streaming_format(api: RuntimeApi) -> None:
    answer = api.invoke(get("/stream"))
    prelude, body = answer.split()
    assert prelude == {"statusCode": 201, "headers": {"x-many": "a"}, "cookies": ["a=1; Path=/", "b=2; Path=/"]}
    assert body == b"one,zwei,three"
    times = [at for at, _ in answer.chunks]
    assert [chunk for _, chunk in answer.chunks][1:] == [b"one,", b"zwei,", b"three"]
    assert times[-1] - times[0] > 0.1


def test_a_rest_api_gets_its_cookies_as_multi_value_headers(api: RuntimeApi) -> None:
    prelude, _ = api.invoke(get("/stream", "rest_api")).split()
    assert prelude["multiValueHeaders"]["set-cookie"] == ["a=1; Path=/", "b=2; Path=/"]


def test_an_error_in_mid_stream_is_sent_in_trailers(api: RuntimeApi) -> None:
    answer = api.invoke(get("/broken"))
    assert answer.split()[1] == b"begun"
    assert answer.stream_error == (
        "Runtime.ZeroDivisionError",
        {"errorMessage": "mid-stream", "errorType": "ZeroDivisionError"},
    )


def test_the_next_invocation_is_answered_after_a_failed_one(api: RuntimeApi) -> None:
    answer = api.invoke({"no": "known shape"})
    assert answer.failed
    assert answer.json["errorType"] == "DecodeError"
    assert "no" in answer.json["errorMessage"]
    assert api.invoke(b"not json").failed
    assert api.invoke(get("/exit")).json["statusCode"] == 500
    assert api.invoke(get("/loop")).json["statusCode"] == 200


@pytest.mark.parametrize("service", ["function_url", "alb"])
@pytest.mark.parametrize("what", ["body", "cookies", "header", "error", "background"])
def test_failures_to_encode_report_or_finish_dont_end_the_process(api: RuntimeApi, what: str, service: str) -> None:
    answer = api.invoke(get(f"/odd/{what}", service))
    if what == "body":
        assert answer.failed or answer.stream_error is not None
    else:
        assert answer.failed == (what == "cookies")
    assert not api.invoke(get("/loop")).failed


def test_a_malformed_client_context_fails_on_access(api: RuntimeApi) -> None:
    assert 200 == api.invoke(get("/loop"), client_context="{bad").json["statusCode"]
    assert 500 == api.invoke(get("/hello/Ada"), client_context="{bad").json["statusCode"]


def test_a_connection_closed_between_invocations_is_opened_again(api: RuntimeApi) -> None:
    for _ in range(3):
        assert 200 == api.invoke(get("/loop"), hangs_up="after").json["statusCode"]


def test_an_answer_that_cant_be_sent_is_logged_and_the_next_invocation_is_answered(api: RuntimeApi) -> None:
    assert not api.invoke(get("/loop"), hangs_up="instead").complete
    assert 200 == api.invoke(get("/loop")).json["statusCode"]
    api.process.logged("the response didn't reach the Runtime API")


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_stream_that_cant_be_sent_to_its_end_is_closed(api: RuntimeApi, kind: str) -> None:
    assert not api.invoke(get(f"/endless/{kind}"), hangs_up="on the way").complete
    assert 200 == api.invoke(get("/loop")).json["statusCode"]
    api.process.logged(f"closed the {kind} stream")
    assert not any("ignored GeneratorExit" in line for line in api.logs)


def test_a_stream_that_raises_generator_exit_is_reported_in_trailers(api: RuntimeApi) -> None:
    assert ("Runtime.GeneratorExit", {"errorMessage": "", "errorType": "GeneratorExit"}) == (
        api.invoke(get("/generator-exit")).stream_error
    )


def test_sigterm_ends_the_runtime_after_the_current_answer() -> None:
    with start() as api:
        api.invoke(get("/loop"))
        api.process.popen.terminate()
        assert 0 == api.process.popen.wait(5)
    with start() as api, ThreadPoolExecutor() as executor:
        answer = executor.submit(api.invoke, get("/slow"))
        api.process.logged("has begun")
        api.process.popen.terminate()
        assert "done" == answer.result().json["body"]
        assert 0 == api.process.popen.wait(5)


def test_async_handlers_share_one_loop(api: RuntimeApi) -> None:
    assert [api.invoke(get("/loop")).json["body"] for _ in range(3)][-1] == '{"loops":1}'


def test_the_attempt_is_echoed_only_if_lambda_named_it(api: RuntimeApi) -> None:
    assert ("lambda-runtime-invocation-id", "attempt-2") in api.invoke(get("/loop"), invocation_id="attempt-2").headers
    assert "lambda-runtime-invocation-id" not in dict(api.invoke(get("/loop")).headers)


def test_buffered_mode_collects_streams() -> None:
    with start(PORTABLE_FN_AWS_INVOKE_MODE="BUFFERED") as api:
        answer = api.invoke(get("/stream"))
        assert not answer.streamed
        assert answer.json["statusCode"] == 201
        assert api.invoke(get("/broken")).json["statusCode"] == 500


def test_stream_mode_streams_every_answer() -> None:
    with start(PORTABLE_FN_AWS_INVOKE_MODE="RESPONSE_STREAM") as api:
        prelude, body = api.invoke(get("/loop")).split()
        assert (prelude["statusCode"], body) == (200, b'{"loops":1}')
        prelude, body = api.invoke(payload(fake.request("HEAD", "/hello/Ada"), "function_url")).split()
        assert (prelude["statusCode"], body) == (200, b"")


def test_one_function_and_lambdas_handler_form_are_targets() -> None:
    for target in ("aws_functions:hello", "aws_functions.hello"):
        with start(target) as api:
            assert api.invoke(get("/hello/Ada")).json["statusCode"] == 200


ENTRIES = """
import functools
import aws_functions
from portable_fn_aws import entry

handler = entry(aws_functions)

@functools.wraps(handler)
def around(event, context):
    answer = handler(event, context)
    answer["headers"] = {**answer.get("headers", {}), "x-around": "yes"}
    return answer

def without_wraps(event, context):
    return handler(event, context)

number = 1
"""


def start_at(folder: Path, target: str, code: str = ENTRIES, **env: str) -> AbstractContextManager[RuntimeApi]:
    """Start the runtime with a target in main.py."""
    (folder / "main.py").write_text(code)
    command = [sys.executable, "-m", "portable_fn_aws.runtime", target]
    return runtime_api(folder, command, pythonpath=(*SOURCES, APPS), env=env)


@pytest.mark.parametrize("target", ["main:handler", "main.handler", "main"])
def test_an_entry_is_a_target_that_streams(tmp_path: Path, target: str) -> None:
    with start_at(tmp_path, target) as api:
        assert {"loops": 1} == json.loads(api.invoke(get("/loop")).json["body"])
        prelude, body = api.invoke(get("/stream")).split()
        assert (201, b"one,zwei,three") == (prelude["statusCode"], body)


def test_a_function_around_an_entry_is_called(tmp_path: Path) -> None:
    with start_at(tmp_path, "main:around") as api:
        answer = api.invoke(get("/stream"))
        assert not answer.streamed
        assert (201, "yes") == (answer.json["statusCode"], answer.json["headers"]["x-around"])


@pytest.mark.parametrize(
    ("target", "error", "message"),
    [
        ("no_such_module:hello", "ModuleNotFoundError", "No module named 'no_such_module'"),
        ("main:handlr", "ConfigurationError", "main has no 'handlr' (is it 'handler'?)"),
        (
            "main:without_wraps",
            "ConfigurationError",
            "main:without_wraps is a function, but has neither @portable nor entry()",
        ),
        ("main:number", "ConfigurationError", "an entry takes portable functions or a module of them, not int"),
    ],
)
def test_a_wrong_target_is_an_init_error_that_says_why(tmp_path: Path, target: str, error: str, message: str) -> None:
    with start_at(tmp_path, target) as api:
        answer = api.init_error()
        assert error == answer.json["errorType"]
        assert message in answer.json["errorMessage"]


def test_an_entrys_answer_is_recorded_once(tmp_path: Path) -> None:
    for number, target in enumerate(("main:handler", "main:around")):
        folder = tmp_path / str(number)
        with start_at(tmp_path, target, PORTABLE_FN_RECORD=str(folder)) as api:
            assert (
                201
                == (api.invoke(get("/stream")).split()[0] if number == 0 else api.invoke(get("/stream")).json)[
                    "statusCode"
                ]
            )
        assert 1 == len(list(folder.iterdir()))


@pytest.fixture(scope="module")
def events() -> Iterator[RuntimeApi]:
    with start("aws_events") as api:
        yield api


def test_a_batchs_answer_reports_its_failures(events: RuntimeApi) -> None:
    for service, failed in (("sqs", "m:2"), ("kinesis", "102")):
        sent = [fake.message({"n": n}, id=f"m:{n}", sequence=f"10{n}") for n in (1, 2, 3)]
        answer = events.invoke(payloads(sent, service)[0])
        assert {"batchItemFailures": [{"itemIdentifier": failed}]} == answer.json


def test_a_tasks_result_and_its_errors_name_reach_the_caller(events: RuntimeApi) -> None:
    assert {"n": 1} == events.invoke({"n": 1}).json["value"]
    failed = events.invoke({"fail": True})
    assert failed.failed
    assert ("OutOfStock", "no lamps") == (failed.json["errorType"], failed.json["errorMessage"])


def test_a_batch_that_failed_whole_raises_the_handlers_error(events: RuntimeApi) -> None:
    failed = events.invoke(payloads([fake.message({"n": 2})], "sqs")[0])
    assert failed.failed
    assert "OutOfStock" == failed.json["errorType"]


def test_its_answers_are_recorded_and_replayed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(APPS)
    with start("aws_functions", PORTABLE_FN_RECORD=str(tmp_path / "web")) as api:
        for request in (get("/stream"), get("/stream", "rest_api"), get("/loop", "alb")):
            assert not api.invoke(request).failed
    with start("aws_events", PORTABLE_FN_RECORD=str(tmp_path / "events")) as api:
        sent = [fake.message({"n": n}, id=f"m:{n}") for n in (1, 2, 3)]
        assert {"batchItemFailures": [{"itemIdentifier": "m:2"}]} == api.invoke(payloads(sent, "sqs")[0]).json
        assert api.invoke({"fail": True}).failed

    assert [3, 2] == [len(list((tmp_path / name).iterdir())) for name in ("web", "events")]
    for name, module in (("web", "aws_functions"), ("events", "aws_events")):
        assert [] == replay(tmp_path / name, import_module(module)).differences
