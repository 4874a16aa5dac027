"""Try the emulated services with handlers written by hand: what each delivers, and what the answer does."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.runtimes.aws import HELLO
from tests.runtimes.azurite import Storage
from tests.runtimes.cloud_tasks import CloudTasks, cloud_tasks
from tests.runtimes.firestore import Firestore, firestore
from tests.runtimes.gcs import cloud_storage
from tests.runtimes.knative import knative_function
from tests.runtimes.ministack import Cloud, awaited, ministack
from tests.runtimes.pubsub import PubSub, pubsub
from tests.runtimes.rest import Listener, listening
from tests.runtimes.wire import send

pytestmark = pytest.mark.runtime

KEY = "a b/ü+%.txt"

# Tells what it was given, then fails as told: a whole invocation by "fail", a message by its body "bad".
LAMBDA = """
import json, os, urllib.request

def handler(event, context):
    request = urllib.request.Request(os.environ["SEEN"], json.dumps(event).encode())
    urllib.request.urlopen(request, timeout=10).close()
    if "fail" in event:
        raise LookupError(event["fail"])
    failed = [record["messageId"] for record in event.get("Records", []) if record.get("body") == "bad"]
    return {"batchItemFailures": [{"itemIdentifier": each} for each in failed]}
"""

PORTABLE = """
from portable_fn import Request, on, portable

@portable(on.http("GET", "/hello/{name}"))
def hello(request: Request) -> str:
    return request.params["name"]
"""

KNATIVE = """
import json

class Function:
    def start(self, settings):
        print("started with", settings["MODE"])

    def stop(self):
        print("stopped")

    def ready(self):
        return False, "not yet"

    async def handle(self, scope, receive, send):
        message = await receive()
        seen = [scope["path"], dict(scope["headers"])[b"ce-id"].decode(), message["body"].decode()]
        await send({"type": "http.response.start", "status": 202, "headers": [(b"a", b"1"), (b"a", b"2")]})
        await send({"type": "http.response.body", "body": json.dumps(seen).encode()})

def new():
    return Function()
"""


@pytest.fixture
def listener() -> Iterator[Listener]:
    with listening() as server:
        yield server


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    with ministack() as running:
        yield running


@pytest.fixture
def function(cloud: Cloud, listener: Listener, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """A function that tells the listener what it is given."""
    (tmp_path / "app.py").write_text(LAMBDA)
    return cloud.function(request.node.name[-40:], tmp_path, "app.handler", env={"SEEN": listener.url})


@pytest.fixture(scope="module")
def topics() -> Iterator[PubSub]:
    with pubsub() as running:
        yield running


@pytest.fixture(scope="module")
def tasks() -> Iterator[CloudTasks]:
    with cloud_tasks() as running:
        yield running


@pytest.fixture(scope="module")
def documents() -> Iterator[tuple[Firestore, Listener]]:
    """Firestore, and who hears its triggers."""
    with listening() as functions, firestore(functions.url) as running:
        yield running, functions


def test_a_lambda_function_answers_and_its_error_has_its_name(cloud: Cloud, function: str, listener: Listener) -> None:
    assert {"batchItemFailures": []} == cloud.invoke(function, {"n": 1})
    assert {"n": 1} == listener.next().json
    error = cloud.invoke(function, {"fail": "no such thing"})
    assert ("LookupError", "no such thing") == (error["errorType"], error["errorMessage"])


@pytest.mark.parametrize("client", ["awslambdaric", "portable_fn_aws.runtime"])
def test_a_lambda_function_is_deployed_with_portable_fn(cloud: Cloud, tmp_path: Path, client: str) -> None:
    (tmp_path / "app.py").write_text(PORTABLE)
    function = cloud.function(
        client.replace(".", "-"), tmp_path, "app.hello", bootstrap=["python", "-m", client, "app.hello"]
    )
    assert (200, "Ada") == tuple(cloud.invoke(function, HELLO)[name] for name in ("statusCode", "body"))


def test_an_asynchronous_invocation_is_tried_three_times(cloud: Cloud, function: str, listener: Listener) -> None:
    cloud.invoke_later(function, {"fail": "again"})
    assert [{"fail": "again"}] * 3 == [listener.next().json for _ in range(3)]


def test_sqs_gives_the_failed_message_back_and_then_dead_letters_it(
    cloud: Cloud, function: str, listener: Listener
) -> None:
    dead = cloud.queue("dead")
    queue = cloud.queue("orders", dead_letter=dead, max_receives=2)
    ids = cloud.send_all(queue, ["good", "bad"])
    cloud.mapping(function, queue.arn)
    seen = [listener.next().json["Records"] for _ in range(2)]
    assert [["good", "bad"], ["bad"]] == [[record["body"] for record in batch] for batch in seen]
    assert ["1", "2"] == [batch[-1]["attributes"]["ApproximateReceiveCount"] for batch in seen]
    [buried] = cloud.receive(dead)
    assert (ids[1], "bad", 0) == (buried["MessageId"], buried["Body"], cloud.left(queue))


def test_sqs_takes_a_reported_failure_for_success_where_the_mapping_does_not_ask_for_reports(
    cloud: Cloud, function: str, listener: Listener
) -> None:
    queue = cloud.queue("unreported")
    cloud.mapping(function, queue.arn, report_failures=False)
    cloud.send_all(queue, ["bad"])
    assert "bad" == listener.next().json["Records"][0]["body"]
    awaited(lambda: None if cloud.left(queue) else "empty", "empty queue")


def test_a_fifo_queue_keeps_the_order_of_a_group(cloud: Cloud, function: str, listener: Listener) -> None:
    dead = cloud.queue("dead.fifo")
    queue = cloud.queue("orders.fifo", dead_letter=dead, max_receives=2)
    cloud.send_all(queue, ["good", "bad", "late"], group="one")
    cloud.mapping(function, queue.arn)
    first, second = (listener.next().json["Records"] for _ in range(2))
    assert ["good", "bad", "late"] == [record["body"] for record in first]
    assert {"one"} == {record["attributes"]["MessageGroupId"] for record in first}
    assert ["bad"] == [record["body"] for record in second]
    assert ["bad"] == [each["Body"] for each in cloud.receive(dead)]


def test_sns_delivers_to_a_function_and_with_and_without_envelope_to_a_queue(
    cloud: Cloud, function: str, listener: Listener
) -> None:
    topic, wrapped, raw = cloud.topic("news"), cloud.queue("wrapped"), cloud.queue("raw")
    cloud.subscription(topic, function)
    cloud.subscription(topic, wrapped.arn)
    cloud.subscription(topic, raw.arn, raw=True)
    kind = {"kind": {"DataType": "String", "StringValue": "x"}}
    id = cloud.publish(topic, "hello", Subject="subject", MessageAttributes=kind)
    [record] = listener.next().json["Records"]
    assert "aws:sns" == record["EventSource"]
    assert (id, "hello", "subject") == tuple(record["Sns"][name] for name in ("MessageId", "Message", "Subject"))
    assert {"kind": {"Type": "String", "Value": "x"}} == record["Sns"]["MessageAttributes"]
    [message] = cloud.receive(wrapped)
    assert ("Notification", id) == tuple(json.loads(message["Body"])[name] for name in ("Type", "MessageId"))
    [message] = cloud.receive(raw)
    assert ("hello", "x") == (message["Body"], message["MessageAttributes"]["kind"]["StringValue"])


def test_s3_notifies_a_function_of_an_object_by_its_encoded_key(
    cloud: Cloud, function: str, listener: Listener
) -> None:
    cloud.bucket("uploads", function)
    s3 = cloud.client("s3")
    s3.put_object(Bucket="uploads", Key=KEY, Body=b"hello")
    [created] = listener.next().json["Records"]
    s3.delete_object(Bucket="uploads", Key=KEY)
    [removed] = listener.next().json["Records"]
    assert ["ObjectCreated:Put", "ObjectRemoved:Delete"] == [created["eventName"], removed["eventName"]]
    assert ("uploads", "a+b/%C3%BC%2B%25.txt", 5) == (
        created["s3"]["bucket"]["name"],
        created["s3"]["object"]["key"],
        created["s3"]["object"]["size"],
    )


def test_s3_tells_eventbridge_of_an_object_by_its_plain_key(cloud: Cloud, function: str, listener: Listener) -> None:
    cloud.rule("objects", function, pattern={"source": ["aws.s3"]})
    cloud.bucket("bridged")
    cloud.client("s3").put_object(Bucket="bridged", Key=KEY, Body=b"hello")
    event = listener.next().json
    assert ("Object Created", KEY) == (event["detail-type"], event["detail"]["object"]["key"])


def test_an_eventbridge_rule_invokes_a_function(cloud: Cloud, function: str, listener: Listener) -> None:
    cloud.rule("orders", function, pattern={"source": ["shop"]})
    id = cloud.put_event("shop", "Order Placed", {"n": 1})
    event = listener.next().json
    assert (id, "shop", "Order Placed", {"n": 1}) == tuple(
        event[name] for name in ("id", "source", "detail-type", "detail")
    )


def test_kinesis_records_reach_a_function_in_order(cloud: Cloud, function: str, listener: Listener) -> None:
    stream = cloud.stream("clicks")
    for content in (b"\xff\x00", b"two"):
        cloud.client("kinesis").put_record(StreamName="clicks", Data=content, PartitionKey="ada")
    cloud.mapping(function, stream)
    records = listener.next().json["Records"]
    assert [b"\xff\x00", b"two"] == [base64.b64decode(record["kinesis"]["data"]) for record in records]
    assert [("aws:kinesis", "ada")] * 2 == [
        (record["eventSource"], record["kinesis"]["partitionKey"]) for record in records
    ]


def test_changes_of_a_dynamodb_table_reach_a_function(cloud: Cloud, function: str, listener: Listener) -> None:
    cloud.mapping(function, cloud.table("users"))
    dynamodb = cloud.client("dynamodb")
    item = {"id": {"S": "ada"}, "n": {"N": "1.5"}, "tags": {"SS": ["a"]}, "raw": {"B": b"\xff"}}
    dynamodb.put_item(TableName="users", Item=item)
    [inserted] = listener.next().json["Records"]
    dynamodb.delete_item(TableName="users", Key={"id": {"S": "ada"}})
    [removed] = listener.next().json["Records"]
    native = {**item, "raw": {"B": "/w=="}}
    assert ("INSERT", native, None) == (
        inserted["eventName"],
        inserted["dynamodb"]["NewImage"],
        inserted["dynamodb"].get("OldImage"),
    )
    assert ("REMOVE", native, None) == (
        removed["eventName"],
        removed["dynamodb"]["OldImage"],
        removed["dynamodb"].get("NewImage"),
    )


def test_step_functions_retry_and_catch_an_error_by_its_name(cloud: Cloud, function: str, listener: Listener) -> None:
    named = {"ErrorEquals": ["LookupError"]}
    task = {
        "Type": "Task",
        "Resource": function,
        "Retry": [{**named, "IntervalSeconds": 1, "MaxAttempts": 1}],
        "Catch": [{**named, "ResultPath": "$.error", "Next": "Caught"}],
        "End": True,
    }
    steps = {"StartAt": "Try", "States": {"Try": task, "Caught": {"Type": "Pass", "End": True}}}
    ended = cloud.execute(cloud.state_machine("steps", steps), {"fail": "no such thing"})
    assert [{"fail": "no such thing"}] * 2 == [listener.next().json for _ in range(2)]
    output = json.loads(ended["output"])
    assert ("SUCCEEDED", "LookupError") == (ended["status"], output["error"]["Error"])
    assert "no such thing" == json.loads(output["error"]["Cause"])["errorMessage"]


def test_pubsub_pushes_a_message_wrapped_until_it_is_acknowledged(topics: PubSub, listener: Listener) -> None:
    topics.topic("wrapped")
    subscription = topics.subscribe("wrapped-push", "wrapped", f"{listener.url}/push")
    listener.will_answer(500)
    id = topics.publish("wrapped", b"\xff\x00", {"kind": "x", "ce-id": "7"})
    first, again = listener.next(), listener.next()
    assert first.body == again.body
    assert ("POST", "/push", "application/json") == (again.method, again.target, again.header("content-type"))
    assert {"subscription", "message"} == set(again.json)
    message = again.json["message"]
    assert (subscription, id, b"\xff\x00", {"kind": "x", "ce-id": "7"}) == (
        again.json["subscription"],
        message["messageId"],
        base64.b64decode(message["data"]),
        message["attributes"],
    )
    assert message["publishTime"] == message["publish_time"]


def test_pubsub_pushes_a_message_unwrapped_with_its_attributes_as_headers(topics: PubSub, listener: Listener) -> None:
    topics.topic("unwrapped")
    subscription = topics.subscribe("unwrapped-push", "unwrapped", f"{listener.url}/push", unwrapped=True, ordered=True)
    attributes = {"ce-id": "7", "Content-Type": "application/json"}
    id = topics.publish("unwrapped", b'{"n": 1}', attributes, ordering_key="ada")
    heard = listener.next()
    assert ({"n": 1}, "7", "application/json") == (heard.json, heard.header("ce-id"), heard.header("content-type"))
    metadata = heard.prefixed("x-goog-")
    metadata.pop("x-goog-pubsub-publish-time")
    assert {
        "x-goog-pubsub-message-id": id,
        "x-goog-pubsub-subscription-name": subscription,
        "x-goog-ordering-key": "ada",
    } == metadata


def test_pubsub_dead_letters_a_message_after_its_attempts(topics: PubSub, listener: Listener) -> None:
    topics.topic("doomed")
    topics.topic("dead")
    topics.subscribe("graves", "dead")
    topics.subscribe("doomed-push", "doomed", f"{listener.url}/push", dead_letter_topic="dead")
    listener.will_answer(*[500] * 5)
    topics.publish("doomed", b"x", {"kind": "y"})
    assert [b"x"] * 5 == [base64.b64decode(listener.next().json["message"]["data"]) for _ in range(5)]
    [buried] = topics.pull("graves")
    attributes = buried["message"]["attributes"]
    assert ("y", "5", "doomed-push") == (
        attributes["kind"],
        attributes["CloudPubSubDeadLetterSourceDeliveryCount"],
        attributes["CloudPubSubDeadLetterSourceSubscription"],
    )


def test_firestore_calls_a_function_of_the_first_generation(documents: tuple[Firestore, Listener]) -> None:
    database, functions = documents
    database.legacy_trigger("legacy", "write", "users/{id}")
    database.write("users/ada", {"name": {"stringValue": "Ada"}})
    heard = functions.next()
    assert ("POST", "/functions/projects/portable/triggers/legacy") == (heard.method, heard.target)
    resource = "projects/portable/databases/(default)/documents/users/ada"
    context = heard.json["context"]
    assert ("providers/cloud.firestore/eventTypes/document.write", resource) == (
        context["eventType"],
        context["resource"]["name"],
    )
    assert {"name": {"stringValue": "Ada"}} == heard.json["data"]["value"]["fields"]


def test_firestore_posts_a_cloudevent_with_its_protobuf_in_base64(documents: tuple[Firestore, Listener]) -> None:
    database, functions = documents
    database.eventarc_trigger("modern", "delete", "teams/{id}")
    database.write("teams/one", {})
    database.delete("teams/one")
    heard = functions.next()
    assert "/functions/projects/portable/triggers/modern" == heard.target
    attributes = heard.prefixed("ce-")
    assert {"ce-id", "ce-time", "ce-dataschema"} < set(attributes)
    assert {
        "ce-specversion": "1.0",
        "ce-type": "google.cloud.firestore.document.v1.deleted",
        "ce-source": "//firestore.googleapis.com/projects/projects/portable/databases/(default)",
        "ce-subject": "documents/teams/one",
        "ce-datacontenttype": "application/protobuf",
        "ce-location": "us-central1",
        "ce-project": "portable",
        "ce-database": "(default)",
        "ce-namespace": "(default)",
        "ce-document": "teams/one",
    } == {name: value for name, value in attributes.items() if name not in ("ce-id", "ce-time", "ce-dataschema")}
    # Field 2 of a DocumentEventData is the value before, and there is none after.
    assert b"\x12" == base64.b64decode(heard.body, validate=True)[:1]


def test_cloud_storage_notifies_of_an_object_by_pubsub(topics: PubSub, listener: Listener) -> None:
    topics.topic("objects")
    topics.subscribe("objects-push", "objects", listener.url)
    with cloud_storage(topics, "objects") as storage:
        storage.bucket("uploads")
        storage.put("uploads", KEY, b"hello", metadata={"kind": "x"})
        created = listener.next().json["message"]
        storage.delete("uploads", KEY)
        deleted = listener.next().json["message"]
    assert [("OBJECT_FINALIZE", "uploads", KEY), ("OBJECT_DELETE", "uploads", KEY)] == [
        tuple(each["attributes"][name] for name in ("eventType", "bucketId", "objectId")) for each in (created, deleted)
    ]
    resource = json.loads(base64.b64decode(created["data"]))
    assert (KEY, "5", "text/plain", {"kind": "x"}) == tuple(
        resource[name] for name in ("name", "size", "contentType", "metadata")
    )


def test_cloud_tasks_posts_a_task_until_it_is_done(tasks: CloudTasks, listener: Listener) -> None:
    tasks.queue("orders")
    listener.will_answer(503)
    tasks.task("orders", f"{listener.url}/do?n=1", b"{}", {"Content-Type": "application/json"}, name="one")
    first, again = listener.next(), listener.next()
    assert ["0", "1"] == [each.header("x-cloudtasks-taskretrycount") for each in (first, again)]
    assert ("POST", "/do?n=1", b"{}", "application/json", "one") == (
        again.method,
        again.target,
        again.body,
        again.header("content-type"),
        again.header("x-cloudtasks-taskname"),
    )
    assert "projects/portable/locations/europe-west1/queues/orders" == again.header("x-cloudtasks-queuename")
    tasks.task("orders", listener.url, name="two")
    assert ("two", []) == (listener.next().header("x-cloudtasks-taskname"), tasks.waiting("orders"))


def test_a_storage_queue_counts_how_often_a_message_was_taken(storage: Storage) -> None:
    storage.queue("orders")
    storage.send("orders", b'{"n": 1}')
    storage.send("orders", "<&>")
    encoded, plain = storage.receive("orders")
    assert (b'{"n": 1}', "<&>", 1) == (base64.b64decode(encoded.text), plain.text, plain.dequeue_count)
    storage.delete("orders", encoded)
    storage.give_back("orders", plain)
    [again] = storage.receive("orders")
    assert (plain.id, 2) == (again.id, again.dequeue_count)
    assert [] == storage.receive("orders")


def test_a_storage_container_keeps_a_blob_with_its_odd_name(storage: Storage) -> None:
    storage.container("uploads")
    storage.put("uploads", KEY, b"\xff\x00", content_type="image/png", metadata={"kind": "x"})
    blob = storage.get("uploads", KEY)
    assert (b"\xff\x00", "image/png", "x") == (
        blob.content,
        blob.headers["content-type"],
        blob.headers["x-ms-meta-kind"],
    )
    assert [KEY] == storage.names("uploads")


def test_knative_serves_a_function_with_its_health_and_its_hooks(tmp_path: Path) -> None:
    (tmp_path / "service.py").write_text(KNATIVE)
    with knative_function("service", pythonpath=[tmp_path], env={"MODE": "test"}) as service:
        answer = send(service.url, "POST", "/a%20b", [("ce-id", "7")], b"hello")
        assert (202, ["/a b", "7", "hello"], ["1", "2"]) == (
            answer.status,
            json.loads(answer.body),
            answer.values("a"),
        )
        ready = send(service.url, "GET", "/health/readiness", [], None)
        alive = send(service.url, "GET", "/health/liveness", [], None)
        assert [(500, b"not yet"), (200, b"OK")] == [(each.status, each.body) for each in (ready, alive)]
    assert ["started with test", "stopped"] == [
        line for line in service.logs if line.startswith(("started", "stopped"))
    ]
