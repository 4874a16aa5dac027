"""Play Pub/Sub's REST API and the metadata server."""

from __future__ import annotations

import os
from base64 import b64decode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from portable_fn.data import parse_json
from portable_fn_gcp.drivers import api
from portable_fn_gcp.simulate.requests import PROJECT


class Published:
    """A message that the function published."""

    def __init__(self, topic: str, body: bytes, attributes: dict[str, str], key: str | None) -> None:
        self.topic = topic
        self.body = body
        self.attributes = attributes
        self.key = key


_published: ContextVar[list[Published] | None] = ContextVar("_published", default=None)


@contextmanager
def playing(service: str) -> Iterator[list[Published]]:
    """Answer calls of Google's APIs in this block; yield the list of published messages."""
    messages: list[Published] = []

    def send(
        method: str, host: str, path: str, headers: Mapping[str, str], body: bytes | None, seconds: float
    ) -> tuple[int, bytes]:
        if path.startswith("/computeMetadata/"):
            return _metadata(path, headers)
        if "authorization" not in headers and "PUBSUB_EMULATOR_HOST" not in os.environ:
            return 401, b""
        topic = path.removeprefix("/v1/").removesuffix(":publish")
        value: Any = parse_json((body or b"").decode())
        for message in value["messages"]:
            body_, attributes = b64decode(message["data"]), message["attributes"]
            messages.append(Published(topic, body_, attributes, message.get("orderingKey")))
        return 200, b'{"messageIds":["1"]}'

    transport, published = api.transport.set(send), _published.set(messages)
    try:
        yield messages
    finally:
        api.transport.reset(transport)
        _published.reset(published)


def played() -> list[Published] | None:
    """Return the messages published in the innermost block of `playing`; None outside of one."""
    return _published.get()


def _metadata(path: str, headers: Mapping[str, str]) -> tuple[int, bytes]:
    if headers.get("metadata-flavor") != "Google":
        return 403, b""
    token = b'{"access_token":"played","expires_in":3599,"token_type":"Bearer"}'
    return 200, token if path.endswith("/token") else PROJECT.encode()
