"""Write Service Bus messages in AMQP 1.0, as the host passes them to a worker that settles them separately.

Sources: https://docs.oasis-open.org/amqp/core/v1.0/os/amqp-core-messaging-v1.0-os.html;
Microsoft.Azure.WebJobs.Extensions.ServiceBus, ServiceBusExtensionConfigProvider.ConvertReceivedMessageToBindingData.
"""

from __future__ import annotations

import base64
import struct
from typing import Any
from uuid import UUID

from portable_fn.events import Message


def settleable(messages: list[Message[Any]], first: int = 0) -> dict[str, Any]:
    """Return the messages as TypedData; their locks are `lock(first)` and so on."""
    data = [
        {
            "version": "1.0",
            "source": "AzureServiceBusReceivedMessage",
            "content_type": "application/octet-stream",
            "content": base64.b64encode(
                UUID(lock(index)).bytes_le + b"x-opt-lock-token" + amqp(message, index + 1)
            ).decode(),
        }
        for index, message in enumerate(messages, first)
    ]
    return {"collection_model_binding_data": {"model_binding_data": data}}


def lock(index: int) -> str:
    return f"00000000-0000-4000-8000-{index:012}"


def amqp(message: Message[Any], number: int) -> bytes:
    """Return the sections of a message. Its header counts failed deliveries."""
    annotations = _symbol("x-opt-sequence-number") + _long(int(message.sequence or number))
    if message.time is not None:
        milliseconds = round(message.time.timestamp() * 1000)
        annotations += _symbol("x-opt-enqueued-time") + b"\x83" + struct.pack(">q", milliseconds)
    # message-id, user-id, to, subject, reply-to, correlation-id, content-type, content-encoding, expiry, creation, group-id
    properties = [_text(message.id), None, None, _text(message.subject), None, None, _symbol(message.content_type)]
    properties += [None, None, None, _text(message.key or "")]
    attributes = [_text(name) + _text(str(value)) for name, value in message.attributes.items()]
    failures = b"\x70" + struct.pack(">I", (message.attempt or 1) - 1)
    return b"".join(
        (
            _section(0x70, _list([None, None, None, None, failures])),
            _section(0x72, _map(annotations, 2 * (1 if message.time is None else 2))),
            _section(0x73, _list(properties)),
            _section(0x74, _map(b"".join(attributes), 2 * len(attributes))),
            _section(0x75, b"\xb0" + _sized(message.body)),
        )
    )


def _section(code: int, value: bytes) -> bytes:
    return bytes((0x00, 0x53, code)) + value


def _list(items: list[bytes | None]) -> bytes:
    return b"\xd0" + _counted(b"".join(b"\x40" if item is None else item for item in items), len(items))


def _map(items: bytes, count: int) -> bytes:
    return b"\xd1" + _counted(items, count)


def _counted(items: bytes, count: int) -> bytes:
    return struct.pack(">II", len(items) + 4, count) + items


def _sized(value: bytes) -> bytes:
    return struct.pack(">I", len(value)) + value


def _text(value: str) -> bytes:
    return b"\xb1" + _sized(value.encode()) if value else b"\x40"


def _symbol(value: str) -> bytes:
    return b"\xb3" + _sized(value.encode()) if value else b"\x40"


def _long(value: int) -> bytes:
    return b"\x81" + struct.pack(">q", value)
