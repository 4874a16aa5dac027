"""Read dead letters from a subscription of a Pub/Sub topic, for `portable-fn redrive`."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from portable_fn.adapter import as_cloudevent, cloudevents
from portable_fn.adapter.dead_letter import restored, through
from portable_fn.data import to_json
from portable_fn.errors import PortableError
from portable_fn.events import Event, Message
from portable_fn_gcp.drivers import api, topic
from portable_fn_gcp.events import messages

SERVICES = ("pubsub",)
# Seconds before an unacknowledged letter is redelivered.
HELD = 120
# Letters at once: few enough that each may take the time limit of a call, and all are done before redelivery.
AT_ONCE = 5
# Seconds after which a subscription without letters is empty, and the time limit of a call.
WAIT, TIMEOUT = 3.0, 20.0


_PREFIX = topic.DEAD_LETTER_PREFIX


class Letters:
    """The letters of a subscription.

    Args:
        subscription: A short name in the project GOOGLE_CLOUD_PROJECT, or a full name `projects/…/subscriptions/…`.
    """

    def __init__(self, subscription: str) -> None:
        self.project = _project(subscription)
        is_full = subscription.startswith("projects/")
        self.subscription = subscription if is_full else f"projects/{self.project}/subscriptions/{subscription}"
        self._topics: dict[str, str] = {}
        self._call("GET", self.subscription)

    def receive(self) -> list[Message[Any]]:
        """Return the next letters; none if the subscription is empty."""
        end = time.monotonic() + WAIT
        received: list[Any] = []
        while not received and time.monotonic() < end:
            pull = {"maxMessages": AT_ONCE, "returnImmediately": True}
            received = self._call("POST", f"{self.subscription}:pull", pull).get("receivedMessages") or []
            if not received:
                time.sleep(0.1)
        handles = [message["ackId"] for message in received]
        if handles:
            self._call(
                "POST", f"{self.subscription}:modifyAckDeadline", {"ackIds": handles, "ackDeadlineSeconds": HELD}
            )
        return [
            messages.push({"message": message["message"], "subscription": self.subscription}, message["ackId"])
            for message in received
        ]

    def event(self, letter: Message[Any]) -> Event[Any]:
        """Return the event in the letter."""
        # If Pub/Sub dead-lettered the message, all its other attributes are the sender's.
        return letter if f"{_PREFIX}Subscription" in letter.attributes else restored(letter)

    def destination(self, letter: Message[Any]) -> str:
        """Return the full name of the topic that the letter's event came from; "" if it isn't known."""
        attributes: dict[str, Any] = dict(letter.attributes)
        if name := attributes.get(f"{_PREFIX}Subscription"):
            project = attributes.get(f"{_PREFIX}SubscriptionProject", self.project)
            origin = f"projects/{project}/subscriptions/{name}"
        else:
            origin = through(letter).removeprefix("//pubsub.googleapis.com/")
        parts = origin.split("/")
        if len(parts) != 4 or parts[0] != "projects":
            return ""
        if parts[2] == "subscriptions":
            if origin not in self._topics:
                self._topics[origin] = self._call("GET", origin)["topic"]
            return self._topics[origin]
        return origin if parts[2] == "topics" else ""

    def send(self, letter: Message[Any], event: Event[Any], to: str) -> None:
        """Publish the letter's event to a topic."""
        name = to if to.startswith("projects/") else f"projects/{self.project}/topics/{to}"
        attributes: dict[str, str] = {}
        if isinstance(event, Message):
            body, key = event.body, event.key
            for attribute, value in event.attributes.items():
                if not isinstance(value, str):
                    raise ValueError(f"Pub/Sub's attributes are strings, but {attribute!r} is {type(value).__name__}")
                if not attribute.startswith(_PREFIX):
                    attributes[attribute] = value
            if event.content_type:
                attributes["content-type"] = event.content_type
        else:
            body, key = to_json(cloudevents.write_structured(as_cloudevent.write(event))).encode(), None
            attributes["content-type"] = cloudevents.STRUCTURED
        topic.publish(name, body, attributes, key, time.monotonic() + TIMEOUT)

    def delete(self, letter: Message[Any]) -> None:
        """Acknowledge a letter."""
        self._call("POST", f"{self.subscription}:acknowledge", {"ackIds": [letter.native]})

    def release(self, letters: Sequence[Message[Any]]) -> None:
        """Give letters back to the subscription."""
        handles = [letter.native for letter in letters]
        self._call("POST", f"{self.subscription}:modifyAckDeadline", {"ackIds": handles, "ackDeadlineSeconds": 0})

    def _call(self, method: str, path: str, value: Any = None) -> Any:
        try:
            return api.pubsub(method, quote(path, safe="/:"), value, time.monotonic() + TIMEOUT)
        except OSError as exc:
            raise PortableError(f"Pub/Sub can't be reached: {type(exc).__name__}") from exc


def letters(queue: str, service: str) -> Letters:
    """Return the dead letters of a subscription.

    Raises:
        PortableError: The subscription can't be read.
    """
    _find_token()
    return Letters(queue)


def _project(subscription: str) -> str:
    if subscription.startswith("projects/"):
        return subscription.split("/")[1]
    project = os.environ.get("GOOGLE_CLOUD_PROJECT") or os.environ.get("CLOUDSDK_CORE_PROJECT")
    if not project:
        raise ValueError("the subscription's project isn't known: use its full name, or set GOOGLE_CLOUD_PROJECT")
    return project


def _find_token() -> None:
    """Use the token of the user who runs the command: CLOUDSDK_AUTH_ACCESS_TOKEN, or google-auth's if that is installed."""
    if os.environ.get("PUBSUB_EMULATOR_HOST"):
        return
    token = os.environ.get("CLOUDSDK_AUTH_ACCESS_TOKEN", "")
    if not token:
        try:
            import google.auth  # type: ignore[import-untyped,import-not-found,unused-ignore]
            import google.auth.transport.requests  # type: ignore[import-untyped,import-not-found,unused-ignore]

            credentials: Any = google.auth.default(scopes=["https://www.googleapis.com/auth/pubsub"])[0]
            credentials.refresh(google.auth.transport.requests.Request())
            token = credentials.token
        except Exception:
            return  # the metadata server may have a token
    api.set_token(token, 3600)
