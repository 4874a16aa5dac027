"""The stories of events on the real runtimes: `simulate` plays the service that hands an event over, the runtime is real.

Cloudflare's are in test_workerd_events.py, since workerd takes other things than bytes.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from event_harnesses import EventCell
from portable_fn.http import Request
from portable_fn.providers import adapter
from portable_fn.record import Record
from portable_fn.testing.results import Raised
from portable_fn.testing.stories import StoryRun
from portable_fn_asgi.simulate.events import from_sidecar
from portable_fn_aws.simulate import queues as aws_queues
from portable_fn_gcp.simulate import pubsub as gcp_pubsub
from portable_fn_gcp.simulate.events import ordering_key
from portable_fn_gcp.simulate.requests import PROJECT
from tests.runtimes.asgi import uvicorn
from tests.runtimes.aws import emulator
from tests.runtimes.azure_event_stories import SETTLED, Worker, worker
from tests.runtimes.environments import ROOT
from tests.runtimes.gcp import functions_framework
from tests.runtimes.harnesses import over_http
from tests.runtimes.process import Server

PYTHONPATH = (ROOT / "src", ROOT / "adapters")

_SOURCE = """
from portable_fn.testing.stories import events_app
from portable_fn_{provider} import entry

main = entry(events_app.functions_for({kind!r}, {app!r}){options})
"""
Invoke = Callable[[Any], Any]


class Running(Record):
    """A runtime with the function of one kind: `invoke` gives the native answer, into `seen` it writes what it saw."""

    _fields = ("seen",)

    def __init__(self, invoke: Invoke, seen: Path) -> None:
        self.invoke = invoke
        self.seen = seen

    def deliver_to(self, cell: EventCell) -> Callable[..., StoryRun]:
        """Brings a cell's events to the function."""
        simulate = adapter(cell.provider, "simulate")

        def deliver(events: Any, *, seconds: float = 30) -> StoryRun:
            events = list(events)
            self.seen.write_text("")
            with simulate.playing(cell.service):
                invoke = self.invoke if cell.provider != "gcp" else _in_order(self.invoke, cell.service)
                answers = [invoke(native) for native in simulate.payloads(events, cell.service)]
                delivery = simulate.results(events, cell.service, answers)
            return StoryRun(delivery, [json.loads(line) for line in self.seen.read_text().splitlines()])

        return deliver


def _in_order(invoke: Invoke, service: str) -> Invoke:
    """As Pub/Sub sends: no message of an ordering key before the one before it is acknowledged."""
    waiting: set[str] = set()

    def invoke_next(native: Any) -> Any:
        key = ordering_key(native, service)
        if key in waiting:
            return None
        answer = invoke(native)
        if key is not None and answer.status not in (200, 204):
            waiting.add(key)
        return answer

    return invoke_next


class Runtime(Record):
    """A real runtime of a provider; `start(kind, app, seconds)` runs it with the function of a story.

    Where it is `shared`, it has the functions of all stories. `without` are services that it can't take, with the reason.
    """

    _fields = ("name", "provider")

    def __init__(
        self,
        name: str,
        provider: str,
        start: Callable[[str, str, float], AbstractContextManager[Running | Worker]],
        *,
        shared: bool = False,
        without: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.provider = provider
        self.start = start
        self.shared = shared
        self.without = without or {}


@contextmanager
def _answering(answer: Callable[[str, str, Any, bytes], tuple[int, bytes]]) -> Iterator[str]:
    """A service that the function calls, on a free port; gives its host and port."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", "0")))
            status, answered = answer("POST", self.path, self.headers, body)
            self.send_response(status)
            self.send_header("content-length", str(len(answered)))
            self.end_headers()
            self.wfile.write(answered)

        def log_message(self, format: str, *arguments: object) -> None:
            """What it was asked is kept."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


@contextmanager
def _lambda(kind: str, app: str, seconds: float, bootstrap: list[str] | None = None) -> Iterator[Running]:
    queues: list[Any] = []

    def sqs(method: str, path: str, headers: Any, body: bytes) -> tuple[int, bytes]:
        answer: tuple[int, bytes] = queues[-1].answer("", headers, body, 1)
        return answer

    with TemporaryDirectory() as folder, _answering(sqs) as host:
        Path(folder, "lambda_function.py").write_text(_SOURCE.format(provider="aws", kind=kind, app=app, options=""))
        env = {
            "PORTABLE_FN_STORIES": f"{folder}/seen",
            "AWS_ENDPOINT_URL_SQS": f"http://{host}",
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_LAMBDA_FUNCTION_TIMEOUT": str(int(seconds)),
        }
        with emulator(
            Path(folder), "lambda_function.main", bootstrap=bootstrap, pythonpath=PYTHONPATH, env=env
        ) as function:

            def invoke(native: Any) -> Any:
                queues.append(aws_queues.current.get())
                answer = function.invoke(native)
                if isinstance(answer, dict) and "errorType" in answer and "errorMessage" in answer:
                    return Raised(answer["errorType"], answer["errorMessage"])
                return answer

            yield Running(invoke, Path(folder, "seen"))


@contextmanager
def _google(kind: str, app: str, seconds: float, is_async: bool = False) -> Iterator[Running]:
    played: list[Any] = []

    def pubsub(method: str, path: str, headers: Any, body: bytes) -> tuple[int, bytes]:
        # A function sends no token to an emulator.
        headers = {**headers, "authorization": "Bearer none"}
        answer: tuple[int, bytes] = played[-1].send(method, "", path, headers, body, 10.0)
        return answer

    with TemporaryDirectory() as folder, _answering(pubsub) as host:
        main = Path(folder, "main.py")
        main.write_text(_SOURCE.format(provider="gcp", kind=kind, app=app, options=""))
        env = {
            "PORTABLE_FN_STORIES": f"{folder}/seen",
            "PUBSUB_EMULATOR_HOST": host,
            "GOOGLE_CLOUD_PROJECT": PROJECT,
            # gunicorn stops a worker that is silent for so long.
            "CLOUD_RUN_TIMEOUT_SECONDS": str(max(int(seconds), 10)),
        }
        with functions_framework(main, "main", asgi=is_async, pythonpath=PYTHONPATH, env=env) as server:

            def invoke(native: Any) -> Any:
                played.append(gcp_pubsub.current.get())
                return over_http(server, native)

            yield Running(invoke, Path(folder, "seen"))


@contextmanager
def _uvicorn(kind: str, app: str, seconds: float) -> Iterator[Running]:
    with TemporaryDirectory() as folder:
        main = Path(folder, "main.py")
        main.write_text(_SOURCE.format(provider="asgi", kind=kind, app=app, options=", pubsub='pubsub'"))
        with uvicorn(
            "main:main", pythonpath=[*PYTHONPATH, Path(folder)], env={"PORTABLE_FN_STORIES": f"{folder}/seen"}
        ) as server:
            yield Running(partial(_from_sender, server), Path(folder, "seen"))


def _from_sender(server: Server, request: Any) -> Any:
    answer = over_http(server, request)
    if request.raw_path.startswith("/portable_fn/"):
        return from_sidecar(answer, over_http(server, Request("GET", "/dapr/subscribe", host="127.0.0.1")))
    return answer


def _azure(kind: str, app: str, seconds: float, python: str) -> AbstractContextManager[Worker]:
    return worker(python)


# What only the play of a redelivery in process can show.
CANNOT = {
    (
        "scheduler_input",
        "ScheduleEvent: its id stays the same when it is redelivered",
    ): "its id is the invocation's, which Lambda alone can have again"
}

RUNTIMES = [
    Runtime("awslambdaric", "aws", _lambda),
    Runtime(
        "portable_fn_aws.runtime",
        "aws",
        partial(_lambda, bootstrap=["python", "-m", "portable_fn_aws.runtime", "lambda_function:main"]),
    ),
    Runtime("functions-framework", "gcp", _google),
    Runtime("functions-framework --asgi", "gcp", partial(_google, is_async=True)),
    Runtime("uvicorn", "asgi", _uvicorn),
    Runtime("azure worker 3.11", "azure", partial(_azure, python="3.11"), shared=True),
    # The extension for settlement is for the Pythons before.
    Runtime(
        "azure worker 3.13",
        "azure",
        partial(_azure, python="3.13"),
        shared=True,
        without={
            SETTLED: "the settlement extension is pinned with azure-functions 1.26, which is for Pythons before 3.13"
        },
    ),
]
