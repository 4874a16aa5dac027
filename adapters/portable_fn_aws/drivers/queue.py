"""Call SQS: set a retry's delay, send a rejected event to its dead letters.

It speaks the JSON protocol.
https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-making-api-requests-json.html
"""

from __future__ import annotations

import os
import time

from portable_fn_aws.drivers import api

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from portable_fn.events import Event
    from portable_fn.outcomes import Reject

# In seconds: a message may be invisible for 12 hours after it was received, and a function runs for up to 15 minutes of that.
MAX_DELAY = 12 * 3600 - 15 * 60
MAX_MESSAGE = 1024 * 1024


def delay(queue_arn: str, delays: Sequence[tuple[str, int]], within: float = 3600.0) -> None:
    """Delay the redelivery of messages.

    Args:
        queue_arn: Their queue.
        delays: The receipt handle of each message, and the seconds to wait, at most MAX_DELAY.
        within: The time limit of all calls in seconds; one call takes ten messages.

    Raises:
        api.SQSError: SQS refused a delay, or the time is too short.
    """
    url, region = queue_url(queue_arn)
    refused = []
    end = time.monotonic() + within
    for start in range(0, len(delays), 10):
        timeout = min(api.TIMEOUT, end - time.monotonic())
        if timeout <= 0:
            raise api.SQSError(f"the time is too short for {len(delays) - start} of {len(delays)}")
        entries = [
            {"Id": str(number), "ReceiptHandle": handle, "VisibilityTimeout": min(seconds, MAX_DELAY)}
            for number, (handle, seconds) in enumerate(delays[start : start + 10])
        ]
        answer = api.call("ChangeMessageVisibilityBatch", {"QueueUrl": url, "Entries": entries}, url, region, timeout)
        refused += [f"{failure.get('Code')}" for failure in answer.get("Failed") or ()]
    if refused:
        raise api.SQSError(f"ChangeMessageVisibilityBatch refused {len(refused)} of {len(delays)}: {refused[0]}")


def dead_letter(event: Event[Any], reject: Reject, queue: str, owner: str, seconds: float | None = None) -> None:
    """Send a rejected event to a queue, in the format of `portable_fn.adapter.dead_letter`.

    Args:
        event: The event.
        reject: Why it was rejected.
        queue: The queue's name, ARN or URL.
        owner: The function's ARN: a queue given by its name is in the same account and region.
        seconds: The time limit, if it is less than api.TIMEOUT.

    Raises:
        api.SQSError: SQS refused the message, or didn't answer in time.
    """
    url, region = queue_url(queue, owner)
    request = message(event, reject, url)
    api.call("SendMessage", request, url, region, api.TIMEOUT if seconds is None else min(seconds, api.TIMEOUT))


def message(event: Event[Any], reject: Reject, url: str) -> dict[str, Any]:
    """Return the parameters of SendMessage for a rejected event."""
    from portable_fn.adapter.dead_letter import Destination, letter

    # The whole message may have 1 MiB; SQS itself checks that.
    destination = Destination(
        10, MAX_MESSAGE, is_attribute_name, legible, names_content_type=True, takes_bytes=True, takes_text=True
    )
    dead = letter(event, reject, destination)
    attributes = {name: attribute(value) for name, value in dead.attributes.items()}
    request: dict[str, Any] = {"QueueUrl": url, "MessageBody": dead.body.decode(), "MessageAttributes": attributes}
    outermost: Any = event.envelopes[0].native if event.envelopes else event.native
    system = outermost.get("attributes") if isinstance(outermost, dict) else None
    trace = system.get("AWSTraceHeader") if isinstance(system, dict) else None
    if isinstance(trace, str) and trace:
        request["MessageSystemAttributes"] = {"AWSTraceHeader": attribute(trace)}
    if url.endswith(".fifo"):
        request["MessageGroupId"] = fifo_token(dead.key or event.source)
        request["MessageDeduplicationId"] = _deduplication_id(event)
    return request


def _deduplication_id(event: Event[Any]) -> str:
    outermost: Any = event.envelopes[0] if event.envelopes else event
    # SQS keeps one of several messages with equal ids, and messages from two queues may have equal ids: so add the source.
    # Amazon MQ leaves ids to senders, who may give several messages one id: so add the content.
    content = f" {outermost.fingerprint!r}" if ":mq:" in outermost.source else ""
    # One message may hold several events.
    inside = "" if outermost is event else f" {event.source} {event.id}"
    return fifo_token(f"{outermost.source} {outermost.id}{inside}{content}")


def is_attribute_name(name: str) -> bool:
    """Return whether SQS takes the name for an attribute: letters, digits, - and _, and single dots within.

    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-message-metadata.html
    """
    return (
        0 < len(name) <= 256
        and all(char.isascii() and (char.isalnum() or char in "-_.") for char in name)
        and name[0] != "."
        and name[-1] != "."
        and ".." not in name
        and not name.lower().startswith(("aws.", "amazon."))
    )


def legible(text: str) -> str:
    """Replace the characters that SQS refuses.

    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html
    """
    if text.isprintable():
        return text
    return "".join(
        char
        if " " <= char < "\ud800" or "\udfff" < char < "\ufffe" or char > "\uffff" or char in "\t\n\r"
        else "\ufffd"
        for char in text
    )


def fifo_token(text: str) -> str:
    """Return the text as a FIFO queue's group or id: up to 128 visible ASCII characters; otherwise a hash of it."""
    if len(text) <= 128 and all("!" <= char <= "~" for char in text):
        return text
    from hashlib import sha256

    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def attribute(value: str | bytes) -> dict[str, str]:
    """Return an attribute's value as SQS takes it; a text with characters that it refuses becomes binary."""
    if isinstance(value, str):
        if legible(value) == value:
            return {"DataType": "String", "StringValue": value}
        value = value.encode("utf-8", "surrogatepass")
    from binascii import b2a_base64

    return {"DataType": "Binary", "BinaryValue": b2a_base64(value, newline=False).decode()}


def queue_url(queue: str, owner: str = "") -> tuple[str, str]:
    """Return the URL and the region of a queue.

    Args:
        queue: Its name, ARN or URL.
        owner: An ARN whose account and region apply if `queue` is a name.

    Raises:
        api.SQSError: The account is unknown, or an ARN or a URL is malformed. Check both: an ARN may be from a payload, and its
            region becomes the host of a signed request.
    """
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
    if queue.startswith(("https://", "http://")):
        host = api.host_of(queue, "the queue's URL").split(".")
        return queue, host[1] if host[0] == "sqs" and len(host) > 3 else region
    name, account, partition = queue, "", "aws"
    for arn in (queue, owner):
        parts = arn.split(":")
        if len(parts) >= 6 and parts[0] == "arn":
            partition, account = parts[1], parts[4]
            region = parts[3] or region
            if arn is queue:
                name = parts[5]
            break
        if arn is queue and ("/" in arn or ":" in arn):
            raise api.SQSError(f"a queue is a name, an ARN or a URL, not {arn[:100]!a}")
    if not (region.isascii() and region.replace("-", "").isalnum()):
        raise api.SQSError(f"the queue's region {region[:100]!a} isn't a region: use one such as eu-central-1")
    if not account:
        raise api.SQSError(f"the account of the queue {queue} is unknown: use the queue's ARN or URL")
    domain = "amazonaws.com.cn" if partition == "aws-cn" else "amazonaws.com"
    return f"{api.endpoint_setting() or f'https://sqs.{region}.{domain}'}/{account}/{name}", region
