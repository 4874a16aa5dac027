"""Write names, times and texts in the formats of AWS's payloads."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from portable_fn.events import Event, Message

REGION, ACCOUNT = "eu-central-1", "123456789012"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def arn(service: str, event: Event[Any], name: str) -> str:
    """Return the event's source if it is an ARN, otherwise the ARN of a resource of that name."""
    return event.source if event.source.startswith("arn:") else f"arn:aws:{service}:{REGION}:{ACCOUNT}:{name}"


def milliseconds(time: datetime | None) -> int | None:
    """Return the milliseconds since the epoch."""
    return None if time is None else (time - EPOCH) // timedelta(milliseconds=1)


def iso(time: datetime | None) -> str:
    """Return the time to the millisecond, as SNS and S3 write it."""
    time = time or EPOCH
    return f"{time.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.{time.microsecond // 1000:03}Z"


def body_text(event: Message[Any], service: str) -> str:
    """Return the body for a service that carries only text.

    Raises:
        ValueError: The service can't carry the body.
    """
    try:
        text = event.body.decode()
    except UnicodeDecodeError as exc:
        raise ValueError(f"{service} carries text, and the body isn't UTF-8") from exc
    # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html
    if service == "sqs" and any(char < " " and char not in "\t\n\r" for char in text):
        raise ValueError("SQS takes no control characters")
    return text


def present(**members: Any) -> dict[str, Any]:
    """Return the members that aren't None."""
    return {name: value for name, value in members.items() if value is not None}
