"""Azurite, Microsoft's emulator of Azure Storage: blobs and queues over their REST interfaces."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final
from urllib.error import HTTPError
from urllib.parse import quote, urlencode
from urllib.request import Request, urlopen
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from tests.runtimes.environments import npm
from tests.runtimes.process import Server, free_ports, serving

ACCOUNT: Final = "devstoreaccount1"
# The published key of every emulator: https://learn.microsoft.com/azure/storage/common/storage-connect-azurite
KEY: Final = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
_VERSION: Final = "2025-11-05"


@dataclass(frozen=True)
class QueueMessage:
    """A message as its queue returns it. Times are in RFC 1123's format, `dequeue_count` starts at 1."""

    id: str
    text: str
    dequeue_count: int
    inserted: str
    expires: str
    pop_receipt: str
    next_visible: str

    @property
    def metadata(self) -> dict[str, object]:
        """Return what a queue trigger of Azure Functions passes besides the text."""
        return {
            "Id": self.id,
            "DequeueCount": self.dequeue_count,
            "InsertionTime": self.inserted,
            "ExpirationTime": self.expires,
            "PopReceipt": self.pop_receipt,
            "NextVisibleTime": self.next_visible,
        }


@dataclass(frozen=True)
class Blob:
    """A blob's content and its response headers, with names in lower case."""

    url: str
    content: bytes
    headers: dict[str, str]


@dataclass(frozen=True)
class Storage:
    """A running, empty account; `blobs` and `queues` are the URLs of its services."""

    server: Server
    blobs: str
    queues: str

    @property
    def connection_string(self) -> str:
        """The connection string for an SDK or for the setting AzureWebJobsStorage."""
        endpoints = f"BlobEndpoint={self.blobs};QueueEndpoint={self.queues};"
        return f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};{endpoints}"

    def container(self, name: str) -> None:
        """Create a container of blobs."""
        self._call("PUT", f"{self.blobs}/{name}", {"restype": "container"})

    def put(
        self,
        container: str,
        name: str,
        content: bytes,
        *,
        content_type: str = "text/plain",
        metadata: Mapping[str, str] = {},
    ) -> None:
        """Create or replace a block blob."""
        headers = {"x-ms-blob-type": "BlockBlob", "Content-Type": content_type}
        headers |= {f"x-ms-meta-{each}": value for each, value in metadata.items()}
        self._call("PUT", f"{self.blobs}/{container}/{quote(name)}", {}, content, headers)

    def get(self, container: str, name: str) -> Blob:
        """Return a blob."""
        url = f"{self.blobs}/{container}/{quote(name)}"
        content, headers = self._call("GET", url, {})
        return Blob(url, content, headers)

    def names(self, container: str) -> list[str]:
        """Return the names of a container's blobs."""
        listed, _ = self._call("GET", f"{self.blobs}/{container}", {"restype": "container", "comp": "list"})
        return [each.text or "" for each in ElementTree.fromstring(listed).iterfind("Blobs/Blob/Name")]

    def queue(self, name: str) -> None:
        """Create a queue. Its name needs at least 3 characters."""
        self._call("PUT", f"{self.queues}/{name}", {})

    def send(self, queue: str, content: bytes | str) -> None:
        """Queue text unchanged, or bytes in base64, the encoding that a queue trigger expects by default."""
        text = content if isinstance(content, str) else base64.b64encode(content).decode()
        message = f"<QueueMessage><MessageText>{escape(text)}</MessageText></QueueMessage>"
        self._call("POST", f"{self.queues}/{queue}/messages", {}, message.encode())

    def receive(self, queue: str, *, maximum: int = 32, visibility_s: int = 30) -> list[QueueMessage]:
        """Receive messages. They are redelivered unless they are deleted within `visibility_s` seconds (at least 1)."""
        query = {"numofmessages": str(maximum), "visibilitytimeout": str(visibility_s)}
        listed, _ = self._call("GET", f"{self.queues}/{queue}/messages", query)
        fields = (
            "MessageId", "MessageText", "DequeueCount", "InsertionTime", "ExpirationTime", "PopReceipt",
            "TimeNextVisible",
        )  # fmt: skip
        messages = [
            [each.findtext(field, "") for field in fields]
            for each in ElementTree.fromstring(listed).iterfind("QueueMessage")
        ]
        return [QueueMessage(id, text, int(count), *rest) for id, text, count, *rest in messages]

    def delete(self, queue: str, message: QueueMessage) -> None:
        """Delete a received message."""
        self._call("DELETE", f"{self.queues}/{queue}/messages/{message.id}", {"popreceipt": message.pop_receipt})

    def give_back(self, queue: str, message: QueueMessage) -> None:
        """Release a received message."""
        query = {"popreceipt": message.pop_receipt, "visibilitytimeout": "0"}
        self._call("PUT", f"{self.queues}/{queue}/messages/{message.id}", query, b"")

    def _call(
        self,
        method: str,
        url: str,
        query: Mapping[str, str],
        body: bytes | None = None,
        headers: Mapping[str, str] = {},
    ) -> tuple[bytes, dict[str, str]]:
        all_headers = {"x-ms-version": _VERSION, **headers}
        request = Request(f"{url}?{urlencode({**query, **signature()})}", body, all_headers, method=method)
        try:
            with urlopen(request, timeout=30) as answer:
                return answer.read(), {name.lower(): value for name, value in answer.headers.items()}
        except HTTPError as exc:
            with exc:
                raise RuntimeError(f"{method} {url} answered {exc.code}: {exc.read().decode()}") from exc


@contextmanager
def azurite() -> Iterator[Storage]:
    """Run the blob, queue and table services, in memory."""
    folder = npm("azurite")
    blob, queue, table = free_ports(3)
    # The newest SDKs are ahead of the emulator, so it accepts every API version.
    command = [folder / "node_modules/.bin/azurite", "--silent", "--disableTelemetry", "--skipApiVersionCheck"]
    command += ["--inMemoryPersistence", "--blobPort", blob, "--queuePort", queue, "--tablePort", table]
    with TemporaryDirectory() as cwd, serving(list(map(str, command)), table, cwd=Path(cwd), timeout=60) as server:
        yield Storage(server, f"http://127.0.0.1:{blob}/{ACCOUNT}", f"http://127.0.0.1:{queue}/{ACCOUNT}")


def signature() -> dict[str, str]:
    """Return a shared access signature that allows everything until 2099.

    Source: https://learn.microsoft.com/rest/api/storageservices/create-account-sas
    """
    sas = {"sp": "rwdlacupft", "ss": "bq", "srt": "sco", "st": "", "se": "2099-01-01T00:00:00Z", "sip": "", "spr": ""}
    sas |= {"sv": _VERSION, "ses": ""}
    text = "".join(f"{line}\n" for line in (ACCOUNT, *sas.values()))
    signed = hmac.digest(base64.b64decode(KEY), text.encode(), hashlib.sha256)
    return {**{name: value for name, value in sas.items() if value}, "sig": base64.b64encode(signed).decode()}
