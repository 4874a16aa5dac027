"""Neutral responses and outcomes as what Toy takes."""

from __future__ import annotations

from binascii import b2a_base64

from portable_fn.errors import EncodeError
from portable_fn.http import encode_json
from portable_fn.outcomes import Done, Reject, Retry

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from portable_fn.http import Response
    from portable_fn.outcomes import Outcome


def web(response: Response) -> dict[str, Any]:
    """The answer to a request; EncodeError for a stream."""
    if not isinstance(response.body, bytes):
        raise EncodeError("Toy takes a whole body")
    body = b2a_base64(response.body, newline=False).decode()
    return {"status": response.status, "headers": response.wire_headers(), "body": body}


def queue(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """What becomes of each message, in their order."""
    return {"messages": [_settled(outcome) for outcome in outcomes]}


def _settled(outcome: Outcome) -> dict[str, Any]:
    if isinstance(outcome, Retry):
        return {"retry": True, "after": outcome.after}
    return {"reject": outcome.why} if isinstance(outcome, Reject) else {"done": True}


def call(outcome: Outcome) -> dict[str, Any]:
    """The result as a JSON text, or the name and the message of what was raised."""
    error: BaseException
    if isinstance(outcome, Done):
        try:
            return {"result": encode_json(outcome.result).decode()}
        except EncodeError as exc:
            error = exc
    else:
        error = outcome.error or outcome
    return {"error": type(error).__name__, "message": str(error)}
