"""Some senders choose their ids: two events of one id stay two, and no event is acknowledged unseen."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace
from typing import Any

import pytest

import portable_fn_asgi
from portable_fn import Batch, CloudEvent, Message, Reject, on, portable
from portable_fn.testing import deliver, fake
from portable_fn_azure.simulate import payloads, playing
from portable_fn_azure.simulate.worker import functions_for
from portable_fn_cloudflare.entry import worker
from portable_fn_cloudflare.simulate.javascript import FFI, JS, Env, ExecutionContext, WorkerEntrypoint

seen: list[Any] = []


@pytest.fixture(autouse=True)
def _nothing_seen() -> None:
    seen.clear()


@portable(on.queue("orders"))
def ship(order: Message) -> None:
    seen.append(order.sequence)


@portable(on.queue("orders"))
async def ship_later(order: Message) -> None:
    seen.append(order.sequence)


@portable(on.queue("orders"))
def ship_together(orders: Batch[Message]) -> None:
    seen.extend(order.sequence for order in orders)


def of_service_bus(*sequences: str) -> list[Message[Any]]:
    """Return messages with one id and one content."""
    return [fake.message({"sku": "lamp"}, id="order-1", sequence=sequence) for sequence in sequences]


@pytest.mark.parametrize("function", [ship, ship_later, ship_together])
@pytest.mark.parametrize("service", ["service_bus_queue", "service_bus_settled"])
def test_messages_of_service_bus_with_one_id_and_two_sequence_numbers_are_both_handled(
    function: Any, service: str
) -> None:
    with playing(service):
        [wired] = functions_for((function,), service)
    wired.many = True
    native = wired.native(payloads(of_service_bus("7", "8"), service)[0].many)
    handled: list[int] = []
    actions = SimpleNamespace(complete=lambda message: handled.append(message.sequence_number))
    arguments = {"actions": actions} if service == "service_bus_settled" else {}
    answer = wired.user_function(event=native, context=None, **arguments)
    if asyncio.iscoroutine(answer):
        asyncio.run(answer)
    assert ["7", "8"] == seen
    assert handled == ([7, 8] if arguments else [])


def test_two_deliveries_of_one_message_of_service_bus_are_handled_once() -> None:
    with playing("service_bus_settled"):
        [wired] = functions_for((ship,), "service_bus_settled")
    native = wired.native(payloads(of_service_bus("7", "7"), "service_bus_settled")[0].many)
    handled: list[int] = []
    actions = SimpleNamespace(complete=lambda message: handled.append(message.sequence_number))
    wired.user_function(event=native, context=None, actions=actions)
    assert (["7"], [7, 7]) == (seen, handled)


def post(target: Any, path: str, body: Any, content_type: str) -> tuple[int, Any]:
    sent: list[Any] = []
    raw = json.dumps(body).encode()

    async def call() -> None:
        async def receive() -> Any:
            return {"type": "http.request", "body": raw}

        async def send(message: Any) -> None:
            sent.append(message)

        headers = [(b"content-type", content_type.encode()), (b"content-length", str(len(raw)).encode())]
        await target({"type": "http", "method": "POST", "path": path, "headers": headers}, receive, send)

    asyncio.run(call())
    return sent[0]["status"], json.loads(sent[1]["body"] or b"null")


EVENT = {"specversion": "1.0", "id": "1", "source": "/shop", "type": "sold", "data": {"n": 1}}


@portable(on.event())
def sold(event: CloudEvent) -> None:
    seen.append((event.type, event.subject, event.data["n"]))


@pytest.mark.parametrize("other", [{"data": {"n": 2}}, {"subject": "lamp"}, {"type": "returned"}])
def test_cloudevents_of_one_id_and_another_content_are_both_handled(other: dict[str, Any]) -> None:
    target = portable_fn_asgi.entry(sold)
    status, _ = post(target, "/", [EVENT, {**EVENT, **other}, EVENT], "application/cloudevents-batch+json")
    assert (202, 2) == (status, len(seen))


def test_messages_of_a_bulk_of_daprs_with_one_id_and_another_content_are_both_handled() -> None:
    @portable(on.topic("orders"))
    def ship(order: Message) -> None:
        seen.append(order.data["n"])
        if order.data["n"] == 2:
            raise ValueError

    events = [{**EVENT, "topic": "orders", "data": {"n": n}} for n in (1, 2, 1)]
    entries = [{"entryId": str(index), "event": event} for index, event in enumerate(events)]
    bulk = {"entries": entries, "topic": "orders", "pubsubname": "pubsub"}
    status, answer = post(portable_fn_asgi.entry(ship), "/portable_fn/orders", bulk, "application/json")
    assert (200, [1, 2]) == (status, seen)
    assert ["SUCCESS", "RETRY", "SUCCESS"] == [one["status"] for one in answer["statuses"]]


def test_rejected_messages_of_one_id_are_each_sent_to_cloudflares_dead_letters() -> None:
    no = Reject("no")

    @portable(on.queue("orders", dead_letter="DEAD"))
    def ship(order: Message) -> None:
        raise no

    sent: list[Any] = []
    told: list[str] = []

    async def send(body: Any, **options: Any) -> None:
        sent.append(body)

    def message(body: str) -> Any:
        return SimpleNamespace(id="m", body=body, timestamp=None, attempts=1, ack=lambda: told.append("ack"))

    instance = worker((ship,), WorkerEntrypoint, JS, FFI)(ExecutionContext(), Env({"DEAD": SimpleNamespace(send=send)}))
    asyncio.run(instance.queue(SimpleNamespace(queue="orders", messages=[message("a"), message("b"), message("a")])))
    assert (2, ["ack"] * 3) == (len(sent), told)


@pytest.mark.parametrize("to", ["gcp", "azure", "cloudflare", "asgi"])
def test_an_event_delivered_alone_is_handled_whatever_its_id(to: str) -> None:
    for number in (1, 2):
        assert ["acknowledged"] == deliver(ship, fake.message({"n": number}, id="order-1"), to=to).outcomes
    assert 2 == len(seen)
