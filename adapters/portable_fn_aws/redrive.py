"""Read and redrive the dead letters in an SQS queue, for `portable-fn redrive`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from portable_fn.adapter import as_cloudevent, cloudevents
from portable_fn.adapter.dead_letter import restored, through
from portable_fn.data import to_json
from portable_fn.events import Event, Message
from portable_fn_aws.drivers import api
from portable_fn_aws.drivers.queue import attribute, fifo_token, is_attribute_name, legible, queue_url
from portable_fn_aws.events.messages import FIFOMessage, SQSMessage

SERVICES = ("sqs",)
# Seconds for which a received letter is invisible.
HELD = 120
# Seconds of a long poll; a short poll may miss letters.
WAIT = 2


class Letters:
    """The letters of a queue."""

    def __init__(self, queue: str) -> None:
        self._urls: dict[str, tuple[str, str]] = {}
        self.url, self.region = self._url(queue)
        request = {"QueueUrl": self.url, "AttributeNames": ["QueueArn"]}
        self.arn: str = self._call("GetQueueAttributes", request)["Attributes"]["QueueArn"]

    def receive(self) -> list[Message[Any]]:
        request = {
            "QueueUrl": self.url,
            "MaxNumberOfMessages": 10,
            "VisibilityTimeout": HELD,
            "WaitTimeSeconds": WAIT,
            "MessageAttributeNames": ["All"],
            "AttributeNames": ["All"],
        }
        received = self._call("ReceiveMessage", request).get("Messages") or []
        return [self._letter(message) for message in received]

    def _letter(self, received: dict[str, Any]) -> Message[Any]:
        """Decode a received message, in Lambda's form."""
        record = {
            "messageId": received["MessageId"],
            "receiptHandle": received["ReceiptHandle"],
            "body": received["Body"],
            "attributes": received.get("Attributes") or {},
            "messageAttributes": {
                name: {f"{key[0].lower()}{key[1:]}": value for key, value in members.items()}
                for name, members in (received.get("MessageAttributes") or {}).items()
            },
            "eventSource": "aws:sqs",
            "eventSourceARN": self.arn,
        }
        return (FIFOMessage if self.arn.endswith(".fifo") else SQSMessage)(record)

    def event(self, letter: Message[Any]) -> Event[Any]:
        # A message that SQS itself dead-lettered is the original: its sender may have set any portable-fn attribute.
        return letter if _origin(letter) else restored(letter)

    def destination(self, letter: Message[Any]) -> str:
        source = _origin(letter) or through(letter)
        return source if source.startswith("arn:") and source.split(":")[2] == "sqs" else ""

    def send(self, letter: Message[Any], event: Event[Any], to: str) -> None:
        url, region = self._url(to)
        request = {"QueueUrl": url, **_content(event)}
        if url.endswith(".fifo"):
            key = event.key if isinstance(event, Message) else None
            request["MessageGroupId"] = fifo_token(key or event.source)
            # If the letter can't be deleted and is redriven again, SQS drops the second message.
            request["MessageDeduplicationId"] = fifo_token(f"redriven {self.arn} {letter.id}")
        self._call("SendMessage", request, url, region)

    def delete(self, letter: Message[Any]) -> None:
        self._call("DeleteMessage", {"QueueUrl": self.url, "ReceiptHandle": _handle(letter)})

    def release(self, letters: Sequence[Message[Any]]) -> None:
        for start in range(0, len(letters), 10):
            entries = [
                {"Id": str(number), "ReceiptHandle": _handle(letter), "VisibilityTimeout": 0}
                for number, letter in enumerate(letters[start : start + 10])
            ]
            self._call("ChangeMessageVisibilityBatch", {"QueueUrl": self.url, "Entries": entries})

    def _url(self, queue: str) -> tuple[str, str]:
        """Return the URL and the region of a queue; ask SQS for the URL of a name."""
        if queue not in self._urls:
            if queue.startswith(("arn:", "https://", "http://")):
                self._urls[queue] = queue_url(queue)
            else:
                region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
                url = api.call("GetQueueUrl", {"QueueName": queue}, f"https://sqs.{region}.amazonaws.com/", region)
                self._urls[queue] = url["QueueUrl"], region
        return self._urls[queue]

    def _call(self, action: str, request: dict[str, Any], url: str = "", region: str = "") -> dict[str, Any]:
        return api.call(action, request, url or self.url, region or self.region, api.TIMEOUT + WAIT)


def letters(queue: str, service: str) -> Letters:
    """Return the dead letters of a queue.

    Args:
        queue: The queue's name, ARN or URL.
        service: "sqs".

    Raises:
        SQSError: The queue can't be read.
    """
    _credentials()
    return Letters(queue)


def _credentials() -> None:
    """Copy the credentials of the user's AWS profile into the environment, if botocore is installed."""
    if os.environ.get("AWS_ACCESS_KEY_ID"):
        return
    try:
        from botocore.session import get_session  # type: ignore[import-untyped,import-not-found,unused-ignore]
    except ImportError:
        return
    session: Any = get_session()
    if (credentials := session.get_credentials()) is None:
        return
    frozen = credentials.get_frozen_credentials()
    settings = {
        "AWS_ACCESS_KEY_ID": frozen.access_key,
        "AWS_SECRET_ACCESS_KEY": frozen.secret_key,
        "AWS_SESSION_TOKEN": frozen.token,
        "AWS_REGION": os.environ.get("AWS_REGION") or session.get_config_variable("region"),
    }
    os.environ.update({name: value for name, value in settings.items() if value})


def _content(event: Event[Any]) -> dict[str, Any]:
    """Return the original body and attributes of a message.

    Raises:
        ValueError: SQS can't carry them.
    """
    attributes: dict[str, Any] = {}
    original: dict[str, Any] = {}
    if not isinstance(event, Message):
        text = to_json(cloudevents.write_structured(as_cloudevent.write(event)))
        attributes["content-type"] = {"DataType": "String", "StringValue": cloudevents.STRUCTURED}
    elif event.source.startswith("arn:") and event.source.split(":")[2] == "sns":
        # Send it in SNS's envelope: its function expects the topic's message in its queue.
        from portable_fn_aws.formats import notification

        text = to_json({"Type": "Notification", **notification(event)})
    else:
        text, original = _text(event), dict(event.attributes)
        if event.content_type:
            original["content-type"] = event.content_type
    for name, value in original.items():
        if not is_attribute_name(name) or not value or (isinstance(value, str) and legible(value) != value):
            raise ValueError(
                f"SQS can't carry the attribute {name!r}: its name or value has characters that SQS refuses, or it is empty"
            )
        attributes[name] = attribute(value)
    if len(attributes) > 10:
        raise ValueError(f"the message has {len(attributes)} attributes; SQS takes 10")
    return {"MessageBody": text, "MessageAttributes": attributes}


def _text(message: Message[Any]) -> str:
    try:
        text = message.body.decode()
    except UnicodeDecodeError:
        text = ""
    if not text or legible(text) != text:
        raise ValueError("SQS can't carry the body: it must be text, and not empty")
    return text


def _origin(letter: Message[Any]) -> str:
    """Return the queue whose redrive policy moved the message here; "" if none did."""
    attributes: dict[str, str] = letter.native["attributes"]  # type: ignore[index]  # the record
    return attributes.get("DeadLetterQueueSourceArn", "")


def _handle(letter: Message[Any]) -> str:
    handle: str = letter.native["receiptHandle"]  # type: ignore[index]  # the record
    return handle
