"""Dead letters in an SQS queue, for `portable-fn redrive`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from portable_fn.adapter import as_cloudevent, cloudevents
from portable_fn.adapter.dead_letter import restored, through
from portable_fn.data import to_json
from portable_fn.events import Event, Message
from portable_fn_aws.drivers import api
from portable_fn_aws.drivers import queue as sqs
from portable_fn_aws.events.messages import FIFOMessage, SQSMessage

SERVICES = ("sqs",)
# Seconds that a letter is out of the queue.
HELD = 120
# Seconds in which a queue tells that it has no more: a short poll may miss some.
WAIT = 2


class Letters:
    """The letters of a queue, by its name, ARN or URL."""

    def __init__(self, queue: str) -> None:
        self._urls: dict[str, tuple[str, str]] = {}
        self.url, self.region = self._url(queue)
        asked = {"QueueUrl": self.url, "AttributeNames": ["QueueArn"]}
        self.arn: str = self._call("GetQueueAttributes", asked)["Attributes"]["QueueArn"]

    def receive(self) -> list[Message[Any]]:
        asked = {
            "QueueUrl": self.url,
            "MaxNumberOfMessages": 10,
            "VisibilityTimeout": HELD,
            "WaitTimeSeconds": WAIT,
            "MessageAttributeNames": ["All"],
            "AttributeNames": ["All"],
        }
        received = self._call("ReceiveMessage", asked).get("Messages") or []
        return [self._letter(one) for one in received]

    def _letter(self, received: dict[str, Any]) -> Message[Any]:
        """The message as Lambda has it."""
        record = {
            "messageId": received["MessageId"],
            "receiptHandle": received["ReceiptHandle"],
            "body": received["Body"],
            "attributes": received.get("Attributes") or {},
            "messageAttributes": {
                name: {f"{key[0].lower()}{key[1:]}": value for key, value in one.items()}
                for name, one in (received.get("MessageAttributes") or {}).items()
            },
            "eventSource": "aws:sqs",
            "eventSourceARN": self.arn,
        }
        return (FIFOMessage if self.arn.endswith(".fifo") else SQSMessage)(record)

    def event(self, letter: Message[Any]) -> Event[Any]:
        # What else a message says that SQS itself dead-lettered is its sender's word.
        return letter if _origin(letter) else restored(letter)

    def destination(self, letter: Message[Any]) -> str:
        came = _origin(letter) or through(letter)
        return came if came.startswith("arn:") and came.split(":")[2] == "sqs" else ""

    def send(self, letter: Message[Any], event: Event[Any], to: str) -> None:
        url, region = self._url(to)
        request = {"QueueUrl": url, **_content(event)}
        if url.endswith(".fifo"):
            key = event.key if isinstance(event, Message) else None
            request["MessageGroupId"] = sqs.fifo_token(key or event.source)
            # The same letter, sent again since it couldn't be deleted, is one message.
            request["MessageDeduplicationId"] = sqs.fifo_token(f"redriven {self.arn} {letter.id}")
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
        """The URL of a queue, and its region; that of a bare name SQS tells."""
        if queue not in self._urls:
            if queue.startswith(("arn:", "https://", "http://")):
                self._urls[queue] = sqs.queue_url(queue)
            else:
                region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
                url = api.call("GetQueueUrl", {"QueueName": queue}, f"https://sqs.{region}.amazonaws.com/", region)
                self._urls[queue] = url["QueueUrl"], region
        return self._urls[queue]

    def _call(self, action: str, request: dict[str, Any], url: str = "", region: str = "") -> dict[str, Any]:
        return api.call(action, request, url or self.url, region or self.region, api.TIMEOUT + WAIT)


def letters(queue: str, service: str) -> Letters:
    """The dead letters of a queue; SQSError if it can't be read."""
    _credentials()
    return Letters(queue)


def _credentials() -> None:
    """Put what a profile of one's own machine says into the environment, if botocore is there to read it."""
    if os.environ.get("AWS_ACCESS_KEY_ID"):
        return
    try:
        from botocore.session import get_session  # type: ignore[import-untyped,import-not-found,unused-ignore]
    except ImportError:
        return
    session: Any = get_session()
    if (found := session.get_credentials()) is None:
        return
    frozen = found.get_frozen_credentials()
    told = {
        "AWS_ACCESS_KEY_ID": frozen.access_key,
        "AWS_SECRET_ACCESS_KEY": frozen.secret_key,
        "AWS_SESSION_TOKEN": frozen.token,
        "AWS_REGION": os.environ.get("AWS_REGION") or session.get_config_variable("region"),
    }
    os.environ.update({name: value for name, value in told.items() if value})


def _content(event: Event[Any]) -> dict[str, Any]:
    """The body and the attributes of a message as they were; ValueError for what SQS can't carry."""
    attributes: dict[str, Any] = {}
    given: dict[str, Any] = {}
    if not isinstance(event, Message):
        made = as_cloudevent.write(event)
        text = to_json(cloudevents.write_structured(made))
        attributes["content-type"] = {"DataType": "String", "StringValue": cloudevents.STRUCTURED}
    elif event.source.startswith("arn:") and event.source.split(":")[2] == "sns":
        # It came by a queue in SNS's envelope, if that was one: its function knows it by the topic.
        from portable_fn_aws.simulate.messages import notification

        text = to_json({"Type": "Notification", **notification(event)})
    else:
        text, given = _text(event), dict(event.attributes)
        if event.content_type:
            given["content-type"] = event.content_type
    for name, value in given.items():
        if not sqs.is_attribute_name(name) or not value or (isinstance(value, str) and sqs.legible(value) != value):
            raise ValueError(f"SQS takes no attribute {name!r} with such a value")
        attributes[name] = sqs.attribute(value)
    if len(attributes) > 10:
        raise ValueError(f"SQS takes 10 attributes, and the message has {len(attributes)}")
    return {"MessageBody": text, "MessageAttributes": attributes}


def _text(message: Message[Any]) -> str:
    try:
        text = message.body.decode()
    except UnicodeDecodeError:
        text = ""
    if not text or sqs.legible(text) != text:
        raise ValueError("SQS takes a text that isn't empty, and the body is none")
    return text


def _origin(letter: Message[Any]) -> str:
    """The queue whose redrive policy moved the message here; "" for another message."""
    attributes: dict[str, str] = letter.native["attributes"]  # type: ignore[index]  # the record that it was made of
    return attributes.get("DeadLetterQueueSourceArn", "")


def _handle(letter: Message[Any]) -> str:
    handle: str = letter.native["receiptHandle"]  # type: ignore[index]  # the record that it was made of
    return handle
