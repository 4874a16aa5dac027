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


def cloud_events(outcomes: Sequence[Outcome]) -> Response:
    """The answer to one CloudEvent, or to a batch, which has but one answer for all.

    Knative retries a 503, and dead-letters a 400 with its body; a batch of which only some are rejected comes again.
    https://github.com/knative/specs/blob/main/specs/eventing/data-plane.md
    """
    retries = [outcome for outcome in outcomes if isinstance(outcome, Retry)]
    rejects = [outcome for outcome in outcomes if isinstance(outcome, Reject)]
    if retries:
        return _again(retries)
    if rejects and len(rejects) < len(outcomes):
        return _again([Retry("some of the batch are rejected")])
    if rejects:
        return problem(400, rejects[0].why or "The event is rejected.")
    if len(outcomes) == 1 and isinstance(outcomes[0], Done) and isinstance(outcomes[0].result, CloudEvent):
        headers, body = cloudevents.write_binary(outcomes[0].result)
        return Response(200, headers, (), body)
    return Response(202)


def dapr_message(outcomes: Sequence[Outcome]) -> Response:
    """The answer to a message of pub/sub: Dapr sends what is dropped to the subscription's dead-letter topic."""
    return Response(200, _JSON, (), encode_json({"status": _status(outcomes[0])}))


def dapr_bulk(outcomes: Sequence[Outcome], ids: Sequence[object]) -> Response:
    """The answer to a bulk of messages: a status for each."""
    statuses = [{"entryId": id, "status": _status(outcome)} for id, outcome in zip(ids, outcomes, strict=True)]
    return Response(200, _JSON, (), encode_json({"statuses": statuses}))


def _status(outcome: Outcome) -> str:
    return "RETRY" if isinstance(outcome, Retry) else "DROP" if isinstance(outcome, Reject) else "SUCCESS"


def done(outcomes: Sequence[Outcome]) -> Response:
    """The answer to a binding or a job: 200 alone is done, and all but 404 is retried."""
    retries = [outcome for outcome in outcomes if isinstance(outcome, Retry)]
    return _again(retries) if retries else Response(200)


def task(outcomes: Sequence[Outcome], invocation_id: str, *, tells_all: bool) -> Response:
    """The result as JSON, or a problem document with the name and the message of what was raised.

    Unless `tells_all`, the caller sees neither of an error that isn't for him.
    """
    outcome = outcomes[0]
    if isinstance(outcome, Done):
        return Response(200, _JSON, (), encode_json(outcome.result))
    error = outcome.error or outcome
    name = type(error).__name__
    if isinstance(error, Reject):
        return problem(400, str(error), error=name)
    if isinstance(error, Retry):
        return _again([error], str(error), error=name)
    from portable_fn.adapter.problem import HIDDEN, is_for_caller, of_http_error

    if not tells_all and not is_for_caller(error):
        return problem(500, HIDDEN, invocation_id=invocation_id)
    if isinstance(error, HTTPError):
        return of_http_error(error, error=name)
    if isinstance(error, InvalidData):
        return problem(422, str(error), error=name, errors=error.errors)
    return problem(400 if isinstance(error, DecodeError) else 500, str(error), error=name)


def problem(status: int, detail: str, **members: object) -> Response:
    """A problem document, RFC 9457."""
    from portable_fn.adapter.problem import title

    document = {"type": "about:blank", "title": title(status), "status": status, "detail": detail, **members}
    return Response(status, {"content-type": "application/problem+json"}, (), encode_json(document))


def _again(retries: Sequence[Retry], detail: str = "The event is to come again.", **members: object) -> Response:
    response = problem(503, detail, **members)
    after = max((retry.after for retry in retries if retry.after is not None), default=None)
    if after is not None:
        # Whole seconds, RFC 9110, section 10.2.3.
        response.headers["retry-after"] = str(-int(-after // 1))
    return response


_JSON = {"content-type": "application/json"}
