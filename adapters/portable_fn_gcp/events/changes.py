"""Documents of Firestore that were written, as rows that changed.

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


# As base64, which the emulator sends, and with room for what a document's size leaves out.
MAX_EVENT = 4 * 1024 * 1024


def documented(event: CloudEvent[Any]) -> ChangeEvent[Any]:
    """The document of an event by Eventarc, or of a first-generation one.

    `table` is the path of the collection (`users`, `users/ada/orders`), `key` the document's id. Firestore's events come in
    no order: `sequence`, when the document was written, in UTC, is in the order of the writes, and None for a removal.
    """
    word = event.type.removeprefix(PREFIX).removesuffix(".withAuthContext")
    if word != "written" and word not in _ACTIONS:
        raise DecodeError(f"an event of Firestore is {word[:40]!r}; known are written, {', '.join(_ACTIONS)}")
    if event.content_type.startswith("application/protobuf"):
        # A document has at most 1 MiB, and an event two of them. https://firebase.google.com/docs/firestore/quotas
        if len(event.body) > MAX_EVENT:
            raise DecodeError(f"an event of Firestore has {len(event.body)} bytes; possible are {MAX_EVENT}")
        written = firestore.document_event(firestore.body(event.body))
    else:
        written = firestore.from_json(json_data(event))
    value, old_value = written.value, written.old_value
    document = value or old_value
    if document is None:
        raise DecodeError("an event of Firestore has no document, neither before nor after")
    table, _, id = _path(document, event).rpartition("/")
    if not table or not id:
        raise DecodeError("a document of Firestore has no path of a collection and an id")
    sequence = None if value is None or value.update_time is None else write_time(value.update_time)
    return ChangeEvent(
        event.id,
        # Doubled by the emulator, cloud-firestore-emulator 1.21.
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
    """The path of the document in its database."""
    _, found, path = document.name.partition("/documents/")
    return path if found else event.subject.removeprefix("documents/")
