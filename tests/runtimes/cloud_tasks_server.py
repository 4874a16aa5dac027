"""gcloud-tasks-emulator, run in its own environment, with Cloud Tasks' REST interface before it instead of gRPC.

Its own server listens on every interface and needs a gRPC client. Source of the paths and bodies: Cloud Tasks API v2.
"""

from __future__ import annotations

import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from gcloud_tasks_emulator.server import Processor, QueueState
from google.cloud.tasks_v2 import CreateTaskRequest, Queue, Task


class _Handler(BaseHTTPRequestHandler):
    state: QueueState

    def do_POST(self) -> None:
        parent, _, kind = self.path.removeprefix("/v2/").rpartition("/")
        body = self.rfile.read(int(self.headers["Content-Length"]))
        made: Any
        if kind == "queues":
            made = self.state.create_queue(parent, Queue.from_json(body))
        else:
            made = self.state.create_task(parent, CreateTaskRequest.from_json(body).task)
        self._answer(type(made).to_json(made))

    def do_GET(self) -> None:
        tasks = self.state.list_tasks(self.path.removeprefix("/v2/").removesuffix("/tasks"))
        self._answer(f'{{"tasks": [{", ".join(map(Task.to_json, tasks))}]}}')

    def _answer(self, text: str) -> None:
        body = text.encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    _Handler.state = QueueState("localhost", 80, max_retries=int(sys.argv[2]))
    Processor(_Handler.state).start()
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), _Handler).serve_forever()
