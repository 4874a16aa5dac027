"""Test delivery, redelivery and dead letters with Google's emulators and functions-framework."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from portable_fn.testing.stories.events_app import MARK
from portable_fn_gcp import simulate
from tests.gcp.test_corpus import CASES, case, from_legacy
from tests.runtimes.cloud_tasks import cloud_tasks
from tests.runtimes.environments import ROOT
from tests.runtimes.firestore import firestore
from tests.runtimes.gcp import functions_framework
from tests.runtimes.gcs import cloud_storage
from tests.runtimes.process import Server
from tests.runtimes.pubsub import PROJECT, PubSub, pubsub
from tests.runtimes.wire import Received, send

pytestmark = pytest.mark.runtime

APP = Path(__file__).parents[1] / "runtimes" / "apps" / "gcp_events.py"
Serve = Callable[..., AbstractContextManager[Server]]


@contextmanager
def serving(target: str, *, env: dict[str, str] | None = None, **options: Any) -> Iterator[Server]:
    variables = {"PORTABLE_FN_STORIES": "print", **(env or {})}
    pythonpath = (ROOT / "src", ROOT / "adapters", ROOT)
    with functions_framework(APP, target, env=variables, pythonpath=pythonpath, **options) as server:
        yield server


def seen(server: Server, count: int, *, timeout: float = 30) -> list[dict[str, Any]]:
    """Wait until the function saw so many events; check that no more follow, and return them."""
    end = time.monotonic() + timeout
    while time.monotonic() < end and len(_seen(server)) < count:
        time.sleep(0.02)
    time.sleep(0.3)
    events = _seen(server)
    assert count == len(events), server.process.tail()
    return events


def _seen(server: Server) -> list[dict[str, Any]]:
    lines = [line for line in list(server.logs) if line.startswith(MARK)]
    return [json.loads(line.removeprefix(MARK)) for line in lines]


def body(one: dict[str, Any]) -> bytes:
    return base64.b64decode(one["body"])


@pytest.fixture(scope="module")
def topics() -> Iterator[PubSub]:
    with pubsub() as running:
        for name in ("orders-dead", "rejected"):
            running.topic(name)
            running.subscribe(f"{name}-pull", name)
        yield running


TARGETS = [("ship", False), ("ship", True), ("ship_async", True)]


@pytest.mark.parametrize(("target", "asgi"), TARGETS)
@pytest.mark.parametrize("unwrapped", [False, True])
def test_a_message_whose_handler_fails_twice_is_delivered_three_times(
    topics: PubSub, target: str, asgi: bool, unwrapped: bool
) -> None:
    name = f"twice-{target}-{asgi}-{unwrapped}".replace("_", "-")
    topics.topic(name)
    with serving(target, asgi=asgi) as server:
        topics.subscribe(name, name, server.url, unwrapped=unwrapped)
        id = topics.publish(name, b'{"fail": 2}', {"tenant": "7"})
        events = seen(server, 3)
    assert {id} == {event["id"] for event in events}
    assert {b'{"fail": 2}'} == {body(event) for event in events}
    [event, *_] = events
    assert (name, f"projects/{PROJECT}/subscriptions/{name}", "7") == (event["channel"], event["source"], event["attributes"]["tenant"])  # fmt: skip


@pytest.mark.parametrize("unwrapped", [False, True])
def test_a_message_with_only_attributes_is_delivered_once(topics: PubSub, unwrapped: bool) -> None:
    name = f"attributes-{unwrapped}"
    topics.topic(name)
    with serving("ship") as server:
        topics.subscribe(name, name, server.url, unwrapped=unwrapped)
        topics.publish(name, attributes={"only": "this"})
        [event] = seen(server, 1)
    assert (b"", {"only": "this"}) == (body(event), event["attributes"])


def test_a_retry_with_a_delay_is_redelivered_after_its_429(topics: PubSub) -> None:
    topics.topic("after")
    with serving("ship") as server:
        topics.subscribe("after", "after", server.url)
        topics.publish("after", b'{"fail": 1, "after": 1}')
        assert 2 == len(seen(server, 2))


def test_the_subscription_dead_letters_a_message_that_always_fails(topics: PubSub) -> None:
    topics.topic("always")
    with serving("ship") as server:
        topics.subscribe("always", "always", server.url, dead_letter_topic="orders-dead", max_delivery_attempts=5)
        topics.publish("always", b'{"fail": 99}')
        [received] = topics.pull("orders-dead-pull", timeout=60)
        assert b'{"fail": 99}' == base64.b64decode(received["message"]["data"])
        count = len(_seen(server))
        assert 5 <= count == len(seen(server, count))


@pytest.mark.parametrize(("target", "asgi"), TARGETS[:2])
def test_a_rejected_message_is_published_to_the_dead_letter_topic_and_delivered_once(
    topics: PubSub, target: str, asgi: bool
) -> None:
    name = f"reject-{asgi}".lower()
    topics.topic(name)
    with serving(
        target, asgi=asgi, env={"PUBSUB_EMULATOR_HOST": topics.host, "GOOGLE_CLOUD_PROJECT": PROJECT}
    ) as server:
        topics.subscribe(name, name, server.url)
        id = topics.publish(name, b'{"reject": true}', {"a": "b"})
        [received] = topics.pull("rejected-pull")
        seen(server, 1)
    message = received["message"]
    assert b'{"reject": true}' == base64.b64decode(message["data"])
    sent = dict(message["attributes"])
    assert sent.pop("portable-fn-time").startswith("20")
    assert {
        "a": "b",
        "portable-fn-id": id,
        "portable-fn-source": f"projects/{PROJECT}/subscriptions/{name}",
        "portable-fn-reason": "unknown sku",
    } == sent


def test_a_change_in_cloud_storage_arrives_through_pubsub(topics: PubSub) -> None:
    topics.topic("uploads")
    key = "a b/ü+%.txt"
    with serving("stored") as server, cloud_storage(topics, "uploads") as storage:
        topics.subscribe("uploads", "uploads", server.url)
        storage.bucket("bucket")
        storage.put("bucket", key, b"first", metadata={"k": "v"})
        seen(server, 1)
        storage.put("bucket", key, b"second")
        seen(server, 3)
        storage.delete("bucket", key)
        events = seen(server, 4)
    assert {("bucket", key)} == {(event["bucket"], event["key"]) for event in events}
    created, *overwritten, deleted = events
    assert ("created", 5, "text/plain") == tuple(created[name] for name in ("action", "size", "content_type"))
    assert {"created", "changed"} == {event["action"] for event in overwritten}
    assert "deleted" == deleted["action"]
    assert 4 == len({event["id"] for event in events})


def test_firestore_documents_arrive_through_triggers_of_both_generations() -> None:
    with serving("changed") as server, firestore(server.url) as database:
        database.legacy_trigger("legacy", "write", "users/{id}")
        database.eventarc_trigger("created", "create", "users/{id}")
        database.eventarc_trigger("written", "write", "users/{id}", auth_context=True)
        database.write("users/ada", {"name": {"stringValue": "Ada"}, "n": {"integerValue": "1"}})
        seen(server, 3)
        database.write("users/ada", {"name": {"stringValue": "Ada"}, "n": {"integerValue": "2"}})
        seen(server, 5)
        database.delete("users/ada")
        events = seen(server, 7)
    first, second = {"name": "Ada", "n": 1}, {"name": "Ada", "n": 2}
    assert [("inserted", None, first)] * 3 + [("updated", first, second)] * 2 + [("removed", second, None)] * 2 == [
        (event["action"], event["before"], event["after"]) for event in events
    ]
    assert {f"//firestore.googleapis.com/projects/{PROJECT}/databases/(default)"} == {
        event["source"] for event in events
    }
    assert [("users", {"id": "ada"})] * 7 == [(event["table"], event["row"]) for event in events]
    assert 7 == len({event["id"] for event in events})


@pytest.mark.parametrize("asgi", [False, True])
def test_a_cloud_task_counts_its_attempts(asgi: bool) -> None:
    headers = {"X-Tenant": "7", "Content-Type": "application/json"}
    with serving("ship", asgi=asgi) as server, cloud_tasks() as tasks:
        tasks.queue("orders")
        name = tasks.task("orders", f"{server.url}/any/path", b'{"fail": 2}', headers)
        events = seen(server, 3)
        assert [] == tasks.waiting("orders")
    queue = "projects/portable/locations/europe-west1/queues/orders"
    assert {(f"{queue}/{name}", "orders")} == {(event["id"], event["channel"]) for event in events}
    assert [1, 2, 3] == [event["attempt"] for event in events]
    assert "7" == events[0]["attributes"]["x-tenant"]


def post(server: Server, headers: list[tuple[str, str]], sent: bytes) -> Received:
    return send(server.url, "POST", "/", headers, sent)


@pytest.mark.parametrize("asgi", [False, True])
def test_the_cases_of_the_conformance_suite_arrive_in_both_formats(asgi: bool) -> None:
    with serving("happened", asgi=asgi) as server:
        for name in CASES:
            structured = json.dumps(case(f"{name}-cloudevent-input")).encode()
            answers = [
                post(server, [("Content-Type", "application/cloudevents+json")], structured),
                post(server, [("Content-Type", "application/json")], json.dumps(case(f"{name}-legacy-input")).encode()),
            ]
            assert [204, 204] == [answer.status for answer in answers], name
        events = seen(server, 2 * len(CASES))
    expected = [from_legacy(name) for name in CASES for _ in range(2)]
    assert [(event.id, event.source, event.type, event.subject) for event in expected] == [
        (event["id"], event["source"], event["type"], event["subject"]) for event in events
    ]


def test_a_workflow_gets_a_result_or_an_error() -> None:
    with serving("double") as server:
        done, failed = (post(server, [("Content-Type", "application/json")], sent) for sent in (b"21", b'"x"'))
    assert (200, b"42") == (done.status, done.body)
    # Only the function's log has the error.
    assert (500, "InternalServerError") == (failed.status, json.loads(failed.body)["error"]["type"])
    assert b"no number" not in failed.body


@pytest.mark.parametrize("target", ["mismatched", "renamed"])
@pytest.mark.parametrize("signature_type", ["cloudevent", "event"])
def test_a_function_that_the_framework_runs_as_cloudevent_or_event_gets_its_events(
    signature_type: str, target: str
) -> None:
    with serving(target, signature_type=signature_type) as server:
        legacy = json.dumps(case("storage-legacy-input")).encode()
        answers = [post(server, [("Content-Type", "application/json")], legacy)]
        if signature_type == "cloudevent":
            for type in ("sold", "fail"):
                [request] = simulate.payloads([from_type(type)], "eventarc")
                answers.append(post(server, list(request.headers.multi_items()), request.body))
        events = seen(server, len(answers))
    assert [200, 200, 500][: len(answers)] == [answer.status for answer in answers]
    assert ["google.cloud.storage.object.v1.finalized", "sold", "fail"][: len(answers)] == [
        event["type"] for event in events
    ]
    assert "//storage.googleapis.com/projects/_/buckets/some-bucket" == events[0]["source"]


def from_type(type: str) -> Any:
    from portable_fn.testing import fake

    return fake.cloud_event(type, {"n": 1})
