"""The samples' own entry files on every provider's real runtime."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

import portable_fn_aws.simulate
from portable_fn.events import Event, ScheduleEvent, Task
from portable_fn.http import Request
from portable_fn.providers import adapter
from portable_fn.record import Record
from portable_fn.testing import fake
from portable_fn.testing.results import Answer, Delivery, Raised
from portable_fn.testing.services import service_for
from portable_fn_azure.simulate.events import invocations
from portable_fn_azure.simulate.payloads import Sent
from portable_fn_azure.simulate.worker import Invoked
from portable_fn_cloudflare.simulate.events import sent
from tests.runtimes import durable
from tests.runtimes.asgi import uvicorn
from tests.runtimes.aws import emulator
from tests.runtimes.azure import AzureHost, Function, azure_functions
from tests.runtimes.azure_queues import QueueServer, queue_server
from tests.runtimes.azure_stories import over_front_end
from tests.runtimes.cloudflare import JSError, Workerd, workerd
from tests.runtimes.cloudflare_stories import PACKAGES, through_the_edge
from tests.runtimes.environments import ROOT, Unavailable, downloaded
from tests.runtimes.gcp import functions_framework
from tests.runtimes.harnesses import PYTHONPATH, over_http
from tests.runtimes.ministack import ministack
from tests.runtimes.process import Process

pytestmark = pytest.mark.runtime

# The target of each sample on Google.
SAMPLES = {
    "hello": "hello",
    "rest_api": "items",
    "image_upload": "thumbnail",
    "orders": "ship",
    "daily_report": "daily_report",
    "clickstream": "gather",
    "audit": "audit",
    "fan_out": "orders_placed",
    "pipeline": "reserve",
}
# What a sample needs besides what its runtime has: a folder to import it from.
NEEDS = {"image_upload": partial(downloaded, "pillow", "pillow==13.0.0"), "pipeline": durable.sdk}
ENTRIES = ("lambda_function", "main", "function_app", "worker", "asgi")


class Runtime(Record):
    """A sample on a runtime.

    `send` sends a request, each of `calls` delivers a native payload to a function, and `process` has the logs.
    """

    _fields = ("process",)

    def __init__(
        self,
        process: Process,
        send: Callable[[Request[Any]], Answer],
        *calls: Callable[[Sequence[Any], str], list[Any]],
    ) -> None:
        self.process = process
        self.send = send
        self.calls = calls


Start = Callable[[str, Mapping[str, str]], AbstractContextManager[Runtime]]


def folder(sample: str) -> Path:
    return ROOT / "samples" / sample


def pythonpath(sample: str) -> tuple[Path, ...]:
    return (*PYTHONPATH, *(package() for package in [NEEDS.get(sample)] if package), folder(sample))


def natives(provider: str, events: Sequence[Event[Any]], service: str) -> list[Any]:
    made: list[Any] = adapter(provider, "simulate").payloads(events, service)
    return made


@contextmanager
def aws(sample: str, env: Mapping[str, str]) -> Iterator[Runtime]:
    simulate = portable_fn_aws.simulate
    with emulator(folder(sample), "lambda_function.lambda_handler", pythonpath=pythonpath(sample), env=env) as function:

        def call(events: Sequence[Event[Any]], service: str) -> list[Any]:
            answers = [function.invoke(native) for native in natives("aws", events, service)]
            return [
                Raised(one["errorType"], one["errorMessage"]) if isinstance(one, dict) and "errorType" in one else one
                for one in answers
            ]

        yield Runtime(
            function.server.process,
            lambda request: simulate.answer(function.invoke(simulate.payload(request, "http_api")), "http_api"),
            call,
        )


@contextmanager
def gcp(sample: str, env: Mapping[str, str]) -> Iterator[Runtime]:
    main = folder(sample) / "main.py"
    with functions_framework(main, SAMPLES[sample], pythonpath=pythonpath(sample), env=env) as server:
        send = partial(over_http, server)
        yield Runtime(server.process, send, lambda events, service: list(map(send, natives("gcp", events, service))))


@contextmanager
def azure(sample: str, env: Mapping[str, str]) -> Iterator[Runtime]:
    with (
        queue_server() as queues,
        azure_functions(folder(sample), pythonpath=pythonpath(sample), env={**queues.settings, **env}) as host,
    ):
        send = partial(over_front_end, host, prefix="")
        functions = [one for one in host.functions if one.bindings[0]["type"] != "orchestrationTrigger"]
        yield Runtime(host.process, send, *(partial(_in_the_worker, host, queues, function) for function in functions))


def _in_the_worker(
    host: AzureHost, queues: QueueServer, function: Function, events: Sequence[Event[Any]], service: str
) -> list[Any]:
    """Return how each invocation of the function ended."""
    trigger = next(one for one in function.bindings if one["type"].endswith("Trigger"))
    many = str(trigger.get("cardinality", "")).upper() == "MANY"
    invoke = partial(_invoked, host, queues, function.name)
    return [invocations(arrival, many, invoke) for arrival in natives("azure", events, service)]


def _invoked(host: AzureHost, queues: QueueServer, name: str, sent: Sent, indices: list[int]) -> Invoked:
    before = len(queues.letters)
    answered = host.invoke_typed(name, {"event": sent.data}, metadata=sent.metadata)
    error = None if answered.error is None else Raised(*answered.error.split(": ", 1))
    return Invoked(indices, error, answered.returned, queues.letters[before:])


@contextmanager
def cloudflare(sample: str, env: Mapping[str, str]) -> Iterator[Runtime]:
    if sample == "image_upload":
        raise Unavailable(
            "Pillow has no wheel for workerd's Pyodide on PyPI; Cloudflare takes it from Pyodide's own index"
        )
    if sample == "audit":
        raise Unavailable("Cloudflare has no database that tells of changes")
    own = [
        file for file in folder(sample).glob("*.py") if file.stem not in ENTRIES and not file.stem.startswith("test_")
    ]
    with workerd(
        folder(sample) / "src" / "worker.py",
        sources=own,
        packages=PACKAGES,
        vars=env,
        queues=["undeliverable"],
        pydantic=any("pydantic" in file.read_text() for file in own),
    ) as running:
        yield Runtime(running.process, partial(through_the_edge, running), partial(_on_workerd, running))


def _on_workerd(running: Workerd, events: Sequence[Event[Any]], service: str) -> list[Any]:
    first: Any = events[0]
    if isinstance(first, ScheduleEvent):
        assert first.time is not None
        return [running.scheduled(first.cron, first.time)]
    if isinstance(first, Task):
        try:
            return [running.rpc(first.name, first.input)]
        except JSError as exc:
            return [Raised(exc.name, exc.message)]
    messages = [dict(zip(("id", "timestamp", "attempts", "body"), sent(one), strict=True)) for one in events]
    return [{**running.queue(first.channel, messages), "sent": running.sent()}]


@contextmanager
def asgi(sample: str, env: Mapping[str, str]) -> Iterator[Runtime]:
    with uvicorn("asgi:app", pythonpath=pythonpath(sample), env=env) as server:
        send = partial(over_http, server)
        yield Runtime(server.process, send, lambda events, service: list(map(send, natives("asgi", events, service))))


class Provider(Record):
    """A provider by its name, whose runtime `start` starts with a sample."""

    _fields = ("name",)

    def __init__(self, name: str, start: Start) -> None:
        self.name = name
        self.start = start

    def deliver(self, runtime: Runtime, *events: Event[Any], via: str | None = None, function: int = 0) -> Delivery:
        """What becomes of the events on the runtime, of those of its functions that the provider knows in the one."""
        simulate = adapter(self.name, "simulate")
        service = service_for(simulate, self.name, events[0], via)
        delivery: Delivery = simulate.results(events, service, runtime.calls[function](events, service))
        return delivery


@pytest.fixture(params=[aws, gcp, azure, cloudflare, asgi], ids=lambda start: start.__name__)
def provider(request: pytest.FixtureRequest) -> Provider:
    return Provider(request.param.__name__, request.param)


def test_hello_says_hello(provider: Provider) -> None:
    with provider.start("hello", {}) as running:
        answer = running.send(fake.request("GET", "/hello/Zo%C3%AB"))
        assert (200, {"hello": "Zoë", "from": provider.name}) == (answer.status, answer.json())


def test_the_rest_api_creates_lists_and_refuses(provider: Provider) -> None:
    with provider.start("rest_api", {}) as running:

        def call(*args: Any, **fields: Any) -> Answer:
            return running.send(fake.request(*args, **fields))

        created = call("POST", "/items", json={"name": "lamp", "stock": 3})
        assert (201, "/items/1", 1) == (created.status, created.headers["location"], created.json()["id"])
        assert created.json() == call("GET", "/items/1").json()
        assert [created.json()] == call("GET", "/items").json()["items"]
        refused = call("POST", "/items", json={"name": "", "stock": "many"})
        assert 422 == refused.status
        assert ["#/name", "#/stock"] == [error["pointer"] for error in refused.json()["errors"]]
        assert 204 == call("DELETE", "/items/1").status
        assert 404 == call("GET", "/items/1").status


def test_a_picture_that_is_stored_gets_a_thumbnail_and_a_message(provider: Provider, tmp_path: Path) -> None:
    from PIL import Image

    picture = BytesIO()
    Image.new("RGB", (400, 200), "teal").save(picture, "JPEG")
    stored = tmp_path / "uploads" / "so weiß + schön.jpg"
    stored.parent.mkdir()
    stored.write_bytes(picture.getvalue())
    with provider.start("image_upload", {"STORAGE": str(tmp_path), "SENT": str(tmp_path / "sent")}) as running:
        blob = {"azure": "blob"}.get(provider.name)
        upload = fake.object("uploads", stored.name, body=picture.getvalue())
        assert ["acknowledged"] == provider.deliver(running, upload, via=blob).outcomes
        thumbnail = f"{stored.name}.png"
        assert (128, 64) == Image.open(BytesIO((tmp_path / "thumbnails" / thumbnail).read_bytes())).size
        assert {"picture": stored.name, "thumbnail": thumbnail} == json.loads((tmp_path / "sent").read_text())


def test_an_order_that_fails_costs_only_itself(provider: Provider) -> None:
    orders = [("lamp", 3), ("desk", 98), ("unicorn", 1), ("desk", 7)]
    messages = [
        fake.message({"id": f"o-{number}", "sku": sku, "parcels": parcels}, id=f"message-{number}")
        for number, (sku, parcels) in enumerate(orders)
    ]
    with provider.start("orders", {}) as running:
        shipped, busy, poison, last = provider.deliver(running, *messages).outcomes
    assert ("acknowledged", "retried", "acknowledged") == (shipped, busy, last)
    # AWS and Google are asked to take it, and aren't there.
    assert ("retried" if provider.name in ("aws", "gcp") else "dead-lettered") == poison


def test_the_schedule_prints_the_report_of_the_day_before(provider: Provider) -> None:
    tick = fake.schedule(at=datetime(2026, 1, 2, 6, tzinfo=UTC), name="daily-report", cron="0 6 * * *")
    with provider.start("daily_report", {}) as running:
        assert ["acknowledged"] == provider.deliver(running, tick).outcomes
        line = running.process.logged('"report"')
    assert '{"report": "sales", "day": "2026-01-01", "cents": {"lamp": 7800, "desk": 24900}}' in line


def test_an_invalid_click_costs_only_itself(provider: Provider) -> None:
    clicks = [{"visitor": "ada", "page": "/"}, {"visitor": "bob", "page": "/"}, {"visitor": "bob"}]
    messages = [
        fake.message(
            click,
            id=f"click-{number}",
            channel="clicks",
            key=click["visitor"],
            partition="0",
            sequence=str(101 + number),
        )
        for number, click in enumerate(clicks)
    ]
    stream = {"aws": "kinesis", "azure": "event_hubs"}.get(provider.name)
    with provider.start("clickstream", {}) as running:
        outcomes = provider.deliver(running, *messages, via=stream).outcomes
    assert ["acknowledged", "acknowledged"] == outcomes[:2]
    assert outcomes[2] in ("retried", "dead-lettered")


def test_a_change_is_written_down(provider: Provider) -> None:
    with provider.start("audit", {}) as running:
        delivery = provider.deliver(running, fake.change("accounts", after={"id": "7", "plan": "paid"}))
        line = running.process.logged('"audit"')
    assert ["acknowledged"] == delivery.outcomes
    assert '"plan": [null, "paid"]' in line


def test_three_functions_get_what_is_published_to_one_topic(provider: Provider) -> None:
    topic = {"aws": "sns", "azure": "service_bus_topic"}.get(provider.name)
    with provider.start("fan_out", {}) as running:

        def outcomes(count: int) -> list[str]:
            order = {"id": "o-1", "sku": "lamp", "count": count, "cents": 3900}
            message = fake.message(order, channel="orders-placed")
            return [
                outcome
                for function in range(len(running.calls))
                for outcome in provider.deliver(running, message, via=topic, function=function).outcomes
            ]

        # On Azure each function has its own subscription.
        count = 3 if provider.name == "azure" else 1
        assert ["acknowledged"] * count == outcomes(2)
        assert [True] + [False] * (count - 1) == sorted((one != "acknowledged" for one in outcomes(0)), reverse=True)


def test_a_step_gives_its_result_and_its_errors_by_their_names(provider: Provider) -> None:
    with provider.start("pipeline", {}) as running:

        def step(sku: str) -> Delivery:
            return provider.deliver(running, fake.task({"sku": sku, "count": 2}, name="reserve"))

        assert {"sku": "lamp", "reserved": 2, "by": provider.name} == step("lamp").result
        assert ("OutOfStock", "2 of desk are wanted, 1 are there") == step("desk").error
        assert ("ShelfLocked", "the shelf of sofa is being counted") == step("sofa").error


def test_step_functions_run_the_state_machine_of_the_pipeline() -> None:
    """Retry and Catch by our errors' names; the shelf of the sofa stays locked, however often it is asked."""
    definition = json.loads((folder("pipeline") / "state_machine.asl.json").read_text())
    with ministack() as cloud:
        cloud.function("reserve", folder("pipeline"), "lambda_function.lambda_handler")
        machine = cloud.state_machine("order", definition)

        def ended(sku: str) -> dict[str, Any]:
            return cloud.execute(machine, {"sku": sku, "count": 2})

        assert {"sku": "lamp", "reserved": 2, "by": "aws"} == json.loads(ended("lamp")["output"])
        assert {"refused": "OutOfStock"} == json.loads(ended("desk")["output"])
        assert ("FAILED", "ShelfLocked") == (ended("sofa")["status"], ended("sofa")["error"])


def test_durable_functions_run_the_orchestration_of_the_pipeline() -> None:
    with azure_functions(folder("pipeline"), pythonpath=pythonpath("pipeline")) as host:

        def ended(sku: str) -> tuple[Any, int]:
            return durable.orchestrate(host, "order", {"sku": sku, "count": 2})

        assert ({"sku": "lamp", "reserved": 2, "by": "azure"}, 1) == ended("lamp")
        assert ({"refused": "OutOfStock"}, 1) == ended("desk")
        with pytest.raises(RuntimeError, match="ShelfLocked: the shelf of sofa is being counted"):
            ended("sofa")
