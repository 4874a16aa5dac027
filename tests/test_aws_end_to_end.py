"""Functions for events on an emulated AWS: boto3 puts something in, and what the function saw comes out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.runtimes.ministack import ACCOUNT, REGION, Cloud, ministack
from tests.runtimes.rest import Listener, listening

pytestmark = pytest.mark.runtime

APP = """
import json, os, urllib.request
from portable_fn import ChangeEvent, CloudEvent, Message, ObjectEvent, Reject, Retry, ScheduleEvent, Task, on, portable


class OutOfStock(Exception):
    pass


def see(**seen):
    body = json.dumps(seen, default=str).encode()
    urllib.request.urlopen(urllib.request.Request(os.environ["SEEN"], body), timeout=10).close()


@portable(on.queue("orders", dead_letter="graves"), on.topic("news"), on.stream("clicks"))
def message(event: Message):
    see(id=event.id, text=event.text, attempt=event.attempt, key=event.key, attributes=dict(event.attributes),
        envelopes=len(event.envelopes), channel=event.channel)
    if event.text == "later":
        raise Retry("busy", after=2)
    if event.text == "never":
        raise Reject("unknown")
    if event.text == "bad":
        raise OutOfStock(event.text)


@portable(on.object("uploads"))
def upload(event: ObjectEvent):
    see(bucket=event.bucket, key=event.key, action=event.action, envelopes=len(event.envelopes), id=event.id)


@portable(on.change("users"))
def change(event: ChangeEvent):
    see(table=event.table, action=event.action, before=event.before, after=event.after, key=event.key)


@portable(on.event("order.created"))
def created(event: CloudEvent):
    see(id=event.id, type=event.type, source=event.source, data=event.data)


@portable(on.task())
def work(event: Task):
    if event.data.get("fail"):
        raise OutOfStock("no lamps")
    return {"doubled": event.data["n"] * 2}
"""


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    with ministack() as running:
        yield running


@pytest.fixture
def listener() -> Iterator[Listener]:
    with listening() as server:
        yield server


def deployed(cloud: Cloud, listener: Listener, folder: Path, name: str, handler: str) -> str:
    """The functions, which tell the listener what they see."""
    entries = (
        "import sys\nfrom portable_fn_aws import entry\nall = entry(sys.modules[__name__])\nobjects = entry(upload)\n"
    )
    (folder / "app.py").write_text(f"{APP}\n{entries}")
    env = {
        "SEEN": listener.url, "AWS_ENDPOINT_URL_SQS": cloud.server.url, "AWS_REGION": REGION, "AWS_ACCESS_KEY_ID": ACCOUNT,
        "AWS_SECRET_ACCESS_KEY": "secret",
    }  # fmt: skip
    return cloud.function(name[-40:], folder, handler, env=env)


@pytest.fixture
def function(cloud: Cloud, listener: Listener, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    return deployed(cloud, listener, tmp_path, request.node.name, "app.all")


def seen(listener: Listener, count: int) -> list[dict[str, Any]]:
    return [listener.next().json for _ in range(count)]


def test_of_a_queue_only_the_failed_message_comes_again_and_then_to_its_dead_letters(
    cloud: Cloud, function: str, listener: Listener
) -> None:
    dead = cloud.queue("dead")
    queue = cloud.queue("orders", dead_letter=dead, max_receives=2)
    ids = cloud.send_all(queue, ["good", "bad"])
    cloud.mapping(function, queue.arn)
    assert [("good", 1), ("bad", 1), ("bad", 2)] == [(one["text"], one["attempt"]) for one in seen(listener, 3)]
    [buried] = cloud.receive(dead)
    assert (ids[1], "bad", 0) == (buried["MessageId"], buried["Body"], cloud.left(queue))


def test_a_rejected_message_is_sent_to_the_dead_letters_of_its_trigger(
    cloud: Cloud, function: str, listener: Listener
) -> None:
    graves, queue = cloud.queue("graves"), cloud.queue("orders-rejected")
    kind = {"kind": {"DataType": "String", "StringValue": "x"}}
    id = cloud.send(queue, "never", MessageAttributes=kind)
    cloud.mapping(function, queue.arn)
    assert {"kind": "x"} == listener.next().json["attributes"]
    [buried] = cloud.receive(graves)
    assert {"kind": "x", "ErrorMessage": "unknown", "EventId": id} == {
        name: value["StringValue"] for name, value in buried["MessageAttributes"].items()
    }
    assert ("never", 0) == (buried["Body"], cloud.left(queue))


def test_a_retry_waits_as_long_as_the_handler_says(cloud: Cloud, function: str, listener: Listener) -> None:
    queue = cloud.queue("orders-delayed", visibility_s=60)
    cloud.send_all(queue, ["later", "good"])
    cloud.mapping(function, queue.arn)
    # Sixty seconds are the queue's own, two the handler's.
    assert ["later", "good", "later"] == [one["text"] for one in seen(listener, 3)]


def test_a_fifo_groups_order_is_kept(cloud: Cloud, function: str, listener: Listener) -> None:
    dead = cloud.queue("dead.fifo")
    queue = cloud.queue("orders.fifo", dead_letter=dead, max_receives=2)
    cloud.send_all(queue, ["good", "bad", "late"], group="one")
    cloud.mapping(function, queue.arn)
    assert [("good", "one"), ("bad", "one"), ("bad", "one")] == [(one["text"], one["key"]) for one in seen(listener, 3)]
    assert "bad" == cloud.receive(dead)[0]["Body"]


def test_a_topics_message_is_the_same_by_every_road(cloud: Cloud, function: str, listener: Listener) -> None:
    topic, wrapped, raw = cloud.topic("news"), cloud.queue("wrapped"), cloud.queue("raw")
    cloud.subscription(topic, function)
    cloud.subscription(topic, wrapped.arn)
    cloud.subscription(topic, raw.arn, raw=True)
    for queue in (wrapped, raw):
        cloud.mapping(function, queue.arn)
    kind = {"kind": {"DataType": "String", "StringValue": "x"}}
    id = cloud.publish(topic, "hello", MessageAttributes=kind)
    found = sorted(seen(listener, 3), key=lambda one: (one["channel"], one["envelopes"]))
    assert [("news", 0, id), ("news", 1, id), ("raw", 0, found[2]["id"])] == [
        (one["channel"], one["envelopes"], one["id"]) for one in found
    ]
    assert [("hello", {"kind": "x"})] * 3 == [(one["text"], one["attributes"]) for one in found]


KEY = "a b/ü+%.txt"


def test_an_objects_odd_key_is_the_same_by_every_road(cloud: Cloud, listener: Listener, tmp_path: Path) -> None:
    function = deployed(cloud, listener, tmp_path, "objects", "app.objects")
    queue, topic, published = cloud.queue("objects"), cloud.topic("objects"), cloud.queue("published-objects")
    cloud.subscription(topic, published.arn)
    for one in (queue, published):
        cloud.mapping(function, one.arn)
    cloud.rule("objects", function, pattern={"source": ["aws.s3"]})
    for name, targets in (("direct", [function]), ("queued", [queue.arn]), ("topical", [topic]), ("bus", [])):
        cloud.bucket(f"uploads-{name}", *targets, events=["s3:ObjectCreated:*"])
        cloud.client("s3").put_object(Bucket=f"uploads-{name}", Key=KEY, Body=b"hello")
        one = listener.next().json
        assert (f"uploads-{name}", KEY, "created") == (one["bucket"], one["key"], one["action"])
        assert one["id"]


def test_a_tables_changes_arrive_before_and_after(cloud: Cloud, function: str, listener: Listener) -> None:
    stream = cloud.table("users")
    cloud.mapping(function, stream)
    table = cloud.client("dynamodb")
    table.put_item(TableName="users", Item={"id": {"S": "7"}, "n": {"N": "1.5"}, "s": {"SS": ["a"]}})
    table.delete_item(TableName="users", Key={"id": {"S": "7"}})
    inserted, removed = seen(listener, 2)
    row = {"id": "7", "n": "1.5", "s": "{'a'}"}
    assert ("users", "inserted", None, row) == tuple(inserted[name] for name in ("table", "action", "before", "after"))
    assert ("removed", row, None, {"id": "7"}) == tuple(removed[name] for name in ("action", "before", "after", "key"))


def test_a_streams_records_have_their_key(cloud: Cloud, function: str, listener: Listener) -> None:
    cloud.mapping(function, cloud.stream("clicks"))
    cloud.client("kinesis").put_record(StreamName="clicks", Data=b"clicked", PartitionKey="user-7")
    one = listener.next().json
    assert ("clicked", "user-7", "clicks") == (one["text"], one["key"], one["channel"])


def test_an_event_of_a_bus_is_a_cloudevent(cloud: Cloud, function: str, listener: Listener) -> None:
    cloud.rule("created", function, pattern={"source": ["shop"]})
    id = cloud.put_event("shop", "order.created", {"n": 1})
    assert {"id": id, "type": "order.created", "source": "shop", "data": {"n": 1}} == listener.next().json


def test_step_functions_retry_and_catch_the_error_by_its_name(cloud: Cloud, function: str, listener: Listener) -> None:
    machine = cloud.state_machine(
        "ordering",
        {
            "StartAt": "work",
            "States": {
                "work": {
                    "Type": "Task",
                    "Resource": function,
                    "Retry": [{"ErrorEquals": ["OutOfStock"], "MaxAttempts": 1, "IntervalSeconds": 1}],
                    "Catch": [{"ErrorEquals": ["OutOfStock"], "Next": "sorry"}],
                    "End": True,
                },
                "sorry": {"Type": "Pass", "Result": "sorry", "End": True},
            },
        },
    )
    assert {"doubled": 42} == json.loads(cloud.execute(machine, {"n": 21})["output"])
    assert "sorry" == json.loads(cloud.execute(machine, {"fail": True})["output"])
