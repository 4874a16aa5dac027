"""Read the dead letters of a storage queue, for `portable-fn redrive`."""

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
# Seconds that a letter is hidden from other readers, and seconds that a call may take.
HIDDEN, TIMEOUT = 120, 20.0
# Few enough that each call may take its whole time before the letters become visible again.
AT_ONCE = 5


class Receipt:
    """The receipt that deletes a letter, and the encoding of its text."""

    def __init__(self, id: str, receipt: str, encoding: str) -> None:
        self.id = id
        self.receipt = receipt
        self.encoding = encoding


class Letters:
    """The letters of a storage queue, in the account of the setting AzureWebJobsStorage."""

    def __init__(self, queue: str) -> None:
        self.queue = queue
        self._storage("GET", queue, {"comp": "metadata"}, 200)

    def receive(self) -> list[Message[Any]]:
        query = {"numofmessages": str(AT_ONCE), "visibilitytimeout": str(HIDDEN)}
        answer = self._storage("GET", f"{self.queue}/messages", query, 200)
        return [self._letter(element) for element in ElementTree.fromstring(answer).iterfind("QueueMessage")]

    def _letter(self, element: ElementTree.Element) -> Message[Any]:
        text, id = element.findtext("MessageText", ""), element.findtext("MessageId", "")
        try:
            body, encoding = b64decode(text, validate=True), "base64"
        except ValueError:
            body, encoding = text.encode(), "none"
        return Message(
            id, self.queue, body, channel=self.queue, native=Receipt(id, element.findtext("PopReceipt", ""), encoding)
        )

    def event(self, letter: Message[Any]) -> Event[Any]:
        # The host moved it, unchanged: if the text looks like a dead letter of ours, its sender wrote it so.
        return letter if self.queue.endswith("-poison") else restored(letter)

    def destination(self, letter: Message[Any]) -> str:
        event = self.event(letter)
        if event is letter:
            return self.queue.removesuffix("-poison") if self.queue.endswith("-poison") else ""
        # A queue's messages have its name as their source. A stream's have another source, or a partition.
        is_queued = isinstance(event, Message) and event.partition is None
        return event.source if is_queued and "/" not in event.source else ""

    def send(self, letter: Message[Any], event: Event[Any], to: str) -> None:
        if isinstance(event, Message):
            lost = [name for name in ("attributes", "key", "subject", "content_type") if getattr(event, name)]
            if lost:
                raise ValueError(f"a storage queue keeps only a body, but the message has {', '.join(lost)}")
            body = event.body
        else:
            body = to_json(cloudevents.write_structured(as_cloudevent.write(event))).encode()
        text = queues.encode_body(body, _receipt(letter).encoding)
        if len(text) > queues.MAX_TEXT:
            raise ValueError(f"a storage queue takes {queues.MAX_TEXT} characters, but the message has {len(text)}")
        queues.send_to_storage_queue(to, CONNECTION, text, time.monotonic() + TIMEOUT, create=False)

    def delete(self, letter: Message[Any]) -> None:
        receipt = _receipt(letter)
        self._storage("DELETE", f"{self.queue}/messages/{quote(receipt.id)}", {"popreceipt": receipt.receipt}, 204)

    def release(self, letters: Sequence[Message[Any]]) -> None:
        for letter in letters:
            receipt = _receipt(letter)
            query = {"popreceipt": receipt.receipt, "visibilitytimeout": "0"}
            self._storage("PUT", f"{self.queue}/messages/{quote(receipt.id)}", query, 204)

    def _storage(self, method: str, path: str, query: dict[str, str], expected: int) -> bytes:
        status, answer = api.call_storage(method, CONNECTION, path, query, b"", time.monotonic() + TIMEOUT)
        if status != expected:
            code = api.error_code(answer)
            raise api.QueueError(f"the storage queue {self.queue} answers {method} with {status} {code}".rstrip())
        return answer


def letters(queue: str, service: str) -> Letters:
    """Return the dead letters of a queue; raise QueueError if it can't be read."""
    return Letters(queue)


def _receipt(letter: Message[Any]) -> Receipt:
    receipt: Any = letter.native
    return receipt  # type: ignore[no-any-return]  # set by _letter
