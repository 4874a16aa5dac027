"""Render object events as S3 sends them."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote_plus

from portable_fn.events import ObjectEvent
from portable_fn_aws.formats import REGION, iso, present
from portable_fn_aws.simulate.bus import bus_event

_EVENT_NAMES = {
    "created": "ObjectCreated:Put",
    "deleted": "ObjectRemoved:Delete",
    "archived": "LifecycleTransition",
    "changed": "ObjectTagging:Put",
}


_DETAIL_TYPES = {
    "created": "Object Created",
    "deleted": "Object Deleted",
    "archived": "Object Storage Class Changed",
    "changed": "Object Tags Added",
}


def s3(event: ObjectEvent[Any]) -> dict[str, Any]:
    """Render a record of an S3 notification; its key is form-encoded, and an id that lacks the key gets it."""
    id = event.id.removesuffix(f".{event.key}") or event.id
    request, _, sequencer = id.rpartition(".")
    if not request or not sequencer:
        request, sequencer = "", id
    s3_object: dict[str, Any] = {"key": quote_plus(event.key, safe="/"), "sequencer": sequencer}
    s3_object.update(present(size=event.size, eTag=event.etag, versionId=event.version))
    return {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": REGION,
        "eventTime": iso(event.time),
        "eventName": event.type or _EVENT_NAMES[event.action],
        "userIdentity": {"principalId": "AIDAEXAMPLE"},
        "requestParameters": {"sourceIPAddress": "203.0.113.7"},
        "responseElements": {"x-amz-id-2": "host", **({"x-amz-request-id": request} if request else {})},
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": "notification",
            "bucket": {
                "name": event.bucket,
                "ownerIdentity": {"principalId": "AIDAEXAMPLE"},
                "arn": f"arn:aws:s3:::{event.bucket}",
            },
            "object": s3_object,
        },
    }


def s3_notification(events: list[Any]) -> dict[str, Any]:
    """Render a payload of S3."""
    return {"Records": [s3(event) for event in events]}


def s3_eventbridge(event: ObjectEvent[Any]) -> dict[str, Any]:
    """Render an S3 event on EventBridge; its key isn't encoded."""
    s3_object = {"key": event.key, "sequencer": "0055AED6DCD90281E5"}
    s3_object.update(present(size=event.size, etag=event.etag))
    if event.version is not None:
        s3_object["version-id"] = event.version
    return bus_event(
        event.id,
        "aws.s3",
        event.type or _DETAIL_TYPES[event.action],
        event.time,
        [f"arn:aws:s3:::{event.bucket}"],
        {"version": "0", "bucket": {"name": event.bucket}, "object": s3_object, "request-id": "request"},
    )
