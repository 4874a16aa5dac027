"""Decode blobs and the events of storage accounts."""

from __future__ import annotations

from portable_fn.adapter.cloudevents import json_data, read_time
from portable_fn.errors import DecodeError
from portable_fn.events import ObjectEvent
from portable_fn.pairs import unquoted
from portable_fn_azure.events.messages import as_text, optional, require

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from portable_fn.events import CloudEvent
    from portable_fn_azure.native import InputStream

CONTAINERS = "/blobServices/default/containers/"
# https://learn.microsoft.com/azure/event-grid/event-schema-blob-storage
ACTIONS = {
    "Microsoft.Storage.BlobCreated": "created",
    "Microsoft.Storage.BlobDeleted": "deleted",
    "Microsoft.Storage.BlobTierChanged": "archived",
    "Microsoft.Storage.BlobRenamed": "changed",
}
# From warm to cold. https://learn.microsoft.com/azure/storage/blobs/access-tiers-overview
_TIERS = ("Hot", "Cool", "Cold", "Archive")


def blob(native: InputStream) -> ObjectEvent[Any]:
    """Decode the blob of a blob trigger: it was created or replaced.

    The trigger has no event, so the id is the blob's address and its version: the ETag, or without one the time of the last
    change. The host omits the ETag if it serializes by Newtonsoft.Json, which finds no properties in .NET's ETag.
    """
    properties = optional(native, "blob_properties")
    properties = properties if isinstance(properties, dict) else {}
    metadata = optional(native, "metadata")
    name = require(native.name, "BlobTrigger")
    bucket, _, key = name.partition("/")
    etag = properties.get("ETag")
    etag = etag.strip('"') if isinstance(etag, str) and etag else None
    changed = properties.get("LastModified")
    address = require(native.uri or name, "Uri")
    before, found, _ = address.partition(f"/{bucket}/")
    lengths = (properties.get("ContentLength"), optional(native, "length"))
    return ObjectEvent(
        f"{address}@{etag or require(changed, 'ETag and no LastModified')}",
        f"{before}/{bucket}" if found else bucket,
        bucket,
        require(key, "name of a blob in BlobTrigger"),
        "created",
        time=read_time(changed),
        size=next((length for length in lengths if _is_size(length)), None),
        etag=etag,
        version=as_text(properties.get("VersionId")) or None,
        content_type=as_text(properties.get("ContentType")) or None,
        metadata={name: value for name, value in metadata.items() if isinstance(value, str)}
        if isinstance(metadata, dict)
        else {},
        body=native.read,
        type="blobTrigger",
        notification=properties,
        native=native,
    )


def storage_event(event: CloudEvent[Any]) -> ObjectEvent[Any] | None:
    """Decode an event of a storage account; return None if it isn't about a blob."""
    action = ACTIONS.get(event.type)
    if action is None or not event.subject.startswith(CONTAINERS):
        return None
    bucket, _, named = event.subject.removeprefix(CONTAINERS).partition("/blobs/")
    data = json_data(event)
    if not isinstance(data, dict):
        raise DecodeError(f"the data of {event.type} must be an object, not {type(data).__name__}")
    if action == "archived" and _is_warmer(data.get("accessTier"), data.get("previousTier")):
        action = "changed"
    url = data.get("url")
    # The host's blob extension also takes the name from the URL, which is percent-encoded.
    # Source: Microsoft.Azure.WebJobs.Extensions.Storage.Blobs, BlobsExtensionConfigProvider.
    _, found, encoded = (url if isinstance(url, str) else "").partition(f"/{bucket}/")
    length = data.get("contentLength")
    return ObjectEvent(
        event.id,
        event.source,
        bucket,
        unquoted(encoded) if found else named,
        action,
        time=event.time,
        size=length if _is_size(length) and action == "created" else None,
        etag=as_text(data.get("eTag")) or None,
        version=as_text(data.get("blobVersion")) or None,
        content_type=as_text(data.get("contentType")) or None,
        type=event.type,
        notification=data,
        native=event.native,
        envelopes=(*event.envelopes, event),
    )


def _is_size(value: object) -> bool:
    return type(value) is int and value >= 0


def _is_warmer(tier: object, previous: object) -> bool:
    """Return whether a blob moved to a warmer tier."""
    return tier in _TIERS and previous in _TIERS and _TIERS.index(tier) < _TIERS.index(previous)
