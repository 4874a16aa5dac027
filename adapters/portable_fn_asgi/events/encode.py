"""Encode outcomes as HTTP answers."""

from __future__ import annotations

from portable_fn.adapter import cloudevents
from portable_fn.errors import DecodeError, HTTPError, InvalidData
from portable_fn.events import CloudEvent
from portable_fn.http import Response, encode_json
from portable_fn.outcomes import Done, Reject, Retry

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from portable_fn.outcomes import Outcome
    from portable_fn_asgi.events.decode import IncomingEvents


def acknowledge(incoming: IncomingEvents, outcomes: Sequence[Outcome], *, tells_all: bool = False) -> Response:
    """Return the answer for the outcomes of one request.

    Args:
        incoming: The request's events, one for each outcome.
        outcomes: What became of them.
        tells_all: Whether the caller of a task sees every error.
    """
    match incoming.source:
        case "cloud_event":
            return cloud_events(outcomes)
        case "dapr_pubsub":
            return dapr_message(outcomes)
        case "dapr_bulk":
            return dapr_bulk(outcomes, incoming.ids)
        case "task":
            return task(outcomes, incoming.request.id, tells_all=tells_all)
    return done(outcomes)


def cloud_events(outcomes: Sequence[Outcome]) -> Response:
    """Answer a CloudEvent, or a batch, which has one answer.

    Knative retries a 503, and dead-letters a 400 with its body. If only a part of a batch is rejected, all of it is retried.
    https://github.com/knative/specs/blob/main/specs/eventing/data-plane.md
    """
    retries = [outcome for outcome in outcomes if isinstance(outcome, Retry)]
    rejects = [outcome for outcome in outcomes if isinstance(outcome, Reject)]
    if retries:
        return _retry(retries)
    if rejects and len(rejects) < len(outcomes):
        return _retry([Retry("a part of the batch is rejected")])
    if rejects:
        return problem(400, rejects[0].why or "The event is rejected.")
    if len(outcomes) == 1 and isinstance(outcomes[0], Done) and isinstance(outcomes[0].result, CloudEvent):
        headers, body = cloudevents.write_binary(outcomes[0].result)
        return Response(200, headers, (), body)
    return Response(202)


def dapr_message(outcomes: Sequence[Outcome]) -> Response:
    """Answer a message of pub/sub; Dapr sends a dropped one to the subscription's dead-letter topic."""
    return Response(200, _JSON, (), encode_json({"status": _status(outcomes[0])}))


def dapr_bulk(outcomes: Sequence[Outcome], ids: Sequence[object]) -> Response:
    """Answer a bulk of messages with a status for each."""
    statuses = [{"entryId": id, "status": _status(outcome)} for id, outcome in zip(ids, outcomes, strict=True)]
    return Response(200, _JSON, (), encode_json({"statuses": statuses}))


def _status(outcome: Outcome) -> str:
    return "RETRY" if isinstance(outcome, Retry) else "DROP" if isinstance(outcome, Reject) else "SUCCESS"


def done(outcomes: Sequence[Outcome]) -> Response:
    """Answer a binding or a job: only 200 acknowledges; Dapr retries everything else, except 404."""
    retries = [outcome for outcome in outcomes if isinstance(outcome, Retry)]
    return _retry(retries) if retries else Response(200)


def task(outcomes: Sequence[Outcome], invocation_id: str, *, tells_all: bool) -> Response:
    """Answer the caller of a task: the result as JSON, or a problem document with the error's name and message.

    Args:
        outcomes: The outcome of the task.
        invocation_id: The id under which the log has the error.
        tells_all: Whether the caller sees errors that aren't meant for callers.
    """
    outcome = outcomes[0]
    if isinstance(outcome, Done):
        return Response(200, _JSON, (), encode_json(outcome.result))
    error = outcome.cause
    name = type(error).__name__
    if isinstance(error, Reject):
        return problem(400, str(error), error=name)
    if isinstance(error, Retry):
        return _retry([error], str(error), error=name)
    from portable_fn.adapter.problem import HIDDEN, is_for_caller, of_http_error

    if not tells_all and not is_for_caller(error):
        return problem(500, HIDDEN, invocation_id=invocation_id)
    if isinstance(error, HTTPError):
        return of_http_error(error, error=name)
    if isinstance(error, InvalidData):
        return problem(422, str(error), error=name, errors=error.errors)
    return problem(400 if isinstance(error, DecodeError) else 500, str(error), error=name)


def problem(status: int, detail: str, **members: object) -> Response:
    """Return a problem document, RFC 9457."""
    from portable_fn.adapter.problem import title

    document = {"type": "about:blank", "title": title(status), "status": status, "detail": detail, **members}
    return Response(status, {"content-type": "application/problem+json"}, (), encode_json(document))


def _retry(retries: Sequence[Retry], detail: str = "The event must be redelivered.", **members: object) -> Response:
    response = problem(503, detail, **members)
    # Retry-After has whole seconds: RFC 9110, section 10.2.3.
    seconds = max((delay for retry in retries if (delay := retry.whole_seconds) is not None), default=None)
    if seconds is not None:
        response.headers["retry-after"] = str(seconds)
    return response


_JSON = {"content-type": "application/json"}
