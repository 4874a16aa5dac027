"""The commands `portable-fn render`, `parse` and `replay`."""

from __future__ import annotations

import io
import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from portable_fn import Message, Retry, on, portable
from portable_fn.cli import main
from portable_fn.providers import ADAPTERS
from portable_fn.testing import deliver, fake, render

APP = """
from portable_fn import Message, Request, Retry, on, portable

print("imported")

@portable(on.queue("orders"))
def ship(message: Message) -> None:
    if message.data["sku"] == 2:
        raise Retry("later")

@portable(on.http("GET", "/"))
def home(request: Request) -> str:
    return "home"
"""


# Its time is read on first use.
BAD_SQS = render(fake.message(1))
BAD_SQS["Records"][0]["eventSourceARN"] = 7


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs `portable-fn` in a folder with an app.py and gives exit code, stdout and stderr."""
    (tmp_path / "app.py").write_text(APP)
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, stdin: str = "") -> tuple[int, str, str]:
        monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
        capsys.readouterr()
        code = main(arguments)
        out, err = capsys.readouterr()
        return code, out, err

    return run


@pytest.mark.parametrize(
    ("options", "event", "to", "via"),
    [
        (("message", "--data", '{"sku": 1}', "--to", "aws", "--via", "sqs"), fake.message({"sku": 1}), "aws", "sqs"),
        (("message", "-d", "1", "-d", "2", "-f", "key=a"), fake.batch([1, 2], key="a"), "aws", None),
        (("message", "--body", "plain", "-f", "attempt=3"), fake.message(body="plain", attempt=3), "aws", None),
        (("object", "-f", "key=a b.png", "--via", "s3/sns/sqs"), fake.object(key="a b.png"), "aws", "s3/sns/sqs"),
        (("ObjectEvent", "-f", "size=3", "--to", "gcp"), fake.object(size=3), "gcp", None),
        (("change", "-d", '{"id": 1}', "--to", "azure"), fake.change(after={"id": 1}), "azure", None),
        (("change", "-f", 'before={"id": 1}'), fake.change(before={"id": 1}), "aws", None),
        (("schedule", "-f", "at=2026-01-02T03:04:05Z", "--to", "cloudflare"), fake.schedule(), "cloudflare", None),
        (("cloud-event", "-f", "type=a", "--to", "asgi"), fake.cloud_event("a"), "asgi", None),
        (("task", "-d", "[1]"), fake.task([1]), "aws", None),
        (("request", "--path", "/a?b=c", "-H", "x: y"), fake.request("GET", "/a?b=c", headers={"x": "y"}), "aws", None),
        (("request", "--json", "[1]", "--to", "gcp"), fake.request("POST", json=[1]), "gcp", None),
        (("request", "-X", "PUT", "-d", "a"), fake.request("PUT", body="a"), "aws", None),
    ],
)
def test_render_prints_the_payload_and_nothing_else(
    run: Any, options: tuple[str, ...], event: Any, to: str, via: str | None
) -> None:
    code, out, err = run("render", *options)

    assert (0, "") == (code, err)
    assert render(event, to=to, via=via) == json.loads(out)


def test_render_reads_files(run: Any) -> None:
    Path("data.json").write_text('{"sku": 1}')
    Path("body.txt").write_text("text")

    assert run("render", "message", "--data", '{"sku": 1}') == run("render", "message", "--data", "@data.json")
    assert run("render", "message", "--body", "text") == run("render", "message", "--body", "@body.txt")


def test_parse_shows_the_events(run: Any) -> None:
    Path("payload.json").write_text(json.dumps(render(fake.object(key="a b.png"), via="s3/sns/sqs")))
    code, out, err = run("parse", "payload.json")

    assert (0, "") == (code, err)
    first, _, kind, *lines = out.splitlines()
    assert ("aws: 1 event", "ObjectEvent") == (first, kind)
    assert "  key          a b.png" in lines
    assert ["  came in      Message ", "  came in      Message "] == [line[:23] for line in lines if "came in" in line]


@pytest.mark.parametrize("provider", list(ADAPTERS))
def test_parse_reads_stdin_and_guesses_the_provider(run: Any, provider: str) -> None:
    payload = json.dumps(render(fake.message({"sku": 1}, attributes={"a": "b"}), to=provider))
    code, out, _ = run("parse", "-", "--output", "json", stdin=payload)

    document = json.loads(out)
    (event,) = document["events"]
    assert (0, provider) == (code, document["provider"])
    assert ("Message", {"sku": 1}, "message-1") == (event["kind"], event["data"], event["id"])


def test_parse_shows_requests_bytes_and_several_events(run: Any) -> None:
    request = render(fake.request("POST", "/a?b=c", body=b"\xff"), to="aws")
    code, out, _ = run("parse", "-", stdin=json.dumps(request))
    assert 0 == code
    for text in ("Request", "  method       POST", "  path         /a", "  raw_query    b=c", "  body_base64  /w=="):
        assert text in out

    code, out, _ = run("parse", "-", stdin=json.dumps(render(fake.batch([1, 2]))))
    assert (0, "aws: 2 events") == (code, out.splitlines()[0])
    change = render(fake.change(after={"id": 1, "tags": {"a"}, "raw": b"\xff"}))
    code, out, _ = run("parse", "-", "--output", "json", stdin=json.dumps(change))
    after = json.loads(out)["events"][0]["after"]
    assert (["a"], {"body_base64": "/w=="}) == (after["tags"], after["raw"])


def test_parse_takes_the_provider_and_the_service(run: Any) -> None:
    code, out, _ = run("parse", "-", "--provider", "aws", "--via", "scheduler/input", stdin='{"a": 1}')
    assert 0 == code
    assert "ScheduleEvent" in out


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "stdin", "code", "message"),
    [
        (("render", "pigeon"), "", 2, "no kind 'pigeon'; possible are request, message, "),
        (("render", "message", "--to", "ibm"), "", 2, "no provider 'ibm'"),
        (("render", "message", "--via", "pigeon"), "", 2, "aws delivers no Message by 'pigeon'"),
        (("render", "message", "--data", "{"), "", 2, "--data is not JSON: "),
        (("render", "message", "--data", "@none"), "", 2, "none: No such file or directory"),
        (("render", "message", "--data", "1", "--body", "2"), "", 2, "message takes no --body beside --data"),
        (("render", "task", "--body", "2"), "", 2, "task takes no --body"),
        (("render", "task", "--data", "1", "--data", "2"), "", 2, "task has one --data; several messages are a batch"),
        (("render", "object", "--data", "1"), "", 2, "object has no data: its fields are bucket, key, "),
        (("render", "message", "-f", "colour"), "", 2, "'colour' must be field=value; message has "),
        (("render", "message", "-f", "colour=red"), "", 2, "message has no 'colour'; possible are data, body, "),
        (("render", "message", "-f", "time=now"), "", 2, "--field: "),
        (("render", "message", "-f", "attempt=x"), "", 2, "--field is not JSON: "),
        (("render", "object", "-f", "action=burnt"), "", 2, "burnt"),
        (("render", "message", "--path", "/a"), "", 2, "--path is for requests"),
        (("render", "request", "-f", "a=b"), "", 2, "a request takes --method, "),
        (("render", "request", "-d", "1", "-d", "2"), "", 2, "a request has one --data"),
        (("render", "change", "--to", "cloudflare"), "", 2, "cloudflare delivers no ChangeEvent"),
        (("parse", "none.json"), "", 2, "none.json: No such file or directory"),
        (
            ("render", "message", "-f", "attributes=x"),
            "",
            2,
            "attributes of message must be Mapping[str, str | bytes | None] | None",
        ),
        (("render", "change", "-f", "before=1"), "", 2, "before of change must be Mapping[str, Any] | None, not '1'"),
        (("render", "change", "-d", "1"), "", 2, "after of change must be Mapping[str, Any] | None, not 1"),
        (
            ("render", "cloud_event", "-f", "extensions=1"),
            "",
            2,
            "extensions of cloud_event must be Mapping[str, str] | None",
        ),
        (("render", "message", "-d", "NaN"), "", 2, "--data is not JSON: NaN is not JSON"),
        (("render", "request", "--json", "[" * 201), "", 2, "--json is not JSON: nested more than 200 levels deep"),
        (("parse", "-", "--provider", "aws"), "NaN", 2, "stdin is not JSON: NaN is not JSON"),
        (("parse", "-", "--provider", "aws"), '{"a":' * 500 + "1" + "}" * 500, 2, "nested more than 200 levels deep"),
        (("parse", "-", "--provider", "aws", "--via", "pigeon"), "1", 2, "aws has no 'pigeon'; possible are "),
        (("parse", "-"), '{"method": "GET", "url": "http://[::1"}', 1, "asgi: the request can't be read: ValueError"),
        (("parse", "-"), json.dumps(BAD_SQS), 1, "aws: "),
        (("parse", "-"), "{", 2, "stdin is not JSON: "),
        (("parse", "-"), '{"a": 1}', 2, "name the provider with --provider; possible are aws, "),
        (("parse", "-", "--provider", "ibm"), "1", 2, "no provider 'ibm'"),
        (("parse", "-"), '{"Records": [{"eventSource": "aws:sqs"}]}', 1, "aws: "),
        (("replay", "none", "app.py"), "", 2, "no recordings (*.json) in none"),
        (("replay", "none", "app.py", "--to", "ibm"), "", 2, "no provider 'ibm'"),
        (("replay", "none", "none.py"), "", 2, "no such file: none.py"),
    ],
)
def test_an_impossible_command_is_one_line(
    run: Any, arguments: tuple[str, ...], stdin: str, code: int, message: str
) -> None:
    found, out, err = run(*arguments, stdin=stdin)

    assert (code, "") == (found, out)
    (line,) = [line for line in err.splitlines() if line != "imported"]
    assert line.startswith("portable-fn: ")
    assert message in line


def test_parse_reads_files_with_a_byte_order_mark(run: Any) -> None:
    Path("payload.json").write_text(json.dumps(render(fake.message(1))), encoding="utf-8-sig")
    assert (0, "") == run("parse", "payload.json")[::2]


def test_closed_streams_give_no_traceback(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    command = [sys.executable, "-m", "portable_fn"]
    shell = f"{shlex.join(command)} render message >&- && {shlex.join(command)} parse - <&-"
    found = subprocess.run(["sh", "-c", shell], capture_output=True, text=True, check=False)
    assert (2, "", "portable-fn: stdin is closed\n") == (found.returncode, found.stdout, found.stderr)


@pytest.fixture
def recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Recordings of two messages, of which the second is retried."""

    @portable(on.queue("orders"))
    def ship(message: Message[Any]) -> None:
        if message.data["sku"] == 2:
            raise Retry("later")

    monkeypatch.setenv("PORTABLE_FN_RECORD", str(tmp_path / "recorded"))
    deliver(ship, fake.batch([{"sku": 1}, {"sku": 2}]), to="aws")
    monkeypatch.delenv("PORTABLE_FN_RECORD")
    return tmp_path / "recorded"


@pytest.mark.parametrize("options", [(), ("--to", "gcp")])
def test_replay_of_the_same_code_finds_no_differences(run: Any, recorded: Path, options: tuple[str, ...]) -> None:
    code, out, err = run("replay", "recorded", "app.py", *options)
    assert (0, "1 replayed: 1 the same, 0 not.\n", "imported\n") == (code, out, err)


def test_replay_shows_differences_by_line_and_exit_code(run: Any, recorded: Path) -> None:
    Path("app.py").write_text(APP.replace("== 2", "== 1"))
    code, out, _ = run("replay", "recorded", "app.py:ship")

    assert 1 == code
    first, second, *_, last = out.splitlines()
    assert first.endswith(".json: ship message-1 was done, and is retry")
    assert second.endswith(".json: ship message-2 was retry, and is done")
    assert "1 replayed: 0 the same, 1 not." == last
    code, out, _ = run("replay", "recorded", "app.py:ship", "--output", "json")
    (one,) = json.loads(out)["replayed"]
    assert (1, "aws", "aws", 2, "") == (code, one["of"], one["to"], len(one["differences"]), one["skipped"])


def test_replay_says_what_it_skips(run: Any, recorded: Path) -> None:
    code, out, _ = run("replay", "recorded", "app.py:home", "--to", "gcp")
    assert 0 == code
    assert "(skipped)" in out
    assert out.endswith("1 replayed: 0 the same, 0 not, 1 skipped.\n")


@pytest.mark.parametrize("command", ["render", "parse", "replay"])
def test_the_help_has_examples_and_every_exit_code(run: Any, command: str) -> None:
    code, out, _ = run(command, "--help")
    assert 0 == code
    assert "Examples" in out
    codes = [line.split()[0] for line in out.splitlines() if line.strip()[:1].isdigit()]
    assert {"render": ["0", "2"], "parse": ["0", "1", "2"], "replay": ["0", "1", "2", "3"]}[command] == codes
