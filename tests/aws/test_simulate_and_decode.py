"""Decode what simulate renders: the event is the same."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portable_fn import (
    ChangeEvent,
    CloudEvent,
    Event,
    Message,
    ObjectEvent,
    ScheduleEvent,
    Task,
)
from portable_fn.testing import fake
from portable_fn_aws.events import decode as decode_events
from portable_fn_aws.simulate import EVENT_SERVICES, payloads
from tests.aws.calls import only_event

pytestmark = pytest.mark.slow

TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12)
ID = st.text(st.sampled_from("abcXYZ012-."), min_size=1, max_size=12).filter(lambda text: text.strip("."))
NAME = st.text(st.sampled_from("abcdefgh-_012"), min_size=1, max_size=10).filter(lambda name: name != "content-type")
TIME = st.integers(631152000000, 4102444800000).map(
    lambda milliseconds: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)
)
SECONDS = TIME.map(lambda time: time.replace(microsecond=0))
NUMBER = st.decimals(allow_nan=False, allow_infinity=False, places=3, min_value=-(10**9), max_value=10**9)
VALUE = st.recursive(
    st.none() | st.booleans() | TEXT | NUMBER | st.binary(max_size=5) | st.sets(TEXT, min_size=1, max_size=3) | st.sets(NUMBER, min_size=1, max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
PLAIN = st.dictionaries(
    TEXT, st.none() | st.booleans() | TEXT | NUMBER | st.binary(max_size=5) | st.lists(TEXT, max_size=2), max_size=3
)
LOSES_ATTRIBUTES = ("kinesis", "pipes_kinesis")
TEXT_ONLY = ("sqs", "sqs_fifo", "sns", "sns_sqs", "sns_sqs_fifo", "sns_sqs_raw", "pipes_sqs")
MESSAGES = [name for name in EVENT_SERVICES["Message"] if name not in ("logs", "ses")]


@st.composite
def messages(draw: st.DrawFn, service: str) -> Message[Any]:
    arn = "kafka" not in service and "mq" not in service
    channel = draw(NAME)
    kind = (
        "kinesis"
        if "kinesis" in service
        else "sns"
        if service.startswith("sns") and service != "sns_sqs_raw"
        else "sqs"
    )
    resource = f"stream/{channel}" if kind == "kinesis" else f"{channel}.fifo" if "fifo" in service else channel
    is_stream, is_kafka = kind == "kinesis", "kafka" in service
    is_fifo = "fifo" in service
    texts = st.dictionaries(NAME, TEXT, max_size=3)
    either = st.dictionaries(
        NAME, TEXT | st.binary(min_size=1, max_size=5).filter(lambda value: b"\xff" in value), max_size=3
    )
    attributes: dict[str, Any] = {}
    if service not in LOSES_ATTRIBUTES:
        attributes = draw(texts if "activemq" in service else either)
    partition = draw(st.integers(0, 20))
    offset = draw(st.integers(0, 10**12))
    id = f"{channel}-{partition}-{offset}" if is_kafka else draw(ID)
    if is_stream:
        id = f"shardId-{partition}:{offset}"
    key = draw(TEXT) if is_stream or is_fifo else draw(st.none() | TEXT) if is_kafka else None
    return fake.message(
        id=id,
        body=draw(TEXT.map(str.encode) if service in TEXT_ONLY else st.binary(max_size=20)),
        channel=channel,
        source=f"arn:aws:{kind}:eu-central-1:123456789012:{resource}" if arn else None,
        time=draw(SECONDS if "rabbitmq" in service else TIME),
        attributes=attributes,
        content_type=draw(st.sampled_from(["", "text/plain"])) if service in TEXT_ONLY or "rabbitmq" in service else "",
        subject=draw(st.just("") | TEXT) if service.startswith("sns") and service != "sns_sqs_raw" else "",
        attempt=None
        if is_stream or is_kafka or service == "sns"
        else 1
        if "mq" in service
        else draw(st.integers(1, 9)),
        key=key,
        partition=str(partition) if is_kafka else f"shardId-{partition}" if is_stream else None,
        sequence=str(offset) if is_stream or is_kafka or is_fifo else None,
    )


def same(expected: Event[Any], actual: Any, *lost: str) -> None:
    names = [name for name in expected._fields if name not in lost]
    assert {name: getattr(expected, name) for name in names} == {name: getattr(actual, name) for name in names}


def read(event: Event[Any], service: str, kind: type[Event[Any]]) -> Any:
    (native,) = payloads([event], service)
    event_read = only_event(json.loads(json.dumps(native)))
    while not isinstance(event_read, kind):
        (event_read,) = decode_events.unwrap(event_read)
    return event_read


@pytest.mark.parametrize("service", MESSAGES)
@settings(deadline=None, max_examples=25)
@given(data=st.data())
def test_decode_reads_the_messages_that_simulate_renders(service: str, data: st.DataObject) -> None:
    message = data.draw(messages(service))
    same(message, read(message, service, Message), *(("source",) if "kafka" in service or "mq" in service else ()))


@pytest.mark.parametrize("service", EVENT_SERVICES["ObjectEvent"])
@settings(deadline=None, max_examples=25)
@given(key=TEXT, bucket=NAME, action=st.sampled_from(["created", "deleted", "archived", "changed"]), id=ID, time=TIME,
       size=st.none() | st.integers(0, 10**13), etag=st.none() | TEXT, version=st.none() | TEXT)  # fmt: skip
def test_decode_reads_the_objects_that_simulate_renders(service: str, bucket: str, **fields: Any) -> None:
    if "eventbridge" not in service:
        fields["id"] += f".{fields['key']}"
    event = fake.object(bucket=bucket, source=f"arn:aws:s3:::{bucket}", **fields)
    same(event, read(event, service, ObjectEvent))


@pytest.mark.parametrize("service", EVENT_SERVICES["ChangeEvent"])
@settings(deadline=None, max_examples=25)
@given(data=st.data())
def test_decode_reads_the_changes_that_simulate_renders(service: str, data: st.DataObject) -> None:
    rows = PLAIN if service == "docdb" else st.dictionaries(TEXT, VALUE, max_size=4)
    before, after = data.draw(st.tuples(st.none() | rows, rows) | st.tuples(rows, st.none()))
    table = data.draw(NAME)
    event = fake.change(
        table, before=before, after=after, key=data.draw(st.dictionaries(TEXT, TEXT, min_size=1, max_size=2)), id=data.draw(ID),
        source={"docdb": "arn:aws:rds:eu-central-1:1:cluster:c", "dynamodb_kinesis": table}.get(
            service, f"arn:aws:dynamodb:eu-central-1:1:table/{table}/stream/2026"
        ),
        time=data.draw(SECONDS), sequence=None if service in ("docdb", "dynamodb_kinesis") else str(data.draw(st.integers(0, 10**30))),
    )  # fmt: skip
    same(event, read(event, service, ChangeEvent))


@pytest.mark.parametrize("service", ["scheduler", "scheduled_rule", "scheduler_sqs"])
@settings(deadline=None, max_examples=25)
@given(id=ID, at=SECONDS, name=NAME)
def test_decode_reads_the_schedules_that_simulate_renders(service: str, id: str, at: datetime, name: str) -> None:
    event = fake.schedule(id=id, at=at, name=name)
    same(event, read(event, service, ScheduleEvent), "source")


@pytest.mark.parametrize("service", EVENT_SERVICES["CloudEvent"])
@settings(deadline=None, max_examples=25)
@given(
    id=ID, source=TEXT, type=TEXT, time=TIME, data=st.dictionaries(TEXT, TEXT | st.integers(), max_size=3), tenant=TEXT
)
def test_decode_reads_the_cloudevents_that_simulate_renders(service: str, tenant: str, **fields: Any) -> None:
    has_extensions = service.startswith("cloudevent")
    event = fake.cloud_event(**fields, extensions={"tenant": tenant} if has_extensions else None)
    same(event, read(event, service, CloudEvent), *(() if has_extensions else ("extensions",)))


@settings(deadline=None, max_examples=25)
@given(value=st.recursive(st.none() | st.booleans() | st.integers() | TEXT, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3), max_leaves=8))  # fmt: skip
def test_decode_reads_the_tasks_that_simulate_renders(value: Any) -> None:
    sent = fake.task(value, name="function")
    same(sent, read(sent, "invoke", Task), "id", "source")
