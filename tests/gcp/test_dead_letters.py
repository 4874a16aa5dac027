"""Test that a rejected event is published to its dead-letter topic."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from portable_fn import (
    ChangeEvent,
    CloudEvent,
    Message,
    ObjectEvent,
    Reject,
    on,
    portable,
)
from portable_fn.adapter import dead_letter
from portable_fn.adapter.cloudevents import write_time
from portable_fn.testing import deliver, fake
from portable_fn_gcp import entry, simulate
from portable_fn_gcp.drivers import api
from portable_fn_gcp.drivers import topic as pubsub
from tests.gcp.helpers import KINDS, SERVICES, SUBSCRIPTION, answer_of, events, push, taking


def rejecting(kind: Any, dead_letter: str) -> Any:
    def handler(event: Any) -> None:
        raise Reject("no such sku")

    handler.__annotations__ = {"event": kind}
    triggers_ = {
        Message: on.topic("orders", dead_letter=dead_letter),
        CloudEvent: on.event(dead_letter=dead_letter),
        ObjectEvent: on.object("uploads", dead_letter=dead_letter),
        ChangeEvent: on.change("users", dead_letter=dead_letter),
    }
    return portable(triggers_[kind])(handler)


@pytest.mark.parametrize(
    ("dead_letter", "source", "topic"),
    [
        # The project is the function's own, since anybody can write a subscription into a push.
        ("dead", SUBSCRIPTION, "projects/portable/topics/dead"),
        ("projects/elsewhere/topics/dead", SUBSCRIPTION, "projects/elsewhere/topics/dead"),
    ],
)
def test_a_rejected_message_is_published_unchanged(dead_letter: str, source: str, topic: str) -> None:
    message = fake.message(
        body=b"\xff", source=source, attributes={"a": "b"}, key="k", content_type="application/octet-stream"
    )
    request = push(message)
    with simulate.playing("pubsub_push") as published:
        assert 204 == answer_of(entry(rejecting(Message, dead_letter)), request).status
    [one] = published
    assert (topic, b"\xff", "k") == (one.topic, one.body, one.key)
    assert {
        "a": "b",
        "content-type": "application/octet-stream",
        "portable-fn-id": "message-1",
        "portable-fn-source": source,
        "portable-fn-reason": "no such sku",
        "portable-fn-time": write_time(message.time),
        "portable-fn-attempt": "1",
        "portable-fn-fields": '{"key":"k"}',
    } == one.attributes


@pytest.mark.parametrize(
    ("kind", "service"),
    [(kind, service) for kind, service in SERVICES if kind in ("Message", "CloudEvent", "ObjectEvent", "ChangeEvent")],
)
def test_a_rejected_event_is_dead_lettered_if_the_trigger_names_a_topic(kind: str, service: str) -> None:
    [event] = [one for one in events() if type(one).__name__ == kind]
    delivery = deliver(rejecting(KINDS[kind], "dead"), event, to="gcp", via=service)
    assert [("dead-lettered", "no such sku")] == [(one.outcome, one.why) for one in delivery.results]


def test_a_function_for_dead_letters_gets_the_rejected_event() -> None:
    change = fake.change(after={"id": "1", "n": 1})
    [request] = simulate.payloads([change], "firestore")
    seen: list[Any] = []
    with simulate.playing("firestore") as published:
        for target in (entry(rejecting(ChangeEvent, "dead")), entry(taking(ChangeEvent, seen))):
            assert 204 == answer_of(target, request).status
    [one] = published
    redriven = push(fake.message(body=one.body, attributes=one.attributes))
    assert (204, seen[0]) == (answer_of(entry(taking(ChangeEvent, seen)), redriven).status, seen[1])


@pytest.mark.parametrize("status", [403, 500])
def test_a_rejected_event_is_retried_if_it_cannot_be_published(
    status: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", "localhost:1")
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "portable")
    monkeypatch.setattr(api, "call", lambda *args: (status, b""))
    assert 503 == answer_of(entry(rejecting(Message, "dead")), push()).status
    assert f"Pub/Sub answers {status} for projects/portable/topics/dead" in caplog.text


@pytest.fixture
def server() -> Iterator[tuple[str, list[Any]]]:
    """Run a server that answers as the metadata server and Pub/Sub do; return its address and its requests."""
    asked: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.answer(b'{"access_token": "t", "expires_in": 3599}' if self.path.endswith("token") else b"mine")

        def do_POST(self) -> None:
            self.answer(b"{}")

        def answer(self, body: bytes) -> None:
            length = int(self.headers.get("content-length", 0))
            asked.append((self.command, self.path, dict(self.headers), self.rfile.read(length)))
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None: ...

    serving = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=serving.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"127.0.0.1:{serving.server_port}", asked
    serving.shutdown()
    thread.join()
    serving.server_close()


def test_a_dead_letter_goes_to_the_emulator_if_there_is_one(
    server: tuple[str, list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    host, asked = server
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", host)
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "portable")
    assert 204 == answer_of(entry(rejecting(Message, "dead")), push()).status
    [(method, path, headers, body)] = asked
    assert ("POST", "/v1/projects/portable/topics/dead:publish") == (method, path)
    assert {"n": 1} == json.loads(base64.b64decode(json.loads(body)["messages"][0]["data"]))
    assert "authorization" not in {name.lower() for name in headers}


def test_the_metadata_server_supplies_the_project_and_a_token_that_is_cached(
    server: tuple[str, list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    host, asked = server
    for name in ("PUBSUB_EMULATOR_HOST", "GOOGLE_CLOUD_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GCE_METADATA_HOST", host)
    monkeypatch.setattr(pubsub.api, "_access", ("", 0.0))
    call = api.call

    def rerouted(method: str, to: str, *args: Any) -> Any:
        return call(method, to.replace("https://pubsub.googleapis.com", f"http://{host}"), *args)

    monkeypatch.setattr(api, "call", rerouted)
    for _ in range(2):
        assert pubsub.dead_letter(fake.cloud_event(), Reject("no"), "dead")
    metadata = "/computeMetadata/v1"
    publish = ("/v1/projects/mine/topics/dead:publish", "Bearer t")
    assert [
        (f"{metadata}/project/project-id", None),
        (f"{metadata}/instance/service-accounts/default/token", None),
        publish,
        (f"{metadata}/project/project-id", None),
        publish,
    ] == [(path, {name.lower(): one for name, one in headers.items()}.get("authorization")) for _, path, headers, _ in asked]  # fmt: skip


def test_the_reason_of_a_rejection_is_cut_to_fit_an_attribute() -> None:
    with simulate.playing("eventarc") as published:
        assert pubsub.dead_letter(fake.cloud_event(source="//x/projects/p/y"), Reject("é" * 1000), "dead")
        full = fake.message({}, attributes={str(number): "x" for number in range(100)}, source=SUBSCRIPTION)
        assert pubsub.dead_letter(full, Reject("no"), "dead")
    assert "é" * 500 == published[0].attributes["portable-fn-reason"]
    # A message may have at most 100 attributes.
    assert ("no", 100) == (published[1].attributes["portable-fn-reason"], len(published[1].attributes))
    letter = fake.message(body=published[1].body, attributes=published[1].attributes)
    assert full.attributes == dead_letter.restored(letter).attributes  # type: ignore[attr-defined]  # a message
