"""Tell the service of a direct call, by payloads that AWS documents and its libraries lack."""

from __future__ import annotations

from typing import Any

import pytest

from portable_fn import Message, Task, portable
from portable_fn_aws import entry
from portable_fn_aws.simulate import LambdaContext

AMPLIFY: dict[str, Any] = {
    "typeName": "Query", "fieldName": "me", "arguments": {"id": "1"}, "identity": None, "source": None, "request": {"headers": {}},
    "prev": {"result": {}},
}  # fmt: skip
CDK: dict[str, Any] = {
    "RequestType": "Create", "ServiceToken": "arn:aws:lambda:eu-west-1:1:function:provider", "StackId": "arn:aws:cloudformation:1",
    "RequestId": "r-1", "LogicalResourceId": "Thing", "ResourceType": "Custom::Thing", "ResourceProperties": {"a": "b"},
}  # fmt: skip
AUTHORIZER = {"apiId": "a", "accountId": "1", "requestId": "r"}

# https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html
DESTINATION = {
    "version": "1.0", "timestamp": "2026-01-02T03:04:05.678Z",
    "requestContext": {
        "requestId": "r-1", "functionArn": "arn:aws:lambda:eu-west-1:1:function:f:$LATEST", "condition": "RetriesExhausted",
        "approximateInvokeCount": 3,
    },
    "requestPayload": {"Records": [{"eventSource": "aws:sqs"}]},
    "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
    "responsePayload": {"errorMessage": "x"},
}  # fmt: skip
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/add_custom_widget_dashboard.html
WIDGET = {
    "myParameter": 1,
    "widgetContext": {
        "dashboardName": "d",
        "widgetId": "w",
        "accountId": "1",
        "period": 300,
        "params": {},
        "forms": {"all": {}},
    },
}
# https://docs.aws.amazon.com/connect/latest/adminguide/lambda-invoke-functions.html
CAMPAIGN = {
    "InvocationMetadata": {"CampaignContext": {"CampaignId": "c", "RunId": "r", "ActionId": "a", "CampaignName": "n"}},
    "Items": {"CustomerProfiles": [{"ProfileId": "p", "CustomerData": "{}", "IdempotencyToken": "t"}]},
}

TYPES: list[tuple[str, Any]] = [
    ("lambda_destination", DESTINATION),
    ("lambda_destination", {**DESTINATION, "requestPayload": None, "responsePayload": None}),
    ("lambda_destination", {**DESTINATION, "requestPayload": {"detail-type": "a", "source": "b", "detail": {}}}),
    ("appsync", AMPLIFY),
    ("appsync", [AMPLIFY, AMPLIFY]),
    ("appsync_authorizer", {"authorizationToken": "t", "requestContext": {**AUTHORIZER, "queryString": "query", "variables": {}}}),
    ("appsync_authorizer", {"authorizationToken": "t", "requestContext": {**AUTHORIZER, "channel": "/a", "operation": "EVENT_CONNECT"}, "requestHeaders": {}}),
    ("cloudwatch_widget", WIDGET),
    ("connect_campaigns", CAMPAIGN),
    ("cloudformation", CDK),
    ("cloudformation", {**CDK, "ResponseURL": "..."}),
    ("cloudformation", {**CDK, "RequestType": "Update", "PhysicalResourceId": "p", "OldResourceProperties": {}, "Data": {}}),
    ("invoke", {"RequestType": "Create"}),
    ("invoke", {"typeName": "a", "fieldName": "b"}),
    ("invoke", {"authorizationToken": "t", "requestContext": {}}),
    ("invoke", {"requestContext": {"apiId": "a"}}),
    ("invoke", {"requestPayload": 1}),
    ("invoke", [AMPLIFY, 7]),
]  # fmt: skip


@pytest.mark.parametrize(("type", "native"), TYPES)
def test_a_tasks_type_is_the_service_of_its_payload(type: str, native: Any) -> None:
    seen: list[Any] = []

    @portable
    def handler(task: Task) -> str:
        seen.append((task.type, task.data))
        return "answer"

    @portable
    def message(event: Message) -> None: ...

    assert "answer" == entry(handler, message)(native, LambdaContext())
    assert [(type, native)] == seen
