"""No attack loses an event, repeats it, reorders it, imitates another or writes to another event's log."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from threading import Thread
from typing import Any

import pytest

from portable_fn import (
    Batch,
    CloudEvent,
    Context,
    EncodeError,
    Event,
    Message,
    ObjectEvent,
    Reject,
    Request,
    Retry,
    Task,
    on,
    portable,
)
from portable_fn.testing import deliver, fake
from portable_fn_aws import entry
from portable_fn_aws.drivers import api
from portable_fn_aws.drivers import queue as sqs
from portable_fn_aws.simulate import LambdaContext, payloads
from portable_fn_aws.simulate.messages import sqs_record
from portable_fn_gcp.simulate import exchange
from portable_fn_gcp.simulate import payloads as push_payloads

seen: list[Any] = []


@pytest.fixture(autouse=True)
def _nothing_seen() -> None:
    seen.clear()


def queue(*messages: Message[Any], **fields: Any) -> dict[str, Any]:
    return {"Records": [{**sqs_record(message), **fields} for message in messages]}


def invoke(native: Any, *functions: Any) -> Any:
    """Return the answer, from a thread that is abandoned if it hangs."""
    result: list[Any] = []

    def call() -> None:
        try:
            result.append(entry(*functions)(native, LambdaContext()))
        except BaseException as exc:
            result.append(exc)

    thread = Thread(target=call, daemon=True)
    thread.start()
    thread.join(20)
    assert not thread.is_alive(), "it hangs"
    return result[0]


@portable(on.queue("orders"))
def orders(message: Message) -> None:
    seen.append(message.id)


@portable
def any_message(message: Message) -> None:
    seen.append(message.id)


@portable(on.object("uploads"))
def uploads(upload: ObjectEvent) -> None: ...


@portable
def any_event(event: CloudEvent) -> None: ...


@portable(on.event("sold"))
def sold(event: CloudEvent) -> None: ...


@portable(on.task())
def step(task: Task) -> str:
    seen.append(task.data)
    return "stepped"


# --- bodies that look like somebody's envelope -------------------------------------------------------------------------

BUS_EVENT = {"detail-type": "Order", "source": "shop", "detail": {}, "id": "1", "time": "2026-01-02T03:04:05Z"}
LOOKALIKES = [
    {"Records": [{"eventSource": "aws:s3", "size": 1}]},
    {"Records": [{"eventSource": "aws:kinesis"}], "window": 5},
    {"Records": []},
    {"detail-type": "x", "source": 1, "detail": None},
    {"detail-type": "Object Created", "source": "aws.s3", "detail": {}, "id": "1"},
    {"detail-type": "Scheduled Event", "source": "aws.events", "detail": {}, "id": "1", "resources": [5]},
    {"eventSource": "aws:dynamodb", "tableName": 5, "dynamodb": {}},
    {"specversion": "1.0", "type": "a", "source": "b"},
    {"specversion": "9", "type": "a", "source": "b", "id": "1"},
    {"Type": "Notification", "TopicArn": "arn:aws:sns:eu-central-1:1:t"},
]


@pytest.mark.parametrize("body", LOOKALIKES, ids=str)
@pytest.mark.parametrize("functions", [(orders,), (orders, uploads, sold), (any_message, uploads, sold)])
def test_a_message_that_only_looks_like_an_envelope_is_a_message(functions: tuple[Any, ...], body: Any) -> None:
    assert {"batchItemFailures": []} == invoke(queue(fake.message(body, id="m-1")), *functions)
    assert ["m-1"] == seen


def test_an_unreadable_message_of_an_untaken_queue_reaches_no_function() -> None:
    @portable(on.queue("invoices"))
    def invoices(message: Message) -> None:
        seen.append(message.id)

    native = queue(fake.message(LOOKALIKES[0], channel="notifications"))
    assert "DecodeError" == type(invoke(native, orders, invoices, uploads)).__name__
    assert [] == seen


def test_an_event_whose_detail_only_looks_like_records_reaches_the_function_for_any_event() -> None:
    @portable
    def anything(event: Event) -> None:
        seen.append(event.id)

    native = {**BUS_EVENT, "detail": LOOKALIKES[0]}
    assert None is invoke(native, anything)
    assert ["1"] == seen


@pytest.mark.parametrize(
    "input",
    [
        BUS_EVENT,
        queue(fake.message({})),
        queue(fake.message({}))["Records"],
        {"Records": []},
        {"Event": "s3:TestEvent"},
        {"eventSource": "kafka"},
        {"awslogs": {"data": "x"}},
        {"version": "2.0", "rawPath": "/", "requestContext": {"http": {"method": "GET"}}},
    ],
)
def test_a_state_machines_input_is_a_tasks_whatever_it_looks_like(input: Any) -> None:
    assert "stepped" == invoke(input, step)
    assert [input] == seen


def test_an_event_of_a_bus_is_a_tasks_input_if_no_other_function_takes_it() -> None:
    assert "stepped" == invoke(BUS_EVENT, step, orders)
    assert None is invoke(BUS_EVENT, step, any_event)
    assert [BUS_EVENT] == seen


def test_requests_beside_tasks_stay_requests() -> None:
    @portable(on.http("GET", "/"))
    def page(request: Request) -> str:
        return "page"

    assert b"page" == deliver([page, step], fake.request("GET", "/"), to="aws").body


# --- what a handler may do ---------------------------------------------------------------------------------------------


async def later(event: Any) -> None:
    seen.append(event.id)


async def unawaited(event: Any, context: Context, call_next: Any) -> Any:
    return call_next(event, context)


@portable
def returns_a_coroutine(message: Message) -> Any:
    return later(message)


@portable
def yields(message: Message) -> Iterator[None]:
    seen.append(message.id)
    yield


@portable
async def yields_async(message: Message) -> Any:
    seen.append(message.id)
    yield


@portable(use=[unawaited])
async def in_middleware(message: Message) -> None:
    seen.append(message.id)


@portable
def batch_yields(batch: Batch[Message]) -> Iterator[None]:
    seen.append(len(batch))
    yield


@portable
async def beside(upload: ObjectEvent) -> None: ...


@pytest.mark.parametrize(
    "functions",
    [
        (returns_a_coroutine,), (yields,), (yields_async,), (in_middleware,), (batch_yields,),
        (returns_a_coroutine, uploads), (yields, beside), (batch_yields, uploads),
    ],
    ids=lambda functions: functions[0].__name__,
)  # fmt: skip
def test_a_message_whose_handler_never_ran_is_not_done(functions: tuple[Any, ...]) -> None:
    failure = invoke(queue(fake.message({})), *functions)
    assert isinstance(failure, EncodeError)
    assert "that nobody runs" in str(failure)
    assert [] == seen


@pytest.mark.parametrize("error", [StopIteration, StopAsyncIteration, GeneratorExit, KeyboardInterrupt, RecursionError])
def test_beside_async_functions_whatever_a_sync_one_raises_is_its_messages_outcome(error: type[BaseException]) -> None:
    @portable
    def fails(message: Message) -> None:
        if message.id == "m-2":
            raise error

    native = queue(*(fake.message({}, id=f"m-{number}") for number in (1, 2, 3)))
    assert {"batchItemFailures": [{"itemIdentifier": "m-2"}]} == invoke(native, fails, beside)


def test_a_handler_that_cancels_every_task_ends_no_process() -> None:
    @portable
    async def cancels(message: Message) -> None:
        for task in asyncio.all_tasks():
            task.cancel()
        await asyncio.sleep(0)

    error = invoke(queue(fake.message({}, id="m-1"), fake.message({}, id="m-2")), cancels)
    assert ("CancelledError", True) == (type(error).__name__, isinstance(error, Exception))


class Silent(Retry):
    """An error that passes nothing to its base."""

    def __init__(self) -> None:
        pass


class SilentReject(Reject):
    """An error that passes nothing to its base."""

    def __init__(self) -> None:
        pass


@pytest.mark.parametrize("error", [Silent, SilentReject])
def test_a_retry_or_reject_of_ones_own_needs_nothing_from_its_base(error: type[Exception]) -> None:
    @portable
    def fails(message: Message) -> None:
        if message.id == "m-1":
            raise error

    native = queue(fake.message({}, id="m-1"), fake.message({}, id="m-2"))
    assert {"batchItemFailures": [{"itemIdentifier": "m-1"}]} == invoke(native, fails)


# --- order -------------------------------------------------------------------------------------------------------------


def group(*ids: str) -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = payloads([fake.message({}, id=id, key="g") for id in ids], "sqs_fifo")[0]["Records"]
    return records


@portable(on.queue("orders", dead_letter="dead"))
def settles(batch: Batch[Message]) -> None:
    seen.append([message.id for message in batch])
    for message in batch:
        if message.id == "m-1":
            batch.retry(message)
        elif message.id == "m-2":
            batch.reject(message)


def test_a_message_retried_behind_its_group_is_not_dead_lettered_yet(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sent: list[str] = []
    monkeypatch.setattr(sqs, "dead_letter", lambda event, *rest: sent.append(event.id))
    answer = invoke({"Records": group("m-0", "m-1", "m-2")}, settles)
    assert {"batchItemFailures": [{"itemIdentifier": "m-1"}, {"itemIdentifier": "m-2"}]} == answer
    assert [] == sent


def test_no_batch_overtakes_a_record_of_a_fifo_queue_that_cannot_be_read() -> None:
    records = group("m-3", "m-4", "m-5")
    del records[1]["attributes"]
    answer = invoke({"Records": records}, settles, uploads)
    assert {"batchItemFailures": [{"itemIdentifier": "m-4"}, {"itemIdentifier": "m-5"}]} == answer
    assert [["m-3"]] == seen


def test_two_objects_that_one_request_tagged_are_two() -> None:
    @portable
    def tagged(event: ObjectEvent) -> None:
        seen.append(event.key)

    records = [payloads([fake.object(key=key)], "s3")[0]["Records"][0] for key in ("a", "b", "a")]
    for record in records:
        record["eventName"] = "ObjectTagging:Put"
        record["responseElements"] = {"x-amz-request-id": "R"}
        del record["s3"]["object"]["sequencer"]
    assert None is invoke({"Records": records}, tagged)
    assert ["a", "b"] == seen


# --- logs and dead letters ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [ValueError("x"), Retry("x"), Reject("x")])
def test_no_id_begins_a_line_of_the_log(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    @portable
    def fails(event: CloudEvent) -> None:
        raise error

    invoke({**BUS_EVENT, "id": "1\n[ERROR] forged\x1b[2J"}, fails)
    lines = [record.getMessage() for record in caplog.records]
    assert lines and any("forged" in line for line in lines)
    assert [] == [line for line in lines if "\n" in line or "\x1b" in line]


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Return what is sent to SQS."""
    sent: list[dict[str, Any]] = []

    def post(endpoint: str, headers: Any, body: bytes, timeout: float) -> tuple[int, bytes]:
        sent.append(json.loads(body))
        return 200, b"{}"

    monkeypatch.setattr(sqs.api, "post", post)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    return sent


OWNER = "arn:aws:lambda:eu-central-1:123456789012:function:f"


def test_a_dead_letter_has_nothing_that_sqs_refuses(requests: list[dict[str, Any]]) -> None:
    attributes: dict[str, str | bytes] = {
        "a b": "1", "a_b": "2", "AWS.x": "3", "": "4", "a..b": "5", "ok": "\x00", "half": "\ud800",
    }  # fmt: skip
    event = fake.message(body="\ufffe".encode(), attributes=attributes, id="m-1", content_type="")
    sqs.dead_letter(event, Reject("\x00 no\n"), "dead", OWNER)
    [request] = requests
    sent = request["MessageAttributes"]
    assert "77++" == request["MessageBody"]
    assert {"DataType": "String", "StringValue": "no"} == sent["portable-fn-reason"]
    assert {"DataType": "String", "StringValue": "m-1"} == sent["portable-fn-id"]
    assert {"DataType": "String", "StringValue": "2"} == sent["a_b"]
    assert {"String"} == {one["DataType"] for one in sent.values()}
    fields = json.loads(sent["portable-fn-fields"]["StringValue"])
    others = {"a b": "1", "AWS.x": "3", "": "4", "a..b": "5", "ok": "\x00", "half": "\ud800"}
    assert ("base64", others) == (fields["encoding"], fields["attributes"])


def test_two_dead_letters_in_a_fifo_queue_are_two(requests: list[dict[str, Any]]) -> None:
    # SNS has the same message in two queues, and two long ids may end alike.
    for id, name in (("m-1", "orders"), ("m-1", "bills"), ("a" + "x" * 128, "orders"), ("b" + "x" * 128, "orders")):
        message = fake.message({}, id=id, key="ключ", channel=name, source=f"arn:aws:sqs:eu-central-1:1:{name}")
        sqs.dead_letter(message, Reject("no"), "dead.fifo", OWNER)
    assert 4 == len({request["MessageDeduplicationId"] for request in requests})
    [group] = {request["MessageGroupId"] for request in requests}
    assert group.isascii() and len(group) <= 128


def test_setting_the_delays_of_a_large_batch_ends_in_time(requests: list[dict[str, Any]]) -> None:
    delays = [(f"receipt-{number}", 30) for number in range(50)]
    with pytest.raises(api.SQSError, match="the time is too short for 50 of 50"):
        sqs.delay("arn:aws:sqs:eu-central-1:1:orders", delays, 0)
    sqs.delay("arn:aws:sqs:eu-central-1:1:orders", delays, 60)
    assert 5 == len(requests)


# --- Google ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/hook"])
def test_a_push_that_only_looks_like_a_notification_is_a_message_beside_a_route_too(path: str) -> None:
    @portable(on.http("POST", "/hook"))
    def hook(request: Request) -> None:
        seen.append("hook")

    [request] = push_payloads([fake.message({}, id="m-1", attributes={"eventType": "OBJECT_FINALIZE"})], "pubsub_push")
    request.raw_path = path
    made = exchange((any_message, uploads, hook), request, "http")
    assert 204 == made.answer(made.invoke()).status
    assert ["m-1"] == seen
