"""Dead letters of a Pub/Sub topic, in a subscription to it, for `portable-fn redrive`."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from portable_fn.adapter import as_cloudevent, cloudevents
from portable_fn.adapter.dead_letter import restored, through
from portable_fn.data import parse_json, to_json
from portable_fn.errors import PortableError
from portable_fn.events import Event, Message
from portable_fn_gcp.drivers import api
from portable_fn_gcp.drivers import topic as pubsub
from portable_fn_gcp.events import messages

SERVICES = ("pubsub",)
# Seconds that a letter is out of the subscription.
HELD = 120
# So few that each may take the whole time of a call, and none is handed out again meanwhile.
AT_ONCE = 5
# Seconds in which a subscription tells that it has no more, and those that a call may take.
WAIT, TIMEOUT = 3.0, 20.0


_OWN = pubsub.OF_DEAD_LETTERS


class Letters:
    """The letters of a subscription, by its short name in the project GOOGLE_CLOUD_PROJECT or its whole one."""

    def __init__(self, subscription: str) -> None:
        self.project = _project(subscription)
        whole = subscription.startswith("projects/")
        self.subscription = subscription if whole else f"projects/{self.project}/subscriptions/{subscription}"
        self._topics: dict[str, str] = {}
        self._call("GET", self.subscription)

    def receive(self) -> list[Message[Any]]:
        end = time.monotonic() + WAIT
        received: list[Any] = []
        while not received and time.monotonic() < end:
            asked = {"maxMessages": AT_ONCE, "returnImmediately": True}
            received = self._call("POST", f"{self.subscription}:pull", asked).get("receivedMessages") or []
            if not received:
                time.sleep(0.1)
        handles = [one["ackId"] for one in received]
        if handles:
            self._call(
                "POST", f"{self.subscription}:modifyAckDeadline", {"ackIds": handles, "ackDeadlineSeconds": HELD}
            )
        return [
            messages.pushed({"message": one["message"], "subscription": self.subscription}, one["ackId"])
            for one in received
        ]

    def event(self, letter: Message[Any]) -> Event[Any]:
        # What else a message says that Pub/Sub itself dead-lettered is its sender's word.
        return letter if f"{_OWN}Subscription" in letter.attributes else restored(letter)

    def destination(self, letter: Message[Any]) -> str:
        own: dict[str, Any] = dict(letter.attributes)
        if name := own.get(f"{_OWN}Subscription"):
            came = f"projects/{own.get(f'{_OWN}SubscriptionProject', self.project)}/subscriptions/{name}"
        else:
            came = through(letter).removeprefix("//pubsub.googleapis.com/")
        parts = came.split("/")
        if len(parts) != 4 or parts[0] != "projects":
            return ""
        if parts[2] == "subscriptions":
            if came not in self._topics:
                self._topics[came] = self._call("GET", came)["topic"]
            return self._topics[came]
        return came if parts[2] == "topics" else ""

    def send(self, letter: Message[Any], event: Event[Any], to: str) -> None:
        topic = to if to.startswith("projects/") else f"projects/{self.project}/topics/{to}"
        attributes: dict[str, str] = {}
        if isinstance(event, Message):
            body, key = event.body, event.key
            for name, value in event.attributes.items():
                if not isinstance(value, str):
                    raise ValueError(f"Pub/Sub takes texts as attributes, and {name!r} is none")
                if not name.startswith(_OWN):
                    attributes[name] = value
            if event.content_type:
                attributes["content-type"] = event.content_type
        else:
            made = as_cloudevent.write(event)
            body, key = to_json(cloudevents.write_structured(made)).encode(), None
            attributes["content-type"] = cloudevents.STRUCTURED
        pubsub.publish(topic, body, attributes, key, time.monotonic() + TIMEOUT)

    def delete(self, letter: Message[Any]) -> None:
        self._call("POST", f"{self.subscription}:acknowledge", {"ackIds": [letter.native]})

    def release(self, letters: Sequence[Message[Any]]) -> None:
        handles = [letter.native for letter in letters]
        self._call("POST", f"{self.subscription}:modifyAckDeadline", {"ackIds": handles, "ackDeadlineSeconds": 0})

    def _call(self, method: str, path: str, value: Any = None) -> Any:
        host = api._origin("PUBSUB_EMULATOR_HOST") or "https://pubsub.googleapis.com"
        headers = {"content-type": "application/json"}
        end = time.monotonic() + TIMEOUT
        if not os.environ.get("PUBSUB_EMULATOR_HOST"):
            headers["authorization"] = f"Bearer {api._token(end)}"
        body = None if value is None else to_json(value).encode()
        try:
            status, answer = api.call(method, host, f"/v1/{quote(path, safe='/:')}", headers, body, TIMEOUT)
        except OSError as exc:
            raise PortableError(f"{host} can't be reached: {type(exc).__name__}") from exc
        if status != 200:
            raise PortableError(f"Pub/Sub answers {status} for {path}")
        return parse_json(answer.decode() or "{}")


def letters(queue: str, service: str) -> Letters:
    """The dead letters of a subscription; PortableError if it can't be read."""
    _credentials()
    return Letters(queue)


def _project(subscription: str) -> str:
    if subscription.startswith("projects/"):
        return subscription.split("/")[1]
    project = os.environ.get("GOOGLE_CLOUD_PROJECT") or os.environ.get("CLOUDSDK_CORE_PROJECT")
    if not project:
        raise ValueError("the subscription's project isn't known: give its whole name, or set GOOGLE_CLOUD_PROJECT")
    return project


def _credentials() -> None:
    """Take the token of who runs the command: CLOUDSDK_AUTH_ACCESS_TOKEN, or what google-auth finds if it is there."""
    if os.environ.get("PUBSUB_EMULATOR_HOST"):
        return
    token = os.environ.get("CLOUDSDK_AUTH_ACCESS_TOKEN", "")
    if not token:
        try:
            import google.auth  # type: ignore[import-untyped,import-not-found,unused-ignore]
            import google.auth.transport.requests  # type: ignore[import-untyped,import-not-found,unused-ignore]

            found: Any = google.auth.default(scopes=["https://www.googleapis.com/auth/pubsub"])[0]
            found.refresh(google.auth.transport.requests.Request())
            token = found.token
        except Exception:
            return  # the metadata server may have one
    api._access = (token, time.time() + 3600)
