"""Read messages of a queue, acknowledge or retry each, and build only the methods that are needed."""

from __future__ import annotations

import ast
import asyncio
import json
import logging
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from portable_fn import (
    Batch,
    ChangeEvent,
    CloudEvent,
    ConfigurationError,
    Context,
    DecodeError,
    Event,
    Message,
    ObjectEvent,
    Reject,
    Retry,
    ScheduleEvent,
    Task,
    on,
    portable,
)
from portable_fn.adapter.dead_letter import reason, restored
from portable_fn.testing import fake
from portable_fn.testing.loop import run
from portable_fn_cloudflare.entry import worker
from portable_fn_cloudflare.events import decode as events
from portable_fn_cloudflare.simulate import events as simulate_events
from portable_fn_cloudflare.simulate.javascript import (
    FFI,
    JS,
    BigInt,
    BindingWrapper,
    Env,
    ExecutionContext,
    JsException,
    Map,
    WorkerEntrypoint,
)
from tests.cloudflare.calls import NOON, NOTIFICATION, batch_of, call, decoded, double, resize


@pytest.mark.parametrize(
    ("sent", "body", "content_type", "data"),
    [
        ("text ☃", "text ☃".encode(), "", DecodeError),
        ('{"a": 1}', b'{"a": 1}', "", {"a": 1}),
        ("", b"", "", None),
        (b"\x00\xff", b"\x00\xff", "application/octet-stream", b"\x00\xff"),
        ({"a": [1, None, {"b": None}]}, b'{"a":[1,null,{"b":null}]}', "application/json", {"a": [1, None, {"b": None}]}),
        ([1.0, 2.5, -0.0, 2.0**53, 1e21], b"[1,2.5,0,9007199254740992,1e+21]", "application/json", ...),
        (None, b"null", "application/json", None),
        (True, b"true", "application/json", True),
        (NOON, b'"2026-03-04T12:00:00.005000Z"', "application/json", "2026-03-04T12:00:00.005000Z"),
        ({"d": NOON, "b": b"\x00\xff"}, b'{"d":"2026-03-04T12:00:00.005000Z","b":"AP8="}', "application/json", ...),
        (BigInt(10**30), b"1" + b"0" * 30, "application/json", 10**30),
        (Map({"a": {"x": None}, 1: "one", 2.5: 0, False: 1}), b'{"a":{"x":null},"1":"one","2.5":0,"false":1}', "application/json", ...),
        ({"in": {7}}, b'{"in":[7]}', "application/json", {"in": [7]}),
    ],
)  # fmt: skip
def test_a_body_of_any_type_is_plain_bytes_and_its_data_makes_sense(
    wrap: Callable[[Any], Any], sent: Any, body: bytes, content_type: str, data: Any
) -> None:
    (message,) = decoded(wrap(batch_of(sent)))
    assert isinstance(message, Message), message
    assert (body, content_type) == (message.body, message.content_type)
    if data is DecodeError:
        with pytest.raises(DecodeError, match="is not JSON"):
            message.read_data()
    else:
        assert (json.loads(body) if data is ... else data) == message.data


def test_a_message_has_everything_that_its_queue_says(wrap: Callable[[Any], Any]) -> None:
    batch = wrap(batch_of({}, {}))
    natives, (first, second) = events.messages(batch, FFI)
    assert fake.message({}, id="m1", time=NOON, content_type="application/json", attempt=1) == first
    assert isinstance(second, Message)
    assert ("m2", 2, "orders", "orders", NOON) == (
        second.id,
        second.attempt,
        second.source,
        second.channel,
        second.time,
    )
    assert second.native is natives[1]


CIRCLE: dict[str, Any] = {}
CIRCLE["self"] = CIRCLE
DEEP: list[Any] = []
for _ in range(300):
    DEEP = [DEEP]
LAUGHS: list[Any] = ["ha"]
for _ in range(40):
    LAUGHS = [LAUGHS, LAUGHS]


@pytest.mark.parametrize(
    ("sent", "why"),
    [
        (CIRCLE, "nested more than 200 levels deep"),
        (DEEP, "nested more than 200 levels deep"),
        (LAUGHS, "more than 200000 values"),
        ([float("nan")], "a number is nan, which JSON can't express"),
        (float("inf"), "a number is inf, which JSON can't express"),
        (re.compile("a"), "a RegExp has no plain form"),
        ({"a": re.compile("a")}, "a RegExp has no plain form"),
        ("\ud800", "half a surrogate pair"),
        ({"a": "\ud800"}, "no JSON form"),
        (Map({1: "a", "1": "b"}), "two keys that are equal as text"),
        (Map({NOON: 1}), "as a key; possible are texts and numbers"),
    ],
)
def test_an_error_of_a_body_that_json_cannot_express_does_not_show_it(sent: Any, why: str) -> None:
    (error,) = decoded(BindingWrapper(batch_of(sent)))
    assert isinstance(error, DecodeError), error
    assert why in str(error)
    assert "ha" not in str(error).split()


def test_a_message_that_cannot_be_read_is_redelivered_alone(wrap: Callable[[Any], Any]) -> None:
    seen = []

    @portable(on.queue("orders"))
    def orders(message: Message[Any]) -> None:
        seen.append(message.id)

    batch = batch_of({}, re.compile("a"), {})
    batch.messages.append(simulate_events.QueueMessage("", NOON, 1, {}))
    batch.messages[-1].batch = batch
    answer = call((orders,), batch, wrap)
    assert (["m1", "m3"], [{"msgId": "m2"}, {"msgId": ""}], "ok") == (
        answer["explicitAcks"],
        answer["retryMessages"],
        answer["outcome"],
    )
    assert ["m1", "m3"] == seen


@pytest.mark.parametrize(
    ("field", "value"),
    [("id", None), ("id", 7), ("id", "")],
)
def test_a_message_without_an_id_is_an_error(field: str, value: Any) -> None:
    batch = batch_of({})
    setattr(batch.messages[0], field, value)
    (error,) = decoded(batch)
    assert isinstance(error, DecodeError), error
    assert "'orders'" in str(error)


def test_an_error_of_javascript_costs_one_message_only() -> None:
    class Throwing(simulate_events.QueueMessage):
        @property
        def body(self) -> Any:
            raise JsException("DataCloneError")

        @body.setter
        def body(self, value: Any) -> None: ...

    batch = batch_of(1, 2)
    batch.messages[0] = Throwing("m1", NOON, 1, None)
    error, message = decoded(batch)
    assert ("a message of 'orders' can't be read: JsException", b"2") == (str(error), getattr(message, "body", None))


# What a message holds


def held(value: Any) -> list[Event[Any]]:
    return events.inside(fake.message(value, id="m1", content_type="application/json"))


def test_an_r2_notification_is_inside_its_message() -> None:
    (event,) = held({**NOTIFICATION, "copySource": {"bucket": "b", "object": "o"}})
    assert isinstance(event, ObjectEvent)
    expected = fake.object(
        "my-bucket",
        "my new+object%20.png",
        id="m1",
        source="3f4b7e3dcab231cbfdaa90a6a28bd548/my-bucket",
        time=datetime(2024, 5, 24, 19, 36, 44, 379000, tzinfo=UTC),
        size=65536,
        etag="c846ff7a18f28c2e262116d6e8719ef0",
    )
    assert expected == event
    assert ("PutObject", ["m1"], "b") == (
        event.type,
        [one.id for one in event.envelopes],
        event.data["copySource"]["bucket"],
    )


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"action": "Melted"}, "R2's action 'Melted' is unknown; possible are PutObject, CopyObject"),
        ({"object": {}}, "'key' is missing"),
        ({"object": None}, "TypeError"),
        ({"object": {"key": 7}}, "the key of an R2 notification must be a string, not a int"),
        ({"bucket": None}, "the bucket of an R2 notification must be a string, not a NoneType"),
    ],
)
def test_a_notification_that_cannot_be_read_says_why(change: dict[str, Any], why: str) -> None:
    with pytest.raises(DecodeError, match=re.escape(why)):
        held({**NOTIFICATION, **change})


@pytest.mark.parametrize("value", [{"eventTime": 1}, ["eventTime"], "eventTime", {}, None, 7, {"specversion": "1.0"}])
def test_another_message_holds_nothing(value: Any) -> None:
    assert [] == held(value)


def test_a_cloud_event_inside_a_message_has_the_attempt_of_the_message() -> None:
    body = {"specversion": "1.0", "id": "e", "source": "/shop", "type": "order.created", "data": {"n": 1}}
    (event,) = events.inside(fake.message(body, attempt=3))
    assert isinstance(event, CloudEvent)
    assert ("e", {"n": 1}, 3) == (event.id, event.data, event.attempt)
    assert [] == events.inside(fake.message(body=b"\xff", content_type="application/octet-stream"))


# What becomes of it


def letter(sent: tuple[str, bytes]) -> Message[Any]:
    """What the consumer of the dead letters gets."""
    assert "text" == sent[0]
    return fake.message(body=sent[1])


@portable(on.queue("orders", dead_letter="DEAD"))
def orders(message: Message[Any]) -> None:
    match message.data if message.content_type != "application/octet-stream" else "reject":
        case "reject":
            raise Reject("no use")
        case {"after": after}:
            raise Retry(after=after)
        case "fail":
            raise LookupError("no such order")


def test_every_message_is_acknowledged_or_retried_by_itself(wrap: Callable[[Any], Any]) -> None:
    dead = simulate_events.Queue()
    delays = [{"after": after} for after in (0, 0.2, 30, 43_200, 10**7, 29.000001)]
    answer = call((orders,), batch_of(1, '"fail"', *delays, b"\xff", '"reject"'), wrap, DEAD=dead)
    assert {
        "outcome": "ok",
        "ackAll": False,
        "retryBatch": {"retry": False},
        "explicitAcks": ["m1", "m9", "m10"],
        "retryMessages": [
            {"msgId": "m2"},
            {"msgId": "m3", "delaySeconds": 0},
            {"msgId": "m4", "delaySeconds": 1},
            {"msgId": "m5", "delaySeconds": 30},
            {"msgId": "m6", "delaySeconds": 43_200},
            {"msgId": "m7", "delaySeconds": 43_200},
            {"msgId": "m8", "delaySeconds": 30},
        ],
    } == answer
    assert [b"\xff", b'"reject"'] == [restored(letter(one)).body for one in dead.sent]


def test_a_delay_over_twelve_hours_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    call((orders,), batch_of({"after": 50_000}))
    assert "a retry waits for 43200 seconds, not 50000: Queues can't wait longer" in caplog.messages


def test_a_rejected_message_without_dead_letters_is_redelivered(caplog: pytest.LogCaptureFixture) -> None:
    for env, why in [
        ({}, "there is no binding DEAD for the dead letters"),
        ({"DEAD": simulate_events.Queue(fails=True)}, "m1 can't be sent to the dead letters DEAD"),
        ({"DEAD": "a text"}, "m1 can't be sent to the dead letters DEAD"),
    ]:
        caplog.clear()
        answer = call((orders,), batch_of('"reject"', 1), **env)
        assert (["m2"], [{"msgId": "m1"}]) == (answer["explicitAcks"], answer["retryMessages"])
        assert why in caplog.messages


def test_a_message_that_is_twice_in_a_batch_is_dead_lettered_once() -> None:
    dead = simulate_events.Queue()
    batch = batch_of('"reject"', '"reject"')
    batch.messages[1].id = "m1"
    assert ["m1"] == call((orders,), batch, DEAD=dead)["explicitAcks"]
    assert 1 == len(dead.sent)


def test_an_object_event_is_dead_lettered_as_its_message() -> None:
    @portable(on.object("my-bucket", dead_letter="DEAD"))
    async def stored(event: ObjectEvent[Any]) -> None:
        raise Reject("no use")

    dead = simulate_events.Queue()
    assert ["m1"] == call((stored,), batch_of(NOTIFICATION), DEAD=dead)["explicitAcks"]
    assert [NOTIFICATION] == [restored(letter(one)).data for one in dead.sent]


def test_a_batch_handler_dead_letters_what_it_rejects_and_the_rest_is_acknowledged() -> None:
    @portable(on.queue("orders", dead_letter="DEAD"))
    async def whole(batch: Batch[Message[Any]]) -> None:
        await asyncio.sleep(0)
        batch.reject(batch[1], "no use")
        batch.retry(batch[2], after=9)

    dead = simulate_events.Queue()
    answer = call((whole,), batch_of(1, 2, 3), DEAD=dead)
    assert (["m1", "m2"], [{"msgId": "m3", "delaySeconds": 9}]) == (
        sorted(answer["explicitAcks"]),
        answer["retryMessages"],
    )
    assert [(b"2", "no use")] == [(restored(letter(one)).body, reason(letter(one))) for one in dead.sent]


def test_a_batch_handler_gets_its_queue_whole_beside_functions_for_other_queues() -> None:
    sizes = []

    @portable(on.queue("orders"))
    def whole(batch: Batch[Message[Any]]) -> None:
        sizes.append(len(batch))

    @portable(on.queue("invoices"))
    def each(message: Message[Any]) -> None:
        sizes.append(1)

    assert ["m1", "m2"] == call((whole, each), batch_of(1, 2))["explicitAcks"]
    assert ["m1", "m2"] == call((whole, each), batch_of(1, 2, queue="invoices"))["explicitAcks"]
    assert [2, 1, 1] == sizes


def test_an_error_in_the_adapter_acknowledges_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(events, "message", broken)
    answer = call((orders,), batch_of(1, 2))
    assert ("exception", [], []) == (answer["outcome"], answer["explicitAcks"], answer["retryMessages"])


def test_a_handler_that_cancels_its_task_fails_alone() -> None:
    @portable(on.queue("orders"))
    async def cancelling(message: Message[Any]) -> None:
        if message.data == 2:
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
            await asyncio.sleep(0)

    answer = call((cancelling,), batch_of(1, 2, 3))
    assert (["m1", "m3"], [{"msgId": "m2"}], "ok") == (
        answer["explicitAcks"],
        answer["retryMessages"],
        answer["outcome"],
    )


def test_outcomes_are_read_strictly_from_what_workerd_reports() -> None:
    sent = [fake.message({}, id=id) for id in ("1", "2", "3")]
    said = {"outcome": "ok", "ackAll": False, "retryBatch": {"retry": False}, "explicitAcks": [], "retryMessages": []}

    def outcomes(**changed: Any) -> list[str]:
        return simulate_events.results(sent, "queue", [{**said, **changed}]).outcomes

    ack, again = "acknowledged", "retried"
    assert [ack] * 3 == outcomes()
    assert [again] * 3 == outcomes(outcome="exception")
    assert [ack, again, again] == outcomes(outcome="exception", explicitAcks=["1"])
    assert [ack] * 3 == outcomes(outcome="exception", ackAll=True)
    assert [again] * 3 == outcomes(retryBatch={"retry": True})
    assert [ack, again, ack] == outcomes(retryMessages=[{"msgId": "2"}])
    assert ["dead-lettered"] == outcomes(explicitAcks=["1"], sent=[simulate_events.wire("{}")])[:1]
    assert [again] * 3 == outcomes(outcome="exception", sent=[simulate_events.wire("{}")])


def test_the_first_call_of_ack_or_retry_counts() -> None:
    batch = batch_of(1, 2)
    batch.acks, batch.retries = {}, {}
    first, second = batch.messages
    first.ack()
    first.retry(delaySeconds=3)
    second.retry()
    second.ack()
    assert (["m1"], [{"msgId": "m2"}]) == (list(batch.acks), list(batch.retries.values()))


# What surrounds it


def test_the_context_of_a_message_has_bindings_and_background_work() -> None:
    seen: list[Any] = []
    ids: set[str] = set()

    @portable(on.queue("orders"))
    async def working(message: Message[Any], ctx: Context) -> None:
        async def work() -> None:
            await asyncio.sleep(0)
            seen.append(f"worked for {message.id}")

        ctx.background(work())
        seen.append((ctx.provider, ctx.env["NAME"], ctx.cold_start, ctx.remaining(), len(ctx.invocation_id)))
        ids.add(ctx.invocation_id)

    default = worker((working,), WorkerEntrypoint, JS, FFI)

    async def twice() -> None:
        for _ in range(2):
            context = ExecutionContext()
            await batch_of(1, 2).call(default(context, Env({"NAME": "Ada"})), wrapped=True)
            while context.work:
                await context.work.pop()

    run(twice())
    worked = ["worked for m1", "worked for m2"]
    first, again = (("cloudflare", "Ada", cold, None, 32) for cold in (True, False))
    assert sorted(map(str, [first, first, again, again, *worked, *worked])) == sorted(map(str, seen))
    assert 2 == len(ids)


# Which methods there are


@portable(on.schedule("0 3 * * *"))
def nightly(event: ScheduleEvent[Any]) -> None: ...


@portable
def anything(event: Event[Any]) -> None: ...


@portable(on.object("uploads"))
def stored(event: ObjectEvent[Any]) -> None: ...


@portable(on.event("order.created"))
def happened(event: CloudEvent[Any]) -> None: ...


@portable(on.http("GET", "/"))
def home(request: Any) -> str:
    return "home"


@pytest.mark.parametrize(
    ("functions", "methods"),
    [
        ((home,), []),
        ((orders,), ["email", "queue"]),
        ((stored,), ["queue"]),
        ((happened, home), ["queue"]),
        ((nightly,), ["scheduled"]),
        ((resize, double), ["double", "resize-image"]),
        ((anything,), ["email", "queue", "scheduled"]),
    ],
)
def test_a_worker_has_methods_only_for_the_events_of_its_functions(
    functions: tuple[Any, ...], methods: list[str]
) -> None:
    default = worker(functions, WorkerEntrypoint, JS, FFI)
    assert ["fetch", *methods] == sorted(
        (name for name in vars(default) if not name.startswith("__")), key=lambda name: (name != "fetch", name)
    )


@pytest.mark.parametrize(
    "name", ["fetch", "queue", "constructor", "then", "toString", "valueOf", "_private", "__init__"]
)
def test_a_name_that_cannot_be_called_by_rpc_is_refused(name: str) -> None:
    @portable(on.task(name))
    def function(event: Task[Any]) -> None: ...

    with pytest.raises(ConfigurationError, match=f"can't be called as '{name}' by RPC"):
        worker((function,), WorkerEntrypoint, JS, FFI)


def test_building_a_worker_warns_of_functions_that_are_never_called(caplog: pytest.LogCaptureFixture) -> None:
    @portable(on.change("users"))
    def changed(event: ChangeEvent[Any]) -> None: ...

    @portable(on.schedule("0 3 * * *", timezone="Europe/Amsterdam"))
    def at_three(event: ScheduleEvent[Any]) -> None: ...

    with caplog.at_level(logging.WARNING):
        worker((changed, orders, at_three, nightly), WorkerEntrypoint, JS, FFI)
    assert [
        "changed is never called here: Cloudflare has no source of ChangeEvent",
        "at_three runs in UTC: Cloudflare has no time zones, such as Europe/Amsterdam",
    ] == caplog.messages


def test_a_worker_for_requests_only_imports_nothing_of_events() -> None:
    script = """
import sys
from portable_fn import on, portable
from portable_fn_cloudflare.entry import worker

@portable(on.http("GET", "/"))
def home(request):
    return "home"

worker((home,), object, None, None)
print(sorted(name for name in sys.modules if name.startswith(("portable_fn_cloudflare.", "portable_fn.adapter.batch", "portable_fn.cl"))))
"""
    made = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    expected = ["decode", "encode", "entry", "methods"]
    assert [f"portable_fn_cloudflare.{name}" for name in expected] == ast.literal_eval(made.stdout)
