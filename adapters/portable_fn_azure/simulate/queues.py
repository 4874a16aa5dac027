"""Storage queues and Service Bus queues as who sends to them sees them: their REST interfaces, as far as dead letters go."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote
from xml.etree import ElementTree

from portable_fn.events import Message
from portable_fn_azure.drivers import api
from portable_fn_azure.drivers import queue as queues

STORAGE = "UseDevelopmentStorage=true"
SERVICE_BUS = "Endpoint=sb://127.0.0.1:5672;SharedAccessKeyName=all;SharedAccessKey=key;UseDevelopmentEmulator=true"
# What of a request is no property of a message.
_NO_PROPERTIES = (
    "authorization",
    "content-type",
    "brokerproperties",
    "host",
    "accept-encoding",
    "content-length",
    "x-ms-retrypolicy",
)


class Queues:
    """Takes what is sent; `letters` are the messages in order, as a function that reads the queue gets them."""

    def __init__(self) -> None:
        self.letters: list[Message[Any]] = []

    def call(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, seconds: float
    ) -> tuple[int, bytes]:
        """Answers a request, which has to be one that sends a message, with what lets one in."""
        path = url.split("://", 1)[-1].partition("/")[2].partition("?")[0]
        *_, queue, what = path.split("/")
        known = {name.lower(): value for name, value in headers.items()}
        kind = known.get("authorization", "").partition(" ")[0]
        if kind not in ("SharedKey", "SharedAccessSignature", "Bearer"):
            return 403, b"<Error><Code>AuthenticationFailed</Code></Error>"
        if method != "POST" or what != "messages":
            return 400, b"<Error><Code>InvalidUri</Code></Error>"
        self.letters.append(
            self._of_service_bus(unquote(queue), known, body or b"")
            if "brokerproperties" in known
            else self._of_storage(unquote(queue), body or b"")
        )
        return 201, b""

    def _of_storage(self, queue: str, body: bytes) -> Message[Any]:
        text = ElementTree.fromstring(body).findtext("MessageText") or ""
        assert len(text) <= queues.MAX_TEXT, len(text)
        return Message(
            self._id(), queue, b64decode(text, validate=True), channel=queue, time=datetime.now(UTC), attempt=1
        )

    def _of_service_bus(self, queue: str, headers: Mapping[str, str], body: bytes) -> Message[Any]:
        broker = json.loads(headers["brokerproperties"])
        properties: dict[str, Any] = {}
        for name, value in headers.items():
            if name not in _NO_PROPERTIES:
                # A text has quotes around it, and nothing that would have to be escaped within.
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

    def _id(self) -> str:
        return f"letter-{len(self.letters) + 1}"


# For each of the simulations that are under way, the innermost last.
_played: list[Queues] = []


@contextmanager
def playing() -> Iterator[Queues]:
    """Plays the queues for what `portable_fn_azure.drivers.queue` sends, though no setting says where they are."""
    played = Queues()
    _played.append(played)
    before = api.call, api.setting
    api.call, api.setting = played.call, _setting
    try:
        yield played
    finally:
        api.call, api.setting = before
        _played.pop()


def letters() -> list[Message[Any]]:
    """What was sent in the innermost block of `playing`; nothing outside of one."""
    return _played[-1].letters if _played else []


def _setting(name: str) -> str | None:
    if "__" in name or name.startswith("AzureWebJobsAzure"):
        return None
    return SERVICE_BUS if "servicebus" in name.lower() else STORAGE
