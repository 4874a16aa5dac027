"""PORTABLE_FN_AWS_BATCH=report-always: failed records are reported, even if the whole batch failed."""

from __future__ import annotations

import copy
import logging
from typing import Any

import pytest

from portable_fn import Batch, ChangeEvent, DecodeError, Event, Message, Reject, Retry, on, portable
from portable_fn_aws import entry
from portable_fn_aws.simulate import LambdaContext
from tests.aws import samples
from tests.aws.samples import MQ, report


@pytest.fixture(autouse=True)
def _always(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORTABLE_FN_AWS_BATCH", "report-always")


@portable
def fails(event: Event) -> None:
    raise LookupError


@portable(on.queue("orders"))
def retries(order: Message) -> None:
    raise Retry("carrier is busy")


@portable(on.queue("orders"))
async def retries_async(order: Message) -> None:
    raise Retry("carrier is busy")


@portable(on.queue("orders"))
def retries_all(orders: Batch[Message]) -> None:
    for order in orders:
        orders.retry(order)


@portable(on.queue("orders"))
def rejects(order: Message) -> None:
    raise Reject("no dead letters, so it is a retry")


TWO = {"Records": [samples.SQS, samples.SQS_BARE]}


@pytest.mark.parametrize("handler", [fails, retries, retries_async, retries_all, rejects])
def test_a_batch_whose_messages_all_failed_is_reported(handler: Any) -> None:
    assert report("m-1", "m-2") == entry(handler)(TWO, LambdaContext())
    assert report("m-1") == entry(handler)({"Records": [samples.SQS]}, LambdaContext())


@pytest.mark.parametrize(
    ("native", "answer"),
    [
        ({"Records": [samples.FIFO, {**samples.FIFO, "messageId": "m-3"}]}, report("m-2", "m-3")),
        (samples.KINESIS_2, report("4954")),
        (samples.DYNAMODB_2, report("111")),
        (samples.KAFKA_4, report({"partition": "logs-2", "offset": 15}, {"partition": "logs-3", "offset": 0})),
        ([samples.SQS, samples.SQS_BARE], report("m-1", "m-2")),
    ],
)
def test_every_source_that_accepts_a_report_gets_one(native: Any, answer: Any) -> None:
    assert answer == entry(fails)(native, LambdaContext())


def test_the_report_has_the_state_of_a_tumbling_window() -> None:
    @portable(on.stream("clicks"))
    def count(clicks: Batch[Message]) -> None:
        clicks.state["n"] = 1
        raise LookupError

    native = {**samples.KINESIS_2, "window": samples.WINDOW, "state": {}}
    assert {**report("4954"), "state": {"n": 1}} == entry(count)(native, LambdaContext())


def test_no_warning_mentions_the_mapping(caplog: pytest.LogCaptureFixture) -> None:
    @portable(on.queue("orders"))
    def some_fail(order: Message) -> None:
        if order.id == "m-1":
            raise Retry

    with caplog.at_level(logging.INFO):
        assert report("m-1") == entry(some_fail)(TWO, LambdaContext())
    assert [] == [line for line in caplog.records if "ReportBatchItemFailures" in line.getMessage()]


@pytest.mark.parametrize(
    "native",
    [{"Records": [samples.SNS]}, {"Records": [samples.S3]}, samples.BUS, MQ["activemq"][0], {"Records": [samples.SES]}],
)
def test_sources_that_accept_no_report_still_fail(native: Any) -> None:
    with pytest.raises(LookupError):
        entry(fails)(native, LambdaContext())


def test_a_record_without_a_name_still_fails_the_batch() -> None:
    native = copy.deepcopy(TWO)
    native["Records"][0]["messageId"] = None  # type: ignore[assignment]  # as no queue has it
    with pytest.raises(DecodeError):
        entry(retries)(native, LambdaContext())


def test_by_default_a_batch_whose_messages_all_failed_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORTABLE_FN_AWS_BATCH", "report")
    with pytest.raises(Retry, match="carrier is busy"):
        entry(retries)(TWO, LambdaContext())


def test_a_failed_change_is_reported() -> None:
    @portable(on.change("users"))
    def audit(change: ChangeEvent) -> None:
        raise LookupError

    assert report("111") == entry(audit)({"Records": [samples.DYNAMODB]}, LambdaContext())
