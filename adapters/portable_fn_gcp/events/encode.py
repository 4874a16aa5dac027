"""Encode outcomes as Google's HTTP answers."""

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


# The triggers whose event Eventarc Advanced may have sent, which drops what is answered with a 4xx but 408, 409 and 429.
# https://cloud.google.com/eventarc/advanced/docs/retry-events
OF_EVENTARC = ("binary", "structured", "batched")


def acknowledge(outcomes: Sequence[Outcome], request: Request[Any], context: Context) -> Response:
    """204 where all is done or dead-lettered; else 503, or 429 with Retry-After for a `Retry(after=…)`.

    An answer is for the whole request: the events of a batch all come again where one has to. Pub/Sub, Eventarc, Cloud Tasks
    and Cloud Scheduler take any 2xx for an acknowledgement, the Pub/Sub emulator (0.8.20) not each: 200 and 204 it takes.
    """
    retries = [outcome for outcome in outcomes if isinstance(outcome, Retry)]
    if not retries:
        return Response(204)
    status, headers = _again(max(retries, key=lambda retry: retry.after or 0))
    error = HTTPError(
        status,
        "The event is to come again; the function's log has the reason under the invocation id.",
        headers=headers,
        extensions={"invocation_id": context.invocation_id},
    )
    return failed(error, request, context)


def unreadable(error: DecodeError, request: Request[Any], context: Context) -> Response:
    """400: no redelivery makes an event readable, but each service that this is for retries it, and can dead-letter it."""
    return failed(HTTPError(400, str(error), extensions={"invocation_id": context.invocation_id}), request, context)


def task(outcome: Outcome, context: Context, *, tells_all: bool) -> Response:
    """Return the result as JSON with 200, or the error as `{"error": {"type": "OutOfStock", "message": "…"}}`.

    The status is 503 for a Retry (429 with Retry-After if it has `after`), which `http.default_retry` of Workflows retries;
    422 for a Reject and for invalid input; 400 for a body that isn't JSON; an HTTPError's own; else 500. Without `tells_all`,
    the caller sees class and message only of errors that are meant for callers.
    """
    error = _error(outcome)
    if error is None:
        try:
            return _json(200, encode_json(outcome.result if isinstance(outcome, Done) else None))
        except EncodeError as exc:
            error = _logged(exc, context)
    status, headers = _failure(error)
    name, message = _told(error, tells_all)
    document: dict[str, Any] = {"error": {"type": name, "message": message}}
    if isinstance(error, InvalidData):
        document["error"]["errors"] = error.errors
    if name == _HIDDEN:
        document["invocation_id"] = context.invocation_id
    return _json(status, encode_json(document), headers)


def bigquery(outcome: Outcome, item: Any, context: Context, *, tells_all: bool) -> Response:
    """`{"replies": […]}`, one for each call, or `{"errorMessage": "OutOfStock: …"}`, for which the query fails.

    BigQuery itself retries 408, 429, 500, 503 and 504. https://cloud.google.com/bigquery/docs/remote-functions#output_format
    """
    error = _error(outcome)
    if error is None:
        replies = outcome.result if isinstance(outcome, Done) else None
        calls = len(item.input)
        try:
            if not isinstance(replies, (list, tuple)) or len(replies) != calls:
                seen = f"{len(replies)} replies" if isinstance(replies, (list, tuple)) else type(replies).__name__
                raise EncodeError(
                    f"a remote function returns a list with a reply for each of {calls} calls, not {seen}"
                )
            return _json(200, encode_json({"replies": replies}))
        except EncodeError as exc:
            error = _logged(exc, context)
    status, headers = _failure(error)
    # No other answer would come of the same calls.
    status = 400 if isinstance(error, (EncodeError, DecodeError, InvalidData, Reject)) else status
    name, message = _told(error, tells_all)
    if name == _HIDDEN:
        message = f"{message[:-1]} {context.invocation_id}."
    return _json(status, encode_json({"errorMessage": f"{name}: {message}"}), headers)


_HIDDEN = "InternalServerError"


def _logged(error: EncodeError, context: Context) -> EncodeError:
    context.log.error("the answer of a task can't be written", exc_info=error)
    return error


def _told(error: BaseException, tells_all: bool) -> tuple[str, str]:
    """The name and message by which the caller sees an error."""
    from portable_fn.adapter.problem import HIDDEN, is_for_caller, title

    if not tells_all and not is_for_caller(error):
        return _HIDDEN, HIDDEN
    return type(error).__name__, error.detail or title(error.status) if isinstance(error, HTTPError) else str(error)


def _error(outcome: Outcome) -> BaseException | None:
    """What the handler raised, or why the call can't be read; None where the handler returned."""
    if isinstance(outcome, Done):
        return None
    return outcome if outcome.error is None else outcome.error


def _failure(error: BaseException) -> tuple[int, dict[str, str]]:
    if isinstance(error, Retry):
        return _again(error)
    if isinstance(error, HTTPError):
        return error.status, dict(error.headers)
    if isinstance(error, (Reject, InvalidData)):
        return 422, {}
    return 400 if isinstance(error, DecodeError) else 500, {}


def _again(retry: Retry) -> tuple[int, dict[str, str]]:
    """Return status and headers of a retry.

    Cloud Tasks waits as Retry-After says, and sends the queue more slowly after a 429 or 503. The other services follow their
    own retry policy.
    """
    if retry.after is None:
        return 503, {}
    # Whole seconds, rounded up.
    return 429, {"retry-after": str(int(-(-retry.after // 1)))}


def _json(status: int, body: bytes, headers: dict[str, str] | None = None) -> Response:
    return Response(status, {"content-type": "application/json", **(headers or {})}, (), body)
