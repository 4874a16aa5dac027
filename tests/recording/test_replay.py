"""Replay recordings on the same or another provider."""

from __future__ import annotations

import io
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from portable_fn import (
    Batch,
    ChangeEvent,
    CloudEvent,
    Event,
    HTTPError,
    Message,
    ObjectEvent,
    Reject,
    Request,
    Retry,
    ScheduleEvent,
    Task,
    on,
    portable,
)  # fmt: skip
from portable_fn.providers import ADAPTERS, adapter
from portable_fn.testing import deliver, fake, replay
from portable_fn.testing.loop import run
from tests.recording.samples import (
    HANDLERS,
    LINE,
    MESSAGES,
    RECORDING,
    REQUEST,
    add,
    big,
    create,
    length,
    record,
    recordings,
    ship,
)

# Every service of every provider with its kinds of event.
SERVICES = [
    (provider, kind, service)
    for provider in RECORDING
    for kind, services in adapter(provider, "simulate").EVENT_SERVICES.items()
    for service in services
]


@pytest.mark.slow
@pytest.mark.parametrize("provider", RECORDING)
@pytest.mark.parametrize("to", [None, *ADAPTERS])
def test_replay_of_the_same_code_is_without_differences(folder: Path, provider: str, to: str | None) -> None:
    record(provider)
    count = len(recordings(folder))
    replays = replay(folder, HANDLERS, to)

    assert ([], []) == (replays.differences, replays.skipped)
    assert [to or provider] * count == [replayed.to for replayed in replays]
    assert count == len(recordings(folder)), "a replay records nothing"


@pytest.mark.parametrize("to", [None, "gcp", "azure"])
def test_replay_lists_the_differences(folder: Path, to: str | None) -> None:
    @portable(on.queue("orders"))
    def ship(message: Message[Any]) -> None:
        if message.data["sku"] == 1:
            raise Reject("no")
        if message.data["sku"] == 2:
            raise Retry("later")

    @portable(on.http("POST", "/items"))
    def create(request: Request) -> dict[str, Any]:
        return {"created": request.json()["name"].upper()}

    record("aws")
    replays = replay(folder, [ship, create, add], to)

    differences = [difference.partition(": ")[2] for difference in replays.differences]
    assert [
        "ship message-1 was done, and is reject",
        "ship message-2 was retry after 5 s, and is retry",
        "ship message-3 was error ValueError, and is done",
        "ship message-4 was reject, and is done",
        """the answer's body was '{"created":"lamp","token":"REDACTED"}', and is '{"created":"LAMP"}'""",
    ] == differences


EVENTS: dict[str, list[Event[Any]]] = {
    "Message": list(fake.batch([{"sku": 1}, {"sku": 2}])),
    "ObjectEvent": [fake.object("uploads", "a b.png", id="1"), fake.object("uploads", "bad.png", id="2")],
    "ChangeEvent": [fake.change("users", after={"id": "1"}, id="1"), fake.change("users", after={"id": "2"}, id="2")],
    "CloudEvent": [fake.cloud_event(data={"n": 1}, id="1"), fake.cloud_event(data={"n": 2}, id="2")],
    "ScheduleEvent": [fake.schedule()],
    "Task": [fake.task({"n": 1}), fake.task({"n": 2})],
}


@portable
def message(event: Message[Any]) -> None:
    if event.text.endswith("2}"):
        raise Retry("later", after=5)


@portable
async def stored(event: ObjectEvent[Any]) -> None:
    if event.key == "bad.png":
        raise ValueError(event.key)


@portable
def changed(event: ChangeEvent[Any]) -> None:
    if event.after == {"id": "2"}:
        raise Reject("never")


@portable
def happened(event: CloudEvent[Any]) -> None:
    if event.data == {"n": 2}:
        raise ValueError("two")


@portable
async def tick(event: ScheduleEvent[Any]) -> None:
    raise KeyError("tick")


@portable
def work(event: Task[Any]) -> Any:
    if event.data["n"] == 2:
        raise KeyError("n")
    return {"done": event.data["n"]}


FUNCTIONS: dict[str, Any] = {
    "Message": message,
    "ObjectEvent": stored,
    "ChangeEvent": changed,
    "CloudEvent": happened,
    "ScheduleEvent": tick,
    "Task": work,
}


@pytest.mark.slow
@pytest.mark.parametrize(("provider", "kind", "service"), SERVICES)
def test_payloads_of_each_service_are_replayed(folder: Path, provider: str, kind: str, service: str) -> None:
    events = EVENTS[kind]
    for batch in [[event] for event in events] if kind == "Task" else [events]:
        deliver(FUNCTIONS[kind], batch, to=provider, via=service)

    calls = [event for recording in recordings(folder) for call in recording["calls"] for event in call["events"]]
    assert (len(events), {provider}) == (len(calls), {recording["provider"] for recording in recordings(folder)})
    # A Dapr sidecar's request doesn't name its function, and these functions have no triggers.
    for to in (None,) if service.startswith("dapr") else (None, "aws"):
        replays = replay(folder, FUNCTIONS[kind], to)
        assert ([], []) == (replays.differences, replays.skipped)


@pytest.mark.parametrize(
    ("provider", "via"),
    [("azure", "service_bus_queue"), ("azure", "event_hubs"), ("azure", "kafka"), ("azure", "service_bus_settled")],
)
def test_a_batch_on_azure_is_replayed_as_a_batch(folder: Path, provider: str, via: str) -> None:
    @portable
    def all_of_them(batch: Batch[Message[Any]]) -> None:
        batch.retry(batch[1])

    deliver(all_of_them, MESSAGES, to="azure", via=via)
    (recording,) = recordings(folder)
    assert ["done", "retry", "done", "done"] == [event["outcome"] for event in recording["calls"][0]["events"]]
    for to in (None, "aws", "cloudflare"):
        replays = replay(folder, all_of_them, to)
        assert ([], []) == (replays.differences, replays.skipped)


def test_the_same_one_of_several_functions_on_azure_is_called(folder: Path) -> None:
    @portable(on.queue("returns"))
    def take_back(message: Message[Any]) -> None: ...

    @portable(on.schedule("0 3 * * *"))
    def nightly(tick: ScheduleEvent[Any]) -> None: ...

    @portable(on.schedule("0 4 * * *"))
    def later(tick: ScheduleEvent[Any]) -> None: ...

    handlers = [ship, take_back, nightly, later]
    deliver(handlers, [fake.message({"sku": 1}), fake.message({"sku": 2}, channel="returns", id="m2")], to="azure")
    deliver(handlers, fake.schedule(cron="0 4 * * *"), to="azure")

    assert ["ship", "take_back", "later"] == [recording["payload"]["function"] for recording in recordings(folder)]
    for to in (None, "aws", "gcp"):
        assert ([], []) == (replay(folder, handlers, to).differences, replay(folder, handlers, to).skipped)

    @portable(on.queue("returns"))
    def renamed(message: Message[Any]) -> None: ...

    (difference, _) = replay(folder, [ship, renamed, nightly, later]).differences
    assert difference.endswith("take_back was done, and is not called")


def test_a_function_that_is_no_longer_called_is_a_difference(folder: Path) -> None:
    @portable(on.http("POST", "/items"))
    def make(request: Request) -> dict[str, Any]:
        raise HTTPError(409)

    deliver(create, REQUEST)
    differences = [difference.partition(": ")[2] for difference in replay(folder, make).differences]
    assert ["create was done, and is not called", "make was not called, and is error HTTPError"] == differences[:2]
    assert "the answer's status was 200, and is 409" in differences


def test_errors_raised_to_the_provider_are_compared(folder: Path) -> None:
    @portable(on.task("add"))
    def broken(task: Task[Any]) -> int:
        raise KeyError("a")

    deliver(broken, fake.task(1))
    (recording,) = recordings(folder)
    assert "KeyError" == recording["raised"]["name"]
    assert [] == replay(folder, broken).differences


def test_a_batch_handlers_messages_have_their_own_outcomes(folder: Path) -> None:
    @portable(on.queue("orders"))
    async def ship_all(batch: Batch[Message[Any]]) -> None:
        for message in batch:
            if message.data == 2:
                batch.retry(message)

    deliver(ship_all, fake.batch([1, 2]))
    (recording,) = recordings(folder)
    assert ["done", "retry"] == [event["outcome"] for event in recording["calls"][0]["events"]]
    for to in (None, "gcp", "azure", "cloudflare"):
        assert ([], []) == (replay(folder, ship_all, to).differences, replay(folder, ship_all, to).skipped)


def test_an_event_that_another_provider_cannot_deliver_is_skipped_with_the_reason(folder: Path) -> None:
    @portable(on.change("users"))
    def index(change: Any) -> None: ...

    deliver(index, fake.change(after={"id": 1}))
    assert [] == replay(folder, index, "gcp").skipped
    (skipped,) = replay(folder, index, "cloudflare").skipped
    assert skipped.endswith("cloudflare delivers no ChangeEvent")


@pytest.mark.parametrize(
    "text",
    [
        f"PORTABLE_FN_RECORD {LINE}\n",
        f"START\n2026-01-02T03:04:05Z [worker] PORTABLE_FN_RECORD {LINE} (log)\r\nEND\n",
        json.dumps({"level": "INFO", "message": [f"PORTABLE_FN_RECORD {LINE}\n"]}) + "\n",
    ],
)
def test_lines_are_replayed_whatever_a_console_adds_around_them(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.log").write_text(text)
    (replayed,) = replay(tmp_path / "a.log", add)
    assert (f"a.log:{text[: text.index('PORTABLE')].count(chr(10)) + 1}", []) == (replayed.file, replayed.differences)


def test_a_line_keeps_unusual_line_separators(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    @portable(on.task("echo"))
    def echo(task: Task[Any]) -> Any:
        return task.data

    monkeypatch.setenv("PORTABLE_FN_RECORD", "-")
    deliver(echo, fake.task("a\u2028b\x85c\nd"))
    (tmp_path / "a.log").write_text(capsys.readouterr().out)
    assert [] == replay(tmp_path / "a.log", echo).differences


def test_a_single_recording_is_replayed(folder: Path) -> None:
    record("aws")
    assert [1, 1, 1] == [len(replay(file, HANDLERS)) for file in folder.iterdir()]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("START\nEND\n", r"no recordings \(lines with PORTABLE_FN_RECORD\)"),
        (f"START\nPORTABLE_FN_RECORD {LINE[:50]}\n", "a.log:2 isn't a recording: JSONDecodeError"),
        ("set PORTABLE_FN_RECORD to a folder\nPORTABLE_FN_RECORD []", "no recordings"),
    ],
)
def test_lines_without_recordings_are_an_error(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "a.log").write_text(text)
    with pytest.raises(ValueError, match=message):
        replay(tmp_path / "a.log", add)


def test_a_folder_without_recordings_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no recordings"):
        replay(tmp_path, HANDLERS)
    (tmp_path / "a.json").write_text("{}")
    with pytest.raises(
        ValueError, match=r"a\.json isn't a recording: it isn't an object with a provider and a payload"
    ):
        replay(tmp_path, HANDLERS)


def of_azure(payload: str) -> str:
    return f'{{"provider":"azure","calls":[],"payload":{payload}}}'


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "not a recording: JSONDecodeError: it isn't JSON, or was cut short"),
        ("[" * 100_000, "not a recording: RecursionError"),
        ("[]", "not a recording: it isn't an object with a provider and a payload"),
        ('{"provider":"aws","calls":[]}', "not a recording: it isn't an object with a provider and a payload"),
        ('{"provider":["aws"],"payload":1,"calls":[]}', "not a recording: its provider is"),
        ('{"provider":"string","payload":1,"calls":[]}', "not a recording: its provider is"),
        ('{"provider":"aws","payload":1}', "not a recording: its calls can't be read"),
        ('{"provider":"aws","payload":1,"calls":null}', "not a recording: its calls can't be read"),
        ('{"provider":"aws","payload":1,"calls":[{}]}', "not a recording: its calls can't be read"),
        (LINE.replace('"id":"1"', '"id":[]'), "not a recording: its calls can't be read"),
        (LINE.replace('"done"', '"done","after":"3"'), "not a recording: its calls can't be read"),
        (
            '{"provider":"aws","payload":1,"calls":[],"cut":1}',
            "not a recording: its members raised or cut can't be read",
        ),
        (
            '{"provider":"aws","payload":1,"calls":[],"raised":{"name":1}}',
            "not a recording: its members raised or cut can't be read",
        ),
        (
            '{"provider":"aws","payload":{"requestContext":{"elb":{}}},"calls":[],"answer":1}',
            "not a recording: its answer",
        ),
        ('{"provider":"gcp","payload":1,"calls":[]}', "the value isn't the body of a Google trigger"),
        ('{"provider":"azure","payload":1,"calls":[]}', "the host sends objects, not int"),
        (of_azure('{"service":"event_hubs","data":{"collection_bytes":{"bytes":[1]}},"metadata":{"a":1}}'), ""),
        (of_azure('{"service":"service_bus_queue","data":{"bytes":"eA=="},"metadata":{"a":1}}'), ""),
        (of_azure('{"service":"service_bus_queue","data":{"int":"1"},"metadata":{}}'), ""),
        ('{"provider":"cloudflare","payload":{"method":1,"args":2},"calls":[]}', ""),
    ],
)
def test_unreadable_recordings_are_skipped_with_the_reason(tmp_path: Path, text: str, why: str) -> None:
    (tmp_path / "a.json").write_text(text)
    (tmp_path / "b.json").write_text(LINE)
    (tmp_path / "c.json").mkdir()
    (tmp_path / "d.json").symlink_to(tmp_path / "nothing")

    replays = replay(tmp_path, [add, message])
    assert ["a.json", "b.json", "c.json", "d.json"] == [replayed.file for replayed in replays]
    assert ([], "") == (replays[1].differences, replays[1].skipped)
    assert ["not a recording: Is a directory", "not a recording: No such file or directory"] == [
        replayed.skipped for replayed in replays[2:]
    ]
    assert (True, why) == (bool(replays[0].skipped), replays[0].skipped[: len(why)])


@pytest.mark.parametrize("name", ["a.json", "a.log"])
def test_a_recording_cannot_import_a_module(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "from_data.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    text = LINE.replace('"aws"', '"from_data"')
    (tmp_path / name).write_text(text if name == "a.json" else f"PORTABLE_FN_RECORD {text}\n")

    with pytest.raises(ValueError, match="its provider is 'from_data', not one of aws, gcp, azure, cloudflare, asgi"):
        replay(tmp_path / name, add)
    assert "from_data" not in sys.modules


@pytest.mark.parametrize("named", ["to", "variable", "imported"])
def test_a_recording_of_a_third_party_adapter_is_replayed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str
) -> None:
    modules = {"__init__": "", "simulate/__init__": ".simulate", "simulate/native_json": ".simulate.native_json"}
    (tmp_path / "theirs" / "simulate").mkdir(parents=True)
    for file, module in modules.items():
        (tmp_path / "theirs" / f"{file}.py").write_text(f"from portable_fn_aws{module} import *\n")
    monkeypatch.syspath_prepend(tmp_path)
    for module in modules.values():
        monkeypatch.delitem(sys.modules, f"theirs{module}", raising=False)
    if named == "variable":
        monkeypatch.setenv("PORTABLE_FN_PROVIDER", "theirs")
    if named == "imported":
        adapter("theirs", "simulate")
    (tmp_path / "a.json").write_text(LINE.replace('"aws"', '"theirs"'))

    (replayed,) = replay(tmp_path / "a.json", add, "theirs" if named == "to" else None)
    assert ("theirs", "theirs", "") == (replayed.of, replayed.to, replayed.skipped)


def test_several_recordings_in_a_line_are_all_replayed(tmp_path: Path) -> None:
    line = f"PORTABLE_FN_RECORD {LINE}"
    (tmp_path / "a.log").write_text(f"{line}{line}PORTABLE_FN_RECORD {LINE[:50]}{line} PORTABLE_FN_RECORD is set\n")
    replays = replay(tmp_path / "a.log", add)
    assert ([], [1]) == (
        replays.differences,
        [index for index, replayed in enumerate(replays[1:3]) if replayed.skipped],
    )
    assert 4 == len(replays)


def test_a_replay_leaves_the_environment_alone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str | None] = []

    @portable(on.task("look"))
    def look(task: Task[Any]) -> None:
        seen.append(os.environ.get("PORTABLE_FN_RECORD"))

    deliver(look, fake.task())
    monkeypatch.delenv("PORTABLE_FN_RECORD")
    assert [] == replay(folder, look).differences
    assert [str(folder), None] == seen


@pytest.mark.parametrize("provider", ["gcp", "cloudflare", "asgi"])
@pytest.mark.parametrize("size", [3, 11 * 1024 * 1024])
def test_a_request_whose_body_is_not_kept_is_skipped(folder: Path, provider: str, size: int) -> None:
    answer = deliver([length, big], fake.request("POST", "/", body=b"x" * size), to=provider)
    (recording,) = recordings(folder)
    (replayed,) = replay(folder, [length, big])
    if size == 3:
        assert (200, None, "") == (answer.status, recording.get("cut"), replayed.skipped)
    else:
        assert (413, ["payload"]) == (answer.status, recording["cut"])
        assert ([], "its body was too long to record, or was cut off") == (replayed.differences, replayed.skipped)


def test_a_request_that_is_cut_off_is_skipped(folder: Path) -> None:
    from flask import Request as FlaskRequest

    environ = {**adapter("gcp", "simulate").environ(REQUEST), "wsgi.input": io.BytesIO(REQUEST.body[:-1])}
    assert 400 == adapter("gcp").entry(create)(FlaskRequest(environ)).status_code

    messages = [{"type": "http.request", "body": REQUEST.body[:-1], "more_body": True}, {"type": "http.disconnect"}]

    async def receive() -> Any:
        return messages.pop(0)

    async def send(message: Any) -> None: ...

    scope = {"type": "http", "asgi": {}, "method": "POST", "path": "/items", "query_string": b"", "http_version": "1.1"}
    run(adapter("asgi").entry(create)({**scope, "headers": [(b"content-length", b"99")]}, receive, send))

    assert ["gcp", "asgi"] == [recording["provider"] for recording in recordings(folder)]
    assert ["its body was too long to record, or was cut off"] * 2 == [
        replayed.skipped for replayed in replay(folder, create)
    ]


@pytest.mark.parametrize("provider", RECORDING)
def test_a_refused_request_with_an_unread_body_is_replayed(folder: Path, provider: str) -> None:
    assert 404 == deliver(create, fake.request("POST", "/nowhere", body=b"1"), to=provider).status
    assert ([], []) == (replay(folder, create).differences, replay(folder, create).skipped)


@pytest.mark.parametrize(("provider", "via"), [("gcp", "http_async"), ("cloudflare", None), ("asgi", None)])
def test_an_answer_without_its_body_is_compared_by_the_rest(folder: Path, provider: str, via: str | None) -> None:
    @portable(on.http("GET", "/big"))
    def small(request: Request) -> Any:
        raise HTTPError(409)

    deliver([length, big], fake.request("GET", "/big"), to=provider, via=via)
    (recording,) = recordings(folder)
    assert (["answer"], None) == (recording["cut"], recording["answer"].get("body"))
    assert ([], []) == (replay(folder, big).differences, replay(folder, big).skipped)
    # Not on AWS: Lambda refuses an answer of that size.
    assert [] == replay(folder, big, "azure").differences
    differences = replay(folder, small).differences
    assert "the answer's status was 200, and is 409" in [difference.partition(": ")[2] for difference in differences]


@portable(on.http("POST", "/greet"))
def greet(request: Request[Any]) -> dict[str, object]:
    return {"hello": request.cookies["customer"], "again": f"<{request.json()['token']}>", "sku": request.json()["sku"]}


@pytest.mark.parametrize("provider", RECORDING)
def test_a_secret_repeated_in_the_answer_is_redacted_and_replays_without_differences(
    folder: Path, provider: str
) -> None:
    request = fake.request("POST", "/greet", cookies={"customer": "ada"}, json={"token": "t0ken-x", "sku": "A1"})
    deliver(greet, request, to=provider)

    (text,) = (path.read_text() for path in folder.iterdir())
    assert "ada" not in text and "t0ken-x" not in text and "A1" in text
    assert [] == replay(folder, greet).differences
