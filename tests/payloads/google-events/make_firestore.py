"""Writes firestore.json: messages by google's own classes, as protobuf in hex and as JSON.

To make it anew, in an environment of its own:
pip install google-events==0.14.0 googleapis-common-protos==1.76.0 protobuf==7.36.2, then run this file.
"""

import json
from pathlib import Path

from google.events.cloud.firestore import DocumentEventData
from google.protobuf import json_format

NAME = "projects/p/databases/(default)/documents/users/zoë"
TIMES = {"createTime": "2024-02-29T23:59:59.999999Z", "updateTime": "2026-11-24T10:02:27.848545Z"}


def document(**fields):
    return {"name": NAME, "fields": fields, **TIMES}


def deep(levels):
    value = {"stringValue": "the innermost"}
    for _ in range(levels):
        value = {"arrayValue": {"values": [{"mapValue": {"fields": {"k": value}}}]}}
    return value


VALUES = {
    "null": {"nullValue": None},
    "booleans": {"arrayValue": {"values": [{"booleanValue": True}, {"booleanValue": False}]}},
    "integers": {
        "arrayValue": {
            "values": [
                {"integerValue": str(n)}
                for n in (0, 1, -1, 127, 128, 300, 2**31, -(2**31), 2**53 + 1, 2**63 - 1, -(2**63))
            ]
        }
    },
    "doubles": {
        "arrayValue": {
            "values": [
                {"doubleValue": d}
                for d in (0.0, -0.0, 1.5, 5e-324, 1.7976931348623157e308, "Infinity", "-Infinity", "NaN")
            ]
        }
    },
    "timestamps": {
        "arrayValue": {
            "values": [
                {"timestampValue": t}
                for t in (
                    "1970-01-01T00:00:00Z",
                    "1969-12-31T23:59:59.999999Z",
                    "0001-01-01T00:00:00Z",
                    "9999-12-31T23:59:59.999999999Z",
                    "2024-01-02T03:04:05.600Z",
                    "2024-01-02T03:04:05.123456789Z",
                )
            ]
        }
    },
    "strings": {
        "arrayValue": {
            "values": [{"stringValue": s} for s in ("", "a", "Zoë 😀\x00", "x" * 124, "x" * 127, "x" * 128, "x" * 300)]
        }
    },
    "bytes": {"arrayValue": {"values": [{"bytesValue": b} for b in ("", "AP8=", "Cgo=", "++//")]}},
    "references": {"arrayValue": {"values": [{"referenceValue": NAME}, {"referenceValue": ""}]}},
    "geo points": {
        "arrayValue": {
            "values": [
                {"geoPointValue": g}
                for g in ({"latitude": 51.4543, "longitude": -0.9781}, {"latitude": 90}, {"longitude": -180}, {})
            ]
        }
    },
    "empty array": {"arrayValue": {}},
    "empty map": {"mapValue": {}},
    "odd keys": {
        "mapValue": {"fields": {k: {"booleanValue": True} for k in ("", " ", "a.b", "`x`", "ключ", "k" * 1500)}}
    },
    "vector": {
        "mapValue": {
            "fields": {
                "__type__": {"stringValue": "__vector__"},
                "value": {"arrayValue": {"values": [{"doubleValue": 0.5}, {"doubleValue": -1}]}},
            }
        }
    },
    "nested as deep as Firestore allows": deep(10),
}
ALL = document(**VALUES)
EVENTS = {
    **{name: {"value": document(v=value)} for name, value in VALUES.items()},
    "created": {"value": ALL},
    "updated": {"value": ALL, "oldValue": document(), "updateMask": {"fieldPaths": ["a", "b.c", "`x.y`"]}},
    "deleted": {"oldValue": ALL, "updateMask": {}},
    "a long string": {"value": document(v={"stringValue": "x" * 16384})},
    "nothing": {},
    "empty documents": {"value": {}, "oldValue": {}},
    "no times": {"value": {"name": NAME}},
}

made = {}
for case, event in EVENTS.items():
    message = json_format.ParseDict(event, DocumentEventData.pb()())
    made[case] = {
        "protobuf": message.SerializeToString(deterministic=True).hex(),
        "json": json_format.MessageToDict(message),
    }
Path(__file__).with_name("firestore.json").write_text(json.dumps(made, indent=1, ensure_ascii=False) + "\n")
