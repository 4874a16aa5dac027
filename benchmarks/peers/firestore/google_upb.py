"""Reads a Firestore event with Google's generated classes and upb, converting each value to plain Python."""

from google.events.cloud.firestore import DocumentEventData

Message = DocumentEventData.pb()


def plain(value):
    kind = value.WhichOneof("value_type")
    if kind == "map_value":
        return {name: plain(each) for name, each in value.map_value.fields.items()}
    if kind == "array_value":
        return [plain(each) for each in value.array_value.values]
    if kind == "null_value":
        return None
    if kind == "timestamp_value":
        return value.timestamp_value.ToDatetime()
    return getattr(value, kind)


def lambda_handler(event, context):
    decoded = Message.FromString(event)
    before = {name: plain(value) for name, value in decoded.old_value.fields.items()}
    after = {name: plain(value) for name, value in decoded.value.fields.items()}
    return {"before": before["count"], "after": after["count"], "tags": after["tags"], "fields": len(after)}
