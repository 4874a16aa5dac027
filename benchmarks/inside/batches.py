"""Build batches as Lambda's event source mappings send them: SQS, Kinesis and DynamoDB streams."""

from __future__ import annotations

import json
from base64 import b64encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

ARN = "arn:aws:sqs:eu-central-1:123456789012:orders"


def _order(number: int) -> dict[str, Any]:
    lines = [{"sku": f"shoe-{line:02d}", "size": 42, "price": "59.90"} for line in range(3)]
    return {
        "id": f"order-{number:06d}",
        "customer": "Ada Lovelace",
        "amount": number % 97,
        "lines": lines,
        "gift": False,
    }


def sqs(count: int) -> dict[str, Any]:
    """Build messages of a standard queue with 240 bytes of JSON each."""
    return {
        "Records": [
            {
                "messageId": f"059f36b4-87a3-44ab-83d2-{number:012d}",
                "receiptHandle": f"AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0a{number:012d}",
                "body": json.dumps(_order(number)),
                "attributes": {
                    "ApproximateReceiveCount": "1",
                    "SentTimestamp": "1767323045000",
                    "SenderId": "AIDAIENQZJOLO23YVJ4VO",
                    "ApproximateFirstReceiveTimestamp": "1767323045001",
                },
                "messageAttributes": {
                    "tenant": {
                        "stringValue": "7",
                        "stringListValues": [],
                        "binaryListValues": [],
                        "dataType": "String",
                    }
                },
                "md5OfBody": "e4e68fb7bd0e697a0ae8f1bb342846b3",
                "eventSource": "aws:sqs",
                "eventSourceARN": ARN,
                "awsRegion": "eu-central-1",
            }
            for number in range(count)
        ]
    }


def kinesis(count: int) -> dict[str, Any]:
    """Build records of one shard with 240 bytes of JSON each."""
    sequence = 49590338271490256608559692538361571095921575989136588898
    return {
        "Records": [
            {
                "kinesis": {
                    "kinesisSchemaVersion": "1.0",
                    "partitionKey": f"customer-{number % 7}",
                    "sequenceNumber": str(sequence + number),
                    "data": b64encode(json.dumps(_order(number)).encode()).decode(),
                    "approximateArrivalTimestamp": 1767323045.001,
                },
                "eventSource": "aws:kinesis",
                "eventVersion": "1.0",
                "eventID": f"shardId-000000000006:{sequence + number}",
                "eventName": "aws:kinesis:record",
                "invokeIdentityArn": "arn:aws:iam::123456789012:role/lambda-role",
                "awsRegion": "eu-central-1",
                "eventSourceARN": "arn:aws:kinesis:eu-central-1:123456789012:stream/orders",
            }
            for number in range(count)
        ]
    }


def dynamodb(count: int) -> dict[str, Any]:
    """Build modified rows of one shard, with eight attributes in each image."""
    return {
        "Records": [
            {
                "eventID": f"c4ca4238a0b923820dcc509a6f{number:06d}",
                "eventName": "MODIFY",
                "eventVersion": "1.1",
                "eventSource": "aws:dynamodb",
                "awsRegion": "eu-central-1",
                "dynamodb": {
                    "ApproximateCreationDateTime": 1767323045.0,
                    "Keys": {"id": {"S": f"order-{number}"}},
                    "NewImage": _image(number, "paid"),
                    "OldImage": _image(number, "open"),
                    "SequenceNumber": str(4421584500000000017450439091 + number),
                    "SizeBytes": 226,
                    "StreamViewType": "NEW_AND_OLD_IMAGES",
                },
                "eventSourceARN": "arn:aws:dynamodb:eu-central-1:123456789012:table/orders/stream/2026-01-02T00:00:00.000",
            }
            for number in range(count)
        ]
    }


def _image(number: int, state: str) -> dict[str, Any]:
    return {
        "id": {"S": f"order-{number}"},
        "state": {"S": state},
        "amount": {"N": str(number % 97)},
        "price": {"N": "59.90"},
        "gift": {"BOOL": False},
        "note": {"NULL": True},
        "tags": {"SS": ["a", "b"]},
        "lines": {"L": [{"M": {"sku": {"S": "shoe-01"}, "size": {"N": "42"}}}]},
    }


EVENTS = {
    "sqs10": sqs(10),
    "sqs100": sqs(100),
    "kinesis100": kinesis(100),
    "dynamodb100": dynamodb(100),
    "sqs10000": sqs(10_000),
}
