"""Use a third party's adapter, tests/portable_fn_toy, wherever a provider is named; test_toy_adapter.py tells its stories."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portable_fn import Batch, Message, Request, Task, on, portable
from portable_fn.cli import main
from portable_fn.errors import DecodeError
from portable_fn.events import Event
from portable_fn.testing import deliver, fake, parse, render, replay, strategies
from portable_fn_toy import decode, entry, simulate

TOY = "portable_fn_toy"


@portable(on.http("GET", "/hello/{name}"))
def hello(request: Request[Any]) -> dict[str, str]:
    return {"hello": request.params["name"]}


@portable(on.queue("orders"))
def ship(order: Message[Any]) -> None:
    if order.data["sku"] != "A1":
        raise LookupError("unknown sku")


@portable(on.task("add"))
async def add(numbers: Task[Any]) -> int:
    return sum(numbers.data)


ALL = [hello, ship, add]


def call(native: Any) -> Any:
    return asyncio.run(entry(*ALL)(native))


def queued(*messages: dict[str, Any], **changed: Any) -> dict[str, Any]:
    return {"service": "queue", "invocation": "1", "queue": "orders", "messages": list(messages), **changed}


A1 = {
    "id": "m1",
    "sent": "2026-01-02T03:04:05Z",
    "attempt": 1,
    "type": "",
    "attributes": {},
    "body": "eyJza3UiOiJBMSJ9",
}
DONE, AGAIN = {"done": True}, {"retry": True, "after": None}


# The adapter


def test_a_request_has_the_deadline_that_toy_tells() -> None:
    deadline = datetime(2027, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert deadline == decode.invocation(asked(deadline=deadline.timestamp()), True).deadline


def asked(**changed: Any) -> Any:
    return {**render(fake.request(), to=TOY), **changed}


@settings(deadline=None, max_examples=50)
@given(strategies.messages())
def test_a_message_arrives_as_it_was_sent(message: Message[Any]) -> None:
    sent = fake.message(
        body=message.body,
        id=message.id,
        channel="orders",
        content_type=message.content_type,
        attributes=message.attributes,
        attempt=2,
    )
    (native,) = simulate.payloads([sent], "queue")
    assert [sent] == decode.queue(native)  # type: ignore[arg-type]  # a dict of JSON


JSON: st.SearchStrategy[Any] = (
    st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.just([[]]) | st.just({"a": {}}) | st.floats()
)


@settings(deadline=None, max_examples=300)
@given(st.sampled_from(["web", "queue", "call", "nothing"]), st.data())
def test_a_payload_with_any_value_in_a_field_is_answered_or_a_decode_error(service: str, data: st.DataObject) -> None:
    whole: dict[str, Any] = {
        "web": asked(),
        "queue": queued({**A1}),
        "call": {"service": "call", "invocation": "1", "name": "add", "input": [1]},
    }.get(service, {})
    part = whole["messages"][0] if service == "queue" and data.draw(st.booleans()) else whole
    if part:
        name = data.draw(st.sampled_from(sorted(part)))
        if data.draw(st.booleans()):
            part[name] = data.draw(JSON)
        else:
            del part[name]
    try:
        assert isinstance(call(whole), dict)
    except DecodeError:
        pass


def test_only_an_unreadable_message_is_redelivered() -> None:
    broken = [{**A1, "id": ""}, {**A1, "body": "?"}, {**A1, "attributes": {"a": 1}}, {**A1, "sent": "today"}, {}, None]
    for message in broken:
        assert {"messages": [DONE, AGAIN, DONE]} == call(queued(A1, message, {**A1, "id": "m2"}))  # type: ignore[arg-type]


@pytest.mark.parametrize("native", [None, [], {}, {"service": "mail"}, queued(invocation=None), queued(queue=5)])
def test_an_invocation_that_cannot_be_read_is_a_decode_error(native: Any) -> None:
    with pytest.raises(DecodeError):
        call(native)


def test_a_request_that_cannot_be_read_is_a_400() -> None:
    broken: list[dict[str, Any]] = [
        {"body": "?"},
        {"headers": [["a"]]},
        {"headers": {"a": 1}},
        {"target": None},
        {"client": {}},
    ]
    for changed in broken:
        assert 400 == call(asked(**changed))["status"]


# Testing with it


def test_deliver_accepts_its_module_as_a_provider() -> None:
    assert {"hello": "Ada"} == deliver(hello, fake.request("GET", "/hello/Ada"), to=TOY).json()
    assert ["acknowledged", "retried"] == deliver(ship, fake.batch([{"sku": "A1"}, {"sku": "A2"}]), to=TOY).outcomes
    assert 3 == deliver(add, fake.task([1, 2]), to=TOY).result


@pytest.mark.providers("aws", TOY, f"{TOY}/queue")
def test_the_mark_accepts_its_module_as_a_provider(deliver: Callable[..., Any]) -> None:
    assert ["acknowledged"] == deliver(ship, fake.message({"sku": "A1"})).outcomes


def test_a_batch_arrives_whole() -> None:
    seen: list[int] = []

    @portable(on.queue("orders"))
    async def count(orders: Batch[Message[Any]]) -> None:
        seen.append(len(orders))

    deliver(count, fake.batch([1, 2, 3]), to=TOY)
    assert [3] == seen


def test_a_portable_function_is_its_handler_if_the_environment_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORTABLE_FN_PROVIDER", TOY)
    assert {"messages": [DONE]} == asyncio.run(ship(queued(A1)))  # type: ignore[arg-type]  # a native payload


@pytest.mark.parametrize(
    "event", [fake.message({"sku": "A1"}), fake.task([1], name="add"), fake.request("GET", "/a?b=c")]
)
def test_a_rendered_payload_is_parsed(event: Any) -> None:
    parsed = parse(render(event, to=TOY), TOY)
    assert isinstance(parsed, Event)
    assert (event.id, event.data) == (parsed.id, parsed.data)


def test_its_recordings_are_replayed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORTABLE_FN_RECORD", str(tmp_path))
    deliver(ALL, fake.batch([{"sku": "A1"}, {"sku": "A2"}]), to=TOY)
    deliver(ALL, fake.request("GET", "/hello/Ada"), to=TOY)
    monkeypatch.delenv("PORTABLE_FN_RECORD")

    assert 2 == len(list(tmp_path.glob("*.json")))
    for to in (None, "aws"):
        replayed = replay(tmp_path, ALL, to=to)
        assert ([], []) == (replayed.differences, replayed.skipped)


def test_the_guide_shows_its_code_and_its_test_of_the_stories() -> None:
    root = Path(__file__).parents[2]
    page = (root / "docs" / "how-to" / "add-a-provider.md").read_text()
    *excerpts, block = re.findall(r"^```py\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert (root / "tests" / "testing" / "test_toy_adapter.py").read_text() == block
    for excerpt in excerpts:
        title, _, code = excerpt.partition("\n")
        assert code in (root / "tests" / title.removeprefix("# ")).read_text()


# The command line


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    code = main([*arguments])
    captured = capsys.readouterr()
    return code, captured.out + captured.err


def test_the_command_line_accepts_its_module_as_a_provider(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, out = run(capsys, "providers", "--provider", TOY, "--output", "json")
    assert 0 == code
    assert {"web", "queue", "call"} == {service["name"] for service in json.loads(out)["services"]}

    app = tmp_path / "toy_orders.py"
    app.write_text(
        "from portable_fn import Message, Request, on, portable\n"
        "@portable(on.queue('orders'))\ndef ship(order: Message) -> None: ...\n"
        "@portable(on.http('GET', '/'))\ndef hello(request: Request) -> str:\n    return 'hello'\n"
    )
    assert (0, f"2 functions on {TOY}: everything the functions use holds.\n") == run(
        capsys, "check", str(app), "--for", TOY
    )
    assert 0 == run(capsys, "invoke", f"{app}:hello", "--as", TOY)[0]
    code, payload = run(capsys, "render", "message", "--data", '{"sku": "A1"}', "--to", TOY)
    (tmp_path / "payload.json").write_text(payload)
    assert 0 == code
    assert 0 == run(capsys, "parse", str(tmp_path / "payload.json"), "--provider", TOY)[0]
