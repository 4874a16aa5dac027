"""Run the worker process, as Azure's proxy_worker does around the library worker."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import threading
from collections.abc import Coroutine
from queue import SimpleQueue
from types import SimpleNamespace
from typing import Any

import grpc

from .protos import protos

ANSWERS = {
    "worker_init_request": "worker_init_response",
    "functions_metadata_request": "function_metadata_response",
    "function_load_request": "function_load_response",
    "invocation_request": "invocation_response",
}
LEVELS = {
    logging.DEBUG: "Debug",
    logging.INFO: "Information",
    logging.WARNING: "Warning",
    logging.ERROR: "Error",
    logging.CRITICAL: "Critical",
}


async def answer(message: Any, outgoing: SimpleQueue[Any]) -> None:
    """Have the library worker answer one message of the host."""
    import azure_functions_runtime as runtime

    kind = message.WhichOneof("content")
    if kind == "worker_init_request":
        runtime.start_threadpool_executor()
    request = SimpleNamespace(name=kind, request=message, properties={"protos": protos, "host": "127.0.0.1"})
    response = await getattr(runtime, kind)(request)
    outgoing.put(protos.StreamingMessage(request_id=message.request_id, **{ANSWERS[kind]: response}))


def receive(address: str, loop: asyncio.AbstractEventLoop, outgoing: SimpleQueue[Any]) -> None:
    """Run each message of the host in a task of the loop, where a BaseException ends as in the real worker."""
    unlimited = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
    stub = protos.FunctionRpcStub(grpc.insecure_channel(address, unlimited))

    def start(coroutine: Coroutine[Any, Any, None]) -> None:
        loop.create_task(coroutine)

    for message in stub.EventStream(iter(outgoing.get, None)):
        loop.call_soon_threadsafe(start, answer(message, outgoing))


class RpcLogHandler(logging.Handler):
    def __init__(self, outgoing: SimpleQueue[Any]) -> None:
        super().__init__()
        self.outgoing = outgoing

    def emit(self, record: logging.LogRecord) -> None:
        level = getattr(protos.RpcLog, LEVELS.get(record.levelno, "Information"))
        log = protos.RpcLog(level=level, category=record.name, message=self.format(record))
        self.outgoing.put(protos.StreamingMessage(rpc_log=log))


async def main(app: str, address: str) -> None:
    outgoing: SimpleQueue[Any] = SimpleQueue()
    logging.root.setLevel(logging.INFO)
    logging.root.addHandler(RpcLogHandler(outgoing))
    outgoing.put(protos.StreamingMessage(start_stream=protos.StartStream(worker_id="worker")))
    threading.Thread(target=receive, args=(address, asyncio.get_running_loop(), outgoing), daemon=True).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    # The real worker runs in the app's folder, whose modules and deployed packages come first.
    # Source: azure-functions-python-worker, workers/proxy_worker/utils/dependency.py.
    os.chdir(sys.argv[1])
    sys.path[0:1] = [sys.argv[1], os.path.join(sys.argv[1], ".python_packages", "lib", "site-packages")]
    asyncio.run(main(sys.argv[1], sys.argv[2]))
