"""Sums the amounts of a batch, as a person writes it for Lambda alone who awaits one async function after the other."""

import asyncio
import json
from base64 import b64decode

from hand_written_batches import plain

TOTAL = [0]


async def order(data):
    TOTAL[0] += data["amount"]


async def changed(before, after):
    TOTAL[0] += int(after["amount"]) if before["state"] != after["state"] else 0


async def sqs(event):
    failures = []
    for record in event["Records"]:
        try:
            await order(json.loads(record["body"]))
        except Exception:
            failures.append({"itemIdentifier": record["messageId"]})
    return {"batchItemFailures": failures}


async def kinesis(event):
    for record in event["Records"]:
        try:
            await order(json.loads(b64decode(record["kinesis"]["data"])))
        except Exception:
            return {"batchItemFailures": [{"itemIdentifier": record["kinesis"]["sequenceNumber"]}]}
    return {"batchItemFailures": []}


async def dynamodb(event):
    for record in event["Records"]:
        try:
            change = record["dynamodb"]
            before = {name: plain(value) for name, value in change["OldImage"].items()}
            after = {name: plain(value) for name, value in change["NewImage"].items()}
            await changed(before, after)
        except Exception:
            return {"batchItemFailures": [{"itemIdentifier": record["dynamodb"]["SequenceNumber"]}]}
    return {"batchItemFailures": []}


HANDLERS = {"aws:sqs": sqs, "aws:kinesis": kinesis, "aws:dynamodb": dynamodb}
# One for the whole process, as clients need it; asyncio.run would make one at each call.
LOOP = asyncio.new_event_loop()


def lambda_handler(event, context):
    return LOOP.run_until_complete(HANDLERS[event["Records"][0]["eventSource"]](event))
