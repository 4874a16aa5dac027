"""The format of dead letters: text alone, facts, malformed letters, CloudEvents."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from portable_fn import (
    ChangeEvent,
    DecodeError,
    Event,
    Message,
    ObjectEvent,
    Reject,
    ScheduleEvent,
    on,
    portable,
)
from portable_fn.adapter.as_cloudevent import read, write
from portable_fn.adapter.dead_letter import NO_REASON, Destination, letter, reason, restored, structured
from portable_fn.testing import deliver, fake, strategies
from portable_fn_aws import simulate as aws
from portable_fn_aws.drivers import queue as sqs
from tests.core.dead_letters import EVENTS, WHY, from_sqs, rejected

# Text alone.


@given(message=strategies.messages(attributes=st.dictionaries(st.text(max_size=8), st.text(max_size=8) | st.binary(max_size=8) | st.none(), max_size=4),
       body=st.binary(max_size=40) | st.text(max_size=20) | st.sampled_from([b"", b"null", b" 1 ", b'{"a": 1.0}', b"1e5", b'"\\ud800"', b"\xef\xbb\xbf{}"]),
       content_type=st.sampled_from(["", "application/json", "text/plain; charset=utf-8", "application/octet-stream", "Application/X+JSON"]),
       subject=st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
       key=st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
       partition=st.none() | st.just("3"), sequence=st.none() | st.just("41"), source=st.just("src"), channel=st.sampled_from(["", "orders", "a/b"])))  # fmt: skip
@settings(deadline=None)
def test_a_text_alone_restores_the_message_to_the_byte(message: Message[Any]) -> None:
    text = structured(message, Reject(WHY))
    assert text.decode().isprintable()
    assert message == restored(fake.message(body=text))


@given(message=strategies.messages(body=st.binary(max_size=40),
       attributes=st.dictionaries(st.text(max_size=8) | st.sampled_from(["host", "portable-fn-id", "a", "b", "c"]), st.text(max_size=8) | st.binary(max_size=8) | st.none(), max_size=14),
       content_type=st.sampled_from(["", "application/json", "tëxt/plain"]), subject=st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
       key=st.none() | st.text(max_size=8), source=st.just("src"), channel=st.sampled_from(["", "orders", "a/b"])), longest=st.sampled_from([40, 200, 10**6]), is_text=st.booleans())  # fmt: skip
@settings(deadline=None)
def test_fields_that_a_destination_does_not_accept_are_restored(
    message: Message[Any], longest: int, is_text: bool
) -> None:
    def ascii_only(text: str) -> str:
        return "".join(char if " " <= char <= "~" and char not in '"\\' else "?" for char in text)

    to = Destination(
        12,
        max(longest, 60),
        str.isidentifier,
        ascii_only,
        names_content_type=is_text,
        takes_bytes=is_text,
        takes_text=is_text,
    )
    try:
        event = letter(message, Reject("réason"), to)
    except UnicodeEncodeError:
        reject()  # half a pair of surrogates, which no CloudEvent has
    assert len(event.attributes) <= 12
    assert "r?ason" == event.attributes["portable-fn-reason"]
    # As the destination's consumer gets it.
    attributes = {name: value for name, value in event.attributes.items() if name != "content-type"}
    told = fake.message(body=event.body, attributes=attributes, content_type=event.content_type)
    assert message == restored(told)
    assert "réason" == reason(told)


def test_a_dead_letter_that_is_rejected_in_its_turn_comes_back_step_by_step() -> None:
    order = fake.message({"n": 1}, attributes={"tenant": "7"}, key="k")
    to = Destination(10, 1000, str.isascii, str)
    event = fake.cloud_event("order.created", {"n": 1}, extensions={"tenant": "7"})
    for first in (order, event, fake.object(), fake.change(after={"id": "1"})):
        for second_is_text in (False, True):
            for first_is_text in (False, True):
                if first_is_text:
                    once = fake.message(body=structured(first, Reject("first")), id="letter-1")
                else:
                    made = letter(first, Reject("first"), to)
                    once = fake.message(
                        body=made.body, attributes=made.attributes, content_type=made.content_type, id="letter-1"
                    )
                if second_is_text:
                    twice = fake.message(body=structured(once, Reject("second")))
                else:
                    made = letter(once, Reject("second"), Destination(12, 1000, str.isascii, str))
                    twice = fake.message(body=made.body, attributes=made.attributes, content_type=made.content_type)
                assert ("second", once) == (reason(twice), restored(twice))
                assert ("first", first) == (reason(restored(twice)), restored(restored(twice)))


def test_a_cloudevent_that_is_a_dead_letter_keeps_its_own_extensions() -> None:
    event = fake.cloud_event("order.created", extensions={"tenant": "7", "portablefnreason": "mine"})
    back: Any = restored(fake.message(body=structured(event, Reject(WHY))))
    assert {"tenant": "7", "portablefnreason": "mine"} == back.extensions


# The facts.


@pytest.mark.parametrize(
    ("why", "told"),
    [
        ("", NO_REASON),
        ("unknown sku", "unknown sku"),
        ("a\nb\x1b[2J\x00", "a b [2J"),
        ("é" * 5000, "é" * 500),
        ("🎉" * 5000, "🎉" * 250),
        ("x" * 999 + "é", "x" * 999),
        ("half \ud83d of it", "half   of it"),
    ],
)
def test_a_reason_is_a_line_of_a_thousand_bytes_at_most(why: str, told: str) -> None:
    letters = [
        from_sqs(sqs.message(fake.message({}), Reject(why), "https://sqs/1/dead")),
        fake.message(body=structured(fake.message({}), Reject(why))),
    ]
    assert [told] * 2 == [reason(one) for one in letters]


def test_the_reason_of_invalid_data_has_none_of_its_values() -> None:
    @portable(on.queue("orders", dead_letter="DEAD"))
    def ship(order: Message[dict[str, int]]) -> None: ...

    with aws.playing("sqs") as queues:
        invoke = aws.invoker((ship,), "sqs", 30)
        [payload] = aws.payloads([fake.message({"pin": "secret-4711"})], "sqs")
        invoke(payload)
    [request] = queues.dead_letters()
    told = request["MessageAttributes"]["portable-fn-reason"]["StringValue"]
    assert told.startswith("the data is not valid")
    assert "secret-4711" not in json.dumps(request["MessageAttributes"])


def test_the_time_is_the_events_and_the_letter_has_its_own() -> None:
    at = datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC)
    was, [one] = rejected("aws", "sqs", fake.message({}, time=at), Message)
    assert "2020-01-02T03:04:05Z" == one.attributes["portable-fn-time"]
    assert (at, datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)) == (restored(one).time, one.time)
    assert was.time == at


def test_facts_that_the_provider_does_not_send_are_absent() -> None:
    message = Message("m-1", "orders", b"{}", channel="orders")
    event = letter(message, Reject(WHY), Destination(10, 1000, str.isascii, str, names_content_type=True))
    assert {"portable-fn-reason", "portable-fn-source", "portable-fn-id"} == event.attributes.keys()
    back: Any = restored(fake.message(body=event.body, attributes=event.attributes))
    assert (None, None) == (back.time, back.attempt)


# Messages that portable_fn didn't dead-letter.


def test_a_message_that_its_provider_dead_lettered_is_returned_unchanged() -> None:
    message = fake.message({"n": 1}, attributes={"a": "b"})
    assert message is restored(message)
    assert None is reason(message)
    by_service_bus = fake.message({"n": 1}, attributes={"DeadLetterReason": "told to"})
    assert (by_service_bus, "told to") == (restored(by_service_bus), reason(by_service_bus))
    for body in (b'{"portablefnid": 1}', b'"portablefnid"', b'{"portablefnid" ', b'\xff"portablefnid"'):
        assert None is reason(fake.message(body=body))
        assert body == restored(fake.message(body=body)).body  # type: ignore[attr-defined]  # a message
    assert None is reason(fake.object())
    event = fake.cloud_event()
    assert event is restored(event)


@pytest.mark.parametrize(
    "attributes",
    [
        {"portable-fn-fields": "{"},
        {"portable-fn-fields": "[]"},
        {"portable-fn-fields": "no base64!"},
        {"portable-fn-fields": '{"encoding":"base64"}'},
        {"portable-fn-fields": '{"attributes":{"a":{"base64":"?"}}}'},
        {"portable-fn-fields": '{"attributes":{"a":{"base64":5}}}'},
        {"portable-fn-fields": '{"attributes":{"a":5}}'},
        {"portable-fn-fields": '{"attributes":[]}'},
        {"portable-fn-fields": '{"key":5}'},
        {"portable-fn-fields": '{"id":null}'},
        {"portable-fn-fields": '{"channel":{}}'},
        {"portable-fn-fields": b"\xff"},
        {"portable-fn-fields": "/w=="},
        {"portable-fn-fields": "[" * 100_000},
        {"portable-fn-time": "yesterday"},
        {"portable-fn-fields": '{"format":"cloudevent"}'},
    ],
)
def test_a_dead_letter_that_cannot_be_read_says_so(attributes: dict[str, Any]) -> None:
    with pytest.raises(DecodeError):
        restored(fake.message(body=b'?"portablefnid"', attributes={"portable-fn-id": "1", **attributes}))


@pytest.mark.parametrize("attempt", ["", "0x1", "-1", "٣", "9" * 5000])
def test_an_attempt_that_is_not_a_number_is_absent(attempt: str) -> None:
    back: Any = restored(fake.message({}, attributes={"portable-fn-id": "1", "portable-fn-attempt": attempt}))
    assert None is back.attempt


def test_extensions_of_a_letter_must_be_text() -> None:
    letter_ = json.loads(structured(fake.cloud_event(), Reject(WHY)))
    letter_["portablefnfields"] = '{"extensions":{"a":5}}'
    with pytest.raises(DecodeError):
        restored(fake.message(letter_))


# The kinds as CloudEvents.


@pytest.mark.parametrize("kind", [ObjectEvent, ChangeEvent, ScheduleEvent])
@settings(deadline=None)
@given(data=st.data())
def test_a_kind_is_read_from_the_cloudevent_that_it_is_written_as(kind: type[Any], data: st.DataObject) -> None:
    every = {**EVENTS, ScheduleEvent: strategies.schedules()}
    event = data.draw(every[kind])
    assert event == read(write(event))


def test_a_task_has_no_dead_letter() -> None:
    with pytest.raises(TypeError, match="a Task has no form as a CloudEvent"):
        structured(fake.task({}), Reject(WHY))


# In users' tests.


@pytest.mark.parametrize("as_text", [False, True])
@pytest.mark.parametrize(
    "event", [fake.message({"n": 1}, attributes={"a": "é", "raw": b"\xff"}, key="k"), fake.object()]
)
def test_a_fake_dead_letter_is_one(event: Event[Any], as_text: bool) -> None:
    one = fake.dead_letter(event, WHY, channel="orders-dead", as_text=as_text)
    assert (event, WHY, "orders-dead") == (restored(one), reason(one), one.channel)
    assert as_text is not ("portable-fn-reason" in one.attributes)


@pytest.mark.parametrize("provider", ["aws", "gcp", "azure", "cloudflare", "asgi"])
def test_a_handler_of_dead_letters_is_tested_as_any_other(provider: str) -> None:
    seen: list[Any] = []

    @portable(on.queue("orders-dead"))
    def look(one: Message[Any]) -> None:
        seen.append((reason(one), restored(one).data))

    sent = fake.dead_letter(fake.message({"n": 1}), WHY, as_text=provider in ("azure", "cloudflare"))
    assert ["acknowledged"] == deliver(look, sent, to=provider).outcomes
    assert [(WHY, {"n": 1})] == seen
