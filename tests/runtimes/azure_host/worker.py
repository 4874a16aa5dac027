"""Start the worker process, load its functions and invoke them, on the host's side of the gRPC channel."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import grpc

from . import settlement
from .protos import protos

START_SECONDS = 60


class WorkerLost(Exception):
    """The worker process has ended."""


class IndexingFailed(Exception):
    """The worker couldn't index the app; the message is the worker's."""


@dataclass(frozen=True)
class Function:
    id: str
    name: str
    bindings: list[dict[str, Any]]
    metadata: Any


class Worker:
    """One worker process; safe to invoke from many threads at once."""

    def __init__(self) -> None:
        self.capabilities: dict[str, str] = {}
        self.lost: str | None = None
        self._outgoing: SimpleQueue[Any] = SimpleQueue()
        self._awaited: dict[str, Future[Any]] = {}
        self._lock = threading.Lock()

    def start(self, app: Path) -> list[Function]:
        """Start the process and make it index the app; raise IndexingFailed with the worker's message."""
        limits = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
        # Without a reference, the server would stop listening.
        self._server = server = grpc.server(ThreadPoolExecutor(max_workers=4), options=limits)
        protos.add_FunctionRpcServicer_to_server(self, server)
        settlement.serve(server, log)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        started = self._await("start_stream")
        # The extension that settles messages reads the following options.
        address = ["--host", "127.0.0.1", "--port", str(port), "--functions-grpc-max-message-length", "2147483647"]
        process = subprocess.Popen(
            [sys.executable, "-m", f"{__package__}.front", str(app), f"127.0.0.1:{port}", *address],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        threading.Thread(target=self._watch, args=(process,), daemon=True).start()
        started.result(START_SECONDS)

        # The real host sends RpcHttpBodyOnly and TypedDataCollection only if the worker asks for them.
        # Source: azure-functions-host, GrpcWorkerChannel.SendWorkerInitRequest.
        init = protos.WorkerInitRequest(
            host_version="4.0", capabilities={"MultiStream": "10"}, function_app_directory=str(app)
        )
        answer = self._ask("worker_init_response", protos.StreamingMessage(worker_init_request=init))
        _raise_failure(answer.result)
        self.capabilities = dict(answer.capabilities)
        request = protos.FunctionsMetadataRequest(function_app_directory=str(app))
        answer = self._ask("function_metadata_response", protos.StreamingMessage(functions_metadata_request=request))
        _raise_failure(answer.result)
        return [
            Function(each.function_id, each.name, [json.loads(binding) for binding in each.raw_bindings], each)
            for each in answer.function_metadata_results
        ]

    def load(self, function: Function) -> None:
        request = protos.FunctionLoadRequest(function_id=function.id, metadata=function.metadata)
        answer = self._ask("function_load_response", protos.StreamingMessage(function_load_request=request))
        _raise_failure(answer.result)

    def invoke(self, request: Any) -> Future[Any]:
        """Invoke a function; return a future of the InvocationResponse, or of WorkerLost if the process ends first."""
        answer = self._await(request.invocation_id)
        self._outgoing.put(protos.StreamingMessage(invocation_request=request))
        return answer

    def EventStream(self, incoming: Iterator[Any], context: Any) -> Iterator[Any]:  # noqa: N802  # gRPC's name
        threading.Thread(target=self._receive, args=(incoming,), daemon=True).start()
        yield from iter(self._outgoing.get, None)

    def _receive(self, incoming: Iterator[Any]) -> None:
        try:
            for message in incoming:
                kind = message.WhichOneof("content")
                content = getattr(message, kind)
                if kind == "rpc_log":
                    log(f"[{protos.RpcLog.Level.Name(content.level)}] {content.category}: {content.message}")
                    continue
                with self._lock:
                    awaited = self._awaited.pop(getattr(content, "invocation_id", kind), None)
                if awaited is None:
                    log(f"[host] a {kind} that nobody awaits, or no more")
                else:
                    awaited.set_result(content)
        except Exception as exc:
            log(f"[host] the worker's stream ended: {exc!r}")

    def _watch(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            log(line.rstrip("\n"))
        code = process.wait()
        with self._lock:
            self.lost = f"the worker process exited with {code}"
            lost, self._awaited = self._awaited, {}
        log(f"[host] {self.lost}")
        for awaited in lost.values():
            awaited.set_exception(WorkerLost(self.lost))

    def _await(self, key: str) -> Future[Any]:
        future: Future[Any] = Future()
        with self._lock:
            if self.lost is not None:
                future.set_exception(WorkerLost(self.lost))
            else:
                self._awaited[key] = future
        return future

    def _ask(self, kind: str, message: Any) -> Any:
        answer = self._await(kind)
        message.request_id = str(uuid.uuid4())
        self._outgoing.put(message)
        return answer.result(START_SECONDS)


def log(line: str) -> None:
    """Write a line at once, so that no other thread writes into it."""
    sys.stdout.write(f"{line}\n")


def failure(result: Any) -> str | None:
    """Return the worker's error, if any."""
    if result.status == protos.StatusResult.Success:
        return None
    return f"{result.exception.message}\n{result.exception.stack_trace}".strip() or "failed without a message"


def _raise_failure(result: Any) -> None:
    if why := failure(result):
        raise IndexingFailed(why)
