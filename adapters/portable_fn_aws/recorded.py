"""Record the answers that `runtime` sends to the Runtime API."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from portable_fn.recording.payload_json import body_fields

if TYPE_CHECKING:
    from portable_fn_aws.runtime_api import Invocation, RuntimeAPI

Answer = Callable[..., None]


def record_answers(answer: Answer, recorder: Any) -> Answer:
    """Wrap `answer`, which answers one invocation, so that each call is recorded."""

    def recorded(api: RuntimeAPI, invocation: Invocation, *more: Any) -> None:
        with recorder.recording("aws").writing() as call:
            call.payload = lambda: json.loads(invocation.payload)
            answer(_RecordedAPI(api, call), invocation, *more)

    return recorded


class _RecordedAPI:
    """The Runtime API, which records the answer to one invocation."""

    def __init__(self, api: RuntimeAPI, call: Any) -> None:
        self._api = api
        self._call = call

    def respond(self, invocation: Invocation, body: bytes) -> None:
        self._call.answer = lambda: json.loads(body)
        self._api.respond(invocation, body)

    def stream(self, invocation: Invocation, prelude: bytes, body: Iterable[bytes]) -> None:
        self._call.answer = lambda: {**json.loads(prelude), **_body(self._call.sent.body)}
        self._api.stream(invocation, prelude, self._recorded(body))

    def _recorded(self, body: Iterable[bytes]) -> Iterator[bytes]:
        try:
            for part in body:
                self._call.sent.add(part)
                yield part
        finally:
            if close := getattr(body, "close", None):
                close()


def _body(body: bytes) -> dict[str, Any]:
    content = body_fields(body)
    encoded = content.get("body_base64")
    return {"body": content.get("body", "") if encoded is None else encoded, "isBase64Encoded": encoded is not None}
