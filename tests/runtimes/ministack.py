"""AWS as ministack plays it: Lambda with its event sources, over boto3, and the real awslambdaric in every function."""

from __future__ import annotations

import io
import json
import shlex
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, Literal, TypeVar

from tests.runtimes.environments import ROOT, venv
from tests.runtimes.process import Server, free_ports, serving

REGION: Final = "eu-central-1"
ACCOUNT: Final = "123456789012"
_ROLE: Final = f"arn:aws:iam::{ACCOUNT}:role/portable"
_PACKAGES: Final = (ROOT / "src/portable_fn", ROOT / "adapters/portable_fn_aws")

T = TypeVar("T")


@dataclass(frozen=True)
class Queue:
    url: str
    arn: str


@dataclass(frozen=True)
class Cloud:
    """A running ministack with nothing in it; every resource is named by its ARN where AWS does so.

    Seen with ministack 1.5.33, unlike AWS: the mapping of a Kinesis or DynamoDB stream takes reported failures for
    success and, when the function raises, tries again each second without end; no permission to invoke is asked for.
    A mapping looks for work at once or each second, a schedule at most ten seconds late.
    """

    server: Server
    _clients: dict[str, Any] = field(default_factory=dict)

    def client(self, service: str) -> Any:
        """boto3's client of a service, made once."""
        if service not in self._clients:
            import boto3  # 0.2 s, which only a run of these tests should pay
            from botocore.config import Config

            self._clients[service] = boto3.client(
                service,
                endpoint_url=self.server.url,
                region_name=REGION,
                aws_access_key_id=ACCOUNT,  # ministack takes the access key as the account
                aws_secret_access_key="secret",
                config=Config(retries={"max_attempts": 1}, s3={"addressing_style": "path"}),
            )
        return self._clients[service]

    def function(
        self,
        name: str,
        source: Path,
        handler: str,
        *,
        env: Mapping[str, str] = {},
        timeout_s: int = 30,
        bootstrap: Sequence[str] | None = None,
    ) -> str:
        """Deploy the files of a folder with portable_fn and its adapter; `handler` is "module.function".

        `bootstrap` is a command in place of awslambdaric, its `python` the one that has it.
        """
        arguments = {
            "FunctionName": name,
            "Runtime": "provided.al2023",  # ministack's own Python runtime loses the names of errors
            "Role": _ROLE,
            "Handler": handler,
            "Code": {"ZipFile": _package(source, bootstrap or ["python", "-m", "awslambdaric", handler])},
            "Timeout": timeout_s,
            "Environment": {"Variables": dict(env)},
        }
        return str(self.client("lambda").create_function(**arguments)["FunctionArn"])

    def invoke(self, function: str, payload: object) -> Any:
        """The parsed answer; a function that failed answers too, with `errorType` and `errorMessage`."""
        answer = self.client("lambda").invoke(FunctionName=function, Payload=json.dumps(payload).encode())
        return json.loads(answer["Payload"].read())

    def invoke_later(self, function: str, payload: object) -> None:
        """Invoke asynchronously, which is tried again twice."""
        self.client("lambda").invoke(
            FunctionName=function, InvocationType="Event", Payload=json.dumps(payload).encode()
        )

    def mapping(
        self, function: str, source: str, *, batch_size: int = 10, report_failures: bool = True, **options: object
    ) -> str:
        """Have a queue's or stream's batches invoke a function; the mapping's id.

        A stream is read from its beginning. `options` are those of CreateEventSourceMapping.
        """
        arguments = {"EventSourceArn": source, "FunctionName": function, "BatchSize": batch_size, **options}
        if report_failures:
            arguments["FunctionResponseTypes"] = ["ReportBatchItemFailures"]
        if ":sqs:" not in source:
            arguments.setdefault("StartingPosition", "TRIM_HORIZON")
        return str(self.client("lambda").create_event_source_mapping(**arguments)["UUID"])

    def queue(
        self, name: str, *, dead_letter: Queue | None = None, max_receives: int = 3, visibility_s: int = 1
    ) -> Queue:
        """Create a queue, or a FIFO queue if its name ends in .fifo. Failed messages are redelivered after `visibility_s`."""
        attributes = {"VisibilityTimeout": str(visibility_s)}
        if name.endswith(".fifo"):
            attributes |= {"FifoQueue": "true", "ContentBasedDeduplication": "true"}
        if dead_letter is not None:
            policy = {"deadLetterTargetArn": dead_letter.arn, "maxReceiveCount": max_receives}
            attributes["RedrivePolicy"] = json.dumps(policy)
        url = self.client("sqs").create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
        return Queue(url, f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}")

    def send(self, queue: Queue, body: str, **options: object) -> str:
        """The message's id; `options` are those of SendMessage, such as MessageGroupId and MessageAttributes."""
        return str(self.client("sqs").send_message(QueueUrl=queue.url, MessageBody=body, **options)["MessageId"])

    def send_all(self, queue: Queue, bodies: Sequence[str], *, group: str | None = None) -> list[str]:
        """Send up to ten messages at once, so that they come in one batch; their ids."""
        extra = {} if group is None else {"MessageGroupId": group}
        entries = [{"Id": str(index), "MessageBody": body, **extra} for index, body in enumerate(bodies)]
        sent = self.client("sqs").send_message_batch(QueueUrl=queue.url, Entries=entries)["Successful"]
        return [each["MessageId"] for each in sorted(sent, key=lambda each: int(each["Id"]))]

    def receive(self, queue: Queue, count: int = 1, *, timeout: float = 20) -> list[dict[str, Any]]:
        """Take and delete so many messages of a queue, awaited, with all their attributes."""
        sqs = self.client("sqs")
        received: list[dict[str, Any]] = []

        def enough() -> list[dict[str, Any]] | None:
            answer = sqs.receive_message(
                QueueUrl=queue.url,
                MaxNumberOfMessages=min(10, count - len(received)),
                WaitTimeSeconds=1,
                AttributeNames=["All"],
                MessageAttributeNames=["All"],
            )
            for each in answer.get("Messages", []):
                sqs.delete_message(QueueUrl=queue.url, ReceiptHandle=each["ReceiptHandle"])
                received.append(each)
            return received if len(received) >= count else None

        return awaited(enough, f"{count} messages of {queue.arn}", timeout=timeout)

    def left(self, queue: Queue) -> int:
        """How many messages a queue holds, those in flight too."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self.client("sqs").get_queue_attributes(QueueUrl=queue.url, AttributeNames=names)["Attributes"]
        return sum(int(found[name]) for name in names)

    def topic(self, name: str) -> str:
        """Create an SNS topic."""
        return str(self.client("sns").create_topic(Name=name)["TopicArn"])

    def subscription(self, topic: str, target: str, *, raw: bool = False) -> None:
        """Deliver a topic's messages to a function or a queue, without the envelope where `raw`."""
        protocol = "sqs" if ":sqs:" in target else "lambda"
        attributes = {"RawMessageDelivery": "true"} if raw else {}
        self.client("sns").subscribe(TopicArn=topic, Protocol=protocol, Endpoint=target, Attributes=attributes)

    def publish(self, topic: str, message: str, **options: object) -> str:
        """The message's id; `options` are those of Publish, such as Subject and MessageAttributes."""
        return str(self.client("sns").publish(TopicArn=topic, Message=message, **options)["MessageId"])

    def bucket(
        self, name: str, *targets: str, events: Sequence[str] = ("s3:ObjectCreated:*", "s3:ObjectRemoved:*")
    ) -> None:
        """Create a bucket that notifies functions, queues and topics; with no target, EventBridge."""
        kinds = {"lambda": "LambdaFunction", "sqs": "Queue", "sns": "Topic"}
        configuration: dict[str, Any] = {} if targets else {"EventBridgeConfiguration": {}}
        for target in targets:
            kind = kinds[target.split(":")[2]]
            notification = {f"{kind}Arn": target, "Events": list(events)}
            configuration.setdefault(f"{kind}Configurations", []).append(notification)
        s3 = self.client("s3")
        s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
        s3.put_bucket_notification_configuration(Bucket=name, NotificationConfiguration=configuration)

    def rule(
        self, name: str, target: str, *, pattern: Mapping[str, object] | None = None, schedule: str | None = None
    ) -> str:
        """Have the default bus's events of a pattern, or a schedule such as "rate(1 minute)", invoke or reach a target."""
        chosen = {"EventPattern": json.dumps(pattern)} if pattern is not None else {"ScheduleExpression": schedule}
        arn = str(self.client("events").put_rule(Name=name, **chosen)["RuleArn"])
        self.client("events").put_targets(Rule=name, Targets=[{"Id": "target", "Arn": target}])
        return arn

    def put_event(self, source: str, kind: str, detail: object) -> str:
        """Put an event on the default bus; its id."""
        entry = {"Source": source, "DetailType": kind, "Detail": json.dumps(detail)}
        return str(self.client("events").put_events(Entries=[entry])["Entries"][0]["EventId"])

    def stream(self, name: str, *, shards: int = 1) -> str:
        """Create a Kinesis stream."""
        kinesis = self.client("kinesis")
        kinesis.create_stream(StreamName=name, ShardCount=shards)

        def active() -> str | None:
            found = kinesis.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]
            return str(found["StreamARN"]) if found["StreamStatus"] == "ACTIVE" else None

        return awaited(active, f"stream {name}")

    def table(
        self,
        name: str,
        key: str = "id",
        *,
        view: Literal["KEYS_ONLY", "NEW_IMAGE", "OLD_IMAGE", "NEW_AND_OLD_IMAGES"] = "NEW_AND_OLD_IMAGES",
    ) -> str:
        """Create a DynamoDB table with a text as its key; the ARN of its stream."""
        described = self.client("dynamodb").create_table(
            TableName=name,
            KeySchema=[{"AttributeName": key, "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
            StreamSpecification={"StreamEnabled": True, "StreamViewType": view},
        )
        return str(described["TableDescription"]["LatestStreamArn"])

    def state_machine(self, name: str, definition: Mapping[str, object]) -> str:
        """Create a state machine of Step Functions."""
        made = self.client("stepfunctions").create_state_machine(
            name=name, definition=json.dumps(definition), roleArn=_ROLE
        )
        return str(made["stateMachineArn"])

    def execute(self, state_machine: str, given: object, *, timeout: float = 30) -> dict[str, Any]:
        """Run a state machine to its end: {status, output or error and cause}, `output` as JSON text."""
        steps = self.client("stepfunctions")
        arn = steps.start_execution(stateMachineArn=state_machine, input=json.dumps(given))["executionArn"]

        def ended() -> dict[str, Any] | None:
            found: dict[str, Any] = steps.describe_execution(executionArn=arn)
            return None if found["status"] == "RUNNING" else found

        return awaited(ended, f"the end of {arn}", timeout=timeout)


@contextmanager
def ministack() -> Iterator[Cloud]:
    """Run it, in memory and with folders that vanish."""
    [port] = free_ports(1)
    venv("aws")
    with TemporaryDirectory() as folder:
        env = {
            "GATEWAY_PORT": str(port),
            "BIND_HOST": "127.0.0.1",  # else it is 0.0.0.0
            "MINISTACK_HOST": "127.0.0.1",
            "MINISTACK_REGION": REGION,
            "MINISTACK_ACCOUNT_ID": ACCOUNT,
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
            "LAMBDA_ASYNC_RETRY_BASE_SECONDS": "0.1",
            "SFN_WAIT_SCALE": "0.01",
            "TMPDIR": folder,
            "STATE_DIR": f"{folder}/state",
            "S3_DATA_DIR": f"{folder}/s3",
        }
        with serving([venv("ministack").parent / "ministack"], port, env=env, timeout=60) as server:
            cloud = Cloud(server)
            try:
                yield cloud
            finally:
                for client in cloud._clients.values():
                    client.close()


def awaited(found: Callable[[], T | None], what: str, *, timeout: float = 20) -> T:
    """What a look finds in the end, with a pause after each that finds None."""
    end = time.monotonic() + timeout
    while (seen := found()) is None:
        if time.monotonic() > end:
            raise AssertionError(f"no {what} within {timeout} s")
        time.sleep(0.05)
    return seen


def _package(source: Path, bootstrap: Sequence[str]) -> bytes:
    """A deployment package: the files of a folder, portable_fn with its adapter, and the bootstrap that runs them."""
    path = f"PATH={shlex.quote(str(venv('aws').parent))}:$PATH"
    script = f'#!/bin/sh\ncd "$LAMBDA_TASK_ROOT" && {path} PYTHONPATH=. exec {shlex.join(bootstrap)}\n'
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as package:
        executable = zipfile.ZipInfo("bootstrap")
        executable.external_attr = 0o755 << 16
        package.writestr(executable, script)
        for folder, root in [(source, source), *((each, each.parent) for each in _PACKAGES)]:
            for file in sorted(folder.rglob("*")):
                if file.is_file() and "__pycache__" not in file.parts:
                    package.write(file, file.relative_to(root))
    return packed.getvalue()
