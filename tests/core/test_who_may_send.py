"""Who may send events to an open URL: a token, a warning without one, and ids that a sender can't forge."""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import portable_fn_asgi
import portable_fn_gcp
from portable_fn import CloudEvent, Context, HTTPError, Message, Request, ScheduleEvent, Task, on, portable
from portable_fn.adapter import callers
from portable_fn.testing import deliver, fake
from portable_fn_asgi import decode as asgi_decode
from portable_fn_asgi.events import dapr
from portable_fn_azure import decode as azure_decode
from portable_fn_cloudflare import decode as worker_decode
from portable_fn_gcp import decode as google_decode
from portable_fn_gcp import simulate as google
from tests.runtimes.asgi import uvicorn
from tests.runtimes.environments import ROOT, Unavailable
from tests.runtimes.gcp import functions_framework
from tests.runtimes.wire import send

TOKEN = "s3same-öffne-dich"
seen: list[Any] = []


@pytest.fixture(autouse=True)
def _nobody_set(monkeypatch: pytest.MonkeyPatch) -> None:
    seen.clear()
    for variable in (callers.TOKEN, callers.CALLERS, "APP_API_TOKEN"):
        monkeypatch.delenv(variable, raising=False)


@portable(on.topic("orders", dead_letter="dead"))
def ship(order: Message, ctx: Context) -> None:
    ctx.log.warning("shipped %s with %s", order.id, dict(order.attributes))
    seen.append(order)


@portable(on.schedule("0 3 * * *"))
def nightly(tick: ScheduleEvent) -> None:
    seen.append(tick)


@portable(on.event("sold"))
def sold(event: CloudEvent) -> None:
    seen.append(event)


@portable(on.task())
def double(task: Task) -> int:
    seen.append(task)
    doubled: int = task.data["n"] * 2
    return doubled


@portable(on.http("GET", "/open"))
def hello(request: Request) -> str:
    return "hello"


FUNCTIONS = (ship, nightly, sold, double, hello)
SCHEDULER = {
    "x-cloudscheduler": "true",
    "x-cloudscheduler-jobname": "nightly",
    "x-cloudscheduler-scheduletime": "2026-01-02T03:00:00Z",
}
TASKS = {"x-cloudtasks-queuename": "orders", "x-cloudtasks-taskname": "t-1"}
UNWRAPPED = {"x-goog-pubsub-message-id": "7", "x-goog-pubsub-subscription-name": "projects/p/subscriptions/orders"}
PUSH = {"subscription": "projects/p/subscriptions/orders", "message": {"messageId": "7", "data": "e30="}}
EVENTARC = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/shop", "ce-type": "sold"}

# By the trigger: its request with further headers and a query.
Make = Callable[[dict[str, str], str], Request[Any]]
GOOGLE: dict[str, Make] = {
    "scheduler": lambda more, query: fake.request("POST", f"/{query}", headers={**SCHEDULER, **more}),
    "tasks": lambda more, query: fake.request("POST", f"/{query}", headers={**TASKS, **more}, body=b"{}"),
    "push": lambda more, query: fake.request("POST", f"/{query}", headers=more, json=PUSH),
    "unwrapped": lambda more, query: fake.request("POST", f"/{query}", headers={**UNWRAPPED, **more}, body=b"{}"),
    "eventarc": lambda more, query: fake.request("POST", f"/{query}", headers={**EVENTARC, **more}, json={}),
}
WORKFLOWS: Make = lambda more, query: fake.request("POST", f"/double{query}", headers=more, json={"n": 2})  # noqa: E731  # as above


def google_answer(request: Request[Any], service: str, *functions: Any) -> int:
    made = google.sent(portable_fn_gcp.entry(*functions), request, service)
    return made.answer(made.invoke()).status


TRIGGERS = [
    *((name, make, (ship, nightly, sold, hello)) for name, make in GOOGLE.items()),
    ("workflows", WORKFLOWS, (double,)),
]


@pytest.mark.parametrize(("name", "make", "functions"), TRIGGERS, ids=lambda one: one if isinstance(one, str) else "")
@pytest.mark.parametrize("service", ["http", "http_async"])
def test_an_event_of_google_is_taken_with_the_token_alone(
    name: str,
    make: Make,
    functions: Any,
    service: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv(callers.TOKEN, TOKEN)
    wrong: list[dict[str, str]] = [
        {},
        {callers.HEADER: ""},
        {callers.HEADER: "x"},
        {callers.HEADER: TOKEN[:-1]},
        {callers.HEADER: TOKEN + " "},
    ]
    wrong += [
        {callers.HEADER: f"{TOKEN}, {TOKEN}"},
        {"authorization": f"Bearer {TOKEN}"},
        {"dapr-api-token": TOKEN},
        {"token": TOKEN},
    ]
    for headers in wrong:
        assert 401 == google_answer(make(headers, ""), service, *functions), headers
    assert [] == seen
    assert len(wrong) == sum("is refused: An event needs" in line for line in caplog.messages)
    assert google_answer(make({callers.HEADER: TOKEN}, ""), service, *functions) in (200, 204)
    assert 1 == len(seen)
    assert TOKEN not in caplog.text


@pytest.mark.parametrize("service", ["http", "http_async"])
def test_a_push_that_can_have_no_header_has_the_token_in_its_url(service: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(callers.TOKEN, "s3same&x")
    for query in (
        "",
        "?token=",
        "?token=s3same",
        "?token=s3same%26x&token=s3same%26x",
        "?token=x&token=s3same%26x",
        "?Token=s3same%26x",
    ):
        assert 401 == google_answer(GOOGLE["push"]({}, query), service, ship), query
    assert 204 == google_answer(GOOGLE["push"]({}, "?token=s3same%26x"), service, ship)
    assert 204 == google_answer(GOOGLE["push"]({}, "?a=1&token=s3same%26x"), service, ship)
    assert 2 == len(seen)


def test_the_token_is_neither_an_attribute_nor_a_dead_letters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(callers.TOKEN, "s3same")
    for name in ("tasks", "unwrapped"):
        assert 204 == google_answer(GOOGLE[name]({callers.HEADER: "s3same", "tenant": "t1"}, ""), "http", ship)
    assert [{"tenant": "t1"}] * 2 == [one.attributes for one in seen]
    binding: Any = dapr.binding(fake.request("POST", headers={"id": "m", callers.HEADER: "s3same"}), "orders")
    assert {} == binding.attributes


def test_http_functions_answer_everybody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(callers.TOKEN, "s3same")
    for service in ("http", "http_async"):
        assert 200 == google_answer(fake.request("GET", "/open"), service, *FUNCTIONS)
        assert 404 == google_answer(fake.request("GET", "/nothing"), service, *FUNCTIONS)
    assert (200, []) == (asgi_answer(fake.request("GET", "/open"), *FUNCTIONS), seen)


def test_an_event_that_functions_framework_has_converted_needs_the_token_too(monkeypatch: pytest.MonkeyPatch) -> None:
    from flask import Flask

    class Event:
        def get_attributes(self) -> dict[str, Any]:
            return {name.removeprefix("ce-"): value for name, value in EVENTARC.items()}

        def get_data(self) -> Any:
            return {}

    target, app = portable_fn_gcp.entry(sold), Flask("main")
    target(Event())
    assert 1 == len(seen)
    monkeypatch.setenv(callers.TOKEN, "s3same")
    for headers in ({}, {callers.HEADER: "x"}):
        with (
            app.test_request_context("/", headers=headers),
            pytest.raises(HTTPError, match="401 An event needs"),
        ):
            target(Event())
    # Under Starlette nobody has the request.
    with pytest.raises(HTTPError, match="401"):
        target(Event())
    with app.test_request_context("/", headers={callers.HEADER: "s3same"}):
        target(Event())
    assert 2 == len(seen)


def asgi_answer(request: Request[Any], *functions: Any, **options: Any) -> int:
    sent: list[Any] = []

    async def call() -> None:
        async def receive() -> Any:
            return {"type": "http.request", "body": request.body}

        async def answered(message: Any) -> None:
            sent.append(message)

        application = portable_fn_asgi.entry(*functions, **options)
        lines = [(name.encode(), value.encode()) for name, value in request.headers.multi_items()]
        scope = {
            "type": "http",
            "method": request.method,
            "path": request.path,
            "query_string": request.raw_query.encode(),
            "headers": lines,
        }
        await application(scope, receive, answered)

    asyncio.run(call())
    status: int = sent[0]["status"]
    return status


@pytest.mark.parametrize(
    ("tokens", "headers", "taken"),
    [
        ({}, {}, True),
        ({"APP_API_TOKEN": "d"}, {"dapr-api-token": "d"}, True),
        ({"APP_API_TOKEN": "d"}, {callers.HEADER: "d"}, False),
        ({callers.TOKEN: "p"}, {callers.HEADER: "p"}, True),
        ({callers.TOKEN: "p"}, {"dapr-api-token": "p"}, False),
        ({callers.TOKEN: "p"}, {}, False),
        # A sidecar sends its own token, everybody else the other one.
        ({callers.TOKEN: "p", "APP_API_TOKEN": "d"}, {"dapr-api-token": "d"}, True),
        ({callers.TOKEN: "p", "APP_API_TOKEN": "d"}, {callers.HEADER: "p"}, True),
        ({callers.TOKEN: "p", "APP_API_TOKEN": "d"}, {callers.HEADER: "d", "dapr-api-token": "p"}, False),
        ({callers.TOKEN: "", "APP_API_TOKEN": ""}, {}, True),
    ],
)
def test_an_event_in_a_container_is_taken_with_either_token(
    tokens: dict[str, str], headers: dict[str, str], taken: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable, token in tokens.items():
        monkeypatch.setenv(variable, token)
    event = fake.request("POST", "/", headers={**EVENTARC, **headers}, json={})
    assert (202 if taken else 401) == asgi_answer(event, sold)
    task = fake.request("POST", "/double", headers=headers, json={"n": 2})
    assert (200 if taken else 401) == asgi_answer(task, double)
    # A server's log contains the URL.
    assert (202 if not any(tokens.values()) else 401) == asgi_answer(
        fake.request("POST", "/?token=p", headers=EVENTARC, json={}), sold
    )
    assert (2 + (not any(tokens.values())) if taken else 0) == len(seen)


# --- The warning -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("entry", [portable_fn_gcp.entry, portable_fn_asgi.entry], ids=["gcp", "asgi"])
def test_an_entry_that_anybody_may_send_events_to_says_so_when_it_is_made(
    entry: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def warnings(*functions: Any) -> list[str]:
        caplog.clear()
        entry(*functions)
        return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]

    [warning] = warnings(*FUNCTIONS)
    assert "may send events to ship, nightly, sold, double: " in warning
    for word in (callers.TOKEN, callers.HEADER, f"{callers.CALLERS}=trusted"):
        assert word in warning
    assert [] == warnings(hello)
    for variable, value in ((callers.TOKEN, "t"), (callers.CALLERS, "trusted")):
        with monkeypatch.context() as patch:
            patch.setenv(variable, value)
            assert [] == warnings(ship)
    for variable, value in ((callers.TOKEN, ""), (callers.CALLERS, "anybody")):
        with monkeypatch.context() as patch:
            patch.setenv(variable, value)
            assert 1 == len(warnings(ship))
    monkeypatch.setenv("APP_API_TOKEN", "t")
    assert (entry is portable_fn_gcp.entry) == len(warnings(ship))


def test_blocks_without_warnings_in_several_threads_end_each_for_itself() -> None:
    first, second = callers.unwarned(), callers.unwarned()
    first.__enter__()
    second.__enter__()
    first.__exit__()
    assert 1 == callers._quiet
    second.__exit__()
    assert 0 == callers._quiet


@pytest.mark.parametrize("to", ["gcp", "asgi", "aws", "azure", "cloudflare"])
def test_a_simulated_delivery_warns_of_nobody(to: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        deliver(sold, fake.cloud_event("sold"), to=to)
    assert "can send events" not in caplog.text


def test_without_a_log_the_first_event_warns_and_nothing_is_imported_before() -> None:
    code = """
import asyncio, sys
from portable_fn import Task, on, portable
from portable_fn_asgi import entry
@portable(on.task())
def double(task: Task) -> int: return 2
app = entry(double)
print("logging" in sys.modules)
import asyncio
async def receive(): return {"type": "http.request", "body": b"{}"}
async def send(message): pass
for _ in range(2):
    asyncio.run(app({"type": "http", "method": "POST", "path": "/double", "headers": [(b"content-type", b"application/json")]}, receive, send))
"""
    paths = ":".join(str(ROOT / name) for name in ("src", "adapters"))
    code = code.replace("import asyncio, sys", "import sys", 1)
    run = subprocess.run(
        [sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True, env={"PYTHONPATH": paths}
    )
    assert ("False\n", 1) == (run.stdout, run.stderr.count("anybody who reaches this URL may send events to double"))


# --- Ids that a client sends -------------------------------------------------------------------------------------------

FORGED = ["a\x1b[31mforged", "a\nb", "é" * 5, "x" * 129, "a b", "", "\x85", "a\x00"]


@pytest.mark.parametrize("forged", FORGED, ids=repr)
def test_an_id_that_a_client_sends_is_taken_only_if_it_can_stand_in_a_log(forged: str) -> None:
    ids: list[str] = []
    for name in ("function-execution-id", "x-request-id"):
        native: Any = type(
            "Native", (), {"scope": {"method": "GET", "path": "/", "headers": [(name.encode(), forged.encode())]}}
        )()
        request = google_decode.http_async(native)
        ids += [request.id, google_decode.GCPContext(request, False).invocation_id]
        environ = {
            "REQUEST_METHOD": "GET",
            "PATH_INFO": "/",
            f"HTTP_{name.upper().replace('-', '_')}": forged.encode().decode("latin-1"),
        }
        flask: Any = type("Native", (), {"environ": environ})()
        ids.append(google_decode.http(flask).id)
        ids.append(worker_decode.request("GET", "https://a/", [[name, forged]], None, None).id)
        scope: Any = {"method": "GET", "path": "/", "headers": [(name.encode(), forged.encode())]}
        ids.append(asgi_decode.ScopeRequest(scope).id)
    ids.append(worker_decode.request("GET", "https://a/", [["cf-ray", forged]], None, None).id)
    context: Any = type("Context", (), {"invocation_id": forged})()
    ids.append(azure_decode.AzureContext(context, False).invocation_id)
    assert all(len(id) == 32 and id.isalnum() for id in ids), ids


def test_an_id_of_the_platform_is_taken() -> None:
    native: Any = type(
        "Native", (), {"scope": {"method": "GET", "path": "/", "headers": [(b"function-execution-id", b"e-1")]}}
    )()
    assert "e-1" == google_decode.http_async(native).id
    assert "ray-7" == worker_decode.request("GET", "https://a/", [["cf-ray", "ray-7"]], None, None).id


# --- Real servers ------------------------------------------------------------------------------------------------------

APP = """
from portable_fn import CloudEvent, Request, on, portable

@portable(on.event("sold"))
def sold(event: CloudEvent) -> None:
    print("SOLD", event.id, flush=True)

@portable(on.http("GET", "/open"))
def hello(request: Request) -> str:
    return "hello"
"""
SERVERS = {
    "flask": (APP + "from portable_fn_gcp import entry\nmain = entry(sold, hello)\n", False, 204),
    "starlette": (APP + "from portable_fn_gcp import entry\nmain = entry(sold, hello)\n", True, 204),
    "uvicorn": (APP + "from portable_fn_asgi import entry\napp = entry(sold, hello)\n", False, 202),
}


@pytest.mark.runtime
@pytest.mark.parametrize("server", SERVERS)
def test_a_real_server_takes_events_with_the_token_alone_and_warns_without_one(server: str, tmp_path: Path) -> None:
    source, asgi, taken = SERVERS[server]
    (tmp_path / "main.py").write_text(source)

    def serve(env: dict[str, str]) -> Any:
        paths = (ROOT / "src", ROOT / "adapters", tmp_path)
        if server == "uvicorn":
            return uvicorn("main:app", pythonpath=paths, env=env)
        return functions_framework(tmp_path / "main.py", "main", asgi=asgi, pythonpath=paths, env=env)

    try:
        for env in ({callers.TOKEN: "s3same"}, {}):
            with serve(env) as running:
                statuses = [
                    send(running.url, "POST", "/", [*EVENTARC.items(), *more.items()], b"").status
                    for more in (dict[str, str](), {callers.HEADER: "x"}, {callers.HEADER: "s3same"})
                ]
                open_to_all = send(running.url, "GET", "/open", [], None).status
            told = "\n".join(running.logs)
            assert ([401, 401, taken] if env else [taken] * 3, 200) == (statuses, open_to_all)
            assert (1 if env else 3) == told.count("SOLD 1")
            assert (0 if env else 1) == told.count("anybody who reaches this URL may send events to sold")
            assert "s3same" not in told
    except Unavailable as exc:
        pytest.skip(str(exc))


def test_a_recording_has_no_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(callers.TOKEN, "s3samesame")
    monkeypatch.setenv("PORTABLE_FN_RECORD", str(tmp_path))
    assert 204 == google_answer(GOOGLE["tasks"]({callers.HEADER: "s3samesame"}, ""), "http", ship)
    assert 204 == google_answer(GOOGLE["push"]({}, "?token=s3samesame"), "http", ship)
    recorded = "".join(path.read_text() for path in tmp_path.rglob("*") if path.is_file())
    assert json.dumps("orders")[1:-1] in recorded
    assert "s3samesame" not in recorded
