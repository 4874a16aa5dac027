"""Encode responses and outcomes as Toy's answers."""

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
    """Encode the answer to a request; raise EncodeError for a stream."""
    if not isinstance(response.body, bytes):
        raise EncodeError("Toy can't stream a body")
    body = b2a_base64(response.body, newline=False).decode()
    return {"status": response.status, "headers": response.wire_headers(), "body": body}


def queue(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Encode the outcome of each message, in order."""
    return {"messages": [_outcome(outcome) for outcome in outcomes]}


def _outcome(outcome: Outcome) -> dict[str, Any]:
    if isinstance(outcome, Retry):
        return {"retry": True, "after": outcome.after}
    return {"reject": outcome.why} if isinstance(outcome, Reject) else {"done": True}


def call(outcome: Outcome) -> dict[str, Any]:
    """Encode the result as JSON, or the error's name and message."""
    error: BaseException
    if isinstance(outcome, Done):
        try:
            return {"result": encode_json(outcome.result).decode()}
        except EncodeError as exc:
            error = exc
    else:
        error = outcome.cause
    return {"error": type(error).__name__, "message": str(error)}
