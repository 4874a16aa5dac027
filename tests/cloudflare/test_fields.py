"""Which of a Worker's fields becomes which neutral one, and what exactly the Worker answers."""

from __future__ import annotations

import asyncio
import logging
import re
import sys
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from portable_fn import (
    CloudEvent,
    Context,
    DecodeError,
    Message,
    ObjectEvent,
    Principal,
    Reject,
    Request,
    Response,
    Retry,
    ScheduleEvent,
    Task,
    on,
    portable,
)
from portable_fn.errors import EncodeError
from portable_fn.outcomes import DONE, Outcome
from portable_fn.testing import fake
from portable_fn.testing.loop import run
from portable_fn_cloudflare import decode, encode, entry, stream
from portable_fn_cloudflare.events import decode as events
from portable_fn_cloudflare.events import encode as encode_events
from portable_fn_cloudflare.simulate.javascript import (
    FFI,
    JS,
    Env,
    ExecutionContext,
    FetchRequest,
    JsBody,
    JsException,
    JSResponse,
    Proxy,
    SDKRequest,
    WorkerEntrypoint,
    javascript,
)

NOON = datetime(2026, 3, 4, 12, 0, 0, 5000, tzinfo=UTC)
NATIVE = object()


def told(event: object) -> dict[str, Any]:
    """All that an adapter says of an event, whether two events differ in it or not."""
    return dict(vars(event))


# Requests

ACCEPT = [["accept", "*/*"]]
VERIFIED = {"certVerified": "SUCCESS", "certRevoked": "0", "certSubjectDN": "CN=Ada"}


@pytest.mark.parametrize(
    ("url", "fields"),
    [
        ("https://a.example:8443/x%20y?q=1&q=?2", {"host": "a.example:8443", "raw_path": "/x%20y", "raw_query": "q=1&q=?2"}),
        ("http://a.example/?", {"scheme": "http"}),
        ("https://a.example/a/b://c?d://e", {"raw_path": "/a/b://c", "raw_query": "d://e"}),
        ("https://a.example", {}),
        ("https://a.example*", {"raw_path": "*"}),
        ("https://a.example/*", {"raw_path": "/*"}),
    ],
)  # fmt: skip
def test_a_url_becomes_scheme_host_path_and_query(url: str, fields: dict[str, str]) -> None:
    seen = decode.request("PUT", url, ACCEPT, None, NATIVE)
    expected = {"scheme": "https", "host": "a.example", "raw_path": "/", "raw_query": "", **fields}
    assert expected == {name: getattr(seen, name) for name in expected}
    assert ("PUT", ACCEPT, NATIVE, None, None, b"") == (
        seen.method,
        [list(pair) for pair in seen.headers.multi_items()],
        seen.native,
        seen.client_ip,
        seen.principal,
        seen.body,
    )


def test_headers_are_kept_and_name_the_client_and_the_ray() -> None:
    lines = [["cf-connecting-ip", "203.0.113.9"], ["cf-ray", "ray-7"], ["set-cookie", "a=1"], ["set-cookie", "b=2"]]
    seen = decode.request("GET", "https://a.example/", lines, None, NATIVE)
    assert ("203.0.113.9", "ray-7", ["a=1", "b=2"]) == (seen.client_ip, seen.id, seen.headers.get_all("set-cookie"))
    assert "ray-7" == decode.request("GET", "https://a.example/", lines[:2], None, NATIVE).headers["cf-ray"]


@pytest.mark.parametrize(
    ("certificate", "principal"),
    [
        (VERIFIED, Principal("CN=Ada", "mtls", VERIFIED)),
        ({"certVerified": "SUCCESS"}, Principal("", "mtls", {"certVerified": "SUCCESS"})),
        ({**VERIFIED, "certRevoked": "1"}, None),
        ({**VERIFIED, "certVerified": "FAILED"}, None),
        ({"certSubjectDN": "CN=Ada"}, None),
    ],
)
def test_the_certificate_that_the_edge_verified_is_the_principal(
    certificate: dict[str, str], principal: Principal | None
) -> None:
    cf: Any = javascript({"tlsClientAuth": certificate})
    assert principal == decode.request("GET", "https://a.example/", [], cf, NATIVE).principal


@pytest.mark.parametrize(
    ("cf", "env", "region", "version"),
    [
        (SimpleNamespace(colo="AMS"), {"CF_VERSION_METADATA": {"id": "v7", "tag": "t"}}, "AMS", "v7"),
        (SimpleNamespace(), {"CF_VERSION_METADATA": {}}, "", ""),
        (None, {"CF_VERSION_METADATA": "v7"}, "", ""),
        (None, {}, "", ""),
    ],
)
def test_a_context_has_what_cloudflare_sends(cf: Any, env: dict[str, Any], region: str, version: str) -> None:
    native: Any = object()
    for context, id in (
        (decode.CloudflareContext(native, fake.request(id="ray-7"), cf, True, lambda: env), "ray-7"),
        (events.CloudflareEventContext(native, True, lambda: env), None),
    ):
        assert ("cloudflare", "", native, True, version, env, None, None) == (
            context.provider,
            context.function,
            context.native,
            context.cold_start,
            context.version,
            context.env,
            context.deadline,
            context.remaining(),
        )
        assert (region if id else "") == context.region
        assert (context.invocation_id == id) if id else re.fullmatch("[0-9a-f]{32}", context.invocation_id)
    assert (
        events.CloudflareEventContext(native, False, dict).invocation_id
        != events.CloudflareEventContext(native, False, dict).invocation_id
    )
    assert events.CloudflareEventContext(native, False, dict).cold_start is False


def test_background_work_is_passed_to_wait_until_and_started() -> None:
    waited: list[asyncio.Task[Any]] = []
    done: list[str] = []

    async def work() -> None:
        done.append("work")

    async def invoked() -> None:
        native: Any = SimpleNamespace(waitUntil=waited.append)
        decode.CloudflareContext(native, fake.request(), None, False, dict).background(work())
        await asyncio.gather(*waited)

    asyncio.run(invoked())
    assert (1, ["work"]) == (len(waited), done)


def test_javascripts_methods_are_not_bindings() -> None:
    env: Any = SimpleNamespace(DB="db", KV="kv", toString="native code")
    bindings = decode.Bindings(env, ["KV", "DB"], str.upper)
    assert ({"KV": "KV", "DB": "DB"}, ["KV", "DB"], 2) == (dict(bindings), list(bindings), len(bindings))
    with pytest.raises(KeyError, match="toString"):
        bindings["toString"]


@portable(on.http("POST", "/size", max_body=5000))
def size(request: Request) -> str:
    return str(len(request.body))


class Broken:
    """A body that breaks off."""

    async def __aiter__(self) -> AsyncIterator[Any]:
        yield javascript(b"12")
        raise JsException("Network connection lost")


@pytest.mark.parametrize(
    ("body", "length", "status", "words"),
    [
        (JsBody(b"x" * 5000), "5000", 200, b"5000"),
        (JsBody(b"x" * 5000), None, 200, b"5000"),
        (JsBody(b"x" * 5001), "5001", 413, b"over 5000 bytes"),
        (JsBody(b"x" * 5001), None, 413, b"over 5000 bytes"),
        (JsBody(b""), "9" * 19, 413, b"The body is over"),
        (Broken(), "many", 400, b"can't be read to its end: Network connection lost."),
        (Broken(), None, 400, b"can't be read to its end: Network connection lost."),
    ],
)
def test_a_body_is_read_up_to_the_limit(body: Any, length: str | None, status: int, words: bytes) -> None:
    lines = [] if length is None else [("content-length", length)]
    native = FetchRequest("POST", "https://a.example/size", lines, b"", None)
    native.body = body
    made: Any = run(serving(size)(ExecutionContext(), Env({})).fetch(SDKRequest(native)))
    assert status == made.status
    assert words in made.chunks[0]


def serving(*functions: Any) -> Any:
    """The class that `entry` makes, of modules that are there in Workers alone."""
    with pytest.MonkeyPatch.context() as patch:
        for name, module in {
            "js": JS,
            "pyodide": SimpleNamespace(ffi=FFI),
            "workers": SimpleNamespace(WorkerEntrypoint=WorkerEntrypoint),
        }.items():
            patch.setitem(sys.modules, name, module)
        return entry(*functions)


# Events


def queued(**fields: Any) -> Any:
    return SimpleNamespace(**{"id": "m7", "timestamp": NOON, "body": "text", "attempts": 3, **fields})


@pytest.mark.parametrize(
    ("native", "expected"),
    [
        (queued(), Message("m7", "orders", b"text", channel="orders", time=NOON, attempt=3)),
        (
            queued(body=javascript({"n": 1}), timestamp=javascript(NOON), attempts=None),
            Message("m7", "orders", b'{"n":1}', channel="orders", time=NOON, content_type="application/json"),
        ),
        (
            queued(body=memoryview(b"\xff"), attempts=True, timestamp=NOON.replace(tzinfo=None)),
            Message("m7", "orders", b"\xff", channel="orders", time=NOON, content_type="application/octet-stream"),
        ),
    ],
)
def test_a_message_has_the_fields_of_its_queue(native: Any, expected: Message[Any]) -> None:
    expected.native = native
    batch: Any = SimpleNamespace(queue="orders", messages=[native, queued(id="")])
    natives, (seen, error) = events.messages(batch, FFI)
    assert [native, batch.messages[1]] == natives
    assert told(expected) == told(seen)
    assert isinstance(error, DecodeError)


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        ({"id": ""}, "a message of 'orders' has no id"),
        ({"id": 7}, "a message of 'orders' has no id"),
        ({"body": float("nan")}, "nan"),
    ],
)
def test_an_error_names_the_message_that_cannot_be_read(broken: dict[str, Any], words: str) -> None:
    with pytest.raises(DecodeError, match=f"^{re.escape(words)}$" if " " in words else words):
        events.message(queued(**broken), "orders", FFI)
    del (native := queued()).id
    with pytest.raises(DecodeError, match="a message of 'orders'"):
        events.message(native, "orders", FFI)


R2: dict[str, Any] = {
    "account": "acc",
    "action": "CompleteMultipartUpload",
    "bucket": "buck",
    "object": {"key": "a b+c.png", "size": 7, "eTag": "tag"},
    "eventTime": "2026-03-04T12:00:00.005Z",
}
ENVELOPE = fake.message({}, id="m1")


@pytest.mark.parametrize(
    ("change", "fields", "action"),
    [
        ({}, {"size": 7, "etag": "tag"}, "created"),
        ({"action": "PutObject", "object": {"key": "a b+c.png", "size": 0}}, {"size": 0}, "created"),
        ({"action": "CopyObject", "object": {"key": "a b+c.png", "size": None, "eTag": None}}, {}, "created"),
        ({"action": "DeleteObject", "object": {"key": "a b+c.png"}}, {}, "deleted"),
        ({"action": "LifecycleDeletion", "object": {"key": "a b+c.png"}}, {}, "deleted"),
    ],
)
def test_an_r2_notification_becomes_an_object_event(
    change: dict[str, Any], fields: dict[str, Any], action: str
) -> None:
    notification = {**R2, **change}
    message = fake.message(notification, id="m7", content_type="application/json")
    message.native = NATIVE
    message.envelopes = (ENVELOPE,)
    (seen,) = events.inside(message)
    expected = ObjectEvent(
        "m7",
        "acc/buck",
        "buck",
        "a b+c.png",
        action,
        time=NOON,
        type=notification["action"],
        notification=notification,
        native=NATIVE,
        envelopes=(ENVELOPE, message),
        **fields,
    )
    assert told(expected) == told(seen)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"bucket": 7}, "the bucket of an R2 notification must be a string, not a int"),
        ({"object": {"key": ["k"]}}, "the key of an R2 notification must be a string, not a list"),
        ({"object": {"size": 7}}, "an R2 notification can't be read: 'key' is missing"),
        ({"account": {}}, "the account of an R2 notification must be a string, not a dict"),
        ({"action": "Melted" * 9}, "R2's action 'MeltedMeltedMeltedMeltedMeltedMeltedMelt' is unknown; possible are PutObject, CopyObject, "),
    ],
)  # fmt: skip
def test_a_notification_that_cannot_be_read_names_the_field(change: dict[str, Any], words: str) -> None:
    with pytest.raises(DecodeError, match=re.escape(words)):
        events.inside(fake.message({**R2, **change}))


@pytest.mark.parametrize("missing", R2)
def test_json_without_a_field_of_a_notification_is_not_a_notification(missing: str) -> None:
    assert [] == events.inside(fake.message({name: value for name, value in R2.items() if name != missing}))


@pytest.mark.parametrize("body", [b'"eventTime" {', b'["eventTime"]', b"\xff", b"", b"7"])
def test_other_bodies_hold_nothing(body: bytes) -> None:
    assert [] == events.inside(fake.message(body=body))
    assert [] == events.inside(fake.schedule())


def test_a_cloud_event_in_a_message_has_its_envelope_and_its_attempt() -> None:
    message = fake.message({"specversion": "1.0", "id": "e", "source": "/s", "type": "t"}, attempt=3)
    message.native = NATIVE
    expected = CloudEvent("e", "/s", "t", attempt=3, native=NATIVE, envelopes=(message,))
    assert [told(expected)] == [told(one) for one in events.inside(message)]


def test_a_schedule_has_its_cron_and_its_due_time() -> None:
    controller: Any = SimpleNamespace(cron=" 0  3 * * * ", scheduledTime=1772625600005.0)
    expected = ScheduleEvent("0 3 * * *@1772625600005", "scheduled", time=NOON, cron="0 3 * * *", native=controller)
    assert told(expected) == told(events.schedule(controller))


@pytest.mark.parametrize(
    "fields", [{}, {"cron": "* * * * *"}, {"cron": 7, "scheduledTime": 0}, {"cron": "", "scheduledTime": "x"}]
)
def test_a_schedule_that_cannot_be_read_says_so(fields: dict[str, Any]) -> None:
    controller: Any = SimpleNamespace(**fields)
    with pytest.raises(DecodeError, match=r"^a schedule can't be read: [A-Z][a-z]+Error$"):
        events.schedule(controller)


def mail(headers: dict[str, str] | None = None, **fields: Any) -> events.Email:
    native = {"from": "ada@a.example", "to": "shop@b.example", **fields}
    given = {"message-id": " <7@a.example> ", "return-path": "<forged@c.example>", **(headers or {})}
    return events.email(native, given.items(), b"the content")


def test_an_email_has_its_envelope_headers_and_content() -> None:
    headers = {"subject": "=?utf-8?q?gr=C3=BC=C3=9Fe?=", "date": "Wed, 4 Mar 2026 13:00:00 +0100"}
    seen = mail(headers)
    expected = fake.message(
        body=b"the content",
        channel="shop@b.example",
        id="<7@a.example>",
        time=NOON.replace(microsecond=0),
        content_type="message/rfc822",
        attributes={"message-id": " <7@a.example> ", "return-path": "<ada@a.example>", **headers},
        subject="grüße",
        attempt=None,
    )
    assert expected == seen
    assert {"from": "ada@a.example", "to": "shop@b.example"} == seen.native
    as_object: Any = SimpleNamespace(**{"from": "ada@a.example", "to": "shop@b.example"})
    assert as_object is events.email(as_object, {"message-id": "7"}.items(), b"").native


@pytest.mark.parametrize("date", ["", "noon", "Wed, 4 Mar 2026 99:00:00 +0100", "Fri, 31 Dec 9999 23:30:00 -0100"])
def test_an_email_may_have_no_sender_no_subject_and_no_date(date: str) -> None:
    seen = mail({"date": date} if date else {}, **{"from": None})
    assert ("<>", "", None) == (seen.attributes["return-path"], seen.subject, seen.time)


def test_an_email_s_date_without_a_zone_is_utc_and_a_plain_subject_stays() -> None:
    seen = mail({"date": "Wed, 4 Mar 2026 12:00:00 -0000", "subject": "a = b?"})
    assert (NOON.replace(microsecond=0), UTC, "a = b?") == (seen.time, seen.time and seen.time.tzinfo, seen.subject)


@pytest.mark.parametrize(
    ("headers", "fields", "words"),
    [
        ({"message-id": "  "}, {}, "the email has no Message-ID"),
        ({}, {"to": ""}, "the email has no recipient"),
        ({}, {"to": None}, "the email has no recipient"),
        ({}, {"to": ["shop@b.example"]}, "the email has no recipient"),
    ],
)
def test_an_email_that_cannot_be_read_says_why(headers: dict[str, str], fields: dict[str, Any], words: str) -> None:
    with pytest.raises(DecodeError, match=f"^{words}$"):
        mail(headers, **fields)


def test_an_email_without_an_id_or_an_envelope_is_an_error() -> None:
    with pytest.raises(DecodeError, match=r"^the email has no Message-ID$"):
        events.email({"from": "a", "to": "b"}, [], b"")
    with pytest.raises(DecodeError, match=r"^an email can't be read: 'to' is missing$"):
        events.email({"from": "b"}, [], b"")


@pytest.mark.parametrize(
    ("args", "by_name", "value"),
    [
        ((), {}, None),
        (({"n": 1},), {}, {"n": 1}),
        (([1],), {}, [1]),
        ((1, [2]), {}, [1, [2]]),
        ((), {"a": [1]}, {"a": [1]}),
        ((1,), {"a": NOON}, [1, {"a": NOON}]),
    ],
)
def test_an_rpc_call_becomes_a_task(args: tuple[Any, ...], by_name: dict[str, Any], value: Any) -> None:
    given = tuple(map(javascript, args))
    expected = Task("call-7", "rpc", value, name="total", type="rpc", native=given)
    assert told(expected) == told(
        events.task("total", given, {name: javascript(one) for name, one in by_name.items()}, "call-7", FFI)
    )


# Answers


def answered(response: Response) -> JSResponse:
    made: Any = encode.response(response, Context(), JS, FFI)
    return made  # type: ignore[no-any-return]  # JavaScript's


@pytest.mark.parametrize(
    ("response", "status", "headers", "body"),
    [
        (Response(201, [("x-a", "1"), ("set-cookie", "c=1"), ("set-cookie", "d=2")], (), b"made"), 201, [("x-a", "1"), ("set-cookie", "c=1"), ("set-cookie", "d=2")], b"made"),
        (Response(204), 204, [], b""),
        (Response(200, {"content-encoding": "gzip"}, (), b"\x1f\x8b"), 200, [("content-encoding", "gzip")], b"\x1f\x8b"),
    ],
)  # fmt: skip
def test_a_response_becomes_javascripts(
    response: Response, status: int, headers: list[tuple[str, str]], body: bytes
) -> None:
    made = answered(response)
    assert (status, headers, [body], None) == (made.status, made.headers, made.chunks, made.body)


class NativeMessage:
    """A message that keeps how it was acknowledged or retried."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, int]]] = []

    def ack(self) -> None:
        self.calls.append(("ack", {}))

    def retry(self, **options: int) -> None:
        self.calls.append(("retry", options))


@pytest.mark.parametrize(
    ("outcome", "call", "log"),
    [
        (DONE, ("ack", {}), []),
        (Reject("no use"), ("ack", {}), []),
        (Retry(), ("retry", {}), []),
        (Retry(after=0), ("retry", {"delaySeconds": 0}), []),
        (Retry(after=1.2), ("retry", {"delaySeconds": 2}), []),
        (Retry(after=43_200), ("retry", {"delaySeconds": 43_200}), []),
        (
            Retry(after=43_200.5),
            ("retry", {"delaySeconds": 43_200}),
            ["a retry waits for 43200 seconds, not 43201: Queues can't wait longer"],
        ),
    ],
)
def test_a_message_is_acknowledged_or_retried_once(
    outcome: Outcome, call: tuple[str, dict[str, int]], log: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    native = NativeMessage()
    encode_events.acknowledge(native, outcome, Context())  # type: ignore[arg-type]  # as far as it is read
    assert ([call], log) == (native.calls, [record.getMessage() for record in caplog.records])
    assert all(record.levelno == logging.WARNING for record in caplog.records)


def test_a_result_must_be_json() -> None:
    made: Any = encode_events.result({"at": NOON, "ok": True}, JS)
    assert {"at": "2026-03-04T12:00:00.005000+00:00", "ok": True} == made.to_py()
    circle: list[Any] = []
    circle.append(circle)
    for value, name in ((object(), "object"), (float("nan"), "float"), (circle, "list")):
        with pytest.raises(EncodeError, match=f"^a task returns a JSON value, not {name}: [^ ]"):
            encode_events.result(value, JS)


def test_an_error_of_a_task_keeps_the_name_of_its_class() -> None:
    error = LookupError("no such order")
    thrown = encode_events.Thrown(error, JS)
    rejected = thrown.js_object.error
    assert isinstance(rejected, JsException)
    assert (error, "LookupError", "no such order") == (thrown.error, rejected.name, str(rejected))


# Streams


class Controller:
    """What workerd hands to the source of a stream."""

    def __init__(self) -> None:
        self.told: list[object] = []

    def enqueue(self, chunk: Any) -> None:
        self.told.append(chunk.to_bytes())

    def close(self) -> None:
        self.told.append("closed")

    def error(self, reason: object) -> None:
        self.told.append(f"broken: {reason}")


async def pulled(body: stream.Chunks, times: int, *, cancel_before: int | None = None) -> list[object]:
    """What workerd gets for each pull; before that many of them the client goes."""
    js: Any = SimpleNamespace(Error=JS.Error, ReadableStream=SimpleNamespace(new=SimpleNamespace))
    source: Any = stream.readable(body, Context(invocation_id="i7"), js, FFI)
    controller = Controller()
    for number in range(times):
        waiting = asyncio.ensure_future(source.pull(controller))
        await asyncio.sleep(0.01)
        if number == cancel_before:
            await source.cancel("the client has gone")
        await waiting
    return controller.told


class Lines:
    """Chunks of an iterator that can't be closed."""

    def __init__(self) -> None:
        self._left: list[bytes | str] = [b"b", "ä"]

    def __iter__(self) -> Lines:
        return self

    def __next__(self) -> bytes | str:
        if not self._left:
            raise StopIteration
        return self._left.pop()


async def breaking() -> AsyncIterator[bytes]:
    yield b"a"
    raise LookupError("not for others to read")


async def stuck() -> AsyncIterator[bytes]:
    await asyncio.sleep(60)
    yield b"never"


async def ends_well() -> AsyncIterator[bytes]:
    try:
        await asyncio.sleep(60)
        yield b"never"
    except asyncio.CancelledError:
        pass


async def ends_badly() -> AsyncIterator[bytes]:
    try:
        await asyncio.sleep(60)
        yield b"never"
    finally:
        raise LookupError("in the end")


def in_turn() -> Iterator[bytes]:
    yield from (b"a", b"", b"b")


BROKEN = "invocation i7 failed while it streamed: LookupError"


@pytest.mark.parametrize(
    ("body", "times", "cancel_before", "told", "log"),
    [
        (Lines(), 3, None, ["ä".encode(), b"b", "closed"], []),
        (in_turn(), 3, None, [b"a", b"b", "closed"], []),
        (breaking(), 2, None, [b"a", "broken: the stream of invocation i7 broke off: LookupError"], [BROKEN]),
        (stuck(), 1, 0, [], []),
        (ends_well(), 1, 0, [], []),
        (ends_badly(), 1, 0, [], [BROKEN]),
    ],
)
def test_a_stream_passes_workerd_each_chunk_and_its_end(
    body: Any,
    times: int,
    cancel_before: int | None,
    told: list[object],
    log: list[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    before = Proxy.alive
    assert told == asyncio.run(pulled(body, times, cancel_before=cancel_before))
    assert log == [record.getMessage() for record in caplog.records]
    assert before == Proxy.alive
