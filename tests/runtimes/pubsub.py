"""Google's Pub/Sub emulator over its REST interface."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tests.runtimes.gcloud import emulator
from tests.runtimes.process import Server, free_ports, serving
from tests.runtimes.rest import call

PROJECT = "portable"


@dataclass(frozen=True)
class PubSub:
    """A running emulator with one project; names of topics and subscriptions are short, of 3 characters or more."""

    server: Server

    @property
    def host(self) -> str:
        """What PUBSUB_EMULATOR_HOST is set to."""
        return self.server.url.removeprefix("http://")

    def topic(self, name: str) -> str:
        """Create a topic; its full name."""
        return str(self._call("PUT", _topic(name), {})["name"])

    def subscribe(
        self,
        name: str,
        topic: str,
        push_to: str | None = None,
        *,
        unwrapped: bool = False,
        write_metadata: bool = True,
        dead_letter_topic: str | None = None,
        max_delivery_attempts: int = 5,
        ordered: bool = False,
        ack_deadline_s: int = 10,
    ) -> str:
        """Create a subscription that pushes to a URL, or one to pull from. Return its full name.

        A dead-letter policy allows 5 to 100 attempts. An unwrapped push has the attributes as its headers, and with
        `write_metadata` x-goog-* ones.
        """
        subscription: dict[str, Any] = {
            "topic": _topic(topic),
            "ackDeadlineSeconds": ack_deadline_s,
            "enableMessageOrdering": ordered,
        }
        if push_to is not None:
            wrapper = {"noWrapper": {"writeMetadata": write_metadata}} if unwrapped else {}
            subscription["pushConfig"] = {"pushEndpoint": push_to, **wrapper}
        if dead_letter_topic is not None:
            subscription["deadLetterPolicy"] = {
                "deadLetterTopic": _topic(dead_letter_topic),
                "maxDeliveryAttempts": max_delivery_attempts,
            }
        return str(self._call("PUT", _subscription(name), subscription)["name"])

    def publish(
        self, topic: str, data: bytes = b"", attributes: Mapping[str, str] = {}, *, ordering_key: str = ""
    ) -> str:
        """The id of the message."""
        message = {
            "data": base64.b64encode(data).decode(),
            "attributes": dict(attributes),
            "orderingKey": ordering_key,
        }
        answer = self._call("POST", f"{_topic(topic)}:publish", {"messages": [message]})
        return str(answer["messageIds"][0])

    def pull(
        self, subscription: str, *, maximum: int = 10, acknowledge: bool = True, timeout: float = 20
    ) -> list[dict[str, Any]]:
        """The messages at hand, as {ackId, message, deliveryAttempt}; none when the first has not come in time."""
        path = _subscription(subscription)
        end = time.monotonic() + timeout
        received: list[dict[str, Any]] = []
        while not received and time.monotonic() < end:
            # Without returnImmediately the emulator answers only when there is a message, however long that takes.
            answer = self._call("POST", f"{path}:pull", {"maxMessages": maximum, "returnImmediately": True})
            received = answer.get("receivedMessages", [])
            if not received:
                time.sleep(0.05)
        if received and acknowledge:
            self._call("POST", f"{path}:acknowledge", {"ackIds": [each["ackId"] for each in received]})
        return received

    def _call(self, method: str, path: str, body: object) -> Any:
        return call(method, f"{self.server.url}/v1/{path}", body)


@contextmanager
def pubsub() -> Iterator[PubSub]:
    """Run the emulator with nothing in it.

    Seen with emulator 0.8.20, unlike the service: a failed push is redelivered after 1 s, or after 3 s with a
    retry policy; only 102 and 200 to 204 less 202 acknowledge; a wrapped push has no orderingKey and no
    deliveryAttempt; an unwrapped one has x-goog-ordering-key for x-goog-pubsub-ordering-key, the type of a form where
    no attribute says Content-Type, and a body in which what is not UTF-8 is replaced. An ordered subscription with a
    dead-letter policy stops for good with the message to dead-letter.
    """
    [port] = free_ports(1)
    command = [
        *emulator("pubsub-emulator/lib/cloud-pubsub-emulator-*-all.jar"),
        "com.google.cloud.pubsub.testing.v1.Main",
    ]
    with serving([*command, "--host=127.0.0.1", f"--port={port}"], port, timeout=60) as server:
        yield PubSub(server)


def _topic(name: str) -> str:
    return f"projects/{PROJECT}/topics/{name}"


def _subscription(name: str) -> str:
    return f"projects/{PROJECT}/subscriptions/{name}"
