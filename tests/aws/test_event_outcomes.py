"""Handle events and answer their sources."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from portable_fn import (
    Batch,
    ChangeEvent,
    ConfigurationError,
    Context,
    DecodeError,
    EncodeError,
    Message,
    Reject,
    Task,
    on,
    portable,
)
from portable_fn.testing import deliver, fake
from portable_fn.testing.results import Raised
from portable_fn_aws import entry
from portable_fn_aws.events import encode as encode_events
from portable_fn_aws.simulate import LambdaContext, payloads, playing, results
from tests.aws.calls import invoke, records


@portable
def odd_fails(message: Message) -> None:
    if message.data["n"] % 2:
        raise KeyError(message.data["n"])


def test_the_failed_messages_of_a_queues_batch_are_reported() -> None:
    assert {"batchItemFailures": [{"itemIdentifier": "m-1"}, {"itemIdentifier": "m-3"}]} == invoke(
        odd_fails, {"Records": records(1, 2, 3, 4)}
    )


def test_if_every_message_failed_the_first_error_is_raised() -> None:
    with pytest.raises(KeyError, match="3"):
        invoke(odd_fails, {"Records": records(3, 5)})


def test_the_whole_batch_fails_if_the_setting_says_raise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORTABLE_FN_AWS_BATCH", "raise")
    with pytest.raises(KeyError, match="1"):
        invoke(odd_fails, {"Records": records(1, 2)})
    assert {"batchItemFailures": []} == invoke(odd_fails, {"Records": records(2, 4)})
    monkeypatch.setenv("PORTABLE_FN_AWS_BATCH", "riase")
    with pytest.raises(
        ConfigurationError, match="PORTABLE_FN_AWS_BATCH is 'riase'; set report, report-always or raise"
    ):
        entry(odd_fails)


def test_a_warning_says_once_what_the_mapping_needs(caplog: pytest.LogCaptureFixture) -> None:
    handler = entry(odd_fails)
    for _ in range(3):
        handler({"Records": records(1, 2)}, LambdaContext())
    said = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert 1 == len(said)
    assert said[0].startswith(
        "1 of 2 sqs records are reported as failed: without FunctionResponseTypes=[ReportBatchItemFailures]"
    )


def test_a_malformed_record_fails_alone() -> None:
    batch = records(2, 4, 6)
    batch[1]["eventSourceARN"] = None
    assert {"batchItemFailures": [{"itemIdentifier": "m-4"}]} == invoke(odd_fails, {"Records": batch})


def test_a_record_without_a_name_fails_the_batch() -> None:
    batch = records(2, 4, 6)
    del batch[1]["messageId"]
    with pytest.raises(DecodeError, match="'messageId' is missing"):
        invoke(odd_fails, {"Records": batch})


def test_a_first_record_without_a_source_fails_alone() -> None:
    batch = records(2, 4)
    del batch[0]["eventSource"]
    batch[0]["body"] = None
    assert {"batchItemFailures": [{"itemIdentifier": "m-2"}]} == invoke(odd_fails, {"Records": batch})


def test_an_empty_batch_succeeds() -> None:
    assert None is invoke(odd_fails, {"Records": []})


@portable
def changes(change: ChangeEvent) -> None:
    if change.key["id"] == "2":
        raise ValueError


def test_only_the_first_failure_of_a_shard_is_reported() -> None:
    rows = [fake.change(after={"id": str(n)}, id=f"c-{n}", sequence=f"10{n}") for n in (1, 2, 3, 2)]
    assert {"batchItemFailures": [{"itemIdentifier": "102"}]} == invoke(changes, payloads(rows, "dynamodb")[0])


def test_the_first_failure_of_each_kafka_partition_is_reported() -> None:
    sent = [
        fake.message({"n": n}, id=f"k-{n}", partition=str(partition), sequence=str(offset))
        for n, partition, offset in ((2, 0, 5), (1, 0, 6), (3, 0, 7), (4, 1, 1), (5, 1, 2), (6, 2, 1))
    ]
    assert {
        "batchItemFailures": [
            {"itemIdentifier": {"partition": "orders-0", "offset": 6}},
            {"itemIdentifier": {"partition": "orders-1", "offset": 2}},
        ]
    } == invoke(odd_fails, payloads(sent, "kafka")[0])


@pytest.mark.parametrize("service", ["activemq", "rabbitmq"])
def test_a_brokers_batch_succeeds_or_fails_whole(service: str) -> None:
    sent = [fake.message({"n": n}, id=f"b-{n}") for n in (2, 1, 4)]
    with pytest.raises(KeyError):
        invoke(odd_fails, payloads(sent, service)[0])
    assert None is invoke(odd_fails, payloads(sent[:1], service)[0])


def test_the_rest_of_a_failed_fifo_group_is_redelivered_and_other_groups_go_on() -> None:
    sent = [
        fake.message({"n": n}, id=f"f-{n}", key=key) for n, key in ((2, "a"), (1, "a"), (4, "b"), (6, "a"), (8, "b"))
    ]
    assert {"batchItemFailures": [{"itemIdentifier": "f-1"}, {"itemIdentifier": "f-6"}]} == invoke(
        odd_fails, payloads(sent, "sqs_fifo")[0]
    )


WINDOW = {
    "window": {"start": "2026-01-01T00:00:00Z", "end": "2026-01-01T00:05:00Z"}, "state": {"sum": 1}, "shardId": "shardId-0",
    "eventSourceARN": "arn:aws:kinesis:eu-central-1:123456789012:stream/clicks", "isFinalInvokeForWindow": False,
    "isWindowTerminatedEarly": False,
}  # fmt: skip


@portable
def summed(batch: Batch[Message]) -> None:
    assert batch.window is not None
    batch.state = {
        "sum": batch.state.get("sum", 0) + sum(message.data["n"] for message in batch),
        "final": batch.window.is_final,
    }


def test_the_state_of_a_tumbling_window_is_returned() -> None:
    (native,) = payloads([fake.message({"n": n}, id=f"s:{n}") for n in (1, 2)], "kinesis")
    assert {"batchItemFailures": [], "state": {"sum": 4, "final": False}} == invoke(
        summed, {**native, **WINDOW, "state": {"sum": 1}}
    )
    last = {**WINDOW, "state": {"sum": 4}, "isFinalInvokeForWindow": True, "Records": []}
    assert {"batchItemFailures": [], "state": {"sum": 4, "final": True}} == invoke(summed, last)


@dataclass
class Receipt:
    total: Decimal
    at: datetime


@pytest.mark.parametrize(
    ("result", "answer"),
    [
        (None, None),
        ({"a": [1, 2.5, True, None]}, {"a": [1, 2.5, True, None]}),
        (
            Receipt(Decimal("1.10"), datetime(2026, 1, 1, tzinfo=UTC)),
            {"total": "1.10", "at": "2026-01-01T00:00:00+00:00"},
        ),
        ("text", "text"),
    ],
)
def test_a_tasks_result_is_a_json_value(result: Any, answer: Any) -> None:
    @portable
    def work(task: Task) -> Any:
        return result

    assert answer == invoke(work, {"n": 1})


def test_a_result_that_json_cant_express_raises_encode_error() -> None:
    @portable
    def work(task: Task) -> Any:
        return {"x": float("nan")} if task.data else object()

    for native in (0, 1):
        with pytest.raises(EncodeError, match="can't be written as JSON"):
            invoke(work, native)


def test_a_tasks_error_keeps_its_class_and_message() -> None:
    class OutOfStock(Exception):
        pass

    @portable
    async def work(task: Task) -> Any:
        if task.data == "exit":
            raise SystemExit("bye")
        if task.data == "reject":
            raise Reject("never")
        raise OutOfStock("no lamps")

    with pytest.raises(OutOfStock, match="no lamps"):
        invoke(work, {})
    for native, name, message in (("exit", "SystemExit", "bye"), ("reject", "Reject", "never")):
        with pytest.raises(Exception, match=message) as raised:
            invoke(work, native)
        assert name == type(raised.value).__name__


def test_a_payload_that_no_function_takes_raises_decode_error() -> None:
    with pytest.raises(DecodeError, match="no function takes a Task of 'cognito'; there are odd_fails"):
        invoke(odd_fails, {"triggerSource": "PreSignUp_SignUp", "userPoolId": "p"})


def test_an_answer_that_firehose_would_count_as_a_failure_is_an_error() -> None:
    answers: list[Any] = []

    @portable
    def transform(task: Task) -> Any:
        return answers[-1]

    native = {"invocationId": "i", "deliveryStreamArn": "a", "records": [{"recordId": "1"}, {"recordId": "2"}]}
    good = {"records": [{"recordId": "2", "result": "Dropped"}, {"recordId": "1", "result": "Ok", "data": "YQ=="}]}
    answers.append(good)
    assert good == invoke(transform, native)
    dropped = good["records"][0]
    answers.append(None)
    assert None is invoke(transform, native)  # so Firehose keeps all records as failed
    wrong: tuple[Any, ...] = (
        {"records": []},
        {"records": [dropped, dropped]},
        {"records": [dropped, {"recordId": "1", "result": "OK"}]},
        {"records": [dropped, {"recordId": "1", "result": "Ok"}]},
    )
    for bad in wrong:
        answers.append(bad)
        with pytest.raises(EncodeError, match="Firehose"):
            invoke(transform, native)


def test_a_pipes_enrichment_gets_results_and_its_target_failures() -> None:
    @portable
    def enrich(message: Message) -> Any:
        if message.data["n"] == 3:
            raise ValueError("three")
        return {"doubled": message.data["n"] * 2}

    native = payloads([fake.message({"n": n}, id=f"p-{n}") for n in (1, 2)], "pipes_kinesis")[0]
    assert [{"doubled": 2}, {"doubled": 4}] == invoke(enrich, native)
    with pytest.raises(ValueError, match="three"):
        invoke(enrich, payloads([fake.message({"n": n}, id=f"p-{n}") for n in (1, 3)], "pipes_sqs")[0])
    target = payloads([fake.message({"n": n}, id=f"p-{n}") for n in (2, 3)], "pipes_sqs")[0]
    assert {"batchItemFailures": [{"itemIdentifier": "p-3"}]} == invoke(odd_fails, target)


def test_context_variables_and_background_work_end_with_the_invocation() -> None:
    from contextvars import ContextVar

    variable: ContextVar[str] = ContextVar("variable", default="unset")
    seen: list[str] = []

    @portable
    async def handler(message: Message, ctx: Context) -> None:
        seen.append(variable.get())
        variable.set("leaked")

        async def later() -> None:
            seen.append("background")

        ctx.background(later())

    handler_ = entry(handler)
    handler_({"Records": records(1, 2)}, LambdaContext())
    handler_({"Records": records(3)}, LambdaContext())
    assert ["unset", "unset", "background", "background", "unset", "background"] == seen
    assert "unset" == variable.get()


@pytest.mark.parametrize(
    ("service", "answer", "again"),
    [
        ("sqs", None, []),
        ("sqs", {}, []),
        ("sqs", {"batchItemfailures": [{"itemIdentifier": "e-1"}]}, []),
        ("sqs", {"batchItemFailures": None}, []),
        ("sqs", {"batchItemFailures": [{"itemIdentifier": "e-2"}]}, [1]),
        ("sqs", {"batchItemFailures": [{"itemIdentifier": ""}]}, [0, 1, 2]),
        ("sqs", {"batchItemFailures": [{"itemIdentifier": None}]}, [0, 1, 2]),
        ("sqs", {"batchItemFailures": [{"itemidentifier": "e-2"}]}, [0, 1, 2]),
        ("sqs", {"batchItemFailures": [{"itemIdentifier": "nobody"}]}, [0, 1, 2]),
        ("sqs", Raised("ValueError", ""), [0, 1, 2]),
        ("kinesis", {"batchItemFailures": [{"itemIdentifier": "103"}, {"itemIdentifier": "102"}]}, [1, 2]),
        ("kafka", {"batchItemFailures": [{"itemIdentifier": {"partition": "orders-0", "offset": 102}}]}, [1, 2]),
        ("kafka", {"batchItemFailures": [{"itemIdentifier": "orders-0-102"}]}, [0, 1, 2]),
        ("activemq", {"batchItemFailures": [{"itemIdentifier": "e-2"}]}, []),
        ("activemq", Raised("ValueError", ""), [0, 1, 2]),
    ],
)
def test_simulate_reads_an_answer_as_aws_does(service: str, answer: Any, again: list[int]) -> None:
    sent = [fake.message({}, id=f"e-{n}", partition="0", sequence=f"10{n}") for n in (1, 2, 3)]
    with playing(service):
        outcomes = results(sent, service, [answer]).outcomes
    assert again == [index for index, outcome in enumerate(outcomes) if outcome == "retried"]


def test_a_message_that_wasnt_rejected_isnt_dead_lettered() -> None:
    @portable
    def rejects(message: Message) -> None:
        raise Reject("no")

    assert ["retried"] == deliver(rejects, fake.message({}), to="aws").outcomes


def test_a_reject_is_its_own_error() -> None:
    assert "Reject" == type(encode_events.handler_error(Reject("no"))).__name__


def test_by_default_a_delivery_uses_the_service_of_the_triggers_word() -> None:
    @portable(on.queue("orders"), on.topic("placed"), on.stream("clicks"))
    def handler(event: Message[Any]) -> None: ...

    def source(channel: str) -> str:
        native = deliver(handler, fake.message(0, channel=channel), to="aws").native_request["Records"][0]
        name: str = native["eventSource"] if "eventSource" in native else native["EventSource"]
        return name

    assert ["aws:sqs", "aws:sns", "aws:kinesis", "aws:sqs"] == list(map(source, ("orders", "placed", "clicks", "else")))
