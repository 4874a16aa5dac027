"""Sends dead letters to storage queues and Service Bus queues by the services' own REST interfaces, without an SDK.

https://learn.microsoft.com/rest/api/storageservices/put-message and
https://learn.microsoft.com/rest/api/servicebus/send-message-to-queue
"""

from __future__ import annotations

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
_MAX_HEADERS = 10_000
_MAX_PROPERTY = 4096


def dead_letter(
    kind: str, queue: str, connection: str, event: Event[Any], reject: Reject, seconds: float | None, file: str
) -> None:
    """Send a rejected event to the queue, as `portable_fn.adapter.dead_letter` writes it.

    Args:
        kind: "storage_queue" or "service_bus_queue".
        connection: The setting that says where the queue is, a connection string or the prefix of an identity's.
        seconds: How long it may take, api.TIMEOUT at most.
        file: The handler's.

    Raises:
        api.QueueError: The queue doesn't have it by then.
    """
    end = time.monotonic() + (api.TIMEOUT if seconds is None else min(seconds, api.TIMEOUT))
    if kind == "storage_queue":
        send_text(queue, connection, _text(event, reject, api._encoding(file)), end)
        return
    from portable_fn.adapter.dead_letter import Destination, letter

    # Properties travel in headers, as JSON has a text; quotes and what isn't ASCII don't survive it.
    # https://github.com/Azure/azure-sdk-for-node/issues/1422
    to = Destination(40, _MAX_PROPERTY, _is_property, _legible, total=_MAX_HEADERS)
    send_message(queue, connection, letter(event, reject, to), _message_id(event), end)


# Storage queues


def _text(event: Event[Any], reject: Reject, encoding: str) -> str:
    """The text of a dead letter; one that has no room for the reason is the message as it was."""
    from portable_fn.adapter.dead_letter import is_like, structured
    from portable_fn.events import Message

    text = encoded(structured(event, reject), encoding)
    if len(text) > MAX_TEXT and isinstance(event, Message) and not is_like(event.body):
        from portable_fn.logs import log

        shown = event.id if event.id.isprintable() else ascii(event.id)
        log().warning("the dead letter of %s has no room for the reason: it is the message as it was", shown)
        text = encoded(event.body, encoding)
    if len(text) > MAX_TEXT:
        raise api.QueueError(f"the message has {len(text)} characters, and a storage queue takes {MAX_TEXT}")
    return text


def encoded(body: bytes, encoding: str) -> str:
    """A body as a queue's trigger reads it: in base64, or, if host.json says "none", as it is."""
    return body.decode() if encoding == "none" else b2a_base64(body, newline=False).decode()


def send_text(queue: str, connection: str, text: str, end: float, *, make: bool = True) -> None:
    """Put a message into a storage queue.

    With `make`, a queue that isn't there is made, as the host does for its output bindings.
    """
    from xml.sax.saxutils import escape

    content = f"<QueueMessage><MessageText>{escape(text)}</MessageText></QueueMessage>".encode()
    # A message that nobody has read yet is not to expire after 7 days.
    query = {"messagettl": "-1"}
    status, answer = api.storage("POST", connection, f"{queue}/messages", query, content, end)
    if status == 404 and make:
        api.storage("PUT", connection, queue, {}, b"", end)
        status, answer = api.storage("POST", connection, f"{queue}/messages", query, content, end)
    if status != 201:
        raise api.QueueError(f"the storage queue {queue} refused a message with {status} {api._code(answer)}".rstrip())


# Service Bus


def send_message(queue: str, connection: str, letter: Letter, id: str, end: float) -> None:
    """Send a message to a Service Bus queue, with its attributes as properties; `id` tells a repeated send."""
    from json import dumps
    from urllib.parse import quote

    endpoint, token = api._namespace(connection, end)
    broker = {"MessageId": id}
    if letter.subject:
        broker["Label"] = letter.subject[:128]
    if letter.key:
        broker["SessionId"] = letter.key if len(letter.key) <= 128 else _digest(letter.key)
    headers = {
        "authorization": token,
        # Without one the service makes one up; a message that has none is read as JSON.
        "content-type": letter.content_type or "application/json",
        "BrokerProperties": dumps(broker),
        "x-ms-retrypolicy": "NoRetry",
    }
    headers.update({name: f'"{value}"' for name, value in letter.attributes.items()})  # type: ignore[str-bytes-safe]  # texts
    status, answer = api._call("POST", f"{endpoint}/{quote(queue)}/messages", headers, letter.body, end)
    if status != 201:
        raise api.QueueError(
            f"the Service Bus queue {queue} refused a message with {status} {api._code(answer)}".rstrip()
        )


# What else is in the headers of a request, so that no property can have its name.
_HEADERS = frozenset(
    (
        "accept", "accept-encoding", "authorization", "brokerproperties", "connection", "content-encoding", "content-length",
        "content-type", "cookie", "date", "expect", "host", "keep-alive", "proxy-authorization", "te", "trailer",
        "transfer-encoding", "upgrade", "user-agent", "via",
    )
)  # fmt: skip


def _is_property(name: str) -> bool:
    from portable_fn.pairs import is_token

    return 0 < len(name) <= 128 and is_token(name) and name.lower() not in _HEADERS and not name.startswith("x-ms-")


def _legible(text: str) -> str:
    """The text in the characters that a property keeps."""
    return "".join(char if " " <= char <= "~" and char not in '"\\' else "?" for char in text)


def _message_id(event: Event[Any]) -> str:
    """An id that is the same for the same event, by which a queue may leave out what it has already.

    Service Bus and RabbitMQ leave ids to senders, who may give one to several messages.
    """
    return _digest(f"{event.source} {event.id} {event.fingerprint!r}")


def _digest(text: str) -> str:
    from hashlib import sha256

    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


# Both
