"""Every kind of event beside requests in real workerd, by both generations of Cloudflare's SDK."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from event_harnesses import EventCell, cells
from portable_fn.adapter.dead_letter import reason, restored
from portable_fn.events import Event
from portable_fn.testing import fake, replay
from portable_fn.testing.results import Raised
from portable_fn.testing.stories import StoryRun
from portable_fn_cloudflare.simulate import events as simulate_events
from tests.runtimes.cloudflare import JS, JSError, Workerd
from tests.runtimes.cloudflare_stories import through_the_edge, worker
from tests.runtimes.environments import ROOT, Unavailable

pytestmark = pytest.mark.runtime

APP = ROOT / "tests" / "runtimes" / "apps" / "cloudflare_events.py"

SCRIPT = """
import cloudflare_events
from portable_fn.testing.stories import events_app as app
from portable_fn_cloudflare import entry

Default = entry(
    app.message, app.stored_by_messages, app.happened_by_messages, app.tick, app.function, cloudflare_events
)
"""

OTHERS = """
import cloudflare_events
from portable_fn.testing.stories import events_app as app
from portable_fn_cloudflare import entry

Default = entry(app.batch, app.failing, cloudflare_events.seen, cloudflare_events.slow)
"""

NOON = datetime(2026, 3, 4, 12, 0, 0, 5000, tzinfo=UTC)
ORDERS = "orders"


def start(script: str, sdk: str) -> Any:
    return worker(script, APP, queues=["orders-dead", "DEAD"], built_in_sdk=sdk == "SDK built in")


@pytest.fixture(scope="module", params=["SDK 1.9.5", "SDK built in"])
def sdk(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def running(sdk: str) -> Iterator[Workerd]:
    try:
        with start(SCRIPT, sdk) as running:
            yield running
    except Unavailable as exc:
        pytest.skip(str(exc))


@pytest.fixture(scope="module")
def others(sdk: str) -> Iterator[Workerd]:
    try:
        with start(OTHERS, sdk) as running:
            yield running
    except Unavailable as exc:
        pytest.skip(str(exc))


def queue(running: Workerd, *bodies: Any, name: str = ORDERS, attempts: int = 1) -> dict[str, Any]:
    return running.queue(name, [fields(f"m{number}", NOON, attempts, body) for number, body in enumerate(bodies, 1)])


def seen(running: Workerd) -> list[dict[str, Any]]:
    """What the functions saw since the last time."""
    found: list[dict[str, Any]] = running.rpc("seen")
    return found


# The stories


def brought(running: Workerd, events: Sequence[Event[Any]], service: str) -> list[Any]:
    """What workerd says of each call."""
    return [answered(running, native, events) for native in simulate_events.payloads(events, service)]


def answered(running: Workerd, native: Any, events: Sequence[Event[Any]]) -> Any:
    try:
        match native:
            case simulate_events.MessageBatch():
                answer = running.queue(native.queue, [fields(*simulate_events.sent(one)) for one in events])
                return {**answer, "sent": [simulate_events.again(*one) for one in running.sent()]}
            case simulate_events.ScheduledController():
                return running.scheduled(native.cron, datetime.fromtimestamp(native.scheduledTime / 1000, UTC))
            case simulate_events.EmailMessage():
                return running.email(getattr(native, "from"), native.to, native.headers, native.raw.whole)
            case _:
                return running.rpc(native.name, *native.args)
    except JSError as exc:
        return Raised(exc.name, exc.message)


def fields(id: str, time: datetime, attempts: int, body: Any) -> dict[str, Any]:
    return {"id": id, "timestamp": time, "attempts": attempts, "body": body}


def told(running: Workerd, cell: EventCell) -> None:
    def deliver(events: Any, *, seconds: float = 30) -> StoryRun:
        seen(running)
        events = list(events)
        delivery = simulate_events.results(events, cell.service, brought(running, events, cell.service))
        return StoryRun(delivery, seen(running))

    if cell.cannot is None:
        cell.story.tell(deliver)
        return
    with pytest.raises((AssertionError, ValueError)):
        cell.story.tell(deliver)


Recording = Callable[[str, object], None]
# Raw bodies are those of the SDK that was built in.
CELLS = [cell for cell in cells("cloudflare") if cell.service != "queue_raw"]
OF_OTHERS = ("batch", "failing")


@pytest.mark.parametrize(
    "cell", [pytest.param(cell, id=cell.name) for cell in CELLS if cell.story.app not in OF_OTHERS]
)
def test_a_story_holds_in_workerd(
    sdk: str, cell: EventCell, record_property: Recording, request: pytest.FixtureRequest
) -> None:
    record_property("event_cell", (cell.story.name, f"workerd, {sdk}", cell.service, cell.cannot))
    told(request.getfixturevalue("running"), cell)


@pytest.mark.parametrize("cell", [pytest.param(cell, id=cell.name) for cell in CELLS if cell.story.app in OF_OTHERS])
def test_a_story_of_batches_or_failures_holds_in_workerd(
    sdk: str, cell: EventCell, record_property: Recording, request: pytest.FixtureRequest
) -> None:
    record_property("event_cell", (cell.story.name, f"workerd, {sdk}", cell.service, cell.cannot))
    told(request.getfixturevalue("others"), cell)


# Queues


def test_each_message_is_acknowledged_by_itself_even_if_all_are_done(running: Workerd) -> None:
    expected = {
        "outcome": "ok",
        "ackAll": False,
        "retryBatch": {"retry": False},
        "explicitAcks": ["m1", "m4"],
        "retryMessages": [{"msgId": "m2"}, {"msgId": "m3", "delaySeconds": 30}],
    }
    assert expected == queue(running, {}, {"do": "fail"}, {"do": "retry", "after": 30}, {})
    assert ["m1", "m2"] == queue(running, {}, {})["explicitAcks"]
    assert [{"msgId": "m1"}, {"msgId": "m2"}] == queue(running, {"do": "fail"}, {"do": "exit"})["retryMessages"]


def test_a_delay_is_whole_seconds_of_at_most_twelve_hours(running: Workerd) -> None:
    delays = [{"do": "retry", "after": after} for after in (0, 0.2, 43_200, 1e6)]
    assert [0, 1, 43_200, 43_200] == [one["delaySeconds"] for one in queue(running, *delays)["retryMessages"]]


# What a set holds comes in any order.
MIXED = JS("set", ["a", None])
BODIES: list[tuple[Any, bytes, str]] = [
    ("plain, naïve ☃", "plain, naïve ☃".encode(), ""),
    ('{"sku": "lamp"}', b'{"sku": "lamp"}', ""),
    ("", b"", ""),
    (bytes(range(256)), bytes(range(256)), "application/octet-stream"),
    (b"", b"", "application/octet-stream"),
    (
        {"a": [1, None, {"b": None, "é": "☃"}], "f": 1.5, "t": True},
        '{"a":[1,null,{"b":null,"é":"☃"}],"f":1.5,"t":true}'.encode(),
        "application/json",
    ),
    (None, b"null", "application/json"),
    (5, b"5", "application/json"),
    (False, b"false", "application/json"),
    (NOON, b'"2026-03-04T12:00:00.005000Z"', "application/json"),
    ({"at": NOON, "raw": b"\x00\xff"}, b'{"at":"2026-03-04T12:00:00.005000Z","raw":"AP8="}', "application/json"),
    (JS("bigint", "123456789012345678901234567890"), b"123456789012345678901234567890", "application/json"),
    ([JS("bigint", "7")], b"[7]", "application/json"),
    (
        JS("map", [["a", {"x": None}], [1, "one"], [False, 2]]),
        b'{"a":{"x":null},"1":"one","false":2}',
        "application/json",
    ),
    ({"inside": JS("map", [[None, JS("set", [1])]])}, b'{"inside":{"null":[1]}}', "application/json"),
    (MIXED, b'[null, "a"]', "application/json"),
    (JS("js", "undefined"), b'{"there":1,"absent":null}', "application/json"),
    (JS("js", "whole"), b"[9007199254740992,1e+300,0,1.5,-3]", "application/json"),
]


@pytest.mark.parametrize(
    ("sent", "body", "content_type"), [pytest.param(*one, id=str(number)) for number, one in enumerate(BODIES)]
)
def test_a_body_of_any_type_is_plain_bytes(running: Workerd, sent: Any, body: bytes, content_type: str) -> None:
    seen(running)
    assert ["m1"] == queue(running, sent, attempts=3)["explicitAcks"]
    (found,) = seen(running)
    got = base64.b64decode(found["body"])
    assert body == (json.dumps(sorted(json.loads(got), key=str)).encode() if sent == MIXED else got)
    assert (content_type, 3, NOON.isoformat()) == (found["content_type"], found["attempt"], found["time"])


@pytest.mark.parametrize("what", ["circle", "deep", "laughs", "numbers", "regexp", "error", "keys"])
def test_a_body_that_json_cannot_express_is_redelivered_alone(running: Workerd, what: str) -> None:
    seen(running)
    answer = queue(running, {}, JS("js", what), {})
    assert (["m1", "m3"], [{"msgId": "m2"}]) == (answer["explicitAcks"], answer["retryMessages"])
    assert 2 == len(seen(running))
    running.process.logged("portable_fn.errors.DecodeError")


def test_a_rejected_message_goes_to_the_dead_letters_unchanged(running: Workerd) -> None:
    rejected = {"do": "reject", "note": "é"}
    answer = queue(running, rejected, json.dumps(rejected))
    assert (["m1", "m2"], []) == (answer["explicitAcks"], answer["retryMessages"])
    letters = [fake.message(body=body) for content_type, body in running.sent() if content_type == "text"]
    assert ["told to"] * 2 == [reason(letter) for letter in letters]
    assert [("application/json", rejected), ("", rejected)] == [
        (one.content_type, one.data)  # type: ignore[attr-defined]  # a message
        for one in map(restored, letters)
    ]


def test_a_rejected_message_without_a_binding_for_the_dead_letters_is_redelivered(running: Workerd) -> None:
    answer = queue(running, {"do": "reject"}, name="nowhere")
    assert ([], [{"msgId": "m1"}]) == (answer["explicitAcks"], answer["retryMessages"])
    running.process.logged("there is no binding ABSENT for the dead letters")


def test_async_functions_run_as_concurrently_as_they_allow(running: Workerd) -> None:
    answer = queue(running, 1, 2, {"again": True}, 4, 5, name="slow")
    assert (["m1", "m2", "m4", "m5"], [{"msgId": "m3", "delaySeconds": 91}]) == (
        answer["explicitAcks"],
        answer["retryMessages"],
    )
    assert 3 == running.rpc("at_once")


def test_a_batch_handler_gets_its_queue_whole_beside_functions_for_other_queues(others: Workerd) -> None:
    seen(others)
    answer = queue(others, {"n": 1}, {"do": "retry", "after": 7}, {"n": 3})
    assert (["m1", "m3"], [{"msgId": "m2", "delaySeconds": 7}]) == (answer["explicitAcks"], answer["retryMessages"])
    assert ["m1", "m2", "m3"] == [one["id"] for one in seen(others)]
    assert ["m1"] == queue(others, 1, name="slow")["explicitAcks"]


# R2


def notification(action: str, **found: Any) -> dict[str, Any]:
    return {
        "account": "3f4b7e3dcab231cbfdaa90a6a28bd548",
        "action": action,
        "bucket": "uploads",
        "object": {"key": "é a+b%20/c.png", **found},
        "eventTime": "2024-05-24T19:36:44.379Z",
    }


@pytest.mark.parametrize(
    ("word", "found", "expected"),
    [
        ("PutObject", {"size": 65536, "eTag": "c846ff7a18f28c2e262116d6e8719ef0"}, ("created", 65536, "c846ff7a18f28c2e262116d6e8719ef0")),
        ("CopyObject", {"size": 1, "eTag": "e"}, ("created", 1, "e")),
        ("CompleteMultipartUpload", {"size": 2**40, "eTag": "e-2"}, ("created", 2**40, "e-2")),
        ("DeleteObject", {}, ("deleted", None, None)),
        ("LifecycleDeletion", {}, ("deleted", None, None)),
    ],
)  # fmt: skip
def test_an_r2_notification_is_an_object_event(
    running: Workerd, word: str, found: dict[str, Any], expected: tuple[Any, ...]
) -> None:
    seen(running)
    assert ["m1"] == queue(running, notification(word, **found), name="notifications")["explicitAcks"]
    (saw,) = seen(running)
    assert expected == (saw["action"], saw["size"], saw["etag"])
    assert ("ObjectEvent", "m1", "uploads", "é a+b%20/c.png", ["Message"], "2024-05-24T19:36:44.379000+00:00") == tuple(
        saw[name] for name in ("kind", "id", "bucket", "key", "envelopes", "time")
    )


# Schedules


def test_a_schedule_is_on_time_or_late_by_when_it_was_due(running: Workerd) -> None:
    seen(running)
    now = datetime.now(UTC)
    assert {"outcome": "ok", "noRetry": False} == running.scheduled("0 3 * * *", now - timedelta(seconds=5))
    assert {"outcome": "ok", "noRetry": False} == running.scheduled("0 3 * * *", now - timedelta(seconds=90))
    assert [False, True] == [one["is_late"] for one in seen(running)]


def test_a_schedule_is_found_by_its_cron_expression_and_its_failure_is_seen(running: Workerd) -> None:
    assert {"outcome": "exception", "noRetry": False} == running.scheduled("1 1 * * 1", NOON)
    running.process.logged("LookupError: no such report")


def test_a_rejected_schedule_is_not_retried(running: Workerd) -> None:
    assert {"outcome": "exception", "noRetry": True} == running.scheduled("2 2 * * 2", NOON)


def test_a_schedule_that_exits_leaves_the_isolate_alive(running: Workerd) -> None:
    assert {"outcome": "exception", "noRetry": False} == running.scheduled("3 3 * * 3", NOON)
    assert [] == running.rpc("seen") or True is isinstance(running.rpc("seen"), list)


# RPC


def test_arguments_of_a_method_are_plain_python(running: Workerd) -> None:
    assert ["NoneType"] == [running.rpc("echo")["types"]]
    assert {"a": "int", "n": "NoneType"} == running.rpc("echo", {"a": 1, "n": None})["types"]
    assert {"a": "datetime", "b": ["int", "float"]} == running.rpc("types", {"a": NOON, "b": [JS("bigint", "7"), 1.5]})
    assert ["bytes", "NoneType", "str"] == running.rpc("types", b"ab", None, "c")
    assert {"1": "str"} == running.rpc("types", JS("map", [[1, "x"]]))


def test_a_method_returns_json_values(running: Workerd) -> None:
    for value in ({"n": [1, 2.5, None, True, "é"], "nested": {"a": {}}}, [], "text", 5, 1.5, True, None):
        assert value == running.rpc("function", {"do": "return", "value": value})


def test_the_caller_sees_an_errors_name_and_message_and_no_traceback(running: Workerd) -> None:
    for args, name, message in [
        (("function", {"do": "fail"}), "OutOfStock", "told to fail"),
        (("function", {"do": "exit"}), "SystemExit", "told to"),
        (("rejecting",), "Reject", "it has no use"),
        (("unwritable",), "EncodeError", "a task returns a JSON value, not object: object has no JSON form"),
    ]:
        with pytest.raises(JSError) as caught:
            running.rpc(*args)
        assert (name, message) == (caught.value.name, caught.value.message)
        assert "Traceback" not in caught.value.stack + caught.value.message
        assert ".py" not in caught.value.stack


def test_nothing_else_can_be_called_by_rpc(running: Workerd) -> None:
    for name in ("seen_", "message", "tick", "stored", "_queue", "calls"):
        with pytest.raises(JSError, match="does not exist"):
            running.rpc(name)


def test_each_call_has_a_new_id(running: Workerd) -> None:
    first, second = (running.rpc("echo")["id"] for _ in range(2))
    assert 32 == len(first) == len(second)
    assert first != second


def test_background_work_outlives_the_answer(running: Workerd) -> None:
    seen(running)
    assert "answered" == running.rpc("later")
    deadline = time.monotonic() + 5
    found: list[Any] = []
    while not found and time.monotonic() < deadline:
        found = seen(running)
        time.sleep(0.02)
    assert [{"worked": True}] == found


# Emails, as wrangler dev brings them: by RPC


RAW = b"Message-ID: <1@example.com>\r\nSubject: hello\r\n\r\n" + b"binary \xff" * 5000


def email(running: Workerd, *headers: tuple[str, str], to: str = "orders", raw: bytes = RAW) -> dict[str, Any]:
    return running.email("ada@example.com", to, headers, raw)


def test_an_email_is_a_message_of_its_recipient(running: Workerd) -> None:
    seen(running)
    headers = [
        ("Message-ID", "<1@example.com>"),
        ("Subject", "=?utf-8?q?Zo=C3=AB?= writes"),
        ("Date", "Wed, 04 Mar 2026 13:00:00 +0100"),
        ("Received", "from a"),
        ("Received", "from b"),
    ]
    assert {"rejected": None} == email(running, *headers)
    (saw,) = seen(running)
    assert (
        "<1@example.com>",
        "orders",
        "orders",
        "Zoë writes",
        "2026-03-04T12:00:00+00:00",
        "message/rfc822",
    ) == tuple(saw[name] for name in ("id", "source", "channel", "subject", "time", "content_type"))
    assert RAW == base64.b64decode(saw["body"])
    assert ("from a, from b", "<ada@example.com>") == (saw["attributes"]["received"], saw["attributes"]["return-path"])


def test_a_rejected_email_is_refused_with_the_reason(running: Workerd) -> None:
    assert {"rejected": "we know no spam"} == email(running, ("Message-ID", "<2@a>"), to="spam@example.com")


def test_an_email_whose_function_fails_or_that_has_no_id_is_an_exception(running: Workerd) -> None:
    with pytest.raises(JSError, match="LookupError: no such customer"):
        email(running, ("Message-ID", "<3@a>"), to="fail@example.com")
    with pytest.raises(JSError, match="DecodeError: the email has no Message-ID"):
        email(running, ("Subject", "hello"))


def test_a_worker_from_a_snapshot_handles_events_too() -> None:
    with worker(SCRIPT, APP, queues=["orders-dead"], snapshot=True) as running:
        assert (["m1"], [{"msgId": "m2"}]) == tuple(
            queue(running, {}, {"do": "fail"})[name] for name in ("explicitAcks", "retryMessages")
        )
        assert {"outcome": "ok", "noRetry": False} == running.scheduled("0 3 * * *", NOON)
        assert 7 == running.rpc("function", {"do": "return", "value": 7})


# Names from variables

NAMED = """
from portable_fn import Message, Reject, env, on, portable


@portable(on.queue(env("ORDERS_QUEUE"), dead_letter=env("ORDERS_DLQ")))
def ship(message: Message) -> None:
    raise Reject("no")


@portable(on.queue(env("BILLS_QUEUE"), dead_letter=env("GRAVES", "DEAD")))
def bill(message: Message) -> None:
    raise Reject("no")
"""


@pytest.mark.parametrize("snapshot", [False, True])
def test_names_come_from_the_workers_variables(sdk: str, snapshot: bool, tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(NAMED)
    script = "import shop\nfrom portable_fn_cloudflare import entry\nDefault = entry(shop)\n"
    variables = {"ORDERS_QUEUE": "prod-orders", "BILLS_QUEUE": "prod-bills", "ORDERS_DLQ": "SENT"}
    given: dict[str, Any] = {"vars": variables, "snapshot": snapshot, "built_in_sdk": sdk == "SDK built in"}
    try:
        with worker(script, tmp_path / "shop.py", queues=["SENT", "DEAD"], **given) as running:
            for name in ("prod-orders", "prod-bills"):
                assert ["m1"] == queue(running, "text", name=name)["explicitAcks"]
            letters = [restored(fake.message(body=body)) for _, body in running.sent()]
            assert ["prod-orders", "prod-bills"] == [one.source for one in letters]
        del variables["ORDERS_DLQ"]
        with worker(script, tmp_path / "shop.py", queues=["ORDERS_DLQ", "DEAD"], **given) as running:
            # A binding of the variable's name does as well.
            assert ["m1"] == queue(running, "text", name="prod-orders")["explicitAcks"]
            assert 1 == len(running.sent())
    except Unavailable as exc:
        pytest.skip(str(exc))


# Recordings

RECORDED = """
from portable_fn import Message, Request, Retry, on, portable


@portable(on.queue("orders"))
def ship(message: Message) -> None:
    if message.data["sku"] == 2:
        raise Retry("later", after=5)


@portable(on.http("POST", "/items"))
async def create(request: Request):
    yield request.json()["name"]
"""


@pytest.mark.parametrize("snapshot", [False, True])
def test_a_fetch_and_a_batch_are_recorded_as_lines_which_are_replayed(
    sdk: str, snapshot: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "recorded_shop.py").write_text(RECORDED)
    script = "import recorded_shop\nfrom portable_fn_cloudflare import entry\nDefault = entry(recorded_shop)\n"
    told = {"PORTABLE_FN_RECORD": "-"}
    built_in = sdk == "SDK built in"
    try:
        with worker(
            script, tmp_path / "recorded_shop.py", vars=told, snapshot=snapshot, built_in_sdk=built_in
        ) as running:
            body = {"name": "lamp", "password": "hunter2"}
            assert "lamp" == through_the_edge(running, fake.request("POST", "/items", json=body)).text
            queue(running, {"sku": 1}, {"sku": 2}, "text")
    except Unavailable as exc:
        pytest.skip(str(exc))

    # As `wrangler tail` and others print them.
    lines = [f"2026-11-20T12:00:00.000Z (log) {line}" for line in running.logs]
    assert "hunter2" not in "".join(lines)
    (tmp_path / "worker.log").write_text("\n".join(lines))
    monkeypatch.syspath_prepend(tmp_path)
    shop = import_module("recorded_shop")
    for to in (None, "aws"):
        found = replay(tmp_path / "worker.log", shop, to)
        assert (2, [], []) == (len(found), found.differences, found.skipped)


def test_a_folder_for_recordings_is_a_warning_because_a_worker_has_no_files() -> None:
    script = (
        "from portable_fn.testing.stories import app\nfrom portable_fn_cloudflare import entry\nDefault = entry(app)\n"
    )
    try:
        with worker(script, vars={"PORTABLE_FN_RECORD": "recorded"}) as running:
            assert 404 == through_the_edge(running, fake.request("GET", "/nowhere")).status
            running.process.logged("can't record in recorded: files don't last here; PORTABLE_FN_RECORD=- prints")
    except Unavailable as exc:
        pytest.skip(str(exc))
