"""Test which requests are events, which function gets them, and how they are answered."""

from __future__ import annotations

import asyncio
import contextvars
import os
import subprocess
import sys
import threading
from typing import Any

import pytest

from portable_fn import (
    CloudEvent,
    Context,
    Message,
    Reject,
    Request,
    Retry,
    Task,
    on,
    portable,
)
from portable_fn.testing import deliver, fake
from portable_fn_asgi import capabilities, entry, simulate
from tests.asgi.helpers import KAFKA, add, home, keeper, post, send, ship

pytestmark = pytest.mark.usefixtures("quiet")


# Outcomes
ORDERS = [fake.message(data, id=f"{data}") for data in ("done", "later", "never", "broken")]


@pytest.mark.parametrize(
    ("via", "outcomes", "afters"),
    [
        ("cloud_event", ["acknowledged", "retried", "dead-lettered", "retried"], [None, 3.0, None, None]),
        ("dapr_pubsub", ["acknowledged", "retried", "dead-lettered", "retried"], [None] * 4),
        ("dapr_bulk", ["acknowledged", "retried", "dead-lettered", "retried"], [None] * 4),
        ("dapr_binding", ["acknowledged", "retried", "retried", "retried"], [None] * 4),
    ],
)
def test_each_message_has_its_own_outcome(via: str, outcomes: list[str], afters: list[float | None]) -> None:
    if via == "dapr_binding":
        afters = [None] * 4
    delivery = deliver(ship, ORDERS, to="asgi", via=via)
    assert (outcomes, afters) == (delivery.outcomes, [one.waits for one in delivery.results])


def test_knative_gets_the_reason_of_a_reject_but_no_other_error() -> None:
    answers = deliver(ship, ORDERS, to="asgi", via="cloud_event").native_answers
    assert [202, 503, 400, 503] == [answer.status for answer in answers]
    assert "unknown sku" == answers[2].json()["detail"]
    assert b"not for others" not in b"".join(answer.body for answer in answers)


@pytest.mark.parametrize(
    ("data", "outcome", "status"),
    [
        (["done", "done"], "acknowledged", 202),
        (["done", "broken"], "retried", 503),
        (["done", "never"], "retried", 503),
        (["never", "never"], "dead-lettered", 400),
    ],
)
def test_a_batch_of_cloud_events_has_one_outcome(data: list[str], outcome: str, status: int) -> None:
    events = [fake.cloud_event("orders", one, id=f"{number}") for number, one in enumerate(data)]
    delivery = deliver(ship, events, to="asgi", via="batched")
    assert ([outcome] * 2, status) == (delivery.outcomes, delivery.native_answers[0].status)


def test_a_cloud_event_may_be_the_answer_to_a_cloud_event() -> None:
    @portable(on.event("order.created"))
    async def bill(order: CloudEvent) -> CloudEvent:
        return fake.cloud_event("order.billed", {"n": order.data["n"]}, id="2", subject="Zoë", extensions={"x": "1"})

    delivery = deliver(bill, fake.cloud_event(data={"n": 1}), to="asgi")
    assert fake.cloud_event("order.billed", {"n": 1}, id="2", subject="Zoë", extensions={"x": "1"}) == delivery.result
    assert 200 == delivery.native_answers[0].status
    # An unwanted event is acknowledged without a call.
    assert (None, 202) == (
        (other := deliver(bill, fake.cloud_event("order.lost"), to="asgi")).result,
        other.native_answers[0].status,
    )


def test_a_dead_letter_of_knative_has_the_reason() -> None:
    keep, seen = keeper(CloudEvent)
    extensions = {"knativeerrordest": "http://f.ns.svc", "knativeerrorcode": "400", "knativeerrordata": "eyJhIjoxfQ=="}
    deliver(keep, fake.cloud_event(extensions=extensions), to="asgi")
    assert [extensions] == [event.extensions for event in seen]


# Recognising events


def test_a_kafka_record_of_knative_is_a_message_with_its_place() -> None:
    keep, seen = keeper(Message, on.stream("orders"))
    assert 202 == post(entry(keep), "/", {"n": 1}, KAFKA).status
    [record] = seen
    assert ("orders", "k 1", "2", "564") == (record.channel, record.key, record.partition, record.sequence)
    assert ("partition:2/offset:564", {"n": 1}) == (record.id, record.data)
    assert "dev.knative.kafka.event" == record.envelopes[-1].type


def test_any_other_cloud_event_is_a_message_whose_channel_is_its_type() -> None:
    orders, of_orders = keeper(Message, on.topic("order.created"))
    users, of_users = keeper(Message, on.topic("user.created"))
    answer = deliver(
        [orders, users], fake.cloud_event("order.created", {"n": 1}, extensions={"tenant": "a"}), to="asgi"
    )
    assert (["acknowledged"], []) == (answer.outcomes, of_users)
    assert [("order.created", {"tenant": "a"}, {"n": 1})] == [
        (one.channel, one.attributes, one.data) for one in of_orders
    ]
    # An event for neither is retried, not lost or rejected.
    assert ["retried"] == deliver([orders, users], fake.cloud_event("else"), to="asgi").outcomes


def test_a_handler_for_any_event_gets_the_cloud_event_itself() -> None:
    seen: list[Any] = []

    @portable
    def keep(event) -> None:  # type: ignore[no-untyped-def]
        seen.append(event)

    for event in (fake.cloud_event(), fake.object()):
        deliver(keep, event, to="asgi")
    assert [fake.cloud_event(), fake.object()] == seen
    assert 204 == post(entry(keep), "/anything", {"n": 1}).status
    assert isinstance(seen[-1], Request)


# HTTP functions beside others


@portable(on.http("POST", "/orders"))
async def order(request: Request) -> str:
    return "by http"


def test_http_functions_answer_first_and_events_arrive_by_post_beside_them() -> None:
    keep, seen = keeper(CloudEvent)
    application = entry(home, order, keep)
    assert "home" == send(application, fake.request("GET", "/")).text
    assert "by http" == post(application, "/orders", {}, KAFKA).text
    assert (202, 1) == (post(application, "/", {}, KAFKA).status, len(seen))
    assert [404, 405] == [post(application, path, b"x", {"content-type": "x/y"}).status for path in ("/none", "/")]


def test_an_entry_with_only_http_functions_ignores_events() -> None:
    assert 405 == post(entry(home), "/", {}, KAFKA).status
    assert "application" == entry(home).__name__  # type: ignore[attr-defined]


def test_an_entry_with_only_http_functions_loads_nothing_for_events() -> None:
    code = """
import sys
from portable_fn import Request, on, portable
from portable_fn_asgi import entry

@portable(on.http("GET"))
async def home(request: Request): ...

entry(home)
heavy = ("portable_fn_asgi.events.entry", "portable_fn_asgi.events.dapr", "portable_fn.adapter.cloudevents", "portable_fn.adapter.batch", "asyncio", "typing")
print([name for name in heavy if name in sys.modules])
"""
    paths = os.pathsep.join(path for path in sys.path if path)
    ran = subprocess.run(
        [sys.executable, "-S", "-c", code], env={"PYTHONPATH": paths}, capture_output=True, text=True, check=True
    )
    assert "[]" == ran.stdout.strip()


def test_a_request_that_no_function_answers_is_not_found() -> None:
    application = entry(ship)
    for method, path in (("GET", "/"), ("GET", "/healthz"), ("PUT", "/orders"), ("POST", "/none")):
        assert 404 == send(application, fake.request(method, path)).status
    assert 404 == post(application, "/none", {"n": 1}).status


# Tasks


@portable(on.task("fail"))
async def failing(task: Task) -> None:
    raise {"key": KeyError("sku"), "retry": Retry("busy", after=5), "reject": Reject("no")}[task.data]


def test_a_task_is_called_at_its_name() -> None:
    application = entry(add, failing)
    assert {"sum": 3, "id": "7"} == post(application, "/add", [1, 2], {"x-request-id": "7"}).json()
    delivery = deliver([add, failing], fake.task([1, 2], name="add", id="9"), to="asgi")
    assert ({"sum": 3, "id": "9"}, None) == (delivery.result, delivery.error)
    assert 404 == post(application, "/", [1, 2]).status
    # A single task may also be called at the root, as `func invoke` does.
    assert 3 == post(entry(add), "/", [1, 2]).json()["sum"]


@pytest.mark.parametrize(
    ("data", "error"),
    [
        ("key", ("Internal Server Error", "The function failed; its log has the reason under the invocation id.")),
        ("retry", ("Retry", "busy")),
        ("reject", ("Reject", "no")),
    ],
)
def test_a_failed_task_shows_its_caller_the_error_meant_for_callers(data: str, error: tuple[str, str]) -> None:
    assert error == deliver(failing, fake.task(data, name="fail"), to="asgi").error


@pytest.mark.parametrize(("body", "status"), [(b"{", 400), (b'["x"]', 422), (b"\xff", 400), (b"[" * 9999, 400)])
def test_an_invalid_input_of_a_task_is_refused(body: bytes, status: int) -> None:
    assert status == post(entry(add), "/add", body).status


def test_a_task_fails_if_json_cannot_encode_its_result() -> None:
    @portable(on.task())
    def bad(task: Task) -> object:
        return object()

    assert 500 == post(entry(bad), "/bad", {}).status


# Running handlers

WHO: contextvars.ContextVar[str] = contextvars.ContextVar("WHO", default="nobody")


@pytest.mark.parametrize("is_async", [True, False])
def test_context_variables_stay_with_their_event(is_async: bool) -> None:
    seen: list[str] = []

    def work(event: Any) -> None:
        seen.append(WHO.get())
        WHO.set(event.id)

    async def work_async(event: Any) -> None:
        work(event)

    handler = work_async if is_async else work
    handler.__annotations__["event"] = CloudEvent
    events = [fake.cloud_event(id="a"), fake.cloud_event(id="b")]
    for via in ("binary", "batched"):
        deliver(portable(handler), events, to="asgi", via=via)
    assert ["nobody"] * 4 == seen


def test_sync_handlers_run_in_threads_and_async_handlers_in_the_loop() -> None:
    seen: dict[str, bool] = {}

    @portable(on.topic("a"))
    def blocking(message: Message) -> None:
        seen["sync"] = threading.current_thread() is threading.main_thread()

    @portable(on.topic("b"))
    async def quick(message: Message) -> None:
        seen["async"] = asyncio.get_running_loop().is_running()

    for functions in ([blocking], [blocking, quick]):
        deliver(functions, fake.message(channel="a"), to="asgi", via="dapr_pubsub")
        assert seen["sync"] is False
    deliver([blocking, quick], fake.message(channel="b"), to="asgi", via="dapr_pubsub")
    assert seen["async"] is True


def test_a_cancellation_by_the_server_reaches_the_handler() -> None:
    state: list[str] = []
    begun = asyncio.Event()

    @portable
    async def wait(event: CloudEvent) -> None:
        state.append("begun")
        begun.set()
        try:
            await asyncio.sleep(60)
        finally:
            state.append("cancelled")

    async def main() -> None:
        [request] = simulate.payloads([fake.cloud_event()], "binary")
        call = asyncio.create_task(simulate.messages(entry(wait), simulate.scope(request), request.body))
        await begun.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call

    asyncio.run(main())
    assert ["begun", "cancelled"] == state


def test_the_trace_is_the_events_or_else_the_requests() -> None:
    seen: list[Any] = []

    @portable
    def keep(event: CloudEvent, ctx: Context) -> None:
        assert ctx.trace is not None
        seen.append((ctx.trace.trace_id[0], ctx.correlation_id, ctx.invocation_id, ctx.provider))

    by_request = {**KAFKA, "traceparent": f"00-{'a' * 32}-{'b' * 16}-01", "x-request-id": "request-9"}
    by_itself = {**by_request, "ce-traceparent": f"00-{'c' * 32}-{'b' * 16}-01", "ce-correlationid": "order-1"}
    application = entry(keep)
    assert [202, 202] == [post(application, "/", {}, headers).status for headers in (by_request, by_itself)]
    assert [("a", "request-9", "request-9", "asgi"), ("c", "order-1", "request-9", "asgi")] == seen


def test_background_work_runs_after_the_answer() -> None:
    done: list[str] = []

    async def later() -> None:
        done.append("later")

    @portable
    async def handle(event: CloudEvent, ctx: Context) -> None:
        ctx.background(later())

    deliver(handle, fake.cloud_event(), to="asgi")
    assert ["later"] == done


def test_every_service_has_its_capabilities() -> None:
    declared = {(service.kind, service.name) for service in capabilities.SERVICES}
    played = {(kind, name) for kind, names in simulate.EVENT_SERVICES.items() for name in names}
    assert played | {("Request", name) for name in simulate.SERVICES} == declared
