"""What `runtime` answers, recorded as it goes to the Runtime API."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from portable_fn.recording.payload_json import in_text

if TYPE_CHECKING:
    from portable_fn_aws.runtime_api import Invocation, RuntimeAPI

Answer = Callable[..., None]


def answering(answer: Answer, recorder: Any) -> Answer:
    """`answer`, which answers one invocation, so that it is recorded."""

    def recorded(api: RuntimeAPI, invocation: Invocation, *more: Any) -> None:
        with recorder.recording("aws").written() as one:
            one.payload = lambda: json.loads(invocation.payload)
            answer(_Heard(api, one), invocation, *more)

    return recorded


class _Heard:
    """The Runtime API, for the answer to one invocation."""

    def __init__(self, api: RuntimeAPI, one: Any) -> None:
        self._api = api
        self._one = one

    def respond(self, invocation: Invocation, body: bytes) -> None:
        self._one.answer = lambda: json.loads(body)
        self._api.respond(invocation, body)

    def stream(self, invocation: Invocation, prelude: bytes, body: Iterable[bytes]) -> None:
        self._one.answer = lambda: {**json.loads(prelude), **_body(self._one.sent.body)}
        self._api.stream(invocation, prelude, self._passing(body))

    def _passing(self, body: Iterable[bytes]) -> Iterator[bytes]:
        try:
            for part in body:
                self._one.sent.add(part)
                yield part
        finally:
            if close := getattr(body, "close", None):
                close()


def _body(body: bytes) -> dict[str, Any]:
    made = in_text(body)
    encoded = made.get("body_base64")
    return {"body": made.get("body", "") if encoded is None else encoded, "isBase64Encoded": encoded is not None}
