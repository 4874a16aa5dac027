"""Data that no redelivery can mend is dead-lettered; events that can't be identified are retried, with one log line."""

from __future__ import annotations

import json
import logging
import time
from typing import Any

import pytest
from pydantic import BaseModel

from portable_fn import Batch, ChangeEvent, CloudEvent, Context, DecodeError, Event, Message, Task, on, portable
from portable_fn.adapter.batch import Consumer
from portable_fn.adapter.binding import bindings
from portable_fn.adapter.dispatch import Dispatcher
from portable_fn.providers import adapter
from portable_fn.testing import deliver, fake

PROVIDERS = ["aws", "gcp", "azure", "cloudflare", "asgi"]
# The services that carry any bytes.
BINARY = [
    ("aws", "kinesis"), ("aws", "kafka"), ("aws", "rabbitmq"), ("gcp", "pubsub_push"), ("gcp", "cloud_tasks"),
    ("azure", "event_hubs"), ("azure", "kafka"), ("azure", "service_bus_queue"), ("azure", "service_bus_settled"),
    ("azure", "storage_queue"), ("asgi", "cloud_event"), ("asgi", "dapr_pubsub"),
]  # fmt: skip


class Click(BaseModel):
    page: str


def reads_data(message: Message) -> None:
    message.data["page"]


def reads_text(message: Message) -> None:
    str(message.text)


async def reads_later(message: Message) -> None:
    message.data["page"]


def typed(message: Message[Click]) -> None: ...


def whole(batch: Batch[Message]) -> None:
    for message in batch:
        message.data["page"]


async def whole_later(batch: Batch[Message]) -> None:
    whole(batch)


def whole_typed(batch: Batch[Message[Click]]) -> None: ...


HANDLERS = [reads_data, reads_later, typed, whole, whole_later, whole_typed]
TRIGGERS = (
    on.queue("clicks", dead_letter="dead"), on.topic("clicks", dead_letter="dead"), on.stream("clicks", dead_letter="dead"),
)  # fmt: skip
GOOD = {"page": "/"}


def click(body: bytes | str, id: str = "m-1", **fields: Any) -> Message[Any]:
    return fake.message(body=body, id=id, channel="clicks", key="k", **fields)


@pytest.mark.parametrize("handler", HANDLERS)
@pytest.mark.parametrize("body", [b"{page: /", b"nothing", b'{"page": NaN}', b"[" * 300], ids=repr)
def test_malformed_json_is_dead_lettered_for_every_handler(body: bytes, handler: Any) -> None:
    function = portable(*TRIGGERS)(handler)
    events = [click(b'{"page": "/"}', "m-0"), click(body), click(b'{"page": "/"}', "m-2")]
    for provider, service in (("aws", "kinesis"), ("azure", "event_hubs")):
        delivery = deliver(function, events, to=provider, via=service)
        assert ["acknowledged", "dead-lettered", "acknowledged"] == delivery.outcomes
        assert "is not JSON" in delivery.results[1].why


@pytest.mark.parametrize(("provider", "service"), BINARY)
@pytest.mark.parametrize("handler", HANDLERS)
def test_bytes_that_are_not_text_are_dead_lettered(handler: Any, provider: str, service: str) -> None:
    function = portable(*TRIGGERS)(handler)
    assert ["dead-lettered"] == deliver(function, [click(b'\x1f\x8b{"page"')], to=provider, via=service).outcomes


# On Cloudflare a message of bytes is bytes, whose data can be read.
@pytest.mark.parametrize(("provider", "service"), [*BINARY, ("cloudflare", "queue")])
def test_bytes_that_are_not_text_are_dead_lettered_for_a_handler_that_reads_text(provider: str, service: str) -> None:
    function = portable(*TRIGGERS)(reads_text)
    assert ["dead-lettered"] == deliver(function, [click(b"\xff\xfe")], to=provider, via=service).outcomes


@pytest.mark.parametrize("handler", HANDLERS)
def test_without_dead_letters_it_is_retried(handler: Any) -> None:
    function = portable(on.queue("clicks"), on.stream("clicks"))(handler)
    for service in ("sqs", "kinesis"):
        delivery = deliver(function, [click("{page: /")], to="aws", via=service)
        assert ["retried"] == delivery.outcomes
        assert "DecodeError" == (delivery.error or ("", ""))[0]


def test_a_handler_may_read_such_data_itself() -> None:
    @portable(*TRIGGERS)
    def handler(message: Message) -> None:
        try:
            handled.append(message.data)
        except DecodeError:
            handled.append(message.body)

    handled: list[Any] = []
    assert ["acknowledged"] == deliver(handler, [click("{page: /")], to="aws").outcomes
    assert [b"{page: /"] == handled


def test_a_row_that_cannot_be_read_is_dead_lettered() -> None:
    @portable(on.change("users", dead_letter="dead"))
    def handler(change: ChangeEvent) -> None:
        seen.append(change.after)

    seen: list[Any] = []
    rows = [
        fake.change("users", after={"id": str(number)}, id=f"c-{number}", sequence=f"10{number}") for number in (1, 2)
    ]
    [payload] = adapter("aws", "simulate").payloads(rows, "dynamodb")
    payload["Records"][0]["dynamodb"]["NewImage"] = {"id": {"X": "no such type"}}
    from portable_fn_aws import entry
    from portable_fn_aws.drivers import api
    from portable_fn_aws.simulate import LambdaContext

    sent: list[Any] = []
    call, api.call = api.call, lambda *args, **named: sent.append(args) or {}  # type: ignore[func-returns-value]
    try:
        assert {"batchItemFailures": []} == entry(handler)(payload, LambdaContext())
    finally:
        api.call = call
    [(action, request, *_)] = sent
    assert ("SendMessage", [{"id": "2"}]) == (action, seen)
    # The letter has what the provider sent, for readers who understand it.
    assert {"X": "no such type"} == json.loads(request["MessageBody"])["data"]["dynamodb"]["NewImage"]["id"]


def test_an_event_that_is_read_inside_of_a_message_is_dead_lettered_too() -> None:
    @portable(on.event("click", dead_letter="dead"))
    def handler(event: CloudEvent) -> None:
        event.data["page"]

    event = fake.cloud_event("click", data=GOOD)
    event.body = b"{page: /"
    assert ["dead-lettered"] == deliver(handler, [event], to="aws", via="cloudevent_kinesis").outcomes
    # The same for data that can't be seen to be malformed: no redelivery makes it JSON.
    consumer = Consumer(Dispatcher(bindings(handler)), dead_letter=lambda *args: True)
    outcomes: Any = consumer.handle([click("{page: /")], Context())
    assert ["Reject"] == [type(one).__name__ for one in outcomes]


@pytest.mark.parametrize("is_async", [False, True])
def test_an_unreadable_event_that_another_function_may_take_is_retried(is_async: bool) -> None:
    async def later(event: CloudEvent) -> None: ...
    def now(event: CloudEvent) -> None: ...

    function = portable(on.event("click", dead_letter="dead"))(later if is_async else now)
    assert ["retried"] == deliver(function, [click('{"page": "/"}')], to="aws").outcomes

    # Two destinations, and nothing says which one.
    other = portable(on.event("other", dead_letter="elsewhere"))(later if is_async else now)
    assert ["retried"] == deliver([function, other], [click("{page: /")], to="aws").outcomes


def test_a_decode_error_of_something_else_is_an_error_like_any_other() -> None:
    @portable(*TRIGGERS)
    def handler(message: Message) -> None:
        raise DecodeError("what another service answered can't be read")

    assert ["retried"] == deliver(handler, [click("{}")], to="aws").outcomes


def test_later_events_of_a_key_wait_until_it_is_dead_lettered() -> None:
    function = portable(*TRIGGERS)(reads_data)
    bad, good = click("{page: /", "m-1"), click('{"page": "/"}', "m-2")
    for taken, expected in ((True, ["Reject", "Done"]), (False, ["Retry", "Retry"])):

        def send_letter(*_: Any, taken: bool = taken) -> bool:
            return taken

        consumer = Consumer(Dispatcher(bindings(function)), key=lambda event: event.key, dead_letter=send_letter)
        outcomes: Any = consumer.handle([bad, good], Context())
        assert expected == [type(one).__name__ for one in outcomes]


class Batches:
    """A batch handler that fails for unreadable messages."""

    def __init__(self) -> None:
        self.seen: list[list[str]] = []

    def function(self) -> Any:
        @portable(*TRIGGERS)
        def handler(batch: Batch[Message]) -> None:
            self.seen.append([message.id for message in batch])
            for message in batch:
                message.data["page"]
                batch.retry(message) if message.data["page"] == "again" else None

        return handler


def test_a_batch_is_handled_without_unreadable_messages() -> None:
    batches = Batches()
    sent = [click('{"page": "/"}', "m-0"), click("{", "m-1"), click('{"page": "again"}', "m-2"), click("[", "m-3")]
    consumer = Consumer(Dispatcher(bindings(batches.function())), dead_letter=lambda *_: True)
    outcomes: Any = consumer.handle(sent, Context())
    assert ["Done", "Reject", "Retry", "Reject"] == [type(one).__name__ for one in outcomes]
    assert [["m-0", "m-1", "m-2", "m-3"], ["m-0", "m-2", "m-3"], ["m-0", "m-2"]] == batches.seen


def test_a_batch_that_holds_nothing_else_is_not_handled_again() -> None:
    batches = Batches()
    consumer = Consumer(Dispatcher(bindings(batches.function())), dead_letter=lambda *_: True)
    assert ["Reject"] == [type(one).__name__ for one in consumer.handle([click("{")], Context())]  # type: ignore[union-attr]
    assert [["m-1"]] == batches.seen


def test_an_unreadable_message_without_a_destination_is_retried_with_the_later_ones() -> None:
    batches = Batches()
    consumer = Consumer(
        Dispatcher(bindings(batches.function())), key=lambda event: event.key, dead_letter=lambda *_: False
    )
    sent = [click('{"page": "/"}', "m-0"), click("{", "m-1"), click('{"page": "/"}', "m-2")]
    outcomes: Any = consumer.handle(sent, Context())
    assert ["Done", "Retry", "Retry"] == [type(one).__name__ for one in outcomes]
    assert [["m-0", "m-1", "m-2"], ["m-0"]] == batches.seen


def test_a_batch_is_not_handled_again_if_the_time_is_too_short() -> None:
    calls: list[int] = []

    @portable(*TRIGGERS)
    def slow(batch: Batch[Message]) -> None:
        calls.append(len(batch))
        time.sleep(0.3)
        batch[0].data["page"]

    consumer = Consumer(Dispatcher(bindings(slow)), dead_letter=lambda *_: True)
    outcomes: Any = consumer.handle([click("{"), click("{}", "m-2")], Context(deadline=time.time() + 0.55))
    assert (["Reject", "Retry"], [2]) == ([type(one).__name__ for one in outcomes], calls)


def test_a_task_is_never_rejected_for_it() -> None:
    @portable(on.task("work"))
    def work(task: Task) -> None:
        str(click("{").data)

    for provider in PROVIDERS:
        delivery = deliver(work, [fake.task(name="work")], to=provider)
        assert "DecodeError" == (delivery.error or ("", ""))[0]


# --- what can't be identified --------------------------------------------------------------------------------------------


def nothing(message: Message) -> None: ...
async def nothing_later(message: Message) -> None: ...
def nothing_whole(batch: Batch[Message]) -> None: ...


@pytest.mark.parametrize("handler", [nothing, nothing_later, nothing_whole])
def test_a_thousand_that_cannot_be_read_are_one_line_of_the_log(handler: Any, caplog: pytest.LogCaptureFixture) -> None:
    function = portable(*TRIGGERS)(handler)
    consumer = Consumer(Dispatcher(bindings(function)))
    import asyncio

    async def handled(items: list[Any]) -> list[Any]:
        return await consumer.handle_in_loop(items, Context())

    outcomes = asyncio.run(handled([*(DecodeError(f"broken {number}") for number in range(1000)), click("{}")]))
    assert ["Retry"] * 1000 + ["Done"] == [type(one).__name__ for one in outcomes]
    assert ["broken 0", "broken 999"] == [str(outcomes[0].error), str(outcomes[999].error)]
    [record] = caplog.records
    assert "1000 of 1001 events are for no function, or can't be read" in record.getMessage()
    assert record.exc_info is not None
    assert "broken 0" == str(record.exc_info[1])


@pytest.mark.parametrize("is_async", [False, True])
def test_a_thousand_that_are_for_no_function_are_one_line_too(is_async: bool, caplog: pytest.LogCaptureFixture) -> None:
    function = portable(nothing_later if is_async else nothing)
    import asyncio

    sent: list[Event[Any]] = [fake.schedule(id=f"s-{number}") for number in range(1000)]

    async def handled() -> list[Any]:
        return await Consumer(Dispatcher(bindings(function))).handle_in_loop(sent, Context())

    assert ["Retry"] * 1000 == [type(one).__name__ for one in asyncio.run(handled())]
    [record] = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert "the first, s-0" in record.getMessage()
