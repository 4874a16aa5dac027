"""Errors as problem documents: RFC 9457."""

from __future__ import annotations

from portable_fn.errors import EncodeError, HTTPError
from portable_fn.http import Response, encode_json
from portable_fn.outcomes import forget, meant

TYPE_CHECKING = False
if TYPE_CHECKING:
    from portable_fn.context import Context
    from portable_fn.http import HeadersInput


def problem(error: BaseException, context: Context) -> Response:
    """The response for what a handler raised: an HTTPError's own, or for anything else a 500 that tells the caller only
    the invocation id; the traceback of a 500 is logged."""
    meaning = meant(error)
    if isinstance(meaning, HTTPError):
        try:
            return _own(meaning)
        except (EncodeError, ValueError) as exc:
            # Its headers or extensions can't be written.
            meaning = exc
        finally:
            forget(error)
    _log(meaning, context)
    meaning.__traceback__ = None
    document: dict[str, object] = {
        "type": "about:blank",
        "title": title(500),
        "status": 500,
        "detail": "The function failed; its log has the reason under the invocation id.",
        "invocation_id": context.invocation_id,
    }
    return _response(500, document, ())


def _own(error: HTTPError) -> Response:
    document: dict[str, object] = {
        "type": error.type,
        "title": error.title or title(error.status),
        "status": error.status,
    }
    if error.detail:
        document["detail"] = error.detail
    document.update(error.extensions or {})
    return _response(error.status, document, error.headers)


def _response(status: int, document: dict[str, object], headers: HeadersInput) -> Response:
    response = Response(status, headers, (), encode_json(document))
    response.headers.setdefault("content-type", "application/problem+json")
    return response


def title(status: int) -> str:
    """The status's own phrase; "Error" for one that has none."""
    if status in _PHRASES:
        return _PHRASES[status]
    from http import HTTPStatus

    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"


# RFC 9110 renamed them; the standard library followed with Python 3.13 only.
_PHRASES = {413: "Content Too Large", 416: "Range Not Satisfiable", 422: "Unprocessable Content"}


def _log(error: BaseException, context: Context) -> None:
    from portable_fn.logs import log

    log(env=context.env).error("invocation %s failed: %s", context.invocation_id, type(error).__name__, exc_info=error)
