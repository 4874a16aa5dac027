"""Recording of invocations, without their secrets, and their replay, on the same or another provider."""

from __future__ import annotations

import io
import json
import logging
import os
import stat
import subprocess
import sys
from base64 import b64encode
from pathlib import Path
from types import SimpleNamespace
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
from portable_fn.recording.recorder import BodyBuffer
from portable_fn.testing import deliver, fake, replay
from portable_fn.testing.loop import run

RECORDING = [*ADAPTERS]
# What each service hands over, of each provider.
SERVICES = [
    (provider, kind, service)
    for provider in RECORDING
    for kind, services in adapter(provider, "simulate").EVENT_SERVICES.items()
    for service in services
]


@portable(on.queue("orders"))
def ship(message: Message[Any]) -> None:
    match message.data["sku"]:
        case 2:
            raise Retry("later", after=5)
        case 3:
            raise ValueError("no such lamp")
        case 4:
            raise Reject("never")


@portable(on.http("POST", "/items"))
async def create(request: Request) -> dict[str, Any]:
    if not request.json():
        raise HTTPError(422, "nothing to create")
    return {"created": request.json()["name"], "token": "hunter2"}


@portable(on.task("add"))
def add(task: Task[Any]) -> int:
    total: int = task.data["a"] + 1
    return total


HANDLERS = [ship, create, add]
MESSAGES = fake.batch([{"sku": sku, "password": "hunter2"} for sku in (1, 2, 3, 4)], content_type="application/json")
REQUEST = fake.request(
    "POST",
    "/items?api_key=hunter2&page=1",
    json={"name": "lamp", "client_secret": "hunter2"},
    headers={"authorization": "Bearer hunter2", "x-session": "hunter2", "x-tenant": "7"},
    cookies={"sid": "hunter2"},
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for recordings, which isn't there yet."""
    monkeypatch.setenv("PORTABLE_FN_RECORD", str(tmp_path / "recorded"))
    return tmp_path / "recorded"


def record(provider: str) -> None:
    deliver(HANDLERS, MESSAGES, to=provider)
    deliver(HANDLERS, REQUEST, to=provider)
    deliver(HANDLERS, fake.task({"a": 1}), to=provider)


def printed(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line.partition(" ")[2]) for line in file.read_text().splitlines()]


def recordings(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted(folder.iterdir())]


@pytest.mark.parametrize("provider", RECORDING)
def test_each_invocation_is_a_file_with_payload_calls_and_answer(folder: Path, provider: str) -> None:
    record(provider)

    found = recordings(folder)
    assert {provider} == {one["provider"] for one in found}
    calls = [
        (call["function"], event["id"], event["outcome"], event.get("after"), event.get("error"))
        for one in found
        for call in one["calls"]
        for event in call["events"]
    ]
    assert [
        ("ship", "message-1", "done", None, None),
        ("ship", "message-2", "retry", 5, None),
        ("ship", "message-3", "error", None, "ValueError"),
        ("ship", "message-4", "reject", None, None),
    ] == calls[:4]
    assert ["create", "add"] == [name for name, *_ in calls[4:]]
    assert all(one["seconds"] > 0 for one in found)


@pytest.mark.parametrize("provider", RECORDING)
def test_no_secret_is_in_a_file_and_nobody_else_may_read_it(folder: Path, provider: str) -> None:
    record(provider)

    for path in folder.iterdir():
        assert 0o600 == stat.S_IMODE(path.stat().st_mode)
        text = path.read_text()
        assert "hunter2" not in text
        for encoded in (b64encode(b'{"sku":1,"password":"hunter2"}').decode(), b64encode(b"hunter2").decode()):
            assert encoded not in text
    assert '"x-tenant": "7"' in "".join(path.read_text() for path in folder.iterdir())


@pytest.mark.parametrize("provider", RECORDING)
@pytest.mark.parametrize("to", [None, *ADAPTERS])
def test_replay_of_the_same_code_is_without_differences(folder: Path, provider: str, to: str | None) -> None:
    record(provider)
    count = len(recordings(folder))
    found = replay(folder, HANDLERS, to)

    assert ([], []) == (found.differences, found.skipped)
    assert [to or provider] * count == [one.to for one in found]
    assert count == len(recordings(folder)), "a replay records nothing"


@pytest.mark.parametrize("to", [None, "gcp", "azure"])
def test_replay_tells_what_comes_out_otherwise(folder: Path, to: str | None) -> None:
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
    found = replay(folder, [ship, create, add], to)

    told = [difference.partition(": ")[2] for difference in found.differences]
    assert [
        "ship message-1 was done, and is reject",
        "ship message-2 was retry after 5 s, and is retry",
        "ship message-3 was error ValueError, and is done",
        "ship message-4 was reject, and is done",
        """the answer's body was '{"created":"lamp","token":"REDACTED"}', and is '{"created":"LAMP"}'""",
    ] == told


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


@pytest.mark.parametrize(("provider", "kind", "service"), SERVICES)
def test_what_each_service_hands_over_is_replayed(folder: Path, provider: str, kind: str, service: str) -> None:
    events = EVENTS[kind]
    for those in [[one] for one in events] if kind == "Task" else [events]:
        deliver(FUNCTIONS[kind], those, to=provider, via=service)

    calls = [event for one in recordings(folder) for call in one["calls"] for event in call["events"]]
    assert (len(events), {provider}) == (len(calls), {one["provider"] for one in recordings(folder)})
    # What a Dapr sidecar sends says not by itself for which function it is, and these have no triggers.
    for to in (None,) if service.startswith("dapr") else (None, "aws"):
        found = replay(folder, FUNCTIONS[kind], to)
        assert ([], []) == (found.differences, found.skipped)


@pytest.mark.parametrize(
    ("provider", "via"),
    [("azure", "service_bus_queue"), ("azure", "event_hubs"), ("azure", "kafka"), ("azure", "service_bus_settled")],
)
def test_a_batch_of_azures_is_replayed_as_it_came(folder: Path, provider: str, via: str) -> None:
    @portable
    def all_of_them(batch: Batch[Message[Any]]) -> None:
        batch.retry(batch[1])

    deliver(all_of_them, MESSAGES, to="azure", via=via)
    (one,) = recordings(folder)
    assert ["done", "retry", "done", "done"] == [event["outcome"] for event in one["calls"][0]["events"]]
    for to in (None, "aws", "cloudflare"):
        found = replay(folder, all_of_them, to)
        assert ([], []) == (found.differences, found.skipped)


def test_of_several_functions_on_azure_the_one_is_called_that_was(folder: Path) -> None:
    @portable(on.queue("returns"))
    def take_back(message: Message[Any]) -> None: ...

    @portable(on.schedule("0 3 * * *"))
    def nightly(tick: ScheduleEvent[Any]) -> None: ...

    @portable(on.schedule("0 4 * * *"))
    def later(tick: ScheduleEvent[Any]) -> None: ...

    handlers = [ship, take_back, nightly, later]
    deliver(handlers, [fake.message({"sku": 1}), fake.message({"sku": 2}, channel="returns", id="m2")], to="azure")
    deliver(handlers, fake.schedule(cron="0 4 * * *"), to="azure")

    assert ["ship", "take_back", "later"] == [one["payload"]["function"] for one in recordings(folder)]
    for to in (None, "aws", "gcp"):
        assert ([], []) == (replay(folder, handlers, to).differences, replay(folder, handlers, to).skipped)

    @portable(on.queue("returns"))
    def renamed(message: Message[Any]) -> None: ...

    (told, _) = replay(folder, [ship, renamed, nightly, later]).differences
    assert told.endswith("take_back was done, and is not called")


def test_a_function_of_azures_that_one_calls_oneself_is_recorded(folder: Path) -> None:
    @portable(on.http("GET", "/hello/{name}"))
    def hello(request: Request, ctx: Any) -> Any:
        return {"path": request.raw_path, "host": request.host, "name": request.params["name"]}

    simulate = adapter("azure", "simulate")
    native = simulate.payload(fake.request("GET", "/api/hello/Ada", host="example.org"))
    assert 200 == adapter("azure").entry(hello)(native).status_code
    (one,) = recordings(folder)
    assert ("example.org", "/api/api") == (one["payload"]["host"], one["payload"]["root_path"])
    assert [] == replay(folder, hello).differences


def test_a_worker_records_where_its_binding_says_so(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    @portable(on.http("GET", "/{count}"))
    async def count(request: Request) -> Any:
        for number in range(int(request.params["count"])):
            yield str(number)

    monkeypatch.delenv("PORTABLE_FN_RECORD", raising=False)
    simulate = adapter("cloudflare", "simulate")
    default = adapter("cloudflare", "entry").worker((count,), simulate.WorkerEntrypoint, simulate.JS, simulate.FFI)
    for path in ("/3", "/4"):
        native = simulate.fetch_request(fake.request("GET", path))
        run(simulate.served(default, native, {"PORTABLE_FN_RECORD": "-"}))

    (tmp_path / "printed.log").write_text(capsys.readouterr().out)
    assert ["012", "0123"] == [recorded["answer"]["body"] for recorded in printed(tmp_path / "printed.log")]
    assert [] == replay(tmp_path / "printed.log", count).differences


def test_where_no_file_lasts_a_folder_is_a_warning(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("sys.platform", "emscripten")
    deliver(create, REQUEST, to="cloudflare")
    deliver(create, REQUEST, to="cloudflare")
    assert f"can't record in {folder}: files don't last here; PORTABLE_FN_RECORD=- prints lines instead" in caplog.text
    assert not folder.exists()


class SDKEvent:
    """What functions-framework has converted, where it runs a function as `cloudevent`."""

    def get_attributes(self) -> dict[str, Any]:
        return {"specversion": "1.0", "id": "1", "source": "s", "type": "t"}

    def get_data(self) -> Any:
        return {"sku": 2, "token": "hunter2"}


BACKGROUND = SimpleNamespace(
    event_id="1",
    event_type="google.pubsub.topic.publish",
    timestamp="2026-01-02T03:04:05Z",
    resource={"service": "pubsub.googleapis.com", "name": "projects/p/topics/orders"},
)


@pytest.mark.parametrize(
    "native", [(SDKEvent(),), ({"data": b64encode(b'{"sku":2,"token":"hunter2"}').decode()}, BACKGROUND)]
)
def test_what_functions_framework_has_converted_is_recorded(folder: Path, native: tuple[Any, ...]) -> None:
    fails = True

    @portable
    def handle(event: CloudEvent[Any]) -> None:
        if fails:
            raise ValueError("no")

    target = adapter("gcp").entry(handle)
    with pytest.raises(Retry):
        target(*native)
    fails = False
    assert None is target(*native)

    assert [500, 200] == [one["answer"]["status"] for one in recordings(folder)]
    assert ["error", "done"] == [one["calls"][0]["events"][0]["outcome"] for one in recordings(folder)]
    assert "hunter2" not in "".join(path.read_text() for path in folder.iterdir())
    for to in (None, "aws"):
        (told,) = replay(folder, handle, to).differences
        assert told.endswith("was error ValueError, and is done")


def test_a_function_that_is_called_no_more_is_told(folder: Path) -> None:
    @portable(on.http("POST", "/items"))
    def make(request: Request) -> dict[str, Any]:
        raise HTTPError(409)

    deliver(create, REQUEST)
    told = [difference.partition(": ")[2] for difference in replay(folder, make).differences]
    assert ["create was done, and is not called", "make was not called, and is error HTTPError"] == told[:2]
    assert "the answer's status was 200, and is 409" in told


def test_what_reached_the_provider_as_an_error_is_compared(folder: Path) -> None:
    @portable(on.task("add"))
    def broken(task: Task[Any]) -> int:
        raise KeyError("a")

    deliver(broken, fake.task(1))
    (one,) = recordings(folder)
    assert "KeyError" == one["raised"]["name"]
    assert [] == replay(folder, broken).differences


def test_a_batch_handlers_messages_have_their_own_outcomes(folder: Path) -> None:
    @portable(on.queue("orders"))
    async def ship_all(batch: Batch[Message[Any]]) -> None:
        for message in batch:
            if message.data == 2:
                batch.retry(message)

    deliver(ship_all, fake.batch([1, 2]))
    (one,) = recordings(folder)
    assert ["done", "retry"] == [event["outcome"] for event in one["calls"][0]["events"]]
    for to in (None, "gcp", "azure", "cloudflare"):
        assert ([], []) == (replay(folder, ship_all, to).differences, replay(folder, ship_all, to).skipped)


def test_what_another_provider_cannot_hand_over_is_skipped_with_the_reason(folder: Path) -> None:
    @portable(on.change("users"))
    def index(change: Any) -> None: ...

    deliver(index, fake.change(after={"id": 1}))
    assert [] == replay(folder, index, "gcp").skipped
    (skipped,) = replay(folder, index, "cloudflare").skipped
    assert skipped.endswith("cloudflare delivers no ChangeEvent")


def test_a_request_of_starlette_is_recorded_too(folder: Path) -> None:
    deliver(create, REQUEST, to="gcp", via="http_async")
    (one,) = recordings(folder)
    assert ("gcp", "POST", 200) == (one["provider"], one["payload"]["method"], one["answer"]["status"])
    assert [] == replay(folder, create).differences


def test_a_body_without_a_length_is_recorded_as_it_is_read(folder: Path) -> None:
    from flask import Request as FlaskRequest

    simulate = adapter("gcp", "simulate")
    environ = {**simulate.environ(REQUEST), "wsgi.input": io.BytesIO(REQUEST.body)}
    del environ["CONTENT_LENGTH"]

    assert 200 == adapter("gcp").entry(create)(FlaskRequest(environ)).status_code
    assert "lamp" == json.loads(recordings(folder)[0]["payload"]["body"])["name"]
    assert [] == replay(folder, create).differences


def test_a_stream_is_recorded_as_it_goes_by(folder: Path) -> None:
    @portable
    async def count(request: Request) -> Any:
        yield "one "
        yield "two"

    assert "one two" == deliver(count, fake.request(), to="asgi").text
    assert "one two" == recordings(folder)[0]["answer"]["body"]


def test_a_folder_that_cannot_be_written_costs_an_invocation_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("PORTABLE_FN_RECORD", str(tmp_path / "file"))

    assert "lamp" == deliver(create, REQUEST).json()["created"]
    (warning,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert "an invocation can't be recorded: FileExistsError" == warning.getMessage()


def test_a_payload_that_is_no_json_costs_an_invocation_nothing(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    handler = adapter("aws").entry(add)
    context = adapter("aws", "simulate").LambdaContext()
    assert 2 == handler({"a": 1, "odd": object()}, context)
    assert "an invocation can't be recorded: TypeError" in caplog.text


def test_a_dash_prints_lines(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("PORTABLE_FN_RECORD", "-")
    deliver(add, fake.task({"a": 1}))
    word, _, line = capsys.readouterr().out.partition(" ")
    assert ("PORTABLE_FN_RECORD", 2) == (word, json.loads(line)["answer"])


LINE = '{"provider":"aws","payload":{"a":1},"calls":[{"function":"add","kind":"Task","events":[{"id":"1","outcome":"done"}]}],"answer":2}'


@pytest.mark.parametrize(
    "text",
    [
        f"PORTABLE_FN_RECORD {LINE}\n",
        f"START\n2026-01-02T03:04:05Z [worker] PORTABLE_FN_RECORD {LINE} (log)\r\nEND\n",
        json.dumps({"level": "INFO", "message": [f"PORTABLE_FN_RECORD {LINE}\n"]}) + "\n",
    ],
)
def test_lines_are_replayed_whatever_a_console_put_around_them(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.log").write_text(text)
    (found,) = replay(tmp_path / "a.log", add)
    assert (f"a.log:{text[: text.index('PORTABLE')].count(chr(10)) + 1}", []) == (found.file, found.differences)


def test_a_line_keeps_its_odd_ends_of_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    @portable(on.task("echo"))
    def echo(task: Task[Any]) -> Any:
        return task.data

    monkeypatch.setenv("PORTABLE_FN_RECORD", "-")
    deliver(echo, fake.task("a\u2028b\x85c\nd"))
    (tmp_path / "a.log").write_text(capsys.readouterr().out)
    assert [] == replay(tmp_path / "a.log", echo).differences


def test_one_recording_alone_is_replayed(folder: Path) -> None:
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


# Makes an entry where the variable isn't set; a Worker looks for it when it is called.
MAKING = {
    **dict.fromkeys(RECORDING, "adapter({provider!r}).entry([page, ship])"),
    "cloudflare": (
        "adapter('cloudflare', 'entry').worker([page, ship], object, None, None)"
        ".fetch(types.SimpleNamespace(env=None), None).close()"
    ),
    "aws runtime": (
        "sys.modules['app'] = types.SimpleNamespace(page=page)\n"
        "try:\n"
        "    adapter('aws', 'runtime').serve(types.SimpleNamespace(next=sys.exit), 'app:page', None)\n"
        "except SystemExit: pass\n"
    ),
}


@pytest.mark.parametrize("provider", MAKING)
def test_without_the_variable_nothing_of_it_is_imported(provider: str) -> None:
    code = (
        "import sys, types\n"
        "from portable_fn import *\n"
        "from portable_fn.providers import adapter\n"
        "def page(request): pass\n"
        "page = portable(on.http('GET', '/'))(page)\n"
        "def ship(message): pass\n"
        "ship = portable(on.queue('orders'))(ship)\n"
        f"{MAKING[provider].format(provider=provider)}\n"
        "print([name for name in sys.modules if name.startswith('portable_fn.testing') or name.endswith('.recorded')])\n"
    )
    environment = {name: value for name, value in os.environ.items() if name != "PORTABLE_FN_RECORD"}
    environment["PYTHONPATH"] = os.pathsep.join(str(Path(__file__).parents[2] / part) for part in ("src", "adapters"))
    result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert "[]\n" == result.stdout


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
def test_what_cannot_be_replayed_is_skipped_with_the_reason(tmp_path: Path, text: str, why: str) -> None:
    (tmp_path / "a.json").write_text(text)
    (tmp_path / "b.json").write_text(LINE)
    (tmp_path / "c.json").mkdir()
    (tmp_path / "d.json").symlink_to(tmp_path / "nothing")

    found = replay(tmp_path, [add, message])
    assert ["a.json", "b.json", "c.json", "d.json"] == [one.file for one in found]
    assert ([], "") == (found[1].differences, found[1].skipped)
    assert ["not a recording: Is a directory", "not a recording: No such file or directory"] == [
        one.skipped for one in found[2:]
    ]
    assert (True, why) == (bool(found[0].skipped), found[0].skipped[: len(why)])


@pytest.mark.parametrize("name", ["a.json", "a.log"])
def test_a_recording_has_no_module_imported(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "from_data.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    text = LINE.replace('"aws"', '"from_data"')
    (tmp_path / name).write_text(text if name == "a.json" else f"PORTABLE_FN_RECORD {text}\n")

    with pytest.raises(ValueError, match="its provider is 'from_data', not one of aws, gcp, azure, cloudflare, asgi"):
        replay(tmp_path / name, add)
    assert "from_data" not in sys.modules


@pytest.mark.parametrize("named", ["to", "variable", "imported"])
def test_a_recording_of_a_third_partys_adapter_is_replayed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str
) -> None:
    for part in ("__init__", "simulate", "simulate_json"):
        (tmp_path / "theirs").mkdir(exist_ok=True)
        whole = "portable_fn_aws" if part == "__init__" else f"portable_fn_aws.{part}"
        (tmp_path / "theirs" / f"{part}.py").write_text(f"from {whole} import *\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "theirs", raising=False)
    for part in ("simulate", "simulate_json"):
        monkeypatch.delitem(sys.modules, f"theirs.{part}", raising=False)
    if named == "variable":
        monkeypatch.setenv("PORTABLE_FN_PROVIDER", "theirs")
    if named == "imported":
        adapter("theirs", "simulate")
    (tmp_path / "a.json").write_text(LINE.replace('"aws"', '"theirs"'))

    (found,) = replay(tmp_path / "a.json", add, "theirs" if named == "to" else None)
    assert ("theirs", "theirs", "") == (found.of, found.to, found.skipped)


# What is recorded, and where


def test_lines_of_several_threads_stay_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    pieces: list[str] = []

    class Console(io.StringIO):
        def write(self, text: str) -> int:
            pieces.append(text)
            return len(text)

    monkeypatch.setenv("PORTABLE_FN_RECORD", "-")
    monkeypatch.setattr("sys.stdout", Console())
    deliver(add, fake.task({"a": 1}))
    deliver(add, fake.task({"a": 2}))
    assert [("PORTABLE_FN_RECORD {", "}\n")] * 2 == [(piece[:20], piece[-2:]) for piece in pieces]


def test_several_recordings_in_a_line_are_all_replayed(tmp_path: Path) -> None:
    one = f"PORTABLE_FN_RECORD {LINE}"
    (tmp_path / "a.log").write_text(f"{one}{one}PORTABLE_FN_RECORD {LINE[:50]}{one} PORTABLE_FN_RECORD is set\n")
    found = replay(tmp_path / "a.log", add)
    assert ([], [1]) == (found.differences, [index for index, one in enumerate(found[1:3]) if one.skipped])
    assert 4 == len(found)


@pytest.mark.parametrize("change", ["unset", "moved"])
def test_where_an_entry_records_is_settled_when_it_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], change: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PORTABLE_FN_RECORD", "recorded")
    handler = adapter("aws").entry(add)
    if change == "unset":
        monkeypatch.delenv("PORTABLE_FN_RECORD")
    else:
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir(tmp_path / "elsewhere")
    assert 2 == handler({"a": 1}, adapter("aws", "simulate").LambdaContext())

    assert [2] == [one["answer"] for one in recordings(tmp_path / "recorded")]
    assert "" == capsys.readouterr().out


def test_a_replay_leaves_the_environment_alone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str | None] = []

    @portable(on.task("look"))
    def look(task: Task[Any]) -> None:
        seen.append(os.environ.get("PORTABLE_FN_RECORD"))

    deliver(look, fake.task())
    monkeypatch.delenv("PORTABLE_FN_RECORD")
    assert [] == replay(folder, look).differences
    assert [str(folder), None] == seen


@pytest.mark.parametrize("provider", RECORDING)
def test_the_payload_is_recorded_as_it_came(folder: Path, provider: str) -> None:
    @portable(on.task("empty"))
    def empty(task: Task[Any]) -> None:
        task.input["l"].clear()

    @portable(on.http("POST", "/"))
    def overwrite(request: Request) -> str:
        request.raw_body = b""
        return ""

    assert ["acknowledged"] == deliver(empty, fake.task({"l": [1, 2, 3]}), to=provider).outcomes
    assert 200 == deliver(overwrite, fake.request("POST", "/", body=b"[1,2,3]"), to=provider).status
    for one in recordings(folder):
        assert "[1,2,3]" in json.dumps(one["payload"]).replace(" ", "")


def test_a_handler_that_is_called_by_name_is_recorded(folder: Path) -> None:
    handler: Any = adapter("aws").entry(add)
    assert 2 == handler(payload={"a": 1}, native=adapter("aws", "simulate").LambdaContext())
    assert [{"a": 1}] == [one["payload"] for one in recordings(folder)]


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no")


@pytest.mark.parametrize("provider", ["aws", "azure", "cloudflare"])
def test_half_a_pair_of_surrogates_is_recorded(folder: Path, provider: str, monkeypatch: pytest.MonkeyPatch) -> None:
    @portable(on.task("half"))
    def half(task: Task[Any]) -> str:
        return "\ud800"

    deliver(half, fake.task(), to=provider)
    assert [".json"] == [path.suffix for path in folder.iterdir()]
    assert [] == replay(folder, half).differences

    # A console that knows but ASCII.
    octets = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(octets, encoding="ascii"))
    monkeypatch.setenv("PORTABLE_FN_RECORD", "-")
    deliver(half, fake.task("é😀"), to=provider)
    assert octets.getvalue().isascii()
    (folder / "a.log").write_bytes(octets.getvalue())
    assert [] == replay(folder / "a.log", half).differences


def test_an_error_without_words_is_recorded(folder: Path) -> None:
    @portable(on.task("fail"))
    def fail(task: Task[Any]) -> None:
        raise Unspeakable

    with pytest.raises(Unspeakable):
        adapter("aws").entry(fail)({}, adapter("aws", "simulate").LambdaContext())
    (one,) = recordings(folder)
    assert {"name": "Unspeakable", "message": ""} == one["raised"]


def test_of_a_file_that_cannot_be_written_nothing_is_left(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    deliver(add, fake.task({"a": 1}))
    assert [] == list(folder.iterdir())
    assert "an invocation can't be recorded: OSError" in caplog.text


def test_a_body_is_kept_whole_or_not_at_all() -> None:
    body = BodyBuffer()
    for _ in range(1024):
        body.add(b"1234567890abcdef" * 64)
    assert (1024 * 1024, False) == (len(body.body), body.is_cut)
    body.add(b"1")
    body.add(b"2")
    assert (b"", True) == (body.body, body.is_cut)


@portable(on.http("POST", "/"))
def length(request: Request) -> str:
    return str(len(request.body))


@portable(on.http("GET", "/big"))
async def big(request: Request) -> Any:
    for _ in range(11):
        yield "x" * 1024 * 1024


@pytest.mark.parametrize("provider", ["gcp", "cloudflare", "asgi"])
@pytest.mark.parametrize("size", [3, 11 * 1024 * 1024])
def test_a_request_whose_body_is_not_kept_is_skipped(folder: Path, provider: str, size: int) -> None:
    answer = deliver([length, big], fake.request("POST", "/", body=b"x" * size), to=provider)
    (one,) = recordings(folder)
    (found,) = replay(folder, [length, big])
    if size == 3:
        assert (200, None, "") == (answer.status, one.get("cut"), found.skipped)
    else:
        assert (413, ["payload"]) == (answer.status, one["cut"])
        assert ([], "its body was too long to record, or was cut off") == (found.differences, found.skipped)


def test_a_request_that_breaks_off_is_skipped(folder: Path) -> None:
    from flask import Request as FlaskRequest

    environ = {**adapter("gcp", "simulate").environ(REQUEST), "wsgi.input": io.BytesIO(REQUEST.body[:-1])}
    assert 400 == adapter("gcp").entry(create)(FlaskRequest(environ)).status_code

    messages = [{"type": "http.request", "body": REQUEST.body[:-1], "more_body": True}, {"type": "http.disconnect"}]

    async def receive() -> Any:
        return messages.pop(0)

    async def send(message: Any) -> None: ...

    scope = {"type": "http", "asgi": {}, "method": "POST", "path": "/items", "query_string": b"", "http_version": "1.1"}
    run(adapter("asgi").entry(create)({**scope, "headers": [(b"content-length", b"99")]}, receive, send))

    assert ["gcp", "asgi"] == [one["provider"] for one in recordings(folder)]
    assert ["its body was too long to record, or was cut off"] * 2 == [one.skipped for one in replay(folder, create)]


@pytest.mark.parametrize("provider", RECORDING)
def test_a_refusal_is_replayed_whose_body_nobody_has_read(folder: Path, provider: str) -> None:
    assert 404 == deliver(create, fake.request("POST", "/nowhere", body=b"1"), to=provider).status
    assert ([], []) == (replay(folder, create).differences, replay(folder, create).skipped)


@pytest.mark.parametrize(("provider", "via"), [("gcp", "http_async"), ("cloudflare", None), ("asgi", None)])
def test_of_an_answer_that_is_not_kept_the_rest_is_compared(folder: Path, provider: str, via: str | None) -> None:
    @portable(on.http("GET", "/big"))
    def small(request: Request) -> Any:
        raise HTTPError(409)

    deliver([length, big], fake.request("GET", "/big"), to=provider, via=via)
    (one,) = recordings(folder)
    assert (["answer"], None) == (one["cut"], one["answer"].get("body"))
    assert ([], []) == (replay(folder, big).differences, replay(folder, big).skipped)
    # Lambda takes no answer of that size.
    assert [] == replay(folder, big, "azure").differences
    told = replay(folder, small).differences
    assert "the answer's status was 200, and is 409" in [one.partition(": ")[2] for one in told]


# Cloudflare's sync functions run in the event loop, where none can call `deliver`.
@pytest.mark.parametrize("provider", [provider for provider in RECORDING if provider != "cloudflare"])
def test_what_a_function_delivers_itself_is_of_its_invocation(folder: Path, provider: str) -> None:
    @portable(on.task("echo"))
    def echo(task: Task[Any]) -> Any:
        return task.data

    @portable(on.http("GET", "/"))
    def outer(request: Request) -> Any:
        return deliver(echo, fake.task(1)).result

    assert 1 == deliver(outer, fake.request(), to=provider).json()
    assert ["outer"] == [call["function"] for one in recordings(folder) for call in one["calls"]]
    for to in (None, "aws"):
        assert [] == replay(folder, outer, to).differences


@portable(on.http("POST", "/greet"))
def greet(request: Request[Any]) -> dict[str, object]:
    return {"hello": request.cookies["customer"], "again": f"<{request.json()['token']}>", "sku": request.json()["sku"]}


@pytest.mark.parametrize("provider", RECORDING)
def test_a_secret_that_is_said_again_is_not_in_the_answer_either_and_replays_alike(folder: Path, provider: str) -> None:
    request = fake.request("POST", "/greet", cookies={"customer": "ada"}, json={"token": "t0ken-x", "sku": "A1"})
    deliver(greet, request, to=provider)

    (text,) = (path.read_text() for path in folder.iterdir())
    assert "ada" not in text and "t0ken-x" not in text and "A1" in text
    assert [] == replay(folder, greet).differences
