"""Write names, times, texts and SNS's envelope in the formats of AWS's payloads."""

from __future__ import annotations

from base64 import b64encode
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


def notification(event: Message[Any]) -> dict[str, Any]:
    """Write SNS's notification of a message."""
    sent: dict[str, Any] = {}
    for name, value in event.attributes.items():
        if value is None:
            raise ValueError(f"the attribute {name} is None: SNS needs a value")
        is_binary = isinstance(value, bytes)
        sent[name] = {
            "Type": "Binary" if is_binary else "String",
            "Value": b64encode(value).decode() if isinstance(value, bytes) else value,
        }
    if event.content_type:
        sent["content-type"] = {"Type": "String", "Value": event.content_type}
    envelope: dict[str, Any] = {
        "MessageId": event.id,
        "TopicArn": arn("sns", event, event.channel),
        "Message": body_text(event, "sns"),
        "Timestamp": iso(event.time),
        "SignatureVersion": "1",
        "Signature": "signature",
        "MessageAttributes": sent,
    }
    if event.subject:
        envelope["Subject"] = event.subject
    if event.sequence:
        envelope["SequenceNumber"] = event.sequence
    return envelope
