"""Simulate SQS as its clients see it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from portable_fn_aws.drivers import api


class Queues:
    """A simulated SQS.

    Attributes:
        calls: The calls in order, as (action, request).
        refuses: Whether it denies access.
    """

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.refuses = False

    def answer(self, endpoint: str, headers: Any, body: bytes, timeout: float) -> tuple[int, bytes]:
        """Answer a call, if it uses the JSON protocol and is signed."""
        if not headers["authorization"].startswith("AWS4-HMAC-SHA256 Credential="):
            return 403, b'{"__type":"com.amazonaws.sqs#MissingAuthenticationToken"}'
        if self.refuses:
            return 403, b'{"__type":"com.amazon.coral.service#AccessDeniedException"}'
        prefix, _, action = headers["x-amz-target"].partition(".")
        request = json.loads(body)
        if prefix != "AmazonSQS" or "QueueUrl" not in request:
            return 400, b'{"__type":"com.amazon.coral.service#UnknownOperationException"}'
        answer: dict[str, Any] = {}
        if action == "SendMessage":
            if not request["MessageBody"] or len(request.get("MessageAttributes", {})) > 10:
                return 400, b'{"__type":"com.amazonaws.sqs#InvalidParameterValue"}'
            answer = {"MessageId": f"dead-{len(self.calls)}"}
        self.calls.append((action, request))
        return 200, json.dumps(answer).encode()

    def delays(self) -> dict[str, int]:
        """Return the visibility timeouts that were set, by receipt handle."""
        return {
            entry["ReceiptHandle"]: entry["VisibilityTimeout"]
            for action, request in self.calls
            if action == "ChangeMessageVisibilityBatch"
            for entry in request["Entries"]
        }

    def dead_letters(self) -> list[dict[str, Any]]:
        """Return the sent messages."""
        return [request for action, request in self.calls if action == "SendMessage"]


current: ContextVar[Queues | None] = ContextVar("current", default=None)


@contextmanager
def playing(service: str) -> Iterator[Queues]:
    """Simulate SQS while the function runs, for delays and dead letters."""
    queues = Queues()
    token, transport = current.set(queues), api.transport.set(queues.answer)
    try:
        yield queues
    finally:
        api.transport.reset(transport)
        current.reset(token)
