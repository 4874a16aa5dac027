"""Records of ctx.log are shown from INFO on, once each, unless the program or the platform sets up logging."""

from __future__ import annotations

import json
import logging
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import pytest

from portable_fn import Context, Message, Task, logs, on, portable
from portable_fn.testing import deliver, fake
from portable_fn_aws.simulate import payload, payloads
from tests.runtimes.aws import emulator, runtime_api
from tests.runtimes.azure_stories import function_app, over_front_end
from tests.runtimes.cloudflare_stories import through_the_edge, worker
from tests.runtimes.environments import venv
from tests.runtimes.process import free_ports, serving
from tests.runtimes.wire import send

ROOT = Path(__file__).parents[2]
SOURCES = (ROOT / "src", ROOT / "adapters")

APP = """
from portable_fn import Message, Request, ScheduleEvent, Task, on, portable

@portable(on.http("GET", "/"))
def hello(request: Request, ctx) -> str:
    ctx.log.debug("a detail")
    ctx.log.info("an order came: %s", "lamp")
    ctx.log.warning("few lamps are left", extra={"left": 3})
    return "ok"

@portable(on.http("GET", "/fails"))
def fails(request: Request) -> None:
    raise LookupError('no lamps')
"""
EVENTS = """
@portable(on.queue("orders"))
def ship(order: Message, ctx) -> None:
    ctx.log.info("shipping %s", order.data["n"])
    if order.data.get("fails"):
        raise LookupError('no lamps')
"""
TASK = """
@portable(on.task("count"))
def count(task: Task, ctx) -> None:
    ctx.log.info("counting")
    raise LookupError('no lamps')
"""
LOCAL = "from portable_fn.testing import fake\nfrom portable_fn import Context\n"


def said(code: str, **environment: str) -> list[str]:
    """Return what a separate program writes to stderr."""
    path = {"PYTHONPATH": ":".join(map(str, SOURCES))}
    result = subprocess.run(
        [sys.executable, "-c", code], env=path | environment, capture_output=True, text=True, check=True, timeout=60
    )
    assert "" == result.stdout
    return result.stderr.splitlines()


def heard(setup: str = "", after: str = "", **environment: str) -> list[str]:
    """Return what is shown of a line of each level, without the time and the ids."""
    code = (
        "import logging, logging.config, sys\n"
        f"{setup}\n"
        "from portable_fn import Context\n"
        "log = Context(function='f').log\n"
        "for level in ('debug', 'info', 'warning', 'error'): getattr(log, level)(f'{level} line')\n"
        f"{after}"
    )
    return [re.sub(r"^.*?(\w+ line)$", r"\1", line) for line in said(code, **environment)]


# Levels


def test_info_is_shown_unless_logging_is_set_up() -> None:
    assert ["info line", "warning line", "error line"] == heard()


@pytest.mark.parametrize("word", ["DEBUG", "debug", " Debug "])
def test_the_level_is_a_variable_whatever_its_case(word: str) -> None:
    assert ["debug line", "info line", "warning line", "error line"] == heard(PORTABLE_FN_LOG_LEVEL=word)
    assert ["error line"] == heard(PORTABLE_FN_LOG_LEVEL="error")


@pytest.mark.parametrize("word", ["verbose", "10", "INFO;DEBUG"])
def test_an_unknown_level_logs_one_warning_and_info_is_shown(word: str) -> None:
    warning, *lines = heard(after="Context(function='g').log.info('info line')", PORTABLE_FN_LOG_LEVEL=word)
    assert warning.endswith(
        f"PORTABLE_FN_LOG_LEVEL must be one of debug, info, warning, error, critical, not {word!r}: info is shown"
    )
    assert ["info line", "warning line", "error line", "info line"] == lines


OWN_HANDLER = "{'version': 1, 'handlers': {'h': {'class': 'logging.StreamHandler'}}, %s}"
ON_OURS = OWN_HANDLER % "'loggers': {'portable_fn': {'level': 'ERROR', 'handlers': ['h'], 'propagate': False}}"
ON_ROOT = OWN_HANDLER % "'root': {'level': 'INFO', 'handlers': ['h']}"


@pytest.mark.parametrize(
    ("setup", "shown"),
    [
        ("logging.getLogger().setLevel('ERROR')", ["error line"]),
        ("logging.getLogger().setLevel('DEBUG')", ["debug line", "info line", "warning line", "error line"]),
        ("logging.getLogger('portable_fn').setLevel('WARNING')", ["warning line", "error line"]),
        ("logging.getLogger('portable_fn.f').setLevel('ERROR')", ["error line"]),
        ("logging.basicConfig(level='DEBUG')", ["debug line", "info line", "warning line", "error line"]),
        ("logging.basicConfig(level='ERROR')", ["error line"]),
        ("logging.basicConfig()", ["info line", "warning line", "error line"]),
        ("logging.getLogger('portable_fn').addHandler(logging.NullHandler())", []),
        ("logging.getLogger('portable_fn').propagate = False", ["warning line", "error line"]),
        ("logging.disable(logging.WARNING)", ["error line"]),
        ("logging.getLogger('portable_fn').disabled = logging.getLogger('portable_fn.f').disabled = True", []),
        (f"logging.config.dictConfig({ON_OURS})", ["error line"]),
        (f"logging.config.dictConfig({ON_ROOT})", ["info line", "warning line", "error line"]),
    ],
)
def test_the_programs_logging_wins_and_each_line_is_shown_once(setup: str, shown: list[str]) -> None:
    assert shown == heard(setup)


def test_a_level_in_code_wins_over_the_variable_which_wins_over_the_roots() -> None:
    assert ["error line"] == heard("logging.getLogger('portable_fn').setLevel('ERROR')", PORTABLE_FN_LOG_LEVEL="debug")
    assert ["debug line", "info line", "warning line", "error line"] == heard(
        "logging.basicConfig(level='ERROR')", PORTABLE_FN_LOG_LEVEL="debug"
    )


def test_logging_that_is_set_up_later_takes_over_without_duplicates() -> None:
    later = (
        "logging.basicConfig(level='DEBUG', format='own %(message)s')\nlog.debug('debug line')\nlog.info('info line')"
    )
    code = f"import logging\nfrom portable_fn import Context\nlog = Context().log\nlog.info('first')\n{later}"
    first, *lines = said(code)
    assert first.endswith("first")
    assert ["own debug line", "own info line"] == lines


def test_lambdas_level_applies_unless_the_code_sets_one() -> None:
    lambda_level = {"AWS_LAMBDA_LOG_LEVEL": "WARN"}
    assert ["warning line", "error line"] == heard(**lambda_level)
    assert ["info line", "warning line", "error line"] == heard(PORTABLE_FN_LOG_LEVEL="info", **lambda_level)
    assert ["info line", "warning line", "error line"] == heard(AWS_LAMBDA_LOG_LEVEL="odd")


def test_only_records_of_portable_fn_and_its_functions_are_raised() -> None:
    other = "logging.getLogger('mine').info('info of mine')\nlogging.getLogger('mine').warning('warning of mine')"
    assert ["info line", "warning line", "error line", "warning of mine"] == heard(after=other)


# Lines


def test_a_line_has_its_level_time_and_invocation() -> None:
    code = "from portable_fn import Context\nContext(function='f', invocation_id='i-1').log.info('it is %d', 7)"
    (line,) = said(code)
    assert re.fullmatch(r"\[INFO\]\t\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\ti-1\tit is 7", line)


@pytest.mark.parametrize(
    ("environment", "level", "time", "invocation"),
    [
        ({"K_SERVICE": "shop"}, "severity", "time", "invocation_id"),
        ({"AWS_LAMBDA_RUNTIME_API": "x", "AWS_LAMBDA_LOG_FORMAT": "JSON"}, "level", "timestamp", "requestId"),
    ],
)
def test_a_line_is_an_object_if_the_platform_reads_objects(
    environment: dict[str, str], level: str, time: str, invocation: str
) -> None:
    code = """
from portable_fn import Context
log = Context(function="f", invocation_id="i-1").log
log.info("two\\nlines", extra={"left": 3, "odd": object})
try:
    raise LookupError("no lamps")
except LookupError as exc:
    log.error("it failed", exc_info=exc)
log.log(5, "fine")
"""
    first, second, third = map(json.loads, [*said(code, PORTABLE_FN_LOG_LEVEL="", **environment), "{}"])
    assert {} == third  # below every level
    assert ("INFO", "two\nlines", "portable_fn.f", 3, "<class 'object'>", "i-1") == (
        first[level], first["message"], first["logger"], first["left"], first["odd"], first[invocation]
    )  # fmt: skip
    assert datetime.fromisoformat(first[time]).tzinfo == UTC
    assert ("ERROR", "LookupError") == (second[level], second["errorType"])
    assert second["message"].startswith("it failed\nTraceback (most recent call last):")
    assert second["message"].endswith("LookupError: no lamps")


def test_a_record_is_one_event_of_cloudwatch() -> None:
    code = "from portable_fn import Context\nContext().log.info('two\\nlines')"
    path = {"PYTHONPATH": ":".join(map(str, SOURCES)), "AWS_LAMBDA_RUNTIME_API": "x"}
    done = subprocess.run([sys.executable, "-c", code], env=path, capture_output=True, check=True)
    assert done.stderr.endswith(b"two\rlines\n")


def test_the_place_of_a_line_is_the_handlers_own(caplog: pytest.LogCaptureFixture) -> None:
    Context().log.info("here")
    Context().log.exception("there")
    assert [(Path(__file__).name, "test_the_place_of_a_line_is_the_handlers_own")] * 2 == [
        (record.filename, record.funcName) for record in caplog.records
    ]


def test_the_extra_of_a_call_is_added_to_the_ids(caplog: pytest.LogCaptureFixture) -> None:
    Context(invocation_id="i-1").log.info("x", extra={"order": 7})
    record: Any = caplog.records[0]
    assert (7, "i-1", "i-1") == (record.order, record.invocation_id, record.correlation_id)


def test_in_a_worker_the_console_gets_the_level(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, str]] = []
    methods = {name: (lambda text, name=name: seen.append((name, text))) for name in ("debug", "info", "warn", "error")}
    monkeypatch.setitem(sys.modules, "js", SimpleNamespace(console=SimpleNamespace(**methods)))  # type: ignore[arg-type]  # it is a module there
    monkeypatch.setattr(sys, "platform", "emscripten")
    for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL):
        logs.shown.write(logging.LogRecord("portable_fn.f", level, "", 1, "%d lamps", (level,), None))
    expected = [
        ("debug", "10 lamps"),
        ("info", "20 lamps"),
        ("warn", "30 lamps"),
        ("error", "40 lamps"),
        ("error", "50 lamps"),
    ]
    assert expected == seen


def test_a_closed_stderr_does_not_matter() -> None:
    code = "import sys\nfrom portable_fn import Context\nsys.stderr = None\nContext().log.info('x')"
    assert [] == said(code)


def test_a_function_that_logs_nothing_loads_no_logging() -> None:
    code = """
import sys
from portable_fn import Request, on, portable
from portable_fn_aws import entry
@portable(on.http("GET", "/"))
def hello(request: Request) -> str:
    return "hello"
event = {"version": "2.0", "rawPath": "/", "rawQueryString": "", "headers": {}, "requestContext": {"http": {"method": "GET"}}}
assert 200 == entry(hello)(event, None)["statusCode"]
assert not {"logging", "portable_fn.logs"} & set(sys.modules)
"""
    assert [] == said(code)


# In tests


@portable(on.queue("orders"))
def ship(order: Message, ctx: Context) -> None:
    ctx.log.debug("in detail")
    ctx.log.info("shipping")


def test_caplog_has_the_shown_records(caplog: pytest.LogCaptureFixture) -> None:
    assert ["in detail", "shipping"] == [record.getMessage() for record in deliver(ship, fake.message({})).logs]
    ship(fake.message({}), fake.context())
    assert ["shipping"] * 2 == [record.getMessage() for record in caplog.records]
    caplog.clear()
    with caplog.at_level(logging.DEBUG):
        deliver(ship, fake.message({}))
        ship(fake.message({}), fake.context())
    assert ["in detail", "shipping"] * 2 == [record.getMessage() for record in caplog.records]
    caplog.clear()
    with caplog.at_level(logging.WARNING, "portable_fn"):
        ship(fake.message({}), fake.context())
        assert [] == deliver(ship, fake.message({})).logs
    assert [] == caplog.records


def test_deliver_shows_a_line_once_as_it_would_be_shown() -> None:
    code = """
from portable_fn import Context, Message, on, portable
from portable_fn.testing import deliver, fake
@portable(on.queue("orders"))
def ship(order: Message, ctx: Context) -> None:
    ctx.log.debug("in detail")
    ctx.log.info("shipping")
for to in ("aws", "asgi"):
    assert ["in detail", "shipping"] == [record.getMessage() for record in deliver(ship, fake.message({}), to=to).logs]
"""
    lines = said(code)
    assert [True, True] == [line.endswith("\tshipping") for line in lines]


# A failure's traceback


def outcomes(records: Sequence[logging.LogRecord]) -> list[tuple[str, bool]]:
    return [(record.getMessage(), bool(record.exc_info)) for record in records]


def test_a_traceback_that_lambda_logs_anyhow_is_not_logged_by_us(caplog: pytest.LogCaptureFixture) -> None:
    from portable_fn_aws import entry

    @portable(on.task("count"))
    def count(task: Task) -> None:
        raise LookupError("no lamps")

    @portable(on.queue("orders"))
    def fails(order: Message) -> None:
        raise LookupError("no lamps")

    @portable(on.queue("orders"))
    async def fails_async(order: Message) -> None:
        raise LookupError("no lamps")

    (one,) = payloads([fake.message({}, id="m-1")], "sqs")
    (two,) = payloads([fake.message({}, id="m-1"), fake.message({}, id="m-2")], "sqs")
    for handler, event, shown in (
        (count, {"n": 1}, ["count failed for"]),
        (fails, one, ["fails failed for m-1"]),
        (fails_async, one, ["fails_async failed for m-1"]),
    ):
        caplog.clear()
        with pytest.raises(LookupError, match="no lamps") as caught:
            entry(handler)(event, None)
        # Its last frame is the handler's.
        assert "no lamps" in str(caught.traceback[-1].statement)
        assert [(True, False)] == [(text.startswith(shown[0]), has) for text, has in outcomes(caplog.records)]
        assert caplog.records[0].getMessage().endswith(": LookupError: no lamps")
    # Of several errors each is logged, and the raised one has no frames of the handler.
    caplog.clear()
    with pytest.raises(LookupError, match="no lamps") as caught:
        entry(fails)(two, None)
    assert "no lamps" not in str(caught.traceback[-1].statement)
    assert [("fails failed for m-1", True), ("fails failed for m-2", True)] == outcomes(caplog.records)


def test_a_traceback_that_nobody_else_logs_is_logged(caplog: pytest.LogCaptureFixture, monkeypatch: Any) -> None:
    from portable_fn_aws import entry

    @portable(on.queue("orders"))
    def first(order: Message) -> None:
        raise LookupError("no lamps")

    @portable(on.queue("orders"))
    def second(order: Message) -> None:
        raise KeyError("no carrier")

    @portable(on.queue("orders"))
    def leaves(order: Message) -> None:
        raise SystemExit(3)

    (one,) = payloads([fake.message({}, id="m-1")], "sqs")
    # Only one of two functions' errors can be raised.
    with pytest.raises(LookupError):
        entry(first, second)(one, None)
    assert [("first failed for m-1", True), ("second failed for m-1", True)] == outcomes(caplog.records)
    caplog.clear()
    with pytest.raises(Exception, match="3"):
        entry(leaves)(one, None)
    assert [("leaves failed for m-1", True)] == outcomes(caplog.records)
    caplog.clear()
    monkeypatch.setenv("PORTABLE_FN_AWS_BATCH", "report-always")
    assert {"batchItemFailures": [{"itemIdentifier": "m-1"}]} == entry(first)(one, None)
    assert [("first failed for m-1", True)] == outcomes(caplog.records)


# On the real runtimes


@contextmanager
def in_folder(code: str, name: str = "main.py") -> Iterator[Path]:
    with TemporaryDirectory() as folder:
        Path(folder, name).write_text(code)
        yield Path(folder)


def lines_of(log: Sequence[str], text: str) -> list[str]:
    return [line for line in log if text in line]


def shown_once(log: Sequence[str]) -> dict[str, str]:
    """Return the lines of `hello`, each of which appears once, and no other level."""
    result = {}
    for text in ("an order came: lamp", "few lamps are left"):
        (result[text],) = lines_of(log, text)
    assert [] == lines_of(log, "a detail")
    return result


def tracebacks(log: Sequence[str]) -> int:
    return "\n".join(log).count("raise LookupError('no lamps')")


AWS = "from portable_fn_aws import entry\nhandler = entry(TARGETS)\n"
LAMBDAS = {
    "awslambdaric": ["python", "-m", "awslambdaric", "main.handler"],
    "our own": [sys.executable, "-m", "portable_fn_aws.runtime", "main:handler"],
}


@pytest.mark.runtime
@pytest.mark.parametrize("format", ["Text", "JSON"])
@pytest.mark.parametrize("runtime", LAMBDAS)
def test_on_lambda_a_line_is_shown_once(runtime: str, format: str) -> None:
    env = {"AWS_LAMBDA_LOG_FORMAT": format}
    code = APP + EVENTS + AWS.replace("TARGETS", "[hello, fails, ship]")
    with in_folder(code) as folder, runtime_api(folder, LAMBDAS[runtime], pythonpath=SOURCES, env=env) as api:
        assert 200 == api.invoke(payload(fake.request(), "http_api")).json["statusCode"]
        assert 500 == api.invoke(payload(fake.request("GET", "/fails"), "http_api")).json["statusCode"]
    result = shown_once(api.logs)
    if format == "JSON":
        objects = {text: json.loads(line) for text, line in result.items()}
        assert ["INFO", "WARNING"] == [one["level"] for one in objects.values()]
        assert 3 == objects["few lamps are left"]["left"]
        assert {True} == {"requestId" in one and "timestamp" in one for one in objects.values()}
    else:
        assert result["an order came: lamp"].startswith("[INFO]\t")
    assert 1 == tracebacks(api.logs)


@pytest.mark.runtime
@pytest.mark.parametrize("runtime", LAMBDAS)
def test_on_lambda_its_own_level_and_ours_hold(runtime: str) -> None:
    code = APP + AWS.replace("TARGETS", "hello")
    for env, shown in (
        ({"AWS_LAMBDA_LOG_LEVEL": "WARN", "AWS_LAMBDA_LOG_FORMAT": "JSON"}, 0),
        ({"AWS_LAMBDA_LOG_LEVEL": "DEBUG", "AWS_LAMBDA_LOG_FORMAT": "JSON"}, 2),
        ({"PORTABLE_FN_LOG_LEVEL": "warning"}, 0),
        ({"PORTABLE_FN_LOG_LEVEL": "debug"}, 2),
    ):
        with in_folder(code) as folder, runtime_api(folder, LAMBDAS[runtime], pythonpath=SOURCES, env=env) as api:
            assert 200 == api.invoke(payload(fake.request(), "http_api")).json["statusCode"]
        assert (shown, 1) == (
            len(lines_of(api.logs, "an order came")) + len(lines_of(api.logs, "a detail")),
            len(lines_of(api.logs, "few lamps")),
        ), env


@pytest.mark.runtime
@pytest.mark.parametrize("runtime", LAMBDAS)
def test_on_lambda_a_failed_tasks_or_batchs_traceback_is_logged_once(runtime: str) -> None:
    code = APP + EVENTS + TASK + AWS.replace("TARGETS", "TARGET")
    (batch,) = payloads([fake.message({"n": 1, "fails": True}, id="m-1")], "sqs")
    for target, event in (("count", {"n": 1}), ("ship", batch)):
        with (
            in_folder(code.replace("TARGET", target)) as folder,
            runtime_api(folder, LAMBDAS[runtime], pythonpath=SOURCES) as api,
        ):
            answer = api.invoke(event)
            assert ("LookupError", "no lamps") == (answer.json["errorType"], answer.json["errorMessage"])
            assert "main.py" in str(answer.json["stackTrace"])
        log = "\n".join(api.logs).replace("\r", "\n")
        assert (1, 1) == (log.count("raise LookupError('no lamps')"), log.count("Traceback (most recent call last)"))
        assert 1 == log.count(f"{target} failed for")


@pytest.mark.runtime
def test_under_the_emulator_a_line_is_shown_once_and_basic_config_changes_nothing() -> None:
    code = "import logging\nlogging.basicConfig(level='INFO')\n" + APP + AWS.replace("TARGETS", "hello")
    with in_folder(code) as folder, emulator(folder, "main.handler", pythonpath=SOURCES) as lambda_:
        assert 200 == lambda_.invoke(payload(fake.request(), "http_api"))["statusCode"]
    shown_once(lambda_.logs)


# Environment, code, command and further environment.
SERVERS: dict[str, tuple[str, str, str, dict[str, str]]] = {
    "uvicorn": ("asgi", "asgi", "uvicorn main:main --port PORT", {}),
    "uvicorn on Cloud Run": ("asgi", "asgi", "uvicorn main:main --port PORT", {"K_SERVICE": "shop"}),
    "hypercorn": ("knative", "asgi", "hypercorn main:main --bind 127.0.0.1:PORT", {}),
    "functions-framework": ("gcp", "gcp", "functions_framework --target main --host 127.0.0.1 --port PORT", {}),
    "functions-framework on Google": (
        "gcp", "gcp", "functions_framework --target main --host 127.0.0.1 --port PORT", {"K_SERVICE": "shop"},
    ),
    "functions-framework with execution ids": (
        "gcp", "gcp", "functions_framework --target main --host 127.0.0.1 --port PORT",
        {"K_SERVICE": "shop", "LOG_EXECUTION_ID": "true"},
    ),
    "functions-framework --asgi on Google": (
        "gcp", "gcp", "functions_framework --target main --asgi --host 127.0.0.1 --port PORT", {"K_SERVICE": "shop"},
    ),
    "functions-framework --asgi with execution ids": (
        "gcp", "gcp", "functions_framework --target main --asgi --host 127.0.0.1 --port PORT",
        {"K_SERVICE": "shop", "LOG_EXECUTION_ID": "true"},
    ),
}  # fmt: skip


@pytest.mark.runtime
@pytest.mark.parametrize("server", SERVERS)
def test_on_a_server_a_line_is_shown_once(server: str) -> None:
    environment, provider, command, env = SERVERS[server]
    [port] = free_ports(1)
    parts = [part.replace("PORT", str(port)) for part in command.split()]
    code = APP + f"from portable_fn_{provider} import entry\nmain = entry(hello, fails)\n"
    with (
        in_folder(code) as folder,
        serving([venv(environment), "-m", *parts], port, cwd=folder, pythonpath=SOURCES, env=env) as running,
    ):
        for path, status in (("/", 200), ("/fails", 500)):
            assert status == send(running.url, "GET", path, [("host", "x")], None).status
    result = shown_once(running.logs)
    if "K_SERVICE" in env:
        objects = [json.loads(line) for line in result.values()]
        assert ["INFO", "WARNING"] == [one["severity"] for one in objects]
        (failure,) = lines_of(running.logs, "no lamps")
        assert "ERROR" == json.loads(failure)["severity"]
        assert "raise LookupError('no lamps')" in json.loads(failure)["message"]
        if "LOG_EXECUTION_ID" in env:
            assert {True} == {"execution_id" in one["logging.googleapis.com/labels"] for one in objects}
    else:
        assert 1 == tracebacks(running.logs)


@pytest.mark.runtime
def test_on_azures_worker_a_line_is_shown_once() -> None:
    code = (
        APP + EVENTS + "from portable_fn_azure import entry\napp = entry(hello, fails, ship, auth_level='anonymous')\n"
    )
    with function_app(code) as host:
        assert 200 == over_front_end(host, fake.request()).status
        assert 500 == over_front_end(host, fake.request("GET", "/fails")).status
        result = shown_once(host.logs)
        assert result["an order came: lamp"].startswith("[Information] portable_fn.")
        assert result["few lamps are left"].startswith("[Warning] portable_fn.")
        assert 1 == tracebacks(host.logs)
        body = json.dumps({"n": 1, "fails": True}).encode()
        ended = host.invoke("ship", {"event": body}, metadata={"Id": "m-1", "DequeueCount": 1})
        assert ended.error is not None
        # The host logs the error of an invocation with its stack.
        host.logged("ship failed for m-1: LookupError: no lamps")
        assert 1 == tracebacks(host.logs)


SCHEDULE = """
@portable(on.schedule("0 3 * * *"))
def nightly(tick: ScheduleEvent, ctx) -> None:
    ctx.log.info("tick")
    raise LookupError('no lamps at night')
"""


@pytest.mark.runtime
@pytest.mark.parametrize(("level", "debug"), [(None, 0), ("debug", 1)])
def test_on_workerd_a_line_is_shown_once(level: str | None, debug: int) -> None:
    code = APP + SCHEDULE + "from portable_fn_cloudflare import entry\nDefault = entry(hello, fails, nightly)\n"
    with worker(code, vars={"PORTABLE_FN_LOG_LEVEL": level} if level else {}) as running:
        assert 200 == through_the_edge(running, fake.request()).status
        assert 500 == through_the_edge(running, fake.request("GET", "/fails")).status
        log = running.logs
        assert (1, 1, debug) == tuple(
            len(lines_of(log, text)) for text in ("an order came: lamp", "few lamps are left", "a detail")
        )
        assert 1 == tracebacks(log)
        assert "exception" == running.scheduled("0 3 * * *", datetime.now(UTC))["outcome"]
        assert 1 == "\n".join(log).count("raise LookupError('no lamps at night')")
