"""The neutral kinds: their fields, how they are read, and what their reprs hide."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import BaseModel

from portable_fn import (
    Batch,
    ChangeEvent,
    CloudEvent,
    DecodeError,
    Message,
    Reject,
    Retry,
    ScheduleEvent,
    Task,
    portable,
)
from portable_fn.events import Event, decoded
from portable_fn.testing import fake
from portable_fn.testing.stories.events import every_event


@pytest.mark.parametrize("event", every_event(), ids=lambda event: type(event).__name__)
def test_every_kind_has_the_fields_of_an_event(event: Event[Any]) -> None:
    assert event.id
    assert event.source
    assert () == event.envelopes
    assert event == event
    assert event.id in repr(event)
    assert type(event).__name__ == event.kind_name


def test_the_name_of_a_kind_is_the_same_for_the_class_of_an_adapter() -> None:
    class Ours(Message[Any]):
        pass

    assert "Message" == Ours("i", "s", b"").kind_name


def test_events_are_equal_when_their_fields_are_whatever_class_an_adapter_made() -> None:
    class Ours(Message[Any]):
        pass

    ours = Ours("1", "orders", b"x", native={"a": 1})
    assert Message("1", "orders", b"x") == ours
    assert Message("1", "orders", b"y") != ours
    assert fake.task() != fake.schedule()


def test_a_message_reads_as_its_content_type_says() -> None:
    assert {"a": 1} == fake.message({"a": 1}).data
    assert {"a": 1} == fake.message(body='{"a":1}', content_type="application/vnd.x+json; charset=utf-8").data
    assert "a,b" == fake.message(body="a,b", content_type="text/csv").data
    assert b"\xff" == fake.message(body=b"\xff", content_type="image/png").data
    assert None is fake.message(body=b"").data


@pytest.mark.parametrize("body", [b"{", b"plain", b"\xff", b"[" * 1000, b'{"a": NaN}'])
def test_a_body_that_cannot_be_read_is_an_error_that_does_not_show_it(body: bytes) -> None:
    event = fake.message(body=body)
    with pytest.raises(DecodeError, match="body of message-1 is not"):
        _ = event.data
    assert body == event.body


def test_a_secret_in_a_body_reaches_neither_repr_nor_errors() -> None:
    event = fake.message(body=b'{"password": "hunter2"', attributes={"token": "hunter2"})
    assert "hunter2" not in repr(event)
    with pytest.raises(DecodeError) as raised:
        _ = event.data
    assert "hunter2" not in str(raised.value)


def test_a_field_that_cannot_be_read_is_a_decode_error_that_names_it() -> None:
    class Ours(Message[Any]):
        def __init__(self, native: Any) -> None:
            self.native = native

        @decoded
        def subject(self) -> str:
            return self.native["subject"].upper()

    with pytest.raises(DecodeError, match="subject of Ours can't be read: 'subject' is missing"):
        _ = Ours({}).subject
    with pytest.raises(DecodeError, match="subject of Ours can't be read: AttributeError"):
        _ = Ours({"subject": 7}).subject
    assert "A" == Ours({"subject": "a"}).subject


def test_the_data_of_a_change_is_the_new_row_or_the_removed_one() -> None:
    assert ({"n": 2}, {"n": 1}) == (
        fake.change(before={"n": 1}, after={"n": 2}).data,
        fake.change(before={"n": 1}).data,
    )
    assert ["inserted", "updated", "removed"] == [
        fake.change(after={}).action,
        fake.change(before={}, after={}).action,
        fake.change(before={}).action,
    ]


def test_a_schedule_is_late_by_the_providers_word_or_after_a_minute() -> None:
    now = datetime.now(UTC)
    assert [True, False, True, False, False] == [
        ScheduleEvent("id", "nightly", time=now, is_late=True).is_late,
        ScheduleEvent("id", "nightly", time=now - timedelta(hours=1), is_late=False).is_late,
        ScheduleEvent("id", "nightly", time=now - timedelta(seconds=61)).is_late,
        ScheduleEvent("id", "nightly", time=now).is_late,
        ScheduleEvent("id", "nightly").is_late,
    ]


def test_a_batch_is_a_sequence() -> None:
    batch = fake.batch([1, 2, 3])
    assert [1, 2, 3] == [one.data for one in batch]
    assert (3, 2, [2, 3]) == (len(batch), batch[1].data, [one.data for one in batch[1:]])
    assert batch[0] in batch
    assert None is batch.window


@pytest.mark.parametrize("after", [-1, "30", True, float("nan"), float("inf"), 1e10])
def test_a_malformed_delay_is_refused(after: Any) -> None:
    with pytest.raises(ValueError, match="after must be a number of seconds"):
        Retry(after=after)


def test_a_delay_is_seconds_or_a_timedelta() -> None:
    assert (30, 90.0, None) == (Retry(after=30).after, Retry(after=timedelta(seconds=90)).after, Retry().after)
    with pytest.raises(ValueError, match="Retry's reason must be a str"):
        Retry(30)  # type: ignore[arg-type]  # the mistake that it is about
    assert "gone" == Reject("gone").why


class User(BaseModel):
    name: str


def test_typed_data_is_validated_for_every_kind_that_has_some() -> None:
    seen: list[Any] = []

    @portable
    def message(event: Message[User]) -> None:
        seen.append(event.data)

    @portable
    def cloud_event(event: CloudEvent[User]) -> None:
        seen.append(event.data)

    @portable
    def task(event: Task[User]) -> None:
        seen.append(event.data)

    @portable
    def change(event: ChangeEvent[User]) -> None:
        seen.append(event.data)

    @portable
    def schedule(event: ScheduleEvent[User]) -> None:
        seen.append(event.data)

    @portable
    def batch(events: Batch[Message[User]]) -> None:
        seen.extend(event.data for event in events)

    ada = {"name": "Ada"}
    message(fake.message(ada))
    cloud_event(fake.cloud_event(data=ada))
    task(fake.task(ada))
    change(fake.change(after=ada))
    schedule(fake.schedule(input=ada))
    batch(fake.batch([ada]))
    assert [User(name="Ada")] * 6 == seen
    with pytest.raises(Reject, match="the data is not valid: #/name"):
        message(fake.message({}))
    with pytest.raises(ValueError, match="the task's input is not valid"):
        task(fake.task({}))


def test_a_portable_function_called_with_an_event_returns_the_handlers_result() -> None:
    @portable
    def handler(event: Message[Any], ctx: Any) -> str:
        return f"{event.data} {ctx.provider}"

    assert "1 local" == handler(fake.message(1))


def test_the_context_of_an_event_has_that_events_own_trace_and_ids() -> None:
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    context = fake.context()
    _ = context.log, context.trace, context.correlation_id
    one = context.of(fake.message(attributes={"traceparent": trace, "x-correlation-id": "order-7"}))
    two = context.of(fake.message())
    assert (trace, "order-7") == (str(one.trace), one.correlation_id)
    assert "order-7" == one.log.extra["correlation_id"]  # type: ignore[index]  # there is one
    assert (None, context.invocation_id) == (two.trace, two.correlation_id)
    assert one.pending is two.pending is context.pending
