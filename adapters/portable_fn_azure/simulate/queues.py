"""Answer the calls that send dead letters to storage queues and Service Bus queues."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote
from xml.etree import ElementTree

from portable_fn.events import Message
from portable_fn_azure.drivers import api
from portable_fn_azure.drivers import queue as queues

STORAGE = "UseDevelopmentStorage=true"
SERVICE_BUS = "Endpoint=sb://127.0.0.1:5672;SharedAccessKeyName=all;SharedAccessKey=key;UseDevelopmentEmulator=true"
# The headers of a request that aren't properties of the message.
_NOT_PROPERTIES = (
    "authorization",
    "content-type",
    "brokerproperties",
    "host",
    "accept-encoding",
    "content-length",
    "x-ms-retrypolicy",
)


class Queues:
    """Queues that accept every message; `letters` has them in order, as a function that reads the queue gets them."""

    def __init__(self) -> None:
        self.letters: list[Message[Any]] = []

    def setting(self, name: str) -> str | None:
        """Return a connection string for every connection, although no setting exists."""
        if "__" in name or name.startswith("AzureWebJobsAzure"):
            return None
        return SERVICE_BUS if "servicebus" in name.lower() else STORAGE

    def call(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, seconds: float
    ) -> tuple[int, bytes]:
        """Answer a request that sends a message; refuse others, and those without credentials."""
        path = url.split("://", 1)[-1].partition("/")[2].partition("?")[0]
        *_, queue, resource = path.split("/")
        lowered = {name.lower(): value for name, value in headers.items()}
        scheme = lowered.get("authorization", "").partition(" ")[0]
        if scheme not in ("SharedKey", "SharedAccessSignature", "Bearer"):
            return 403, b"<Error><Code>AuthenticationFailed</Code></Error>"
        if method != "POST" or resource != "messages":
            return 400, b"<Error><Code>InvalidUri</Code></Error>"
        self.letters.append(
            self._service_bus_message(unquote(queue), lowered, body or b"")
            if "brokerproperties" in lowered
            else self._storage_message(unquote(queue), body or b"")
        )
        return 201, b""

    def _storage_message(self, queue: str, body: bytes) -> Message[Any]:
        text = ElementTree.fromstring(body).findtext("MessageText") or ""
        assert len(text) <= queues.MAX_TEXT, len(text)
        id = f"letter-{len(self.letters) + 1}"
        return Message(id, queue, b64decode(text, validate=True), channel=queue, time=datetime.now(UTC), attempt=1)

    def _service_bus_message(self, queue: str, headers: Mapping[str, str], body: bytes) -> Message[Any]:
        broker = json.loads(headers["brokerproperties"])
        properties: dict[str, Any] = {}
        for name, value in headers.items():
            if name not in _NOT_PROPERTIES:
                # A string stands in quotes, and holds no character that would have to be escaped.
                assert value[0] == value[-1] == '"' and value.isascii() and value.isprintable(), name
                assert not set(value[1:-1]) & set('"\\'), name
                properties[name] = value[1:-1]
        return Message(
            broker["MessageId"],
            queue,
            body,
            channel=queue,
            time=datetime.now(UTC),
            content_type=headers["content-type"],
            attributes=properties,
            subject=broker.get("Label", ""),
            key=broker.get("SessionId"),
            attempt=1,
        )


_queues: ContextVar[Queues | None] = ContextVar("_queues", default=None)


@contextmanager
def playing() -> Iterator[Queues]:
    """Answer the calls of `portable_fn_azure.drivers.queue`. They need no settings with the queues' addresses."""
    simulated = Queues()
    token, letters_token = api.simulation.set(simulated), _queues.set(simulated)
    try:
        yield simulated
    finally:
        _queues.reset(letters_token)
        api.simulation.reset(token)


def letters() -> list[Message[Any]]:
    """Return what was sent in the innermost block of `playing`; outside of one, nothing."""
    simulated = _queues.get()
    return [] if simulated is None else simulated.letters
