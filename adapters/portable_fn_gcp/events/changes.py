"""Decode changes of Firestore documents.

https://cloud.google.com/eventarc/docs/run/route-trigger-cloud-firestore
"""

from __future__ import annotations

from portable_fn.adapter.cloudevents import json_data, write_time
from portable_fn.errors import DecodeError
from portable_fn.events import ChangeEvent
from portable_fn_gcp.events import firestore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from portable_fn.events import CloudEvent
    from portable_fn_gcp.events.firestore import Document

PREFIX = "google.cloud.firestore.document.v1."

_ACTIONS = {"created": "inserted", "updated": "updated", "deleted": "removed"}

# A document has at most 1 MiB, an event two of them: https://firebase.google.com/docs/firestore/quotas. The emulator sends
# base64, and the quota doesn't count all bytes.
MAX_EVENT = 4 * 1024 * 1024


def eventarc(event: CloudEvent[Any]) -> ChangeEvent[Any]:
    """Decode the document in an event from Eventarc or of the first generation.

    `table` is the path of the collection (`users`, `users/ada/orders`), `key` the document's id. Firestore's events arrive in
    any order; `sequence`, the UTC time of the write, sorts them. It is None for a removal.
    """
    word = event.type.removeprefix(PREFIX).removesuffix(".withAuthContext")
    if word != "written" and word not in _ACTIONS:
        raise DecodeError(f"an unknown event {word[:40]!r} of Firestore; known are written, {', '.join(_ACTIONS)}")
    if event.content_type.startswith("application/protobuf"):
        if len(event.body) > MAX_EVENT:
            raise DecodeError(f"an event of Firestore has {len(event.body)} bytes; at most {MAX_EVENT} are allowed")
        written = firestore.document_event(firestore.body(event.body))
    else:
        from portable_fn_gcp.events.firestore_json import from_json

        written = from_json(json_data(event))
    value, old_value = written.value, written.old_value
    document = value or old_value
    if document is None:
        raise DecodeError("an event of Firestore has no document, neither value nor oldValue")
    table, _, id = _path(document, event).rpartition("/")
    if not table or not id:
        raise DecodeError("a Firestore document has no path with a collection and an id")
    sequence = None if value is None or value.update_time is None else write_time(value.update_time)
    return ChangeEvent(
        event.id,
        # cloud-firestore-emulator 1.21 doubles it.
        event.source.replace("/projects/projects/", "/projects/"),
        table,
        _ACTIONS.get(word) or ("removed" if value is None else "inserted" if old_value is None else "updated"),
        key={"id": id},
        before=None if old_value is None else old_value.fields,
        after=None if value is None else value.fields,
        time=event.time,
        sequence=sequence,
        type=event.type,
        native=event.native,
        envelopes=(*event.envelopes, event),
    )


def _path(document: Document, event: CloudEvent[Any]) -> str:
    """Return the document's path in its database."""
    _, separator, path = document.name.partition("/documents/")
    return path if separator else event.subject.removeprefix("documents/")
