"""Write errors as problem documents: RFC 9457."""

from __future__ import annotations

from portable_fn.errors import ConfigurationError, DecodeError, EncodeError, HTTPError
from portable_fn.http import Response, encode_json
from portable_fn.outcomes import forget, meant

TYPE_CHECKING = False
if TYPE_CHECKING:
    from portable_fn.context import Context
    from portable_fn.http import HeadersInput

__all__ = ["HIDDEN", "is_for_caller", "of_http_error", "problem", "title"]


def problem(error: BaseException, context: Context) -> Response:
    """Return the response for an error of a handler.

    An HTTPError has its own. Any other error is a 500 that shows the caller only the invocation id; its traceback is logged.
    """
    meaning = meant(error)
    if isinstance(meaning, HTTPError):
        try:
            return of_http_error(meaning)
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
        "detail": HIDDEN,
        "invocation_id": context.invocation_id,
    }
    return _response(500, document, ())


def of_http_error(error: HTTPError, /, **members: object) -> Response:
    """Return the response of an HTTPError, with further members in its document."""
    document: dict[str, object] = {
        "type": error.type,
        "title": error.title or title(error.status),
        "status": error.status,
    }
    if error.detail:
        document["detail"] = error.detail
    document.update({**(error.extensions or {}), **members})
    return _response(error.status, document, error.headers)


def _response(status: int, document: dict[str, object], headers: HeadersInput) -> Response:
    response = Response(status, headers, (), encode_json(document))
    response.headers.setdefault("content-type", "application/problem+json")
    return response


# The detail of an error that isn't for the caller.
HIDDEN = "The function failed; its log has the reason under the invocation id."


def is_for_caller(error: BaseException) -> bool:
    """Return whether the caller of a task over HTTP may see the error's class and message.

    Reject, Retry, HTTPError and their subclasses are raised for the caller. Other errors for the caller say why the input
    can't be read.
    """
    from portable_fn.errors import InvalidData
    from portable_fn.outcomes import Reject, Retry

    return isinstance(error, (Reject, Retry, HTTPError, DecodeError, InvalidData))


def title(status: int) -> str:
    """Return the status's phrase; "Error" if it has none."""
    if status in _PHRASES:
        return _PHRASES[status]
    from http import HTTPStatus

    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"


# RFC 9110 renamed them. The standard library followed only with Python 3.13.
_PHRASES = {413: "Content Too Large", 416: "Range Not Satisfiable", 422: "Unprocessable Content"}


def _log(error: BaseException, context: Context) -> None:
    from portable_fn.logs import log

    logger = log(env=context.env)
    if isinstance(error, ConfigurationError):
        # The message says what to do, so its place in the code doesn't matter.
        logger.error("invocation %s failed: %s", context.invocation_id, error)
    else:
        logger.error("invocation %s failed: %s", context.invocation_id, type(error).__name__, exc_info=error)
