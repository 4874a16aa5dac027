"""Google's Cloud Tasks, as gcloud-tasks-emulator plays it: it posts each task to its URL until that answers 2xx."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.runtimes.environments import venv
from tests.runtimes.process import Server, free_ports, serving
from tests.runtimes.rest import call

_LOCATION = "projects/portable/locations/europe-west1"


@dataclass(frozen=True)
class CloudTasks:
    """A running emulator; queues by their short names."""

    server: Server

    def queue(self, name: str) -> None:
        """Create a queue."""
        self._call("POST", "queues", {"name": _queue(name)})

    def task(
        self, queue: str, url: str, body: bytes = b"", headers: Mapping[str, str] = {}, *, name: str | None = None
    ) -> str:
        """Create a task, a POST to a URL; its short name."""
        request = {"url": url, "body": base64.b64encode(body).decode(), "headers": dict(headers)}
        task = {"httpRequest": request} if name is None else {"httpRequest": request, "name": _task(queue, name)}
        made = self._call("POST", f"queues/{queue}/tasks", {"task": task})
        return str(made["name"]).rpartition("/")[2]

    def waiting(self, queue: str) -> list[str]:
        """The short names of the tasks that have neither succeeded nor been given up; not of one under way."""
        tasks = self._call("GET", f"queues/{queue}/tasks")["tasks"]
        return [str(each["name"]).rpartition("/")[2] for each in tasks]

    def _call(self, method: str, path: str, body: object = None) -> Any:
        return call(method, f"{self.server.url}/v2/{_LOCATION}/{path}", body)


@contextmanager
def cloud_tasks(*, max_retries: int = -1) -> Iterator[CloudTasks]:
    """Run the emulator without queues; a task is given up after so many retries, never for -1.

    Seen with gcloud-tasks-emulator 0.6.2: it tries again after 0.1 s whatever Retry-After says, has the same number as
    X-CloudTasks-TaskRetryCount and -TaskExecutionCount, the queue's full name in X-CloudTasks-QueueName where the
    service has the short one, and no X-CloudTasks-TaskPreviousResponse or -TaskRetryReason.
    """
    [port] = free_ports(1)
    script = Path(__file__).with_name("cloud_tasks_server.py")
    with serving([venv("cloud_tasks"), script, str(port), str(max_retries)], port, timeout=60) as server:
        yield CloudTasks(server)


def _queue(name: str) -> str:
    return f"{_LOCATION}/queues/{name}"


def _task(queue: str, name: str) -> str:
    return f"{_queue(queue)}/tasks/{name}"
