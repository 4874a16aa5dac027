"""Send dead letters to storage queues and Service Bus queues by their REST interfaces, without an SDK.

https://learn.microsoft.com/rest/api/storageservices/put-message and
https://learn.microsoft.com/rest/api/servicebus/send-message-to-queue
"""

from __future__ import annotations

import os
import time
from binascii import b2a_base64

from portable_fn_azure.drivers import api

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from portable_fn.adapter.dead_letter import Letter
    from portable_fn.events import Event
    from portable_fn.outcomes import Reject

# A storage queue's message is 64 KiB: https://learn.microsoft.com/azure/storage/queues/storage-queues-introduction
MAX_TEXT = 64 * 1024
# HTTP.sys takes headers of 16 KB together: https://learn.microsoft.com/troubleshoot/developer/webapps/iis/iisadmin-service-inetinfo/httpsys-registry-windows
MAX_HEADERS = 10_000
MAX_PROPERTY = 4096


def dead_letter(
    kind: str, queue: str, connection: str, event: Event[Any], reject: Reject, seconds: float | None, file: str
) -> None:
    """Send a rejected event to the queue, as `portable_fn.adapter.dead_letter` writes it.

    Args:
        kind: "storage_queue" or "service_bus_queue".
        connection: The setting with the queue's address: a connection string, or the prefix of an identity's settings.
        seconds: How long it may take, api.TIMEOUT at most.
        file: The handler's file.

    Raises:
        api.QueueError: The queue hasn't accepted it by then.
    """
    end = time.monotonic() + (api.TIMEOUT if seconds is None else min(seconds, api.TIMEOUT))
    if kind == "storage_queue":
        send_to_storage_queue(queue, connection, text_of(event, reject, message_encoding(file)), end)
        return
    from portable_fn.adapter.dead_letter import Destination, letter

    # Properties travel in headers, as JSON strings. Quotes and characters that aren't ASCII don't survive that.
    # https://github.com/Azure/azure-sdk-for-node/issues/1422
    to = Destination(40, MAX_PROPERTY, is_property, legible, total=MAX_HEADERS)
    send_to_service_bus(queue, connection, letter(event, reject, to), message_id(event), end)


# Storage queues


def text_of(event: Event[Any], reject: Reject, encoding: str) -> str:
    """Return the text of a dead letter: without room for the reason, the message unchanged."""
    from portable_fn.adapter.dead_letter import is_like, structured
    from portable_fn.events import Message

    text = encode_body(structured(event, reject), encoding)
    if len(text) > MAX_TEXT and isinstance(event, Message) and not is_like(event.body):
        from portable_fn.logs import log

        shown = event.id if event.id.isprintable() else ascii(event.id)
        log().warning(
            "the dead letter of %s has no room for the reason: it is sent without one, as the original message", shown
        )
        text = encode_body(event.body, encoding)
    if len(text) > MAX_TEXT:
        raise api.QueueError(
            f"the message has {len(text)} characters, but a storage queue takes {MAX_TEXT}; use a Service Bus queue"
        )
    return text


def encode_body(body: bytes, encoding: str) -> str:
    """Return a body as a queue's trigger reads it: in base64, or as text if host.json says "none"."""
    return body.decode() if encoding == "none" else b2a_base64(body, newline=False).decode()


def message_encoding(file: str) -> str:
    """Return the encoding of queues' messages, "base64" or "none".

    host.json has it, in the function app's root: a folder above the handler's `file`.
    """
    from json import load

    folder = os.path.dirname(os.path.abspath(file))
    while True:
        try:
            with open(os.path.join(folder, "host.json"), encoding="utf-8-sig") as host_json:
                return str(load(host_json)["extensions"]["queues"]["messageEncoding"]).lower()
        except FileNotFoundError:
            folder, before = os.path.dirname(folder), folder
            if folder == before:
                return "base64"
        except (OSError, ValueError, LookupError, TypeError):
            return "base64"


def send_to_storage_queue(queue: str, connection: str, text: str, end: float, *, create: bool = True) -> None:
    """Send a message to a storage queue; create a missing queue, as the host does for its output bindings."""
    from xml.sax.saxutils import escape

    content = f"<QueueMessage><MessageText>{escape(text)}</MessageText></QueueMessage>".encode()
    # By default a message expires after 7 days, read or not.
    query = {"messagettl": "-1"}
    status, answer = api.call_storage("POST", connection, f"{queue}/messages", query, content, end)
    if status == 404 and create:
        api.call_storage("PUT", connection, queue, {}, b"", end)
        status, answer = api.call_storage("POST", connection, f"{queue}/messages", query, content, end)
    if status != 201:
        code = api.error_code(answer)
        raise api.QueueError(f"the storage queue {queue} refused a message with {status} {code}".rstrip())


# Service Bus


def send_to_service_bus(queue: str, connection: str, letter: Letter, id: str, end: float) -> None:
    """Send a message to a Service Bus queue, with its attributes as properties.

    Args:
        id: The same for a repeated send, so that the queue can drop duplicates.
    """
    from json import dumps
    from urllib.parse import quote

    endpoint, authorization = api.namespace(connection, end)
    broker = {"MessageId": id}
    if letter.subject:
        broker["Label"] = letter.subject[:128]
    if letter.key:
        broker["SessionId"] = letter.key if len(letter.key) <= 128 else _digest(letter.key)
    headers = {
        "authorization": authorization,
        # Without this header the service invents a type. A message without a type is read as JSON.
        "content-type": letter.content_type or "application/json",
        "BrokerProperties": dumps(broker),
        "x-ms-retrypolicy": "NoRetry",
    }
    headers.update({name: f'"{value}"' for name, value in letter.attributes.items()})  # type: ignore[str-bytes-safe]  # texts
    status, answer = api.send("POST", f"{endpoint}/{quote(queue)}/messages", headers, letter.body, end)
    if status != 201:
        code = api.error_code(answer)
        raise api.QueueError(f"the Service Bus queue {queue} refused a message with {status} {code}".rstrip())


# The other headers of the request. A property can't have their names.
_HEADERS = frozenset(
    (
        "accept", "accept-encoding", "authorization", "brokerproperties", "connection", "content-encoding", "content-length",
        "content-type", "cookie", "date", "expect", "host", "keep-alive", "proxy-authorization", "te", "trailer",
        "transfer-encoding", "upgrade", "user-agent", "via",
    )
)  # fmt: skip


def is_property(name: str) -> bool:
    """Return whether a property can have the name."""
    from portable_fn.pairs import is_token

    return 0 < len(name) <= 128 and is_token(name) and name.lower() not in _HEADERS and not name.startswith("x-ms-")


def legible(text: str) -> str:
    """Replace the characters that a property can't hold with "?"."""
    return "".join(char if " " <= char <= "~" and char not in '"\\' else "?" for char in text)


def message_id(event: Event[Any]) -> str:
    """Return an id that is always the same for the same event.

    Service Bus and RabbitMQ take ids from senders, who may give several messages the same one. So the id is a digest of more.
    """
    return _digest(f"{event.source} {event.id} {event.fingerprint!r}")


def _digest(text: str) -> str:
    from hashlib import sha256

    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
