"""When Azure's host repeats a batch, the next attempt skips exactly the events that the last one handled."""

from __future__ import annotations

from collections.abc import Iterator
from time import sleep
from typing import Any

import pytest

from portable_fn import ChangeEvent, DecodeError, Message, Reject, on, portable
from portable_fn.outcomes import DONE, Retry
from portable_fn.testing import fake
from portable_fn_azure.events.progress import MOST_BATCHES, Progress
from portable_fn_azure.simulate import payloads
from portable_fn_azure.simulate.payloads import Sent
from portable_fn_azure.simulate.worker import functions_for
from tests.runtimes.azure import AzureHost
from tests.runtimes.azure_stories import function_app

calls: list[str] = []
failing: set[str] = set()


@portable(on.stream("clicks"))
def click(message: Message) -> None:
    handle(message.sequence or "")


@portable(on.stream("clicks"))
async def click_later(message: Message) -> None:
    handle(message.sequence or "")


@portable(on.change("shop/users"))
def changed(change: ChangeEvent) -> None:
    handle(change.key["id"])


def handle(name: str) -> None:
    calls.append(name)
    if name in failing:
        raise ValueError(name)


@pytest.fixture(autouse=True)
def _nothing_yet() -> None:
    calls.clear()
    failing.clear()


class Host:
    """The host's retry policy for one function in one process."""

    def __init__(self, function: Any, service: str, *names: str) -> None:
        [self.function] = functions_for((function,), service)
        if service == "cosmos_db":
            events: list[Any] = [fake.change("users", after={"id": name}, id=f"c-{name}") for name in names]
        else:
            events = [fake.message({}, sequence=name, partition="0", channel="clicks") for name in names]
        self.sent = payloads(events, service)[0].many

    def attempt(self, number: int) -> tuple[bool, str]:
        """Return whether the attempt succeeded, and which events it handled."""
        calls.clear()
        invoked = self.function.invoke(Sent(self.sent.data, self.sent.metadata, number - 1), list(range(5)))
        return invoked.error is None, "".join(calls)


STREAMS = [
    pytest.param(click, "event_hubs", id="event_hubs"),
    pytest.param(click, "kafka", id="kafka"),
    pytest.param(click_later, "event_hubs", id="event_hubs, async"),
    pytest.param(changed, "cosmos_db", id="cosmos_db"),
]


def host_of(function: Any, service: str, monkeypatch: pytest.MonkeyPatch) -> Host:
    host = Host(function, service, *"12345")
    monkeypatch.setattr(host.function, "many", True)
    return host


@pytest.mark.parametrize(("function", "service"), STREAMS)
def test_an_event_that_fails_after_a_rewind_is_not_skipped(
    function: Any, service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = host_of(function, service, monkeypatch)
    failing.add("5")
    assert (False, "12345") == host.attempt(1)
    failing.clear()
    assert (True, "5") == host.attempt(2)
    # The same process reads the stream again, from an earlier position.
    failing.add("3")
    assert (False, "123") == host.attempt(1)
    assert (False, "3") == host.attempt(2)
    failing.clear()
    assert (True, "345") == host.attempt(3)
    assert (True, "12345") == host.attempt(1)


@pytest.mark.parametrize(("function", "service"), STREAMS)
def test_a_first_attempt_handles_all_events(function: Any, service: str, monkeypatch: pytest.MonkeyPatch) -> None:
    host = host_of(function, service, monkeypatch)
    failing.add("4")
    for _ in range(2):
        assert (False, "1234") == host.attempt(1)
    assert (False, "4") == host.attempt(2)


def test_attempts_of_other_processes_are_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    host = host_of(click, "event_hubs", monkeypatch)
    failing.add("4")
    assert (False, "1234") == host.attempt(1)
    # Another process made the second attempt.
    assert (False, "1234") == host.attempt(3)
    assert (False, "4") == host.attempt(4)
    # With several processes per host, any attempt may be another process's.
    monkeypatch.setenv("FUNCTIONS_WORKER_PROCESS_COUNT", "2")
    assert (False, "1234") == host.attempt(5)
    monkeypatch.setenv("FUNCTIONS_WORKER_PROCESS_COUNT", "1")
    assert (False, "4") == host.attempt(6)


def context(number: Any) -> Any:
    return type("Context", (), {"retry_context": type("Retries", (), {"retry_count": number})()})()


def test_a_batch_is_identified_by_all_its_events() -> None:
    progress = Progress()
    messages: list[Any] = [fake.message({}, id=str(number)) for number in range(4)]
    first = progress.begin(messages[:3], context(0))
    first.end([DONE, Retry(), DONE])
    for other in (messages, messages[:2], messages[1:]):
        assert other == progress.begin(other, context(1)).left
    second = progress.begin(messages[:3], context(1))
    assert [messages[1]] == second.left
    second.end([DONE])
    # The batch succeeds, so nothing is kept.
    assert messages[:3] == progress.begin(messages[:3], context(2)).left


def test_an_unreadable_event_is_not_handled_and_a_dead_lettered_one_is() -> None:
    progress = Progress()
    items: list[Any] = [fake.message({}, id="1"), DecodeError("no"), fake.message({}, id="2"), fake.message({}, id="3")]
    progress.begin(items, None).end([DONE, Retry(), Reject("no"), Retry()])
    assert [items[1], items[3]] == progress.begin(items, context(1)).left


@pytest.mark.parametrize("number", [None, 0, -1, True, "1", 1.0, object()])
def test_a_malformed_number_of_an_attempt_means_a_first_attempt(number: Any) -> None:
    progress = Progress()
    items: list[Any] = [fake.message({}, id=str(number)) for number in range(2)]
    progress.begin(items, context(number)).end([DONE, Retry()])
    assert items == progress.begin(items, context(number)).left


def test_progress_keeps_a_limited_number_of_batches() -> None:
    progress = Progress()
    batches: list[list[Any]] = [[fake.message({}, id=f"{n}-{m}") for m in range(2)] for n in range(MOST_BATCHES + 1)]
    for batch in batches:
        progress.begin(batch, None).end([DONE, Retry()])
    assert batches[0] == progress.begin(batches[0], context(1)).left
    assert batches[-1][1:] == progress.begin(batches[-1], context(1)).left


APP = """
from portable_fn import *
from portable_fn_azure import entry

@portable(on.stream("clicks"))
def click(message: Message) -> None:
    print("CALL", message.sequence, flush=True)
    if message.data["fails"]:
        raise ValueError(message.sequence)

app = entry(click, options={"clicks": {"cardinality": "many"}})
"""


@pytest.fixture(scope="module")
def host() -> Iterator[AzureHost]:
    with function_app(APP) as host:
        yield host


@pytest.mark.runtime
@pytest.mark.parametrize(
    "attempts",
    [
        # The number of the attempt, the event that fails, and the events that the worker must handle.
        [(1, "3", "123"), (2, "", "3"), (1, "2", "12"), (2, "2", "2"), (3, "", "23"), (1, "", "123")],
    ],
)
def test_an_event_that_fails_after_a_rewind_fails_on_the_real_worker(
    host: AzureHost, attempts: list[tuple[int, str, str]]
) -> None:
    for number, failing, called in attempts:
        events = [fake.message({"fails": name == failing}, sequence=name, partition="0") for name in "123"]
        sent = payloads(events, "event_hubs")[0].many
        before = len(host.logs)
        retry = {"retry_count": number - 1, "max_retry_count": 5} if number > 1 else {}
        invocation = host.invoke_typed("click", {"event": sent.data}, metadata=sent.metadata, retry=retry)
        assert (not failing, called) == (invocation.error is None, printed(host, before, len(called)))


def printed(host: AzureHost, before: int, count: int) -> str:
    """Return the events that the handler got since. The worker's output may arrive after its answers."""
    lines: list[str] = []
    for _ in range(100):
        lines = [line.split()[1] for line in host.logs[before:] if line.startswith("CALL")]
        if len(lines) >= count:
            break
        sleep(0.02)
    return "".join(lines)
