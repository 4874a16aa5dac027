"""`env("NAME")`: names of queues, topics, buckets, tables and dead letters from the environment."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from portable_fn import ConfigurationError, Message, ObjectEvent, Reject, Request, env, on, portable
from portable_fn.adapter.binding import bindings
from portable_fn.cli.command import run as command
from portable_fn.testing import deliver, fake
from portable_fn.testing.loop import run
from portable_fn_asgi import entry as asgi_entry
from portable_fn_asgi.events.dapr import subscriptions
from portable_fn_aws import entry as aws_entry
from portable_fn_azure import entry as azure_entry
from portable_fn_cloudflare.entry import worker
from portable_fn_cloudflare.simulate.events import Env, MessageBatch, Queue, QueueMessage, called, sent
from portable_fn_cloudflare.simulate.javascript import FFI, JS, WorkerEntrypoint
from portable_fn_gcp import entry as gcp_entry

ROOT = Path(__file__).parents[2]
seen: list[tuple[str, str]] = []


@portable(on.queue(env("ORDERS_QUEUE"), dead_letter=env("ORDERS_DLQ", "orders-dead")))
def ship(order: Message[Any]) -> None:
    seen.append(("ship", order.channel))
    if order.data == "no":
        raise Reject("unknown sku")


@portable(on.queue(env("BILLS_QUEUE")))
def bill(message: Message[Any]) -> None:
    seen.append(("bill", message.channel))


@pytest.fixture(autouse=True)
def nothing_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    seen.clear()
    for name in ("ORDERS_QUEUE", "ORDERS_DLQ", "BILLS_QUEUE"):
        monkeypatch.delenv(name, raising=False)


ENTRIES = {"aws": aws_entry, "gcp": gcp_entry, "azure": azure_entry, "asgi": asgi_entry}


@pytest.mark.parametrize("provider", ENTRIES)
def test_an_entry_names_the_variable_that_is_not_set(provider: str, monkeypatch: pytest.MonkeyPatch) -> None:
    said = r"BILLS_QUEUE is not set: a trigger takes a name from it, env\('BILLS_QUEUE'\)"
    monkeypatch.setenv("ORDERS_QUEUE", "prod-orders-1A2B")
    with pytest.raises(ConfigurationError, match=said):
        ENTRIES[provider](ship, bill)


def test_an_empty_variable_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BILLS_QUEUE", "")
    with pytest.raises(ConfigurationError, match="BILLS_QUEUE is not set"):
        bindings(bill)


def test_the_environment_wins_over_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORDERS_QUEUE", "prod-orders")
    [function] = bindings(ship)
    assert ("prod-orders", "orders-dead") == (function.triggers[0].name, function.triggers[0].dead_letter)
    monkeypatch.setenv("ORDERS_DLQ", "prod-dead")
    [function] = bindings(ship)
    assert "prod-dead" == function.triggers[0].dead_letter
    # Each entry reads the declaration again.
    assert env("ORDERS_QUEUE") == ship.__portable__.triggers[0].name  # type: ignore[attr-defined]  # of @portable


@pytest.mark.parametrize("provider", ["aws", "gcp", "azure", "cloudflare", "asgi"])
def test_a_function_gets_the_events_of_the_queue_that_the_variable_names(
    provider: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORDERS_QUEUE", "prod-orders-1A2B")
    monkeypatch.setenv("BILLS_QUEUE", "prod-bills-3C4D")
    for channel in ("prod-bills-3C4D", "prod-orders-1A2B"):
        assert ["acknowledged"] == deliver([ship, bill], fake.message({}, channel=channel), to=provider).outcomes
    assert [("bill", "prod-bills-3C4D"), ("ship", "prod-orders-1A2B")] == seen


@pytest.mark.parametrize("provider", ["aws", "gcp", "azure", "cloudflare"])
def test_a_rejected_message_goes_to_the_dead_letters_that_the_variable_names(
    provider: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORDERS_QUEUE", "orders")
    assert ["dead-lettered"] == deliver(ship, fake.message("no"), to=provider).outcomes


@pytest.mark.parametrize("provider", ["aws", "gcp", "azure", "cloudflare", "asgi"])
def test_in_tests_a_variable_that_is_not_set_stands_for_its_own_name(provider: str) -> None:
    message = fake.message({}, channel="BILLS_QUEUE")
    assert ["acknowledged"] == deliver([ship, bill], message, to=provider).outcomes
    assert [("bill", "BILLS_QUEUE")] == seen
    # If one function takes messages, a test needn't name the queue either.
    assert ["acknowledged"] == deliver(ship, fake.message({}), to=provider).outcomes
    assert "ship" == seen[-1][0]
    assert {"ORDERS_QUEUE", "ORDERS_DLQ", "BILLS_QUEUE"}.isdisjoint(os.environ)


def test_a_handler_that_delivers_to_another_one_leaves_nothing_in_the_environment() -> None:
    @portable(on.http("POST", "/"))
    def order(request: Request[Any]) -> dict[str, str]:
        assert "BILLS_QUEUE" == os.environ["BILLS_QUEUE"]
        return {}

    @portable(on.queue(env("BILLS_QUEUE")))
    def outer(message: Message[Any]) -> None:
        deliver([order, bill], fake.request("POST", "/", json={}))
        deliver(bill, fake.message({}))
        assert "BILLS_QUEUE" == os.environ["BILLS_QUEUE"]

    assert ["acknowledged"] == deliver(outer, fake.message({})).outcomes
    assert "BILLS_QUEUE" not in os.environ


def test_a_request_reaches_its_function_though_a_queue_has_no_name() -> None:
    @portable(on.http("GET", "/"))
    def hello(request: Request[Any]) -> str:
        return "hello"

    for provider in ("aws", "gcp", "azure", "cloudflare", "asgi"):
        assert 200 == deliver([hello, ship], fake.request(), to=provider).status


def test_azure_registers_the_names_that_the_settings_have(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORDERS_QUEUE", "prod-orders")
    [function] = azure_entry(ship).get_functions()
    assert "prod-orders" == function.get_trigger().queue_name


def test_dapr_gets_the_names_in_the_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORDERS_QUEUE", "prod-orders")
    [one] = subscriptions(bindings(ship), "pubsub")
    assert ("prod-orders", "orders-dead") == (one["topic"], one["deadLetterTopic"])


def called_on_cloudflare(default: type[Any], queue: str, bindings: dict[str, Any], text: str = '"no"') -> Any:
    batch = MessageBatch(queue, [QueueMessage(*sent(fake.message(body=text, id="m1")))])
    return run(called(batch, default, Env(bindings), "queue_raw"))


def test_a_worker_reads_its_variables_with_the_first_call() -> None:
    default = worker((ship, bill), WorkerEntrypoint, JS, FFI)
    dead = Queue()
    variables = {"ORDERS_QUEUE": "prod-orders", "BILLS_QUEUE": "prod-bills", "ORDERS_DLQ": "DEAD", "DEAD": dead}
    assert ["m1"] == called_on_cloudflare(default, "prod-orders", variables)["explicitAcks"]
    assert ["m1"] == called_on_cloudflare(default, "prod-bills", variables)["explicitAcks"]
    assert ([("ship", "prod-orders"), ("bill", "prod-bills")], 1) == (seen, len(dead.sent))


def test_a_worker_takes_a_binding_of_the_variables_name_for_the_dead_letters() -> None:
    dead = Queue()
    default = worker((ship,), WorkerEntrypoint, JS, FFI)
    answer = called_on_cloudflare(default, "orders", {"ORDERS_QUEUE": "orders", "ORDERS_DLQ": dead})
    assert (["m1"], 1) == (answer["explicitAcks"], len(dead.sent))


def test_a_worker_without_the_variable_fails_each_call(caplog: pytest.LogCaptureFixture) -> None:
    default = worker((ship,), WorkerEntrypoint, JS, FFI)
    for _ in range(2):
        answer = called_on_cloudflare(default, "orders", {})
        assert ("exception", []) == (answer["outcome"], answer["explicitAcks"])
    assert [] == seen


@pytest.mark.parametrize(
    "made",
    [
        lambda: env(""),
        lambda: env(None),  # type: ignore[arg-type]  # wrong
        lambda: env("A", ""),
        lambda: env("A", 3),  # type: ignore[arg-type]  # wrong
    ],
)
def test_env_takes_the_name_of_a_variable(made: Any) -> None:
    with pytest.raises(ConfigurationError, match="env takes the name of a variable"):
        made()


def test_every_trigger_for_a_named_source_takes_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLACE", "there")

    @portable(
        on.queue(env("PLACE")),
        on.topic(env("PLACE")),
        on.stream(env("PLACE")),
        on.object(env("PLACE"), "created", prefix="a/"),
        on.change(env("PLACE")),
        on.schedule("0 3 * * *", name=env("PLACE")),
        on.event("a", source=env("PLACE")),
    )
    def everything(event: Any) -> None: ...

    [function] = bindings(everything)
    assert ["there"] * 6 == [trigger.name for trigger in function.triggers[:6]]
    assert "there" == function.triggers[6].source  # type: ignore[attr-defined]  # of on.event
    assert ("created",) == function.triggers[3].actions  # type: ignore[attr-defined]  # of on.object


def test_a_trigger_shows_the_variable() -> None:
    shown = repr(ship.__portable__.triggers[0])  # type: ignore[attr-defined]  # of @portable
    assert "name=env('ORDERS_QUEUE'), dead_letter=env('ORDERS_DLQ', 'orders-dead')" in shown


def test_declaring_a_setting_reads_nothing_and_imports_nothing() -> None:
    script = """
import sys
from portable_fn import on
before = set(sys.modules)
on.queue(on.env("NOT_SET_ANYWHERE"), dead_letter=on.env("NOR_THIS"))
assert before == set(sys.modules), set(sys.modules) - before
"""
    subprocess.run([sys.executable, "-c", script], check=True, env={"PYTHONPATH": str(ROOT / "src")})


APP = """
from portable_fn import Message, ObjectEvent, env, on, portable

@portable(on.queue(env("ORDERS_QUEUE"), dead_letter=env("ORDERS_DLQ", "orders-dead")))
def ship(order: Message) -> None: ...

@portable(on.object(env("UPLOADS"), "created"))
def thumbnail(upload: ObjectEvent) -> None:
    assert "UPLOADS" == upload.bucket
"""


@pytest.fixture
def app(tmp_path: Path) -> Path:
    file = tmp_path / "app.py"
    file.write_text(APP)
    return file


def test_check_says_which_variables_must_be_set(app: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command(["check", f"{app}:ship", "--for", "aws"])
    shown = " ".join(capsys.readouterr().out.split())
    assert "must be set: ORDERS_QUEUE, which has a name of the trigger" in shown
    assert "ORDERS_DLQ" not in shown


def test_invoke_needs_no_variable(app: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == command(["invoke", f"{app}:thumbnail", "--as", "aws"]), capsys.readouterr()


@portable(on.object(env("UPLOADS", "uploads")))
def stored(event: ObjectEvent[Any]) -> None: ...


def test_a_bucket_may_have_its_name_from_a_variable_too(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ["acknowledged"] == deliver([stored, ship], fake.object("uploads"), to="aws").outcomes
