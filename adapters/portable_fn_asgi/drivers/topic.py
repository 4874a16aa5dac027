"""Publish messages through the Dapr sidecar."""

from __future__ import annotations

import os
from _contextvars import ContextVar

from portable_fn.adapter import cloudevents

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from portable_fn.events import Event
    from portable_fn.outcomes import Reject

# Seconds that the sidecar may take for a dead letter.
SECONDS = 5.0

# A simulation sets this to False. Then there is no sidecar, even if the environment names one.
has_sidecar: ContextVar[bool] = ContextVar("has_sidecar", default=True)


def dead_letter(event: Event[Any], reject: Reject, topic: str, seconds: float | None = None, *, pubsub: str) -> bool:
    """Publish a rejected message to a topic; return whether the sidecar accepted it.

    The sidecar listens at DAPR_HTTP_PORT, which Dapr sets.
    https://docs.dapr.io/reference/api/pubsub_api/#publish-a-message-to-a-given-topic

    Args:
        event: The rejected message.
        reject: Has the reason.
        topic: The topic of the dead letters.
        seconds: The time limit; 5 at most.
        pubsub: The name of the pub/sub component.
    """
    port = os.environ.get("DAPR_HTTP_PORT", "")
    if not port.isdecimal() or not has_sidecar.get():
        return False
    from http.client import HTTPException
    from urllib.parse import quote

    from portable_fn.adapter.dead_letter import cloud_event, written
    from portable_fn.adapter.http_client import call

    headers = {"content-type": cloudevents.STRUCTURED}
    if token := os.environ.get("DAPR_API_TOKEN"):
        headers["dapr-api-token"] = token
    url = f"http://127.0.0.1:{port}/v1.0/publish/{quote(pubsub, safe='')}/{quote(topic, safe='')}"
    # Dapr parses the JSON and writes it again with 64-bit numbers, so the body is base64.
    body = written(cloud_event(event, reject), in_base64=True)
    try:
        status, _ = call("POST", url, headers, body, SECONDS if seconds is None else min(seconds, SECONDS))
        problem = "" if status < 300 else f"it answers {status}"
    except (OSError, HTTPException) as exc:
        problem = type(exc).__name__
    if problem:
        from portable_fn.logs import log

        log().warning(
            "the sidecar didn't publish to the dead-letter topic %s: %s; Dapr gets the message back without the reason",
            topic,
            problem,
        )
    return not problem
