"""An answer that its provider would refuse, or that would kill its runtime, becomes a problem document and a log line."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from portable_fn import Message, Request, Response, Task, cors, on, portable
from portable_fn.errors import EncodeError
from portable_fn.providers import ADAPTERS
from portable_fn.testing import deliver, fake
from portable_fn_aws import entry, limits, simulate
from portable_fn_aws.simulate import LambdaContext
from portable_fn_gcp import encode as gcp_encode
from tests.runtimes.aws import emulator, runtime_api
from tests.runtimes.environments import ROOT

pytestmark = pytest.mark.slow

LAMBDA = 6_291_556
MEBIBYTE = 1024 * 1024
SOURCES = (ROOT / "src", ROOT / "adapters")

Make = Callable[[], Any]


def answering(make: Make, *, is_async: bool = False) -> Any:
    def now(request: Request) -> Any:
        return make()

    async def later(request: Request) -> Any:
        return make()

    return portable(on.http("GET", "/large"), use=[cors(["https://app.example"])])(later if is_async else now)


def sync_stream() -> Iterator[bytes]:
    for _ in range(7):
        yield b"x" * MEBIBYTE


async def async_stream() -> AsyncIterator[bytes]:
    for _ in range(7):
        yield b"x" * MEBIBYTE


TOO_LARGE: dict[str, Make] = {
    "text": lambda: "x" * LAMBDA,
    "a dict": lambda: {"text": "x" * LAMBDA},
    "bytes, by their base64": lambda: b"\0" * 4_800_000,
    "quotes, by their escapes": lambda: '"' * 3_200_000,
    "umlauts, by their escapes": lambda: "ä" * 1_100_000,
    "emoji, by their escapes": lambda: "😀" * 530_000,
    "a sync stream": sync_stream,
    "an async stream": async_stream,
    "a picture": lambda: Response(200, {"content-type": "image/png"}, (), b"\0" * 5_000_000),
    "headers and a body": lambda: Response(200, {"x-a": "y" * 1000}, (), "x" * (LAMBDA - 1000)),
}
SMALL_ENOUGH: dict[str, Make] = {
    "text": lambda: "x" * (LAMBDA - 1000),
    "bytes": lambda: b"\0" * 4_700_000,
    "quotes": lambda: '"' * 3_100_000,
    "emoji": lambda: "😀" * 520_000,
    "a sync stream": lambda: (b"x" * MEBIBYTE for _ in range(4)),
}
REQUEST = fake.request("GET", "/large", headers={"origin": "https://app.example"})


@pytest.mark.parametrize("service", ["http_api", "function_url", "rest_api", "lattice_v1", "lattice_v2"])
@pytest.mark.parametrize("name", TOO_LARGE)
def test_an_answer_over_lambdas_limit_is_a_problem_document_that_names_it(
    name: str, service: str, caplog: pytest.LogCaptureFixture
) -> None:
    answer = deliver(answering(TOO_LARGE[name]), REQUEST, to="aws", via=service)
    document = answer.json()
    assert (500, "application/problem+json") == (answer.status, answer.headers["content-type"])
    assert f"bytes; Lambda takes {LAMBDA}." in document["detail"]
    assert document["invocation_id"]
    # A page's script must see it, too.
    assert "https://app.example" == answer.headers["access-control-allow-origin"]
    assert f"bytes; Lambda takes {LAMBDA}." in caplog.text
    assert 1 == len([record for record in caplog.records if record.levelno == logging.ERROR])


@pytest.mark.parametrize("service", ["http_api", "rest_api"])
@pytest.mark.parametrize("name", SMALL_ENOUGH)
def test_an_answer_just_under_it_goes_out_whole(name: str, service: str) -> None:
    made = SMALL_ENOUGH[name]()
    expected = made if isinstance(made, bytes) else made.encode() if isinstance(made, str) else b"".join(made)
    answer = deliver(answering(SMALL_ENOUGH[name]), REQUEST, to="aws", via=service)
    assert (200, True) == (answer.status, expected == answer.body)


@pytest.mark.parametrize("service", ["http_api", "rest_api", "alb", "lattice_v1"])
@pytest.mark.parametrize("text", ["x", '"', "ä", "😀", "\x00"])
@pytest.mark.parametrize("python", ["", "AWS_Lambda_python3.11", "AWS_Lambda_python3.13"])
def test_the_limit_is_exact_to_the_byte(text: str, service: str, python: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_EXECUTION_ENV", python)
    payload = simulate.payload(fake.request("GET", "/large"), service)
    most = limits.ALB if service == "alb" else LAMBDA

    def sent(count: int) -> tuple[int, int]:
        handler = entry(answering(lambda: Response(headers={"content-type": "text/plain"}, body=text * count)))
        made: Any = handler(payload, LambdaContext())  # type: ignore[arg-type]  # as Lambda's own
        written = json.dumps(made, ensure_ascii=not python.endswith("13"))
        return made["statusCode"], len(written.encode())

    _, empty = sent(0)
    _, some = sent(1000)
    count = (most - empty) // ((some - empty) // 1000)
    status, size = sent(count)
    assert 200 == status
    assert most - 12 < size <= most
    assert 500 == sent(count + 1)[0]


def test_a_load_balancer_takes_a_mebibyte() -> None:
    for service in ("alb", "alb_multi_value"):
        answer = deliver(answering(lambda: b"\0" * 800_000), REQUEST, to="aws", via=service)
        assert f"a load balancer takes {MEBIBYTE}." in answer.json()["detail"]
        assert 200 == deliver(answering(lambda: b"\0" * 780_000), REQUEST, to="aws", via=service).status
    assert 200 == deliver(answering(lambda: b"\0" * 800_000), REQUEST, to="aws").status


def test_head_has_no_body_that_could_be_too_large() -> None:
    answer = deliver(answering(lambda: "x" * 7_000_000), fake.request("HEAD", "/large"), to="aws")
    assert (200, "7000000") == (answer.status, answer.headers["content-length"])


@pytest.mark.parametrize("is_async", [False, True])
def test_an_endless_stream_is_closed_once_it_is_too_large(is_async: bool) -> None:
    ended: list[str] = []

    def endless() -> Iterator[bytes]:
        try:
            while True:
                yield b"x" * MEBIBYTE
        finally:
            ended.append("closed")

    async def endless_later() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"x" * MEBIBYTE
        finally:
            ended.append("closed")

    handler = answering(endless_later if is_async else endless, is_async=is_async)
    assert 500 == deliver(handler, REQUEST, to="aws").status
    assert ["closed"] == ended


def test_without_it_deliver_names_the_services_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_module("portable_fn_aws.entry"), "_ALWAYS_FITS", 10**9)
    with pytest.raises(EncodeError, match=r"http_api would answer 502: the answer has .* the limit is 6291556"):
        deliver(answering(TOO_LARGE["text"]), REQUEST, to="aws")
    monkeypatch.setattr(gcp_encode, "fitting", lambda response, request, context: response)
    for via in ("http", "http_async"):
        with pytest.raises(EncodeError, match="Cloud Run would answer 500"):
            deliver(answering(lambda: b"x" * (33 * MEBIBYTE)), REQUEST, to="gcp", via=via)


# Tasks and other events


RESULTS: dict[str, Make] = {
    "text": lambda: "x" * LAMBDA,
    "list": lambda: ["x"] * 1_300_000,
    "emoji": lambda: {"text": "😀" * 530_000},
}


@pytest.mark.parametrize("name", RESULTS)
def test_a_tasks_result_over_the_limit_is_an_error_that_names_it(name: str) -> None:
    @portable(on.task())
    def large(task: Task) -> Any:
        return RESULTS[name]()

    error = deliver(large, fake.task(), to="aws").error
    assert error is not None
    assert "EncodeError" == error[0]
    assert f"bytes as JSON; Lambda takes {LAMBDA}" in error[1]


def test_a_tasks_result_just_under_it_is_the_answer() -> None:
    @portable(on.task())
    def large(task: Task) -> Any:
        return ["x" * 3_000_000, "y" * 3_000_000]

    assert ["x" * 3_000_000, "y" * 3_000_000] == deliver(large, fake.task(), to="aws").result


def test_the_answer_that_enriches_a_pipe_is_measured_too() -> None:
    @portable(on.queue("orders"))
    def enrich(message: Message) -> str:
        return "x" * LAMBDA

    made = deliver(enrich, fake.message({}), to="aws", via="pipes_sqs")
    assert ["retried"] == made.outcomes
    assert f"Lambda takes {LAMBDA}" in str([answer.message for answer in made.native_answers])


def test_a_call_by_rpc_takes_32_mib() -> None:
    @portable(on.task("large"))
    def large(task: Task) -> str:
        return "x" * (33 * MEBIBYTE)

    error = deliver(large, fake.task(name="large"), to="cloudflare").error
    assert error is not None
    assert ("EncodeError", True) == (error[0], "RPC takes up to 33554432" in error[1])


# Google


@pytest.mark.parametrize("via", ["http", "http_async"])
@pytest.mark.parametrize("is_async", [False, True])
def test_cloud_run_accepts_a_whole_body_up_to_32_mib(
    via: str, is_async: bool, caplog: pytest.LogCaptureFixture
) -> None:
    most = gcp_encode.MAX_ANSWER
    assert 32 * MEBIBYTE == most
    answer = deliver(answering(lambda: b"x" * (most + 1), is_async=is_async), REQUEST, to="gcp", via=via)
    assert (500, "https://app.example") == (answer.status, answer.headers["access-control-allow-origin"])
    assert f"The answer has {most + 1} bytes; Cloud Run, unless streamed, takes {most}." == answer.json()["detail"]
    assert str(most + 1) in caplog.text
    answer = deliver(answering(lambda: b"x" * most, is_async=is_async), REQUEST, to="gcp", via=via)
    assert (200, most) == (answer.status, len(answer.body))
    chunks = [b"x" * MEBIBYTE] * 33
    answer = deliver(answering(lambda: iter(chunks), is_async=is_async), REQUEST, to="gcp", via=via)
    assert (200, most + MEBIBYTE) == (answer.status, len(answer.body))


@pytest.mark.parametrize("provider", sorted(set(ADAPTERS) - {"aws", "gcp"}))
def test_a_provider_without_a_limit_takes_it_all(provider: str) -> None:
    assert 33 * MEBIBYTE == len(deliver(answering(lambda: b"x" * (33 * MEBIBYTE)), REQUEST, to=provider).body)


# Our own runtime

APP = """
from portable_fn import Request, Response, Task, on, portable

@portable(on.http("GET", "/text/{size}"))
def text(request: Request):
    return "x" * request.params.get_int("size")

@portable(on.http("GET", "/stream/{count}"))
def stream(request: Request):
    return (b"x" * 1048576 for _ in range(request.params.get_int("count")))

@portable(on.task())
def large(task: Task):
    return "x" * task.data["size"]
"""


@pytest.mark.parametrize("mode", ["BUFFERED", "RESPONSE_STREAM"])
def test_our_runtime_answers_a_result_that_is_too_large_and_goes_on(tmp_path: Path, mode: str) -> None:
    (tmp_path / "app.py").write_text(APP)
    command = [sys.executable, "-m", "portable_fn_aws.runtime", "app"]
    with runtime_api(tmp_path, command, pythonpath=SOURCES, env={"PORTABLE_FN_AWS_INVOKE_MODE": mode}) as api:

        def get(path: str) -> tuple[int, int]:
            answer = api.invoke(simulate.payload(fake.request("GET", path), "function_url"))
            if answer.streamed:
                prelude, body = answer.split()
                return prelude["statusCode"], len(body)
            return answer.json["statusCode"], len(answer.body)

        if mode == "BUFFERED":
            assert 500 == get("/text/6291556")[0]
            assert 500 == get("/stream/7")[0]
            status, size = get("/text/6291000")
            assert 200 == status
            assert size <= LAMBDA
        else:
            assert (200, 7_000_000) == get("/text/7000000")
            assert 500 == get("/text/209715201")[0]
        failed = api.invoke({"size": LAMBDA})
        assert failed.failed
        assert ("EncodeError", True) == (
            failed.json["errorType"],
            "Lambda takes 6291556" in failed.json["errorMessage"],
        )
        assert not api.invoke({"size": 5}).failed


def test_our_runtime_breaks_off_a_stream_over_lambdas_limit(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(APP.replace("1048576", "20 * 1048576"))
    command = [sys.executable, "-m", "portable_fn_aws.runtime", "app"]
    with runtime_api(tmp_path, command, pythonpath=SOURCES, env={}) as api:
        answer = api.invoke(simulate.payload(fake.request("GET", "/stream/11"), "function_url"))
        assert answer.stream_error is not None
        assert "over 209715200 bytes" in answer.stream_error[1]["errorMessage"]
        assert 200 == answer.split()[0]["statusCode"]


# The real runtime

ENTRY = """
from portable_fn import Request, Task, on, portable
from portable_fn_aws import entry

calls = []

@portable(on.http("GET", "/bytes/{size}"))
def large(request: Request, ctx):
    calls.append(1)
    return b"\\0" * request.params.get_int("size")

@portable(on.http("GET", "/umlauts/{size}"))
def umlauts(request: Request):
    return "ä" * request.params.get_int("size")

@portable(on.http("GET", "/calls"))
def called(request: Request):
    return str(len(calls))

@portable(on.task())
def task(task: Task):
    return "x" * task.data["size"]

main = entry(large, umlauts, called, task)
"""


@pytest.mark.runtime
@pytest.mark.parametrize("python", ["", "AWS_Lambda_python3.13"])
def test_awslambdarics_process_lives(tmp_path: Path, python: str) -> None:
    (tmp_path / "main.py").write_text(ENTRY)
    env = {"AWS_EXECUTION_ENV": python} if python else {}
    with emulator(tmp_path, "main.main", pythonpath=SOURCES, env=env) as function:

        def get(path: str) -> Any:
            return function.invoke(simulate.payload(fake.request("GET", path), "http_api"))

        assert 200 == get("/bytes/4700000")["statusCode"]
        refused = get("/bytes/4800000")
        assert 500 == refused["statusCode"]
        assert f"Lambda takes {LAMBDA}." in json.loads(refused["body"])["detail"]
        # 6 MB of JSON in UTF-8, 18 MB as escapes.
        assert (200 if python else 500) == get("/umlauts/3000000")["statusCode"]
        assert 500 == get("/umlauts/3200000")["statusCode"]
        failed = function.invoke({"size": LAMBDA})
        assert "EncodeError" == failed["errorType"]
        # One process answered them all.
        assert "2" == get("/calls")["body"]
