"""Test events over HTTP on real servers: uvicorn, and Knative Functions' middleware."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from portable_fn import Request
from portable_fn.pairs import Headers
from portable_fn.testing import fake
from portable_fn.testing.results import Answer
from portable_fn_asgi import simulate
from tests.runtimes import wire
from tests.runtimes.asgi import uvicorn
from tests.runtimes.environments import ROOT
from tests.runtimes.knative import knative_function
from tests.runtimes.process import Server

pytestmark = pytest.mark.runtime

APP = """
from portable_fn import Batch, CloudEvent, Message, ObjectEvent, Reject, Request, Retry, ScheduleEvent, Task, on, portable
from portable_fn_asgi import entry
from portable_fn.testing import fake

seen = []


@portable(on.queue("orders", dead_letter="poison"))
def ship(order: Message):
    seen.append([order.id, order.channel, order.key, order.attributes.get("colour")])
    if order.data == "later":
        raise Retry("busy", after=2.5)
    if order.data == "never":
        raise Reject("unknown sku")
    if order.data == "broken":
        raise RuntimeError


@portable(on.event("order.created"))
async def bill(order: CloudEvent):
    return fake.cloud_event("order.billed", {"of": order.data, "for": order.subject}, id=order.id)


@portable(on.object("uploads", "created"))
async def thumbnail(upload: ObjectEvent):
    seen.append([upload.key, upload.size])


@portable(on.schedule("0 3 * * *"))
def nightly(tick: ScheduleEvent):
    seen.append([tick.cron, tick.data])


@portable(on.task())
def add(task: Task):
    return sum(task.data)


@portable(on.http("GET", "/seen"))
async def what_was_seen(request: Request):
    return [seen.pop(0) for _ in range(len(seen))]


app = entry(ship, bill, thumbnail, nightly, add, what_was_seen)


async def handle(scope, receive, send):
    await app(scope, receive, send)
"""


def knative(folder: Path) -> AbstractContextManager[Server]:
    return knative_function("events_app", pythonpath=[ROOT / "src", ROOT / "adapters", folder])


def on_uvicorn(folder: Path) -> AbstractContextManager[Server]:
    return uvicorn("events_app:app", pythonpath=[ROOT / "src", ROOT / "adapters", folder])


Send = Callable[[Request[Any]], Answer]


@pytest.fixture(scope="module", params=[on_uvicorn, knative], ids=["uvicorn", "func-python"])
def send(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Send]:
    folder = tmp_path_factory.mktemp("app")
    (folder / "events_app.py").write_text(APP)
    with request.param(folder) as server:

        def over_http(sent: Request[Any]) -> Answer:
            lines = [(name, wire.octets(value)) for name, value in sent.headers.multi_items() if name != "host"]
            body = sent.body if sent.method == "POST" else None
            received = wire.send(server.url, sent.method, sent.raw_path, lines, body)
            assert received.complete, f"the answer breaks off: {received}"
            headers = Headers((name, value.encode("latin-1").decode()) for name, value in received.headers)
            return Answer(received.status, headers, received.body)

        yield over_http


def seen(send: Send) -> Any:
    return send(fake.request("GET", "/seen")).json()


@pytest.mark.parametrize("service", ["cloud_event", "dapr_pubsub", "dapr_bulk", "dapr_binding"])
def test_each_message_has_its_own_outcome(send: Send, service: str) -> None:
    seen(send)
    events = [
        fake.message(data, id=data, key=data[0] if service != "dapr_binding" else None, attributes={"colour": "grün"})
        for data in ("done", "later", "never", "broken")
    ]
    listed = send(fake.request("GET", "/dapr/subscribe"))
    answers = [simulate.from_sidecar(send(request), listed) for request in simulate.payloads(events, service)]
    delivery = simulate.results(events, service, answers)
    rejected = "retried" if service == "dapr_binding" else "dead-lettered"
    assert ["acknowledged", "retried", rejected, "retried"] == delivery.outcomes
    assert [[one.id, "orders", one.key, "grün"] for one in events] == seen(send)


@pytest.mark.parametrize("service", ["binary", "structured"])
def test_a_cloud_event_may_be_the_answer_to_a_cloud_event(send: Send, service: str) -> None:
    event = fake.cloud_event(data={"n": "ü"}, id="ü 1", subject="Zoë 😀%")
    delivery = simulate.results([event], service, [send(request) for request in simulate.payloads([event], service)])
    expected = fake.cloud_event("order.billed", {"of": {"n": "ü"}, "for": "Zoë 😀%"}, id="ü 1")
    assert (["acknowledged"], expected) == (delivery.outcomes, delivery.result)


def test_a_batch_an_object_a_job_and_a_task(send: Send) -> None:
    seen(send)
    for event, service in (
        ([fake.cloud_event(), fake.cloud_event(id="2")], "batched"),
        ([fake.object(key="a b+ü%.png", size=3)], "cloud_event"),
        ([fake.schedule(name="nightly", input={"n": 1})], "dapr_job"),
    ):
        delivery = simulate.results(event, service, [send(request) for request in simulate.payloads(event, service)])
        assert ["acknowledged"] * len(event) == delivery.outcomes
    assert [["a b+ü%.png", 3], ["0 3 * * *", {"n": 1}]] == seen(send)
    [call] = simulate.payloads([fake.task([1, 2], name="add")], "post")
    assert 3 == simulate.results([fake.task()], "post", [send(call)]).result


def test_a_request_that_is_not_an_event_is_refused_with_the_reason(send: Send) -> None:
    bad = fake.request("POST", "/", headers={"ce-id": "1"}, body=b"x")
    assert (400, "the CloudEvent's specversion is missing; known are '1.0' and '0.3'") == (
        (answer := send(bad)).status,
        answer.json()["detail"],
    )
    assert 404 == send(fake.request("POST", "/none", json={"n": 1})).status


def test_dapr_learns_its_subscriptions_and_bindings(send: Send) -> None:
    [listed] = json.loads(send(fake.request("GET", "/dapr/subscribe")).body)
    assert {
        "pubsubname": "pubsub",
        "topic": "orders",
        "route": "/portable_fn/orders",
        "deadLetterTopic": "poison",
    } == listed
    assert [200, 404] == [send(fake.request("OPTIONS", path)).status for path in ("/orders", "/else")]
