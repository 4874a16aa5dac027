"""The command `portable-fn`: exit codes, one-line errors, the table and the JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from portable_fn.cli import main
from portable_fn.providers import ADAPTERS

APP = """
from portable_fn import HTTPError, Request, Response, on, portable

print("imported")
calls = []

@portable(on.http("GET", "/hello/{name}"))
def hello(request: Request) -> dict:
    print("called")
    return {"hello": request.params["name"]}

@portable(on.http("GET", "/async/{user_id}"))
async def later(request: Request) -> dict:
    return dict(request.params)

@portable(on.http("POST", "/mirror"))
def mirror(request: Request) -> Response:
    calls.append(request)
    return Response(201, {"content-type": request.content_type or "none", "x-calls": str(len(calls))}, (), request.body)

@portable(on.http("GET", "/teapot"))
def teapot(request: Request) -> None:
    raise HTTPError(418, "Short and stout.")

@portable(on.http("GET", "/broken"))
def broken(request: Request) -> dict:
    return {"value": {}["missing"]}

def plain(request):
    return None
"""


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module with functions in the working directory."""
    (tmp_path / "cli_app.py").write_text(APP)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COLUMNS", raising=False)
    return "cli_app.py"


@pytest.fixture
def invoke(app: str, capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs `portable-fn invoke` on a function of the module and gives exit code, stdout and stderr."""

    def run(function: str, *options: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main(["invoke", f"{app}:{function}" if function else app, *options])
        out, err = capsys.readouterr()
        return code, out, err

    return run


def exchanges(out: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(out)["exchanges"]
    return found


def test_the_table_shows_what_each_side_saw(invoke: Any) -> None:
    code, out, _ = invoke(
        "hello", "--as", "aws,aws/alb", "--path", "/hello/Grace?loud=1", "-H", "X-Tenant: 7", "--time", "3"
    )

    assert 0 == code
    for text in (
        "GET /hello/Grace?loud=1",
        "aws/alb",
        "rawPath",
        "httpMethod",
        "x-tenant: 7",
        "statusCode",
        "200 OK",
        "µs",
    ):
        assert text in out
    assert "The same status, content type and body on all 2." in out


@pytest.mark.parametrize("options", [(), ("--as", "all")])
def test_every_provider_is_asked_unless_some_are_named(invoke: Any, options: tuple[str, ...]) -> None:
    _, out, _ = invoke("hello", *options)

    assert all(f"│ {provider} " in out for provider in ADAPTERS)


@pytest.mark.parametrize("width", [40, 80, 100, 117, 118, 120, 160, 200])
def test_no_line_is_wider_than_the_terminal_and_nothing_is_cut(
    invoke: Any, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    _, out, _ = invoke("hello", "--as", "aws", "--path", "/hello/" + "long" * 20, "--time", "1")

    assert width >= max(map(len, out.splitlines()[1:]))
    assert ("╭─ aws " in out) == (width < 118)
    joined = "".join(char for char in out if char.isalnum())
    assert joined.count("long" * 20) >= (4 if width < 118 else 1)


def test_a_pipe_gets_no_escape_codes(app: str) -> None:
    command = [sys.executable, "-m", "portable_fn", "invoke", f"{app}:hello", "--as", "aws"]
    result = subprocess.run(command, capture_output=True, text=True, check=True, env=_environment())

    assert "\x1b" not in result.stdout
    assert 120 == max(map(len, result.stdout.splitlines()))
    assert "imported" not in result.stdout
    assert "called" not in result.stdout


@pytest.mark.parametrize("output", ["table", "json"])
def test_a_reader_that_goes_away_is_not_an_error(app: str, output: str) -> None:
    command = [sys.executable, "-m", "portable_fn", "invoke", f"{app}:hello", "--as", "aws", "--output", output]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=_environment()) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert b"Error" not in process.stderr.read()

    assert 0 == process.returncode


@pytest.mark.parametrize(
    ("function", "request_line"),
    [
        ("hello", "GET /hello/Ada"),
        ("later", "GET /async/1"),
        ("mirror", "POST /mirror"),
        ("", "GET /hello/Ada"),
    ],
)
def test_without_a_path_a_fitting_one_is_sent(invoke: Any, function: str, request_line: str) -> None:
    code, out, _ = invoke(function, "--as", "aws", "--output", "json")

    sent = json.loads(out)["request"]
    assert 0 == code
    assert request_line == f"{sent['method']} {sent['path']}"


def test_a_whole_module_is_routed_by_the_path(invoke: Any) -> None:
    code, out, _ = invoke("", "--as", "aws", "--path", "/async/7", "--output", "json")

    assert 0 == code
    assert {"user_id": "7"} == json.loads(exchanges(out)[0]["answer"]["body"])


def test_a_dotted_module_is_found_in_the_working_directory(app: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == main(["invoke", "cli_app:hello", "--as", "aws"])
    assert "GET /hello/Ada" in capsys.readouterr().out


@pytest.mark.parametrize(
    "options", [("--json", '{"a": 1}'), ("-d", "@body.json", "-H", "content-type: application/json")]
)
def test_a_body_is_read_from_json_or_a_file(invoke: Any, options: tuple[str, ...]) -> None:
    Path("body.json").write_text('{"a": 1}')
    code, out, _ = invoke("mirror", "--as", "aws,aws/rest_api", "--output", "json", *options)

    assert 0 == code
    for exchange in exchanges(out):
        assert '{"a": 1}' == exchange["neutral_request"]["body"] == exchange["answer"]["body"]
        assert ["content-type", "application/json"] in exchange["answer"]["headers"]


def test_a_function_is_called_once_for_each_provider(invoke: Any) -> None:
    _, _, err = invoke("hello", "--as", "all")

    assert ["called"] * len(ADAPTERS) == [line for line in err.splitlines() if line == "called"]


def test_each_provider_imports_the_function_again(invoke: Any) -> None:
    _, out, _ = invoke("mirror", "--as", "aws,aws/alb", "--output", "json")

    for exchange in exchanges(out):
        assert ["x-calls", "1"] in exchange["answer"]["headers"]
        assert exchange["overhead_us"] is None


def test_time_sets_how_often_the_function_is_timed(invoke: Any) -> None:
    _, out, _ = invoke("hello", "--as", "aws", "--output", "json", "--time", "7")

    (exchange,) = exchanges(out)
    assert 7 == exchange["calls"]
    assert exchange["overhead_us"] > 0


def test_prints_of_the_function_go_to_stderr_once(invoke: Any) -> None:
    _, out, err = invoke("hello", "--as", "aws", "--output", "json", "--time", "7")

    json.loads(out)
    assert ["imported", "imported", "called"] == err.splitlines()


def test_the_json_has_the_whole_exchange(invoke: Any) -> None:
    _, out, _ = invoke("hello", "--as", "aws", "--output", "json")

    document = json.loads(out)
    (exchange,) = document["exchanges"]
    assert ["hello"] == document["functions"]
    assert "2.0" == exchange["native_request"]["version"]
    assert {"name": "Ada"} == exchange["neutral_request"]["params"]
    assert 200 == exchange["native_answer"]["statusCode"] == exchange["answer"]["status"]


def test_a_client_error_is_exit_code_1(invoke: Any) -> None:
    code, out, _ = invoke("teapot", "--as", "aws")

    assert 1 == code
    assert "418 I'm a Teapot" in out


def test_a_function_that_fails_is_exit_code_1_and_says_where(invoke: Any) -> None:
    code, out, err = invoke("broken", "--as", "aws", "--output", "json")

    (exchange,) = exchanges(out)
    assert 1 == code
    assert 500 == exchange["answer"]["status"]
    assert ["cli_app.py:27: KeyError: 'missing'"] == exchange["log"]
    assert "Traceback" not in err


def test_a_path_without_a_function_is_shown_as_not_called(invoke: Any) -> None:
    code, out, _ = invoke("hello", "--as", "aws", "--path", "/nowhere")

    assert 1 == code
    assert "404 Not Found" in out
    assert "was not called" in out


@pytest.mark.parametrize(
    ("function", "options", "message"),
    [
        ("hello", ("--as", "aws,ibm"), "no provider 'ibm'; possible are aws, gcp, azure, cloudflare, asgi"),
        ("hello", ("--as", "aws/soap"), "aws has no 'soap'; possible are http_api, "),
        ("hello", ("--as", ","), "--as names no provider"),
        ("helo", (), "no function 'helo' in cli_app.py (is it 'hello'?); with @portable are hello, later, "),
        ("plain", (), "plain in cli_app.py has no @portable; with @portable are hello, "),
        ("mirror", ("--json", "{"), "--json is not JSON: "),
        ("mirror", ("--json", "1", "--data", "2"), "pass --data or --json, not both"),
        ("mirror", ("--data", "@missing.txt"), "--data: missing.txt: No such file or directory"),
        ("hello", ("-H", "no colon"), "--header: 'no colon' must be 'name: value'"),
        ("hello", ("-H", "a b: c"), "--header: 'a b: c' must be 'name: value'"),
        ("hello", ("-X", "GE T"), "--method: 'GE T' is not an HTTP method"),
        ("hello", ("--path", "hello"), "--path: 'hello' doesn't start with '/'"),
        ("hello", ("-X", "GTE"), "--method: 'GTE' is not an HTTP method: is it 'GET'?"),
        ("hello", ("--time", "-1"), "Invalid value for '--time': "),
        ("hello", ("--output", "xml"), "Invalid value for '--output': "),
        ("hello", ("--colour",), "No such option: --colour"),
    ],
)
def test_an_unclear_command_is_one_line_and_exit_code_2(
    invoke: Any, function: str, options: tuple[str, ...], message: str
) -> None:
    code, out, err = invoke(function, *options)

    assert 2 == code
    assert "" == out
    assert message in err
    assert ["portable-fn: "] == [line[:13] for line in err.splitlines() if line not in ("imported", "called")]


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("missing.py:hello", "no such file: missing.py"),
        ("no_such_package.app:hello", "no module 'no_such_package', neither installed nor in "),
        ("empty.py", "empty.py: no function there has @portable"),
    ],
)
def test_a_target_that_does_not_exist_is_one_line_and_exit_code_2(
    app: str, capsys: pytest.CaptureFixture[str], target: str, message: str
) -> None:
    Path("empty.py").write_text("")
    code = main(["invoke", target])

    err = capsys.readouterr().err
    assert 2 == code
    assert 1 == len(err.splitlines())
    assert message in err


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("\nimport no_such_module\n", "bad.py:2: ModuleNotFoundError: No module named 'no_such_module'"),
        ("def f(:\n", "bad.py:1: SyntaxError: "),
        ("def f():\n    return {}['x']\nf()\n", "bad.py:2: KeyError: 'x'"),
        ("import sys\nsys.exit('no')\n", "bad.py:2: SystemExit: no"),
        ("import sibling\n", "sibling.py:1: ZeroDivisionError: division by zero"),
        (
            "from portable_fn import portable\n@portable\ndef f():\n    pass\n",
            "bad.py:2: ConfigurationError: f() takes no argument; ",
        ),
    ],
)
def test_an_import_that_fails_is_one_line_with_its_place_and_exit_code_3(
    app: str, capsys: pytest.CaptureFixture[str], source: str, message: str
) -> None:
    Path("bad.py").write_text(source)
    Path("sibling.py").write_text("1 / 0\n")
    code = main(["invoke", "bad.py:f"])

    out, err = capsys.readouterr()
    assert 3 == code
    assert "" == out
    assert 1 == len(err.splitlines())
    assert err.startswith(f"portable-fn: {message}")


def test_a_provider_whose_library_is_missing_is_a_row_that_says_what_to_install(
    invoke: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "acme").mkdir()
    (tmp_path / "acme" / "__init__.py").write_text("")
    (tmp_path / "acme" / "simulate.py").write_text("import acme_sdk\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(ADAPTERS, "acme", "acme")
    code, out, _ = invoke("hello", "--as", "aws,acme", "--output", "json")
    default, _, _ = invoke("hello", "--as", "all", "--output", "json")

    assert ["needs acme_sdk: pip install 'portable-fn[acme]'"] == [e["error"] for e in exchanges(out) if e["error"]]
    assert (1, 0) == (code, default)


@pytest.mark.parametrize(("provider", "package"), [("gcp", "flask"), ("azure", "azure.functions")])
def test_a_provider_whose_own_package_is_missing_says_so(
    invoke: Any, monkeypatch: pytest.MonkeyPatch, provider: str, package: str
) -> None:
    for name in [name for name in sys.modules if name.startswith(package)]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    code, out, _ = invoke("hello", "--as", f"aws,{provider}")

    assert 1 == code
    assert f"portable-fn[{provider}]" in "".join(out.split())


def test_version_prints_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    from portable_fn import __version__

    assert 0 == main(["--version"])
    assert f"portable-fn {__version__}\n" == capsys.readouterr().out


def test_the_help_has_examples_and_every_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == main(["invoke", "--help"])
    out = capsys.readouterr().out
    for text in ("--as", "--method", "--path", "--data", "--json", "--header", "--time", "--output", "Examples"):
        assert text in out
    assert ["0", "1", "2", "3"] == [line.split()[0] for line in out.splitlines() if line.strip()[:1].isdigit()]


def test_without_typer_one_line_says_what_to_install(tmp_path: Path) -> None:
    code = "import sys; sys.modules['typer'] = None; from portable_fn.cli import main; sys.exit(main(['--version']))"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=_environment()
    )

    assert 2 == result.returncode
    assert "portable-fn needs typer: pip install 'portable-fn[cli]'\n" == result.stderr


def _environment() -> dict[str, str]:
    """So that a new process imports portable_fn from where this one does, whatever the working directory."""
    import os

    import portable_fn
    import portable_fn_aws

    roots = {str(Path(str(module.__file__)).parents[1]) for module in (portable_fn, portable_fn_aws)}
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sorted(roots))}


EVENTS_APP = """
from portable_fn import (
    ChangeEvent, CloudEvent, Message, ObjectEvent, Reject, Request, Retry, ScheduleEvent, Task, on, portable,
)

@portable(on.queue("orders"))
def pay(order: Message, ctx) -> None:
    ctx.log.info("paying %s", order.data["sku"])
    if order.data["sku"] == "sold out":
        raise Retry("no stock", after=30)

@portable(on.object("pictures", "deleted", prefix="a/", suffix=".jpg"))
def thumbnail(upload: ObjectEvent) -> None:
    assert ("pictures", "a/picture.jpg", "deleted") == (upload.bucket, upload.key, upload.action)

@portable(on.change("shop/users", "updated"))
def renamed(change: ChangeEvent) -> None: ...

@portable(on.change("shop/users", "removed"))
def gone(change: ChangeEvent) -> None:
    assert ("removed", {"id": "7"}) == (change.action, change.key)

@portable(on.schedule("0 3 * * *", name="nights"))
def nightly(tick: ScheduleEvent) -> None: ...

@portable(on.event("order.created", source="/shop"))
def created(event: CloudEvent) -> None: ...

@portable(on.task())
def add(numbers: Task) -> int:
    return sum(numbers.data)

@portable
def anything(event): ...
"""


@pytest.fixture
def send(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs `portable-fn invoke` on a function for events and gives exit code, stdout and stderr."""
    (tmp_path / "events_app.py").write_text(EVENTS_APP)
    monkeypatch.chdir(tmp_path)

    def run(function: str, *options: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main(["invoke", f"events_app.py:{function}" if function else "events_app.py", *options])
        out, err = capsys.readouterr()
        return code, out, err

    return run


def deliveries(out: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(out)["deliveries"]
    return found


@pytest.mark.parametrize("width", [80, 160])
def test_an_event_is_delivered_and_shown_side_by_side(send: Any, monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    code, out, _ = send("pay", "--as", "aws,gcp", "-d", '{"sku": "A1"}', "-d", '{"sku": "sold out"}')

    assert 1 == code
    for text in (
        "Message message-1, message-2  →  events_app.py:pay",
        "aws/sqs",
        "gcp/pubsub_push",
        "message-1 acknowledged",
        "message-2 retried after",
        "batchItemFailures",
        "info: paying A1",
        "The same outcome on all 2.",
    ):
        assert text in out
    assert width >= max(map(len, out.splitlines()))


def test_the_json_of_an_event_has_its_whole_delivery(send: Any) -> None:
    code, out, _ = send("pay", "--as", "aws/sns/sqs,azure", "--data", '{"sku": "sold out"}', "--output", "json")

    aws, azure = deliveries(out)
    assert 1 == code
    assert [{"sku": "sold out"}] == [event["data"] for event in json.loads(out)["events"]]
    assert ("sns_sqs", "storage_queue") == (aws["service"], azure["service"])
    assert "aws:sqs" == aws["native_requests"][0]["Records"][0]["eventSource"]
    assert [{"id": "message-1", "outcome": "retried", "after": 30, "why": ""}] == aws["outcomes"]
    assert ["info: paying sold out", "warning: pay retries message-1: no stock"] == aws["log"][:2]
    assert "Invoked" in azure["native_answers"][0][0]


@pytest.mark.parametrize(
    ("function", "options", "kind", "fields"),
    [
        ("pay", ("-d", '{"sku": 1}', "-f", "attempt=3"), "Message", {"channel": "orders", "attempt": 3}),
        ("pay", ("--body", '{"sku": 1}'), "Message", {"body": '{"sku": 1}'}),
        ("thumbnail", (), "ObjectEvent", {"bucket": "pictures"}),
        ("renamed", (), "ChangeEvent", {"table": "shop/users", "action": "updated", "after": {"id": "1"}}),
        ("gone", ("-d", '{"id": "7"}'), "ChangeEvent", {"action": "removed", "before": {"id": "7"}}),
        (
            "renamed",
            ("-f", 'before={"id": "7"}', "-d", '{"id": "7"}'),
            "ChangeEvent",
            {"action": "updated", "key": {"id": "7"}},
        ),
        ("nightly", (), "ScheduleEvent", {"cron": "0 3 * * *", "name": "nights"}),
        ("created", (), "CloudEvent", {"type": "order.created", "source": "/shop"}),
        ("add", ("-d", "[1, 2]"), "Task", {"name": "add", "input": [1, 2]}),
        ("anything", ("--kind", "message"), "Message", {"channel": "orders"}),
        ("", ("--kind", "Task", "-d", "[1, 2]"), "Task", {"name": "add"}),
    ],
)
def test_an_event_fits_the_function(
    send: Any, function: str, options: tuple[str, ...], kind: str, fields: dict[str, Any]
) -> None:
    code, out, _ = send(function, "--as", "aws,asgi", "--output", "json", *options)

    (event,) = json.loads(out)["events"]
    assert kind == event["kind"]
    assert fields == {name: event[name] for name in fields}
    assert [["acknowledged"], ["acknowledged"]] == [
        [each["outcome"] for each in one["outcomes"]] for one in deliveries(out)
    ]
    assert 0 == code


def test_the_result_of_a_task_is_shown_and_its_error_is_exit_code_1(send: Any) -> None:
    code, out, _ = send("add", "--as", "aws", "-d", "[1, 2]")
    failed, said, _ = send("add", "--as", "aws", "-d", '["a"]', "--output", "json")

    assert 0 == code
    assert "result 3" in out
    assert 1 == failed
    assert "TypeError" == deliveries(said)[0]["raised"]["name"]


def test_a_provider_without_such_an_event_fails_only_if_it_is_named(send: Any) -> None:
    code, out, _ = send("renamed", "--output", "json")
    named, _, _ = send("renamed", "--as", "cloudflare")

    assert {"cloudflare": "has no source of ChangeEvent"} == {
        one["provider"]: one["error"] for one in deliveries(out) if one["error"]
    }
    assert (0, 1) == (code, named)


@pytest.mark.parametrize(
    ("function", "options", "message"),
    [
        (
            "",
            (),
            "the functions take several kinds of events: name one function of pay (message), thumbnail (object)",
        ),
        ("anything", ("-f", "key=a"), "the functions take any event: choose the kind with --kind"),
        ("pay", ("--path", "/x"), "--path is for requests"),
        ("pay", ("--json", "{}"), "--json is for requests"),
        ("pay", ("--time", "3"), "--time is for requests"),
        ("pay", ("--kind", "letter"), "no kind 'letter'; possible are request, message"),
        ("pay", ("--as", "aws/sqz"), "aws has no 'sqz' (is it 'sqs'?); possible are sqs, "),
        ("pay", ("--as", "awz"), "no provider 'awz' (is it 'aws'?); possible are aws, "),
        ("pay", ("-d", "{"), "--data is not JSON: "),
        ("pay", ("-f", "colour=red"), "--field: message has no 'colour'; possible are data, body, channel"),
    ],
)
def test_unclear_options_of_an_event_are_one_line_and_exit_code_2(
    send: Any, function: str, options: tuple[str, ...], message: str
) -> None:
    code, out, err = send(function, *options)

    assert (2, "", 1) == (code, out, len(err.splitlines()))
    assert message in err
