"""Two calls of SQS without an SDK: a retry's delay, and a rejected event to its dead letters.

The JSON protocol, signed by Signature Version 4. https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-making-api-requests-json.html
and https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
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

# A message may be invisible for 12 hours from when it was received, at most 15 minutes of which are the function's.
MAX_DELAY = 12 * 3600 - 15 * 60
MAX_MESSAGE = 1024 * 1024


def delay(queue_arn: str, delays: Sequence[tuple[str, float]], within: float = 3600.0) -> None:
    """Has messages, by their receipt handles, come again after so many seconds; api.SQSError where SQS refuses that for one.

    `within` is how many seconds it may take for all of them, ten at a time; api.SQSError where that is too short.
    """
    url, region = queue_url(queue_arn)
    refused = []
    end = time.monotonic() + within
    for start in range(0, len(delays), 10):
        timeout = min(api.TIMEOUT, end - time.monotonic())
        if timeout <= 0:
            raise api.SQSError(f"the time is too short for {len(delays) - start} of {len(delays)}")
        entries = [
            {"Id": str(number), "ReceiptHandle": handle, "VisibilityTimeout": min(-int(-seconds // 1), MAX_DELAY)}
            for number, (handle, seconds) in enumerate(delays[start : start + 10])
        ]
        answer = api.call("ChangeMessageVisibilityBatch", {"QueueUrl": url, "Entries": entries}, url, region, timeout)
        refused += [f"{one.get('Code')}" for one in answer.get("Failed") or ()]
    if refused:
        raise api.SQSError(f"ChangeMessageVisibilityBatch refused {len(refused)} of {len(delays)}: {refused[0]}")


def dead_letter(event: Event[Any], reject: Reject, queue: str, owner: str, seconds: float | None = None) -> None:
    """Send a rejected event to a queue, by its name, ARN or URL, as `portable_fn.adapter.dead_letter` writes it.

    A queue's name is one of the account and region of `owner`, an ARN. It takes at most `seconds`, and never more than
    api.TIMEOUT; api.SQSError if SQS doesn't have it by then.
    """
    url, region = queue_url(queue, owner)
    request = message(event, reject, url)
    api.call("SendMessage", request, url, region, api.TIMEOUT if seconds is None else min(seconds, api.TIMEOUT))


def message(event: Event[Any], reject: Reject, url: str) -> dict[str, Any]:
    """The SendMessage of a rejected event."""
    from portable_fn.adapter.dead_letter import Destination, letter

    # All of a message together may have 1 MiB, which SQS itself counts.
    to = Destination(10, MAX_MESSAGE, _is_name, _legible, names_content_type=True, takes_bytes=True, takes_text=True)
    made = letter(event, reject, to)
    attributes = {name: _attribute(value) for name, value in made.attributes.items()}
    request: dict[str, Any] = {"QueueUrl": url, "MessageBody": made.body.decode(), "MessageAttributes": attributes}
    outermost: Any = event.envelopes[0].native if event.envelopes else event.native
    system = outermost.get("attributes") if isinstance(outermost, dict) else None
    trace = system.get("AWSTraceHeader") if isinstance(system, dict) else None
    if isinstance(trace, str) and trace:
        request["MessageSystemAttributes"] = {"AWSTraceHeader": _attribute(trace)}
    if url.endswith(".fifo"):
        whole: Any = event.envelopes[0] if event.envelopes else event
        request["MessageGroupId"] = _token(made.key or event.source)
        # The message's own, or its publisher's, may be another's too that comes here from another queue, and SQS keeps one.
        # A broker of Amazon MQ leaves ids to senders, who may give one to several messages.
        content = f" {whole.fingerprint!r}" if ":mq:" in whole.source else ""
        # What it came in may hold several events.
        inside = "" if whole is event else f" {event.source} {event.id}"
        request["MessageDeduplicationId"] = _token(f"{whole.source} {whole.id}{inside}{content}")
    return request


def _is_name(name: str) -> bool:
    """Whether SQS takes an attribute of that name: letters, digits, - and _ and single dots within.

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


def _legible(text: str) -> str:
    """The text in the characters that SQS takes, the others replaced.

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


def _token(text: str) -> str:
    """The text as a FIFO queue takes it for a group or an id: up to 128 visible ASCII characters; else what stands for it."""
    if len(text) <= 128 and all("!" <= char <= "~" for char in text):
        return text
    from hashlib import sha256

    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _attribute(value: str | bytes) -> dict[str, str]:
    if isinstance(value, str):
        if _legible(value) == value:
            return {"DataType": "String", "StringValue": value}
        value = value.encode("utf-8", "surrogatepass")
    from binascii import b2a_base64

    return {"DataType": "Binary", "BinaryValue": b2a_base64(value, newline=False).decode()}


def queue_url(queue: str, owner: str = "") -> tuple[str, str]:
    """The URL and the region of a queue by its name, ARN or URL.

    Raises:
        api.SQSError: The account isn't known, or an ARN or a URL is malformed. An ARN may come from a payload, and its region
            becomes a host that gets a signed request.
    """
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
    if queue.startswith(("https://", "http://")):
        host = api._host(queue, "the queue's URL").split(".")
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
        raise api.SQSError(f"the region of the queue is no region: {region[:100]!a}")
    if not account:
        raise api.SQSError(f"the account of the queue {queue} isn't known: give its ARN or its URL")
    domain = "amazonaws.com.cn" if partition == "aws-cn" else "amazonaws.com"
    return f"{api._endpoint() or f'https://sqs.{region}.{domain}'}/{account}/{name}", region
