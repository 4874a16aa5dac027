"""Failures, retries and rejections on each of Azure's services."""

from __future__ import annotations

from typing import Any

import azure.functions as func
import pytest

from portable_fn import (
    Batch,
    ChangeEvent,
    Context,
    Message,
    ObjectEvent,
    Reject,
    Retry,
    Task,
    on,
    portable,
)
from portable_fn.adapter.dead_letter import restored
from portable_fn.testing import deliver, fake
from portable_fn_azure import entry
from portable_fn_azure.events import event_grid, objects
from portable_fn_azure.simulate.events import payloads
from portable_fn_azure.simulate.payloads import Sent
from portable_fn_azure.simulate.worker import functions_for
from tests.azure.event_handlers import GOT, Busy, got


def failing(how: str, **triggered: Any) -> Any:
    """Return a function that fails in this way for the body b"fail"."""

    def handler(event: Message) -> None:
        GOT.append(event.id)
        if event.body == b"fail":
            if how == "raise":
                raise Busy("not now")
            if how == "exit":
                raise SystemExit(3)
            if how == "stop":
                raise StopIteration
            if how == "reject":
                raise Reject("never")
            raise Retry("later", after=30)

    return portable(on.queue("orders", **triggered), on.topic("orders", **triggered), on.stream("orders", **triggered))(
        handler
    )


def three(second: bytes = b"fail", **fields: Any) -> list[Any]:
    return [
        fake.message(body=body, id=f"m-{n}", partition="0", sequence=str(n), **fields)
        for n, body in enumerate((b"", second, b""), 1)
    ]


@pytest.mark.parametrize("how", ["raise", "exit", "stop", "retry"])
@pytest.mark.parametrize("service", ["storage_queue", "service_bus_queue", "service_bus_topic", "service_bus_settled"])
def test_a_failure_in_a_queue_costs_only_itself(service: str, how: str) -> None:
    outcomes = deliver(failing(how), three(), to="azure", via=service).outcomes
    assert ["acknowledged", "retried", "acknowledged"] == outcomes


@pytest.mark.parametrize("service", ["event_hubs", "kafka"])
def test_a_failure_in_a_stream_stops_its_partition(service: str) -> None:
    GOT.clear()
    outcomes = deliver(failing("raise"), three(), to="azure", via=service).outcomes
    assert ["acknowledged", "retried", "retried"] == outcomes
    assert 2 == len(GOT)


def test_a_failure_in_a_session_stops_the_session() -> None:
    GOT.clear()
    outcomes = deliver(failing("raise"), three(key="s"), to="azure", via="service_bus_sessions").outcomes
    assert (["acknowledged", "retried", "retried"], ["m-1", "m-2"]) == (outcomes, GOT)


@pytest.mark.parametrize("service", ["storage_queue", "service_bus_queue", "service_bus_topic", "event_hubs", "kafka"])
def test_a_rejected_message_goes_to_its_dead_letter_queue_if_there_is_one(service: str) -> None:
    sent = fake.message(body=b"fail")
    assert ["dead-lettered"] == deliver(failing("reject", dead_letter="bad"), sent, to="azure", via=service).outcomes
    assert ["retried"] == deliver(failing("reject"), sent, to="azure", via=service).outcomes


def test_settlement_dead_letters_a_message_with_the_reason() -> None:
    delivery = deliver(failing("reject"), three(), to="azure", via="service_bus_settled")
    assert ["acknowledged", "dead-lettered", "acknowledged"] == delivery.outcomes
    assert "never" == delivery.results[1].why


def test_a_rejected_message_too_large_for_a_storage_queue_is_retried() -> None:
    @portable(on.queue("orders", dead_letter="bad"))
    def refuses(event: Message) -> None:
        raise Reject

    assert ["retried"] == deliver(refuses, fake.message(body=b"x" * 50_000), to="azure", via="storage_queue").outcomes


def test_a_rejected_binary_message_is_dead_lettered_unchanged() -> None:
    @portable(on.queue("orders", dead_letter="bad"))
    def refuses(event: Message) -> None:
        raise Reject

    delivery = deliver(refuses, fake.message(body=b"\xff\x00"), to="azure", via="storage_queue")
    assert [b"\xff\x00"] == [restored(letter).body for letter in delivery.native_answers[0][0].out]


@pytest.mark.parametrize("service", ["service_bus_topic", "event_hubs", "kafka"])
def test_every_rejected_message_of_a_batch_is_dead_lettered_with_its_reason(service: str) -> None:
    bodies = (b"[]", b"\xff", b'{"a": 1}', b"text")
    sent = [fake.message(body=body, id=f"m-{n}", sequence=str(n)) for n, body in enumerate(bodies)]

    @portable(on.topic("orders", dead_letter="bad"), on.stream("orders", dead_letter="bad"))
    def each(batch: Batch[Message[Any]]) -> None:
        for message in batch:
            batch.reject(message, f"no {len(message.body)}")

    delivery = deliver(each, sent, to="azure", via=service)
    assert ["dead-lettered"] * 4 == delivery.outcomes
    assert ["no 2", "no 1", "no 8", "no 4"] == [result.why for result in delivery.results]
    assert list(bodies) == [restored(letter).body for letter in delivery.native_answers[0][0].out]


def test_each_trigger_of_a_function_takes_only_its_own_events() -> None:
    seen: list[Any] = []

    @portable(on.change("shop/users", "removed"), on.change("shop/bills"))
    def rows(event: ChangeEvent) -> None:
        seen.append(event.id)

    @portable(on.object("uploads", "created"), on.object("uploads", "deleted"))
    def blobs(event: ObjectEvent) -> None:
        seen.append(event.action)

    assert ["acknowledged"] == deliver(
        rows, fake.change("users", after={"id": "1"}), to="azure", via="cosmos_db"
    ).outcomes
    functions = {function.get_trigger().type: function.get_user_function() for function in entry(blobs).get_functions()}
    assert ["blobTrigger", "eventGridTrigger"] == list(functions)
    for type in ("Microsoft.Storage.BlobCreated", "Microsoft.Storage.BlobDeleted"):
        # Without a filter, a subscription gets both.
        functions["eventGridTrigger"](
            func.EventGridEvent(
                id="1",
                topic="/shop",
                subject=f"{objects.CONTAINERS}uploads/blobs/a.png",
                event_type=type,
                event_time=None,
                data={},
                data_version="",
            ),
            None,
        )
    assert ["deleted"] == seen


@pytest.mark.parametrize(
    ("tier", "before", "action"), [("Archive", "Hot", "archived"), ("Hot", "Archive", "changed"), ("Cold", "", "archived")]
)  # fmt: skip
def test_a_blob_that_leaves_the_archive_is_changed_and_not_archived(tier: str, before: str, action: str) -> None:
    data = {"accessTier": tier, "previousTier": before, "url": "https://shop.blob.core.windows.net/uploads/a.png"}
    subject = f"{objects.CONTAINERS}uploads/blobs/a.png"
    [event] = event_grid.unwrap(fake.cloud_event("Microsoft.Storage.BlobTierChanged", data, subject=subject))
    assert action == event.action  # type: ignore[attr-defined]  # it is an ObjectEvent


def test_a_failing_document_redelivers_its_batch_and_stops_the_rest() -> None:
    @portable(on.change("shop/users"))
    def changed(event: ChangeEvent) -> None:
        GOT.append(event.key["id"])
        if event.key["id"] == "2":
            raise Busy

    GOT.clear()
    sent = [fake.change("users", after={"id": str(n)}, id=f"c-{n}") for n in (1, 2, 3)]
    assert ["retried"] * 3 == deliver(changed, sent, to="azure", via="cosmos_db").outcomes
    assert ["1", "2"] == GOT


def test_handled_documents_are_skipped_when_the_host_repeats_a_batch() -> None:
    failing = {"2"}

    @portable(on.change("shop/users"))
    def changed(event: ChangeEvent) -> None:
        GOT.append(event.key["id"])
        if event.key["id"] in failing:
            raise Busy

    [function] = functions_for((changed,), "cosmos_db")
    sent = payloads([fake.change("users", after={"id": str(n)}, id=f"c-{n}") for n in (1, 2, 3)], "cosmos_db")[0].many
    GOT.clear()
    errors = []
    for retry in (0, 1, 2):
        if retry == 2:
            failing.clear()
        errors.append(function.invoke(Sent(sent.data, sent.metadata, retry), [0, 1, 2]).error is not None)
    assert ([True, True, False], ["1", "2", "2", "2", "3"]) == (errors, GOT)
    GOT.clear()
    function.invoke(Sent(sent.data, sent.metadata, 0), [0, 1, 2])
    assert ["1", "2", "3"] == GOT


def test_a_tasks_error_reaches_the_orchestrator_by_name_and_message() -> None:
    @portable(on.task("fails"))
    def fails(event: Task) -> None:
        raise Busy("not now")

    assert ("Busy", "not now") == deliver(fails, fake.task({}), to="azure").error


def test_a_result_of_a_task_that_is_not_json_is_an_encode_error() -> None:
    @portable(on.task("odd"))
    def odd(event: Task) -> Any:
        return object()

    assert ("EncodeError", "a task must return a JSON value, not a object") == deliver(
        odd, fake.task({}), to="azure"
    ).error


@pytest.mark.parametrize("service", ["storage_queue", "event_hubs", "service_bus_settled"])
def test_async_handlers_have_the_same_outcomes(service: str) -> None:
    @portable(on.queue("orders", dead_letter="bad"), on.stream("orders", dead_letter="bad"))
    async def waits(event: Message, ctx: Context) -> None:
        if event.body == b"fail":
            raise SystemExit(3)
        if event.body == b"reject":
            raise Reject("never")

    assert ["acknowledged"] == deliver(waits, fake.message(body=b""), to="azure", via=service).outcomes
    assert ["retried"] == deliver(waits, fake.message(body=b"fail"), to="azure", via=service).outcomes
    assert ["dead-lettered"] == deliver(waits, fake.message(body=b"reject"), to="azure", via=service).outcomes


def test_background_work_of_a_sync_handler_is_finished() -> None:
    @portable(on.queue("orders"))
    def leaves(event: Message, ctx: Context) -> None:
        async def later() -> None:
            GOT.append("later")

        ctx.background(later())

    assert ["later"] == [got(leaves, fake.message({}), "storage_queue")]


def test_the_trace_and_the_correlation_id_come_from_the_sender() -> None:
    parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

    @portable(on.queue("orders"))
    def traced(event: Message, ctx: Context) -> None:
        GOT.append((ctx.trace and ctx.trace.trace_id, ctx.correlation_id))

    attributes = {"traceparent": parent, "x-correlation-id": "abc"}
    trace_and_id = got(traced, fake.message({}, attributes=attributes), "service_bus_queue")
    assert ("4bf92f3577b34da6a3ce929d0e0e4736", "abc") == trace_and_id
