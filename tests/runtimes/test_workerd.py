"""The harness of workerd, tried with a Worker written by hand."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.runtimes.cloudflare import CF_HEADER, SCHEME_HEADER, Workerd, import_time, workerd
from tests.runtimes.environments import Unavailable
from tests.runtimes.wire import Received, send

pytestmark = pytest.mark.runtime

WORKER = """
import asyncio, json
from js import Array, Error, ReadableStream, Response
from pyodide.ffi import create_proxy, to_js
from workers import WorkerEntrypoint
from greeting import hello

ORDER = []

async def parts(count, fail_at=None):
    try:
        for index in range(count):
            if index == fail_at:
                raise LookupError("no such part")
            yield b"part %d" % index
            await asyncio.sleep(0.15)
    finally:
        print("closed")

def stream(chunks):
    pulling = None

    async def pull(controller):
        nonlocal pulling
        pulling = asyncio.ensure_future(anext(chunks, None))
        try:
            chunk = await pulling
        except BaseException as exc:
            release()
            controller.error(Error.new(type(exc).__name__))
            return
        if chunk is None:
            release()
            controller.close()
        else:
            controller.enqueue(to_js(chunk))

    def cancel(reason):
        pulling.cancel()

    proxies = [create_proxy(pull), create_proxy(cancel)]
    def release():
        for proxy in proxies:
            proxy.destroy()
    return ReadableStream.new(pull=proxies[0], cancel=proxies[1])

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        request = request.js_object
        _, _, _, route, *rest = request.url.split("?")[0].split("/")
        if route == "seen":
            seen = {
                "method": request.method,
                "url": request.url,
                "headers": Array.from_(request.headers).to_py(),
                "body": list((await request.arrayBuffer()).to_bytes()),
                "cf": request.cf and request.cf.to_py(),
                "hello": hello(self.env.NAME),
            }
            headers = [("content-type", "application/json"), ("set-cookie", "a=1; Path=/"), ("set-cookie", "b=2, 3")]
            return Response.new(json.dumps(seen), status=201, headers=to_js(headers))
        if route == "binary":
            return Response.new(to_js(bytes(range(256))))
        if route == "stream":
            return Response.new(stream(parts(int(rest[0]))))
        if route == "broken-stream":
            return Response.new(stream(parts(3, fail_at=2)))
        if route == "wait":
            ORDER.append(f"began {rest[0]}")
            await asyncio.sleep(float(rest[0]))
            ORDER.append(f"ended {rest[0]}")
            return Response.new("waited")
        if route == "order":
            return Response.new(json.dumps(ORDER))
        if route == "validated":
            import pydantic
            return Response.new(pydantic.TypeAdapter(list[int]).validate_json(b'["1", 2]').__repr__())
        raise LookupError("no such route")

    async def queue(self, batch, *_):
        for message in batch.messages:
            print("message", message.id, message.timestamp.isoformat(), message.attempts, type(message.body).__name__)
            match message.body:
                case {"say": "ack"}:
                    message.ack()
                case {"say": "retry", "after": seconds}:
                    message.retry(delaySeconds=seconds)
                case {"say": "raise"}:
                    raise LookupError("no such message")

    async def scheduled(self, controller, *_):
        print("scheduled", controller.cron, controller.scheduledTime)
        if controller.cron == "never":
            controller.noRetry()
            raise LookupError("no such time")
"""

NOON = datetime(2026, 3, 4, 12, 0, 0, 5000, tzinfo=UTC)


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workerd]:
    folder = tmp_path_factory.mktemp("worker")
    main = folder / "entry.py"
    main.write_text(WORKER)
    package = folder / "greeting"
    package.mkdir()
    package.joinpath("__init__.py").write_text("from greeting.words import hello\n")
    package.joinpath("words.py").write_text("def hello(name):\n    return f'Hello, {name}!'\n")
    try:
        with workerd(main, packages=[package], vars={"NAME": 'Zoë "Z"\n'}) as running:
            yield running
    except Unavailable as exc:
        pytest.skip(str(exc))


def call(
    worker: Workerd, method: str, target: str, headers: Sequence[tuple[str, str]] = (), body: bytes | None = None
) -> Received:
    return send(worker.url, method, target, headers, body)


def seen(received: Received) -> dict[str, Any]:
    assert 201 == received.status
    result: dict[str, Any] = json.loads(received.body)
    return result


def messages(*bodies: object) -> list[dict[str, Any]]:
    return [
        {"id": f"m{index}", "timestamp": NOON, "attempts": index, "body": body} for index, body in enumerate(bodies, 1)
    ]


def test_the_target_reaches_the_worker_as_it_was_sent(worker: Workerd) -> None:
    target = "/seen/a%2Fb/%41+c/../x//?tag=a&tag=b&q=%20+&empty="
    assert worker.url + target == seen(call(worker, "GET", target))["url"]


@pytest.mark.parametrize("method", ["PROPFIND", "PURGE", "DELETE", "OPTIONS"])
def test_any_method_reaches_the_worker(worker: Workerd, method: str) -> None:
    assert method == seen(call(worker, method, "/seen"))["method"]


def test_a_binary_body_arrives_byte_for_byte(worker: Workerd) -> None:
    body = bytes(range(256)) * 4096
    assert list(body) == seen(call(worker, "POST", "/seen", body=body))["body"]


def test_a_binary_answer_arrives_byte_for_byte(worker: Workerd) -> None:
    assert bytes(range(256)) == call(worker, "GET", "/binary").body


def test_two_cookies_set_are_two_cookies_received(worker: Workerd) -> None:
    assert ["a=1; Path=/", "b=2, 3"] == call(worker, "GET", "/seen").values("set-cookie")


def test_workerd_joins_repeated_request_headers_with_commas_even_cookies(worker: Workerd) -> None:
    received = call(worker, "GET", "/seen", [("X-A", "1"), ("X-A", "2"), ("Cookie", "a=1"), ("Cookie", "b=2")])
    headers = dict(seen(received)["headers"])
    assert ("1, 2", "a=1, b=2") == (headers["x-a"], headers["cookie"])


def test_workerd_reads_header_values_as_utf8(worker: Workerd) -> None:
    received = call(worker, "GET", "/seen", [("X-Utf", "Zoë".encode().decode("latin-1")), ("X-Latin", "Zoë")])
    headers = dict(seen(received)["headers"])
    assert ("Zoë", "Zo\N{REPLACEMENT CHARACTER}") == (headers["x-utf"], headers["x-latin"])


def test_the_edge_is_played_by_two_headers(worker: Workerd) -> None:
    headers = [("Host", "example.com"), (CF_HEADER, '{"colo": "AMS"}'), (SCHEME_HEADER, "https")]
    received = seen(call(worker, "GET", "/seen", headers))
    assert ("https://example.com/seen", {"colo": "AMS"}) == (received["url"], received["cf"])
    assert None is seen(call(worker, "GET", "/seen"))["cf"]


def test_the_worker_has_its_packages_and_variables(worker: Workerd) -> None:
    assert 'Hello, Zoë "Z"\n!' == seen(call(worker, "GET", "/seen"))["hello"]


def test_the_size_of_the_bundle_leaves_out_cloudflares_sdk(worker: Workerd) -> None:
    assert len(WORKER) < worker.bundle_bytes < len(WORKER) + 200


def test_a_stream_arrives_part_by_part(worker: Workerd) -> None:
    received = call(worker, "GET", "/stream/3")
    assert [b"part 0", b"part 1", b"part 2"] == [part for _, part in received.chunks]
    assert all(later - earlier > 0.1 for (earlier, _), (later, _) in pairwise(received.chunks))


def test_a_stream_that_breaks_is_a_truncated_answer(worker: Workerd) -> None:
    received = call(worker, "GET", "/broken-stream")
    assert (200, b"part 0part 1", False) == (received.status, received.body, received.complete)


def test_a_client_that_leaves_closes_the_stream(worker: Workerd) -> None:
    closed = worker.logs.count("closed")
    host, _, port = worker.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(b"GET /stream/1000 HTTP/1.1\r\nHost: example.com\r\n\r\n")
        connection.recv(4096)
    deadline = time.monotonic() + 5
    while worker.logs.count("closed") == closed and time.monotonic() < deadline:
        time.sleep(0.01)
    assert closed + 1 == worker.logs.count("closed")


def test_an_exception_is_a_500_with_its_traceback_in_the_logs_only(worker: Workerd) -> None:
    received = call(worker, "GET", "/nowhere")
    assert (500, b"Internal Server Error") == (received.status, received.body)
    worker.process.logged("LookupError: no such route")


def test_requests_interleave_in_one_isolate(worker: Workerd) -> None:
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda seconds: call(worker, "GET", f"/wait/{seconds}"), ["0.4", "0.1"]))
    order = json.loads(call(worker, "GET", "/order").body)
    assert (["ended 0.1", "ended 0.4"], {"began 0.1", "began 0.4"}) == (order[2:], set(order[:2]))


def test_each_message_is_acknowledged_or_retried_by_itself(worker: Workerd) -> None:
    batch = messages({"say": "ack"}, {"say": "retry", "after": 30}, {"say": "nothing"})
    expected = {
        "outcome": "ok",
        "ackAll": False,
        "retryBatch": {"retry": False},
        "explicitAcks": ["m1"],
        "retryMessages": [{"msgId": "m2", "delaySeconds": 30}],
    }
    assert expected == worker.queue("orders", batch)


def test_a_message_has_its_time_attempts_and_body(worker: Workerd) -> None:
    worker.queue("orders", messages(b"\x00\xff", NOON, "text", None))
    kinds = enumerate(["memoryview", "datetime", "str", "NoneType"], 1)
    expected = [f"message m{index} 2026-03-04T12:00:00.005000 {index} {kind}" for index, kind in kinds]
    assert expected == [worker.process.logged(line) for line in expected]


def test_an_exception_in_queue_is_its_outcome(worker: Workerd) -> None:
    assert "exception" == worker.queue("orders", messages({"say": "raise"}))["outcome"]


def test_scheduled_has_its_cron_and_time(worker: Workerd) -> None:
    assert {"outcome": "ok", "noRetry": False} == worker.scheduled("0 3 * * *", NOON)
    worker.process.logged(f"scheduled 0 3 * * * {int(NOON.timestamp() * 1000)}")


def test_scheduled_can_refuse_a_retry(worker: Workerd) -> None:
    assert {"outcome": "exception", "noRetry": True} == worker.scheduled("never", NOON)


def test_pydantic_and_its_compiled_core_come_on_request(tmp_path: Path) -> None:
    main = tmp_path / "entry.py"
    main.write_text(WORKER)
    (tmp_path / "greeting.py").write_text("def hello(name):\n    return name\n")
    with workerd(main, sources=[tmp_path / "greeting.py"], pydantic=True) as running:
        assert b"[1, 2]" == call(running, "GET", "/validated").body


def test_a_snapshot_holds_what_the_import_made(tmp_path: Path) -> None:
    main = tmp_path / "entry.py"
    main.write_text("print('imported')\n" + WORKER)
    (tmp_path / "greeting.py").write_text("def hello(name):\n    return name\n")
    with workerd(main, sources=[tmp_path / "greeting.py"], vars={"NAME": "Ada"}, snapshot=True) as running:
        assert ("Ada", []) == (seen(call(running, "GET", "/seen"))["hello"], running.logs)


def test_a_worker_that_cannot_be_imported_says_why(tmp_path: Path) -> None:
    main = tmp_path / "entry.py"
    main.write_text("import nowhere_to_be_found\n")
    with pytest.raises(RuntimeError, match="can't be imported") as caught, workerd(main):
        pass
    assert "No module named 'nowhere_to_be_found'" in "".join(caught.value.__notes__)


def test_a_worker_without_a_default_class_is_refused(tmp_path: Path) -> None:
    main = tmp_path / "entry.py"
    main.write_text("from workers import WorkerEntrypoint\nclass Other(WorkerEntrypoint): ...\n")
    with pytest.raises(RuntimeError, match="no class named Default"), workerd(main):
        pass


def test_the_time_of_an_import_is_measured(tmp_path: Path) -> None:
    package = tmp_path / "slow"
    package.mkdir()
    package.joinpath("__init__.py").write_text("import time\ntime.sleep(0.2)\n")
    assert 200 <= import_time("slow", packages=[package]) < 300
