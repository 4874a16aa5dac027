"""Run functions on an emulated AWS: boto3 sends the input, the functions report what they saw, and AWS keeps the rest."""

from __future__ import annotations

import itertools
import json
from base64 import b64decode
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.aws.test_packed_records import aggregated, zipped
from tests.runtimes.ministack import ACCOUNT, REGION, Cloud, Queue, awaited, ministack
from tests.runtimes.rest import Listener, listening

pytestmark = pytest.mark.runtime

# Each function reports its event to a listener. It fails if the event's text says so, or if the listener answers an error.
APP = """
import asyncio, json, os, urllib.request

from portable_fn import Batch, ChangeEvent, CloudEvent, Message, ObjectEvent, Reject, Retry, ScheduleEvent, Task, on, portable

GRAVES = os.environ.get("GRAVES")


class OutOfStock(Exception):
    pass


class ShelfLocked(Exception):
    pass


def see(**seen):
    body = json.dumps(seen, default=repr).encode()
    urllib.request.urlopen(urllib.request.Request(os.environ["SEEN"], body), timeout=10).close()


def fail(text, attempt):
    if text.startswith("bad") or (text.startswith("flaky") and attempt == 1):
        raise OutOfStock(text)


@portable(on.queue("orders", dead_letter=GRAVES), on.topic("news"), on.stream("clicks"))
def message(event: Message):
    text = event.body.decode(errors="replace")
    see(id=event.id, text=text, attempt=event.attempt, key=event.key, attributes=event.attributes, subject=event.subject,
        channel=event.channel, partition=event.partition, envelopes=len(event.envelopes))
    if text.endswith("later") and event.attempt == 1:
        raise Retry("busy", after=2)
    if text.endswith("never"):
        raise Reject("unknown sku")
    fail(text, event.attempt)


@portable(on.queue("orders", dead_letter=GRAVES))
def together(batch: Batch[Message]):
    see(texts=[event.text for event in batch])
    for event in batch:
        if event.text == "never":
            batch.reject(event, "unknown sku")
        if event.text == "flaky" and event.attempt == 1:
            batch.retry(event)


begun = 0
all_begun = asyncio.Event()


@portable(on.queue("orders"), concurrency=3)
async def side_by_side(event: Message):
    global begun
    begun += 1
    if begun == 3:
        all_begun.set()
    await asyncio.wait_for(all_begun.wait(), 5)
    await asyncio.to_thread(see, text=event.text, attempt=event.attempt)
    fail(event.text, event.attempt)


@portable(on.object("uploads"))
def upload(event: ObjectEvent):
    see(id=event.id, bucket=event.bucket, key=event.key, action=event.action, size=event.size, time=event.time.isoformat(),
        envelopes=[one.channel if isinstance(one, Message) else one.source for one in event.envelopes])


@portable(on.change("users"))
def change(event: ChangeEvent):
    see(id=event.id, table=event.table, action=event.action, key=event.key, before=event.before, after=event.after)


@portable(on.event("order.created"))
def created(event: CloudEvent):
    see(id=event.id, type=event.type, source=event.source, data=event.data, time=event.time.isoformat(),
        extensions=event.extensions, envelopes=len(event.envelopes))


@portable(on.schedule("0 3 * * *"))
def tick(event: ScheduleEvent):
    see(id=event.id, name=event.name, data=event.data, time=event.time and event.time.isoformat())


asked = 0


@portable(on.task())
def reserve(task: Task):
    global asked
    asked += 1
    see(**task.data)
    if task.data["sku"] == "desk":
        raise OutOfStock("no desk is there")
    if task.data["sku"] == "sofa" and asked < 3:
        raise ShelfLocked("it is being counted")
    if task.data["sku"] == "ghost":
        raise Reject("there is no such thing")
    return {"reserved": task.data["sku"]}
"""

KEY = "a b/ü+%.txt"
Deploy = Callable[..., str]


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    with ministack() as running:
        yield running


@pytest.fixture
def listener() -> Iterator[Listener]:
    with listening() as server:
        yield server


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("app")
    (folder / "app.py").write_text(APP)
    return folder


_numbers = itertools.count(1)


@pytest.fixture
def name() -> str:
    """Return a unique name for a test's resources."""
    return f"it-{next(_numbers)}"


@pytest.fixture
def deploy(cloud: Cloud, folder: Path, listener: Listener) -> Deploy:
    """Deploy a function of the app, and wait until its process runs; keyword arguments become its environment."""

    def deployed(function: str, *, client: str = "awslambdaric", **env: str) -> str:
        return _deployed(cloud, folder, listener, function, client, env)

    return deployed


def _deployed(
    cloud: Cloud, folder: Path, listener: Listener, function: str, client: str, env: Mapping[str, str]
) -> str:
    handler = f"app.{function}"
    arn = cloud.function(
        f"{function}-{next(_numbers)}",
        folder,
        handler,
        env={"SEEN": listener.url, **env},
        bootstrap=["python", "-m", client, handler],
    )
    # Start the process here, so that a slow start doesn't outlast a visibility timeout. This notice calls no function, except one
    # for tasks, whose tests don't need it.
    if function != "reserve":
        cloud.invoke(arn, {"Service": "Amazon S3", "Event": "s3:TestEvent"})
    return arn


@pytest.fixture(scope="module", autouse=True)
def schedules(cloud: Cloud, folder: Path) -> Iterator[Listener]:
    """Return the listener of two schedules that are overdue; ministack checks them every ten seconds, while other tests run."""
    with listening() as listener:
        function = _deployed(cloud, folder, listener, "tick", "awslambdaric", {})
        for name, settings in (("plain", {}), ("with-input", {"Input": json.dumps({"report": "daily"})})):
            cloud.client("scheduler").create_schedule(
                Name=name,
                ScheduleExpression="at(2025-01-01T03:00:00)",
                FlexibleTimeWindow={"Mode": "OFF"},
                Target={"Arn": function, "RoleArn": f"arn:aws:iam::{ACCOUNT}:role/portable", **settings},
            )
        yield listener


def seen(listener: Listener, count: int) -> list[dict[str, Any]]:
    return [listener.next().json for _ in range(count)]


def tries(listener: Listener, count: int) -> list[tuple[str, int]]:
    """Return the next messages that a function saw, each with its attempt."""
    return [(message["text"], message["attempt"]) for message in seen(listener, count)]


def await_empty(cloud: Cloud, queue: Queue) -> None:
    awaited(lambda: None if cloud.left(queue) else "empty", f"empty {queue.arn}")


def attributes(message: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: value.get("StringValue", value.get("BinaryValue")) for name, value in message["MessageAttributes"].items()
    }


# Queues


@pytest.mark.parametrize("client", ["awslambdaric", "portable_fn_aws.runtime"])
def test_only_the_failed_message_of_a_batch_is_redelivered_until_it_is_dead_lettered(
    cloud: Cloud, deploy: Deploy, listener: Listener, name: str, client: str
) -> None:
    dead = cloud.queue(f"{name}-dead")
    queue = cloud.queue(name, dead_letter=dead, max_receives=2)
    ids = cloud.send_all(queue, ["good", "bad", "flaky"])
    cloud.mapping(deploy("message", client=client), queue.arn)
    first, again = tries(listener, 3), tries(listener, 2)
    assert ([("good", 1), ("bad", 1), ("flaky", 1)], [("bad", 2), ("flaky", 2)]) == (first, again)
    [buried] = cloud.receive(dead)
    assert (ids[1], "bad", 0) == (buried["MessageId"], buried["Body"], cloud.left(queue))


def test_a_batch_that_fails_whole_is_redelivered_even_if_its_mapping_takes_no_reports(
    cloud: Cloud, deploy: Deploy, listener: Listener, name: str
) -> None:
    queue = cloud.queue(name)
    cloud.send_all(queue, ["flaky 1", "flaky 2"])
    cloud.mapping(deploy("message"), queue.arn, report_failures=False)
    assert [("flaky 1", 1), ("flaky 2", 1), ("flaky 1", 2), ("flaky 2", 2)] == tries(listener, 4)
    await_empty(cloud, queue)


def test_with_the_setting_raise_a_failure_among_successes_isnt_lost_without_reports(
    cloud: Cloud, deploy: Deploy, listener: Listener, name: str
) -> None:
    queue = cloud.queue(name)
    cloud.send_all(queue, ["good", "flaky"])
    cloud.mapping(deploy("message", PORTABLE_FN_AWS_BATCH="raise"), queue.arn, report_failures=False)
    assert [("good", 1), ("flaky", 1), ("good", 2), ("flaky", 2)] == tries(listener, 4)
    await_empty(cloud, queue)


@pytest.mark.parametrize("said", ["name", "arn", "url"])
def test_a_rejected_message_is_dead_lettered_and_never_redelivered(
    cloud: Cloud, deploy: Deploy, listener: Listener, name: str, said: str
) -> None:
    graves = cloud.queue(f"{name}-graves")
    function = deploy("message", GRAVES={"name": f"{name}-graves", "arn": graves.arn, "url": graves.url}[said])
    queue = cloud.queue(name)
    sent = {
        "kind": {"DataType": "String", "StringValue": "x"},
        "raw": {"DataType": "Binary", "BinaryValue": b"\xff\x00"},
    }
    id = cloud.send(queue, "never", MessageAttributes=sent)
    cloud.mapping(function, queue.arn)
    [buried] = cloud.receive(graves)
    assert "never" == buried["Body"]
    written = attributes(buried)
    assert written.pop("portable-fn-time").startswith("20")
    assert {
        "kind": "x",
        "raw": b"\xff\x00",
        "portable-fn-reason": "unknown sku",
        "portable-fn-id": id,
        "portable-fn-source": queue.arn,
        "portable-fn-attempt": "1",
    } == written
    await_empty(cloud, queue)
    cloud.send(queue, "good")
    assert [("never", 1), ("good", 1)] == tries(listener, 2)
    assert 0 == cloud.left(graves)


def test_a_rejected_message_is_retried_if_its_dead_letter_cant_be_sent(
    cloud: Cloud, deploy: Deploy, listener: Listener, name: str
) -> None:
    dead = cloud.queue(f"{name}-dead")
    queue = cloud.queue(name, dead_letter=dead, max_receives=2)
    id = cloud.send_all(queue, ["never", "good"])[0]
    cloud.mapping(deploy("message", GRAVES="nowhere"), queue.arn)
    assert [("never", 1), ("good", 1), ("never", 2)] == tries(listener, 3)
    assert id == cloud.receive(dead)[0]["MessageId"]


@pytest.mark.parametrize("others", [["good"], []], ids=["a batch that partly succeeds", "a batch that fails whole"])
def test_a_retry_is_redelivered_after_the_handlers_delay(
    cloud: Cloud, deploy: Deploy, listener: Listener, name: str, others: list[str]
) -> None:
    queue = cloud.queue(name, visibility_s=60)
    cloud.send_all(queue, ["later", *others])
    cloud.mapping(deploy("message"), queue.arn)
    heard = [listener.next() for _ in range(2 + len(others))]
    assert [("later", 1), *[(text, 1) for text in others], ("later", 2)] == [
        (call.json["text"], call.json["attempt"]) for call in heard
    ]
    assert 2 <= heard[-1].at - heard[0].at < 20
    await_empty(cloud, queue)


def test_a_batch_handler_sets_the_outcome_of_each_message(
    cloud: Cloud, deploy: Deploy, listener: Listener, name: str
) -> None:
    graves, queue = cloud.queue(f"{name}-graves"), cloud.queue(name)
    ids = cloud.send_all(queue, ["good", "flaky", "never"])
    cloud.mapping(deploy("together", GRAVES=f"{name}-graves"), queue.arn)
    assert [["good", "flaky", "never"], ["flaky"]] == [batch["texts"] for batch in seen(listener, 2)]
    assert ids[2] == attributes(cloud.receive(graves)[0])["portable-fn-id"]
    await_empty(cloud, queue)


def test_async_handlers_run_at_once_and_fail_alone(cloud: Cloud, deploy: Deploy, listener: Listener, name: str) -> None:
    queue = cloud.queue(name)
    cloud.send_all(queue, ["one", "flaky", "three"])
    cloud.mapping(deploy("side_by_side"), queue.arn)
    assert [("flaky", 1), ("one", 1), ("three", 1)] == sorted(tries(listener, 3))
    assert [("flaky", 2)] == tries(listener, 1)
    await_empty(cloud, queue)


# FIFO queues


def test_a_fifo_group_stops_at_its_failure_and_the_others_go_on(
    cloud: Cloud, deploy: Deploy, listener: Listener, name: str
) -> None:
    queue = cloud.queue(f"{name}.fifo")
    for text, group in (("flaky a", "a"), ("b 1", "b"), ("a 2", "a"), ("b 2", "b")):
        cloud.send(queue, text, MessageGroupId=group)
    cloud.mapping(deploy("message"), queue.arn)
    messages = [(message["text"], message["key"]) for message in seen(listener, 5)]
    assert [("flaky a", "a"), ("b 1", "b"), ("b 2", "b"), ("flaky a", "a"), ("a 2", "a")] == messages
    await_empty(cloud, queue)


def test_a_fifo_group_waits_for_its_delayed_message(
    cloud: Cloud, deploy: Deploy, listener: Listener, name: str
) -> None:
    queue = cloud.queue(f"{name}.fifo", visibility_s=1)
    cloud.send_all(queue, ["later", "good"], group="a")
    cloud.mapping(deploy("message"), queue.arn)
    first, again, last = (listener.next() for _ in range(3))
    assert ["later", "later", "good"] == [message.json["text"] for message in (first, again, last)]
    assert 2 <= again.at - first.at
    await_empty(cloud, queue)


def test_a_fifo_group_goes_on_after_its_failure_is_dead_lettered(
    cloud: Cloud, deploy: Deploy, listener: Listener, name: str
) -> None:
    dead = cloud.queue(f"{name}-dead.fifo")
    queue = cloud.queue(f"{name}.fifo", dead_letter=dead, max_receives=2)
    cloud.send_all(queue, ["bad", "good"], group="a")
    cloud.mapping(deploy("message"), queue.arn, batch_size=1)
    assert [("bad", 1), ("bad", 2), ("good", 1)] == tries(listener, 3)
    assert ["bad"] == [message["Body"] for message in cloud.receive(dead)]
    await_empty(cloud, queue)


def test_a_rejected_fifo_message_keeps_its_group_among_the_dead_letters(
    cloud: Cloud, deploy: Deploy, listener: Listener, name: str
) -> None:
    graves, queue = cloud.queue(f"{name}-graves.fifo"), cloud.queue(f"{name}.fifo")
    cloud.send_all(queue, ["never", "good"], group="a")
    cloud.mapping(deploy("message", GRAVES=graves.arn), queue.arn)
    assert [("never", 1), ("good", 1)] == tries(listener, 2)
    [buried] = cloud.receive(graves)
    assert ("never", "a") == (buried["Body"], buried["Attributes"]["MessageGroupId"])
    await_empty(cloud, queue)


# Topics


def test_a_published_message_is_the_same_on_every_path(
    cloud: Cloud, deploy: Deploy, listener: Listener, name: str
) -> None:
    function, topic = deploy("message"), cloud.topic(name)
    wrapped, raw = cloud.queue(f"{name}-wrapped"), cloud.queue(f"{name}-raw")
    cloud.subscription(topic, function)
    cloud.subscription(topic, wrapped.arn)
    cloud.subscription(topic, raw.arn, raw=True)
    for queue in (wrapped, raw):
        cloud.mapping(function, queue.arn)
    kind = {"kind": {"DataType": "String", "StringValue": "x"}}
    id = cloud.publish(topic, "hello", Subject="news", MessageAttributes=kind)
    direct, within, bare = sorted(
        seen(listener, 3), key=lambda message: (message["channel"] != name, message["envelopes"])
    )
    assert [(name, 0, id, "news"), (name, 1, id, "news")] == [
        (message["channel"], message["envelopes"], message["id"], message["subject"]) for message in (direct, within)
    ]
    # Raw delivery drops the topic's envelope.
    assert (f"{name}-raw", 0) == (bare["channel"], bare["envelopes"])
    assert [("hello", {"kind": "x"})] * 3 == [
        (message["text"], message["attributes"]) for message in (direct, within, bare)
    ]


def test_a_published_message_is_redelivered_by_its_queue_with_its_first_id(
    cloud: Cloud, deploy: Deploy, listener: Listener, name: str
) -> None:
    topic, queue = cloud.topic(name), cloud.queue(f"{name}-queue")
    cloud.subscription(topic, queue.arn)
    cloud.mapping(deploy("message"), queue.arn)
    id = cloud.publish(topic, "flaky")
    assert [(id, 1), (id, 2)] == [(message["id"], message["attempt"]) for message in seen(listener, 2)]
    await_empty(cloud, queue)


# Objects


def test_an_object_with_an_odd_key_is_created_and_deleted(
    cloud: Cloud, deploy: Deploy, listener: Listener, name: str
) -> None:
    cloud.bucket(name, deploy("upload"))
    s3 = cloud.client("s3")
    s3.put_object(Bucket=name, Key=KEY, Body=b"hello")
    [created] = seen(listener, 1)
    assert (name, KEY, "created", 5) == tuple(created[field] for field in ("bucket", "key", "action", "size"))
    assert abs((datetime.now(UTC) - datetime.fromisoformat(created["time"])).total_seconds()) < 60
    s3.delete_object(Bucket=name, Key=KEY)
    [deleted] = seen(listener, 1)
    assert (name, KEY, "deleted") == tuple(deleted[field] for field in ("bucket", "key", "action"))
    assert created["id"] != deleted["id"]


def paths_by_bucket(cloud: Cloud, function: str, name: str) -> dict[str, tuple[list[str], list[str]]]:
    """Return, by the name of a bucket, the targets to notify (none for EventBridge) and the envelopes to expect."""
    queue, published, bridged = (cloud.queue(f"{name}-{which}-queue") for which in ("queue", "topic", "bridged"))
    topic, near = cloud.topic(f"{name}-topic-topic"), cloud.topic(f"{name}-near-topic")
    cloud.subscription(topic, published.arn)
    cloud.subscription(near, function)
    for origin in (queue, published, bridged):
        cloud.mapping(function, origin.arn)
    for kind, target in (("bus", function), ("bridged", bridged.arn)):
        pattern = {"source": ["aws.s3"], "detail": {"bucket": {"name": [f"{name}-{kind}"]}}}
        cloud.rule(f"{name}-{kind}", target, pattern=pattern)
    return {
        f"{name}-function": ([function], []),
        f"{name}-queue": ([queue.arn], [f"{name}-queue-queue"]),
        f"{name}-topic": ([topic], [f"{name}-topic-queue", f"{name}-topic-topic"]),
        f"{name}-near": ([near], [f"{name}-near-topic"]),
        f"{name}-bus": ([], ["aws.s3"]),
        f"{name}-bridged": ([], [f"{name}-bridged-queue", "aws.s3"]),
    }


def test_an_object_event_is_unwrapped_on_every_path_and_redelivered_on_the_same(
    cloud: Cloud, deploy: Deploy, listener: Listener, name: str
) -> None:
    for bucket, (targets, envelopes) in paths_by_bucket(cloud, deploy("upload"), name).items():
        cloud.bucket(bucket, *targets, events=["s3:ObjectCreated:*"])
        # ministack tries once to deliver an event of SNS or EventBridge to a function.
        times = 1 if bucket.endswith(("near", "bus")) else 2
        listener.will_answer(*[500] * (times - 1))
        cloud.client("s3").put_object(Bucket=bucket, Key=KEY, Body=b"hello")
        uploads = seen(listener, times)
        assert [(bucket, KEY, "created", 5, envelopes)] * times == [
            (upload["bucket"], upload["key"], upload["action"], upload["size"], upload["envelopes"])
            for upload in uploads
        ]
        assert 1 == len({upload["id"] for upload in uploads})


# Buses and schedules


def test_a_bus_event_is_a_cloudevent_direct_and_from_a_queue(
    cloud: Cloud, deploy: Deploy, listener: Listener, name: str
) -> None:
    function, queue = deploy("created"), cloud.queue(name)
    cloud.mapping(function, queue.arn)
    cloud.rule(f"{name}-direct", function, pattern={"source": [name]})
    cloud.rule(f"{name}-queued", queue.arn, pattern={"source": [name]})
    id = cloud.put_event(name, "order.created", {"n": 1.5})
    direct, queued = sorted(seen(listener, 2), key=lambda event: event["envelopes"])
    assert [0, 1] == [direct.pop("envelopes"), queued.pop("envelopes")]
    assert direct == queued
    assert abs((datetime.now(UTC) - datetime.fromisoformat(direct.pop("time"))).total_seconds()) < 60
    assert {
        "id": id,
        "type": "order.created",
        "source": name,
        "data": {"n": 1.5},
        "extensions": {"account": ACCOUNT, "region": REGION},
    } == direct


# Streams


def test_a_shards_records_arrive_in_order_and_are_redelivered_from_the_failed_one_on(
    cloud: Cloud, deploy: Deploy, listener: Listener, name: str
) -> None:
    stream = cloud.stream(name)
    for content, key in ((b"\xff one", "ada"), (b"two", "bob")):
        cloud.client("kinesis").put_record(StreamName=name, Data=content, PartitionKey=key)
    listener.will_answer(500)
    cloud.mapping(deploy("message"), stream)
    failed, first, second = seen(listener, 3)
    assert failed == first
    assert [("\ufffd one", "ada", name), ("two", "bob", name)] == [
        (record["text"], record["key"], record["channel"]) for record in (first, second)
    ]
    assert first["id"] != second["id"]


def test_a_rejected_record_of_a_stream_is_dead_lettered_and_its_shard_goes_on(
    cloud: Cloud, deploy: Deploy, listener: Listener, name: str
) -> None:
    graves, stream = cloud.queue(f"{name}-graves"), cloud.stream(name)
    for content in (b"\xff never", b"good"):
        cloud.client("kinesis").put_record(StreamName=name, Data=content, PartitionKey="ada")
    cloud.mapping(deploy("message", GRAVES=graves.arn), stream)
    rejected, good = seen(listener, 2)
    assert "good" == good["text"]
    [buried] = cloud.receive(graves)
    assert b"\xff never" == b64decode(buried["Body"])
    written = attributes(buried)
    assert ("unknown sku", rejected["id"]) == (written["portable-fn-reason"], written["portable-fn-id"])
    fields = json.loads(written["portable-fn-fields"])
    assert ("base64", "ada") == (fields["encoding"], fields["key"])
    cloud.client("kinesis").put_record(StreamName=name, Data=b"last", PartitionKey="ada")
    assert ["last"] == [record["text"] for record in seen(listener, 1)]


def test_a_packed_record_arrives_message_by_message_and_is_redelivered_whole(
    cloud: Cloud, deploy: Deploy, listener: Listener, name: str
) -> None:
    stream = cloud.stream(name)
    check = {"messageType": "CONTROL_MESSAGE", "logGroup": "", "logEvents": [{"id": "", "message": "health"}]}
    logs = {
        "messageType": "DATA_MESSAGE",
        "logGroup": "/shop",
        "logEvents": [{"id": "log-1", "timestamp": 1, "message": "hi"}],
    }
    for content in (aggregated(("ada", b"one"), ("bob", b"two")), zipped(check), zipped(logs)):
        cloud.client("kinesis").put_record(StreamName=name, Data=content, PartitionKey="outer")
    listener.will_answer(500)
    cloud.mapping(deploy("message"), stream)
    failed, first, second, third = seen(listener, 4)
    assert failed == first
    assert [("one", "ada", name), ("two", "bob", name), (json.dumps(logs), "outer", "/shop")] == [
        (record["text"], record["key"], record["channel"]) for record in (first, second, third)
    ]
    assert [":0", ":1", "log-1"] == [first["id"][-2:], second["id"][-2:], third["id"]]
    assert [1, 1, 1] == [record["envelopes"] for record in (first, second, third)]


def test_a_rows_changes_arrive_in_order_and_are_redelivered_after_a_failure(
    cloud: Cloud, deploy: Deploy, listener: Listener, name: str
) -> None:
    stream = cloud.table(name)
    rows = cloud.client("dynamodb")
    rows.put_item(TableName=name, Item={"id": {"S": "ada"}, "n": {"N": "1.5"}, "tags": {"SS": ["a"]}})
    update = {"UpdateExpression": "SET n = :n", "ExpressionAttributeValues": {":n": {"N": "2"}}}
    rows.update_item(TableName=name, Key={"id": {"S": "ada"}}, **update)
    rows.delete_item(TableName=name, Key={"id": {"S": "ada"}})
    listener.will_answer(500)
    cloud.mapping(deploy("change"), stream)
    failed, inserted, updated, removed = seen(listener, 4)
    assert failed == inserted
    before, after = (
        {"id": "ada", "n": "Decimal('1.5')", "tags": "{'a'}"},
        {"id": "ada", "n": "Decimal('2')", "tags": "{'a'}"},
    )
    assert [(name, "inserted", None, before), (name, "updated", before, after), (name, "removed", after, None)] == [
        (change["table"], change["action"], change["before"], change["after"])
        for change in (inserted, updated, removed)
    ]
    assert [{"id": "ada"}] * 3 == [change["key"] for change in (inserted, updated, removed)]
    assert 3 == len({change["id"] for change in (inserted, updated, removed)})


# Tasks


@pytest.mark.parametrize("client", ["awslambdaric", "portable_fn_aws.runtime"])
def test_step_functions_retry_and_catch_errors_by_class_name(
    cloud: Cloud, deploy: Deploy, listener: Listener, name: str, client: str
) -> None:
    task = {
        "Type": "Task",
        "Resource": deploy("reserve", client=client),
        "Retry": [{"ErrorEquals": ["ShelfLocked"], "IntervalSeconds": 1, "MaxAttempts": 2}],
        "Catch": [{"ErrorEquals": ["OutOfStock"], "ResultPath": "$.error", "Next": "Refuse"}],
        "End": True,
    }
    states = {"Reserve": task, "Refuse": {"Type": "Pass", "End": True}}
    machine = cloud.state_machine(name, {"StartAt": "Reserve", "States": states})
    # The shelf is locked twice.
    ended = cloud.execute(machine, {"sku": "sofa"})
    assert {"reserved": "sofa"} == json.loads(ended["output"])
    assert [{"sku": "sofa"}] * 3 == seen(listener, 3)
    ended = cloud.execute(machine, {"sku": "desk"})
    error = json.loads(ended["output"])["error"]
    assert ("OutOfStock", "no desk is there") == (error["Error"], json.loads(error["Cause"])["errorMessage"])
    # An error without a Catch ends the execution by its name; so does an outcome.
    ended = cloud.execute(machine, {"sku": "ghost"})
    assert ("FAILED", "Reject") == (ended["status"], ended["error"])
    assert [{"sku": "desk"}, {"sku": "ghost"}] == seen(listener, 2)


def test_an_asynchronous_call_that_fails_is_repeated(cloud: Cloud, deploy: Deploy, listener: Listener) -> None:
    function = deploy("reserve")
    listener.will_answer(500)
    cloud.invoke_later(function, {"sku": "lamp"})
    assert [{"sku": "lamp"}] * 2 == seen(listener, 2)


# The last test: by now ministack has most likely checked the schedules.
def test_a_schedule_sends_its_name_or_its_input(schedules: Listener) -> None:
    with_input, plain = sorted(seen(schedules, 2), key=lambda tick: str(tick["name"]))
    assert ("plain", None) == (plain["name"], plain["data"])
    assert abs((datetime.now(UTC) - datetime.fromisoformat(plain["time"])).total_seconds()) < 300
    # Only the input arrives; the id is the invocation's.
    assert ("", {"report": "daily"}, None) == tuple(with_input[field] for field in ("name", "data", "time"))
    assert with_input["id"]
