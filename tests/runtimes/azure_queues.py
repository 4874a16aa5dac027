"""Serve the REST interfaces of storage queues and Service Bus queues, for the dead letters of a function app."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from portable_fn.events import Message
from portable_fn_azure.simulate.queues import Queues


class QueueServer:
    """A running server; `letters` are the messages that it accepted, as a function that reads the queue gets them."""

    def __init__(self, queues: Queues, port: int) -> None:
        self._queues = queues
        key = "a2V5"
        self.storage = f"AccountName=account;AccountKey={key};QueueEndpoint=http://127.0.0.1:{port}/account"
        self.service_bus = (
            f"Endpoint=sb://127.0.0.1:{port};SharedAccessKeyName=all;SharedAccessKey={key};UseDevelopmentEmulator=true"
        )

    @property
    def letters(self) -> list[Message[Any]]:
        return self._queues.letters

    @property
    def settings(self) -> dict[str, str]:
        """The settings of the queues, with the names that `entry` uses by default."""
        return {"AzureWebJobsStorage": self.storage, "ServiceBusConnection": self.service_bus}


@contextmanager
def queue_server() -> Iterator[QueueServer]:
    """Serve queues that accept every message."""
    queues = Queues()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            status, answer = queues.call("POST", self.path, dict(self.headers), body, 1)
            self.send_response(status)
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *args: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield QueueServer(queues, server.server_port)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
