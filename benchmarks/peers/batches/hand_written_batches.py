"""Sums the amounts of a batch, as a person writes it for Lambda alone: decodes each, catches each failure, reports it."""

import json
from base64 import b64decode
from decimal import Decimal

TOTAL = [0]


def order(data):
    TOTAL[0] += data["amount"]


def changed(before, after):
    TOTAL[0] += int(after["amount"]) if before["state"] != after["state"] else 0


def sqs(event):
    failures = []
    for record in event["Records"]:
        try:
            order(json.loads(record["body"]))
        except Exception:
            failures.append({"itemIdentifier": record["messageId"]})
    return {"batchItemFailures": failures}


def kinesis(event):
    for record in event["Records"]:
        try:
            order(json.loads(b64decode(record["kinesis"]["data"])))
        except Exception:
            return {"batchItemFailures": [{"itemIdentifier": record["kinesis"]["sequenceNumber"]}]}
    return {"batchItemFailures": []}


def dynamodb(event):
    for record in event["Records"]:
        try:
            change = record["dynamodb"]
            before = {name: plain(value) for name, value in change["OldImage"].items()}
            after = {name: plain(value) for name, value in change["NewImage"].items()}
            changed(before, after)
        except Exception:
            return {"batchItemFailures": [{"itemIdentifier": record["dynamodb"]["SequenceNumber"]}]}
    return {"batchItemFailures": []}


def plain(typed):
    ((kind, value),) = typed.items()
    if kind == "S" or kind == "BOOL":
        return value
    if kind == "N":
        return Decimal(value)
    if kind == "NULL":
        return None
    if kind == "M":
        return {name: plain(each) for name, each in value.items()}
    if kind == "L":
        return [plain(each) for each in value]
    if kind == "SS":
        return set(value)
    if kind == "NS":
        return {Decimal(each) for each in value}
    if kind == "B":
        return b64decode(value)
    if kind == "BS":
        return {b64decode(each) for each in value}
    raise ValueError(kind)


HANDLERS = {"aws:sqs": sqs, "aws:kinesis": kinesis, "aws:dynamodb": dynamodb}


def lambda_handler(event, context):
    return HANDLERS[event["Records"][0]["eventSource"]](event)
