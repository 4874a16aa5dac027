"""Dead letters in a storage queue or a Service Bus queue, for `portable-fn redrive`."""

from __future__ import annotations

import time
from base64 import b64decode
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree

from portable_fn.adapter import as_cloudevent, cloudevents
from portable_fn.adapter.dead_letter import restored
from portable_fn.data import to_json
from portable_fn.events import Event, Message
from portable_fn_azure.drivers import api
from portable_fn_azure.drivers import queue as queues

SERVICES = ("storage_queue",)
CONNECTION = "AzureWebJobsStorage"
# Seconds that a letter is out of the queue, and those that a call may take.
HELD, TIMEOUT = 120, 20.0
# So few that each may take the whole time of a call, and none is handed out again meanwhile.
AT_ONCE = 5


class Taken:
    """What deletes a letter, and how its text was encoded."""

    def __init__(self, id: str, receipt: str, encoding: str) -> None:
        self.id = id
        self.receipt = receipt
        self.encoding = encoding


class Letters:
    """The letters of a storage queue of the account that the setting AzureWebJobsStorage names."""

    def __init__(self, queue: str) -> None:
        self.queue = queue
        self._storage("GET", queue, {"comp": "metadata"}, 200)

    def receive(self) -> list[Message[Any]]:
        query = {"numofmessages": str(AT_ONCE), "visibilitytimeout": str(HELD)}
        answer = self._storage("GET", f"{self.queue}/messages", query, 200)
        return [self._letter(one) for one in ElementTree.fromstring(answer).iterfind("QueueMessage")]

    def _letter(self, one: ElementTree.Element) -> Message[Any]:
        text, id = one.findtext("MessageText", ""), one.findtext("MessageId", "")
        try:
            body, encoding = b64decode(text, validate=True), "base64"
        except ValueError:
            body, encoding = text.encode(), "none"
        return Message(
            id, self.queue, body, channel=self.queue, native=Taken(id, one.findtext("PopReceipt", ""), encoding)
        )

    def event(self, letter: Message[Any]) -> Event[Any]:
        # The host's own dead letters of a queue: what the text says is its sender's word.
        return letter if self.queue.endswith("-poison") else restored(letter)

    def destination(self, letter: Message[Any]) -> str:
        event = self.event(letter)
        if event is letter:
            return self.queue.removesuffix("-poison") if self.queue.endswith("-poison") else ""
        # A queue's messages have its name for their source; those of streams have another, or a partition.
        is_queued = isinstance(event, Message) and event.partition is None
        return event.source if is_queued and "/" not in event.source else ""

    def send(self, letter: Message[Any], event: Event[Any], to: str) -> None:
        if isinstance(event, Message):
            lost = [name for name in ("attributes", "key", "subject", "content_type") if getattr(event, name)]
            if lost:
                raise ValueError(f"a storage queue takes a body alone, and the message has {', '.join(lost)}")
            body = event.body
        else:
            body = to_json(cloudevents.write_structured(as_cloudevent.write(event))).encode()
        text = queues.encoded(body, _taken(letter).encoding)
        if len(text) > queues.MAX_TEXT:
            raise ValueError(f"a storage queue takes {queues.MAX_TEXT} characters, and the message has {len(text)}")
        queues.send_text(to, CONNECTION, text, time.monotonic() + TIMEOUT, make=False)

    def delete(self, letter: Message[Any]) -> None:
        taken = _taken(letter)
        self._storage("DELETE", f"{self.queue}/messages/{quote(taken.id)}", {"popreceipt": taken.receipt}, 204)

    def release(self, letters: Sequence[Message[Any]]) -> None:
        for letter in letters:
            taken = _taken(letter)
            query = {"popreceipt": taken.receipt, "visibilitytimeout": "0"}
            self._storage("PUT", f"{self.queue}/messages/{quote(taken.id)}", query, 204)

    def _storage(self, method: str, path: str, query: dict[str, str], expected: int) -> bytes:
        status, answer = api.storage(method, CONNECTION, path, query, b"", time.monotonic() + TIMEOUT)
        if status != expected:
            what = api._code(answer)
            raise api.QueueError(f"the storage queue {self.queue} answers {method} with {status} {what}".rstrip())
        return answer


def letters(queue: str, service: str) -> Letters:
    """The dead letters of a queue; QueueError if it can't be read."""
    return Letters(queue)


def _taken(letter: Message[Any]) -> Taken:
    taken: Any = letter.native
    return taken  # type: ignore[no-any-return]  # as _letter made it
