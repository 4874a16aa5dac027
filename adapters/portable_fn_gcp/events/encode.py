"""Encode outcomes as the HTTP answers that Google's services expect."""

from __future__ import annotations

from portable_fn.adapter.pipeline import failed
from portable_fn.errors import DecodeError, EncodeError, HTTPError, InvalidData
from portable_fn.http import Response, encode_json
from portable_fn.outcomes import Done, Reject, Retry

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from portable_fn.context import Context
    from portable_fn.http import Request
    from portable_fn.outcomes import Outcome
    from portable_fn_gcp.events.decode import IncomingEvents


# Eventarc Advanced may have sent these; it drops an event after a 4xx other than 408, 409 and 429.
# https://cloud.google.com/eventarc/advanced/docs/retry-events
_FROM_EVENTARC = ("binary", "structured", "batched")

_HIDDEN = "InternalServerError"


def acknowledge(
    incoming: IncomingEvents, outcomes: Sequence[Outcome], context: Context, *, tells_all: bool = False
) -> Response:
    """Return the answer for the outcomes of one request.

    204 acknowledges; 503, or 429 with Retry-After for `Retry(after=…)`, retries. One answer covers the whole request: if one
    event of a batch is retried, all are redelivered. Pub/Sub, Eventarc, Cloud Tasks and Cloud Scheduler take any 2xx as an
    acknowledgement; the Pub/Sub emulator (0.8.20) takes 200 and 204, but not every other.

    Args:
        incoming: The request's events, one for each outcome.
        outcomes: What became of them.
        context: The invocation's.
        tells_all: Whether the caller of a task sees every error.
    """
    items = incoming.items
    if incoming.source == "task":
        return task(outcomes[0], context, tells_all=tells_all)
    if incoming.source == "bigquery":
        return bigquery(outcomes[0], items[0], context, tells_all=tells_all)
    if len(items) == 1 and isinstance(items[0], DecodeError) and incoming.source not in _FROM_EVENTARC:
        return _unreadable(items[0], incoming.request, context)
    retries = [outcome for outcome in outcomes if isinstance(outcome, Retry)]
    if not retries:
        return Response(204)
    status, headers = _retry(max(retries, key=lambda retry: retry.after or 0))
    error = HTTPError(
        status,
        "The event must be redelivered; the function's log has the reason under the invocation id.",
        headers=headers,
        extensions={"invocation_id": context.invocation_id},
    )
    return failed(error, incoming.request, context)


def _unreadable(error: DecodeError, request: Request[Any], context: Context) -> Response:
    """Answer 400. Redelivery doesn't make an event readable, but each of these services retries it and can dead-letter it."""
    return failed(HTTPError(400, str(error), extensions={"invocation_id": context.invocation_id}), request, context)


def task(outcome: Outcome, context: Context, *, tells_all: bool) -> Response:
    """Answer the caller of a task: the result as JSON, or `{"error": {"type": "OutOfStock", "message": "…"}}`.

    `type` is the class of the handler's error. The status is 503 for a Retry (429 with Retry-After if it has a delay), which
    Workflows' `http.default_retry` retries; 422 for a Reject and for invalid input; 400 for a body that isn't JSON; an
    HTTPError's own; else 500.

    Args:
        outcome: What became of the task.
        context: The invocation's.
        tells_all: Whether the caller sees errors that aren't meant for callers.
    """
    error = outcome.cause
    if error is None:
        try:
            return _json(200, encode_json(outcome.result if isinstance(outcome, Done) else None))
        except EncodeError as exc:
            error = _logged(exc, context)
    status, headers = _failure(error)
    name, message = _visible(error, tells_all)
    document: dict[str, Any] = {"error": {"type": name, "message": message}}
    if isinstance(error, InvalidData):
        document["error"]["errors"] = error.errors
    if name == _HIDDEN:
        document["invocation_id"] = context.invocation_id
    return _json(status, encode_json(document), headers)


def bigquery(outcome: Outcome, item: Any, context: Context, *, tells_all: bool) -> Response:
    """Answer BigQuery: `{"replies": […]}`, one for each call, or `{"errorMessage": "OutOfStock: …"}`, which fails the query.

    BigQuery retries 408, 429, 500, 503 and 504. https://cloud.google.com/bigquery/docs/remote-functions#output_format
    """
    error = outcome.cause
    if error is None:
        replies = outcome.result if isinstance(outcome, Done) else None
        calls = len(item.input)
        try:
            if not isinstance(replies, (list, tuple)) or len(replies) != calls:
                returned = f"{len(replies)} replies" if isinstance(replies, (list, tuple)) else type(replies).__name__
                raise EncodeError(
                    f"the handler returned {returned}; return a list with one reply for each of {calls} calls"
                )
            return _json(200, encode_json({"replies": replies}))
        except EncodeError as exc:
            error = _logged(exc, context)
    status, headers = _failure(error)
    # The same calls would fail again.
    status = 400 if isinstance(error, (EncodeError, DecodeError, InvalidData, Reject)) else status
    name, message = _visible(error, tells_all)
    if name == _HIDDEN:
        message = f"{message[:-1]} {context.invocation_id}."
    return _json(status, encode_json({"errorMessage": f"{name}: {message}"}), headers)


def _logged(error: EncodeError, context: Context) -> EncodeError:
    context.log.error("a task's result can't be encoded", exc_info=error)
    return error


def _visible(error: BaseException, tells_all: bool) -> tuple[str, str]:
    """Return the name and message that the caller sees."""
    from portable_fn.adapter.problem import HIDDEN, is_for_caller, title

    if not tells_all and not is_for_caller(error):
        return _HIDDEN, HIDDEN
    return type(error).__name__, error.detail or title(error.status) if isinstance(error, HTTPError) else str(error)


def _failure(error: BaseException) -> tuple[int, dict[str, str]]:
    """Return the status and headers for an error."""
    if isinstance(error, Retry):
        return _retry(error)
    if isinstance(error, HTTPError):
        return error.status, dict(error.headers)
    if isinstance(error, (Reject, InvalidData)):
        return 422, {}
    return 400 if isinstance(error, DecodeError) else 500, {}


def _retry(retry: Retry) -> tuple[int, dict[str, str]]:
    """Return the status and headers for a retry.

    Cloud Tasks obeys Retry-After, and slows the queue down after a 429 or 503. The other services use their own retry policy.
    """
    return (503, {}) if retry.after is None else (429, {"retry-after": str(retry.whole_seconds)})


def _json(status: int, body: bytes, headers: dict[str, str] | None = None) -> Response:
    return Response(status, {"content-type": "application/json", **(headers or {})}, (), body)
