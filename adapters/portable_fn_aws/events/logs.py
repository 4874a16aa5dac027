"""Decode batches of CloudWatch Logs."""

from __future__ import annotations

from binascii import a2b_base64

from portable_fn.data import parse_json
from portable_fn.errors import DecodeError
from portable_fn.events import UNREADABLE, Message, unreadable
from portable_fn_aws.events.messages import maybe_text, maybe_time, milliseconds, require_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# The limit of an unzipped batch; a zipped one has at most 6 MB.
MAX_LOGS = 64 * 1024 * 1024


def read_logs(data: Any) -> Message | DecodeError | None:
    """Decode a batch of CloudWatch Logs as one message; return None for a check of the subscription.

    The body is the batch's JSON, the id the first log event's.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/SubscriptionFilters.html
    """
    import zlib

    try:
        body = unzip(a2b_base64(data, strict_mode=True))
        batch: Any = parse_json(body.decode())
        return None if batch["messageType"] == "CONTROL_MESSAGE" else message_of(batch, body)
    except (*UNREADABLE, zlib.error) as exc:
        return unreadable(exc, "the CloudWatch Logs batch")
    except DecodeError as exc:
        return exc


def unzip(data: bytes) -> bytes:
    """Return an unzipped batch.

    Raises:
        DecodeError: It is too large.
        zlib.error: It isn't gzip.
    """
    import zlib

    inflater = zlib.decompressobj(wbits=31)
    body = inflater.decompress(data, MAX_LOGS)
    if inflater.unconsumed_tail:
        raise DecodeError(f"the CloudWatch Logs batch is over {MAX_LOGS} bytes")
    return body


def message_of(batch: Any, body: bytes) -> Message[Any]:
    """Return the message of a batch, whose JSON text is the body."""
    first = batch["logEvents"][0]
    group = require_text(batch["logGroup"], "the logGroup of a CloudWatch Logs batch")
    return Message(
        require_text(first["id"], "the id of a log event"),
        group,
        body,
        channel=group,
        time=maybe_time(milliseconds, first.get("timestamp")),
        content_type="application/json",
        partition=maybe_text(batch.get("logStream")) or None,
        native=batch,
    )
