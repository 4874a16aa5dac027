"""`portable-fn redrive`: dead letters go back to where their events came from, and are deleted only once they are there."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from portable_fn import Message, Reject
from portable_fn.adapter.dead_letter import restored, structured
from portable_fn.cli import redrive
from portable_fn.cli.command import run as command
from portable_fn.errors import PortableError
from portable_fn.events import Event
from portable_fn.testing import fake
from portable_fn_aws import redrive as aws_redrive
from portable_fn_aws.drivers import queue as sqs
from portable_fn_aws.events.messages import read_sqs
from portable_fn_azure import redrive as azure_redrive
from portable_fn_azure.drivers import queue as queues
from portable_fn_gcp import redrive as gcp_redrive
from portable_fn_gcp.drivers import topic as pubsub
from portable_fn_gcp.events import messages
from tests.runtimes.azurite import Storage
from tests.runtimes.environments import Unavailable
from tests.runtimes.ministack import ACCOUNT, REGION, Cloud, ministack
from tests.runtimes.pubsub import PROJECT, PubSub
from tests.runtimes.pubsub import pubsub as pubsub_emulator

WHY = Reject("unknown sku")

# How it goes on, whatever the queue.


class Memory:
    """Dead letters in memory, two at a time; a letter that is taken out is there again once it is released."""

    def __init__(self, *events: Event[Any]) -> None:
        self.waiting = [
            fake.message(body=structured(event, WHY), id=f"letter-{n}") for n, event in enumerate(events, 1)
        ]
        self.out: list[Message[Any]] = []
        self.sent: list[tuple[str, Event[Any]]] = []
        self.refuses: set[str] = set()
        self.steps: list[str] = []
        self.keeps = False

    def receive(self) -> Sequence[Message[Any]]:
        found, self.waiting = self.waiting[:2], self.waiting[2:]
        self.out += found
        return found

    def event(self, letter: Message[Any]) -> Event[Any]:
        return restored(letter)

    def destination(self, letter: Message[Any]) -> str:
        event = restored(letter)
        return event.source if isinstance(event, Message) else ""

    def send(self, letter: Message[Any], event: Event[Any], to: str) -> None:
        self.steps.append(f"send {letter.id}")
        if event.id in self.refuses:
            raise PortableError("the queue is closed")
        if isinstance(event, Message) and event.body == b"\xff":
            raise ValueError("the queue takes texts")
        self.sent.append((to, event))

    def delete(self, letter: Message[Any]) -> None:
        self.steps.append(f"delete {letter.id}")
        if self.keeps:
            raise PortableError("the lock is gone")
        self.out.remove(letter)

    def release(self, letters: Sequence[Message[Any]]) -> None:
        for letter in letters:
            self.out.remove(letter)
            self.waiting.append(letter)


def orders(count: int) -> list[Message[Any]]:
    return [fake.message({"n": n}, id=f"m-{n}") for n in range(1, count + 1)]


def outcomes(letters: Memory, to: str | None = None, limit: int | None = None, dry_run: bool = False) -> list[str]:
    return [one.outcome for one in redrive.redriven(letters, to, limit, dry_run)]


def test_every_letter_is_sent_back_and_then_deleted() -> None:
    events = orders(5)
    letters = Memory(*events)
    assert ["sent"] * 5 == outcomes(letters)
    assert [("orders", event) for event in events] == letters.sent
    assert ([], []) == (letters.waiting, letters.out)
    assert [f"{step} letter-{n}" for n in range(1, 6) for step in ("send", "delete")] == letters.steps


def test_no_more_are_sent_than_the_limit() -> None:
    letters = Memory(*orders(5))
    assert ["sent"] * 3 == outcomes(letters, limit=3)
    assert (["letter-5", "letter-4"], []) == ([one.id for one in letters.waiting], letters.out)
    assert 3 == len(letters.sent)


def test_a_dry_run_sends_and_deletes_nothing() -> None:
    letters = Memory(*orders(3))
    found = list(redrive.redriven(letters, None, None, True))
    assert [("would be sent", "m-1", "orders", "unknown sku")] == [
        (one.outcome, one.id, one.to, one.reason) for one in found[:1]
    ]
    assert ([], [], 3) == (letters.sent, letters.out, len(letters.waiting))


def test_a_letter_that_cannot_be_sent_back_is_left_and_the_others_go() -> None:
    unreadable = fake.message(body=b'{"portablefnid"', attributes={"portable-fn-id": "m", "portable-fn-fields": "{"})
    letters = Memory(fake.object(), fake.message(body=b"\xff", id="bytes"), *orders(1))
    letters.waiting.insert(0, unreadable)
    found = list(redrive.redriven(letters, None, None, False))
    assert [
        ("left", "it can't be read: the portable-fn-fields of a dead letter can't be read"),
        ("left", "no queue is known for a ObjectEvent of uploads: name one with --to"),
        ("left", "the queue takes texts"),
        ("sent", ""),
    ] == [(one.outcome, one.why.partition(": Expecting")[0]) for one in found]
    assert ([], 3) == (letters.out, len(letters.waiting))


def test_to_also_takes_events_of_other_sources() -> None:
    event = fake.object()
    letters = Memory(event)
    assert ["sent"] == outcomes(letters, to="uploads-events")
    assert [("uploads-events", event)] == letters.sent


def test_it_stops_at_the_first_event_that_the_queue_refuses() -> None:
    letters = Memory(*orders(5))
    letters.refuses = {"m-2"}
    found = list(redrive.redriven(letters, None, None, False))
    assert [("sent", ""), ("left", "it wasn't sent: the queue is closed")] == [(one.outcome, one.why) for one in found]
    assert (["send letter-1", "delete letter-1", "send letter-2"], [], 4) == (
        letters.steps,
        letters.out,
        len(letters.waiting),
    )


def test_a_letter_that_is_sent_but_not_deleted_is_reported() -> None:
    letters = Memory(*orders(1))
    letters.keeps = True
    [one] = redrive.redriven(letters, None, None, False)
    assert ("sent", "but it is still among the dead letters: the lock is gone") == (one.outcome, one.why)


def test_an_interruption_releases_the_letters() -> None:
    letters = Memory(*orders(4))

    def interrupted(letter: Message[Any], event: Event[Any], to: str) -> None:
        raise KeyboardInterrupt

    letters.send = interrupted  # type: ignore[method-assign]  # as if the user had pressed Ctrl-C
    with pytest.raises(KeyboardInterrupt):
        list(redrive.redriven(letters, None, None, False))
    assert ([], 4) == (letters.out, len(letters.waiting))


def test_a_reader_that_stops_releases_the_letters() -> None:
    letters = Memory(fake.object(), *orders(3))
    found = redrive.redriven(letters, None, None, False)
    assert "left" == next(found).outcome
    found.close()  # type: ignore[attr-defined]  # a generator
    assert "letter-1" in [one.id for one in letters.waiting]


def test_a_letter_that_reappears_is_not_sent_twice() -> None:
    letters = Memory(fake.object())
    letter = letters.waiting[0]
    letters.waiting = [letter, letter]
    assert ["left"] == outcomes(letters)


# The command.


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> Memory:
    letters = Memory(*orders(2), fake.object())
    monkeypatch.setattr(redrive, "letters_of", lambda queue, where: letters)
    return letters


def test_the_command_shows_each_letter(memory: Memory, capsys: pytest.CaptureFixture[str]) -> None:
    assert 1 == command(["redrive", "orders-dead", "--as", "aws", "--yes"])
    assert [
        "sent m-1 → orders (unknown sku)",
        "sent m-2 → orders (unknown sku)",
        "left object-1 (unknown sku): no queue is known for a ObjectEvent of uploads: name one with --to",
        "2 sent, 1 left.",
    ] == capsys.readouterr().out.splitlines()
    memory.waiting.clear()
    assert 0 == command(["redrive", "orders-dead", "--as", "aws", "--yes"])
    assert "There are no dead letters.\n" == capsys.readouterr().out


def test_the_command_asks_for_confirmation(memory: Memory, capsys: pytest.CaptureFixture[str]) -> None:
    assert 2 == command(["redrive", "orders-dead", "--as", "aws"])
    assert "needs a terminal: add --yes or --dry-run" in capsys.readouterr().err
    assert [] == memory.steps


def test_a_dry_run_asks_nothing_and_prints_json(memory: Memory, capsys: pytest.CaptureFixture[str]) -> None:
    assert 1 == command(["redrive", "orders-dead", "--as", "aws", "--dry-run", "--output", "json"])
    told = json.loads(capsys.readouterr().out)["letters"]
    assert {
        "id": "m-1",
        "kind": "Message",
        "reason": "unknown sku",
        "to": "orders",
        "outcome": "would be sent",
        "why": "",
    } == told[0]
    assert [] == memory.steps


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("nowhere", "no provider 'nowhere'"),
        ("aws/kinesis", "aws has no dead letters in 'kinesis'; possible are sqs"),
        ("cloudflare", r"portable_fn.adapter.dead_letter.restored\(letter\)"),
        ("asgi", r"portable_fn.adapter.dead_letter.restored\(letter\)"),
    ],
)
def test_a_provider_whose_dead_letters_cannot_be_read_is_an_error(where: str, said: str) -> None:
    with pytest.raises(redrive.Failure, match=said):
        redrive.letters_of("dead", where)


# AWS


ARN = "arn:aws:sqs:eu-central-1:123456789012:"


class SQS:
    """Queues in memory by SQS's JSON protocol."""

    def __init__(self) -> None:
        self.queues: dict[str, list[dict[str, Any]]] = {}
        self.out: dict[str, tuple[str, dict[str, Any]]] = {}
        self.calls: list[str] = []

    def add(self, queue: str, request: dict[str, Any], **attributes: str) -> None:
        waiting = self.queues.setdefault(queue, [])
        waiting.append(
            {
                "MessageId": f"id-{len(self.calls)}-{len(waiting)}",
                "Body": request["MessageBody"],
                "MessageAttributes": request.get("MessageAttributes", {}),
                "Attributes": {"SentTimestamp": "1", "ApproximateReceiveCount": "1", **attributes},
            }
        )

    def post(self, endpoint: str, headers: Any, body: bytes, timeout: float) -> tuple[int, bytes]:
        action = headers["x-amz-target"].partition(".")[2]
        asked = json.loads(body)
        self.calls.append(action)
        queue = asked.get("QueueUrl", "").rpartition("/")[2]
        answer: dict[str, Any] = {}
        if action == "GetQueueUrl":
            if asked["QueueName"] not in self.queues:
                return 400, b'{"__type": "com.amazonaws.sqs#QueueDoesNotExist"}'
            answer = {"QueueUrl": f"https://sqs.eu-central-1.amazonaws.com/123456789012/{asked['QueueName']}"}
        elif queue not in self.queues:
            return 400, b'{"__type": "com.amazonaws.sqs#QueueDoesNotExist"}'
        elif action == "GetQueueAttributes":
            answer = {"Attributes": {"QueueArn": f"{ARN}{queue}"}}
        elif action == "ReceiveMessage":
            assert ("All" in asked["AttributeNames"], asked["VisibilityTimeout"]) == (True, 120)
            taken, self.queues[queue] = self.queues[queue][:10], self.queues[queue][10:]
            for one in taken:
                one["ReceiptHandle"] = f"handle-{len(self.out)}"
                self.out[one["ReceiptHandle"]] = queue, one
            answer = {"Messages": taken} if taken else {}
        elif action == "DeleteMessage":
            del self.out[asked["ReceiptHandle"]]
        elif action == "ChangeMessageVisibilityBatch":
            for one in asked["Entries"]:
                queue, message = self.out.pop(one["ReceiptHandle"])
                self.queues[queue].append(message)
        else:
            group = asked.get("MessageGroupId")
            self.add(queue, asked, **({"MessageGroupId": group} if group else {}))
        return 200, json.dumps(answer).encode()


@pytest.fixture
def fake_sqs(monkeypatch: pytest.MonkeyPatch) -> SQS:
    served = SQS()
    monkeypatch.setattr(sqs.api, "post", served.post)
    for name, value in (
        ("AWS_ACCESS_KEY_ID", "key"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_REGION", "eu-central-1"),
    ):
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    return served


def on_sqs(served: SQS, queue: str) -> list[Any]:
    """The messages of a queue, as a function gets them."""
    return [read_sqs(_record(one, f"{ARN}{queue}")) for one in served.queues[queue]]


def _record(received: dict[str, Any], arn: str) -> Any:
    attributes = {
        name: {f"{key[0].lower()}{key[1:]}": value for key, value in one.items()}
        for name, one in (received.get("MessageAttributes") or {}).items()
    }
    return {
        "messageId": received["MessageId"], "eventSourceARN": arn, "body": received["Body"],
        "attributes": received["Attributes"], "messageAttributes": attributes,
    }  # fmt: skip


def test_a_message_goes_back_to_its_queue_on_aws(fake_sqs: SQS) -> None:
    attributes: dict[str, Any] = {"tenant": "7", "raw": b"\xff", **{f"a{n}": "x" for n in range(7)}}
    event = fake.message({"n": 1.50}, source=f"{ARN}orders", attributes=attributes, content_type="application/json")
    fake_sqs.queues = {"orders": [], "dead": []}
    fake_sqs.add("dead", sqs.message(event, WHY, "https://sqs/1/dead"))
    [one] = redrive.redriven(redrive.letters_of("dead", "aws"), None, None, False)
    assert ("sent", "message-1", f"{ARN}orders", "unknown sku") == (one.outcome, one.id, one.to, one.reason)
    assert ([], {}) == (fake_sqs.queues["dead"], fake_sqs.out)
    [back] = on_sqs(fake_sqs, "orders")
    assert (event.body, attributes, "application/json", f"{ARN}orders") == (
        back.body,
        back.attributes,
        back.content_type,
        back.source,
    )


def test_a_message_keeps_its_group_on_the_way_back(fake_sqs: SQS) -> None:
    event = fake.message({}, source=f"{ARN}orders.fifo", key="customer-7", sequence="9")
    fake_sqs.queues = {"orders.fifo": [], "dead.fifo": []}
    request = sqs.message(event, WHY, "https://sqs/1/dead.fifo")
    fake_sqs.add("dead.fifo", request, MessageGroupId=request["MessageGroupId"])
    assert ["sent"] == [
        one.outcome for one in redrive.redriven(redrive.letters_of("dead.fifo", "aws"), None, None, False)
    ]
    assert "customer-7" == fake_sqs.queues["orders.fifo"][0]["Attributes"]["MessageGroupId"]


def test_a_message_of_a_topic_goes_back_in_its_envelope(fake_sqs: SQS) -> None:
    queue = fake.message({}, source=f"{ARN}orders", id="outer")
    topic = ARN.replace("sqs", "sns")
    event = fake.message(
        {"n": 1}, source=f"{topic}news", subject="news", attributes={"a": "b"}, attempt=1, channel="news"
    )
    event.envelopes = (queue,)
    fake_sqs.queues = {"orders": [], "dead": []}
    fake_sqs.add("dead", sqs.message(event, WHY, "https://sqs/1/dead"))
    assert [f"{ARN}orders"] == [
        one.to for one in redrive.redriven(redrive.letters_of("dead", "aws"), None, None, False)
    ]
    [back] = on_sqs(fake_sqs, "orders")
    assert (event, f"{ARN}orders") == (back, back.envelopes[0].source)


def test_a_message_that_sqs_dead_lettered_goes_back_unchanged(fake_sqs: SQS) -> None:
    envelope = json.dumps({"Type": "Notification", "TopicArn": "arn:x", "MessageId": "1", "Message": "m"})
    fake_sqs.queues = {"orders": [], "dead": []}
    fake_sqs.add("dead", {"MessageBody": envelope}, DeadLetterQueueSourceArn=f"{ARN}orders")
    [one] = redrive.redriven(redrive.letters_of("dead", "aws"), None, None, False)
    assert ("sent", f"{ARN}orders", "") == (one.outcome, one.to, one.reason)
    assert envelope == fake_sqs.queues["orders"][0]["Body"]


FORGED = {"portable-fn-id": "m", "portable-fn-reason": "no", "portable-fn-source": f"{ARN}admin"}


def test_a_sender_cannot_choose_where_a_message_is_sent_back_to(fake_sqs: SQS, topics: Topics) -> None:
    # A message that only looks like a dead letter, and that its provider dead-lettered, or its handler rejected.
    forged = fake.message({"n": 1}, source=f"{ARN}orders", attributes=FORGED)
    fake_sqs.queues = {"orders": [], "dead": [], "admin": []}
    fake_sqs.add("dead", sqs.message(forged, WHY, "https://sqs/1/dead"))
    strings = {name: {"DataType": "String", "StringValue": value} for name, value in FORGED.items()}
    fake_sqs.add("dead", {"MessageBody": "{}", "MessageAttributes": strings}, DeadLetterQueueSourceArn=f"{ARN}orders")
    found = list(redrive.redriven(redrive.letters_of("dead", "aws"), None, None, False))
    assert [f"{ARN}orders"] * 2 == [one.to for one in found]
    assert ([], 2) == (fake_sqs.queues["admin"], len(fake_sqs.queues["orders"]))
    assert [FORGED] * 2 == [one.attributes for one in on_sqs(fake_sqs, "orders")]

    own = pubsub.DEAD_LETTER_PREFIX
    chosen = {"portable-fn-id": "m", "portable-fn-source": "projects/shop/topics/admin"}
    claims = {f"{own}Subscription": "admin-push", f"{own}SubscriptionProject": "shop", **chosen}
    source = "projects/shop/subscriptions/orders-push"
    topics.waiting = [
        dead_lettered(fake.message({}, source=source, attributes=claims)),
        {"messageId": "1", "data": "e30=", "attributes": {**chosen, f"{own}Subscription": "orders-push"}},
    ]
    found = list(redrive.redriven(redrive.letters_of("dead-pull", "gcp"), None, None, False))
    assert ["projects/shop/topics/orders"] * 2 == [one.to for one in found]

    forged_text = structured(fake.message({}, channel="admin"), WHY)
    letters = azure_redrive.Letters.__new__(azure_redrive.Letters)
    letters.queue = "orders-poison"
    poison = fake.message(body=forged_text)
    assert (poison, "orders") == (letters.event(poison), letters.destination(poison))


def test_an_event_without_a_queue_needs_one_on_aws(fake_sqs: SQS) -> None:
    events: list[Event[Any]] = [
        fake.message({"n": 1}, source=ARN.replace("sqs", "kinesis") + "stream/clicks", channel="clicks", key="k"),
        fake.object("uploads", "a.png"),
        fake.message(
            body=b"\xff", source=ARN.replace("sqs", "kinesis") + "stream/clicks", channel="clicks", id="bytes"
        ),
    ]
    fake_sqs.queues = {"dead": [], "again": []}
    for event in events:
        fake_sqs.add("dead", sqs.message(event, WHY, "https://sqs/1/dead"))
    letters = redrive.letters_of(f"{ARN}dead", "aws/sqs")
    assert ["left"] * 3 == [one.outcome for one in redrive.redriven(letters, None, None, False)]
    assert 3 == len(fake_sqs.queues["dead"])
    found = list(redrive.redriven(letters, "again", None, False))
    assert ["sent", "sent", "left"] == [one.outcome for one in found]
    assert "SQS can't carry the body: it must be text, and not empty" == found[2].why
    first, second = on_sqs(fake_sqs, "again")
    from portable_fn_aws.events.decode import unwrap

    [event] = unwrap(second)
    assert (b'{"n":1}', events[1]) == (first.body, unwrap(event)[0])


def test_a_missing_queue_is_an_error(fake_sqs: SQS, capsys: pytest.CaptureFixture[str]) -> None:
    assert 2 == command(["redrive", "nowhere", "--as", "aws", "--yes"])
    assert "GetQueueUrl was refused with 400 QueueDoesNotExist" in capsys.readouterr().err


# Google


class Topics:
    """Subscriptions and topics in memory, by Pub/Sub's REST interface."""

    def __init__(self) -> None:
        self.waiting: list[dict[str, Any]] = []
        self.out: dict[str, dict[str, Any]] = {}
        self.published: list[tuple[str, dict[str, Any]]] = []
        self.topics = {"dead-pull": "dead", "orders-push": "orders"}

    def call(self, method: str, host: str, path: str, headers: Any, body: Any, seconds: float) -> tuple[int, bytes]:
        asked = json.loads(body or b"{}")
        name, _, verb = path.rpartition("/")[2].partition(":")
        answer: Any = {}
        if method == "GET":
            if name not in self.topics:
                return 404, b"{}"
            answer = {"topic": f"projects/shop/topics/{self.topics[name]}"}
        elif verb == "pull":
            for one in self.waiting:
                self.out[f"ack-{len(self.out)}"] = one
            answer = {
                "receivedMessages": [{"ackId": id, "message": one} for id, one in self.out.items()]
                if self.waiting
                else []
            }
            self.waiting = []
        elif verb == "modifyAckDeadline":
            if not asked["ackDeadlineSeconds"]:
                self.waiting += [self.out.pop(id) for id in asked["ackIds"]]
        elif verb == "acknowledge":
            for id in asked["ackIds"]:
                del self.out[id]
        else:
            self.published += [(name, one) for one in asked["messages"]]
        return 200, json.dumps(answer).encode()


@pytest.fixture
def topics(monkeypatch: pytest.MonkeyPatch) -> Topics:
    served = Topics()
    monkeypatch.setattr(pubsub.api, "call", served.call)
    monkeypatch.setattr(gcp_redrive, "WAIT", 0.05)
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", "localhost:1")
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "shop")
    return served


def dead_lettered(event: Event[Any]) -> dict[str, Any]:
    """What Pub/Sub has of a rejected event."""
    sent: list[Any] = []
    before = pubsub.publish
    pubsub.publish = lambda topic, body, attributes, key, end: sent.append((body, attributes, key))  # type: ignore[assignment]
    try:
        pubsub.dead_letter(event, WHY, "projects/shop/topics/dead")
    finally:
        pubsub.publish = before
    [(body, attributes, key)] = sent
    made = {"messageId": f"letter-{event.id}", "data": b64encode(body).decode(), "attributes": attributes}
    return {**made, "orderingKey": key} if key else made


def test_a_message_goes_back_to_its_topic_on_google(topics: Topics) -> None:
    push = fake.message({"n": 1}, source="projects/shop/subscriptions/orders-push", attributes={"a": "é"}, key="k", content_type="text/json")  # fmt: skip
    eventarc = fake.message({"n": 2}, id="m-2", source="//pubsub.googleapis.com/projects/shop/topics/orders")
    tasks = fake.message({"n": 3}, id="m-3", source="projects/shop/locations/x/queues/orders")
    topics.waiting = [dead_lettered(event) for event in (push, eventarc, tasks, fake.change(after={"id": "1"}))]
    found = list(redrive.redriven(redrive.letters_of("dead-pull", "gcp"), None, None, False))
    assert ["sent", "sent", "left", "left"] == [one.outcome for one in found]
    assert ["projects/shop/topics/orders"] * 2 == [one.to for one in found[:2]]
    (name, message), _ = topics.published
    assert ("orders", b'{"n":1}', {"a": "é", "content-type": "text/json"}, "k") == (
        name, b64decode(message["data"]), message["attributes"], message["orderingKey"],
    )  # fmt: skip
    assert (2, {}) == (len(topics.waiting), topics.out)
    [task, change] = redrive.redriven(redrive.letters_of("dead-pull", "gcp"), "again", None, False)
    assert ("sent", "sent") == (task.outcome, change.outcome)
    body = json.loads(b64decode(topics.published[-1][1]["data"]))
    assert ("portable_fn.change.inserted", "again") == (body["type"], topics.published[-1][0])


def test_a_message_that_pubsub_dead_lettered_goes_back_without_added_attributes(topics: Topics) -> None:
    own = "CloudPubSubDeadLetterSource"
    attributes = {
        "a": "b", f"{own}DeliveryCount": "5", f"{own}Subscription": "orders-push", f"{own}SubscriptionProject": "shop",
        f"{own}TopicPublishTime": "2026-01-02T03:04:05Z",
    }  # fmt: skip
    topics.waiting = [{"messageId": "1", "data": "e30=", "attributes": attributes}]
    assert ["sent"] == [
        one.outcome for one in redrive.redriven(redrive.letters_of("dead-pull", "gcp"), None, None, False)
    ]
    assert [("orders", {"data": "e30=", "attributes": {"a": "b"}})] == topics.published


@pytest.mark.parametrize(
    ("subscription", "said"),
    [("nowhere", "Pub/Sub answers 404 for projects/shop/subscriptions/nowhere"), ("", "project isn't known")],
)
def test_an_unreadable_subscription_is_an_error(
    topics: Topics, monkeypatch: pytest.MonkeyPatch, subscription: str, said: str
) -> None:
    if not subscription:
        monkeypatch.delenv("GOOGLE_CLOUD_PROJECT")
        monkeypatch.delenv("CLOUDSDK_CORE_PROJECT", raising=False)
    with pytest.raises(redrive.Failure, match=said):
        redrive.letters_of(subscription or "dead-pull", "gcp")


# Real queues.


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    try:
        with ministack() as running:
            yield running
    except Unavailable as exc:
        pytest.skip(str(exc))


@pytest.mark.runtime
@pytest.mark.parametrize("suffix", ["", ".fifo"])
def test_messages_of_sqs_go_back_unchanged(cloud: Cloud, monkeypatch: pytest.MonkeyPatch, suffix: str) -> None:
    for name, value in (
        ("AWS_ENDPOINT_URL", cloud.server.url), ("AWS_REGION", REGION),
        ("AWS_ACCESS_KEY_ID", ACCOUNT), ("AWS_SECRET_ACCESS_KEY", "secret"),
    ):  # fmt: skip
        monkeypatch.setenv(name, value)
    queue, dead = cloud.queue(f"redriven{suffix}"), cloud.queue(f"redriven-dead{suffix}")
    given = {
        "tenant": {"DataType": "String", "StringValue": "7"},
        "raw": {"DataType": "Binary", "BinaryValue": b"\xff"},
    }
    group = {"MessageGroupId": "g", "MessageDeduplicationId": "d"} if suffix else {}
    cloud.send(queue, '{"note": "é 🎉"}', MessageAttributes=given, **group)
    [sent] = cloud.receive(queue)
    message: Any = aws_redrive.Letters(queue.url)._letter(sent)
    for number in range(12):
        message.id = f"m-{number}"
        sqs.dead_letter(message, WHY, dead.url, queue.arn)
    assert 0 == command(["redrive", dead.arn, "--as", "aws", "--dry-run"])
    assert 12 == cloud.left(dead)
    assert 0 == command(["redrive", dead.url.rpartition("/")[2], "--as", "aws", "--limit", "5", "--yes"])
    assert (7, 5) == (cloud.left(dead), cloud.left(queue))
    assert 0 == command(["redrive", dead.url, "--as", "aws", "--yes"])
    assert (0, 12) == (cloud.left(dead), cloud.left(queue))
    for one in cloud.receive(queue, 12):
        back = aws_redrive.Letters(queue.url)._letter(one)
        assert (message.body, message.attributes, message.key) == (back.body, back.attributes, back.key)


@pytest.mark.runtime
def test_messages_of_pubsub_go_back_unchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        emulator = pubsub_emulator()
        running: PubSub = emulator.__enter__()
    except Unavailable as exc:
        pytest.skip(str(exc))
    try:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", running.host)
        monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", PROJECT)
        for topic in ("orders", "dead"):
            running.topic(topic)
        source = running.subscribe("orders-pull", "orders")
        running.subscribe("dead-pull", "dead")
        running.publish("orders", b"\xff\x00", {"tenant": "é", "content-type": "application/x"})
        [received] = running.pull("orders-pull")
        message = messages.push({"message": received["message"], "subscription": source}, None)
        for number in range(3):
            message.id = f"m-{number}"
            pubsub.dead_letter(message, WHY, "dead")
        assert 0 == command(["redrive", "dead-pull", "--as", "gcp", "--dry-run"])
        assert 0 == command(["redrive", "dead-pull", "--as", "gcp", "--yes"])
        assert 0 == command(["redrive", "dead-pull", "--as", "gcp", "--yes"])
        back = [one for _ in range(3) for one in running.pull("orders-pull", maximum=1)]
        for one in back:
            again = messages.push({"message": one["message"], "subscription": source}, None)
            assert (message.body, message.attributes, message.content_type) == (
                again.body,
                again.attributes,
                again.content_type,
            )
        assert 3 == len(back)
    finally:
        emulator.__exit__(None, None, None)


@pytest.mark.runtime
def test_messages_of_a_storage_queue_go_back_unchanged(
    storage: Storage, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("AzureWebJobsStorage", storage.connection_string)
    (tmp_path / "host.json").write_text('{"extensions": {"queues": {"messageEncoding": "none"}}}')
    plain = str(tmp_path / "handlers.py")
    for name in ("orders", "plain", "orders-poison"):
        storage.queue(name)
    for number in range(40):
        event = fake.message(body=b"\xff%d" % number, id=f"m-{number}", channel="orders")
        queues.dead_letter("storage_queue", "dead", "AzureWebJobsStorage", event, WHY, None, __file__)
    text = fake.message(body='{"note": "<é>"}', channel="plain", id="text")
    queues.dead_letter("storage_queue", "dead-plain", "AzureWebJobsStorage", text, WHY, None, plain)
    storage.send("orders-poison", b"poison")
    for event in (fake.message({}, channel="nowhere"), fake.object(), fake.message({}, channel="hub", partition="3")):
        queues.dead_letter("storage_queue", "others", "AzureWebJobsStorage", event, WHY, None, __file__)

    assert 0 == command(["redrive", "dead", "--as", "azure", "--dry-run"])
    assert 0 == command(["redrive", "dead", "--as", "azure", "--yes"])
    assert 0 == command(["redrive", "orders-poison", "--as", "azure/storage_queue", "--yes"])
    assert 0 == command(["redrive", "dead-plain", "--as", "azure", "--yes"])
    assert [] == [*storage.receive("dead"), *storage.receive("orders-poison"), *storage.receive("dead-plain")]
    back = [b64decode(one.text) for _ in range(2) for one in storage.receive("orders")]
    assert {b"\xff%d" % number for number in range(40)} | {b"poison"} == set(back)
    assert ['{"note": "<é>"}'] == [one.text for one in storage.receive("plain")]

    capsys.readouterr()
    assert 1 == command(["redrive", "others", "--as", "azure", "--yes"])
    assert (
        "it wasn't sent: the storage queue nowhere refused a message with 404 QueueNotFound" in capsys.readouterr().out
    )
    assert 2 == command(["redrive", "nowhere", "--as", "azure", "--yes"])
    assert "the storage queue nowhere answers GET with 404" in capsys.readouterr().err
    assert 0 == command(["redrive", "others", "--as", "azure", "--to", "plain", "--yes"])
    assert 3 == len(storage.receive("plain"))


def test_a_letter_that_a_storage_queue_cannot_carry_is_left() -> None:
    letter = fake.message({})
    letter.native = azure_redrive.Receipt("1", "receipt", "base64")
    letters = azure_redrive.Letters.__new__(azure_redrive.Letters)
    with pytest.raises(ValueError, match="keeps only a body, but the message has attributes, key"):
        letters.send(letter, fake.message({}, attributes={"a": "b"}, key="k"), "orders")
    with pytest.raises(ValueError, match="takes 65536 characters"):
        letters.send(letter, fake.message(body=b"x" * 60_000), "orders")
