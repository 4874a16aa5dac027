"""Test tasks: Workflows, BigQuery remote functions, Cloud Scheduler."""

from __future__ import annotations

from typing import Any

import pytest

from portable_fn import (
    HTTPError,
    Reject,
    Request,
    Retry,
    ScheduleEvent,
    Task,
    on,
    portable,
)
from portable_fn.testing import fake
from portable_fn.testing.results import Answer
from portable_fn_gcp import entry
from tests.gcp.helpers import answer_of, taking, with_json


class OutOfStock(Exception):
    """An application's error."""


class Shortage(Reject):
    """An error meant for callers."""


WORDS = "The function failed; its log has the reason under the invocation id."
HIDDEN = {"type": "InternalServerError", "message": WORDS}


def task(result: Any, *, body: bytes = b"{}", path: str = "/") -> Answer:
    request = fake.request("POST", path, body=body, headers={"content-type": "application/json"})
    return answer_of(entry(taking(Task, [], result)), request)


@pytest.mark.parametrize(
    ("result", "status", "body"),
    [
        ({"n": [1, None, "é"]}, 200, {"n": [1, None, "é"]}),
        (None, 200, None),
        ("text", 200, "text"),
        (OutOfStock("no lamps"), 500, {"error": HIDDEN, "invocation_id": "request-1"}),
        (Shortage("no lamps"), 422, {"error": {"type": "Shortage", "message": "no lamps"}}),
        (HTTPError(404, "no lamps"), 404, {"error": {"type": "HTTPError", "message": "no lamps"}}),
        (Retry("busy"), 503, {"error": {"type": "Retry", "message": "busy"}}),
        (Retry("busy", after=3), 429, {"error": {"type": "Retry", "message": "busy"}}),
        (Reject("never"), 422, {"error": {"type": "Reject", "message": "never"}}),
    ],
)
def test_a_workflow_gets_the_result_or_the_error(result: Any, status: int, body: Any) -> None:
    answer = task(result)
    assert (status, "application/json", body) == (answer.status, answer.headers["content-type"], answer.json())


def test_a_result_that_json_cannot_encode_is_an_error() -> None:
    answer = task(object())
    assert (500, HIDDEN) == (answer.status, answer.json()["error"])


@pytest.mark.parametrize("result", [OutOfStock("no lamps"), object()])
def test_task_errors_shows_callers_every_error(result: Any) -> None:
    name = "OutOfStock" if isinstance(result, OutOfStock) else "EncodeError"
    application = entry(taking(Task, [], result), task_errors=True)
    assert name == answer_of(application, fake.request("POST", "/", json={})).json()["error"]["type"]
    answer = answer_of(application, with_json({"requestId": "r-1", "calls": [[1]]})).json()
    assert answer["errorMessage"].startswith("OutOfStock: no lamps" if name == "OutOfStock" else "EncodeError: ")


def test_a_body_that_is_not_json_is_refused() -> None:
    answer = task(None, body=b"{")
    assert (400, "DecodeError") == (answer.status, answer.json()["error"]["type"])


def test_the_path_selects_the_task() -> None:
    @portable(on.task("resize"))
    def resize(task: Task) -> str:
        return f"resize {task.data}"

    @portable(on.task("crop"))
    def crop(task: Task) -> str:
        return f"crop {task.data}"

    for path, expected in (("/resize", "resize 1"), ("/crop", "crop 1")):
        assert expected == answer_of(entry(resize, crop), fake.request("POST", path, json=1)).json()


def test_an_http_function_on_the_path_answers_before_a_task() -> None:
    @portable(on.http("POST", "/hook"))
    def hook(request: Request) -> str:
        return "http"

    functions = (hook, taking(Task, [], "task"))
    for path, expected in (("/hook", b"http"), ("/", b'"task"')):
        assert expected == answer_of(entry(*functions), fake.request("POST", path, json={})).body


def bigquery(result: Any, calls: Any = ([1, 2], [3, 4])) -> Answer:
    seen: list[Any] = []
    value = {"requestId": "r-1", "caller": "//bigquery.googleapis.com/projects/p/jobs/j", "calls": list(calls)}
    answer = answer_of(entry(taking(Task, seen, result)), with_json(value))
    assert [("r-1", value["caller"], value["calls"], "bigquery")] == [
        (one.id, one.source, one.data, one.type) for one in seen
    ]
    return answer


@pytest.mark.parametrize(
    ("result", "status", "body"),
    [
        ([3, 7], 200, {"replies": [3, 7]}),
        ((None, "x"), 200, {"replies": [None, "x"]}),
        ([3], 400, {"errorMessage": f"InternalServerError: {WORDS[:-1]} request-1."}),
        ("ab", 400, {"errorMessage": f"InternalServerError: {WORDS[:-1]} request-1."}),
        ([object(), 1], 400, None),
        (OutOfStock("no lamps"), 500, {"errorMessage": f"InternalServerError: {WORDS[:-1]} request-1."}),
        (Shortage("no lamps"), 400, {"errorMessage": "Shortage: no lamps"}),
        (Retry("busy"), 503, {"errorMessage": "Retry: busy"}),
        (Reject("never"), 400, {"errorMessage": "Reject: never"}),
    ],
)  # fmt: skip
def test_bigquery_gets_a_reply_for_each_call_or_why_the_query_fails(result: Any, status: int, body: Any) -> None:
    answer = bigquery(result)
    assert status == answer.status
    assert body is None or body == answer.json()


# Cloud Scheduler


@pytest.mark.parametrize(
    ("body", "content_type", "expected"),
    [
        (b"", "", None),
        (b'{"n": 1}', "application/octet-stream", {"n": 1}),
        (b"plain", "application/octet-stream", "plain"),
        (b'{"n": 1}', "text/plain", '{"n": 1}'),
        (b"\xff", "application/octet-stream", b"\xff"),
    ],
)
def test_the_body_of_a_job_is_its_input(body: bytes, content_type: str, expected: Any) -> None:
    seen: list[Any] = []
    headers = {
        "x-cloudscheduler": "true",
        "x-cloudscheduler-jobname": "nightly",
        "x-cloudscheduler-scheduletime": "2026-01-02T03:04:05Z",
        "content-type": content_type,
    }
    assert 204 == answer_of(entry(taking(ScheduleEvent, seen)), fake.request("POST", headers=headers, body=body)).status
    assert [(expected, "nightly/2026-01-02T03:04:05Z")] == [(one.data, one.id) for one in seen]
