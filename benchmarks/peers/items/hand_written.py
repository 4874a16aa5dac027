"""Reads and answers what all of these do, written for API Gateway's payload 2.0 alone."""

import base64
import json
from urllib.parse import parse_qsl


def lambda_handler(event, context):
    http = event["requestContext"]["http"]
    if http["method"] == "POST":
        return create(event, http)
    if http["path"].startswith("/hello/"):
        return hello(event)
    return show(event, http)


def hello(event):
    return answer({"hello": event["pathParameters"]["name"]})


def show(event, http):
    query = dict(parse_qsl(event["rawQueryString"], keep_blank_values=True))
    cookies = dict(cookie.split("=", 1) for cookie in event.get("cookies", []))
    return answer(
        {
            "method": http["method"],
            "path": event["rawPath"],
            "id": event["pathParameters"]["id"],
            "colour": query["colour"],
            "page": query["page"],
            "agent": event["headers"]["user-agent"],
            "session": cookies["session"],
        }
    )


def create(event, http):
    body = event["body"]
    if event["isBase64Encoded"]:
        body = base64.b64decode(body)
    order = json.loads(body)
    return answer(
        {
            "method": http["method"],
            "path": event["rawPath"],
            "agent": event["headers"]["user-agent"],
            "customer": order["customer"],
            "count": len(order["items"]),
        }
    )


def answer(value):
    return {
        "statusCode": 200,
        "headers": {"content-type": "application/json"},
        "body": json.dumps(value),
        "isBase64Encoded": False,
    }
