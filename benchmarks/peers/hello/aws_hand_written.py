"""Says hello, written for API Gateway alone."""

import json


def lambda_handler(event, context):
    name = event["pathParameters"]["name"]
    return {
        "statusCode": 200,
        "headers": {"content-type": "application/json"},
        "body": json.dumps({"hello": name, "from": "aws"}),
    }
