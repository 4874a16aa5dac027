"""S3's notifications as object events, by whatever road they come."""

from __future__ import annotations

from portable_fn.adapter.cloudevents import parse_time
from portable_fn.errors import DecodeError
from portable_fn.events import BROKEN, ObjectEvent, unreadable
from portable_fn.pairs import unquoted
from portable_fn_aws.events.messages import given, maybe_time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from portable_fn.events import CloudEvent
    from portable_fn_aws.native import Record

# By the start of the name: https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-how-to-event-types-and-destinations.html
_ACTIONS = {
    "ObjectCreated": "created",
    "ObjectRemoved": "deleted",
    "LifecycleExpiration": "deleted",
    "ReducedRedundancyLostObject": "deleted",
    "LifecycleTransition": "archived",
    "IntelligentTiering": "archived",
}
# EventBridge's names: https://docs.aws.amazon.com/AmazonS3/latest/userguide/EventBridge.html
_BUS_ACTIONS = {
    "Object Created": "created",
    "Object Deleted": "deleted",
    "Object Storage Class Changed": "archived",
    "Object Access Tier Changed": "archived",
    "Object Restore Initiated": "changed",
    "Object Restore Completed": "changed",
    "Object Restore Expired": "changed",
    "Object Tags Added": "changed",
    "Object Tags Deleted": "changed",
    "Object ACL Updated": "changed",
}


def s3(record: Record) -> ObjectEvent[Any] | DecodeError:
    """A record of a notification, whose key is form-encoded.

    It has no id of its own. The id is that of the request that caused it, the place among the key's changes, or what happened if
    S3 tells no place, as for tags and lifecycles, and the key: S3 orders the changes of one key only.
    """
    try:
        name = record["eventName"].removeprefix("s3:")
        bucket, thing = record["s3"]["bucket"], record["s3"]["object"]
        response = record.get("responseElements")
        request = _maybe(response.get("x-amz-request-id")) if isinstance(response, dict) else None
        bucket_name = given(bucket["name"], "the name of the bucket")
        arn = bucket.get("arn")
        key = _decoded(given(thing["key"], "the key of the object"))
        place = _maybe(thing.get("sequencer"))
        if not request and not place:
            raise DecodeError("an S3 record has neither a request id nor a sequencer")
        return ObjectEvent(
            ".".join(filter(None, (request, place or name, key))),
            given(arn, "the arn of the bucket") if arn else f"arn:aws:s3:::{bucket_name}",
            bucket_name,
            key,
            _ACTIONS.get(name.partition(":")[0], "changed"),
            time=maybe_time(parse_time, record.get("eventTime")),
            size=_whole(thing.get("size")),
            etag=_maybe(thing.get("eTag")),
            version=_maybe(thing.get("versionId")),
            type=name,
            notification=record,
            native=record,
        )
    except BROKEN as exc:
        return unreadable(exc, "an S3 record")


def bus_event(event: CloudEvent[Any], envelope: Mapping[str, Any]) -> ObjectEvent[Any] | None:
    """The object event that EventBridge has from S3, with the key as it is; None for other events of S3's."""
    detail = envelope["detail"]
    if event.type not in _BUS_ACTIONS:
        return None
    thing = detail["object"]
    bucket_name = given(detail["bucket"]["name"], "the name of the bucket")
    return ObjectEvent(
        event.id,
        f"arn:aws:s3:::{bucket_name}",
        bucket_name,
        given(thing["key"], "the key of the object"),
        _BUS_ACTIONS[event.type],
        time=event.time,
        size=_whole(thing.get("size")),
        etag=_maybe(thing.get("etag")),
        version=_maybe(thing.get("version-id")),
        type=event.type,
        notification=detail,
        native=envelope,
    )


def is_test(value: object) -> bool:
    """Whether it is what S3 sends once, to see whether notifications can be sent."""
    return isinstance(value, dict) and value.get("Event") == "s3:TestEvent" and "Records" not in value


def _decoded(encoded: str) -> str:
    """A form-encoded key; ValueError if it isn't UTF-8, since another key than the object's would name another object."""
    key = unquoted(encoded.replace("+", " "))
    if "\ufffd" in key:
        from urllib.parse import unquote_plus

        key = unquote_plus(encoded, errors="strict")
    return key


def _whole(value: Any) -> int | None:
    return value if type(value) is int else None


def _maybe(value: Any) -> str | None:
    return value if isinstance(value, str) else None
