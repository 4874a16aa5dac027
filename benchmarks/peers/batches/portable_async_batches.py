"""Sums the amounts of a batch with portable_fn and async handlers."""

from portable_fn import ChangeEvent, Message, on, portable
from portable_fn_aws import entry

TOTAL = [0]


@portable(on.queue("orders"))
async def order(message: Message) -> None:
    TOTAL[0] += message.data["amount"]


@portable(on.stream("orders"))
async def streamed(message: Message) -> None:
    TOTAL[0] += message.data["amount"]


@portable(on.change("orders"))
async def changed(change: ChangeEvent) -> None:
    TOTAL[0] += int(change.after["amount"]) if change.before["state"] != change.after["state"] else 0


HANDLERS = {"aws:sqs": entry(order), "aws:kinesis": entry(streamed), "aws:dynamodb": entry(changed)}


def lambda_handler(event, context):
    return HANDLERS[event["Records"][0]["eventSource"]](event, context)
