"""Which field of AWS's payloads becomes which field of an event."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from portable_fn import (
    ChangeEvent,
    CloudEvent,
    Event,
    Message,
    ObjectEvent,
    ScheduleEvent,
    Task,
)
from portable_fn.events import Window
from portable_fn_aws import decode
from portable_fn_aws.events import decode as decode_events
from tests.aws.samples import (
    ACTIVEMQ,
    BROKER,
    BUS,
    BUS_S3,
    CLUSTER,
    DETAIL,
    DOCDB,
    DYNAMODB,
    EVENTS,
    FIFO,
    FUNCTION,
    INPUT,
    KAFKA,
    KINESIS,
    LOGS,
    MQ,
    QUEUE,
    RABBITMQ,
    RABBITMQ_BARE,
    REQUEST_ID,
    S3,
    SCHEDULED,
    SES,
    SNS,
    SQS,
    SQS_BARE,
    STREAM,
    TABLE,
    TABLE_CHANGE,
    TIME,
    WINDOW,
    all_fields,
    bus,
    context,
    incoming,
    logs,
    message,
)


@pytest.mark.parametrize("name", EVENTS)
def test_every_field_is_read_and_missing_fields_are_left_out(name: str) -> None:
    native, expected = EVENTS[name]
    assert [all_fields(event) for event in expected] == [all_fields(event) for event in incoming(native).items]


@pytest.mark.parametrize("name", MQ)
def test_a_brokers_correlation_id_is_in_the_carrier(name: str) -> None:
    native, expected = MQ[name]
    assert [{**all_fields(event), "carrier": carrier} for event, carrier in expected] == [
        all_fields(event) for event in incoming(native).items
    ]


@pytest.mark.parametrize(
    ("queue", "channel"), [("todo::/", "todo"), ("todo::a::b", "todo"), ("todo", "todo"), ("", "")]
)
def test_a_rabbitmq_queues_name_lacks_its_virtual_host(queue: str, channel: str) -> None:
    native = {"eventSource": "aws:rmq", "rmqMessagesByQueue": {queue: [RABBITMQ]}}
    (event,) = incoming(native).items
    assert isinstance(event, Message)
    assert (channel, "rmq") == (event.channel, event.source)


def test_a_mail_or_a_bus_event_with_a_lone_surrogate_can_be_read() -> None:
    for native in ({"Records": [SES]}, {**BUS, "detail": {"subject": "Hi \ud800"}}):
        (event,) = incoming(native).items
        assert isinstance(event, (Message, CloudEvent))
        assert "Hi \\ud800" in event.text and event.data == json.loads(event.body)


PIPED: dict[str, tuple[dict[str, Any], str, str]] = {
    "kafka": ({"eventSource": "aws:kafka", "eventSourceArn": CLUSTER, **KAFKA}, "logs-2-15", CLUSTER),
    "self-managed kafka": ({"eventSource": "SelfManagedKafka", "bootstrapServers": "s:9092", **KAFKA}, "logs-2-15", "s:9092"),
    "kafka of nowhere": ({"eventSource": "aws:kafka", **KAFKA}, "logs-2-15", "kafka"),
    "activemq": ({"eventSource": "aws:amq", "eventSourceArn": BROKER, **ACTIVEMQ}, "a-1", BROKER),
    "mq": ({"eventSource": "aws:mq", "eventSourceArn": BROKER, **ACTIVEMQ}, "a-1", BROKER),
    "rabbitmq": ({"eventSource": "aws:rmq", "eventSourceArn": BROKER, "eventSourceKey": "todo::/", **RABBITMQ}, "r-1", BROKER),
    "rabbitmq without an id": (
        {"eventSource": "aws:rmq", "eventSourceArn": BROKER, "eventSourceKey": "todo::/", **RABBITMQ_BARE},
        f"{REQUEST_ID}/todo:://0", BROKER,
    ),
    "rabbitmq without a queue": (
        {"eventSource": "aws:rmq", "eventSourceArn": BROKER, **RABBITMQ_BARE}, f"{REQUEST_ID}//0", BROKER,
    ),
    "rabbitmq of nowhere": ({"eventSource": "aws:rmq", **RABBITMQ}, "r-1", "rmq"),
    "sqs": (SQS_BARE, "m-2", QUEUE),
    "dynamodb": (DYNAMODB, "d-1", TABLE),
}  # fmt: skip


@pytest.mark.parametrize("name", PIPED)
def test_a_pipes_record_names_its_source(name: str) -> None:
    native, id, source = PIPED[name]
    batch = incoming([native])
    (event,) = batch.items
    assert isinstance(event, Event)
    assert (id, source, native, True, [native]) == (event.id, event.source, event.native, batch.pipe, batch.records)


def test_a_pipes_rabbitmq_record_names_its_queue() -> None:
    (event,) = incoming([PIPED["rabbitmq"][0]]).items
    assert isinstance(event, Message) and "todo" == event.channel


@pytest.mark.parametrize("first", [SQS, *(PIPED[name][0] for name in ("kafka", "mq", "rabbitmq"))])
def test_a_malformed_record_of_a_pipe_fails_alone(first: dict[str, Any]) -> None:
    items = incoming([first, 7]).items
    assert [True, False] == [isinstance(item, Event) for item in items]
    assert "can't be read: TypeError" in str(items[1]) or "can't be read: AttributeError" in str(items[1])


GROUPED: list[tuple[dict[str, Any], str, str]] = [
    ({"eventSource": "aws:kafka", "records": {"a": [KAFKA]}}, "kafka", "kafka"),
    ({"eventSource": "SelfManagedKafka", "bootstrapServers": "s:9092", "records": {"a": [KAFKA]}}, "kafka", "s:9092"),
    ({"eventSource": "aws:SelfManagedKafka", "records": {"a": [KAFKA]}}, "kafka", "SelfManagedKafka"),
    ({"eventSource": "aws:amq", "messages": [ACTIVEMQ]}, "mq", "amq"),
    ({"eventSource": "mq", "eventSourceArn": 7, "messages": [ACTIVEMQ]}, "mq", "mq"),
    ({"eventSource": "aws:rmq", "eventSourceArn": BROKER, "rmqMessagesByQueue": {"a": [RABBITMQ]}}, "mq", BROKER),
    ({"eventSource": "aws:docdb", "events": [DOCDB]}, "docdb", "docdb"),
]


@pytest.mark.parametrize(("native", "service", "source"), GROUPED)
def test_a_payloads_single_source_applies_to_all_records(native: Any, service: str, source: str) -> None:
    batch = incoming(native)
    assert (service, [source]) == (batch.service, [item.source for item in batch.items if isinstance(item, Event)])


IN_ORDER = [
    ("sqs", {"Records": [SQS]}, None), ("sqs", {"Records": [FIFO]}, "group"), ("sns", {"Records": [SNS]}, None),
    ("kinesis", {"Records": [KINESIS]}, ""), ("dynamodb", {"Records": [DYNAMODB]}, ""), ("s3", {"Records": [S3]}, None),
    ("ses", {"Records": [SES]}, None), ("docdb", EVENTS["docdb"][0], ""), ("kafka", EVENTS["kafka"][0], ("logs", "2")),
    ("mq", MQ["activemq"][0], None), ("mq", MQ["rabbitmq"][0], None), ("logs", logs(LOGS), None), ("eventbridge", BUS, None),
    ("invoke", INPUT, None), ("invoke", [INPUT], None), ("invoke", [], None), ("invoke", "text", None), ("invoke", None, None),
    ("invoke", [{"eventSource": "aws:new"}], None), ("invoke", {"eventSource": "aws:new"}, None),
    ("invoke", {"Records": [{"eventSource": "aws:new"}]}, None), ("invoke", {"Records": [1]}, None),
    ("invoke", {"Records": [{"eventSource": 1}]}, None), ("invoke", {"Records": {}}, None), ("invoke", {"awslogs": 1}, None),
    ("invoke", {"detail-type": "a", "source": "b"}, None), ("invoke", {"detail-type": "a", "detail": {}}, None),
    ("s3", {"Event": "s3:TestEvent"}, None), ("s3", {"Records": []}, None),
    ("logs", logs({"messageType": "CONTROL_MESSAGE"}), None), ("sqs", [FIFO], "group"), ("kafka", [PIPED["kafka"][0]], ("logs", "2")),
    ("mq", [PIPED["activemq"][0]], None), ("sqs", {"Records": [{}, SQS]}, None), ("sqs", {"Records": [{"messageId": "1"}, SQS]}, None),
    ("sns", {"Records": [{}, SNS]}, None), ("sqs", {"Records": [7, SQS]}, None), ("sqs", {"Records": [None, {"eventSource": ""}, FIFO]}, "group"),
    ("sqs", {"Records": [{"eventSource": None}, FIFO]}, "group"), ("sqs", {"Records": [{}, {"eventSource": 1}, SQS]}, None),
]  # fmt: skip


@pytest.mark.parametrize(("service", "native", "key"), IN_ORDER)
def test_a_payload_has_a_service_and_its_events_are_in_order_within_a_key(
    service: str, native: Any, key: object
) -> None:
    batch = incoming(native)
    events = [item for item in batch.items if isinstance(item, Event)]
    assert (service, key) == (batch.service, batch.key(events[0]) if batch.key is not None else None)
    assert batch.pipe == (type(native) is list and service != "invoke")


def test_each_record_of_a_batch_is_an_item() -> None:
    for native in (BUS, logs(LOGS)):
        assert [native] == incoming(native).records
    for native in (logs({"messageType": "CONTROL_MESSAGE"}), {"Event": "s3:TestEvent"}, {"Records": []}):
        assert [] == list(incoming(native).items)
    for native in (
        {"Records": [SQS, SQS_BARE]},
        EVENTS["kafka"][0],
        MQ["activemq"][0],
        MQ["rabbitmq"][0],
        EVENTS["docdb"][0],
    ):
        batch = incoming(native)
        assert len(batch.records) == len(batch.items) >= 2
        assert batch.records == [item.native for item in batch.items if isinstance(item, Event)]
        assert batch.records[1] is batch.items[1].native  # type: ignore[union-attr]  # all can be read


START, END = datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC), datetime(2023, 11, 14, 22, 15, 20, tzinfo=UTC)


@pytest.mark.parametrize(
    ("more", "service", "window", "state"),
    [
        ({"Records": [KINESIS], "state": {"n": 1}}, "kinesis", Window(START, END), {"n": 1}),
        ({"Records": [DYNAMODB], "state": None}, "dynamodb", Window(START, END), {}),
        (
            {"Records": [], "eventSourceARN": STREAM, "isFinalInvokeForWindow": True, "isWindowTerminatedEarly": False},
            "kinesis", Window(START, END, is_final=True), {},
        ),
        (
            {"Records": [], "eventSourceARN": TABLE, "isFinalInvokeForWindow": "true", "isWindowTerminatedEarly": True},
            "dynamodb", Window(START, END, ended_early=True), {},
        ),
        ({"Records": []}, "invoke", None, None),
        ({"Records": [], "eventSourceARN": "nonsense"}, "invoke", None, None),
        ({"Records": [], "eventSourceARN": 7}, "invoke", None, None),
    ],
)  # fmt: skip
def test_a_tumbling_window_is_read(more: Any, service: str, window: Window | None, state: Any) -> None:
    batch = incoming({"window": WINDOW, **more})
    assert (service, window, state) == (batch.service, batch.window, batch.state)


def test_a_direct_call_without_a_context_has_no_id() -> None:
    ctx = decode.AWSContext(None, True)
    assert all_fields(Task("", "", INPUT, native=INPUT)) == all_fields(decode_events.read_task(INPUT, ctx))
    assert ("", None) == (ctx.version, ctx.deadline)


def test_a_schedules_input_is_a_schedule_with_the_invocations_id() -> None:
    tick = ScheduleEvent(REQUEST_ID, FUNCTION, input=INPUT, native=INPUT)
    assert all_fields(tick) == all_fields(decode_events.read_schedule_input(INPUT, context()))
    called = decode_events.read_call(BUS, context())
    assert ("invoke", [BUS], [all_fields(Task(REQUEST_ID, FUNCTION, BUS, name="function", native=BUS))]) == (
        called.service, called.records, [all_fields(item) for item in called.items],
    )  # fmt: skip


# --- inner events ------------------------------------------------------------------------------------------------------

PLACED, CREATED = EVENTS["eventbridge"][1][0], EVENTS["s3"][1][0]


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (message({"Records": [S3]}), [CREATED]),
        (message(BUS), [PLACED]),
        (message({**BUS, "detail": '"Records"'}), [bus({**BUS, "detail": '"Records"'})]),
        (message(TABLE_CHANGE), [
            ChangeEvent("c-1", "users", "users", "inserted", key={"id": "7"}, time=TIME, type="INSERT", native=TABLE_CHANGE),
        ]),
        (message({**TABLE_CHANGE, "dynamodb": {"Keys": {}}}), [
            ChangeEvent("c-1", "users", "users", "inserted", type="INSERT", native={**TABLE_CHANGE, "dynamodb": {"Keys": {}}}),
        ]),
        (bus(BUS_S3), [
            ObjectEvent("b-1", "arn:aws:s3:::uploads", "uploads", "a+b%20é", "created", time=TIME, size=7, etag="tag", version="v1",
                        type="Object Created", notification=DETAIL, native=BUS_S3),
        ]),
        (bus(SCHEDULED), [
            ScheduleEvent("b-1", "arn:aws:events:r:1:rule/nightly", time=TIME, name="nightly", native=SCHEDULED),
        ]),
        (bus({**BUS, "detail": DYNAMODB}), [EVENTS["dynamodb"][1][0]]),
        (bus({**BUS, "detail": TABLE_CHANGE}), [
            ChangeEvent("c-1", "users", "users", "inserted", key={"id": "7"}, time=TIME, type="INSERT", native=TABLE_CHANGE),
        ]),
        (bus({**BUS, "detail": {"eventSource": "aws:new"}}), []),
        (bus({**BUS, "detail": {"eventSource": 1}}), []),
        (bus({**BUS_S3, "detail-type": "Object New"}), []),
        (bus(BUS), []),
        (message(DYNAMODB), []),
        (message({"Records": []}), []),
        (message({"Records": {"eventSource": "aws:s3"}}), []),
        (message({"Records": [{"eventSource": "aws:new"}]}), []),
        (message({"detail-type": "a", "source": "b"}), []),
        (message({"source": "b", "detail": {"detail-type": 1}}), []),
        (message([{"detail-type": 1, "Records": 1}]), []),
        (CloudEvent("c", "s", "t", b"{}", native="text"), []),
        (CloudEvent("c", "s", "t", b"{}", native={"detail": DYNAMODB}), []),
        (Task("t", "s", {"Records": [S3]}), []),
    ],
)  # fmt: skip
def test_an_event_inside_another_has_it_as_its_envelope(event: Event[Any], expected: list[Event[Any]]) -> None:
    envelopes = [all_fields(inner) for inner in (*event.envelopes, event)]
    assert [{**all_fields(inner), "envelopes": envelopes} for inner in expected] == [
        all_fields(inner) for inner in decode_events.unwrap(event)
    ]


@pytest.mark.parametrize("body", [b'{"Records"', b'{"Records": []}\xff', b'"detail-type', b'"dynamodb"'])
def test_a_body_that_isnt_json_holds_no_events(body: bytes) -> None:
    assert [] == decode_events.unwrap(message(body))


TEST_EVENT = {"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "uploads"}


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (message(TEST_EVENT), True),
        (message({**TEST_EVENT, "Records": []}), False),
        (message({**TEST_EVENT, "Event": "s3:TestEvent2"}), False),
        (message({"Service": "s3:TestEvent"}), False),
        (message("s3:TestEvent"), False),
        (message(b"s3:TestEvent"), False),
        (message(b"s3:TestEvent\xff"), False),
        (message({"n": 1}), False),
        (EVENTS["docdb"][1][1], True),
        (EVENTS["docdb"][1][0], False),
        (EVENTS["dynamodb"][1][0], False),
        (CREATED, False),
    ],
)
def test_notices_of_a_source_about_itself_are_recognised(event: Event[Any], expected: bool) -> None:
    assert expected is decode_events.is_notice(event)
