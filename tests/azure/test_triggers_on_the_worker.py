"""Every trigger of Azure on the real Python worker, with the payloads of the host's extensions."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from time import sleep
from typing import Any

import pytest

from portable_fn.adapter.dead_letter import reason, restored
from portable_fn.testing import deliver, fake, replay
from portable_fn.testing.stories import events_app
from portable_fn_azure.simulate import payloads
from tests.runtimes import azure_amqp
from tests.runtimes.azure import AzureHost, Invocation, Refused
from tests.runtimes.azure_listeners import TRIES, blob_created, poll_queue
from tests.runtimes.azure_queues import QueueServer, queue_server
from tests.runtimes.azure_stories import function_app
from tests.runtimes.azurite import Storage

pytestmark = pytest.mark.runtime

HEAD = """
from portable_fn import *
from portable_fn.testing.stories import events_app as stories
from portable_fn_azure import entry
"""
EACH = "stories.message, stories.stored, stories.changed, stories.tick, stories.happened, stories.function"
DATABASE = "options={'users': {'database_name': 'database'}}"

# The function apps by name, with their functions and settings.
APPS = {
    "defaults": f"app = entry({EACH}, {DATABASE})",
    "others": """app = entry(stories.message, stories.stored, stories.changed, services={
        "queue": "service_bus_queue", "stream": "kafka", "object": "event_grid", "change": "sql"})""",
    "mysql": "app = entry(stories.changed, services={'users': 'mysql'})",
    "batches": "app = entry(stories.batch)",
    "batches of others": "app = entry(stories.batch, services={'queue': 'service_bus_queue', 'stream': 'kafka'})",
}

MESSAGE = fake.message(
    {"sku": "lamp"},
    subject="an order",
    content_type="application/json",
    attributes={"tenant": "7", "city": "Zürich"},
    key="customer-7",
    partition="3",
    sequence="41",
)
ROW = {"id": "7", "name": "Ada", "tags": ["a"], "address": {"zip": None}}

# service, app, Azure function, event
ROWS: list[tuple[str, str, str, Any]] = [
    ("storage_queue", "defaults", "message", MESSAGE),
    ("service_bus_topic", "defaults", "message-2", MESSAGE),
    ("event_hubs", "defaults", "message-3", MESSAGE),
    (
        "blob",
        "defaults",
        "stored",
        fake.object("uploads", "é/a b%.png", body=bytes(range(256)), metadata={"by": "Ada"}),
    ),
    ("cosmos_db", "defaults", "changed", fake.change("users", after=ROW, sequence="9")),
    ("timer", "defaults", "tick", fake.schedule(name="nightly", cron="0 3 * * *", is_late=True)),
    ("event_grid", "defaults", "happened", fake.cloud_event("order.created", {"n": 1}, subject="orders/7")),
    ("event_grid_cloud_events", "defaults", "happened", fake.cloud_event(data={"n": 1}, extensions={"tenant": "7"})),
    ("durable_activity", "defaults", "function", fake.task({"do": "return", "value": [1, "é", None]})),
    ("service_bus_queue", "others", "message", MESSAGE),
    ("kafka", "others", "message-3", MESSAGE),
    ("event_grid", "others", "stored", fake.object("uploads", "a+b c.png", action="deleted")),
    ("event_grid_cloud_events", "others", "stored", fake.object("uploads", "a+b c.png", size=3)),
    ("sql", "others", "changed", fake.change("users", after=ROW)),
    ("mysql", "mysql", "changed", fake.change("users", after=ROW)),
    ("event_hubs", "batches", "batch-3", MESSAGE),
    ("service_bus_topic", "batches", "batch-2", MESSAGE),
    ("service_bus_queue", "batches of others", "batch", MESSAGE),
    ("kafka", "batches of others", "batch-3", MESSAGE),
]


@pytest.mark.parametrize("app", ["defaults", "others", "batches", "batches of others"])
def test_an_invocation_of_the_worker_is_recorded_and_replayed(app: str, tmp_path: Path) -> None:
    rows = [row for row in ROWS if row[1] == app]
    with function_app(HEAD + APPS[app], env={"PORTABLE_FN_RECORD": str(tmp_path)}) as host:
        for service, _, function, event in rows:
            assert None is invoke(host, function, service, event).error
    functions = [events_app.batch] if "batches" in app else list(events_app.BY_KIND.values())
    for to in (None, "aws"):
        results = replay(tmp_path, functions, to)
        assert (len(rows), [], []) == (len(results), results.differences, results.skipped)


@pytest.fixture(scope="module")
def queues() -> Iterator[QueueServer]:
    with queue_server() as server:
        yield server


@pytest.fixture(scope="module")
def hosts(queues: QueueServer) -> Iterator[dict[str, AzureHost]]:
    """Yield a host for each function app, started on first use."""
    with ExitStack() as stack:

        class Hosts(dict[str, AzureHost]):
            def __missing__(self, name: str) -> AzureHost:
                host = stack.enter_context(
                    function_app(HEAD + APPS[name], env={"PORTABLE_FN_STORIES": "print", **queues.settings})
                )
                self[name] = host
                return host

        yield Hosts()


def invoke(host: AzureHost, function: str, service: str, *events: Any) -> Invocation:
    """Invoke the function with the events, or with the first one if it takes a single event."""
    arrival = payloads(list(events), service)[0]
    many = "many" in str([loaded.bindings for loaded in host.functions if loaded.name == function]).lower()
    sent = arrival.many if many or not arrival.each else arrival.each[0]
    retry = {"retry_count": sent.retry_count, "max_retry_count": 5} if sent.retry_count else {}
    return host.invoke_typed(function, {"event": sent.data}, metadata=sent.metadata, retry=retry)


def send(host: AzureHost, function: str, service: str, *events: Any) -> tuple[Invocation, list[dict[str, Any]]]:
    """Return the invocation's result, and what the handler saw."""
    before = len(host.logs)
    invocation = invoke(host, function, service, *events)
    lines = printed(host, before, events_app.MARK, len(events))
    return invocation, [json.loads(line.removeprefix(events_app.MARK)) for line in lines]


def printed(host: AzureHost, before: int, start: str, count: int) -> list[str]:
    """Return the lines that the worker printed since. They may arrive after its answers."""
    for _ in range(100):
        lines = [line for line in host.logs[before:] if line.startswith(start)]
        if len(lines) >= count:
            break
        sleep(0.02)
    return lines


@pytest.mark.parametrize(
    ("service", "app", "function", "event"), [pytest.param(*row, id=f"{row[0]} {row[2]} {row[1]}") for row in ROWS]
)
def test_the_worker_passes_the_same_as_the_simulation(
    hosts: dict[str, AzureHost], service: str, app: str, function: str, event: Any
) -> None:
    invocation, seen = send(hosts[app], function, service, event)
    assert None is invocation.error
    events_app.SEEN.clear()
    handler = events_app.batch if function.startswith("batch") else events_app.BY_KIND[event.kind_name]
    assert ["acknowledged"] == deliver(handler, event, to="azure", via=service).outcomes
    for event_seen in (*seen, *events_app.SEEN):
        if service in ("sql", "mysql", "durable_activity"):
            del event_seen["id"]  # which is of the invocation
    assert events_app.SEEN == seen


def fails(kind: str) -> Any:
    """Return an event for which the stories' functions fail."""
    return {
        "Message": fake.message({"do": "fail"}),
        "ObjectEvent": fake.object("uploads", "fail.png", body=b""),
        "ChangeEvent": fake.change("users", after={"id": "7", "do": "fail"}),
        "CloudEvent": fake.cloud_event(data={"do": "fail"}),
        "Task": fake.task({"do": "fail"}),
    }[kind]


@pytest.mark.parametrize(
    ("service", "app", "function", "kind"),
    [
        pytest.param(service, app, function, event.kind_name, id=f"{service} {function} {app}")
        for service, app, function, event in ROWS
        if service != "timer"
    ],
)
def test_the_host_gets_the_handlers_error(
    hosts: dict[str, AzureHost], service: str, app: str, function: str, kind: str
) -> None:
    invocation, _ = send(hosts[app], function, service, fails(kind))
    assert "OutOfStock: told to fail" == invocation.error
    assert {} == invocation.outputs


@pytest.mark.parametrize(
    ("service", "function", "event"),
    [
        ("storage_queue", "message", fake.message(body=b'{"do": "reject"}')),
        ("service_bus_topic", "message-2", fake.message(body=b'{"do": "reject"}')),
        ("event_hubs", "message-3", fake.message(body=b'{"do": "reject"}')),
    ],
)
def test_a_rejected_message_is_sent_to_its_dead_letter_queue_with_its_reason(
    hosts: dict[str, AzureHost], queues: QueueServer, service: str, function: str, event: Any
) -> None:
    before = len(queues.letters)
    invocation, _ = send(hosts["defaults"], function, service, event)
    assert (None, {}) == (invocation.error, invocation.outputs)
    [letter] = queues.letters[before:]
    assert ("orders-dead", "told to", b'{"do": "reject"}') == (
        letter.channel,
        reason(letter),
        restored(letter).body,  # type: ignore[attr-defined]  # a message
    )


@pytest.mark.parametrize(
    ("service", "function", "event"),
    [
        ("blob", "stored", fake.object("uploads", "reject.png", body=b"")),
        ("cosmos_db", "changed", fake.change("users", after={"id": "7", "do": "reject"})),
        ("event_grid", "happened", fake.cloud_event(data={"do": "reject"})),
    ],
)
def test_any_other_rejected_event_is_dead_lettered_as_a_cloudevent(
    hosts: dict[str, AzureHost], queues: QueueServer, service: str, function: str, event: Any
) -> None:
    before = len(queues.letters)
    invocation, seen = send(hosts["defaults"], function, service, event)
    assert None is invocation.error
    [letter] = queues.letters[before:]
    assert (event.kind_name, seen[0]["id"]) == (restored(letter).kind_name, restored(letter).id)


def test_every_rejected_message_of_a_batch_is_dead_lettered(hosts: dict[str, AzureHost], queues: QueueServer) -> None:
    events = [fake.message({"do": "reject", "n": n}, sequence=str(n), partition="0") for n in (1, 2)]
    before = len(queues.letters)
    invocation, _ = send(hosts["batches"], "batch-3", "event_hubs", *events)
    assert None is invocation.error
    assert [event.data for event in events] == [restored(letter).data for letter in queues.letters[before:]]


def test_a_batch_fails_as_a_whole(hosts: dict[str, AzureHost]) -> None:
    events = [fake.message({"do": do}, sequence=str(n), partition="0") for n, do in enumerate(("", "retry", ""), 1)]
    invocation, seen = send(hosts["batches"], "batch-3", "event_hubs", *events)
    assert ("Retry: told to", 3) == (invocation.error, len(seen))


def test_a_handler_that_exits_fails_and_the_worker_goes_on(hosts: dict[str, AzureHost]) -> None:
    exits, _ = send(hosts["defaults"], "message", "storage_queue", fake.message({"do": "exit"}))
    assert "Retry: SystemExit" == exits.error
    well, seen = send(hosts["defaults"], "message", "storage_queue", fake.message({}))
    assert (None, 1) == (well.error, len(seen))


def test_the_attempt_of_a_stream_is_the_hosts_retry_count(hosts: dict[str, AzureHost]) -> None:
    _, seen = send(hosts["defaults"], "message-3", "event_hubs", fake.message({}, attempt=3))
    assert 3 == seen[0]["attempt"]


def test_an_unreadable_event_is_retried(hosts: dict[str, AzureHost]) -> None:
    invocation = hosts["defaults"].invoke_typed(
        "message", {"event": {"bytes": ""}}, metadata={"DequeueCount": {"json": "1"}}
    )
    assert "DecodeError: it has no Id" == invocation.error


def test_retry_policies_reach_the_host(hosts: dict[str, AzureHost]) -> None:
    policies = {function.name: function.retry for function in hosts["defaults"].functions}
    policy = {
        "max_retry_count": 5,
        "retry_strategy": "exponential_backoff",
        "minimum_interval": "5s",
        "maximum_interval": "300s",
    }
    assert policy == policies["message-3"] == policies["changed"] == policies["tick"]
    assert None is policies["message"] is policies["stored"] is policies["happened"]


def test_surprises_are_in_the_hosts_log(hosts: dict[str, AzureHost]) -> None:
    line = hosts["defaults"].logged("message-3: event_hubs loses events that fail 6 times")
    assert line.startswith("[Warning] portable_fn: ")


ON_3_13 = """
import azure.functions as func
mode = func.CosmosDBChangeFeedMode.ALL_VERSIONS_AND_DELETES
app = entry(stories.message, stories.changed, stories.tick, stories.happened, stories.function,
            options={'users': {'database_name': 'database', 'change_feed_mode': mode}})
"""


@pytest.mark.parametrize(
    ("service", "function", "event"),
    [
        ("storage_queue", "message", MESSAGE),
        ("service_bus_topic", "message-2", MESSAGE),
        ("event_hubs", "message-3", MESSAGE),
        ("cosmos_db_versions", "changed", fake.change("users", before=ROW, after={**ROW, "name": "Eve"}, sequence="9")),
        ("cosmos_db_versions", "changed", fake.change("users", before=ROW, sequence="10")),
        ("timer", "tick", fake.schedule(name="nightly", cron="0 3 * * *", is_late=True)),
        ("event_grid", "happened", fake.cloud_event(data={"n": 1})),
        ("durable_activity", "function", fake.task({"do": "return", "value": 1})),
    ],
)
def test_azure_functions_2_behaves_the_same(newer: AzureHost, service: str, function: str, event: Any) -> None:
    invocation, seen = send(newer, function, service, event)
    assert None is invocation.error
    events_app.SEEN.clear()
    assert ["acknowledged"] == deliver(events_app.BY_KIND[event.kind_name], event, to="azure", via=service).outcomes
    for event_seen in (*seen, *events_app.SEEN):
        del event_seen["id"]  # an activity's is of the invocation
    assert events_app.SEEN == seen


@pytest.fixture(scope="module")
def newer() -> Iterator[AzureHost]:
    with function_app(HEAD + ON_3_13, python="3.13", env={"PORTABLE_FN_STORIES": "print"}) as host:
        yield host


ASYNC = """
from contextvars import ContextVar

leaked = ContextVar("leaked", default="nothing")
done = []

@portable(on.queue("orders"))
async def order(event: Message, ctx: Context) -> None:
    print("saw", leaked.get(), flush=True)
    leaked.set("something")
    async def later():
        print("done later", flush=True)
    ctx.background(later())

@portable(on.stream("clicks"))
def click(event: Message, ctx: Context) -> None:
    print("saw", leaked.get(), flush=True)
    leaked.set("something")

@portable(on.http("GET", "/hello"))
def hello(request: Request) -> dict:
    return {"hello": "there"}

app = entry(order, click, hello)
"""


@pytest.fixture(scope="module")
def mixed() -> Iterator[AzureHost]:
    with function_app(HEAD + ASYNC) as host:
        yield host


@pytest.mark.parametrize(("function", "service"), [("order", "storage_queue"), ("click", "event_hubs")])
def test_context_variables_stay_within_an_invocation(mixed: AzureHost, function: str, service: str) -> None:
    before = len(mixed.logs)
    for _ in range(4):
        assert None is invoke(mixed, function, service, MESSAGE).error
    assert ["saw nothing"] * 4 == printed(mixed, before, "saw", 4)


def test_background_work_is_finished_before_the_invocation_ends(mixed: AzureHost) -> None:
    before = len(mixed.logs)
    assert None is invoke(mixed, "order", "storage_queue", MESSAGE).error
    assert ["done later"] == printed(mixed, before, "done", 1)


def test_one_app_can_have_http_and_other_triggers(mixed: AzureHost) -> None:
    assert ["click", "http", "order"] == sorted(function.name for function in mixed.functions)
    policy = next(function.retry for function in mixed.functions if function.name == "click")
    assert policy is not None and -1 == policy["max_retry_count"]


def test_a_function_without_a_trigger_is_refused_with_a_remedy() -> None:
    source = HEAD + "@portable\ndef order(event: Message) -> None: ...\napp = entry(order)"
    with (
        pytest.raises(
            Refused,
            match=r"ConfigurationError: order takes Message, but has no trigger.*add one, such as on\.queue",
        ),
        function_app(source),
    ):
        pass


# Queues and blobs of Azurite, the emulator of a storage account


STORED = """
@portable(on.queue("orders", dead_letter="orders-dead"))
def order(event: Message, ctx: Context) -> None:
    print("order", event.attempt, event.id, event.body, flush=True)
    if event.body == b"never":
        raise Reject("not for us")
    if event.body == b"poison" or (event.body == b"busy" and event.attempt < 3):
        raise LookupError("not now")

@portable(on.queue("uploads-events"))
def uploaded(event: ObjectEvent) -> None:
    print("uploaded", event.bucket, event.key, event.action, flush=True)

@portable(on.object("uploads", "created"))
async def stored(event: ObjectEvent) -> None:
    print("stored", event.key, event.size, event.body, event.content_type, dict(event.metadata), event.id, flush=True)

app = entry(order, uploaded, stored)
"""


@pytest.fixture(scope="module")
def stored(storage: Storage) -> Iterator[AzureHost]:
    with function_app(HEAD + STORED, env={"AzureWebJobsStorage": storage.connection_string}) as host:
        yield host


def test_a_queued_message_fails_twice_and_then_succeeds(storage: Storage, stored: AzureHost) -> None:
    storage.queue("orders")
    storage.send("orders", b"busy")
    before = len(stored.logs)
    errors = [poll_queue(storage, stored, "orders", "order")[0].error for _ in range(3)]
    assert ["LookupError: not now", "LookupError: not now", None] == errors
    lines = [line.split() for line in printed(stored, before, "order", 3)]
    assert ["1", "2", "3"] == [attempt for _, attempt, *_ in lines]
    assert 1 == len({id for _, _, id, _ in lines})
    assert [] == poll_queue(storage, stored, "orders", "order")


def test_a_queued_message_that_always_fails_ends_in_the_poison_queue(storage: Storage, stored: AzureHost) -> None:
    storage.queue("orders")
    storage.send("orders", b"poison")
    for _ in range(TRIES):
        assert ["LookupError: not now"] == [
            invocation.error for invocation in poll_queue(storage, stored, "orders", "order")
        ]
    assert [] == poll_queue(storage, stored, "orders", "order")
    (dead,) = storage.receive("orders-poison")
    assert b"poison" == b64decode(dead.text)


def test_a_rejected_queued_message_is_dead_lettered_after_one_attempt(storage: Storage, stored: AzureHost) -> None:
    storage.queue("orders")
    storage.send("orders", b"never")
    assert [None] == [invocation.error for invocation in poll_queue(storage, stored, "orders", "order")]
    assert [] == poll_queue(storage, stored, "orders", "order")
    (dead,) = storage.receive("orders-dead")
    letter = fake.message(body=b64decode(dead.text))
    back: Any = restored(letter)
    assert ("not for us", b"never", "orders", 1) == (reason(letter), back.body, back.channel, back.attempt)
    # It never expires.
    assert "9999" in dead.expires


def test_a_binary_message_passes_through_a_queue(storage: Storage, stored: AzureHost) -> None:
    storage.queue("orders")
    before = len(stored.logs)
    storage.send("orders", bytes(range(256)))
    assert [None] == [invocation.error for invocation in poll_queue(storage, stored, "orders", "order")]
    assert printed(stored, before, "order", 1)[0].endswith(repr(bytes(range(256))))


def test_an_event_of_event_grid_in_a_queue_is_an_object_event(storage: Storage, stored: AzureHost) -> None:
    queued = payloads([fake.object("uploads", "a b.png", size=1)], "event_grid")[0].each[0].data["json"]
    storage.queue("uploads-events")
    storage.send("uploads-events", queued.encode())
    before = len(stored.logs)
    assert [None] == [invocation.error for invocation in poll_queue(storage, stored, "uploads-events", "uploaded")]
    assert ["uploaded uploads a b.png created"] == printed(stored, before, "uploaded", 1)


def test_a_blob_arrives_with_its_content_and_metadata(storage: Storage, stored: AzureHost) -> None:
    storage.container("uploads")
    name = "é/a b+c%.bin"
    storage.put("uploads", name, b"\xff\x00", content_type="application/octet-stream", metadata={"by": "Ada"})
    before = len(stored.logs)
    assert None is blob_created(storage, stored, "uploads", name, "stored").error
    (line,) = printed(stored, before, "stored", 1)
    content = repr(b"\xff\x00")
    assert line.startswith(f"stored {name} 2 {content} application/octet-stream {{'by': 'Ada'}} ")
    again = len(stored.logs)
    blob_created(storage, stored, "uploads", name, "stored")
    assert [line] == printed(stored, again, "stored", 1)


# Service Bus messages that the extension settles separately


@pytest.fixture(scope="module")
def settling() -> Iterator[AzureHost]:
    source = HEAD + "app = entry(stories.message, services={'queue': 'service_bus_queue'}, settlement=True)"
    with function_app(source, env={"PORTABLE_FN_STORIES": "print"}, environment="azure-settlement") as host:
        yield host


def test_messages_are_settled_separately(settling: AzureHost) -> None:
    todo = [{"do": do, "n": n} for n, do in enumerate(("", "fail", "reject", "exit", ""))]
    sent = [fake.message(data, id=f"m-{n}", attempt=n + 1) for n, data in enumerate(todo)]
    before = len(settling.logs)
    assert None is settling.invoke_typed("message", {"event": azure_amqp.settleable(sent)}).error
    verbs = ("complete", "abandon", "deadletter 'told to'", "abandon", "complete")
    lines = printed(settling, before, "[host]", len(verbs))
    assert [f"[host] {verb} {azure_amqp.lock(n)}" for n, verb in enumerate(verbs)] == lines
    seen = [json.loads(line.removeprefix(events_app.MARK)) for line in printed(settling, before, events_app.MARK, 5)]
    assert [(f"m-{n}", n + 1) for n in range(5)] == [(event_seen["id"], event_seen["attempt"]) for event_seen in seen]


def test_a_message_that_cannot_be_settled_fails_the_invocation(settling: AzureHost) -> None:
    before = len(settling.logs)
    # These locks belong to earlier messages, which the host has settled.
    gone = settling.invoke_typed("message", {"event": azure_amqp.settleable([fake.message({}, id="again")])})
    assert (gone.error or "").startswith("SettlementError: [complete]")
    # The next test reads the lines after this one.
    assert 1 == len(printed(settling, before, events_app.MARK, 1))


def test_a_settled_message_is_the_same_as_in_the_simulation(settling: AzureHost) -> None:
    before = len(settling.logs)
    settling.invoke_typed("message", {"event": azure_amqp.settleable([MESSAGE])})
    (line,) = printed(settling, before, events_app.MARK, 1)
    events_app.SEEN.clear()
    deliver(events_app.message, MESSAGE, to="azure", via="service_bus_settled")
    assert events_app.SEEN == [json.loads(line.removeprefix(events_app.MARK))]


SETTLED_ASYNC = """
@portable(on.topic("orders"))
async def order(event: Message) -> None:
    if event.body == b"never":
        raise Reject("not for us")

app = entry(order, settlement=True)
"""


def test_messages_of_an_async_handler_are_settled_too() -> None:
    sent = [fake.message(body=body, id=body.decode()) for body in (b"fine", b"never")]
    with function_app(HEAD + SETTLED_ASYNC, environment="azure-settlement") as host:
        assert None is host.invoke_typed("order", {"event": azure_amqp.settleable(sent)}).error
        lines = printed(host, 0, "[host]", 2)
    assert [f"[host] complete {azure_amqp.lock(0)}", f"[host] deadletter 'not for us' {azure_amqp.lock(1)}"] == lines
