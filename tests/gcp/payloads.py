"""Build payloads of Google's services, field by field."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from portable_fn import (
    Event,
    Request,
)
from portable_fn.testing import fake

AT, DUE = "2026-01-02T03:04:05.678901Z", "1767323045.678901"
TIME = datetime(2026, 1, 2, 3, 4, 5, 678_901, UTC)
LATER, LATER_TIME = "2026-02-03T04:05:06Z", datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)
SUBSCRIPTION = "projects/p/subscriptions/orders-sub"
TOPIC = "//pubsub.googleapis.com/projects/p/topics/orders"
QUEUE = "projects/p/locations/l/queues/mails"
BUCKET = "//storage.googleapis.com/projects/_/buckets/uploads"
NONE: Mapping[str, str] = {}
DATABASE = "//firestore.googleapis.com/projects/p/databases/(default)"


def base64(body: bytes) -> str:
    return b64encode(body).decode()


def posted(value: object) -> Request[Any]:
    return fake.request("POST", json=value)


def headed(headers: dict[str, str], body: bytes = b"") -> Request[Any]:
    return fake.request("POST", headers=headers, body=body)


def push(message: object, **more: object) -> Request[Any]:
    return posted({"subscription": SUBSCRIPTION, "message": message, **more})


def eventarc(type: str, source: str, data: object, **more: str) -> Request[Any]:
    """Build a binary CloudEvent with the id "event-1"."""
    known = {"specversion": "1.0", "id": "event-1", "type": type, "source": source, **more}
    return fake.request("POST", json=data, headers={f"ce-{name}": value for name, value in known.items()})


def unwrapped(body: bytes = b"", headers: Mapping[str, str] = NONE) -> Request[Any]:
    """Build an unwrapped push."""
    required = {"x-goog-pubsub-message-id": "7", "x-goog-pubsub-subscription-name": SUBSCRIPTION}
    return headed({**required, **headers}, body)


def task(body: bytes = b"", headers: Mapping[str, str] = NONE) -> Request[Any]:
    """Build a task of a Cloud Tasks queue."""
    required = {"x-cloudtasks-queuename": QUEUE, "x-cloudtasks-taskname": "t-1"}
    return headed({**required, **headers}, body)


def whole(event: Event[Any]) -> dict[str, Any]:
    """Return every field of an event, including those that equality ignores."""
    names = (*event._fields, "type", "subject", "data", "native", "envelopes", "attempt", "metadata")
    return {name: getattr(event, name, None) for name in names}


def missing_words(words: list[str], error: BaseException) -> list[str]:
    """Return the words that the error doesn't contain, and its text."""
    text = str(error)
    missing = [word for word in words if not re.search(rf"(?<!\w){re.escape(word)}(?!\w)", text)]
    return [*missing, text] if missing else []


STORED = "google.cloud.storage.object.v1.finalized"
WRITTEN = "google.cloud.firestore.document.v1.written"
