"""The session of a Service Bus message is its key, in every place where the host's extension sends it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from time import sleep
from types import SimpleNamespace
from typing import Any

import pytest

from portable_fn.testing import fake
from portable_fn_azure.events import messages
from portable_fn_azure.events.entry import order_of
from portable_fn_azure.simulate import payloads
from tests.runtimes.azure import AzureHost
from tests.runtimes.azure_stories import function_app

# The metadata shown in azure-functions-python-worker#957 and azure-functions-python-library#103.
LOCKED = {"SessionLockedUntil": "2022-06-26T19:13:33.5547459+00:00"}
PLACES: dict[str, dict[str, Any]] = {
    "the message's own": {"session_id": "s-1"},
    "the trigger's metadata": {"metadata": {"SessionId": "s-1"}},
    "the same in JSON's case": {"metadata": {"sessionId": "s-1"}},
    "the session's receiver, 3.x and 4.x": {"metadata": {"MessageSession": {"SessionId": "s-1", **LOCKED}}},
    "the same as text": {"metadata": {"MessageSession": json.dumps({"SessionId": "s-1", **LOCKED})}},
    "the same in JSON's case, nested": {"metadata": {"messageSession": {"sessionId": "s-1"}}},
    "the receiver": {"metadata": {"MessageSession": LOCKED, "MessageReceiver": {"SessionId": "s-1"}}},
    "the session's actions": {"metadata": {"MessageSession": None, "SessionActions": {"SessionId": "s-1"}}},
    "the properties, of a trigger with sessions": {
        "metadata": {"MessageSession": LOCKED},
        "application_properties": {"SessionId": "s-1"},
    },
    "the user's properties, of a trigger with sessions": {
        "metadata": {"SessionActions": LOCKED},
        "user_properties": {"sessionId": "s-1"},
    },
}
NOWHERE: dict[str, dict[str, Any]] = {
    "nowhere": {},
    "empty": {"session_id": "", "metadata": {"SessionId": "", "MessageSession": {"SessionId": ""}}},
    "no session, whose trigger has none": {"metadata": {"MessageReceiver": {}, "MessageSession": None}},
    "a property of the sender's, where there are no sessions": {
        "metadata": {"MessageReceiver": {"PrefetchCount": 0}},
        "application_properties": {"SessionId": "web-7"},
    },
    "no text": {"session_id": ["s-1"], "metadata": {"SessionId": {}, "MessageSession": {"SessionId": 1.5}}},
    "no JSON": {"metadata": {"MessageSession": "{", "SessionActions": "s-1"}},
    "no metadata": {"metadata": "text"},
}


def native(**fields: Any) -> Any:
    known = {
        "message_id": "m-1", "sequence_number": 7, "enqueued_time_utc": None, "content_type": None, "subject": None, "label": None,
        "session_id": None, "delivery_count": 1, "application_properties": {}, "user_properties": {}, "metadata": {},
    }  # fmt: skip
    return SimpleNamespace(get_body=lambda: b"{}", **{**known, **fields})


@pytest.mark.parametrize("fields", [pytest.param(fields, id=name) for name, fields in PLACES.items()])
def test_the_session_is_found_in_every_place(fields: dict[str, Any]) -> None:
    message = messages.service_bus(native(**fields), "orders")
    assert ("m-1", "s-1", "s-1") == (message.id, message.key, order_of(message))
    (of_batch,) = messages.service_bus_batch([native(**fields)], "orders")
    assert "s-1" == of_batch.key  # type: ignore[union-attr]  # it is a message


@pytest.mark.parametrize("fields", [pytest.param(fields, id=name) for name, fields in NOWHERE.items()])
def test_a_message_without_a_session_has_no_key(fields: dict[str, Any]) -> None:
    assert ("m-1", None) == ((message := messages.service_bus(native(**fields), "orders")).id, message.key)


def test_the_sessions_of_a_batch_come_from_an_array_or_its_receiver() -> None:
    array = {"SessionIdArray": ["s-1", "s-2"], "MessageSession": LOCKED}
    batch = [native(session_id=id, metadata=array, message_id=id) for id in array["SessionIdArray"]]
    assert ["s-1", "s-2"] == [message.key for message in messages.service_bus_batch(batch, "orders")]  # type: ignore[union-attr]
    # A batch has one session: https://github.com/Azure/azure-functions-servicebus-extension/pull/11
    metadata = {"MessageSession": {"SessionId": "s-1"}, "MessageIdArray": ["1", "2"]}
    batch = [native(metadata=metadata, message_id=id) for id in ("1", "2")]
    assert ["s-1", "s-1"] == [message.key for message in messages.service_bus_batch(batch, "orders")]  # type: ignore[union-attr]


APP = """
from portable_fn import *
from portable_fn_azure import entry

@portable(on.queue("orders"))
def ship(order: Message) -> None:
    print("KEY", order.key, flush=True)

@portable(on.queue("bulk"))
def bulk(orders: Batch[Message]) -> None:
    print("KEY", *[order.key for order in orders], flush=True)

app = entry(ship, bulk, services={"queue": "service_bus_queue"},
    options={"orders": {"is_sessions_enabled": True}, "bulk": {"is_sessions_enabled": True}})
"""


@pytest.fixture(scope="module")
def host() -> Iterator[AzureHost]:
    with function_app(APP) as host:
        yield host


@pytest.mark.runtime
@pytest.mark.parametrize(("function", "count"), [("ship", 1), ("bulk", 2)])
@pytest.mark.parametrize("is_old", [False, True])
def test_the_real_worker_passes_the_session_of_each_extension(
    host: AzureHost, function: str, count: int, is_old: bool
) -> None:
    events = [fake.message({"n": n}, key="s-1", sequence=str(n), id=f"m-{n}") for n in range(1, count + 1)]
    payload = payloads(events, "service_bus_queue")[0]
    sent = payload.many if function == "bulk" else payload.each[0]
    metadata = dict(sent.metadata)
    if is_old:
        for name in ("SessionId", "SessionIdArray"):
            metadata.pop(name, None)
        metadata["MessageSession"] = {"json": json.dumps({"SessionId": "s-1", **LOCKED})}
    before = len(host.logs)
    invocation = host.invoke_typed(function, {"event": sent.data}, metadata=metadata)
    assert invocation.error is None
    lines: list[str] = []
    for _ in range(100):
        if lines := [line for line in host.logs[before:] if line.startswith("KEY")]:
            break
        sleep(0.02)
    assert [" ".join(["KEY", *["s-1"] * count])] == [line.strip() for line in lines]
