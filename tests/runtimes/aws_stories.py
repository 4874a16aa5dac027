"""AWS Lambda as harnesses of the stories: `simulate` plays API Gateway and its kin, the runtime is real."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock

from harnesses import IN_PROCESS, STREAM, Harness, Send
from portable_fn.http import Request
from portable_fn.testing.results import Answer
from portable_fn_aws import simulate
from tests.runtimes.aws import RuntimeApi, emulator, runtime_api
from tests.runtimes.environments import ROOT

PYTHONPATH = (ROOT / "src", ROOT / "adapters")
_RUNTIME = ["python", "-m", "portable_fn_aws.runtime", "portable_fn.testing.stories.app"]
_ENTRY = """
from portable_fn.testing.stories import app
from portable_fn_aws import entry

lambda_handler = entry(app)
"""
# What can't hold for a service, whichever runtime is behind it.
_OF_SERVICE = {
    harness.name.removeprefix("aws "): harness.cannot for harness in IN_PROCESS if harness.name.startswith("aws ")
}


def _emulated(service: str, bootstrap: list[str] | None = None) -> Harness:
    @contextmanager
    def start() -> Iterator[Send]:
        with TemporaryDirectory() as folder:
            Path(folder, "lambda_function.py").write_text(_ENTRY)
            with emulator(
                Path(folder), "lambda_function.lambda_handler", bootstrap=bootstrap, pythonpath=PYTHONPATH,
                env={"PORTABLE_FN_AWS_INVOKE_MODE": "BUFFERED"},
            ) as lambda_function:  # fmt: skip
                yield _one_at_a_time(
                    lambda request: simulate.answer(lambda_function.invoke(simulate.payload(request, service)), service)
                )

    client = "awslambdaric" if bootstrap is None else "portable_fn_aws.runtime"
    return Harness(f"{client}, {service}", start, _OF_SERVICE[service])


def _streaming(service: str) -> Harness:
    @contextmanager
    def start() -> Iterator[Send]:
        with (
            TemporaryDirectory() as folder,
            runtime_api(
                Path(folder), _RUNTIME, pythonpath=PYTHONPATH, env={"PORTABLE_FN_AWS_INVOKE_MODE": "RESPONSE_STREAM"}
            ) as api,
        ):
            yield _one_at_a_time(lambda request: streamed(api, request, service))

    cannot = {story: reason for story, reason in _OF_SERVICE[service].items() if story != STREAM}
    return Harness(f"portable_fn_aws.runtime, {service}, streaming", start, cannot)


def streamed(api: RuntimeApi, request: Request, service: str) -> Answer:
    posted = api.invoke(simulate.payload(request, service))
    prelude, body = posted.split()
    whole = simulate.answer(prelude, service)
    return Answer(whole.status, whole.headers, body, [chunk for _, chunk in posted.chunks][1:] or [b""])


def _one_at_a_time(send: Send) -> Send:
    """Lambda gives each request its own environment. Here there is one, so concurrent requests wait for each other."""
    lock = Lock()

    def locked(request: Request) -> Answer:
        with lock:
            return send(request)

    return locked


HARNESSES: list[Harness] = [
    *(_emulated(service) for service in simulate.SERVICES),
    _emulated("http_api", _RUNTIME),
    _streaming("function_url"),
    _streaming("rest_api"),
]
