"""Dead letters of Dapr's sidecar and Knative's broker."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import SimpleNamespace
from typing import Any

import pytest

from portable_fn import (
    CloudEvent,
    Message,
    Reject,
    on,
    portable,
)
from portable_fn.adapter.dead_letter import reason, restored
from portable_fn.testing import asgi, deliver, fake
from portable_fn.testing.loop import run
from portable_fn_asgi import entry as asgi_entry
from portable_fn_asgi.simulate import events as asgi_simulate
from portable_fn_asgi.simulate.server import messages as asgi_messages
from portable_fn_asgi.simulate.server import scope
from tests.core.dead_letters import WHY, rejecting

# Dapr, whose sidecar publishes the letter.


@pytest.fixture
def sidecar(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A sidecar that answers with `status`, and the letters that are published to it."""
    published: list[Any] = []
    known = SimpleNamespace(published=published, status=204)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            published.append((self.path, dict(self.headers), json.loads(body)))
            self.send_response(known.status)
            self.end_headers()

        def log_message(self, *args: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    monkeypatch.setenv("DAPR_HTTP_PORT", str(server.server_port))
    monkeypatch.setenv("DAPR_API_TOKEN", "token")
    yield known
    server.shutdown()
    thread.join()
    server.server_close()


def from_dapr(target: Any, request: Any) -> Any:
    """Return the application's answer to a sidecar."""
    application = asgi_entry(target)
    answer = asgi.answer(run(asgi_messages(application, scope(request), request.body)))
    return answer.json()


@portable(on.topic("orders", dead_letter="poison"))
def refuses(order: Message[Any]) -> None:
    raise Reject(WHY)


@portable(on.topic("orders", dead_letter="poison"), concurrency=3)
async def refuses_several(order: Message[Any]) -> None:
    raise Reject(WHY)


def test_a_sidecar_publishes_the_letter_with_its_reason(sidecar: Any) -> None:
    event = fake.message(body=b'{"n": 1.50, "big": 12345678901234567890}', attributes={"tenant": "7"}, subject="s")
    [request] = asgi_simulate.payloads([event], "dapr_pubsub")
    seen: list[Any] = []

    @portable(on.topic("orders", dead_letter="a b/poison"))
    def keeps(order: Message[Any]) -> None:
        seen.append(order)
        raise Reject(WHY)

    assert {"status": "SUCCESS"} == from_dapr(keeps, request)
    [(path, headers, published)] = sidecar.published
    assert "/v1.0/publish/pubsub/a%20b%2Fpoison" == path
    assert ("application/cloudevents+json", "token") == (headers["content-type"], headers["dapr-api-token"])
    assert (WHY, "message-1") == (published["portablefnreason"], published["id"])
    # As the sidecar delivers it: with its additions, and the JSON written again.
    brought = {
        **json.loads(json.dumps(published, sort_keys=True)), "topic": "poison", "pubsubname": "pubsub", "traceid": "00-1",
        "traceparent": "00-1", "tracestate": "",
    }  # fmt: skip
    letters: list[Any] = []

    @portable(on.topic("poison"))
    def look(message: Message[Any]) -> None:
        letters.append(message)

    again = fake.request(
        "POST", "/portable_fn/poison", body=json.dumps(brought).encode(), headers={"content-type": "application/cloudevents+json"}
    )  # fmt: skip
    assert {"status": "SUCCESS"} == from_dapr(look, again)
    assert (seen[0], WHY) == (restored(letters[0]), reason(letters[0]))
    assert seen[0].data == letters[0].data


def test_a_bulk_of_a_sidecar_has_a_letter_each(sidecar: Any) -> None:
    events = [fake.message({"n": n}, id=f"m-{n}") for n in range(3)]
    [request] = asgi_simulate.payloads(events, "dapr_bulk")
    statuses = from_dapr(refuses_several, request)["statuses"]
    assert ["SUCCESS"] * 3 == [one["status"] for one in statuses]
    assert {"m-0", "m-1", "m-2"} == {published["id"] for _, _, published in sidecar.published}


@pytest.mark.parametrize("status", [404, 500, None])
def test_a_letter_that_the_sidecar_does_not_publish_is_dropped_to_its_own_dead_letters(
    sidecar: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, status: int | None
) -> None:
    sidecar.status = status
    if status is None:
        monkeypatch.setenv("DAPR_HTTP_PORT", "1")
    [request] = asgi_simulate.payloads([fake.message({})], "dapr_pubsub")
    assert {"status": "DROP"} == from_dapr(refuses, request)
    why = "ConnectionRefusedError" if status is None else f"it answers {status}"
    assert f"the sidecar didn't publish to the dead-letter topic poison: {why}" in caplog.text


@pytest.mark.parametrize("port", [None, "no port"])
def test_without_a_sidecars_port_a_rejected_message_is_dropped(
    monkeypatch: pytest.MonkeyPatch, port: str | None
) -> None:
    monkeypatch.delenv("DAPR_HTTP_PORT", raising=False)
    if port is not None:
        monkeypatch.setenv("DAPR_HTTP_PORT", port)
    [request] = asgi_simulate.payloads([fake.message({})], "dapr_pubsub")
    assert {"status": "DROP"} == from_dapr(refuses, request)


def test_a_delivery_in_tests_reaches_no_sidecar(sidecar: Any) -> None:
    assert ["dead-lettered"] == deliver(refuses, fake.message({}), to="asgi", via="dapr_pubsub").outcomes
    assert [] == sidecar.published


# Knative, whose broker sends an event to its dead-letter sink.


@pytest.mark.parametrize("kind", [CloudEvent, Message])
def test_a_dead_letter_of_knatives_is_restored_and_tells_why(kind: type[Any]) -> None:
    seen: list[Any] = []
    event = fake.cloud_event("order.created", {"n": 1}, extensions={"tenant": "7"})
    [request] = asgi_simulate.payloads([event], "binary")
    application = asgi_entry(rejecting(kind, seen))
    answer = asgi.answer(run(asgi_messages(application, scope(request), request.body)))
    assert 400 == answer.status
    added = {
        "knativeerrordest": "http://shop.default.svc.cluster.local", "knativeerrorcode": "400",
        "knativeerrordata": b64encode(answer.body).decode(),
    }  # fmt: skip
    letters: list[Any] = []

    def look(letter: Any) -> None:
        letters.append(letter)

    look.__annotations__ = {"letter": kind}
    sent = fake.cloud_event("order.created", {"n": 1}, extensions={"tenant": "7", **added})
    assert ["acknowledged"] == deliver(portable(look), sent, to="asgi", via="binary").outcomes
    assert (seen[0], WHY) == (restored(letters[0]), reason(letters[0]))


@pytest.mark.parametrize("told", ["?", "bm8ganNvbg==", "W10=", "e30=", "/w=="])
def test_other_data_of_knative_is_not_a_reason(told: str) -> None:
    event = fake.cloud_event(extensions={"knativeerrorcode": "500", "knativeerrordata": told})
    assert (None, {}) == (reason(event), restored(event).extensions)  # type: ignore[attr-defined]  # a CloudEvent
