"""Unpack records of Kinesis: aggregates of the Kinesis Producer Library, and batches of CloudWatch Logs."""

from __future__ import annotations

import gzip
import hashlib
import json
import logging
from base64 import b64decode, b64encode
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portable_fn import Batch, ChangeEvent, Context, DecodeError, Event, Message, Reject, Retry, on, portable
from portable_fn_aws import decode, entry
from portable_fn_aws.drivers import queue as sqs
from portable_fn_aws.events import decode as decode_events
from portable_fn_aws.events import packed
from portable_fn_aws.events.packed import Unpacked, UserRecord
from portable_fn_aws.simulate import LambdaContext
from tests.aws import samples

STREAM = "arn:aws:kinesis:eu-west-1:123456789012:stream/clicks"
MAGIC = b"\xf3\x89\x9a\xc2"

# Written by aws-kinesis-agg 1.2.3, Amazon's library: ada {"n":1}, bob {"n":2} with the hash key 42, ada {"n":3}.
THREE = bytes.fromhex(
    "f3899ac20a036164610a03626f62120234321a0b08001a077b226e223a317d1a0d080110001a077b226e223a327d1a0b08001a077b226e223a337d"
    "bbbc9975a31e4d794869fddd7fd2e3c2"
)
# Written with the messages_pb2 of that library: p {"n":1} with the hash key 7 and the tags tenant and bare; p FF.
TAGGED = bytes.fromhex(
    "f3899ac20a01701201371a23080010001a077b226e223a317d220c0a0674656e616e741202743122060a04626172651a0508001a01ff"
    "1abdf18a6d7966a9d083e21cf230c30b"
)


# A small writer of protobuf.


def varint(value: int) -> bytes:
    written = bytearray()
    while value > 127:
        written.append(value & 127 | 128)
        value >>= 7
    return bytes((*written, value))


def field(number: int, value: int | bytes) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def closed(inside: bytes) -> bytes:
    return MAGIC + inside + hashlib.md5(inside).digest()


def aggregated(*messages: tuple[str, bytes], hash_keys: Sequence[str] = ()) -> bytes:
    keys = list(dict.fromkeys(key for key, _ in messages))
    inside = b"".join(field(1, key.encode()) for key in keys) + b"".join(field(2, key.encode()) for key in hash_keys)
    for number, (key, data) in enumerate(messages):
        hash_key = field(2, number) if number < len(hash_keys) else b""
        inside += field(3, field(1, keys.index(key)) + hash_key + field(3, data))
    return closed(inside)


# An aggregated record without a message.
NOTHING = closed(field(1, b"key"))


def record(data: bytes, number: int = 49, **changes: Any) -> dict[str, Any]:
    kinesis = {
        "partitionKey": "outer", "sequenceNumber": str(number), "approximateArrivalTimestamp": 1700000000.123,
        "data": b64encode(data).decode(),
    }  # fmt: skip
    return {
        "eventSource": "aws:kinesis", "eventID": f"shardId-000000000006:{number}", "eventSourceARN": STREAM, "kinesis": kinesis,
        **changes,
    }  # fmt: skip


def batch(*datas: bytes) -> dict[str, Any]:
    return {"Records": [record(data, 49 + number) for number, data in enumerate(datas)]}


def piped(native: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {**record["kinesis"], **{name: value for name, value in record.items() if name != "kinesis"}}
        for record in native["Records"]
    ]


def items(native: Any) -> list[Any]:
    return list(decode_events.read_events(native, decode.AWSContext(LambdaContext(), True)).items)


def report(*numbers: int) -> dict[str, Any]:
    return {"batchItemFailures": [{"itemIdentifier": str(number)} for number in numbers]}


seen: list[Any] = []


@pytest.fixture(autouse=True)
def _nothing_seen() -> None:
    seen.clear()


# The messages of a record


def test_each_user_record_is_a_message_with_its_own_key_and_a_stable_id() -> None:
    messages_read = items(batch(THREE))
    assert [
        ("shardId-000000000006:49:0", "ada", b'{"n":1}', {}),
        ("shardId-000000000006:49:1", "bob", b'{"n":2}', {"ExplicitHashKey": "42"}),
        ("shardId-000000000006:49:2", "ada", b'{"n":3}', {}),
    ] == [(message.id, message.key, message.body, message.attributes) for message in messages_read]
    for message in messages_read:
        assert (STREAM, "clicks", "shardId-000000000006", "49", samples.TIME, None) == (
            message.source, message.channel, message.partition, message.sequence, message.time, message.attempt,
        )  # fmt: skip
        (outer,) = message.envelopes
        assert ("shardId-000000000006:49", "outer", THREE) == (outer.id, outer.key, outer.body)
        assert outer.native is message.native


def test_tags_are_attributes_and_data_may_be_any_bytes() -> None:
    first, second = items(batch(TAGGED))
    assert {"tenant": "t1", "bare": "", "ExplicitHashKey": "7"} == first.attributes
    assert ({}, b"\xff", "p") == (second.attributes, second.body, second.key)


@given(
    st.lists(
        st.tuples(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=5), st.binary(max_size=300)),
        min_size=1,
        max_size=12,
    ),
    st.booleans(),
)
def test_aggregated_messages_arrive_unchanged(messages: list[tuple[str, bytes]], is_pipe: bool) -> None:
    native = batch(aggregated(*messages), b"plain")
    *messages_read, plain = items(piped(native) if is_pipe else native)
    assert messages == [(message.key, message.body) for message in messages_read]
    assert len(messages) == len({message.id for message in messages_read})
    assert (b"plain", "outer") == (plain.body, plain.key)


def test_each_item_has_the_index_of_its_record() -> None:
    unpacked = Unpacked([record(THREE, 1), record(b"plain", 2), record(NOTHING, 3), {}, record(TAGGED, 5)])
    assert [0, 0, 0, 1, 3, 4, 4] == unpacked.places
    assert 7 == len(unpacked)
    assert [type(item) for item in unpacked] == [type(unpacked[index]) for index in range(7)]
    assert isinstance(unpacked[4], DecodeError)
    assert ["1:0", "1:1", "1:2", "2"] == [unpacked[index].id.partition(":")[2] for index in range(4)]


def test_unknown_fields_are_skipped() -> None:
    message = (
        field(1, 0)
        + field(9, 1)
        + field(3, b"1")
        + varint(10 << 3 | 1)
        + bytes(8)
        + varint(11 << 3 | 5)
        + bytes(4)
        + field(12, b"x")
    )
    (message_read,) = items(batch(closed(field(8, b"new") + field(3, message) + field(1, b"later"))))
    assert ("later", b"1") == (message_read.key, message_read.body)


def test_the_last_of_repeated_fields_counts() -> None:
    message = field(1, 0) + field(3, b"first") + field(1, 1) + field(3, b"last")
    (message_read,) = items(batch(closed(field(1, b"a") + field(1, b"b") + field(3, message))))
    assert ("b", b"last") == (message_read.key, message_read.body)


GOOD = field(1, b"k") + field(3, field(1, 0) + field(3, b"1"))
# Data that only starts like an aggregated record: it stays unchanged, as with Kinesis's libraries.
PLAIN = [
    MAGIC,
    MAGIC + bytes(16),
    MAGIC + GOOD,
    MAGIC + GOOD + bytes(16),
    closed(GOOD)[:-1],
    closed(GOOD) + b"x",
    b"\xf3\x89\x9a\xc3" + closed(GOOD)[4:],
    b"x" + closed(GOOD),
    closed(field(1, b"k") + field(3, field(1, 1) + field(3, b"1"))),
    closed(field(1, b"k") + field(3, field(1, 0) + field(2, 0) + field(3, b"1"))),
    closed(field(1, b"k") + field(3, field(3, b"1"))),
    closed(field(1, b"k") + field(3, field(1, 0))),
    closed(field(1, b"k") + field(3, field(1, b"0") + field(3, b"1"))),
    closed(field(1, b"k") + field(3, field(1, 0) + field(3, 1))),
    closed(field(1, b"k") + field(3, field(1, 0) + field(3, b"1") + field(4, 1))),
    closed(field(1, b"k") + field(3, field(1, 0) + field(3, b"1") + field(4, field(2, b"no key")))),
    closed(field(1, b"\xff") + field(3, field(1, 0) + field(3, b"1"))),
    closed(field(1, 7) + GOOD),
    closed(field(2, 7) + GOOD),
    closed(field(3, 7)),
    closed(GOOD + b"\x1a"),
    closed(GOOD + b"\x1a\x7f"),
    closed(GOOD + b"\x1b\x1c"),
    closed(GOOD + b"\x00\x00"),
    closed(GOOD + b"\x02\x00"),
    closed(GOOD + b"\x80" * 11),
    closed(GOOD + b"\x80"),
    closed(GOOD + b"\x09" + bytes(7)),
    closed(b"hello"),
]


@pytest.mark.parametrize("data", PLAIN, ids=range(len(PLAIN)))
def test_a_record_that_only_looks_aggregated_is_a_plain_record(data: bytes) -> None:
    message, after = items(batch(data, THREE))[:2]
    assert (data, "shardId-000000000006:49", "outer", ()) == (message.body, message.id, message.key, message.envelopes)
    assert "shardId-000000000006:50:0" == after.id


@given(st.binary(max_size=60), st.booleans())
def test_the_reader_survives_any_bytes(inside: bytes, closes: bool) -> None:
    native = batch(closed(inside) if closes else MAGIC + inside, b"plain")
    *messages_read, plain = items(native)
    assert b"plain" == plain.body
    assert all(
        isinstance(item, UserRecord) or item.body == b64decode(native["Records"][0]["kinesis"]["data"])
        for item in messages_read
    )


@given(st.integers(0, len(THREE) * 8 - 1))
def test_an_aggregate_with_a_flipped_bit_is_a_plain_record(bit: int) -> None:
    data = bytearray(THREE)
    data[bit // 8] ^= 1 << bit % 8
    (message,) = items(batch(bytes(data)))
    assert bytes(data) == message.body


@pytest.mark.parametrize(
    "change", [{"eventID": 7}, {"eventSourceARN": None}, {"kinesis": None}, {"kinesis": {"data": 7}}]
)
def test_a_packed_record_without_an_id_fails_alone(change: Any) -> None:
    *first, one, two, three = items({"Records": [record(THREE, **change), record(THREE, 50)]})
    assert ["50:0", "50:1", "50:2"] == [item.id.partition(":")[2] for item in (one, two, three)]
    assert 1 == len(first) and not isinstance(first[0], UserRecord)


def test_messages_over_the_limit_are_redelivered(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(packed, "MAX_MESSAGES", 4)

    @portable(on.stream("clicks"))
    def click(event: Message) -> None:
        seen.append(event.data["n"])

    # The first record's messages are handled, so the second record fits into the next batch.
    assert report(50) == entry(click)(batch(THREE, THREE), LambdaContext())
    assert [1, 2, 3] == seen
    assert "a batch of Kinesis records holds over 4 messages" in caplog.text
    assert 4 == len(Unpacked(batch(THREE, b"plain")["Records"]))
    monkeypatch.setattr(packed, "MAX_MESSAGES", 2)
    (refused,) = items(batch(THREE))
    assert isinstance(refused, DecodeError)


# The outcome of a record


def clicker(is_async: bool = False, concurrency: int = 1, **trigger: Any) -> Any:
    def act(event: Message) -> None:
        seen.append(event.id.partition(":")[2])
        if (body := event.data) and body.get("n") in FAILS:
            raise FAILS[body["n"]]

    async def act_async(event: Message) -> None:
        act(event)

    return portable(on.stream("clicks", **trigger), concurrency=concurrency)(act_async if is_async else act)


FAILS: dict[Any, BaseException] = {}
EVERY = [clicker(), clicker(True), clicker(True, 10)]


@pytest.fixture
def fails() -> Any:
    yield FAILS
    FAILS.clear()


def several(*numbers: int) -> bytes:
    return aggregated(*(("ada", b'{"n":%d}' % number) for number in numbers)) if numbers else NOTHING


@pytest.mark.parametrize("handler", EVERY)
@pytest.mark.parametrize("failing", range(6))
def test_a_failed_message_retries_its_record_and_later_messages_arent_started(
    handler: Any, failing: int, fails: Any
) -> None:
    fails[failing] = LookupError("on purpose")
    native = batch(several(0, 1), b'{"n":2}', several(3, 4, 5))
    places = ["49:0", "49:1", "50", "51:0", "51:1", "51:2"]
    native_answer = None
    try:
        native_answer = entry(handler)(native, LambdaContext())
    except LookupError:
        # If the first record fails, the whole batch fails.
        assert failing < 2
    else:
        assert report({0: 49, 1: 49, 2: 50}.get(failing, 51)) == native_answer
    assert places[: failing + 1] == seen


@pytest.mark.parametrize("handler", EVERY)
def test_a_record_is_acknowledged_when_all_its_messages_are(handler: Any) -> None:
    assert report() == entry(handler)(batch(several(0, 1), several(), b'{"n":2}'), LambdaContext())
    assert ["49:0", "49:1", "51"] == seen


def test_a_record_without_a_message_is_acknowledged_without_a_call() -> None:
    assert report() == entry(EVERY[0])(batch(several()), LambdaContext())
    assert [] == seen


def test_a_pipe_gets_the_name_of_the_record(fails: Any) -> None:
    fails[1] = Retry("on purpose")
    assert report(50) == entry(EVERY[0])(piped(batch(several(0), several(1, 2))), LambdaContext())


def test_a_pipes_enrichment_has_a_result_for_each_message() -> None:
    @portable(on.stream("clicks"))
    def enrich(event: Message) -> Any:
        return event.data["n"] * 10

    native = piped(batch(several(1, 2), b'{"n":3}', several(4), several()))
    assert [10, 20, 30, 40] == entry(enrich)(native, LambdaContext())


def test_a_record_delivered_twice_is_handled_once() -> None:
    native = {"Records": [record(THREE), record(THREE)]}
    assert report() == entry(EVERY[0])(native, LambdaContext())
    assert ["49:0", "49:1", "49:2"] == seen


@pytest.mark.parametrize("is_async", [False, True])
def test_a_batch_handler_gets_the_messages_and_sets_the_outcome_of_each(is_async: bool) -> None:
    def act(clicks: Batch[Message]) -> None:
        seen.extend((click.id.partition(":")[2], click.key) for click in clicks)
        clicks.retry(clicks[3])

    async def act_async(clicks: Batch[Message]) -> None:
        act(clicks)

    handler = portable(on.stream("clicks"))(act_async if is_async else act)
    assert report(50) == entry(handler)(batch(THREE, TAGGED, b"plain"), LambdaContext())
    assert [("49:0", "ada"), ("49:1", "bob"), ("49:2", "ada"), ("50:0", "p"), ("50:1", "p"), ("51", "outer")] == seen


def test_a_batch_handler_that_fails_retries_the_whole_batch() -> None:
    @portable(on.stream("clicks"))
    def fail(clicks: Batch[Message]) -> None:
        raise LookupError

    with pytest.raises(LookupError):
        entry(fail)(batch(THREE, b"plain"), LambdaContext())


def test_a_tumbling_windows_batch_has_the_messages_too() -> None:
    @portable(on.stream("clicks"))
    def count(clicks: Batch[Message]) -> None:
        clicks.state["n"] = clicks.state.get("n", 0) + len(clicks)

    native = {**batch(THREE, TAGGED), "window": samples.WINDOW, "state": {"n": 1}}
    assert {**report(), "state": {"n": 6}} == entry(count)(native, LambdaContext())


def test_a_handler_of_any_event_gets_the_messages() -> None:
    @portable
    def any_event(event: Event) -> None:
        seen.append((type(event), event.id.partition(":")[2]))

    entry(any_event)(batch(THREE), LambdaContext())
    assert [(UserRecord, "49:0"), (UserRecord, "49:1"), (UserRecord, "49:2")] == seen


def test_several_functions_get_each_message_and_one_failure_retries_the_record() -> None:
    @portable(on.stream("clicks"))
    def first(event: Message) -> None:
        seen.append(("first", event.key))

    @portable(on.stream("clicks"))
    def second(clicks: Batch[Message]) -> None:
        seen.extend(("second", click.key) for click in clicks)
        clicks.retry(clicks[2])

    with pytest.raises(Retry):
        entry(first, second)(batch(THREE, b"plain"), LambdaContext())
    assert {("first", "ada"), ("first", "bob"), ("second", "ada"), ("second", "bob"), ("second", "outer")} <= set(seen)


def test_a_record_is_retried_if_the_time_runs_short(caplog: pytest.LogCaptureFixture) -> None:
    context: Any = LambdaContext()
    context.get_remaining_time_in_millis = lambda: 50
    with caplog.at_level(logging.WARNING):
        assert report(50) == entry(EVERY[0])(batch(several(0), several(1, 2)), context)
    assert ["49:0"] == seen
    assert "2 of 3 events are returned unhandled" in caplog.text


def test_each_rejected_message_is_dead_lettered_and_the_record_goes_on(
    monkeypatch: pytest.MonkeyPatch, fails: Any
) -> None:
    sent: list[Any] = []

    def call(action: str, request: Any, *_: Any, **__: Any) -> Any:
        sent.append(request)
        return {}

    monkeypatch.setattr(sqs.api, "call", call)
    fails[0] = fails[2] = Reject("no such page")
    handler = clicker(dead_letter="dead.fifo")
    assert report() == entry(handler)(batch(several(0, 1, 2)), LambdaContext())
    assert ['{"n":0}', '{"n":2}'] == [request["MessageBody"] for request in sent]
    # A FIFO queue drops the second of two messages with equal ids.
    assert 2 == len({request["MessageDeduplicationId"] for request in sent})
    assert {"ada"} == {request["MessageGroupId"] for request in sent}


def test_a_dynamodb_change_in_an_aggregated_record_is_a_change() -> None:
    @portable(on.change("users"))
    def audit(change: ChangeEvent) -> None:
        seen.append((change.table, [type(envelope) for envelope in change.envelopes][-1]))

    entry(audit)(batch(aggregated(("k", json.dumps(samples.TABLE_CHANGE).encode()))), LambdaContext())
    assert [("users", UserRecord)] == seen


# CloudWatch Logs

LOG_EVENTS = [
    {"id": "e-1", "timestamp": 1700000000123, "message": "hello"},
    {"id": "e-2", "timestamp": 1700000000124, "message": "bye"},
]
LOGS: dict[str, Any] = {
    "messageType": "DATA_MESSAGE", "owner": "123456789012", "logGroup": "/shop", "logStream": "a", "subscriptionFilters": ["all"],
    "logEvents": LOG_EVENTS,
}  # fmt: skip
CONTROL = {
    "messageType": "CONTROL_MESSAGE", "owner": "CloudwatchLogs", "logGroup": "", "logStream": "", "subscriptionFilters": [],
    "logEvents": [{"id": "", "timestamp": 1510109208016, "message": "CWL CONTROL MESSAGE: Checking health of destination Kinesis stream."}],
}  # fmt: skip


def zipped(value: Any) -> bytes:
    return gzip.compress(value if isinstance(value, bytes) else json.dumps(value).encode())


@pytest.mark.parametrize("native", [LOGS, dict(sorted(LOGS.items())), {**LOGS, "logEvents": LOG_EVENTS * 200}])
@pytest.mark.parametrize("is_pipe", [False, True])
def test_logs_through_kinesis_are_read_like_direct_logs(native: Any, is_pipe: bool) -> None:
    through = batch(zipped(native))
    (message,) = items(piped(through) if is_pipe else through)
    (direct,) = items({"awslogs": {"data": b64encode(zipped(native)).decode()}})
    for name in (
        "id",
        "source",
        "channel",
        "time",
        "body",
        "content_type",
        "attributes",
        "partition",
        "data",
        "native",
        "subject",
    ):
        assert getattr(direct, name) == getattr(message, name), name
    (outer,) = message.envelopes
    assert ("shardId-000000000006:49", "outer", "49") == (outer.id, message.key, message.sequence)


@pytest.mark.parametrize("name", ["clicks", "/shop"])
def test_logs_match_the_streams_name_and_the_log_groups(name: str) -> None:
    @portable(on.stream(name))
    def log(logs: Message, ctx: Context) -> None:
        ctx.log.info("logs")
        seen.append([event["message"] for event in logs.data["logEvents"]])

    @portable(on.stream("another"))
    def other(logs: Message) -> None:
        raise AssertionError

    assert report() == entry(log, other)(batch(zipped(LOGS)), LambdaContext())
    assert [["hello", "bye"]] == seen


def test_the_check_of_a_subscription_is_acknowledged_without_a_call() -> None:
    assert report() == entry(EVERY[0])(batch(zipped(CONTROL), b'{"n":2}'), LambdaContext())
    assert ["50"] == seen


@pytest.mark.parametrize(
    "native",
    [batch(zipped(CONTROL), several(1)), batch(several(1, 2), zipped(CONTROL)), batch(NOTHING, several(1), NOTHING)],
)
def test_a_batch_whose_messages_all_failed_is_an_error_even_with_empty_records(native: Any, fails: Any) -> None:
    # AWS loses reported records if the mapping takes no reports.
    fails[1] = LookupError("on purpose")
    with pytest.raises(LookupError, match="on purpose"):
        entry(EVERY[0])(native, LambdaContext())


def test_failed_logs_retry_their_record() -> None:
    @portable(on.stream("clicks"))
    def log(logs: Message) -> None:
        seen.append(logs.channel)
        if logs.channel == "/shop":
            raise LookupError

    assert report(50) == entry(log)(batch(b"plain", zipped(LOGS), b"plain"), LambdaContext())
    assert ["clicks", "/shop"] == seen


def test_a_batch_handler_gets_logs_too() -> None:
    @portable(on.stream("clicks"))
    def log(batches: Batch[Message]) -> None:
        seen.extend((logs.channel, logs.id) for logs in batches)
        batches.retry(batches[1])

    native = batch(b"plain", zipped(CONTROL), zipped({**LOGS, "logGroup": ""}), zipped(LOGS))
    assert report(51) == entry(log)(native, LambdaContext())
    assert [("clicks", "shardId-000000000006:49"), ("clicks", "shardId-000000000006:51"), ("/shop", "e-1")] == seen


OTHER = [
    b"\x1f\x8b\x08",
    b"\x1f\x8b\x08" + bytes(20),
    zipped(LOGS)[:-20],
    zipped(b"a text"),
    zipped(b'{"messageType": "DATA_MESSAGE"'),
    zipped({"messageType": "MINE", "logGroup": "/shop", "logEvents": []}),
    zipped({"messageType": "CONTROL_MESSAGE"}),
    zipped({"messageType": "CONTROL_MESSAGE", "logGroup": "/shop"}),
    zipped({**LOGS, "messageType": ["CONTROL_MESSAGE"]}),
    zipped({**LOGS, "logGroup": ""}),
    zipped({**LOGS, "logGroup": 7}),
    zipped({**LOGS, "logEvents": []}),
    zipped({**LOGS, "logEvents": {}}),
    zipped({**LOGS, "logEvents": [7]}),
    zipped({**LOGS, "logEvents": [{"id": ""}]}),
    zipped([LOGS]),
    zipped(b"\xff" + json.dumps(LOGS).encode()),
    zipped(b"[" * 100_000 + b'"logGroup"'),
]


@pytest.mark.parametrize("data", OTHER, ids=range(len(OTHER)))
def test_gzip_of_other_data_is_a_plain_record(data: bytes) -> None:
    (message,) = items(batch(data))
    assert (data, "clicks", "shardId-000000000006:49") == (message.body, message.channel, message.id)


def test_logs_over_the_limit_are_a_plain_record(monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = zipped({**LOGS, "logEvents": [{"id": "e-1", "message": "0" * 100_000}]})
    monkeypatch.setattr("portable_fn_aws.events.logs.MAX_LOGS", 100_000)
    (message,) = items(batch(bomb))
    assert bomb == message.body
    monkeypatch.setattr("portable_fn_aws.events.logs.MAX_LOGS", 200_000)
    (message,) = items(batch(bomb))
    assert "/shop" == message.channel


def test_minor_fields_of_logs_may_be_missing() -> None:
    native = batch(zipped(LOGS))
    native["Records"][0]["kinesis"] = {"data": native["Records"][0]["kinesis"]["data"]}
    (message,) = items(native)
    assert ("e-1", None, None) == (message.id, message.key, message.sequence)
    (message,) = items(
        batch(zipped({"messageType": "DATA_MESSAGE", "logGroup": "/shop", "logEvents": [{"id": "e-1"}]}))
    )
    assert ("e-1", None, None) == (message.id, message.time, message.partition)


def test_a_batch_may_mix_plain_and_packed_records() -> None:
    native = batch(b'{"n":1}', THREE, zipped(CONTROL), zipped(LOGS), PLAIN[3])
    native["Records"].insert(1, {"eventSource": "aws:kinesis"})
    assert [b'{"n":1}', None, b'{"n":1}', b'{"n":2}', b'{"n":3}', json.dumps(LOGS).encode(), PLAIN[3]] == [
        None if isinstance(item, DecodeError) else item.body for item in items(native)
    ]


def test_a_batch_without_packed_records_doesnt_load_their_reader() -> None:
    incoming = decode_events.read_events(batch(b"plain", b"{}"), decode.AWSContext(None, True))
    assert incoming.places is None and not isinstance(incoming.items, Unpacked)
