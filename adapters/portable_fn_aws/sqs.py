"""Two calls of SQS without an SDK: a retry's delay, and a rejected event to its dead letters.

The JSON protocol, signed by Signature Version 4. https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-making-api-requests-json.html
and https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

from __future__ import annotations

import os
import time

from portable_fn.errors import PortableError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from portable_fn.events import Event
    from portable_fn.outcomes import Reject

# A message may be invisible for 12 hours from when it was received, at most 15 minutes of which are the function's.
MAX_DELAY = 12 * 3600 - 15 * 60
# Seconds that a call may take: it is within the invocation.
TIMEOUT = 5.0
MAX_MESSAGE = 1024 * 1024


class SQSError(PortableError):
    """SQS refused a call, or couldn't be reached."""


def delay(queue_arn: str, delays: Sequence[tuple[str, float]], within: float = 3600.0) -> None:
    """Has messages, by their receipt handles, come again after so many seconds; SQSError where SQS refuses that for one.

    `within` is how many seconds it may take for all of them, ten at a time; SQSError where that is too short.
    """
    url, region = queue_url(queue_arn)
    refused = []
    end = time.monotonic() + within
    for start in range(0, len(delays), 10):
        timeout = min(TIMEOUT, end - time.monotonic())
        if timeout <= 0:
            raise SQSError(f"the time is too short for {len(delays) - start} of {len(delays)}")
        entries = [
            {"Id": str(number), "ReceiptHandle": handle, "VisibilityTimeout": min(-int(-seconds // 1), MAX_DELAY)}
            for number, (handle, seconds) in enumerate(delays[start : start + 10])
        ]
        answer = call("ChangeMessageVisibilityBatch", {"QueueUrl": url, "Entries": entries}, url, region, timeout)
        refused += [f"{one.get('Code')}" for one in answer.get("Failed") or ()]
    if refused:
        raise SQSError(f"ChangeMessageVisibilityBatch refused {len(refused)} of {len(delays)}: {refused[0]}")


def dead_letter(event: Event[Any], reject: Reject, queue: str, owner: str, seconds: float | None = None) -> None:
    """Send a rejected event to a queue, by its name, ARN or URL, as `portable_fn.dead_letter` writes it.

    A queue's name is one of the account and region of `owner`, an ARN. It takes at most `seconds`, and never more than
    TIMEOUT; SQSError if SQS doesn't have it by then.
    """
    url, region = queue_url(queue, owner)
    request = message(event, reject, url)
    call("SendMessage", request, url, region, TIMEOUT if seconds is None else min(seconds, TIMEOUT))


def message(event: Event[Any], reject: Reject, url: str) -> dict[str, Any]:
    """The SendMessage of a rejected event."""
    from portable_fn.dead_letter import Destination, letter

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
        SQSError: The account isn't known, or an ARN or a URL is malformed. An ARN may come from a payload, and its region
            becomes a host that gets a signed request.
    """
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
    if queue.startswith(("https://", "http://")):
        host = _host(queue, "the queue's URL").split(".")
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
            raise SQSError(f"a queue is a name, an ARN or a URL, not {arn[:100]!a}")
    if not (region.isascii() and region.replace("-", "").isalnum()):
        raise SQSError(f"the region of the queue is no region: {region[:100]!a}")
    if not account:
        raise SQSError(f"the account of the queue {queue} isn't known: give its ARN or its URL")
    domain = "amazonaws.com.cn" if partition == "aws-cn" else "amazonaws.com"
    return f"{_endpoint() or f'https://sqs.{region}.{domain}'}/{account}/{name}", region


def _endpoint() -> str:
    for name in ("AWS_ENDPOINT_URL_SQS", "AWS_ENDPOINT_URL"):
        if endpoint := os.environ.get(name):
            _host(endpoint, name)
            return endpoint.rstrip("/")
    return ""


def _host(url: str, what: str) -> str:
    """The host of a URL, with its port; SQSError, which doesn't show the URL, if it has none."""
    scheme, _, rest = url.partition("://")
    host = rest.partition("/")[0].rpartition("@")[2]
    if scheme not in ("http", "https") or not host:
        raise SQSError(f"{what} is no URL: it begins with http:// or https:// and a host")
    return host


def call(action: str, request: Mapping[str, Any], url: str, region: str, timeout: float = TIMEOUT) -> dict[str, Any]:
    """The answer to an action; SQSError if SQS refuses it, or hasn't answered after `timeout` seconds."""
    import json
    from time import gmtime, strftime

    end = time.monotonic() + timeout
    endpoint = _endpoint() or "/".join(url.split("/")[:3])
    body = json.dumps(request).encode()
    headers = {
        "content-type": "application/x-amz-json-1.0",
        "host": _host(endpoint, "the queue's URL"),
        "x-amz-date": strftime("%Y%m%dT%H%M%SZ", gmtime()),
        "x-amz-target": f"AmazonSQS.{action}",
    }
    key_id, secret, token = credentials(timeout)
    if token:
        headers["x-amz-security-token"] = token
    headers["authorization"] = authorization("POST", "/", headers, body, key_id, secret, region, "sqs")
    status, text = post(endpoint, headers, body, end - time.monotonic())
    try:
        answer = json.loads(text or b"{}")
    except ValueError:
        answer = {}
    if status != 200:
        code = str(answer.get("__type", "")).rpartition("#")[2] if isinstance(answer, dict) else ""
        raise SQSError(f"{action} was refused with {status} {code}".rstrip())
    return answer if isinstance(answer, dict) else {}


def post(endpoint: str, headers: Mapping[str, str], body: bytes, timeout: float) -> tuple[int, bytes]:
    """The status and the body that the endpoint answers; SQSError where it doesn't."""
    from http.client import HTTPException, InvalidURL

    from portable_fn.calling_out import call as request

    host = _host(endpoint, "the queue's URL")
    scheme = endpoint.partition(":")[0]
    try:
        return request("POST", f"{scheme}://{host}/", headers, body, timeout)
    except (OSError, HTTPException, ValueError) as exc:
        if isinstance(exc, InvalidURL):
            raise SQSError(f"the port of {host} is no number") from exc
        if timeout <= 0:
            raise SQSError(str(exc)) from exc
        raise SQSError(f"{host} can't be reached: {type(exc).__name__}") from exc


def credentials(timeout: float = TIMEOUT) -> tuple[str, str, str]:
    """The function's own key, secret and session token, which Lambda sets, or serves where SnapStart is on."""
    key_id, secret = os.environ.get("AWS_ACCESS_KEY_ID"), os.environ.get("AWS_SECRET_ACCESS_KEY")
    if key_id and secret:
        return key_id, secret, os.environ.get("AWS_SESSION_TOKEN", "")
    address = os.environ.get("AWS_CONTAINER_CREDENTIALS_FULL_URI", "")
    if not address.startswith("http://"):
        raise SQSError("there are no credentials in the environment")
    import json
    from http.client import HTTPConnection, HTTPException

    host, _, path = address.removeprefix("http://").partition("/")
    connection = HTTPConnection(host, timeout=timeout)
    try:
        token = os.environ.get("AWS_CONTAINER_AUTHORIZATION_TOKEN", "")
        connection.request("GET", f"/{path}", headers={"Authorization": token})
        served = json.loads(connection.getresponse().read(65536))
        return served["AccessKeyId"], served["SecretAccessKey"], served.get("Token", "")
    except (OSError, HTTPException, ValueError, LookupError, TypeError) as exc:
        raise SQSError(f"the credentials can't be had: {type(exc).__name__}") from exc
    finally:
        connection.close()


def authorization(
    method: str,
    path: str,
    headers: Mapping[str, str],
    body: bytes,
    key_id: str,
    secret: str,
    region: str,
    service: str,
) -> str:
    """The authorization header of Signature Version 4 for a request without a query, all of whose headers are signed.

    The headers' names are lower-case; `x-amz-date` is among them.
    """
    import hmac
    from hashlib import sha256

    names = sorted(headers)
    signed = ";".join(names)
    lines = "".join(f"{name}:{' '.join(headers[name].split())}\n" for name in names)
    canonical = f"{method}\n{path}\n\n{lines}\n{signed}\n{sha256(body).hexdigest()}"
    time = headers["x-amz-date"]
    scope = f"{time[:8]}/{region}/{service}/aws4_request"
    text = f"AWS4-HMAC-SHA256\n{time}\n{scope}\n{sha256(canonical.encode()).hexdigest()}"
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    return f"AWS4-HMAC-SHA256 Credential={key_id}/{scope}, SignedHeaders={signed}, Signature={signature}"
