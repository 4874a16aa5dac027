"""Describe Toy's payloads, one JSON object for each invocation. Only type checkers import this module."""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict


class Invocation(TypedDict):
    """The members of every payload; `deadline` is in seconds since the epoch."""

    service: Literal["web", "queue", "call"]
    invocation: str
    deadline: NotRequired[float]


class Web(Invocation):
    """A request; `target` is the raw path and query, `body` is base64."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    body: str
    host: str
    scheme: str
    client: str | None


class QueuedMessage(TypedDict):
    """A message; `sent` is an RFC 3339 time, `attempt` counts from 1, `body` is base64."""

    id: str
    sent: str
    attempt: int
    type: str
    attributes: dict[str, str]
    body: str


class Queue(Invocation):
    """Messages that a queue delivers together."""

    queue: str
    messages: list[QueuedMessage]


class Call(Invocation):
    """A call of a function by name."""

    name: str
    input: Any
