"""Reads a Firestore event into plain Python with portable_fn's decoder."""

from portable_fn_gcp.events.firestore import document_event


def lambda_handler(event, context):
    decoded = document_event(event)
    before, after = decoded.old_value.fields, decoded.value.fields
    return {"before": before["count"], "after": after["count"], "tags": after["tags"], "fields": len(after)}
