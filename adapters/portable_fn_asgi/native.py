"""Describe the parts of ASGI and Dapr that this package reads. Only type checkers import it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Literal, NotRequired, TypedDict


class HTTPScope(TypedDict):
    """The scope of one request.

    https://asgi.readthedocs.io/en/latest/specs/www.html#http-connection-scope
    """

    type: Literal["http"]
    method: str
    scheme: str
    path: str
    raw_path: NotRequired[bytes | None]
    query_string: bytes
    root_path: NotRequired[str]
    headers: Iterable[tuple[bytes, bytes]]
    client: NotRequired[tuple[str, int] | None]


class BulkSubscribe(TypedDict):
    """Whether Dapr sends bulks."""

    enabled: bool


class Subscription(TypedDict):
    """A topic to which Dapr subscribes.

    https://docs.dapr.io/reference/api/pubsub_api/
    """

    pubsubname: str
    topic: str
    route: str
    deadLetterTopic: NotRequired[str]
    bulkSubscribe: NotRequired[BulkSubscribe]


Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Application = Callable[[Any, Receive, Send], Awaitable[None]]
