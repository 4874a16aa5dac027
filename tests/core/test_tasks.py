"""What a handler does to its own task, and what its stream waits for and sets, means the same on every provider."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from harnesses import Harness, Send
from portable_fn.testing import deliver, fake
from portable_fn_aws import simulate
from tests.runtimes.apps import tasks
from tests.runtimes.asgi import uvicorn
from tests.runtimes.aws import emulator, runtime_api
from tests.runtimes.aws_stories import streamed
from tests.runtimes.cloudflare_stories import through_the_edge, worker
from tests.runtimes.environments import ROOT
from tests.runtimes.gcp import functions_framework
from tests.runtimes.harnesses import PYTHONPATH, served

APPS = ROOT / "tests" / "runtimes" / "apps"
PATHS = (*PYTHONPATH, APPS)
SOURCE = "import tasks\nfrom portable_fn_{} import entry\n{} = entry(tasks)\n"


def in_process(provider: str, service: str | None = None) -> Harness:
    @contextmanager
    def start() -> Iterator[Send]:
        yield partial(deliver, tasks, to=provider, via=service)

    return Harness(f"{provider} {service}" if service else provider, start)


@contextmanager
def awslambdaric() -> Iterator[Send]:
    with TemporaryDirectory() as folder:
        Path(folder, "main.py").write_text(SOURCE.format("aws", "main"))
        with emulator(Path(folder), "main.main", pythonpath=PATHS) as function:
            yield lambda request: simulate.answer(function.invoke(simulate.payload(request, "http_api")), "http_api")


@contextmanager
def own_runtime() -> Iterator[Send]:
    command = ["python", "-m", "portable_fn_aws.runtime", "tasks"]
    with runtime_api(APPS, command, pythonpath=PATHS, env={"PORTABLE_FN_AWS_INVOKE_MODE": "RESPONSE_STREAM"}) as api:
        yield lambda request: streamed(api, request, "function_url")


@contextmanager
def workerd() -> Iterator[Send]:
    with worker(SOURCE.format("cloudflare", "Default"), APPS / "tasks.py") as running:
        yield partial(through_the_edge, running)


# Only the handler cancels its task; on the other providers a server does, too.
ALONE = [in_process("aws"), in_process("gcp", "http"), in_process("cloudflare")]
SERVED = [in_process("gcp", "http_async"), in_process("azure"), in_process("asgi")]
REAL_ALONE = [
    Harness("awslambdaric", awslambdaric),
    Harness("portable_fn_aws.runtime", own_runtime),
    served(
        "functions-framework",
        SOURCE.format("gcp", "main"),
        lambda main: functions_framework(main, "main", pythonpath=PATHS),
        {},
    ),
    Harness("workerd", workerd),
]
REAL_SERVED = [
    served(
        "uvicorn",
        SOURCE.format("asgi", "main"),
        lambda main: uvicorn("main:main", pythonpath=[*PATHS, main.parent]),
        {},
    )
]


def each(here: list[Harness], real: list[Harness]) -> list[object]:
    return [pytest.param(harness, id=harness.name) for harness in here] + [
        pytest.param(harness, id=harness.name, marks=pytest.mark.runtime) for harness in real
    ]


@pytest.fixture(scope="module", params=each(ALONE, REAL_ALONE))
def alone(request: pytest.FixtureRequest) -> Iterator[Send]:
    with request.param.start() as send:
        yield send


@pytest.fixture(scope="module", params=each(ALONE + SERVED, REAL_ALONE + REAL_SERVED))
def send(request: pytest.FixtureRequest) -> Iterator[Send]:
    with request.param.start() as send:
        yield send


@pytest.mark.parametrize("what", tasks.ODD)
def test_a_handler_that_changes_its_task_is_answered(alone: Send, what: str) -> None:
    answer = alone(fake.request("GET", f"/odd/{what}"))
    if what == "cancels_itself_and_returns":
        assert (200, "ended") == (answer.status, answer.text)
    else:
        assert (500, "Internal Server Error") == (answer.status, answer.json()["title"])
    assert 200 == alone(fake.request("GET", "/worked")).status


@pytest.mark.parametrize("what", tasks.ODD)
def test_background_work_that_changes_its_task_costs_no_answer_and_no_other_work(alone: Send, what: str) -> None:
    before = worked(alone).count(what)
    assert "ended" == alone(fake.request("GET", f"/odd-background/{what}")).text
    end = time.monotonic() + 5
    while worked(alone).count(what) == before:
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.parametrize("harness", each(ALONE[:2], REAL_ALONE[:3]))
def test_a_task_of_the_handlers_that_exits_does_not_end_the_process(harness: Harness) -> None:
    with harness.start() as send:
        for _ in range(2):
            assert "SystemExit" == send(fake.request("GET", "/task-that-exits")).text


def worked(send: Send) -> list[str]:
    names: list[str] = send(fake.request("GET", "/worked")).json()
    return names


def test_a_timeout_around_a_streams_chunks_holds(send: Send) -> None:
    assert "one,timed out" == quickly(send, "/within-a-timeout")


def test_a_task_group_around_a_streams_chunks_is_cancelled_when_a_task_of_it_fails(send: Send) -> None:
    assert "one,failed" == quickly(send, "/within-a-task-group")


def quickly(send: Send, path: str) -> str:
    began = time.monotonic()
    text = send(fake.request("GET", path)).text
    assert time.monotonic() - began < 3
    return text


def test_a_stream_has_its_handlers_context_variables_and_its_own_and_the_next_invocation_has_neither(
    send: Send,
) -> None:
    for _ in range(3):
        assert "nobody,the handler,the stream" == send(fake.request("GET", "/variables")).text


def test_so_has_the_stream_of_a_sync_handler(send: Send) -> None:
    for _ in range(3):
        assert "nobody,the handler,the stream" == send(fake.request("GET", "/sync-variables")).text


def test_background_work_has_its_handlers_context_variables(alone: Send) -> None:
    before = worked(alone).count("the handler")
    alone(fake.request("GET", "/background-variables"))
    end = time.monotonic() + 5
    while worked(alone).count("the handler") == before:
        assert time.monotonic() < end
        time.sleep(0.01)
