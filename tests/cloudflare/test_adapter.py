"""What the Cloudflare adapter does beyond the stories: in this process, and in real workerd."""

from __future__ import annotations

import gc
import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from portable_fn import Principal, Request
from portable_fn.testing import deliver, fake
from portable_fn.testing.results import Answer
from portable_fn_cloudflare import decode, simulate
from portable_fn_cloudflare.entry import worker as worker_class
from tests.runtimes.apps import cloudflare_functions as functions
from tests.runtimes.cloudflare import Workerd
from tests.runtimes.cloudflare_stories import through_the_edge, worker
from tests.runtimes.environments import Unavailable
from tests.runtimes.wire import send as send_raw

Send = Callable[[Request], Answer]

ROOT = Path(__file__).parents[2]
APP = ROOT / "tests" / "runtimes" / "apps" / "cloudflare_functions.py"
SCRIPT = (
    "import cloudflare_functions\nfrom portable_fn_cloudflare import entry\nDefault = entry(cloudflare_functions)\n"
)


WORKERD = [
    pytest.param("workerd", marks=pytest.mark.runtime),
    pytest.param("workerd, from a snapshot", marks=pytest.mark.runtime),
]


def start(name: str) -> Any:
    return worker(SCRIPT, APP, vars={"GREETING": "grüße"}, snapshot=name != "workerd")


@pytest.fixture(scope="module", params=["in process", *WORKERD])
def send(request: pytest.FixtureRequest) -> Iterator[Send]:
    if request.param == "in process":
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("GREETING", "grüße")
            yield lambda event: deliver(functions, event, to="cloudflare")
        return
    try:
        with start(request.param) as running:
            yield lambda event: through_the_edge(running, event)
    except Unavailable as exc:
        pytest.skip(str(exc))


@pytest.fixture(scope="module", params=WORKERD[:1])
def running(request: pytest.FixtureRequest) -> Iterator[Workerd]:
    try:
        with start(request.param) as running:
            yield running
    except Unavailable as exc:
        pytest.skip(str(exc))


def seen(send: Send, target: str = "/seen/x", method: str = "GET", **fields: Any) -> dict[str, Any]:
    answer = send(fake.request(method, target, **fields))
    assert answer.status == 200, answer
    result: dict[str, Any] = answer.json()
    return result


# The request


def test_the_target_arrives_as_it_was_sent(send: Send) -> None:
    target = "/seen/a%2Fb/%41+c/../x//?tag=a&tag=b&q=%20+?/&empty="
    assert ["/seen/a%2Fb/%41+c/../x//", "tag=a&tag=b&q=%20+?/&empty="] == [
        seen(send, target)[key] for key in ("raw_path", "raw_query")
    ]


def test_options_of_the_whole_server_has_a_star_for_its_path() -> None:
    request = decode.request("OPTIONS", "https://example.com:8443*", [], None, None)
    assert ("*", "example.com:8443", "https") == (request.raw_path, request.host, request.scheme)
    request = decode.request("GET", "http://example.com?a=/b", [], None, None)
    assert ("/", "a=/b", "example.com") == (request.raw_path, request.raw_query, request.host)


def test_every_method_arrives(send: Send) -> None:
    methods = ["PROPFIND", "PURGE", "REPORT", "QUERY", "TRACE", "DELETE"]
    assert methods == [seen(send, method=method)["method"] for method in methods]


def test_a_repeated_cookie_header_stays_one_value_so_that_no_cookie_forges_another(send: Send) -> None:
    found = seen(send, headers=[("cookie", "a=1; b=2"), ("cookie", "__Host-c=3")])
    assert [["a", "1"], ["b", "2, __Host-c=3"]] == found["cookies"]
    assert "a=1; b=2, __Host-c=3" == found["cookie"]


def test_the_ray_is_the_id_of_request_and_invocation(send: Send) -> None:
    found = seen(send, id="8f1d0c-AMS")
    assert ["8f1d0c-AMS"] * 2 == [found["id"], found["invocation_id"]]


def test_without_a_ray_the_id_is_x_request_id_or_a_new_one() -> None:
    assert "r-1" == decode.request("GET", "https://a/", [["x-request-id", "r-1"]], None, None).id
    first, second = (decode.request("GET", "https://a/", [], None, None).id for _ in range(2))
    assert len(first) == len(second) == 32
    assert first != second


def test_the_region_is_the_data_centre_and_there_is_no_deadline(send: Send) -> None:
    found = seen(send)
    assert ("cloudflare", "AMS", "", None) == tuple(
        found[key] for key in ("provider", "region", "version", "remaining")
    )


def test_a_verified_client_certificate_is_the_principal(send: Send) -> None:
    claims = {"certIssuerDN": "CN=ca", "certSerial": "00"}
    identity, scheme, raw = seen(send, principal=Principal("CN=Zoë,O=Example", "mtls", claims))["principal"]
    assert ("CN=Zoë,O=Example", "mtls") == (identity, scheme)
    assert {**claims, "certVerified": "SUCCESS"}.items() <= raw.items()


@pytest.mark.parametrize(
    "claims", [{"certVerified": "FAILED:certificate has expired"}, {"certVerified": "NONE"}, {"certRevoked": "1"}]
)
def test_a_failed_or_revoked_certificate_gives_no_principal(send: Send, claims: dict[str, str]) -> None:
    assert None is seen(send, principal=Principal("CN=Mallory", "mtls", claims))["principal"]


@pytest.mark.parametrize("cf", [{"tlsClientAuth": None}, {"tlsClientAuth": {}}, {}])
def test_a_request_without_a_certificate_has_no_principal(cf: dict[str, Any]) -> None:
    assert None is decode.request("GET", "https://a/", [], simulate.JsProxy(cf), None).principal


def test_several_set_cookie_lines_in_a_request_are_kept() -> None:
    request = decode.request(
        "GET", "https://a/", [["set-cookie", "a=1"], ["set-cookie", "b=2"], ["x", "1"]], None, None
    )
    assert (["a=1", "b=2"], "1") == (request.headers.get_all("set-cookie"), request.headers["x"])


def test_env_has_the_bindings_only(send: Send) -> None:
    assert {
        "greeting": "grüße",
        "default": "default",
        "in": [True, False],
        "listed": True,
        "length": True,
        "missing": ["NO_SUCH_NAME", "toString", "__class__", "_env", "constructor"],
    } == send(fake.request("GET", "/env")).json()


def test_bindings_of_json_are_plain_python_and_the_version_is_that_of_the_metadata() -> None:
    from portable_fn import Context, portable

    bindings = {"LIMITS": {"a": [1, None]}, "NOTHING": None, "CF_VERSION_METADATA": {"id": "v-1", "tag": ""}}
    found: dict[str, Any] = {}

    @portable
    def handler(request: Request, ctx: Context) -> None:
        found.update(ctx.env, version=ctx.version)

    default = worker_class((handler,), simulate.WorkerEntrypoint, simulate.JS, simulate.FFI)
    run(simulate.served(default, simulate.fetch_request(fake.request()), bindings))
    assert {**bindings, "version": "v-1"} == found


def run(awaitable: Any) -> Any:
    import asyncio

    async def awaited() -> Any:
        return await awaitable

    return asyncio.run(awaited())


# The body's limit


def test_a_body_over_the_router_s_limit_is_refused_before_it_is_read(running: Workerd) -> None:
    headers = [("Content-Length", str(10 * 1024 * 1024 + 1)), ("Host", "example.com")]
    received = send_raw(running.url, "POST", "/small", headers, b"only the beginning")
    assert 413 == received.status


def test_a_chunked_body_is_counted_as_it_is_read(running: Workerd) -> None:
    def chunked(size: int) -> tuple[int, Any]:
        body = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in [b"x" * 65536] * (size // 65536)) + b"0\r\n\r\n"
        received = send_raw(running.url, "POST", "/seen/x", [("Transfer-Encoding", "chunked")], body)
        return received.status, json.loads(received.body).get("size")

    assert (200, 1024 * 1024) == chunked(1024 * 1024)
    assert (413, None) == chunked(11 * 1024 * 1024)
    assert (200, 0) == chunked(0)


def test_a_body_without_a_length_over_the_limit_is_a_413() -> None:
    native = simulate.fetch_request(fake.request("POST", "/seen/x", body=b"x" * (10 * 1024 * 1024 + 1)))
    native.headers = [pair for pair in native.headers if pair[0] != "content-length"]
    default = worker_class((functions,), simulate.WorkerEntrypoint, simulate.JS, simulate.FFI)
    assert 413 == simulate.answer(run(simulate.served(default, native))).status


def test_a_body_that_breaks_off_leaves_the_worker_alive(running: Workerd) -> None:
    host, _, port = running.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(b"POST /seen/x HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nonly this")
    assert 200 == send_raw(running.url, "GET", "/seen/x", [], None).status
    assert not [line for line in running.logs if "Traceback" in line]


# The response


@pytest.mark.parametrize("what", ["interrupt", "cancelled", "stop", "surrogate"])
def test_any_error_is_answered(send: Send, what: str) -> None:
    answer = send(fake.request("GET", f"/odd/{what}"))
    assert answer.status == 500, answer
    assert "application/problem+json" == answer.headers["content-type"]


@pytest.mark.parametrize("status", [200, 201, 204, 205, 304, 404, 599])
def test_every_status_is_received_without_a_body(send: Send, status: int) -> None:
    answer = send(fake.request("GET", f"/odd/{status}"))
    assert (status, b"", str(status)) == (answer.status, answer.body, answer.headers["x-status"])


def test_an_encoded_body_is_not_encoded_again(send: Send) -> None:
    answer = send(fake.request("GET", "/odd/gzip", headers={"accept-encoding": "gzip"}))
    assert (b"already encoded", "gzip") == (answer.body, answer.headers["content-encoding"])


def test_no_content_type_is_invented(send: Send) -> None:
    answer = send(fake.request("GET", "/odd/bare"))
    assert (b"bare", None) == (answer.body, answer.headers.get("content-type"))


def test_set_cookie_among_the_headers_and_cookies_are_all_received(send: Send) -> None:
    cookies = send(fake.request("GET", "/odd/set-cookie")).cookies
    assert ["a=1", "b=2", "c=3; Path=/"] == sorted(cookies)


def test_a_list_header_twice_is_one_list(send: Send) -> None:
    answer = send(fake.request("GET", "/odd/twice"))
    assert ("a, b", "A, B") == (answer.headers["vary"], answer.headers["www-authenticate"])


def test_head_has_the_length_of_the_body(send: Send) -> None:
    answer = send(fake.request("HEAD", "/odd/bare"))
    assert (200, b"", "4") == (answer.status, answer.body, answer.headers["content-length"])


# Streams


@pytest.mark.parametrize("path", ["/stream", "/sync-stream"])
def test_a_stream_has_the_context_variables_of_its_handler(send: Send, path: str) -> None:
    assert send(fake.request("GET", f"{path}/ok?who=Ada")).body.endswith(b",Ada")
    assert send(fake.request("GET", f"{path}/ok")).body.endswith(b",nobody")


def test_empty_chunks_are_left_out_and_text_is_utf8(send: Send) -> None:
    assert [b"one,", "zwölf,".encode(), b"nobody"] == send(fake.request("GET", "/stream/ok")).chunks


@pytest.mark.parametrize("path", ["/stream/fails", "/stream/exits", "/stream/number", "/sync-stream/fails"])
def test_a_stream_that_fails_is_a_truncated_answer_and_the_worker_lives(send: Send, path: str) -> None:
    with pytest.raises(ConnectionError):
        send(fake.request("GET", path))
    assert 200 == send(fake.request("GET", "/seen/x")).status


def test_an_error_of_a_stream_is_logged_and_the_iterator_closed(running: Workerd) -> None:
    for path, error in {"/stream/fails": "LookupError: no such part", "/stream/exits": "SystemExit: 3"}.items():
        before = len(running.logs)
        with pytest.raises(ConnectionError):
            through_the_edge(running, fake.request("GET", path, id="ray-7"))
        wait_for(lambda: any(error in line for line in running.logs[before:]))  # noqa: B023  # awaited at once
        assert any("invocation ray-7 failed while it streamed" in line for line in running.logs[before:])
        assert any(line.startswith("closed") for line in running.logs[before:])


@pytest.mark.parametrize("path", ["/stream/endless", "/stream/stuck", "/sync-stream/endless"])
def test_a_client_that_leaves_closes_the_iterator(running: Workerd, path: str) -> None:
    line = f"closed {path.split('/')[2]}" + (" sync" if "sync" in path else "")
    before = running.logs.count(line)
    host, _, port = running.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: example.com\r\n\r\n".encode())
        connection.recv(4096)
        time.sleep(0.1)
    wait_for(lambda: running.logs.count(line) > before)
    assert 200 == send_raw(running.url, "GET", "/seen/x", [], None).status


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_stream_s_proxies_are_destroyed_however_it_ends() -> None:
    before = simulate.Proxy.alive
    for how in ("ok", "fails", "exits"):
        try:
            deliver(functions, fake.request("GET", f"/stream/{how}"), to="cloudflare")
        except ConnectionError:
            pass
    assert before == simulate.Proxy.alive


@pytest.mark.parametrize("how", ["endless", "stuck"])
@pytest.mark.parametrize("pulled", [0, 1, 3])
def test_a_cancelled_stream_is_closed_at_once(how: str, pulled: int, capsys: pytest.CaptureFixture[str]) -> None:
    import asyncio

    async def cancelled() -> None:
        native = simulate.fetch_request(fake.request("GET", f"/stream/{how}"))
        default = worker_class((functions,), simulate.WorkerEntrypoint, simulate.JS, simulate.FFI)
        made = await default(simulate.ExecutionContext(), simulate.Env({})).fetch(simulate.SDKRequest(native))
        for number in range(pulled):
            pulling = asyncio.ensure_future(made.body._pull(made.body))
            if number < pulled - 1:
                await pulling
        await asyncio.sleep(0.03)
        await made.body.cancel("the client has gone")

    before = simulate.Proxy.alive
    asyncio.run(cancelled())
    assert before == simulate.Proxy.alive
    assert capsys.readouterr().out == (f"closed {how}\n" if pulled else "")


# What goes on after the answer


def test_background_work_doesn_t_delay_the_answer_and_what_it_raises_is_logged(running: Workerd) -> None:
    for how, logged in {"works": None, "fails": "LookupError: no such work", "exits": "SystemExit: 3"}.items():
        began = json.loads(send_raw(running.url, "GET", f"/background/{how}", [], None).body)
        assert how not in began
        wait_for(lambda: how in json.loads(send_raw(running.url, "GET", "/done", [], None).body))  # noqa: B023
        if logged:
            running.process.logged(logged)
            running.process.logged("background work failed")


def test_background_work_is_done_in_process_too(caplog: pytest.LogCaptureFixture) -> None:
    functions.DONE.clear()
    for how in ("works", "fails", "exits"):
        deliver(functions, fake.request("GET", f"/background/{how}"), to="cloudflare")
    assert ["works", "fails", "exits"] == functions.DONE
    assert ["background work failed"] * 2 == [record.message for record in caplog.records]


# The class


def test_rpc_can_call_only_fetch_of_default() -> None:
    default = worker_class((functions,), simulate.WorkerEntrypoint, simulate.JS, simulate.FFI)
    assert "Default" == default.__name__
    assert ["fetch"] == [name for name in vars(default) if not name.startswith("__")]


def test_nothing_else_can_be_called_by_rpc_in_workerd(running: Workerd) -> None:
    for name in ("router", "_fetch", "entry", "functions"):
        with pytest.raises(RuntimeError, match=f"{name}.*does not|does not.*{name}"):
            running._call(name, 1)


def test_importing_the_package_imports_nothing_of_a_worker_s() -> None:
    code = (
        "import sys, portable_fn_cloudflare; "
        "print(*sorted({'js', 'pyodide', 'workers', 'asyncio', 'typing', 'dataclasses', 'inspect', 'logging', 'random', "
        "'portable_fn_cloudflare.stream', 'portable_fn.adapter.problem'} & sys.modules.keys()))"
    )
    path = {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT / 'adapters'}"}
    result = subprocess.run([sys.executable, "-S", "-c", code], env=path, check=True, capture_output=True, text=True)
    assert "" == result.stdout.strip()


def test_a_request_leaves_no_garbage() -> None:
    native = simulate.fetch_request(fake.request("GET", "/seen/x"))
    default = worker_class((functions,), simulate.WorkerEntrypoint, simulate.JS, simulate.FFI)

    async def served() -> bool:
        made = await default(simulate.ExecutionContext(), simulate.Env({})).fetch(simulate.SDKRequest(native))
        assert 200 == made.status
        return True

    def alive() -> list[object]:
        return [found for found in gc.get_objects() if isinstance(found, (Request, decode.CloudflareContext))]

    gc.collect()
    gc.disable()
    try:
        # Other tests may keep what they were given.
        before = alive()
        assert run(served())
        assert [] == [found for found in alive() if not any(found is one for one in before)]
    finally:
        gc.enable()
