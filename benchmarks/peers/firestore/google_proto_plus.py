"""Reads a Firestore event with google-events' own classes, as its documentation has it, converting each value to plain Python."""

from google.events.cloud.firestore import DocumentEventData


def plain(value):
    kind = type(value).pb(value).WhichOneof("value_type")
    if kind == "map_value":
        return {name: plain(each) for name, each in value.map_value.fields.items()}
    if kind == "array_value":
        return [plain(each) for each in value.array_value.values]
    if kind == "null_value":
        return None
    return getattr(value, kind)


def lambda_handler(event, context):
    decoded = DocumentEventData.deserialize(event)
    before = {name: plain(value) for name, value in decoded.old_value.fields.items()}
    after = {name: plain(value) for name, value in decoded.value.fields.items()}
    return {"before": before["count"], "after": after["count"], "tags": after["tags"], "fields": len(after)}
