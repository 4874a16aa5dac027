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


class PubSub:
    """Pub/Sub in memory: the messages that were published to any topic."""

    def __init__(self) -> None:
        self.published: list[Published] = []

    def send(
        self, method: str, host: str, path: str, headers: Mapping[str, str], body: bytes | None, seconds: float
    ) -> tuple[int, bytes]:
        """Answer a call of Pub/Sub's REST API or of the metadata server."""
        if path.startswith("/computeMetadata/"):
            return _metadata(path, headers)
        if "authorization" not in headers and "PUBSUB_EMULATOR_HOST" not in os.environ:
            return 401, b""
        topic = path.removeprefix("/v1/").removesuffix(":publish")
        value: Any = parse_json((body or b"").decode())
        for message in value["messages"]:
            data = b64decode(message["data"])
            self.published.append(Published(topic, data, message["attributes"], message.get("orderingKey")))
        return 200, b'{"messageIds":["1"]}'


# The innermost block of `playing`.
current: ContextVar[PubSub | None] = ContextVar("current", default=None)


@contextmanager
def playing(service: str) -> Iterator[list[Published]]:
    """Answer calls of Google's APIs in this block; yield the list of published messages."""
    pubsub = PubSub()
    transport, outer = api.transport.set(pubsub.send), current.set(pubsub)
    try:
        yield pubsub.published
    finally:
        api.transport.reset(transport)
        current.reset(outer)


def _metadata(path: str, headers: Mapping[str, str]) -> tuple[int, bytes]:
    if headers.get("metadata-flavor") != "Google":
        return 403, b""
    token = b'{"access_token":"played","expires_in":3599,"token_type":"Bearer"}'
    return 200, token if path.endswith("/token") else PROJECT.encode()
