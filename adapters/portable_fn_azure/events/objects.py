"""Blobs, and the events of storage accounts, as neutral events."""

from __future__ import annotations

from portable_fn.adapter.cloudevents import json_data, read_time
from portable_fn.errors import DecodeError
from portable_fn.events import ObjectEvent
from portable_fn.pairs import unquoted
from portable_fn_azure.events.messages import given, side, text

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
    """The blob trigger's blob, which was created or replaced.

    The trigger has no event, so that the id is the blob's address and its version: its ETag, or the time of its last change
    where the host leaves that out, as it does with Newtonsoft.Json, which finds nothing in .NET's ETag.
    """
    properties = side(native, "blob_properties")
    properties = properties if isinstance(properties, dict) else {}
    metadata = side(native, "metadata")
    name = given(native.name, "BlobTrigger")
    bucket, _, key = name.partition("/")
    etag = properties.get("ETag")
    etag = etag.strip('"') if isinstance(etag, str) and etag else None
    changed = properties.get("LastModified")
    address = given(native.uri or name, "Uri")
    before, found, _ = address.partition(f"/{bucket}/")
    length = next((one for one in (properties.get("ContentLength"), side(native, "length")) if _is_size(one)), None)
    return ObjectEvent(
        f"{address}@{etag or given(changed, 'ETag and no LastModified')}",
        f"{before}/{bucket}" if found else bucket,
        bucket,
        given(key, "name of a blob in BlobTrigger"),
        "created",
        time=read_time(changed),
        size=length,
        etag=etag,
        version=text(properties.get("VersionId")) or None,
        content_type=text(properties.get("ContentType")) or None,
        metadata={name: value for name, value in metadata.items() if isinstance(value, str)}
        if isinstance(metadata, dict)
        else {},
        body=native.read,
        type="blobTrigger",
        notification=properties,
        native=native,
    )


def storage_event(event: CloudEvent[Any]) -> ObjectEvent[Any] | None:
    """What happened to a blob, in an event of a storage account; None where it is about none."""
    action = ACTIONS.get(event.type)
    if action is None or not event.subject.startswith(CONTAINERS):
        return None
    bucket, _, named = event.subject.removeprefix(CONTAINERS).partition("/blobs/")
    data = json_data(event)
    if not isinstance(data, dict):
        raise DecodeError(f"the data of {event.type} is a {type(data).__name__}, not an object")
    if action == "archived" and _is_warmer(data.get("accessTier"), data.get("previousTier")):
        action = "changed"
    url = data.get("url")
    # The host's blob extension, too, takes the name from the URL, where it is percent-encoded.
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
        etag=text(data.get("eTag")) or None,
        version=text(data.get("blobVersion")) or None,
        content_type=text(data.get("contentType")) or None,
        type=event.type,
        notification=data,
        native=event.native,
        envelopes=(*event.envelopes, event),
    )


def _is_size(value: object) -> bool:
    return type(value) is int and value >= 0


def _is_warmer(tier: object, previous: object) -> bool:
    """Whether a blob came back from a colder tier."""
    return tier in _TIERS and previous in _TIERS and _TIERS.index(tier) < _TIERS.index(previous)
