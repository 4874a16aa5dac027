"""What the Cloudflare adapter does with events that aren't requests, beyond the stories."""

from __future__ import annotations

import ast
import asyncio
import json
import logging
import re
import string
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
from portable_fn.testing import deliver, fake
from portable_fn.testing.loop import run
from portable_fn.testing.results import Delivery, EventResult
from portable_fn_cloudflare import values
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
    javascript,
    python_from_rpc,
)

NOON = datetime(2026, 3, 4, 12, 0, 0, 5000, tzinfo=UTC)


class LaterWrapper:
    """A wrapper as a later SDK may have it: what it wraps is nobody's business."""

    def __init__(self, wrapped: Any) -> None:
        self.__wrapped = wrapped

    def __getattr__(self, name: str) -> Any:
        value = getattr(self.__wrapped, name)
        if isinstance(value, list):
            return [LaterWrapper(one) for one in value]
        return value if callable(value) else python_from_rpc(value)


WRAPPERS: dict[str, Callable[[Any], Any]] = {
    "raw": lambda batch: batch,
    "SDK 1.9.5": BindingWrapper,
    "a later SDK": LaterWrapper,
}


@pytest.fixture(params=WRAPPERS)
def wrap(request: pytest.FixtureRequest) -> Callable[[Any], Any]:
    return WRAPPERS[request.param]


def batch_of(*bodies: Any, queue: str = "orders") -> simulate_events.MessageBatch:
    messages = [simulate_events.QueueMessage(f"m{number}", NOON, number, body) for number, body in enumerate(bodies, 1)]
    return simulate_events.MessageBatch(queue, messages)


def decoded(batch: Any) -> list[Message[Any] | DecodeError]:
    return events.messages(batch, FFI)[1]


def call(
    targets: tuple[object, ...],
    batch: simulate_events.MessageBatch,
    wrap: Callable[[Any], Any] = BindingWrapper,
    **env: Any,
) -> dict[str, Any]:
    """What workerd says of the batch."""
    instance = worker(targets, WorkerEntrypoint, JS, FFI)(ExecutionContext(), Env(env))
    wrapped = SimpleNamespace(queue=lambda _, *rest: instance.queue(wrap(batch), *rest))
    return run(batch.call(wrapped, wrapped=False))  # type: ignore[no-any-return]  # workerd's words


# What a message is


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


def test_a_message_has_all_that_its_queue_tells(wrap: Callable[[Any], Any]) -> None:
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
def test_a_body_that_json_has_no_word_for_says_so_and_nothing_of_itself(sent: Any, why: str) -> None:
    (error,) = decoded(BindingWrapper(batch_of(sent)))
    assert isinstance(error, DecodeError), error
    assert why in str(error)
    assert "ha" not in str(error).split()


def test_what_cannot_be_read_comes_again_alone(wrap: Callable[[Any], Any]) -> None:
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


def test_what_javascript_throws_costs_the_one_message_that_is_read() -> None:
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


NOTIFICATION = {
    "account": "3f4b7e3dcab231cbfdaa90a6a28bd548",
    "action": "PutObject",
    "bucket": "my-bucket",
    "object": {"key": "my new+object%20.png", "size": 65536, "eTag": "c846ff7a18f28c2e262116d6e8719ef0"},
    "eventTime": "2024-05-24T19:36:44.379Z",
}


def held(value: Any) -> list[Event[Any]]:
    return events.inside(fake.message(value, id="m1", content_type="application/json"))


def test_an_r2_notification_is_inside_of_its_message() -> None:
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
def test_a_message_of_something_else_holds_nothing(value: Any) -> None:
    assert [] == held(value)


def test_a_cloud_event_inside_of_a_message_is_counted_as_the_message_is() -> None:
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


def test_every_message_is_settled_by_itself(wrap: Callable[[Any], Any]) -> None:
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


def test_a_rejected_one_that_nothing_takes_comes_again(caplog: pytest.LogCaptureFixture) -> None:
    for env, why in [
        ({}, "there is no binding DEAD for the dead letters"),
        ({"DEAD": simulate_events.Queue(fails=True)}, "m1 can't be sent to the dead letters DEAD"),
        ({"DEAD": "a text"}, "m1 can't be sent to the dead letters DEAD"),
    ]:
        caplog.clear()
        answer = call((orders,), batch_of('"reject"', 1), **env)
        assert (["m2"], [{"msgId": "m1"}]) == (answer["explicitAcks"], answer["retryMessages"])
        assert why in caplog.messages


def test_a_message_that_comes_twice_is_dead_lettered_once() -> None:
    dead = simulate_events.Queue()
    batch = batch_of('"reject"', '"reject"')
    batch.messages[1].id = "m1"
    assert ["m1"] == call((orders,), batch, DEAD=dead)["explicitAcks"]
    assert 1 == len(dead.sent)


def test_an_object_event_is_dead_lettered_as_the_message_that_it_came_in() -> None:
    @portable(on.object("my-bucket", dead_letter="DEAD"))
    async def stored(event: ObjectEvent[Any]) -> None:
        raise Reject("no use")

    dead = simulate_events.Queue()
    assert ["m1"] == call((stored,), batch_of(NOTIFICATION), DEAD=dead)["explicitAcks"]
    assert [NOTIFICATION] == [restored(letter(one)).data for one in dead.sent]


def test_what_a_batch_handler_rejects_is_dead_lettered_and_the_rest_done() -> None:
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


def test_what_goes_wrong_in_the_adapter_acknowledges_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(events, "message", broken)
    answer = call((orders,), batch_of(1, 2))
    assert ("exception", [], []) == (answer["outcome"], answer["explicitAcks"], answer["retryMessages"])


def test_a_handler_that_cancels_its_own_task_has_failed_alone() -> None:
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


def test_what_is_settled_is_read_strictly_from_what_workerd_says() -> None:
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


def test_of_ack_and_retry_the_first_counts() -> None:
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


@portable(on.task("resize-image"))
def resize(event: Task[Any]) -> Any:
    return event.data


@portable
def double(event: Task[Any]) -> Any:
    return event.data * 2


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
def test_a_worker_has_a_method_for_what_its_functions_are_for_and_no_other(
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


def test_what_cannot_be_is_told_when_the_worker_is_made(caplog: pytest.LogCaptureFixture) -> None:
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


def test_a_worker_for_requests_alone_imports_nothing_of_events() -> None:
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
    expected = ["decode", "encode", "entry", "methods", "running"]
    assert [f"portable_fn_cloudflare.{name}" for name in expected] == ast.literal_eval(made.stdout)


# Schedules


def test_each_schedule_calls_the_function_with_its_expression() -> None:
    seen = []

    @portable(on.schedule("0  3 * * *"))
    def night(event: ScheduleEvent[Any]) -> None:
        seen.append(("night", event.id, event.time))

    @portable(on.schedule("0 12 * * *"))
    async def day(event: ScheduleEvent[Any]) -> None:
        seen.append(("day", event.id, event.time))

    for cron in ("0 3 * * *", "0 12 * * *"):
        delivery = deliver((night, day), fake.schedule(cron=cron, at=NOON), to="cloudflare")
        assert [EventResult("acknowledged")] == delivery.results
    assert [("night", "0 3 * * *@1772625600005", NOON), ("day", "0 12 * * *@1772625600005", NOON)] == seen


@pytest.mark.parametrize(
    ("raised", "outcome"),
    [(LookupError("no"), "retried"), (Retry("no"), "retried"), (SystemExit("no"), "retried"), (Reject("no"), "dead-lettered")],
)  # fmt: skip
def test_a_schedule_that_fails_is_an_exception(raised: BaseException, outcome: str) -> None:
    @portable(on.schedule("0 3 * * *"))
    def failing(event: ScheduleEvent[Any]) -> None:
        raise raised

    assert [outcome] == deliver(failing, fake.schedule(cron="0 3 * * *"), to="cloudflare").outcomes


@pytest.mark.parametrize(("cron", "scheduled"), [(None, 1), ("* * * * *", None), ("* * * * *", "noon"), (7, 1)])
def test_a_schedule_that_cannot_be_read_is_an_error(cron: Any, scheduled: Any) -> None:
    with pytest.raises(DecodeError, match="a schedule can't be read"):
        events.schedule(SimpleNamespace(cron=cron, scheduledTime=scheduled))  # type: ignore[arg-type]


# Emails


def mailed(*headers: tuple[str, str], **fields: Any) -> events.Email:
    lines = [("message-id", " <1@example.com> "), *headers]
    return events.email({"from": "ada@example.com", "to": "orders@example.com", **fields}, lines, b"raw \xff")


def test_an_email_is_a_message() -> None:
    email = mailed(("date", "Wed, 04 Mar 2026 13:00:00 +0100"), ("subject", "=?utf-8?b?Wm/Dqw==?= writes"))
    assert ("<1@example.com>", "orders@example.com", "orders@example.com", b"raw \xff", "Zoë writes", b"raw \xff") == (
        email.id,
        email.source,
        email.channel,
        email.body,
        email.subject,
        email.data,
    )
    assert datetime(2026, 3, 4, 12, tzinfo=UTC) == email.time
    assert ("<ada@example.com>", None, None) == (email.attributes["return-path"], email.attempt, email.key)
    assert [] == events.inside(email)


def test_a_sender_cannot_write_where_an_email_came_from() -> None:
    assert "<ada@example.com>" == mailed(("return-path", "<boss@example.com>")).attributes["return-path"]


@pytest.mark.parametrize("date", ["", "noon", "Wed, 99 Mar 2026 13:00:00 +0100", "Wed, 04 Mar 99999 13:00:00 +0100"])
def test_an_email_whose_date_is_none_has_no_time(date: str) -> None:
    assert None is mailed(("date", date)).time
    assert None is mailed().time


def test_a_date_without_a_zone_is_in_utc() -> None:
    assert datetime(2026, 3, 4, 13, tzinfo=UTC) == mailed(("date", "Wed, 04 Mar 2026 13:00:00 -0000")).time


@pytest.mark.parametrize("subject", ["=?utf-8?b?!!?=", "=?nowhere?q?a?=", "=?utf-8?q?=ff?=", "=?=?=?"])
def test_a_subject_of_no_known_words_is_an_error_or_a_text(subject: str) -> None:
    email = mailed(("subject", subject))
    with suppress(DecodeError):
        assert isinstance(email.subject, str)


def test_an_email_without_an_id_is_told_to_its_sender_and_handled_by_nobody() -> None:
    seen = []

    @portable
    def inbox(message: Message[Any]) -> None:
        seen.append(message.id)

    for id in ("", " "):
        (answer,) = deliver(inbox, fake.message({}, id=id), to="cloudflare", via="email").native_answers
        assert "the email has no Message-ID" in answer.message
    assert [] == seen


@pytest.mark.parametrize(
    ("raised", "settled"),
    [
        (Reject("no such mailbox"), EventResult("dead-lettered", why="no such mailbox")),
        (Reject(), EventResult("dead-lettered", why="rejected")),
        (LookupError("no"), EventResult("retried")),
        (SystemExit("no"), EventResult("retried")),
    ],
)
def test_what_becomes_of_an_email(raised: BaseException, settled: EventResult) -> None:
    @portable(on.queue("inbox@example.com"))
    async def inbox(message: Message[Any]) -> None:
        raise raised

    sent = fake.message({}, channel="inbox@example.com")
    assert [settled] == deliver(inbox, sent, to="cloudflare", via="email").results


def test_an_email_that_is_too_large_or_breaks_off_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    @portable
    def inbox(message: Message[Any]) -> None: ...

    monkeypatch.setattr("portable_fn_cloudflare.events.entry.MAX_EMAIL", 5000)
    sent = fake.message(body=b"x" * 5001, content_type="message/rfc822")
    (answer,) = deliver(inbox, sent, to="cloudflare", via="email").native_answers
    assert "the email is over 5000 bytes" in answer.message

    class Broken:
        async def __aiter__(self) -> Any:
            raise JsException("Network connection lost.")
            yield

    native = simulate_events.EmailMessage(sent)
    native.raw = Broken()  # type: ignore[assignment]
    instance = worker((inbox,), WorkerEntrypoint, JS, FFI)(ExecutionContext(), Env({}))
    with pytest.raises(DecodeError, match="an email can't be read: JsException"):
        run(native.call(instance, wrapped=True))


# RPC


def test_a_method_has_its_arguments_as_input() -> None:
    inputs = [
        ((), {}, None),
        ((1,), {}, 1),
        ((None,), {}, None),
        ((1, "a", None), {}, [1, "a", None]),
        (([1, 2],), {}, [1, 2]),
        ((), {"width": 7}, {"width": 7}),
        ((1,), {"width": 7}, [1, {"width": 7}]),
        ((memoryview(b"ab"),), {}, b"ab"),
        (({"at": NOON.replace(tzinfo=None)},), {}, {"at": NOON}),
        ((javascript(NOON),), {}, NOON),
        ((javascript({"n": None}),), {}, {"n": None}),
    ]
    for args, by_name, expected in inputs:
        task = events.task("double", args, by_name, "1", FFI)
        assert (expected, "double", "1", "rpc") == (task.data, task.name, task.id, task.type)


@pytest.mark.parametrize("argument", [lambda: None, object(), float("nan"), re.compile("a")])
def test_what_is_no_value_is_an_error_to_the_caller(argument: Any) -> None:
    task = fake.task(argument, name="double")
    error = deliver(double, task, to="cloudflare").error
    assert error is not None
    assert "DecodeError" == error[0]


def test_a_task_gives_a_value_or_an_error_by_its_name() -> None:
    assert Delivery([EventResult("acknowledged")], result=14) == deliver(
        double, fake.task(7, name="double"), to="cloudflare"
    )
    failed = deliver(double, fake.task({}, name="double"), to="cloudflare")
    assert ("TypeError", "unsupported operand type(s) for *: 'dict' and 'int'") == failed.error

    @portable(on.task("odd"))
    async def odd(event: Task[Any]) -> Any:
        if event.data == "reject":
            raise Reject("no use")
        return object()

    assert ("Reject", "no use") == deliver(odd, fake.task("reject", name="odd"), to="cloudflare").error
    error = deliver(odd, fake.task(name="odd"), to="cloudflare").error
    assert ("EncodeError", "a task returns a JSON value, not object: object has no JSON form") == error


# The law


text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
numbers = st.one_of(st.integers(-(2**53) + 1, 2**53 - 1), st.floats(allow_nan=False, allow_infinity=False))
json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, text),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(text, inner, max_size=3)),
    max_leaves=10,
)
ids = st.text(string.ascii_letters + string.digits + "-", min_size=1, max_size=32)
# To the millisecond, as JavaScript counts.
times = st.integers(946_684_800_000, 4_102_444_800_000).map(
    lambda ms: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)
)


def handled(event: Any, service: str, kind: Any) -> Any:
    """The event as a function gets it that the service calls."""
    got: list[Event[Any]] = []

    def function(event: Any) -> None:
        got.append(event)

    function.__annotations__ = {"event": kind}
    if kind is Task:
        function.__name__ = event.name
    delivery = deliver(portable(function), event, to="cloudflare", via=service)
    assert ["acknowledged"] == delivery.outcomes
    (found,) = got
    return found


@pytest.mark.parametrize("service", ["queue", "queue_raw"])
@given(
    id=ids, channel=ids, time=times, attempt=st.integers(1, 100), sent=st.one_of(json_values, st.binary(max_size=50))
)
def test_a_message_comes_as_it_was_sent(
    service: str, id: str, channel: str, time: datetime, attempt: int, sent: Any
) -> None:
    body, content_type = values.body(javascript(sent), FFI)
    message = Message(id, channel, body, channel=channel, time=time, content_type=content_type, attempt=attempt)
    assert message == handled(message, service, Message)


@given(id=ids, key=text, bucket=ids, time=times, size=st.integers(0, 2**50), etag=ids, deleted=st.booleans())
def test_an_object_event_comes_as_it_was_sent(
    id: str, key: str, bucket: str, time: datetime, size: int, etag: str, deleted: bool
) -> None:
    event = fake.object(bucket, key, id=id, source=f"{'a' * 32}/{bucket}", time=time)
    if deleted:
        event.action = "deleted"
    else:
        event.size, event.etag = size, etag
    assert event == handled(event, "r2_queue", ObjectEvent)


@given(id=ids, time=times, subject=text, extensions=st.dictionaries(st.from_regex("[a-z0-9]{4}x", fullmatch=True), text), data=json_values, raw=st.binary(min_size=1))  # fmt: skip
def test_a_cloud_event_comes_as_it_was_sent(
    id: str, time: datetime, subject: str, extensions: dict[str, str], data: Any, raw: bytes
) -> None:
    body, _ = values.body(javascript([data]), FFI)
    for event in (
        fake.cloud_event(body=body, id=id, time=time, subject=subject, extensions=extensions),
        fake.cloud_event(body=raw, id=id, time=time, content_type="application/octet-stream"),
    ):
        assert event == handled(event, "queue", CloudEvent)


@given(time=times, cron=st.sampled_from(["0 3 * * *", "*/5 1,2 * * MON-FRI"]))
def test_a_schedule_comes_as_it_was_sent(time: datetime, cron: str) -> None:
    due = round(time.timestamp() * 1000)
    event = fake.schedule(at=time, cron=cron, name="", id=f"{cron}@{due}", source="scheduled")
    assert event == handled(event, "scheduled", ScheduleEvent)


@given(sent=json_values.filter(lambda value: value is not None))
def test_a_task_comes_as_it_was_sent_and_its_result_goes_back(sent: Any) -> None:
    task = handled(fake.task(sent, name="double"), "rpc", Task)
    assert (sent, "double") == (task.data, task.name)
    assert sent == deliver(resize, fake.task(sent, name="resize-image"), to="cloudflare").result


@given(id=ids, subject=text.map(str.strip), time=times, attributes=st.dictionaries(st.from_regex("x-[a-z]{1,5}", fullmatch=True), ids), body=st.binary())  # fmt: skip
def test_an_email_comes_as_it_was_sent(
    id: str, subject: str, time: datetime, attributes: dict[str, str], body: bytes
) -> None:
    sent = fake.message(
        id=id, body=body, subject=subject, time=time.replace(microsecond=0), attributes=attributes, attempt=None
    )
    got: Any = handled(sent, "email", Message)
    assert (id, "orders", body, sent.time) == (got.id, got.channel, got.body, got.time)
    assert attributes.items() <= got.attributes.items()
    assert subject.split() == got.subject.split()


# Hostile input


junk = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.binary(max_size=5), st.just(NOON),
        st.just(re.compile("a")),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3),
        st.dictionaries(st.one_of(st.integers(), st.text(max_size=2)), inner, max_size=3).map(Map),
    ),
    max_leaves=8,
)  # fmt: skip
FIELDS = [*NOTIFICATION, "specversion", "id", "type", "source", "time", "data", "data_base64"]
CLOUD_EVENT = {"specversion": "1.0", "id": "e", "source": "/shop", "type": "a", "time": "2026-01-02T03:04:05Z"}


def read_all(event: Event[Any]) -> None:
    """Reads every field; a DecodeError is all that may come of it."""
    for name in (*event._fields, "data", "subject", "carrier"):
        try:
            getattr(event, name)
        except DecodeError:
            pass


@given(
    base=st.sampled_from([NOTIFICATION, CLOUD_EVENT]),
    changed=st.dictionaries(st.sampled_from(FIELDS), junk, max_size=3),
    inner=st.dictionaries(st.sampled_from(["key", "size", "eTag"]), junk, max_size=2),
    gone=st.sets(st.sampled_from(FIELDS), max_size=1),
)
def test_a_changed_body_is_an_event_or_a_decode_error(
    base: dict[str, Any], changed: dict[str, Any], inner: dict[str, Any], gone: set[str]
) -> None:
    value = {name: one for name, one in {**base, **changed}.items() if name not in gone}
    if inner and isinstance(value.get("object"), dict):
        value["object"] = {**value["object"], **inner}
    for wrap in WRAPPERS.values():
        (message,) = decoded(wrap(batch_of(value)))
        if isinstance(message, Message):
            read_all(message)
            try:
                for one in events.inside(message):
                    read_all(one)
            except DecodeError:
                pass


@given(id=junk, timestamp=junk, attempts=junk, body=junk)
def test_a_changed_message_is_an_event_or_a_decode_error(id: Any, timestamp: Any, attempts: Any, body: Any) -> None:
    message = simulate_events.QueueMessage(javascript(id), timestamp, javascript(attempts), body)
    for wrap in WRAPPERS.values():
        (event,) = decoded(wrap(simulate_events.MessageBatch("orders", [message])))
        assert isinstance(event, (Message, DecodeError))


@given(headers=st.lists(st.tuples(st.sampled_from(["message-id", "subject", "date"]), st.text(max_size=30))), to=junk)
def test_a_changed_email_is_an_event_or_a_decode_error(headers: Sequence[tuple[str, str]], to: Any) -> None:
    try:
        read_all(events.email({"from": None, "to": javascript(to)}, headers, b""))
    except DecodeError:
        pass


@given(value=junk)
def test_a_changed_argument_is_a_task_or_a_decode_error(value: Any) -> None:
    try:
        read_all(events.task("double", [javascript(value), python_from_rpc(javascript(value))], {}, "1", FFI))
    except DecodeError:
        pass
