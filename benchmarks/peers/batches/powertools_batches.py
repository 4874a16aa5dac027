"""Sums the amounts of a batch with the BatchProcessor of Powertools for AWS Lambda."""

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response

TOTAL = [0]


def order(record):
    TOTAL[0] += record.json_body["amount"]


def streamed(record):
    TOTAL[0] += record.kinesis.data_as_json()["amount"]


def changed(record):
    before, after = record.dynamodb.old_image, record.dynamodb.new_image
    TOTAL[0] += int(after["amount"]) if before["state"] != after["state"] else 0


HANDLERS = {
    "aws:sqs": (order, BatchProcessor(EventType.SQS)),
    "aws:kinesis": (streamed, BatchProcessor(EventType.KinesisDataStreams)),
    "aws:dynamodb": (changed, BatchProcessor(EventType.DynamoDBStreams)),
}


def lambda_handler(event, context):
    handler, processor = HANDLERS[event["Records"][0]["eventSource"]]
    return process_partial_response(event=event, record_handler=handler, processor=processor, context=context)
