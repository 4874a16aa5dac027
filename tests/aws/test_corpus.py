"""Decode every payload of AWS's libraries; a mutated one raises at most a DecodeError."""

from __future__ import annotations

import copy
import json
import random
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import unquote_plus

import pytest

from portable_fn import (
    ChangeEvent,
    DecodeError,
    EncodeError,
    Event,
    ObjectEvent,
    Request,
    Retry,
    ScheduleEvent,
    Task,
    portable,
)
from portable_fn_aws import decode, entry
from portable_fn_aws.events import decode as decode_events
from portable_fn_aws.simulate import LambdaContext, playing

PAYLOADS = Path(__file__).parents[1] / "payloads"
# Values of the placeholders in the SAM command line's samples; by default a placeholder's value is its name.
HOLES = {
    "data": "SGVsbG8=",
    "key": "a+b%2Bc%20d%C3%A9/e.jpg",
    "account_id": "123456789012",
    "accountId": "123456789012",
    "region": "eu-central-1",
    "partition": "aws",
    "sequence": "4954",
}


def payload(name: str) -> Any:
    text = (PAYLOADS / name).read_text()
    return json.loads(re.sub(r"\{\{\{?(\w+)\}\}\}?", lambda hole: HOLES.get(hole[1], hole[1]), text))


def context() -> decode.AWSContext:
    return decode.AWSContext(LambdaContext(), True)


def events(native: Any) -> list[Event[Any]]:
    items = list(decode_events.read_events(native, context()).items)
    assert [] == [item for item in items if not isinstance(item, Event)]
    return [item for item in items if isinstance(item, Event)]


GO, SAM = "aws-lambda-go/", "aws-sam-cli/"
TASKS = {
    "authorizer": (
        f"{GO}apigw-custom-auth-request-type-request", f"{GO}apigw-custom-auth-request",
        f"{GO}apigw-v2-custom-authorizer-v1-request", f"{GO}apigw-v2-custom-authorizer-v2-request",
        f"{SAM}apigateway-ApiGatewayAuthorizer", f"{SAM}apigateway-ApiGatewayRestRequestAuthorizer",
    ),
    "websocket": (
        f"{GO}apigw-websocket-request-disconnect", f"{GO}apigw-websocket-request-send-message", f"{GO}apigw-websocket-request",
    ),
    "appsync": (f"{SAM}appsync-AppSyncDirectResolver",),
    "appsync_authorizer": (f"{GO}appsync-lambda-auth-request",),
    "client_vpn": (f"{GO}clientvpn-connectionhandler-request",),
    "cloudformation": (f"{SAM}cloudformation-CfnCreateRequest",),
    "cloudfront": tuple(
        f"{SAM}cloudfront-CloudFront{name}"
        for name in (
            "ABTest", "AccessRequestInResponse", "HttpRedirect", "ModifyQueryString", "ModifyResponseHeader",
            "MultipleRemoteCallsAggregateResponse", "NormalizeQuerystringToImproveCacheHit", "RedirectOnViewerCountry",
            "RedirectUnauthenticatedUsers", "ResponseGeneration", "ServeObjectOnViewerDevice", "SimpleRemoteCall",
        )
    ),
    "codecommit": (f"{GO}code-commit-event", f"{SAM}codecommit-CodeCommit"),
    "codepipeline": (f"{GO}codepipeline-job-event", f"{SAM}codepipeline-CodePipeline"),
    "cognito": tuple(
        f"{GO}cognito-event-userpools-{name}"
        for name in (
            "create-auth-challenge", "custommessage", "define-auth-challenge", "inbound-federation-oidc",
            "inbound-federation-saml", "migrateuser", "postauthentication", "postconfirmation", "preauthentication",
            "presignup", "pretokengen-v2", "pretokengen-v2_0", "pretokengen", "verify-auth-challenge",
        )
    ),
    "cognito_sync": (f"{GO}cognito-event", f"{SAM}cognito-CognitoSyncTrigger"),
    "config": (
        f"{GO}config-event", f"{SAM}config-ConfigurationItemChangeNotification",
        f"{SAM}config-OversizedConfigurationItemChangeNotification", f"{SAM}config-PeriodicRule",
    ),
    "connect": (f"{GO}connect-event", f"{SAM}connect-ConnectContactFlowEvent"),
    "firehose": (
        f"{GO}kinesis-firehose-event", f"{SAM}kinesis-KinesisFirehose", f"{SAM}kinesis-KinesisFirehoseApachelog",
        f"{SAM}kinesis-KinesisFirehoseCloudwatchLogsProcessor", f"{SAM}kinesis-KinesisFirehoseStreamsAsSource",
        f"{SAM}kinesis-KinesisFirehoseSyslog",
    ),
    "invoke": (
        f"{GO}appsync-identity-cognito", f"{GO}appsync-identity-iam", f"{SAM}batch-BatchGetJob", f"{SAM}batch-BatchSubmitJob",
        f"{SAM}stepfunctions-StepFunctionsError",
    ),
    "iot": (
        f"{GO}iot-1-click-event", f"{GO}iot-button-event", f"{GO}iot-custom-auth-request", f"{GO}iot-preprovision-hook-request",
    ),
    "kinesis_analytics": (
        f"{GO}kinesis-analytics-output-delivery-event", f"{SAM}kinesis-KinesisAnalytics", f"{SAM}kinesis-KinesisAnalyticsKpl",
    ),
    "lex": (
        f"{GO}lex-event", f"{SAM}lex-LexBookCar", f"{SAM}lex-LexBookHotel", f"{SAM}lex-LexMakeAppointment",
        f"{SAM}lex-LexOrderFlowers", f"{SAM}lex-v2-BankingBot", f"{SAM}lex-v2-LexBookCar", f"{SAM}lex-v2-LexBookHotel",
    ),
    "s3_batch": (
        f"{GO}s3-batch-job-event-request-1.0", f"{GO}s3-batch-job-event-request-2.0", f"{SAM}s3-S3BatchInvocation",
    ),
    "s3_object_lambda": tuple(
        f"{GO}s3-object-lambda-event-{name}"
        for name in ("get-object-assumed-role", "get-object-iam", "head-object-iam", "list-objects-iam", "list-objects-v2-iam")
    ),
    "secrets_manager": (f"{GO}secretsmanager-secret-rotation-event",),
    "workmail": (f"{SAM}workmail-WorkMail",),
}  # fmt: skip
BUS = {
    f"{GO}autoscaling-event-launch-successful": ("aws.autoscaling", "EC2 Instance Launch Successful"),
    f"{GO}autoscaling-event-launch-unsuccessful": ("aws.autoscaling", "EC2 Instance Launch Unsuccessful"),
    f"{GO}autoscaling-event-lifecycle-action": ("aws.autoscaling", "EC2 Instance-launch Lifecycle Action"),
    f"{GO}autoscaling-event-terminate-action": ("aws.autoscaling", "EC2 Instance-terminate Lifecycle Action"),
    f"{GO}autoscaling-event-terminate-successful": ("aws.autoscaling", "EC2 Instance Terminate Successful"),
    f"{GO}autoscaling-event-terminate-unsuccessful": ("aws.autoscaling", "EC2 Instance Terminate Unsuccessful"),
    f"{GO}codebuild-phase-change": ("aws.codebuild", "CodeBuild Build Phase Change"),
    f"{GO}codebuild-state-change": ("aws.codebuild", "CodeBuild Build State Change"),
    f"{GO}codedeploy-deployment-event": ("aws.codedeploy", "CodeDeploy Deployment State-change Notification"),
    f"{GO}codedeploy-instance-event": ("aws.codedeploy", "CodeDeploy Instance State-change Notification"),
    f"{GO}codepipeline-action-execution-stage-change-event": (
        "aws.codepipeline", "CodePipeline Action Execution State Change",
    ),
    f"{GO}codepipeline-execution-stage-change-event": ("aws.codepipeline", "CodePipeline Stage Execution State Change"),
    f"{GO}codepipeline-execution-state-change-event": ("aws.codepipeline", "CodePipeline Pipeline Execution State Change"),
    f"{GO}ecr-image-push-event": ("aws.ecr", "ECR Image Action"),
    f"{GO}ecr-image-scan-event": ("aws.ecr", "ECR Image Scan"),
    f"{GO}ecs-container-instance-state-change": ("aws.ecs", "ECS Container Instance State Change"),
    f"{SAM}cloudwatch-ScheduledEvent": ("aws.events", "Scheduled Event"),
}  # fmt: skip
LOGS = {
    "id": "eventId1", "channel": "testLogGroup", "partition": "testLogStream", "content_type": "application/json",
    "time": datetime(2015, 8, 24, 19, 3, 7, tzinfo=UTC),
}  # fmt: skip
S3_TIME = datetime(1970, 1, 1, tzinfo=UTC)
FIELDS: dict[str, tuple[str, list[dict[str, Any]]]] = {
    f"{GO}activemq-event": ("Message", [{
        "id": "ID:b-0f5b7522-2b41-4f85-a615-735a4e6d96b5-2.mq.us-west-2.amazonaws.com-34859-1598944546501-4:12:1:1:3",
        "channel": "testQueue", "body": b"Enter some text here for the message body...", "attributes": {"testKey": "testValue"},
        "time": datetime(2020, 9, 11, 22, 38, 58, 941000, UTC), "attempt": 1,
    }]),
    f"{GO}rabbitmq-event": ("Message", [{
        "channel": "test", "content_type": "text/plain", "body": b'{"timeout":0,"data":"CZrmf0Gw8Ov4bqLQxD4E"}',
        "attributes": {"header1": "value1", "header2": "value2", "numberInHeader": "10"},
        "time": datetime(1970, 1, 1, 0, 33, 41, tzinfo=UTC),
    }]),
    f"{GO}kafka-event": ("Message", [{
        "id": "AWSKafkaTopic-0-0", "channel": "AWSKafkaTopic", "partition": "0", "sequence": "0",
        "key": "8d5596b4-1813-4238-b24b-6dad8e3d1c0c", "body": b"8d5596b4-1813-4238-b24b-6dad8e3d1c0c",
        "attributes": {"headerKey": bytes([118, 220, 0, 127, 128])}, "time": datetime(2020, 7, 18, 1, 29, 9, 700000, UTC),
    }]),
    f"{GO}kinesis-event": ("Message", [
        {"key": "s1", "partition": "shardId-000000000000", "body": b"Hello World", "channel": "simple-stream"},
        {"key": "s1", "sequence": "49568167373333333334444444444444444444444444444444444444", "body": b"Hello World"},
    ]),
    f"{GO}kinesis-time-window-event": ("Message", [{
        "id": "shardId-000000000006:49590338271490256608559692538361571095921575989136588898",
        "sequence": "49590338271490256608559692538361571095921575989136588898", "partition": "shardId-000000000006",
        "text": "Hello, this is a test.", "time": datetime(2020, 12, 9, 7, 4, 35, tzinfo=UTC),
    }]),
    f"{SAM}kinesis-Kinesis": ("Message", [{"id": "shardId-000000000000:4954", "sequence": "4954", "key": "partition_key"}]),
    f"{GO}sqs-event": ("Message", [{
        "id": "MessageID_1", "channel": "SQSQueue", "text": "Message Body", "attempt": 2,
        "time": datetime(2018, 3, 9, 18, 53, 45, 29000, UTC),
        "attributes": {"Attribute1": "AttributeValue1", "Attribute2": "123", "Attribute3": b"1100"},
    }]),
    f"{SAM}sqs-Sqs": ("Message", [{
        "id": "19dd0b57-b21e-4ac1-bd88-01bbb068cb78", "channel": "queue_name", "text": "body", "attempt": 1, "key": None,
        "source": "arn:aws:sqs:eu-central-1:123456789012:queue_name", "attributes": {},
    }]),
    f"{GO}sns-event": ("Message", [{
        "id": "95df01b4-ee98-5cb9-9903-4c221d41eb5e", "text": "Hello from SNS!", "subject": "TestInvoke",
        "attributes": {"Test": "TestString", "TestBinary": "TestBinary"},
        "time": datetime(2015, 6, 3, 17, 43, 27, 123000, UTC),
    }]),
    f"{SAM}sns-Sns": ("Message", [{"channel": "topic", "subject": "subject", "text": "message"}]),
    f"{GO}cloudwatch-alarm-sns-payload-multiple-metrics": ("Message", [{"id": "95df01b4-ee98-5cb9-9903-4c221d41eb5e"}]),
    f"{GO}cloudwatch-alarm-sns-payload-single-metric": ("Message", [{"id": "95df01b4-ee98-5cb9-9903-4c221d41eb5e"}]),
    f"{GO}cloudwatch-logs-event": ("Message", [LOGS]),
    f"{SAM}cloudwatch-CloudwatchLogs": ("Message", [LOGS]),
    f"{GO}ses-lambda-event": ("Message", [{
        "id": "6n4thuhcbhpfiuf25gshf70rss364fuejrvmqko1", "channel": "lambda@amazon.com", "subject": "Test Subject",
        "time": datetime(1970, 1, 1, 0, 0, 0, 123000, UTC),
    }]),
    f"{GO}ses-s3-event": ("Message", [{"id": "d6iitobk75ur44p8kdnnp7g2n800", "subject": "Example subject"}]),
    f"{GO}ses-sns-event": ("Message", [{"id": "d6iitobk75ur44p8kdnnp7g2n800", "channel": "recipient@example.com"}]),
    f"{SAM}ses-SesEmailReceiving": ("Message", [{
        "id": "o3vrnil0e2ic28trm7dfhrc2v0clambda4nbp0g1", "channel": "johndoe@example.com", "subject": "Test Subject",
    }]),
    f"{GO}s3-event": ("ObjectEvent", [{
        "id": "C3D13FE58DE4C810.Happy Sequencer.Happy Face.jpg", "bucket": "sourcebucket", "key": "Happy Face.jpg", "action": "created",
        "size": 1024, "etag": "d41d8cd98f00b204e9800998ecf8427e", "version": "version", "type": "ObjectCreated:Put",
        "time": datetime(1970, 1, 1, 0, 0, 0, 123000, UTC), "source": "arn:aws:s3:::mybucket",
    }]),
    f"{GO}s3-event-with-decoded": ("ObjectEvent", [{"key": "Happy Face.jpg", "action": "created"}]),
    f"{GO}s3-glacier-event": ("ObjectEvent", [{"key": "glacier-test.txt", "action": "changed", "type": "ObjectRestore:Completed"}]),
    f"{GO}s3-restore-event": ("ObjectEvent", [{"key": "glacier-test.txt", "action": "changed", "type": "ObjectRestore:Completed"}]),
    f"{GO}s3-intelligenttier-event": ("ObjectEvent", [{
        "key": "intelligent-tier-test.dat", "action": "archived", "type": "IntelligentTiering:TransitionAccess",
    }]),
    f"{GO}s3-lifecycle-event": ("ObjectEvent", [{"key": "lifecycle-test.dat", "action": "archived", "type": "LifecycleTransition"}]),
    f"{GO}s3-replication-event": ("ObjectEvent", [{
        "key": "replication-test.png", "action": "changed", "type": "Replication:OperationFailedReplication",
    }]),
    f"{SAM}s3-S3Put": ("ObjectEvent", [{"bucket": "bucket", "key": "a b+c dé/e.jpg", "action": "created", "time": S3_TIME}]),
    f"{SAM}s3-S3Delete": ("ObjectEvent", [{"key": "a b+c dé/e.jpg", "action": "deleted", "size": None, "etag": None}]),
    f"{SAM}rekognition-RekognitionS3Request": ("ObjectEvent", [{"bucket": "bucket", "action": "created"}]),
    f"{GO}dynamodb-event": ("ChangeEvent", [
        {
            "id": "f07f8ca4b0b26cb9c4e5e77e69f274ee", "table": "Example-Table", "action": "inserted", "before": None,
            "key": {"val": "data", "key": "binary"}, "sequence": "1405400000000002063282832",
            "after": {"val": "data", "asdf1": b"\x00\x01*A", "asdf2": {b"\x00\x01*A", b"A*\x01\x00"}, "key": "binary"},
            "time": datetime(2016, 12, 2, 1, 27, tzinfo=UTC),
        },
        {
            "after": {
                "val": "data", "asdf1": b"\x00\x01*A", "b2": b"\xb5\xeb-", "asdf2": {b"\x00\x01*A", b"A*\x01\x00"},
                "key": "binary", "Binary": b"\x00\x01*A", "Boolean": True, "BinarySet": {b"\x00\x01*A"},
                "List": ["Cookies", "Coffee", Decimal("3.14159")], "Map": {"Name": "Joe", "Age": Decimal(35)},
                "FloatNumber": Decimal("123.45"), "IntegerNumber": Decimal(123), "NumberSet": {Decimal(1234), Decimal("567.8")},
                "Null": None, "String": "Hello", "StringSet": {"Giraffe", "Zebra"}, "EmptyStringSet": set(),
            },
        },
    ]),
    f"{GO}dynamodb-time-window-event": ("ChangeEvent", [
        {"id": "1", "action": "inserted", "after": {"Message": "New item!", "Id": Decimal(101)}, "before": None},
        {"id": "2", "action": "updated", "before": {"Message": "New item!", "Id": Decimal(101)}},
        {"id": "3", "action": "removed", "after": None, "sequence": "333", "key": {"Id": Decimal(101)}},
    ]),
    f"{SAM}dynamodb-DynamoDBUpdate": ("ChangeEvent", [
        {"id": "c4ca4238a0b923820dcc509a6f75849b", "table": "table", "action": "inserted", "type": "INSERT"},
        {"action": "updated", "after": {"Message": "This item has changed", "Id": Decimal(101)}},
        {"action": "removed", "after": None},
    ]),
}  # fmt: skip
REQUESTS = {
    f"{GO}alb-lambda-target-request-headers-only", f"{GO}alb-lambda-target-request-multivalue-headers", f"{GO}apigw-request",
    f"{GO}apigw-restapi-openapi-request", f"{GO}apigw-v2-request-iam", f"{GO}apigw-v2-request-jwt-authorizer",
    f"{GO}apigw-v2-request-lambda-authorizer", f"{GO}apigw-v2-request-no-authorizer", f"{GO}lambda-urls-request",
    f"{SAM}alb-ALBRequest", f"{SAM}apigateway-AwsProxy", f"{SAM}apigateway-HttpApi",
}  # fmt: skip
TASK_FILES = [(file, type) for type, files in TASKS.items() for file in files]


def test_every_payload_has_an_expected_event() -> None:
    here = {f"{path.parent.name}/{path.stem}" for folder in (GO, SAM) for path in (PAYLOADS / folder).glob("*.json")}
    assert {*REQUESTS, *BUS, *FIELDS, *(file for file, _ in TASK_FILES)} == here


@pytest.mark.parametrize(("file", "type"), TASK_FILES)
def test_a_payload_without_an_event_kind_is_a_task_with_a_type(file: str, type: str) -> None:
    native = payload(f"{file}.json")
    (task,) = events(native)
    assert ("Task", type, native) == (task.kind_name, task.type, task.data)
    assert ("00000000-0000-4000-8000-000000000001", "function") == (task.id, task.name)  # type: ignore[attr-defined]


@pytest.mark.parametrize("file", sorted(REQUESTS))
def test_a_request_isnt_an_event(file: str) -> None:
    native = payload(f"{file}.json")
    assert (service := decode.http_service(native)) is not None
    assert isinstance(decode.read_request(native, service), Request)


@pytest.mark.parametrize(("file", "source", "type"), [(file, *expected) for file, expected in BUS.items()])
def test_a_bus_event_is_a_cloudevent(file: str, source: str, type: str) -> None:
    native = payload(f"{file}.json")
    (event,) = events(native)
    assert ("CloudEvent", source, type, native["id"]) == (event.kind_name, event.source, event.type, event.id)
    assert (native["detail"], native["detail"]) == (event.data, json.loads(event.body))  # type: ignore[attr-defined]
    assert native["account"] == event.extensions["account"]  # type: ignore[attr-defined]


@pytest.mark.parametrize(("file", "kind", "expected"), [(file, *expected) for file, expected in FIELDS.items()])
def test_the_fields_are_read(file: str, kind: str, expected: list[dict[str, Any]]) -> None:
    actual = events(payload(f"{file}.json"))
    assert [kind] * len(expected) == [event.kind_name for event in actual]
    assert expected == [
        {name: getattr(event, name) for name in fields} for event, fields in zip(actual, expected, strict=True)
    ]


def test_a_scheduled_rule_is_a_schedule_for_schedule_functions() -> None:
    (event,) = events(payload(f"{SAM}cloudwatch-ScheduledEvent.json"))
    (tick,) = decode_events.unwrap(event)
    assert isinstance(tick, ScheduleEvent)
    assert ("rule", "cdc73f9d-aea9-11e3-9d5a-835b769c0d9c", None, (event,)) == (
        tick.name,
        tick.id,
        tick.input,
        tick.envelopes,
    )


def test_the_window_of_a_stream_is_read() -> None:
    for file in ("kinesis-time-window-event", "dynamodb-time-window-event"):
        native = payload(f"{GO}{file}.json")
        incoming = decode_events.read_events(native, context())
        assert native["state"] == incoming.state
        assert incoming.window is not None and (False, False) == (incoming.window.is_final, incoming.window.ended_early)


# --- mutations ---------------------------------------------------------------------------------------------------------

ALL = sorted([*REQUESTS, *BUS, *FIELDS, *(file for file, _ in TASK_FILES)])


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every (container, key) in a JSON value."""
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in members:
        yield value, key
        yield from places(inner)


def deep(depth: int) -> Any:
    value: Any = "x"
    for level in range(depth):
        value = [value] if level % 2 else {"M": value}
    return value


def mutation(native: Any, chance: random.Random) -> Any:
    """Return the payload with a part that is missing, null, of another type, huge or deep."""
    mutant = copy.deepcopy(native)
    for _ in range(chance.choice((1, 1, 2, 5))):
        all_places = list(places(mutant))
        if not all_places:
            return mutant
        container, key = chance.choice(all_places)
        kind = chance.randrange(4)
        if kind == 0:
            del container[key]
        elif kind == 1:
            container[key] = None
        else:
            container[key] = chance.choice(
                (True, -1, 0, 1.5, 1e300, 10**400, "", "x", "ü\ud800", "9" * 5000, "=", "AAAA", [], {}, [None], [{}], {"S": 1},
                 {"": ""}, "x" * 100_000, '{"Records":[{"eventSource":"aws:s3"}]}', '{"Type":"Notification","TopicArn":1}', deep(400))
            )  # fmt: skip
    return mutant


def read_all(event: Event[Any]) -> None:
    """Read every field of an event and of the events inside it."""
    reads = [*event._fields, "type", "subject", "data", "carrier"]
    for name in reads:
        try:
            getattr(event, name)
        except DecodeError:
            pass
    try:
        inside = decode_events.unwrap(event)
    except DecodeError:
        return
    for inner in inside:
        read_all(inner)


@pytest.mark.slow
@pytest.mark.parametrize("file", ALL)
def test_a_mutated_payload_is_an_event_or_a_decode_error(file: str) -> None:
    native = payload(f"{file}.json")
    chance = random.Random(file)
    for _ in range(100):
        mutant = mutation(native, chance)
        if decode.http_service(mutant) is not None:
            continue
        try:
            incoming = decode_events.read_events(mutant, context())
        except DecodeError:
            continue
        for item in incoming.items:
            if isinstance(item, DecodeError):
                continue
            assert item.id and isinstance(item.id, str)
            if incoming.key is not None:
                hash(incoming.key(item))
            read_all(item)


@portable
def any_event(event: Event) -> Any:
    read_all(event)
    if sum(event.id.encode("utf-8", "replace")) % 3 == 0:
        raise Retry("again", after=1)
    return event.data if isinstance(event, Task) else None


@pytest.mark.slow
@pytest.mark.parametrize("file", ALL)
def test_a_mutated_payload_is_answered_or_raises_one_of_our_errors(file: str) -> None:
    native = payload(f"{file}.json")
    chance = random.Random(f"{file} whole")
    handler = entry(any_event)
    with playing("sqs"):
        for _ in range(20):
            mutant = mutation(native, chance)
            if decode.http_service(mutant) is not None:
                continue
            try:
                json.dumps(handler(mutant, LambdaContext()))
            except (DecodeError, EncodeError, Retry):
                pass


def test_an_s3_key_is_decoded_once() -> None:
    native = payload(f"{SAM}s3-S3Put.json")
    native["Records"][0]["s3"]["object"]["key"] = "100%2525+%2B%F0%9F%A6%84"
    (event,) = events(native)
    assert isinstance(event, ObjectEvent) and "100%25 +🦄" == event.key


# --- compared with Powertools ------------------------------------------------------------------------------------------


def test_the_fields_equal_those_of_powertools() -> None:
    classes = pytest.importorskip("aws_lambda_powertools.utilities.data_classes")
    for file in (f"{GO}sqs-event", f"{SAM}sqs-Sqs"):
        native = payload(f"{file}.json")
        for event, other in zip(events(native), classes.SQSEvent(native).records, strict=True):
            assert (other.message_id, other.body, other.event_source_arn) == (event.id, event.text, event.source)  # type: ignore[attr-defined]
    for file in (f"{GO}s3-event", f"{SAM}s3-S3Put", f"{SAM}s3-S3Delete"):
        native = payload(f"{file}.json")
        for event, other in zip(events(native), classes.S3Event(native).records, strict=True):
            thing = other.s3.get_object
            assert (unquote_plus(thing.key), other.s3.bucket.name) == (event.key, event.bucket)  # type: ignore[attr-defined]
    for file in (f"{GO}kinesis-event", f"{GO}kinesis-time-window-event", f"{SAM}kinesis-Kinesis"):
        native = payload(f"{file}.json")
        for event, other in zip(events(native), classes.KinesisStreamEvent(native).records, strict=True):
            assert (other.kinesis.data_as_bytes(), other.kinesis.partition_key) == (event.body, event.key)  # type: ignore[attr-defined]
    # Powertools 3.37 leaves binary values in base64.
    for file in (f"{GO}dynamodb-time-window-event", f"{SAM}dynamodb-DynamoDBUpdate"):
        native = payload(f"{file}.json")
        for event, other in zip(events(native), classes.DynamoDBStreamEvent(native).records, strict=True):
            assert isinstance(event, ChangeEvent)
            row = other.dynamodb
            assert (row.keys, row.old_image or None, row.new_image or None) == (event.key, event.before, event.after)
