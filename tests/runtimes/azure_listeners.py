"""Listen to the queues and containers of a storage account, and invoke the worker as the host's extensions do.

Source: Microsoft.Azure.WebJobs.Extensions.Storage.Queues and .Blobs.
"""

from __future__ import annotations

import base64
import json
from email.utils import parsedate_to_datetime
from typing import Any

from tests.runtimes.azure import AzureHost, Invocation
from tests.runtimes.azurite import Blob, QueueMessage, Storage

# The number of attempts before a message goes to the poison queue. https://learn.microsoft.com/azure/azure-functions/functions-host-json#queues
TRIES = 5


def poll_queue(storage: Storage, host: AzureHost, queue: str, function: str) -> list[Invocation]:
    """Deliver each message once, then delete it, release it, or move it to the queue's poison queue."""
    invocations = []
    for message in storage.receive(queue):
        data, metadata = _message(message)
        invocation = host.invoke_typed(function, data, metadata=metadata)
        invocations.append(invocation)
        if invocation.error is None:
            _put(storage, host, function, invocation)
            storage.delete(queue, message)
        elif message.dequeue_count >= TRIES:
            storage.queue(f"{queue}-poison")
            storage.send(f"{queue}-poison", base64.b64decode(message.text))
            storage.delete(queue, message)
        else:
            storage.give_back(queue, message)
    return invocations


def blob_created(storage: Storage, host: AzureHost, container: str, name: str, function: str) -> Invocation:
    """Deliver a blob that the host found."""
    blob = storage.get(container, name)
    data = {"event": {"bytes": base64.b64encode(blob.content).decode()}}
    invocation = host.invoke_typed(function, data, metadata=_properties(blob, container, name))
    if invocation.error is None:
        _put(storage, host, function, invocation)
    return invocation


def _message(message: QueueMessage) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a message's data and metadata: the extension decodes base64, and .NET writes times as ISO 8601."""
    body = base64.b64decode(message.text)
    times = {
        "ExpirationTime": message.expires,
        "InsertionTime": message.inserted,
        "NextVisibleTime": message.next_visible,
    }
    metadata = {
        "Id": {"string": message.id},
        "PopReceipt": {"string": message.pop_receipt},
        "DequeueCount": {"json": str(message.dequeue_count)},
        **{name: {"json": json.dumps(parsedate_to_datetime(time).isoformat())} for name, time in times.items()},
    }
    return {"event": {"bytes": base64.b64encode(body).decode()}}, metadata


def _properties(blob: Blob, container: str, name: str) -> dict[str, Any]:
    headers = blob.headers
    own = {key.removeprefix("x-ms-meta-"): value for key, value in headers.items() if key.startswith("x-ms-meta-")}
    properties = {
        "LastModified": parsedate_to_datetime(headers["last-modified"]).isoformat(),
        "ContentLength": int(headers["content-length"]),
        "ContentType": headers["content-type"],
        "ETag": {},
        "Metadata": own,
    }
    return {
        "BlobTrigger": {"string": f"{container}/{name}"},
        "Uri": {"json": json.dumps(blob.url)},
        "Properties": {"json": json.dumps(properties)},
        "Metadata": {"json": json.dumps(own)},
        "name": {"string": name},
    }


def _put(storage: Storage, host: AzureHost, function: str, invocation: Invocation) -> None:
    """Send the values of the function's output bindings to storage queues."""
    bindings = next(each.bindings for each in host.functions if each.name == function)
    for binding in bindings:
        if binding["type"] == "queue" and binding["name"] in invocation.outputs:
            sent = invocation.outputs[binding["name"]]
            storage.queue(binding["queueName"])
            for one in sent if isinstance(sent, list) else [sent]:
                storage.send(binding["queueName"], one.encode() if isinstance(one, str) else one)
