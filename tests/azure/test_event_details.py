"""Decode events inside events, and details of messages, timers and rows."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest

from portable_fn import (
    ChangeEvent,
    CloudEvent,
    ConfigurationError,
    DecodeError,
    Message,
    Request,
    on,
    portable,
)
from portable_fn.testing import deliver, fake
from portable_fn.testing.services import exchange
from portable_fn_azure.capabilities import SERVICES as CAPABILITIES
from portable_fn_azure.events import changes, event_grid, messages
from portable_fn_azure.simulate import EVENT_SERVICES, FunctionContext, TraceContext
from portable_fn_azure.simulate.payloads import INVOCATION
from portable_fn_azure.simulate.worker import functions_for
from tests.azure.event_handlers import GOT, got, message, stored, tick


def test_a_structured_cloud_event_in_a_message_reaches_handlers_of_cloud_events() -> None:
    @portable(on.queue("orders"))
    def asks(event: CloudEvent) -> None:
        GOT.append(event)

    body = {"specversion": "1.0", "id": "e-1", "source": "/shop", "type": "order.created", "data": {"n": 1}}
    event = got(asks, fake.message(body, id="m-1"), "storage_queue")
    assert ("e-1", {"n": 1}, ["m-1"]) == (event.id, event.data, [outer.id for outer in event.envelopes])


@pytest.mark.parametrize(
    ("body", "attributes"),
    [
        (b"\xff\xfe", {"cloudEvents:specversion": "1.0", "cloudEvents:id": "1", "cloudEvents:source": "s", "cloudEvents:type": "t"}),
        (b'{"eventType": 1}', {"ce_specversion": "1.0", "ce_id": "1", "ce_source": "s", "ce_type": "t"}),
        (b'{"specversion": "1.0", "id": "1", "source": "s", "type": "t", "data": {"eventType": "x"}}', {}),
    ],
)  # fmt: skip
def test_a_cloud_event_in_a_message_can_have_bytes_or_data_with_an_event_type(
    body: bytes, attributes: dict[str, str]
) -> None:
    [event] = event_grid.unwrap(fake.message(body=body, attributes=attributes))
    assert ("1", "s", "t") == (event.id, event.source, event.type)


def test_event_grids_events_arrive_in_an_event_hub_as_a_list() -> None:
    @portable(on.stream("orders"))
    def asks(event: CloudEvent) -> None:
        GOT.append(event.id)

    body = [{"id": f"e-{n}", "topic": "/shop", "subject": "", "eventType": "t", "data": {}} for n in (1, 2)]
    GOT.clear()
    deliver(asks, fake.message(body), to="azure", via="event_hubs")
    assert ["e-1", "e-2"] == GOT


def test_objects_of_other_containers_do_not_reach_the_function() -> None:
    GOT.clear()
    assert ["acknowledged"] == deliver(stored, fake.object("others", "a.png"), to="azure", via="event_grid").outcomes
    assert [] == GOT


def test_the_content_of_a_blob_is_read_on_first_use() -> None:
    event = got(stored, fake.object("uploads", "a.png", body=b"abc", metadata={"by": "Ada"}), "blob")
    assert (b"abc", b"abc", {"by": "Ada"}, 3) == (event.body, event.body, event.metadata, event.size)


def context(**fields: Any) -> Any:
    surroundings: Any = FunctionContext(TraceContext("", ""))
    for name, value in fields.items():
        setattr(surroundings, name, value)
    return surroundings


def test_the_id_of_a_timer_without_a_status_is_the_invocations() -> None:
    event = got(tick, fake.schedule(at=None, is_late=False), "timer")
    assert (INVOCATION, None, False) == (event.id, event.time, event.is_late)


def test_the_number_of_an_attempt_is_the_hosts_retry_count() -> None:
    assert 3 == got(message, fake.message({}, attempt=3), "event_hubs").attempt


def test_times_and_uuids_in_properties_become_text() -> None:
    properties = {"id": UUID(int=1), "at": datetime(2026, 1, 2, 3, tzinfo=UTC), b"n": b"a"}
    assert {
        "id": f"{'0' * 8}-0000-0000-0000-{'1':0>12}",
        "at": "2026-01-02T03:00:00+00:00",
        "n": "a",
    } == messages.as_attributes(properties)


def test_amqp_counts_failures_where_dotnet_counts_deliveries() -> None:
    assert 1 == got(message, fake.message({}, attempt=1), "service_bus_settled").attempt
    assert 1 == got(message, fake.message({}, attempt=1), "service_bus_queue").attempt


@pytest.mark.parametrize("body", ["Zoë", "Zoë".encode(), [b"Zo", "ë".encode()]])
def test_the_body_of_a_settled_message_is_bytes_parts_or_text(body: Any) -> None:
    names = (
        "delivery_count",
        "sequence_number",
        "enqueued_time_utc",
        "content_type",
        "application_properties",
        "subject",
    )
    native: Any = SimpleNamespace(**dict.fromkeys((*names, "session_id")), message_id="1", body=body)
    assert "Zoë" == messages.received(native, "orders").text


def test_numbers_and_booleans_in_properties_become_json() -> None:
    assert {"n": "5", "yes": "true", "half": "0.5"} == messages.as_attributes(
        {"n": 5, "yes": True, "half": 0.5, "none": None}
    )


def test_naive_times_are_utc() -> None:
    naive = datetime(2026, 1, 2, 3, 4, 5)  # noqa: DTZ001  # as .NET's JSON has it
    assert datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC) == messages.as_utc(naive)
    assert timedelta(0) == messages.as_utc(naive).utcoffset()  # type: ignore[union-attr]  # it is a time


def test_one_unreadable_document_fails_alone() -> None:
    good, bad = changes.cosmos_db([{"id": "1", "_rid": "r", "_etag": "e"}, {"id": "2"}], "db/users", "users")
    assert isinstance(good, ChangeEvent)
    assert isinstance(bad, DecodeError)


def test_every_service_declares_its_capabilities() -> None:
    declared = {(service.kind, service.name) for service in CAPABILITIES}
    assert {(kind, service) for kind, services in EVENT_SERVICES.items() for service in services} == declared - {
        ("Request", "http")
    }


def test_an_app_with_only_http_loads_nothing_for_other_triggers() -> None:
    code = """
import sys
from portable_fn import Request, portable
from portable_fn_azure import entry
@portable
def hello(request: Request): ...
entry(hello)
print(sorted(name for name in sys.modules if name.startswith("portable_fn_azure.")), "portable_fn.adapter.batch" in sys.modules)
"""
    result = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    loaded = [f"portable_fn_azure.{name}" for name in ("decode", "encode", "entry", "register")]
    assert f"{loaded} False" == result.stdout.strip()


def test_an_event_that_no_function_takes_is_an_error_and_not_acknowledged() -> None:
    @portable(on.http("GET", "/"))
    def page(request: Request) -> None: ...

    @portable(on.queue("orders"))
    def ship(order: Message) -> None: ...

    with pytest.raises(ConfigurationError, match="no function takes events of storage_queue"):
        functions_for((page,), "storage_queue")
    with pytest.raises(ConfigurationError, match="none of the functions takes a Request"):
        exchange((ship,), fake.request(), "azure")
