"""Test messages, bulks, bindings, jobs and subscriptions of Dapr."""

from __future__ import annotations

from typing import Any

import pytest

from portable_fn import (
    Batch,
    CloudEvent,
    Message,
    ObjectEvent,
    Reject,
    Request,
    ScheduleEvent,
    on,
    portable,
)
from portable_fn.testing import deliver, fake
from portable_fn.testing.results import Answer
from portable_fn_asgi import entry, simulate
from tests.asgi.helpers import ENVELOPE, keeper, post, send, ship, ship_without_dead_letters

pytestmark = pytest.mark.usefixtures("quiet")


@pytest.mark.parametrize("via", ["dapr_pubsub", "dapr_bulk"])
def test_dapr_retries_a_reject_that_it_would_lose(via: str) -> None:
    assert ["retried"] == deliver(ship_without_dead_letters, fake.message(), to="asgi", via=via).outcomes


@pytest.mark.parametrize(
    ("path", "topic", "status"),
    [
        ("/portable_fn/a%2Fb", "a/b", "DROP"),
        ("/portable_fn/bills", "bills", "RETRY"),
        ("/my/route", "a/b", "RETRY"),
    ],
)
def test_dapr_drops_a_message_only_if_its_subscription_has_dead_letters(path: str, topic: str, status: str) -> None:
    @portable(on.topic("a/b", dead_letter="poison"), on.topic("bills"))
    def refuse(message: Message) -> None:
        raise Reject("no")

    entries = [{"entryId": "0", "event": {**ENVELOPE, "topic": topic}}]
    bulk = {"topic": topic, "pubsubname": "pubsub", "entries": entries}
    assert [{"entryId": "0", "status": status}] == post(entry(refuse), path, bulk).json()["statuses"]


def test_a_bulk_keeps_the_order_of_a_key() -> None:
    seen: list[str] = []

    @portable(on.stream("orders"))
    def handle(order: Message) -> None:
        seen.append(order.id)
        if order.id == "2":
            raise RuntimeError

    events = [fake.message(id=str(number), key=key) for number, key in enumerate("aabab", 1)]
    delivery = deliver(handle, events, to="asgi", via="dapr_bulk")
    assert ["acknowledged", "retried", "acknowledged", "retried", "acknowledged"] == delivery.outcomes
    assert ["1", "2", "3", "5"] == seen


def test_a_batch_handler_gets_a_whole_bulk() -> None:
    seen: list[list[str]] = []

    @portable(on.queue("orders", dead_letter="poison"))
    def handle(orders: Batch[Message]) -> None:
        seen.append([order.id for order in orders])
        orders.retry(orders[0])
        orders.reject(orders[1])

    delivery = deliver(handle, [fake.message(id=id) for id in "abc"], to="asgi", via="dapr_bulk")
    assert (["retried", "dead-lettered", "acknowledged"], [["a", "b", "c"]]) == (delivery.outcomes, seen)


def test_only_the_unreadable_entry_of_a_bulk_is_retried() -> None:
    keep, seen = keeper(Message, on.topic("orders"))
    entries: list[Any] = [
        {"entryId": "a", "event": ENVELOPE, "metadata": {"__key": "k"}},
        {"entryId": "b", "event": {**ENVELOPE, "id": ""}, "metadata": {}},
        {"entryId": "c"},
        {"entryId": "d", "event": "AP8=", "metadata": {"__topic": "orders", "__partition": "0", "__offset": "5"}, "contentType": "image/png"},
        {"entryId": "e", "event": "AP8=", "metadata": None},
        5,
    ]  # fmt: skip
    answer = post(entry(keep), "/portable_fn/orders", {"topic": "orders", "pubsubname": "pubsub", "entries": entries})
    statuses = {one["entryId"]: one["status"] for one in answer.json()["statuses"]}
    # After an unreadable entry, entries with a key stop.
    assert {"a": "SUCCESS", "b": "RETRY", "c": "RETRY", "d": "SUCCESS", "e": "RETRY", None: "RETRY"} == statuses
    assert [("1", b'{"n":1}'), ("orders/0/5", b"\x00\xff")] == [(one.id, one.body) for one in seen]


def test_a_bulk_of_mostly_unreadable_entries_is_refused() -> None:
    keep, seen = keeper(Message, on.topic("orders"))
    bulk = {"topic": "orders", "pubsubname": "pubsub", "entries": [*range(1001), {"entryId": "0", "event": ENVELOPE}]}
    assert (400, []) == (post(entry(keep), "/portable_fn/orders", bulk).status, seen)


def test_a_handler_for_cloud_events_gets_daprs_message_as_a_cloud_event() -> None:
    keep, seen = keeper(CloudEvent, on.topic("orders"))
    headers = {"content-type": "application/cloudevents+json", "metadata.MessageId": "9"}
    assert {"status": "SUCCESS"} == post(entry(keep), "/portable_fn/orders", ENVELOPE, headers).json()
    [event] = seen
    assert ("1", "orders") == (event.id, event.envelopes[0].channel)


def test_a_handler_for_cloud_events_does_not_get_a_message_that_was_not_published_as_one() -> None:
    orders, of_orders = keeper(Message, on.topic("orders"))
    events, of_events = keeper(CloudEvent, on.event("order.created"))
    delivery = deliver([events, orders], fake.message(), to="asgi", via="dapr_pubsub")
    assert (["acknowledged"], 1, 0) == (delivery.outcomes, len(of_orders), len(of_events))


def test_an_object_event_arrives_through_dapr_too() -> None:
    keep, seen = keeper(ObjectEvent, on.topic("orders"))
    value = {**ENVELOPE, "type": "portable_fn.object.created", "data": {"bucket": "uploads", "key": "a b+%.png"}}
    headers = {"content-type": "application/cloudevents+json"}
    assert {"status": "SUCCESS"} == post(entry(keep), "/portable_fn/orders", value, headers).json()
    assert [("uploads", "a b+%.png", "created")] == [(one.bucket, one.key, one.action) for one in seen]


def test_a_message_has_the_fields_that_dapr_sends() -> None:
    keep, seen = keeper(Message, on.topic("orders"))
    headers = {
        "content-type": "application/cloudevents+json", "metadata.SessionId": "s", "metadata.DeliveryCount": "2", "pubsubname": "pubsub",
        "metadata.SequenceNumber": "77", "colour": "blau", "dapr-api-token": "secret", "x-forwarded-for": "127.0.0.1",
    }  # fmt: skip
    post(entry(keep), "/portable_fn/orders", ENVELOPE, headers)
    [message] = seen
    assert ("s", "77", 2, "orders", "checkout") == (
        message.key,
        message.sequence,
        message.attempt,
        message.channel,
        message.source,
    )
    assert {"colour": "blau", "traceparent": ENVELOPE["traceparent"]} == message.attributes


def test_a_raw_message_has_its_brokers_id() -> None:
    keep, seen = keeper(Message, on.topic("orders"))
    raw = {
        **ENVELOPE,
        "id": "new at each delivery",
        "datacontenttype": "application/octet-stream",
        "data_base64": "AP8=",
    }
    del raw["data"], raw["time"]
    headers = {"content-type": "application/cloudevents+json", "__topic": "orders", "__partition": "0", "__offset": "5"}
    post(entry(keep), "/portable_fn/orders", raw, headers)
    assert [("orders/0/5", b"\x00\xff")] == [(one.id, one.body) for one in seen]


def test_dapr_gets_the_list_of_subscriptions() -> None:
    @portable(on.topic("orders", dead_letter="poison"), on.queue("a/b"))
    def one(message: Message) -> None: ...

    @portable(on.stream("clicks"))
    async def many(messages: Batch[Message]) -> None: ...

    @portable(on.http("GET"))
    def everything(request: Request) -> str:
        return "mine"

    application = entry([one, many, everything], pubsub="kafka")
    assert [
        {"pubsubname": "kafka", "topic": "orders", "route": "/portable_fn/orders", "deadLetterTopic": "poison"},
        {"pubsubname": "kafka", "topic": "a/b", "route": "/portable_fn/a%2Fb"},
        {
            "pubsubname": "kafka",
            "topic": "clicks",
            "route": "/portable_fn/clicks",
            "bulkSubscribe": {"enabled": True},
        },
    ] == send(application, fake.request("GET", "/dapr/subscribe")).json()
    assert "mine" == send(application, fake.request("GET", "/dapr/other")).text


def test_dapr_can_ask_which_bindings_are_handled() -> None:
    application = entry(ship, keeper(ScheduleEvent, on.schedule("* * * * *", name="minutely"))[0])
    statuses = {
        path: send(application, fake.request("OPTIONS", path)).status for path in ("/orders", "/minutely", "/x", "/")
    }
    assert {"/orders": 200, "/minutely": 200, "/x": 404, "/": 404} == statuses


@pytest.mark.parametrize(
    ("headers", "id"),
    [
        ({"id": "7"}, "7"),
        ({"messageID": "7"}, "7"),
        ({"message-id": "7"}, "7"),
        ({"__topic": "orders", "__partition": "0", "__offset": "5"}, "orders/0/5"),
    ],
)
def test_a_binding_has_the_id_that_its_component_sends(headers: dict[str, str], id: str) -> None:
    keep, seen = keeper(Message, on.queue("orders"))
    assert 200 == post(entry(keep), "/orders", b"x", headers).status
    assert [id] == [one.id for one in seen]


def test_a_binding_without_an_id_is_refused_with_the_reason() -> None:
    keep, seen = keeper(Message, on.queue("orders"))
    answer = post(entry(keep), "/orders", b"x")
    assert (400, []) == (answer.status, seen)
    assert "'orders' has no id" in answer.json()["detail"]


def test_a_schedule_without_a_name_has_its_functions_name() -> None:
    seen: list[str] = []

    @portable(on.schedule("0 3 * * *"))
    def nightly(tick: ScheduleEvent) -> None:
        seen.append(f"nightly {tick.cron}")

    @portable(on.schedule("* * * * *"))
    def minutely(tick: ScheduleEvent) -> None:
        seen.append(f"minutely {tick.cron}")

    application = entry(nightly, minutely)
    assert [200, 200] == [post(application, f"/job/{name}").status for name in ("nightly", "minutely")]
    assert ["nightly 0 3 * * *", "minutely * * * * *"] == seen
    # Dapr would take 404 as an acknowledgement.
    assert 503 == post(application, "/job/unknown").status


def test_a_subscription_with_another_route_loses_nothing() -> None:
    keep, seen = keeper(Message, on.topic("orders"))
    application = entry(keep)
    headers = {"content-type": "application/cloudevents+json"}
    assert 202 == post(application, "/my/route", ENVELOPE, headers).status
    bulk = {"topic": "orders", "pubsubname": "pubsub", "entries": [{"entryId": "0", "event": {**ENVELOPE, "id": "2"}}]}
    assert [{"entryId": "0", "status": "SUCCESS"}] == post(application, "/my/route", bulk).json()["statuses"]
    assert [("1", "orders"), ("2", "orders")] == [(one.id, one.channel) for one in seen]


def test_a_message_that_dapr_would_lose_is_reported_as_lost() -> None:
    message = fake.message()
    listed = Answer(200, fake.request().headers, b'[{"topic": "orders"}]')
    with_topic = Answer(200, fake.request().headers, b'[{"topic": "orders", "deadLetterTopic": "poison"}]')
    dropped = Answer(200, fake.request().headers, b'{"status": "DROP"}')
    missing = Answer(404, fake.request().headers, b"")
    assert [["lost"], ["dead-lettered"], ["lost"]] == [
        simulate.results([message], "dapr_pubsub", [simulate.from_sidecar(answer, subscriptions)]).outcomes
        for answer, subscriptions in ((dropped, listed), (dropped, with_topic), (missing, listed))
    ]
    assert ["retried"] == simulate.results(
        [message], "dapr_bulk", [Answer(200, listed.headers, b'{"statuses":[]}')]
    ).outcomes
