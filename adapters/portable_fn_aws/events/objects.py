"""Decode S3's notifications, from S3 and from EventBridge."""

from __future__ import annotations

from portable_fn.adapter.cloudevents import parse_time
from portable_fn.errors import DecodeError
from portable_fn.events import BROKEN, ObjectEvent, unreadable
from portable_fn.pairs import unquoted
from portable_fn_aws.events.messages import maybe_time, require_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from portable_fn.events import CloudEvent
    from portable_fn_aws.native import Record

# By the start of the event's name: https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-how-to-event-types-and-destinations.html
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


def read_s3(record: Record) -> ObjectEvent[Any] | DecodeError:
    """Decode a record of a notification, whose key is form-encoded.

    S3 sends no id. The id joins the id of the request that caused the event, the sequencer, and the key, because S3 orders only the
    changes of one key. Events of tags and lifecycles have no sequencer: their id has the event's name instead.
    """
    try:
        name = record["eventName"].removeprefix("s3:")
        bucket, s3_object = record["s3"]["bucket"], record["s3"]["object"]
        response = record.get("responseElements")
        request = _maybe(response.get("x-amz-request-id")) if isinstance(response, dict) else None
        bucket_name = require_text(bucket["name"], "the name of the bucket")
        arn = bucket.get("arn")
        key = _decoded(require_text(s3_object["key"], "the key of the object"))
        sequencer = _maybe(s3_object.get("sequencer"))
        if not request and not sequencer:
            raise DecodeError("an S3 record has neither a request id nor a sequencer")
        return ObjectEvent(
            ".".join(filter(None, (request, sequencer or name, key))),
            require_text(arn, "the arn of the bucket") if arn else f"arn:aws:s3:::{bucket_name}",
            bucket_name,
            key,
            _ACTIONS.get(name.partition(":")[0], "changed"),
            time=maybe_time(parse_time, record.get("eventTime")),
            size=_whole(s3_object.get("size")),
            etag=_maybe(s3_object.get("eTag")),
            version=_maybe(s3_object.get("versionId")),
            type=name,
            notification=record,
            native=record,
        )
    except BROKEN as exc:
        return unreadable(exc, "an S3 record")


def read_bus_event(event: CloudEvent[Any], envelope: Mapping[str, Any]) -> ObjectEvent[Any] | None:
    """Decode an object event of S3 on EventBridge, whose key isn't encoded; return None for other events of S3."""
    detail = envelope["detail"]
    if event.type not in _BUS_ACTIONS:
        return None
    s3_object = detail["object"]
    bucket_name = require_text(detail["bucket"]["name"], "the name of the bucket")
    return ObjectEvent(
        event.id,
        f"arn:aws:s3:::{bucket_name}",
        bucket_name,
        require_text(s3_object["key"], "the key of the object"),
        _BUS_ACTIONS[event.type],
        time=event.time,
        size=_whole(s3_object.get("size")),
        etag=_maybe(s3_object.get("etag")),
        version=_maybe(s3_object.get("version-id")),
        type=event.type,
        notification=detail,
        native=envelope,
    )


def is_test(value: object) -> bool:
    """Return whether the value is the test that S3 sends when a notification is set up."""
    return isinstance(value, dict) and value.get("Event") == "s3:TestEvent" and "Records" not in value


def _decoded(encoded: str) -> str:
    """Decode a form-encoded key.

    Raises:
        ValueError: It isn't UTF-8; a repaired key would name another object.
    """
    key = unquoted(encoded.replace("+", " "))
    if "\ufffd" in key:
        from urllib.parse import unquote_plus

        key = unquote_plus(encoded, errors="strict")
    return key


def _whole(value: Any) -> int | None:
    return value if type(value) is int else None


def _maybe(value: Any) -> str | None:
    return value if isinstance(value, str) else None
