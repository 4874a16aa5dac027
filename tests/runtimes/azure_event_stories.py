"""Run the stories' functions for events in the real Azure library worker.

`simulate` plays the host's extensions, and the mock host delivers the payloads that they build.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from time import sleep
from typing import Any

from event_harnesses import EventCell
from portable_fn.events import Event
from portable_fn.testing.results import Delivery, EventResult, Raised
from portable_fn.testing.stories import EVENT_STORIES, StoryRun
from portable_fn_azure.simulate.events import EVENT_SERVICES, invocations, payloads, results
from portable_fn_azure.simulate.payloads import Sent
from portable_fn_azure.simulate.worker import ADAPTERS, LOST, Invoked
from tests.runtimes import azure_amqp
from tests.runtimes.azure import AzureHost
from tests.runtimes.azure_queues import QueueServer, queue_server
from tests.runtimes.azure_stories import function_app

SETTLED = "service_bus_settled"

# One function app has a function for each kind, app of the stories and service. Each has its own connection, so that no two
# compete for a queue.
_SOURCE = """
from types import FunctionType

import azure.functions as func

from portable_fn import portable
from portable_fn.testing.stories import events_app
from portable_fn_azure import entry
from portable_fn_azure.events.services import SERVICES
from portable_fn_azure.simulate.worker import for_the_words

mode = getattr(func, "CosmosDBChangeFeedMode", None)
CHOSEN = {{
    "service_bus_sessions": {{"is_sessions_enabled": True}},
    "cosmos_db": {{"database_name": "database"}},
    "cosmos_db_versions": {{
        "database_name": "database",
        "change_feed_mode": "AllVersionsAndDeletes" if mode is None else mode.ALL_VERSIONS_AND_DELETES,
    }},
}}


def named(name, kind, app, service):
    # Each Azure function listens to its own queue, so the entry's other functions get nothing from it.
    binding = events_app.functions_for(kind, app)[0].__portable__
    handler = FunctionType(binding.handler.__code__, binding.handler.__globals__, name)
    handler.__annotations__ = binding.handler.__annotations__
    [fitting] = for_the_words([binding], SERVICES[service].words)
    return portable(*fitting.triggers[:1])(handler)


functions = {functions!r}
app = entry(
    [named(name, kind, app, service) for name, kind, app, _, service in functions],
    services={{name: service for name, _, _, _, service in functions}},
    connections={{name: name for name, *_ in functions}},
    options={{name: CHOSEN[played] for name, _, _, played, _ in functions if played in CHOSEN}},
    settlement={settlement!r},
)
"""
_APPS = {(story.kind, story.app) for story in EVENT_STORIES}


def _name(kind: str, app: str, service: str) -> str:
    # An activity has the name of its task.
    return "function" if kind == "Task" else f"{kind}_{app.replace(' ', '_')}_{service}"


def _source(services: set[str], settlement: bool = False) -> str:
    functions = [
        (_name(kind, app, service), kind, app, service, ADAPTERS.get(service, service))
        for kind, app in sorted(_APPS)
        for service in EVENT_SERVICES[kind]
        if service in services
    ]
    return _SOURCE.format(functions=functions, settlement=settlement)


def _connections(queues: QueueServer) -> dict[str, str]:
    """Return the setting of each function's connection, which its dead letters use too."""
    return {
        _name(kind, app, service): queues.service_bus if service.startswith("service_bus") else queues.storage
        for kind, app in _APPS
        for service in EVENT_SERVICES[kind]
    }


class Worker:
    """A worker with the stories' functions. On first use, a second one starts, which settles messages separately."""

    def __init__(self, start: Callable[[bool], AzureHost], seen: Path, queues: QueueServer) -> None:
        self._start = start
        self._seen = seen
        self._queues = queues
        self._hosts: dict[bool, AzureHost] = {}
        self._messages = count()

    def deliver_to(self, cell: EventCell) -> Callable[..., StoryRun]:
        """Return what delivers a cell's events to its function."""
        is_settled = cell.service == SETTLED
        if is_settled not in self._hosts:
            self._hosts[is_settled] = self._start(is_settled)
        host = self._hosts[is_settled]
        name = _name(cell.story.kind, cell.story.app, cell.service)

        def deliver(events: Any, *, seconds: float = 30) -> StoryRun:
            events = list(events)
            self._seen.write_text("")
            delivery = (
                self._settled(host, name, events) if is_settled else self._delivered(host, name, events, cell.service)
            )
            return StoryRun(delivery, [json.loads(line) for line in self._seen.read_text().splitlines()])

        return deliver

    def _settled(self, host: AzureHost, name: str, events: list[Event[Any]]) -> Delivery:
        """Return the results of separately settled messages, from the host's log."""
        before = len(host.logs)
        # A lock can be used once.
        first = next(self._messages)
        for _ in events[1:]:
            next(self._messages)
        answered = host.invoke_typed(name, {"event": azure_amqp.settleable(events, first)})  # type: ignore[arg-type]  # messages
        error = None if answered.error is None else Raised(*answered.error.split(": ", 1))
        verbs = dict(map(_verb, _lines(host, before, len(events) if error is None else 0)))
        numbers = {azure_amqp.lock(first + number): number for number in range(len(events))}
        found = {numbers[lock]: what for lock, what in verbs.items()}
        return results(events, SETTLED, [[Invoked(list(numbers.values()), error, results=found, function=name)]])

    def _delivered(self, host: AzureHost, name: str, events: list[Event[Any]], service: str) -> Delivery:
        function = next(one for one in host.functions if one.name == name)
        trigger = next(one for one in function.bindings if one["type"].endswith("Trigger"))
        many = str(trigger.get("cardinality", "")).upper() == "MANY"
        retries = trigger["type"] not in LOST or function.retry is not None
        invoke = partial(self._invoked, host, name, retries)
        return results(events, service, [invocations(arrival, many, invoke) for arrival in payloads(events, service)])

    def _invoked(self, host: AzureHost, name: str, retries: bool, sent: Sent, indices: list[int]) -> Invoked:
        retry = {"retry_count": sent.retry_count, "max_retry_count": 5} if sent.retry_count else {}
        before = len(self._queues.letters)
        answered = host.invoke_typed(name, {"event": sent.data}, metadata=sent.metadata, retry=retry)
        letters = self._queues.letters[before:]
        error = None if answered.error is None else Raised(*answered.error.split(": ", 1))
        return Invoked(indices, error, answered.returned, letters, retries=retries, function=name)


def _verb(line: str) -> tuple[str, EventResult]:
    words, _, lock = line.removeprefix("[host] ").rpartition(" ")
    verb, _, why = words.partition(" ")
    outcome = {"complete": "acknowledged", "abandon": "retried", "deadletter": "dead-lettered"}[verb]
    return lock, EventResult(outcome, why=why.strip("'"))


def _lines(host: AzureHost, before: int, wanted: int) -> list[str]:
    """Return the settlements in the host's log, which may arrive after its answers."""
    for _ in range(100):
        lines = [line for line in host.logs[before:] if line.startswith("[host] ")]
        if len(lines) >= wanted:
            break
        sleep(0.02)
    return lines


@contextmanager
def worker(python: str) -> Iterator[Worker]:
    """Run the worker of a Python version with the stories' functions."""
    with TemporaryDirectory() as folder, ExitStack() as stack:
        queues = stack.enter_context(queue_server())

        def start(is_settled: bool) -> AzureHost:
            every = {service for services in EVENT_SERVICES.values() for service in services}
            source = _source({SETTLED}, settlement=True) if is_settled else _source(every - {SETTLED})
            environment = "azure-settlement" if is_settled else "azure"
            env = {"PORTABLE_FN_STORIES": f"{folder}/seen", **queues.settings, **_connections(queues)}
            return stack.enter_context(function_app(source, python=python, env=env, environment=environment))

        yield Worker(start, Path(folder, "seen"), queues)
