"""No field of a provider's context is trusted to exist, or to have its type."""

from __future__ import annotations

import asyncio
import json
import time
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock, Mock

import azure.functions as func
import pytest

import portable_fn_asgi
import portable_fn_azure
from portable_fn import Batch, ChangeEvent, Context, Message, Request, ScheduleEvent, Task, on, portable
from portable_fn.testing import fake
from portable_fn_azure.events import tasks
from portable_fn_azure.simulate import payloads
from portable_fn_azure.simulate.worker import functions_for
from portable_fn_cloudflare import decode as worker_decode
from portable_fn_cloudflare.entry import worker
from portable_fn_cloudflare.simulate.javascript import (
    FFI,
    JS,
    Env,
    ExecutionContext,
    FetchRequest,
    SDKRequest,
    WorkerEntrypoint,
)
from portable_fn_gcp import decode as google_decode

pytestmark = pytest.mark.slow


def named(odd: object) -> str:
    """Return a name for a test that is the same in every process."""
    return repr(odd).partition(" id=")[0].partition(" at 0x")[0][:40]


seen: list[Any] = []


@pytest.fixture(autouse=True)
def _nothing_seen() -> None:
    seen.clear()


def look(ctx: Context) -> None:
    """Read everything that a handler may read, and that reaches logs."""
    ctx.log.info("here")
    texts = (ctx.invocation_id, ctx.correlation_id, ctx.function, ctx.version, ctx.region)
    assert all(isinstance(text, str) for text in texts), texts
    assert ctx.invocation_id
    assert ctx.trace is None or len(ctx.trace.trace_id) == 32
    assert ctx.remaining() is None or ctx.deadline is not None
    seen.append(ctx.invocation_id)


def named(one: object) -> str:
    """Return a test's name for the value, which is the same in every process."""
    return type(one).__name__ if isinstance(one, Mock) or type(one) is object else ascii(one)[:40]


# --- Azure -------------------------------------------------------------------------------------------------------------

CONTEXTS: list[Any] = [
    None,
    Mock(),
    MagicMock(),
    object(),
    {},
    SimpleNamespace(invocation_id=None, function_name=None, trace_context=None, retry_context=None),
    SimpleNamespace(invocation_id=7, function_name=b"x", trace_context="x", retry_context=-1),
    SimpleNamespace(invocation_id="", trace_context=SimpleNamespace(trace_parent=7, trace_state=[])),
    SimpleNamespace(invocation_id="a\x1b[31m\nb", retry_context=SimpleNamespace(retry_count=-5)),
    SimpleNamespace(invocation_id="x" * 400, retry_context=SimpleNamespace(retry_count="2")),
]


@portable(on.queue("orders"))
def ship(order: Message, ctx: Context) -> None:
    look(ctx)


@portable(on.queue("orders"))
async def ship_later(order: Message, ctx: Context) -> None:
    look(ctx)


@portable(on.stream("clicks"))
def click(clicks: Batch[Message], ctx: Context) -> None:
    look(ctx)


@portable(on.change("users"))
def audit(change: ChangeEvent, ctx: Context) -> None:
    assert change.id.count(":") == 1
    assert not change.id.startswith((":", "None"))
    look(ctx)


@portable(on.schedule("0 3 * * *"))
def nightly(tick: ScheduleEvent, ctx: Context) -> None:
    assert tick.id
    assert tick.attempt == 1
    look(ctx)


@portable(on.task("double"))
def double(task: Task, ctx: Context) -> int:
    assert task.id
    look(ctx)
    return 2


@portable(on.http("GET", "/"))
def hello(request: Request, ctx: Context) -> dict[str, str]:
    look(ctx)
    assert request.id == ctx.invocation_id
    return {"id": request.id}


@pytest.mark.parametrize("context", CONTEXTS, ids=lambda one: type(one).__name__)
@pytest.mark.parametrize(
    ("function", "service", "event"),
    [
        (ship, "storage_queue", fake.message({})),
        (ship_later, "storage_queue", fake.message({})),
        (click, "event_hubs", fake.message({}, channel="clicks")),
        (audit, "sql", fake.change("users", after={"id": 1})),
        (nightly, "timer", fake.schedule(cron="0 3 * * *")),
        (double, "durable_activity", fake.task({}, name="double")),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_an_event_is_handled_whatever_the_context_of_azures_worker_says(
    function: Any, service: str, event: Any, context: Any
) -> None:
    [wired] = functions_for((function,), service)
    payload = payloads([event], service)[0]
    native = wired.native(payload.many if wired.many or not payload.each else payload.each[0])
    if service == "timer":
        native = SimpleNamespace(schedule_status=None, past_due=Mock())
    answer = wired.user_function(event=native, context=context)
    if asyncio.iscoroutine(answer):
        asyncio.run(answer)
    assert 1 == len(seen)
    id = getattr(context, "invocation_id", None)
    assert (seen[0] == id) == (isinstance(id, str) and id.isprintable() and 0 < len(id) < 128)


@pytest.mark.parametrize("context", CONTEXTS, ids=lambda one: type(one).__name__)
def test_a_request_is_answered_whatever_the_context_of_azures_worker_says(context: Any) -> None:
    app: Any = portable_fn_azure.entry(hello, auth_level="anonymous")
    answer = app(func.HttpRequest("GET", "https://a.example/", body=b""), context)
    assert (200, {"id": seen[0]}) == (answer.status_code, json.loads(answer.get_body()))


def test_an_attempt_is_the_hosts_retry_or_the_first() -> None:
    counts: list[tuple[Any, int]] = [(0, 1), (2, 3), (-1, 1), ("2", 1), (None, 1), (True, 1), (1.5, 1)]
    for count, attempt in counts:
        context: Any = SimpleNamespace(retry_context=SimpleNamespace(retry_count=count))
        assert attempt == tasks.attempt(context)
    assert [1, 1, 1] == [tasks.attempt(context) for context in (None, Mock(), object())]  # type: ignore[arg-type]


# --- Google ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", ["", "0", "-5", "1e3", "²", "٣", "60.5", " 60", "9" * 400, "nan", "999999999"])
def test_a_malformed_time_limit_of_google_sets_no_deadline(seconds: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUD_RUN_TIMEOUT_SECONDS", seconds)
    context = google_decode.GCPContext(fake.request("POST"), False)
    assert (None, None) == (context.remaining(), context.deadline)
    monkeypatch.delenv("CLOUD_RUN_TIMEOUT_SECONDS")
    assert None is google_decode.GCPContext(fake.request("POST"), False).remaining()


def test_a_time_limit_of_google_is_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUD_RUN_TIMEOUT_SECONDS", "3600")
    context = google_decode.GCPContext(fake.request("POST"), False)
    assert 3599 < (context.remaining() or 0) <= 3600
    assert context.deadline is not None
    assert abs(context.deadline.timestamp() - time.time() - 3600) < 1


@pytest.mark.parametrize(
    ("headers", "scope"),
    [
        ([], {}),
        ([(b"x-forwarded-for", b""), (b"x-forwarded-for", b"")], {"scheme": None}),
        ([(b"x-cloud-trace-context", b"x/" + b"9" * 400), (b"traceparent", b"00-x"), (b"traceparent", b"00-y")], {}),
        ([(b"function-execution-id", b"a"), (b"function-execution-id", b"b")], {"query_string": None}),
    ],
)
def test_headers_of_google_may_be_missing_or_repeated(headers: list[tuple[bytes, bytes]], scope: Any) -> None:
    native: Any = SimpleNamespace(scope={"type": "http", "method": "GET", "path": "/", "headers": headers, **scope})
    request = google_decode.http_async(native)
    context = google_decode.GCPContext(request, False)
    look(context)
    assert request.id == context.invocation_id
    assert "," not in request.id


# --- Cloudflare --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ctx", [None, object(), SimpleNamespace(), SimpleNamespace(waitUntil=None)], ids=named)
def test_background_work_is_done_if_a_worker_has_no_wait_until(ctx: Any) -> None:
    @portable(on.http("GET", "/"))
    def fetch(request: Request, ctx: Context) -> str:
        ctx.background(work("fetch"))
        look(ctx)
        return "ok"

    @portable(on.queue("orders"))
    def ship(order: Message, ctx: Context) -> None:
        ctx.background(work("queue"))

    @portable(on.schedule("* * * * *"))
    def tick(event: ScheduleEvent, ctx: Context) -> None:
        ctx.background(work("scheduled"))

    async def work(name: str) -> None:
        await asyncio.sleep(0)
        done.append(name)

    done: list[str] = []
    instance = worker((fetch, ship, tick), WorkerEntrypoint, JS, FFI)(ctx, Env({}))
    message = SimpleNamespace(id="m", body="hi", timestamp=None, attempts=None, ack=lambda: done.append("ack"))

    async def calls() -> None:
        await instance.fetch(SDKRequest(FetchRequest("GET", "https://a.example/", [], b"", None)))
        await instance.queue(SimpleNamespace(queue="orders", messages=[message]))
        await instance.scheduled(SimpleNamespace(cron="* * * * *", scheduledTime=0))

    asyncio.run(calls())
    assert ["fetch", "ack", "queue", "scheduled"] == done


@pytest.mark.parametrize("queue", [None, "", 5, Mock(), ...], ids=named)
def test_messages_of_a_batch_that_does_not_tell_its_queue_are_retried_one_by_one(
    queue: Any, caplog: pytest.LogCaptureFixture
) -> None:
    @portable(on.queue("orders"))
    def ship(order: Message) -> None:
        told.append("handled")

    told: list[str] = []
    messages = [
        SimpleNamespace(id=f"m{n}", body="hi", ack=lambda: told.append("ack"), retry=lambda: told.append("retry"))
        for n in (1, 2)
    ]
    batch = SimpleNamespace(queue=queue, messages=messages)
    if queue is ...:
        del batch.queue
    instance = worker((ship,), WorkerEntrypoint, JS, FFI)(ExecutionContext(), Env({}))
    asyncio.run(instance.queue(batch))
    assert ["retry", "retry"] == told
    assert "has no queue name" in caplog.text


@pytest.mark.parametrize("odd", [None, 7, Mock(), object(), {}], ids=lambda one: type(one).__name__)
def test_the_edges_facts_about_a_request_may_be_malformed(odd: Any) -> None:
    cf: Any = SimpleNamespace(
        colo=odd, tlsClientAuth=SimpleNamespace(certVerified="SUCCESS", to_py=lambda: {"certSubjectDN": odd})
    )
    request = worker_decode.request("GET", "https://a.example/", [], cf, None)
    assert None is request.principal
    context = worker_decode.CloudflareContext(
        ExecutionContext(), request, cf, False, lambda: {"CF_VERSION_METADATA": {"id": odd}}
    )
    look(context)
    assert ("", "") == (context.region, context.version)


# --- ASGI --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "scope",
    [
        {},
        {"client": None, "server": None, "raw_path": None, "root_path": None, "scheme": None, "headers": None},
        {"client": [], "raw_path": b"", "root_path": "", "query_string": None, "state": None, "extensions": None},
        {"headers": [(b"x-request-id", b"a"), (b"x-request-id", b"b"), (b"traceparent", b"\xff")]},
    ],
    ids=str,
)
def test_a_scope_has_no_more_than_a_method_and_a_path(scope: dict[str, Any]) -> None:
    @portable(on.http("ANY", "/ab"))
    def hello(request: Request, ctx: Context) -> list[Any]:
        look(ctx)
        return [request.client_ip, request.root_path, request.raw_query, request.scheme, request.url]

    @portable(on.task("double"))
    def double(task: Task, ctx: Context) -> str:
        look(ctx)
        return task.id

    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b"{}"}

    async def send(message: Any) -> None:
        sent.append(message)

    async def call(target: Any) -> None:
        await target({"type": "http", "method": "GET", "path": "/ab", **scope}, receive, send)

    for target in (portable_fn_asgi.entry(hello), portable_fn_asgi.entry(hello, double)):
        sent.clear()
        asyncio.run(call(target))
        assert [None, "", "", "http", "http:///ab"] == json.loads(sent[1]["body"])
