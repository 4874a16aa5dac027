"""Simulate redelivery, duplicates, another order, throttling, deadlines and cold starts; observe logs and background work."""

from __future__ import annotations

import logging
import time
from typing import Any

import pytest

from portable_fn import Batch, Context, Message, ObjectEvent, Reject, Request, Retry, Task, on, portable
from portable_fn.providers import ADAPTERS
from portable_fn.testing import Duplicates, Redelivery, Reordered, Throttled, deliver, fake
from portable_fn.testing.results import Background, EventResult

EVERYWHERE = pytest.mark.parametrize("provider", list(ADAPTERS))
# Providers whose queue counts the deliveries of a message.
COUNTING = pytest.mark.parametrize("provider", ["aws", "gcp", "azure", "cloudflare"])


class Orders:
    """A handler that keeps its messages; a message's data says how often it fails before it succeeds."""

    def __init__(self) -> None:
        self.got: list[tuple[str, int | None, bool]] = []

        @portable(on.queue("orders"))
        def ship(message: Message[Any], ctx: Context) -> None:
            self.got.append((message.id, message.attempt, ctx.cold_start))
            if message.data == "never":
                raise Reject("never")
            if self.ids.count(message.id) <= message.data:
                raise Retry("not yet")

        self.ship = ship

    @property
    def ids(self) -> list[str]:
        return [id for id, _, _ in self.got]

    @property
    def attempts(self) -> list[int | None]:
        return [attempt for _, attempt, _ in self.got]


@EVERYWHERE
def test_a_retried_event_is_redelivered_until_it_succeeds_or_is_dead_lettered(provider: str) -> None:
    orders = Orders()
    events = fake.batch([0, 2, 9])
    delivery = deliver(orders.ship, events, to=provider, redelivery=Redelivery(max_attempts=4))

    assert [1, 3, 4] == delivery.attempts
    assert [1, 3, 4] == [orders.ids.count(f"message-{number}") for number in (1, 2, 3)]
    assert (list(events)[:2], [events[2]]) == (delivery.acknowledged, delivery.dead_lettered)
    assert ([], []) == (delivery.retried, delivery.lost)


@COUNTING
def test_the_attempt_rises_if_the_source_counts(provider: str) -> None:
    orders = Orders()
    delivery = deliver(orders.ship, fake.message(2), to=provider, redelivery=Redelivery())

    assert [1, 2, 3] == orders.attempts
    assert ["acknowledged"] == delivery.outcomes


def test_an_event_that_was_delivered_before_has_fewer_deliveries_left() -> None:
    orders = Orders()
    delivery = deliver(orders.ship, fake.message(9, attempt=3), redelivery=Redelivery(max_attempts=4))

    assert [3, 4] == orders.attempts
    assert ([2], ["dead-lettered"]) == (delivery.attempts, delivery.outcomes)


def test_without_a_dead_letter_the_last_failure_loses_the_event() -> None:
    orders = Orders()
    message = fake.message(9)
    delivery = deliver(orders.ship, message, redelivery=Redelivery(max_attempts=2, dead_letter=False))

    assert [message] == delivery.lost


def test_without_redelivery_a_failed_event_is_sent_once() -> None:
    orders = Orders()
    messages = fake.batch([0, 1])
    delivery = deliver(orders.ship, messages)

    assert ([messages[0]], [messages[1]], [1, 1]) == (delivery.acknowledged, delivery.retried, delivery.attempts)


def test_delays_of_an_earlier_delivery_are_not_those_of_the_last() -> None:
    seen: list[int | None] = []

    @portable(on.queue("orders"))
    def ship(message: Message) -> None:
        seen.append(message.attempt)
        raise Retry("later", after=30) if len(seen) == 1 else Retry("again")

    first = deliver(ship, fake.message(1))
    assert [EventResult("retried", 30)] == first.results
    seen.clear()
    delivery = deliver(ship, fake.message(1), redelivery=Redelivery(max_attempts=2))
    assert [EventResult("dead-lettered")] == delivery.results
    assert 2 == len(delivery.native_answers)


@pytest.mark.parametrize(
    ("provider", "via"), [("aws", "sqs_fifo"), ("aws", "kinesis"), ("gcp", "pubsub_push"), ("azure", "event_hubs")]
)
def test_in_an_ordered_source_later_events_wait_for_the_failed_one(provider: str, via: str) -> None:
    orders = Orders()
    messages = [fake.message(data, id=id, key="a") for id, data in (("m1", 1), ("m2", 0), ("m3", 0))]
    if via in ("kinesis", "event_hubs"):
        for number, message in enumerate(messages, 1):
            message.partition, message.sequence = "0", str(number)
    delivery = deliver(orders.ship, messages, to=provider, via=via, redelivery=Redelivery())

    done = [message.id.rpartition(":")[2] for message in delivery.acknowledged]
    assert ["m1", "m2", "m3"] == done
    # In a stream the handler sees the id that the place in the stream gives.
    assert 4 == len(orders.ids)
    assert orders.ids[0] == orders.ids[1]


def test_events_that_pubsub_holds_back_are_not_counted_as_attempts() -> None:
    orders = Orders()
    messages = [fake.message(data, id=id, key="a") for id, data in (("m1", 1), ("m2", 0))]
    delivery = deliver(orders.ship, messages, to="gcp", via="pubsub_push", redelivery=Redelivery(max_attempts=2))

    assert ["m1", "m1", "m2"] == orders.ids
    assert ([2, 1], ["acknowledged"] * 2) == (delivery.attempts, delivery.outcomes)


@pytest.mark.parametrize("via", ["service_bus_sessions", "event_hubs", "kafka"])
def test_events_that_azure_holds_back_follow_once_the_failed_one_is_dead_lettered(via: str) -> None:
    orders = Orders()
    messages = [
        fake.message(data, id=id, key=key, partition=key, sequence=id)
        for id, data, key in (("1", 9, "0"), ("2", 0, "0"), ("3", 0, "1"))
    ]
    once = deliver(orders.ship, messages, to="azure", via=via)
    assert (["retried", "retried", "acknowledged"], [1, 0, 1]) == (once.outcomes, once.attempts)
    assert ["1", "3"] == [id[-1] for id in orders.ids]

    delivery = deliver(orders.ship, messages, to="azure", via=via, redelivery=Redelivery(3))
    assert ["dead-lettered", "acknowledged", "acknowledged"] == delivery.outcomes
    assert [3, 1, 1] == delivery.attempts


def test_each_azure_subscription_gets_the_duplicate_of_an_event_that_one_dead_lettered() -> None:
    got: list[tuple[str, int | None]] = []

    @portable(on.topic("orders"))
    def done(message: Message) -> None:
        got.append(("done", message.attempt))

    @portable(on.topic("orders"))
    def never(message: Message) -> None:
        got.append(("never", message.attempt))
        raise ValueError

    delivery = deliver(
        [done, never], fake.message(), to="azure", failures=[Duplicates()], redelivery=Redelivery(max_attempts=3)
    )
    assert [1, 2] == [attempt for name, attempt in got if name == "done"]
    assert [1, 2, 3, 2, 3] == [attempt for name, attempt in got if name == "never"]
    assert (["dead-lettered"], [5]) == (delivery.outcomes, delivery.attempts)


@COUNTING
def test_a_duplicate_arrives_after_all_events_with_the_next_attempt(provider: str) -> None:
    orders = Orders()
    delivery = deliver(orders.ship, fake.batch([0, 0]), to=provider, failures=[Duplicates()])

    assert ["message-1", "message-2", "message-1", "message-2"] == orders.ids
    assert [1, 1, 2, 2] == orders.attempts
    assert [2, 2] == delivery.attempts


def test_an_event_is_retried_if_one_of_its_duplicates_fails() -> None:
    seen: list[str] = []

    @portable(on.queue("orders"))
    def once(message: Message) -> None:
        seen.append(message.id)
        if seen.count(message.id) > 1:
            raise ValueError("not idempotent")

    assert ["retried"] == deliver(once, fake.message(1), failures=[Duplicates()]).outcomes


def test_the_seed_sets_the_order_and_the_outcomes_stay_in_the_order_of_the_events() -> None:
    first, again, other = Orders(), Orders(), Orders()
    data = [0, 0, 0, 1, 0, 0]
    delivery = deliver(first.ship, fake.batch(data), failures=[Reordered(seed=1)])
    deliver(again.ship, fake.batch(data), failures=[Reordered(seed=1)])
    deliver(other.ship, fake.batch(data), failures=[Reordered(seed=2)])

    assert sorted(first.ids) == [f"message-{number}" for number in range(1, 7)]
    assert first.ids == again.ids
    assert first.ids != other.ids
    assert sorted(first.ids) != first.ids
    assert ["acknowledged"] * 3 + ["retried"] + ["acknowledged"] * 2 == delivery.outcomes


def test_reordering_keeps_the_order_of_a_key_if_the_source_does() -> None:
    orders = Orders()
    messages = [fake.message(0, id=f"{key}{number}", key=key) for number in range(4) for key in "ab"]
    deliver(orders.ship, messages, via="sqs_fifo", failures=[Reordered(seed=3)])

    assert [message.id for message in messages] != orders.ids
    for key in "ab":
        assert [f"{key}{number}" for number in range(4)] == [id for id in orders.ids if id.startswith(key)]


def test_a_throttled_event_comes_later() -> None:
    orders = Orders()
    delivery = deliver(orders.ship, fake.message(0), failures=[Throttled(times=2)])

    assert ([1], ["acknowledged"], [1]) == (orders.attempts, delivery.outcomes, delivery.attempts)


def test_throttling_that_the_source_counts_uses_up_attempts() -> None:
    orders = Orders()
    throttled = Throttled(times=2, counts=True)
    delivery = deliver(orders.ship, fake.message(0), redelivery=Redelivery(max_attempts=3), failures=[throttled])
    assert ([3], ["acknowledged"], [1]) == (orders.attempts, delivery.outcomes, delivery.attempts)

    delivery = deliver(orders.ship, fake.message(0), redelivery=Redelivery(max_attempts=2), failures=[throttled])
    assert (["dead-lettered"], [0]) == (delivery.outcomes, delivery.attempts)
    assert 1 == len(orders.got)


@EVERYWHERE
def test_a_throttled_request_gets_429_without_a_call(provider: str) -> None:
    called: list[str] = []

    @portable
    def hello(request: Request) -> str:
        called.append(request.path)
        return "hello"

    assert 429 == deliver(hello, fake.request(), to=provider, failures=[Throttled()]).status
    assert [] == called
    assert "hello" == deliver(hello, fake.request(), to=provider, failures=[Throttled(times=0)]).text


@EVERYWHERE
def test_the_first_invocation_is_cold_or_each_with_cold_start(provider: str) -> None:
    orders = Orders()
    deliver(orders.ship, fake.message(2), to=provider, redelivery=Redelivery())
    assert [True, False, False] == [is_cold for _, _, is_cold in orders.got]

    orders = Orders()
    deliver(orders.ship, fake.message(2), to=provider, redelivery=Redelivery(), cold_start=True)
    assert [True, True, True] == [is_cold for _, _, is_cold in orders.got]


def test_messages_not_started_before_the_deadline_are_redelivered() -> None:
    got: list[str] = []

    @portable(on.queue("orders"))
    def slow(message: Message) -> None:
        got.append(message.id)
        time.sleep(0.15)

    delivery = deliver(slow, fake.batch([1, 2, 3, 4]), seconds=0.4, redelivery=Redelivery())

    assert [f"message-{number}" for number in range(1, 5)] == got
    assert ["acknowledged"] * 4 == delivery.outcomes
    assert 1 == delivery.attempts[0]
    assert delivery.attempts[3] > 1


def test_a_batch_handler_gets_the_message_that_it_retried() -> None:
    got: list[list[str]] = []

    @portable(on.queue("orders"))
    def ship(batch: Batch[Message]) -> None:
        got.append([message.id for message in batch])
        if len(got) == 1:
            batch.retry(batch[1])

    delivery = deliver(ship, fake.batch([1, 2, 3]), redelivery=Redelivery())

    assert [["message-1", "message-2", "message-3"], ["message-2"]] == got
    assert [1, 2, 1] == delivery.attempts


def test_a_dead_lettered_event_is_not_redelivered() -> None:
    @portable(on.queue("orders", dead_letter="https://sqs.eu-central-1.amazonaws.com/123456789012/dead"))
    def ship(message: Message) -> None:
        raise Reject("never")

    delivery = deliver(ship, fake.message(1), redelivery=Redelivery())
    assert ([1], [EventResult("dead-lettered", None, "never")]) == (delivery.attempts, delivery.results)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"failures": [Duplicates(), Duplicates(3)]}, "failures has Duplicates more than once"),
        ({"failures": [Redelivery()]}, "failures must be Duplicates, Reordered or Throttled, not Redelivery"),
        ({"failures": ["throttled"]}, "failures must be Duplicates, Reordered or Throttled, not 'throttled'"),
    ],
)
def test_invalid_failures_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        deliver(Orders().ship, fake.message(0), **options)


def test_a_request_can_only_be_throttled() -> None:
    handler = portable(lambda request: None)
    with pytest.raises(ValueError, match="failures of a request can only be Throttled"):
        deliver(handler, fake.request(), failures=[Duplicates()])
    with pytest.raises(ValueError, match="redelivery and cold_start are for events"):
        deliver(handler, fake.request(), redelivery=Redelivery())  # type: ignore[call-overload]  # the types forbid it too


@pytest.mark.parametrize(
    ("kind", "name", "least"), [(Redelivery, "max_attempts", 1), (Duplicates, "times", 1), (Throttled, "times", 0)]
)
def test_numbers_of_times_must_be_whole(kind: Any, name: str, least: int) -> None:
    assert least == getattr(kind(least), name)
    for wrong in (least - 1, 1.5, float("inf"), float("nan"), True, "3", None):
        with pytest.raises(ValueError, match=f"^{name} must be a whole number from {least}, not {wrong!r}$"):
            kind(wrong)


def test_a_seed_must_be_a_whole_number() -> None:
    for wrong in (None, "7", 1.5):
        with pytest.raises(ValueError, match=f"^seed must be a whole number, not {wrong!r}$"):
            Reordered(wrong)  # type: ignore[arg-type]  # the types forbid it too


# Logs, background work and native payloads


async def _remember(log: list[str]) -> None:
    log.append("remembered")


async def _break() -> None:
    raise ValueError("broken")


@EVERYWHERE
def test_logs_background_work_and_the_duration_are_in_the_delivery(provider: str) -> None:
    remembered: list[str] = []

    @portable(on.queue("orders"))
    def ship(message: Message, ctx: Context) -> None:
        ctx.log.debug("shipping %s", message.data["sku"])
        ctx.background(_remember(remembered))
        ctx.background(_break())
        logging.getLogger("app").warning("low stock")

    delivery = deliver(ship, fake.message({"sku": 7}), to=provider)

    lines = [record.getMessage() for record in delivery.logs]
    assert ["shipping 7", "low stock"] == lines[:2]
    assert ["remembered"] == remembered
    done, broken = delivery.background
    assert Background("_remember", done=True) == done
    assert ("_break", False, "broken") == (broken.name, broken.done, str(broken.error))
    assert 0 < delivery.duration < 10


@EVERYWHERE
def test_logs_background_work_and_the_duration_are_in_the_answer(provider: str) -> None:
    remembered: list[str] = []

    @portable
    async def hello(request: Request, ctx: Context) -> str:
        ctx.log.info("hello")
        ctx.background(_remember(remembered))
        return "hello"

    answer = deliver(hello, fake.request(), to=provider)

    assert "hello" in [record.getMessage() for record in answer.logs]
    assert [Background("_remember", done=True)] == answer.background
    assert answer.native_request is not None
    assert answer.native_answer is not None
    assert answer.duration > 0


def test_a_delivery_has_only_its_own_logs_and_other_handlers_get_the_usual_ones(
    caplog: pytest.LogCaptureFixture,
) -> None:
    @portable(on.queue("orders"))
    def inner(message: Message, ctx: Context) -> None:
        ctx.log.debug("inner")

    @portable(on.queue("orders"))
    def outer(message: Message, ctx: Context) -> None:
        ctx.log.info("outer")
        ctx.log.debug("quiet")
        assert ["inner"] == [record.getMessage() for record in deliver(inner, fake.message(1)).logs]

    assert ["outer", "quiet"] == [record.getMessage() for record in deliver(outer, fake.message(1)).logs]
    assert ["outer"] == [record.getMessage() for record in caplog.records]
    logging.getLogger("portable_fn.x").info("after")
    assert ["outer"] == [record.getMessage() for record in caplog.records]


def test_a_logger_with_a_level_keeps_it(caplog: pytest.LogCaptureFixture) -> None:
    @portable(on.queue("orders"))
    def ship(message: Message, ctx: Context) -> None:
        ctx.log.info("shipping")
        ctx.log.debug("in detail")

    with caplog.at_level(logging.INFO, "portable_fn.function"):
        delivery = deliver(ship, fake.message(1))
    assert ["shipping"] == [record.getMessage() for record in caplog.records]
    assert ["shipping"] == [record.getMessage() for record in delivery.logs]


def test_without_logging_set_up_lines_reach_stderr_once(capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    handlers, root.handlers = root.handlers, []
    try:
        deliver(Orders().ship, fake.message(1))
    finally:
        root.handlers = handlers
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("[WARNING]\t")
    assert line.endswith("\tship retries message-1: not yet")


def test_the_native_request_and_answer_of_one_invocation() -> None:
    orders = Orders()
    delivery = deliver(orders.ship, fake.batch([0, 1]))
    assert ["message-1", "message-2"] == [record["messageId"] for record in delivery.native_request["Records"]]
    assert {"batchItemFailures": [{"itemIdentifier": "message-2"}]} == delivery.native_answer

    several = deliver(orders.ship, fake.batch([0, 0]), via="sns")
    with pytest.raises(ValueError, match="there are 2: use native_requests"):
        _ = several.native_request


# Several providers


def test_a_list_of_providers_returns_a_delivery_for_each() -> None:
    deliveries = deliver(Orders().ship, fake.message(0), to=["aws", "gcp"])
    outcomes = {name: delivery.outcomes for name, delivery in deliveries.items()}
    assert {"aws": ["acknowledged"], "gcp": ["acknowledged"]} == outcomes


def test_all_means_the_providers_that_have_such_events() -> None:
    @portable
    def double(task: Task) -> int:
        return 2 * task.data

    @portable
    def hello(request: Request) -> str:
        return "hello"

    tasks = deliver(double, fake.task(21), to="all")
    assert dict.fromkeys(ADAPTERS, 42) == {name: delivery.result for name, delivery in tasks.items()}
    answers = deliver(hello, fake.request(), to="all")
    assert dict.fromkeys(ADAPTERS, "hello") == {name: answer.text for name, answer in answers.items()}
    by_service = deliver(Orders().ship, fake.message(0), to="all", via="kafka")
    assert ["aws", "azure"] == list(by_service)
    with pytest.raises(ValueError, match="no provider delivers a Message by 'pigeon'"):
        deliver(Orders().ship, fake.message(0), to="all", via="pigeon")


@pytest.mark.parametrize("via", ["s3/sns/sqs", "s3_sns_sqs"])
def test_nested_services_are_named_from_the_inside(via: str) -> None:
    seen: list[ObjectEvent] = []

    @portable(on.object("uploads", "created"))
    def thumbnail(upload: ObjectEvent) -> None:
        seen.append(upload)

    assert ["acknowledged"] == deliver(thumbnail, fake.object(), via=via).outcomes
    assert ["Message", "Message"] == [envelope.kind_name for envelope in seen[0].envelopes]


def test_http_services_can_be_named_with_a_slash() -> None:
    assert 204 == deliver(portable(lambda request: None), fake.request(), via="rest/api").status
