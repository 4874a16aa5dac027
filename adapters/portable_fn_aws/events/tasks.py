"""Tell which service calls a function directly: the `type` of a task."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# The members that mark a service's payload, in the order of the search. Payloads have no other mark.
_SHAPES = (
    ("durable", ("DurableExecutionArn", "CheckpointToken")),
    ("authorizer", ("methodArn", "type")),
    ("authorizer", ("routeArn", "type")),
    ("appsync", ("info", "arguments")),
    # Amplify's resolvers have the fields of `info` next to the arguments.
    ("appsync", ("typeName", "fieldName", "arguments")),
    ("appsync_events", ("info", "events")),
    ("cognito", ("triggerSource", "userPoolId")),
    ("cognito_sync", ("datasetName", "identityPoolId")),
    ("kinesis_analytics", ("applicationArn", "invocationId", "records")),
    ("firehose", ("invocationId", "records")),
    ("lex", ("currentIntent", "bot")),
    ("lex", ("sessionState", "bot")),
    ("bedrock_agent", ("messageVersion", "agent", "actionGroup")),
    ("config", ("invokingEvent", "resultToken")),
    ("codepipeline", ("CodePipeline.job",)),
    ("codedeploy", ("DeploymentId", "LifecycleEventHookExecutionId")),
    ("s3_batch", ("invocationSchemaVersion", "tasks")),
    ("s3_object_lambda", ("xAmzRequestId", "userRequest")),
    ("cloudformation", ("RequestType", "ResponseURL", "StackId")),
    # CDK's provider framework answers the URL itself, and leaves it out.
    ("cloudformation", ("RequestType", "LogicalResourceId", "ResourceProperties")),
    ("cloudwatch_alarm", ("alarmArn", "alarmData")),
    ("cloudwatch_widget", ("widgetContext",)),
    ("connect", ("Name", "Details")),
    ("connect_campaigns", ("InvocationMetadata", "Items")),
    ("lambda_destination", ("requestPayload", "responseContext")),
    ("secrets_manager", ("Step", "SecretId", "ClientRequestToken")),
    ("workmail", ("summaryVersion", "envelope", "flowDirection")),
    ("client_vpn", ("connection-id", "endpoint-id")),
    ("transfer", ("username", "serverId", "protocol")),
    ("iot", ("deviceEvent", "deviceInfo")),
    ("iot", ("serialNumber", "clickType")),
    ("iot", ("signatureVerified", "protocols")),
    ("iot", ("certificateId", "templateArn")),
)


def type_of(payload: Any) -> str:
    """Return the service whose payload has this shape; "invoke" for any other shape, which any caller may send."""
    if isinstance(payload, list):
        # AppSync resolves a field of many objects in one call.
        kinds = {type_of(item) for item in payload} if payload and isinstance(payload[0], dict) else set()
        return "appsync" if kinds == {"appsync"} else "invoke"
    if not isinstance(payload, dict):
        return "invoke"
    for name, members in _SHAPES:
        if all(member in payload for member in members):
            return name
    context = payload.get("requestContext")
    if isinstance(context, dict):
        if "connectionId" in context:
            return "websocket"
        # An authorizer of GraphQL gets the query, one of AppSync Events the channel.
        if "authorizationToken" in payload and ("queryString" in context or "apiId" in context):
            return "appsync_authorizer"
    return _type_of_records(payload.get("Records"))


def _type_of_records(records: Any) -> str:
    """Return the source of records: CloudFront if they have `cf`, otherwise their eventSource, such as aws:codecommit."""
    first = records[0] if isinstance(records, list) and records else None
    if not isinstance(first, dict):
        return "invoke"
    if "cf" in first:
        return "cloudfront"
    source = first.get("eventSource")
    return source.removeprefix("aws:") or "invoke" if isinstance(source, str) else "invoke"
