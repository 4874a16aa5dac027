"""Record invocations without their secrets."""

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
    CloudEvent,
    Request,
    Retry,
    Task,
    on,
    portable,
)  # fmt: skip
from portable_fn.providers import adapter
from portable_fn.recording.recording import BodyBuffer
from portable_fn.testing import deliver, fake, replay
from portable_fn.testing.loop import run
from tests.recording.samples import (
    RECORDING,
    REQUEST,
    add,
    create,
    printed,
    record,
    recordings,
)


@pytest.mark.parametrize("provider", RECORDING)
def test_each_invocation_is_a_file_with_payload_calls_and_answer(folder: Path, provider: str) -> None:
    record(provider)

    recorded = recordings(folder)
    assert {provider} == {recording["provider"] for recording in recorded}
    calls = [
        (call["function"], event["id"], event["outcome"], event.get("after"), event.get("error"))
        for recording in recorded
        for call in recording["calls"]
        for event in call["events"]
    ]
    assert [
        ("ship", "message-1", "done", None, None),
        ("ship", "message-2", "retry", 5, None),
        ("ship", "message-3", "error", None, "ValueError"),
        ("ship", "message-4", "reject", None, None),
    ] == calls[:4]
    assert ["create", "add"] == [name for name, *_ in calls[4:]]
    assert all(recording["seconds"] > 0 for recording in recorded)


@pytest.mark.parametrize("provider", RECORDING)
def test_a_file_has_no_secrets_and_only_its_user_can_read_it(folder: Path, provider: str) -> None:
    record(provider)

    for path in folder.iterdir():
        assert 0o600 == stat.S_IMODE(path.stat().st_mode)
        text = path.read_text()
        assert "hunter2" not in text
        for encoded in (b64encode(b'{"sku":1,"password":"hunter2"}').decode(), b64encode(b"hunter2").decode()):
            assert encoded not in text
    assert '"x-tenant": "7"' in "".join(path.read_text() for path in folder.iterdir())


def test_a_direct_call_of_an_azure_entry_is_recorded(folder: Path) -> None:
    @portable(on.http("GET", "/hello/{name}"))
    def hello(request: Request, ctx: Any) -> Any:
        return {"path": request.raw_path, "host": request.host, "name": request.params["name"]}

    simulate = adapter("azure", "simulate")
    native = simulate.payload(fake.request("GET", "/api/hello/Ada", host="example.org"))
    assert 200 == adapter("azure").entry(hello)(native).status_code
    (recording,) = recordings(folder)
    assert ("example.org", "/api/api") == (recording["payload"]["host"], recording["payload"]["root_path"])
    assert [] == replay(folder, hello).differences


def test_a_worker_records_if_its_binding_says_so(
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


def test_a_folder_is_a_warning_if_files_do_not_last(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("sys.platform", "emscripten")
    deliver(create, REQUEST, to="cloudflare")
    deliver(create, REQUEST, to="cloudflare")
    assert f"can't record in {folder}: files don't last here; PORTABLE_FN_RECORD=- prints lines instead" in caplog.text
    assert not folder.exists()


class SDKEvent:
    """An event as functions-framework passes it with the signature type cloudevent."""

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
def test_events_decoded_by_functions_framework_are_recorded(folder: Path, native: tuple[Any, ...]) -> None:
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

    assert [500, 200] == [recording["answer"]["status"] for recording in recordings(folder)]
    assert ["error", "done"] == [recording["calls"][0]["events"][0]["outcome"] for recording in recordings(folder)]
    assert "hunter2" not in "".join(path.read_text() for path in folder.iterdir())
    for to in (None, "aws"):
        (difference,) = replay(folder, handle, to).differences
        assert difference.endswith("was error ValueError, and is done")


def test_a_starlette_request_is_recorded(folder: Path) -> None:
    deliver(create, REQUEST, to="gcp", via="http_async")
    (recording,) = recordings(folder)
    assert ("gcp", "POST", 200) == (
        recording["provider"],
        recording["payload"]["method"],
        recording["answer"]["status"],
    )
    assert [] == replay(folder, create).differences


def test_a_body_without_a_length_is_recorded_as_it_is_read(folder: Path) -> None:
    from flask import Request as FlaskRequest

    simulate = adapter("gcp", "simulate")
    environ = {**simulate.environ(REQUEST), "wsgi.input": io.BytesIO(REQUEST.body)}
    del environ["CONTENT_LENGTH"]

    assert 200 == adapter("gcp").entry(create)(FlaskRequest(environ)).status_code
    assert "lamp" == json.loads(recordings(folder)[0]["payload"]["body"])["name"]
    assert [] == replay(folder, create).differences


def test_a_stream_is_recorded_while_it_is_sent(folder: Path) -> None:
    @portable
    async def count(request: Request) -> Any:
        yield "one "
        yield "two"

    assert "one two" == deliver(count, fake.request(), to="asgi").text
    assert "one two" == recordings(folder)[0]["answer"]["body"]


def test_an_invocation_succeeds_even_if_its_folder_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("PORTABLE_FN_RECORD", str(tmp_path / "file"))

    assert "lamp" == deliver(create, REQUEST).json()["created"]
    (warning,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert "an invocation can't be recorded: FileExistsError" == warning.getMessage()


def test_an_invocation_succeeds_even_if_its_payload_is_not_json(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    handler = adapter("aws").entry(add)
    context = adapter("aws", "simulate").LambdaContext()
    assert 2 == handler({"a": 1, "odd": object()}, context)
    assert "an invocation can't be recorded: TypeError" in caplog.text


def test_a_dash_prints_lines(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("PORTABLE_FN_RECORD", "-")
    deliver(add, fake.task({"a": 1}))
    word, _, line = capsys.readouterr().out.partition(" ")
    assert ("PORTABLE_FN_RECORD", 2) == (word, json.loads(line)["answer"])


# Code that builds an entry without the variable; a Worker reads it when it is called.
BUILDS = {
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


@pytest.mark.parametrize("provider", BUILDS)
def test_an_entry_imports_neither_recorder_nor_testing_without_the_variable(provider: str) -> None:
    code = (
        "import sys, types\n"
        "from portable_fn import *\n"
        "from portable_fn.providers import adapter\n"
        "def page(request): pass\n"
        "page = portable(on.http('GET', '/'))(page)\n"
        "def ship(message): pass\n"
        "ship = portable(on.queue('orders'))(ship)\n"
        f"{BUILDS[provider].format(provider=provider)}\n"
        "ours = ('portable_fn.testing', 'portable_fn.recording.')\n"
        "print([name for name in sys.modules if name.startswith(ours) or name.endswith('.recorded')])\n"
    )
    environment = {name: value for name, value in os.environ.items() if name != "PORTABLE_FN_RECORD"}
    environment["PYTHONPATH"] = os.pathsep.join(str(Path(__file__).parents[2] / part) for part in ("src", "adapters"))
    result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert "[]\n" == result.stdout


def test_each_line_is_written_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
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


@pytest.mark.parametrize("change", ["unset", "moved"])
def test_an_entry_reads_the_variable_when_it_is_built(
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

    assert [2] == [recording["answer"] for recording in recordings(tmp_path / "recorded")]
    assert "" == capsys.readouterr().out


@pytest.mark.parametrize("provider", RECORDING)
def test_the_payload_is_recorded_before_a_handler_changes_it(folder: Path, provider: str) -> None:
    @portable(on.task("empty"))
    def empty(task: Task[Any]) -> None:
        task.input["l"].clear()

    @portable(on.http("POST", "/"))
    def overwrite(request: Request) -> str:
        request.raw_body = b""
        return ""

    assert ["acknowledged"] == deliver(empty, fake.task({"l": [1, 2, 3]}), to=provider).outcomes
    assert 200 == deliver(overwrite, fake.request("POST", "/", body=b"[1,2,3]"), to=provider).status
    for recording in recordings(folder):
        assert "[1,2,3]" in json.dumps(recording["payload"]).replace(" ", "")


def test_a_call_with_keyword_arguments_is_recorded(folder: Path) -> None:
    handler: Any = adapter("aws").entry(add)
    assert 2 == handler(payload={"a": 1}, native=adapter("aws", "simulate").LambdaContext())
    assert [{"a": 1}] == [recording["payload"] for recording in recordings(folder)]


class RaisingStr(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no")


@pytest.mark.parametrize("provider", ["aws", "azure", "cloudflare"])
def test_a_lone_surrogate_is_recorded(folder: Path, provider: str, monkeypatch: pytest.MonkeyPatch) -> None:
    @portable(on.task("half"))
    def half(task: Task[Any]) -> str:
        return "\ud800"

    deliver(half, fake.task(), to=provider)
    assert [".json"] == [path.suffix for path in folder.iterdir()]
    assert [] == replay(folder, half).differences

    # A console with only ASCII.
    octets = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(octets, encoding="ascii"))
    monkeypatch.setenv("PORTABLE_FN_RECORD", "-")
    deliver(half, fake.task("é😀"), to=provider)
    assert octets.getvalue().isascii()
    (folder / "a.log").write_bytes(octets.getvalue())
    assert [] == replay(folder / "a.log", half).differences


def test_an_error_whose_str_raises_is_recorded(folder: Path) -> None:
    @portable(on.task("fail"))
    def fail(task: Task[Any]) -> None:
        raise RaisingStr

    with pytest.raises(RaisingStr):
        adapter("aws").entry(fail)({}, adapter("aws", "simulate").LambdaContext())
    (recording,) = recordings(folder)
    assert {"name": "RaisingStr", "message": ""} == recording["raised"]


def test_a_failed_write_leaves_no_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    deliver(add, fake.task({"a": 1}))
    assert [] == list(folder.iterdir())
    assert "an invocation can't be recorded: OSError" in caplog.text


def test_a_body_is_kept_as_a_whole_or_dropped() -> None:
    body = BodyBuffer()
    for _ in range(1024):
        body.add(b"1234567890abcdef" * 64)
    assert (1024 * 1024, False) == (len(body.body), body.is_cut)
    body.add(b"1")
    body.add(b"2")
    assert (b"", True) == (body.body, body.is_cut)


# Cloudflare's sync functions run in the event loop; they can't call `deliver` there.
@pytest.mark.parametrize("provider", [provider for provider in RECORDING if provider != "cloudflare"])
def test_a_delivery_inside_a_function_belongs_to_its_invocation(folder: Path, provider: str) -> None:
    @portable(on.task("echo"))
    def echo(task: Task[Any]) -> Any:
        return task.data

    @portable(on.http("GET", "/"))
    def outer(request: Request) -> Any:
        return deliver(echo, fake.task(1)).result

    assert 1 == deliver(outer, fake.request(), to=provider).json()
    assert ["outer"] == [call["function"] for recording in recordings(folder) for call in recording["calls"]]
    for to in (None, "aws"):
        assert [] == replay(folder, outer, to).differences
