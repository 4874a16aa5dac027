"""AWS Lambda: the Runtime Interface Emulator with the real Python client, and a Runtime API that sees what it hides."""

from __future__ import annotations

import base64
import json
import os
import platform
import socket
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Literal

from tests.runtimes.environments import Unavailable, downloaded, venv
from tests.runtimes.process import Process, Server, free_ports, running, serving
from tests.runtimes.wire import Chunks, Headers, Received, read_body, send, values

ARN = "arn:aws:lambda:eu-central-1:123456789012:function:portable"
TRACE = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"
FUNCTION = {
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128",
    "AWS_LAMBDA_FUNCTION_NAME": "portable",
    "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
    "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/portable",
    "AWS_LAMBDA_LOG_STREAM_NAME": "2025/01/01/[$LATEST]0123456789abcdef0123456789abcdef",
    "AWS_REGION": "eu-central-1",
}
# An HTTP API's GET /hello/Ada, as far as handlers in the tests of the harnesses read it.
HELLO = {
    "version": "2.0",
    "rawPath": "/hello/Ada",
    "rawQueryString": "",
    "headers": {"host": "example.com"},
    "requestContext": {"http": {"method": "GET", "path": "/hello/Ada"}, "stage": "$default"},
    "isBase64Encoded": False,
}
# When the Runtime API closes the connection without a word: while the runtime answers, in place of taking the answer, or after.
HangsUp = Literal["on the way", "instead", "after"]
INTEGRATION_RESPONSE = "application/vnd.awslambda.http-integration-response"
_MACHINES = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


_PRELUDE: dict[str, Callable[[Any], bool]] = {
    "statusCode": lambda value: type(value) is int and 100 <= value <= 999,
    "headers": lambda value: isinstance(value, dict) and _is_texts(list(value.values())),
    "multiValueHeaders": lambda value: isinstance(value, dict) and all(map(_is_texts, value.values())),
    "cookies": _is_texts,
}


@dataclass(frozen=True)
class Emulator:
    """A function behind the Runtime Interface Emulator, which starts it on the first invocation."""

    server: Server

    @property
    def logs(self) -> list[str]:
        return self.server.logs

    def invoke(self, payload: object, *, client_context: object = None) -> Any:
        """The parsed answer; a function that failed answers too, with `errorType` and `errorMessage`."""
        context = base64.b64encode(json.dumps(client_context).encode()).decode()
        headers = [("X-Amz-Client-Context", context)] if client_context is not None else []
        received = self.send(json.dumps(payload).encode(), headers)
        assert received.status == 200, f"the emulator answered {received.status}: {received.body!r}"
        return json.loads(received.body)

    def send(self, payload: bytes, headers: Sequence[tuple[str, str]] = ()) -> Received:
        """The raw answer: 200 even for a failure or a time-out, 502 for a crash or an answer over 6,291,556 bytes."""
        return send(self.server.url, "POST", "/2015-03-31/functions/function/invocations", headers, payload)


@contextmanager
def emulator(
    app: Path,
    handler: str,
    *,
    bootstrap: Sequence[str] | None = None,
    python: str | None = None,
    pythonpath: Sequence[Path] = (),
    env: Mapping[str, str] = {},
) -> Iterator[Emulator]:
    """Run `module.function` of the folder `app` in awslambdaric, or a bootstrap whose `python` is awslambdaric's."""
    port, api_port = free_ports(2)
    command: list[str | Path] = [_emulator_binary(), "--log-level", "error"]
    command += ["--runtime-interface-emulator-address", f"127.0.0.1:{port}"]
    command += ["--runtime-api-address", f"127.0.0.1:{api_port}"]
    command += bootstrap or ["python", "-m", "awslambdaric", handler]
    settings = {**_environment(app, handler, venv("aws", python=python or sys.executable)), **env}
    with serving(command, port, cwd=app, pythonpath=pythonpath, env=settings) as server:
        yield Emulator(server)


@dataclass
class Answer:
    """What a runtime posted for one invocation: names in lower case, chunks with the seconds since it got the event."""

    failed: bool
    headers: Headers
    chunks: Chunks = field(default_factory=list)
    trailers: Headers = field(default_factory=list)
    complete: bool = True

    @property
    def body(self) -> bytes:
        return b"".join(payload for _, payload in self.chunks)

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def streamed(self) -> bool:
        return values(self.headers, "lambda-runtime-function-response-mode") == ["streaming"]

    @property
    def stream_error(self) -> tuple[str, Any] | None:
        """The type and the decoded document of an error reported after the stream had begun."""
        types = values(self.trailers, "lambda-runtime-function-error-type")
        if not types:
            return None
        [document] = values(self.trailers, "lambda-runtime-function-error-body")
        return types[0], json.loads(base64.b64decode(document, validate=True))

    def split(self) -> tuple[dict[str, Any], bytes]:
        """The prelude and the body of a streamed HTTP response, once its format is found right.

        A NUL byte after the eighth belongs to the body. Sources: the Lambda developer guide, "Implementing response
        streaming in a custom runtime"; the API Gateway developer guide, "Lambda proxy integration format for response
        streaming"; HttpResponseStream.js of aws-lambda-nodejs-runtime-interface-client.
        """
        assert not self.failed, f"it is an error, not a response: {self.body!r}"
        assert self.streamed, f"no 'Lambda-Runtime-Function-Response-Mode: streaming' among {self.headers}"
        for name, expected in ("content-type", INTEGRATION_RESPONSE), ("transfer-encoding", "chunked"):
            assert values(self.headers, name) == [expected], f"{name} is {values(self.headers, name)}, not {expected}"
        assert self.complete, f"the connection ended before the last chunk, after {self.body[-80:]!r}"
        announced = {name.strip().lower() for line in values(self.headers, "trailer") for name in line.split(",")}
        for name, _ in self.trailers:
            assert name in announced, f"the header Trailer announces {sorted(announced)}, not {name}"
        text, nul, rest = self.body.partition(b"\0")
        assert nul, f"no NUL byte, so no end of the prelude, in {self.body[:80]!r}"
        assert rest[:7] == bytes(7), f"fewer than 8 NUL bytes after the prelude: {(nul + rest)[:8]!r}"
        assert len(text) + 8 <= 16384, f"the delimiter ends after {len(text) + 8} bytes, not within the first 16 KiB"
        try:
            prelude = json.loads(text)
        except ValueError as exc:
            raise AssertionError(f"the prelude is not JSON ({exc}): {text!r}") from exc
        assert isinstance(prelude, dict), f"the prelude is not a JSON object: {text!r}"
        wrong = {name: value for name, value in prelude.items() if name not in _PRELUDE or not _PRELUDE[name](value)}
        assert not wrong, f"the prelude may not hold {wrong}"
        return prelude, rest[7:]


@dataclass
class _Invocation:
    headers: dict[str, str]
    payload: bytes
    hangs_up: HangsUp | None = None
    answered: Future[Answer] = field(default_factory=Future)
    delivered: float = 0.0


class RuntimeApi:
    """A Lambda Runtime API with a runtime at its other end."""

    def __init__(self) -> None:
        self.process: Process
        self.waiting: SimpleQueue[_Invocation] = SimpleQueue()
        self.unanswered: dict[str, _Invocation] = {}
        self.stillborn: Future[Answer] = Future()

    @property
    def logs(self) -> list[str]:
        return self.process.logs

    def invoke(
        self,
        payload: object,
        *,
        trace_id: str | None = TRACE,
        deadline_ms: int | None = None,
        client_context: object = None,
        cognito_identity: object = None,
        tenant_id: str | None = None,
        invocation_id: str | None = None,
        hangs_up: HangsUp | None = None,
        timeout: float = 30,
    ) -> Answer:
        """The runtime's answer to one event, bytes going as they are; the deadline, in epoch ms, is else in 30 s.

        A client context that is a str goes as it is, too.
        """
        request_id = str(uuid.uuid4())
        deadline = round(time.time() * 1000) + 30_000 if deadline_ms is None else deadline_ms
        headers = {
            "Lambda-Runtime-Aws-Request-Id": request_id,
            "Lambda-Runtime-Deadline-Ms": str(deadline),
            "Lambda-Runtime-Invoked-Function-Arn": ARN,
            "Lambda-Runtime-Trace-Id": trace_id,
            "Lambda-Runtime-Client-Context": client_context
            if client_context is None or isinstance(client_context, str)
            else json.dumps(client_context),
            "Lambda-Runtime-Cognito-Identity": None if cognito_identity is None else json.dumps(cognito_identity),
            "Lambda-Runtime-Aws-Tenant-Id": tenant_id,
            "Lambda-Runtime-Invocation-Id": invocation_id,
        }
        event = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        named = {name: value for name, value in headers.items() if value is not None}
        invocation = _Invocation(named, event, hangs_up)
        self.unanswered[request_id] = invocation
        self.waiting.put(invocation)
        return self._awaited(invocation.answered, timeout)

    def init_error(self, *, timeout: float = 30) -> Answer:
        """What the runtime posted because it could not start."""
        return self._awaited(self.stillborn, timeout)

    def _awaited(self, answered: Future[Answer], timeout: float) -> Answer:
        end = time.monotonic() + timeout
        while True:
            exited = self.process.exit_code
            try:
                return answered.result(0.05)
            except TimeoutError:
                if exited is not None:
                    raise RuntimeError(f"the runtime exited with {exited} and without an answer") from None
                if time.monotonic() > end:
                    raise


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # http.server writes head and body apart; with Nagle's algorithm the body would wait 40 ms for a delayed ACK.
    disable_nagle_algorithm = True

    def __init__(self, api: RuntimeApi, *arguments: Any) -> None:
        self.api = api
        super().__init__(*arguments)

    def handle(self) -> None:
        with suppress(ConnectionError):  # A runtime is stopped while it waits for its next event.
            super().handle()

    def do_GET(self) -> None:
        if self.path != "/2018-06-01/runtime/invocation/next":
            return self._reply(404, {}, b"{}")
        invocation = self.api.waiting.get()
        invocation.delivered = time.monotonic()
        self._reply(200, invocation.headers, invocation.payload)

    def do_POST(self) -> None:
        hangs_up = None
        match self.path.removeprefix("/2018-06-01/runtime/").split("/"):
            case ["init", "error"] if not self.api.stillborn.done():
                answered, since = self.api.stillborn, time.monotonic()
            case ["invocation", request_id, "response" | "error"] if request_id in self.api.unanswered:
                invocation = self.api.unanswered.pop(request_id)
                answered, since, hangs_up = invocation.answered, invocation.delivered, invocation.hangs_up
            case _:
                # What the emulator's source says to a second answer; the developer guide allows an error only before
                # a response begins.
                return self._reply(403, {}, b'{"errorType": "InvalidStateTransition"}')
        headers = [(name.lower(), value) for name, value in self.headers.items()]
        answer = Answer(failed=self.path.endswith("/error"), headers=headers)
        if hangs_up in ("on the way", "instead"):
            if hangs_up == "on the way":
                self.rfile.read(100)
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
            answer.complete = False
            answered.set_result(answer)
            return None
        if hangs_up == "after":
            self.close_connection = True
        try:
            answer.trailers = read_body(self.rfile, headers, since, answer.chunks)
        except (EOFError, ConnectionError):
            answer.complete = False
        answered.set_result(answer)
        self._reply(202, {}, b'{"status": "OK"}')

    def _reply(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        """The answers are the log."""


@contextmanager
def runtime_api(
    app: Path,
    command: Sequence[str],
    *,
    python: str | None = None,
    pythonpath: Sequence[Path] = (),
    env: Mapping[str, str] = {},
) -> Iterator[RuntimeApi]:
    """Run a bootstrap in the folder `app` against a Runtime API; by the name `python` it finds the one with awslambdaric.

    The stock client is `["python", "-m", "awslambdaric", "module.function"]`.
    """
    api = RuntimeApi()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, api)) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        address = {"AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{server.server_port}"}
        interpreter = Path(command[0]) if os.path.isabs(command[0]) else venv("aws", python=python or sys.executable)
        settings = {**_environment(app, command[-1], interpreter), **address, **env}
        try:
            with running(command, cwd=app, pythonpath=pythonpath, env=settings) as api.process:
                yield api
        finally:
            server.shutdown()


def _environment(app: Path, handler: str, interpreter: Path) -> dict[str, str]:
    path = f"{interpreter.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    return {**FUNCTION, "PATH": path, "LAMBDA_TASK_ROOT": str(app), "_HANDLER": handler}


def _emulator_binary() -> Path:
    machine = _MACHINES.get(platform.machine().lower())
    if sys.platform != "linux" or machine is None:
        raise Unavailable(f"no Runtime Interface Emulator for {sys.platform} on {platform.machine()}")
    binary = downloaded("rie", "aws-sam-cli==1.170.0") / f"samcli/local/rapid/aws-lambda-rie-{machine}"
    binary.chmod(0o755)
    return binary
